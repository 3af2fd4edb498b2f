"""The recording backend: it computes on the arrays of another one, and writes down every call.

A recording is an ordinary run of the user's function in which arrays are RecordedArrays. They belong to a backend like
any other, so the whole framework works on them as it is: operators, rules, sweeps, optimizers. What stays is the list
of calls of the inner backend's functions, on a Tape.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from zkynet import backends
from zkynet.backends import standard

from ..function import TAPE
from ..record import HOST
from .program import FUNCTIONS, Value, compiles, function_of
from .tape import OURS, NotRecordableError, Tape, bytes_of

# What an array's operators are called in the protocol.
_BINARY = {
    **{"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide"},
    **{"mod": "remainder", "pow": "pow", "matmul": "matmul", "lshift": "bitwise_left_shift"},
    **{"rshift": "bitwise_right_shift", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"},
}
_COMPARE = {
    **{"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"},
    **{"eq": "equal", "ne": "not_equal"},
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}
_READ_LIMIT = 4096  # bytes, eight an entry, of an array that Python code may read as values

# Functions whose answer is about dtypes, shapes or types: nothing is written down.
_STRUCTURAL = frozenset(
    ("can_cast", "dtype", "dtype_of_name", "errstate", "finfo", "iinfo", "index_dtype", "inexact_dtype", "is_complex")
    + ("is_empty", "is_inexact", "is_integer", "isdtype", "kind_of", "name_of", "own_dtype", "result_type")
    + ("special_functions", "linalg_function", "linalg_overrides", "selected", "owns_type", "synchronize")
)
# Functions whose outputs have shapes that depend on values.
_SHAPED_BY_VALUES = frozenset(("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"))
# Functions whose answer Python code acts on: the arrays they read are read as values.
_READING = frozenset(("last_of_equals", "rounds"))
_NAMESPACES = ("linalg", "fft", "special")


# By which other libraries get at an array's memory.
_PROTOCOLS = frozenset(("__array_interface__", "__array_struct__", "__dlpack__", "__dlpack_device__"))


class RecordedArray:
    """An array of a recording: ``array`` is what it is now, ``value`` what stands for it in the program.

    Never changed: augmented assignment makes another. Asked for a Python number or truth, it tells the Tape, which
    guards the answer. NumPy's functions refuse it.
    """

    __slots__ = ("__weakref__", "array", "kind", "tape", "value")
    recorder: Any  # of the subclass: the backend

    def __init__(self, array: Any, value: Value, tape: Tape):
        self.array, self.value, self.tape = array, value, tape
        self.kind = type(array)  # for what stands for an array of another library, that one's

    @property  # type: ignore[misc]  # read-only, unlike object's
    def __class__(self) -> Any:
        """That of the array: code that asks ``isinstance(x, np.ndarray)`` goes the way it goes in eager mode."""
        return self.kind

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape  # type: ignore[return-value]

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.array.size

    @property
    def itemsize(self) -> int:
        return self.array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    @property
    def T(self) -> Any:  # noqa: N802  (an array's name for it)
        return (
            self.recorder.matrix_transpose(self)
            if self.ndim == 2
            else self.recorder.permute_dims(self, tuple(range(self.ndim))[::-1])
        )

    @property
    def mT(self) -> Any:  # noqa: N802
        return self.recorder.matrix_transpose(self)

    @property
    def device(self) -> Any:
        return getattr(self.array, "device", None)

    def __getitem__(self, index: Any) -> Any:
        return self.recorder.call("getitem", (self, index), {})

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __contains__(self, x: Any) -> bool:
        return bool(self.recorder.any(self == x))

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    # ---- values that Python reads ----

    def __bool__(self) -> bool:
        return self.tape.read(self, bool)

    def __int__(self) -> int:
        return self.tape.read(self, int)

    def __index__(self) -> int:
        return self.tape.read(self, operator.index)

    def __float__(self) -> float:
        return self.tape.read(self, float)

    def __complex__(self) -> complex:
        return self.tape.read(self, complex)

    def item(self) -> Any:
        return self.tape.read(self, _item)

    def tolist(self) -> Any:
        return self.recorder.to_numpy(self).tolist()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise NotRecordableError("a value that is computed inside was given to a function of another library")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        """NumPy's operators, where an array of NumPy stands on the left."""
        name = _OF_UFUNCS.get(ufunc.__name__)
        if name is None or method != "__call__" or settings or not all(map(_operand, inputs)):
            raise NotRecordableError(f"numpy.{ufunc.__name__} was used on a value that is computed inside")
        if name == "pow" and any([_called(name, self, x) == "power" for x in inputs]):
            raise NotRecordableError(
                "numpy.power or ** was used on one of NumPy's scalars: which of the two is not seen"
            )
        return self.recorder.call(name, inputs, {})

    def __setitem__(self, index: Any, value: Any) -> None:
        raise NotRecordableError("an array is written to in place")

    def __hash__(self) -> int:
        if HOST.is_host_scalar(self.array):
            return self.tape.read(self, hash)
        raise TypeError(f"unhashable type: {type(self.array).__name__!r}")

    def __getattr__(self, name: str) -> Any:
        if (not name.startswith("_") or name in _PROTOCOLS) and hasattr(self.array, name):
            raise NotRecordableError(f"the method .{name} of an array was used on a value that is computed inside")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"RecordedArray({self.value!r})" if TAPE.get() is not self.tape else repr(self.recorder.seen(self))

    def __str__(self) -> str:
        return repr(self) if TAPE.get() is not self.tape else str(self.recorder.seen(self))

    def __format__(self, how: str) -> str:
        return format(self.recorder.seen(self), how)


