"""Pictures of single digits, brought into the form of the UCI set: found, scaled, counted into 8 x 8 blocks."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from zkynet.data.images import PictureError, opened_picture

LONGEST_SIDE = 2048  # larger pictures are averaged down to about this before anything is computed
BITMAP = 32  # the UCI set counts the dark points of the 4 x 4 blocks of a 32 x 32 bitmap
BLOCKS = 8
LEAST_CONTRAST = 0.06  # of the range from black to white: less is paper, not ink
EXTENT_CUT = 0.2  # what is fainter than this share of the contrast does not count for the extent of the digit
USUAL_INK = (0.24, 0.38)  # the dark share of the bitmaps in the set, 98 % of them; all pens were made equal there
WANTED_INK = 0.305


def read_picture(path: str | Path) -> np.ndarray:
    """Return the picture in the file ``path`` as brightness: float64 of shape (height, width), 0 black to 1 white.

    PNG, BMP, GIF or JPEG, gray, colour, palette, with transparency, 8 or 16 bits; very large ones are averaged down.
    What is transparent becomes white, or black where what is visible is light. ImportError without Pillow; PictureError
    for a file that is no picture, is damaged, or holds far too many pixels; OSError where it cannot be opened.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Image size")  # Pillow's, of a picture that is an error here
        with opened_picture(path) as image:
            return _brightness(image)


def _brightness(image: Any) -> np.ndarray:
    if image.mode.startswith("I"):  # 16 bits in one channel
        return np.clip(np.asarray(image, dtype=np.float64) / 65535, 0, 1)
    image = image.convert("RGB" if image.mode == "CMYK" else image.mode).convert("RGBA")
    image = image.reduce(max(1, max(image.size) // LONGEST_SIDE))
    pixels = np.asarray(image, dtype=np.float64) / 255
    gray, alpha = pixels[..., :3] @ (0.299, 0.587, 0.114), pixels[..., 3]
    visible = alpha.sum()
    light = visible > 0 and (gray * alpha).sum() / visible > 0.5
    paper = 0.0 if light and alpha.min() < 1 else 1.0
    return gray * alpha + paper * (1 - alpha)


def digit_of_picture(brightness: Any) -> np.ndarray:
    """Return the digit in a picture as the UCI set would hold it: float32 of shape (64,), 0.0 to 1.0.

    ``brightness`` has shape (height, width), in 0 to 1. The border tells the paper; ink is what differs from it, darker
    or lighter. The digit is cut out, scaled to the bitmap's full height of 32 points (or to its full width, where it is
    wider than high) with its aspect kept, and moved sideways so that its centre of mass is in the middle; where its
    strokes are much thinner or thicker than those of the set they are made as thick; then the blocks are counted.
    PictureError where there is no ink.
    """
    ink = _ink(np.asarray(brightness, dtype=np.float64))
    strong = ink >= EXTENT_CUT
    top, bottom = _extent(strong.any(axis=1))
    left, right = _extent(strong.any(axis=0))
    scale = BITMAP / max(bottom - top, right - left)
    slack = (BITMAP / scale - (right - left)) / 2  # how far the digit can move before the bitmap cuts it off
    middle, mass = (left + right) / 2, ink.sum(axis=0) @ (np.arange(ink.shape[1]) + 0.5) / ink.sum()
    rows = _resampler(ink.shape[0], (top + bottom) / 2, scale)
    columns = _resampler(ink.shape[1], np.clip(mass, middle - slack, middle + slack), scale)
    bitmap = _usual_strokes(rows @ ink @ columns.T)
    size = BITMAP // BLOCKS
    return bitmap.reshape(BLOCKS, size, BLOCKS, size).mean(axis=(1, 3)).reshape(-1).astype(np.float32)


def _ink(brightness: np.ndarray) -> np.ndarray:
    """How much of each pixel is ink, 0 to 1."""
    if brightness.ndim != 2 or not brightness.size:
        raise PictureError(f"a picture has pixels in rows; got an array of shape {brightness.shape}")
    border = (brightness[0], brightness[-1], brightness[1:-1, 0], brightness[1:-1, -1])
    difference = brightness - np.median(np.concatenate(border))
    lighter, darker = np.maximum(difference, 0), np.maximum(-difference, 0)
    ink = darker if darker.sum() >= lighter.sum() else lighter
    contrast = ink.max()
    if contrast < LEAST_CONTRAST:
        raise PictureError("there is no ink in the picture: it has one shade all over")
    return ink / contrast


def _extent(inked: Any) -> tuple[int, int]:
    """Where the ink begins and ends along one axis, in pixels."""
    places = np.flatnonzero(inked)
    return int(places[0]), int(places[-1]) + 1


def _resampler(length: int, middle: float, scale: float) -> np.ndarray:
    """The matrix (32, length) that averages pixels over the bitmap's points, ``scale`` of them a pixel."""
    edges = middle + (np.arange(BITMAP + 1) - BITMAP / 2) / scale
    before = np.clip(edges[:, None] - np.arange(length), 0, 1)  # how much of each pixel lies before each edge
    return np.diff(before, axis=0) * scale


def _usual_strokes(bitmap: np.ndarray) -> np.ndarray:
    """The bitmap with strokes as thick as in the set, where its own are not."""
    if USUAL_INK[0] <= bitmap.mean() <= USUAL_INK[1]:
        return bitmap
    blurred = _blurred(bitmap)
    threshold = np.quantile(blurred, 1 - WANTED_INK)
    return np.where(blurred > threshold, 1.0, 0.0)


def _blurred(bitmap: np.ndarray, deviation: float = 1.5) -> np.ndarray:
    points = np.arange(BITMAP)
    kernel = np.exp(-(((points[:, None] - points) / deviation) ** 2) / 2)
    return kernel @ bitmap @ kernel
