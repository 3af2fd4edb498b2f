"""Joining and splitting under NumPy's signatures."""

from typing import Any

from .. import op
from .arguments import array, cast, refuse


def _cast_all(arrays, dtype):
    return [cast(a, dtype) for a in arrays]


def concatenate(
    arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Joined along an existing axis (None: flattened first)."""
    refuse("concatenate", out=out, casting=casting)
    return op.concat(_cast_all(arrays, dtype), axis=axis)


concat = concatenate


def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Joined along a new axis."""
    refuse("stack", out=out, casting=casting)
    return op.stack(_cast_all(arrays, dtype), axis=axis)


def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Joined along axis 1, vectors along axis 0."""
    refuse("hstack", casting=casting)
    return op.hstack(_cast_all(tup, dtype))


def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Joined row upon row."""
    refuse("vstack", casting=casting)
    return op.vstack(_cast_all(tup, dtype))


def dstack(tup: Any) -> Any:
    """Joined along axis 2."""
    return op.dstack([array(a) for a in tup])


def column_stack(tup: Any) -> Any:
    """Vectors as columns beside each other."""
    return op.column_stack([array(a) for a in tup])


def block(arrays: Any) -> Any:
    """Nested lists of blocks joined to one array."""
    return op.block(arrays)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """``values`` after ``arr`` (``axis`` None: both flattened)."""
    return op.append(array(arr), array(values), axis)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """``values`` put before the positions ``obj``."""
    return op.insert(array(arr), obj, values, axis)


def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """``arr`` without the positions ``obj``."""
    return op.delete(array(arr), obj, axis)


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list:
    """Equal parts, or parts cut at positions."""
    return op.split(array(ary), indices_or_sections, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list:
    """Parts that need not be equal."""
    return op.array_split(array(ary), indices_or_sections, axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list:
    """Split along axis 1, vectors along axis 0."""
    return op.hsplit(array(ary), indices_or_sections)


def vsplit(ary: Any, indices_or_sections: Any) -> list:
    """Split along axis 0."""
    return op.vsplit(array(ary), indices_or_sections)


def dsplit(ary: Any, indices_or_sections: Any) -> list:
    """Split along axis 2."""
    return op.dsplit(array(ary), indices_or_sections)


def unstack(x: Any, /, *, axis: int = 0) -> tuple:
    """The slices along ``axis``, without that axis."""
    return op.unstack(array(x), axis=axis)
