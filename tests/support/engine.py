"""Helpers of tests/engine: watching what the engine keeps, and finding its state as it was."""

from __future__ import annotations

import contextlib
import gc
import weakref

import numpy as np

import zkynet as zk
from zkynet.framework.record import CONTEXT, Record


def array_of(x):
    """The array that a Tensor really holds; ``value`` may be a view of it."""
    value = x.value
    return value if value.base is None else value.base


def watch(x) -> weakref.ref:
    """A weak reference to the array in a Tensor."""
    return weakref.ref(array_of(x))


def records_alive() -> int:
    """How many Records there are."""
    return sum(isinstance(x, Record) for x in gc.get_objects())


@contextlib.contextmanager
def nothing_left_behind():
    """Asserts that the code inside leaves the context as it was, and that gradients are right afterwards."""
    before = CONTEXT.get()
    yield
    assert CONTEXT.get() is before
    assert zk.grad(lambda x: x * x * x)(2.0) == 12.0


def equal(a, b) -> bool:
    """Whether two nested containers hold the same numbers, to rounding."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-10, atol=1e-12)


def written(x) -> None:
    """Write into every array of a nested container, as a caller may do with what a transform returned."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (tuple, list)):
        for part in x:
            written(part)
    elif isinstance(x, np.ndarray):
        x[...] = -7.0
