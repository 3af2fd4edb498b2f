"""Case table: activations."""

from __future__ import annotations

import math

import numpy as np

from zkynet.backends.errors import AxisError, ShapeError
from zkynet.framework.operations.random import Generator

from .cases_elementwise import TEXT
from .cases_elementwise_curves import curve, within
from .rows import Bad, Row, Special, apart, draw

inf, nan = np.inf, np.nan
A = np.array
ENDS = A([inf, -inf])
TAIL = math.exp(-40.0)


def ends(value=(inf, 0.0)):
    """At infinities the limits: the cotangent on the right, 0 on the left."""
    return Special((ENDS,), A([2.0, 3.0]), (A([2.0, 0]),), value=A(value), why="limits")


def beyond(rng, shape, k=0):
    """Numbers not close to a kink: 0, 0.5, 1, 3 and 6, or less these."""
    return apart(rng, shape) * 4 + 0.15


def kinked(name, at, gradient, *more, samples=(), **keywords) -> Row:
    """An activation of pieces: its ``gradient`` on the kinks ``at``, beneath a cotangent of 2."""
    point = Special((A(at, float),), A([2.0] * len(at)), (2 * A(gradient, float),), why="kinks")
    shapes = ((3, 2), (), (0,), 0.7)
    return Row(
        name,
        (*(draw(name, s, numbers=beyond) for s in shapes), *samples),
        specials=(point, *more),
        errors=(TEXT,),
        domain=beyond.__doc__,
        **keywords,
    )


def select_inf(*points):
    """Infinite and NaN cotangents where nothing may pass."""
    return Special((A(points),), A([inf, nan][: len(points)]), (A([0.0, 0][: len(points)]),), why="select")


