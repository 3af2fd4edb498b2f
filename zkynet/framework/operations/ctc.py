"""Connectionist temporal classification: the sum over all alignments, in log space (Graves et al. 2006)."""

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..operator import Operator
from ..record import Tensor, apply, kind_of, operand, shape_of
from .comparison import isfinite
from .constants import backend_of
from .elementwise import divide, negative, where
from .indexing import take_along_axis
from .loss import checked_labels, reduced
from .reduction import mean

LOWEST = float("-inf")


class LogPaths(Operator):
    """log of the sum over paths of exp(the sum of x along a path), for x (T, N, S): one number a row of N.

    A path is in one state of S at a time. It begins where ``start`` holds and ends at time ``length`` - 1 where ``end``
    holds; it stays, moves on by one where ``step`` holds, or by two where ``skip`` holds at the state it moves to.
    The gradient is the probability of each state at each time; where there is no path it is 0.
    """

    nondifferentiable = ("start", "step", "skip", "end", "length")
    promotion = "floating"
    promotes = ("x",)

    def forward(self, xp, x, start, step, skip, end, length):
        last = xp.where(end, alphas(xp, x, start, step, skip, length)[-1], LOWEST)
        top = xp.max(last, axis=-1, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0.0)
        total = xp.sum(xp.exp(last - top), axis=-1, keepdims=True)
        some = total > 0
        return xp.squeeze(xp.where(some, xp.log(xp.where(some, total, 1.0)) + top, LOWEST), axis=-1)

    def vjp_x(self, xp, g, x, start, step, skip, end, length, y):
        shares = self.shares(xp, x, start, step, skip, end, length, y)
        return xp.expand_dims(xp.expand_dims(g, axis=-1), axis=-3) * shares

    def jvp_x(self, xp, t, x, start, step, skip, end, length, y):
        return xp.sum(t * self.shares(xp, x, start, step, skip, end, length, y), axis=(-3, -1))

    def shares(self, xp, x, start, step, skip, end, length, y):
        """The probability of each state at each time, among the paths."""
        a = alphas(xp, x, start, step, skip, length)
        b = betas(xp, x, step, skip, end, length)
        alive = xp.expand_dims(y > LOWEST, axis=-1)
        level = xp.where(alive, xp.expand_dims(y, axis=-1), 0.0)
        parts = [
            xp.select(alive & xp.expand_dims(length > t, axis=-1), xp.exp(a[t] + b[t] - level)) for t in range(len(a))
        ]
        return xp.stack(parts, axis=0)


def alphas(xp, x, start, step, skip, length):
    """For each time the log of the sum over ways to each state, the entry of this time included."""
    a = xp.where(start, x[0, ...], LOWEST)
    found = [a]
    for t in range(1, x.shape[0]):
        one = xp.where(step, moved_on(xp, a, 1), LOWEST)
        two = xp.where(skip, moved_on(xp, a, 2), LOWEST)
        new = xp.logaddexp(xp.logaddexp(a, one), two) + x[t, ...]
        a = xp.where(xp.expand_dims(length > t, axis=-1), new, a)
        found.append(a)
    return found


def betas(xp, x, step, skip, end, length):
    """For each time the log of the sum over ways from each state to the end, without the entry of this time."""
    b = xp.where(end, xp.zeros_like(x[0, ...]), LOWEST)
    found = [b]
    for t in range(x.shape[0] - 1, 0, -1):
        e = b + x[t, ...]
        one = moved_on(xp, xp.where(step, e, LOWEST), -1)
        two = moved_on(xp, xp.where(skip, e, LOWEST), -2)
        b = xp.where(xp.expand_dims(length > t, axis=-1), xp.logaddexp(xp.logaddexp(e, one), two), b)
        found.append(b)
    return found[::-1]


def moved_on(xp, a, count):
    """Rolled along the last axis; what comes round is masked by the caller."""
    return xp.concat([a[..., -count:], a[..., :-count]], axis=-1)


