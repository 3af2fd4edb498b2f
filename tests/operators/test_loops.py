"""Branches and loops: what runs, what is recorded, and what a compiled function can do."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import op
from zkynet.errors import ShapeError, TrackedValueError

A = np.array


def refuse(*_):
    raise AssertionError("the other branch was run")


def test_cond_runs_the_branch_taken_alone(backend):
    x = backend.asarray([0.3, -0.2])
    for predicate in (True, backend.asarray([[True]]), op.less(backend.asarray(1.0), 2.0), 0.5):
        _, pullback = zk.vjp(lambda x, p=predicate: op.cond(p, op.sin, refuse, x), x)
        found = backend.to_numpy(pullback(backend.asarray([1.0, 2.0]))[0])
        np.testing.assert_allclose(found, np.cos([0.3, -0.2]) * [1, 2])
    assert op.cond(False, refuse, lambda: {"a": 1.0, "b": (2.0,)}) == {"a": 1.0, "b": (2.0,)}


def test_cond_chooses_where_a_compiled_function_runs():
    jax = backends_here.get("jax")

    def loss(x):
        return op.cond(x > 0, lambda x: {"y": op.sqrt(x)}, lambda x: {"y": x * x}, x)["y"]

    compiled = jax.compile(lambda x: zk.grad(loss)(x))
    for x, slope in ((4.0, 0.25), (-3.0, -6.0), (0.0, 0.0)):  # no NaN of the branch that was not taken
        assert float(compiled(jax.asarray(x))) == slope
    by_number = jax.compile(lambda x: op.cond(x, lambda: 1.0 * x, lambda: x - 1.0).value)
    assert [float(by_number(jax.asarray(x))) for x in (2.0, 0.0)] == [2.0, -1.0]
    with pytest.raises(ShapeError, match="one shape"):
        jax.compile(lambda x: op.cond(x > 0, lambda x: x, lambda x: op.stack([x, x]), x).value)(jax.asarray(1.0))


def test_while_loop_needs_its_condition_while_it_is_compiled():
    jax = backends_here.get("jax")
    with pytest.raises(TrackedValueError, match=r"op\.scan"):
        jax.compile(lambda x: op.while_loop(lambda s: s < 9, lambda s: s * 2, x).value)(jax.asarray(1.0))


def test_a_loop_may_depend_on_its_numbers():
    """Newton's method until it settles: the gradient of a square root, through as many steps as were taken."""

    def root(a):
        def off(state):
            return abs(op.stop_gradient(state * state - a)) > 1e-13

        return op.while_loop(off, lambda x: 0.5 * (x + a / x), a)

    value, slope = zk.value_and_grad(root)(7.0)
    np.testing.assert_allclose([value, slope], [7**0.5, 0.5 / 7**0.5], rtol=1e-9)


def test_without_a_step_the_state_comes_back_as_a_tensor_of_its_own():
    x = A([1.0, 2.0])
    for y in (op.while_loop(lambda s: False, None, x), op.scan(lambda c, x: (c, x), x, np.zeros((0, 2)))[0]):
        assert isinstance(y, zk.Tensor) and not np.shares_memory(y.value, x)


def test_scan_takes_and_gives_containers(backend):
    xs = {"a": backend.asarray([1.0, 2.0, 3.0]), "b": (backend.asarray([[1.0], [2.0], [4.0]]),)}

    def step(carry, x):
        return carry + x["a"], {"sum": carry, "last": [x["b"][0] * carry]}

    carry, ys = op.scan(step, backend.asarray(0.0), xs, reverse=True)
    assert float(carry) == 6
    np.testing.assert_array_equal(backend.to_numpy(ys["sum"].value), [5, 3, 0])
    np.testing.assert_array_equal(backend.to_numpy(ys["last"][0].value), [[5], [6], [0]])


def test_scan_counts_without_arrays():
    carry, ys = op.scan(lambda c, _: (c * 2, None), 1.0, length=5)
    assert float(carry) == 32 and ys is None
    with pytest.raises(ShapeError, match="one length"):
        op.scan(lambda c, x: (c, x), 1.0)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        op.scan(lambda c, x: (c, x[0]), 1.0, (np.ones(3), np.ones(2)))


def test_scan_of_nothing_knows_shapes_and_dtypes():
    x = np.zeros((0, 3), "float32")
    _, (y, n) = op.scan(lambda c, x: (c, (op.outer(x, x), op.argmax(x))), None, x)
    assert (y.shape, y.dtype) == ((0, 3, 3), np.float32)
    assert (n.shape, n.dtype) == ((0,), np.int64)


def test_map_of_several_arrays():
    a, b = np.arange(6.0).reshape(2, 3), A([1.0, 10.0, 100.0])
    y = op.map(lambda row, k: (row * k, op.sum(row)), a.T, b)
    np.testing.assert_array_equal(y[0].value, a.T * b[:, None])
    np.testing.assert_array_equal(y[1].value, a.sum(0))
    with pytest.raises(TypeError, match="at least one array"):
        op.map(op.sin)
