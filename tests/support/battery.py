"""Points where differences see nothing: kinks, ties, infinite cotangents, and what a gradient rule has to give there.

The values are those of docs/singular-points. ``check_grads`` refuses such points, so each is compared with numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import zkynet as zk
from zkynet.framework import op

from . import battery_curves

inf, nan = np.inf, np.nan
A = np.array


class Singular(NamedTuple):
    """A function, its arguments, a cotangent ``g``, and the cotangent of each argument (None: nothing is said)."""

    f: Callable
    args: tuple
    g: Any
    expected: tuple

    def check(self) -> None:
        """AssertionError where a gradient is not what it has to be."""
        with np.errstate(all="ignore"):
            found = zk.vjp(self.f, *self.args)[1](self.g)
        for n, (got, expected) in enumerate(zip(found, self.expected, strict=True)):
            if expected is not None:
                np.testing.assert_allclose(got, expected, rtol=1e-12, atol=0, err_msg=f"argument {n}")


class Pushed(NamedTuple):
    """A function, its arguments, their tangents, and the tangent of the output."""

    f: Callable
    args: tuple
    tangents: tuple
    expected: Any

    def check(self) -> None:
        """AssertionError where a tangent is not what it has to be."""
        with np.errstate(all="ignore"):
            moved = zk.jvp(self.f, self.args, self.tangents)[1]
        np.testing.assert_allclose(moved, self.expected, rtol=1e-12, atol=0)


MASK = A([True, False, True])

BATTERY: dict[str, Singular | Pushed] = {
    "divide: 0 / 0 beneath a cotangent of 0": Singular(
        op.divide, (A([0.0, 2.0]), A([0.0, 0.0])), A([0.0, 0.0]), (A([0.0, 0.0]), A([0.0, 0.0]))
    ),
    "reciprocal: 0 beneath a cotangent of 0": Singular(
        op.reciprocal, (A([0.0, 2.0]),), A([0.0, 1.0]), (A([0, -0.25]),)
    ),
    "sqrt: 0 beneath a cotangent of 0": Singular(
        op.sqrt, (A([0.0, 0.0, 4.0]),), A([0.0, 1.0, 1.0]), (A([0, inf, 0.25]),)
    ),
    "log: 0 beneath a cotangent of 0": Singular(
        op.log, (A([0.0, 0.0, 4.0]),), A([0.0, 1.0, 1.0]), (A([0, inf, 0.25]),)
    ),
    "log1p: -1 beneath a cotangent of 0": Singular(op.log1p, (A([-1.0, 1.0]),), A([0.0, 1.0]), (A([0.0, 0.5]),)),
    "exp: infinite beneath a cotangent of 0": Singular(op.exp, (A([800.0, 0.0]),), A([0.0, 1.0]), (A([0.0, 1.0]),)),
    "pow: 0 as base": Singular(
        op.pow, (A([0.0, 0.0, 0.0]), A([0.0, 1.0, 2.0])), A([3.0, 3.0, 3.0]), (A([0.0, 3, 0]), A([0.0, 0, 0]))
    ),
    "pow: a base below 0": Singular(op.pow, (A([-2.0]), A([3.0])), A([1.0]), (A([12.0]), None)),
    "abs: 0": Singular(op.abs, (A([0.0, -0.0, 3.0]),), A([2.0, 2.0, 2.0]), (A([0.0, 0, 2]),)),
    "abs: 0 as a complex number": Singular(op.abs, (A([0j, 3 + 4j]),), A([2.0, 5.0]), (A([0, 3 + 4j]),)),
    "maximum: a tie": Singular(op.maximum, (A([1.0, 2.0]), A([1.0, 0.0])), A([4.0, 4.0]), (A([2.0, 4]), A([2.0, 0]))),
    "minimum: a tie": Singular(op.minimum, (A([1.0, 2.0]), A([1.0, 0.0])), A([4.0, 4.0]), (A([2.0, 0]), A([2.0, 4]))),
    "maximum: an infinite cotangent": Singular(
        op.maximum, (A([1.0, 2.0]), A([3.0, 0.0])), A([inf, nan]), (A([0.0, nan]), A([inf, 0.0]))
    ),
    "clip: on its bounds": Singular(
        lambda x: op.clip(x, -1.0, 1.0), (A([-1.0, 1.0, 0.0, 2.0]),), A([3.0] * 4), (A([3.0, 3, 3, 0]),)
    ),
    "where: an infinite cotangent": Singular(
        lambda a, b: op.where(MASK, a, b), (np.ones(3), np.ones(3)), A([inf, nan, 1]), (A([inf, 0, 1]), A([0, nan, 0]))
    ),
    "select: an infinite cotangent": Singular(
        lambda x: op.select(MASK, x), (np.ones(3),), A([inf, nan, 1.0]), (A([inf, 0.0, 1.0]),)
    ),
    "relu: an infinite cotangent": Singular(op.relu, (A([-1.0, 1.0]),), A([inf, inf]), (A([0.0, inf]),)),
    "relu: 0": Singular(op.relu, (A([0.0, -0.0, 1.0]),), A([2.0, 2.0, 2.0]), (A([0.0, 0, 2]),)),
    "sigmoid: far out": Singular(op.sigmoid, (A([40.0]),), A([1.0]), (A([4.248354255291589e-18]),)),
    "max: a tie": Singular(lambda x: op.max(x, axis=0), (A([1.0, 2.0, 2.0]),), 4.0, (A([0.0, 2, 2]),)),
    "max: a tie, forward": Pushed(lambda x: op.max(x, axis=0), (A([1.0, 2.0, 2.0]),), (A([7.0, 1.0, 3.0]),), 2.0),
    "max: a NaN": Singular(lambda x: op.max(x, axis=0), (A([1.0, nan, 2.0]),), 4.0, (A([0.0, 4, 0]),)),
    "max: an infinite cotangent": Singular(lambda x: op.max(x, axis=0), (A([1.0, 2.0]),), inf, (A([0.0, inf]),)),
    "logsumexp: an infinite entry": Singular(
        lambda x: op.logsumexp(x, axis=0), (A([inf, 0.0]),), 1.0, (A([1.0, 0.0]),)
    ),
    "multiply_no_nan: 0 times infinity": Singular(
        op.multiply_no_nan, (A([0.0, 2.0]), A([inf, 3.0])), A([1.0, 1.0]), (A([inf, 3.0]), A([0.0, 2.0]))
    ),
    "take: an entry named twice": Singular(
        lambda x: op.take(x, A([1, 1, 0])), (A([1.0, 2.0]),), A([1.0, 2.0, 4.0]), (A([4.0, 3.0]),)
    ),
}
BATTERY |= {name: Singular(*parts) for name, parts in battery_curves.POINTS.items()}