def ctc(
    log_probabilities, labels, input_lengths, label_lengths, *, blank=0, reduction="mean", zero_infinity=False
) -> Tensor:
    """-log of the probability of ``labels`` (N, L) among all alignments with the frames (T, N, classes).

    Frames hold log-probabilities, as of ``log_softmax``; the gradient treats them as independent. Row n uses its first
    ``input_lengths[n]`` frames and ``label_lengths[n]`` labels. "mean" divides each loss by the number of its labels
    first, as torch does. Where no alignment exists the loss is infinite and its gradient 0; with ``zero_infinity`` the
    loss is 0 too. ValueError for lengths that do not fit, for labels out of range and for the blank among the labels.
    """
    shape = shape_of(log_probabilities)
    if len(shape) != 3 or shape[0] == 0 or len(shape_of(labels)) != 2 or shape_of(labels)[0] != shape[1]:
        raise ShapeError(
            f"ctc: shapes do not fit.\n  got:      frames {shape}, labels {shape_of(labels)}\n"
            "  expected: frames (T, N, classes) with T > 0, and labels (N, L)"
        )
    xp = backend_of(log_probabilities)
    longest = shape_of(labels)[1]
    frames = _lengths(xp, "input_lengths", input_lengths, shape[1], 1, shape[0])
    counts = _lengths(xp, "label_lengths", label_lengths, shape[1], 0, longest)
    if kind_of(labels) != "integer":
        raise TypeError(f"ctc: labels must be integers, got {kind_of(labels)} numbers")
    raw = xp.asarray(operand(labels)[0])
    used = xp.arange(longest) < xp.expand_dims(counts, axis=-1)
    if not xp.is_traced(raw) and bool(xp.any(used & (raw == blank))):
        raise ValueError(f"ctc: the blank, {blank}, is among the labels")
    index = operand(checked_labels(xp.where(used, raw, xp.zeros_like(raw)), shape[2], log_probabilities))[0]
    states, masks = _states(xp, xp.where(used, index, xp.full_like(index, blank)), counts, blank)
    x = take_along_axis(log_probabilities, xp.expand_dims(states, axis=0), -1)
    losses = negative(apply(LogPaths(), x, *masks, frames))
    if zero_infinity:
        losses = where(isfinite(losses), losses, 0.0)
    if reduction == "mean":
        counts = xp.where(counts > 0, counts, xp.ones_like(counts))
        return mean(divide(losses, xp.astype(counts, operand(losses)[0].dtype)))
    return reduced(losses, reduction)


def _lengths(xp, name, values, rows, low, high):
    """One length a row, as an array of indices of ``xp``; ValueError outside low .. high."""
    found = xp.asarray(values if backends.backend_of(operand(values)[0]) is None else operand(values)[0])
    if tuple(found.shape) != (rows,) or not xp.is_integer(found.dtype):
        raise ShapeError(f"ctc: {name} must be {rows} integers, got shape {tuple(found.shape)} of {found.dtype}")
    if not xp.is_traced(found) and bool(xp.any((found < low) | (found > high))):
        raise ValueError(f"ctc: {name} must be in {low} .. {high}")
    return xp.astype(found, xp.index_dtype)


def _states(xp, labels, counts, blank):
    """Labels with blanks around each, (N, 2 L + 1), and where paths start, step, skip and end."""
    rows, longest = labels.shape
    blanks = xp.full_like(labels, blank)
    inner = xp.reshape(xp.stack([blanks, labels], axis=-1), (rows, 2 * longest))
    states = xp.concat([inner, xp.full((rows, 1), blank, dtype=labels.dtype)], axis=-1)
    place = xp.broadcast_to(xp.arange(2 * longest + 1), states.shape)
    final = xp.expand_dims(2 * counts, axis=-1)
    step = place >= 1
    skip = (place >= 2) & (states != blank) & (states != moved_on(xp, states, 2))
    end = (place == final) | ((place == final - 1) & (final > 0))
    start = (place == 0) | ((place == 1) & (final > 0))
    return states, (start, step, skip, end)
