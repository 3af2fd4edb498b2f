"""Convolutions of one to three axes and their transposes: given arrays, paddings, fans, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.layers import PICTURES, ROWS, VOLUMES, host, randomized
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op


def by_hand(x, w, stride, pads, dilation, groups):
    """The definition: a sum for every place and every output."""
    axes = x.ndim - 2
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation)]
    y = np.zeros((len(x), len(w), *out))
    for place in np.ndindex(*out):
        reach = tuple(
            slice(i * s, i * s + d * (k - 1) + 1, d) for i, s, d, k in zip(place, stride, dilation, w.shape[2:])
        )
        for o in range(len(w)):
            first = o // (len(w) // groups) * w.shape[1]
            window = x[(slice(None), slice(first, first + w.shape[1]), *reach)]
            y[(slice(None), o, *place)] = (window * w[o]).sum(axis=tuple(range(1, axes + 2)))
    return y


CASES = [
    (nn.Conv1d, ROWS, 3, (2,), ((1, 1),), (2,), 2, {"stride": 2, "padding": 1, "dilation": 2}),
    (nn.Conv1d, ROWS, 2, (1,), ((1, 0),), (1,), 1, {"padding": ((1, 0),)}),
    (nn.Conv2d, PICTURES, (3, 2), (1, 1), ((2, 2), (1, 1)), (2, 2), 1, {"padding": "same", "dilation": 2}),
    (nn.Conv2d, PICTURES, 3, (2, 2), ((0, 1), (1, 1)), (1, 1), 4, {"padding": "same", "stride": 2}),
    (nn.Conv2d, PICTURES, 2, (1, 1), ((0, 0), (0, 0)), (1, 1), 2, {"padding": "valid"}),
    (nn.Conv2d, PICTURES, 2, (1, 1), ((1, 2), (0, 1)), (1, 1), 1, {"padding": ((1, 2), (0, 1))}),
    (nn.Conv2d, PICTURES, 2, (1, 1), ((2, 2), (0, 1)), (1, 1), 1, {"padding": (2, (0, 1))}),
    (nn.Conv3d, VOLUMES, (1, 2, 3), (1, 2, 1), ((1, 1),) * 3, (1, 1, 1), 2, {"stride": (1, 2, 1), "padding": 1}),
]


@pytest.mark.parametrize("make, x, kernel, stride, pads, dilation, groups, settings", CASES)
def test_convolutions_are_the_sums_they_say(make, x, kernel, stride, pads, dilation, groups, settings):
    layer = randomized(make(x.shape[1], 4, kernel, 0, groups=groups, dtype="float64", **settings))
    expected = by_hand(x, host(layer.weight), stride, pads, dilation, groups)
    expected += host(layer.bias).reshape(-1, *(1,) * len(stride))
    np.testing.assert_allclose(host(layer(x)), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "make, x, settings",
    [
        ("1d", ROWS, {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
        ("2d", PICTURES, {"stride": (2, 1), "padding": ((1, 0), (1, 1))}),
        ("3d", VOLUMES, {"stride": 2}),
    ],
)
def test_a_transpose_is_one(make, x, settings):
    """<conv(x), h> = <x, transpose(h)> for the same kernels."""
    forth = getattr(nn, f"Conv{make}")(x.shape[1], 4, 2, 0, bias=False, dtype="float64", **settings)
    h = np.random.default_rng(0).normal(size=forth(x).value.shape)
    sizes = getattr(nn, f"ConvTranspose{make}")(forth.weight, **settings)(h).value.shape
    extra = tuple(a - b for a, b in zip(x.shape[2:], sizes[2:], strict=True))
    back = getattr(nn, f"ConvTranspose{make}")(forth.weight, output_padding=extra, **settings)
    assert (back.inputs, back.outputs) == (forth.outputs, forth.inputs)
    assert np.vdot(host(forth(x)), h) == pytest.approx(np.vdot(x, host(back(h))), rel=1e-12)


def test_given_arrays_are_owned_as_copies():
    w, b = np.ones((4, 2, 3)), np.zeros(4)
    layer = nn.Conv1d(w, b, groups=2, stride=2)
    w[:] = b[:] = 7
    assert (layer.inputs, layer.outputs, layer.kernel) == (4, 4, (3,))
    assert host(layer.weight).max() == 1 and host(layer.bias).max() == 0 and layer.weight.value.dtype == "float64"
    assert nn.Conv2d([[[[1, 2]]]], dtype="float16").weight.value.dtype == "float16"
    assert nn.Conv2d([[[[1, 2]]]]).weight.value.dtype == "float32" and nn.Conv2d(w[None]).bias is None
    back = nn.ConvTranspose2d(np.ones((4, 3, 2, 2)), np.ones(6), groups=2)
    assert (back.inputs, back.outputs) == (4, 6)


def test_an_edge_filter():
    """Sobel's kernel sees the edge of a step, one higher than the neighbours' difference times 4."""
    picture = np.tile([0.0, 0, 1, 1], (4, 1))[None, None]
    edges = nn.Conv2d(np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[None, None])(picture).value
    np.testing.assert_array_equal(edges, np.full((1, 1, 2, 2), 4.0))


@pytest.mark.parametrize("make, kernel", [(nn.Conv1d, 5), (nn.Conv3d, (5, 1, 1)), (nn.ConvTranspose2d, (5, 1))])
def test_the_fans_of_a_kernel_count_its_weights(make, kernel):
    seen = {}

    def init(shape, generator, dtype, fans):
        seen.update(shape=shape, fans=fans)
        return nn.he_normal(shape, generator, dtype, fans)

    layer = make(6, 4, kernel, 0, groups=2, init=init)
    sides = (6, 2) if layer.transposed else (4, 3)
    assert seen["shape"] == sides + layer.kernel and seen["fans"] == (15, 10)


def test_a_shared_kernel_has_one_gradient():
    shared = nn.Conv1d(2, 2, 3, 0, padding="same", dtype="float64")
    x = ROWS[:, :2]

    def loss(model):
        return op.sum(op.square(model(x)))

    together = zk.grad(loss)(nn.Sequential(shared, nn.Tanh(), shared))
    w, b = host(shared.weight), host(shared.bias)
    apart = nn.Sequential(*(nn.Conv1d(w, b, padding="same") if i != 1 else nn.Tanh() for i in range(3)))
    separate = zk.grad(loss)(apart)
    assert list(together) == ["layers.0.weight", "layers.0.bias"] and len(separate) == 4
    for name in ("weight", "bias"):
        total = separate[f"layers.0.{name}"] + separate[f"layers.2.{name}"]
        np.testing.assert_allclose(together[f"layers.0.{name}"], total, rtol=1e-12)


def test_settings_are_shown():
    assert repr(nn.Conv1d(1, 2, 3, 0)) == "Conv1d(1, 2, (3,))"
    layer = nn.Conv2d(2, 4, 3, 0, padding=((0, 1), (2, 0)), dilation=(2, 1))
    assert repr(layer) == "Conv2d(2, 4, (3, 3), padding=((0, 1), (2, 0)), dilation=(2, 1))"
    layer = nn.ConvTranspose1d(2, 4, 3, 0, stride=2, output_padding=1, groups=2, bias=False)
    assert repr(layer) == "ConvTranspose1d(2, 4, (3,), stride=(2,), output_padding=(1,), groups=2, bias=False)"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.Conv1d(1, 2, 3), TypeError, r"Conv1d\(inputs, outputs, kernel, zk.Generator"),
        (lambda: nn.Conv3d(1, 2, generator=0), TypeError, "Conv3d: kernel is not an int"),
        (lambda: nn.Conv1d(1, 2, (3, 3), 0), ValueError, "an int, or 1 of them"),
        (lambda: nn.Conv3d(1, 2, 3, 0, dilation=0), ValueError, "dilation is too small"),
        (lambda: nn.Conv2d(1, 2, 3, 0, padding="full"), ValueError, '"same", "valid"'),
        (lambda: nn.Conv2d(1, 2, 3, 0, padding=((1, 1),)), ValueError, "one pair per axis"),
        (lambda: nn.Conv2d(1, 2, 3, 0, padding=((1, -1), (0, 0))), ValueError, "padding is too small"),
        (lambda: nn.Conv2d(1, 2, 3, 0, padding=((1, 1, 1), (0, 0))), ValueError, "padding has one number per axis"),
        (lambda: nn.Conv2d(1, 2, 3, 0, padding=0.5), TypeError, "padding is not an int"),
        (lambda: nn.Conv2d(np.ones((2, 1, 3))), ShapeError, "2 sizes of the kernel"),
        (lambda: nn.Conv1d(np.ones((2, 1, 0))), ShapeError, "no size 0"),
        (lambda: nn.Conv1d(np.ones((3, 1, 2)), groups=2), ShapeError, "groups=2"),
        (lambda: nn.Conv1d(np.ones((2, 1, 3)), np.ones(1)), ShapeError, r"\(2, 1, 3\) and \(1,\)"),
        (lambda: nn.ConvTranspose1d(np.ones((2, 1, 3)), np.ones(2)), ShapeError, "inputs, outputs / groups"),
        (lambda: nn.Conv1d(np.ones((2, 1, 3)), None, 3), TypeError, "kernel 3 too"),
        (lambda: nn.ConvTranspose2d(1, 2, 3, 0, padding="same"), TypeError, "padding is not a number"),
        (lambda: nn.ConvTranspose2d(1, 2, 3, 0, output_padding=1), ValueError, "output_padding is too large"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, 0, groups=2), ValueError, "groups do not divide"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "layer, x",
    [
        (nn.Conv2d(4, 2, 3, 0), ROWS),
        (nn.Conv2d(4, 2, 3, 0, padding=((1, 1), (1, 1))), PICTURES[None]),  # op.conv would take more leading axes
        (nn.Conv1d(4, 2, 8, 0), ROWS),
        (nn.Conv3d(3, 2, 1, 0), VOLUMES),
        (nn.ConvTranspose1d(3, 2, 1, 0), ROWS),
        (nn.ConvTranspose2d(4, 2, 1, 0), ROWS),
    ],
)
def test_an_input_of_the_wrong_shape_names_the_layer(layer, x):
    with pytest.raises(ShapeError) as caught:
        layer(x.astype("float32"))
    assert f"in {layer!r}" in caught.value.__notes__
