"""Exponential, trigonometric and Fresnel integrals, hypergeometric functions, entropies, Box-Cox, Lambert's W."""

import math

from ..operator import Elementwise
from ..quick import unary
from ..record import Tensor, apply
from .comparison import less
from .elementwise import abs, add, divide, multiply, negative, subtract, where
from .exponential import exp, expm1, log, log1p
from .special_gamma import whole_number

_NEAR = 0.5  # within this of a removable singularity a Taylor polynomial stands for the quotient


def taylor(coefficients, x):
    """``coefficients[0] + coefficients[1] * x + ...``, differentiable to any order that is not negligible."""
    total = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


class Exp1(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.exp1(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, -xp.exp(-x) / x)


class Expi(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.expi(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.exp(x) / x)


class Expn(Elementwise):
    """The integral of exp(-x t) / t ** n over t > 1, n a Python int of at least 1."""

    promotion = "floating"

    def __init__(self, n):
        self.n = n

    def forward(self, xp, x):
        return xp.special.expn(self.n, x)

    def vjp_x(self, xp, g, x):
        lower = xp.special.expn(self.n - 1, x) if self.n > 1 else xp.exp(-x) / x
        return xp.multiply_no_nan(g, -lower)


class SineIntegral(Elementwise):
    """The integral of sin(t) / t from 0 to x."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.sici(x)[0]

    def vjp_x(self, xp, g, x):
        near = xp.abs(x) < _NEAR
        small, large = xp.where(near, x, 0), xp.where(near, 1, x)
        return g * xp.where(near, taylor(_SINC, small * small), xp.sin(large) / large)


class CosineIntegral(Elementwise):
    """Euler's constant + log(x) + the integral of (cos(t) - 1) / t from 0 to x."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.sici(x)[1]

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.cos(x) / x)


class FresnelSine(Elementwise):
    """The integral of sin(pi t ** 2 / 2) from 0 to x."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.fresnel(x)[0]

    def vjp_x(self, xp, g, x):
        return g * xp.sin(0.5 * math.pi * x * x)


class FresnelCosine(Elementwise):
    """The integral of cos(pi t ** 2 / 2) from 0 to x."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.fresnel(x)[1]

    def vjp_x(self, xp, g, x):
        return g * xp.cos(0.5 * math.pi * x * x)


class Spence(Elementwise):
    """The integral of log(t) / (1 - t) from 1 to x."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.spence(x)

    def vjp_x(self, xp, g, x):
        near = xp.abs(x - 1) < 0.1
        small, far = xp.where(near, x - 1, 0), xp.where(near, 2, x)
        return xp.multiply_no_nan(g, xp.where(near, taylor(_LOG_QUOTIENT, small), xp.log(far) / (1 - far)))


class Hyp1F1(Elementwise):
    """Kummer's function; no derivative in its parameters."""

    promotion = "floating"
    functional_name = "hyp1f1"  # type: ignore[assignment]

    def forward(self, xp, a, b, x):
        return xp.special.hyp1f1(a, b, x)

    def vjp_x(self, xp, g, a, b, x):
        return g * (a / b * xp.special.hyp1f1(a + 1, b + 1, x))


class Hyp2F1(Elementwise):
    """Gauss' function; no derivative in its parameters."""

    promotion = "floating"
    functional_name = "hyp2f1"  # type: ignore[assignment]

    def forward(self, xp, a, b, c, x):
        return xp.special.hyp2f1(a, b, c, x)

    def vjp_x(self, xp, g, a, b, c, x):
        return g * (a * b / c * xp.special.hyp2f1(a + 1, b + 1, c + 1, x))


class Entr(Elementwise):
    """-x log(x), 0 at 0, -inf below."""

    promotion = "floating"

    def forward(self, xp, x):
        inside = x > 0
        y = -x * xp.log(xp.where(inside, x, 1))
        return xp.where(inside | xp.isnan(x), y, xp.where(x == 0, 0.0 * x, -math.inf))

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, -1 - xp.log(x))  # infinite at 0


class RelEntr(Elementwise):
    """x log(x / y), 0 at x = 0 and y >= 0, inf elsewhere outside x, y > 0."""

    promotion = "floating"

    def forward(self, xp, x, q):
        return _rel_entr(xp, x, q)

    def vjp_x(self, xp, g, x, q):
        return xp.multiply_no_nan(g, 1 + xp.log(x / q))

    def vjp_q(self, xp, g, x, q):
        return xp.multiply_no_nan(g, -x / q)


