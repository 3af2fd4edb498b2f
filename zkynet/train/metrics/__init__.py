"""Metrics: figures that are read, not differentiated, of whole arrays and of data that comes in batches.

Each is a class, ``F1("macro")``, that takes batches in, and a function, ``f1(outputs, targets, "macro")``, of the same
settings. Both give what the whole data gives, whatever its batches. ``as_metric`` makes a Metric of what a Trainer is
given in ``metrics={name: ...}``.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

from zkynet.train.metrics.base import Metric, PerBatch
from zkynet.train.metrics.classes import F1, Accuracy, ConfusionMatrix, Precision, Recall, TopKAccuracy
from zkynet.train.metrics.numbers import R2, MeanAbsoluteError, MeanSquaredError, Perplexity

__all__ = [
    "F1",
    "R2",
    "Accuracy",
    "ConfusionMatrix",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "PerBatch",
    "Perplexity",
    "Precision",
    "Recall",
    "TopKAccuracy",
    "accuracy",
    "as_metric",
    "confusion_matrix",
    "f1",
    "mean_absolute_error",
    "mean_squared_error",
    "perplexity",
    "precision",
    "r2",
    "recall",
    "top_k_accuracy",
]


def accuracy(outputs: Any, targets: Any, **settings: Any) -> float:
    """The share of samples whose predicted label is the true one; settings as those of Accuracy."""
    return Accuracy(**settings).of(outputs, targets)


def top_k_accuracy(outputs: Any, targets: Any, k: int, **settings: Any) -> float:
    """The share of samples whose true label is among the ``k`` largest scores; settings as those of TopKAccuracy."""
    return TopKAccuracy(k, **settings).of(outputs, targets)


def precision(outputs: Any, targets: Any, average: str | None, **settings: Any) -> Any:
    """Of what is predicted as a class, the share that is of it; ``average`` and settings as those of Precision."""
    return Precision(average, **settings).of(outputs, targets)


def recall(outputs: Any, targets: Any, average: str | None, **settings: Any) -> Any:
    """Of what is of a class, the share that is predicted as it; ``average`` and settings as those of Recall."""
    return Recall(average, **settings).of(outputs, targets)


def f1(outputs: Any, targets: Any, average: str | None, **settings: Any) -> Any:
    """The harmonic mean of precision and recall; ``average`` and settings as those of F1."""
    return F1(average, **settings).of(outputs, targets)


def confusion_matrix(outputs: Any, targets: Any, normalize: str | None = None, **settings: Any) -> np.ndarray:
    """How many samples of each class (row) are predicted as which (column); settings as those of ConfusionMatrix."""
    return ConfusionMatrix(normalize, **settings).of(outputs, targets)


def r2(outputs: Any, targets: Any, *, per_number: bool = False) -> Any:
    """The coefficient of determination, as R2 has it."""
    return R2(per_number=per_number).of(outputs, targets)


def mean_squared_error(outputs: Any, targets: Any) -> float:
    """The mean of (outputs - targets)**2 over all numbers, of arrays of one shape."""
    return MeanSquaredError().of(outputs, targets)


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """The mean of |outputs - targets| over all numbers, of arrays of one shape."""
    return MeanAbsoluteError().of(outputs, targets)


def perplexity(outputs: Any, targets: Any, **settings: Any) -> float:
    """exp of the mean of -log p(label), from logits and integer labels; settings as those of Perplexity."""
    return Perplexity(**settings).of(outputs, targets)


_CLASSES: dict[Any, type[Metric]] = {
    accuracy: Accuracy,
    confusion_matrix: ConfusionMatrix,
    mean_absolute_error: MeanAbsoluteError,
    mean_squared_error: MeanSquaredError,
    perplexity: Perplexity,
    r2: R2,
}
_SETTINGS_NEEDED = {
    f1: 'F1("macro")',
    precision: 'Precision("macro")',
    recall: 'Recall("macro")',
    top_k_accuracy: "TopKAccuracy(5)",
}


def as_metric(x: Any) -> Metric:
    """``x`` as a Metric: one as it is, a function of this package as its class, any other function as PerBatch.

    So ``metrics={"accuracy": accuracy}`` is exact for batches of any size, and a function of one's own is a mean over
    batches weighted by their samples. TypeError for what is none of these, and for functions that need a setting.
    """
    if isinstance(x, Metric):
        return x
    if isinstance(x, type) and issubclass(x, Metric):
        raise TypeError(
            f"a metric is an object, and no class.\n  got:      {x.__name__}\n  expected: {x.__name__}(...)"
        )
    if isinstance(x, FunctionType) and x in _CLASSES:
        return _CLASSES[x]()
    if isinstance(x, FunctionType) and x in _SETTINGS_NEEDED:
        raise TypeError(
            f"the metric {x.__name__} needs a setting.\n  expected: the object, such as {_SETTINGS_NEEDED[x]}"
        )
    if not callable(x):
        raise TypeError(
            f"this is no metric.\n  got:      {x!r}\n"
            "  expected: an object of zkynet.train.metrics, such as Accuracy(), or a function of (outputs, targets)"
        )
    return PerBatch(x)
