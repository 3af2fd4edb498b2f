"""Roots, fixed points and minima as functions of what their equations read."""

from collections.abc import Callable

from zkynet import backends
from zkynet.backends.errors import ConvergenceError, LinAlgError, NotDifferentiableError
from zkynet.framework import op
from zkynet.framework.axes import size_of
from zkynet.framework.backprop import pull_back, seed
from zkynet.framework.custom import in_context, no_grad
from zkynet.framework.jacobians import jacobian
from zkynet.framework.record import CONTEXT, PYTHON_NUMBERS, Tensor, kind_of, tensor_of, value_of

from .theorem import implicit, leaf

_HALVINGS = 40
_MANY = 256  # unknowns: a matrix of their squares is still made at once
_FLATTEST = 1e-8  # the least curvature that a step down counts with, in units of the largest


def root(f: Callable, x0, *args, solver: Callable | None = None, tol=None, max_iterations=100, linear_solve=None):
    """The x with ``f(x, *args) == 0``, near ``x0``, as a function of ``args`` and of all else that f reads.

    f gives an array of x's shape (any, () too). ``solver(f, x0)`` may find x; by default it is Newton's method with
    halved steps. Derivatives of every order come from the implicit function theorem, so none flows to ``x0``.
    ``tol``: the largest entry of f at x, relative to that at x0 where that is above 1; by default eps ** 0.75.
    ``linear_solve(matvec, b)`` takes the place of the matrix df/dx in derivatives. Raises ConvergenceError, an
    ArithmeticError; LinAlgError in the backward pass where df/dx is singular.
    """
    x = start(x0, "root")
    with no_grad():
        fixed = held(f, args)
        limit = tolerance(tol, x) * _scale(fixed(x))
        if solver is None:
            x = _newton(fixed, x, limit, max_iterations)
        else:
            x = start(solver(fixed, x), "root: the solver's result")
            _check_small("root", largest(fixed(x)), limit, "the solver returned x")
    return implicit(lambda x: f(x, *args), x, linear_solve)


def _newton(f, x, limit, max_iterations):
    n = size_of(x.shape)
    for _ in range(max_iterations):
        r = f(x)
        size = largest(r)
        if size <= limit:
            return x
        try:
            slope = op.reshape(value_of(jacobian(f)(x)), (n, n))
            step = op.reshape(op.linalg.solve(slope, op.reshape(r, (n, 1))), x.shape)
        except LinAlgError as error:
            raise ConvergenceError(
                f"root: Newton's method met a singular Jacobian ({error}); start elsewhere"
            ) from None
        if largest(step) <= 4 * float(op.finfo(x.dtype).eps) * largest(x):
            return x  # nearer than numbers of this precision can tell, however large f is beside it
        x = _shortened(f, x, step, size)
    _check_small("root", largest(f(x)), limit, f"{max_iterations} iterations")
    return x


def _shortened(f, x, step, size):
    """x less the step, halved until f is smaller than ``size``."""
    part = 1.0
    for _ in range(_HALVINGS):
        new = op.subtract(x, op.multiply(part, step))
        if largest(f(new)) < size:
            return new
        part /= 2
    raise ConvergenceError(
        f"root: no step along Newton's direction makes f smaller than {size:.3g}.\n"
        "  expected: f smooth near a root\nStart elsewhere, or raise tol."
    )


def fixed_point(f: Callable, x0, *args, tol=None, max_iterations=1000, linear_solve=None):
    """The x with ``x == f(x, *args)`` that iterating f from ``x0`` leads to; derivatives as for ``root``.

    ``tol``: the largest change of an entry, relative to the largest entry where that is above 1; by default eps **
    0.75. ConvergenceError where ``max_iterations`` do not suffice. For many unknowns derivatives are found by iterating
    too, so that no matrix is made.
    """
    x = start(x0, "fixed_point")
    with no_grad():
        fixed = held(f, args)
        limit = tolerance(tol, x)
        for _ in range(max_iterations):
            new = start(fixed(x), "fixed_point: f")
            change = largest(op.subtract(new, x)) / max(1.0, largest(new))
            x = new
            if change <= limit:
                break
        else:
            _check_small("fixed_point", change, limit, f"{max_iterations} iterations")
    if linear_solve is None and size_of(x.shape) > _MANY:
        linear_solve = _iterated(limit, max_iterations)
    return implicit(lambda x: op.subtract(f(x, *args), x), x, linear_solve)


def _iterated(limit, max_iterations) -> Callable:
    """A solver for matvec(w) = c(w) - w, where c is a contraction as f is at its fixed point."""

    def solve(matvec, b):
        w = op.negative(b)
        for _ in range(max_iterations):
            change = op.subtract(matvec(w), b)
            if largest(change) <= limit * largest(w):
                return w
            w = op.add(w, change)
        return _check_small("the gradient of fixed_point", largest(change), limit, f"{max_iterations} iterations")

    return solve


