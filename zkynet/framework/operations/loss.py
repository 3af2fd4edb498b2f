"""Losses of classes and probabilities; ``reduction`` is "mean", "sum" or "none" (one loss an example)."""

from zkynet import backends
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..axes import normalize_axis, size_of
from ..operator import Operator
from ..record import HOST, Tensor, apply, dtype_of, kind_of, operand, shape_of, tensor_of
from .activation import log_softmax, sigmoid
from .comparison import equal, logical_and, not_equal
from .control import ones_like
from .elementwise import (
    add,
    divide,
    multiply,
    multiply_no_nan,
    negative,
    pow,
    select,
    subtract,
    where,
)
from .exponential import expm1, xlog1py, xlogy
from .indexing import positions, take, take_along_axis
from .log_space import softplus
from .reduction import mean, sum
from .shape import expand_dims, moveaxis, reshape

REDUCTIONS = {"mean": mean, "sum": sum, "none": lambda x: x}


def reduced(x, reduction: str) -> Tensor:
    """Losses an example as their "mean", their "sum", or as they are ("none")."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}; got {reduction!r}")
    return REDUCTIONS[reduction](x)


class SoftmaxCrossEntropy(Operator):
    """-log softmax(x)[label] row by row: x (rows, classes), labels (rows,). Its gradient: softmax(x) less 1 there.

    ``classes`` are the numbers of all classes, 0, 1, ... With ``mean`` the mean over the rows, of which there are some:
    the loss of almost every classifier, as one step.
    """

    nondifferentiable = ("labels", "classes")
    promotion = "floating"
    promotes = ("x",)

    def __init__(self, mean=False):
        self.mean = mean

    def forward(self, xp, x, labels, classes):
        z = xp.below_top(x, -1)
        rows, width = x.shape
        spots = labels + xp.arange(0, rows * width, width, dtype=labels.dtype)
        losses = xp.log(xp.sum(xp.exp(z), axis=-1)) - xp.take(xp.reshape(z, (rows * width,)), spots, axis=-1)
        return xp.mean(losses) if self.mean else losses

    def vjp_x(self, xp, g, x, labels, classes):
        hit = xp.expand_dims(labels, axis=-1) == classes
        g = xp.expand_dims(g / x.shape[0], axis=-1) if self.mean else g
        return (xp.weights(x, axis=-1) - xp.astype(hit, x.dtype)) * xp.expand_dims(g, axis=-1)

    def jvp_x(self, xp, t, x, labels, classes):
        hit = xp.expand_dims(labels, axis=-1) == classes
        moved = xp.sum(xp.weights(x, axis=-1) * t, axis=-1) - xp.sum(xp.select(hit, t), axis=-1)
        return xp.mean(moved, axis=-1) if self.mean else moved


_cross_entropy, _mean_cross_entropy = SoftmaxCrossEntropy(), SoftmaxCrossEntropy(mean=True)


def softmax_cross_entropy(
    logits, targets, reduction="mean", *, axis=-1, weight=None, label_smoothing=0.0, ignore_index=None
) -> Tensor:
    """-log softmax(logits)[label]: logits (..., classes), integer labels (...), or probabilities like logits.

    ``axis`` is that of the classes. ``weight`` (classes,) multiplies the loss of each class, and "mean" divides by the
    sum of the labels' weights; with probabilities by the number of rows. ``label_smoothing`` takes that share of the
    target and spreads it over all classes. Rows labelled ``ignore_index`` are left out; a mean of none is NaN.
    IndexError for a label that is not below the number of classes, ValueError for a negative one.
    """
    if not shape_of(logits):
        raise _no_fit("softmax_cross_entropy", logits, targets)
    logits = _classes_last(logits, axis)
    if kind_of(targets) == "real" and len(shape_of(targets)) == len(shape_of(logits)):
        return _soft_cross_entropy(logits, _classes_last(targets, axis), reduction, weight, label_smoothing)
    if shape_of(targets) != shape_of(logits)[:-1]:
        raise _no_fit("softmax_cross_entropy", logits, targets)
    labels, kept = _without_ignored(targets, ignore_index)
    if reduction == "mean" and weight is None and kept is None and not label_smoothing and size_of(shape_of(labels)):
        return _label_losses(logits, labels, _mean_cross_entropy)[0]
    losses, labels = _label_losses(logits, labels)
    if label_smoothing:
        scores = log_softmax(logits)
        whole = mean(scores if weight is None else multiply(scores, weight), -1)
        own = losses if weight is None else multiply(losses, take(weight, labels, axis=0))
        losses = subtract(multiply(own, 1 - label_smoothing), multiply(whole, label_smoothing))
        return _weighted(losses, weight, labels, kept, reduction, multiplied=True)
    return _weighted(losses, weight, labels, kept, reduction)


def cross_entropy(logits, targets, reduction="mean", **settings) -> Tensor:
    """``softmax_cross_entropy`` by its other name."""
    return softmax_cross_entropy(logits, targets, reduction, **settings)


def _label_losses(logits, labels, operator=_cross_entropy):
    """The loss of each row, or their mean, and the labels, checked."""
    shape = shape_of(logits)
    index = checked_labels(labels, shape[-1], logits)
    rows = logits if len(shape) == 2 else reshape(logits, (-1, shape[-1]))
    flat = index if len(shape) == 2 else reshape(index, (-1,))
    losses = apply(operator, rows, flat, classes_of(flat, shape[-1]))
    return (losses if operator.mean or len(shape) == 2 else reshape(losses, shape[:-1])), index


def _soft_cross_entropy(logits, targets, reduction, weight, label_smoothing):
    """The cross entropy of distributions ``targets``: 0 times an infinite loss is 0."""
    shape = shape_of(logits)
    if shape_of(targets) != shape:
        raise _no_fit("softmax_cross_entropy", logits, targets)
    if label_smoothing:
        targets = add(multiply(targets, 1 - label_smoothing), label_smoothing / shape[-1])
    if weight is not None:
        targets = multiply(targets, weight)
    return reduced(negative(sum(multiply_no_nan(targets, log_softmax(logits)), -1)), reduction)


def nll_loss(log_probabilities, labels, reduction="mean", *, axis=-1, weight=None, ignore_index=None) -> Tensor:
    """-log_probabilities[label] along ``axis``; the settings are those of ``softmax_cross_entropy``."""
    if not shape_of(log_probabilities):
        raise _no_fit("nll_loss", log_probabilities, labels)
    scores = _classes_last(log_probabilities, axis)
    if shape_of(labels) != shape_of(scores)[:-1]:
        raise _no_fit("nll_loss", scores, labels)
    labels, kept = _without_ignored(labels, ignore_index)
    index = checked_labels(labels, shape_of(scores)[-1], scores)
    losses = negative(reshape(take_along_axis(scores, expand_dims(index, -1), -1), shape_of(scores)[:-1]))
    return _weighted(losses, weight, index, kept, reduction)


def _classes_last(x, axis):
    axis = normalize_axis(axis, len(shape_of(x)), "axis of the classes")
    return x if axis == -1 else moveaxis(x, axis, -1)


def _no_fit(who, scores, labels):
    return ShapeError(
        f"{who}: shapes do not fit.\n  got:      logits {shape_of(scores)}, targets {shape_of(labels)}\n"
        "  expected: logits (..., classes) and one label for each row, or probabilities of the logits' shape"
    )


def _without_ignored(labels, ignore_index):
    """The labels with 0 in place of those to be ignored, and which rows are kept: None for all."""
    if ignore_index is None:
        return labels, None
    kept = not_equal(labels, ignore_index)
    return where(kept, labels, 0), kept


def _weighted(losses, weight, labels, kept, reduction, multiplied=False):
    """Losses times their labels' weights, those of ignored rows 0, reduced."""
    if weight is None and kept is None:
        return reduced(losses, reduction)
    shares = take(weight, labels, axis=0) if weight is not None else ones_like(losses)
    if kept is not None:
        losses, shares = select(kept, losses), select(kept, shares)
    if weight is not None and not multiplied:
        losses = multiply(losses, shares)
    return divide(sum(losses), sum(shares)) if reduction == "mean" else reduced(losses, reduction)


