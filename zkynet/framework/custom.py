"""What changes how a stretch of code is differentiated: no_grad, custom rules, checkpoint."""

import contextlib
from collections.abc import Callable
from functools import update_wrapper, wraps
from types import MappingProxyType

from zkynet import backends
from zkynet.backends.errors import MutationError, NotDifferentiableError, VJPShapeError

from . import op, pytree
from .backprop import SOURCE, pull_back
from .function import REPLAYING, Function
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
    tensor_of,
    value_of,
)


@contextlib.contextmanager
def no_grad():
    """A ``with`` block, or decorator, in which nothing is recorded: results are constants to transforms outside."""
    outer = CONTEXT.get()
    try:
        CONTEXT.set(outer.replace(recording=False))
        yield
    finally:
        CONTEXT.set(outer)


class _Custom(Operator):
    """One application of a function with a rule of its own, which gives all cotangents at once."""

    @property
    def functional_name(self) -> str:
        return self.owner.__name__

    joint = True
    batched = False
    promotion = None

    def __init__(self, owner):
        self.owner = owner

    def forward(self, xp, *arrays):
        name = self.owner.__name__
        # Depth 0: transforms inside, of Newton's method say, are its own affair.
        context = CONTEXT.get()
        context = context.replace(depth=0, recording=True, session=context.session or False)
        result = in_context(context, self.owner.function, [tensor_of(a) for a in arrays])
        if isinstance(result, (tuple, list, dict)):
            raise TypeError(f"{name}: a function with its own rule returns one array, got a {type(result).__name__}")
        value, record = operand(result)
        if record is not None:
            raise NotDifferentiableError(
                f"{name}: a function with its own rule reads a tracked value that is no argument.\n"
                "Its gradient would be lost: pass the value as an argument."
            )
        if type(value) in PYTHON_NUMBERS:
            return xp.asarray(value)
        # An argument or a view of one, or an array that the function keeps: others could write to it.
        aliased = not isinstance(result, Tensor) or getattr(value, "base", None) is not None
        return xp.own(value) if aliased or any([value is a for a in arrays]) else value

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
        return [
            None if c is None else self._checked(i, op.asarray(c), a)
            for i, (c, a) in enumerate(zip(cotangents, arrays, strict=True))
        ]

    def _checked(self, i, c, x):
        if c.shape != x.shape:
            raise VJPShapeError(
                f"the rule of {self.owner.__name__} returned a cotangent of the wrong shape.\n"
                f"  got:      {c.shape}\n"
                f"  expected: {x.shape}, the shape of argument {i}\n"
                "Where the function broadcasts its arguments, the rule sums the cotangent down."
            )
        return c


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

    def __repr__(self) -> str:
        return f"<custom_vjp {self.__name__}{'' if self.backward else ', without a rule'}>"


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


class _CustomForward(_Custom):
    """One application of a function with a forward rule: cotangents go through the transpose of that rule."""

    def vjp(self, g, y, arrays, wanted, traced):
        name, rule = self.owner.__name__, self.owner.forward
        if rule is None:
            raise NotDifferentiableError(f"{name} has no rule yet.\nDecorate one with @{name}.defjvp.")
        zeros = [op.zeros_like(a) for a in arrays]
        leaves = [Record(SOURCE, (), (), t.shape, t.dtype, backends.backend_of(value_of(t))) for t in zeros]
        moved = rule([tensor_of(value_of(t), leaf) for t, leaf in zip(zeros, leaves, strict=True)], y, *arrays)
        moved = op.asarray(moved)
        if moved.shape != y.shape:
            raise VJPShapeError(
                f"the rule of {name} returned a tangent of the wrong shape.\n"
                f"  got:      {moved.shape}\n  expected: {y.shape}, the shape of its output"
            )
        if moved.record is None:
            return [None] * len(arrays)
        g = op.astype(g, moved.dtype) if g.dtype != moved.dtype else g
        found = pull_back([moved.record], [g if traced else value_of(g)], leaves, traced, ())
        return [c if c is None or isinstance(c, Tensor) else tensor_of(c) for c in found]


