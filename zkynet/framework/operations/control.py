"""What acts on the graph and not on values: stop_gradient, copy, creation of constants."""

from zkynet import backends

from ..axes import normalize_axis, size_of
from ..operator import Operator
from ..record import HOST, PYTHON_NUMBERS, Tensor, apply, operand
from .dtypes import dtype_name, name_of, on_device


class StopGradient(Operator):
    """The value alone, constant from here on."""

    makes_view = True
    differentiable = False
    promotion = None

    def forward(self, xp, x):
        return x


class Copy(Operator):
    """The same values in memory of their own."""

    linear = True
    promotion = None

    def forward(self, xp, x):
        return xp.own(x)

    def vjp_x(self, xp, g):
        return g


_stop_gradient, _copy = StopGradient(), Copy()


def stop_gradient(x) -> Tensor:
    """x as a constant: gradients see nothing behind it."""
    return apply(_stop_gradient, x)


def copy(x) -> Tensor:
    """x in memory of its own, differentiable."""
    return apply(_copy, x)


_copy_of = copy  # where a parameter has its name


def asarray(x, dtype=None, copy=None, device=None) -> Tensor:
    """x as a Tensor: arrays on their backend, numbers and lists on the default one. A Tensor keeps its history.

    ``copy=True`` gives it memory of its own, differentiable. ValueError for ``copy=False`` where x is no Tensor of that
    dtype: what a Tensor holds is never shared with the caller.
    """
    from .elementwise import astype

    value, record = operand(x)
    same = dtype is None or (hasattr(value, "dtype") and name_of(value) == dtype_name(dtype))
    if record is not None or isinstance(x, Tensor):
        tensor = x if isinstance(x, Tensor) else Tensor(value, record)
        if not same:
            _check_copied(copy)
            tensor = astype(tensor, dtype)
        elif copy:
            tensor = _copy_of(tensor)
        return on_device(tensor, device, "asarray")
    _check_copied(copy)
    xp = backends.default_backend() if type(value) in PYTHON_NUMBERS else backends.backend_of(value)
    array = xp.asarray(value) if dtype is None else xp.asarray(value, dtype=xp.dtype(dtype))
    return on_device(Tensor(xp.own(array) if array is x else array), device, "asarray")


def _check_copied(copy):
    if copy is False:
        raise ValueError("asarray: copy=False cannot be kept here; only a Tensor of that dtype is taken as it is")


def zeros(shape, dtype=None, *, device=None) -> Tensor:
    """Zeros on the default backend, float64 unless said otherwise."""
    return _created("zeros", shape, dtype=dtype, device=device)


def ones(shape, dtype=None, *, device=None) -> Tensor:
    """Ones on the default backend, float64 unless said otherwise."""
    return _created("ones", shape, dtype=dtype, device=device)


def full(shape, fill_value, dtype=None, *, device=None) -> Tensor:
    """``fill_value``, a Python number, repeated, on the default backend."""
    return _created("full", shape, fill_value, dtype=dtype, device=device)


def arange(start, stop=None, step=1, dtype=None, *, device=None) -> Tensor:
    """``start``, ``start + step``, ... below ``stop``, on the default backend; with one argument from 0 to it."""
    return _created("arange", *((0, start) if stop is None else (start, stop)), step, dtype=dtype, device=device)


def eye(n_rows, n_cols=None, *, k=0, dtype=None, device=None) -> Tensor:
    """Ones on diagonal ``k``, zeros elsewhere, on the default backend."""
    return _created("eye", n_rows, n_cols, k=k, dtype=dtype, device=device)


def linspace(start, stop, num) -> Tensor:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, both included, on the default backend.

    NumPy's to the last bit: the libraries round them differently.
    """
    return Tensor(backends.default_backend().asarray(HOST.linspace(start, stop, num)))


def _created(name, *args, dtype=None, device=None, **settings):
    xp = backends.default_backend()
    if dtype is None and name in ("zeros", "ones", "eye"):
        dtype = xp.float64
    if dtype is not None:
        settings["dtype"] = xp.dtype(dtype)
    return on_device(Tensor(getattr(xp, name)(*args, **settings)), device, name)


def zeros_like(x, *, dtype=None, device=None) -> Tensor:
    """A constant 0 of x's shape and backend, of its dtype unless said otherwise."""
    return _filled("zeros_like", x, 0.0, dtype, device)


def ones_like(x, *, dtype=None, device=None) -> Tensor:
    """A constant 1 of x's shape and backend, of its dtype unless said otherwise."""
    return _filled("ones_like", x, 1.0, dtype, device)


def _filled(name, x, number, dtype, device):
    value = operand(x)[0]
    if type(value) in PYTHON_NUMBERS:
        return on_device(Tensor(number) if dtype is None else asarray(number, dtype), device, name)
    xp = backends.backend_of(value)
    like = getattr(xp, name)
    return on_device(Tensor(like(value) if dtype is None else like(value, dtype=xp.dtype(dtype))), device, name)


def is_complex(dtype) -> bool:
    """Whether a dtype is complex; the traced twin of the backends' method."""
    return "complex" in str(dtype)


def _array(x):
    """The array of an operand, and its backend."""
    value = operand(x)[0]
    if type(value) in PYTHON_NUMBERS:
        value = HOST.asarray(value)
    return value, backends.backend_of(value)


def _checked(name, shape, axis):
    """``axis``, if it is one of the shape's with some entry along it."""
    if axis is not None:
        axis = normalize_axis(axis, len(shape), name)
    if (shape[axis] if axis is not None else size_of(shape)) == 0:
        raise ValueError(f"{name}: an array of shape {tuple(shape)} has no entries along axis {axis}")
    return axis


def argmax(x, axis=None, keepdims=False) -> Tensor:
    """The position of the first largest entry; integers, without a derivative."""
    value, xp = _array(x)
    return Tensor(xp.argmax(value, axis=_checked("argmax", value.shape, axis), keepdims=keepdims))


def argmin(x, axis=None, keepdims=False) -> Tensor:
    """The position of the first smallest entry; integers, without a derivative."""
    value, xp = _array(x)
    return Tensor(xp.argmin(value, axis=_checked("argmin", value.shape, axis), keepdims=keepdims))


def is_traced(x) -> bool:
    """Whether x is a stand-in without values, inside a function that a library compiles."""
    value = operand(x)[0]
    backend = backends.backend_of(value)
    return backend is not None and backend.is_traced(value)
