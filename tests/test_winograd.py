"""Winograd's convolution on NumPy: its stated accuracy, when it is chosen, who does it, and that it hides no NaN."""

import threading
import tracemalloc

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import conv_choice, numpy_conv, threads, winograd

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


@pytest.mark.parametrize("least, strip", [(1, 1), (3, 1 << 12), (32, 1 << 22)])
@pytest.mark.parametrize("padding", [SAME, ((0, 0), (0, 0)), ((2, 0), (1, 2)), ((9, 0), (0, 9))], ids=str)
@pytest.mark.parametrize("m", [2, 4])
def test_blocks_and_paddings_in_double_precision(m, padding, least, strip, monkeypatch):
    monkeypatch.setattr(winograd, "_LEAST_TILES", {m: least})
    monkeypatch.setattr(winograd, "_STRIP_BYTES", strip)
    for size in [(3, 4), (7, 13), (8, 8), (3, 50), (37, 5)]:
        x, w = np.random.default_rng(0).standard_normal((3, 2, *size)), numbers("normal", 1, 5, 2, 3, 3).astype("d")
        y = plain("conv", x, w, (), padding)
        found = winograd.conv(x, w, padding, m)
        assert found.shape == y.shape and np.abs(found - y).max() < 1e-12
        g = np.random.default_rng(2).standard_normal(y.shape)
        found = winograd.conv_filter(x, g, padding, m)
        assert found.shape == w.shape
        assert np.abs(found - plain("conv_filter", x, g, (w.shape,), padding)).max() < 1e-11
        rest = conv_choice.backwards(y.shape[2:], (3, 3), ONE, padding, ONE)
        if rest is not None:
            found = winograd.conv_input(g, w, rest, m)
            assert found.shape == x.shape
            assert np.abs(found - plain("conv_input", g, w, (x.shape,), padding)).max() < 1e-12


def test_factors_may_lie_in_memory_in_any_way():
    x, w = numbers("normal", 0, 2, 12, 9, 3), numbers("normal", 1, 3, 3, 5, 3)
    x, w = x.transpose(0, 3, 2, 1), w.transpose(2, 3, 1, 0)[..., ::-1]
    kept = x.copy(), w.copy()
    np.testing.assert_array_equal(winograd.conv(x, w, SAME, 4), winograd.conv(*kept, SAME, 4))
    g = numbers("normal", 2, 2, 9, 12, 5).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(winograd.conv_filter(x, g, SAME, 4), winograd.conv_filter(kept[0], g.copy(), SAME, 4))
    np.testing.assert_array_equal(winograd.conv_input(g, w, SAME, 4), winograd.conv_input(g.copy(), kept[1], SAME, 4))
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(w, kept[1])


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
    ("conv", (16, 64, 14, 14), (64, 64, 3, 3)): "winograd 4x4",  # which cover 16 x 16
    ("conv", (16, 64, 10, 10), (64, 64, 3, 3)): "winograd 2x2",  # 4 x 4 would cover 12 x 12
    ("conv", (4, 512, 14, 14), (512, 512, 3, 3)): "winograd 2x2",  # 36 transformed kernels for 64 tiles
    ("conv", (16, 512, 14, 14), (512, 512, 3, 3)): "winograd 4x4",
    ("conv", (1, 64, 8, 8), (64, 64, 3, 3)): "windows",  # four tiles do not pay for the kernel's transform
    ("conv", (64, 64, 3, 3), (64, 64, 3, 3)): "windows",  # tiles cover 4 x 4
    ("conv", (64, 16, 14, 14), (32, 16, 3, 3)): "windows",
    ("conv", (8, 64, 28, 28), (16, 64, 3, 3)): "rows",
    ("conv", (16, 32, 28, 28), (32, 32, 3, 3)): "rows",
    ("conv", (16, 32, 112, 112), (32, 32, 3, 3)): "winograd 4x4",  # larger than row by row is good for
    ("conv", (16, 32, 10, 10), (128, 32, 3, 3)): "windows",  # tiles of 2 x 2 want more channels
    ("conv_input", (8, 64, 28, 28), (31, 64, 3, 3)): "windows",  # 31 channels come in, backwards
    ("conv_input", (8, 32, 28, 28), (128, 32, 3, 3)): "winograd 4x4",
    ("conv_filter", (8, 128, 28, 28), (32, 128, 3, 3)): "winograd 4x4",
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
    for name in ("conv", "conv_input", "conv_filter"):
        f = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda *a, f=f, name=name: (taken.append((name, a[-1])), f(*a))[1])
    x, w, _ = arrays
    for name, a, b, shape in three(*arrays):
        assert conv_choice.chosen(name, x.shape, w.shape, x.dtype, *SETTINGS) == "winograd 4x4"
        found = getattr(host, name)(a, b, *shape, *SETTINGS)
        np.testing.assert_allclose(found, plain(name, a, b, shape), rtol=0, atol=1e-10)
    assert taken == [("conv", 4), ("conv_input", 4), ("conv_filter", 4)]


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


# ---- blocks, and who does them ----


def every_way(x, w, g, m):
    return winograd.conv(x, w, SAME, m), winograd.conv_input(g, w, SAME, m), winograd.conv_filter(x, g, SAME, m)


