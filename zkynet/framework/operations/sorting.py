"""Sorting, selecting by rank or by condition, and searching.

What is sorted is gathered by positions: equal entries keep their order, and NaN stands last, as in NumPy. The positions
have no derivative, so sort and its kin are differentiated as the permutation that they are.
"""

import operator
from typing import NamedTuple

from zkynet import backends

from ..axes import normalize_axis
from ..record import PYTHON_NUMBERS, Tensor, is_tracked, kind_of, operand, shape_of
from .control import asarray, stop_gradient
from .elementwise import where
from .indexing import take, take_along_axis
from .shape import getitem, reshape


def array_of(x):
    """The array of an operand, and its backend."""
    value = operand(asarray(x) if type(operand(x)[0]) in PYTHON_NUMBERS else x)[0]
    return value, backends.backend_of(value)


def argsort(x, *, axis=-1, descending=False, stable=True) -> Tensor:
    """The positions along ``axis`` that sort x: equal entries in their order, NaN last. Integers, without a derivative.

    ``descending`` turns the order around, but for equal entries. TypeError for complex x, which has no order.
    """
    _check_ordered(x, "argsort")
    value, xp = array_of(x)
    axis = normalize_axis(axis, len(value.shape), "argsort")
    if not descending:
        return Tensor(xp.argsort(value, axis=axis, stable=True))
    back = xp.argsort(xp.flip(value, axis=axis), axis=axis, stable=True)
    return Tensor(value.shape[axis] - 1 - xp.flip(back, axis=axis))


def sort(x, *, axis=-1, descending=False, stable=True) -> Tensor:
    """x sorted along ``axis``, ascending unless said otherwise; NaN stands last, first where ``descending``."""
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


def argpartition(x, kth, axis=-1) -> Tensor:
    """Positions that put the entry of rank ``kth`` in its place, smaller ones before it: those of argsort."""
    _rank(kth, shape_of(x)[normalize_axis(axis, len(shape_of(x)), "argpartition")], "argpartition")
    return argsort(x, axis=axis)


def partition(x, kth, axis=-1) -> Tensor:
    """x with the entry of rank ``kth`` in its place along ``axis``, smaller ones before and larger ones behind it."""
    return take_along_axis(x, argpartition(x, kth, axis), axis=axis)


def topk(x, k, *, axis=-1, largest=True) -> tuple[Tensor, Tensor]:
    """The ``k`` largest, or smallest, entries along ``axis``, the first of them first, and their positions.

    ValueError for a k that is not in 0 .. size.
    """
    axis = normalize_axis(axis, len(shape_of(x)), "topk")
    size = shape_of(x)[axis]
    if not 0 <= operator.index(k) <= size:
        raise ValueError(
            f"topk: k is out of range.\n  got:      {k}\n  expected: 0 .. {size}, the entries along axis {axis}"
        )
    order = argsort(x, axis=axis, descending=largest)
    index = getitem(order, (Ellipsis, slice(0, k)) + (slice(None),) * (-axis - 1))
    return take_along_axis(x, index, axis=axis), index


def kthvalue(x, k, *, axis=-1, keepdims=False) -> tuple[Tensor, Tensor]:
    """The ``k``-th smallest entry along ``axis``, counted from 1 as in PyTorch, and its position."""
    axis = normalize_axis(axis, len(shape_of(x)), "kthvalue")
    size = shape_of(x)[axis]
    if not 1 <= operator.index(k) <= size:
        raise ValueError(f"kthvalue: k is out of range.\n  got:      {k}\n  expected: 1 .. {size}")
    cut = slice(k - 1, k) if keepdims else k - 1
    spot = (Ellipsis, cut) + (slice(None),) * (-axis - 1)
    order = argsort(x, axis=axis)
    return getitem(take_along_axis(x, order, axis=axis), spot), getitem(order, spot)


def _rank(kth, size, who):
    if not -size <= operator.index(kth) < size:
        raise ValueError(f"{who}: rank {kth} is out of bounds for {size} entries")


def _check_ordered(x, who):
    if kind_of(x) == "complex":
        raise TypeError(f"{who}: complex numbers have no order; sort their real parts or magnitudes")


# ---- by condition ----


def choices(conditions, values, default=0) -> Tensor:
    """Entry by entry the value that stands beside the first condition that holds, ``default`` where none does.

    NumPy's select, whose name means another operation here (``op.select(mask, g)``).
    """
    conditions, values = list(conditions), list(values)
    if len(conditions) != len(values):
        raise ValueError(f"select: {len(conditions)} conditions, but {len(values)} values")
    result = default
    for condition, value in zip(reversed(conditions), reversed(values), strict=True):
        result = where(condition, value, result)
    return asarray(result)


