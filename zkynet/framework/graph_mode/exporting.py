"""export_numpy: a compiled function written out as a program that needs NumPy alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .export import Counted, write
from .program import Step, Value
from .replay import Replay
from .sources import Argument, Captured, Counter, Number, Possessed, Slot, Source


def export_numpy(compiled: Any, path: str | Path, *args: Any, **kwargs: Any) -> None:
    """Write what ``compiled`` does for a call with these arguments as the Python file ``path``, arrays beside it.

    ``compiled`` is what ``zk.compile`` returned, called with such arguments before; the arguments may be left out where
    only one kind of call is known. The file has ``load()``, which reads the parameters, states and slots from the
    ``.npz`` beside it, and ``step(state, *arguments)``, which returns the results and leaves their next values in
    ``state``: forward only, or a whole training step, as it was recorded. Numbers follow up to rounding. Random draws
    go on from where the generators stand; a learning rate stays what it is now. Checks of values are left out: the
    caller of the file gives valid labels and indices.

    ValueError where nothing is recorded for such a call, or where a value decides between several ways; TypeError for a
    program that is not NumPy's or that calls what cannot be written down.
    """
    replay = compiled.known_replay(args, kwargs)
    ready = replay.root
    if not ready.stretch.is_leaf:
        raise ValueError(
            "export_numpy writes a straight line, and here a value decides between several ways.\n"
            f"{compiled.explain()}\nExport a function without the condition."
        )
    leaf, inputs = ready.end, _inputs(replay)
    program = ready.program.replace(inputs=[value for value, _ in inputs])
    named = _names(inputs)
    roles = [(name, _role(source)) for name, source in named.values()]
    by_source = {source: name for name, source in named.values()}
    arrays = {name: _array(source) for name, source in named.values() if not isinstance(source, Argument)}
    count = len(leaf.results)
    outputs = list(zip(program.outputs[:count], [(f"result_{i}", "result") for i in range(count)], strict=True))
    for (sink, _), value in zip(leaf.sinks, program.outputs[count:], strict=True):
        if sink in by_source:  # what is written and never read is of no use to the next step
            outputs.append((value, (by_source[sink], _role(sink))))
    steps = list(program.steps)
    for value, (name, source) in named.items():
        if isinstance(source, Counter):
            moved = Value(-value.index, value.shape, value.dtype)
            draws = sum([s.generator is source.generator for _, s in named.values() if isinstance(s, Counter)])
            steps.append(Step("add", (value, type(source.read())(draws)), {}, moved))
            outputs.append((moved, (name, "counter")))
    program = program.replace(steps=steps, outputs=[value for value, _ in outputs])
    title = f"{compiled.name}, written out by zkynet."
    write(path, program, roles, [output for _, output in outputs], arrays, title)


def _inputs(replay: Replay) -> list[tuple[Value, Source]]:
    """The inputs of the only stretch, and the arguments that it does not read: a caller gives them all the same."""
    root = replay.root
    read = [(value, source) for value, source in root.inputs if source is not None]  # all: nothing is further up
    unread = [
        (value, source)
        for source, value in replay.tree.inputs.items()
        if isinstance(source, Argument) and value not in root.stretch.missing
    ]
    return sorted([*read, *unread], key=lambda pair: pair[0].index)


def _names(inputs: list[tuple[Value, Source]]) -> dict[Value, tuple[str, Source]]:
    """A name for each input that is a name in Python, too, and no other's."""
    found: dict[Value, tuple[str, Source]] = {}
    taken: set[str] = set()
    for value, source in inputs:
        base = re.sub(r"\W", "_", source.name)
        base = base if base.isidentifier() else f"array_{base}"
        name, k = base, 1
        while name in taken:
            k += 1
            name = f"{base}_{k}"
        taken.add(name)
        found[value] = name, source
    return found


def _role(source: Source) -> str:
    """What ``write`` calls the role of a source."""
    if isinstance(source, Possessed):
        return source.role if source.role in ("parameter", "state") else "constant"
    kinds = ((Argument, "argument"), (Slot, "slot"), (Number, "numbers"), (Counter, "counter"), (Captured, "constant"))
    return next(role for kind, role in kinds if isinstance(source, kind))


def _array(source: Source) -> Any:
    return Counted(*source.formula()) if isinstance(source, Number) else source.read()
