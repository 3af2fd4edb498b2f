"""WandB: the figures of a run for Weights & Biases, on this machine unless told otherwise."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from zkynet.backends.errors import BackendNotAvailable
from zkynet.train.callback import Callback
from zkynet.train.callbacks.figures import numbers
from zkynet.train.callbacks.logs import checked_every

if TYPE_CHECKING:
    from zkynet.train.trainer import Trainer

MODES = ("online", "offline", "disabled", "shared")
OLDER_NAMES = {"dryrun": "offline", "run": "online"}  # that WANDB_MODE may still have
PATIENCE = {"init_timeout": 20.0, "login_timeout": 20.0, "finish_timeout": 60.0}  # seconds


class WandB(Callback):
    """Logs a run with the package ``wandb``: what it was set to, and its figures by the number of steps done.

    Every ``every`` steps ``step/loss`` and ``step/learning_rate``, those of that step alone; never for None. After each
    epoch its figures, those that are numbers, as ``epoch/loss`` and so on.

    ``mode``: ``"offline"``, ``"online"``, ``"shared"`` or ``"disabled"``; default what the environment variable
    WANDB_MODE says, else offline. Offline nothing leaves this machine and nothing waits for a network: the run is a
    folder, which ``wandb sync FOLDER`` uploads later; wandb prints its name. Where online is asked for and the server
    cannot be reached, or does not let one in, a UserWarning says so and the run goes on offline, after about half a
    minute; at its end it waits at most a minute for what is not uploaded, which stays in the folder.

    ``folder``: wandb makes its own folder ``wandb`` in it; default what WANDB_DIR says, else the run's folder, else the
    working directory. ``config``: settings by name beside those of the run (model, optimizer, epochs, batches).
    ``project``, ``name`` and all further arguments are those of ``wandb.init``; ``run`` is what it gave, while the run
    goes on, for what else one wants to log.

    A resumed run goes on under the same id. Online wandb drops the steps that it has already; offline every attempt is
    a folder of its own, and steps that were taken again may be in both. wandb writes its files a block of 32 kB at a
    time: Ctrl-C and errors lose nothing, but ``kill -9`` does, up to some hundred steps. TensorBoard and the logs of
    zkynet lose none.

    ImportError, with the way out, where wandb is not installed.
    """

    order = 1  # when all figures are there

    def __init__(
        self,
        project: str | None = None,
        *,
        name: str | None = None,
        mode: str | None = None,
        folder: str | os.PathLike | None = None,
        config: Mapping[str, Any] | None = None,
        every: int | None = 1,
        **arguments: Any,
    ):
        self._wandb = _imported()
        self.project, self.name, self.folder = project, name, folder
        self.mode = _checked_mode(mode or os.environ.get("WANDB_MODE") or "offline")
        self.config, self.arguments = dict(config or {}), arguments
        self.every = checked_every(self, every)
        self.run: Any = None
        self._id: str | None = None
        self._rate = math.nan  # of the step that runs

    def __repr__(self) -> str:
        return f"WandB({self.project!r}, mode={self.mode!r})"

    def on_run_start(self, run: Trainer) -> None:
        """Begin a run of wandb, or go on with one."""
        if run.step == 0:
            self._id = None
        arguments = {
            "project": self.project,
            "name": self.name,
            "dir": self._folder(run),
            "config": {**described(run), **self.config},
            **({} if self._id is None else {"id": self._id, "resume": "allow"}),
            **self.arguments,
        }
        self.run = self._begun({name: value for name, value in arguments.items() if value is not None})
        self._id = self.run.id

    def on_step_start(self, run: Trainer) -> None:
        """Look at the learning rate, which may be another one after the step."""
        if self.every and (run.step + 1) % self.every == 0:
            self._rate = run.learning_rate

    def on_step_end(self, run: Trainer) -> None:
        """Log the figures of a step."""
        if self.every and run.step % self.every == 0:
            self.run.log({"step/loss": run.loss, "step/learning_rate": self._rate}, step=run.step)

    def on_epoch_end(self, run: Trainer) -> None:
        """Log the figures of an epoch."""
        self.run.log({f"epoch/{name}": x for name, x in numbers(run.figures).items()}, step=run.step)

    def on_run_end(self, run: Trainer) -> None:
        """End the run of wandb; why it was stopped is in its summary."""
        ended, self.run = self.run, None
        if ended is None:
            return
        if run.stopped is not None:
            ended.summary["stopped"] = run.stopped
        ended.finish()

    def state_dict(self) -> dict[str, Any]:
        """The id of the run."""
        return {"id": self._id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the run of this id."""
        self._id = state["id"]

    def _folder(self, run: Trainer) -> str | None:
        if self.folder is None and (os.environ.get("WANDB_DIR") or run.folder is None):
            return None
        folder = Path(run.folder if self.folder is None else self.folder)  # type: ignore[arg-type]
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def _begun(self, arguments: dict[str, Any]) -> Any:
        wandb = self._wandb
        if self.mode in ("offline", "disabled"):
            return wandb.init(mode=self.mode, **arguments)
        try:
            return wandb.init(mode=self.mode, **{"settings": _patient(wandb), **arguments})
        except Exception as error:  # of many classes; what is wrong with an argument is raised again below
            warnings.warn(
                f"WandB: the run goes on offline, because wandb could not go {self.mode}: {error}", stacklevel=4
            )
        wandb.teardown()  # what is left of the attempt: it would go on trying, and keep the id
        return wandb.init(mode="offline", **arguments)


def described(run: Trainer) -> dict[str, Any]:
    """What a run is set to: values that JSON can hold."""
    import zkynet

    optimizer = run.optimizer
    settings = optimizer.settings() if hasattr(optimizer, "settings") else {}
    return {
        "zkynet": getattr(zkynet, "__version__", None),
        "model": repr(run.model),
        "parameters": sum(math.prod(p.shape) for p in run.model.named_parameters().values()),
        "optimizer": {"name": type(optimizer).__name__, **{name: _simple(x) for name, x in settings.items()}},
        "epochs": run.epochs,
        "batches": run.batches,
        "compiled": run.compiled,
    }


def _simple(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return [_simple(each) for each in value] if isinstance(value, (list, tuple)) else repr(value)


def _checked_mode(mode: str) -> str:
    mode = OLDER_NAMES.get(mode, mode)
    if mode not in MODES:
        raise ValueError(f"WandB: there is no such mode.\n  got:      {mode!r}\n  expected: {', '.join(MODES)}")
    return mode


def _imported() -> ModuleType:
    try:
        import wandb
    except ImportError as error:
        raise BackendNotAvailable(
            "WandB needs the package wandb, which cannot be imported.\n"
            f"  got:      {error}\n"
            "  install it: pip install wandb\n"
            "  without it: the callbacks TensorBoard, JsonLog and CsvLog write the same figures"
        ) from error
    return wandb


def _patient(wandb: ModuleType) -> Any:
    """Settings that bound how long wandb waits for its server, those of them that this version has."""
    known = getattr(wandb.Settings, "model_fields", {})
    return wandb.Settings(**{name: seconds for name, seconds in PATIENCE.items() if name in known})
