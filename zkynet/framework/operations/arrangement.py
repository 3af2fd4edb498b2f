"""Arranging entries by what shape.py has: exchanging axes, rolling, tiling, repeating, padding, diagonals, windows."""

import operator

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import broadcast_shapes, normalize_axis, size_of
from ..record import HOST, Tensor, operand, shape_of
from . import shape as shapes
from .control import asarray
from .indexing import take
from .shape import broadcast_to, concat, flip, getitem, moveaxis, permute_dims, place, reshape

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


# ---- axes ----


def swapaxes(x, axis1, axis2) -> Tensor:
    """x with two axes exchanged."""
    ndim = len(shape_of(x))
    order = list(range(ndim))
    i, j = (normalize_axis(a, ndim, "swapaxes") + ndim for a in (axis1, axis2))
    order[i], order[j] = order[j], order[i]
    return permute_dims(x, order)


def rollaxis(x, axis, start=0) -> Tensor:
    """x with ``axis`` moved to stand before the axis ``start``."""
    ndim = len(shape_of(x))
    axis = normalize_axis(axis, ndim, "rollaxis") + ndim
    start = start + ndim if start < 0 else operator.index(start)
    if not 0 <= start <= ndim:
        raise ValueError(f"rollaxis: start {start} is out of bounds for an array of {ndim} dimensions")
    return moveaxis(x, axis, start - (axis < start))


def broadcast_arrays(*arrays) -> tuple[Tensor, ...]:
    """The arrays, each repeated to the shape that they have in common."""
    full = broadcast_shapes(*[shape_of(a) for a in arrays])
    return tuple(broadcast_to(a, full) for a in arrays)


def ravel(x) -> Tensor:
    """x as one line, in row-major order."""
    return reshape(x, (-1,))


def atleast_1d(x) -> Tensor:
    """x with at least one axis."""
    return asarray(x) if shape_of(x) else reshape(x, (1,))


def atleast_2d(x) -> Tensor:
    """x with at least two axes: a vector becomes a row."""
    shape = shape_of(x)
    return asarray(x) if len(shape) > 1 else reshape(x, (1,) * (2 - len(shape)) + shape)


def atleast_3d(x) -> Tensor:
    """x with at least three axes: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1), as in NumPy."""
    shape = shape_of(x)
    return asarray(x) if len(shape) > 2 else reshape(x, {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)])


# ---- turning and repeating ----


def flipud(x) -> Tensor:
    """x with its first axis reversed."""
    return flip(x, axis=0)


def fliplr(x) -> Tensor:
    """x with its second axis reversed."""
    return flip(x, axis=1)


def rot90(x, k=1, axes=(0, 1)) -> Tensor:
    """x turned ``k`` quarters from the first of two ``axes`` towards the second."""
    ndim = len(shape_of(x))
    a, b = (normalize_axis(i, ndim, "rot90") + ndim for i in axes)
    if a == b:
        raise ShapeError(f"rot90: needs two different axes, got {tuple(axes)}")
    k %= 4
    if k == 0:
        return asarray(x)
    if k == 2:
        return flip(x, axis=(a, b))
    return swapaxes(flip(x, axis=b), a, b) if k == 1 else flip(swapaxes(x, a, b), axis=b)


def roll(x, shift, axis=None) -> Tensor:
    """x with its entries moved by ``shift`` along ``axis``, round about; None: in row-major order."""
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), shape_of(x))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: shift {tuple(shifts)} and axis {tuple(axes)} must be as many")
    y = asarray(x)
    for n, a in zip(shifts, axes, strict=True):
        where = normalize_axis(a, len(shape_of(y)), "roll")
        size = shape_of(y)[where]
        n = operator.index(n) % size if size else 0
        if n:
            tail = (slice(None),) * (-where - 1)
            parts = [(Ellipsis, slice(size - n, None), *tail), (Ellipsis, slice(0, size - n), *tail)]
            y = concat([getitem(y, part) for part in parts], axis=where)
    return y


def tile(x, repetitions) -> Tensor:
    """x laid out ``repetitions`` times along its axes: an int, or one number for each of the last axes."""
    reps = tuple(repetitions) if isinstance(repetitions, (tuple, list)) else (repetitions,)
    shape = shape_of(x)
    reps = (1,) * (len(shape) - len(reps)) + reps
    shape = (1,) * (len(reps) - len(shape)) + shape
    split = tuple(n for size in shape for n in (1, size))
    spread = tuple(n for rep, size in zip(reps, shape, strict=True) for n in (rep, size))
    full = broadcast_to(reshape(x, split), spread)
    return reshape(full, tuple(rep * size for rep, size in zip(reps, shape, strict=True)))


def repeat(x, repeats, axis=None) -> Tensor:
    """Each entry along ``axis`` (None: of x as one line) ``repeats`` times: an int, or one number for each entry."""
    if axis is None:
        x, axis = ravel(x), 0
    where = normalize_axis(axis, len(shape_of(x)), "repeat")
    size = shape_of(x)[where]
    counts = _host(repeats)
    if counts.ndim and counts.shape not in ((size,), (1,)):
        raise ValueError(f"repeat: {counts.shape[0]} counts for {size} entries along axis {axis}")
    if counts.size == 1 and int(counts.reshape(())) >= 0:
        n = int(counts.reshape(()))
        shape = shape_of(x)
        head, tail = shape[: len(shape) + where + 1], shape[len(shape) + where + 1 :]
        spread = broadcast_to(reshape(x, (*head, 1, *tail)), (*head, n, *tail))
        return reshape(spread, (*head[:-1], size * n, *tail))
    index = HOST.repeat(HOST.arange(size), HOST.broadcast_to(counts, (size,)))
    return take(x, index, axis=where)


