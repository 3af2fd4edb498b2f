"""Case table: reductions, softmax and its kin, linear algebra, convolution, losses."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError, LinAlgError, ShapeError

from .rows import Bad, Row, Special, apart, draw, hermitian, nonzero, regular

inf, nan = np.inf, np.nan
A = np.array
OFF_AXIS = Bad((np.ones((2, 3)),), AxisError, "axis 5", {"axis": 5})
TWICE = Bad((np.ones((2, 3)),), ValueError, "duplicate", {"axis": (0, -2)})
REDUCED = (
    *(((2, 3), None), ((2, 3), 0), ((2, 3), -1), ((2, 3, 2), (0, 2)), ((2, 3), ()), ((3,), 0), ((), None), ((), ())),
    *(((1, 3), 0), ((2, 3, 2), (2, 1))),
)
EMPTY = (((0,), None), ((2, 0), 1), ((0, 3), 1))


def reduction(name, *more, empty=EMPTY, numbers=apart, **keywords):
    """A function of one array and its ``axis`` and ``keepdims``."""
    samples = [draw(name, s, axis=a, numbers=numbers) for s, a in (*REDUCED, *empty)]
    samples += [
        draw(name, s, axis=a, keepdims=True, numbers=numbers)
        for s, a in (((2, 3), 1), ((2, 3), None), ((2, 1, 2), (0, 1)))
    ]
    return Row(name, (*samples, draw(name, 0.7), *more), **{"errors": (OFF_AXIS, TWICE), **keywords})


NO_ENTRIES = Bad((np.ones((2, 0)),), ValueError, "no identity", {"axis": 1})

REDUCTIONS = (
    reduction("sum", complex=True),
    reduction(
        "mean",
        complex=True,
        empty=(((0, 3), 1),),
        specials=(Special((np.zeros(0),), A(2.0), (np.zeros(0),), value=A(nan), why="of nothing"),),
    ),
    reduction(
        "var",
        *(draw("var", (2, 3), axis=a, correction=c) for a, c in ((None, 1), (1, 2), (0, 1))),
        empty=(((0, 3), 1),),
        specials=(Special((A([2.0, 2.0]),), A(3.0), (A([0.0, 0]),)),),
        errors=(OFF_AXIS, Bad((A([1j]),), TypeError, "complex")),
    ),
    *[
        reduction(
            name,
            empty=(((0, 3), 1),),
            errors=(OFF_AXIS, TWICE, NO_ENTRIES),
            specials=(
                Special((sign * A([1.0, 3.0, 3.0]),), A(4.0), (A([0.0, 2, 2]),), why="a tie is split evenly"),
                Special((sign * A([1.0, nan, 3.0]),), A(4.0), (A([0.0, 4, 0]),), value=A(nan), why="NaN takes all"),
                Special((sign * A([inf, 1.0]),), A(4.0), (A([4.0, 0]),)),
                Special((sign * A([1.0, 2.0]),), A(inf), (A([0.0, inf]),), why="select"),
                Special((A([[0.0, -0.0], [1.0, 1.0]]),), A([2.0, 4.0]), (A([[1.0, 1], [2, 2]]),), {"axis": 1}),
            ),
        )
        for name, sign in (("max", 1.0), ("min", -1.0))
    ],
    reduction(
        "prod",
        complex=True,
        numbers=nonzero,
        specials=(
            Special((A([2.0, 0.0, 3.0]),), A(1.0), (A([0.0, 6, 0]),), second=A([3.0, 5, 2]), why="one zero"),
            Special((A([0.0, 0.0, 3.0]),), A(1.0), (A([0.0, 0, 0]),), second=A([3.0, 3, 0]), why="two zeros"),
            Special((A([0.0, 0.0, 0.0, 5.0]),), A(1.0), (A([0.0, 0, 0, 0]),), second=A([0.0, 0, 0, 0])),
            Special((A([[2.0, 0.0], [3.0, 4.0]]),), A([1.0, 2.0]), (A([[0, 2.0], [8, 6]]),), {"axis": 1}),
        ),
    ),
    reduction(
        "logsumexp",
        empty=(((0, 3), 1),),
        specials=(
            Special((A([-inf, -inf]),), A(3.0), (A([1.5, 1.5]),), value=A(-inf)),
            Special((A([inf, 0.0]),), A(3.0), (A([3.0, 0]),), value=A(inf)),
            Special((A([inf, inf]),), A(3.0), (A([1.5, 1.5]),), value=A(inf)),
            Special((A([-inf, 0.0]),), A(3.0), (A([0.0, 3]),), value=A(0.0)),
            Special((A([1000.0, 1000.0]),), A(3.0), (A([1.5, 1.5]),), value=A(1000 + np.log(2)), why="no overflow"),
            Special((A([-1000.0, -1000.0]),), A(1.0), (A([0.5, 0.5]),), second=A([0.0, 0.0])),
            Special((np.zeros(0),), A(3.0), (np.zeros(0),), value=A(-inf)),
        ),
    ),
    Row(
        "cumulative_sum",
        (
            draw("cumsum", (2, 3), axis=1),
            draw("cumsum", (2, 3), axis=-2),
            draw("cumsum", (3,)),
            draw("cumsum", (2, 3), axis=0, reverse=True),
            draw("cumsum", (2, 3), axis=1, include_initial=True),
            draw("cumsum", (2, 3), axis=1, include_initial=True, reverse=True),
            draw("cumsum", (2, 0), axis=1),
            draw("cumsum", (2, 0), axis=1, include_initial=True),
            draw("cumsum", (0, 2), axis=1),
        ),
        complex=True,
        weak=False,
        errors=(
            OFF_AXIS,
            Bad((np.ones((2, 3)),), ValueError, "needs an axis"),
            Bad((np.ones(()),), ValueError, "axis"),
        ),
    ),
)

NORMALISED = (
    *[
        Row(
            name,
            tuple(
                draw(name, s, axis=a)
                for s, a in (((2, 3), -1), ((2, 3), 0), ((2, 3, 2), (0, 2)), ((3,), 0), ((0, 3), 1))
            ),
            weak=False,
            errors=(OFF_AXIS,),
            specials=specials,
        )
        for name, specials in (
            (
                "softmax",
                (
                    Special(
                        (A([1.0, 1.0, 1.0]),),
                        A([1.0, 0, 0]),
                        (A([2.0, -1, -1]) / 9,),
                        second=A([0.0, 0, 0]),
                        why="ties",
                    ),
                    Special((A([1000.0, 0.0]),), A([1.0, 2.0]), (A([0.0, 0]),), value=A([1.0, 0]), why="no overflow"),
                    Special((A([-inf, 0.0]),), A([1.0, 2.0]), (A([0.0, 0]),), value=A([0.0, 1])),
                    Special((A([inf, 0.0]),), A([1.0, 2.0]), (A([0.0, 0]),), value=A([1.0, 0])),
                    Special((A([-inf, -inf]),), A([1.0, 0.0]), (A([nan, nan]),), value=A([nan, nan]), why="no limit"),
                ),
            ),
            (
                "weights",
                (
                    Special((A([-inf, -inf]),), A([1.0, 0.0]), (A([0.25, -0.25]),), value=A([0.5, 0.5])),
                    Special((A([inf, 0.0]),), A([1.0, 2.0]), (A([0.0, 0]),), value=A([1.0, 0])),
                ),
            ),
            (
                "log_softmax",
                (
                    Special(
                        (A([1000.0, 0.0]),), A([1.0, 1.0]), (A([-1.0, 1]),), value=A([0.0, -1000]), why="no overflow"
                    ),
                    Special((A([-inf, 0.0]),), A([0.0, 1.0]), (A([0.0, 0]),), value=A([-inf, 0])),
                    Special((A([-inf, -inf]),), A([1.0, 0.0]), (A([nan, nan]),), value=A([nan, nan]), why="no limit"),
                ),
            ),
        )
    ],
)


def gauge_free(xp, x):
    """``eigh`` without what is arbitrary: each eigenvector with a first entry that is positive."""
    w, v = xp.eigh(x)
    if v.shape[-1] == 0:
        return w, v
    first = v[..., :1, :]
    return w, v * xp.conj(first) / xp.abs(first)


PAIRS = (
    *(((2, 3), (3, 2)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (3,)), ((2, 2, 3), (3, 2)), ((2, 1, 2, 3), (3, 3, 2))),
    *(
        ((2, 3), (2, 3, 2)),
        ((3,), (2, 3, 2)),
        ((2, 2, 3), (3,)),
        ((2, 0), (0, 3)),
        ((0, 2), (2, 3)),
        ((0, 2, 3), (3, 1)),
    ),
)
MIX = ("ij,jk->ik", ((2, 3), (3, 2)))
SUMS = (
    MIX,
    *(
        ("ij,jk", ((2, 3), (3, 2))),
        ("ba", ((2, 3),)),
        ("ij->", ((2, 3),)),
        ("i,j->ij", ((2,), (3,))),
        ("i,i->", ((3,), (3,))),
    ),
    *(("ii->i", ((3, 3),)), ("ii", ((3, 3),)), ("iij,j->i", ((2, 2, 3), (3,))), ("iji->j", ((2, 3, 2),))),
    *(("...ij,...jk->...ik", ((2, 2, 3), (3, 2))), ("...i,i", ((2, 3), (3,))), ("i...,i...->...", ((2, 3), (2, 3)))),
    *(("bij,bjk->bik", ((2, 2, 3), (1, 3, 2))), ("ij,ij->ij", ((2, 3), (1, 3))), ("i,ij->j", ((1,), (2, 3)))),
    *(
        ("ij,jk,kl->il", ((2, 3), (3, 2), (2, 2))),
        ("i,i,i->i", ((3,), (3,), (3,))),
        (",i->i", ((), (3,))),
        ("->", ((),)),
    ),
    *(
        ("ij,k->i", ((2, 3), (2,))),
        ("i,j->", ((2,), (3,))),
        ("ij,jk->ik", ((0, 3), (3, 2))),
        ("ij,jk->ik", ((2, 0), (0, 3))),
    ),
    *(("ij->ji", ((2, 3),)), (" i j , j -> i ", ((2, 3), (3,)))),
)
SINGULAR = A([[1.0, 2.0], [2.0, 4.0]])

LINEAR = (
    Row(
        "matmul",
        tuple(draw("matmul", *s) for s in PAIRS),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 3))), ShapeError, "(2, 3) @ (2, 3)"),
            Bad((np.ones((2, 3)), np.ones(())), ShapeError, "multiply"),
            Bad((np.ones((2, 2, 3)), np.ones((3, 3, 2))), ShapeError, "(2, 2, 3)"),
        ),
    ),
    Row(
        "linear",
        (
            draw("linear", (3, 2), (2, 3), (3,)),
            draw("linear", (2,), (2, 3), (3,)),
            draw("linear", (2, 3, 2), (2, 1), (1,)),
            draw("linear", (0, 2), (2, 3), (3,)),
            draw("linear", (3, 0), (0, 2), (2,)),
            draw("linear", (3, 2), (2, 3)),
        ),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 3)), np.ones(3)), ShapeError, "x (2, 3), weight (2, 3), bias (3,)"),
            Bad((np.ones((2, 3)), np.ones((3, 2)), np.ones(1)), ShapeError, "bias (1,)"),
            Bad((np.ones((2, 3)), np.ones((3, 2)), np.ones((1, 2))), ShapeError, "bias (1, 2)"),
        ),
    ),
    Row(
        "dot",
        tuple(
            draw("dot", *s)
            for s in (*PAIRS[:5], ((2, 0), (0,)), ((2, 2, 3), (2, 3, 2)), ((), (3,)), ((2, 3), ()), ((3,), (2, 3, 2)))
        ),
        complex=True,
        weak=False,
        errors=(Bad((np.ones((2, 3)), np.ones((2, 3))), ShapeError, "(2, 3)"),),
    ),
    Row(
        "tensordot",
        (
            draw("tensordot", (2, 3, 2), (3, 2, 2), axes=2),
            draw("tensordot", (2, 3, 2), (3, 2), axes=((1, 0), (0, 1))),
            draw("tensordot", (2, 3), (3, 2), axes=1),
            draw("tensordot", (2,), (3,), axes=0),
            draw("tensordot", (2, 3), (2, 3), axes=((-1,), (-1,))),
            draw("tensordot", (2, 0), (0, 2), axes=1),
        ),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 3))), ShapeError, "(2, 3)", {"axes": 1}),
            Bad((np.ones((2, 3)), np.ones((2, 3))), AxisError, "axis 4", {"axes": ((4,), (0,))}),
        ),
    ),
    Row(
        "einsum",
        tuple(draw(f"einsum {text}", *shapes, subscripts=text) for text, shapes in SUMS),
        run=lambda xp, *arrays, subscripts: xp.einsum(subscripts, *arrays),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 3))), ShapeError, "'j'", {"subscripts": "ij,jk->ik"}),
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"subscripts": "i->i"}),
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"subscripts": "ii->i"}),
            Bad((np.ones((2, 3)),), ValueError, "output", {"subscripts": "ij->k"}),
            Bad((np.ones((2, 3)),), ValueError, "2 operands", {"subscripts": "ij,jk->ik"}),
        ),
    ),
    Row(
        "solve",
        tuple(
            draw("solve", *s, numbers=(regular, apart))
            for s in (
                ((3, 3), (3, 2)),
                ((3, 3), (3,)),
                ((2, 2, 2), (2, 3)),
                ((2, 2), (3, 2, 1)),
                ((0, 0), (0, 2)),
                ((2, 2), (2, 0)),
            )
        ),
        complex=True,
        weak=False,
        domain="matrices that are not singular",
        tolerance=10,
        errors=(
            Bad((SINGULAR, np.ones(2)), LinAlgError, "singular"),
            Bad((np.ones((2, 3)), np.ones(2)), ShapeError, "(2, 3)"),
            Bad((np.eye(2), np.ones(3)), ShapeError, "(3,)"),
        ),
    ),
    Row(
        "cholesky",
        tuple(
            draw("cholesky", s, numbers=hermitian, **k)
            for s, k in (((3, 3), {}), ((2, 2), {"upper": True}), ((2, 2, 2), {}), ((0, 0), {}))
        ),
        complex=True,
        weak=False,
        domain="Hermitian matrices with positive eigenvalues",
        tolerance=10,
        specials=(
            Special(
                (A([[4.0, 2.0], [2.0, 5.0]]),),
                A([[0.0, 0], [1, 0]]),
                (A([[-0.125, 0.25], [0.25, 0]]),),
                why="symmetrised",
            ),
        ),
        errors=(
            Bad((A([[1.0, 2.0], [2.0, 1.0]]),), LinAlgError, "positive definite"),
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)"),
        ),
    ),
    Row(
        "eigh",
        tuple(draw("eigh", s, numbers=hermitian) for s in ((3, 3), (2, 2), (2, 2, 2), (1, 1), (0, 0))),
        run=gauge_free,
        complex=True,
        weak=False,
        domain="Hermitian matrices with distinct eigenvalues",
        tolerance=10,
        errors=(Bad((np.ones((2, 3)),), ShapeError, "(2, 3)"), Bad((np.ones(3),), ShapeError, "(3,)")),
    ),
)


def conv_samples(name):
    """Samples of one of the three convolutions: settings of every kind, batch 0, one to three axes."""
    for x, w, stride, padding, dilation, groups in (
        ((2, 1, 4, 3), (2, 1, 2, 2), (2, 1), ((1, 0), (1, 1)), (1, 1), 1),
        ((1, 1, 4, 4), (1, 1, 2, 2), (1, 1), ((0, 0), (0, 0)), (2, 2), 1),
        ((1, 4, 2, 2), (2, 2, 2, 2), (1, 1), ((1, 1), (0, 1)), (1, 1), 2),
        ((1, 2, 3, 4), (4, 1, 2, 1), (2, 3), ((1, 1), (0, 2)), (1, 2), 2),
        ((2, 1, 6), (2, 1, 3), (2,), ((1, 2),), (2,), 1),
        ((1, 1, 2, 3, 2), (1, 1, 2, 2, 1), (1, 2, 1), ((0, 0), (1, 0), (0, 0)), (1, 1, 1), 1),
        ((0, 2, 3, 3), (1, 2, 2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
        ((2, 2, 2, 2), (2, 2, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ):
        settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        out = [
            (n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(x[2:], w[2:], stride, padding, dilation)
        ]
        h = (x[0], w[0], *out)
        if name == "conv":
            yield draw(name, x, w, **settings)
        elif name == "conv_input":
            yield draw(name, h, w, size=x, **settings)
        else:
            yield draw(name, x, h, size=w, **settings)


CONVOLUTIONS = (
    Row(
        "conv",
        (
            *conv_samples("conv"),
            draw("conv", (1, 2, 4, 4), (1, 2, 3, 3), stride=2, padding=1),
            draw("conv", (1, 1, 3), (1, 1, 2)),
        ),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones((1, 2, 3, 3)), np.ones((1, 3, 2, 2))), ShapeError, "(1, 2, 3, 3)"),
            Bad((np.ones((1, 2, 3, 3)), np.ones((1, 2, 4, 2))), ShapeError, "reaches over 4"),
            Bad((np.ones((1, 2, 3, 3)), np.ones((1, 2, 2))), ShapeError, "(1, 2, 2)"),
            Bad((np.ones((1, 2, 3)), np.ones((3, 1, 2))), ShapeError, "groups", {"groups": 2}),
            Bad((np.ones((1, 1, 3)), np.ones((1, 1, 2))), ValueError, "stride", {"stride": 0}),
            Bad((np.ones((1, 1, 3)), np.ones((1, 1, 2))), ValueError, "padding", {"padding": -1}),
            Bad((np.ones((1, 1, 3)), np.ones((1, 1, 2))), ValueError, "dilation", {"dilation": (1, 1)}),
        ),
    ),
    Row("conv_input", tuple(conv_samples("conv_input")), complex=True, weak=False),
    Row("conv_filter", tuple(conv_samples("conv_filter")), complex=True, weak=False),
)

LOSSES = (
    Row(
        "mean_squared_error",
        (draw("mse", (2, 3), (2, 3)), draw("mse", (), ()), draw("mse", 0.7, 0.3)),
        specials=(
            Special((np.zeros(0), np.zeros(0)), A(2.0), (np.zeros(0), np.zeros(0)), value=A(nan), why="of nothing"),
        ),
        errors=(Bad((np.ones(3), np.ones((3, 1))), ShapeError, "(3, 1)"),),
    ),
)

ROWS = (*REDUCTIONS, *NORMALISED, *LINEAR, *CONVOLUTIONS, *LOSSES)
