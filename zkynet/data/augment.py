"""Images changed at random: shifted, flipped, cropped, rotated.

Images have shape (n, height, width) or (n, channels, height, width), any number of axes between, and a floating or
integer dtype, which the results keep. Each class decides at random and calls the function of the same name, which does
what it is told. What is drawn, from an explicit generator, is the same on every platform.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet.data.order import as_seed, generator_of

if TYPE_CHECKING:
    Random = np.random.Generator | int  # not at run time: numpy.random is loaded when something is drawn


class Augment:
    """Changes to images one after the other, as a ``transform`` of ``Batches``: ``Augment(Shift(2), Rotate(10))``.

    Each step is called with (images, generator). ``array``: which array of the batch holds the images; the others stay
    as they are.
    """

    def __init__(self, *steps: Callable[[np.ndarray, np.random.Generator], np.ndarray], array: int = 0) -> None:
        self.steps, self.array = steps, array

    def __call__(self, batch: Sequence[np.ndarray], generator: Random) -> tuple[np.ndarray, ...]:
        arrays, generator = list(batch), _generator(generator)
        for step in self.steps:
            arrays[self.array] = step(arrays[self.array], generator)
        return tuple(arrays)


class Shift:
    """Move each image by a whole number of pixels, uniform from -``pixels`` to ``pixels`` along each axis.

    What comes in from outside is ``fill``.
    """

    def __init__(self, pixels: int, fill: float = 0) -> None:
        self.pixels, self.fill = _size("Shift: pixels", pixels, 0), fill

    def __call__(self, images: Any, generator: Random) -> np.ndarray:
        count, generator = len(_images("Shift", images)), _generator(generator)
        down, right = (_integers(generator, count, 2 * self.pixels + 1) - self.pixels for _ in range(2))
        return shift(images, down, right, self.fill)


class Flip:
    """Mirror each image with ``probability``, left to right (``axis`` -1) or top to bottom (-2)."""

    def __init__(self, probability: float = 0.5, axis: int = -1) -> None:
        if not 0 <= probability <= 1 or axis not in (-1, -2):
            raise ValueError(
                f"Flip: arguments out of range.\n  got:      probability {probability!r}, axis {axis!r}\n"
                f"  expected: a probability from 0 to 1, and axis -1 (left to right) or -2 (top to bottom)"
            )
        self.probability, self.axis = probability, axis

    def __call__(self, images: Any, generator: Random) -> np.ndarray:
        count = len(_images("Flip", images))
        return flip(images, _generator(generator).random(count) < self.probability, self.axis)


class Crop:
    """Cut ``height`` x ``width`` pixels out of each image, at a place uniform among all; a square if ``width`` is None.

    First ``padding`` pixels of ``fill`` are put around it, so that Crop(32, padding=4) of 32 x 32 images shifts them.
    """

    def __init__(self, height: int, width: int | None = None, padding: int = 0, fill: float = 0) -> None:
        self.height = _size("Crop: height", height, 1)
        self.width = self.height if width is None else _size("Crop: width", width, 1)
        self.padding, self.fill = _size("Crop: padding", padding, 0), fill

    def __call__(self, images: Any, generator: Random) -> np.ndarray:
        images, generator = _images("Crop", images), _generator(generator)
        rows, columns = (
            length + 2 * self.padding - wanted + 1
            for length, wanted in zip(images.shape[-2:], (self.height, self.width))
        )
        # Where the image is too small, crop says so.
        top, left = (_integers(generator, len(images), max(places, 1)) for places in (rows, columns))
        return crop(_padded(images, self.padding, self.fill), top, left, self.height, self.width)


class Rotate:
    """Turn each image about its centre, by an angle uniform from -``degrees`` to ``degrees``; see ``rotate``."""

    def __init__(self, degrees: float, fill: float = 0) -> None:
        if not 0 <= degrees < np.inf:
            raise ValueError(f"Rotate: degrees out of range.\n  got:      {degrees!r}\n  expected: a number >= 0")
        self.degrees, self.fill = degrees, fill

    def __call__(self, images: Any, generator: Random) -> np.ndarray:
        count = len(_images("Rotate", images))
        return rotate(images, (2 * _generator(generator).random(count) - 1) * self.degrees, self.fill)


def shift(images: Any, down: Any, right: Any, fill: float = 0) -> np.ndarray:
    """Return the images moved by whole numbers of pixels: ``down`` and ``right``, ints or one int per image."""
    images = _images("shift", images)
    down, right = (_per_image("shift", pixels, len(images)) for pixels in (down, right))
    height, width = images.shape[-2:]
    # Beyond its own size an image is gone: no more padding than that.
    down, right = np.clip(down, -height, height), np.clip(right, -width, width)
    margin = int(max(np.abs(down).max(initial=0), np.abs(right).max(initial=0)))
    return crop(_padded(images, margin, fill), margin - down, margin - right, height, width)


def flip(images: Any, chosen: Any = True, axis: int = -1) -> np.ndarray:
    """Return the images, those ``chosen`` (a bool, or one per image) mirrored.

    ``axis``: -1 exchanges left and right, -2 top and bottom.
    """
    result = _images("flip", images).copy()
    mask = np.broadcast_to(np.asarray(chosen, dtype=bool), len(result))
    result[mask] = np.flip(result[mask], axis)
    return result


def crop(images: Any, top: Any, left: Any, height: int, width: int) -> np.ndarray:
    """Return ``height`` x ``width`` pixels of each image, from row ``top`` and column ``left``: ints, or one per image.

    ValueError where that reaches beyond an image.
    """
    images = _images("crop", images)
    top, left = (_per_image("crop", place, len(images)) for place in (top, left))
    places = [length - wanted for length, wanted in zip(images.shape[-2:], (height, width))]
    if any(((first < 0) | (first > last)).any() for first, last in zip((top, left), places)):
        raise ValueError(
            f"crop: that reaches beyond the images.\n"
            f"  got:      {height} x {width} pixels from rows {np.unique(top)[:5]} and columns {np.unique(left)[:5]}\n"
            f"  expected: inside of {images.shape[-2]} x {images.shape[-1]} pixels"
        )
    stack = images.reshape(len(images), -1, *images.shape[-2:])
    windows = np.lib.stride_tricks.sliding_window_view(stack, (height, width), axis=(2, 3))
    return windows[np.arange(len(images)), :, top, left].reshape(*images.shape[:-2], height, width)


def rotate(images: Any, degrees: Any, fill: float = 0) -> np.ndarray:
    """Return the images turned counter-clockwise about their centres, by ``degrees``: a number, or one per image.

    Pixels are interpolated between four neighbours (bilinear), in float64, and rounded for integer dtypes; what comes
    in from outside is ``fill``. Multiples of 90 degrees are exact for square images.
    """
    images = _images("rotate", images)
    height, width = images.shape[-2:]
    angles = np.deg2rad(np.broadcast_to(np.asarray(degrees, dtype=np.float64), len(images)))
    if not np.isfinite(angles).all():
        raise ValueError("rotate: an angle is not finite")
    cos, sin = (np.where(np.abs(x) < 1e-15, 0, x)[:, None, None] for x in (np.cos(angles), np.sin(angles)))
    y, x = np.arange(height)[:, None] - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    # Where each pixel of the result comes from, in an image with a border of one pixel of fill; rows count downwards.
    row = np.clip(x * sin + y * cos + (height - 1) / 2, -1, height) + 1
    column = np.clip(x * cos - y * sin + (width - 1) / 2, -1, width) + 1
    upper, before = (
        np.minimum(np.floor(at), length).astype(np.int64) for at, length in ((row, height), (column, width))
    )
    row, column = (row - upper)[:, None], (column - before)[:, None]
    flat = _padded(images, 1, fill).reshape(len(images), -1, (height + 2) * (width + 2))
    stack = _neighbours(flat, upper * (width + 2) + before, width + 2)
    result = (1 - row) * ((1 - column) * stack[0] + column * stack[1])
    result += row * ((1 - column) * stack[2] + column * stack[3])
    if np.issubdtype(images.dtype, np.integer):
        result = np.rint(result)
    return result.astype(images.dtype).reshape(images.shape)


def _neighbours(flat: np.ndarray, corner: np.ndarray, stride: int) -> list[np.ndarray]:
    """The four pixels at ``corner``, right of it, below it, and both: (n, channels, height, width) each."""
    shape = (*flat.shape[:2], *corner.shape[1:])
    found = (corner.reshape(len(flat), 1, -1) + offset for offset in (0, 1, stride, stride + 1))
    return [np.take_along_axis(flat, at, axis=2).reshape(shape) for at in found]


def _padded(images: np.ndarray, margin: int, fill: float) -> np.ndarray:
    wanted = np.asarray(fill, dtype=np.float64)
    with np.errstate(all="ignore"):
        kept = wanted.astype(images.dtype)
    if wanted.ndim or not np.isfinite(kept) or (kept != wanted and np.issubdtype(images.dtype, np.integer)):
        raise ValueError(
            f"fill cannot be a pixel.\n  got:      {fill!r}\n  expected: one number that {images.dtype} holds"
        )
    return np.pad(images, [(0, 0)] * (images.ndim - 2) + [(margin, margin)] * 2, constant_values=kept)


def _images(name: str, images: Any) -> np.ndarray:
    array = np.asarray(images)
    number = np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
    if array.ndim < 3 or not number or 0 in array.shape:
        raise ValueError(
            f"{name}: these are no images.\n  got:      {array.dtype}, shape {array.shape}\n"
            f"  expected: floating or integer, (n, height, width) or (n, channels, height, width)"
        )
    if array.ndim == 4 and array.shape[3] in (1, 3, 4) and array.shape[1] not in (1, 3, 4):
        raise ValueError(
            f"{name}: these look like images with their channels last.\n  got:      shape {array.shape}\n"
            f"  expected: (n, channels, height, width), as numpy.moveaxis(images, -1, 1) makes them"
        )
    return array


def _per_image(name: str, values: Any, count: int) -> np.ndarray:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer) or array.shape not in ((), (count,)):
        raise TypeError(
            f"{name}: these are no numbers of pixels.\n  got:      {array.dtype}, shape {array.shape}\n"
            f"  expected: an int, or integers of shape ({count},), one per image"
        )
    return np.broadcast_to(array.astype(np.int64), (count,))


def _integers(generator: np.random.Generator, count: int, values: int) -> np.ndarray:
    # Of random(), whose numbers stay the same from one version of NumPy to the next; integers() promises less.
    return np.floor(generator.random(count) * values).astype(np.int64)


def _generator(generator: Any) -> np.random.Generator:
    if isinstance(generator, np.random.Generator):
        return generator
    try:
        return generator_of(as_seed(generator))
    except TypeError:
        raise TypeError(
            f"this is no source of random numbers.\n  got:      {type(generator).__name__}\n"
            f"  expected: a numpy.random.Generator, or an int seed"
        ) from None


def _size(what: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is not an integer.\n  got:      {value!r}\n  expected: int >= {least}") from None
    if number < least:
        raise ValueError(f"{what} is too small.\n  got:      {number}\n  expected: int >= {least}")
    return number
