"""A scene on a matplotlib figure: PNG files, and what a window shows. matplotlib loads when it is needed."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from zkynet.backends.errors import BackendNotAvailable
from zkynet.visual import style
from zkynet.visual.scene import Area, Curve, Polygon, Scene, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 72  # one pixel of the scene is one point: font sizes are the same in both
LARGEST_SIDE, LARGEST_AREA = 30_000, 80_000_000  # pixels of a PNG; larger drawings get fewer pixels per point


def png_of(scene: Scene, scale: float = 2.0) -> bytes:
    """``scene`` as a PNG file with ``scale`` pixels per pixel of the SVG, fewer where the file would get too large.

    Raises BackendNotAvailable (an ImportError) where matplotlib is not installed.
    """
    require_matplotlib("A PNG picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    side, area = max(scene.width, scene.height), scene.width * scene.height
    scale = min(scale, LARGEST_SIDE / side, (LARGEST_AREA / area) ** 0.5)
    figure = figure_of(scene)
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for the character, as everywhere
        figure.savefig(file, format="png", dpi=POINTS * scale, facecolor=style.BACKGROUND, bbox_inches=None)
    return file.getvalue()


def require_matplotlib(what: str) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BackendNotAvailable(
            f"{what} needs matplotlib, which is not installed.\n"
            "  install it: pip install 'zkynet[viz]'\n"
            "  without it: SVG, DOT and Mermaid files (.svg, .dot, .mmd)"
        ) from error


def figure_of(scene: Scene, figure: Figure | None = None, zoom: float = 1.0) -> Figure:
    """``scene`` on a matplotlib figure with ``zoom`` points per pixel: a new one, or ``figure``, made of that size."""
    from matplotlib.figure import Figure

    if figure is None:
        figure = Figure(figsize=(scene.width * zoom / POINTS, scene.height * zoom / POINTS))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    shapes = [shape for group in scene.groups for shape in group.shapes]
    for order, shape in enumerate(shapes):
        if isinstance(shape, Text):
            _write(axes, shape, order, zoom)
        else:
            axes.add_artist(_patch(shape, order, zoom))
    return figure


def _write(axes: Any, text: Text, order: int, zoom: float) -> None:
    axes.text(
        text.x,
        text.y,
        text.text,
        fontsize=text.size * zoom,
        color=text.colour,
        fontweight="bold" if text.bold else "normal",
        fontfamily="DejaVu Sans",  # comes with matplotlib, and is what the texts were measured in
        fontstyle="normal",
        horizontalalignment="left" if text.anchor == "start" else "center",
        verticalalignment="baseline",
        parse_math=False,  # a dollar sign is a dollar sign
        usetex=False,
        zorder=order,
    )


def _patch(shape: Area | Curve | Polygon, order: int, zoom: float) -> Any:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if isinstance(shape, Area):
        return _area(shape, order, zoom)
    if isinstance(shape, Polygon):
        path = Path([*shape.points, shape.points[0]], closed=True)
        return PathPatch(path, facecolor=shape.fill, linewidth=0, zorder=order)
    points, codes = [shape.start], [Path.MOVETO]
    for step in shape.steps:
        points += step
        codes += [Path.LINETO if len(step) == 1 else Path.CURVE4] * len(step)
    path = Path(points, codes)
    return PathPatch(path, fill=False, edgecolor=shape.stroke, linewidth=shape.width * zoom, zorder=order)


def _area(area: Area, order: int, zoom: float) -> Any:
    from matplotlib.patches import FancyBboxPatch

    rect = area.rect
    radius = min(area.radius, rect.width / 2, rect.height / 2)
    return FancyBboxPatch(
        (rect.x, rect.y),
        rect.width,
        rect.height,
        boxstyle=f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0",
        facecolor=area.fill,
        edgecolor=area.stroke or "none",
        linewidth=area.width * zoom if area.stroke else 0,
        linestyle=(0, area.dash) if area.dash else "solid",
        zorder=order,
    )
