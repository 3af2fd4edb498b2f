"""Convolutional layers, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn.initializers import Initializer, glorot_uniform
from zkynet.nn.layer import (
    Paddings,
    Sizes,
    begun,
    drawn,
    each_axis,
    each_side,
    given,
    is_size,
    names_itself,
    shown,
    size,
)


class _Convolution(Module):
    """What convolutions and their transposes share: kernels drawn or given, and a bias.

    The kernels are (outputs, inputs // groups, *kernel), those of a transpose (inputs, outputs // groups, *kernel).
    """

    axes: ClassVar[int]
    transposed: ClassVar[bool] = False

    def _own(
        self, first: Any, second: Any, kernel: Any, generator: Any, groups: int, bias: bool, init: Any, dtype: Any
    ) -> None:
        """Own a weight and a bias: of inputs, outputs and kernel, or copies of two arrays."""
        self.groups = size(type(self).__name__, "groups", groups)
        if is_size(first):
            weight, offset = self._drawn(first, second, kernel, generator, bias, init, dtype)
        else:
            weight, offset = self._given(first, second, kernel, dtype)
        self.kernel = tuple(weight.shape[2:])
        self.weight, self.bias = Parameter("weight", weight), offset

    def _drawn(
        self, inputs: Any, outputs: Any, kernel: Any, generator: Any, bias: bool, init: Any, dtype: Any
    ) -> tuple[Any, Parameter | None]:
        layer, groups = type(self).__name__, self.groups
        self.inputs, self.outputs = size(layer, "inputs", inputs), size(layer, "outputs", outputs)
        kernel = each_axis(layer, "kernel", kernel, self.axes)
        if self.inputs % groups or self.outputs % groups:
            raise ValueError(
                f"{layer}: the groups do not divide the channels.\n"
                f"  got:      {self.inputs} inputs, {self.outputs} outputs, groups={groups}\n"
                f"  expected: groups that divide both"
            )
        first, second = (self.inputs, self.outputs) if self.transposed else (self.outputs, self.inputs)
        area = math.prod(kernel)
        fans = self.inputs // groups * area, self.outputs // groups * area
        shape = (first, second // groups, *kernel)
        weight = drawn(layer, "inputs, outputs, kernel", shape, generator, init, dtype, fans)
        return weight, begun("bias", bias, (self.outputs,), 0, dtype)

    def _given(self, weight: Any, bias: Any, kernel: Any, dtype: Any) -> tuple[Any, Parameter | None]:
        layer, groups = type(self).__name__, self.groups
        weight, bias = given(weight, dtype), None if bias is None else given(bias, dtype)
        shape = tuple(weight.shape)
        fits = len(shape) == self.axes + 2 and 0 not in shape and shape[0] % groups == 0
        if fits:
            first, second = shape[0], shape[1] * groups
            self.inputs, self.outputs = (first, second) if self.transposed else (second, first)
            fits = bias is None or tuple(bias.shape) == (self.outputs,)
        if not fits:
            sides = "inputs, outputs / groups" if self.transposed else "outputs, inputs / groups"
            raise ShapeError(
                f"{layer}: the given arrays have the wrong shapes.\n"
                f"  got:      {shape}{'' if bias is None else f' and {tuple(bias.shape)}'}, groups={groups}\n"
                f"  expected: weight ({sides}, and {self.axes} sizes of the kernel), bias (outputs,), no size 0"
            )
        if kernel is not None:
            raise TypeError(f"{layer}: given arrays have their kernel.\n  got:      kernel {kernel!r} too")
        return weight, None if bias is None else Parameter("bias", bias)

    def _shifted(self, y: Any) -> Any:
        """y plus the bias of each channel."""
        return y if self.bias is None else op.add(y, op.reshape(self.bias, (self.outputs,) + (1,) * self.axes))


class _Conv(_Convolution):
    """Cross-correlation, as in deep learning; each size is one for all axes, or one an axis."""

    convolve: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        inputs: Any,
        outputs: Any = None,
        kernel: Sizes | None = None,
        generator: Generator | int | None = None,
        *,
        stride: Sizes = 1,
        padding: Paddings = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = None,
    ):
        layer = type(self).__name__
        self.stride = each_axis(layer, "stride", stride, self.axes)
        self.padding = each_side(layer, padding, self.axes)
        self.dilation = each_axis(layer, "dilation", dilation, self.axes)
        self._own(inputs, outputs, kernel, generator, groups, bias, init, dtype)

    @names_itself
    def call(self, x: Any) -> Any:
        y = self.convolve(
            x, self.weight, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )
        return self._shifted(y)

    def __repr__(self) -> str:
        settings = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        bias = self.bias is not None
        return shown(self, self.inputs, self.outputs, self.kernel, **settings, groups=self.groups, bias=bias)


class Conv1d(_Conv):
    """Cross-correlation of sequences with kernels: from (N, inputs, L) to (N, outputs, L').

    The settings are those of Conv2d, with one spatial axis.
    """

    axes = 1
    convolve = staticmethod(op.conv1d)


class Conv2d(_Conv):
    """Cross-correlation of pictures with kernels: from (N, inputs, H, W) to (N, outputs, H', W').

    ``Conv2d(inputs, outputs, kernel, generator)``: H' = (H + padding - dilation * (kernel - 1) - 1) // stride + 1 with
    the padding of both sides, and W' alike. ``kernel``, ``stride`` and ``dilation`` are ints, or one of each for height
    and width. ``padding`` is zeros: how many, as one int, as (height, width), or as ((top, bottom), (left, right));
    "valid" is none, "same" as many as make H' = ceil(H / stride), an odd one below and on the right. With ``groups``
    the channels fall into as many groups of equal size, each seen by its own outputs; ``groups=inputs`` is the
    depthwise convolution.

    ``weight``, of shape (outputs, inputs // groups, kernel height, kernel width), is drawn with ``init`` from
    ``generator``, a zk.Generator or an int seed; a kernel's fan_in is the number of its weights. ``bias``, of shape
    (outputs,), begins at zero; ``bias=False`` leaves it out. Both have ``dtype``, float32 by default, and live on the
    default backend. ``Conv2d(W, b)`` owns copies of given arrays, ``Conv2d(W)`` without a bias; they keep backend and
    dtype unless ``dtype`` says otherwise.

    TypeError without a generator and for sizes that are no ints; ValueError for sizes out of range and for channels
    that the groups do not divide; ShapeError, a ValueError, for given arrays and inputs of another shape.
    """

    axes = 2
    convolve = staticmethod(op.conv2d)


class Conv3d(_Conv):
    """Cross-correlation of volumes with kernels: from (N, inputs, D, H, W) to (N, outputs, D', H', W').

    The settings are those of Conv2d, with three spatial axes.
    """

    axes = 3
    convolve = staticmethod(op.conv3d)


class _ConvTranspose(_Convolution):
    """The transpose of a convolution; each size is one for all axes, or one an axis."""

    transposed = True

    def __init__(
        self,
        inputs: Any,
        outputs: Any = None,
        kernel: Sizes | None = None,
        generator: Generator | int | None = None,
        *,
        stride: Sizes = 1,
        padding: Paddings = 0,
        output_padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = None,
    ):
        layer = type(self).__name__
        if isinstance(padding, str):
            raise TypeError(
                f"{layer}: padding is not a number.\n  got:      {padding!r}\n"
                f"  expected: an int, or {self.axes} ints or pairs: what its convolution would add"
            )
        self.stride = each_axis(layer, "stride", stride, self.axes)
        self.padding = each_side(layer, padding, self.axes)
        self.output_padding = each_axis(layer, "output_padding", output_padding, self.axes, 0)
        self.dilation = each_axis(layer, "dilation", dilation, self.axes)
        every = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(extra >= max(s, d) for extra, s, d in every):
            raise ValueError(
                f"{layer}: output_padding is too large.\n  got:      {self.output_padding}\n"
                f"  expected: less than the stride {self.stride} or the dilation {self.dilation}"
            )
        self._own(inputs, outputs, kernel, generator, groups, bias, init, dtype)

    @names_itself
    def call(self, x: Any) -> Any:
        settings = (self.stride, self.padding, self.output_padding, self.dilation, self.groups)
        return self._shifted(op.conv_transpose(x, self.weight, *settings))

    def __repr__(self) -> str:
        settings = {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}
        more = {"groups": self.groups, "bias": self.bias is not None}
        return shown(self, self.inputs, self.outputs, self.kernel, **settings, dilation=self.dilation, **more)


class ConvTranspose1d(_ConvTranspose):
    """The transpose of Conv1d: from (N, inputs, L) to (N, outputs, L'), the settings those of ConvTranspose2d."""

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution, from (N, inputs, H, W) to (N, outputs, H', W'): pictures that grow by a stride.

    H' = (H - 1) * stride - padding + dilation * (kernel - 1) + 1 + output_padding with the padding of both sides, and
    W' alike: the size that Conv2d with these settings takes to H. Where it takes several sizes there,
    ``output_padding``, smaller than the stride or the dilation, says which one is meant.

    ``weight`` has the shape (inputs, outputs // groups, kernel height, kernel width), the transpose of Conv2d's, and is
    drawn with fan_in = inputs // groups times the kernel's area. Everything else is as in Conv2d; padding is numbers.
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of Conv3d: from (N, inputs, D, H, W) to (N, outputs, D', H', W'), as ConvTranspose2d."""

    axes = 3
