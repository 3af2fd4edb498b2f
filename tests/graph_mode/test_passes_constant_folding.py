"""Constant folding: what reads no input is computed once, unless it is large, random or raises."""

import importlib

import numpy as np
import pytest

from support import backends as backends_here
from support.graph_programs import Writer, complaint, run, written
from zkynet.framework.graph_mode.passes.constant_folding import FOLD_LIMIT, constant_folding

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.constant_folding")
RNG = np.random.default_rng(0)


def names(program):
    return [step.function for step in program.steps]


def mixed():
    """A mask made of nothing, a scale made of constants, and what the input does with them."""
    w = Writer()
    x = w.input(RNG.standard_normal((4, 4)))
    mask = w("less", w("reshape", w("arange", 4), (4, 1)), w("arange", 4))
    scale = w("sqrt", w("add", w.constant(np.arange(4.0)), 1.0))
    y = w("multiply", w("select", mask, x), scale)
    return w, w.program(y, scale)


def test_steps_that_read_no_input_become_constants():
    w, program = mixed()
    after = constant_folding(program)
    assert names(after) == ["select", "multiply"]
    assert complaint(program, w.arrays, constant_folding) is None


def test_a_later_input_counts():
    w, program = mixed()
    after = constant_folding(program)
    other = [RNG.standard_normal((4, 4))]
    assert (run(after, other)[0] == run(program, other)[0]).all()


def test_nobody_can_write_to_what_is_folded():
    _, program = mixed()
    folded = run(constant_folding(program), [np.ones((4, 4))])[1]
    with pytest.raises(ValueError, match="read-only"):
        folded[0] = 7.0


def test_several_outputs_are_folded():
    w = Writer()
    x = w.input(np.ones(3))
    a, b = w("unstack", w("ones", (2, 3)))
    program = w.program(w("add", x, w("add", a, b)))
    assert names(constant_folding(program)) == ["add"]
    assert complaint(program, w.arrays, constant_folding) is None


@pytest.mark.parametrize("shape, left", [((FOLD_LIMIT,), []), ((FOLD_LIMIT + 1,), ["zeros", "exp"])])
def test_large_arrays_stay_steps(shape, left):
    w = Writer()
    y = w("exp", w("zeros", shape))
    assert names(constant_folding(w.program(y))) == left


def test_views_of_large_constants_are_folded_and_what_is_new_is_not():
    w = Writer()
    c = w.constant(np.zeros((2, FOLD_LIMIT)))
    y = w("negative", w("matrix_transpose", c))
    wide = w("broadcast_to", w.constant(np.zeros(2)), (FOLD_LIMIT, 2))
    after = constant_folding(w.program(y, wide))
    assert names(after) == ["negative", "broadcast_to"]


def test_draws_and_unwritten_memory_stay_steps():
    w = Writer()
    bits = w("random_bits", (1, 2), 0, 8)
    y = w("uniform", bits, "float64")
    hole = w("empty", (3,))
    assert names(constant_folding(w.program(y, hole))) == ["random_bits", "uniform", "empty"]


def test_what_raises_stays_and_raises_in_the_run():
    w = Writer()
    c, x = w.constant(np.array([2, 1])), w.input(np.arange(3.0))
    w("getitem", x, w("check_index", c, 3))
    program = w.program(x)
    program.constants[c][0] = 5
    after = constant_folding(program)
    assert names(after) == ["check_index", "getitem"]
    with pytest.raises(IndexError):
        run(after, w.arrays)


def test_nothing_to_do_gives_the_program_itself():
    w = Writer()
    x = w.input(np.ones(3))
    program = w.program(w("exp", x))
    assert constant_folding(program) is program


def test_the_given_program_stays_as_it_is():
    _, program = mixed()
    before = written(program)
    constant_folding(program)
    assert written(program) == before


@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_on_other_backends(name):
    xp = backends_here.get(name)
    w = Writer(xp)
    x = w.input(np.ones((2, 3)))
    y = w("multiply", x, w("add", w("ones", (3,), dtype=xp.float64), w.constant(np.arange(3.0))))
    program = w.program(y)
    assert names(constant_folding(program)) == ["multiply"]
    assert complaint(program, w.arrays, constant_folding) is None


MUTANTS = {
    "inputs are taken for constants": ("reads", lambda step: [], test_steps_that_read_no_input_become_constants),
    "draws are folded": ("is_foldable", lambda step: True, test_draws_and_unwritten_memory_stay_steps),
    "no limit": (
        "_is_small",
        lambda step, inner: True,
        test_views_of_large_constants_are_folded_and_what_is_new_is_not,
    ),
    "all are views": (
        "VIEWS",
        {"negative", "matrix_transpose"},
        test_views_of_large_constants_are_folded_and_what_is_new_is_not,
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_passes_are_caught(monkeypatch, mutant):
    name, broken, test = MUTANTS[mutant]
    monkeypatch.setattr(MODULE, name, broken)
    with pytest.raises((AssertionError, KeyError)):
        test()
