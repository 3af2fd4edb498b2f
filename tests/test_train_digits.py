"""The digit classifier: the same run for a seed, the same losses on every backend, and an accuracy worth having."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import io, models, nn
from zkynet.data import Batches, load_digits
from zkynet.framework import op
from zkynet.models import fcn
from zkynet.train import Interrupted, On, accuracy, train_epoch
from zkynet.train.curves import panels, png, svg, ticks
from zkynet.train.digits import MODELS, SIZES, cross_entropy, load_digits_model, split_digits, train_digits
from zkynet.train.record import RunFolder
from zkynet.train.tasks.common import LEARNING_RATES, optimizer_of


def first_losses(backend, dtype, optimizer, steps=30, model="mlp"):
    """The losses of the first steps of a run on the digits."""
    with zk.use_backend(backend):
        train, _ = split_digits(dtype)
        model, chosen = (
            models.build(MODELS[model], seed=3, dtype=dtype),
            optimizer_of(optimizer, LEARNING_RATES[optimizer]),
        )
        losses = []
        for batch in list(Batches(train, 32, seed=3))[:steps]:
            loss, grads = zk.value_and_grad(cross_entropy)(model, *batch)
            chosen.update(model, grads)
            losses.append(float(loss))
    return np.array(losses)


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_every_backend_has_the_same_losses(optimizer, dtype, rtol, backend_name):
    if backend_name == "numpy":
        pytest.skip("the others are compared with it")
    steps = 30 if backend_name == "jax" else 5
    expected = first_losses("numpy", dtype, optimizer, steps)
    assert np.allclose(first_losses(backend_name, dtype, optimizer, steps), expected, rtol=rtol, atol=0)
    assert expected[-1] < expected[0]


def test_the_convolutional_network_has_the_same_losses_on_every_backend(backend_name):
    if backend_name == "numpy":
        pytest.skip("the others are compared with it")
    steps = 10 if backend_name == "jax" else 2
    expected = first_losses("numpy", "float32", "adam", steps, "cnn")
    assert np.allclose(first_losses(backend_name, "float32", "adam", steps, "cnn"), expected, rtol=1e-4, atol=0)


def test_the_test_digits_are_a_fixed_stratified_fifth():
    (images, labels), (test_images, test_labels) = split_digits()
    assert images.shape == (1438, 64) and test_images.shape == (359, 64) and images.dtype == "float32"
    for digit in range(10):
        share = np.mean(test_labels == digit) - np.mean(labels == digit)
        assert abs(share) < 0.005
    everything = np.concatenate([images, test_images])
    assert np.array_equal(np.sort(everything, axis=0), np.sort(load_digits()[0], axis=0))
    assert np.array_equal(test_images[:5], split_digits()[1][0][:5])


def test_a_seed_decides_the_run():
    def figures(seed):
        run = train_digits(epochs=2, seed=seed)
        return [{name: value for name, value in each.items() if name != "seconds"} for each in run.history]

    assert figures(0) == figures(0) != figures(1)


def test_two_epochs_learn_most_digits_and_report_as_they_go():
    batches, epochs = [], []
    watch = On(
        step_end=lambda run: batches.append((run.epoch, run.batch, run.batches)),
        epoch_end=lambda run: epochs.append(run.figures),
    )
    run = train_digits(epochs=2, batch_size=16, callbacks=[watch])
    assert run.history == epochs and [each["epoch"] for each in epochs] == [1, 2]
    assert run.accuracy == epochs[-1]["accuracy"] > 0.9 and epochs[1]["loss"] < epochs[0]["loss"] < 2.3
    assert batches == [(epoch, done, 90) for epoch in (1, 2) for done in range(1, 91)]
    assert run.accuracy == accuracy(run.model, *split_digits()[1])
    assert run.optimizer.state["step"] == 180 and all(each["seconds"] > 0 for each in epochs)


def test_sgd_learns_too():
    assert train_digits(epochs=3, optimizer="sgd").accuracy > 0.9


@pytest.mark.slow
def test_the_median_of_five_seeds_is_above_97_percent():
    assert statistics.median(train_digits(seed=seed).accuracy for seed in range(5)) >= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("model, least", [("cnn", 0.985), ("transformer", 0.97)])  # a digit of the test set is 0.003
def test_the_medians_of_the_larger_networks(model, least):
    assert statistics.median(train_digits(model=model, seed=seed).accuracy for seed in range(5)) >= least


@pytest.mark.parametrize("model", ["cnn", "transformer"])
def test_the_larger_networks_learn_with_a_rate_that_falls_to_zero_and_end_without_dropout(model, tmp_path):
    steps = []
    watch = On(step_end=lambda run: steps.append(run.step))
    run = train_digits(model=model, epochs=2, batch_size=64, out=tmp_path, callbacks=[watch])
    first, second = (each["loss"] for each in run.history)
    assert second < first < 2.6 and not run.model.training  # chance is log(10) = 2.3
    schedule = run.optimizer.schedule
    assert schedule(0) < schedule(4) > schedule(40) if model == "transformer" else schedule(0) > schedule(4)
    assert schedule(len(steps)) < 1e-9 and np.isclose(run.optimizer.lr, 0, atol=1e-9)
    again = load_digits_model(tmp_path)
    assert not again.training and accuracy(again, *split_digits()[1]) == run.accuracy


@pytest.mark.slow
def test_jax_trains_the_same_classifier():
    backends_here.get("jax")
    run, same = train_digits(epochs=2, backend="jax"), train_digits(epochs=2)
    assert run.accuracy == pytest.approx(same.accuracy, abs=0.01)
    assert run.history[-1]["loss"] == pytest.approx(same.history[-1]["loss"], rel=1e-3)
    assert zk.cg.Module.named_parameters(run.model)["layers.0.weight"].value.__class__.__module__.startswith("jax")


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"epochs": 0}, "epochs: expected a whole number of at least 1, got 0"),
        ({"optimizer": "newton"}, "optimizer: expected adam or sgd"),
        ({"model": "rnn"}, "model: expected mlp, cnn or transformer, got 'rnn'"),
        ({"lr": -1}, "lr"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(ValueError, match=words):
        train_digits(**{"epochs": 1, **settings})


# ---- what a run leaves behind ----


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("model", MODELS)
def test_a_run_leaves_settings_log_curves_checkpoints_and_weights(tmp_path, model):
    folder = tmp_path / "deep" / "run"
    run = train_digits(model=model, epochs=2, batch_size=64, seed=4, out=folder)
    first, *epochs = lines(folder)
    assert first["model"] == model and first["seed"] == 4 and first["backend"] == "numpy" and first["batch_size"] == 64
    assert first["zkynet"] == zk.__version__ and first["numpy"] == np.__version__ and "lr=0.002" in first["optimizer"]
    assert epochs == run.history
    assert {"checkpoints", "config.toml", "curves.svg", "log.jsonl", "model.safetensors"} <= set(os.listdir(folder))
    again = load_digits_model(folder)
    images, labels = split_digits()[1]
    assert np.array_equal(again(images).value, run.model(images).value) and repr(again) == repr(run.model)
    assert accuracy(again, images, labels) == run.accuracy


def test_saving_changes_no_number_of_a_run(tmp_path):
    plain, kept = train_digits(epochs=1), train_digits(epochs=1, out=str(tmp_path))
    assert (plain.history[0]["loss"], plain.accuracy) == (kept.history[0]["loss"], kept.accuracy)


def test_the_weights_of_one_backend_are_read_on_another(tmp_path, backend):
    run = train_digits(epochs=1, batch_size=360, out=tmp_path)
    images = split_digits()[1][0][:7]
    with zk.use_backend(backend):
        logits = load_digits_model(tmp_path)(images).value
    assert backend.owns(logits) and np.allclose(backend.to_numpy(logits), run.model(images).value, rtol=1e-4, atol=1e-5)


def replay(steps):
    """The default run after so many steps."""
    model, optimizer = fcn(SIZES, seed=0), optimizer_of("adam", 2e-3)
    batches = Batches(split_digits()[0], 32, seed=0)
    for batch in [batch for _ in range(2) for batch in batches][:steps]:
        optimizer.update(model, zk.grad(cross_entropy)(model, *batch))
    return model


def interrupting(epoch, batch):
    """A callback that sends this process a Ctrl-C in the middle of a step."""

    def send(run):
        if (run.epoch, run.batch) == (epoch, batch - 1):
            signal.raise_signal(signal.SIGINT)

    return On(step_start=send)


@pytest.fixture
def usual_interrupts():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_keeps_what_there_is_and_the_run_goes_on(tmp_path, usual_interrupts):
    with pytest.raises(Interrupted) as stop:
        train_digits(epochs=3, out=tmp_path, callbacks=[interrupting(2, 3)])
    assert stop.value.exit_code == 130
    assert {"curves.svg", "log.jsonl", "model.safetensors", "config.toml"} <= set(os.listdir(tmp_path))
    assert [set(line) & {"loss", "stopped"} for line in lines(tmp_path)[1:]] == [{"loss"}, {"stopped"}]
    expected = replay(steps=45 + 3)
    for name, p in load_digits_model(tmp_path).named_parameters().items():
        assert np.array_equal(p.value, expected.named_parameters()[name].value)
    gone_on, whole = train_digits(epochs=3, out=tmp_path, resume=True), train_digits(epochs=3)
    for name, p in gone_on.model.named_parameters().items():
        assert np.array_equal(p.value, whole.model.named_parameters()[name].value)
    assert [each["loss"] for each in gone_on.history] == [each["loss"] for each in whole.history]
    assert [line["loss"] for line in lines(tmp_path)[1:]] == [each["loss"] for each in whole.history]


def test_without_an_epoch_there_are_no_curves_not_even_older_ones(tmp_path, usual_interrupts):
    train_digits(epochs=1, batch_size=360, out=tmp_path)
    with pytest.raises(Interrupted):
        train_digits(out=tmp_path, callbacks=[interrupting(1, 2)])
    assert sorted(os.listdir(tmp_path)) == ["checkpoints", "config.toml", "log.jsonl", "model.safetensors"]


# Sends itself the signal in the middle of the 48th update, the third of the second epoch.
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from zkynet.cli import main
from zkynet.optim import Adam
numbers = Adam.numbers
def interrupted(self, t, lr):
    if t == 48:
        os.kill(os.getpid(), signal.SIGINT)
    return numbers(self, t, lr)
Adam.numbers = interrupted
sys.exit(main(["train", "digits", "--out", sys.argv[1]]))
"""


