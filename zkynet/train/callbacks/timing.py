"""Timing: how fast a run goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from zkynet.train.callback import Callback


class Timing(Callback):
    """Adds to the figures of every epoch how fast its training was.

    ``training_seconds``: from the start of the epoch to the end of its last step, without validation and saving;
    ``steps_per_second`` and ``samples_per_second`` over that time (None where it is too short for the clock). The
    figure ``seconds``, of the whole epoch, is the Trainer's own. Where a run was interrupted within an epoch the time
    in between does not count.
    """

    order = -1  # told before those that write figures down

    def __init__(self) -> None:
        self._begin()
        self._since = 0.0

    def _begin(self) -> None:
        self._seconds, self._steps, self._samples = 0.0, 0, 0

    def on_run_start(self, run: Any) -> None:
        if run.step == 0:
            self._begin()
        self._since = time.perf_counter()

    def on_epoch_start(self, run: Any) -> None:
        self._begin()
        self._since = time.perf_counter()

    def on_step_end(self, run: Any) -> None:
        if run.batch == run.batches:
            _ = run.loss  # waits for a device that is still at work
        now = time.perf_counter()
        self._seconds += now - self._since
        self._since = now
        self._steps += 1
        self._samples += run.samples

    def on_epoch_end(self, run: Any) -> None:
        seconds = self._seconds
        run.figures["training_seconds"] = seconds
        run.figures["steps_per_second"] = self._steps / seconds if seconds > 0 else None
        run.figures["samples_per_second"] = self._samples / seconds if seconds > 0 else None

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._seconds, "steps": self._steps, "samples": self._samples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._seconds, self._steps = float(state["seconds"]), int(state["steps"])
        self._samples = int(state["samples"])
