"""Passes: each makes a Program into an equal one that runs faster. A pass is a function Program -> Program.

A pass never changes the program it is given; one that finds nothing to do gives it back itself. What a program's inputs
and outputs stand for is by their places: an output may be another Value behind a pass, also an input or a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..program import Program
from .common_subexpressions import common_subexpressions
from .constant_folding import constant_folding
from .dead_code import dead_code
from .identities import identities
from .regrouping import regrouping
from .relu_after_pooling import relu_after_pooling
from .saved_slopes import saved_slopes
from .transposes import transposes

# In the order in which they run.
PASSES: dict[str, Callable[[Program], Program]] = {
    "constant folding": constant_folding,
    "identities": identities,
    "regrouping": regrouping,
    "transposes": transposes,
    "relu after pooling": relu_after_pooling,
    "common subexpressions": common_subexpressions,
    "dead code": dead_code,
    "saved slopes": saved_slopes,
}

ROUNDS = 4  # at most: one pass may find more to do behind another


def optimized(program: Program, off: Collection[str] = frozenset()) -> Program:
    """The program behind all passes but those called ``off``, again and again until none finds more to do.

    ValueError for a name that is none of PASSES.
    """
    unknown = sorted(set(off) - set(PASSES))
    if unknown:
        raise ValueError(f"no pass is called {', '.join(map(repr, unknown))}\n  known: {', '.join(map(repr, PASSES))}")
    for _ in range(ROUNDS):
        before = program
        for name, run in PASSES.items():
            if name not in off:
                program = run(program)
        if program is before:
            break
    return program
