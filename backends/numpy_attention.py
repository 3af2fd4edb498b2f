"""Attention on NumPy: scores of a few matrices at a time, which stay in the cache, of keys that may be seen."""

import math

import numpy as np

_AT_ONCE = 1 << 18  # scores
_BAND = 64  # queries that are taken together where each sees the keys up to its own
_TAME = 60.0  # exp of it, summed over a row, is far from overflow in float32, and exp of its negative from underflow


class NumpyAttention:
    """What NumpyBackend inherits."""

    def softmax(self, x, axis):
        e = x.copy() if x.size and x.ndim and x.dtype.char in "fd" else None
        if e is None or not _exponentials(e, None, axis):
            return super().softmax(x, axis)
        e /= np.add.reduce(e, axis=axis, keepdims=True)
        return e

    def attention(self, q, k, v, causal):
        if not _plain(q, k, v):
            return super().attention(q, k, v, causal)
        count, keys = q.shape[-2], k.shape[-2]
        y = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
        shares = (np.zeros if causal else np.empty)((*q.shape[:-1], keys), q.dtype)
        for part in _parts(shares.shape):
            for rows, seen in _bands(count, keys, causal):
                e = np.matmul(q[part][..., rows, :], k[part][..., :seen, :].mT, out=None if causal else shares[part])
                later = np.arange(count)[rows, None] < np.arange(seen) if causal else None
                if not _exponentials(e, later, -1):
                    return super().attention(q, k, v, causal)
                e /= np.matmul(e, np.ones((seen, 1), e.dtype))  # BLAS adds up a row soonest
                np.matmul(e, v[part][..., :seen, :], out=y[part][..., rows, :])
                if causal:
                    shares[part][..., rows, :seen] = e
        return y, shares

    def attention_back(self, g, q, k, v, y, shares, causal):
        if not _plain(q, k, v) or g.shape != y.shape or not np.isfinite(np.vdot(v, v)):
            return super().attention_back(g, q, k, v, y, shares, causal)
        dq, dk, dv = (np.empty(x.shape, x.dtype) for x in (q, k, v))
        for part in _parts(shares.shape):
            # A row's mean of what its shares receive is g . y, by which there are fewer numbers to add up.
            level = np.vecdot(g[part], y[part])[..., None]
            for rows, seen in _bands(q.shape[-2], k.shape[-2], causal):
                own, share = g[part][..., rows, :], shares[part][..., rows, :seen]
                moved = np.matmul(own, v[part][..., :seen, :].mT)
                moved -= level[..., rows, :]
                moved *= share
                np.matmul(moved, k[part][..., :seen, :], out=dq[part][..., rows, :])
                _add(dk[part], np.matmul(moved.mT, q[part][..., rows, :]), rows)
                _add(dv[part], np.matmul(share.mT, own), rows)
        return dq, dk, dv


def _plain(q, k, v) -> bool:
    """Whether these are stacks of matrices of float32 or float64, each of q with its own of k and v."""
    stack = q.shape[:-2]
    return bool(stack) and q.dtype.char in "fd" and stack == k.shape[:-2] == v.shape[:-2] and q.size and k.size > 0


def _parts(shape):
    """Slices of the first axis, with about ``_AT_ONCE`` entries each."""
    step = max(1, _AT_ONCE // math.prod(shape[1:]))
    return [slice(i, i + step) for i in range(0, shape[0], step)]


def _bands(count, keys, causal):
    """Pairs of a slice of the queries, and the number of keys that some of them see."""
    if not causal:
        return [(slice(0, count), keys)]
    stops = [min(i + _BAND, count) for i in range(0, count, _BAND)]
    return [(slice(i * _BAND, stop), min(stop, keys)) for i, stop in enumerate(stops)]


def _exponentials(e, hidden, axis) -> bool:
    """exp(e) in place, up to a factor a row, and 0 where ``hidden``; False where infinities ask for more care."""
    if e.min() > -_TAME and e.max() < _TAME:
        np.exp(e, out=e)
        if hidden is not None:
            e *= np.array(~hidden, e.dtype)  # multiplied by booleans, e would be cast bit by bit
        return True
    if hidden is not None:
        e[..., hidden] = -np.inf
    top = np.maximum.reduce(e, axis=axis, keepdims=True)
    if not np.isfinite(top).all():
        return False
    e -= top
    np.exp(e, out=e)
    return True


def _add(total, part, rows):
    """Add the cotangents of the keys that a band sees: those of the first band are the first."""
    seen = part.shape[-2]
    if rows.start == 0:
        total[..., :seen, :], total[..., seen:, :] = part, 0
    else:
        total[..., :seen, :] += part
