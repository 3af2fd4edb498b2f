"""Functions of functions: gradients, products with Jacobians, Jacobians and Hessians, to any order and nested."""

import inspect
import operator
from collections.abc import Callable
from functools import wraps
from typing import Any

from zkynet import backends
from zkynet.backends.errors import CotangentError, NotDifferentiableError

from . import operations as op
from . import pytree
from .backprop import pull_back, seed
from .function import Function, Input, Parameter
from .operator import Leaf
from .pushforward import push_forward
from .record import (
    CONTEXT,
    HOST,
    PYTHON_NUMBERS,
    RUNNING,
    Context,
    Record,
    Tensor,
    make_record,
    operand,
    tensor_of,
    value_of,
)

_leaf = Leaf()
_FLOAT64 = HOST.float64
_NOTHING = (None, None)  # what a leaf saves


def lifted(x: Any, name: Callable[[], str]) -> Tensor:
    """A fresh Tensor for ``x``, with a Record of its own: the leaf of one transform."""
    try:
        if isinstance(x, Parameter):  # not by operand, which refuses to read it while another thread differentiates it
            bound = CONTEXT.get().bindings.get(x)
            value, outer = (x._value, None) if bound is None else (bound._value, bound.record)
        else:
            value, outer = operand(x)
    except TypeError as error:
        raise TypeError(f"cannot differentiate with respect to {name()}: {error}") from None
    kind = type(value)
    if kind is int:
        value, kind = float(value), float
    if kind in PYTHON_NUMBERS and kind is not bool:
        weak = complex if kind is complex else None
        return tensor_of(value, Record(_leaf, (outer,) if outer else (), _NOTHING, (), weak, HOST))
    xp = None if kind is bool else backends.backend_of(value)
    if xp is None or not xp.is_inexact(value.dtype):
        dtype = kind.__name__ if xp is None else value.dtype
        raise NotDifferentiableError(
            f"cannot differentiate with respect to {name()}.\n"
            f"  got:      dtype {dtype}\n"
            f"  expected: a floating-point or complex array\n"
            "Convert it first, with .astype(float), or leave it out of argnums."
        )
    guards = None
    if value is x:  # the caller's own array
        value, guard = xp.borrow(value)
        guards = (guard,) if guard is not None else None
    record = make_record(_leaf, (outer,) if outer else (), _NOTHING, tuple(value.shape), value.dtype, xp, guards)
    return tensor_of(value, record)


