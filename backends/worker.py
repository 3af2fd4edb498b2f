"""One waiting thread that works beside the caller's: ``run_beside``."""

import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from threading import Lock, Thread
from typing import Any


def run_beside(f: Callable[[], object], g: Callable[[], object]) -> None:
    """Call ``f()`` in the worker thread and ``g()`` here, at the same time; come back when both have ended.

    They must not write what the other one reads. ``f`` runs in a copy of the caller's context (``np.errstate``,
    ``no_grad``). The worker begins about 60 us later. Where it has not begun when ``g`` has ended, because it is busy,
    waits for a processor or could not be started, ``f`` runs here: a call inside of ``f`` or ``g`` never waits for
    itself. What ``g`` raises is raised again once ``f`` stands still, which is not begun then; else what ``f`` raises.
    On Linux both keep to processors of their own meanwhile (``_Apart``).
    """
    job = _Job(copy_context().run, f)
    apart = _Apart()
    try:
        apart.begin()
        _run(job, g)
    finally:
        apart.end()
    error, job.error = job.error, None
    try:
        if error is not None:
            raise error
    finally:
        del error  # no cycle through its traceback


def _run(job: "_Job", g: Callable[[], object]) -> None:
    try:
        jobs = _jobs()
        if jobs is not None:
            jobs.put(job)
        g()
    except BaseException:
        if not job.taken_by("caller"):
            job.wait()
        raise
    if job.taken_by("caller"):
        job.run()
    else:
        job.wait()


def processors() -> int:
    """How many processors this process may use, at most OMP_NUM_THREADS: with one nothing is won beside it."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(found, int(limit)) if limit.isdecimal() and int(limit) else found


class _Job:
    """A function to be called once, by whoever comes first. Each step may be repeated after an interrupt."""

    def __init__(self, run, f):
        self._todo = (run, f)
        self._takers: dict[str, str] = {}
        self._ended = False
        self._end = Lock()
        self._end.acquire()
        self.error: BaseException | None = None

    def taken_by(self, who: str) -> bool:
        """Whether ``who`` is the one to run it: the first who asks."""
        return self._takers.setdefault("", who) == who

    def run(self) -> None:
        run, f = self._todo
        try:
            run(f)
        except BaseException as error:
            self.error = error
        finally:
            del f, self._todo  # arrays are counted by who holds them
            self._ended = True
            self._end.release()

    def wait(self) -> None:
        """Come back when it has ended; an interrupt is raised then."""
        interrupt = None
        while not self._ended:
            try:
                self._end.acquire()
            except BaseException as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


class _Apart:
    """Between ``begin`` and ``end`` the caller stays on its processor and the worker keeps off it, where Linux lets it.

    Threads that wake each other, as for Python's lock, are put on one processor by its scheduler, since they may share
    what is in a cache, and stay there for some 50 ms, one waiting for the other. One caller at a time is kept apart.
    """

    __slots__ = ("_before", "_lock")

    def __init__(self) -> None:
        self._before: set[int] = set()
        self._lock: Any = None

    def begin(self) -> None:
        processor, worker, lock = _processor(), _worker, _apart
        if processor is None or worker is None or not lock.acquire(blocking=False):
            return
        self._lock = lock
        allowed, here = os.sched_getaffinity(0), processor()
        if len(allowed) > 1 and here in allowed:
            with suppress(OSError):  # the system may have taken processors away meanwhile
                os.sched_setaffinity(worker, allowed - {here})
                self._before = allowed
                os.sched_setaffinity(0, {here})

    def end(self) -> None:
        """May be called in any state: an interrupt may have come first."""
        if self._before:
            with suppress(OSError):
                os.sched_setaffinity(0, self._before)
        if self._lock is not None:
            self._lock.release()


@cache
def _processor() -> Callable[[], int] | None:
    """What tells on which processor the caller runs; None where there is nothing of the kind."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    import ctypes

    return getattr(ctypes.PyDLL(None), "sched_getcpu", None)


_queue: Any = None
_worker: int | None = None  # the thread, as the system knows it
_lock, _apart = Lock(), Lock()


def _jobs() -> Any:
    """What the worker reads from; it is started by the first job, and again in a forked child, which has no threads."""
    global _queue, _worker
    if _queue is None:
        with _lock:
            if _queue is None:
                from queue import SimpleQueue  # few programs need it

                jobs: SimpleQueue[_Job] = SimpleQueue()
                thread = Thread(target=_work, args=(jobs,), name="zkynet worker", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # none can be started: too many, the process ends, or the platform has none
                    return None
                _queue, _worker = jobs, thread.native_id
    return _queue


def _work(jobs) -> None:
    while True:
        _take_up(jobs.get())


def _take_up(job) -> None:
    if job.taken_by("worker"):
        job.run()


def _forget() -> None:
    global _queue, _worker, _lock, _apart
    _queue, _worker, _lock, _apart = None, None, Lock(), Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
