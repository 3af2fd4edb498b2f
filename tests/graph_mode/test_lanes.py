"""Two lanes: a training step on half of its batch twice, joined, is the step; how it is run, and what it leaves."""

import sys

import numpy as np
import pytest

from support.graph_programs import NUMPY, Writer, difference
from support.lanes import INT, N, functions, halved, integers, normal, runner, states
from zkynet.backends import threads
from zkynet.framework.graph_mode import lanes as two
from zkynet.framework.graph_mode.batch_axes import PARTIAL, Split
from zkynet.framework.graph_mode.lane_plan import two_ways
from zkynet.framework.graph_mode.program import Step

# ---- training steps ----


def cross_entropy(w, z, t, classes):
    """The mean loss of logits z (N, classes), and its gradient."""
    rows = z.shape[0]
    label = w("check_index", t, classes, "label")
    below = w("below_top", z, -1)
    spots = w("add", label, w("arange", 0, rows * classes, classes, dtype=INT))
    score = w("take", w("reshape", below, (rows * classes,)), spots, axis=-1)
    loss = w("mean", w("subtract", w("log", w("sum", w("exp", below), axis=-1)), score))
    hit = w("equal", w("expand_dims", label, axis=-1), w("arange", classes, dtype=INT))
    share = w("expand_dims", w("divide", w("ones", ()), rows), axis=-1)
    gap = w("subtract", w("weights", z, axis=-1), w("astype", hit, z.dtype))
    return loss, w("multiply", gap, w("expand_dims", share, axis=-1))


def linear(w, x, weight, bias):
    return w("add", w("matmul", x, weight), bias)


def linear_back(w, g, x, weight):
    """The cotangents of x, weight and bias."""
    back = w("matmul", g, w("matrix_transpose", weight))
    return back, w("matmul", w("matrix_transpose", x), g), w("sum", g, axis=-2)


def sgd(xp, p, g, rate):
    p -= rate * g
    return (p,)


def updated(w, pairs):
    """The step of an optimizer, which is none of a Writer's."""
    new = [(w._value(w.held[p] - 0.1 * w.held[g]),) for p, g in pairs]
    w.steps.append(Step("update_in_blocks", (sgd, [[p, g] for p, g in pairs], (0.1,)), {}, new))
    return [value for (value,) in new]


def mlp(n=N, classes=4):
    w = Writer()
    x, t = w.input(normal(n, N)), w.input(integers(classes, n))
    first, bias, last, end = (
        w.input(normal(N, N)),
        w.input(normal(N)),
        w.input(normal(N, classes)),
        w.input(normal(classes)),
    )
    h = w("relu", linear(w, x, first, bias))
    z = linear(w, h, last, end)
    loss, g = cross_entropy(w, z, t, classes)
    gh, g_last, g_end = linear_back(w, g, h, last)
    _, g_first, g_bias = linear_back(w, w("select", w("greater", h, 0), gh), x, first)
    new = updated(w, [(first, g_first), (bias, g_bias), (last, g_last), (end, g_end)])
    return w, [x, t], [loss, z, g_first, *new]


def test_a_step_of_a_multi_layer_perceptron():
    w, batch, outputs = mlp()
    lanes = halved(w, batch, outputs, two.LEAST_SHARE)
    assert functions(lanes.rest) == ["update_in_blocks"]
    assert lanes.batch == N and lanes.share > 0.5
    assert {value.shape for value in lanes.first.inputs if value.dtype == INT and value.shape} <= {(3,), (4,)}


def convolved(w, x, weight, settings):
    y = w("relu", w("conv", x, weight, *settings))
    best, which = w("pool_max", y, (2, 2), (2, 2), (1, 1))
    return y, best, which


def convolved_back(w, g, x, weight, y, which, settings):
    g = w("pool_place", g, which, y.shape[-2:], (2, 2), (2, 2), (1, 1))
    g = w("select", w("greater", y, 0), g)
    return w("conv_input", g, weight, x.shape, *settings), w("conv_filter", x, g, weight.shape, *settings)