class Trace:
    """One run of a function under a transform: its leaves, and the context they hold in."""

    __slots__ = ("args", "context", "leaves", "outer", "trees")

    def __init__(self, f, args, argnums):
        self.outer = CONTEXT.get()
        self.leaves: list[Tensor] = []
        self.trees = []
        self.args = list(args)
        bound: dict = {}  # Parameter -> its leaf: one, however often it stands in the arguments
        for n in (argnums,) if isinstance(argnums, int) else argnums:
            if not -len(args) <= n < len(args):
                raise TypeError(f"argnums={argnums}: {_title(f)} was called with {len(args)} positional arguments")
            x = args[n]
            if type(x) is float:  # the plainest case, written out
                lift = tensor_of(x, Record(_leaf, (), _NOTHING, (), None, HOST))
                self.leaves.append(lift)
                tree = pytree.LEAF
            elif hasattr(x, "named_parameters"):
                lift, tree = x, self._bind(x, lambda path, n=n: _argument(f, n) + path, "", bound)
            else:
                lift, tree = self._lift(x, lambda path, n=n: _argument(f, n) + path, "", bound)
            self.args[n] = lift
            self.trees.append(tree)
        if len(self.trees) > 1 and len({n % len(args) for n in argnums}) < len(self.trees):
            raise ValueError(f"argnums={argnums}: an argument is named twice")
        bindings = {**self.outer.bindings, **bound} if bound else self.outer.bindings
        outer = self.outer
        self.context = Context(outer.depth + 1, True, bindings, outer.draws, outer.session, outer.watchers)

    def _lift(self, x, name, path, bound):
        """``x`` with a leaf in place of each array, and its structure; Modules and Parameters are bound instead."""
        if hasattr(x, "named_parameters"):
            return x, self._bind(x, name, path, bound)
        inside = None if type(x) in backends.BACKEND_BY_TYPE else pytree.children_of(x)
        if inside is not None:
            pairs = [self._lift(c, name, f"{path}[{k!r}]", bound) for k, c in zip(*inside, strict=True)]
            return pytree.rebuild(x, [c for c, _ in pairs]), pytree.Treedef(x, [t for _, t in pairs])
        if isinstance(x, Parameter):
            self._bind_one(x, lambda: name(path), bound)
            return x, pytree.LEAF
        leaf = lifted(x, lambda: name(path))
        self.leaves.append(leaf)
        return tensor_of(
            leaf._value, leaf.record
        ), pytree.LEAF  # one of its own: the function may assign to its entries

    def _bind(self, module, name, path, bound) -> pytree.Treedef:
        """Bind the Parameters of a Module, which stays itself; its gradient is a dict."""
        names, parameters = module.tree_flatten()
        for key, parameter in zip(names, parameters, strict=True):
            self._bind_one(parameter, lambda key=key: name(f"{path}[{key!r}]"), bound)
        return pytree.Treedef(dict.fromkeys(names), [pytree.LEAF] * len(names))

    def _bind_one(self, parameter, name, bound):
        leaf = bound.get(parameter)
        if leaf is None:
            leaf = bound[parameter] = lifted(parameter, name)
        self.leaves.append(leaf)

    def traced(self, outputs) -> bool:
        """Whether an outer transform may differentiate what this one computes of ``outputs``."""
        if not self.outer.recording:
            return False
        if self.outer.depth > 0 or any([leaf.record.parents for leaf in self.leaves]):
            return True
        # A transform runs in another thread, and this function may have read what it tracks.
        return bool(RUNNING) and reaches_beyond([y.record for y in outputs], self.records)

    def run(self, f, kwargs):
        try:  # set inside: an interrupt may come as soon as it is done
            CONTEXT.set(self.context)
            RUNNING.add(self.context)
            return f(*self.args, **kwargs)
        finally:
            CONTEXT.set(self.outer)
            RUNNING.discard(self.context)

    @property
    def records(self) -> list[Record]:
        return [leaf.record for leaf in self.leaves]


def reaches_beyond(roots, leaves) -> bool:
    """Whether the history of ``roots`` holds a Record older than ``leaves``."""
    low = min([r.serial for r in leaves], default=None)
    stack = [r for r in roots if r is not None]
    seen = set(stack)
    while stack:
        record = stack.pop()
        if low is None or record.serial < low:
            return True
        for p in record.parents:
            if p is not None and p not in seen:
                seen.add(p)
                stack.append(p)
    return False


def as_argnums(argnums) -> int | tuple[int, ...]:
    """``argnums`` as an int or a tuple of them; TypeError for anything else."""
    try:
        if isinstance(argnums, (tuple, list)):
            return tuple([operator.index(n) for n in argnums])
        return operator.index(argnums)
    except TypeError:
        raise TypeError(f"argnums must be an int or a tuple of ints, got {argnums!r}") from None


def _title(f) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _argument(f, n) -> str:
    try:
        names = list(inspect.signature(f).parameters)
        return f"argument {n} ({names[n]!r}) of {_title(f)}"
    except (TypeError, ValueError, IndexError):
        return f"argument {n} of {_title(f)}"


def _sweep(records, cotangents, asked, traced, lead=()):
    with HOST.errstate():  # rules divide by zero on purpose, and select
        return pull_back(records, cotangents, asked, traced, lead)


def _push(asked, tangents, roots, traced, lead=()):
    with HOST.errstate():
        return push_forward(asked, tangents, roots, traced, lead)


# ---- what goes in and what comes out ----


def unwrapped(tree: Any, inside: bool) -> Any:
    """Values and aux for the caller: inside a transform as they are; outside arrays of their own for Tensors."""
    if inside:
        return tree
    if type(tree) is Tensor:
        return tree._value if type(tree._value) is float else _unwrap(tree)
    return pytree.map_tree(_unwrap, tree, _is_possession)


def _unwrap(x):
    if _is_possession(x):  # Modules and Parameters are returned as they are
        return x
    value = value_of(x)
    backend = backends.backend_of(value) if value is not x else None
    return value if backend is None or HOST.is_host_scalar(value) else backend.own(value)


