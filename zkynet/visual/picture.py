"""What a drawing shows, before anything has a place: nodes, edges and the boxes around them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

BoxPath = tuple[str, ...]

KINDS = ("input", "parameter", "constant", "state", "operator", "output", "module")


@dataclass(frozen=True)
class PictureNode:
    """One rectangle with lines of text.

    ``kind`` is one of ``KINDS`` and decides colour and outline; any other is drawn as an operator. ``details`` are
    small grey lines (shape, dtype); ``value`` and ``gradient`` one text each, None where there is none. ``boxes`` is
    the path of the box that the node stands in, outermost first, ``()`` for none. ``tooltip`` is the long text shown on
    hovering, by default all lines in full.
    """

    id: str
    kind: str
    title: str
    details: tuple[str, ...] = ()
    value: str | None = None
    gradient: str | None = None
    boxes: BoxPath = ()
    tooltip: str | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines of text in the order in which they are drawn."""
        value = () if self.value is None else (self.value,)
        gradient = () if self.gradient is None else (f"grad {self.gradient}",)
        return (self.title, *self.details, *value, *gradient)

    @property
    def full_text(self) -> str:
        return "\n".join(self.lines) if self.tooltip is None else self.tooltip


@dataclass(frozen=True)
class PictureEdge:
    """An arrow from the node ``source`` to the node ``target``; ``label`` is short, such as an argument's position.

    The edges into one node are listed in the order of its arguments. Two edges between the same nodes are two arrows.
    """

    source: str
    target: str
    label: str | None = None


@dataclass(frozen=True)
class PictureBox:
    """A rectangle around the nodes whose ``boxes`` begin with ``path``: one call of a module, so ``path`` is unique.

    ``folded`` asks for it to be drawn as one node.
    """

    path: BoxPath
    title: str
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """Nodes, edges and boxes; a path that nodes name and ``boxes`` does not is a box titled by its last entry.

    Raises ValueError for two nodes of one id, two boxes of one path, an edge to an unknown node or to its own source.
    """

    nodes: tuple[PictureNode, ...]
    edges: tuple[PictureEdge, ...] = ()
    boxes: tuple[PictureBox, ...] = ()
    title: str | None = None
    _box_of: dict[BoxPath, PictureBox] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("nodes", "edges", "boxes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        known = _unique("node", (node.id for node in self.nodes))
        _unique("box", (box.path for box in self.boxes))
        for edge in self.edges:
            for end in (edge.source, edge.target):
                if end not in known:
                    raise ValueError(f"An edge of the picture ends at {end!r}.\n  expected: the id of one of its nodes")
            if edge.source == edge.target:
                raise ValueError(f"An edge of the picture goes from {edge.source!r} to itself; a graph has no loops.")
        object.__setattr__(self, "_box_of", self._all_boxes())

    def _all_boxes(self) -> dict[BoxPath, PictureBox]:
        given = {box.path: box for box in self.boxes}
        found: dict[BoxPath, PictureBox] = {}
        for node in self.nodes:
            for end in range(1, len(node.boxes) + 1):
                path = node.boxes[:end]
                found.setdefault(path, given.get(path) or PictureBox(path, path[-1]))
        return found

    @property
    def box_of(self) -> dict[BoxPath, PictureBox]:
        """The boxes that hold a node, by path; an outer box stands before its inner ones."""
        return self._box_of


def _unique(what: str, keys: Iterable) -> set:
    seen = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"A picture has two {what}s of the name {key!r}; each needs its own.")
        seen.add(key)
    return seen
