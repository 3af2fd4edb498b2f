"""Checkpoints: all that a run needs to go on, in two files that are either whole or not there.

``step-00000120.safetensors`` holds the arrays. ``step-00000120.json`` holds the rest and is written last: that it is
there is the commit. It is one JSON object:

- ``format``, the version of this layout, and ``step``;
- ``arrays``: the ``file`` beside it, its ``size`` in bytes, and the ``sha256`` of its bytes;
- ``state``, the caller's tree, in which numbers that JSON lacks or that readers of JSON round are written as
  ``{"$float": "nan"}`` (also "inf", "-inf") and ``{"$int": "0x20000000000001"}`` (integers beyond 2**53). A map of one
  item whose key is such a mark stands inside of ``{"$map": ...}``;
- ``sha256``, at the very end: of the bytes of the file before it.

A checkpoint counts only where all of that fits. Nothing in it can run.
"""

from __future__ import annotations

import json
import math
import operator
import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from zkynet.backends.errors import CheckpointError
from zkynet.io.atomic import atomic_write, sync_folder
from zkynet.io.safetensors import read_safetensors, safetensors_pieces

FORMAT = 1
# Patterns as text: compiling them would take 2 ms of every start, and re remembers them.
_RECORD = r"step-(\d{8,15})\.json"
_ARRAYS = r"step-(\d{8,15})(?:\.\d{1,9})?\.safetensors"
_PART = r"\.step-\d{8,15}(?:\.\d{1,9})?\.(?:json|safetensors)\.[0-9a-f]{12}\.part"
_MOST_STEPS = 10**15
_BLOCK = 1 << 20  # bytes that are read at once
_EXACT = 1 << 53  # integers beyond are rounded by readers of JSON that know doubles alone
_MOST_DEPTH = 100  # of the tree; Python reads JSON of about 1000 levels
_MARKS = ("$float", "$int", "$map")
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_Place = tuple[()] | tuple[Any, str | int]  # the keys that lead to a node, the innermost last


class _Contents(NamedTuple):
    """What the JSON file of a checkpoint says."""

    file: str
    size: int
    sha256: str
    state: Any


# ---- writing ----


def save_checkpoint(
    folder: str | os.PathLike, arrays: Mapping[str, Any], state: Any, *, step: int, keep: int = 3
) -> Path:
    """Write a checkpoint of ``step`` into ``folder``, made where it is missing; return the path of its JSON file.

    ``arrays`` by name, as ``save_safetensors`` takes them. ``state``: a tree of JSON values, that is dicts by string,
    lists, str, int, float, bool and None; floats may be NaN or infinite, integers of any size, and a float64 of NumPy
    comes back as the float that it is. When this returns, the checkpoint is on disk. Of those before it the last
    ``keep - 1`` stay. Checkpoints of later steps are removed: the run has gone back behind them. So is what a killed
    save left over; one run at a time writes into a folder.

    TypeError for what is no array or no JSON value, naming where it stands; ValueError for a ``step`` below 0 or
    ``keep`` below 1; OSError where the folder cannot be written to or the disk is full. After an error the older
    checkpoints are there, and nothing of the new one.
    """
    step, keep = _whole("step", step, 0), _whole("keep", keep, 1)
    if step >= _MOST_STEPS:
        raise ValueError(f"save_checkpoint: step is too large.\n  got:      {step}\n  expected: below {_MOST_STEPS}")
    encoded = _encoded(state)
    folder = Path(folder)
    _make_folder(folder)
    record = folder / f"step-{step:08d}.json"
    data = _free_name(record)
    later = [path for path in list_checkpoints(folder) if _step(path) > step]
    try:
        size, digest = _write_arrays(data, arrays)
        contents = _sealed(
            {
                "format": FORMAT,
                "step": step,
                "arrays": {"file": data.name, "size": size, "sha256": digest},
                "state": encoded,
            }
        )
        with atomic_write(record) as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
            # Of a history that the run has left. After this nothing takes space any more, and only a rename is left.
            for path in reversed(later):
                path.unlink()
    except BaseException:
        with suppress(OSError):
            if not _names(record, data):  # else the interrupt came when all was done
                data.unlink()
        raise
    _tidy(folder, data, keep)
    return record


