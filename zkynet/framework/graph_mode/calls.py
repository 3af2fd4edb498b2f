"""How each step of a program is called on NumPy, and what that says of its results: memory of their own, and order.

A method of the NumPy backend that comes down to one of NumPy's own functions for the shapes at hand is called as that
function: it reads better, costs less, and can write where it is told to. Tests compare the two bit by bit.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from zkynet.backends.numpy import _ONE_SUM, _SMALL, NumpyBackend

from ..record import HOST
from .program import FUNCTIONS, Program, Step, Value, function_of

np = HOST.namespace

_REDUCTIONS = {"max": "np.maximum", "min": "np.minimum", "any": "np.logical_or", "all": "np.logical_and"}

# Functions whose first argument their result may share memory with.
_VIEWS = (
    *("reshape", "permute_dims", "matrix_transpose", "broadcast_to", "expand_dims", "squeeze", "flip", "moveaxis"),
    *("real", "imag", "conj", "asarray", "check_index", "unstack", "linalg.diagonal", "linalg.matrix_transpose"),
)

# Functions whose results are new arrays. What is neither here nor above may share memory with any of its arguments.
_FRESH = (
    *("zeros", "ones", "full", "empty", "eye", "arange", "linspace", "zeros_like", "ones_like", "full_like"),
    *("conv", "conv_input", "conv_filter", "attention", "attention_back", "pool_max", "pool_pick", "pool_place"),
    *("windows", "window_sum", "relu", "sigmoid", "select", "multiply_no_nan", "shifted", "pad", "place", "take"),
    *("scatter_sum", "scatter_set", "cumulative_sum", "cumulative_prod", "random_bits", "uniform", "normal"),
    *("sum", "mean", "max", "min", "any", "all", "prod", "std", "var", "argmax", "argmin", "argsort", "sort"),
    *("matmul", "vecdot", "where", "clip", "round", "concat", "stack", "tile", "tril", "triu", "own"),
    *("complex_of", "exponent", "take_along_axis", "count_nonzero", "nonzero", "searchsorted"),
    *("linalg.solve", "linalg.inv", "linalg.cholesky", "linalg.det", "linalg.slogdet", "linalg.eigh"),
)

# Functions whose result is laid out like their arguments where those are all laid out alike.
_KEEP_ORDER = (
    *("select", "multiply_no_nan", "sigmoid", "silence", "weights", "softmax", "shifted", "where", "clip", "round"),
    *("astype", "take", "concat", "stack", "sum", "mean", "reshape", "expand_dims", "squeeze", "broadcast_to", "pad"),
    *("zeros", "ones", "full", "empty", "eye", "zeros_like", "ones_like", "full_like", "scatter_sum", "place"),
    *("random_bits", "uniform", "normal", "real", "conj", "asarray", "check_index"),
)


class Call:
    """A step as it is written: ``head(*args, **kwargs)``, where args and kwargs hold Values like a step's.

    ``head`` is "np.multiply" or "xp.conv"; ".reshape" is a method of the first argument, ".mT" with no others an
    attribute of it, "[]" its indexing. ``out``: how it can be told where to write its result, "last" for a last
    positional argument, which is cheapest, "out" for the keyword, "" where it cannot. ``elementwise``: entry i of the
    result needs entries i of the arguments alone, so that it may be written over one of them.
    """

    __slots__ = ("args", "elementwise", "function", "head", "kwargs", "out")

    def __init__(
        self,
        head: str,
        args: tuple,
        kwargs: dict[str, Any] | None = None,
        out: str = "",
        function: Any = None,
        elementwise: bool = False,
    ):
        self.head, self.args, self.kwargs, self.out = head, args, kwargs or {}, out
        self.function, self.elementwise = function, elementwise

    @property
    def is_method(self) -> bool:
        return self.head[0] in ".["


def call_of(program: Program, step: Step) -> Call:
    """How ``step`` is called."""
    xp, name = program.xp, step.function
    rule = _RULES.get(name)
    if rule is not None and (name in FUNCTIONS or _is_own(xp, name)):
        arguments = _arguments(name, step)
        found = rule(**arguments) if arguments is not None else None
        if found is not None:
            return found
    function = function_of(xp, name)
    if name in FUNCTIONS:
        return Call(name, step.args, step.kwargs, function=function)
    module = np
    for part in name.split("."):
        module = getattr(module, part, None)
    head = f"np.{name}" if module is function else f"xp.{name}"
    return _named(head, step.args, step.kwargs, function)


def _named(head: str, args: tuple, kwargs: dict[str, Any], function: Any) -> Call:
    """The call of a function by its name; a ufunc can write where it is told to."""
    ufunc = type(function) is np.ufunc and function.nout == 1 and len(args) == function.nin and not kwargs
    return Call(head, args, kwargs, _out_of(function) if ufunc else "", function, ufunc and function.signature is None)


def _out_of(ufunc: Any) -> str:
    """How a ufunc is told where to write: NumPy 2.4 deprecates a third positional argument of two of them."""
    return "out" if ufunc in (np.maximum, np.minimum) else "last"


def _is_own(xp: Any, name: str) -> bool:
    """Whether ``xp`` does what NumpyBackend does."""
    return getattr(type(xp), name, None) is getattr(NumpyBackend, name, None) is not None


@cache
def _signature(name: str) -> inspect.Signature:
    return inspect.signature(FUNCTIONS[name] if name in FUNCTIONS else getattr(HOST, name))


def _arguments(name: str, step: Step) -> dict[str, Any] | None:
    """The arguments by name, with the defaults; None where they do not fit."""
    try:
        bound = _signature(name).bind(*step.args, **step.kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    return bound.arguments


def is_array(x: Any) -> bool:
    """Whether ``x`` is a Value that stands for an array of known shape, not for a Python object or number."""
    return type(x) is Value and x.shape is not None and not x.weak


# ---- methods of the backend that are one of NumPy's functions; None where this one is not ----


def _reshape(x: Any, shape: Any, copy: Any) -> Call | None:
    return Call(".reshape", (x, shape)) if is_array(x) and copy is None else None


def _sum(x: Any, axis: Any, dtype: Any, keepdims: Any) -> Call | None:
    if not is_array(x):
        return None
    by_ufunc = axis is None or math.prod(x.shape) < _ONE_SUM or not (dtype is None or dtype is x.dtype)
    return _reduce("np.add", x, axis, keepdims, dtype) if by_ufunc else None


def _reduction(ufunc: str) -> Callable[..., Call | None]:
    return lambda x, axis, keepdims: _reduce(ufunc, x, axis, keepdims) if is_array(x) else None


def _reduce(ufunc: str, x: Value, axis: Any, keepdims: Any, dtype: Any = None) -> Call:
    kwargs = {"axis": axis}
    if dtype is not None:
        kwargs["dtype"] = dtype
    if keepdims:
        kwargs["keepdims"] = True
    return Call(f"{ufunc}.reduce", (x,), kwargs, "out")


def _expand_dims(x: Any, axis: Any) -> Call | None:
    if not is_array(x) or axis not in (-1, -2) or (axis == -2 and not x.shape):
        return None
    return Call("[]", (x, (Ellipsis, None) if axis == -1 else (Ellipsis, None, slice(None))))


def _matrix_transpose(x: Any) -> Call | None:
    return Call(".mT", (x,)) if is_array(x) and len(x.shape) >= 2 else None


def _broadcast_to(x: Any, shape: Any) -> Call | None:
    return Call("np.broadcast_to", (x, shape)) if is_array(x) and math.prod(shape) > _SMALL else None


def _matmul(a: Any, b: Any) -> Call | None:
    if not is_array(a) or not is_array(b):
        return None
    n, m = len(a.shape), len(b.shape)
    if m == 2 < n or (n == 2 < m and b.shape[-1] == 1):
        return None
    return Call("np.matmul", (a, b), None, "last", np.matmul)


def _relu(x: Any) -> Call | None:
    told = is_array(x) and x.shape and x.dtype.kind != "b"  # 0 makes integers of booleans
    return Call("np.maximum", (x, 0), None, "out", np.maximum, True) if told else None


def _multiply_no_nan(g: Any, d: Any, out: Any) -> Call | None:
    told = is_array(g) and is_array(d) and g.dtype == d.dtype and out is None
    return Call("xp.multiply_no_nan", (g, d), None, "out", None, True) if told else None


def _astype(x: Any, dtype: Any, copy: Any) -> Call | None:
    return Call(".astype", (x, dtype), {} if copy else {"copy": False}) if is_array(x) else None


_RULES: dict[str, Callable[..., Call | None]] = {
    "getitem": lambda x, index: Call("[]", (x, index)),
    "reshape": _reshape,
    "sum": _sum,
    **{name: _reduction(ufunc) for name, ufunc in _REDUCTIONS.items()},
    "expand_dims": _expand_dims,
    "matrix_transpose": _matrix_transpose,
    "broadcast_to": _broadcast_to,
    "matmul": _matmul,
    "relu": _relu,
    "multiply_no_nan": _multiply_no_nan,
    "astype": _astype,
}


# ---- what a call says of its results ----


def is_fresh(step: Step, call: Call) -> bool:
    """Whether the step's results are in memory that no Value before has; an update may give its owner's arrays back."""
    return bool(call.out) or step.function in _FRESH or step.function == "update_in_blocks" or _is_copy(step, call)


def _is_copy(step: Step, call: Call) -> bool:
    if step.function in ("weights", "softmax"):  # without entries they give back what they got
        return is_array(step.outputs) and 0 not in step.outputs.shape
    return call.head == ".astype" and not call.kwargs


def shares_memory_with(step: Step, call: Call) -> list[Value]:
    """The Values among the arguments whose memory the step's results may share."""
    name = step.function
    if is_fresh(step, call):
        return []
    if call.head == ".astype":
        return [call.args[0]]
    if name == "silence" and len(step.args) == 2:
        return [x for x in step.args[1:] if type(x) is Value]
    if name in _VIEWS or (name == "getitem" and type(step.args[0]) is Value):
        return [x for x in step.args[:1] if type(x) is Value]
    return list(step.reads)


