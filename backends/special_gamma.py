"""The gamma function and its kin on the array API standard alone, in double precision.

Within [1, 2] they are Chebyshev series around their zeros (coefficients of 60 digits), beyond 8 Stirling's series, and
recurrence and reflection lead everything else there.
"""

import math
from functools import cache

import numpy as np

from .special_error import chebyshev, polynomial

# log gamma(y) / ((y - 1) (y - 2)) in Chebyshev polynomials of 2 y - 3.
_LOG_GAMMA = (
    *(0.49141539302938714, -0.07611416167043585, 0.008432324965932778, -0.001079493726328608, 0.00014900748003692963),
    *(-2.1512399888556784e-05, 3.1979329860862186e-06, -4.851693012139927e-07, 7.47148782116316e-08),
    *(-1.1638296700170518e-08, 1.829400437118668e-09, -2.8969180607129607e-10, 4.61570140620909e-11),
    *(-7.392810230497983e-12, 1.1894280008333085e-12, -1.9212068676522805e-13, 3.113975526387164e-14),
    *(-5.0628432984486114e-15, 8.254150281631144e-16, -1.3490578987574844e-16, 2.209876116782623e-17),
)
# digamma(y) / (y - ROOT) in the same.
_DIGAMMA = (
    *(0.983570260441567, -0.2270640863346444, 0.03336889902393011, -0.005320077271596548, 0.0008788656937820505),
    *(-0.00014773492650606044, 2.5060543468359146e-05, -4.2721034029993324e-06, 7.302769272465923e-07),
    *(-1.2502886813559594e-07, 2.1425009322359472e-08, -3.673295918565179e-09, 6.299717236108931e-10),
    *(-1.080593028883266e-10, 1.853735192053638e-11, -3.18023536582553e-12, 5.456147570322795e-13),
    *(-9.360993131036438e-14, 1.606064636295075e-14, -2.7555431377438815e-15, 4.727736178601912e-16),
    *(-8.11148420346509e-17, 1.391707769474154e-17),
)
_ROOT = (1.4616321449683622, 9.549995429965697e-17)  # of digamma: its two halves
# Bernoulli numbers B(2 j): over 2 j (2 j - 1), over 2 j, and over (2 j)!.
_STIRLING = (
    *(0.08333333333333333, -0.002777777777777778, 0.0007936507936507937, -0.0005952380952380953),
    *(0.0008417508417508417, -0.0019175269175269176, 0.00641025641025641, -0.029550653594771242, 0.17964437236883057),
)
_DIGAMMA_SERIES = (
    *(0.08333333333333333, -0.008333333333333333, 0.003968253968253968, -0.004166666666666667),
    *(0.007575757575757576, -0.021092796092796094, 0.08333333333333333, -0.4432598039215686, 3.0539543302701198),
)
_EULER_MACLAURIN = (
    *(0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07),
    *(2.08767569878681e-08, -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13),
    *(8.586062056277845e-15, -2.174868698558062e-16, 5.5090028283602295e-18, -1.3954464685812522e-19),
)
_FAR = 9.0  # from here on Stirling's series
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _full(xp, x, value):
    return xp.full_like(x, value)


def sinpi(xp, x, phase=0):
    """sin(pi x + phase pi / 2), exact where x is a whole or a half number."""
    whole = xp.round(x)
    odd = whole - 2 * xp.floor(whole / 2)
    angle = math.pi * (x - whole)
    wave = xp.cos(angle) if phase % 2 else xp.sin(angle)
    return wave * (1 - 2 * odd) * (-1 if phase % 4 > 1 else 1)


def stirling(xp, x):
    """log gamma(x) - ((x - 0.5) log(x) - x + log(2 pi) / 2) for x above 0: small, and exact where x is large."""
    near = xp.where(x < _FAR, x, _full(xp, x, 1.0))
    exact = xp.special.gammaln(near) - (near - 0.5) * xp.log(near) + near - _HALF_LOG_2PI
    return xp.where(x < _FAR, exact, _series(xp, x))


def _series(xp, x):
    """The same for x of at least 9, of any x what it is at 9."""
    far = xp.maximum(x, _full(xp, x, _FAR))
    return polynomial(_STIRLING, 1 / (far * far)) / far


def _lowered(xp, x):
    """``(y, product)`` with y within [1, 2] and gamma(x) = gamma(y) * product, for x within (0, 9)."""
    y, product = x, _full(xp, x, 1.0)
    for _ in range(int(_FAR) - 1):
        above = y > 2
        y = xp.where(above, y - 1, y)
        product = xp.where(above, product * y, product)
    return y, product


