"""Fixed random orders: the same on every platform and with every NumPy version."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np


def as_seed(seed: Any) -> int:
    """Return ``seed`` as an int; TypeError where it is not an integer, ValueError where it is negative."""
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(
            f"seed is not an integer.\n  got:      {type(seed).__name__} {seed!r}\n  expected: int >= 0"
        ) from None
    if number < 0:
        raise ValueError(f"seed is negative.\n  got:      {number}\n  expected: int >= 0")
    return number


def fixed_permutation(count: int, seed: int, *stream: int) -> np.ndarray:
    """Return a permutation of ``range(count)``, shape (count,), int64, decided by ``seed`` and ``stream`` alone.

    Different ``stream`` numbers give independent permutations of one seed.
    """
    # Generator.permutation may change between NumPy versions; SeedSequence and the raw output of PCG64 may not.
    bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream))
    return np.argsort(bits.random_raw(count), kind="stable").astype(np.int64, copy=False)


def generator_of(seed: int, *stream: int) -> np.random.Generator:
    """Return a fresh generator whose numbers ``seed`` and ``stream`` alone decide."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream)))
