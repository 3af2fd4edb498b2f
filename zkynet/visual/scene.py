"""A drawing as plain shapes, in the order in which they are painted: what ``svg`` and ``png`` translate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from zkynet.visual import style
from zkynet.visual.labels import Line
from zkynet.visual.layout import Layout, Point, Rect
from zkynet.visual.picture import PictureNode
from zkynet.visual.text import shorten, text_width


@dataclass(frozen=True)
class Area:
    """A rectangle with round corners; ``stroke`` None for no outline."""

    rect: Rect
    fill: str
    stroke: str | None = None
    radius: float = 0.0
    width: float = 1.0
    dash: tuple[float, float] | None = None


@dataclass(frozen=True)
class Curve:
    """A line from ``start`` through ``steps``: a step of one point is straight, one of three a cubic Bezier."""

    start: Point
    steps: tuple[tuple[Point, ...], ...]
    stroke: str
    width: float


@dataclass(frozen=True)
class Polygon:
    points: tuple[Point, ...]
    fill: str


@dataclass(frozen=True)
class Text:
    """One line; ``y`` is the baseline, ``anchor`` says which part of the text stands at ``x``."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    bold: bool = False
    anchor: Literal["start", "middle"] = "middle"


Shape = Area | Curve | Polygon | Text


@dataclass
class Group:
    """Shapes that belong together, what they show (``role``) and the text for whoever points at them."""

    role: str
    shapes: list[Shape] = field(default_factory=list)
    tooltip: str = ""


@dataclass(frozen=True)
class Scene:
    width: float
    height: float
    title: str
    groups: list[Group]


def scene_of(layout: Layout) -> Scene:
    """All shapes of a drawing: boxes, edges, nodes, then what has to be read above them."""
    picture = layout.picture
    groups = [_box(layout, path) for path in sorted(layout.boxes, key=len)]
    groups += _edges(layout)
    groups += [_node(node, layout.nodes[node.id], layout.lines[node.id]) for node in picture.nodes]
    groups += [_box_title(layout, path) for path in sorted(layout.boxes, key=len)]
    legend, width, below = _legend(layout)
    if picture.title:
        groups.append(_heading(picture.title, layout.width))
    groups += legend
    return Scene(max(layout.width, width), layout.height + below, picture.title or "Computation graph", groups)


def _heading(title: str, width: float) -> Group:
    shown = shorten(title, style.HEADING_SIZE, max(width - 2 * style.MARGIN, style.WIDEST), bold=True)
    y = style.MARGIN + style.HEADING_SIZE * 0.8
    return Group(
        "title", [Text(style.MARGIN, y, shown, style.HEADING_SIZE, style.TEXT, bold=True, anchor="start")], title
    )


def _box(layout: Layout, path: tuple[str, ...]) -> Group:
    fill = style.BOX_FILLS[(len(path) - 1) % len(style.BOX_FILLS)]
    return Group("box", [Area(layout.boxes[path], fill, style.BOX_STROKE, radius=8.0)], "/".join(path))


def _box_title(layout: Layout, path: tuple[str, ...]) -> Group:
    """The title on a patch of the box's colour: an edge may pass below it."""
    rect = layout.boxes[path]
    title = shorten(layout.picture.box_of[path].title, style.BOX_SIZE, style.WIDEST, bold=True)
    fill = style.BOX_FILLS[(len(path) - 1) % len(style.BOX_FILLS)]
    width = text_width(title, style.BOX_SIZE, bold=True)
    patch = Area(Rect(rect.x + 6, rect.y + 4, width + 8, style.BOX_SIZE * 1.5), fill, radius=4.0)
    text = Text(rect.x + 10, rect.y + 4 + style.BOX_SIZE * 1.1, title, style.BOX_SIZE, style.BOX_TEXT, True, "start")
    return Group("box-title", [patch, text], "/".join(path))


def _node(node: PictureNode, rect: Rect, lines: list[Line]) -> Group:
    look = style.look_of(node.kind)
    radius = min(rect.height / 2, 15.0) if look.radius is None else look.radius
    shapes: list[Shape] = []
    if look.double:
        behind = Rect(rect.x + 3, rect.y + 3, rect.width, rect.height)
        shapes.append(Area(behind, look.fill, look.stroke, radius, look.width))
    shapes.append(Area(rect, look.fill, look.stroke, radius, look.width, look.dash))
    y = rect.y + (rect.height - sum(line.height for line in lines)) / 2
    for line in lines:
        baseline = y + line.height / 2 + line.size * 0.36
        shapes.append(Text(rect.x + rect.width / 2, baseline, line.text, line.size, line.colour, line.bold))
        y += line.height
    return Group(f"node {node.kind}", shapes, node.full_text)


