"""Binds operators and methods to Tensor and to what a Function owns: one explicit list."""

from typing import Any

from zkynet import backends
from zkynet.backends.errors import MutationError, TrackedValueError

from . import op
from .function import Input, Possession
from .numpy_dispatch import functions, operation
from .operations.dtypes import device_of
from .operations.indexing import At, index, index_set
from .pytree import map_tree
from .record import HOST, Tensor, dtype_of, is_tracked, kind_of, operand, shape_of, tensor_of


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
    if copy is False:
        raise ValueError("a Tensor turns into a NumPy array by copying; take .value for the array itself")
    if dtype is not None:
        array = array.astype(dtype)
    return array


def _host_array(value):
    backend = backends.backend_of(value)
    return HOST.asarray(value) if backend is None else backend.to_numpy(value)


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


def _copied(self) -> Tensor:
    return tensor_of(self._value, self.record)


def _deeply_copied(self, memo) -> Tensor:
    return op.copy(self)  # an operator like others: a copy of the history itself would belong to no transform


def _reduced(self, protocol=None):
    return op.asarray, (_exit(lambda value: value)(self),)


def _owned_state(self):
    """What copying and pickling keep: not of what is differentiated just now, for the copy would be a constant."""
    if is_tracked(self):
        raise TrackedValueError(
            f"{self!r} is being differentiated; a copy of it would be a constant.\n"
            "Copy it outside of the transform, or take .value for its array."
        )
    return Input.__getstate__(self)


def _format(self, spec) -> str:
    return format(item(self), spec) if spec else str(self)


def _owned_equal(self, other):
    """Entry by entry with arrays and numbers, as for Tensors; among owned arrays, which are keys of dicts, identity."""
    return self is other if isinstance(other, Possession) else _compared(op.equal, self, other)


def _owned_not_equal(self, other):
    return self is not other if isinstance(other, Possession) else _compared(op.not_equal, self, other)


def _compared(function, a, b):
    return NotImplemented if b is None or isinstance(b, str) else function(a, b)


def _setitem(self, where, values):
    if getattr(self, "is_view", False):
        raise MutationError(
            "this Tensor is a view of another, which an assignment would not reach.\n"
            "Write y = x.at[i].set(v), or assign to the Tensor it was taken from."
        )
    if not hasattr(self._value, "dtype"):
        raise TypeError("a Python number has no entries to assign to; make it an array first, with op.asarray")
    values = op.asarray(values) if isinstance(values, (list, tuple)) else values
    if KINDS.index(kind_of(values)) > KINDS.index(kind_of(self)):
        raise TypeError(
            f"values of dtype {dtype_of(values)} do not fit into a Tensor of dtype {self._value.dtype}.\n"
            "Convert one of them, with .astype: the other part of the values, and its gradient, would be lost."
        )
    new = index_set(self, where, values)
    if new._value.dtype != self._value.dtype:
        new = op.astype(new, self._value.dtype)
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
    """NumPy's ufuncs on a Tensor: the operation they are, or an error; never a silent constant."""
    known = operation(ufunc)
    if known is not None and method == "__call__" and not kwargs:
        return known(*inputs)
    name = ufunc.__name__
    asked = name + ("" if method == "__call__" else f".{method}") + (f" with {', '.join(kwargs)}" if kwargs else "")
    if method == "at" and isinstance(inputs[0], (Tensor, Possession)):  # NumPy itself would write to a read-only array
        raise TypeError(f"{asked} cannot write into a Tensor.\nUse x.at[i].add(v), which gives a new one.")
    inputs, kwargs = _constants(asked, (inputs, kwargs))
    return getattr(ufunc, method)(*inputs, **kwargs)


def _array_function(self, function, types, args, kwargs):
    """NumPy's other functions on a Tensor, or on lists that hold some: as its ufuncs."""
    known = functions().get(function)
    if known is not None:
        return known(*args, **kwargs)
    args, kwargs = _constants(function.__name__, (args, kwargs))
    return function(*args, **kwargs)


def _constants(asked, arguments):
    """Arguments for a function of NumPy, with untracked Tensors as arrays that it cannot write to."""

    def constant(x):
        if not isinstance(x, (Tensor, Possession)) and not hasattr(type(x), "__zkynet_tensor__"):
            return x
        value, record = operand(x)
        if record is not None:
            raise TypeError(
                f"{asked}: this function of NumPy does not know tracked Tensors; the gradient would be lost.\n"
                "Use the functions of zkynet.framework.op, or leave the graph on purpose with .value or "
                "zk.stop_gradient(x)."
            )
        return HOST.read_only(_host_array(value))

    return map_tree(constant, arguments, lambda x: isinstance(x, Possession))


def _namespace(self, *, api_version=None):
    """``op``, which is what the array API standard calls the namespace of an array."""
    if api_version not in (None, *VERSIONS):
        raise ValueError(
            f"the array API standard {api_version!r} is unknown.\n  expected: one of {', '.join(VERSIONS)}"
        )
    return op


VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")  # each is all but a part of the next
KINDS = ("bool", "integer", "real", "complex")

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
    "__mod__": lambda self, other: op.remainder(self, other),
    "__rmod__": lambda self, other: op.remainder(other, self),
    "__lshift__": lambda self, other: op.bitwise_left_shift(self, other),
    "__rlshift__": lambda self, other: op.bitwise_left_shift(other, self),
    "__rshift__": lambda self, other: op.bitwise_right_shift(self, other),
    "__rrshift__": lambda self, other: op.bitwise_right_shift(other, self),
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
    "__format__": _format,
    "__float__": _exit(float),
    "__int__": _exit(int),
    "__complex__": _exit(complex),
    "__index__": _exit(lambda value: value.__index__()),
    "__array__": _to_array,
    "__array_ufunc__": _array_ufunc,
    "__array_function__": _array_function,
    "__array_namespace__": _namespace,
    "item": item,
    "shape": property(shape_of),
    "ndim": property(lambda self: len(shape_of(self))),
    "size": property(_size),
    "dtype": property(_dtype),
    "device": property(device_of),
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
    "round": lambda self, decimals=0: op.round(self, decimals),
    "all": lambda self, axis=None, keepdims=False: op.all(self, axis, keepdims),
    "any": lambda self, axis=None, keepdims=False: op.any(self, axis, keepdims),
}

for _name, _method in METHODS.items():
    for _class in (Tensor, Possession):
        setattr(_class, _name, _method)
Possession.__eq__ = _owned_equal  # type: ignore[method-assign]
Possession.__ne__ = _owned_not_equal  # type: ignore[method-assign]
Possession.__getstate__ = _owned_state  # type: ignore[method-assign]
Tensor.__copy__ = _copied  # type: ignore[attr-defined]
Tensor.__deepcopy__ = _deeply_copied  # type: ignore[attr-defined]
Tensor.__reduce_ex__ = _reduced  # type: ignore[method-assign, assignment]
Tensor.__repr__ = _repr  # type: ignore[method-assign]
Tensor.__setitem__ = _setitem  # type: ignore[attr-defined, index]
