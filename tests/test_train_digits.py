"""The digit classifier: the same run for a seed, the same losses on every backend, and an accuracy worth having."""

import statistics

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import nn
from zkynet.data import Batches, load_digits
from zkynet.framework import op
from zkynet.models import fcn
from zkynet.train import accuracy, train_epoch
from zkynet.train.digits import OPTIMIZERS, SIZES, cross_entropy, split_digits, train_digits


def first_losses(backend, dtype, optimizer, steps=30):
    """The losses of the first steps of a run on the digits."""
    with zk.use_backend(backend):
        train, _ = split_digits(dtype)
        model, chosen = fcn(SIZES, seed=3, dtype=dtype), OPTIMIZERS[optimizer](2e-3 if optimizer == "adam" else 0.05)
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
        ({"lr": -1}, "lr"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(ValueError, match=words):
        train_digits(**{"epochs": 1, **settings})


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
