"""Changing the spatial sizes of pictures: interpolation, pixels to channels and back, sampling at given places."""

import math

from zkynet.backends.errors import ShapeError

from ..axes import size_of
from ..record import Tensor, shape_of
from .comparison import logical_and, logical_not, not_equal
from .constants import beside, integers_beside
from .control import stop_gradient
from .elementwise import abs, add, astype, clip, divide, multiply, select, subtract, where
from .indexing import take
from .linalg import matmul
from .pool import adaptive_average_pool, row
from .rounding import floor, round
from .shape import broadcast_to, expand_dims, getitem, matrix_transpose, moveaxis, permute_dims, reshape, stack
from .windows import spatial_axes

MODES = ("nearest", "nearest-exact", "linear", "cubic", "area")


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=False) -> Tensor:
    """x (N, C, *S) with other spatial sizes: ``size``, or S times ``scale_factor``, rounded down.

    ``mode``: "nearest" (the pixel at floor(i S / size)), "nearest-exact" (rounded from the centres), "linear"
    ("bilinear" and "trilinear" mean the same), "cubic" ("bicubic"; a = -0.75) or "area" (adaptive average pooling).
    Positions beyond the border are those on it. ``align_corners``: the first and the last pixel stay where they are,
    for linear and cubic. The scale is S / size, also where ``scale_factor`` is given. There is no antialiasing.
    """
    mode = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    if mode not in MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join(MODES)}; got {mode!r}")
    if align_corners and mode not in ("linear", "cubic"):
        raise ValueError(f"interpolate: align_corners has no meaning for mode {mode!r}")
    sizes = _sizes(x, size, scale_factor)
    if mode == "area":
        return adaptive_average_pool(x, sizes)
    for axis, count in zip(spatial_axes("interpolate", x), sizes, strict=True):
        if mode.startswith("nearest"):
            x = _nearest(x, axis, count, mode)
        elif shape_of(x)[axis] != count:
            x = _weighted(x, axis, *_taps(shape_of(x)[axis], count, mode, align_corners))
    return multiply(x, 1)


def _sizes(x, size, scale_factor):
    """The spatial sizes asked for."""
    old = [shape_of(x)[i] for i in spatial_axes("interpolate", x)]
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    if size is None:
        factors = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * len(old)
        size = tuple(int(math.floor(n * f)) for n, f in zip(old, factors, strict=True))
    size = (size,) * len(old) if isinstance(size, int) else tuple(size)
    if len(size) != len(old) or min(size) < 1 or min(old) < 1:
        raise ShapeError(f"interpolate: cannot give x of shape {shape_of(x)} the spatial sizes {size}")
    return size


def _nearest(x, axis, count, mode):
    """Pixels repeated or left out along one axis."""
    n, shape = shape_of(x)[axis], shape_of(x)
    times, rest = divmod(count, n)
    if rest == 0:  # repeated all as often: no index is needed
        end = shape[len(shape) + axis + 1 :]
        wide = broadcast_to(reshape(x, (*shape[:axis], n, 1, *end)), (*shape[:axis], n, times, *end))
        return reshape(wide, (*shape[:axis], count, *end))
    shift = 0.5 if mode == "nearest-exact" else 0.0
    spots = [min(int((i + shift) * n / count), n - 1) for i in range(count)]
    return take(x, integers_beside(spots, x), axis=axis)


def _taps(n, count, mode, align_corners):
    """For each new pixel the old ones it is made of, and their shares: two lists of ``count`` lists."""
    spots, shares = [], []
    for i in range(count):
        if align_corners:
            place = i * (n - 1) / (count - 1) if count > 1 else 0.0
        else:
            place = (i + 0.5) * n / count - 0.5
        if mode == "linear":
            place = max(place, 0.0)
        base = math.floor(place)
        t = place - base
        weights = [1 - t, t] if mode == "linear" else [_cubic(t + 1), _cubic(t), _cubic(1 - t), _cubic(2 - t)]
        first = base - (mode == "cubic")
        spots.append([min(max(first + k, 0), n - 1) for k in range(len(weights))])
        shares.append(weights)
    return spots, shares


