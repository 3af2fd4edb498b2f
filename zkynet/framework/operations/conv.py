"""Convolution (cross-correlation, as in deep learning) and its two transposes, closed at every order."""

from zkynet.backends.errors import ShapeError

from ..operator import Operator
from ..record import Tensor, apply, shape_of


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

    ``stride`` and ``dilation``: an int, or one a spatial axis. ``padding``: an int, one a spatial axis, or pairs
    (before, after); "same" and "valid" are not understood. ShapeError where the channels do not fit.

    Where each of them is written out for every axis, padding as pairs, x and w may have leading axes, which broadcast.
    """
    sx, sw = shape_of(x), shape_of(w)
    if _written_out(stride, padding, dilation):
        sx, sw = sx[-2 - len(stride) :], sw[-2 - len(stride) :]
    spatial = len(sx) - 2
    if spatial < 1 or len(sw) != len(sx):
        raise ShapeError(f"conv: needs x (N, C, *S) and w (O, C / groups, *K), got shapes {sx} and {sw}")
    if groups < 1 or sx[1] != sw[1] * groups or sw[0] % groups:
        raise ShapeError(
            f"conv: channels do not fit.\n  got:      x {sx}, w {sw}, groups={groups}\n"
            f"  expected: x with {sw[1]} * {groups} = {sw[1] * groups} channels, and outputs divisible by the groups"
        )
    stride, dilation = _each(stride, spatial, "stride", 1), _each(dilation, spatial, "dilation", 1)
    pads = _pairs(padding, spatial)
    for i in range(spatial):
        reach = dilation[i] * (sw[2 + i] - 1) + 1
        if sx[2 + i] + sum(pads[i]) < reach:
            raise ShapeError(
                f"conv: the kernel reaches over {reach} entries of spatial axis {i}, "
                f"which has {sx[2 + i]} with padding {pads[i]}"
            )
    return apply(Conv(stride, pads, dilation, groups), x, w)


def _written_out(stride, padding, dilation):
    return all(isinstance(v, tuple) for v in (stride, padding, dilation)) and not any(
        isinstance(p, int) for p in padding
    )


def _each(value, count, name, least):
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) != count or any(not isinstance(v, int) or v < least for v in values):
        raise ValueError(f"conv: {name} must be an int >= {least}, or {count} of them, got {value!r}")
    return values


def _pairs(padding, count):
    if isinstance(padding, int):
        padding = (padding,) * count
    pairs = tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
    if len(pairs) != count or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise ValueError(f"conv: padding must be an int >= 0, {count} of them, or {count} pairs, got {padding!r}")
    return pairs


def conv_input(h, w, size, stride, padding, dilation, groups) -> Tensor:
    """The transpose of ``conv`` in x; the settings are tuples, ``size`` the shape of x."""
    return apply(ConvInput(tuple(size), stride, padding, dilation, groups), h, w)


def conv_filter(x, h, size, stride, padding, dilation, groups) -> Tensor:
    """The transpose of ``conv`` in w; the settings are tuples, ``size`` the shape of w."""
    return apply(ConvFilter(tuple(size), stride, padding, dilation, groups), x, h)
