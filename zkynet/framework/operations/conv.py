"""Convolution (cross-correlation, as in deep learning) and its two transposes, closed at every order."""

from zkynet.backends.errors import ShapeError

from ..operator import Operator
from ..record import Tensor, apply, shape_of
from .shape import reshape


class Convolution(Operator):
    """What the three share: stride, padding, dilation a spatial axis, and the number of groups.

    Every input may have leading axes before its own; they broadcast.
    """

    broadcasts = True
    right_aligned = True

    def __init__(self, stride, padding, dilation, groups):
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    @property
    def settings(self):
        return self.stride, self.padding, self.dilation, self.groups

    def own_shape(self, spec):
        """A shape without its leading axes."""
        return tuple(spec.shape[-2 - len(self.stride) :])


class Conv(Convolution):
    """y[n, o] = sum over c of x[n, c] * w[o, c]: x (N, C, *S), w (O, C / groups, *K)."""

    def forward(self, xp, x, w):
        return xp.conv(x, w, *self.settings)

    def vjp_x(self, xp, g, x_spec, w):
        return xp.conv_input(g, w, self.own_shape(x_spec), *self.settings)

    def vjp_w(self, xp, g, x, w_spec):
        return xp.conv_filter(x, g, self.own_shape(w_spec), *self.settings)

    def jvp_x(self, xp, t, w):
        return xp.conv(t, w, *self.settings)

    def jvp_w(self, xp, t, x):
        return xp.conv(x, t, *self.settings)


class ConvInput(Convolution):
    """The transpose of Conv in x: from h (N, O, *out) and w to ``size``, (N, C, *S)."""

    def __init__(self, size, *settings):
        super().__init__(*settings)
        self.size = size

    def forward(self, xp, h, w):
        return xp.conv_input(h, w, self.size, *self.settings)

    def vjp_h(self, xp, g, w):
        return xp.conv(g, w, *self.settings)

    def vjp_w(self, xp, g, h, w_spec):
        return xp.conv_filter(g, h, self.own_shape(w_spec), *self.settings)

    def jvp_h(self, xp, t, w):
        return xp.conv_input(t, w, self.size, *self.settings)

    def jvp_w(self, xp, t, h):
        return xp.conv_input(h, t, self.size, *self.settings)


class ConvFilter(Convolution):
    """The transpose of Conv in w: from x (N, C, *S) and h (N, O, *out) to ``size``, (O, C / groups, *K)."""

    def __init__(self, size, *settings):
        super().__init__(*settings)
        self.size = size

    def forward(self, xp, x, h):
        return xp.conv_filter(x, h, self.size, *self.settings)

    def vjp_x(self, xp, g, x_spec, h):
        return xp.conv_input(h, g, self.own_shape(x_spec), *self.settings)

    def vjp_h(self, xp, g, x):
        return xp.conv(x, g, *self.settings)

    def jvp_x(self, xp, t, h):
        return xp.conv_filter(t, h, self.size, *self.settings)

    def jvp_h(self, xp, t, x):
        return xp.conv_filter(x, t, self.size, *self.settings)


