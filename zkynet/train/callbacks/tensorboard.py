"""TensorBoard: the figures of a run, and what else one wants to see of it, as event files."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkynet.train.callback import Callback
from zkynet.train.callbacks.figures import numbers
from zkynet.train.callbacks.logs import checked_every, file_of

if TYPE_CHECKING:
    from zkynet.io.events import EventWriter
    from zkynet.train.trainer import Trainer


class TensorBoard(Callback):
    """Writes event files, which ``tensorboard --logdir FOLDER`` shows; neither it nor TensorFlow is needed to write.

    Every ``every`` steps ``step/loss`` and ``step/learning_rate``, those of that step alone; never for None. After each
    epoch its figures, those that are numbers, as ``epoch/loss`` and so on. ``histograms``: of all weights and
    gradients, every n steps for n, and for True after each epoch, with the gradients of its last step. Where steps are
    compiled whole, or for True the number of batches is not known, there are none of gradients. ``images``: a function
    of the Trainer that returns pictures by tag, of which ``zkynet.io.EventWriter.image`` says what they may be, called
    after each epoch. All of it stands at the number of steps done, a new run's model and optimizer as texts at 0.

    ``folder``: one for each run, default the folder ``events`` in the run's folder. Nothing in it is ever replaced: the
    files of a new run begin with a mark on which TensorBoard forgets what an older one left there.

    A resumed run shows every step once. The state keeps how long each file was; on resume the files are cut back to
    that, which also removes the half record of a killed process, and those that a later attempt began are removed. Then
    the run goes on in a new file, which begins with a mark too: so a TensorBoard that is running, and has read steps
    which will be repeated, forgets them. A UserWarning says where a file has been lost or shortened.

    ValueError at the start of a run without a folder; OSError where nothing can be written.
    """

    order = 1  # when all figures are there

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        *,
        every: int | None = 1,
        histograms: bool | int = False,
        images: Callable[[Trainer], Mapping[str, Any]] | None = None,
    ):
        self.folder = None if folder is None else Path(folder)
        self.every, self.images = checked_every(self, every), images
        self.after_epochs = histograms is True
        self.every_histogram = None if isinstance(histograms, bool) else checked_every(self, histograms)
        self.writer: EventWriter | None = None  # while the run goes on
        self._run = ""  # in the names of this run's files
        self._rate = math.nan  # of the step that runs
        self._files: list[tuple[str, int]] = []  # of this run, in their order: names and sizes

    def __repr__(self) -> str:
        return f"TensorBoard({str(self.folder)!r})" if self.folder else "TensorBoard()"

    # ---- the run ----

    def on_run_start(self, run: Trainer) -> None:
        """Open a new file, after the older ones of a resumed run were cut back."""
        from zkynet.io.events import EventWriter

        folder = file_of(self, run, self.folder, "events")
        if run.step == 0 or not self._run:
            self._run, self._files = os.urandom(6).hex(), []
        else:
            self._cut_back(folder)
        writer = self.writer = EventWriter(folder, self._name())
        self._files.append((writer.path.name, writer.size))
        writer.start(run.step + 1 if run.step else 0)
        if not run.step:
            writer.text(0, "model", _code(run.model))
            writer.text(0, "optimizer", _code(run.optimizer))
        writer.flush()

    def on_step_start(self, run: Trainer) -> None:
        """Look at the learning rate, which may be another one after the step."""
        if self.every and (run.step + 1) % self.every == 0:
            self._rate = run.learning_rate

    def on_step_end(self, run: Trainer) -> None:
        """Write the figures of a step."""
        step, writer = run.step, self._open()
        if self.every and step % self.every == 0:
            writer.scalars(step, {"step/loss": run.loss, "step/learning_rate": self._rate})
        if self.every_histogram and step % self.every_histogram == 0:
            _weights(writer, run)
            _gradients(writer, run)
        elif self.after_epochs and run.batch == run.batches:
            _gradients(writer, run)

    def on_epoch_end(self, run: Trainer) -> None:
        """Write the figures of an epoch."""
        writer = self._open()
        writer.scalars(run.step, {f"epoch/{name}": x for name, x in numbers(run.figures).items()})
        if self.after_epochs:
            _weights(writer, run)
        for tag, picture in ({} if self.images is None else self.images(run)).items():
            writer.image(run.step, tag, picture)
        writer.flush()

    def on_run_end(self, run: Trainer) -> None:
        """Close the file."""
        writer, self.writer = self.writer, None
        if writer is not None:
            self._files[-1] = (writer.path.name, writer.size)
            writer.close()

    def _open(self) -> EventWriter:
        if self.writer is None:
            raise RuntimeError("TensorBoard writes between on_run_start and on_run_end: let Trainer.fit call them")
        return self.writer

    # ---- the files ----

    def _name(self) -> str:
        """A name behind those of this run's older files: TensorBoard reads files by name."""
        newest = float(".".join(self._files[-1][0].split(".")[3:5])) if self._files else 0.0
        return f"events.out.tfevents.{max(time.time(), newest):017.6f}.{self._run}.{len(self._files):04d}"

    def _cut_back(self, folder: Path) -> None:
        """Bring this run's files to the sizes that are known, and remove those that are not."""
        from zkynet.io.events import whole_size

        known = dict(self._files)
        for path in folder.glob(f"events.out.tfevents.*.{self._run}.*"):
            if path.name not in known:
                path.unlink()
        kept = []
        for name, size in self._files:
            path = folder / name
            there = whole_size(path, size) if path.exists() else 0
            if there < size:
                warnings.warn(
                    f"TensorBoard: {path} has lost its last events: {there} of {size} bytes are there", stacklevel=3
                )
            if path.exists():
                os.truncate(path, there)
            kept.append((name, there))
        self._files = kept

    def state_dict(self) -> dict[str, Any]:
        """How long the files are; all that was written so far is on the disk then."""
        if self.writer is not None:
            if not self.writer.closed:
                self.writer.flush(last=True)
            self._files[-1] = (self.writer.path.name, self.writer.size)
        return {"run": self._run, "files": [list(each) for each in self._files]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on behind the events that were there."""
        self._run = str(state["run"])
        self._files = [(str(name), int(size)) for name, size in state["files"]]


def _weights(writer: EventWriter, run: Trainer) -> None:
    for name, parameter in run.model.named_parameters().items():
        writer.histogram(run.step, f"weights/{name}", parameter.value)


def _gradients(writer: EventWriter, run: Trainer) -> None:
    for name, gradient in (run.gradients or {}).items():
        writer.histogram(run.step, f"gradients/{name}", gradient)


def _code(x: Any) -> str:
    """The repr of ``x`` as code in Markdown: indented lines."""
    return "\n".join(f"    {line}" for line in repr(x).splitlines())
