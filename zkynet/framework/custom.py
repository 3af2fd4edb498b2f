"""What changes how a stretch of code is differentiated: no_grad, custom rules, checkpoint."""

import contextlib
from collections.abc import Callable
from functools import update_wrapper, wraps
from typing import Any

from zkynet.backends.errors import NotDifferentiableError

from . import operations as op
from . import pytree
from .backprop import pull_back
from .function import Possession
from .operations.random import DrawLog
from .operator import Operator
from .record import CONTEXT, PYTHON_NUMBERS, Record, Tensor, operand


@contextlib.contextmanager
def no_grad():
    """A ``with`` block, or decorator, in which nothing is recorded: results are constants to every transform outside."""
    token = CONTEXT.set(CONTEXT.get().replace(recording=False))
    try:
        yield
    finally:
        CONTEXT.reset(token)


class _Custom(Operator):
    """One application of a function with rules of its own."""

    batched = False
    promotion = None

    def __init__(self, owner):
        self.owner = owner

    def forward(self, xp, *arrays):
        token = CONTEXT.set(CONTEXT.get().replace(recording=True))
        try:
            result = self.owner.function(*[Tensor(a) for a in arrays])
        finally:
            CONTEXT.reset(token)
        value, record = operand(result)
        if record is not None:
            raise NotDifferentiableError(
                f"{self.owner.__name__}: a function with its own rule reads a tracked value that is no argument.\n"
                "Its gradient would be lost: pass the value as an argument."
            )
        return value if type(value) not in PYTHON_NUMBERS else xp.asarray(value)

    def vjp_arrays(self, xp, g, i, arrays, y):
        rule = self.owner.backward
        if rule is None:
            raise NotDifferentiableError(
                f"{self.owner.__name__} has no rule yet.\nDecorate one with @{self.owner.__name__}.defvjp."
            )
        traced = xp is op
        wrapped = [v if traced else Tensor(v) for v in (g, y, *arrays)]
        cotangents = rule(*wrapped)
        cotangents = cotangents if isinstance(cotangents, tuple) else (cotangents,)
        if len(cotangents) != len(arrays):
            raise NotDifferentiableError(
                f"{self.owner.__name__}: its rule returned {len(cotangents)} cotangents.\n"
                f"  expected: {len(arrays)}, one an argument (None for no derivative)"
            )
        c = cotangents[i]
        if c is None:
            return xp.zeros_like(arrays[i])
        c = c if isinstance(c, Tensor) else Tensor(operand(c)[0])
        if traced:
            return c
        return xp.asarray(c._value)


class CustomVJP:
    """A function with a vector-Jacobian product of its own; see custom_vjp."""

    def __init__(self, function: Callable):
        self.function = function
        self.backward: Callable | None = None
        update_wrapper(self, function)
        self.__name__ = getattr(function, "__name__", "function")

    def defvjp(self, backward: Callable) -> Callable:
        """Set the rule: ``backward(g, y, *inputs)`` gives a tuple of cotangents, one an input, None for none."""
        self.backward = backward
        return backward

    def __call__(self, *inputs) -> Tensor:
        return _Custom(self)(*inputs)


def custom_vjp(function: Callable) -> CustomVJP:
    """Give a function of arrays, written with ``op``, a rule of its own::

        @zk.custom_vjp
        def safe_norm(x):
            return op.sqrt(op.sum(x * x))

        @safe_norm.defvjp
        def _(g, y, x):
            return (g * x / op.maximum(y, 1e-12),)

    ``g``, ``y`` and the inputs come as Tensors, so a rule written with ``op`` can itself be differentiated. Forward mode
    follows from the rule. Leading axes are looped over. A tracked value read from outside is a NotDifferentiableError.
    """
    return CustomVJP(function)


class _Recompute(Operator):
    """A checkpointed run: only its inputs are kept, and the backward pass runs it again."""

    batched = False
    promotion = None

    def __init__(self, run, outputs):
        self._run, self.outputs = run, outputs

    def vjp_arrays(self, xp, g, i, arrays):
        traced = xp is op
        tensors = arrays if traced else [Tensor(v) for v in arrays]
        leaves = [Tensor(t._value, _copied(t.record, t._value)) for t in tensors]
        outputs = self._run(leaves)
        cotangents = g if isinstance(g, tuple) else (g,)
        pairs = [(y.record, c) for y, c in zip(outputs, cotangents, strict=True) if y.record is not None]
        found = None
        if pairs:
            roots, gs = [r for r, _ in pairs], [c for _, c in pairs]
            found = pull_back(roots, gs, [leaves[i].record], traced)[0]
        return xp.zeros_like(arrays[i]) if found is None else found


def _copied(outer: Record | None, value) -> Record:
    """A fresh leaf for a value that may have a history of its own."""
    from .transforms import lifted

    return lifted(Tensor(value, outer), lambda: "a checkpoint's input").record


def checkpoint(function: Callable) -> Callable:
    """``function`` with less memory: what it computes inside is not kept, but computed again in the backward pass.

    Arguments and results are pytrees; tracked values that it reads from outside, Parameters too, get their gradients.
    Random draws are repeated. Values must depend on the arguments alone otherwise.
    """

    @wraps(function)
    def checkpointed(*args):
        context = CONTEXT.get()
        if not context.recording:
            return function(*args)
        leaves, tree = pytree.flatten(args)
        log = DrawLog(context.draws)
        result, captured = _first_run(function, args, context.replace(draws=log))
        results, result_tree = pytree.flatten(result)
        outputs = [r if isinstance(r, Tensor) else Tensor(*operand(r)) for r in results]
        moving = [i for i, x in enumerate(leaves) if _is_tracked(x)]
        inputs = [leaves[i] for i in moving] + captured
        if not inputs or all(y.record is None for y in outputs):
            return result

        def run(tensors):
            again = list(leaves)
            for i, t in zip(moving, tensors, strict=False):
                again[i] = t
            replaced = {c.record: t for c, t in zip(captured, tensors[len(moving) :], strict=True)}
            return _second_run(function, tree.unflatten(again), context, log, replaced)

        operator = _Recompute(run, len(outputs))
        made = _record_recompute(operator, inputs, outputs)
        return result_tree.unflatten(made)

    return checkpointed


def _is_tracked(x: Any) -> bool:
    try:
        return not isinstance(x, Possession) and operand(x)[1] is not None
    except TypeError:
        return False