def order_of(step: Step, call: Call, orders: dict[Value, str]) -> str:
    """How a step's one result lies in memory: "C" for axes in the order of C, not necessarily contiguous, "T" for that
    with the last two swapped, "" where it is not known.

    A result that is written where it is told to, in the order of C, has to have that order anyway: the next sum would
    add up in another order, and round differently.
    """
    made, name = step.outputs, step.function
    read = [orders.get(x, "C") for x in step.reads if is_array(x)]
    if call.head == "np.matmul":
        return "C" if len(made.shape) <= 2 or set(read) <= {"C", "T"} else ""
    if call.elementwise or call.out:
        return "C" if set(read) <= {"C"} or len(made.shape) <= 1 else ""
    if name in ("matrix_transpose", "permute_dims"):
        return _transposed(step, read[0] if read else "")
    if name == "getitem":
        return read[0] if _is_plain_cut(step.args[1]) and read == ["C"] else ""
    if name in ("conv", "conv_input", "conv_filter", "attention"):
        return "C" if len(made.shape) == 4 and set(read) <= {"C"} else ""
    if name in _KEEP_ORDER:
        return "C" if set(read) <= {"C"} else ""
    return "C" if len(made.shape) <= 1 and name not in ("flip", "moveaxis") and name in _FRESH else ""


def _transposed(step: Step, order: str) -> str:
    n = len(step.outputs.shape)
    axes = step.args[1] if step.function == "permute_dims" and len(step.args) > 1 else (*range(n - 2), n - 1, n - 2)
    axes = tuple([axis % n for axis in axes]) if type(axes) in (tuple, list) and n else ()
    if axes == tuple(range(n)):
        return order
    if n >= 2 and axes == (*range(n - 2), n - 1, n - 2):
        return {"C": "T", "T": "C"}.get(order, "")
    return ""


def _is_plain_cut(index: Any) -> bool:
    """Whether an index takes entries in their order: numbers, slices with steps forward, new axes."""
    for part in index if type(index) is tuple else (index,):
        if type(part) is slice:
            if any(type(x) is not int and x is not None for x in (part.start, part.stop, part.step)):
                return False
            if part.step is not None and part.step < 0:
                return False
        elif type(part) is not int and part is not None and part is not Ellipsis:
            return False
    return True
