"""Normalisation layers: inputs less a mean, over a standard deviation, times a trained weight plus a trained bias.

``affine=False`` leaves weight and bias out, ``bias=False`` the bias alone; they begin at one and zero. Variances are
the biased ones, divided by n, and ``eps`` is added to them. Weight, bias and states have ``dtype``, float32 by default,
and live on the default backend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Module, State
from zkynet.framework.record import shape_of
from zkynet.nn.layer import begun, filled, names_itself, number, shown, size


def check_channels(layer: Module, x: Any, channels: int) -> None:
    """ShapeError where x is not (N, channels, *S)."""
    shape = shape_of(x)
    if len(shape) < 2 or shape[1] != channels:
        raise ShapeError(
            f"{type(layer).__name__}: x has another number of channels.\n  got:      {shape}\n"
            f"  expected: (N, {channels}, *S), any number of spatial axes"
        )


class BatchNorm(Module):
    """Every channel standardised over the batch and its spatial axes: (N, channels, *S) to the same shape.

    While ``training`` holds, mean and variance are those of the batch, and running averages of them move:
    running = (1 - momentum) * running + momentum * batch, for ``running_var`` of the variance divided by n - 1. With
    ``momentum=None`` they are plain averages over all batches so far, counted in ``batches``. After ``model.eval()``
    the running averages stand in for the batch's, and nothing moves. They are States, saved with the weights and never
    trained; at first the mean is zero and the variance one. The defaults are PyTorch's, and the axes of space are as
    many as x has (Ioffe and Szegedy, "Batch normalization", ICML 2015).

    ShapeError for another number of channels; in training ValueError for fewer than two values a channel.
    """

    def __init__(
        self,
        channels: int,
        *,
        momentum: float | None = 0.1,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: Any = "float32",
    ):
        self.channels = size("BatchNorm", "channels", channels)
        self.momentum = None if momentum is None else number("BatchNorm", "momentum", momentum, 0, 1)
        self.eps = number("BatchNorm", "eps", eps, 0)
        shape = (self.channels,)
        self.weight = begun("weight", affine, shape, 1, dtype)
        self.bias = begun("bias", affine and bias, shape, 0, dtype)
        self.running_mean = State("running_mean", filled(shape, 0, dtype))
        self.running_var = State("running_var", filled(shape, 1, dtype))
        self.batches = State("batches", filled((), 0, "int64")) if momentum is None else None

    @names_itself
    def call(self, x: Any) -> Any:
        check_channels(self, x, self.channels)
        if not self.training:
            settings = (self.running_mean, self.running_var, self.weight, self.bias)
            return op.batch_norm_eval(x, *settings, eps=self.eps)
        count = math.prod(shape_of(x)) // self.channels
        if not count:
            raise ValueError(f"BatchNorm: there is nothing to take a mean of.\n  got:      x of shape {shape_of(x)}")
        y, mean, variance = op.batch_norm(x, self.weight, self.bias, eps=self.eps, return_statistics=True)
        self._move(mean, variance, count)
        return y

    def _move(self, mean: Any, variance: Any, count: int) -> None:
        """Move the running averages towards the statistics of a batch of ``count`` values a channel."""
        share: Any = self.momentum
        if self.batches is not None:
            batches = op.add(self.batches, 1)
            self.batches.value = batches.value
            share = op.divide(1, batches)
        _move(self.running_mean, mean, share)
        _move(self.running_var, op.multiply(variance, count / (count - 1)), share)

    def __repr__(self) -> str:
        settings = {"momentum": self.momentum, "eps": self.eps, "affine": self.weight is not None}
        return shown(self, self.channels, **settings, bias=self.bias is not None or self.weight is None)


def _move(average: State, new: Any, share: Any) -> None:
    # State and share go through operators, so that a compiled step sees that they are read.
    average.value = op.astype(op.lerp(average, new, share), average.value.dtype).value


class LayerNorm(Module):
    """Every row standardised over its last axes: (..., *shape) to the same shape.

    ``shape`` is an int or the sizes of several axes; weight and bias have it too. Ba, Kiros, Hinton, "Layer
    normalization", 2016. ShapeError where the last axes of an input are others.
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: Any = "float32",
    ):
        self.shape, self.eps = _sizes("LayerNorm", shape), number("LayerNorm", "eps", eps, 0)
        self.weight = begun("weight", affine, self.shape, 1, dtype)
        self.bias = begun("bias", affine and bias, self.shape, 0, dtype)

    @names_itself
    def call(self, x: Any) -> Any:
        check_last_axes(self, x, self.shape)
        return op.layer_norm(x, self.weight, self.bias, axis=tuple(range(-len(self.shape), 0)), eps=self.eps)

    def __repr__(self) -> str:
        affine = self.weight is not None
        return shown(self, _shown(self.shape), eps=self.eps, affine=affine, bias=self.bias is not None or not affine)


