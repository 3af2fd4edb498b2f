"""Relu after pooling: values and gradients to the bit whatever stands in the windows, and only where none sees it."""

import importlib
from itertools import product

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.graph_programs import Writer, complaint, written
from zkynet import nn, op
from zkynet.framework.graph_mode.passes import PASSES
from zkynet.framework.graph_mode.passes.relu_after_pooling import relu_after_pooling

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.relu_after_pooling")
RNG = np.random.default_rng(0)
SPECIAL = np.array([0.0, -0.0, -1.0, -2.0, 1.0, 1.0, 2.0, np.nan, np.inf, -np.inf, 1e-310])
KERNELS = {  # kernel, stride, dilation
    "side by side": ((2, 2), (2, 2), (1, 1)),
    "overlapping": ((3, 3), (2, 2), (1, 1)),
    "with gaps": ((2, 2), (3, 3), (1, 1)),
    "dilated": ((2, 2), (2, 2), (2, 2)),
    "many": ((5, 4), (1, 2), (1, 1)),
}


def full_of_ties(shape, dtype="float64", values=SPECIAL):
    return RNG.choice(values, shape).astype(dtype)


class Pooled:
    """A relu, its pool and what comes back, step by step, so that a test can read what stands between."""

    def __init__(self, settings=KERNELS["side by side"], dtype="float64", lead=(), x=None, xp=None):
        self.w = w = Writer(*[xp] * (xp is not None))
        x = full_of_ties((2, 3, 8, 10), dtype) if x is None else x
        self.x = w("take", w.input(x), w.constant(np.arange(len(x))), 0)  # lies row by row
        self.y = w("relu", self.x)
        self.settings = settings
        self.largest, self.which = w("pool_max", self.y, *settings)
        self.g = w.input(full_of_ties((*lead, *self.largest.shape), dtype))

    def backward(self, size=None, settings=None):
        w = self.w
        settings = self.settings if settings is None else settings
        self.placed = w("pool_place", self.g, self.which, self.y.shape[-2:] if size is None else size, *settings)
        self.mask = w("greater", self.y, 0)
        self.gradient = w("select", self.mask, self.placed)
        return self

    def program(self, *more):
        return self.w.program(self.largest, *more)

    def assert_moved(self, *outputs):
        program = self.program(*outputs)
        after = relu_after_pooling(program)
        names = [step.function for step in after.steps]
        assert names.index("pool_max") < names.index("relu")
        shape = next(step for step in after.steps if step.function == "relu").outputs.shape
        assert shape == self.largest.shape
        assert complaint(program, self.w.arrays, relu_after_pooling) is None
        assert len({value.index for step in after.steps for value in step.makes}) == sum(
            len(step.makes) for step in after.steps
        )
        assert relu_after_pooling(after) is after

    def assert_left(self, *outputs):
        program = self.program(*outputs)
        assert relu_after_pooling(program) is program


@pytest.mark.parametrize("kernel, dtype, lead", [*product(KERNELS, ("float32", "float64"), ((), (3,), (2, 1)))])
def test_values_and_gradients_keep_every_bit(kernel, dtype, lead):
    pooled = Pooled(KERNELS[kernel], dtype, lead).backward()
    pooled.assert_moved(pooled.gradient)


def test_every_window_of_two_by_two_special_values():
    """All there can be in a window: ties, zeros of both signs, NaN, infinities, in every order."""
    few = np.array([0.0, -0.0, -1.0, -2.0, 1.0, 2.0, np.nan, np.inf, -np.inf])
    windows = np.array(list(product(few, repeat=4))).reshape(-1, 1, 2, 2)
    for dtype in ("float32", "float64"):
        pooled = Pooled(dtype=dtype, x=windows.astype(dtype)).backward()
        pooled.assert_moved(pooled.gradient)


def test_the_selection_is_of_the_pooled_cotangent():
    pooled = Pooled().backward()
    after = relu_after_pooling(pooled.program(pooled.gradient))
    sizes = {step.function: step.args[-1].shape for step in after.steps if step.function == "select"}
    assert sizes == {"select": pooled.g.shape}
    assert [step.function for step in after.steps][-2:] == ["select", "pool_place"]


def test_without_a_gradient_the_relu_moves_too():
    Pooled().assert_moved()


def test_two_gradients_with_a_mask_each():
    pooled = Pooled().backward()
    first = pooled.gradient
    pooled.g = pooled.w("negative", pooled.g)
    pooled.backward()
    pooled.assert_moved(first, pooled.gradient)


def test_the_input_may_be_read_by_others():
    pooled = Pooled().backward()
    pooled.assert_moved(pooled.gradient, pooled.w("exp", pooled.x))


# ---- where it has to stay ----


def read_twice(p):
    return (p.w("exp", p.y),)


def numbers_given_back(p):
    return (p.which,)


def numbers_read(p):
    return (p.w("add", p.which, 1),)


def numbers_picked_by(p):
    return (p.w("pool_pick", p.x, p.which, *p.settings),)


def placed_without_a_mask(p):
    return (p.backward().placed,)


def placed_and_read_twice(p):
    p.backward()
    return p.gradient, p.w("exp", p.placed)


