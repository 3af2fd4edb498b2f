"""The columns of a CSV file as inputs of a network: numbers standardized, texts one-hot, as in training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zkynet.train.tasks.option import Choice
from zkynet.train.tasks.task import TaskError

ABSENT = frozenset(("", "NA", "N/A", "NaN", "nan", "NULL", "null"))  # cells that hold no value
MISSING = Choice("error", "drop", "fill")
MOSTLY = 0.8  # of the cells are numbers: then a column of them has a mistake, and is no text
FEW = 20  # texts, at most, that an error or a table lists
MANY, MOST = 0.5, 1000  # different texts, as a part of the rows and at all: a column of more is one of names
SHOWN = 40  # characters of a cell that an error shows


class Cells:
    """A CSV file as texts: ``cells[name]`` are those of a column, stripped; errors can name the line of a row."""

    def __init__(self, path: str, delimiter: str = ","):
        from pathlib import Path

        from zkynet.data import read_table
        from zkynet.data.tables import column_names
        from zkynet.io import FileFormatError

        if Path(path).name == "-" and not Path(path).exists():
            raise TaskError("a table is read from a file, and - is none; save it in one and give its name")
        if Path(path).is_dir():
            raise TaskError(f"{path} is a folder; expected a CSV file")
        self.path, self.delimiter = path, delimiter
        try:
            names = column_names(path, delimiter=delimiter)
            other = next((mark for mark in ",;\t|" if mark != delimiter and mark in names[0]), None)
            if len(names) == 1 and other is not None:
                raise TaskError(f"{path} has a single column {names[0]!r}; if that is several: --delimiter {other!r}")
            table = read_table(path, text=names, delimiter=delimiter)
        except FileFormatError as error:
            raise TaskError(_without_code(error)) from None
        self.columns = {name: [cell.strip() for cell in table[name].tolist()] for name in names}
        self.rows = list(range(len(table)))  # the numbers of the rows in the file
        self._numbers: dict[str, list[float | None]] = {}

    def __getitem__(self, name: str) -> list[str]:
        cells = self.columns[name]
        return [cells[row] for row in self.rows]

    def numbers(self, name: str) -> list[float | None]:
        """The cells of a column as numbers, None for those that are none."""
        if name not in self._numbers:
            self._numbers[name] = [as_number(cell) for cell in self.columns[name]]
        found = self._numbers[name]
        return [found[row] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, holds: Sequence[bool]) -> None:
        """Leave out the rows where ``holds`` does not."""
        self.rows = list(itertools.compress(self.rows, holds))

    def check(self, names: Sequence[str], what: str) -> None:
        """TaskError where one of ``names`` is no column."""
        for name in names:
            if name not in self.columns:
                raise TaskError(f"{self.path} has no column {name!r}, {what}; it has {', '.join(self.columns)}")

    def wrong(self, row: int, name: str, message: str) -> TaskError:
        """The error for a cell of the ``row``-th kept row."""
        from zkynet.data.tables import line_of_row

        line = line_of_row(self.path, self.rows[row], delimiter=self.delimiter)
        return TaskError(f"{self.path}, line {line}, column {name!r}: {message}")


def _without_code(error: Exception) -> str:
    """An error about a file without the hints that are meant for Python code."""
    return "\n".join(line for line in str(error).splitlines() if line.startswith(" ") or "=" not in line)


class Number(NamedTuple):
    """A column of numbers: (x - mean) / scale; ``fill`` stands for a missing one, where that is allowed."""

    name: str
    mean: float
    scale: float
    fill: float | None

    @property
    def width(self) -> int:
        return 1

    def encode(self, cells: Cells) -> Any:
        """The standardized numbers, shape (rows, 1), float64; TaskError for a cell that is none."""
        import numpy as np

        values = numbers(cells, self.name, self.fill)
        return ((np.array(values) - self.mean) / self.scale)[:, None]


class Text(NamedTuple):
    """A column of texts: one-hot, a place for each of ``categories``; "" among them stands for missing ones."""

    name: str
    categories: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.categories)

    def encode(self, cells: Cells) -> Any:
        """Zeros and ones, shape (rows, categories), float64; TaskError for a text that was not there in training."""
        import numpy as np

        codes = coded(cells, self.name, self.categories)
        return np.eye(len(self.categories))[codes]


Column = Number | Text


def coded(cells: Cells, name: str, known: Sequence[str], as_numbers: bool = False) -> list[int]:
    """The places of a column's texts in ``known``; TaskError, with the line, for one that is not there.

    ``as_numbers``: 1, 1.0 and 01 are one text, see ``plain``.
    """
    places = {text: i for i, text in enumerate(known)}
    codes = []
    for row, cell in enumerate(cells[name]):
        text = "" if cell in ABSENT else plain(cell) if as_numbers else cell
        if text not in places:
            if not text:
                raise cells.wrong(row, name, "an empty cell; the model was trained on a table without any")
            listed = ", ".join(map(repr, known[:FEW])) + (", ..." if len(known) > FEW else "")
            raise cells.wrong(row, name, f"{cell[:SHOWN]!r} was not there in training; known: {listed}")
        codes.append(places[text])
    return codes


def numbers(cells: Cells, name: str, fill: float | None) -> list[float]:
    """The numbers of a column, ``fill`` for missing ones; TaskError, with the line, for a cell that is no number."""
    found = []
    for row, (cell, value) in enumerate(zip(cells[name], cells.numbers(name), strict=True)):
        if value is None and cell in ABSENT and fill is not None:
            value = fill
        if value is None:
            what = "an empty cell" if not cell else f"{cell[:SHOWN]!r} is no number that can be used"
            raise cells.wrong(row, name, f"{what}; expected a number")
        found.append(value)
    return found


def as_number(cell: str) -> float | None:
    """The finite number that a cell holds; None where it holds none."""
    if not cell.isascii() or "_" in cell:  # float() would take digits of all scripts, and 1_000
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def plain(cell: str) -> str:
    """A number as it is written without more than it needs, 1 for 1.0 and 01; other texts as they are."""
    value = as_number(cell)
    if value is None:
        return cell
    return str(int(value)) if value.is_integer() else repr(value)


def of_numbers(cells: Cells, name: str, as_text: Sequence[str]) -> bool:
    """Whether a column holds numbers; TaskError where it does but for a few cells, which must be mistakes."""
    if name in as_text:
        return False
    found = [(cell, value is not None) for cell, value in zip(cells[name], cells.numbers(name), strict=True)]
    are = [is_one for cell, is_one in found if cell not in ABSENT]
    if not are or all(are):
        return bool(are)
    if sum(are) >= MOSTLY * len(are):
        row = next(i for i, (cell, is_one) in enumerate(found) if cell not in ABSENT and not is_one)
        raise cells.wrong(
            row,
            name,
            f"{cells[name][row][:SHOWN]!r} is no number, and {sum(are)} of the {len(are)} cells of this column are; "
            f"correct it, or take the column as text: --text {name}",
        )
    return False


def settle_missing(cells: Cells, names: Sequence[str], target: str, how: str) -> int:
    """Do with missing values what ``how`` says: an "error", "drop" their rows, or "fill" them in later.

    Rows without a target go in both of the latter cases. Returns how many rows are gone. TaskError for missing values
    where they are an error, for a column that has no value, and where no row is left.
    """
    for name in names:
        if all(cell in ABSENT for cell in cells[name]):
            raise TaskError(f"the column {name!r} of {cells.path} is empty; leave it out: --leave-out {name}")
    looked = names if how != "fill" else [target]
    absent = [[cell in ABSENT for cell in cells[name]] for name in looked]
    holds = [not any(row) for row in zip(*absent, strict=True)]
    if how == "error" and not all(holds):
        row = holds.index(False)
        name = next(name for name, column in zip(looked, absent, strict=True) if column[row])
        count = sum(map(sum, absent))
        raise cells.wrong(
            row,
            name,
            f"a missing value, {cells[name][row]!r}, one of {count}; --missing drop leaves such rows out, --missing "
            "fill puts the mean of the column in its place, and makes missing texts a category of their own",
        )
    before = len(cells)
    cells.keep(holds)
    if not len(cells):
        raise TaskError(f"every row of {cells.path} lacks a value; --missing fill keeps them, or --leave-out COLUMN")
    return before - len(cells)


def fitted(cells: Cells, names: Sequence[str], train: Sequence[int], how: str, as_text: Sequence[str]) -> list[Column]:
    """How each of the columns becomes inputs: numbers by the rows ``train``, texts by all that there are."""
    return [
        _number(cells, name, train, how) if of_numbers(cells, name, as_text) else _text(cells, name, how)
        for name in names
    ]


def _number(cells: Cells, name: str, train: Sequence[int], how: str) -> Number:
    import numpy as np

    from zkynet.data import Standardizer

    values = np.array([math.nan if value is None else value for value in cells.numbers(name)])[train]
    present = values[~np.isnan(values)]
    if not len(present):
        raise TaskError(f"the column {name!r} has no value in the training rows; leave it out: --leave-out {name}")
    fill = float(present.mean()) if how == "fill" else None
    measured = Standardizer().fit(present if fill is None else np.where(np.isnan(values), fill, values))
    return Number(name, float(measured.mean[0]), float(measured.scale[0]), fill)


def _text(cells: Cells, name: str, how: str) -> Text:
    texts = ["" if cell in ABSENT else cell for cell in cells[name]]
    categories = sorted({*texts, *([""] if how == "fill" else [])})
    if len(categories) > min(MOST, max(FEW, MANY * len(texts))):
        raise TaskError(
            f"the column {name!r} has {len(categories)} different texts in {len(texts)} rows: like a name or a number "
            f"of a row, it says nothing about others; leave it out: --leave-out {name}"
        )
    return Text(name, tuple(categories))


def encoded(cells: Cells, columns: Sequence[Column], dtype: str) -> Any:
    """The inputs of the network: shape (rows, the widths of all columns)."""
    import numpy as np

    return np.concatenate([column.encode(cells) for column in columns], axis=1).astype(dtype)


def described(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The columns as plain data."""
    return [
        {"kind": "number", **each._asdict()}
        if isinstance(each, Number)
        else {"kind": "text", "name": each.name, "categories": list(each.categories)}
        for each in columns
    ]


def restored(description: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns of such data."""
    return [
        Number(each["name"], each["mean"], each["scale"], each["fill"])
        if each["kind"] == "number"
        else Text(each["name"], tuple(each["categories"]))
        for each in description
    ]
