"""What a user's own calls of ``f`` and its derivatives give: one cotangent or tangent at a time, on arrays as they are.

Everything here also looks at what was handed in, which has to be the same to the last bit afterwards.
"""

import numpy as np

from zkynet.backends.errors import GradientCheckError
from zkynet.framework import cg

from . import messages
from .levels import listed
from .problem import Problem, entry_of, flat, host, rounding

LOOPED = 64  # so many single cotangents or tangents are tried, spread evenly
PURE = "Write into a copy: a function, an operator's forward and its rules never change what they are given."


class Calls:
    """The checks of one Problem that need no differences."""

    def __init__(self, problem: Problem, point, name):
        self.problem, self.point, self.name = problem, point, name

    def value(self) -> np.ndarray:
        """The output vector in double precision; checks that f is a function, and finite."""
        problem = self.problem
        first = problem.vector(self.first_call())
        second = problem.vector(problem.plain(problem.originals()))
        problem.describe(problem.plain(problem.natives(self.point)))
        if first.shape != second.shape or not alike(first, second):
            raise GradientCheckError(
                f"{self.name}: two calls with the same arguments gave different results.\n"
                f"  got:      {first[:3]} ..., then {second[:3]} ...\n"
                "Fix what it reads besides its arguments: make a random generator inside it, for example."
            )
        y = problem.value_at(self.point)
        if not np.all(np.isfinite(y)):
            k = int(np.argmin(np.isfinite(y)))
            raise GradientCheckError(
                f"{self.name}: the value is not finite.\n"
                f"  at:  {entry_of(problem.outputs, k)}\n  got: {y[k]}\n"
                "Choose a point inside of the domain; what a rule gives at its edge needs a test of its own."
            )
        return y

    def first_call(self) -> list:
        """The outputs for arrays; for Tensors where f does not understand arrays."""
        problem, values = self.problem, self.problem.originals()
        before = bytes_of(values)
        try:
            outputs = problem.plain(values)
        except (AttributeError, TypeError):
            if problem.wraps:
                raise
            problem.wraps = True
            return self.first_call()
        self.unchanged(values, before, "calling it")
        return outputs

    def unchanged(self, values, before, what):
        for leaf, value, old in zip(self.problem.leaves, values, before, strict=True):
            if host(value).tobytes() != old:
                raise GradientCheckError(f"{self.name}: {leaf.label} was mutated by {what}.\n{PURE}")

    def run(self, action, values, what):
        """``action(arguments)`` with the leaves at ``values``, which must be the same afterwards."""
        before = bytes_of(values)
        pairs = zip(self.problem.leaves, values, strict=True)
        with self.problem.holding(values):
            result = action([v if leaf.parameter is None else leaf.parameter for leaf, v in pairs])
        self.unchanged(values, before, what)
        return result

    def value_under_transform(self, y):
        """GradientCheckError where f gives another value while it is differentiated."""
        frozen = self.problem.natives(self.point, frozen=True)
        outputs = self.run(lambda xs: cg.vjp(listed(self.problem.call), *xs)[0], frozen, "zk.vjp")
        under = self.problem.vector(outputs)
        if under.shape != y.shape or not alike(under, y):
            k = int(np.argmax(~(np.abs(under - y) <= 1e-12 * np.abs(y)))) if under.shape == y.shape else 0
            what = "its value under a transform differs from its value outside"
            raise messages.unlike(
                self.name, what, "under", "outside", under[k], y[k], entry_of(self.problem.outputs, k)
            )

    def single(self, mode):
        """The places of some outputs (inputs in forward mode), and their rows (columns) of the Jacobian."""
        frozen = self.problem.natives(self.point, frozen=True)
        if mode == "rev":
            return self.run(self.pulls, frozen, "the reverse sweep")
        return self.run(self.pushes, frozen, "the forward sweep")

    def pulls(self, xs):
        places, rows = spread(sum(block.size for block in self.problem.outputs)), []
        _, pull = cg.vjp(listed(self.problem.call), *xs)
        for k in places:
            g = unit(self.problem.outputs, k)
            before = bytes_of(g)
            rows.append(np.concatenate([flat(c) for c in pull(g)]))
            again = np.concatenate([flat(c) for c in pull(g)])
            if bytes_of(g) != before:
                raise GradientCheckError(f"{self.name}: a cotangent was mutated by a vjp rule.\n{PURE}")
            if not alike(rows[-1], again):
                j = int(np.argmax(rows[-1] != again))
                what = "pulling one cotangent twice gives two results: a vjp rule changes what was saved for it"
                where = f"{entry_of(self.problem.outputs, k)}; {entry_of(self.problem.inputs, j)}"
                raise messages.unlike(self.name, what, "first", "second", rows[-1][j], again[j], where)
        return places, np.reshape(rows, (len(places), self.point.size))

    def pushes(self, xs):
        places, columns = spread(self.point.size), []
        for j in places:
            direction = np.zeros(self.point.size)
            direction[j] = 1.0
            tangents = self.problem.natives(direction)
            before = bytes_of(tangents)
            columns.append(self.problem.vector(cg.jvp(listed(self.problem.call), xs, tangents)[1]))
            if bytes_of(tangents) != before:
                raise GradientCheckError(f"{self.name}: a tangent was mutated by a jvp rule.\n{PURE}")
        size = sum(block.size for block in self.problem.outputs)
        return places, np.reshape(columns, (len(places), size)).T

    def as_given(self, jacobian, modes, scale):
        """At the precision that was given: dtypes and shapes, and numbers near those of double precision."""
        rng = np.random.default_rng(1)
        values = self.problem.originals()

        def check(xs):
            outputs, pull = cg.vjp(listed(self.problem.call), *xs)
            if "rev" in modes:
                g = [random_like(y, rng) for y in outputs]
                expected = jacobian.T @ np.concatenate([flat(part) for part in g] or [np.zeros(0)])
                self.close(
                    "the gradient", [leaf.label for leaf in self.problem.leaves], pull(g), values, expected, scale
                )
            if "fwd" in modes:
                tangents = [random_like(v, rng) for v in values]
                expected = jacobian @ np.concatenate([flat(t) for t in tangents])
                moved = cg.jvp(listed(self.problem.call), xs, tangents)[1]
                self.close("the tangent", [f"output {k}" for k in range(len(moved))], moved, outputs, expected, scale)

        self.run(check, values, "differentiating it")

    def close(self, what, labels, found, like, expected, scale):
        """GradientCheckError where something has another form than what it belongs to, or is far from ``expected``."""
        limit = 30 * np.sqrt(max(rounding_of(x) for x in like)) * np.max(np.abs(expected), initial=scale)
        for label, c, x in zip(labels, found, like, strict=True):
            got, form = form_of(c), form_of(x)
            if got != form:
                raise GradientCheckError(
                    f"{self.name}: {what} of {label} has another form.\n  got:      {got}\n  expected: {form}"
                )
            c = flat(c).astype(float)
            part, expected = expected[: c.size], expected[c.size :]
            if np.any(~(np.abs(c - part) <= limit)):
                k = int(np.argmax(~(np.abs(c - part) <= limit)))
                where = f"{what} of {label}, {form}"
                what = "its derivative at the precision given is far from that in double precision"
                raise messages.unlike(self.name, what, "given", "double", c[k], part[k], where)


def alike(a, b) -> bool:
    """Whether two vectors are the same but for the last bits; NaN equals NaN."""
    return bool(np.all((np.abs(a - b) <= 1e-12 * np.abs(b)) | (a == b) | (np.isnan(a) & np.isnan(b))))


def bytes_of(values) -> list:
    return [host(v).tobytes() for v in values]


def spread(count) -> list[int]:
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, LOOPED)).round()}) if count else []


def unit(blocks, k) -> list:
    """One cotangent an output: 0, but for place ``k``, where it is 1, or 1j for an imaginary part."""
    found: list = []
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


def random_like(x, rng):
    x = host(x)
    g = rng.normal(size=x.shape)
    return g + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else g


def rounding_of(x) -> float:
    """The relative rounding of an array's or a number's dtype."""
    return rounding(host(x).dtype)


def form_of(x) -> str:
    """The dtype and shape of an array, the type of a number."""
    return f"{x.dtype}, shape {tuple(x.shape)}" if hasattr(x, "dtype") else type(x).__name__
