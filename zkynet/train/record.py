"""What a run leaves behind: settings, log, curves, checkpoints, and the weights with all that is needed to use them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zkynet import io
from zkynet.framework.computation_graph import Module

LOG, WEIGHTS, CURVES, CURVES_PNG = "log.jsonl", "model.safetensors", "curves.svg", "curves.png"
CHECKPOINTS = "checkpoints"
KEY = "zkynet"  # in the metadata of the weights: the description of the model, as JSON
FORMAT = 2  # of the description; older ones are read, newer ones refused


class RunFolder:
    """The folder ``path`` of one run, made where it is missing.

    ``config.toml``: the settings. ``log.jsonl``: a line of JSON about the run, then one an epoch. ``checkpoints``: what
    it takes to go on. ``model.safetensors``: the weights, and in its metadata a description to rebuild the model from.
    ``curves.svg``: the figures by epoch, and the same as ``curves.png`` where matplotlib is installed. OSError where
    the folder cannot be made or written to.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoints, oldest first."""
        return sorted((self.path / CHECKPOINTS).glob("step-*.json"))

    @property
    def contents(self) -> list[str]:
        """The files and folders of the run, as they are called."""
        hidden = (each.name for each in self.path.iterdir() if not each.name.startswith("."))
        return sorted(f"{name}/" if (self.path / name).is_dir() else name for name in hidden)

    def clear(self) -> None:
        """Remove what an earlier run left here; other files stay."""
        for name in (WEIGHTS, LOG, CURVES, CURVES_PNG):
            (self.path / name).unlink(missing_ok=True)
        if (self.path / CHECKPOINTS).is_dir():
            shutil.rmtree(self.path / CHECKPOINTS)

    def write(self, name: str, content: bytes) -> None:
        """Write the file ``name``, whole or not at all."""
        with io.atomic_write(self.path / name) as file:
            file.write(content)

    def finish(
        self,
        model: Module,
        description: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]],
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Write the weights with the description of the model, and the curves of the epochs so far."""
        from zkynet.train.curves import png, svg

        io.save_weights(self.path / WEIGHTS, model, {"format": "zkynet", KEY: json.dumps(description)})
        for name, draw in ((CURVES, svg), (CURVES_PNG, png)):
            picture = draw(history, names) if history else None
            if picture is None:  # no epoch, or no matplotlib: then none of an earlier run either
                (self.path / name).unlink(missing_ok=True)
            else:
                self.write(name, picture)


def read_description(folder: str | os.PathLike) -> dict[str, Any]:
    """Return the description of the model in the folder of a run.

    FileFormatError where its weights have none, or one that a later version of zkynet wrote; OSError where there are no
    weights that can be read.
    """
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
    version = description.get("format", 1)
    if version not in range(1, FORMAT + 1):
        raise io.FileFormatError(
            f"{path} was written by a later version of zkynet\n  got:      format {version}\n"
            f"  expected: at most {FORMAT}\nUpdate zkynet to use it."
        )
    return description
