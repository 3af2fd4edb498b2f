"""Curves of training: figures by epoch, or by step, of one run or of several together."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zkynet.visual.figures import (
    COLOURS,
    FONT,
    GRID,
    LARGE,
    NORMAL,
    SMALL,
    TITLE_LINE,
    finished,
    heading,
    new_figure,
    shortened,
    text,
    title_lines,
)
from zkynet.visual.style import BOX_STROKE, DETAIL_TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG = "log.jsonl"
HELD_OUT = "validation_"  # what begins the name of a figure of the validation data
NO_CURVES = frozenset(("epoch", "epochs", "step", "batch", "samples"))
TIMES = ("seconds", "per_second")  # what ends the name of a figure of time, shown when asked for
MOST_DOTS, MOST_DOTTED = 40, 3  # points of a curve that each get a dot, and runs
ACROSS = 3  # panels beside each other
PANEL, LEGEND_LINE = (4.2, 3.1), 0.18  # inches


class Curve(NamedTuple):
    """One line of a panel: its run and whether it is of validation data, and a value (NaN: none) for each position."""

    run: str
    held_out: bool
    positions: list[float]
    values: list[float]


def plot_curves(
    runs: Any,
    save_path: str | PathLike[str] | None = None,
    *,
    figures: Sequence[str] | None = None,
    by: str = "epoch",
    log: Sequence[str] = (),
    title: str | None = None,
) -> Figure:
    """Plot the figures of training runs by epoch: a panel each, with those of training and validation data in one.

    ``runs`` is what ``Trainer.fit`` returns (a list of dicts, one an epoch), the path of a ``log.jsonl`` or of a run's
    folder that holds one, or several of these as a dict by name. ``figures`` names the panels, "loss" for that of loss
    and validation_loss; by default there is one for every figure but times. ``by="step"`` shows the lines of a log
    that were written between epochs. ``log`` names the panels whose axis is logarithmic. A value that is not finite
    leaves a gap, and a cross at the foot of the panel.

    Returns the matplotlib Figure, and writes it to ``save_path`` where one is given: .png, .svg or .pdf. ValueError
    where there is nothing to plot, or a line of a log cannot be read; OSError for files that cannot be read or written;
    BackendNotAvailable, an ImportError, without matplotlib.
    """
    if by not in ("epoch", "step"):
        raise ValueError(f"plot_curves: curves go by 'epoch' or by 'step'.\n  got:      by={by!r}")
    named = _named(runs)
    panels = _panels({name: read_run(run, by) for name, run in named.items()}, by)
    logarithmic = _chosen(panels, log)
    panels = _chosen(panels, [name for name in panels if not name.endswith(TIMES)] if figures is None else figures)
    if not panels:
        raise ValueError("plot_curves: there is no figure to plot, or none but times.\n  expected: figures=(name, ...)")
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    words = _legend(named, panels)
    width = max(5.0, PANEL[0] * across)
    columns = max(1, min(len(words), int(width / (0.085 * max(map(len, words), default=1) + 0.6))))
    height = PANEL[1] * down + LEGEND_LINE * math.ceil(len(words) / columns) + 0.1
    height += TITLE_LINE * len(title_lines(title, width))
    figure = new_figure("A plot of curves", width, height, save_path)
    cells = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, curves) in zip(cells, panels.items(), strict=False):
        _draw(axes, name, curves, list(named), by, logarithmic=name in logarithmic)
    for axes in cells[len(panels) :]:
        axes.set_axis_off()
    if words:
        _legend_of_runs(figure, list(named), words, columns)
    heading(figure, title)
    return finished(figure, save_path)


# ---- reading ----


def read_run(run: Any, by: str = "epoch") -> list[dict[str, float]]:
    """The figures of a run, a dict an epoch or step: of a history, a ``log.jsonl``, or a folder that holds one."""
    lines = _lines(Path(fspath(run))) if isinstance(run, (str, PathLike)) else run
    found = []
    for line in lines:
        if not isinstance(line, Mapping):
            raise ValueError(
                f"plot_curves: a history is a list of dicts, one an epoch.\n  got:      {type(line).__name__} in it"
            )
        figures = {str(k): math.nan if v is None else float(v) for k, v in line.items() if _is_number(v)}
        is_step = "step" in line
        if by in figures and is_step == (by == "step") and "stopped" not in line:
            found.append(figures)
    return found


def _is_number(x: Any) -> bool:
    return x is None or (isinstance(x, numbers.Real) and not isinstance(x, bool))


def _lines(path: Path) -> Iterable[Any]:
    path = path / LOG if path.is_dir() else path
    with open(path, encoding="utf-8") as file:
        content = file.read()
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            if not content.endswith("\n") and line == content.rpartition("\n")[2]:
                return  # the last line of a run that is writing it, or was killed there
            raise ValueError(f"{path}: line {number} is no JSON: {error}") from error


def _named(runs: Any) -> dict[str, Any]:
    """Runs by name; a single one is called by no name."""
    if isinstance(runs, Mapping):
        if not runs:
            raise ValueError("plot_curves: there is no run in the dict")
        return {str(name): run for name, run in runs.items()}
    return {"": runs}


def _panels(runs: Mapping[str, list[dict[str, float]]], by: str) -> dict[str, list[Curve]]:
    """The curves of each panel by its name, the loss first."""
    panels: dict[str, list[Curve]] = {}
    for name, lines in runs.items():
        for key in dict.fromkeys(key for line in lines for key in line if key not in NO_CURVES):
            points = [(line[by], line[key]) for line in lines if key in line]  # some figures come every few epochs
            curve = Curve(name, key.startswith(HELD_OUT), *map(list, zip(*points, strict=True)))
            panels.setdefault(key.removeprefix(HELD_OUT), []).append(curve)
    if not panels:
        raise ValueError(
            f"plot_curves: there is nothing to plot by {by}.\n"
            f"  expected: at least one {by} with a figure, such as {{'{by}': 1, 'loss': 0.5}}"
        )
    return {name: panels[name] for name in sorted(panels, key=lambda name: name != "loss")}


def _chosen(panels: dict[str, list[Curve]], figures: Sequence[str]) -> dict[str, list[Curve]]:
    """The panels called ``figures``, in that order."""
    if isinstance(figures, str):
        figures = (figures,)
    wanted = dict.fromkeys(name.removeprefix(HELD_OUT) for name in figures)
    unknown = [name for name in wanted if name not in panels]
    if unknown:
        raise ValueError(f"plot_curves: there is no figure {unknown[0]!r}.\n  expected one of: {', '.join(panels)}")
    return {name: panels[name] for name in wanted}


# ---- drawing ----


def _draw(axes: Any, name: str, curves: list[Curve], runs: list[str], by: str, logarithmic: bool) -> None:
    """One panel."""
    several = len(runs) > 1
    for curve in curves:
        colour = _colours(runs)[runs.index(curve.run)] if several else COLOURS[int(curve.held_out)]
        dashes = "dashed" if several and curve.held_out else "solid"
        _draw_curve(axes, curve, colour, dashes, dotted=len(runs) <= MOST_DOTTED)
    axes.set_title(shortened(name.replace("_", " "), 44), **text(LARGE))
    is_whole = all(math.isfinite(value) for curve in curves for value in curve.values)
    axes.set_xlabel(by if is_whole else f"{by}  (× not finite)", **text(SMALL, DETAIL_TEXT))
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if logarithmic:
        axes.set_yscale("log", nonpositive="mask")
    _set_positions(axes, [p for curve in curves for p in curve.positions])
    if not any(math.isfinite(value) for curve in curves for value in curve.values):
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite value", ha="center", transform=axes.transAxes, **text(NORMAL, DETAIL_TEXT))
    _plain_ticks(axes)
    if not several and len(curves) > 1:
        axes.legend(prop={"size": SMALL}, framealpha=0.85, edgecolor=BOX_STROKE)


def _colours(runs: list[str]) -> list[Any]:
    """A colour for each run; of many, along a scale in the order in which they are given."""
    if len(runs) <= len(COLOURS):
        return list(COLOURS)
    from matplotlib import colormaps

    return [colormaps["viridis"](0.92 * i / (len(runs) - 1)) for i in range(len(runs))]


def _draw_curve(axes: Any, curve: Curve, colour: Any, dashes: str, dotted: bool) -> None:
    """A line with a dot at every point, or where there are many only at those that have no neighbour."""
    finite = [math.isfinite(value) for value in curve.values]
    if dotted and len(finite) <= MOST_DOTS:
        dots = [i for i, is_there in enumerate(finite) if is_there]
    else:
        around = [False, *finite, False]
        dots = [i for i, is_there in enumerate(finite) if is_there and not around[i] and not around[i + 2]]
    values = [value if is_there else math.nan for value, is_there in zip(curve.values, finite, strict=True)]
    label = "validation" if curve.held_out else "training"
    axes.plot(
        curve.positions,
        values,
        color=colour,
        linestyle=dashes,
        linewidth=1.6,
        marker="o",
        markersize=3.5,
        markevery=dots,
        label=label,
    )
    gaps = [p for p, is_there in zip(curve.positions, finite, strict=True) if not is_there]
    if gaps:
        feet = axes.get_xaxis_transform()  # positions along x, shares of the height along y
        axes.plot(gaps, [0.03] * len(gaps), "x", color=colour, markersize=5, transform=feet, label="_", clip_on=False)


def _set_positions(axes: Any, positions: list[float]) -> None:
    """Whole numbers along the axis, and a width also where all points stand above each other."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(positions), max(positions)
    ticks = MaxNLocator(nbins=8, integer=True, steps=(1, 2, 5, 10), min_n_ticks=1).tick_values(low, high)
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    margin = 0.5 if low == high else 0.04 * (high - low)
    axes.set_xlim(low - margin, high + margin)


def _plain_ticks(axes: Any) -> None:
    axes.tick_params(which="both", labelsize=SMALL, color=BOX_STROKE, labelcolor=DETAIL_TEXT)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(BOX_STROKE)


def _legend(runs: Mapping[str, Any], panels: Mapping[str, list[Curve]]) -> list[str]:
    """The words below the panels of several runs: the runs, and what the dashes mean."""
    if len(runs) == 1:
        return []
    held_out = any(curve.held_out for curves in panels.values() for curve in curves)
    return [shortened(run, 48) for run in runs] + (["training", "validation"] if held_out else [])


def _legend_of_runs(figure: Figure, runs: list[str], words: list[str], columns: int) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colour, linewidth=2) for _, colour in zip(runs, _colours(runs), strict=False)]
    lines += [Line2D([], [], color=DETAIL_TEXT, linestyle=dashes) for dashes in ("solid", "dashed")]
    font = {"size": SMALL, "family": FONT}
    legend = figure.legend(
        lines[: len(words)], words, loc="outside lower center", ncols=columns, prop=font, frameon=False
    )
    for each in legend.get_texts():
        each.set_parse_math(False)
