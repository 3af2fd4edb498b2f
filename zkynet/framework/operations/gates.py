"""Smooth activations: x times a gate between 0 and 1, gated halves, and other curves."""

import math

from zkynet.backends.errors import ShapeError

from ..axes import normalize_axis
from ..operator import Elementwise, Operator
from ..record import Tensor, apply, shape_of
from .activation import sigmoid, softmax
from .elementwise import multiply, multiply_no_nan, negative
from .shape import getitem

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


class Gated(Elementwise):
    """y = x p(x) with a gate p that goes to 0 on the left and to 1 on the right, faster than x: 0 at -inf, x at inf.

    A subclass says what ``gate(xp, x)`` and its derivative ``slope(xp, x)`` are; both are right at infinities.
    """

    promotion = "inexact"

    def forward(self, xp, x):
        with xp.errstate():
            return xp.multiply_no_nan(self.gate(xp, x), x)

    def vjp_x(self, xp, g, x):
        return g * (self.gate(xp, x) + xp.multiply_no_nan(self.slope(xp, x), x))

    def gate(self, xp, x):
        raise NotImplementedError

    def slope(self, xp, x):
        raise NotImplementedError


class Silu(Gated):
    """x sigmoid(x)."""

    def gate(self, xp, x):
        return xp.sigmoid(x)

    def slope(self, xp, x):
        return xp.sigmoid(x) * xp.sigmoid(-x)


class Mish(Gated):
    """x tanh(log(1 + exp(x)))."""

    def gate(self, xp, x):
        return xp.tanh(xp.logaddexp(x, xp.zeros_like(x)))

    def slope(self, xp, x):
        p = self.gate(xp, x)
        return (1 - p * p) * xp.sigmoid(x)


class Gelu(Gated):
    """x times the normal distribution function of x."""

    def gate(self, xp, x):
        return xp.special.ndtr(x)

    def slope(self, xp, x):
        return xp.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


class GeluTanh(Gated):
    """Gelu by a tanh, written as a sigmoid that does not cancel on the left."""

    LINEAR, CUBIC = 2 * SQRT_2_OVER_PI, 2 * SQRT_2_OVER_PI * 0.044715

    def gate(self, xp, x):
        return 1 / (1 + self.falling(xp, x, x * x))

    def vjp_x(self, xp, g, x):
        square = x * x
        e = self.falling(xp, x, square)  # one exponential for the gate, 1 - gate and their product
        gate = 1 / (1 + e)
        square *= 3 * self.CUBIC
        square += self.LINEAR
        slope = xp.multiply_no_nan(gate, e)
        slope *= gate
        slope = xp.multiply_no_nan(xp.multiply_no_nan(slope, square), x)
        slope += gate
        return g * slope

    def falling(self, xp, x, square):
        """1 / gate - 1. In place, as above: new arrays of their size cost more than the sums."""
        inner = square * -self.CUBIC
        inner -= self.LINEAR
        inner *= x
        return xp.exp(inner)


class Squareplus(Elementwise):
    """(x + sqrt(x x + b)) / 2, on the left by the quotient that does not cancel; its slope is y / sqrt(x x + b)."""

    promotion = "inexact"

    def __init__(self, b):
        self.root = math.sqrt(b)

    def forward(self, xp, x):
        h = xp.hypot(x, self.root * xp.ones_like(x))
        left = x < 0
        quotient = 0.5 * self.root * (self.root / xp.where(left, h - x, 1))
        return xp.where(left, quotient, 0.5 * (x + h))

    def vjp_x(self, xp, g, x, y):
        h = xp.hypot(x, self.root * xp.ones_like(x))
        flat, ends = h == 0, xp.isinf(x)
        slope = y / xp.where(flat | ends, 1, h)
        return xp.where(ends, xp.select(x > 0, g), g * slope)


class SoftSign(Elementwise):
    """x / (1 + |x|); -1 and 1 at infinities."""

    promotion = "inexact"

    def forward(self, xp, x):
        ends = xp.isinf(x)
        return xp.where(ends, xp.sign(x), x / (1 + xp.abs(xp.where(ends, 0, x))))

    def vjp_x(self, xp, g, x):
        s = 1 / (1 + xp.abs(x))
        return g * (s * s)


