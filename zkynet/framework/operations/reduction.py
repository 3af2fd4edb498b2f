"""Sums, means, products, extrema, logsumexp and cumulative sums."""

from zkynet.backends.linalg_extras import products_of_others

from ..axes import kept_shape, lead_shape, normalize_axes, normalize_axis, size_of
from ..operator import Operator
from ..record import PYTHON_NUMBERS, Tensor, apply, dtype_of, kind_of, operand, shape_of
from .elementwise import astype, divide, multiply, positive, square, subtract
from .exponential import log
from .shape import concat, ones_like_shape, permute_dims, reshape


class Reduction(Operator):
    """What reductions share: ``axis``, a tuple of negative ints, and ``keepdims``."""

    def __init__(self, axis, keepdims):
        self.axis, self.keepdims = axis, keepdims

    def spread(self, xp, g, x_spec, y_spec):
        """``g``, or the output, with the reduced axes back as axes of size 1."""
        return xp.reshape(g, lead_shape(g, y_spec) + kept_shape(x_spec.shape, self.axis))


class Sum(Reduction):
    """Sum over ``axis``."""

    linear = True

    def forward(self, xp, x):
        return xp.sum(x, axis=self.axis, keepdims=self.keepdims)

    def vjp_x(self, xp, g, x_spec, y_spec):
        lead = lead_shape(g, y_spec)
        return xp.broadcast_to(self.spread(xp, g, x_spec, y_spec), lead + x_spec.shape)


class Mean(Reduction):
    """Arithmetic mean over ``axis``."""

    linear = True
    promotion = "floating"

    def forward(self, xp, x):
        return xp.mean(x, axis=self.axis, keepdims=self.keepdims)

    def vjp_x(self, xp, g, x_spec, y_spec):
        lead = lead_shape(g, y_spec)
        count = size_of(tuple(x_spec.shape[i] for i in self.axis))
        share = self.spread(xp, g, x_spec, y_spec) / (count or 1)
        return xp.broadcast_to(share, lead + x_spec.shape)


class Extremum(Reduction):
    """The largest or smallest entry: equal ones share the cotangent; a NaN wins and gets it all."""

    def vjp_x(self, xp, g, x, y, y_spec):
        mask, count = self.winners(xp, x, y, y_spec)
        return xp.select(mask, self.spread(xp, g, x, y_spec) / count)

    def jvp_x(self, xp, t, x, y, y_spec):
        mask, count = self.winners(xp, x, y, y_spec)
        return xp.sum(xp.select(mask, t) / count, axis=self.axis, keepdims=self.keepdims)

    def winners(self, xp, x, y, y_spec):
        y = self.spread(xp, y, x, y_spec)
        mask = (x == y) | (xp.isnan(x) & xp.isnan(y))
        return mask, xp.sum(xp.astype(mask, x.dtype), axis=self.axis, keepdims=True)


class Max(Extremum):
    def forward(self, xp, x):
        return xp.max(x, axis=self.axis, keepdims=self.keepdims)


class Min(Extremum):
    def forward(self, xp, x):
        return xp.min(x, axis=self.axis, keepdims=self.keepdims)


class LogSumExp(Reduction):
    """log(sum(exp(x))); its gradient is softmax(x): a probability, with infinities too."""

    promotion = "floating"

    def forward(self, xp, x):
        top = xp.max(x, axis=self.axis, keepdims=True)
        total = xp.sum(xp.exp(xp.shifted(x, top)), axis=self.axis, keepdims=True)
        y = top + xp.log(total)
        return y if self.keepdims else xp.squeeze(y, axis=self.axis)

    def vjp_x(self, xp, g, x, y_spec):
        return self.spread(xp, g, x, y_spec) * xp.weights(x, axis=self.axis)

    def jvp_x(self, xp, t, x):
        return xp.sum(t * xp.weights(x, axis=self.axis), axis=self.axis, keepdims=self.keepdims)


class Prod(Operator):
    """The product over the last axis: exact derivatives of every order, zeros or not."""

    def forward(self, xp, x):
        return xp.prod(x, axis=-1)

    def vjp_x(self, xp, g, x, y):
        return xp.expand_dims(g, axis=-1) * self.others(xp, x, y)

    def jvp_x(self, xp, t, x, y):
        return xp.sum(t * self.others(xp, x, y), axis=-1)

    def others(self, xp, x, y):
        """For each entry the product of all others: a quotient, where no zero and no overflow stands in the way."""
        if not xp.is_traced(y):
            size = xp.abs(y)
            if bool(xp.all((size > xp.finfo(x.dtype).smallest_normal) & xp.isfinite(size))):
                return xp.expand_dims(y, axis=-1) / x
        return products_of_others(xp, x)


