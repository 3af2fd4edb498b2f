"""Binds operators and methods to Tensor and to what a Function owns: one explicit list."""

from typing import Any

from zkynet.backends.errors import MutationError, TrackedValueError

from . import operations as op
from .function import Possession
from .operations.indexing import At, index, index_set
from .record import Tensor, operand, shape_of


def _exit(what):
    def refuse(self, *args, **kwargs):
        value, record = operand(self)
        if record is None:
            return what(value)
        raise TrackedValueError(
            f"a tracked Tensor of shape {shape_of(value)} does not turn into a plain number or array by itself: "
            "its gradient would be lost.\n"
            "Take .value (the array) or .item() (the number) to leave the graph on purpose, "
            "or zk.stop_gradient(x) to go on with a constant Tensor."
        )

    return refuse


def _to_array(self, dtype=None, copy=None):
    array = _exit(_host_array)(self)
    if dtype is not None:
        array = array.astype(dtype)
    return array


def _host_array(value):
    from zkynet import backends

    backend = backends.backend_of(value)
    host = backends.get("numpy")
    return host.asarray(value) if backend is None else backend.to_numpy(value)


def item(self) -> Any:
    """The Python number of a Tensor with one entry: an explicit way out of tracking."""
    value = operand(self)[0]
    return value.item() if hasattr(value, "item") else value


def _bool(self) -> bool:
    return bool(operand(self)[0])


def _len(self) -> int:
    shape = shape_of(self)
    if not shape:
        raise TypeError("len() of a 0-d Tensor")
    return shape[0]


def _iter(self):
    return (index(self, i) for i in range(_len(self)))


def _repr(self) -> str:
    value, record = operand(self)
    text = repr(value).replace("\n", "\n       ")
    return f"Tensor({text})" if record is None else f"Tensor({text}, tracked)"


def _setitem(self, where, values):
    if getattr(self, "is_view", False):
        raise MutationError(
            "this Tensor is a view of another, which an assignment would not reach.\n"
            "Write y = x.at[i].set(v), or assign to the Tensor it was taken from."
        )
    new = index_set(self, where, values)
    old = operand(self)[0]
    if hasattr(old, "dtype") and new._value.dtype != old.dtype:
        new = op.astype(new, old.dtype)
    self._value, self.record = new._value, new.record


def _dtype(self):
    value = operand(self)[0]
    return value.dtype if hasattr(value, "dtype") else type(value)


def _size(self) -> int:
    n = 1
    for length in shape_of(self):
        n *= length
    return n


def _transposed(self):
    return op.matrix_transpose(self) if len(shape_of(self)) == 2 else op.transpose(self)


def _reshape(self, *shape):
    return op.reshape(self, shape[0] if len(shape) == 1 else shape)


def _transpose(self, *axes):
    if not axes or axes == (None,):
        return op.transpose(self)
    return op.transpose(self, axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes)


def _array_ufunc(self, ufunc, method, *inputs, **kwargs):
    """NumPy's functions on a Tensor: the operator of the same name, or an error; never a silent constant."""
    function = getattr(op, UFUNCS.get(ufunc.__name__, ufunc.__name__), None)
    if method != "__call__" or kwargs or function is None or ufunc.__name__ not in KNOWN_UFUNCS:
        asked = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        raise TypeError(
            f"{asked} does not know Tensors{' with ' + ', '.join(kwargs) if kwargs else ''}: "
            "the gradient would be lost.\n"
            "Use the functions of zkynet.framework.op, or leave the graph on purpose with .value."
        )
    return function(*inputs)


def _array_function(self, function, types, args, kwargs):
    raise TypeError(
        f"numpy.{function.__name__} does not know Tensors: the gradient would be lost.\n"
        "Use the functions of zkynet.framework.op, or leave the graph on purpose with .value."
    )


UFUNCS = {"power": "pow", "absolute": "abs", "conjugate": "conj", "invert": "bitwise_invert", "true_divide": "divide"}
KNOWN_UFUNCS = frozenset(
    (
        "add",
        "subtract",
        "multiply",
        "divide",
        "true_divide",
        "power",
        "negative",
        "positive",
        "square",
        "reciprocal",
        "sqrt",
        "exp",
        "expm1",
        "log",
        "log1p",
        "sin",
        "cos",
        "tanh",
        "absolute",
        "maximum",
        "minimum",
        "conjugate",
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
        "isnan",
        "isinf",
        "isfinite",
        "sign",
        "floor",
        "ceil",
        "trunc",
        "floor_divide",
        "matmul",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "invert",
    )
)

