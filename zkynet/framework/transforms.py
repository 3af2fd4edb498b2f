"""Functions of functions: gradients, products with Jacobians, Jacobians and Hessians, to any order and nested."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from zkynet import backends
from zkynet.backends.errors import CotangentError, NotDifferentiableError
from zkynet.backends.quiet import quietly

from . import op, pytree
from .backprop import is_weak, pull_back, seed
from .function import Function, Input
from .pushforward import push_forward
from .record import CONTEXT, HOST, PYTHON_NUMBERS, Tensor, operand, tensor_of, value_of
from .trace import Trace, as_argnums, title_of

_FLOAT64 = HOST.float64


_sweep = quietly(pull_back)  # rules divide by zero on purpose, and select
_push = quietly(push_forward)


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
    if all([type(x) is float for x in items]):
        return items
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
    if not traced and type(c) is type(leaf._value) and record.dtype in record.xp.real_dtypes:
        return c  # the most frequent case
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
    if kind in PYTHON_NUMBERS:
        return kind is complex
    xp = backends.backend_of(value)
    return value.dtype not in xp.real_dtypes and xp.is_complex(value.dtype)


def _output(y, what, holomorphic, f) -> Tensor:
    """The Tensor of a scalar loss, checked."""
    tensor = y if type(y) is Tensor else _as_tensor(y, what, f)
    value = tensor._value
    shape = () if type(value) in PYTHON_NUMBERS else tuple(value.shape)
    if shape != ():
        raise NotDifferentiableError(
            f"{what} needs a scalar output.\n"
            f"  got:      {title_of(f)} returned shape {shape}\n"
            "  expected: shape ()\n"
            "Reduce it, with op.sum say, or take zk.jacobian for all entries, zk.vjp for a cotangent of your own."
        )
    _check_inexact(value, what, f, holomorphic)
    return tensor


def _as_tensor(y, what, f) -> Tensor:
    try:
        return tensor_of(*operand(y))
    except TypeError as error:
        raise TypeError(f"{what}: {title_of(f)} did not return a number or an array: {error}") from None


def _with_aux(result, has_aux, what, f):
    """``(value, aux)`` of what a function returned."""
    if not has_aux:
        return result, None
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        got = f"{len(result)} of them" if isinstance(result, (tuple, list)) else type(result).__name__
        raise TypeError(f"{what}: with has_aux=True {title_of(f)} must return a pair (value, aux), got {got}")
    return result


def _check_inexact(value, what, f, complex_allowed):
    kind = type(value)
    if kind is float:
        return
    if kind in PYTHON_NUMBERS:
        inexact, is_complex, dtype = kind is not bool, kind is complex, kind.__name__
    else:
        xp = backends.backend_of(value)
        if value.dtype in xp.real_dtypes:
            return
        inexact, is_complex, dtype = xp.is_inexact(value.dtype), xp.is_complex(value.dtype), value.dtype
    if not inexact:
        raise NotDifferentiableError(
            f"{what}: the output of {title_of(f)} is not differentiable.\n"
            f"  got:      dtype {dtype}\n  expected: a floating-point output\n"
            "Operators such as argmax, comparisons and casts to integers have no derivative."
        )
    if is_complex and not complex_allowed:
        raise NotDifferentiableError(
            f"{what}: the output of {title_of(f)} is complex.\n"
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

    return wraps(f)(_value_and_gradient(f, as_argnums(argnums), has_aux, holomorphic))


def _value_and_gradient(f, argnums, has_aux=False, holomorphic=False) -> Callable:
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
            f"{what}: holomorphic=True, but {title_of(f)} has real and complex arrays among its inputs and outputs.\n"
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
                f"{title_of(f)} is not holomorphic here: its derivative depends on the complex direction.\n"
                "  expected: a function without conj, real, imag or abs, for holomorphic=True\n"
                "Leave it out for the gradient dL/dRe + i dL/dIm of a real loss."
            )


def _regroup(trace, items, argnums):
    """Items, one a leaf, in the structure of the arguments."""
    if trace.trees.count(pytree.LEAF) == len(trace.trees):  # the most frequent case: each argument is one leaf
        return items[0] if isinstance(argnums, int) else tuple(items)
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
    # The gradient of a Python number is a number again, but what made it may be an array of a device.
    made = like.record if weak and like.record is not None and not is_weak(like.record) else None
    xp = made.xp if made is not None else HOST if weak else backends.backend_of(target)
    home = backends.backend_of(value)
    if home is not None and home is not xp:
        backends.common_backend([xp, home])  # raises for two devices
    dtype = made.dtype if made is not None else _dtype_of(target, xp)
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


def _dtype_of(value, xp):
    kind = type(value)
    return (xp.complex128 if kind is complex else xp.float64) if kind in PYTHON_NUMBERS else value.dtype


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
    outputs, tree, moved, aux, inside = _pushed(f, args, tangents, has_aux)
    values, aux = unwrapped((tree.unflatten(outputs), aux), inside)
    return (values, moved, aux) if has_aux else (values, moved)


def _pushed(f, args, tangents, has_aux) -> tuple:
    """One run of ``f`` with its forward sweep: (outputs, their structure, tangents, aux, whether inside)."""
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
    return outputs, tree, tree.unflatten(handed_out(moved, traced, inside, trace.leaves)), aux, inside


def _check_sequences(what, args, others, name):
    """TypeError where the arguments do not come as tuples or lists, CotangentError where one is longer."""
    for given, called in ((args, "args"), (others, name)):
        if not isinstance(given, (tuple, list)):
            raise TypeError(
                f"{what}: {called} must be a tuple or list, one entry an argument; got {type(given).__name__}"
            )
    if len(args) != len(others):
        raise CotangentError(f"{what}: {len(args)} arguments, but {len(others)} {name}")


def _tangents(trace, given, outputs, traced, lead=(), order=None):
    """The tangents of the outputs, zeros where nothing reaches them."""
    roots = [y.record for y in outputs if y.record is not None]
    found: list = []
    if roots and trace.leaves:
        found = _push(trace.records, given, roots, traced, lead, order)
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
    both = _value_and_gradient(f, tuple(range(len(args))))

    def gradient(*args):
        return both(*args)[1]

    vars(gradient)["__wrapped__"], gradient.__name__ = f, title_of(f)  # for messages
    return _pushed(gradient, args, vectors, False)[2]
