"""Norms of vectors and matrices, 0 at 0; ranks."""

import math

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import kept_shape, lead_shape, normalize_axes, normalize_axis
from ..record import PYTHON_NUMBERS, Tensor, apply, dtype_of, kind_of, operand, shape_of
from .comparison import greater, not_equal
from .decompositions import svdvals
from .elementwise import abs, astype, multiply, select
from .reduction import Reduction, max, min, sum
from .shape import moveaxis, reshape


class VectorNorm(Reduction):
    """(sum |x| ** ord) ** (1 / ord) over ``axis`` for a finite ``ord`` other than 0; the gradient at 0 is 0.

    d y / d x = conj(x) / |x| * (|x| / y) ** (ord - 1), and 0 where x is 0: that is the subgradient of smallest norm.
    """

    promotion = "floating"

    def __init__(self, ord, axis, keepdims):
        self.ord = ord
        super().__init__(axis, keepdims)

    def forward(self, xp, x):
        size = xp.abs(x) if self.ord != 2 or xp.is_complex(x.dtype) else x
        if self.ord == 2:
            y = xp.sqrt(xp.sum(size * size, axis=self.axis, keepdims=True))
            y = self.rescued(xp, size, y) if 0 not in x.shape else y
        elif self.ord > 0 and 0 not in x.shape:
            y = self.scaled(xp, size)
        else:
            y = xp.pow(self.total(xp, size), 1 / self.ord)
        return y if self.keepdims else xp.squeeze(y, axis=self.axis)

    def total(self, xp, size):
        return xp.sum(xp.pow(size, xp.full((), self.ord, dtype=size.dtype)), axis=self.axis, keepdims=True)

    def scaled(self, xp, size):
        """The norm by way of the largest entry: no overflow, and nothing lost below."""
        top = xp.max(size, axis=self.axis, keepdims=True)
        top = xp.where((top > 0) & xp.isfinite(top), top, xp.ones_like(top))
        return top * xp.pow(self.total(xp, size / top), 1 / self.ord)

    def rescued(self, xp, size, y):
        """``y``, computed again where a square left the range of its dtype."""
        small = math.sqrt(float(xp.finfo(y.dtype).smallest_normal)) * 1e4
        lost = (y < small) | ~xp.isfinite(y)
        if not xp.is_traced(y) and not bool(xp.any(lost)):
            return y
        return xp.where(lost, self.scaled(xp, xp.abs(size)), y)

    def vjp_x(self, xp, g, x, y, y_spec):
        y = xp.reshape(y, kept_shape(x.shape, self.axis))
        g = xp.reshape(g, lead_shape(g, y_spec) + kept_shape(x.shape, self.axis))
        if self.ord == 2:  # x is 0 where y is: the mask is that of the rows
            return self.slope(xp, x, y) * xp.select(y != 0, g)
        return xp.select(self.smooth(x, y), g * self.slope(xp, x, y))

    def jvp_x(self, xp, t, x, y):
        y = xp.reshape(y, kept_shape(x.shape, self.axis))
        part = xp.select(self.smooth(x, y), t * self.slope(xp, x, y))
        return xp.sum(xp.real(part), axis=self.axis, keepdims=self.keepdims)

    def smooth(self, x, y):
        """Where there is a derivative, or where it is not just 0."""
        return y != 0 if self.ord == 2 else (y != 0) & (x != 0)

    def slope(self, xp, x, y):
        y = xp.where(y == 0, 1, y)
        if self.ord == 2:
            return xp.conj(x) / y
        x = xp.where(x == 0, 1, x)
        size = xp.abs(x)
        return xp.conj(x) / size * (size / y) ** (self.ord - 1)


