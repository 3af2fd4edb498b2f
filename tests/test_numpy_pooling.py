"""Largest entries of windows on NumPy: by planes and by axes, in blocks and whole, against the portable way."""

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import numpy_pooling
from zkynet.backends.pooling import Pooling

host = backends.get("numpy")
CASES = (  # x, kernel, stride, dilation
    ((3, 2, 6, 8), (2, 2), (2, 2), (1, 1)),  # every entry in one window
    ((3, 2, 7, 8), (2, 2), (2, 2), (1, 1)),  # a row in none
    ((5, 6, 7), (3, 3), (2, 2), (1, 1)),  # some in two
    ((4, 9, 9), (3, 2), (1, 2), (2, 1)),
    ((4, 12), (3,), (3,), (1,)),
    ((7, 6), (2, 3), (2, 3), (1, 1)),  # no leading axes
    ((0, 4, 4), (2, 2), (2, 2), (1, 1)),
    ((2, 3, 1, 4), (2, 2), (2, 2), (1, 1)),  # nothing fits
)
cases = pytest.mark.parametrize("case", CASES, ids=str)
ways = pytest.mark.parametrize("planes", [0, 16], ids=["by axes", "by planes"])
blocks = pytest.mark.parametrize("block", [1, 300, 1 << 21])


def entries(shape, dtype, seed=0):
    """Few different numbers, so that many windows have ties."""
    return np.random.default_rng(seed).integers(-1, 3, shape).astype(dtype)


@cases
@ways
@blocks
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_every_way_finds_the_same(case, planes, block, dtype, monkeypatch):
    monkeypatch.setattr(numpy_pooling, "_PLANES", planes)
    monkeypatch.setattr(numpy_pooling, "_BLOCK_BYTES", block)
    shape, *options = case
    x = entries(shape, dtype)
    expected, number = Pooling.pool_max(host, x, *options)
    y, which = host.pool_max(x, *options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(which, number)
    assert y.dtype == x.dtype and which.dtype == np.int32
    g, size = entries(y.shape, dtype, 1), shape[len(shape) - len(options[0]) :]
    placed = host.pool_place(g, which, size, *options)
    np.testing.assert_array_equal(placed, Pooling.pool_place(host, g, which, size, *options))
    assert placed.dtype == x.dtype


@ways
def test_a_nan_wins_and_an_infinity_is_ordinary(planes, monkeypatch):
    monkeypatch.setattr(numpy_pooling, "_PLANES", planes)
    x = np.array([[1.0, np.nan, np.nan, 2.0, -np.inf, -np.inf, np.inf, np.inf]])
    y, which = host.pool_max(x, (2,), (2,), (1,))
    np.testing.assert_array_equal(y, [[np.nan, np.nan, -np.inf, np.inf]])
    np.testing.assert_array_equal(which, [[1, 0, 0, 0]])


@ways
def test_pictures_that_are_not_contiguous(planes, monkeypatch):
    monkeypatch.setattr(numpy_pooling, "_PLANES", planes)
    x = entries((6, 4, 3, 2), "float64").transpose(3, 2, 0, 1)[:, :, ::-1]
    options = (2, 2), (2, 2), (1, 1)
    for found, expected in zip(host.pool_max(x, *options), Pooling.pool_max(host, x, *options), strict=True):
        np.testing.assert_array_equal(found, expected)
