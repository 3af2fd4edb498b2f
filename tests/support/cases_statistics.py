"""Case table: statistics, medians and quantiles, NaN passed over, scans, sorting, selection, searching."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError

from .cases_numeric import OFF_AXIS, TWICE, reduction
from .rows import Bad, Row, Sample, Special, apart, draw, nonzero

inf, nan = np.inf, np.nan
A = np.array
BETWEEN = ("lower", "higher", "midpoint", "nearest")
FEW = (((2, 3), None), ((2, 3), 1), ((3, 2), -2), ((2, 3, 2), (0, 2)), ((3,), 0), ((0, 3), 1))
NO_COMPLEX = Bad((A([1j, 2]),), TypeError, "complex")


def first(name):
    """The first of what ``op.<name>`` gives."""
    return lambda xp, *a, **s: getattr(xp, name)(*a, **s)[0]


def values_of(name):
    """The distinct values, the first or all of what ``op.<name>`` gives."""
    return first(name) if name != "unique_values" else None


def counted(xp, x, weights, bins, **settings):
    """A histogram and its edges, where they are none of the call's own."""
    counts, edges = xp.histogram(x, bins, weights=weights, **settings)
    return (counts, edges) if isinstance(bins, int) else counts


def over(name, *more, shapes=FEW, numbers=apart, **keywords):
    """A reduction with a few axes, without the empty and 0-d arrays of ``reduction``."""
    samples = [draw(name, s, axis=a, numbers=numbers) for s, a in shapes]
    return Row(name, (*samples, draw(name, (2, 3), axis=1, keepdims=True, numbers=numbers), *more), **keywords)


def with_holes(name, *more, nothing=nan, **keywords):
    """A reduction that passes NaN over: samples of two axes and more have some in them; ``nothing``: that of NaN alone.

    No gradient comes to a hole.
    """
    specials = (Special((A([nan, nan]),), A(1.0), (A([0.0, 0]),), value=A(nothing)), *keywords.pop("specials", ()))
    run = holed(lambda xp, x, **s: getattr(xp, name)(x, **s))
    return over(name, *more, specials=specials, errors=(OFF_AXIS,), weak=False, run=run, **keywords)


def holed(f):
    """``f`` of x with NaN in place of every fourth entry from the second on, where x has two axes or more."""

    def run(xp, x, **settings):
        holes = (np.arange(np.prod(x.shape, dtype=int)) % 4 == 1).reshape(x.shape) & (len(x.shape) > 1)
        return f(xp, xp.where(holes, nan, x) if holes.any() else x, **settings)

    return run


