"""Safetensors: named arrays in one file, with nothing in it that could run.

The format, by Hugging Face (github.com/huggingface/safetensors): eight bytes, the length n of the header as a
little-endian uint64; n bytes of JSON, ``{name: {"dtype", "shape", "data_offsets": [begin, end]}}`` with offsets from
the end of the header, and optionally ``"__metadata__"``, a map from strings to strings; then the arrays, little-endian
and in C order, which fill the rest of the file without a hole.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from zkynet import backends
from zkynet.backends.errors import CheckpointError, FileFormatError, NotDifferentiableError
from zkynet.framework.computation_graph import Tensor
from zkynet.framework.function import Possession
from zkynet.io.atomic import atomic_write

METADATA = "__metadata__"
MOST_HEADER = 100_000_000  # bytes, as in the reference implementation
MOST_AXES = 64  # NumPy's limit
SPARE = 64 << 20  # bytes of memory that reading a file may take beyond the file's size

# The dtype by its name in the file, little-endian.
DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "C64": "<c8",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
# Dtypes that NumPy has of the package ml_dtypes, and those in which their bits are stored.
BIT_DTYPES = {
    "BF16": ("bfloat16", "<u2"),
    "F8_E4M3": ("float8_e4m3fn", "|u1"),
    "F8_E5M2": ("float8_e5m2", "|u1"),
    "F8_E8M0": ("float8_e8m0fnu", "|u1"),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", "|u1"),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", "|u1"),
}
_NAMES = {np.dtype(dtype).name: name for name, dtype in DTYPES.items()} | {d: n for n, (d, _) in BIT_DTYPES.items()}

# How messages show what stands in a file: never the whole of something large.
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxstring = 2, MOST_AXES, 200
_shown = _REPR.repr


class Entry(NamedTuple):
    """One array of a file, as the header describes it: offsets in bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


# ---- writing ----


def save_safetensors(
    path: str | os.PathLike, arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Write ``arrays`` by name, and ``metadata``, strings by string, to the file ``path``, whole or not at all.

    Arrays of any backend, Tensors, Parameters and other possessions; Python numbers and lists as NumPy makes arrays of
    them. Dtypes: bool, integers, float16, float32, float64, complex64, and bfloat16 and the float8 of ml_dtypes. Memory
    order and byte order do not matter. TypeError for what is no array or has another dtype; FileFormatError, a
    ValueError, for a name that the format reserves or cannot hold.
    """
    with atomic_write(path) as file:
        for piece in safetensors_pieces(arrays, metadata):
            file.write(piece)


def safetensors_pieces(arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Iterator[Any]:
    """What ``save_safetensors`` writes, piece by piece: bytes and views of bytes. All is checked before the first."""
    checked = {_checked_name(name): _stored(name, array) for name, array in arrays.items()}
    # Wide items first, so that every array begins at a multiple of its item size.
    order = sorted(checked, key=lambda name: (-_item_size(checked[name][0]), name))
    header: dict[str, Any] = {} if not metadata else {METADATA: _checked_metadata(metadata)}
    offset = 0
    for name in order:
        dtype, array = checked[name]
        end = offset + array.nbytes
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER:
        raise FileFormatError(f"safetensors: the header would have {len(text)} bytes, the format allows {MOST_HEADER}")
    yield struct.pack("<Q", len(text)) + text
    for name in order:
        yield checked[name][1].reshape(-1).view(np.uint8).data


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"safetensors: the name of an array is a str.\n  got:      {name!r}")
    if name == METADATA:
        raise FileFormatError(f"safetensors: no array can be called {METADATA}: the format keeps its metadata there")
    return _encodable(name)


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FileFormatError(f"{_shown(text)} is no text that UTF-8 can hold") from None
    return text


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(
                f"safetensors: metadata are strings by string.\n  got:      {key!r}: {value!r}\n"
                "Write the value as JSON, with json.dumps."
            )
        _encodable(key + value)
    return dict(metadata)


def _stored(name: str, x: Any) -> tuple[str, np.ndarray]:
    """The dtype's name in the file, and ``x`` as a NumPy array in C order whose memory is what the file holds."""
    array = host_array(name, x)
    dtype = _NAMES.get(array.dtype.name)
    if dtype is None:
        raise TypeError(
            f"safetensors: {name!r} has a dtype that the format cannot hold.\n  got:      {array.dtype}\n"
            f"  expected: one of {', '.join(sorted(_NAMES))}\n" + _way_out(array.dtype)
        )
    if dtype in BIT_DTYPES:
        bits = BIT_DTYPES[dtype][1]
        return dtype, np.asarray(np.asarray(array, order="C").view(bits[1:]), dtype=bits)
    return dtype, np.asarray(array, dtype=DTYPES[dtype], order="C")


def _way_out(dtype: np.dtype) -> str:
    if dtype.kind == "c":
        return "Convert it to complex64, or save its real and imaginary parts as two arrays."
    return "Convert it, or leave it out."


def host_array(name: str, x: Any) -> np.ndarray:
    """``x``, an array of any backend or what holds one, as a NumPy array: an explicit exit, gradients end here."""
    if isinstance(x, (Tensor, Possession)):
        x = x.value
    home = backends.backend_of(x)
    if home is not None and not home.is_host:
        return home.to_numpy(x)
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, NotDifferentiableError) as error:
        raise TypeError(f"safetensors: {name!r} is no array.\n  got:      {type(x).__name__}") from error
    return array


