"""The contract of the backends, LSTM and GRU: every override equals the portable way, and both the cells' formulas."""

from __future__ import annotations

import numpy as np
import pytest

from zkynet.backends.recurrent import Recurrent

SIZES = ((1, 1, 1), (4, 3, 5))  # times, rows, units


def draw(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def true_lstm(parts, h, c, w_h):
    states, memories, gates = [], [], []
    for part in parts:
        i, f, g, o = np.split(part + h @ w_h, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append(h)
        memories.append(c)
        gates.append([i, f, g, o])
    return np.array(states), np.array(memories), np.array(gates)


def true_gru(parts, h, w_h, bias):
    states, gates = [], []
    for part in parts:
        (ar, az, an), (br, bz, m) = np.split(part, 3, axis=-1), np.split(h @ w_h + bias, 3, axis=-1)
        r, z = sigmoid(ar + br), sigmoid(az + bz)
        n = np.tanh(an + r * m)
        h = (1 - z) * n + z * h
        states.append(h)
        gates.append([r, z, n, m])
    return np.array(states), np.array(gates)


def both(backend, name, *arguments):
    """What the backend gives, and on libraries that do not compile every step what the portable way gives too."""
    own = [owned(backend, a) for a in arguments]
    with backend.errstate():
        yield getattr(backend, name)(*own)
        if backend.name != "jax":
            yield getattr(Recurrent, name)(backend, *own)


def owned(backend, x):
    return tuple(owned(backend, part) for part in x) if isinstance(x, tuple) else x if x is None else backend.asarray(x)


def check(backend, found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        assert backend.owns(a) and backend.name_of(a.dtype) == b.dtype.name and a.shape == b.shape
        np.testing.assert_allclose(backend.to_numpy(a), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forward(backend, size, dtype):
    t, n, h = size
    if backend.name == "jax" and dtype == "float32":
        pytest.skip("JAX has no override of its own, and compiles every shape")
    tolerance = 1e-14 if dtype == "float64" else 2e-6
    state, memory, bias = draw(n, h, dtype=dtype), draw(n, h, dtype=dtype, seed=1), draw(3 * h, dtype=dtype, seed=2)
    parts, w_h = draw(t, n, 4 * h, dtype=dtype), draw(h, 4 * h, dtype=dtype)
    for found in both(backend, "lstm", parts, state, memory, w_h):
        check(backend, found, true_lstm(parts, state, memory, w_h), tolerance)
    parts, w_h = parts[..., : 3 * h], w_h[:, : 3 * h]
    for found in both(backend, "gru", parts, state, w_h, bias):
        check(backend, found, true_gru(parts, state, w_h, bias), tolerance)


def slopes(f, arrays, g):
    """The cotangents of ``arrays`` for ``g``, by central differences."""
    found = []
    for x in arrays:
        slope = np.zeros_like(x)
        for i in np.ndindex(*x.shape):
            old, values = x[i], []
            for x[i] in (old + 1e-6, old - 1e-6):
                values.append(sum(np.vdot(a, b) for a, b in zip(f(), g, strict=True) if b is not None))
            x[i], slope[i] = old, (values[0] - values[1]) / 2e-6
        found.append(slope)
    return found


@pytest.mark.parametrize("kept", ["h", "c", "hc", "hg"])  # which outputs have a cotangent; g: the gates
def test_lstm_back(backend, kept):
    t, n, h = SIZES[1]
    parts, state, memory, w_h = draw(t, n, 4 * h), draw(n, h), draw(n, h, seed=1), draw(h, 4 * h)
    y = true_lstm(parts, state, memory, w_h)
    g = tuple(draw(*each.shape, seed=3) if name in kept else None for name, each in zip("hcg", y, strict=True))
    expected = slopes(lambda: true_lstm(parts, state, memory, w_h), (parts, state, memory), g)
    for found in both(backend, "lstm_back", g, memory, w_h, y):
        check(backend, found, expected, 1e-7)


@pytest.mark.parametrize("kept", ["h", "g", "hg"])
def test_gru_back(backend, kept):
    t, n, h = SIZES[1]
    parts, state, w_h, bias = draw(t, n, 3 * h), draw(n, h), draw(h, 3 * h), draw(3 * h, seed=1)
    y = true_gru(parts, state, w_h, bias)
    g = tuple(draw(*each.shape, seed=3) if name in kept else None for name, each in zip("hg", y, strict=True))
    expected = slopes(lambda: true_gru(parts, state, w_h, bias), (parts, state, bias), g)
    for dparts, dinner, dh in both(backend, "gru_back", g, state, w_h, y):
        check(backend, (dparts, dh, backend.sum(dinner, axis=(0, 1))), expected, 1e-7)
        earlier = np.concatenate([state[None], y[0][:-1]])
        product = np.einsum("tnh,tnk->hk", earlier, backend.to_numpy(dinner))
        np.testing.assert_allclose(product, slopes(lambda: true_gru(parts, state, w_h, bias), (w_h,), g)[0], atol=1e-7)


def test_rows_that_are_not_in_order_in_memory(backend):
    """Reversed times and transposed weights, as a caller may give them."""
    t, n, h = SIZES[1]
    parts, state, memory, w_h = draw(t, n, 4 * h)[::-1], draw(h, n).T, draw(h, n, seed=1).T, draw(4 * h, h).T
    for found in both(backend, "lstm", parts, state, memory, w_h):
        check(backend, found, true_lstm(parts, state, memory, w_h), 1e-14)
    for found in both(backend, "gru", parts[..., : 3 * h], state, w_h[:, : 3 * h], w_h[0, : 3 * h]):
        check(backend, found, true_gru(parts[..., : 3 * h], state, w_h[:, : 3 * h], w_h[0, : 3 * h]), 1e-14)
