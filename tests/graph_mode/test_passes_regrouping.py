"""Regrouping: signs, factors and placements meet, bit for bit, and what is not exact stays.

Each case writes ``y = case(w, a, b)`` of two arrays of special values: every pair of them, zeros of both signs too.
"""

import importlib
from itertools import product

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.graph_programs import Writer, complaint, random_program, written
from zkynet.framework import op
from zkynet.framework.graph_mode.passes import PASSES, optimized
from zkynet.framework.graph_mode.passes.regrouping import regrouping

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.regrouping")
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 0.1, 3.0)
PAIRS = np.array(list(product(SPECIAL, SPECIAL))).T.reshape(2, 9, 9)


def extremes(dtype):
    """Numbers at both ends of a dtype, where products round or overflow."""
    info = np.finfo(dtype)
    tiny, largest = info.smallest_subnormal, info.max
    few = [tiny, 3 * tiny, info.tiny, info.tiny * dtype(1.5), largest, largest / 2, largest / 200, largest / 199]
    return np.array([*few, *np.negative(few), dtype(1) + info.eps, dtype(1) / 3] * 5, dtype)[:81].reshape(9, 9)


def made(case, dtype=np.float64, xp=None, arrays=None):
    """A program that makes a and b of inputs (they lie row by row), and y of them."""
    w = Writer(*[xp] * (xp is not None))
    rows = w.constant(np.arange(9))
    arrays = PAIRS.astype(dtype) if arrays is None else arrays
    a, b = (w("take", w.input(array), rows, 0) for array in arrays)
    return w.program(case(w, a, b)), w.arrays


def left(program):
    """The functions behind those that make a and b."""
    return [step.function for step in program.steps][2:]


def neg(w, x):
    return w("negative", x)


def place(w, x, index=slice(1, 10), size=10):
    return w("place", x, (Ellipsis, index), (size,))


def twice_read(w, x, y):
    return w("add", w("multiply", x, y), w("exp", y))


# What changes: the case, and what is left of it.
MEET = {
    "-(-a b) a": (lambda w, a, b: w("multiply", neg(w, w("multiply", neg(w, a), b)), a), ["multiply", "multiply"]),
    "-a b": (lambda w, a, b: w("multiply", neg(w, a), b), ["multiply", "negative"]),
    "a -b": (lambda w, a, b: w("multiply", a, neg(w, b)), ["multiply", "negative"]),
    "-a -b": (lambda w, a, b: w("multiply", neg(w, a), neg(w, b)), ["multiply"]),
    "-a / b": (lambda w, a, b: w("divide", neg(w, a), b), ["divide", "negative"]),
    "a / -b": (lambda w, a, b: w("divide", a, neg(w, b)), ["divide", "negative"]),
    "-a / -b": (lambda w, a, b: w("divide", neg(w, a), neg(w, b)), ["divide"]),
    "a + -b": (lambda w, a, b: w("add", a, neg(w, b)), ["subtract"]),
    "-a + b": (lambda w, a, b: w("add", neg(w, a), b), ["subtract"]),
    "-a + -b": (lambda w, a, b: w("add", neg(w, a), neg(w, b)), ["negative", "subtract"]),
    "a - -b": (lambda w, a, b: w("subtract", a, neg(w, b)), ["add"]),
    "-a - -b": (lambda w, a, b: w("subtract", neg(w, a), neg(w, b)), ["subtract"]),
    "1 - -b": (lambda w, a, b: w("subtract", 1.0, neg(w, b)), ["add"]),
    "-a b + b": (lambda w, a, b: w("add", w("multiply", neg(w, a), b), b), ["multiply", "subtract"]),
    "-a b / -b": (lambda w, a, b: w("divide", w("multiply", neg(w, a), b), neg(w, b)), ["multiply", "divide"]),
    "-(3 a)": (lambda w, a, b: neg(w, w("multiply", 3, a)), ["multiply"]),
    "-(a 0.1)": (lambda w, a, b: neg(w, w("multiply", a, w.constant(0.1, a.dtype))), ["multiply"]),
    "-(0 a)": (lambda w, a, b: neg(w, w("multiply", 0, a)), ["multiply"]),
    "-(inf a)": (lambda w, a, b: neg(w, w("multiply", np.inf, a)), ["multiply"]),
    "-a 3": (lambda w, a, b: w("multiply", neg(w, a), 3.0), ["multiply"]),
    "2 (100 a)": (lambda w, a, b: w("multiply", 2, w("multiply", 100.0, a)), ["multiply"]),
    "100 (2 a)": (lambda w, a, b: w("multiply", w("multiply", a, 2.0), 100), ["multiply"]),
    "-4 (-100 a)": (lambda w, a, b: w("multiply", -4.0, w("multiply", w.constant(-100, a.dtype), a)), ["multiply"]),
    "placements at one place": (lambda w, a, b: w("add", place(w, a), place(w, b)), ["add", "place"]),
    "placements of negations": (
        lambda w, a, b: w("add", place(w, neg(w, a)), place(w, w("add", b, neg(w, a)))),
        ["subtract", "subtract", "place"],
    ),
}  # fmt: skip

