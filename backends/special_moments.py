"""Incomplete moments of the logarithms of gamma and beta distributed numbers, by Gauss-Legendre quadrature.

They are the derivatives of the incomplete gamma and beta functions in the shape parameters: with u = log t - E[log t],

    d/da of the integral of u ** n f(t; a) = that of u ** (n + 1) f less n Var[log t] times that of u ** (n - 1) f

In w = log t less its mode (log t - log(1 - t) for beta), f is log-concave. Each side of the mode is one panel, cut off
where f has fallen by exp(-50), and stretched exponentially so that a long tail and a short bend are both resolved.
Where the whole moment is 0 (n = 1) the side is taken in which u has one sign: nothing cancels.
"""

import math
from functools import cache

import numpy as np

from .special_error import polynomial
from .special_gamma import _DIGAMMA_SERIES, _FAR, stirling

_DROP = 50.0
_NODES = 64
_OUT = 1e6  # stands for an endpoint at infinity


@cache
def _rule():
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return tuple((nodes + 1) / 2), tuple(weights / 2)


def _panel(xp, f, start, length, direction):
    """The integral of ``f`` over ``length`` from ``start`` in ``direction``; ``f`` sees the nodes on a last axis."""
    nodes, weights = (xp.asarray(values, dtype=start.dtype) for values in _rule())
    u = xp.expand_dims(xp.log1p(length), axis=-1) * nodes
    w = xp.expand_dims(start, axis=-1) + direction * xp.expm1(u)
    return xp.sum(f(w) * xp.exp(u) * weights, axis=-1) * xp.log1p(length)


def log_less_digamma(xp, a):
    """log(a) - digamma(a), for a above 0."""
    far = xp.maximum(a, xp.full_like(a, _FAR))
    series = 0.5 / far + polynomial(_DIGAMMA_SERIES, 1 / (far * far)) / (far * far)
    near = xp.where(a < _FAR, a, xp.full_like(a, 1.0))
    return xp.where(a < _FAR, xp.log(near) - xp.special.digamma(near), series)


def _log_ratio(xp, x, a):
    """log(x / a), with its own digits where the two are close."""
    r = (x - a) / a
    close = xp.abs(r) < 0.5
    return xp.where(close, xp.log1p(xp.where(close, r, r * 0.0)), xp.log(xp.where(close, a, x) / a))


# ---- gamma ----


def gamma_moment(xp, n, a, x, upper):
    """The integral of (log t - digamma(a)) ** n t ** (a - 1) exp(-t) / gamma(a) from 0 to x; from x on where ``upper``.

    For a above 0 and x of at least 0, NaN elsewhere.
    """
    good = (a > 0) & (x >= 0) & ~xp.isinf(a)
    inside = good & (x > 0) & ~xp.isinf(x)
    a, t = xp.where(good, a, 1.0 + a * 0.0), xp.where(inside, x, 1.0 + x * 0.0)
    a, t = xp.where(xp.isnan(a), xp.ones_like(a), a), xp.where(xp.isnan(t), xp.ones_like(t), t)
    end = _log_ratio(xp, t, a)
    end = xp.where(inside, end, xp.where(x > 0, xp.full_like(end, _OUT), xp.full_like(end, -_OUT)))
    shift = log_less_digamma(xp, a)
    if n == 0:
        below = end < 0
    elif n == 1:
        below = end + shift < 0
    else:
        below = end < (-math.inf if upper else math.inf)
    height = xp.exp(-stirling(xp, a)) * xp.sqrt(a / (2 * math.pi))
    y = height * (_gamma_left(xp, n, a, end, below, shift) + _gamma_right(xp, n, a, end, below, shift))
    empty = xp.where(below, end <= -_OUT, end >= _OUT)
    y = xp.where(empty, y * 0.0, y)
    if n < 2:
        wanted = below if not upper else ~below
        y = xp.where(wanted, y, 1 - y if n == 0 else -y)
    return xp.where(good, y, xp.full_like(y, math.nan))


def _gamma_density(xp, n, a, shift):
    a, shift = xp.expand_dims(a, axis=-1), xp.expand_dims(shift, axis=-1)

    def f(w):
        y = xp.exp(-a * (xp.expm1(w) - w))
        return y * (w + shift) ** n if n else y

    return f