def test_a_step_of_a_convolutional_network():
    w, settings = Writer(), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    x, t = w.input(normal(N, 1, 8, 8)), w.input(integers(3, N))
    k1, k2, last = w.input(normal(N, 1, 3, 3)), w.input(normal(4, N, 3, 3)), w.input(normal(16, 3))
    y1, p1, which1 = convolved(w, x, k1, settings)
    y2, p2, which2 = convolved(w, p1, k2, settings)
    flat = w("reshape", p2, (N, 16))
    loss, g = cross_entropy(w, w("matmul", flat, last), t, 3)
    g_last = w("matmul", w("matrix_transpose", flat), g)
    g = w("reshape", w("matmul", g, w("matrix_transpose", last)), p2.shape)
    g, g_k2 = convolved_back(w, g, p1, k2, y2, which2, settings)
    g, g_k1 = convolved_back(w, g, x, k1, y1, which1, settings)
    mean = w("sum", g, axis=(0, 2, 3))
    spread = w("pool_spread", w("pool_sum", x, (2, 2), (2, 2), (1, 1)), (8, 8), (2, 2), (2, 2), (1, 1))
    lanes = halved(w, [x, t], [loss, g_last, g_k2, g_k1, mean, spread], 0.9)
    assert functions(lanes.rest) == []


