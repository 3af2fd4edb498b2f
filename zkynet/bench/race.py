"""Timing several functions side by side, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

SAMPLE = 0.01  # seconds that one sample of a short function should take
_PAUSE = 0.002  # seconds before a sample: the worker threads of the library before it go to sleep


def race(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds a call, one sample a round, of each function: A B C A B C ..., after two calls to warm up."""
    for run in runs.values():
        run()
        run()
    calls = {name: max(1, round(SAMPLE / _seconds(run, 1))) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    gc.freeze()  # a collection in one function's turn need not walk what the other libraries loaded
    try:
        for _ in range(rounds):
            for name, run in runs.items():
                time.sleep(_PAUSE)
                run()  # what the others pushed out of the caches comes back
                times[name].append(_seconds(run, calls[name]))
    finally:
        gc.unfreeze()
    return times


def _seconds(run, calls) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


class Ratio(NamedTuple):
    """Our time over a peer's: the median of the rounds, the extremes, and that of the best times."""

    middle: float
    low: float
    high: float
    best: float


def ratio(ours: list[float], theirs: list[float]) -> Ratio:
    """How two lists of times compare, round by round."""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Ratio(median(each), min(each), max(each), min(ours) / min(theirs))
