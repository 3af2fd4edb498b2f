"""Which neighbour each item should stand exactly below and above: the trunk of a computation is drawn straight.

Of the arguments of a node, the one that much is computed for is the main one, and parameters stand beside it; arguments
of equal standing both stand aside. A long edge comes before what branches off it.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkynet.visual.levels import Levels

_WEAK, _PASSING, _NODE, _LONG, _TRUNK = 1, 2, 3, 4, 10**9


@dataclass(frozen=True)
class Trunk:
    """``up[i]`` and ``down[i]``: the main neighbour of item i above and below, None where there is none or no single
    one.

    ``place[i]`` is the place of item i in its layer.
    """

    up: list[int | None]
    down: list[int | None]
    place: list[int]


def trunk_of(levels: Levels, is_input: list[bool]) -> Trunk:
    """The trunk of ``levels`` in their final order; ``is_input[i]`` says that node i is an input, not a parameter."""
    count = len(levels.layer)
    place = [0] * count
    for layer in levels.layers:
        for i, item in enumerate(layer):
            place[item] = i
    strength, reach = _strengths(levels, is_input), _reaches(levels)

    def weight_up(item: int, upper: int) -> int:
        strongest = max(strength[each] for each in levels.up[item])
        if 2 * strength[upper] <= strongest:
            return _WEAK
        return _PASSING if upper >= levels.nodes else _NODE

    up = [
        _middle(levels.up[item], [weight_up(item, upper) for upper in levels.up[item]], place) for item in range(count)
    ]

    def weight_down(item: int, lower: int) -> int:
        if lower >= levels.nodes:
            return _LONG + reach[lower] if item >= levels.nodes else _PASSING
        if up[lower] != item:
            return _WEAK
        return _TRUNK if strength[item] >= _INPUT else _NODE

    down = []
    for item in range(count):
        weights = [weight_down(item, lower) for lower in levels.down[item]]
        main = _middle(levels.down[item], weights, place)
        if main is None and _TRUNK in weights:  # two go on from here: then at least a long edge is straight
            passing = [lower for lower in levels.down[item] if lower >= levels.nodes]
            main = _middle(passing, [reach[lower] for lower in passing], place)
        down.append(main)
    return Trunk(up, down, place)


_INPUT, _PARAMETER = 0.5, 0.25


def _strengths(levels: Levels, is_input: list[bool]) -> list[float]:
    """How much each value has behind it: the longest way from a leaf, counted in nodes; less than 1 for leaves."""
    strength = [0.0] * len(levels.layer)
    for layer in levels.layers:
        for item in layer:
            uppers = levels.up[item]
            if item < levels.nodes:
                leaf = _INPUT if is_input[item] else _PARAMETER
                strength[item] = float(int(max(strength[upper] for upper in uppers)) + 1) if uppers else leaf
            else:
                strength[item] = max((strength[upper] for upper in uppers), default=_PARAMETER)
    return strength


def _reaches(levels: Levels) -> list[int]:
    """The lowest layer that the edges through each place come to; its own layer for a node."""
    reach = list(levels.layer)
    for layer in reversed(levels.layers):
        for item in layer:
            if item >= levels.nodes:
                reach[item] = max((reach[lower] for lower in levels.down[item]), default=reach[item])
    return reach


def _middle(items: list[int], weights: list[int], place: list[int]) -> int | None:
    """The middle one of those with the greatest weight; None where there is no middle."""
    if not items:
        return None
    top = max(weights)
    best = sorted((item for item, weight in zip(items, weights) if weight == top), key=place.__getitem__)
    return best[len(best) // 2] if len(best) % 2 else None
