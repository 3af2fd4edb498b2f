"""Attention as one operator beside the composed one, which a mask of all keys asks for: values and every derivative."""

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import op
from zkynet.framework.operations.attention import Attention

RNG = np.random.default_rng(0)
SHAPES = (2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 2)
ARRAYS = [RNG.normal(size=shape) for shape in SHAPES]
WEIGHTS = RNG.normal(size=(2, 3, 4, 2))
causal = pytest.mark.parametrize("causal", [False, True])


def one_step(causal):
    return lambda q, k, v: op.scaled_dot_product_attention(q, k, v, causal=causal)


def composed(causal):
    return lambda q, k, v: op.scaled_dot_product_attention(q, k, v, np.ones((4, 4), bool), causal=causal)


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@causal
def test_values_gradients_and_tangents(causal):
    f, g = one_step(causal), composed(causal)
    close([f(*ARRAYS).value], [g(*ARRAYS).value])
    tangents = [RNG.normal(size=shape) for shape in SHAPES]
    close(*(zk.grad(lambda *a, h=h: op.sum(h(*a) * WEIGHTS), argnums=(0, 1, 2))(*ARRAYS) for h in (f, g)))
    close(zk.jvp(f, ARRAYS, tangents), zk.jvp(g, ARRAYS, tangents))


@causal
@pytest.mark.parametrize("i", [0, 1, 2])
def test_one_input_alone(causal, i):
    """Where others are constants, fewer things are kept, and the rules run one by one."""

    def only(f):
        return zk.grad(lambda a: op.sum(f(*ARRAYS[:i], a, *ARRAYS[i + 1 :]) * WEIGHTS))(ARRAYS[i])

    close([only(one_step(causal))], [only(composed(causal))])


@causal
@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_jacobians(causal, mode):
    for i in (0, 1, 2):
        found, expected = (
            zk.jacobian(lambda a, f=f, i=i: f(*ARRAYS[:i], a, *ARRAYS[i + 1 :]), mode=mode)(ARRAYS[i])
            for f in (one_step(causal), composed(causal))
        )
        close([found], [expected])


@causal
def test_second_derivatives(causal):
    zk.testing.check_grads(one_step(causal), [a[:1, :1, :3] for a in ARRAYS], order=2)


@causal
def test_the_shares_have_derivatives_too(causal):
    """Nobody but a second derivative asks for the second output."""
    for f in (lambda *a: Attention(causal)(*a)[1], lambda *a: op.sum(op.square(Attention(causal)(*a)[1])) * a[2]):
        zk.testing.check_grads(f, [a[:1, :1, :3] for a in ARRAYS], order=1)


@pytest.mark.parametrize("what", [np.nan, np.inf, -np.inf])
def test_of_later_values_nothing_is_heard(what):
    q, k, v = ARRAYS
    broken = v.copy()
    broken[:, :, 2:] = what

    def first(q, k, v):
        return op.sum(Attention(True)(q, k, v)[1][..., :2, :2] * WEIGHTS[..., :2, :])

    with np.errstate(invalid="ignore"):
        close([zk.grad(first)(q, k, broken)[..., :2, :]], [zk.grad(first)(q, k, v)[..., :2, :]])


def test_scores_that_overflow_an_exponential():
    q, k, v = (100 * a for a in ARRAYS)
    for each in (False, True):
        close([one_step(each)(q, k, v).value], [composed(each)(q, k, v).value])


def test_infinities_that_tie_are_nan():
    k = np.ones((1, 2, 1))
    with np.errstate(invalid="ignore"):
        y = op.scaled_dot_product_attention(np.array([[[np.inf], [1.0]]]), k, k, scale=1.0).value
    assert np.isnan(y[0, 0, 0]) and y[0, 1, 0] == 1


def test_every_backend_gives_the_same(backend):
    arrays = [backend.asarray(a) for a in ARRAYS]
    found = zk.grad(lambda *a: op.sum(one_step(True)(*a) * WEIGHTS), argnums=(0, 1, 2))(*arrays)
    expected = zk.grad(lambda *a: op.sum(composed(True)(*a) * WEIGHTS), argnums=(0, 1, 2))(*ARRAYS)
    assert all(backend.owns(a) for a in found)
    close([backend.to_numpy(a) for a in found], expected)


def test_other_shapes_are_composed():
    """Leading axes that broadcast, and keys that every query is kept from."""
    q, k, v = ARRAYS
    close([one_step(False)(q, k[0], v[0]).value], [composed(False)(q, k[0], v[0]).value])
    y = op.scaled_dot_product_attention(q[..., :2, :], k, v, causal=True)
    close([y.value], [one_step(True)(q, k, v).value[..., :2, :]])