class CustomJVP:
    """A function with a Jacobian-vector product of its own; see custom_jvp."""

    def __init__(self, function: Callable):
        self.function = function
        self.forward: Callable | None = None
        update_wrapper(self, function)
        self.__name__ = getattr(function, "__name__", "function")

    def defjvp(self, forward: Callable) -> Callable:
        """Set the rule: ``forward(tangents, y, *inputs)`` gives the tangent of y, linear in ``tangents``, a list."""
        self.forward = forward
        return forward

    def __call__(self, *inputs) -> Tensor:
        return _CustomForward(self)(*inputs)

    def __repr__(self) -> str:
        return f"<custom_jvp {self.__name__}{'' if self.forward else ', without a rule'}>"


def custom_jvp(function: Callable) -> CustomJVP:
    """Give a function of arrays, written with ``op``, a forward rule of its own::

        @zk.custom_jvp
        def log1pexp(x):
            return op.log(1 + op.exp(x))

        @log1pexp.defjvp
        def _(tangents, y, x):
            return tangents[0] * op.sigmoid(x)

    ``tangents`` has one Tensor an input, of its shape; the result has the shape of y and is linear in them: reverse
    mode goes through its transpose. Otherwise as custom_vjp: rules can be differentiated, leading axes are looped
    over, and a tracked value read from outside is a NotDifferentiableError.
    """
    return CustomJVP(function)


class _Recompute(Operator):
    """A checkpointed run: nothing of it is kept but what it read, and the backward pass runs it again."""

    functional_name = "checkpoint"  # type: ignore[assignment]

    joint = True
    batched = False
    promotion = None

    def __init__(self, run, first):
        self._run, self._first, self.outputs = run, first, len(first.outputs)

    def vjp(self, g, y, arrays, wanted, traced):
        again, boundary = self._run(), self._first.boundary
        self._first.check(again)
        gs = g if isinstance(g, tuple) else (g,)
        pairs = [
            (t.record, c) for t, c in zip(again.outputs, gs, strict=True) if t.record is not None and c is not None
        ]
        cotangents = [c if traced else value_of(c) for _, c in pairs]
        asked = [r for r, want in zip(boundary, wanted, strict=True) if want]
        found = iter(pull_back([r for r, _ in pairs], cotangents, asked, traced, (), frozenset(boundary)))
        cs = [next(found) if want else None for want in wanted]
        return [c if c is None or isinstance(c, Tensor) else tensor_of(c) for c in cs]


class _Run:
    """One run of a checkpointed function: what it returned, what it read, and the traces of how it got there."""

    def __init__(self, result, start):
        leaves, self.tree = pytree.flatten(result)
        self.outputs = [r if type(r) is Tensor else tensor_of(*operand(r)) for r in leaves]
        self.boundary, self.signature = _explored([y.record for y in self.outputs if y.record is not None], start)

    def forget(self):
        """Let go of the history, and keep the values that the second run is compared with."""
        self.outputs = [tensor_of(y._value) for y in self.outputs]

    def check(self, again):
        """MutationError where the second run is not what this one was: something that the function reads changed."""
        same = (
            len(again.outputs) == len(self.outputs)
            and set(again.boundary) <= set(self.boundary)
            and len(again.signature) == len(self.signature)
            and all(_same(n._value, o._value) for n, o in zip(again.outputs, self.outputs, strict=True))
            and all(_alike(n, o) for n, o in zip(again.signature, self.signature, strict=True))
        )
        if not same:
            raise MutationError(
                "checkpoint: running the function again gave another result, or the same in another way.\n"
                "  expected: a function of its arguments and of values that do not change\n"
                "Pass what changes as an argument, and draw random numbers from a zkynet Generator."
            )


def _same(new, old) -> bool:
    """Whether two outputs are equal: exactly on the host, to rounding on devices."""
    if type(old) in PYTHON_NUMBERS:
        return type(new) is type(old) and (new == old or (new != new and old != old))
    xp = backends.backend_of(old)
    if backends.backend_of(new) is not xp or new.shape != old.shape or new.dtype != old.dtype:
        return False
    if xp.is_traced(old) or xp.is_traced(new):
        return True
    equal = new == old
    if xp.is_inexact(old.dtype):
        equal = equal | ((new != new) & (old != old))
        if not xp.is_host:
            equal = equal | (xp.abs(new - old) <= 1e-3 * xp.abs(old))
    return bool(xp.all(equal))


