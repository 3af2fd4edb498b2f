"""Convolution row by row of the kernel on NumPy: against the portable sum over offsets, and where it is chosen."""

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import conv_choice, convolution, numpy_conv, row_conv

host = backends.get("numpy")
ONE, SAME = (1, 1), ((1, 1), (1, 1))
PLAIN = (ONE, SAME, ONE, 1)


def drawn(draw):
    """Random shapes of x and w that stay as wide, and the settings: dilation, rows cut off, wide shifts."""
    kernel, dilation = draw.integers(1, 5, 2).tolist(), tuple(draw.integers(1, 4, 2).tolist())
    before = int(draw.integers(0, dilation[1] * (kernel[1] - 1) + 1))
    padding = (tuple(draw.integers(0, 4, 2).tolist()), (before, dilation[1] * (kernel[1] - 1) - before))
    least = max(1, dilation[0] * (kernel[0] - 1) + 1 - sum(padding[0]))
    n, c, o = draw.integers(1, 6, 3).tolist()
    size = int(draw.integers(least, least + 8)), int(draw.integers(1, 20))
    return (n, c, *size), (o, c, *kernel), (ONE, padding, dilation, 1)


@pytest.mark.parametrize("short", [0, 1 << 20])
@pytest.mark.parametrize("cache", [1, 3000, 1 << 20])
def test_every_way_of_cutting_gives_the_same(cache, short, monkeypatch):
    monkeypatch.setattr(row_conv, "_CACHE_BYTES", cache)
    monkeypatch.setattr(row_conv, "_SHORT", short)
    draw = np.random.default_rng(cache)
    for _ in range(150):
        x_shape, w_shape, options = drawn(draw)
        x, w = draw.standard_normal(x_shape), draw.standard_normal(w_shape)
        y = convolution.portable_conv(host, x, w, *options)
        np.testing.assert_allclose(row_conv.conv(x, w, options[1], options[2]), y, 1e-10, 1e-12)
        g = draw.standard_normal(y.shape)
        expected = convolution.portable_conv_filter(host, x, g, w_shape, *options)
        np.testing.assert_allclose(row_conv.conv_filter(x, g, w_shape, options[1], options[2]), expected, 1e-10, 1e-12)


def test_pictures_that_lie_otherwise_in_memory():
    draw = np.random.default_rng(0)
    x, w = draw.standard_normal((3, 6, 5, 2)).transpose(0, 3, 1, 2)[:, :, ::-1], draw.standard_normal((2, 2, 3, 3))
    g = draw.standard_normal((2, 3, 6, 5)).swapaxes(0, 1)
    expected = convolution.portable_conv(host, np.ascontiguousarray(x), w, *PLAIN)
    np.testing.assert_allclose(row_conv.conv(x, w, SAME, ONE), expected, 1e-10, 1e-12)
    expected = convolution.portable_conv_filter(host, np.ascontiguousarray(x), np.ascontiguousarray(g), w.shape, *PLAIN)
    np.testing.assert_allclose(row_conv.conv_filter(x, g, w.shape, SAME, ONE), expected, 1e-10, 1e-12)


def test_what_is_no_number_stays_where_it_is():
    """A NaN or an infinity reaches the windows that it stands in, no others."""
    x, w = np.ones((2, 4, 9, 7)), np.ones((3, 4, 3, 3))
    x[1, 2, 4, 6], x[0, 0, 0, 0] = np.nan, np.inf
    y = row_conv.conv(x, w, SAME, ONE)
    assert np.array_equal(np.isnan(y[1, 0]), np.isnan(convolution.portable_conv(host, x, w, *PLAIN)[1, 0]))
    assert np.isnan(y).sum() == 3 * 3 * 2 and np.isinf(y).sum() == 3 * 2 * 2


def test_the_dtype_is_kept():
    x, w = np.ones((2, 4, 5, 5), "float32"), np.ones((3, 4, 3, 3), "float32")
    assert row_conv.conv(x, w, SAME, ONE).dtype == "float32"
    assert row_conv.conv_filter(x, np.ones((2, 3, 5, 5), "float32"), w.shape, SAME, ONE).dtype == "float32"


