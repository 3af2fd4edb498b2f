"""Case table: exponentials and logarithms, trigonometric and hyperbolic functions, angles, log space."""

from __future__ import annotations

import math

import numpy as np

from zkynet.backends.errors import AxisError, ShapeError

from .cases_elementwise import MISFIT, TEXT
from .rows import Bad, Row, Sample, Special, apart, draw, nonzero, positive

inf, nan = np.inf, np.nan
A = np.array
PAIRS = (
    *(((3, 1), (2,)), ((2,), (3, 2)), ((3, 2), (3, 2)), ((), (3,)), ((3,), ()), ((0, 3), (3,))),
    *(((3,), 0.7), (0.7, (3,)), (0.7, 1.3)),
)


def within(rng, shape, k=0):
    """From -0.8 to 0.8."""
    return rng.uniform(-0.8, 0.8, shape)


def above_one(rng, shape, k=0):
    """From 1.2 to 2.5."""
    return rng.uniform(1.2, 2.5, shape)


def share(rng, shape, k=0):
    """From 0.2 to 0.8."""
    return rng.uniform(0.2, 0.8, shape)


def curve(name, numbers=apart, number=0.7, **keywords) -> Row:
    """A function of one array; ``number`` is a Python number of its domain."""
    keywords.setdefault("domain", numbers.__doc__)
    keywords.setdefault("errors", (TEXT,))
    return Row(name, tuple(draw(name, s, numbers=numbers) for s in ((3, 2), (), (0,), number)), **keywords)


def pair(name, numbers=apart, **keywords) -> Row:
    """A function of two arrays that broadcast."""
    keywords.setdefault("errors", (MISFIT,))
    return Row(name, tuple(draw(name, *s, numbers=numbers) for s in PAIRS), **keywords)


def log_ends(slope):
    """A logarithm at 0, beneath a cotangent of 0 and of 1, and its ``slope`` at 1."""
    return (Special((A([0.0, 0.0, 1.0]),), A([0.0, 1.0, 1.0]), (A([0, inf, slope]),)),)


EXPONENTIALS = (
    curve(
        "exp2",
        complex=True,
        specials=(
            Special((A([3.0, -2.0]),), A([0.0, 1.0]), (A([0, math.log(2) / 4]),), value=A([8.0, 0.25])),
            Special((A([2000.0, -2000.0]),), A([0.0, 1.0]), (A([0.0, 0]),)),
        ),
    ),
    curve("log2", positive, complex=True, specials=log_ends(1 / math.log(2))),
    curve("log10", positive, complex=True, specials=log_ends(1 / math.log(10))),
    pair(
        "xlogy",
        (apart, positive),
        complex=True,
        domain="y above 0",
        specials=(
            Special(
                (A([0.0, 0.0, 2.0]), A([0.0, 2.0, 3.0])),
                A([2.0, 3.0, 4.0]),
                (A([0, 3 * math.log(2), 4 * math.log(3)]), A([nan, 0, 8 / 3])),
                value=A([0, 0, 2 * math.log(3)]),
            ),
            Special((A([1.0, 1.0]), A([0.0, 0.0])), A([0.0, 1.0]), (A([0, -inf]), A([0, inf])), value=A([-inf] * 2)),
            Special((A([0.0]), A([nan])), A([1.0]), (A([nan]), None), value=A([nan])),
        ),
    ),
    pair(
        "xlog1py",
        (apart, within),
        integers=False,
        domain="y above -1",
        specials=(
            Special(
                (A([0.0, 0.0, 2.0]), A([-1.0, 1.0, 2.0])),
                A([2.0, 3.0, 4.0]),
                (A([0, 3 * math.log(2), 4 * math.log(3)]), A([nan, 0, 8 / 3])),
                value=A([0, 0, 2 * math.log(3)]),
            ),
            Special((A([2.0]), A([1e-20])), A([1.0]), (A([1e-20]), A([2.0])), value=A([2e-20])),
        ),
    ),
)

