"""Rules of the functions that move entries: shapes, orders of axes, slices, joints, positions."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from .batch_axes import PARTIAL, GiveUpError, HalfBatch, Made, Split
from .program import Value, values_in

_ALL = slice(None)


def ndim(x: Value) -> int:
    return len(x.shape)  # type: ignore[arg-type]


def resolved(shape: Any, size: int) -> tuple[int, ...]:
    """A shape with the number that -1 stands for."""
    found = (shape,) if type(shape) is int else tuple(shape)
    if not all(type(n) is int for n in found):
        raise GiveUpError("no shape")
    rest = prod(n for n in found if n != -1)
    return tuple([size // rest if n == -1 else n for n in found]) if rest else found


def reshaped(old: tuple[int, ...], split: Split, new: tuple[int, ...], n: int) -> Split:
    """How an array of shape ``old``, cut so, is cut in the shape ``new``."""
    axis = len(old) + split.axis
    outer, inner = prod(old[:axis]) * split.outer, split.inner * prod(old[axis + 1 :])
    for i, length in enumerate(new):
        before, behind = prod(new[:i]), prod(new[i + 1 :])
        fits = before and behind and not outer % before and not inner % behind
        if fits and length == outer // before * n * (inner // behind):
            return Split(i - len(new), outer // before, inner // behind)
    raise GiveUpError("the batch is spread over several axes")


def reshape(half: HalfBatch, x: Value, shape: Any, *, copy: Any = None) -> Made:
    kwargs = {} if copy is None else {"copy": copy}
    if half.partial(x):
        return Made((half.own[x], shape), kwargs, PARTIAL)
    split = half.common(x)
    new = resolved(shape, prod(x.shape))  # type: ignore[arg-type]
    found = reshaped(x.shape, split, new, half.n)  # type: ignore[arg-type]
    return Made((half.own[x], half.shape(new, found)), kwargs, found, half.spot(x, split))


def expand_dims(half: HalfBatch, x: Value, axis: Any = 0) -> Made:
    if half.partial(x):
        return Made((half.own[x],), {"axis": axis}, PARTIAL)
    split, rank = half.common(x), ndim(x) + 1
    if type(axis) is not int or not -rank <= axis < rank:
        raise GiveUpError("several axes")
    new = axis - rank if axis >= 0 else axis
    found = split._replace(axis=split.axis - (new >= split.axis))
    return Made((half.own[x],), {"axis": axis}, found, half.spot(x, split))


def squeeze(half: HalfBatch, x: Value, axis: Any) -> Made:
    if half.partial(x):
        return Made((half.own[x],), {"axis": axis}, PARTIAL)
    split, axes = half.common(x), _negative(x, axis)
    if split.axis in axes:
        raise GiveUpError("the batch")
    return Made((half.own[x],), {"axis": axis}, split._replace(axis=split.axis + sum(a > split.axis for a in axes)))


def _negative(x: Value, axis: Any) -> list[int]:
    each, rank = axis if isinstance(axis, (tuple, list)) else (axis,), ndim(x)
    if not all(type(a) is int and -rank <= a < rank for a in each):
        raise GiveUpError("no axis")
    return [a - rank if a >= 0 else a for a in each]


def permute_dims(half: HalfBatch, x: Value, axes: Any) -> Made:
    if half.partial(x):
        return Made((half.own[x], axes), {}, PARTIAL)
    split, order = half.common(x), _negative(x, tuple(axes))
    return Made((half.own[x], axes), {}, split._replace(axis=order.index(split.axis) - len(order)))


def matrix_transpose(half: HalfBatch, x: Value) -> Made:
    if half.partial(x):
        return Made((half.own[x],), {}, PARTIAL)
    split = half.common(x)
    return Made((half.own[x],), {}, split._replace(axis={-1: -2, -2: -1}.get(split.axis, split.axis)))


def moveaxis(half: HalfBatch, x: Value, source: Any, destination: Any) -> Made:
    if type(source) is not int or type(destination) is not int:
        raise GiveUpError("several axes")
    split = half.common(x)
    (start,), (stop,) = _negative(x, source), _negative(x, destination)
    order = [a for a in range(-ndim(x), 0) if a != start]
    order.insert(stop + ndim(x), start)
    return Made((half.own[x], source, destination), {}, split._replace(axis=order.index(split.axis) - ndim(x)))


def broadcast_to(half: HalfBatch, x: Value, shape: Any) -> Made:
    split = half.common(x)
    return Made((half.own[x], half.shape(resolved(shape, 0), split)), {}, split, half.spot(x, split))


# ---- parts and joints ----


def getitem(half: HalfBatch, x: Value, index: Any) -> Made:
    if type(index) is Value:
        return _rows(half, x, index)
    items = list(index) if type(index) is tuple else [index]
    plain = all(item is None or item is Ellipsis or type(item) in (int, slice) for item in items)
    if not plain or any(True for _ in values_in(index)):
        raise GiveUpError("an array in the index")
    if half.partial(x):
        return Made((half.own[x], index), {}, PARTIAL)
    split = half.common(x)
    axis = _kept(_written_out(items, ndim(x)), ndim(x) + split.axis, split.outer * half.n * split.inner)
    # A slice of the whole batch may name its length.
    mine = tuple([_ALL if i == axis[1] else item for i, item in enumerate(_written_out(items, ndim(x)))])
    return Made((half.own[x], mine), {}, split._replace(axis=axis[0]))


def _written_out(items: list, rank: int) -> list:
    """A basic index with a slice for each axis that it leaves out."""
    named = sum(item is not None and item is not Ellipsis for item in items)
    if sum(item is Ellipsis for item in items) > 1 or named > rank:
        raise GiveUpError("no index")
    where = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    return [*items[:where], *[_ALL] * (rank - named), *items[where + 1 :]]


def _kept(items: list, axis: int, length: int) -> tuple[int, int]:
    """Where axis number ``axis`` is behind an index that takes all of it, negative, and its place in the index."""
    named = [i for i, item in enumerate(items) if item is not None]
    place = named[axis]
    if type(items[place]) is not slice or items[place].indices(length) != (0, length, 1):
        raise GiveUpError("a part of the batch")
    return -1 - sum(type(item) is not int for item in items[place + 1 :]), place


def place(half: HalfBatch, x: Value, index: Any, shape: Any) -> Made:
    if half.partial(x):
        return Made((half.own[x], index, shape), {}, PARTIAL)
    split = half.common(x)
    items, sizes = list(index)[1:], list(shape)
    if index[0] is not Ellipsis or not all(item is None or type(item) in (int, slice) for item in items):
        raise GiveUpError("no such index")
    if sum(item is not None for item in items) != len(sizes):
        raise GiveUpError("it speaks of other axes than those of the shape")
    kept = [i for i, item in enumerate(items) if type(item) is not int]  # an axis of x each, from the right
    if -split.axis > len(kept):  # among the leading axes
        moved = len(sizes) - len(kept)
        return Made((half.own[x], index, shape), {}, split._replace(axis=split.axis - moved))
    where = kept[split.axis]
    if items[where] is None:
        raise GiveUpError("no axis of the result")
    axis = sum(item is not None for item in items[:where])
    found = split._replace(axis=axis - len(sizes))
    if items[where].indices(sizes[axis]) != (0, sizes[axis], 1):
        raise GiveUpError("a part of the batch")
    mine = (Ellipsis, *[_ALL if i == where else item for i, item in enumerate(items)])
    return Made((half.own[x], mine, half.shape(shape, found)), {}, found)


def pad(half: HalfBatch, x: Value, widths: Any, value: Any = 0) -> Made:
    split = half.common(x)
    if -split.axis <= len(widths) and tuple(widths[split.axis]) != (0, 0):
        raise GiveUpError("around the batch")
    return Made((half.own[x], widths, value), {}, split)


def _together(half: HalfBatch, arrays: Any) -> Split:
    """The one way in which arrays in a list are cut."""
    if type(arrays) not in (list, tuple) or not all(type(x) is Value for x in arrays):
        raise GiveUpError("no list of arrays")
    return half.common(*arrays)


def concat(half: HalfBatch, arrays: Any, *, axis: Any = 0) -> Made:
    split = _together(half, arrays)
    (where,) = _negative(arrays[0], axis)
    if where == split.axis:
        raise GiveUpError("along the batch")
    return Made((type(arrays)([half.part(x, split) for x in arrays]),), {"axis": axis}, split)


def stack(half: HalfBatch, arrays: Any, *, axis: Any = 0) -> Made:
    split, rank = _together(half, arrays), ndim(arrays[0]) + 1
    if type(axis) is not int or not -rank <= axis < rank:
        raise GiveUpError("no axis")
    new = axis - rank if axis >= 0 else axis
    parts = type(arrays)([half.part(x, split) for x in arrays])
    return Made((parts,), {"axis": axis}, split._replace(axis=split.axis - (new >= split.axis)))


def unstack(half: HalfBatch, x: Value, axis: Any = 0) -> Made:
    split, (where,) = half.common(x), _negative(x, axis)
    if where == split.axis:
        raise GiveUpError("along the batch")
    return Made((half.own[x],), {"axis": axis}, split._replace(axis=split.axis + (where > split.axis)))


# ---- positions ----


def take(half: HalfBatch, x: Value, index: Any, axis: Any) -> Made:
    if type(index) is not Value or type(x) is not Value:
        raise GiveUpError("no array of positions")
    cut_x, cut_i = half.split_of(x), half.split_of(index)
    (along,) = _negative(x, axis)
    behind = -along - 1  # axes
    if cut_x is None and cut_i is not None:
        return Made((x, half.own[index]), {"axis": axis}, cut_i._replace(axis=cut_i.axis - behind))
    if cut_x is None or (cut_x.axis != along and cut_i is not None):
        raise GiveUpError("cut in two ways")
    if cut_x.axis != along:
        moved = ndim(index) - 1 if cut_x.axis < along else 0
        return Made((half.own[x], index), {"axis": axis}, cut_x._replace(axis=cut_x.axis - moved))
    if cut_i is None:
        raise GiveUpError("a part of the batch")
    within = _within(half, index, cut_i, cut_x)
    return Made((half.own[x], within), {"axis": axis}, cut_i._replace(axis=cut_i.axis - behind))


def _within(half: HalfBatch, index: Value, split: Split, target: Split) -> Value:
    """Positions along a cut axis, counted from the lane's first, where each batch entry names its own alone."""
    spot = half.spot(index, split)
    if target.outer != 1 or spot is None or spot.step != target.inner or spot.low < 0 or spot.high >= spot.step:
        raise GiveUpError("positions in the whole batch")
    mine = half.own[index]
    return half.add("subtract", (mine, half.beginning(spot.step, index)), {}, mine.shape, index.dtype)  # type: ignore[arg-type]


