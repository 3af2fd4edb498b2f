"""The callbacks that decide: early stopping, the best weights, plateaus, the NaN guard; and that they are resumed."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.killed import KilledError, killed_at
from zkynet import io, nn, optim
from zkynet.backends.errors import AnomalyError
from zkynet.data import Batches
from zkynet.framework import op
from zkynet.optim.schedules import Chain, Constant, Cosine, Exponential, Plateau, WarmUp
from zkynet.train import Callback, DynamicLossScale, On, Trainer
from zkynet.train.callbacks import EarlyStopping, KeepBest, NaNGuard, ReduceOnPlateau
from zkynet.train.callbacks.stopping import direction


def square(model, x, y):
    return op.mean(op.square(model(x) - y))


def data(n=24):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(n, 3))
    return x, x @ np.array([[1.0], [-2.0], [0.5]])


class Noisy(nn.Linear):
    """A linear model that draws in training and counts its calls: States of both kinds."""

    def __init__(self):
        super().__init__(3, 1, 0, dtype="float64")
        self.generator, self.calls = zk.Generator(7), zk.State("calls", np.zeros(()))

    def call(self, x):
        if self.training:
            self.calls.value = self.calls.value + 1.0
            x = x + self.generator.normal(tuple(x.shape)) * 0.1
        return super().call(x)


def trainer(*callbacks, model=None, loss=square, optimizer=None, **settings):
    return Trainer(model or Noisy(), loss, optimizer or optim.Adam(0.05), callbacks=callbacks, **settings)


def fit(run, epochs=3, **settings):
    return run.fit(Batches(data(), 8), validation=data(6), epochs=epochs, **settings)


class Scripted(Callback):
    """Gives the epochs these values of a figure."""

    order = -1

    def __init__(self, *values, figure="score"):
        self.values, self.figure = values, figure

    def on_epoch_end(self, run):
        run.figures[self.figure] = self.values[run.epoch - 1]


def owned(model):
    return {name: np.array(each.value) for name, each in model.named_possessions((zk.Parameter, zk.State)).items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# ---- which way is better ----


def test_names_of_figures_say_which_way_is_better():
    small = ("loss", "validation_loss", "mean_squared_error", "perplexity", "loss_of_the_decoder")
    large = ("accuracy", "f1", "validation_accuracy", "accuracy_top_5", "r2")
    assert {direction(Callback(), name, None) for name in small} == {"min"}
    assert {direction(Callback(), name, None) for name in large} == {"max"}
    assert direction(Callback(), "loss", "max") == "max"
    for mode in (None, "up"):
        with pytest.raises(ValueError, match="is less or more of 'speed' better"):
            EarlyStopping("speed", mode=mode)


# ---- early stopping ----


def stops_after(values, epochs=12, **settings):
    stopping = EarlyStopping("score", **settings)
    run = trainer(stopping, Scripted(*values))
    history = fit(run, epochs=epochs)
    return len(history), run.stopped, stopping


def test_a_run_ends_after_patience_epochs_without_improvement():
    epochs, reason, stopping = stops_after([3, 5, 4, 5, 4, 9, 9], patience=3)
    assert (epochs, stopping.best, stopping.best_epoch) == (5, 5.0, 2)
    assert reason == "score has not become better in the last 3 epochs; the best was 5 in epoch 2"
    assert stops_after([3, 5, 4, 5, 4, 2, 9], patience=3, mode="min")[0] == 4
    assert stops_after([1, 1, 2], patience=1)[1].endswith("in the last epoch; the best was 1 in epoch 1")


def test_every_improvement_begins_the_waiting_anew():
    assert stops_after([1, 0, 2, 0, 3, 0], epochs=6, patience=2)[:2] == (6, None)


def test_a_change_smaller_than_min_change_is_none():
    values = [1.0, 1.4, 1.8, 2.2, 2.6]
    assert stops_after(values, epochs=5, patience=2)[0] == 5
    assert stops_after(values, epochs=5, patience=2, min_change=0.5)[0] == 5  # 1.8 is better than 1.0 by more
    assert stops_after(values, epochs=5, patience=2, min_change=1.0)[0] == 3


def test_what_is_not_finite_is_never_better():
    epochs, reason, stopping = stops_after([math.nan, math.inf, math.nan], patience=3)
    assert epochs == 3 and stopping.best is None and reason.endswith("the best was never finite")
    assert stops_after([math.nan, 1, math.nan, 2, 1, 1], epochs=6, patience=2)[0] == 6


@pytest.mark.parametrize("settings", [{"patience": 0}, {"patience": 1.5}, {"min_change": -1}, {"min_change": math.nan}])
def test_settings_of_early_stopping_are_checked(settings):
    with pytest.raises(ValueError, match="is out of range"):
        EarlyStopping(**settings)


@pytest.mark.parametrize("callback", [EarlyStopping(), KeepBest(), ReduceOnPlateau()])
def test_a_figure_that_is_missing_is_an_error_that_names_those_that_are_there(callback):
    run = trainer(callback)
    with pytest.raises(ValueError, match=r"'validation_loss'\n  expected: one of epoch, loss, seconds\nGive fit"):
        run.fit(Batches(data(), 8))


def test_one_callback_may_see_several_runs():
    stopping, keep = EarlyStopping("score", patience=2), KeepBest("score")
    for best in (3, 2):
        assert len(fit(trainer(stopping, keep, Scripted(best, 1, 1, 0)), epochs=4)) == 3
        assert stopping.best == keep.best == best


def test_a_stopped_run_that_is_resumed_stops_again_unless_patience_is_larger(tmp_path):
    values = (3, 2, 1, 0, 0, 0)
    fit(trainer(EarlyStopping("score", 2), Scripted(*values), folder=tmp_path), epochs=6)
    again = trainer(EarlyStopping("score", 2), Scripted(*values), folder=tmp_path)
    assert len(fit(again, epochs=6, resume=True)) == 3 and "the best was 3 in epoch 1" in again.stopped
    longer = trainer(EarlyStopping("score", 4), Scripted(*values), folder=tmp_path)
    assert len(fit(longer, epochs=6, resume=True)) == 5


# ---- the best weights ----


def test_the_weights_of_the_best_epoch_are_put_back_and_in_the_file(tmp_path):
    seen = []
    watch = On(epoch_end=lambda run: seen.append(owned(run.model)))
    keep = KeepBest("score", metadata={"zkynet": "{}"})
    run = trainer(watch, keep, Scripted(1, 3, 3, 2), folder=tmp_path)
    fit(run, epochs=4)
    assert (keep.best, keep.best_epoch) == (3.0, 2)  # of equals the first
    assert same(owned(run.model), seen[1]) and not same(seen[1], seen[3])
    file = tmp_path / "model-best.safetensors"
    other = Noisy()
    io.load_weights(file, other)
    assert same(owned(other), seen[1])
    expected = {"zkynet": "{}", "epoch": "2", "figure": "score", "value": "3.0"}
    assert {name: io.load_metadata(file)[name] for name in expected} == expected


def test_a_run_that_was_killed_keeps_the_best_too():
    seen = []
    run = trainer(On(epoch_end=lambda run: seen.append(owned(run.model))), KeepBest("score"), Scripted(2, 1, 0))
    run.callbacks.append(killed_at(8))
    with pytest.raises(KilledError):
        fit(run)
    assert same(owned(run.model), seen[0])


def test_the_last_weights_stay_where_nothing_shall_be_restored_or_nothing_was_best(tmp_path):
    plain = trainer()
    fit(plain)
    for keep in (KeepBest("score", restore=False, file=tmp_path / "sub.safetensors"), KeepBest("score", file=None)):
        values = (2, 1, 0) if keep.file else (math.nan,) * 3
        run = trainer(keep, Scripted(*values), folder=tmp_path / str(keep.restore))
        fit(run)
        assert same(owned(run.model), owned(plain.model))
    assert (tmp_path / "sub.safetensors").exists()
    assert not list(tmp_path.glob("*/model-best*"))


def test_a_best_file_of_another_run_does_not_stay(tmp_path):
    old = tmp_path / "model-best.safetensors"
    old.write_bytes(b"of another run")
    there = []
    fit(trainer(KeepBest("score"), Scripted(1, 2, 3), On(epoch_start=lambda run: there.append(old.exists())),
                folder=tmp_path))  # fmt: skip
    assert there == [False, True, True]


def test_a_resumed_run_writes_the_file_of_its_own_best_epoch_again(tmp_path):
    file = tmp_path / "model-best.safetensors"
    fit(trainer(KeepBest("score"), Scripted(1, 3, 2), folder=tmp_path))
    before = file.read_bytes()
    file.write_bytes(b"of an epoch after the checkpoint")
    fit(trainer(KeepBest("score"), Scripted(1, 3, 2, 0), folder=tmp_path), epochs=4, resume=True)
    assert file.read_bytes() == before


# ---- interrupted and resumed ----


VALUES = (5, 6, 4, 3, 3, 3)  # the best is epoch 2; patience 3 stops in epoch 5


@pytest.mark.parametrize("step", [2, 4, 7, 8, 13, 14])
def test_a_resumed_run_decides_as_one_that_was_never_interrupted(step, tmp_path):
    def begin(folder, *more):
        callbacks = (EarlyStopping("score", 3), KeepBest("score"), ReduceOnPlateau("score", patience=1, factor=0.5))
        return trainer(*callbacks, Scripted(*VALUES), *more, folder=tmp_path / folder, checkpoint_every=2)

    whole = begin("whole")
    history = fit(whole, epochs=6)
    with pytest.raises(KilledError):
        fit(begin("parts", killed_at(step)), epochs=6)
    parts = begin("parts", On(step_end=lambda run: None))
    found = fit(parts, epochs=6, resume=bool(parts.saved))
    figures = [{name: value for name, value in each.items() if name != "seconds"} for each in history]
    assert [{name: value for name, value in each.items() if name != "seconds"} for each in found] == figures
    assert len(found) == 5 and parts.stopped == whole.stopped
    assert same(owned(parts.model), owned(whole.model)) and parts.learning_rate == whole.learning_rate == 0.025
    files = [tmp_path / folder / "model-best.safetensors" for folder in ("whole", "parts")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("callback", [EarlyStopping("score"), KeepBest("score"), ReduceOnPlateau("score"), NaNGuard()])
def test_states_are_json(callback):
    fit(trainer(callback, Scripted(math.nan, 1, 2)))
    state = callback.state_dict()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert all(isinstance(array, np.ndarray) for array in callback.arrays().values())


# ---- plateaus ----


def rates(optimizer, *values, **settings):
    """The learning rate of the update after each epoch."""
    seen = []
    callback = ReduceOnPlateau("score", **settings)
    watch = On(epoch_end=lambda run: seen.append(run.learning_rate))
    watch.order = 1
    run = trainer(watch, callback, Scripted(*values), optimizer=optimizer)
    fit(run, epochs=len(values))
    return seen


def test_a_rate_is_cut_where_a_figure_stays_flat():
    settings = {"patience": 1, "factor": 0.5, "least": 0.2}
    assert rates(optim.SGD(1.0), 1, 2, 2, 1, 0, 0, 0, 0, **settings) == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.2]
    assert rates(optim.SGD(1.0), 1, 2, 2, mode="min", patience=0) == [1, 0.1, pytest.approx(0.01)]


def test_a_figure_that_is_not_finite_is_not_better():
    assert rates(optim.SGD(1.0), 1, math.nan, math.inf, 2, patience=0, factor=0.5) == [1, 0.5, 0.25, 0.25]
    assert rates(optim.SGD(1.0), math.nan, -1e9, patience=0) == [1, 1]


def test_a_schedule_is_multiplied():
    found = rates(optim.SGD(Exponential(1.0, 0.9)), 2, 1, 1, patience=0, factor=0.5)
    assert found == pytest.approx([0.9**3, 0.5 * 0.9**6, 0.25 * 0.9**9])


@pytest.mark.parametrize(
    "schedule",
    [
        lambda plateau: plateau,
        lambda plateau: WarmUp(plateau, 1),
        lambda plateau: Chain((0.1, WarmUp(plateau, 1)), (1,)),
        lambda plateau: optim.rates.scaled(plateau, 1.0),
    ],
)
def test_the_plateau_of_an_optimizer_is_told_the_figure(schedule):
    plateau = Plateau(0.5, best="max", patience=0, factor=0.5)
    assert rates(optim.SGD(schedule(plateau)), 2, 1, 1) == [0.5, 0.25, 0.125]


def test_the_plateau_of_a_group_is_told_the_figure():
    plateau = Plateau(0.5, best="max", patience=0, factor=0.5)
    rates(optim.SGD(0.1, groups={"bias": {"lr": plateau}}), 2, 1)
    assert plateau(0) == 0.25


def test_settings_of_plateaus_are_said_once_and_checked():
    with pytest.raises(ValueError, match="a Plateau with settings of its own"):
        rates(optim.SGD(Plateau(0.5, best="max")), 1, factor=0.5)
    with pytest.raises(ValueError, match="takes the other direction for better"):
        rates(optim.SGD(Plateau(0.5)), 1)
    with pytest.raises(ValueError, match="factor is out of range"):
        ReduceOnPlateau("loss", factor=2.0)


def test_a_second_run_with_the_same_optimizer_begins_with_the_whole_schedule():
    optimizer, callback = optim.SGD(Cosine(1.0, 1000)), ReduceOnPlateau("score", patience=0, factor=0.5)
    for _ in range(2):
        fit(trainer(callback, Scripted(2, 1), optimizer=optimizer), epochs=2)
        assert optimizer.lr == pytest.approx(0.5 * Cosine(1.0, 1000)(optimizer.state["step"]))


@pytest.mark.parametrize("kind", ["schedule", "plateau", "warm-up of a plateau"])
def test_a_resumed_schedule_goes_on_with_its_cuts(kind, tmp_path):
    def begin():
        rate = Constant(1.0) if kind == "schedule" else Plateau(1.0, best="max", patience=0, factor=0.5)
        settings = {"patience": 0, "factor": 0.5} if kind == "schedule" else {}
        optimizer = optim.SGD(WarmUp(rate, 1) if kind == "warm-up of a plateau" else rate)
        return trainer(ReduceOnPlateau("score", **settings), Scripted(2, 1, 0), optimizer=optimizer, folder=tmp_path)

    fit(begin(), epochs=2)
    resumed = begin()
    fit(resumed, epochs=3, resume=True)
    assert resumed.learning_rate == 0.25


# ---- the NaN guard ----


warned = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # NumPy's own, of the first run


def dangerous(model, x, y):
    """Not finite where an x is large: its logarithm is taken of a negative number."""
    found = model(x)
    return op.mean(op.square(found - y)) * op.mean(op.exp(0.0 * op.log(10.0 - x)))  # the line


def pole(model, x, y):
    """A loss that is finite, and a gradient that is not."""
    return op.mean(op.square(model(x) - y)) + op.sum(op.sqrt(0.0 * op.sum(model(x))))


def spoiled(value=100.0):
    x, y = data()
    x = x.copy()
    x[17] = value
    return Batches((x, y), 8, shuffle=False)  # in the third batch


LINE = dangerous.__code__.co_firstlineno + 3


@warned
@pytest.mark.parametrize("compiled", [False, True])
def test_a_loss_that_is_not_finite_names_the_operator_and_the_line(compiled):
    before = []
    watch = On(step_start=lambda run: before.append(owned(run.model)))
    run = trainer(watch, NaNGuard(), loss=dangerous, compiled=compiled)
    with pytest.raises(AnomalyError) as caught:
        run.fit(spoiled(), epochs=2)
    assert (caught.value.operator, caught.value.file, caught.value.line) == ("Log", __file__, LINE)
    text = str(caught.value)
    assert text.startswith("Log: NaN came out of finite numbers.") and "test_deciding_callbacks.py" in text
    assert "NaNGuard: in step 3, batch 3 of epoch 1; its loss is nan." in text
    assert same(owned(run.model), before[2]) and len(before) == 3  # the update has not been made, nor was drawn
    assert run.optimizer.state["step"] == 2


@warned
def test_without_the_guard_the_weights_are_lost():
    run = trainer(loss=dangerous)
    run.fit(spoiled(), epochs=1)
    assert not np.all(np.isfinite(run.model.weight.value))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gradient_that_is_not_finite_names_the_rule(compiled):
    run = trainer(NaNGuard(), loss=pole, compiled=compiled)
    start = owned(run.model)
    with pytest.raises(AnomalyError, match="Sqrt") as caught:
        run.fit(spoiled(), epochs=1)
    assert caught.value.operator == "Sqrt" and "NaNGuard: in step 1, batch 1 of epoch 1; the " in str(caught.value)
    assert same(owned(run.model), start)


def test_a_nan_in_the_data_is_told_as_one():
    with pytest.raises(AnomalyError, match="already has NaN"):
        trainer(NaNGuard()).fit(spoiled(math.nan), epochs=1)


def test_what_does_not_come_again_is_said_to_have_not():
    calls = []

    def once(model, x, y):
        calls.append(1)
        return square(model, x, y) * (math.nan if len(calls) == 2 else 1.0)

    with pytest.raises(AnomalyError, match=r"in step 2, batch 2 of epoch 1 its loss is nan, but not when the step ran"):
        trainer(NaNGuard(), loss=once).fit(spoiled(1.0), epochs=1)


def test_the_guard_changes_nothing_in_a_run_that_is_sound():
    runs = [trainer(), trainer(NaNGuard()), trainer(NaNGuard(), compiled=True)]
    for run in runs:
        fit(run)
    assert same(owned(runs[0].model), owned(runs[1].model)) and same(owned(runs[0].model), owned(runs[2].model))


def test_a_loss_scale_answers_for_its_gradients():
    guard = NaNGuard()
    run = SimpleNamespace(loss=1.0, loss_scale=DynamicLossScale(), gradients={"w": np.array([math.inf])})
    guard.on_gradients(run)  # no error
    run.loss_scale = None
    with pytest.raises(AttributeError):  # it goes to work: this stand-in has no batch to run again
        guard.on_gradients(run)


@warned
def test_compiled_steps_can_be_undone_and_the_best_weights_kept():
    backends_here.get("jax")
    seen = []
    with zk.use_backend("jax"):
        model = nn.Linear(3, 1, 0, dtype="float64")
        watch = On(epoch_end=lambda run: seen.append(owned(run.model)))
        callbacks = (KeepBest("score"), Scripted(3, 2, 1), watch, NaNGuard())
        run = trainer(*callbacks, model=model, loss=dangerous, compiled=True)
        fit(run)
        assert same(owned(model), seen[0]) and not same(seen[0], seen[2])
        run.callbacks.pop(0)
        with pytest.raises(AnomalyError) as caught:
            run.fit(spoiled(), epochs=1)
        assert (caught.value.operator, caught.value.line) == ("Log", LINE)
        assert all(np.all(np.isfinite(each)) for each in owned(model).values())


# ---- one's own ----


def test_a_callback_of_ones_own_and_plain_functions():
    class Counter(Callback):
        """How many steps there were."""

        steps = 0

        def on_step_end(self, run):
            self.steps += 1
            if self.steps == 5:
                run.stop("that will do")

    counter, losses = Counter(), []
    run = trainer(counter, On(step_end=lambda run: losses.append(run.loss)))
    fit(run)
    assert counter.steps == len(losses) == 5 and run.stopped == "that will do"
