"""What a run says while it goes on: a line an epoch and, in a terminal, one that moves."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from zkynet.train.callback import Callback

NAMES = {"loss": "train loss"}
APART = ("epoch", "seconds")
MANY = 1000  # so many epochs are a limit rather than a plan


class EpochLines(Callback):
    """Prints a line per epoch and, where ``moving``, one that shows how far the epoch is.

    ``names``: how figures are called; ``shown``: which ones, in order, None for all that are numbers. Both may be set
    until the run starts.
    """

    order = 1  # told after those that add figures
    interval = 0.1  # seconds between two looks of the moving line

    def __init__(self, moving: bool | None = None):
        self.names: Mapping[str, str] = {}
        self.shown: Sequence[str] | None = None
        self.width, self.looked = 0, 0.0
        if sys.stdout.isatty() if moving is None else moving:
            self.on_step_end = self._move  # type: ignore[method-assign]

    def _move(self, run: Any) -> None:
        now = time.monotonic()
        if now - self.looked >= self.interval:
            self.looked = now
            of = "" if run.batches is None else f"/{run.batches}"
            self._show(f"epoch {run.epoch}/{run.epochs}  batch {run.batch}{of}  loss {run.loss:.4f}", end="")

    def on_epoch_end(self, run: Any) -> None:
        self._show(self.line(run), end="\n")

    def on_run_end(self, run: Any) -> None:
        if self.width:  # a line that has moved is left as it is
            print(flush=True)

    def line(self, run: Any) -> str:
        """The line of an epoch: ``epoch  3/12  train loss 0.2500  test accuracy 0.9000  1.50 s``."""
        number = f"{run.epoch:{len(str(run.epochs))}}/{run.epochs}" if run.epochs < MANY else f"{run.epoch}"
        figures = [name for name in run.figures if name not in APART] if self.shown is None else self.shown
        parts = [
            f"{self.names.get(name, NAMES.get(name, name.replace('_', ' ')))} {figure(run.figures[name])}"
            for name in figures
            if isinstance(run.figures.get(name), (int, float))
        ]
        return "  ".join([f"epoch {number}", *parts, f"{run.figures['seconds']:.2f} s"])

    def _show(self, line: str, end: str) -> None:
        back = "\r" if self.width else ""
        print(back + line.ljust(self.width) + end, end="", flush=True)
        self.width = len(line) if end == "" else 0


def figure(value: float) -> str:
    """A figure with four digits behind the point, or four in all where it is very small or large."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e6
    return str(value) if isinstance(value, int) else f"{value:.4f}" if plain else f"{value:.4g}"
