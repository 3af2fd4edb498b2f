"""Operators that declare of themselves what is not so."""

import numpy as np
from mutants.mutant import Mutant, row, suite

import zkynet as zk
from zkynet.framework import op
from zkynet.framework.operations import arithmetic, elementwise, shape

LEAKS = suite("operators.test_where_does_not_leak")


def silent_select():
    """What a mask cuts off is not heard behind it: 0 times infinity."""
    with np.errstate(all="ignore"):
        found = zk.grad(lambda x: op.sum(op.select(x > 0, x * op.log(x))))(np.array([0.0, 4.0]))
    np.testing.assert_allclose(found, [0.0, np.log(4) + 1])


MUTANTS = (
    Mutant("select: declared without a mask", elementwise.Select, "masks", False, silent_select),
    Mutant("where: declared without a mask", elementwise.Where, "masks", False, LEAKS),
    Mutant("square: declared linear", elementwise.Square, "linear", True, row("square")),
    Mutant("cbrt: declared linear", arithmetic.Cbrt, "linear", True, row("cbrt")),
    Mutant("broadcast_to: declared not to broadcast", shape.BroadcastTo, "broadcasts", False, row("broadcast_to")),
    Mutant("multiply: declared not to broadcast", elementwise.Multiply, "broadcasts", False, row("multiply")),
)
