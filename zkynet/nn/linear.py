"""Linear: the fully connected layer."""

from __future__ import annotations

import operator
from typing import Any

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn.initializers import Initializer, glorot_uniform
from zkynet.nn.layer import drawn, filled, given, is_size, names_itself


class Linear(Module):
    """x @ weight + bias: from (..., inputs) to (..., outputs).

    ``Linear(64, 32, generator)`` draws ``weight``, of shape (inputs, outputs), with ``init`` from a zk.Generator or an
    int seed, and sets ``bias``, of shape (outputs,), to zeros; both have ``dtype``, float32 by default, and live on the
    default backend. ``bias=False`` leaves the bias out.

    ``Linear(W, b)`` owns copies of given arrays, ``Linear(W)`` without a bias; they keep backend and dtype, lists
    become float32 arrays, unless ``dtype`` says otherwise.

    TypeError where weights are to be drawn and no generator is given; ValueError for sizes below 1; ShapeError, a
    ValueError, for arrays that do not fit together and for inputs of another size.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any = None,
        generator: Generator | int | None = None,
        *,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = None,
    ):
        if is_size(inputs):
            shape = _checked_sizes(inputs, outputs)
            weight = drawn("Linear", f"{shape[0]}, {shape[1]}", shape, generator, init, dtype, shape)
            offset = filled(shape[1:], 0, dtype) if bias else None
        else:
            weight, offset = given(inputs, dtype), None if outputs is None else given(outputs, dtype)
            _check_given(weight, offset)
        self.inputs, self.outputs = weight.shape
        self.weight = Parameter("weight", weight)
        self.bias = None if offset is None else Parameter("bias", offset)

    @names_itself
    def call(self, x: Any) -> Any:
        return op.linear(x, self.weight, self.bias)

    def __repr__(self) -> str:
        return f"Linear({self.inputs}, {self.outputs}{'' if self.bias is not None else ', bias=False'})"


def _checked_sizes(inputs: Any, outputs: Any) -> tuple[int, int]:
    try:
        sizes = operator.index(inputs), operator.index(outputs)
    except TypeError:
        raise TypeError(
            f"Linear: the number of outputs is not an integer.\n  got:      {outputs!r}\n"
            f"  expected: Linear(inputs, outputs, generator) with two ints, or Linear(W, b) with two arrays"
        ) from None
    if min(sizes) < 1:
        raise ValueError(f"Linear: sizes are at least 1.\n  got:      {sizes[0]} inputs, {sizes[1]} outputs")
    return sizes


def _check_given(weight: Any, bias: Any) -> None:
    fits = len(weight.shape) == 2 and (bias is None or tuple(bias.shape) == tuple(weight.shape[1:]))
    if not fits or 0 in weight.shape:
        got = f"{tuple(weight.shape)}" + ("" if bias is None else f" and {tuple(bias.shape)}")
        raise ShapeError(
            f"Linear: the given arrays have the wrong shapes.\n  got:      {got}\n"
            f"  expected: weight (inputs, outputs) and bias (outputs,), no size 0"
        )
