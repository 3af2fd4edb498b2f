"""What a task of ``zkynet train`` is: settings, and a few functions. Everything else the commands do.

A task module is small and imports nothing heavy before one of its functions runs::

    # zkynet/train/tasks/roses.py
    from zkynet.train.tasks.task import Evaluation, Option, Plan, Saved, Task, Whole, training_options

    def prepare(config):                       # inside use_backend(config["backend"])
        from zkynet import data, models, optim
        ...
        return Plan(model, loss, optimizer, train, description={"model": {"name": "fcn", "settings": {...}}}, ...)

    def predict(saved, inputs, settings): ...  # yields lines
    def evaluate(saved, data): ...             # returns an Evaluation

    TASK = Task("roses", HELP, EXAMPLES, (Option("hidden", Whole(1), 64, "hidden units"), *training_options(...)),
                prepare=prepare, predict=predict, evaluate=evaluate, example=lambda description: ((1, 64),))

and it stands, with one line of help, in the list ``zkynet.train.tasks.TASKS``. The options are at once the flags of the
command line with their help, the keys of a TOML file, and the keys of ``config``.

The commands then do, in this order: merge the settings (command line over file over defaults), ``resolve``, open the
folder, ``prepare``, ``Trainer(plan...).fit(...)`` with log, curves, checkpoints, interrupts and resuming, save the
weights with ``plan.description``, ``plan.finish``, and print ``plan.result``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from zkynet.train.tasks.option import (
    Choice,
    Flag,
    Kind,
    Many,
    Number,
    Option,
    Place,
    Whole,
    Word,
    training_options,
)

__all__ = [
    "Choice",
    "Evaluation",
    "Flag",
    "Kind",
    "Many",
    "Number",
    "Option",
    "Place",
    "Plan",
    "Saved",
    "Task",
    "TaskError",
    "Whole",
    "Word",
    "training_options",
]

Config = Mapping[str, Any]  # the resolved settings of a run, by Option.name; plain data


class TaskError(ValueError):
    """What was asked for is not possible: the commands print the message as one sentence and exit with 1.

    OSError, ImportError and ValueError of reading files are told the same way: raise this one only where no better
    error comes by itself.
    """


class Plan(NamedTuple):
    """One run, ready to go: what ``Task.prepare`` returns.

    ``model``, ``loss(model, *batch)``, ``optimizer``, ``metrics`` and ``callbacks`` are what ``zkynet.train.Trainer``
    takes; ``train`` and ``validation`` what its ``fit`` takes. ``description``: plain data (JSON), kept with the
    weights: all that ``rebuild``, ``predict``, ``evaluate`` and ``generate`` need of the run; ``{"model": {"name": ...,
    "settings": ...}}`` is enough for models of ``zkynet.models``. The commands add "task", "format" and "trained".
    ``headline``: the first line that is printed, without backend, optimizer and seed, which are added. ``names``: how
    figures are called in the lines of the epochs, ``{"loss": "train loss"}``; those not named go by their own name.
    ``shown``: the figures that these lines show, in order; None: all. ``result(history)``: the last line, such as "test
    accuracy 0.9777", of the list of dicts that ``fit`` returned. ``finish(folder, model)``: writes more files into the
    folder of the run once it is done or interrupted, and returns their names. ``compiled``: as Trainer has it.
    """

    model: Any
    loss: Callable[..., Any]
    optimizer: Any
    train: Iterable[tuple]
    description: dict[str, Any]
    headline: str
    result: Callable[[Sequence[Mapping[str, Any]]], str]
    validation: Any = None
    metrics: Mapping[str, Any] | None = None
    callbacks: Sequence[Any] = ()
    names: Mapping[str, str] = {}
    shown: Sequence[str] | None = None
    finish: Callable[[Path, Any], Iterable[str]] | None = None
    compiled: bool | None = None  # None: with JAX, and with --compile


class Saved(NamedTuple):
    """A finished or interrupted run, read back: what ``predict``, ``evaluate`` and ``generate`` get.

    ``model`` is in the mode of ``eval()``, on the backend that was asked for, which is the default one meanwhile.
    ``config``: the settings of the run where its config.toml is still there, else the defaults of the task.
    """

    folder: Path
    description: dict[str, Any]
    config: Config
    model: Any


class Evaluation(NamedTuple):
    """How good a model is on data that it has not seen: figures by name, and more as text (a confusion matrix)."""

    figures: Mapping[str, float]
    text: str = ""


class Task(NamedTuple):
    """Something that ``zkynet train`` trains.

    ``name``: the word on the command line. ``help``: a paragraph for newcomers, lines of at most 120 columns: what is
    learnt, from what, what comes out. ``examples``: lines ``zkynet train ...   what it does``, as they are printed.
    ``options``: its own and ``training_options(...)``.

    ``prepare(config) -> Plan``. ``resolve(config) -> config``: fills in settings that depend on others (a learning
    rate by optimizer) and checks what no Kind can; what it returns is saved as config.toml. ``rebuild(description,
    dtype) -> Module``: None builds ``description["model"]`` by ``zkynet.models.build``.

    ``predict(saved, inputs, settings) -> lines``: ``inputs`` are the words of the command line behind DIR (paths,
    mostly); ``settings`` has "out", a path or None, and "size", a number of pixels or None. ``evaluate(saved, data) ->
    Evaluation``: ``data`` is a path or None for the held-out part of the data of the run. ``generate(saved, settings)
    -> pieces of text``, printed as they come, without line ends of their own: ``settings`` has "prompt", "count",
    "temperature", "top_k", "seed", "out", each None unless given. A function that is None: the command says that such
    a run has nothing of the kind.

    ``example(description) -> inputs``: what ``zk.summary`` takes behind the model. ``inputs``: what to call what
    predict takes, in errors; "" for nothing.
    """

    name: str
    help: str
    examples: str
    options: tuple[Option, ...]
    prepare: Callable[[Config], Plan]
    example: Callable[[Mapping[str, Any]], tuple]
    resolve: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    rebuild: Callable[[Mapping[str, Any], str], Any] | None = None
    predict: Callable[[Saved, list[str], Config], Iterable[str]] | None = None
    evaluate: Callable[[Saved, str | None], Evaluation] | None = None
    generate: Callable[[Saved, Config], Iterable[str]] | None = None
    inputs: str = "INPUT"

    def model(self, description: Mapping[str, Any], dtype: str = "float32") -> Any:
        """The model that ``description`` describes, with fresh weights of ``dtype``."""
        if self.rebuild is not None:
            return self.rebuild(description, dtype)
        from zkynet import models

        return models.build(description["model"], seed=0, dtype=dtype)
