"""Sequential: layers one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from zkynet.framework.computation_graph import Module


class Sequential(Module):
    """The layers one behind the other: ``Sequential(f, g)(x)`` is ``g(f(x))``.

    A layer is a Module, or any function of one array such as ``op.relu``. Parameters are called ``layers.0.weight`` and
    so on. ``model[0]`` is a layer, ``len`` and iteration go over them. ValueError without a layer, TypeError for what
    cannot be called.
    """

    def __init__(self, *layers: Callable[[Any], Any]):
        if not layers:
            raise ValueError("Sequential: there is no layer.\n  expected: Sequential(layer, ...)")
        for i, layer in enumerate(layers):
            if not callable(layer) or isinstance(layer, type):
                made = f"{layer.__name__}, a class: write {layer.__name__}(...)" if isinstance(layer, type) else layer
                raise TypeError(f"Sequential: layer {i} cannot be called with an array.\n  got:      {made}")
        self.layers = tuple(layers)

    def call(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Callable]:
        return iter(self.layers)

    def __getitem__(self, i: int) -> Callable:
        return self.layers[i]

    def __repr__(self) -> str:
        names = [repr(each) if isinstance(each, Module) else getattr(each, "__name__", "?") for each in self.layers]
        return f"Sequential({', '.join(names)})"
