"""The contract of the backends, LSTM and GRU: every override equals the portable way, and both the cells' formulas."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from support import backends as backends_here
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
    """What the backend gives, and what the portable way gives: as one program where the library compiles."""
    own = [owned(backend, a) for a in arguments]
    with backend.errstate():
        yield getattr(backend, name)(*own)
        yield backend.compile(partial(getattr(Recurrent, name), backend))(*own)


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


# ---- JAX's scan, where it may be asked for more than the others ----


@pytest.fixture
def jax_backend():
    if "jax" not in backends_here.present():
        pytest.skip("JAX is not here")
    return backends_here.get("jax")


@pytest.mark.parametrize("kept", ["h", "c", "hc", "g", "hcg"])
def test_jax_lstm_back_with_leading_axes(jax_backend, kept):
    t, n, h = SIZES[1]
    memory, w_h = draw(n, h, seed=1), draw(h, 4 * h)
    y = true_lstm(draw(t, n, 4 * h), draw(n, h), memory, w_h)
    g = tuple(draw(2, 3, *each.shape, seed=i) if name in kept else None for i, (name, each) in enumerate(zip("hcg", y)))
    found, expected = both(jax_backend, "lstm_back", g, memory, w_h, y)
    check(jax_backend, found, [jax_backend.to_numpy(x) for x in expected], 1e-13)
    assert found[0].shape == (2, 3, t, n, 4 * h)


@pytest.mark.parametrize("kept", ["h", "g", "hg"])
def test_jax_gru_back_with_leading_axes(jax_backend, kept):
    t, n, h = SIZES[1]
    state, w_h = draw(n, h), draw(h, 3 * h)
    y = true_gru(draw(t, n, 3 * h), state, w_h, draw(3 * h, seed=1))
    g = tuple(draw(2, *each.shape, seed=i) if name in kept else None for i, (name, each) in enumerate(zip("hg", y)))
    found, expected = both(jax_backend, "gru_back", g, state, w_h, y)
    check(jax_backend, found, [jax_backend.to_numpy(x) for x in expected], 1e-13)
    assert found[0].shape == (2, t, n, 3 * h)


@pytest.mark.parametrize(("dtypes", "tolerance"), [(("float16", "float16"), 4e-3), (("float32", "float64"), 1e-6)])
def test_jax_keeps_the_dtypes_of_the_portable_way(jax_backend, dtypes, tolerance):
    """float16, which NumPy's kernel leaves alone, and a state of another dtype than the parts."""
    t, n, h = SIZES[1]
    narrow, wide = dtypes
    parts, state, w_h = draw(t, n, 4 * h, dtype=narrow), draw(n, h, dtype=wide), draw(h, 4 * h, dtype=narrow)
    bias = draw(3 * h, dtype=narrow)
    for name, arguments in (
        ("lstm", (parts, state, state, w_h)),
        ("gru", (parts[..., : 3 * h], state, w_h[:, : 3 * h], bias)),
    ):
        found, expected = both(jax_backend, name, *arguments)
        check(jax_backend, found, [jax_backend.to_numpy(x) for x in expected], tolerance)
        y = tuple(map(jax_backend.to_numpy, expected))
        g = (draw(*y[0].shape, dtype=y[0].dtype.name), *[None] * (len(y) - 1))
        found, expected = both(jax_backend, f"{name}_back", g, state, arguments[-2 if name == "gru" else -1], y)
        check(jax_backend, found, [jax_backend.to_numpy(x) for x in expected], tolerance)


def test_jax_takes_no_times_at_all(jax_backend):
    """Empty outputs, and cotangents of the first state that are zero; the portable way cannot stack nothing."""
    _, n, h = SIZES[1]
    parts, state, w_h = (jax_backend.asarray(x) for x in (draw(0, n, 4 * h), draw(n, h), draw(h, 4 * h)))
    y = jax_backend.lstm(parts, state, state, w_h)
    assert [x.shape for x in y] == [(0, n, h), (0, n, h), (0, 4, n, h)]
    dparts, dh, dc = jax_backend.lstm_back((y[0], None, None), state, w_h, y)
    assert dparts.shape == (0, n, 4 * h) and not dh.any() and not dc.any() and dh.shape == dc.shape == (n, h)


def test_jax_makes_one_loop_of_all_times(jax_backend):
    """A sequence of any length is a program of the same size: one while loop forward, one back."""
    import jax

    def sizes(times):
        parts, state, w_h = draw(times, 2, 12), draw(2, 3), draw(3, 12)
        lowered = jax.jit(jax_backend.lstm).lower(parts, state, state, w_h).as_text()
        y = jax_backend.lstm(*map(jax_backend.asarray, (parts, state, state, w_h)))
        back = jax.jit(jax_backend.lstm_back).lower((y[0], None, None), state, w_h, y).as_text()
        return [(text.count("\n"), text.count("stablehlo.while")) for text in (lowered, back)]

    few, many = sizes(3), sizes(50)
    assert few == many and [loops for _, loops in few] == [1, 1]
