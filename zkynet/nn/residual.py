"""Residual and Identity: ways around layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Module
from zkynet.framework.record import shape_of
from zkynet.nn.layer import names_itself
from zkynet.nn.sequential import Sequential


class Identity(Module):
    """x as it is: a place where another layer may stand."""

    def call(self, x: Any) -> Any:
        return x


class Residual(Module):
    """x plus what the layers make of it: ``Residual(f, g)(x)`` is x + g(f(x)).

    ``shortcut``, a layer too, stands in for x in the sum where the layers change the shape: ``Residual(f, shortcut=s)``
    is s(x) + f(x). Parameters are called ``inside.layers.0.weight`` and ``shortcut.weight``. He, Zhang, Ren, Sun, "Deep
    residual learning", CVPR 2016. ShapeError where the two terms differ in shape: nothing is broadcast. The errors for
    layers are those of Sequential.
    """

    def __init__(self, *layers: Callable[[Any], Any], shortcut: Callable[[Any], Any] | None = None):
        self.inside = Sequential(*layers)
        self.shortcut = None if shortcut is None else Sequential(shortcut)[0]

    @names_itself
    def call(self, x: Any) -> Any:
        y, x = self.inside(x), x if self.shortcut is None else self.shortcut(x)
        if shape_of(y) != shape_of(x):
            raise ShapeError(
                f"Residual: the layers change the shape.\n  got:      {shape_of(y)} to be added to {shape_of(x)}\n"
                "  expected: the same shape\nGive a layer for x too: Residual(..., shortcut=layer)."
            )
        return op.add(x, y)

    def __repr__(self) -> str:
        layers = repr(self.inside).removeprefix("Sequential(").removesuffix(")")
        name = getattr(self.shortcut, "__name__", repr(self.shortcut))
        return f"Residual({layers}{'' if self.shortcut is None else f', shortcut={name}'})"
