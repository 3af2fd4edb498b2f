"""The arena: no two blocks that live at a time overlap, and what is free is used again."""

import random

import pytest

from zkynet.framework.graph_mode.arena import ALIGNED, Arena


@pytest.mark.parametrize("seed", range(20))
def test_blocks_that_live_at_a_time_do_not_overlap(seed):
    rng = random.Random(seed)
    arena, blocks, most = Arena(), [], 0
    for step in range(200):
        blocks = [each for each in blocks if each[2] >= step]
        if blocks and rng.random() < 0.2:
            offset, end, last = blocks.pop(rng.randrange(len(blocks)))
            last = max(last, step + rng.randrange(5))
            arena.keep(offset, last)
        else:
            size, last = rng.choice([1, 64, 100, 1000, 4096]), step + rng.choice([0, 1, 5, 50])
            offset = arena.take(size, step, last)
            end = offset + size
        assert offset % ALIGNED == 0 and end <= arena.size
        assert all(end <= start or stop <= offset for start, stop, _ in blocks), step
        blocks.append((offset, end, last))
        most = max(most, sum(-(-(stop - start) // ALIGNED) * ALIGNED for start, stop, _ in blocks))
    assert most <= arena.size < 1.7 * most


def test_neighbours_become_one_gap():
    arena = Arena()
    places = [arena.take(64, 0, 1) for _ in range(4)]
    assert places == [0, 64, 128, 192]
    arena.take(64, 1, 9)
    assert arena.take(256, 2, 3) == 0
    assert arena.size == 320


def test_twenty_thousand_blocks_are_no_trouble():
    arena = Arena()
    for step in range(20_000):
        arena.take(80, step, 40_000 - step)
    assert arena.size == 20_000 * 128
