"""Convolution on CuPy: windows copied side by side (im2col), as many images at a time as memory allows, and cuBLAS."""

import cupy
import numpy as np
from cupy.lib.stride_tricks import as_strided

from .convolution import out_shape
from .numpy_conv import _cut, _size

_COLUMN_BYTES = 1 << 28  # what the copied windows may take


def conv(x, w, stride, padding, dilation, groups):
    """``Backend.conv`` without leading axes."""
    n, o, kernel = x.shape[0], w.shape[0], w.shape[2:]
    out = out_shape(x.shape[2:], kernel, stride, padding, dilation)
    if not (x.size and w.size and _size(out)):
        return cupy.zeros((n, o, *out), np.result_type(x.dtype, w.dtype))
    matrix = w.reshape(groups, o // groups, -1)
    parts = [
        cupy.matmul(matrix, windows.reshape(len(windows), groups, matrix.shape[-1], _size(out)))
        for _, windows in _windows(x, kernel, out, stride, padding, dilation, groups)
    ]
    y = parts[0] if len(parts) == 1 else cupy.concatenate(parts)
    return y.reshape(n, o, *out)


def conv_filter(x, g, kernel_shape, stride, padding, dilation, groups):
    """``Backend.conv_filter`` without leading axes: one product over the windows of all images."""
    n, o, kernel, out = x.shape[0], kernel_shape[0], kernel_shape[2:], g.shape[2:]
    w = cupy.zeros((groups, o // groups, _size(kernel_shape[1:])), np.result_type(x.dtype, g.dtype))
    if not (x.size and g.size and w.size):
        return w.reshape(kernel_shape)
    g = g.reshape(n, groups, o // groups, _size(out)).transpose(1, 2, 0, 3)
    k = len(kernel)
    order = (1, 0, *range(3 + k, 3 + 2 * k), *range(2, 3 + k))  # groups, images, T, C / groups, K
    for part, windows in _windows(x, kernel, out, stride, padding, dilation, groups):
        columns = windows.transpose(order).reshape(groups, -1, w.shape[-1])
        w += cupy.matmul(g[:, :, part].reshape(groups, o // groups, -1), columns)
    return w.reshape(kernel_shape)


def conv_input(g, w, input_shape, stride, padding, dilation, groups):
    """``Backend.conv_input`` without leading axes: the columns' cotangent, added into place offset by offset.

    At stride 1 it is also the convolution with the flipped kernel.
    """
    n, o, kernel, out = g.shape[0], w.shape[0], w.shape[2:], g.shape[2:]
    dtype = np.result_type(g.dtype, w.dtype)
    if not (g.size and w.size):
        return cupy.zeros(input_shape, dtype)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    rest = [(r - before, r - after) for r, (before, after) in zip(reach, padding)]
    if set(stride) == {1} and o <= 2 * input_shape[1] and min(map(min, rest)) >= 0:
        return conv(g, _flipped(w, groups), stride, rest, dilation, groups)
    full = [s + before + after for s, (before, after) in zip(input_shape[2:], padding)]
    x = cupy.zeros((n, input_shape[1], *full), dtype)
    matrix = w.reshape(groups, o // groups, -1).swapaxes(-1, -2)
    g = g.reshape(n, groups, o // groups, _size(out))
    for part in _parts(n, groups * matrix.shape[-2] * _size(out) * dtype.itemsize):
        columns = cupy.matmul(matrix, g[part]).reshape(-1, input_shape[1], *kernel, *out)
        for offset in np.ndindex(*kernel):
            x[(part, slice(None), *_cut(offset, out, stride, dilation))] += columns[(slice(None),) * 2 + offset]
    return x[(slice(None), slice(None), *(slice(b, b + s) for s, (b, _) in zip(input_shape[2:], padding)))]


def _flipped(w, groups):
    """The kernel from outputs to inputs: (O, C / groups, *K) as (C, O / groups, *K), each K back to front."""
    o, share = w.shape[:2]
    w = w.reshape(groups, o // groups, *w.shape[1:]).swapaxes(1, 2)
    w = cupy.flip(w, tuple(range(3, w.ndim)))
    return cupy.ascontiguousarray(w).reshape(groups * share, o // groups, *w.shape[3:])


def _windows(x, kernel, out, stride, padding, dilation, groups):
    """For some images at a time their slice and a view of the windows of each: (images, groups, C / groups, *K, *T)."""
    n, c = x.shape[:2]
    if any(before or after for before, after in padding):
        padded = cupy.zeros((n, c, *(s + a + b for s, (a, b) in zip(x.shape[2:], padding))), x.dtype)
        padded[(slice(None), slice(None), *(slice(b, b + s) for s, (b, _) in zip(x.shape[2:], padding)))] = x
        x = padded
    image, channel, *steps = x.strides
    strides = (image, c // groups * channel, channel, *(s * d for s, d in zip(steps, dilation)))
    strides += tuple(s * step for s, step in zip(steps, stride))
    windows = as_strided(x, (n, groups, c // groups, *kernel, *out), strides)
    for part in _parts(n, c * _size(kernel) * _size(out) * x.dtype.itemsize):
        yield part, windows[part]


def _parts(n, bytes_each):
    """Slices of ``n`` images whose columns fit the memory set aside for them, one image at least."""
    step = max(1, _COLUMN_BYTES // bytes_each)
    return [slice(start, start + step) for start in range(0, n, step)]
