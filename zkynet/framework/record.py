"""Records, Tensors, and how an operator is applied to them.

A Tensor is a handle: a value (a backend's array, or a Python number) and the Record of the step that made it, or None
when nobody needs its history. A Record is one immutable step of that history.
"""

import itertools
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from zkynet import backends
from zkynet.backends import BACKEND_BY_TYPE
from zkynet.backends.errors import ShapeError, TrackedValueError, ZkynetError

from .arraylike import ArrayLike
from .axes import broadcast_shapes
from .function import Possession

HOST: Any = backends.get("numpy")  # Python numbers alone are computed here, whatever the default backend

FLOATING = ("inexact", "floating")  # kinds of promotion that lead to floating point
PYTHON_NUMBERS = frozenset((float, int, complex, bool))
_WEAK_ARRAY = {float: HOST.float64, int: HOST.int64, complex: HOST.complex128, bool: HOST.bool}
_FLOAT64 = HOST.float64
_serials = itertools.count(1)
_new = object.__new__


class Context:
    """What holds for the code that runs now, in this thread or task. Immutable: a change is a new Context."""

    __slots__ = ("bindings", "depth", "draws", "recording", "session", "watchers")

    def __init__(self, depth=0, recording=True, bindings=None, draws=None, session=None, watchers=()):
        self.depth = depth  # how many transforms stand around the running code
        self.recording = recording  # False inside no_grad
        self.bindings = bindings or {}  # Parameter -> the Tensor that stands for it
        self.draws = draws  # the log of random draws that checkpoint keeps or replays
        self.session = session  # the call of a Module from outside that this code belongs to; False: none may begin
        self.watchers = watchers  # who is told of every application of an operator

    def replace(self, **changes) -> "Context":
        kept = {name: getattr(self, name) for name in self.__slots__}
        return Context(**{**kept, **changes})


RUNNING: set[Context] = set()  # the contexts of all transforms whose function runs now, in any thread
CONTEXT: ContextVar[Context] = ContextVar("zkynet_context", default=Context())  # noqa: B039  (it is immutable)


# The contexts with watchers that are in force, in any thread: while it is empty, nobody looks for watchers.
WATCHED: list[Context] = []


@contextmanager
def entered(context: Context):
    """A block of code in which ``context`` holds."""
    outer = CONTEXT.get()
    try:
        CONTEXT.set(context)
        if context.watchers:
            WATCHED.append(context)
        yield
    finally:
        CONTEXT.set(outer)
        if context in WATCHED:  # not where an interrupt came before it was
            WATCHED.remove(context)


class Record:
    """One step of the history: an operator, the Records of its inputs, and what its rules read.

    ``saved`` holds one entry an input and one for the output: the array where some rule names it, its shape and dtype
    where a rule names that alone, None otherwise. ``shape`` and ``dtype`` are the output's (dtype None: a weak Python
    float, complex: a weak complex number; tuples of both for an operator with several outputs). Serial numbers grow:
    creation order is topological.
    """

    __slots__ = ("__weakref__", "dtype", "operator", "parents", "saved", "serial", "shape", "xp")

    def __init__(self, operator, parents, saved, shape, dtype, xp):
        self.operator = operator
        self.parents = parents
        self.saved = saved
        self.shape = shape
        self.dtype = dtype
        self.xp = xp
        self.serial = next(_serials)

    def __repr__(self) -> str:
        return f"<Record {self.serial}: {type(self.operator).__name__} -> {self.shape} {self.dtype or 'weak'}>"


def next_serial() -> int:
    """A serial number greater than that of every Record so far."""
    return next(_serials)


# Records that read large arrays of the caller, with guards that tell whether those were changed since.
GUARDS: WeakKeyDictionary = WeakKeyDictionary()


def make_record(operator, parents, saved, shape, dtype, xp, guards=None) -> Record:
    """A Record, with guards where it needs them."""
    record = Record(operator, parents, saved, shape, dtype, xp)
    if guards:
        GUARDS[record] = guards
    return record


