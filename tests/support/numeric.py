"""Derivatives by 4-point central differences: what every rule is compared with.

They see nothing but values, and know nothing of the engine. The error of one difference is of order h ** 4.
"""

from __future__ import annotations

import numpy as np

STEP = 2e-3  # two differences divide the rounding error by h ** 2: not much smaller


def slope(phi, h=STEP):
    """The derivative of ``phi``, a function of one number, at 0."""
    return (8 * (phi(h) - phi(-h)) - (phi(2 * h) - phi(-2 * h))) / (12 * h)


def directional(f, xs, vs, h=STEP):
    """The derivative of ``f(*xs)``, one array, along the tangents ``vs``."""
    return slope(lambda t: f(*[x + t * v for x, v in zip(xs, vs)]), h)


def gradient(loss, xs, h=STEP):
    """The gradient of a real ``loss(*xs)``, an array for each x: dL/dRe + i dL/dIm where x is complex."""
    return [_partial(loss, xs, k, h) for k in range(len(xs))]


def _partial(loss, xs, k, h):
    x = np.asarray(xs[k])
    found = np.zeros(x.shape, x.dtype)
    for spot in np.ndindex(*x.shape):
        for unit in (1.0, 1j) if x.dtype.kind == "c" else (1.0,):

            def moved(t, spot=spot, unit=unit):
                y = x.copy()
                y[spot] += t * unit
                return loss(*xs[:k], y, *xs[k + 1 :])

            found[spot] += unit * slope(moved, h)
    return found


def hessian_product(loss, xs, vs, h=STEP):
    """The product of the Hessian of a real ``loss(*xs)`` with ``vs``: the gradient of its derivative along them."""
    return gradient(lambda *points: directional(loss, points, vs, h), xs, h)


def inner(a, b):
    """The real inner product of two lists of arrays: complex numbers count as pairs of real ones."""
    return float(sum(np.sum(np.real(np.conj(x) * y)) for x, y in zip(a, b)))
