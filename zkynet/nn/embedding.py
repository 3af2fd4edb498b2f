"""Embedding: a table of vectors, looked up by number."""

from __future__ import annotations

from typing import Any

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn import initializers
from zkynet.nn.initializers import Initializer
from zkynet.nn.layer import drawn, given, is_size, names_itself, shown, size


class Embedding(Module):
    """Rows of a table: from integers of any shape to vectors, (...) to (..., features).

    ``Embedding(count, features, generator)`` draws ``weight``, of shape (count, features), with ``init`` from a
    zk.Generator or an int seed, standard normal numbers by default, in ``dtype`` on the default backend.
    ``Embedding(table)`` owns a copy of a given array, which keeps backend and dtype unless ``dtype`` says otherwise.

    ``padding_index`` names a row that stands for nothing: it is drawn as zeros, and never gets a gradient. A negative
    one counts from the end.

    TypeError without a generator and for numbers that are no integers; ValueError for sizes below 1; IndexError for
    numbers outside 0 .. count - 1, and for such a padding index; ShapeError for a table that is no matrix.
    """

    def __init__(
        self,
        count: Any,
        features: int | None = None,
        generator: Generator | int | None = None,
        *,
        padding_index: int | None = None,
        init: Initializer = initializers.normal,
        dtype: Any = None,
    ):
        if is_size(count):
            shape = size("Embedding", "count", count), size("Embedding", "features", features)
            weight = drawn("Embedding", "count, features", shape, generator, init, dtype, shape)
        else:
            weight = given(count, dtype)
        if len(weight.shape) != 2 or 0 in weight.shape:
            raise ShapeError(
                f"Embedding: the table has the wrong shape.\n  got:      {tuple(weight.shape)}\n"
                "  expected: (count, features), no size 0"
            )
        self.count, self.features = weight.shape
        self.padding_index = None if padding_index is None else self._row(padding_index)
        if self.padding_index is not None and is_size(count):
            weight = op.index_set(weight, self.padding_index, 0.0).value
        self.weight = Parameter("weight", weight)

    def _row(self, index: int) -> int:
        row = size("Embedding", "padding_index", index, None)
        if not -self.count <= row < self.count:
            raise IndexError(
                f"Embedding: padding_index is no row of the table.\n  got:      {row}\n"
                f"  expected: in {-self.count} .. {self.count - 1}"
            )
        return row % self.count

    @names_itself
    def call(self, indices: Any) -> Any:
        return op.embedding(self.weight, indices, self.padding_index)

    def __repr__(self) -> str:
        return shown(self, self.count, self.features, padding_index=self.padding_index)
