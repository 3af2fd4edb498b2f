"""Convolution by windows on NumPy: blocks of images and of rows, against the portable sum over kernel offsets."""

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import convolution, numpy_conv

host = backends.get("numpy")


def settings(draw):
    """Random shapes of x and w, and the settings: one to three axes, gaps, cut-off borders, nothing to add up."""
    axes, groups = int(draw.integers(1, 4)), int(draw.integers(1, 3))
    kernel, size = draw.integers(1, 4, axes).tolist(), draw.integers(1, 9, axes).tolist()
    stride, dilation = tuple(draw.integers(1, 4, axes).tolist()), tuple(draw.integers(1, 3, axes).tolist())
    padding = tuple((int(a), int(b)) for a, b in draw.integers(0, 4, (axes, 2)))
    inputs, outputs = (groups * int(draw.integers(1, 3)) for _ in range(2))
    x, w = (int(draw.integers(0, 4)), inputs, *size), (outputs, inputs // groups, *kernel)
    return x, w, (stride, padding, dilation, groups)


@pytest.mark.parametrize("few", [0, 1 << 15])
@pytest.mark.parametrize("columns", [1, 5, 512])
@pytest.mark.parametrize("cache", [1, 1000, 1 << 20])
def test_every_way_of_cutting_gives_the_same(cache, columns, few, monkeypatch):
    monkeypatch.setattr(numpy_conv, "_FEW_BYTES", few)
    monkeypatch.setattr(numpy_conv, "_CACHE_BYTES", cache)
    monkeypatch.setattr(numpy_conv, "_LEAST_COLUMNS", columns)
    draw = np.random.default_rng(cache + columns)
    for _ in range(100):
        x_shape, w_shape, options = settings(draw)
        x, w = draw.standard_normal(x_shape), draw.standard_normal(w_shape)
        y = convolution.portable_conv(host, x, w, *options)
        np.testing.assert_allclose(numpy_conv.conv(x, w, *options), y, rtol=1e-10, atol=1e-12)
        g = draw.standard_normal(y.shape)
        for name, a, b, shape in (("conv_input", g, w, x_shape), ("conv_filter", x, g, w_shape)):
            expected = getattr(convolution, "portable_" + name)(host, a, b, shape, *options)
            np.testing.assert_allclose(getattr(numpy_conv, name)(a, b, shape, *options), expected, 1e-10, 1e-12)


def test_a_gradient_by_many_filters():
    """More outputs than the gradient is turned over for."""
    draw = np.random.default_rng(0)
    x, g = draw.standard_normal((2, 2, 4, 5)), draw.standard_normal((2, 130, 4, 5))
    options = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    expected = convolution.portable_conv_filter(host, x, g, (130, 2, 3, 3), *options)
    np.testing.assert_allclose(numpy_conv.conv_filter(x, g, (130, 2, 3, 3), *options), expected, 1e-10, 1e-12)


def test_pictures_that_are_not_contiguous():
    draw = np.random.default_rng(0)
    x, w = draw.standard_normal((3, 6, 5, 2)).transpose(0, 3, 1, 2)[:, :, ::-1], draw.standard_normal((4, 2, 3, 3))
    options = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    expected = convolution.portable_conv(host, np.ascontiguousarray(x), w, *options)
    np.testing.assert_allclose(numpy_conv.conv(x, w, *options), expected, 1e-10, 1e-12)
