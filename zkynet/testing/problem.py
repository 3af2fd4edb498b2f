"""A function and the point where it is checked, as a map between real vectors.

A real array counts entry by entry; a complex one as its real parts, then its imaginary parts. Functions that are to be
differentiated take one real array for each of these blocks, so that every check is one of real Jacobians.
"""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zkynet import backends
from zkynet.backends.errors import GradientCheckError, NotDifferentiableError
from zkynet.framework import op, pytree
from zkynet.framework.function import Parameter
from zkynet.framework.module import Module
from zkynet.framework.operator import Operator
from zkynet.framework.record import CONTEXT, Tensor, value_of


class Block(NamedTuple):
    """A stretch of a real vector: the entries of one array, or its real or imaginary parts."""

    label: str
    shape: tuple[int, ...]
    part: str  # "", "real part" or "imaginary part"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def entry(self, k: int) -> str:
        index = ", ".join(map(str, np.unravel_index(k, self.shape)))
        return self.label + (f", entry [{index}]" if self.shape else "") + (f", its {self.part}" if self.part else "")


def blocks_of(label: str, shape, is_complex: bool) -> list[Block]:
    """The one or two blocks of an array."""
    parts = ("real part", "imaginary part") if is_complex else ("",)
    return [Block(label, tuple(shape), part) for part in parts]


def entry_of(blocks: list[Block], k: int) -> str:
    """What place ``k`` of a vector made of ``blocks`` is, in words."""
    for block in blocks:
        if k < block.size:
            return block.entry(k)
        k -= block.size
    raise IndexError(k)


def host(x: Any) -> np.ndarray:
    """A Tensor, array or number of any backend as a NumPy array of its own."""
    x = value_of(x)
    backend = backends.backend_of(x)
    return np.asarray(x) if backend is None else np.array(backend.to_numpy(x))


def flat(x: Any) -> np.ndarray:
    """An array as its stretch of a real vector."""
    x = host(x).ravel()
    return np.concatenate([x.real, x.imag]) if x.dtype.kind == "c" else x


class Leaf:
    """One array, Python number or Parameter that derivatives are taken of."""

    def __init__(self, label: str, x: Any):
        self.label = label
        self.parameter = x if isinstance(x, Parameter) else None
        self.original = x if self.parameter is None else x._value
        self.xp = backends.backend_of(self.original)  # None for a Python number
        dtype = type(self.original) if self.xp is None else self.original.dtype
        self.is_complex = dtype is complex if self.xp is None else self.xp.is_complex(dtype)
        self.shape = () if self.xp is None else tuple(self.original.shape)
        self.dtype = dtype
        self.blocks = blocks_of(label, self.shape, self.is_complex)
        self.size = sum(block.size for block in self.blocks)

    def native(self, part: np.ndarray, frozen=False) -> Any:
        """The array of the leaf's backend, or the number, that a stretch of a vector says, in double precision."""
        n = part.size // len(self.blocks)
        x = part[:n] + 1j * part[n:] if self.is_complex else part
        return self._array(x, frozen)

    def reals(self, part: np.ndarray, frozen=True) -> list:
        """One real array, or number, for each block."""
        n = part.size // len(self.blocks)
        return [self._array(part[i * n : (i + 1) * n], frozen) for i in range(len(self.blocks))]

    def _array(self, x, frozen):
        if self.xp is None:
            return x.item()
        x = np.array(x.reshape(self.shape))
        x.flags.writeable = not frozen
        return self.xp.asarray(x)

    def joined(self, reals: list) -> Any:
        """The inverse of ``reals``, differentiable."""
        return op.add(reals[0], op.multiply(reals[1], 1j)) if self.is_complex else reals[0]


