"""Numerical calculus of samples: slopes, areas, interpolation, polynomials. Made of other operations throughout."""

from itertools import product as combinations

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import normalize_axes, normalize_axis
from ..record import Tensor, kind_of, operand, shape_of
from .arrangement import ravel
from .comparison import all as all_of
from .comparison import greater, less, logical_and
from .control import stop_gradient, zeros_like
from .creation import asarray
from .cumulative import diff
from .elementwise import add, clip, divide, multiply, pow, sqrt, square, subtract, where
from .indexing import take
from .linalg import matmul
from .reduction import cumulative_sum, sum, widened
from .rounding import floor, round
from .shape import concat, getitem, ones_like_shape, reshape, stack
from .solvers import pinv
from .sorting import argsort, searchsorted

# ---- slopes and areas ----


def gradient(f, *spacings, axis=None, edge_order=1):
    """The slopes of samples f along ``axis`` (None: each of its axes), as NumPy's ``gradient``; second order inside.

    ``spacings``: none (steps of 1), one number for all axes, or for each axis a number or the 1-D places of its
    samples; f and the spacings are differentiated. ``edge_order`` 1 or 2: the order at both ends. One Tensor for one
    axis, a tuple for several.
    """
    shape = shape_of(f)
    if isinstance(axis, (tuple, list)) or axis is None:
        axes = tuple(normalize_axis(a, len(shape), "gradient") for a in (range(len(shape)) if axis is None else axis))
        normalize_axes(axes, len(shape), "gradient")  # raises where one stands twice
    else:
        axes = (normalize_axis(axis, len(shape), "gradient"),)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order!r}")
    if not spacings:
        spacings = (1.0,) * len(axes)
    elif len(spacings) == 1 and shape_of(spacings[0]) == ():
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"gradient: {len(spacings)} spacings for {len(axes)} axes; give none, one number, or one each")
    slopes = tuple(_slope(f, h, a, edge_order) for a, h in zip(axes, spacings, strict=True))
    return slopes if len(axes) != 1 else slopes[0]


def _slope(f, spacing, axis, edge_order):
    n = shape_of(f)[axis]
    if n < edge_order + 1:
        raise ShapeError(f"gradient: needs {edge_order + 1} samples along an axis, got shape {shape_of(f)}")
    if shape_of(spacing) == ():
        rise = diff(f, axis=axis)  # between neighbours
        if type(spacing) is not float or spacing != 1.0 or kind_of(f) not in ("real", "complex"):
            rise = divide(rise, spacing)
        inner = multiply(0.5, add(_part(rise, axis, 0, -1), _part(rise, axis, 1, None)))
    else:
        steps = _steps(spacing, n, axis)
        rise = divide(diff(f, axis=axis), steps)
        left, right = _part(steps, axis, 0, -1), _part(steps, axis, 1, None)
        # Of the parabola through three samples: each side weighs as much as the step on the other side.
        before, after = multiply(_part(rise, axis, 0, -1), right), multiply(_part(rise, axis, 1, None), left)
        inner = divide(add(before, after), add(left, right))
    first, last = _part(rise, axis, 0, 1), _part(rise, axis, -1, None)
    if edge_order == 2:
        first = _extrapolated(first, _part(inner, axis, 0, 1))
        last = _extrapolated(last, _part(inner, axis, -1, None))
    return concat([first, inner, last], axis=axis)


def _extrapolated(rise, inner):
    """A parabola's slope is linear: ``rise`` is that half-way between the end and the inner sample."""
    return subtract(multiply(2.0, rise), inner)


def _steps(places, n, axis):
    """The distances of neighbouring places, in an array that runs along ``axis``."""
    if shape_of(places) != (n,):
        raise ShapeError(f"gradient: {n} samples along an axis, but their places have shape {shape_of(places)}")
    return reshape(diff(places), (n - 1, *(1,) * (-axis - 1)))


def _part(x, axis, start, stop):
    return getitem(x, (Ellipsis, slice(start, stop), *(slice(None),) * (-axis - 1)))


def trapezoid(y, x=None, dx=1.0, axis=-1) -> Tensor:
    """The area under samples y by trapezoids; ``x`` holds their places (1-D, or like y), or they are ``dx`` apart."""
    axis = normalize_axis(axis, len(shape_of(y)), "trapezoid")
    return sum(_trapezoids(y, x, dx, axis, "trapezoid"), axis)


