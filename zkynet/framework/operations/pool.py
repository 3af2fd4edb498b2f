"""Pooling over windows of the spatial axes, and the way back.

x is (N, C, *S), for any number of spatial axes; settings are an int, or one number a spatial axis.
"""

from zkynet.backends.errors import ShapeError

from ..axes import size_of
from ..record import Tensor, apply, kind_of, shape_of
from .constants import beside, integers_beside
from .elementwise import abs, add, astype, multiply, pow, subtract, where
from .indexing import positions, scatter_sum, take
from .reduction import mean
from .rounding import floor_divide
from .shape import concat, getitem, pad, reshape
from .windows import (
    MaxPool,
    check_narrow,
    inside,
    pool_settings,
    pool_spread,
    pool_sum,
    reaching,
    sizes_of,
    spatial_axes,
    sum_of,
)


def padded(x, padding):
    """x with zeros around its last axes, where there are to be any."""
    return pad(x, padding) if any(sum_of(pair) for pair in padding) else x


def max_pool(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest entry of each window of x (N, C, *S); at a tie the first one has the gradient, a NaN wins.

    ``stride`` is the kernel's size unless given. ``padding`` (an int, one a spatial axis, or pairs) adds entries that
    lose against all others. ``ceil_mode``: a last window may reach over the end. With ``return_indices`` a pair, the
    second the positions in the flattened spatial axes. TypeError for complex x, ShapeError where no window fits.
    """
    if kind_of(x) == "complex":
        raise TypeError("max_pool: complex numbers have no order; pool their magnitudes, op.abs(x)")
    kernel, stride, padding, dilation = pool_settings("max_pool", x, kernel, stride, padding, dilation)
    check_narrow("max_pool", kernel, padding)
    wide = reaching(shape_of(x)[2:], kernel, stride, padding, dilation, ceil_mode)
    y, which = apply(MaxPool(wide, kernel, stride, dilation), x)
    if not return_indices:
        return y
    return y, positions_of(which, shape_of(x)[2:], kernel, stride, padding, dilation)


def positions_of(which, size, kernel, stride, padding, dilation):
    """The row-major positions in the spatial axes that the numbers within windows name."""
    n = len(size)
    rest = astype(which, "int64")
    total, weight = multiply(rest, 0), 1
    for i in reversed(range(n)):
        upper = floor_divide(rest, kernel[i])
        starts = [t * stride[i] - padding[i][0] for t in range(shape_of(which)[i - n])]
        spots = add(multiply(subtract(rest, multiply(upper, kernel[i])), dilation[i]), row(starts, which, i - n, int))
        total, weight, rest = add(total, multiply(spots, weight)), weight * size[i], upper
    return total


def row(numbers, x, axis, kind=float):
    """A constant beside x with ``numbers`` along a negative axis of it."""
    make = beside if kind is float else integers_beside
    return reshape(make(numbers, x), (len(numbers),) + (1,) * (-axis - 1))


def average_pool(x, kernel, stride=None, padding=0, ceil_mode=False, count_include_pad=True) -> Tensor:
    """The mean of each window of x (N, C, *S).

    ``stride`` is the kernel's size unless given. The zeros of ``padding`` count as entries unless ``count_include_pad``
    is False; what a last window of ``ceil_mode`` reaches beyond them never does. ShapeError where no window fits.
    """
    kernel, stride, padding, ones = pool_settings("average_pool", x, kernel, stride, padding, 1)
    check_narrow("average_pool", kernel, padding)
    size = shape_of(x)[2:]
    y = pool_sum(padded(x, reaching(size, kernel, stride, padding, ones, ceil_mode)), kernel, stride, ones)
    share = 1.0
    for i, (n, k, s, (before, after)) in enumerate(zip(size, kernel, stride, padding, strict=True)):
        low, high = (-before, n + after) if count_include_pad else (0, n)
        starts = [t * s - before for t in range(shape_of(y)[2 + i])]
        shares = [1.0 / (min(start + k, high) - max(start, low)) for start in starts]
        if len(set(shares)) > 1:
            y = multiply(y, row(shares, y, i - len(size)))
        else:
            share *= shares[0]
    return multiply(y, share)


def lp_pool(x, p, kernel, stride=None, ceil_mode=False) -> Tensor:
    """The p-norm of each window of x (N, C, *S): (sum of |x| ** p) ** (1 / p)."""
    kernel, stride, none, ones = pool_settings("lp_pool", x, kernel, stride, 0, 1)
    wide = reaching(shape_of(x)[2:], kernel, stride, none, ones, ceil_mode)
    return pow(pool_sum(padded(pow(abs(x), p), wide), kernel, stride, ones), 1.0 / p)


def global_average_pool(x, keepdims=True) -> Tensor:
    """The mean over all spatial axes of x (N, C, *S)."""
    return mean(x, spatial_axes("global_average_pool", x), keepdims)


def global_max_pool(x, keepdims=True) -> Tensor:
    """The largest entry over all spatial axes of x (N, C, *S); at a tie the first one has the gradient."""
    axes = spatial_axes("global_max_pool", x)
    y = max_pool(x, tuple(shape_of(x)[i] for i in axes))
    return y if keepdims else reshape(y, shape_of(x)[:2])


def adaptive_average_pool(x, size) -> Tensor:
    """x (N, C, *S) as (N, C, *size): the mean from floor(i S / size) to ceil((i + 1) S / size) along each axis."""
    for axis, count in zip(spatial_axes("adaptive_average_pool", x), sizes_of("adaptive_average_pool", x, size)):
        n = shape_of(x)[axis]
        if n % count == 0:
            kernel = tuple(n // count if i == axis else 1 for i in range(axis, 0))
            x = multiply(pool_sum(x, kernel, kernel, (1,) * len(kernel)), count / n)
            continue
        starts, stops, longest = bins(n, count)
        kernel = (longest,) + (1,) * (-axis - 1)
        inner = [float(a + j < b) for a, b in zip(starts, stops, strict=True) for j in range(longest)]
        gathered = where(row(inner, x, axis) > 0, spread_bins(x, axis, starts, stops, longest), 0.0)
        y = pool_sum(gathered, kernel, kernel, (1,) * -axis)
        x = multiply(y, row([1.0 / (b - a) for a, b in zip(starts, stops, strict=True)], y, axis))
    return x


def adaptive_max_pool(x, size) -> Tensor:
    """x (N, C, *S) as (N, C, *size): the largest entry of the same bins as in ``adaptive_average_pool``."""
    kernel = []
    for axis, count in zip(spatial_axes("adaptive_max_pool", x), sizes_of("adaptive_max_pool", x, size)):
        starts, stops, longest = bins(shape_of(x)[axis], count)
        if longest * count != shape_of(x)[axis]:
            x = spread_bins(x, axis, starts, stops, longest)
        kernel.append(longest)
    return max_pool(x, tuple(kernel))


def bins(n, count):
    """Where each of ``count`` bins of ``n`` entries starts and stops, and the length of the longest."""
    starts = [i * n // count for i in range(count)]
    stops = [-(-(i + 1) * n // count) for i in range(count)]
    return starts, stops, max(b - a for a, b in zip(starts, stops, strict=True))


def spread_bins(x, axis, starts, stops, longest):
    """The bins one after the other, each as long as the longest: its last entry stands in for what is missing."""
    spots = [min(a + j, b - 1) for a, b in zip(starts, stops, strict=True) for j in range(longest)]
    return take(x, integers_beside(spots, x), axis=axis)


def spatial_pyramid_pool(x, levels) -> Tensor:
    """Adaptive max pools with 1, 2, 4, ... bins an axis, ``levels`` of them, flattened to (N, C * bins).

    K. He et al., Spatial pyramid pooling in deep convolutional networks for visual recognition, 2014.
    """
    parts = [adaptive_max_pool(x, 1 << level) for level in range(levels)]
    return concat([reshape(part, (shape_of(x)[0], size_of(shape_of(part)[1:]))) for part in parts], axis=1)


def unpool(x, kernel, stride=None, padding=0, size=None) -> Tensor:
    """Every entry of x (N, C, *T) repeated over its window; where windows overlap they add up.

    ``size``: the spatial sizes of the result, (T - 1) * stride + kernel - padding unless given.
    """
    kernel, stride, padding, ones = pool_settings("unpool", x, kernel, stride, padding, 1, fit=False)
    whole = [(t - 1) * s + k for t, s, k in zip(shape_of(x)[2:], stride, kernel, strict=True)]
    size = tuple(w - sum_of(p) for w, p in zip(whole, padding, strict=True)) if size is None else tuple(size)
    full = tuple(n + sum_of(p) for n, p in zip(size, padding, strict=True))
    if any(f < w for f, w in zip(full, whole, strict=True)):
        raise ShapeError(f"unpool: windows over {tuple(whole)} entries do not fit into {size} with padding {padding}")
    return getitem(pool_spread(x, full, kernel, stride, ones), (Ellipsis, *inside(size, padding)))


def max_unpool(x, indices, size) -> Tensor:
    """Zeros of (N, C, *size) with x (N, C, *T) at the ``indices`` of ``max_pool``; named twice they add up.

    IndexError for an index outside the flattened spatial axes.
    """
    shape, size = shape_of(x), (size,) * (len(shape_of(x)) - 2) if isinstance(size, int) else tuple(size)
    if shape_of(indices) != shape:
        raise ShapeError(f"max_unpool: indices {shape_of(indices)} are not of the shape of x, {shape}")
    rows, area = size_of(shape[:2]), size_of(size)
    flat = positions(reshape(indices, (rows, size_of(shape[2:]))), area, x, "max_unpool")
    starts = reshape(integers_beside([r * area for r in range(rows)], x), (rows, 1))
    y = scatter_sum(reshape(x, (-1,)), reshape(add(flat, starts), (-1,)), rows * area)
    return reshape(y, (*shape[:2], *size))
