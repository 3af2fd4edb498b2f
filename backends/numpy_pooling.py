"""Windows on NumPy: views instead of slices side by side, and everything added up or chosen in place."""

from itertools import product

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .pooling import Pooling, along, cut, fitting


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
        best, which, weight = x, None, 1
        for i in reversed(range(n)):
            best, which = _best_along(
                best, which, weight, np.dtype(np.int32), _spots(i, n, kernel, out, stride, dilation)
            )
            weight *= kernel[i]
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
        out = g.shape[g.ndim - n :]
        total = np.zeros((*g.shape[: g.ndim - n], *size), g.dtype)
        alone = all(s >= d * (k - 1) + 1 for s, k, d in zip(stride, kernel, dilation))
        for k, offset in enumerate(product(*map(range, kernel))):
            part = self.select(which == k, g)
            if alone:
                total[cut(offset, out, stride, dilation)] = part
            else:
                total[cut(offset, out, stride, dilation)] += part
        return total


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
