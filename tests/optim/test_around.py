"""What stands around an optimizer: accumulated gradients, averaged weights, states in files."""

import numpy as np
import pytest

import zkynet as zk
from zkynet import backends, models, optim
from zkynet.backends.errors import FileFormatError, GradientMismatchError, WeightsMismatchError
from zkynet.framework import op
from zkynet.io import save_safetensors
from zkynet.optim import EMA, LBFGS, SGD, Accumulate, Adam, AdamW, Muon, load_state, save_state, schedules

X = np.sin(np.arange(24.0)).reshape(8, 3)
LABELS = np.arange(8) % 2


def host(x):
    return np.array((backends.backend_of(x) or backends.get("numpy")).to_numpy(x))


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def net(backend=None):
    with zk.use_backend(backend or "numpy"):
        return models.fcn((3, 4, 2), seed=0)


def weights(model):
    return {name: host(p.value) for name, p in model.named_parameters().items()}


def step(model, optimizer, rows=slice(None)):
    _, grads = zk.value_and_grad(loss)(model, X[rows].astype("float32"), LABELS[rows])
    return optimizer.update(model, grads)


def assert_same(a, b, **tolerance):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], **{"rtol": 1e-5, "atol": 1e-7, **tolerance})


class Scalar(zk.Module):
    def __init__(self, value):
        self.p = zk.Parameter("p", value)


# ---- accumulation ----


def test_micro_batches_make_the_step_of_the_whole_batch(backend):
    model, whole = net(backend), net(backend)
    optimizer, other = Accumulate(Adam(0.1), every=2), Adam(0.1)
    for _ in range(2):
        moved = [step(model, optimizer, slice(4 * i, 4 * i + 4)) for i in range(2)]
        step(whole, other)
        assert moved == [False, True]
        assert_same(weights(model), weights(whole))
    assert optimizer.optimizer.state["step"] == 2 and optimizer.lr == 0.1


def test_weights_make_up_for_batches_of_several_sizes():
    model, whole = net(), net()
    optimizer = Accumulate(SGD(0.1), every=2)
    for rows in (slice(0, 2), slice(2, 8)):
        _, grads = zk.value_and_grad(loss)(model, X[rows], LABELS[rows])
        optimizer.update(model, grads, weight=len(LABELS[rows]))
    step(whole, SGD(0.1))
    assert_same(weights(model), weights(whole))


def test_what_waits_can_be_used_early_or_dropped():
    model, whole = net(), net()
    optimizer = Accumulate(SGD(0.1), every=10)
    assert not optimizer.flush(model)
    step(model, optimizer)
    optimizer.drop()
    step(model, optimizer)
    assert optimizer.flush(model) and not optimizer.flush(model)
    step(whole, SGD(0.1))
    assert_same(weights(model), weights(whole))


def test_gradients_that_were_given_keep_their_numbers():
    model, optimizer = Scalar(np.ones(2)), Accumulate(SGD(0.1), every=3)
    grads = {"p": np.ones(2)}
    for _ in range(3):
        optimizer.update(model, grads)
    assert np.array_equal(grads["p"], [1, 1]) and np.allclose(model.p.value, 0.9)


def test_what_accumulate_refuses():
    model, optimizer = net(), Accumulate(SGD(0.1), every=2)
    with pytest.raises(GradientMismatchError, match="missing"):
        optimizer.update(model, {})
    with pytest.raises(ValueError, match="weight is out of range"):
        optimizer.update(model, {n: np.ones_like(p.value) for n, p in model.named_parameters().items()}, weight=0)
    assert optimizer.count == 0
    step(model, optimizer)
    with pytest.raises(GradientMismatchError, match="(?s)that wait.*layers.0.weight"):
        step(model.freeze("layers.0"), optimizer)
    with pytest.raises(ValueError, match="every is out of range"):
        Accumulate(SGD(0.1), every=0)
    with pytest.raises(TypeError, match="Accumulate, with an update of its own"):
        zk.train.compiled_step(model, optimizer, loss)


# ---- averages ----