def _is_possession(x) -> bool:
    return isinstance(x, (Function, Input))


def handed_out(items: list, traced: bool, inside: bool, leaves) -> list:
    """Computed arrays for the caller, writable and held by nobody else; each may stand in ``items`` alone.

    Inside a transform Tensors, under no_grad too.
    """
    if traced:
        return items
    if inside:
        return [tensor_of(x) for x in items]
    HOST.hand_over(items)  # an array of a Python number's gradient, too
    for xp in {leaf.record.xp for leaf in leaves}:
        if not xp.is_host:
            xp.hand_over(items)
    return items


def _as_like(c, like: Tensor, traced, lead):
    """A gradient or tangent in the form of what it belongs to, where that is a Python number."""
    if type(like._value) not in PYTHON_NUMBERS:
        return c
    xp = op if traced else backends.backend_of(c)
    if (type(like._value) is complex) != xp.is_complex(c.dtype):
        c = xp.real(c) if xp.is_complex(c.dtype) else xp.astype(c, HOST.complex128)
    return c if lead else _number(c, like)


def _number(c, like: Tensor):
    """A gradient or tangent in the form of what it belongs to: a Python number for a Python number."""
    if type(like._value) not in PYTHON_NUMBERS:
        return c
    value = c._value if type(c) is Tensor else c
    if getattr(value, "shape", None) != () or backends.backend_of(value).is_traced(value):
        return c
    number = value.item() if backends.backend_of(value).is_host else backends.backend_of(value).item(value)
    return tensor_of(number, c.record) if type(c) is Tensor else number


def _gradient(c, leaf: Tensor, traced, conjugate=True, lead=()):
    """The cotangent of a leaf as a gradient: zeros where nothing came, conjugated where complex."""
    record = leaf.record
    if type(c) is _FLOAT64 and record.dtype is None:
        return float(c) if type(leaf._value) is float else complex(c)
    if c is None:
        if type(leaf._value) in PYTHON_NUMBERS:
            zeros = type(leaf._value)(0) if not lead else HOST.zeros(lead, dtype=type(leaf._value))
        else:
            zeros = record.xp.zeros(lead + record.shape, dtype=record.dtype)
        return tensor_of(zeros) if traced else zeros
    if conjugate and _is_complex(leaf):
        c = op.conj(c) if traced else backends.backend_of(c).conj(c)
    if not traced and record.xp.is_host:
        c = _on_host(c)
    return _as_like(c, leaf, traced, lead)


def _on_host(c):
    """A gradient of a host array that followed arrays of a device, back on the host."""
    home = backends.backend_of(c)
    return c if home.is_host or home.is_traced(c) else home.to_numpy(c)


def _is_complex(x: Tensor) -> bool:
    value = x._value
    kind = type(value)
    return kind is complex if kind in PYTHON_NUMBERS else backends.backend_of(value).is_complex(value.dtype)


def _output(y, what, holomorphic, f) -> Tensor:
    """The Tensor of a scalar loss, checked."""
    tensor = y if type(y) is Tensor else _as_tensor(y, what, f)
    value = tensor._value
    shape = () if type(value) in PYTHON_NUMBERS else tuple(value.shape)
    if shape != ():
        raise NotDifferentiableError(
            f"{what} needs a scalar output.\n"
            f"  got:      {_title(f)} returned shape {shape}\n"
            "  expected: shape ()\n"
            "Reduce it, with op.sum say, or take zk.jacobian for all entries, zk.vjp for a cotangent of your own."
        )
    _check_inexact(value, what, f, holomorphic)
    return tensor


def _as_tensor(y, what, f) -> Tensor:
    try:
        return tensor_of(*operand(y))
    except TypeError as error:
        raise TypeError(f"{what}: {_title(f)} did not return a number or an array: {error}") from None


def _with_aux(result, has_aux, what, f):
    """``(value, aux)`` of what a function returned."""
    if not has_aux:
        return result, None
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        got = f"{len(result)} of them" if isinstance(result, (tuple, list)) else type(result).__name__
        raise TypeError(f"{what}: with has_aux=True {_title(f)} must return a pair (value, aux), got {got}")
    return result


