"""The layers once more, with the sides of boxes in them and the distances that neighbours keep."""

from __future__ import annotations

from dataclasses import dataclass

from zkynet.visual import style
from zkynet.visual.levels import Levels

NODE, PASSING, LEFT, RIGHT = range(4)


@dataclass
class Rows:
    """``rows[l]`` holds numbers of items: those of the levels, and behind them one for each box, layer and side.

    ``kind`` and ``width`` by item; ``sides[b]`` is the pair of items of box b's left and right side, layer by layer.
    """

    rows: list[list[int]]
    kind: list[int]
    width: list[float]
    sides: dict[int, list[tuple[int, int]]]


def rows_of(levels: Levels, widths: list[float]) -> Rows:
    kind = [NODE if item < levels.nodes else PASSING for item in range(len(levels.layer))]
    width = [*widths, *[style.DUMMY_WIDTH] * (len(kind) - levels.nodes)]
    found = Rows([], kind, width, {box: [] for box in range(1, len(levels.tree))})

    def add(side: int) -> int:
        found.kind.append(side)
        found.width.append(0.0)
        return len(found.kind) - 1

    for layer in levels.layers:
        row: list[int] = []
        open_boxes: list[tuple[int, int]] = []  # with the item of the left side
        for item in [*layer, None]:
            chain = () if item is None else levels.tree.chains[levels.box[item]]
            while open_boxes and (len(open_boxes) > len(chain) or chain[len(open_boxes) - 1] != open_boxes[-1][0]):
                box, left = open_boxes.pop()
                row.append(add(RIGHT))
                found.sides[box].append((left, row[-1]))
            for box in chain[len(open_boxes) :]:
                row.append(add(LEFT))
                open_boxes.append((box, row[-1]))
            if item is not None:
                row.append(item)
        found.rows.append(row)
    return found


def distance(rows: Rows, left: int, right: int) -> float:
    """How far apart the middles of two neighbours in a row have to be at least."""
    kinds = (rows.kind[left], rows.kind[right])
    if kinds == (NODE, NODE):
        gap = style.NODE_GAP
    elif kinds[0] == LEFT or kinds[1] == RIGHT:
        gap = style.BOX_PAD  # inside
    elif kinds[0] == RIGHT or kinds[1] == LEFT:
        gap = style.EDGE_GAP if PASSING in kinds else style.NODE_GAP * 0.75
    else:
        gap = style.EDGE_GAP
    return gap + (rows.width[left] + rows.width[right]) / 2
