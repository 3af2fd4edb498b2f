"""erf and its kin on the array API standard alone, in double precision: to a few units of the last place.

``erfcx`` on [0, inf) is one Chebyshev series in (x - k) / (x + k) (Shepherd and Laframboise 1981), erf within [-1, 1]
one in x squared; the coefficients were computed with 60 digits.
"""

import math

_K = 3.75
# (1 + 2 x) erfcx(x) in Chebyshev polynomials of (x - K) / (x + K).
_ERFCX = (
    *(1.1775789345674017, -0.004590054580646478, -0.08424913336651792, 0.05920993999819189, -0.026658668435305753),
    *(0.009074997670705265, -0.002413163540417608, 0.0004907758365258086, -6.916973302501207e-05),
    *(4.13902798607301e-06, 7.74038306619849e-07, -2.1886401049234397e-07, 1.076499946567091e-08),
    *(4.521959811218287e-09, -7.754400208831351e-10, -6.318088340886684e-11, 2.86879501093067e-11),
    *(1.94558685457774e-13, -9.65469674843343e-13, 3.252548148148898e-14, 3.347811948287014e-14),
    *(-1.864562880416744e-15, -1.250795053065837e-15, 7.418235256969802e-17, 5.0681489051815133e-17),
)
# erf(x) / x in Chebyshev polynomials of 2 x ** 2 - 1.
_ERF = (
    *(0.9754769393826541, -0.14226120510371365, 0.010035582187599796, -0.0005768764699767485, 2.741993125219606e-05),
    *(-1.1043175507344507e-06, 3.8488755420345036e-08, -1.1808582533875466e-09, 3.2334215826050907e-11),
    *(-7.991015947004549e-13, 1.7990725113961456e-14, -3.718635487818693e-16, 7.103599003714253e-18),
)
_FAR = 1e8  # from here on erfcx(x) is 1 / (x sqrt(pi)) to the last bit


def chebyshev(coefficients, t):
    """The Chebyshev series at ``t`` within [-1, 1], by Clenshaw's recurrence."""
    ahead = behind = t * 0.0
    for c in coefficients[:0:-1]:
        ahead, behind = 2 * t * ahead - behind + c, ahead
    return t * ahead - behind + coefficients[0]


def polynomial(coefficients, x):
    """``coefficients[0] + coefficients[1] * x + ...``, by Horner's scheme."""
    total = x * 0.0 + coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def gaussian(xp, x):
    """exp(-x * x), to the last bits where x * x is large: the square is split so that its rounding does no harm."""
    near = xp.where(xp.abs(x) < 64, xp.round(x * 16) / 16, xp.zeros_like(x))
    return xp.exp(-near * near) * xp.exp(-(x - near) * (x + near))


def erf(xp, x):
    """The error function 2 / sqrt(pi) * integral of exp(-t * t) from 0 to x."""
    size = xp.abs(x)
    small = xp.where(size < 1, x, xp.zeros_like(x))
    inner = small * chebyshev(_ERF, 2 * small * small - 1)
    far = xp.where(xp.isnan(x), x, xp.minimum(size, xp.full_like(x, 7.0)))
    outer = 1 - gaussian(xp, far) * scaled(xp, far)
    inner = xp.where(xp.isnan(x), x, inner)
    return xp.where(size < 1, inner, xp.where(x < 0, -outer, outer))


def erfc(xp, x):
    """1 - erf(x), with its own digits where that is small."""
    size = xp.abs(x)
    near = xp.where(size < 1, x, xp.zeros_like(x))
    inner = 1 - erf(xp, near)
    tail = gaussian(xp, size) * scaled(xp, size)
    return xp.where(size < 1, inner, xp.where(x < 0, 2 - tail, tail))


def scaled(xp, x):
    """erfcx(x) for x of at least 0, NaN for NaN."""
    far = x > _FAR
    near = xp.where(far, xp.full_like(x, 1.0), x)
    inner = chebyshev(_ERFCX, (near - _K) / (near + _K)) / (1 + 2 * near)
    return xp.where(far, 1 / (math.sqrt(math.pi) * xp.where(far, x, xp.full_like(x, 1.0))), inner)


def erfcx(xp, x):
    """exp(x * x) * erfc(x): no underflow far out, infinite below about -26.6."""
    size = xp.abs(x)
    y = scaled(xp, size)
    below = xp.where(x < 0, x, xp.zeros_like(x))
    near = xp.where(below > -27, xp.round(below * 16) / 16, below)
    grown = xp.exp(near * near) * xp.exp(xp.where(near == below, xp.zeros_like(x), (below - near) * (below + near)))
    return xp.where(x < 0, 2 * grown - y, y)


def erfcinv(xp, p):
    """The x with erfc(x) = p, for p within [0, 2]; NaN outside."""
    lower = xp.where(p > 1, 2 - p, p)
    x = _inverse_tail(xp, lower, lower)
    return _ends(xp, xp.where(p > 1, -x, x), p, 0.0, 2.0, sign=-1)


def erfinv(xp, y):
    """The x with erf(x) = y, for y within [-1, 1]; NaN outside."""
    size = xp.abs(y)
    x = _inverse_tail(xp, 1 - size, None, size)
    return _ends(xp, xp.where(y < 0, -x, x), y, -1.0, 1.0, sign=1)


def _ends(xp, x, p, low, high, sign):
    inf = xp.full_like(x, math.inf)
    x = xp.where(p == low, -sign * inf, xp.where(p == high, sign * inf, x))
    return xp.where((p < low) | (p > high) | xp.isnan(p), xp.full_like(x, math.nan), x)


def _inverse_tail(xp, tail, exact_tail, near=None):
    """x >= 0 with erfc(x) = tail, or erf(x) = near: a guess (Winitzki 2008), then three steps of Halley."""
    one = xp.full_like(tail, 1.0)
    tail = xp.where((tail > 0) & (tail <= 1), tail, one)
    size = 1 - tail if near is None else xp.where(near < 1, near, xp.zeros_like(one))
    log = xp.log(tail) + xp.log1p(size)  # of 1 - size ** 2
    a = 0.147
    b = 2 / (math.pi * a) + log / 2
    x = xp.sqrt(xp.maximum(xp.sqrt(b * b - log / a) - b, xp.zeros_like(one)))
    for _ in range(4):
        slope = 2 / math.sqrt(math.pi) * gaussian(xp, x)
        by_tail = (erfc(xp, x) - tail) / -slope
        by_size = (erf(xp, x) - size) / slope
        step = xp.where(size < 0.5, by_size, by_tail)
        x = x - step / (1 + x * step)
    return x


def ndtr(xp, x):
    """The standard normal distribution function."""
    return erfc(xp, x * -math.sqrt(0.5)) / 2


def ndtri(xp, p):
    """The quantile of the standard normal distribution."""
    return -math.sqrt(2) * erfcinv(xp, 2 * p)


def log_ndtr(xp, x):
    """The logarithm of ``ndtr``, finite far out to the left."""
    left = xp.where(x < -1, x, xp.zeros_like(x) - 1)
    left = xp.where(xp.isnan(x), x, left)
    right = xp.where(x < -1, xp.zeros_like(x), x)
    far = xp.log(scaled(xp, left * -math.sqrt(0.5)) / 2) - left * left / 2
    return xp.where(x < -1, far, xp.log1p(-erfc(xp, right * math.sqrt(0.5)) / 2))
