"""Drawings of computation graphs: ``plot_cg(result)``; models as tables: ``summary(model, shape)``.

The layout and the SVG are our own, so that NumPy is all it needs; PNG files and windows come from matplotlib.
``Picture`` and its parts describe a drawing of anything else, and ``Drawing(picture)`` draws it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zkynet.visual.adopt import adopt_leaves as adopt_leaves
    from zkynet.visual.drawing import Drawing as Drawing
    from zkynet.visual.drawing import plot_cg as plot_cg
    from zkynet.visual.folding import fold as fold
    from zkynet.visual.picture import Picture as Picture
    from zkynet.visual.picture import PictureBox as PictureBox
    from zkynet.visual.picture import PictureEdge as PictureEdge
    from zkynet.visual.picture import PictureNode as PictureNode
    from zkynet.visual.table import Summary as Summary
    from zkynet.visual.table import summary as summary
    from zkynet.visual.values import short_value as short_value

# Where each name comes from; loaded when first asked for.
_HOME = {
    "Drawing": "drawing",
    "Picture": "picture",
    "PictureBox": "picture",
    "PictureEdge": "picture",
    "PictureNode": "picture",
    "adopt_leaves": "adopt",
    "fold": "folding",
    "plot_cg": "drawing",
    "short_value": "values",
    "Summary": "table",
    "summary": "table",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"zkynet.visual.{_HOME[name]}"), name)
    raise AttributeError(f"module 'zkynet.visual' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
