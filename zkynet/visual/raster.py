"""Pictures made of pixels: PNG files, animated ones too, and sheets of many small pictures. NumPy and zlib alone.

Pixels are an array (height, width), gray, or (height, width, 3), red, green and blue: uint8 from 0, black, to 255, or
floating-point numbers from 0, black, to 1; what lies outside of [0, 1] is cut off.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, COLOUR = 0, 2  # PNG's colour types


def levels(pixels: Any) -> np.ndarray:
    """Return pixels as uint8, rounded; TypeError for another dtype, ValueError for another shape and for NaN."""
    array = np.asarray(pixels)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        raise ValueError(
            f"this is no picture.\n  got:      an array of shape {array.shape}\n"
            "  expected: (height, width), or (height, width, 3) for red, green and blue, at least one pixel"
        )
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"pixels are uint8, 0 to 255, or floating-point numbers, 0 to 1.\n  got:      {array.dtype.name}"
        )
    if np.isnan(array).any():
        raise ValueError(f"a picture holds NaN.\n  got:      {int(np.isnan(array).sum())} of {array.size} numbers")
    return np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)


def png(pixels: Any) -> bytes:
    """Return the PNG file of ``pixels``."""
    array = levels(pixels)
    return SIGNATURE + _header(array) + _chunk(b"IDAT", _packed(array)) + _chunk(b"IEND", b"")


def animated_png(frames: Sequence[Any], seconds: float = 0.3, last: float = 2.0) -> bytes:
    """Return one PNG file that shows ``frames``, all of one shape, for ``seconds`` each, and begins again.

    The last frame stays for ``last`` seconds. Browsers play the file; what knows no animation shows the first frame.
    ValueError where there is no frame, or shapes differ.
    """
    arrays = [levels(frame) for frame in frames]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) != 1:
        raise ValueError(f"an animation is made of pictures of one shape.\n  got:      {shapes or 'no picture'}")
    pieces, number = [SIGNATURE, _header(arrays[0]), _chunk(b"acTL", struct.pack(">II", len(arrays), 0))], 0
    for i, array in enumerate(arrays):
        time = round(1000 * (last if i == len(arrays) - 1 else seconds))
        control = struct.pack(">IIIIIHHBB", number, array.shape[1], array.shape[0], 0, 0, time, 1000, 0, 0)
        pieces.append(_chunk(b"fcTL", control))
        number += 1
        if i == 0:
            pieces.append(_chunk(b"IDAT", _packed(array)))
        else:
            pieces.append(_chunk(b"fdAT", struct.pack(">I", number) + _packed(array)))
            number += 1
    return b"".join([*pieces, _chunk(b"IEND", b"")])


def sheet(pictures: Any, columns: int, *, scale: int = 1, gap: int = 1, background: float = 1.0) -> np.ndarray:
    """Return many pictures of one shape as one, row by row, ``columns`` in a row: uint8 pixels.

    Each pixel becomes ``scale`` x ``scale`` of them; between the pictures and around them ``gap`` pixels (of the
    result) have the brightness ``background``, and so do places that no picture fills. ValueError for no picture,
    differing shapes, ``columns`` or ``scale`` below 1 or ``gap`` below 0.
    """
    arrays = [np.repeat(np.repeat(levels(each), scale, axis=0), scale, axis=1) for each in pictures]
    if not arrays or len({array.shape for array in arrays}) != 1 or min(columns, scale, gap + 1) < 1:
        raise ValueError(
            "a sheet cannot be made of this.\n"
            f"  got:      pictures of shapes {sorted({array.shape for array in arrays})}, columns {columns}, "
            f"scale {scale}, gap {gap}\n"
            "  expected: at least one picture, all of one shape; columns and scale of at least 1, gap of at least 0"
        )
    height, width = arrays[0].shape[0] + gap, arrays[0].shape[1] + gap
    rows = -(-len(arrays) // columns)
    shape = (rows * height + gap, columns * width + gap, *arrays[0].shape[2:])
    whole = np.full(shape, round(255 * background), np.uint8)
    for i, array in enumerate(arrays):
        top, left = i // columns * height + gap, i % columns * width + gap
        whole[top : top + array.shape[0], left : left + array.shape[1]] = array
    return whole


def _header(array: np.ndarray) -> bytes:
    kind = GRAY if array.ndim == 2 else COLOUR
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 8, kind, 0, 0, 0))


def _packed(array: np.ndarray) -> bytes:
    """The rows, each as its difference from the one above (PNG's filter 2, modulo 256), which packs better."""
    rows = array.reshape(len(array), -1)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    return zlib.compress(np.insert(rows - above, 0, 2, axis=1).tobytes(), 9)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
