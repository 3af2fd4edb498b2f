"""Parameter groups and weight decay: which settings hold for which parameter, and what is refused."""

import pickle

import numpy as np
import pytest

import zkynet as zk
from zkynet import backends, models, optim
from zkynet.framework import op
from zkynet.optim import SGD, Adam, AdamW, Muon, schedules


def host(x):
    return backends.backend_of(x).to_numpy(x)


def net():
    return models.fcn((3, 4, 2), seed=0)


def ones(model):
    return {name: np.ones_like(p.value) for name, p in model.trainable_parameters().items()}


def moves(optimizer, model, steps=1):
    """How far every parameter moves along gradients of ones."""
    before = {name: np.array(p.value) for name, p in model.named_parameters().items()}
    for _ in range(steps):
        optimizer.update(model, ones(model))
    return {name: before[name] - p.value for name, p in model.named_parameters().items()}


def test_a_path_a_module_and_a_function_choose():
    by_shape = {lambda path, parameter: len(parameter.shape) == 1: {"lr": 0.5}}
    for groups in ({"*.bias": {"lr": 0.5}}, [("*.bias", {"lr": 0.5})], by_shape):
        found = moves(SGD(0.1, groups=groups), net())
        for name, move in found.items():
            assert np.allclose(move, 0.5 if name.endswith("bias") else 0.1)
    found = moves(SGD(0.1, groups={"layers.2": {"lr": 0.5}}), net())
    for name, move in found.items():
        assert np.allclose(move, 0.5 if name.startswith("layers.2") else 0.1)


def test_of_several_groups_the_later_ones_win_setting_by_setting():
    model = net()
    weights = {name: np.array(p.value) for name, p in model.named_parameters().items()}
    groups = {"*": {"weight_decay": 0.5, "lr": 0.2}, "*.bias": {"weight_decay": 0.0}, "layers.2.*": {"lr": 0.3}}
    for name, move in moves(SGD(0.1, groups=groups), model).items():
        lr = 0.3 if name.startswith("layers.2") else 0.2
        decay = 0.0 if name.endswith("bias") else 0.5
        assert np.allclose(move, lr * (1 + decay * weights[name]))


def test_lr_factor_follows_the_learning_rate_of_all():
    optimizer, model = SGD(0.1, groups={"*.bias": {"lr_factor": 10.0}}), net()
    assert np.allclose(moves(optimizer, model)["layers.0.bias"], 1.0)
    optimizer.lr = 0.01
    found = moves(optimizer, model)
    assert np.allclose(found["layers.0.bias"], 0.1) and np.allclose(found["layers.0.weight"], 0.01, atol=1e-6)
    optimizer.lr = schedules.Step(1.0, every=3, factor=0.5)
    assert np.allclose(moves(optimizer, model)["layers.0.bias"], 10.0)
    assert np.allclose(moves(optimizer, model)["layers.0.bias"], 5.0)


def test_a_setting_assigned_later_reaches_the_groups():
    optimizer, model = SGD(0.1, groups={"bias": {"lr": 0.5}}), Weights(np.ones(2))
    model.bias = zk.Parameter("bias", np.ones(2))
    moves(optimizer, model)
    optimizer.weight_decay = 1.0
    optimizer.update(model, {"p": np.zeros(2), "bias": np.zeros(2)})
    assert np.allclose(model.p.value, 0.9 * 0.9) and np.allclose(model.bias.value, 0.5 * 0.5)


def test_slots_may_differ_between_groups():
    optimizer, model = SGD(0.1, groups={"*.bias": {"momentum": 0.9}}), net()
    found = moves(optimizer, model, steps=2)
    assert set(optimizer.state["velocity"]) == {"layers.0.bias", "layers.2.bias"}
    assert np.allclose(found["layers.0.bias"], 0.29) and np.allclose(found["layers.0.weight"], 0.2, atol=1e-6)
    resumed = SGD(0.1, groups={"*.bias": {"momentum": 0.9}})
    resumed.load_state_dict(optimizer.state_dict())
    assert np.allclose(moves(resumed, model)["layers.0.bias"], 0.271)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop", "Adagrad", "Adadelta", "Lion"])
def test_groups_are_the_optimizer_with_other_settings_on_every_backend(name, backend):
    """Each half of the model as if it had an optimizer of its own."""
    kind, settings = getattr(optim, name), {"lr": 0.01, "weight_decay": 0.1}
    with zk.use_backend(backend):
        model, first, second = net(), net(), net()
    grouped = kind(**settings, groups={"layers.2": {"lr": 0.05, "weight_decay": 0.0}})
    one, two = kind(**settings), kind(lr=0.05)
    two.weight_decay = 0.0
    for _ in range(3):
        for each, its in ((model, grouped), (first, one), (second, two)):
            its.update(each, {n: backend.asarray(np.cos(host(p.value))) for n, p in each.named_parameters().items()})
    for path, p in model.named_parameters().items():
        expected = (second if path.startswith("layers.2") else first).param(path)
        assert np.allclose(host(p.value), host(expected.value), atol=1e-7)
        assert not np.array_equal(host(p.value), host(net().param(path).value))


