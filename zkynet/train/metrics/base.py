"""What metrics share: batches taken in, arrays of any library read, and errors that name the metric."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from zkynet import backends
from zkynet.backends.errors import ShapeError
from zkynet.framework.record import value_of


class Metric:
    """A figure of outputs and targets that come batch by batch.

    ``update(outputs, targets)`` takes a batch in, ``value()`` is the figure of all since ``reset()``: what the whole
    data would give at once, to the last bit, and no mean of the batches' figures. ``of(outputs, targets)`` is the
    figure of these alone and leaves the rest as it is.

    Outputs and targets are arrays of any library, Tensors, tracked or not, results of Modules, or lists. What comes
    back is a Python float, or a NumPy array where ``scalar`` is False; there are no gradients. A batch without a sample
    changes nothing. ValueError for the value of no sample, for outputs that are NaN, and for labels out of range;
    ShapeError, a ValueError, for shapes that do not fit; TypeError for what is no array of numbers.
    """

    scalar: bool = True

    def update(self, outputs: Any, targets: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} needs a method update(self, outputs, targets)")

    def value(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method value(self)")

    def reset(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} needs a method reset(self)")

    def of(self, outputs: Any, targets: Any) -> Any:
        """The value of these outputs and targets alone."""
        fresh = copy.copy(self)
        fresh.reset()
        fresh.update(outputs, targets)
        return fresh.value()

    @property
    def name(self) -> str:
        return type(self).__name__


class PerBatch(Metric):
    """The mean of ``function(outputs, targets)`` over the batches, weighted by their samples, len(targets).

    What becomes of a function that knows nothing of batches. Right for means over samples; for anything else, F1 or
    a root, it is not the figure of the whole data. ``function`` gives a number; a NaN makes the mean NaN.
    """

    def __init__(self, function: Callable[[Any, Any], Any]):
        self.function = function
        self.reset()

    def reset(self) -> None:
        self._total, self._samples = 0.0, 0

    def update(self, outputs: Any, targets: Any) -> None:
        samples = len(targets)
        if not samples:
            return
        figure = read(self, "its figures", self.function(outputs, targets))
        if figure.size != 1:
            raise ShapeError(
                f"{self.name}: a metric of a batch is one number.\n  got:      an array of shape {figure.shape}"
            )
        self._total += float(figure.item()) * samples
        self._samples += samples

    def value(self) -> float:
        return self._total / needed(self, self._samples)

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


def needed(metric: Metric, samples: int) -> int:
    """``samples``, of which there is at least one."""
    if not samples:
        raise ValueError(
            f"{metric.name}: there is no value of no sample.\n"
            "  expected: at least one sample whose label is not to be ignored, before value()"
        )
    return samples


def read(metric: Metric, what: str, x: Any) -> np.ndarray:
    """``x`` as a NumPy array of numbers or truth values, without its history."""
    x = value_of(x)
    home = backends.backend_of(x)
    if home is not None and home.is_traced(x):
        raise TypeError(
            f"{metric.name}: {what} have no numbers yet: this is inside a function that is being compiled.\n"
            "Return them from it, and take the metric outside."
        )
    try:
        array = np.asarray(x) if home is None or isinstance(x, np.ndarray) else home.to_numpy(x)
    except ValueError as error:  # several arrays, or rows of different lengths
        raise TypeError(f"{metric.name}: {what} are no array.\n  got:      {type(x).__name__}: {error}") from error
    if array.dtype.kind == "V" and "float" in array.dtype.name:  # bfloat16 and its kin
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{metric.name}: {what} are not real numbers.\n  got:      {type(x).__name__} of dtype {array.dtype}"
        )
    return array


def finite(metric: Metric, what: str, array: np.ndarray) -> np.ndarray:
    """``array`` in float64; ValueError where something in it is not finite."""
    array = array.astype(np.float64)
    return _without(metric, what, array, ~np.isfinite(array), "finite numbers")


def comparable(metric: Metric, what: str, array: np.ndarray) -> np.ndarray:
    """``array`` in float64: scores, which may be -inf; ValueError where something in it is NaN or inf."""
    array = array.astype(np.float64)
    bad = np.isnan(array) | (array == np.inf)
    return _without(metric, what, array, bad, "finite numbers, or -inf for what is ruled out")


def _without(metric: Metric, what: str, array: np.ndarray, bad: np.ndarray, expected: str) -> np.ndarray:
    """``array``, in which nothing is ``bad``."""
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{metric.name}: {what} hold what is no number to judge by.\n"
            f"  got:      {int(bad.sum())} of {array.size} NaN or infinite, the first, {array[first]}, at {first}\n"
            f"  expected: {expected}\n"
            "zk.detect_anomaly() around the model's call names the operator that made it."
        )
    return array
