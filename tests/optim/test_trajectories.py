"""The steps of every optimizer: those of PyTorch over 100 steps, the same on every backend, and Lion's paper."""

import numpy as np
import pytest

import zkynet as zk
from support.optimizer_runs import (
    LBFGS_CALLS,
    LBFGS_RUNS,
    RUNS,
    B,
    W,
    X,
    Y,
    gradients,
    loss,
    recorded,
    torch_lbfgs,
    torch_run,
)
from zkynet import backends, optim
from zkynet.framework import op

RECORDED = recorded()


class Pair(zk.Module):
    """A model that is the two parameters of the problem."""

    def __init__(self, w=W, b=B):
        self.w, self.b = zk.Parameter("w", w), zk.Parameter("b", b)

    def call(self, x, y):
        return loss(op, self.w, self.b, x, y)


def host(x):
    return backends.backend_of(x).to_numpy(x)


def values(model):
    return {"w": host(model.w.value), "b": host(model.b.value)}


def points(optimizer, steps=100, backend=None):
    """The parameters after every step."""
    xp = backend or backends.get("numpy")
    model, found = Pair(xp.asarray(W), xp.asarray(B)), []
    for _ in range(steps):
        now = values(model)
        optimizer.update(model, {name: xp.asarray(g) for name, g in gradients(now["w"], now["b"]).items()})
        assert all(xp.owns(p.value) for p in model.parameters())
        found.append({name: np.array(x) for name, x in values(model).items()})
    return found


def make(name):
    return getattr(optim, RUNS[name].name)(**RUNS[name].settings)


def assert_close(mine, theirs, tolerance=1e-6):
    for name in ("w", "b"):
        np.testing.assert_allclose(mine[name], theirs[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", RUNS)
def test_steps_are_those_of_torch_as_recorded(name):
    found = points(make(name))
    for step, point in RECORDED[name].items():
        assert_close(found[step - 1], point, 1e-6 if "nadam" in name else 1e-9)  # PyTorch's M_t is in single precision


@pytest.mark.slow  # importing torch
@pytest.mark.parametrize("name", RUNS)
def test_steps_are_those_of_torch(name):
    pytest.importorskip("torch", reason="PyTorch is not installed; the recorded numbers are compared above")
    for mine, theirs in zip(points(make(name)), torch_run(name), strict=True):
        assert_close(mine, theirs)


@pytest.mark.parametrize("name", RUNS)
def test_every_backend_takes_the_same_steps(name, backend):
    for mine, theirs in zip(points(make(name), 10, backend), points(make(name), 10), strict=True):
        assert_close(mine, theirs, 1e-12)


def test_the_problem_has_the_gradients_that_it_says():
    value, grads = zk.value_and_grad(lambda m: m(X, Y))(Pair())
    assert np.isclose(value, loss(np, W, B, X, Y))
    assert_close(grads, gradients(W, B), 1e-12)


# ---- L-BFGS ----


def lbfgs_points(name, backend=None):
    xp = backend or backends.get("numpy")
    model, optimizer = Pair(xp.asarray(W), xp.asarray(B)), optim.LBFGS(**LBFGS_RUNS[name])
    found = []
    for _ in range(LBFGS_CALLS):
        optimizer.minimize(lambda model, x, y: model(x, y), model, xp.asarray(X), xp.asarray(Y))
        found.append(values(model))
    return found


@pytest.mark.parametrize("name", LBFGS_RUNS)
def test_lbfgs_is_that_of_torch_as_recorded(name, backend):
    for call, mine in enumerate(lbfgs_points(name, backend), start=1):
        assert_close(mine, RECORDED[name][call])


@pytest.mark.slow  # importing torch
@pytest.mark.parametrize("name", LBFGS_RUNS)
def test_lbfgs_is_that_of_torch(name):
    pytest.importorskip("torch", reason="PyTorch is not installed; the recorded numbers are compared above")
    for mine, theirs in zip(lbfgs_points(name), torch_lbfgs(name), strict=True):
        assert_close(mine, theirs)


# ---- what PyTorch does not have ----


def test_lion_is_the_algorithm_of_the_paper():
    lr, (beta1, beta2), decay = 0.01, (0.8, 0.95), 0.3
    p, m = {"w": W, "b": B}, {"w": np.zeros_like(W), "b": np.zeros_like(B)}
    for found in points(optim.Lion(lr, betas=(beta1, beta2), weight_decay=decay)):
        g = gradients(p["w"], p["b"])
        c = {name: beta1 * m[name] + (1 - beta1) * g[name] for name in p}
        m = {name: beta2 * m[name] + (1 - beta2) * g[name] for name in p}
        p = {name: p[name] - lr * (np.sign(c[name]) + decay * p[name]) for name in p}
        assert_close(found, p, 1e-12)


def test_lion_on_every_backend(backend):
    for mine, theirs in zip(points(optim.Lion(0.01), 5, backend), points(optim.Lion(0.01), 5), strict=True):
        assert_close(mine, theirs, 1e-12)


def test_muon_turns_singular_values_into_ones():
    u, _, vt = np.linalg.svd(np.sin(np.arange(24.0).reshape(6, 4)), full_matrices=False)
    model = Pair(np.zeros((6, 4)), np.zeros(2))
    gradient = u @ np.diag([1.0, 0.5, 0.2, 0.1]) @ vt
    optim.Muon(1.0, weight_decay=0.0, size="ratio").update(model, {"w": gradient, "b": np.ones(2)})
    step = -np.asarray(model.w.value)
    left, s, right = np.linalg.svd(step, full_matrices=False)
    assert s.min() > 0.6 and s.max() < 1.3
    assert np.allclose(step, left @ np.diag(s) @ right) and np.allclose(
        u.T @ step @ vt.T, np.diag(np.diag(u.T @ step @ vt.T))
    )
    assert np.allclose(model.b.value, -1.0)  # AdamW's first step


def test_muon_leaves_a_matrix_without_gradient_alone():
    model = Pair()
    optim.Muon(0.1, weight_decay=0.0).update(model, {"w": np.zeros_like(W), "b": np.ones(3)})
    assert np.array_equal(model.w.value, W)


def test_muon_takes_a_matrix_that_is_larger_than_a_block():
    start, g = np.ones((600, 300), np.float32), np.sin(np.arange(180000.0, dtype=np.float32)).reshape(600, 300)
    whole, wide = Pair(start, B), Pair(start.T.copy(), B)
    optim.Muon(0.1).update(whole, {"w": g, "b": B})
    optim.Muon(0.1).update(wide, {"w": g.T, "b": B})
    assert np.allclose(whole.w.value, wide.w.value.T, atol=1e-5) and not np.array_equal(whole.w.value, start)