def test_muon_leaves_to_adamw_what_a_group_says():
    model, other = net(), net()
    optimizer = Muon(0.01, groups={"layers.0": {"orthogonal": False}})
    adamw = AdamW(0.01, weight_decay=0.1)
    found, expected = moves(optimizer, model, 3), moves(adamw, other, 3)
    for name in ("layers.0.weight", "layers.0.bias", "layers.2.bias"):
        assert np.array_equal(found[name], expected[name])
    assert not np.allclose(found["layers.2.weight"], expected["layers.2.weight"])
    assert set(optimizer.state["momenta"]) == {"layers.2.weight"}
    assert set(optimizer.state["squares"]) == {"layers.0.weight", "layers.0.bias", "layers.2.bias"}


def test_arrays_that_somebody_holds_keep_their_numbers_in_groups_too():
    model, optimizer = net(), Adam(0.1, weight_decay=0.1, groups={"*.bias": {"weight_decay": 0.0}})
    grads = ones(model)
    for _ in range(2):
        held = {name: (p.value, np.array(p.value)) for name, p in model.named_parameters().items()}
        optimizer.update(model, grads)
        assert all(np.array_equal(now, before) for now, before in held.values())
    assert all(np.array_equal(g, np.ones_like(g)) for g in grads.values())


def test_a_predicate_that_pickles_goes_with_its_optimizer():
    optimizer = pickle.loads(pickle.dumps(SGD(0.1, groups={_is_bias: {"lr": 0.5}})))
    assert np.allclose(moves(optimizer, net())["layers.0.bias"], 0.5)


def _is_bias(path, parameter):
    return path.endswith("bias")


def test_all_that_muon_leaves_to_adamw_is_one_part():
    model, optimizer = net(), Muon(0.01)
    moves(optimizer, model)
    parts = optimizer._parts(model, list(model.named_parameters()))
    assert [type(part.optimizer).__name__ for part in parts] == ["Muon", "AdamW"]


def test_a_model_that_changes_is_assigned_anew():
    model, optimizer = Weights(np.ones(2)), SGD(0.1, groups={lambda path, p: len(p.shape) == 1: {"lr": 0.5}})
    moves(optimizer, model)
    model.other = zk.Parameter("other", np.ones((2, 2)))
    found = moves(optimizer, model)
    assert np.allclose(found["p"], 0.5) and np.allclose(found["other"], 0.1)


def test_a_class_of_ones_own_takes_decay_and_groups():
    class Signed(optim.Optimizer):
        rule = staticmethod(lambda xp, p, g, lr: (p - lr * xp.sign(g),))

        def __init__(self, speed, weight_decay=0.0, groups=None):
            self.speed = speed
            super().__init__(speed, weight_decay, groups)

        def numbers(self, t, lr):
            return (self.speed,)

    assert repr(Signed(0.5)) == "Signed(speed=0.5)"
    model = Weights(np.array([2.0, 0.1]))
    Signed(0.5, weight_decay=1.0, groups={"p": {"speed": 0.25}}).update(model, {"p": np.array([-1.0, -0.2])})
    assert np.allclose(model.p.value, [1.75, 0.35])


# ---- weight decay ----


def test_decay_in_the_gradient_and_decoupled_from_it():
    """With a gradient of zero Adam moves by lr along the sign of the weights, AdamW by their share."""
    start = np.array([1.0, -2.0])
    for kind, after in ((Adam, start - 0.1 * np.sign(start)), (AdamW, start * (1 - 0.1 * 0.5))):
        model = Weights(start)
        kind(0.1, weight_decay=0.5).update(model, {"p": np.zeros(2)})
        assert np.allclose(model.p.value, after)


class Weights(zk.Module):
    def __init__(self, p):
        self.p = zk.Parameter("p", p)


def test_decay_of_complex_weights():
    model = Weights(np.array([1 + 1j]))
    SGD(0.1, weight_decay=0.5).update(model, {"p": np.array([0j])})
    assert np.allclose(model.p.value, 0.95 + 0.95j)


# ---- what is refused ----


