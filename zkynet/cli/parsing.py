"""What all commands share: a parser whose errors are one sentence, and the kinds of numbers that options take."""

from __future__ import annotations

import argparse
import errno
import math
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from zkynet.backends.errors import ZkynetError

if TYPE_CHECKING:
    from zkynet.train.tasks.option import Option


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that names a mistake in one sentence and does not guess abbreviated options."""

    def __init__(self, **settings: Any):
        settings = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **settings}
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def sentence(error: Exception) -> str:
    """Return the lines of an error message as one."""
    said = ""
    for line in (line.strip().removesuffix(".") for line in str(error).splitlines()):
        said += line if not said else f". {line}" if line[:1].isupper() else f"; {line}"
    return said


def fail(message: str, status: int = 1) -> NoReturn:
    """End the program: one sentence on stderr, and the exit status."""
    print(f"zkynet: error: {message}", file=sys.stderr)
    sys.exit(status)


def reason(error: OSError) -> str:
    """Why a file could not be used: its name, and what the system says."""
    if error.strerror is None or isinstance(error, ZkynetError):  # ours say all that there is to say
        return sentence(error)
    absent = error.errno in (
        errno.ENOENT,
        errno.EISDIR,
        errno.ENOTDIR,
    )  # what is to be written is made, with its folder
    return f"cannot {'read' if absent else 'read or write'} {error.filename or 'a file'}: {error.strerror}"


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Add the settings of a task to a parser; see ``given``."""
    for option in options:
        text = option.explained.replace("%", "%%")
        if option.is_flag:
            parser.add_argument(option.flag, dest=option.name, action="store_const", const=True, help=text)
            continue
        takes: dict[str, Any] = {"type": _reader(option), "metavar": option.kind.metavar, "help": text}
        if option.positional:
            parser.add_argument(option.name, nargs="?", **takes)
        else:
            parser.add_argument(option.flag, dest=option.name, **takes)


def given(args: argparse.Namespace, options: Iterable[Option]) -> dict[str, Any]:
    """Those of the settings that were on the command line; every default of ``add_options`` is None."""
    values = {option.name: getattr(args, option.name) for option in options}
    return {name: value for name, value in values.items() if value is not None}


def _reader(option: Option) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return option.kind.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return the reader of an int option that is at least ``least`` and at most ``most``."""
    expected = f"a whole number of at least {least}" + (f" and at most {most}" if most is not None else "")

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return number

    return read


def positive_number(text: str) -> float:
    """Read a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number
