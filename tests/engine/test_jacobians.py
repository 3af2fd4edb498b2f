"""Full Jacobians and Hessians: shapes, both directions, chunks, limits."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet.errors import JacobianTooLargeError, NotDifferentiableError
from zkynet.framework import jacobians, op

X = np.array([0.1, 0.2, 0.3])
RNG = np.random.default_rng(0)
MODES = ("auto", "fwd", "rev")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 2, 3), (0,), (2, 0), (1,)])
def test_shapes(mode, shape):
    x = RNG.normal(size=shape)
    found = zk.jacobian(op.sin, mode=mode)(x)
    n = x.size
    np.testing.assert_allclose(found.reshape(n, n), np.diag(np.cos(x).reshape(-1)))
    assert found.shape == shape + shape


@pytest.mark.parametrize("mode", MODES)
def test_from_every_rank_to_every_rank(mode):
    for inner in ((), (2,), (2, 3), (1, 2, 1, 2)):
        for outer in ((), (3,), (2, 2), (1, 2, 1, 3)):
            weights = RNG.normal(size=(*outer, *inner))
            axes = tuple(range(-len(inner), 0))
            f = lambda x, weights=weights, axes=axes: op.sum(weights * x, axis=axes)  # noqa: E731
            found = zk.jacobian(f, mode=mode)(RNG.normal(size=inner))
            assert found.shape == outer + inner
            np.testing.assert_allclose(found, weights)


def test_python_numbers():
    assert zk.jacobian(lambda x: x * x)(3.0) == 6.0
    assert type(zk.jacobian(lambda x: x * x, mode="fwd")(3.0)) is float
    np.testing.assert_array_equal(zk.jacobian(lambda x: x * X)(3.0), X)
    assert zk.hessian(lambda x: x**3)(2.0) == 12.0


def matrix_function(x):
    return op.sin(x) @ x.T


@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize("chunk_size", [1, 2, 5, 9, 100])
def test_chunks(mode, chunk_size):
    x = RNG.normal(size=(3, 3))
    whole = zk.jacobian(matrix_function)(x)
    np.testing.assert_allclose(zk.jacobian(matrix_function, mode=mode, chunk_size=chunk_size)(x), whole)
    np.testing.assert_allclose(
        zk.hessian(lambda x: op.sum(matrix_function(x)), chunk_size=chunk_size)(x),
        zk.hessian(lambda x: op.sum(matrix_function(x)))(x),
    )


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_a_chunk_has_a_row(chunk_size):
    with pytest.raises(ValueError, match="at least 1"):
        zk.jacobian(op.sin, chunk_size=chunk_size)(X)


def test_large_jacobians_are_chunked_by_themselves(monkeypatch):
    monkeypatch.setattr(jacobians, "CACHE_BYTES", 100)
    sweeps = []
    real = jacobians._sweep
    monkeypatch.setattr(jacobians, "_sweep", lambda *args, **named: sweeps.append(1) or real(*args, **named))
    x = RNG.normal(size=(3, 3))
    np.testing.assert_allclose(zk.jacobian(matrix_function, mode="rev")(x), zk.jacobian(matrix_function, mode="fwd")(x))
    assert len(sweeps) == 9


def test_auto_takes_the_direction_with_fewer_rows(monkeypatch):
    sweeps = []
    real = jacobians._sweep
    monkeypatch.setattr(jacobians, "_sweep", lambda *args, **named: sweeps.append(1) or real(*args, **named))
    zk.jacobian(lambda x: op.sum(x) * np.ones(9))(X)
    assert not sweeps
    zk.jacobian(lambda x: op.sum(x))(X)
    assert sweeps


@pytest.mark.parametrize("mode", MODES)
def test_trees(mode):
    def f(d):
        return {"p": d["a"] * 2.0, "q": [op.sum(d["b"]) * d["c"]]}

    found = zk.jacobian(f, mode=mode)({"a": X, "b": (np.ones(2),), "c": 3.0} | {"b": np.ones(2)})
    np.testing.assert_array_equal(found["p"]["a"], 2 * np.eye(3))
    np.testing.assert_array_equal(found["p"]["b"], np.zeros((3, 2)))
    np.testing.assert_array_equal(found["p"]["c"], np.zeros(3))
    np.testing.assert_array_equal(found["q"][0]["b"], [3.0, 3.0])
    assert found["q"][0]["c"] == 2.0
    assert set(found) == {"p", "q"} and set(found["q"][0]) == {"a", "b", "c"}


def test_hessian_by_several_arguments():
    (aa, ab), (ba, bb) = zk.hessian(lambda a, b: op.sum(a * b * b), argnums=(0, 1))(X, 2 * X)
    np.testing.assert_array_equal(aa, np.zeros((3, 3)))
    np.testing.assert_allclose(ab, np.diag(4 * X))
    np.testing.assert_allclose(ba, np.diag(4 * X))
    np.testing.assert_allclose(bb, np.diag(2 * X))


@pytest.mark.parametrize("mode", MODES)
def test_a_jacobian_has_the_dtype_of_its_input(mode):
    a, b = X.astype(np.float32), X
    by_a, by_b = zk.jacobian(lambda a, b: a * b, argnums=(0, 1), mode=mode)(a, b)
    assert (by_a.dtype, by_b.dtype) == (np.float32, np.float64)
    assert zk.jacobian(lambda s: a * s, mode=mode)(2.0).dtype == np.float32
    assert zk.jacobian(op.sin, mode=mode)(a).dtype == np.float32
    assert zk.jacobian(lambda a: b, mode=mode)(a).dtype == np.float32


def test_too_large_is_an_error_before_anything_is_allocated():
    def explode(*args):
        raise AssertionError("something was computed")

    x = np.ones(300_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jacobians, "_sweep", explode)
        patch.setattr(jacobians, "_push", explode, raising=False)
        patch.setattr(jacobians, "identity_rows", explode)
        with pytest.raises(JacobianTooLargeError, match=r"720\.00 GB.*\n.*\n.*zk\.vjp") as caught:
            zk.jacobian(lambda x: x * x)(x)
        assert isinstance(caught.value, MemoryError)
        with pytest.raises(JacobianTooLargeError):
            zk.hessian(lambda x: op.sum(x * x))(x)


def test_the_limit(monkeypatch):
    monkeypatch.setattr(jacobians, "memory_limit", lambda: 72)
    assert zk.jacobian(op.sin)(X).shape == (3, 3)
    monkeypatch.setattr(jacobians, "memory_limit", lambda: 71)
    with pytest.raises(JacobianTooLargeError):
        zk.jacobian(op.sin)(X)


def test_wrong_modes_and_outputs():
    with pytest.raises(ValueError, match="'auto', 'fwd' or 'rev'"):
        zk.jacobian(op.sin, mode="reverse")
    with pytest.raises(NotDifferentiableError, match="int64"):
        zk.jacobian(op.argmax)(X)
    with pytest.raises(TypeError, match="did not return"):
        zk.jacobian(lambda x: "text")(X)


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])  # JAX would compile for a quarter of a minute
def test_both_directions_agree_on_a_model_of_many_operators(name):
    backend = backends_here.get(name)

    def f(x):
        a = op.concat([op.tanh(x), op.exp(x[::-1])])
        b = op.einsum("i,j->ij", a, x) + op.where(x > 0.15, x, 2 * x)
        c = op.linalg.solve(b.T @ b + np.eye(3), x)
        return op.cumulative_sum(op.softmax(c)) * op.max(b) + op.logsumexp(a) / op.mean(b**2)

    x = backend.asarray(X)
    forward, back = zk.jacobian(f, mode="fwd")(x), zk.jacobian(f, mode="rev")(x)
    assert backend.owns(forward) and backend.owns(back)
    np.testing.assert_allclose(backend.to_numpy(forward), backend.to_numpy(back), rtol=1e-10, atol=1e-12)


def test_one_batched_sweep_is_rows_of_pulled_cotangents():
    found = zk.jacobian(matrix_function, mode="rev")(RNG.normal(size=(2, 3)) * 0 + 0.3)
    _, pull = zk.vjp(matrix_function, np.full((2, 3), 0.3))
    for spot in np.ndindex(2, 2):
        unit = np.zeros((2, 2))
        unit[spot] = 1.0
        np.testing.assert_allclose(found[spot], pull(unit)[0])


def entrywise_after_products(x, steps):
    """A vector between two matrices, with many entrywise steps in between."""
    h = W1 @ x
    for step in steps:
        h = step(h)
    return W2 @ h


W1, W2 = RNG.normal(size=(7, 4)), RNG.normal(size=(5, 7))
STEPS = {
    "smooth": (op.exp, op.log1p, op.negative, op.tanh, op.square, op.sin),
    "two ways": (op.exp, lambda h: h * op.sin(h) / (1 + h), op.tanh, lambda h: h * h - h),
    "masks": (op.relu, lambda h: op.where(h > 0, op.log(h), h), op.tanh, lambda h: op.maximum(h, -0.5), op.sin),
    "reshaped": (op.exp, lambda h: op.reshape(h, (7, 1)), op.tanh, op.sin, lambda h: op.reshape(h, (7,)), op.cos),
}


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("name", STEPS)
def test_rows_pass_entrywise_steps_as_one_scale(name, chunk_size):
    x = np.array([0.3, -0.4, 0.5, 0.1])
    f = lambda x: entrywise_after_products(x, STEPS[name])  # noqa: E731
    with np.errstate(divide="ignore"):  # the logarithm of 0, which is not taken
        found = zk.jacobian(f, mode="rev", chunk_size=chunk_size)(x)
        forward = zk.jacobian(f, mode="fwd")(x)
        pull = zk.vjp(f, x)[1]
    np.testing.assert_allclose(found, np.stack([pull(row)[0] for row in np.eye(5)]), rtol=1e-12)
    np.testing.assert_allclose(found, forward, rtol=1e-12)


def test_an_infinite_slope_meets_its_cotangent():
    """Rows that are 0 where the slope is infinite stay 0, whether one row is pulled back or all."""
    w = np.array([[0.0, 2.0], [0.0, 3.0]])
    f = lambda x: w @ op.sin(op.sin(op.sin(op.sin(op.sqrt(np.eye(2) @ x)))))  # noqa: E731
    x = np.array([0.0, 1.0])
    found = zk.jacobian(f, mode="rev")(x)
    pull = zk.vjp(f, x)[1]
    np.testing.assert_array_equal(found, np.stack([pull(row)[0] for row in np.eye(2)]))
    assert np.isfinite(found).all()


def test_hessian_between_two_products():
    a, labels = RNG.normal(size=(30, 4)), np.sign(RNG.normal(size=30))
    w = RNG.normal(size=4)
    p = 1 / (1 + np.exp(labels * (a @ w)))
    by_hand = (a * (p * (1 - p))[:, None]).T @ a / 30
    loss = lambda w: op.mean(op.log1p(op.exp(-labels * (a @ w))))  # noqa: E731
    np.testing.assert_allclose(zk.hessian(loss)(w), by_hand, rtol=1e-12)


@pytest.mark.parametrize("step", [op.tanh, op.relu, lambda h: h * h, op.sqrt, lambda h: h + 1.0, lambda h: 2.0 / h])
def test_one_entrywise_step_behind_a_product(step):
    x = np.array([0.3, -0.4, 0.5, 0.1])
    with np.errstate(invalid="ignore"):
        f = lambda x: step(W1 @ x)  # noqa: E731
        found, pull = zk.jacobian(f, mode="rev")(x), zk.vjp(f, x)[1]
    np.testing.assert_allclose(found, np.stack([pull(row)[0] for row in np.eye(7)]), rtol=1e-12)


def test_what_a_mask_cut_off_stays_silent_below_an_infinite_slope():
    """Roots at 0 above units that relu has switched off: their parts of the rows are 0, not infinity times 0."""
    w1, w2 = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([[4.0, 1.0], [2.0, 3.0]])
    f = lambda x: op.sqrt(w2 @ op.relu(op.sin(op.tanh(op.sin(op.tanh(w1 @ x))))))  # noqa: E731
    x = np.array([-1.0, -1.0])
    found, pull = zk.jacobian(f, mode="rev")(x), zk.vjp(f, x)[1]
    np.testing.assert_array_equal(found, np.stack([pull(row)[0] for row in np.ones((2, 2))]))
    np.testing.assert_array_equal(found, 0.0)