class RMSNorm(Module):
    """Every row divided by its root mean square: (..., *shape) to the same shape, x / sqrt(mean(x * x) + eps) * weight.

    No mean is taken away and there is no bias. ``shape`` as in LayerNorm. Zhang and Sennrich, "Root mean square layer
    normalization", 2019.
    """

    def __init__(self, shape: int | Sequence[int], *, eps: float = 1e-5, affine: bool = True, dtype: Any = "float32"):
        self.shape, self.eps = _sizes("RMSNorm", shape), number("RMSNorm", "eps", eps, 0)
        self.weight = begun("weight", affine, self.shape, 1, dtype)

    @names_itself
    def call(self, x: Any) -> Any:
        check_last_axes(self, x, self.shape)
        return op.rms_norm(x, self.weight, axis=tuple(range(-len(self.shape), 0)), eps=self.eps)

    def __repr__(self) -> str:
        return shown(self, _shown(self.shape), eps=self.eps, affine=self.weight is not None)


class GroupNorm(Module):
    """Each of ``groups`` groups of channels standardised in each sample: (N, channels, *S) to the same shape.

    Weight and bias have the shape (channels,). Wu and He, "Group normalization", ECCV 2018. ValueError where the groups
    do not divide the channels, ShapeError for another number of channels.
    """

    def __init__(
        self,
        groups: int,
        channels: int,
        *,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: Any = "float32",
    ):
        self.groups, self.channels = size("GroupNorm", "groups", groups), size("GroupNorm", "channels", channels)
        if self.channels % self.groups:
            raise ValueError(
                f"GroupNorm: the groups do not divide the channels.\n"
                f"  got:      {self.groups} groups, {self.channels} channels"
            )
        self.eps = number("GroupNorm", "eps", eps, 0)
        self.weight = begun("weight", affine, (self.channels,), 1, dtype)
        self.bias = begun("bias", affine and bias, (self.channels,), 0, dtype)

    @names_itself
    def call(self, x: Any) -> Any:
        check_channels(self, x, self.channels)
        return op.group_norm(x, self.groups, self.weight, self.bias, eps=self.eps)

    def __repr__(self) -> str:
        settings = {"affine": self.weight is not None, "bias": self.bias is not None or self.weight is None}
        return shown(self, self.groups, self.channels, eps=self.eps, **settings)


class InstanceNorm(Module):
    """Every channel of every sample standardised over the spatial axes: (N, channels, *S) to the same shape.

    There is no weight and no bias unless ``affine=True`` asks for them; they have the shape (channels,). Ulyanov,
    Vedaldi, Lempitsky, "Instance normalization", 2016. ShapeError for another number of channels, ValueError for
    channels of one value.
    """

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        affine: bool = False,
        dtype: Any = "float32",
    ):
        self.channels = size("InstanceNorm", "channels", channels)
        self.eps = number("InstanceNorm", "eps", eps, 0)
        self.weight = begun("weight", affine, (self.channels,), 1, dtype)
        self.bias = begun("bias", affine, (self.channels,), 0, dtype)

    @names_itself
    def call(self, x: Any) -> Any:
        check_channels(self, x, self.channels)
        return op.instance_norm(x, self.weight, self.bias, eps=self.eps)

    def __repr__(self) -> str:
        return shown(self, self.channels, eps=self.eps, affine=self.weight is not None)


def check_last_axes(layer: Module, x: Any, shape: tuple[int, ...]) -> None:
    """ShapeError where x is not (..., *shape)."""
    if shape_of(x)[-len(shape) :] != shape:
        raise ShapeError(
            f"{type(layer).__name__}: the last axes of x have other sizes.\n  got:      {shape_of(x)}\n"
            f"  expected: (..., {', '.join(map(str, shape))})"
        )


def _sizes(layer: str, shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not sizes:
        raise ValueError(f"{layer}: there is no axis.\n  got:      ()\n  expected: an int, or at least one size")
    return tuple(size(layer, "shape", n) for n in sizes)


def _shown(shape: tuple[int, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape
