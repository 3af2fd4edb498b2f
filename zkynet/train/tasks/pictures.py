"""What the tasks share that draw: files of pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zkynet.train.tasks.task import TaskError


def drawable(drawn: Any) -> Any:
    """``drawn``, what a network has drawn; TaskError where it holds NaN."""
    import numpy as np

    if np.isnan(drawn).any():
        raise TaskError("the network draws NaN: its training has diverged; try a smaller --lr")
    return drawn


def save(path: str | os.PathLike, content: bytes) -> Path:
    """Write a file, whole or not at all; TaskError where its folder is missing, OSError, which names ``path``, else."""
    from zkynet import io

    if not Path(path).absolute().parent.is_dir():
        raise TaskError(f"cannot write {path}: there is no folder {Path(path).parent}")
    try:
        with io.atomic_write(path) as file:
            file.write(content)
    except OSError as error:  # it may name the file beside, which is not there any more
        error.filename = os.fspath(path)
        raise
    return Path(path)


def save_sheet(path: str | os.PathLike, rows: Sequence[Any], scale: int) -> Path:
    """Write the PNG file ``path``: rows of pictures in ink, (n, height, width) each, from 0, paper, to 1, ink.

    All rows have as many pictures; each pixel becomes ``scale`` x ``scale``.
    """
    from zkynet.visual import raster

    pictures = [1 - drawable(picture) for row in rows for picture in row]
    return save(path, raster.png(raster.sheet(pictures, len(rows[0]), scale=scale, gap=scale, background=0.8)))
