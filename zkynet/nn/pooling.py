"""Pooling layers: one number for each window of the spatial axes, channel by channel. They own nothing."""

from __future__ import annotations

from typing import Any, ClassVar

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Module
from zkynet.framework.record import shape_of
from zkynet.nn.layer import Paddings, Sizes, each_axis, each_side, names_itself, shown


def check_axes(layer: Module, x: Any, axes: int) -> None:
    """ShapeError where x is not (N, C) and as many spatial axes."""
    if len(shape_of(x)) != axes + 2:
        raise ShapeError(
            f"{type(layer).__name__}: x has the wrong number of axes.\n  got:      {shape_of(x)}\n"
            f"  expected: (N, C, {', '.join('DHW'[-axes:]) if axes > 1 else 'L'})"
        )


def widths(layer: str, padding: Paddings, axes: int) -> Any:
    """A padding in numbers: a pool has no other."""
    if isinstance(padding, str):
        raise TypeError(f"{layer}: padding is not a number.\n  got:      {padding!r}")
    return each_side(layer, padding, axes)


class _MaxPool(Module):
    axes: ClassVar[int]

    def __init__(
        self,
        kernel: Sizes,
        stride: Sizes | None = None,
        padding: Paddings = 0,
        dilation: Sizes = 1,
        *,
        ceil_mode: bool = False,
    ):
        layer = type(self).__name__
        self.kernel = each_axis(layer, "kernel", kernel, self.axes)
        self.stride = None if stride is None else each_axis(layer, "stride", stride, self.axes)
        self.padding = widths(layer, padding, self.axes)
        self.dilation = each_axis(layer, "dilation", dilation, self.axes)
        self.ceil_mode = bool(ceil_mode)

    @names_itself
    def call(self, x: Any) -> Any:
        check_axes(self, x, self.axes)
        return op.max_pool(x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)

    def __repr__(self) -> str:
        settings = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return shown(self, self.kernel, **settings, ceil_mode=self.ceil_mode)


class MaxPool1d(_MaxPool):
    """The largest entry of each window: from (N, C, L) to (N, C, L'), the settings those of MaxPool2d."""

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest entry of each window of a picture: from (N, C, H, W) to (N, C, H', W').

    H' = (H + padding - dilation * (kernel - 1) - 1) // stride + 1 with the padding of both sides, rounded up with
    ``ceil_mode``, and W' alike. ``stride`` is the kernel's size unless given; padding, smaller than the kernel, loses
    against every entry. At a tie the first entry has the gradient; a NaN wins. Each setting is an int, or (height,
    width); the padding may be pairs.

    TypeError for what is no int, ValueError for sizes out of range, ShapeError where no window fits.
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest entry of each window: from (N, C, D, H, W) to (N, C, D', H', W'), as MaxPool2d."""

    axes = 3


class _AvgPool(Module):
    axes: ClassVar[int]

    def __init__(
        self,
        kernel: Sizes,
        stride: Sizes | None = None,
        padding: Paddings = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        layer = type(self).__name__
        self.kernel = each_axis(layer, "kernel", kernel, self.axes)
        self.stride = None if stride is None else each_axis(layer, "stride", stride, self.axes)
        self.padding = widths(layer, padding, self.axes)
        self.ceil_mode, self.count_include_pad = bool(ceil_mode), bool(count_include_pad)

    @names_itself
    def call(self, x: Any) -> Any:
        check_axes(self, x, self.axes)
        return op.average_pool(x, self.kernel, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def __repr__(self) -> str:
        settings = {"ceil_mode": self.ceil_mode, "count_include_pad": self.count_include_pad}
        return shown(self, self.kernel, stride=self.stride, padding=self.padding, **settings)


class AvgPool1d(_AvgPool):
    """The mean of each window: from (N, C, L) to (N, C, L'), the settings those of AvgPool2d."""

    axes = 1


class AvgPool2d(_AvgPool):
    """The mean of each window of a picture: from (N, C, H, W) to (N, C, H', W').

    H' = (H + padding - kernel) // stride + 1 with the padding of both sides, rounded up with ``ceil_mode``, and W'
    alike. ``stride`` is the kernel's size unless given. The zeros of the padding count as entries, unless
    ``count_include_pad`` is False; what a last window of ``ceil_mode`` reaches beyond them never does. Each setting is
    an int, or (height, width); the padding may be pairs. Errors as in MaxPool2d.
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The mean of each window: from (N, C, D, H, W) to (N, C, D', H', W'), as AvgPool2d."""

    axes = 3


class _AdaptivePool(Module):
    axes: ClassVar[int]

    def __init__(self, size: Sizes):
        self.size = each_axis(type(self).__name__, "size", size, self.axes)

    def __repr__(self) -> str:
        return shown(self, self.size)


class _AdaptiveAvgPool(_AdaptivePool):
    @names_itself
    def call(self, x: Any) -> Any:
        check_axes(self, x, self.axes)
        return op.adaptive_average_pool(x, self.size)


class _AdaptiveMaxPool(_AdaptivePool):
    @names_itself
    def call(self, x: Any) -> Any:
        check_axes(self, x, self.axes)
        return op.adaptive_max_pool(x, self.size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of ``size`` bins: from (N, C, L) to (N, C, size), the bins those of AdaptiveAvgPool2d."""

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of bins, as many as ``size`` says whatever the picture's size: from (N, C, H, W) to (N, C, *size).

    ``size`` is an int, or (height, width). Bin i reaches from floor(i H / size) to ceil((i + 1) H / size); bins overlap
    where the size does not divide H. ShapeError for a picture without entries.
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of bins: from (N, C, D, H, W) to (N, C, *size), as AdaptiveAvgPool2d."""

    axes = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest entries of ``size`` bins: from (N, C, L) to (N, C, size), the bins those of AdaptiveAvgPool2d."""

    axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest entry of each bin: from (N, C, H, W) to (N, C, *size), the bins those of AdaptiveAvgPool2d."""

    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest entry of each bin: from (N, C, D, H, W) to (N, C, *size), the bins those of AdaptiveAvgPool2d."""

    axes = 3


class _GlobalPool(Module):
    def __init__(self, *, keepdims: bool = False):
        self.keepdims = bool(keepdims)

    def __repr__(self) -> str:
        return shown(self, keepdims=self.keepdims)


class GlobalAvgPool(_GlobalPool):
    """The mean over all spatial axes: from (N, C, *S) to (N, C), or with ``keepdims`` to (N, C, 1, ...)."""

    @names_itself
    def call(self, x: Any) -> Any:
        return op.global_average_pool(x, self.keepdims)


class GlobalMaxPool(_GlobalPool):
    """The largest entry over all spatial axes: from (N, C, *S) to (N, C), or with ``keepdims`` to (N, C, 1, ...).

    At a tie the first entry has the gradient.
    """

    @names_itself
    def call(self, x: Any) -> Any:
        return op.global_max_pool(x, self.keepdims)
