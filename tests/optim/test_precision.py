"""Mixed precision: what is computed in which dtype, loss scaling, and what is refused."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import backends, models, nn
from zkynet.backends.errors import PrecisionError
from zkynet.framework import op
from zkynet.optim import SGD, Adam, load_state, save_state
from zkynet.train.precision import DynamicLossScale, LossScale, Precision

X = np.sin(np.arange(24.0, dtype=np.float32)).reshape(8, 3)
LABELS = np.arange(8) % 2
NARROW = [("numpy", "float16"), ("jax", "float16"), ("jax", "bfloat16")]
narrow = pytest.mark.parametrize("name, dtype", NARROW)


def host(x):
    xp = backends.backend_of(x)
    return xp.to_numpy(xp.astype(x, xp.float64))


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def net(name="numpy"):
    with zk.use_backend(backends_here.get(name)):
        return models.fcn((3, 4, 2), seed=0)


def dtype_of(x):
    return backends.backend_of(x).name_of(x.dtype)


class Spy(zk.Module):
    """Notes the dtypes that it computes in, and gives several results."""

    def __init__(self, weight):
        self.weight, self.seen = zk.Parameter("weight", weight), []

    def call(self, x, index, mask=None):
        y = x["a"] @ self.weight
        self.seen.append([dtype_of(v.value) for v in (x["a"], y)])
        return {"y": y, "index": op.add(index, 1), "mask": mask}


# ---- what is computed in which dtype ----


@narrow
def test_it_computes_narrow_and_keeps_wide(name, dtype):
    xp = backends_here.get(name)
    spy = Spy(xp.ones((3, 2), dtype=xp.float64))
    model = Precision(dtype, output="float64").wrap(spy)
    assert dtype_of(spy.weight.value) == "float32"
    with zk.no_grad():
        result = model({"a": xp.asarray(X)}, xp.asarray(LABELS), mask=xp.asarray(LABELS > 0))
    assert spy.seen == [[dtype, dtype]]
    assert [dtype_of(result[key].value) for key in ("y", "index")] == ["float64", "int64"]
    assert dtype_of(result["mask"]) == "bool"
    assert np.allclose(host(result["y"].value), X @ np.ones((3, 2)), atol=0.05)


@narrow
def test_gradients_are_those_of_wide_numbers_nearly(name, dtype):
    plain, model = net(name), Precision(dtype).wrap(net(name))
    value, grads = zk.value_and_grad(loss)(model, X, LABELS)
    expected, theirs = zk.value_and_grad(loss)(plain, X, LABELS)
    assert dtype_of(value) == "float32" and float(value) == pytest.approx(float(expected), abs=0.02)
    assert list(grads) == list(theirs) == list(plain.named_parameters())
    for path, g in grads.items():
        assert dtype_of(g) == "float32" and np.allclose(host(g), host(theirs[path]), atol=0.02)
        assert not np.array_equal(host(g), host(theirs[path]))


def test_a_call_from_outside_gives_a_graph():
    model = Precision("float16").wrap(nn.Linear(np.ones((3, 2), np.float32)))
    graph = model(X)
    graph.back()
    assert graph.value.dtype == "float32" and graph.grad(model.param("weight")).shape == (8, 2, 3, 2)
    assert graph.grad(model.input("x")).dtype == "float32"


@narrow
def test_a_network_learns(name, dtype):
    model, optimizer, scale = Precision(dtype).wrap(net(name)), Adam(0.05), DynamicLossScale()
    values = []
    for _ in range(20):
        value, grads = scale.value_and_grad(loss)(model, X, LABELS)
        assert scale.update(optimizer, model, grads)
        values.append(float(value))
    assert values[-1] < 0.7 * values[0]


def test_master_weights_take_steps_that_narrow_ones_would_lose():
    """1 + 2^-12 is 1 in float16."""
    model = Precision("float16").wrap(nn.Linear(np.ones((1, 1), np.float32)))
    for _ in range(4):
        _, grads = zk.value_and_grad(lambda model: op.sum(model(np.ones((1, 1)))))(model)
        SGD(2.0**-12).update(model, grads)
    assert model.model.weight.value == 1 - 2.0**-10
    lost = Precision("float16", parameter="float16").wrap(nn.Linear(np.ones((1, 1), np.float32)))
    SGD(2.0**-12).update(lost, {"weight": np.ones((1, 1))})
    assert lost.model.weight.value == 1


def test_paths_states_and_modes_are_those_of_the_model(tmp_path):
    model = net()
    mixed = Precision("float16").wrap(model)
    assert mixed.named_parameters() == model.named_parameters() and mixed.parameters()[0] is model[0].weight
    zk.io.save_weights(tmp_path / "w", mixed)
    zk.io.load_weights(tmp_path / "w", model)
    mixed.freeze("layers.0").eval()
    assert not model.training and list(zk.grad(loss)(mixed, X, LABELS)) == ["layers.2.weight", "layers.2.bias"]


def test_a_parameter_that_is_one_number_stays_one():
    class Scaled(zk.Module):
        def __init__(self):
            self.factor = zk.Parameter("factor", 3.0)

        def call(self, x):
            return x * self.factor

    model = Precision("float16").wrap(Scaled())
    assert model(np.ones(2)).value.dtype == "float32" and model.model.factor.value == 3.0


# ---- what is refused ----


def test_a_dtype_that_the_backend_lacks_is_named():
    with pytest.raises(PrecisionError, match="(?s)numpy has no bfloat16.*it has:   float16, float32, float64.*JAX"):
        Precision("bfloat16").wrap(net())
    strict = backends_here.get("array_api_strict")
    with pytest.raises(PrecisionError, match="(?s)no float16.*it has:   float32, float64"):
        Precision("float16").wrap(net().to(strict))
    jax = backends_here.get("jax")
    model = Precision("bfloat16").wrap(net("jax"))
    model.to("numpy")
    with pytest.raises(PrecisionError, match="numpy has no bfloat16"):
        model(X)
    assert jax.owns(model.to(jax)(X).value)


def test_what_else_is_refused():
    for name in ("compute", "parameter", "output"):
        with pytest.raises(ValueError, match=f"unknown dtype for {name}"):
            Precision(**{"compute": "float16", name: "int8"})
    with pytest.raises(TypeError, match="takes a Module"):
        Precision("float16").wrap(lambda x: x)
    model = net()
    model.phase = zk.Parameter("phase", np.array([1j]))
    with pytest.raises(TypeError, match="'phase' is complex"):
        Precision("float64", parameter="float64").wrap(model)
    assert model[0].weight.value.dtype == "float32"


# ---- loss scaling ----


def tiny(model, x):
    """A loss whose gradients are below what float16 can hold."""
    return op.mean(model(x)) * 1e-9


def test_scaling_saves_gradients_from_underflow():
    model = Precision("float16").wrap(nn.Linear(np.ones((3, 2), np.float32)))
    lost = zk.grad(tiny)(model, X)["weight"]
    value, grads = LossScale(2.0**20).value_and_grad(tiny)(model, X)
    expected = 1e-9 * X.mean(axis=0)[:, None] / 2
    assert not lost.any() and np.allclose(grads["weight"], expected, rtol=0.01, atol=1e-13)
    assert float(value) == pytest.approx(float(tiny(model, X).value))


def test_a_narrow_loss_is_widened_before_it_is_scaled():
    model = Precision("float16", output="float16").wrap(nn.Linear(np.ones((3, 2), np.float32)))
    value, grads = LossScale(2.0**10).value_and_grad(lambda model, x: 10 * op.mean(model(x)))(model, X)
    assert dtype_of(value) == "float32" and np.isfinite(value)
    assert np.allclose(grads["weight"], 5 * X.mean(axis=0)[:, None], rtol=0.02, atol=0.002)


def test_a_dynamic_scale_falls_until_nothing_overflows_and_rises_again():
    model, optimizer = Precision("float16").wrap(net()), SGD(0.1)
    scale = DynamicLossScale(2.0**30, factor=4.0, interval=3)
    done, scales = [], []
    for _ in range(16):
        before = np.array(model.model[0].weight.value)
        _, grads = scale.value_and_grad(loss)(model, X, LABELS)
        done.append(scale.update(optimizer, model, grads))
        scales.append(scale.value)
        assert np.array_equal(before, model.model[0].weight.value) != done[-1]
    first = done.index(True)
    assert first >= 3 and scales[:first] == [2.0**30 / 4**i for i in range(1, first + 1)]
    assert scales[first + 2] == 4 * scales[first] and done[first : first + 3] == [True] * 3
    assert optimizer.state["step"] == sum(done) and scale.skipped == len(done) - sum(done)


def test_gradients_do_not_depend_on_the_scale():
    model = Precision("float16").wrap(net())
    _, expected = zk.value_and_grad(loss)(model, X, LABELS)
    for value in (1.0, 2.0**10):
        _, grads = LossScale(value).value_and_grad(loss)(model, X, LABELS)
        assert all(np.allclose(grads[name], g, atol=1e-3) for name, g in expected.items())


def test_gradients_that_are_never_finite_are_an_error():
    model, optimizer, scale = net(), SGD(0.1), DynamicLossScale(4.0)
    grads = {name: np.full_like(p.value, np.nan) for name, p in model.named_parameters().items()}
    assert [scale.update(optimizer, model, grads) for _ in range(2)] == [False, False] and scale.value == 1
    for each in (scale, LossScale(8.0)):
        with pytest.raises(FloatingPointError, match="(?s)not finite.*'layers.0.weight' and 3 others"):
            each.update(optimizer, model, grads)
    assert optimizer.state["step"] == 0


def test_one_bad_gradient_is_enough(backend):
    model = net().to(backend)
    grads = {name: backend.zeros(p.value.shape, dtype=backend.float32) for name, p in model.named_parameters().items()}
    assert LossScale(1.0).update(SGD(0.1), model, grads)
    grads["layers.2.bias"] = backend.asarray([0.0, np.inf], dtype=backend.float32)
    with pytest.raises(FloatingPointError, match="'layers.2.bias'\n"):
        LossScale(1.0).update(SGD(0.1), model, grads)


def test_a_scale_in_a_file(tmp_path):
    scale, other = DynamicLossScale(64.0, interval=5), DynamicLossScale()
    model = nn.Linear(np.ones((1, 1)))
    for g in (np.inf, 1.0, 1.0):
        scale.update(SGD(0.1), model, {"weight": np.full((1, 1), g)})
    save_state(tmp_path / "scale", scale)
    load_state(tmp_path / "scale", other)
    assert (other.value, other.good, other.skipped) == (32.0, 2, 1)
    with pytest.raises(ValueError, match="no state of DynamicLossScale"):
        other.load_state_dict({})


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: LossScale(0), "LossScale: value"),
        (lambda: DynamicLossScale(factor=1.0), "factor"),
        (lambda: DynamicLossScale(interval=0), "interval"),
        (lambda: DynamicLossScale(8.0, least=16.0), "least"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=f"{words} is out of range"):
        make()
