"""Attention: softmax over what a mask leaves, dot products with queries, several heads, rotary positions."""

import math

from zkynet.backends.errors import ShapeError

from ..axes import normalize_axis
from ..operator import Operator
from ..record import HOST, Tensor, apply, kind_of, shape_of
from .activation import softmax
from .comparison import greater, logical_and
from .constants import backend_of, beside
from .elementwise import add, multiply, select
from .linalg import linear, matmul
from .noise import dropout
from .shape import matrix_transpose, permute_dims, reshape


class MaskedSoftmax(Operator):
    """softmax over one negative ``axis`` among the entries where the mask holds; 0 elsewhere, and where none does."""

    nondifferentiable = ("mask",)
    masks = True
    promotion = "floating"
    promotes = ("x",)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, xp, x, mask):
        if xp.is_empty(x, self.axis):
            return x
        # x may be infinite or NaN where it is masked: first 0, then -inf; not where all is, to have no NaN.
        some = xp.any(mask, axis=self.axis, keepdims=True)
        hidden = xp.where(some & ~mask, xp.number(-xp.inf, x.dtype), xp.number(0.0, x.dtype))
        e = xp.exp(xp.below_top(xp.select(mask, x) + hidden, self.axis))
        return xp.select(mask, e / xp.sum(e, axis=self.axis, keepdims=True))

    def vjp_x(self, xp, g, mask, y):
        g = xp.select(mask, g)
        return y * (g - xp.sum(g * y, axis=self.axis, keepdims=True))

    def jvp_x(self, xp, t, mask, y):
        t = xp.select(mask, t)
        return y * (t - xp.sum(t * y, axis=self.axis, keepdims=True))


class Attention(Operator):
    """softmax(q @ k^T) @ v and the softmax: for q (..., L, D), k (..., S, D), v (..., S, V) with the same leading axes.

    ``causal``: query i sees keys 0 .. i alone. With the shares p, the softmax, p @ v moves by its moving values, and
    by moving scores t as p (t - mean), the mean that of a row weighted by p; this map is its own transpose.
    """

    outputs = 2
    promotion = "floating"

    def __init__(self, causal=False):
        self.causal = causal

    def forward(self, xp, q, k, v):
        return xp.attention(q, k, v, self.causal)

    def vjp_q(self, xp, g, k, v, y):
        return xp.matmul(self.scores(xp, g, v, y), k)

    def vjp_k(self, xp, g, q, v, y):
        return xp.matmul(xp.matrix_transpose(self.scores(xp, g, v, y)), q)

    def vjp_v(self, xp, g, y):
        return xp.matmul(xp.matrix_transpose(y[1]), g[0])

    def together(self, xp, g, wanted, q, k, v, y):
        """All cotangents by one pass over the scores, where nobody asked for the shares."""
        if all(wanted) and g[1] is None:
            return xp.attention_back(g[0], q, k, v, *y, self.causal)
        g = [xp.zeros_like(like) if part is None else part for part, like in zip(g, y, strict=True)]
        return (
            self.vjp_q(xp, g, k, v, y) if wanted[0] else None,
            self.vjp_k(xp, g, q, v, y) if wanted[1] else None,
            self.vjp_v(xp, g, y) if wanted[2] else None,
        )

    def scores(self, xp, g, v, y):
        """The cotangent of the scores."""
        return self.moved(xp, xp.matmul(g[0], xp.matrix_transpose(v)) + g[1], y[1])

    def moved(self, xp, t, shares):
        """How the shares move with scores that move by ``t``."""
        t = xp.tril(t) if self.causal else t  # of later keys nothing is heard, NaN neither
        return shares * (t - xp.sum(t * shares, axis=-1, keepdims=True))

    def jvp_q(self, xp, t, k, v, y):
        shares = self.moved(xp, xp.matmul(t, xp.matrix_transpose(k)), y[1])
        return xp.matmul(shares, v), shares

    def jvp_k(self, xp, t, q, v, y):
        shares = self.moved(xp, xp.matmul(q, xp.matrix_transpose(t)), y[1])
        return xp.matmul(shares, v), shares

    def jvp_v(self, xp, t, y):
        moved = xp.matmul(y[1], t)
        return moved, xp.zeros_like(y[1]) + xp.zeros_like(moved[..., :1])


