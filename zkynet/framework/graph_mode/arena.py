"""One stretch of memory, laid out ahead of time: offsets for blocks that live from one step to another."""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush

ALIGNED = 64  # bytes: a cache line


def aligned(offset: int) -> int:
    """``offset``, or the next one at which a cache line begins."""
    return -(-offset // ALIGNED) * ALIGNED


class Arena:
    """Gives out offsets, step by step: the smallest free gap that fits, else behind all that lives.

    ``size`` is what it came to. Each block costs the logarithm of the number of gaps.
    """

    def __init__(self) -> None:
        self.size = 0
        self._top = 0  # where the last block in use ends
        self._gaps: list[tuple[int, int]] = []  # (size, offset), sorted
        self._starts: dict[int, int] = {}  # offset of a gap -> its size
        self._ends: dict[int, int] = {}  # where a gap ends -> its offset
        self._blocks: dict[int, tuple[int, int]] = {}  # offset -> (size, last step)
        self._dying: list[tuple[int, int]] = []  # a heap of (last step, offset)

    def take(self, size: int, step: int, last: int) -> int:
        """The offset of a block of ``size`` bytes that is written in ``step`` and read until ``last``."""
        self._free_before(step)
        size = aligned(max(size, 1))
        i = bisect_left(self._gaps, (size, -1))
        if i < len(self._gaps):
            gap, offset = self._gaps[i]
            self._drop(offset, gap)
            if gap > size:
                self._add(offset + size, gap - size)
        else:
            offset = self._top
            self._top += size
            self.size = max(self.size, self._top)
        self._blocks[offset] = size, last
        heappush(self._dying, (last, offset))
        return offset

    def keep(self, offset: int, last: int) -> None:
        """The block at ``offset`` is used again, and read until ``last``."""
        self._blocks[offset] = self._blocks[offset][0], last
        heappush(self._dying, (last, offset))

    def _free_before(self, step: int) -> None:
        """Blocks that nobody reads from ``step`` on become gaps, one with those beside them."""
        while self._dying and self._dying[0][0] < step:
            last, offset = heappop(self._dying)
            size, lives = self._blocks.get(offset, (0, -1))
            if lives != last:  # kept for longer
                continue
            del self._blocks[offset]
            if offset + size in self._starts:
                behind = self._starts[offset + size]
                self._drop(offset + size, behind)
                size += behind
            if offset in self._ends:
                start = self._ends[offset]
                self._drop(start, offset - start)
                offset, size = start, size + offset - start
            if offset + size == self._top:
                self._top = offset
            else:
                self._add(offset, size)

    def _add(self, offset: int, size: int) -> None:
        insort(self._gaps, (size, offset))
        self._starts[offset], self._ends[offset + size] = size, offset

    def _drop(self, offset: int, size: int) -> None:
        del self._gaps[bisect_left(self._gaps, (size, offset))]
        del self._starts[offset], self._ends[offset + size]
