"""LSTM and GRU on JAX: one ``scan`` over the times, compiled as one, whatever their number."""

import jax
import jax.numpy as jnp

from .recurrent import shares, total

_HIGHEST = jax.lax.Precision.HIGHEST


class JaxRecurrent:
    """What JAX does better than the portable Recurrent, where all arrays have one dtype: that of a scan's state."""

    def lstm(self, parts, h, c, w_h):
        return (_lstm if _one_dtype(parts, h, c, w_h) else super().lstm)(parts, h, c, w_h)

    def lstm_back(self, g, c, w_h, y):
        return (_lstm_back if _one_dtype(g, c, w_h, y) else super().lstm_back)(g, c, w_h, y)

    def gru(self, parts, h, w_h, bias):
        return (_gru if _one_dtype(parts, h, w_h, bias) else super().gru)(parts, h, w_h, bias)

    def gru_back(self, g, h, w_h, y):
        return (_gru_back if _one_dtype(g, h, w_h, y) else super().gru_back)(g, h, w_h, y)


def _one_dtype(*arrays):
    return len({x.dtype for x in jax.tree.leaves(arrays)}) == 1


@jax.jit
def _lstm(parts, h, c, w_h):
    def step(state, part):
        h, c = state
        i, f, n, o = shares(jnp.matmul(h, w_h, precision=_HIGHEST) + part, 4)
        i, f, n, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(n), jax.nn.sigmoid(o)
        c = f * c + i * n
        h = o * jnp.tanh(c)
        return (h, c), (h, c, jnp.stack([i, f, n, o]))

    return jax.lax.scan(step, (h, c), parts)[1]


@jax.jit
def _lstm_back(g, c, w_h, y):
    (g_h, g_c, g_gates), (_, memories, gates) = g, y
    back = w_h.T

    def step(state, each):
        (dh, dc), (g_h, g_c, own, c, earlier, (i, f, n, o)) = state, each
        dh, bent = total(dh, g_h), jnp.tanh(c)
        dc = total(dc + dh * (o * (1 - bent * bent)), g_c)
        raw = i * (1 - i), f * (1 - f), 1 - n * n, o * (1 - o)
        dz = [dc * (n * raw[0]), dc * (earlier * raw[1]), dc * (i * raw[2]), dh * (bent * raw[3])]
        if own is not None:
            dz = [one + own[..., k, :, :] * raw[k] for k, one in enumerate(dz)]
        dz = jnp.concatenate(dz, axis=-1)
        return (jnp.matmul(dz, back, precision=_HIGHEST), dc * f), dz

    zeros = _zeros(c, _lead(g_h, g_c, g_gates))
    each = _by_time(g_h, -3), _by_time(g_c, -3), _by_time(g_gates, -4), memories, _before(c, memories), gates
    (dh, dc), dz = jax.lax.scan(step, (zeros, zeros), each, reverse=True)
    return jnp.moveaxis(dz, 0, -3), dh, dc


@jax.jit
def _gru(parts, h, w_h, bias):
    size = h.shape[-1]

    def step(h, part):
        inner = jnp.matmul(h, w_h, precision=_HIGHEST) + bias
        r, z = shares(jax.nn.sigmoid(inner[:, : 2 * size] + part[:, : 2 * size]), 2)
        m = inner[:, 2 * size :]
        n = jnp.tanh(part[:, 2 * size :] + r * m)
        h = n + z * (h - n)
        return h, (h, jnp.stack([r, z, n, m]))

    return jax.lax.scan(step, h, parts)[1]


@jax.jit
def _gru_back(g, h, w_h, y):
    (g_h, g_gates), (states, gates) = g, y
    back = w_h.T

    def step(dh, each):
        g_h, own, earlier, (r, z, n, m) = each
        dh = total(dh, g_h)
        own = [None] * 4 if own is None else [own[..., k, :, :] for k in range(4)]
        raw = r * (1 - r), z * (1 - z), 1 - n * n
        own = [g if g is None else g * raw[k] for k, g in enumerate(own[:3])] + own[3:]
        dn = total(dh * ((1 - z) * raw[2]), own[2])
        early = [total(dn * (m * raw[0]), own[0]), total(dh * ((earlier - n) * raw[1]), own[1])]
        inner = jnp.concatenate([*early, total(dn * r, own[3])], axis=-1)
        return dh * z + jnp.matmul(inner, back, precision=_HIGHEST), (jnp.concatenate([*early, dn], axis=-1), inner)

    each = _by_time(g_h, -3), _by_time(g_gates, -4), _before(h, states), gates
    dh, (parts, inners) = jax.lax.scan(step, _zeros(h, _lead(g_h, None, g_gates)), each, reverse=True)
    return jnp.moveaxis(parts, 0, -3), jnp.moveaxis(inners, 0, -3), dh


def _before(first, each):
    """What stood before each time, also where there is none."""
    return jnp.concatenate([first[None], each])[:-1]


def _by_time(g, axis):
    """A cotangent with its times first, in front of the leading axes; None for zero."""
    return None if g is None else jnp.moveaxis(g, axis, 0)


def _lead(g_h, g_c, g_gates):
    """The leading axes of cotangents."""
    shapes = [g.shape[:-3] for g in (g_h, g_c) if g is not None]
    return jnp.broadcast_shapes(*shapes, *[g_gates.shape[:-4]] if g_gates is not None else [])


def _zeros(like, lead):
    return jnp.zeros((*lead, *like.shape), like.dtype)