def sigmoid_cross_entropy(logits, targets, reduction="mean", *, weight=None, pos_weight=None) -> Tensor:
    """The cross entropy of probabilities ``targets`` of the logits' shape and sigmoid(logits), exact far out.

    target * softplus(-logit) * pos_weight + (1 - target) * softplus(logit), times ``weight``.
    """
    same_shapes("sigmoid_cross_entropy", logits=logits, targets=targets)
    yes = multiply_no_nan(targets, softplus(negative(logits)))
    no = multiply_no_nan(subtract(1.0, targets), softplus(logits))
    losses = add(yes if pos_weight is None else multiply(yes, pos_weight), no)
    return reduced(losses if weight is None else multiply(losses, weight), reduction)


def binary_cross_entropy(probabilities, targets, reduction="mean", *, weight=None) -> Tensor:
    """-(target log p + (1 - target) log(1 - p)), times ``weight``; infinite where a certain p is wrong.

    torch stops at 100 there. ``sigmoid_cross_entropy`` takes logits, and has no such places.
    """
    same_shapes("binary_cross_entropy", probabilities=probabilities, targets=targets)
    others = subtract(1.0, targets)
    yes = xlogy(targets, _unless_certain(targets, probabilities, 0.0, 1.0))
    no = xlog1py(others, negative(_unless_certain(others, probabilities, 1.0, 0.0)))
    losses = negative(add(yes, no))
    return reduced(losses if weight is None else multiply(losses, weight), reduction)


