"""Sums and products of numbers that are given by their logarithms: nothing underflows, nothing overflows."""

import math

from zkynet.backends.errors import ShapeError

from ..axes import normalize_axes, normalize_axis, size_of
from ..operator import Elementwise
from ..quick import binary, unary
from ..record import Tensor, dtype_of, shape_of
from .comparison import all, greater, isfinite
from .control import is_traced, stop_gradient
from .cumulative import associative_scan
from .dtypes import finfo
from .elementwise import add, divide, multiply, negative, subtract
from .exponential import LOG2, exp, log
from .linalg import matmul
from .reduction import logsumexp, max
from .shape import expand_dims


class Logaddexp(Elementwise):
    """log(exp(a) + exp(b)); the derivatives are the shares of the sum, of equal infinities a half each."""

    promotion = "inexact"

    def forward(self, xp, a, b):
        return xp.logaddexp(a, b)

    def vjp_a(self, xp, g, a, b):
        return g * xp.sigmoid(xp.shifted(a, b))

    def vjp_b(self, xp, g, a, b):
        return g * xp.sigmoid(xp.shifted(b, a))


class Log1mexp(Elementwise):
    """log(1 - exp(-x)) for x >= 0, by the formula that does not cancel (Maechler 2012)."""

    promotion = "inexact"

    def forward(self, xp, x):
        small = x < LOG2
        near, far = xp.where(small, x, 1), xp.where(small, 1, x)
        return xp.where(small, xp.log(-xp.expm1(-near)), xp.log1p(-xp.exp(-far)))

    def vjp_x(self, xp, g, x, y):
        return xp.multiply_no_nan(g, xp.exp(-x - y))  # 1 / expm1(x), which overflows; infinite at 0


logaddexp = binary(Logaddexp(), "log(exp(a) + exp(b)); its derivatives are the shares of a and b, also of infinities.")


log1mexp = unary(Log1mexp(), "log(1 - exp(-x)) for x >= 0, exact near 0 and far out; -inf at 0.")


def logaddexp2(a, b) -> Tensor:
    """log2(2 ** a + 2 ** b)."""
    return divide(logaddexp(multiply(a, LOG2), multiply(b, LOG2)), LOG2)


def softplus(x, beta=1.0) -> Tensor:
    """log(1 + exp(beta x)) / beta: a smooth relu, exact far out on both sides."""
    if type(beta) in (int, float) and beta == 1:
        return logaddexp(x, 0.0)
    return divide(logaddexp(multiply(beta, x), 0.0), beta)


def log_sigmoid(x) -> Tensor:
    """log(1 / (1 + exp(-x))), exact far out on both sides."""
    return negative(logaddexp(negative(x), 0.0))


def logmeanexp(x, axis=None, keepdims=False) -> Tensor:
    """log(mean(exp(x))) over ``axis``, without overflow; of nothing it is NaN."""
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape), "logmeanexp")
    count = size_of(tuple(shape[i] for i in axes))
    return subtract(logsumexp(x, axes, keepdims), math.log(count) if count else -math.inf)


def logcumsumexp(x, axis=-1, reverse=False) -> Tensor:
    """log of the running sum of exp(x) along ``axis``, from its end if ``reverse``: exact where sums differ greatly."""
    axis = normalize_axis(axis, len(shape_of(x)), "logcumsumexp")
    return associative_scan(logaddexp, multiply(x, 1.0), axis=axis, reverse=reverse)


def logmatmulexp(a, b) -> Tensor:
    """log(exp(a) @ exp(b)) of (..., n, k) and (..., k, m): the matrix product of matrices given by their logarithms.

    Exact for numbers of any size: a product of the matrices scaled by their largest entries where every sum shows that
    nothing of it was lost, else, and inside a compiled function, the sum over a stack of n k m entries.
    """
    sa, sb = shape_of(a), shape_of(b)
    if len(sa) < 2 or len(sb) < 2 or sa[-1] != sb[-2]:
        raise ShapeError(
            "logmatmulexp: two stacks of matrices are needed, the columns of the first as many as the second's rows.\n"
            f"  got: {sa} and {sb}"
        )
    y = _scaled_product(a, b)
    if y is not None:
        return y
    return logsumexp(add(expand_dims(a, axis=-1), expand_dims(b, axis=-3)), axis=-2)


def _scaled_product(a, b):
    """The product by way of exp(a - top) @ exp(b - top), or None where it would lose something or looks at no values.

    An entry whose scaled terms underflow is less than the smallest number there is; beside a sum above the square root
    of that it is nothing, and so is its gradient.
    """
    if is_traced(a) or is_traced(b) or 0 in shape_of(a) + shape_of(b):
        return None
    top_a, top_b = max(stop_gradient(a), -1, keepdims=True), max(stop_gradient(b), -2, keepdims=True)
    if not (all(isfinite(top_a)) and all(isfinite(top_b))):
        return None
    s = matmul(exp(subtract(a, top_a)), exp(subtract(b, top_b)))
    if not all(greater(s, math.sqrt(finfo(dtype_of(s)).smallest_normal))):
        return None
    return add(add(log(s), top_a), top_b)
