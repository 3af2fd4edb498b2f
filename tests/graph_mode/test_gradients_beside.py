"""Gradients that a plan writes side by side: the optimizer's rule then runs once, over values and moments."""

import copy

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, optim
from zkynet.backends import numpy_update
from zkynet.backends.numpy_slab import Slab
from zkynet.framework import op
from zkynet.framework.graph_mode import gradients

X = np.random.default_rng(0).normal(size=(8, 20)).astype("float32")
LABELS = np.arange(8) % 3


def make_model(hidden=500):
    """Weights of 10,000 and 1,500 entries, and biases."""
    return nn.Sequential(nn.Linear(20, hidden, 0), nn.Tanh(), nn.Linear(hidden, 3, 1))


def make_step(model, optimizer, compiled=True, more=lambda grads: None):
    def step(x, labels):
        loss, grads = zk.value_and_grad(lambda model: op.softmax_cross_entropy(model(x), labels))(model)
        kept = more(grads)
        optimizer.update(model, grads)
        return loss, kept

    return zk.compile(step, deterministic=True) if compiled else step


def trained(step, times=4):
    return [step(X, LABELS) for _ in range(times)]


@pytest.fixture
def rules(monkeypatch):
    """How many entries each call of a rule had."""
    found = []
    work = numpy_update._work

    def counted(xp, rule, blocks):
        found.append([g.size for _, g, _ in blocks])
        work(xp, rule, blocks)

    monkeypatch.setattr(numpy_update, "_work", counted)
    return found


@pytest.mark.parametrize("make", [optim.Adam, lambda: optim.SGD(0.1, momentum=0.9), lambda: optim.AdamW(0.01)])
def test_an_update_is_one_call_over_contiguous_memory(make, rules):
    model, optimizer = make_model(), make()
    step = make_step(model, optimizer)
    trained(step)
    assert rules[-1] == [20 * 500 + 500 + 500 * 3 + 3]
    slabs = {id(p._value.base) for p in model.parameters()}
    assert len(slabs) == 1 and type(model.layers[0].weight._value.base) is Slab
    other, eager = make_model(), make()
    trained(make_step(other, eager, compiled=False))
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.value, q.value, rtol=0, atol=1e-6)


def test_the_bits_are_those_of_gradients_that_stand_apart(monkeypatch):
    def run():
        model, optimizer = make_model(), optim.Adam(0.01)
        losses = trained(make_step(model, optimizer), 6)
        return [np.array(p.value) for p in model.parameters()], [float(loss) for loss, _ in losses]

    beside = run()
    monkeypatch.setattr("zkynet.framework.graph_mode.buffers.rows_of", lambda life: [])
    apart = run()
    assert beside[1] == apart[1]
    for x, y in zip(beside[0], apart[0], strict=True):
        np.testing.assert_array_equal(x, y, strict=True)


def test_a_row_is_no_longer_than_a_block(monkeypatch, rules):
    monkeypatch.setattr(gradients, "UPDATE_BLOCK", 2000)
    trained(make_step(make_model(), optim.SGD(0.1)))
    assert sorted(rules[-1]) == [3, 500 + 500 * 3, 20 * 500]


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_gradient_that_leaves_the_step_keeps_its_numbers(name):
    model = make_model()

    def taken(grads):
        (found,) = [g for key, g in grads.items() if key.endswith(name) and np.shape(g)[-1] == 3]
        return found

    step = make_step(model, optim.SGD(0.1), more=taken)
    results = trained(step)
    copies = [np.array(kept) for _, kept in results]
    other = make_model()
    expected = trained(make_step(other, optim.SGD(0.1), compiled=False, more=taken))
    trained(step)
    for (_, kept), before, (_, eager) in zip(results, copies, expected, strict=True):
        np.testing.assert_array_equal(kept, before)
        np.testing.assert_allclose(kept, eager, rtol=0, atol=1e-6)


def test_values_that_somebody_holds_keep_their_numbers():
    model, optimizer = make_model(), optim.Adam(0.1)
    step = make_step(model, optimizer)
    trained(step)
    held = model.layers[0].weight.value
    before, state = np.array(held), optimizer.state_dict()
    moments = copy.deepcopy(state)
    trained(step)
    assert np.array_equal(held, before) and not np.array_equal(model.layers[0].weight.value, before)
    np.testing.assert_equal(state, moments)


def test_eager_and_compiled_steps_take_turns():
    model, other = make_model(), make_model()
    optimizer, alone = optim.Adam(0.01), optim.Adam(0.01)
    compiled, eager = make_step(model, optimizer), make_step(model, optimizer, compiled=False)
    expected = make_step(other, alone, compiled=False)
    for way in (compiled, compiled, eager, compiled, eager, eager, compiled):
        way(X, LABELS)
        expected(X, LABELS)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.value, q.value, rtol=0, atol=2e-6)


class Two(zk.Module):
    def __init__(self):
        self.a, self.b = (zk.Parameter(name, np.full((3, 1), x)) for name, x in (("a", 1.0), ("b", 2.0)))

    def call(self, x):
        return op.sum((self.a * self.a + self.b * self.b) * x)


@pytest.mark.parametrize("as_view", [False, True])
@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("make", [lambda: optim.AdamW(0.01, weight_decay=0.1), lambda: optim.SGD(0.1, momentum=0.9)])
def test_values_that_an_update_has_made_may_be_the_gradients_of_the_next(make, names, as_view):
    def trained(compiled):
        model, first, second = Two(), optim.SGD(0.1), make()

        def step(x):
            loss, grads = zk.value_and_grad(lambda model: model(x))(model)
            first.update(model, grads)
            values = [getattr(model, name).value for name in names]
            if as_view:
                values = [op.reshape(op.reshape(value, (3,)), (3, 1)) for value in values]
            second.update(model, dict(zip("ab", values, strict=True)))
            return loss

        step = zk.compile(step, deterministic=True) if compiled else step
        for _ in range(5):
            step(np.ones((3, 1)))
        return [np.array(p.value) for p in model.parameters()]

    for got, want in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
