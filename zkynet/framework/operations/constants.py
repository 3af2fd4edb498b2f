"""Constants that stand beside an operand: on its backend, in its dtype."""

from zkynet import backends

from ..record import HOST, PYTHON_NUMBERS, Tensor, operand, tensor_of


def backend_of(x):
    """The backend that an operator with ``x`` runs on; the default one for a Python number."""
    value = operand(x)[0]
    return backends.default_backend() if type(value) in PYTHON_NUMBERS else backends.backend_of(value)


def beside(numbers, x) -> Tensor:
    """Nested lists of Python floats, or a host array, as a constant beside x: float64 where x is no float."""
    value, xp = operand(x)[0], backend_of(x)
    dtype = value.dtype if type(value) not in PYTHON_NUMBERS and xp.is_inexact(value.dtype) else xp.float64
    return tensor_of(xp.asarray(HOST.asarray(numbers), dtype=dtype))


def integers_beside(numbers, x):
    """Nested lists of ints, or a host array, as an array of indices on the backend of x."""
    return backend_of(x).asarray(HOST.asarray(numbers, dtype=HOST.int64))
