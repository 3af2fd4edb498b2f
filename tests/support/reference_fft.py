"""Transforms, signals and calculus in NumPy alone, by the plainest formula; see ``reference``."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

__all__ = [
    "cumulative_trapezoid",
    "fft",
    "gradient",
    "interp",
    "map_coordinates",
    "polyfit",
    "polyval",
    "signal",
    "vander",
]


def truncate_pad(x, shape):
    y = np.zeros(shape, x.dtype)
    common = tuple(slice(0, min(a, b)) for a, b in zip(x.shape, shape))
    y[common] = x[common]
    return y


def _cosines(kind, n):
    """The matrix of a cosine transform, as SciPy scales it."""
    k, j = np.arange(n)[:, None], np.arange(n)
    if kind == 1:
        inner = 2 * np.cos(np.pi * k * j / (n - 1))
        return np.where((j == 0) | (j == n - 1), inner / 2, inner)
    if kind == 2:
        return 2 * np.cos(np.pi * k * (2 * j + 1) / (2 * n))
    if kind == 3:
        return np.where(j == 0, 1.0, 2 * np.cos(np.pi * j * (2 * k + 1) / (2 * n)))
    return 2 * np.cos(np.pi * (2 * k + 1) * (2 * j + 1) / (4 * n))


def _orthonormal(kind, n):
    """The same with rows and columns scaled so that the matrix is orthogonal."""
    k = np.arange(n)
    ends = np.where(k == 0, 0.5**0.5, 1.0)
    both = np.where((k == 0) | (k == n - 1), 0.5**0.5, 1.0)
    left = {1: both, 2: ends}.get(kind, np.ones(n))
    right = {1: 1 / both, 3: 1 / ends}.get(kind, np.ones(n))
    return left[:, None] * _cosines(kind, n) * right / np.sqrt(2 * n - 2 * (kind == 1))


def _apply(matrix, x, axis):
    return np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)


def dct(x, type=2, n=None, axis=-1, norm="backward"):
    n = x.shape[axis] if n is None else n
    shape = list(x.shape)
    shape[axis] = n
    matrix = _orthonormal(type, n) if norm == "ortho" else _cosines(type, n)
    scale = 2 * n - 2 * (type == 1) if norm == "forward" else 1
    return _apply(matrix, truncate_pad(np.asarray(x), shape), axis) / scale


def idct(x, type=2, n=None, axis=-1, norm="backward"):
    n = x.shape[axis] if n is None else n
    shape = list(x.shape)
    shape[axis] = n
    matrix = np.linalg.inv(_orthonormal(type, n) if norm == "ortho" else _cosines(type, n))
    scale = 2 * n - 2 * (type == 1) if norm == "forward" else 1
    return _apply(matrix, truncate_pad(np.asarray(x), shape), axis) * scale


def _names(module):
    return {name: getattr(module, name) for name in module.__all__}


fft = SimpleNamespace(**_names(np.fft) | {"dct": dct, "idct": idct, "truncate_pad": truncate_pad})


# ---- signals ----


def _full(a, v):
    y = np.zeros([n + k - 1 for n, k in zip(a.shape, v.shape)], np.result_type(a, v))
    for spot in np.ndindex(*v.shape):
        y[tuple(slice(i, i + n) for i, n in zip(spot, a.shape))] += a * v[spot]
    return y


def _convolved(a, v, mode="full", method="direct"):
    y = _full(a, v)
    sizes = {"full": y.shape, "same": a.shape, "valid": [abs(n - k) + 1 for n, k in zip(a.shape, v.shape)]}[mode]
    return y[tuple(slice((m - n) // 2, (m - n) // 2 + n) for m, n in zip(y.shape, sizes))]


def _correlated(a, v, mode="full", method="direct"):
    return _convolved(a, np.conj(np.flip(v)), mode)


def _fftconvolve(a, v, mode="full", axes=None):
    if axes is None:
        return _convolved(a, v, mode)
    assert axes in (-1, (-1,))
    shape = np.broadcast_shapes(a.shape[:-1], v.shape[:-1])
    a, v = (np.broadcast_to(x, (*shape, x.shape[-1])) for x in (a, v))
    rows = [_convolved(a[i], v[i], mode) for i in np.ndindex(*shape)]
    return np.stack(rows).reshape(*shape, -1)


def _stft(x, n_fft, hop_length=None, window=None, center=True, pad_mode="reflect", onesided=None):
    hop = n_fft // 4 if hop_length is None else hop_length
    window = np.ones(n_fft) if window is None else window
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)], mode=pad_mode)
    starts = range(0, x.shape[-1] - n_fft + 1, hop)
    transform = np.fft.fft if x.dtype.kind == "c" or onesided is False else np.fft.rfft
    return np.stack([transform(x[..., s : s + n_fft] * window) for s in starts], axis=-1)


def _istft(z, n_fft, hop_length=None, window=None, center=True, length=None, onesided=True):
    hop = n_fft // 4 if hop_length is None else hop_length
    window = np.ones(n_fft) if window is None else window
    frames = np.moveaxis(np.fft.irfft(z, n_fft, axis=-2) if onesided else np.fft.ifft(z, n_fft, axis=-2), -1, 0)
    size = (len(frames) - 1) * hop + n_fft
    total, weight = np.zeros((*z.shape[:-2], size), np.result_type(frames, window)), np.zeros(size, window.dtype)
    for t, frame in enumerate(frames):
        total[..., t * hop : t * hop + n_fft] += frame * window
        weight[t * hop : t * hop + n_fft] += window**2
    start = n_fft // 2 if center else 0
    stop = size - start if length is None else start + length
    return (total[..., start:stop]) / weight[start:stop]


signal = SimpleNamespace(convolve=_convolved, correlate=_correlated, fftconvolve=_fftconvolve, stft=_stft, istft=_istft)


# ---- calculus ----


def gradient(f, *spacings, axis=None, edge_order=1):
    """NumPy's, axis by axis: it gives f's dtype, whatever that of the places."""
    axes = range(f.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings *= len(axes)
    pairs = zip(axes, spacings or (1.0,) * len(axes))
    found = [np.gradient(f.astype(np.result_type(f, h)), h, axis=a, edge_order=edge_order) for a, h in pairs]
    return tuple(found) if len(found) > 1 else found[0]


def cumulative_trapezoid(y, x=None, dx=1.0, axis=-1, initial=None):
    y = np.moveaxis(y, axis, 0)
    steps = dx if x is None else np.diff(x if x.ndim == 1 else np.moveaxis(x, axis, 0), axis=0)
    if x is not None and steps.ndim < y.ndim:
        steps = steps.reshape(-1, *(1,) * (y.ndim - 1))
    areas = np.cumsum((y[1:] + y[:-1]) / 2 * steps, axis=0)
    if initial is not None:
        areas = np.concatenate([np.full_like(areas[:1], initial, shape=(1, *areas.shape[1:])), areas])
    return np.moveaxis(areas, 0, axis)


def interp(x, xp, fp, left=None, right=None, period=None):
    """NumPy's, part by part: its complex function wants complex ends."""
    if np.iscomplexobj(xp) or np.iscomplexobj(x):
        raise TypeError("real places alone")
    return np.asarray(np.interp(x, xp, fp, left, right, period))


