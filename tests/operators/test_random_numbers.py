"""Generators: one stream on every backend, the distributions they say, and samples that gradients reach."""

from __future__ import annotations

import math

import numpy as np
import pytest

import zkynet as zk
from support.points import host
from zkynet.framework import op

MANY = (4000,)
DRAWS = {  # a draw of many numbers, and their mean and variance
    "uniform": (lambda g: g.uniform(MANY, low=2.0, high=3.0), 2.5, 1 / 12),
    "normal": (lambda g: g.normal(MANY, mean=1.0, std=2.0), 1.0, 4.0),
    "truncated_normal": (lambda g: g.truncated_normal(MANY), 0.0, 0.7737413),
    "truncated_normal far out": (lambda g: g.truncated_normal(MANY, low=5.0, high=7.0), 5.1865, 0.03235),
    "exponential": (lambda g: g.exponential(MANY, scale=2.0), 2.0, 4.0),
    "gumbel": (lambda g: g.gumbel(MANY), 0.5772157, math.pi**2 / 6),
    "gamma": (lambda g: g.gamma(MANY, 2.5), 2.5, 2.5),
    "gamma below 1": (lambda g: g.gamma(MANY, 0.3), 0.3, 0.3),
    "bernoulli": (lambda g: g.bernoulli(MANY, 0.3), 0.3, 0.21),
    "randint": (lambda g: g.randint(-2, 4, MANY), 0.5, 35 / 12),
    "permutation": (lambda g: g.permutation(4000), 1999.5, (4000**2 - 1) / 12),
}


def drawn(draw, backend):
    with zk.use_backend(backend):
        return host([draw(zk.Generator(11))])[0]


@pytest.mark.parametrize("name", DRAWS)
def test_every_backend_draws_the_same_numbers_of_that_distribution(name, backend):
    draw, mean, variance = DRAWS[name]
    x = drawn(draw, backend)
    np.testing.assert_allclose(x.mean(), mean, atol=4 * math.sqrt(variance / x.size))
    np.testing.assert_allclose(x.var(), variance, rtol=0.1)
    numpy = drawn(draw, zk.backends.get("numpy"))
    assert x.dtype == numpy.dtype
    np.testing.assert_allclose(x, numpy, rtol=1e-11, atol=1e-13)


def test_bounds_and_shapes():
    g = zk.Generator(3)
    assert set(host([g.randint(5, 8, (50,))])[0]) == {5, 6, 7}
    assert sorted(host([g.permutation(20)])[0]) == list(range(20))
    x = host([g.truncated_normal((500,), low=-1.0, high=0.5)])[0]
    assert -1 <= x.min() < x.max() <= 0.5
    assert host([g.exponential((500,))])[0].min() > 0
    for draw in (g.uniform, g.normal, g.truncated_normal, g.exponential, g.gumbel):
        assert draw((2, 0)).shape == (2, 0) and draw((), "float32").dtype == np.float32
    assert g.randint(0, 2, (3, 1), "int32").dtype == np.int32
    assert g.gamma((2,), 1.5, "float32").dtype == np.float32


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda g: g.bernoulli((2,), 1.5), "1.5"),
        (lambda g: g.randint(3, 3, (2,)), "low < high"),
        (lambda g: g.truncated_normal((2,), low=1.0, high=0.0), "below high"),
        (lambda g: g.gamma((2,), 0.0), "positive"),
        (lambda g: g.categorical(np.float64(1.0)), "one axis"),
    ],
)
def test_wrong_settings(draw, says):
    with pytest.raises(ValueError, match=says):
        draw(zk.Generator(0))


def test_categorical(backend):
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    classes = host([zk.Generator(5).categorical(backend.asarray(np.log(p)), (4000,))])[0]
    assert classes.shape == (4000, 2) and classes.dtype.kind == "i"
    for row in (0, 1):
        np.testing.assert_allclose(np.bincount(classes[:, row], minlength=3) / 4000, p[row], atol=0.04)
    with np.errstate(all="ignore"):
        never = zk.Generator(5).categorical(backend.asarray(np.array([[0.0], [-np.inf]])), (50,), axis=0)
    assert not host([never])[0].any()


def test_hard_gumbel_softmax():
    x = np.random.default_rng(0).normal(size=(4, 3))

    def sample(x, hard):
        return op.gumbel_softmax(x, zk.Generator(2), hard=hard)

    y, pull = zk.vjp(lambda x: sample(x, True), x)
    soft, soft_pull = zk.vjp(lambda x: sample(x, False), x)
    np.testing.assert_array_equal(y, np.eye(3)[soft.argmax(-1)])
    np.testing.assert_allclose(pull(x)[0], soft_pull(x)[0], rtol=1e-14)


def test_alpha_dropout_keeps_mean_and_variance():
    y = host([op.alpha_dropout(zk.Generator(1).normal((20000,)), 0.3, zk.Generator(2))])[0]
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=0.03)


def test_noise_needs_a_generator():
    for f in (op.alpha_dropout, op.feature_dropout, lambda x, r, g: op.zoneout(x, x, r, g)):
        with pytest.raises(TypeError, match="Generator"):
            f(np.ones((2, 2)), 0.5, 7)
    for f in (lambda x, g: op.gaussian(x, x, g), op.gumbel_softmax):
        with pytest.raises(TypeError, match="Generator"):
            f(np.ones((2, 2)), 7)


# ---- what changes cotangents ----


def test_gradient_reversal_and_straight_through(backend):
    x = backend.asarray(np.array([0.4, 1.6]))
    gradient = zk.grad(lambda x: op.sum(op.square(op.gradient_reversal(x, 3.0))))(x)
    np.testing.assert_allclose(host([gradient])[0], [-2.4, -9.6], rtol=1e-15)
    value, gradient = zk.value_and_grad(lambda x: op.sum(op.square(op.straight_through(op.round(x), x))))(x)
    assert host([value])[0] == 4.0
    np.testing.assert_array_equal(host([gradient])[0], [0.0, 4.0])
    tangent = zk.jvp(lambda x: op.gradient_reversal(x, 3.0), [x], [x])[1]
    np.testing.assert_allclose(host([tangent])[0], [-1.2, -4.8], rtol=1e-15)


def test_clipped_cotangents_in_a_batch():
    """Each row of a Jacobian is shortened by itself."""
    jacobian = zk.jacobian(lambda x: op.gradient_clip(x, 2.0, by_norm=True) * np.array([1.0, 4.0]))(np.ones(2))
    np.testing.assert_allclose(jacobian, [[1.0, 0.0], [0.0, 2.0]], rtol=1e-15)


# ---- statistics that are constants for the gradient ----


def test_batch_renorm_with_wide_bounds_is_the_evaluation():
    rng = np.random.default_rng(4)
    x, mean, variance = rng.normal(size=(5, 3)), rng.normal(size=3), rng.uniform(0.5, 1.5, 3)
    ours = op.batch_renorm(x, mean, variance, rmax=100.0, dmax=100.0)
    np.testing.assert_allclose(ours.value, op.batch_norm_eval(x, mean, variance).value, rtol=1e-9, atol=1e-12)
    gradient = zk.grad(lambda x: op.sum(op.batch_renorm(x, mean, variance, rmax=100.0, dmax=100.0)))(x)
    np.testing.assert_allclose(gradient, 0, atol=1e-12)  # the sum over the batch is fixed by d, a constant
