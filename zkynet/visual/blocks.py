"""Items that stand exactly below each other: long edges, the sides of boxes, and the trunk of a computation.

After Brandes and Koepf (Fast and simple horizontal coordinate assignment, 2001): a block is a chain of items in
consecutive layers, and no two links between the same layers cross. Blocks therefore have an order from left to right
without a cycle, and any such order can be given coordinates.
"""

from __future__ import annotations

from bisect import bisect_left

from zkynet.visual.levels import Levels
from zkynet.visual.rows import Rows
from zkynet.visual.trunk import Trunk

Pieces = dict[tuple[int, int], tuple[float, float]]


def blocks_of(levels: Levels, rows: Rows, trunk: Trunk, pieces: Pieces) -> tuple[list[int], list[float]]:
    """For each item its block, numbered from 0, and its distance from the place of the block."""
    place = {item: i for row in rows.rows for i, item in enumerate(row)}
    below: dict[int, int] = {}
    above: dict[int, int] = {}
    taken: list[list[tuple[int, int]]] = [[] for _ in rows.rows]  # by upper layer: places, upper and lower, both rising

    def link(layer: int, upper: int, lower: int) -> None:
        if upper in below or lower in above:
            return
        pair = (place[upper], place[lower])
        i = bisect_left(taken[layer], pair)
        if (i and taken[layer][i - 1][1] >= pair[1]) or (i < len(taken[layer]) and taken[layer][i][1] <= pair[1]):
            return
        taken[layer].insert(i, pair)
        below[upper], above[lower] = lower, upper

    for box, sides in rows.sides.items():
        first = levels.span[box][0]
        for i, (upper, lower) in enumerate(zip(sides, sides[1:])):
            link(first + i, upper[0], lower[0])
            link(first + i, upper[1], lower[1])
    for item, under in _wishes(levels, trunk):
        link(levels.layer[item], item, under)
    return _chains(len(rows.kind), below, above, pieces)


def _chains(count: int, below: dict[int, int], above: dict[int, int], pieces: Pieces) -> tuple[list[int], list[float]]:
    block, offset = [0] * count, [0.0] * count
    number = 0
    for item in range(count):
        if item in above:
            continue
        block[item] = number
        upper = item
        while (lower := below.get(upper)) is not None:
            start, end = pieces.get((upper, lower), (0.0, 0.0))
            block[lower], offset[lower] = number, offset[upper] + start - end
            upper = lower
        number += 1
    return block, offset


def _wishes(levels: Levels, trunk: Trunk) -> list[tuple[int, int]]:
    """The pairs of items that should stand below each other, the most important first: long edges, then nodes."""
    found = []
    for upper, lower in enumerate(trunk.down):
        if lower is not None and trunk.up[lower] == upper:
            passing = (upper >= levels.nodes) + (lower >= levels.nodes)
            goes_in = passing == 2 and levels.box[upper] != levels.box[lower]
            if goes_in and not levels.up[levels.source[upper]]:
                continue  # a leaf's line need not be straight where that would make the box wide
            found.append((0 if passing == 2 else 1 + passing, upper, lower))
    return [(upper, lower) for _, upper, lower in sorted(found)]
