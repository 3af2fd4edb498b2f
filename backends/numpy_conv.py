"""Convolution on NumPy: windows copied side by side (im2col), a few images at a time, to stay in cache, and BLAS."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .convolution import out_shape

_CACHE_BYTES = 1 << 20


def conv(x, w, stride, padding, dilation, groups):
    """``Backend.conv`` without leading axes."""
    n, o, kernel = x.shape[0], w.shape[0], w.shape[2:]
    out = out_shape(x.shape[2:], kernel, stride, padding, dilation)
    matrix = w.reshape(groups, o // groups, _size(w.shape[1:]))
    y = np.empty((n, groups, o // groups, _size(out)), np.result_type(x, w))
    for part, columns in _columns(x, kernel, out, stride, padding, dilation, groups):
        np.matmul(matrix, columns, out=y[part])
    return y.reshape(n, o, *out)


def conv_filter(x, g, kernel_shape, stride, padding, dilation, groups):
    """``Backend.conv_filter`` without leading axes."""
    n, o, kernel, out = x.shape[0], kernel_shape[0], kernel_shape[2:], g.shape[2:]
    g = g.reshape(n, groups, o // groups, _size(out))
    w = np.zeros((groups, o // groups, _size(kernel_shape[1:])), np.result_type(x, g))
    for part, columns in _columns(x, kernel, out, stride, padding, dilation, groups):
        w += np.matmul(g[part], columns.swapaxes(-1, -2)).sum(axis=0)
    return w.reshape(kernel_shape)


def conv_input(g, w, input_shape, stride, padding, dilation, groups):
    """``Backend.conv_input`` without leading axes: the columns' cotangent, added into place offset by offset.

    At stride 1 it is also the convolution with the flipped kernel, which is faster where it has few more channels.
    """
    n, o, kernel, out = g.shape[0], w.shape[0], w.shape[2:], g.shape[2:]
    spatial = input_shape[2:]
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    rest = [(r - before, r - after) for r, (before, after) in zip(reach, padding)]
    if set(stride) == {1} and o <= 2 * input_shape[1] and _size(out) and min(map(min, rest)) >= 0:
        return conv(g, _flipped(w, groups), stride, rest, dilation, groups)
    full = [s + before + after for s, (before, after) in zip(spatial, padding)]
    dtype = np.result_type(g, w)
    x = np.zeros((n, input_shape[1], *full), dtype)
    matrix = w.reshape(groups, o // groups, _size(w.shape[1:])).swapaxes(-1, -2)
    g = g.reshape(n, groups, o // groups, _size(out))
    step = _images(matrix.shape[-2] * groups * _size(out) * dtype.itemsize)
    for start in range(0, n, step):
        part = slice(start, start + step)
        columns = np.matmul(matrix, g[part]).reshape(min(step, n - start), input_shape[1], *kernel, *out)
        for offset in np.ndindex(*kernel):
            x[(part, slice(None), *_cut(offset, out, stride, dilation))] += columns[(slice(None),) * 2 + offset]
    return x[(slice(None), slice(None), *(slice(b, b + s) for s, (b, _) in zip(spatial, padding)))]


def _flipped(w, groups):
    """The kernel from outputs to inputs: (O, C / groups, *K) as (C, O / groups, *K), each K back to front."""
    o, share = w.shape[:2]
    w = w.reshape(groups, o // groups, *w.shape[1:]).swapaxes(1, 2)
    w = np.flip(w, tuple(range(3, w.ndim)))
    return np.ascontiguousarray(w).reshape(groups * share, o // groups, *w.shape[3:])


def _columns(x, kernel, out, stride, padding, dilation, groups):
    """For a few images at a time their slice and the windows of each, (images, groups, C / groups * K, T)."""
    n, c = x.shape[:2]
    inner = c // groups * _size(kernel)
    if _size(kernel) == 1 and out == x.shape[2:] and set(stride) == {1}:
        yield slice(None), x.reshape(n, groups, inner, _size(out))
        return
    if any(before or after for before, after in padding):
        full = [s + before + after for s, (before, after) in zip(x.shape[2:], padding)]
        padded = np.zeros((n, c, *full), x.dtype)
        padded[(slice(None), slice(None), *(slice(b, b + s) for s, (b, _) in zip(x.shape[2:], padding)))] = x
        x = padded
    steps = x.strides[2:]
    strides = (
        *x.strides[:2],
        *(step * d for step, d in zip(steps, dilation)),
        *(step * s for step, s in zip(steps, stride)),
    )
    windows = as_strided(x, (n, c, *kernel, *out), strides, writeable=False)
    step = _images(c * _size(kernel) * _size(out) * x.itemsize)
    for start in range(0, n, step):
        part = slice(start, start + step)
        yield part, windows[part].reshape(min(step, n - start), groups, inner, _size(out))


def _cut(offset, out, stride, dilation):
    """The slices of a padded image that one kernel offset meets."""
    return tuple(
        slice(o * d, o * d + s * (t - 1) + 1 if t else o * d, s) for o, d, s, t in zip(offset, dilation, stride, out)
    )


def _images(bytes_each):
    """How many images' windows fit into the cache."""
    return max(1, _CACHE_BYTES // max(1, bytes_each))


def _size(shape):
    n = 1
    for length in shape:
        n *= length
    return n
