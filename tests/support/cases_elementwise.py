"""Case table: arithmetic, powers, exponentials, choices and comparisons, entry by entry."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import ShapeError

from .rows import Bad, Row, Sample, Special, above_minus_one, apart, binary, draw, nonzero, positive, unary

inf, nan = np.inf, np.nan
A = np.array
MISFIT = Bad((np.ones(3), np.ones(4)), ShapeError, "(3,), (4,)")
TEXT = Bad(("text",), TypeError, "'text'")


def fills(*shapes):
    """Samples of choices: a boolean array first."""
    rng = np.random.default_rng(5)
    for mask, *others in shapes:
        drawn = draw("choice", *others) if others else Sample(())
        yield Sample((rng.random(mask) < 0.5, *drawn.operands))


ARITHMETIC = (
    binary("add", complex=True, errors=(MISFIT, Bad((None, 1.0), TypeError, "None"))),
    binary("subtract", complex=True, errors=(MISFIT,)),
    binary("multiply", complex=True, errors=(MISFIT,)),
    binary("mult", complex=True, errors=(MISFIT,)),
    binary(
        "divide",
        (apart, nonzero),
        complex=True,
        domain="b not 0",
        errors=(MISFIT,),
        specials=(
            Special((A([0.0, 2.0, 1.0]), A([0.0, 0.0, 0.0])), A([0.0, 0.0, 1.0]), (A([0, 0, inf]), A([0, 0, -inf]))),
        ),
    ),
    unary("negative", complex=True, errors=(TEXT,)),
    unary("positive", complex=True, errors=(TEXT,)),
    unary("square", complex=True, errors=(TEXT,)),
    unary(
        "reciprocal",
        nonzero,
        complex=True,
        specials=(Special((A([0.0, 0.0, 2.0]),), A([0.0, 1.0, 1.0]), (A([0, -inf, -0.25]),)),),
        errors=(TEXT,),
    ),
    unary(
        "abs",
        nonzero,
        complex=True,
        specials=(
            Special((A([0.0, -0.0, 3.0, -3.0]),), A([2.0, 2.0, 2.0, 2.0]), (A([0, 0, 2, -2]),), why="kink: 0"),
            Special((A([0j, 3 + 4j]),), A([2.0, 5.0]), (A([0, 3 + 4j]),), why="kink: 0"),
        ),
        errors=(TEXT,),
    ),
)

POWERS = (
    Row(
        "pow",
        tuple(
            draw("pow", *s, numbers=(positive, apart)) for s in (((3, 1), (2,)), ((2,), (3, 2)), ((3,), ()), ((), ()))
        )
        + tuple(
            draw("pow", *s, numbers=(positive, apart)) for s in (((0,), (1,)), ((3,), 2.5), (1.7, (3,)), (1.7, 2.5))
        )
        + tuple(Sample((draw("pow", (3, 2), numbers=nonzero).operands[0], n)) for n in (2, 1, 0, 3, -1, -2))
        + (Sample((1.3, 2)), Sample((A([-1.5, 2.0]), A([2, -3])))),
        complex=True,
        domain="a above 0; any a but 0 where b is an integer",
        specials=(
            Special(
                (A([0.0, 0.0, 0.0, 0.0]), A([0.0, 1.0, 2.0, 0.5])), A([3.0] * 4), (A([0, 3, 0, inf]), A([0.0] * 4))
            ),
            Special((A([0.0, 0.0]), A([-1.0, 0.5])), A([0.0, 0.0]), (A([0.0, 0]), A([0.0, 0])), why="no NaN for g = 0"),
            Special((A([-2.0, -1.0]), A([3.0, 2.0])), A([1.0, 1.0]), (A([12.0, -2.0]), None), why="no log below 0"),
            Special((A([0.0, 0.0]), 2), A([3.0, 3.0]), (A([0.0, 0]),), second=A([6.0, 6.0])),
            Special((A([0.0, 2.0]), 1), A([3.0, 3.0]), (A([3.0, 3]),), second=A([0.0, 0.0])),
            Special((A([0.0, 2.0]), 0), A([3.0, 3.0]), (A([0.0, 0]),), value=A([1.0, 1]), second=A([0.0, 0.0])),
            Special((A([0.0, 0.0]), 3), A([3.0, 3.0]), (A([0.0, 0]),), second=A([0.0, 0.0])),
        ),
        errors=(
            MISFIT,
            Bad((A([1, 2]), -1), ValueError, "negative integer power"),
            Bad((A([1, 2]), A([-1, 1])), ValueError, "negative integer power"),
        ),
    ),
    unary(
        "sqrt",
        positive,
        complex=True,
        specials=(Special((A([0.0, 0.0, 4.0]),), A([0.0, 1.0, 1.0]), (A([0, inf, 0.25]),)),),
        errors=(TEXT,),
    ),
    unary(
        "exp", complex=True, errors=(TEXT,), specials=(Special((A([800.0, -800.0]),), A([0.0, 1.0]), (A([0.0, 0]),)),)
    ),
    unary("expm1", complex=True, errors=(TEXT,)),
    unary(
        "log",
        positive,
        complex=True,
        specials=(Special((A([0.0, 0.0, 4.0]),), A([0.0, 1.0, 1.0]), (A([0, inf, 0.25]),)),),
        errors=(TEXT,),
    ),
    unary(
        "log1p",
        above_minus_one,
        integers=False,
        complex=True,
        specials=(Special((A([-1.0, -1.0, 1e-20]),), A([0.0, 1.0, 1.0]), (A([0, inf, 1.0]),)),),
        errors=(TEXT,),
    ),
    unary("sin", complex=True, errors=(TEXT,)),
    unary("cos", complex=True, errors=(TEXT,)),
    unary(
        "tanh", complex=True, errors=(TEXT,), specials=(Special((A([800.0, -800.0]),), A([1.0, 1]), (A([0.0, 0]),)),)
    ),
    unary(
        "sigmoid",
        specials=(
            Special((A([40.0, -40.0]),), A([1.0, 1.0]), (A([4.248354255291589e-18] * 2),), why="no premature 0"),
            Special((A([800.0, -800.0]),), A([1.0, 1.0]), (A([0.0, 0]),), value=A([1.0, 0]), why="no overflow"),
            Special((A([inf, -inf]),), A([1.0, 1.0]), (A([0.0, 0]),), value=A([1.0, 0])),
        ),
        errors=(TEXT,),
    ),
)

CHOICES = (
    unary(
        "relu",
        specials=(
            Special((A([0.0, -0.0, -1.0, 2.0]),), A([inf, nan, nan, 3.0]), (A([0.0, 0, 0, 3]),), why="select"),
            Special((A([nan, 1.0]),), A([1.0, 1.0]), (A([0.0, 1]),), value=A([nan, 1])),
        ),
        errors=(TEXT,),
    ),
    binary(
        "maximum",
        specials=(
            Special(
                (A([1.0, 2.0, 0.0]), A([1.0, 1.0, -0.0])), A([3.0, 3.0, 3.0]), (A([1.5, 3, 1.5]), A([1.5, 0, 1.5]))
            ),
            Special((A([nan, nan, 1.0]), A([1.0, nan, nan])), A([2.0] * 3), (A([2.0, 1, 0]), A([0.0, 1, 2]))),
            Special((A([1.0, 2.0]), A([2.0, 1.0])), A([inf, nan]), (A([0, nan]), A([inf, 0])), why="select"),
            Special((A([inf, -inf]), A([inf, -inf])), A([2.0, 2.0]), (A([1.0, 1]), A([1.0, 1]))),
        ),
        errors=(MISFIT,),
    ),
    binary(
        "minimum",
        specials=(
            Special(
                (A([1.0, 2.0, 0.0]), A([1.0, 1.0, -0.0])), A([3.0, 3.0, 3.0]), (A([1.5, 0, 1.5]), A([1.5, 3, 1.5]))
            ),
            Special((A([nan, nan, 1.0]), A([1.0, nan, nan])), A([2.0] * 3), (A([2.0, 1, 0]), A([0.0, 1, 2]))),
            Special((A([1.0, 2.0]), A([2.0, 1.0])), A([inf, nan]), (A([inf, 0]), A([0, nan])), why="select"),
        ),
        errors=(MISFIT,),
    ),
    Row(
        "clip",
        (
            draw("clip", (3, 2), min=-0.3, max=0.3),
            draw("clip", (3, 2), min=-0.3),
            draw("clip", (3, 2), max=0.3),
            draw("clip", (3, 2)),
            draw("clip", (3, 1), (2,), ()),
            draw("clip", (), -0.5, 0.5),
            draw("clip", 0.7, -0.5, 0.5),
            draw("clip", (0, 2), (1,), (2,)),
        ),
        specials=(
            Special((A([-1.0, 1.0, 0.0, 2.0, -2.0]), -1.0, 1.0), A([1.0] * 5), (A([1.0, 1, 1, 0, 0]), 1.0, 1.0)),
            Special(
                (A([-1.0, 1.0]), A([-1.0, -1.0]), A([1.0, 1.0])), A([2.0, 3.0]), (A([2.0, 3]), A([0.0, 0]), A([0.0, 0]))
            ),
            Special((A([5.0, -5.0]), A([0.0, 0.0]), None), A([inf, inf]), (A([inf, 0]), A([0, inf])), why="select"),
        ),
        errors=(Bad((np.ones(3), np.ones(4)), ShapeError, "(3,), (4,)"),),
    ),
    Row(
        "where",
        (*fills(((3, 1), (2,), (3, 2)), ((2,), (3, 1), ()), ((), (2,), (3, 2)), ((0, 2), (0, 1), ()), ((), (), ())),)
        + (Sample((A([True, False]), 0.7, A([1.0, 2.0]))), Sample((A([True, False]), A([1.0, 2.0]), 0.7)))
        + (Sample((A([True, False]), 0.7, 0.3)), Sample((True, A([1.0, 2.0]), A([3.0, 4.0])))),
        complex=True,
        specials=(
            Special(
                (A([True, False]), A([1.0, nan]), A([inf, 1.0])),
                A([inf, nan]),
                (None, A([inf, 0]), A([0, nan])),
                why="select",
            ),
        ),
        errors=(
            Bad((A([1.0, 0.0]), 1.0, 2.0), TypeError, "boolean"),
            Bad((A([1, 0]), 1.0, 2.0), TypeError, "boolean"),
            Bad((A([True, False]), np.ones(3), 1.0), ShapeError, "(2,), (3,)"),
        ),
    ),
    Row(
        "select",
        (*fills(((3, 2), (3, 2)), ((3, 1), (2,)), ((2,), (3, 2)), ((0, 2), (0, 2)), ((), ()), ((), (3,))),),
        complex=True,
        weak=False,
        specials=(Special((A([True, False]), A([1.0, nan])), A([inf, nan]), (None, A([inf, 0])), value=A([1.0, 0])),),
        errors=(Bad((A([True, False]), np.ones(3)), ShapeError, "(2,), (3,)"),),
    ),
    binary(
        "multiply_no_nan",
        complex=True,
        specials=(
            Special(
                (A([0.0, 0.0, 2.0]), A([inf, 5.0, inf])),
                A([1.0] * 3),
                (A([inf, 5, inf]), A([0.0, 0, 2])),
                value=A([0, 0, inf]),
            ),
            Special((A([0.0, 1.0]), A([inf, 2.0])), A([0.0, 0.0]), (A([0.0, 0]), A([0.0, 0]))),
        ),
        errors=(MISFIT,),
    ),
    Row(
        "silence",
        tuple(
            Sample((A(gate), *draw("silence", shape).operands))
            for gate, shape in (([[0, 1]], (3, 2)), ([0, 2], (3, 2)), (0, (3,)), (1, ()), ([[0, 1]], (0, 2)))
        ),
        complex=True,
        weak=False,
        domain="a gate that broadcasts to c",
        specials=(
            Special(
                (A([0.0, 0.0, 2.0]), A([inf, 5.0, nan])), A([1.0] * 3), (None, A([0.0, 1, 1])), value=A([0, 5, nan])
            ),
            Special((A([0.0, 2.0]), A([nan, 3.0])), A([inf, inf]), (None, A([0.0, inf])), value=A([0.0, 3])),
        ),
    ),
    binary(
        "shifted",
        specials=(
            Special(
                (A([inf, -inf, inf]), A([inf, -inf, 0.0])),
                A([1.0] * 3),
                (A([1.0] * 3), A([-1.0] * 3)),
                value=A([0, 0, inf]),
            ),
        ),
        errors=(MISFIT,),
    ),
)

PARTS = (
    unary("real", complex=True),
    unary("imag", complex=True),
    unary("conj", complex=True),
    Row(
        "astype",
        (
            draw("astype", (3, 2), dtype="float64"),
            Sample((A([1, 2]),), {"dtype": "float64"}),
            Sample((A([1.7, -2.2]),), {"dtype": "int64"}),
            Sample((A([1.7, 0.0]),), {"dtype": "bool"}),
            draw("astype", (3, 2), dtype="complex128"),
            draw("astype", (0, 2), dtype="float64"),
        ),
        weak=False,
        integers=False,
        specials=(Special((A([0.1, 2.0]),), A([3.0, 4.0]), (A([3.0, 4.0]),), {"dtype": np.float32}),),
        errors=(Bad((np.ones(2),), TypeError, "nonsense", {"dtype": "nonsense"}),),
    ),
)


def undifferentiable(name, *samples, **keywords):
    return Row(name, samples, differentiable=False, **keywords)


X, Y = A([[1.0, -2.0, nan], [0.0, 3.5, inf]]), A([1.0, 3.5, inf])
FLAGS = A([[True], [False]]), A([True, False, True])
INTS = A([[5], [6]]), A([3, 12, 7])

COMPARISONS = (
    *[
        undifferentiable(
            name, Sample((X, Y)), Sample((X, 1.0)), Sample((1.0, X)), Sample((2.0, 3.0)), Sample(INTS), errors=(MISFIT,)
        )
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    ],
    *[
        undifferentiable(
            name, Sample(FLAGS), Sample((FLAGS[0], True)), Sample((True, False)), integers=False, errors=(MISFIT,)
        )
        for name in ("logical_and", "logical_or", "logical_xor")
    ],
    *[
        undifferentiable(name, Sample(INTS), Sample(FLAGS), Sample((INTS[0], 3)), errors=(Bad((X, Y), TypeError, ""),))
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ],
    undifferentiable(
        "floor_divide", Sample((A([[7.5], [-7.5]]), A([2.0, -2.0]))), Sample(INTS), Sample((7, 2)), errors=(MISFIT,)
    ),
    undifferentiable("logical_not", Sample(FLAGS[:1]), Sample((True,)), integers=False),
    undifferentiable("bitwise_invert", Sample(FLAGS[:1]), Sample(INTS[:1]), errors=(Bad((X,), TypeError, ""),)),
    *[
        undifferentiable(name, Sample((X,)), Sample((2.5,)), Sample(INTS[:1]))
        for name in ("isnan", "isinf", "isfinite")
    ],
    *[
        undifferentiable(
            name, Sample((A([[-1.5, 2.5], [0.0, 3.5]]),)), Sample((2.5,)), Sample(INTS[:1]), Sample((np.zeros((0, 2)),))
        )
        for name in ("sign", "floor", "ceil", "trunc")
    ],
    undifferentiable(
        "round",
        Sample((A([[-1.5, 2.5], [0.0, 3.5]]),)),
        Sample((A([[-1.255, 2.5], [0.0, 3.1415]]),), {"decimals": 2}),
        Sample((A([[-1255.0, 2.5], [0.0, 3450.0]]),), {"decimals": -2}),
        Sample((2.5,)),
        Sample(INTS[:1]),
        Sample(INTS[:1], {"decimals": 1}),
        Sample((np.zeros((0, 2)),)),
        errors=(Bad(INTS[:1], TypeError, "decimals=-1", {"decimals": -1}),),
    ),
)

ROWS = (*ARITHMETIC, *POWERS, *CHOICES, *PARTS, *COMPARISONS)
