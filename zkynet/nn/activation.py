"""Activations as layers."""

from __future__ import annotations

from typing import Any

from zkynet.framework import op
from zkynet.framework.computation_graph import Module


class ReLU(Module):
    """max(x, 0), entry by entry; derivative 0 at 0."""

    def call(self, x: Any) -> Any:
        return op.relu(x)


class Tanh(Module):
    """The hyperbolic tangent, entry by entry."""

    def call(self, x: Any) -> Any:
        return op.tanh(x)
