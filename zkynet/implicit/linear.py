"""Linear equations given by a function: conjugate gradients."""

from collections.abc import Callable

from zkynet.backends.errors import ConvergenceError
from zkynet.framework import op
from zkynet.framework.custom import no_grad

from .roots import float_of, start, tolerance
from .theorem import implicit


def conjugate_gradient(matvec: Callable, b, *, x0=None, tol=None, max_iterations=None):
    """The x with ``matvec(x) == b`` for a symmetric, positive definite ``matvec``; without derivatives.

    x and b have any one shape. ``tol``: the length of b - matvec(x) in units of b's; by default eps ** 0.75.
    ``max_iterations``: ten times the number of unknowns by default. ConvergenceError where they do not suffice, or
    where matvec shows not to be positive definite.
    """
    b = start(b, "conjugate_gradient")
    x = op.zeros_like(b) if x0 is None else start(x0, "conjugate_gradient")
    limit = tolerance(tol, b) ** 2 * _dot(b, b)
    most = 10 * b.size + 10 if max_iterations is None else max_iterations
    r = op.subtract(b, matvec(x)) if x0 is not None else b
    p, size = r, _dot(r, r)
    for _ in range(most):
        if size <= limit:
            return x
        image = matvec(p)
        curvature = _dot(p, image)
        if not curvature > 0:
            raise ConvergenceError(
                f"conjugate_gradient: the operator is not positive definite.\n  got:      <p, A p> = {curvature:.3g}\n"
                "Give a symmetric, positive definite one: A^T A x = A^T b, say."
            )
        step = size / curvature
        x, r = op.add(x, op.multiply(step, p)), op.subtract(r, op.multiply(step, image))
        before, size = size, _dot(r, r)
        p = op.add(r, op.multiply(size / before, p))
    if size <= limit:
        return x
    raise ConvergenceError(
        f"conjugate_gradient: not converged after {most} iterations.\n"
        f"  got:      |b - A x|^2 = {size:.3g}\n  expected: at most {limit:.3g}\n"
        "Is the operator symmetric? Allow more iterations, or raise tol."
    )


def _dot(a, b) -> float:
    return float_of(op.sum(op.multiply(a, b)))


def linear_operator_solve(matvec: Callable, b, *, solver: Callable = conjugate_gradient):
    """The x with ``matvec(x) == b`` as a function of b and of all that ``matvec``, linear in x, reads.

    ``solver(matvec, b)`` finds x, and solves with the transpose of matvec in derivatives; conjugate gradients, the
    default, need a symmetric, positive definite matvec. No matrix is made, at no order.
    """
    with no_grad():
        x = solver(matvec, op.stop_gradient(b))
    return implicit(lambda x: op.subtract(matvec(x), b), x, solver)
