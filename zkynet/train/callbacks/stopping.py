"""EarlyStopping and KeepBest: what the best epoch was, and what follows from it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zkynet.train.callback import Callback

SMALL = ("loss", "error", "perplexity", "mse", "mae", "rmse")  # how figures end of which less is better
LARGE = ("accuracy", "precision", "recall", "f1", "r2", "auc", "score")  # and those of which more is


def direction(owner: Callback, figure: str, mode: str | None) -> str:
    """Whether less ("min") or more ("max") of a figure is better: ``mode``, or what its name says; else ValueError."""
    if mode in ("min", "max"):
        return mode
    words = figure.lower().split("_")
    for found, endings in (("min", SMALL), ("max", LARGE)):
        if mode is None and (words[-1] in endings or words[0] in endings):
            return found
    raise ValueError(
        f"{type(owner).__name__}: is less or more of {figure!r} better?\n  got:      mode={mode!r}\n"
        "  expected: mode='min' or mode='max'; None does for names such as 'validation_loss' and 'accuracy'"
    )


def figure_of(owner: Callback, run: Any, name: str) -> float:
    """A figure of the epoch that has ended, as a float; ValueError where there is none of that name."""
    if name not in run.figures:
        hint = "\nGive fit(..., validation=...) data for it." if name.startswith("validation") else ""
        raise ValueError(
            f"{type(owner).__name__}: no such figure.\n  got:      {name!r}\n"
            f"  expected: one of {', '.join(run.figures) or 'none: the epoch has no figures'}{hint}"
        )
    return float(run.figures[name])


class Best:
    """The best value of a figure so far, and its epoch: ``take`` says whether a new one is better.

    Better means less (``mode`` "min") or more ("max") by more than ``least_change``. What is not finite never is.
    """

    def __init__(self, mode: str, least_change: float = 0.0):
        self.mode, self.least_change = mode, least_change
        self.value: float | None = None
        self.epoch = 0

    def take(self, value: float, epoch: int) -> bool:
        better = math.isfinite(value) and (self.value is None or self._gain(value) > self.least_change)
        if better:
            self.value, self.epoch = value, epoch
        return better

    def _gain(self, value: float) -> float:
        assert self.value is not None
        return self.value - value if self.mode == "min" else value - self.value

    def forget(self) -> None:
        self.value, self.epoch = None, 0

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.value, self.epoch = state["value"], int(state["epoch"])


class EarlyStopping(Callback):
    """Ends a run once ``figure`` has not become better for ``patience`` epochs in a row.

    ``figure``: a name in ``run.figures``. ``mode``: "min" where less is better, "max" where more is; None takes it from
    the name (losses and errors, accuracies and scores). ``min_change``: better means by more than this. A figure that
    is not finite is not better. ``best`` and ``best_epoch`` say what it was, ``waited`` how many epochs ago. KeepBest
    gives the weights of that epoch back.

    A resumed run counts on; one that had been stopped stops again at once, unless ``patience`` is larger now.
    ValueError for settings out of range, and at the end of the first epoch where it has no such figure.
    """

    def __init__(
        self, figure: str = "validation_loss", patience: int = 10, min_change: float = 0.0, mode: str | None = None
    ):
        if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
            raise ValueError(
                f"EarlyStopping: patience is out of range.\n  got:      {patience!r}\n"
                "  expected: a number of epochs, an int of at least 1"
            )
        if not (math.isfinite(min_change) and min_change >= 0):
            raise ValueError(
                f"EarlyStopping: min_change is out of range.\n  got:      {min_change!r}\n"
                "  expected: a finite number of at least 0"
            )
        self.figure, self.patience, self.min_change = figure, patience, min_change
        self.mode = direction(self, figure, mode)
        self._best = Best(self.mode, min_change)
        self.waited = 0

    @property
    def best(self) -> float | None:
        """The best value so far; None before there was one."""
        return self._best.value

    @property
    def best_epoch(self) -> int:
        """The epoch of the best value; 0 before there was one."""
        return self._best.epoch

    def on_run_start(self, run: Any) -> None:
        if run.step == 0:
            self._best.forget()
            self.waited = 0
        self._decide(run)

    def on_epoch_end(self, run: Any) -> None:
        better = self._best.take(figure_of(self, run, self.figure), run.epoch)
        self.waited = 0 if better else self.waited + 1
        self._decide(run)

    def _decide(self, run: Any) -> None:
        if self.waited >= self.patience:
            epochs = "epoch" if self.waited == 1 else f"{self.waited} epochs"
            best = f"was {self.best:.6g} in epoch {self.best_epoch}" if self.best_epoch else "was never finite"
            run.stop(f"{self.figure} has not become better in the last {epochs}; the best {best}")

    def state_dict(self) -> dict[str, Any]:
        return {**self._best.state_dict(), "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best.load_state_dict(state)
        self.waited = int(state["waited"])


class KeepBest(Callback):
    """Keeps what the model owned (Parameters and States) after the epoch in which ``figure`` was best.

    ``restore=True`` puts it back into the model at the end of the run, also where the run was stopped or interrupted.
    ``file`` is written whenever an epoch is the best so far, in the folder of the run where there is one (a path with a
    folder of its own is taken as it is); None: no file. It is read by ``zk.io.load_weights``; its metadata hold
    ``metadata``, strings by string, and ``epoch``, ``figure`` and ``value``. ``mode`` as of EarlyStopping; of epochs
    that are equally good the first is kept, a figure that is not finite is never best.

    ``best`` and ``best_epoch`` say which it is. It takes the memory of one more copy of the model, and room for it in
    every checkpoint: a resumed run knows the best weights of all its epochs, and rewrites the file accordingly.
    """

    def __init__(
        self,
        figure: str = "validation_loss",
        mode: str | None = None,
        *,
        restore: bool = True,
        file: str | os.PathLike | None = "model-best.safetensors",
        metadata: Mapping[str, str] | None = None,
    ):
        self.figure, self.restore, self.file = figure, restore, file
        self.metadata = dict(metadata or {})
        self.mode = direction(self, figure, mode)
        self._best = Best(self.mode)
        self._weights: dict[str, Any] = {}

    @property
    def best(self) -> float | None:
        """The best value so far; None before there was one."""
        return self._best.value

    @property
    def best_epoch(self) -> int:
        """The epoch of the best value; 0 before there was one."""
        return self._best.epoch

    def on_run_start(self, run: Any) -> None:
        if run.step == 0:
            self._best.forget()
            self._weights = {}
        target = self._target(run)
        if target is not None:  # what is there may be of epochs that this run has yet to come to
            if self.best_epoch:
                self._write(target)
            else:
                target.unlink(missing_ok=True)

    def on_epoch_end(self, run: Any) -> None:
        if not self._best.take(figure_of(self, run, self.figure), run.epoch):
            return
        self._weights = owned_arrays(run.model)
        target = self._target(run)
        if target is not None:
            self._write(target)

    def on_run_end(self, run: Any) -> None:
        if self.restore and self._weights:
            from zkynet.io import assign_weights

            assign_weights(run.model, self._weights)

    def _target(self, run: Any) -> Path | None:
        if self.file is None:
            return None
        path = Path(self.file)
        if path.parent != Path("."):
            return path
        return None if run.folder is None else Path(run.folder) / path

    def _write(self, target: Path) -> None:
        from zkynet.io import save_safetensors

        about = {"epoch": str(self.best_epoch), "figure": self.figure, "value": json.dumps(self.best)}
        save_safetensors(target, self._weights, {**self.metadata, **about})

    def state_dict(self) -> dict[str, Any]:
        return self._best.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best.load_state_dict(state)

    def arrays(self) -> dict[str, Any]:
        return dict(self._weights)

    def load_arrays(self, arrays: Mapping[str, Any]) -> None:
        self._weights = dict(arrays)


def owned_arrays(model: Any) -> dict[str, Any]:
    """What a model owns, by path, as NumPy arrays that later updates leave alone."""
    from zkynet.framework.computation_graph import Parameter, State
    from zkynet.io.safetensors import host_array

    owned = model.named_possessions((Parameter, State))
    # An optimizer writes in place only where nobody else holds an array: to hold it is to keep its numbers.
    return {name: host_array(name, each) for name, each in owned.items()}