def _near(xp, x):
    """log gamma(x) for x within (0, 9)."""
    y, product = _lowered(xp, xp.where(x < 1, x + 1, x))
    y = xp.where(x < 1, x + 1, y)
    value = (y - 1) * (y - 2) * chebyshev(_LOG_GAMMA, 2 * y - 3)
    small = xp.where(x < 1, x * (x - 1) * chebyshev(_LOG_GAMMA, 2 * x - 1), value)  # x + 1 would round x
    return xp.where(x < 1, small - xp.log(x), value + xp.log(product))


def gammaln(xp, x):
    """log |gamma(x)|; infinite at 0, -1, -2, ..."""
    positive = x > 0
    size = xp.where(positive, x, 1 - x)
    far = xp.maximum(size, _full(xp, x, _FAR))
    series = far * (xp.log(far) - 1) + (_HALF_LOG_2PI - 0.5 * xp.log(far) + _series(xp, far))
    series = xp.where(xp.isinf(far), far, series)
    near = xp.where(size < _FAR, size, _full(xp, x, 1.5))
    y = xp.where(size < _FAR, _near(xp, near), series)
    y = xp.where(xp.isnan(x), x, y)
    reflected = math.log(math.pi) - xp.log(xp.abs(sinpi(xp, xp.where(positive, _full(xp, x, 0.5), x)))) - y
    pole = (x <= 0) & (x == xp.floor(x))
    return xp.where(positive | xp.isnan(x), y, xp.where(pole, _full(xp, x, math.inf), reflected))


def gamma(xp, x):
    """The gamma function; NaN at -1, -2, ..., infinite at 0 with its sign."""
    positive = x > 0
    size = xp.where(positive, x, 1 - x)
    inner = xp.where(size < _FAR, size, _full(xp, x, 1.5))
    y, product = _lowered(xp, xp.where(inner < 1, inner + 1, inner))
    near = xp.exp((y - 1) * (y - 2) * chebyshev(_LOG_GAMMA, 2 * y - 3)) * product
    near = xp.where(inner < 1, near / inner, near)
    far = xp.minimum(xp.maximum(size, _full(xp, x, _FAR)), _full(xp, x, 200.0))
    power = xp.pow(far, far / 2 - 0.25)
    beyond = power * (xp.exp(_HALF_LOG_2PI + _series(xp, far) - far) * power)
    y = xp.where(size < _FAR, near, beyond)
    pole = (x <= 0) & (x == xp.floor(x))
    sine = sinpi(xp, xp.where(positive | pole, _full(xp, x, 0.5), x))
    y = xp.where(positive, y, math.pi / (sine * y))
    at_pole = xp.where(x == 0, 1 / x, _full(xp, x, math.nan))
    return xp.where(xp.isnan(x) | (x == -math.inf), _full(xp, x, math.nan), xp.where(pole, at_pole, y))


def gammasgn(xp, x):
    """The sign of gamma(x): 1 or -1; 0 and NaN where it has none, as SciPy's."""
    floor = xp.floor(x)
    odd = floor - 2 * xp.floor(floor / 2)
    y = xp.where((x > 0) | (odd == 0), _full(xp, x, 1.0), _full(xp, x, -1.0))
    y = xp.where((x < 0) & (floor == x), _full(xp, x, math.nan), y)
    y = xp.where(x == 0, xp.where(1 / x < 0, _full(xp, x, -1.0), _full(xp, x, 1.0)), y)
    return xp.where(xp.isnan(x), x, y)


def digamma(xp, x):
    """The derivative of log gamma; NaN at -1, -2, ..., infinite at 0."""
    positive = x > 0
    size = xp.where(positive, x, 1 - x)
    size = xp.where(xp.isnan(x), _full(xp, x, 1.0), size)
    inner = xp.where(size <= 2, size, _full(xp, x, 1.5))
    y = xp.where(inner < 1, inner + 1, inner)
    near = ((y - _ROOT[0]) - _ROOT[1]) * chebyshev(_DIGAMMA, 2 * y - 3)
    near = xp.where(inner < 1, near - 1 / inner, near)
    far, lowered = xp.maximum(size, _full(xp, x, 2.0)), x * 0.0
    for _ in range(int(_FAR) - 2):
        below = far < _FAR
        lowered = xp.where(below, lowered + 1 / far, lowered)
        far = xp.where(below, far + 1, far)
    series = xp.log(far) - 0.5 / far - polynomial(_DIGAMMA_SERIES, 1 / (far * far)) / (far * far) - lowered
    y = xp.where(size <= 2, near, series)
    y = xp.where(size == math.inf, size, y)
    part = x - xp.round(x)
    pole = (x <= 0) & (part == 0)
    angle = math.pi * xp.where(positive | pole, _full(xp, x, 0.25), part)
    y = xp.where(positive, y, y - math.pi * xp.cos(angle) / xp.sin(angle))
    y = xp.where(pole, xp.where(x == 0, -1 / x, _full(xp, x, math.nan)), y)
    return xp.where(xp.isnan(x) | (x == -math.inf), _full(xp, x, math.nan), y)