def test_averages_follow_their_formula(backend):
    model, optimizer = net(backend), SGD(0.5)
    ema, expected = EMA(model, 0.8), weights(model)
    for _ in range(4):
        step(model, optimizer)
        ema.update(model)
        expected = {name: 0.8 * expected[name] + 0.2 * p for name, p in weights(model).items()}
    assert_same({name: host(x) for name, x in ema.weights.items()}, expected)
    assert all(backend.owns(x) for x in ema.weights.values())


def test_warm_up_forgets_the_first_weights_sooner():
    model = Scalar(np.zeros(1))
    ema = EMA(model, 0.9, warm_up=True)
    model.p.value = np.ones(1)
    expected = 0.0
    for n in range(100):
        ema.update(model)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + 1 - decay
        assert ema.weights["p"] == pytest.approx(expected)


def test_swapped_gives_the_averages_for_a_block(backend):
    model, optimizer = net(backend), SGD(0.5)
    ema = EMA(model, 0.5)
    step(model, optimizer)
    ema.update(model)
    own, averaged = weights(model), {name: host(x) for name, x in ema.weights.items()}
    with ema.swapped(model) as same:
        assert same is model
        assert_same(weights(model), averaged, rtol=0, atol=0)
        with pytest.raises(RuntimeError, match="inside of swapped"):
            ema.update(model)
    with pytest.raises(KeyError), ema.swapped(model):
        raise KeyError
    assert_same(weights(model), own, rtol=0, atol=0)
    step(model, optimizer)  # writes in place
    assert_same({name: host(x) for name, x in ema.weights.items()}, averaged, rtol=0, atol=0)
    ema.copy_to(model)
    assert_same(weights(model), averaged, rtol=0, atol=0)
    step(model, optimizer)
    assert_same({name: host(x) for name, x in ema.weights.items()}, averaged, rtol=0, atol=0)


def test_averages_go_with_the_model_to_another_backend(backend):
    model = net()
    ema = EMA(model, 0.5)
    step(model, SGD(0.5))
    model.to(backend)
    ema.update(model)
    with ema.swapped(model):
        assert all(backend.owns(p.value) for p in model.parameters())
        averaged = weights(model)
    start = weights(net())
    assert_same(averaged, {name: (start[name] + p) / 2 for name, p in weights(model).items()})


def test_a_parameter_that_is_one_number_and_one_that_is_frozen():
    model = Scalar(2.0)
    ema = EMA(model.freeze(), 0.75)
    model.p.value = 4.0
    ema.update(model)
    with ema.swapped(model):
        assert model.p.value == 2.5 and type(model.p.value) is float
    assert model.p.value == 4.0
    ema.copy_to(model)
    assert model.p.value == 2.5


def test_what_averages_refuse():
    ema = EMA(Scalar(np.ones(2)))
    for other in (Scalar(np.ones(3)), Scalar(np.ones(2, "float32")), net()):
        for call in (ema.update, ema.copy_to, lambda model: ema.swapped(model).__enter__()):
            with pytest.raises(WeightsMismatchError, match="another model"):
                call(other)
    with pytest.raises(WeightsMismatchError, match="'p'"):
        ema.load_state_dict({"step": 1, "weights": {"p": np.ones(5)}})
    with pytest.raises(ValueError, match="no state of EMA"):
        ema.load_state_dict({"weights": {}})
    with pytest.raises(ValueError, match="decay is out of range"):
        EMA(net(), 1.0)
    with pytest.raises(TypeError, match="Module"):
        EMA({"p": 1})


# ---- files ----

OWNERS = {
    "sgd": lambda: SGD(0.1, momentum=0.9),
    "adam": lambda: Adam(0.1, amsgrad=True),
    "muon": lambda: Muon(0.1, groups={"*.bias": {"lr": 0.01}}),
    "rmsprop": lambda: optim.RMSprop(0.01, momentum=0.9, centered=True),
    "adagrad": lambda: optim.Adagrad(0.1, initial=0.5),
    "adadelta": lambda: optim.Adadelta(),
    "nadam": lambda: optim.NAdam(0.1),
    "lion": lambda: optim.Lion(0.1),
    "scheduled": lambda: AdamW(schedules.WarmUp(schedules.Plateau(0.1, patience=0), 4)),
    "accumulate": lambda: Accumulate(Adam(0.1), every=2),
}


