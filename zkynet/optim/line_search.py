"""A step length along a line that fulfils the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DECREASE, CURVATURE = 1e-4, 0.9


@dataclass(eq=False)
class Point:
    """A point of the line: its distance ``t``, the function's value (infinity for NaN) and slope, and its gradient."""

    t: float
    value: float
    slope: float
    gradient: Any


Evaluate = Callable[[float], Point]


def strong_wolfe(evaluate: Evaluate, start: Point, t: float, length: float, change: float, most: int) -> Point:
    """A point with f(t) <= f(0) + 1e-4 t f'(0) and |f'(t)| <= 0.9 |f'(0)|; the best one found where tries run out.

    ``t`` is the first trial, ``most`` the number of trials behind it. ``length`` is the largest entry of the direction:
    intervals shorter than ``change`` along every axis end the search. Bracketing, then zooming with cubic
    interpolation: Nocedal and Wright, "Numerical optimization", 2006, algorithms 3.5 and 3.6, with the safeguards of
    Schmidt's minFunc; the search that PyTorch has too.
    """
    low, high, tries = _bracket(evaluate, start, t, most)
    if low is high:
        return low
    close = False  # whether the last trial was near an end of the interval
    while tries < most and abs(high.t - low.t) * length >= change:
        t, close = _trial(low, high, close)
        new, tries = evaluate(t), tries + 1
        if _is_too_high(new, start) or new.value >= low.value:
            low, high = (low, new) if low.value <= new.value else (new, low)
        elif _is_flat(new, start):
            return new
        else:
            low, high = new, low if new.slope * (high.t - low.t) >= 0 else high
    return low


def _bracket(evaluate: Evaluate, start: Point, t: float, most: int) -> tuple[Point, Point, int]:
    """The ends of an interval that holds a point with the conditions, the lower one first; twice that point itself
    where it is met. And the number of trials behind the first one."""
    before, new, tries = start, evaluate(t), 0
    while tries < most:
        if _is_too_high(new, start) or (tries > 1 and new.value >= before.value):
            break
        if _is_flat(new, start):
            return new, new, tries
        if new.slope >= 0:
            break
        t = cubic_minimum(before, new, new.t + 0.01 * (new.t - before.t), 10 * new.t)
        before, new, tries = new, evaluate(t), tries + 1
    else:
        before = start
    return (before, new, tries) if before.value <= new.value else (new, before, tries)


def _trial(low: Point, high: Point, close: bool) -> tuple[float, bool]:
    """The next distance, moved inwards where two in a row are near an end; and whether it is near one."""
    left, right = sorted((low.t, high.t))
    t, margin = cubic_minimum(low, high, left, right), 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not close and left < t < right:
        return t, True
    return (right - margin if right - t < t - left else left + margin), False


def _is_too_high(new: Point, start: Point) -> bool:
    return new.value > start.value + DECREASE * new.t * start.slope


def _is_flat(new: Point, start: Point) -> bool:
    return abs(new.slope) <= -CURVATURE * start.slope


def cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two points, with their slopes, has its minimum, kept within ``least`` ... ``most``.

    The middle of these where it has none.
    """
    if a.t > b.t:
        a, b = b, a
    bend = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t) if a.t < b.t else math.nan
    square = bend * bend - a.slope * b.slope
    if square >= 0 and math.isfinite(square):
        root = math.sqrt(square)
        bottom = b.slope - a.slope + 2 * root
        if bottom:
            return min(max(b.t - (b.t - a.t) * ((b.slope + root - bend) / bottom), least), most)
    return (least + most) / 2
