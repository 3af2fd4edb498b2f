"""NumPy's update_in_blocks on two threads, and the worker thread that takes half of the blocks."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from zkynet import backends, optim
from zkynet.backends import numpy as numpy_backend
from zkynet.backends import numpy_update, worker
from zkynet.backends.worker import run_beside

HOST = backends.get("numpy")
SHAPES = [(40, 9), (7,), (), (0, 3), (33,), (5, 5)]


class UnknownError(Exception):
    """An error of these tests."""


@pytest.fixture(autouse=True)
def two_processors(monkeypatch):
    monkeypatch.setattr(numpy_update, "processors", lambda: 2)


def groups_of(optimizer, dtype="float32"):
    rng = np.random.default_rng(0)
    pairs = [[rng.normal(size=shape).astype(dtype) for _ in "pg"] for shape in SHAPES]
    return [[p, g, *[np.array(np.abs(g)) for _ in optimizer.slots]] for p, g in pairs]


def updated(optimizer, groups, steps=3):
    """The arrays after some steps, each in place."""
    owners = [list(group) for group in groups]
    for t in range(1, steps + 1):
        HOST.update_in_blocks(optimizer.rule, groups, optimizer.numbers(t, 0.1))
    return [array for group in owners for array in group]


# ---- two threads ----


@pytest.mark.parametrize("make", [optim.Adam, optim.Lion, lambda: optim.SGD(0.1, momentum=0.9)])
def test_two_threads_give_the_bits_of_one(make, monkeypatch):
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", 5)
    alone = updated(make(), groups_of(make()))
    threads = set()

    class Watched(type(make())):
        @property
        def rule(self):
            def watched(*arguments):
                threads.add(threading.get_ident())
                time.sleep(1e-4)  # so that the other one comes to it
                return rule(*arguments)

            rule = super().rule
            return watched

    optimizer = make()
    optimizer.__class__ = Watched
    monkeypatch.setattr(numpy_update, "_ALONE", 1)
    for one, two in zip(alone, updated(optimizer, groups_of(optimizer)), strict=True):
        np.testing.assert_array_equal(one, two, strict=True)
    assert len(threads) == 2


def test_few_entries_and_one_processor_take_one_thread(monkeypatch):
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", 5)
    monkeypatch.setattr(numpy_update, "run_beside", lambda f, g: pytest.fail("two threads"))
    updated(optim.Adam(), groups_of(optim.Adam()))
    monkeypatch.setattr(numpy_update, "_ALONE", 1)
    monkeypatch.setattr(numpy_update, "processors", lambda: 1)
    updated(optim.Adam(), groups_of(optim.Adam()))


def test_an_error_of_a_rule_is_raised_and_ends_the_work(monkeypatch):
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", 1)
    monkeypatch.setattr(numpy_update, "_ALONE", 1)
    calls = []

    def rule(xp, p, g, rate):
        calls.append(1)
        time.sleep(1e-3)
        raise UnknownError

    with pytest.raises(UnknownError):
        HOST.update_in_blocks(rule, groups_of(optim.SGD(0.1)), (0.1,))
    assert len(calls) <= 2


def test_the_callers_errstate_holds_in_both_threads(monkeypatch):
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", 64)
    monkeypatch.setattr(numpy_update, "_ALONE", 1)

    def rule(xp, p, g, rate):
        time.sleep(1e-4)
        p /= 0 * rate
        return (p,)

    for kind, raised in (("ignore", ()), ("raise", FloatingPointError)):
        with np.errstate(all=kind):
            if raised:
                with pytest.raises(raised):
                    HOST.update_in_blocks(rule, groups_of(optim.SGD(0.1)), (0.1,))
            else:
                HOST.update_in_blocks(rule, groups_of(optim.SGD(0.1)), (0.1,))


def test_nobody_holds_the_arrays_afterwards(monkeypatch):
    """Else the next update would copy them."""
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", 5)
    monkeypatch.setattr(numpy_update, "_ALONE", 1)
    optimizer = optim.Adam()
    groups = groups_of(optimizer)
    owners = [list(group) for group in groups]
    for _ in range(50):
        new = HOST.update_in_blocks(optimizer.rule, groups, optimizer.numbers(3, 0.1))
        assert all([group[0] is owner[0] for group, owner in zip(new, owners, strict=True)])
        assert all([group[2] is owner[3] for group, owner in zip(new, owners, strict=True)])
        del new


# ---- the worker ----


def test_both_run_and_one_of_them_elsewhere():
    ran, met = {}, threading.Barrier(2, timeout=10)

    def note(name):
        met.wait()
        ran[name] = threading.get_ident()

    run_beside(lambda: note("f"), lambda: note("g"))
    assert ran["g"] == threading.get_ident() != ran["f"]


apart = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2 or worker._processor() is None,
    reason="threads cannot be told here where to run, or there is one processor",
)


def kept_apart():
    """The processors that each of two that run beside each other may use."""
    found, met = {}, threading.Barrier(2, timeout=10)

    def note(name):
        met.wait()
        found[name] = os.sched_getaffinity(0)
        met.wait()

    run_beside(lambda: note("f"), lambda: note("g"))
    return found


@apart
def test_both_keep_to_processors_of_their_own():
    run_beside(lambda: None, lambda: time.sleep(0.01))  # the worker is there
    free = os.sched_getaffinity(0)
    for _ in range(3):
        found = kept_apart()
        assert len(found["g"]) == 1 and found["f"] == free - found["g"]
        assert os.sched_getaffinity(0) == free
    with pytest.raises(UnknownError):
        run_beside(lambda: None, failing)
    assert os.sched_getaffinity(0) == free


@apart
def test_a_call_inside_leaves_both_where_they_are():
    found = []

    def below():
        before = os.sched_getaffinity(0)
        run_beside(lambda: None, lambda: None)
        found.append((before, os.sched_getaffinity(0)))

    run_beside(lambda: None, lambda: time.sleep(0.01))
    run_beside(below, below)
    assert len(found) == 2 and all(before == behind for before, behind in found)
    assert kept_apart()["g"] < os.sched_getaffinity(0)


@apart
def test_where_the_system_refuses_they_run_all_the_same(monkeypatch):
    def refused(*arguments):
        raise OSError(22, "Invalid argument")

    run_beside(lambda: None, lambda: time.sleep(0.01))
    free = os.sched_getaffinity(0)
    with monkeypatch.context() as context:
        context.setattr(os, "sched_setaffinity", refused)
        found = kept_apart()
    assert found["g"] == free == os.sched_getaffinity(0)


@pytest.mark.parametrize("inside", ["f", "g"])
def test_a_call_inside_does_not_wait_for_itself(inside):
    ran = []

    def below():
        run_beside(lambda: ran.append("f"), lambda: ran.append("g"))

    run_beside(*[below if name == inside else lambda: time.sleep(0.01) for name in "fg"])
    assert sorted(ran) == ["f", "g"]


def test_many_threads_share_the_worker():
    sums = []

    def caller():
        for _ in range(100):
            found = []
            run_beside(lambda: found.append(1), lambda: found.append(2))  # noqa: B023
            sums.append(sum(found))

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sums == [3] * 400


def failing():
    raise UnknownError("f")


def test_errors_are_raised_when_both_stand_still():
    ended = []
    with pytest.raises(UnknownError):
        run_beside(failing, lambda: ended.append("g"))
    met = threading.Event()

    def slow():
        met.set()
        time.sleep(0.05)
        ended.append("f")

    def after_it_began():
        assert met.wait(10)
        raise UnknownError

    with pytest.raises(UnknownError):
        run_beside(slow, after_it_began)
    assert ended == ["g", "f"]


def test_what_has_not_begun_when_the_caller_fails_is_left():
    ran, hold = [], threading.Event()

    def busy():
        assert hold.wait(10)

    def inside():
        with pytest.raises(UnknownError):
            run_beside(lambda: ran.append("f"), failing)  # the worker is busy with the outer one
        hold.set()

    began = threading.Event()
    run_beside(lambda: (began.set(), busy()), lambda: (began.wait(10), inside()))
    run_beside(lambda: None, lambda: time.sleep(0.01))
    assert ran == []


def test_where_no_thread_can_be_started_it_runs_here(monkeypatch):
    class Refused:
        def __init__(self, **arguments):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker, "_queue", None)
    monkeypatch.setattr(worker, "Thread", Refused)
    ran = []
    run_beside(lambda: ran.append(threading.get_ident()), lambda: ran.append(threading.get_ident()))
    assert ran == [threading.get_ident()] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_worker_of_its_own():
    script = """
import os, threading
from zkynet.backends.worker import run_beside
def ids():
    met, found = threading.Barrier(2, timeout=10), []
    f = lambda: (met.wait(), found.append(threading.get_ident()))
    run_beside(f, f)
    return set(found)
assert len(ids()) == 2
child = os.fork()
if not child:
    os._exit(0 if len(ids()) == 2 else 1)
assert os.waitpid(child, 0)[1] == 0 and len(ids()) == 2
print("both")
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "both\n"


@pytest.fixture
def interrupts():
    """SIGINT raises KeyboardInterrupt: a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no process sends itself an interrupt there")
@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_comes_through_when_the_other_has_ended():
    ended = []

    def slow():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        ended.append("f")

    for g in (lambda: None, lambda: time.sleep(1)):  # while it waits, and while it works
        with pytest.raises(KeyboardInterrupt):
            began = threading.Event()
            run_beside(lambda: (began.set(), slow()), lambda: (began.wait(10), g()))  # noqa: B023
        run_beside(lambda: ended.append("next"), lambda: None)
    assert ended == ["f", "next"] * 2


def test_the_limit_of_threads_counts(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert worker.processors() == 1
    for free in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", free)
        assert worker.processors() >= 1
