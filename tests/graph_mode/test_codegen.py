"""Programs as Python: the same results bit by bit, readable, and updates in place."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from support.graph_plans import NUMBERS, Builder, mlp_step, random_plan, same
from zkynet.framework.graph_mode import buffers, chains
from zkynet.framework.graph_mode.codegen import generate
from zkynet.framework.graph_mode.program import Program, Step, Value
from zkynet.framework.record import HOST
from zkynet.optim.adam import adam

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
OFF = [set(), {"buffers"}, {"chains"}, {"numbers"}, {"buffers", "chains", "numbers"}]
ADAM = (0.9, 0.999, 1e-3, 1e-8)


def check(build, outputs, off=frozenset()):
    """The generated function gives what the program gives, twice, and leaves what it is given as it was."""
    program = build.program(*outputs)
    want = program(*build.fresh_inputs())
    generated = generate(program, None, off)
    given, constants = build.fresh_inputs(), [np.array(x) for x in build.constants.values()]
    for _ in range(2):
        got = generated.function(list(given))
        generated.function([x + 1 if hasattr(x, "shape") else x for x in given])  # has its own outputs
        assert all(map(same, got, want)), generated.source
        assert [type(x) for x in got] == [type(x) for x in want]
    assert all(map(same, given, build.fresh_inputs()))
    assert all(map(same, build.constants.values(), constants))
    return generated, given, got


@pytest.mark.parametrize("off", OFF, ids=lambda off: "+".join(sorted(off)) or "everything on")
@pytest.mark.parametrize("seed", range(25))
def test_random_programs_give_the_same_bits(seed, off):
    check(*random_plan(seed), off)


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_in_small_blocks_give_the_same_bits(seed, monkeypatch):
    monkeypatch.setattr(chains, "LEAST_BYTES", 0)
    monkeypatch.setattr(chains, "BLOCK_BYTES", 1024)
    check(*random_plan(seed, sizes=((64, 16), (16,), (64, 1), (16, 64), (700,), (2, 64, 16), ())))


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u1", "c8", "b1"])
def test_numbers_as_arrays_promote_as_numbers_do(dtype, number):
    for function in ("multiply", "add", "greater", "divide"):
        build = Builder()
        x = build.input(np.asarray([0, 1, 1], dtype))
        try:
            y = build(function, x, number)
        except (TypeError, OverflowError):
            continue
        check(build, [y, build(function, number, x)])


def test_a_number_that_an_integer_dtype_cannot_hold_still_compares():
    build = Builder()
    x = build.input(np.asarray([1, 2], "i1"))
    check(build, [build("less", x, 300), build("greater", x, 2.5)])


def test_the_source_reads_as_numpy():
    build = Builder()
    x, w = build.input(np.ones((2, 3), "f4")), build.input(np.ones((3, 4), "f4"))
    y = build("multiply", build("relu", build("matmul", x, w)), 0.5)
    z = build("getitem", build("conv", *[build.input(np.ones((1, 1, 4, 4)))] * 2, (1, 1), ((0, 0),) * 2, (1, 1), 1), 0)
    source = generate(build.program(y, z), {x: "x", w: "layers.0.weight"}, {"buffers"}).source
    for line in (
        "n0_5 = np.array(0.5, np.float32)",
        "    x, layers_0_weight, t5 = inputs",
        "    # user.py:0",
        "    t2 = np.matmul(x, layers_0_weight)  # (2, 4)",
        "    t3 = np.maximum(t2, n0)  # (2, 4)",
        "    t4 = np.multiply(t3, n0_5)  # (2, 4)",
        "    t6 = xp.conv(t5, t5, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)  # (1, 1, 1, 1)",
        "    t7 = t6[0]  # (1, 1, 1)",
        "    return [t4, t7]",
    ):
        assert line in source.splitlines()


def test_names_are_made_valid_and_unique():
    build = Builder()
    values = [build.input(np.ones(2) * i) for i in range(6)]
    total = values[0]
    for value in values[1:]:
        total = build("add", build("multiply", total, 2), value)
    names = dict(zip(values, ["np", "lambda", "1 a", "t6", "t6", "inputs"], strict=True))
    generated = generate(build.program(total), names)
    assert generated.source.splitlines()[4].strip() == "np_2, _lambda, _1_a, t6, t6_2, inputs_2 = inputs"
    assert same(generated.function(build.fresh_inputs())[0], build.program(total)(*build.fresh_inputs())[0])


def test_indices_slices_and_special_numbers_are_written_as_they_are():
    build = Builder()
    x, i = build.input(np.arange(24.0).reshape(4, 6)), build.input(np.array([2, 0]))
    y = [
        build("getitem", x, (slice(None, None, -2), None, Ellipsis)),
        build("getitem", x, (i,)),
        build("getitem", x, (slice(1, None), i)),
        build("getitem", x, ()),
        build("add", x, -float("inf")),
        build("multiply", x, float("nan")),
        build("add", x, 1 - 2j),
        build("full", (2,), -0.0, dtype=np.dtype("f4")),
        build("astype", x, np.float32),
        build("where", build("greater", x, 3), x, np.float64(0.25)),
    ]
    check(build, y)


def test_functions_with_several_results():
    build = Builder()
    q = build.input(np.random.default_rng(0).normal(size=(2, 3, 4)))
    y, shares = build("attention", q, q, q, True)
    first, second = build("linalg.slogdet", build("matmul", q, build("matrix_transpose", q)))
    check(build, [build("multiply", y, 2), shares, first, second, *build("unstack", q, axis=1)])


LARGE = (128, 96, 90)  # matrices so large that an update never moves them; small arrays it may


def step_of(rule=None, numbers=(0.1,), slots=0):
    """(generated, inputs, outputs) of a training step."""
    build, outputs = mlp_step(LARGE, rule=rule, numbers=numbers, slots=slots)
    program = build.program(*outputs)
    return generate(program), build.fresh_inputs(), program(*build.fresh_inputs())


@pytest.fixture
def stays(monkeypatch):
    """Gradients do not stand side by side: large arrays stay where they are, and do not move together first."""
    monkeypatch.setattr(buffers, "rows_of", lambda life: [])


@pytest.mark.parametrize("rule, numbers, slots", [(None, (0.1,), 0), (adam, ADAM, 2)], ids=["sgd", "adam"])
def test_an_update_is_in_place_where_only_its_owner_holds_the_array(rule, numbers, slots, stays):
    generated, owned, want = step_of(rule, numbers, slots)
    inputs = list(owned)
    got = generated.function(inputs)
    assert inputs == []
    assert all(map(same, got, want))
    matrices = [id(x) for x in owned if hasattr(x, "size") and x.size > 1 << 13]
    assert len(matrices) == 2 * (1 + slots)
    assert set(matrices) <= set(map(id, got))


@pytest.mark.parametrize("held", ["itself", "a view"])
def test_an_update_leaves_alone_what_somebody_else_holds(held):
    generated, owned, want = step_of()
    other = owned[3] if held == "itself" else owned[3][1:]
    before = other.copy()
    got = generated.function(list(owned))
    assert same(other, before)
    assert all(map(same, got, want))
    assert got[1] is not owned[3]
    assert got[3] is owned[5]


def test_an_output_that_shows_the_old_numbers_keeps_them(stays):
    build, outputs = mlp_step(LARGE)
    w = build.inputs[3]
    update = build.steps.pop()
    flat = build("reshape", w, (-1,))
    build.steps.append(update)
    program = build.program(*outputs, flat, w)
    want = program(*build.fresh_inputs())
    owned = build.fresh_inputs()
    got = generate(program).function(list(owned))
    assert all(map(same, got, want))
    assert got[1] is owned[3]  # in place even so: the copies come before


def test_reading_the_old_parameter_after_an_update():
    build, outputs = mlp_step()
    after = build("sum", build.inputs[3])
    program = build.program(*outputs, after)
    want = program(*build.fresh_inputs())
    assert all(map(same, generate(program).function(build.fresh_inputs()), want))


def test_calls_at_the_same_time_have_memory_of_their_own():
    build, outputs = random_plan(3, sizes=((64, 64), (64,)), steps=60)
    generated, program = generate(build.program(*outputs)), build.program(*outputs)
    given = [[x + i for x in build.fresh_inputs()] for i in range(8)]
    want = [program(*inputs) for inputs in given]
    barrier = threading.Barrier(4)

    def run(i):
        barrier.wait()
        return [generated.function(list(given[k])) for k in (2 * i, 2 * i + 1) for _ in range(20)][::20]

    with ThreadPoolExecutor(4) as pool:
        for i, results in enumerate(pool.map(run, range(4))):
            for k, got in zip((2 * i, 2 * i + 1), results, strict=True):
                assert all(map(same, got, want[k]))


def test_a_call_inside_a_call_has_memory_of_its_own(monkeypatch):
    build = Builder()
    x = build.input(np.arange(6.0))
    y = build("multiply", build("cumulative_sum", build("add", x, 1)), 2)
    y = build("sum", build("multiply", build("add", y, 1), y), axis=0, keepdims=True)
    generated, original, inside = generate(build.program(y)), HOST.cumulative_sum, []

    def calling(*args):
        if not inside:
            inside.append(None)
            inside[0] = generated.function([np.zeros(6)])
        return original(*args)

    want = build.program(y)(np.arange(6.0))
    monkeypatch.setattr(HOST, "cumulative_sum", calling, raising=False)
    got = generated.function([np.arange(6.0)])
    assert same(got[0], want[0])
    assert same(inside[0][0], np.array([2 * 91.0 * 2 + 42]))


def test_an_error_gives_the_memory_back_and_shows_the_line():
    build = Builder()
    x = build.input(np.eye(3))
    y = build("multiply", build("linalg.inv", build("multiply", x, 2)), build("add", x, 1))
    generated = generate(build.program(build("sum", y)), {x: "matrix"})
    assert generated.kept_nbytes
    with pytest.raises(Exception, match="singular") as caught:
        generated.function([np.zeros((3, 3))])
    text = "".join(traceback.format_exception(caught.value))
    assert "xp.linalg.inv" in text
    line = next(each.lineno for each in traceback.extract_tb(caught.tb) if each.name == "run")
    assert generated.lines[line].function == "linalg.inv"
    assert same(generated.function([np.eye(3)])[0], build.program(build.steps[-1].outputs)(np.eye(3))[0])
    assert len(generated._pool._free) == 1
    generated.free()
    assert not generated._pool._free


def test_outputs_may_be_shared_where_the_caller_says_so():
    build = Builder()
    x = build.input(np.arange(3.0))
    program = Program(HOST, [x], [], [x, x])
    given = np.arange(3.0)
    first, second = generate(program, own_outputs=False).function([given])
    assert first is given
    assert second is given
    first, second = generate(program).function([given])
    assert first is not given
    assert not np.shares_memory(first, second)


def test_python_numbers_and_objects_pass_through():
    build = Builder()
    x, number, pair = build.input(np.arange(3.0)), Value(90, (), np.dtype("f8"), weak=True), Value(91, None, None)
    y, total, first = (Value(i, (3,) if i < 94 else (), np.dtype("f8"), weak=i == 94) for i in (92, 93, 94))
    steps = [
        Step("getitem", (pair, 0), {}, first),
        Step("multiply", (x, first), {}, y),
        Step("add", (y, number), {}, total),
    ]
    program = Program(HOST, [x, number, pair], steps, [total, number, first, pair])
    given = [np.arange(3.0), 0.5, (2.0, "rest")]
    got = generate(program).function(list(given))
    assert same(got[0], given[0] * 2 + 0.5)
    assert got[1:] == [0.5, 2.0, (2.0, "rest")]


def test_a_program_without_steps_or_inputs():
    build = Builder()
    c = build.constant(np.arange(2.0))
    got = generate(Program(HOST, [], [], [c], build.constants)).function([])
    assert same(got[0], np.arange(2.0))
    assert got[0] is not build.constants[c]
    assert generate(Program(HOST, [], [], [])).function([]) == []


def test_a_function_that_nobody_knows_may_share_memory_with_its_arguments(monkeypatch):
    monkeypatch.setattr(HOST, "strange", lambda x: x[1:], raising=False)
    build = Builder()
    x = build.input(np.arange(5.0))
    y = build("add", x, 1)
    z = build("strange", y)
    more = build("multiply", build("add", x, 7), 3)  # would be written over y
    build.steps.append(Step("negative", (z,), {}, build.value(np.negative(build.arrays[z]))))
    check(build, [more, build.steps[-1].outputs, build("strange", x)])


def test_a_function_without_arguments_may_always_give_the_same_array(monkeypatch):
    known = np.arange(5.0)
    monkeypatch.setattr(HOST, "strange", lambda: known, raising=False)
    build = Builder()
    build("strange")
    (y,) = build.steps[-1].makes
    generated, _, (got, doubled) = check(build, [y, build("multiply", y, 2)])
    assert not np.shares_memory(got, known)
    assert same(known, np.arange(5.0))
    assert same(doubled, 2 * known)


HOLES = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan, 1e300])


@pytest.mark.parametrize("g_dies", [False, True])
@pytest.mark.parametrize("d_dies", [False, True])
@pytest.mark.parametrize("factors", ["finite", "not finite", "tiny"])
def test_a_product_without_nan_is_written_over_what_dies_with_it(g_dies, d_dies, factors):
    """Every pair of special values, also where the product takes the place of one of its factors."""
    build = Builder()
    scale = {"finite": np.isfinite(HOLES), "not finite": np.ones(8), "tiny": np.isfinite(HOLES) * 1e-300}[factors]
    with np.errstate(all="ignore"):
        d = np.where(scale == 0, 3.0, HOLES * scale)
    g, d = (build.input(np.array(x)) for x in np.broadcast_arrays(HOLES[:, None], d[None, :]))
    g, d = build("negative", g), build("negative", d)
    y = build("multiply_no_nan", g, d)
    outputs = [build("negative", y), *[build("abs", x) for x, dies in ((g, g_dies), (d, d_dies)) if not dies]]
    program = build.program(*outputs)
    generated = generate(program)
    assert "xp.multiply_no_nan(" in generated.source and "out=" in generated.source
    with np.errstate(all="ignore"):
        for found, wanted in zip(generated.function(build.fresh_inputs()), program(*build.fresh_inputs()), strict=True):
            assert found.tobytes() == wanted.tobytes()
