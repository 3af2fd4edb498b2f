"""Loss and accuracy by epoch as a picture: SVG with nothing but text, PNG with matplotlib where that is installed."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

WIDTH, HEIGHT = 760, 300
TOP, BOTTOM = 40, 250  # of the plots, in points from the top
PANEL = 300  # the width of a plot
INK, GRID = "#333333", "#dddddd"


class Panel(NamedTuple):
    """One plot: its title, its left edge, its colour, and a value per epoch."""

    title: str
    left: int
    colour: str
    values: list[float]


def _panels(epochs: Sequence[Any]) -> tuple[Panel, Panel]:
    loss = Panel("train loss", 60, "#1f5fa8", [each.loss for each in epochs])
    return loss, Panel("test accuracy", 440, "#b3361e", [each.accuracy for each in epochs])


def svg(epochs: Sequence[Any]) -> bytes:
    """Return the curves of ``epochs``, which have ``number``, ``loss`` and ``accuracy``, as an SVG file."""
    numbers = [each.number for each in epochs]
    body = "\n".join(_plot(panel, numbers) for panel in _panels(epochs))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="sans-serif" font-size="12">\n<title>loss and accuracy by epoch</title>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    ).encode()


def png(epochs: Sequence[Any]) -> bytes | None:
    """Return the same curves as a PNG file, or None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(7.6, 3), layout="constrained")
    for axes, panel in zip(figure.subplots(1, 2), _panels(epochs), strict=True):
        axes.plot([each.number for each in epochs], panel.values, marker=".", color=panel.colour)
        axes.set(title=panel.title, xlabel="epoch")
        axes.grid(color=GRID)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _plot(panel: Panel, numbers: list[int]) -> str:
    """One plot: grid, labels, curve; a value that is not finite leaves a gap."""
    finite = [value for value in panel.values if math.isfinite(value)] or [0.0]
    y_ticks = ticks(min(finite), max(finite))
    x_ticks = [t for t in ticks(numbers[0], numbers[-1]) if numbers[0] <= t <= numbers[-1] and t == int(t)]
    low, high = min(*y_ticks, *finite), max(*y_ticks, *finite)

    def x(number: float) -> float:
        return panel.left + PANEL * (number - numbers[0]) / max(1, numbers[-1] - numbers[0])

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    right, middle = panel.left + PANEL, panel.left + PANEL / 2
    parts = [_text(middle, TOP - 14, panel.title, "middle"), _text(middle, HEIGHT - 12, "epoch", "middle")]
    for tick in y_ticks:
        parts += [_line(panel.left, y(tick), right, y(tick)), _text(panel.left - 6, y(tick) + 4, f"{tick:g}", "end")]
    for tick in x_ticks:
        parts += [_line(x(tick), BOTTOM, x(tick), TOP), _text(x(tick), BOTTOM + 16, f"{tick:g}", "middle")]
    points = [(x(n), y(v)) if math.isfinite(v) else None for n, v in zip(numbers, panel.values, strict=True)]
    return "\n".join([*parts, *_curve(points, panel.colour)])


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
