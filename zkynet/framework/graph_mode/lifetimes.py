"""What the steps of a program do with memory: who may share it with whom, and until when it is read."""

from __future__ import annotations

import math

from .calls import Call, call_of, is_array, is_fresh, order_of, shares_memory_with
from .program import Program, Value

# Stands for memory that nobody here knows of: a function that takes no arrays may always give the same one.
_ELSEWHERE = Value(-1, None, None)


def nbytes(value: Value) -> int:
    """The memory of an array."""
    return math.prod(value.shape or ()) * itemsize(value) if value.shape is not None else 0


def itemsize(value: Value) -> int:
    """The bytes of one entry; 0 where there is no array."""
    return getattr(value.dtype, "itemsize", 0)


class Lifetimes:
    """Of a program of n steps: its ``calls``, and for its Values

    ``sources``: the Values whose memory it may be a part of, itself where that memory is its own.
    ``made``: the step that makes it; -1 for inputs and constants.
    ``last``: the last step that reads it; n for outputs.
    ``until``: the last step at which its own memory is read, by any name.
    ``orders``: see ``calls.order_of``; inputs are taken to be in the order of C.
    ``copied``: for each output that has to be copied the step before which it is, n for the end. An output is copied
    where it may share memory with an input, a constant or an output before it: the caller may write to all of them.
    """

    def __init__(self, program: Program, own_outputs: bool = True):
        self.program = program
        self.calls: list[Call] = [call_of(program, step) for step in program.steps]
        n = len(program.steps)
        given = [*program.inputs, *program.constants]
        self.sources: dict[Value, frozenset[Value]] = {value: frozenset((value,)) for value in given}
        self.made, self.last = dict.fromkeys(given, -1), dict.fromkeys(given, -1)
        self.orders: dict[Value, str] = {}
        for value, array in program.constants.items():
            self.orders[value] = "C" if getattr(getattr(array, "flags", None), "c_contiguous", False) else ""
        self._updates = [i for i, step in enumerate(program.steps) if step.function == "update_in_blocks"]
        for i, (step, call) in enumerate(zip(program.steps, self.calls, strict=True)):
            self._add(i, step, call)
        self.copied = self._copies(n) if own_outputs else {}
        for i, value in enumerate(program.outputs):
            self.last[value] = max(self.last[value], self.copied.get(i, n))
        self.until: dict[Value, int] = {}
        for value, sources in self.sources.items():
            for source in sources:
                self.until[source] = max(self.until.get(source, -1), self.last[value], self.made[value])
        self.kept = frozenset().union(*[self.sources[value] for value in program.outputs])

    def _add(self, i, step, call):
        for value in step.reads:
            self.last[value] = i
        shared = [self.sources[x] for x in shares_memory_with(step, call)]
        fresh = is_fresh(step, call)
        for value in step.makes:
            own = frozenset((value,)) if fresh else frozenset((_ELSEWHERE,))
            self.sources[value] = frozenset().union(*shared) if shared else own
            self.made[value] = self.last[value] = i
        if type(step.outputs) is Value and step.outputs.shape is not None:
            self.orders[step.outputs] = order_of(step, call, self.orders)

    def _copies(self, n: int) -> dict[int, int]:
        """An update writes to what somebody else holds by a copy: outputs that show the old numbers come before it."""
        taken = {_ELSEWHERE, *self.program.inputs, *self.program.constants}
        copied = {}
        for i, value in enumerate(self.program.outputs):
            if not is_array(value):  # Python's numbers and objects
                continue
            if self.sources[value] & taken:
                copied[i] = next((update for update in self._updates if update > self.made[value]), n)
            taken |= self.sources[value]
        return copied

    def owns(self, value: Value) -> bool:
        """Whether a step made ``value`` in memory of its own."""
        return self.made[value] >= 0 and self.sources[value] == {value}

    def dies_at(self, value: Value, i: int) -> bool:
        """Whether nobody reads the memory that ``value`` owns after step ``i``, and step ``i`` by no other name."""
        if not self.owns(value) or self.until[value] > i:
            return False
        return not any(other is not value and value in self.sources[other] for other in self.program.steps[i].reads)

    def can_be_told(self, i: int) -> bool:
        """Whether step ``i`` can be told where to write, and gives bit by bit what it gives without."""
        made, call = self.program.steps[i].outputs, self.calls[i]
        told = call.out and is_array(made) and made.shape and 0 not in made.shape and self.orders[made] == "C"
        return bool(told) and itemsize(made) > 0 and all(is_array(x) for x in self.program.steps[i].reads)
