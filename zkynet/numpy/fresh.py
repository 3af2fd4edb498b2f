"""Arrays made of nothing but numbers, on the default backend, and ``r_`` and ``c_``."""

import numbers
from typing import Any

import numpy

from zkynet import backends
from zkynet.framework import op
from zkynet.framework.numpy_functions.arguments import array, dtype_name, refuse


def _named(dtype):
    return None if dtype is None else dtype_name(dtype)


def zeros(shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None, like: Any = None) -> Any:
    """Zeros."""
    refuse("zeros", order=order, device=device, like=like)
    return op.zeros(shape, _named(dtype))


def ones(shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None, like: Any = None) -> Any:
    """Ones."""
    refuse("ones", order=order, device=device, like=like)
    return op.ones(shape, _named(dtype))


def empty(shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None, like: Any = None) -> Any:
    """Zeros: memory that was never written to has no place in a graph."""
    refuse("empty", order=order, device=device, like=like)
    return op.zeros(shape, _named(dtype))


def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = float,
    order: str = "C",
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    """Ones on diagonal ``k``, zeros elsewhere."""
    refuse("eye", order=order, device=device, like=like)
    return op.eye(N, M, k=k, dtype=_named(dtype))


def identity(n: int, dtype: Any = None, *, like: Any = None) -> Any:
    """The unit matrix."""
    return eye(n, dtype=dtype, like=like)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float, *, like: Any = None) -> Any:
    """Ones on and below diagonal ``k``, zeros above."""
    refuse("tri", like=like)
    return op.tril(op.ones((N, N if M is None else M), _named(dtype)), k=k)


def arange(
    start_or_stop: Any,
    /,
    stop: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    like: Any = None,
) -> Any:
    """``start``, ``start + step``, ... below ``stop``."""
    refuse("arange", device=device, like=like)
    return op.arange(start_or_stop, stop, step, dtype=_named(dtype))


def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """The position of every entry, axis by axis."""
    found: Any = numpy.indices(dimensions, numpy.dtype(dtype_name(dtype)), sparse=sparse)  # type: ignore[call-overload]
    xp = backends.default_backend()
    return tuple(op.asarray(xp.asarray(part)) for part in found) if sparse else op.asarray(xp.asarray(found))


class _Joined:
    """``r_[a, 1:4, 0]``: what stands in the brackets, slices as ranges, joined along one axis."""

    def __init__(self, as_columns: bool) -> None:
        self.as_columns = as_columns

    def __getitem__(self, parts: Any) -> Any:
        found = [_expanded(p) for p in (parts if isinstance(parts, tuple) else (parts,))]
        return op.column_stack(found) if self.as_columns else op.concat([op.atleast_1d(p) for p in found], axis=0)


def _expanded(part):
    if isinstance(part, str):
        raise TypeError(f"r_ and c_ know no directives, got {part!r}; use concatenate, stack or column_stack")
    if not isinstance(part, slice):
        return array(part)
    start = 0 if part.start is None else part.start
    if isinstance(part.step, numbers.Complex) and not isinstance(part.step, numbers.Real):
        return op.linspace(start, part.stop, int(abs(part.step)))
    return op.arange(start, part.stop, 1 if part.step is None else part.step)


r_, c_ = _Joined(False), _Joined(True)
