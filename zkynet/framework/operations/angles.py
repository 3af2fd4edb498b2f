"""Angles: degrees and radians, and whole turns."""

import math

from ..axes import normalize_axis
from ..record import Tensor, kind_of, shape_of
from .control import stop_gradient
from .cumulative import diff
from .elementwise import abs, add, multiply, where
from .reduction import cumulative_sum
from .rounding import floor
from .shape import concat


def deg2rad(x) -> Tensor:
    """Degrees as radians."""
    return multiply(x, math.pi / 180)


def rad2deg(x) -> Tensor:
    """Radians as degrees."""
    return multiply(x, 180 / math.pi)


def unwrap(x, discont=None, axis=-1, *, period=2 * math.pi) -> Tensor:
    """Angles along ``axis`` with whole periods added, so that no step is longer than half a period.

    A step shorter than ``discont`` (at least half a period, which is the default) is left alone. The gradient is the
    cotangent itself: what is added is piecewise constant. Integer arrays are computed as floating point.
    """
    shape = shape_of(x)
    axis = normalize_axis(axis, len(shape), "unwrap")
    if kind_of(x) == "complex":
        raise TypeError("unwrap: angles are real; take op.angle of complex numbers first")
    x = add(x, 0.0)
    if shape[axis] < 2:
        return x
    step, half = diff(stop_gradient(x), axis=axis), period / 2
    turns = floor((step + half) / period)
    rest = step - turns * period  # in -half .. half
    turns = where((rest <= -half) & (step > 0), turns - 1.0, turns)  # a step up by half a period stays one
    if discont is not None:
        turns = where(abs(step) < discont, 0.0, turns)
    added = cumulative_sum(turns, axis=axis) * -period
    tail = (slice(None),) * (-axis - 1)
    return concat([x[(Ellipsis, slice(0, 1), *tail)], x[(Ellipsis, slice(1, None), *tail)] + added], axis=axis)
