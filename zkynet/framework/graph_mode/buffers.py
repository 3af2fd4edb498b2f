"""Where a program's arrays live: memory laid out once, and used again as soon as nobody reads it.

Steps that can be told where to write, do so in one arena per running call, at an offset that is free from the step on
until the last reader of the array, and of every view of it, has run; an elementwise step may write over an operand that
dies with it. What the program gives back never lies in the arena.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from zkynet.backends.numpy_slab import members

from ..record import HOST
from .arena import ALIGNED, Arena, aligned
from .chains import Chain
from .gradients import rows_of
from .lifetimes import Lifetimes, nbytes
from .program import Value

np = HOST.namespace


class Place:
    """``shape`` and ``dtype`` at ``offset`` of the arena."""

    __slots__ = ("dtype", "offset", "shape")

    def __init__(self, offset: int, shape: tuple[int, ...], dtype: Any):
        self.offset, self.shape, self.dtype = offset, shape, dtype

    @property
    def key(self) -> tuple:
        return self.offset, self.shape, self.dtype

    def view(self, arena: Any) -> Any:
        """The array there."""
        return np.ndarray(self.shape, self.dtype, arena, self.offset)


class Layout:
    """Where results are written: ``places`` in the arena, ``over`` an operand, or in memory made for them.

    ``rows`` are the gradients whose places are side by side; ``scratch`` holds, for what a chain makes in blocks alone,
    the place of one block. ``arena`` is the arena's size and ``nbytes`` that of all that the program holds at its peak,
    without inputs and constants.
    """

    def __init__(self, life: Lifetimes, chains: list[Chain], reuse: bool = True):
        self.places: dict[Value, Place] = {}
        self.over: dict[Value, Value] = {}
        self.scratch: dict[Value, Place] = {}
        self.arena = 0
        self._life = life
        self._chain_of = {i: chain for chain in chains for i in range(chain.start, chain.stop)}
        self._arena = Arena()
        self.rows = rows_of(life) if reuse else []
        self._row_of = {value: row for row in self.rows for value in row}
        if reuse:
            for i in range(len(life.program.steps)):
                self._place(i)
        base = self.arena = self._arena.size
        for chain in chains:
            self._place_blocks(chain, base)
        self.nbytes = self.arena + self._peak_outside()

    def _end(self, i: int) -> int:
        """The step after which memory that dies at ``i`` is free: all of a chain runs for one block, then the next."""
        return self._chain_of[i].stop - 1 if i in self._chain_of else i

    def _place(self, i: int) -> None:
        life, step = self._life, self._life.program.steps[i]
        chain = self._chain_of.get(i)
        if not life.can_be_told(i) or (chain is not None and step.outputs in chain.inner):
            return
        made = step.outputs
        if made in self._row_of:
            if made not in self.places:
                self._place_row(self._row_of[made], i)
            return
        operand = self._dying(i) if life.calls[i].elementwise else None
        if operand is not None and operand not in self.places:
            self.over[made] = operand
        elif made in life.kept:
            return
        elif operand is not None:
            place = self.places[made] = self.places[operand]
            self._arena.keep(place.offset, self._end(life.until[made]))
        else:
            offset = self._arena.take(nbytes(made), i, self._end(life.until[made]))
            self.places[made] = Place(offset, made.shape, made.dtype)

    def _place_row(self, row: list[Value], i: int) -> None:
        """Gradients, of which step ``i`` makes the first, until the update that reads them all."""
        offset = self._arena.take(sum(map(nbytes, row)), i, max(self._end(self._life.until[x]) for x in row))
        for value in row:
            self.places[value] = Place(offset, value.shape or (), value.dtype)
            offset += nbytes(value)

    def beside(self, arena: Any) -> dict[tuple, Any]:
        """The arrays of ``rows``, by the keys of their places."""
        found: dict[tuple, Any] = {}
        for row in self.rows:
            places = [self.places[x] for x in row]
            arrays = members(arena, places[0].offset, [place.shape for place in places], places[0].dtype)
            found.update(zip([place.key for place in places], arrays, strict=True))
        return found

    def _dying(self, i: int) -> Value | None:
        """An operand of step ``i`` that its result may be written over: never what one of several results is."""
        life, made, chain = self._life, self._life.program.steps[i].outputs, self._chain_of.get(i)
        for x in life.program.steps[i].reads:
            fits = x.shape == made.shape and x.dtype == made.dtype and life.orders.get(x) == "C"
            if fits and life.dies_at(x, i) and (chain is None or x not in chain.inner):
                return x
        return None

    def _place_blocks(self, chain: Chain, base: int) -> None:
        """Give what exists in blocks alone the memory of one block, from ``base`` on."""
        life, free = self._life, []
        shape = (chain.rows, *(() if chain.flat else chain.shape[1:]))
        width = aligned(math.prod(shape) * max(x.dtype.itemsize for x in chain.inner))
        for i in range(chain.start, chain.stop):
            step = life.program.steps[i]
            free += [
                self.scratch[x].offset for x in dict.fromkeys(step.reads) if x in chain.inner and life.until[x] == i
            ]
            made = step.outputs
            if made not in chain.inner:
                continue
            if not free:
                free.append(base)
                base += width
            self.scratch[made] = Place(free.pop(), shape, made.dtype)
            if life.until[made] == i:
                free.append(self.scratch[made].offset)
        self.arena = max(self.arena, base)

    def _peak_outside(self) -> int:
        """The most bytes that results outside of the arena hold at a time."""
        life, last = self._life, len(self._life.program.steps)
        until = dict(life.until)
        for made, operand in reversed(self.over.items()):
            until[operand] = max(until[operand], until[made])
        change = [0] * (last + 2)
        for value, i in life.made.items():
            inside = value in self.places or value in self.scratch or value in self.over
            updated = i >= 0 and life.program.steps[i].function == "update_in_blocks"  # its owner's memory
            if i >= 0 and life.owns(value) and not inside and not updated:
                change[i] += nbytes(value)
                change[min(until[value], last) + 1] -= nbytes(value)
        return max(accumulate(change))


class Pool:
    """Sets of buffers, one for each call that runs at the same time: ``take`` one, ``give`` it back."""

    __slots__ = ("_free", "_make")

    def __init__(self, make: Callable[[], tuple]):
        self._make = make
        self._free: list[tuple] = []

    def take(self) -> tuple:
        """A set that nobody uses; a new one where all are in use."""
        try:
            return self._free.pop()
        except IndexError:
            return self._make()

    def give(self, buffers: tuple) -> None:
        """Take back a set."""
        self._free.append(buffers)

    def clear(self) -> None:
        """Give the memory of all sets that nobody uses back."""
        self._free.clear()


def new_arena(size: int) -> Any:
    """``size`` bytes that begin where a cache line does."""
    raw = np.empty(size + ALIGNED, np.uint8)
    start = -raw.ctypes.data % ALIGNED
    return raw[start : start + size]


def blocks_of(chain: Chain, places: list[Place], arena: Any) -> list[tuple]:
    """For each block of a chain: the slice of its axis, and the memory of ``places`` cut to its length."""
    views = [place.view(arena) for place in places]
    cuts = [slice(start, min(start + chain.rows, chain.length)) for start in range(0, chain.length, chain.rows)]
    return [(cut, *(view[: cut.stop - cut.start] for view in views)) for cut in cuts]
