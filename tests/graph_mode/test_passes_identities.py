"""Algebraic identities: what is exact goes, bit for bit, and what is not stays.

Each case writes ``y = case(w, x)`` for an ``x`` that the program makes itself (it lies row by row) of special values.
"""

import importlib

import numpy as np
import pytest

from support import backends as backends_here
from support.graph_programs import SPECIAL, Writer, complaint, random_program, written
from zkynet.framework.graph_mode.passes.common_subexpressions import common_subexpressions
from zkynet.framework.graph_mode.passes.dead_code import dead_code
from zkynet.framework.graph_mode.passes.identities import identities

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.identities")
DATA = np.array([*SPECIAL, -3.5]).reshape(3, 4)
KINDS = {
    "float64": DATA,
    "float32": DATA.astype(np.float32),
    "int64": np.arange(-6, 6).reshape(3, 4),
    "bool": (np.arange(12) % 3 > 0).reshape(3, 4),
    "complex128": np.stack([DATA, DATA[::-1]], -1).view("complex128")[..., 0],
}


def made(case, data=DATA, xp=None):
    """A program that makes x of an input, and y of x; it gives both."""
    w = Writer(*[xp] * (xp is not None))
    x = w("take", w.input(data), w.constant(np.arange(3)), 0)
    return w.program(case(w, x), x), w.arrays


def left(program):
    """The functions behind the one that makes x."""
    return [step.function for step in program.steps][1:]


def of(name, *args):
    """``name(x, *args)``."""
    return lambda w, x: w(name, x, *args)


def by(name, *args):
    """``name(*args, x)``."""
    return lambda w, x: w(name, *args, x)


def twice(name):
    return lambda w, x: w(name, w(name, x))


def ones_of(name, shape=(3, 4), dtype="float64"):
    return lambda w, x: w(name, x, w("ones", shape, dtype=w.xp.dtype(dtype)))


def mask_of(value):
    return lambda w: w.constant(np.full((3, 4), value))


# What goes: the case, what is left of it, and the kinds of x beside float64.
GONE = {
    "x * 1": (of("multiply", 1), [], ["float32", "int64"]),
    "x * 1.0": (of("multiply", 1.0), [], ["float32"]),
    "True * x": (by("multiply", True), [], ["float32", "int64"]),
    "x * ones": (ones_of("multiply"), ["ones"], []),
    "x * ones of fewer axes": (ones_of("multiply", (4,)), ["ones"], []),
    "x * constant 1": (lambda w, x: w("multiply", x, w.constant(1, x.dtype)), [], ["float32", "int64", "bool"]),
    "x * constant ones": (lambda w, x: w("multiply", w.constant(np.ones((3, 4))), x), [], []),
    "x / 1": (of("divide", 1), [], ["float32"]),
    "multiply_no_nan by 1": (lambda w, x: w("multiply_no_nan", x, w.constant(1.0)), [], []),
    "multiply_no_nan by 3": (lambda w, x: w("multiply_no_nan", x, w.constant(3.0)), ["multiply"], []),
    "multiply_no_nan of 2": (lambda w, x: w("multiply_no_nan", w.constant(2.0), x), ["multiply"], []),
    "pow(x, 1)": (of("pow", 1), [], ["int64"]),
    "x - 0": (of("subtract", 0), [], ["float32", "int64"]),
    "x - 0.0": (of("subtract", 0.0), [], ["float32"]),
    "x + -0.0": (of("add", -0.0), [], ["float32"]),
    "-0.0 + x": (by("add", -0.0), [], ["float32"]),
    "--x": (twice("negative"), ["negative"], ["float32", "int64", "complex128"]),
    "~~x": (lambda w, x: twice("bitwise_invert")(w, w("isnan", x)), ["isnan", "bitwise_invert"], ["float32"]),
    "abs(abs(x))": (twice("abs"), ["abs"], ["float32", "int64"]),
    "relu(relu(x))": (twice("relu"), ["relu"], ["float32"]),
    "floor(floor(x))": (twice("floor"), ["floor"], ["float32"]),
    "+x": (of("positive"), [], ["float32", "int64", "complex128"]),
    "conj(x)": (of("conj"), [], ["float32", "int64"]),
    "real(x)": (of("real"), [], ["float32", "int64"]),
    "astype": (lambda w, x: w("astype", x, x.dtype), [], ["float32", "int64", "bool", "complex128"]),
    "where(True, x, 0)": (lambda w, x: w("where", mask_of(True)(w), x, 0.0), [], ["float32"]),
    "where(False, 0, x)": (lambda w, x: w("where", mask_of(False)(w), 0.0, x), [], ["float32"]),
    "where(mask, x, x)": (lambda w, x: w("where", w("isnan", x), x, x), ["isnan"], ["float32"]),
    "select(True, x)": (lambda w, x: w("select", mask_of(True)(w), x), [], ["float32", "int64", "complex128"]),
    "select(False, x)": (lambda w, x: w("select", mask_of(False)(w), x), ["zeros"], ["float32", "int64", "complex128"]),
    "concat of one": (lambda w, x: w("concat", [x], axis=0), [], ["float32", "bool"]),
    "reshape to its shape": (of("reshape", (3, 4)), [], ["float32", "bool", "complex128"]),
    "reshape and back": (lambda w, x: w("reshape", w("reshape", x, (12,)), (3, 4)), ["reshape"], ["bool"]),
    "reshape twice": (lambda w, x: w("reshape", w("reshape", x, (12,)), (6, 2)), ["reshape", "reshape"], ["bool"]),
    "squeeze what was expanded": (
        lambda w, x: w("squeeze", w("expand_dims", x, axis=1), axis=1), ["expand_dims"], ["float32", "bool"]
    ),
    "broadcast_to its shape": (of("broadcast_to", (3, 4)), [], ["float32", "bool"]),
    "x[...]": (of("getitem", Ellipsis), [], ["float32", "bool"]),
    "x[:, ...]": (of("getitem", (slice(None), Ellipsis)), [], ["float32", "bool"]),
    "x[..., 0:4]": (of("getitem", (Ellipsis, slice(0, 4))), [], ["float32", "bool"]),
    "x[-3:9, 0:]": (of("getitem", (slice(-3, 9), slice(0, None, 1))), [], ["float64"]),
    "x[None][0]": (lambda w, x: w("getitem", w("getitem", x, None), 0), ["getitem"] * 2, ["float64"]),
    "max over one": (lambda w, x: w("max", w("reshape", x, (3, 1, 4)), axis=1), ["reshape"], ["float32", "int64"]),
    "prod over one": (lambda w, x: w("prod", w("reshape", x, (3, 1, 4)), axis=1), ["reshape"], ["float32", "int64"]),
}  # fmt: skip