class Problem:
    """``f`` at ``args``: its leaves, its outputs, and how vectors become calls."""

    def __init__(self, f: Callable, args: tuple, argnums=None):
        self.name = getattr(f, "__name__", None) or type(f).__name__
        chosen = _positions(argnums, len(args))
        names, first = _names(f), 0
        if isinstance(f, Module):
            chosen = [*([0] if argnums is None else []), *(n + 1 for n in chosen)]
            f, args, first = _call_module, (f, *args), 1
        self.f, self.args = f, tuple(args)
        titles = [f"argument {n}" + (f" ({names[n]!r})" if n < len(names) else "") for n in range(len(args) - first)]
        titles = [""] * first + titles
        self.items, self.tree = pytree.flatten(self.args, is_leaf=_is_module)
        self.leaves: list[Leaf] = []
        self.places: list[int | None] = []  # where each leaf stands in ``items``; None for a Parameter
        self._find(chosen, titles, argnums is not None)
        if not self.leaves:
            raise NotDifferentiableError(
                f"check_grads: {self.name} has no argument to check.\n"
                "  expected: floating-point or complex arrays or numbers, or Parameters\n"
                "Write 3.0 for 3, or convert arrays with .astype(float)."
            )
        self.inputs = [block for leaf in self.leaves for block in leaf.blocks]
        self.cuts = np.cumsum([leaf.size for leaf in self.leaves])[:-1]
        self.outputs: list[Block] = []
        self.eps = np.zeros(0)
        self.wraps = False  # whether f is called with Tensors, since it does not understand arrays

    def _find(self, chosen, titles, named):
        place = -1
        for n, arg in enumerate(self.args):
            for item, path in zip(pytree.flatten(arg, is_leaf=_is_module)[0], _paths(arg), strict=True):
                place += 1
                if n not in chosen:
                    continue
                if _is_module(item):
                    owner = f" of {titles[n]}{path}" if titles[n] else ""
                    for name, parameter in item.named_parameters().items():
                        self._add(f"parameter {name!r}{owner}", parameter, None)
                elif isinstance(item, Parameter):
                    self._add(titles[n] + path, item, None)
                elif named and type(item) is int:
                    self._add(titles[n] + path, float(item), place)
                elif _is_inexact(item):
                    self._add(titles[n] + path, item, place)

    def _add(self, label, item, place):
        if not any(leaf.parameter is item for leaf in self.leaves):
            self.leaves.append(Leaf(label, item))
            self.places.append(place)

    def point(self) -> np.ndarray:
        """The real vector that stands for the arguments."""
        return np.concatenate([flat(leaf.original) for leaf in self.leaves]).astype(np.float64)

    def split(self, vector) -> list:
        return np.split(vector, self.cuts)

    def natives(self, vector, frozen=False) -> list:
        """One array or number a leaf, in double precision; ``frozen``: host arrays that cannot be written to."""
        return [leaf.native(p, frozen) for leaf, p in zip(self.leaves, self.split(vector), strict=True)]

    def originals(self) -> list:
        """The values of the leaves as they were given: those that can be written to as copies."""
        return [leaf.xp.own(leaf.original) if leaf.xp is not None else leaf.original for leaf in self.leaves]

    def reals(self, vector) -> list:
        """One real array or number a block."""
        return [r for leaf, p in zip(self.leaves, self.split(vector), strict=True) for r in leaf.reals(p)]

    def call(self, *values) -> list:
        """The outputs of ``f``, in a list, for one value a leaf; those of Parameters are held by the Parameters."""
        items = list(self.items)
        for place, value in zip(self.places, values, strict=True):
            if place is not None:
                items[place] = value
        return pytree.flatten(self.f(*self.tree.unflatten(items)))[0]

    def call_reals(self, *reals) -> list:
        """The outputs, as real blocks, for one real Tensor a block; differentiable."""
        rest, values, bound = iter(reals), [], {}
        for leaf in self.leaves:
            value = leaf.joined([next(rest) for _ in leaf.blocks])
            values.append(value)
            if leaf.parameter is not None:
                bound[leaf.parameter] = op.asarray(value)
        context = CONTEXT.get()
        token = CONTEXT.set(context.replace(bindings={**context.bindings, **bound}))
        try:
            outputs = self.call(*values)
        finally:
            CONTEXT.reset(token)
        parts = []
        for y in outputs:
            parts += [op.real(y), op.imag(y)] if _is_complex(y) else [y]
        return parts

    @contextlib.contextmanager
    def holding(self, values):
        """A block in which the Parameters have these values."""
        owners = [leaf.parameter for leaf in self.leaves]
        before = [None if p is None else p._value for p in owners]
        try:
            for parameter, value in zip(owners, values, strict=True):
                if parameter is not None:
                    parameter._value = value
            yield
        finally:
            for parameter, value in zip(owners, before, strict=True):
                if parameter is not None:
                    parameter._value = value

    def plain(self, values) -> list:
        """The outputs of ``f``, called as a user calls it, outside of every transform."""
        with self.holding(values), np.errstate(all="ignore"):
            if self.wraps:
                return self.call(*[Tensor(v) for v in values])
            return self.call(*values)

    def vector(self, outputs: list) -> np.ndarray:
        """Outputs as a vector, checked against those of the first call."""
        parts = [flat(y) for y in outputs]
        whole = np.concatenate(parts) if parts else np.zeros(0)
        if self.outputs and whole.size != sum(block.size for block in self.outputs):
            raise GradientCheckError(f"check_grads: {self.name} changes the shape of its output with its argument")
        return whole

    def value_at(self, vector) -> np.ndarray:
        """The output vector at another point; NaN where a matrix there cannot be factored."""
        try:
            return self.vector(self.plain(self.natives(vector)))
        except np.linalg.LinAlgError:
            return np.full(sum(block.size for block in self.outputs), np.nan)

    def complex_value_at(self, vector) -> np.ndarray | None:
        """The output at a complex point, for complex steps; None where ``f`` does not take it."""
        try:
            values = [leaf._array(p, False) for leaf, p in zip(self.leaves, self.split(vector), strict=True)]
            parts = [host(y).ravel() for y in self.plain(values)]
        except Exception:  # whatever f says to complex input: then there is no complex step
            return None
        return np.concatenate(parts).astype(complex)

    def describe(self, outputs: list) -> None:
        """Note what the outputs look like."""
        self.outputs, eps = [], []
        for k, y in enumerate(outputs):
            y = host(y)
            if y.dtype.kind not in "fc" and y.dtype.name != "bfloat16":
                raise NotDifferentiableError(
                    f"check_grads: output {k} of {self.name} is not differentiable.\n"
                    f"  got:      dtype {y.dtype}\n  expected: floating point or complex"
                )
            blocks = blocks_of("output" if len(outputs) == 1 else f"output {k}", y.shape, y.dtype.kind == "c")
            self.outputs += blocks
            eps += [rounding(y.dtype)] * (y.size * len(blocks))
        self.eps = np.array(eps)