def _unless_certain(targets, probabilities, certain, safe):
    """The probabilities, but ``safe`` where nothing is expected and certainly nothing comes: gradient 0 there."""
    right = logical_and(equal(targets, 0), equal(probabilities, certain))
    return where(right, safe, probabilities)


def bernoulli_nll(targets, logits, reduction="sum") -> Tensor:
    """The negative log-likelihood of ``targets`` under Bernoulli distributions with these logits."""
    return sigmoid_cross_entropy(logits, targets, reduction)


def focal_loss(logits, labels, gamma=2.0, reduction="mean", *, axis=-1, weight=None) -> Tensor:
    """(1 - p) ** gamma * -log p of the label's probability p = softmax(logits)[label], times the label's ``weight``.

    A plain mean. Lin et al., Focal loss for dense object detection, 2017.
    """
    scores = _classes_last(logits, axis)
    if shape_of(labels) != shape_of(scores)[:-1]:
        raise _no_fit("focal_loss", scores, labels)
    losses, labels = _label_losses(scores, labels)
    losses = multiply(pow(negative(expm1(negative(losses))), gamma), losses)
    return reduced(losses if weight is None else multiply(losses, take(weight, labels, axis=0)), reduction)


def sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2.0, reduction="mean") -> Tensor:
    """``focal_loss`` for yes or no: targets 0 or 1 of the logits' shape; yes weighs ``alpha``, no 1 - ``alpha``."""
    losses = sigmoid_cross_entropy(logits, targets, "none")
    p = sigmoid(logits)
    missed = add(multiply(p, subtract(1.0, targets)), multiply(subtract(1.0, p), targets))
    shares = add(multiply(targets, alpha), multiply(subtract(1.0, targets), 1 - alpha))
    return reduced(multiply(multiply(shares, pow(missed, gamma)), losses), reduction)


def dice_loss(probabilities, targets, reduction="mean", *, smooth=1.0) -> Tensor:
    """1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), the sums over all axes but the first."""
    same_shapes("dice_loss", probabilities=probabilities, targets=targets)
    axes = tuple(range(1, len(shape_of(targets))))
    both = sum(multiply(probabilities, targets), axes)
    total = add(sum(probabilities, axes), sum(targets, axes))
    return reduced(subtract(1.0, divide(add(multiply(both, 2.0), smooth), add(total, smooth))), reduction)


def same_shapes(who, **given):
    """ShapeError where the shapes differ: losses do not broadcast."""
    shapes = [shape_of(x) for x in given.values()]
    if len(set(shapes)) > 1:
        named = ", ".join(f"{name} {shape}" for name, shape in zip(given, shapes, strict=True))
        raise ShapeError(f"{who}: shapes differ: {named}")


def classes_of(index, count):
    """The numbers of all classes, on the backend of the labels."""
    value = operand(index)[0]
    return tensor_of(backends.backend_of(value).arange(count, dtype=value.dtype))


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
