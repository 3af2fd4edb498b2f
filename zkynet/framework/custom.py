"""What changes how a stretch of code is differentiated: no_grad, custom rules, checkpoint."""

import contextlib
from collections.abc import Callable
from functools import update_wrapper, wraps

from zkynet import backends
from zkynet.backends.errors import MutationError, NotDifferentiableError

from . import operations as op
from . import pytree
from .backprop import pull_back
from .operations.random import DrawLog
from .operator import Operator
from .record import (
    CONTEXT,
    HOST,
    PYTHON_NUMBERS,
    Record,
    Tensor,
    make_record,
    next_serial,
    operand,
    output_record,
    value_of,
)


@contextlib.contextmanager
def no_grad():
    """A ``with`` block, or decorator, in which nothing is recorded: results are constants to transforms outside."""
    token = CONTEXT.set(CONTEXT.get().replace(recording=False))
    try:
        yield
    finally:
        CONTEXT.reset(token)


class _Custom(Operator):
    """One application of a function with a rule of its own, which gives all cotangents at once."""

    joint = True
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

    def vjp(self, g, y, arrays, wanted, traced):
        """The cotangents of all inputs; Tensors in, Tensors or None out."""
        name, rule = self.owner.__name__, self.owner.backward
        if rule is None:
            raise NotDifferentiableError(f"{name} has no rule yet.\nDecorate one with @{name}.defvjp.")
        cotangents = rule(g, y, *arrays)
        cotangents = cotangents if isinstance(cotangents, (tuple, list)) else (cotangents,)
        if len(cotangents) != len(arrays):
            raise NotDifferentiableError(
                f"{name}: its rule returned {len(cotangents)} cotangents.\n"
                f"  expected: {len(arrays)}, one an argument (None for no derivative)"
            )
        return [None if c is None else op.asarray(c) for c in cotangents]


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

    ``g``, ``y`` and the inputs come as Tensors, so a rule written with ``op`` can itself be differentiated. Forward
    mode follows from the rule. Leading axes are looped over. A tracked value read from outside is a
    NotDifferentiableError.
    """
    return CustomVJP(function)


class _Recompute(Operator):
    """A checkpointed run: nothing of it is kept but what it read, and the backward pass runs it again."""

    joint = True
    batched = False
    promotion = None

    def __init__(self, run, boundary, values, outputs):
        self._run, self._boundary, self._values, self.outputs = run, boundary, values, outputs

    def vjp(self, g, y, arrays, wanted, traced):
        again = self._run()
        for new, old in zip(again, self._values, strict=True):
            _check_same(new._value, old)
        gs = g if isinstance(g, tuple) else (g,)
        pairs = [(t.record, c) for t, c in zip(again, gs, strict=True) if t.record is not None and c is not None]
        cotangents = [c if traced else value_of(c) for _, c in pairs]
        asked = [r for r, want in zip(self._boundary, wanted, strict=True) if want]
        found = iter(pull_back([r for r, _ in pairs], cotangents, asked, traced, (), frozenset(self._boundary)))
        cs = [next(found) if want else None for want in wanted]
        return [c if c is None or isinstance(c, Tensor) else Tensor(c) for c in cs]


def _check_same(new, old):
    """MutationError where the second run did not compute what the first did: something it reads has changed."""
    if type(old) in PYTHON_NUMBERS:
        same = new == old or (new != new and old != old)
    else:
        xp = backends.backend_of(old)
        if xp.is_traced(old) or xp.is_traced(new):
            return
        near = xp.abs(new - old) <= (0.0 if xp.is_host else 1e-3) * xp.abs(old)
        same = bool(xp.all((new == old) | near | ((new != new) & (old != old))))
    if not same:
        raise MutationError(
            "checkpoint: running the function again gave another result.\n"
            "  expected: a function of its arguments and of values that do not change\n"
            "Pass what changes as an argument, and draw random numbers from a zkynet Generator."
        )


def checkpoint(function: Callable) -> Callable:
    """``function`` with less memory: what it computes inside is not kept, but computed again in the backward pass.

    Arguments and results are pytrees; tracked values that it reads from outside, Parameters too, get their gradients.
    Random draws are repeated. MutationError where the second run does not compute what the first did.
    """

    @wraps(function)
    def checkpointed(*args):
        context = CONTEXT.get()
        if not context.recording:
            return function(*args)
        args, guards = _borrowed(args)
        log = DrawLog(context.draws)
        start = next_serial()
        results, tree = pytree.flatten(_in_context(context.replace(draws=log), function, args))
        outputs = [r if type(r) is Tensor else Tensor(*operand(r)) for r in results]
        boundary = _boundary([y.record for y in outputs if y.record is not None], start)
        if not boundary:
            return tree.unflatten(results)

        def run():
            again, _ = pytree.flatten(_in_context(context.replace(draws=log.replay()), function, args))
            return [r if type(r) is Tensor else Tensor(*operand(r)) for r in again]

        return tree.unflatten(_forgotten(run, boundary, outputs, guards))

    return checkpointed


def _in_context(context, function, args):
    token = CONTEXT.set(context)
    try:
        return function(*args)
    finally:
        CONTEXT.reset(token)


def _borrowed(args):
    """The arguments with the caller's own arrays copied, or guarded where they are large."""
    guards = []

    def hold(x):
        backend = backends.BACKEND_BY_TYPE.get(type(x))
        if backend is None:
            return x
        x, guard = backend.borrow(x)
        if guard is not None:
            guards.append(guard)
        return x

    return pytree.map_tree(hold, args), tuple(guards) or None


def _boundary(roots, start) -> list[Record]:
    """The Records older than ``start`` that a run read directly."""
    found: dict[Record, None] = {}
    seen = set(roots)
    stack = list(roots)
    while stack:
        record = stack.pop()
        if record.serial < start:
            found[record] = None
            continue
        for p in record.parents:
            if p is not None and p not in seen:
                seen.add(p)
                stack.append(p)
    return list(found)


def _forgotten(run, boundary, outputs, guards):
    """The outputs with one Record in place of all that the run recorded."""
    operator = _Recompute(run, tuple(boundary), [y._value for y in outputs], len(outputs))
    shapes = tuple(y.record.shape if y.record else tuple(getattr(y._value, "shape", ())) for y in outputs)
    dtypes = tuple(getattr(y._value, "dtype", None) for y in outputs)
    xps = [backends.backend_of(y._value) or HOST for y in outputs]
    if len(outputs) == 1:
        record = make_record(operator, tuple(boundary), (), shapes[0], dtypes[0], xps[0], guards)
        return [Tensor(outputs[0]._value, record)]
    main = make_record(operator, tuple(boundary), (), shapes, dtypes, xps[0], guards)
    return [Tensor(y._value, output_record(main, i) if y.record else None) for i, y in enumerate(outputs)]
