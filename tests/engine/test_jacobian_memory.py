"""Full Jacobians take little more memory than their result: 1.3 times that from 64 MB on, 3 times that below."""

import tracemalloc

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import diagonal, jacobians, op

RNG = np.random.default_rng(0)
LARGE, SMALL = 3000, 600  # Jacobians of 72 MB and of 2.9 MB
LIMITS = {LARGE: 1.3, SMALL: 3.0}


def peak(f, x, **settings):
    """The Jacobian of ``f`` at ``x``, and the largest memory held while it is computed, over its own."""
    compute = zk.jacobian(f, **settings)
    compute(x)  # what is made once
    tracemalloc.start()
    try:
        found = compute(x)
        return found, tracemalloc.get_traced_memory()[1] / found.nbytes
    finally:
        tracemalloc.stop()


def thin(n):
    """Two layers with a narrow one between them: every output depends on every input, and little is computed."""
    a, b = RNG.normal(size=(20, n)), RNG.normal(size=(n, 20))
    a.flags.writeable = b.flags.writeable = False
    f = lambda x: op.tanh(b @ op.tanh(a @ x))  # noqa: E731
    x = RNG.normal(size=n) / n
    h = np.tanh(a @ x)
    return f, x, (1 - np.tanh(b @ h) ** 2)[:, None] * b @ ((1 - h * h)[:, None] * a)


def branches(n):
    """A sum of several ways from the input to the output, whose contributions meet."""
    f = lambda x: op.cumulative_sum(x) + op.sin(x[::-1]) * op.sum(x) + op.cumulative_sum(x * x)  # noqa: E731
    x = RNG.normal(size=n)
    lower, flip = np.tri(n), np.eye(n)[::-1]
    return f, x, lower + np.sin(x[::-1])[:, None] + np.cos(x[::-1])[:, None] * flip * x.sum() + 2 * lower * x


def wide(n):
    """Through an array 40 times as wide as input and output."""
    scales = np.linspace(0.5, 1.5, 40)[:, None]
    f = lambda x: op.cumulative_sum(op.sum(op.sin(scales * x), axis=0))  # noqa: E731
    x = RNG.normal(size=n)
    return f, x, np.tri(n) * (scales * np.cos(scales * x)).sum(axis=0)


@pytest.mark.parametrize("n", [LARGE, SMALL])
@pytest.mark.parametrize("mode", ["rev", "fwd"])
@pytest.mark.parametrize("make", [thin, branches])
def test_dense(make, mode, n):
    f, x, expected = make(n)
    found, factor = peak(f, x, mode=mode)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert factor < LIMITS[n]


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_what_lies_between_may_be_wider(mode):
    f, x, expected = wide(SMALL)
    found, factor = peak(f, x, mode=mode)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert factor < LIMITS[SMALL]


@pytest.mark.parametrize("n", [LARGE, SMALL])
def test_a_diagonal_is_written_into_the_result(n):
    x = RNG.normal(size=n)
    found, factor = peak(lambda x: op.sin(x) * op.exp(-x * x), x)
    assert factor < (1.01 if n == LARGE else 1.2)
    np.testing.assert_array_equal(found, np.diag(np.diag(found)))
    np.testing.assert_allclose(np.diag(found), np.exp(-x * x) * (np.cos(x) - 2 * x * np.sin(x)))


def test_a_hessian():
    a = RNG.normal(size=(20, LARGE))
    a.flags.writeable = False
    compute = zk.hessian(lambda x: op.sum(op.sin(a @ x)))
    x = RNG.normal(size=LARGE) / LARGE
    compute(x)
    tracemalloc.start()
    try:
        found = compute(x)
        assert tracemalloc.get_traced_memory()[1] < LIMITS[LARGE] * found.nbytes
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found, -(a.T * np.sin(a @ x)) @ a, rtol=1e-9, atol=1e-9)


# ---- where sweeps begin ----


def sweeps_of(monkeypatch, f, *args, **settings):
    """The Jacobian, and how many batched sweeps it took."""
    count = []
    real = jacobians._sweep
    monkeypatch.setattr(jacobians, "_sweep", lambda *a: count.append(1) or real(*a))
    return zk.jacobian(f, **settings)(*args), len(count)


