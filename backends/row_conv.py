"""Convolution of pictures at stride 1 on NumPy, one row of the kernel after the other, where the width stays the same.

Windows are copied along the last axis alone: lines[n, c, k] are the rows of picture n, channel c, shifted by the offset
k in the kernel, zeros where the padding is. The windows of row i of the kernel are those lines from row i on, as they
lie there: for one picture a matrix (C * KW, T), which BLAS reads in its place. With all windows side by side (im2col)
KH times as much would be copied. Chosen by ``conv_choice``; ``dilation`` may be any.
"""

import math

import numpy as np

_CACHE_BYTES = 1 << 20
_SHORT = 256  # entries of a picture up to which its cotangent is turned over: BLAS is faster with small ones then


def conv(x, w, padding, dilation):
    """x (N, C, H, W) with w (O, C, KH, KW): (N, O, H', W), for each row of the kernel a part of the sum."""
    (n, c, _, wide), (o, _, high, k) = x.shape, w.shape
    dtype = np.result_type(x, w)
    matrix = np.ascontiguousarray(w.transpose(2, 0, 1, 3)).reshape(high * o, c * k)
    step = dilation[0] * wide
    rows = x.shape[2] + sum(padding[0])
    size = rows * wide - (high - 1) * step
    y = np.empty((n, o, size), dtype)
    for images, lines in _lines(x, k, padding, dilation[1], (c * k + high * o) * dtype.itemsize):
        parts = np.matmul(matrix, lines.reshape(len(lines), c * k, rows * wide)).reshape(len(lines), high, o, -1)
        target = y[images]
        target[...] = parts[:, 0, :, :size]
        for i in range(1, high):
            target += parts[:, i, :, i * step : i * step + size]
    return y.reshape(n, o, size // wide, wide)


def conv_filter(x, g, kernel_shape, padding, dilation):
    """The adjoint of ``conv`` in w: x (N, C, H, W) and g (N, O, H', W) give ``kernel_shape``."""
    (o, c, high, k), size = kernel_shape, math.prod(g.shape[2:])
    w = np.zeros((high, c * k, o), np.result_type(x, g))
    g = g.reshape(len(g), 1, o, size)
    for images, lines in _lines(x, k, padding, dilation[1], c * k * w.itemsize):
        image, _, line, row, entry = lines.strides
        shape, strides = (len(lines), high, c * k, size), (image, dilation[0] * row, line, entry)
        windows = np.ndarray(shape, lines.dtype, lines, 0, strides)
        part = g[images].mT
        part = np.ascontiguousarray(part) if size <= _SHORT else part
        w += np.matmul(windows, part).sum(axis=0)
    return np.ascontiguousarray(w.reshape(high, c, k, o).transpose(3, 1, 0, 2))


def _lines(x, kernel, padding, dilation, bytes_each):
    """For a few pictures the slice of N and the lines (images, C, KW, H and padding, W), ``bytes_each`` entry."""
    n, c, high, wide = x.shape
    rows, top = high + sum(padding[0]), padding[0][0]
    images = max(1, min(n, _CACHE_BYTES // (bytes_each * rows * wide)))
    lines = np.zeros((images, c, kernel, rows, wide), x.dtype)
    moved = list(shifts(wide, kernel, wide, 1, padding[1][0], dilation))
    for start in range(0, n, images):
        part = x[start : start + images]
        shift_rows(part, lines[: len(part), :, :, top : top + high], moved)
        yield slice(start, start + images), lines[: len(part)]


def shifts(size, kernel, out, stride, before, dilation):
    """For each offset k along an axis: the windows whose entry k is no padding, and where those entries stand."""
    for k in range(kernel):
        offset = k * dilation - before
        first = max(0, -(offset // stride))
        count = max(0, min(out, (size - 1 - offset) // stride + 1) - first)
        begin = first * stride + offset
        yield slice(first, first + count), slice(begin, begin + (count - 1) * stride + 1 if count else begin, stride)


def shift_rows(x, lines, moved):
    """Rows (N, C, H, W) into ``lines`` (N, C, K, H, W), the k-th by the ``shifts`` along W, zeros where nothing comes.

    Whole pictures are copied as one run each, which is faster than row by row; what comes from the next row is cleared.
    """
    n, c, high, wide = x.shape
    size = high * wide
    run, target = x.reshape(n, c, size), lines.reshape(n, c, len(moved), size)
    for k, (into, source) in enumerate(moved):
        if into.start < into.stop:
            ahead = source.start - into.start
            target[:, :, k, max(0, -ahead) : size - max(0, ahead)] = run[..., max(0, ahead) : size - max(0, -ahead)]
        if into.start:
            lines[:, :, k, :, : into.start] = 0
        if into.stop < wide:
            lines[:, :, k, :, into.stop :] = 0
