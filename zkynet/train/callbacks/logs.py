"""Logs: a file that grows by whole lines, and that a resumed run takes up exactly where its checkpoint left it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from zkynet.train.callback import Callback


class LineFile:
    """A file of lines that knows how long it is: ``open`` begins it anew or takes it up, ``write`` adds one line.

    ``state_dict`` gives its name and its length in bytes; what it counts is on the disk by then. So no checkpoint
    speaks of lines that a crash of the machine could still take away, and ``open`` can cut off what came after it.
    """

    def __init__(self) -> None:
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        self._length = 0
        self._known: tuple[str, int] | None = None  # the name and the length that a state spoke of

    def open(self, path: str | os.PathLike, resumed: bool) -> bool:
        """Open the file ``path`` for writing; whether it is a new one, without lines.

        A new run replaces what is there. A resumed one cuts it back to the length of its state; where the state is of a
        file with another name, or there was none, it goes on behind what is there. ValueError where the file is shorter
        than the state says, or gone: then lines have been lost.
        """
        self.close()
        path = Path(path)
        known = self._known if resumed and self._known is not None and self._known[0] == path.name else None
        if known is not None:
            self._check(path, known[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab" if resumed else "wb")  # noqa: SIM115  (closed by close)
        if known is not None:
            file.truncate(known[1])
        elif resumed and not _ends_well(path):
            file.write(b"\n")  # what a killed process left of its last line stays a line of its own
            file.flush()
        self.path, self._file, self._length = path, file, os.fstat(file.fileno()).st_size
        self._known = (path.name, self._length)
        return self._length == 0

    @staticmethod
    def _check(path: Path, length: int) -> None:
        try:
            there = path.stat().st_size
        except FileNotFoundError:
            there = 0
        if there < length:
            raise ValueError(
                f"{path} has lost lines since the checkpoint.\n"
                f"  got:      {there} bytes\n  expected: at least {length}\n"
                "Put the file back, or give the callback another path: then it begins a new file there."
            )

    def write(self, line: bytes) -> None:
        """Add a line, with its line end; other programs can read it when this returns."""
        if self._file is None:
            raise ValueError("LineFile: no file is open")
        self._file.write(line)
        self._file.flush()
        self._length += len(line)

    def close(self) -> None:
        """Close the file, where one is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def state_dict(self) -> dict[str, Any]:
        """The name of the file and its length, which is on the disk; nothing where it was never opened."""
        if self._file is not None and self.path is not None:
            os.fsync(self._file.fileno())
            self._known = (self.path.name, self._length)
        return {} if self._known is None else {"file": self._known[0], "bytes": self._known[1]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up, with the next ``open``, the file that the state speaks of."""
        self._known = (str(state["file"]), int(state["bytes"])) if "file" in state else None


class JsonLog(Callback):
    """A line of JSON for every epoch, as the run goes on: ``{"epoch": 1, "loss": 0.73, "validation_loss": 0.41, ...}``.

    ``path``: the file, ``log.jsonl`` in the folder of the run unless given. ``every``: also a line after every so many
    steps, with ``epoch``, ``step``, ``loss`` and ``learning_rate``; those of epochs have no ``step``. ``settings``: a
    dict for the first line of the file. A run that was stopped ends with ``{"stopped": "why", "epoch": 3, "step": 7}``.

    Every line can be read as soon as it is written. Numbers that are not finite are null: JSON has none. A new run
    replaces the file; a resumed one cuts off what was written after its checkpoint and goes on from there, so that the
    file equals, times aside, that of a run which was never interrupted. ValueError where there is neither a path nor a
    folder, and where a resumed run finds less in the file than it has written; OSError where it cannot be written.
    """

    order = 1  # told after those that add figures

    def __init__(
        self,
        path: str | os.PathLike | None = None,
        *,
        every: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ):
        self.path, self.settings = path, settings
        self.every = checked_every(self, every)
        self._rate: float | None = None
        self._file = LineFile()

    def on_run_start(self, run: Any) -> None:
        new = self._file.open(file_of(self, run, self.path, "log.jsonl"), resumed=run.step > 0)
        if new and self.settings is not None:
            self._file.write(json_line(self.settings))

    def on_step_start(self, run: Any) -> None:
        if self.every and (run.step + 1) % self.every == 0:
            self._rate = run.learning_rate  # after the step it is that of the next one

    def on_step_end(self, run: Any) -> None:
        if self.every and run.step % self.every == 0:
            figures = {"loss": run.loss, "learning_rate": self._rate}
            self._file.write(json_line({"epoch": run.epoch, "step": run.step, **figures}))

    def on_epoch_end(self, run: Any) -> None:
        self._file.write(json_line({"epoch": run.epoch, **run.figures}))

    def on_run_end(self, run: Any) -> None:
        try:
            if run.stopped is not None:
                self._file.write(json_line({"stopped": str(run.stopped), "epoch": run.epoch, "step": run.step}))
        finally:
            self._file.close()

    def state_dict(self) -> dict[str, Any]:
        return self._file.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._file.load_state_dict(state)


class CsvLog(Callback):
    """A table of the epochs as comma-separated values: a line of names, then one line an epoch.

    ``path``: the file, ``log.csv`` in the folder of the run unless given. The columns are the figures of the first
    epoch; where a later epoch has figures that are new, the file is written again as a whole with columns for them at
    the end, empty in the lines before, so nothing is ever left out. A figure that an epoch lacks is empty. Numbers have
    all their digits; those that are not finite are ``nan`` and ``inf``. What is no number or text is written as JSON.

    A new run replaces the file; a resumed one drops the lines of epochs after its checkpoint. ValueError where there is
    neither a path nor a folder, and where a resumed run finds fewer lines than it has written.
    """

    order = 1

    def __init__(self, path: str | os.PathLike | None = None):
        self.path = path
        self._target: Path | None = None
        self._columns: list[str] = []
        self._rows = 0
        self._name: str | None = None  # of the file that these columns and rows are in

    def on_run_start(self, run: Any) -> None:
        target = self._target = Path(file_of(self, run, self.path, "log.csv"))
        target.parent.mkdir(parents=True, exist_ok=True)
        if run.step > 0 and self._name == target.name:
            self._cut_back(target)
            return
        self._columns, self._rows, self._name = [], 0, target.name
        if run.step == 0:
            target.unlink(missing_ok=True)
        elif target.exists():  # of a run that this callback was no part of: goes on behind it
            lines = read_csv(target)
            self._columns, self._rows = (lines[0], len(lines) - 1) if lines else ([], 0)

    def _cut_back(self, target: Path) -> None:
        lines = read_csv(target) if target.exists() else []
        header, body = (lines[0], lines[1:]) if lines else ([], [])
        if len(body) < self._rows or header[: len(self._columns)] != self._columns:
            raise ValueError(
                f"{target} is not the table that the checkpoint speaks of.\n"
                f"  got:      {len(body)} lines of {', '.join(header) or 'nothing'}\n"
                f"  expected: at least {self._rows} of {', '.join(self._columns)}\n"
                "Put the file back, or give CsvLog another path: then it begins a new file there."
            )
        if self._rows:
            write_csv(target, [self._columns, *(row[: len(self._columns)] for row in body[: self._rows])])
        else:
            target.unlink(missing_ok=True)

    def on_epoch_end(self, run: Any) -> None:
        assert self._target is not None
        figures = {"epoch": run.epoch, **run.figures}
        new = [name for name in figures if name not in self._columns]
        if new:
            lines = read_csv(self._target) if self._rows else []
            self._columns = self._columns + new
            write_csv(self._target, [self._columns, *(row + [""] * len(new) for row in lines[1:])])
        append_csv(self._target, [csv_cell(figures.get(name)) for name in self._columns])
        self._rows += 1

    def state_dict(self) -> dict[str, Any]:
        return {"file": self._name, "columns": list(self._columns), "rows": self._rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._name, self._columns, self._rows = state["file"], list(state["columns"]), int(state["rows"])


# ---- what logs share ----


def _ends_well(path: Path) -> bool:
    """Whether a file is empty or ends with a line end."""
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def file_of(owner: Callback, run: Any, path: str | os.PathLike | None, name: str) -> Path:
    """The file that a callback writes: ``path``, or ``name`` in the folder of the run; ValueError without either."""
    if path is not None:
        return Path(path)
    if run.folder is None:
        raise ValueError(
            f"{type(owner).__name__} has nowhere to write.\n  got:      no path, and a Trainer without a folder\n"
            f"  expected: {type(owner).__name__}(path), or Trainer(..., folder=...)"
        )
    return Path(run.folder) / name


def checked_every(owner: Callback, every: Any) -> int | None:
    """A number of steps, or None; ValueError for anything else."""
    if every is None or (isinstance(every, int) and not isinstance(every, bool) and every >= 1):
        return every
    raise ValueError(
        f"{type(owner).__name__}: every is no number of steps.\n  got:      {every!r}\n"
        "  expected: an int of at least 1, or None"
    )


def json_line(values: Mapping[str, Any]) -> bytes:
    """One line of JSON; see ``plain``."""
    return json.dumps(plain(values), allow_nan=False).encode() + b"\n"


def plain(value: Any) -> Any:
    """What JSON can hold of a value: arrays as lists, numbers that are not finite as null; TypeError for the rest."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):  # arrays and numbers of the array libraries
        return plain(value.tolist())
    raise TypeError(
        f"a log holds numbers, text, and lists, dicts and arrays of them.\n  got:      {type(value).__name__} {value!r}"
    )


def csv_cell(value: Any) -> str:
    """A figure as the text of one cell."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None:
        return ""
    return str(value) if isinstance(value, (str, bool, int, float)) else json.dumps(plain(value))


def read_csv(path: Path) -> list[list[str]]:
    """The lines of a table, the names first."""
    import csv

    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def write_csv(path: Path, lines: Sequence[Sequence[str]]) -> None:
    """Replace a table as a whole."""
    from zkynet.io import atomic_write

    with atomic_write(path) as file:
        file.write("".join(map(csv_line, lines)).encode())


def append_csv(path: Path, line: Sequence[str]) -> None:
    """Add a line to a table; it is on the disk when this returns."""
    with open(path, "ab") as file:
        file.write(csv_line(line).encode())
        file.flush()
        os.fsync(file.fileno())


def csv_line(cells: Sequence[str]) -> str:
    """One line of a table, with its line end."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