PIECES = (
    kinked("relu6", [0.0, 6, -1, 7, 3], [0, 0, 0, 0, 1], select_inf(-1.0, 7.0)),
    kinked(
        "clipped_relu",
        [0.0, 20, -1, 21, 3],
        [0, 0, 0, 0, 1],
        Special((A([nan, 25.0]),), A([1.0, 1.0]), (A([0.0, 0]),), value=A([nan, 20])),
        samples=(draw("clipped_relu", (3,), numbers=beyond, top=2.5),),
    ),
    kinked(
        "leaky_relu",
        [-1.0, 0, 2],
        [0.01, 0.01, 1],
        samples=(draw("leaky_relu", (3,), negative_slope=0.3),),
    ),
    Row(
        "prelu",
        (
            draw("prelu", (2, 3, 2), (3,)),
            draw("prelu", (2, 3), (3,)),
            draw("prelu", (3,), (3,)),
            draw("prelu", (2, 3), ()),
            draw("prelu", (0, 3), (3,)),
            draw("prelu", (3,), 0.3),
            draw("prelu", -0.7, 0.3),
        ),
        specials=(Special((A([0.0, -2.0]), A([0.5, 0.5])), A([1.0, 1.0]), (A([0.5, 0.5]), A([0.0, -2]))),),
        errors=(Bad((np.ones((2, 3)), np.ones(2)), ShapeError, "(2,)"),),
    ),
    Row(
        "rrelu",
        (
            draw("rrelu", (3, 2), random=True),
            draw("rrelu", (3, 2), random=True, lower=0.2, upper=0.3),
            draw("rrelu", (0, 2), random=True),
            draw("rrelu", (3,)),
            draw("rrelu", -0.7),
            draw("rrelu", -0.7, random=True),
        ),
        run=lambda xp, x, random=False, **s: xp.rrelu(x, generator=Generator((7, 3)) if random else None, **s),
        errors=(Bad((np.ones(3),), ValueError, "0.5", {"lower": 0.5, "upper": 0.25}),),
        integers=False,
    ),
    Row(
        "crelu",
        (draw("crelu", (2, 3)), draw("crelu", (3,), axis=0), draw("crelu", (2, 0)), draw("crelu", (2, 3), axis=-2)),
        weak=False,
        errors=(Bad((np.ones(3),), AxisError, "axis 1"),),
    ),
    kinked(
        "elu",
        [-1.0, 0, 2],
        [math.exp(-1), 1, 1],
        Special((A([1000.0, -40.0]),), A([2.0, 1.0]), (A([2, TAIL]),), value=A([1000.0, -1]), why="far out"),
        samples=(draw("elu", (3,), alpha=0.5),),
    ),
    kinked(
        "celu",
        [-1.0, 0, 2],
        [math.exp(-1), 1, 1],
        Special((A([1000.0, -80.0]),), A([2.0, 1.0]), (A([2, TAIL]),), {"alpha": 2.0}, value=A([1000.0, -2])),
        samples=(draw("celu", (3,), alpha=0.5),),
    ),
    kinked("selu", [0.0, 2], [1.7580993408473766, 1.0507009873554805]),
    kinked("hard_tanh", [-1.0, 1, 0, 2, -2], [1, 1, 1, 0, 0], samples=(draw("hard_tanh", (3,), low=-0.3, high=0.3),)),
    kinked("hard_sigmoid", [-3.0, 3, 0, 4], [0, 0, 1 / 6, 0]),
    kinked("hard_swish", [-3.0, 3, 0, -inf, inf], [0, 1, 0.5, 0, 1]),
    Row(
        "threshold",
        (
            draw("threshold", (3, 2), threshold=0.1, value=-2.0),
            draw("threshold", (), threshold=0.1, value=-2.0),
            draw("threshold", (0,), threshold=0.1, value=-2.0),
            draw("threshold", 0.7, threshold=0.1, value=-2.0),
        ),
        specials=(
            Special(
                (A([0.5, 1.0]),), A([inf, 2.0]), (A([0.0, 2]),), {"threshold": 0.5, "value": 3.0}, value=A([3.0, 1])
            ),
        ),
    ),
    kinked("hardshrink", [-0.5, 0.5, 0, 0.6], [0, 0, 0, 1], select_inf(0.1, -0.5)),
    kinked(
        "softshrink",
        [-0.5, 0.5, 0, 0.6],
        [0, 0, 0, 1],
        select_inf(0.1, -0.5),
        samples=(draw("softshrink", (3,), lambd=0.2),),
    ),
    curve("tanhshrink"),
    Row(
        "maxout",
        (
            draw("maxout", (2, 4), pool_size=2),
            draw("maxout", (2, 6, 2), pool_size=3),
            draw("maxout", (4,), pool_size=4, axis=0),
            draw("maxout", (0, 4), pool_size=4),
        ),
        weak=False,
        specials=(Special((A([[1.0, 1.0]]),), A([[2.0]]), (A([[1.0, 1]]),), {"pool_size": 2}, why="tie"),),
        errors=(
            Bad((np.ones((2, 5)),), ShapeError, "(2, 5)", {"pool_size": 2}),
            Bad((np.ones(4),), AxisError, "axis 1", {"pool_size": 2}),
        ),
    ),
)

