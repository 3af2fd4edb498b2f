"""The handwritten digits that ship with zkynet, and a stratified split."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np

from zkynet.data.order import as_seed, fixed_permutation


def load_digits(dtype: Any = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Return the 1,797 handwritten digits of the UCI set as ``(images, labels)``.

    ``images`` has shape (1797, 64) and dtype ``dtype``: 8 x 8 pixels, row by row, 0.0 (white) to 1.0 (black) in steps
    of 1/16, exact in every floating dtype. ``labels`` has shape (1797,) and dtype int64, 0 to 9. Both are read-only, so
    that the engine need not guard them against changes; ``.copy()`` gives writable ones. TypeError where ``dtype`` is
    not a real floating dtype of NumPy.

    The data is by E. Alpaydin and C. Kaynak, CC BY 4.0; see ``DIGITS_LICENSE.md`` beside this file.
    """
    floating = _floating(dtype)
    source = resources.files("zkynet.data").joinpath("digits.npz")
    with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        pixels, digits = archive["images"], archive["labels"]
    images = pixels.reshape(len(pixels), -1).astype(floating) / floating.type(16)
    labels = digits.astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def stratified_split(labels: Any, test_fraction: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Split sample numbers into ``(train_idx, test_idx)`` so that every class has its share on both sides.

    ``labels`` is one-dimensional and of an integer dtype. A class of n samples gives ``floor(n * test_fraction + 0.5)``
    of them to the test part, but at least one and at most n - 1; which ones, ``seed`` decides. Both results are int64
    and ascending, disjoint, and together cover ``range(len(labels))``. The same arguments give the same split on every
    platform and with every NumPy version.

    TypeError where ``labels`` are not integers; ValueError where they are empty or not one-dimensional, where a class
    has a single sample, or where ``test_fraction`` is not strictly between 0 and 1.
    """
    values = _label_array(labels)
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"test_fraction is out of range.\n  got:      {test_fraction!r}\n  expected: 0 < test_fraction < 1"
        )
    shuffled = fixed_permutation(len(values), as_seed(seed))
    is_test = np.zeros(len(values), dtype=bool)
    for label in sorted(set(values.tolist())):
        members = shuffled[values[shuffled] == label]
        if len(members) < 2:
            raise ValueError(
                f"class {label} cannot be on both sides of a split.\n"
                f"  got:      {len(members)} sample with label {label}\n"
                f"  expected: at least 2\n"
                f"Leave that class out, or add samples to it."
            )
        wanted = int(np.floor(len(members) * test_fraction + 0.5))
        is_test[members[: min(max(wanted, 1), len(members) - 1)]] = True
    return np.flatnonzero(~is_test).astype(np.int64), np.flatnonzero(is_test).astype(np.int64)


def _floating(dtype: Any) -> np.dtype:
    floating = np.dtype(dtype)
    if not np.issubdtype(floating, np.floating):
        raise TypeError(
            f"load_digits: images are scaled to 0..1 and need a real floating dtype.\n"
            f"  got:      {floating}\n"
            f"  expected: 'float32' or 'float64'"
        )
    return floating


def _label_array(labels: Any) -> np.ndarray:
    values = np.asarray(labels)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"labels have the wrong shape.\n  got:      {values.shape}\n  expected: (n,) with n >= 2, one per sample"
        )
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"labels are not integers.\n  got:      dtype {values.dtype}\n  expected: an integer dtype")
    return values
