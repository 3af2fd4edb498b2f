"""Bilinear: a layer of two inputs."""

from __future__ import annotations

from typing import Any

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn.initializers import Initializer, glorot_uniform
from zkynet.nn.layer import drawn, filled, given, is_size, names_itself, size


class Bilinear(Module):
    """x1 @ weight[o] @ x2 + bias[o] for every output o: from (..., inputs1) and (..., inputs2) to (..., outputs).

    ``Bilinear(inputs1, inputs2, outputs, generator)`` draws ``weight``, of shape (outputs, inputs1, inputs2), with
    ``init`` from a zk.Generator or an int seed, its fan_in inputs1 * inputs2, the number of products in a sum.
    ``bias``, of shape (outputs,), begins at zero; ``bias=False`` leaves it out. Both have ``dtype``, float32 by
    default, and live on the default backend. ``Bilinear(W, b)`` owns copies of given arrays, ``Bilinear(W)`` without a
    bias.

    TypeError without a generator and for sizes that are no ints, ValueError for sizes below 1, ShapeError for arrays
    that do not fit together.
    """

    def __init__(
        self,
        inputs1: Any,
        inputs2: Any = None,
        outputs: int | None = None,
        generator: Generator | int | None = None,
        *,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = None,
    ):
        if is_size(inputs1):
            named = {"outputs": outputs, "inputs1": inputs1, "inputs2": inputs2}
            shape = tuple(size("Bilinear", name, value) for name, value in named.items())
            fans = shape[1] * shape[2], shape[0]
            weight = drawn("Bilinear", "inputs1, inputs2, outputs", shape, generator, init, dtype, fans)
            offset = filled(shape[:1], 0, dtype) if bias else None
        else:
            weight, offset = given(inputs1, dtype), None if inputs2 is None else given(inputs2, dtype)
            _check_given(weight, offset)
        self.outputs, self.inputs1, self.inputs2 = weight.shape
        self.weight = Parameter("weight", weight)
        self.bias = None if offset is None else Parameter("bias", offset)

    @names_itself
    def call(self, x1: Any, x2: Any) -> Any:
        return op.bilinear(x1, x2, self.weight, self.bias)

    def __repr__(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"Bilinear({self.inputs1}, {self.inputs2}, {self.outputs}{bias})"


def _check_given(weight: Any, bias: Any) -> None:
    fits = len(weight.shape) == 3 and (bias is None or tuple(bias.shape) == tuple(weight.shape[:1]))
    if not fits or 0 in weight.shape:
        got = f"{tuple(weight.shape)}" + ("" if bias is None else f" and {tuple(bias.shape)}")
        raise ShapeError(
            f"Bilinear: the given arrays have the wrong shapes.\n  got:      {got}\n"
            f"  expected: weight (outputs, inputs1, inputs2) and bias (outputs,), no size 0"
        )
