"""The digit classifier: the same run for a seed, the same losses on every backend, and an accuracy worth having."""

import json
import os
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
from zkynet.train import accuracy, train_epoch
from zkynet.train.curves import svg, ticks
from zkynet.train.digits import MODELS, OPTIMIZERS, SIZES, cross_entropy, load_digits_model, split_digits, train_digits
from zkynet.train.record import Epoch, RunFolder


def first_losses(backend, dtype, optimizer, steps=30, model="fcn"):
    """The losses of the first steps of a run on the digits."""
    with zk.use_backend(backend):
        train, _ = split_digits(dtype)
        model, chosen = (
            models.build(MODELS[model], seed=3, dtype=dtype),
            OPTIMIZERS[optimizer](2e-3 if optimizer == "adam" else 0.05),
        )
        losses = []
        for batch in list(Batches(train, 32, seed=3))[:steps]:
            loss, grads = zk.value_and_grad(cross_entropy)(model, *batch)
            chosen.update(model, grads)
            losses.append(float(loss))
    return np.array(losses)


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
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
        return [(epoch.number, epoch.loss, epoch.accuracy) for epoch in run.epochs]

    assert figures(0) == figures(0) != figures(1)


def test_two_epochs_learn_most_digits_and_report_as_they_go():
    batches, epochs = [], []
    run = train_digits(epochs=2, batch_size=16, on_batch=lambda *seen: batches.append(seen), on_epoch=epochs.append)
    assert run.epochs == epochs and [epoch.number for epoch in epochs] == [1, 2]
    assert run.accuracy == epochs[-1].accuracy > 0.9 and epochs[1].loss < epochs[0].loss < 2.3
    assert [seen[:3] for seen in batches] == [(epoch, done, 90) for epoch in (1, 2) for done in range(1, 91)]
    assert run.accuracy == accuracy(run.model, *split_digits()[1])
    assert run.optimizer.state["step"] == 180 and all(epoch.seconds > 0 for epoch in epochs)


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
    run = train_digits(model=model, epochs=2, batch_size=64, out=tmp_path, on_batch=lambda *seen: steps.append(seen))
    assert run.epochs[1].loss < run.epochs[0].loss < 2.6 and not run.model.training  # chance is log(10) = 2.3
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
    assert run.epochs[-1].loss == pytest.approx(same.epochs[-1].loss, rel=1e-3)
    assert zk.cg.Module.named_parameters(run.model)["layers.0.weight"].value.__class__.__module__.startswith("jax")


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"optimizer": "newton"}, "one of adam, sgd"),
        ({"model": "rnn"}, "model must be one of fcn, cnn, transformer, got 'rnn'"),
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
def test_a_run_leaves_log_curves_and_weights(tmp_path, model):
    folder = tmp_path / "deep" / "run"
    run = train_digits(model=model, epochs=2, batch_size=64, seed=4, out=folder)
    first, *epochs = lines(folder)
    assert first["model"] == model and first["seed"] == 4 and first["backend"] == "numpy" and first["batch_size"] == 64
    assert first["zkynet"] == zk.__version__ and first["numpy"] == np.__version__ and "lr=0.002" in first["optimizer"]
    assert [(line["epoch"], line["loss"], line["accuracy"]) for line in epochs] == [
        (epoch.number, epoch.loss, epoch.accuracy) for epoch in run.epochs
    ]
    assert {"curves.svg", "log.jsonl", "model.safetensors"} <= set(os.listdir(folder))
    again = load_digits_model(folder)
    images, labels = split_digits()[1]
    assert np.array_equal(again(images).value, run.model(images).value) and repr(again) == repr(run.model)
    assert accuracy(again, images, labels) == run.accuracy


def test_saving_changes_no_number_of_a_run(tmp_path):
    plain, kept = train_digits(epochs=1), train_digits(epochs=1, out=str(tmp_path))
    assert (plain.epochs[0].loss, plain.accuracy) == (kept.epochs[0].loss, kept.accuracy)


def test_the_weights_of_one_backend_are_read_on_another(tmp_path, backend):
    run = train_digits(epochs=1, batch_size=360, out=tmp_path)
    images = split_digits()[1][0][:7]
    with zk.use_backend(backend):
        logits = load_digits_model(tmp_path)(images).value
    assert backend.owns(logits) and np.allclose(backend.to_numpy(logits), run.model(images).value, rtol=1e-4, atol=1e-5)


