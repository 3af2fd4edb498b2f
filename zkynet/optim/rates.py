"""What an optimizer knows of learning rates: a number, or a function of the number of updates."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

Schedule = Callable[[int], float]
Rate = float | Schedule


def check_rate(schedule: Schedule, step: int) -> float:
    """The learning rate that ``schedule`` gives after ``step`` updates, checked."""
    if not isinstance(step, int):
        raise TypeError(
            "a schedule is a function of the number of updates, an int.\n"
            f"  got:      {step!r}\n"
            "A step that is compiled by hand has no number yet: zk.train.compiled_step keeps it outside."
        )
    rate = schedule(step)
    if not is_rate(rate):
        raise ValueError(
            f"{schedule!r} gave no learning rate after {step} updates.\n"
            f"  got:      {rate!r}\n  expected: a finite number of at least 0"
        )
    return float(rate)


def scaled(rate: Rate, factor: float) -> Rate:
    """``factor`` times a learning rate, a number or a schedule."""
    if not callable(rate):
        return rate * factor
    from zkynet.optim.schedules import Product

    return Product(rate, factor)


def is_rate(x: Any) -> bool:
    return isinstance(x, Real) and math.isfinite(x) and float(x) >= 0
