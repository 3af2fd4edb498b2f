"""Drawings of computation graphs: ``plot_cg(result)``; models as tables: ``summary(model, shape)``; plots of training.

The layout and the SVG are our own, so that NumPy is all it needs; PNG files and windows come from matplotlib.
``Picture`` and its parts describe a drawing of anything else, and ``Drawing(picture)`` draws it. The plots of curves,
confusion matrices, samples, filters and feature maps are matplotlib's.
"""

from typing import TYPE_CHECKING

from zkynet.backends import lazy

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

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        ".adopt": "adopt_leaves",
        ".confusion": "plot_confusion",
        ".curve_plots": "plot_curves",
        ".drawing": "Drawing, plot_cg",
        ".features": "layer_output, plot_features",
        ".filters": "plot_filters, plot_weights",
        ".folding": "fold",
        ".picture": "Picture, PictureBox, PictureEdge, PictureNode",
        ".samples": "plot_misclassified",
        ".table": "Summary, summary",
        ".values": "short_value",
    },
)