@pytest.mark.parametrize("name", OWNERS)
def test_a_run_goes_on_from_a_file_as_if_it_had_not_stopped(name, backend, tmp_path):
    model, optimizer = net(backend), OWNERS[name]()
    for _ in range(3):
        step(model, optimizer)
    if name == "scheduled":
        assert [optimizer.schedule.lr.watch(v) for v in (1, 1)] == [False, True]
    save_state(tmp_path / "state.safetensors", optimizer)
    zk.io.save_weights(tmp_path / "weights.safetensors", model)
    resumed, again = OWNERS[name](), net(backend)
    zk.io.load_weights(tmp_path / "weights.safetensors", again)
    load_state(tmp_path / "state.safetensors", resumed)
    for _ in range(3):
        step(model, optimizer)
        step(again, resumed)
    assert_same(weights(model), weights(again), rtol=0, atol=0)


def test_averages_in_a_file(backend, tmp_path):
    model = net(backend)
    ema, other = EMA(model, 0.5), EMA(net(backend), 0.5)
    step(model, SGD(0.1))
    ema.update(model)
    save_state(tmp_path / "ema", ema)
    load_state(tmp_path / "ema", other)
    with other.swapped(model):
        assert_same(weights(model), {name: host(x) for name, x in ema.weights.items()}, rtol=0, atol=0)
    assert other.step == 1


def test_a_tree_comes_back_as_it_was(tmp_path):
    tree = {"a": {"b/c": np.arange(3), "": {}}, "n": 3, "x": float("inf"), "s": "text", "none": None, "yes": True}
    save_state(tmp_path / "tree", tree)
    back = load_state(tmp_path / "tree")
    assert np.array_equal(back["a"].pop("b/c"), tree["a"].pop("b/c")) and back == tree


def test_what_files_refuse(tmp_path):
    with pytest.raises(TypeError, match="(?s)list at 'a/b'"):
        save_state(tmp_path / "x", {"a": {"b": [1, 2]}})
    with pytest.raises(FileFormatError, match="two arrays have the path"):
        save_state(tmp_path / "x", {"a": {"b/c": np.ones(1)}, "a/b": {"c": np.ones(1)}})
    save_safetensors(tmp_path / "weights", {"a": np.ones(2)})
    with pytest.raises(FileFormatError, match="holds no state"):
        load_state(tmp_path / "weights")
    save_safetensors(tmp_path / "damaged", {"a": np.ones(2)}, {"zkynet_state": '{"dict": {"a": {"array": "b"}}}'})
    with pytest.raises(FileFormatError, match="its state is damaged"):
        load_state(tmp_path / "damaged")
    save_state(tmp_path / "adam", Adam())
    with pytest.raises(ValueError, match="no state of SGD"):
        load_state(tmp_path / "adam", SGD(0.1, momentum=0.9))


# ---- L-BFGS ----


class Curve(zk.Module):
    """Rosenbrock's function, minimal at (1, 1)."""

    def __init__(self, backend=None):
        xp = backend or backends.get("numpy")
        self.x, self.y = zk.Parameter("x", xp.asarray(-1.2)), zk.Parameter("y", xp.asarray([1.0]))

    def call(self):
        return op.sum(op.square(1 - self.x) + 100 * op.square(self.y - op.square(self.x)))


def rosenbrock(model):
    return model.call()


def test_lbfgs_finds_the_minimum(backend):
    model, optimizer = Curve(backend), LBFGS(steps=100)
    assert optimizer.minimize(rosenbrock, model) == pytest.approx(24.2)
    assert optimizer.minimize(rosenbrock, model) < 1e-8
    assert host(model.x.value) == pytest.approx(1, abs=1e-4) and host(model.y.value) == pytest.approx(1, abs=1e-4)