def _edges(layout: Layout) -> list[Group]:
    """Each edge with its arrow head. What edges of one source share is drawn once, with the first of them."""
    title = {node.id: node.title for node in layout.picture.nodes}
    crowded = {edge.target for edge in layout.picture.edges if edge.label and not _is_short(edge.label)}
    drawn: set[tuple[str, Point, Point]] = set()
    groups = []
    for edge, path in zip(layout.picture.edges, layout.paths):
        path = [*path[:-1], _before_arrow(path)]
        pieces = list(zip(path, path[1:]))
        first = next(
            (i for i, piece in enumerate(pieces) if (edge.source, *piece) not in drawn and piece[0] != piece[1]),
            len(pieces) - 1,
        )
        drawn.update((edge.source, *piece) for piece in pieces)
        tooltip = f"{title[edge.source]} → {title[edge.target]}" + (f" ({edge.label})" if edge.label else "")
        shapes: list[Shape] = [_curve(path, first), _arrow(path)]
        if edge.label and edge.target not in crowded:
            shapes.append(_edge_label(edge.label, path[-1]))
        groups.append(Group("edge", shapes, tooltip))
    return groups


def _direction(path: list[Point]) -> float:
    return 1.0 if path[-1][1] >= path[0][1] else -1.0


def _before_arrow(path: list[Point]) -> Point:
    return (path[-1][0], path[-1][1] - _direction(path) * style.ARROW_LENGTH * 0.8)


def _curve(path: list[Point], first: int) -> Curve:
    steps: list[tuple[Point, ...]] = []
    for i in range(first, len(path) - 1):
        (x, y), (to_x, to_y) = path[i], path[i + 1]
        if i % 2 == 0 or x == to_x:
            steps.append(((to_x, to_y),))
        else:
            half = (to_y - y) / 2
            steps.append(((x, y + half), (to_x, to_y - half), (to_x, to_y)))
    return Curve(path[first], tuple(steps), style.EDGE, 1.2)


def _arrow(path: list[Point]) -> Polygon:
    (x, y), down = path[-1], _direction(path)
    tip, base, half = y + down * style.ARROW_LENGTH * 0.8, y - down * style.ARROW_LENGTH * 0.2, style.ARROW_WIDTH / 2
    return Polygon(((x, tip), (x - half, base), (x + half, base)), style.EDGE)


def _is_short(label: str) -> bool:
    """Whether ``label`` fits between two arrows. If one into a node does not, all into that node are tooltips only."""
    return text_width(label, style.LABEL_SIZE) <= style.PORT_GAP - style.ARROW_WIDTH / 2 - 2


def _edge_label(label: str, end: Point) -> Text:
    x, y = end[0] + style.ARROW_WIDTH / 2 + 1.5, end[1]
    return Text(x, y, label, style.LABEL_SIZE, style.DETAIL_TEXT, anchor="start")


def _legend(layout: Layout) -> tuple[list[Group], float, float]:
    """One entry for each kind that is shown; with them the width that they need and the height that they add."""
    kinds = sorted(
        {node.kind for node in layout.picture.nodes if node.kind in style.LOOKS}, key=list(style.LOOKS).index
    )
    gradients = any(node.gradient is not None for node in layout.picture.nodes)
    if len(layout.picture.nodes) < 2:
        return [], 0.0, 0.0
    x, y = style.MARGIN, layout.height
    groups, widest, room = [], 0.0, max(layout.width, 420.0) - style.MARGIN
    entries = [(kind, style.TEXT) for kind in kinds]
    entries += [("grad: gradient of the output", style.GRADIENT_TEXT)] if gradients else []
    for name, colour in entries:
        swatch = 22.0 if name in style.LOOKS else 0.0
        width = swatch + text_width(name, style.LINE_SIZE) + 16
        if x + width > room and x > style.MARGIN:
            x, y = style.MARGIN, y + style.LINE_SIZE * 1.8
        shapes: list[Shape] = [Text(x + swatch, y + 4, name, style.LINE_SIZE, colour, anchor="start")]
        if swatch:
            look = style.look_of(name)
            shapes.append(replace(_swatch(x, y), fill=look.fill, stroke=look.stroke, width=look.width, dash=look.dash))
        groups.append(Group("legend", shapes, name))
        x += width
        widest = max(widest, x)
    return groups, widest, y - layout.height + style.MARGIN


def _swatch(x: float, y: float) -> Area:
    return Area(Rect(x, y - 5, 16, 10), style.BACKGROUND, radius=3.0)
