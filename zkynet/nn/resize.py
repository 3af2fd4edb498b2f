"""Layers that change the size of pictures without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkynet.framework import op
from zkynet.framework.computation_graph import Module
from zkynet.nn.layer import names_itself, positive, shown, size


class Upsample(Module):
    """x (N, C, *S) with other spatial sizes: ``factor`` times S, rounded down, or ``size``.

    Each is one number for all axes, or one an axis. ``mode`` is "nearest", "nearest-exact", "linear" (for any number of
    axes), "cubic" or "area"; see ``op.interpolate``. ``align_corners``: the first and the last pixel stay where they
    are. TypeError where not exactly one of factor and size is given.
    """

    def __init__(
        self,
        factor: float | Sequence[float] | None = None,
        *,
        size: int | Sequence[int] | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ):
        if (factor is None) == (size is None):
            raise TypeError(
                f"Upsample: needs a factor or a size, one of them.\n  got:      factor={factor!r}, size={size!r}"
            )
        self.factor, self.size = _checked("factor", factor, _factor), _checked("size", size, _size)
        self.mode, self.align_corners = mode, bool(align_corners)

    @names_itself
    def call(self, x: Any) -> Any:
        return op.interpolate(x, self.size, self.factor, self.mode, self.align_corners)

    def __repr__(self) -> str:
        first = [self.factor] if self.factor is not None else []
        return shown(self, *first, size=self.size, mode=self.mode, align_corners=self.align_corners)


def _checked(name: str, value: Any, check: Any) -> Any:
    if value is None:
        return None
    return tuple(check(name, x) for x in value) if isinstance(value, (tuple, list)) else check(name, value)


def _factor(name: str, value: Any) -> float:
    return positive("Upsample", name, value)


def _size(name: str, value: Any) -> int:
    return size("Upsample", name, value)


class PixelShuffle(Module):
    """Channels laid out as pixels: from (N, C * factor**n, *S) to (N, C, *(S * factor)), for n spatial axes.

    Shi et al., "Real-time single image and video super-resolution", CVPR 2016. ShapeError where factor**n does not
    divide the channels.
    """

    def __init__(self, factor: int):
        self.factor = size("PixelShuffle", "factor", factor)

    @names_itself
    def call(self, x: Any) -> Any:
        return op.pixel_shuffle(x, self.factor)

    def __repr__(self) -> str:
        return shown(self, self.factor)
