"""What a classifier gets wrong, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet.backends.errors import ShapeError
from zkynet.visual.figures import array_of, names_for, shortened
from zkynet.visual.style import DETAIL_TEXT, GRADIENT_TEXT, TEXT
from zkynet.visual.tiles import LETTER, Tiles, as_pictures, columns_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHO = "plot_misclassified"
SIDES = 1.35, 2.2  # inches of a picture: from room for "predicted 7, 98%" below it to room for long names


def plot_misclassified(
    pictures: Any,
    outputs: Any,
    targets: Any,
    save_path: str | PathLike[str] | None = None,
    *,
    names: Sequence[Any] | None = None,
    shape: Sequence[int] | None = None,
    most: int = 25,
    title: str | None = None,
) -> Figure:
    """Plot the pictures that a classifier names wrongly, those first of which it is most certain.

    ``pictures`` (samples, height, width) or (samples, channels, height, width) with 1 or 3 channels, or rows of numbers
    that ``shape``, (height, width) or (channels, height, width), makes pictures of. ``outputs`` are logits or
    probabilities (samples, classes), ``targets`` the true labels (samples,). ``names`` are the classes, 0, 1, ...
    unless given. Below each of the at most ``most`` pictures stand the predicted label, the true one, the probability
    of each, and which sample it is.

    Returns the matplotlib Figure, and writes it to ``save_path`` where one is given: .png, .svg or .pdf. ShapeError and
    ValueError as Accuracy has them; BackendNotAvailable, an ImportError, without matplotlib.
    """
    drawn = as_pictures(WHO, array_of(WHO, pictures), shape)
    chances, true = _probabilities(outputs, targets)
    if len(drawn) != len(true):
        raise ShapeError(
            f"{WHO}: every picture needs its outputs.\n  got:      {len(drawn)} pictures and {len(true)} outputs"
        )
    if most < 1:
        raise ValueError(f"{WHO}: at least one picture is shown.\n  got:      most={most}")
    words = names_for(WHO, names, chances.shape[1])
    predicted = chances.argmax(axis=1)
    wrong = np.flatnonzero(predicted != true)
    wrong = wrong[np.argsort(-chances[wrong, predicted[wrong]], kind="stable")]
    note = f"{len(wrong)} of {len(true)} misclassified"
    if len(wrong) > most:
        note += f", the {most} most certain"
    shown = wrong[:most]
    longest = max((len(words[i]) for n in shown for i in (predicted[n], true[n])), default=1)
    side = min(max(SIDES[0], LETTER * (longest + len("predicted , 100%"))), SIDES[1])
    captions = [_caption(n, words, predicted[n], true[n], chances[n], int(side / LETTER)) for n in shown]
    tiles = Tiles([drawn[n] for n in shown], columns_for(len(shown), 8), captions, title=title, notes=[note], side=side)
    return tiles.plot("A plot of misclassified samples", save_path)


def _caption(n: int, words: list[str], predicted: int, true: int, chances: np.ndarray, room: int) -> list[tuple]:
    """The lines below a picture, of at most ``room`` letters."""
    said = f", {chances[predicted]:.0%}", f", {chances[true]:.0%}"
    return [
        (f"predicted {shortened(words[predicted], max(4, room - 10 - len(said[0])))}{said[0]}", GRADIENT_TEXT),
        (f"true {shortened(words[true], max(4, room - 5 - len(said[1])))}{said[1]}", TEXT),
        (f"sample {n}", DETAIL_TEXT),
    ]


def _probabilities(outputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities (samples, classes), and the true labels (samples,); checked as metrics check them."""
    from zkynet.train.metrics.labels import Scored

    class Reader(Scored):
        name = WHO

    scores, true = Reader().read_scores(outputs, targets)
    if scores.size and scores.min() >= 0 and np.allclose(scores.sum(axis=-1), 1, rtol=0, atol=1e-5):
        return scores, true
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True), true