def piecewise(x, conditions, functions) -> Tensor:
    """``functions[i](x)`` where ``conditions[i]`` is the last that holds; one function more is for the rest, else 0.

    A number may stand for a constant function. Each function sees all of x: what it gives elsewhere is not looked at,
    nor are its derivatives.
    """
    conditions, functions = list(conditions), list(functions)
    if len(functions) not in (len(conditions), len(conditions) + 1):
        raise ValueError(
            f"piecewise: {len(conditions)} conditions need as many functions or one more, got {len(functions)}"
        )
    values = [f(x) if callable(f) else f for f in functions]
    rest = values.pop() if len(values) > len(conditions) else 0.0
    return choices(conditions[::-1], values[::-1], rest)


def choose(index, values) -> Tensor:
    """Entry by entry ``values[index]``: index holds integers of 0 .. len(values) - 1 and broadcasts with the values."""
    values = list(values)
    number, xp = array_of(index)
    if bool(xp.any((number < 0) | (number >= len(values)))):
        raise ValueError(f"choose: indices are 0 .. {len(values) - 1}, one for each of the values")
    result = values[-1]
    for k in reversed(range(len(values) - 1)):
        result = where(Tensor(number == k), values[k], result)
    return asarray(result)


# ---- searching; no derivatives ----


def searchsorted(x1, x2, *, side="left", sorter=None) -> Tensor:
    """The positions in the sorted 1-D ``x1`` where ``x2`` would keep it sorted; ``sorter``, positions that sort x1."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    line, xp = array_of(x1)
    if len(line.shape) != 1:
        raise ValueError(f"searchsorted: x1 must have one dimension, got shape {tuple(line.shape)}")
    if sorter is not None:
        line = operand(take(stop_gradient(x1), sorter))[0]
    value = array_of(x2)[0]
    xp = backends.common_backend([xp, backends.backend_of(value)])
    line, value = xp.asarray(line), xp.asarray(value)
    return Tensor(xp.astype(xp.searchsorted(line, value, side=side), xp.int64))


def nonzero(x) -> tuple[Tensor, ...]:
    """The positions of the entries that are not 0: one array of integers for each axis."""
    value, xp = array_of(x)
    if not value.shape:
        raise ValueError("nonzero: a 0-d array has no positions; write atleast_1d(x)")
    return tuple(Tensor(part) for part in xp.nonzero(value))


def argwhere(x) -> Tensor:
    """The positions of the entries that are not 0, one row each."""
    value, xp = array_of(x)
    return Tensor(xp.stack(list(xp.nonzero(value)), axis=-1))


def flatnonzero(x) -> Tensor:
    """The positions in row-major order of the entries that are not 0."""
    value, xp = array_of(x)
    return Tensor(xp.nonzero(xp.reshape(value, (-1,)))[0])


class UniqueCounts(NamedTuple):
    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    values: Tensor
    inverse_indices: Tensor


class UniqueAll(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


def unique_values(x) -> Tensor:
    """The distinct entries of x, ascending; the gradient of each goes to the entry of x where it occurs first."""
    return unique_all(x).values


def unique_counts(x) -> UniqueCounts:
    """The distinct entries, ascending and differentiable, and how often each occurs."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x) -> UniqueInverse:
    """The distinct entries, ascending and differentiable, and for each entry of x its place among them."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_all(x) -> UniqueAll:
    """The distinct entries, ascending; where each occurs first; each entry's place among them; each one's count.

    Each NaN is an entry of its own, and stands last. The gradient of a value goes to the entry where it occurs first.
    The shapes depend on the values of x, so this is nothing for a compiled function.
    """
    value, xp = array_of(x)
    values, first, inverse, counts = (Tensor(part) for part in xp.unique_all(value))
    if is_tracked(x):
        values = take(reshape(x, (-1,)), first, axis=0)
    return UniqueAll(values, first, inverse, counts)


def isin(x, values, *, invert=False) -> Tensor:
    """Entry by entry, whether it is one of ``values``."""
    value, xp = array_of(x)
    others = array_of(values)[0]
    others = xp.reshape(others if backends.backend_of(others) is xp else xp.asarray(others), (-1,))
    found = xp.any(xp.expand_dims(value, axis=-1) == others, axis=-1)
    return Tensor(~found if invert else found)
