"""LSTM and GRU on NumPy: time by time into arrays for all of them, gate by gate, so that every step runs over lines.

The products too are a gate's each: OpenBLAS does not copy such small matrices before it multiplies them, which at 32
rows and 128 units takes 38 us for the four, where one product with all of w_h takes 52.
"""

from contextlib import nullcontext

import numpy as np

_LARGE = 1 << 21  # multiplications in one product: one thread takes some 40 us, two have to wait for each other


def one_thread(multiplications):
    """A block in which the BLAS multiplies by one thread, where a product has so few that a second one costs more."""
    if multiplications > _LARGE:
        return nullcontext()
    from . import threads  # loaded when first needed

    return threads.blas_threads_set(1)


class NumpyRecurrent:
    """What NumpyBackend inherits."""

    def lstm(self, parts, h, c, w_h):
        if parts.dtype.char not in "fd":
            return super().lstm(parts, h, c, w_h)
        times, (rows, size) = len(parts), h.shape
        states, memories = np.empty((2, times, rows, size), parts.dtype)
        gates = np.empty((times, 4, rows, size), parts.dtype)
        with one_thread(rows * size * size):
            _lstm(parts, h, c, _by_gate(w_h, 4), states, memories, gates)
        return states, memories, gates

    def lstm_back(self, g, c, w_h, y):
        (g_h, g_c, g_gates), (_, memories, gates) = g, y
        if g_gates is not None or gates.dtype.char not in "fd":
            return super().lstm_back(g, c, w_h, y)
        times, _, rows, size = gates.shape
        dz = np.empty((times, rows, 4 * size), gates.dtype)
        dh, dc = np.zeros((2, rows, size), gates.dtype)
        with one_thread(rows * size * size):
            _lstm_back(g_h, g_c, c, np.ascontiguousarray(_by_gate(w_h, 4).mT), memories, gates, dz, dh, dc)
        return dz, dh, dc

    def gru(self, parts, h, w_h, bias):
        if parts.dtype.char not in "fd":
            return super().gru(parts, h, w_h, bias)
        times, (rows, size) = len(parts), h.shape
        states, gates = np.empty((times, rows, size), parts.dtype), np.empty((times, 4, rows, size), parts.dtype)
        with one_thread(rows * size * size):
            _gru(parts, h, _by_gate(w_h, 3), bias.reshape(3, 1, size), states, gates)
        return states, gates

    def gru_back(self, g, h, w_h, y):
        (g_h, g_gates), (states, gates) = g, y
        if g_gates is not None or gates.dtype.char not in "fd":
            return super().gru_back(g, h, w_h, y)
        times, _, rows, size = gates.shape
        parts, inners = np.empty((2, times, rows, 3 * size), gates.dtype)
        dh = np.zeros((rows, size), gates.dtype)
        with one_thread(rows * size * size):
            _gru_back(g_h, h, np.ascontiguousarray(_by_gate(w_h, 3).mT), states, gates, parts, inners, dh)
        return parts, inners, dh


def _by_gate(w_h, count):
    """(H, count * H) as (count, H, H)."""
    return np.ascontiguousarray(w_h.reshape(len(w_h), count, len(w_h)).swapaxes(0, 1))


def _lines(x, count):
    """A time's (N, count * H) as a view (count, N, H)."""
    return x.reshape(len(x), count, x.shape[1] // count).swapaxes(0, 1)


def _lstm(parts, h, c, weights, states, memories, gates):
    """``lstm``, written into the last three."""
    (times, rows, size), dtype = states.shape, states.dtype
    sums, spare = np.empty((4, rows, size), dtype), np.empty((rows, size), dtype)
    scale, offset = np.full((2, *sums.shape), 0.5, dtype)
    scale[2], offset[2] = 1, 0
    for t in range(times):
        np.matmul(h, weights, out=sums)
        sums += _lines(parts[t], 4)
        sums *= scale
        gate = np.tanh(sums, out=gates[t])
        gate *= scale
        gate += offset
        c = np.multiply(gate[1], c, out=memories[t])
        c += np.multiply(gate[0], gate[2], out=spare)
        h = np.tanh(c, out=states[t])
        h *= gate[3]


def _lstm_back(g_h, g_c, c, back, memories, gates, dz, dh, dc):
    """``lstm_back``, written into the last three; dh and dc are zeros."""
    own, products = np.empty((2, 4, *dh.shape), dz.dtype)  # the cotangents of a time's gates
    di, df, dn, do = own
    spare, bent, one = np.empty_like(dh), np.empty_like(dh), np.ones((), dz.dtype)
    for t in reversed(range(len(dz))):
        i, f, n, o = gates[t]
        if g_h is not None:
            dh += g_h[t]
        if g_c is not None:
            dc += g_c[t]
        np.tanh(memories[t], out=bent)
        np.subtract(one, gates[t], out=own)
        dh *= o
        do *= bent
        do *= dh
        bent *= bent
        np.subtract(one, bent, out=bent)
        bent *= dh
        dc += bent
        np.multiply(dc, i, out=spare)
        di *= n
        di *= spare
        np.multiply(n, n, out=dn)
        np.subtract(one, dn, out=dn)
        dn *= spare
        dc *= f
        df *= memories[t - 1] if t else c
        df *= dc
        _lines(dz[t], 4)[...] = own
        np.add.reduce(np.matmul(own, back, out=products), axis=0, out=dh)


def _gru(parts, h, weights, biases, states, gates):
    """``gru``, written into the last two."""
    (times, rows, size), dtype = states.shape, states.dtype
    inner, half = np.empty((3, rows, size), dtype), np.full((), 0.5, dtype)
    for t in range(times):
        np.matmul(h, weights, out=inner)
        part, early, (r, z, n, m) = _lines(parts[t], 3), gates[t, :2], gates[t]
        inner += biases
        np.add(inner[:2], part[:2], out=early)
        early *= half
        np.tanh(early, out=early)
        early *= half
        early += half
        m[...] = inner[2]
        np.multiply(r, m, out=n)
        n += part[2]
        np.tanh(n, out=n)
        h = np.subtract(h, n, out=states[t])
        h *= z
        h += n


def _gru_back(g_h, h, back, states, gates, parts, inners, dh):
    """``gru_back``, written into the last three; dh is zeros."""
    own, products, spare = np.empty((4, *dh.shape), dh.dtype), np.empty((3, *dh.shape), dh.dtype), np.empty_like(dh)
    (dn, dr, dz, dm), one = own, np.ones((), dh.dtype)
    for t in reversed(range(len(parts))):
        r, z, n, m = gates[t]
        if g_h is not None:
            dh += g_h[t]
        np.subtract(one, gates[t, :2], out=own[1:3])
        np.multiply(n, n, out=dn)
        np.subtract(one, dn, out=dn)
        dn *= dz
        dn *= dh
        dh *= z
        dz *= np.subtract(states[t - 1] if t else h, n, out=spare)
        dz *= dh
        np.multiply(dn, r, out=dm)
        dr *= m
        dr *= dm
        _lines(inners[t], 3)[...] = own[1:]
        part = _lines(parts[t], 3)
        part[:2], part[2] = own[1:3], dn
        dh += np.add.reduce(np.matmul(own[1:], back, out=products), axis=0, out=spare)
