"""Residual and Identity: ways around layers, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.layers import MATRIX, PICTURES, host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op


def test_the_input_is_added():
    layer = nn.Residual(nn.Linear(np.eye(4)), op.tanh)
    np.testing.assert_allclose(host(layer(MATRIX)), MATRIX + np.tanh(MATRIX), rtol=1e-14)
    assert list(layer.named_parameters()) == ["inside.layers.0.weight"]
    assert repr(layer) == "Residual(Linear(4, 4, bias=False), tanh)"


def test_a_shortcut_changes_the_shape():
    layer = nn.Residual(nn.Conv2d(4, 3, 1, 0), shortcut=nn.Conv2d(4, 3, 1, 1))
    x = PICTURES.astype("float32")
    np.testing.assert_allclose(host(layer(x)), host(layer.inside(x)) + host(layer.shortcut(x)), rtol=1e-6)
    names = ["inside.layers.0.weight", "inside.layers.0.bias", "shortcut.weight", "shortcut.bias"]
    assert list(zk.grad(lambda m: op.sum(m(x)))(layer)) == names
    assert repr(layer) == "Residual(Conv2d(4, 3, (1, 1)), shortcut=Conv2d(4, 3, (1, 1)))"
    assert repr(nn.Residual(op.tanh, shortcut=op.sin)) == "Residual(tanh, shortcut=sin)"


def test_gradients_go_both_ways():
    layer = nn.Residual(nn.Tanh())
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(layer(x)))(MATRIX), 2 - np.tanh(MATRIX) ** 2, rtol=1e-12)


def test_modes_reach_what_is_inside():
    layer = nn.Residual(nn.Dropout(0.5, 0)).eval()
    assert np.array_equal(host(layer(MATRIX)), 2 * MATRIX)


def test_identity():
    assert np.array_equal(host(nn.Identity()(MATRIX)), MATRIX) and repr(nn.Identity()) == "Identity()"
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(nn.Identity()(x)))(MATRIX), np.ones_like(MATRIX))


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.Residual(), ValueError, "no layer"),
        (lambda: nn.Residual(nn.ReLU), TypeError, r"ReLU\(...\)"),
        (lambda: nn.Residual(nn.ReLU(), shortcut=3), TypeError, "cannot be called"),
        (lambda: nn.Residual(nn.Linear(4, 1, 0))(MATRIX), ShapeError, r"\(3, 1\) to be added to \(3, 4\)"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
