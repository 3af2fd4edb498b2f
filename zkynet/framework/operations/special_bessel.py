"""Bessel functions. Orders are Python ints (j, y) or real numbers (i, k); K alone is differentiable in its order."""

from ..operator import Elementwise
from ..quick import unary
from ..record import Tensor, apply
from .elementwise import multiply, negative
from .exponential import exp
from .special_gamma import whole_number


class J0(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.j0(x)

    def vjp_x(self, xp, g, x):
        return g * -xp.special.j1(x)


class J1(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.j1(x)

    def vjp_x(self, xp, g, x):
        return g * (0.5 * (xp.special.j0(x) - xp.special.jn(2, x)))


class Jn(Elementwise):
    """The Bessel function of the first kind of order n."""

    promotion = "floating"

    def __init__(self, n):
        self.n = n

    def forward(self, xp, x):
        return xp.special.jn(self.n, x)

    def vjp_x(self, xp, g, x):
        return g * (0.5 * (xp.special.jn(self.n - 1, x) - xp.special.jn(self.n + 1, x)))


class Y0(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.y0(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, -xp.special.y1(x))


class Y1(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.y1(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 0.5 * (xp.special.y0(x) - xp.special.yn(2, x)))


class Yn(Elementwise):
    """The Bessel function of the second kind of order n."""

    promotion = "floating"

    def __init__(self, n):
        self.n = n

    def forward(self, xp, x):
        return xp.special.yn(self.n, x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 0.5 * (xp.special.yn(self.n - 1, x) - xp.special.yn(self.n + 1, x)))


class I0(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.i0(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, xp.special.i1(x))


class I1(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.i1(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 0.5 * (xp.special.i0(x) + xp.special.iv(2.0, x)))


class I0e(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.i0e(x)

    def vjp_x(self, xp, g, x, y):
        return g * (xp.special.i1e(x) - xp.sign(x) * y)


class I1e(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return xp.special.i1e(x)

    def vjp_x(self, xp, g, x, y):
        return g * (0.5 * (xp.special.i0e(x) + xp.special.ive(2.0, x)) - xp.sign(x) * y)


class Iv(Elementwise):
    """The modified Bessel function of the first kind; no derivative in the order."""

    promotion = "floating"

    def forward(self, xp, v, x):
        return xp.special.iv(v, x)

    def vjp_x(self, xp, g, v, x):
        return xp.multiply_no_nan(g, 0.5 * (xp.special.iv(v - 1, x) + xp.special.iv(v + 1, x)))


class Ive(Elementwise):
    """exp(-|x|) iv(v, x); no derivative in the order."""

    promotion = "floating"

    def forward(self, xp, v, x):
        return xp.special.ive(v, x)

    def vjp_x(self, xp, g, v, x, y):
        slope = 0.5 * (xp.special.ive(v - 1, x) + xp.special.ive(v + 1, x)) - xp.sign(x) * y
        return xp.multiply_no_nan(g, slope)


class Kve(Elementwise):
    """exp(x) kv(v, x)."""

    promotion = "floating"

    def forward(self, xp, v, x):
        return xp.special.kve(v, x)

    def vjp_v(self, xp, g, v, x):
        return g * xp.special.kve_order(1, v, x)

    def vjp_x(self, xp, g, v, x, y):
        return xp.multiply_no_nan(g, y - 0.5 * (xp.special.kve(v - 1, x) + xp.special.kve(v + 1, x)))


class KveOrder(Elementwise):
    """The ``n``-th derivative of exp(x) kv(v, x) in the order v, n at least 1."""

    promotion = "floating"

    def __init__(self, n):
        self.n = n

    def forward(self, xp, v, x):
        return xp.special.kve_order(self.n, v, x)

    def vjp_v(self, xp, g, v, x):
        return g * xp.special.kve_order(self.n + 1, v, x)

    def vjp_x(self, xp, g, v, x, y):
        sides = xp.special.kve_order(self.n, v - 1, x) + xp.special.kve_order(self.n, v + 1, x)
        return xp.multiply_no_nan(g, y - 0.5 * sides)


_iv, _ive, _kve = Iv(), Ive(), Kve()

j0 = unary(J0(), "The Bessel function of the first kind of order 0.")

j1 = unary(J1(), "The Bessel function of the first kind of order 1.")

y0 = unary(Y0(), "The Bessel function of the second kind of order 0, for x > 0.")

y1 = unary(Y1(), "The Bessel function of the second kind of order 1, for x > 0.")

i0 = unary(I0(), "The modified Bessel function of the first kind of order 0.")

i1 = unary(I1(), "The modified Bessel function of the first kind of order 1.")

i0e = unary(I0e(), "exp(-|x|) i0(x); derivative 0 at the kink.")

i1e = unary(I1e(), "exp(-|x|) i1(x).")


def jn(n: int, x) -> Tensor:
    """The Bessel function of the first kind of the order ``n``, a Python int."""
    return apply(Jn(whole_number("jn", "n", n, -(1 << 30))), x)


def yn(n: int, x) -> Tensor:
    """The Bessel function of the second kind of the order ``n``, a Python int, for x > 0."""
    return apply(Yn(whole_number("yn", "n", n, -(1 << 30))), x)


def iv(v, x) -> Tensor:
    """The modified Bessel function of the first kind of real order v; differentiable in x alone."""
    return apply(_iv, v, x)


def ive(v, x) -> Tensor:
    """exp(-|x|) iv(v, x); differentiable in x alone."""
    return apply(_ive, v, x)


def kve(v, x) -> Tensor:
    """exp(x) kv(v, x), for x > 0."""
    return apply(_kve, v, x)


def kv(v, x) -> Tensor:
    """The modified Bessel function of the second kind of real order v, for x > 0: Matern kernels are made of it."""
    return multiply(kve(v, x), exp(negative(x)))


def kve_order(n: int, v, x) -> Tensor:
    """The ``n``-th derivative of ``kve`` in the order v, ``n`` a Python int of at least 1."""
    return apply(KveOrder(whole_number("kve_order", "n", n, 1)), v, x)
