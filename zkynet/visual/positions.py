"""Horizontal places: short and straight edges, with neighbours at their distances.

Each block has one coordinate. Neighbours in a row give constraints x[a] + gap <= x[b], which have no cycle. From a
first placement on, every block is moved towards the mean of what it is connected to, and the constraints are then
restored by pushing everything to the right, pushing everything to the left, and taking the mean of the two: the
constraints are linear, so the mean of two solutions is one, and nothing is preferred to a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkynet.visual.blocks import blocks_of
from zkynet.visual.levels import Levels
from zkynet.visual.ports import Ports
from zkynet.visual.rows import PASSING, Rows, distance, rows_of
from zkynet.visual.trunk import Trunk

ROUNDS = 80


@dataclass(frozen=True)
class Columns:
    """``x`` of the middle of every item of the levels, and left and right side of every box (``sides[0]`` unused)."""

    x: list[float]
    sides: list[tuple[float, float]]


def columns_of(levels: Levels, trunk: Trunk, widths: list[float], ports: Ports, box_widths: list[float]) -> Columns:
    """Places for ``levels`` in their final order; box b is at least ``box_widths[b]`` wide."""
    rows = rows_of(levels, widths)
    block, offset = blocks_of(levels, rows, trunk, ports.pieces)
    gaps: dict[tuple[int, int], float] = {}

    def keep(left: int, right: int, gap: float) -> None:
        pair = (block[left], block[right])
        gap += offset[left] - offset[right]
        gaps[pair] = max(gaps.get(pair, gap), gap)

    for row in rows.rows:
        for left, right in zip(row, row[1:]):
            keep(left, right, distance(rows, left, right))
    for box, sides in rows.sides.items():
        keep(sides[0][0], sides[0][1], box_widths[box])
    order = _Order(max(block, default=-1) + 1, gaps)
    lefts = [block[sides[0][0]] for sides in rows.sides.values()]
    rights = [block[sides[0][1]] for sides in rows.sides.values()]
    springs = _Springs(levels, rows, ports, block, offset, order.count)
    near_right, near_left = _loose(order, springs, {*lefts, *rights})
    x = _settle(order, springs, lefts + near_right, rights + near_left)
    middle = [x[block[item]] + offset[item] for item in range(len(levels.layer))]
    return Columns(middle, [(0.0, 0.0), *((x[left], x[right]) for left, right in zip(lefts, rights))])


class _Order:
    """The constraints between blocks, sorted so that one pass over them restores them all."""

    def __init__(self, count: int, gaps: dict[tuple[int, int], float]) -> None:
        self.count = count
        waiting = [0] * count
        right_of: list[list[tuple[int, float]]] = [[] for _ in range(count)]
        left_of: list[list[tuple[int, float]]] = [[] for _ in range(count)]
        for (left, right), gap in gaps.items():
            right_of[left].append((right, gap))
            left_of[right].append((left, gap))
            waiting[right] += 1
        order = [each for each in range(count) if not waiting[each]]
        for each in order:  # grows while it is read
            for right, _ in right_of[each]:
                waiting[right] -= 1
                if not waiting[right]:
                    order.append(right)
        self.right_of, self.left_of, self.order = right_of, left_of, order
        self.to_right = [(left, right, gap) for left in order for right, gap in right_of[left]]
        self.to_left = [(left, right, gap) for right in reversed(order) for left, gap in left_of[right]]

    def pushed(self, x: list[float]) -> list[float]:
        """``x`` with all gaps kept."""
        right, left = list(x), list(x)
        for a, b, gap in self.to_right:
            if right[a] + gap > right[b]:
                right[b] = right[a] + gap
        for a, b, gap in self.to_left:
            if left[b] - gap < left[a]:
                left[a] = left[b] - gap
        return [(a + b) / 2 for a, b in zip(right, left)]

    def tighten(self, x: list[float], lefts: list[int], rights: list[int]) -> None:
        """Move the sides of boxes to what they hold: inner boxes before outer ones."""
        is_left, is_right = set(lefts), set(rights)
        for each in reversed(self.order):
            if each in is_left:
                x[each] = min(x[right] - gap for right, gap in self.right_of[each])
        for each in self.order:
            if each in is_right:
                x[each] = max(x[left] + gap for left, gap in self.left_of[each])


class _Springs:
    """The pieces of edges between different blocks, as arrays."""

    def __init__(
        self, levels: Levels, rows: Rows, ports: Ports, block: list[int], offset: list[float], count: int
    ) -> None:
        upper, lower, shift, weight = [], [], [], []
        for (a, b), (start, end) in ports.pieces.items():
            if block[a] != block[b]:
                upper.append(block[a])
                lower.append(block[b])
                shift.append(offset[a] + start - offset[b] - end)
                passing = (rows.kind[a] == PASSING) + (rows.kind[b] == PASSING)
                # A long edge that goes into a box bends outside of it: so the box stays narrow.
                goes_in = passing == 2 and levels.box[a] != levels.box[b]
                weight.append(0.75 if goes_in else (1.0, 2.0, 6.0)[passing])
        self.upper, self.lower = np.array(upper, dtype=int), np.array(lower, dtype=int)
        self.shift, self.weight = np.array(shift), np.array(weight)
        self.count = count
        self.above, self.below = self._sum(self.lower, self.weight), self._sum(self.upper, self.weight)
        self.total = self.above**5 + self.below**5

    def _sum(self, ends: np.ndarray, what: np.ndarray) -> np.ndarray:
        return np.bincount(ends, what, self.count)

    def wanted(self, x: np.ndarray) -> np.ndarray:
        """The mean of the places at which a block's edges would be straight; its own place where it has none.

        The side with more edges counts for much more, so that a sum stands in the middle below its two terms, and is
        not drawn out of it by the one edge that goes on.
        """
        up = self._sum(self.lower, (x[self.upper] + self.shift) * self.weight)
        down = self._sum(self.upper, (x[self.lower] - self.shift) * self.weight)
        pulled = self.above**4 * up + self.below**4 * down
        return np.where(self.total > 0, pulled / np.where(self.total > 0, self.total, 1.0), x)


def _loose(order: _Order, springs: _Springs, sides: set[int]) -> tuple[list[int], list[int]]:
    """Blocks without any edge, which stay close to their neighbour on the right, or else to that on the left."""
    near_right: list[int] = []
    near_left: list[int] = []
    held = set(range(order.count)).difference(sides, np.flatnonzero(springs.total == 0).tolist())
    for each in reversed(order.order):
        if not springs.total[each] and each not in sides:
            if any(right in held for right, _ in order.right_of[each]):
                near_right.append(each)
                held.add(each)
            elif order.left_of[each]:
                near_left.append(each)
    return near_right, near_left


def _settle(order: _Order, springs: _Springs, lefts: list[int], rights: list[int]) -> list[float]:
    x = order.pushed([0.0] * order.count)
    for number in range(ROUNDS):
        pull = 0.9 if number < ROUNDS // 2 else 0.6
        now = np.array(x)
        wish = (now + pull * (springs.wanted(now) - now)).tolist()
        order.tighten(wish, lefts, rights)
        x = order.pushed(wish)
    order.tighten(x, lefts, rights)
    return x
