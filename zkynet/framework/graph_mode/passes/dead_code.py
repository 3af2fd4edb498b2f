"""Dead code: steps none of whose outputs is needed, and constants that nothing reads.

A step that can raise (an index that is checked, a matrix that may be singular) stays though nobody needs what it
makes: the eager run would raise there. So does one of whose function nothing is known.
"""

from __future__ import annotations

from ..program import Program
from .facts import makes, never_raises, reads


def dead_code(program: Program) -> Program:
    """The program without them; unused inputs stay in their places."""
    needed = set(program.outputs)
    kept = []
    for step in reversed(program.steps):
        if needed.isdisjoint(makes(step)) and never_raises(step):
            continue
        needed.update(reads(step))
        kept.append(step)
    constants = {value: array for value, array in program.constants.items() if value in needed}
    if len(kept) == len(program.steps) and len(constants) == len(program.constants):
        return program
    return program.replace(steps=kept[::-1], constants=constants)