def _check_inexact(value, what, f, complex_allowed):
    kind = type(value)
    if kind is float:
        return
    if kind in PYTHON_NUMBERS:
        inexact, is_complex, dtype = kind is not bool, kind is complex, kind.__name__
    else:
        xp = backends.backend_of(value)
        inexact, is_complex, dtype = xp.is_inexact(value.dtype), xp.is_complex(value.dtype), value.dtype
    if not inexact:
        raise NotDifferentiableError(
            f"{what}: the output of {_title(f)} is not differentiable.\n"
            f"  got:      dtype {dtype}\n  expected: a floating-point output\n"
            "Operators such as argmax, comparisons and casts to integers have no derivative."
        )
    if is_complex and not complex_allowed:
        raise NotDifferentiableError(
            f"{what}: the output of {_title(f)} is complex.\n"
            f"  got:      dtype {dtype}\n  expected: a real loss\n"
            "Take abs, real or imag of it, or pass holomorphic=True for the complex derivative f'(z)."
        )


# ---- gradients ----


def value_and_grad(f: Callable, argnums=0, *, has_aux=False, holomorphic=False) -> Callable:
    """A function that gives ``(f(...), gradient)`` of a scalar ``f``.

    ``argnums``: the position of the argument to differentiate, or a tuple of them (then the gradient is a tuple). An
    argument is a pytree of floating-point or complex arrays, Python numbers and Modules; its gradient has the same
    structure, shapes and dtypes, a dict by parameter name for a Module. ``has_aux``: ``f`` returns ``(value, aux)``,
    and the result is ``((value, aux), gradient)``. For complex inputs the gradient is dL/dRe + i dL/dIm; with
    ``holomorphic`` it is f'(z) of a complex ``f``. Raises NotDifferentiableError, a TypeError, for integer inputs and
    outputs, and for outputs that are not scalar.
    """

    argnums = as_argnums(argnums)

    @wraps(f)
    def value_and_gradient(*args, **kwargs):
        trace = Trace(f, args, argnums)
        result, aux = _with_aux(trace.run(f, kwargs), has_aux, "grad", f)
        y = _output(result, "grad", holomorphic, f)
        traced = trace.traced((y,))
        leaves = trace.leaves
        if y.record is None or not leaves:
            found = [None] * len(leaves)
        else:
            g = seed(y.record)
            found = _sweep([y.record], [tensor_of(g) if traced else g], trace.records, traced)
            if holomorphic and check_kinds([y], leaves, "grad", f):
                check_holomorphic(found, _sweep([y.record], [g * 1j], trace.records, False), f)
        grads = [_gradient(c, leaf, traced, not holomorphic) for c, leaf in zip(found, leaves, strict=True)]
        inside = traced or trace.outer.depth > 0
        del found
        grads = _regroup(trace, handed_out(grads, traced, inside, leaves), argnums)
        value = unwrapped(y, inside)
        return ((value, unwrapped(aux, inside)) if has_aux else value), grads

    return value_and_gradient


def check_kinds(outputs, leaves, what, f) -> bool:
    """Whether all are complex; NotDifferentiableError where some are, and the complex derivative was asked for."""
    kinds = {_is_complex(t) for t in (*outputs, *leaves)}
    if len(kinds) > 1:
        raise NotDifferentiableError(
            f"{what}: holomorphic=True, but {_title(f)} has real and complex arrays among its inputs and outputs.\n"
            "  expected: complex ones on both sides\n"
            "Make the inputs complex, or leave holomorphic=True out for the gradient of a real loss."
        )
    return kinds == {True}


def check_holomorphic(found, turned, f):
    """NotDifferentiableError where the sweep of ``1j * g`` is not 1j times that of ``g``: Cauchy and Riemann."""
    for c, d in zip(found, turned, strict=True):
        c, d = value_of(c), value_of(d)
        xp = None if c is None or d is None else backends.backend_of(c)
        if xp is None or xp.is_traced(c) or 0 in c.shape:
            continue
        tolerance = 1e4 * float(xp.finfo(c.dtype).eps) * float(xp.max(xp.abs(c)))
        if float(xp.max(xp.abs(d - c * 1j))) > tolerance:
            raise NotDifferentiableError(
                f"{_title(f)} is not holomorphic here: its derivative depends on the direction in the complex plane.\n"
                "  expected: a function without conj, real, imag or abs, for holomorphic=True\n"
                "Leave it out for the gradient dL/dRe + i dL/dIm of a real loss."
            )