# ---- reading ----


def load_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the arrays in the file ``path`` by name: NumPy arrays in this machine's byte order, the caller's own.

    The whole header is checked before an array is read. CheckpointError, a FileFormatError and ValueError, names what
    is wrong with it; ImportError where a dtype needs the package ml_dtypes; OSError where the file cannot be read. No
    more memory is taken than the file has bytes, and 64 MiB: a header that would need more is refused.
    """
    with open(path, "rb") as file:
        return read_safetensors(path, file)


def read_safetensors(path: Any, file: BinaryIO) -> dict[str, np.ndarray]:
    """``load_safetensors`` of an open file that stands at its first byte; ``path`` is what messages call it."""
    _, entries = _read_header(path, file)
    for entry in entries:
        _numpy_dtype(entry.dtype)
    return {entry.name: _read_array(path, file, entry) for entry in entries}


def load_metadata(path: str | os.PathLike) -> dict[str, str]:
    """Return the metadata of the safetensors file ``path``, strings by string; the header is checked as for reading."""
    with open(path, "rb") as file:
        return _read_header(path, file)[0]


def _read_array(path: Any, file: BinaryIO, entry: Entry) -> np.ndarray:
    data = np.empty(entry.end - entry.begin, np.uint8)
    if file.readinto(data.data) != data.size:  # type: ignore[attr-defined]
        raise CheckpointError(f"{os.fspath(path)}: the file became shorter while it was read")
    stored = BIT_DTYPES[entry.dtype][1] if entry.dtype in BIT_DTYPES else DTYPES[entry.dtype]
    if entry.dtype == "BOOL" and data.max(initial=0) > 1:
        raise CheckpointError(
            f"{os.fspath(path)} is no safetensors file: {_shown(entry.name)} holds a boolean that is neither 0 nor 1"
        )
    array = data.view(stored)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array.view(_numpy_dtype(entry.dtype)).reshape(entry.shape)


def _numpy_dtype(name: str) -> np.dtype:
    """The dtype called ``name`` in a file, in this machine's byte order."""
    if name in DTYPES:
        return np.dtype(DTYPES[name]).newbyteorder("=")
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(
            f"an array of dtype {name} needs ml_dtypes.\n  to install it: pip install ml_dtypes"
        ) from error
    scalar = getattr(ml_dtypes, BIT_DTYPES[name][0], None)
    if scalar is None:
        raise ImportError(f"an array of dtype {name} needs a newer ml_dtypes.\n  installed: {ml_dtypes.__version__}")
    return np.dtype(scalar)