def test_a_diagonal_jacobian_needs_no_batched_sweep(monkeypatch):
    x = RNG.normal(size=(3, 4))
    found, count = sweeps_of(monkeypatch, lambda x: op.reshape(op.tanh(x) * x, (4, 3)), x)
    expected = np.diag((np.tanh(x) + x / np.cosh(x) ** 2).reshape(-1))
    np.testing.assert_allclose(found.reshape(12, 12), expected, atol=1e-15)
    assert count == 0 and found.shape == (4, 3, 3, 4)


def test_a_diagonal_beside_other_ways():
    """The leaf, and a step between, receive a diagonal and whole rows; broadcasts are no diagonals."""
    x, w = RNG.normal(size=5), RNG.normal(size=(5, 5))

    def f(x):
        h = op.exp(x)
        return h * x + op.sin(w @ h) + h[0] * op.mean(x, keepdims=True)

    np.testing.assert_allclose(zk.jacobian(f, mode="rev")(x), zk.jacobian(f, mode="fwd")(x), rtol=1e-12)


@pytest.mark.parametrize("by", [0, 1, (0, 1)])
@pytest.mark.parametrize("f", [lambda a, x: a @ x, lambda a, x: x @ a, lambda a, x: op.linear(x, a)])
def test_products_below_a_diagonal(f, by):
    """Products have a rule for diagonals: by the vector alone, by the matrix, which has none, and by both."""
    a, x = RNG.normal(size=(4, 4)), RNG.normal(size=4)
    g = lambda a, x: op.tanh(f(a, x))  # noqa: E731
    back, forward = (zk.jacobian(g, by, mode=mode)(a, x) for mode in ("rev", "fwd"))
    for one, other in zip(np.atleast_1d(back) if by != (0, 1) else back, forward if by == (0, 1) else forward):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("f", [lambda a, x: a @ op.tanh(x), lambda a, x: op.linear(op.tanh(x), op.matrix_transpose(a))])
def test_the_identity_is_not_multiplied_by(f, chunk_size):
    """A product that comes first hands its matrix on; the result is memory of its own all the same."""
    a, x = RNG.normal(size=(3, 4)), RNG.normal(size=4)
    before = a.copy()
    found = zk.jacobian(f, 1, mode="rev", chunk_size=chunk_size)(a, x)
    np.testing.assert_array_equal(found, a * (1 - np.tanh(x) ** 2))
    found[:] = 7.0
    alone = zk.jacobian(lambda x: a @ x, mode="rev", chunk_size=chunk_size)(x)
    alone[:] = 7.0
    np.testing.assert_array_equal(a, before)


def test_what_a_mask_cut_off_stays_silent_behind_it():
    x = np.array([0.0, 4.0, 9.0])

    def f(x):
        root = op.reshape(op.sqrt(op.cumulative_sum(x)), (3,))
        return op.where(x > 0.0, root, 1.0)

    found = zk.jacobian(f)(x)
    np.testing.assert_allclose(found, [[0, 0, 0], [0.25, 0.25, 0], *[[0.5 / 13**0.5] * 3]])


def test_off_the_diagonal_an_infinite_slope_is_zero():
    found = zk.jacobian(lambda x: op.sqrt(x) * 2.0)(np.array([0.0, 4.0]))
    np.testing.assert_array_equal(found, [[np.inf, 0.0], [0.0, 0.5]])


def test_a_parameter_named_twice_gets_both():
    p = zk.Parameter("p", np.array([1.0, 2.0]))
    one, other = zk.jacobian(lambda a, b: op.sin(a) * 1.0, (0, 1))(p, p)
    np.testing.assert_array_equal(one, np.diag(np.cos(p.value)))
    np.testing.assert_array_equal(other, one)
    one[0, 0] = 7.0
    assert other[0, 0] != 7.0


def test_rows_of_a_diagonal(backend):
    entries = backend.asarray(np.arange(1.0, 7.0).reshape(2, 3))
    rows = backend.to_numpy(diagonal.Diagonal(entries, 2, 5).written_out())
    assert rows.shape == (3, 2, 3)
    np.testing.assert_array_equal(rows.reshape(3, 6), np.diag(np.arange(1.0, 7.0))[2:5])