def map_coordinates(x, coordinates, order=1, mode="constant", cval=0.0):
    places = np.stack(coordinates)
    y = np.zeros(places.shape[1:], np.result_type(x, places) if order else x.dtype)
    for spot in np.ndindex(*places.shape[1:]):
        c = places[(slice(None), *spot)]
        held = np.clip(c, 0, np.array(x.shape) - 1)
        if mode == "constant" and np.any(held != c):
            y[spot] = cval
        elif order == 0:
            y[spot] = x[tuple(np.round(held).astype(int))]
        else:  # one axis after the other
            value = x
            for k, place in enumerate(held):
                low = min(int(place), x.shape[k] - 2)
                value = value[low] * (1 - (place - low)) + value[low + 1] * (place - low)
            y[spot] = value
    return y


def polyval(p, x):
    return sum((c * np.asarray(x) ** k for k, c in enumerate(np.asarray(p)[::-1])), 0 * np.asarray(x))


def vander(x, N=None, increasing=False):  # noqa: N803
    return np.vander(x, N, increasing)


def polyfit(x, y, deg, w=None):
    columns = np.vander(x, deg + 1)
    w = np.ones_like(x) if w is None else w
    a = columns * w[:, None]
    return np.linalg.solve(a.T @ a, a.T @ (y * w.reshape(-1, *(1,) * (y.ndim - 1))))
