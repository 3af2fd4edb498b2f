"""Programs: what a recorded run did to arrays, as a straight line of calls of the backend's functions.

A Program is a pure function of arrays. Its steps call functions of the array protocol (``backends.base``) by name, in
the order in which they ran; a Value is an array that an input gives, a constant holds or one step makes. Nothing of the
framework is left in it: no operators, no Tensors, no rules, so that passes know of arrays alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Value:
    """One array of a program: made once, never changed.

    ``shape`` and ``dtype`` are those it had when it was recorded, and has in every run; both are None for an opaque
    Python object that is computed outside (the numbers of an optimizer's step). ``index`` names it: unique within the
    programs of one compiled function. ``weak``: it stands for a Python number, a 0-d array of which gives way in
    promotion.
    """

    __slots__ = ("dtype", "index", "shape", "weak")

    def __init__(self, index: int, shape: tuple[int, ...] | None, dtype: Any, weak: bool = False):
        self.index, self.shape, self.dtype, self.weak = index, shape, dtype, weak

    def __repr__(self) -> str:
        return f"t{self.index}" if self.shape is None else f"t{self.index}:{self.dtype}{list(self.shape)}"


class Step:
    """One call: ``outputs = function(*args, **kwargs)``.

    ``function`` is the name of a function of the backend ("multiply", "conv", "linalg.solve") or of FUNCTIONS. Values
    stand in ``args`` and ``kwargs`` for arrays, also inside lists, tuples, dicts and slices; everything else there is
    as it is. ``outputs`` is a Value, or nested tuples and lists of them as the function returns them; None in place of
    an output that is no array. ``place`` is the Origin, file and line of the user's code and the operator's rule there;
    None where it is not known.
    """

    __slots__ = ("_makes", "_reads", "args", "function", "kwargs", "outputs", "place")

    def __init__(self, function: str, args: tuple, kwargs: dict[str, Any], outputs: Any, place: Any = None):
        self.function, self.args, self.kwargs, self.outputs, self.place = function, args, kwargs, outputs, place
        self._reads: tuple[Value, ...] | None = None  # passes ask for them again and again
        self._makes: tuple[Value, ...] | None = None

    @property
    def reads(self) -> tuple[Value, ...]:
        """The Values in the arguments, in order, each as often as it stands there."""
        if self._reads is None:
            self._reads = (*values_in(self.args), *(values_in(self.kwargs) if self.kwargs else ()))
        return self._reads

    @property
    def makes(self) -> tuple[Value, ...]:
        """The Values among the outputs, in order."""
        if self._makes is None:
            self._makes = (self.outputs,) if type(self.outputs) is Value else tuple(values_in(self.outputs))
        return self._makes

    def replace(self, swap: Callable[[Value], Any]) -> Step:
        """The step with ``swap(value)`` in place of each Value that it reads; the same step where none changes."""
        args, kwargs = map_values(swap, self.args), map_values(swap, self.kwargs)
        if args is self.args and kwargs is self.kwargs:
            return self
        return Step(self.function, args, kwargs, self.outputs, self.place)

    def __repr__(self) -> str:
        named = [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.outputs!r} = {self.function}({', '.join([*map(repr, self.args), *named])})"


class Program:
    """A straight line of steps: ``outputs`` of ``inputs``.

    ``constants`` are arrays by the Values that stand for them; nobody changes them. Each Value is an input, a constant
    or made by one step, before it is read. An input may also be an output, and a Value may be an output twice. ``xp``
    is the backend whose functions the steps name.
    """

    __slots__ = ("constants", "inputs", "outputs", "steps", "xp")

    def __init__(
        self,
        xp: Any,
        inputs: Iterable[Value],
        steps: Iterable[Step],
        outputs: Iterable[Value],
        constants: dict[Value, Any] | None = None,
    ):
        self.xp = xp
        self.inputs, self.steps, self.outputs = list(inputs), list(steps), list(outputs)
        self.constants = dict(constants or {})

    def replace(self, **changes: Any) -> Program:
        """A copy with other ``inputs``, ``steps``, ``outputs`` or ``constants``."""
        kept = {name: getattr(self, name) for name in self.__slots__}
        return Program(**{**kept, **changes})

    def __call__(self, *arrays: Any) -> list[Any]:
        """Run step by step, as it stands: the outputs for these arrays in the place of ``inputs``.

        What passes and generated code have to agree with; they are faster.
        """
        known = dict(self.constants)
        known.update(zip(self.inputs, arrays, strict=True))
        for step in self.steps:
            made = function_of(self.xp, step.function)(
                *map_values(known.__getitem__, step.args), **map_values(known.__getitem__, step.kwargs)
            )
            known.update(paired(step.outputs, made))
        return [known[value] for value in self.outputs]

    def __repr__(self) -> str:
        lines = [f"inputs {self.inputs}", *map(repr, self.steps), f"outputs {self.outputs}"]
        return "\n".join(lines)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``; entries of the index may be arrays."""
    return operator.getitem(x, index)


# Functions that steps name and that are no functions of the backends.
FUNCTIONS: dict[str, Callable[..., Any]] = {"getitem": getitem}


def function_of(xp: Any, name: str) -> Callable[..., Any]:
    """The function that a step names: of FUNCTIONS, or of the backend ``xp``."""
    found = FUNCTIONS.get(name)
    return operator.attrgetter(name)(xp) if found is None else found


def known_shape(x: Any) -> Any:
    """``x``, behind a check of its shape, which depends on values."""
    return x


FUNCTIONS["known_shape"] = known_shape


def compiles(xp: Any) -> bool:
    """Whether the library of a backend compiles functions."""
    return xp.compile(known_shape) is not known_shape


def values_in(tree: Any) -> Iterator[Value]:
    """The Values in nested lists, tuples, dicts and slices."""
    if type(tree) is Value:
        yield tree
    elif type(tree) in (list, tuple):
        for each in tree:
            yield from values_in(each)
    elif type(tree) is dict:
        yield from values_in(list(tree.values()))
    elif type(tree) is slice:
        yield from values_in((tree.start, tree.stop, tree.step))


def map_values(f: Callable[[Value], Any], tree: Any) -> Any:
    """``tree`` with ``f(value)`` in the place of each Value; ``tree`` itself where nothing changes."""
    kind = type(tree)
    if kind is Value:
        return f(tree)
    if kind is tuple or kind is list:
        mapped, changed = [], False
        for each in tree:
            new = map_values(f, each) if type(each) in _MAPPED else each
            changed = changed or new is not each
            mapped.append(new)
        return kind(mapped) if changed else tree
    if kind is dict:
        before = list(tree.values())
        values = map_values(f, before)
        return tree if values is before else dict(zip(tree, values, strict=True))
    if kind is slice:
        before = [tree.start, tree.stop, tree.step]
        values = map_values(f, before)
        return tree if values is before else slice(*values)
    return tree


_MAPPED = frozenset((Value, tuple, list, dict, slice))  # what may hold Values


def paired(outputs: Any, made: Any) -> Iterator[tuple[Value, Any]]:
    """Each Value of a step's outputs with what the function has made for it."""
    if type(outputs) is Value:
        yield outputs, made
    elif outputs is not None:
        for value, one in zip(outputs, made, strict=True):
            yield from paired(value, one)