def cumulative_trapezoid(y, x=None, dx=1.0, axis=-1, initial=None) -> Tensor:
    """The running area under samples y: one entry fewer than y, or as many with ``initial``, a number, put first."""
    axis = normalize_axis(axis, len(shape_of(y)), "cumulative_trapezoid")
    areas = cumulative_sum(_trapezoids(y, x, dx, axis, "cumulative_trapezoid"), axis=axis)
    return areas if initial is None else concat([ones_like_shape(areas, axis, initial), areas], axis=axis)


def _trapezoids(y, x, dx, axis, who):
    n = shape_of(y)[axis]
    if x is not None:
        shape = shape_of(x)
        if shape != shape_of(y) and shape != (n,):
            raise ShapeError(f"{who}: the places must have shape {(n,)} or that of y, {shape_of(y)}; got {shape}")
        dx = diff(reshape(x, (n, *(1,) * (-axis - 1))) if shape == (n,) else x, axis=axis)
    means = multiply(0.5, add(_part(y, axis, 1, None), _part(y, axis, 0, -1)))
    return multiply(means, dx)


# ---- interpolation ----


def interp(x, xp, fp, left=None, right=None, period=None) -> Tensor:
    """Piecewise linear interpolation at x of the points (``xp``, ``fp``), 1-D, xp increasing; as NumPy's.

    Differentiable in x, xp, fp, ``left`` and ``right``. At a point of xp the slope in x is that of the piece on its
    right, at the last one that on its left. Outside, ``left`` and ``right`` (default: the outermost fp) are constants
    in x. ``period`` wraps x and xp, in any order, round. ValueError where xp does not increase.
    """
    if len(shape_of(xp)) != 1 or shape_of(xp) != shape_of(fp) or not shape_of(xp)[0]:
        raise ShapeError(
            f"interp: xp and fp must be sequences of one length, not empty; got {shape_of(xp)} and {shape_of(fp)}"
        )
    x, xp, fp = asarray(x), asarray(xp), asarray(fp)
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
    _check_increasing(xp)
    n = shape_of(xp)[0]
    ends = [fp[0] if left is None or period is not None else left, fp[n - 1] if right is None else right]
    if period is not None:
        ends[1] = fp[n - 1]
    inside = fp[0] if n == 1 else _pieces(x, xp, fp, n)
    y = where(less(x, xp[0]), ends[0], where(greater(x, xp[n - 1]), ends[1], inside))
    return y if n > 1 else add(y, multiply(0.0, x))  # NaN stays NaN


def _pieces(x, xp, fp, n):
    line, value = operand(xp)[0], operand(x)[0]
    home = backends.common_backend([backends.backend_of(line), backends.backend_of(value)])
    at = clip(searchsorted(home.asarray(line), home.asarray(value), side="right"), 1, n - 1)
    x0, x1, f0, f1 = take(xp, at - 1), take(xp, at), take(fp, at - 1), take(fp, at)
    return add(f0, multiply(subtract(f1, f0), divide(subtract(x, x0), subtract(x1, x0))))


def _periodic(x, xp, fp, period):
    """x and the points within one period, and the points that follow on both sides."""
    if not period:
        raise ValueError("interp: the period must not be 0")
    period = abs(period)
    x, xp = _wrapped(x, period), _wrapped(xp, period)
    order = argsort(stop_gradient(xp))
    xp, fp = take(xp, order), take(fp, order)
    xp = concat([subtract(xp[-1:], period), xp, add(xp[:1], period)])
    return x, xp, concat([fp[-1:], fp, fp[:1]])


def _wrapped(x, period):
    """x less a multiple of the period."""
    return subtract(x, multiply(floor(divide(stop_gradient(x), period)), period))


def _check_increasing(xp):
    value = operand(xp)[0]
    if backends.backend_of(value).is_traced(value):
        return
    if not bool(all_of(greater(value[1:], value[:-1]))):
        raise ValueError("interp: xp must increase from entry to entry; sort it, and fp with it, first")


