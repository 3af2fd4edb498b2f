"""What plots of figures, matrices and pictures share: a matplotlib figure of its own, and how it becomes a file.

Nothing goes through pyplot: no window, no list of open figures, no setting of anybody else's is touched, and a figure
is gone when nobody holds it. matplotlib loads when a plot is made.
"""

from __future__ import annotations

import functools
import io as memory
import textwrap
import warnings
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet import backends
from zkynet.backends.errors import BackendNotAvailable, ShapeError
from zkynet.framework.record import value_of
from zkynet.io import atomic_write
from zkynet.visual import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
DPI = 150
FONT = "DejaVu Sans"  # comes with matplotlib
SMALL, NORMAL, LARGE = 8.0, 9.5, 11.0  # sizes of text in points
TITLE_LINE = 0.24  # inches
# Tints of Okabe and Ito's palette that stand out from white and from each other, for colour-blind people too.
COLOURS = ("#1f6aa5", "#c2500f", "#12734c", "#a5447d", "#a86f00", "#4b5965", "#3f9fd8", "#7a4fb0")
GRID = "#dfe4e8"


def new_figure(what: str, width: float, height: float, save_path: Any = None) -> Figure:
    """An empty figure of so many inches, for ``what``; a suffix of ``save_path`` that no file can have is refused here.

    BackendNotAvailable, an ImportError, where matplotlib is not installed.
    """
    if save_path is not None:
        check_suffix(save_path)
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BackendNotAvailable(
            f"{what} needs matplotlib, which is not installed.\n"
            "  install it: pip install 'zkynet[viz]'\n"
            "  without it: the numbers themselves, from zkynet.train.metrics, log.jsonl and layer_output"
        ) from error
    return _figure_class()(figsize=(width, height), layout="constrained", facecolor=style.BACKGROUND)


@functools.cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Plot(Figure):
        """A figure that a notebook shows as it is."""

        def _repr_png_(self) -> bytes:
            return content(self, ".png")

    return Plot


def check_suffix(path: str | PathLike[str]) -> str:
    """The suffix of ``path`` in lower case; ValueError where it is none that a plot can be written with."""
    suffix = Path(fspath(path)).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            "A plot's file name says its format by its suffix.\n"
            f"  got: {Path(fspath(path)).name!r}\n  expected one of: {', '.join(SUFFIXES)}"
        )
    return suffix


def finished(figure: Figure, save_path: str | PathLike[str] | None) -> Figure:
    """``figure``, also written to ``save_path``, whole or not at all, where one is given."""
    if save_path is not None:
        written = content(figure, check_suffix(save_path))
        with atomic_write(save_path) as file:
            file.write(written)
    return figure


def content(figure: Figure, suffix: str) -> bytes:
    """``figure`` as a file of that format."""
    file = memory.BytesIO()
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for the character, as everywhere
        figure.savefig(file, format=suffix[1:], dpi=DPI, facecolor=style.BACKGROUND, metadata=undated)
    return file.getvalue()


def text(size: float = NORMAL, colour: str = style.TEXT, **more: Any) -> dict[str, Any]:
    """How a text is set: in our font, and with a dollar sign as a dollar sign."""
    return {"fontsize": size, "color": colour, "fontfamily": FONT, "parse_math": False, **more}


def title_lines(title: str | None, width: float) -> list[str]:
    """``title`` in lines for a figure of so many inches."""
    return textwrap.wrap(shortened(title, 240), max(12, int(width / 0.11))) if title else []


def heading(figure: Figure, title: str | None) -> None:
    """Write ``title`` above everything, in as many lines as it takes: TITLE_LINE inches each."""
    lines = title_lines(title, figure.get_figwidth())
    if lines:
        figure.suptitle("\n".join(lines), **text(LARGE, fontweight="bold"))


def bare(axes: Any) -> None:
    """Axes without ticks, behind a hair-line: for a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=style.BOX_STROKE, linewidth=0.6)


def shortened(words: str, most: int) -> str:
    """``words`` in at most so many characters, with its beginning and its end."""
    words = " ".join(str(words).split())
    if len(words) <= most:
        return words
    end = (most - 1) // 2
    return f"{words[: most - 1 - end]}…{words[len(words) - end :]}"


def names_for(what: str, names: Sequence[Any] | None, count: int) -> list[str]:
    """A name for each of ``count`` classes, 0, 1, ... unless given; ShapeError for another number of them."""
    words = [str(name) for name in (range(count) if names is None else names)]
    if len(words) != count:
        raise ShapeError(
            f"{what}: there is another number of names.\n  got:      {len(words)}\n  expected: {count}, one a class"
        )
    return words


def array_of(what: str, x: Any) -> np.ndarray:
    """``x``, an array of any library, a Tensor, a ModuleGraph or a list, as a NumPy array; TypeError for others."""
    x = value_of(x)
    home = backends.backend_of(x)
    array = np.asarray(x) if home is None or isinstance(x, np.ndarray) else home.to_numpy(x)
    if array.dtype.kind == "V" and "float" in array.dtype.name:  # bfloat16 and its kin
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what}: these are no real numbers.\n  got:      {type(x).__name__} of dtype {array.dtype}")
    return array