CURVES = (
    curve("tan", complex=True),
    curve(
        "asin",
        within,
        complex=True,
        specials=(Special((A([1.0, -1.0, 1.0]),), A([0.0, 1, 2]), (A([0, inf, inf]),)),),
    ),
    curve(
        "acos",
        within,
        complex=True,
        specials=(Special((A([1.0, -1.0, 1.0]),), A([0.0, 1, 2]), (A([0, -inf, -inf]),)),),
    ),
    curve("atan", complex=True, specials=(Special((A([1e200, -inf, 0.0]),), A([1.0] * 3), (A([0.0, 0, 1]),)),)),
    pair(
        "atan2",
        nonzero,
        domain="not the origin",
        specials=(
            Special((A([0.0, -0.0]), A([0.0, -0.0])), A([2.0, inf]), (A([0.0, 0]), A([0.0, 0])), why="at the origin"),
            Special((A([1e200]), A([1e200])), A([1e200]), (A([0.5]), A([-0.5])), why="no overflow"),
            Special((A([1.0, inf, inf]), A([inf, 1.0, inf])), A([1.0] * 3), (A([0.0] * 3), A([0.0] * 3))),
            Special((A([0.0]), A([-1.0])), A([2.0]), (A([-2.0]), A([0.0])), value=A([math.pi])),
        ),
    ),
    curve("sinh", complex=True, specials=(Special((A([800.0, 0.0]),), A([0.0, 2.0]), (A([0.0, 2]),)),)),
    curve("cosh", complex=True, specials=(Special((A([800.0, 0.0]),), A([0.0, 2.0]), (A([0.0, 0]),)),)),
    curve(
        "asinh",
        complex=True,
        specials=(Special((A([1e200, -1e200, 0.0]),), A([1e200] * 3), (A([1.0, 1, 1e200]),), why="no overflow"),),
    ),
    curve(
        "acosh",
        above_one,
        1.7,
        complex=True,
        specials=(
            Special((A([1.0, 1.0, 2.0]),), A([0.0, 2.0, 3.0]), (A([0, inf, math.sqrt(3)]),)),
            Special((A([1e200]),), A([1e200]), (A([1.0]),), why="no overflow"),
        ),
    ),
    curve(
        "atanh",
        within,
        complex=True,
        integers=False,
        specials=(Special((A([1.0, 1.0, 0.5]),), A([0.0, 2.0, 3.0]), (A([0, inf, 4]),)),),
    ),
    curve(
        "sinc",
        complex=True,
        specials=(
            Special(
                (A([0.0, -0.0]),),
                A([2.0, 3.0]),
                (A([0.0, 0]),),
                value=A([1.0, 1]),
                second=A([2.0, 3]) * -(np.pi**2) / 3,
            ),
            Special((A([1e-9]),), A([1.0]), (A([-(np.pi**2) / 3 * 1e-9]),), why="the formula cancels here"),
            Special((A([1.0, 0.5]),), A([1.0, 1.0]), (A([-1.0, -4 / np.pi]),)),
        ),
    ),
    *[curve(name, nonzero, complex=True, tolerance=10) for name in ("sec", "csc", "cot", "sech", "csch", "coth")],
    *[curve(name, above_one, 1.7, complex=True, tolerance=10) for name in ("asec", "acsc", "acoth")],
    *[curve(name, nonzero, complex=True, tolerance=10) for name in ("acot", "acsch")],
    curve("asech", share, complex=True, tolerance=10),
)


def turning(rng, shape, k=0):
    """Whole turns, and at most 0.6 more or less."""
    return 2 * np.pi * rng.integers(-3, 4, shape) + rng.uniform(-0.6, 0.6, shape)


ANGLES = (
    curve("deg2rad"),
    curve("rad2deg"),
    Row(
        "unwrap",
        (
            draw("unwrap", (7,), numbers=turning),
            draw("unwrap", (5, 2), numbers=turning, axis=0),
            draw("unwrap", (2, 4), numbers=turning, discont=5.0),
            Sample((A([0.25, 4.0, 8.5, 2.0]),), {"discont": 5.0}),  # steps of more than half a period, left alone
            draw("unwrap", (6,), numbers=turning, period=np.pi),
            draw("unwrap", (1,)),
            draw("unwrap", (0, 3)),
        ),
        specials=(
            Special(
                (A([0.0, 0.5, 1.0, 0.5, -1.25]),),
                A([1.0, 2, 3, 4, 5]),
                (A([1.0, 2, 3, 4, 5]),),
                {"period": 1.0},
                value=np.unwrap([0.0, 0.5, 1.0, 0.5, -1.25], period=1.0),
                why="steps of half a period",
            ),
        ),
        weak=False,
        errors=(Bad((np.ones(3),), AxisError, "axis 2", {"axis": 2}), Bad((np.ones(3) * 1j,), TypeError, "op.angle")),
    ),
)

