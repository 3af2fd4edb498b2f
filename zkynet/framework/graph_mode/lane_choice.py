"""Which of two ways a program runs: measured on its first replays, then kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from zkynet.backends.threads import blas_threads
from zkynet.backends.worker import processors

ROUNDS = 3  # of each way in turn
RUNS = 4  # that are timed of one way in a row
# Seconds behind a change to two lanes in which no run is timed: so long a thread of OpenBLAS that has worked for one
# lane waits awake for more, 2^28 cycles as a rule, and takes a processor from a lane.
SETTLE = 0.15
MARGIN = 0.03  # the share of its time that the second way has to save


def lanes_possible() -> bool:
    """Whether two lanes can be faster: with two processors or more, and a BLAS whose threads can be set.

    A BLAS that was told to use one thread asks for one processor: then there is one lane.
    """
    return processors() > 1 and (blas_threads() or 1) > 1


class Choice:
    """One lane or two: ``run`` tries both in the first calls, and then takes the faster one.

    ``lanes`` is 1 or 2, None while it is measured. ``deterministic``: 1 from the beginning, whatever was measured or
    is loaded; so it is where two are not ``possible``, but there a loaded 2 counts: the results are those of two.
    Which one runs changes results by rounding alone; a saved choice makes a resumed run the same to the bit.
    """

    def __init__(
        self, deterministic: bool = False, possible: bool = True, clock: Callable[[], float] = time.perf_counter
    ):
        self.deterministic = deterministic
        self.lanes: int | None = None if possible and not deterministic else 1
        self.why = "deterministic" if deterministic else "" if possible else "one processor, or a BLAS of one thread"
        self._clock = clock
        self._times: dict[int, list[float]] = {1: [], 2: []}
        self._way, self._since = 0, 0.0  # the way of the last call, and when the first in a row with it began
        self._lock = threading.Lock()  # one call at a time is measured: others run one lane

    def run(self, one: Callable[[], Any], two: Callable[[], Any]) -> Any:
        """What ``one()`` or ``two()`` returns."""
        if self.lanes is not None:
            return one() if self.lanes == 1 else two()
        if not self._lock.acquire(blocking=False):
            return one()
        try:
            lanes = 1 + self._timed // RUNS % 2
            start = self._clock()
            result = one() if lanes == 1 else two()
            self._ran(lanes, start, self._clock())
            return result
        finally:
            self._lock.release()

    @property
    def _timed(self) -> int:
        return sum(map(len, self._times.values()))

    def _ran(self, lanes: int, start: float, end: float) -> None:
        if self._way != lanes:
            self._way, self._since = lanes, start
            return
        if self.lanes is not None or (lanes == 2 and start - self._since < SETTLE):
            return
        self._times[lanes].append(end - start)
        if self._timed == 2 * RUNS * ROUNDS:
            one, two = (median(self._times[lanes]) for lanes in (1, 2))
            self.lanes = 2 if two < (1 - MARGIN) * one else 1
            self.why = f"measured: {_spelled(one)} in one lane, {_spelled(two)} in two"

    def report(self) -> str:
        """The choice and its reason, in words."""
        if self.lanes is None:
            return f"one lane or two: not decided, {self._timed} of {2 * RUNS * ROUNDS} calls timed"
        return f"{'one lane' if self.lanes == 1 else 'two lanes'}: {self.why}"

    def state_dict(self) -> dict[str, Any]:
        """The choice as a checkpoint saves it."""
        return {"lanes": self.lanes, "why": self.why}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a saved choice; one that was not decided is measured here. ValueError for what is none."""
        lanes = state.get("lanes")
        if lanes not in (None, 1, 2):
            raise ValueError(f"a choice of lanes: expected 1, 2 or None; got {lanes!r}")
        if lanes is not None and not self.deterministic:
            self.lanes, self.why = lanes, str(state.get("why", "")) or "loaded"

    def __repr__(self) -> str:
        return f"<{self.report()}>"


def _spelled(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-2 else f"{seconds * 1e3:.1f} ms"
