"""``op.special`` in SciPy alone; what it lacks by the plainest formula. Tests without SciPy are skipped."""

from __future__ import annotations

import numpy as np
import pytest


def _scipy():
    return pytest.importorskip("scipy.special", reason="the special functions are compared with SciPy's")


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_scipy(), name)


def lgamma(x):
    return _scipy().gammaln(x)


def sinpi(x, phase=0):
    return np.sin(np.pi * x + phase * np.pi / 2)


def zeta_derivative(n, s, q):
    """The alternating and the shifted sum do not converge fast enough: a long sum, and its integral as the rest."""
    k = np.arange(200000.0)
    w, total = q + 200000.0, 0.0
    s, q = np.broadcast_arrays(s, q)
    total = np.sum((-np.log(q[..., None] + k)) ** n * (q[..., None] + k) ** -s[..., None], axis=-1)
    log = np.log(w)
    if n == 1:  # the derivatives of w ** (1 - s) / (s - 1) + w ** -s / 2 + s w ** (-s - 1) / 12
        rest = -(log + 1 / (s - 1)) * w ** (1 - s) / (s - 1)
    else:
        rest = (log**2 + 2 * log / (s - 1) + 2 / (s - 1) ** 2) * w ** (1 - s) / (s - 1)
    return total + rest + (-log) ** n * w**-s / 2 + _sixth(n, s, w, log)


def _sixth(n, s, w, log):
    power = w ** (-s - 1) / 12
    return power * (1 - s * log) if n == 1 else power * (s * log**2 - 2 * log)


def rgamma(x):
    return _scipy().rgamma(x)


def multigammaln(a, d):
    flat = [_scipy().multigammaln(float(v), d) for v in np.ravel(a)]
    return np.array(flat).reshape(np.shape(a))


def factorial(n):
    return _scipy().gamma(np.asarray(n) + 1.0)[()]


def comb(n, k):
    return _scipy().binom(n, k)


def kve_order(n, v, x):
    """The integral of t ** n cosh(v t) exp(-x (cosh(t) - 1)), by the trapezoidal rule."""
    t = np.linspace(0, 12, 4001)
    v, x = np.broadcast_arrays(v, x)
    wave = np.cosh if n % 2 == 0 else np.sinh
    f = t**n * wave(v[..., None] * t) * np.exp(-x[..., None] * (np.cosh(t) - 1))
    return (f.sum(-1) - (f[..., 0] + f[..., -1]) / 2) * (t[1] - t[0])


def gammainc_moment(n, a, x, upper=False):
    """In t = x u ** 4 or x + u ** 2 by a fine Gauss-Legendre rule."""
    special = _scipy()
    u, weights = np.polynomial.legendre.leggauss(200)
    u, weights = (u + 1) / 2, weights / 2
    a, x = (np.asarray(z, float)[..., None] for z in np.broadcast_arrays(a, x))
    t, jacobian = (x + 60 * u**2, 120 * u) if upper else (x * u**12, 12 * x * u**11)
    f = (np.log(t) - special.digamma(a)) ** n * np.exp((a - 1) * np.log(t) - t - special.gammaln(a))
    return np.sum(f * jacobian * weights, axis=-1)


def betainc_moment(m, n, a, b, x, upper=False):
    """In t = x u ** 12, or the same from the other end."""
    if upper:
        return betainc_moment(n, m, b, a, 1 - np.asarray(x))
    special = _scipy()
    u, weights = np.polynomial.legendre.leggauss(200)
    u, weights = (u + 1) / 2, weights / 2
    a, b, x = (np.asarray(z, float)[..., None] for z in np.broadcast_arrays(a, b, x))
    t, jacobian = x * u**12, 12 * x * u**11
    mean = special.digamma(a + b)
    f = (np.log(t) - special.digamma(a) + mean) ** m * (np.log1p(-t) - special.digamma(b) + mean) ** n
    f = f * np.exp((a - 1) * np.log(t) + (b - 1) * np.log1p(-t) - special.betaln(a, b))
    return np.sum(f * jacobian * weights, axis=-1)


def stdtr_df(df, t):
    """The integral of the derivative of the density from 0 to t, by Gauss and Legendre."""
    special = _scipy()
    df, t = (np.asarray(z, float)[..., None] for z in np.broadcast_arrays(df, t))
    u, weights = np.polynomial.legendre.leggauss(100)
    s, weights = t * (u + 1) / 2, t * weights / 2
    q = s * s
    density = np.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - (df + 1) / 2 * np.log1p(q / df))
    density = density / np.sqrt(df * np.pi)
    score = special.digamma((df + 1) / 2) - special.digamma(df / 2) - 1 / df - np.log1p(q / df)
    score = 0.5 * (score + (df + 1) * q / (df * (df + q)))
    return np.sum(density * score * weights, axis=-1)


def lambertw(x, k=0):
    return np.real(_scipy().lambertw(x, k))
