"""What the tasks share that name one of several classes: losses, optimizers, plans, and how good they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zkynet.train.tasks.task import Choice, Config, Evaluation, Option, Plan, TaskError

LEARNING_RATES = {"adam": 2e-3, "sgd": 0.05}
OPTIMIZER = Option("optimizer", Choice(*LEARNING_RATES), "adam", "adam, or sgd with momentum 0.9")
LR_HELP = f"learning rate (default: {LEARNING_RATES['adam']:g} for adam, {LEARNING_RATES['sgd']:g} for sgd)"
PIECE = 500  # samples that a model sees at once where it is not trained
SHOWN = 3  # classes that predict names for a picture
NAMES = {"loss": "train loss", "validation_loss": "test loss", "accuracy": "test accuracy"}


def resolved_rate(config: dict[str, Any]) -> dict[str, Any]:
    """The settings with the optimizer's learning rate where none was given."""
    return config if config["lr"] is not None else config | {"lr": LEARNING_RATES[config["optimizer"]]}


def optimizer_of(name: str, lr: Any) -> Any:
    """The optimizer ``name``, one of LEARNING_RATES; ``lr`` is a number or a schedule."""
    from zkynet import optim

    return optim.Adam(lr) if name == "adam" else optim.SGD(lr, momentum=0.9)


def falling_rate(lr: float, steps: int, warm_up: float = 0.0) -> Any:
    """A schedule: up to ``lr`` in a share ``warm_up`` of ``steps``, and to 0 along half a cosine."""
    from zkynet import optim

    return optim.schedules.WarmUp(optim.schedules.Cosine(lr, steps), max(1, round(warm_up * steps)))


def cross_entropy(model: Any, inputs: Any, labels: Any) -> Any:
    """The mean cross-entropy of the model's logits: the loss of every classifier here."""
    from zkynet.framework import op

    return op.softmax_cross_entropy(model(inputs), labels)


def classifier_plan(
    config: Config,
    *,
    model: Mapping[str, Any],
    train: Any,
    test: Any,
    description: Mapping[str, Any],
    warm_up: float | None = None,
) -> Plan:
    """The run of a classifier: ``model`` as zkynet.models.build reads it, batches, and batches or arrays to test it on.

    ``warm_up``: None for a learning rate that stays, else see ``falling_rate``.
    """
    from zkynet import models
    from zkynet.train.metrics import accuracy

    steps = config["epochs"] * len(train)
    rate = config["lr"] if warm_up is None else falling_rate(config["lr"], steps, warm_up)
    return Plan(
        models.build(model, seed=config["seed"], dtype=config["dtype"]),
        cross_entropy,
        optimizer_of(config["optimizer"], rate),
        train,
        description={"model": dict(model), **description},
        headline=outline(model),
        result=lambda history: f"test accuracy {history[-1]['accuracy']:.4f}",
        validation=test,
        metrics={"accuracy": accuracy},
        names=NAMES,
        shown=("loss", "accuracy"),
    )


def outline(model: Mapping[str, Any]) -> str:
    """A model in a few words, for the first line of a run."""
    settings = model["settings"]
    if model["name"] == "fcn":
        return f"network {'-'.join(map(str, settings['sizes']))}"
    if model["name"] == "transformer":
        return f"transformer of {settings['layers']} layers, {settings['size']} features, {settings['heads']} heads"
    channels = "-".join(str(outputs) for outputs, *_ in settings["convolutions"])
    return f"convolutional network {channels}-{settings['hidden']}-{settings['classes']}"


def outputs_of(model: Any, inputs: Any) -> Any:
    """What ``model`` gives for ``inputs``, as one NumPy array; computed in pieces, without gradients."""
    import numpy as np

    from zkynet import backends
    from zkynet.framework.computation_graph import no_grad

    pieces = []
    with no_grad():
        for start in range(0, len(inputs), PIECE):
            value = model(inputs[start : start + PIECE]).value
            pieces.append(backends.backend_of(value).to_numpy(value))  # type: ignore[union-attr]
    return np.concatenate(pieces)


def probabilities(logits: Any) -> Any:
    """The softmax of logits along the last axis, in float64."""
    import numpy as np

    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=-1, keepdims=True)


def evaluate_classifier(model: Any, inputs: Any, labels: Any, names: Sequence[Any]) -> Evaluation:
    """Loss, accuracy, macro F1 and the confusion matrix on ``inputs``, of a model that gives logits."""
    import numpy as np

    from zkynet.train import metrics

    logits = outputs_of(model, inputs)
    with np.errstate(divide="ignore"):
        losses = -np.log(probabilities(logits)[np.arange(len(labels)), labels])
    figures = {
        "samples": len(labels),
        "loss": float(losses.mean()),
        "accuracy": metrics.accuracy(logits, labels),
        "f1_macro": float(metrics.f1(logits, labels, "macro")),
    }
    return Evaluation(figures, confusion_text(metrics.confusion_matrix(logits, labels), names))


def confusion_text(counts: Any, names: Sequence[Any]) -> str:
    """The confusion matrix as text: a row for each true class, a column for each that the model named."""
    shown = [str(name) for name in names]
    width = max(max(map(len, shown)), len(str(counts.max()))) + 2
    left = max(max(map(len, shown)), 4)
    head = f"{'true':<{left}}" + "".join(f"{name:>{width}}" for name in shown)
    rows = [
        f"{name:<{left}}" + "".join(f"{count or '.':>{width}}" for count in row)
        for name, row in zip(shown, counts.tolist(), strict=True)
    ]
    return "\n".join(["confusion: a row for what it was, a column for what the model said", head, *rows])


def named_pictures(
    model: Any, paths: Sequence[str], read: Callable[[str], Any], labels: Sequence[Any], what: str
) -> Iterator[str]:
    """Lines for ``predict``: what is in each picture, and the most probable classes with their probabilities."""
    for path in paths:
        os.stat(path)  # a file that is not there is told before a library that reads pictures is missed
        chances = probabilities(outputs_of(model, read(path)[None]))[0]
        best = sorted(range(len(chances)), key=lambda i: -chances[i])[:SHOWN]
        yield ("" if len(paths) == 1 else f"{path}: ") + f"{what} {labels[best[0]]}"
        for i in best:
            yield f"  {labels[i]}  {chances[i]:.4f}"


def lines_to(out: str | None, lines: Iterable[str]) -> Iterator[str]:
    """The lines themselves, or, where ``out`` is a path, one that says that they were written there."""
    if out is None:
        yield from lines
        return
    from zkynet.io import atomic_write

    folder = os.path.dirname(os.path.abspath(out))
    if not os.path.isdir(folder):
        raise TaskError(f"cannot write {out}: there is no folder {folder}")
    written = list(lines)
    with atomic_write(out) as file:
        file.write("".join(f"{line}\n" for line in written).encode())
    yield f"saved {len(written)} lines in {out}"
