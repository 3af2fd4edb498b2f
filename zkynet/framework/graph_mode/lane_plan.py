"""A program that runs in one lane or two, whichever is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zkynet.backends.numpy import give_back_memory

from .lane_choice import Choice, lanes_possible
from .lanes import Lanes, Runner, find, run
from .program import Program, Value


def _free(functions: Iterable[Runner]) -> None:
    for f in functions:
        getattr(f, "free", _nothing)()


def _nothing() -> None:
    """A function that keeps no memory."""


class TwoWays:
    """A function of the list of a program's inputs, which it may empty: ``whole``, or the same in two lanes.

    ``make(program, own)`` gives the function of a program (its ``free``, if it has one, gives back memory); ``own``
    says whether its outputs leave and so must share memory with nothing. The lanes' are made when first needed.
    ``choice`` decides and remembers.
    """

    def __init__(self, whole: Runner, lanes: Lanes, make: Callable[[Program, bool], Runner], choice: Choice):
        self.whole, self.lanes, self.choice = whole, lanes, choice
        self._make = make
        self._three: tuple[Runner, Runner, Runner] | None = None
        self._settled = False

    def __call__(self, arrays: list[Any]) -> Sequence[Any]:
        if self._settled:
            return self.whole(arrays) if self.choice.lanes == 1 else self._two(arrays)
        outputs = self.choice.run(lambda: self._one(arrays), lambda: self._two(arrays))
        if self.choice.lanes is not None:
            self._settled = True
            _free((self.whole,) if self.choice.lanes == 2 else self._three or ())
            self._three = None if self.choice.lanes == 1 else self._three
            give_back_memory()
        return outputs

    def _one(self, arrays: list[Any]) -> Sequence[Any]:
        _free(self._three or ())  # while both are measured one at a time keeps its memory
        return self.whole(arrays)

    def _two(self, arrays: list[Any]) -> Sequence[Any]:
        if not self._settled:
            _free((self.whole,))
        if self._three is None:
            lanes = self.lanes
            self._three = self._make(lanes.before, False), self._make(lanes.first, False), self._make(lanes.rest, True)
        return run(self.lanes, *self._three, arrays, self.whole)

    def report(self) -> str:
        """The lanes, and why they are taken or not, in words."""
        return f"{self.choice.report()}\n{self.lanes!r}"


def two_ways(
    program: Program,
    arguments: Iterable[Value],
    whole: Runner,
    make: Callable[[Program, bool], Runner],
    deterministic: bool = False,
) -> TwoWays | None:
    """``whole``, which runs the program, with two lanes beside it; None where there is nothing to choose.

    ``arguments`` are the inputs among which the batch is looked for: those that come with each call.
    """
    lanes = find(program, arguments)
    return None if lanes is None else TwoWays(whole, lanes, make, Choice(deterministic, lanes_possible()))
