"""The arguments of a call: which of them are arrays, and what tells one kind of call from another."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

from zkynet import backends

from .. import pytree
from ..function import Function, Input
from ..record import CONTEXT, Tensor, tensor_of

_NUMBERS = (int, float, complex)
STATIC = (*_NUMBERS, bool, str, bytes, type(None))
_PLAIN_CONTAINERS = (list, tuple, dict)


class Call:
    """The arguments of one call: its arrays, and the rest by value or identity.

    ``odd`` says what cannot be put together again of its children: a list with attributes, say; None where all can.
    """

    __slots__ = ("arrays", "key", "leaves", "odd")

    def __init__(self, args: tuple, kwargs: dict[str, Any]):
        self.arrays: list[Any] = []
        self.leaves: list[Any] = []
        self.odd: str | None = None
        key: list[Any] = [CONTEXT.get().recording, backends.default_backend(), len(args)]
        for x in args:
            self._take(x, key)
        for name, x in kwargs.items():
            key.append(name)
            self._take(x, key)
        if len(self.arrays) > 1:
            same = list(map(id, self.arrays))
            if len(set(same)) < len(same):  # one array as two arguments: what is computed of them is one, too
                key.append(tuple(map(same.index, same)))
        self.key = tuple(key)

    @property
    def title(self) -> str:
        """The arrays, in words."""
        return "arrays " + (", ".join([f"{tuple(x.shape)} {x.dtype}" for x in self.arrays]) or "none")

    def _take(self, x: Any, key: list[Any]) -> None:
        kind = type(x)
        if kind in backends.BACKEND_BY_TYPE or is_array(x):  # a library's first array makes its type known
            self.arrays.append(x)
            key += kind, x.shape, x.dtype
        elif kind in STATIC:
            key += kind, _told(x)
        elif kind is Tensor and x.record is None and type(x._value) not in STATIC:
            self.arrays.append(x._value)
            key += [kind, type(x._value), x._value.shape, x._value.dtype]
        elif is_whole(x) or (inside := pytree.children_of(x)) is None:
            self._take_object(x, key)
        else:
            if kind not in _PLAIN_CONTAINERS:
                self.leaves.append(kind)  # its methods may read what is not in its fields
                self._take_beside(x, inside, key)
            names, children = inside
            key += [kind, len(children)]
            for name, child in zip(names, children, strict=True):
                self._take_name(name, key)
                self._take(child, key)

    def _take_object(self, x: Any, key: list[Any]) -> None:
        key += [type(x), id(x)]
        self.leaves.append(x)

    def _take_name(self, name: Any, key: list[Any]) -> None:
        """A name in a container: 1, 1.0 and True are one key to a dict, and three to code that looks at it."""
        kind = type(name)
        if kind is str or kind is int:
            key.append(name)
        elif kind is tuple:
            key += [kind, len(name)]
            for each in name:
                self._take_name(each, key)
        elif kind in STATIC:
            key += kind, _told(name)
        else:
            self._take_object(name, key)

    def _take_beside(self, x: Any, inside: tuple[list, list], key: list[Any]) -> None:
        """What a container holds beside its children: attributes of a list, those that ``tree_flatten`` leaves out."""
        for name, value in beside(x, inside):
            key.append(name)
            if type(value) in STATIC:
                self._take(value, key)
            else:
                self._take_object(value, key)
        self.odd = self.odd or oddity(x, inside)


def _told(x: Any) -> Any:
    """Something equal for equal numbers and strings alone: NaN is NaN, and 0.0 is not -0.0."""
    kind = type(x)
    return repr(x) if kind is complex or kind is float and (not x or x != x) else x


def beside(x: Any, inside: tuple[list, list]) -> list[tuple[str, Any]]:
    """The attributes of a container that are not among its children, which are ``inside``."""
    held = dict(getattr(x, "__dict__", None) or {})
    for base in type(x).__mro__:
        for name, what in vars(base).items():
            if type(what) is MemberDescriptorType and hasattr(x, name):
                held[name] = getattr(x, name)
    known = [(name, id(child)) for name, child in zip(*inside, strict=True) if type(name) is str]
    return [(name, value) for name, value in held.items() if (name, id(value)) not in known]


def oddity(x: Any, inside: tuple[list, list]) -> str | None:
    """What a container like ``x`` would lose that is made of other children, in words; None where nothing."""
    if type(x) in _PLAIN_CONTAINERS or x is None or hasattr(type(x), "tree_unflatten"):
        return None
    lost = [name for name, _ in beside(x, inside) if not (name == "default_factory" and isinstance(x, dict))]
    return f"a {type(x).__name__} with attributes of its own, {', '.join(lost)}" if lost else None


def without_numbers(key: tuple) -> tuple:
    """What tells one kind of call from another, less the values of Python numbers: they stand behind their type."""
    return tuple([None if type(before) is type and before in _NUMBERS else x for before, x in zip((None, *key), key)])


def argument_names(function: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> dict[int, str]:
    """Names for the arrays among the arguments, by their ids: those of the function's parameters."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = []
    given = dict(kwargs)
    given.update({parameters[i] if i < len(parameters) else f"argument_{i}": x for i, x in enumerate(args)})
    return {id(x._value if type(x) is Tensor else x): name for name, x in given.items()}


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array of a backend."""
    try:
        return type(x) not in STATIC and hasattr(x, "dtype") and backends.backend_of(x) is not None
    except TypeError:  # subclasses of NumPy's array that backends refuse
        return False


def is_whole(x: Any) -> bool:
    """Whether ``x`` is one argument, whatever it holds: a Module, a Parameter."""
    return isinstance(x, (Function, Input))


def identities(x: Any) -> Any:
    """What a tree holds, by identity."""
    inside = None if is_whole(x) else pytree.children_of(x)
    if inside is None:
        return id(x._value) if type(x) is Tensor else id(x)
    return [list(inside[0]), [identities(each) for each in inside[1]]]


def with_stand_ins(tree: Any, stand_ins: dict[int, Any]) -> Any:
    """The tree with stand-ins, by the ids of what they stand for, in the place of arrays."""

    def replaced(x: Any) -> Any:
        if type(x) is Tensor:
            found = stand_ins.get(id(x._value))
            return x if found is None else tensor_of(found)
        return stand_ins.get(id(x), x)

    return pytree.map_tree(replaced, tree, is_whole)