def _explored(roots, start) -> tuple[tuple[Record, ...], list]:
    """The Records older than ``start`` that a run read, and a signature of every step of its own.

    The values alone do not tell whether a run was repeated: at x = 0 the product x * c hides that c was changed.
    """
    older: dict[Record, None] = {}
    own = []
    seen = set(roots)
    stack = list(roots)
    while stack:
        record = stack.pop()
        if record.serial < start:
            older[record] = None
            continue
        own.append(record)
        for p in record.parents:
            if p is not None and p not in seen:
                seen.add(p)
                stack.append(p)
    own.sort(key=lambda record: record.serial)
    signature: list = []
    for record in own:
        signature.append((type(record.operator), record.shape, record.dtype))
        for k, value in enumerate(record.saved):
            constant = k < len(record.parents) and record.parents[k] is None
            signature += [_trace_of(v, constant) for v in (value if isinstance(value, tuple) else (value,))]
    return tuple(older), signature


def _trace_of(value, constant):
    """What tells whether a rule reads the same again: some bytes of a host array, a device's constant itself."""
    if type(value) is float:  # what a watched run saves as an array, see quick.py
        value = HOST.float64(value)
    backend = backends.BACKEND_BY_TYPE.get(type(value)) or backends.backend_of(value)
    if backend is None or not backend.is_host:
        return value if constant and backend is not None else None
    many = int(1024 ** (1 / max(value.ndim, 1)))
    return hash(value[tuple([slice(None, None, max(1, n // many)) for n in value.shape])].tobytes())


def _alike(new, old) -> bool:
    if new is old or type(old) in (tuple, int):
        return new == old
    return new is not None and old is not None and _same(new, old)


def checkpoint(function: Callable) -> Callable:
    """``function`` with less memory: what it computes inside is not kept, but computed again in the backward pass.

    Arguments and results are pytrees; tracked values that it reads from outside, Parameters too, get their gradients.
    Random draws are repeated, a State is not assigned a second time. MutationError where the second run does not
    compute what the first did.
    """

    @wraps(function)
    def checkpointed(*args, **kwargs):
        context = CONTEXT.get()
        if not context.recording:
            return function(*args, **kwargs)
        (args, kwargs), guards = _borrowed((args, kwargs))
        log = DrawLog(context.draws)
        start = next_serial()
        first = _Run(in_context(context.replace(draws=log), function, args, kwargs), start)
        if not first.boundary:
            return first.tree.unflatten(first.outputs)

        def run():
            outer = REPLAYING.get()
            try:
                REPLAYING.set(True)
                start = next_serial()
                return _Run(in_context(context.replace(draws=log.replay()), function, args, kwargs), start)
            finally:
                REPLAYING.set(outer)

        return first.tree.unflatten(_forgotten(run, first, guards))

    return checkpointed


def in_context(context, function, args, kwargs=MappingProxyType({})):
    """``function(*args, **kwargs)`` where ``context`` holds."""
    outer = CONTEXT.get()
    try:
        CONTEXT.set(context)
        return function(*args, **kwargs)
    finally:
        CONTEXT.set(outer)


def _borrowed(args):
    """The arguments with the caller's own arrays copied, or guarded where they are large."""
    guards = []

    def hold(x):
        if type(x) is Tensor:
            return tensor_of(x._value, x.record)  # the caller may assign to entries of his
        backend = backends.BACKEND_BY_TYPE.get(type(x))
        if backend is None:
            return x
        x, guard = backend.borrow(x)
        if guard is not None:
            guards.append(guard)
        return x

    return pytree.map_tree(hold, args, lambda x: isinstance(x, Function)), tuple(guards) or None


def _forgotten(run, first, guards):
    """The outputs with one Record in place of all that the run recorded."""
    outputs = first.outputs
    first.forget()
    operator = _Recompute(run, first)
    shapes = tuple(tuple(getattr(y._value, "shape", ())) for y in outputs)
    dtypes = tuple(_dtype_of_record(y._value) for y in outputs)
    xps = [backends.backend_of(y._value) or HOST for y in outputs]
    if len(outputs) == 1:
        record = make_record(operator, first.boundary, (), shapes[0], dtypes[0], xps[0], guards)
        return [tensor_of(outputs[0]._value, record)]
    main = make_record(operator, first.boundary, (), shapes, dtypes, xps[0], guards)
    return [tensor_of(y._value, output_record(main, i) if y.record else None) for i, y in enumerate(outputs)]


def _dtype_of_record(value):
    return complex if type(value) is complex else getattr(value, "dtype", None)