def cut_by(p, mask):
    return (p.w("select", mask, p.w("pool_place", p.g, p.which, (8, 10), *p.settings)),)


def masked_by_another(p):
    return cut_by(p, p.w("greater", p.x, 0))


def cut_at_1(p):
    return cut_by(p, p.w("greater", p.y, 1.0))


def cut_at_an_array(p):
    return cut_by(p, p.w("greater", p.y, p.w("zeros", p.y.shape)))


def mask_given_back(p):
    p.backward()
    return p.gradient, p.mask


def mask_read(p):
    p.backward()
    return p.gradient, p.w("select", p.mask, p.x)


def relu_given_back(p):
    return (p.y,)


def placed_otherwise(p):
    return (p.backward(settings=((2, 2), (2, 2), (2, 2)), size=(9, 11)).gradient,)


STAYS = [read_twice, numbers_given_back, numbers_read, numbers_picked_by, placed_without_a_mask, placed_and_read_twice]
STAYS += [masked_by_another, cut_at_1, cut_at_an_array, mask_given_back, mask_read, relu_given_back]


@pytest.mark.parametrize("case", STAYS)
def test_it_stays_where_something_else_would_see_it(case):
    pooled = Pooled()
    pooled.assert_left(*case(pooled))


def test_it_stays_where_gradients_are_placed_otherwise():
    pooled = Pooled(x=full_of_ties((2, 3, 9, 11)))
    pooled.assert_left(*placed_otherwise(pooled))


def test_it_stays_where_the_mask_comes_before_the_pool():
    w = Writer()
    x = w("take", w.input(full_of_ties((1, 1, 4, 4))), w.constant(np.arange(1)), 0)
    y = w("relu", x)
    mask = w("greater", y, 0)
    largest, which = w("pool_max", y, *KERNELS["side by side"])
    placed = w("pool_place", w("exp", largest), which, (4, 4), *KERNELS["side by side"])
    program = w.program(w("select", mask, placed))
    assert relu_after_pooling(program) is program


def test_it_stays_where_pooling_makes_nothing_smaller():
    Pooled(((1, 1), (1, 1), (1, 1))).assert_left()


def test_it_stays_where_the_order_in_memory_is_not_known():
    w = Writer()
    largest, _ = w("pool_max", w("relu", w.input(full_of_ties((1, 4, 4)))), *KERNELS["side by side"])
    program = w.program(largest)
    assert relu_after_pooling(program) is program


def test_it_is_for_numpy_alone():
    pooled = Pooled(xp=backends_here.get("array_api_strict"), x=np.ones((1, 1, 4, 4))).backward()
    pooled.assert_left(pooled.gradient)


def test_halves_keep_the_sign_of_zero_in_relu_so_it_stays():
    pooled = Pooled(dtype="float16").backward()
    pooled.assert_left(pooled.gradient)


def test_the_given_program_stays_as_it_is():
    pooled = Pooled().backward()
    program = pooled.program(pooled.gradient)
    before = written(program)
    relu_after_pooling(program)
    assert written(program) == before


# ---- in a training step ----


def net():
    layers = nn.Conv2d(1, 4, 3, 0, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*layers, nn.Conv2d(4, 6, 3, 0, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten())


@pytest.mark.parametrize("order", [1, 2])
def test_a_compiled_gradient_is_the_eager_one(order):
    model, x = net(), full_of_ties((5, 1, 12, 12), "float32", np.array([0.0, -1.0, 1.0, 0.5]))

    def loss(model, x):
        return op.sum(op.square(model(x)))

    def penalty(model, x):
        return loss(model, x) + op.sum(op.square(zk.grad(loss, 1)(model, x)))

    f = zk.grad(loss if order == 1 else penalty)
    wanted = f(model, x)
    compiled = zk.compile(f, off=["lanes"])
    for _ in range(3):
        found = compiled(model, x)
    for name, gradient in wanted.items():
        assert np.asarray(found[name]).tobytes() == np.asarray(gradient).tobytes(), name
    source = compiled.source(model, x)
    moved = source.index("pool_max") < source.index("np.maximum")
    assert moved == (order == 1)


def test_the_plan_of_a_step_holds_less():
    model, x = net(), np.ones((64, 1, 24, 24), np.float32)

    def loss(model, x):
        return op.sum(op.square(model(x)))

    def nbytes(off):
        step = zk.compile(zk.value_and_grad(loss), off=["lanes", *off])
        for _ in range(2):
            step(model, x)
        text = step.explain()
        return float(text.split("memory of the plan: ")[1].split()[0])

    assert nbytes([]) < 0.85 * nbytes(["relu after pooling"])


def test_it_is_one_of_the_passes():
    assert PASSES["relu after pooling"] is relu_after_pooling


def test_without_the_question_of_the_sign_halves_would_differ(monkeypatch):
    monkeypatch.setattr(MODULE, "_drops_sign", lambda xp, dtype: True)
    windows = np.array(list(product([0.0, -0.0, -1.0], repeat=4))).reshape(-1, 1, 2, 2)
    pooled = Pooled(dtype="float16", x=windows.astype("float16"))
    assert complaint(pooled.program(), pooled.w.arrays, relu_after_pooling) is not None
