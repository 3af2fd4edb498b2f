"""Statistics: how large gradients and weights are, how they spread, and how many of them are zero."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from typing import Any

from zkynet.train.callback import Callback
from zkynet.train.callbacks.logs import LineFile, checked_every, file_of, json_line
from zkynet.train.run_settings import minimizes


class Statistics(Callback):
    """Looks at gradients and weights after every ``every`` steps, array by array.

    For each parameter, by path: ``norm`` (Euclidean), ``mean``, ``std`` (of the whole array, not of a sample) and
    ``zeros``, the share of entries that are exactly 0; of complex numbers the real and imaginary parts are entries. The
    gradients are those that the optimizer was given, the weights those after its update. ``newest`` holds them:
    ``{"step": .., "gradients": {path: {"norm": ..}}, "weights": {..}}``, for other callbacks.

    Every look is a line of JSON in ``path``, ``statistics.jsonl`` in the folder of the run unless given; without either
    there is no file. Numbers that are not finite are null there. Each epoch gets two figures, ``gradient_norm`` and
    ``weight_norm``: the norm of all together at the newest look.

    A step that is compiled whole, and LBFGS, keep their gradients to themselves: then a warning says so, and there are
    weights only; ``gradients=False`` asks for no more. It costs a copy of both to the host for every look, nothing
    otherwise.
    """

    order = -1

    def __init__(self, every: int = 100, path: str | os.PathLike | None = None, *, gradients: bool = True):
        self.every = checked_every(self, every) or 100
        self.path, self.gradients = path, bool(gradients)
        self.newest: dict[str, Any] = {}
        self._figures: dict[str, float] = {}
        self._file = LineFile()
        self._writes = False

    def on_run_start(self, run: Any) -> None:
        if run.step == 0:
            self.newest, self._figures = {}, {}
        self._writes = self.path is not None or run.folder is not None
        if self._writes:
            self._file.open(file_of(self, run, self.path, "statistics.jsonl"), resumed=run.step > 0)
        if self.gradients and (run.steps_are_whole or minimizes(run.optimizer)):
            who = "a compiled step" if run.steps_are_whole else type(run.optimizer).__name__
            warnings.warn(
                f"Statistics: {who} keeps its gradients to itself, so there are those of the weights only.\n"
                "Use Trainer(..., compiled=False) to see them, Statistics(gradients=False) not to be told.",
                stacklevel=2,
            )

    def on_step_end(self, run: Any) -> None:
        if run.step % self.every:
            return
        self.newest = {"step": run.step}
        if self.gradients and run.gradients is not None:
            self.newest["gradients"] = {name: statistics_of(g) for name, g in run.gradients.items()}
        weights = run.model.trainable_parameters()
        self.newest["weights"] = {name: statistics_of(each) for name, each in weights.items()}
        for kind in ("gradients", "weights"):
            if kind in self.newest:
                norms = [each["norm"] for each in self.newest[kind].values()]
                self._figures[f"{kind[:-1]}_norm"] = math.hypot(*norms)
        if self._writes:
            self._file.write(json_line({"epoch": run.epoch, **self.newest}))

    def on_epoch_end(self, run: Any) -> None:
        run.figures.update(self._figures)

    def on_run_end(self, run: Any) -> None:
        self._file.close()

    def state_dict(self) -> dict[str, Any]:
        """How long its file is, and the two norms as text, which holds those that are not finite too."""
        return {**self._file.state_dict(), "norms": {name: repr(norm) for name, norm in self._figures.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._file.load_state_dict(state)
        self._figures = {name: float(norm) for name, norm in state["norms"].items()}


def statistics_of(x: Any) -> dict[str, float]:
    """``norm``, ``mean``, ``std`` and ``zeros`` of an array of any backend, computed in double precision.

    Of an empty array norm and zeros are 0.0, mean and std NaN.
    """
    import numpy as np

    from zkynet.io.safetensors import host_array

    array = np.atleast_1d(host_array("an array", x))
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag])
    array = np.asarray(array, np.float64)
    if not array.size:
        return {"norm": 0.0, "mean": math.nan, "std": math.nan, "zeros": 0.0}
    with np.errstate(all="ignore"):
        largest = float(np.max(np.abs(array)))
        scale = largest if 0 < largest < math.inf else 1.0  # squares neither overflow nor underflow
        scaled = array / scale
        return {
            "norm": float(np.linalg.norm(scaled)) * scale,
            "mean": float(np.mean(scaled)) * scale,
            "std": float(np.std(scaled)) * scale,
            "zeros": float(np.mean(array == 0)),
        }