def conv(x, w, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Cross-correlate x (N, C, *S) with w (O, C / groups, *K), for any number of spatial axes.

    ``stride`` and ``dilation``: an int, or one a spatial axis. ``padding``: an int, one a spatial axis, pairs
    (before, after), "valid" (none) or "same" (the result has ceil(S / stride) entries; an odd one more zero behind).
    ShapeError where the channels do not fit, or the kernel is longer than a padded axis.

    Where each of them is written out for every axis, padding as pairs, x and w may have leading axes, which broadcast.
    """
    return _conv("conv", x, w, stride, padding, dilation, groups)


def conv1d(x, w, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """``conv`` of x (N, C, L) with w (O, C / groups, K)."""
    return _conv("conv1d", x, w, stride, padding, dilation, groups, 1)


def conv2d(x, w, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """``conv`` of x (N, C, H, W) with w (O, C / groups, KH, KW)."""
    return _conv("conv2d", x, w, stride, padding, dilation, groups, 2)


def conv3d(x, w, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """``conv`` of x (N, C, D, H, W) with w (O, C / groups, KD, KH, KW)."""
    return _conv("conv3d", x, w, stride, padding, dilation, groups, 3)


def _conv(who, x, w, stride, padding, dilation, groups, axes=None):
    sx, sw = shape_of(x), shape_of(w)
    if axes is None and _written_out(stride, padding, dilation):
        sx, sw = sx[-2 - len(stride) :], sw[-2 - len(stride) :]
    spatial = len(sx) - 2
    if spatial < 1 or len(sw) != len(sx) or spatial != (axes or spatial):
        raise ShapeError(f"{who}: needs x (N, C, *S) and w (O, C / groups, *K), got shapes {sx} and {sw}")
    if groups < 1 or sx[1] != sw[1] * groups or sw[0] % groups:
        raise ShapeError(
            f"{who}: channels do not fit.\n  got:      x {sx}, w {sw}, groups={groups}\n"
            f"  expected: x with {sw[1]} * {groups} = {sw[1] * groups} channels, and outputs divisible by the groups"
        )
    stride, dilation = each(stride, spatial, "stride", 1, who), each(dilation, spatial, "dilation", 1, who)
    pads = _named(padding, sx[2:], sw[2:], stride, dilation) if isinstance(padding, str) else padding
    pads = pairs(pads, spatial, who)
    for i in range(spatial):
        reach = dilation[i] * (sw[2 + i] - 1) + 1
        if sx[2 + i] + sum(pads[i]) < reach:
            raise ShapeError(
                f"{who}: the kernel reaches over {reach} entries of spatial axis {i}, "
                f"which has {sx[2 + i]} with padding {pads[i]}"
            )
    return apply(Conv(stride, pads, dilation, groups), x, w)


def _named(padding, sizes, kernel, stride, dilation):
    """The pairs that "same" and "valid" stand for."""
    if padding not in ("same", "valid"):
        raise ValueError(f'conv: padding must be numbers, "same" or "valid", got {padding!r}')
    total = [0] * len(sizes)
    if padding == "same":
        each_axis = zip(sizes, kernel, stride, dilation, strict=True)
        total = [max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n) for n, k, s, d in each_axis]
    return tuple((t // 2, t - t // 2) for t in total)


def _written_out(stride, padding, dilation):
    return all(isinstance(v, tuple) for v in (stride, padding, dilation)) and not any(
        isinstance(p, int) for p in padding
    )


def each(value, count, name, least, who="conv"):
    """``value``, an int or one a spatial axis, as a tuple; ValueError for another number or for less than ``least``."""
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) != count or any(not isinstance(v, int) or v < least for v in values):
        raise ValueError(f"{who}: {name} must be an int >= {least}, or {count} of them, got {value!r}")
    return values


def pairs(padding, count, who="conv"):
    """``padding`` as one pair (before, after) a spatial axis."""
    given = padding
    if isinstance(padding, int):
        padding = (padding,) * count
    found = tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
    if len(found) != count or any(len(p) != 2 or min(p) < 0 for p in found):
        raise ValueError(f"{who}: padding must be an int >= 0, {count} of them, or {count} pairs, got {given!r}")
    return found


def conv_input(h, w, size, stride, padding, dilation, groups) -> Tensor:
    """The transpose of ``conv`` in x, from h, of the shape of its result; ``size`` is the shape of x.

    The settings are numbers, or one a spatial axis, as for ``conv``. ``conv_transpose`` finds the size itself.
    """
    size = tuple(size)
    return apply(ConvInput(size, *_settings("conv_input", size, stride, padding, dilation), groups), h, w)


def conv_filter(x, h, size, stride, padding, dilation, groups) -> Tensor:
    """The transpose of ``conv`` in w, from h, of the shape of its result; ``size`` is the shape of w."""
    size = tuple(size)
    return apply(ConvFilter(size, *_settings("conv_filter", size, stride, padding, dilation), groups), x, h)


def _settings(who, size, stride, padding, dilation):
    """Stride, padding and dilation a spatial axis, as the operators take them."""
    n = len(size) - 2
    return each(stride, n, "stride", 1, who), pairs(padding, n, who), each(dilation, n, "dilation", 1, who)


def conv_transpose(x, w, stride=1, padding=0, output_padding=0, dilation=1, groups=1) -> Tensor:
    """Transposed convolution of x (N, C, *T) with w (C, O / groups, *K), to (N, O, *S).

    The transpose of ``conv`` with these settings: S = (T - 1) * stride - padding + dilation * (K - 1) + 1 +
    output_padding, where ``padding`` counts both sides and ``output_padding`` says which of the sizes that ``conv``
    takes to T is meant; it is smaller than the stride or the dilation. ShapeError where the channels do not fit.
    """
    sx, sw = shape_of(x), shape_of(w)
    spatial = len(sx) - 2
    if spatial < 1 or len(sw) != len(sx) or groups < 1 or sx[1] != sw[0] or sx[1] % groups:
        raise ShapeError(
            f"conv_transpose: shapes do not fit.\n  got:      x {sx}, w {sw}, groups={groups}\n"
            "  expected: x (N, C, *T) and w (C, O / groups, *K), with C divisible by the groups"
        )
    who = "conv_transpose"
    stride, dilation = each(stride, spatial, "stride", 1, who), each(dilation, spatial, "dilation", 1, who)
    pads, extra = pairs(padding, spatial, who), each(output_padding, spatial, "output_padding", 0, who)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"{who}: output_padding {extra} must be smaller than the stride {stride} or the dilation")
    every = zip(sx[2:], sw[2:], stride, pads, dilation, extra, strict=True)
    size = tuple((t - 1) * s - sum(p) + d * (k - 1) + 1 + e for t, k, s, p, d, e in every)
    if min(size) < 1:
        raise ShapeError(f"{who}: x {sx} and w {sw} with padding {pads} leave nothing, spatial sizes {size}")
    return conv_input(x, w, (sx[0], sw[1] * groups, *size), stride, pads, dilation, groups)


def depthwise_conv(x, w, stride=1, padding=0, dilation=1) -> Tensor:
    """Every channel of x (N, C, *S) with M kernels of its own, w (C, M, *K), to (N, C * M, *T)."""
    sx, sw = shape_of(x), shape_of(w)
    if len(sw) != len(sx) or len(sx) < 3 or sw[0] != sx[1]:
        raise ShapeError(f"depthwise_conv: needs x (N, C, *S) and w (C, M, *K), got shapes {sx} and {sw}")
    kernels = reshape(w, (sw[0] * sw[1], 1, *sw[2:]))
    return _conv("depthwise_conv", x, kernels, stride, padding, dilation, sx[1])
