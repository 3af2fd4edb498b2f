"""The contract of the backends, windows: every override equals the portable way and NumPy's plain truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from support import reference_nn as truth
from zkynet.backends.pooling import Pooling

CASES = (  # x, kernel, stride, dilation
    ((2, 3, 7, 6), (2, 2), (2, 2), (1, 1)),
    ((2, 1, 7, 6), (3, 2), (1, 2), (2, 1)),
    ((3, 8), (3,), (2,), (1,)),
    ((2, 5), (2,), (3,), (1,)),  # a gap that no window meets
    ((1, 2, 3, 4, 3), (2, 1, 2), (1, 2, 1), (1, 1, 2)),
    ((2, 4, 4), (1, 1), (1, 1), (1, 1)),
    ((0, 5), (2,), (1,), (1,)),
    ((2, 1), (2,), (1,), (1,)),  # nothing fits
)
settings = pytest.mark.parametrize("case", CASES, ids=str)


def whole(shape, dtype="float64", seed=0):
    """Small integers: ties, and sums without rounding."""
    return np.random.default_rng(seed).integers(-2, 3, size=shape).astype(dtype)


def both(backend, name, *arguments):
    """What the backend gives, and on libraries that do not compile every step what the portable way gives too."""
    own = [backend.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    yield getattr(backend, name)(*own)
    if backend.name != "jax":
        yield getattr(Pooling, name)(backend, *own)


def check(backend, name, expected, *arguments):
    for found in both(backend, name, *arguments):
        assert backend.owns(found) and backend.name_of(found.dtype) == expected.dtype.name
        np.testing.assert_array_equal(backend.to_numpy(found), expected)


@settings
@pytest.mark.parametrize("dtype", ["float32", "complex128", "int32"])
def test_windows_and_sums(backend, case, dtype):
    shape, *options = case
    x = whole(shape, dtype)
    n = len(options[0])
    size = shape[len(shape) - n :]
    seen, total = truth.windows(x, *options), truth.pool_sum(x, *options)
    check(backend, "windows", seen, x, *options)
    check(backend, "pool_sum", total, x, *options)
    h, g = whole(seen.shape, dtype, 1), whole(total.shape, dtype, 2)
    check(backend, "window_sum", truth.window_sum(h, size, *options), h, size, *options)
    check(backend, "pool_spread", truth.pool_spread(g, size, *options), g, size, *options)


@settings
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_largest_entries(backend, case, dtype):
    shape, *options = case
    x, n = whole(shape, dtype), len(options[0])
    seen = truth.windows(x, *options)
    flat = seen.reshape(*shape[: len(shape) - n], math.prod(options[0]), *seen.shape[len(shape) :])
    axis = len(shape) - n
    first = flat.argmax(axis) if flat.size else np.zeros(truth.pool_sum(x, *options).shape, int)
    for y, which in both(backend, "pool_max", x, *options):
        np.testing.assert_array_equal(backend.to_numpy(y), flat.max(axis) if flat.size else first)
        np.testing.assert_array_equal(backend.to_numpy(which), first)
        assert backend.is_integer(which.dtype)
    size = shape[axis:]
    g = whole(first.shape, dtype, 3)
    check(backend, "pool_pick", truth.pool_pick(x, first, *options), x, first, *options)
    check(backend, "pool_place", truth.pool_place(g, first, size, *options), g, first, size, *options)
    lead = np.stack([g, g + 1])  # which has no leading axes
    check(backend, "pool_place", truth.pool_place(lead, first, size, *options), lead, first, size, *options)


def test_a_nan_counts_more_than_any_number(backend):
    x = np.array([[1.0, np.nan, np.inf, np.nan, 2.0, -np.inf]])
    for y, which in both(backend, "pool_max", x, (3,), (3,), (1,)):
        np.testing.assert_array_equal(backend.to_numpy(y), [[np.nan, np.nan]])
        np.testing.assert_array_equal(backend.to_numpy(which), [[1, 0]])


def test_an_infinite_cotangent_stays_in_its_place(backend):
    g, which = np.array([np.inf, 1.0, np.nan]), np.array([1, 0, 1], "int32")
    for found in both(backend, "pool_place", g, which, (6,), (2,), (2,), (1,)):
        np.testing.assert_array_equal(backend.to_numpy(found), [0, np.inf, 1, 0, 0, np.nan])


def test_a_kernel_of_more_entries_than_a_byte_counts(backend):
    x = np.arange(400.0).reshape(20, 20)
    for y, which in both(backend, "pool_max", x, (20, 20), (1, 1), (1, 1)):
        assert backend.to_numpy(y) == 399 and backend.to_numpy(which) == 399
