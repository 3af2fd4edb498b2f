"""Clipping: by norm and by value, on every backend, of trees, and of numbers at the ends of their range."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import backends
from zkynet.backends.errors import TrackedValueError
from zkynet.framework import op
from zkynet.optim import clip_by_norm, clip_by_value, global_norm


def host(x):
    return backends.backend_of(x).to_numpy(x)


def test_the_norm_is_that_of_all_arrays_together(backend):
    grads = {"a": backend.asarray([3.0, 0.0]), "b": backend.asarray([[4.0]])}
    new, norm = clip_by_norm(grads, 1.0)
    assert host(norm) == pytest.approx(5) and norm.shape == () and host(global_norm(grads)) == pytest.approx(5)
    assert np.allclose(host(new["a"]), [0.6, 0]) and np.allclose(host(new["b"]), [[0.8]])
    assert host(grads["a"])[0] == 3 and backend.owns(new["a"]) and backend.owns(norm)


def test_short_gradients_stay(backend):
    grads = {"a": backend.asarray([3.0, 4.0], dtype=backend.float32), "none": backend.zeros((0, 2))}
    for most in (5.0, 100.0):
        new, norm = clip_by_norm(grads, most)
        assert np.array_equal(host(new["a"]), [3, 4]) and host(norm) == 5
    assert new["a"].dtype == backend.float32 and tuple(new["none"].shape) == (0, 2)


@pytest.mark.parametrize(
    "dtype, size", [("float32", 1e30), ("float32", 1e-30), ("float64", 1e200), ("float64", 1e-200)]
)
def test_squares_neither_overflow_nor_underflow(dtype, size, backend):
    grads = {"a": backend.asarray([3 * size, 4 * size], dtype=backend.dtype(dtype))}
    new, norm = clip_by_norm(grads, size)
    assert host(norm) == pytest.approx(5 * size, rel=1e-6)
    assert np.allclose(host(new["a"]) / size, [0.6, 0.8], rtol=1e-6)


def test_half_precision_is_measured_in_single_precision():
    for name in ("numpy", "jax"):
        xp = backends_here.get(name)
        grads = {"a": xp.asarray(np.full(1000, 60000.0), dtype=xp.dtype("float16"))}
        new, norm = clip_by_norm(grads, 1.0)
        assert float(norm) == pytest.approx(60000 * 1000**0.5, rel=1e-3)
        assert np.allclose(host(new["a"]), 1000**-0.5, rtol=1e-3) and xp.name_of(new["a"].dtype) == "float16"


def test_gradients_of_zero(backend):
    new, norm = clip_by_norm({"a": backend.zeros((3,))}, 1.0)
    assert host(norm) == 0 and not host(new["a"]).any()


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_gradients_that_are_not_finite_come_back_as_they_are(bad, backend):
    grads = {"a": backend.asarray([1.0, bad]), "b": backend.asarray([10.0])}
    new, norm = clip_by_norm(grads, 1.0)
    assert not np.isfinite(host(norm)) and host(new["b"]) == 10
    assert np.array_equal(host(new["a"]), [1, bad], equal_nan=True)


def test_trees_numbers_complex_arrays_and_several_backends():
    jax = backends_here.get("jax")
    grads = [{"z": np.array([3j])}, (4.0,), jax.asarray([12.0])]
    new, norm = clip_by_norm(grads, 6.5)
    assert norm == pytest.approx(13) and np.allclose(new[0]["z"], 1.5j) and new[1] == (2.0,)
    assert jax.owns(new[2]) and float(new[2][0]) == pytest.approx(6)
    assert clip_by_norm({}, 1.0) == ({}, 0.0)


def test_by_value(backend):
    grads = {"a": backend.asarray([-3.0, 0.5, 7.0, np.nan], dtype=backend.float32)}
    new = clip_by_value(grads, 1.0)["a"]
    assert np.array_equal(host(new), [-1, 0.5, 1, np.nan], equal_nan=True) and new.dtype == backend.float32
    assert clip_by_value([2.0, -3.0, 0.5], 1.0) == [1.0, -1.0, 0.5]


def test_by_value_has_no_meaning_for_complex_numbers():
    with pytest.raises(TypeError, match="clip_by_norm"):
        clip_by_value({"a": np.array([1j])}, 1.0)


def test_a_limit_is_above_zero():
    for most in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="clip_by_norm: the limit"):
            clip_by_norm({}, most)
        with pytest.raises(ValueError, match="clip_by_value: the limit"):
            clip_by_value({}, most)


def test_tracked_gradients_are_refused():
    with pytest.raises(TrackedValueError, match="to be clipped"):
        zk.grad(lambda x: (clip_by_norm({"a": x * 2}, 1.0), op.sum(x))[1])(np.ones(2))


def test_it_compiles():
    jax = backends_here.get("jax")
    clip = jax.compile(lambda grads: clip_by_norm(grads, 1.0))
    new, norm = clip({"a": jax.asarray([3.0, 4.0])})
    assert float(norm) == 5 and np.allclose(host(new["a"]), [0.6, 0.8])


@pytest.mark.slow  # importing torch
def test_it_is_torchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; the norm is tested by hand above")
    grads = {"a": np.sin(np.arange(12.0)).reshape(3, 4), "b": np.cos(np.arange(5.0))}
    parameters = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in grads.values()]
    for p, g in zip(parameters, grads.values(), strict=True):
        p.grad = torch.tensor(g)
    theirs = torch.nn.utils.clip_grad_norm_(parameters, 0.7)
    new, norm = clip_by_norm(grads, 0.7)
    assert norm == pytest.approx(float(theirs))
    for p, g in zip(parameters, new.values(), strict=True):
        assert np.allclose(p.grad.numpy(), g, rtol=1e-5)  # PyTorch adds 1e-6 to the norm
