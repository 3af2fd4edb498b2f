"""Timing several functions side by side, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

from zkynet.bench.workloads import Workload

SAMPLE = 0.01  # seconds that one sample of a short function should take
_PAUSE = 0.002  # seconds before a sample: the worker threads of the library before it go to sleep


def race(workload: Workload, peers: list[str], rounds: int) -> dict[str, list[float]]:
    """Seconds a call, one sample a round, of each peer: A B C A B C ..., warmed up before."""
    samplers = {peer: _sampler(workload, workload.make(peer)) for peer in peers}
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    gc.collect()
    gc.freeze()  # a collection in one library's turn need not walk what the others loaded
    try:
        for _ in range(rounds):
            for peer, sample in samplers.items():
                times[peer].append(sample())
    finally:
        gc.unfreeze()
    return times


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
        time.sleep(_PAUSE)
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