def masked_softmax(x, mask, axis=-1) -> Tensor:
    """softmax over ``axis`` among the entries where the boolean ``mask`` holds; the others are 0.

    Where no entry of a row is left, the row is 0 with gradient 0. Masked entries of x may be anything, NaN too. The
    mask broadcasts against x.
    """
    if kind_of(mask) != "bool":
        raise TypeError("masked_softmax: the mask must be boolean; compare first, as in mask != 0")
    shape = shape_of(x)
    if any(m not in (1, n) for m, n in zip(shape_of(mask)[::-1], shape[::-1])) or len(shape_of(mask)) > len(shape):
        raise ShapeError(f"masked_softmax: a mask of shape {shape_of(mask)} does not broadcast to x {shape}")
    mask = reshape(mask, (1,) * (len(shape) - len(shape_of(mask))) + shape_of(mask))
    return apply(MaskedSoftmax(normalize_axis(axis, len(shape), "masked_softmax")), x, mask)


def scaled_dot_product_attention(
    query, key, value, mask=None, *, causal=False, scale=None, dropout_rate=0.0, generator=None
) -> Tensor:
    """softmax(query @ key^T * scale + mask) @ value.

    query (..., L, D), key (..., S, D), value (..., S, V), to (..., L, V); leading axes broadcast. ``scale`` is
    1 / sqrt(D) unless given. A boolean ``mask`` holds where a query may look, a floating one is added to the scores,
    and -inf in it means "may not look"; it broadcasts to (..., L, S). ``causal``: query i looks at keys 0 .. i alone. A
    query that may look nowhere gets 0, with gradient 0. ``dropout_rate`` needs a zk.Generator. Vaswani et al. 2017.
    """
    shapes = q, k, v = shape_of(query), shape_of(key), shape_of(value)
    if min(map(len, shapes)) < 2 or q[-1] != k[-1] or k[-2] != v[-2]:
        raise ShapeError(
            f"scaled_dot_product_attention: shapes do not fit.\n  got:      query {q}, key {k}, value {v}\n"
            "  expected: query (..., L, D), key (..., S, D), value (..., S, V)"
        )
    query = multiply(query, 1 / math.sqrt(q[-1] or 1) if scale is None else scale)
    if mask is None and not dropout_rate and _one_step(shapes, causal, query, key, value):
        return apply(Attention(bool(causal)), query, key, value)[0]
    scores = matmul(query, matrix_transpose(key))
    keep = _triangle(q[-2], k[-2], query) if causal else None
    if mask is not None:
        if kind_of(mask) == "bool":
            allowed = mask
        else:
            allowed = greater(mask, float("-inf"))
            scores = add(scores, select(allowed, mask))
        keep = allowed if keep is None else logical_and(keep, allowed)
    shares = softmax(scores) if keep is None else masked_softmax(scores, keep)
    if dropout_rate:
        shares = dropout(shares, dropout_rate, generator)
    return matmul(shares, value)


def _one_step(shapes, causal, *arrays) -> bool:
    """Whether ``Attention`` does it: real numbers, the same leading axes, no key that a causal mask hides from all."""
    q, k, v = shapes
    alike = q[:-2] == k[:-2] == v[:-2] and (not causal or q[-2] >= k[-2])
    return alike and 0 not in (*q, *k) and all(kind_of(x) == "real" for x in arrays)


def _triangle(queries, keys, like):
    """Which keys come no later than each query: a boolean array beside ``like``."""
    xp = backend_of(like)
    return xp.reshape(xp.arange(queries), (queries, 1)) >= xp.arange(keys)