# What stays, because some number, or what it would cost, tells the two apart.
STAY = {
    "-(a - b)": lambda w, a, b: neg(w, w("subtract", a, b)),  # b - a is 0.0 where it is -0.0
    "-(a + b)": lambda w, a, b: neg(w, w("add", a, b)),
    "-a - b": lambda w, a, b: w("subtract", neg(w, a), b),
    "sum(-a)": lambda w, a, b: w("sum", neg(w, a), axis=0),
    "placed -a": lambda w, a, b: place(w, neg(w, a)),  # -0.0 around it
    "multiply_no_nan(-a, b)": lambda w, a, b: w("multiply_no_nan", neg(w, a), b),  # 0.0 in place of a NaN
    "0.5 (100 a)": lambda w, a, b: w("multiply", 0.5, w("multiply", 100.0, a)),  # 100 a overflows
    "100 (0.5 a)": lambda w, a, b: w("multiply", 100.0, w("multiply", 0.5, a)),  # 0.5 a rounds
    "3 (5 a)": lambda w, a, b: w("multiply", 3.0, w("multiply", 5.0, a)),  # 5 a rounds
    "0 (2 a)": lambda w, a, b: w("multiply", 0.0, w("multiply", 2.0, a)),  # 2 a overflows
    "1024 (1024 a)": lambda w, a, b: w("multiply", 1024.0, w("multiply", 1024.0, a)),  # beyond float16
    "2 (a b)": lambda w, a, b: w("multiply", 2.0, w("multiply", a, b)),
    "placements at two places": lambda w, a, b: w("add", place(w, a), place(w, b, slice(0, 9))),
    "placements in two shapes": lambda w, a, b: w("add", place(w, a), place(w, w("sum", b, axis=0, keepdims=True))),
    "one placement twice": lambda w, a, b: w("add", *[place(w, a)] * 2),
    "-a of fewer entries": lambda w, a, b: w("multiply", neg(w, w("sum", a, axis=0, keepdims=True)), b),
    "-a read elsewhere": lambda w, a, b: twice_read(w, b, neg(w, a)),
}
KINDS = {"float64": np.float64, "float32": np.float32, "float16": np.float16}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MEET)
def test_they_meet_to_the_bit(name, kind):
    case, wanted = MEET[name]
    extreme = [extremes(KINDS[kind]), extremes(KINDS[kind])[::-1]]
    for arrays in (None, extreme):
        program, given = made(case, KINDS[kind], arrays=arrays)
        assert left(regrouping(program)) == wanted
        assert complaint(program, given, regrouping) is None


@pytest.mark.parametrize("name", STAY)
def test_what_is_not_exact_stays(name):
    program, _ = made(STAY[name])
    assert regrouping(program) is program


@pytest.mark.parametrize("dtype", ["complex128", "int64", "uint8"])
@pytest.mark.parametrize("name", ["-a -b", "-a b", "a + -b", "a - -b", "-a - -b", "-(3 a)"])
def test_real_floats_alone(name, dtype):
    small = np.arange(162).reshape(2, 9, 9) % 7
    program, _ = made(MEET[name][0], arrays=small.astype(dtype))
    assert regrouping(program) is program


@pytest.mark.parametrize("name", ["-a b", "2 (100 a)", "-(3 a)", "placements at one place"])
def test_what_is_given_back_stays(name):
    program, _ = given_back(name)
    assert regrouping(program) is program


def given_back(name):
    """A program that gives back all that it makes."""
    program, arrays = made(MEET[name][0])
    return program.replace(outputs=[step.outputs for step in program.steps]), arrays


def beside_columns(name):
    """Beside an array that lies column by column, the negation of one row repeated, in the memory of one.

    NumPy lays a result out as its operands lie, and sums it up by that; the negation of what is repeated lies row by
    row.
    """
    w = Writer()
    numbers = np.random.default_rng(0)
    x = w("exp", w("matrix_transpose", w.input(numbers.standard_normal((300, 80)))))
    y = w("negative", w("broadcast_to", w.input(numbers.standard_normal((80, 1))), (80, 300)))
    return w.program(w("sum", w(name, x, y), axis=0)), w.arrays


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_the_order_in_memory_stays(name):
    program, _ = beside_columns(name)
    assert regrouping(program) is program


def test_a_long_chain_of_signs_ends_in_one():
    w = Writer()
    y = x = w.input(np.linspace(0.9, 1.1, 7))
    for _ in range(1001):
        y = w("multiply", w("negative", y), x)
    program = w.program(y)
    assert [step.function for step in regrouping(program).steps] == ["multiply"] * 1001 + ["negative"]
    assert complaint(program, w.arrays, regrouping) is None


