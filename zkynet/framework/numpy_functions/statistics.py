"""Averages, quantiles, covariances and histograms under NumPy's signatures."""

from typing import Any

from .. import op
from .arguments import UNSET, array, cast, flag, refuse, refuse_tracked


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = UNSET) -> Any:
    """The weighted mean; with the sums of weights beside it where ``returned``."""
    a, weights = array(a), array(weights)
    y = op.average(a, axis, weights, flag(keepdims))
    if not returned:
        return y
    ones = op.ones_like(a)
    total = op.sum(ones, axis, flag(keepdims)) if weights is None else op.sum(_spread(a, axis, weights), axis)
    return y, op.broadcast_to(total, op.asarray(y).shape)


def _spread(a, axis, weights):
    """``weights`` in the shape of ``a``."""
    shape = op.asarray(a).shape
    if axis is not None and not isinstance(axis, (tuple, list)) and op.asarray(weights).shape != shape:
        weights = op.reshape(weights, (-1,) + (1,) * (len(shape) - 1 - axis % len(shape)))
    return op.broadcast_to(weights, shape)


def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = UNSET) -> Any:
    """The middle entry, or the mean of the middle two. ``overwrite_input`` is a permission that is not made use of."""
    refuse("median", out=out)
    return op.median(array(a), axis, flag(keepdims))


def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = UNSET) -> Any:
    """``median`` of what is not NaN."""
    refuse("nanmedian", out=out)
    return op.nanmedian(array(a), axis, flag(keepdims))


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = UNSET,
    *,
    weights: Any = None,
) -> Any:
    """The ``q`` quantiles, numbers of 0 .. 1."""
    refuse("quantile", out=out, weights=weights)
    refuse_tracked("quantile", q=q)
    return op.quantile(array(a), q, axis, flag(keepdims), method)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = UNSET,
    *,
    weights: Any = None,
) -> Any:
    """``quantile`` of what is not NaN."""
    refuse("nanquantile", out=out, weights=weights)
    refuse_tracked("nanquantile", q=q)
    return op.nanquantile(array(a), q, axis, flag(keepdims), method)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = UNSET,
    *,
    weights: Any = None,
) -> Any:
    """The ``q`` percentiles, numbers of 0 .. 100."""
    refuse("percentile", out=out, weights=weights)
    refuse_tracked("percentile", q=q)
    return op.percentile(array(a), q, axis, flag(keepdims), method)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = UNSET,
    *,
    weights: Any = None,
) -> Any:
    """``percentile`` of what is not NaN."""
    refuse("nanpercentile", out=out, weights=weights)
    refuse_tracked("nanpercentile", q=q)
    parts = [p / 100 for p in q] if isinstance(q, (list, tuple)) else q / 100
    return op.nanquantile(array(a), parts, axis, flag(keepdims), method)


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariances of the rows (``rowvar``) or columns of ``m``, and of ``y``."""
    refuse("cov", fweights=fweights, aweights=aweights)
    correction = ddof if ddof is not None else 0 if bias else 1
    return op.cov(cast(m, dtype), None if y is None else cast(y, dtype), rowvar=rowvar, correction=correction)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """The correlations of the rows (``rowvar``) or columns of ``x``, and of ``y``."""
    return op.corrcoef(cast(x, dtype), None if y is None else cast(y, dtype), rowvar=rowvar)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """How often each integer occurs, or the sum of its weights."""
    return op.bincount(array(x), array(weights), minlength)


def histogram(a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None) -> Any:
    """How many entries, or what weight, lies between the edges ``bins``; the edges as well.

    Differentiable in the weights, and the edges in what they are made of.
    """
    counts, edges = op.histogram(array(a), array(bins), range, array(weights))
    if density:
        counts = op.divide(counts, op.multiply(op.diff(edges), op.sum(counts)))
    return counts, edges