# What goes for whole numbers alone.
WHOLE = {
    "x + 0": (of("add", 0), []),
    "x + constant 0": (lambda w, x: w("add", x, w.constant(0, x.dtype)), []),
    "sum over one": (lambda w, x: w("sum", w("reshape", x, (3, 1, 4)), axis=1), ["reshape"]),
}

# What looks like it and is not the same for some x: it stays, whatever x is.
STAY = {
    "x + 0.0": (of("add", 0.0), "float64"),  # -0.0
    "x + 0": (of("add", 0), "float32"),
    "x - -0.0": (of("subtract", -0.0), "float64"),
    "0.0 - x": (by("subtract", 0.0), "float64"),
    "x * 0": (of("multiply", 0), "float64"),
    "x / x": (lambda w, x: w("divide", x, x), "float64"),
    "x - x": (lambda w, x: w("subtract", x, x), "float64"),
    "1 / x": (by("divide", 1), "float64"),
    "1 ** x": (by("pow", 1), "float64"),
    "whole x * 1.0": (of("multiply", 1.0), "int64"),  # another dtype
    "whole x / 1": (of("divide", 1), "int64"),
    "truth * 1": (of("multiply", 1), "bool"),
    "float32 x * ones of float64": (ones_of("multiply"), "float32"),
    "x * ones of more axes": (ones_of("multiply", (2, 3, 4)), "float64"),  # another shape
    "complex x * 1": (of("multiply", 1), "complex128"),  # (inf + 1j) * (1 + 0j)
    "complex x / 1": (of("divide", 1), "complex128"),
    "complex x + -0.0": (of("add", -0.0), "complex128"),
    "conj of complex x": (of("conj"), "complex128"),
    "pow(x, 2)": (of("pow", 2), "float64"),
    "pow(x, ones)": (ones_of("pow"), "float64"),  # NumPy's vector code rounds
    "1 / (1 / x)": (lambda w, x: w("reciprocal", w("reciprocal", x)), "float64"),
    "exp(exp(x))": (twice("exp"), "float64"),
    "multiply_no_nan by infinity": (lambda w, x: w("multiply_no_nan", x, w.constant(np.inf)), "float64"),
    "multiply_no_nan of 0": (lambda w, x: w("multiply_no_nan", w.constant(0.0), x), "float64"),
    "where of a mixed mask": (lambda w, x: w("where", w.constant(np.eye(3, 4) > 0), x, 0.0), "float64"),
    "where to another shape": (lambda w, x: w("where", w.constant(np.full((2, 3, 4), True)), x, 0.0), "float64"),
    "concat of two": (lambda w, x: w("concat", [x, x], axis=0), "float64"),
    "sum over one": (lambda w, x: w("sum", w("reshape", x, (3, 1, 4)), axis=1), "float64"),  # -0.0
    "x[::-1]": (of("getitem", slice(None, None, -1)), "float64"),
    "x[..., 0:3]": (of("getitem", (Ellipsis, slice(0, 3))), "float64"),
    "x[1:, :]": (of("getitem", (slice(1, None), slice(None))), "float64"),
    "x[[2, 0, 1]]": (lambda w, x: w("getitem", x, w.constant(np.array([2, 0, 1]))), "float64"),
    "broadcast_to more": (of("broadcast_to", (2, 3, 4)), "float64"),
    "zeros and a -0.0": (lambda w, x: w("subtract", x, w.constant([0.0, 0.0, 0.0, -0.0])), "float64"),
}


