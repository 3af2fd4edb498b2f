"""Images in tables, as Kaggle has them: a label and 784 pixels a line."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import numpy as np

from zkynet.backends.errors import FileFormatError
from zkynet.data.digits import _floating
from zkynet.data.tables import Table, line_of_row, read_table

SIDE = 28
SIGN_LETTERS = "ABCDEFGHIKLMNOPQRSTUVWXY"  # J and Z are movements: no image can show them
_SIGNS = frozenset(ord(letter) - ord("A") for letter in SIGN_LETTERS)


def load_digit_recognizer(
    path: str | os.PathLike, dtype: Any = "float32"
) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
    """Read MNIST as a CSV file: ``train.csv`` or ``test.csv`` of Kaggle's digit-recognizer.

    Returns ``(images, labels)``, or ``images`` alone where the file has no column ``label``, as ``test.csv``.
    ``images`` has shape (n, 28, 28) and dtype ``dtype``, 0.0 (paper) to 1.0 (ink); ``labels`` is int64, 0 to 9.
    FileFormatError, with the line number, where the file is something else.
    """
    return _load(path, dtype, frozenset(range(10)), "0 to 9", needs_labels=False)


def load_sign_language(path: str | os.PathLike, dtype: Any = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Read Sign-Language-MNIST: ``sign_mnist_train.csv`` or ``sign_mnist_test.csv``, hands in gray.

    Returns ``(images, labels)``: ``images`` of shape (n, 28, 28) and dtype ``dtype``, 0.0 (black) to 1.0 (white);
    ``labels`` int64, the place of the letter in the alphabet: 0 for A to 24 for Y, never 9 (J) nor 25 (Z), which need
    a movement. So there are 24 classes, and a network has 25 outputs, or 24 with
    ``encode_labels(labels)``, whose codes count through ``SIGN_LETTERS``. FileFormatError, with the line number, where
    the file is something else.
    """
    return _load(path, dtype, _SIGNS, "0 to 24 without 9, which is J", needs_labels=True)


def _load(path: Any, dtype: Any, labels: Collection[int], said: str, needs_labels: bool) -> Any:
    floating = _floating(dtype)
    table = read_table(path, dtype=np.uint8)
    labelled = "label" in table
    if table.names[0] != "label" and (labelled or needs_labels) or len(table.names) != SIDE * SIDE + labelled:
        raise FileFormatError(
            f"{path} is no table of {SIDE} x {SIDE} images\n"
            f"  got:      {len(table.names)} columns: {', '.join(table.names[:3])} ...\n"
            f"  expected: label, then {SIDE * SIDE} pixels{'' if needs_labels else '; or the pixels alone'}"
        )
    pixels = table.matrix(table.names[labelled:], np.uint8).reshape(-1, SIDE, SIDE)
    images = pixels.astype(floating) / floating.type(255)
    images.flags.writeable = False
    return (images, _checked_labels(path, table, labels, said)) if labelled else images


def _checked_labels(path: Any, table: Table, allowed: Collection[int], said: str) -> np.ndarray:
    labels = table["label"].astype(np.int64)
    wrong = np.flatnonzero(~np.isin(labels, list(allowed)))
    if len(wrong):
        raise FileFormatError(
            f"{path}, line {line_of_row(path, wrong[0])}: a label out of range\n"
            f"  got:      {labels[wrong[0]]}\n  expected: {said}"
        )
    labels.flags.writeable = False
    return labels
