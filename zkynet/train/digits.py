"""The digit classifier: a network on the 1,797 handwritten digits that ship with zkynet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zkynet import optim
from zkynet.data import Batches, load_digits, stratified_split
from zkynet.framework.computation_graph import Module
from zkynet.train.tasks.common import LEARNING_RATES as LEARNING_RATES
from zkynet.train.tasks.common import cross_entropy as cross_entropy

SIZES = (64, 128, 64, 10)
MODELS: dict[str, dict[str, Any]] = {  # as zkynet.models.build reads them
    "mlp": {"name": "fcn", "settings": {"sizes": list(SIZES)}},
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
WARM_UP = {"cnn": 0.0, "transformer": 0.1}  # share of the steps in which the rate rises; it falls along half a cosine


@dataclass
class DigitsRun:
    """A training run on the digits: the trained model, its optimizer, and the figures of every epoch."""

    model: Module
    optimizer: optim.Optimizer
    history: Sequence[Mapping[str, Any]]

    @property
    def accuracy(self) -> float:
        """The share of the test digits that the model names right, after the last epoch."""
        return self.history[-1]["accuracy"]


def split_digits(dtype: Any = "float32") -> tuple[tuple, tuple]:
    """Return ``(images, labels)`` to train on, 1,438 digits, and to test on, 359: a fixed stratified fifth."""
    images, labels = load_digits(dtype)
    train, test = stratified_split(labels, TEST_FRACTION, SPLIT_SEED)
    return (images[train], labels[train]), (images[test], labels[test])


def batches_of(train: tuple, config: Mapping[str, Any]) -> Batches:
    """The training digits a batch at a time; those of the cnn shifted at random by up to a pixel."""
    transform = shifted if config["model"] == "cnn" else None
    return Batches(train, config["batch_size"], seed=config["seed"], transform=transform)


def pieces_of(test: tuple) -> Batches:
    """The test digits in pieces so small that BLAS multiplies them by one thread.

    By two it is no faster, and where the machine has other work to do one thread waits for the other: an evaluation
    then takes fifty times as long.
    """
    return Batches(test, 120, shuffle=False)


def shifted(batch: Any, generator: Any) -> tuple:
    """The batch with each digit moved by up to one pixel along each axis."""
    from zkynet.data import Shift

    images, labels = batch
    moved = Shift(1)(images.reshape(-1, 8, 8), generator)
    return moved.reshape(images.shape), labels


def train_digits(
    model: str = "mlp",
    *,
    backend: Any = None,
    epochs: int | None = None,
    batch_size: int = 32,
    lr: float | None = None,
    seed: int = 0,
    optimizer: str = "adam",
    dtype: str = "float32",
    out: str | os.PathLike | None = None,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
) -> DigitsRun:
    """Train a network on the digits and return the run: what ``zkynet train digits`` does.

    ``model``: "mlp", the feed-forward network 64-128-64-10, "cnn", with three convolutions, on digits shifted at random
    by up to a pixel, or "transformer", which reads the 8 rows of a digit as a sequence. ``backend``: a name or a
    Backend, the default backend for None. ``lr``: 0.002 for ``optimizer`` "adam", 0.05 for "sgd" (momentum 0.9) unless
    given; for "cnn" and "transformer" the largest one: it falls to 0 along half a cosine, the transformer's after a
    warm-up of a tenth of the steps. ``epochs``: 10 for "mlp", 20 for the others unless given. ``seed`` decides the
    first weights and the order of the samples, not the test digits. ``out``: a folder for settings, log, curves,
    checkpoints and weights (see RunFolder); ``resume``: go on from its newest checkpoint. ``callbacks``: see
    zkynet.train.Callback.

    ValueError for settings out of range, BackendNotAvailable for a backend that cannot be used here, OSError where
    ``out`` cannot be written to, Interrupted, a KeyboardInterrupt, where a signal ends the run: what there is by then
    is saved in ``out``.
    """
    from zkynet.train.record import RunFolder
    from zkynet.train.tasks.config import merged
    from zkynet.train.tasks.digits import TASK
    from zkynet.train.tasks.run import run_task

    given = {"model": model, "epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed, "optimizer": optimizer}
    given |= {"dtype": dtype, "backend": getattr(backend, "name", backend)}
    config = merged(TASK, _checked(TASK, given))
    folder = None if out is None else RunFolder(out)
    done = run_task(TASK, config, folder=folder, resume=resume, callbacks=callbacks)
    return DigitsRun(done.model, done.plan.optimizer, done.history)


def _checked(task: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as their options take them; ValueError names the one that is out of range."""
    kinds = {option.name: option.kind for option in task.options}
    result = {}
    for name, value in given.items():
        try:
            result[name] = value if value is None else kinds[name].accept(value)
        except ValueError as error:
            raise ValueError(f"train_digits: {name}: {error}") from None
    return result


def load_digits_model(folder: str | os.PathLike) -> Module:
    """Return the classifier that a run left in ``folder``, on the default backend: from (N, 64), 0 to 1, to logits.

    OSError where there is no readable ``model.safetensors``; FileFormatError and WeightsMismatchError, ValueErrors,
    where it is damaged or holds something else.
    """
    from zkynet.train.tasks.digits import check_input
    from zkynet.train.tasks.run import load_run

    _, saved = load_run(os.fspath(folder))
    check_input(saved)
    return saved.model
