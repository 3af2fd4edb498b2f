"""Transposes: chains become one, products are made the way round in which they are needed."""

import importlib

import numpy as np
import pytest

from support import backends as backends_here
from support.graph_programs import Writer, complaint, random_program, written
from zkynet.framework.graph_mode.passes.dead_code import dead_code
from zkynet.framework.graph_mode.passes.transposes import transposes

MODULE = importlib.import_module("zkynet.framework.graph_mode.passes.transposes")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4, 5))


def cleaned(program):
    return dead_code(transposes(program))


def calls(program):
    return [(step.function, *step.args[1:]) for step in cleaned(program).steps]


def chain(*calls):
    """A program that applies the calls one after the other to an input of shape (2, 3, 4, 5)."""
    w = Writer()
    x = w.input(X)
    for name, *args in calls:
        x = w(name, x, *args)
    return w.program(w("exp", x), x), w.arrays


CHAINS = [
    ([("matrix_transpose",), ("matrix_transpose",)], []),
    ([("permute_dims", (0, 1, 2, 3))], []),
    ([("permute_dims", (0, 1, 3, 2))], [("matrix_transpose",)]),
    ([("permute_dims", (-4, 1, -1, 2))], [("matrix_transpose",)]),
    ([("permute_dims", (1, 2, 3, 0)), ("permute_dims", (3, 0, 1, 2))], []),
    ([("permute_dims", (1, 2, 3, 0)), ("permute_dims", (1, 2, 3, 0))], [("permute_dims", (2, 3, 0, 1))]),
    ([("permute_dims", (1, 2, 3, 0)), ("matrix_transpose",)], [("permute_dims", (1, 2, 0, 3))]),
    ([("moveaxis", 2, -1)], [("matrix_transpose",)]),
    ([("moveaxis", 0, -1), ("moveaxis", -1, 0)], []),
    ([("moveaxis", (0, 1), (-1, 0))], [("permute_dims", (1, 2, 3, 0))]),
    ([("moveaxis", (0, 3), (2, 0)), ("moveaxis", 1, 1)], [("permute_dims", (3, 1, 0, 2))]),
    (
        [("matrix_transpose",), ("exp",), ("matrix_transpose",)],
        [("matrix_transpose",), ("exp",), ("matrix_transpose",)],
    ),
]


@pytest.mark.parametrize("given, wanted", CHAINS)
def test_chains_become_one_permutation(given, wanted):
    program, arrays = chain(*given)
    assert calls(program) == [*wanted, ("exp",)]
    assert complaint(program, arrays, transposes) is None


def test_every_order_of_axes_is_composed_rightly():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        axes = [("permute_dims", tuple(map(int, rng.permutation(4)))) for _ in range(3)]
        moved = [("moveaxis", int(a), int(b)) for a, b in rng.integers(-4, 4, (2, 2))]
        program, arrays = chain(axes[0], moved[0], axes[1], moved[1], axes[2])
        assert len(calls(program)) <= 2
        assert complaint(program, arrays, transposes) is None


def test_what_lies_between_may_be_read_too():
    w = Writer()
    x = w.input(X)
    y = w("permute_dims", x, (1, 0, 3, 2))
    z = w("permute_dims", y, (1, 0, 3, 2))
    program = w.program(w("exp", y), w("exp", z))
    assert len(cleaned(program).steps) == 3
    assert complaint(program, w.arrays, transposes) is None


def gradient(*readers, stacked=False):
    """The gradient of a weight (out, in): the transpose of ``x.T @ g``."""
    w = Writer()
    lead = (3,) if stacked else ()
    x, g = w.input(RNG.standard_normal((*lead, 8, 5))), w.input(RNG.standard_normal((*lead, 8, 4)))
    product = w("matmul", w("matrix_transpose", x), g)
    dw = w("matrix_transpose", product)
    return w.program(*[reader(w, dw, product) for reader in readers]), w.arrays


def scaled(w, dw, product):
    return w("multiply", dw, 0.1)


def multiplied(w, dw, product):
    return w("tanh", w("matmul", dw, product))


def the_product(w, dw, product):
    return w("exp", product)


def itself(w, dw, product):
    return dw


@pytest.mark.parametrize("reader", [scaled, itself])
@pytest.mark.parametrize("stacked", [False, True])
def test_a_transposed_product_is_made_the_other_way_round(reader, stacked):
    program, arrays = gradient(reader, stacked=stacked)
    after = cleaned(program)
    assert [step.function for step in after.steps][:2] == ["matrix_transpose", "matmul"]
    g, x = after.steps[1].args
    assert x in program.inputs and after.steps[0].outputs is g
    assert len({value.index for step in after.steps for value in step.makes}) == len(after.steps)
    assert complaint(program, arrays, transposes, 1e-14) is None


