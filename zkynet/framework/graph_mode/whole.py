"""Programs on libraries that compile: a stretch is handed over whole, with its checks outside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..record import HOST
from .branches import expect
from .inputs import at_places
from .program import Program


def compiled_whole(
    program: Program, donated: Sequence[int] = (), scalars: Iterable[int] = ()
) -> Callable[[list[Any]], list[Any]]:
    """A function of the list of a program's inputs, which it empties, compiled by the library.

    ``donated`` are positions of inputs whose arrays the compiled program may overwrite, because their owner gets new
    ones: the program's last outputs, in the same order. Nothing is overwritten where values have to be checked: a check
    that fails leaves all as it was. ``scalars`` are positions of inputs that are NumPy scalars in every call: they go
    to the device as one array for each dtype.
    """
    checks = [step for step in program.steps if step.function == "expect"]
    if checks:
        program = program.replace(
            steps=[step for step in program.steps if step.function != "expect"],
            outputs=[*[step.args[0] for step in checks], *program.outputs],
        )
    given = [] if checks else list(donated)
    groups = _by_dtype(program, scalars)
    apart = {*given, *[i for group in groups for i in group]}
    kept = [i for i in range(len(program.inputs)) if i not in apart]
    count, last = len(given), len(program.outputs) - len(given)
    order = [*given, *kept, *[i for group in groups for i in group]]
    places = [order.index(i) for i in range(len(order))]

    def run(owned: list[Any], read: list[Any], packed: list[Any]) -> tuple[list[Any], Any]:
        """The last outputs first: the library lets the first that fits overwrite a donated array."""
        arrays = [*owned, *read, *[x for pack in packed for x in program.xp.unstack(pack)]]
        outputs = program(*[arrays[k] for k in places])
        return outputs[last:] + outputs[:last], independent(packed)

    compiled = program.xp.compile(run, donated=0)
    read_of, owned_of, packed_of = at_places(kept), at_places(given), [at_places(group) for group in groups]
    pack = HOST.namespace.array

    def function(arrays: list[Any]) -> list[Any]:
        read, owned, packed = read_of(arrays), owned_of(arrays), [pack(group(arrays)) for group in packed_of]
        arrays.clear()
        give_away(program.xp, owned)
        outputs, _ = compiled(owned, read, packed)
        for step, array in zip(checks, outputs, strict=False):
            expect(array, *step.args[1:])
        return outputs[len(checks) :] if checks else outputs[count:] + outputs[:count]

    return function


def independent(numbers: list[Any]) -> list[Any]:
    """A result that a compiled step may have beside its own, computed of ``numbers``, for its effect on XLA alone.

    XLA's CPU runtime leaves a program to its workers where enough of its steps can begin at once. One with fewer (that
    of an MLP has four) stays in the thread that started it, and shares each product with as many workers as there are
    cores: one thread too many. The step then took a tenth to a fifth longer; one more step that waits for nothing is
    enough.
    """
    return [x + x for x in numbers[:1]]


def _by_dtype(program: Program, scalars: Iterable[int]) -> list[list[int]]:
    """Positions of scalars, those of one dtype together."""
    groups: dict[Any, list[int]] = {}
    for i in scalars:
        groups.setdefault(program.inputs[i].dtype, []).append(i)
    return list(groups.values())


def _references(arrays: list[Any]) -> list[int]:
    return list(map(sys.getrefcount, arrays))


_OWNED = _references([object()])[0] + 1  # what is counted for an array of its owner that stands in a list besides


def give_away(xp: Any, arrays: list[Any]) -> None:
    """Replace arrays that somebody besides their owner holds by copies: a program destroys what it gets."""
    counts = _references(arrays)
    if max(counts, default=0) > _OWNED:
        for i, count in enumerate(counts):
            if count > _OWNED:
                arrays[i] = xp.asarray(arrays[i], copy=True)
