"""Elementwise steps fused into kernels, on a stand-in for CuPy that runs their text by a C compiler, and on CuPy.

The stand-in shows which steps come together, in which order, and what the text computes. That a GPU gives the same bits
fused as step by step is shown on a GPU alone, where each kernel also is compared with its steps when it first runs.
"""

import numpy as np
import pytest

from support import backends as backends_here
from support import standin_cupy
from support.graph_programs import Writer, difference, random_program, run
from zkynet.framework.graph_mode import device_kernels
from zkynet.framework.graph_mode.device_kernels import COMPARED, Group, Runner, same


@pytest.fixture(scope="module", params=("stand-in", "cupy"))
def xp(request):
    """The backend: on the stand-in, and on CuPy itself where it can compute."""
    if request.param == "cupy":
        yield backends_here.get("cupy")
    else:
        with standin_cupy.registered() as found:
            yield found


def sizes(runner):
    """How many steps each item holds."""
    return [len(item.steps) if isinstance(item, Group) else 1 for item in runner.items]


def both(program, arrays, times=1):
    """A Runner that has run, after its outputs were compared with those of the program."""
    wanted, runner = run(program, arrays), Runner(program, {})
    for _ in range(times):
        given = list(arrays)
        for a, b in zip(wanted, runner(given), strict=True):
            assert difference(program.xp, a, b) is None, f"{program}\n{runner.items}"
        assert not given
    return runner


def affine(xp, shape=(4, 3)):
    """relu(x * w + b), and the sum of it."""
    write = Writer(xp)
    x, w, b = [write.input(np.arange(12, dtype="float32").reshape(4, 3)[: s[0]] - 5) for s in (shape, (1, 3), (1, 3))]
    y = write("relu", write("add", write("multiply", x, w), b))
    return write, y


def test_a_chain_is_one_kernel_that_writes_what_others_read(xp):
    write, y = affine(xp)
    runner = both(write.program(write("sum", y, axis=0)), write.arrays, COMPARED)
    assert sizes(runner) == [3, 1]
    (group,) = runner.groups
    assert group.made == [y] and group.state == f"a kernel of 3 steps, compared in {COMPARED} of {COMPARED} runs"
    assert runner.settled


def test_an_output_in_the_middle_of_a_chain_is_written_too(xp):
    write, y = affine(xp)
    middle = write.steps[1].outputs
    runner = both(write.program(middle, y, y), write.arrays)
    assert runner.groups[0].made == [middle, y]


def test_steps_come_together_over_others_that_they_do_not_need(xp):
    write = Writer(xp)
    x, m = write.input(np.ones((2, 3))), write.input(np.ones((3, 2)))
    a = write("multiply", x, 2.0)
    product = write("matmul", m, x)
    b = write("add", a, 1.0)
    runner = both(write.program(product, b), write.arrays)
    assert sizes(runner) == [1, 2] and runner.items[0].function == "matmul"


def test_a_reader_outside_closes_a_group(xp):
    write = Writer(xp)
    x = write.input(np.arange(6.0).reshape(2, 3))
    a = write("add", write("multiply", x, 2.0), 1.0)
    total = write("sum", a, axis=-1, keepdims=True)
    b = write("add", write("subtract", a, total), 3.0)
    assert sizes(both(write.program(b), write.arrays)) == [2, 1, 2]


def test_groups_of_two_shapes_that_read_each_other(xp):
    write = Writer(xp)
    x, row = write.input(np.arange(6.0).reshape(2, 3)), write.input(np.arange(3.0))
    a, small = write("negative", x), write("negative", row)
    small = write("square", small)
    a = write("add", a, small)
    small = write("add", small, 1.0)
    a = write("multiply", a, small)
    assert sizes(both(write.program(a, small), write.arrays)) == [2, 1, 3]


def test_a_kernel_has_no_more_arguments_than_it_may(xp, monkeypatch):
    monkeypatch.setattr(device_kernels, "MOST_ARRAYS", 4)
    write = Writer(xp)
    total = write.input(np.ones(5))
    for k in range(9):
        total = write("add", total, write.input(np.full(5, float(k))))
    runner = both(write.program(total), write.arrays)
    assert sizes(runner) == [2, 2, 2, 2, 1]  # three arrays come in, one goes out


