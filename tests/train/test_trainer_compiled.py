"""A Trainer whose steps are compiled: the numbers of eager mode, and the same bits where a run is resumed."""

import warnings

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.killed import KilledError, killed_at
from zkynet import nn, optim
from zkynet.data import Batches
from zkynet.framework import op
from zkynet.framework.graph_mode import lane_choice, lane_plan
from zkynet.train import Callback, DynamicLossScale, On, Trainer, replayed
from zkynet.train.run_plans import Plans

RNG = np.random.default_rng(0)
X = RNG.standard_normal((56, 6))
LABELS = RNG.integers(0, 3, 56)
TRAIN, VALIDATION = (X[:44], LABELS[:44]), (X[44:], LABELS[44:])
STEPS = 12  # of three epochs: batches of 12, and one of 8


def net(norm=nn.BatchNorm, seed=3, dtype="float64"):
    """Dropout, batch statistics, and one generator for all that is drawn."""
    g = zk.Generator(seed)
    return nn.Sequential(
        *(nn.Linear(6, 16, g, dtype=dtype), norm(16, dtype=dtype), op.tanh),
        *(nn.Dropout(0.3, g), nn.Linear(16, 3, g, dtype=dtype)),
    )


def loss(model, x, labels):
    """With noise while the model is validated, too."""
    noise = model.layers[3].generator.normal(x.shape, "float64")
    return op.softmax_cross_entropy(model(x + 0.1 * noise), labels)


class Losses(Callback):
    """The loss of every step, kept in checkpoints."""

    def __init__(self):
        self.losses = []

    def on_step_end(self, run):
        self.losses.append(run.loss)

    def state_dict(self):
        return {"losses": list(self.losses)}

    def load_state_dict(self, state):
        self.losses = list(state["losses"])


def adam():
    return optim.Adam(optim.schedules.WarmUp(optim.schedules.Cosine(0.05, STEPS), 4), weight_decay=0.01)


def right(outputs, targets):
    return float((np.argmax(outputs, axis=-1) == targets).mean())


def trainer(optimizer=adam, folder=None, callbacks=(), model=None, **settings):
    return Trainer(
        *(net() if model is None else model, loss, optimizer()),
        **{"metrics": {"right": right}, "folder": folder, "callbacks": [Losses(), *callbacks], "compiled": True}
        | settings,
    )


