"""Random programs: any subset of the passes leaves the results as they were, bit for bit.

Products that are made the other way round are rounded otherwise by design: they are left out here where bits are
compared, and compared within a bound, on numbers that stay near 1, below.
"""

import importlib
import random
from collections import defaultdict

import numpy as np
import pytest

from support import backends as backends_here
from support.graph_programs import complaint, function_of, map_values, random_program
from zkynet.framework.graph_mode.passes import PASSES, facts, optimized
from zkynet.framework.graph_mode.program import Value, paired

PACKAGE = "zkynet.framework.graph_mode.passes"
BLOCKS, SEEDS = 8, 40  # programs of 30 steps


def submodule(name):
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def products_stay(monkeypatch):
    monkeypatch.setattr(submodule("transposes"), "_turned", lambda program: program)


def subsets(seed):
    """What is off: nothing, all but one, and two at random."""
    draw = random.Random(seed)
    alone = [frozenset(PASSES) - {name} for name in PASSES]
    return [frozenset(), *alone, *[frozenset(draw.sample(sorted(PASSES), draw.randint(1, 3))) for _ in range(2)]]


def found_wrong(seeds, off_of=subsets, **kwargs):
    """The first program that some subset of the passes changes, in words."""
    for seed in seeds:
        program, arrays = random_program(seed, **kwargs)
        for off in off_of(seed):
            found = complaint(program, arrays, lambda program, off=off: optimized(program, off))
            if found:
                return f"seed {seed}, off {sorted(off)}: {found}"
    return None


@pytest.mark.parametrize("block", range(BLOCKS))
def test_any_subset_of_the_passes_keeps_every_bit(products_stay, block):
    assert found_wrong(range(block * SEEDS, (block + 1) * SEEDS)) is None


@pytest.mark.parametrize("block", range(2))
def test_signs_and_factors_keep_every_bit(products_stay, block):
    assert found_wrong(range(block * SEEDS, (block + 1) * SEEDS), signs=True) is None


def test_other_inputs_find_the_program_right_too(products_stay):
    """What was folded or shared did not depend on the values that the inputs had."""
    for seed in range(30):
        program, arrays = random_program(seed)
        others = [np.roll(array[..., ::-1] if array.ndim else array, 1) for array in map(np.asarray, arrays)]
        try:
            with program.xp.errstate():
                program(*others)
        except (IndexError, ValueError):  # integers to a negative power
            continue
        assert complaint(program, others, optimized) is None


def test_turned_products_stay_within_rounding():
    turned = submodule("transposes")._turned
    changed = 0
    for seed in range(150):
        program, arrays = random_program(seed, tame=True, lengths=(2, 3, 5, 16))
        assert complaint(program, arrays, optimized, bound=1e-12) is None
        merged = optimized(program)
        changed += turned(submodule("transposes")._merged(program)) is not program and len(merged.steps) > 0
    assert changed > 10


@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_on_other_backends(products_stay, name):
    xp = backends_here.get(name)
    few = 2 if name == "jax" else 20  # JAX compiles each function for each shape
    kwargs = {"xp": xp, "lengths": (2, 3), "steps": 15}
    assert found_wrong(range(few), lambda seed: [frozenset()], **kwargs) is None


def test_what_is_said_about_the_order_in_memory_holds():
    seen = {facts.UNKNOWN: 0, facts.DENSE: 0, facts.ROWS: 0}
    for seed in range(60):
        program, arrays = random_program(seed)
        makers = {}
        orders = facts.Orders(program, makers)
        for step, value, array in values_of(program, arrays):
            makers[value] = step
            order = orders[value]
            seen[order] += 1
            assert order != facts.ROWS or array.flags.c_contiguous, (step, array.strides)
            assert order != facts.DENSE or is_dense(array), (step, array.strides)
    assert min(seen.values()) > 50


def values_of(program, arrays):
    """Each Value that a step makes, the step and the array."""
    known = {**program.constants, **dict(zip(program.inputs, arrays, strict=True))}
    with program.xp.errstate():
        for step in program.steps:
            args, kwargs = map_values(known.__getitem__, step.args), map_values(known.__getitem__, step.kwargs)
            for value, made in paired(step.outputs, function_of(program.xp, step.function)(*args, **kwargs)):
                known[value] = made
                yield step, value, np.asarray(made)


def is_dense(array):
    longer = array.squeeze()
    order = np.argsort([-stride for stride in longer.strides], kind="stable")
    return min(longer.strides, default=0) >= 0 and longer.transpose(order).flags.c_contiguous


# ---- the test itself: each of these breaks a pass, and is found. Rarer mistakes are in the test of each pass. ----


def by_type(tree):
    """What common subexpressions compare, without the numbers."""
    kind = type(tree)
    return (
        tree
        if kind is Value
        else tuple(map(by_type, tree))
        if kind is tuple
        else kind
        if kind in (int, float)
        else str(tree)
    )


def swapped(step):
    return (*range(n - 2), n - 1, n - 2) if (n := len(getattr(step.outputs, "shape", ()))) > 1 else None


MUTANTS = {
    "lists are not looked into": ("dead_code", "reads", lambda step: [x for x in step.args if type(x) is Value]),
    "scalars are not needed": ("dead_code", "reads", lambda step: [x for x in step.reads if x.shape != ()]),
    "inputs are taken for constants": ("constant_folding", "reads", lambda step: []),
    "folding forgets the keywords": (
        "constant_folding", "map_values", lambda f, tree: {} if type(tree) is dict else map_values(f, tree)
    ),
    "numbers are not compared": ("common_subexpressions", "key_of", by_type),
    "readers are not told": ("common_subexpressions", "renamed", lambda step, names: step),
    "shape and dtype are no matter": ("identities._Known", "alike", lambda self, x, step: hasattr(x, "shape")),
    "every number is 1": ("facts.Fills", "number", lambda self, x: 1),
    "every permutation is a transpose": ("transposes", "_axes_of", lambda step: MOVES[step.function](step)),
}  # fmt: skip
MOVES = defaultdict(lambda: lambda step: None, permute_dims=swapped, moveaxis=swapped, matrix_transpose=swapped)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_pass_is_found(products_stay, monkeypatch, mutant):
    place, name, broken = MUTANTS[mutant]
    module, _, inner = place.partition(".")
    owner = submodule(module)
    monkeypatch.setattr(getattr(owner, inner) if inner else owner, name, broken)
    try:
        found = found_wrong(range(BLOCKS * SEEDS), lambda seed: [frozenset()])
    except (IndexError, KeyError):  # the broken pass itself fell over: on the same programs the right one does not
        return
    assert found
