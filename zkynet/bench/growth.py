"""How the time of a training step grows with depth, batch, width and length: a table and a plot of each.

A kink is where zkynet's time grows faster than the work does, and faster than that of torch and of JAX.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from zkynet.bench import tasks
from zkynet.bench.goals import PEERS
from zkynet.bench.tables import Measured, Row, Table, by_task, measure, shown
from zkynet.bench.tasks import Task

KINK = 1.25  # how much faster than with every peer
OURS = ("zkynet", "zkynet graph")


class Sweep(NamedTuple):
    """Tasks by the size that is swept; the work grows with the power ``power`` of it at most."""

    title: str
    power: int
    tasks: dict[int, Task]


def _doubled(first: int, last: int) -> list[int]:
    return [first << i for i in range((last // first).bit_length())]


SWEEPS = {
    "depth": Sweep(
        "linear layers of 64 units, batch 32, Adam",
        1,
        {n: tasks.mlp((*[64] * n, 10)) for n in (1, 2, 3, 5, 10, 20, 30, 50, 100)},
    ),
    "batch": Sweep("batch of an MLP 784-256-128-10, Adam", 1, {n: tasks.mlp(batch=n) for n in _doubled(1, 4096)}),
    "width": Sweep(
        "units n of an MLP n-n-10, batch 32, Adam", 2, {n: tasks.mlp((n, n, 10)) for n in _doubled(16, 4096)}
    ),
    "sequence": Sweep(
        "times of a causal transformer block of 128, batch 1, Adam",
        2,
        {n: tasks.transformer(batch=1, times=n) for n in _doubled(16, 2048)},
    ),
}


def run(name: str, sweep: Sweep, rounds: int, folder: Path) -> dict[str, Any]:
    """Measure a sweep, print a line a size and its kinks, plot it into ``folder``, and return all of it."""
    print(f"\n{name}: {sweep.title}")
    print(f"  {'':>6}  {''.join(f'{title:>12}' for title in PEERS.values())}")
    folder.mkdir(parents=True, exist_ok=True)
    points: dict[int, Measured] = {}
    for size, task in sweep.tasks.items():
        row = Row(f"{name} {size}", f"{name} {size}", by_task(task))
        points[size] = found = measure(Table(sweep.title, PEERS, {}, []), row, rounds)
        each = [shown(median(found.values[peer]), "s") if peer in found.values else "-" for peer in PEERS]
        print(f"  {size:>6}  {''.join(f'{cell:>12}' for cell in each)}", flush=True)
        for failure in found.failures:
            print(f"  failed: {failure}")
    medians = {size: {peer: median(each) for peer, each in found.values.items()} for size, found in points.items()}
    steps = growths(medians, sweep.power)
    for step in steps:
        if step["kink"]:
            print("  kink of {peer} from {before} to {behind}: {growth:.2f} times, peers {peers:.2f}".format(**step))
    worst = max(steps, key=lambda step: step["growth"] / step["peers"], default=None)
    if worst is not None:
        print("  most beside the peers: {peer}, {before} to {behind}, {growth:.2f} times ({peers:.2f})".format(**worst))
    plot(name, sweep, medians, folder / f"growth-{name}.png")
    return {
        "title": sweep.title,
        "growths": steps,
        "points": {str(size): found.as_json() for size, found in points.items()},
        "failures": [failure for found in points.values() for failure in found.failures],
    }


def growths(medians: dict[int, dict[str, float]], power: int) -> list[dict[str, Any]]:
    """By how much each time of zkynet grows from a size to the next, beside the most of its peers.

    A ``kink`` is a growth by more than ``KINK`` times that of the peers, and more than the work grows by: a time that
    was mostly a constant, and comes to be mostly work, grows as it should.
    """
    found: list[dict[str, Any]] = []
    sizes = list(medians)
    for before, behind in zip(sizes, sizes[1:]):
        by_peer = {p: x / medians[before][p] for p, x in medians[behind].items() if p in medians[before]}
        others = [x for peer, x in by_peer.items() if peer not in OURS]
        for peer in OURS if others else ():
            if peer in by_peer:
                growth, most = by_peer[peer], max(others)
                kink = growth > KINK * max(most, 1) and growth > (behind / before) ** power
                row = {"peer": peer, "before": before, "behind": behind, "growth": growth}
                found.append({**row, "peers": most, "kink": kink})
    return found


def plot(name: str, sweep: Sweep, medians: dict[int, dict[str, float]], path: Path) -> None:
    """Draw the times over the sizes, both axes logarithmic."""
    from zkynet.visual import figures, style

    figure = figures.new_figure("zkynet bench --only growth", 6.4, 4.2, path)
    axes = figure.add_subplot()
    for (peer, title), colour in zip(PEERS.items(), figures.COLOURS):
        points = [(size, each[peer] * 1e3) for size, each in medians.items() if peer in each]
        if points:
            axes.plot(*zip(*points), label=title, color=colour, marker="o", markersize=3.5, linewidth=1.5)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel(sweep.title, **figures.text())
    axes.set_ylabel("milliseconds a training step", **figures.text())
    axes.grid(color=figures.GRID, linewidth=0.6)
    axes.tick_params(labelsize=figures.SMALL, colors=style.TEXT)
    axes.legend(fontsize=figures.SMALL, frameon=False)
    figures.heading(figure, name)
    figures.finished(figure, path)
