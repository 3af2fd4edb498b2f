"""Integrals over an interval, differentiable at both ends and under the integral sign."""

import math
from collections.abc import Callable

import numpy as np

from zkynet import backends
from zkynet.backends.errors import ConvergenceError, ShapeError
from zkynet.framework import op
from zkynet.framework.custom import no_grad
from zkynet.framework.operations.signal import constant
from zkynet.framework.record import Tensor, kind_of, shape_of, value_of

from .roots import float_of, largest

# Gauss-Kronrod rule of 7 and 15 points on -1 .. 1 (QUADPACK, qk15): places and weights of one half, the middle last.
_PLACES = (
    *(0.991455371120812639206854697526329, 0.949107912342758524526189684047851, 0.864864423359769072789712788640926),
    *(0.741531185599394439863864773280788, 0.586087235467691130294144691258380, 0.405845151377397166906606412076961),
    *(0.207784955007898467600689403773245, 0.0),
)
_KRONROD = (
    *(0.022935322010529224963732008058970, 0.063092092629978553290700663189204, 0.104790010322250183839876322541518),
    *(0.140653259715525918745189590510238, 0.169004726639267902826583426598550, 0.190350578064785409913256402421014),
    *(0.204432940075298892414161999234649, 0.209482141084727828012999174891714),
)
_GAUSS = (
    *(0.0, 0.129484966168869693270611432679082, 0.0, 0.279705391489276667901467771423780, 0.0),
    *(0.381830050505118944950369775488975, 0.0, 0.417959183673469387755102040816327),
)


def _mirrored(half, sign):
    return np.array([*half, *(sign * v for v in half[-2::-1])])


PLACES, KRONROD, GAUSS = _mirrored(_PLACES, -1.0), _mirrored(_KRONROD, 1.0), _mirrored(_GAUSS, 1.0)
_MOST_INTERVALS = 1 << 12


def fixed_quad(f: Callable, a, b, *args, n=5) -> Tensor:
    """The integral of ``f(x, *args)`` from a to b by Gauss-Legendre quadrature with n points: exact up to x**(2n - 1).

    f takes a 1-D array of x and gives the values along its last axis, for any number of functions at once. Derivatives
    of every order with respect to a, b, args and what f reads are those of the sum.
    """
    if n < 1:
        raise ValueError(f"fixed_quad: n must be at least 1, got {n}")
    places, weights = np.polynomial.legendre.leggauss(n)
    return _total(f, _ends(a, b, "fixed_quad"), (places + 1) / 2, weights / 2, args)


def quad(f: Callable, a, b, *args, rtol=1e-9, atol=1e-12) -> Tensor:
    """The integral of ``f(x, *args)`` from a to b, either of them a number, a 0-d array or infinite.

    Intervals are halved until Gauss and Kronrod's rules of 7 and 15 points agree to ``max(atol, rtol * |integral|)``,
    for each of the functions that f gives along leading axes; f takes a 1-D array of x. Derivatives of every order, at
    the ends (Leibniz) and under the integral, are those of the final sum: as exact as that is for the derivative of f.
    Raises ConvergenceError, an ArithmeticError, where thousands of intervals do not suffice.
    """
    f, a, b = _on_finite(f, a, b)
    ends = _ends(a, b, "quad")
    with no_grad():
        intervals = _chosen(f, tuple(op.stop_gradient(end) for end in ends), args, rtol, atol)
    places, weights = _rule(intervals, KRONROD)
    return _total(f, ends, places, weights, args)


def _ends(a, b, who):
    ends = op.asarray(a), op.asarray(b)
    if any(end.shape != () for end in ends):
        raise ShapeError(f"{who}: the ends must be numbers, got shapes {ends[0].shape} and {ends[1].shape}")
    return tuple(op.astype(end, "float64") if kind_of(end) in ("bool", "integer") else end for end in ends)


def _total(f, ends, places, weights, args) -> Tensor:
    """The sum of f at ``places`` (parts of the interval, 0 to 1) times ``weights``, times the interval's length."""
    a, b = ends
    length = op.subtract(b, a)
    x = op.add(a, op.multiply(length, constant(places, length)))
    y = f(x, *args)
    return op.multiply(length, op.sum(op.multiply(y, constant(weights, length)), axis=-1))


