"""One run of a function under a transform: its arguments lifted to leaves, and the context that they hold in."""

import inspect
import operator
from collections.abc import Callable
from typing import Any

from zkynet import backends
from zkynet.backends.errors import NotDifferentiableError

from . import pytree
from .function import Parameter
from .operator import Leaf
from .record import CONTEXT, HOST, PYTHON_NUMBERS, RUNNING, Context, Record, Tensor, make_record, operand, tensor_of

_leaf = Leaf()
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
        named = 0  # bits of the positions so far
        for n in (argnums,) if isinstance(argnums, int) else argnums:
            if not -len(args) <= n < len(args):
                raise TypeError(f"argnums={argnums}: {title_of(f)} was called with {len(args)} positional arguments")
            bit = 1 << n % len(args)
            if named & bit:
                raise ValueError(f"argnums={argnums}: an argument is named twice")
            named |= bit
            x = args[n]
            if type(x) is float:  # the plainest case, written out
                lift = tensor_of(x, Record(_leaf, (), _NOTHING, (), None, HOST))
                self.leaves.append(lift)
                tree = pytree.LEAF
            elif type(x) in backends.BACKEND_BY_TYPE or type(x) is Tensor:
                lift, tree = self._leaf(x, lambda n=n: _argument(f, n))
            elif hasattr(x, "named_parameters"):
                lift, tree = x, self._bind(x, lambda path, n=n: _argument(f, n) + path, "", bound)
            else:
                lift, tree = self._lift(x, lambda path, n=n: _argument(f, n) + path, "", bound)
            self.args[n] = lift
            self.trees.append(tree)
        bindings = self.outer.bindings | bound if bound else self.outer.bindings
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
            self._bind_one(x, name, path, bound)
            return x, pytree.LEAF
        return self._leaf(x, lambda: name(path))

    def _leaf(self, x, name):
        leaf = lifted(x, name)
        self.leaves.append(leaf)
        # A Tensor of its own: the function may assign to its entries.
        return tensor_of(leaf._value, leaf.record), pytree.LEAF

    def _bind(self, module, name, path, bound) -> pytree.Treedef:
        """Bind the Parameters of a Module, which stays itself; its gradient is a dict."""
        names, parameters = module.tree_flatten()
        for key, parameter in zip(names, parameters, strict=True):
            self._bind_one(parameter, name, path, bound, key)
        return pytree.Treedef(dict.fromkeys(names), [pytree.LEAF] * len(names))

    def _bind_one(self, parameter, name, path, bound, key=None):
        leaf = bound.get(parameter)
        if leaf is None:
            value = parameter._value
            xp = backends.BACKEND_BY_TYPE.get(type(value))
            if xp is not None and value.dtype in xp.real_dtypes and not self.outer.bindings:
                leaf = tensor_of(value, Record(_leaf, (), _NOTHING, value.shape, value.dtype, xp))  # the plainest case
            else:
                leaf = lifted(parameter, lambda: name(path if key is None else f"{path}[{key!r}]"))
            bound[parameter] = leaf
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


def title_of(f) -> str:
    """The name of a function, for messages."""
    return getattr(f, "__name__", type(f).__name__)


def _argument(f, n) -> str:
    try:
        names = list(inspect.signature(f).parameters)
        return f"argument {n} ({names[n]!r}) of {title_of(f)}"
    except (TypeError, ValueError, IndexError):
        return f"argument {n} of {title_of(f)}"
