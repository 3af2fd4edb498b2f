"""The incomplete gamma and beta functions, differentiable in every argument, and their inverses.

With u = log t - E[log t] the derivative of a density's integral in its shape a is the integral of u times the density,
and so on at every order: ``gammainc_moment`` and ``betainc_moment`` are closed under differentiation.
"""

from ..operator import Elementwise
from ..quick import binary
from ..record import Tensor, apply
from .special_gamma import whole_number


def gamma_density(xp, a, x):
    """x ** (a - 1) exp(-x) / gamma(a); at x = 0 infinite, 1 or 0 as a is below, at or above 1."""
    return xp.exp(xp.multiply_no_nan(a - 1, xp.log(x)) - x - xp.special.gammaln(a))


def beta_density(xp, a, b, x):
    """x ** (a - 1) (1 - x) ** (b - 1) / beta(a, b)."""
    left, right = xp.multiply_no_nan(a - 1, xp.log(x)), xp.multiply_no_nan(b - 1, xp.log1p(-x))
    return xp.exp(left + right - xp.special.betaln(a, b))


class GammaInc(Elementwise):
    promotion = "floating"
    functional_name = "gammainc"  # type: ignore[assignment]

    def forward(self, xp, a, x):
        return xp.special.gammainc(a, x)

    def vjp_a(self, xp, g, a, x):
        return g * xp.special.gammainc_moment(1, a, x)

    def vjp_x(self, xp, g, a, x):
        return xp.multiply_no_nan(g, gamma_density(xp, a, x))


class GammaIncC(Elementwise):
    promotion = "floating"
    functional_name = "gammaincc"  # type: ignore[assignment]

    def forward(self, xp, a, x):
        return xp.special.gammaincc(a, x)

    def vjp_a(self, xp, g, a, x):
        return g * xp.special.gammainc_moment(1, a, x, True)

    def vjp_x(self, xp, g, a, x):
        return xp.multiply_no_nan(g, -gamma_density(xp, a, x))


class GammaIncMoment(Elementwise):
    """The integral of (log t - digamma(a)) ** n over the gamma density, up to x, or from x on where ``upper``."""

    promotion = "floating"

    def __init__(self, n, upper):
        self.n, self.upper = n, upper

    def forward(self, xp, a, x):
        return xp.special.gammainc_moment(self.n, a, x, self.upper)

    def vjp_a(self, xp, g, a, x):
        n = self.n
        slope = xp.special.gammainc_moment(n + 1, a, x, self.upper)
        if n == 1:
            lower = xp.special.gammaincc(a, x) if self.upper else xp.special.gammainc(a, x)
        elif n:
            lower = xp.special.gammainc_moment(n - 1, a, x, self.upper)
        return g * (slope - n * xp.special.polygamma(1, a) * lower if n else slope)

    def vjp_x(self, xp, g, a, x):
        density = gamma_density(xp, a, x)
        if self.n:
            density = xp.multiply_no_nan(density, (xp.log(x) - xp.special.digamma(a)) ** self.n)
        return xp.multiply_no_nan(g, -density if self.upper else density)


class BetaInc(Elementwise):
    promotion = "floating"
    functional_name = "betainc"  # type: ignore[assignment]

    def forward(self, xp, a, b, x):
        return xp.special.betainc(a, b, x)

    def vjp_a(self, xp, g, a, b, x):
        return g * xp.special.betainc_moment(1, 0, a, b, x)

    def vjp_b(self, xp, g, a, b, x):
        return g * xp.special.betainc_moment(0, 1, a, b, x)

    def vjp_x(self, xp, g, a, b, x):
        return xp.multiply_no_nan(g, beta_density(xp, a, b, x))


class BetaIncMoment(Elementwise):
    """The integral of u ** m v ** n over the beta density up to x, or from x on where ``upper``.

    u = log t - E[log t] and v = log(1 - t) - E[log(1 - t)].
    """

    promotion = "floating"

    def __init__(self, m, n, upper):
        self.m, self.n, self.upper = m, n, upper

    def forward(self, xp, a, b, x):
        return xp.special.betainc_moment(self.m, self.n, a, b, x, self.upper)

    def _moment(self, xp, m, n, a, b, x):
        if m + n or self.upper:
            return xp.special.betainc_moment(m, n, a, b, x, self.upper)
        return xp.special.betainc(a, b, x)

    def vjp_a(self, xp, g, a, b, x):
        m, n, both = self.m, self.n, xp.special.polygamma(1, a + b)
        slope = self._moment(xp, m + 1, n, a, b, x)
        if m:
            slope = slope + m * (both - xp.special.polygamma(1, a)) * self._moment(xp, m - 1, n, a, b, x)
        if n:
            slope = slope + n * both * self._moment(xp, m, n - 1, a, b, x)
        return g * slope

    def vjp_b(self, xp, g, a, b, x):
        m, n, both = self.m, self.n, xp.special.polygamma(1, a + b)
        slope = self._moment(xp, m, n + 1, a, b, x)
        if m:
            slope = slope + m * both * self._moment(xp, m - 1, n, a, b, x)
        if n:
            slope = slope + n * (both - xp.special.polygamma(1, b)) * self._moment(xp, m, n - 1, a, b, x)
        return g * slope

    def vjp_x(self, xp, g, a, b, x):
        density, mean = beta_density(xp, a, b, x), xp.special.digamma(a + b)
        if self.m:
            density = xp.multiply_no_nan(density, (xp.log(x) - xp.special.digamma(a) + mean) ** self.m)
        if self.n:
            density = xp.multiply_no_nan(density, (xp.log1p(-x) - xp.special.digamma(b) + mean) ** self.n)
        return xp.multiply_no_nan(g, -density if self.upper else density)


