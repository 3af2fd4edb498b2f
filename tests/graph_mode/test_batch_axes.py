"""Where the batch lies in each array: what cannot be halved is left alone, and axes of one length are told apart."""

import numpy as np
import pytest

from support.graph_programs import Writer
from support.lanes import INT, N, by_lanes, functions, halved, integers, normal, runner, states
from zkynet.framework.graph_mode import lanes as two
from zkynet.framework.graph_mode.batch_axes import PARTIAL, WHOLE, Split
from zkynet.framework.graph_mode.program import FUNCTIONS, Step

# ---- what cannot be halved ----


def given_up(make, least=0.0):
    """Whether the value of ``make(w, x)``, x (N, N), is unknown in a lane; as part of a program it is right."""
    w = Writer()
    x = w.input(normal(N, N))
    value = make(w, x)
    value = value[0] if isinstance(value, tuple) else value
    halved(w, [x], [value, w("matmul", x, x), w("exp", x)])
    return states(w, [x], value) is None


FLIPPED = slice(None, None, -1)
UNKNOWN = {
    "max over the batch": lambda w, x: w("max", x, axis=0),
    "max over all": lambda w, x: w("max", x),
    "any over the batch": lambda w, x: w("any", w("greater", x, 0), axis=-2),
    "argmax over the batch": lambda w, x: w("argmax", x, axis=0),
    "product over the batch": lambda w, x: w("prod", x, axis=0),
    "standard deviation of the batch": lambda w, x: w("std", x, axis=0),
    "running sum along the batch": lambda w, x: w("cumulative_sum", x, axis=0),
    "sorted along the batch": lambda w, x: w("sort", x, axis=0),
    "softmax along the batch": lambda w, x: w("softmax", x, -2),
    "flipped along the batch": lambda w, x: w("flip", x, axis=0),
    "flipped along all axes": lambda w, x: w("flip", x),
    "a part of the batch": lambda w, x: w("getitem", x, slice(0, 3)),
    "the batch from its end": lambda w, x: w("getitem", x, (FLIPPED, slice(None))),
    "an entry of the batch": lambda w, x: w("getitem", x, 0),
    "entries of the batch by a mask": lambda w, x: w("getitem", x, w("greater", x, 0)),
    "rows by numbers": lambda w, x: w("take", x, w.constant(np.array([0, 5, 0])), axis=0),
    "flat entries by numbers": lambda w, x: w("take", w("reshape", x, (-1,)), w.constant(np.arange(N)), axis=0),
    "every pair": lambda w, x: w("subtract", w("expand_dims", x, axis=0), w("expand_dims", x, axis=1)),
    "the sum with its transpose": lambda w, x: w("add", x, w("matrix_transpose", x)),
    "the matrix of products": lambda w, x: w("matmul", x, w("matrix_transpose", x)),
    "its square": lambda w, x: w("matmul", x, x),
    "the triangle of a matrix": lambda w, x: w("tril", x),
    "an axis in two": lambda w, x: w("reshape", x, (2, 3, N)),
    "an axis in two, the other way": lambda w, x: w("reshape", x, (4, 9)),
    "joined along the batch": lambda w, x: w("concat", [x, w.constant(normal(N, N))], axis=0),
    "padded along the batch": lambda w, x: w("pad", x, ((1, 0), (0, 0))),
    "the square of a sum": lambda w, x: w("square", w("sum", x, axis=0)),
    "a sum and a number": lambda w, x: w("add", w("sum", x, axis=0), 1.0),
    "a sum less the batch": lambda w, x: w("subtract", w("mean", x, axis=0), x),
    "two sums multiplied": lambda w, x: w("multiply", w("sum", x, axis=0), w("sum", x, axis=1)),
    "an inverse": lambda w, x: w("linalg.inv", x),
    "a number of what is not 0": lambda w, x: w("count_nonzero", x),
    "a table's rows, by numbers of the batch, in the batch": lambda w, x: w(
        "take", x, w("astype", w("abs", w("sign", x)), INT), axis=0
    ),
    "pixels as the batch": lambda w, x: w(
        "conv", w("reshape", x, (1, 1, N, N)), w.constant(normal(1, 1, 3, 3)), (1, 1), ((0, 0),) * 2, (1, 1), 1
    ),
    "channels as the batch": lambda w, x: w(
        "conv", w("reshape", x, (1, N, N, 1)), w.constant(normal(1, N, 3, 1)), (1, 1), ((0, 0),) * 2, (1, 1), 1
    ),
    "windows over the batch": lambda w, x: w("pool_max", x, (2, 2), (2, 2), (1, 1)),
    "time as the batch": lambda w, x: w(
        "gru", w("reshape", x, (N, 2, 3)), w.constant(normal(2, 1)), w.constant(normal(1, 3)), w.constant(normal(3))
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_takes_the_batch_together_is_done_once(name):
    assert given_up(UNKNOWN[name])


SUMS = {
    "a weight that contracts the batch": (lambda w, x: w("matmul", w.constant(normal(4, N)), x), PARTIAL),
    "the batch times a weight": (lambda w, x: w("matmul", x, w.constant(normal(N, 4))), Split(-2)),
    "a square weight on the right": (lambda w, x: w("matmul", x, w.constant(normal(N, N))), Split(-2)),
    "a square weight on the left": (lambda w, x: w("matmul", w.constant(normal(N, N)), x), PARTIAL),
    "a stack of weights": (lambda w, x: w("matmul", x, w.constant(normal(N, N, 4))), Split(-2)),
    "a row of the batch's length": (lambda w, x: w("add", x, w.constant(normal(N))), Split(-2)),
    "a column of the batch's length": (lambda w, x: w("add", x, w.constant(normal(N, 1))), Split(-2)),
    "a square": (lambda w, x: w("multiply", w.constant(normal(N, N)), x), Split(-2)),
    "more axes in front": (lambda w, x: w("multiply", w.constant(normal(N, N, N)), x), Split(-2)),
    "transposed": (lambda w, x: w("add", w("matrix_transpose", x), w.constant(normal(N, N))), Split(-1)),
    "flat": (lambda w, x: w("multiply", w("reshape", x, (-1,)), w.constant(normal(N * N))), Split(-1, 1, N)),
    "flat and transposed": (
        lambda w, x: w("add", w("reshape", w("matrix_transpose", x), (-1,)), w.constant(normal(N * N))),
        Split(-1, N, 1),
    ),
    "flat, transposed and back": (
        lambda w, x: w("reshape", w("reshape", w("matrix_transpose", x), (-1,)), (2, 3, N)),
        Split(-1),
    ),
    "the batch behind other rows": (lambda w, x: w("reshape", w("matrix_transpose", x), (2, 3 * N)), Split(-1, 3, 1)),
    "a mean": (lambda w, x: w("mean", x, axis=0), PARTIAL),
    "a mean that stays an axis": (lambda w, x: w("mean", x, axis=0, keepdims=True), PARTIAL),
    "a mean of all": (lambda w, x: w("mean", x), PARTIAL),
    "a mean of each": (lambda w, x: w("mean", x, axis=-1), Split(-1)),
    "the sum of a mean": (lambda w, x: w("sum", w("mean", x, axis=0)), PARTIAL),
    "the difference of two sums": (
        lambda w, x: w("subtract", w("sum", x, axis=0), w("sum", w("square", x), axis=0)),
        PARTIAL,
    ),
    "a sum in another shape": (
        lambda w, x: w("matrix_transpose", w("reshape", w("negative", w("sum", x, axis=0)), (2, 3))),
        PARTIAL,
    ),
    "a count": (lambda w, x: w("sum", w("astype", w("greater", x, 0), INT), axis=0), PARTIAL),
    "whole": (lambda w, x: w("exp", w.constant(normal(N, N))), WHOLE),
    "like it": (lambda w, x: w("ones_like", w("sum", x, axis=0)), WHOLE),
    "updates by numbers": (
        lambda w, x: w("scatter_sum", x, w.constant(np.array([0, 1, 1, 0, 2, 2])), 3, axis=-2),
        PARTIAL,
    ),
    "updates of columns by numbers": (
        lambda w, x: w("scatter_sum", x, w.constant(np.array([0, 1, 1, 0, 2, 2])), 3, axis=-1),
        Split(-2),
    ),
    "columns by numbers": (lambda w, x: w("take", x, w.constant(np.array([[0, 5], [1, 1]])), axis=-1), Split(-3)),
    "the diagonal product": (lambda w, x: w("einsum", ("ij", "ij"), "i", x, w.constant(normal(N, N))), Split(-1)),
    "a bilinear form": (lambda w, x: w("einsum", ("ij", "i", "j"), "", x, *(w.constant(normal(N)),) * 2), PARTIAL),
}


@pytest.mark.parametrize("name", SUMS)
def test_axes_of_one_length_are_told_apart(name):
    make, expected = SUMS[name]
    w = Writer()
    x = w.input(normal(N, N))
    value = make(w, x)
    assert states(w, [x], value) == expected
    halved(w, [x], [value, w("exp", x)])


def test_batch_norm_is_no_step_of_two_lanes():
    w = Writer()
    x, weight = w.input(normal(N, N)), w.input(normal(N, N))
    apart = w("subtract", x, w("mean", x, axis=0, keepdims=True))
    y = w("divide", apart, w("sqrt", w("mean", w("square", apart), axis=0, keepdims=True)))
    z = w("matmul", w("tanh", y), weight)
    outputs = [z, w("matmul", w("matrix_transpose", y), z)]
    assert halved(w, [x], outputs, two.LEAST_SHARE) is None
    assert halved(w, [x], outputs) is not None


def test_a_loss_that_is_divided_by_a_sum_over_the_batch_goes_on_behind_the_join():
    w = Writer()
    x, weight = w.input(normal(N, N)), w.input(normal(N, N))
    y = w("matmul", x, weight)
    g = w("divide", y, w("sum", w("square", y)))
    outputs = [w("matmul", w("matrix_transpose", x), g)]
    lanes = halved(w, [x], outputs)
    assert functions(lanes.rest) == ["divide", "matmul"] or "matmul" in functions(lanes.rest)
    assert states(w, [x], g) is None


def test_labels_outside_their_row_are_not_taken_for_positions_in_it():
    """The classes are 4, the rows 5 wide: were the bounds not looked at, both would be right for most labels."""
    w = Writer()
    x, t = w.input(normal(N, 5)), w.input(integers(7, N))
    spots = w("add", w("check_index", t, 7), w("arange", 0, N * 4, 4, dtype=INT))
    value = w("take", w("reshape", x, (-1,)), spots, axis=-1)
    assert states(w, [x, t], value) is None
    spots = w("add", w("check_index", t, 7), w("arange", 0, N * 5, 5, dtype=INT))  # up to the row that follows
    spots = w("minimum", spots, N * 5 - 1)
    value = w("take", w("reshape", x, (-1,)), spots, axis=-1)
    assert states(w, [x, t], value) is None
    halved(w, [x, t], [value])


def test_inputs_of_different_lengths_are_no_batch():
    w = Writer()
    x, y = w.input(normal(N, 2)), w.input(normal(4, 2))
    outputs = [w("exp", x), w("exp", y)]
    assert two.split(w.program(*outputs), [x, y], least=0.0) is None
    assert two.split(w.program(*outputs), [], least=0.0) is None


def test_a_function_without_a_rule_gives_up():
    w = Writer()
    x = w.input(normal(N, 3, 3))
    assert states(w, [x], w("linalg.det", x)) is None


def test_unknown_keywords_give_up():
    w = Writer()
    x = w.input(normal(N, 3))
    assert states(w, [x], w("exp", x, where=True)) is None
    assert states(w, [x], w("add", x, [1.0, 2.0, 3.0])) is None


def test_checks_stay_in_the_order_of_the_program(monkeypatch):
    w, seen = Writer(), []
    x = w.input(normal(N, N))
    y = w("exp", x)

    def look(name):
        return lambda array: seen.append((name, array.shape))

    w.steps.append(Step("expect", (x, look("x"), None), {}, None))
    total = w("sum", y, axis=0)
    w.steps.append(Step("expect", (total, look("total"), None), {}, None))
    z = w("matmul", y, y)
    monkeypatch.setitem(FUNCTIONS, "expect", lambda array, reader, outcome: reader(array))
    halved(w, [x], [z])
    assert seen == [("x", (N, N)), ("total", (N,))] * 2


def test_what_has_effects_is_never_run_before_the_lanes():
    """What comes before the rest may be run twice: an update of parameters must not be."""
    w = Writer()
    x, p, g = w.input(normal(N, N)), w.input(normal(N, N)), w.input(normal(N, N))
    new = w._value(w.held[p] - w.held[g])
    w.steps.append(Step("update_in_blocks", (lambda xp, p, g: (p - g,), [[p, g]], ()), {}, [(new,)]))
    outputs = [w("tanh", w("matmul", x, p)), w("tanh", w("matmul", x, new)), new]
    lanes = halved(w, [x], outputs)
    assert functions(lanes.before) == [] and "update_in_blocks" in functions(lanes.rest)
    assert functions(lanes.first) == ["matmul", "tanh"]


def test_views_of_what_is_whole_are_made_in_the_lanes():
    w = Writer()
    x, weight = w.input(normal(N, N)), w.input(normal(2, N, N))
    turned = w("matrix_transpose", w("getitem", weight, 0))
    y = w("matmul", x, turned)
    lanes = halved(w, [x], [y, turned])
    assert functions(lanes.first) == ["getitem", "matrix_transpose", "matmul"]
    assert functions(lanes.before) == [] and functions(lanes.rest) == ["getitem", "matrix_transpose"]


def test_what_is_the_same_all_along_the_batch_is_made_in_half_the_size():
    w = Writer()
    x, row, line = w.input(normal(N, N)), w.input(normal(N)), w.input(normal(1, N))
    values = [w("broadcast_to", row, (N, N)), w("broadcast_to", line, (N, N)), w("ones", (N, N)), w("zeros", (N, 1))]
    values += [w("full", (N, N), 2.0), w("full", (N, 1), w.constant(np.array(2.0)))]
    column = w("broadcast_to", w("expand_dims", row, axis=1), (N, N))  # differs along the batch
    lanes = halved(w, [x], [w("add", x, value) for value in [*values, column]])
    assert functions(lanes.before) == ["expand_dims", "broadcast_to"] and functions(lanes.rest) == []
    assert sorted(functions(lanes.first)) == sorted(["add"] * 7 + [step.function for step in w.steps[:6]])


# ---- at random ----

# Continuous ones: no rounding becomes a whole number.
_UNARY = ("negative", "abs", "tanh", "square", "relu", "sigmoid", "zeros_like", "ones_like", "exp")
_BINARY = ("add", "subtract", "multiply", "maximum", "minimum", "multiply_no_nan", "silence")
_ALONG = ("sum", "mean", "max", "prod", "std")


def random_step(w, draw, known):
    """One step of some function on some of what is known: any axes, most of one length."""
    x = known[draw.integers(len(known))]
    rank = len(x.shape)
    axis = int(draw.integers(rank)) - rank if rank else 0
    kind = draw.integers(15)
    if kind > 11:
        return random_positions(w, draw, x, axis)
    if kind < 2:
        return w(str(draw.choice(_UNARY)), x)
    if kind < 5:
        return w(str(draw.choice(_BINARY)), *sorted((x, known[draw.integers(len(known))]), key=lambda _: draw.random()))
    if kind == 5:
        every = tuple(sorted({axis, -1})) if draw.random() < 0.3 else None if draw.random() < 0.3 else axis
        name = str(draw.choice(_ALONG[:2] if type(every) is tuple else _ALONG))
        return w(name, x, axis=every, keepdims=bool(draw.integers(2)))
    if kind < 8:
        return w("matmul", x, known[draw.integers(len(known))])
    if kind == 8:
        shapes = [(-1,), (N, -1), (-1, N), (N, N, -1), (2, -1), (-1, 2, N)]
        return w("reshape", x, shapes[draw.integers(len(shapes))])
    if kind == 9:
        name = ("permute_dims", "matrix_transpose", "expand_dims", "flip", "cumulative_sum")[draw.integers(5)]
        more = {"expand_dims": {"axis": axis}, "flip": {"axis": axis}, "cumulative_sum": {"axis": axis}}.get(name, {})
        return w(name, x, *([tuple(map(int, draw.permutation(rank)))] if name == "permute_dims" else []), **more)
    if kind == 10:
        cuts = [(Ellipsis, None), (slice(None), 0), (slice(0, N),), (Ellipsis, slice(0, 2)), (None,), (slice(2, None),)]
        return w("getitem", x, cuts[draw.integers(len(cuts))])
    others = [y for y in known if y.shape == x.shape]
    if draw.integers(2):
        return w("stack", [x, others[draw.integers(len(others))]], axis=axis)
    return w("concat", [x, others[draw.integers(len(others))]], axis=axis)


def random_positions(w, draw, x, axis):
    """A step that names entries, labels or places, on x along ``axis``."""
    kind, rank = draw.integers(7), len(x.shape)
    index = [value for value in w.held if value.dtype == INT][draw.integers(3)]
    if kind == 0:
        return w("take", x, index, axis=axis)
    if kind == 1:
        return w("scatter_sum", x, index, int(draw.integers(N, 9)), axis=axis)
    if kind == 2:
        widths = tuple((int(draw.integers(2)), 0) for _ in range(int(draw.integers(1, rank + 1))))
        return w("pad", x, widths)
    if kind == 3:
        return w("broadcast_to", x, (N,) * int(draw.integers(rank, 4)))
    if kind == 4:
        where = [int(draw.integers(4)) if i == rank + axis else slice(None) for i in range(rank)]
        return w("place", x, (Ellipsis, slice(None), *where[:-1], 3, slice(None)), (*x.shape[:-1], 4, x.shape[-1]))
    if kind == 5:
        return w(*[("ones", x.shape), ("full", x.shape, 0.5), ("zeros", (N, N))][draw.integers(3)])
    others = [y for y in w.held if len(y.shape) == 2 and y.dtype.kind == "f"]
    labels = ["".join(draw.choice(list("abc"), 2, replace=False)) for _ in range(2)]
    out = "".join(sorted(set("".join(labels)))[: int(draw.integers(4))])
    return w("einsum", labels, out, *[others[draw.integers(len(others))] for _ in range(2)])


@pytest.mark.parametrize("seed", range(150))
def test_random_programs(seed):
    draw = np.random.default_rng(seed)
    w = Writer()
    batch = [w.input(draw.normal(size=shape)) for shape in ((N, N), (N, 2, N))]
    batch.append(w.input(draw.integers(0, N, N)))
    w.input(draw.normal(size=(N, N)))
    w.input(draw.integers(0, N, (2, N)))
    w.constant(N * np.arange(N))
    w.constant(draw.normal(size=(N,)))
    w.constant(draw.normal(size=(N, 1)))
    while len(w.steps) < 20:
        known = [value for value in w.held if 0 < np.prod(value.shape) <= 3000 and len(value.shape) < 5]
        known = [value for value in known if value.dtype.kind == "f"]
        known = known[:4] + known[-8:]
        try:
            random_step(w, draw, known)
        except (ValueError, TypeError, IndexError, KeyError):  # shapes that do not fit
            continue
    made = [value for step in w.steps for value in step.makes]
    tame = [value for value in made if np.abs(w.held[value]).max(initial=0) < 1e6]
    program = w.program(*tame)
    lanes = two.split(program, batch, least=0.0)
    assert (lanes is None) == all(states(w, batch, value) in (None, WHOLE) for value in tame)
    if lanes is not None:
        for value, a, b in zip(tame, runner(program)(w.arrays), by_lanes(lanes, w.arrays), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype) == (value.shape, value.dtype)
            assert (abs(a - b) <= 1e-9 * (1 + abs(a).max(initial=0))).all(), f"{value}\n{program}\n\n{lanes.first}"
