"""Nothing is mutated, nothing is aliased: who may write to what, on NumPy arrays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import zkynet as zk
from support.cases import DIFFERENTIABLE, ROWS
from support.points import host, op_function, own, points
from zkynet.framework import op
from zkynet.framework.record import Tensor

differentiable = pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE])


def arrays(tree):
    """The NumPy arrays in operands, settings and tuples of indices."""
    items = tree.values() if isinstance(tree, dict) else tree
    for item in items:
        if isinstance(item, np.ndarray):
            yield item
        elif isinstance(item, (tuple, list)):
            yield from arrays(item)


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_forward_mutates_and_aliases_nothing(name):
    for point in points(name):
        given = [*arrays(point.sample.operands), *arrays(point.sample.settings)]
        before = [a.tobytes() for a in given]
        for y in point.f(op, *point.inputs):
            value = y._value if isinstance(y, Tensor) else y
            if isinstance(value, np.ndarray):
                assert not any(np.shares_memory(value, a) for a in given), point.sample
                assert not y.value.flags.writeable if isinstance(y, Tensor) else True, point.sample
        assert [a.tobytes() for a in given] == before, point.sample


@differentiable
def test_results_of_transforms_belong_to_the_caller(name):
    """They are writable, and share memory with nothing: not with inputs or cotangents, not with each other."""
    for point in [p for p in points(name) if p.differentiable]:
        f, x, g, v = op_function(point), point.inputs, point.g, point.v
        value, pull = zk.vjp(f, *x)
        results = [*value, *pull(g), *pull(g), *zk.jvp(f, x, v)[1]]
        mine = [a for a in results if isinstance(a, np.ndarray)]  # NumPy makes immutable scalars of 0-d arrays
        assert all(isinstance(a, (np.ndarray, np.generic, float)) for a in results), point.sample
        assert len(mine) >= sum(np.ndim(a) > 0 for a in x), point.sample
        assert all(a.flags.writeable for a in mine), point.sample
        given = [*arrays(point.sample.operands), *arrays(g), *arrays(v)]
        for a, b in itertools.chain(itertools.combinations(mine, 2), itertools.product(mine, given)):
            assert not np.shares_memory(a, b), point.sample


@pytest.mark.parametrize(
    "name", ["add", "subtract", "where", "concat", "reshape", "broadcast_to", "sum", "matmul", "copy"]
)
def test_writing_to_one_result_changes_no_other(name, backend):
    """On every library whose arrays can be written to; where memory cannot be compared, writing tells."""
    if backend.name == "jax":
        pytest.skip("its arrays cannot be written to")
    for point in [p for p in points(name) if p.differentiable and not p.weak][:3]:
        f, x, g = op_function(point), own(backend, point.inputs), own(backend, point.g)
        value, pull = zk.vjp(f, *x)
        expected = host(pull(g))
        results = [a for a in [*value, *pull(g), *pull(g)] if getattr(a, "shape", ())]
        for k, a in enumerate(results):
            a[...] = float(k)
        assert [host([a])[0].ravel()[:1].tolist() for a in results] == [
            [k] * (a.size > 0) for k, a in enumerate(results)
        ]
        for one, two in zip(host(pull(g)), expected):
            np.testing.assert_array_equal(one, two)


@differentiable
def test_writing_to_operands_after_the_forward_pass(name):
    """The right gradient or an error, never a wrong one: small arrays are copied."""
    for point in [p for p in points(name) if p.differentiable][:2]:
        x = [a.copy() if isinstance(a, np.ndarray) else a for a in point.inputs]
        _, pull = zk.vjp(op_function(point), *x)
        for a in x:
            if isinstance(a, np.ndarray):
                a[...] = np.nan
        expected = zk.vjp(op_function(point), *point.inputs)[1](point.g)
        for one, two in zip(pull(point.g), expected):
            np.testing.assert_array_equal(one, two, err_msg=point.sample)
