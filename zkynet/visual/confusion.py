"""A confusion matrix as a picture: what is taken for what, how often, and which share of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet.backends.errors import ShapeError
from zkynet.visual.figures import (
    LARGE,
    NORMAL,
    SMALL,
    TITLE_LINE,
    array_of,
    finished,
    heading,
    names_for,
    new_figure,
    shortened,
    text,
    title_lines,
)
from zkynet.visual.style import BOX_STROKE, DETAIL_TEXT, TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BY = ("true", "predicted", "all")
MOST_WRITTEN = 32  # classes up to which every count is written
MOST_SHARES = 12  # classes up to which there is room for the shares below the counts
MOST_TICKS = 64  # classes up to which every one is named
LONGEST = 24  # characters of a class's name
SIDE = {4: 0.9, 12: 0.62, 32: 0.36, 64: 0.2}  # inches of a cell, up to so many classes
WIDEST = 8.0  # inches of a matrix of more
LETTER = 0.078  # inches of a letter


def plot_confusion(
    matrix: Any,
    save_path: str | PathLike[str] | None = None,
    *,
    names: Sequence[Any] | None = None,
    shares: str = "true",
    title: str | None = None,
) -> Figure:
    """Plot a confusion matrix, the true classes in rows and the predicted ones in columns.

    ``matrix`` is (classes, classes), whole numbers: the value of a ``ConfusionMatrix`` of zkynet.train.metrics, or that
    object itself. ``names`` are the classes, 0, 1, ... unless given. A cell's shade is its share of its row with
    ``shares="true"``, so that of each class; of its column with "predicted", of everything with "all". Counts and
    shares are written into the cells as long as there is room: up to 32 and 12 classes.

    Returns the matplotlib Figure, and writes it to ``save_path`` where one is given: .png, .svg or .pdf. ShapeError, a
    ValueError, for what is no such matrix; BackendNotAvailable, an ImportError, without matplotlib.
    """
    counts = _counts(matrix)
    classes = len(counts)
    words = _words(names, classes)
    part = _shares(counts, shares)
    room = LETTER * max(map(len, words)) if classes <= MOST_TICKS else 0.3  # for the names
    width, height = max(3.8, classes * _side(classes) + room + 1.4), max(2.9, classes * _side(classes) + room + 0.9)
    height += TITLE_LINE * len(title_lines(title, width)) + 0.1
    figure = new_figure("A plot of a confusion matrix", width, height, save_path)
    axes = figure.subplots()
    image = axes.imshow(part, cmap="Blues", norm=_norm(1.0 if shares != "all" else float(part.max())))
    if classes <= MOST_WRITTEN:
        _write_cells(axes, counts, part, np.asarray(image.norm(part)))
    _name_classes(axes, words)
    _key(figure, image, axes, shares)
    right, everything = int(np.trace(counts)), int(counts.sum())
    share = ">99.9%" if 0.9995 <= right / everything < 1 else f"{right / everything:.1%}"
    axes.set_title(f"{right:,} of {everything:,} right: {share}", **text(NORMAL, DETAIL_TEXT))
    heading(figure, title)
    return finished(figure, save_path)


def _words(names: Sequence[Any] | None, classes: int) -> list[str]:
    """The names of the classes, short and all different."""
    full = names_for("plot_confusion", names, classes)
    words = [shortened(name, LONGEST) for name in full]
    if len(set(words)) < classes:  # what told them apart has been cut out
        words = [shortened(f"{i}: {name}", LONGEST) for i, name in enumerate(full)]
    return words


def _counts(matrix: Any) -> np.ndarray:
    """The matrix in int64."""
    if hasattr(matrix, "update") and hasattr(matrix, "value"):  # a ConfusionMatrix
        matrix = matrix.value()
    counts = array_of("plot_confusion", matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ShapeError(
            f"plot_confusion: a confusion matrix is square.\n  got:      shape {counts.shape}\n"
            "  expected: (classes, classes)"
        )
    if not np.isfinite(counts).all() or (counts < 0).any() or (counts != np.floor(counts)).any():
        raise ValueError(
            "plot_confusion: these are no counts.\n  got:      numbers that are negative, or not whole\n"
            "  expected: how many samples there are of each kind; the shares are computed here"
        )
    if not counts.any():
        raise ValueError("plot_confusion: there is no sample in the matrix, it is all zeros")
    return counts.astype(np.int64)


def _shares(counts: np.ndarray, by: str) -> np.ndarray:
    """What part of its row, of its column or of everything each cell is; 0 of nothing."""
    if by not in BY:
        raise ValueError(f"plot_confusion: there is no shares={by!r}.\n  expected: one of {', '.join(map(repr, BY))}")
    sums = {
        "true": counts.sum(axis=1, keepdims=True),
        "predicted": counts.sum(axis=0, keepdims=True),
        "all": counts.sum(keepdims=True),
    }
    return counts / np.maximum(sums[by], 1)


def _norm(most: float) -> Any:
    """Shades that go by the root of the share: a single mistake is to be seen beside hundreds that are right."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=most)