def _read_header(path: Any, file: BinaryIO) -> tuple[dict[str, str], list[Entry]]:
    """Metadata and entries in the order of the file, everything checked; the file stands at the first array then."""
    try:
        size = os.fstat(file.fileno()).st_size
        first = file.read(8)
        if len(first) < 8:
            raise CheckpointError(f"the file has {len(first)} bytes, too few for a header")
        (length,) = struct.unpack("<Q", first)
        if length > MOST_HEADER:
            raise CheckpointError(f"the header claims {length} bytes, the format allows {MOST_HEADER}")
        if 8 + length > size:
            raise CheckpointError(f"the header claims {length} bytes, the file has {size}: it is cut off")
        text = file.read(length)
        _check_cost(text, size)
        header = _parsed(text)
        metadata = _metadata_of(header)
        entries = [_entry(name, item) for name, item in header.items()]
        entries.sort(key=lambda entry: (entry.begin, entry.end))
        _check_cover(entries, size - 8 - length)
    except FileFormatError as error:
        raise CheckpointError(f"{os.fspath(path)} is no safetensors file: {error}") from error.__cause__
    return metadata, entries


def _check_cost(text: bytes, size: int) -> None:
    """Whether Python's objects for the header of a file of ``size`` bytes fit into the memory that they may take.

    Bytes of memory per character of JSON, measured: lists within lists take 32 times their text, for one.
    """
    count = text.count
    copies = 3 if text.isascii() else 7
    parts = 80 * count(b"[") + 200 * count(b"{") + 32 * count(b",") + 120 * count(b":") + 34 * count(b'"')
    cost = copies * len(text) + parts
    if cost > size + SPARE:
        raise CheckpointError(f"the header of {len(text)} bytes would take up to {cost} bytes of memory to read")


def _parsed(text: bytes) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise CheckpointError("the header does not begin with a brace")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except CheckpointError:
        raise
    except UnicodeDecodeError as error:
        raise CheckpointError(f"the header is not UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:  # no JSON, a number of thousands of digits, endless nesting
        raise CheckpointError(f"the header is not JSON: {error}") from error
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise CheckpointError(f"the header has {_shown(twice)} twice")
    return found


def _metadata_of(header: dict[str, Any]) -> dict[str, str]:
    """Take the metadata out of the header."""
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{METADATA} is not a map from strings to strings")
    for key, value in metadata.items():
        _encodable(key + value)
    return metadata


def _entry(name: str, item: Any) -> Entry:
    _encodable(name)  # JSON can spell half of a surrogate pair, which is no text
    if not isinstance(item, dict) or item.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{_shown(name)} is not described by dtype, shape and data_offsets alone")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or (dtype not in DTYPES and dtype not in BIT_DTYPES):
        raise CheckpointError(
            f"{_shown(name)} has the unknown dtype {_shown(dtype)}; known: {', '.join([*DTYPES, *BIT_DTYPES])}"
        )
    if not _are_counts(shape) or len(shape) > MOST_AXES:
        raise CheckpointError(f"{_shown(name)} has no shape of at most {MOST_AXES} sizes from 0, but {_shown(shape)}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{_shown(name)} has no two offsets from 0, but {_shown(offsets)}")
    begin, end = offsets
    if math.prod(n for n in shape if n) * _item_size(dtype) >= 1 << 63:  # NumPy counts this way, with a size 0 too
        raise CheckpointError(f"{_shown(name)} of shape {_shown(shape)} is larger than any memory")
    expected = math.prod(shape) * _item_size(dtype)
    if end - begin != expected:
        raise CheckpointError(
            f"{_shown(name)}, {dtype} of shape {_shown(shape)}, takes {expected} bytes, not {begin} to {end}"
        )
    return Entry(name, dtype, tuple(shape), begin, end)


def _item_size(dtype: str) -> int:
    return np.dtype(BIT_DTYPES[dtype][1] if dtype in BIT_DTYPES else DTYPES[dtype]).itemsize


def _are_counts(x: Any) -> bool:
    return isinstance(x, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in x)


def _check_cover(entries: list[Entry], size: int) -> None:
    """Whether the arrays, in the order of their offsets, follow each other from the first byte to the last."""
    reached = 0
    for entry in entries:
        if entry.begin != reached:
            fault = "overlaps the array before it" if entry.begin < reached else "leaves a hole before it"
            raise CheckpointError(f"{_shown(entry.name)} begins at byte {entry.begin}, not at {reached}: it {fault}")
        reached = entry.end
    if reached != size:
        fault = "it is cut off" if reached > size else "there is more in it than arrays"
        raise CheckpointError(f"the arrays take {reached} bytes, the file has {size} behind its header: {fault}")
