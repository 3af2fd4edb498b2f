"""The figures of a run by epoch as a picture: SVG with nothing but text, PNG with matplotlib where it is installed."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

HEIGHT = 300
TOP, BOTTOM = 40, 250  # of the plots, in points from the top
LEFT, PANEL, GAP = 60, 300, 80  # the edge of the first plot, the width of each, and what lies between two
MOST = 4  # plots
INK, GRID = "#333333", "#dddddd"
COLOURS = ("#1f5fa8", "#b3361e")
APART = ("epoch", "seconds")  # in a history, and no figures of the model
VALIDATION = "validation_"  # before the name of a figure: the same of data kept out of training

History = Sequence[Mapping[str, Any]]


class Panel(NamedTuple):
    """One plot: its left edge, and curves: the title of each, its colour, and a value per epoch."""

    left: int
    curves: list[tuple[str, str, list[float]]]

    @property
    def title(self) -> str:
        return ", ".join(title for title, *_ in self.curves)


def panels(history: History, names: Mapping[str, str] | None = None) -> list[Panel]:
    """The plots of ``history``, the list of dicts that ``Trainer.fit`` returns: a figure each, beside its validation.

    ``names``: titles of figures, where their own names would not do. Figures that are no numbers are left out.
    """
    names = names or {}
    figures = [name for name in dict.fromkeys(name for each in history for name in each) if name not in APART]
    figures = [name for name in figures if any(_is_number(each.get(name)) for each in history)]
    firsts = [
        name
        for name in figures
        if name.removeprefix(VALIDATION) == name or name.removeprefix(VALIDATION) not in figures
    ]
    result = []
    for place, name in enumerate(firsts[:MOST]):
        shown = [each for each in (name, VALIDATION + name) if each in figures]
        curves = [
            (
                names.get(each, each.replace("_", " ")),
                COLOURS[i if len(shown) > 1 else place % 2],
                _values(history, each),
            )
            for i, each in enumerate(shown)
        ]
        result.append(Panel(LEFT + place * (PANEL + GAP), curves))
    return result


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _values(history: History, name: str) -> list[float]:
    return [float(each[name]) if _is_number(each.get(name)) else math.nan for each in history]


def svg(history: History, names: Mapping[str, str] | None = None) -> bytes:
    """Return the curves of ``history`` as an SVG file; see ``panels``."""
    numbers = [each["epoch"] for each in history]
    found = panels(history, names)
    width = max(1, len(found)) * (PANEL + GAP)
    body = "\n".join(_plot(panel, numbers) for panel in found)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}"'
        ' font-family="sans-serif" font-size="12">\n<title>figures by epoch</title>\n'
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    ).encode()


def png(history: History, names: Mapping[str, str] | None = None) -> bytes | None:
    """Return the same curves as a PNG file, or None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    found = panels(history, names)
    figure = Figure(figsize=(3.8 * max(1, len(found)), 3), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(found), squeeze=False)[0] if found else (), found, strict=True):
        for title, colour, values in panel.curves:
            axes.plot([each["epoch"] for each in history], values, marker=".", color=colour, label=title)
        axes.set(title=panel.title, xlabel="epoch")
        axes.grid(color=GRID)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _plot(panel: Panel, numbers: list[int]) -> str:
    """One plot: grid, labels, curves; a value that is not finite leaves a gap."""
    finite = [value for *_, values in panel.curves for value in values if math.isfinite(value)] or [0.0]
    y_ticks = ticks(min(finite), max(finite))
    x_ticks = [t for t in ticks(numbers[0], numbers[-1]) if numbers[0] <= t <= numbers[-1] and t == int(t)]
    low, high = min(*y_ticks, *finite), max(*y_ticks, *finite)

    def x(number: float) -> float:
        return panel.left + PANEL * (number - numbers[0]) / max(1, numbers[-1] - numbers[0])

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    right, middle = panel.left + PANEL, panel.left + PANEL / 2
    parts = [_title(panel, middle), _text(middle, HEIGHT - 12, "epoch", "middle")]
    for tick in y_ticks:
        parts += [_line(panel.left, y(tick), right, y(tick)), _text(panel.left - 6, y(tick) + 4, f"{tick:g}", "end")]
    for tick in x_ticks:
        parts += [_line(x(tick), BOTTOM, x(tick), TOP), _text(x(tick), BOTTOM + 16, f"{tick:g}", "middle")]
    for _, colour, values in panel.curves:
        points = [(x(n), y(v)) if math.isfinite(v) else None for n, v in zip(numbers, values, strict=True)]
        parts += _curve(points, colour)
    return "\n".join(parts)


def _title(panel: Panel, middle: float) -> str:
    """The names of the curves; each in its colour where there are several."""
    if len(panel.curves) == 1:
        return _text(middle, TOP - 14, panel.title, "middle")
    spans = "".join(f'<tspan fill="{colour}" dx="8">{escape(title)}</tspan>' for title, colour, _ in panel.curves)
    return f'<text x="{middle:.1f}" y="{TOP - 14}" text-anchor="middle">{spans}</text>'


def _curve(points: list[tuple[float, float] | None], colour: str) -> list[str]:
    """A dot for each point, and lines between neighbours."""
    parts = [
        f'<path d="M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" stroke="{colour}" stroke-width="2"/>'
        for a, b in zip(points, points[1:], strict=False)
        if a and b
    ]
    return parts + [f'<circle cx="{p[0]:.1f}" cy="{p[1]:.1f}" r="2.5" fill="{colour}"/>' for p in points if p]


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{GRID}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}">{escape(text)}</text>'


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers, in steps of 1, 2 or 5 times a power of ten, that enclose ``low`` and ``high``."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]
