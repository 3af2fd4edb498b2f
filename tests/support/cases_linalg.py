"""Case table: linear products and norms."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError, LinAlgError, ShapeError

from .rows import Bad, Row, Sample, Special, apart, draw, nonzero, regular

inf = np.inf
A = np.array
SINGULAR = A([[1.0, 2.0], [2.0, 4.0]])
NOT_SQUARE = Bad((np.ones((2, 3)),), ShapeError, "(2, 3)")
VECTOR = Bad((np.ones(3),), ShapeError, "(3,)")


def graded(rng, shape, k=0):
    """Matrices whose singular values are 0.9 apart, the smallest above 1."""
    m, n = shape[-2:]
    left, right = (np.linalg.qr(rng.normal(size=(*shape[:-2], size, size)))[0] for size in (m, n))
    values = 1.2 + 0.9 * np.arange(min(m, n))[::-1]
    return (left[..., : min(m, n)] * values) @ right[..., : min(m, n), :]


def far(rng, shape, k=0):
    """From 3 to 5."""
    return rng.uniform(3, 5, shape)


def samples(name, *shapes, numbers=apart, **settings):
    """One sample for each tuple of shapes."""
    return tuple(draw(name, *s, numbers=numbers, **settings) for s in shapes)


def row(name, drawn, **keywords):
    """A row whose operands are arrays alone, real or complex."""
    return Row(name, drawn, **{"complex": True, "weak": False, "tolerance": 10, **keywords})


VECTORS = (((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (2, 3)), ((0, 3), (3,)), ((2, 0), (0,)))

PRODUCTS = (
    row(
        "inner",
        samples("inner", ((2, 3), (3,)), ((2, 3), (4, 3)), ((3,), (3,)), ((), (2,)), ((0, 3), (2, 3)), ((2, 0), (0,))),
        errors=(Bad((np.ones((2, 3)), np.ones(2)), ShapeError, "(2,)"),),
    ),
    row("outer", samples("outer", ((2,), (3,)), ((2, 2), (3,)), ((), (2,)), ((0,), (2,)))),
    row(
        "vdot",
        samples("vdot", ((3,), (3,)), ((2, 3), (3, 2)), ((), ()), ((0,), (0,))),
        errors=(Bad((np.ones(3), np.ones(2)), ShapeError, "3 and 2 entries"),),
    ),
    row(
        "vecdot",
        (*samples("vecdot", *VECTORS), draw("vecdot", (3, 2), (3, 1), axis=-2), draw("vecdot", (3, 2), (3,), axis=0)),
        errors=(
            Bad((np.ones(3), np.ones(2)), ShapeError, "3 and 2"),
            Bad((np.ones((2, 3)), np.ones((3, 3))), ShapeError, "broadcast"),
            Bad((np.ones(3), np.ones(3)), AxisError, "axis 1", {"axis": 1}),
            Bad((np.ones(3), np.ones(())), ShapeError, "scalar"),
        ),
    ),
    row(
        "matvec",
        samples("matvec", ((2, 3), (3,)), ((2, 2, 3), (3,)), ((2, 3), (4, 3)), ((2, 0), (0,)), ((0, 2, 3), (3,))),
        errors=(
            Bad((np.ones((2, 3)), np.ones(2)), ShapeError, "3 and 2"),
            Bad((np.ones(3), np.ones(3)), ShapeError, "(..., m, n)"),
        ),
    ),
    row(
        "vecmat",
        samples("vecmat", ((2,), (2, 3)), ((2,), (2, 2, 3)), ((4, 2), (2, 3)), ((0,), (0, 2)), ((2,), (0, 2, 3))),
        errors=(
            Bad((np.ones(3), np.ones((2, 3))), ShapeError, "3 and 2"),
            Bad((np.ones(3), np.ones(3)), ShapeError, "(..., m, n)"),
        ),
    ),
    row("kron", samples("kron", ((2, 2), (1, 3)), ((2,), (2, 3)), ((2, 1, 2), (3,)), ((), (2,)), ((0,), (2,)))),
    row(
        "cross",
        (*samples("cross", ((3,), (3,)), ((2, 3), (3,)), ((0, 3), (3,))), draw("cross", (3, 2), (3, 1), axis=0)),
        errors=(
            Bad((np.ones(3), np.ones(2)), ShapeError, "3 entries"),
            Bad((np.ones((2, 3)), np.ones((4, 3))), ShapeError, "broadcast"),
        ),
    ),
    row(
        "multi_dot",
        samples(
            "multi_dot",
            *(((2, 3), (3, 2)), ((2, 3), (3, 1), (1, 4)), ((3, 2), (2, 4), (4, 1), (1, 2))),
            *(((3,), (3, 2), (2,)), ((2,), (2, 3)), ((2, 0), (0, 3))),
        ),
        run=lambda xp, *arrays: xp.multi_dot(arrays),
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 3))), ShapeError, "chain"),
            Bad((np.ones((2, 3)),), ValueError, "two arrays"),
            Bad((np.ones((2, 3)), np.ones(3), np.ones((3, 2))), ShapeError, "chain"),
        ),
    ),
    row(
        "sparse_matmul",
        tuple(
            draw("sparse", (4,), b, rows=A([0, 1, 1, 1]), columns=A([2, 0, 1, 0]), shape=(2, 3))
            for b in ((3, 2), (3,), (3, 0))
        ),
        run=lambda xp, values, b, rows, columns, shape: xp.sparse_matmul(values, rows, columns, shape, b),
        errors=(
            Bad((np.ones(1), np.ones(2)), ShapeError, "(2,)", {"rows": A([0]), "columns": A([0]), "shape": (2, 3)}),
            Bad((np.ones(1), np.ones(3)), ShapeError, "(2,)", {"rows": A([0, 1]), "columns": A([0]), "shape": (2, 3)}),
            Bad((np.ones(1), np.ones(3)), IndexError, "3", {"rows": A([0]), "columns": A([3]), "shape": (2, 3)}),
        ),
    ),
    row(
        "cdist",
        (
            draw("cdist", (2, 3), (2, 3), numbers=(nonzero, far)),
            draw("cdist", (3, 2), (2, 2, 2), numbers=(nonzero, far), p=3),
            draw("cdist", (1, 2), (3, 2), numbers=(nonzero, far), p=1),
            draw("cdist", (0, 2), (3, 2), numbers=(nonzero, far)),
        ),
        specials=(
            Special(
                (A([[1.0, 2.0], [4.0, 6.0]]), A([[1.0, 2.0]])),
                A([[3.0], [5.0]]),
                (A([[0.0, 0.0], [3.0, 4.0]]), A([[-3.0, -4.0]])),
                value=A([[0.0], [5.0]]),
                why="safe where points coincide",
            ),
        ),
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 2))), ShapeError, "3 and 2"),
            Bad((np.ones(3), np.ones((2, 3))), ShapeError, "(3,)"),
        ),
    ),
    row(
        "diagonal",
        tuple(
            draw("diagonal", s, offset=k)
            for s, k in (((2, 3), 0), ((2, 3), 1), ((2, 3), -1), ((2, 2, 3), 0), ((3, 2), 5), ((0, 2), 0))
        ),
        errors=(VECTOR,),
    ),
    row(
        "trace",
        tuple(draw("trace", s, offset=k) for s, k in (((2, 3), 0), ((2, 3), 1), ((2, 3, 3), -1), ((0, 2), 0))),
        errors=(VECTOR,),
    ),
)

LINES = ((2, 3), {"axis": -1}), ((2, 3), {}), ((2, 2, 3), {"axis": (0, -1), "keepdims": True}), ((0, 2), {"axis": 0})
ORDERS = (3, 1, inf, -inf, 0.5, -2)
WIDE = A([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])

NORMS = (
    row(
        "vector_norm",
        (
            *(draw("vector_norm", s, **k) for s, k in LINES),
            *(draw("vector_norm", (2, 3), numbers=nonzero, axis=1, ord=o) for o in ORDERS),
            draw("vector_norm", ()),
        ),
        specials=(
            Special((np.zeros(3),), A(2.0), (np.zeros(3),), value=A(0.0)),
            Special((np.zeros(3),), A(inf), (np.zeros(3),), value=A(0.0), why="select"),
            Special((A([3.0, 0.0, -4.0]),), A(5.0), (A([3.0, 0.0, -4.0]),), second=A([1.12, 1, 0.84])),
            Special((A([3e200, -4e200]),), A(5.0), (A([3.0, -4.0]),), value=A(5e200), why="no overflow"),
            Special((A([3e-200, -4e-200]),), A(5.0), (A([3.0, -4.0]),), value=A(5e-200), why="no early 0"),
            Special((A([2.0, 0.0]),), A(3.0), (A([3.0, 0.0]),), {"ord": 0.5}, why="a cusp counts as flat"),
            Special((A([2.0, 0.0]),), A(3.0), (A([3.0, 0.0]),), {"ord": 1}),
            Special((A([2.0, -2.0]),), A(3.0), (A([1.5, -1.5]),), {"ord": inf}, why="a tie is split evenly"),
            Special((np.zeros(2),), A(3.0), (np.zeros(2),), {"ord": 3}, value=A(0.0)),
            Special((A([2.0, 0.0]),), A(3.0), (np.zeros(2),), {"ord": 0}, value=A(1.0)),
        ),
        errors=(
            Bad((np.ones((2, 3)),), AxisError, "axis 5", {"axis": 5}),
            Bad((np.ones((2, 3)),), ValueError, "'fro'", {"ord": "fro"}),
        ),
    ),
    row(
        "matrix_norm",
        (
            *(draw("matrix_norm", (2, 3), numbers=graded, ord=o) for o in ("fro", "nuc", 2, -2)),
            *(draw("matrix_norm", (2, 3), numbers=nonzero, ord=o) for o in (1, -1, inf, -inf)),
            draw("matrix_norm", (2, 3, 2), numbers=graded, ord="nuc", keepdims=True),
            draw("matrix_norm", (0, 2, 2)),
        ),
        domain="matrices with distinct singular values",
        specials=(
            *(Special((np.zeros((2, 2)),), A(2.0), (np.zeros((2, 2)),), {"ord": o}) for o in ("fro", "nuc", 1, 2, -2)),
            Special((WIDE,), A(2.0), (A([[2.0, 0, 0], [0, 0, 0]]),), {"ord": "nuc"}, value=A(3.0), why="smallest"),
            Special((2 * np.eye(2),), A(2.0), (2 * np.eye(2),), {"ord": "nuc"}, value=A(4.0), why="equal values"),
            Special((2 * np.eye(2),), A(2.0), (np.eye(2),), {"ord": 2}, value=A(2.0), why="a tie is split evenly"),
        ),
        errors=(VECTOR, Bad((np.ones((2, 3)),), ValueError, "'fro'", {"ord": 3})),
    ),
    row(
        "norm",
        (
            draw("norm", (2, 3)),
            draw("norm", (3,), numbers=nonzero, ord=3),
            draw("norm", (2, 3), ord=1),
            draw("norm", (2, 3), axis=0, ord=inf),
            draw("norm", (3, 2, 2), axis=(0, 2), keepdims=True),
            draw("norm", (0, 2)),
        ),
        specials=(Special((np.zeros((2, 2)),), A(2.0), (np.zeros((2, 2)),), value=A(0.0)),),
        errors=(
            Bad((np.ones((2, 2, 2)),), ValueError, "needs axis", {"ord": 1}),
            Bad((np.ones((2, 2, 2)),), ValueError, "pair", {"axis": (0, 1, 2)}),
            Bad((np.ones((2, 2)),), AxisError, "axis 5", {"axis": 5}),
        ),
    ),
    row(
        "condition_number",
        (
            draw("cond", (2, 3), numbers=graded),
            draw("cond", (2, 2), numbers=graded, p=-2),
            draw("cond", (2, 2, 2), numbers=regular, p=1),
            draw("cond", (0, 2, 2), numbers=regular, p="fro"),
        ),
        errors=(Bad((np.ones((2, 0)),), ShapeError, "(2, 0)"), Bad((SINGULAR,), LinAlgError, "singular", {"p": 1})),
    ),
    row(
        "matrix_rank",
        (
            draw("rank", (3, 2)),
            Sample((np.stack([SINGULAR, np.eye(2), np.zeros((2, 2))]),)),
            Sample((np.diag([1.0, 1e-3]),), {"rtol": 1e-2}),
        ),
        differentiable=False,
        complex=False,
        errors=(VECTOR,),
    ),
)

ROWS = (*PRODUCTS, *NORMS)
