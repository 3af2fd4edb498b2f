"""The C text of kernels, compiled by the machine's C compiler and compared with NumPy: no GPU takes part in this file.

C's library stands in for CUDA's, so functions that it does not round correctly are compared within some last bits; all
that is IEEE arithmetic is compared bit by bit.
"""

import random

import numpy as np
import pytest

from support import standin_kernels
from support.graph_programs import NUMPY, Writer, difference, run
from zkynet.framework.graph_mode.device_code import C_TYPES, FLOATS, KERNEL_NAMES, kernel_of, told
from zkynet.framework.graph_mode.program import Step, Value, function_of

NAN, INF = float("nan"), float("inf")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 1e-3, 0.3333, 7.25, -6.1, 60.0, 1e4, NAN, INF, -INF)
SMALL = {"float16": 6e-8, "float32": 1e-40, "float64": 5e-324}  # denormal
BITS = {"float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}
# Functions whose last bits are the library's own.
ROUNDED = frozenset(
    ("exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "atan", "acos", "asinh", "acosh", "atanh")
    + ("log", "log1p", "log2", "log10", "pow", "atan2", "hypot", "sigmoid", "special.erf", "special.erfc")
    + ("special.ndtr",)
)
BINARY = frozenset(
    ("add", "subtract", "multiply", "divide", "maximum", "minimum", "multiply_no_nan", "silence", "shifted", "copysign")
    + ("hypot", "pow", "atan2", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and")
    + ("logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor")
)
CASTS = [(a, b) for a in C_TYPES for b in C_TYPES if a != b]


def numbers(dtype):
    """Values of a dtype that have caught mistakes before."""
    if dtype == "bool":
        return np.array([True, False])
    if dtype not in FLOATS:
        info = np.iinfo(dtype)
        return np.array([info.min, info.max, info.min + 1, 0, 1, 2, 3, 7, 100, info.max // 2], dtype)
    info = np.finfo(dtype)
    more = (SMALL[dtype], -SMALL[dtype], float(info.tiny), float(info.max), -float(info.max))
    with np.errstate(over="ignore"):
        return np.array([*SPECIAL, *more], dtype)


def result_of(step, arrays):
    """What the text of one step gives."""
    kernel = kernel_of([step], [step.outputs], NUMPY.name_of)
    given = [arrays[x] if type(x) is Value else x for x in kernel.arguments]
    (made,) = standin_kernels.ElementwiseKernel(*kernel[:4]).on_host(*given)
    return made


def step_of(name, *args, **kwargs):
    """A step on arrays and numbers, with NumPy's result, and the arrays by their Values."""
    arrays, values = {}, []
    for x in args:
        value = Value(len(values), x.shape, x.dtype) if isinstance(x, np.ndarray) else x
        values.append(value)
        if value is not x:
            arrays[value] = x
    with np.errstate(all="ignore"):
        wanted = np.asarray(function_of(NUMPY, name)(*args, **kwargs))
    return Step(name, tuple(values), kwargs, Value(99, wanted.shape, wanted.dtype)), arrays, wanted


def operands(name, dtype):
    x = numbers(dtype)
    return (x[:, None], x[None, :]) if name in BINARY else (x,)


def complaint(name, dtype, found, wanted):
    """What tells what a kernel gave from what NumPy gives; None where nothing does."""
    if name in ("maximum", "minimum", "relu"):  # which of 0.0 and -0.0 is the larger is the library's own
        found, wanted = found + np.zeros((), found.dtype), wanted + np.zeros((), found.dtype)
    if name not in ROUNDED:
        return difference(NUMPY, wanted, found)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    with np.errstate(all="ignore"):
        ordinary = np.isfinite(wanted)
        assert np.array_equal(np.where(ordinary, 0, wanted), np.where(np.isfinite(found), 0, found), equal_nan=True)
        f, w = found[ordinary].astype("float64"), wanted[ordinary].astype("float64")
    far = np.abs(f - w) > 8 * BITS[dtype] * np.abs(w) + np.finfo(dtype).tiny
    return f"{w[far]} became {f[far]}" if far.any() else None


def told_cases():
    """(function, dtype) for each function of the tables and each dtype that it is told for."""
    found = []
    for name in sorted(KERNEL_NAMES - {"where", "select"}):
        for dtype in C_TYPES:
            values = tuple([Value(i, (2,), np.dtype(dtype)) for i in range(2 if name in BINARY else 1)])
            results = [Step(name, values, {}, Value(9, (2,), np.dtype(made))) for made in {dtype, "bool"}]
            if any(told(step, NUMPY.name_of) is not None for step in results):
                found.append((name, dtype))
    return found


@pytest.mark.parametrize("name, dtype", told_cases())
def test_each_function_gives_what_numpy_gives(name, dtype):
    try:
        step, arrays, wanted = step_of(name, *operands(name, dtype))
    except ImportError as error:
        pytest.skip(f"NumPy's backend needs more for it: {error}")
    assert told(step, NUMPY.name_of) is not None, "NumPy's result has another dtype than the table thinks"
    assert complaint(name, dtype, result_of(step, arrays), wanted) is None


def test_each_function_of_the_tables_is_told_for_some_dtype():
    assert {name for name, _ in told_cases()} == KERNEL_NAMES - {"where", "select"}


@pytest.mark.parametrize("dtype", C_TYPES)
def test_masks(dtype):
    x, mask = numbers(dtype), np.array([[True], [False]])
    for args in ((mask, x), (mask, x, x[::-1])):
        step, arrays, wanted = step_of("where" if len(args) == 3 else "select", *args)
        assert difference(NUMPY, wanted, result_of(step, arrays)) is None


@pytest.mark.parametrize("before, after", CASTS)
def test_casts_are_those_of_numpy_or_not_told(before, after):
    step, arrays, wanted = step_of("astype", numbers(before), dtype=np.dtype(after))
    if told(step, NUMPY.name_of) is None:
        lossy = before in FLOATS and after not in (*FLOATS, "bool")
        assert lossy or "float16" in (before, after)
    else:
        assert difference(NUMPY, wanted, result_of(step, arrays)) is None


NUMBERS = [("float32", 0.1), ("float32", NAN), ("float32", -INF), ("float64", 1e-310), ("float16", 0.1), ("float32", 3)]
NUMBERS += [("int64", 3), ("int8", -7), ("uint8", 200)]


@pytest.mark.parametrize("dtype, number", NUMBERS)
def test_python_numbers_take_the_dtype_of_the_arrays(dtype, number):
    for name in ("multiply", "less"):
        for args in ((numbers(dtype), number), (number, numbers(dtype))):
            step, arrays, wanted = step_of(name, *args)
            assert difference(NUMPY, wanted, result_of(step, arrays)) is None


X, Y, N = np.ones(3, "float32"), np.ones(3, "float64"), np.ones(3, "int64")
NOT_TOLD = {
    "two dtypes": ("add", X, Y),
    "integers that become floats": ("divide", N, N),
    "a number that makes another dtype": ("multiply", N, 0.5),
    "an integer that float64 does not hold": ("add", Y, (1 << 53) + 1),
    "a function of no table": ("round", X),
    "complex numbers": ("multiply", X.astype("complex64"), X.astype("complex64")),
    "a mask that is none": ("where", N, X, X),
    "truth of numbers": ("logical_not", X),
    "what rounds to float16 in between": ("sigmoid", X.astype("float16")),
    "no array": ("where", X > 0, 1.0, 2.0),
}


@pytest.mark.parametrize("case", NOT_TOLD)
def test_what_is_promoted_or_unknown_stays_a_step(case):
    step, _, _ = step_of(*NOT_TOLD[case])
    assert told(step, NUMPY.name_of) is None


def test_a_scalar_is_not_told_by_a_kernel_without_arrays():
    step = Step("add", (1.0, 2.0), {}, Value(0, (), np.dtype("float64")))
    assert told(step, NUMPY.name_of) is None


# ---- chains ----

EXACT = sorted(name for name, dtype in told_cases() if dtype == "float32" and name not in ROUNDED)
EXACT = [name for name in EXACT if name not in ("maximum", "minimum", "relu")]  # of two zeros


def random_chain(seed, dtype):
    """A program of steps that can all be told, on arrays that broadcast."""
    draw, numbers_of = random.Random(seed), np.random.default_rng(seed)
    write = Writer()
    shapes = ((3, 4), (4,), (3, 1), ())
    values = [write.input(numbers_of.choice(numbers(dtype), shape)) for shape in shapes]
    while len(write.steps) < 12:
        name = draw.choice([*EXACT, "where", "select"])
        count = {"where": 3, "select": 2}.get(name, 2 if name in BINARY else 1)
        args = [draw.choice([*values, *values[4:], draw.choice((0.5, 2, -0.0))]) for _ in range(count)]
        args[0] = next((x for x in values[::-1] if x.dtype == bool), values[0]) if count != 1 else args[0]
        kept = len(write.steps)
        try:
            made = write(name, *args)
        except (AttributeError, TypeError):
            continue
        if made.shape != (3, 4) or told(write.steps[-1], NUMPY.name_of) is None:
            del write.steps[kept:]
            continue
        values.append(made)
    return write


@pytest.mark.parametrize("dtype", FLOATS)
def test_random_chains_give_the_bits_of_their_steps(dtype):
    for seed in range(12):
        write = random_chain(seed, dtype)
        made = [step.outputs for step in write.steps][::3]
        kernel = kernel_of(write.steps, made, NUMPY.name_of)
        given = [write.held[x] if type(x) is Value else x for x in kernel.arguments]
        found = standin_kernels.ElementwiseKernel(*kernel[:4]).on_host(*given)
        for x, array, wanted in zip(made, found, run(write.program(*made), write.arrays), strict=True):
            assert difference(NUMPY, np.asarray(wanted), array) is None, f"{dtype} {seed}: {x}\n{kernel.operation}"


def test_the_text_of_a_kernel():
    write = Writer()
    x, b = write.input(np.ones((2, 3), "float32")), write.input(np.ones(3, "float32"))
    y = write("relu", write("add", write("multiply", x, 2.0), b))
    kernel = kernel_of(write.steps, [y], NUMPY.name_of)
    assert kernel.inputs == "float32 a0, float32 a1, float32 a2" and kernel.outputs == "float32 y0"
    assert kernel.arguments == (x, 2.0, b) and kernel.made == (y,)
    assert kernel.operation.splitlines() == [
        "const float t0 = (float)(a0 * a1);",
        "const float t1 = (float)(t0 + a2);",
        "const float t2 = (float)(isnan(t1) ? t1 + 0 : fmaxf(t1, 0));",
        "y0 = t2;",
    ]