def rounding(dtype) -> float:
    """The relative rounding of a dtype."""
    return float(np.finfo(dtype).eps) if dtype.name != "bfloat16" else 2.0**-7


def _positions(argnums, count) -> list[int]:
    """Which arguments are asked for, counted from the left."""
    asked = range(count) if argnums is None else [argnums] if isinstance(argnums, int) else list(argnums)
    for n in asked:
        if not -count <= n < count:
            raise TypeError(f"check_grads: argnums={argnums}, but there are {count} arguments")
    return [n % count for n in asked]


def _call_module(module, *args):
    return module(*args)


def _is_module(x) -> bool:
    return hasattr(x, "named_parameters")


def _is_inexact(x) -> bool:
    if type(x) in (float, complex):
        return True
    backend = backends.backend_of(x)
    return backend is not None and backend.is_inexact(x.dtype)


def _is_complex(x) -> bool:
    x = value_of(x)
    backend = backends.backend_of(x)
    return isinstance(x, complex) if backend is None else backend.is_complex(x.dtype)


def _paths(tree, prefix="") -> list[str]:
    """A readable path for each item, in the order of flattening; a Module is one item."""
    inside = None if _is_module(tree) else pytree.children_of(tree)
    if inside is None:
        return [prefix]
    return [p for name, child in zip(*inside, strict=True) for p in _paths(child, f"{prefix}[{name!r}]")]


def _names(f) -> list[str]:
    """The names of the positional arguments of ``f``, as far as it says them."""
    if isinstance(f, Operator):
        return [] if f.plan.variadic else list(f.plan.inputs)
    try:
        found = inspect.signature(f.call if isinstance(f, Module) else f).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
