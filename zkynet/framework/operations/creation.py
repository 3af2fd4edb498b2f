"""Creation of arrays that is differentiable in what it is given: fill values, ends of ranges, lists of Tensors."""

import operator

from zkynet import backends

from ..record import PYTHON_NUMBERS, Tensor, operand, shape_of
from . import control
from .elementwise import add, astype, multiply, pow, subtract
from .exponential import exp, log
from .shape import broadcast_to, expand_dims, moveaxis, stack


def asarray(x, dtype=None, copy=None) -> Tensor:
    """x as a Tensor: arrays on their backend, numbers and lists on the default one. A Tensor keeps its history.

    Nested lists may hold Tensors of one shape: they are stacked.
    """
    if isinstance(x, (list, tuple)) and _holds_tensors(x):
        tensor = stack([asarray(item) for item in x])
        return tensor if dtype is None else astype(tensor, dtype)
    return control.asarray(x, dtype, copy)


def _holds_tensors(x) -> bool:
    return any(_holds_tensors(i) if isinstance(i, (list, tuple)) else hasattr(i, "__array_namespace__") for i in x)


def full(shape, fill_value, dtype=None) -> Tensor:
    """``fill_value`` repeated: a number on the default backend, an array or Tensor on its own, differentiable."""
    if operand(fill_value)[1] is None and type(operand(fill_value)[0]) in PYTHON_NUMBERS:
        return control.full(shape, operand(fill_value)[0], dtype)
    filled = broadcast_to(fill_value, shape)
    return filled if dtype is None else astype(filled, dtype)


def full_like(x, fill_value, dtype=None) -> Tensor:
    """``fill_value`` in x's shape, dtype and backend; differentiable in it."""
    value = operand(x)[0]
    if type(value) in PYTHON_NUMBERS:
        return control.asarray(fill_value)
    return multiply(astype(control.ones_like(x), str(dtype or value.dtype).rpartition(".")[2]), fill_value)


def empty(shape, dtype=None) -> Tensor:
    """Zeros: memory that was never written to has no place in a graph."""
    return control.zeros(shape, dtype)


def empty_like(x) -> Tensor:
    """Zeros of x's shape, dtype and backend."""
    return control.zeros_like(x)


def linspace(start, stop, num=50, endpoint=True, *, axis=0) -> Tensor:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, the last included unless ``endpoint`` is False.

    Differentiable in both ends, which may be arrays: the numbers then stand in a new ``axis``.
    """
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"linspace: num is at least 0, got {num}")
    if not _are_arrays(start, stop) and endpoint and axis == 0:
        return control.linspace(operand(start)[0], operand(stop)[0], num)
    steps = num - 1 if endpoint else num
    parts = _line(start, stop, num, steps)
    ndim = max(len(shape_of(start)), len(shape_of(stop)))
    for _ in range(ndim):
        parts = expand_dims(parts, axis=-1)
    y = add(multiply(subtract(1.0, parts), start), multiply(parts, stop))
    if axis == 0 or ndim == 0:
        return y
    return moveaxis(y, 0, axis)


def _are_arrays(*ends) -> bool:
    return any(operand(e)[1] is not None or type(operand(e)[0]) not in PYTHON_NUMBERS for e in ends)


def _line(start, stop, num, steps) -> Tensor:
    """0 .. 1 in equal steps, on the backend of the ends."""
    arrays = [backends.backend_of(operand(e)[0]) for e in (start, stop)]
    found = [xp for xp in arrays if xp is not None]
    xp = backends.common_backend(found) if found else backends.default_backend()
    dtype = next((operand(e)[0].dtype for e in (start, stop) if hasattr(operand(e)[0], "dtype")), xp.float64)
    dtype = dtype if xp.is_inexact(dtype) else xp.float64
    return Tensor(xp.astype(xp.arange(num), dtype) / max(steps, 1))


def logspace(start, stop, num=50, endpoint=True, base=10.0) -> Tensor:
    """``base`` to the powers of linspace; differentiable in all three."""
    return pow(base, linspace(start, stop, num, endpoint))


def geomspace(start, stop, num=50, endpoint=True) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, both above 0, each the same multiple of the one before."""
    return exp(linspace(log(start), log(stop), num, endpoint))