class Spec:
    """The shape and dtype of an array that is not kept."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype


class Tensor(ArrayLike):
    """What flows through a call: a handle holding a value and its Record. Methods are bound in tensor_methods."""

    __slots__ = ("__weakref__", "_value", "is_view", "record")

    def __init__(self, value, record=None):
        if record is None and type(value) not in PYTHON_NUMBERS:
            value = owned_value(value)
        self._value = value
        self.record = record

    @property
    def value(self) -> Any:
        """The array, or the Python number, without its history. NumPy arrays are read-only: copy to write."""
        backend = BACKEND_BY_TYPE.get(type(self._value)) or backends.backend_of(self._value)
        return self._value if backend is None else backend.read_only(self._value)


def tensor_of(value, record=None) -> Tensor:
    """A Tensor of a value that is the engine's own: nothing is looked at."""
    tensor = _new(Tensor)
    tensor._value = value
    tensor.record = record
    return tensor


def owned_value(x: Any) -> Any:
    """The value of an operand, a copy where the caller could write to it."""
    value = operand(x)[0]
    xp = BACKEND_BY_TYPE.get(type(value)) or backends.backend_of(value)
    return xp.own(value) if xp is not None and xp.is_writable(value) else value


class Output:
    """The pseudo-operator that picks one output of an operator with several."""

    __slots__ = ("index",)
    plain = pushed = None
    masks = False

    def __init__(self, index):
        self.index = index


def operand(x: Any) -> tuple[Any, Record | None]:
    """The value and the Record of anything an operator accepts that is not plainly a Tensor."""
    cls = type(x)
    if cls in PYTHON_NUMBERS or cls in BACKEND_BY_TYPE:
        return x, None
    if isinstance(x, Possession):
        context = CONTEXT.get()
        bound = context.bindings.get(x)
        if bound is not None:
            return bound._value, bound.record
        if RUNNING and context.depth == 0 and context.recording:
            _refuse_where_bound(x)
        return x._value, None
    if isinstance(x, Tensor):
        return x._value, x.record
    if hasattr(cls, "__zkynet_tensor__"):
        tensor = x.__zkynet_tensor__()
        return tensor._value, tensor.record
    if backends.backend_of(x) is not None:
        return x, None
    return _listed(x), None


def _refuse_where_bound(x: Possession) -> None:
    """TrackedValueError where another thread differentiates with respect to ``x``: here it would be a constant."""
    if any(x in context.bindings for context in RUNNING.copy()):
        raise TrackedValueError(
            f"{x!r} is read in a thread that does not know of the transform that differentiates it elsewhere.\n"
            "Inside that transform: run the thread's work with contextvars.copy_context().run.\n"
            "Beside it, where no gradient is wanted: use zk.no_grad()."
        )


def _listed(x: Any) -> Any:
    """A list, tuple or other host data as an array of the default backend; refuses tracked values inside."""
    if isinstance(x, (list, tuple)):
        if any(isinstance(item, Tensor) for item in x):
            raise TypeError("a list of Tensors is not an array; join them with op.stack or op.concat")
        return backends.default_backend().asarray(x)
    if x is None or isinstance(x, (str, bytes, dict)):
        raise TypeError(f"expected an array, a number or a Tensor; got {x!r} of type {type(x).__name__}")
    return backends.default_backend().asarray(x)


def apply(operator, *inputs):
    """Run ``operator`` on Tensors, arrays or numbers; give a Tensor, recorded where a tracked input asks for it."""
    return _watched(operator, inputs) if WATCHED else _apply(operator, inputs)


def _watched(operator, inputs):
    """``_apply``, and the watchers of this context are told."""
    watchers = CONTEXT.get().watchers
    result = _apply(operator, inputs)
    for watcher in watchers:
        watcher.applied(operator, inputs, result)
    return result


