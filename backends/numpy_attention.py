"""Attention on NumPy: scores of a few matrices at a time, which stay in the cache, of keys that may be seen."""

import math
from functools import cache

import numpy as np

_AT_ONCE = 1 << 18  # scores
_BAND = 64  # queries that are taken together where each sees the keys up to its own
_SMALL = 1 << 19  # multiplications: BLAS copies no matrix of such a product, and reads one that lies across slowly
_LEAST_ROWS = 16  # with fewer the copy costs more than that
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
            across = _across(k[part], count, causal)
            for rows, seen in _bands(count, keys, causal):
                e = np.matmul(q[part][..., rows, :], across[..., :seen], out=None if causal else shares[part])
                if not _exponentials(e, rows.start if causal else None, -1):
                    return super().attention(q, k, v, causal)
                sums = np.matmul(e, np.ones((seen, 1), e.dtype))  # BLAS adds up a row soonest
                share = np.divide(e, sums, out=shares[part][..., rows, :seen])
                np.matmul(share, v[part][..., :seen, :], out=y[part][..., rows, :])
        return y, shares

    def attention_back(self, g, q, k, v, y, shares, causal):
        if not _plain(q, k, v) or g.shape != y.shape or not np.isfinite(np.vdot(v, v)):
            return super().attention_back(g, q, k, v, y, shares, causal)
        dq, dk, dv = (np.empty(x.shape, x.dtype) for x in (q, k, v))
        for part in _parts(shares.shape):
            # A row's mean of what its shares receive is g . y, by which there are fewer numbers to add up.
            level = np.vecdot(g[part], y[part])[..., None]
            across = _across(v[part], q.shape[-2], causal)
            for rows, seen in _bands(q.shape[-2], k.shape[-2], causal):
                own, share = g[part][..., rows, :], shares[part][..., rows, :seen]
                moved = np.matmul(own, across[..., :seen])
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


def _across(x, count, causal):
    """The matrices of x turned over, as a copy where those of ``count`` rows are then multiplied faster by them."""
    rows = min(count, _BAND) if causal else count
    small = rows >= _LEAST_ROWS and rows * x.shape[-2] * x.shape[-1] <= _SMALL
    return np.ascontiguousarray(x.mT) if small else x.mT


def _exponentials(e, edge, axis) -> bool:
    """exp(e) in place, up to a factor a row; False where infinities ask for more care.

    With an ``edge`` row i sees the columns up to edge + i, at most _BAND rows: later ones are 0.
    """
    late = None if edge is None else e[..., edge:]
    if e.min() > -_TAME and e.max() < _TAME:
        np.exp(e, out=e)
        if late is not None:
            late *= _triangle(e.dtype)[: late.shape[-2], : late.shape[-1]]
        return True
    if late is not None:
        late[..., _triangle(e.dtype)[: late.shape[-2], : late.shape[-1]] == 0] = -np.inf
    top = np.maximum.reduce(e, axis=axis, keepdims=True)
    if not np.isfinite(top).all():
        return False
    e -= top
    np.exp(e, out=e)
    return True


@cache
def _triangle(dtype):
    """1 where a query of a band sees a key, else 0: numbers, since e times booleans would be cast bit by bit."""
    return np.tri(_BAND, dtype=dtype)


def _add(total, part, rows):
    """Add the cotangents of the keys that a band sees: those of the first band are the first."""
    seen = part.shape[-2]
    if rows.start == 0:
        total[..., :seen, :], total[..., seen:, :] = part, 0
    else:
        total[..., :seen, :] += part
