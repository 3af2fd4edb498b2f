"""Drawings of computation graphs: ``plot_cg(result)``; models as tables: ``summary(model, shape)``; plots of training.

The layout and the SVG are our own, so that NumPy is all it needs; PNG files and windows come from matplotlib.
``Picture`` and its parts describe a drawing of anything else, and ``Drawing(picture)`` draws it. The plots of curves,
confusion matrices, samples, filters and feature maps are matplotlib's.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zkynet.visual.adopt import adopt_leaves as adopt_leaves
    from zkynet.visual.confusion import plot_confusion as plot_confusion
    from zkynet.visual.curve_plots import plot_curves as plot_curves
    from zkynet.visual.drawing import Drawing as Drawing
    from zkynet.visual.drawing import plot_cg as plot_cg
    from zkynet.visual.features import layer_output as layer_output
    from zkynet.visual.features import plot_features as plot_features
    from zkynet.visual.filters import plot_filters as plot_filters
    from zkynet.visual.filters import plot_weights as plot_weights
    from zkynet.visual.folding import fold as fold
    from zkynet.visual.picture import Picture as Picture
    from zkynet.visual.picture import PictureBox as PictureBox
    from zkynet.visual.picture import PictureEdge as PictureEdge
    from zkynet.visual.picture import PictureNode as PictureNode
    from zkynet.visual.samples import plot_misclassified as plot_misclassified
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
    "layer_output": "features",
    "plot_cg": "drawing",
    "plot_confusion": "confusion",
    "plot_curves": "curve_plots",
    "plot_features": "features",
    "plot_filters": "filters",
    "plot_misclassified": "samples",
    "plot_weights": "filters",
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