STATISTICS = (
    reduction(
        "std",
        *(draw("std", (2, 3), axis=a, correction=c) for a, c in ((None, 1), (0, 1))),
        empty=(((0, 3), 1),),
        specials=(
            Special((A([2.0, 2.0]),), A(3.0), (A([0.0, 0]),), why="constants: 0"),
            Special((A([[1.0, 1.0], [0.0, 2.0]]),), A([3.0, 2.0]), (A([[0.0, 0], [-1, 1]]),), {"axis": 1}),
        ),
        errors=(OFF_AXIS, NO_COMPLEX),
        run=lambda xp, x, **s: xp.std(x, **s),
    ),
    Row(
        "average",
        (
            draw("average", (2, 3)),
            draw("average", (0, 3), axis=1),
            Sample((*draw("average", (2, 3)).operands, A([[0.5, 1, 2], [1.5, 0.25, 1]]))),
            Sample((*draw("average", (2, 3)).operands, A([0.5, 1, 2])), {"axis": 1}),
            Sample((*draw("average", (2, 3)).operands, A([0.5, 1])), {"axis": 0, "keepdims": True}),
        ),
        run=lambda xp, x, w=None, **s: xp.average(x, weights=w, **s),
        weak=False,
        errors=(Bad((np.ones((2, 3)), np.ones(2)), ValueError, "weights", {"axis": 1}),),
    ),
    over("ptp", errors=(OFF_AXIS, TWICE), weak=False),
    over(
        "median",
        draw("median", (2, 4), axis=1),
        specials=(
            Special((A([1.0, nan, 2.0]),), A(1.0), (None,), value=A(nan)),
            Special((A([3.0, 1.0, 2.0, 9.0]),), A(1.0), (A([0.5, 0, 0.5, 0]),), value=A(2.5)),
        ),
        errors=(OFF_AXIS, Bad((np.zeros(0),), ValueError, "no entries")),
        weak=False,
    ),
    Row(
        "quantile",
        (
            *[draw("quantile", (2, 4), q=q, axis=1) for q in (0.3, [0.0, 0.5, 1.0], 0.999)],
            *[draw("quantile", (4, 2), q=q, axis=0, method=m) for q in (0.4, 0.6) for m in BETWEEN],
            # On an entry, and half-way between two, where the nearest is the even one.
            *[draw("quantile", (3, 2), q=0.5, axis=0, method=m) for m in BETWEEN],
            *[draw("quantile", (n, 2), q=0.5, axis=0, method="nearest") for n in (2, 4)],
            draw("quantile", (2, 3), q=[0.25], axis=1),
            draw("quantile", (2, 3), q=[[0.25], [0.75]], axis=None, keepdims=True),
            draw("quantile", (1, 3), q=0.5, axis=0),
            draw("quantile", (0, 3), q=0.5, axis=1),
        ),
        run=lambda xp, x, **s: xp.quantile(x, **s),
        weak=False,
        integers=False,  # NumPy keeps integers where it does not interpolate
        specials=(Special((A([1.0, nan, 2.0]),), A(1.0), (None,), {"q": 0.25, "method": "lower"}, value=A(nan)),),
        errors=(
            Bad((np.ones(3),), ValueError, "0 .. 1", {"q": 1.5}),
            Bad((np.ones(3),), ValueError, "method", {"q": 0.5, "method": "best"}),
            Bad((np.ones(3),), AxisError, "axis 2", {"q": 0.5, "axis": 2}),
        ),
    ),
    Row(
        "percentile",
        (
            draw("percentile", (2, 3), q=[10, 90], axis=1),
            draw("percentile", (2, 3), q=40, axis=1, method="midpoint"),
            draw("percentile", (0, 3), q=10, axis=1),
        ),
        weak=False,
        run=lambda xp, x, **s: xp.percentile(x, **s),
    ),
    with_holes("nansum", nothing=0.0, complex=True),
    with_holes("nanprod", nothing=1.0, numbers=nonzero),
    with_holes("nanmean"),
    with_holes("nanmax"),
    with_holes("nanmin"),
    with_holes(
        "nanvar",
        draw("nanvar", (4, 2), axis=0, correction=1),
        specials=(Special((A([nan, 2.0]),), A(1.0), (A([0.0, 0]),), {"correction": 1}, value=A(nan)),),
    ),
    with_holes("nanstd", specials=(Special((A([2.0, nan, 2.0]),), A(1.0), (A([0.0, 0, 0]),), value=A(0.0)),)),
    with_holes("nanmedian"),
    Row(
        "nanquantile",
        tuple(draw("nanquantile", n, q=q, axis=1) for q, n in ((0.3, (2, 4)), ([0.5, 1.0], (2, 4)), (0.5, (0, 2))))
        + tuple(draw("nanquantile", (4, 3), q=q, axis=0, method=m) for q in (0.4, 0.5, 0.6) for m in BETWEEN)
        + (draw("nanquantile", (3, 3), q=[0.5], axis=0, method="nearest"),),
        run=holed(lambda xp, x, **s: xp.nanquantile(x, **s)),
        weak=False,
        integers=False,
        specials=(
            Special((A([3.0, nan, 1.0]),), A(1.0), (A([0.25, 0, 0.75]),), {"q": 0.25}, value=A(1.5)),
            Special((A([nan, nan]),), A(1.0), (None,), {"q": 0.25}, value=A(nan)),
        ),
    ),
    Row(
        "cov",
        (
            draw("cov", (2, 4)),
            draw("cov", (4,)),
            draw("cov", (2, 4), correction=0),
            draw("cov", (4, 2), rowvar=False),
            draw("cov", (2, 4), (1, 4)),
            draw("cov", (0, 4)),
        ),
        weak=False,
        complex=True,
    ),
    Row(
        "corrcoef",
        (draw("corrcoef", (2, 4)), draw("corrcoef", (4, 3), rowvar=False), draw("corrcoef", (0, 4))),
        weak=False,
        integers=False,
    ),
    Row(
        "sum_to",
        tuple(draw("sum_to", (2, 3, 2), shape=s) for s in ((3, 1), (2,), (2, 3, 2), (), (1, 1, 1)))
        + (draw("sum_to", (0, 3), shape=(3,)),),
        run=lambda xp, x, shape: xp.sum_to(x, shape),
        complex=True,
        weak=False,
        errors=(Bad((np.ones((2, 3)),), ValueError, "broadcast", {"shape": (2, 2)}),),
    ),
    Row(
        "batch_l2_norm_squared",
        tuple(draw("batch_l2_norm_squared", s) for s in ((2, 3), (2, 2, 2), (3,), (0, 3))),
        weak=False,
    ),
    Row(
        "bincount",
        (
            Sample((A([0, 2, 2, 1]), *draw("bincount", (4,)).operands)),
            Sample((A([0, 2]), *draw("bincount", (2,)).operands), {"minlength": 5}),
            Sample((A([0, 2]), *draw("bincount", (2,)).operands), {"minlength": 2}),
            Sample((np.zeros(0, int), np.zeros(0)), {"minlength": 2}),
        ),
        weak=False,
        integers=False,
        errors=(
            Bad((A([0, -1]), np.ones(2)), ValueError, "negative"),
            Bad((A([0.5, 1.0]), np.ones(2)), TypeError, "integers"),
            Bad((A([0, 1]), np.ones(3)), ValueError, "weights"),
        ),
    ),
    Row(
        "histogram",
        (
            Sample(draw("histogram", (6,), (6,)).operands, {"bins": 3}),
            Sample(draw("histogram", (2, 3), (2, 3)).operands, {"bins": [-1.0, 0.0, 0.5]}),
            Sample(draw("histogram", (6,), (6,)).operands, {"bins": 2, "range": (-0.52, 0.51)}),
            Sample((np.zeros((0, 2)), np.zeros((0, 2))), {"bins": 2}),
        ),
        run=counted,
        weak=False,
        integers=False,
        errors=(
            Bad((A([1.0, nan]), np.ones(2)), ValueError, "ascending order", {"bins": 2}),
            Bad((A([1.0, 2.0]), np.ones(2)), ValueError, "at least 1", {"bins": 0}),
            Bad((A([1.0, 2.0]), np.ones(2)), ValueError, "ascending order", {"bins": [2.0, 1.0]}),
        ),
    ),
    Row(
        "count_nonzero",
        (Sample((A([[0.0, 1.5, 0], [2, 0, 0]]),)), Sample((A([[0.0, 1.5, 0], [2, 0, 0]]),), {"axis": 1})),
        differentiable=False,
        weak=False,
    ),
)

