"""What layers have learned, as pictures: the kernels of a convolution, the weights of a linear layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet.backends.errors import ShapeError
from zkynet.framework.computation_graph import Module
from zkynet.visual.figures import array_of, names_for, shortened
from zkynet.visual.style import DETAIL_TEXT
from zkynet.visual.tiles import Tiles, as_pictures, columns_for, counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNED = "RdBu_r"  # red above 0, blue below, white at 0


def plot_filters(
    layer: Any,
    save_path: str | PathLike[str] | None = None,
    *,
    most: int = 32,
    title: str | None = None,
) -> Figure:
    """Plot the kernels of a convolution: red above 0, blue below, one scale for all.

    ``layer`` is a ``Conv1d`` or ``Conv2d``, their transposes, or an array like its weight, (outputs, inputs, height,
    width). With one input channel the kernels of all outputs stand side by side, else there is a row for each output
    and a column for each input; of both at most ``most`` are shown.

    Returns the matplotlib Figure, and writes it to ``save_path`` where one is given: .png, .svg or .pdf. TypeError for
    a layer without a weight, ShapeError, a ValueError, where it is none of a convolution; BackendNotAvailable, an
    ImportError, without matplotlib.
    """
    weight = _weight("plot_filters", layer)
    if weight.ndim == 3:  # of one dimension: kernels one point high
        weight = weight[:, :, None]
    if weight.ndim != 4 or not weight.size:
        raise ShapeError(
            f"plot_filters: these are no kernels.\n  got:      shape {weight.shape}\n"
            "  expected: (outputs, inputs, height, width), or (outputs, inputs, length)\n"
            "plot_weights draws the weights of a Linear layer."
        )
    sides = ("input", "output") if getattr(layer, "transposed", False) else ("output", "input")
    first, second = weight.shape[:2]
    shown = weight[:most, :most]
    rows, columns = shown.shape[:2]
    notes = [
        f"{counted(first, sides[0])} x {counted(second, sides[1])}, kernels of {weight.shape[2]} x {weight.shape[3]}"
    ]
    if (rows, columns) != (first, second):
        notes.append(f"the first {rows} x {columns} of them")
    if columns == 1:
        captions = [[(str(i), DETAIL_TEXT)] for i in range(rows)]
        tiles = Tiles(list(shown[:, 0]), columns_for(rows), captions)
    else:
        heads = [str(i) if i else f"{sides[1]} 0" for i in range(columns)]
        named = [str(i) if i else f"{sides[0]} 0" for i in range(rows)]
        pictures = list(shown.reshape(-1, *weight.shape[2:]))
        tiles = Tiles(pictures, columns, rows=named, heads=heads, side=0.62)
    return _signed(tiles, title, notes, weight).plot("A plot of filters", save_path)


def plot_weights(
    layer: Any,
    save_path: str | PathLike[str] | None = None,
    *,
    shape: Sequence[int] | None = None,
    names: Sequence[Any] | None = None,
    most: int = 64,
    title: str | None = None,
) -> Figure:
    """Plot the weights of a linear layer as pictures of its inputs, one an output: red above 0, blue below.

    ``layer`` is a ``Linear`` or an array like its weight, (inputs, outputs). ``shape`` is that of the input, (height,
    width); it may be left out where the inputs fill a square. ``names`` are those of the outputs, 0, 1, ... unless
    given; at most ``most`` are shown.

    Returns the matplotlib Figure, and writes it to ``save_path`` where one is given: .png, .svg or .pdf. TypeError for
    a layer without a weight, ShapeError, a ValueError, where the shape does not fit; BackendNotAvailable, an
    ImportError, without matplotlib.
    """
    weight = _weight("plot_weights", layer)
    if weight.ndim != 2 or not weight.size:
        raise ShapeError(
            f"plot_weights: these are no weights of a linear layer.\n  got:      shape {weight.shape}\n"
            "  expected: (inputs, outputs)\nplot_filters draws the kernels of a convolution."
        )
    inputs, outputs = weight.shape
    if shape is None:
        side = math.isqrt(inputs)
        if side * side != inputs:
            raise ShapeError(
                f"plot_weights: {inputs} inputs fill no square.\n  expected: their shape, shape=(height, width)"
            )
        shape = (side, side)
    if len(shape) != 2:
        raise ShapeError(f"plot_weights: a picture has two sides.\n  got:      shape={tuple(shape)}")
    pictures = as_pictures("plot_weights", weight.T[:most], shape)
    words = names_for("plot_weights", names, outputs)
    captions = [[(shortened(word, 13), DETAIL_TEXT)] for word in words[:most]]
    notes = [
        f"{counted(inputs, 'input')}, {counted(outputs, 'output')}" + (f", the first {most}" if outputs > most else "")
    ]
    tiles = Tiles(list(pictures), columns_for(len(pictures)), captions)
    return _signed(tiles, title, notes, weight).plot("A plot of weights", save_path)


def _weight(what: str, layer: Any) -> np.ndarray:
    """The weight of a layer, or an array as it is; finite numbers."""
    if isinstance(layer, Module):
        if not hasattr(layer, "weight"):
            raise TypeError(
                f"{what}: this module has no weight of its own.\n  got:      {layer!r}\nGive one of its layers."
            )
        layer = layer.weight
    weight = array_of(what, layer)
    if not np.isfinite(weight).all():
        raise ValueError(f"{what}: {np.count_nonzero(~np.isfinite(weight))} of {weight.size} weights are not finite")
    return weight


def _signed(tiles: Tiles, title: str | None, notes: list[str], weight: np.ndarray) -> Tiles:
    """The tiles in colours of one scale around 0."""
    largest = float(np.abs(weight).max()) or 1.0
    tiles.colours, tiles.limits, tiles.key, tiles.title, tiles.notes = SIGNED, (-largest, largest), True, title, notes
    return tiles
