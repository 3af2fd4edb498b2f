"""The LSTM over whole sequences as one operator: one product a time, and one for the gradient of all of w_h."""

from ..operator import Operator
from ..record import apply


class LSTMSweep(Operator):
    """h and c after each time, (T, N, H) each, and the gates there, (T, N, 4 H): i, f, g, o as in ``lstm_cell``.

    ``parts`` (T, N, 4 H) is what x and the bias contribute. Sigmoids are computed by tanh, all gates of a time by one:
    sigmoid(x) = (1 + tanh(x / 2)) / 2, exact to the precision of 1.
    """

    outputs = 3

    def forward(self, xp, parts, h, c, w_h):
        half, whole = 0.5 * xp.ones_like(c[:1, :]), xp.ones_like(c[:1, :])
        inner = xp.concat([half, half, whole, half], axis=-1)
        offset = xp.concat([half, half, 0 * whole, half], axis=-1)
        w_h, parts = w_h * inner, parts * inner
        states, memories, gates = [], [], []
        for t in range(parts.shape[0]):
            a = xp.tanh(xp.matmul(h, w_h) + parts[t, ...])
            a = a * inner + offset
            i, f, g, o = quarters(a)
            c = f * c + i * g
            h = o * xp.tanh(c)
            states.append(h)
            memories.append(c)
            gates.append(a)
        return xp.stack(states), xp.stack(memories), xp.stack(gates)

    # ---- one rule an input ----

    def vjp_parts(self, xp, g, c, w_h, y):
        return self.back(xp, g, c, w_h, y)[0]

    def vjp_h(self, xp, g, c, w_h, y):
        return self.back(xp, g, c, w_h, y)[1]

    def vjp_c(self, xp, g, c, w_h, y):
        return self.back(xp, g, c, w_h, y)[2]

    def vjp_w_h(self, xp, g, h, c, w_h, y):
        return self.product(xp, h, y, self.back(xp, g, c, w_h, y)[0])

    def together(self, xp, g, wanted, parts, h, c, w_h, y):
        """All cotangents by one sweep: what the reverse sweep takes on arrays; parts of g may be None."""
        dz, dh, dc = self.back(xp, g, c, w_h, y)
        return dz, dh, dc, self.product(xp, h, y, dz) if wanted[3] else None

    # ---- the sweep from the last time to the first ----

    def back(self, xp, g, c, w_h, y):
        """The cotangents of ``parts``, ``h`` and ``c``."""
        (g_h, g_c, g_gates), (_, memories, gates) = g, y
        by_memory, by_state = self.slopes(xp, c, memories, gates)
        forget, back = quarters(gates)[1], xp.matrix_transpose(w_h)
        back = xp.reshape(xp.reshape(back, (-1,)), back.shape)  # in rows, by which BLAS multiplies a third faster
        dh = dc = None
        found = []
        for t in reversed(range(memories.shape[0])):
            dh = total(dh, None if g_h is None else g_h[..., t, :, :])
            through = None if dh is None else dh * by_state[t, :, -1, :]
            dc = total(total(dc, through), None if g_c is None else g_c[..., t, :, :])
            if dc is None:
                dc = xp.zeros_like(c)
            dh = xp.zeros_like(dc) if dh is None else dh
            first = by_memory[t, ...] * dc[..., None, :]
            last = by_state[t, :, :1, :] * dh[..., None, :]
            dz = xp.concat([first, last], axis=-2)
            dz = xp.reshape(dz, (*dz.shape[:-2], 4 * c.shape[-1]))
            if g_gates is not None:
                dz = dz + g_gates[..., t, :, :] * self.slope(xp, gates[t, ...])
            found.append(dz)
            dh, dc = xp.matmul(dz, back), dc * forget[t, ...]
        return xp.stack(found[::-1], axis=-3), dh, dc

    def slopes(self, xp, c, memories, gates):
        """What dc and dh are multiplied with at each time, (T, N, 3, H) and (T, N, 2, H).

        dc gives the gates i, f, g; dh gives o, and dc.
        """
        i, f, g, o = quarters(gates)
        bent = xp.tanh(memories)
        before = xp.concat([c[None, ...], memories[:-1, ...]], axis=0)
        by_memory = xp.stack([g * (i * (1 - i)), before * (f * (1 - f)), i * (1 - g * g)], axis=-2)
        return by_memory, xp.stack([bent * (o * (1 - o)), o * (1 - bent * bent)], axis=-2)

    def slope(self, xp, gates):
        """The derivative of each gate by what its sigmoid or tanh was taken of."""
        i, f, g, o = quarters(gates)
        return xp.concat([i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)], axis=-1)

    def product(self, xp, h, y, dz):
        """The cotangent of w_h: the states before each time with dz, all times in one product."""
        before = xp.concat([h[None, ...], y[0][:-1, ...]], axis=0)
        rows = before.shape[0] * before.shape[1]
        before = xp.reshape(before, (rows, before.shape[2]))
        return xp.matmul(xp.matrix_transpose(before), xp.reshape(dz, (*dz.shape[:-3], rows, dz.shape[-1])))


def quarters(x):
    """The last axis in four equal parts."""
    size = x.shape[-1] // 4
    return [x[..., k * size : (k + 1) * size] for k in range(4)]


def total(a, b):
    """a + b, where None stands for zero."""
    return b if a is None else a if b is None else a + b


def lstm_sweep(parts, h, c, w_h):
    """All h (T, N, H) and all c of an LSTM over ``parts`` (T, N, 4 H), what x and the bias contribute."""
    return apply(LSTMSweep(), parts, h, c, w_h)[:2]
