"""The error function, the normal distribution, and their inverses."""

import math

from ..operator import Elementwise
from ..quick import unary
from ..record import Tensor, apply

_SLOPE = 2 / math.sqrt(math.pi)
_FAR = 50.0  # from here on 1 - 2 x D(x) and its kin cancel, and an asymptotic series is exact


class Erf(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.erf(x)

    def vjp_x(self, xp, g, x):
        return g * (_SLOPE * xp.exp(-x * x))


class Erfc(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.erfc(x)

    def vjp_x(self, xp, g, x):
        return g * (-_SLOPE * xp.exp(-x * x))


class Erfcx(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.erfcx(x)

    def vjp_x(self, xp, g, x, y):
        far = x > _FAR
        near = 2 * x * y - _SLOPE
        return xp.multiply_no_nan(g, xp.where(far, -_SLOPE * tail(xp, x, far, -1), near))


def tail(xp, x, far, sign):
    """z + sign * 3 z ** 2 + 3 * 5 z ** 3 + ... in z = 1 / (2 x ** 2), where ``far``."""
    z = 1 / xp.where(far, 2 * x * x, 1)
    total = 1.0
    for odd in (13, 11, 9, 7, 5, 3):
        total = 1 + sign * odd * z * total
    return z * total


class Erfinv(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.erfinv(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, xp.exp(y * y) / _SLOPE)  # infinite at -1 and 1


class Erfcinv(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.erfcinv(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, -xp.exp(y * y) / _SLOPE)


class Ndtr(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.ndtr(x)

    def vjp_x(self, xp, g, x):
        return g * (xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


class Ndtri(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.ndtri(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, math.sqrt(2 * math.pi) * xp.exp(0.5 * y * y))


class LogNdtr(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.log_ndtr(x)

    def vjp_x(self, xp, g, x, y):
        left = x < 0  # there the exponent below would cancel, and on the right erfcx overflow
        scaled = math.sqrt(2 / math.pi) / xp.special.erfcx(-math.sqrt(0.5) * xp.where(left, x, 0))
        return g * xp.where(left, scaled, xp.exp(-0.5 * x * x - y) / math.sqrt(2 * math.pi))


class Dawsn(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.dawsn(x)

    def vjp_x(self, xp, g, x, y):
        far = xp.abs(x) > _FAR
        return g * xp.where(far, -tail(xp, x, far, 1), 1 - 2 * x * y)


class Logit(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        middle = xp.abs(x - 0.5) < 0.25
        near = xp.where(middle, x, 0.5)
        return xp.where(middle, xp.log1p((2 * near - 1) / (1 - near)), xp.log(x / (1 - x)))

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / (x * (1 - x)))


_owens_slope = 1 / (2 * math.sqrt(2 * math.pi))


class OwensT(Elementwise):
    promotion = "floating"

    def forward(self, xp, h, a):
        return xp.special.owens_t(h, a)

    def vjp_h(self, xp, g, h, a):
        return g * (-_owens_slope * xp.exp(-0.5 * h * h) * xp.special.erf(math.sqrt(0.5) * a * h))

    def vjp_a(self, xp, g, h, a):
        whole = 1 + a * a
        return g * (xp.exp(-0.5 * h * h * whole) / (2 * math.pi * whole))


_owens_t = OwensT()

erf = unary(Erf(), "The error function, 2 / sqrt(pi) times the integral of exp(-t ** 2) from 0 to x.")

erfc = unary(Erfc(), "1 - erf(x), with its own digits far out.")

erfcx = unary(Erfcx(), "exp(x ** 2) erfc(x): no underflow far out; infinite below about -26.6.")

erfinv = unary(Erfinv(), "The x with erf(x) = y; infinite at -1 and 1, NaN beyond.")

erfcinv = unary(Erfcinv(), "The x with erfc(x) = y, exact for tiny y; infinite at 0 and 2, NaN beyond.")

ndtr = unary(Ndtr(), "The standard normal distribution function.")

ndtri = unary(Ndtri(), "The standard normal quantile; infinite at 0 and 1, NaN beyond.")

log_ndtr = unary(LogNdtr(), "log(ndtr(x)), finite far out to the left.")

dawsn = unary(Dawsn(), "Dawson's integral, exp(-x ** 2) times the integral of exp(t ** 2) from 0 to x.")

logit = unary(Logit(), "log(x / (1 - x)), exact around 0.5; infinite at 0 and 1, NaN beyond.")


def owens_t(h, a) -> Tensor:
    """Owen's T: the probability of X > h and 0 < Y < a X for independent standard normal X, Y (negative with a)."""
    return apply(_owens_t, h, a)
