"""Constant folding: what depends on no input is computed once.

Arrays of more than FOLD_LIMIT entries are made anew at each run, so that a program does not hold what a run needs for a
moment; views of constants are free. Draws of random numbers stay steps, and so does what raises: it raises in the run.
"""

from __future__ import annotations

from typing import Any

from ..program import Program, Step, Value, function_of, map_values, paired
from .facts import VIEWS, entries, is_foldable, makes, reads

FOLD_LIMIT = 1 << 16  # entries


def constant_folding(program: Program) -> Program:
    """The program with constants in the place of such steps. Nobody can write to them, where the backend can say so."""
    known = dict(program.constants)
    steps = []
    for step in program.steps:
        inner = reads(step)
        if all([value in known for value in inner]) and is_foldable(step) and _is_small(step, inner):
            made = _computed(program.xp, step, known)
            if made is not None:
                known.update(made)
                continue
        steps.append(step)
    return program if len(steps) == len(program.steps) else program.replace(steps=steps, constants=known)


def _is_small(step: Step, inner: list[Value]) -> bool:
    """Whether the program may hold what the step makes."""
    outputs = makes(step)
    if any([value.shape is None for value in outputs]):
        return False
    limit = max([FOLD_LIMIT, *[entries(value) for value in inner]]) if step.function in VIEWS else FOLD_LIMIT
    return all([entries(value) <= limit for value in outputs])


def _computed(xp: Any, step: Step, known: dict[Value, Any]) -> dict[Value, Any] | None:
    """What the step makes; None where it raises."""
    args, kwargs = map_values(known.__getitem__, step.args), map_values(known.__getitem__, step.kwargs)
    try:
        with xp.errstate():
            made = function_of(xp, step.function)(*args, **kwargs)
    except Exception:  # whatever it is, it is the run's to raise
        return None
    return {value: xp.read_only(array) for value, array in paired(step.outputs, made)}
