"""Ordinary differential equations by an adaptive Runge-Kutta method, differentiable to every order.

The adjoint is the discrete one: each accepted step is checkpointed, so what is kept is the state at each step, and the
backward pass repeats the steps one by one. It gives the exact derivative of the numbers that came out. The continuous
adjoint keeps less, but integrates the state backwards, where a decaying solution explodes; its gradient is then wrong
without a sign. Step sizes are chosen by looking at values and carry no derivative.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from zkynet import backends
from zkynet.backends.errors import ConvergenceError, ShapeError
from zkynet.framework import op
from zkynet.framework.custom import checkpoint, no_grad
from zkynet.framework.record import HOST, Tensor, kind_of, tensor_of, value_of

from .roots import float_of

# Dormand and Prince (1980), RK5(4)7M: fifth order, with an embedded fourth-order result that tells the error. The last
# stage is the slope at the end of the step, and so the first one of the next step.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
TIMES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
ERRORS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_SAFETY, _LEAST, _MOST = 0.9, 0.2, 5.0  # how the next step size follows from the error of this one
_NEGLIGIBLE = 1e-13  # of an interval: what rounding leaves of it at its end


class Tolerances(NamedTuple):
    """How exact a step has to be, and how many may be tried."""

    rtol: float
    atol: float
    max_steps: int


class Solution(NamedTuple):
    """What ``solve_ivp`` gives: the times (n,), and the states there (..., n)."""

    t: Any
    y: Any


def odeint(func: Callable, y0, t, *args, rtol=None, atol=None, max_steps=10_000, first_step=None) -> Tensor:
    """The solution of dy/dt = ``func(y, t, *args)`` with y = ``y0`` at ``t[0]``, at the times t: (len(t), *y0.shape).

    t increases or decreases. Dormand-Prince steps whose error is estimated to stay below ``atol + rtol * |y|``, in the
    root mean square over y (1e-9 and 1e-7 by default, in single precision 1e-7 and 1e-5); not for stiff equations,
    which end in a ConvergenceError, an ArithmeticError. Derivatives of every order with respect to y0, t, args and
    what func reads from outside are those of the steps taken; memory grows with the number of steps, not of stages.
    ``max_steps`` counts trials from one time to the next, ``first_step`` is the size of the first one. Complex y are
    allowed.
    """
    y, t = _floating(y0), _times(t, _floating(y0))
    times = [float(v) for v in backends.backend_of(value_of(t)).to_numpy(value_of(t))]
    single = float(op.finfo(op.real(y).dtype).eps) > 1e-10
    rtol = (1e-5 if single else 1e-7) if rtol is None else rtol
    atol = (1e-7 if single else 1e-9) if atol is None else atol
    limits = Tolerances(rtol, atol, max_steps)

    def slope_at(y, time):
        return _slope(func, y, time, args)

    step = checkpoint(lambda y, slope, start, h: _step(slope_at, y, slope, start, h))
    slope = slope_at(y, t[0])
    size = _first_size(slope_at, y, slope, t[0], limits) if first_step is None else abs(first_step)
    found = [y]
    for i, (start, stop) in enumerate(zip(times[:-1], times[1:], strict=True)):
        if start != stop:
            y, slope, size = _interval(step, y, slope, t[i], t[i + 1], size, limits)
        found.append(y)
    return op.stack(found)


def solve_ivp(fun: Callable, t_span, y0, *, t_eval=None, args=(), **settings) -> Solution:
    """``odeint`` with SciPy's order of arguments: ``fun(t, y, *args)``; gives ``(t, y)``, y of shape (*y0.shape, n).

    ``t_span`` is (start, end), ``t_eval`` the times to give, by default both ends. The settings are odeint's.
    """
    first, last = (op.asarray(v) for v in t_span)
    ends = op.stack([op.astype(first, "float64"), op.astype(last, "float64")])
    if t_eval is None:
        y = odeint(lambda y, t: fun(t, y, *args), y0, ends, **settings)
        return Solution(ends, op.moveaxis(y, 0, -1))
    t = op.concat([ends[:1], op.astype(op.asarray(t_eval), "float64")])
    if not _within(t, ends):
        raise ValueError("solve_ivp: the times t_eval must lie within t_span, in its direction")
    y = odeint(lambda y, t: fun(t, y, *args), y0, t, **settings)
    return Solution(t[1:], op.moveaxis(y[1:], 0, -1))


def _within(t, ends) -> bool:
    low, high = sorted((float_of(ends[0]), float_of(ends[1])))
    return low <= float_of(op.min(t)) and float_of(op.max(t)) <= high


def _floating(y0) -> Tensor:
    y = op.asarray(y0)
    if backends.backend_of(value_of(y)).is_traced(value_of(y)):
        raise TypeError(
            "odeint chooses its steps by looking at values; inside a compiled function there are none.\n"
            "Call it outside, or compile the function that it integrates."
        )
    return op.astype(y, "float64") if kind_of(y) in ("bool", "integer") else y


def _times(t, y) -> Tensor:
    """The times as a Tensor in y's precision, in y's backend."""
    t = op.asarray(t)
    if len(t.shape) != 1 or t.shape[0] < 1:
        raise ShapeError(f"odeint: the times must be a sequence, got shape {t.shape}")
    t = op.astype(t, op.real(y).dtype if kind_of(t) != "complex" else t.dtype)
    xp = backends.backend_of(value_of(t))
    steps = xp.to_numpy(value_of(t))
    if kind_of(t) == "complex" or not all((a <= b) == (steps[0] <= steps[-1]) or a == b for a, b in _pairs(steps)):
        raise ValueError("odeint: the times must be real, and increase or decrease throughout")
    return t


def _pairs(items):
    return zip(items[:-1], items[1:], strict=True)


def _slope(func, y, time, args) -> Tensor:
    slope = op.asarray(func(y, time, *args))
    if slope.shape != y.shape:
        raise ShapeError(
            "odeint: the slope must have the shape of the state.\n"
            f"  got:      {slope.shape}\n  expected: {y.shape}, the shape of y0"
        )
    if kind_of(slope) == "complex" and kind_of(y) != "complex":
        raise TypeError("odeint: the slope is complex, but y0 is real; make y0 complex")
    return slope if slope.dtype == y.dtype else op.astype(slope, y.dtype)


def _step(slope_at, y, slope, start, h):
    """One step of size h: the state and the slope at its end, and an estimate of the error."""
    slopes = [slope]
    for part, weights in zip(TIMES, STAGES, strict=True):
        at = op.add(y, op.multiply(h, _weighted(slopes, weights)))
        slopes.append(slope_at(at, op.add(start, op.multiply(part, h))))
    return at, slopes[-1], op.multiply(h, _weighted(slopes, ERRORS))


def _weighted(slopes, weights) -> Tensor:
    total = op.multiply(weights[0], slopes[0])
    for slope, weight in zip(slopes[1:], weights[1:], strict=True):
        if weight:
            total = op.add(total, op.multiply(weight, slope))
    return total


def _interval(step, y, slope, start, stop, size, limits):
    """From one time to the next: the state and the slope there, and the step size for what follows."""
    length = op.subtract(stop, start)
    span, done = float_of(length), 0.0  # ``done``: the part of the interval that lies behind
    sign = 1.0 if span > 0 else -1.0
    for _ in range(limits.max_steps):
        part = min(size / abs(span), 1.0 - done)
        h = op.multiply(part, length)
        with HOST.errstate():  # a step that is too long may overflow; it is not taken
            new, new_slope, error = step(y, slope, op.add(start, op.multiply(done, length)), h)
        ratio = _ratio(error, y, new, limits)
        factor = min(_MOST, max(_LEAST, _SAFETY * ratio**-0.2)) if 0 < ratio < float("inf") else _MOST
        if not ratio <= 1:
            size = part * abs(span) * (min(factor, 1.0) if ratio < float("inf") else 0.1)
            _check_size(size, span, done, start)
            continue
        y, slope, done = new, new_slope, done + part
        # A step that the end of the interval cut short says nothing against a larger one.
        size = max(size, part * abs(span) * factor) if factor >= 1 else part * abs(span) * factor
        if 1.0 - done <= _NEGLIGIBLE:
            return y, slope, size
    raise ConvergenceError(
        f"odeint: {limits.max_steps} steps did not reach t = {float_of(stop):.6g}.\n"
        f"  got to:   t = {float_of(start) + done * span:.6g}, with steps of {sign * size:.3g}\n"
        "The equation may be stiff; allow more max_steps, or raise rtol and atol."
    )


def _ratio(error, y, new, limits) -> float:
    """The root mean square of the error in units of what is allowed; infinity where it is not finite."""
    error, y, new = (tensor_of(value_of(v)) for v in (error, y, new))
    if 0 in error.shape:
        return 0.0
    scale = op.add(limits.atol, op.multiply(limits.rtol, op.maximum(op.abs(y), op.abs(new))))
    with backends.backend_of(value_of(error)).errstate():
        ratio = float_of(op.sqrt(op.mean(op.square(op.divide(op.abs(error), scale)))))
    return ratio if ratio == ratio else float("inf")


def _check_size(size, span, done, start):
    here = float_of(start) + done * span
    if size < 1e-14 * max(abs(here), abs(span)):
        raise ConvergenceError(
            f"odeint: at t = {here:.6g} the step size fell to {size:.3g}.\n"
            "The solution may be singular there, the slope not finite, or rtol and atol too small for the precision."
        )


def _first_size(slope_at, y, slope, start, limits) -> float:
    """A first step size, by Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, section II.4."""
    with no_grad():
        y, slope, start = (tensor_of(value_of(v)) for v in (y, slope, start))
        d0, d1 = _ratio(y, y, y, limits), _ratio(slope, y, y, limits)
        h = 0.01 * d0 / d1 if d0 > 1e-5 and 1e-5 < d1 < float("inf") else 1e-6
        moved = slope_at(op.add(y, op.multiply(h, slope)), op.add(start, h))
        d2 = _ratio(op.subtract(moved, slope), y, y, limits) / h
        if not d2 < float("inf"):
            return h
        return min(100 * h, max(1e-6, 1e-3 * h) if max(d1, d2) <= 1e-15 else (0.01 / max(d1, d2)) ** 0.2)