def _regroup(trace, items, argnums):
    """Items, one a leaf, in the structure of the arguments."""
    rest = iter(items)
    groups = [next(rest) if tree is pytree.LEAF else tree.unflatten(rest) for tree in trace.trees]
    return groups[0] if isinstance(argnums, int) else tuple(groups)


def grad(f: Callable, argnums=0, *, has_aux=False, holomorphic=False) -> Callable:
    """A function that gives the gradient of a scalar ``f``; with ``has_aux`` ``(gradient, aux)``.

    The arguments are those of value_and_grad.
    """
    both = value_and_grad(f, argnums, has_aux=has_aux, holomorphic=holomorphic)

    @wraps(f)
    def gradient(*args, **kwargs):
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient


# ---- products with Jacobians ----


def _leaves_of_output(result, what, f):
    """The Tensors of an output tree, and its structure."""
    leaves, tree = pytree.flatten(result)
    tensors = [_as_tensor(leaf, what, f) for leaf in leaves]  # of our own: the caller may assign to entries of his
    for tensor in tensors:
        _check_inexact(tensor._value, what, f, True)
    return tensors, tree


def _as_cotangent(g, like: Tensor, what: str, conjugate: bool, traced: bool):
    """A cotangent or tangent that the caller gave, of the shape of ``like``, in its dtype."""
    try:
        value, record = operand(g)
    except TypeError as error:
        raise CotangentError(f"{what} is not an array: {error}") from None
    target = like._value
    weak = type(target) in PYTHON_NUMBERS
    shape = () if weak else tuple(target.shape)
    got = () if type(value) in PYTHON_NUMBERS else tuple(value.shape)
    if got != shape:
        raise CotangentError(
            f"{what} has the wrong shape.\n  got:      {got}\n  expected: {shape}\nIt is never broadcast."
        )
    xp = HOST if weak else backends.backend_of(target)
    home = backends.backend_of(value)
    if home is not None and home is not xp:
        backends.common_backend([xp, home])  # raises for two devices
    dtype = (xp.complex128 if type(target) is complex else xp.float64) if weak else target.dtype
    array = value if xp.owns(value) else xp.asarray(value)
    if xp.is_complex(array.dtype) and not xp.is_complex(dtype):
        raise CotangentError(f"{what} is complex ({array.dtype}), but what it belongs to is real ({dtype}).")
    if traced and record is not None:
        tensor = op.astype(tensor_of(array, record), dtype) if array.dtype != dtype else tensor_of(value, record)
        return op.conj(tensor) if conjugate else tensor
    array = xp.astype(array, dtype) if array.dtype != dtype else array
    if conjugate and xp.is_complex(dtype):
        array = xp.conj(array)
    if not traced:
        return array
    return tensor_of(xp.own(array) if xp.is_writable(array) else array)  # to be kept: the caller may change his


def vjp(f: Callable, *args, argnums=None, has_aux=False):
    """``(f(*args), pull)``: ``pull(g)`` gives the cotangents of the arguments for a cotangent ``g`` of the output.

    ``g`` has the structure and shapes of the output. ``pull`` returns a tuple, one entry an argument (of ``argnums``,
    all by default), and may be called any number of times. Complex values follow dL/dRe + i dL/dIm. With ``has_aux``
    ``(value, pull, aux)``. CotangentError, a ValueError, for a cotangent of the wrong shape.
    """
    positions = tuple(range(len(args))) if argnums is None else as_argnums(argnums)
    trace = Trace(f, args, positions)
    result, aux = _with_aux(trace.run(f, {}), has_aux, "vjp", f)
    outputs, tree = _leaves_of_output(result, "vjp", f)
    tracked = trace.traced(outputs)

    def pull(g):
        context = CONTEXT.get()
        parts = _matched(tree, g, "vjp: the cotangent does not have the structure of the output")
        traced = context.recording and (tracked or context.depth > 0 or any([_is_tracked(p) for p in parts]))
        pairs = [
            (y.record, _as_cotangent(p, y, "the cotangent", True, traced))
            for y, p in zip(outputs, parts, strict=True)
            if y.record is not None
        ]
        found = [None] * len(trace.leaves)
        if pairs and found:
            found = _sweep([r for r, _ in pairs], [c for _, c in pairs], trace.records, traced)
        grads = [_gradient(c, leaf, traced) for c, leaf in zip(found, trace.leaves, strict=True)]
        del found
        grads = handed_out(grads, traced, context.depth > 0, trace.leaves)
        return _regroup(trace, grads, positions)

    values, aux = unwrapped((tree.unflatten(outputs), aux), tracked or trace.outer.depth > 0)
    return (values, pull, aux) if has_aux else (values, pull)