def _rel_entr(xp, x, q):
    inside = (x > 0) & (q > 0)
    p = xp.where(inside, x, 1)
    y = p * xp.log(p / xp.where(inside, q, 1))
    nothing = xp.zeros_like(y)
    outside = xp.where((x == 0) & (q >= 0), nothing, nothing + math.inf)
    return xp.where(inside, y, xp.where(xp.isnan(x) | xp.isnan(q), x + q, outside))


class LambertW(Elementwise):
    """The real w with w exp(w) = x on branch ``k``: 0 (w >= -1) or -1 (w <= -1)."""

    promotion = "floating"
    functional_name = "lambertw"  # type: ignore[assignment]

    def __init__(self, k):
        self.k = k

    def forward(self, xp, x):
        return xp.special.lambertw(x, self.k)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, xp.exp(-y) / (1 + y))  # infinite at -1 / e


_SINC = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(9))
_LOG_QUOTIENT = tuple(-((-1) ** k) / (k + 1) for k in range(18))
_EXPREL = tuple(1 / math.factorial(k + 1) for k in range(18))
_integrals = (SineIntegral(), CosineIntegral(), FresnelSine(), FresnelCosine())
_hyp1f1, _hyp2f1, _rel_entropy, _lambertw = Hyp1F1(), Hyp2F1(), RelEntr(), (LambertW(-1), LambertW(0))

exp1 = unary(Exp1(), "The exponential integral E1: of exp(-t) / t from x to infinity, for x > 0.")

expi = unary(Expi(), "The exponential integral Ei: the principal value of that of exp(t) / t up to x.")

spence = unary(Spence(), "Spence's function, the integral of log(t) / (1 - t) from 1 to x.")

entr = unary(Entr(), "-x log(x); 0 at 0, where its derivative is infinite; -inf below.")


def expn(n: int, x) -> Tensor:
    """The integral of exp(-x t) / t ** n over t from 1 to infinity, ``n`` a Python int of at least 0."""
    if whole_number("expn", "n", n) == 0:
        return divide(exp(negative(x)), x)
    return apply(Expn(n), x)


def sici(x) -> tuple[Tensor, Tensor]:
    """The sine and the cosine integral."""
    return apply(_integrals[0], x), apply(_integrals[1], x)


def fresnel(x) -> tuple[Tensor, Tensor]:
    """The Fresnel integrals of sin(pi t ** 2 / 2) and of cos(pi t ** 2 / 2) from 0 to x."""
    return apply(_integrals[2], x), apply(_integrals[3], x)


def hyp1f1(a, b, x) -> Tensor:
    """Kummer's confluent hypergeometric function 1F1(a; b; x); differentiable in x alone."""
    return apply(_hyp1f1, a, b, x)


def hyp2f1(a, b, c, x) -> Tensor:
    """Gauss' hypergeometric function 2F1(a, b; c; x) for x < 1; differentiable in x alone."""
    return apply(_hyp2f1, a, b, c, x)


def rel_entr(x, y) -> Tensor:
    """x log(x / y); 0 at x = 0 and y >= 0, infinite elsewhere outside of x, y > 0."""
    return apply(_rel_entropy, x, y)


def kl_div(x, y) -> Tensor:
    """x log(x / y) - x + y."""
    return add(subtract(rel_entr(x, y), x), y)


def exprel(x) -> Tensor:
    """(exp(x) - 1) / x, 1 at 0."""
    near = less(abs(x), _NEAR)
    small, large = where(near, x, 0.0), where(near, 1.0, x)
    return where(near, taylor(_EXPREL, small), divide(expm1(large), large))


def boxcox(x, lmbda) -> Tensor:
    """(x ** lmbda - 1) / lmbda, log(x) at lmbda = 0, for x > 0; right to all orders near lmbda = 0."""
    return _power_of_log(log(x), lmbda)


def boxcox1p(x, lmbda) -> Tensor:
    """``boxcox`` of 1 + x, exact for small x."""
    return _power_of_log(log1p(x), lmbda)


def _power_of_log(height, lmbda) -> Tensor:
    return multiply(height, exprel(multiply(lmbda, height)))


def lambertw(x, k: int = 0) -> Tensor:
    """The real Lambert W, w exp(w) = x: branch 0 for x >= -1 / e, branch -1 for -1 / e <= x < 0; NaN elsewhere."""
    if k not in (0, -1):
        raise ValueError(f"special.lambertw: the branch k is 0 or -1, where W is real; got {k!r}")
    return apply(_lambertw[k + 1], x)
