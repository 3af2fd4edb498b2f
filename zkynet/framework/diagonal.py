"""Where the sweeps of a full Jacobian begin: as long as it is diagonal, its diagonal alone is carried.

The Jacobian of an output by itself is the identity, and entrywise steps leave it diagonal. Its rows, mostly zeros, are
written out only where another kind of step comes; where that has a rule for diagonals, not even there.
"""

from typing import Any, NamedTuple

from zkynet import backends

from .axes import size_of
from .backprop import between, call_rule, fitted, is_weak, pull_back, seed, sent
from .operations.shape import Reshape
from .operator import Rule
from .record import HOST, WATCHED, Record

_FEW = 5  # so few steps cost less than finding out which of them are entrywise


class Diagonal(NamedTuple):
    """Rows ``start`` to ``stop`` of the diagonal matrix with ``entries``, an array of any shape, on its diagonal.

    ``is_unit``: all entries are 1, and what is made of them will be multiplied before anybody else gets it.
    """

    entries: Any
    start: int
    stop: int
    is_unit: bool = False

    def times(self, xp, matrix):
        """The rows times a matrix (n, k): an array (stop - start, k), part of the matrix itself where ``is_unit``."""
        part = matrix[self.start : self.stop, :]
        return part if self.is_unit else part * xp.reshape(self.entries, (-1, 1))[self.start : self.stop, :]

    def written_out(self):
        """The rows, of shape ``(stop - start,) + entries.shape``."""
        xp = backends.backend_of(self.entries)
        shape = (self.stop - self.start, *self.entries.shape)
        n = size_of(self.entries.shape)
        return xp.reshape(xp.diagonal_rows(xp.reshape(self.entries, (n,)), self.start, self.stop), shape)


class Start:
    """The Records where batched sweeps from ``root`` to ``asked`` begin, and the cotangents that stand there.

    ``order`` holds the Records that are left to visit, oldest first; ``careful``: a mask has been passed before them.
    """

    def __init__(self, root: Record, asked: list[Record]):
        self.root = root
        self.order = between([root], set(asked))
        self.careful = False
        self.diagonals: dict = {}  # Record -> the diagonal of the part of its Jacobian that is known
        self.scales: dict = {}  # Record -> what multiplies, entry by entry, the rows that came through one step more
        if WATCHED or not self.order or is_weak(root) or size_of(root.shape) < 2:
            return  # who watches the sweeps sees whole ones
        self.diagonals = self._pass(root, set(asked))
        self._is_unit = root in self.diagonals  # no step was passed
        self._left = set(self.order)
        below = self._below(set(asked)) if len(self.order) > _FEW else None
        if below is not None:
            self.scales = self._scales(below, set(asked))

    def _pass(self, top: Record, asked: set) -> dict:
        """Leave the entrywise steps from ``top`` on behind: where they end, and the product of their slopes there."""
        passed, reached = _diagonal_part(top, self.order, asked)
        ends = [record for record in reached if record not in passed]
        found = [seed(top)]
        if len(passed) == len(top.parents) == 1:  # one step with one input, the most frequent start, without a sweep
            with HOST.errstate():
                pairs = sent(top, found[0], {}, set(ends), False, (), self.careful or top.operator.masks)
            found = [c for _, c in pairs]
        elif passed:
            order = [record for record in self.order if record in reached]
            with HOST.errstate():
                found = pull_back([top], found, ends, False, (), frozenset(ends), order, self.careful)
        self.order = [record for record in self.order if record not in passed]
        self.careful = self.careful or any(record.operator.masks for record in passed)
        return {record: c for record, c in zip(ends, found, strict=True) if c is not None}

    def _below(self, asked: set) -> Record | None:
        """The one Record to which a step with a rule for diagonals leads from here; None where there is no such one."""
        if len(self.diagonals) != 1 or asked & self.diagonals.keys():
            return None
        ((record, entries),) = self.diagonals.items()
        if not self._is_unit and not _finite(entries):
            return None
        pairs = self._sent(record, Diagonal(entries, 0, 0))  # no rows: whether it can
        if pairs is None or len(pairs) != 1 or is_weak(pairs[0][0]) or pairs[0][0].xp is not record.xp:
            return None
        return pairs[0][0]

    def _scales(self, top: Record, asked: set) -> dict:
        """The same from ``top`` on, where these slopes are finite too: infinity and 0 have to meet step by step."""
        before, careful = self.order, self.careful
        order = self.order = between([top], asked)
        scales = self._pass(top, asked)
        if len(order) == len(self.order) or not all([_finite(slopes) for slopes in scales.values()]):
            self.order, self.careful = before, careful
            return {}
        return scales

    def rows(self, start: int, stop: int) -> tuple[list, list]:
        """Records, and the cotangents of rows ``start`` to ``stop`` of the Jacobian that stand there."""
        if not self.diagonals:
            return [self.root], [identity_rows(self.root, start, stop)]
        pairs = []
        with HOST.errstate():  # as in the sweeps: a rule may multiply infinity by 0
            for record, entries in self.diagonals.items():
                diagonal = Diagonal(entries, start, stop, self._is_unit and bool(self.scales))
                pairs += self._sent(record, diagonal) or [(record, diagonal.written_out())]
            if self.scales:
                pairs = [(record, self._scaled(record, pairs[0][1])) for record in self.scales]
        return [record for record, _ in pairs], [rows for _, rows in pairs]

    def _sent(self, record, diagonal) -> list | None:
        """(parent, cotangents) of the step below a diagonal, if the operator has rules for that: ``diagonal_<input>``.

        Such a rule gets a Diagonal in place of ``g``, and names behind it what the VJP rule of this input names.
        """
        pairs = []
        for i, parent in enumerate(record.parents):
            if parent is None or parent not in self._left:
                continue
            rule = _diagonal_rule(record, i)
            c = None if rule is None else call_rule(rule, record, i, diagonal, False)
            if c is None:
                return None
            lead = (diagonal.stop - diagonal.start,)
            if c.shape != lead + parent.shape or c.dtype is not parent.dtype or parent.xp is not record.xp:
                c = fitted(c, record, i, parent, False, lead)
            pairs.append((parent, c))
        return pairs

    def _scaled(self, record, rows):
        """Rows that reached the steps behind them, at ``record``, where these end."""
        return record.xp.reshape(rows, (rows.shape[0], *record.shape)) * self.scales[record]


