"""MNIST and the other sets that come in its IDX format, plain or gzip."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zkynet.backends.errors import FileFormatError
from zkynet.data.digits import _floating

# The third byte of the magic number; all numbers are big-endian.
IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_PARTS = {"train": "train", "test": "t10k"}


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Return the array in an IDX file, of the shape and dtype that it says, in the machine's byte order.

    Whether it is compressed with gzip, its first bytes tell, not its name. FileFormatError where it is no IDX file, is
    cut short, or goes on behind its end; OSError where it cannot be read.
    """
    with open(path, "rb") as raw:
        compressed = raw.read(2) == _GZIP
        raw.seek(0)
        try:
            if not compressed:
                return _read(path, raw)
            with gzip.open(raw) as file:
                return _read(path, file)  # type: ignore[arg-type]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileFormatError(f"{path} is damaged: {error}\nFetch it again.") from error


def _read(path: Any, file: BinaryIO) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_DTYPES or magic[3] == 0:
        raise FileFormatError(
            f"{path} is no IDX file\n  got:      first bytes {magic.hex(' ') or 'none'}\n"
            f"  expected: 00 00, one of {', '.join(f'{code:02x}' for code in IDX_DTYPES)}, and the number of axes"
        )
    dtype, axes = np.dtype(IDX_DTYPES[magic[2]]), magic[3]
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise FileFormatError(f"{path} ends within its header\n  expected: the lengths of {axes} axes")
    shape = struct.unpack(f">{axes}I", lengths)
    wanted = math.prod(shape) * dtype.itemsize
    content = _up_to(file, wanted + 1)
    if len(content) != wanted:
        came = f"{len(content)} bytes" if len(content) < wanted else f"more than {wanted} bytes"
        raise FileFormatError(
            f"{path} is {'cut short' if len(content) < wanted else 'longer than it says'}\n"
            f"  got:      {came} behind the header\n  expected: {wanted}, for shape {shape} of {dtype.name}"
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _up_to(file: BinaryIO, count: int) -> bytes:
    # In pieces: a header that lies about its lengths must not make us ask for all that memory at once.
    pieces = []
    while count and (piece := file.read(min(count, 1 << 24))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def load_mnist(folder: str | os.PathLike, part: str = "train", dtype: Any = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Read MNIST, or Fashion-MNIST or another set in its form, from the four IDX files in ``folder``.

    Returns ``(images, labels)`` of ``part``, "train" or "test": ``images`` of dtype ``dtype`` and the shape that the
    file says, (n, 28, 28), 0.0 (paper) to 1.0 (ink); ``labels`` int64, 0 to 9. Both are read-only. The files are called
    ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, those to test on ``t10k-...``, with a dot for the dash
    before "idx" or not, and with or without ``.gz``. FileNotFoundError where a file is missing; FileFormatError where
    one is damaged or the two do not belong together.
    """
    floating = _floating(dtype)
    if part not in _PARTS:
        raise ValueError(f"load_mnist: there is no such part.\n  got:      {part!r}\n  expected: 'train' or 'test'")
    image_file = _find(Path(folder), f"{_PARTS[part]}-images", "idx3-ubyte")
    label_file = _find(Path(folder), f"{_PARTS[part]}-labels", "idx1-ubyte")
    pixels, classes = read_idx(image_file), read_idx(label_file)
    for path, array, ndim in ((image_file, pixels, 3), (label_file, classes, 1)):
        if array.ndim != ndim or array.dtype != np.uint8:
            raise FileFormatError(
                f"{path} is not from MNIST\n  got:      {array.dtype} of shape {array.shape}\n"
                f"  expected: uint8 with {ndim} {'axes' if ndim > 1 else 'axis'}"
            )
    if len(pixels) != len(classes) or not len(pixels):
        raise FileFormatError(
            f"{image_file} and {label_file} do not belong together\n"
            f"  got:      {len(pixels)} images, {len(classes)} labels\n  expected: as many, and at least one"
        )
    if classes.max() > 9:
        raise FileFormatError(
            f"{label_file} holds a label out of range\n  got:      {classes.max()}\n  expected: 0 to 9"
        )
    images, labels = pixels.astype(floating) / floating.type(255), classes.astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def _find(folder: Path, stem: str, ending: str) -> Path:
    names = [f"{stem}{mark}{ending}{packed}" for packed in ("", ".gz") for mark in ("-", ".")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has no file {names[0]}\n  expected: one of {', '.join(names)}")
