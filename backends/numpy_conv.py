"""Convolution on NumPy: windows copied side by side (im2col), a few images at a time, to stay in cache, and BLAS.

Where ``conv_choice`` finds another way the faster one, that is taken: row by row of the kernel, or Winograd's, if the
numbers allow it.
"""

import math
from contextlib import suppress

import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import row_conv, winograd
from .conv_choice import backwards, conv_by_rows, filter_by_rows, tile
from .convolution import out_shape
from .row_conv import shift_rows, shifts

_size = math.prod  # of a shape

_CACHE_BYTES = 1 << 20
_FEW_BYTES = 1 << 15  # of windows: copied in one step, since calls cost more than copying
_FEW_OUTPUTS = 128  # a filter's gradient with more is not turned over: that costs more than it gains
_LEAST_COLUMNS = 512  # of windows in one product: the kernel is read anew for each


def conv(x, w, stride, padding, dilation, groups):
    """``Backend.conv`` without leading axes."""
    n, o, kernel = x.shape[0], w.shape[0], w.shape[2:]
    out = out_shape(x.shape[2:], kernel, stride, padding, dilation)
    if conv_by_rows(x.shape, o, kernel, stride, padding, dilation, groups):
        return row_conv.conv(x, w, padding, dilation)
    m = tile(n, x.shape[1], o, out, kernel, stride, dilation, groups, x.dtype)
    if m:
        with suppress(winograd.UntamedError):
            return winograd.conv(x, w, padding, m)
    matrix = w.reshape(groups, o // groups, _size(w.shape[1:]))
    y = np.empty((n, groups, o // groups, _size(out)), np.result_type(x, w))
    for images, spots, columns in _columns(x, kernel, out, stride, padding, dilation, groups):
        np.matmul(matrix, columns, out=y[images, ..., spots])
    return y.reshape(n, o, *out)


def conv_filter(x, g, kernel_shape, stride, padding, dilation, groups):
    """``Backend.conv_filter`` without leading axes."""
    n, o, kernel, out = x.shape[0], kernel_shape[0], kernel_shape[2:], g.shape[2:]
    if filter_by_rows(x.shape, o, kernel, stride, padding, dilation, groups):
        return row_conv.conv_filter(x, g, kernel_shape, padding, dilation)
    m = tile(n, x.shape[1], o, out, kernel, stride, dilation, groups, x.dtype)
    if m:
        with suppress(winograd.UntamedError):
            return winograd.conv_filter(x, g, padding, m)
    g = g.reshape(n, groups, o // groups, _size(out))
    sides = (_size(kernel_shape[1:]), o // groups)
    turned = 1 < sides[1] <= min(_FEW_OUTPUTS, sides[0])  # BLAS is faster with the long side first
    w = np.zeros((groups, *(sides if turned else sides[::-1])), np.result_type(x, g))
    for images, spots, columns in _columns(x, kernel, out, stride, padding, dilation, groups):
        part = g[images, ..., spots]
        w += (np.matmul(columns, part.mT) if turned else np.matmul(part, columns.mT)).sum(axis=0)
    return np.ascontiguousarray(w.mT if turned else w).reshape(kernel_shape)


def conv_input(g, w, input_shape, stride, padding, dilation, groups):
    """``Backend.conv_input`` without leading axes: the columns' cotangent, added into place offset by offset.

    At stride 1 it is also the convolution with the flipped kernel, which is faster where it has few more channels, and
    where that goes row by row or Winograd's way.
    """
    n, c, *spatial = input_shape
    o, kernel, out = w.shape[0], w.shape[2:], g.shape[2:]
    rest = backwards(out, kernel, stride, padding, dilation)
    by_rows = rest and conv_by_rows(g.shape, c, kernel, stride, rest, dilation, groups)
    m = tile(n, o, c, tuple(spatial), kernel, stride, dilation, groups, g.dtype) if rest and not by_rows else 0
    if m:
        with suppress(winograd.UntamedError):
            return winograd.conv_input(g, w, rest, m)
    if rest and (o <= 2 * c or by_rows):
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
    """For a few images, or rows of one, the slices of N and of T and the windows, (images, groups, C / groups * K, T).

    In two steps: first the last axis alone, at each of the kernel's offsets, between the zeros of the padding; then
    whole lines of that, which at stride 1 are as long as a picture. One step would copy row by row for every offset.
    """
    n, c = x.shape[:2]
    inner = c // groups * _size(kernel)
    if _size(kernel) == 1 and out == x.shape[2:] and set(stride) == {1}:
        yield slice(None), slice(None), x.reshape(n, groups, inner, _size(out))
        return
    size = c * _size(kernel) * _size(out) * x.itemsize
    reused = _size(kernel[:-1]) > 1 and set(stride[:-1]) == {1}
    if len(kernel) == 1 or n * size <= _FEW_BYTES or (size <= _CACHE_BYTES and not reused):
        yield from _columns_at_once(x, kernel, out, stride, padding, dilation, groups)
        return
    images, rows = _fitting(c * _size(kernel) * x.itemsize, n, out)
    reach = dilation[0] * (kernel[0] - 1) + 1
    full = [s + before + after for s, (before, after) in zip(x.shape[3:-1], padding[1:])]
    lines = np.zeros((images, c, kernel[-1], stride[0] * (rows - 1) + reach, *full, out[-1]), x.dtype)
    inside = [slice(b, b + s) for s, (b, _) in zip(x.shape[3:-1], padding[1:])]
    moved = list(shifts(x.shape[-1], kernel[-1], out[-1], stride[-1], padding[-1][0], dilation[-1]))
    as_runs = len(kernel) == 2 and stride[-1] == 1 and out[-1] == x.shape[-1]
    for first in range(0, max(1, out[0]), rows):
        count = min(rows, out[0] - first)
        top = first * stride[0] - padding[0][0]
        low = max(0, top)
        high = max(low, min(x.shape[2], top + lines.shape[3]))
        lines[:, :, :, : low - top], lines[:, :, :, high - top :] = 0, 0
        windows = _windows(lines, kernel, (count, *out[1:]), stride, dilation)
        spots = slice(first * _size(out[1:]), (first + count) * _size(out[1:]))
        for start in range(0, n, images):
            part = x[start : start + images, :, low:high]
            spot = lines[: len(part), :, :, low - top : high - top]
            if as_runs and low < high:
                shift_rows(part, spot, moved)
            else:
                for k, (target, source) in enumerate(moved):
                    spot[(slice(None), slice(None), k, slice(None), *inside, target)] = part[..., source]
            columns = windows[: len(part)].reshape(len(part), groups, inner, spots.stop - spots.start)
            yield slice(start, start + images), spots, columns


def _columns_at_once(x, kernel, out, stride, padding, dilation, groups):
    """``_columns`` in one step: where there is little to copy, or no row that would be copied twice."""
    n, c = x.shape[:2]
    if any(before or after for before, after in padding):
        padded = np.zeros((n, c, *(s + b + a for s, (b, a) in zip(x.shape[2:], padding))), x.dtype)
        padded[(slice(None), slice(None), *(slice(b, b + s) for s, (b, _) in zip(x.shape[2:], padding)))] = x
        x = padded
    near, steps = x.strides[:2], x.strides[2:]
    strides = (*near, *(a * d for a, d in zip(steps, dilation)), *(a * s for a, s in zip(steps, stride)))
    windows = _view(x, (n, c, *kernel, *out), strides)
    step, _ = _fitting(c * _size(kernel) * x.itemsize, n, out)
    for start in range(0, n, step):
        part = windows[start : start + step]
        columns = part.reshape(len(part), groups, c // groups * _size(kernel), _size(out))
        yield slice(start, start + step), slice(None), columns


def _windows(lines, kernel, out, stride, dilation):
    """(N, C, *kernel, *out) as a view of lines (N, C, K of the last axis, *S, T of the last axis)."""
    near, steps = lines.strides[:3], lines.strides[3:]
    strides = (
        *near[:2],
        *(a * d for a, d in zip(steps[:-1], dilation)),
        near[2],
        *(a * s for a, s in zip(steps[:-1], stride)),
        steps[-1],
    )
    return _view(lines, (*lines.shape[:2], *kernel, *out), strides)


def _view(x, shape, strides):
    """``as_strided``, which takes three microseconds, by NumPy's constructor where that can do it."""
    if x.flags.c_contiguous:
        return np.ndarray(shape, x.dtype, x, 0, strides)
    return as_strided(x, shape, strides, writeable=False)


def _fitting(column_bytes, n, out):
    """How many images, and how many rows of one, have windows that fit into the cache."""
    count = max(_LEAST_COLUMNS, _CACHE_BYTES // max(1, column_bytes))
    images = max(1, min(n, count // max(1, _size(out))))
    return images, max(1, min(out[0], -(-count // max(1, _size(out[1:])))))


def _cut(offset, out, stride, dilation):
    """The slices of a padded image that one kernel offset meets."""
    return tuple(
        slice(o * d, o * d + s * (t - 1) + 1 if t else o * d, s) for o, d, s, t in zip(offset, dilation, stride, out)
    )


def _images(bytes_each):
    """How many images' windows fit into the cache."""
    return max(1, _CACHE_BYTES // max(1, bytes_each))
