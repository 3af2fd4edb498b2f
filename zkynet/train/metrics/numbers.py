"""How far numbers are from those wanted: mean errors, R2, and the perplexity of a language model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zkynet.backends.errors import ShapeError
from zkynet.train.metrics.base import Metric, finite, needed, read
from zkynet.train.metrics.exact import UNIT, ExactSums, ratio, square
from zkynet.train.metrics.labels import Scored

LARGEST = 1e150  # whose square is a float64
SMALLEST = 1e-140  # whose square is one with all its digits


class _Difference(Metric):
    """What metrics of outputs and targets of one shape share: arrays (samples, ...) of finite numbers."""

    def _pair(self, outputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
        """Both in float64, of shape (samples, numbers in a sample)."""
        y, t = read(self, "outputs", outputs), read(self, "targets", targets)
        if y.shape != t.shape or not y.ndim:
            aside = "\nOne has an axis of size 1 that the other lacks: reshape it." if y.size == t.size else ""
            raise ShapeError(
                f"{self.name}: outputs and targets do not fit together.\n"
                f"  got:      outputs of shape {y.shape} and targets of shape {t.shape}\n"
                f"  expected: the same shape, one sample an entry of axis 0; nothing is broadcast{aside}"
            )
        y, t = (
            finite(self, what, x).reshape(len(x), math.prod(x.shape[1:]))
            for what, x in (("outputs", y), ("targets", t))
        )
        for what, x in (("outputs", y), ("targets", t)):
            if x.size and np.abs(x).max() > LARGEST / 2:
                raise ValueError(f"{self.name}: {what} are too large to be squared.\n  expected: below {LARGEST / 2:g}")
        return y, t


class _MeanError(_Difference):
    """The mean over all numbers of all samples of what ``_errors`` gives of each difference."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._sums, self._numbers = ExactSums(), 0

    def update(self, outputs: Any, targets: Any) -> None:
        y, t = self._pair(outputs, targets)
        self._sums.add(self._errors(y - t).reshape(-1, 1))
        self._numbers += y.size

    def value(self) -> float:
        return ratio(self._sums.totals()[0], needed(self, self._numbers) * UNIT)

    def _errors(self, difference: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class MeanSquaredError(_MeanError):
    """The mean of (outputs - targets)**2 over all numbers; both of one shape (samples, ...), nothing is broadcast."""

    def _errors(self, difference: np.ndarray) -> np.ndarray:
        return difference * difference


class MeanAbsoluteError(_MeanError):
    """The mean of |outputs - targets| over all numbers; both of one shape (samples, ...), nothing is broadcast."""

    def _errors(self, difference: np.ndarray) -> np.ndarray:
        return np.abs(difference)


class R2(_Difference):
    """The coefficient of determination, 1 - sum (t - y)**2 / sum (t - mean t)**2: 1 is perfect, 0 what the mean gives.

    Outputs y and targets t have one shape, (samples, ...). It is taken of each number of a sample by itself, and the
    mean of these is the value, or with ``per_number=True`` their array, of shape (numbers in a sample,). Where all
    targets of a number are the same it is 1.0 if every output equals them, else 0.0. ValueError for a single sample.
    """

    def __init__(self, *, per_number: bool = False):
        self.per_number, self.scalar = per_number, not per_number
        self.reset()

    def reset(self) -> None:
        self._sums: tuple[ExactSums, ...] = ()  # of the squared errors, the targets, and their squares
        self._samples, self._largest = 0, np.zeros(0)

    def update(self, outputs: Any, targets: Any) -> None:
        y, t = self._pair(outputs, targets)
        if not len(t):
            return
        if not self._sums:
            self._sums = tuple(ExactSums(t.shape[1]) for _ in range(3))
            self._largest = np.zeros(t.shape[1])
        errors, values, squares = self._sums
        if t.shape[1] != values.columns:
            raise ShapeError(
                f"{self.name}: samples differ in size.\n  got:      {t.shape[1]} numbers in a sample\n"
                f"  expected: {values.columns}, as in the batches before"
            )
        errors.add((t - y) ** 2)
        values.add(t)
        for part in square(t):  # exact, or a large mean would swallow the variance
            squares.add(part)
        self._samples += len(t)
        self._largest = np.maximum(self._largest, np.abs(t).max(axis=0))

    def value(self) -> Any:
        if needed(self, self._samples) < 2:
            raise ValueError(f"{self.name}: a single sample has no variance.\n  expected: at least two samples")
        if ((self._largest > 0) & (self._largest < SMALLEST)).any():
            raise ValueError(f"{self.name}: targets are too small to be squared.\n  expected: some above {SMALLEST:g}")
        each = np.array([self._of_number(*sums) for sums in zip(*(s.totals() for s in self._sums), strict=True)])
        return each if self.per_number else math.fsum(each) / len(each)

    def _of_number(self, error: int, total: int, squared: int) -> float:
        spread = self._samples * squared * UNIT - total * total  # samples times the sum, in units of UNIT**2
        if spread <= 0:
            return float(error == 0)
        return ratio(spread - self._samples * error * UNIT, spread)


class Perplexity(Scored):
    """exp of the mean of -log p(label): how many equally likely labels would be as hard to guess.

    Outputs are logits or log-probabilities (..., classes) along ``axis``; the softmax is taken here, in float64.
    Targets are integer labels (...); those equal to ``ignore_index`` are left out. Infinite where a label has
    probability 0, and above 1e308. ValueError for probabilities, whose softmax would be something else.
    """

    def __init__(self, *, ignore_index: int | None = None, axis: int = -1):
        super().__init__(ignore_index=ignore_index, axis=axis)
        self.reset()

    def reset(self) -> None:
        self._sums, self._samples, self._impossible = ExactSums(), 0, 0

    def update(self, outputs: Any, targets: Any) -> None:
        scores, true = self.read_scores(outputs, targets)
        if not len(true):
            return
        scores = np.ascontiguousarray(scores)  # each row is added up in the same order, whatever came
        self._refuse_probabilities(scores)
        highest = scores.max(axis=-1, keepdims=True)
        if (highest == -np.inf).any():
            raise ValueError(f"{self.name}: a sample has no class that is possible: all its logits are -inf")
        logs = np.log(np.exp(scores - highest).sum(axis=-1)) + highest[:, 0]
        lost = logs - np.take_along_axis(scores, true[:, None], axis=-1)[:, 0]
        possible = lost < np.inf
        self._sums.add(lost[possible, None])
        self._impossible += int(np.count_nonzero(~possible))
        self._samples += len(true)

    def value(self) -> float:
        mean = ratio(self._sums.totals()[0], needed(self, self._samples) * UNIT)
        try:
            return math.inf if self._impossible else math.exp(mean)
        except OverflowError:
            return math.inf

    def _refuse_probabilities(self, scores: np.ndarray) -> None:
        if scores.min() >= 0 and np.allclose(scores.sum(axis=-1), 1, rtol=0, atol=1e-5):
            raise ValueError(
                f"{self.name}: the outputs are probabilities: none below 0, and every row adds up to 1.\n"
                "  expected: logits or log-probabilities\n"
                "Take their logarithm, or the model's output before its softmax."
            )
