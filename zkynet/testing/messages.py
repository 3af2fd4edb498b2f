"""What check_grads says: one fact a line, and what to look at next."""

import numpy as np

from zkynet.backends.errors import GradientCheckError

from .problem import entry_of


def place(values) -> tuple[int, int]:
    """The row and the column of the largest entry."""
    k, j = np.unravel_index(np.argmax(values), values.shape)
    return int(k), int(j)


def number(x) -> str:
    return f"{x:.10g}"


def wrong_derivative(name, level, how, got, expected, limit, method) -> GradientCheckError:
    """The error for a Jacobian ``got`` that differs from ``expected`` by more than ``limit`` somewhere."""
    difference = np.abs(got - expected)
    wrong = ~(difference <= limit)
    excess = np.where(wrong, np.where(np.isnan(difference), np.inf, difference / limit), -1)
    k, j = place(excess)
    relative = difference[k, j] / max(np.abs(expected[k, j]), np.finfo(float).tiny)
    return GradientCheckError(
        f"{name}: wrong derivative, order {level.order}, {how}.\n"
        f"  of:       {entry_of(level.outputs, k)}\n"
        f"  in:       {entry_of(level.inputs, j)}\n"
        f"  got:      {number(got[k, j])}\n"
        f"  expected: {number(expected[k, j])} (by {method})\n"
        f"  relative error: {relative:.2g}; {np.count_nonzero(wrong)} of {wrong.size} entries are wrong\n"
        f"{advice(got[wrong], expected[wrong], level.order, 'jvp' if how.startswith('forward') else 'vjp')}"
    )


def advice(got, expected, order, kind) -> str:
    """A guess at the cause, from the wrong entries."""
    if not np.all(np.isfinite(got)):
        return f"Some are not finite: look in {kind} rules for a product where xp.select or xp.multiply_no_nan belongs."
    if order > 1:
        return f"Order {order - 1} is right: look for a rule that reads what it does not name (.value, an attribute)."
    ratios = got / expected
    if np.all(got == 0):
        return "All of them are 0: look for a value that leaves the graph (.value), or a rule that is missing its part."
    if np.all(np.isfinite(ratios)) and np.allclose(ratios, ratios[0], rtol=1e-6, atol=1e-9):
        return f"All of them are the expected ones times {number(ratios[0])}: look for that factor in {kind} rules."
    return f"Look at the {kind} rules of the operators between this input and output."


def unlike(name, what, one, other, a, b, where) -> GradientCheckError:
    """The error for two results of the engine that should be the same."""
    width = max(len(one), len(other), 2) + 1
    lines = [("at", where), (one, number(a)), (other, number(b))]
    return GradientCheckError(f"{name}: {what}.\n" + "\n".join(f"  {(k + ':').ljust(width)} {v}" for k, v in lines))


def not_differentiable(name, level, refusals) -> GradientCheckError:
    """The error for a point where differences show no derivative."""
    first = refusals[0]
    more = f"\n  and {len(refusals) - 1} more of its entries" if len(refusals) > 1 else ""
    ways = f", or pass order={level.order - 1}" if level.order > 1 else ""
    return GradientCheckError(
        f"{name} looks non-differentiable at this point, order {level.order}: {first.reason}.\n"
        f"  of:       {entry_of(level.outputs, first.output)}\n"
        f"  in:       {entry_of(level.inputs, first.input)}\n"
        f"  slope from the left:  {number(first.left)}\n"
        f"  slope from the right: {number(first.right)}{more}\n"
        f"This is no verdict on a rule. Choose another point{ways}; test what a rule gives at a kink by its value."
    )


def unsettled(name, level, measured, allowed) -> GradientCheckError:
    """The error for differences that do not reach the tolerance."""
    k, j = place(measured.error / allowed)
    return GradientCheckError(
        f"{name}: differences do not settle, order {level.order}; nothing is known about the derivative.\n"
        f"  of:       {entry_of(level.outputs, k)}\n"
        f"  in:       {entry_of(level.inputs, j)}\n"
        f"  they give {number(measured.jacobian[k, j])}, with an error of about {measured.error[k, j]:.2g}\n"
        f"  allowed:  {allowed[k, j]:.2g}\n"
        "The function is noisy (it computes in float32, or cancels), or has a kink or a pole close by. "
        "Choose another point, or pass larger rtol and atol."
    )
