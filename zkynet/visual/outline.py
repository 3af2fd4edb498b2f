"""A picture as nested boxes with short names: what the two text formats write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zkynet.visual.boxtree import box_tree
from zkynet.visual.picture import Picture, PictureBox, PictureNode


def short_ids(picture: Picture) -> dict[str, str]:
    """For each node's id one that every format takes: n0, n1, ..."""
    return {node.id: f"n{i}" for i, node in enumerate(picture.nodes)}


def nested(
    picture: Picture,
    node: Callable[[PictureNode], str],
    begin: Callable[[str, PictureBox], str],
    end: str,
) -> Iterator[str]:
    """The lines of all nodes, indented; boxes stand between ``begin(name, box)`` and ``end``, before what is loose."""
    tree = box_tree(picture)
    members: list[list[PictureNode]] = [[] for _ in range(len(tree))]
    children: list[list[int]] = [[] for _ in range(len(tree))]
    for number, each in enumerate(picture.nodes):
        members[tree.of_node[number]].append(each)
    for box in range(1, len(tree)):
        children[tree.parents[box]].append(box)
    stack = [iter(children[0])]
    while stack:
        indent = "  " * len(stack)
        box = next(stack[-1], 0)
        if not box:
            stack.pop()
            if stack:
                yield "  " * len(stack) + end
        else:
            yield indent + begin(f"b{box}", picture.box_of[tree.paths[box]])
            yield from (indent + "  " + node(each) for each in members[box])
            stack.append(iter(children[box]))
    yield from ("  " + node(each) for each in members[0])
