"""Gathering and scattering by what indexing.py has: masks, slices at computed places, one-hot codes, segments."""

import operator

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import normalize_axis, size_of
from ..record import HOST, Tensor, kind_of, operand, shape_of
from .arrangement import _host, ravel
from .control import asarray, ones_like
from .elementwise import add, divide, maximum, where
from .indexing import index, index_set, positions, scatter_sum, take
from .reduction import max as largest
from .reduction import min as smallest
from .reduction import prod, sum
from .shape import broadcast_to, expand_dims


def put_along_axis(x, indices, values, axis=-1) -> Tensor:
    """x with ``values`` at ``x[..., indices[..., j, ...], ...]``: the inverse of take_along_axis, as a new Tensor."""
    shape, wanted = shape_of(x), shape_of(indices)
    if len(shape) != len(wanted):
        raise ShapeError(f"put_along_axis: indices of shape {wanted} must have the rank of x, of shape {shape}")
    axis = normalize_axis(axis, len(shape), "put_along_axis") + len(shape)
    grid = [
        HOST.reshape(HOST.arange(n), tuple(n if i == k else 1 for i in range(len(shape)))) for k, n in enumerate(shape)
    ]
    grid[axis] = _host(indices)
    return index_set(x, tuple(grid), values)


def gather_nd(x, indices) -> Tensor:
    """``x[tuple(indices[..., :])]``: the last axis of ``indices`` holds positions in the first axes of x."""
    spots = operand(indices)[0] if not isinstance(indices, (list, tuple)) else HOST.asarray(indices)
    if spots.shape[-1] > len(shape_of(x)):
        raise ShapeError(f"gather_nd: {spots.shape[-1]} positions for an x of shape {shape_of(x)}")
    return index(x, tuple(spots[..., k] for k in range(spots.shape[-1])))


def select_item(x, labels) -> Tensor:
    """x[i, labels[i]] for each row i."""
    rows, classes = shape_of(x)
    place = positions(labels, classes, x, "select_item: label")
    xp = backends.backend_of(place)
    return take(ravel(x), place + xp.arange(0, rows * classes, classes or 1, dtype=place.dtype), axis=0)


def permutate(x, indices, axis=0, inverse=False) -> Tensor:
    """x with its entries along ``axis`` in the order ``indices``, a permutation, or back."""
    order = _host(indices)
    size = shape_of(x)[normalize_axis(axis, len(shape_of(x)), "permutate")]
    if sorted(order.tolist()) != list(range(size)):
        raise ValueError(f"permutate: {indices} is not a permutation of 0 .. {size - 1}")
    return take(x, HOST.argsort(order) if inverse else order, axis=axis)


def masked_fill(x, mask, value) -> Tensor:
    """x, but ``value`` where ``mask`` holds."""
    return where(mask, value, x)


def compress(condition, x, axis=None) -> Tensor:
    """The entries along ``axis`` (None: of x as one line) for which the 1-D ``condition`` holds."""
    if axis is None:
        x, axis = ravel(x), 0
    return take(x, HOST.nonzero(_host(condition))[0], axis=axis)


def dynamic_slice(x, starts, sizes) -> Tensor:
    """The block of ``sizes`` that begins at ``starts``, one integer an axis, which may come out of a computation.

    IndexError where it leaves x, in eager mode.
    """
    shape = shape_of(x)
    if not len(starts) == len(sizes) == len(shape):
        raise ShapeError(f"dynamic_slice: {len(starts)} starts and {len(sizes)} sizes for x of shape {shape}")
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        x = take(x, _block(x, start, size), axis=axis)
    return x


def dynamic_update_slice(x, update, starts) -> Tensor:
    """x with the block that begins at ``starts`` replaced by ``update``, of x's rank."""
    shape = shape_of(x)
    if not len(starts) == len(shape_of(update)) == len(shape):
        raise ShapeError(f"dynamic_update_slice: {len(starts)} starts, update {shape_of(update)}, x {shape}")
    grid = [
        HOST.reshape(_host(start) + HOST.arange(n), tuple(n if i == k else 1 for i in range(len(shape))))
        for k, (start, n) in enumerate(zip(starts, shape_of(update), strict=True))
    ]
    return index_set(x, tuple(grid), update)