def test_the_second_factor_may_be_the_transposed_one():
    w = Writer()
    a, b = w.input(RNG.standard_normal((4, 6))), w.input(RNG.standard_normal((5, 6)))
    program = w.program(w("exp", w("matrix_transpose", w("matmul", a, w("matrix_transpose", b)))))
    after = cleaned(program)
    assert [step.function for step in after.steps] == ["matrix_transpose", "matmul", "exp"]
    assert after.steps[1].args[0] is b
    assert complaint(program, w.arrays, transposes, 1e-14) is None


def test_a_turned_product_in_another():
    """The first is gone when the second is turned: what it made can no longer be read."""
    w = Writer()
    x = w.input(RNG.standard_normal((6, 6)))
    y = w("matrix_transpose", w("tanh", x))
    for _ in range(4):
        y = w("matrix_transpose", w("matmul", y, x))
        w("exp", y)
    program = w.program(*[step.outputs for step in w.steps if step.function == "exp"])
    assert transposes(program) is not program
    assert complaint(program, w.arrays, transposes, 1e-12) is None


@pytest.mark.parametrize("readers", [(multiplied,), (scaled, the_product)])
def test_a_product_stays_where_turning_it_gains_nothing(readers):
    """Products read a transposed view as it lies, and what else is read would be made twice."""
    program, arrays = gradient(*readers)
    assert [step.function for step in cleaned(program).steps][:2] == ["matrix_transpose", "matmul"]
    assert cleaned(program).steps[1].args[1] is program.inputs[1]
    assert complaint(program, arrays, transposes) is None


def test_products_of_stacks_by_one_matrix_stay():
    """They are one product of all rows; the other way round they would be many."""
    w = Writer()
    x, weight = w.input(RNG.standard_normal((3, 8, 5))), w.input(RNG.standard_normal((4, 5)))
    program = w.program(w("exp", w("matrix_transpose", w("matmul", x, w("matrix_transpose", weight)))))
    assert transposes(program) is program


def test_a_gradient_lies_row_by_row_for_the_update():
    program, arrays = gradient(itself)
    assert not program(*arrays)[0].flags.c_contiguous
    assert transposes(program)(*arrays)[0].flags.c_contiguous


def test_nothing_to_do_gives_the_program_itself():
    program, _ = chain(("matrix_transpose",), ("permute_dims", (1, 0, 3, 2)))
    once = transposes(program)
    assert transposes(once) is once


def test_the_given_program_stays_as_it_is():
    for program in (random_program(7)[0], gradient(scaled)[0]):
        before = written(program)
        transposes(program)
        assert written(program) == before


@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_on_other_backends(name):
    w = Writer(backends_here.get(name))
    x, g = w.input(RNG.standard_normal((8, 5))), w.input(RNG.standard_normal((8, 4)))
    y = w("permute_dims", w("matmul", w("matrix_transpose", x), g), (1, 0))
    program = w.program(w("multiply", y, 0.1), w("moveaxis", w("matrix_transpose", y), 0, 1))
    assert "permute_dims" not in [step.function for step in cleaned(program).steps]
    assert complaint(program, w.arrays, transposes, 1e-14) is None


permutation = MODULE._permutation


def inverse(x, axes, step):
    return permutation(x, tuple(map(axes.index, range(len(axes)))), step)


def not_exchanged(product, step, makers):
    return product, MODULE.Step("matmul", product.args, {}, step.outputs)


MUTANTS = {
    "axes the other way": ("_permutation", inverse),
    "all moves are one": ("_axes_of", lambda step: (1, 0, 2, 3) if step.function == "moveaxis" else None),
    "factors not exchanged": ("_other_way_round", not_exchanged),
    "readers of the product forgotten": ("Counter", lambda items: Ones()),
    "readers of a chain forgotten": ("renamed", lambda step, names: step),
}


class Ones(dict):
    """A count that is always 1."""

    def __missing__(self, key):
        return 1

    def update(self, *args):
        pass


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_passes_are_caught(monkeypatch, mutant):
    monkeypatch.setattr(MODULE, *MUTANTS[mutant])
    programs = [chain(*given) for given, _ in CHAINS] + [gradient(scaled), gradient(scaled, the_product)]
    assert [found for program, arrays in programs if (found := raised_or(program, arrays))]


def raised_or(program, arrays):
    try:
        return complaint(program, arrays, transposes, 1e-12)
    except (KeyError, ValueError) as error:
        return repr(error)
