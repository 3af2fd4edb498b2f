"""Trigonometric and hyperbolic functions, their inverses and reciprocals; angles in radians."""

import math

from ..operator import Elementwise
from ..quick import binary, unary
from ..record import Tensor
from .elementwise import reciprocal


class Sin(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.sin(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.cos(x))  # NaN where x is infinite


class Cos(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.cos(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, -xp.sin(x))  # NaN where x is infinite


class Tan(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.tan(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, 1 + y * y)  # NaN where x is infinite


class Asin(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.asin(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / xp.sqrt((1 - x) * (1 + x)))


class Acos(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.acos(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, -1 / xp.sqrt((1 - x) * (1 + x)))


class Atan(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.atan(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / (1 + x * x))


class Atan2(Elementwise):
    """The angle of the point (b, a). At the origin, and where a or b is infinite, both derivatives are 0."""

    promotion = "inexact"

    def forward(self, xp, a, b):
        return xp.atan2(a, b)

    def vjp_a(self, xp, g, a, b):
        alive, m = extent(xp, a, b)
        a, b = a / m, b / m
        return xp.multiply_no_nan(xp.select(alive, g), b / (a * a + b * b) / m)

    def vjp_b(self, xp, g, a, b):
        alive, m = extent(xp, a, b)
        a, b = a / m, b / m
        return xp.multiply_no_nan(xp.select(alive, g), -a / (a * a + b * b) / m)

    def together(self, xp, g, wanted, a, b, y):
        """Both cotangents, with what they share computed once."""
        alive, m = extent(xp, a, b)
        a, b = a / m, b / m
        g, share = xp.select(alive, g), 1 / (a * a + b * b) / m
        return (
            xp.multiply_no_nan(g, b * share) if wanted[0] else None,
            xp.multiply_no_nan(g, -a * share) if wanted[1] else None,
        )


def extent(xp, a, b):
    """Where the point (b, a) has a direction that varies, and the larger of its coordinates there (1 elsewhere)."""
    m = xp.maximum(xp.abs(a), xp.abs(b))
    alive = (m != 0) & ~xp.isinf(m)
    return alive, xp.where(alive, m, 1)


class Sinh(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.sinh(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.cosh(x))


class Cosh(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.cosh(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.sinh(x))


class Tanh(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.tanh(x)

    def vjp_x(self, xp, g, y):
        return g * (1 - y * y)  # from y: x is not kept, no overflow in cosh


class Asinh(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.asinh(x)

    def vjp_x(self, xp, g, x):
        if xp.is_complex(x.dtype):
            return xp.multiply_no_nan(g, 1 / xp.sqrt(1 + x * x))
        return g / xp.hypot(x, xp.ones_like(x))  # the square of a large x would overflow


class Acosh(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.acosh(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1)))


class Atanh(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.atanh(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / ((1 - x) * (1 + x)))


# Coefficients in t * t of sin(t) / t, and of its derivative divided by t; enough for double precision where |t| < 1.
SINC = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(10))
SINC_SLOPE = tuple((-1) ** k * 2 * k / math.factorial(2 * k + 1) for k in range(1, 11))


class Sinc(Elementwise):
    """sin(pi x) / (pi x), and 1 at 0; near 0 the slope is a series, for its formula cancels there."""

    promotion = "inexact"

    def forward(self, xp, x):
        t = math.pi * x
        hole = t == 0
        t = xp.where(hole, 1, t)
        return xp.where(hole, 1, xp.sin(t) / t)

    def vjp_x(self, xp, g, x):
        t = math.pi * x
        near = xp.abs(t) < 1
        small, large = xp.where(near, t, 0), xp.where(near, 1, t)
        series = small * polynomial(SINC_SLOPE, small * small)
        slope = xp.where(near, series, (xp.cos(large) - xp.sin(large) / large) / large)
        return g * (math.pi * slope)


def polynomial(coefficients, x):
    """The sum of ``coefficients[k] * x ** k``, by Horner's rule."""
    y = coefficients[-1]
    for c in coefficients[-2::-1]:
        y = y * x + c
    return y


sin = unary(Sin(), "The sine of x radians.")


cos = unary(Cos(), "The cosine of x radians.")


tan = unary(Tan(), "The tangent of x radians.")


asin = unary(Asin(), "The angle in -pi/2 .. pi/2 whose sine is x; its slope at -1 and 1 is infinite.")


acos = unary(Acos(), "The angle in 0 .. pi whose cosine is x; its slope at -1 and 1 is infinite.")


atan = unary(Atan(), "The angle in -pi/2 .. pi/2 whose tangent is x.")


atan2 = binary(Atan2(), "The angle in -pi .. pi of the point (b, a): atan(a / b) in its quadrant; derivatives at 0: 0.")


sinh = unary(Sinh(), "The hyperbolic sine.")


cosh = unary(Cosh(), "The hyperbolic cosine.")


tanh = unary(Tanh(), "The hyperbolic tangent.")


asinh = unary(Asinh(), "The number whose hyperbolic sine is x.")


acosh = unary(Acosh(), "The number of at least 0 whose hyperbolic cosine is x; its slope at 1 is infinite.")


atanh = unary(Atanh(), "The number whose hyperbolic tangent is x.")


sinc = unary(Sinc(), "sin(pi x) / (pi x), and 1 with slope 0 at 0.")


def sec(x) -> Tensor:
    """1 / cos(x)."""
    return reciprocal(cos(x))


def csc(x) -> Tensor:
    """1 / sin(x)."""
    return reciprocal(sin(x))


def cot(x) -> Tensor:
    """1 / tan(x)."""
    return reciprocal(tan(x))


def asec(x) -> Tensor:
    """acos(1 / x)."""
    return acos(reciprocal(x))


def acsc(x) -> Tensor:
    """asin(1 / x)."""
    return asin(reciprocal(x))


def acot(x) -> Tensor:
    """atan(1 / x): in -pi/2 .. pi/2, with a jump at 0."""
    return atan(reciprocal(x))


def sech(x) -> Tensor:
    """1 / cosh(x)."""
    return reciprocal(cosh(x))


def csch(x) -> Tensor:
    """1 / sinh(x)."""
    return reciprocal(sinh(x))


def coth(x) -> Tensor:
    """1 / tanh(x)."""
    return reciprocal(tanh(x))


def asech(x) -> Tensor:
    """acosh(1 / x)."""
    return acosh(reciprocal(x))


def acsch(x) -> Tensor:
    """asinh(1 / x)."""
    return asinh(reciprocal(x))


def acoth(x) -> Tensor:
    """atanh(1 / x)."""
    return atanh(reciprocal(x))
