"""LSTM and GRU over whole sequences, portable: every time forward, and the sweep back from the last to the first.

Shapes: T times, N rows, H units; ``parts`` is what the inputs and the bias contribute to the gates, (T, N, 4 H) or
(T, N, 3 H), ``w_h`` (H, 4 H) or (H, 3 H). The gates of all times come back gate by gate, (T, 4, N, H). Sigmoids are
computed by tanh: sigmoid(x) = (1 + tanh(x / 2)) / 2, exact to the precision of 1.

The ways back are functions of ``xp`` that use it as rules do: they take Tensors with ``op``, and cotangents with
leading axes. Of the cotangents of several outputs each may be None, for zero.
"""


class Recurrent:
    """What Portable inherits: each method on the standard alone."""

    def lstm(self, parts, h, c, w_h):
        """h and c after each time, (T, N, H) each, and the gates there, in the order i, f, g, o."""
        half, whole = 0.5 * self.ones_like(c[:1, :]), self.ones_like(c[:1, :])
        scale = self.concat([half, half, whole, half], axis=-1)
        offset = self.concat([half, half, 0 * whole, half], axis=-1)
        states, memories, gates = [], [], []
        for t in range(parts.shape[0]):
            a = self.tanh((self.matmul(h, w_h) + parts[t, ...]) * scale)
            i, f, g, o = gate = shares(a * scale + offset, 4)
            c = f * c + i * g
            h = o * self.tanh(c)
            states.append(h)
            memories.append(c)
            gates.append(self.stack(gate))
        return self.stack(states), self.stack(memories), self.stack(gates)

    def lstm_back(self, g, c, w_h, y):
        """The cotangents of ``parts``, ``h`` and ``c`` for those of ``y``, what ``lstm`` gave."""
        return lstm_back(self, g, c, w_h, y)

    def gru(self, parts, h, w_h, bias):
        """h after each time, (T, N, H), and what it was made of: r, z, n and m, the h part of the last gate.

        m = (h @ w_h + bias)'s last columns, n = tanh(x part + r m) and h' = n + z (h - n).
        """
        size = h.shape[-1]
        states, gates = [], []
        for t in range(parts.shape[0]):
            inner, part = self.matmul(h, w_h) + bias, parts[t, ...]
            r, z = shares(0.5 * self.tanh(0.5 * (inner[:, : 2 * size] + part[:, : 2 * size])) + 0.5, 2)
            m = inner[:, 2 * size :]
            n = self.tanh(part[:, 2 * size :] + r * m)
            h = n + z * (h - n)
            states.append(h)
            gates.append(self.stack([r, z, n, m]))
        return self.stack(states), self.stack(gates)

    def gru_back(self, g, h, w_h, y):
        """The cotangents of ``parts``, of h @ w_h + bias at each time, and of ``h``, for those of ``y``."""
        return gru_back(self, g, h, w_h, y)


def lstm_back(xp, g, c, w_h, y):
    """``Recurrent.lstm_back``."""
    (g_h, g_c, g_gates), (_, memories, gates) = g, y
    i, f, n, o = (gates[:, k, :, :] for k in range(4))
    bent = xp.tanh(memories)
    raw = i * (1 - i), f * (1 - f), 1 - n * n, o * (1 - o)
    slopes = n * raw[0], before(xp, c, memories) * raw[1], i * raw[2], bent * raw[3]
    through, back = o * (1 - bent * bent), turned(xp, w_h)
    dh = dc = None
    found = []
    for t in reversed(range(memories.shape[0])):
        dh = total(dh, at(g_h, t))
        dc = total(total(dc, None if dh is None else dh * through[t, ...]), at(g_c, t))
        dc = xp.zeros_like(c) if dc is None else dc
        dh = xp.zeros_like(dc) if dh is None else dh
        dz = [one * slope[t, ...] for one, slope in zip((dc, dc, dc, dh), slopes, strict=True)]
        if g_gates is not None:
            dz = [one + g_gates[..., t, k, :, :] * raw[k][t, ...] for k, one in enumerate(dz)]
        found.append(xp.concat(dz, axis=-1))
        dh, dc = xp.matmul(found[-1], back), dc * f[t, ...]
    return xp.stack(found[::-1], axis=-3), dh, dc


def gru_back(xp, g, h, w_h, y):
    """``Recurrent.gru_back``."""
    (g_h, g_gates), (states, gates) = g, y
    r, z, n, m = (gates[:, k, :, :] for k in range(4))
    raw = r * (1 - r), z * (1 - z), 1 - n * n
    slopes = m * raw[0], (before(xp, h, states) - n) * raw[1], (1 - z) * raw[2]
    back = turned(xp, w_h)
    dh = None
    parts, inners = [], []
    for t in reversed(range(states.shape[0])):
        dh = total(dh, at(g_h, t))
        dh = xp.zeros_like(h) if dh is None else dh
        own = [None] * 4 if g_gates is None else [g_gates[..., t, k, :, :] for k in range(4)]
        own = [each if each is None else each * raw[k][t, ...] for k, each in enumerate(own[:3])] + own[3:]
        dn = total(dh * slopes[2][t, ...], own[2])
        early = [total(dn * slopes[0][t, ...], own[0]), total(dh * slopes[1][t, ...], own[1])]
        parts.append(xp.concat([*early, dn], axis=-1))
        inners.append(xp.concat([*early, total(dn * r[t, ...], own[3])], axis=-1))
        dh = dh * z[t, ...] + xp.matmul(inners[-1], back)
    return xp.stack(parts[::-1], axis=-3), xp.stack(inners[::-1], axis=-3), dh


def before(xp, first, each):
    """What stood before each time: ``first`` (N, H), and all but the last of ``each`` (T, N, H)."""
    return xp.concat([first[None, ...], each[:-1, ...]], axis=0)


def turned(xp, w):
    """The transposed matrix, in rows of its own, by which BLAS multiplies a third faster."""
    w = xp.matrix_transpose(w)
    return xp.reshape(xp.reshape(w, (-1,)), w.shape)


def shares(x, count):
    """The last axis in ``count`` equal parts."""
    size = x.shape[-1] // count
    return [x[..., k * size : (k + 1) * size] for k in range(count)]


def at(g, t):
    """The cotangent of time ``t``, None for zero."""
    return None if g is None else g[..., t, :, :]


def total(a, b):
    """a + b, where None stands for zero."""
    return b if a is None else a if b is None else a + b
