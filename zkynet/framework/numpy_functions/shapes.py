"""Shapes, axes, padding and diagonals under NumPy's signatures."""

import operator
from typing import Any

from .. import op
from ..record import kind_of, shape_of
from .arguments import array, cast, dtype_name, refuse


def shape(a: Any) -> tuple[int, ...]:
    """The shape."""
    return shape_of(array(a))


def ndim(a: Any) -> int:
    """The number of axes."""
    return len(shape_of(array(a)))


def size(a: Any, axis: Any = None) -> int:
    """The number of entries, along ``axis`` or in all."""
    sizes = shape_of(array(a))
    if axis is not None:
        return sizes[axis]
    count = 1
    for n in sizes:
        count *= n
    return count


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return kind_of(array(x)) == "complex"


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not iscomplexobj(x)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """``x`` in another dtype."""
    refuse("astype", device=device)
    return op.astype(array(x), dtype_name(dtype))


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """A copy, differentiable."""
    refuse("copy", order=order)
    return op.copy(array(a))


def _is_fortran(name, order):
    if order == "F":
        return True
    refuse(name, order=order)
    return False


def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    """``a`` in another shape, read and written row by row, or column by column with ``order="F"``."""
    refuse("reshape", copy=copy)
    wanted = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if _is_fortran("reshape", order):
        return op.transpose(op.reshape(op.transpose(array(a)), wanted[::-1]))
    return op.reshape(array(a), wanted)


def ravel(a: Any, order: str = "C") -> Any:
    """``a`` as one line, row by row, or column by column with ``order="F"``."""
    return reshape(a, (-1,), order)