def _gamma_left(xp, n, a, end, below, shift):
    """Left of the mode: from where the density is gone to the end, or (above) from the end to the mode."""
    zero = end * 0.0
    top = xp.where(below, xp.minimum(end, zero), zero)
    grown = xp.exp(top)
    length = _DROP / a + grown
    length = xp.where(a > 3 * _DROP, xp.minimum(length, xp.sqrt(3 * _DROP / a)), length)
    for _ in range(4):  # Newton from above on a convex function: the drop stays at least as large as asked
        drop = a * (length + grown * xp.expm1(-length))
        length = length - (drop - _DROP) / (a * (1 - grown * xp.exp(-length)))
    length = xp.where(below, length, xp.minimum(length, -xp.minimum(end, zero)))
    return _panel(xp, _gamma_density(xp, n, a, shift), top, length, -1)


def _gamma_right(xp, n, a, end, below, shift):
    zero = end * 0.0
    foot = xp.where(below, zero, xp.maximum(end, zero))
    foot = xp.minimum(foot, zero + 300.0)  # nothing is left there
    grown = xp.exp(foot)
    length = xp.minimum(xp.sqrt(2 * _DROP / a), xp.log1p(_DROP / a) + math.log(2))
    for _ in range(4):
        drop = a * (grown * xp.expm1(length) - length)
        length = length - (drop - _DROP) / (a * (grown * xp.exp(length) - 1))
    length = xp.where(below, xp.minimum(length, xp.maximum(end, zero)), length)
    return _panel(xp, _gamma_density(xp, n, a, shift), foot, length, 1)


# ---- beta ----


def beta_moment(xp, m, n, a, b, x, upper):
    """The integral of u ** m v ** n t ** (a - 1) (1 - t) ** (b - 1) / beta(a, b) from 0 to x, x to 1 where ``upper``.

    u = log t - digamma(a) + digamma(a + b), v = log(1 - t) - digamma(b) + digamma(a + b); a and b above 0, x within
    [0, 1], NaN elsewhere.
    """
    good = (a > 0) & (b > 0) & (x >= 0) & (x <= 1) & ~xp.isinf(a) & ~xp.isinf(b)
    inside = good & (x > 0) & (x < 1)
    a, b, t = (xp.where(ok, z, xp.ones_like(z)) for ok, z in ((good, a), (good, b), (inside, x)))
    t = xp.where(inside, t, 0.5 * t)
    end = _log_ratio(xp, t * b, (1 - t) * a)
    end = xp.where(inside, end, xp.where(x > 0.5, xp.full_like(end, _OUT), xp.full_like(end, -_OUT)))
    means = _means(xp, a, b)
    if m + n == 0:
        below = end < 0
    elif m + n == 1:
        log_t, log_rest = _logs(xp, end, a, b)
        below = log_t + means[0] < 0 if m else log_rest + means[1] > 0
    else:
        below = end < (-math.inf if upper else math.inf)
    turned = ~below  # above the end: the same with t and 1 - t exchanged
    p, q, stop = xp.where(turned, b, a), xp.where(turned, a, b), xp.where(turned, -end, end)
    powers = (m, n, turned, means)
    y = _beta_left(xp, powers, p, q, stop) + _beta_right(xp, powers, p, q, stop)
    remainder = stirling(xp, a) + stirling(xp, b) - stirling(xp, a + b)
    y = y * xp.exp(-remainder) * xp.sqrt(a / (a + b) * b / (2 * math.pi))
    y = xp.where(stop <= -_OUT, y * 0.0, y)
    if m + n < 2:
        wanted = below if not upper else turned
        y = xp.where(wanted, y, 1 - y if m + n == 0 else -y)
    return xp.where(good, y, xp.full_like(y, math.nan))


def _means(xp, a, b):
    """What is added to log(t / mode) and log((1 - t) / (1 - mode)) to make their means 0."""
    both = log_less_digamma(xp, a + b)
    return log_less_digamma(xp, a) - both, log_less_digamma(xp, b) - both


