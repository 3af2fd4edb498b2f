"""Windows on NumPy: views instead of slices side by side, and everything added up or chosen in place."""

import math
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .pooling import Pooling, along, cut, fitting

_PLANES = 16  # offsets in a kernel up to which a plane for each is faster than one axis after the other
_BLOCK_BYTES = 1 << 21  # of a picture worked on at a time: every offset goes through all of it


class NumpyPooling:
    """What NumPy does better than the portable Pooling."""

    def windows(self, x, kernel, stride, dilation):
        n = len(kernel)
        out = fitting(x.shape[x.ndim - n :], kernel, stride, dilation)
        lead, steps = x.strides[: x.ndim - n], x.strides[x.ndim - n :]
        strides = (*lead, *(a * d for a, d in zip(steps, dilation)), *(a * s for a, s in zip(steps, stride)))
        view = as_strided(x, (*x.shape[: x.ndim - n], *kernel, *out), strides, writeable=False)
        return np.array(view, order="C")

    def window_sum(self, g, size, kernel, stride, dilation):
        n = len(kernel)
        out = g.shape[g.ndim - n :]
        total = np.zeros((*g.shape[: g.ndim - 2 * n], *size), g.dtype)
        for offset in product(*map(range, kernel)):
            total[cut(offset, out, stride, dilation)] += g[(Ellipsis, *offset, *(slice(None),) * n)]
        return total

    def pool_sum(self, x, kernel, stride, dilation):
        n = len(kernel)
        out = fitting(x.shape[x.ndim - n :], kernel, stride, dilation)
        for i in range(n):
            spots = _spots(i, n, kernel, out, stride, dilation)
            total = np.array(x[spots[0]], order="C")
            for spot in spots[1:]:
                total += x[spot]
            x = total
        return x

    def pool_spread(self, g, size, kernel, stride, dilation):
        n = len(kernel)
        for i in range(n):
            axis = g.ndim - n + i
            spots = _spots(i, n, kernel, g.shape[g.ndim - n :], stride, dilation)
            total = np.zeros((*g.shape[:axis], size[i], *g.shape[axis + 1 :]), g.dtype)
            for spot in spots:
                if stride[i] >= dilation[i] * (kernel[i] - 1) + 1:  # nothing meets twice
                    total[spot] = g
                else:
                    total[spot] += g
            g = total
        return g

    def pool_max(self, x, kernel, stride, dilation):
        n = len(kernel)
        out = fitting(x.shape[x.ndim - n :], kernel, stride, dilation)
        way = _largest_by_planes if math.prod(kernel) <= _PLANES else _largest_by_axes
        best, which = way(x, kernel, out, stride, dilation)
        if x.dtype.kind == "f" and np.isnan(np.vdot(best, best)):
            return Pooling.pool_max(self, x, kernel, stride, dilation)
        return best, which

    def pool_pick(self, x, which, kernel, stride, dilation):
        n = len(kernel)
        out = fitting(x.shape[x.ndim - n :], kernel, stride, dilation)
        picked = np.zeros((*x.shape[: x.ndim - n], *out), x.dtype)
        for k, offset in enumerate(product(*map(range, kernel))):
            np.copyto(picked, x[cut(offset, out, stride, dilation)], where=which == k)
        return picked

    def pool_place(self, g, which, size, kernel, stride, dilation):
        n = len(kernel)
        lead, out = g.shape[: g.ndim - n], g.shape[g.ndim - n :]
        alone = all(s >= d * (k - 1) + 1 for s, k, d in zip(stride, kernel, dilation))
        full = kernel == stride and tuple(size) == tuple(s * t for s, t in zip(stride, out))
        total = (np.empty if full else np.zeros)((*lead, *size), g.dtype)
        parts = [(g, which, total)]
        if which.shape == g.shape and total.nbytes > 2 * _BLOCK_BYTES:
            rows = math.prod(lead)
            lines = g.reshape(rows, *out), which.reshape(rows, *out), total.reshape(rows, *size)
            parts = [tuple(x[block] for x in lines) for block in _blocks(lines[2])]
        for g, which, target in parts:
            for k, offset in enumerate(product(*map(range, kernel))):
                part, spots = self.select(which == k, g), cut(offset, out, stride, dilation)
                if alone:
                    target[spots] = part
                else:
                    target[spots] += part
        return total


def _blocks(pictures):
    """Slices of the first axis, so few pictures each that they stay in the cache."""
    step = max(1, _BLOCK_BYTES // max(1, math.prod(pictures.shape[1:]) * pictures.itemsize))
    return [slice(start, start + step) for start in range(0, len(pictures), step)]


def _largest_by_planes(x, kernel, out, stride, dilation):
    """One offset within the kernel after the other, copied to where its entries stand side by side: a phase plane."""
    lead = x.shape[: x.ndim - len(kernel)]
    rows, spots = math.prod(lead), [cut(o, out, stride, dilation) for o in product(*map(range, kernel))]
    best, which = np.empty((rows, *out), x.dtype), np.empty((rows, *out), np.int32)
    x = x.reshape(rows, *x.shape[len(lead) :])
    for block in _blocks(x):
        part, top = x[block], best[block]
        top[...] = part[spots[0]]
        chosen, plane = np.zeros(top.shape, np.uint8), np.empty(top.shape, x.dtype)
        for k, spot in enumerate(spots[1:], 1):
            plane[...] = part[spot]
            better = np.greater(plane, top).view(np.uint8)
            np.maximum(top, plane, out=top)
            better *= np.uint8(k)
            np.maximum(chosen, better, out=chosen)  # a later offset has the larger number
        which[block] = chosen
    return best.reshape(*lead, *out), which.reshape(*lead, *out)


def _largest_by_axes(x, kernel, out, stride, dilation):
    """One axis after the other, the last first."""
    n, which, weight = len(kernel), None, 1
    for i in reversed(range(n)):
        spots = _spots(i, n, kernel, out, stride, dilation)
        x, which = _best_along(x, which, weight, np.dtype(np.int32), spots)
        weight *= kernel[i]
    return x, which


def _spots(axis, n, kernel, out, stride, dilation):
    """The indices of the offsets along one of the last ``n`` axes."""
    one = slice(axis, axis + 1)
    return [along(axis, n, cut((k,), out[one], stride[one], dilation[one])[1]) for k in range(kernel[axis])]


def _best_along(x, which, weight, small, spots):
    """The largest along one axis, and its number: a later offset has the larger number, so the larger number stays."""
    best = np.array(x[spots[0]], order="C")
    chosen = np.zeros(best.shape, small) if which is None else np.array(which[spots[0]])
    for k, spot in enumerate(spots[1:], 1):
        part = x[spot]
        better = np.greater(part, best).view(np.uint8)
        np.maximum(best, part, out=best)
        number = small.type(k * weight) if which is None else which[spot] + small.type(k * weight)
        np.maximum(chosen, np.multiply(better, number, dtype=small), out=chosen)
    return best, chosen
