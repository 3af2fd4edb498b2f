"""Saved slopes: what a backward pass makes of the forward pass's arrays alone is made as soon as they are there.

The slope of a gelu is made of four arrays of the forward pass, and read much later, when the cotangent comes: until
then one array is held in place of four. Steps move as they are, so that every bit stays. They move where fewer bytes
are then held, each for as many steps as it is.
"""

from __future__ import annotations

from itertools import accumulate

from ..program import Program, Step, Value
from .facts import ELEMENTWISE, VIEWS, entries, makes, reads

LEAST_BYTES = 1 << 14  # of the array that is saved: with smaller ones nothing is gained
MOST_STEPS = 32  # that move together


def saved_slopes(program: Program) -> Program:
    """The program with such steps earlier."""
    order = _Order(program)
    moved: dict[Step, int] = {}  # behind which step each goes
    for i in reversed(range(len(program.steps))):
        step = program.steps[i]
        if step in moved or step.function not in ELEMENTWISE or not order.is_large(step.outputs):
            continue
        group = order.group(i)
        anchor = order.anchor(group)
        if order.is_far(anchor, i) and order.gain(group, anchor, i) > 0:
            moved.update(dict.fromkeys(group, anchor))
    if not moved:
        return program
    placed = sorted(range(len(program.steps)), key=lambda i: (moved.get(program.steps[i], i), i))
    return program.replace(steps=[program.steps[i] for i in placed])


class _Order:
    """Where the Values of a program are made and read, and by what names their memory is known."""

    def __init__(self, program: Program):
        self._steps = program.steps
        self._made = {value: i for i, step in enumerate(program.steps) for value in makes(step)}
        self._outputs = frozenset(program.outputs)
        self._readers: dict[Value, list[int]] = {}
        self._roots: dict[Value, Value] = {}
        self._held: dict[Value, list[int]] = {}  # who reads the memory of a Value, by any name
        others = [step.function not in ELEMENTWISE for step in program.steps]
        self._others = list(accumulate(others, initial=0))  # how many there are before each step
        for i, step in enumerate(program.steps):
            inner = dict.fromkeys(reads(step))
            for value in inner:
                self._readers.setdefault(value, []).append(i)
                self._held.setdefault(self._root(value), []).append(i)
            if step.function in VIEWS:
                for value in makes(step):
                    self._roots[value] = self._root(next(iter(inner), value))
        for value in program.outputs:
            self._held.setdefault(self._root(value), []).append(len(program.steps))

    def _root(self, value: Value) -> Value:
        return self._roots.get(value, value)

    def is_large(self, value: Value) -> bool:
        """Whether it pays to save it; what is given back is held to the end anyway."""
        return value not in self._outputs and _nbytes(value) >= LEAST_BYTES

    def is_far(self, anchor: int, i: int) -> bool:
        """Whether something but elementwise steps stands between."""
        return self._others[i] > self._others[anchor + 1]

    def group(self, i: int) -> dict[Step, int]:
        """Step ``i`` and the elementwise ones before it that it alone needs, with their places, the last first."""
        group = {self._steps[i]: i}
        waiting = [i]
        while waiting and len(group) < MOST_STEPS:
            i = max(waiting)  # the last first: all that may read it has been looked at
            waiting.remove(i)
            group[self._steps[i]] = i
            for value in dict.fromkeys(reads(self._steps[i])):
                maker = self._made.get(value, -1)
                if maker >= 0 and maker not in waiting and self._is_needed_by(value, maker, group):
                    waiting.append(maker)
        return group

    def _is_needed_by(self, value: Value, maker: int, group: dict[Step, int]) -> bool:
        """Whether nobody but the group reads what an elementwise step makes."""
        if self._steps[maker].function not in ELEMENTWISE or value in self._outputs:
            return False
        return all([self._steps[reader] in group for reader in self._readers[value]])

    def anchor(self, group: dict[Step, int]) -> int:
        """The last step that makes something which the group reads; -1 where inputs are all."""
        return max(-1, *[self._made.get(value, -1) for value in self._outside(group)])

    def gain(self, group: dict[Step, int], anchor: int, i: int) -> int:
        """How many bytes less are held, times steps, if the group that ends with step ``i`` is behind ``anchor``."""
        saved = 0
        places = frozenset(group.values())
        for root in dict.fromkeys([self._root(value) for value in self._outside(group)]):
            if root in self._made:  # what is given from outside is held anyway
                held = self._held[root]
                others = max([reader for reader in held if reader not in places], default=anchor)
                saved += _nbytes(root) * max(0, max(held) - max(others, anchor))
        return saved - _nbytes(self._steps[i].outputs) * (i - anchor)

    def _outside(self, group: dict[Step, int]) -> dict[Value, None]:
        """What the group reads and does not make."""
        read = dict.fromkeys([value for step in group for value in reads(step)])
        return {value: None for value in read if self._made.get(value, -1) not in group.values()}


def _nbytes(value: Value) -> int:
    return entries(value) * getattr(value.dtype, "itemsize", 0)
