"""Tables in CSV files: every cell is read as what it is said to be, or an error names its line."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from zkynet.backends.errors import FileFormatError

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_SHOWN = 40  # characters of a cell that an error shows


class Table:
    """The columns of a table by name: ``table["price"]`` has shape (n,), numbers or text.

    ``names`` is the order of the columns, ``len(table)`` the number of rows.
    """

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self._columns = columns

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(self._columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.names)}")
        return self._columns[name]

    def matrix(self, names: Sequence[str] | None = None, dtype: Any = "float32") -> np.ndarray:
        """Return columns side by side: shape (n, columns), of a floating or integer dtype; those of ``names``, or all.

        TypeError for a column of text; KeyError for one not there; ValueError where ``dtype`` cannot hold a number.
        """
        chosen = self.names if names is None else tuple(names)
        for name in chosen:
            if self[name].dtype.kind == "U":
                raise TypeError(
                    f"Table.matrix: the column {name!r} is text.\n"
                    f"  expected: columns of numbers; encode_labels(table[{name!r}]) makes integers of it"
                )
        return np.stack([_as_dtype(name, self[name], np.dtype(dtype)) for name in chosen], axis=1)

    def __repr__(self) -> str:
        return f"Table({len(self)} rows: {', '.join(self.names)})"


def _as_dtype(name: str, column: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if column.dtype == dtype:
        return column
    with np.errstate(all="ignore"):
        result = column.astype(dtype)
    # A float may be rounded; NaN stays NaN where it can.
    kept = np.isfinite(result) == np.isfinite(column) if np.issubdtype(dtype, np.floating) else result == column
    if not kept.all():
        raise ValueError(
            f"Table.matrix: {dtype} cannot hold a number in column {name!r}.\n"
            f"  got:      {column[~kept][0]}\n  expected: a dtype that can, like float64"
        )
    return result


def read_table(
    path: str | os.PathLike,
    *,
    text: Sequence[str] = (),
    missing: Sequence[str] = (),
    names: Sequence[str] | None = None,
    delimiter: str = ",",
    dtype: Any = "float64",
    encoding: str = "utf-8",
) -> Table:
    """Read a CSV file with one header line.

    All columns are numbers of ``dtype``, a floating or integer one, but those named in ``text``. Cells that hold one of
    ``missing``, like ``("", "NA")``, become NaN; without it they are errors, and so are "nan" and "inf". ``names``:
    the columns' names, for a file without a header line. A byte order mark, CRLF, quoted cells and empty lines are
    understood; spaces around names and numbers, and lines that are empty, do not count.

    FileFormatError, with the line number, where a line has too few or too many cells or a cell is no number, where the
    header names a column twice, and where there are no rows; OSError where the file cannot be read.
    """
    kind = _checked_dtype(dtype, missing)
    with _opened(path, encoding) as file:
        header, begins = _header(path, file, names, delimiter)
        for name in text:
            if name not in header:
                raise FileFormatError(f"{path} has no column {name!r}\n  expected: one of {', '.join(header)}")
        if not text and not missing:
            matrix = _fast(file, begins, len(header), delimiter, kind)
            if matrix is not None:
                return Table({name: matrix[:, i] for i, name in enumerate(header)})
        file.seek(0)
        return _careful(
            path, file, begins, header, delimiter, kind, tuple(text), tuple(cell.strip() for cell in missing)
        )


def encode_labels(values: Any, classes: Sequence[Any] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(codes, classes)``: int64 numbers with ``classes[codes] == values``, and the classes in sorted order.

    ``values`` has shape (n,): text or numbers. With ``classes``, those of the training data for example, their order is
    kept; ValueError where a value is not among them.
    """
    array = np.asarray(values)
    known = np.unique(array) if classes is None else np.asarray(classes)
    order = np.argsort(known, kind="stable")
    places = np.searchsorted(known, array, sorter=order).clip(max=max(len(known) - 1, 0))
    codes = order[places] if len(known) else np.zeros(array.shape, np.int64)
    unknown = known[codes] != array if len(known) else np.ones(array.shape, bool)
    if unknown.any():
        raise ValueError(
            f"encode_labels: an unknown class.\n  got:      {array[unknown][0].item()!r}\n"
            f"  expected: one of {known[:20].tolist()}"
        )
    return codes.astype(np.int64), known


