"""Activations with kinks or a linear side: relu's kin, and what is made of pieces."""

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import normalize_axis, size_of
from ..operator import Elementwise
from ..record import PYTHON_NUMBERS, Tensor, apply, operand, shape_of
from .activation import relu
from .arithmetic import from_axis
from .comparison import greater, less_equal
from .elementwise import abs, add, clip, divide, multiply, multiply_no_nan, negative, subtract, where
from .random import Generator
from .reduction import max
from .rounding import sign
from .shape import concat, reshape
from .trigonometric import tanh

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946  # Klambauer et al. 2017


class ClippedRelu(Elementwise):
    """x held between 0 and ``top``, with derivative 0 on both bounds."""

    promotion = "inexact"

    def __init__(self, top):
        self.top = top

    def forward(self, xp, x):
        return xp.where(x > self.top, self.top, xp.relu(x))

    def vjp_x(self, xp, g, y):
        return xp.select((y > 0) & (y < self.top), g)


class LeakyRelu(Elementwise):
    """x above 0, ``slope`` x elsewhere; at 0 the derivative is ``slope``."""

    promotion = "inexact"

    def __init__(self, slope):
        self.slope = slope

    def forward(self, xp, x):
        return xp.where(x > 0, x, self.slope * x)

    def vjp_x(self, xp, g, x):
        return xp.where(x > 0, g, self.slope * g)


class Elu(Elementwise):
    """x above 0, ``alpha`` (exp(``rate`` x) - 1) elsewhere; at 0 the derivative is that of the left side."""

    promotion = "inexact"

    def __init__(self, alpha, rate):
        self.alpha, self.rate = alpha, rate

    def forward(self, xp, x):
        return xp.where(x > 0, x, self.alpha * xp.expm1(self.rate * xp.where(x > 0, 0, x)))

    def vjp_x(self, xp, g, x):
        left = self.rate * xp.where(x > 0, 0, x)  # not from y + alpha, which is 0 from x = -37 on
        return xp.where(x > 0, g, g * (self.alpha * self.rate * xp.exp(left)))


_relu6, _leaky_relu, _elu = ClippedRelu(6.0), LeakyRelu(0.01), Elu(1.0, 1.0)


def relu6(x) -> Tensor:
    """x held between 0 and 6; derivative 0 on both bounds."""
    return apply(_relu6, x)


def clipped_relu(x, top=20.0) -> Tensor:
    """x held between 0 and ``top``; derivative 0 on both bounds."""
    return apply(ClippedRelu(top), x)


def leaky_relu(x, negative_slope=0.01) -> Tensor:
    """x where it is above 0, else ``negative_slope`` x; at 0 the derivative is the negative slope."""
    return apply(_leaky_relu if negative_slope == 0.01 else LeakyRelu(negative_slope), x)


def prelu(x, weight) -> Tensor:
    """leaky_relu with trained slopes: ``weight`` is a scalar, or has the shape of x from axis 1 on (0 if 1-D)."""
    slope = from_axis(weight, x, min(1, len(shape_of(x)) - 1), "prelu") if shape_of(weight) else weight
    return where(greater(x, 0), x, multiply(slope, x))


def rrelu(x, lower=1 / 8, upper=1 / 3, generator=None) -> Tensor:
    """leaky_relu with a random slope for each entry, uniform between ``lower`` and ``upper`` (Xu et al. 2015).

    Without a ``generator`` the slope is their mean, which is what evaluation uses.
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower must not exceed upper; got {lower!r} and {upper!r}")
    if generator is None:
        return leaky_relu(x, (lower + upper) / 2)
    if not isinstance(generator, Generator):
        raise TypeError(f"rrelu: needs an explicit zkynet Generator or None, got {type(generator).__name__}")
    value = operand(x)[0]
    weak = type(value) in PYTHON_NUMBERS
    xp = backends.default_backend() if weak else backends.backend_of(value)
    bits = generator.bits(xp, size_of(shape_of(x)))
    dtype = xp.float64 if weak else xp.inexact_dtype(value.dtype)
    slopes = lower + (upper - lower) * xp.reshape(xp.uniform(bits, dtype), shape_of(x))
    return where(greater(x, 0), x, multiply(xp.item(slopes) if weak else slopes, x))


def crelu(x, axis=1) -> Tensor:
    """relu of x, and behind it along ``axis`` relu of -x: twice as many channels (Shang et al. 2016)."""
    return concat([relu(x), relu(negative(x))], axis=normalize_axis(axis, len(shape_of(x)), "crelu"))


def elu(x, alpha=1.0) -> Tensor:
    """x where it is above 0, else ``alpha`` (exp(x) - 1); no overflow (Clevert et al. 2016)."""
    return apply(_elu if alpha == 1 else Elu(alpha, 1.0), x)


def celu(x, alpha=1.0) -> Tensor:
    """x where it is above 0, else ``alpha`` (exp(x / ``alpha``) - 1): smooth for every alpha above 0 (Barron 2017)."""
    if not alpha > 0:
        raise ValueError(f"celu: alpha must be above 0, got {alpha!r}")
    return apply(Elu(alpha, 1 / alpha), x)


def selu(x) -> Tensor:
    """A scaled elu that keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017)."""
    return multiply(apply(Elu(SELU_ALPHA, 1.0), x), SELU_SCALE)


def hard_tanh(x, low=-1.0, high=1.0) -> Tensor:
    """x held between ``low`` and ``high``; like ``clip`` with derivative 1 on both bounds."""
    return clip(x, low, high)


def hard_sigmoid(x) -> Tensor:
    """relu6(x + 3) / 6: pieces of lines in place of a sigmoid."""
    return divide(relu6(add(x, 3.0)), 6.0)


def hard_swish(x) -> Tensor:
    """x relu6(x + 3) / 6 (Howard et al. 2019)."""
    return multiply_no_nan(hard_sigmoid(x), x)


def threshold(x, threshold, value) -> Tensor:
    """x where it is above ``threshold``, else ``value``."""
    return where(less_equal(x, threshold), value, x)


def hardshrink(x, lambd=0.5) -> Tensor:
    """x where |x| is above ``lambd``, else 0."""
    return where(less_equal(abs(x), lambd), 0.0, x)


def softshrink(x, lambd=0.5) -> Tensor:
    """x drawn towards 0 by ``lambd``, and 0 where |x| is not above it."""
    return where(less_equal(abs(x), lambd), 0.0, subtract(x, multiply(lambd, sign(x))))


def tanhshrink(x) -> Tensor:
    """x - tanh(x)."""
    return subtract(x, tanh(x))


def maxout(x, pool_size, axis=1) -> Tensor:
    """The largest of each ``pool_size`` neighbours along ``axis``, which they divide (Goodfellow et al. 2013)."""
    shape = shape_of(x)
    axis = normalize_axis(axis, len(shape), "maxout") + len(shape)
    if pool_size < 1 or shape[axis] % pool_size:
        raise ShapeError(
            f"maxout: axis {axis} of shape {shape} cannot be cut into pools of {pool_size}; "
            f"its length {shape[axis]} must be a multiple"
        )
    pooled = reshape(x, (*shape[:axis], shape[axis] // pool_size, pool_size, *shape[axis + 1 :]))
    return max(pooled, axis=axis + 1)