# ---- where it is chosen ----

CHOICES = {
    ("conv", (64, 32, 14, 14), (16, 32, 3, 3)): "rows",
    ("conv", (64, 16, 14, 14), (32, 16, 3, 3)): "windows",  # more is added up than copying saves
    ("conv_input", (64, 16, 14, 14), (32, 16, 3, 3)): "rows",
    ("conv_input", (64, 16, 14, 14), (64, 16, 3, 3)): "rows",
    ("conv_input", (64, 32, 14, 14), (16, 32, 3, 3)): "windows",
    ("conv_filter", (64, 16, 14, 14), (32, 16, 3, 3)): "rows",
    ("conv_filter", (64, 1, 28, 28), (16, 1, 3, 3)): "windows",
    ("conv", (1, 8, 28, 28), (8, 8, 5, 5)): "windows",  # padded by 1, it becomes narrower
    ("conv", (1, 8, 28, 28), (8, 8, 1, 3)): "windows",
    ("conv", (1, 64, 28, 28), (64, 64, 1, 3)): "windows",
    ("conv", (8, 128, 7, 7), (128, 128, 5, 5)): "windows",
    ("conv", (4, 3, 224, 224), (3, 3, 3, 3)): "windows",  # large pictures
    ("conv", (4, 8, 5), (8, 8, 3)): "windows",
    ("conv", (0, 8, 5, 5), (8, 8, 3, 3)): "windows",
    ("conv", (4, 8, 5, 0), (8, 8, 3, 3)): "windows",
    ("conv", (4, 8, 0, 5), (8, 8, 3, 3)): "windows",
}


@pytest.mark.parametrize("case", CHOICES, ids=str)
def test_what_is_chosen(case):
    settings = (ONE[:1], SAME[:1], ONE[:1], 1) if len(case[1]) == 3 else PLAIN
    assert conv_choice.chosen(*case, "float32", *settings) == CHOICES[case]


@pytest.mark.parametrize("settings", [((2, 2), SAME, ONE, 1), (ONE, SAME, ONE, 2), (ONE, SAME, (2, 2), 1)], ids=str)
def test_never_with_strides_or_groups_or_another_width(settings):
    shape = (8, 8 // settings[3], 3, 3)
    for operation in ("conv", "conv_input", "conv_filter"):
        assert conv_choice.chosen(operation, (4, 8, 9, 9), shape, "float32", *settings) == "windows"


def test_dilated_kernels_too():
    settings = (ONE, ((2, 2), (2, 2)), (2, 2), 1)
    for operation in ("conv", "conv_input", "conv_filter"):
        assert conv_choice.chosen(operation, (4, 8, 9, 9), (8, 8, 3, 3), "float32", *settings) == "rows"


@pytest.mark.parametrize("case", CHOICES, ids=str)
def test_the_backend_takes_what_is_chosen(case, monkeypatch):
    operation, x_shape, w_shape = case
    settings = (ONE[:1], SAME[:1], ONE[:1], 1) if len(x_shape) == 3 else PLAIN
    taken = []
    for name in ("conv", "conv_filter"):
        f = getattr(row_conv, name)
        monkeypatch.setattr(row_conv, name, lambda *a, f=f, name=name: (taken.append(name), f(*a))[1])
    x_shape = (min(x_shape[0], 2), *x_shape[1:])
    out = convolution.out_shape(x_shape[2:], w_shape[2:], *settings[:3])
    draw = np.random.default_rng(0)
    x, w, g = (draw.standard_normal(shape) for shape in (x_shape, w_shape, (x_shape[0], w_shape[0], *out)))
    arguments = {"conv": (x, w), "conv_input": (g, w, x_shape), "conv_filter": (x, g, w_shape)}[operation]
    found = getattr(numpy_conv, operation)(*arguments, *settings)
    expected = getattr(convolution, f"portable_{operation}")(host, *arguments, *settings)
    np.testing.assert_allclose(found, expected, 1e-9, 1e-9)
    rows = ["conv" if operation == "conv_input" else operation]
    assert taken == (rows if CHOICES[case] == "rows" else [])
