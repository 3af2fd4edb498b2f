"""Programs in two lanes, for tests: they have to give what the program gives."""

import numpy as np

from support.graph_programs import NUMPY, difference
from zkynet.framework.graph_mode import lanes as two
from zkynet.framework.graph_mode.batch_axes import HalfBatch
from zkynet.framework.graph_mode.batch_rules import RULES

N = 6  # the batch: also the size of features, heads and tables below, so that axes can be taken for each other
INT = np.dtype("int64")
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


def integers(high, *shape):
    return RNG.integers(0, high, shape)


def runner(program):
    def run(arrays):
        with program.xp.errstate():
            return program(*arrays)

    return run


def by_lanes(lanes, arrays):
    return two.run(lanes, runner(lanes.before), runner(lanes.first), runner(lanes.rest), list(arrays))


def halved(write, batch, outputs, least=0.0):
    """The lanes of a written program, None where there are none; their results are those of the program."""
    program = write.program(*outputs)
    lanes = two.split(program, batch, least=least)
    if lanes is not None:
        for value, a, b in zip(outputs, runner(program)(write.arrays), by_lanes(lanes, write.arrays), strict=True):
            assert difference(NUMPY, a, b, 1e-12) is None, f"{value}\n{program}\n\n{lanes.first}\n\n{lanes.rest}"
    return lanes


def states(write, batch, value):
    """What ``value`` is in a lane."""
    program = write.program(value)
    return HalfBatch(program, dict.fromkeys(batch, 0), N).walk(RULES).states.get(value)


def functions(program):
    return [step.function for step in program.steps]