def _logs(xp, w, a, b):
    """log(t / p) and log((1 - t) / q) at t = p exp(w) / (q + p exp(w)), p = a / (a + b), q = b / (a + b)."""
    p, q = a / (a + b), b / (a + b)
    right = xp.maximum(w, w * 0.0)
    left = xp.minimum(w, w * 0.0)
    rise, fall = _log_mean(xp, p, q, left), _log_mean(xp, q, p, -right)
    return xp.where(w > 0, -fall, left - rise), xp.where(w > 0, -right - fall, -rise)


def _log_mean(xp, p, q, w):
    """log(q + p exp(w)) for q = 1 - p and w of at most 0, without cancellation at either end."""
    r = p * xp.expm1(w)
    near = r > -0.5
    return xp.where(near, xp.log1p(xp.where(near, r, r * 0.0)), xp.log(q + p * xp.exp(w)))


def _beta_density(xp, powers, a, b):
    m, n, turned, means = powers
    a, b, turned = (xp.expand_dims(z, axis=-1) for z in (a, b, turned))
    means = [xp.expand_dims(z, axis=-1) for z in means]

    def f(w):
        log_t, log_rest = _logs(xp, w, a, b)
        y = xp.exp(a * log_t + b * log_rest)
        if m:
            y = y * (xp.where(turned, log_rest, log_t) + means[0]) ** m
        if n:
            y = y * (xp.where(turned, log_t, log_rest) + means[1]) ** n
        return y

    return f


def _beta_reach(xp, a, b, top):
    """How far left of ``top``, at most 0, the density falls by exp(-50)."""
    log_t, log_rest = _logs(xp, top, a, b)
    high = a * log_t + b * log_rest
    rise = -log_rest - xp.log(b / (a + b))
    length = (_DROP + (a + b) * rise) / a
    for _ in range(7):  # Newton from above on a convex function
        low_t, low_rest = _logs(xp, top - length, a, b)
        drop = high - (a * low_t + b * low_rest)
        slope = a - a * xp.exp(low_t)  # a - (a + b) t
        length = length - (drop - _DROP) / xp.where(slope > 0, slope, xp.full_like(slope, math.inf))
    return length


def _beta_left(xp, powers, a, b, end):
    top = xp.minimum(end, end * 0.0)
    return _panel(xp, _beta_density(xp, powers, a, b), top, _beta_reach(xp, a, b, top), -1)


def _beta_right(xp, powers, a, b, end):
    zero = end * 0.0
    length = xp.minimum(_beta_reach(xp, b, a, zero), xp.maximum(end, zero))
    return _panel(xp, _beta_density(xp, powers, a, b), zero, length, 1)


# ---- the order of K ----


def kv_order(xp, n, v, x):
    """The ``n``-th derivative of exp(x) kv(v, x) in v: over t > 0 that of t ** n cosh(v t) exp(-x (cosh(t) - 1)).

    sinh for odd n. For x above 0, NaN elsewhere. The trapezoidal rule, which converges exponentially here.
    """
    good = (x > 0) & ~xp.isinf(x)
    v, x = v + x * 0.0, x + v * 0.0
    order, x = xp.abs(v), xp.where(good, x, xp.ones_like(x))
    reach = xp.sqrt(2 * (_DROP + order) / x) + 1
    for _ in range(6):  # cosh(t) - 1 = (DROP + order t) / x
        level = (_DROP + (order + n) * reach) / x
        reach = xp.log1p(level + xp.sqrt(level * (level + 2)))
    steps = 160
    nodes = xp.asarray(tuple(k / steps for k in range(steps + 1)), dtype=x.dtype)
    weights = xp.asarray((0.5,) + (1.0,) * (steps - 1) + (0.5,), dtype=x.dtype)
    t = xp.expand_dims(reach, axis=-1) * nodes
    order, wide = xp.expand_dims(v, axis=-1), xp.expand_dims(x, axis=-1)
    half = xp.sinh(t / 2)
    bell = -2 * wide * half * half
    sign = 1.0 if n % 2 == 0 else -1.0
    grown = (xp.exp(order * t + bell) + sign * xp.exp(bell - order * t)) / 2
    if n:
        grown = grown * t**n
    y = xp.sum(grown * weights, axis=-1) * reach / steps
    return xp.where(good, y, xp.full_like(y, math.nan))
