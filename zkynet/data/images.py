"""Images in files, and folders of them: one folder for each class."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zkynet.backends.errors import ZkynetError
from zkynet.data.datasets import Dataset
from zkynet.data.digits import _floating

FORMATS = ("PNG", "BMP", "GIF", "JPEG")  # those that Pillow decodes itself: no other program is run
SUFFIXES = (".png", ".bmp", ".gif", ".jpg", ".jpeg")


class PictureError(ZkynetError, ValueError):
    """A picture cannot be read, or is not what was asked for: there is no digit in it, or its size is another one."""


@contextlib.contextmanager
def opened_picture(path: str | os.PathLike) -> Iterator[Any]:
    """The picture in a file as an image of Pillow, turned as the camera says; all that is wrong is a PictureError.

    ImportError without Pillow, OSError where the file cannot be opened.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImportError("reading a picture needs Pillow.\n  to install it: pip install pillow") from error

    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=FORMATS) as image:
                if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                    raise Image.DecompressionBombError(f"it has {image.width} x {image.height} pixels")
                yield ImageOps.exif_transpose(image)
        except PictureError:
            raise
        except UnidentifiedImageError as error:
            raise PictureError(f"{path} is no picture: neither {', '.join(FORMATS[:-1])} nor {FORMATS[-1]}") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PictureError(f"{path} is too large a picture: {error}") from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's ways to say "damaged"
            raise PictureError(f"{path} is a damaged picture: {error}") from error


def read_image(
    path: str | os.PathLike, channels: int = 3, size: tuple[int, int] | None = None, dtype: Any = "float32"
) -> np.ndarray:
    """Return the image in the file ``path``: shape (channels, height, width), dtype ``dtype``, 0 black to 1 white.

    PNG, BMP, GIF (its first frame) or JPEG. ``channels``: 3 for red, green, blue, or 1 for gray, of whatever the file
    holds; what is transparent becomes white. ``size``: (height, width) to scale it to, with its aspect kept and what
    does not fit cut off on both sides alike. ImportError without Pillow; PictureError for a file that is no picture, is
    damaged, or holds far too many pixels; OSError where it cannot be opened.
    """
    floating = _floating(dtype)
    _check_layout(channels, size)
    with opened_picture(path) as image:
        return _pixels(image, channels, size).astype(floating, copy=False)


def _pixels(image: Any, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image, ImageOps

    if image.mode.startswith("I"):  # 16 bits in one channel; as 8 bits it would lose half of them
        image = Image.fromarray(np.clip(np.asarray(image, np.float32) / 65535, 0, 1))
    else:
        if image.mode != "RGB" and image.mode != "L":
            image = image.convert("RGB" if image.mode == "CMYK" else image.mode).convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB" if channels == 3 else "L")
    if size is not None:
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32)
    pixels = pixels if image.mode == "F" else pixels / np.float32(255)
    if pixels.ndim == 3:
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    return np.repeat(pixels[None], channels, axis=0)


class ImageFolder(Dataset):
    """Images in the folders of ``root``, one folder for each class; read when they are asked for.

    A sample is ``(image, label)``: the image as ``read_image`` gives it, the label an int64 that counts through
    ``classes``, the names of the folders in sorted order. Within a class the files are in the order of their paths,
    those in folders further down included; a file or folder whose name begins with a dot does not count, and a file
    without the suffix of a picture is left out and named in ``skipped``. ``size``: (height, width) to bring all images
    to; without it all must have the size of the first. ``Batches(..., prefetch=2)`` reads while a network computes.

    FileNotFoundError where ``root`` has no folder, or a folder no image. PictureError, when it is asked for, where a
    file is damaged or has another size.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        size: tuple[int, int] | None = None,
        channels: int = 3,
        dtype: Any = "float32",
    ) -> None:
        _check_layout(channels, size)
        self.root, self.size, self.channels, self.dtype = Path(root), size, channels, _floating(dtype)
        folders = sorted(item for item in self.root.iterdir() if item.is_dir() and not item.name.startswith("."))
        if not folders:
            raise FileNotFoundError(f"{root} has no folders\n  expected: one for each class, with its images")
        self.classes = tuple(folder.name for folder in folders)
        self.files: list[Path] = []
        self.skipped: list[Path] = []
        counts = [self._collect(folder) for folder in folders]
        self.labels = np.repeat(np.arange(len(folders), dtype=np.int64), counts)
        self.labels.flags.writeable = False

    def _collect(self, folder: Path) -> int:
        files = [item for item in sorted(folder.rglob("*")) if item.is_file() and not _is_hidden(item, folder)]
        images = [item for item in files if item.suffix.lower() in SUFFIXES]
        if not images:
            raise FileNotFoundError(f"{folder} has no images\n  expected: files that end with {', '.join(SUFFIXES)}")
        self.files += images
        self.skipped += [item for item in files if item.suffix.lower() not in SUFFIXES]
        return len(images)

    def __len__(self) -> int:
        return len(self.files)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = np.stack([self._image(int(index)) for index in indices])
        return images, self.labels[indices]

    def _image(self, index: int) -> np.ndarray:
        image = read_image(self.files[index], self.channels, self.size, self.dtype)
        if self.size is None:
            self._check_size(index, image.shape[1:])
        return image

    def _check_size(self, index: int, size: tuple[int, ...]) -> None:
        first = self._first_size()
        if size != first:
            raise PictureError(
                f"{self.files[index]} has another size than {self.files[0]}\n  got:      {size[0]} x {size[1]} pixels\n"
                f"  expected: {first[0]} x {first[1]}\n"
                f"Bring all to one size: ImageFolder(root, size=({first[0]}, {first[1]}))"
            )

    def _first_size(self) -> tuple[int, int]:
        if not hasattr(self, "_size_of_first"):
            with opened_picture(self.files[0]) as image:
                self._size_of_first = (image.height, image.width)
        return self._size_of_first

    def __repr__(self) -> str:
        left_out = f", {len(self.skipped)} files skipped" if self.skipped else ""
        return f"ImageFolder({self.root}: {len(self)} images of {len(self.classes)} classes{left_out})"


def _is_hidden(item: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in item.relative_to(folder).parts)


def _check_layout(channels: Any, size: Any) -> None:
    if channels not in (1, 3):
        raise ValueError(
            f"channels is out of range.\n  got:      {channels!r}\n  expected: 3 (red, green, blue) or 1 (gray)"
        )
    pair = isinstance(size, (tuple, list)) and len(size) == 2
    if size is not None and not (pair and all(isinstance(side, int) and side >= 1 for side in size)):
        raise ValueError(
            f"size is no size of an image.\n  got:      {size!r}\n  expected: (height, width), ints >= 1, or None"
        )
