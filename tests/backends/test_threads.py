"""The BLAS's thread count: set for a while, and what it was before afterwards."""

import os
import subprocess
import sys
import threading

import pytest

from zkynet.backends import threads


@pytest.fixture(params=["threadpoolctl", "ctypes"])
def blas(request, monkeypatch):
    """The module with one of its two ways to the library; its number is 2 at first."""
    if request.param == "ctypes":
        found = threads._by_ctypes()
    else:
        pytest.importorskip("threadpoolctl", reason="the way without it is tested beside")
        found = threads._controls()
    if not found:
        pytest.skip("NumPy's BLAS is none that can be told")
    monkeypatch.setattr(threads, "_controls", lambda: found)
    before = [get() for get, _ in found]
    for _, tell in found:
        tell(2)
    yield threads
    for (_, tell), number in zip(found, before, strict=True):
        tell(number)


class WrongError(Exception):
    pass


def test_a_block_sets_and_restores(blas):
    assert blas.blas_threads() == 2
    with blas.blas_threads_set(1):
        assert blas.blas_threads() == 1
    assert blas.blas_threads() == 2


def test_an_exception_restores_too(blas):
    with pytest.raises(WrongError), blas.blas_threads_set(1):
        raise WrongError
    assert blas.blas_threads() == 2


def test_blocks_may_be_nested(blas):
    with blas.blas_threads_set(1):
        with blas.blas_threads_set(2):
            assert blas.blas_threads() == 2
        assert blas.blas_threads() == 1
    assert blas.blas_threads() == 2


def test_a_block_object_serves_more_than_once(blas):
    block = blas.blas_threads_set(1)
    for _ in range(2):
        with block:
            assert blas.blas_threads() == 1
        assert blas.blas_threads() == 2


def test_the_last_of_several_threads_restores(blas):
    entered, leave = threading.Event(), threading.Event()

    def other():
        with blas.blas_threads_set(1):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with blas.blas_threads_set(1):
        thread.start()
        assert entered.wait(10)
    assert blas.blas_threads() == 1  # the other one is still inside
    leave.set()
    thread.join()
    assert blas.blas_threads() == 2


def test_the_first_may_leave_before_the_last(blas):
    first, second = blas.blas_threads_set(1), blas.blas_threads_set(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert blas.blas_threads() == 1
    second.__exit__(None, None, None)
    assert blas.blas_threads() == 2


def test_many_threads_at_once_leave_it_as_it_was(blas):
    def work():
        for _ in range(200):
            with blas.blas_threads_set(1):
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert blas.blas_threads() == 2


def test_it_can_be_set_for_good(blas):
    assert blas.set_blas_threads(1)
    assert blas.blas_threads() == 1


@pytest.mark.parametrize("n", [0, -1])
def test_a_number_below_one_is_refused(n):
    with pytest.raises(ValueError, match="at least 1"):
        threads.blas_threads_set(n)
    with pytest.raises(ValueError, match="at least 1"):
        threads.set_blas_threads(n)


def test_a_blas_that_cannot_be_told_is_left_alone(monkeypatch):
    monkeypatch.setattr(threads, "_controls", list)
    assert threads.blas_threads() is None
    assert not threads.set_blas_threads(1)
    with threads.blas_threads_set(1):
        assert threads.blas_threads() is None


def test_without_threadpoolctl_openblas_is_found_by_ctypes(monkeypatch):
    if not threads._by_ctypes():
        pytest.skip("NumPy's BLAS is no OpenBLAS that is loaded")
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    found = threads._controls.__wrapped__()
    assert [get() for get, _ in found] == [get() for get, _ in threads._by_ctypes()]


def test_the_libraries_are_looked_for_once():
    assert threads._controls() is threads._controls()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_child_that_is_forked_inside_a_block_has_the_old_number():
    """In a process of its own: a fork beside pytest's threads may hang."""
    program = """
import os
from zkynet.backends import threads
before = threads.blas_threads()
with threads.blas_threads_set(1):
    child = os.fork()
    if child == 0:
        inside = threads.blas_threads()
        with threads.blas_threads_set(1):
            pass
        os._exit(0 if inside == threads.blas_threads() == before else 1)
status = os.waitpid(child, 0)[1]
assert threads.blas_threads() == before
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)
