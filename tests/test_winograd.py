"""Winograd's convolution on NumPy: its stated accuracy, when it is chosen, and that it never hides a NaN."""

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import conv_choice, numpy_conv, winograd

ONE, SAME = (1, 1), ((1, 1), (1, 1))
K = {4: 800, 2: 40}  # of the bound in winograd's docstring

host = backends.get("numpy")


def plain(name, a, b, shape, padding=SAME):
    """A convolution by windows, in double precision."""
    a, b = a.astype("float64"), b.astype("float64")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(conv_choice.WINOGRAD, "0")
        return getattr(numpy_conv, name)(a, b, *shape, ONE, padding, ONE, 1)


def numbers(kind, seed, *shape):
    """float32 arrays that favour different ways of rounding: of both signs, all positive, of one magnitude."""
    draw = np.random.default_rng(seed)
    if kind == "normal":
        return draw.standard_normal(shape, dtype="float32")
    if kind == "positive":
        return draw.uniform(0, 1, shape).astype("float32")
    return draw.choice([-1 / 3, 1 / 3], shape).astype("float32")


def bound(m, dtype, terms, a, b):
    return np.finfo(dtype).eps * terms * np.abs(a).max() * np.abs(b).max() * K[m]


@pytest.mark.parametrize("kind", ["normal", "positive", "one magnitude"])
@pytest.mark.parametrize("channels", [1, 5, 80])
@pytest.mark.parametrize("m", [2, 4])
def test_it_keeps_its_stated_accuracy_in_single_precision(m, channels, kind):
    for seed, size in enumerate([(3, 3), (9, 14), (16, 7)]):
        x, w = numbers(kind, seed, 2, channels, *size), numbers(kind, seed + 10, 4, channels, 3, 3)
        y = plain("conv", x, w, ())
        found = winograd.conv(x, w, SAME, m)
        assert found.dtype == np.float32 and found.shape == y.shape
        assert np.abs(found - y).max() <= bound(m, "float32", channels, x, w)
        g = numbers(kind, seed + 20, *y.shape)
        dw = plain("conv_filter", x, g, (w.shape,))
        found = winograd.conv_filter(x, g, SAME, m)
        assert found.dtype == np.float32 and found.shape == w.shape
        assert np.abs(found - dw).max() <= bound(m, "float32", 2 * size[0] * size[1], x, g)


@pytest.mark.parametrize("tiles", [1, 3, 64])
@pytest.mark.parametrize("padding", [SAME, ((0, 0), (0, 0)), ((2, 0), (1, 2)), ((9, 0), (0, 9))], ids=str)
@pytest.mark.parametrize("m", [2, 4])
def test_blocks_and_paddings_in_double_precision(m, padding, tiles, monkeypatch):
    monkeypatch.setattr(winograd, "_CACHE_BYTES", 1)
    monkeypatch.setattr(winograd, "_LEAST_TILES", tiles)
    for size in [(3, 4), (7, 13), (8, 8)]:
        x, w = np.random.default_rng(0).standard_normal((3, 2, *size)), numbers("normal", 1, 5, 2, 3, 3).astype("d")
        y = plain("conv", x, w, (), padding)
        found = winograd.conv(x, w, padding, m)
        assert found.shape == y.shape and np.abs(found - y).max() < 1e-12
        g = np.random.default_rng(2).standard_normal(y.shape)
        found = winograd.conv_filter(x, g, padding, m)
        assert np.abs(found - plain("conv_filter", x, g, (w.shape,), padding)).max() < 1e-11


def test_the_bound_is_that_of_the_tile():
    """A large entry spoils no tile but its own ones."""
    x, w = numbers("normal", 0, 1, 3, 24, 24), numbers("normal", 1, 2, 3, 3, 3)
    calm = winograd.conv(x, w, SAME, 4)
    x[0, 0, 0, 0] = 1e8
    np.testing.assert_array_equal(winograd.conv(x, w, SAME, 4)[..., 4:, 4:], calm[..., 4:, 4:])


