"""Modules: functions composed of operators and other modules, with parameters they own."""

import reprlib
from collections import deque
from types import MemberDescriptorType
from typing import Any
from weakref import WeakKeyDictionary

from zkynet import backends

from .function import Function, Parameter, Possession, State


class Module(Function):
    """A Function that a user composes: parameters and submodules are plain attributes, ``call`` says what it does.

    ``module(x)`` runs ``call``. Parameters are array-like inside it: ``x @ self.weight + self.bias``.
    """

    def call(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} needs a method call(self, ...)")

    def __call__(self, *inputs, **settings):
        return self.call(*inputs, **settings)

    def named_possessions(self, kind=Parameter) -> dict[str, Any]:
        """Every owned Parameter (or State, Constant) by its path, ``layers.0.weight``; a shared one once."""
        found: dict[str, Any] = {}
        seen = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Possession):
                if isinstance(node, kind):
                    if path in found:
                        raise ValueError(f"{type(self).__name__}: two things in it have the path {path!r}; rename one")
                    found[path] = node
                continue
            for name, child in reversed(_children(node)):
                stack.append((f"{path}.{name}" if path else str(name), child))
        return found

    def named_parameters(self) -> dict[str, Parameter]:
        """Every Parameter by its path, ``layers.0.weight``; a shared one once, under its first path."""
        return self.named_possessions(Parameter)

    def named_states(self) -> dict[str, State]:
        """Every State by its path."""
        return self.named_possessions(State)

    def parameters(self) -> list[Parameter]:
        """Every Parameter once."""
        return list(self.named_parameters().values())

    def tree_flatten(self):
        """As a container a Module holds its Parameters."""
        named = self.named_parameters()
        return list(named), list(named.values())

    def tree_unflatten(self, children):
        """What has the structure of a Module, its gradient say, is a dict keyed by parameter name."""
        return dict(zip(self.named_parameters(), children, strict=True))

    def to(self, backend=None) -> "Module":
        """Move everything that the module owns to another backend, in place; gives the module."""
        target = backends.get(backend) if backend is not None else backends.default_backend()
        for possession in self.named_possessions(Possession).values():
            home = backends.backend_of(possession._value)
            if home is not None and home is not target:
                possession._value = target.own(target.asarray(home.to_numpy(possession._value)))
        return self

    @reprlib.recursive_repr("...")
    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={child!r}" for name, child in _children(self))
        return f"{type(self).__name__}({inside})"


def _children(node) -> list[tuple[Any, Any]]:
    """The named things in a module or a container that are, or may hold, modules and possessions."""
    if isinstance(node, (list, tuple, deque)):
        items: Any = enumerate(node)
    elif isinstance(node, dict):
        items = node.items()
    elif isinstance(node, (set, frozenset)):
        if any(isinstance(x, (Possession, Module)) for x in node):
            raise TypeError("modules and parameters in a set have no order, and so no names: keep them in a list")
        return []
    else:
        fixed = _fixed_names(type(node))
        items = vars(node).items() if hasattr(node, "__dict__") else ()
        if fixed:
            items = {**{name: getattr(node, name, None) for name in fixed}, **dict(items)}.items()
    return [
        (name, child)
        for name, child in items
        if type(child) not in _PLAIN and (isinstance(child, _INSIDE) or hasattr(type(child), "__dataclass_fields__"))
    ]


_PLAIN = frozenset((int, float, str, bool, type(None)))  # the most frequent of what holds nothing, asked first
_INSIDE = (Possession, Module, list, tuple, dict, deque, set, frozenset)


_fixed: WeakKeyDictionary = WeakKeyDictionary()


def _fixed_names(cls) -> list[str]:
    """What a class holds for its instances beside their ``__dict__``: slots, and possessions and modules of its own."""
    names = _fixed.get(cls)
    if names is None:
        kinds = (Possession, Module, MemberDescriptorType)
        found = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
        names = _fixed[cls] = [name for name, value in found.items() if isinstance(value, kinds)]
    return names
