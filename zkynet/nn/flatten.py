"""Reshape and Flatten: from rows of numbers to pictures, and back."""

from __future__ import annotations

import math
import operator
from typing import Any

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Module


class Flatten(Module):
    """All axes behind the first as one: from (N, ...) to (N, the product of the others)."""

    def call(self, x: Any) -> Any:
        shape = tuple(x.shape)
        if not shape:
            raise ShapeError("Flatten: the input has no axis of samples.\n  got:      ()\n  expected: (N, ...)")
        return op.reshape(x, (shape[0], math.prod(shape[1:])))


class Reshape(Module):
    """Give every sample the shape ``shape``: from (N, ...) to (N, *shape).

    ``Reshape(1, 8, 8)`` makes a picture of one channel of 64 numbers. ValueError for a size below 1; ShapeError, a
    ValueError, for samples with another number of entries.
    """

    def __init__(self, *shape: int):
        self.shape = tuple(operator.index(size) for size in shape)
        if min(self.shape, default=1) < 1:
            raise ValueError(f"Reshape: sizes are at least 1.\n  got:      {self.shape}")

    def call(self, x: Any) -> Any:
        shape = tuple(x.shape)
        if not shape or math.prod(shape[1:]) != math.prod(self.shape):
            raise ShapeError(
                f"Reshape{self.shape}: the samples have another number of entries.\n  got:      {shape}\n"
                f"  expected: (N, ...) with {math.prod(self.shape)} entries per sample"
            )
        return op.reshape(x, (shape[0], *self.shape))

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"
