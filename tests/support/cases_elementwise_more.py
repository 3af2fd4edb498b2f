"""Case table: remainders, roots, signs, powers of two, choices beside NaN; complex parts; logic, predicates, bits."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError, ShapeError

from .cases_elementwise import FLAGS, INTS, MISFIT, TEXT, X, undifferentiable
from .cases_elementwise_curves import curve, pair
from .rows import Bad, Row, Sample, Special, apart, draw, nonzero, positive

inf, nan = np.inf, np.nan
A = np.array


def broken(rng, shape, k=0):
    """Quotients at least 0.1 from a whole number."""
    return rng.integers(-3, 3, shape) + rng.uniform(0.1, 0.9, shape) if k == 0 else np.ones(shape)


ARITHMETIC = (
    *[
        pair(
            name,
            (broken, broken),
            domain="the quotient not whole",
            specials=(
                Special((A([5.5, -5.5, 0.3]), A([2.0, 2.0, 0.1])), A([1.0] * 3), (A([1.0] * 3), quotients)),
                Special((A([0.0, 4.0]), A([2.0, 2.0])), A([3.0, 3.0]), (A([3.0, 3]), A([0.0, -6])), value=A([0.0, 0])),
                Special((A([1.0]), A([0.0])), A([0.0]), (A([0.0]), A([0.0])), value=A([nan])),
            ),
        )
        for name, quotients in (("remainder", A([-2.0, 3, -2])), ("fmod", A([-2.0, 2, -2])))
    ],
    pair(
        "hypot",
        nonzero,
        specials=(
            Special((A([0.0, -0.0]), A([0.0, 0.0])), A([2.0, 3.0]), (A([0.0, 0]), A([0.0, 0])), why="kink: 0"),
            Special(
                (A([3e200, 3e-200]), A([4e200, 4e-200])),
                A([1.0, 1.0]),
                (A([0.6, 0.6]), A([0.8, 0.8])),
                value=A([5e200, 5e-200]),
                why="no overflow, no underflow",
            ),
        ),
    ),
    pair(
        "copysign",
        nonzero,
        specials=(
            Special(
                (A([1.0, -2.0, 0.0]), A([-1.0, -1.0, 1.0])), A([2.0, 3, 4]), (A([-2.0, 3, 0]), None), why="kink: 0"
            ),
            Special((A([3.0]), A([-0.0])), A([2.0]), (A([-2.0]), A([0.0])), value=A([-3.0])),
        ),
    ),
    curve(
        "rsqrt",
        positive,
        complex=True,
        specials=(Special((A([0.0, 0.0, 4.0]),), A([0.0, 1.0, 1.0]), (A([0, -inf, -0.0625]),)),),
    ),
    curve(
        "cbrt",
        nonzero,
        specials=(
            Special((A([0.0, 0.0, -8.0]),), A([0.0, 1.0, 1.0]), (A([0, inf, 1 / 12]),)),
            Special((A([0.0, -27.0, inf]),), A([0.0, 0.0, 0.0]), (None,), value=A([0.0, -3, inf])),
        ),
    ),
    *[
        pair(
            name,
            specials=(
                Special(
                    (A([nan, 1.0, nan]), A([2.0, nan, nan])),
                    A([2.0, 3.0, 4.0]),
                    (A([0.0, 3, 4]), A([2.0, 0, 0])),
                    value=A([2.0, 1, nan]),
                ),
                Special((A([1.0, inf]), A([1.0, inf])), A([3.0, 3.0]), (A([1.5, 1.5]), A([1.5, 1.5])), why="tie"),
                Special((A([1.0, 2.0]), A([2.0, 1.0])), A([inf, nan]), gradients, why="select"),
            ),
        )
        for name, gradients in (("fmax", (A([0, nan]), A([inf, 0]))), ("fmin", (A([inf, 0]), A([0, nan]))))
    ],
    Row(
        "nan_to_num",
        (
            *(draw("nan_to_num", s) for s in ((3, 2), (), (0,), 0.7)),
            draw("nan_to_num", (3,), nan=1.5, posinf=2.0, neginf=3.0),
        ),
        complex=True,
        specials=(
            Special(
                (A([nan, inf, -inf, 1.5]),),
                A([2.0, 3, 4, 5]),
                (A([0.0, 0, 0, 5]),),
                value=np.nan_to_num(A([nan, inf, -inf, 1.5])),
            ),
            Special(
                (A([nan, inf, -inf]),),
                A([1.0] * 3),
                (A([0.0] * 3),),
                {"nan": 1.0, "posinf": 2.0, "neginf": 3.0},
                value=A([1.0, 2, 3]),
            ),
        ),
        errors=(TEXT,),
    ),
    Row(
        "lerp",
        (
            draw("lerp", (3, 1), (2,), (3, 2)),
            draw("lerp", (3,), (3,), ()),
            draw("lerp", (0,), (1,), ()),
            draw("lerp", (3, 2), (), (2,)),
            draw("lerp", 0.7, 1.3, 0.25),
            draw("lerp", (3,), (3,), 0.25),
        ),
        complex=True,
        errors=(Bad((np.ones(3), np.ones(4), 0.5), ShapeError, "(4,), (3,)"),),
    ),
    undifferentiable(
        "heaviside",
        Sample((A([[-1.5, 0.0, 2.0], [nan, -0.0, inf]]), A([0.5, 1.0, 0.5]))),
        Sample((A([-1.0, 0.0]), 0.5)),
        Sample((0.0, 0.5)),
        Sample((A([-2, 0, 3]), 1.0)),
        errors=(MISFIT,),
    ),
    Row(
        "ldexp",
        (
            Sample((*draw("ldexp", (3, 2)).operands, A([2, -3]))),
            Sample((*draw("ldexp", ()).operands, 3)),
            Sample((*draw("ldexp", (0,)).operands, A([1], "int32"))),
            Sample((0.7, 2)),
        ),
        specials=(
            Special(
                (A([1e-300, 1e300]), A([1500, -1500])),
                A([1.0, 1.0]),
                (None, None),
                value=np.ldexp(A([1e-300, 1e300]), A([1500, -1500])),
            ),
            Special(
                (A([0.0, 1.0, 1.0]), A([10**6, 10**6, -(10**6)])),
                A([0.0] * 3),
                (A([0.0] * 3), None),
                value=A([0, inf, 0]),
            ),
        ),
        errors=(Bad((np.ones(3), A([1.0, 2.0, 3.0])), TypeError, "integer"),),
    ),
    Row(
        "frexp",
        tuple(draw("frexp", s, numbers=positive) for s in ((3, 2), (), (0,), 0.7)),
        run=lambda xp, x: xp.frexp(x)[0],
        domain="no power of two",
        specials=(
            Special((A([0.0, inf, nan, 12.0]),), A([1.0] * 4), (A([1.0, 1, 1, 0.0625]),), value=A([0, inf, nan, 0.75])),
        ),
        errors=(TEXT,),
    ),
    Row(
        "float_power",
        tuple(draw("float_power", *s, numbers=(positive, apart)) for s in (((3, 1), (2,)), ((), ()), ((0,), (1,)))),
        run=lambda xp, a, b: xp.astype(xp.float_power(a, b), a.dtype),
        weak=False,
        integers=False,
        complex=True,
        errors=(MISFIT,),
    ),
    *[
        Row(
            name,
            (
                draw(name, (2, 3, 2), (3,)),
                draw(name, (2, 3, 2), (3, 2)),
                draw(name, (2, 3), (2, 3), axis=0),
                draw(name, (2, 3), (3,), axis=-1),
                draw(name, (2, 3), ()),
                draw(name, (0, 3), (3,)),
            ),
            complex=True,
            weak=False,
            errors=(
                Bad((np.ones((2, 3)), np.ones(2)), ShapeError, "(2,)"),
                Bad((np.ones((2, 3)), np.ones(3)), AxisError, "axis 4", {"axis": 4}),
            ),
        )
        for name in ("scale", "bias")
    ],
)

NEARLY = A([1 + 1e-18j, 2.0])
PARTS = (
    Row(
        "complex",
        tuple(draw("complex", *s) for s in (((3, 1), (2,)), ((3, 2), (3, 2)), ((), ()), ((0,), (1,)))),
        weak=False,
        errors=(MISFIT, Bad((A([1j]), A([1.0])), TypeError, "real")),
    ),
    Row(
        "polar",
        tuple(draw("polar", *s) for s in (((3, 1), (2,)), ((3, 2), (3, 2)), ((), ()), ((0,), (1,)))),
        weak=False,
        errors=(MISFIT,),
    ),
    Row(
        "angle",
        (*(draw("angle", s, numbers=nonzero) for s in ((3, 2), (), (0,), 0.7)), draw("angle", (3,), deg=True)),
        complex=True,
        specials=(
            Special((A([0j, 1j, -1.0]),), A([2.0, 3.0, 4.0]), (A([0, -3, -4j]),), value=A([0, np.pi / 2, np.pi])),
        ),
        errors=(TEXT,),
    ),
    Row(
        "real_if_close",
        (*(draw("real_if_close", s) for s in ((3, 2), (), (0,), 0.7)),),
        specials=(
            Special((A([1 + 2j, 3 - 1j]),), A([2.0, 3j]), (A([2.0, 3j]),), value=A([1 + 2j, 3 - 1j])),
            Special((NEARLY,), A([2.0, 3.0]), (A([2.0, 3.0]),), value=A([1.0, 2])),
            Special((A([1 + 1e-3j]),), A([2.0]), (A([2.0]),), {"tol": 0.01}, value=A([1.0])),
        ),
        integers=False,
        errors=(TEXT,),
    ),
)

WILD = A([[1.5, -0.0, 0.0], [-inf, -2.0, nan]])
CLOSE = A([1.0, 1.0 + 1e-9, inf, inf, nan]), A([1.0 + 1e-6, 1.0, inf, -inf, nan])
BITS = A([[5], [6]]), A([3, 1, 0])
FLOATS_ONLY = (Bad((X, A([1.0, 3.5, inf])), TypeError, ""),)
NO_AXIS = Bad((FLAGS[0],), AxisError, "axis 3", {"axis": 3})

LOGIC = (
    *[
        undifferentiable(name, Sample(BITS), Sample((BITS[0], 2)), Sample((5, 2)), errors=FLOATS_ONLY)
        for name in ("bitwise_left_shift", "bitwise_right_shift")
    ],
    undifferentiable(
        "nextafter", Sample((A([[1.0], [-2.0]]), A([2.0, -inf, 1.0]))), Sample((1.0, 2.0)), errors=(MISFIT,)
    ),
    undifferentiable("signbit", Sample((WILD[:, :2],)), Sample((-2.5,)), Sample((np.zeros((0, 2)),))),
    *[
        undifferentiable(
            name, Sample((WILD,)), Sample((-WILD,)), Sample((-inf,)), Sample(INTS[:1]), Sample((np.zeros((0, 2)),))
        )
        for name in ("isposinf", "isneginf")
    ],
    *[
        undifferentiable(name, Sample((A([1j, 2.0, nan]),)), Sample((WILD,)), Sample((2.5,)), Sample(INTS[:1]))
        for name in ("isreal", "iscomplex")
    ],
    undifferentiable(
        "isclose",
        Sample(CLOSE),
        Sample(CLOSE, {"equal_nan": True}),
        Sample(CLOSE, {"rtol": 0.0, "atol": 1e-8}),
        Sample((CLOSE[0][:2] * 1j, CLOSE[1][:2] * 1j)),
        Sample((INTS[0], 5.00001)),
        Sample((A([3], "uint8"), A([4], "uint8"))),
        Sample((1.0, 1.0)),
        errors=(MISFIT,),
    ),
    undifferentiable(
        "allclose", Sample(CLOSE), Sample((CLOSE[0][:3], CLOSE[1][:3])), Sample((np.zeros(0), 1.0)), errors=(MISFIT,)
    ),
    undifferentiable(
        "array_equal",
        Sample((A([1.0, nan]), A([1.0, nan]))),
        Sample((A([1.0, nan]), A([1.0, nan])), {"equal_nan": True}),
        Sample((A([1.0, 2.0]), A([[1.0, 2.0]]))),
        Sample((A([1, 2]), A([1.0, 2.0]))),
        Sample((np.zeros(0), np.zeros(0))),
    ),
    *[
        undifferentiable(
            name,
            Sample((A([[True, False], [True, True]]),)),
            Sample((A([[True, False], [True, True]]),), {"axis": 0}),
            Sample((A([[True, False], [True, True]]),), {"axis": (0, -1), "keepdims": True}),
            Sample((np.zeros((2, 0), bool),), {"axis": 1}),
            Sample((np.zeros(0, bool),)),
            Sample((A([0.0, 2.0]),)),
            Sample((True,)),
            errors=(NO_AXIS,),
        )
        for name in ("all", "any")
    ],
    *[
        undifferentiable(name, Sample((A([[-1.5, 2.5], [0.0, 3.5]]),)), Sample((2.5,)), Sample((np.zeros((0, 2)),)))
        for name in ("rint", "fix")
    ],
)

ROWS = (*ARITHMETIC, *PARTS, *LOGIC)
