"""Branches and loops as functions of functions. States and results are pytrees: an array, or containers of arrays.

Python's own ``if``, ``for`` and ``while`` are differentiated just as well: what runs is what is recorded. These say the
same in one expression, and ``cond`` also where a compiled function knows the predicate only when it runs.
"""

from zkynet import backends
from zkynet.backends.errors import ShapeError, TrackedValueError

from .. import pytree
from ..record import Tensor, kind_of, operand, shape_of, tensor_of
from .comparison import not_equal
from .control import copy, stop_gradient, zeros
from .elementwise import where
from .joining import unstack
from .shape import moveaxis, reshape, stack


def cond(predicate, if_true, if_false, *operands):
    """``if_true(*operands)`` where ``predicate`` holds, else ``if_false(*operands)``; each gives a pytree of arrays.

    Only the branch taken is run. Where a compiled function knows ``predicate`` only when it runs, both are, and of each
    pair of arrays one is chosen: the other sends no gradient, not even a NaN; then both give the same shapes.
    ``predicate``: a boolean or a number, alone or as an array of one entry. ShapeError for more entries.
    """
    if not _is_traced(predicate):
        return if_true(*operands) if _holds(predicate) else if_false(*operands)
    chosen, tree = pytree.flatten(if_true(*operands))
    others = pytree.flatten_like(tree, if_false(*operands))
    predicate = reshape(predicate if kind_of(predicate) == "bool" else not_equal(predicate, 0), ())
    return tree.unflatten([_chosen("cond", predicate, a, b) for a, b in zip(chosen, others, strict=True)])


def while_loop(condition, body, state):
    """``state = body(state)`` for as long as ``condition(state)`` holds; the last ``state``, a pytree of arrays.

    Each step is recorded, so gradients flow back through all of them. Inside a compiled function the number of steps
    has to be known while it is compiled: else TrackedValueError.
    """
    state = _entering(state)
    while True:
        predicate = condition(state)
        if _is_traced(predicate):
            raise TrackedValueError(
                "while_loop: its condition has no value while the function is being compiled.\n"
                "Compile the body alone, or take a fixed number of steps with op.scan, each with op.cond inside."
            )
        if not _holds(predicate):
            return state
        state = body(state)


def scan(function, carry, xs=None, length=None, *, reverse=False):
    """``carry, y = function(carry, x)`` for each entry x of ``xs`` along axis 0: the last carry, and all y stacked.

    ``xs``: a pytree of arrays of one length, or None with ``length`` steps, whose x is None. The y, pytrees of arrays,
    are stacked along a new axis 0; with ``reverse`` the steps go from the last entry to the first, and y still stands
    where its x does. Where there is no entry, ``function`` is called once on zeros, to learn the shapes of y.
    """
    parts, tree = pytree.flatten(xs)
    count = _common_length("scan", parts, length)
    slices = [unstack(part) for part in parts]
    carry, ys = _entering(carry), []
    for k in reversed(range(count)) if reverse else range(count):
        carry, y = function(carry, tree.unflatten([entries[k] for entries in slices]))
        ys.append(y)
    if ys:
        return carry, _stacked(ys[::-1] if reverse else ys)
    one = [_zeros(part, shape_of(part)[1:]) for part in parts]
    _, y = function(pytree.map_tree(stop_gradient, carry), tree.unflatten(one))
    return carry, pytree.map_tree(lambda leaf: _zeros(leaf, (0, *shape_of(leaf))), y)


def map(function, *xs, axis=0):
    """``function`` of each slice of ``xs`` along ``axis``, the results stacked along axis 0: a loop in one expression.

    ``xs`` and the results are pytrees of arrays; the slices have no ``axis`` any more. A function that takes leading
    axes is faster called once, on all of it. ShapeError where lengths differ.
    """
    if not xs:
        raise TypeError("map: needs at least one array behind the function")
    first = pytree.map_tree(lambda x: moveaxis(x, axis, 0), xs) if axis else xs
    return scan(lambda carry, x: (carry, function(*x)), None, first)[1]


def _entering(state):
    """A state with the caller's own arrays as Tensors of their own: they may come out as they went in."""

    def own(x):
        return copy(x) if not isinstance(x, Tensor) and backends.backend_of(x) is not None else x

    return pytree.map_tree(own, state)


def _common_length(who, parts, length) -> int:
    """The length of axis 0 of all arrays, or ``length`` where there are none."""
    if any(not shape_of(part) for part in parts):
        raise ShapeError(f"{who}: needs arrays with at least one axis, got shapes {[shape_of(p) for p in parts]}")
    found = {shape_of(part)[0] for part in parts} | (set() if length is None else {length})
    if len(found) != 1:
        raise ShapeError(
            f"{who}: needs one length.\n  got: arrays of shapes {[shape_of(p) for p in parts]}, length={length}\n"
            "Give arrays with the same number of entries along the axis, or a length alone."
        )
    return found.pop()


def _stacked(trees):
    """One tree of arrays, each leaf stacked along a new axis 0."""
    tree = pytree.flatten(trees[0])[1]
    leaves = [pytree.flatten_like(tree, each) for each in trees]
    return tree.unflatten([stack(column) for column in zip(*leaves, strict=True)])


def _chosen(who, predicate, a, b):
    if shape_of(a) != shape_of(b):
        raise ShapeError(f"{who}: its branches give arrays of shapes {shape_of(a)} and {shape_of(b)}; give one shape")
    return where(predicate, a, b)


def _is_traced(predicate) -> bool:
    """Whether a predicate has no value yet; ShapeError where it is not a single one."""
    value = operand(predicate)[0]
    if any(n != 1 for n in shape_of(value)):
        raise ShapeError(f"a condition must be one boolean, got an array of shape {shape_of(value)}; use op.where")
    xp = backends.backend_of(value)
    return xp is not None and xp.is_traced(value)


def _holds(predicate) -> bool:
    value = operand(predicate)[0]
    xp = backends.backend_of(value)
    return bool(value if xp is None else xp.reshape(value, ()))


def _zeros(x, shape):
    """Zeros of a shape, with the dtype and on the backend of x."""
    value = operand(x)[0]
    xp = backends.backend_of(value)
    return zeros(shape) if xp is None else tensor_of(xp.zeros(shape, dtype=value.dtype))