def factors(n=8, c=16, o=12, size=(24, 20)):
    return numbers("normal", 0, n, c, *size), numbers("normal", 1, o, c, 3, 3), numbers("normal", 2, n, o, *size)


@pytest.fixture
def two(monkeypatch):
    """Whatever is to be done is enough for two threads, which there are. The threads that do it are listed."""
    monkeypatch.setattr(winograd, "_ALONE", 0)
    monkeypatch.setattr(winograd, "processors", lambda: 2)
    monkeypatch.setattr(winograd, "blas_threads", lambda: 2)
    seen = []
    f = winograd._along_rows
    monkeypatch.setattr(winograd, "_along_rows", lambda *a: (seen.append(threading.get_ident()), f(*a))[1])
    return seen


def alternating(f, g):
    """A ``run_beside`` in which the worker takes all that it can before the caller takes anything."""
    f()
    g()


@pytest.mark.parametrize("m", [2, 4])
def test_no_bit_depends_on_who_takes_which_block(m, two, monkeypatch):
    given = factors()
    apart = every_way(*given, m)
    monkeypatch.setattr(winograd, "run_beside", alternating)
    by_one = every_way(*given, m)
    monkeypatch.setattr(winograd, "run_beside", lambda f, g: alternating(g, f))
    by_the_other = every_way(*given, m)
    monkeypatch.setattr(winograd, "run_beside", lambda f, g: pytest.fail("two threads"))
    monkeypatch.setattr(winograd, "processors", lambda: 1)
    for results in zip(apart, by_one, by_the_other, every_way(*given, m), strict=True):
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


def test_two_threads_take_blocks(two, monkeypatch):
    monkeypatch.setattr(winograd, "_STRIP_BYTES", 1)  # many small blocks: the worker comes in time for some
    x, w, _ = factors(64, 32, 32, (32, 32))
    for _ in range(20):
        winograd.conv(x, w, SAME, 4)
        if len(set(two)) == 2:
            return
    pytest.fail("one thread took all blocks, twenty times")


@pytest.mark.parametrize("alone", ["little work", "one processor", "a BLAS of one thread", "an unknown BLAS"])
def test_one_thread_where_a_second_wins_nothing(alone, two, monkeypatch):
    if alone == "little work":
        monkeypatch.setattr(winograd, "_ALONE", 1 << 60)
    elif alone == "one processor":
        monkeypatch.setattr(winograd, "processors", lambda: 1)
    else:
        monkeypatch.setattr(winograd, "blas_threads", lambda: 1 if alone == "a BLAS of one thread" else None)
    monkeypatch.setattr(winograd, "run_beside", lambda f, g: pytest.fail("two threads"))
    every_way(*factors(), 4)
    assert set(two) == {threading.get_ident()}


def test_the_real_threshold(two, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(winograd, "processors", lambda: 2)
    monkeypatch.setattr(winograd, "blas_threads", lambda: 2)
    taken = []
    monkeypatch.setattr(winograd, "run_beside", lambda f, g: (taken.append(1), alternating(f, g)))
    winograd.conv(*factors(1, 64, 64, (28, 28))[:2], SAME, 4)
    assert not taken
    winograd.conv(*factors(16, 64, 64, (32, 32))[:2], SAME, 4)
    assert len(taken) == 1  # the kernel is transformed by one


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e25])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_an_error_in_a_block_reaches_the_caller_and_leaves_blas_as_it_was(where, value, two):
    given = factors()
    given[where][-1, -1, -1, -1] = value  # in the last block
    before = threads.blas_threads()
    for k, f in enumerate(
        [
            lambda x, w, g: winograd.conv(x, w, SAME, 4),
            lambda x, w, g: winograd.conv_input(g, w, SAME, 4),
            lambda x, w, g: winograd.conv_filter(x, g, SAME, 4),
        ]
    ):
        if where in ((0, 1), (1, 2), (0, 2))[k]:
            with pytest.raises(winograd.UntamedError, match="expected a product below"):
                f(*given)
    assert threads.blas_threads() == before


def test_an_error_ends_the_other_threads_work_too(two, monkeypatch):
    done = []

    def work(job):
        done.append(job)
        if job == 3:
            raise KeyError("three")

    monkeypatch.setattr(winograd, "run_beside", alternating)
    with pytest.raises(KeyError, match="three"):
        winograd._in_turns(range(6), work, 1)
    assert done == [5, 4, 3]


@pytest.mark.parametrize("m", [2, 4])
def test_a_block_holds_a_few_megabytes(m, two):
    x, w, g = factors(16, 64, 64, (64, 64))  # 16 MB each
    winograd.conv(x, w, SAME, m)  # what is kept from the first call
    for name, f in (
        ("conv", lambda: winograd.conv(x, w, SAME, m)),
        ("filter", lambda: winograd.conv_filter(x, g, SAME, m)),
    ):
        tracemalloc.start()
        result = f()
        most = tracemalloc.get_traced_memory()[1] - result.nbytes
        tracemalloc.stop()
        assert most < 14 << 20, f"{name}: {most >> 20} MB for two threads"
