"""Timing several functions side by side, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

from zkynet.bench.workloads import Workload, failed, start

SAMPLE = 0.01  # seconds that one sample of a short function should take
# Seconds before a turn: a thread of OpenBLAS that has worked waits awake for more, 2^28 cycles as a rule, and takes a
# processor that the next peer needs.
_PAUSE = 0.15


def race(workload: Workload, peers: list[str], rounds: int) -> dict[str, list[float]]:
    """Seconds a call, one sample a round, of each peer: A B C A B C ..., warmed up before."""
    with ExitStack() as stack:
        if workload.apart is not None:
            samplers = {peer: stack.enter_context(Server(workload.apart(peer))).sample for peer in peers}
        else:
            samplers = {peer: _sampler(workload, workload.make(peer)) for peer in peers}
            gc.collect()
            gc.freeze()  # a collection in one library's turn need not walk what the others loaded
            stack.callback(gc.unfreeze)
        return take_turns(samplers, rounds)


def take_turns(samplers: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each peer's sampler gives in so many rounds."""
    times: dict[str, list[float]] = {peer: [] for peer in samplers}
    for _ in range(rounds):
        for peer, sample in samplers.items():
            times[peer].append(sample())
    return times


class Server:
    """A process that waits for its turns, of about ``turn`` seconds: see ``networks.serve`` and ``child.turns``."""

    def __init__(self, arguments: list[str], turn: float = SAMPLE):
        self.process = start(arguments)
        self.calls = max(1, round(turn / self._seconds()))

    def _seconds(self) -> float:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise failed(self.process)
        return float(line)

    def sample(self) -> float:
        """One turn: the seconds of a call."""
        time.sleep(_PAUSE)
        print(self.calls, file=self.process.stdin, flush=True)
        return self._seconds()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.communicate()  # the end of its stdin is the end of it


def _sampler(workload: Workload, run: Callable[[], Any]) -> Callable[[], float]:
    """A function that takes one sample of ``run``, which has run before."""
    read = workload.seconds
    run()
    if read is not None:
        return lambda: read(run())
    if workload.process:
        return lambda: _seconds(run, 1)
    run()
    calls = max(1, round(SAMPLE / min(_seconds(run, 1) for _ in range(3))))

    def sample() -> float:
        run()  # what the others pushed out of the caches comes back
        return _seconds(run, calls)

    return sample


def _seconds(run: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


class Ratio(NamedTuple):
    """zkynet's time over a peer's: the median and the extremes of the rounds, and the ratio of the best times."""

    median: float
    low: float
    high: float
    best: float


def ratio(ours: list[float], theirs: list[float]) -> Ratio:
    """How two lists of times compare, round by round."""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Ratio(median(each), min(each), max(each), min(ours) / min(theirs))
