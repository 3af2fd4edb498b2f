"""Kernels that work on a batch in two halves: the same numbers by one thread and by two, and BLAS as it was."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import numpy_halves, threads, worker

host = backends.get("numpy")
SAME = (1, 1), ((1, 1), (1, 1)), (1, 1), 1


def set_processors(monkeypatch, count):
    monkeypatch.setattr(worker, "processors", lambda: count)
    monkeypatch.setattr(threads, "blas_threads", lambda: count)


def draw(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def kernels():
    """Names with functions that give arrays, each of a size that is shared."""
    x, w, wide = draw(6, 48, 32, 32), draw(48, 48, 3, 3), draw(48, 48, 5, 5)
    yield "winograd", lambda: (host.conv(x, w, *SAME), host.conv_filter(x, x, w.shape, *SAME))
    large = (1, 1), ((2, 2), (2, 2)), (1, 1), 1
    yield "windows", lambda: (host.conv(x, wide, *large), host.conv_filter(x, x, wide.shape, *large))
    far = (2, 2), ((2, 2), (2, 2)), (1, 1), 1
    yield "strided", lambda: (host.conv_input(host.conv(x, wide, *far), wide, x.shape, *far),)
    q = draw(6, 200, 48)
    for causal in (False, True):
        back = lambda causal=causal: host.attention_back(q, q, q, q, *host.attention(q, q, q, causal), causal)  # noqa: E731
        yield f"attention {causal}", back


@pytest.mark.parametrize(("name", "run"), list(kernels()), ids=lambda x: x if isinstance(x, str) else "")
def test_one_thread_and_two_give_the_same_bits(monkeypatch, name, run):
    shared, found = [], []
    beside = worker.run_beside
    monkeypatch.setattr(worker, "run_beside", lambda f, g: shared.append(name) or beside(f, g))
    for count in (1, 2):
        set_processors(monkeypatch, count)
        with threads.blas_threads_set(1):
            found.append(run())
        assert bool(shared) == (count == 2)
    for a, b in zip(*found, strict=True):
        assert np.array_equal(a, b)


def test_halves_are_decided_by_sizes_alone(monkeypatch):
    much = numpy_halves.ENOUGH
    for count in (1, 2):
        set_processors(monkeypatch, count)
        assert numpy_halves.halves(5, much) == [slice(0, 2), slice(2, 5)]
        assert numpy_halves.halves(5, much - 1) == [slice(0, 5)]
        assert numpy_halves.halves(1, much) == [slice(0, 1)]
        assert numpy_halves.halves(0, much) == [slice(0, 0)]


def test_two_run_at_the_same_time(monkeypatch):
    set_processors(monkeypatch, 2)
    met = threading.Barrier(2)
    assert len(set(numpy_halves.each(["a", "b"], lambda part: (met.wait(timeout=60), threading.get_ident())[1]))) == 2


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("bad", ["a", "b"])
def test_an_error_comes_through_and_blas_has_its_threads_again(monkeypatch, count, bad):
    before = threads.blas_threads()
    set_processors(monkeypatch, count)

    def f(part):
        if part == bad:
            raise ZeroDivisionError(part)

    with pytest.raises(ZeroDivisionError, match=bad):
        numpy_halves.each(["a", "b"], f)
    monkeypatch.undo()
    assert threads.blas_threads() == before


def test_a_blas_that_nothing_is_known_of_is_left_alone(monkeypatch):
    set_processors(monkeypatch, 2)
    monkeypatch.setattr(threads, "blas_threads", lambda: None)
    monkeypatch.setattr(worker, "run_beside", lambda f, g: pytest.fail("two threads"))
    assert numpy_halves.each([1, 2], lambda part: part * part) == [1, 4]


def test_what_numpy_warns_of_is_the_callers_in_both(monkeypatch):
    set_processors(monkeypatch, 2)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        numpy_halves.each([1.0, 0.0], lambda part: np.float64(1) / np.float64(part))
    with np.errstate(divide="ignore"):
        assert numpy_halves.each([1.0, 0.0], lambda part: np.float64(1) / np.float64(part)) == [1, np.inf]


@pytest.mark.parametrize(("multiplications", "expected"), [(numpy_halves.LARGE, 1), (numpy_halves.LARGE + 1, 2)])
def test_one_thread_for_small_products(monkeypatch, multiplications, expected):
    told = []
    monkeypatch.setattr(threads, "_controls", lambda: [(lambda: told[-1] if told else 2, told.append)])
    with numpy_halves.one_thread(multiplications):
        assert threads.blas_threads() == expected
    assert threads.blas_threads() == 2
