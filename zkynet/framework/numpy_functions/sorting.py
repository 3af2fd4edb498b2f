"""Sorting, choosing, taking and searching under NumPy's signatures."""

from typing import Any

from .. import op
from ..record import operand, shape_of
from .arguments import array, refuse

KINDS = (None, "quicksort", "mergesort", "heapsort", "stable")  # a stable sort is what each of them asks for


def _check_kind(name, kind, stable=None):
    if kind not in KINDS:
        raise ValueError(f"{name}: kind must be one of {', '.join(map(str, KINDS))}, got {kind!r}")


def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> Any:
    """Sorted along ``axis`` (None: flattened). Every sort here is stable."""
    refuse("sort", order=order)
    _check_kind("sort", kind)
    return op.sort(op.ravel(array(a)), axis=0) if axis is None else op.sort(array(a), axis=axis)


def argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> Any:
    """The positions that sort; every sort here is stable."""
    refuse("argsort", order=order)
    _check_kind("argsort", kind)
    return op.argsort(op.ravel(array(a)), axis=0) if axis is None else op.argsort(array(a), axis=axis)


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """Entry ``kth`` where a sort puts it, smaller ones before, larger ones after."""
    refuse("partition", order=order)
    return op.partition(op.ravel(array(a)), kth, 0) if axis is None else op.partition(array(a), kth, axis)


def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """The positions that partition."""
    refuse("argpartition", order=order)
    return op.argpartition(op.ravel(array(a)), kth, 0) if axis is None else op.argpartition(array(a), kth, axis)


# ---- choosing ----


def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """``x`` where the condition holds, else ``y``; with the condition alone the positions where it holds."""
    if x is None and y is None:
        return op.nonzero(array(condition))
    if x is None or y is None:
        raise ValueError("where: give both x and y, or neither")
    return op.where(array(condition), array(x), array(y))


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The entry of the first of ``choicelist`` whose condition holds, else ``default``."""
    return op.choices([array(c) for c in condlist], [array(c) for c in choicelist], array(default))


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Entry by entry ``choices[a]``."""
    refuse("choose", out=out)
    a, options = array(a), [array(c) for c in choices]
    return op.choose(_within(a, len(options), mode, "choose"), options)


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """``funclist[i](x)`` where ``condlist[i]`` holds; one function more is for the rest."""
    conditions = [array(c) for c in (condlist if isinstance(condlist, (list, tuple)) else [condlist])]
    functions = [(lambda v, f=f: f(v, *args, **kw)) if callable(f) else f for f in funclist]
    return op.piecewise(array(x), conditions, functions)


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """The slices along ``axis`` for which the condition holds (None: of the flattened array)."""
    refuse("compress", out=out)
    return op.compress(array(condition), array(a), axis)


def extract(condition: Any, arr: Any) -> Any:
    """The entries where the condition holds, as one line."""
    places = op.nonzero(op.ravel(array(condition)))[0]
    return op.take(op.ravel(array(arr)), places, axis=0)


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    """The entries at ``indices`` along ``axis`` (None: of the flattened array)."""
    refuse("take", out=out)
    a, indices = array(a), array(indices)
    if axis is None:
        a, axis = op.ravel(a), 0
    return op.take(a, _within(indices, shape_of(a)[axis], mode, "take"), axis=axis)


def _within(indices, size, mode, who):
    """Indices brought into 0 .. size - 1 where ``mode`` says so."""
    if mode == "raise":
        return indices
    if mode == "clip":
        return op.clip(indices, 0, size - 1)
    if mode == "wrap":
        return op.remainder(indices, size)
    raise ValueError(f"{who}: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """The entries at positions along ``axis``, one for each (None: of the flattened array)."""
    if axis is None:
        arr, axis = op.ravel(array(arr)), 0
    return op.take_along_axis(array(arr), array(indices), axis=axis)


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The different values, ascending, each taken from its first place: that is where its gradient goes."""
    refuse("unique", axis=axis)
    values, first, inverse, counts = op.unique_all(array(ar))
    extra = int(op.sum(op.isnan(values), dtype="int64")) - 1 if equal_nan else 0
    if extra > 0:  # they stand last, each by itself
        kept = shape_of(values)[0] - extra
        values, first, inverse = values[:kept], first[:kept], op.minimum(inverse, kept - 1)
        counts = op.concat([counts[: kept - 1], op.sum(counts[kept - 1 :], keepdims=True)])
    chosen = [x for x, wanted in ((first, return_index), (inverse, return_inverse), (counts, return_counts)) if wanted]
    return (values, *chosen) if chosen else values


# ---- searching; no derivatives ----


def nonzero(a: Any) -> tuple:
    """The positions of what is not 0, one array an axis."""
    return op.nonzero(array(a))


def argwhere(a: Any) -> Any:
    """The positions of what is not 0, one row each."""
    return op.argwhere(array(a))


def flatnonzero(a: Any) -> Any:
    """The positions of what is not 0, in the flattened array."""
    return op.flatnonzero(array(a))


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    """Whether an entry is among ``test_elements``. ``assume_unique`` and ``kind`` change nothing but NumPy's speed."""
    return op.isin(array(element), array(test_elements), invert=invert)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """The positions in the sorted ``a`` where ``v`` would keep it sorted."""
    return op.searchsorted(array(a), array(v), side=side, sorter=array(sorter))


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The number of the bin that each entry falls into; ``bins`` ascend or descend."""
    edges = operand(op.stop_gradient(array(bins)))[0]
    falling = shape_of(edges)[0] > 1 and bool(edges[0] > edges[-1])
    if falling:
        places = op.searchsorted(op.flip(edges), array(x), side="left" if right else "right")
        return op.subtract(shape_of(edges)[0], places)
    return op.searchsorted(edges, array(x), side="left" if right else "right")


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype to which NumPy promotes arrays, numbers and dtypes."""
    return op.result_type(*arrays_and_dtypes)
