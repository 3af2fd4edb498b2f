"""Normalisation: closed forms, running statistics, training and evaluation, compiled steps, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.layers import MATRIX, PICTURES, ROWS, host, randomized
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op


def standardized(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def along_channels(p, x):
    return host(p).reshape(-1, *(1,) * (x.ndim - 2))


# ---- closed forms ----


@pytest.mark.parametrize("x", [MATRIX, ROWS, PICTURES], ids=["matrix", "rows", "pictures"])
def test_batch_norm(x):
    layer = randomized(nn.BatchNorm(4, momentum=0.25, dtype="float64"))
    axes = tuple(i for i in range(x.ndim) if i != 1)
    expected = standardized(x, axes) * along_channels(layer.weight, x) + along_channels(layer.bias, x)
    np.testing.assert_allclose(host(layer(x)), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(host(layer.running_mean), 0.25 * x.mean(axes), rtol=1e-12)
    np.testing.assert_allclose(host(layer.running_var), 0.75 + 0.25 * x.var(axes, ddof=1), rtol=1e-12)
    mean, var = (host(each).reshape(-1, *(1,) * (x.ndim - 2)) for each in (layer.running_mean, layer.running_var))
    expected = (x - mean) / np.sqrt(var + 1e-5) * along_channels(layer.weight, x) + along_channels(layer.bias, x)
    np.testing.assert_allclose(host(layer.eval()(x)), expected, rtol=1e-12, atol=1e-13)


def test_plain_averages_over_all_batches():
    layer = nn.BatchNorm(4, momentum=None, dtype="float64")
    batches = [np.random.default_rng(i).normal(i, i + 1, (5, 4)) for i in range(4)]
    for x in batches:
        layer(x)
    np.testing.assert_allclose(host(layer.running_mean), np.mean([x.mean(0) for x in batches], 0), rtol=1e-12)
    np.testing.assert_allclose(host(layer.running_var), np.mean([x.var(0, ddof=1) for x in batches], 0), rtol=1e-12)
    assert layer.batches.value == 4 and layer.batches.value.dtype == "int64"


def test_the_other_norms():
    x = PICTURES
    for layer, expected in (
        (nn.LayerNorm(5, dtype="float64"), standardized(x, (3,))),
        (nn.LayerNorm((6, 5), eps=0.1, affine=False), standardized(x, (2, 3), 0.1)),
        (nn.InstanceNorm(4), standardized(x, (2, 3))),
        (nn.GroupNorm(2, 4, affine=False), standardized(x.reshape(2, 2, 2, 6, 5), (2, 3, 4)).reshape(x.shape)),
        (nn.GroupNorm(1, 4, affine=False), standardized(x, (1, 2, 3))),
        (nn.RMSNorm((6, 5), affine=False), x / np.sqrt((x * x).mean((2, 3), keepdims=True) + 1e-5)),
    ):
        np.testing.assert_allclose(host(layer(x)), expected, rtol=1e-12, atol=1e-13)


def test_gradients_in_training_and_evaluation():
    layer = randomized(nn.BatchNorm(4, dtype="float64"))
    x = ROWS[:, :, :3]
    for mode in (True, False):
        layer.train(mode)
        zk.testing.check_grads(lambda x: op.sum(op.sin(3 * layer(x))), (x,))
    fixed = host(layer.running_var)
    grads = zk.grad(lambda m: op.sum(op.square(m(x))))(layer)
    assert list(grads) == ["weight", "bias"]
    np.testing.assert_array_equal(host(layer.running_var), fixed)


# ---- the states ----


def test_statistics_move_in_training_alone():
    layer = nn.BatchNorm(4)
    x = MATRIX.astype("float32")
    layer.eval()(x)
    assert not host(layer.running_mean).any() and (host(layer.running_var) == 1).all()
    layer.train()
    zk.value_and_grad(lambda m: op.sum(m(x)))(layer)
    once = host(layer.running_mean)
    np.testing.assert_allclose(once, 0.1 * x.mean(0), rtol=1e-5)
    with zk.no_grad():
        layer(x)
    assert not np.array_equal(host(layer.running_mean), once)


def test_statistics_have_no_gradient_and_hold_arrays():
    layer = nn.BatchNorm(4, dtype="float64")
    zk.hvp(lambda x: op.sum(op.sin(layer(x))), (MATRIX,), (MATRIX,))
    assert type(layer.running_mean.value) is np.ndarray and list(layer.named_parameters()) == ["weight", "bias"]
    np.testing.assert_allclose(host(layer.running_mean), 0.1 * MATRIX.mean(0), rtol=1e-12)


def test_float32_statistics_take_batches_of_float64():
    layer = nn.BatchNorm(4)
    assert host(layer(MATRIX)).dtype == "float64" and layer.running_var.value.dtype == "float32"
    np.testing.assert_allclose(host(layer.running_mean), 0.1 * MATRIX.mean(0), rtol=1e-6)


def test_checkpoint_moves_statistics_once():
    layer, other = nn.BatchNorm(4, dtype="float64"), nn.BatchNorm(4, dtype="float64")
    expected = zk.grad(lambda m: op.sum(op.sin(m(MATRIX))))(layer)
    again = zk.grad(lambda m: op.sum(op.sin(zk.checkpoint(m)(MATRIX))))(other)
    for name in ("weight", "bias"):
        np.testing.assert_allclose(again[name], expected[name], rtol=1e-12)
    np.testing.assert_array_equal(host(other.running_mean), host(layer.running_mean))


def test_an_error_moves_nothing():
    layer = nn.BatchNorm(4)
    for x in (MATRIX[:, :3], MATRIX[:1], MATRIX[:0]):
        with pytest.raises(ValueError):
            layer(x)
    assert not host(layer.running_mean).any()


def test_one_sample_is_enough_in_evaluation():
    layer = nn.BatchNorm(4).eval()
    x = MATRIX[:1].astype("float32")
    np.testing.assert_allclose(host(layer(x)), x / np.sqrt(1 + 1e-5), rtol=1e-6)
    assert host(layer(x[:0])).shape == (0, 4)


def test_weights_save_and_load_with_statistics(tmp_path):
    ours, theirs = nn.BatchNorm(4, momentum=None), nn.BatchNorm(4, momentum=None)
    ours(MATRIX)
    zk.io.save_weights(tmp_path / "w.safetensors", ours)
    zk.io.load_weights(tmp_path / "w.safetensors", theirs)
    assert theirs.batches.value == 1
    np.testing.assert_array_equal(host(theirs.eval()(MATRIX)), host(ours.eval()(MATRIX)))


# ---- compiled steps ----


def noisy_model():
    generator = zk.Generator(1)
    return nn.Sequential(
        nn.BatchNorm(4, momentum=None),
        nn.Linear(4, 6, generator),
        nn.BatchNorm(6),
        nn.ReLU(),
        nn.Dropout(0.3, generator),
        nn.Linear(6, 3, generator),
    )


@pytest.mark.parametrize("name", ["numpy", pytest.param("jax", marks=pytest.mark.slow)])
def test_compiled_steps_are_the_eager_ones_on_numpy(name):
    backends_here.get(name)
    x, labels = np.random.default_rng(0).normal(size=(8, 4)).astype("float32"), np.arange(8) % 3

    def loss(model, x, labels):
        return op.softmax_cross_entropy(model(x), labels)

    (ours, mine), (theirs, other) = [(noisy_model().to(each), zk.optim.SGD(0.1)) for each in (name, "numpy")]
    step = zk.train.compiled_step(ours, mine, loss)
    for i in range(5):
        for model in (ours, theirs):
            model.train(i != 3)  # a step in evaluation, between those in training
        value = step(x, labels)
        expected, grads = zk.value_and_grad(loss)(theirs, x, labels)
        other.update(theirs, grads)
        np.testing.assert_allclose(host(value), host(expected), rtol=1e-5)
        owned, wanted = (m.named_possessions((zk.Parameter, zk.State)) for m in (ours, theirs))
        for path, each in owned.items():
            np.testing.assert_allclose(host(each), host(wanted[path]), rtol=5e-5, atol=1e-6, err_msg=path)
    assert ours[0].batches.value == 4 and ours[4].generator.value == 2 + 4  # two layers drawn, four steps in training


# ---- settings ----


def test_settings_are_shown():
    assert repr(nn.BatchNorm(3)) == "BatchNorm(3)"
    assert repr(nn.BatchNorm(3, momentum=None, affine=False)) == "BatchNorm(3, momentum=None, affine=False)"
    assert repr(nn.LayerNorm((2, 3), eps=0.1, bias=False)) == "LayerNorm((2, 3), eps=0.1, bias=False)"
    assert repr(nn.LayerNorm([4])) == "LayerNorm(4)" and repr(nn.InstanceNorm(2)) == "InstanceNorm(2)"
    assert repr(nn.GroupNorm(2, 4, bias=False)) == "GroupNorm(2, 4, bias=False)"


def test_without_weights():
    for layer in (nn.BatchNorm(3, affine=False), nn.LayerNorm(3, affine=False), nn.InstanceNorm(3)):
        assert not layer.parameters()
    assert list(nn.GroupNorm(1, 3, bias=False).named_parameters()) == ["weight"]


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.BatchNorm(0), ValueError, "BatchNorm: channels is too small"),
        (lambda: nn.BatchNorm(3, momentum=1.5), ValueError, "momentum is out of range"),
        (lambda: nn.BatchNorm(3, momentum="0.1"), TypeError, "momentum is not a number"),
        (lambda: nn.LayerNorm(3, eps=float("nan")), ValueError, "eps is out of range"),
        (lambda: nn.LayerNorm(()), ValueError, "no axis"),
        (lambda: nn.LayerNorm((3, 0)), ValueError, "shape is too small"),
        (lambda: nn.LayerNorm(3.0), TypeError, "shape is not an int"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "3 groups, 4 channels"),
        (lambda: nn.BatchNorm(3)(MATRIX), ShapeError, r"\(N, 3, \*S\)"),
        (lambda: nn.BatchNorm(3)(np.ones(3)), ShapeError, r"\(N, 3, \*S\)"),
        (lambda: nn.BatchNorm(4)(MATRIX[:1]), ValueError, "one value per channel"),
        (lambda: nn.BatchNorm(4)(MATRIX[:0]), ValueError, "nothing to take a mean of"),
        (lambda: nn.InstanceNorm(3)(PICTURES), ShapeError, r"\(N, 3, \*S\)"),
        (lambda: nn.InstanceNorm(4)(MATRIX), ValueError, "one value per channel"),
        (lambda: nn.GroupNorm(3, 3)(PICTURES), ShapeError, r"\(N, 3, \*S\)"),
        (lambda: nn.LayerNorm((5, 6))(PICTURES), ShapeError, r"\(..., 5, 6\)"),
        (lambda: nn.LayerNorm((3, 4, 5), affine=False)(MATRIX), ShapeError, r"\(..., 3, 4, 5\)"),
        (lambda: nn.RMSNorm(5, affine=False)(MATRIX), ShapeError, r"\(..., 5\)"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
