"""Tables of goals: rows that are measured by several peers in turns, the ratios of their times, and limits for these.

A row is measured in rounds, A B C A B C ..., each peer in a process of its own, so that threads which one library
leaves awake disturb no other. A ratio is the median of those of the rounds, with their quartiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from zkynet.bench import child
from zkynet.bench.race import Server, take_turns
from zkynet.bench.tasks import Task
from zkynet.bench.workloads import FLOOR, TOLERANCE, DifferentResultsError, ProcessError, missing

TURN = 0.1  # seconds that a turn should take

Sampler = Callable[[], float]
# A function (peer, stack, folder) that starts a peer and gives the function for its turns.
Start = Callable[[str, ExitStack, Path], Sampler]


class Row(NamedTuple):
    """One thing to measure.

    ``goals`` are the largest ratios by the names of their columns; ``equal`` those where BLAS is told to use a narrower
    kernel, so that matrix products are as fast as torch's: the ones against torch unless given.
    """

    name: str
    title: str
    start: Start
    goals: dict[str, float] = {}
    equal: dict[str, float] | None = None
    unit: str = "s"  # or "B", bytes
    peers: tuple[str, ...] = ()  # those that take part, where not all of the table's do
    rounds: int = 1_000_000  # at most


class Table(NamedTuple):
    """Rows with the same columns: ``peers`` and ``ratios``, pairs of peers, by what their columns are called."""

    title: str
    peers: dict[str, str]
    ratios: dict[str, tuple[str, str | None]]  # of the first to the second; None: the first as it is
    rows: list[Row]


class Spread(NamedTuple):
    """The median, and the quartiles."""

    median: float
    low: float
    high: float


class Verdict(NamedTuple):
    """A ratio beside its goal; ``met`` is None where there is none."""

    ratio: Spread
    goal: float | None
    met: bool | None


class Measured(NamedTuple):
    """A row's values by peer, a list of rounds; its verdicts by column; why a peer is absent, and what failed."""

    row: Row
    values: dict[str, list[float]]
    verdicts: dict[str, Verdict]
    absent: dict[str, str]
    failures: list[str]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        verdicts = {
            name: {**each.ratio._asdict(), "goal": each.goal, "met": each.met} for name, each in self.verdicts.items()
        }
        plain = {"values": self.values, "ratios": verdicts, "absent": self.absent, "failures": self.failures}
        return {"title": self.row.title, "unit": self.row.unit, **plain}


def by_task(task: Task) -> Start:
    """Each peer's process computes the task: what it computes is compared before anything is timed."""

    def start(peer: str, stack: ExitStack, folder: Path) -> Sampler:
        arguments = child.arguments(peer, task, results=str(folder / f"{peer}.npz"))
        return stack.enter_context(Server(arguments, TURN)).sample

    return start


def by_function(sample: Callable[[str], float]) -> Start:
    """``sample(peer)`` gives the value of a turn."""
    return lambda peer, stack, folder: lambda: sample(peer)


def measure(table: Table, row: Row, rounds: int, equal: bool = False) -> Measured:
    """Measure one row by all peers that are here; a peer that fails or computes something else is left out."""
    samplers, absent, failures = {}, {}, []
    values: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="zkynet-bench-")))
        for peer in row.peers or table.peers:
            reason = missing(peer)
            if reason is not None:
                absent[peer] = reason
                continue
            try:
                samplers[peer] = row.start(peer, stack, folder)
                check(peer, folder, next(iter(samplers)))
            except (ProcessError, DifferentResultsError) as error:
                samplers.pop(peer, None)
                failures.append(f"{row.name}: {peer}: {error}")
        try:
            values = take_turns(samplers, min(rounds, row.rounds))
        except ProcessError as error:
            failures.append(f"{row.name}: {error}")
    return Measured(row, values, verdicts(table, goals_of(row, equal), values), absent, failures)


def goals_of(row: Row, equal: bool) -> dict[str, float]:
    """The goals of a row: with ``equal`` for a narrower kernel of BLAS, which JAX does not use."""
    if not equal:
        return row.goals
    return {name: x for name, x in row.goals.items() if "jax" not in name} if row.equal is None else row.equal