def _item(x: Any) -> Any:
    return backends.backend_of(x).item(x)  # type: ignore[union-attr]


def _operators() -> None:
    def binary(name: str) -> tuple[Callable, Callable]:
        def forward(self: Any, other: Any) -> Any:
            return _applied(self, name, (self, other), other)

        def reflected(self: Any, other: Any) -> Any:
            if type(other) is complex and isinstance(self.array, float):
                raise NotRecordableError("a complex number meets NumPy's float64, a float to Python")
            return _applied(self, name, (other, self), other)

        return forward, reflected

    def unary(name: str) -> Callable:
        return lambda self: self.recorder.call(name, (self,), {})

    for short, name in {**_BINARY, **_COMPARE}.items():
        forward, reflected = binary(name)
        setattr(RecordedArray, f"__{short}__", forward)
        if short in _BINARY:
            setattr(RecordedArray, f"__r{short}__", reflected)
    for short, name in _UNARY.items():
        setattr(RecordedArray, f"__{short}__", unary(name))
    for short, name in _BINARY.items():
        setattr(RecordedArray, f"__i{short}__", _in_place(name))


def _applied(x: RecordedArray, name: str, operands: tuple, other: Any) -> Any:
    return x.recorder.call(_called(name, x, other), operands, {}) if _operand(other) else _theirs(name, other)


def _in_place(name: str) -> Callable:
    """``a += b``: another array, where the variable ``a`` alone holds it and no view of it was taken."""

    def changed(self: Any, other: Any) -> Any:
        if not _operand(other):
            return _theirs(name, other)
        inner, array = self.recorder.inner, self.array
        ours = sys._getframe(1).f_code.co_filename.startswith(OURS)  # works on immutable arrays, too
        if ours or not inner.is_mutable:
            return self.recorder.call(_called(name, self, other), (self, other), {})
        if (
            sys.getrefcount(self) > _HELD_BY_ONE
            or sys.getrefcount(array) > 3  # the slot, this variable, the argument
            or getattr(array, "base", None) is not None
        ):
            raise NotRecordableError("an array that others may see is written to in place")
        result = self.recorder.call(_called(name, self, other), (self, other), {})
        if result.shape != self.shape or result.dtype != self.dtype:
            raise NotRecordableError("an array is written to in place, in another dtype or shape")
        return result

    return changed


class _Counted:
    def __iadd__(self, other: Any) -> Any:
        return sys.getrefcount(self)


def _held_by_one() -> int:
    """The references to an object in its ``__iadd__``, where one variable holds it."""
    x: Any = _Counted()
    x += 1
    return x


def _operand(x: Any) -> bool:
    return isinstance(x, (RecordedArray, int, float, complex)) or type(x) in backends.BACKEND_BY_TYPE


def power(x: Any, exponent: Any) -> Any:
    """``x ** exponent``, where that is not what the function ``pow`` gives."""
    return x**exponent


FUNCTIONS["power"] = power


def _called(name: str, x: RecordedArray, other: Any) -> str:
    """The function that an operator stands for.

    ``**`` has ways of its own for NumPy's scalars, float16, booleans and complex numbers: roots, squares, reciprocals.
    """
    if name != "pow" or not x.recorder.inner.is_host:
        return name
    arrays = [getattr(each, "array", each) for each in (x, other)]
    return "power" if any(map(_has_powers_of_its_own, arrays)) else name


def _has_powers_of_its_own(x: Any) -> bool:
    return HOST.is_host_scalar(x) or (hasattr(x, "dtype") and (x.dtype.kind in "bc" or x.dtype.itemsize == 2))


def _theirs(name: str, other: Any) -> Any:
    """The answer to an operand that is no array and no number: NotImplemented where its own class deals with arrays.

    With others, lists and None too, every library's arrays have ways of their own.
    """
    if any([hasattr(type(other), each) for each in ("__array_ufunc__", "__zkynet_tensor__")]):
        return NotImplemented
    raise NotRecordableError(f"{name} of a value that is computed inside and a {type(other).__name__}")


def _refusal(name: str) -> Callable:
    def refused(self: Any, *args: Any) -> Any:
        raise NotRecordableError(f"{name} was used on a value that is computed inside")

    return refused


_HELD_BY_ONE = _held_by_one()
_REFUSED = ("round", "divmod", "rdivmod", "trunc", "copy", "deepcopy", "reduce", "reduce_ex", "delitem")
for _name in _REFUSED:
    setattr(RecordedArray, f"__{_name}__", _refusal(f"__{_name}__"))