def multi_head_attention(query, key, value, weights, biases=None, *, heads, mask=None, **settings) -> Tensor:
    """Attention by several heads: query (..., L, E), key and value (..., S, E), to (..., L, O).

    ``weights`` are four matrices, for queries (E, heads * D), keys (E, heads * D), values (E, heads * V) and the result
    (heads * V, O); ``biases`` four vectors, or None. ``mask`` broadcasts to (..., heads, L, S); the other settings are
    those of ``scaled_dot_product_attention``.
    """
    w, b = tuple(weights), tuple(biases) if biases is not None else (None,) * 4
    if len(w) != 4 or len(b) != 4:
        raise ValueError(f"multi_head_attention: needs 4 weights and 4 biases or none, got {len(w)} and {len(b)}")
    q, k, v = (_heads(linear(x, w[i], b[i]), heads) for i, x in enumerate((query, key, value)))
    y = scaled_dot_product_attention(q, k, v, mask, **settings)
    y = _swap(y)
    shape = shape_of(y)
    return linear(reshape(y, (*shape[:-2], shape[-2] * shape[-1])), w[3], b[3])


def _heads(x, heads):
    """(..., L, heads * D) as (..., heads, L, D)."""
    shape = shape_of(x)
    if heads < 1 or shape[-1] % heads:
        raise ShapeError(f"multi_head_attention: {shape[-1]} features are no multiple of {heads} heads")
    return _swap(reshape(x, (*shape[:-1], heads, shape[-1] // heads)))


def _swap(x):
    """The third last and the second last axis exchanged."""
    n = len(shape_of(x))
    return permute_dims(x, (*range(n - 3), n - 2, n - 3, n - 1))


class Turn(Operator):
    """c x + s x', where x' has the two features of each pair exchanged: x (..., T, D), c and s (T, D).

    c are the cosines of the angles, s their sines, negative for the first of a pair. Turning back is the transpose.
    """

    nondifferentiable = ("c", "s")

    def __init__(self, interleaved):
        self.interleaved = interleaved

    def forward(self, xp, x, c, s):
        return self.turned(xp, x, c, s)

    def vjp_x(self, xp, g, c, s):
        return self.turned(xp, g, c, -s)

    def jvp_x(self, xp, t, c, s):
        return self.turned(xp, t, c, s)

    def turned(self, xp, x, c, s):
        half = x.shape[-1] // 2
        if self.interleaved:
            other = xp.reshape(xp.flip(xp.reshape(x, (*x.shape[:-1], half, 2)), axis=-1), x.shape)
        else:
            other = xp.concat([x[..., half:], x[..., :half]], axis=-1)
        y = x * c
        y += other * s
        return y


def rotary_embedding(x, positions=None, *, base=10000.0, interleaved=False) -> Tensor:
    """Pairs of features of x (..., T, D) turned by the angle position * base ** (-2 i / D).

    Pair i holds the features i and i + D / 2, or 2 i and 2 i + 1 where ``interleaved``. ``positions``: a list of T
    numbers, 0, 1, ... unless given. ShapeError for an odd D. Su et al., RoFormer, 2021.
    """
    shape = shape_of(x)
    if len(shape) < 2 or shape[-1] % 2:
        raise ShapeError(f"rotary_embedding: needs x (..., T, D) with an even D, got shape {shape}")
    steps, half = shape[-2], shape[-1] // 2
    spots = list(range(steps)) if positions is None else list(positions)
    if len(spots) != steps:
        raise ShapeError(f"rotary_embedding: {len(spots)} positions for {steps} steps of x {shape}")
    speeds = base ** (HOST.arange(half) * (-1 / (half or 1)))
    angles = HOST.reshape(HOST.asarray(spots, dtype=HOST.float64), (steps, 1)) * speeds
    c, s = HOST.cos(angles), HOST.sin(angles)
    if interleaved:
        c, s = (HOST.reshape(HOST.stack(pair, axis=-1), (steps, 2 * half)) for pair in ((c, c), (-s, s)))
    else:
        c, s = HOST.concat([c, c], axis=-1), HOST.concat([-s, s], axis=-1)
    return apply(Turn(bool(interleaved)), x, beside(c, x), beside(s, x))