def _block(x, start, size):
    """The positions ``start`` .. ``start + size - 1``, on the backend of x."""
    xp = backends.backend_of(operand(asarray(x))[0])
    first = operand(start)[0]
    own = backends.backend_of(first)
    line = (xp if own is None or own.is_host else own).arange(operator.index(size))
    return line + (first if own is None or own is xp else xp.asarray(first))


def one_hot(labels, classes, dtype=None) -> Tensor:
    """1 at the label and 0 elsewhere, in a new last axis of ``classes``; float64 unless said otherwise.

    IndexError for a label outside of 0 .. classes - 1, negative ones too. No derivative.
    """
    value = operand(asarray(labels))[0]
    if kind_of(labels) != "integer":
        raise TypeError(f"one_hot: labels must be integers, got dtype {value.dtype}")
    xp = backends.backend_of(value)
    if not xp.is_traced(value) and size_of(tuple(value.shape)) and int(xp.min(value)) < 0:
        raise IndexError(f"one_hot: a label is negative.\n  expected: labels in 0 .. {classes - 1}")
    place = positions(labels, classes, value, "one_hot: label")
    hit = xp.expand_dims(place, axis=-1) == xp.arange(classes, dtype=place.dtype)
    return Tensor(xp.astype(hit, xp.float64 if dtype is None else xp.dtype(dtype)))


# ---- segments ----


def segment_sum(x, segments, count=None) -> Tensor:
    """The sum of the entries of x along its first axis for each segment number; ``count`` segments, by default all.

    ``segments`` are integers, one for each entry, in any order.
    """
    return scatter_sum(x, _segments(x, segments), _count(segments, count), axis=-len(shape_of(x)))


def segment_mean(x, segments, count=None) -> Tensor:
    """The mean for each segment; 0 for one without entries."""
    number = scatter_sum(ones_like(x), _segments(x, segments), _count(segments, count), axis=-len(shape_of(x)))
    return divide(segment_sum(x, segments, count), maximum(number, 1.0))


def segment_max(x, segments, count=None) -> Tensor:
    """The largest entry for each segment; -inf for one without entries. Equal ones share the gradient."""
    return largest(_by_segment(x, segments, count, -float("inf")), axis=1)


def segment_min(x, segments, count=None) -> Tensor:
    """The smallest entry for each segment; inf for one without entries. Equal ones share the gradient."""
    return smallest(_by_segment(x, segments, count, float("inf")), axis=1)


def segment_prod(x, segments, count=None) -> Tensor:
    """The product for each segment; 1 for one without entries."""
    return prod(_by_segment(x, segments, count, 1.0), axis=1)


def _by_segment(x, segments, count, neutral):
    """(count, n, ...): the entries of x, ``neutral`` in the rows of segments that they do not belong to."""
    place = _segments(x, segments)
    xp = backends.backend_of(place)
    number = xp.arange(_count(segments, count), dtype=place.dtype)
    mine = xp.expand_dims(number, axis=-1) == place
    if not shape_of(x)[0]:  # one row that belongs to nobody, so that there is something to reduce
        return broadcast_to(add(sum(x, axis=0), neutral), (number.shape[0], 1, *shape_of(x)[1:]))
    mine = xp.reshape(mine, tuple(mine.shape) + (1,) * (len(shape_of(x)) - 1))
    return where(Tensor(mine), expand_dims(x, axis=0), neutral)


def _segments(x, segments):
    if not shape_of(x) or shape_of(segments) != shape_of(x)[:1]:
        raise ShapeError(
            f"segments of shape {shape_of(segments)} do not fit x of shape {shape_of(x)}: one for each entry"
        )
    return positions(segments, _count(segments, None) or 1, x, "segment")


def _count(segments, count) -> int:
    if count is not None:
        return operator.index(count)
    numbers = _host(segments)
    return int(numbers.max()) + 1 if numbers.size else 0
