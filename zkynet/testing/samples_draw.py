"""What a sample call of an operation is, and the numbers it is called with."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Any

import numpy as np

from zkynet.framework import op

A = np.array


@dataclass(frozen=True)
class Sample:
    """One call of the operation ``name``: ``run(*operands)``."""

    name: str
    run: Callable
    operands: tuple


# ---- numbers: the same in every run, away from kinks, poles and ties ----


def apart(rng, shape):
    """Distinct numbers around 0, and none of them 0."""
    count = int(np.prod(shape))
    return ((rng.permutation(count) - count // 2) * 0.2 + rng.uniform(0.03, 0.17)).reshape(shape)


def positive(rng, shape):
    """From 0.5 to 1.5."""
    return rng.uniform(0.5, 1.5, shape)


def share(rng, shape):
    """From 0.2 to 0.8."""
    return rng.uniform(0.2, 0.8, shape)


def above_one(rng, shape):
    """From 1.5 to 2.5."""
    return rng.uniform(1.5, 2.5, shape)


def rising(rng, shape):
    """Increasing numbers, the smallest from -0.5 to 0.5."""
    return np.cumsum(positive(rng, shape)) - 1


def dominant(rng, shape):
    """Square matrices with a large diagonal, so far from singular."""
    return rng.uniform(-0.5, 0.5, shape) + 2 * np.diag(np.arange(1.0, shape[-1] + 1))


def regular(rng, shape):
    """Symmetric matrices with eigenvalues at least 1 apart, the smallest above 1."""
    q = np.linalg.qr(rng.normal(size=shape))[0]
    return (q * (np.arange(shape[-1]) + 1.2)) @ np.swapaxes(q, -1, -2)


def complex_numbers(rng, shape):
    """Both parts from 0.5 to 1.5."""
    return positive(rng, shape) + 1j * positive(rng, shape)


def call(name: str, *operands: Any, numbers: Any = apart, run: Callable | None = None, **settings: Any) -> Sample:
    """A sample of ``op.name``; a tuple among the operands is the shape of an array drawn with ``numbers``.

    ``numbers`` is one function for all arrays, or a tuple with one for each. ``name`` may have a dot, as in
    ``fft.rfft``. Without ``run``, ``settings`` go to the operation by keyword.
    """
    rng = np.random.default_rng(zlib.crc32(f"{name}{operands}".encode()))
    each = iter(numbers) if isinstance(numbers, tuple) else repeat(numbers)
    drawn = tuple(next(each)(rng, x) if isinstance(x, tuple) else x for x in operands)

    def called(*given):
        return run(*given) if run is not None else attrgetter(name)(op)(*given, **settings)

    called.__name__ = name
    return Sample(name, called, drawn)


def single(sample: Sample) -> Sample:
    """The same sample in float32: what a device computes in less, such as TF32, shows there."""
    return Sample(sample.name, sample.run, tuple(_narrow(x) for x in sample.operands))


def _narrow(x):
    return x.astype("float32") if isinstance(x, np.ndarray) and x.dtype == float else x


M, V, S = (2, 3), (3,), ()  # few shapes: JAX compiles every operator once for each
