"""Dropout and its kin: how much is dropped, training and evaluation, whose random numbers, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.layers import host
from zkynet import nn
from zkynet.framework import op

ONES = np.ones((50, 40, 5))


def test_dropout_keeps_the_mean():
    y = host(nn.Dropout(0.25, 0)(ONES))
    assert set(np.unique(y)) == {0, 1 / 0.75}
    assert np.mean(y == 0) == pytest.approx(0.25, abs=0.02)


def test_whole_channels_are_dropped():
    y = host(nn.FeatureDropout(0.4, 0)(ONES))
    assert np.array_equal(y, np.broadcast_to(y[..., :1], y.shape))
    assert np.mean(y[..., 0] == 0) == pytest.approx(0.4, abs=0.05)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(300, 300))
    y = host(nn.AlphaDropout(0.3, 0)(x))
    assert abs(y.mean()) < 0.02 and y.var() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("make", [nn.Dropout, nn.FeatureDropout, nn.AlphaDropout])
def test_in_evaluation_nothing_happens(make):
    layer = make(0.5, 0)
    first = host(layer(ONES))
    assert np.array_equal(host(layer.eval()(ONES)), ONES) and layer.generator.value == 1
    assert not np.array_equal(host(layer.train()(ONES)), first)
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(layer.eval()(x)))(ONES), ONES)


def test_a_rate_of_zero_draws_nothing():
    layer = nn.Dropout(0, 0)
    assert np.array_equal(host(layer(ONES)), ONES) and layer.generator.value == 0


def test_the_gradient_is_that_of_what_is_kept():
    layer = nn.Dropout(0.5, 0)
    y, pull = zk.vjp(layer, ONES)
    np.testing.assert_array_equal(pull(ONES)[0], y)


def test_one_generator_serves_a_whole_model():
    generator = zk.Generator(5)
    model = nn.Sequential(nn.Linear(4, 4, generator), nn.Dropout(0.5, generator), nn.Dropout(0.5, generator))
    assert list(model.named_states()) == ["layers.1.generator"]
    model(np.ones((2, 4), "float32"))
    assert generator.value == 3


def _at(layer, counter):
    """The layer with its generator set back."""
    layer.generator.value = counter
    return layer


def test_checkpoint_draws_the_same_again():
    layer = nn.Dropout(0.5, 0)
    grads = zk.grad(lambda x: op.sum(op.square(zk.checkpoint(layer)(x))))(ONES)
    assert layer.generator.value == 1
    kept = host(_at(layer, 0)(ONES))
    np.testing.assert_array_equal(grads, 2 * kept * (kept != 0) / 0.5)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.Dropout(0.5), TypeError, r"Dropout\(rate, zk.Generator\(seed\)\)"),
        (lambda: nn.Dropout(0.5, "0"), TypeError, "zk.Generator"),
        (lambda: nn.Dropout(1.0, 0), ValueError, "nothing would be left"),
        (lambda: nn.Dropout(-0.1, 0), ValueError, "rate is out of range"),
        (lambda: nn.Dropout(True, 0), TypeError, "rate is not a number"),
        (lambda: nn.FeatureDropout(0.5, 0)(np.ones(3)), ValueError, r"\(N, C, ...\)"),
        (lambda: nn.Dropout(0.5, 0)(np.arange(3)), TypeError, "floating-point"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_settings_are_shown():
    assert repr(nn.Dropout(0.5, 3)) == "Dropout(0.5)" and repr(nn.AlphaDropout(0, 3)) == "AlphaDropout(0.0)"