def _whole(name: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"save_checkpoint: {name} is not an integer.\n  got:      {value!r}") from None
    if number < least:
        raise ValueError(f"save_checkpoint: {name} is too small.\n  got:      {number}\n  expected: int >= {least}")
    return number


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)


def _free_name(record: Path) -> Path:
    """Where the arrays go. A step that is saved again gets a new name: its older checkpoint stays whole until then."""
    path, number = record.with_suffix(".safetensors"), 0
    while record.exists() and path.exists():
        number += 1
        path = record.with_suffix(f".{number}.safetensors")
    return path


def _names(record: Path, data: Path) -> bool:
    """Whether the JSON file ``record`` is there and is the one that belongs to the arrays in ``data``."""
    return record.exists() and data.name.encode("ascii") in record.read_bytes()


def _write_arrays(path: Path, arrays: Mapping[str, Any]) -> tuple[int, str]:
    """Write the safetensors file; return its size and checksum."""
    import hashlib  # takes 7 ms to load

    size, digest = 0, hashlib.sha256()
    with atomic_write(path) as file:
        for piece in safetensors_pieces(arrays):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def _sealed(record: Mapping[str, Any]) -> bytes:
    """The JSON of ``record``, with the checksum of all before it as its last item."""
    text = json.dumps(record, allow_nan=False, separators=(",", ":")).encode("ascii")
    return text[:-1] + _seal(text[:-1])


def _seal(text: bytes | memoryview) -> bytes:
    import hashlib

    return b',"sha256":"' + hashlib.sha256(text).hexdigest().encode("ascii") + b'"}\n'


def _tidy(folder: Path, newest: Path, keep: int) -> None:
    """Remove checkpoints beyond the last ``keep``, each one's JSON first, and what belongs to none."""
    with suppress(OSError):  # the checkpoint is written; what cannot be removed now can be with the next one
        for path in list_checkpoints(folder)[:-keep]:
            path.unlink()
        kept = {_step(path) for path in list_checkpoints(folder)}
        for name in os.listdir(folder):
            arrays = re.fullmatch(_ARRAYS, name)
            stale = arrays and name != newest.name and _left(int(arrays[1]), kept, newest)
            if stale or re.fullmatch(_PART, name):
                (folder / name).unlink()


def _left(step: int, kept: set[int], newest: Path) -> bool:
    """Whether a file of arrays belongs to no checkpoint: there is none of its step, or that one has a newer file."""
    return step not in kept or newest.name.startswith(f"step-{step:08d}.")


# ---- reading ----


