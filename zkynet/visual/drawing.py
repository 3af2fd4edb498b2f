"""What ``plot_cg`` returns: a picture in all its formats, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from zkynet.visual.dot import dot_of
from zkynet.visual.folding import fold
from zkynet.visual.layout import Layout, layout
from zkynet.visual.mermaid import mermaid_of
from zkynet.visual.picture import BoxPath, Picture
from zkynet.visual.png import png_of
from zkynet.visual.scene import Scene, scene_of
from zkynet.visual.svg import svg_of
from zkynet.visual.window import show

VIEWS = ("values", "shapes", "structure", "gradient")
SUFFIXES = (".svg", ".png", ".dot", ".gv", ".mmd", ".md")


class Drawing:
    """A drawn computation graph; a notebook shows it as it is.

    ``svg``, ``dot`` and ``mermaid`` are texts; ``png(scale=2.0)`` gives bytes and needs matplotlib. Boxes of the
    picture that are marked ``folded`` are drawn as one node; ``fold(depth=0)`` gives a drawing with more of them
    folded.
    """

    def __init__(self, picture: Picture) -> None:
        self.picture = fold(picture)

    @cached_property
    def layout(self) -> Layout:
        return layout(self.picture)

    @cached_property
    def scene(self) -> Scene:
        return scene_of(self.layout)

    @cached_property
    def svg(self) -> str:
        return svg_of(self.scene)

    @cached_property
    def dot(self) -> str:
        return dot_of(self.picture)

    @cached_property
    def mermaid(self) -> str:
        return mermaid_of(self.picture)

    def png(self, scale: float = 2.0) -> bytes:
        """A PNG file with ``scale`` pixels per pixel of the SVG; very large drawings get fewer."""
        return png_of(self.scene, scale)

    def fold(self, depth: int | None = None, paths: Iterable[BoxPath] = ()) -> Drawing:
        """A new drawing with the boxes at ``paths``, or all inside ``depth`` others, drawn as one node each."""
        return Drawing(fold(self.picture, depth=depth, paths=paths))

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the drawing to ``path`` and return it; the suffix decides the format.

        ``.svg``, ``.png``, ``.dot`` or ``.gv`` (Graphviz), ``.mmd`` (Mermaid) and ``.md`` (Mermaid in a code fence).
        Any other suffix is a ValueError. The folder must exist.
        """
        target = Path(fspath(path))
        check_suffix(target)
        target.write_bytes(self._content(target.suffix.lower()))
        return target

    def _content(self, suffix: str) -> bytes:
        if suffix == ".png":
            return self.png()
        if suffix == ".svg":
            text = self.svg
        elif suffix in (".dot", ".gv"):
            text = self.dot
        else:
            text = self.mermaid if suffix == ".mmd" else f"```mermaid\n{self.mermaid}```\n"
        return text.encode("utf-8", errors="replace")

    def show(self, seconds: float) -> bool:
        """Show a window for ``seconds`` and close it; returns False, at once, where there is no display."""
        return show(self.scene, seconds)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        picture = self.picture
        title = f"{picture.title!r}, " if picture.title else ""
        return f"<Drawing {title}{len(picture.nodes)} nodes, {len(picture.edges)} edges>"


def check_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            "A drawing's file name says its format by its suffix.\n"
            f"  got: {path.name!r}\n"
            f"  expected one of: {', '.join(SUFFIXES)}"
        )


def plot_cg(
    root: Any,
    save_path: str | PathLike[str] | None = None,
    title: str | None = None,
    wait: float = 0,
    view: str = "values",
    depth: int | None = None,
) -> Drawing:
    """Draw the computation graph of ``root``: a ModuleGraph, what calling a Module returns, or one of its nodes.

    ``view`` is "values" (operators, shapes, values, and gradients after ``back()``), "shapes" (no values), "structure"
    (names alone) or "gradient" (the graph of the gradient). ``depth`` folds the calls of modules inside ``depth``
    others.

    ``save_path`` writes a file: .svg, .png (needs matplotlib), .dot or .gv, .mmd or .md; it is refused before anything
    is drawn if its suffix is another. ``wait`` > 0 shows a window for so many seconds, where there is a display; on a
    machine without one, and with the default 0, there is none and nothing waits.
    """
    from zkynet.visual.graph_picture import picture_of

    if view not in VIEWS:
        raise ValueError(f"There is no view {view!r} of a computation graph.\n  expected one of: {', '.join(VIEWS)}")
    if save_path is not None:
        check_suffix(Path(fspath(save_path)))
    picture = picture_of(root, view)
    if title is not None:
        picture = Picture(picture.nodes, picture.edges, picture.boxes, title)
    drawing = Drawing(fold(picture, depth=depth))
    if save_path is not None:
        drawing.save(save_path)
    if wait > 0:
        drawing.show(wait)
    return drawing
