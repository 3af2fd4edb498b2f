"""What check_grads says: one fact a line, and what to look at next."""

import numpy as np

from zkynet.backends.errors import GradientCheckError

from .problem import entry_of


def number(x) -> str:
    return f"{x:.10g}"


def wrong_derivative(name, level, how, got, expected, tolerance, method) -> GradientCheckError:
    """The error for Jacobians ``got`` and ``expected`` that differ."""
    difference = np.abs(got - expected)
    finite = np.isfinite(expected)
    wrong = finite & ~(difference <= tolerance)
    with np.errstate(all="ignore"):
        excess = np.where(wrong, np.where(np.isnan(difference), np.inf, difference / tolerance), -1)
        k, j = np.unravel_index(np.argmax(excess), excess.shape)
        relative = np.abs(got[k, j] - expected[k, j]) / max(np.abs(expected[k, j]), np.finfo(float).tiny)
    return GradientCheckError(
        f"{name}: wrong derivative, order {level.order}, {how}.\n"
        f"  of:       {entry_of(level.outputs, k)}\n"
        f"  in:       {entry_of(level.inputs, j)}\n"
        f"  got:      {number(got[k, j])}\n"
        f"  expected: {number(expected[k, j])} ({method})\n"
        f"  relative error: {relative:.2g}; {np.count_nonzero(wrong)} of {wrong.size} entries are wrong\n"
        f"{advice(got[wrong], expected[wrong], level.order, how)}"
    )


def advice(got, expected, order, how) -> str:
    """A guess at the cause, from the wrong entries."""
    rule = "jvp rule" if "forward" in how.partition("over")[0] else "vjp rule"
    if not np.all(np.isfinite(got)):
        return f"Some are not finite: look for a product in a {rule} where xp.select or xp.multiply_no_nan belongs."
    with np.errstate(all="ignore"):
        ratios = got / expected
    if np.all(np.isfinite(ratios)) and np.allclose(ratios, ratios[0], rtol=1e-6, atol=1e-9):
        if np.all(got == 0):
            return f"All of them are 0: a {rule} drops its cotangent or tangent, or the value left the graph (.value)."
        return f"All of them are {number(ratios[0])} times too large: look for that sign or factor in a {rule}."
    if order > 1:
        return f"Order {order - 1} is right: look for a {rule} that reads something which is not its argument or saved."
    return f"Look at the {rule} of the operators that this output is made of."


def unlike(name, what, first, second, a, b, where) -> GradientCheckError:
    """The error for two results of the engine that should be the same."""
    return GradientCheckError(
        f"{name}: {what}.\n  at:       {where}\n  {first}: {number(a)}\n  {second}: {number(b)}\n"
    )


def not_differentiable(name, level, refusals) -> GradientCheckError:
    """The error for a point where differences show no derivative."""
    first = refusals[0]
    more = f"\n  and {len(refusals) - 1} more entries" if len(refusals) > 1 else ""
    ways = ", or pass order=1" if level.order > 1 else ""
    return GradientCheckError(
        f"{name} looks non-differentiable at this point (order {level.order}): {first.reason}.\n"
        f"  of:       {entry_of(level.outputs, first.output)}\n"
        f"  in:       {entry_of(level.inputs, first.input)}\n"
        f"  slope from the left:  {number(first.left)}\n"
        f"  slope from the right: {number(first.right)}{more}\n"
        f"Nothing is said about the rule. Choose another point{ways}; what a rule gives at a kink needs a test of its own."
    )


def unsettled(name, level, measured, allowed) -> GradientCheckError:
    """The error for differences that do not reach the tolerance."""
    with np.errstate(all="ignore"):
        k, j = np.unravel_index(np.argmax(measured.error / allowed), allowed.shape)
    return GradientCheckError(
        f"{name}: the numerical derivative does not settle, order {level.order}.\n"
        f"  of:       {entry_of(level.outputs, k)}\n"
        f"  in:       {entry_of(level.inputs, j)}\n"
        f"  differences give {number(measured.jacobian[k, j])}, with an error of about {measured.error[k, j]:.2g}\n"
        f"  allowed:  {allowed[k, j]:.2g}\n"
        "The function is noisy (it computes in float32, or cancels), or singular near this point. "
        "Choose another point, or pass larger rtol and atol."
    )
