"""Activations as layers: closed forms where torch is not needed, weights, noise, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

import zkynet as zk
from support.layers import MATRIX, PICTURES, host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op

X = np.array([-7.0, -2.0, -0.3, 0.2, 1.5, 7.0])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(x, alpha, rate=1.0):
    return np.where(x > 0, x, alpha * np.expm1(rate * np.minimum(x, 0)))


PHI = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in X])
FORMS = [
    (nn.ReLU6(), np.clip(X, 0, 6)),
    (nn.LeakyReLU(0.2), np.where(X > 0, X, 0.2 * X)),
    (nn.RReLU(0, 0.1, 0.5).eval(), np.where(X > 0, X, 0.3 * X)),
    (nn.PReLU(), np.where(X > 0, X, 0.25 * X)),
    (nn.ELU(0.5), elu(X, 0.5)),
    (nn.CELU(0.5), elu(X, 0.5, 2.0)),
    (nn.SELU(), 1.0507009873554805 * elu(X, 1.6732632423543772)),
    (nn.GELU(), X * PHI),
    (nn.GELU(approximate=True), X * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3))) / 2),
    (nn.SiLU(), X * sigmoid(X)),
    (nn.Mish(), X * np.tanh(np.log1p(np.exp(X)))),
    (nn.Softplus(2.0), np.log1p(np.exp(2 * X)) / 2),
    (nn.Softsign(), X / (1 + np.abs(X))),
    (nn.Sigmoid(), sigmoid(X)),
    (nn.LogSigmoid(), np.log(sigmoid(X))),
    (nn.Hardsigmoid(), np.clip(X + 3, 0, 6) / 6),
    (nn.Hardswish(), X * np.clip(X + 3, 0, 6) / 6),
    (nn.Hardtanh(-2, 0.5), np.clip(X, -2, 0.5)),
    (nn.Softmax(), np.exp(X) / np.exp(X).sum()),
    (nn.LogSoftmax(), X - np.log(np.exp(X).sum())),
    (nn.GLU(), X[:3] * sigmoid(X[3:])),
    (nn.SwiGLU(), X[:3] * sigmoid(X[:3]) * X[3:]),
    (nn.GEGLU(), X[:3] * PHI[:3] * X[3:]),
    (nn.Maxout(3, axis=0), [-0.3, 7.0]),
]


@pytest.mark.parametrize("layer, expected", FORMS, ids=lambda x: repr(x) if isinstance(x, zk.Module) else "")
def test_closed_forms(layer, expected):
    np.testing.assert_allclose(host(layer(X)), expected, rtol=2e-12, atol=1e-15)


def test_axes():
    for make, f in ((nn.Softmax, op.softmax), (nn.GLU, op.glu), (nn.SwiGLU, op.swiglu), (nn.GEGLU, op.geglu)):
        np.testing.assert_array_equal(host(make(1)(PICTURES)), host(f(PICTURES, 1)))
    np.testing.assert_array_equal(host(nn.Maxout(2)(PICTURES)), PICTURES.reshape(2, 2, 2, 6, 5).max(2))


def test_prelu_trains_one_slope_a_channel():
    layer = nn.PReLU(4, dtype="float64")
    assert np.array_equal(host(layer.weight), np.full(4, 0.25)) and nn.PReLU().weight.value.shape == ()
    layer.weight.value = np.arange(4.0)
    slopes = np.arange(4.0)[:, None, None]
    np.testing.assert_allclose(host(layer(PICTURES)), np.where(PICTURES > 0, PICTURES, slopes * PICTURES))
    grads = zk.grad(lambda m: op.sum(m(PICTURES)))(layer)
    np.testing.assert_allclose(grads["weight"], np.minimum(PICTURES, 0).sum((0, 2, 3)), rtol=1e-12)
    whole = zk.grad(lambda m: op.sum(m(MATRIX)))(nn.PReLU(dtype="float64"))
    np.testing.assert_allclose(whole["weight"], np.minimum(MATRIX, 0).sum(), rtol=1e-12)


def test_random_slopes_in_training_alone():
    layer = nn.RReLU(3, 0.1, 0.5)
    x = -np.ones(500)
    slopes = -host(layer(x))
    assert 0.1 <= slopes.min() < 0.12 and 0.48 < slopes.max() < 0.5 and layer.generator.value == 1
    assert np.array_equal(host(layer.eval()(x)), np.full(500, -0.3)) and layer.generator.value == 1


def test_settings_are_shown():
    assert repr(nn.LeakyReLU()) == "LeakyReLU()" and repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.Softmax(1)) == "Softmax(axis=1)" and repr(nn.Mish()) == "Mish()"
    assert repr(nn.PReLU()) == "PReLU()" and repr(nn.PReLU(3)) == "PReLU(3)" and repr(nn.Maxout(2)) == "Maxout(2)"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.LeakyReLU("0.1"), TypeError, "negative_slope is not a number"),
        (lambda: nn.CELU(0), ValueError, "above 0"),
        (lambda: nn.Softplus(-1), ValueError, "out of range"),
        (lambda: nn.Hardtanh(1, 1), ValueError, "not below high"),
        (lambda: nn.GELU("tanh"), TypeError, "not a bool"),
        (lambda: nn.RReLU(0, 0.5, 0.1), ValueError, "upper is out of range"),
        (lambda: nn.RReLU(None), TypeError, "zk.Generator"),
        (lambda: nn.Softmax(0.5), TypeError, "axis is not an int"),
        (lambda: nn.Maxout(0), ValueError, "pool_size is too small"),
        (lambda: nn.PReLU(0), ValueError, "channels is too small"),
        (lambda: nn.GLU()(X[:5]), ShapeError, "even"),
        (lambda: nn.PReLU(3)(PICTURES), ShapeError, r"\(4,\)"),
        (lambda: nn.Maxout(3)(PICTURES), ShapeError, "multiple"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
