"""Convolution, portably: leading axes for every backend, and the three operations as sums over kernel offsets.

Shapes, in canonical form: x (N, C, *S), w (O, C / groups, *K), y and g (N, O, *T); ``len(stride)`` spatial axes.
"""

from itertools import product

import numpy as np


def out_shape(spatial, kernel, stride, padding, dilation):
    """The spatial shape T of the result."""
    return tuple(
        max(0, (s + before + after - d * (k - 1) - 1) // step + 1)
        for s, k, step, (before, after), d in zip(spatial, kernel, stride, padding, dilation, strict=True)
    )


def conv(xp, x, w, stride, padding, dilation, groups):
    """``Backend.conv``: leading axes of ``x`` join N, those of ``w`` join O."""
    core = 2 + len(stride)
    lx, lw = x.shape[:-core], w.shape[:-core]
    options = (stride, padding, dilation, groups)
    if not lw:
        y = xp._conv(xp.reshape(x, (_size(lx) * x.shape[-core], *x.shape[1 - core :])), w, *options) if lx else None
        return xp._conv(x, w, *options) if y is None else xp.reshape(y, lx + (x.shape[-core], *y.shape[1:]))
    if not lx and groups == 1:
        n, o = _size(lw), w.shape[-core]
        y = xp._conv(x, xp.reshape(w, (n * o, *w.shape[1 - core :])), *options)
        y = xp.moveaxis(xp.reshape(y, (y.shape[0], n, o, *y.shape[2:])), 1, 0)
        return xp.reshape(y, lw + y.shape[1:])
    return _each(xp, lambda a, b: xp._conv(a, b, *options), x, w, core)


def conv_input(xp, g, w, input_shape, stride, padding, dilation, groups):
    """``Backend.conv_input``: leading axes of ``g`` join N; those of ``w`` are looped over."""
    core = 2 + len(stride)
    lead = g.shape[:-core]
    options = (stride, padding, dilation, groups)
    if w.ndim > core:
        return _each(xp, lambda a, b: xp._conv_input(a, b, tuple(input_shape), *options), g, w, core)
    if not lead:
        return xp._conv_input(g, w, tuple(input_shape), *options)
    n = _size(lead) * g.shape[-core]
    x = xp._conv_input(xp.reshape(g, (n, *g.shape[1 - core :])), w, (n, *input_shape[1:]), *options)
    return xp.reshape(x, lead + tuple(input_shape))


def conv_filter(xp, x, g, kernel_shape, stride, padding, dilation, groups):
    """``Backend.conv_filter``: leading axes of ``g`` alone join O, those of ``x`` alone join C; else a loop."""
    core = 2 + len(stride)
    lx, lg = x.shape[:-core], g.shape[:-core]
    kernel_shape = tuple(kernel_shape)
    options = (stride, padding, dilation, groups)
    if not lx and not lg:
        return xp._conv_filter(x, g, kernel_shape, *options)
    if groups == 1 and not lx:
        n = _size(lg)
        shape = (n * kernel_shape[0], *kernel_shape[1:])
        return xp.reshape(xp._conv_filter(x, _join(xp, g, lg), shape, *options), lg + kernel_shape)
    if groups == 1 and not lg:
        n = _size(lx)
        shape = (kernel_shape[0], n * kernel_shape[1], *kernel_shape[2:])
        w = xp._conv_filter(_join(xp, x, lx), g, shape, *options)
        w = xp.moveaxis(xp.reshape(w, (kernel_shape[0], n, *kernel_shape[1:])), 1, 0)
        return xp.reshape(w, lx + kernel_shape)
    return _each(xp, lambda a, b: xp._conv_filter(a, b, kernel_shape, *options), x, g, core)


def _size(shape):
    n = 1
    for length in shape:
        n *= length
    return n


def _join(xp, x, lead):
    """lead + (N, C, *S) as (N, lead * C, *S)."""
    x = xp.moveaxis(xp.reshape(x, (_size(lead), *x.shape[len(lead) :])), 0, 1)
    return xp.reshape(x, (x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]))


def _each(xp, f, a, b, core):
    """``f`` of each pair of entries along the broadcast leading axes of ``a`` and ``b``, stacked."""
    lead = np.broadcast_shapes(a.shape[:-core], b.shape[:-core])
    n = _size(lead)
    a = xp.reshape(xp.broadcast_to(a, lead + a.shape[-core:]), (n, *a.shape[-core:]))
    b = xp.reshape(xp.broadcast_to(b, lead + b.shape[-core:]), (n, *b.shape[-core:]))
    if n == 0:  # the shape of one result is still needed
        one = f(xp.zeros(a.shape[1:], dtype=a.dtype), xp.zeros(b.shape[1:], dtype=b.dtype))
        return xp.zeros(lead + tuple(one.shape), dtype=one.dtype)
    y = xp.stack([f(a[i, ...], b[i, ...]) for i in range(n)])
    return xp.reshape(y, lead + tuple(y.shape[1:]))


