"""Creation of arrays that is differentiable in what it is given: fill values, ends of ranges, lists of Tensors."""

import operator

from zkynet import backends

from ..record import PYTHON_NUMBERS, Tensor, kind_of, operand, shape_of
from . import control
from .complex import real
from .dtypes import dtype_name, isdtype, name_of, on_device
from .elementwise import add, astype, divide, multiply, pow, subtract, where
from .exponential import exp, log
from .rounding import floor
from .shape import broadcast_to, expand_dims, moveaxis, stack

ORDER = ("bool", "integer", "real", "complex")  # each holds those before it


def asarray(x, dtype=None, copy=None, *, device=None) -> Tensor:
    """x as a Tensor: arrays on their backend, numbers and lists on the default one. A Tensor keeps its history.

    Nested lists may hold Tensors of one shape: they are stacked. ``copy=True`` gives x memory of its own; ValueError
    for ``copy=False`` where x is no Tensor of that dtype: what a Tensor holds is never shared with the caller.
    """
    if isinstance(x, (list, tuple)) and _holds_tensors(x):
        x = stack([asarray(item) for item in x])
    return control.asarray(x, dtype, copy, device)


def _holds_tensors(x) -> bool:
    return any(_holds_tensors(i) if isinstance(i, (list, tuple)) else hasattr(i, "__array_namespace__") for i in x)


def full(shape, fill_value, dtype=None, *, device=None) -> Tensor:
    """``fill_value`` repeated: a number on the default backend, an array or Tensor on its own, differentiable."""
    if operand(fill_value)[1] is None and type(operand(fill_value)[0]) in PYTHON_NUMBERS:
        return control.full(shape, operand(fill_value)[0], dtype, device=device)
    filled = broadcast_to(fill_value, shape)
    return on_device(filled if dtype is None else astype(filled, dtype), device, "full")


def full_like(x, fill_value, dtype=None, *, device=None) -> Tensor:
    """``fill_value`` in x's shape and backend, of its dtype unless said otherwise; differentiable in it.

    TypeError where that dtype cannot hold it: a fraction in an integer array would be cut.
    """
    value = operand(x)[0]
    if type(value) in PYTHON_NUMBERS:
        return control.asarray(fill_value, dtype, device=device)
    wanted = name_of(value) if dtype is None else dtype_name(dtype)
    if ORDER.index(kind_of(fill_value)) > ORDER.index(kind_of(control.zeros((), wanted))):
        raise TypeError(f"full_like: dtype {wanted} does not hold {fill_value!r}.\nGive a dtype that does.")
    filled = multiply(control.ones_like(x, dtype="int64" if wanted == "bool" else wanted), fill_value)
    return on_device(filled if name_of(filled) == wanted else astype(filled, wanted), device, "full_like")


def empty(shape, dtype=None, *, device=None) -> Tensor:
    """Zeros: memory that was never written to has no place in a graph."""
    return control.zeros(shape, dtype, device=device)


def empty_like(x, *, dtype=None, device=None) -> Tensor:
    """Zeros of x's shape and backend, of its dtype unless said otherwise."""
    return control.zeros_like(x, dtype=dtype, device=device)


def linspace(start, stop, num=50, endpoint=True, *, axis=0, dtype=None, device=None) -> Tensor:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, the last included unless ``endpoint`` is False.

    Differentiable in both ends, which may be arrays: the numbers then stand in a new ``axis``. An integer ``dtype``
    holds what they are rounded down to, as in NumPy.
    """
    y = _spaced(start, stop, num, endpoint, axis)
    if dtype is not None and name_of(y) != dtype_name(dtype):
        y = astype(floor(y) if isdtype(dtype, "integral") else y, dtype)
    return on_device(y, device, "linspace")


def _spaced(start, stop, num, endpoint, axis):
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"linspace: num is at least 0, got {num}")
    if not _are_arrays(start, stop) and endpoint and axis == 0:
        return control.linspace(operand(start)[0], operand(stop)[0], num)
    steps = num - 1 if endpoint else num
    ndim = max(len(shape_of(start)), len(shape_of(stop)))
    places = _places(start, stop, num)
    for _ in range(ndim):
        places = expand_dims(places, axis=-1)
    # NumPy's way, to the last bit, on every backend: the steps from start, and stop itself.
    y = add(multiply(places, divide(subtract(stop, start), max(steps, 1))), start)
    if endpoint and num > 1:
        y = where(real(places) == num - 1, stop, y)
    if axis == 0 or ndim == 0:
        return y
    return moveaxis(y, 0, axis)


def _are_arrays(*ends) -> bool:
    return any(operand(e)[1] is not None or type(operand(e)[0]) not in PYTHON_NUMBERS for e in ends)


def _places(start, stop, num) -> Tensor:
    """0, 1, ... num - 1, on the backend of the ends and in their dtype."""
    arrays = [backends.backend_of(operand(e)[0]) for e in (start, stop)]
    found = [xp for xp in arrays if xp is not None]
    xp = backends.common_backend(found) if found else backends.default_backend()
    dtype = next((operand(e)[0].dtype for e in (start, stop) if hasattr(operand(e)[0], "dtype")), xp.float64)
    dtype = dtype if xp.is_inexact(dtype) else xp.float64
    return Tensor(xp.astype(xp.arange(num), dtype))


def logspace(start, stop, num=50, endpoint=True, base=10.0) -> Tensor:
    """``base`` to the powers of linspace; differentiable in all three."""
    return pow(base, linspace(start, stop, num, endpoint))


def geomspace(start, stop, num=50, endpoint=True) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, both above 0, each the same multiple of the one before."""
    return exp(linspace(log(start), log(stop), num, endpoint))
