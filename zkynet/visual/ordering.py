"""The order of the items in each layer: few crossings, and every box in one piece.

Sweeps down and up sort each layer by the mean place of its neighbours in the layer before; between them, neighbours in
a layer change places where that saves crossings. Boxes that stand beside each other keep one order in all layers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from zkynet.visual.levels import Levels


def arrange(levels: Levels, start: list[float], sweeps: int = 24) -> None:
    """Put ``levels.layers`` in order: sorted by ``start``, then the best of at most ``sweeps`` sweeps."""
    work = _Work(levels)
    work.order_boxes(start)
    for layer in levels.layers:
        work.sort(layer, start)
    best, best_crossings, without_gain = [list(layer) for layer in levels.layers], crossings(levels), 0
    for sweep in range(sweeps):
        if best_crossings == 0 or without_gain >= 6:
            break
        work.sweep(downwards=sweep % 2 == 0)
        work.swap_neighbours(passes=3)
        now = crossings(levels)
        without_gain += 1
        if now < best_crossings:
            best, best_crossings, without_gain = [list(layer) for layer in levels.layers], now, 0
    levels.layers = best


def crossings(levels: Levels) -> int:
    """How many pairs of edge pieces cross."""
    total = 0
    for upper, lower in zip(levels.layers, levels.layers[1:]):
        place = {item: i for i, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted(place[below] for below in levels.down[item])
            for end in ends:
                total += len(seen) - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
    return total


def reading_order(count: int, edges: list[tuple[int, int]]) -> list[float]:
    """A number for each node: when one meets it who starts at the results and follows the arguments in order."""
    arguments: list[list[int]] = [[] for _ in range(count)]
    used = [False] * count
    for source, target in edges:
        arguments[target].append(source)
        used[source] = True
    number, met = [0.0] * count, [False] * count
    clock = 0
    for result in range(count):
        if used[result]:
            continue
        stack = [(result, iter(arguments[result]))]
        met[result] = True
        while stack:
            node, rest = stack[-1]
            argument = next((each for each in rest if not met[each]), None)
            if argument is None:
                number[node] = float(clock)
                clock += 1
                stack.pop()
            else:
                met[argument] = True
                stack.append((argument, iter(arguments[argument])))
    return number


class _Work:
    """The places of all items while they are being ordered."""

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self.place = [0] * len(levels.layer)
        self.box_order = [0] * len(levels.tree)
        self.flat = len(levels.tree) == 1

    def order_boxes(self, value: list[float]) -> None:
        """Fix one order among the boxes, by the mean ``value`` of what they hold."""
        if self.flat:
            return
        total, count = [0.0] * len(self.box_order), [0] * len(self.box_order)
        for item, box in enumerate(self.levels.box):
            for outer in self.levels.tree.chains[box]:
                total[outer] += value[item]
                count[outer] += 1
        for number, box in enumerate(sorted(range(1, len(total)), key=lambda b: (total[b] / count[b], b))):
            self.box_order[box] = number

    def sort(self, layer: list[int], value: list[float]) -> None:
        """Sort ``layer`` in place by ``value``, its boxes in one piece and in the fixed order."""
        levels, place = self.levels, self.place
        box = levels.box
        if self.flat or len({box[item] for item in layer}) == 1:
            layer.sort(key=lambda item: (value[item], place[item]))
        else:
            inside = self._box_values(layer, value)
            prefix = {
                each: tuple((inside[outer], 0, self.box_order[outer]) for outer in levels.tree.chains[each])
                for each in {box[item] for item in layer}
            }
            layer.sort(key=lambda item: (*prefix[box[item]], (value[item], 1, place[item])))
        for i, item in enumerate(layer):
            place[item] = i

    def _box_values(self, layer: list[int], value: list[float]) -> dict[int, float]:
        """A value for each box in ``layer``, rising in the fixed order among the boxes of one parent."""
        tree = self.levels.tree
        total: dict[int, float] = {}
        count: dict[int, int] = {}
        for item in layer:
            for box in tree.chains[self.levels.box[item]]:
                total[box] = total.get(box, 0.0) + value[item]
                count[box] = count.get(box, 0) + 1
        families: dict[int, list[int]] = {}
        for box in sorted(total, key=self.box_order.__getitem__):
            families.setdefault(tree.parents[box], []).append(box)
        rising: dict[int, float] = {}
        for family in families.values():
            rising.update(_rising(family, total, count))
        return rising

    def sweep(self, downwards: bool) -> None:
        layers = self.levels.layers if downwards else self.levels.layers[::-1]
        neighbours = self.levels.up if downwards else self.levels.down
        relative = self._relative_places()
        self.order_boxes(relative)
        value = list(relative)
        for layer in layers:
            for item in layer:
                if near := neighbours[item]:
                    value[item] = sum([relative[each] for each in near]) / len(near)
            self.sort(layer, value)
            size = len(layer)
            for i, item in enumerate(layer):
                relative[item] = (i + 0.5) / size

    def _relative_places(self) -> list[float]:
        relative = [0.0] * len(self.place)
        for layer in self.levels.layers:
            for i, item in enumerate(layer):
                relative[item] = (i + 0.5) / len(layer)
        return relative

    def swap_neighbours(self, passes: int) -> None:
        """Swap items beside each other, of the same box, wherever that saves crossings."""
        box = self.levels.box
        for _ in range(passes):
            gained = False
            for layer in self.levels.layers:
                for i in range(len(layer) - 1):
                    left, right = layer[i], layer[i + 1]
                    if box[left] == box[right] and self._gain(left, right) > 0:
                        layer[i], layer[i + 1] = right, left
                        self.place[left], self.place[right] = i + 1, i
                        gained = True
            if not gained:
                break

    def _gain(self, left: int, right: int) -> int:
        """How many crossings it saves to swap two neighbours."""
        gain = 0
        for side in (self.levels.up, self.levels.down):
            if side[left] and side[right]:
                a, b = [self.place[each] for each in side[left]], sorted([self.place[each] for each in side[right]])
                for each in a:
                    gain += bisect_left(b, each) - (len(b) - bisect_right(b, each))
        return gain


def _rising(family: list[int], total: dict[int, float], count: dict[int, int]) -> dict[int, float]:
    """Means of ``family``, pooled with their neighbours where they would fall."""
    pools: list[tuple[float, int, list[int]]] = []
    for box in family:
        pool = (total[box], count[box], [box])
        while pools and pools[-1][0] / pools[-1][1] > pool[0] / pool[1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    return {box: pooled / number for pooled, number, boxes in pools for box in boxes}