HALF, SUM = A([0.5, 0.5]), math.log(2)
LOGSPACE = (
    pair(
        "logaddexp",
        specials=(
            Special((A([-inf, inf]), A([-inf, inf])), A([1.0, 1.0]), (HALF, HALF), value=A([-inf, inf])),
            Special((A([inf, 0.0]), A([0.0, -inf])), A([2.0, 2.0]), (A([2.0, 2]), A([0.0, 0])), value=A([inf, 0])),
            Special((A([1000.0]), A([1000.0])), A([1.0]), (A([0.5]), A([0.5])), value=A([1000 + SUM])),
            Special((A([0.0]), A([-40.0])), A([1.0]), (None, A([4.248354255291589e-18])), why="no premature 0"),
        ),
    ),
    pair(
        "logaddexp2",
        specials=(
            Special((A([-inf]), A([-inf])), A([1.0]), (A([0.5]), A([0.5])), value=A([-inf])),
            Special((A([2000.0]), A([2000.0])), A([1.0]), (A([0.5]), A([0.5])), value=A([2001.0])),
        ),
    ),
    curve(
        "log1mexp",
        positive,
        specials=(
            Special((A([0.0, 0.0]),), A([0.0, 1.0]), (A([0.0, inf]),), value=A([-inf, -inf])),
            Special((A([1e-20, 40.0]),), A([1.0, 1.0]), (A([1e20, 4.248354255291589e-18]),), why="no cancellation"),
            Special((A([40.0, inf]),), A([1.0, 1.0]), (None,), value=A([-4.248354255291589e-18, 0])),
            Special((A([750.0, inf]),), A([1.0, 1.0]), (A([0.0, 0]),), why="no overflow"),
        ),
    ),
    Row(
        "softplus",
        (
            *(draw("softplus", s) for s in ((3, 2), (), (0,), 0.7)),
            draw("softplus", (3, 2), beta=2.5),
            draw("softplus", 0.7, beta=0.5),
        ),
        errors=(TEXT,),
        specials=(
            Special(
                (A([-1000.0, -40.0, 1000.0]),),
                A([1.0] * 3),
                (A([0, 4.248354255291589e-18, 1]),),
                value=A([0, 4.248354255291589e-18, 1000]),
            ),
            Special((A([inf, -inf]),), A([1.0, 1.0]), (A([1.0, 0]),), value=A([inf, 0])),
        ),
    ),
    curve(
        "log_sigmoid",
        specials=(
            Special(
                (A([1000.0, 40.0, -1000.0]),),
                A([1.0] * 3),
                (A([0, 4.248354255291589e-18, 1]),),
                value=A([0, -4.248354255291589e-18, -1000]),
            ),
        ),
    ),
    Row(
        "logmeanexp",
        (
            draw("logmeanexp", (2, 3)),
            draw("logmeanexp", (2, 3), axis=1),
            draw("logmeanexp", (2, 3), axis=(0, -1), keepdims=True),
            draw("logmeanexp", ()),
            draw("logmeanexp", (0, 3), axis=1),
            draw("logmeanexp", 0.7),
        ),
        errors=(Bad((np.ones(3),), AxisError, "axis 1", {"axis": 1}),),
        specials=(
            Special((A([-1000.0, -1000.0]),), A(1.0), (HALF,), value=A(-1000.0)),
            Special((A([inf, 0.0]),), A(1.0), (A([1.0, 0]),), value=A(inf)),
        ),
    ),
    Row(
        "logcumsumexp",
        (
            draw("logcumsumexp", (5,)),
            draw("logcumsumexp", (3, 2), axis=0),
            draw("logcumsumexp", (2, 3), reverse=True),
            draw("logcumsumexp", (2, 1)),
            draw("logcumsumexp", (2, 0)),
        ),
        weak=False,
        errors=(Bad((np.ones(3),), AxisError, "axis 1", {"axis": 1}),),
        specials=(
            Special((A([-1000.0, 0.0, 1000.0]),), A([1.0, 0.0, 0.0]), (A([1.0, 0, 0]),), value=A([-1000.0, 0, 1000])),
            Special((A([-inf, -inf]),), A([0.0, 1.0]), (HALF,), value=A([-inf, -inf])),
        ),
    ),
    Row(
        "logmatmulexp",
        (
            draw("logmatmulexp", (2, 3), (3, 2)),
            draw("logmatmulexp", (2, 1, 1, 3), (2, 3, 2)),
            draw("logmatmulexp", (1, 1), (1, 1)),
            draw("logmatmulexp", (0, 2), (2, 3)),
        ),
        weak=False,
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 3))), ShapeError, "(2, 3)"),
            Bad((np.ones(3), np.ones((3, 3))), ShapeError, "(3,)"),
        ),
        specials=(
            Special(
                (A([[0.0, -1000.0]]), A([[-1000.0], [0.0]])),
                A([[1.0]]),
                (HALF[None], HALF[:, None]),
                value=A([[-1000 + SUM]]),
                why="the scaled matrices have no common term that is not 0",
            ),
            Special(
                (A([[-3000.0, -3000.0]]), A([[-2000.0], [-2000.0]])),
                A([[1.0]]),
                (HALF[None], HALF[:, None]),
                value=A([[-5000 + SUM]]),
                why="scaled",
            ),
            Special((A([[-inf, -inf]]), A([[0.0], [0.0]])), A([[1.0]]), (HALF[None], None), value=A([[-inf]])),
        ),
    ),
)

ROWS = (*EXPONENTIALS, *CURVES, *ANGLES, *LOGSPACE)
