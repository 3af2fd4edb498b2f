"""check_grads: the derivatives of a function, to any order and in both modes, against differences of its values."""

from collections.abc import Callable, Sequence

import numpy as np

from zkynet.backends.errors import GradientCheckError
from zkynet.framework import cg

from . import messages
from .calls import PURE, Calls
from .levels import WORDS, Level, complex_derivative, first_level, listed, matrix
from .numerical import Measured, Tolerance, jacobian_by_complex_step, jacobian_by_differences
from .problem import Problem

RTOL, ATOL = 1e-7, 1e-9
TIGHT = 1e-2  # what two exact ways to the same number may differ by, as a part of the tolerance
MOST_SECOND = 100_000  # the largest tensor of second derivatives that is computed in full
SEED = {"rev": "cotangent", "fwd": "tangent"}
MODES = ("rev", "fwd")  # most rules are those of reverse mode: they are checked first


def check_grads(
    f: Callable,
    args: Sequence,
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    *,
    argnums: int | Sequence[int] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    eps: float | None = None,
    holomorphic: bool = False,
) -> None:
    """Check the derivatives of ``f`` at ``args`` against differences; GradientCheckError where something is wrong.

    ``f``: a function written with ``op``, an Operator, or a Module, whose Parameters are then checked too. ``args``: a
    tuple of pytrees on any backend; ``argnums`` says which to check, by default all floating-point and complex arrays
    and numbers, and Parameters, in them. Outputs may be pytrees, real or complex.

    At every order, in each of ``modes`` and of their combinations, full Jacobians are compared with 4-point central
    differences in double precision; from order 2 on those of a random projection's gradient, or of the derivative along
    a random direction. Steps are chosen for each entry by the error they show; where ``f`` takes complex arrays and
    agrees, complex steps sharpen order 1. Also checked: batched sweeps give what single ones give (at order 2 too,
    where the full tensor has at most 100,000 entries), the modes agree, ``f`` has the same value under a transform,
    gradients have their input's dtype and shape and, where that is less than double, numbers near these, nothing is
    mutated, gradients of complex inputs are dL/dRe + i dL/dIm, and with ``holomorphic`` f'(z).

    A point where the slopes from the left and the right differ, or do not exist, is refused by name, as is a function
    whose differences do not settle. Entries may differ by ``rtol`` (1e-7) times the expected one plus ``atol`` (1e-9,
    times the largest value or derivative if that is below 1). ``eps``: the first, largest step (2**-9, times the entry
    if that is above 1). Symmetrise inside ``f`` what an operator reads one triangle of. ``f`` is called some seven
    times an entry and derivative, so small arguments do; on JAX a first check takes seconds, to compile every shape.
    """
    if order < 1 or not modes or any(mode not in MODES for mode in modes):
        raise ValueError(f"check_grads: needs order >= 1 and modes of 'fwd' and 'rev'; got {order!r} and {modes!r}")
    Check(Problem(f, tuple(args), argnums), [m for m in MODES if m in modes], rtol, atol, eps).run(order, holomorphic)


class Check:
    """One run of check_grads."""

    def __init__(self, problem: Problem, modes, rtol, atol, eps):
        self.problem, self.modes, self.step = problem, modes, eps
        self.name = f"check_grads({problem.name})"
        self.doing = "the value"
        self.rtol, self.atol = rtol or RTOL, ATOL if atol is None else atol
        self.relative = atol is None  # atol shrinks with the scale of what is compared
        self.default = rtol is None and atol is None
        self.point = problem.point()
        self.scale = 0.0  # the largest value or derivative so far

    def run(self, order, holomorphic):
        """The whole check; errors that are not its own get a note that says what was computed."""
        try:
            with np.errstate(all="ignore"):
                self.check(order, holomorphic)
        except GradientCheckError:
            raise
        except Exception as error:
            if isinstance(error, ValueError) and "read-only" in str(error):
                what = f"something writes into an array that it was given, in {self.doing} ({error})"
                raise GradientCheckError(f"{self.name}: {what}.\n{PURE}") from error
            error.add_note(f"in {self.name}, while it computed {self.doing}")
            raise

    def check(self, order, holomorphic):
        calls = Calls(self.problem, self.point, self.name)
        y = calls.value()
        level = first_level(self.problem)
        measured, tolerance, method = self.sharpened(*self.measure(level, y))
        self.doing = "its value under zk.vjp"
        calls.value_under_transform(y)
        found = {}
        for mode in self.modes:
            self.doing = f"derivatives in {WORDS[mode]} mode, one at a time"
            places, single = calls.single(mode)
            picked = Measured(*(rows(a, places, mode) for a in measured[:3]), [])
            part = level.part(places, mode)
            self.compare(part, f"{WORDS[mode]} mode, one at a time", single, picked, tolerance, method)
            found[mode] = self.jacobian(level, mode)
            what = f"batched {WORDS[mode]} mode disagrees with one {SEED[mode]} at a time"
            self.agree(part, what, "batched", "single", rows(found[mode], places, mode), single)
            self.compare(level, f"{WORDS[mode]} mode, batched", found[mode], measured, tolerance, method)
        self.modes_agree(level, found)
        if holomorphic:
            self.holomorphic(calls, found[self.modes[0]])
        self.doing = "derivatives at the precision that was given"
        calls.as_given(found[self.modes[0]], self.modes, self.scale)
        if order > 1:
            self.next_order(level, order)

    # ---- measuring and comparing ----

    def measure(self, level, y) -> tuple[Measured, Tolerance]:
        """The Jacobian of a level by differences; refuses what is not differentiable."""
        self.doing = f"differences, order {level.order}"
        self.scale = max(self.scale, np.max(np.abs(y), initial=0.0))
        measured = jacobian_by_differences(level.value_at, self.point, y, self.tolerance(), self.step, level.eps)
        if measured.refusals:
            raise messages.not_differentiable(self.name, level, measured.refusals)
        settled = np.where(measured.error <= np.abs(measured.jacobian), measured.jacobian, 0)
        self.scale = max(self.scale, np.max(np.abs(settled), initial=0.0))
        return measured, self.tolerance()

    def tolerance(self, part=1.0) -> Tolerance:
        return Tolerance(part * self.rtol, part * self.atol, self.scale if self.relative else 1.0)

    def sharpened(self, measured, tolerance):
        """Complex steps in place of differences, where f is analytic as far as these can tell."""
        rough = measured, tolerance, "4-point differences"
        if any(block.part for block in self.problem.inputs + self.problem.outputs):
            return rough
        exact = jacobian_by_complex_step(self.problem.complex_value_at, self.point)
        good = measured.error <= 1e-3 * np.max(np.abs(measured.jacobian), initial=0.0)
        if exact is None or exact.shape != good.shape or not np.any(good):
            return rough
        near = np.abs(exact - measured.jacobian) <= tolerance.allowed(measured.jacobian) + measured.error
        if not np.all(near | ~np.isfinite(measured.error)):
            return rough
        if self.default and np.all(self.problem.eps == 2.0**-52):
            tolerance = self.tolerance(TIGHT)
        return Measured(exact, np.zeros_like(exact), measured.constant, []), tolerance, "complex steps"

    def compare(self, level, how, got, measured, tolerance, method):
        """GradientCheckError where ``got`` is not what was measured, or where that could not be measured."""
        expected, error = measured.jacobian, measured.error
        allowed = tolerance.allowed(expected)
        difference = np.abs(got - expected)
        sure = np.isfinite(expected) & ~(error > 1e-2 * difference)  # so far off that the error is no excuse
        limit = np.where(sure, allowed + 3 * error, np.inf)
        if np.any(sure & ~(difference <= limit)):
            got, expected = np.where(sure, got, 0), np.where(sure, expected, 0)
            raise messages.wrong_derivative(self.name, level, how, got, expected, limit, method)
        if np.any(~(error <= allowed) & ~(measured.constant & (got == 0))):
            raise messages.unsettled(self.name, level, measured, allowed)

    def agree(self, level, what, one, other, first, second):
        """GradientCheckError where two results of the engine differ by more than rounding."""
        wrong = ~(np.abs(first - second) <= self.tolerance(TIGHT).allowed(second))
        if np.any(wrong):
            k, j = np.unravel_index(np.argmax(wrong), wrong.shape)
            what = f"{what}, order {level.order}"
            raise messages.unlike(self.name, what, one, other, first[k, j], second[k, j], level.entry(k, j))

    def modes_agree(self, level, found):
        if len(found) == 2:
            what = "forward and reverse mode disagree" + (f" over {level.trail}" if level.trail else "")
            self.agree(level, what, "forward", "reverse", found["fwd"], found["rev"])

    def jacobian(self, level, mode) -> np.ndarray:
        self.doing = f"the Jacobian of order {level.order} in {level.way(mode)}"
        return level.jacobian(self.point, mode)

    def holomorphic(self, calls, whole):
        """The complex derivative of a holomorphic f, in each mode, against its real one."""
        expected = complex_derivative(self.problem, whole, self.name)
        level = Level(self.problem, None, None, self.problem.outputs[::2])
        level.inputs = self.problem.inputs[::2]
        for mode in self.modes:
            self.doing = f"the complex derivative in {WORDS[mode]} mode"

            def blocks(xs, mode=mode):
                return cg.jacobian(listed(self.problem.call), tuple(range(len(xs))), mode=mode, holomorphic=True)(*xs)

            found = matrix(calls.run(blocks, self.problem.natives(self.point, frozen=True), "zk.jacobian"), level)
            what = f"wrong complex derivative, {WORDS[mode]} mode"
            self.agree(level, what + ", its real part", "got", "expected", found.real, expected.real)
            self.agree(level, what + ", its imaginary part", "got", "expected", found.imag, expected.imag)

    # ---- higher orders ----

    def next_order(self, level: Level, order):
        """Check the derivatives of the derivatives of ``level``, in each mode, and so on up to ``order``."""
        rng = np.random.default_rng(2)
        m, n = level.shape
        weights, direction = rng.normal(size=m), rng.normal(size=n)
        for inner in self.modes:
            above = level.above(inner, weights, direction)
            self.doing = f"derivatives in {above.trail} mode"
            measured, tolerance = self.measure(above, above.value_at(self.point))
            found = {}
            for outer in self.modes:
                found[outer] = self.jacobian(above, outer)
                self.compare(above, above.way(outer), found[outer], measured, tolerance, "4-point differences")
                if m * n * n <= MOST_SECOND:
                    self.doing = f"a Jacobian of Jacobians, {above.way(outer)}"
                    full = level.jacobian_twice(self.point, inner, outer)
                    terms, factors = ("k,kji->ji", weights) if inner == "rev" else ("j,kji->ki", direction)
                    what = f"batched sweeps disagree with single ones, {above.way(outer)}"
                    self.agree(above, what, "batched", "single", np.einsum(terms, factors, full), found[outer])
            self.modes_agree(above, found)
            if order > above.order:
                self.next_order(above, order)


def rows(a, places, mode):
    """The rows of a matrix at ``places``, in forward mode its columns."""
    return a[places] if mode == "rev" else a[:, places]
