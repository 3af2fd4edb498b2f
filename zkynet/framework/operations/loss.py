"""Losses."""

from zkynet import backends
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..operator import Operator
from ..record import HOST, Tensor, apply, dtype_of, kind_of, operand, shape_of
from .activation import shift
from .elementwise import square, subtract
from .indexing import positions
from .reduction import mean, sum
from .shape import reshape

REDUCTIONS = {"mean": mean, "sum": sum, "none": lambda x: x}


def reduced(x, reduction: str) -> Tensor:
    """Losses an example as their "mean", their "sum", or as they are ("none")."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}; got {reduction!r}")
    return REDUCTIONS[reduction](x)


class SoftmaxCrossEntropy(Operator):
    """-log softmax(x)[label] row by row: x (rows, classes), labels (rows,). Its gradient: softmax(x) less 1 there.

    ``classes`` are the numbers of all classes, 0, 1, ...
    """

    nondifferentiable = ("labels", "classes")
    promotion = "floating"
    promotes = ("x",)

    def forward(self, xp, x, labels, classes):
        z = shift(xp, x, -1)
        rows, width = x.shape
        spots = labels + xp.arange(0, rows * width, width, dtype=labels.dtype)
        return xp.log(xp.sum(xp.exp(z), axis=-1)) - xp.take(xp.reshape(z, (rows * width,)), spots, axis=-1)

    def vjp_x(self, xp, g, x, labels, classes):
        hit = xp.expand_dims(labels, axis=-1) == classes
        return (xp.weights(x, axis=-1) - xp.astype(hit, x.dtype)) * xp.expand_dims(g, axis=-1)

    def jvp_x(self, xp, t, x, labels, classes):
        hit = xp.expand_dims(labels, axis=-1) == classes
        return xp.sum(xp.weights(x, axis=-1) * t, axis=-1) - xp.sum(xp.select(hit, t), axis=-1)


_cross_entropy = SoftmaxCrossEntropy()


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
    rows = logits if len(shape) == 2 else reshape(logits, (-1, shape[-1]))
    if len(shape) != 2:
        index = reshape(index, (-1,))
    losses = apply(_cross_entropy, rows, index, classes_of(index, shape[-1]))
    return reduced(losses if len(shape) == 2 else reshape(losses, shape[:-1]), reduction)


def classes_of(index, count):
    """The numbers of all classes, on the backend of the labels."""
    value = operand(index)[0]
    return backends.backend_of(value).arange(count, dtype=value.dtype)


def checked_labels(labels, classes, like):
    """Integer labels in 0 .. classes - 1, on the backend of ``like``; never a label that wraps around."""
    if kind_of(labels) != "integer":
        raise TypeError(f"softmax_cross_entropy: labels must be integers, got dtype {dtype_of(labels)}")
    raw = operand(labels)[0]
    try:
        index = positions(labels, classes, like, "softmax_cross_entropy: label")
    except IndexOutOfBoundsError:
        refuse_negative(raw, classes)
        raise
    if index is not raw:  # unchanged where none is negative
        refuse_negative(raw, classes)
    return index


def refuse_negative(labels, classes):
    """NegativeLabelError where a label is below 0."""
    xp = backends.backend_of(labels) or HOST
    below = xp.asarray(labels) < 0
    if not xp.is_traced(below) and bool(xp.any(below)):
        raise NegativeLabelError(
            "softmax_cross_entropy: a label is negative.\n"
            f"  expected: labels in 0 .. {classes - 1}\n"
            "Labels do not count from the end; mask examples out before the loss."
        )


class NegativeLabelError(IndexOutOfBoundsError, ValueError):
    """A class label below 0: both an IndexError and a ValueError."""


def mean_squared_error(prediction, target) -> Tensor:
    """The mean of (prediction - target) squared."""
    if shape_of(prediction) != shape_of(target):
        raise ShapeError(
            f"mean_squared_error: shapes differ: prediction {shape_of(prediction)}, target {shape_of(target)}"
        )
    return mean(square(subtract(prediction, target)))
