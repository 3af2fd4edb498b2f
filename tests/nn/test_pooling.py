"""Pools and layers that change the size of pictures: closed forms and refusals. test_against_torch.py has more."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.layers import PICTURES, ROWS, host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op

TOWER = np.arange(24.0).reshape(1, 1, 4, 6)


def test_pools_of_a_tower_of_numbers():
    blocks = TOWER.reshape(1, 1, 2, 2, 3, 2)
    np.testing.assert_array_equal(host(nn.MaxPool2d(2)(TOWER)), blocks.max((3, 5)))
    np.testing.assert_array_equal(host(nn.AvgPool2d(2)(TOWER)), blocks.mean((3, 5)))
    np.testing.assert_array_equal(host(nn.AdaptiveMaxPool2d((2, 3))(TOWER)), blocks.max((3, 5)))
    np.testing.assert_array_equal(host(nn.AdaptiveAvgPool2d((2, 3))(TOWER)), blocks.mean((3, 5)))
    np.testing.assert_array_equal(host(nn.MaxPool1d(2, 1)(TOWER[0])), TOWER[0, :, :, 1:])
    np.testing.assert_array_equal(host(nn.AvgPool3d((1, 1, 6))(TOWER[None]))[..., 0], TOWER[None].mean(-1))


def test_padding_loses_and_counts_where_it_says():
    x = -np.ones((1, 1, 2))
    np.testing.assert_array_equal(host(nn.MaxPool1d(2, 1, 1)(x)), [[[-1, -1, -1]]])
    np.testing.assert_array_equal(host(nn.AvgPool1d(2, 1, 1)(x)), [[[-0.5, -1, -0.5]]])
    np.testing.assert_array_equal(host(nn.AvgPool1d(2, 1, 1, count_include_pad=False)(x)), [[[-1, -1, -1]]])
    np.testing.assert_array_equal(host(nn.AvgPool1d(2, 1, ((1, 0),))(x)), [[[-0.5, -1]]])


@pytest.mark.parametrize("x", [ROWS, PICTURES], ids=["rows", "pictures"])
def test_global_pools(x):
    axes = tuple(range(2, x.ndim))
    np.testing.assert_allclose(host(nn.GlobalAvgPool()(x)), x.mean(axes), rtol=1e-14)
    np.testing.assert_array_equal(host(nn.GlobalMaxPool()(x)), x.max(axes))
    for layer in (nn.GlobalAvgPool(keepdims=True), nn.GlobalMaxPool(keepdims=True)):
        assert host(layer(x)).shape == x.shape[:2] + (1,) * len(axes)
    for layer in (nn.GlobalAvgPool(), nn.GlobalMaxPool()):
        zk.testing.check_grads(lambda x, layer=layer: op.sum(op.sin(layer(x))), (x[:1, :2, :2, ...],))


def test_upsampling_repeats_and_pixel_shuffle_rearranges():
    x = np.array([[[[1.0, 2.0]]]])
    np.testing.assert_array_equal(host(nn.Upsample(2)(x)), [[[[1, 1, 2, 2], [1, 1, 2, 2]]]])
    np.testing.assert_array_equal(host(nn.Upsample((1, 1.5))(x)), [[[[1, 1, 2]]]])
    aligned = nn.Upsample(size=(1, 5), mode="linear", align_corners=True)
    np.testing.assert_allclose(host(aligned(x)), [[[[1, 1.25, 1.5, 1.75, 2]]]], rtol=1e-12)
    np.testing.assert_array_equal(host(nn.PixelShuffle(2)(np.arange(4.0).reshape(1, 4, 1, 1))), [[[[0, 1], [2, 3]]]])


def test_settings_are_shown():
    assert repr(nn.MaxPool1d(2)) == "MaxPool1d((2,))" and repr(nn.GlobalMaxPool()) == "GlobalMaxPool()"
    assert repr(nn.MaxPool2d(2, 2, 1)) == "MaxPool2d((2, 2), stride=(2, 2), padding=(1, 1))"
    assert repr(nn.AvgPool2d(3, ceil_mode=True, count_include_pad=False)) == (
        "AvgPool2d((3, 3), ceil_mode=True, count_include_pad=False)"
    )
    assert repr(nn.Upsample(size=3)) == "Upsample(size=3)" and repr(nn.Upsample(2)) == "Upsample(2.0)"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel is too small"),
        (lambda: nn.MaxPool2d(2.5), TypeError, "kernel is not an int"),
        (lambda: nn.AvgPool1d(2, 0), ValueError, "stride is too small"),
        (lambda: nn.AvgPool3d((2, 2)), ValueError, "an int, or 3 of them"),
        (lambda: nn.MaxPool1d(2, padding="same"), TypeError, "padding is not a number"),
        (lambda: nn.MaxPool1d(2, padding=2)(ROWS), ValueError, "smaller than the kernel"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "size is too small"),
        (lambda: nn.MaxPool2d(2)(ROWS), ShapeError, r"\(N, C, H, W\)"),
        (lambda: nn.AvgPool1d(2)(PICTURES), ShapeError, r"\(N, C, L\)"),
        (lambda: nn.AdaptiveMaxPool3d(2)(PICTURES), ShapeError, r"\(N, C, D, H, W\)"),
        (lambda: nn.AvgPool2d(7)(PICTURES), ShapeError, "reaches over 7"),
        (lambda: nn.GlobalAvgPool()(PICTURES[0, 0]), ShapeError, "spatial axis"),
        (lambda: nn.Upsample(), TypeError, "one of them"),
        (lambda: nn.Upsample(2, size=2), TypeError, "one of them"),
        (lambda: nn.Upsample(0), ValueError, "above 0"),
        (lambda: nn.Upsample("2"), TypeError, "factor is not a number"),
        (lambda: nn.Upsample(size=1.5), TypeError, "size is not an int"),
        (lambda: nn.Upsample(2, mode="lanczos")(PICTURES), ValueError, "lanczos"),
        (lambda: nn.PixelShuffle(3)(PICTURES), ShapeError, "no multiple"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_an_error_names_the_layer():
    with pytest.raises(ShapeError) as caught:
        nn.Sequential(nn.Identity(), nn.MaxPool2d(9))(PICTURES)
    assert caught.value.__notes__ == ["in MaxPool2d((9, 9))"]
