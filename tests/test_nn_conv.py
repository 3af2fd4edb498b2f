"""Conv2d, Flatten, Reshape and the convolutional network: values, names, the same numbers everywhere, refusals."""

import numpy as np
import pytest

import zkynet as zk
from zkynet import backends, nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.models import build, cnn, fcn


def host(x):
    value = x if backends.backend_of(x) is not None else x.value
    return backends.backend_of(value).to_numpy(value)


def by_hand(x, w, b, stride, padding, groups):
    """The definition, a sum a point."""
    (sh, sw), (ph, pw) = stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    n, (o, share, kh, kw) = len(x), w.shape
    y = np.zeros((n, o, (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1))
    for k, i, j in np.ndindex(*y.shape[1:]):
        first = k // (o // groups) * share
        window = x[:, first : first + share, i * sh : i * sh + kh, j * sw : j * sw + kw]
        y[:, k, i, j] = (window * w[k]).sum(axis=(1, 2, 3)) + b[k]
    return y


@pytest.mark.parametrize(
    "inputs, outputs, kernel, stride, padding, groups",
    [(2, 3, (3, 3), (1, 1), (0, 0), 1), (4, 6, (3, 2), (2, 1), (1, 2), 2), (3, 3, (2, 2), (2, 2), (0, 1), 3)],
)
def test_conv2d_is_the_sum_it_says(inputs, outputs, kernel, stride, padding, groups, backend):
    rng = np.random.default_rng(0)
    x, b = rng.normal(size=(2, inputs, 6, 5)), rng.normal(size=outputs)
    with zk.use_backend(backend):
        layer = nn.Conv2d(inputs, outputs, kernel, 1, stride=stride, padding=padding, groups=groups, dtype="float64")
        layer.bias.value = backend.asarray(b)
        y = host(layer(backend.asarray(x)))
    assert layer.weight.value.shape == (outputs, inputs // groups, *kernel)
    assert np.allclose(y, by_hand(x, host(layer.weight), b, stride, padding, groups), rtol=1e-12)


def test_conv2d_agrees_with_torch():
    torch = pytest.importorskip("torch", reason="compared with torch where it is installed")
    layer = nn.Conv2d(4, 6, 3, 0, stride=2, padding=1, groups=2, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 7))
    w, b = (torch.tensor(host(p)) for p in (layer.weight, layer.bias))
    expected = torch.nn.functional.conv2d(torch.tensor(x), w, b, stride=2, padding=1, groups=2)
    assert np.allclose(host(layer(x)), expected.numpy(), rtol=1e-12)


def test_conv2d_gradients():
    layer = nn.Conv2d(2, 4, 3, 0, stride=2, padding=1, groups=2, dtype="float64")
    x = np.random.default_rng(1).normal(size=(2, 2, 5, 4))

    def loss(x, w, b):
        y = op.conv(x, w, stride=(2, 2), padding=(1, 1), groups=2) + op.reshape(b, (4, 1, 1))
        return op.sum(op.sin(y))

    expected = zk.grad(loss, argnums=(1, 2))(x, host(layer.weight), host(layer.bias))
    grads = zk.grad(lambda model: op.sum(op.sin(model(x))))(layer)
    assert list(grads) == ["weight", "bias"]
    assert all(np.allclose(grads[k], e, rtol=1e-12) for k, e in zip(grads, expected, strict=True))
    zk.testing.check_grads(lambda x: op.sum(op.sin(layer(x))), (x,))


def test_the_fans_of_a_kernel_count_its_weights():
    seen = {}

    def init(shape, generator, dtype, fans):
        seen.update(shape=shape, fans=fans)
        return nn.he_normal(shape, generator, dtype, fans)

    nn.Conv2d(6, 4, (3, 5), 0, groups=2, init=init)
    assert seen == {"shape": (4, 3, 3, 5), "fans": (45, 30)}


def test_conv2d_shows_its_settings():
    assert repr(nn.Conv2d(1, 2, 3, 0)) == "Conv2d(1, 2, (3, 3))"
    layer = nn.Conv2d(2, 4, (3, 1), 0, stride=2, padding=(1, 0), groups=2, bias=False)
    assert repr(layer) == "Conv2d(2, 4, (3, 1), stride=(2, 2), padding=(1, 0), groups=2, bias=False)"
    assert list(layer.named_parameters()) == ["weight"]


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.Conv2d(1, 2, 3), TypeError, "zk.Generator"),
        (lambda: nn.Conv2d(1, 2.5, 3, 0), TypeError, "outputs is not an int"),
        (lambda: nn.Conv2d(0, 2, 3, 0), ValueError, "inputs is too small"),
        (lambda: nn.Conv2d(1, 2, 0, 0), ValueError, "kernel is too small"),
        (lambda: nn.Conv2d(1, 2, (3, 3, 3), 0), ValueError, "kernel has one number per axis"),
        (lambda: nn.Conv2d(1, 2, 3, 0, stride=0), ValueError, "stride is too small"),
        (lambda: nn.Conv2d(1, 2, 3, 0, padding=-1), ValueError, "padding is too small"),
        (lambda: nn.Conv2d(3, 4, 3, 0, groups=2), ValueError, "groups do not divide"),
        (lambda: nn.Reshape(1, 0), ValueError, "at least 1"),
        (lambda: nn.Reshape(2, 3)(np.ones((4, 5))), ShapeError, "6 entries per sample"),
        (lambda: nn.Flatten()(np.float64(1)), ShapeError, "no axis of samples"),
        (lambda: cnn((1, 2, 2), [(4, 1, 0)]), ShapeError, "too little is left"),
        (lambda: build({"name": "rnn", "settings": {}}), ValueError, "one of .*cnn, .*fcn"),
        (lambda: build({"name": "fcn"}), ValueError, "describes no model"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_an_input_of_the_wrong_shape_names_the_layer():
    with pytest.raises(ShapeError, match="channels") as caught:
        nn.Conv2d(3, 4, 3, 0)(np.ones((2, 1, 5, 5), "float32"))
    assert "in Conv2d(3, 4, (3, 3))" in caught.value.__notes__


def test_flatten_and_reshape_are_inverse(backend):
    x = np.arange(24.0).reshape(2, 3, 4)
    flat = nn.Flatten()(backend.asarray(x))
    assert np.array_equal(host(flat), x.reshape(2, 12))
    assert np.array_equal(host(nn.Reshape(3, 4)(flat)), x)
    assert nn.Flatten()(backend.zeros((0, 3, 4))).shape == (0, 12) and repr(nn.Reshape(3, 4)) == "Reshape(3, 4)"


def test_cnn_takes_rows_and_pictures(backend):
    with zk.use_backend(backend):
        model = cnn((1, 6, 6), [(2, 1, 1), (3, 2, 0)], hidden=5, classes=4, seed=3)
        x = backend.asarray(np.random.default_rng(0).normal(size=(2, 36)).astype("float32"))
        y = host(model(x))
        assert y.shape == (2, 4) and np.array_equal(y, host(model(backend.reshape(x, (2, 1, 6, 6)))))
    same = cnn((1, 6, 6), [(2, 1, 1), (3, 2, 0)], hidden=5, classes=4, seed=3)
    assert all(np.array_equal(host(p), host(q)) for p, q in zip(model.parameters(), same.parameters(), strict=True))
    assert np.allclose(y, host(same(host(x))), rtol=1e-5, atol=1e-6)


def test_a_description_builds_its_model():
    model = build({"name": "fcn", "settings": {"sizes": [3, 2]}}, seed=5)
    assert np.array_equal(model[0].weight.value, fcn((3, 2), seed=5)[0].weight.value)