class Sparsemax(Operator):
    """The point of the simplex next to x along ``axis``, a negative int (Martins and Astudillo 2016)."""

    promotion = "inexact"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, xp, x):
        if xp.is_empty(x, self.axis):
            return x
        x = xp.shifted(x, xp.max(x, axis=self.axis, keepdims=True))
        falling = xp.flip(xp.sort(x, axis=self.axis), axis=self.axis)
        ranks = xp.cumulative_sum(xp.ones_like(x), axis=self.axis)
        sums = xp.cumulative_sum(falling, axis=self.axis)
        inside = 1 + ranks * falling > sums
        count = xp.sum(xp.astype(inside, x.dtype), axis=self.axis, keepdims=True)
        total = xp.sum(xp.select(inside, falling), axis=self.axis, keepdims=True)
        return xp.relu(x - (total - 1) / count)

    def vjp_x(self, xp, g, y):
        return self.centred(xp, g, y)

    def jvp_x(self, xp, t, y):
        return self.centred(xp, t, y)

    def centred(self, xp, g, y):
        """``g`` less its mean over the entries that are not 0, and 0 elsewhere: the Jacobian is symmetric."""
        alive = y > 0
        count = xp.sum(xp.astype(alive, y.dtype), axis=self.axis, keepdims=True)
        return xp.select(alive, g - xp.sum(xp.select(alive, g), axis=self.axis, keepdims=True) / count)


_silu, _mish, _gelu, _gelu_tanh, _soft_sign = Silu(), Mish(), Gelu(), GeluTanh(), SoftSign()


def silu(x) -> Tensor:
    """x sigmoid(x); 0 at -inf."""
    return apply(_silu, x)


def swish(x, beta=1.0) -> Tensor:
    """x sigmoid(beta x), where ``beta`` may be trained (Ramachandran et al. 2017)."""
    return multiply_no_nan(sigmoid(multiply(beta, x)), x)


def mish(x) -> Tensor:
    """x tanh(softplus(x)); 0 at -inf (Misra 2019)."""
    return apply(_mish, x)


def gelu(x, approximate=False) -> Tensor:
    """x times the normal distribution function of x; with ``approximate`` (or "tanh") by a tanh (Hendrycks 2016)."""
    if approximate not in (True, False, "tanh", "none"):
        raise ValueError(f"gelu: approximate is True or 'tanh', False or 'none'; got {approximate!r}")
    return apply(_gelu_tanh if approximate in (True, "tanh") else _gelu, x)


def squareplus(x, b=4.0) -> Tensor:
    """(x + sqrt(x * x + b)) / 2: a smooth relu without an exponential (Barron 2021)."""
    if not b >= 0:
        raise ValueError(f"squareplus: b must not be negative, got {b!r}")
    return apply(Squareplus(b), x)


def soft_sign(x) -> Tensor:
    """x / (1 + |x|)."""
    return apply(_soft_sign, x)


def softmin(x, axis=-1) -> Tensor:
    """softmax(-x) over ``axis``."""
    return softmax(negative(x), axis)


def sparsemax(x, axis=-1) -> Tensor:
    """The probabilities next to x, most of them exactly 0 (Martins and Astudillo 2016)."""
    return apply(Sparsemax(normalize_axis(axis, len(shape_of(x)), "sparsemax")), x)


def glu(x, axis=-1) -> Tensor:
    """The first half of x along ``axis`` times the sigmoid of the second (Dauphin et al. 2017)."""
    a, b = halves(x, axis, "glu")
    return multiply(a, sigmoid(b))


def swiglu(x, axis=-1) -> Tensor:
    """silu of the first half of x along ``axis`` times the second (Shazeer 2020)."""
    a, b = halves(x, axis, "swiglu")
    return multiply(silu(a), b)


def geglu(x, axis=-1, approximate=False) -> Tensor:
    """gelu of the first half of x along ``axis`` times the second (Shazeer 2020)."""
    a, b = halves(x, axis, "geglu")
    return multiply(gelu(a, approximate), b)


def halves(x, axis, who) -> tuple[Tensor, Tensor]:
    """The two halves of x along ``axis``, whose length is even."""
    shape = shape_of(x)
    axis = normalize_axis(axis, len(shape), who)
    if shape[axis] % 2:
        raise ShapeError(f"{who}: the length of axis {axis} must be even to be halved; got shape {shape}")
    middle, tail = shape[axis] // 2, (slice(None),) * (-axis - 1)
    return getitem(x, (Ellipsis, slice(0, middle), *tail)), getitem(x, (Ellipsis, slice(middle, None), *tail))