def minimize(f: Callable, x0, *args, solver: Callable | None = None, tol=None, max_iterations=100, linear_solve=None):
    """A minimum x of the scalar ``f(x, *args)`` near ``x0``; derivatives come from grad f == 0, as for ``root``.

    ``solver(f, x0)`` may find x; by default it is Newton's method with the magnitudes of the curvatures.
    ``tol``: the largest entry of the gradient, relative to that at x0 where that is above 1.
    """
    x = start(x0, "minimize")
    slope = gradient_of(f, args)
    with no_grad():
        fixed = held(f, args)
        limit = tolerance(tol, x) * _scale(slope(x))
        if solver is None:
            x = _descend(fixed, gradient_of(fixed, ()), x, limit, max_iterations)
        else:
            x = start(solver(fixed, x), "minimize: the solver's result")
        _check_small("minimize", largest(slope(x)), limit, f"{max_iterations} iterations, or the solver's x")
    return implicit(slope, x, linear_solve)


def _descend(f, slope, x, limit, max_iterations):
    n = size_of(x.shape)
    for _ in range(max_iterations):
        g = slope(x)
        if largest(g) <= limit:
            break
        h = value_of(jacobian(slope)(x))
        xp = backends.backend_of(h)
        h = xp.reshape(h, (n, n))
        step = op.reshape(_downhill(xp, h, op.reshape(g, (n, 1))), x.shape)
        x = _lowered(f, x, step, float_of(op.sum(op.multiply(g, step))))
    return x


def _downhill(xp, h, g):
    """h^-1 g with the eigenvalues of h made positive, so that it leads down from a saddle too."""
    try:
        w, v = xp.linalg.eigh(h)
    except LinAlgError as error:
        raise ConvergenceError(f"minimize: the Hessian is not finite: {error}\nStart elsewhere.") from None
    size = xp.abs(w)
    least = max(_FLATTEST * float(xp.max(size)), float(xp.finfo(h.dtype).eps))
    size = xp.where(size < least, least * xp.ones_like(size), size)
    return xp.matmul(v, xp.matmul(xp.matrix_transpose(v), value_of(g)) / size[:, None])


def _lowered(f, x, step, decrease):
    """x less the step, halved until f has fallen by some of what its slope promises."""
    here, part = float_of(f(x)), 1.0
    slack = 8 * float(op.finfo(x.dtype).eps) * abs(here)  # near a minimum f changes less than rounding does
    for _ in range(_HALVINGS):
        new = op.subtract(x, op.multiply(part, step))
        if float_of(f(new)) <= here - 1e-4 * part * decrease + slack:
            return new
        part /= 2
    return x


def gradient_of(f, args) -> Callable:
    """The gradient of the scalar f as a function, which is itself recorded where recording is on."""

    def slope(x):
        at = leaf(op.asarray(x))
        loss = op.asarray(in_context(CONTEXT.get().replace(recording=True), f, (at, *args)))
        if loss.record is None or loss.shape != ():
            raise NotDifferentiableError(
                f"minimize: f must give a scalar that depends on x.\n  got:      {loss!r}\nReduce it, with op.sum say."
            )
        one = tensor_of(seed(loss.record))
        (c,) = pull_back([loss.record], [one], [at.record], True, (), frozenset((at.record,)))
        if c is None:
            raise NotDifferentiableError("minimize: f does not depend on x")
        return c

    return slope


# ---- what the solvers share ----


def start(x, what) -> Tensor:
    """A first guess as a constant floating-point Tensor."""
    x = op.stop_gradient(op.asarray(x))
    if kind_of(x) in ("bool", "integer"):
        x = op.astype(x, "float64")
    if kind_of(x) == "complex":
        raise TypeError(f"{what}: x must be real; solve for the real and the imaginary part")
    return op.asarray(value_of(x))


def held(f, args) -> Callable:
    """``f(x, *args)`` as a function of x alone."""
    return lambda x: f(x, *args)


def tolerance(tol, x) -> float:
    """``tol``, or what x's precision allows without effort."""
    return float(op.finfo(x.dtype).eps) ** 0.75 if tol is None else float(tol)


def _scale(first) -> float:
    """What ``tol`` is relative to: the largest entry at the start where that is above 1. Infinity measures nothing."""
    size = largest(first)
    return max(1.0, size) if size < float("inf") else 1.0


def largest(x) -> float:
    """The largest magnitude; infinity where an entry is NaN, 0 of nothing."""
    x = tensor_of(value_of(x))
    if 0 in x.shape:
        return 0.0
    size = float_of(op.max(op.abs(x)))
    return size if size == size else float("inf")


def float_of(x) -> float:
    """A real scalar as a Python number; TypeError inside a compiled function, where it has no value."""
    value = value_of(x)
    if type(value) in PYTHON_NUMBERS:
        return float(value)
    xp = backends.backend_of(value)
    if xp.is_traced(value):
        raise TypeError(
            "a solver looks at values to know when to stop; inside a compiled function there are none.\n"
            "Call it outside, or compile the function that it works on."
        )
    return float(xp.item(value))


def _check_small(who, size, limit, what):
    if not size <= limit:
        raise ConvergenceError(
            f"{who}: not converged.\n  got:      {size:.3g} after {what}\n  expected: at most {limit:.3g}\n"
            "Start nearer to the solution, allow more iterations, or raise tol."
        )