def cases():
    floats = [
        (name, case, wanted, kind) for name, (case, wanted, kinds) in GONE.items() for kind in ["float64", *kinds]
    ]
    return floats + [(name, case, wanted, "int64") for name, (case, wanted) in WHOLE.items()]


@pytest.mark.parametrize("case, wanted, kind", [pytest.param(*rest, id=f"{name}-{rest[2]}") for name, *rest in cases()])
def test_exact_identities_go(case, wanted, kind):
    program, arrays = made(case, KINDS[kind])
    after = identities(program)
    assert left(after) == wanted
    assert complaint(program, arrays, identities) is None


@pytest.mark.parametrize("name", STAY)
def test_what_is_not_exact_stays(name):
    case, kind = STAY[name]
    program, arrays = made(case, KINDS[kind])
    assert left(identities(program)) == left(program)
    assert complaint(program, arrays, identities) is None


def with_gaps():
    w = Writer()
    x = w.input(np.random.default_rng(0).standard_normal((300, 160)))
    x = w("getitem", x, (slice(None), slice(None, None, 2)))
    same = [w("multiply", x, 1.0), w("reshape", w("reshape", x, (-1,)), x.shape), w("astype", x, x.dtype)]
    return w.program(*[w("sum", y, axis=0) for y in same], *same), w.arrays


def test_an_array_with_gaps_is_not_taken_for_its_copy():
    """A copy is added up in another order than a view with gaps, and rounded otherwise."""
    program, _ = with_gaps()
    assert identities(program) is program


def test_an_input_is_not_given_out_in_the_place_of_a_copy():
    w = Writer()
    x = w.input(np.ones(()))
    program = w.program(w("multiply", x, 1.0))
    assert identities(program) is program


def test_dense_arrays_in_another_order_keep_it():
    w = Writer()
    x = w("exp", w("matrix_transpose", w.input(np.random.default_rng(0).standard_normal((3, 4)))))
    y = w("multiply", x, w.constant(1.0))
    z = w("multiply", x, w.constant(np.ones((4, 3))))  # lies row by row
    program = w.program(w("sum", y), w("sum", z))
    assert [step.function for step in identities(program).steps].count("multiply") == 1
    assert complaint(program, w.arrays, identities) is None


BY_ITSELF = ("add", "subtract", "multiply", "divide", "multiply_no_nan", "less", "greater_equal", "equal")


def repeated(w, x):
    return w("broadcast_to", w("sum", x, axis=0, keepdims=True), x.shape)


def filled(w, x):
    return w("full", x.shape, 3.0, dtype=x.dtype)


def constant(w, x):
    return w.constant(np.full(x.shape, np.inf), x.dtype)


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("spread", [repeated, filled, constant])
def test_an_operand_broadcasts_by_itself(spread, kind):
    def case(w, x):
        y = spread(w, x)
        parts = [w(name, *args) for name in BY_ITSELF for args in ((x, y), (y, x))]
        return w("concat", [w("astype", part, w.xp.float64) for part in parts], axis=0)

    program, arrays = made(case, KINDS[kind])
    after = dead_code(identities(program))
    assert not {"full", "broadcast_to"} & set(left(after))
    assert not [value for value in after.constants if value.shape == (3, 4)]
    assert complaint(program, arrays, identities) is None