@pytest.mark.skipif(os.name != "posix", reason="os.kill sends no interrupt on Windows")
def test_ctrl_c_saves_and_says_so(tmp_path):
    command = [sys.executable, "-W", "error", "-c", INTERRUPTED, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith(f"\nzkynet: interrupted; saved what there is so far in {tmp_path / 'run'}: ")
    assert done.stderr.endswith(f"\nzkynet: to go on: zkynet train digits --resume {tmp_path / 'run'}\n")
    assert "model.safetensors" in done.stderr and "log.jsonl" in done.stderr and done.stderr.count("\n") == 3
    assert re.match("epoch +1/", done.stdout.splitlines()[-1])
    expected = replay(steps=48).named_parameters()
    for name, p in load_digits_model(tmp_path / "run").named_parameters().items():
        assert np.array_equal(p.value, expected[name].value)


@pytest.mark.skipif(os.name != "posix", reason="no signal can be sent to a process on Windows")
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_from_outside_stops_a_run(tmp_path, number, status):
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import zkynet.cli as c, sys;"
    code += f"sys.exit(c.main(['train', 'digits', '--epochs', '100000', '--out', {str(tmp_path)!r}]))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while not run.stdout.readline().startswith("epoch"):
            assert run.poll() is None
        run.send_signal(number)
        _, said = run.communicate(timeout=300)
    assert run.returncode == status and "interrupted; saved" in said and "--resume" in said
    assert load_digits_model(tmp_path)


# ---- curves ----


def history_of(losses):
    return [{"epoch": i, "loss": loss, "accuracy": 0.9 + i / 1000, "seconds": 0.1} for i, loss in enumerate(losses, 1)]


@pytest.mark.parametrize("losses", [[2.0, 1.0, 0.5], [1.0], [0.5, 0.5], [float("nan"), 1.0, float("inf"), 2.0]])
def test_the_curves_are_a_picture_with_a_dot_per_number(losses):
    root = ElementTree.fromstring(svg(history_of(losses)))
    dots = [each for each in root if each.tag.endswith("circle")]
    assert len(dots) == int(np.isfinite(losses).sum()) + len(losses)
    for dot in dots:
        assert 0 < float(dot.get("cx")) < 760 and 0 < float(dot.get("cy")) < 300
    heights = [float(dot.get("cy")) for dot in dots[: int(np.isfinite(losses).sum())]]
    finite = [x for x in losses if np.isfinite(x)]
    assert np.array_equal(np.argsort(heights, stable=True), np.argsort(np.negative(finite), stable=True))


def test_a_figure_and_its_validation_share_a_plot():
    history = [{"epoch": 1, "loss": 1.0, "validation_loss": 2.0, "accuracy": 0.5, "text": "no", "seconds": 1.0}]
    history += [{"epoch": 2, "loss": 0.5, "validation_loss": 1.5, "seconds": 1.0}]
    found = panels(history, {"loss": "train loss"})
    assert [[title for title, *_ in each.curves] for each in found] == [["train loss", "validation loss"], ["accuracy"]]
    (_, colour, values), (_, other, beside) = found[0].curves
    assert values == [1.0, 0.5] and beside == [2.0, 1.5] and colour != other
    assert found[1].curves[0][2][0] == 0.5 and np.isnan(found[1].curves[0][2][1])
    picture = svg(history, {"loss": "train loss"}).decode()
    assert "train loss" in picture and "validation loss" in picture and "text" not in picture.split("<title>")[1][:30]
    assert ElementTree.fromstring(picture) is not None


@pytest.mark.parametrize("low, high", [(0, 1), (0.91, 0.99), (3, 3), (1e-6, 2.3), (-5, 1e5)])
def test_ticks_enclose_with_round_steps(low, high):
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high and 2 <= len(found) <= 8
    assert np.allclose(np.diff(found), found[1] - found[0]) and f"{found[1] - found[0]:.0e}"[0] in "125"


def test_curves_as_png_where_matplotlib_is(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib draws the PNG")
    RunFolder(tmp_path).finish(fcn((2, 2)), {}, history_of([1.0, 0.5]))
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_no_png(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert png(history_of([1.0])) is None
    RunFolder(tmp_path).finish(fcn((2, 2)), {}, history_of([1.0, 0.5]))
    assert sorted(os.listdir(tmp_path)) == ["curves.svg", "model.safetensors"]


# ---- reading a run back ----


def saved_with(metadata):
    def save(path):
        io.save_weights(path / "model.safetensors", fcn((64, 2)), metadata)

    return save


@pytest.mark.parametrize(
    "save, words",
    [
        (lambda path: (path / "model.safetensors").write_bytes(b"x"), "no safetensors file"),
        (saved_with({}), "zkynet did not write it"),
        (saved_with({"zkynet": "{"}), "no JSON"),
        (saved_with({"zkynet": "[]"}), "by list"),
        (saved_with({"zkynet": "{}"}), "no task that this version knows"),
        (saved_with({"zkynet": '{"format": 3}'}), "later version of zkynet"),
    ],
)
def test_a_folder_without_a_model_of_the_digits(tmp_path, save, words):
    save(tmp_path)
    with pytest.raises(io.FileFormatError, match=words):
        load_digits_model(tmp_path)


def redescribed(folder, change):
    """The saved model with another description."""
    path = folder / "model.safetensors"
    description = json.loads(io.load_metadata(path)["zkynet"])
    change(description)
    io.save_safetensors(path, io.load_safetensors(path), {"zkynet": json.dumps(description)})


def test_a_run_of_an_earlier_version_is_read(tmp_path):
    run = train_digits(epochs=1, batch_size=1438, out=tmp_path)
    redescribed(tmp_path, lambda description: [description.pop(name) for name in ("task", "format", "dtype")])
    (tmp_path / "config.toml").unlink()
    images = split_digits()[1][0]
    assert np.array_equal(load_digits_model(tmp_path)(images).value, run.model(images).value)


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda d: d["input"].update(divided_by=255), io.FileFormatError, "none of the digits"),
        (lambda d: d.pop("model"), io.FileFormatError, "describes its model wrongly"),
        (lambda d: d.update(model=3), io.FileFormatError, "describes its model wrongly"),
        (lambda d: d["model"].update(name="os.system"), io.FileFormatError, "describes no model"),
        (lambda d: d["model"]["settings"].update(sizes="ab"), io.FileFormatError, "describes its model wrongly"),
        (lambda d: d["model"]["settings"].update(sizes=[64, 10]), io.WeightsMismatchError, "unknown"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path, change, error, words):
    train_digits(epochs=1, batch_size=1438, out=tmp_path)
    redescribed(tmp_path, change)
    with pytest.raises(error, match=words):
        load_digits_model(tmp_path)


# ---- the loop itself ----


def test_the_loss_of_an_epoch_is_the_mean_over_samples():
    model = nn.Linear(np.zeros((1, 1)))
    x, y = np.ones((5, 1)), np.array([[1.0], [1.0], [1.0], [1.0], [6.0]])
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]

    def loss(model, x, y):
        return op.mean(op.square(model(x) - y))

    seen = []
    mean = train_epoch(model, zk.optim.SGD(1e-9), loss, batches, lambda *args: seen.append(args))
    assert mean == pytest.approx((4 * 1 + 36) / 5) and seen == [(1, 1.0), (2, pytest.approx(36))]


def test_an_epoch_without_a_batch_is_an_error():
    with pytest.raises(ValueError, match="no batch"):
        train_epoch(nn.Linear(1, 1, 0), zk.optim.SGD(0.1), cross_entropy, [])


def test_accuracy_counts_the_largest_logits(backend):
    model = nn.Sequential(nn.Linear(np.eye(3)))
    logits = np.array([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0], [0.0, 2.0, 3.0], [0.0, 2.0, 1.0]])
    assert accuracy(model.to(backend), logits, np.array([1, 0, 2, 2])) == 0.75
