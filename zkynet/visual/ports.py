"""Where on a node's upper and lower side its arrows end: beside each other, in the order of where they come from."""

from __future__ import annotations

from dataclasses import dataclass

from zkynet.visual import style
from zkynet.visual.levels import Levels
from zkynet.visual.trunk import Trunk


@dataclass(frozen=True)
class Ports:
    """Distances from the middle of a node: ``start[e]`` and ``end[e]`` for edge e.

    ``pieces`` has the same for every piece of an edge between two items, 0 at items that are no nodes: the pair of
    items, and the distances at its upper and lower end. Parallel edges have one piece, at their mean.
    """

    start: list[float]
    end: list[float]
    pieces: dict[tuple[int, int], tuple[float, float]]


def ports_of(levels: Levels, trunk: Trunk, widths: list[float]) -> Ports:
    """The ports of nodes that are ``widths`` wide; the edge from or to the main neighbour is in the middle."""
    routes, place = levels.routes, trunk.place
    start, end = [0.0] * len(routes), [0.0] * len(routes)
    leaving: list[list[int]] = [[] for _ in range(levels.nodes)]
    arriving: list[list[int]] = [[] for _ in range(levels.nodes)]
    for number, route in enumerate(routes):
        leaving[route[0]].append(number)
        arriving[route[-1]].append(number)
    for node in range(levels.nodes):
        groups = _groups(sorted(leaving[node], key=lambda e: (place[routes[e][1]], e)), routes)
        mains = [i for i, group in enumerate(groups) if routes[group[0]][1] == trunk.down[node]]
        for offset, group in zip(_spread(len(groups), mains, widths[node]), groups):
            for edge in group:
                start[edge] = offset
        by_source = sorted(arriving[node], key=lambda e: (place[routes[e][-2]], e))
        mains = [i for i, edge in enumerate(by_source) if routes[edge][-2] == trunk.up[node]]
        for offset, edge in zip(_spread(len(by_source), mains, widths[node]), by_source):
            end[edge] = offset
    return Ports(start, end, _pieces(routes, start, end))


def _groups(edges: list[int], routes: list[list[int]]) -> list[list[int]]:
    """Edges that go on to one place that is not their end leave together."""
    groups: list[list[int]] = []
    for edge in edges:
        if groups and len(routes[edge]) > 2 and routes[groups[-1][0]][1] == routes[edge][1]:
            groups[-1].append(edge)
        else:
            groups.append([edge])
    return groups


def _spread(count: int, mains: list[int], width: float) -> list[float]:
    """Distances from the middle for ``count`` ports; the single main one is at 0 if there is room."""
    if count < 2:
        return [0.0] * count
    middle = mains[0] if len(mains) == 1 else (count - 1) / 2
    gap = min(style.PORT_GAP, (width / 2 - 12.0) / max(middle, count - 1 - middle))
    if gap < style.PORT_GAP_MIN:  # so close that arrow heads would touch: all to the same distances instead
        middle = (count - 1) / 2
        gap = min(style.PORT_GAP, (width - 24.0) / (count - 1))
    return [(i - middle) * gap for i in range(count)]


def _pieces(
    routes: list[list[int]], start: list[float], end: list[float]
) -> dict[tuple[int, int], tuple[float, float]]:
    found: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for number, route in enumerate(routes):
        last = len(route) - 2
        for i, pair in enumerate(zip(route, route[1:])):
            ends = (start[number] if i == 0 else 0.0, end[number] if i == last else 0.0)
            found.setdefault(pair, []).append(ends)
    return {
        pair: (sum(a for a, _ in ends) / len(ends), sum(b for _, b in ends) / len(ends)) for pair, ends in found.items()
    }