METHODS: dict[str, Any] = {
    "__add__": op.add,
    "__radd__": lambda self, other: op.add(other, self),
    "__sub__": op.subtract,
    "__rsub__": lambda self, other: op.subtract(other, self),
    "__mul__": op.multiply,
    "__rmul__": lambda self, other: op.multiply(other, self),
    "__truediv__": op.divide,
    "__rtruediv__": lambda self, other: op.divide(other, self),
    "__pow__": op.pow,
    "__rpow__": lambda self, other: op.pow(other, self),
    "__matmul__": op.matmul,
    "__rmatmul__": lambda self, other: op.matmul(other, self),
    "__floordiv__": lambda self, other: op.floor_divide(self, other),
    "__rfloordiv__": lambda self, other: op.floor_divide(other, self),
    "__and__": lambda self, other: op.bitwise_and(self, other),
    "__rand__": lambda self, other: op.bitwise_and(other, self),
    "__or__": lambda self, other: op.bitwise_or(self, other),
    "__ror__": lambda self, other: op.bitwise_or(other, self),
    "__xor__": lambda self, other: op.bitwise_xor(self, other),
    "__rxor__": lambda self, other: op.bitwise_xor(other, self),
    "__invert__": lambda self: op.bitwise_invert(self),
    "__neg__": op.negative,
    "__pos__": lambda self: op.positive(self),
    "__abs__": lambda self: op.abs(self),
    "__eq__": lambda self, other: op.equal(self, other),
    "__ne__": lambda self, other: op.not_equal(self, other),
    "__lt__": lambda self, other: op.less(self, other),
    "__le__": lambda self, other: op.less_equal(self, other),
    "__gt__": lambda self, other: op.greater(self, other),
    "__ge__": lambda self, other: op.greater_equal(self, other),
    "__hash__": object.__hash__,
    "__getitem__": index,
    "__len__": _len,
    "__iter__": _iter,
    "__bool__": _bool,
    "__float__": _exit(float),
    "__int__": _exit(int),
    "__complex__": _exit(complex),
    "__index__": _exit(lambda value: value.__index__()),
    "__array__": _to_array,
    "__array_ufunc__": _array_ufunc,
    "__array_function__": _array_function,
    "__array_namespace__": lambda self, api_version=None: op,
    "item": item,
    "shape": property(shape_of),
    "ndim": property(lambda self: len(shape_of(self))),
    "size": property(_size),
    "dtype": property(_dtype),
    "T": property(_transposed),
    "mT": property(lambda self: op.matrix_transpose(self)),
    "real": property(lambda self: op.real(self)),
    "imag": property(lambda self: op.imag(self)),
    "at": property(At),
    "reshape": _reshape,
    "transpose": _transpose,
    "flatten": lambda self: op.reshape(self, (-1,)),
    "ravel": lambda self: op.reshape(self, (-1,)),
    "squeeze": lambda self, axis=None: op.squeeze(self, axis),
    "astype": lambda self, dtype: op.astype(self, dtype),
    "copy": lambda self: op.copy(self),
    "conj": lambda self: op.conj(self),
    "dot": lambda self, other: op.dot(self, other),
    "sum": lambda self, axis=None, keepdims=False: op.sum(self, axis, keepdims),
    "mean": lambda self, axis=None, keepdims=False: op.mean(self, axis, keepdims),
    "var": lambda self, axis=None, ddof=0, keepdims=False: op.var(self, axis, ddof, keepdims),
    "prod": lambda self, axis=None, keepdims=False: op.prod(self, axis, keepdims),
    "max": lambda self, axis=None, keepdims=False: op.max(self, axis, keepdims),
    "min": lambda self, axis=None, keepdims=False: op.min(self, axis, keepdims),
    "argmax": lambda self, axis=None, keepdims=False: op.argmax(self, axis, keepdims),
    "argmin": lambda self, axis=None, keepdims=False: op.argmin(self, axis, keepdims),
    "clip": lambda self, min=None, max=None: op.clip(self, min, max),
}

for _name, _method in METHODS.items():
    for _class in (Tensor, Possession):
        if not (_class is Possession and _name in ("__hash__", "__eq__", "__ne__")):
            setattr(_class, _name, _method)
Tensor.__repr__ = _repr  # type: ignore[method-assign]
Tensor.__setitem__ = _setitem  # type: ignore[attr-defined, index]
