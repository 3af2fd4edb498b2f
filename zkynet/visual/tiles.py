"""Small pictures in rows and columns, with a few words to each: what plots of samples, filters and maps share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zkynet.backends.errors import ShapeError
from zkynet.visual.figures import LARGE, NORMAL, SMALL, TITLE_LINE, finished, new_figure, text, title_lines
from zkynet.visual.style import BOX_STROKE, DETAIL_TEXT, TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP, MARGIN, LINE = 0.12, 0.15, 0.155  # inches: between tiles, around all, and of a line of words
LETTER = 0.068  # inches of a letter of small text
KEY = 0.75  # inches for the scale of colours
NARROWEST = 3.2  # inches of a plot


class _Place(NamedTuple):
    """Lengths in inches from the upper left corner: of the first tile, of a tile, from tile to tile, of the figure."""

    left: float
    top: float
    tile_width: float
    tile_height: float
    across: float
    down: float
    width: float
    height: float
    title: list[str]

    def of(self, row: int, column: int) -> tuple[float, float]:
        """The upper left corner of a tile."""
        return self.left + column * self.across, self.top + row * self.down


@dataclass
class Tiles:
    """A plot of pictures: ``pictures`` (height, width) or (height, width, 3) in so many ``columns``, row by row.

    ``captions`` are lines of (words, colour) below each picture. ``rows`` and ``heads`` are words before every row and
    above every column. ``limits`` are the numbers at the ends of the colour map, by default those of all pictures;
    ``key`` draws that scale. ``notes`` are lines above all, below the ``title``.
    """

    pictures: Sequence[np.ndarray]
    columns: int
    captions: Sequence[Sequence[tuple[str, str]]] = ()
    rows: Sequence[str] = ()
    heads: Sequence[str] = ()
    title: str | None = None
    notes: Sequence[str] = ()
    side: float = 0.9  # inches of the longer side of a picture
    colours: str = "gray"
    limits: tuple[float, float] | None = None
    key: bool = False

    def plot(self, what: str, save_path: str | PathLike[str] | None) -> Figure:
        """The figure, also written to ``save_path`` where one is given."""
        place = self._place()
        figure = new_figure(what, place.width, place.height, save_path)
        figure.set_layout_engine("none")  # everything has its place
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        self._write_heading(axes, place)
        self._write_sides(axes, place)
        low, high = self._range()
        for n, picture in enumerate(self.pictures):
            x, y = place.of(*divmod(n, self.columns))
            bottom = y + place.tile_height
            self._draw(axes, picture, (x, x + place.tile_width, bottom, y), low, high)
            for i, (words, colour) in enumerate(self.captions[n] if self.captions else ()):
                middle = x + place.tile_width / 2
                axes.text(middle, bottom + 0.03 + i * LINE, words, ha="center", va="top", **text(SMALL, colour))
        axes.set_xlim(0, place.width)
        axes.set_ylim(place.height, 0)
        axes.set_aspect("auto")
        if self.key and self.pictures:
            self._draw_key(figure, place, low, high)
        return finished(figure, save_path)

    def _place(self) -> _Place:
        """Where everything stands, and how large all of it is."""
        tile_width = tile_height = 0.0
        if self.pictures:
            height, width = self.pictures[0].shape[:2]
            scale = self.side / max(height, width)
            tile_width, tile_height = max(width * scale, 0.1), max(height * scale, 0.1)
        lines = max(map(len, self.captions), default=0)
        left = MARGIN + (LETTER * max(map(len, self.rows)) + 0.08 if self.rows else 0)
        width = left + self.columns * (tile_width + GAP) + MARGIN + (KEY if self.key else 0)
        width = max(width, NARROWEST, *(LETTER * 1.08 * len(note) + 2 * MARGIN for note in self.notes))
        title = title_lines(self.title, width - 2 * MARGIN)
        top = MARGIN + TITLE_LINE * len(title) + 0.2 * len(self.notes) + (LINE if self.heads else 0) + 0.1
        step = tile_height + lines * LINE + GAP
        height = top + math.ceil(len(self.pictures) / self.columns) * step + MARGIN
        return _Place(left, top, tile_width, tile_height, tile_width + GAP, step, width, height, title)

    def _range(self) -> tuple[float, float]:
        if self.limits is not None:
            return self.limits
        finite = [each[np.isfinite(each)] for each in self.pictures]
        low = min((float(each.min()) for each in finite if each.size), default=0.0)
        high = max((float(each.max()) for each in finite if each.size), default=1.0)
        return low, high if high > low else low + 1

    def _draw(self, axes: Any, picture: np.ndarray, extent: tuple, low: float, high: float) -> None:
        if picture.ndim == 3:
            picture = np.clip((picture - low) / (high - low), 0, 1)
        axes.imshow(
            picture, cmap=self.colours, vmin=low, vmax=high, extent=extent, interpolation="nearest", aspect="auto"
        )
        x, right, bottom, y = extent
        axes.plot([x, right, right, x, x], [y, y, bottom, bottom, y], color=BOX_STROKE, linewidth=0.6)

    def _write_heading(self, axes: Any, place: _Place) -> None:
        y = MARGIN
        for line in place.title:
            axes.text(MARGIN, y, line, va="top", **text(LARGE, TEXT, fontweight="bold"))
            y += TITLE_LINE
        for note in self.notes:
            axes.text(MARGIN, y + 0.03, note, va="top", **text(NORMAL, DETAIL_TEXT))
            y += 0.2

    def _write_sides(self, axes: Any, place: _Place) -> None:
        """The words before the rows and above the columns."""
        look = text(SMALL, DETAIL_TEXT)
        for row, words in enumerate(self.rows):
            y = place.of(row, 0)[1] + place.tile_height / 2
            axes.text(place.left - 0.06, y, words, ha="right", va="center", **look)
        for column, words in enumerate(self.heads):
            x = place.of(0, column)[0] + place.tile_width / 2
            axes.text(x, place.top - 0.04, words, ha="center", va="bottom", **look)

    def _draw_key(self, figure: Figure, place: _Place, low: float, high: float) -> None:
        """The scale of colours at the right edge."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        width, height = place.width, place.height
        long = min(height - place.top - 2 * MARGIN, 3.0)
        box = ((width - KEY + 0.08) / width, 1 - (place.top + long) / height, 0.12 / width, long / height)
        bar = figure.colorbar(ScalarMappable(Normalize(low, high), self.colours), cax=figure.add_axes(box))
        bar.set_ticks([low, (low + high) / 2, high])
        bar.set_ticklabels([f"{number:.2g}" for number in (low, (low + high) / 2, high)], **text(SMALL, DETAIL_TEXT))
        bar.ax.tick_params(length=0)
        bar.outline.set_visible(False)


