"""Outputs of classifiers read as labels: by the largest score, by a threshold, or as they are."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from zkynet.backends.errors import ShapeError
from zkynet.train.metrics.base import Metric, comparable, read


class Scored(Metric):
    """What metrics of scores share: outputs (..., classes) along ``axis``, integer labels (...) for targets.

    Samples labelled ``ignore_index`` are left out, whatever their scores.
    """

    def __init__(self, *, ignore_index: int | None = None, axis: int = -1):
        self.ignore_index = None if ignore_index is None else operator.index(ignore_index)
        self.axis = operator.index(axis)

    def read_scores(self, outputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
        """Scores (samples, classes) in float64, without NaN and +inf, and the true labels (samples,)."""
        scores, true = read(self, "outputs", outputs), read(self, "targets", targets)
        if not -scores.ndim <= self.axis < scores.ndim:
            raise ShapeError(f"{self.name}: the outputs have no axis {self.axis}.\n  got:      shape {scores.shape}")
        scores = np.moveaxis(scores, self.axis, -1)
        if true.shape != scores.shape[:-1]:
            raise self._misfit(scores.shape, true.shape)
        classes = scores.shape[-1]
        if classes == 1:
            raise ShapeError(
                f"{self.name}: one score a sample names no class.\n  got:      outputs of shape {scores.shape}\n"
                f"  expected: (..., classes), at least 2\n{ONE_SCORE}"
            )
        true = self._whole("targets", true, classes)
        keep = np.ones(true.shape, bool) if self.ignore_index is None else true != self.ignore_index
        return comparable(self, "outputs", scores[keep]), true[keep]

    def _misfit(self, outputs: tuple[int, ...], targets: tuple[int, ...]) -> ShapeError:
        expected = f"outputs (..., classes) and integer labels (...), here {outputs[:-1]}"
        hint = ""
        if len(outputs) == 1 or outputs[-1] == 1:
            hint = f"\n{ONE_SCORE}"
        elif outputs == targets:
            hint = "\nTargets that are one-hot, or probabilities, become labels by targets.argmax(axis=-1)."
        got = f"outputs of shape {outputs} and targets of shape {targets}"
        return ShapeError(
            f"{self.name}: outputs and targets do not fit together.\n  got:      {got}\n  expected: {expected}{hint}"
        )

    def _whole(self, what: str, labels: np.ndarray, classes: int | None) -> np.ndarray:
        """Labels as int64, each 0 to ``classes`` - 1 or ``ignore_index``."""
        if labels.dtype.kind == "f":
            raise TypeError(
                f"{self.name}: {what} are no labels.\n  got:      dtype {labels.dtype}\n"
                "  expected: integers, or truth values\nLabels in floating point become integers by .astype(int)."
            )
        labels = labels.astype(np.int64)
        bad = labels < 0 if classes is None else (labels < 0) | (labels >= classes)
        if self.ignore_index is not None:
            bad &= labels != self.ignore_index
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            below = "" if classes is None else f" and below {classes}, the number of classes"
            ignored = "" if self.ignore_index is None else f", or {self.ignore_index}, which is ignored"
            raise ValueError(
                f"{self.name}: a label in {what} is out of range.\n"
                f"  got:      {labels[first]} at {first}, one of {int(bad.sum())}\n"
                f"  expected: at least 0{below}{ignored}"
            )
        return labels


ONE_SCORE = "For one score a sample give a threshold: threshold=0.0 for logits, threshold=0.5 for probabilities."


class Labels(NamedTuple):
    """A batch's predicted and true labels, int64 of shape (samples,), and how many classes there are, None: unknown."""

    predicted: np.ndarray
    true: np.ndarray
    classes: int | None


class Deciding(Scored):
    """What metrics of decisions share. Outputs come in one of three forms:

    - scores (..., classes) along ``axis``, logits or probabilities: the class of the largest one is predicted, the
      first of several;
    - with ``threshold``, one score a sample, of the targets' shape or with an axis of size 1 behind it: class 1 is
      predicted above the threshold, else class 0; the targets are 0 and 1, also in floating point;
    - integers or truth values of the targets' shape: the predicted labels themselves. ``classes`` says how many there
      are; without it there are as many as occur.

    Targets are integer labels; those equal to ``ignore_index`` are left out.
    """

    def __init__(
        self,
        *,
        threshold: float | None = None,
        classes: int | None = None,
        ignore_index: int | None = None,
        axis: int = -1,
    ):
        super().__init__(ignore_index=ignore_index, axis=axis)
        self.threshold = None if threshold is None else float(threshold)
        self.classes = None if classes is None else operator.index(classes)
        if self.classes is not None and self.classes < 2:
            raise ValueError(f"{self.name}: there are at least 2 classes.\n  got:      classes={classes}")

    def _labels(self, outputs: Any, targets: Any) -> Labels:
        given, true = read(self, "outputs", outputs), read(self, "targets", targets)
        if self.threshold is not None:
            return self._above(given, true, self.threshold)
        if given.dtype.kind != "f" and given.shape == true.shape:
            return self._given(given, true)
        scores, true = self.read_scores(given, true)
        classes = scores.shape[-1]
        if self.classes not in (None, classes):
            raise ShapeError(
                f"{self.name}: the outputs have another number of classes.\n  got:      {classes}\n"
                f"  expected: {self.classes}"
            )
        return Labels(scores.argmax(axis=-1), true, classes)

    def _given(self, predicted: np.ndarray, true: np.ndarray) -> Labels:
        """Labels of labels."""
        predicted = self._whole("outputs", predicted, self.classes)
        true = self._whole("targets", true, self.classes)
        keep = np.ones(true.shape, bool) if self.ignore_index is None else true != self.ignore_index
        predicted, true = predicted[keep], true[keep]
        if (predicted == self.ignore_index).any():
            raise ValueError(
                f"{self.name}: the label {self.ignore_index}, which is ignored, was predicted.\n"
                "  expected: predicted labels that are classes"
            )
        return Labels(predicted, true, self.classes)

    def _above(self, scores: np.ndarray, true: np.ndarray, threshold: float) -> Labels:
        """Labels of one score a sample."""
        if scores.shape == (*true.shape, 1):
            scores = scores[..., 0]
        elif true.shape == (*scores.shape, 1):
            true = true[..., 0]
        if scores.shape != true.shape:
            raise ShapeError(
                f"{self.name}: with a threshold there is one score a sample.\n"
                f"  got:      outputs of shape {scores.shape} and targets of shape {true.shape}\n"
                "  expected: the same shape"
            )
        if true.dtype.kind == "f" and np.isin(true, (0.0, 1.0, self.ignore_index or 0.0)).all():
            true = true.astype(np.int64)
        true = self._whole("targets", true, 2)
        keep = np.ones(true.shape, bool) if self.ignore_index is None else true != self.ignore_index
        scores = comparable(self, "outputs", scores[keep])
        return Labels((scores > threshold).astype(np.int64), true[keep], 2)
