"""Statistics: deviations, weighted means, medians and quantiles, reductions that pass NaN over, covariances, counts."""

import operator

from zkynet import backends

from ..axes import kept_shape, normalize_axes, normalize_axis, size_of
from ..operator import Elementwise
from ..quick import unary
from ..record import Tensor, is_tracked, kind_of, operand, shape_of
from . import reduction
from .comparison import isnan
from .complex import conj, real
from .control import asarray, ones_like, stop_gradient, zeros_like
from .creation import linspace
from .elementwise import add, astype, divide, multiply, sqrt, subtract, where
from .indexing import scatter_sum, take_along_axis
from .linalg import matmul
from .reduction import mean, sum, var
from .shape import broadcast_to, concat, expand_dims, getitem, matrix_transpose, permute_dims, reshape, stack
from .sorting import array_of, searchsorted, sort

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


class RootOfSpread(Elementwise):
    """The root of a variance: its derivative at 0 is 0, the smallest of those that fit."""

    masks = True
    promotion = "inexact"

    def forward(self, xp, v):
        return xp.sqrt(v)

    def vjp_v(self, xp, g, y):
        return xp.select(y != 0, g * (0.5 / y))


root_of_spread = unary(RootOfSpread(), "The root of a variance; derivative 0 at 0.")


def std(x, axis=None, correction=0, keepdims=False) -> Tensor:
    """The standard deviation over ``axis``, the root of ``var``; of equal entries it is 0 with derivative 0."""
    return root_of_spread(var(x, axis, correction, keepdims))


def average(x, axis=None, weights=None, keepdims=False) -> Tensor:
    """The mean weighted by ``weights``, of x's shape, or 1-D along one ``axis``; differentiable in both."""
    if weights is None:
        return mean(x, axis, keepdims)
    shape, count = shape_of(x), shape_of(weights)
    if count != shape:
        if axis is None or isinstance(axis, (tuple, list)) or count != (shape[axis],):
            raise ValueError(
                f"average: the weights do not fit.\n  got:      shape {count}\n"
                f"  expected: {shape}, or 1-D with the entries of x along one axis"
            )
        weights = reshape(weights, count + (1,) * (-normalize_axis(axis, len(shape), "average") - 1))
        weights = broadcast_to(weights, shape)
    return divide(sum(multiply(x, weights), axis, keepdims), sum(weights, axis, keepdims))


def ptp(x, axis=None, keepdims=False) -> Tensor:
    """The range, max - min, over ``axis``."""
    return subtract(reduction.max(x, axis, keepdims), reduction.min(x, axis, keepdims))


# ---- medians and quantiles ----


def median(x, axis=None, keepdims=False) -> Tensor:
    """The middle entry over ``axis``, or the mean of the two in the middle; NaN where one of the entries is."""
    return quantile(x, 0.5, axis, keepdims)


def percentile(x, q, axis=None, keepdims=False, method="linear") -> Tensor:
    """``quantile`` with ``q`` in percent."""
    return quantile(
        x, [p / 100 for p in q] if isinstance(q, (list, tuple)) else _numbers(q) / 100, axis, keepdims, method
    )


def quantile(x, q, axis=None, keepdims=False, method="linear") -> Tensor:
    """The entries over ``axis`` below which the parts ``q`` of them lie: q a number in [0, 1] or an array of such.

    ``method`` says what is between two entries: "linear" interpolates, "lower", "higher", "midpoint" and "nearest" as
    in NumPy. The axes of q come first in the result. A NaN among the entries makes it NaN. No derivative in q.
    """
    return _quantile(x, q, axis, keepdims, method, "quantile", skip_nan=False)


def nanmedian(x, axis=None, keepdims=False) -> Tensor:
    """``median`` of the entries that are not NaN."""
    return nanquantile(x, 0.5, axis, keepdims)


def nanquantile(x, q, axis=None, keepdims=False, method="linear") -> Tensor:
    """``quantile`` of the entries that are not NaN; NaN where there is none."""
    return _quantile(x, q, axis, keepdims, method, "nanquantile", skip_nan=True)