def map_coordinates(x, coordinates, order=1, mode="constant", cval=0.0) -> Tensor:
    """The values of x between its entries: ``coordinates`` is a list of one array an axis, counted in entries.

    ``order`` 0 takes the nearest entry, 1 interpolates linearly, differentiable in x and the coordinates. Outside the
    array ``mode`` "constant" gives ``cval``, "nearest" the entry at the edge. SciPy's function, without splines.
    """
    shape = shape_of(x)
    places = [asarray(c) for c in coordinates]
    if len(places) != len(shape) or 0 in shape:
        raise ShapeError(f"map_coordinates: {len(places)} coordinates for an array of shape {shape}")
    if order not in (0, 1) or mode not in ("constant", "nearest"):
        raise ValueError(f"map_coordinates: order is 0 or 1, mode 'constant' or 'nearest'; got {order!r}, {mode!r}")
    held = [clip(c, 0.0, float(n - 1)) for c, n in zip(places, shape, strict=True)]
    y = _between(ravel(x), held, shape) if order else take(ravel(x), _flat([round(c) for c in held], shape))
    if mode == "nearest":
        return y
    inside = None
    for c, h in zip(places, held, strict=True):
        same = c == h
        inside = same if inside is None else logical_and(inside, same)
    return where(inside, y, cval)


def _between(line, places, shape):
    """The linear interpolation in flattened entries: a sum over the corners of the cell."""
    lows = [clip(floor(c), 0.0, float(max(n - 2, 0))) for c, n in zip(places, shape, strict=True)]
    total = None
    for corner in combinations(*[(0, 1) if n > 1 else (0,) for n in shape]):
        weight: Tensor | float = 1.0
        for c, low, up in zip(places, lows, corner, strict=True):
            part = subtract(c, low)
            weight = multiply(weight, part if up else subtract(1.0, part))
        term = multiply(weight, take(line, _flat([add(low, float(up)) for low, up in zip(lows, corner)], shape)))
        total = term if total is None else add(total, term)
    return total


def _flat(places, shape):
    """The row-major positions of whole coordinates."""
    flat = None
    for place, n in zip(places, shape, strict=True):
        place = stop_gradient(place).astype("int64")
        flat = place if flat is None else flat * n + place
    return flat


# ---- polynomials ----


def polyval(p, x) -> Tensor:
    """The polynomial with coefficients p, the highest power first, at x, by Horner's rule; in the shape of x."""
    if len(shape_of(p)) != 1:
        raise ShapeError(f"polyval: the coefficients must have one axis, got shape {shape_of(p)}")
    p = asarray(p)
    y = zeros_like(x)
    if shape_of(p)[0]:
        y = add(p[0], y)
    for k in range(1, shape_of(p)[0]):
        y = add(multiply(y, x), p[k])
    return y


def vander(x, N=None, increasing=False) -> Tensor:  # noqa: N803  (NumPy's name)
    """The matrix of powers of a sequence: columns x**(N - 1), ..., x, 1, or the other way round."""
    if len(shape_of(x)) != 1:
        raise ShapeError(f"vander: x must be a sequence, got shape {shape_of(x)}")
    x = widened(x)
    count = shape_of(x)[0] if N is None else N
    if not count:
        return reshape(getitem(x, slice(0, 0)), (shape_of(x)[0], 0)) if shape_of(x)[0] else reshape(x, (0, 0))
    powers = range(count) if increasing else range(count - 1, -1, -1)
    return stack([pow(x, k) for k in powers], axis=-1)


def polyfit(x, y, deg, *, w=None) -> Tensor:
    """The coefficients, highest power first, of the polynomial of degree ``deg`` that fits y (n,) or (n, k) best at x.

    Least squares of w * (y - p(x)), with the columns scaled to length 1; differentiable in x, y and w.
    """
    sx, sy = shape_of(x), shape_of(y)
    if len(sx) != 1 or not sy or sy[0] != sx[0] or len(sy) > 2 or deg < 0:
        raise ShapeError(f"polyfit: expected x (n,), y (n,) or (n, k) and a degree from 0; got {sx}, {sy}, {deg!r}")
    if sx[0] <= deg:
        raise ShapeError(f"polyfit: {sx[0]} points do not determine a polynomial of degree {deg}")
    columns, y = vander(x, deg + 1), asarray(y)
    if w is not None:
        columns = multiply(columns, reshape(w, (sx[0], 1)))
        y = multiply(y, reshape(w, (sx[0],) + (1,) * (len(sy) - 1)))
    lengths = sqrt(sum(square(columns), 0))
    c = matmul(pinv(divide(columns, lengths)), y)
    return divide(c, reshape(lengths, (deg + 1,) + (1,) * (len(sy) - 1)))
