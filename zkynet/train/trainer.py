"""Trainer: a run from the first step to the last, watched by callbacks, saved on the way, and gone on with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zkynet import io
from zkynet.framework.computation_graph import Generator, Module
from zkynet.train.callback import Callback, hooks
from zkynet.train.interrupt import Deferred, Interrupted
from zkynet.train.precision import Precision
from zkynet.train.run_evaluation import evaluated, forward_of
from zkynet.train.run_feed import Feed, as_batch, samples_of
from zkynet.train.run_settings import check_optimizer, checked_callbacks, checked_change, checked_int, checked_metrics
from zkynet.train.run_state import SaveError, captured, restore
from zkynet.train.run_step import step_of

CHECKPOINTS = "checkpoints"  # the folder in the folder of a run
BETWEEN, WITHIN, TRAINED = "between", "within", "trained"  # epochs; one; one, whose end is still to come
AHEAD = 64  # steps whose losses may wait on a device before somebody looks at them


class Trainer:
    """Trains ``model`` so that ``loss(model, *batch)``, a scalar, the mean over the batch, gets small.

    ::

        trainer = Trainer(model, loss, optim.Adam(1e-3), metrics={"accuracy": metrics.accuracy}, folder="run")
        history = trainer.fit(data.Batches((x, y), 32), validation=(x_test, y_test), epochs=10)

    ``metrics``: by name, Metrics of zkynet.train.metrics or functions of (outputs, targets), computed on the validation
    data: outputs are ``model(batch[0])``, run once more than for the loss, targets ``batch[-1]``. ``callbacks`` are
    told of the run, see Callback. ``folder``: where checkpoints go, in ``checkpoints``: every ``checkpoint_every``
    steps, after every epoch for None, and at the end of a run; the last ``keep`` stay. None: nothing is written.

    ``change``: a function of the gradients, a dict by parameter name, that gives those the optimizer shall have:
    ``lambda grads: clip_by_norm(grads, 1.0)[0]``. ``precision``: a Precision, or the name of the dtype to compute in;
    then ``trainer.model`` is what it wraps around the model, whose parameters are converted. ``loss_scale``: a
    LossScale. ``compiled=True``: steps and evaluations run through zk.compile, whole steps on JAX through
    compiled_step; in parts where callbacks or a loss scale look at the gradients. ``deterministic``: in one lane, see
    zk.compile.

    What can be read, by callbacks too: ``model``, ``optimizer``, ``loss_function``, ``compiled``, ``steps_are_whole``,
    ``callbacks``, ``folder`` (a Path or None); ``epoch`` (from 1) of ``epochs``; ``batch``, how many are done in this
    epoch, of ``batches`` (None where that is not known); ``step``, how many in the whole run; ``loss`` (a float) and
    ``gradients`` of the newest step, its batch ``current_batch``, how many ``samples`` are in it; ``figures`` of the
    newest epoch, and ``history``, those of all; ``learning_rate``; ``stopped``, why the run has ended before its last
    epoch, None where it has not.

    TypeError and ValueError for arguments that do not fit together.
    """

    def __init__(
        self,
        model: Module,
        loss: Callable[..., Any],
        optimizer: Any,
        *,
        metrics: Mapping[str, Any] | None = None,
        callbacks: Sequence[Callback] = (),
        folder: str | os.PathLike | None = None,
        checkpoint_every: int | None = None,
        keep: int = 3,
        change: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        compiled: bool = False,
        deterministic: bool = False,
        precision: Precision | str | None = None,
        loss_scale: Any = None,
    ):
        if not isinstance(model, Module) or not callable(loss):
            raise TypeError(
                "Trainer takes a model, a loss and an optimizer.\n"
                f"  got:      {type(model).__name__}, {type(loss).__name__}, {type(optimizer).__name__}\n"
                "  expected: a Module, a function loss(model, *batch), an optimizer"
            )
        if precision is not None:
            model = (Precision(precision) if isinstance(precision, str) else precision).wrap(model)
        self.model, self.loss_function, self.optimizer = model, loss, optimizer
        self.change, self.loss_scale = checked_change(change), loss_scale
        self.compiled, self.deterministic = bool(compiled), bool(deterministic)
        check_optimizer(self)
        self.metrics = checked_metrics(metrics)
        self._compile(None)
        self.callbacks = checked_callbacks(callbacks)
        self.folder = None if folder is None else Path(folder)
        self.keep = checked_int("keep", keep, 1)
        self.checkpoint_every = checkpoint_every
        if checkpoint_every is not None:
            self.checkpoint_every = checked_int("checkpoint_every", checkpoint_every, 1)
            if folder is None:
                raise ValueError("Trainer: checkpoint_every without a folder; folder= is where checkpoints go")
        self.epochs = self.samples = 0
        self.batches: int | None = None
        self.gradients: Any = None
        self.current_batch: tuple = ()
        self.stopped: str | None = None
        self._pending: list[tuple[Any, int]] = []  # losses that nobody has looked at, and their samples
        self._signals = Deferred(enabled=False)
        self._feed: Feed | None = None
        self._loaded: Mapping[str, Any] | None = None  # the place of a checkpoint that was loaded
        self._begin_anew()

    def _compile(self, chosen: Mapping[str, Any] | None) -> None:
        """Begin to compile, where that is wanted, with the lanes that were ``chosen``; nothing is recorded yet."""
        self._plans: Any = None
        if self.compiled:
            from zkynet.train.run_plans import Plans

            self._plans = Plans(self, chosen)

    def _begin_anew(self) -> None:
        self.epoch = self.step = self.batch = 0
        self.figures: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self._loss, self._total, self._count = float("nan"), 0.0, 0  # of the newest step; sums of the epoch
        self._seconds, self._begun = 0.0, time.perf_counter()
        self._place, self._offset = BETWEEN, 0
        self._saved: tuple[Any, Any] = (None, None)  # the newest checkpoint, and where the run stood then
        self._pending.clear()

    # ---- what callbacks read and ask for ----

    @property
    def loss(self) -> float:
        """The loss of the newest step, before its update; NaN before the first one."""
        self._settle()
        return self._loss

    @property
    def learning_rate(self) -> float:
        """That of the next update."""
        return self.optimizer.lr

    @property
    def steps_are_whole(self) -> bool:
        """Whether each step is one compiled program, in which nobody sees the gradients."""
        return self._plans is not None and self._plans.takes_whole_steps and not hooks(self.callbacks, "gradients")

    def stop(self, reason: str = "stopped", *, finish_epoch: bool = False) -> None:
        """End the run when the step that is running is done; ``stopped`` is the reason then.

        Where that was the last step of its epoch, or with ``finish_epoch``, the epoch is ended as ever: it is validated
        and gets its place in the history. Otherwise a run that is resumed goes on in the middle of it.
        """
        self.stopped, self._finish = str(reason), finish_epoch

    # ---- the run ----

    def fit(
        self, train: Any, validation: Any = None, epochs: int = 1, resume: bool | str | os.PathLike = False
    ) -> list[dict[str, Any]]:
        """Train for ``epochs`` epochs and return the history: for each epoch a dict of its figures.

        ``{"epoch": 1, "loss": ..., "validation_loss": ..., "accuracy": ..., "seconds": ...}``: the mean loss over the
        samples, each batch's before its update; with ``validation``, the loss on it and the metrics; and the time.

        ``train``: ``data.Batches``, or something else that gives tuples of arrays anew each time it is iterated over.
        ``validation``: the same, or a tuple of arrays. The model is in training mode, but while it is validated, and in
        evaluation mode afterwards.

        ``resume=True`` goes on from the newest checkpoint in ``folder``, or from what ``load`` has read, up to
        ``epochs`` in all; a path, from that checkpoint. The run is then, to the bit, the one that was never
        interrupted, given the same arguments: on NumPy; with generators that belong to the model; and with batches
        whose ``state_dict`` says where they stand.

        Ctrl-C and SIGTERM end the run after the step: everything is saved where there is a folder, on_run_end is
        called, and Interrupted, a KeyboardInterrupt, says where. CheckpointError where there is nothing to go on
        from. ValueError where there is no batch, a batch without a sample, or where a new run would replace the
        checkpoints of another. SaveError, an OSError, where a checkpoint cannot be written.
        """
        self._feed = feed = Feed(train)
        self.epochs, self.batches, self.stopped = checked_int("epochs", epochs, 0), feed.length, None
        self._finish = False
        if isinstance(resume, bool) and not resume:
            self._refuse_to_replace()
            self._begin_anew()
            self.model.train()
        else:
            self._resume(feed, resume)
        self._begun, begun_at = time.perf_counter(), self._standing()
        with Deferred() as self._signals:
            self._run(validation, begun_at)
        if self._signals.came:  # too late to end anything early
            raise Interrupted(self._signals.came, self._saved[0])
        return self.history

    def _run(self, validation: Any, begun_at: tuple) -> None:
        """The run between on_run_start and on_run_end, which is called in any case."""
        started: list[Callback] = []
        try:
            for each in sorted(self.callbacks, key=lambda each: each.order):
                each.on_run_start(self)
                started.append(each)
            self._go(validation)
            if self.folder is not None and self._standing() != begun_at:
                self.save()
        except BaseException as error:
            self.stopped = str(error) if isinstance(error, Interrupted) else f"{type(error).__name__}: {error}"
            _tell_end(self, started, error)
            raise
        else:
            if (failed := _tell_end(self, started, None)) is not None:
                raise failed
        finally:
            self.gradients, self.current_batch = None, ()
            self.model.eval()

    def _go(self, validation: Any) -> None:
        while self.stopped is None:
            if self._place == BETWEEN:
                if self.epoch >= self.epochs:
                    return
                self._begin_epoch()
            if self._place == WITHIN:
                self._train()
            if self._place == TRAINED:
                self._end_epoch(validation)

    def _begin_epoch(self) -> None:
        self.epoch, self.batch, self._place = self.epoch + 1, self._offset, WITHIN
        self._total, self._count, self._offset = 0.0, 0, 0
        self._seconds, self._begun = 0.0, time.perf_counter()
        for hook in hooks(self.callbacks, "epoch_start"):
            hook(self)

    def _train(self) -> None:
        """The steps of an epoch, or of what is left of it; then the place is TRAINED, unless the run was stopped."""
        starts, ends, watchers = (hooks(self.callbacks, name) for name in ("step_start", "step_end", "gradients"))
        step = step_of(self, self._plans, watchers, keep=bool(ends))
        signals, feed = self._signals, self._feed
        assert feed is not None
        for batch in feed.batches(self.batch) if self.stopped is None else ():
            if type(batch) is not tuple:
                batch = as_batch(batch, self.batch + 1)
            self.current_batch, self.samples = batch, samples_of(batch, self.batch + 1)
            for hook in starts:
                hook(self)
            step(batch)
            self.step += 1
            self.batch += 1
            for hook in ends:
                hook(self)
            self.gradients, self.current_batch = None, ()
            del batch  # while the next one is made, this one can be freed
            if len(self._pending) >= AHEAD:
                self._settle()
            if (signals.came or self.stopped is not None or self.checkpoint_every) and not self._goes_on():
                break
        self._settle()
        if self.stopped is None or self._is_over():
            self._place = TRAINED
        elif self._finish and self._count:
            self._place, self._offset = TRAINED, self.batch  # where the next epoch takes the batches up

    def _goes_on(self) -> bool:
        """Whether the epoch goes on after a step; a checkpoint is saved where one is due."""
        if self._signals.came:
            self._interrupt()
        if self.stopped is not None:
            return False
        if self._is_due() and not self._is_over():
            self.save()
        return True

    def _steps_left(self) -> int | None:
        """How many steps are to come; None where that is not known."""
        return None if self.batches is None else self.epochs * self.batches - self.step

    def _is_over(self) -> bool:
        """Whether the batches of the epoch are known to be done."""
        return self.batches is not None and self.batch >= self.batches

    def _settle(self) -> None:
        """Look at the losses of the newest steps, and add them up."""
        for value, samples in self._pending:
            self._loss = float(value)
            self._total += self._loss * samples
            self._count += samples
        self._pending.clear()

    def _end_epoch(self, validation: Any) -> None:
        if not self._count:
            raise ValueError(
                f"fit: there was no batch in epoch {self.epoch}.\n"
                "  expected: at least one; an iterator is used up after one pass, batches begin anew"
            )
        figures = {"epoch": self.epoch, "loss": self._total / self._count}
        if validation is not None:
            found = self._validated(validation)
            figures.update(validation_loss=found.pop("loss"), **found)
        figures["seconds"] = self._elapsed()
        self.figures = figures
        self.history.append(figures)
        self._place = BETWEEN
        for hook in hooks(self.callbacks, "epoch_end"):
            hook(self)
        if self.folder is not None and (self.checkpoint_every is None or self._is_due()):
            self.save()
        if self._signals.came:
            self._interrupt()

    def _is_due(self) -> bool:
        """Whether a checkpoint is due after this step."""
        return self.checkpoint_every is not None and self.step % self.checkpoint_every == 0

    def _validated(self, validation: Any) -> dict[str, Any]:
        """The figures of ``validation``; where a signal ends it in the middle, all is as before it."""
        generators = [each for each in self.model.named_states().values() if isinstance(each, Generator)]
        counts = [each.value for each in generators]

        def check() -> None:
            if self._signals.came:
                raise _Cut

        try:
            return evaluated(self.model, self._forward, self.metrics, validation, check)
        except _Cut:
            for each, count in zip(generators, counts, strict=True):
                each.value = count
        return self._interrupt()

    def _elapsed(self) -> float:
        """Seconds in this epoch, also before the run was resumed."""
        return self._seconds + time.perf_counter() - self._begun

    def evaluate(self, batches: Any) -> dict[str, Any]:
        """The loss and the metrics on ``batches``, or a tuple of arrays: ``{"loss": ..., "accuracy": ...}``.

        In evaluation mode; the modes of the modules, the epoch of the batches and the history stay as they are.
        """
        return evaluated(self.model, self._forward, self.metrics, batches)

    @property
    def _forward(self) -> Callable[..., tuple]:
        """What an evaluation computes of a batch."""
        if self._plans is not None:
            return self._plans.forward
        return forward_of(self.model, self.loss_function, self.metrics)

    # ---- checkpoints ----

    @property
    def saved(self) -> list[Path]:
        """The checkpoints in ``folder``, the oldest first: what ``resume=True`` can go on from."""
        return [] if self.folder is None else io.list_checkpoints(self.folder / CHECKPOINTS)

    def explain(self) -> str:
        """What runs compiled, in words: plans, why something was recorded again, which lanes were chosen and why."""
        return "steps are not compiled" if self._plans is None else self._plans.explain()

    def save(self) -> Path:
        """Write a checkpoint of the run as it stands between two steps; returns its path.

        ValueError without a ``folder``; SaveError where it cannot be written: the checkpoints before it stay.
        """
        if self.folder is None:
            raise ValueError("Trainer.save: there is no folder.\n  expected: Trainer(..., folder=...)")
        folder, standing = self.folder / CHECKPOINTS, self._standing()
        if self._saved[1] != standing:
            arrays, state = captured(self)
            try:
                path = io.save_checkpoint(folder, arrays, state, step=self.step, keep=self.keep)
            except OSError as error:
                raise SaveError(error.errno, error.strerror or str(error), str(error.filename or folder)) from error
            self._saved = path, standing
        return self._saved[0]

    def load(self, path: str | os.PathLike) -> None:
        """Take over a checkpoint: the newest whole one of a run's folder, or the one that ``path`` names.

        Model, optimizer, callbacks and history are then those of the checkpoint; ``fit(..., resume=True)`` goes on from
        it. CheckpointError where there is none, or it is damaged; ValueError where it is of another model or optimizer.
        """
        inside = Path(path) / CHECKPOINTS
        arrays, state = io.load_checkpoint(inside if inside.is_dir() else path)
        restore(self, arrays, state)
        self._begin_anew()
        self.history, self.figures = state["history"], state["history"][-1] if state["history"] else {}
        self.epoch, self.step, self.batch = state["epoch"], state["step"], state["batch"]
        self._loss, self._total, self._count = state["loss"], state["total"], state["samples"]
        self._place, self._offset, self._seconds = state["place"], state["offset"], state["seconds"]
        self._loaded = state

    def _position(self) -> dict[str, Any]:
        """Where the run stands, and what the epoch has given so far: the part of a checkpoint that ``load`` reads."""
        self._settle()
        return {
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "place": TRAINED if self._place == WITHIN and self._is_over() else self._place,
            "offset": self._offset,
            "batches": None if self._feed is None else self._feed.state(),
            "loss": self._loss,
            "total": self._total,
            "samples": self._count,
            "seconds": self._elapsed() if self._place != BETWEEN else 0.0,
            "history": self.history,
        }

    def _resume(self, feed: Feed, resume: bool | str | os.PathLike) -> None:
        if not isinstance(resume, bool):
            self.load(resume)
        elif self._loaded is None:
            if self.folder is None:
                raise ValueError(
                    "fit(resume=True) goes on from a checkpoint, and there is no folder.\n"
                    "  expected: Trainer(..., folder=...), fit(resume=path), or load(path) before"
                )
            self.load(self.folder)
        state, self._loaded = self._loaded, None
        assert state is not None
        feed.resume(state["batches"], self.epoch, self.batch)

    def _refuse_to_replace(self) -> None:
        self._loaded = None
        if self.saved:
            raise ValueError(
                f"fit: {self.saved[-1].parent} holds checkpoints of a run, and a new one would replace them.\n"
                "  expected: resume=True to go on with it, another folder, or that one without its checkpoints"
            )

    def _standing(self) -> tuple:
        """Where the run stands: two checkpoints of it with the same are the same."""
        return self.step, self._place, len(self.history)

    def _interrupt(self) -> Any:
        """End the run for the signal that has come."""
        raise Interrupted(self._signals.came, None if self.folder is None else self.save())

    def __repr__(self) -> str:
        return f"Trainer({type(self.model).__name__}, {self.optimizer!r}, epoch {self.epoch}, step {self.step})"


class _Cut(Exception):  # noqa: N818
    """A signal has come while a model was validated."""


def _tell_end(run: Trainer, started: Sequence[Callback], error: BaseException | None) -> BaseException | None:
    """Tell all callbacks that the run has ended, and return the first error: the given one, or what one has raised."""
    for each in started:
        try:
            each.on_run_end(run)
        except Exception as found:
            if error is None:
                error = found
            else:
                error.add_note(f"and then {type(each).__name__}.on_run_end: {type(found).__name__}: {found}")
    return error