def polygamma(xp, n, x):
    """The ``n``-th derivative of digamma, ``n`` a Python int of at least 0."""
    if n == 0:
        return digamma(xp, x)
    positive = x > 0
    size = xp.where(positive, x, 1 - x)
    sign = -1.0 if n % 2 == 0 else 1.0
    y = sign * float(math.factorial(n)) * zeta(xp, _full(xp, x, n + 1.0), size)
    # (-1) ** n psi_n(1 - x) - psi_n(x) is the n-th derivative of pi cot(pi x).
    part = x - xp.round(x)
    angle = math.pi * xp.where(positive, _full(xp, x, 0.25), part)
    turned = math.pi ** (n + 1) * polynomial(_cotangent(n), xp.cos(angle) / xp.sin(angle))
    reflected = (-1.0) ** n * y - turned
    reflected = xp.where(part == 0, _full(xp, x, math.inf if n % 2 else math.nan), reflected)
    return xp.where(positive | xp.isnan(x), y, reflected)


@cache
def _cotangent(n):
    """The ``n``-th derivative of cot(u) as a polynomial in cot(u): its coefficients, the constant first."""
    c = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(n):
        c = -c.deriv() * np.polynomial.Polynomial([1.0, 0.0, 1.0])
    return tuple(float(v) for v in c.coef)


def zeta(xp, s, q):
    """Hurwitz' zeta function: the sum of (q + k) ** -s over k = 0, 1, ...; s above 1, q above 0, NaN elsewhere."""
    return zeta_derivative(xp, 0, s, q)


def zeta_derivative(xp, n, s, q):
    """The ``n``-th derivative of ``zeta`` in s, by the sum of Euler and Maclaurin differentiated term by term."""
    good = (s > 1) & (q > 0)
    s, q = xp.where(good, s, 2.0 + s * 0.0), xp.where(good, q, 1.0 + q * 0.0)
    total = xp.zeros_like(s + q)
    for k in range(12):
        total = total + _falling(xp, n, s, q + k)
    w = q + 12
    log = xp.log(w)
    tail = xp.exp((1 - s) * log)
    total = total + 0.5 * _falling(xp, n, s, w)
    for m in range(n + 1):  # Leibniz: of w ** (1 - s) times 1 / (s - 1)
        pole = (-1.0) ** m * math.factorial(m) / (s - 1) ** (m + 1)
        total = total + math.comb(n, m) * (-log) ** (n - m) * tail * pole
    for j, number in enumerate(_EULER_MACLAURIN):
        for m in range(n + 1):
            part = polynomial(_rising(2 * j + 1, m), s) * number * math.comb(n, m)
            total = total + part * (-log) ** (n - m) * xp.exp(-(s + 2 * j + 1) * log)
    return xp.where(good, total, xp.full_like(total, math.nan))


def _falling(xp, n, s, w):
    """The ``n``-th derivative of w ** -s in s."""
    power = xp.pow(w, -s)
    return power if n == 0 else (-xp.log(w)) ** n * power


@cache
def _rising(count, m):
    """The ``m``-th derivative of s (s + 1) ... (s + count - 1): its coefficients, the constant first."""
    product = np.polynomial.Polynomial([1.0])
    for i in range(count):
        product = product * np.polynomial.Polynomial([float(i), 1.0])
    derived = product.deriv(m) if m else product
    return tuple(float(v) for v in derived.coef)


def betaln(xp, a, b):
    """log |gamma(a) gamma(b) / gamma(a + b)|, without cancellation where a or b is large."""
    low, high = xp.minimum(a, b), xp.maximum(a, b)
    big = low > 0
    p, q = xp.where(big, low, 1.0 + low * 0.0), xp.where(big, high, 1.0 + high * 0.0)
    rest = stirling(xp, q) - stirling(xp, p + q)
    gammaln = xp.special.gammaln
    by_stirling = gammaln(p) + rest + p * (1 - xp.log(p + q)) - (q - 0.5) * xp.log1p(p / q)
    plain = gammaln(low) + gammaln(high) - gammaln(low + high)
    return xp.where(big & (high > _FAR), by_stirling, plain)


def beta(xp, a, b):
    """gamma(a) gamma(b) / gamma(a + b)."""
    sign = gammasgn(xp, a) * gammasgn(xp, b) * gammasgn(xp, a + b)
    return sign * xp.exp(betaln(xp, a, b))
