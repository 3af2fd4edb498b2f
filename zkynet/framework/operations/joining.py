"""Joining arrays in NumPy's various ways, and splitting them."""

import operator

from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..axes import normalize_axis
from ..record import HOST, Tensor, shape_of
from .arrangement import _host, atleast_1d, atleast_2d, atleast_3d, broadcast_arrays, ravel
from .control import asarray
from .indexing import take
from .shape import broadcast_to, concat, expand_dims, getitem, reshape


def hstack(arrays) -> Tensor:
    """Arrays joined along the second axis, vectors along the first."""
    parts = [atleast_1d(a) for a in arrays]
    return concat(parts, axis=0 if parts and len(shape_of(parts[0])) == 1 else 1)


def vstack(arrays) -> Tensor:
    """Arrays joined along the first axis; vectors are rows."""
    return concat([atleast_2d(a) for a in arrays], axis=0)


row_stack = vstack


def dstack(arrays) -> Tensor:
    """Arrays joined along the third axis."""
    return concat([atleast_3d(a) for a in arrays], axis=2)


def column_stack(arrays) -> Tensor:
    """Vectors as the columns of a matrix; matrices beside them as they are."""
    return concat([reshape(a, (-1, 1)) if len(shape_of(a)) < 2 else a for a in arrays], axis=1)


def block(arrays) -> Tensor:
    """Blocks in nested lists as one array: the innermost join along the last axis, the next along the one before."""
    depth = _depth(arrays)
    return _joined_blocks(arrays, 1, depth, max(depth, _most_axes(arrays)))


def _depth(arrays) -> int:
    return 1 + _depth(arrays[0]) if isinstance(arrays, list) and arrays else 0


def _most_axes(arrays) -> int:
    return max([_most_axes(a) for a in arrays]) if isinstance(arrays, list) else len(shape_of(arrays))


def _joined_blocks(arrays, level, depth, ndim):
    if not isinstance(arrays, list):
        shape = shape_of(arrays)
        return reshape(arrays, (1,) * (ndim - len(shape)) + shape)
    if not arrays or _depth(arrays) != depth - level + 1:
        raise ValueError("block: the lists are nested unevenly, or one of them is empty")
    return concat([_joined_blocks(a, level + 1, depth, ndim) for a in arrays], axis=-(depth - level + 1))


def append(x, values, axis=None) -> Tensor:
    """x with ``values`` behind it along ``axis`` (None: both as one line)."""
    return concat([ravel(x), ravel(values)], axis=0) if axis is None else concat([x, values], axis=axis)


def split(x, sections, axis=0) -> list[Tensor]:
    """x cut along ``axis`` into ``sections`` equal parts, or before each position of a list."""
    size = shape_of(x)[normalize_axis(axis, len(shape_of(x)), "split")]
    parted = isinstance(sections, (list, tuple)) or shape_of(sections)
    if not parted and size % operator.index(sections):
        raise ShapeError(f"split: {size} entries do not make {sections} equal parts; array_split allows others")
    return array_split(x, sections, axis)


def array_split(x, sections, axis=0) -> list[Tensor]:
    """As split, but the first parts may have one entry more than the rest."""
    where = normalize_axis(axis, len(shape_of(x)), "array_split")
    size = shape_of(x)[where]
    if isinstance(sections, (list, tuple)) or shape_of(sections):
        cuts = [0, *_host(sections).tolist(), size]
    else:
        count = operator.index(sections)
        if count < 1:
            raise ValueError(f"array_split: the number of parts is at least 1, got {count}")
        each, more = divmod(size, count)
        cuts = [0]
        for k in range(count):
            cuts.append(cuts[-1] + each + (k < more))
    tail = (slice(None),) * (-where - 1)
    return [getitem(x, (Ellipsis, slice(a, b), *tail)) for a, b in zip(cuts, cuts[1:], strict=False)]


