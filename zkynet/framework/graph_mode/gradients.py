"""Gradients side by side: a plan writes those of one update into one stretch of memory, so that it is one call."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from zkynet.backends.numpy import UPDATE_BLOCK

from .lifetimes import Lifetimes
from .program import Step, Value


def rows_of(life: Lifetimes) -> list[list[Value]]:
    """Gradients that stand side by side, in the order in which an update takes them: two at least in each row.

    They are of one dtype, together at most what a rule works on at a time, made by steps that can be told where to
    write, and read last by the update.
    """
    steps = life.program.steps
    updates = [i for i, step in enumerate(steps) if step.function == "update_in_blocks"]
    return [row for i in updates for row in _rows(life, i, steps[i]) if len(row) > 1]


def _rows(life: Lifetimes, i: int, step: Step) -> list[list[Value]]:
    rows: list[list[Value]] = [[]]
    entries = 0
    reads = Counter([x for group in step.args[1] for x in group if type(x) is Value])
    for group in step.args[1]:
        gradient = group[1]
        if not _can_stand_beside(life, gradient, i) or reads[gradient] > 1:
            rows.append([])
            continue
        size = math.prod(gradient.shape)
        entries += size
        if not rows[-1] or entries > UPDATE_BLOCK or rows[-1][-1].dtype != gradient.dtype:
            rows.append([])
            entries = size
        rows[-1].append(gradient)
    return rows


def _can_stand_beside(life: Lifetimes, gradient: Any, update: int) -> bool:
    """Whether the plan may choose where ``gradient`` lies, and nobody needs it behind the update."""
    if type(gradient) is not Value or not life.owns(gradient) or gradient in life.kept:
        return False
    made = life.made[gradient]
    alone = life.program.steps[made].outputs is gradient and life.until[gradient] == update
    return alone and life.can_be_told(made)