def _write_cells(axes: Any, counts: np.ndarray, part: np.ndarray, shade: np.ndarray) -> None:
    """The counts, and below them the shares; nothing in a cell without a sample."""
    classes = len(counts)
    longest = len(str(int(counts.max())))
    size = min(LARGE, 0.75 * 72 * _side(classes) / (0.62 * max(longest, 3)))  # what fits across a cell
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shade[i, j] > 0.55 else TEXT
        shares = classes <= MOST_SHARES
        place = {"ha": "center", "va": "bottom" if shares else "center"}
        axes.text(j, i + (0.06 if shares else 0), str(counts[i, j]), **place, **text(size, colour))
        if shares:
            small = min(SMALL, 0.75 * size + 1)
            axes.text(j, i + 0.12, _percent(part[i, j]), ha="center", va="top", **text(small, colour))


def _side(classes: int) -> float:
    """The side of a cell in inches."""
    return next((inches for most, inches in SIDE.items() if classes <= most), WIDEST / classes)


def _percent(share: float) -> str:
    """``share`` in whole percent, where that is not 0 or 100 by rounding alone."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{math.floor(100 * share + 0.5)}%"


def _name_classes(axes: Any, words: list[str]) -> None:
    """The classes along both axes; of very many only some."""
    classes = len(words)
    step = 1 if classes <= MOST_TICKS else 10 ** math.ceil(math.log10(classes / 20))
    shown = list(range(0, classes, step))
    upright = max(len(words[i]) for i in shown) * LETTER > _side(classes) * step
    size = NORMAL if _side(classes) > 0.3 else 6.5
    axes.set_xticks(shown, [words[i] for i in shown], rotation=90 if upright else 0, **text(size))
    axes.set_yticks(shown, [words[i] for i in shown], **text(size))
    axes.set_xlabel("predicted", **text(NORMAL, DETAIL_TEXT))
    axes.set_ylabel("true", **text(NORMAL, DETAIL_TEXT))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color(BOX_STROKE)
    if classes <= MOST_WRITTEN:
        edges = np.arange(classes + 1) - 0.5
        axes.set_xticks(edges, minor=True)
        axes.set_yticks(edges, minor=True)
        axes.grid(which="minor", color=BOX_STROKE, linewidth=0.4)
        axes.tick_params(which="minor", length=0)


def _key(figure: Figure, image: Any, axes: Any, shares: str) -> None:
    """The scale of shades beside the matrix."""
    of = {"true": "share of the true class", "predicted": "share of the predicted class", "all": "share of all"}[shares]
    most = float(image.norm.vmax)
    ticks = [most * t for t in (0, 0.05, 0.2, 0.5, 1)]
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=24, pad=0.02, ticks=ticks)
    bar.ax.set_yticklabels([_percent(tick) for tick in ticks], **text(SMALL, DETAIL_TEXT))
    bar.set_label(of, **text(SMALL, DETAIL_TEXT))
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
