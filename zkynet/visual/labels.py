"""The lines of text in a node, and with them its size."""

from __future__ import annotations

from dataclasses import dataclass

from zkynet.visual import style
from zkynet.visual.picture import PictureNode
from zkynet.visual.text import shorten, text_width, wrap


@dataclass(frozen=True)
class Line:
    text: str
    size: float
    colour: str
    bold: bool = False

    @property
    def width(self) -> float:
        return text_width(self.text, self.size, self.bold)

    @property
    def height(self) -> float:
        return self.size * style.LINE_HEIGHT


def lines_of(node: PictureNode) -> list[Line]:
    """What is written in ``node``, from top to bottom, each line at most ``style.WIDEST`` wide."""
    title = shorten(_one_line(node.title), style.TITLE_SIZE, style.WIDEST, bold=True)
    lines = [Line(title, style.TITLE_SIZE, style.TEXT, bold=True)]
    lines += _small(" · ".join(node.details), style.DETAIL_TEXT)
    if node.value is not None:
        lines += _small(node.value, style.VALUE_TEXT)
    if node.gradient is not None:
        lines += _small(f"grad {node.gradient}", style.GRADIENT_TEXT)
    return lines


def _small(text: str, colour: str) -> list[Line]:
    pieces = wrap(_one_line(text), style.LINE_SIZE, style.WIDEST) if text else []
    return [Line(piece, style.LINE_SIZE, colour) for piece in pieces]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def size_of(node: PictureNode, lines: list[Line], arrows: int = 1) -> tuple[float, float]:
    """Width and height of ``node`` with ``lines`` in it, wide enough for ``arrows`` arrows beside each other."""
    text = max(style.NARROWEST - 2 * style.PAD_X, *(line.width for line in lines))
    ends = 8 if style.look_of(node.kind).radius is None else 0  # a capsule is narrower at the corners
    width = max(text + 2 * style.PAD_X + ends, (arrows - 1) * style.PORT_GAP_MIN + 24)
    height = sum(line.height for line in lines) + 2 * style.PAD_Y
    return float(round(width)), float(round(height))
