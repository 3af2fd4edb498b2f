"""What a training run leaves behind: a log, curves, and the trained weights with all that is needed to use them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zkynet import io
from zkynet.framework.computation_graph import Module
from zkynet.train.curves import png, svg

LOG, WEIGHTS, CURVES, CURVES_PNG = "log.jsonl", "model.safetensors", "curves.svg", "curves.png"
KEY = "zkynet"  # in the metadata of the weights: the description of the model, as JSON


@dataclass
class Epoch:
    """What one epoch gave: its number from 1, the mean training loss, the test accuracy after it, and its seconds."""

    number: int
    loss: float
    accuracy: float
    seconds: float


class RunFolder:
    """The folder ``path`` of one training run, made where it is missing; what an earlier run left there is replaced.

    ``log.jsonl``: a line of JSON with the settings of the run, then one an epoch. ``model.safetensors``: the weights,
    and in its metadata a description to rebuild the model from. ``curves.svg``: loss and accuracy by epoch, and the
    same as ``curves.png`` where matplotlib is installed. ``written`` names the files that this run has written.
    OSError where the folder cannot be made or written to.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.written: list[str] = []

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Begin the log with the settings of the run."""
        self._write(LOG, _line(settings))

    def epoch(self, epoch: Epoch) -> None:
        """Add the line of a finished epoch to the log; it is on disk when this returns."""
        self._append({"epoch": epoch.number, **{k: v for k, v in asdict(epoch).items() if k != "number"}})

    def finish(self, model: Module, description: Mapping[str, Any], epochs: Sequence[Epoch]) -> None:
        """Write the weights with the description of the model, and the curves of the epochs so far."""
        io.save_weights(self.path / WEIGHTS, model, {"format": "zkynet", KEY: json.dumps(description)})
        self._note(WEIGHTS)
        for name, draw in ((CURVES, svg), (CURVES_PNG, png)):
            picture = draw(epochs) if epochs else None
            if picture is None:  # no epoch, or no matplotlib: then none of an earlier run either
                (self.path / name).unlink(missing_ok=True)
            else:
                self._write(name, picture)

    def interrupted(self, epoch: int, batches: int) -> None:
        """Say in the log that the run ended in ``epoch``, after so many of its batches."""
        self._append({"interrupted": {"epoch": epoch, "batches": batches}})

    def _append(self, line: Mapping[str, Any]) -> None:
        with open(self.path / LOG, "ab") as file:
            file.write(_line(line))
            file.flush()
            os.fsync(file.fileno())

    def _write(self, name: str, content: bytes) -> None:
        with io.atomic_write(self.path / name) as file:
            file.write(content)
        self._note(name)

    def _note(self, name: str) -> None:
        if name not in self.written:
            self.written.append(name)


def _line(values: Mapping[str, Any]) -> bytes:
    """One line of JSON, in which a number that is not finite is null: JSON has none."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    return json.dumps(finite, allow_nan=False).encode() + b"\n"


def read_description(folder: str | os.PathLike) -> dict[str, Any]:
    """Return the description of the model in the folder of a run; FileFormatError where its weights have none."""
    path = Path(folder) / WEIGHTS
    try:
        description = json.loads(io.load_metadata(path)[KEY])
    except KeyError:
        raise io.FileFormatError(
            f"{path} does not say which model its weights are of; zkynet did not write it"
        ) from None
    except json.JSONDecodeError as error:
        raise io.FileFormatError(f"{path} describes its model in something that is no JSON: {error}") from error
    if not isinstance(description, dict):
        raise io.FileFormatError(f"{path} describes its model by {type(description).__name__}, not by a map")
    return description