def _checked_dtype(dtype: Any, missing: Sequence[str]) -> np.dtype:
    kind = np.dtype(dtype)
    if not np.issubdtype(kind, np.floating) and (missing or not np.issubdtype(kind, np.integer)):
        raise TypeError(
            f"read_table: a dtype that cannot hold the cells.\n  got:      {kind}\n"
            f"  expected: a floating dtype{', which has NaN for missing cells' if missing else ', or an integer one'}"
        )
    if isinstance(missing, str):
        raise TypeError(f"read_table: missing is one string.\n  expected: a tuple of strings, ({missing!r},)")
    return kind


def column_names(path: str | os.PathLike, *, delimiter: str = ",", encoding: str = "utf-8") -> tuple[str, ...]:
    """Return the names in the header line of a CSV file; FileFormatError where ``read_table`` would not take it."""
    with _opened(path, encoding) as file:
        return _header(path, file, None, delimiter)[0]


def line_of_row(path: str | os.PathLike, row: int, *, delimiter: str = ",", encoding: str = "utf-8") -> int:
    """Return the line on which a row of a file with a header ends; rows count from 0, lines from 1."""
    with _opened(path, encoding) as file:
        rows = _rows(path, file, delimiter)
        return next(itertools.islice(rows, row + 1, None))[0]


@contextlib.contextmanager
def _opened(path: str | os.PathLike, encoding: str) -> Iterator[TextIO]:
    """The file as text, without the byte order mark it may begin with."""
    marked = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        with open(path, encoding=marked, newline="") as file:
            yield file
    except UnicodeError as error:
        raise FileFormatError(
            f"{path} is not text in {encoding}: {error}\n"
            f"If it is in another encoding, name it: encoding='latin-1', 'utf-16', ..."
        ) from error


def _header(path: Any, file: TextIO, names: Sequence[str] | None, delimiter: str) -> tuple[tuple[str, ...], int]:
    """The names of the columns, and how many lines stand before the first row."""
    if names is not None:
        return _checked_names(path, tuple(names)), 0
    for line, cells in _rows(path, file, delimiter):
        return _checked_names(path, tuple(cell.strip() for cell in cells)), line
    raise FileFormatError(f"{path} is empty\n  expected: a header line, then rows")


