"""The contract of the backends, attention and sums: every override equals the portable way and NumPy's plain truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends.attention import Attention

CASES = (  # stack, L, S, D, V
    ((3,), 5, 5, 2, 3),
    ((2, 2), 70, 70, 3, 1),  # two bands of queries
    ((2,), 130, 90, 2, 2),  # bands that see all keys
    ((), 4, 3, 2, 2),
    ((0, 2), 2, 2, 1, 1),
)


def draw(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def truth(q, k, v, causal):
    scores = q @ np.swapaxes(k, -1, -2)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-1e30))
    shares = e / e.sum(axis=-1, keepdims=True)
    return shares @ v, shares


def truth_back(g, q, k, v, shares):
    moved = g @ np.swapaxes(v, -1, -2)
    moved = shares * (moved - (moved * shares).sum(axis=-1, keepdims=True))
    return moved @ k, np.swapaxes(moved, -1, -2) @ q, np.swapaxes(shares, -1, -2) @ g


def both(backend, name, *arguments):
    """What the backend gives, and on libraries that do not compile every step what the portable way gives too."""
    own = [backend.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with backend.errstate():
        yield getattr(backend, name)(*own)
        if backend.name != "jax":
            yield getattr(Attention, name)(backend, *own)


def check(backend, found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        assert backend.owns(a) and backend.name_of(a.dtype) == b.dtype.name
        np.testing.assert_allclose(backend.to_numpy(a), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [1, 40])  # scores that are tame, and some whose exponential overflows
def test_attention(backend, case, causal, size):
    stack, count, keys, inner, width = case
    if backend.name == "jax" and (count > 5 or size > 1):
        pytest.skip("JAX has no override of its own, and compiles every shape")
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        q, k = (size * draw((*stack, n, inner), dtype, seed) for seed, n in enumerate((count, keys)))
        v, g = draw((*stack, keys, width), dtype, 2), draw((*stack, count, width), dtype, 3)
        y, shares = truth(q, k, v, causal)
        back = truth_back(g, q, k, v, shares)
        for found in both(backend, "attention", q, k, v, causal):
            check(backend, found, (y, shares), tolerance)
        for found in both(backend, "attention_back", g, q, k, v, y, shares, causal):
            check(backend, found, back, tolerance * size)


@pytest.mark.parametrize("what", [np.nan, np.inf, -np.inf])
def test_later_keys_may_be_anything(backend, what):
    q, k, v, g = (draw((2, 3, 2), seed=seed) for seed in range(4))
    y, shares = truth(q, k, v, True)
    k[:, 2], v[:, 2] = what, what
    for _, found in both(backend, "attention", q, k, v, True):
        np.testing.assert_allclose(backend.to_numpy(found)[:, :2], shares[:, :2])
    g[:, 2] = 0
    for found in both(backend, "attention_back", g, q, k, v, y, shares, True):
        assert np.isfinite(backend.to_numpy(found[2])).all()
        assert np.isfinite(backend.to_numpy(found[1])[:, 0]).all() or not np.isfinite(what)


@pytest.mark.parametrize("axis", [-1, -2, (-1, -2), (-1,)], ids=str)
def test_softmax(backend, axis):
    for x in (draw((2, 3, 4)), 300 * draw((2, 3, 4))):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        for found in both(backend, "softmax", x, axis):
            check(backend, [found], [e / e.sum(axis=axis, keepdims=True)], 1e-13)


def test_softmax_at_infinities(backend):
    inf, nan = np.inf, np.nan
    x = np.array([[inf, inf, 0], [inf, 0, 1], [-inf, 0, -inf], [-inf, -inf, -inf], [nan, 0, 0]])
    expected = np.array([[nan, nan, nan], [1, 0, 0], [0, 1, 0], [nan] * 3, [nan] * 3])
    for found in both(backend, "softmax", x, -1):
        np.testing.assert_array_equal(backend.to_numpy(found), expected)
    for found in both(backend, "softmax", np.array(2.0), ()):
        assert backend.to_numpy(found) == 1
    for shape in ((0, 3), (3, 0)):
        for found in both(backend, "softmax", np.zeros(shape), -1):
            assert found.shape == shape


SUMMED = ((20, 30, 40), (9000, 2), (16, 512, 8), (1, 9000), (9000, 1), (9000,), (0, 9000), (3, 4000))


@pytest.mark.parametrize("shape", SUMMED, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "complex128"])
def test_numpys_sums_by_products(shape, dtype):
    """Large arrays, for which a product with ones is faster: the same over any axes."""
    xp, n = backends.get("numpy"), len(shape)
    x = np.random.default_rng(0).integers(-4, 5, size=shape).astype(dtype)  # sums without rounding
    for count in range(n + 1):
        for axes in itertools.combinations(range(n), count):
            for axis in (axes, tuple(i - n for i in axes), *axes, *([None] if count == n else [])):
                for keepdims in (False, True):
                    found = xp.sum(x, axis=axis, keepdims=keepdims)
                    expected = x.sum(axis=axis, keepdims=keepdims)
                    assert found.dtype == expected.dtype and found.shape == expected.shape
                    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(xp.sum(x.T, axis=-1), x.T.sum(axis=-1))


def test_numpys_sums_refuse_an_axis_that_is_not_there():
    for axis in (2, -3, (5,), (0, 0)):
        with pytest.raises((np.exceptions.AxisError, ValueError)):
            backends.get("numpy").sum(np.ones((3, 9000)), axis=axis)