_OF_UFUNCS = {
    name: name for name in (*_BINARY.values(), *_COMPARE.values()) if name not in ("pow", "bitwise_left_shift")
}
_OF_UFUNCS |= {"power": "pow", "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift"}
_operators()


class Namespace:
    """``xp.linalg`` and its like, recorded: names with a prefix."""

    def __init__(self, recorder: RecordingBackend, prefix: str):
        self._recorder, self._prefix = recorder, prefix

    def __getattr__(self, name: str) -> Any:
        found = self._recorder.bound(f"{self._prefix}.{name}")
        setattr(self, name, found)
        return found


class RecordingBackend:
    """What rules receive as ``xp`` while a function is recorded: the functions of ``inner``, each call written down."""

    is_host = False
    is_mutable = False
    has_own_vjp = False
    linalg_raises = False

    def __init__(self, inner: Any):
        self.inner, self.name, self.device = inner, inner.name, inner.device
        self.real_dtypes, self.dtypes = inner.real_dtypes, inner.dtypes
        self._compiles = compiles(inner)
        self.array_type = type("RecordedArray", (RecordedArray,), {"__slots__": (), "recorder": self})
        backends.BACKEND_BY_TYPE[self.array_type] = self  # type: ignore[assignment]
        for name in _NAMESPACES:
            setattr(self, name, Namespace(self, name))

    def __repr__(self) -> str:
        return f"<recording of {self.inner!r}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.bound(name)
        setattr(self, name, found)
        return found

    def bound(self, name: str) -> Any:
        """The function of this name, recorded; a dtype, a number or a structural function as it is."""
        function = function_of(self.inner, name)
        if not callable(function) or isinstance(function, type) or name in standard.DTYPES:
            return function
        if name in _STRUCTURAL:
            return partial(_on_arrays, function)

        def recorded(*args: Any, **kwargs: Any) -> Any:
            return self.call(name, args, kwargs)

        recorded.__name__ = recorded.__qualname__ = name
        return recorded

    def call(self, name: str, args: tuple, kwargs: dict) -> Any:
        """Compute on the inner backend, and write the call down."""
        tape = _tape(name)
        if name in _READING:
            args = tuple([self.inner.asarray(self.to_numpy(x)) if isinstance(x, RecordedArray) else x for x in args])
            return getattr(self.inner, name)(*args, **kwargs)
        return tape.call(name, args, kwargs, name in _SHAPED_BY_VALUES)

    # ---- what is no computation ----

    def owns(self, x: Any) -> bool:
        return isinstance(x, self.array_type)

    def is_traced(self, x: Any) -> bool:
        """Whether checks that read values are left out: on libraries that compile a program whole."""
        return self._compiles

    def asarray(self, x: Any, dtype: Any = None, copy: Any = None) -> Any:
        if not isinstance(x, RecordedArray):
            x = _tape("asarray").incoming(x)
        if dtype is not None and x.dtype != self.inner.own_dtype(dtype):
            return self.astype(x, self.inner.own_dtype(dtype))
        return x

    def number(self, value: Any, dtype: Any) -> Any:
        return _tape("number").constant(self.inner.number(value, dtype))

    def from_numpy(self, x: Any) -> Any:
        return self.asarray(x)

    def to_numpy(self, x: Any) -> Any:
        """The values, for Python code to act on: guarded, where they are few."""
        if x.size * 8 > _READ_LIMIT:
            raise NotRecordableError(f"Python code reads the values of an array of shape {x.shape}, computed inside")
        x.tape.read(x, bytes_of)
        return self.inner.to_numpy(x.array)

    def seen(self, x: Any) -> Any:
        """The array itself, for Python code to write as text: guarded, where its values are few."""
        self.to_numpy(x)
        return x.array

    def item(self, x: Any) -> Any:
        return x.item()

    def own(self, x: Any) -> Any:
        return x

    def read_only(self, x: Any) -> Any:
        return x

    def is_writable(self, x: Any) -> bool:
        return False

    def borrow(self, x: Any) -> tuple[Any, None]:
        return x, None

    def hand_over(self, items: list) -> None:
        """All is immutable here; the results of a replay belong to the caller."""

    def compile(self, f: Any, donated: Any = ()) -> Any:
        return f

    def is_host_scalar(self, x: Any) -> bool:
        return False


def _tape(name: str) -> Tape:
    """The tape of the recording that goes on, for the function ``name``."""
    tape = TAPE.get()
    if tape is None:
        raise NotRecordableError(f"a value of a recording was used after its end, by {name}")
    return tape


def _on_arrays(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """A structural function on what the RecordedArrays hold."""
    return function(*[x.array if isinstance(x, RecordedArray) else x for x in args], **kwargs)


_recorders: dict[Any, RecordingBackend] = {}


def recorder_of(inner: Any) -> RecordingBackend:
    """The one recording backend on top of ``inner``."""
    found = _recorders.get(inner)
    if found is None:
        found = _recorders[inner] = RecordingBackend(inner)
    return found
