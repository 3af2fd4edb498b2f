"""Losses."""

from zkynet import backends
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..operator import Operator
from ..record import HOST, Tensor, apply, dtype_of, kind_of, operand, shape_of
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
    """-log softmax(x)[label] row by row: x (N, classes), spots (N,). Its gradient: softmax(x) less 1 at the label.

    ``spots`` are the positions of the labelled entries of x in row-major order.
    """

    nondifferentiable = ("spots",)
    promotion = "floating"
    promotes = ("x",)

    def forward(self, xp, x, spots):
        top = xp.max(x, axis=-1, keepdims=True)
        z = xp.shifted(x, top)
        total = xp.sum(xp.exp(z), axis=-1)
        # Where infinities tie there is no softmax: NaN, as log_softmax gives.
        total = xp.where(xp.isinf(xp.reshape(top, total.shape)) & (total > 1), xp.nan, total)
        return xp.log(total) - xp.take(xp.reshape(z, (-1,)), spots, axis=-1)

    def vjp_x(self, xp, g, x, spots):
        rows, classes = x.shape
        lead = tuple(g.shape[:-1])
        hit = xp.scatter_sum(g, spots, rows * classes, axis=-1)
        return xp.weights(x, axis=-1) * xp.expand_dims(g, axis=-1) - xp.reshape(hit, lead + (rows, classes))

    def jvp_x(self, xp, t, x, spots):
        lead = tuple(t.shape[:-2])
        picked = xp.take(xp.reshape(t, lead + (-1,)), spots, axis=-1)
        return xp.sum(xp.weights(x, axis=-1) * t, axis=-1) - picked


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
    losses = apply(_cross_entropy, rows, spots(index, shape[-1]))
    return reduced(losses if len(shape) == 2 else reshape(losses, shape[:-1]), reduction)


def spots(index, classes):
    """The positions of the labelled entries of (N, classes) in row-major order."""
    xp = backends.backend_of(index)
    flat = index if len(index.shape) == 1 else xp.reshape(index, (-1,))
    return flat + xp.arange(0, flat.shape[0] * classes, classes, dtype=flat.dtype)


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