SETTINGS = (ONE, SAME, ONE, 1)
CHOICES = {
    ("conv", (16, 64, 32, 32), (64, 64, 3, 3)): "winograd 4x4",
    ("conv_input", (16, 64, 32, 32), (64, 64, 3, 3)): "winograd 4x4",
    ("conv_filter", (16, 64, 32, 32), (64, 64, 3, 3)): "winograd 4x4",
    ("conv", (16, 64, 14, 14), (64, 64, 3, 3)): "winograd 2x2",  # 4 x 4 would cover 16 x 16
    ("conv", (1, 64, 8, 8), (64, 64, 3, 3)): "windows",  # four tiles do not pay for the kernel's transform
    ("conv", (64, 64, 5, 5), (64, 64, 3, 3)): "windows",  # tiles cover 6 x 6 or 8 x 8
    ("conv", (64, 16, 14, 14), (32, 16, 3, 3)): "windows",
    ("conv", (8, 64, 28, 28), (16, 64, 3, 3)): "rows",
    ("conv_input", (8, 64, 28, 28), (32, 64, 3, 3)): "windows",  # 32 channels come in, backwards
    ("conv_input", (8, 32, 28, 28), (64, 32, 3, 3)): "winograd 4x4",
    ("conv", (16, 64, 32, 32), (64, 64, 5, 5)): "windows",
    ("conv", (16, 64, 32), (64, 64, 3)): "windows",
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CHOICES, ids=str)
def test_what_is_chosen(case, dtype):
    settings = tuple(s[:1] if isinstance(s, tuple) else s for s in SETTINGS) if len(case[1]) == 3 else SETTINGS
    assert conv_choice.chosen(*case, dtype, *settings) == CHOICES[case]


@pytest.mark.parametrize("dtype", ["float16", "complex64", "int32"])
def test_never_for_other_dtypes(dtype):
    assert conv_choice.chosen("conv", (16, 64, 32, 32), (64, 64, 3, 3), dtype, *SETTINGS) == "windows"


@pytest.mark.parametrize("settings", [((2, 2), SAME, ONE, 1), (ONE, SAME, (2, 2), 1), (ONE, SAME, ONE, 2)], ids=str)
def test_never_with_stride_dilation_or_groups(settings):
    shape = (64, 64 // settings[3], 3, 3)
    for operation in ("conv", "conv_input", "conv_filter"):
        assert conv_choice.chosen(operation, (16, 64, 32, 32), shape, "float32", *settings) == "windows"


def test_it_can_be_switched_off_and_an_unknown_operation_is_refused(monkeypatch):
    monkeypatch.setenv(conv_choice.WINOGRAD, "0")
    shapes = (16, 64, 32, 32), (64, 64, 3, 3), "float32"
    assert conv_choice.chosen("conv", *shapes, *SETTINGS) == "windows"
    with pytest.raises(ValueError, match="conv_filter"):
        conv_choice.chosen("convolve", *shapes, *SETTINGS)


@pytest.fixture
def arrays():
    """x, w and g of shapes that all three operations do in tiles."""
    draw = np.random.default_rng(3)
    return [draw.standard_normal(shape) for shape in ((2, 48, 24, 20), (48, 48, 3, 3), (2, 48, 24, 20))]


def three(x, w, g):
    """Each operation with what it takes, as the backend calls it."""
    yield "conv", x, w, ()
    yield "conv_input", g, w, (x.shape,)
    yield "conv_filter", x, g, (w.shape,)


def test_the_backend_takes_what_is_chosen(arrays, monkeypatch):
    taken = []
    for name in ("conv", "conv_filter"):
        f = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda *a, f=f, name=name: (taken.append((name, a[-1])), f(*a))[1])
    x, w, _ = arrays
    for name, a, b, shape in three(*arrays):
        assert conv_choice.chosen(name, x.shape, w.shape, x.dtype, *SETTINGS) == "winograd 4x4"
        found = getattr(host, name)(a, b, *shape, *SETTINGS)
        np.testing.assert_allclose(found, plain(name, a, b, shape), rtol=0, atol=1e-10)
    assert taken == [("conv", 4), ("conv", 4), ("conv_filter", 4)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_what_is_not_finite_comes_out_where_the_sum_has_it(arrays, where, value):
    arrays[where][1, 2, 1, 2] = value
    with host.errstate():
        for name, a, b, shape in three(*arrays):
            found, y = getattr(host, name)(a, b, *shape, *SETTINGS), plain(name, a, b, shape)
            np.testing.assert_array_equal(np.isnan(found), np.isnan(y))
            np.testing.assert_array_equal(np.isinf(found), np.isinf(y))
            calm = np.isfinite(y) & (np.abs(y) < 1e300)
            np.testing.assert_allclose(found[calm], y[calm], rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype, value", [("float32", 1.5e19), ("float64", 1e154)])
def test_no_overflow_before_the_sums_own(arrays, dtype, value):
    """The transforms meet numbers hundreds of times as large as the result, whose squares are still finite."""
    sparse = [np.zeros(a.shape, dtype) for a in arrays]
    for a in sparse:
        a[0, 0, 1, 1] = value
    for name, a, b, shape in three(*sparse):
        found = getattr(host, name)(a, b, *shape, *SETTINGS)
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found, plain(name, a, b, shape).astype(dtype))
