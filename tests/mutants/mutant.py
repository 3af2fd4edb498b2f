"""What a mutant is: one rule of one operator, replaced by a wrong one, and the check that has to notice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from mutants.checks import grads, point, row, suite
from mutants.edit import Edit

from zkynet import Operator

__all__ = ["Edit", "Mutant", "complexes", "grads", "numbers", "planted", "point", "row", "suite"]


class Mutant(NamedTuple):
    """``target.method``, of an Operator class, a module or a backend, becomes ``replacement``; ``check()`` raises."""

    name: str
    target: Any
    method: str
    replacement: Any
    check: Callable[[], None]


@contextlib.contextmanager
def planted(mutant: Mutant | Edit) -> Iterator[None]:
    """A block in which the rule is the wrong one."""
    if isinstance(mutant, Edit):
        with mutant.planted():
            yield
        return
    target, method = mutant.target, mutant.method
    own = vars(target).get(method)
    setattr(target, method, mutant.replacement)
    _replan(target)
    try:
        yield
    finally:
        if own is None:
            delattr(target, method)
        else:
            setattr(target, method, own)
        _replan(target)


def _replan(target):
    # A class reads its rules once, when it is made; this reads them again.
    if isinstance(target, type) and issubclass(target, Operator):
        target.__init_subclass__()


def numbers(seed: int, *shape: int, low: float = -1.5, high: float = 1.5) -> np.ndarray:
    """Fixed numbers, none of them within 0.1 of 0."""
    x = np.random.default_rng(seed).uniform(low, high, shape)
    return np.where(np.abs(x) < 0.1, x + 0.3, x)


def complexes(seed: int, *shape: int) -> np.ndarray:
    return numbers(seed, *shape) + 1j * numbers(seed + 1, *shape)
