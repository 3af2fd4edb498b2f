"""Which figures of a run are numbers: what boards can draw."""

from __future__ import annotations

import numbers as kinds
from collections.abc import Mapping
from typing import Any


def numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    """Those of ``figures`` that are real numbers, NumPy's and arrays of no axis included, as Python floats.

    Not the number of the epoch, truth values, texts and lists.
    """
    found = {}
    for name, value in figures.items():
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
        if name != "epoch" and not isinstance(value, bool) and isinstance(value, kinds.Real):
            found[name] = float(value)
    return found
