"""How far a run is: by its steps or by its time. A learning rate that follows it, and an end when the time is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from zkynet.train.callback import Callback


class Pace(Callback):
    """The ``share`` of a run that is done, 0 to 1: of its ``steps`` or of its ``minutes``, whichever is further.

    ``minutes`` None: the steps alone count, and the same seed gives the same run. With minutes the run ends, as at the
    end of an epoch, with the step in which they are over; they count from its first step, with validation and all
    else, and go on where a run is resumed. ``clock`` gives seconds.
    """

    def __init__(self, steps: int, minutes: float | None = None, clock: Callable[[], float] = time.monotonic):
        self.steps, self.seconds, self.clock = max(1, steps), None if minutes is None else 60 * minutes, clock
        self.spent, self.began, self.share = 0.0, clock(), 0.0

    def on_run_start(self, run: Any) -> None:
        if not run.step:
            self.spent = 0.0
        elif self.seconds is not None and self.spent >= self.seconds:
            run.stop(self._over)
        self.began = self.clock() - self.spent

    def on_step_start(self, run: Any) -> None:
        share = run.step / self.steps
        if self.seconds is not None:
            self.spent = self.clock() - self.began
            share = max(share, self.spent / self.seconds)
        self.share = min(1.0, share)

    def on_step_end(self, run: Any) -> None:
        if self.seconds is not None:
            self.spent = self.clock() - self.began
            if self.spent >= self.seconds:
                run.stop(self._over, finish_epoch=True)

    def on_epoch_end(self, run: Any) -> None:
        if self.seconds is not None and not run.stopped:
            self.spent = self.clock() - self.began
            if self.spent >= self.seconds:  # during the validation
                run.stop(self._over)

    @property
    def _over(self) -> str:
        return f"the {(self.seconds or 0) / 60:g} minutes are over"

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.spent}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.spent = float(state["seconds"])


class PacedCosine:
    """A learning rate: up to ``lr`` over the share ``warm_up`` of a run, then down to 0 along half a cosine.

    It is a schedule, as optimizers take them; ``pace`` says how far the run is, in place of the number of updates.
    """

    def __init__(self, lr: float, pace: Pace, warm_up: float = 0.05):
        self.lr, self.pace, self.warm_up = lr, pace, warm_up

    def __call__(self, step: int) -> float:
        share = self.pace.share
        rise = min(1.0, (share + 1 / self.pace.steps) / self.warm_up) if self.warm_up else 1.0
        return self.lr * rise * (1 + math.cos(math.pi * share)) / 2

    def __repr__(self) -> str:
        return f"PacedCosine({self.lr:g}, warm_up={self.warm_up:g})"