def test_numbers_of_values_stay_unique_and_steps_become_no_more():
    for seed in range(60):
        program, _ = random_program(seed, signs=True)
        after = regrouping(program)
        indices = [value.index for step in after.steps for value in step.makes]
        assert len(set(indices)) == len(indices) and len(after.steps) <= len(program.steps)


def test_the_given_program_stays_as_it_is():
    program, _ = random_program(5, signs=True)
    before = written(program)
    assert regrouping(program) is not program
    assert written(program) == before


def test_all_passes_end_with_a_program_that_none_changes():
    for seed in range(60):
        after = optimized(random_program(seed, signs=True)[0])
        assert all(run(after) is after for run in PASSES.values())


@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_on_other_backends(name):
    """Two factors stay two there: XLA takes numbers near 0 for 0, the one in between as well."""

    def case(w, a, b):
        factors = w("multiply", 2.0, w("multiply", 100.0, w("add", a, neg(w, b))))
        return w("subtract", w("multiply", neg(w, factors), neg(w, a)), neg(w, b))

    program, arrays = made(case, xp=backends_here.get(name))
    assert left(regrouping(program)) == ["subtract", "multiply", "multiply", "multiply", "subtract"]
    assert complaint(program, arrays, regrouping) is None


# ---- the tests themselves: each of these breaks a rule, and the numbers tell ----


def out_of_differences(known, step):
    """-(a - b) as b - a."""
    inner = known.sole(step.args[0], step, "subtract")
    return MODULE._instead(step, "subtract", *inner.args[::-1]) if inner is not None else None


def out_of_sums(known, step):
    """-a - b as -(a + b)."""
    inner = known.negated(step.args[0], step)
    if inner is None:
        return None
    y = MODULE.Value(step.args[0].index, inner.shape, inner.dtype)
    return [MODULE.Step("add", (inner, step.args[1]), {}, y), *MODULE._instead(step, "negative", y)]


def into_placements(known, step):
    """place(-a) as -place(a)."""
    inner = known.sole(step.args[0], step, "negative")
    if inner is None:
        return None
    y = MODULE.Value(step.args[0].index, step.outputs.shape, step.outputs.dtype)
    return [MODULE.Step("place", (inner.args[0], *step.args[1:]), {}, y), *MODULE._instead(step, "negative", y)]


MUTANTS = {
    "-(a - b)": ("rule", "negative", out_of_differences),
    "-a - b": ("rule", "subtract", out_of_sums),
    "placed -a": ("rule", "place", into_placements),
    "3 (5 a)": (MODULE, "_is_power_of_two", lambda n: True),
    "placements at two places": (MODULE, "key_of", lambda tree: None),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_broken_rules_are_caught(monkeypatch, name):
    owner, what, broken = MUTANTS[name]
    program, arrays = made(STAY[name], arrays=None if owner == "rule" else np.random.default_rng(0).random((2, 9, 9)))
    assert complaint(program, arrays, regrouping) is None
    if owner == "rule":
        monkeypatch.setitem(MODULE._RULES, what, broken)
    else:
        monkeypatch.setattr(owner, what, broken)
    assert complaint(program, arrays, regrouping)


def test_an_order_in_memory_that_is_not_seen_is_caught(monkeypatch):
    programs = [beside_columns(name) for name in ("add", "subtract", "multiply", "divide")]
    monkeypatch.setattr(MODULE._Regrouped, "laid_out_alike", lambda self, step, *others: True)
    assert all(complaint(*each, regrouping) for each in programs)


def test_a_reader_that_is_not_seen_is_caught(monkeypatch):
    def sole(self, x, step, *names):
        maker = self.makers.get(x)
        return maker if maker is not None and maker.function in names else None

    monkeypatch.setattr(MODULE._Regrouped, "sole", sole)
    for test in (
        lambda: test_what_is_not_exact_stays("-a read elsewhere"),
        lambda: test_what_is_given_back_stays("-a b"),
    ):
        with pytest.raises(AssertionError):
            test()


@pytest.mark.parametrize("asks", [lambda y: op.signbit(y), lambda y: op.copysign(1.0, y)])
def test_the_sign_of_nan_stays_where_somebody_asks_for_it(asks):
    x = np.array([1.0, np.nan, -np.nan, np.nan])
    y = np.array([np.nan, 1.0, np.nan, -np.nan])

    def f(x, y):
        return asks(x + -y), asks(-(3 * x)), asks(-x * y)

    compiled, want = zk.compile(f), f(x, y)
    for _ in range(3):
        for got, each in zip(compiled(x, y), want, strict=True):
            np.testing.assert_array_equal(np.asarray(got.value), np.asarray(each.value))
