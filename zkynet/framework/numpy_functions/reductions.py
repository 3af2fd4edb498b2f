"""Sums, extremes and the like under NumPy's signatures."""

from typing import Any

from .. import op
from .arguments import UNSET, array, cast, flag, is_given, refuse


def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = UNSET,
    initial: Any = UNSET,
    where: Any = UNSET,
) -> Any:
    """The sum over ``axis``, on top of ``initial``."""
    refuse("sum", out=out, where=where)
    y = op.sum(cast(a, dtype), axis, flag(keepdims))
    return op.add(y, initial) if is_given(initial) else y


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = UNSET,
    initial: Any = UNSET,
    where: Any = UNSET,
) -> Any:
    """The product over ``axis``, times ``initial``."""
    refuse("prod", out=out, where=where)
    y = op.prod(cast(a, dtype), axis, flag(keepdims))
    return op.multiply(y, initial) if is_given(initial) else y


def max(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = UNSET, initial: Any = UNSET, where: Any = UNSET
) -> Any:
    """The largest entry along ``axis``, at least ``initial``."""
    refuse("max", out=out, where=where)
    y = op.max(array(a), axis, flag(keepdims))
    return op.maximum(y, initial) if is_given(initial) else y


def min(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = UNSET, initial: Any = UNSET, where: Any = UNSET
) -> Any:
    """The smallest entry along ``axis``, at most ``initial``."""
    refuse("min", out=out, where=where)
    y = op.min(array(a), axis, flag(keepdims))
    return op.minimum(y, initial) if is_given(initial) else y


amax, amin = max, min


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = UNSET) -> Any:
    """The largest less the smallest entry."""
    refuse("ptp", out=out)
    return op.ptp(array(a), axis, flag(keepdims))


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = UNSET, *, where: Any = UNSET
) -> Any:
    """The mean over ``axis``."""
    refuse("mean", out=out, where=where)
    return op.mean(cast(a, dtype), axis, flag(keepdims))


def _degrees(ddof, correction):
    if not is_given(correction):
        return ddof
    if ddof:
        raise ValueError("give ddof or correction, which mean the same, not both")
    return correction


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = UNSET,
    *,
    where: Any = UNSET,
    mean: Any = UNSET,
    correction: Any = UNSET,
) -> Any:
    """The variance over ``axis``, a sum of squares divided by its size less ``ddof``."""
    refuse("var", out=out, where=where, mean=mean)
    return op.var(cast(a, dtype), axis, _degrees(ddof, correction), flag(keepdims))


def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = UNSET,
    *,
    where: Any = UNSET,
    mean: Any = UNSET,
    correction: Any = UNSET,
) -> Any:
    """The standard deviation over ``axis``; gradient 0 where all entries are equal."""
    refuse("std", out=out, where=where, mean=mean)
    return op.std(cast(a, dtype), axis, _degrees(ddof, correction), flag(keepdims))


# ---- without what is NaN ----


def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = UNSET,
    initial: Any = UNSET,
    where: Any = UNSET,
) -> Any:
    """``sum`` with NaN as 0."""
    refuse("nansum", out=out, where=where)
    y = op.nansum(cast(a, dtype), axis, flag(keepdims))
    return op.add(y, initial) if is_given(initial) else y


def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = UNSET,
    initial: Any = UNSET,
    where: Any = UNSET,
) -> Any:
    """``prod`` with NaN as 1."""
    refuse("nanprod", out=out, where=where)
    y = op.nanprod(cast(a, dtype), axis, flag(keepdims))
    return op.multiply(y, initial) if is_given(initial) else y


def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = UNSET, initial: Any = UNSET, where: Any = UNSET
) -> Any:
    """``max`` of what is not NaN."""
    refuse("nanmax", out=out, initial=initial, where=where)
    return op.nanmax(array(a), axis, flag(keepdims))