def _matched(tree, given, what) -> list:
    """The leaves of ``given`` in the order of ``tree``; CotangentError where their structures differ."""
    try:
        return pytree.flatten_like(tree, given)
    except ValueError as error:
        raise CotangentError(f"{what}.\n  {error}") from None


def _is_tracked(x) -> bool:
    return isinstance(x, Tensor) and x.record is not None


def jvp(f: Callable, args, tangents, *, has_aux=False):
    """``(f(*args), t)``: the derivative of the output along ``tangents``, one an argument, by one forward sweep.

    ``args`` and ``tangents`` are sequences; a tangent has its argument's structure and shapes (for a Module a dict by
    parameter name). CotangentError, a ValueError, for a tangent of the wrong shape.
    """
    _check_sequences("jvp", args, tangents, "tangents")
    trace = Trace(f, args, tuple(range(len(args))))
    parts = []
    for tree, tangent in zip(trace.trees, tangents, strict=True):
        parts += _matched(tree, tangent, "jvp: a tangent does not have the structure of its argument")
    if len(set(trace.records)) < len(parts):
        raise CotangentError(
            "jvp: a Parameter stands twice in the arguments, so that it would have two tangents.\n"
            "Pass it once, and read it from the closure otherwise."
        )
    result, aux = _with_aux(trace.run(f, {}), has_aux, "jvp", f)
    outputs, tree = _leaves_of_output(result, "jvp", f)
    traced = trace.traced(outputs) or (trace.outer.recording and any([_is_tracked(t) for t in parts]))
    given = [_as_cotangent(t, x, "a tangent", False, traced) for x, t in zip(trace.leaves, parts, strict=True)]
    moved = _tangents(trace, given, outputs, traced)
    inside = traced or trace.outer.depth > 0
    moved = tree.unflatten(handed_out(moved, traced, inside, trace.leaves))
    values, aux = unwrapped((tree.unflatten(outputs), aux), inside)
    return (values, moved, aux) if has_aux else (values, moved)


def _check_sequences(what, args, others, name):
    """TypeError where the arguments do not come as tuples or lists, CotangentError where one is longer."""
    for given, called in ((args, "args"), (others, name)):
        if not isinstance(given, (tuple, list)):
            raise TypeError(
                f"{what}: {called} must be a tuple or list, one entry an argument; got {type(given).__name__}"
            )
    if len(args) != len(others):
        raise CotangentError(f"{what}: {len(args)} arguments, but {len(others)} {name}")


def _tangents(trace, given, outputs, traced, lead=()):
    """The tangents of the outputs, zeros where nothing reaches them."""
    roots = [y.record for y in outputs if y.record is not None]
    found: list = []
    if roots and trace.leaves:
        found = _push(trace.records, given, roots, traced, lead)
    rest = iter(found)
    moved = []
    for y in outputs:
        t = next(rest, None) if y.record is not None else None
        if t is None:
            moved.append(_no_tangent(y, traced, lead))
        else:
            moved.append(_as_like(t, y, traced, lead))
    return moved


def _no_tangent(y, traced, lead):
    value = y._value
    if type(value) in PYTHON_NUMBERS:
        zeros = value * 0.0 if not lead else HOST.zeros(lead, dtype=type(value * 0.0))
    else:
        xp = backends.backend_of(value)
        zeros = xp.zeros(lead + tuple(value.shape), dtype=value.dtype)
    return tensor_of(zeros) if traced else zeros


def hvp(f: Callable, args, vectors):
    """The product of the Hessian of a scalar ``f`` with ``vectors``, forward over reverse; a tuple, one an argument."""
    _check_sequences("hvp", args, vectors, "vectors")
    return jvp(grad(f, tuple(range(len(args)))), args, vectors)[1]
