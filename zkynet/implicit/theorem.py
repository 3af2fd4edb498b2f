"""The implicit function theorem as an operator: where r(y, a) = 0 defines y(a), dy = -(dr/dy)^-1 (dr/da) da."""

from collections.abc import Callable

from zkynet import backends
from zkynet.backends.errors import JacobianTooLargeError, LinAlgError, MutationError, NotDifferentiableError, ShapeError
from zkynet.framework import op
from zkynet.framework.axes import size_of
from zkynet.framework.backprop import memory_limit, pull_back
from zkynet.framework.custom import _same, in_context, no_grad
from zkynet.framework.operator import Leaf, Operator
from zkynet.framework.record import CONTEXT, Record, Tensor, make_record, next_serial, tensor_of, value_of

_leaf = Leaf()
_NOTHING = (None, None)  # what a leaf saves
_BYTES = 8  # of a number


class Implicit(Operator):
    """y, found by whatever means, as the solution of ``residual(y) == 0``.

    Its inputs are the Records that the residual reads. The VJP solves (dr/dy)^T w = -g at y and pulls w back through
    the residual; run on Tensors it is itself recorded, so that derivatives of every order follow.
    """

    joint = True
    batched = False
    promotion = None

    def __init__(self, residual, linear_solve, boundary, first):
        self._residual, self._linear_solve = residual, linear_solve
        self._boundary, self._first = boundary, first
        self._context = CONTEXT.get()

    def vjp(self, g, y, arrays, wanted, traced):
        at = leaf(y)
        out = in_context(self._context.replace(recording=True), self._residual, [at])
        if not _same(value_of(out), self._first):
            raise MutationError(
                "an implicit function's equation gives other numbers in the backward pass than at the solution.\n"
                "  expected: a function of its argument and of values that do not change\n"
                "Pass what changes as an argument."
            )
        barrier = frozenset((at.record, *self._boundary))

        def pulled(w, asked, lead=()):
            found = pull_back([out.record], [w if traced else value_of(w)], asked, traced, lead, barrier)
            return [c if c is None or isinstance(c, Tensor) else tensor_of(c) for c in found]

        def transposed(w, lead=()):
            (c,) = pulled(w, [at.record], lead)
            if c is None:
                raise NotDifferentiableError("an implicit function's equation does not depend on the solution")
            return c

        w = self._adjoint(transposed, op.negative(g), traced)
        found = iter(pulled(w, [r for r, want in zip(self._boundary, wanted, strict=True) if want]))
        return [next(found) if want else None for want in wanted]

    def _adjoint(self, transposed, b, traced):
        """The w with (dr/dy)^T w = b."""
        if self._linear_solve is None:
            return _dense_solve(transposed, b)
        with no_grad():
            w = self._linear_solve(transposed, op.stop_gradient(b))
        if not traced:
            return w
        return implicit(lambda w: op.subtract(transposed(w), b), w, self._linear_solve)


def _dense_solve(transposed, b):
    """The solution by the whole matrix: its rows come from one sweep with all unit cotangents."""
    value = value_of(b)
    xp = _home(value)
    n = size_of(tuple(value.shape))
    size = n * n * _BYTES
    if size > memory_limit():
        raise JacobianTooLargeError(
            f"an implicit function of {n} unknowns: its {n} x {n} matrix takes {size / 1e9:.1f} GB.\n"
            "Give linear_solve(matvec, b), which solves without it: zk.implicit.conjugate_gradient, say."
        )
    units = xp.reshape(xp.eye(n, dtype=value.dtype), (n, *value.shape))
    rows = op.reshape(transposed(tensor_of(units), (n,)), (n, n))
    try:
        w = op.linalg.solve(op.matrix_transpose(rows), op.reshape(b, (n, 1)))
    except LinAlgError as error:
        raise LinAlgError(
            "an implicit function has no derivative here: the Jacobian of its equation at the solution is singular.\n"
            f"  {error}"
        ) from None
    return op.reshape(w, tuple(value.shape))


def _home(value):
    return backends.backend_of(value)


def leaf(y) -> Tensor:
    """A Tensor of y's value with a Record of its own, behind which stands that of y."""
    value, record = y._value, y.record
    parents = (record,) if record is not None else ()
    return tensor_of(value, Record(_leaf, parents, _NOTHING, tuple(value.shape), value.dtype, _home(value)))


def boundary_of(record, start) -> tuple[Record, ...]:
    """The Records older than the serial number ``start`` that the steps up to ``record`` read."""
    older: dict[Record, None] = {}
    stack = [] if record is None else [record]
    seen = set(stack)
    while stack:
        step = stack.pop()
        if step.serial < start:
            older[step] = None
            continue
        for parent in step.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return tuple(older)


def implicit(residual: Callable, solution, linear_solve: Callable | None = None) -> Tensor:
    """The array ``solution`` as the function of what ``residual`` reads that ``residual(y) == 0`` makes of it.

    ``residual`` takes y and gives an array of its shape; its Jacobian with respect to y must be regular. It is written
    with ``op``, and real: a complex y would need the two parts as unknowns. ``linear_solve(matvec, b)`` solves
    ``matvec(w) == b``, for linear equations too large for a matrix.
    """
    y = op.stop_gradient(solution)
    value = value_of(y)
    xp = _home(value)
    if xp.is_complex(value.dtype):
        raise TypeError("an implicit function must be real; solve for the real and the imaginary part")
    if not CONTEXT.get().recording:
        return y
    start = next_serial()
    out = residual(y)
    if op.asarray(out).shape != tuple(value.shape):
        raise ShapeError(
            "an equation must have as many values as unknowns.\n"
            f"  got:      {op.asarray(out).shape}\n  expected: {tuple(value.shape)}"
        )
    boundary = boundary_of(getattr(out, "record", None), start)
    if not boundary:
        return y
    operator = Implicit(residual, linear_solve, boundary, value_of(out))
    saved = (*(None for _ in boundary), value)
    return tensor_of(value, make_record(operator, boundary, saved, tuple(value.shape), value.dtype, xp))
