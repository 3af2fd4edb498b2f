"""What a mutant is: one rule of one operator, replaced by a wrong one, and the check that has to notice."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from support.battery import BATTERY
from zkynet import Operator
from zkynet.testing import check_grads


class Mutant(NamedTuple):
    """``target.method``, of an Operator class or a backend, becomes ``replacement``; ``check()`` has to raise."""

    name: str
    target: Any
    method: str
    replacement: Callable
    check: Callable[[], None]


def grads(f: Callable, *args, **settings) -> Callable[[], None]:
    """check_grads of ``f`` at ``args``."""
    return functools.partial(check_grads, f, args, **settings)


def point(name: str) -> Callable[[], None]:
    """A point of the battery."""
    return BATTERY[name].check


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """A block in which the rule is the wrong one."""
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