def _quantile(x, q, axis, keepdims, method, who, skip_nan):
    if method not in METHODS:
        raise ValueError(f"{who}: method must be one of {', '.join(METHODS)}, got {method!r}")
    parts = _numbers(q)
    if ((parts < 0) | (parts > 1) | (parts != parts)).any():
        raise ValueError(f"{who}: q is out of range.\n  got:      {q}\n  expected: numbers of 0 .. 1")
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape), who)
    line = sort(_merged(_floating(x), axes), axis=-1)
    value, xp = array_of(stop_gradient(line))
    size = value.shape[-1]
    if size == 0:
        raise ValueError(f"{who}: an array of shape {shape} has no entries along axis {axis}")
    missing = xp.isnan(value)
    count = xp.sum(xp.astype(~missing, xp.float64), axis=-1) if skip_nan else None
    bad = xp.any(missing, axis=-1) if not skip_nan else count == 0
    pieces = [_part(xp, line, float(p), size, count, method) for p in parts.reshape(-1)]
    pieces = [where(Tensor(bad), float("nan"), piece) for piece in pieces]
    if keepdims:
        pieces = [reshape(piece, kept_shape(shape, axes)) for piece in pieces]
    if parts.ndim == 0:
        return pieces[0]
    return reshape(stack(pieces, axis=0), parts.shape + shape_of(pieces[0]))


def _part(xp, line, p, size, count, method):
    """The quantile ``p`` of sorted lines, of the first ``count`` entries where that is given."""
    if count is None:
        place = p * (size - 1)
        low = int(place)
        share = place - low
        at = [getitem(line, (Ellipsis, min(low + k, size - 1))) for k in (0, 1)]
        nearest = 1 if share > 0.5 or (share == 0.5 and low % 2) else 0
        return _between(at, share, nearest, method)
    place = xp.maximum(p * (count - 1), xp.zeros_like(count))
    low = xp.floor(place)
    share = place - low
    index = [xp.astype(xp.minimum(low + k, xp.maximum(count - 1, xp.zeros_like(count))), xp.int64) for k in (0, 1)]
    at = [getitem(take_along_axis(line, Tensor(xp.expand_dims(i, axis=-1)), axis=-1), (Ellipsis, 0)) for i in index]
    up = (share > 0.5) | ((share == 0.5) & (low % 2 == 1))
    dtype = operand(line)[0].dtype
    return _between(at, Tensor(xp.astype(share, dtype)), Tensor(xp.astype(up, dtype)), method)


def _between(at, share, nearest, method):
    low, high = at
    if method == "linear":
        return add(low, multiply(share, subtract(high, low)))
    if method == "midpoint":
        halfway = (share != 0) * 0.5 if isinstance(share, float) else where(share == 0.0, 0.0, 0.5)
        return add(low, multiply(halfway, subtract(high, low)))
    if method == "nearest":
        return add(low, multiply(nearest, subtract(high, low)))
    if method == "lower":
        return low
    if isinstance(share, float):
        return high if share else low
    return where(share == 0.0, low, high)


def _merged(x, axes):
    """x with the axes ``axes`` merged into one, the last."""
    shape = shape_of(x)
    kept = tuple(i for i in range(-len(shape), 0) if i not in axes)
    y = permute_dims(x, tuple(i + len(shape) for i in kept + axes)) if shape else x
    return reshape(y, tuple(shape[i] for i in kept) + (size_of(tuple(shape[i] for i in axes)),))


def _numbers(q):
    """``q`` as an array of the host: it decides what is computed, and has no derivative."""
    if any(is_tracked(p) for p in (q if isinstance(q, (list, tuple)) else (q,))):
        raise TypeError("quantile: no derivative with respect to q is known; give zk.stop_gradient(q)")
    host = backends.get("numpy")
    value = operand(q)[0] if not isinstance(q, (list, tuple)) else q
    own = backends.backend_of(value)
    return host.asarray(value if own is None else own.to_numpy(value), dtype=host.float64)


def _floating(x):
    """x, or integers as double precision."""
    return astype(x, "float64") if kind_of(x) in ("bool", "integer") else asarray(x)


# ---- NaN passed over ----


def _holes(x):
    return isnan(stop_gradient(x))


def nansum(x, axis=None, keepdims=False) -> Tensor:
    """The sum over ``axis`` of the entries that are not NaN."""
    return sum(where(_holes(x), 0, x), axis, keepdims) if _may_be_nan(x) else sum(x, axis, keepdims)


def nanprod(x, axis=None, keepdims=False) -> Tensor:
    """The product over ``axis`` of the entries that are not NaN."""
    return reduction.prod(where(_holes(x), 1, x) if _may_be_nan(x) else x, axis, keepdims)


