"""Inputs of an operation drawn anew: the samples of its row with other numbers, in every layout of memory.

Each is checked three ways: the value against NumPy's, J v against differences of values, and J^T g by
<g, J v> = <J^T g, v>, which over so many random g and v leaves no entry of the Jacobian out.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator

import numpy as np

import zkynet as zk

from .layouts import LAYOUTS
from .numeric import inner
from .points import Point, complex_sample, host, is_input, op_function, own
from .rows import redrawn

COUNT = 25  # so many inputs with something in them, for each row
TRIES = 4 * COUNT
STEP = 1e-3
RTOL = 1e-6


class KinkError(Exception):
    """Differences do not settle: the point lies beside a kink or a jump, and another one is drawn."""


def sampled(row) -> Iterator[tuple[Point, list]]:
    """Points of a row without end, each with its inputs in some layout: samples in turn, layouts in turn.

    Every third round is of complex numbers where the row has them. Empty samples come in the first round alone.
    """
    samples = [s for s in row.samples if Point(row, s).differentiable]
    for n in itertools.count():
        for k, sample in enumerate(samples):
            if n and is_empty(sample):
                continue
            rng = np.random.default_rng(zlib.crc32(f"{row.name} {n} {k}".encode()))
            new = redrawn(sample, rng)
            if row.complex and n % 3 == 2:
                new = complex_sample(new)
            point = Point(row, new, seed=f" {n} {k}")
            layout = LAYOUTS[(n + k) % len(LAYOUTS)]
            yield point, [layout(x) if isinstance(x, np.ndarray) else x for x in point.inputs]


def is_empty(sample) -> bool:
    """Whether nothing is in any of the operands that are differentiated."""
    return all(getattr(x, "size", 1) == 0 for x in sample.operands if is_input(x))


def check(point: Point, inputs, xp) -> None:
    """AssertionError where value, J v or J^T g are wrong on a backend; KinkError where differences cannot tell."""
    truth = point.truth()
    f = op_function(point)
    x = inputs if xp.name == "numpy" else own(xp, inputs)  # a layout is NumPy's own affair
    value, pullback = zk.vjp(f, *x)
    gradients = host(pullback(own(xp, point.g)))
    tangents = host(zk.jvp(f, x, own(xp, point.v))[1])
    what = f"{point.row.name}({point.sample}){point.seed}"
    for y, expected in zip(host(value), truth, strict=True):
        assert y.shape == expected.shape, what
        atol = 1e-9 * largest(expected) + 1e-14  # a residual that is 0 is rounding alone
        np.testing.assert_allclose(y, expected, rtol=RTOL, atol=atol, err_msg=f"value of {what}")
    left, right = inner(point.g, tangents), inner(gradients, point.v)
    size = sum(float(np.sum(np.abs(g * t))) for g, t in zip(point.g, tangents))
    size += sum(float(np.sum(np.abs(c * v))) for c, v in zip(gradients, point.v))
    compare(point, tangents, STEP, what)
    assert abs(left - right) <= 1e-9 * size + 1e-12, f"{what}: <g, J v> = {left}, <J^T g, v> = {right}"


def compare(point, tangents, step, what):
    """J v against differences of NumPy's values, with a second, smaller step where they disagree."""
    wide = slopes(point, step)
    if near(tangents, wide):
        return
    for smaller in (step / 8, step / 64):  # a pole nearby needs a smaller step, and a kink settles at none
        narrow = slopes(point, smaller)
        if near(tangents, narrow):
            return
        settled, wide = near(narrow, wide), narrow
    if not settled:
        raise KinkError(what)
    for t, expected in zip(tangents, narrow, strict=True):
        np.testing.assert_allclose(t, expected, rtol=RTOL, atol=RTOL * largest(expected), err_msg=f"J v of {what}")


def slopes(point, h):
    """The derivative of every output along the point's tangents, by 4-point central differences of step ``h``."""

    def moved(t):
        pairs = zip(point.inputs, point.v, strict=True)
        return point.truth(*[np.asarray(x + t * v) if isinstance(x, np.ndarray) else x + t * v for x, v in pairs])

    ys = [moved(s * h) for s in (-2, -1, 1, 2)]
    return [(8 * (c - b) - (d - a)) / (12 * h) for a, b, c, d in zip(*ys, strict=True)]


def near(found, expected) -> bool:
    """Whether two lists of arrays agree as the derivatives of a row have to."""
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=RTOL, atol=RTOL * largest(b) + 1e-9, equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )


def largest(array) -> float:
    """The largest finite magnitude, 0 where there is none."""
    return float(np.max(np.abs(array), initial=0, where=np.isfinite(array)))