def test_an_interrupt_keeps_what_there_is(tmp_path):
    seen = []

    def stop(epoch, done, of, loss):
        seen.append(loss)
        if (epoch, done) == (2, 3):
            raise KeyboardInterrupt

    folder = RunFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_digits(epochs=5, out=folder, on_batch=stop)
    assert set(folder.written) >= {"curves.svg", "log.jsonl", "model.safetensors"}
    assert [set(line) & {"epoch", "interrupted"} for line in lines(tmp_path)[1:]] == [{"epoch"}, {"interrupted"}]
    assert lines(tmp_path)[-1] == {"interrupted": {"epoch": 2, "batches": 3}}
    expected = replay(steps=45 + 3)
    for name, p in load_digits_model(tmp_path).named_parameters().items():
        assert np.array_equal(p.value, expected.named_parameters()[name].value)


def replay(steps):
    """The default run after so many steps."""
    model, optimizer = fcn(SIZES, seed=0), OPTIMIZERS["adam"](2e-3)
    batches = Batches(split_digits()[0], 32, seed=0)
    for batch in [batch for _ in range(2) for batch in batches][:steps]:
        optimizer.update(model, zk.grad(cross_entropy)(model, *batch))
    return model


def test_without_an_epoch_there_are_no_curves_not_even_older_ones(tmp_path):
    train_digits(epochs=1, batch_size=360, out=tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_digits(out=tmp_path, on_batch=stop)
    assert sorted(os.listdir(tmp_path)) == ["log.jsonl", "model.safetensors"]


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
    assert "model.safetensors" in done.stderr and "log.jsonl" in done.stderr and done.stderr.count("\n") == 2
    assert done.stdout.splitlines()[-1].startswith("epoch  1/20")
    assert lines(tmp_path / "run")[-1] == {"interrupted": {"epoch": 2, "batches": 3}}
    expected = replay(steps=48).named_parameters()
    for name, p in load_digits_model(tmp_path / "run").named_parameters().items():
        assert np.array_equal(p.value, expected[name].value)


@pytest.mark.skipif(os.name != "posix", reason="no signal can be sent to a process on Windows")
def test_a_signal_from_outside_stops_a_run(tmp_path):
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import zkynet.cli as c, sys;"
    code += f"sys.exit(c.main(['train', 'digits', '--epochs', '100000', '--out', {str(tmp_path)!r}]))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while not run.stdout.readline().startswith("epoch"):
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=300)
    assert run.returncode == 130 and "interrupted; saved" in said and load_digits_model(tmp_path)


def epochs_of(losses):
    return [Epoch(i, loss, 0.9 + i / 1000, 0.1) for i, loss in enumerate(losses, start=1)]


@pytest.mark.parametrize("losses", [[2.0, 1.0, 0.5], [1.0], [0.5, 0.5], [float("nan"), 1.0, float("inf"), 2.0]])
def test_the_curves_are_a_picture_with_a_dot_per_number(losses):
    root = ElementTree.fromstring(svg(epochs_of(losses)))
    dots = [each for each in root if each.tag.endswith("circle")]
    assert len(dots) == int(np.isfinite(losses).sum()) + len(losses)
    for dot in dots:
        assert 0 < float(dot.get("cx")) < 760 and 0 < float(dot.get("cy")) < 300
    heights = [float(dot.get("cy")) for dot in dots[: int(np.isfinite(losses).sum())]]
    finite = [x for x in losses if np.isfinite(x)]
    assert np.array_equal(np.argsort(heights, stable=True), np.argsort(np.negative(finite), stable=True))


@pytest.mark.parametrize("low, high", [(0, 1), (0.91, 0.99), (3, 3), (1e-6, 2.3), (-5, 1e5)])
def test_ticks_enclose_with_round_steps(low, high):
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high and 2 <= len(found) <= 8
    assert np.allclose(np.diff(found), found[1] - found[0]) and f"{found[1] - found[0]:.0e}"[0] in "125"


def test_curves_as_png_where_matplotlib_is(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib draws the PNG")
    folder = RunFolder(tmp_path)
    folder.finish(fcn((2, 2)), {}, epochs_of([1.0, 0.5]))
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG") and "curves.png" in folder.written


def test_without_matplotlib_there_is_no_png(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    folder = RunFolder(tmp_path)
    folder.finish(fcn((2, 2)), {}, epochs_of([1.0, 0.5]))
    assert sorted(folder.written) == ["curves.svg", "model.safetensors"]


def test_a_loss_that_is_not_finite_is_null_in_the_log(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({})
    folder.epoch(Epoch(1, float("nan"), 0.1, 0.5))
    assert lines(tmp_path) == [{}, {"epoch": 1, "loss": None, "accuracy": 0.1, "seconds": 0.5}]


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
        (saved_with({"zkynet": "{}"}), "none of the digits"),
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
