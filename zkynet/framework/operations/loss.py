"""Losses."""

from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..record import Tensor, kind_of, operand, shape_of
from .activation import log_softmax
from .elementwise import negative, square, subtract
from .indexing import positions, take_along_axis
from .reduction import mean, sum
from .shape import reshape

REDUCTIONS = {"mean": mean, "sum": sum, "none": lambda x: x}


def reduced(x, reduction: str) -> Tensor:
    """Losses an example as their "mean", their "sum", or as they are ("none")."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}; got {reduction!r}")
    return REDUCTIONS[reduction](x)


def softmax_cross_entropy(logits, labels, reduction="mean") -> Tensor:
    """-log softmax(logits)[label] of integer labels: logits (..., classes), labels (...).

    IndexError for a label that is not below the number of classes, ValueError for a negative one.
    """
    shape = shape_of(logits)
    if not shape or shape_of(labels) != shape[:-1]:
        raise ShapeError(
            f"softmax_cross_entropy: shapes do not fit.\n  got:      logits {shape}, labels {shape_of(labels)}\n"
            f"  expected: logits (..., classes) and one label for each row"
        )
    index = checked_labels(labels, shape[-1], logits)
    picked = take_along_axis(log_softmax(logits), reshape(index, (*shape[:-1], 1)), axis=-1)
    return reduced(negative(reshape(picked, shape[:-1])), reduction)


def checked_labels(labels, classes, like):
    """Integer labels in 0 .. classes - 1, on the backend of ``like``; never a label that wraps around."""
    if kind_of(labels) != "integer":
        raise TypeError(f"softmax_cross_entropy: labels must be integers, got dtype {operand(labels)[0].dtype}")
    raw = operand(labels)[0]
    index = positions(raw, classes, like, "softmax_cross_entropy: label")
    from zkynet import backends

    xp = backends.backend_of(index)
    negative_ = xp.asarray(raw) < 0
    if not xp.is_traced(negative_) and bool(xp.any(negative_)):
        raise NegativeLabelError(
            "softmax_cross_entropy: a label is negative.\n"
            f"  expected: labels in 0 .. {classes - 1}\n"
            "Labels do not count from the end; mask examples out before the loss."
        )
    return index


class NegativeLabelError(IndexOutOfBoundsError, ValueError):
    """A class label below 0: both an IndexError and a ValueError."""


def mean_squared_error(prediction, target) -> Tensor:
    """The mean of (prediction - target) squared."""
    if shape_of(prediction) != shape_of(target):
        raise ShapeError(
            f"mean_squared_error: shapes differ: prediction {shape_of(prediction)}, target {shape_of(target)}"
        )
    return mean(square(subtract(prediction, target)))