def _apply(operator, inputs):
    values = []
    parents = []
    tracked = False
    first = None
    alike = uniform = True  # arrays of one type; and of one dtype: nothing to convert
    for x in inputs:
        if type(x) is Tensor:
            value = x._value
            record = x.record
        else:
            value, record = operand(x)
        if record is not None:
            tracked = True
        values.append(value)
        parents.append(record)
        if first is None:
            first = value
            cls = type(value)
        elif type(value) is not cls:
            alike = False
        elif cls not in PYTHON_NUMBERS and value.dtype is not first.dtype:
            uniform = False
    if alike and cls not in PYTHON_NUMBERS and (uniform or cls in BACKEND_BY_TYPE):
        xp = BACKEND_BY_TYPE.get(cls) or backends.backend_of(first)
        if not uniform or (operator.promotion in FLOATING and not xp.is_inexact(first.dtype)):
            values = promote(operator, xp, values, alike=True)
    elif cls in PYTHON_NUMBERS and all(type(v) in PYTHON_NUMBERS for v in values):
        return _apply_weak(operator, values, parents, tracked)
    else:
        xp = common_backend(operator, values)
        values = promote(operator, xp, values)
    try:
        y = operator.forward(xp, *values)
    except Exception as error:
        raise explain(error, operator, values) from None
    if operator.outputs > 1:
        return _several(operator, inputs, values, parents, tracked, y, xp)
    if type(y) not in BACKEND_BY_TYPE and backends.backend_of(y) is None:
        raise explain(TypeError(f"{type(operator).__name__}.forward returned no array; got {y!r}"), operator, values)
    result = tensor_of(y)
    if operator.makes_view:
        result.is_view = True
    # An array that does not say whether it is a view (the standard's need not) may be one.
    if xp.is_mutable and (operator.makes_view or y is values[0] or getattr(y, "base", y) is not None):
        _own_views(operator, inputs, values, result, xp)
        y = result._value
    if tracked and operator.differentiable and CONTEXT.get().recording:
        dtype = y.dtype
        if dtype in xp.real_dtypes or xp.is_inexact(dtype):
            result.record = _record(operator, inputs, values, parents, y, y.shape, dtype, xp)
    return result


def _record(operator, inputs, values, parents, y, shape, dtype, xp):
    """The Record of one application; what it saves is what the rules that may run name."""
    if operator.nondifferentiable:
        names = operator.plan.inputs
        parents = [None if n in operator.nondifferentiable else p for n, p in zip(names, parents, strict=True)]
    keep = operator.plan.keep(parents)
    guards = None
    saved = [None] * len(keep)
    for i, value in enumerate(values):
        code = keep[i]
        if code is None:
            continue
        if code == "spec":
            value = Spec(value.shape, value.dtype)
        elif value is inputs[i] and xp.is_mutable:  # the caller's own array, not one of ours
            value, guard = xp.borrow(value)
            if guard is not None:
                guards = (*(guards or ()), guard)
        saved[i] = value
    if keep[-1]:
        saved[-1] = y
    record = Record(operator, tuple(parents), saved, shape, dtype, xp)
    if guards:
        GUARDS[record] = guards
    return record


def _apply_weak(operator, values, parents, tracked):
    """Python numbers alone: computed in NumPy's double precision, and a number again."""
    arrays = [_WEAK_ARRAY[type(v)](v) for v in values]
    if operator.promotion in FLOATING:
        arrays = promote(operator, HOST, arrays)
    try:
        y = operator.forward(HOST, *arrays)
    except Exception as error:
        raise explain(error, operator, values) from None
    if operator.outputs > 1 or y.shape != ():
        default = backends.default_backend()
        return apply(operator, *[tensor_of(default.asarray(a), r) for a, r in zip(arrays, parents, strict=True)])
    result = tensor_of(float(y) if type(y) is _FLOAT64 else y.item())
    if tracked and operator.differentiable and CONTEXT.get().recording and type(result._value) in (float, complex):
        weak = None if type(result._value) is float else complex
        result.record = _record(operator, values, arrays, parents, y, (), weak, HOST)
    return result


def _several(operator, inputs, values, parents, tracked, ys, xp):
    """The Tensors of an operator with several outputs: one Record, and one a picked output."""
    if not isinstance(ys, tuple) or len(ys) != operator.outputs:
        got = f"{len(ys)} arrays" if isinstance(ys, tuple) else type(ys).__name__
        raise TypeError(
            f"{type(operator).__name__}.forward must return a tuple of {operator.outputs} arrays, got {got}"
        )
    results = tuple(tensor_of(y) for y in ys)
    if tracked and operator.differentiable and CONTEXT.get().recording:
        shape, dtype = tuple(y.shape for y in ys), tuple(y.dtype for y in ys)
        main = _record(operator, inputs, values, parents, tuple(ys), shape, dtype, xp)
        for i, result in enumerate(results):
            if xp.is_inexact(dtype[i]):
                result.record = output_record(main, i)
    return results