def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = UNSET, initial: Any = UNSET, where: Any = UNSET
) -> Any:
    """``min`` of what is not NaN."""
    refuse("nanmin", out=out, initial=initial, where=where)
    return op.nanmin(array(a), axis, flag(keepdims))


def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = UNSET, *, where: Any = UNSET
) -> Any:
    """``mean`` of what is not NaN."""
    refuse("nanmean", out=out, where=where)
    return op.nanmean(cast(a, dtype), axis, flag(keepdims))


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = UNSET,
    *,
    where: Any = UNSET,
    mean: Any = UNSET,
    correction: Any = UNSET,
) -> Any:
    """``var`` of what is not NaN."""
    refuse("nanvar", out=out, where=where, mean=mean)
    return op.nanvar(cast(a, dtype), axis, _degrees(ddof, correction), flag(keepdims))


def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = UNSET,
    *,
    where: Any = UNSET,
    mean: Any = UNSET,
    correction: Any = UNSET,
) -> Any:
    """``std`` of what is not NaN."""
    refuse("nanstd", out=out, where=where, mean=mean)
    return op.nanstd(cast(a, dtype), axis, _degrees(ddof, correction), flag(keepdims))


# ---- running sums and differences ----


def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Running sums along ``axis`` (None: of the flattened array)."""
    refuse("cumsum", out=out)
    a = cast(a, dtype)
    return op.cumulative_sum(op.ravel(a), axis=0) if axis is None else op.cumulative_sum(a, axis=axis)


def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Running products along ``axis`` (None: of the flattened array)."""
    refuse("cumprod", out=out)
    a = cast(a, dtype)
    return op.cumulative_prod(op.ravel(a), axis=0) if axis is None else op.cumulative_prod(a, axis=axis)


def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """``cumsum`` with NaN as 0."""
    a = array(a)
    return cumsum(op.where(op.isnan(a), 0.0, a), axis, dtype, out)


def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """``cumprod`` with NaN as 1."""
    a = array(a)
    return cumprod(op.where(op.isnan(a), 1.0, a), axis, dtype, out)


def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    """Running sums; with a 0 before them where ``include_initial``."""
    refuse("cumulative_sum", out=out)
    return op.cumulative_sum(cast(x, dtype), axis=axis, include_initial=include_initial)


def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    """Running products; with a 1 before them where ``include_initial``."""
    refuse("cumulative_prod", out=out)
    return op.cumulative_prod(cast(x, dtype), axis=axis, include_initial=include_initial)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = UNSET, append: Any = UNSET) -> Any:
    """The differences of neighbours, ``n`` times, with what ``prepend`` and ``append`` put at the ends before."""
    ends = (array(x) if is_given(x) else None for x in (prepend, append))
    before, after = ends
    return op.diff(array(a), n=n, axis=axis, prepend=before, append=after)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """The differences of neighbours of the flattened array, between ``to_begin`` and ``to_end``."""
    parts = [to_begin, op.diff(op.ravel(array(ary))), to_end]
    parts = [op.ravel(array(p)) for p in parts if p is not None]
    return op.concat(parts, axis=0) if len(parts) > 1 else parts[0]


# ---- without a derivative ----


def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = UNSET, *, where: Any = UNSET) -> Any:
    """Whether all entries are true."""
    refuse("all", out=out, where=where)
    return op.all(array(a), axis, flag(keepdims))


def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = UNSET, *, where: Any = UNSET) -> Any:
    """Whether some entry is true."""
    refuse("any", out=out, where=where)
    return op.any(array(a), axis, flag(keepdims))


def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = UNSET) -> Any:
    """The position of the first largest entry."""
    refuse("argmax", out=out)
    return op.argmax(array(a), axis, flag(keepdims))


def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = UNSET) -> Any:
    """The position of the first smallest entry."""
    refuse("argmin", out=out)
    return op.argmin(array(a), axis, flag(keepdims))


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """How many entries are not 0."""
    return op.count_nonzero(array(a), axis, keepdims)