def _host(x):
    """What decides of shapes, as an array of the host."""
    value = operand(x)[0] if not isinstance(x, (list, tuple)) else x
    own = backends.backend_of(value)
    return HOST.asarray(value if own is None else own.to_numpy(value))


# ---- padding ----


def pad(x, widths, value=0, *, mode="constant") -> Tensor:
    """x with entries put around its last axes: ``widths`` is a pair (before, after) for each of them.

    ``mode`` says what they are: "constant" the number ``value``, "edge" the outermost entry, "reflect" and "symmetric"
    the mirrored ones, without and with the outermost, "wrap" those from the other side.
    """
    pairs = tuple((operator.index(b), operator.index(a)) for b, a in widths)
    if mode not in PAD_MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(PAD_MODES)}, got {mode!r}")
    if mode == "constant":
        return shapes.pad(x, pairs, value)
    if len(pairs) > len(shape_of(x)) or any(n < 0 for pair in pairs for n in pair):
        raise ShapeError(f"pad: widths {pairs} do not fit an array of shape {shape_of(x)}")
    for axis, (before, after) in zip(range(-len(pairs), 0), pairs, strict=True):
        if before or after:
            x = take(x, _around(shape_of(x)[axis], before, after, mode), axis=axis)
    return asarray(x)


def _around(size, before, after, mode):
    """The positions of a padded axis."""
    if size == 0:
        raise ShapeError(f"pad: an axis without entries cannot be padded with mode {mode!r}")
    places = HOST.arange(-before, size + after)
    if mode == "edge":
        return HOST.clip(places, 0, size - 1)
    if mode == "wrap":
        return places % size
    period = 2 * size if mode == "symmetric" else max(2 * size - 2, 1)
    places = places % period
    last = period - 1 if mode == "symmetric" else period
    return HOST.where(places < size, places, last - places)


# ---- diagonals ----


def diag_embed(x, offset=0) -> Tensor:
    """Matrices with x on diagonal ``offset``, zeros elsewhere: (..., n) becomes (..., n + |offset|, n + |offset|)."""
    shape = shape_of(x)
    if not shape:
        raise ShapeError("diag_embed: x needs at least one axis")
    n, side = shape[-1], shape[-1] + abs(offset)
    start = offset if offset >= 0 else -offset * side
    spots = slice(start, start + (n - 1) * (side + 1) + 1, side + 1) if n else slice(0, 0)
    return reshape(place(x, (Ellipsis, spots), (side * side,)), (*shape[:-1], side, side))


def diag(x, k=0) -> Tensor:
    """The matrix with a vector on diagonal ``k``, or diagonal ``k`` of a matrix."""
    shape = shape_of(x)
    if len(shape) == 1:
        return diag_embed(x, k)
    if len(shape) != 2:
        raise ShapeError(f"diag: a vector or a matrix, got shape {shape}; take diagonal or diag_embed for stacks")
    rows, columns = shape
    first = k if k >= 0 else -k * columns
    count = max(0, min(rows + min(k, 0), columns - max(k, 0)))
    stop = first + (count - 1) * (columns + 1) + 1 if count else first
    return getitem(ravel(x), slice(first, stop, columns + 1)) if count else getitem(ravel(x), slice(0, 0))


def block_diag(*arrays) -> Tensor:
    """The matrices along the diagonal of one, zeros elsewhere."""
    blocks = [atleast_2d(a) for a in arrays]
    if not blocks or any(len(shape_of(b)) > 2 for b in blocks):
        raise ShapeError(f"block_diag: needs matrices, got shapes {[shape_of(b) for b in blocks]}")
    width = sum(shape_of(b)[1] for b in blocks)
    rows, before = [], 0
    for block in blocks:
        columns = shape_of(block)[1]
        rows.append(shapes.pad(block, ((0, 0), (before, width - before - columns))))
        before += columns
    return concat(rows, axis=0)


# ---- windows ----


def sliding_window_view(x, window_shape, axis=None) -> Tensor:
    """The windows of ``window_shape`` along ``axis`` (None: all), each in new axes at the end; copied, not a view."""
    sizes = tuple(window_shape) if isinstance(window_shape, (tuple, list)) else (window_shape,)
    ndim = len(shape_of(x))
    axes = tuple(range(ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(sizes) != len(axes):
        raise ValueError(f"sliding_window_view: {len(sizes)} window sizes for {len(axes)} axes")
    y = asarray(x)
    for size, a in zip(sizes, axes, strict=True):
        where = normalize_axis(a, ndim, "sliding_window_view") + ndim
        have = shape_of(y)[where]
        if not 1 <= size <= have:
            raise ShapeError(f"sliding_window_view: a window of {size} does not fit axis {a} of size {have}")
        starts = HOST.reshape(HOST.arange(have - size + 1), (-1, 1))
        y = moveaxis(take(y, starts + HOST.arange(size), axis=where), where + 1, -1)
    return y


def as_strided(x, shape, strides, offset=0) -> Tensor:
    """Entry i of the result is entry ``offset + sum(i * strides)`` of x in row-major order; strides count entries.

    IndexError where that leaves x. The result is a copy.
    """
    if len(shape) != len(strides):
        raise ShapeError(f"as_strided: shape {tuple(shape)} and strides {tuple(strides)} must be as long")
    spots = HOST.zeros((), dtype=HOST.int64) + offset
    for n, stride in zip(shape, strides, strict=True):
        spots = HOST.expand_dims(spots, axis=-1) + HOST.arange(n) * stride
    if spots.size and (spots.min() < 0 or spots.max() >= size_of(shape_of(x))):
        raise IndexError(
            f"as_strided: positions {spots.min()} .. {spots.max()} leave x, which has {size_of(shape_of(x))} entries"
        )
    return take(ravel(x), spots, axis=0)
