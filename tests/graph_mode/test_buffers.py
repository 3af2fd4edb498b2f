"""Memory that is used again: who may overlap with whom, and how much it is."""

import numpy as np
import pytest

from support.graph_plans import Builder, mlp_step, random_plan, same
from zkynet.framework.graph_mode import buffers
from zkynet.framework.graph_mode.buffers import Layout, Pool, new_arena
from zkynet.framework.graph_mode.chains import find_chains
from zkynet.framework.graph_mode.codegen import generate
from zkynet.framework.graph_mode.lifetimes import Lifetimes, nbytes

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def layout_of(program):
    life = Lifetimes(program)
    return life, Layout(life, find_chains(life))


@pytest.mark.parametrize("seed", range(40))
def test_no_two_arrays_that_live_at_a_time_overlap(seed):
    build, outputs = random_plan(seed, steps=40)
    life, layout = layout_of(build.program(*outputs))
    placed = [(x, place.offset, place.offset + nbytes(x)) for x, place in layout.places.items()]
    for i, (x, start, end) in enumerate(placed):
        assert end <= layout.arena
        assert place_is_aligned(layout, x)
        for y, other, stop in placed[:i]:
            first, second = sorted((x, y), key=lambda value: life.made[value])
            if start < stop and other < end and life.until[first] >= life.made[second]:
                assert life.until[first] == life.made[second]  # written over the operand
                assert life.calls[life.made[second]].elementwise
                assert layout.places[first].key == layout.places[second].key


def place_is_aligned(layout, value):
    return layout.places[value].offset % 64 == 0


@pytest.mark.parametrize("seed", range(20))
def test_outputs_share_memory_with_nothing(seed):
    build, outputs = random_plan(seed)
    generated = generate(build.program(*outputs))
    given = build.fresh_inputs()
    got = [generated.function(list(given)) for _ in range(2)]
    kept = [view for views in generated._pool._free for view in views if isinstance(view, np.ndarray)]
    everything = [x for results in got for x in results]
    for i, x in enumerate(everything):
        others = [*everything[:i], *given, *build.constants.values(), *kept]
        assert not any(np.shares_memory(x, other) for other in others)
        assert getattr(x, "flags", None) is None or not x.shape or x.flags.writeable


def test_a_chain_of_small_steps_needs_one_buffer():
    build = Builder()
    x = y = build.input(np.arange(10.0))
    for _ in range(50):
        y = build("multiply", y, 0.5)
    life, layout = layout_of(build.program(y))
    assert {place.key for place in layout.places.values()} == {(0, (10,), np.dtype("f8"))}
    assert x not in layout.places
    assert y not in layout.places
    assert layout.nbytes == 208  # 80 bytes in a place of 128, and the output


def test_a_view_keeps_the_memory_behind_it():
    build = Builder()
    x = build.input(np.ones((4, 4)))
    y = build("add", x, 1)
    view = build("matrix_transpose", build("reshape", y, (2, 8)))
    z = build("multiply", x, 3)
    last = build("sum", build("matmul", view, build("reshape", z, (2, 8))))
    _, layout = layout_of(build.program(last))
    assert layout.places[y].offset != layout.places[z].offset


def test_what_has_another_layout_is_not_written_where_it_is_told():
    """A sum over the rows of a transposed array adds up in another order."""
    build = Builder()
    x = build.input(np.random.default_rng(0).normal(size=(40, 300)).astype("f4"))
    turned = build("multiply", build("matrix_transpose", x), 3)
    total = build("sum", turned, axis=0)
    program = build.program(build("add", total, 1))
    _, layout = layout_of(program)
    assert turned not in layout.places
    assert same(generate(program).function(build.fresh_inputs())[0], program(*build.fresh_inputs())[0])


def test_results_outside_of_the_arena_are_written_over():
    build = Builder()
    x = build.input(np.random.default_rng(0).normal(size=(1, 2, 8, 8)))
    w = build.input(np.random.default_rng(1).normal(size=(3, 2, 3, 3)))
    y = build("conv", x, w, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    z = build("relu", y)
    program = build.program(z)
    life, layout = layout_of(program)
    assert layout.over == {z: y}
    assert layout.nbytes == nbytes(y)
    got = generate(program).function(build.fresh_inputs())
    assert same(got[0], program(*build.fresh_inputs())[0])


def test_an_updated_parameter_is_not_written_over(monkeypatch):
    monkeypatch.setattr(buffers, "rows_of", lambda life: [])  # parameters stay where they are
    build, outputs = mlp_step((128, 96, 90))
    doubled = build("multiply", outputs[1], 2)
    program = build.program(*outputs[2:], doubled)
    owned = build.fresh_inputs()
    want = program(*build.fresh_inputs())
    new = generate(build.program(*outputs)).function(build.fresh_inputs())[1]
    got = generate(program).function(list(owned))
    assert all(map(same, got, want))
    assert same(owned[3], new)


def test_the_peak_of_a_step_is_reported():
    build, outputs = mlp_step((784, 256, 128, 10), 32)
    generated = generate(build.program(*outputs))
    largest = 4 * 784 * 256  # the gradient of the first layer
    assert largest < generated.kept_nbytes <= generated.nbytes < 1.5 * largest
    assert generate(build.program(*outputs), None, {"buffers"}).kept_nbytes == 0


def test_a_pool_makes_what_it_lacks():
    made = []
    pool = Pool(lambda: made.append(0) or (len(made),))
    first, second = pool.take(), pool.take()
    assert (first, second) == ((1,), (2,))
    pool.give(first)
    assert pool.take() is first
    assert len(made) == 2


def test_an_arena_begins_where_a_cache_line_does():
    for size in (1, 100, 4096):
        arena = new_arena(size)
        assert arena.nbytes == size
        assert arena.ctypes.data % 64 == 0
