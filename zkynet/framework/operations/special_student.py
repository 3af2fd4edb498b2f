"""Student's distribution function, differentiable in its degrees of freedom too."""

from ..operator import Elementwise
from ..quick import binary


def student_density(xp, df, t):
    """The density of Student's distribution."""
    return xp.exp(-xp.special.betaln(0.5 + 0 * df, df / 2) - 0.5 * xp.log(df) - (df + 1) / 2 * xp.log1p(t * t / df))


def parts(xp, df, t):
    """a = df / 2, x = df / (df + t ** 2), u = log x - E[log x], and half the slope of I(a, 1 / 2; x) along x in df."""
    a, whole = df / 2, df + t * t
    x, log_x = df / whole, -xp.log1p(t * t / df)
    u = log_x - xp.special.digamma(a) + xp.special.digamma(a + 0.5)
    along = xp.abs(t) * xp.exp((a - 1) * log_x - 1.5 * xp.log(whole) - xp.special.betaln(0.5 + 0 * a, a))
    return a, x, u, along


class Stdtr(Elementwise):
    promotion = "floating"

    def forward(self, xp, df, t):
        return xp.special.stdtr(df, t)

    def vjp_df(self, xp, g, df, t):
        return g * xp.special.stdtr_df(df, t)

    def vjp_t(self, xp, g, df, t):
        return g * student_density(xp, df, t)


class StdtrDf(Elementwise):
    """The derivative of ``Stdtr`` in df."""

    promotion = "floating"

    def forward(self, xp, df, t):
        return xp.special.stdtr_df(df, t)

    def vjp_df(self, xp, g, df, t):
        a, x, u, along = parts(xp, df, t)
        bend = xp.special.polygamma(1, a + 0.5) - xp.special.polygamma(1, a)
        half = 0.5 + 0 * a
        far = xp.special.betainc_moment(2, 0, a, half, x) + bend * xp.special.betainc(a, half, x)
        y = t * t / (df + t * t)
        near = xp.special.betainc_moment(0, 2, half, a, y) + bend * xp.special.betainc(half, a, y)
        inner = xp.where(t * t < df, -near, far)
        grown = 0.5 * u + (a - 1) * (1 / df - 1 / (df + t * t)) - 1.5 / (df + t * t)
        return g * (-0.5 * xp.sign(t) * (0.25 * inner + 0.5 * u * along + along * grown))

    def vjp_t(self, xp, g, df, t):
        square, half = t * t, df / 2
        score = xp.special.digamma(half + 0.5) - xp.special.digamma(half) - 1 / df - xp.log1p(square / df)
        score = 0.5 * (score + (df + 1) * square / (df * (df + square)))
        return g * (student_density(xp, df, t) * score)


stdtr = binary(Stdtr(), "Student's distribution function of t with df > 0 degrees of freedom.")

stdtr_df = binary(StdtrDf(), "The derivative of ``stdtr`` in df.")