def test_lbfgs_trains_a_network():
    model, optimizer = net(), LBFGS()
    first = optimizer.minimize(loss, model, X, LABELS)
    assert optimizer.minimize(loss, model, X, LABELS) < 0.5 * first


def test_lbfgs_goes_on_from_a_file(backend, tmp_path):
    model, optimizer = Curve(backend), LBFGS(steps=3)
    for _ in range(2):
        optimizer.minimize(rosenbrock, model)
    save_state(tmp_path / "state", optimizer)
    again, resumed = Curve(backend), LBFGS(steps=3)
    again.x.value, again.y.value = model.x.value, model.y.value
    load_state(tmp_path / "state", resumed)
    for _ in range(2):
        assert optimizer.minimize(rosenbrock, model) == resumed.minimize(rosenbrock, again)
    assert_same(weights(model), weights(again), rtol=0, atol=0)


def test_lbfgs_leaves_frozen_parameters_alone_and_takes_numbers():
    model, optimizer = Curve(), LBFGS(steps=50)
    model.x = zk.Parameter("x", -1.2)
    optimizer.minimize(rosenbrock, model.freeze("y"))
    assert type(model.x.value) is float and model.y.value == 1 and abs(abs(model.x.value) - 1) < 0.1
    with pytest.raises(GradientMismatchError, match="other parameters"):
        optimizer.minimize(rosenbrock, model.unfreeze())


@pytest.mark.parametrize("line_search", [True, False])
def test_a_loss_that_raises_leaves_everything_at_the_last_step(line_search):
    def make():
        return Curve(), LBFGS(lr=0.01, steps=2, evaluations=50, line_search=line_search)

    (model, optimizer), (other, same) = make(), make()
    for round_ in range(3):
        calls = []

        def broken(model, calls=calls):
            calls.append(1)
            if len(calls) == 2:  # the first trial
                raise RuntimeError("broken")
            return model.call()

        before = weights(model)
        with pytest.raises(RuntimeError, match="broken"):
            optimizer.minimize(broken, model)
        assert_same(weights(model), before, rtol=0, atol=0)
        assert optimizer.minimize(rosenbrock, model) == same.minimize(rosenbrock, other)
        assert_same(weights(model), weights(other), rtol=0, atol=0)
        assert optimizer.state["step"] == same.state["step"] == 2 * (round_ + 1)


def test_a_search_goes_around_what_is_not_finite():
    """The logarithm is NaN behind 0, where the first trials end."""
    model = Scalar(np.array([3.0]))

    def barrier(model):
        return op.sum(model.p - 0.01 * op.log(model.p))

    with np.errstate(all="ignore"):
        for _ in range(3):
            LBFGS(lr=50.0, steps=40).minimize(barrier, model)
    assert model.p.value == pytest.approx(0.01, rel=1e-4)


def test_what_lbfgs_refuses():
    with pytest.raises(FloatingPointError, match="the loss is inf"):
        LBFGS().minimize(lambda model: op.sum(model.p) * np.inf, Scalar(np.ones(2)))
    with pytest.raises(TypeError, match="(?s)minimize"):
        LBFGS().update(Scalar(1.0), {"p": 1.0})
    with pytest.raises(TypeError, match="LBFGS, with an update of its own"):
        zk.train.compiled_step(net(), LBFGS(), loss)
    mixed = Curve()
    mixed.y = zk.Parameter("y", np.ones(1, "float32"))
    with pytest.raises(TypeError, match="(?s)float32 on numpy, float64 on numpy"):
        LBFGS().minimize(rosenbrock, mixed)
    with pytest.raises(TypeError, match="complex128"):
        LBFGS().minimize(lambda model: op.sum(op.abs(model.p)), Scalar(np.array([1j])))
    with pytest.raises(ValueError, match="steps is out of range"):
        LBFGS(steps=0)
    with pytest.raises(ValueError, match="no state of LBFGS"):
        LBFGS().load_state_dict(Adam().state_dict())