def nanmean(x, axis=None, keepdims=False) -> Tensor:
    """The mean over ``axis`` of the entries that are not NaN; NaN where there is none."""
    if not _may_be_nan(x):
        return mean(x, axis, keepdims)
    return divide(nansum(x, axis, keepdims), _count(x, axis, keepdims))


def nanmax(x, axis=None, keepdims=False) -> Tensor:
    """The largest entry over ``axis`` that is not NaN; NaN where there is none."""
    return _nan_extremum(reduction.max, -float("inf"), x, axis, keepdims)


def nanmin(x, axis=None, keepdims=False) -> Tensor:
    """The smallest entry over ``axis`` that is not NaN; NaN where there is none."""
    return _nan_extremum(reduction.min, float("inf"), x, axis, keepdims)


def _nan_extremum(extremum, beyond, x, axis, keepdims):
    if not _may_be_nan(x):
        return extremum(x, axis, keepdims)
    none = _count(x, axis, keepdims) == 0.0
    return where(none, float("nan"), extremum(where(_holes(x), beyond, x), axis, keepdims))


def nanvar(x, axis=None, correction=0, keepdims=False) -> Tensor:
    """``var`` of the entries that are not NaN; NaN where there are no more than ``correction``."""
    x = _floating(x)
    count = _count(x, axis, keepdims)
    from_mean = where(_holes(x), 0.0, subtract(x, nanmean(x, axis, True)))
    spread = sum(multiply(from_mean, from_mean), axis, keepdims)
    left = subtract(count, correction)
    few = left <= 0.0
    return where(few, float("nan"), divide(spread, where(few, 1.0, left)))


def nanstd(x, axis=None, correction=0, keepdims=False) -> Tensor:
    """``std`` of the entries that are not NaN."""
    return root_of_spread(nanvar(x, axis, correction, keepdims))


def _may_be_nan(x) -> bool:
    return kind_of(x) in ("real", "complex")


def _count(x, axis, keepdims):
    """How many entries over ``axis`` are not NaN, in x's precision."""
    return sum(where(_holes(x), 0.0, where(_holes(x), 1.0, _ones(x))), axis, keepdims)


def _ones(x):
    return ones_like(real(x)) if kind_of(x) == "complex" else ones_like(x)


# ---- covariances ----


def cov(x, y=None, *, rowvar=True, correction=1) -> Tensor:
    """The covariance matrix of variables: the rows of x, those of ``y`` below; of the columns if not ``rowvar``."""
    x = _variables(x, y, rowvar)
    count = shape_of(x)[1]
    from_mean = subtract(x, mean(x, axis=1, keepdims=True))
    return divide(matmul(from_mean, conj(matrix_transpose(from_mean))), float(count - correction))


def corrcoef(x, y=None, *, rowvar=True) -> Tensor:
    """The correlation coefficients of variables; NaN for one that does not vary."""
    c = cov(x, y, rowvar=rowvar)
    rows = shape_of(c)[0]
    spread = sqrt(_diagonal(c, rows))
    return divide(divide(c, expand_dims(spread, axis=-1)), spread)


def _diagonal(c, rows):
    return getitem(reshape(real(c), (rows * rows,)), (slice(0, None, rows + 1),))


def _variables(x, y, rowvar):
    parts = []
    for part in (x,) if y is None else (x, y):
        part = _floating(part)
        if len(shape_of(part)) > 2:
            raise ValueError(f"cov: at most two dimensions, got shape {shape_of(part)}")
        part = reshape(part, (1, -1)) if len(shape_of(part)) < 2 else part if rowvar else matrix_transpose(part)
        parts.append(part)
    return parts[0] if len(parts) == 1 else concat(parts, axis=0)


# ---- sums down to a shape, and counts ----


def sum_to(x, shape) -> Tensor:
    """x summed down to ``shape``, from which it could have been broadcast."""
    have = shape_of(x)
    added = len(have) - len(shape)
    fits = added >= 0 and all(n in (1, m) for n, m in zip(shape, have[max(added, 0) :], strict=False))
    if not fits:
        raise ValueError(f"sum_to: shape {tuple(shape)} does not broadcast to {have}")
    y = sum(x, axis=tuple(range(added))) if added else asarray(x)
    ones = tuple(i for i, n in enumerate(shape) if n == 1 != shape_of(y)[i])
    return sum(y, axis=ones, keepdims=True) if ones else y


