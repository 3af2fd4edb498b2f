"""A place for everything in a picture: a layered layout of our own, from top to bottom.

The steps are those of Sugiyama, Tagawa and Toda (1981), each in a file: ``ranks`` (which layer), ``levels`` (long edges
cut into pieces), ``ordering`` (few crossings), ``ports`` and ``positions`` (horizontal places); here, the vertical
places and the paths of the edges. The same picture always gets the same layout.

Edges never run through nodes: within the height of a layer they are vertical, at a place kept for them, and they change
sides only between layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from zkynet.visual import style
from zkynet.visual.boxtree import BoxTree, box_tree
from zkynet.visual.labels import Line, lines_of, size_of
from zkynet.visual.levels import Levels, levels_of
from zkynet.visual.ordering import arrange, reading_order
from zkynet.visual.picture import BoxPath, Picture
from zkynet.visual.ports import Ports, ports_of
from zkynet.visual.positions import Columns, columns_of
from zkynet.visual.ranks import ranks_of, without_cycles
from zkynet.visual.text import text_width
from zkynet.visual.trunk import trunk_of


@dataclass(frozen=True)
class Rect:
    """A rectangle by its upper left corner; y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Places in pixels: ``nodes`` by id, ``boxes`` by path, ``paths`` one for each of the picture's edges.

    A path is a list of points from the source's lower to the target's upper side; between its points with numbers 2i
    and 2i + 1 it is vertical, between 2i + 1 and 2i + 2 it changes sides. ``lines`` is the text of each node.
    """

    picture: Picture
    nodes: dict[str, Rect]
    boxes: dict[BoxPath, Rect]
    paths: list[list[Point]]
    lines: dict[str, list[Line]]
    width: float
    height: float


def layout(picture: Picture) -> Layout:
    """Places for all that ``picture`` shows."""
    lines = {node.id: lines_of(node) for node in picture.nodes}
    number = {node.id: i for i, node in enumerate(picture.nodes)}
    edges = [(number[edge.source], number[edge.target]) for edge in picture.edges]
    turned = without_cycles(len(number), edges)
    edges = [(b, a) if turn else (a, b) for (a, b), turn in zip(edges, turned)]
    arrows = [0] * len(number)
    for _, target in edges:
        arrows[target] += 1
    sizes = [size_of(node, lines[node.id], arrows[i]) for i, node in enumerate(picture.nodes)]
    tree = box_tree(picture)
    levels = _ordered_levels(edges, sizes, tree)
    widths = [width for width, _ in sizes]
    trunk = trunk_of(levels, [node.kind == "input" for node in picture.nodes])
    ports = ports_of(levels, trunk, widths)
    box_widths = [0.0, *(_title_width(picture.box_of[path].title) for path in tree.paths[1:])]
    columns = columns_of(levels, trunk, widths, ports, box_widths)
    return _Placing(picture, levels, sizes, ports, columns, turned).layout(lines)


def _title_width(title: str) -> float:
    return min(text_width(title, style.BOX_SIZE, bold=True), style.WIDEST) + 2 * style.BOX_PAD


def _ordered_levels(edges: list[tuple[int, int]], sizes: list[tuple[float, float]], tree: BoxTree) -> Levels:
    rank = ranks_of(len(sizes), edges, tree)
    start = reading_order(len(sizes), edges)
    levels = levels_of(rank, edges, tree)
    arrange(levels, _start_values(levels, start), _sweeps(levels))
    split = _split_wide_layers(levels, sizes)
    if split is None:
        return levels
    place = [0.0] * len(sizes)
    for layer in levels.layers:
        for i, item in enumerate(layer):
            if item < levels.nodes:
                place[item] = (i + 0.5) / len(layer)
    levels = levels_of(split, edges, tree)
    arrange(levels, _start_values(levels, place), _sweeps(levels))
    return levels


def _sweeps(levels: Levels) -> int:
    return 24 if len(levels.layer) < 4000 else 10


def _start_values(levels: Levels, value: list[float]) -> list[float]:
    return [value[source] if source >= 0 else 0.0 for source in levels.source]


def _split_wide_layers(levels: Levels, sizes: list[tuple[float, float]]) -> list[int] | None:
    """New ranks with the nodes of very wide layers in several rows, zigzag; None where no layer is that wide."""
    area = sum((width + style.NODE_GAP) * (height + style.LAYER_GAP) for width, height in sizes)
    widest = max(1500.0, 1.5 * math.sqrt(area))
    rank, row, any_split = [0] * levels.nodes, 0, False
    for layer in levels.layers:
        nodes = [item for item in layer if item < levels.nodes]
        width = sum(sizes[node][0] + style.NODE_GAP for node in nodes)
        rows = min(6, max(1, round(width / widest)))
        for i, node in enumerate(nodes):
            rank[node] = row + i % rows
        row += rows
        any_split |= rows > 1
    return rank if any_split else None


class _Placing:
    """Vertical places, rectangles and paths, once everything has its column."""

    def __init__(
        self,
        picture: Picture,
        levels: Levels,
        sizes: list[tuple[float, float]],
        ports: Ports,
        columns: Columns,
        turned: list[bool],
    ) -> None:
        self.picture, self.levels, self.sizes, self.ports = picture, levels, sizes, ports
        self.x, self.sides, self.turned = columns.x, columns.sides, turned
        self.heads, self.feet = self._box_levels()
        self.bands, self.zones = self._rows()

    def _box_levels(self) -> tuple[list[int], list[int]]:
        """For each box, how many boxes begin, and end, in its first and last layer, itself and within."""
        count = len(self.levels.tree)
        heads, feet = [1] * count, [1] * count
        for box in range(count - 1, 0, -1):
            parent = self.levels.tree.parents[box]
            for side, deep in ((0, heads), (1, feet)):
                if self.levels.span[box][side] == self.levels.span[parent][side]:
                    deep[parent] = max(deep[parent], deep[box] + 1)
        return heads, feet

    def _rows(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """The upper and lower end of each layer, and of each space below one in which edges change sides."""
        layers = self.levels.layers
        heads, feet = [0] * len(layers), [0] * len(layers)
        for box in range(1, len(self.levels.tree)):
            first, last = self.levels.span[box]
            heads[first] = max(heads[first], self.heads[box])
            feet[last] = max(feet[last], self.feet[box])
        bands, zones = [], []
        y = 0.0
        for i, layer in enumerate(layers):
            y += heads[i] * style.BOX_HEAD + style.ARROW_ROOM * (i > 0 or heads[i] > 0)
            height = max((self.sizes[item][1] for item in layer if item < self.levels.nodes), default=0.0)
            bands.append((y, y + height))
            y += height + feet[i] * style.BOX_FOOT
            zones.append((y, y + self._space_below(layer)))
            y = zones[-1][1]
        return bands, zones

    def _space_below(self, layer: list[int]) -> float:
        """More room where edges have far to go, so that they do not lie flat."""
        far = max(
            (abs(self.x[item] - self.x[below]) for item in layer for below in self.levels.down[item]), default=0.0
        )
        return style.LAYER_GAP + min(90.0, 0.07 * max(0.0, far - 100.0))

    def layout(self, lines: dict[str, list[Line]]) -> Layout:
        nodes = {node.id: self._node(i) for i, node in enumerate(self.picture.nodes)}
        tree = self.levels.tree
        boxes = {tree.paths[box]: self._box(box) for box in range(1, len(tree))}
        paths = [self._path(number) for number in range(len(self.picture.edges))]
        rects = [*nodes.values(), *boxes.values()]
        xs = [x for path in paths for x, _ in path]
        left = min([rect.x for rect in rects] + xs, default=0.0)
        right = max([rect.right for rect in rects] + xs, default=0.0)
        bottom = max((rect.bottom for rect in rects), default=0.0)
        heading = style.HEADING_SIZE * 2 if self.picture.title else 0.0
        dx, dy = style.MARGIN - left, style.MARGIN + heading

        def moved(rect: Rect) -> Rect:
            return Rect(rect.x + dx, rect.y + dy, rect.width, rect.height)

        return Layout(
            self.picture,
            {key: moved(rect) for key, rect in nodes.items()},
            {key: moved(rect) for key, rect in boxes.items()},
            [[(x + dx, y + dy) for x, y in path] for path in paths],
            lines,
            right - left + 2 * style.MARGIN,
            bottom + heading + 2 * style.MARGIN,
        )

    def _node(self, node: int) -> Rect:
        width, height = self.sizes[node]
        top, bottom = self.bands[self.levels.layer[node]]
        return Rect(self.x[node] - width / 2, (top + bottom - height) / 2, width, height)

    def _box(self, box: int) -> Rect:
        first, last = self.levels.span[box]
        top = self.bands[first][0] - style.ARROW_ROOM - self.heads[box] * style.BOX_HEAD
        bottom = self.bands[last][1] + self.feet[box] * style.BOX_FOOT
        left, right = self.sides[box]
        return Rect(left, top, right - left, bottom - top)

    def _path(self, number: int) -> list[Point]:
        route = self.levels.routes[number]
        x = [self.x[item] for item in route]
        x[0] += self.ports.start[number]
        x[-1] += self.ports.end[number]
        points = [(x[0], self._node(route[0]).bottom)]
        for upper, left, right in zip(route, x, x[1:]):
            top, bottom = self.zones[self.levels.layer[upper]]
            points += [(left, top), (right, bottom)]
        points.append((x[-1], self._node(route[-1]).y))
        return points[::-1] if self.turned[number] else points
