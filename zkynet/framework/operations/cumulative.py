"""Running products and extrema, scans, and differences.

Scans are taken by doubling (Hillis and Steele, 1986): log2(n) steps of one operation on the whole array, so that their
derivatives of every order follow, exact with zeros too.
"""

from ..axes import normalize_axis
from ..record import Tensor, kind_of, shape_of
from .elementwise import astype, maximum, minimum, multiply, positive, subtract
from .reduction import _only_axis, widened
from .shape import broadcast_to, concat, flip, getitem, ones_like_shape


def cumulative_prod(x, *, axis=None, reverse=False, include_initial=False, dtype=None) -> Tensor:
    """The running product along ``axis`` (None: of a 1-D array), with a leading 1 if ``include_initial``.

    Of x converted to ``dtype`` where that is given.
    """
    axis = _only_axis(x, axis, "cumulative_prod")
    x = widened(x) if dtype is None else astype(x, dtype)
    y = associative_scan(multiply, x, axis=axis, reverse=reverse)
    if not include_initial:
        return y
    one = ones_like_shape(y, axis, 1)
    return concat([y, one] if reverse else [one, y], axis=axis)


def cummax(x, axis=-1) -> Tensor:
    """The largest entry so far along ``axis``; equal ones share the gradient, NaN stays."""
    return associative_scan(maximum, x, axis=axis)


def cummin(x, axis=-1) -> Tensor:
    """The smallest entry so far along ``axis``; equal ones share the gradient, NaN stays."""
    return associative_scan(minimum, x, axis=axis)


def associative_scan(function, x, *, axis=0, reverse=False) -> Tensor:
    """``function`` applied along ``axis`` to all entries so far: y[0] = x[0], y[k] = function(y[k - 1], x[k]).

    ``function(a, b)`` takes and gives arrays with any number of entries along ``axis``, entry by entry there, and is
    associative: the order of the operations is not that of a loop. ``reverse`` begins at the end.
    """
    axis = normalize_axis(axis, len(shape_of(x)), "associative_scan")
    tail = (slice(None),) * (-axis - 1)
    y = flip(x, axis=axis) if reverse else positive(x) if kind_of(x) != "bool" else x
    shift, size = 1, shape_of(x)[axis]
    while shift < size:
        before = getitem(y, (Ellipsis, slice(0, size - shift), *tail))
        after = getitem(y, (Ellipsis, slice(shift, None), *tail))
        y = concat([getitem(y, (Ellipsis, slice(0, shift), *tail)), function(before, after)], axis=axis)
        shift *= 2
    return flip(y, axis=axis) if reverse else y


def diff(x, *, axis=-1, n=1, prepend=None, append=None) -> Tensor:
    """The differences of neighbours along ``axis``, taken ``n`` times, with ``prepend`` before and ``append`` behind x.

    A number or a 0-d array to prepend or append stands for one entry along ``axis``.
    """
    if n < 0:
        raise ValueError(f"diff: n is at least 0, got {n}")
    axis = normalize_axis(axis, len(shape_of(x)), "diff")
    parts = [_as_slice(prepend, x, axis), x, _as_slice(append, x, axis)]
    parts = [part for part in parts if part is not None]
    y = concat(parts, axis=axis) if len(parts) > 1 else positive(x)
    tail = (slice(None),) * (-axis - 1)
    for _ in range(min(n, shape_of(y)[axis])):
        y = subtract(getitem(y, (Ellipsis, slice(1, None), *tail)), getitem(y, (Ellipsis, slice(0, -1), *tail)))
    return y


def _as_slice(part, x, axis):
    """What is put beside x: one entry along ``axis`` where it is a number."""
    if part is None or shape_of(part):
        return part
    shape = list(shape_of(x))
    shape[axis] = 1
    return broadcast_to(part, tuple(shape))
