"""The tree of what a compiled function does: straight lines of steps, and the places where values decide.

Each recording is one path from the root to a leaf. Where Python read a value (``if loss < best``) the path goes on by
the answer. Paths that share a beginning share it here; a place with one known answer is only checked, a place with
several is a fork.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from zkynet import backends

from .program import FUNCTIONS, Step, Value
from .sources import Source
from .tape import Guard, NotRecordableError, outcome_of

UPDATE = "update_in_blocks"


class UnexpectedError(Exception):
    """A value that decides has an answer that is not known yet on this path."""


def expect(x: Any, reader: Any, outcome: Any, place: Any = None) -> None:
    """UnexpectedError where ``reader(x)`` is not the ``outcome`` that the rest was recorded for."""
    found = outcome_of(reader(x))
    if found != outcome:
        raise unexpected(reader, found, place)


def unexpected(reader: Any, outcome: Any, place: Any) -> UnexpectedError:
    """The error for an answer that has not been met at this place."""
    where = "in zkynet" if place is None else f"{place[0]}:{place[1]}"
    return UnexpectedError(f"{where}: {reader.__name__}(...) was {outcome[1]!r:.60} for the first time")


FUNCTIONS["expect"] = expect


class Leaf:
    """The end of a path: ``results`` are the Values that the function returns, ``sinks`` what takes which Value.

    ``rebuild`` makes the returned object of the results' arrays; ``effects`` are called behind a replay.
    """

    __slots__ = ("effects", "rebuild", "results", "sinks")

    def __init__(self, results: list[Value], rebuild: Any, sinks: list[tuple[Source, Value]], effects: list[Any]):
        self.results, self.rebuild, self.sinks, self.effects = results, rebuild, sinks, effects

    @property
    def outputs(self) -> list[Value]:
        """All Values that leave the program here."""
        return [*self.results, *[value for _, value in self.sinks]]

    def swapped(self, swap: dict[Value, Value]) -> Leaf:
        results = [swap.get(v, v) for v in self.results]
        return Leaf(results, self.rebuild, [(sink, swap.get(v, v)) for sink, v in self.sinks], self.effects)


class Node:
    """Steps in a row; then a Guard with the Nodes that follow by outcome, or a Leaf."""

    __slots__ = ("children", "end", "steps")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.end: Guard | Leaf | None = None
        self.children: dict[Any, Node] = {}


class Tree:
    """All paths recorded for one kind of call; it numbers the Values."""

    def __init__(self) -> None:
        self.root = Node()
        self.inputs: dict[Source, Value] = {}
        self.constants: dict[Value, Any] = {}
        self.paths = 0
        self.clock = [0]  # counts the calls: what is computed once a call looks at it
        self._count = 0

    def value(self, shape: tuple[int, ...], dtype: Any) -> Value:
        """A new Value."""
        self._count += 1
        return Value(self._count, shape, dtype)

    def input(self, source: Source, array: Any) -> Value:
        """The Value of an input, the same one in every recording."""
        found = self.inputs.get(source)
        if found is None:
            found = self.inputs[source] = self.value(tuple(array.shape), array.dtype)
        return found

    def add(self, items: Iterable[Step | Guard], constants: dict[Value, Any], leaf: Leaf) -> None:
        """Put in one recorded path.

        NotRecordableError where it does something else than the recorded ones before any value has decided: it depends
        on something that is not seen.
        """
        merge = _Merge(self, constants)
        for item in items:
            if isinstance(item, Step):
                merge.step(item)
            else:
                merge.guard(item)
        merge.leaf(leaf)
        self.constants.update({merge.swap.get(v, v): array for v, array in constants.items() if v not in merge.swap})
        self.paths += 1


class _Merge:
    """A walk down the tree along a recorded path, which it continues where the tree ends."""

    def __init__(self, tree: Tree, constants: dict[Value, Any]):
        self.tree, self.constants = tree, constants
        self.swap: dict[Value, Value] = {}
        self.node, self.position = tree.root, 0
        self.open = tree.root.end is None

    def step(self, new: Step) -> None:
        if self.open:
            self.node.steps.append(new.replace(self._swapped) if self.swap else new)
            return
        if self.position == len(self.node.steps):
            raise _other(new.place)
        old = self.node.steps[self.position]
        if (
            old.function != new.function
            or not self._same((old.args, old.kwargs), (new.args, new.kwargs))
            or not self._outputs(old.outputs, new.outputs)
        ):
            raise _other(new.place)
        self.position += 1

    def guard(self, new: Guard) -> None:
        value = self._swapped(new.value)
        if self.open:
            self.node.end = Guard(value, new.reader, new.outcome, new.place)
        else:
            end = self.node.end
            if self.position < len(self.node.steps) or not isinstance(end, Guard):
                raise _other(new.place)
            if not self._same(end.value, new.value) or end.reader is not new.reader:
                raise _other(new.place)
        child = self.node.children.get(new.outcome)
        self.open = child is None
        if child is None:
            child = self.node.children[new.outcome] = Node()
        self.node, self.position = child, 0

    def leaf(self, leaf: Leaf) -> None:
        if not self.open and (self.position < len(self.node.steps) or isinstance(self.node.end, Guard)):
            raise _other(None)
        self.node.end = leaf.swapped(self.swap)

    def _swapped(self, value: Value) -> Value:
        return self.swap.get(value, value)

    def _outputs(self, old: Any, new: Any) -> bool:
        """Whether two steps make the same; their outputs are one from here on."""
        if isinstance(old, Value) and isinstance(new, Value):
            self.swap[new] = old
            return old.shape == new.shape and old.dtype == new.dtype
        if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
            return all([self._outputs(o, n) for o, n in zip(old, new, strict=True)])
        return old is None and new is None

    def _same(self, old: Any, new: Any) -> bool:
        """Whether two arguments are the same."""
        if isinstance(old, Value):
            if not isinstance(new, Value):
                return False
            if self._swapped(new) is old:
                return True
            if old in self.tree.constants and new in self.constants:
                self.swap[new] = old
                return _equal_arrays(self.tree.constants[old], self.constants[new])
            return False
        if type(old) is not type(new):
            return False
        if isinstance(old, (list, tuple)):
            return len(old) == len(new) and all([self._same(o, n) for o, n in zip(old, new, strict=True)])
        if isinstance(old, dict):
            return old.keys() == new.keys() and self._same(list(old.values()), list(new.values()))
        if isinstance(old, slice):
            return self._same((old.start, old.stop, old.step), (new.start, new.stop, new.step))
        return old is new or outcome_of(old) == outcome_of(new)


def _equal_arrays(a: Any, b: Any) -> bool:
    xp = backends.backend_of(a)
    if xp is not backends.backend_of(b) or a.dtype != b.dtype or tuple(a.shape) != tuple(b.shape):
        return False
    return xp.to_numpy(a).tobytes() == xp.to_numpy(b).tobytes()  # type: ignore[union-attr]


def _other(place: Any) -> NotRecordableError:
    where = "" if place is None else f" at {place[0]}:{place[1]}"
    return NotRecordableError(
        f"it did something else than before{where}, though nothing that it is seen to depend on has changed"
    )


class Stretch:
    """A way down the tree up to the next fork or leaf: what becomes one program.

    ``steps`` are in order, with "expect" in place of guards that have one known answer. ``end`` is a Leaf, or the Node
    whose guard is the fork.
    """

    def __init__(self, node: Node):
        self.steps: list[Step] = []
        while True:
            self.steps += node.steps
            if isinstance(node.end, Leaf) or len(node.children) != 1:
                break
            [(outcome, child)] = node.children.items()
            guard: Any = node.end
            where = guard.place and guard.place[:2]  # file and line
            self.steps.append(Step("expect", (guard.value, guard.reader, outcome, where), {}, None, guard.place))
            node = child
        end: Any = node.end if isinstance(node.end, Leaf) else node
        self.end = end
        self.children: dict[Any, Stretch] = {}
        if isinstance(self.end, Leaf):
            self.steps = _updates_last(self.steps)
        self.made = {value for step in self.steps for value in step.makes}
        reads = {value for step in self.steps for value in step.reads}
        reads.update(end.outputs if self.is_leaf else [end.end.value])
        self.missing = reads - self.made  # comes from further up, or from outside

    @property
    def is_leaf(self) -> bool:
        return isinstance(self.end, Leaf)

    def grow(self) -> Iterator[Stretch]:
        """The stretches behind the fork, made where they are not known yet."""
        if not self.is_leaf:
            for outcome, child in self.end.children.items():
                if outcome not in self.children:
                    self.children[outcome] = Stretch(child)
                yield self.children[outcome]


def _updates_last(steps: list[Step]) -> list[Step]:
    """The steps with updates of parameters at the end, where nothing reads what they make: behind every check."""
    read = {value for step in steps for value in step.reads}
    updates = [step for step in steps if step.function == UPDATE and not read.intersection(step.makes)]
    return [step for step in steps if step not in updates] + updates if updates else steps


def needed_below(stretch: Stretch) -> set[Value]:
    """The Values that the stretches behind a fork take from further up."""
    needed: set[Value] = set()
    for child in stretch.grow():
        needed |= child.missing | (needed_below(child) - child.made)
    return needed
