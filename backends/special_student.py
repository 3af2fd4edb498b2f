"""Student's distribution function and its derivative in the degrees of freedom, on the array API standard alone."""

from .special_gamma import betaln
from .special_moments import beta_moment


def stdtr(xp, df, t):
    """The probability of less than t, for df > 0 degrees of freedom."""
    square = xp.where(xp.isinf(t), xp.zeros_like(t), t * t)
    half, whole = xp.full_like(df + t, 0.5), df + square
    near = 0.5 - beta_moment(xp, 0, 0, half, df / 2 + 0 * square, square / whole, False) / 2
    far = beta_moment(xp, 0, 0, df / 2 + 0 * square, half, df / whole, False) / 2
    tail = xp.where(square < df, near, far)
    tail = xp.where(xp.isinf(t), xp.zeros_like(tail), tail)
    return xp.where(t > 0, 1 - tail, tail)


def stdtr_df(xp, df, t):
    """The derivative of ``stdtr`` in df."""
    df, t = df + 0 * t, t + 0 * df
    a, whole, half = df / 2, df + t * t, xp.full_like(df, 0.5)
    log_x = -xp.log1p(t * t / df)
    along = xp.abs(t) * xp.exp((a - 1) * log_x - 1.5 * xp.log(whole) - betaln(xp, half, a))
    far = beta_moment(xp, 1, 0, a, half, df / whole, False)
    near = beta_moment(xp, 0, 1, half, a, t * t / whole, False)  # does not cancel where t is small
    return -0.5 * xp.sign(t) * (0.5 * xp.where(t * t < df, -near, far) + along)
