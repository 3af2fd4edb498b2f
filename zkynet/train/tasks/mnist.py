"""The task ``mnist``: small pictures in ten classes, from the files that MNIST and its kin come in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zkynet.train.tasks.common import LR_HELP, OPTIMIZER, resolved_rate
from zkynet.train.tasks.task import (
    Choice,
    Config,
    Evaluation,
    Option,
    Place,
    Plan,
    Saved,
    Task,
    TaskError,
    training_options,
)

HELP = """\
Trains a network on MNIST, 70,000 handwritten digits of 28 x 28 pixels, or on another set in its form, such as
Fashion-MNIST. PATH is a folder with the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-...
and t10k-labels-... (with or without .gz), whose t10k files are the test; or a CSV file with a column label and one for
each of the 784 pixels, as Kaggle's digit-recognizer has it, of which a fixed tenth is kept out of training as the test.
zkynet downloads nothing. mlp is the feed-forward network 784-256-128-10; cnn has three convolutions, and is better and
slower.
"""
EXAMPLES = """\
  zkynet train mnist --data mnist --out run                the folder mnist holds the four files
  zkynet train mnist --data train.csv --model cnn --out run
  zkynet evaluate run                                      which digits it takes for which
  zkynet predict run seven.png                             the digit in a picture
  zkynet predict run test.csv --out submission.csv         a label for each line of a table of pixels"""
OPTIONS = (
    Option("data", Place("PATH"), None, "the folder or CSV file with the pictures", required=True),
    Option("model", Choice("mlp", "cnn", aliases={"fcn": "mlp"}), "mlp", "the network"),
    OPTIMIZER,
    *training_options(epochs=5, batch_size=64, lr=None, samples="pictures", lr_help=LR_HELP, narrow=True),
)
CLASSES = 10
TEST_FRACTION, SPLIT_SEED = 0.1, 0  # of a CSV file
BOX = 20 / 28  # the share of the side that the digits of MNIST fill


def describe(model: str, height: int, width: int) -> dict[str, Any]:
    """The network for pictures of this size, as zkynet.models.build reads it."""
    if model == "mlp":
        return {"name": "fcn", "settings": {"sizes": [height * width, 256, 128, CLASSES]}}
    convolutions = [[16, 1, 1], [32, 2, 1], [64, 2, 1]]
    settings = {"picture": [1, height, width], "convolutions": convolutions, "hidden": 128, "classes": CLASSES}
    return {"name": "cnn", "settings": settings | {"dropout": 0.4}}


def read(path: str, part: str, dtype: str) -> tuple[Any, Any]:
    """The pictures (N, height * width) and labels (N,) of ``part``, "train" or "test", of a folder or a CSV file."""
    from zkynet.data import load_mnist, stratified_split

    if Path(path).is_dir():
        images, labels = load_mnist(path, part, dtype)
        return _rows(images), labels
    images, labels = _read_csv(path, dtype)
    if labels is None:
        raise TaskError(f"{path} has no column label, so there is nothing to learn or to test")
    chosen = stratified_split(labels, TEST_FRACTION, SPLIT_SEED)[part == "test"]
    return _rows(images[chosen]), labels[chosen]


def _read_csv(path: str, dtype: str) -> tuple[Any, Any]:
    """Pictures (N, 28, 28), and labels or None, of a CSV file."""
    from zkynet.data import load_digit_recognizer

    found = load_digit_recognizer(path, dtype)
    return found if isinstance(found, tuple) else (found, None)


def _rows(images: Any) -> Any:
    rows = images.reshape(len(images), -1)
    rows.flags.writeable = False
    return rows


def prepare(config: Config) -> Plan:
    """The run with these settings."""
    from zkynet.data import Batches
    from zkynet.train.tasks.common import classifier_plan

    path, dtype = config["data"], config["dtype"]
    train, test = (read(path, part, dtype) for part in ("train", "test"))
    height, width = _size(path, train[0].shape[1], test[0].shape[1])
    return classifier_plan(
        config,
        model=describe(config["model"], height, width),
        train=Batches(train, config["batch_size"], seed=config["seed"]),
        test=test,
        description={"data": "mnist", "picture": [height, width], "labels": list(range(CLASSES))},
        warm_up=0.0 if config["model"] == "cnn" else None,
    )


def _size(path: str, pixels: int, test_pixels: int) -> tuple[int, int]:
    """Height and width of the pictures, which are square in every set of this form."""
    side = round(pixels**0.5)
    if side * side != pixels or test_pixels != pixels or side < 8:
        raise TaskError(
            f"the pictures of {path} have {pixels} pixels, those to test on {test_pixels}; expected squares of one "
            "size, at least 8 x 8"
        )
    return side, side


def predict(saved: Saved, inputs: list[str], settings: Config) -> Iterable[str]:
    """The digit in each picture, or, of one CSV file, a label a line as Kaggle wants it."""
    from zkynet.train.tasks.common import lines_to, named_pictures

    lines: Iterable[str]
    tables = [path for path in inputs if path.lower().endswith(".csv")]
    if not tables:
        lines = named_pictures(saved.model, inputs, lambda path: _picture(saved, path), _labels(saved), "label")
    elif len(inputs) > 1:
        raise TaskError("predict takes one CSV file, or pictures")
    else:
        lines = _submission(saved, tables[0])
    return lines_to(settings["out"], lines)


def _submission(saved: Saved, path: str) -> Iterable[str]:
    from zkynet.train.tasks.common import outputs_of

    images, _ = _read_csv(path, _dtype(saved))
    _check_pixels(saved, path, images[0].size)
    found = outputs_of(saved.model, _rows(images)).argmax(axis=-1)
    yield "ImageId,Label"
    for number, label in enumerate(found.tolist(), start=1):
        yield f"{number},{_labels(saved)[label]}"


def _picture(saved: Saved, path: str) -> Any:
    """The digit in a picture as MNIST would hold it: the longer side fills 20 of 28 points, its mass in the middle."""
    from zkynet.data import read_picture

    height, width = saved.description["picture"]
    return centred(read_picture(path), height, width).reshape(-1).astype(_dtype(saved))


def centred(brightness: Any, height: int, width: int) -> Any:
    """The ink of a picture, (height, width) in 0 to 1, scaled into a box and moved so that its mass is in the middle.

    ``brightness`` is a picture of one digit, dark on light or light on dark. PictureError where there is no ink.
    """
    import numpy as np

    from zkynet.data.pictures import EXTENT_CUT, _extent, _ink

    ink = _ink(np.asarray(brightness, np.float64))
    strong = ink >= EXTENT_CUT
    (top, bottom), (left, right) = _extent(strong.any(axis=1)), _extent(strong.any(axis=0))
    ink = ink[top:bottom, left:right]
    scale = min(BOX * height / ink.shape[0], BOX * width / ink.shape[1])
    middle = [ink.sum(axis=1 - axis) @ (np.arange(ink.shape[axis]) + 0.5) / ink.sum() for axis in (0, 1)]
    rows, columns = (
        _averaging(ink.shape[0], height, middle[0], scale),
        _averaging(ink.shape[1], width, middle[1], scale),
    )
    return np.clip(rows @ ink @ columns.T, 0, 1)


def _averaging(length: int, points: int, middle: float, scale: float) -> Any:
    """The matrix (points, length) that averages pixels over points, ``scale`` of them a pixel."""
    import numpy as np

    edges = middle + (np.arange(points + 1) - points / 2) / scale
    return np.diff(np.clip(edges[:, None] - np.arange(length), 0, 1), axis=0) * scale


def evaluate(saved: Saved, data: str | None) -> Evaluation:
    """How good it is on the test part of the data of the run; of ``data`` the t10k files, or a whole CSV file."""
    from zkynet.train.tasks.common import evaluate_classifier

    path = saved.config["data"] if data is None else data
    if path is None:
        raise TaskError(f"{saved.folder} does not say any more what it was trained on: give --data PATH")
    if data is None or Path(data).is_dir():
        images, labels = read(path, "test", _dtype(saved))
    else:
        images, labels = _read_csv(path, _dtype(saved))
        if labels is None:
            raise TaskError(f"{path} has no column label, so there is nothing to test")
        images = _rows(images)
    _check_pixels(saved, path, images.shape[1])
    return evaluate_classifier(saved.model, images, labels, _labels(saved))


def _check_pixels(saved: Saved, path: str, pixels: int) -> None:
    height, width = saved.description["picture"]
    if pixels != height * width:
        raise TaskError(f"the pictures of {path} have {pixels} pixels; the model was trained on {height} x {width}")


def _labels(saved: Saved) -> list[int]:
    return saved.description["labels"]


def _dtype(saved: Saved) -> str:
    return saved.description.get("dtype", "float32")


TASK = Task(
    "mnist",
    HELP,
    EXAMPLES,
    OPTIONS,
    prepare,
    lambda description: ((1, description["picture"][0] * description["picture"][1]),),
    resolve=resolved_rate,
    predict=predict,
    evaluate=evaluate,
    inputs="IMAGE",
)