def resize(a: Any, new_shape: Any) -> Any:
    """``a`` in any shape: cut, or repeated as often as it takes."""
    wanted = tuple(new_shape) if isinstance(new_shape, (tuple, list)) else (new_shape,)
    count = 1
    for n in wanted:
        count *= n
    line = op.ravel(array(a))
    have = shape_of(line)[0]
    if have == 0:
        return op.broadcast_to(op.zeros_like(op.sum(line)), wanted)
    return op.reshape(op.tile(line, -(-count // have))[:count], wanted)


def transpose(a: Any, axes: Any = None) -> Any:
    """The axes reversed, or in the order ``axes``."""
    return op.transpose(array(a), axes)


permute_dims = transpose


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped."""
    return op.matrix_transpose(array(x))


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes swapped."""
    return op.swapaxes(array(a), axis1, axis2)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other positions."""
    return op.moveaxis(array(a), source, destination)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """One axis moved before the position ``start``."""
    return op.rollaxis(array(a), axis, start)


def expand_dims(a: Any, axis: Any) -> Any:
    """Axes of size 1 put in."""
    return op.expand_dims(array(a), axis)


def squeeze(a: Any, axis: Any = None) -> Any:
    """Axes of size 1 left out."""
    return op.squeeze(array(a), axis)


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """Repeated to ``shape``."""
    return op.broadcast_to(op.asarray(array), shape)


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple:
    """Repeated to their common shape."""
    return tuple(op.broadcast_arrays(*[array(a) for a in args]))


def atleast_1d(*arys: Any) -> Any:
    """With one axis or more."""
    found = tuple(op.atleast_1d(array(a)) for a in arys)
    return found[0] if len(found) == 1 else found


def atleast_2d(*arys: Any) -> Any:
    """With two axes or more."""
    found = tuple(op.atleast_2d(array(a)) for a in arys)
    return found[0] if len(found) == 1 else found


def atleast_3d(*arys: Any) -> Any:
    """With three axes or more."""
    found = tuple(op.atleast_3d(array(a)) for a in arys)
    return found[0] if len(found) == 1 else found


def flip(m: Any, axis: Any = None) -> Any:
    """The entries along ``axis`` in reverse order."""
    return op.flip(array(m), axis=axis)


def flipud(m: Any) -> Any:
    """Rows in reverse order."""
    return op.flipud(array(m))


def fliplr(m: Any) -> Any:
    """Columns in reverse order."""
    return op.fliplr(array(m))


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Turned by ``k`` quarters."""
    return op.rot90(array(m), k, axes)


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Shifted around."""
    return op.roll(array(a), shift, axis)


def tile(A: Any, reps: Any) -> Any:
    """The whole array repeated."""
    return op.tile(array(A), reps)


def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Each entry repeated."""
    return op.repeat(array(a), repeats, axis)


# ---- diagonals and triangles ----


def diag(v: Any, k: int = 0) -> Any:
    """The matrix with diagonal ``v``, or the diagonal of the matrix ``v``."""
    return op.diag(array(v), k)


def diagflat(v: Any, k: int = 0) -> Any:
    """The matrix with the flattened ``v`` as its diagonal."""
    return op.diag(op.ravel(array(v)), k)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Diagonals over two axes; they stand along the last axis."""
    return op.diagonal(op.moveaxis(array(a), (axis1, axis2), (-2, -1)), offset=offset)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """The sum of the diagonal over two axes."""
    refuse("trace", out=out)
    return op.trace(op.moveaxis(cast(a, dtype), (axis1, axis2), (-2, -1)), offset=offset)


def tril(m: Any, k: int = 0) -> Any:
    """What stands on and below diagonal ``k``, zeros above."""
    return op.tril(array(m), k=k)


def triu(m: Any, k: int = 0) -> Any:
    """What stands on and above diagonal ``k``, zeros below."""
    return op.triu(array(m), k=k)


# ---- padding ----


def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Any:
    """Entries put around: modes "constant" (``constant_values``), "edge", "reflect", "symmetric" and "wrap"."""
    if not isinstance(mode, str):
        raise TypeError("pad: a function as mode is not supported, for it writes in place; concatenate what it gives")
    x = op.asarray(array)
    widths = _pairs(pad_width, len(shape_of(x)), operator.index, "pad_width")
    constants = kwargs.pop("constant_values", 0) if mode == "constant" else 0
    if kwargs.get("reflect_type") == "even":
        del kwargs["reflect_type"]
    refuse("pad", **kwargs)
    if mode != "constant":
        return op.pad(x, widths, mode=mode)
    if not isinstance(constants, (tuple, list)) and not shape_of(constants):
        return op.pad(x, widths, constants)
    values = _pairs(constants, len(shape_of(x)), lambda c: c, "constant_values")  # a later axis has the corners
    for axis, (width, value) in enumerate(zip(widths, values, strict=True)):
        for side in (0, 1):
            each = [(0, 0)] * len(widths)
            each[axis] = (width[0], 0) if side == 0 else (0, width[1])
            x = op.pad(x, tuple(each), value[side])
    return x


def _pairs(given, count, entry, what):
    """NumPy's ways to say (before, after) for each axis: a number, (n,), (before, after), or one pair an axis."""
    if isinstance(given, dict):
        pairs = [(0, 0)] * count
        for axis, pair in given.items():
            pairs[axis] = pair if isinstance(pair, (tuple, list)) else (pair, pair)
        return tuple((entry(a), entry(b)) for a, b in pairs)
    rows = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(rows, (tuple, list)):
        rows = [(rows, rows)]
    elif not isinstance(rows[0], (tuple, list)):
        rows = [(rows[0], rows[-1])] if len(rows) < 3 else rows
    rows = [(r[0], r[-1]) if isinstance(r, (tuple, list)) and 1 <= len(r) <= 2 else r for r in rows]
    rows = rows * count if len(rows) == 1 else rows
    if len(rows) != count or not all(isinstance(r, tuple) for r in rows):
        raise ValueError(f"pad: {what}={given!r} is not one pair (before, after) for each of {count} axes")
    return tuple((entry(a), entry(b)) for a, b in rows)