def output_record(main: Record, i: int) -> Record:
    """The Record of output ``i`` of an operator with several outputs."""
    return Record(Output(i), (main,), (), main.shape[i], main.dtype[i], main.xp)


def _own_views(operator, inputs, values, result, xp):
    """A view of an array that the caller can still write to becomes a copy: the engine owns what Tensors hold."""
    for x, value in zip(inputs, values, strict=True):
        if value is x and xp.is_writable(value):
            result._value = xp.own(result._value)
            return


def common_backend(operator, values):
    """The backend that the arrays belong to; host arrays follow a device array they meet."""
    found = None
    for value in values:
        if type(value) in PYTHON_NUMBERS:
            continue
        backend = BACKEND_BY_TYPE.get(type(value)) or backends.backend_of(value)
        if found is None or found is backend:
            found = backend
        else:
            found = backends.common_backend([found, backend])
    return found or backends.default_backend()


def promote(operator, xp, values, alike=False):
    """Every input as an array of ``xp``, those that the operator promotes in their common dtype by NumPy 2's table.

    ``alike``: all are arrays of ``xp`` already.
    """
    indices = operator.plan.promoted(len(values))
    dtypes = {values[i].dtype for i in indices} if alike else ()
    if alike and len(dtypes) < 2 and (operator.promotion not in FLOATING or all(map(xp.is_inexact, dtypes))):
        return values
    if not indices:
        return [v if _belongs(xp, v) else xp.asarray(v) for v in values]
    dtype = xp.result_type(*[values[i] for i in indices])
    if operator.promotion in FLOATING and not xp.is_inexact(dtype):
        dtype = xp.inexact_dtype(dtype) if operator.promotion == "inexact" else xp.dtype_of_name("float64")
    converted = []
    for i, v in enumerate(values):
        if not _belongs(xp, v):
            v = xp.asarray(v, dtype=dtype) if i in indices and type(v) in PYTHON_NUMBERS else xp.asarray(v)
        if i in indices and v.dtype != dtype:
            v = xp.astype(v, dtype)
        converted.append(v)
    return converted


def _belongs(xp, value) -> bool:
    return type(value) not in PYTHON_NUMBERS and BACKEND_BY_TYPE.get(type(value), backends.backend_of(value)) is xp


def explain(error: Exception, operator, values) -> Exception:
    """The error that an operator's forward raised, with the operator and its inputs named."""
    described = ", ".join(
        f"{type(v).__name__} {v!r}" if type(v) in PYTHON_NUMBERS else f"{tuple(v.shape)} {v.dtype}" for v in values
    )
    if not isinstance(error, ZkynetError) and operator.broadcasts and operator.elementwise:
        try:
            broadcast_shapes(*[tuple(getattr(v, "shape", ())) for v in values])
        except ShapeError as mismatch:
            error = mismatch
    error.add_note(f"in operator {type(operator).__name__} with inputs: {described}")
    return error


def value_of(x: Any) -> Any:
    """The raw value of a Tensor or anything like one; other things as they are."""
    if type(x) is Tensor:
        return x._value
    if isinstance(x, (Tensor, Possession)) or hasattr(type(x), "__zkynet_tensor__"):
        return operand(x)[0]
    return x


def is_tracked(x: Any) -> bool:
    """Whether a gradient could flow back through ``x``."""
    return operand(x)[1] is not None


def dtype_of(x: Any):
    """The dtype of an operand; for a Python number its type."""
    value = operand(x)[0]
    return type(value) if type(value) in PYTHON_NUMBERS else value.dtype


def kind_of(x: Any) -> str:
    """ "bool", "integer", "real" or "complex": the kind of an operand's dtype."""
    value = operand(x)[0]
    if type(value) in PYTHON_NUMBERS:
        return {bool: "bool", int: "integer", float: "real", complex: "complex"}[type(value)]
    return _kind(BACKEND_BY_TYPE.get(type(value)) or backends.backend_of(value), value.dtype)


@cache
def _kind(xp, dtype) -> str:
    if xp.is_complex(dtype):
        return "complex"
    if xp.is_inexact(dtype):
        return "real"
    return "bool" if dtype == xp.bool else "integer"


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an operand; ``()`` for a Python number."""
    value = x._value if type(x) is Tensor else operand(x)[0]
    return () if type(value) in PYTHON_NUMBERS else tuple(value.shape)
