"""The layered graph: edges over several layers are cut into pieces of one layer each.

In each layer that an edge only passes, a place is kept for it, an item of no node. All edges from one node share these
places as long as they go together: they carry the same value, and one line that branches is easier to follow than
many. A shared parameter with 60 uses so takes the room of one line, not of 60.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zkynet.visual.boxtree import BoxTree, common

NOBODY = -1


@dataclass
class Levels:
    """Items by number; the first ones are the nodes in the picture's order.

    ``layer``, ``box`` (innermost), ``source`` (the node whose value passes; a node's own number) by item; ``up`` and
    ``down`` are its neighbours one layer higher and lower, each once; ``routes[e]`` the items of edge e from end to
    end; ``layers`` the items of each layer from left to right; ``span[b]`` the first and last layer of box b.
    """

    tree: BoxTree
    nodes: int
    layer: list[int] = field(default_factory=list)
    box: list[int] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    up: list[list[int]] = field(default_factory=list)
    down: list[list[int]] = field(default_factory=list)
    routes: list[list[int]] = field(default_factory=list)
    layers: list[list[int]] = field(default_factory=list)
    span: list[tuple[int, int]] = field(default_factory=list)

    def add(self, layer: int, box: int, source: int) -> int:
        item = len(self.layer)
        self.layer.append(layer)
        self.box.append(box)
        self.source.append(source)
        self.up.append([])
        self.down.append([])
        self.layers[layer].append(item)
        return item


def levels_of(rank: list[int], edges: list[tuple[int, int]], tree: BoxTree) -> Levels:
    """The layered graph of nodes at ``rank`` and ``edges``, which all go down."""
    levels = Levels(tree, len(rank))
    levels.layers = [[] for _ in range(max(rank, default=-1) + 1)]
    for node, layer in enumerate(rank):
        levels.add(layer, tree.of_node[node], node)
    levels.span = _spans(rank, tree)
    places: dict[tuple[int, int, int], int] = {}
    joined: set[tuple[int, int]] = set()
    for source, target in edges:
        route = [source]
        for layer in range(rank[source] + 1, rank[target]):
            key = (source, layer, _box_at(layer, source, target, levels))
            if key not in places:
                places[key] = levels.add(layer, key[2], source)
            route.append(places[key])
        route.append(target)
        levels.routes.append(route)
        for pair in zip(route, route[1:]):
            if pair not in joined:
                joined.add(pair)
                levels.down[pair[0]].append(pair[1])
                levels.up[pair[1]].append(pair[0])
    _fill_empty_boxes(levels)
    return levels


def _spans(rank: list[int], tree: BoxTree) -> list[tuple[int, int]]:
    low, high = [len(rank)] * len(tree), [-1] * len(tree)
    for node, layer in enumerate(rank):
        box = tree.of_node[node]
        low[box], high[box] = min(low[box], layer), max(high[box], layer)
    for box in range(len(tree) - 1, 0, -1):
        parent = tree.parents[box]
        low[parent], high[parent] = min(low[parent], low[box]), max(high[parent], high[box])
    return list(zip(low, high))


def _box_at(layer: int, source: int, target: int, levels: Levels) -> int:
    """The box in which an edge passes ``layer``: it leaves a box through the bottom and enters one from the top."""
    tree = levels.tree
    first, second = tree.chains[tree.of_node[source]], tree.chains[tree.of_node[target]]
    shared = common(first, second)
    for box in reversed(first[shared:]):
        if levels.span[box][1] >= layer:
            return box
    for box in reversed(second[shared:]):
        if levels.span[box][0] <= layer:
            return box
    return first[shared - 1] if shared else 0


def _fill_empty_boxes(levels: Levels) -> None:
    """An item of nobody wherever a box passes a layer without any: each box has a place in each of its layers."""
    present = {(box, layer) for item, layer in enumerate(levels.layer) for box in levels.tree.chains[levels.box[item]]}
    for box in range(len(levels.tree) - 1, 0, -1):  # inner ones first: they fill the outer ones too
        for layer in range(levels.span[box][0], levels.span[box][1] + 1):
            if (box, layer) not in present:
                levels.add(layer, box, NOBODY)
                present.update((outer, layer) for outer in levels.tree.chains[box])