def check(peer: str, folder: Path, first: str) -> None:
    """DifferentResultsError where what ``peer`` has written is not what the first peer has."""
    if peer == first or not (folder / f"{peer}.npz").exists():
        return
    with np.load(folder / f"{peer}.npz") as theirs, np.load(folder / f"{first}.npz") as ours:
        if len(theirs) != len(ours):
            raise DifferentResultsError(f"it gives {len(theirs)} arrays, {first} {len(ours)}")
        for name in ours:
            a, b = theirs[name], ours[name]
            if a.shape != b.shape or not np.max(np.abs(a - b)) <= FLOOR + TOLERANCE * np.max(np.abs(b)):
                raise DifferentResultsError(f"it computes {np.ravel(a)[:5]}, {first} {np.ravel(b)[:5]}")


def verdicts(table: Table, goals: dict[str, float], values: dict[str, list[float]]) -> dict[str, Verdict]:
    """The ratios of the peers that were measured, each beside its goal."""
    found = {}
    for name, (ours, theirs) in table.ratios.items():
        if ours not in values or theirs not in (None, *values):
            continue
        each = values[ours] if theirs is None else [a / b for a, b in zip(values[ours], values[theirs], strict=True)]
        ratio, goal = spread(each), goals.get(name)
        if theirs is not None or goal is not None:
            found[name] = Verdict(ratio, goal, None if goal is None else ratio.median <= goal)
    return found


def spread(numbers: list[float]) -> Spread:
    """The median of some numbers, and their quartiles."""
    low, middle, high = quantiles(numbers * (1 + (len(numbers) == 1)), n=4, method="inclusive")
    return Spread(middle, low, high)


# ---- the text ----


def text(table: Table, measured: Measured) -> str:
    """The lines of a row: what each peer takes, and each ratio with its quartiles beside its goal."""
    row = measured.row
    lines = [f"\n{row.name}: {row.title}"]
    lines.append(
        "  " + "   ".join(f"{table.peers[p]} {shown(median(v), row.unit)}" for p, v in measured.values.items())
    )
    for name, (ratio, goal, met) in measured.verdicts.items():
        show = _plain if table.ratios[name][1] is not None else lambda x: shown(x, row.unit)
        said = "" if goal is None else f"   goal {show(goal)}: {'met' if met else 'missed'}"
        lines.append(f"  {name:<10} {show(ratio.median)} ({show(ratio.low)} to {show(ratio.high)}){said}")
    lines += [f"  without {table.peers[peer]}: {reason}" for peer, reason in measured.absent.items()]
    lines += [f"  failed: {failure}" for failure in measured.failures]
    return "\n".join(lines)


def summary(rows: Iterable[Measured]) -> str:
    """How many goals are met, and which are missed."""
    judged = [(row.row.name, name, each) for row in rows for name, each in row.verdicts.items() if each.met is not None]
    missed = [f"{row} {name}" for row, name, each in judged if not each.met]
    return f"goals met: {len(judged) - len(missed)} of {len(judged)}; missed: {', '.join(missed) or 'none'}"


def markdown(table: Table, rows: Iterable[Measured]) -> str:
    """The whole table, a line a row: the times, then each ratio with its quartiles and its goal, bold where missed."""
    ratios = {name: pair for name, pair in table.ratios.items() if pair[1] is not None}
    columns = ["", *table.peers.values(), *ratios]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for measured in rows:
        cells = [_value(table, measured, peer) for peer in table.peers]
        cells += [_ratio(measured.verdicts.get(name)) for name in ratios]
        lines.append(f"| {measured.row.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _value(table: Table, measured: Measured, peer: str) -> str:
    """What a peer takes, and the goal for that where there is one."""
    if peer not in measured.values:
        return "-"
    unit = measured.row.unit
    number = shown(median(measured.values[peer]), unit)
    for name, pair in table.ratios.items():
        verdict = measured.verdicts.get(name)
        if pair == (peer, None) and verdict is not None and verdict.goal is not None:
            number = f"{number if verdict.met else f'**{number}**'} (goal {shown(verdict.goal, unit)})"
    return number


def _ratio(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    (middle, low, high), goal, met = verdict
    number = f"**{_plain(middle)}**" if met is False else _plain(middle)
    return f"{number} ({_plain(low)} to {_plain(high)}{'' if goal is None else f'; goal {_plain(goal)}'})"


def shown(x: float, unit: str) -> str:
    """A number of seconds or bytes in the unit that suits it."""
    for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if unit == "s" else ((1e6, "MB"), (1e3, "kB")):
        if abs(x) >= size:
            return f"{x / size:.3g} {name}" if x < 1000 * size else f"{x / size:,.0f} {name}"
    return f"{x / size:.3g} {name}"


def _plain(x: float) -> str:
    return f"{x:.2f}" if x >= 0.1 else f"{x:.3f}"