SCANS = (
    Row(
        "cumulative_prod",
        (
            draw("cumprod", (2, 3), axis=1, numbers=nonzero),
            draw("cumprod", (5, 2), axis=0, numbers=nonzero),
            draw("cumprod", (4,), numbers=nonzero),
            draw("cumprod", (2, 3), axis=0, reverse=True, numbers=nonzero),
            draw("cumprod", (2, 3), axis=1, include_initial=True, numbers=nonzero),
            draw("cumprod", (2, 0), axis=1),
        ),
        complex=True,
        weak=False,
        specials=(
            Special((A([2.0, 0.0, 3.0]),), A([1.0, 1.0, 1.0]), (A([1.0, 8, 0]),), value=A([2.0, 0, 0]), why="a zero"),
            Special(
                (A([0.0, 0.0, 3.0]),), A([1.0, 1.0, 1.0]), (A([1.0, 0, 0]),), second=A([0.0, 0, 0]) + A([4.0, 4, 0]) * 1
            ),
        ),
        errors=(OFF_AXIS, Bad((np.ones((2, 3)),), ValueError, "needs an axis")),
    ),
    *[
        Row(
            name,
            (draw(name, (2, 3), axis=1), draw(name, (5, 2), axis=0), draw(name, (3,)), draw(name, (2, 0), axis=0)),
            weak=False,
            specials=(Special((A([1.0, nan, 2.0]),), A([1.0, 0, 0]), (A([1.0, 0, 0]),), value=A([1.0, nan, nan])),),
        )
        for name in ("cummax", "cummin")
    ],
    Row(
        "associative_scan",
        (draw("scan", (5, 2)), draw("scan", (2, 3), axis=1, reverse=True), draw("scan", (0, 2))),
        run=lambda xp, x, **s: xp.associative_scan(lambda a, b: a + b, x, **s),
        weak=False,
        complex=True,
    ),
    Row(
        "diff",
        (
            draw("diff", (2, 4)),
            draw("diff", (4, 2), axis=0, n=2),
            draw("diff", (3,), n=0),
            draw("diff", (2, 3), n=5),
            draw("diff", (0, 3)),
            draw("diff", (2, 3), prepend=0.5),
            draw("diff", (2, 3), axis=0, append=A([[1.0, 2, 3]])),
        ),
        complex=True,
        weak=False,
        errors=(OFF_AXIS, Bad((np.ones(3),), ValueError, "at least 0", {"n": -1})),
    ),
)

