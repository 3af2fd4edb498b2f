"""What is known about the functions that steps name, and about the arrays they make.

Of a function that is not named here nothing is taken for granted: it may change something, raise, or give something
else the next time, so that its step stays where it is.
"""

from __future__ import annotations

from math import prod
from typing import Any

from zkynet.backends import standard

from ..program import Program, Step, Value, values_in

# Entry by entry, with broadcasting; the result is new memory.
ELEMENTWISE = (frozenset(standard.ELEMENTWISE) - {"conj", "imag", "real"}) | frozenset(
    ("astype", "cbrt", "complex_of", "exp2", "exponent", "fmod", "ldexp", "multiply_no_nan", "relu", "select")
    + ("shifted", "sigmoid", "where")
)

# Entry by entry, but the result may be an argument itself, or a view of it.
ELEMENTWISE_VIEWS = frozenset(("conj", "imag", "real", "silence"))

# The result holds the entries of the first argument, in its memory where the library can.
VIEWS = ELEMENTWISE_VIEWS | frozenset(
    ("asarray", "broadcast_arrays", "broadcast_to", "expand_dims", "flip", "getitem", "matrix_transpose", "moveaxis")
    + ("permute_dims", "reshape", "squeeze", "unstack", "linalg.diagonal", "linalg.matrix_transpose")
)

REDUCTIONS = frozenset(("all", "any", "max", "mean", "min", "prod", "sum"))

# Made of Python numbers and shapes alone. `empty` is not among them: it holds something else every time.
CREATION = (frozenset(standard.CREATION) - {"empty"}) | frozenset(("full_like", "number", "ones_like", "zeros_like"))

_TOTAL = (
    ELEMENTWISE
    | VIEWS
    | REDUCTIONS
    | CREATION
    | frozenset(
        ("argmax", "argmin", "argsort", "attention", "attention_back", "below_top", "concat", "conv", "conv_filter")
        + ("conv_input", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "einsum", "matmul", "meshgrid")
        + ("normal", "own", "pad", "place", "pool_max", "pool_pick", "pool_place", "pool_spread", "pool_sum", "repeat")
        + ("roll", "softmax", "sort", "stack", "std", "tensordot", "tile", "tril", "triu", "uniform", "var", "vecdot")
        + ("weights", "window_sum", "windows", "linalg.cross", "linalg.det", "linalg.matmul", "linalg.outer")
        + ("linalg.slogdet", "linalg.tensordot", "linalg.trace", "linalg.vecdot", "linalg.vector_norm")
    )
)
_RAISING = frozenset(
    ("check_index", "nonzero", "random_bits", "scatter_set", "scatter_sum", "searchsorted", "take", "take_along_axis")
    + ("unique_all", "unique_counts", "unique_inverse", "unique_values")
)
_PURE = _TOTAL | _RAISING
_PURE_NAMESPACES = ("fft.", "linalg.", "special.")
_CONTAINERS = (tuple, list, dict, slice)


def is_pure(step: Step) -> bool:
    """Whether it changes nothing, and gives the same for the same arguments every time; it may raise."""
    return step.function in _PURE or step.function.startswith(_PURE_NAMESPACES)


def never_raises(step: Step) -> bool:
    """Whether it is pure and runs through whatever the values in its arrays are."""
    name = step.function
    if name in ("getitem", "repeat"):
        return len(reads(step)) == 1  # an array as the index is looked at
    if name == "pow":  # of integers to negative ones
        return step.outputs.dtype is None or "int" not in str(step.outputs.dtype)
    return name in _TOTAL or name.startswith(("fft.", "special."))


def is_foldable(step: Step) -> bool:
    """Whether it may run once for all where its arguments are constant. A draw stays a draw."""
    return is_pure(step) and step.function != "random_bits"


def reads(step: Step) -> list[Value]:
    """What ``step.reads`` gives, sooner: most arguments are Values or no containers."""
    found = []
    for tree in (*step.args, *step.kwargs.values()):
        if type(tree) is Value:
            found.append(tree)
        elif type(tree) in _CONTAINERS:
            found.extend(values_in(tree))
    return found


def makes(step: Step) -> list[Value]:
    """What ``step.makes`` gives, sooner."""
    return [step.outputs] if type(step.outputs) is Value else list(step.makes)


def renamed(step: Step, names: dict[Value, Value]) -> Step:
    """The step with ``names[value]`` in the place of each Value that has one."""
    if not names or names.keys().isdisjoint(reads(step)):
        return step
    return step.replace(lambda value: names.get(value, value))


def entries(value: Value) -> int:
    """How many entries the array has."""
    return prod(value.shape or ())


# ---- in which order an array lies in memory: NumPy's kernels round sums and products by it ----

UNKNOWN, DENSE, ROWS = 0, 1, 2  # anything; no gaps, its axes in some order; no gaps, row by row

_GIVES_ROWS = (frozenset(("matmul", "pad", "take")) | CREATION) - {"full_like", "number", "ones_like", "zeros_like"}
_KEEPS_ORDER = frozenset(("expand_dims", "reshape", "squeeze"))
_PERMUTES = frozenset(("matrix_transpose", "moveaxis", "permute_dims"))
# New arrays, which NumPy lays out as its operands lie.
_LAID_OUT_ALIKE = ELEMENTWISE | REDUCTIONS | {"full_like", "ones_like", "zeros_like"}
_ROWS_OF_ROWS = frozenset(("concat", "conj", "silence", "stack"))
_BY_ARGUMENTS = _KEEPS_ORDER | _PERMUTES | _LAID_OUT_ALIKE | _ROWS_OF_ROWS


