"""Folding: boxes drawn as one node each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from zkynet.visual.picture import BoxPath, Picture, PictureBox, PictureEdge, PictureNode


def fold(picture: Picture, depth: int | None = None, paths: Iterable[BoxPath] = ()) -> Picture:
    """``picture`` with some boxes collapsed to one node of kind "module" each.

    Folded are the boxes of ``paths``, those marked ``folded``, and with ``depth`` every box inside ``depth`` others:
    0 folds the outermost ones. The arrows into and out of a folded box end at its node, parallel ones merged to one;
    arrows within it disappear. The node has the id ``"box:" + "/".join(path)``. Raises ValueError for a path that no
    node stands in, and for a negative depth.
    """
    if depth is not None and depth < 0:
        raise ValueError(
            f"depth counts the boxes that stay open around a folded one.\n  expected: 0, 1, ...\n  got: {depth}"
        )
    folded = {
        path for path, box in picture.box_of.items() if box.folded or (depth is not None and len(path) == depth + 1)
    }
    folded |= {_known(picture, tuple(path)) for path in paths}
    if not folded:
        return picture
    box_of_node = {node.id: _outermost(node.boxes, folded) for node in picture.nodes}
    names = _names(picture, {path for path in box_of_node.values() if path is not None})
    nodes, place = _collapse(picture, box_of_node, names)
    boxes = [box for box in picture.boxes if _outermost(box.path, folded) is None]
    return Picture(tuple(nodes), tuple(_redirect(picture, place)), tuple(boxes), picture.title)


def _known(picture: Picture, path: BoxPath) -> BoxPath:
    if path not in picture.box_of:
        known = ", ".join("/".join(each) for each in list(picture.box_of)[:8]) or "none"
        raise ValueError(f"There is no box to fold at this path.\n  got: {'/'.join(path)!r}\n  boxes: {known}")
    return path


def _outermost(path: BoxPath, folded: set[BoxPath]) -> BoxPath | None:
    return next((path[:end] for end in range(1, len(path) + 1) if path[:end] in folded), None)


def _names(picture: Picture, paths: set[BoxPath]) -> dict[BoxPath, str]:
    taken = {node.id for node in picture.nodes}
    names = {}
    for path in sorted(paths):
        name = "box:" + "/".join(path)
        while name in taken:
            name += "'"
        taken.add(name)
        names[path] = name
    return names


def _collapse(
    picture: Picture, box_of_node: dict[str, BoxPath | None], names: dict[BoxPath, str]
) -> tuple[list[PictureNode], dict[str, str]]:
    """The nodes that remain, a folded box where its first node stood; and for each old id the id of its new place."""
    inside: dict[BoxPath, list[PictureNode]] = {}
    for node in picture.nodes:
        path = box_of_node[node.id]
        if path is not None:
            inside.setdefault(path, []).append(node)
    place, nodes, seen = {}, [], set()
    for node in picture.nodes:
        path = box_of_node[node.id]
        place[node.id] = node.id if path is None else names[path]
        if path is None:
            nodes.append(node)
        elif path not in seen:
            seen.add(path)
            nodes.append(_folded_node(names[path], picture.box_of[path], inside[path]))
    return nodes, place


def _folded_node(name: str, box: PictureBox, nodes: list[PictureNode]) -> PictureNode:
    operators = sum(node.kind in ("operator", "output", "module") for node in nodes)
    parameters = sum(node.kind == "parameter" for node in nodes)
    counts = [_plural(operators, "operator"), _plural(parameters, "parameter")]
    details = tuple(text for count, text in zip((operators, parameters), counts) if count)
    titles = ", ".join(node.title for node in nodes[:40]) + (", ..." if len(nodes) > 40 else "")
    tooltip = "\n".join(["/".join(box.path), *details, titles])
    return PictureNode(name, "module", box.title, details, boxes=box.path[:-1], tooltip=tooltip)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _redirect(picture: Picture, place: dict[str, str]) -> list[PictureEdge]:
    edges, merged = [], set()
    for edge in picture.edges:
        source, target = place[edge.source], place[edge.target]
        if source == target:
            continue
        if (source, target) == (edge.source, edge.target):
            edges.append(edge)
        elif (source, target) not in merged:
            merged.add((source, target))
            # An argument's position still means something where the target is as it was.
            edges.append(
                replace(edge, source=source, target=target, label=edge.label if target == edge.target else None)
            )
    return edges
