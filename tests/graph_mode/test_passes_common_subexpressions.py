"""Common subexpressions: equal calls become one, and what only looks equal does not."""

import importlib

import numpy as np
import pytest

from support import backends as backends_here
from support.graph_programs import Writer, complaint, random_program, written
from zkynet.framework.graph_mode.passes.common_subexpressions import common_subexpressions
from zkynet.framework.graph_mode.program import Step, Value

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.common_subexpressions")
NAN = float("nan")


def count(program):
    return len(program.steps)


def test_equal_calls_become_one_and_what_reads_them_too():
    w = Writer()
    x = w.input(np.arange(6.0).reshape(2, 3))
    one, other = [w("sum", w("exp", w("multiply", x, 2.0)), axis=(0,)) for _ in range(2)]
    program = w.program(w("add", one, other), other)
    after = common_subexpressions(program)
    assert [step.function for step in after.steps] == ["multiply", "exp", "sum", "add"]
    assert after.outputs[1] is one
    assert complaint(program, w.arrays, common_subexpressions) is None


# Two calls that look alike: the function, the arguments behind x of each, and whether they are the same.
PAIRS = [
    ("multiply", (2.0,), (2.0,), True),
    ("multiply", (2.0,), (2,), False),
    ("multiply", (1,), (True,), False),
    ("add", (0.0,), (-0.0,), False),
    ("add", (NAN,), (NAN,), True),
    ("multiply", (1j,), (1j,), True),
    ("multiply", (complex(0.0, 1),), (complex(-0.0, 1),), False),
    ("reshape", ((3, 2),), ((3, 2),), True),
    ("reshape", ((3, 2),), ((2, 3),), False),
    ("getitem", ((Ellipsis, slice(0, 2)),), ((Ellipsis, slice(0, 2)),), True),
    ("getitem", ((slice(0, 2),),), ((slice(0, 2, 1),),), False),
    ("getitem", (1,), ((1,),), False),
    ("getitem", (None,), ((None,),), False),
    ("astype", (np.dtype("float32"),), (np.dtype("float32"),), True),
    ("astype", (np.dtype("float32"),), (np.dtype("float64"),), False),
]


@pytest.mark.parametrize("name, first, second, same", PAIRS)
def test_arguments_are_compared_by_type_and_bits(name, first, second, same):
    w = Writer()
    x = w.input(np.array([[0.0, -0.0, 1.0], [2.0, np.inf, np.nan]]))
    program = w.program(w(name, x, *first), w(name, x, *second))
    assert count(common_subexpressions(program)) == (1 if same else 2)
    assert complaint(program, w.arrays, common_subexpressions) is None


def test_keyword_arguments_count():
    w = Writer()
    x = w.input(np.ones((2, 2)))
    program = w.program(
        w("sum", x, axis=0), w("sum", x, axis=1), w("sum", x, axis=0, keepdims=True), w("sum", x, axis=0)
    )
    assert count(common_subexpressions(program)) == 3
    assert complaint(program, w.arrays, common_subexpressions) is None


def test_equal_constants_without_axes_are_one():
    w = Writer()
    x = w.input(np.ones(3))
    numbers = [w.constant(number, "float64") for number in (0.5, 0.5, 0.0, -0.0)] + [w.constant(0.5, "float32")]
    program = w.program(*[w("multiply", x, number) for number in numbers])
    after = common_subexpressions(program)
    assert count(after) == 4 and len(after.constants) == 4
    assert complaint(program, w.arrays, common_subexpressions) is None


def test_arrays_among_the_arguments_count_by_identity():
    w = Writer()
    x, y = w.input(np.ones(3)), w.input(np.ones(3))
    a, b = w.constant(np.ones(3)), w.constant(np.ones(3))
    program = w.program(w("add", x, a), w("add", x, b), w("add", y, a), w("add", x, a))
    assert count(common_subexpressions(program)) == 3


def test_draws_of_one_counter_are_one_and_of_two_are_two():
    w = Writer()
    program = w.program(*[w("random_bits", (1, 2), counter, 4) for counter in (0, 0, 1)])
    assert count(common_subexpressions(program)) == 2
    assert complaint(program, w.arrays, common_subexpressions) is None


def test_what_is_not_known_to_be_pure_runs_every_time():
    w = Writer()
    x = w.input(np.ones(3))
    holes = [w("empty", (3,)) for _ in range(2)]
    unknown = [Step("unknown", (x,), {}, Value(50 + i, (3,), x.dtype)) for i in range(2)]
    w.steps.extend(unknown)
    assert count(common_subexpressions(w.program(*holes, *[step.outputs for step in unknown]))) == 4


def test_weak_values_stay_apart():
    w = Writer()
    x = w.input(np.ones(()))
    steps = [Step("exp", (x,), {}, Value(50 + weak, (), x.dtype, weak)) for weak in (False, True)]
    w.steps.extend(steps)
    assert count(common_subexpressions(w.program(*[step.outputs for step in steps]))) == 2


def test_several_outputs_are_shared():
    w = Writer()
    x = w.input(np.arange(6.0).reshape(2, 3))
    (a, _), (_, d) = w("unstack", x), w("unstack", x)
    program = w.program(w("subtract", a, d))
    assert count(common_subexpressions(program)) == 2
    assert complaint(program, w.arrays, common_subexpressions) is None


def test_nothing_to_do_gives_the_program_itself():
    w = Writer()
    program = w.program(w("exp", w.input(np.ones(3))))
    assert common_subexpressions(program) is program


def test_the_given_program_stays_as_it_is():
    program, _ = random_program(3)
    before = written(program)
    common_subexpressions(program)
    assert written(program) == before


@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_on_other_backends(name):
    w = Writer(backends_here.get(name))
    x = w.input(np.ones((2, 3)))
    program = w.program(w("add", *[w("multiply", x, w.constant(0.5, "float64")) for _ in range(2)]))
    assert count(common_subexpressions(program)) == 2
    assert complaint(program, w.arrays, common_subexpressions) is None


def by_value(tree):
    """What Python's == makes of it."""
    return tuple(map(by_value, tree)) if type(tree) is tuple else str(tree) if type(tree) in (dict, slice) else tree


MUTANTS = {
    "numbers by ==": (
        "key_of",
        by_value,
        lambda: test_arguments_are_compared_by_type_and_bits("add", (0.0,), (-0.0,), False),
    ),
    "True is 1": (
        "key_of",
        by_value,
        lambda: test_arguments_are_compared_by_type_and_bits("multiply", (1,), (True,), False),
    ),
    "all is pure": ("is_pure", lambda step: True, test_what_is_not_known_to_be_pure_runs_every_time),
    "kinds are not compared": ("_kinds", lambda step: [], test_weak_values_stay_apart),
    "readers are forgotten": ("renamed", lambda step, names: step, test_several_outputs_are_shared),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_passes_are_caught(monkeypatch, mutant):
    name, broken, test = MUTANTS[mutant]
    monkeypatch.setattr(MODULE, name, broken)
    with pytest.raises((AssertionError, KeyError)):
        test()