def list_checkpoints(folder: str | os.PathLike) -> list[Path]:
    """The JSON files of the checkpoints in ``folder``, oldest step first; none where there is no such folder.

    Whether they are whole only ``load_checkpoint`` tells.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted((Path(folder, name) for name in names if re.fullmatch(_RECORD, name)), key=_step)


def load_checkpoint(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], Any]:
    """Return the arrays and the state of a checkpoint: the newest whole one of a folder, or that of a JSON file.

    In a folder, checkpoints that are damaged or cannot be read are passed over with a warning that names them and their
    damage. CheckpointError, a ValueError, where no whole one is left, there is none, or the file that was named is
    damaged; ImportError where a dtype needs the package ml_dtypes; OSError where the file or folder cannot be read.
    """
    if not os.path.isdir(path):
        return _load(Path(path))
    faults: list[str] = []
    for each in reversed(list_checkpoints(path)):
        try:
            loaded = _load(each)
        except (CheckpointError, OSError) as error:
            faults.append(str(error))
            continue
        for fault in faults:
            warnings.warn(f"passed over a damaged checkpoint for {each.name}: {fault}", stacklevel=2)
        return loaded
    if faults:
        raise CheckpointError(f"{os.fspath(path)} holds no checkpoint that is whole:\n  " + "\n  ".join(faults))
    raise CheckpointError(f"{os.fspath(path)} holds no checkpoint")


def _load(path: Path) -> tuple[dict[str, np.ndarray], Any]:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"{path}: there is no such checkpoint") from None
    if not re.fullmatch(_RECORD, path.name):
        raise CheckpointError(f"{path} is no checkpoint: those are folders, or files like step-00000120.json in them")
    contents = _checked(path, path.read_bytes())
    data = path.with_name(contents.file)
    try:
        with open(data, "rb") as file:
            _check_file(path, data, file, contents)
            file.seek(0)
            return read_safetensors(data, file), contents.state
    except FileNotFoundError:
        raise CheckpointError(f"{path} is damaged: its arrays are missing, {data.name}") from None


def _checked(path: Path, text: bytes) -> _Contents:
    """The contents of the JSON file, everything checked."""
    length = len(_seal(b""))
    if len(text) < length or text[-length:] != _seal(memoryview(text)[:-length]):
        raise CheckpointError(f"{path} is damaged: its checksum does not fit, or it is no checkpoint")
    try:
        record = json.loads(text.decode("ascii"), object_pairs_hook=_without_duplicates, parse_constant=_refused)
        if record["format"] != FORMAT:
            raise CheckpointError(f"{path} has another format than {FORMAT}, which this version reads")
        arrays = record["arrays"]
        contents = _Contents(arrays["file"], arrays["size"], arrays["sha256"], _decoded(record["state"]))
        named = re.fullmatch(_ARRAYS, contents.file)
        if named is None or int(named[1]) != _step(path) or record["step"] != _step(path):
            raise ValueError("it is of another step than its name says")
        if type(contents.size) is not int or type(contents.sha256) is not str:
            raise ValueError("it does not say what its arrays are")
    except CheckpointError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error!r}") from error
    return contents


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a map has the same key twice")
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _check_file(path: Path, data: Path, file: BinaryIO, contents: _Contents) -> None:
    """Whether the file of arrays is the one that was written with the checkpoint."""
    import hashlib

    size = os.fstat(file.fileno()).st_size
    if size != contents.size:
        raise CheckpointError(f"{path} is damaged: {data.name} has {size} bytes, not {contents.size}")
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    if digest.hexdigest() != contents.sha256:
        raise CheckpointError(f"{path} is damaged: the checksum of {data.name} does not fit")


def _step(path: Path) -> int:
    """The step in the name of a checkpoint."""
    found = re.fullmatch(_RECORD, path.name)
    assert found is not None
    return int(found[1])


# ---- the state tree ----


def _encoded(node: Any, where: _Place = (), depth: int = 0) -> Any:
    """The tree ``node`` as JSON can hold it without a loss; TypeError where that is impossible."""
    if node is None or isinstance(node, (bool, str)):
        return node
    if isinstance(node, int):
        return int(node) if -_EXACT <= node <= _EXACT else {"$int": hex(node)}
    if isinstance(node, float):
        return float(node) if math.isfinite(node) else {"$float": repr(float(node))}
    if depth == _MOST_DEPTH:
        raise TypeError(f"save_checkpoint: the state is nested deeper than {_MOST_DEPTH} levels, or contains itself")
    if isinstance(node, list):
        return [_encoded(item, (where, i), depth + 1) for i, item in enumerate(node)]
    if not isinstance(node, dict):
        raise TypeError(
            f"save_checkpoint: {_path(where)} is no JSON value.\n  got:      {type(node).__name__}\n"
            f"  expected: dict, list, str, int, float, bool or None\n{_way_out(node)}"
        )
    for key in node:
        if not isinstance(key, str):
            raise TypeError(f"save_checkpoint: a key of {_path(where)} is no string.\n  got:      {key!r}")
    found = {key: _encoded(item, (where, key), depth + 1) for key, item in node.items()}
    return {"$map": found} if len(found) == 1 and next(iter(found)) in _MARKS else found


def _path(where: _Place) -> str:
    keys = []
    while where:
        where, key = where
        keys.append(f"[{key!r}]")
    return "state" + "".join(reversed(keys))


def _way_out(leaf: Any) -> str:
    if isinstance(leaf, (tuple, set, frozenset)):
        return "Make it a list: that is what would come back."
    if isinstance(leaf, np.generic):
        return "Make it a Python number, with .item()."
    return "Arrays go into `arrays`, by name; of anything else give the numbers and strings that it is made of."


def _decoded(node: Any) -> Any:
    """The tree that ``_encoded`` was given."""
    if isinstance(node, list):
        return [_decoded(item) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((mark, inside),) = node.items()
        if mark == "$float":
            return _FLOATS[inside]
        if mark == "$int":
            return int(inside, 16)
        if mark == "$map":
            return {key: _decoded(item) for key, item in inside.items()}
    return {key: _decoded(item) for key, item in node.items()}
