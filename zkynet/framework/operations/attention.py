"""Attention: softmax over what a mask leaves, dot products with queries, several heads, rotary positions."""

import math

from zkynet.backends.errors import ShapeError

from ..axes import normalize_axis
from ..operator import Operator
from ..record import HOST, Tensor, apply, kind_of, shape_of
from .activation import shift, softmax
from .comparison import greater, logical_and
from .constants import backend_of, beside
from .elementwise import add, multiply, select, subtract
from .linalg import linear, matmul
from .noise import dropout
from .shape import concat, getitem, matrix_transpose, permute_dims, reshape, stack


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
        e = xp.exp(shift(xp, xp.select(mask, x) + hidden, self.axis))
        return xp.select(mask, e / xp.sum(e, axis=self.axis, keepdims=True))

    def vjp_x(self, xp, g, mask, y):
        g = xp.select(mask, g)
        return y * (g - xp.sum(g * y, axis=self.axis, keepdims=True))

    def jvp_x(self, xp, t, mask, y):
        t = xp.select(mask, t)
        return y * (t - xp.sum(t * y, axis=self.axis, keepdims=True))


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
    scale = 1 / math.sqrt(q[-1] or 1) if scale is None else scale
    scores = matmul(multiply(query, scale), matrix_transpose(key))
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
    c, s = beside(HOST.cos(angles), x), beside(HOST.sin(angles), x)
    if interleaved:
        pairs = reshape(x, (*shape[:-1], half, 2))
        a, b = getitem(pairs, (Ellipsis, 0)), getitem(pairs, (Ellipsis, 1))
    else:
        a, b = getitem(x, (Ellipsis, slice(0, half))), getitem(x, (Ellipsis, slice(half, None)))
    first = subtract(multiply(a, c), multiply(b, s))
    second = add(multiply(a, s), multiply(b, c))
    if interleaved:
        return reshape(stack([first, second], axis=-1), shape)
    return concat([first, second], axis=-1)
