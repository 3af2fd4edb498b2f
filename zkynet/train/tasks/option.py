"""The settings of a task: declared once, read from the command line, from a TOML file, and written back to one."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple


class Kind:
    """What values a setting takes: ``read`` takes the text of a command line, ``accept`` a value of a TOML file.

    Both return the value as a task sees it: an int, float, bool, str, or a list of these. ValueError says in one
    sentence what was expected and what came.
    """

    metavar = "X"
    expected = "a value"

    def read(self, text: str) -> Any:
        """The value that ``text`` says."""
        raise NotImplementedError

    def accept(self, value: Any) -> Any:
        """``value``, where it is one of this kind."""
        raise NotImplementedError

    def wrong(self, value: Any) -> ValueError:
        """The error for ``value``, to be raised."""
        return ValueError(f"expected {self.expected}, got {value!r}")


class Whole(Kind):
    """A whole number from ``least`` to ``most``."""

    metavar = "N"

    def __init__(self, least: int = 0, most: int | None = None):
        self.least, self.most = least, most
        self.expected = f"a whole number of at least {least}" + ("" if most is None else f" and at most {most}")

    def read(self, text: str) -> int:
        try:
            return self.accept(int(text))
        except ValueError:
            raise self.wrong(text) from None

    def accept(self, value: Any) -> int:
        if type(value) is not int or value < self.least or (self.most is not None and value > self.most):
            raise self.wrong(value)
        return value


class Number(Kind):
    """A finite number above ``above``, or of at least ``least``, and below ``below`` where that is given."""

    def __init__(self, above: float | None = None, least: float | None = None, below: float | None = None):
        self.above, self.least, self.below = above, least, below
        bounds = [("above", above), ("of at least", least), ("below", below)]
        self.expected = " ".join(["a number", " and ".join(f"{w} {b:g}" for w, b in bounds if b is not None)]).strip()

    def read(self, text: str) -> float:
        try:
            return self.accept(float(text))
        except ValueError:
            raise self.wrong(text) from None

    def accept(self, value: Any) -> float:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self.wrong(value)
        low = (self.above is not None and value <= self.above) or (self.least is not None and value < self.least)
        if low or (self.below is not None and value >= self.below):
            raise self.wrong(value)
        return float(value)


class Choice(Kind):
    """One of ``words``; ``aliases`` maps other spellings to one of them."""

    def __init__(self, *words: str, aliases: dict[str, str] | None = None):
        self.words, self.aliases = words, aliases or {}
        self.metavar = "{" + ",".join(words) + "}"
        self.expected = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]

    def read(self, text: str) -> str:
        return self.accept(text)

    def accept(self, value: Any) -> str:
        word = self.aliases.get(value, value) if isinstance(value, str) else value
        if word not in self.words:
            raise self.wrong(value)
        return word


class Word(Kind):
    """Any text that is not empty."""

    expected = "some text"

    def __init__(self, metavar: str = "NAME"):
        self.metavar = metavar

    def read(self, text: str) -> str:
        return self.accept(text)

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(value)
        return value


class Place(Word):
    """The path of a file or folder; ``resolved`` settings hold it absolute, so that a run is resumed from anywhere."""

    expected = "a path"

    def __init__(self, metavar: str = "FILE"):
        super().__init__(metavar)

    def accept(self, value: Any) -> str:
        return os.path.abspath(super().accept(value))


class Flag(Kind):
    """Yes or no: ``--name`` on the command line, true or false in a file."""

    metavar = ""
    expected = "true or false"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value)
        return value


class Many(Kind):
    """A list of values of one kind: ``128,64`` on the command line, an array in a file; at least ``least`` of them."""

    def __init__(self, kind: Kind, least: int = 0):
        self.kind, self.least = kind, least
        self.metavar = f"{kind.metavar},..."
        self.expected = f"a list, each {kind.expected}" + (f", at least {least} of them" if least else "")

    def read(self, text: str) -> list[Any]:
        try:
            return self._enough([self.kind.read(part.strip()) for part in text.split(",") if part.strip()])
        except ValueError:
            raise self.wrong(text) from None

    def accept(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.wrong(value)
        try:
            return self._enough([self.kind.accept(each) for each in value])
        except ValueError:
            raise self.wrong(value) from None

    def _enough(self, values: list[Any]) -> list[Any]:
        if len(values) < self.least:
            raise self.wrong(values)
        return values


class Option(NamedTuple):
    """One setting: ``batch_size`` in ``config`` and in TOML files, ``--batch-size`` on the command line.

    ``help`` is a phrase; the default is added to it as "(default: 32)" unless it says "default" itself. ``default``
    None: not set, then ``config`` holds None unless ``Task.resolve`` fills it in, and the file leaves it out.
    ``positional``: an argument without a flag, such as FILE; None and ``required`` together are an error that says so.
    ``free``: it may change when a run is resumed, because it decides no number of the run.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    positional: bool = False
    required: bool = False
    free: bool = False

    @property
    def flag(self) -> str:
        """As it is spelt on the command line."""
        return self.kind.metavar if self.positional else "--" + self.name.replace("_", "-")

    @property
    def is_flag(self) -> bool:
        """Whether it is given without a value."""
        return isinstance(self.kind, Flag)

    @property
    def explained(self) -> str:
        """The help with the default."""
        if self.default is None or "default" in self.help or isinstance(self.kind, Flag):
            return self.help
        shown = self.default
        if isinstance(shown, float):
            shown = f"{shown:g}"
        elif isinstance(shown, (list, tuple)):
            shown = ",".join(map(str, shown))
        return f"{self.help} (default: {shown})"


