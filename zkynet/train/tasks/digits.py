"""The task ``digits``: the handwritten digits that ship with zkynet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zkynet.train.tasks.common import LR_HELP, OPTIMIZER, resolved_rate
from zkynet.train.tasks.task import (
    Choice,
    Config,
    Evaluation,
    Option,
    Plan,
    Saved,
    Task,
    TaskError,
    training_options,
)

HELP = """\
Trains a network on the 1,797 handwritten digits of the UCI set, which ship with zkynet: mlp is the feed-forward network
64-128-64-10, cnn has three convolutions, transformer reads the 8 rows of a digit as a sequence. A fixed fifth of the
digits is kept out of training to test the network after every epoch; the last line is the result.
"""
EXAMPLES = """\
  zkynet train digits                          a second, NumPy alone
  zkynet train digits --backend jax            the same run on JAX
  zkynet train digits --seed 3 --epochs 40     other first weights, and longer
  zkynet train digits --model cnn --out run    the better network, kept in the folder run
  zkynet predict run three.png                 what it says to a picture
  zkynet evaluate run                          which digits it takes for which"""
EPOCHS = {"mlp": 10, "cnn": 20, "transformer": 20}
OPTIONS = (
    Option("model", Choice("mlp", "cnn", "transformer", aliases={"fcn": "mlp"}), "mlp", "the network"),
    OPTIMIZER,
    *training_options(
        epochs=None,
        batch_size=32,
        lr=None,
        samples="digits",
        lr_help=LR_HELP,
        epochs_help=" (default: 10 for mlp, 20 for cnn and transformer)",
        narrow=True,
    ),
)


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """The settings with those that depend on others."""
    epochs = EPOCHS[config["model"]] if config["epochs"] is None else config["epochs"]
    return resolved_rate(config | {"epochs": epochs})


def prepare(config: Config) -> Plan:
    """The run with these settings."""
    from zkynet.train import digits
    from zkynet.train.tasks.common import classifier_plan

    train, test = digits.split_digits(config["dtype"])
    return classifier_plan(
        config,
        model=digits.MODELS[config["model"]],
        train=digits.batches_of(train, config),
        test=digits.pieces_of(test) if config["backend"] == "numpy" else test,
        description={"data": "digits", "input": digits.INPUT, "labels": list(range(10))},
        warm_up=digits.WARM_UP.get(config["model"]),
    )


def predict(saved: Saved, inputs: list[str], settings: Config) -> Iterable[str]:
    """The digit in each picture."""
    from zkynet.data import digit_of_picture, read_picture
    from zkynet.train.tasks.common import lines_to, named_pictures

    check_input(saved)

    def read(path: str) -> Any:
        return digit_of_picture(read_picture(path)).astype(saved.description.get("dtype", "float32"))

    return lines_to(settings["out"], named_pictures(saved.model, inputs, read, saved.description["labels"], "digit"))


def evaluate(saved: Saved, data: str | None) -> Evaluation:
    """How good it is on the test digits."""
    from zkynet.train.digits import split_digits
    from zkynet.train.tasks.common import evaluate_classifier

    if data is not None:
        raise TaskError("the digits ship with zkynet and are tested on their own test part: leave --data out")
    check_input(saved)
    images, labels = split_digits(saved.description.get("dtype", "float32"))[1]
    return evaluate_classifier(saved.model, images, labels, saved.description["labels"])


def check_input(saved: Saved) -> None:
    """FileFormatError where the run is not of the digits as this version scales them."""
    from zkynet.io import FileFormatError
    from zkynet.train.digits import INPUT
    from zkynet.train.record import WEIGHTS

    if saved.description.get("data") != "digits" or saved.description.get("input") != INPUT:
        raise FileFormatError(
            f"{saved.folder / WEIGHTS} holds a model, but none of the digits as this version knows them"
        )


TASK = Task(
    "digits",
    HELP,
    EXAMPLES,
    OPTIONS,
    prepare,
    lambda description: ((1, 64),),
    resolve=resolve,
    predict=predict,
    evaluate=evaluate,
    inputs="IMAGE",
)