@pytest.mark.parametrize("kind, lies", [("int64", "rows"), ("complex128", "rows"), ("float64", "columns")])
def test_an_operand_stays_repeated_where_the_result_would_be_another(kind, lies):
    def case(w, x):
        y = w("exp", w("matrix_transpose", x)) if lies == "columns" else x
        return w("add", y, repeated(w, y))

    program, arrays = made(case, KINDS[kind])
    assert "broadcast_to" in left(dead_code(identities(program)))
    assert complaint(program, arrays, identities) is None


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_a_number_has_one_spelling(kind):
    """So that equal steps are found to be equal."""

    def case(w, x):
        spellings = 2, 2.0, w.constant(2.0, x.dtype), w("full", (), 2, dtype=x.dtype)
        return w("concat", [w("multiply", number, x) for number in spellings], axis=0)

    program, arrays = made(case, KINDS[kind])
    assert left(common_subexpressions(dead_code(identities(program)))) == ["multiply", "concat"]
    assert complaint(program, arrays, identities) is None


@pytest.mark.parametrize("number, kind", [(2, "int64"), (2**53 + 1, "float64"), (2, "complex128"), (1.5, "float32")])
def test_a_number_stays_where_another_spelling_may_be_another_number(number, kind):
    def case(w, x):
        return w("multiply", x, number if kind != "float32" else w.constant(number, np.float64))

    program, _ = made(case, KINDS[kind])
    assert identities(program) is program


def test_one_identity_lays_the_next_bare():
    program, arrays = made(lambda w, x: w("negative", w("multiply", w("negative", w("add", x, -0.0)), 1)))
    assert left(identities(program)) == ["negative"]
    assert complaint(program, arrays, identities) is None


def test_a_long_chain_needs_no_deep_recursion():
    w = Writer()
    x = w.input(np.ones((2, 2)))
    y, one = x, w.constant(np.ones((2, 2)))
    for _ in range(1500):
        y, one = w("matrix_transpose", w("exp", w("negative", y))), w("matrix_transpose", one)
    program = w.program(w("multiply", y, one))
    assert len(identities(program).steps) == len(program.steps)


def test_nothing_to_do_gives_the_program_itself():
    program, _ = made(of("exp"))
    assert identities(program) is program


def test_the_given_program_stays_as_it_is():
    program, _ = random_program(5)
    before = written(program)
    identities(program)
    assert written(program) == before


@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_on_other_backends(name):
    def case(w, x):
        y = w("subtract", w("multiply", w("multiply_no_nan", x, w.constant(2.0)), 1.0), 0.0)
        return w("reshape", w("where", w.constant(np.full((3, 4), True)), y, w.constant(np.zeros((3, 4)))), (3, 4))

    program, arrays = made(case, xp=backends_here.get(name))
    assert left(identities(program)) == ["multiply"]
    assert complaint(program, arrays, identities) is None


Known = MODULE._Known


def first_entry(self, array):
    return self._xp.to_numpy(array).reshape(-1)[0].item()


def always_a_product(known, step):
    return MODULE.Step("multiply", step.args, {}, step.outputs)


def zero_for_one(known, step):
    return step.args[0] if known.number(step.args[1]) == 0 else None


MUTANTS = {
    "the sign of zero": (MODULE, "_is_zero", lambda number, sign: number is not None and number == 0),
    "shapes and dtypes": (Known, "alike", lambda self, x, step: hasattr(x, "shape")),
    "dtypes": (Known, "alike", lambda self, x, step: hasattr(x, "shape") and x.shape == step.outputs.shape),
    "complex numbers": (Known, "real", lambda self, step: True),
    "sums of floats": (Known, "floating", lambda self, step: False),
    "one entry for all": (MODULE.Fills, "_of_array", first_entry),
    "order in memory": (Known, "kept", lambda self, x, step: self.alike(x, step)),
    "an involution that rounds": ("rule", "reciprocal", MODULE._involution),
    "exp taken for idempotent": ("rule", "exp", MODULE._idempotent),
    "infinite factors": ("rule", "multiply_no_nan", always_a_product),
    "x * 0": ("rule", "multiply", zero_for_one),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_passes_are_caught(monkeypatch, mutant):
    owner, name, broken = MUTANTS[mutant]
    if owner == "rule":
        monkeypatch.setitem(MODULE._RULES, name, (1, broken))
    else:
        monkeypatch.setattr(owner, name, broken)
    programs = [made(case, KINDS[kind]) for case, kind in STAY.values()]
    programs.append(with_gaps())
    assert [found for program, arrays in programs if (found := complaint(program, arrays, identities))]