def fitted(run, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that it runs eagerly is a warning
        run.fit(Batches(TRAIN, 12, seed=5), VALIDATION, **{"epochs": 3} | settings)
    return run


def end_of(run):
    """All that a run has come to, but for its times."""
    owned = run.model.named_possessions((zk.Parameter, zk.State))
    arrays = {path: np.array(each.value).tobytes() for path, each in owned.items()}
    history = [{name: x for name, x in each.items() if name != "seconds"} for each in run.history]
    return arrays, history, run.callbacks[0].losses, run.step


def lanes_of(run):
    """The choices that a run's programs have come to."""
    return [each["lanes"] for plan in run._plans.state_dict().values() for each in plan["lanes"].values()]


@pytest.fixture
def machine(monkeypatch):
    """``machine(lanes)``: from here on it is a machine on which so many lanes turn out to be faster."""
    monkeypatch.setattr(lane_plan, "lanes_possible", lambda: True)
    monkeypatch.setattr(lane_choice, "SETTLE", 0.0)
    monkeypatch.setattr(replayed, "SETTLING", 0.0)
    monkeypatch.setattr(replayed, "SHARE", 1e9)  # however short the run is
    return lambda lanes: monkeypatch.setattr(lane_choice, "MARGIN", 1.0 if lanes == 1 else -1e9)


# ---- the numbers of eager mode ----

OPTIMIZERS = {
    "adam": adam,
    "groups": lambda: optim.SGD(0.05, momentum=0.9, groups={"*.bias": {"lr_factor": 2.0}}),
    "accumulate": lambda: optim.Accumulate(optim.AdamW(1e-2), every=3),
}
SETTINGS = {
    "alone": dict,
    "clipped": lambda: {"change": lambda grads: optim.clip_by_norm(grads, 0.1)[0]},
    "watched": lambda: {"callbacks": [On(gradients=lambda run: None)]},
    "scaled": lambda: {"loss_scale": DynamicLossScale(2.0**10, interval=5)},
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_compiled_runs_have_the_numbers_of_eager_ones(optimizer, settings):
    runs = [
        fitted(trainer(OPTIMIZERS[optimizer], compiled=compiled, **SETTINGS[settings]())) for compiled in (False, True)
    ]
    arrays = [{path: each.value for path, each in run.model.named_possessions().items()} for run in runs]
    for path, array in arrays[0].items():
        np.testing.assert_allclose(arrays[1][path], array, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(runs[1].callbacks[0].losses, runs[0].callbacks[0].losses, rtol=1e-10)
    for compiled, eager in zip(runs[1].history, runs[0].history, strict=True):
        assert compiled["right"] == eager["right"]
        assert compiled["validation_loss"] == pytest.approx(eager["validation_loss"], rel=1e-10)
    generators = [run.model.layers[3].generator.value for run in runs]
    assert generators[0] == generators[1] and runs[0].learning_rate == runs[1].learning_rate
    plans = set(runs[1]._plans._replayed)
    whole = optimizer != "accumulate" and settings in ("alone", "clipped")
    assert plans >= ({"step", "forward"} if whole else {"gradient", "forward"}) and ("step" in plans) == whole
    assert all(not each.compiled.eager_because for each in runs[1]._plans._replayed.values())


def test_choosing_lanes_leaves_nothing_behind(machine):
    """Nor in what is not the model's: another one's statistics, and a generator that only the loss knows."""
    machine(2)
    runs = []
    for compiled in (False, True):
        other, generator = nn.BatchNorm(6, dtype="float64"), zk.Generator(7)

        def mixed(model, x, labels, other=other, generator=generator):
            noise = generator.normal(x.shape, "float64")
            return loss(model, x, labels) + 0.1 * op.mean(other(x) * noise)

        run = trainer(model=net(nn.LayerNorm), compiled=compiled, metrics=None)
        run.loss_function = mixed
        run._plans = Plans(run) if compiled else None
        fitted(run)
        states = [state.value for state in (*other.named_states().values(), generator)]
        runs.append((run.callbacks[0].losses, states, run.model.layers[3].generator.value, run.optimizer.state["step"]))
    (eager, before, *counts), (compiled, after, *same) = runs
    np.testing.assert_allclose(compiled, eager, rtol=1e-10)
    assert counts == same
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_what_python_changes_in_every_step_counts_every_step_once():
    def ramped(seen):
        def loss_of(model, x, labels):
            seen["steps"] += 1
            return seen["steps"] / 10 * loss(model, x, labels)

        return loss_of

    runs = []
    for compiled in (False, True):
        seen = {"steps": 0}
        run = Trainer(net(), ramped(seen), adam(), callbacks=[Losses()], compiled=compiled)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            run.fit(Batches(TRAIN, 12, seed=5), epochs=3)
        runs.append((run.callbacks[0].losses, seen["steps"]))
    assert runs[0] == runs[1] and runs[1][1] == STEPS
    assert ["the step of a Trainer runs eagerly" in str(each.message) for each in told] == [True]


def test_an_attribute_that_changes_counts():
    rates = On(epoch_start=lambda run: setattr(run.model.layers[3], "p", 0.1 * run.epoch))
    losses = [fitted(trainer(callbacks=[rates], compiled=each)).callbacks[0].losses for each in (False, True)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)


def test_narrow_numbers():
    losses = []
    for compiled in (False, True):
        run = trainer(compiled=compiled, precision="float32", model=net(dtype="float32"), metrics=None)
        run.loss_function = lambda model, x, labels: op.softmax_cross_entropy(model(x), labels)
        run._plans = Plans(run) if compiled else None
        losses.append(fitted(run).callbacks[0].losses)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_gradients_are_seen_on_jax_too():
    backends_here.get("jax")
    seen = []
    with zk.use_backend("jax"):
        model = nn.Linear(6, 3, 0)
        watch = On(gradients=lambda run: seen.append(set(run.gradients)))
        run = Trainer(model, lambda model, x, y: op.mean(op.square(model(x))), adam(), callbacks=[watch], compiled=True)
        history = run.fit([tuple(each[:8] for each in TRAIN)] * 3, epochs=2)
    assert seen == [{"weight", "bias"}] * 6 and history[1]["loss"] < history[0]["loss"]


# ---- the same bits where a run is resumed ----


def started(folder, *callbacks, settings="alone", **others):
    """A run whose steps may be halved."""
    given = SETTINGS[settings]() | others
    return trainer(
        model=net(nn.LayerNorm), folder=folder, **given | {"callbacks": [*given.get("callbacks", ()), *callbacks]}
    )


@pytest.mark.parametrize("settings", ["alone", "watched"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_a_run_that_is_resumed_has_the_bits_of_the_whole_one(lanes, settings, machine, tmp_path):
    machine(lanes)
    whole = fitted(started(tmp_path / "whole", settings=settings))
    assert lanes in lanes_of(whole) and (3 - lanes not in lanes_of(whole) or lanes == 2)
    for step in (1, 3, 4, 6, 11):  # the last batch of an epoch is a shorter one
        machine(lanes)
        folder = tmp_path / str(step)
        with pytest.raises(KilledError):
            fitted(started(folder, killed_at(step + 1), settings=settings, checkpoint_every=step))
        machine(3 - lanes)  # it goes on where the other way is faster
        again = fitted(started(folder, settings=settings), resume=True)
        assert end_of(again) == end_of(whole), step
        assert lanes_of(again) == lanes_of(whole)


def test_what_is_recorded_later_is_the_same_where_it_is_recorded_first(machine, tmp_path):
    """Another rate of dropout is another recording, of a step that looks the same."""
    rates = On(epoch_start=lambda run: setattr(run.model.layers[3], "p", 0.1 * run.epoch))
    machine(2)
    whole = fitted(started(tmp_path / "whole", rates))
    for step in (3, 5, 9):
        with pytest.raises(KilledError):
            fitted(started(tmp_path / str(step), rates, killed_at(step + 1), checkpoint_every=step))
        again = started(tmp_path / str(step), rates)
        again.model.layers[3].p = 0.1 * (1 + (step - 1) // 4)  # a setting: those are not kept
        assert end_of(fitted(again, resume=True)) == end_of(whole), step


def test_deterministic_runs_take_one_lane(machine, tmp_path):
    machine(2)
    run = fitted(started(tmp_path, deterministic=True))
    assert set(lanes_of(run)) == {1} and "one lane: deterministic" in run.explain()
    machine(1)
    assert end_of(fitted(started(tmp_path / "again", deterministic=True))) == end_of(run)


def test_a_short_run_is_not_spent_on_trying(machine, monkeypatch, tmp_path):
    machine(2)
    monkeypatch.setattr(replayed, "SHARE", 0.05)
    run = fitted(started(tmp_path))
    assert set(lanes_of(run)) == {1} and "not tried: there are too few steps" in run.explain()
    assert "steps are not compiled" in trainer(compiled=False).explain()
