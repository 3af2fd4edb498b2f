"""Rows of a table by their numbers, and products with a vector on either side."""

from zkynet import backends
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..record import PYTHON_NUMBERS, Tensor, kind_of, operand, shape_of
from .comparison import equal, not_equal
from .control import ones_like, stop_gradient
from .elementwise import add, astype, divide, maximum, select, where
from .indexing import positions, take
from .linalg import einsum
from .reduction import max, mean, sum
from .shape import expand_dims
from .sorting import unique_inverse


def embedding(weight, indices, padding_idx=None) -> Tensor:
    """Rows of ``weight`` (count, size) by integer ``indices`` of any shape: ``indices.shape + (size,)``.

    The gradient of ``weight`` is dense; rows that are named several times receive all of their cotangents, the row
    ``padding_idx`` none. IndexError for an index outside 0 .. count - 1: negative ones do not count from the end.
    """
    shape = shape_of(weight)
    if len(shape) != 2:
        raise ShapeError(f"embedding: needs weight (count, size), got shape {shape}")
    index = checked_rows("embedding", indices, shape[0], weight)
    y = take(weight, index, axis=0)
    if padding_idx is None:
        return y
    if not -shape[0] <= padding_idx < shape[0]:
        raise IndexOutOfBoundsError(f"embedding: padding_idx {padding_idx} is outside a table of {shape[0]} rows")
    return where(expand_dims(equal(index, padding_idx % shape[0]), -1), stop_gradient(y), y)


def checked_rows(who, indices, count, like):
    """Integer indices on the backend of ``like``; TypeError for others, IndexError outside 0 .. count - 1."""
    if kind_of(indices) != "integer":
        raise TypeError(f"{who}: indices must be integers, got {kind_of(indices)} numbers; convert with .astype(int)")
    raw = operand(indices)[0]
    index = positions(indices, count, like, who)
    if index is not raw:
        below = raw < 0 if type(raw) in PYTHON_NUMBERS else _any_negative(raw)
        if below:
            raise IndexOutOfBoundsError(
                f"{who}: an index is negative.\n  expected: indices in 0 .. {count - 1}\n"
                "Rows do not count from the end here; plain weight[-1] does."
            )
    return index


def _any_negative(index) -> bool:
    xp = backends.backend_of(index)
    below = index < 0
    return not xp.is_traced(below) and bool(xp.any(below))


def embedding_rows(weight, indices) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of ``weight`` (count, size) that ``indices`` name, each once: ``rows``, ``table`` and ``places``.

    ``rows`` (k,) are their numbers in rising order, ``table`` (k, size) is ``weight[rows]``, and ``places`` has the
    shape of ``indices``: ``embedding(table, places)`` is ``embedding(weight, indices)``. A gradient with respect to
    ``table`` is the row-sparse one, of these rows alone::

        rows, table, places = op.embedding_rows(weight, indices)
        g = zk.grad(lambda table: loss(op.embedding(table, places)))(table)
        weight = op.scatter_add(weight, rows, -rate * g)

    How many rows there are depends on the numbers, so a compiled function needs ``embedding``. Errors as there.
    """
    shape = shape_of(weight)
    if len(shape) != 2:
        raise ShapeError(f"embedding_rows: needs weight (count, size), got shape {shape}")
    rows, places = unique_inverse(checked_rows("embedding_rows", indices, shape[0], weight))
    return rows, take(weight, rows, axis=0), places


def embedding_bag(weight, indices, reduction="mean", padding_idx=None) -> Tensor:
    """The "sum", "mean" or "max" of the rows that each row of ``indices`` (bags, length) names: (bags, size).

    Entries equal to ``padding_idx`` are left out; a bag of nothing else is 0.
    """
    if len(shape_of(indices)) != 2:
        raise ShapeError(f"embedding_bag: needs indices (bags, length), got shape {shape_of(indices)}")
    if reduction not in ("sum", "mean", "max"):
        raise ValueError(f'embedding_bag: reduction must be "sum", "mean" or "max"; got {reduction!r}')
    rows = embedding(weight, indices)
    if padding_idx is None:
        return _bagged(rows, reduction)
    keep = expand_dims(not_equal(indices, padding_idx), -1)
    if reduction == "max":
        empty = equal(sum(astype(keep, "int64"), 1), 0)
        return where(empty, 0.0, _bagged(where(keep, rows, float("-inf")), "max"))
    total = sum(select(keep, rows), 1)
    return total if reduction == "sum" else divide(total, maximum(sum(select(keep, ones_like(rows)), 1), 1))


def _bagged(rows, reduction):
    return {"sum": sum, "mean": mean, "max": max}[reduction](rows, 1)


def bilinear(x1, x2, weight, bias=None) -> Tensor:
    """x1 (..., I) and x2 (..., J) by weight (O, I, J), plus bias (O,): y[o] = sum of x1[i] weight[o, i, j] x2[j]."""
    s1, s2, sw = shape_of(x1), shape_of(x2), shape_of(weight)
    if len(sw) != 3 or not s1 or not s2 or s1[:-1] != s2[:-1] or (s1[-1], s2[-1]) != sw[1:]:
        raise ShapeError(
            f"bilinear: shapes do not fit.\n  got:      x1 {s1}, x2 {s2}, weight {sw}\n"
            "  expected: x1 (..., I), x2 (..., J) and weight (O, I, J)"
        )
    y = einsum("...i,oij,...j->...o", x1, weight, x2)
    return y if bias is None else add(y, bias)