class GammaIncInv(Elementwise):
    """The x with gammainc(a, x) = p; by the implicit function theorem dx = (dp - dP/da da) / density."""

    promotion = "floating"
    functional_name = "gammaincinv"  # type: ignore[assignment]

    def forward(self, xp, a, p):
        return xp.special.gammaincinv(a, p)

    def vjp_a(self, xp, g, a, y):
        return xp.multiply_no_nan(g, -xp.special.gammainc_moment(1, a, y) / gamma_density(xp, a, y))

    def vjp_p(self, xp, g, a, y):
        return xp.multiply_no_nan(g, 1 / gamma_density(xp, a, y))


class GammaIncCInv(Elementwise):
    """The x with gammaincc(a, x) = p."""

    promotion = "floating"
    functional_name = "gammainccinv"  # type: ignore[assignment]

    def forward(self, xp, a, p):
        return xp.special.gammainccinv(a, p)

    def vjp_a(self, xp, g, a, y):
        return xp.multiply_no_nan(g, xp.special.gammainc_moment(1, a, y, True) / gamma_density(xp, a, y))

    def vjp_p(self, xp, g, a, y):
        return xp.multiply_no_nan(g, -1 / gamma_density(xp, a, y))


class BetaIncInv(Elementwise):
    """The x with betainc(a, b, x) = p."""

    promotion = "floating"
    functional_name = "betaincinv"  # type: ignore[assignment]

    def forward(self, xp, a, b, p):
        return xp.special.betaincinv(a, b, p)

    def vjp_a(self, xp, g, a, b, y):
        return xp.multiply_no_nan(g, -xp.special.betainc_moment(1, 0, a, b, y) / beta_density(xp, a, b, y))

    def vjp_b(self, xp, g, a, b, y):
        return xp.multiply_no_nan(g, -xp.special.betainc_moment(0, 1, a, b, y) / beta_density(xp, a, b, y))

    def vjp_p(self, xp, g, a, b, y):
        return xp.multiply_no_nan(g, 1 / beta_density(xp, a, b, y))


_betainc, _betaincinv = BetaInc(), BetaIncInv()

gammainc = binary(GammaInc(), "The regularised lower incomplete gamma function P(a, x), for a > 0 and x >= 0.")

gammaincc = binary(GammaIncC(), "The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x).")

gammaincinv = binary(GammaIncInv(), "The x with gammainc(a, x) = p: the quantile of the gamma distribution.")

gammainccinv = binary(GammaIncCInv(), "The x with gammaincc(a, x) = p, exact for tiny p.")


def gammainc_moment(n: int, a, x, upper: bool = False) -> Tensor:
    """The integral of (log t - digamma(a)) ** n t ** (a - 1) exp(-t) / gamma(a) over t from 0 to x, or from x on.

    ``n`` a Python int of at least 0: 0 is ``gammainc``, 1 its derivative in a. For a > 0 and x >= 0, NaN elsewhere.
    """
    return apply(GammaIncMoment(whole_number("gammainc_moment", "n", n), bool(upper)), a, x)


def betainc(a, b, x) -> Tensor:
    """The regularised incomplete beta function I(a, b; x), for a, b > 0 and x within [0, 1]."""
    return apply(_betainc, a, b, x)


def betaincinv(a, b, p) -> Tensor:
    """The x with betainc(a, b, x) = p: the quantile of the beta distribution."""
    return apply(_betaincinv, a, b, p)


def betainc_moment(m: int, n: int, a, b, x, upper: bool = False) -> Tensor:
    """The integral of u ** m v ** n t ** (a - 1) (1 - t) ** (b - 1) / beta(a, b) over t from 0 to x, or from x to 1.

    u = log t - digamma(a) + digamma(a + b), v = log(1 - t) - digamma(b) + digamma(a + b); ``m`` and ``n`` Python ints.
    (0, 0) is ``betainc``, (1, 0) and (0, 1) are its derivatives in a and b.
    """
    m, n = whole_number("betainc_moment", "m", m), whole_number("betainc_moment", "n", n)
    return apply(BetaIncMoment(m, n, bool(upper)), a, b, x)