def hsplit(x, sections) -> list[Tensor]:
    """split along the second axis, of a vector along the first."""
    return split(x, sections, axis=1 if len(shape_of(x)) > 1 else 0)


def vsplit(x, sections) -> list[Tensor]:
    """split along the first axis of at least two."""
    if len(shape_of(x)) < 2:
        raise ShapeError(f"vsplit: needs at least 2 axes, got shape {shape_of(x)}")
    return split(x, sections, axis=0)


def dsplit(x, sections) -> list[Tensor]:
    """split along the third axis."""
    if len(shape_of(x)) < 3:
        raise ShapeError(f"dsplit: needs at least 3 axes, got shape {shape_of(x)}")
    return split(x, sections, axis=2)


def unstack(x, /, *, axis=0) -> tuple[Tensor, ...]:
    """The slices of x along ``axis``, without that axis."""
    if not shape_of(x):
        raise ShapeError("unstack: x needs at least one axis")
    where = normalize_axis(axis, len(shape_of(x)), "unstack")
    tail = (slice(None),) * (-where - 1)
    return tuple(getitem(x, (Ellipsis, k, *tail)) for k in range(shape_of(x)[where]))


def meshgrid(*arrays, indexing="xy") -> tuple[Tensor, ...]:
    """Coordinates of the grid that vectors span; "xy" puts the second vector along the first axis, "ij" does not."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    if any(len(shape_of(a)) > 1 for a in arrays):
        raise ShapeError(f"meshgrid: needs vectors, got shapes {[shape_of(a) for a in arrays]}")
    count = len(arrays)
    order = list(range(count))
    if indexing == "xy" and count > 1:
        order[0], order[1] = 1, 0
    lines = [
        reshape(a, tuple(-1 if k == place else 1 for k in range(count))) for a, place in zip(arrays, order, strict=True)
    ]
    return broadcast_arrays(*lines) if lines else ()


def insert(x, index, values, axis=None) -> Tensor:
    """x with ``values`` put before the positions ``index``, of x itself, along ``axis`` (None: as one line)."""
    if axis is None:
        x, axis = ravel(x), 0
    where = normalize_axis(axis, len(shape_of(x)), "insert")
    size = shape_of(x)[where]
    spots = _host(index)
    single = spots.ndim == 0
    spots = HOST.reshape(spots, (-1,))
    if ((spots < -size) | (spots > size)).any():
        raise IndexOutOfBoundsError(f"insert: position {index} is out of bounds for axis {axis} of size {size}")
    spots = HOST.where(spots < 0, spots + size, spots)
    values = asarray(values)
    if single and len(shape_of(values)) == len(shape_of(x)):
        spots = HOST.broadcast_to(spots, (shape_of(values)[where],))
    elif single and shape_of(values):
        values = expand_dims(values, axis=where)
    order = HOST.argsort(spots, stable=True)
    new = spots[order] + HOST.arange(len(spots))  # where they stand in the result
    old = HOST.asarray([k for k in range(size + len(spots)) if k not in set(new.tolist())], dtype=HOST.int64)
    shape = list(shape_of(x))
    shape[where] = len(spots)
    values = take(broadcast_to(values, tuple(shape)), order, axis=where)
    both = concat([x, values], axis=where)
    places = HOST.concat([old, new])
    return take(both, HOST.argsort(places), axis=where)


def delete(x, index, axis=None) -> Tensor:
    """x without the positions ``index`` (integers, a slice or a boolean array) along ``axis`` (None: as one line)."""
    if axis is None:
        x, axis = ravel(x), 0
    where = normalize_axis(axis, len(shape_of(x)), "delete")
    size = shape_of(x)[where]
    keep = HOST.full((size,), True)
    try:
        keep[index if isinstance(index, slice) else _host(index)] = False
    except IndexError as error:
        raise IndexOutOfBoundsError(f"delete: {error}") from None
    return take(x, HOST.nonzero(keep)[0], axis=where)
