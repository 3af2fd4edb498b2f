"""What a layer inside a model gives for an input, as an array and as pictures."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet.backends.errors import ShapeError
from zkynet.framework import pytree
from zkynet.framework.computation_graph import Module, ModuleGraph
from zkynet.visual.figures import array_of
from zkynet.visual.style import DETAIL_TEXT
from zkynet.visual.tiles import Tiles, columns_for, counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def layer_output(model: Module, layer: str | Module, *inputs: Any, call: int = 0) -> Any:
    """What ``layer`` gives inside ``model(*inputs)``: an array of the backend, read-only on NumPy.

    ``layer`` is a module inside the model or its path, such as "layers.0". The model is run once, with ``training``
    off, and everything as it was afterwards. Of a layer that is called several times ``call`` says which, from 0.
    KeyError for a path that is no module's; ValueError where the layer is not called, gives its input as it is, or
    gives several arrays; TypeError under ``no_grad`` and inside of transforms, where no graph is kept.
    """
    module, path = _inside(model, layer)
    session, roots = _run(model, inputs)
    frames = {step.frame.number: step.frame for step in session.steps.values()}  # each a call of a module
    own = {frame.number for each in frames.values() for frame in _outward(each) if frame.module is module}
    if not own:
        raise ValueError(
            f"layer_output: {path} computes nothing in this call.\n  expected: a layer that the model calls, and that "
            "does not give its input as it is, as Dropout does in use"
        )
    if not 0 <= call < len(own):
        raise ValueError(f"layer_output: {path} is called {len(own)} times.\n  got:      call={call}, counted from 0")
    values = _leaving(session, roots, sorted(own)[call])
    if len(values) != 1:
        shapes = ", ".join(str(tuple(value.shape)) for value in values) or "none that is used"
        raise ValueError(
            f"layer_output: {path} gives no single array in this call.\n  got:      {shapes}\n"
            "Name a layer inside of it, or the one behind it."
        )
    return values[0]


def _inside(model: Module, layer: str | Module) -> tuple[Module, str]:
    """The module, and its path."""
    named = model.named_modules()
    if isinstance(layer, str):
        if layer not in named:
            raise KeyError(f"there is no module {layer!r} in the model; its modules are: {', '.join(named) or 'none'}")
        return named[layer], layer
    path = next((path for path, module in named.items() if module is layer), None)
    if path is None:
        raise KeyError(f"{layer!r} is no module in the model; its modules are: {', '.join(named) or 'none'}")
    return layer, path


def _run(model: Module, inputs: tuple) -> tuple[Any, set]:
    """The session of a call with ``training`` off, which is set back for each module, and the keys of its outputs."""
    modes = [(module, module.training) for module in (model, *model.named_modules().values())]
    try:
        result = model.eval()(*inputs)
    finally:
        for module, mode in modes:
            module.training = mode
    graphs = [each for each in pytree.flatten(result)[0] if isinstance(each, ModuleGraph)]
    if not graphs:
        raise TypeError(
            f"layer_output: the call kept no graph.\n  got:      {type(result).__name__}\n"
            "  expected: a call outside of no_grad and of transforms, of a model that gives arrays"
        )
    session = graphs[0].session
    return session, {session.key_of(graph.__zkynet_tensor__()) for graph in graphs}


def _outward(frame: Any) -> list[Any]:
    """A call of a module and those that it happened in."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.outer
    return found


def _leaving(session: Any, roots: set, number: int) -> list[Any]:
    """The values that are computed in the call of that number and used outside of it, or given by the model."""

    def is_inside(step: Any) -> bool:
        return any(frame.number == number for frame in _outward(step.frame))

    used = {key for step in session.steps.values() if not is_inside(step) for key in step.inputs} | roots
    found = {step.key: step for step in session.steps.values() if step.operator is not None and is_inside(step)}
    return [step.value for key, step in found.items() if key in used]


def plot_features(
    model: Module,
    layer: str | Module,
    picture: Any,
    save_path: str | PathLike[str] | None = None,
    *,
    most: int = 64,
    title: str | None = None,
) -> Figure:
    """Plot the feature maps that ``layer`` makes of one picture inside ``model``, in colours of one scale.

    ``picture`` is an input of the model with one sample. ``layer`` is a module inside or its path, "layers.0"; it gives
    (1, channels, height, width), or (1, channels, length), of which at most ``most`` channels are shown.

    Returns the matplotlib Figure, and writes it to ``save_path`` where one is given: .png, .svg or .pdf. ShapeError, a
    ValueError, where the layer gives no maps; errors of ``layer_output``; BackendNotAvailable, an ImportError, without
    matplotlib.
    """
    maps = array_of("plot_features", layer_output(model, layer, picture))
    if maps.ndim in (3, 4) and maps.shape[0] == 1:
        maps = maps[0]
    if maps.ndim == 2:  # of one dimension: maps one point high
        maps = maps[:, None]
    if maps.ndim != 3 or not maps.size:
        raise ShapeError(
            f"plot_features: the layer gives no maps of one picture.\n  got:      shape {maps.shape}\n"
            "  expected: (1, channels, height, width) or (1, channels, length)"
        )
    if not np.isfinite(maps).all():
        raise ValueError(f"plot_features: {np.count_nonzero(~np.isfinite(maps))} of {maps.size} numbers are not finite")
    _, path = _inside(model, layer)
    note = f"{path}: {counted(len(maps), 'map')} of {maps.shape[1]} x {maps.shape[2]}"
    note += f", the first {most}" if len(maps) > most else ""
    shown = maps[:most]
    captions = [[(str(i), DETAIL_TEXT)] for i in range(len(shown))]
    tiles = Tiles(
        list(shown), columns_for(len(shown)), captions, title=title, notes=[note], colours="viridis", key=True
    )
    return tiles.plot("A plot of feature maps", save_path)