def counted(number: int, thing: str) -> str:
    """``1 input``, ``16 inputs``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def columns_for(count: int, most: int = 10) -> int:
    """How many columns make ``count`` tiles about as wide as high."""
    return max(1, min(most, math.ceil(math.sqrt(count))))


def as_pictures(what: str, x: np.ndarray, shape: Sequence[int] | None) -> np.ndarray:
    """``x`` as pictures (samples, height, width), or (samples, height, width, 3) of three channels.

    From (samples, height, width), (samples, channels, height, width) with 1 or 3 channels, or rows of numbers that
    ``shape``, (height, width) or (channels, height, width), makes pictures of. ShapeError for anything else.
    """
    if shape is not None:
        if len(shape) not in (2, 3) or x.ndim < 2 or math.prod(shape) != math.prod(x.shape[1:]):
            raise ShapeError(
                f"{what}: the samples are no pictures of that shape.\n  got:      samples of shape {x.shape[1:]}\n"
                f"  expected: as many numbers as shape={tuple(shape)}, (height, width) or (channels, height, width)"
            )
        x = x.reshape(len(x), *shape)
    if x.ndim == 4 and x.shape[1] in (1, 3):
        x = x[:, 0] if x.shape[1] == 1 else np.moveaxis(x, 1, -1)
    elif x.ndim != 3:
        raise ShapeError(
            f"{what}: these are no pictures.\n  got:      shape {x.shape}\n"
            "  expected: (samples, height, width), (samples, 1 or 3, height, width), or rows of numbers and "
            "shape=(height, width)"
        )
    if 0 in x.shape[1:]:
        raise ShapeError(f"{what}: the pictures are empty.\n  got:      shape {x.shape}")
    return x
