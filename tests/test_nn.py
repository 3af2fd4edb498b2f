"""Layers, initializers and models: values, names, the same numbers everywhere, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest

import zkynet as zk
from zkynet import backends, nn
from zkynet.backends.errors import NotDifferentiableError, ShapeError
from zkynet.framework import op
from zkynet.models import fcn

HOST = backends.get("numpy")


def host(x):
    """A NumPy copy of an array, a Tensor or a Parameter of any backend."""
    value = x if backends.backend_of(x) is not None else x.value
    return backends.backend_of(value).to_numpy(value)


def weights(model):
    return {name: host(parameter) for name, parameter in model.named_parameters().items()}


def cross_entropy(model, x, y):
    return op.softmax_cross_entropy(model(x), y)


# ---- initializers ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", [nn.glorot_uniform, nn.he_normal])
def test_a_seed_gives_the_same_numbers_on_every_backend(init, dtype, backend):
    expected = init((50, 30), zk.Generator(7), dtype=dtype)
    with zk.use_backend(backend):
        array = init((50, 30), zk.Generator(7), dtype=dtype)
    assert backend.owns(array) and backend.name_of(array.dtype) == dtype
    assert np.array_equal(host(array), expected)


def test_float32_weights_are_the_float64_ones_rounded():
    wide, narrow = (nn.he_normal((40, 30), 3, dtype=dtype) for dtype in ("float64", "float32"))
    assert wide.dtype == "float64" and np.array_equal(wide.astype("float32"), narrow)


def test_glorot_uniform_has_its_bounds_and_he_normal_its_deviation():
    w = nn.glorot_uniform((300, 200), 0, dtype="float64")
    limit = np.sqrt(6 / 500)
    assert -limit <= w.min() < -0.99 * limit and 0.99 * limit < w.max() < limit
    assert abs(w.mean()) < 0.01 * limit and np.isclose(w.var(), limit**2 / 3, rtol=0.02)
    w = nn.he_normal((300, 200), 0, dtype="float64")
    assert abs(w.mean()) < 1e-3 and np.isclose(w.std(), np.sqrt(2 / 300), rtol=0.01)
    assert np.mean(np.abs(w) > 2 * w.std()) == pytest.approx(0.0455, abs=0.005)  # as a normal distribution has


def test_fans_replace_the_shape():
    a, b = nn.he_normal((3, 4, 5), 0, fans=(50, 4)), nn.he_normal((3, 4, 5), 0, fans=(2, 4))
    assert np.allclose(a * 5, b, rtol=1e-6)
    with pytest.raises(ShapeError, match="fans="):
        nn.glorot_uniform((3, 4, 5), 0)


def test_a_generator_moves_on_and_a_seed_does_not():
    generator = zk.Generator(1)
    first, second = (nn.he_normal((3, 3), generator) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, nn.he_normal((3, 3), 1)) and generator.value == 2


@pytest.mark.parametrize("seed", [None, "0", 0.5, True, np.random.default_rng(0)])
def test_other_sources_of_random_numbers_are_refused(seed):
    with pytest.raises(TypeError, match="zk.Generator"):
        nn.he_normal((2, 2), seed)


# ---- Linear ----


def test_linear_is_x_times_weight_plus_bias(backend):
    rng = np.random.default_rng(0)
    w, b, x = (rng.normal(size=shape) for shape in ((4, 3), (3,), (2, 5, 4)))
    with zk.use_backend(backend):
        layer = nn.Linear(w.tolist(), b.tolist(), dtype="float64")
        y = layer(backend.asarray(x))
        plain = nn.Linear(w.tolist(), dtype="float64")(backend.asarray(x[0, 0]))
    assert backend.owns(y.value)
    assert np.allclose(host(y), x @ w + b, rtol=1e-13) and np.allclose(host(plain), x[0, 0] @ w, rtol=1e-13)


def test_linear_draws_its_weights(backend):
    with zk.use_backend(backend):
        layer = nn.Linear(6, 4, zk.Generator(0))
    found = weights(layer)
    assert list(found) == ["weight", "bias"] and repr(layer) == "Linear(6, 4)"
    assert np.array_equal(found["weight"], nn.glorot_uniform((6, 4), 0)) and found["weight"].dtype == "float32"
    assert np.array_equal(found["bias"], np.zeros(4, "float32")) and found["bias"].dtype == "float32"
    assert all(backend.owns(parameter.value) for parameter in layer.parameters())


def test_linear_without_bias_and_with_another_initializer_and_dtype():
    layer = nn.Linear(6, 4, 0, bias=False, init=nn.he_normal, dtype="float64")
    assert repr(layer) == "Linear(6, 4, bias=False)" and list(weights(layer)) == ["weight"]
    assert np.array_equal(layer.weight.value, nn.he_normal((6, 4), 0, dtype="float64"))


def test_linear_owns_copies_of_given_arrays():
    w, b = np.ones((2, 3), "float32"), np.zeros(3, "float32")
    layer = nn.Linear(w, b)
    w[:], b[:] = 7, 7
    assert layer.weight.value.max() == 1 and layer.bias.value.max() == 0 and (layer.inputs, layer.outputs) == (2, 3)
    assert layer.weight.value.dtype == "float32" and nn.Linear([[1, 2]]).weight.value.dtype == "float32"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.Linear(3, 4), TypeError, "zk.Generator"),
        (lambda: nn.Linear(3, generator=0), TypeError, "number of outputs"),
        (lambda: nn.Linear(3, 2.5, 0), TypeError, "number of outputs"),
        (lambda: nn.Linear(0, 2, 0), ValueError, "at least 1"),
        (lambda: nn.Linear(2, -1, 0), ValueError, "at least 1"),
        (lambda: nn.Linear(np.ones(3)), ShapeError, r"\(3,\)"),
        (lambda: nn.Linear(np.ones((2, 3)), np.ones(2)), ShapeError, r"\(2, 3\) and \(2,\)"),
        (lambda: nn.Linear(np.ones((2, 0))), ShapeError, "no size 0"),
        (lambda: nn.Linear(np.ones((2, 3), int)), NotDifferentiableError, "weight"),
    ],
)
def test_linear_refuses(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_an_input_of_the_wrong_size_names_the_layer():
    with pytest.raises(ShapeError, match="shapes do not fit") as caught:
        nn.Linear(3, 4, 0)(np.ones((2, 5), "float32"))
    assert "in Linear(3, 4)" in caught.value.__notes__


# ---- activations, Sequential, fcn ----


def test_activations(backend):
    x = np.array([-2.0, -0.0, 0.5, 3.0])
    assert np.array_equal(host(nn.ReLU()(backend.asarray(x))), np.maximum(x, 0))
    assert np.allclose(host(nn.Tanh()(backend.asarray(x))), np.tanh(x), rtol=1e-14)
    assert repr(nn.Sequential(nn.ReLU(), nn.Tanh())) == "Sequential(ReLU(), Tanh())"


def test_sequential_runs_its_layers_in_order():
    model = nn.Sequential(nn.Linear([[2.0]], [1.0]), op.relu, nn.Linear([[10.0]]))
    assert model(np.array([[3.0]], "float32")).value == 70 and model(np.array([[-3.0]], "float32")).value == 0
    assert list(weights(model)) == ["layers.0.weight", "layers.0.bias", "layers.2.weight"]
    assert repr(model) == "Sequential(Linear(1, 1), relu, Linear(1, 1, bias=False))"
    assert len(model) == 3 and model[0].outputs == 1 and list(model)[1] is op.relu


@pytest.mark.parametrize(
    "layers, error, words",
    [((), ValueError, "no layer"), ((nn.ReLU,), TypeError, r"write ReLU\("), (([],), TypeError, "layer 0")],
)
def test_sequential_refuses(layers, error, words):
    with pytest.raises(error, match=words):
        nn.Sequential(*layers)


def test_fcn_is_made_of_linear_layers_and_activations():
    model = fcn((5, 4, 3, 2), seed=3)
    assert repr(model) == "Sequential(Linear(5, 4), ReLU(), Linear(4, 3), ReLU(), Linear(3, 2))"
    generator = zk.Generator(3)
    for i in (0, 2, 4):
        assert np.array_equal(model[i].weight.value, nn.he_normal(model[i].weight.value.shape, generator))
    tanh = fcn((5, 2), nn.Tanh, seed=3, dtype="float64")
    assert np.array_equal(tanh[0].weight.value, nn.glorot_uniform((5, 2), 3, dtype="float64"))
    assert not np.array_equal(weights(fcn((5, 2), seed=4))["layers.0.weight"], weights(model)["layers.0.weight"][:, :2])


def test_fcn_has_the_same_weights_on_every_backend(backend):
    with zk.use_backend(backend):
        found = weights(fcn((5, 4, 2), seed=1))
    expected = weights(fcn((5, 4, 2), seed=1))
    assert list(found) == list(expected) and all(np.array_equal(found[k], expected[k]) for k in found)


@pytest.mark.parametrize("sizes, words", [((5,), "at least two"), ((5, 0, 2), "at least 1")])
def test_fcn_refuses(sizes, words):
    with pytest.raises(ValueError, match=words):
        fcn(sizes)


def test_a_model_moves_between_backends(backend):
    model, x = fcn((5, 4, 2), seed=1), np.linspace(-1, 1, 15, dtype="float32").reshape(3, 5)
    before = host(model(x))
    assert model.to(backend) is model and all(backend.owns(p.value) for p in model.parameters())
    assert np.allclose(host(model(x)), before, rtol=1e-5, atol=1e-6)
    model.to("numpy")
    assert np.array_equal(host(model(x)), before)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_models_copy_and_pickle(duplicate):
    model = fcn((3, 4, 2), seed=1)
    other = duplicate(model)
    assert all(np.array_equal(a, b) for a, b in zip(weights(model).values(), weights(other).values(), strict=True))
    other[0].weight.value = np.zeros((3, 4), "float32")
    assert model[0].weight.value.any()


def test_the_public_names_are_reached_from_the_top():
    assert zk.nn.Linear is nn.Linear and zk.models.fcn is fcn and callable(zk.optim.Adam) and callable(zk.data.Batches)


# ---- training ----


def test_a_gradient_has_the_names_shapes_and_dtypes_of_the_parameters(backend):
    with zk.use_backend(backend):
        model = fcn((5, 4, 2), seed=1)
        x, y = np.ones((3, 5), "float32"), np.array([0, 1, 1])
        loss, grads = zk.value_and_grad(cross_entropy)(model, x, y)
    named = model.named_parameters()
    assert list(grads) == list(named) and backend.owns(loss)
    for name, g in grads.items():
        assert backend.owns(g) and tuple(g.shape) == tuple(named[name].value.shape)
        assert backend.name_of(g.dtype) == "float32"


def test_a_shared_layer_has_one_gradient_the_sum_of_both_places():
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 3)), rng.normal(size=(2, 3))
    shared = nn.Linear(w)
    twice = nn.Sequential(shared, nn.Tanh(), shared)
    apart = nn.Sequential(nn.Linear(w), nn.Tanh(), nn.Linear(w))

    def loss(model):
        return op.sum(op.square(model(x)))

    together, separate = zk.grad(loss)(twice), zk.grad(loss)(apart)
    assert list(together) == ["layers.0.weight"] and len(separate) == 2
    assert np.allclose(together["layers.0.weight"], sum(separate.values()), rtol=1e-12)
    zk.optim.SGD(0.1).update(twice, together)
    assert np.allclose(shared.weight.value, w - 0.1 * sum(separate.values()), rtol=1e-12)


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32"), np.array([0, 1, 1, 0])


def test_xor_by_the_textbook_weights():
    """Minsky and Papert's problem, solved by hand: y = h1 - 2 h2, as in Goodfellow et al., Deep Learning, 6.1."""
    model = nn.Sequential(nn.Linear([[1, 1], [1, 1]], [0, -1]), nn.ReLU(), nn.Linear([[1], [-2]], [0]))
    assert np.array_equal(model(XOR[0]).value[:, 0], XOR[1])


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_xor_is_learnt(activation, backend):
    if backend.name not in ("numpy", "jax"):
        pytest.skip("slow there, and the source is the same")
    with zk.use_backend(backend):
        model, optimizer = fcn((2, 8, 2), activation, seed=1), zk.optim.Adam(0.05)
        step = zk.value_and_grad(cross_entropy)
        losses = []
        for _ in range(100):
            loss, grads = step(model, *XOR)
            optimizer.update(model, grads)
            losses.append(float(loss))
    assert losses[-1] < 0.05 < losses[0]
    assert np.array_equal(host(model(XOR[0])).argmax(-1), XOR[1])


def test_three_blobs_are_learnt_by_every_backend(backend):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = (rng.normal(size=(60, 2)) + 4 * np.eye(3)[y, :2]).astype("float32")
    with zk.use_backend(backend):
        model, optimizer = fcn((2, 8, 3), seed=0), zk.optim.SGD(0.1, momentum=0.9)
        for _ in range(40):
            loss, grads = zk.value_and_grad(cross_entropy)(model, x, y)
            optimizer.update(model, grads)
        assert zk.train.accuracy(model, x, y) > 0.95 and float(loss) < 0.2
