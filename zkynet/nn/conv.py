"""Conv2d: the convolutional layer."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from zkynet import backends
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn.initializers import Initializer, as_generator, glorot_uniform

Pair = int | Sequence[int]


class Conv2d(Module):
    """Cross-correlation of pictures with kernels: from (N, inputs, H, W) to (N, outputs, H', W').

    H' = (H + 2 padding - kernel) // stride + 1, and W' alike. ``kernel``, ``stride`` and ``padding`` are ints, or pairs
    (height, width); padding is zeros. With ``groups`` the channels fall into as many groups of equal size, each seen by
    its own outputs; ``groups=inputs`` is the depthwise convolution.

    ``weight``, of shape (outputs, inputs // groups, kernel height, kernel width), is drawn with ``init`` from
    ``generator``, a zk.Generator or an int seed; a kernel's fan_in is the number of its weights. ``bias``, of shape
    (outputs,), begins at zero; ``bias=False`` leaves it out. Both have ``dtype`` and live on the default backend.

    TypeError without a generator and for sizes that are no ints; ValueError for sizes out of range and for channels
    that the groups do not divide; ShapeError, a ValueError, for inputs of another shape.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Pair,
        generator: Generator | int | None = None,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        self.inputs, self.outputs, self.groups = (
            _size("inputs", inputs),
            _size("outputs", outputs),
            _size("groups", groups),
        )
        self.kernel, self.stride = _pair("kernel", kernel, 1), _pair("stride", stride, 1)
        self.padding = _pair("padding", padding, 0)
        if self.inputs % self.groups or self.outputs % self.groups:
            raise ValueError(
                f"Conv2d: the groups do not divide the channels.\n"
                f"  got:      {self.inputs} inputs, {self.outputs} outputs, groups={self.groups}\n"
                f"  expected: groups that divide both"
            )
        if generator is None:
            raise TypeError(
                "Conv2d draws its weights and needs a generator.\n"
                "  expected: Conv2d(inputs, outputs, kernel, zk.Generator(seed)), or an int seed in its place\n"
                "One generator can serve a whole model: every draw moves it on."
            )
        area = self.kernel[0] * self.kernel[1]
        shape = (self.outputs, self.inputs // self.groups, *self.kernel)
        fans = shape[1] * area, self.outputs // self.groups * area
        self.weight = Parameter("weight", init(shape, as_generator(generator), dtype=dtype, fans=fans))
        xp = backends.default_backend()
        self.bias = Parameter("bias", xp.zeros(shape[:1], dtype=xp.dtype(dtype))) if bias else None

    def call(self, x: Any) -> Any:
        try:
            y = op.conv(x, self.weight, stride=self.stride, padding=self.padding, groups=self.groups)
        except ShapeError as error:
            error.add_note(f"in {self!r}")
            raise
        return y if self.bias is None else op.add(y, op.reshape(self.bias, (self.outputs, 1, 1)))

    def __repr__(self) -> str:
        settings = [f"stride={self.stride}"] * (self.stride != (1, 1)) + [f"padding={self.padding}"] * any(self.padding)
        settings += [f"groups={self.groups}"] * (self.groups != 1) + ["bias=False"] * (self.bias is None)
        return f"Conv2d({', '.join([f'{self.inputs}, {self.outputs}, {self.kernel}', *settings])})"


def _size(name: str, value: Any, least: int = 1) -> int:
    try:
        size = operator.index(value)
    except TypeError:
        raise TypeError(f"Conv2d: {name} is not an int.\n  got:      {value!r}") from None
    if size < least:
        raise ValueError(f"Conv2d: {name} is too small.\n  got:      {size}\n  expected: at least {least}")
    return size


def _pair(name: str, value: Any, least: int) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)):
        value = (value, value)
    if len(value) != 2:
        raise ValueError(
            f"Conv2d: {name} has one number per axis.\n  got:      {value!r}\n  expected: an int, or (height, width)"
        )
    return _size(name, value[0], least), _size(name, value[1], least)