# About the run, not about its numbers: added to the settings of every task, and free to change when it is resumed.
RUN_OPTIONS = (
    Option(
        "out",
        Word("DIR"),
        None,
        "keep the run in this folder: settings, log, curves, checkpoints and the weights (default: nothing is kept)",
        free=True,
    ),
    Option(
        "checkpoint_every",
        Whole(1),
        None,
        "steps between two checkpoints in --out DIR (default: one after each epoch)",
        free=True,
    ),
    Option("keep", Whole(1), 3, "how many of the newest checkpoints to keep", free=True),
    Option("tensorboard", Flag(), False, "write event files for TensorBoard into --out DIR", free=True),
    Option("quiet", Flag(), False, "print the last line only", free=True),
)
DTYPES = ("float32", "float64")
DTYPE_HELP = "the floating-point numbers that it computes with"
NARROW_HELP = DTYPE_HELP + "; float16 and bfloat16 (JAX) with weights in float32"
NARROW = ("float16", "bfloat16")  # to compute in, with weights in float32


def training_options(
    *,
    epochs: int | None,
    batch_size: int,
    lr: float | None,
    samples: str = "samples",
    lr_help: str = "learning rate",
    epochs_help: str = "",
    narrow: bool = False,
) -> tuple[Option, ...]:
    """The settings that every task shares, with its own defaults: what ``Task.options`` begins or ends with.

    backend, seed, dtype, compile, lanes, epochs, batch_size, lr. ``samples``: what a batch holds, for the help;
    ``epochs_help`` and ``lr_help`` say defaults that depend on others. ``narrow``: the loss is one of
    ``model(inputs)``, so that it can be computed in float16 and bfloat16 too; then ``config["dtype"]`` is float32 for
    the task all the same. RUN_OPTIONS come on top; the commands add --config and --resume.
    """
    return (
        Option("epochs", Whole(1), epochs, f"passes over the training {samples}{epochs_help}"),
        Option("batch_size", Whole(1), batch_size, f"{samples} per step"),
        Option("lr", Number(above=0), lr, lr_help),
        Option(
            "seed",
            Whole(0, 2**63 - 1),
            0,
            f"decides the first weights and the order of the {samples} (default: 0); one seed, one result",
        ),
        Option("backend", Word(), None, "the array library: numpy, jax or cupy (default: $ZKYNET_BACKEND, else numpy)"),
        Option("dtype", Choice(*DTYPES, *NARROW * narrow), "float32", NARROW_HELP if narrow else DTYPE_HELP),
        Option(
            "compile",
            Flag(),
            False,
            "record a step once and replay it: faster from some hundred steps on (zk.compile; JAX always compiles)",
        ),
        Option(
            "lanes",
            Flag(),
            False,
            "with --compile: two threads, each with half of a batch, where that is measured to be faster; "
            "the last bits then depend on the machine",
        ),
    )