def vector_norm(x, *, axis=None, keepdims=False, ord=2) -> Tensor:
    """The ``ord``-norm over ``axis`` (an int, a tuple; None: all axes), real; its gradient at 0 is 0.

    ``ord`` is any number: (sum |x| ** ord) ** (1 / ord); inf and -inf: the largest and the smallest magnitude; 0: how
    many entries are not 0, without a derivative.
    """
    x = _floating(x)
    axes = normalize_axes(axis, len(shape_of(x)), "vector_norm")
    if not isinstance(ord, (int, float)):
        raise ValueError(f"vector_norm: ord must be a number, got {ord!r}; 'fro' and 'nuc' are norms of matrices")
    if ord == math.inf:
        return max(abs(x), axes, keepdims)
    if ord == -math.inf:
        return min(abs(x), axes, keepdims)
    if ord == 0:
        return sum(astype(not_equal(x, 0), dtype_of(abs(x))), axes, keepdims)
    if ord == 1:
        return sum(abs(x), axes, keepdims)
    return apply(VectorNorm(ord, axes, keepdims), x)


def _floating(x):
    """x, integers and booleans as float64."""
    if kind_of(x) in ("real", "complex"):
        return x
    return multiply(x, 1.0) if type(operand(x)[0]) in PYTHON_NUMBERS else astype(x, "float64")


def matrix_norm(x, *, keepdims=False, ord="fro") -> Tensor:
    """A norm of the matrices in the last two axes, real; its gradient at 0 is 0.

    ``ord``: "fro" the root of the sum of squares, "nuc" the sum of the singular values, 2 and -2 the largest and the
    smallest of them, 1 and -1 the largest and smallest sum of a column's magnitudes, inf and -inf those of rows.
    """
    x = _floating(x)
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(f"matrix_norm: needs at least 2 axes, got shape {shape}")
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        y = _spectral_norm(x, ord)
        return reshape(y, (*shape_of(y), 1, 1)) if keepdims else y
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    along, other = (-2, -1) if ord in (1, -1) else (-1, -2)
    sums = sum(abs(x), along, keepdims=True)
    y = (max if ord > 0 else min)(sums, other, keepdims=True)
    return y if keepdims else reshape(y, shape[:-2])


def _spectral_norm(x, ord):
    """A norm made of singular values; those that are 0 to rounding send no gradient."""
    s = svdvals(x)
    live = select(greater(s, multiply(_largest(s), _rounding(x))), s)
    return {"nuc": sum, 2: max, -2: min}[ord](live, -1)


def _largest(s):
    """The first of the singular values, with an axis of size 1 or 0."""
    return s[..., :1]


def _rounding(x) -> float:
    """What a singular value has to exceed beside the largest one: the larger size times the dtype's epsilon."""
    value = operand(x)[0]
    m, n = shape_of(x)[-2:]
    xp = backends.backend_of(value)
    dtype = value.dtype if xp.is_inexact(value.dtype) else xp.float64
    return float(xp.finfo(dtype).eps) * (m if m > n else n)


def norm(x, ord=None, axis=None, keepdims=False) -> Tensor:
    """NumPy's norm: of vectors where ``axis`` is one axis, of matrices where it is a pair of axes.

    ``axis`` None: of the whole array where ``ord`` is None, else x has to have one axis or two. The values of ``ord``
    are those of ``vector_norm`` and ``matrix_norm``. The gradient at 0 is 0.
    """
    ndim = len(shape_of(x))
    if axis is None and ord is None:
        return vector_norm(x, keepdims=keepdims)
    if axis is None and ndim not in (1, 2):
        raise ValueError(f"norm: with ord={ord!r} an array of {ndim} dimensions needs axis: one axis, or a pair")
    axes = tuple(range(-ndim, 0)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normalize_axis(a, ndim, "norm") for a in axes)
    normalize_axes(axes, ndim, "norm")
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(f"norm: axis must be one axis or a pair, got {axis!r}")
    y = matrix_norm(moveaxis(x, axes, (-2, -1)), ord="fro" if ord is None else ord)
    return reshape(y, kept_shape(shape_of(x), axes)) if keepdims else y


def matrix_rank(x, *, rtol=None) -> Tensor:
    """How many singular values exceed ``rtol`` times the largest (None: the larger size times the dtype's epsilon)."""
    if len(shape_of(x)) < 2:
        raise ShapeError(f"matrix_rank: needs at least 2 axes, got shape {shape_of(x)}")
    s = svdvals(x)
    counted = greater(s, multiply(_largest(s), _rounding(x) if rtol is None else rtol))
    return sum(astype(counted, "int64"), -1)
