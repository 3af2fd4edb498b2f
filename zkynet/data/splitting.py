"""Splits into any number of parts: training, validation, test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zkynet.data.digits import _label_array
from zkynet.data.order import as_seed, fixed_permutation


def split(
    count: int,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    *,
    seed: int = 0,
    shuffle: bool = True,
    labels: Any = None,
) -> tuple[np.ndarray, ...]:
    """Split sample numbers ``range(count)`` into one part for each of ``fractions``, for training, validation and test.

    Each part is int64, ascending and not empty; together they hold each number once. ``fractions`` are above 0 and sum
    to 1; the parts' borders are those of the fractions, rounded. ``seed`` decides which samples go where, the same on
    every platform and with every NumPy version; ``shuffle=False`` keeps the order and cuts it, as text and time series
    need it. With ``labels``, integers of shape (count,), every class has its share in each part, and at least one
    sample; ``split(n, (1 - f, f), labels=labels)`` is ``stratified_split(labels, f)``.

    ValueError where the fractions are not that, or a part (with ``labels``, of some class) would be empty.
    """
    shares = _checked_fractions(fractions)
    if labels is not None and not shuffle:
        raise ValueError("split: labels need shuffle=True, which takes the samples of each class at random.")
    if not shuffle:
        order, groups = np.arange(count), np.zeros(count, np.int64)
    else:
        order = fixed_permutation(count, as_seed(seed))
        groups = np.zeros(count, np.int64) if labels is None else _label_array(labels)
    if len(groups) != count:
        raise ValueError(f"split: not one label per sample.\n  got:      {len(groups)} labels\n  expected: {count}")
    part_of = np.empty(count, np.int64)
    for group in np.unique(groups) if count else [0]:
        members = order[groups[order] == group]
        what = f"{count} samples" if labels is None else f"{len(members)} samples with label {group}"
        part_of[members] = np.repeat(np.arange(len(shares)), _sizes(len(members), shares, what))[_direction(shuffle)]
    return tuple(np.flatnonzero(part_of == part).astype(np.int64) for part in range(len(shares)))


def _direction(shuffle: bool) -> slice:
    # stratified_split takes its test part, the last one, from the beginning of the shuffled samples.
    return slice(None, None, -1) if shuffle else slice(None)


def _sizes(count: int, shares: list[float], what: str) -> list[int]:
    """How many of ``count`` samples each part gets: borders rounded from the end, then at least one each."""
    if count < len(shares):
        raise ValueError(
            f"split: too few samples for so many parts.\n  got:      {what}, {len(shares)} parts\n"
            f"  expected: at least {len(shares)} samples"
        )
    borders = [math.floor(math.fsum(shares[part:]) * count + 0.5) for part in range(1, len(shares))]
    borders = [count, *borders, 0]
    sizes = [before - after for before, after in zip(borders, borders[1:])]
    while min(sizes) < 1:
        sizes[sizes.index(max(sizes))] -= 1
        sizes[sizes.index(min(sizes))] += 1
    return sizes


def _checked_fractions(fractions: Sequence[float]) -> list[float]:
    shares = [float(fraction) for fraction in fractions]
    if len(shares) < 2 or not all(share > 0 for share in shares) or abs(math.fsum(shares) - 1) > 1e-9:
        raise ValueError(
            f"split: these are no fractions of a whole.\n  got:      {tuple(fractions)!r}, sum {math.fsum(shares):g}\n"
            f"  expected: two or more, each above 0, with sum 1, like (0.8, 0.1, 0.1)"
        )
    return shares
