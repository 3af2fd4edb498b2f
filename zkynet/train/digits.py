"""The digit classifier: a network on the 1,797 handwritten digits that ship with zkynet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zkynet import backends, io, models, optim
from zkynet.data import Batches, Shift, load_digits, stratified_split
from zkynet.framework import op
from zkynet.framework.computation_graph import Module
from zkynet.train.loop import accuracy, train_epoch
from zkynet.train.record import WEIGHTS, Epoch, RunFolder, read_description

SIZES = (64, 128, 64, 10)
MODELS: dict[str, dict[str, Any]] = {  # as zkynet.models.build reads them
    "fcn": {"name": "fcn", "settings": {"sizes": list(SIZES)}},
    "cnn": {
        "name": "cnn",
        "settings": {
            "picture": [1, 8, 8],
            "convolutions": [[32, 1, 1], [32, 1, 0], [64, 2, 1]],
            "hidden": 128,
            "classes": 10,
            "dropout": 0.5,
        },
    },
    "transformer": {
        "name": "transformer",
        "settings": {"length": 8, "inputs": 8, "classes": 10, "size": 32, "heads": 4, "layers": 2, "dropout": 0.1},
    },
}
INPUT = {"shape": [64], "least": 0, "most": 16, "divided_by": 16}  # counts of dark points, as the model sees them
TEST_FRACTION = 0.2
SPLIT_SEED = 0  # the same test digits in every run, whatever its seed
OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {  # by a learning rate or a schedule
    "adam": lambda lr: optim.Adam(lr),
    "sgd": lambda lr: optim.SGD(lr, momentum=0.9),
}
LEARNING_RATES = {"adam": 2e-3, "sgd": 0.05}
WARM_UP = {"cnn": 0.0, "transformer": 0.1}  # share of the steps in which the rate rises; it falls along half a cosine


@dataclass
class DigitsRun:
    """A training run on the digits: the trained model, its optimizer, and what every epoch gave."""

    model: Module
    optimizer: optim.Optimizer
    epochs: list[Epoch] = field(default_factory=list)
    batches: int = 0  # done in the epoch that is running

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
    model: str = "fcn",
    backend: Any = None,
    epochs: int = 20,
    batch_size: int = 32,
    lr: float | None = None,
    seed: int = 0,
    optimizer: str = "adam",
    out: RunFolder | str | os.PathLike | None = None,
    on_batch: Callable[[int, int, int, float], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> DigitsRun:
    """Train a network on the digits and return the run.

    ``model``: "fcn", the feed-forward network 64-128-64-10, "cnn", with three convolutions, on digits shifted at random
    by up to a pixel, or "transformer", which reads the 8 rows of a digit as a sequence. ``backend``: a name or a
    Backend, the default backend for None. ``lr``: 0.002 for ``optimizer`` "adam", 0.05 for "sgd" (momentum 0.9) unless
    given; for "cnn" and "transformer" the largest one: it falls to 0 along half a cosine, the transformer's after a
    warm-up of 100 steps. ``seed`` decides the first weights and the order of the samples, not the test digits. ``out``:
    a folder for the log, the curves and the weights (see RunFolder); a KeyboardInterrupt leaves there what there is so
    far, and goes on. ``on_batch(epoch, done, of, loss)`` and ``on_epoch(epoch)`` are called as the run goes on.
    ValueError for settings out of range, BackendNotAvailable for a backend that cannot be used here, OSError where
    ``out`` cannot be written to.
    """
    if epochs < 1:
        raise ValueError(f"train_digits: epochs must be at least 1, got {epochs}")
    _check_choice("optimizer", optimizer, OPTIMIZERS)
    _check_choice("model", model, MODELS)
    with backends.use_backend(backends.default_backend() if backend is None else backend) as xp:
        train, test = split_digits()
        batches = Batches(train, batch_size, seed=seed, transform=_shifted if model == "cnn" else None)
        largest = LEARNING_RATES[optimizer] if lr is None else lr
        chosen = OPTIMIZERS[optimizer](_rate(model, largest, epochs * len(batches)))
        run = DigitsRun(models.build(MODELS[model], seed=seed), chosen)
        folder = RunFolder(out) if isinstance(out, (str, os.PathLike)) else out
        if folder is None:
            _train(run, batches, test, epochs, on_batch, [on_epoch])
            return run
        folder.begin({"model": model, "epochs": epochs, "batch_size": batch_size, "seed": seed} | _facts(xp, chosen))
        try:
            _train(run, batches, test, epochs, on_batch, [folder.epoch, on_epoch])
        except KeyboardInterrupt:
            folder.interrupted(len(run.epochs) + 1, run.batches)
            folder.finish(run.model, _description(model, run), run.epochs)
            raise
        folder.finish(run.model, _description(model, run), run.epochs)
    return run


def _check_choice(name: str, value: str, choices: Mapping[str, Any]) -> None:
    if value not in choices:
        raise ValueError(f"train_digits: {name} must be one of {', '.join(choices)}, got {value!r}")


def _shifted(batch: Any, generator: Any) -> tuple:
    """The batch with each digit moved by up to one pixel along each axis."""
    images, labels = batch
    moved = Shift(1)(images.reshape(-1, 8, 8), generator)
    return moved.reshape(images.shape), labels


def _rate(model: str, lr: float, steps: int) -> Any:
    """The learning rate of a run of so many steps: a number, or a schedule where the model has one."""
    if model not in WARM_UP:
        return lr
    optim.SGD(lr)  # checks the number
    return optim.schedules.WarmUp(optim.schedules.Cosine(lr, steps), max(1, round(WARM_UP[model] * steps)))


def _train(
    run: DigitsRun, batches: Batches, test: tuple, epochs: int, on_batch: Callable | None, on_epoch: list[Any]
) -> None:
    def watch(done: int, loss: float) -> None:
        run.batches = done
        if on_batch is not None:
            on_batch(len(run.epochs) + 1, done, len(batches), loss)

    for number in range(1, epochs + 1):
        start = time.perf_counter()
        loss = train_epoch(run.model.train(), run.optimizer, cross_entropy, batches, watch)
        run.model.eval()
        run.epochs.append(Epoch(number, loss, accuracy(run.model, *test), time.perf_counter() - start))
        run.batches = 0
        for tell in on_epoch:
            if tell is not None:
                tell(run.epochs[-1])


def _facts(xp: Any, optimizer: optim.Optimizer) -> dict[str, Any]:
    """What the log says about a run beside its settings: the optimizer, the machine's side, and when it began."""
    import datetime
    import platform

    import numpy

    from zkynet import __version__

    return {
        "run": "digits",
        "optimizer": repr(optimizer),
        "backend": xp.name,
        "zkynet": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _description(model: str, run: DigitsRun) -> dict[str, Any]:
    """What it takes to use the weights: the model, its inputs and its answers."""
    trained = {"epochs": len(run.epochs), "test_accuracy": run.accuracy if run.epochs else None}
    return {"data": "digits", "model": MODELS[model], "input": INPUT, "labels": list(range(10)), "trained": trained}


def load_digits_model(folder: str | os.PathLike) -> Module:
    """Return the classifier that a run left in ``folder``, on the default backend: from (N, 64), 0 to 1, to logits.

    OSError where there is no readable ``model.safetensors``; FileFormatError and WeightsMismatchError, ValueErrors,
    where it is damaged or holds something else.
    """
    description, path = read_description(folder), Path(folder) / WEIGHTS
    if description.get("data") != "digits" or description.get("input") != INPUT:
        raise io.FileFormatError(f"{path} holds a model, but none of the digits as this version knows them")
    try:
        model = models.build(description.get("model", {}), seed=0)
    except (AttributeError, TypeError, ValueError) as error:
        raise io.FileFormatError(f"{path} describes its model wrongly: {error}") from error
    io.load_weights(path, model)
    return model.eval()
