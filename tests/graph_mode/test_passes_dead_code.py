"""Dead code: what nobody needs goes, what could raise stays."""

import importlib

import numpy as np
import pytest

from support.graph_programs import Writer, complaint, run, written
from zkynet.backends.errors import IndexOutOfBoundsError
from zkynet.framework.graph_mode.passes.dead_code import dead_code
from zkynet.framework.graph_mode.program import Step, Value

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.dead_code")
RNG = np.random.default_rng(0)


def names(program):
    return [step.function for step in program.steps]


def kept_and_dead():
    w = Writer()
    x = w.input(RNG.standard_normal((3, 4)))
    unused_input = w.input(np.ones(3))
    c, unread = w.constant(2.0), w.constant(np.ones(5))
    y = w("multiply", x, c)
    w("exp", w("add", y, 1.0))  # nobody reads it, nor what it is made of
    z = w("concat", [y, w("negative", x)], axis=0)  # read in a list
    q = w("sum", z, axis=0)
    return w.program(q, x), w.arrays, unread, unused_input


def test_steps_and_constants_that_nobody_needs_go():
    program, arrays, unread, unused_input = kept_and_dead()
    after = dead_code(program)
    assert names(after) == ["multiply", "negative", "concat", "sum"]
    assert unread in program.constants and unread not in after.constants
    assert unused_input in after.inputs
    assert complaint(program, arrays, dead_code) is None


def test_a_value_in_a_keyword_argument_is_needed():
    w = Writer()
    x = w.input(np.arange(3.0))
    low = w("multiply", x, 0.5)
    y = w("clip", x, min=low, max=2.0)
    program = w.program(y)
    assert dead_code(program) is program
    assert complaint(program, w.arrays, dead_code) is None


def test_a_step_with_several_outputs_stays_for_one():
    w = Writer()
    first, _second = w("unstack", w.input(np.ones((2, 3))))
    assert names(dead_code(w.program(first))) == ["unstack"]


def test_what_could_raise_stays_though_nobody_needs_it():
    w = Writer()
    x, index = w.input(np.eye(3)), w.input(np.array([0, 2]))
    w("check_index", index, 3, what="row")
    w("linalg.inv", x)
    w("getitem", x, index)
    w("pow", index, index)
    w.steps.append(Step("unknown", (x,), {}, Value(99, (), x.dtype)))
    after = dead_code(w.program(x))
    assert names(after) == ["check_index", "linalg.inv", "getitem", "pow", "unknown"]


def test_an_index_out_of_bounds_raises_as_before():
    w = Writer()
    x, index = w.input(np.eye(3)), w.input(np.array([0, 2]))
    w("check_index", index, 3)
    after = dead_code(w.program(x))
    with pytest.raises(IndexOutOfBoundsError):
        run(after, [np.eye(3), np.array([0, 5])])


def test_indices_of_numbers_and_powers_of_floats_go():
    w = Writer()
    x = w.input(np.ones((3, 3)))
    w("getitem", x, (0, slice(1, None)))
    w("pow", x, x)
    w("special.gammaln", x)
    assert names(dead_code(w.program(x))) == []


def test_the_given_program_stays_as_it_is():
    program = kept_and_dead()[0]
    before = written(program)
    dead_code(program)
    assert written(program) == before


def drop_all(step):
    return True


def read_positional(step):
    return [x for x in step.args if type(x) is Value]


@pytest.mark.parametrize(
    "name, mutant, test",
    [
        ("never_raises", drop_all, test_what_could_raise_stays_though_nobody_needs_it),
        ("reads", read_positional, test_a_value_in_a_keyword_argument_is_needed),
        ("reads", read_positional, test_steps_and_constants_that_nobody_needs_go),
        ("makes", lambda step: step.makes[1:], test_a_step_with_several_outputs_stays_for_one),
    ],
)
def test_broken_passes_are_caught(monkeypatch, name, mutant, test):
    monkeypatch.setattr(MODULE, name, mutant)
    with pytest.raises((AssertionError, KeyError)):
        test()
