"""Case table: moving entries, indexing, creation, and what acts on the graph."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError, IndexOutOfBoundsError, ShapeError
from zkynet.framework.operations.random import Generator

from .rows import UNARY, Bad, Row, Sample, Special, draw, unary

inf, nan = np.inf, np.nan
A = np.array
OFF_AXIS = Bad((np.ones((2, 3)),), AxisError, "axis 5", {"axis": 5})


def moving(name, *samples, **keywords):
    """A row for what moves entries: every dtype goes through."""
    return Row(name, samples, **{"complex": True, "weak": False, **keywords})


MOVES = (
    moving(
        "reshape",
        *(
            draw("reshape", s, shape=t)
            for s, t in (((2, 3), (3, 2)), ((2, 3), (-1,)), ((2, 3), (1, 6, 1)), ((1, 1), ()))
        ),
        *(draw("reshape", s, shape=t) for s, t in (((), (1, 1)), ((0, 3), (3, 0, 2)), ((6,), 6), (0.7, (1,)))),
        errors=(
            Bad((np.ones(6),), ShapeError, "(4, 2)", {"shape": (4, 2)}),
            Bad((np.ones(6),), ShapeError, "(-1, -1)", {"shape": (-1, -1)}),
            Bad((np.ones(6),), ShapeError, "(-2, -3)", {"shape": (-2, -3)}),
        ),
    ),
    moving(
        "permute_dims",
        *(
            draw("permute", s, axes=a)
            for s, a in (((2, 3, 4), (2, 0, 1)), ((2, 3), (-1, 0)), ((), ()), ((0, 2), (1, 0)))
        ),
        errors=(
            Bad((np.ones((2, 3)),), ValueError, "(0, 0)", {"axes": (0, 0)}),
            Bad((np.ones((2, 3)),), ValueError, "(0,)", {"axes": (0,)}),
            Bad((np.ones((2, 3)),), AxisError, "axis 2", {"axes": (0, 2)}),
        ),
    ),
    moving(
        "transpose",
        *(draw("transpose", s) for s in ((2, 3, 2), (3,), (), (0, 2))),
        draw("transpose", (2, 3, 2), axes=(1, 0, 2)),
        errors=(Bad((np.ones((2, 3)),), ValueError, "(0, 0)", {"axes": (0, 0)}),),
    ),
    moving(
        "moveaxis",
        *(
            draw("moveaxis", s, source=i, destination=j)
            for s, i, j in (((2, 3, 4), 0, -1), ((2, 3, 4), (0, 2), (1, 0)), ((2, 3, 4), -1, 0), ((0, 2), 0, 1))
        ),
        errors=(
            Bad((np.ones((2, 3)),), AxisError, "axis 4", {"source": 4, "destination": 0}),
            Bad((np.ones((2, 3)),), ValueError, "distinct", {"source": (0, 0), "destination": (0, 1)}),
        ),
    ),
    moving(
        "matrix_transpose",
        *(draw("mT", s) for s in ((2, 3), (2, 2, 3), (2, 0))),
        errors=(Bad((np.ones(3),), ValueError, "(3,)"),),
        weak=False,
    ),
    moving(
        "broadcast_to",
        *(
            draw("broadcast_to", s, shape=t)
            for s, t in (
                ((3, 1), (2, 3, 2)),
                ((2,), (3, 2)),
                ((), (2, 2)),
                ((1, 2), (0, 2)),
                ((0, 2), (3, 0, 2)),
                ((), ()),
            )
        ),
        draw("broadcast_to", 0.7, shape=(2,)),
        errors=(
            Bad((np.ones(3),), ShapeError, "(3,)", {"shape": (4,)}),
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"shape": (3,)}),
        ),
    ),
    moving(
        "expand_dims",
        *(
            draw("expand", s, axis=a)
            for s, a in (((2, 3), 1), ((2, 3), -1), ((2, 3), (0, 2)), ((), 0), ((0, 2), -2), ((2,), (-1, 0)))
        ),
        errors=(
            Bad((np.ones(2),), AxisError, "axis 2", {"axis": 2}),
            Bad((np.ones(2),), ValueError, "duplicate", {"axis": (0, 0)}),
        ),
    ),
    moving(
        "squeeze",
        *(
            draw("squeeze", s, axis=a)
            for s, a in (((1, 3, 1), 0), ((1, 3, 1), (0, 2)), ((1, 3, 1), None), ((1, 0), -2))
        ),
        errors=(
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"axis": 0}),
            Bad((np.ones((1, 3)),), AxisError, "axis 2", {"axis": 2}),
        ),
    ),
    moving(
        "flip",
        *(
            draw("flip", s, axis=a)
            for s, a in (((2, 3), 0), ((2, 3), None), ((2, 3), (-1, 0)), ((), None), ((0, 3), 0))
        ),
        errors=(OFF_AXIS,),
    ),
    moving(
        "concat",
        *(
            draw("concat", *s, axis=a)
            for s, a in ((((2, 1), (2, 2), (2, 0)), 1), (((1, 2), (3, 2)), 0), (((2,),), 0), (((2, 2), (3,)), None))
        ),
        draw("concat", (2, 2, 1), (2, 1, 1), axis=-2),
        run=lambda xp, *arrays, axis: xp.concat(list(arrays), axis=axis),
        weak=False,
        errors=(
            Bad((np.ones((2, 3)), np.ones((3, 3))), ShapeError, "(2, 3), (3, 3)", {"axis": 1}),
            Bad((np.ones((2, 3)), np.ones(3)), ShapeError, "(2, 3), (3,)", {"axis": 0}),
            Bad((), ValueError, "at least one", {"axis": 0}),
            Bad((np.ones(3),), AxisError, "axis 1", {"axis": 1}),
        ),
    ),
    moving(
        "stack",
        *(
            draw("stack", *s, axis=a)
            for s, a in ((((2, 3), (2, 3)), 1), (((3,),), 0), (((), ()), 0), (((0, 2), (0, 2)), -1))
        ),
        draw("stack", 0.7, 0.3, axis=0),
        run=lambda xp, *arrays, axis: xp.stack(list(arrays), axis=axis),
        errors=(
            Bad((np.ones((2, 3)), np.ones((3, 3))), ShapeError, "(2, 3), (3, 3)", {"axis": 0}),
            Bad((), ValueError, "", {"axis": 0}),
        ),
    ),
    moving(
        "place",
        draw("place", (2, 1), index=(..., slice(0, 4, 2), slice(1, 2)), shape=(4, 3)),
        draw("place", (3,), index=(..., slice(None, None, -1)), shape=(3,)),
        draw("place", (1, 2), index=(..., None, 1, slice(0, 2)), shape=(3, 4)),
        draw("place", (), index=(..., 1), shape=(3,)),
        draw("place", (0,), index=(..., slice(0, 0)), shape=(3,)),
    ),
    *[
        moving(
            name,
            *(draw(name, s, k=k) for s, k in (((3, 3), 0), ((2, 3), 1), ((3, 2), -1), ((2, 2, 3), 0), ((0, 2), 0))),
            weak=False,
        )
        for name in ("tril", "triu")
    ],
    unary("copy", complex=True),
    unary("identity", complex=True),
)

FIRST, ROWS_, WIDE = A([0, 2, 0]), A([[0], [1]]), A([[1, 0, 1]])
INDICES = {
    (3, 4): (
        (slice(1, None), FIRST),
        (slice(None, None, -1), slice(0, 3, 2)),
        (ROWS_, WIDE),
        A([True, False, True]),
        (None, 1, ..., None),
        (FIRST, 1),
        1,
        -1,
        (..., 0),
        (slice(3, 0, -2), 1),
        slice(5, 2),
        (),
        ...,
        FIRST,
        A([-1, -3]),
        A(1),
        (FIRST, None, slice(0, 2)),
        (None, FIRST, slice(1, 2)),
        (None, A([True, False, True])),
        (..., ROWS_, WIDE),
        np.zeros(0, int),
        (np.zeros((2, 0), int), 1),
        (slice(None), A([True, False, True, True])),
        np.ones((3, 4), bool),
        np.zeros((3, 4), bool),
        (A([True, False, True]), A([0, 3])),
        [0, 2, 2],
    ),
    (3, 4, 3): (
        (1, slice(None), FIRST),  # advanced indices that stand apart: their axes come first
        (FIRST, slice(None), 1),
        (slice(None), FIRST, FIRST),
        (slice(None), FIRST, ..., 1),  # an Ellipsis parts them, even where it stands for no axis
        (A([True, False, True]), slice(None), A([0, 1])),
    ),
    (0, 3): ((slice(0, 1), 1),),
}


def indexed(name):
    """Samples of x[index], for as many kinds of index as NumPy has."""
    return [draw(name, shape, item=item) for shape, items in INDICES.items() for item in items]


def written(name):
    """Samples of functional writes: the entries, and values that broadcast to them."""
    for item, shape in (
        (1, (4,)),
        ((..., 0), ()),
        (slice(0, 2), (1, 4)),
        ((slice(None), A([0, 2])), (3, 2)),
        (A([True, False, True]), (2, 4)),
        (A([0, 0, 2]), (3, 1)),  # an entry named twice
        ((A([[0], [0]]), A([[1, 1]])), (2, 2)),
        ((), (3, 4)),
        (np.zeros(0, int), (0, 4)),
    ):
        yield draw(name, (3, 4), shape, item=item)
    yield draw(name, (3,), 0.7, item=1)


OFF_INDEX = tuple(
    Bad((np.ones((3, 4)), np.ones(())), IndexError, "", {"item": item})
    for item in (3, (0, 4), -4, A([0, 3]), A([-4]), (0, 0, 0), A([True, False]), A([0.5]), (A([0, 1]), A([0, 1, 2])))
)

INDEXING = (
    Row(
        "index",
        tuple(indexed("index")),
        run=lambda xp, x, item: xp.asarray(x)[item],
        complex=True,
        weak=False,
        errors=tuple(Bad(b.operands[:1], b.error, b.says, b.settings) for b in OFF_INDEX)
        + (Bad((np.ones(3),), IndexError, "", {"item": True}), Bad((np.ones(3),), TypeError, "'a'", {"item": "a"})),
    ),
    Row(
        "index_set",
        tuple(written("index_set")),
        run=lambda xp, x, values, item: xp.index_set(x, item, values),
        complex=True,
        errors=(*OFF_INDEX, Bad((np.ones(3), np.ones(2)), ShapeError, "(2,)", {"item": slice(None)})),
        specials=(
            Special(
                (A([1.0, 2.0, 3.0]), A([5.0, 6.0])),
                A([1.0, 2, 4]),
                (A([0.0, 2, 4]), A([0.0, 1])),
                {"item": A([0, 0])},
                A([6.0, 2, 3]),
            ),
        ),
    ),
    Row(
        "scatter_add",
        tuple(written("scatter_add")),
        run=lambda xp, x, updates, item: xp.scatter_add(x, item, updates),
        complex=True,
        errors=(*OFF_INDEX, Bad((np.ones(3), np.ones(2)), ShapeError, "(2,)", {"item": slice(None)})),
        specials=(
            Special(
                (A([1.0, 2.0, 3.0]), A([5.0, 6.0])),
                A([1.0, 2, 4]),
                (A([1.0, 2, 4]), A([1.0, 1])),
                {"item": A([0, 0])},
                A([12.0, 2, 3]),
            ),
        ),
    ),
    Row(
        "scatter_set",
        (
            Sample((*draw("set", (2, 4), (2, 2)).operands, A([3, 0]))),
            Sample((*draw("set", (4,), (1,)).operands, A([2]))),
            Sample((*draw("set", (4,), (0,)).operands, np.zeros(0, int))),
        ),
        run=lambda xp, x, values, index, **s: xp.scatter_set(x, index, values, **s),
        complex=True,
        weak=False,
        errors=(Bad((np.ones((2, 4)), np.ones((2, 2)), A([3, 0])), ValueError, "axis=0", {"axis": 0}),),
    ),
    Row(
        "scatter_sum",
        (
            Sample((*draw("sum", (2, 3)).operands, A([1, 1, 0])), {"size": 4}),
            Sample((*draw("sum", (2, 3, 2)).operands, A([1, 1, 3])), {"size": 4, "axis": -2}),
            Sample((*draw("sum", (2, 3, 2)).operands, A([[1, 1, 3], [0, 1, 2]])), {"size": 4, "axis": 0}),
            Sample((*draw("sum", (2, 0)).operands, np.zeros(0, int)), {"size": 3}),
            Sample((*draw("sum", (2,)).operands, A([-1, 0])), {"size": 3}),
        ),
        complex=True,
        weak=False,
        specials=(
            Special(
                (A([inf, 2.0]), A([0, 1])),
                A([1.0, 3.0]),
                (A([1.0, 3]), None),
                {"size": 2},
                A([inf, 2.0]),
                why="no leak",
            ),
        ),
        errors=(Bad((np.ones(2), A([0, 3])), IndexOutOfBoundsError, "3", {"size": 3}),),
    ),
    Row(
        "take",
        (
            Sample((*draw("take", (2, 4)).operands, A([3, 0, 3])), {"axis": 1}),
            Sample((*draw("take", (3, 2)).operands, A([[0, -1], [1, 1]])), {"axis": 0}),
            Sample((*draw("take", (4,)).operands, A(2))),
            Sample((*draw("take", (4,)).operands, np.zeros((2, 0), int))),
            Sample((*draw("take", (4,)).operands, A([1, 2], "int8"))),
            Sample((*draw("take", (0, 2)).operands, A([[1, 1]])), {"axis": 1}),
        ),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones(3), A([5])), IndexOutOfBoundsError, "5"),
            Bad((np.ones(3), A([-4])), IndexOutOfBoundsError, "-4"),
            Bad((np.ones(3), A([0.5])), IndexError, "integers"),
            Bad((np.ones((2, 3)), A([0])), ValueError, "axis"),
        ),
    ),
    Row(
        "take_along_axis",
        (
            Sample((*draw("along", (2, 4)).operands, A([[3, 3, 0], [1, -1, 0]])), {"axis": 1}),
            Sample((*draw("along", (3, 2)).operands, A([[0, 2]])), {"axis": 0}),
            Sample((*draw("along", (3, 2)).operands, A([[1]])), {"axis": -1}),  # broadcasts against x
            Sample((*draw("along", (1, 2)).operands, A([[1, 0], [0, 0]])), {"axis": 1}),  # x broadcasts
            Sample((*draw("along", (2, 3, 2)).operands, A([[[0], [1], [1]]])), {"axis": 2}),
            Sample((*draw("along", (2, 0)).operands, np.zeros((2, 0), int)), {"axis": 1}),
        ),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones((2, 3)), A([[3], [0]])), IndexOutOfBoundsError, "3", {"axis": 1}),
            Bad((np.ones((2, 3)), A([0])), ShapeError, "rank", {"axis": 1}),
            Bad((np.ones((2, 3)), A([[0], [0], [0]])), ShapeError, "(", {"axis": 1}),
        ),
    ),
)


def made(name, *samples, **keywords):
    """Creation of constants on the default backend: no operands that could be tracked."""
    return Row(name, samples, differentiable=False, integers=False, weak=False, domain="no operand", **keywords)


CASTS = (("int8", "float32"), ("int64", "float32"), ("float32", "complex64"), ("float64", "float32"))
# Arrays, dtypes and Python numbers, which are weak.
PROMOTED = (
    *((np.ones(2, "float32"), 1.0), (np.ones(2, "int8"), np.dtype("int16"), 3), (np.dtype("uint8"), np.dtype("int8"))),
    *((np.ones((), "float64"), np.ones(2, "float32")), (np.dtype("float32"), 1j), (np.dtype("int64"), 0.5)),
)
CREATION = (
    made(
        "zeros",
        Sample((), {"shape": (2, 3)}),
        Sample((), {"shape": ()}),
        Sample((), {"shape": (2, 0), "dtype": "float32"}),
    ),
    made("ones", Sample((), {"shape": (2, 3)}), Sample((), {"shape": 2, "dtype": "int64"})),
    made(
        "eye",
        Sample((), {"n_rows": 3}),
        Sample((), {"n_rows": 2, "n_cols": 4, "k": 1, "dtype": "float32"}),
        run=lambda xp, n_rows, n_cols=None, **s: xp.eye(n_rows, n_cols, **s),
    ),
    made("arange", Sample((4,)), Sample((1.0, 2.0, 0.25)), Sample((5, 1, -2)), Sample((3,), {"dtype": "float32"})),
    made("zeros_like", *(Sample((np.full(s, 2.5),)) for s in ((2, 3), (), (0,))), Sample((A([1, 2]),)), Sample((2.5,))),
    made("ones_like", *(Sample((np.full(s, 2.5),)) for s in ((2, 3), (), (0,))), Sample((A([1, 2]),)), Sample((2.5,))),
    made(
        "finfo",
        Sample(()),
        run=lambda xp: A([float(xp.finfo(np.dtype("float32")).eps), float(xp.finfo(np.dtype("float64")).max)]),
    ),
    made("iinfo", Sample(()), run=lambda xp: A([xp.iinfo(np.dtype("int8")).min, xp.iinfo(np.dtype("uint16")).max])),
    made(
        "isdtype",
        *(Sample((), {"kind": kind}) for kind in ("integral", "bool", ("bool", "numeric"), np.dtype("int8"))),
        run=lambda xp, kind: A(xp.isdtype(np.dtype("int8"), kind)),
        errors=(Bad((), ValueError, "unknown kind", {"kind": "whole"}),),
    ),
    made("can_cast", Sample(()), run=lambda xp: A([xp.can_cast(*map(np.dtype, p)) for p in CASTS])),
    made("result_type", Sample(()), run=lambda xp: A([np.dtype(xp.result_type(*t)).itemsize for t in PROMOTED])),
    made(
        "broadcast_shapes",
        Sample(()),
        run=lambda xp: A(xp.broadcast_shapes((3, 1), (2,), (1, 1, 1))),
    ),
)

GRAPH = (
    Row(
        "asarray",
        (*(draw("asarray", s) for s in UNARY), Sample((A([1.5, 2.5]),), {"dtype": "complex128"})),
        complex=True,
        run=lambda xp, x, dtype=None: xp.asarray(x, dtype=dtype),
        errors=(Bad(("text",), TypeError, ""), Bad((None,), TypeError, "")),
    ),
    Row(
        "from_dlpack",
        (*(draw("from_dlpack", s) for s in ((3, 2), (), (0,))), Sample((A([1, 2]),))),
        weak=False,
        errors=(Bad(("text",), TypeError, "__dlpack__"), Bad((2.5,), TypeError, "__dlpack__")),
    ),
    Row("stop_gradient", tuple(draw("stop", s) for s in UNARY), differentiable=False, complex=True),
    Row(
        "is_complex",
        (Sample(()),),
        run=lambda xp: A([bool(xp.is_complex("complex64")), bool(xp.is_complex(np.dtype("float32")))]),
        differentiable=False,
    ),
    Row("is_traced", (Sample((np.ones(2),)),), run=lambda xp, x: A(bool(xp.is_traced(x))), differentiable=False),
    *[
        Row(
            name,
            (
                *(draw(name, s, axis=a) for s, a in (((2, 3), None), ((2, 3), 1), ((3,), -1), ((2, 3, 0), 0))),
                draw(name, (2, 3), axis=0, keepdims=True),
                Sample((A([1.0, 3.0, 3.0, 1.0]),)),
            ),
            differentiable=False,
            weak=False,
            errors=(OFF_AXIS,),
        )
        for name in ("argmax", "argmin")
    ],
    Row(
        "dropout",
        (
            draw("dropout", (4, 3), rate=0.4),
            draw("dropout", (), rate=0.0),
            draw("dropout", (0, 3), rate=0.5),
            draw("dropout", 0.7, rate=0.4),
        ),
        run=lambda xp, x, rate: xp.dropout(x, rate, Generator((7, 3))),
        complex=True,
        integers=False,
        errors=(
            Bad((np.ones(3),), ValueError, "1.0", {"rate": 1.0}),
            Bad((np.ones(3),), ValueError, "-0.1", {"rate": -0.1}),
            Bad((A([1, 2]),), TypeError, "floating", {"rate": 0.5}),
        ),
    ),
)

ROWS = (*MOVES, *INDEXING, *CREATION, *GRAPH)
