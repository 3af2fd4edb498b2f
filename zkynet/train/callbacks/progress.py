"""Progress: how far a run is, as it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from zkynet.train.callback import Callback

# What other callbacks add to the figures: shown where it is asked for.
ASIDE = ("training_seconds", "steps_per_second", "samples_per_second", "gradient_norm", "weight_norm")
MANY = 1000  # so many epochs are a limit rather than a plan


class Progress(Callback):
    """Prints a line per epoch and, in a terminal, shows how far the epoch is while it runs.

    In a terminal that is a bar of tqdm where that is installed, otherwise a line that moves; where the output goes
    elsewhere, to a pipe or a file, there are the lines of the epochs alone, and nothing at all with ``quiet=True``. An
    epoch's line is ``epoch  3/20  loss 0.2314  validation loss 0.2641  accuracy 0.9389  1.50 s``. A run that a callback
    has stopped ends with a line that says why.

    ``names``: how to call figures, ``{"loss": "train loss"}``; others by their own name. ``shown``: which ones, in
    order; None for all numbers but those of Timing and Statistics. ``file``: where to print, ``sys.stdout`` as it is
    when the run starts unless given. ``interval``: seconds between two looks of what moves.
    """

    def __init__(
        self,
        quiet: bool = False,
        *,
        names: Mapping[str, str] | None = None,
        shown: Sequence[str] | None = None,
        file: TextIO | None = None,
        interval: float = 0.1,
    ):
        self.quiet, self.file, self.interval = bool(quiet), file, interval
        self.names, self.shown = dict(names or {}), None if shown is None else tuple(shown)
        self._moving: _Bar | _Line | None = None

    def on_run_start(self, run: Any) -> None:
        output = self._output()
        terminal = not self.quiet and getattr(output, "isatty", lambda: False)()
        self._moving = _moving(output, self.interval) if terminal else None

    def on_step_end(self, run: Any) -> None:
        if self._moving is not None:
            self._moving.step(run)

    def on_epoch_end(self, run: Any) -> None:
        self._print(epoch_line(run, self.names, self.shown))

    def on_run_end(self, run: Any) -> None:
        if self._moving is not None:
            self._moving.close()
        if run.stopped is not None and sys.exc_info()[1] is None:  # an error is told by whoever catches it
            self._print(f"stopped in epoch {run.epoch}: {run.stopped}")

    def _print(self, line: str) -> None:
        if self.quiet:
            return
        if self._moving is not None:
            self._moving.close()
        print(line, file=self._output(), flush=True)

    def _output(self) -> TextIO:
        return sys.stdout if self.file is None else self.file


def epoch_line(run: Any, names: Mapping[str, str], shown: Sequence[str] | None) -> str:
    """The line of the epoch that has ended."""
    figures = run.figures
    if shown is None:
        numbers = [name for name, value in figures.items() if _number(value) is not None]
        shown = [name for name in numbers if name not in ("epoch", *ASIDE)]
    of = f"/{run.epochs}" if run.epochs < MANY else ""
    parts = [f"epoch {run.epoch:{len(of) - 1 if of else 1}}{of}"]
    parts += [_figure(name, figures[name], names) for name in shown if name in figures]
    return "  ".join(parts)


def _figure(name: str, value: Any, names: Mapping[str, str]) -> str:
    number = _number(value)
    if name == "seconds" and name not in names and number is not None:
        return f"{number:.2f} s"
    return f"{names.get(name, name.replace('_', ' '))} {figure(value if number is None else number)}"


def _number(value: Any) -> int | float | None:
    """A Python number of what is one number, None of anything else."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def figure(value: Any) -> str:
    """A figure with four digits behind the point, or in powers of ten where it is very small or large."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 or value != value else f"{value:.3e}"


def _moving(output: Any, interval: float) -> _Bar | _Line:
    """What moves in a terminal."""
    try:
        from tqdm import tqdm
    except ImportError:
        return _Line(output, interval)
    return _Bar(tqdm, output, interval)


class _Line:
    """A line that is written over itself."""

    def __init__(self, output: Any, interval: float):
        self.output, self.interval = output, interval
        self.last, self.width = 0.0, 0

    def step(self, run: Any) -> None:
        now = time.monotonic()
        if now - self.last < self.interval:
            return
        self.last = now
        of = "" if run.batches is None else f"/{run.batches}"
        line = f"epoch {run.epoch}/{run.epochs}  batch {run.batch}{of}  loss {figure(run.loss)}"
        self._show(line.ljust(self.width))
        self.width = len(line)

    def close(self) -> None:
        """Clear the line: what is printed next begins where it did."""
        if self.width:
            self._show(" " * self.width + "\r")
            self.width = 0

    def _show(self, text: str) -> None:
        print(f"\r{text}" if self.width else text, end="", file=self.output, flush=True)


class _Bar:
    """A bar of tqdm for each epoch, which goes when the epoch's line comes."""

    def __init__(self, tqdm: Any, output: Any, interval: float):
        self.tqdm, self.output, self.interval = tqdm, output, interval
        self.bar: Any = None
        self.last = 0.0

    def step(self, run: Any) -> None:
        if self.bar is None:
            self.bar = self.tqdm(
                total=run.batches,
                initial=run.batch - 1,  # those of the part before, where a run was resumed within an epoch
                desc=f"epoch {run.epoch}/{run.epochs}",
                unit=" batches",
                file=self.output,
                mininterval=self.interval,
                dynamic_ncols=True,
                leave=False,
            )
        now = time.monotonic()
        if now - self.last >= self.interval:
            self.last = now
            self.bar.set_postfix_str(f"loss {figure(run.loss)}", refresh=False)
        self.bar.update(1)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
