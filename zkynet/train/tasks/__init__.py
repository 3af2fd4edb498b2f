"""The tasks that ``zkynet train`` knows, one module each, imported when it is chosen."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zkynet.train.tasks.task import Task

# Name: its module here, and what it is, in a few words: `zkynet train --help` shows them without importing the tasks.
TASKS: dict[str, tuple[str, str]] = {
    "digits": ("digits", "handwritten digits, 8 x 8 pixels, which ship with zkynet"),
    "mnist": ("mnist", "handwritten digits or other small pictures in ten classes, from MNIST's files"),
    "autoencoder": ("autoencoder", "pictures squeezed through a few numbers and drawn again"),
    "vae": ("autoencoder", "a variational autoencoder, which draws digits of its own"),
    "image": ("image", "one picture, learnt by heart by a network of its coordinates"),
    "text": ("text", "a language model of a text, character by character"),
    "table": ("table", "a column of a CSV file from its other columns"),
}


def find(name: str) -> Task:
    """Return the task ``name``, one of TASKS; a module with two tasks calls them TASK and, say, VAE."""
    module = importlib.import_module(f"zkynet.train.tasks.{TASKS[name][0]}")
    return next(each for each in module.TASKS if each.name == name) if hasattr(module, "TASKS") else module.TASK


__all__ = ["TASKS", "find"]
