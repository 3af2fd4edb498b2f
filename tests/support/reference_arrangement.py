"""Arranging, joining, gathering and scattering in NumPy alone, where NumPy's own function has another signature."""

from __future__ import annotations

import numpy as np

vstack = row_stack = np.vstack
empty, empty_like = np.zeros, np.zeros_like


def pad(x, widths, value=0, mode="constant"):
    if not widths:
        return x
    full = ((0, 0),) * (x.ndim - len(widths)) + tuple(widths)
    return np.pad(x, full, **({"constant_values": value} if mode == "constant" else {"mode": mode}))


def diag_embed(x, offset=0):
    side = x.shape[-1] + abs(offset)
    y = np.zeros((*x.shape[:-1], side, side), x.dtype)
    for k in range(x.shape[-1]):
        y[..., k + max(-offset, 0), k + max(offset, 0)] = x[..., k]
    return y


def block_diag(*arrays):
    blocks = [np.atleast_2d(a) for a in arrays]
    y = np.zeros(np.sum([b.shape for b in blocks], axis=0), np.result_type(*blocks))
    i = j = 0
    for b in blocks:
        y[i : i + b.shape[0], j : j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return y


def sliding_window_view(x, window_shape, axis=None):
    return np.array(np.lib.stride_tricks.sliding_window_view(x, window_shape, axis))


def as_strided(x, shape, strides, offset=0):
    line = np.ravel(x)
    places = [offset + np.dot(i, strides) for i in np.ndindex(*shape)]
    return line[np.array(places, int)].reshape(shape)


def split(x, sections, axis=0):
    return np.split(x, sections, axis)


def array_split(x, sections, axis=0):
    return np.array_split(x, sections, axis)


def append(x, values, axis=None):
    return np.append(x, values, axis)


def put_along_axis(x, indices, values, axis=-1):
    y = x.astype(np.result_type(x, values))
    np.put_along_axis(y, indices, values, axis)
    return y


def gather_nd(x, indices):
    return x[tuple(np.moveaxis(indices, -1, 0))]


def select_item(x, labels):
    return x[np.arange(len(x)), labels]


def permutate(x, indices, axis=0, inverse=False):
    return np.take(x, np.argsort(indices) if inverse else indices, axis)


def masked_fill(x, mask, value):
    return np.where(mask, value, x)


def compress(condition, x, axis=None):
    return np.compress(condition, x, axis)


def dynamic_slice(x, starts, sizes):
    return x[tuple(slice(a, a + n) for a, n in zip(starts, sizes))]


def dynamic_update_slice(x, update, starts):
    y = x.astype(np.result_type(x, update))
    y[tuple(slice(a, a + n) for a, n in zip(starts, update.shape))] = update
    return y


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def _segments(function, neutral):
    def over(x, segments, count=None):
        count = int(segments.max()) + 1 if count is None else count
        rows = [x[segments == k] for k in range(count)]
        empty = np.full(x.shape[1:], neutral, x.dtype) if neutral is not None else None
        return np.stack([function(r, axis=0).astype(x.dtype) if len(r) else empty for r in rows])

    return over


segment_sum = _segments(np.sum, 0)
segment_mean = _segments(np.mean, 0)
segment_max = _segments(np.max, -np.inf)
segment_min = _segments(np.min, np.inf)
segment_prod = _segments(np.prod, 1)


def hsplit(x, sections):
    return np.hsplit(x, sections)


def vsplit(x, sections):
    return np.vsplit(x, sections)


def dsplit(x, sections):
    return np.dsplit(x, sections)


def insert(x, index, values, axis=None):
    return np.insert(np.asarray(x).astype(np.result_type(x, values)), index, values, axis)