def _checked_names(path: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > 1 and all(_NUMBER.fullmatch(name) for name in names):
        raise FileFormatError(
            f"{path} has no header line: it begins with numbers, {', '.join(names[:5])}\n"
            f"Name its columns: names=(...); or, if that line holds names, write other ones"
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise FileFormatError(f"{path} has two columns {twice[0]!r}\n  expected: a header with a name for each column")
    return names


def _fast(file: TextIO, begins: int, width: int, delimiter: str, kind: np.dtype) -> np.ndarray | None:
    """The rows by NumPy's parser, shape (n, width); None where it stumbles, over quotes too."""
    file.seek(0)
    for _ in range(begins):
        file.readline()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no rows; in older NumPys, an integer read by way of a float
            matrix = np.loadtxt(file, kind, comments=None, delimiter=delimiter, ndmin=2)
    except (ValueError, OverflowError, UserWarning, DeprecationWarning):
        return None
    if matrix.shape[1] != width or not np.isfinite(matrix).all():
        return None
    return matrix


def _careful(
    path: Any,
    file: TextIO,
    begins: int,
    header: tuple[str, ...],
    delimiter: str,
    kind: np.dtype,
    text: tuple[str, ...],
    missing: tuple[str, ...],
) -> Table:
    """The rows one by one, with the line of what is wrong."""
    of_text = [i for i, name in enumerate(header) if name in text]
    of_numbers = [i for i, name in enumerate(header) if name not in text]
    texts: list[list[str]] = []
    numbers: list[np.ndarray] = []
    for line, cells in _rows(path, file, delimiter):
        if line <= begins:
            continue
        if len(cells) != len(header):
            raise _wrong_width(path, line, cells, header, delimiter)
        if text:
            texts.append([cells[i] for i in of_text])
            if "\0" in "".join(texts[-1]):  # NumPy's strings would lose it at their end
                raise FileFormatError(f"{path}, line {line}: a NUL character\n  expected: text")
        row = _numbers([cells[i] for i in of_numbers], kind, missing)
        if row is None:
            raise _not_a_number(path, line, [(header[i], cells[i]) for i in of_numbers], kind, missing)
        numbers.append(row)
    if not numbers:
        raise FileFormatError(f"{path} has a header and no rows\n  got:      {', '.join(header[:10])}")
    matrix = np.stack(numbers)
    columns = {i: matrix[:, place] for place, i in enumerate(of_numbers)}
    columns |= {i: np.array([row[place] for row in texts]) for place, i in enumerate(of_text)}
    return Table({name: columns[i] for i, name in enumerate(header)})


def _numbers(cells: list[str], kind: np.dtype, missing: tuple[str, ...]) -> np.ndarray | None:
    """The cells of one row as numbers, shape (n,); None where one is not what it should be."""
    absent = [cell.strip() in missing for cell in cells] if missing else []
    if missing:
        cells = ["nan" if lacks else cell for lacks, cell in zip(absent, cells)]
    everything = "".join(cells)
    if not everything.isascii() or "_" in everything:  # int() and float() would take digits of all scripts, and 1_000
        return None
    try:
        with np.errstate(over="ignore"):
            row = np.array(list(map(int if np.issubdtype(kind, np.integer) else float, cells)), kind)
    except (ValueError, OverflowError):
        return None
    return row if (np.isfinite(row) | (absent or False)).all() else None


def _rows(path: Any, file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not empty, with the number of the line on which they end."""
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise FileFormatError(f"{path}, line {reader.line_num}: not a line of a CSV file: {error}") from error


def _wrong_width(path: Any, line: int, cells: list[str], header: tuple[str, ...], delimiter: str) -> FileFormatError:
    hint = ""
    if len(header) == 1:
        others = [mark for mark in ",;\t" if mark != delimiter and mark in header[0]]
        hint = f"\nIf {others[0]!r} stands between the cells: delimiter={others[0]!r}" if others else ""
    return FileFormatError(
        f"{path}, line {line}: the wrong number of cells\n  got:      {len(cells)}\n"
        f"  expected: {len(header)}, as in the header{hint}"
    )


def _not_a_number(
    path: Any, line: int, cells: list[tuple[str, str]], kind: np.dtype, missing: tuple[str, ...]
) -> FileFormatError:
    """What is wrong with the first of some (name, cell) that is no number."""
    whole = np.issubdtype(kind, np.integer)
    wrong = ((name, cell) for name, cell in cells if _numbers([cell], kind, missing) is None)
    name, cell = next(wrong)
    where, shown = f"{path}, line {line}, column {name!r}", cell.strip()[:_SHOWN]
    if (_INTEGER if whole else _NUMBER).fullmatch(cell):
        return FileFormatError(f"{where}: out of range\n  got:      {shown}\n  expected: what {kind} holds")
    what = "an empty cell" if not shown else "not an integer" if whole else "not a number"
    return FileFormatError(
        f"{where}: {what}\n  got:      {cell[:_SHOWN]!r}\n"
        f"If such cells are missing values: missing=({shown!r},). If the column is text: text=({name!r},)"
    )
