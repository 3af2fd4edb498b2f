"""The digit classifier: a feed-forward network on the 1,797 handwritten digits that ship with zkynet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zkynet import backends, optim
from zkynet.data import Batches, load_digits, stratified_split
from zkynet.framework import op
from zkynet.framework.computation_graph import Module
from zkynet.models import fcn
from zkynet.train.loop import accuracy, train_epoch

SIZES = (64, 128, 64, 10)
TEST_FRACTION = 0.2
SPLIT_SEED = 0  # the same test digits in every run, whatever its seed
OPTIMIZERS: dict[str, Callable[[float], optim.Optimizer]] = {
    "adam": lambda lr: optim.Adam(lr),
    "sgd": lambda lr: optim.SGD(lr, momentum=0.9),
}
LEARNING_RATES = {"adam": 2e-3, "sgd": 0.05}


@dataclass
class Epoch:
    """What one epoch gave: its number from 1, the mean training loss, the test accuracy after it, and its seconds."""

    number: int
    loss: float
    accuracy: float
    seconds: float


@dataclass
class DigitsRun:
    """A training run on the digits: the trained model, its optimizer, and what every epoch gave."""

    model: Module
    optimizer: optim.Optimizer
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """The share of the test digits that the model names right, after the last epoch."""
        return self.epochs[-1].accuracy


def cross_entropy(model: Module, images: Any, labels: Any) -> Any:
    """Return the mean cross-entropy of the model's logits: the loss of every classifier here."""
    return op.softmax_cross_entropy(model(images), labels)


def split_digits(dtype: Any = "float32") -> tuple[tuple, tuple]:
    """Return ``(images, labels)`` to train on, 1,438 digits, and to test on, 359: a fixed stratified fifth."""
    images, labels = load_digits(dtype)
    train, test = stratified_split(labels, TEST_FRACTION, SPLIT_SEED)
    return (images[train], labels[train]), (images[test], labels[test])


def train_digits(
    *,
    backend: Any = None,
    epochs: int = 20,
    batch_size: int = 32,
    lr: float | None = None,
    seed: int = 0,
    optimizer: str = "adam",
    on_batch: Callable[[int, int, int, float], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> DigitsRun:
    """Train the network 64-128-64-10 on the digits and return the run.

    ``backend``: a name or a Backend, the default backend for None. ``lr``: 0.002 for ``optimizer`` "adam", 0.05 for
    "sgd" (momentum 0.9) unless given. ``seed`` decides the first weights and the order of the samples, not the test
    digits. ``on_batch(epoch, done, of, loss)`` and ``on_epoch(epoch)`` are called as the run goes on. ValueError for
    settings out of range, BackendNotAvailable for a backend that cannot be used here.
    """
    if epochs < 1:
        raise ValueError(f"train_digits: epochs must be at least 1, got {epochs}")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"train_digits: optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    with backends.use_backend(backends.default_backend() if backend is None else backend):
        run = DigitsRun(fcn(SIZES, seed=seed), OPTIMIZERS[optimizer](LEARNING_RATES[optimizer] if lr is None else lr))
        train, test = split_digits()
        batches = Batches(train, batch_size, seed=seed)
        for number in range(1, epochs + 1):
            start = time.perf_counter()
            watch = None if on_batch is None else _watch(on_batch, number, len(batches))
            loss = train_epoch(run.model, run.optimizer, cross_entropy, batches, watch)
            run.epochs.append(Epoch(number, loss, accuracy(run.model, *test), time.perf_counter() - start))
            if on_epoch is not None:
                on_epoch(run.epochs[-1])
    return run


def _watch(on_batch: Callable, number: int, of: int) -> Callable[[int, float], None]:
    return lambda done, loss: on_batch(number, done, of, loss)