def _rule(intervals, weights):
    """Places and weights of a rule on each of the ``intervals``, an array of (start, stop)."""
    start, width = intervals[:, :1], intervals[:, 1:] - intervals[:, :1]
    return (start + width * (PLACES + 1) / 2).reshape(-1), (width * weights / 2).reshape(-1)


def _chosen(f, ends, args, rtol, atol):
    """The intervals, parts of 0 .. 1, on which the two rules agree."""
    done: list = []
    waiting = np.array([[0.0, 1.0]])
    settled, error_settled = 0.0, 0.0
    while True:
        places, kronrod = _rule(waiting, KRONROD)
        _, gauss = _rule(waiting, GAUSS)
        values = _values(f, ends, args, places)
        shape = (*values.shape[:-1], len(waiting), len(PLACES))
        fine = np.sum((values * kronrod).reshape(shape), axis=-1)
        error = np.abs(fine - np.sum((values * gauss).reshape(shape), axis=-1))
        whole = settled + np.sum(fine, axis=-1)
        allowed = np.maximum(atol, rtol * np.abs(whole))
        if np.all(error_settled + np.sum(error, axis=-1) <= allowed):
            return np.concatenate([*done, waiting])
        width = waiting[:, 1] - waiting[:, 0]
        bad = error > 0.5 * allowed[..., None] * width
        bad = np.any(bad.reshape(-1, len(waiting)), axis=0)
        if not bad.any():
            bad[:] = True
        done.append(waiting[~bad])
        settled = settled + np.sum(fine[..., ~bad], axis=-1)
        error_settled = error_settled + np.sum(error[..., ~bad], axis=-1)
        left, right = waiting[bad, 0], waiting[bad, 1]
        middle = (left + right) / 2
        waiting = np.concatenate([np.stack([left, middle], -1), np.stack([middle, right], -1)])
        if len(waiting) > _MOST_INTERVALS or np.min(right - left) < 1e-15 or not np.all(np.isfinite(whole)):
            raise ConvergenceError(
                f"quad: not converged with {len(waiting)} intervals.\n"
                f"  got:      an estimated error of {np.max(error_settled + np.sum(error, axis=-1)):.3g}\n"
                f"  expected: at most {np.min(allowed):.3g}\n"
                "The integrand may be singular or not integrable; split the interval there, or raise rtol and atol."
            )


def _values(f, ends, args, places):
    """f at the places times the interval's length, as a host array in double precision."""
    a, b = ends
    length = op.subtract(b, a)
    y = op.multiply(length, f(op.add(a, op.multiply(length, constant(places, length))), *args))
    largest(y)  # refuses values that are not there yet, in a compiled function
    host = backends.backend_of(value_of(y)).to_numpy(value_of(y))
    return np.broadcast_to(host, (*host.shape[:-1], len(places)))


def _on_finite(f, a, b):
    """The integrand and its ends with infinite ones moved: x = a + u / (1 - u), or u / (1 - u**2) for both."""
    low, high = (_infinite(end) for end in (a, b))
    if not low and not high:
        return f, a, b
    if low and high:
        if low == high:
            raise ValueError("quad: both ends are the same infinity")

        def both(u, *args):
            room = op.subtract(1.0, op.square(u))
            return op.multiply(f(op.divide(u, room), *args), op.divide(op.add(1.0, op.square(u)), op.square(room)))

        return both, -1.0 * high, 1.0 * high
    end, direction = (a, high) if high else (b, low)

    def half(u, *args):
        room = op.subtract(1.0, u)
        x = op.add(end, op.multiply(float(direction), op.divide(u, room)))
        return op.multiply(f(x, *args), op.divide(float(direction), op.square(room)))

    return (half, 0.0, 1.0) if high else (half, 1.0, 0.0)


def _infinite(end) -> int:
    """1 or -1 for an infinite end, 0 for another."""
    value = float_of(end) if shape_of(end) == () else 0.0
    return int(math.copysign(1, value)) if math.isinf(value) else 0
