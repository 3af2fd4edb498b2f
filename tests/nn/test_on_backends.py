"""One source: layers have the same weights, values, gradients, draws and states on every backend."""

from __future__ import annotations

import copy
import functools
import pickle

import numpy as np
import pytest

import zkynet as zk
from support.layers import ACTIVATIONS, CONVOLUTIONS, NORMS, OTHERS, PAIRS, PICTURES, POOLS, host
from zkynet import nn
from zkynet.framework import op

# One of each kind: JAX compiles every new shape.
CHOSEN = (CONVOLUTIONS[2], CONVOLUTIONS[7], POOLS[2], POOLS[5], POOLS[8], NORMS[2], NORMS[5], NORMS[7], *OTHERS)


def arrays_of(model):
    return {name: host(each) for name, each in model.named_possessions((zk.Parameter, zk.State)).items()}


def outcome(model, inputs, dtype="float64"):
    """Value, gradients of inputs and parameters, and what the model owns afterwards, as NumPy arrays."""
    y, pull = zk.vjp(lambda m, *xs: m(*xs), model, *inputs)
    home = zk.backends.backend_of(y)
    g = np.cos(np.arange(np.prod(y.shape))).reshape(y.shape)
    own, *rest = pull(home.asarray(g, dtype=y.dtype))
    return [host(y), *map(host, own.values()), *map(host, rest), *arrays_of(model).values()]


def agree(ours, theirs, tolerance):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


def on(backend, make, inputs, dtype):
    """The outcome on a backend, for a model that is made there."""
    with zk.use_backend(backend):
        model = make(dtype)
        assert all(backend.owns(each.value) for each in model.parameters())
        xs = [backend.asarray(x if x.dtype.kind == "i" else x.astype(dtype)) for x in inputs]
        if inputs and inputs[0].dtype.kind == "i":  # integers have no gradient
            return outcome_of_weights(model, xs)
        return outcome(model, xs)


def outcome_of_weights(model, inputs):
    value, grads = zk.value_and_grad(lambda m: op.sum(op.sin(m(*inputs))))(model)
    return [host(value), *map(host, grads.values()), *arrays_of(model).values()]


@pytest.mark.parametrize("pair", CHOSEN, ids=lambda pair: pair.name)
def test_the_same_everywhere(pair, backend):
    if backend.name == "numpy":
        pytest.skip("the others are compared with NumPy")
    host_backend = zk.backends.get("numpy")
    ours, theirs = (on(each, pair.ours, pair.inputs, "float64") for each in (backend, host_backend))
    agree(ours, theirs, 1e-11)


def chain(dtype):
    """All entrywise activations, their values added up."""
    layers = [pair.ours(dtype) for pair in ACTIVATIONS if "GLU" not in pair.name]
    return zk.cg.Module.build("Chain", lambda x: functools.reduce(op.add, [layer(x) for layer in layers]), ["x"])


def test_activations_are_the_same_everywhere(backend):
    ours = on(backend, chain, (PICTURES[:1, :2, :2, :3],), "float64")
    theirs = on(zk.backends.get("numpy"), chain, (PICTURES[:1, :2, :2, :3],), "float64")
    agree(ours, theirs, 1e-11)


def noisy(dtype):
    generator = zk.Generator(3)
    return nn.Sequential(
        nn.Conv2d(4, 4, 1, generator, dtype=dtype),
        nn.Dropout(0.3, generator),
        nn.FeatureDropout(0.3, generator),
        nn.RReLU(generator),
        nn.AlphaDropout(0.2, generator),
    )


def test_a_seed_draws_the_same_noise_everywhere(backend):
    ours, theirs = (on(each, noisy, (PICTURES,), "float32") for each in (backend, zk.backends.get("numpy")))
    agree(ours, theirs, 1e-6)
    assert ours[-1] == 5  # draws, of the weights too


# ---- what every layer does ----


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_layers_are_float32_show_themselves_copy_and_pickle(pair):
    layer = pair.ours("float32")
    assert all(host(p).dtype == "float32" for p in layer.parameters())
    assert repr(layer).startswith(pair.name.split("(")[0].split()[0])
    inputs = [x if x.dtype.kind == "i" else x.astype("float32") for x in pair.inputs]
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    y = host(layer(*inputs))
    assert y.dtype == "float32"
    for other in copies:
        assert repr(other) == repr(layer) and np.array_equal(host(other(*inputs)), y)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_what_is_shown_makes_the_layer(pair):
    """A repr is the call that makes the layer, but for the generator that comes last of what draws."""
    layer = pair.ours("float32")
    shown = repr(layer)
    if isinstance(layer, (nn.Bilinear, nn.Embedding, *(type(each.ours("float32")) for each in CONVOLUTIONS))):
        shown = shown[:-1] + ", generator=0)"
    assert repr(eval(shown, vars(nn))) == repr(layer)


def test_a_layer_of_ones_own_shows_itself():
    class Halving(nn.Conv2d):
        def __init__(self, channels, stride=2):
            super().__init__(channels, channels, 3, 0, stride=stride, padding=1)

    assert repr(Halving(2)) == "Halving(2, 2, (3, 3), padding=(1, 1))"
    assert repr(Halving(2, 1)) == "Halving(2, 2, (3, 3), stride=(1, 1), padding=(1, 1))"


def test_models_move_with_their_states(backend):
    model = nn.Sequential(nn.BatchNorm(4), nn.Dropout(0.5, 1)).to(backend)
    model(backend.asarray(PICTURES.astype("float32")))
    owned = model.named_possessions((zk.Parameter, zk.State))
    names = ["weight", "bias", "running_mean", "running_var"]
    assert list(owned) == [*(f"layers.0.{name}" for name in names), "layers.1.generator"]
    assert all(backend.owns(owned[f"layers.0.{name}"].value) for name in names)
    before = arrays_of(model)
    after = arrays_of(model.to("numpy"))
    assert all(np.array_equal(before[name], after[name]) for name in before) and after["layers.1.generator"] == 1
