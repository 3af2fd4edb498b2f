"""What a recorded function returns and leaves behind: how it is made anew of the arrays of each replay."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from zkynet import backends

from .. import pytree
from ..record import HOST, Tensor, tensor_of
from .arguments import beside, is_whole, oddity
from .places import PLAIN
from .tape import NotRecordableError, Tape

_FIXED = (enum.Enum, type, ModuleType)  # what every call would return as the same object


def result_of(returned: Any, tape: Tape, known: Callable[[Any], bool]) -> tuple[Callable[[list], Any], list[Any]]:
    """What makes the returned object of its arrays, and these arrays.

    ``known`` tells objects that were there before the run: they are returned as they are. Numbers, strings and such
    were guarded. NotRecordableError for other objects, an iterator say: each call has to make one of its own.
    """
    leaves, tree = pytree.flatten(returned, is_whole)
    _check_nodes(tree, known)
    kept: list[Any] = []
    makers: list[Any] = []
    for leaf in leaves:
        x = leaf._value if type(leaf) is Tensor else leaf
        if type(leaf) is Tensor and leaf.record is not None:
            raise NotRecordableError("it returns a Tensor with a history outside of it, which a replay would lose")
        if isinstance(leaf, Tensor) and type(leaf) is not Tensor:
            raise NotRecordableError(f"it returns a {type(leaf).__name__}")
        if not isinstance(x, tape.recorder.array_type) and not is_whole(x) and backends.backend_of(x) is not None:
            x = tape.incoming(x)
        if isinstance(x, tape.recorder.array_type):
            kept.append(x)
            makers.append(
                _as_tensor if type(leaf) is Tensor else _as_scalar if HOST.is_host_scalar(x.array) else _as_it_is
            )
        elif _stays(leaf, known):
            makers.append(leaf)
        else:
            raise NotRecordableError(f"it returns a {type(leaf).__name__}, and each call another one")
    return _Rebuild(tree, makers), kept


def _stays(x: Any, known: Callable[[Any], bool]) -> bool:
    """Whether every call may return this very object."""
    if type(x) is Tensor:
        x = x._value
    if type(x) in (tuple, frozenset):
        return all([_stays(each, known) for each in x])
    return type(x) in PLAIN or isinstance(x, _FIXED) or HOST.is_host_scalar(x) or known(x)


def _check_nodes(tree: Any, known: Callable[[Any], bool]) -> None:
    """NotRecordableError for containers that cannot be made of their children alone."""
    if tree.children is None or tree.node is None:
        return
    inside: Any = pytree.children_of(tree.node)
    lost = oddity(tree.node, inside)
    kept = [] if type(tree.node) in (list, tuple, dict) else beside(tree.node, inside)
    moving = [name for name, value in kept if not _stays(value, known) and type(value) is not FunctionType]
    if lost or moving:
        raise NotRecordableError(f"it returns {lost or f'a {type(tree.node).__name__} that holds {moving[0]}'}")
    for child in tree.children:
        _check_nodes(child, known)


def own(inner: Any, x: Any) -> Any:
    """``x`` as an array that belongs to the caller."""
    return x if HOST.is_host_scalar(x) else inner.own(x)


class _Rebuild:
    """Puts the arrays of a result into their places."""

    def __init__(self, tree: Any, makers: list[Any]):
        self.tree, self.makers = tree, makers
        self._is_maker = [any([m is maker for maker in (_as_tensor, _as_scalar, _as_it_is)]) for m in makers]
        self.is_array = tree is pytree.LEAF and makers[0] is _as_it_is

    def __call__(self, arrays: list[Any]) -> Any:
        if self.is_array:
            return arrays[0]
        rest = iter(arrays)
        made = [m(next(rest)) if is_maker else m for m, is_maker in zip(self.makers, self._is_maker, strict=True)]
        return self.tree.unflatten(made)


def _as_tensor(x: Any) -> Tensor:
    return tensor_of(x)


def _as_scalar(x: Any) -> Any:
    return x[()]


def _as_it_is(x: Any) -> Any:
    return x


class Cleaner:
    """Puts arrays in the place of recorded ones in what a run has left in containers and new objects.

    ``arrays(recorded)`` gives the array; ``found`` says whether there were any.
    """

    def __init__(self, recorded: type, arrays: Callable[[Any], Any], known: Callable[[Any], bool]):
        self._recorded, self._arrays, self._known = recorded, arrays, known
        self.found = False
        self._made: dict[int, Any] = {}
        self._seen: dict[int, Any] = {}

    def clean(self, x: Any, deep: int = 8) -> Any:
        """``x`` without recorded arrays; containers that can be written to stay the same objects."""
        kind = type(x)
        if issubclass(kind, self._recorded):
            return self._array(x)
        if kind in PLAIN or id(x) in self._seen or not deep:
            return x
        if kind is Tensor:
            value = self.clean(x._value)
            return x if value is x._value else tensor_of(value)
        if isinstance(x, tuple):
            children = [self.clean(each, deep - 1) for each in x]
            same = all([new is old for new, old in zip(children, x, strict=True)])
            return x if same else kind._make(children) if hasattr(kind, "_make") else kind(children)  # type: ignore[attr-defined]
        self._seen[id(x)] = x
        if isinstance(x, (list, deque)):
            self._write(enumerate(list(x)), x.__setitem__, deep)
        elif isinstance(x, dict):
            self._write(list(x.items()), x.__setitem__, deep)
        elif type(getattr(x, "__dict__", None)) is dict and not isinstance(x, _FIXED) and not self._known(x):
            self._write(list(vars(x).items()), vars(x).__setitem__, deep)
        return x

    def _array(self, x: Any) -> Any:
        self.found = True
        if id(x.array) not in self._made:
            self._made[id(x.array)] = self._arrays(x)
        return self._made[id(x.array)]

    def _write(self, items: Any, put: Callable[[Any, Any], None], deep: int) -> None:
        for key, old in items:
            new = self.clean(old, deep - 1)
            if new is not old:
                put(key, new)