def batch_l2_norm_squared(x) -> Tensor:
    """The sum of squares of each entry of the first axis."""
    shape = shape_of(x)
    if not shape:
        raise ValueError("batch_l2_norm_squared: x needs at least one axis")
    return sum(multiply(x, x), axis=tuple(range(1, len(shape))))


def count_nonzero(x, axis=None, keepdims=False) -> Tensor:
    """How many entries over ``axis`` are not 0."""
    value, xp = array_of(x)
    axes = normalize_axes(axis, len(value.shape), "count_nonzero")
    return Tensor(xp.sum(xp.astype(value != 0, xp.int64), axis=axes, keepdims=keepdims))


def bincount(x, weights=None, minlength=0) -> Tensor:
    """How often each of 0, 1, ... occurs in the 1-D integers x, or the sum of its ``weights``, differentiable in those.

    The result has max(x) + 1 entries, at least ``minlength``.
    """
    value, xp = array_of(x)
    if len(value.shape) != 1 or kind_of(x) != "integer":
        raise TypeError(f"bincount: x is a 1-D array of integers, got shape {tuple(value.shape)}, dtype {value.dtype}")
    if value.shape[0] and int(xp.min(value)) < 0:
        raise ValueError("bincount: x has a negative entry")
    size = max(operator.index(minlength), int(xp.max(value)) + 1 if value.shape[0] else 0)
    if weights is None:
        weights = xp.ones(value.shape, dtype=xp.int64)
    elif shape_of(weights) != tuple(value.shape):
        raise ValueError(f"bincount: weights of shape {shape_of(weights)} do not fit x of shape {tuple(value.shape)}")
    return scatter_sum(weights, value, size)


def histogram(x, bins=10, range=None, weights=None) -> tuple[Tensor, Tensor]:
    """The counts, or sums of ``weights``, of the entries of x in ``bins`` intervals of equal width, and their edges.

    They lie between the ends ``range``, by default the smallest and the largest entry; ``bins`` may be the edges
    themselves, ascending. The last interval holds its upper edge. The counts are differentiable in the weights, the
    edges in what they are made of. ValueError for edges that are not in order, or NaN.
    """
    x = _floating(x)
    edges = asarray(bins) if shape_of(bins) else _edges(x, operator.index(bins), range)
    (flat, own), (line, other) = array_of(reshape(stop_gradient(x), (-1,))), array_of(edges)
    xp = backends.common_backend([own, other])
    flat, line = xp.asarray(flat), xp.asarray(line)
    _check_edges(line, xp)
    count = line.shape[0] - 1
    place = operand(searchsorted(line, flat, side="right"))[0] - 1
    place = xp.where(flat == line[-1], xp.asarray(count - 1, dtype=place.dtype), place)
    inside = (place >= 0) & (place < count)
    parts = xp.astype(inside, xp.int64) if weights is None else where(Tensor(inside), reshape(weights, (-1,)), 0.0)
    counts = scatter_sum(parts, xp.where(inside, place, xp.zeros_like(place)), count)
    return counts, edges if is_tracked(edges) else Tensor(line)


def _edges(x, bins, ends) -> Tensor:
    """``bins`` intervals between two ends, half a unit to each side of them where they are equal."""
    if bins < 1:
        raise ValueError(f"histogram: bins is at least 1, got {bins}")
    if ends is not None:
        low, high = ends
        zero = zeros_like(sum(stop_gradient(x)))
        low, high = add(zero, low), add(zero, high)
    elif size_of(shape_of(x)):
        low, high = reduction.min(x), reduction.max(x)
    else:
        low = zeros_like(sum(x))
        high = add(low, 1.0)
    equal = low == high
    return linspace(where(equal, subtract(low, 0.5), low), where(equal, add(high, 0.5), high), bins + 1)


def _check_edges(line, xp):
    if len(line.shape) != 1 or line.shape[0] < 2:
        raise ValueError(f"histogram: the edges are a vector of at least two entries, got shape {tuple(line.shape)}")
    if not xp.is_traced(line) and not bool(xp.all(line[1:] >= line[:-1])):
        raise ValueError(f"histogram: the edges must be numbers in ascending order, got {xp.to_numpy(line)}")
