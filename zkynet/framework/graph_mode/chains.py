"""Chains: neighbouring elementwise steps on large arrays, block by block, so that what they make stays in the cache.

Blocks are cut along the first axis, or along all entries in a line where nothing broadcasts. A block holds a multiple
of ``_GRAIN`` entries, so that NumPy's vector loops meet the same groups of entries as in the whole arrays: the results
are the same bit by bit.
"""

from __future__ import annotations

import math

from .calls import is_array
from .lifetimes import Lifetimes, nbytes
from .program import Value

# Measured on a processor with caches of 1 and 32 MiB, float32: below, blocks lose what their calls cost, at four times
# as much they take half of the time. Smaller blocks lose too: a call takes as long as 16 KiB of a sum.
BLOCK_BYTES = 1 << 19  # of each array at a time
LEAST_BYTES = 1 << 25  # of the arrays that a chain makes and reads, together: smaller ones are in the cache anyway
_GRAIN = 64  # entries


class Chain:
    """Steps ``start`` up to ``stop``, run for ``rows`` of the first axis at a time, or entries where ``flat``.

    ``shape`` is that of all their results; ``inner`` are those that nobody reads but the chain: they exist in blocks
    alone.
    """

    __slots__ = ("flat", "inner", "rows", "shape", "start", "stop")

    def __init__(self, start: int, stop: int, shape: tuple[int, ...], rows: int, flat: bool, inner: frozenset[Value]):
        self.start, self.stop, self.shape, self.rows, self.flat, self.inner = start, stop, shape, rows, flat, inner

    @property
    def length(self) -> int:
        """Of the axis that is cut."""
        return math.prod(self.shape) if self.flat else self.shape[0]

    def is_cut(self, value: Value) -> bool:
        """Whether a block takes its part of ``value``; otherwise it broadcasts."""
        if self.flat:
            return bool(value.shape)
        shape = value.shape or ()
        return len(shape) == len(self.shape) and shape[0] != 1


def find_chains(life: Lifetimes) -> list[Chain]:
    """The chains of a program, in order."""
    steps, found, start = life.program.steps, [], 0
    while start < len(steps):
        stop = start
        while stop < len(steps) and _fits(life, start, stop):
            stop += 1
        chain = _chain(life, start, stop) if stop - start >= 2 else None
        if chain is not None:
            found.append(chain)
        start = max(stop, start + 1)
    return found


def _fits(life: Lifetimes, start: int, i: int) -> bool:
    """Whether step ``i`` can go on a chain that begins with ``start``."""
    step, first = life.program.steps[i], life.program.steps[start]
    return life.calls[i].elementwise and life.can_be_told(i) and step.outputs.shape == first.outputs.shape


def _chain(life: Lifetimes, start: int, stop: int) -> Chain | None:
    """The chain of these steps, or None where it does not pay."""
    steps = life.program.steps[start:stop]
    shape = steps[0].outputs.shape
    made = {step.outputs for step in steps}
    inner = frozenset(x for x in made if life.until[x] < stop and life.last[x] < stop and x not in life.kept)
    outer = {x for step in steps for x in step.reads if is_array(x)} - made
    if not inner or sum(map(nbytes, made | outer)) < LEAST_BYTES:
        return None
    size = max(x.dtype.itemsize for x in made | outer)
    whole = all(x.shape in ((), shape) for x in outer)
    flat = len(shape) > 1 and whole and all(life.orders.get(x, "C") == "C" and _contiguous(life, x) for x in outer)
    width = 1 if flat else math.prod(shape[1:])
    grain = _GRAIN // math.gcd(_GRAIN, width)
    rows = max(1, BLOCK_BYTES // (size * width) // grain) * grain
    length = math.prod(shape) if flat else shape[0]
    if length < 2 * rows:
        return None
    return Chain(start, stop, shape, rows, flat, inner)


def _contiguous(life: Lifetimes, value: Value) -> bool:
    """Whether ``value`` is a whole array of the program's own, or given from outside, not a part of one."""
    return life.sources[value] == {value}
