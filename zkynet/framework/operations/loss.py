"""Losses."""

from zkynet import backends
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..axes import size_of
from ..record import Tensor, apply, dtype_of, kind_of, operand, shape_of
from .activation import log_softmax
from .elementwise import negative, square, subtract
from .indexing import Take, positions
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
    classes = shape[-1]
    index = checked_labels(labels, classes, logits)
    xp = backends.backend_of(index)
    count = size_of(shape[:-1])
    spots = xp.reshape(index, (count,)) + xp.arange(0, count * classes, classes, dtype=index.dtype)
    picked = apply(Take(-1), reshape(log_softmax(logits), (count * classes,)), spots)
    return reduced(negative(picked if len(shape) == 2 else reshape(picked, shape[:-1])), reduction)


def checked_labels(labels, classes, like):
    """Integer labels in 0 .. classes - 1, on the backend of ``like``; never a label that wraps around."""
    if kind_of(labels) != "integer":
        raise TypeError(f"softmax_cross_entropy: labels must be integers, got dtype {dtype_of(labels)}")
    index = positions(labels, classes, like, "softmax_cross_entropy: label")
    raw = operand(labels)[0]
    if index is not raw:  # unchanged where none is negative
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
