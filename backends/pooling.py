"""Windows over the last axes, portably: side by side, summed up, or the largest entry of each.

An array is ``lead + S``, S its last ``len(kernel)`` axes; windows lie at every ``stride``-th position, their entries
``dilation`` apart, and T = (S - dilation * (kernel - 1) - 1) // stride + 1 of them fit along an axis. There is no
padding here. Leading axes are any.
"""

from itertools import product

from .convolution import dilate


def fitting(sizes, kernel, stride, dilation):
    """How many windows fit along each axis."""
    return tuple(
        max(0, (s - d * (k - 1) - 1) // step + 1) for s, k, step, d in zip(sizes, kernel, stride, dilation, strict=True)
    )


def cut(offset, out, stride, dilation):
    """The index of the entries that one offset within the kernel meets."""
    return (
        Ellipsis,
        *(
            slice(o * d, o * d + s * (t - 1) + 1 if t else o * d, s)
            for o, d, s, t in zip(offset, dilation, stride, out, strict=True)
        ),
    )


def along(axis, ndim, index):
    """``index`` for one of the last ``ndim`` axes, counted from their first."""
    return (Ellipsis, index, *(slice(None),) * (ndim - axis - 1))


class Pooling:
    """What Backend inherits: each method on the standard alone."""

    def windows(self, x, kernel, stride, dilation):
        """``lead + S`` as ``lead + kernel + T``: at each offset within the kernel what the windows have there."""
        out = fitting(x.shape[x.ndim - len(kernel) :], kernel, stride, dilation)
        lead = tuple(x.shape[: x.ndim - len(kernel)])
        parts = [x[cut(offset, out, stride, dilation)] for offset in product(*map(range, kernel))]
        return self.reshape(self.stack(parts, axis=len(lead)), lead + tuple(kernel) + out)

    def window_sum(self, g, size, kernel, stride, dilation):
        """The adjoint of ``windows``: ``lead + kernel + T`` added up into ``lead + size``."""
        n = len(kernel)
        total = self.zeros(tuple(g.shape[: g.ndim - 2 * n]) + tuple(size), dtype=g.dtype)
        for offset in product(*map(range, kernel)):
            part = g[(Ellipsis, *offset, *(slice(None),) * n)]
            total = total + self._spread_out(part, offset, size, stride, dilation)
        return total

    def _spread_out(self, part, offset, size, stride, dilation):
        """``lead + T`` at the places of ``lead + size`` that an offset meets, 0 elsewhere."""
        if 0 in part.shape[part.ndim - len(size) :]:
            return self.zeros(tuple(part.shape[: part.ndim - len(size)]) + tuple(size), dtype=part.dtype)
        part = dilate(self, part, stride)
        sizes = part.shape[part.ndim - len(size) :]
        starts = [o * d for o, d in zip(offset, dilation, strict=True)]
        return self.pad(part, tuple((a, n - a - m) for a, n, m in zip(starts, size, sizes, strict=True)))

    def pool_sum(self, x, kernel, stride, dilation):
        """The sum of each window, ``lead + T``: one axis after the other."""
        n = len(kernel)
        out = fitting(x.shape[x.ndim - n :], kernel, stride, dilation)
        for i in range(n):
            parts = [
                x[along(i, n, cut((k,), out[i : i + 1], stride[i : i + 1], dilation[i : i + 1])[1])]
                for k in range(kernel[i])
            ]
            x = parts[0]
            for part in parts[1:]:
                x = x + part
        return self.asarray(x, copy=True)

    def pool_spread(self, g, size, kernel, stride, dilation):
        """The adjoint of ``pool_sum``: each entry of ``lead + T`` added to its window in ``lead + size``."""
        n = len(kernel)
        for i in range(n):
            place = tuple(size[: i + 1]) + tuple(g.shape[g.ndim - n + i + 1 :])
            offsets = [tuple(k if j == i else 0 for j in range(n)) for k in range(kernel[i])]
            steps = tuple(stride[i] if j == i else 1 for j in range(n))
            parts = [self._spread_out(g, offset, place, steps, dilation) for offset in offsets]
            g = parts[0]
            for part in parts[1:]:
                g = g + part
        return g

    def pool_max(self, x, kernel, stride, dilation):
        """The largest entry of each window and its number within the kernel, in row-major order: both ``lead + T``.

        Of equal entries the first counts; a NaN counts more than any number. One axis after the other, the last first:
        so the first of equals is the first in row-major order.
        """
        n = len(kernel)
        out = fitting(x.shape[x.ndim - n :], kernel, stride, dilation)
        floating = self.is_inexact(x.dtype)
        which, weight = None, 1
        for i in reversed(range(n)):
            spots = [
                along(i, n, cut((k,), out[i : i + 1], stride[i : i + 1], dilation[i : i + 1])[1])
                for k in range(kernel[i])
            ]
            best = self.asarray(x[spots[0]], copy=True)
            chosen = self.zeros(best.shape, dtype=self.int32) if which is None else which[spots[0]]
            for k, spot in enumerate(spots[1:], 1):
                part = x[spot]
                better = ~(part <= best) & ~self.isnan(best) if floating else part > best
                best = self.where(better, part, best)
                number = (0 if which is None else which[spot]) + self.full((), k * weight, dtype=self.int32)
                chosen = self.where(better, number, chosen)
            x, which, weight = best, chosen, weight * kernel[i]
        return x, which

    def pool_pick(self, x, which, kernel, stride, dilation):
        """The entry number ``which`` of each window: ``which`` is T behind some of x's leading axes."""
        n = len(kernel)
        out = fitting(x.shape[x.ndim - n :], kernel, stride, dilation)
        total = self.zeros(tuple(x.shape[: x.ndim - n]) + out, dtype=x.dtype)
        for k, offset in enumerate(product(*map(range, kernel))):
            total = total + self.select(which == k, x[cut(offset, out, stride, dilation)])
        return total

    def pool_place(self, g, which, size, kernel, stride, dilation):
        """The adjoint of ``pool_pick`` in x: each entry of ``lead + T`` added to ``lead + size`` where it came from."""
        total = self.zeros(tuple(g.shape[: g.ndim - len(size)]) + tuple(size), dtype=g.dtype)
        for k, offset in enumerate(product(*map(range, kernel))):
            total = total + self._spread_out(self.select(which == k, g), offset, size, stride, dilation)
        return total
