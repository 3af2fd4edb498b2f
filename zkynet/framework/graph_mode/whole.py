"""Programs on libraries that compile: a stretch is handed over whole, with its checks outside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from .branches import expect
from .program import Program


def compiled_whole(program: Program, donated: Iterable[int]) -> Callable[[list[Any]], list[Any]]:
    """A function of the list of a program's inputs, compiled by the library.

    ``donated`` are positions of inputs whose arrays the compiled program may overwrite: what their owner gets new
    arrays for. Nothing is overwritten where values have to be checked: a check that fails leaves all as it was.
    """
    checks = [step for step in program.steps if step.function == "expect"]
    if checks:
        program = program.replace(
            steps=[step for step in program.steps if step.function != "expect"],
            outputs=[*[step.args[0] for step in checks], *program.outputs],
        )
    given = [] if checks else sorted(donated)
    kept = [i for i in range(len(program.inputs)) if i not in given]
    places = {place: (k, True) for k, place in enumerate(given)} | {place: (k, False) for k, place in enumerate(kept)}
    order = [places[i] for i in range(len(program.inputs))]

    def run(owned: list[Any], read: list[Any]) -> list[Any]:
        return program(*[owned[k] if taken else read[k] for k, taken in order])

    compiled = program.xp.compile(run, donated=0)

    def function(arrays: list[Any]) -> list[Any]:
        read = [arrays[i] for i in kept]
        owned = [arrays[i] for i in given]
        arrays.clear()
        give_away(program.xp, owned)
        outputs = compiled(owned, read)
        for step, array in zip(checks, outputs, strict=False):
            expect(array, *step.args[1:])
        return outputs[len(checks) :]

    return function


def _references(items: list[Any], i: int) -> int:
    return sys.getrefcount(items[i])


_OWNED = _references([object()], 0) + 1  # what is counted for an array of its owner that stands in a list besides


def give_away(xp: Any, arrays: list[Any]) -> None:
    """Replace arrays that somebody besides their owner holds by copies: a program destroys what it gets."""
    for i in range(len(arrays)):
        if _references(arrays, i) > _OWNED:
            arrays[i] = xp.asarray(arrays[i], copy=True)
