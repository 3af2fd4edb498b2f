"""Windows of the last axes, their sums and their largest entries, and the transposes of all that."""

from zkynet.backends.errors import ShapeError

from ..operator import Operator
from ..record import Tensor, apply, shape_of
from .conv import each, pairs


class Windowed(Operator):
    """What the operators on windows share; they speak of the last ``len(kernel)`` axes, any others lead."""

    def __init__(self, kernel, stride, dilation):
        self.kernel, self.stride, self.dilation = kernel, stride, dilation

    @property
    def settings(self):
        return self.kernel, self.stride, self.dilation

    def inner(self, spec):
        """The sizes of the axes with windows."""
        return tuple(spec.shape[len(spec.shape) - len(self.kernel) :])


class Windows(Windowed):
    """lead + S as lead + kernel + T: at each offset within the kernel what the windows have there."""

    linear = True
    promotion = None

    def forward(self, xp, x):
        return xp.windows(x, *self.settings)

    def vjp_x(self, xp, g, x_spec):
        return xp.window_sum(g, self.inner(x_spec), *self.settings)


class WindowSum(Windowed):
    """lead + kernel + T added up into lead + ``size``: the transpose of Windows."""

    linear = True
    promotion = None

    def __init__(self, size, *settings):
        super().__init__(*settings)
        self.size = size

    def forward(self, xp, h):
        return xp.window_sum(h, self.size, *self.settings)

    def vjp_h(self, xp, g):
        return xp.windows(g, *self.settings)


class PoolSum(Windowed):
    """The sum of each window."""

    linear = True
    promotion = None

    def forward(self, xp, x):
        return xp.pool_sum(x, *self.settings)

    def vjp_x(self, xp, g, x_spec):
        return xp.pool_spread(g, self.inner(x_spec), *self.settings)


class PoolSpread(Windowed):
    """Each entry added to its window: the transpose of PoolSum."""

    linear = True
    promotion = None

    def __init__(self, size, *settings):
        super().__init__(*settings)
        self.size = size

    def forward(self, xp, h):
        return xp.pool_spread(h, self.size, *self.settings)

    def vjp_h(self, xp, g):
        return xp.pool_sum(g, *self.settings)


class MaxPool(Windowed):
    """The largest entry of each window, and its number within the kernel: the first of equals, a NaN before all."""

    outputs = 2

    def __init__(self, padding, *settings):
        super().__init__(*settings)
        self.padding = padding

    def forward(self, xp, x):
        if any(before or after for before, after in self.padding):
            low = -xp.inf if xp.is_inexact(x.dtype) else int(xp.iinfo(x.dtype).min)
            x = xp.pad(x, self.padding, value=low)
        return xp.pool_max(x, *self.settings)

    def vjp_x(self, xp, g, x_spec, y):
        size = tuple(n + sum_of(pair) for n, pair in zip(self.inner(x_spec), self.padding, strict=True))
        whole = xp.pool_place(g[0], y[1], size, *self.settings)
        return whole[(Ellipsis, *inside(self.inner(x_spec), self.padding))]

    def jvp_x(self, xp, t, y):
        return xp.pool_pick(xp.pad(t, self.padding), y[1], *self.settings), None


class PoolPick(Windowed):
    """The entry with the number ``which`` of each window."""

    right_aligned = True
    nondifferentiable = ("which",)
    promotion = None

    def forward(self, xp, x, which):
        return xp.pool_pick(x, which, *self.settings)

    def vjp_x(self, xp, g, which, x_spec):
        return xp.pool_place(g, which, self.inner(x_spec), *self.settings)

    def jvp_x(self, xp, t, which):
        return xp.pool_pick(t, which, *self.settings)


class PoolPlace(Windowed):
    """Each entry added to its window at the number ``which``: the transpose of PoolPick."""

    right_aligned = True
    nondifferentiable = ("which",)
    promotion = None

    def __init__(self, size, *settings):
        super().__init__(*settings)
        self.size = size

    def forward(self, xp, h, which):
        return xp.pool_place(h, which, self.size, *self.settings)

    def vjp_h(self, xp, g, which):
        return xp.pool_pick(g, which, *self.settings)

    def jvp_h(self, xp, t, which):
        return xp.pool_place(t, which, self.size, *self.settings)


