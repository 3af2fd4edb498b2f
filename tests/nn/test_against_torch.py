"""Layers give what torch's layers give, values and gradients, where torch is installed."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.layers import NORMS, PAIRS, host, randomized
from zkynet import nn

torch = pytest.importorskip("torch", reason="torch is not installed here: nothing to compare with")
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
LOOSE = {"Hardsigmoid() 4": "float32"}  # torch's slope in double precision is 1/6 in single precision
RNG = np.random.default_rng(1)


def twin(pair, dtype):
    """The layer and torch's, with the same weights."""
    ours, theirs = randomized(pair.ours(dtype)), pair.theirs(torch).to(getattr(torch, dtype))
    named = dict(theirs.named_parameters())
    assert set(ours.named_parameters()) == set(named)
    with torch.no_grad():
        for name, parameter in ours.named_parameters().items():
            named[name].copy_(torch.tensor(host(parameter)))
    return ours, theirs


def close(ours, theirs, dtype, tolerance=None):
    """Agreement relative to the largest entry, or to 1."""
    ours, theirs = host(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == dtype
    tolerance = TOLERANCE[dtype] if tolerance is None else tolerance
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max(initial=0)))


def compare(ours, theirs, inputs, dtype, tolerance=None):
    """Values and gradients of all inputs and parameters agree."""
    xs = [x if x.dtype.kind == "i" else x.astype(dtype) for x in inputs]
    floats = [i for i, x in enumerate(xs) if x.dtype.kind == "f"]

    def run(model, *chosen):
        given = dict(zip(floats, chosen, strict=True))
        return model(*(given.get(i, x) for i, x in enumerate(xs)))

    y, pull = zk.vjp(run, ours, *(xs[i] for i in floats))
    tensors = [torch.tensor(x, requires_grad=i in floats) for i, x in enumerate(xs)]
    truth = theirs(*tensors)
    close(y, truth.detach(), dtype, tolerance)
    g = RNG.normal(size=y.shape).astype(dtype)
    wanted = [*theirs.parameters(), *(tensors[i] for i in floats)]
    names = [name for name, _ in theirs.named_parameters()]
    grads = torch.autograd.grad(truth, wanted, torch.tensor(g)) if wanted else ()
    own, *of_inputs = pull(g)
    for ours_, theirs_ in zip([*(own[name] for name in names), *of_inputs], grads, strict=True):
        close(ours_, theirs_, dtype, tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_values_and_gradients(pair, dtype):
    compare(*twin(pair, dtype), pair.inputs, dtype, TOLERANCE[LOOSE.get(pair.name, dtype)])


@pytest.mark.parametrize("pair", [pair for pair in NORMS if "Batch" in pair.name], ids=lambda pair: pair.name)
def test_running_statistics(pair):
    ours, theirs = twin(pair, "float64")
    for scale in (1.0, 3.0):
        compare(ours, theirs, [scale * x + scale for x in pair.inputs], "float64")
        close(ours.running_mean, theirs.running_mean, "float64")
        close(ours.running_var, theirs.running_var, "float64")
    kept = host(ours.running_mean)
    compare(ours.eval(), theirs.eval(), pair.inputs, "float64")
    np.testing.assert_array_equal(host(ours.running_mean), kept)


def test_plain_averages_of_all_batches():
    ours, theirs = nn.BatchNorm(4, momentum=None, affine=False), torch.nn.BatchNorm1d(4, momentum=None, affine=False)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(3, 4)).astype("float32")
        compare(ours, theirs, [x], "float32")
        assert host(ours.batches) == theirs.num_batches_tracked == seed + 1
        close(ours.running_mean, theirs.running_mean, "float32")
        close(ours.running_var, theirs.running_var, "float32")


def test_dropout_in_evaluation():
    x = RNG.normal(size=(3, 4))
    for ours, theirs in ((nn.Dropout(0.5, 0), torch.nn.Dropout(0.5)), (nn.RReLU(0), torch.nn.RReLU())):
        compare(ours.eval(), theirs.eval(), [x], "float64")
