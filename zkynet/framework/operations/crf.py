"""Chains of classes (linear conditional random fields): the loss of labels, and the best labels."""

from zkynet.backends.errors import ShapeError

from ..record import Tensor, operand, shape_of
from .constants import backend_of
from .elementwise import add, multiply, subtract
from .indexing import take, take_along_axis
from .loss import checked_labels, reduced
from .reduction import logsumexp, sum
from .shape import expand_dims, getitem, reshape


def crf1d(cost, scores, labels, reduction="mean") -> Tensor:
    """-log of the probability of labels (T, N) in chains of classes C: scores (T, N, C), ``cost`` (C, C).

    The score of a chain is the sum of its classes' scores and of cost[class, next class]. Lafferty et al. 2001.
    """
    shape, index = _checked("crf1d", cost, scores, labels)
    total = getitem(scores, 0)
    for t in range(1, shape[0]):
        total = add(logsumexp(add(expand_dims(total, -1), cost), -2), getitem(scores, t))
    own = sum(reshape(take_along_axis(scores, expand_dims(index, -1), -1), shape[:2]), 0)
    flat = add(multiply(index[:-1, :], shape[2]), index[1:, :])
    moves = sum(take(reshape(cost, (-1,)), flat), 0)
    return reduced(subtract(logsumexp(total, -1), add(own, moves)), reduction)


def argmax_crf1d(cost, scores):
    """The best chain of classes for scores (T, N, C) and ``cost`` (C, C), by Viterbi: scores (N,), labels (T, N).

    Of equal ones the first; without a derivative.
    """
    shape, _ = _checked("argmax_crf1d", cost, scores, None)
    xp = backend_of(scores)
    cost, scores = (operand(a)[0] for a in (cost, scores))
    best, back = scores[0, ...], []
    for t in range(1, shape[0]):
        ways = xp.expand_dims(best, axis=-1) + cost
        back.append(xp.argmax(ways, axis=-2))
        best = xp.max(ways, axis=-2) + scores[t, ...]
    last = xp.argmax(best, axis=-1)
    path = [last]
    for step in reversed(back):
        rows = xp.arange(shape[1], dtype=last.dtype) * shape[2]
        last = xp.take(xp.reshape(step, (-1,)), rows + last, axis=-1)
        path.append(last)
    return Tensor(xp.max(best, axis=-1)), Tensor(xp.stack(path[::-1]))


def _checked(who, cost, scores, labels):
    """The shape of the scores, and the labels as indices."""
    shape = shape_of(scores)
    if len(shape) != 3 or not shape[0] or not shape[2] or shape_of(cost) != (shape[2], shape[2]):
        raise ShapeError(f"{who}: needs scores (T, N, C) and cost (C, C), got {shape} and {shape_of(cost)}")
    if labels is None:
        return shape, None
    if shape_of(labels) != shape[:2]:
        raise ShapeError(f"{who}: needs labels of shape {shape[:2]}, got {shape_of(labels)}")
    return shape, operand(checked_labels(labels, shape[2], scores))[0]
