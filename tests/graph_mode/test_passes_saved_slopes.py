"""Saved slopes: what is made of the forward pass alone comes earlier, where fewer bytes are held for it."""

import importlib

import numpy as np
import pytest

import zkynet as zk
from support.graph_programs import Writer, complaint, random_program, written
from zkynet import nn, op
from zkynet.framework.graph_mode.passes import PASSES
from zkynet.framework.graph_mode.passes.saved_slopes import saved_slopes

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.saved_slopes")
RNG = np.random.default_rng(0)
SHAPE = (64, 64)


class Gate:
    """y of x, a product behind it, its cotangent g, and g times a slope that is made of ``kept`` arrays of x."""

    def __init__(self, kept=2, shape=SHAPE, views=False):
        self.w = w = Writer()
        self.start, self.weight = w.input(RNG.standard_normal(shape)), w.input(RNG.standard_normal((shape[-1],) * 2))
        self.x = w("matmul", self.start, self.weight)
        self.kept = [self.x, *[w(name, self.x) for name in ("exp", "sin", "tanh")[: kept - 1]]]
        self.views = [w("matrix_transpose", each) for each in self.kept if views]
        self.y = self.kept[0]
        for each in self.kept[1:]:
            self.y = w("multiply", self.y, each)
        self.g = w("matmul", w("matmul", self.y, self.weight), self.weight)

    def slope(self):
        total = self.w("square", self.kept[0])
        for each in self.kept[1:]:
            total = self.w("add", total, each)
        return total

    def program(self, *more):
        self.made = self.slope()
        return self.w.program(self.w("multiply", self.g, self.made), *more)


def places(program):
    return [step.function for step in program.steps]


def assert_moved(gate, program):
    after = saved_slopes(program)
    assert after is not program
    position = {value: i for i, step in enumerate(after.steps) for value in step.makes}
    assert position[gate.made] < position[gate.g]
    assert sorted(places(after)) == sorted(places(program))
    assert complaint(program, gate.w.arrays, saved_slopes) is None
    assert saved_slopes(after) is after


@pytest.mark.parametrize("kept", [2, 3, 4])
def test_a_slope_of_several_arrays_is_made_where_they_are(kept):
    gate = Gate(kept)
    assert_moved(gate, gate.program())


def test_steps_keep_their_order():
    gate = Gate(4)
    program = gate.program()
    names = places(saved_slopes(program))
    assert names[:4] == ["matmul", "exp", "sin", "tanh"]
    assert names[4:8] == ["square", "add", "add", "add"]
    assert names[-3:] == ["matmul", "matmul", "multiply"]


def test_it_sees_through_views():
    gate = Gate(2)
    gate.kept = [gate.w("reshape", each, (64 * 64,)) for each in gate.kept]
    gate.g = gate.w("reshape", gate.g, (64 * 64,))
    assert_moved(gate, gate.program())


# ---- where they stay ----


def stays(program):
    assert saved_slopes(program) is program


def test_one_array_for_another_gains_nothing():
    stays(Gate(1).program())


def test_arrays_that_are_held_anyway():
    gate = Gate(2)
    program = gate.program()
    stays(program.replace(outputs=[*program.outputs, *gate.kept]))
    later = gate.w("add", gate.w("multiply", gate.g, gate.made), gate.w("matmul", gate.kept[0], gate.kept[1]))
    stays(gate.w.program(later))


def test_arrays_that_views_hold():
    gate = Gate(4, views=True)
    program = gate.program()
    assert saved_slopes(program) is not program
    stays(gate.w.program(*program.outputs, gate.w("concat", gate.views)))


def test_inputs_are_held_by_others():
    w = Writer()
    inputs = [w.input(RNG.standard_normal(SHAPE)) for _ in range(4)]
    g = inputs[0]
    for each in inputs:
        g = w("matmul", g, each)
    total = w("add", w("add", w("add", *inputs[:2]), inputs[2]), inputs[3])
    stays(w.program(w("multiply", g, total)))


def test_a_slope_that_is_given_back_stays():
    gate = Gate(2)
    program = gate.program()
    stays(program.replace(outputs=[*program.outputs, gate.made]))


def test_what_is_made_of_a_part_that_is_given_back_stays():
    gate = Gate(3)
    program = gate.program()
    part = next(step.args[0] for step in program.steps if step.outputs is gate.made)
    stays(program.replace(outputs=[*program.outputs, part]))


def test_small_arrays_stay():
    stays(Gate(4, (8, 8)).program())


def test_what_needs_the_cotangent_stays():
    gate = Gate(3)
    gate.kept = [gate.w("multiply", each, gate.g) for each in gate.kept]
    stays(gate.program())


def test_random_programs_keep_every_bit(monkeypatch):
    monkeypatch.setattr(MODULE, "LEAST_BYTES", 1)
    changed = 0
    for seed in range(150):
        program, arrays = random_program(seed)
        after = saved_slopes(program)
        changed += after is not program
        assert complaint(program, arrays, saved_slopes) is None
        made = set(program.inputs) | set(program.constants)
        for step in after.steps:
            assert made.issuperset(step.reads)
            made.update(step.makes)
    assert changed > 10


def test_the_given_program_stays_as_it_is():
    program = Gate(3).program()
    before = written(program)
    saved_slopes(program)
    assert written(program) == before


# ---- in a training step ----


@pytest.mark.parametrize("activation", ["gelu_tanh", "silu"])
def test_the_plan_of_a_step_holds_less_and_gives_the_same(activation):
    f = {"gelu_tanh": lambda x: op.gelu(x, approximate=True), "silu": op.silu}[activation]
    model = nn.Sequential(nn.Linear(16, 256, 0), nn.Linear(256, 8, 0))
    x = RNG.standard_normal((512, 16)).astype("float32")

    def loss(model, x):
        return op.mean(op.square(model.layers[1](f(model.layers[0](x)))))

    def gradients(off):
        step = zk.compile(zk.value_and_grad(loss), off=["lanes", *off])
        for _ in range(3):
            _, found = step(model, x)
        return found, float(step.explain().split("memory of the plan: ")[1].split()[0])

    (found, less), (wanted, more) = gradients([]), gradients(["saved slopes"])
    assert less < 0.9 * more
    assert {name: np.asarray(g).tobytes() for name, g in found.items()} == {
        name: np.asarray(g).tobytes() for name, g in wanted.items()
    }


def test_it_is_one_of_the_passes():
    assert PASSES["saved slopes"] is saved_slopes
