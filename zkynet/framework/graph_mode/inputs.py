"""What a stretch takes from outside, read anew in every replay: sources of one kind together, which is quicker."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any

from .program import Value
from .sources import Argument, Counter, Number, Source

_spec = attrgetter("shape", "dtype")


class MovedError(Exception):
    """An input of the program has another shape or dtype than it was recorded for."""


class Inputs:
    """The inputs of a stretch on the backend ``xp``: each a Value and its Source, None for what comes from further up.

    ``moves``: what is read is made an array of the backend; else it is so, or the backend takes it as it is.
    """

    def __init__(self, inputs: list[tuple[Value, Source | None]], xp: Any, moves: bool):
        self._xp, self._moves = xp, moves
        kinds: dict[Any, list[int]] = {None: [], Argument: []}
        scalars = [isinstance(source, (Number, Counter)) for _, source in inputs]  # of the host, wherever the rest is
        for i in sorted(range(len(inputs)), key=scalars.__getitem__):
            source = inputs[i][1]
            kinds.setdefault(None if source is None else type(source), []).append(i)
        places = [i for kind in kinds.values() for i in kind]
        self._above = [inputs[i][0] for i in kinds.pop(None)]
        arguments = [inputs[i][1] for i in kinds.pop(Argument)]
        self._arguments = [
            source.i for source in arguments if isinstance(source, Argument)
        ]  # all: the type is known so
        self._readers = [kind.together([inputs[i][1] for i in each]) for kind, each in kinds.items()]
        self._put = at_places(sorted(range(len(places)), key=places.__getitem__))
        # Arguments of another shape or dtype are another kind of call; but what a device makes of them is looked at.
        self._first = len(self._above) + (len(self._arguments) if xp.is_host else 0)
        self._scalars = len(inputs) - sum(scalars)
        self._checked = [inputs[i] for i in places[self._first :]]
        self._known: Any = None  # what told shapes and dtypes in the last call

    def read(self, above: dict[Value, Any], call: list[Any]) -> list[Any]:
        """The arrays, with those of a call and those from ``above``; MovedError where one is not what it was."""
        arrays = [above[value] for value in self._above] + [call[i] for i in self._arguments]
        for read in self._readers:
            arrays += read()
        if self._moves:
            arrays[self._first :] = map(self._xp.asarray, arrays[self._first :])
        if self._checked:
            specs = self._specs(arrays)
            if specs is None or specs != self._known:
                self._compare(arrays)
                self._known = specs
        return self._put(arrays)

    def _specs(self, arrays: list[Any]) -> Any:
        """Something equal for equal shapes and dtypes alone; None where some array is not the backend's own."""
        try:
            own = list(map(self._xp.spec_of, arrays[self._first : self._scalars]))
        except AttributeError:
            return None
        return own, list(map(_spec, arrays[self._scalars :]))

    def _compare(self, arrays: list[Any]) -> None:
        for (value, source), array in zip(self._checked, arrays[self._first :], strict=True):
            if array.shape != value.shape or array.dtype != value.dtype:
                raise MovedError(f"{source}: {value.dtype} {value.shape} -> {array.dtype} {tuple(array.shape)}")


def at_places(places: list[int]) -> Callable[[list[Any]], list[Any]]:
    """A function that gives a list of what stands at these places of a list."""
    if len(places) < 2:
        return lambda arrays: [arrays[i] for i in places]
    taken = itemgetter(*places)
    return lambda arrays: list(taken(arrays))