def _cubic(d, a=-0.75):
    """Keys' kernel at a distance of 0 to 2 pixels."""
    return ((a + 2) * d - (a + 3)) * d * d + 1 if d <= 1 else ((d - 5) * d + 8) * d * a - 4 * a


def _weighted(x, axis, spots, shares):
    """Each new pixel of one axis as a weighted sum; a share of 0 takes nothing, not even of an infinity."""
    lines = moveaxis(x, axis, 0)  # whole lines at a time: the gradient of take adds them up fastest so
    total = None
    for k in range(len(shares[0])):
        numbers = [share[k] for share in shares]
        part = take(lines, integers_beside([s[k] for s in spots], x), axis=0)
        share = row(numbers, x, -len(shape_of(x)))
        part = multiply(part, share)
        if 0.0 in numbers:
            part = select(broadcast_to(not_equal(share, 0), shape_of(part)), part)
        total = part if total is None else add(total, part)
    return moveaxis(total, 0, axis)


def pixel_shuffle(x, factor) -> Tensor:
    """(N, C * factor ** n, *S) as (N, C, *(S * factor)) for n spatial axes: depth to space. Shi et al. 2016."""
    shape, n = shape_of(x), len(spatial_axes("pixel_shuffle", x))
    block = factor**n
    if factor < 1 or shape[1] % block:
        raise ShapeError(f"pixel_shuffle: {shape[1]} channels of x {shape} are no multiple of {factor} ** {n}")
    y = reshape(x, (shape[0], shape[1] // block, *(factor,) * n, *shape[2:]))
    order = [0, 1] + [axis for i in range(n) for axis in (2 + n + i, 2 + i)]
    return reshape(permute_dims(y, order), (shape[0], shape[1] // block, *(s * factor for s in shape[2:])))


def pixel_unshuffle(x, factor) -> Tensor:
    """(N, C, *(S * factor)) as (N, C * factor ** n, *S): space to depth, the inverse of ``pixel_shuffle``."""
    shape, n = shape_of(x), len(spatial_axes("pixel_unshuffle", x))
    if factor < 1 or any(s % factor for s in shape[2:]):
        raise ShapeError(f"pixel_unshuffle: the spatial sizes of x {shape} are no multiples of {factor}")
    y = reshape(x, (*shape[:2], *(part for s in shape[2:] for part in (s // factor, factor))))
    order = [0, 1] + [3 + 2 * i for i in range(n)] + [2 + 2 * i for i in range(n)]
    return reshape(permute_dims(y, order), (shape[0], shape[1] * factor**n, *(s // factor for s in shape[2:])))


# ---- sampling at given places ----


def affine_grid(theta, size, align_corners=False) -> Tensor:
    """The places that affine maps ``theta`` (N, n, n + 1) take the pixels of a picture to: (N, *S, n).

    ``size`` is (N, C, *S) or S; places are between -1 and 1 from edge to edge (from centre to centre of the outermost
    pixels where ``align_corners``), the last axis of S first.
    """
    shape = shape_of(theta)
    if len(shape) != 3 or shape[2] != shape[1] + 1 or len(size) not in (shape[1], shape[1] + 2):
        raise ShapeError(
            f"affine_grid: needs theta (N, n, n + 1) and n sizes, got theta {shape} and size {tuple(size)}"
        )
    n = shape[1]
    spatial = tuple(size)[-n:]
    lines = []
    for i, s in enumerate(spatial):
        steps = [(2 * k / (s - 1) - 1 if s > 1 else 0.0) if align_corners else (2 * k + 1) / s - 1 for k in range(s)]
        lines.append(broadcast_to(reshape(beside(steps, theta), (s,) + (1,) * (n - 1 - i)), spatial))
    ones = broadcast_to(reshape(beside([1.0], theta), (1,) * n), spatial)
    places = reshape(stack([*lines[::-1], ones], axis=-1), (size_of(spatial), n + 1))
    return reshape(matmul(places, matrix_transpose(theta)), (shape[0], *spatial, n))


def grid_sample(x, grid, mode="linear", padding_mode="zeros", align_corners=False) -> Tensor:
    """x (N, C, *S) at the places ``grid`` (N, *T, n), to (N, C, *T): places as in ``affine_grid``.

    ``mode``: "linear" ("bilinear") between neighbours, or "nearest" (a half goes to the even pixel, without a gradient
    for the grid). ``padding_mode``: outside there are "zeros", the pixel on the "border", or the picture's
    "reflection". A place that is not a number counts as one outside, far to the left. On a pixel the gradient of the
    grid is the one to its right.
    """
    sx, sg = shape_of(x), shape_of(grid)
    n = len(spatial_axes("grid_sample", x))
    if len(sg) != n + 2 or sg[-1] != n or sg[0] != sx[0] or 0 in sx[2:]:
        raise ShapeError(f"grid_sample: needs x (N, C, *S) and grid (N, *T, {n}), got shapes {sx} and {sg}")
    mode = {"bilinear": "linear", "trilinear": "linear"}.get(mode, mode)
    if mode not in ("linear", "nearest") or padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: mode {mode!r} or padding_mode {padding_mode!r} is unknown")
    flat = reshape(grid, (sg[0], size_of(sg[1:-1]), n))
    places = [
        _place(getitem(flat, (Ellipsis, n - 1 - i)), s, padding_mode, align_corners) for i, s in enumerate(sx[2:])
    ]
    pixels = reshape(moveaxis(x, 1, -1), (sx[0] * size_of(sx[2:]), sx[1]))
    corners: list = [[]]
    for place, s in zip(places, sx[2:], strict=True):
        sides = _sides(place, s, mode)
        corners = [corner + [side] for corner in corners for side in sides]
    total = None
    for corner in corners:
        part = _corner(pixels, corner, sx, flat)
        total = part if total is None else add(total, part)
    return moveaxis(reshape(total, (*sg[:-1], sx[1])), -1, 1)


def _place(u, size, padding_mode, align_corners):
    """Places between -1 and 1 in pixels, inside the picture unless what is outside is zero."""
    u = where(logical_not(u == u), -2.0, u)
    u = multiply(add(u, 1.0), (size - 1) / 2) if align_corners else subtract(multiply(add(u, 1.0), size / 2), 0.5)
    if padding_mode == "reflection":
        low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
        span = high - low
        if span == 0:
            return multiply(u, 0.0)
        away = abs(subtract(u, low))
        turns = stop_gradient(floor(divide(away, 2 * span)))
        left = subtract(away, multiply(turns, 2 * span))  # from 0 to 2 spans
        u = add(subtract(span, abs(subtract(left, span))), low)
    if padding_mode != "zeros":
        return clip(u, 0.0, size - 1.0)
    return clip(u, -2.0, size + 1.0)  # far outside all is zero, and positions stay integers


def _sides(place, size, mode):
    """The pixels around places along one axis: (position, share or None, whether it lies inside)."""
    fixed = stop_gradient(place)
    if mode == "nearest":
        spots = [(round(fixed), None)]
    else:
        base = floor(fixed)
        t = subtract(place, base)
        spots = [(base, subtract(1.0, t)), (add(base, 1.0), t)]
    return [
        (astype(clip(spot, 0.0, size - 1.0), "int64"), share, logical_and(spot >= 0, spot <= size - 1))
        for spot, share in spots
    ]


def _corner(pixels, corner, shape, like):
    """What one corner of the cells around the places adds: (N, places, C)."""
    total = reshape(integers_beside([i for i in range(shape[0])], like), (shape[0], 1))
    share, inside = None, None
    for (spot, part, seen), s in zip(corner, shape[2:], strict=True):
        total = add(multiply(total, s), spot)
        share = part if share is None or part is None else multiply(share, part)
        inside = seen if inside is None else logical_and(inside, seen)
    found = take(pixels, total, axis=0)
    found = select(broadcast_to(expand_dims(inside, -1), shape_of(found)), found)
    return found if share is None else multiply(found, expand_dims(share, -1))