HOLDS, ALSO = A([True, False, False, True]), A([True, True, False, True])
ORDERED = (((2, 3), -1), ((4, 2), 0), ((5,), 0), ((2, 0), 1))
SORTING = (
    Row(
        "sort",
        (*[draw("sort", s, axis=a) for s, a in ORDERED], draw("sort", (2, 3), descending=True)),
        weak=False,
        specials=(
            Special((A([1.0, 1.0, 0.0]),), A([1.0, 2, 3]), (A([2.0, 3, 1]),), why="equal entries in their order"),
            Special((A([2.0, nan, 1.0]),), A([1.0, 2, 3]), (A([2.0, 3, 1]),), value=A([1.0, 2, nan]), why="NaN last"),
        ),
        errors=(OFF_AXIS, NO_COMPLEX),
    ),
    Row(
        "partition",
        (draw("partition", (2, 4), kth=2), draw("partition", (4,), kth=-1), draw("partition", (0, 2), kth=1)),
        weak=False,
    ),
    Row(
        "topk",
        (
            draw("topk", (2, 4), k=2),
            draw("topk", (4, 2), k=3, axis=0, largest=False),
            draw("topk", (3,), k=0),
            draw("topk", (0, 3), k=2),
        ),
        run=first("topk"),
        weak=False,
        errors=(Bad((np.ones(3),), ValueError, "0 .. 3", {"k": 4}),),
    ),
    Row(
        "kthvalue",
        (
            draw("kthvalue", (2, 4), k=2),
            draw("kthvalue", (4, 2), k=1, axis=0, keepdims=True),
            draw("kthvalue", (0, 2), k=1),
        ),
        run=first("kthvalue"),
        weak=False,
        errors=(Bad((np.ones(3),), ValueError, "1 .. 3", {"k": 0}),),
    ),
    *[
        Row(name, (draw(name, (2, 3)), draw(name, (3, 2), axis=0)), run=run, differentiable=False, weak=False)
        for name, run in (("argsort", None), ("argpartition", lambda xp, x, **s: xp.argpartition(x, 1, **s)))
    ],
    Row(
        "choices",
        (draw("choices", (2, 3), (3,)), draw("choices", (4,), (4,)), draw("choices", (0, 3), (3,))),
        run=lambda xp, a, b: xp.choices([HOLDS[: a.shape[-1]], ALSO[: a.shape[-1]]], [a, b], 0.5),
        weak=False,
        complex=True,
        integers=False,
    ),
    Row(
        "choose",
        (draw("choose", (2, 3), (3,)), draw("choose", (0, 3), (3,))),
        run=lambda xp, a, b: xp.choose(A([0, 1, 0]), [a, b]),
        weak=False,
    ),
    Row(
        "piecewise",
        (draw("piecewise", (2, 3)), draw("piecewise", (0,))),
        run=lambda xp, x: xp.piecewise(x, [x < 0, x > 0.2], [lambda v: v * v, 3.0, lambda v: -v]),
        weak=False,
        integers=False,
    ),
)

SEARCHING = (
    *[
        Row(
            name,
            (draw(name, (2, 3)), draw(name, (4,)), draw(name, (0, 2))),
            run=values_of(name),
            weak=False,
            domain="distinct numbers: of equal ones the first gets the gradient, which differences cannot show",
            specials=(Special((A([3.0, 1, 3, 1]),), A([5.0, 7]), (A([7.0, 5, 0, 0]),), why="the first of equal ones"),),
            by_value="as many results as there are different entries",
        )
        for name in ("unique_values", "unique_counts", "unique_inverse", "unique_all")
    ],
    Row(
        "nonzero",
        (Sample((A([3.0, 1, 0, 2, 1]),)), Sample((A([[2.0, 2], [0, 2]]),))),
        run=first("nonzero"),
        differentiable=False,
        weak=False,
    ),
    *[
        Row(name, (Sample((A([3.0, 0, 3, 2, 1]),)), Sample((A([[2.0, 0], [1, 2]]),))), differentiable=False, weak=False)
        for name in ("argwhere", "flatnonzero")
    ],
    Row(
        "searchsorted",
        (
            Sample((A([1.0, 2, 3]), A([[0.5, 2.0], [2.5, 9]]))),
            Sample((A([1.0, 2, 3]), A([0.5, 2.0])), {"side": "right"}),
            Sample((A([2.0, 1, 3]), A([0.5, 2.0])), {"sorter": A([1, 0, 2])}),
        ),
        differentiable=False,
        weak=False,
        errors=(
            Bad((np.ones(2), np.ones(1)), ValueError, "side", {"side": "up"}),
            Bad((np.ones((2, 2)), np.ones(1)), ValueError, "one dimension"),
        ),
    ),
    Row(
        "isin",
        (Sample((A([1.0, 2, 3]), A([2.0, 5]))), Sample((A([[1.0, 2]]), A([2.0])), {"invert": True})),
        differentiable=False,
        weak=False,
    ),
)

ROWS = (*STATISTICS, *SCANS, *SORTING, *SEARCHING)