def heads_of(w, x, heads):
    """(B, T, D) as (B, heads, T, D / heads)."""
    b, t, d = x.shape
    return w("permute_dims", w("reshape", x, (b, t, heads, d // heads)), (0, 2, 1, 3))


def rows_of(w, x):
    """(B, heads, T, D) as (B * T, heads * D)."""
    b, h, t, d = x.shape
    return w("reshape", w("permute_dims", x, (0, 2, 1, 3)), (b * t, h * d))


def standardized(w, x):
    apart = w("subtract", x, w("mean", x, axis=(-1,), keepdims=True))
    spread = w("mean", w("multiply", apart, apart), axis=(-1,), keepdims=True)
    return w("multiply", apart, w("divide", 1, w("sqrt", w("add", spread, 1e-5))))


@pytest.mark.parametrize("causal", [False, True])
def test_a_step_of_a_transformer_block(causal):
    w, times, size, heads = Writer(), N, 2 * N, 2
    x = w.input(normal(N, times, size))
    wq, wk, wv, wo = (w.input(normal(size, size)) for _ in range(4))
    scale, up, bias = w.input(normal(size)), w.input(normal(size, N)), w.input(normal(N))
    y = w("multiply", standardized(w, x), scale)
    rows = w("reshape", y, (N * times, size))
    q, k, v = (heads_of(w, w("reshape", w("matmul", rows, p), y.shape), heads) for p in (wq, wk, wv))
    out, shares = w("attention", q, k, v, causal)
    joined = rows_of(w, out)
    z = w("add", x, w("reshape", w("matmul", joined, wo), x.shape))
    h = w("tanh", linear(w, w("reshape", z, (-1, size)), up, bias))
    loss = w("mean", w("square", h))
    g = w("multiply", w("subtract", 1, w("square", h)), w("divide", w("multiply", 2.0, h), N * times * N))
    gz, g_up, g_bias = linear_back(w, g, w("reshape", z, (-1, size)), up)
    g_wo = w("matmul", w("matrix_transpose", joined), gz)
    back = w("reshape", w("matmul", gz, w("matrix_transpose", wo)), x.shape)
    gq, gk, gv = w("attention_back", heads_of(w, back, heads), q, k, v, out, shares, causal)
    g_wq, g_wk, g_wv = (w("matmul", w("matrix_transpose", rows), rows_of(w, g)) for g in (gq, gk, gv))
    g_rows = w("add", w("matmul", rows_of(w, gq), w("matrix_transpose", wq)), gz)
    g_scale = w("sum", w("multiply", w("reshape", g_rows, x.shape), y), axis=(-3, -2))
    lanes = halved(w, [x], [loss, g_up, g_bias, g_wo, g_wq, g_wk, g_wv, g_scale], 0.9)
    assert functions(lanes.rest) == []


def test_attention_that_is_written_out():
    w = Writer()
    x, mask = w.input(normal(N, 2, N, N)), w.constant(np.tril(np.ones((N, N), bool)))
    scores = w("matmul", x, w("matrix_transpose", x))
    scores = w("where", mask, scores, w.constant(np.array(-np.inf)))
    shares = w("softmax", scores, -1)
    y = w("einsum", ("bhij", "bhjd"), "bhid", shares, x)
    g = w("tril", w("multiply", shares, w("subtract", y, w("sum", w("multiply", y, shares), axis=-1, keepdims=True))))
    norm = w("einsum", ("bhij", "bhij"), "h", g, g)
    assert functions(halved(w, [x], [y, g, norm], 0.9).rest) == []


def test_an_embedding_and_its_gradient():
    w, rows, size, times = Writer(), N, 4, 5
    tokens = w.input(integers(rows, N, times))
    table, places = w.input(normal(rows, size)), w.input(normal(times, size))
    index = w("check_index", tokens, rows, "embedding")
    x = w("add", w("take", table, index, axis=-2), places)
    again = w("getitem", table, index)
    g = w("tanh", w("multiply", x, again))
    g_table = w("scatter_sum", g, index, rows, axis=-2)
    lanes = halved(w, [tokens], [x, g_table, w("sum", g, axis=0)], 0.5)
    assert functions(lanes.rest) == []
    assert states(w, [tokens], g_table) is PARTIAL


def test_entries_named_along_an_axis_beside_the_batch():
    """What take_along_axis is made of: positions in the flat array that stay within their own row."""
    w, times, classes = Writer(), 3, 5
    x, t = w.input(normal(N, times, classes)), w.input(integers(classes, N, times, 1))
    flat = w("multiply", w("astype", w("check_index", t, classes), INT), 1)
    for length, stride, behind in ((times, classes, 1), (N, times * classes, 2)):
        line = w("reshape", w("arange", length, dtype=INT), (length,) + (1,) * behind)
        flat = w("add", flat, w("multiply", line, stride))
    flat = w("broadcast_to", flat, (N, times, 1))
    picked = w("take", w("reshape", x, (-1,)), flat, axis=-1)
    back = w("scatter_sum", w("exp", picked), flat, N * times * classes, axis=-1)
    back = w("reshape", back, x.shape)
    assert functions(halved(w, [x, t], [picked, back], 0.5).rest) == []
    assert states(w, [x, t], back) == Split(-3)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_sequences_with_the_batch_second(kind):
    w, times, size, gates = Writer(), 3, N, 4 if kind == "lstm" else 3
    x, w_x, w_h = w.input(normal(times, N, 2)), w.input(normal(2, gates * size)), w.input(normal(size, gates * size))
    rows = w("reshape", x, (times * N, 2))
    parts = w("reshape", w("matmul", rows, w_x), (times, N, gates * size))
    zeros = w("zeros", (N, size))
    if kind == "lstm":
        y = w("lstm", parts, zeros, zeros, w_h)
        dz, *_ = w("lstm_back", (w("square", y[0]), None, None), zeros, w_h, y)
        inner = dz
    else:
        y = w("gru", parts, zeros, w_h, w.input(normal(gates * size)))
        dz, inner, _ = w("gru_back", (w("square", y[0]), None), zeros, w_h, y)
    before = w("concat", [w("getitem", zeros, None), w("getitem", y[0], slice(None, -1))], axis=0)
    before = w("matrix_transpose", w("reshape", before, (times * N, size)))
    g_h = w("matmul", before, w("reshape", inner, (times * N, gates * size)))
    g_x = w("matmul", w("matrix_transpose", rows), w("reshape", dz, (times * N, gates * size)))
    outputs = [w("mean", y[0]), g_h, g_x, w("getitem", y[0], -1), dz]
    lanes = halved(w, {x: 1}, outputs, 0.9)
    assert functions(lanes.rest) == []
    assert two.find(w.program(*outputs), [x]).batch == N


def test_a_cell_after_the_other():
    """The recurrence written out: the state at first is like an unknown one, of which only the shape counts."""
    w, size = Writer(), N
    x, w_h = w.input(normal(N, 4, size)), w.input(normal(size, size))
    like = w("cumulative_sum", x, axis=0)  # unknown in a lane
    h = w("getitem", w("zeros_like", like), (slice(None), 0))
    total = None
    for t in range(4):
        h = w("tanh", w("add", w("matmul", h, w_h), w("getitem", x, (slice(None), t, Ellipsis))))
        part = w("matmul", w("matrix_transpose", h), h)
        total = part if total is None else w("add", total, part)
    states_ = w("stack", [h, h], axis=1)
    g = w("place", h, (Ellipsis, slice(None), 2, slice(None)), (N, 4, size))
    lanes = halved(w, [x], [total, states_, g], 0.5)
    assert len(lanes.joined) == 3 and "cumulative_sum" not in functions(lanes.rest)


def test_dropout_draws_for_the_whole_batch():
    """A draw of half as many numbers would be another draw: it is made once, and cut."""
    w = Writer()
    x, counter = w.input(normal(N, N)), w.input(np.array(5))
    bits = w("random_bits", (1, 2), counter, N * N)
    keep = w("less", w("reshape", w("uniform", bits, NUMPY.float64), (N, N)), 0.5)
    y = w("divide", w("select", keep, x), 0.5)
    lanes = halved(w, [x], [y, w("matmul", w("matrix_transpose", y), x)])
    assert "random_bits" in functions(lanes.before)


def test_layers_that_move_axes():
    w = Writer()
    x = w.input(normal(N, 2, 5))
    y = w("moveaxis", w("flip", w("expand_dims", x, axis=1), axis=-1), 0, 2)
    y = w("squeeze", y, axis=0)
    z = w("permute_dims", y, (2, 1, 0))
    a, b = w("unstack", z, axis=2)
    padded = w("pad", w("broadcast_to", w("expand_dims", a, axis=0), (2, 5, N)), ((1, 1), (0, 2), (0, 0)))
    windows = w("windows", x, (2,), (1,), (1,))
    back = w("window_sum", windows, (5,), (2,), (1,), (1,))
    outputs = [y, z, b, padded, w("max", windows, axis=-1), w("cumulative_sum", back, axis=-1), w("std", x, axis=-1)]
    assert functions(halved(w, [x], outputs).rest) == []


@pytest.mark.parametrize("n", [2, 5, 7])
def test_odd_and_tiny_batches_stay_one(n):
    w, batch, outputs = mlp(n)
    assert two.split(w.program(*outputs), batch, least=0.0) is None


# ---- running ----


class WrongError(Exception):
    pass


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_error_of_a_lane_is_raised_and_the_threads_are_set_back(wrong):
    w, batch, outputs = mlp()
    lanes = two.split(w.program(*outputs), batch, least=0.0)
    before = threads.blas_threads()
    x = w.held[batch[0]][wrong * 3 :][:1]

    def first(arrays):
        if any(array.shape == (3, N) and (array[:1] == x).all() for array in arrays):
            raise WrongError
        return lanes.first(*arrays)

    with pytest.raises(WrongError):
        two.run(lanes, runner(lanes.before), first, runner(lanes.rest), w.arrays)
    assert threads.blas_threads() == before


def test_where_a_lane_fails_the_whole_program_tells_why():
    w, batch, outputs = mlp()
    lanes = two.split(w.program(*outputs), batch, least=0.0)
    arrays = w.arrays
    arrays[1] = np.array([0, 1, 2, 9, 3, 7])  # two labels too large, both in the second lane or not
    whole = runner(w.program(*outputs))
    with pytest.raises(IndexError) as own:
        whole(arrays)
    with pytest.raises(IndexError) as found:
        two.run(lanes, runner(lanes.before), runner(lanes.first), runner(lanes.rest), list(arrays), whole)
    assert str(found.value) == str(own.value)


def test_the_blas_has_one_thread_in_a_lane_and_its_own_number_behind():
    if threads.blas_threads() is None:
        pytest.skip("NumPy's BLAS is none that can be told")
    w, batch, outputs = mlp()
    lanes = two.split(w.program(*outputs), batch, least=0.0)
    numbers = []

    def noting(program):
        def run(arrays):
            numbers.append(threads.blas_threads())
            return program(*arrays)

        return run

    before = threads.blas_threads()
    threads.set_blas_threads(2)
    try:
        two.run(lanes, noting(lanes.before), noting(lanes.first), noting(lanes.rest), w.arrays)
    finally:
        threads.set_blas_threads(before)
    assert numbers == [2, 1, 1, 2]


def test_behind_the_lanes_nobody_holds_an_input():
    """Otherwise the optimizer copies each parameter instead of writing into it."""
    w, batch, outputs = mlp()
    lanes = two.split(w.program(*outputs), batch, least=0.0)

    def counts(arrays):
        return [sys.getrefcount(arrays[i]) for i in range(len(w.inputs))]

    given = [array.copy() for array in w.arrays]
    alone = counts(list(given))
    found = two.run(lanes, runner(lanes.before), lambda arrays: lanes.first(*arrays), counts, list(given))
    assert found == alone


def test_lanes_keep_the_callers_error_state():
    w = Writer()
    x = w.input(normal(N, N))
    y = w("log", w("abs", x))
    lanes = two.split(w.program(y), [x], least=0.0)
    zeros = [np.zeros((N, N))]
    with np.errstate(divide="ignore"):
        two.run(lanes, *[lambda arrays, p=p: p(*arrays) for p in (lanes.before, lanes.first, lanes.rest)], list(zeros))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        two.run(lanes, *[lambda arrays, p=p: p(*arrays) for p in (lanes.before, lanes.first, lanes.rest)], list(zeros))


def test_lanes_say_how_much_they_do():
    w, batch, outputs = mlp()
    assert "two lanes of 3" in repr(two.split(w.program(*outputs), batch, least=0.0))


# ---- one lane or two ----


def test_a_program_runs_both_ways_and_keeps_one():
    w, batch, outputs = mlp()
    program, made = w.program(*outputs), []

    def make(part, own):
        made.append((part, own))
        return runner(part)

    ways = two_ways(program, batch, runner(program), make)
    if ways.choice.lanes is not None:  # one processor, or a BLAS that cannot be told
        ways.choice.lanes = None
    want = runner(program)(w.arrays)
    for _ in range(2000):
        same_arrays(want, ways(w.arrays))
        if ways.choice.lanes is not None:
            break
    assert ways.choice.lanes in (1, 2)
    assert made == [(ways.lanes.before, False), (ways.lanes.first, False), (ways.lanes.rest, True)]
    assert ways.choice.report() in ways.report() and repr(ways.lanes) in ways.report()


def same_arrays(want, got):
    for a, b in zip(want, got, strict=True):
        assert difference(NUMPY, a, b, 1e-12) is None


def test_deterministic_runs_never_make_the_lanes():
    w, batch, outputs = mlp()
    program = w.program(*outputs)
    ways = two_ways(program, batch, runner(program), pytest.fail, deterministic=True)
    for _ in range(3):
        for a, b in zip(runner(program)(w.arrays), ways(w.arrays), strict=True):
            assert difference(NUMPY, a, b) is None


def test_two_lanes_give_the_same_bits_each_time():
    w, batch, outputs = mlp()
    lanes = two.split(w.program(*outputs), batch, least=0.0)
    three = [runner(each) for each in (lanes.before, lanes.first, lanes.rest)]
    first = two.run(lanes, *three, w.arrays)
    for _ in range(5):
        for a, b in zip(first, two.run(lanes, *three, w.arrays), strict=True):
            assert difference(NUMPY, a, b) is None


def test_there_is_no_choice_where_nothing_can_be_halved():
    w = Writer()
    x = w.input(normal(N, N))
    program = w.program(w("cumulative_sum", x, axis=0))
    assert two_ways(program, [x], runner(program), pytest.fail) is None
