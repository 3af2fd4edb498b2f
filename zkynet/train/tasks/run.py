"""One run of a task, from its settings to the weights in its folder; and such a run read back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from zkynet.train.tasks.option import NARROW
from zkynet.train.tasks.task import Config, Plan, Saved, Task, TaskError


class Finished(NamedTuple):
    """A run that is done: its plan, the model in the mode of ``eval()``, and the figures of its epochs."""

    plan: Plan
    model: Any
    history: Sequence[Mapping[str, Any]]

    @property
    def result(self) -> str:
        """What it came to, in one line."""
        return self.plan.result(self.history)


def run_task(
    task: Task,
    config: Config,
    *,
    folder: Any = None,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
    announce: Callable[[Plan], None] | None = None,
) -> Finished:
    """Run ``task`` with the resolved settings ``config``, and return what came of it.

    ``folder``: a RunFolder, in which the run is kept; what an earlier run left there is removed, unless ``resume``:
    then it goes on from its newest checkpoint, or begins again where it never came to one. ``callbacks``: beside those
    of the task. ``announce(plan)`` is called before the first step.

    Interrupted where a signal ends the run: what there is by then has been saved. OSError where the folder cannot be
    written to, TaskError and ValueError for settings that are not possible.
    """
    import numpy as np

    from zkynet import backends
    from zkynet.train.interrupt import Interrupted

    with backends.use_backend(config["backend"]):
        plan = task.prepare(_wide(config))
        trainer = _trainer(config, plan, folder, [*plan.callbacks, *_keepers(task, config, plan, folder), *callbacks])
        resume = folder is not None and _opened(task, config, folder, plan, resume)
        if announce is not None:
            announce(plan)
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a run that diverges says so itself
                history = trainer.fit(plan.train, plan.validation, epochs=config["epochs"], resume=resume)
        except Interrupted:
            _save(task, config, folder, plan, trainer, config["epochs"])
            raise
        except ValueError as error:
            if not math.isfinite(trainer.loss):  # what metrics and tasks say to NaN is about the consequence
                raise _diverged(trainer) from error
            raise
        _save(task, config, folder, plan, trainer, len(history))  # fewer than epochs where a callback has stopped it
        return Finished(plan, plan.model.eval(), history)


def _wide(config: Config) -> Config:
    """The settings as a task sees them: what is computed in narrow numbers has its weights and data in float32."""
    return {**config, "dtype": "float32"} if config["dtype"] in NARROW else config


def _trainer(config: Config, plan: Plan, folder: Any, callbacks: Sequence[Any]) -> Any:
    from zkynet.train.callback import On
    from zkynet.train.precision import DynamicLossScale
    from zkynet.train.trainer import Trainer

    dtype = config["dtype"]
    scaled = dtype == "float16"  # whose gradients would underflow; a scale looks at every step
    usual = config["compile"] or (config["backend"] == "jax" and not scaled)
    return Trainer(
        plan.model,
        plan.loss,
        plan.optimizer,
        metrics=plan.metrics,
        callbacks=[On(epoch_end=_stop_if_diverged), *callbacks],
        folder=None if folder is None else folder.path,
        checkpoint_every=config.get("checkpoint_every"),
        keep=config.get("keep", 3),
        compiled=usual if plan.compiled is None else plan.compiled,
        deterministic=not config["lanes"],
        precision=dtype if dtype in NARROW else None,
        loss_scale=DynamicLossScale() if scaled else None,
    )


def _opened(task: Task, config: Config, folder: Any, plan: Plan, resume: bool) -> bool:
    """Make the folder ready; whether there is a checkpoint to go on from."""
    from zkynet.train.tasks.config import CONFIG, kept, read_settings, to_toml

    if resume and getattr(plan.optimizer, "schedule", None) is not None:
        before = kept(task, read_settings(task, folder.path / CONFIG)).get("epochs")
        if before != config["epochs"]:
            raise TaskError(
                f"the run in {folder.path} cannot go on to {config['epochs']} epochs instead of {before}: its learning "
                "rate falls over the whole run, so that one of another length is another run from the first step"
            )
    if not resume:
        folder.clear()
    folder.write(CONFIG, to_toml(task, config).encode())
    return resume and bool(folder.checkpoints)


def _keepers(task: Task, config: Config, plan: Plan, folder: Any) -> list[Any]:
    """The callbacks that write into the folder."""
    if folder is None:
        return []
    from zkynet.train.callbacks import JsonLog

    result: list[Any] = [JsonLog(settings=_facts(task, config, plan))]
    if config.get("tensorboard"):
        from zkynet.train.callbacks import TensorBoard

        result.append(TensorBoard())
    return result


def _facts(task: Task, config: Config, plan: Plan) -> dict[str, Any]:
    """The first line of the log: the settings, the machine's side, and when it began."""
    import datetime
    import platform

    import numpy

    from zkynet import __version__
    from zkynet.train.tasks.config import kept

    return {
        "run": task.name,
        **kept(task, config),
        "optimizer": repr(plan.optimizer),
        "zkynet": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _stop_if_diverged(run: Any) -> None:
    if not math.isfinite(run.figures["loss"]):
        raise _diverged(run)


def _diverged(run: Any) -> TaskError:
    return TaskError(f"the loss is {run.loss} in epoch {run.epoch}: the training has diverged; a smaller --lr may help")


def _save(task: Task, config: Config, folder: Any, plan: Plan, trainer: Any, epochs: int) -> None:
    """Write weights, description and curves, and what the task adds, of a run that is to have so many epochs."""
    if folder is None:
        return
    from zkynet.train.record import FORMAT

    history = trainer.history
    last = {name: value for name, value in (history[-1] if history else {}).items() if name not in ("epoch", "seconds")}
    figures = {k: v for k, v in last.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    trained = {"epochs": len(history), "of": epochs, **figures}
    description = {
        "task": task.name,
        "format": FORMAT,
        "dtype": _wide(config)["dtype"],
        **plan.description,
        "trained": trained,
    }
    model = plan.model.eval()
    folder.finish(model, description, history, plan.names)
    if plan.finish is not None:
        plan.finish(folder.path, model)


def is_unfinished(folder: Any, epochs: int | None = None) -> bool:
    """Whether the RunFolder ``folder`` holds a run that was ended before its last epoch; the last of ``epochs``."""
    from zkynet.train.record import WEIGHTS, read_description

    if not folder.checkpoints:
        return False
    if not (folder.path / WEIGHTS).is_file():
        return True
    try:
        trained = read_description(folder.path).get("trained", {})
    except ValueError:  # no weights of ours
        return True
    return trained.get("epochs") != (trained.get("of") if epochs is None else epochs)


def task_of(folder: str | Path) -> tuple[Task, dict[str, Any]]:
    """The task whose run is in ``folder``, and the description of its model.

    TaskError where there is no such folder or no weights in it, FileFormatError where it is something else.
    """
    from zkynet.io import FileFormatError
    from zkynet.train.record import CHECKPOINTS, WEIGHTS, read_description
    from zkynet.train.tasks import TASKS, find

    path = Path(folder)
    if not (path / WEIGHTS).is_file():
        if (path / CHECKPOINTS).is_dir():
            raise TaskError(
                f"the run in {path} has no {WEIGHTS} yet; to go on with it: zkynet train TASK --resume {path}"
            )
        what = f"the folder {path} has no {WEIGHTS}" if path.is_dir() else f"there is no folder {path}"
        raise TaskError(f"{what}; to train a model: zkynet train TASK --out {path}")
    description = read_description(path)
    name = description.get("task", description.get("data"))  # older runs have "data": "digits"
    if name not in TASKS:
        raise FileFormatError(f"{path / WEIGHTS} is of no task that this version knows: {name!r}")
    return find(name), description


def load_run(folder: str | Path) -> tuple[Task, Saved]:
    """Read back the run in ``folder``: its task, and the model with its weights, on the default backend, in eval mode.

    What ``task_of`` raises; FileFormatError and WeightsMismatchError, ValueErrors, where the description or the weights
    are damaged or of something else.
    """
    from zkynet import io
    from zkynet.train.record import WEIGHTS
    from zkynet.train.tasks.config import CONFIG, options_of, read_settings

    task, description = task_of(folder)
    path = Path(folder)
    try:
        model = task.model(description, description.get("dtype", "float32"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise io.FileFormatError(f"{path / WEIGHTS} describes its model wrongly: {error}") from error
    io.load_weights(path / WEIGHTS, model)
    config = {option.name: option.default for option in options_of(task)}
    if (path / CONFIG).is_file():
        config |= read_settings(task, path / CONFIG)
    return task, Saved(path, description, config, model.eval())