def test_arrays_without_entries_stay_steps(xp):
    write = Writer(xp)
    x = write.input(np.ones((0, 3)))
    assert not both(write.program(write("negative", write("add", x, 1.0))), write.arrays).groups


def test_without_refusals_nothing_is_fused(xp):
    write, y = affine(xp)
    assert not Runner(write.program(y), None).groups


def test_what_nobody_reads_any_more_is_let_go(xp):
    program, _ = random_program(3, xp=xp, lengths=(2, 3), steps=25)
    runner = Runner(program, {})
    gone = [x for dying in runner._dying for x in dying]
    made = {x for item in runner.items for x in (item.made if isinstance(item, Group) else item.makes)}
    assert len(gone) == len(set(gone)) and not set(gone) & set(program.outputs) and made <= {*gone, *program.outputs}


@pytest.mark.parametrize("block", range(4))
def test_random_programs_keep_every_bit(xp, block):
    """On the stand-in a kernel whose functions end in other bits is found when it is compared, and not used."""
    fused = 0
    for seed in range(block * 12, block * 12 + 12):
        program, arrays = random_program(seed, xp=xp, lengths=(2, 3), steps=20)
        fused += sum(len(group.steps) for group in both(program, arrays).groups if group.refused is None)
    assert fused > 20


# ---- kernels that are wrong ----


def wrong(xp, monkeypatch, kernel):
    monkeypatch.setattr(xp, "elementwise_kernel", kernel, raising=False)
    write, y = affine(xp)
    return both(write.program(write("sum", y, axis=0)), write.arrays, 2), write


def test_a_kernel_that_gives_other_bits_is_not_used(xp, monkeypatch):
    real = type(xp).elementwise_kernel

    def off_by_one_bit(*text):
        return lambda *args: tuple([xp.nextafter(y, y + 1) for y in real(xp, *text)(*args)])

    runner, _ = wrong(xp, monkeypatch, off_by_one_bit)
    (group,) = runner.groups
    assert "is not used" in group.state and "is not what multiply add relu give" in group.state
    assert runner.settled


def test_a_kernel_that_does_not_compile_is_not_used(xp, monkeypatch):
    def broken(*text):
        raise RuntimeError("nvrtc: error: no such thing")

    runner, _ = wrong(xp, monkeypatch, broken)
    assert runner.groups[0].state == "a kernel of 3 steps is not used: RuntimeError: nvrtc: error: no such thing"


def test_what_a_kernel_that_has_worked_raises_is_not_swallowed(xp, monkeypatch):
    real, calls = type(xp).elementwise_kernel, []

    def failing(*text):
        def launch(*args):
            calls.append(1)
            if len(calls) > 1:
                raise MemoryError("out of memory")
            return real(xp, *text)(*args)

        return launch

    monkeypatch.setattr(xp, "elementwise_kernel", failing, raising=False)
    write, y = affine(xp)
    runner = both(write.program(y), write.arrays)
    with pytest.raises(MemoryError):
        runner(list(write.arrays))


def test_programs_that_share_refusals_learn_from_each_other(xp, monkeypatch):
    write, y = affine(xp)
    refusals = {}
    one, other = Runner(write.program(y), refusals), Runner(write.program(y), refusals)
    monkeypatch.setattr(xp, "elementwise_kernel", lambda *text: lambda *args: (args[0] * 0 - 7,), raising=False)
    one(list(write.arrays))
    assert other.groups[0].refused is not None


SAME = {
    "equal": ([1.0, float("nan"), -0.0], [1.0, float("nan"), -0.0], True),
    "zeros of two signs": ([0.0], [-0.0], False),
    "NaN and a number": ([float("nan")], [1.0], False),
    "two shapes": ([1.0, 1.0], [1.0], False),
    "two dtypes": ([1.0], [1], False),
    "complex": ([1 + 1j], [1 - 1j], False),
    "equal complex": ([complex(float("nan"), 1)], [complex(float("nan"), 1)], True),
    "integers": ([1, 2], [1, 3], False),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_the_same_bit_by_bit(xp, case):
    a, b, wanted = SAME[case]
    assert same(xp, xp.asarray(np.array(a)), xp.asarray(np.array(b))) is wanted
