"""Elementwise steps as the C text of one kernel, with the bits that the device library gives them one by one.

What each function says is what CuPy's own kernel of it says, and zkynet's extras are spelled as their portable versions
are. A step is told only where its arrays have one dtype, which its result has too (a comparison's is bool, a cast's
another): what is promoted stays a step of its own. The compiler must not contract ``a * b + c``
(``--fmad=false``): then each operation rounds as it does alone. CUDA's own functions contain products and sums too;
those whose machine code that option changes, found by compiling both with CUDA 13.0 for sm_75, sm_90 and sm_120, are
not told.

The text is C as well as CUDA C++, so that tests run it with a C compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .program import Step, Value

# C types by the dtype's name; CuPy's class float16 converts to float and back.
C_TYPES = {
    **{"bool": "bool", "float16": "float16", "float32": "float", "float64": "double"},
    **{"int8": "signed char", "int16": "short", "int32": "int", "int64": "long long"},
    **{"uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int", "uint64": "unsigned long long"},
}
FLOATS = ("float16", "float32", "float64")
_NAN = "(isnan({a}) || isnan({b}))"
_HOLE = "{a} == 0 && !isfinite({b})"

# Of floating-point operands a, b, c in the type {t} in which they are computed; {f} ends the names of C's functions.
_FLOAT = {
    **{"add": "{a} + {b}", "subtract": "{a} - {b}", "multiply": "{a} * {b}", "divide": "{a} / {b}"},
    **{"negative": "-{a}", "positive": "{a}", "abs": "fabs{f}({a})", "square": "{a} * {a}", "reciprocal": "1 / {a}"},
    **{"floor": "floor{f}({a})", "ceil": "ceil{f}({a})", "trunc": "trunc{f}({a})", "sqrt": "sqrt{f}({a})"},
    "sign": "({a} < 0 || {a} > 0) ? copysign{f}(({t})1, {a}) : {a} - {a}",
    "maximum": f"{_NAN} ? {{a}} + {{b}} : fmax{{f}}({{a}}, {{b}})",
    "minimum": f"{_NAN} ? {{a}} + {{b}} : fmin{{f}}({{a}}, {{b}})",
    "relu": "isnan({a}) ? {a} + 0 : fmax{f}({a}, 0)",
    "sigmoid": "({a} < 0 ? exp{f}(-fabs{f}({a})) : 1) / (1 + exp{f}(-fabs{f}({a})))",
    "multiply_no_nan": f"({_HOLE}) ? 0 : {{a}} * {{b}}",
    "silence": f"({_HOLE}) ? 0 : {{b}}",
    "shifted": "({a} == {b} && !isfinite({b})) ? 0 : {a} - {b}",
    **{"copysign": "copysign{f}({a}, {b})", "hypot": "hypot{f}({a}, {b})"},
    **{name: f"{name}{{f}}({{a}})" for name in ("exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: f"{c}{{f}}({{a}})" for name, c in (("asin", "asin"), ("atan", "atan"), ("special.erf", "erf"))},
}
_FLOAT32 = {  # computed in float32: for float16 too
    **{name: f"{name}f({{a}})" for name in ("log", "log1p", "log2", "log10", "acos", "asinh", "acosh", "atanh")},
    "pow": "powf({a}, {b})",
}
_FLOAT64 = {
    **{"atan2": "atan2({a}, {b})", "special.erfc": "erfc({a})", "special.ndtr": "normcdf({a})"},
}
_ONLY = {"float16": _FLOAT32, "float32": _FLOAT32, "float64": _FLOAT64}
_NOT_HALF = frozenset(("copysign", "special.erf", "sigmoid"))  # CuPy goes its own way there, or rounds in between

# Of integers: sums and products in {u}, the unsigned type, where they wrap around.
_INTEGER = {
    **{name: f"({{u}}){{a}} {c} ({{u}}){{b}}" for name, c in (("add", "+"), ("subtract", "-"), ("multiply", "*"))},
    **{"negative": "({u})0 - ({u}){a}", "positive": "{a}", "square": "({u}){a} * ({u}){a}"},
    **{"bitwise_and": "{a} & {b}", "bitwise_or": "{a} | {b}", "bitwise_xor": "{a} ^ {b}", "bitwise_invert": "~{a}"},
    **{"maximum": "{a} > {b} ? {a} : {b}", "minimum": "{a} < {b} ? {a} : {b}"},
}
_BOOLEAN = {
    **{"logical_and": "{a} && {b}", "logical_or": "{a} || {b}", "logical_xor": "{a} != {b}", "logical_not": "!{a}"},
    **{"bitwise_and": "{a} && {b}", "bitwise_or": "{a} || {b}", "bitwise_xor": "{a} != {b}", "bitwise_invert": "!{a}"},
}
_COMPARED = {
    **{"less": "{a} < {b}", "less_equal": "{a} <= {b}", "greater": "{a} > {b}", "greater_equal": "{a} >= {b}"},
    **{"equal": "{a} == {b}", "not_equal": "{a} != {b}"},
}
_TESTED = {"isnan": "isnan({a})", "isinf": "isinf({a})", "isfinite": "isfinite({a})", "signbit": "signbit({a})"}


KERNEL_NAMES = frozenset((*_FLOAT, *_FLOAT32, *_FLOAT64, *_INTEGER, *_BOOLEAN, *_COMPARED, *_TESTED, "where", "select"))


class Told(NamedTuple):
    """How a step is told: ``text`` of ``{a}``, ``{b}``, ``{c}``, which stand for ``operands``.

    Numbers among them have the dtype ``number``, by name; ``computed`` is the C type in which arrays of float16 are
    read, and ``made`` that of the result.
    """

    text: str
    operands: tuple[Any, ...]
    number: str
    half: bool
    made: str


class Kernel(NamedTuple):
    """A kernel: its parameters as CuPy declares them, its text, and what its arguments are, in order.

    ``arguments`` are Values, and Python numbers for parameters of the type that they have in promotion.
    """

    inputs: str
    outputs: str
    operation: str
    name: str
    arguments: tuple[Any, ...]
    made: tuple[Value, ...]


def told(step: Step, name_of: Callable[[Any], str]) -> Told | None:
    """How a step of one result is told; None where it is not. ``name_of`` names dtypes."""
    made, rule = step.outputs, _RULES.get(step.function, _plain)
    if type(made) is not Value or made.shape is None or made.weak:
        return None
    if not all(x.shape is not None and not x.weak and name_of(x.dtype) in C_TYPES for x in (*step.reads, made)):
        return None
    found = rule(step, name_of)
    if found is None or not any(type(x) is Value for x in found.operands):
        return None
    fits = all(type(x) is Value or _is_number(x, found.number) for x in found.operands)
    return found if fits else None


def _is_number(x: Any, dtype: str) -> bool:
    """Whether a Python number becomes one of ``dtype`` beside an array of it, and is the same one."""
    if dtype in FLOATS:
        return type(x) is float or (type(x) is int and abs(x) <= 1 << 53 and float(x) == x)
    if dtype == "bool":
        return type(x) is bool
    return type(x) is int and -(1 << 63) <= x < 1 << 63


def _dtype_of(values: Sequence[Any], name_of: Callable[[Any], str]) -> str | None:
    """The one dtype of the arrays among the operands, by name."""
    names = {name_of(x.dtype) for x in values if type(x) is Value}
    return names.pop() if len(names) == 1 else None


def _plain(step: Step, name_of: Callable[[Any], str]) -> Told | None:
    """A function of operands of one dtype."""
    args, name, dtype = step.args, step.function, _dtype_of(step.args, name_of)
    if step.kwargs or dtype is None:
        return None
    made = name_of(step.outputs.dtype)
    if name in _COMPARED or (name in _TESTED and dtype in FLOATS):
        return Told({**_COMPARED, **_TESTED}[name], args, dtype, dtype == "float16", made) if made == "bool" else None
    if made != dtype:
        return None
    text = _text(name, dtype)
    return None if text is None else Told(text, args, dtype, dtype == "float16", made)


def _text(name: str, dtype: str) -> str | None:
    """What a function says of operands, and makes, of one dtype."""
    if dtype == "bool":
        return _BOOLEAN.get(name)
    if dtype not in FLOATS:
        unsigned = "unsigned long long" if dtype.endswith("64") else "unsigned int"
        return _INTEGER[name].replace("{u}", unsigned) if name in _INTEGER else None
    if dtype == "float16" and name in _NOT_HALF:
        return None
    found = _FLOAT.get(name) or _ONLY[dtype].get(name)
    if found is None:
        return None
    return found.replace("{f}", "").replace("{t}", "double") if dtype == "float64" else _in_float(found)


def _in_float(text: str) -> str:
    """The text in float32, in which float16 is computed, too."""
    return text.replace("{f}", "f").replace("{t}", "float")


def _where(step: Step, name_of: Callable[[Any], str]) -> Told | None:
    """``where(mask, a, b)`` and ``select(mask, a)``: one of them, as it is."""
    if step.kwargs or len(step.args) != (3 if step.function == "where" else 2):
        return None
    mask, *rest = step.args
    dtype = _dtype_of(rest, name_of)
    if type(mask) is not Value or name_of(mask.dtype) != "bool" or dtype is None:
        return None
    text = "{a} ? {b} : {c}" if step.function == "where" else "{a} ? {b} : 0"
    made = name_of(step.outputs.dtype)
    return Told(text, step.args, dtype, dtype == "float16", made) if made == dtype else None


def _astype(step: Step, name_of: Callable[[Any], str]) -> Told | None:
    """A cast that no two libraries see in different ways: none of floating-point numbers to integers."""
    x, made = step.args[0], name_of(step.outputs.dtype)
    if type(x) is not Value or len(step.args) > 2 or set(step.kwargs) - {"copy", "dtype"}:
        return None
    dtype = name_of(x.dtype)
    halves = {"float16": ("float16", "float32", "float64", "bool"), "float32": ("float16",)}
    if "float16" in (dtype, made):
        fits = made in halves.get(dtype, ())
    else:
        fits = made in ("bool", "float32", "float64") or dtype not in FLOATS
    text = "{a} != 0" if made == "bool" and dtype != "bool" else "{a}"
    return Told(text, (x,), dtype, dtype == "float16", made) if fits else None


_RULES: dict[str, Callable[..., Told | None]] = {"where": _where, "select": _where, "astype": _astype}


def kernel_of(steps: Sequence[Step], made: Sequence[Value], name_of: Callable[[Any], str]) -> Kernel:
    """One kernel for steps that can all be told, of one shape, each behind what it reads; ``made`` leave it."""
    names: dict[Any, str] = {}
    inputs: list[str] = []
    arguments: list[Any] = []
    lines: list[str] = []

    def operand(x: Any, told: Told) -> str:
        array = type(x) is Value
        dtype = name_of(x.dtype) if array else told.number
        key = x if array else (type(x), repr(x), dtype)
        if key not in names:
            names[key] = f"a{len(arguments)}"
            inputs.append(f"{dtype} {names[key]}")
            arguments.append(x if array else float(x) if dtype in FLOATS else x)
        return f"((float){names[key]})" if dtype == "float16" else names[key]

    for step in steps:
        found = told(step, name_of)
        assert found is not None
        operands = {letter: operand(x, found) for letter, x in zip("abc", found.operands, strict=False)}
        names[step.outputs] = f"t{len(lines)}"
        c, expression = C_TYPES[found.made], found.text.format(**operands)
        cast = f"({c})(float)({expression})" if found.made == "float16" else f"({c})({expression})"
        lines.append(f"const {c} t{len(lines)} = {cast};")
    outputs = [f"{name_of(x.dtype)} y{i}" for i, x in enumerate(made)]
    lines += [f"y{i} = {names[x]};" for i, x in enumerate(made)]
    name = f"zkynet_{len(steps)}_steps"
    return Kernel(", ".join(inputs), ", ".join(outputs), "\n".join(lines), name, tuple(arguments), tuple(made))
