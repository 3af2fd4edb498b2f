"""check_grads: the derivatives of a function, to any order and in both modes, against differences of its values."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zkynet.backends.errors import GradientCheckError
from zkynet.framework import cg, op

from . import messages
from .numerical import Measured, Tolerance, jacobian_by_complex_step, jacobian_by_differences
from .problem import Block, Problem, entry_of, flat, host

RTOL, ATOL = 1e-7, 1e-9
TIGHT = 1e-2  # what two exact ways to the same number may differ by, as a part of the tolerance
LOOPED = 64  # so many single cotangents or tangents are tried, spread evenly, beside the batched sweep
MOST_SECOND = 100_000  # the largest tensor of second derivatives that is computed in full
MODES = ("fwd", "rev")
WORDS = {"fwd": "forward", "rev": "reverse"}


def check_grads(
    f: Callable,
    args: Sequence,
    order: int = 2,
    modes: Sequence[str] = MODES,
    *,
    argnums: int | Sequence[int] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    eps: float | None = None,
    holomorphic: bool = False,
) -> None:
    """Check the derivatives of ``f`` at ``args`` against differences; GradientCheckError where something is wrong.

    ``f``: a function written with ``op``, an Operator or a Module (then its Parameters are checked too). ``args``: a tuple
    of pytrees on any backend; ``argnums`` says which to check, by default every floating-point or complex array,
    floating-point number and Parameter in them. The outputs may be a pytree, real or complex.

    At every order up to ``order`` and in each of ``modes`` ("fwd", "rev", and their combinations) full Jacobians are
    compared with 4-point central differences in double precision, from order 2 on those of the derivative of a random
    projection. Steps are chosen for each entry by the error they show; where ``f`` takes complex arrays and agrees,
    complex steps sharpen the first order. Beyond numbers: batched sweeps give what single cotangents and tangents give (at
    order 2 too, where the full tensor has at most 100,000 entries), both modes agree, ``f`` has the same value under a
    transform and outside, gradients have their input's dtype and shape, nothing is mutated, and complex gradients are
    dL/dRe + i dL/dIm. ``holomorphic`` checks the complex derivative f'(z) as well.

    A point where the slopes from the left and right differ, or do not exist, is refused by name. Entries may differ by
    ``rtol`` (1e-7) times the expected one plus ``atol`` (1e-9, relative to values and derivatives that are all below 1).
    ``eps`` is the first, largest step (default: 2**-9 times the entry, or 2**-9).
    """
    if order < 1 or not modes or any(mode not in MODES for mode in modes):
        raise ValueError(f"check_grads: order must be at least 1 and modes of 'fwd' and 'rev'; got {order!r}, {modes!r}")
    ways = [mode for mode in ("rev", "fwd") if mode in modes]  # most rules are those of reverse mode: they speak first
    Check(Problem(f, tuple(args), argnums), ways, rtol, atol, eps).run(order, holomorphic)


class Level:
    """A differentiable function of real blocks at one point, and how to evaluate it without differentiating."""

    def __init__(self, function, value_at, inputs, outputs, order, eps=2.0**-52, trail=""):
        self.function, self.value_at = function, value_at
        self.inputs, self.outputs, self.order, self.eps, self.trail = inputs, outputs, order, eps, trail

    def way(self, mode) -> str:
        """How a derivative in ``mode`` is computed, in words."""
        return f"{WORDS[mode]} mode" + (f" over {self.trail}" if self.trail else "")


class Check:
    """One run of check_grads."""

    def __init__(self, problem: Problem, modes, rtol, atol, eps):
        self.problem, self.modes, self.step = problem, modes, eps
        self.name = f"check_grads({problem.name})"
        self.rtol, self.atol, self.absolute = rtol or RTOL, ATOL if atol is None else atol, atol is not None
        self.point = problem.point()
        self.scale = 0.0  # of values and derivatives, of all orders so far

    def run(self, order, holomorphic):
        before = [host(leaf.original).tobytes() for leaf in self.problem.leaves]
        with np.errstate(all="ignore"):
            y = self.value()
            self.unmutated(before, "calling it")
            level = Level(
                self.problem.call_reals, self.problem.value_at, self.problem.inputs, self.problem.outputs, 1, self.problem.eps
            )
            self.first_order(level, y)
            if holomorphic:
                self.holomorphic()
            self.dtypes()
            self.unmutated(before, "differentiating it")
            if order > 1:
                self.next_order(level, order)
            self.unmutated(before, f"differentiating it to order {order}")

    # ---- the function itself ----

    def value(self) -> np.ndarray:
        """The output vector in double precision; checks that f is a function, and finite."""
        problem = self.problem
        try:
            outputs = problem.plain([leaf.original for leaf in problem.leaves])
        except (AttributeError, TypeError):
            problem.wraps = True
            outputs = problem.plain([leaf.original for leaf in problem.leaves])
        problem.describe(problem.plain(problem.natives(self.point)))
        again = problem.plain([leaf.original for leaf in problem.leaves])
        first, second = problem.vector(outputs), problem.vector(again)
        if not np.array_equal(first, second, equal_nan=True):
            raise GradientCheckError(
                f"{self.name}: two calls with the same arguments gave different results.\n"
                f"  got:      {first[first != second][:3]} and {second[first != second][:3]}\n"
                "Fix what it reads besides its arguments: make random generators inside it, for example."
            )
        y = problem.value_at(self.point)
        if not np.all(np.isfinite(y)):
            k = int(np.argmin(np.isfinite(y)))
            raise GradientCheckError(
                f"{self.name}: the value is not finite.\n  at:       {entry_of(problem.outputs, k)}\n  got:      {y[k]}\n"
                "Choose a point inside of the domain; what a rule gives at its edge needs a test of its own."
            )
        return y

    def unmutated(self, before, what):
        for leaf, bytes_ in zip(self.problem.leaves, before, strict=True):
            if host(leaf.original).tobytes() != bytes_:
                raise GradientCheckError(
                    f"{self.name}: {leaf.label} was mutated by {what}.\n"
                    "Write into a copy: an operator's forward and its rules never change what they are given."
                )

    # ---- one order ----

    def first_order(self, level, y):
        measured, tolerance = self.measure(level, y)
        measured, tolerance, method = self.sharpened(measured, tolerance)
        self.values_agree(y)
        found = {}
        for mode in self.modes:
            way = level.way(mode)
            loop = self.pulls if mode == "rev" else self.pushes
            places, single = loop(y)
            part = single if mode == "rev" else single.T
            picked = Measured(*(_rows(a, places, mode) for a in measured[:3]), [])
            self.compare(_Part(level, places, mode), way + ", one at a time", part, picked, tolerance, method)
            whole = self.jacobian(level, mode)
            self.same(level, part, whole, places, mode)
            self.compare(level, way + ", batched", whole, measured, tolerance, method)
            found[mode] = whole
        if len(found) == 2:
            self.consistent(level, found["fwd"], found["rev"], "forward and reverse mode disagree", "forward", "reverse")

    def measure(self, level, y) -> tuple[Measured, Tolerance]:
        """The Jacobian of a level by differences; refuses what is not differentiable."""
        self.scale = max(self.scale, np.max(np.abs(y), initial=0.0))
        tolerance = self.tolerance()
        measured = jacobian_by_differences(level.value_at, self.point, y, tolerance, self.step, level.eps)
        if measured.refusals:
            raise messages.not_differentiable(self.name, level, measured.refusals)
        settled = np.where(np.isfinite(measured.error), measured.jacobian, 0)
        self.scale = max(self.scale, np.max(np.abs(settled), initial=0.0))
        return measured, self.tolerance()

    def tolerance(self) -> Tolerance:
        return Tolerance(self.rtol, self.atol, 1.0 if self.absolute else self.scale)

    def sharpened(self, measured, tolerance):
        """Complex steps in place of differences, where f is analytic as far as these can tell."""
        method = "4-point differences"
        leaves = self.problem.leaves
        if any(leaf.is_complex for leaf in leaves) or any(block.part for block in self.problem.outputs):
            return measured, tolerance, method
        exact = jacobian_by_complex_step(self.problem.complex_value_at, self.point)
        settled = measured.error <= 1e-3 * np.max(np.abs(measured.jacobian), initial=0.0)
        if exact is None or exact.shape != measured.jacobian.shape or not np.any(settled):
            return measured, tolerance, method
        near = np.abs(exact - measured.jacobian) <= tolerance.allowed(measured.jacobian) + measured.error
        if not np.all(near | ~np.isfinite(measured.error)):
            return measured, tolerance, method
        tight = Tolerance(TIGHT * self.rtol, TIGHT * self.atol, tolerance.scale)
        if np.max(self.problem.eps, initial=0.0) > 2.0**-52 or self.rtol != RTOL or self.absolute:
            tight = tolerance
        return Measured(exact, np.zeros_like(exact), measured.constant, []), tight, "complex step"

    def compare(self, level, how, got, measured, tolerance, method):
        """GradientCheckError where ``got`` is not what was measured, or where that could not be measured."""
        expected, error = measured.jacobian, measured.error
        allowed = tolerance.allowed(expected)
        difference = np.abs(got - expected)
        sure = np.isfinite(expected) & ~(error > 1e-2 * difference)  # so far off that the error is no excuse
        if np.any(sure & ~(difference <= allowed + 3 * error)):
            limit = np.where(sure, allowed + 3 * error, np.inf)
            raise messages.wrong_derivative(self.name, level, how, got, expected, limit, method)
        if np.any(~(error <= allowed) & ~(measured.constant & (got == 0))):
            raise messages.unsettled(self.name, level, measured, allowed)

    def jacobian(self, level, mode) -> np.ndarray:
        """The full Jacobian of a level by one batched sweep."""
        reals = self.problem.reals(self.point)
        try:
            rows = cg.jacobian(_listed(level.function), tuple(range(len(reals))), mode=mode)(*reals)
        except ValueError as error:
            raise self.explained(error) from error
        return _matrix(rows, level)

    def explained(self, error):
        """A write into a frozen array as what it is: a mutation; other errors as they are."""
        if "read-only" not in str(error):
            return error
        return GradientCheckError(
            f"{self.name}: something writes into an array that it was given ({error}).\n"
            "Write into a copy: an operator's forward and its rules never change what they are given."
        )

    # ---- one cotangent or tangent at a time, on f as it is ----

    def transformed(self, transform, values):
        """``transform(f, leaves)`` with the leaves at ``values``."""
        arguments = [v if leaf.parameter is None else leaf.parameter for leaf, v in zip(self.problem.leaves, values, strict=True)]
        with self.problem.holding(values):
            try:
                return transform(arguments)
            except ValueError as error:
                raise self.explained(error) from error

    def values_agree(self, y):
        frozen = self.problem.natives(self.point, frozen=True)
        outputs, _ = self.transformed(lambda xs: cg.vjp(_listed(self.problem.call), *xs), frozen)
        under = self.problem.vector(outputs)
        wrong = ~(np.abs(under - y) <= 1e-12 * np.abs(y))
        if under.shape != y.shape or np.any(wrong):
            k = int(np.argmax(wrong))
            raise messages.unlike(
                *(self.name, "its value under a transform differs from its value outside", "under a transform", "outside"),
                *(under[k], y[k], entry_of(self.problem.outputs, k)),
            )

    def pulls(self, y):
        """Rows of the Jacobian by one reverse sweep each: their places, and the rows."""
        frozen = self.problem.natives(self.point, frozen=True)
        saved = [host(v).tobytes() for v in frozen]
        rows, places = [], _spread(y.size)

        def pull_all(xs):
            _, pull = cg.vjp(_listed(self.problem.call), *xs)
            for k in places:
                g = _unit(self.problem.outputs, k)
                bytes_ = [np.asarray(part).tobytes() for part in g]
                row = _vector(pull(g), self.problem.leaves)
                self.repeatable(row, _vector(pull(g), self.problem.leaves), k)
                if [np.asarray(part).tobytes() for part in g] != bytes_:
                    raise self.mutated("a cotangent", "the reverse sweep")
                rows.append(row)

        self.transformed(pull_all, frozen)
        if [host(v).tobytes() for v in frozen] != saved:
            raise self.mutated("an input", "the reverse sweep")
        return places, np.reshape(rows, (len(places), self.point.size))

    def pushes(self, y):
        """Columns of the Jacobian by one forward sweep each: their places, and the columns as rows."""
        frozen = self.problem.natives(self.point, frozen=True)
        saved = [host(v).tobytes() for v in frozen]
        columns, places = [], _spread(self.point.size)

        def push_all(xs):
            for j in places:
                unit = np.zeros(self.point.size)
                unit[j] = 1.0
                tangents = self.problem.natives(unit)
                bytes_ = [host(t).tobytes() for t in tangents]
                _, moved = cg.jvp(_listed(self.problem.call), xs, tangents)
                columns.append(self.problem.vector(moved))
                if [host(t).tobytes() for t in tangents] != bytes_:
                    raise self.mutated("a tangent", "the forward sweep")

        self.transformed(push_all, frozen)
        if [host(v).tobytes() for v in frozen] != saved:
            raise self.mutated("an input", "the forward sweep")
        return places, np.reshape(columns, (len(places), y.size))

    def mutated(self, what, who):
        return GradientCheckError(f"{self.name}: {what} was mutated by {who}.\nRules return new arrays.")

    def repeatable(self, first, second, k):
        if not np.array_equal(first, second, equal_nan=True):
            j = int(np.argmax(first != second))
            raise messages.unlike(
                *(self.name, "pulling the same cotangent twice gives two results: a rule mutates what was saved"),
                *("first ", "second", first[j], second[j]),
                f"{entry_of(self.problem.outputs, k)}, {entry_of(self.problem.inputs, j)}",
            )

    def same(self, level, part, whole, places, mode):
        """GradientCheckError where the batched sweep does not give what single ones give."""
        picked = _rows(whole, places, mode)
        what = f"batched {WORDS[mode]} mode disagrees with one {'cotangent' if mode == 'rev' else 'tangent'} at a time"
        self.consistent(_Part(level, places, mode), picked, part, what, "batched", "single")

    def consistent(self, level, first, second, what, one, other):
        """GradientCheckError where two results of the engine differ by more than rounding."""
        tight = Tolerance(TIGHT * self.rtol, TIGHT * self.atol, 1.0 if self.absolute else self.scale)
        wrong = ~(np.abs(first - second) <= tight.allowed(second))
        if np.any(wrong):
            k, j = np.unravel_index(np.argmax(wrong), wrong.shape)
            where = f"{entry_of(level.outputs, k)}, {entry_of(level.inputs, j)}"
            raise messages.unlike(self.name, f"{what}, order {level.order}", one, other, first[k, j], second[k, j], where)

    def dtypes(self):
        """Gradients have their input's dtype and shape, tangents their output's, at the precision that was given."""
        leaves = self.problem.leaves
        rng = np.random.default_rng(1)

        def check(xs):
            outputs, pull = cg.vjp(_listed(self.problem.call), *xs)
            grads = pull([_random_like(y, rng) for y in outputs]) if "rev" in self.modes else []
            for leaf, c in zip(leaves, grads, strict=False):
                self.like("the gradient", leaf.label, c, leaf.original)
            if "fwd" in self.modes:
                _, moved = cg.jvp(_listed(self.problem.call), xs, [_random_like(leaf.original, rng) for leaf in leaves])
                for k, (t, y) in enumerate(zip(moved, outputs, strict=True)):
                    self.like("the tangent", f"output {k}", t, y)

        self.transformed(check, [leaf.original for leaf in leaves])

    def like(self, what, label, c, x):
        got, expected = _form(c), _form(x)
        if got != expected:
            raise GradientCheckError(
                f"{self.name}: {what} of {label} has another form.\n  got:      {got}\n  expected: {expected}"
            )

    def holomorphic(self):
        """The complex derivative of a holomorphic f, in each mode, against its real one."""
        leaves = self.problem.leaves
        blocks = self.problem.outputs
        if not all(leaf.is_complex for leaf in leaves) or not all(block.part for block in blocks):
            raise GradientCheckError(f"{self.name}: holomorphic=True needs complex arguments and complex outputs")
        values = self.problem.natives(self.point)
        level = Level(None, None, self.problem.inputs[::2], blocks[::2], 1)
        whole = self.jacobian(Level(self.problem.call_reals, None, self.problem.inputs, blocks, 1), self.modes[0])
        parts = _quarters(whole, self.problem.inputs, blocks)
        self.consistent(level, parts["re", "re"], parts["im", "im"], "not holomorphic", "d Re / d Re", "d Im / d Im")
        self.consistent(level, parts["im", "re"], -parts["re", "im"], "not holomorphic", "d Im / d Re", "-d Re / d Im")
        for mode in self.modes:
            listed = _listed(self.problem.call)
            rows = self.transformed(
                lambda xs: cg.jacobian(listed, tuple(range(len(xs))), mode=mode, holomorphic=True)(*xs), values
            )
            found = _matrix(rows, level)
            what = f"wrong complex derivative, {WORDS[mode]} mode"
            self.consistent(level, found.real, parts["re", "re"], what + ", its real part", "got", "expected")
            self.consistent(level, found.imag, parts["im", "re"], what + ", its imaginary part", "got", "expected")

    # ---- higher orders ----

    def next_order(self, level, order):
        """Check the derivatives of the derivatives of ``level``, in each mode, and so on up to ``order``."""
        rng = np.random.default_rng(2)
        weights = [rng.normal(size=block.shape) for block in level.outputs]
        direction = rng.normal(size=self.point.size)
        for inner in self.modes:
            above = self.reversed(level, weights) if inner == "rev" else self.forwarded(level, direction)
            y = above.value_at(self.point)
            measured, tolerance = self.measure(above, y)
            found = {}
            for outer in self.modes:
                found[outer] = self.jacobian(above, outer)
                self.compare(above, above.way(outer), found[outer], measured, tolerance, "4-point differences")
                self.batched_twice(level, above, inner, outer, found[outer], weights, direction)
            if len(found) == 2:
                what = "forward and reverse mode disagree over " + above.trail
                self.consistent(above, found["fwd"], found["rev"], what, "forward", "reverse")
            if order > above.order:
                self.next_order(above, order)

    def reversed(self, level, weights) -> Level:
        """The gradient of a projection of ``level``."""

        def projected(*reals):
            parts = [op.sum(op.multiply(y, _weight(w))) for y, w in zip(level.function(*reals), weights, strict=True)]
            total = parts[0]
            for part in parts[1:]:
                total = op.add(total, part)
            return total

        gradient = cg.grad(projected, tuple(range(len(level.inputs))))
        outputs = [b._replace(label=f"the gradient of a projection in {b.label}") for b in level.inputs]
        return self.derived(level, lambda *reals: list(gradient(*reals)), outputs, "rev")

    def forwarded(self, level, direction) -> Level:
        """The derivative of ``level`` along a direction."""
        tangents = self.problem.reals(direction)
        function = _listed(level.function)
        outputs = [b._replace(label=f"the derivative of {b.label} in a direction") for b in level.outputs]
        return self.derived(level, lambda *reals: cg.jvp(function, reals, tangents)[1], outputs, "fwd")

    def derived(self, level, function, outputs, mode) -> Level:
        size = sum(block.size for block in outputs)

        def value_at(vector):
            try:
                parts = [flat(y) for y in function(*self.problem.reals(vector))]
            except np.linalg.LinAlgError:
                return np.full(size, np.nan)
            return np.concatenate(parts) if parts else np.zeros(0)

        trail = WORDS[mode] + (f" over {level.trail}" if level.trail else "")
        eps = np.max(level.eps, initial=0.0)
        return Level(function, value_at, level.inputs, outputs, level.order + 1, eps, trail)

    def batched_twice(self, level, above, inner, outer, expected, weights, direction):
        """Jacobians of full Jacobians: rules that run on Tensors with leading axes give what they give without."""
        n, m = self.point.size, sum(block.size for block in level.outputs)
        if m * n * n > MOST_SECOND:
            return
        argnums = tuple(range(len(level.inputs)))
        full = cg.jacobian(_listed(level.function), argnums, mode=inner)
        blocks = [Block("", y.shape + x.shape, "") for y in level.outputs for x in level.inputs]
        nested = Level(lambda *reals: [b for row in full(*reals) for b in row], None, level.inputs, blocks, above.order)
        tensor = _cube(self.jacobian(nested, outer), level, n)
        if inner == "rev":
            found = np.einsum("k,kji->ji", np.concatenate([w.ravel() for w in weights] or [np.zeros(0)]), tensor)
        else:
            found = np.einsum("j,kji->ki", direction, tensor)
        what = f"batched sweeps, {above.way(outer)}, disagree with single ones"
        self.consistent(above, found, expected, what, "batched", "single")


class _Part:
    """A level with some of its outputs, or inputs, in the words of messages."""

    def __init__(self, level, places, mode):
        self.order = level.order
        names = [Block(entry_of(level.outputs if mode == "rev" else level.inputs, k), (), "") for k in places]
        self.outputs = names if mode == "rev" else level.outputs
        self.inputs = level.inputs if mode == "rev" else names


def _listed(function):
    """The function with its outputs in a list."""

    def f(*xs):
        return list(function(*xs))

    f.__name__ = getattr(function, "__name__", "f")
    return f


def _matrix(rows, level) -> np.ndarray:
    """Blocks of a Jacobian as one matrix."""
    n = sum(block.size for block in level.inputs)
    parts = [
        np.concatenate([host(b).reshape(y.size, x.size) for b, x in zip(row, level.inputs, strict=True)], axis=1)
        for row, y in zip(rows, level.outputs, strict=True)
    ]
    return np.concatenate(parts, axis=0) if parts else np.zeros((0, n))


def _cube(matrix, level, n) -> np.ndarray:
    """Rows for each pair of an output and an input block as an array (outputs, inputs, n)."""
    rest, parts = matrix, []
    for y in level.outputs:
        row = []
        for x in level.inputs:
            row.append(rest[: y.size * x.size].reshape(y.size, x.size, n))
            rest = rest[y.size * x.size :]
        parts.append(np.concatenate(row, axis=1))
    return np.concatenate(parts, axis=0) if parts else np.zeros((0, n, n))


def _quarters(matrix, inputs, outputs):
    """The Jacobian between real and imaginary parts, from that of vectors made of both."""
    rows = np.concatenate([[block.part[:2]] * block.size for block in outputs])
    columns = np.concatenate([[block.part[:2]] * block.size for block in inputs])
    return {(a, b): matrix[rows == a][:, columns == b] for a in ("re", "im") for b in ("re", "im")}


def _rows(matrix, places, mode):
    return matrix[places] if mode == "rev" else matrix[:, places]


def _spread(count) -> list[int]:
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, LOOPED)).round()}) if count else []


def _unit(blocks, k) -> list:
    """One cotangent an output: 0, but for place ``k``, where it is 1, or 1j for an imaginary part."""
    found = []
    for block in blocks:
        g = np.zeros(block.shape, complex if block.part else float)
        if 0 <= k < block.size:
            g.flat[k] = 1j if block.part == "imaginary part" else 1.0
        k -= block.size
        if block.part == "imaginary part":
            found[-1] = found[-1] + g
        else:
            found.append(g)
    return found


def _vector(cotangents, leaves) -> np.ndarray:
    parts = [flat(c) for c in cotangents]
    return np.concatenate(parts)


def _weight(w) -> Any:
    return w.item() if w.ndim == 0 else w


def _random_like(x, rng) -> Any:
    x = host(x)
    g = rng.normal(size=x.shape)
    return g + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else g


def _form(x) -> tuple:
    """The type, dtype and shape of an array or number."""
    if not hasattr(x, "dtype"):
        return (type(x).__name__,)
    return type(x).__name__ if x.shape else "", str(x.dtype), tuple(x.shape)
