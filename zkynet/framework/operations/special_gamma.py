"""The gamma function, its logarithm and its derivatives, the beta function, and Hurwitz' zeta function."""

import math

from ..operator import Elementwise, Undifferentiable
from ..quick import binary, unary
from ..record import Tensor, apply
from .elementwise import add, multiply, reciprocal, subtract


class GammaLn(Elementwise):
    promotion = "floating"
    functional_name = "gammaln"  # type: ignore[assignment]

    def forward(self, xp, x):
        return xp.special.gammaln(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.special.digamma(x))


class Digamma(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.digamma(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.special.polygamma(1, x))


class Polygamma(Elementwise):
    promotion = "floating"

    def __init__(self, n):
        self.n = n

    def forward(self, xp, x):
        return xp.special.polygamma(self.n, x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.special.polygamma(self.n + 1, x))


class Gamma(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.gamma(x)

    def vjp_x(self, xp, g, x, y):
        return xp.multiply_no_nan(g, y * xp.special.digamma(x))


class RGamma(Elementwise):
    """1 / gamma(x), entire: by reflection below 0.5, where sin(pi x) has the zeros."""

    promotion = "floating"
    functional_name = "rgamma"  # type: ignore[assignment]

    def forward(self, xp, x):
        low = x < 0.5
        if none_of(xp, low):
            return 1 / xp.special.gamma(x)
        gamma = xp.special.gamma(self.reflected(xp, x))
        return xp.where(low, xp.special.sinpi(x) * gamma / math.pi, 1 / gamma)

    def vjp_x(self, xp, g, x, y):
        if none_of(xp, x < 0.5):
            return xp.multiply_no_nan(g, -y * xp.special.digamma(x))
        z = self.reflected(xp, x)
        gamma, slope = xp.special.gamma(z), xp.special.digamma(z)
        left = gamma * (xp.special.sinpi(x, 1) - xp.special.sinpi(x) * slope / math.pi)
        return xp.multiply_no_nan(g, xp.where(x < 0.5, left, -slope / gamma))

    def reflected(self, xp, x):
        return xp.where(x < 0.5, 1 - x, x)


def none_of(xp, mask) -> bool:
    """Whether a mask holds nowhere, and that can be known."""
    return not xp.is_traced(mask) and not bool(xp.any(mask))


class GammaSgn(Undifferentiable):
    promotion = "floating"
    functional_name = "gammasgn"  # type: ignore[assignment]

    def forward(self, xp, x):
        return xp.special.gammasgn(x)


class SinPi(Elementwise):
    """sin(pi (x + phase / 2)), exact at whole and half numbers."""

    promotion = "floating"

    def __init__(self, phase=0):
        self.phase = phase % 4

    def forward(self, xp, x):
        return xp.special.sinpi(x, self.phase)

    def vjp_x(self, xp, g, x):
        return g * (math.pi * xp.special.sinpi(x, self.phase + 1))


class Zeta(Elementwise):
    promotion = "floating"

    def forward(self, xp, s, q):
        return xp.special.zeta(s, q)

    def vjp_s(self, xp, g, s, q):
        return g * xp.special.zeta_derivative(1, s, q)

    def vjp_q(self, xp, g, s, q):
        return g * (-s * xp.special.zeta(s + 1, q))


class ZetaDerivative(Elementwise):
    """The ``n``-th derivative of zeta in s, n at least 1."""

    promotion = "floating"

    def __init__(self, n):
        self.n = n

    def forward(self, xp, s, q):
        return xp.special.zeta_derivative(self.n, s, q)

    def vjp_s(self, xp, g, s, q):
        return g * xp.special.zeta_derivative(self.n + 1, s, q)

    def vjp_q(self, xp, g, s, q):
        n = self.n
        lower = xp.special.zeta(s + 1, q) if n == 1 else xp.special.zeta_derivative(n - 1, s + 1, q)
        return g * -(s * xp.special.zeta_derivative(n, s + 1, q) + n * lower)


class BetaLn(Elementwise):
    promotion = "floating"
    functional_name = "betaln"  # type: ignore[assignment]

    def forward(self, xp, a, b):
        return xp.special.betaln(a, b)

    def vjp_a(self, xp, g, a, b):
        return xp.multiply_no_nan(g, xp.special.digamma(a) - xp.special.digamma(a + b))

    def vjp_b(self, xp, g, a, b):
        return xp.multiply_no_nan(g, xp.special.digamma(b) - xp.special.digamma(a + b))


class Beta(Elementwise):
    promotion = "floating"

    def forward(self, xp, a, b):
        return xp.special.beta(a, b)

    def vjp_a(self, xp, g, a, b, y):
        return xp.multiply_no_nan(g, y * (xp.special.digamma(a) - xp.special.digamma(a + b)))

    def vjp_b(self, xp, g, a, b, y):
        return xp.multiply_no_nan(g, y * (xp.special.digamma(b) - xp.special.digamma(a + b)))


class Poch(Elementwise):
    promotion = "floating"

    def forward(self, xp, x, m):
        return xp.special.poch(x, m)

    def vjp_x(self, xp, g, x, m, y):
        return xp.multiply_no_nan(g, y * (xp.special.digamma(x + m) - xp.special.digamma(x)))

    def vjp_m(self, xp, g, x, m, y):
        return xp.multiply_no_nan(g, y * xp.special.digamma(x + m))


_sinpi = tuple(SinPi(phase) for phase in range(4))
_rgamma = RGamma()
_zeta, _poch, _gammasgn = Zeta(), Poch(), GammaSgn()


def whole_number(function: str, name: str, n, least: int = 0) -> int:
    """``n`` as a Python int of at least ``least``; TypeError or ValueError in the name of ``function``."""
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"special.{function}: {name} has no derivative: a Python int, got {type(n).__name__}")
    if n < least:
        raise ValueError(f"special.{function}: {name} must be at least {least}, got {n}")
    return n


gammaln = unary(GammaLn(), "log |gamma(x)|; infinite at 0, -1, -2, ...")

digamma = unary(Digamma(), "The derivative of gammaln (psi).")

gamma = unary(Gamma(), "The gamma function, (x - 1)! at whole numbers.")


def polygamma(n: int, x) -> Tensor:
    """The ``n``-th derivative of digamma, ``n`` a Python int of at least 0."""
    n = whole_number("polygamma", "n", n)
    return digamma(x) if n == 0 else apply(Polygamma(n), x)


def gammasgn(x) -> Tensor:
    """The sign of gamma(x): 1 or -1, NaN at the poles; no derivative."""
    return apply(_gammasgn, x)


def sinpi(x, phase: int = 0) -> Tensor:
    """sin(pi x + phase pi / 2), exact at whole and half numbers."""
    return apply(_sinpi[phase % 4], x)


def rgamma(x) -> Tensor:
    """1 / gamma(x), which is 0 at 0, -1, -2, ... and has derivatives there."""
    return apply(_rgamma, x)


def zeta(s, q=1.0) -> Tensor:
    """Hurwitz' zeta function, the sum of (q + k) ** -s over k = 0, 1, ...; NaN unless s > 1 and q > 0."""
    return apply(_zeta, s, q)


def zeta_derivative(n: int, s, q=1.0) -> Tensor:
    """The ``n``-th derivative of ``zeta`` in s, ``n`` a Python int of at least 1."""
    return apply(ZetaDerivative(whole_number("zeta_derivative", "n", n, 1)), s, q)


beta = binary(Beta(), "gamma(a) gamma(b) / gamma(a + b).")

betaln = binary(BetaLn(), "log |beta(a, b)|, also where a or b is large.")


def multigammaln(a, d: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``d``, for a > (d - 1) / 2."""
    d = whole_number("multigammaln", "d", d, 1)
    total = gammaln(a)
    for j in range(1, d):
        total = add(total, gammaln(subtract(a, j / 2)))
    return add(total, d * (d - 1) / 4 * math.log(math.pi))


def poch(x, m) -> Tensor:
    """Pochhammer's symbol, gamma(x + m) / gamma(x)."""
    return apply(_poch, x, m)


def factorial(n) -> Tensor:
    """gamma(n + 1), of real n."""
    return gamma(add(n, 1.0))


def comb(n, k) -> Tensor:
    """n over k, of real n and k: 1 / ((n + 1) beta(n - k + 1, k + 1))."""
    above = add(n, 1.0)
    return reciprocal(multiply(above, beta(subtract(above, k), add(k, 1.0))))
