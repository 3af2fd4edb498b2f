"""Softmax, and attention made of it, portable: the shares that queries give to keys, and their values' mean."""


class Attention:
    """What Portable inherits: each method on the standard alone."""

    def softmax(self, x, axis):
        """exp(x) / sum(exp(x)) over ``axis``, negative or a tuple of such; NaN where infinities tie. Under errstate."""
        if self.is_empty(x, axis):
            return x
        e = self.exp(self.below_top(x, axis))
        return e / self.sum(e, axis=axis, keepdims=True)

    def below_top(self, x, axis):
        """x less its largest entry over ``axis``, which may be infinite; NaN where infinities tie for it."""
        top = self.max(x, axis=axis, keepdims=True)
        if not self.reads_wait and not self.is_traced(top) and bool(self.all(self.isfinite(top))):
            return x - top
        z = self.shifted(x, top)
        ties = self.sum(self.astype(z == 0, x.dtype), axis=axis, keepdims=True)
        return self.where(self.isinf(top) & (ties > 1), self._scalar(self.nan, x), z)

    def attention(self, q, k, v, causal):
        """The mean of ``v`` (..., S, V) for each of ``q`` (..., L, D), and its shares, softmax(q k^T) (..., L, S).

        ``k`` is (..., S, D), the leading axes are the same, L and S not 0. ``causal``: query i sees keys 0 .. i alone;
        the other shares are 0, whatever stands there.
        """
        scores = self.matmul(q, self.matrix_transpose(k))
        if not causal:
            shares = self.softmax(scores, -1)
        else:
            seen = self.reshape(self.arange(q.shape[-2]), (-1, 1)) >= self.arange(k.shape[-2])
            scores = self.where(seen, scores, self._scalar(-self.inf, scores))
            shares = self.select(seen, self.softmax(scores, -1))
        return self.matmul(shares, v), shares

    def attention_back(self, g, q, k, v, y, shares, causal):
        """The cotangents of ``q``, ``k`` and ``v`` for ``g`` like ``y``, what ``attention`` gave with ``shares``."""
        moved = self.matmul(g, self.matrix_transpose(v))
        moved = self.tril(moved) if causal else moved
        moved = shares * (moved - self.sum(moved * shares, axis=-1, keepdims=True))
        back = self.matmul(self.matrix_transpose(moved), q), self.matmul(self.matrix_transpose(shares), g)
        return self.matmul(moved, k), *back
