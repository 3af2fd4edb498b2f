"""Large elementwise steps, block by block."""

import numpy as np
import pytest

from support.graph_plans import Builder, same
from zkynet.framework.graph_mode import chains
from zkynet.framework.graph_mode.buffers import Layout
from zkynet.framework.graph_mode.chains import find_chains
from zkynet.framework.graph_mode.codegen import generate
from zkynet.framework.graph_mode.lifetimes import Lifetimes

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture
def small(monkeypatch):
    """Blocks of 512 numbers of single precision, however small the arrays."""
    monkeypatch.setattr(chains, "LEAST_BYTES", 0)
    monkeypatch.setattr(chains, "BLOCK_BYTES", 2048)


def normal(*shape, dtype="f4"):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


def check(build, *outputs):
    """The chains of the program, whose code gives the same bits."""
    program = build.program(*outputs)
    want = program(*build.fresh_inputs())
    generated = generate(program)
    for _ in range(2):
        assert all(map(same, generated.function(build.fresh_inputs()), want)), generated.source
    found = find_chains(Lifetimes(program))
    assert generated.source.count("# a block at a time") == len(found)
    assert len(found) < 2 or generated.kept_nbytes
    return found


def gelu(build, x):
    inner = build("multiply", build("add", build("multiply", build("multiply", x, x), 0.044715), 1), x)
    return build("multiply", build("multiply", build("add", build("tanh", inner), 1), x), 0.5)


def test_a_chain_runs_in_blocks(small):
    build = Builder()
    x = build.input(normal(5000))
    (chain,) = check(build, gelu(build, x))
    assert (chain.start, chain.stop, chain.rows, len(chain.inner)) == (0, 8, 512, 7)


def test_all_entries_of_several_axes_are_cut_as_a_line(small):
    build = Builder()
    x = build.input(normal(2, 3000))
    (chain,) = check(build, gelu(build, x))
    assert chain.flat
    assert chain.rows == 512


@pytest.mark.parametrize("shape", [(24,), (300, 1), (1, 24), (1, 1), (), (1,)], ids=str)
def test_what_broadcasts_is_taken_whole(small, shape):
    build = Builder()
    x, row = build.input(normal(300, 24)), build.input(normal(*shape))
    (chain,) = check(build, build("exp", build("add", build("multiply", x, row), row)))
    assert chain.flat == (shape == ())
    assert chain.rows % (1 if chain.flat else 8) == 0


def test_results_that_others_read_are_whole(small):
    build = Builder()
    x = build.input(normal(3000))
    y = build("multiply", x, 2)
    z = build("add", build("tanh", y), y)
    total = build("sum", y)
    (chain,) = check(build, z, total)
    assert y not in chain.inner
    (chain,) = check(build, z, y)
    assert len(chain.inner) == 1


def test_booleans_and_numbers_of_other_sizes_in_a_chain(small):
    build = Builder()
    x = build.input(normal(3000))
    y = build("greater", build("multiply", x, 2), 0.5)
    z = build("add", build("multiply", y, x), np.float64(3))
    (chain,) = check(build, build("multiply", z, build.input(normal(3000, dtype="f8"))))
    assert len(chain.inner) == 4


def test_a_view_ends_a_chain(small):
    build = Builder()
    x = build.input(normal(64, 64))
    y = build("multiply", build("add", x, 1), 2)
    check(build, build("exp", build("add", y, build("matrix_transpose", y))))


def test_an_operand_that_dies_within_a_chain_is_not_written_over_too_early(small):
    """What another step of the same block still reads, and what other blocks read."""
    build = Builder()
    x = build.input(normal(4096))
    a = build("sort", build("multiply", x, 2))
    b = build("multiply", a, x)
    c = build("add", b, a)
    d = build("exp", build("subtract", c, 1))
    check(build, build("sum", d), build("multiply", build("sum", c), 2), d)


def test_what_a_chain_reads_first_is_not_overwritten_for_the_blocks_behind(small):
    """The result has entries twice as long as the operand that has died, and could begin where it begins."""
    build = Builder()
    x, wide = build.input(normal(4096)), build.input(normal(4096, dtype="f8"))
    y = build("add", x, 1)
    total = build("sum", y)
    z = build("add", build("multiply", build("multiply", y, 2), 3), wide)
    program = build.program(total, build("sum", z))
    check(build, *program.outputs)
    life = Lifetimes(program)
    layout = Layout(life, find_chains(life))
    assert layout.places[z].offset >= layout.places[y].offset + 4 * 4096


def test_an_operand_is_not_written_over_where_its_view_is_read_as_well(small):
    build = Builder()
    y = build("astype", build.input(normal(128, 64)), np.dtype("f4"))
    z = build("add", y, build("broadcast_to", build("getitem", y, 3), (128, 64)))
    assert check(build, build("exp", build("multiply", z, 0.5)), build("multiply", build("sum", z), 2))


def test_what_is_read_twice_in_a_block_stays_until_then(small):
    build = Builder()
    y = build("multiply", build.input(normal(4096)), 2)
    z = build("exp", build("tanh", y))
    check(build, build("add", build("subtract", z, 1), y))


def test_two_chains_share_the_memory_of_their_blocks(small):
    build = Builder()
    y = gelu(build, build.input(normal(4096)))
    total = build("cumulative_sum", y)
    assert len(check(build, gelu(build, total))) == 2


def test_the_loop_leaves_no_view_behind(small):
    """The parameter is updated in place behind it."""
    from zkynet.framework.graph_mode.program import Step
    from zkynet.optim.sgd import plain

    build = Builder()
    p, lr = build.input(normal(4096)), build.input((0.1,))
    g = build("multiply", build("tanh", build("multiply", p, 2)), 3)
    new = build.value(build.arrays[p])
    build.steps.append(Step("update_in_blocks", (plain, [[p, g]], lr), {}, [(new,)]))
    program, owned = build.program(new), build.fresh_inputs()
    assert len(find_chains(Lifetimes(program))) == 1
    want = program(*build.fresh_inputs())
    got = generate(program).function(list(owned))
    assert got[0] is owned[0]
    assert same(got[0], want[0])


def test_small_arrays_are_left_whole():
    build = Builder()
    assert check(build, gelu(build, build.input(normal(5000)))) == []


def test_chains_can_be_switched_off(small):
    build = Builder()
    program = build.program(gelu(build, build.input(normal(5000))))
    assert "for " not in generate(program, None, {"chains"}).source


def test_large_chains_need_less_memory():
    build = Builder()
    program = build.program(gelu(build, build.input(np.zeros(1 << 21, "f4"))))
    with_blocks, whole = generate(program), generate(program, None, {"chains"})
    assert "for " in with_blocks.source
    assert with_blocks.nbytes < whole.nbytes
    assert with_blocks.nbytes < 1.3 * (4 << 21)
