"""How often a classifier is right, and how it errs: accuracy, precision, recall, F1 and the confusion matrix."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from zkynet.train.metrics.base import needed
from zkynet.train.metrics.labels import Deciding, Labels, Scored

AVERAGES = ("binary", "macro", "micro", "weighted", None)
SHARES = (None, "true", "predicted", "all")
MOST_CLASSES = 8192  # of a confusion matrix: 512 MiB


class Accuracy(Deciding):
    """The share of samples whose predicted label is the true one. Settings and forms of outputs: see Deciding."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.reset()

    def reset(self) -> None:
        self._right = self._samples = 0

    def update(self, outputs: Any, targets: Any) -> None:
        predicted, true, _ = self._labels(outputs, targets)
        self._right += int(np.count_nonzero(predicted == true))
        self._samples += len(true)

    def value(self) -> float:
        return self._right / needed(self, self._samples)


class TopKAccuracy(Scored):
    """The share of samples whose true label is among the ``k`` largest scores.

    Of equal scores the first class counts as larger, as it does where one is predicted: with k = 1 it is Accuracy.
    ``ignore_index`` and ``axis``: see Scored. ValueError where there are fewer than ``k`` classes.
    """

    def __init__(self, k: int, *, ignore_index: int | None = None, axis: int = -1):
        super().__init__(ignore_index=ignore_index, axis=axis)
        self.k = operator.index(k)
        if self.k < 1:
            raise ValueError(f"{self.name}: k is at least 1.\n  got:      {k}")
        self.reset()

    def reset(self) -> None:
        self._right = self._samples = 0

    def update(self, outputs: Any, targets: Any) -> None:
        scores, true = self.read_scores(outputs, targets)
        classes = scores.shape[-1]
        if self.k > classes:
            raise ValueError(
                f"{self.name}: there are fewer than {self.k} classes.\n  got:      {classes}\n"
                f"  expected: at least k, {self.k}"
            )
        own = np.take_along_axis(scores, true[:, None], axis=-1)
        before = (scores == own) & (np.arange(classes) < true[:, None])
        rank = np.count_nonzero((scores > own) | before, axis=-1)
        self._right += int(np.count_nonzero(rank < self.k))
        self._samples += len(true)

    def value(self) -> float:
        return self._right / needed(self, self._samples)