class CumulativeSum(Operator):
    """Running sum along one negative ``axis``, from its end if ``reverse``."""

    linear = True

    def __init__(self, axis, reverse):
        self.axis, self.reverse = axis, reverse

    def forward(self, xp, x):
        return xp.cumulative_sum(x, axis=self.axis, reverse=self.reverse)

    def vjp_x(self, xp, g):
        return xp.cumulative_sum(g, axis=self.axis, reverse=not self.reverse)


_prod = Prod()


def sum(x, axis=None, keepdims=False, *, dtype=None) -> Tensor:
    """The sum over ``axis`` (an int, a tuple; None: all; (): none), of x converted to ``dtype`` where that is given."""
    x = x if dtype is None else astype(x, dtype)
    return apply(Sum(normalize_axes(axis, len(shape_of(x)), "sum"), keepdims), x)


def mean(x, axis=None, keepdims=False) -> Tensor:
    """The arithmetic mean over ``axis``; of nothing it is NaN."""
    return apply(Mean(normalize_axes(axis, len(shape_of(x)), "mean"), keepdims), x)


def var(x, axis=None, correction=0, keepdims=False) -> Tensor:
    """The variance over ``axis``: squared distances from the mean, summed and divided by n - ``correction``."""
    if kind_of(x) == "complex":
        raise TypeError("var: complex arrays are not supported; use real and imaginary parts")
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape), "var")
    count = size_of(tuple(shape[i] for i in axes))
    spread = sum(square(subtract(x, mean(x, axes, keepdims=True))), axes, keepdims)
    left = count - correction
    return divide(spread, left) if left > 0 else multiply(spread, float("nan") if left == 0 else float("inf"))


def max(x, axis=None, keepdims=False) -> Tensor:
    """The largest entry over ``axis``; equal ones share the gradient, a NaN takes it."""
    return _extremum(Max, "max", x, axis, keepdims)


def min(x, axis=None, keepdims=False) -> Tensor:
    """The smallest entry over ``axis``; equal ones share the gradient, a NaN takes it."""
    return _extremum(Min, "min", x, axis, keepdims)


def _extremum(operator, name, x, axis, keepdims):
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape), name)
    if size_of(tuple(shape[i] for i in axes)) == 0:
        raise ValueError(f"{name}: an array of shape {shape} has no entries along axis {axes}; there is no identity")
    return apply(operator(axes, keepdims), x)


def logsumexp(x, axis=None, keepdims=False) -> Tensor:
    """log(sum(exp(x))) over ``axis``, without overflow; of nothing it is -inf."""
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape), "logsumexp")
    if size_of(tuple(shape[i] for i in axes)) == 0:
        return log(sum(x, axes, keepdims))
    return apply(LogSumExp(axes, keepdims), x)


def cumulative_sum(x, *, axis=None, reverse=False, include_initial=False, dtype=None) -> Tensor:
    """The running sum along ``axis`` (None: of a 1-D array), with a leading 0 if ``include_initial``.

    Of x converted to ``dtype`` where that is given.
    """
    axis = _only_axis(x, axis, "cumulative_sum")
    y = apply(CumulativeSum(axis, bool(reverse)), widened(x) if dtype is None else astype(x, dtype))
    if not include_initial:
        return y
    zero = ones_like_shape(y, axis, 0)
    return concat([y, zero] if reverse else [zero, y], axis=axis)


def _only_axis(x, axis, name):
    ndim = len(shape_of(x))
    if axis is None and ndim != 1:
        raise ValueError(f"{name}: an array of {ndim} dimensions needs an axis")
    return normalize_axis(-1 if axis is None else axis, ndim, name)


def widened(x):
    """Small integers as 64-bit ones, booleans as integers: sums and products are, as in NumPy."""
    kind = kind_of(x)
    if kind not in ("bool", "integer") or type(operand(x)[0]) in PYTHON_NUMBERS:
        return x
    return astype(x, "uint64" if "uint" in str(dtype_of(x)) else "int64")


def prod(x, axis=None, keepdims=False, *, dtype=None) -> Tensor:
    """The product over ``axis``: exact derivatives of every order, zeros or not. Of nothing it is 1.

    Of x converted to ``dtype`` where that is given.
    """
    shape = shape_of(x)
    ndim = len(shape)
    axes = normalize_axes(axis, ndim, "prod")
    x = widened(x) if dtype is None else astype(x, dtype)
    if not axes:
        return positive(x)
    kept = tuple(i for i in range(-ndim, 0) if i not in axes)
    count = size_of(tuple(shape[i] for i in axes))
    y = permute_dims(x, tuple(i + ndim for i in kept + axes)) if kept else x
    y = apply(_prod, reshape(y, tuple(shape[i] for i in kept) + (count,)))
    return reshape(y, kept_shape(shape, axes)) if keepdims else y
