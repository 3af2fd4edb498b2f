"""Trainer: the loop in one line has the bits of the loop in ten; it tells callbacks, validates, stops and refuses."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import nn, optim
from zkynet.data import Batches
from zkynet.framework import op
from zkynet.optim import clip_by_norm
from zkynet.train import Callback, DynamicLossScale, LossScale, MixedPrecision, On, Trainer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 6), dtype=np.float32)
LABELS = RNG.integers(0, 3, 50)
TRAIN, VALIDATION = (X[:40], LABELS[:40]), (X[40:], LABELS[40:])


def net(seed=3):
    """Dropout, batch statistics, and one generator for all that is drawn."""
    g = zk.Generator(seed)
    return nn.Sequential(nn.Linear(6, 8, g), nn.BatchNorm(8), op.tanh, nn.Dropout(0.3, g), nn.Linear(8, 3, g))


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def batches(**settings):
    return Batches(TRAIN, 7, seed=5, **settings)


def right(outputs, targets):
    return float((np.argmax(outputs, axis=-1) == targets).mean())


def owned(model):
    return {path: np.array(each.value) for path, each in model.named_possessions((zk.Parameter, zk.State)).items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def timeless(history):
    return [{name: figure for name, figure in each.items() if name != "seconds"} for each in history]


class Told(Callback):
    """Writes down what it is told, and where the run stands."""

    def __init__(self):
        self.seen = []

    def on_run_start(self, run):
        self.seen.append(("run_start", run.step))

    def on_run_end(self, run):
        self.seen.append(("run_end", run.stopped))

    def on_epoch_start(self, run):
        self.seen.append(("epoch_start", run.epoch, run.batch))

    def on_epoch_end(self, run):
        assert run.figures is run.history[-1] and run.figures["epoch"] == run.epoch
        self.seen.append(("epoch_end", run.epoch, run.step))

    def on_step_start(self, run):
        assert len(run.current_batch[0]) == run.samples and run.gradients is None
        self.seen.append(("step_start", run.step, run.samples))

    def on_gradients(self, run):
        assert run.gradients.keys() == run.model.trainable_parameters().keys()
        self.seen.append(("gradients", run.step))

    def on_step_end(self, run):
        assert isinstance(run.loss, float) and run.gradients.keys() == run.model.trainable_parameters().keys()
        self.seen.append(("step_end", run.step, run.batch, run.batches))


# ---- one line, and ten ----


@pytest.mark.parametrize("make", [lambda: optim.Adam(1e-2), lambda: optim.SGD(0.1, momentum=0.9)], ids=["adam", "sgd"])
def test_fit_gives_the_bits_of_the_loop_written_out(make):
    model, optimizer, data = net(), make(), batches()
    step, losses = zk.value_and_grad(loss), []
    for _ in range(3):
        total = samples = 0
        for x, labels in data:
            value, grads = step(model, x, labels)
            optimizer.update(model, grads)
            total, samples = total + float(value) * len(x), samples + len(x)
        losses.append(total / samples)

    trainer = Trainer(net(), loss, make())
    history = trainer.fit(batches(), epochs=3)
    assert [each["loss"] for each in history] == losses
    assert same(owned(trainer.model), owned(model))
    assert losses[-1] < losses[0] and not trainer.model.training


def test_jax_agrees_with_numpy():
    results = {}
    backends_here.get("jax")
    for name in ("numpy", "jax"):
        with zk.use_backend(name):
            model = nn.Sequential(
                nn.Linear(6, 8, 3), op.tanh, nn.Linear(8, 3, 4)
            )  # few operators, for JAX compiles each
            trainer = Trainer(model, loss, optim.SGD(0.1), metrics={"right": right})
            results[name] = trainer.fit(Batches(TRAIN, 40, seed=5), TRAIN, epochs=3), owned(trainer.model)
    for here, there in zip(results["numpy"][0], results["jax"][0], strict=True):
        assert here.keys() == there.keys()
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-5)
        assert here["right"] == pytest.approx(there["right"])
        assert here["validation_loss"] == pytest.approx(there["validation_loss"], rel=1e-5)
    for path, array in results["numpy"][1].items():
        np.testing.assert_allclose(array, results["jax"][1][path], atol=1e-5, err_msg=path)


def test_an_array_is_a_batch_of_one_array_and_lists_are_batches():
    targets = [X[:4], X[4:8]]
    trainer = Trainer(nn.Linear(6, 6, 0), lambda model, x: op.mean(op.square(model(x) - x)), optim.SGD(0.1))
    first = trainer.fit([[x] for x in targets])[0]["loss"]
    again = Trainer(nn.Linear(6, 6, 0), trainer.loss_function, optim.SGD(0.1))
    assert again.fit(np.stack(targets).__iter__())[0]["loss"] == first


# ---- what callbacks are told ----


def test_callbacks_are_told_of_everything_in_order():
    told = Told()
    Trainer(net(), loss, optim.SGD(0.1), callbacks=[told]).fit(Batches(TRAIN, 30), epochs=2)
    step = lambda n, samples, batch: [  # noqa: E731
        ("step_start", n - 1, samples), ("gradients", n - 1), ("step_end", n, batch, 2)
    ]  # fmt: skip
    assert told.seen == [
        ("run_start", 0), ("epoch_start", 1, 0), *step(1, 30, 1), *step(2, 10, 2), ("epoch_end", 1, 2),
        ("epoch_start", 2, 0), *step(3, 30, 1), *step(4, 10, 2), ("epoch_end", 2, 4), ("run_end", None),
    ]  # fmt: skip


def test_callbacks_are_told_by_their_order_and_may_add_figures():
    said = []
    hooks = {
        name: lambda run, name=name: said.append((name, run.figures.get("answer"))) for name in ("run_end", "epoch_end")
    }
    late, adds = (
        On(run_start=lambda run: said.append("late"), **hooks),
        On(
            run_start=lambda run: said.append("adds"),
            epoch_end=lambda run: run.figures.update(answer=42),
            run_end=lambda run: run.figures.update(answer=43),
        ),
    )
    late.order = 1
    trainer = Trainer(net(), loss, optim.SGD(0.1), callbacks=[late, adds])
    assert trainer.fit(batches())[0]["answer"] == 43  # the history holds what was added
    assert said == ["adds", "late", ("epoch_end", 42), ("run_end", 43)] and trainer.callbacks == [late, adds]


def test_plain_functions_are_callbacks():
    seen = []
    names = ("run_start", "epoch_start", "step_start", "gradients", "step_end", "epoch_end", "run_end")
    on = On(**{name: lambda run, name=name: seen.append(name) for name in names})
    Trainer(net(), loss, optim.SGD(0.1), callbacks=[on]).fit(Batches(TRAIN, 40))
    assert tuple(seen) == names
    with pytest.raises(TypeError, match="step_end cannot be called"):
        On(step_end=3)
    assert repr(On(epoch_end=right)) == "On(epoch_end=right)"
    with pytest.raises(TypeError, match=r"On\(epoch_end=function\)"):
        Trainer(net(), loss, optim.SGD(0.1), callbacks=[right])


def test_gradients_are_those_before_the_change_and_those_of_the_update():
    norms = []

    def note(run):
        norms.append(float(clip_by_norm(run.gradients, 1.0)[1]))

    def least(grads):
        return clip_by_norm(grads, 1e-3)[0]

    trainer = Trainer(net(), loss, optim.SGD(1.0), change=least, callbacks=[On(gradients=note, step_end=note)])
    before = owned(trainer.model)
    trainer.fit(Batches(TRAIN, 40))
    assert norms[0] > 0.1 and norms[1] == pytest.approx(1e-3, rel=1e-4)
    moved = [owned(trainer.model)[path] - before[path] for path in trainer.model.named_parameters()]
    assert np.sqrt(sum((x**2).sum() for x in moved)) == pytest.approx(1e-3, rel=1e-3)
    wrong = Trainer(net(), loss, optim.SGD(1.0), change=lambda grads: clip_by_norm(grads, 1.0))
    with pytest.raises(TypeError, match="clip_by_norm also gives the norm"):
        wrong.fit(batches())


def test_losses_that_nobody_reads_do_not_pile_up():
    waiting = []
    told = On(step_end=lambda run: waiting.append(len(run._pending)))
    history = Trainer(nn.Linear(6, 3, 0), loss, optim.SGD(0.1), callbacks=[told]).fit([TRAIN] * 200)
    assert len(waiting) == 200 and max(waiting) == 64 and history[0]["loss"] > 0


# ---- validation ----


def test_validation_is_in_evaluation_mode_and_leaves_the_modes_alone():
    modes = []

    def looking(model, x, labels):
        modes.append((model.training, model.layers[3].training))
        return loss(model, x, labels)

    trainer = Trainer(net(), looking, optim.SGD(0.1), callbacks=[On(run_start=lambda run: run.model.layers[3].eval())])
    trainer.fit(Batches(TRAIN, 40), VALIDATION, epochs=2)
    assert modes == [(True, False), (False, False)] * 2


def test_figures_of_the_validation_are_those_of_all_samples():
    arrays = (np.repeat(X, 50, axis=0)[:2100], np.repeat(LABELS, 50)[:2100])  # more than are evaluated at once
    trainer = Trainer(net(), loss, optim.Adam(1e-2), metrics={"right": right})
    figures = trainer.fit(batches(), arrays)[0]
    outputs = trainer.model(arrays[0]).value
    assert figures["right"] == pytest.approx(right(outputs, arrays[1]), abs=1e-12)
    assert figures["validation_loss"] == pytest.approx(float(loss(trainer.model, *arrays).value), rel=1e-5)
    assert trainer.evaluate(arrays) == {"loss": figures["validation_loss"], "right": figures["right"]}
    assert list(figures) == ["epoch", "loss", "validation_loss", "right", "seconds"]
    in_batches = Batches(arrays, 64, seed=1)
    first = trainer.evaluate(in_batches)
    assert first == trainer.evaluate(in_batches) and in_batches.epoch == 0  # the same order every time
    assert first["loss"] == pytest.approx(figures["validation_loss"], rel=1e-5)


def test_metrics_with_a_memory_begin_anew_every_epoch():
    from zkynet.train.metrics import Accuracy, ConfusionMatrix

    trainer = Trainer(net(), loss, optim.Adam(1e-2), metrics={"accuracy": Accuracy()})
    for _ in range(2):
        figures = trainer.fit(batches(), VALIDATION)[-1]
        assert figures["accuracy"] == right(trainer.model(VALIDATION[0]).value, VALIDATION[1])
    with pytest.raises(ValueError, match="'matrix' is no number"):
        Trainer(net(), loss, optim.Adam(1e-2), metrics={"matrix": ConfusionMatrix()})
    with pytest.raises(ValueError, match="cannot be called 'loss'"):
        Trainer(net(), loss, optim.Adam(1e-2), metrics={"loss": right})


def test_nothing_to_evaluate_is_an_error():
    trainer = Trainer(net(), loss, optim.Adam(1e-2))
    with pytest.raises(ValueError, match="no batch to evaluate"):
        trainer.evaluate([])
    with pytest.raises(ValueError, match="no batch to evaluate"):
        trainer.evaluate((X[:0], LABELS[:0]))


# ---- the end ----


@pytest.mark.parametrize("hook", ["run_start", "epoch_start", "step_start", "step_end", "epoch_end"])
def test_stop_ends_the_run(hook):
    told = Told()
    trainer = Trainer(net(), loss, optim.SGD(0.1), callbacks=[told, On(**{hook: lambda run: run.stop("enough")})])
    trainer.fit(batches(), VALIDATION, epochs=3)
    steps = {"run_start": 0, "epoch_start": 0, "step_start": 1, "step_end": 1, "epoch_end": 6}[hook]
    assert (trainer.step, trainer.stopped, told.seen[-1]) == (steps, "enough", ("run_end", "enough"))
    assert len(trainer.history) == (1 if hook == "epoch_end" else 0)


def test_stop_can_end_the_epoch_first():
    def at(step, **how):
        return On(step_end=lambda run: run.stop("enough", **how) if run.step == step else None)

    early = Trainer(net(), loss, optim.SGD(0.1), callbacks=[at(2, finish_epoch=True)])
    history = early.fit(batches(), VALIDATION, epochs=3)
    assert (early.step, early.stopped, len(history)) == (2, "enough", 1) and "validation_loss" in history[0]
    last = Trainer(net(), loss, optim.SGD(0.1), callbacks=[at(6)])  # the last step of the first epoch
    assert len(last.fit(batches(), VALIDATION, epochs=3)) == 1 and last.step == 6


@pytest.mark.parametrize(
    "where", ["loss", "run_start", "epoch_start", "step_start", "gradients", "step_end", "epoch_end"]
)
def test_an_error_ends_the_run_and_is_told(where, tmp_path):
    told, model = Told(), net()

    def fail(run):
        raise ZeroDivisionError(where)

    def failing(model, x, labels):
        if where == "loss":
            fail(None)
        return loss(model, x, labels)

    on = On() if where == "loss" else On(**{where: fail})
    trainer = Trainer(model, failing, optim.Adam(0.1), callbacks=[told, on], folder=tmp_path)
    before = owned(model)
    with pytest.raises(ZeroDivisionError, match=where):
        trainer.fit(batches())
    assert told.seen[-1] == ("run_end", f"ZeroDivisionError: {where}")
    assert trainer.saved == [] and not model.training and trainer.gradients is None
    if where in ("loss", "gradients"):  # before the first update: no weight has moved
        assert same(
            {p: owned(model)[p] for p in model.named_parameters()}, {p: before[p] for p in model.named_parameters()}
        )


def test_every_callback_that_was_started_is_told_of_the_end():
    ends = []
    first = On(run_end=lambda run: ends.append("first") or 1 / 0)
    second = On(run_end=lambda run: ends.append("second"))
    with pytest.raises(ZeroDivisionError):
        Trainer(net(), loss, optim.SGD(0.1), callbacks=[first, second]).fit(batches())
    assert ends == ["first", "second"]

    def fail(run):
        raise KeyError("start")

    never = On(run_start=fail, run_end=lambda run: ends.append("never"))
    with pytest.raises(KeyError) as caught:
        Trainer(net(), loss, optim.SGD(0.1), callbacks=[first, never, second]).fit(batches())
    assert ends == ["first", "second", "first"] and "On.on_run_end: ZeroDivisionError" in caught.value.__notes__[0]


# ---- steps of other kinds ----


def test_compiled_steps_give_the_same_numbers_and_no_gradients(backend):
    results = []
    with zk.use_backend(backend):
        for compiled in (False, True):
            told = On(step_end=lambda run, seen=(seen := []): seen.append(run.gradients is None))
            model = nn.Sequential(nn.Linear(6, 3, 1), op.tanh)
            trainer = Trainer(model, loss, optim.Adam(0.05), compiled=compiled, callbacks=[told])
            history = trainer.fit([tuple(x[:8] for x in TRAIN)] * 3, epochs=2)
            results.append([each["loss"] for each in history])
            assert set(seen) == {compiled}
    assert results[0] == pytest.approx(results[1], rel=1e-5) and results[0][1] < results[0][0]


def test_narrow_numbers_with_a_loss_scale():
    kind = DynamicLossScale(2.0**24, interval=4)
    trainer = Trainer(net(), loss, optim.Adam(1e-2), precision="float16", loss_scale=kind)
    history = trainer.fit(batches(), VALIDATION, epochs=8)
    assert isinstance(trainer.model, MixedPrecision) and kind.value != 2.0**24
    assert history[-1]["loss"] < history[0]["loss"]
    plain = Trainer(net(), loss, optim.Adam(1e-2)).fit(batches())
    scaled = Trainer(net(), loss, optim.Adam(1e-2), loss_scale=LossScale(8.0)).fit(batches())  # a power of two is exact
    assert timeless(plain) == timeless(scaled)


def test_an_optimizer_that_evaluates_the_loss_itself():
    trainer = Trainer(nn.Linear(6, 3, 1), loss, optim.LBFGS())
    history = trainer.fit(Batches(TRAIN, 40), epochs=4)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    with pytest.raises(ValueError, match="LBFGS evaluates the loss itself"):
        Trainer(net(), loss, optim.LBFGS(), change=lambda grads: grads)


def test_frozen_parameters_stay():
    model = net()
    model.freeze("layers.0")
    before = owned(model)
    Trainer(model, loss, optim.Adam(0.1)).fit(batches())
    moved = {path for path, array in owned(model).items() if not np.array_equal(array, before[path])}
    assert "layers.0.weight" not in moved and "layers.4.weight" in moved


# ---- what does not fit ----


class Once:
    """Batches that are used up after one pass."""

    def __init__(self, count):
        self.left = [TRAIN] * count

    def __iter__(self):
        while self.left:
            yield self.left.pop()


@pytest.mark.parametrize(
    ("train", "error", "message"),
    [
        (TRAIN, TypeError, "was given arrays"),
        (X, TypeError, "was given arrays"),
        (None, TypeError, "fit trains on batches"),
        ([], ValueError, "no batch in epoch 1"),
        (Once(2), ValueError, "no batch in epoch 2"),
        ([TRAIN, (X[:0], LABELS[:0])], ValueError, "batch 2 holds no sample"),
        ([()], ValueError, "batch 1 holds no sample"),
        ([3], TypeError, "batch 1 is no batch"),
    ],
    ids=["arrays", "array", "none", "nothing", "once", "empty batch", "empty tuple", "number"],
)
def test_what_is_no_batch_is_refused(train, error, message):
    with pytest.raises(error, match=message):
        Trainer(net(), loss, optim.SGD(0.1)).fit(train, epochs=2)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": 3}, TypeError, "a Module"),
        ({"loss": 3}, TypeError, "a function loss"),
        ({"optimizer": 3}, TypeError, "no optimizer"),
        ({"checkpoint_every": 3}, ValueError, "without a folder"),
        ({"checkpoint_every": 0, "folder": "x"}, ValueError, "checkpoint_every is too small"),
        ({"keep": 0}, ValueError, "keep is too small"),
        ({"keep": "all"}, TypeError, "keep is not an int"),
        ({"metrics": {"x": 3}}, TypeError, "metric"),
        ({"callbacks": Told()}, TypeError, r"Told\(\)\n.*callbacks=\[...\]"),
        ({"callbacks": [Told]}, TypeError, "an instance"),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_settings_that_do_not_fit_are_refused(settings, error, message):
    given = {"model": net(), "loss": loss, "optimizer": optim.SGD(0.1)} | settings
    with pytest.raises(error, match=message):
        Trainer(given.pop("model"), given.pop("loss"), given.pop("optimizer"), **given)


@pytest.mark.parametrize("epochs", [-1, 1.5])
def test_epochs_are_whole_numbers(epochs):
    with pytest.raises((TypeError, ValueError), match="epochs"):
        Trainer(net(), loss, optim.SGD(0.1)).fit(batches(), epochs=epochs)


def test_a_trainer_shows_itself():
    trainer = Trainer(net(), loss, optim.SGD(0.1))
    trainer.fit(batches())
    assert repr(trainer) == "Trainer(Sequential, SGD(lr=0.1), epoch 1, step 6)" and trainer.learning_rate == 0.1
