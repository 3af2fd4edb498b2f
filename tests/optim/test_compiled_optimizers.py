"""compiled_step with every optimizer: the steps of the eager one; groups, schedules, parameters that come late."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import models, optim
from zkynet.framework import op
from zkynet.optim import SGD, Adam, AdamW, Lion, Muon, schedules
from zkynet.train import compiled_step
from zkynet.train.precision import Precision

X = np.sin(np.arange(18.0, dtype=np.float32)).reshape(6, 3)
LABELS = np.arange(6) % 2

MAKERS = {
    "sgd": lambda: SGD(0.1, weight_decay=0.1),
    "dampening": lambda: SGD(0.1, momentum=0.9, dampening=0.3),
    "nesterov": lambda: SGD(0.1, momentum=0.9, nesterov=True),
    "amsgrad": lambda: Adam(0.1, amsgrad=True, weight_decay=0.1),
    "adamw": lambda: AdamW(0.1),
    "nadam": lambda: optim.NAdam(0.1),
    "rmsprop": lambda: optim.RMSprop(0.1, centered=True, momentum=0.9),
    "adagrad": lambda: optim.Adagrad(0.1, lr_decay=0.1),
    "adadelta": lambda: optim.Adadelta(),
    "lion": lambda: Lion(0.1, weight_decay=0.1),
    "muon": lambda: Muon(0.1),
    "groups": lambda: AdamW(
        schedules.WarmUp(0.1, 3), groups={"*.bias": {"weight_decay": 0.0}, "layers.2": {"lr_factor": 0.1}}
    ),
}


@pytest.fixture
def jax():
    """The backend: the one here that compiles."""
    return backends_here.get("jax")


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def net():
    return models.fcn((3, 4, 2), seed=0).to("jax")


def eager(model, optimizer):
    value, grads = zk.value_and_grad(loss)(model, X, LABELS)
    optimizer.update(model, grads)
    return value


def assert_same(ours, theirs):
    others = theirs.named_parameters()
    for name, p in ours.named_parameters().items():
        np.testing.assert_allclose(np.array(p.value), np.array(others[name].value), rtol=3e-5, atol=3e-6)


@pytest.mark.slow  # JAX compiles each
@pytest.mark.parametrize("name", MAKERS)
def test_compiled_steps_are_the_eager_ones(name, jax):
    (ours, mine), (theirs, its) = [(net(), MAKERS[name]()) for _ in range(2)]
    step = compiled_step(ours, mine, loss)
    for _ in range(4):
        np.testing.assert_allclose(step(X, LABELS), eager(theirs, its), rtol=1e-5)
    assert_same(ours, theirs)
    assert "1 programs" in repr(step) and mine.state["step"] == 4
    for slot in mine.state.keys() - {"step"}:
        assert mine.state[slot].keys() == its.state[slot].keys()


def test_parameters_may_come_in_late(jax):
    make = lambda: Adam(0.1, groups={"*.bias": {"lr": 0.01}})  # noqa: E731
    (ours, mine), (theirs, its) = [(net().freeze("layers.0"), make()) for _ in range(2)]
    step = compiled_step(ours, mine, loss)
    for i in range(6):
        if i == 3:
            ours.unfreeze(), theirs.unfreeze()
        step(X, LABELS)
        eager(theirs, its)
    assert_same(ours, theirs)
    assert mine.state["began"] == its.state["began"] == {"layers.0.weight": 3, "layers.0.bias": 3}


def test_a_setting_may_change(jax):
    (ours, mine), (theirs, its) = [(net(), Muon(0.1)) for _ in range(2)]
    step = compiled_step(ours, mine, loss)
    for size in ("rms", "ratio"):
        mine.size = its.size = size
        step(X, LABELS)
        eager(theirs, its)
    assert_same(ours, theirs)


def test_a_group_for_nothing_is_refused(jax):
    model = net()
    with pytest.raises(ValueError, match="for no parameter"):
        compiled_step(model, SGD(0.1, groups={"head": {"lr": 1.0}}), loss)(X, LABELS)


def test_narrow_numbers_in_a_compiled_step(jax):
    model = Precision("bfloat16").wrap(net())
    optimizer = Adam(0.05)
    step = compiled_step(model, optimizer, loss)
    values = [float(step(X, LABELS)) for _ in range(20)]
    assert values[-1] < 0.7 * values[0] and model.model[0].weight.value.dtype == "float32"


def test_gradients_may_be_changed_on_the_way(jax):
    (ours, mine), (theirs, its) = [(net(), SGD(1.0)) for _ in range(2)]
    step = compiled_step(ours, mine, loss, change=lambda grads: optim.clip_by_norm(grads, 0.1)[0])
    for _ in range(3):
        step(X, LABELS)
        _, grads = zk.value_and_grad(loss)(theirs, X, LABELS)
        its.update(theirs, optim.clip_by_norm(grads, 0.1)[0])
    assert_same(ours, theirs)


def test_gradients_are_changed_where_nothing_compiles():
    model, other = models.fcn((3, 4, 2), seed=0), models.fcn((3, 4, 2), seed=0)
    compiled_step(model, SGD(1.0), loss, change=lambda grads: {name: 0 * g for name, g in grads.items()})(X, LABELS)
    assert np.array_equal(model[0].weight.value, other[0].weight.value)
