"""What a compiled function does, in words: its plans, guards, retraces, and where time and memory go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from ..record import HOST
from .branches import Leaf
from .program import Program, function_of, map_values, paired
from .replay import Ready, Replay


def explained(compiled: Any, args: tuple, kwargs: dict[str, Any]) -> str:
    """The text of ``step.explain()``; with arguments, a run on them is timed step by step, and nothing is changed."""
    variants = [v for known in compiled._variants.values() for v in known]
    paths = sum([v.tree.paths for v in variants])
    lines = [f"{compiled.name}: {len(variants)} kinds of call, {paths} paths recorded, at most {compiled.max_paths}"]
    if compiled.eager_because is not None:
        lines.append(f"  runs eagerly, because: {compiled.eager_because}")
    for k, variant in enumerate(variants):
        lines.append(f"  {k + 1}. {variant.title}: {variant.replays} replays, {_milliseconds(variant)} each")
        lines.append(f"     guarded: {variant.surroundings}")
        if variant.replay is None:
            lines.append("     not replayed yet: arrays that another library made inside have to be seen twice")
            continue
        for depth, ready in _stretches(variant.replay):
            lines += ["     " + "  " * depth + line for line in _told(ready)]
    if compiled.retraces:
        lines.append(f"  recorded again {len(compiled.retraces)} times:")
        lines += [f"    {reason}" for reason in dict.fromkeys(compiled.retraces)]
    if args or kwargs:
        lines += _timed(compiled, args, kwargs)
    return "\n".join(lines)


def _milliseconds(variant: Any) -> str:
    return f"{1e3 * variant.seconds / variant.replays:.3f} ms" if variant.replays else "no time"


def _stretches(replay: Replay) -> Iterator[tuple[int, Ready]]:
    """All stretches, with their depth; those that have not run yet are made ready for it."""
    stack = [(0, replay.root)]
    while stack:
        depth, ready = stack.pop()
        yield depth, ready
        stack += [(depth + 1, child) for child in replay.children(ready)]


def _told(ready: Ready) -> list[str]:
    """Lines about one stretch."""
    recorded, steps = len(ready.stretch.steps), len(ready.program.steps)
    roles: dict[str, int] = {}
    for _, source in ready.inputs:
        role = "from above" if source is None else source.role
        roles[role] = roles.get(role, 0) + 1
    inputs = ", ".join(f"{count} {role}" for role, count in roles.items())
    lines = [f"{recorded} steps recorded, {steps} run; inputs: {inputs or 'none'}"]
    if ready.nbytes:
        lines.append(f"memory of the plan: {ready.nbytes / 2**20:.2f} MB")
    if ready.ways is not None:
        lines += ready.ways.report().splitlines()
    if ready.device is not None:
        lines += ready.device.report().splitlines()
    for step in ready.program.steps:
        if step.function == "expect":
            lines.append(f"checked: {_read(step.args[1], step.args[2])}, {_where(step.place)}")
    if not isinstance(ready.end, Leaf):
        guard = ready.end.end
        answers = ", ".join(str(outcome[1]) for outcome in ready.end.children)
        lines.append(f"fork: {guard.reader.__name__}(...) is one of {answers}, {_where(guard.place)}")
    return lines


def _read(reader: Any, outcome: Any) -> str:
    return f"{reader.__name__}(...) is {outcome[1]!r:.60}"


def _where(place: Any) -> str:
    return "in zkynet" if place is None else f"{place[0]}:{place[1]}"


def _timed(compiled: Any, args: tuple, kwargs: dict[str, Any]) -> list[str]:
    """Lines about a run on these arguments, in which each step is timed; what it computes is thrown away."""
    taken: dict[tuple[str, str, str], list[float]] = {}
    with HOST.errstate():
        compiled.walk(lambda program, arrays: _run_timed(program, arrays, taken), args, kwargs)
    total = sum([seconds for seconds, _ in taken.values()]) or 1.0
    head = "     time    share  made       function, operator, place"
    lines = [f"  one run, step by step: {1e3 * total:.3f} ms", head]
    for (function, rule, place), (seconds, nbytes) in sorted(taken.items(), key=lambda item: -item[1][0])[:20]:
        share = f"{100 * seconds / total:5.1f} %"
        lines.append(f"  {1e3 * seconds:8.3f} ms {share} {nbytes / 2**20:7.2f} MB  {function}, {rule or '-'}, {place}")
    return lines


def _run_timed(program: Program, arrays: list[Any], taken: dict[tuple[str, str, str], list[float]]) -> list[Any]:
    known = dict(program.constants)
    known.update(zip(program.inputs, arrays, strict=True))
    for step in program.steps:
        args, kwargs = map_values(known.__getitem__, step.args), map_values(known.__getitem__, step.kwargs)
        start = time.perf_counter()
        made = function_of(program.xp, step.function)(*args, **kwargs)
        for _, array in paired(step.outputs, made):
            program.xp.synchronize(array)
        rule = step.place.rule if step.place else ""
        entry = taken.setdefault((step.function, rule, _where(step.place)), [0.0, 0.0])
        entry[0] += time.perf_counter() - start
        pairs = list(paired(step.outputs, made))
        entry[1] += sum([getattr(array, "nbytes", 0) for _, array in pairs])
        known.update(pairs)
    return [known[value] for value in program.outputs]
