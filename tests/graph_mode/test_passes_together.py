"""All passes in their order: names, rounds, and what they cost."""

import gc
import importlib
import time

import numpy as np
import pytest

from support.graph_programs import Writer, complaint, random_program, written
from zkynet.framework.graph_mode.passes import PASSES, ROUNDS, optimized

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes")


def names(program):
    return [step.function for step in program.steps]


def one_after_the_other():
    """Each pass finds more behind another: ones are folded, a product by them is none, its two callers are one."""
    w = Writer()
    x = w.input(np.arange(6.0).reshape(2, 3))
    y = w("exp", w("matrix_transpose", x))
    scaled = w("multiply", y, w("divide", w.constant(2.0), 2))
    a, b = w("sum", scaled, axis=0), w("sum", y, axis=0)
    return w.program(w("add", a, b)), w.arrays


def test_passes_help_each_other():
    program, arrays = one_after_the_other()
    assert names(optimized(program)) == ["matrix_transpose", "exp", "sum", "add"]
    assert complaint(program, arrays, optimized) is None


@pytest.mark.parametrize("name", PASSES)
def test_none_runs_that_is_off(monkeypatch, name):
    ran = set()
    for each in PASSES:
        monkeypatch.setitem(PASSES, each, lambda program, each=each: ran.add(each) or program)
    optimized(one_after_the_other()[0], off={name})
    assert ran == set(PASSES) - {name}


def test_an_unknown_name_is_an_error_that_names_the_known_ones():
    with pytest.raises(ValueError, match="'dead-code'.*\n.*'dead code'"):
        optimized(one_after_the_other()[0], off=["dead-code"])


def test_it_ends_with_a_program_that_no_pass_changes():
    for seed in range(20):
        program, _ = random_program(seed)
        after = optimized(program)
        assert all(run(after) is after for run in PASSES.values())


def test_the_rounds_are_limited(monkeypatch):
    calls = []
    monkeypatch.setitem(PASSES, "dead code", lambda program: calls.append(1) or program.replace())
    optimized(one_after_the_other()[0])
    assert len(calls) == ROUNDS


def test_the_given_program_stays_as_it_is():
    program, _ = random_program(11)
    before = written(program)
    optimized(program)
    assert written(program) == before


def long_program(steps):
    """Layer after layer, with something for each pass in all of them."""
    w = Writer()
    x, weight = w.input(np.ones((4, 4))), w.input(np.eye(4))
    while len(w.steps) < steps:
        y = w("tanh", w("multiply", w("matmul", x, w("matrix_transpose", weight)), w.constant(1.0)))
        total = w("broadcast_to", w("reshape", w("sum", y, axis=(0,), keepdims=True), (1, 4)), (4, 4))
        z = w("subtract", w("multiply", total, w("add", w.constant(0.25), 0.25)), y)
        x = w("add", w("select", w("less", z, w.constant(2.0)), z), w("full", (), 0.1, dtype=np.float64))
    return w.program(x)


def seconds(program):
    """The processor's time for all passes, the best of three."""
    best = []
    for _ in range(3):
        gc.collect()
        start = time.process_time()
        optimized(program)
        best.append(time.process_time() - start)
    return min(best)


@pytest.mark.slow
def test_the_cost_is_linear_in_the_number_of_steps():
    short, long = seconds(long_program(2_000)), seconds(long_program(20_000))
    assert long < 30 * short  # ten times as many steps; a quadratic pass would take a hundred times as long
    assert long < 10  # about 0.4 s
