"""What all commands share: a parser whose errors are one sentence, and the kinds of numbers that options take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that names a mistake in one sentence and does not guess abbreviated options."""

    def __init__(self, **settings: Any):
        settings = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **settings}
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def sentence(error: Exception) -> str:
    """Return the lines of an error message as one."""
    return "; ".join(line.strip().removesuffix(".") for line in str(error).splitlines())


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
