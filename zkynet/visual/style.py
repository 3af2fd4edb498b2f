"""Colours, lengths and font sizes, in one place. Lengths are in pixels of the SVG.

Fills and strokes are tints and shades of the palette of Okabe and Ito, which people with colour blindness can tell
apart; kinds differ in outline too. Every text has a contrast of at least 4.5 to 1 with what it stands on.
"""

from __future__ import annotations

from dataclasses import dataclass

BACKGROUND = "#ffffff"
TEXT = "#1b2530"
DETAIL_TEXT = "#56636f"
VALUE_TEXT = "#1b2530"
GRADIENT_TEXT = "#a8370a"
EDGE = "#66747f"
BOX_STROKE = "#b4bfc9"
BOX_FILLS = ("#f6f8fa", "#edf1f5", "#e4eaf0")  # by depth, from the outermost
BOX_TEXT = "#43515d"

TITLE_SIZE, LINE_SIZE, LABEL_SIZE, BOX_SIZE, HEADING_SIZE = 12.5, 10.5, 8.5, 11.0, 16.0
LINE_HEIGHT = 1.35  # of the font size
PAD_X, PAD_Y = 11.0, 7.0
NARROWEST, WIDEST = 46.0, 220.0  # of a node's text; many arrows may make the node wider

MARGIN = 20.0
NODE_GAP, EDGE_GAP, DUMMY_WIDTH = 26.0, 13.0, 2.0
BOX_PAD, BOX_FOOT, BOX_HEAD = 14.0, 14.0, 24.0
LAYER_GAP = 28.0
ARROW_ROOM = 12.0  # above each layer, where edges are vertical and labels stand
ARROW_LENGTH, ARROW_WIDTH = 7.0, 6.4
PORT_GAP, PORT_GAP_MIN = 16.0, 9.0


@dataclass(frozen=True)
class Look:
    """How a kind of node is drawn; ``radius`` None is a capsule."""

    fill: str
    stroke: str
    radius: float | None = 6.0
    width: float = 1.2
    dash: tuple[float, float] | None = None
    double: bool = False


LOOKS = {
    "input": Look("#deeefa", "#1f6aa5", radius=None),
    "parameter": Look("#fdf0d4", "#a86f00", radius=2.0),
    "constant": Look("#f2f2f2", "#737373", radius=2.0, dash=(4.0, 3.0)),
    "state": Look("#f8e4f0", "#a5447d", radius=2.0, dash=(7.0, 2.5)),
    "operator": Look("#ffffff", "#4b5965"),
    "output": Look("#dff3ea", "#12734c", width=2.2),
    "module": Look("#ece6f5", "#67489a", double=True),
}


def look_of(kind: str) -> Look:
    return LOOKS.get(kind, LOOKS["operator"])