SMOOTH = (
    curve("silu", specials=(ends(), Special((A([-40.0]),), A([1.0]), (A([-39 * TAIL]),), value=A([-40 * TAIL])))),
    Row(
        "swish",
        (draw("swish", (3, 2)), draw("swish", (3, 2), (2,)), draw("swish", (0,)), draw("swish", 0.7, 1.3)),
        errors=(Bad((np.ones(4), np.ones(3)), ShapeError, "(3,), (4,)"),),
        specials=(Special((A([2.0]), A([0.0])), A([1.0]), (A([0.5]), A([1.0])), value=A([1.0])),),
    ),
    curve("mish", specials=(ends(), Special((A([-40.0]),), A([1.0]), (A([-39 * TAIL]),), value=A([-40 * TAIL])))),
    Row(
        "gelu",
        (
            *(draw("gelu", s) for s in ((3, 2), (), (0,), 0.7)),
            draw("gelu", (3, 2), approximate=True),
            draw("gelu", 0.7, approximate="tanh"),
        ),
        specials=(
            ends(),
            Special((ENDS,), A([2.0, 3.0]), (A([2.0, 0]),), {"approximate": True}, value=A([inf, 0]), why="limits"),
            Special(
                (A([-10.0, 0.0]),),
                A([1.0, 1.0]),
                (A([-7.617917025195542e-22, 0.5]),),
                value=A([-7.619853024160495e-23, 0]),
                why="no premature 0",
            ),
            Special((A([-1e200, 1e200]),), A([1.0, 1.0]), (A([0.0, 1]),), {"approximate": True}, value=A([0, 1e200])),
        ),
        errors=(TEXT, Bad((np.ones(2),), ValueError, "'fast'", {"approximate": "fast"})),
    ),
    Row(
        "squareplus",
        (*(draw("squareplus", s) for s in ((3, 2), (), (0,), 0.7)), draw("squareplus", (3, 2), b=0.5)),
        specials=(
            Special((A([-1e8, 1e200, -1e200]),), A([1.0] * 3), (A([1e-16, 1, 0]),), value=A([1e-8, 1e200, 1e-200])),
            Special((A([0.0, 2.0]),), A([1.0, 1.0]), (A([0.0, 1]),), {"b": 0.0}, value=A([0.0, 2]), why="kink"),
            ends(),
        ),
        errors=(TEXT, Bad((np.ones(2),), ValueError, "-1.0", {"b": -1.0})),
    ),
    curve(
        "soft_sign",
        specials=(
            Special((A([1e10, -1e200, 0.0]),), A([1e20, 1.0, 2.0]), (A([1 / (1 + 1e-10) ** 2, 0, 2]),)),
            Special((ENDS,), A([1.0, 1.0]), (A([0.0, 0]),), value=A([1.0, -1])),
        ),
    ),
    Row(
        "softmin",
        (draw("softmin", (2, 3)), draw("softmin", (3, 2), axis=0), draw("softmin", (2, 0))),
        weak=False,
        errors=(Bad((np.ones(3),), AxisError, "axis 1", {"axis": 1}),),
        specials=(Special((A([1000.0, 1000.0]),), A([1.0, 0.0]), (A([-0.25, 0.25]),), value=A([0.5, 0.5])),),
    ),
    Row(
        "sparsemax",
        (
            draw("sparsemax", (2, 3), numbers=within),
            draw("sparsemax", (4,), numbers=within),
            draw("sparsemax", (3, 2), numbers=within, axis=0),
            draw("sparsemax", (2, 0)),
        ),
        weak=False,
        errors=(Bad((np.ones(3),), AxisError, "axis 1", {"axis": 1}),),
        specials=(
            Special((A([2.0, 0.5, -1.0]),), A([inf, 3.0, nan]), (None,), value=A([1.0, 0, 0])),
            Special(
                (A([0.6, 0.4, -1.0]),), A([3.0, 1.0, inf]), (A([1.0, -1, 0]),), value=A([0.6, 0.4, 0]), why="select"
            ),
            Special((A([1e10, 0.0]),), A([1.0, 2.0]), (A([0.0, 0]),), value=A([1.0, 0])),
            Special((A([0.0, -inf]),), A([1.0, 2.0]), (A([0.0, 0]),), value=A([1.0, 0])),
        ),
    ),
    *[
        Row(
            name,
            (draw(name, (3, 4)), draw(name, (2, 3), axis=0), draw(name, (3, 0)), *more),
            weak=False,
            errors=(
                Bad((np.ones((2, 3)),), ShapeError, "(2, 3)"),
                Bad((np.ones(4),), AxisError, "axis 1", {"axis": 1}),
            ),
        )
        for name, more in (("glu", ()), ("swiglu", ()), ("geglu", (draw("geglu", (4,), approximate=True),)))
    ],
)

ROWS = (*PIECES, *SMOOTH)
