"""Containers of arrays: tuples, lists, dicts, named tuples, dataclasses and Modules, nested in any way.

A leaf is anything else. ``None`` is a container without leaves. What a class of one's own contains can be said with
two methods: ``tree_flatten(self) -> (names, children)``, where children stand in the order of their names, and the
class method or method ``tree_unflatten(self, children)``, which gives the container with other children.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any


@lru_cache(256)
def _holds_nothing(cls: type) -> bool:
    """Whether the instances of a class are leaves, all of them."""
    if issubclass(cls, type):
        return False
    container = issubclass(cls, (dict, tuple, list)) or hasattr(cls, "tree_flatten") or _is_dataclass(cls)
    return not container


def children_of(node: Any) -> tuple[list, list] | None:
    """The names and the children of a container; None for a leaf."""
    cls: Any = type(node)
    if cls is tuple or cls is list:
        return list(range(len(node))), list(node)
    if node is None:
        return [], []
    if _holds_nothing(cls):
        return None
    if isinstance(node, dict):
        return list(node), list(node.values())
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return list(node._fields), list(node)
    if hasattr(cls, "tree_flatten"):
        names, children = node.tree_flatten()
        return list(names), list(children)
    if _is_dataclass(cls):
        names = _fields(node)
        return names, [getattr(node, name) for name in names]
    if isinstance(node, (tuple, list)):
        return list(range(len(node))), list(node)
    return None


def rebuild(node: Any, children: list) -> Any:
    """A container like ``node`` that holds ``children``."""
    cls = type(node)
    if node is None:
        return None
    if cls is tuple or cls is list:
        return cls(children)
    if isinstance(node, dict):
        pairs = dict(zip(node, children, strict=True))  # a Counter would count pairs
        if hasattr(node, "default_factory"):
            return cls(node.default_factory, pairs)
        return cls(pairs)
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return cls._make(children)
    if hasattr(cls, "tree_unflatten"):
        return node.tree_unflatten(children)
    if _is_dataclass(cls):
        return _rebuild_dataclass(node, children)
    return cls(children)


def _is_dataclass(cls: type) -> bool:
    return hasattr(cls, "__dataclass_fields__")


def _fields(node: Any) -> list[str]:
    import dataclasses  # it costs half a millisecond, and whoever has one has loaded it

    return [field.name for field in dataclasses.fields(node)]


def _rebuild_dataclass(node: Any, children: list) -> Any:
    # Not dataclasses.replace: fields with init=False are values like the others, and __post_init__ has run before.
    new = object.__new__(type(node))
    for name, child in zip(_fields(node), children, strict=True):
        object.__setattr__(new, name, child)
    return new


class Treedef:
    """The structure of a tree: everything but its leaves."""

    __slots__ = ("children", "node")

    def __init__(self, node: Any = None, children: "list[Treedef] | None" = None):
        self.node, self.children = node, children  # children is None for a leaf

    def unflatten(self, leaves: Iterable) -> Any:
        """The tree of this structure with other leaves, in the order of ``flatten``."""
        return self._build(iter(leaves))

    def _build(self, leaves) -> Any:
        if self.children is None:
            return next(leaves)
        return rebuild(self.node, [next(leaves) if c is LEAF else c._build(leaves) for c in self.children])

    def __repr__(self) -> str:
        return f"Treedef({self.unflatten('*' for _ in range(self.count()))!r})"

    def count(self) -> int:
        """The number of leaves."""
        return 1 if self.children is None else sum(child.count() for child in self.children)


LEAF = Treedef()


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list, Treedef]:
    """The leaves of a tree, in order, and its structure."""
    leaves: list = []
    return leaves, _flatten_into(tree, leaves, is_leaf)


def _flatten_into(node: Any, leaves: list, is_leaf) -> Treedef:
    inside = None if is_leaf is not None and is_leaf(node) else children_of(node)
    if inside is None:
        leaves.append(node)
        return LEAF
    return Treedef(node, [_flatten_into(child, leaves, is_leaf) for child in inside[1]])


def flatten_like(structure: Treedef, tree: Any, path: str = "") -> list:
    """The leaves of ``tree`` in the order of ``structure``: dicts and Modules go by name, whatever their order.

    A dict of names may stand for a Module, a list for a tuple. ValueError, with the path, where the two do not match.
    """
    if structure.children is None:
        return [tree]
    inside = children_of(structure.node)
    names = list(inside[0]) if inside else []
    found = _named_children(structure.node, names, tree)
    if found is None:
        at = f" at {path}" if path else ""
        raise ValueError(f"got:      {_outline(tree)}{at}\n  expected: {_outline(structure.node)}{at}")
    leaves: list = []
    for name, part, child in zip(names, structure.children, found, strict=True):
        leaves += flatten_like(part, child, f"{path}[{name!r}]")
    return leaves


def _named_children(node: Any, names: list, tree: Any) -> list | None:
    """The children of ``tree`` by the names of ``node``; None where it has others."""
    inside = children_of(tree)
    if node is None or inside is None:
        return [] if node is None and tree is None else None
    sequences = isinstance(node, (tuple, list)) and isinstance(tree, (tuple, list))
    if not sequences and type(tree) is not type(node) and not isinstance(tree, dict):
        return None
    if sequences:
        return inside[1] if len(inside[1]) == len(names) else None
    children = dict(zip(*inside, strict=True))
    return [children[name] for name in names] if children.keys() == set(names) else None


def _outline(tree: Any) -> str:
    """A container in a few words."""
    inside = children_of(tree)
    kind = type(tree).__name__
    if inside is None or tree is None:
        return kind
    if isinstance(tree, (tuple, list)):
        return f"{kind} of {len(inside[1])}"
    return f"{kind} with {', '.join(map(str, inside[0])) or 'nothing'}"


def map_tree(function: Callable, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """A tree of the same structure with ``function`` applied to every leaf."""
    inside = None if is_leaf is not None and is_leaf(tree) else children_of(tree)
    if inside is None:
        return function(tree)
    return rebuild(tree, [map_tree(function, child, is_leaf) for child in inside[1]])


def paths(tree: Any, prefix: str = "") -> list[str]:
    """One readable path a leaf, in the order of ``flatten``: ``['w'][0].bias``."""
    inside = children_of(tree)
    if inside is None:
        return [prefix]
    named = isinstance(tree, tuple) and hasattr(tree, "_fields")
    dotted = named or not isinstance(tree, (dict, list, tuple))
    found = []
    for name, child in zip(*inside, strict=True):
        found += paths(child, f"{prefix}.{name}" if dotted else f"{prefix}[{name!r}]")
    return found
