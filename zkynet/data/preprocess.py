"""Numbers as networks like them: standardised features, one-hot labels."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from zkynet.backends.errors import FileFormatError, ShapeError

_FORMAT = "zkynet standardizer 1"


class Standardizer:
    """Shifts and scales features to mean 0 and standard deviation 1, as they were in the data it was fitted to.

    ``Standardizer().fit(train)`` measures; ``apply(x)`` then gives ``(x - mean) / scale``, for the training data and
    all others alike; ``undo`` goes back. ``axis``: the axes to measure over, 0 unless said otherwise, which is one mean
    for each feature; (0, 2, 3) is one for each channel of images (n, channels, height, width), and None one for all.

    ``mean`` and ``scale`` are float64, with length 1 along the axes measured over (0-dimensional for None). A feature
    that is constant in the training data has scale 1, so that it becomes 0. The deviation is that of the whole: the
    root of the sum of squares / n.
    """

    def __init__(self, axis: int | Sequence[int] | None = 0) -> None:
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(axis)
        self._measured: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def mean(self) -> np.ndarray:
        """What is subtracted. RuntimeError before ``fit``."""
        return self._fitted()[0]

    @property
    def scale(self) -> np.ndarray:
        """What is divided by: positive. RuntimeError before ``fit``."""
        return self._fitted()[1]

    def _fitted(self) -> tuple[np.ndarray, np.ndarray]:
        if self._measured is None:
            raise RuntimeError("Standardizer: nothing is measured yet. Call fit(training_data) first.")
        return self._measured

    def fit(self, x: Any) -> Standardizer:
        """Measure ``x``, real numbers of shape (n, ...), and return this.

        ValueError where ``x`` is empty or holds NaN or infinity; AxisError where it lacks an axis to measure over.
        """
        numbers = _real(x, "fit").astype(np.float64)
        if not numbers.size or not np.isfinite(numbers).all():
            raise ValueError(
                f"Standardizer.fit: there is no mean.\n"
                f"  got:      shape {numbers.shape}, {np.count_nonzero(~np.isfinite(numbers))} numbers not finite\n"
                f"  expected: at least one sample, no NaN and no infinity"
            )
        kept = self.axis is not None
        least = np.min(numbers, axis=self.axis, keepdims=kept)
        constant = least == np.max(numbers, axis=self.axis, keepdims=kept)
        with np.errstate(over="ignore", invalid="ignore"):  # said below
            mean = np.where(constant, least, numbers.mean(axis=self.axis, keepdims=kept))
            # By comparison, not by the deviation: rounding of the mean can leave a constant feature one of 1e-17.
            scale = np.where(constant, 1.0, numbers.std(axis=self.axis, keepdims=kept))
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("Standardizer.fit: the numbers are too large, or too close to 0, for float64.")
        self._measured = mean, scale
        return self

    def apply(self, x: Any) -> np.ndarray:
        """Return ``(x - mean) / scale`` in x's floating dtype, or float64. ShapeError where x does not fit."""
        numbers, mean, scale = self._matched(x, "apply")
        return ((numbers - mean) / scale).astype(_floating_of(numbers), copy=False)

    def undo(self, x: Any) -> np.ndarray:
        """Return ``x * scale + mean`` in x's floating dtype, or float64. ShapeError where x does not fit."""
        numbers, mean, scale = self._matched(x, "undo")
        return (numbers * scale + mean).astype(_floating_of(numbers), copy=False)

    def _matched(self, x: Any, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (mean, scale), numbers = self._fitted(), _real(x, name)
        kept = [i for i in range(mean.ndim) if i not in self._axes(mean.ndim)]
        like = numbers.ndim == mean.ndim and all(numbers.shape[i] == mean.shape[i] for i in kept)
        if not like and self.axis is not None:
            wanted = ", ".join(str(mean.shape[i]) if i in kept else "any" for i in range(mean.ndim))
            raise ShapeError(
                f"Standardizer.{name}: the data is not like that which was measured.\n"
                f"  got:      shape {numbers.shape}\n  expected: ({wanted})"
            )
        return numbers, mean, scale

    def _axes(self, ndim: int) -> set[int]:
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis or ()
        return {axis % ndim for axis in axes}

    def save(self, path: str | os.PathLike) -> None:
        """Write what was measured to the file ``path``, in NumPy's npz format. RuntimeError before ``fit``."""
        mean, scale = self._fitted()
        axes = np.atleast_1d(np.array([] if self.axis is None else self.axis))
        with open(path, "wb") as file:  # a file object: np.savez would append .npz to a name
            np.savez(file, format=np.array(_FORMAT), mean=mean, scale=scale, axis=axes.astype(np.int64))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Standardizer:
        """Read what ``save`` wrote. FileFormatError where it is something else; OSError where it cannot be read."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                held = {name: archive[name] for name in archive.files}
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile, TypeError, AttributeError) as error:
            raise FileFormatError(f"{path} is no saved Standardizer: {error}") from error
        if set(held) != {"format", "mean", "scale", "axis"} or str(held["format"]) != _FORMAT:
            raise FileFormatError(f"{path} is no saved Standardizer: it holds {', '.join(sorted(held)) or 'nothing'}")
        mean, scale, axes = held["mean"], held["scale"], held["axis"]
        real = mean.dtype == scale.dtype == np.float64 and mean.shape == scale.shape
        if not (real and np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise FileFormatError(
                f"{path} is a damaged Standardizer: its means and scales are not finite or do not fit"
            )
        if axes.ndim != 1 or not np.issubdtype(axes.dtype, np.integer) or (np.abs(axes + 0.5) > mean.ndim).any():
            raise FileFormatError(f"{path} is a damaged Standardizer: its axes {axes} are not those of {mean.shape}")
        loaded = cls([int(axis) for axis in axes] if mean.ndim else None)
        loaded._measured = mean, scale
        return loaded

    def __repr__(self) -> str:
        shape = "not fitted" if self._measured is None else f"{self.mean.size} means"
        return f"Standardizer(axis={self.axis}, {shape})"


def one_hot(labels: Any, classes: int | None = None, dtype: Any = "float32") -> np.ndarray:
    """Return ones at the labels and zeros elsewhere: shape ``labels.shape + (classes,)``, dtype ``dtype``.

    ``labels`` are integers from 0 to ``classes`` - 1; without ``classes``, one more than the largest label, which is
    right only where each class occurs. TypeError where they are not integers, ValueError where one is out of range.
    """
    numbers = np.asarray(labels)
    if not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(
            f"one_hot: labels are not integers.\n  got:      dtype {numbers.dtype}\n  expected: an integer dtype"
        )
    if classes is None:
        if not numbers.size:
            raise ValueError("one_hot: without labels, say how many classes there are: one_hot(labels, classes)")
        classes = int(numbers.max()) + 1
    outside = (numbers < 0) | (numbers >= classes)
    if outside.any():
        raise ValueError(
            f"one_hot: a label is out of range.\n  got:      {numbers[outside][0]}\n  expected: 0 to {classes - 1}"
        )
    result = np.zeros((*numbers.shape, classes), dtype)
    np.put_along_axis(result, numbers[..., None].astype(np.int64), 1, axis=-1)
    return result


def _real(x: Any, name: str) -> np.ndarray:
    numbers = np.asarray(x)
    if not (np.issubdtype(numbers.dtype, np.floating) or np.issubdtype(numbers.dtype, np.integer)) or numbers.ndim == 0:
        raise TypeError(
            f"Standardizer.{name}: these are no real numbers.\n"
            f"  got:      dtype {numbers.dtype}, shape {numbers.shape}\n"
            f"  expected: a floating or integer dtype, at least one axis"
        )
    return numbers


def _floating_of(numbers: np.ndarray) -> np.dtype:
    return numbers.dtype if np.issubdtype(numbers.dtype, np.floating) else np.dtype(np.float64)