@pytest.mark.parametrize(
    "groups, error, words",
    [
        ({"*.bias": {"weight_decey": 0.0}}, TypeError, "(?s)'weight_decey' for '\\*.bias'.*weight_decay"),
        ({"*.bias": {"lr": -1}}, ValueError, "lr is out of range"),
        ({"*.bias": {"betas": (0.9, 2.0)}}, ValueError, r"betas\[1\] is out of range"),
        ({"*.bias": {"lr_factor": 0.0}}, ValueError, "lr_factor is out of range"),
        ({"*.bias": 0.1}, TypeError, "settings of a group are a dict"),
        ({3: {"lr": 0.1}}, TypeError, "a path or for what a function chooses"),
    ],
)
def test_groups_that_cannot_be(groups, error, words):
    with pytest.raises(error, match=words):
        Adam(groups=groups)


def test_a_group_for_nothing_is_refused_before_anything_moves():
    model, optimizer = net(), Adam(groups={"*.bais": {"weight_decay": 0.0}})
    with pytest.raises(ValueError, match=r"(?s)for no parameter.*'\*.bais'.*layers.0.bias"):
        optimizer.update(model, ones(model))
    assert optimizer.state["step"] == 0 and np.array_equal(model[0].weight.value, net()[0].weight.value)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: SGD(0.1, weight_decay=-1), "weight_decay"),
        (lambda: SGD(0.1, momentum=0.9, dampening=2), "dampening"),
        (lambda: optim.NAdam(momentum_decay=-1), "momentum_decay"),
        (lambda: optim.RMSprop(alpha=1), "alpha"),
        (lambda: optim.RMSprop(eps=0), "eps"),
        (lambda: optim.RMSprop(momentum=1), "momentum"),
        (lambda: optim.Adagrad(lr_decay=-1), "lr_decay"),
        (lambda: optim.Adagrad(initial=-1), "initial"),
        (lambda: optim.Adadelta(rho=1), "rho"),
        (lambda: optim.Lion(betas=(1, 0.9)), r"betas\[0\]"),
        (lambda: Muon(steps=0), "steps"),
        (lambda: Muon(momentum=1), "momentum"),
        (lambda: AdamW(weight_decay=float("nan")), "weight_decay"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=f"{words} is out of range"):
        make()


def test_settings_that_do_not_go_together():
    for settings in ({}, {"momentum": 0.9, "dampening": 0.1}):
        with pytest.raises(ValueError, match="nesterov needs momentum, and no dampening"):
            SGD(0.1, nesterov=True, **settings)
    with pytest.raises(ValueError, match="unknown size"):
        Muon(size="large")
    with pytest.raises(ValueError, match="three numbers"):
        Muon(coefficients=(1, 2))


# ---- parameters that are frozen ----


@pytest.mark.parametrize("make", [lambda: Adam(0.1), lambda: SGD(0.1, momentum=0.9, dampening=0.5)])
def test_a_parameter_that_comes_in_late_begins_with_its_own_first_step(make):
    model, optimizer = net().freeze("layers.0"), make()
    moves(optimizer, model, 5)
    model.unfreeze()
    found, expected = moves(optimizer, model), moves(make(), net())
    assert np.allclose(found["layers.0.weight"], expected["layers.0.weight"])
    assert optimizer.state["began"] == {"layers.0.weight": 5, "layers.0.bias": 5}
    resumed = make()
    resumed.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    again = pickle.loads(pickle.dumps(model))
    found, same = moves(optimizer, model), moves(resumed, again)
    assert all(np.array_equal(found[name], same[name]) for name in found)


def test_the_slots_of_a_frozen_parameter_wait():
    model, optimizer = net(), Adam(0.1)
    moves(optimizer, model, 2)
    kept = np.array(optimizer.state["squares"]["layers.0.weight"])
    found = moves(optimizer, model.freeze("layers.0"), 2)
    assert not found["layers.0.weight"].any() and found["layers.2.weight"].any()
    assert np.array_equal(optimizer.state["squares"]["layers.0.weight"], kept)
    assert moves(optimizer, model.unfreeze())["layers.0.weight"].any()


def test_training_with_a_frozen_half():
    x, y = np.ones((5, 3), np.float32), np.array([0, 1, 0, 1, 1])
    model = net().freeze("layers.0.*")
    loss = zk.value_and_grad(lambda model: op.softmax_cross_entropy(model(x), y))
    optimizer = AdamW(0.1, groups={"layers.0": {"weight_decay": 1.0}, "*.bias": {"lr_factor": 0.5}})
    first, last = loss(model)[0], None
    for _ in range(10):
        last, grads = loss(model)
        optimizer.update(model, grads)
    assert last < first and np.array_equal(model[0].weight.value, net()[0].weight.value)