def sum_of(pair):
    return pair[0] + pair[1]


def inside(sizes, padding):
    """The slices that leave the padding away."""
    return tuple(slice(before, before + n) for n, (before, _) in zip(sizes, padding, strict=True))


# ---- the protocol's own functions: canonical settings, tuples throughout ----


def windows(x, kernel, stride, dilation) -> Tensor:
    """lead + S as lead + kernel + T: windows of the last axes side by side; the settings are tuples."""
    return apply(Windows(kernel, stride, dilation), x)


def window_sum(h, size, kernel, stride, dilation) -> Tensor:
    """The transpose of ``windows``: lead + kernel + T added up into lead + ``size``."""
    return apply(WindowSum(size, kernel, stride, dilation), h)


def pool_sum(x, kernel, stride, dilation) -> Tensor:
    """The sum of each window of the last axes; the settings are tuples."""
    return apply(PoolSum(kernel, stride, dilation), x)


def pool_spread(h, size, kernel, stride, dilation) -> Tensor:
    """The transpose of ``pool_sum``: each entry added to its window in lead + ``size``."""
    return apply(PoolSpread(size, kernel, stride, dilation), h)


def pool_pick(x, which, kernel, stride, dilation) -> Tensor:
    """The entry with the number ``which`` (row-major within the kernel) of each window of the last axes."""
    return apply(PoolPick(kernel, stride, dilation), x, which)


def pool_place(h, which, size, kernel, stride, dilation) -> Tensor:
    """The transpose of ``pool_pick``: each entry added to lead + ``size`` at the place it names."""
    return apply(PoolPlace(size, kernel, stride, dilation), h, which)


# ---- settings ----


def spatial_axes(who, x):
    """The spatial axes of x (N, C, *S), negative."""
    ndim = len(shape_of(x))
    if ndim < 3:
        raise ShapeError(f"{who}: needs x (N, C, *S) with at least one spatial axis, got shape {shape_of(x)}")
    return tuple(range(2 - ndim, 0))


def sizes_of(who, x, size):
    """One positive size a spatial axis; a spatial axis without entries is an error."""
    found = each(size, len(spatial_axes(who, x)), "size", 1, who)
    if 0 in shape_of(x)[2:]:
        raise ShapeError(f"{who}: x of shape {shape_of(x)} has no entries along a spatial axis")
    return found


def pool_settings(who, x, kernel, stride, padding, dilation, fit=True):
    """The settings written out for every spatial axis; ShapeError where a window is longer than its axis."""
    n = len(spatial_axes(who, x))
    kernel = each(kernel, n, "kernel", 1, who)
    stride = kernel if stride is None else each(stride, n, "stride", 1, who)
    dilation, padding = each(dilation, n, "dilation", 1, who), pairs(padding, n, who)
    for i, s in enumerate(shape_of(x)[2:] if fit else ()):
        reach = dilation[i] * (kernel[i] - 1) + 1
        if s + sum_of(padding[i]) < reach or s == 0:
            raise ShapeError(
                f"{who}: the window reaches over {reach} entries of spatial axis {i}, "
                f"which has {s} with padding {padding[i]}"
            )
    return kernel, stride, padding, dilation


def check_narrow(who, kernel, padding):
    """ValueError where a window could lie in the padding alone."""
    if any(max(pair) >= k for k, pair in zip(kernel, padding, strict=True)):
        raise ValueError(f"{who}: padding {padding} must be smaller than the kernel, {kernel}")


def reaching(size, kernel, stride, padding, dilation, ceil_mode):
    """The padding, made longer where ``ceil_mode`` lets a last window begin inside and reach over the end."""
    if not ceil_mode:
        return padding
    wide = []
    for s, k, step, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        count = -(-(s + before + after - reach) // step) + 1
        if (count - 1) * step >= s + before:  # it would begin in the padding behind
            count -= 1
        wide.append((before, max(after, (count - 1) * step + reach - s - before)))
    return tuple(wide)


def fitting(full, kernel, stride, dilation):
    """How many windows fit along each axis."""
    sizes = zip(full, kernel, stride, dilation, strict=True)
    return tuple(max(0, (f - d * (k - 1) - 1) // s + 1) for f, k, s, d in sizes)