def _windows(xp, x, kernel, out, stride, padding, dilation):
    """For each kernel offset the entries of padded ``x`` (N, C, *S) that it meets: (N, C, *T)."""
    x = xp.pad(x, padding) if any(before or after for before, after in padding) else x
    for offset in product(*map(range, kernel)):
        cut = [
            slice(o * d, o * d + step * (t - 1) + 1 if t else o * d, step)
            for o, d, step, t in zip(offset, dilation, stride, out, strict=True)
        ]
        yield offset, x[(slice(None), slice(None), *cut)]


def portable_conv(xp, x, w, stride, padding, dilation, groups):
    """One matrix product a kernel offset, added up."""
    n, c, o, kernel = x.shape[0], x.shape[1], w.shape[0], w.shape[2:]
    out = out_shape(x.shape[2:], kernel, stride, padding, dilation)
    p = _size(out)
    y = xp.zeros((n, groups, o // groups, p), dtype=x.dtype)
    for offset, part in _windows(xp, x, kernel, out, stride, padding, dilation):
        a = xp.reshape(w[(slice(None), slice(None), *offset)], (groups, o // groups, c // groups))
        y = y + xp.matmul(a, xp.reshape(part, (n, groups, c // groups, p)))
    return xp.reshape(y, (n, o, *out))


def portable_conv_filter(xp, x, g, kernel_shape, stride, padding, dilation, groups):
    """One matrix product a kernel offset, stacked."""
    n, c, o, kernel = x.shape[0], x.shape[1], kernel_shape[0], kernel_shape[2:]
    out = tuple(g.shape[2:])
    p = _size(out)
    g = xp.reshape(g, (n, groups, o // groups, p))
    parts = []
    for _, part in _windows(xp, x, kernel, out, stride, padding, dilation):
        a = xp.matrix_transpose(xp.reshape(part, (n, groups, c // groups, p)))
        parts.append(xp.sum(xp.matmul(g, a), axis=0, dtype=g.dtype))
    if not parts:
        return xp.zeros(kernel_shape, dtype=g.dtype)
    return xp.reshape(xp.stack(parts, axis=-1), kernel_shape)


def portable_conv_input(xp, g, w, input_shape, stride, padding, dilation, groups):
    """One matrix product a kernel offset, spread out by the stride, shifted into its place and added up."""
    n, o, kernel = g.shape[0], w.shape[0], w.shape[2:]
    c, spatial, out = input_shape[1], input_shape[2:], tuple(g.shape[2:])
    full = tuple(s + before + after for s, (before, after) in zip(spatial, padding, strict=True))
    x = xp.zeros((n, c, *full), dtype=g.dtype)
    g = xp.reshape(g, (n, groups, o // groups, _size(out)))
    for offset in product(*map(range, kernel)) if _size(out) else ():
        a = xp.reshape(w[(slice(None), slice(None), *offset)], (groups, o // groups, c // groups))
        part = xp.reshape(xp.matmul(xp.matrix_transpose(a), g), (n, c, *out))
        part = dilate(xp, part, stride)
        start = tuple(k * d for k, d in zip(offset, dilation, strict=True))
        x = x + xp.pad(part, tuple((a, f - a - m) for a, f, m in zip(start, full, part.shape[2:], strict=True)))
    cut = [slice(before, before + s) for s, (before, _) in zip(spatial, padding, strict=True)]
    return x[(slice(None), slice(None), *cut)]


def dilate(xp, x, stride):
    """``stride - 1`` zeros between neighbours along each of the last ``len(stride)`` axes."""
    for axis, step in zip(range(-len(stride), 0), stride, strict=True):
        if step > 1:
            shape = x.shape
            i = axis % len(shape)
            spread = xp.pad(xp.expand_dims(x, axis=i + 1), ((0, step - 1), *(((0, 0),) * (len(shape) - i - 1))))
            spread = xp.reshape(spread, (*shape[:i], shape[i] * step, *shape[i + 1 :]))
            x = spread[(slice(None),) * i + (slice(0, max(0, step * (shape[i] - 1) + 1)), Ellipsis)]
    return x