def _finite(x) -> bool:
    xp = backends.backend_of(x)
    return bool(xp.all(xp.isfinite(x)))


def _diagonal_rule(record, i) -> Rule | None:
    """The rule for diagonals that an operator has for its input ``i``."""
    plan = getattr(record.operator, "plan", None)
    name = "" if plan is None or plan.variadic else f"diagonal_{plan.inputs[i]}"
    method = getattr(type(record.operator), name, None)
    return None if method is None or plan is None else Rule(method, plan.vjp[i].wants)


def identity_rows(record: Record, start: int, stop: int):
    """Rows ``start`` to ``stop`` of the identity, each in the shape of a Record's output."""
    xp = record.xp
    rows = xp.eye(stop - start, size_of(record.shape), k=start, dtype=record.dtype or xp.float64)
    return xp.reshape(rows, (stop - start, *record.shape))


def _diagonal_part(root, order, asked) -> tuple[set, set]:
    """The Records that take a diagonal to diagonals, and all that some diagonal reaches.

    One that anything else reaches too is not passed.
    """
    passed: set = set()
    reached, mixed, needed = {root}, set(), set(order)
    for record in reversed(order):
        parents = [p for p in record.parents if p in needed]
        if record in reached and record not in mixed and record not in asked and _keeps_places(record, parents):
            passed.add(record)
            reached.update(parents)
        else:
            mixed.update(parents)
    return passed, reached


def _keeps_places(record, parents) -> bool:
    """Whether entry k of the output depends on entry k of each input alone."""
    operator = record.operator
    if type(operator) is Reshape:
        return True
    if not getattr(operator, "elementwise", False) or operator.joint or operator.outputs > 1:
        return False
    return all(p.shape == record.shape for p in parents)
