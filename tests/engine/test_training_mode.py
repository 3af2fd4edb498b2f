"""Module.train, eval, freeze and unfreeze: what they set, and what transforms and optimizers make of it."""

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, optim
from zkynet.framework import op

X = np.array([[0.5, -0.2, 0.3]], np.float32)


class Doubling(zk.Module):
    """Twice its input while it is trained."""

    def call(self, x):
        return x * 2.0 if self.training else x


def model():
    return nn.Sequential(nn.Linear(3, 4, 0), Doubling(), nn.Linear(4, 2, 1))


def loss(net, x):
    return op.sum(net(x) ** 2)


def test_train_and_eval_reach_every_module():
    net = model()
    assert net.training and net[1].training
    trained = net(X).value
    assert net.eval() is net
    assert not net.training and not net[0].training and not net[1].training
    x = net[0](X).value
    np.testing.assert_allclose(net(X).value, net[2](x).value)
    np.testing.assert_allclose(net.train()(X).value, trained)
    np.testing.assert_allclose(trained, net[2](2 * x).value)


def test_train_takes_a_flag():
    assert not model().train(False)[1].training
    with pytest.raises(TypeError, match="True or False"):
        model().train(X)


def test_frozen_parameters_are_constants():
    net = model().freeze("layers.0")
    assert not net[0].weight.trainable and not net[0].bias.trainable and net[2].weight.trainable
    value, grads = zk.value_and_grad(loss)(net, X)
    assert list(grads) == ["layers.2.weight", "layers.2.bias"]
    whole_value, whole = zk.value_and_grad(loss)(net.unfreeze(), X)
    assert value == whole_value and len(whole) == 4
    for name, g in grads.items():
        np.testing.assert_array_equal(g, whole[name])
    assert list(net.named_parameters()) == list(whole)


def test_a_frozen_parameter_can_still_be_asked_for():
    net = model().freeze()
    assert zk.grad(loss)(net, X) == {}
    weight = zk.grad(lambda w: loss(net, X))(net[2].weight)
    np.testing.assert_array_equal(weight, zk.grad(loss)(net.unfreeze(), X)["layers.2.weight"])


def test_the_graph_shows_every_gradient():
    net = model().freeze("*.bias")
    assert list(net.trainable_parameters()) == ["layers.0.weight", "layers.2.weight"]
    shown = net(X).back().grad(net[2].bias)
    np.testing.assert_array_equal(shown, np.eye(2)[None])


def test_a_path_of_no_parameter():
    with pytest.raises(ValueError, match=r"no parameter on the path 'layers.1'(.|\n)*layers.0.weight"):
        model().freeze("layers.2", "layers.1")
    net = model()
    with pytest.raises(ValueError):
        net.freeze("layers.2", "nowhere")
    assert all(p.trainable for p in net.parameters())


@pytest.mark.parametrize("make", [lambda: optim.SGD(0.1, 0.9), lambda: optim.Adam(0.1)])
@pytest.mark.parametrize("compiled", [False, True])
def test_optimizers_leave_frozen_parameters_alone(make, compiled, backend):
    net, optimizer = model().to(backend), make()
    x = backend.asarray(X)
    if compiled:
        step = zk.train.compiled_step(net, optimizer, loss)
    else:

        def step(x):
            value, grads = zk.value_and_grad(loss)(net, x)
            optimizer.update(net, grads)
            return value

    def values():
        return {name: np.array(backend.to_numpy(p.value)) for name, p in net.named_parameters().items()}

    step(x)
    net.freeze("layers.0")
    before = values()
    step(x)
    after = values()
    for name in before:
        assert np.array_equal(before[name], after[name]) == name.startswith("layers.0")
    net.unfreeze()
    step(x)
    assert not any(np.array_equal(after[name], new) for name, new in values().items())