class Rates(Deciding):
    """Precision, recall and F1: a share of each class, and how the classes are put together.

    ``average`` has no default, because each is another number under the same name:

    - "binary": that of the class ``positive``, 1 by default; ValueError where there are more than two classes;
    - "macro": the mean over the classes that occur, as a true label or as a predicted one;
    - "weighted": the same weighted by how often each class is the true one;
    - "micro": of all decisions together; with one label a sample this is the accuracy;
    - None: an array (classes,), one for each class.

    A share of nothing, such as the precision of a class that is never predicted, is ``zero_division``: 0.0 by default,
    or 1.0, or NaN, which leaves the class out of "macro" and "weighted". Other settings, and forms of outputs: see
    Deciding.
    """

    def __init__(self, average: str | None, *, positive: int = 1, zero_division: float = 0.0, **settings: Any):
        super().__init__(**settings)
        if average not in AVERAGES:
            raise ValueError(
                f"{self.name}: there is no average {average!r}.\n"
                f"  expected: one of {', '.join(repr(each) for each in AVERAGES)}"
            )
        if positive not in (0, 1):
            raise ValueError(f"{self.name}: positive is one of two classes, 0 or 1.\n  got:      {positive!r}")
        if zero_division not in (0, 1) and not math.isnan(zero_division):
            raise ValueError(f"{self.name}: zero_division is 0.0, 1.0 or NaN.\n  got:      {zero_division!r}")
        self.average, self.positive, self.zero_division = average, positive, float(zero_division)
        self.scalar = average is not None
        self.reset()

    def reset(self) -> None:
        self._counts = np.zeros((3, self.classes or 0), np.int64)  # right, predicted, true of each class

    def update(self, outputs: Any, targets: Any) -> None:
        labels = self._labels(outputs, targets)
        predicted, true, _ = labels
        classes = _classes_of(labels)
        if self.average == "binary" and classes > 2:
            raise ValueError(
                f"{self.name}: average='binary' is for two classes.\n  got:      {classes}\n"
                "  expected: average='macro', 'weighted', 'micro' or None"
            )
        seen = [np.bincount(each, minlength=classes) for each in (predicted[predicted == true], predicted, true)]
        self._counts = _sum(self._counts, np.stack(seen))

    def value(self) -> Any:
        right, predicted, true = self._counts
        needed(self, int(true.sum()))
        if self.average == "micro":
            right, predicted, true = self._counts.sum(axis=1, keepdims=True)
        share, of = self._parts(right, predicted, true)
        rates = np.full(len(of), self.zero_division)
        np.divide(share, of, out=rates, where=of > 0)
        if self.average is None:
            return rates
        if self.average == "binary":
            return float(rates[self.positive]) if self.positive < len(rates) else self.zero_division
        weights = true if self.average == "weighted" else (predicted + true > 0).astype(np.int64)
        return _mean(rates, weights)

    def _parts(self, right: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


class Precision(Rates):
    """Of the samples predicted as a class, the share that is of it. ``average`` and all settings: see Rates."""

    def _parts(self, right: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return right, predicted


class Recall(Rates):
    """Of the samples of a class, the share that is predicted as it. ``average`` and all settings: see Rates."""

    def _parts(self, right: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return right, true


class F1(Rates):
    """The harmonic mean of precision and recall, 2 right / (predicted + true). Settings: see Rates."""

    def _parts(self, right: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 2 * right, predicted + true


class ConfusionMatrix(Deciding):
    """How many samples of each class (row) are predicted as which (column): int64 of shape (classes, classes).

    ``normalize`` gives shares instead, float64: of each row with "true", of each column with "predicted", of all
    samples with "all"; a row or column without a sample stays 0. Other settings and forms of outputs: see Deciding.
    """

    scalar = False

    def __init__(self, normalize: str | None = None, **settings: Any):
        super().__init__(**settings)
        if normalize not in SHARES:
            raise ValueError(
                f"{self.name}: there is no normalize {normalize!r}.\n"
                f"  expected: one of {', '.join(repr(each) for each in SHARES)}"
            )
        self.normalize = normalize
        self.reset()

    def reset(self) -> None:
        self._counts = np.zeros((self.classes or 0,) * 2, np.int64)

    def update(self, outputs: Any, targets: Any) -> None:
        labels = self._labels(outputs, targets)
        classes = _classes_of(labels)
        if classes > MOST_CLASSES:
            raise ValueError(
                f"{self.name}: too many classes.\n  got:      {classes}\n  expected: {MOST_CLASSES} at most"
            )
        pairs = np.bincount(labels.true * classes + labels.predicted, minlength=classes * classes)
        self._counts = _sum(self._counts, pairs.reshape(classes, classes))

    def value(self) -> np.ndarray:
        samples = needed(self, int(self._counts.sum()))
        if self.normalize is None:
            return self._counts.copy()
        if self.normalize == "all":
            return self._counts / samples
        sums = self._counts.sum(axis=1 if self.normalize == "true" else 0, keepdims=True)
        return self._counts / np.maximum(sums, 1)


def _classes_of(labels: Labels) -> int:
    """How many classes there are: those that are known, or as many as occur."""
    if labels.classes is not None:
        return labels.classes
    return 1 + max((int(each.max()) for each in labels[:2] if each.size), default=-1)


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b, the smaller one filled up with zeros behind its ends."""
    result = np.zeros(np.maximum(a.shape, b.shape), np.int64)
    for each in (a, b):
        result[tuple(map(slice, each.shape))] += each
    return result


def _mean(rates: np.ndarray, weights: np.ndarray) -> float:
    """The mean of the rates that are numbers, by their weights; NaN where there is none."""
    counted = ~np.isnan(rates) & (weights > 0)
    if not counted.any():
        return math.nan
    return math.fsum(rates[counted] * weights[counted]) / int(weights[counted].sum())
