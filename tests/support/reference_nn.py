"""Neural-network operations of ``op`` in NumPy alone, entry by entry where that is the plainest: for ``reference``."""

from __future__ import annotations

import itertools
import math

import numpy as np

# ---- windows and pools ----


def _each(value, n):
    return (value,) * n if isinstance(value, int) else tuple(value)


def _pairs(padding, n):
    return tuple((p, p) if isinstance(p, int) else tuple(p) for p in _each(padding, n))


def _count(size, kernel, stride, dilation):
    return [max(0, (s - d * (k - 1) - 1) // t + 1) for s, k, t, d in zip(size, kernel, stride, dilation)]


def _spots(size, kernel, stride, dilation):
    """(offset in the kernel, number of the window, position in the array) for all that meet."""
    for t in np.ndindex(*_count(size, kernel, stride, dilation)):
        for k in np.ndindex(*kernel):
            yield k, t, tuple(a * s + b * d for a, s, b, d in zip(t, stride, k, dilation))


def windows(x, kernel, stride, dilation):
    size = x.shape[x.ndim - len(kernel) :]
    y = np.zeros((*x.shape[: x.ndim - len(kernel)], *kernel, *_count(size, kernel, stride, dilation)), x.dtype)
    for k, t, spot in _spots(size, kernel, stride, dilation):
        y[(..., *k, *t)] = x[(..., *spot)]
    return y


def window_sum(h, size, kernel, stride, dilation):
    x = np.zeros((*h.shape[: h.ndim - 2 * len(kernel)], *size), h.dtype)
    for k, t, spot in _spots(size, kernel, stride, dilation):
        x[(..., *spot)] += h[(..., *k, *t)]
    return x


def _kernel_axes(kernel):
    return tuple(range(-2 * len(kernel), -len(kernel)))


def pool_sum(x, kernel, stride, dilation):
    return np.sum(windows(x, kernel, stride, dilation), axis=_kernel_axes(kernel), dtype=x.dtype)


def pool_spread(h, size, kernel, stride, dilation):
    wide = np.expand_dims(h, _kernel_axes(kernel))
    shape = (*h.shape[: h.ndim - len(kernel)], *kernel, *h.shape[h.ndim - len(kernel) :])
    return window_sum(np.broadcast_to(wide, shape), size, kernel, stride, dilation)


def _chosen(which, kernel):
    return np.expand_dims(which, _kernel_axes(kernel)) == np.arange(math.prod(kernel)).reshape(
        (*kernel, *(1,) * len(kernel))
    )


def pool_pick(x, which, kernel, stride, dilation):
    seen = windows(x, kernel, stride, dilation)
    return np.sum(np.where(_chosen(which, kernel), seen, 0), axis=_kernel_axes(kernel), dtype=x.dtype)


def pool_place(h, which, size, kernel, stride, dilation):
    wide = np.expand_dims(h, _kernel_axes(kernel))
    return window_sum(np.where(_chosen(which, kernel), wide, np.zeros((), h.dtype)), size, kernel, stride, dilation)


def _settings(x, kernel, stride, padding, dilation, ceil_mode=False):
    n = x.ndim - 2
    kernel, dilation, padding = _each(kernel, n), _each(dilation, n), list(_pairs(padding, n))
    stride = kernel if stride is None else _each(stride, n)
    for i, (s, k, t, d) in enumerate(zip(x.shape[2:], kernel, stride, dilation)):
        before, after = padding[i]
        if ceil_mode:
            count = math.ceil((s + before + after - d * (k - 1) - 1) / t) + 1
            count -= (count - 1) * t >= s + before
            padding[i] = (before, max(after, (count - 1) * t + d * (k - 1) + 1 - s - before))
    return kernel, stride, padding, dilation


def max_pool(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel, stride, padding, dilation = _settings(x, kernel, stride, padding, dilation, ceil_mode)
    low = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    wide = np.pad(x, [(0, 0)] * 2 + padding, constant_values=low)
    return np.max(windows(wide, kernel, stride, dilation), axis=_kernel_axes(kernel))


def average_pool(x, kernel, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    kernel, stride, given, ones = _settings(x, kernel, stride, padding, 1)
    wide = _settings(x, kernel, stride, padding, 1, ceil_mode)[2]
    counted = np.pad(np.ones(x.shape[2:]), given, constant_values=float(count_include_pad))
    counted = np.pad(counted, [(0, w[1] - g[1]) for w, g in zip(wide, given)])
    total = pool_sum(np.pad(x, [(0, 0)] * 2 + wide), kernel, stride, ones)
    return total / pool_sum(counted.astype(np.result_type(x, 1.0)), kernel, stride, ones)


def lp_pool(x, p, kernel, stride=None, ceil_mode=False):
    kernel, stride, padding, ones = _settings(x, kernel, stride, 0, 1, ceil_mode)
    return pool_sum(np.pad(np.abs(x) ** p, [(0, 0)] * 2 + padding), kernel, stride, ones) ** (1.0 / p)


def global_average_pool(x, keepdims=True):
    return np.mean(x, axis=tuple(range(2, x.ndim)), keepdims=keepdims)


def global_max_pool(x, keepdims=True):
    return np.max(x, axis=tuple(range(2, x.ndim)), keepdims=keepdims)


def _adaptive(reduce, x, size):
    size = _each(size, x.ndim - 2)
    y = np.zeros((*x.shape[:2], *size), reduce(np.ones(1, x.dtype)).dtype)
    for t in np.ndindex(*size):
        part = tuple(slice(i * n // s, -(-(i + 1) * n // s)) for i, n, s in zip(t, x.shape[2:], size))
        y[(..., *t)] = reduce(x[(..., *part)], axis=tuple(range(2, x.ndim)))
    return y


def adaptive_average_pool(x, size):
    return _adaptive(np.mean, x, size)


def adaptive_max_pool(x, size):
    return _adaptive(np.max, x, size)


def spatial_pyramid_pool(x, levels):
    parts = [adaptive_max_pool(x, 2**level) for level in range(levels)]
    return np.concatenate([p.reshape(p.shape[0], math.prod(p.shape[1:])) for p in parts], axis=1)


def unpool(x, kernel, stride=None, padding=0, size=None):
    kernel, stride, padding, ones = _settings(x, kernel, stride, padding, 1)
    full = [(t - 1) * s + k for t, s, k in zip(x.shape[2:], stride, kernel)]
    full = [n + sum(p) for n, p in zip(size, padding)] if size else full
    y = pool_spread(x, full, kernel, stride, ones)
    return y[(..., *[slice(b, n - a) for n, (b, a) in zip(full, padding)])]


def max_unpool(x, indices, size):
    y = np.zeros((*x.shape[:2], math.prod(size)), x.dtype)
    for spot in np.ndindex(*x.shape):
        y[(*spot[:2], indices[spot])] += x[spot]
    return y.reshape(*x.shape[:2], *size)


def unfold(x, kernel, stride=1, padding=0, dilation=1):
    kernel, stride, padding, dilation = _settings(x, kernel, stride, padding, dilation)
    y = windows(np.pad(x, [(0, 0)] * 2 + padding), kernel, stride, dilation)
    return y.reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(y.shape[2 + len(kernel) :]))


def fold(x, size, kernel, stride=1, padding=0, dilation=1):
    n = len(size)
    kernel, stride, padding, dilation = _each(kernel, n), _each(stride, n), _pairs(padding, n), _each(dilation, n)
    full = [s + sum(p) for s, p in zip(size, padding)]
    h = x.reshape(x.shape[0], x.shape[1] // math.prod(kernel), *kernel, *_count(full, kernel, stride, dilation))
    y = window_sum(h, full, kernel, stride, dilation)
    return y[(..., *[slice(b, b + s) for s, (b, _) in zip(size, padding)])]


# ---- convolutions ----


def _conv(x, w, stride=1, padding=0, dilation=1, groups=1):
    from .reference import conv

    n = x.ndim - 2
    if isinstance(padding, str):
        stride, dilation = _each(stride, n), _each(dilation, n)
        total = [
            max(0, (math.ceil(s / t) - 1) * t + d * (k - 1) + 1 - s)
            for s, t, d, k in zip(x.shape[2:], stride, dilation, w.shape[2:])
        ]
        padding = tuple((t // 2, t - t // 2) if padding == "same" else (0, 0) for t in total)
    return conv(x, w, stride, padding, dilation, groups)


conv1d = conv2d = conv3d = _conv


def conv_transpose(x, w, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """Every entry of x puts its kernel into the result."""
    n = x.ndim - 2
    stride, padding, dilation = _each(stride, n), _pairs(padding, n), _each(dilation, n)
    extra, share, out = _each(output_padding, n), x.shape[1] // groups, w.shape[1]
    full = [
        (t - 1) * s + d * (k - 1) + 1 + e for t, s, d, k, e in zip(x.shape[2:], stride, dilation, w.shape[2:], extra)
    ]
    y = np.zeros((x.shape[0], out * groups, *full), np.result_type(x, w))
    for spot in np.ndindex(*x.shape[2:]):
        for k in np.ndindex(*w.shape[2:]):
            place = tuple(a * s + b * d for a, s, b, d in zip(spot, stride, k, dilation))
            for g in range(groups):
                own = slice(g * share, (g + 1) * share)
                y[(slice(None), slice(g * out, (g + 1) * out), *place)] += (
                    x[(slice(None), own, *spot)] @ w[(own, slice(None), *k)]
                )
    return y[(..., *[slice(b, f - a) for f, (b, a) in zip(full, padding)])]


def depthwise_conv(x, w, stride=1, padding=0, dilation=1):
    return _conv(x, w.reshape(-1, 1, *w.shape[2:]) if w.size else w, stride, padding, dilation, x.shape[1])


def local_conv(x, w, stride=1):
    n = x.ndim - 2
    kernel, stride = w.shape[n + 2 :], _each(stride, n)
    seen = windows(x, kernel, stride, (1,) * n)
    y = np.zeros((x.shape[0], *w.shape[: n + 1]), np.result_type(x, w))
    for t in np.ndindex(*w.shape[1 : n + 1]):
        y[(..., *t)] = np.tensordot(seen[(..., *t)], w[(slice(None), *t)], (range(1, n + 2), range(1, n + 2)))
    return y


# ---- resizing ----


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=False):
    """Every new pixel by itself, axis after axis."""
    if size is None:
        size = [int(n * f) for n, f in zip(x.shape[2:], np.broadcast_to(scale_factor, (x.ndim - 2,)))]
    if mode == "area":
        return adaptive_average_pool(x, size)
    for axis, count in enumerate(size, 2):
        n = x.shape[axis]
        lines = np.moveaxis(x, axis, 0)
        x = np.moveaxis(np.stack([_pixel(lines, i, n, count, mode, align_corners) for i in range(count)]), 0, axis)
    return x


def _pixel(lines, i, n, count, mode, align_corners):
    if mode == "nearest":
        return lines[i * n // count]
    if mode == "nearest-exact":
        return lines[int((i + 0.5) * n / count)]
    place = i * (n - 1) / max(count - 1, 1) if align_corners else (i + 0.5) * n / count - 0.5
    if mode == "linear":
        place = min(max(place, 0), n - 1)
        return sum(max(0.0, 1 - abs(place - k)) * lines[k] for k in range(n))
    total = 0
    for k in range(math.floor(place) - 1, math.floor(place) + 3):
        total = total + _keys(abs(place - k)) * lines[min(max(k, 0), n - 1)]
    return total


def _keys(d, a=-0.75):
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def pixel_shuffle(x, factor):
    n = x.ndim - 2
    y = np.zeros((x.shape[0], x.shape[1] // factor**n, *[s * factor for s in x.shape[2:]]), x.dtype)
    for k, offset in enumerate(itertools.product(range(factor), repeat=n)):
        y[(..., *[slice(o, None, factor) for o in offset])] = x[:, k :: factor**n]
    return y


def pixel_unshuffle(x, factor):
    n = x.ndim - 2
    y = np.zeros((x.shape[0], x.shape[1] * factor**n, *[s // factor for s in x.shape[2:]]), x.dtype)
    for k, offset in enumerate(itertools.product(range(factor), repeat=n)):
        y[:, k :: factor**n] = x[(..., *[slice(o, None, factor) for o in offset])]
    return y


def affine_grid(theta, size, align_corners=False):
    n = theta.shape[1]
    size = tuple(size)[-n:]
    y = np.zeros((theta.shape[0], *size, n), np.result_type(theta, 1.0))
    for t in np.ndindex(*size):
        place = [2 * i / max(s - 1, 1) - 1 if align_corners else (2 * i + 1) / s - 1 for i, s in zip(t, size)]
        y[(slice(None), *t)] = theta @ np.array([*place[::-1], 1.0], y.dtype)
    return y


def grid_sample(x, grid, mode="linear", padding_mode="zeros", align_corners=False):
    y = np.zeros((x.shape[0], x.shape[1], *grid.shape[1:-1]), x.dtype if mode == "nearest" else np.result_type(x, grid))
    for spot in np.ndindex(*grid.shape[:-1]):
        places = [_unmapped(u, s, padding_mode, align_corners) for u, s in zip(grid[spot][::-1], x.shape[2:])]
        for k in np.ndindex(*x.shape[2:]):
            if mode == "nearest":
                share = float(all(np.round(p) == i for p, i in zip(places, k)))
            else:
                share = math.prod(max(0.0, 1 - abs(p - i)) for p, i in zip(places, k))
            y[(spot[0], slice(None), *spot[1:])] += share * x[(spot[0], slice(None), *k)]
    return y


def _unmapped(u, size, padding_mode, align_corners):
    u = (u + 1) / 2 * (size - 1) if align_corners else ((u + 1) * size - 1) / 2
    low, high = (0, size - 1) if align_corners else (-0.5, size - 0.5)
    while padding_mode == "reflection" and not low <= u <= high:
        u = 2 * low - u if u < low else 2 * high - u
    return u if padding_mode == "zeros" else min(max(u, 0), size - 1)


# ---- normalisation ----


def standardize(x, axis=-1, eps=1e-5):
    apart = x - np.mean(x, axis=axis, keepdims=True)
    return apart / np.sqrt(np.mean(apart**2, axis=axis, keepdims=True) + eps)


def _seen(a, x):
    return np.reshape(a, (-1,) + (1,) * (x.ndim - 2))


def _affine(y, weight, bias):
    y = y if weight is None else y * _seen(weight, y)
    return y if bias is None else y + _seen(bias, y)


def batch_norm(x, weight=None, bias=None, *, eps=1e-5, return_statistics=False):
    axes = (0, *range(2, x.ndim))
    y = _affine(standardize(x, axes, eps), weight, bias)
    return (y, np.mean(x, axis=axes), np.var(x, axis=axes)) if return_statistics else y


def batch_norm_eval(x, mean, variance, weight=None, bias=None, *, eps=1e-5):
    return _affine((x - _seen(mean, x)) / np.sqrt(_seen(variance, x) + eps), weight, bias)


def batch_renorm(x, running_mean, running_variance, weight=None, bias=None, *, rmax=3.0, dmax=5.0, eps=1e-5):
    y, mean, variance = batch_norm(x, eps=eps, return_statistics=True)
    root = np.sqrt(running_variance + eps)
    r = np.clip(np.sqrt(variance + eps) / root, 1 / rmax, rmax)
    return _affine(_affine(y, r, np.clip((mean - running_mean) / root, -dmax, dmax)), weight, bias)


def _trailing(a, x, axis):
    axes = sorted(i % x.ndim for i in (axis if isinstance(axis, tuple) else (axis,)))
    return np.reshape(a, [x.shape[i] if i in axes else 1 for i in range(x.ndim)])


def layer_norm(x, weight=None, bias=None, *, axis=-1, eps=1e-5):
    y = standardize(x, axis, eps)
    y = y if weight is None else y * _trailing(weight, x, axis)
    return y if bias is None else y + _trailing(bias, x, axis)


def group_norm(x, groups, weight=None, bias=None, *, eps=1e-5):
    parts = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return _affine(standardize(parts, tuple(range(2, parts.ndim)), eps).reshape(x.shape), weight, bias)


def instance_norm(x, weight=None, bias=None, *, eps=1e-5):
    return _affine(standardize(x, tuple(range(2, x.ndim)), eps), weight, bias)


def rms_norm(x, weight=None, *, axis=-1, eps=1e-5):
    y = x / np.sqrt(np.mean(x * x, axis=axis, keepdims=True) + eps)
    return y if weight is None else y * _trailing(weight, x, axis)


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0):
    y = np.zeros(x.shape, np.result_type(x, 1.0))
    for c in range(x.shape[1]):
        near = x[:, max(0, c - size // 2) : c + (size - 1) // 2 + 1]
        y[:, c] = x[:, c] / (k + alpha / size * np.sum(near**2, axis=1)) ** beta
    return y


def _norm(x, axis=-1, ord=2):
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=True) ** (1 / ord)


def normalize(x, ord=2, axis=-1, eps=1e-12):
    return x / np.maximum(_norm(x, axis, ord), eps)


def weight_norm(v, g, axis=0):
    others = tuple(i for i in range(v.ndim) if i != axis % v.ndim)
    return v * (np.reshape(g, [n if i == axis % v.ndim else 1 for i, n in enumerate(v.shape)]) / _norm(v, others))


def weight_standardization(w, eps=1e-5):
    return standardize(w, tuple(range(1, w.ndim)), eps)


def spectral_norm(w, u, steps=1, eps=1e-12):
    matrix = w.reshape(w.shape[0], math.prod(w.shape[1:]))
    v = normalize(u @ matrix, eps=eps)
    for _ in range(steps):
        u = normalize(matrix @ v, eps=eps)
        v = normalize(u @ matrix, eps=eps)
    return w / (u @ matrix @ v), u