class Orders:
    """In which order Values lie. ``makers`` has the steps so far; inputs may lie in any way."""

    def __init__(self, program: Program, makers: dict[Value, Step]):
        self._makers = makers
        self._known = {value: _order_of(array) for value, array in program.constants.items()}

    def __getitem__(self, x: Value) -> int:
        """UNKNOWN, DENSE or ROWS; each Value is looked at once, behind those that decide it."""
        waiting = [] if x in self._known else [x]
        while waiting:
            step = self._makers.get(waiting[-1])
            decisive = reads(step) if step is not None and step.function in _BY_ARGUMENTS else ()
            missing = [value for value in decisive if value not in self._known]
            waiting.extend(missing)
            if not missing:
                self._known[waiting.pop()] = UNKNOWN if step is None else self.of(step)
        return self._known[x]

    def of(self, step: Step) -> int:
        """The order of what a step makes."""
        name = step.function
        if type(step.outputs) is not Value:
            return UNKNOWN
        if name in _GIVES_ROWS or entries(step.outputs) == 1:
            return ROWS
        if name == "conv":  # leading axes of the kernel may be moved to the front
            return ROWS if len(step.outputs.shape or ()) == len(step.args[0].shape) else UNKNOWN
        if name in _KEEPS_ORDER or name in _PERMUTES:
            order = self[reads(step)[0]]
            return order if name in _KEEPS_ORDER else min(DENSE, order)
        if name in _ROWS_OF_ROWS or "copy" in step.kwargs:  # maybe an argument itself
            return ROWS if all([self[x] == ROWS for x in reads(step)]) else UNKNOWN
        if name in _LAID_OUT_ALIKE:
            decisive = [x for x in reads(step) if not is_line(x)]
            return ROWS if is_line(step.outputs) or all([self[x] == ROWS for x in decisive]) else DENSE
        return UNKNOWN

    def same(self, x: Value, step: Step) -> bool:
        """Whether what the elementwise ``step`` makes lies in memory exactly as its operand ``x`` does."""
        others = [value for value in reads(step) if value is not x and not is_line(value)]
        return all([self[value] == ROWS for value in (x, *others)]) or (self[x] == DENSE and not others)


def _order_of(array: Any) -> int:
    """The order of a constant; a library whose arrays do not tell has them all row by row."""
    flags = getattr(array, "flags", None)
    return ROWS if flags is None or flags.c_contiguous else UNKNOWN


def is_line(value: Value) -> bool:
    """Whether at most one axis is longer than 1: beside others such an array does not decide how a result lies."""
    return entries(value) == max(value.shape or (1,))


# ---- arrays all entries of which are one number ----

FILL_LIMIT = 1 << 16  # entries of a constant that is looked through
EXACT = 2048  # whole numbers up to this are the same in every dtype that holds them
_SPREADS = frozenset(("broadcast_to", "expand_dims", "matrix_transpose", "permute_dims", "reshape", "squeeze"))
_FILLED = {"zeros": 0, "zeros_like": 0, "ones": 1, "ones_like": 1}


class Fills:
    """What number fills a Value, where that is known without its inputs. ``makers`` has the steps so far."""

    def __init__(self, program: Program, makers: dict[Value, Step]):
        self._xp, self._constants, self._makers = program.xp, program.constants, makers
        self._known: dict[Value, Any] = {}

    def number(self, x: Any) -> Any:
        """The Python number that an argument stands for in every entry, or None."""
        if type(x) in (bool, int, float):
            return x
        if type(x) is not Value:
            return None
        path = [x]
        while path[-1] not in self._known:
            source = self._source(path[-1])
            if source is None:
                self._known[path[-1]] = self._told(path[-1])
            else:
                path.append(source)
        self._known.update(dict.fromkeys(path, self._known[path[-1]]))
        return self._known[x]

    def _source(self, x: Value) -> Value | None:
        """What ``x`` has its entries from."""
        step = self._makers.get(x)
        return reads(step)[0] if step is not None and step.function in _SPREADS else None

    def _told(self, x: Value) -> Any:
        """The number that a constant or a step tells."""
        if x in self._constants:
            return self._of_array(self._constants[x])
        step = self._makers.get(x)
        if step is None or type(step.outputs) is not Value or self._xp.is_complex(x.dtype):
            return None
        if step.function in ("full", "full_like") and len(step.args) > 1 and type(step.args[1]) in (bool, int, float):
            number = step.args[1]
            whole = abs(number) <= EXACT and number == int(number)
            return number if whole or self._xp.name_of(x.dtype) == "float64" else None
        return _FILLED.get(step.function)

    def _of_array(self, array: Any) -> Any:
        size = prod(array.shape)
        if not 0 < size <= FILL_LIMIT or self._xp.is_complex(array.dtype):
            return None
        host = self._xp.to_numpy(array).reshape(-1)
        first = host[:1].tobytes()  # by their bits: 0.0 is not -0.0
        return host[0].item() if host.tobytes() == first * size else None
