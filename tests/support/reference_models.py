"""Attention, embeddings, recurrent networks, noise and cotangent control in NumPy alone: for ``reference``."""

from __future__ import annotations

import math

import numpy as np

# ---- attention and embeddings ----


def masked_softmax(x, mask, axis=-1):
    mask = np.broadcast_to(mask, x.shape)
    e = np.where(mask, np.exp(np.where(mask, x, 0)), 0)
    total = np.sum(e, axis=axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def scaled_dot_product_attention(query, key, value, mask=None, *, causal=False, scale=None):
    scores = query @ np.swapaxes(key, -1, -2) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    keep = np.ones(scores.shape, bool)
    if causal:
        keep = keep & np.tril(keep)
    if mask is not None and mask.dtype == bool:
        keep = keep & mask
    elif mask is not None:
        keep = keep & (mask > -np.inf)
        scores = scores + np.where(mask > -np.inf, mask, 0)
    return masked_softmax(scores, keep) @ value


def multi_head_attention(query, key, value, weights, biases=None, *, heads, mask=None, **settings):
    biases = (0.0,) * 4 if biases is None else biases
    q, k, v = (x @ w + b for x, w, b in zip((query, key, value), weights, biases))
    parts = [np.split(a, heads, axis=-1) for a in (q, k, v)]
    found = [scaled_dot_product_attention(*part, mask, **settings) for part in zip(*parts)]
    return np.concatenate(found, axis=-1) @ weights[3] + biases[3]


def rotary_embedding(x, positions=None, *, base=10000.0, interleaved=False):
    """Pairs of features as complex numbers, turned."""
    half = x.shape[-1] // 2
    spots = np.arange(x.shape[-2]) if positions is None else np.asarray(positions)
    turn = np.exp(1j * spots[:, None] * base ** (-np.arange(half) / max(half, 1)))
    if interleaved:
        z = (x[..., ::2] + 1j * x[..., 1::2]) * turn
        return np.stack([z.real, z.imag], axis=-1).reshape(x.shape)
    z = (x[..., :half] + 1j * x[..., half:]) * turn
    return np.concatenate([z.real, z.imag], axis=-1)


def embedding(weight, indices):
    return weight[indices]


def embedding_rows(weight, indices):
    rows, places = np.unique(indices, return_inverse=True)
    return rows, weight[rows], places.reshape(np.shape(indices))


def embedding_bag(weight, indices, reduction="mean", padding_idx=None):
    reduce = {"sum": np.sum, "mean": np.mean, "max": np.max}[reduction]
    bags = [weight[row[row != padding_idx]] for row in indices]
    empty = np.zeros(weight.shape[1:], reduce(weight[:1], axis=0).dtype)
    return np.stack([reduce(bag, axis=0) if len(bag) else empty for bag in bags])


def bilinear(x1, x2, weight, bias=None):
    y = np.sum(x1[..., None, :, None] * weight * x2[..., None, None, :], axis=(-1, -2))
    return y if bias is None else y + bias


# ---- recurrent networks ----


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_cell(x, h, w_x, w_h, bias=0.0, *, activation="tanh"):
    z = x @ w_x + h @ w_h + bias
    return np.tanh(z) if activation == "tanh" else np.maximum(z, 0)


def lstm_cell(x, h, c, w_x, w_h, bias=0.0):
    i, f, g, o = np.split(x @ w_x + h @ w_h + bias, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def gru_cell(x, h, w_x, w_h, bias=0.0, bias_h=0.0):
    (r, z, n), (rh, zh, nh) = np.split(x @ w_x + bias, 3, axis=-1), np.split(h @ w_h + bias_h, 3, axis=-1)
    z, n = _sigmoid(z + zh), np.tanh(n + _sigmoid(r + rh) * nh)
    return (1 - z) * n + z * h


def _over(cell, x, state, reverse=False, lengths=None):
    ys = [None] * len(x)
    for t in range(len(x))[:: -1 if reverse else 1]:
        new = cell(x[t], *state)
        alive = np.ones((x.shape[1], 1), bool) if lengths is None else (np.asarray(lengths) > t)[:, None]
        state = [np.where(alive, a, b) for a, b in zip(new, state)]
        ys[t] = np.where(alive, new[0], 0)
    return (np.stack(ys), *state)


def rnn(x, h, w_x, w_h, bias=0.0, *, activation="tanh", **settings):
    return _over(lambda x, h: (rnn_cell(x, h, w_x, w_h, bias, activation=activation),), x, (h,), **settings)


def lstm(x, h, c, w_x, w_h, bias=0.0, **settings):
    return _over(lambda x, h, c: lstm_cell(x, h, c, w_x, w_h, bias), x, (h, c), **settings)


def gru(x, h, w_x, w_h, bias=0.0, bias_h=0.0, **settings):
    return _over(lambda x, h: (gru_cell(x, h, w_x, w_h, bias, bias_h),), x, (h,), **settings)


def slstm(c1, c2, x1, x2):
    (i1, f1, g1, o1), (i2, f2, g2, o2) = np.split(x1, 4, axis=-1), np.split(x2, 4, axis=-1)
    c = _sigmoid(i1) * np.tanh(g1) + _sigmoid(f1) * c1 + _sigmoid(i2) * np.tanh(g2) + _sigmoid(f2) * c2
    return c, _sigmoid(o1 + o2) * np.tanh(c)


def tree_lstm(memories, x):
    i, g, o, *forget = np.split(x, 3 + len(memories), axis=-1)
    c = _sigmoid(i) * np.tanh(g) + sum(_sigmoid(f) * m for f, m in zip(forget, memories))
    return c, _sigmoid(o) * np.tanh(c)


def pad_sequence(sequences, value=0.0):
    y = np.full((max(map(len, sequences)), len(sequences), *sequences[0].shape[1:]), value, np.result_type(*sequences))
    for n, x in enumerate(sequences):
        y[: len(x), n] = x
    return y


def transpose_sequence(sequences):
    return [np.stack([s[t] for s in sequences if len(s) > t]) for t in range(len(sequences[0]))]


# ---- noise: the words that the generator draws next, made here of the published Philox stream ----


def _bits(generator, count):
    from .reference import _words

    start = generator.value << 64
    generator.value = generator.value + 1
    words = np.random.Philox(key=np.array(generator.key, np.uint64), counter=_words((start - 1) % (1 << 256)))
    return words.random_raw(count) if count else np.zeros(0, np.uint64)


def _unit(generator, shape):
    return ((_bits(generator, math.prod(shape)) >> np.uint64(11)) * 2.0**-53).reshape(shape)


def feature_dropout(x, rate, generator):
    kept = _unit(generator, x.shape[:2]) >= rate
    return np.where(kept.reshape(x.shape[:2] + (1,) * (x.ndim - 2)), x / (1 - rate), 0)


ALPHA_OF_SELU, SCALE_OF_SELU = 1.6732632423543772, 1.0507009873554805


def _moved(kept, x, rate):
    low = -ALPHA_OF_SELU * SCALE_OF_SELU
    variance = (1 - rate) * (1 + rate * low**2)
    return (np.where(kept, x, low) - rate * low) / math.sqrt(variance)


def alpha_dropout(x, rate, generator):
    return _moved(_unit(generator, np.shape(x)) >= rate, x, rate)


def feature_alpha_dropout(x, rate, generator):
    kept = _unit(generator, x.shape[:2]) >= rate
    return _moved(kept.reshape(x.shape[:2] + (1,) * (x.ndim - 2)), x, rate)


def dropconnect(x, weight, bias=None, *, rate, generator):
    y = x @ np.where(_unit(generator, weight.shape) >= rate, weight / (1 - rate), 0)
    return y if bias is None else y + bias


def zoneout(old, new, rate, generator):
    return np.where(_unit(generator, new.shape) >= rate, new, old)


def gaussian(mean, log_variance, generator):
    count = math.prod(np.shape(mean))
    u = (_bits(generator, count + count % 2) >> np.uint64(11)) * 2.0**-53
    half = len(u) // 2
    radius, angle = np.sqrt(-2 * np.log1p(-u[:half])), 2 * math.pi * u[half:]
    z = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count].reshape(np.shape(mean))
    return mean + np.exp(log_variance / 2) * z


def gumbel_softmax(logits, generator, *, temperature=1.0, axis=-1):
    noise = -np.log(np.maximum(-np.log1p(-_unit(generator, logits.shape)), 2.0**-54))
    e = np.exp((logits + noise) / temperature)
    return e / np.sum(e, axis=axis, keepdims=True)


# ---- what changes cotangents alone ----


def gradient_reversal(x, scale=1.0):
    return np.array(x)


def gradient_clip(x, bound, *, by_norm=False):
    return np.array(x)


def straight_through(value, x):
    return np.array(value)
