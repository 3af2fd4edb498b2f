"""Case table: branches and loops, functions of functions."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError, ShapeError

from .rows import Bad, Row, Sample, draw

CARRIED = {"run": lambda xp, c, x, **s: xp.scan(lambda c, x: (xp.multiply(c, x), xp.add(c, xp.sin(x))), c, x, **s)}


def branch(xp, x, flag):
    """sin x or x * x."""
    return xp.cond(flag, lambda v: xp.sin(v), lambda v: xp.multiply(v, v), x)


def fourth_power(xp, x):
    """A counter and a product in one state."""
    return xp.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, xp.multiply(s[1], x)), (0, x))[1]


def of_rows(xp, x, **settings):
    """The running product of each row with its sines."""
    return xp.map(lambda row: xp.multiply(row, xp.sin(row)), x, **settings)


ROWS: tuple[Row, ...] = (
    Row(
        "cond",
        tuple(
            Sample((*draw("cond", shape).operands, flag))
            for shape, flag in (((3,), True), ((3,), False), ((), True), ((2, 0), True), (0.7, False))
        ),
        run=branch,
        integers=False,
        complex=True,
        errors=(Bad((np.ones(3), np.array([True, False])), ShapeError, "op.where"),),
    ),
    Row(
        "while_loop",
        tuple(draw("while_loop", shape) for shape in ((3, 2), (), (0,), 0.7)),
        run=fourth_power,
        complex=True,
    ),
    Row(
        "scan",
        (
            draw("scan", (2,), (3, 2)),
            draw("scan", (), (4,), reverse=True),
            draw("scan", (2,), (0, 2)),
            draw("scan", (), (3,), length=3),
        ),
        weak=False,
        integers=False,
        complex=True,
        errors=(
            Bad((np.ones(2), np.ones((3, 2))), ShapeError, "length=2", {"length": 2}),
            Bad((np.ones(2), np.ones(())), ShapeError, "at least one axis"),
        ),
        **CARRIED,
    ),
    Row(
        "map",
        (draw("map", (3, 2)), draw("map", (2, 3), axis=1), draw("map", (0, 2)), draw("map", (2,))),
        run=of_rows,
        weak=False,
        complex=True,
        errors=(
            Bad((np.ones(()),), ShapeError, "at least one axis"),
            Bad((np.ones((2, 3)),), AxisError, "2", {"axis": 2}),
        ),
    ),
)