def _rows(half: HalfBatch, x: Value, index: Value) -> Made:
    """x[index] for an array of integers."""
    if not half.xp.is_integer(index.dtype) or half.split_of(x) is not None:
        raise GiveUpError("a part of the batch")
    split = half.common(index)
    return Made((x, half.own[index]), {}, split._replace(axis=split.axis - (ndim(x) - 1)))


def scatter_sum(half: HalfBatch, updates: Value, index: Value, size: Any, axis: Any) -> Made:
    if type(index) is not Value or type(updates) is not Value or type(axis) is not int or axis >= 0:
        raise GiveUpError("no array of positions")
    cut_u, cut_i = half.split_of(updates), half.split_of(index)
    behind = -axis - 1  # axes of the updates behind those of the index
    if cut_i is not None:
        mine = half.part(updates, cut_i._replace(axis=cut_i.axis - behind)), half.own[index]
        target = Split(axis, 1, size // half.n)
        if half.spot(index, cut_i) is not None and size == half.n * target.inner:
            try:
                within = _within(half, index, cut_i, target)
            except GiveUpError:
                return Made((*mine, size), {"axis": axis}, PARTIAL)
            return Made((mine[0], within, half.half * target.inner), {"axis": axis}, target)
        return Made((*mine, size), {"axis": axis}, PARTIAL)
    if cut_u is None:
        raise GiveUpError("nothing is cut")
    if -cut_u.axis <= behind:
        return Made((half.own[updates], index, size), {"axis": axis}, cut_u)
    if -cut_u.axis > behind + ndim(index):  # among the leading axes
        moved = ndim(index) - 1
        return Made((half.own[updates], index, size), {"axis": axis}, cut_u._replace(axis=cut_u.axis + moved))
    mine = half.own[updates], half.part(index, cut_u._replace(axis=cut_u.axis + behind))
    return Made((*mine, size), {"axis": axis}, PARTIAL)


SHAPES: dict[str, Callable[..., Made]] = {
    **{"reshape": reshape, "expand_dims": expand_dims, "squeeze": squeeze, "permute_dims": permute_dims},
    **{"matrix_transpose": matrix_transpose, "moveaxis": moveaxis, "broadcast_to": broadcast_to, "getitem": getitem},
    **{"place": place, "pad": pad, "concat": concat, "stack": stack, "unstack": unstack, "take": take},
    "scatter_sum": scatter_sum,
}
