"""Parameters and constants moved into the boxes that use them."""

from __future__ import annotations

from dataclasses import replace

from zkynet.visual.boxtree import common
from zkynet.visual.picture import BoxPath, Picture

ADOPTED = ("parameter", "constant", "state")


def adopt_leaves(picture: Picture, kinds: tuple[str, ...] = ADOPTED) -> Picture:
    """``picture`` with each leaf of ``kinds`` in the innermost box that holds all its uses.

    A leaf is a node without an arrow into it. One that several boxes use stands in what is around them all; one without
    a use stays where it is. A weight beside its matmul makes a smaller and clearer drawing than one outside of its
    layer.
    """
    reached = {edge.target for edge in picture.edges}
    boxes = {node.id: node.boxes for node in picture.nodes}
    place: dict[str, BoxPath] = {}
    for edge in picture.edges:
        path = boxes[edge.target]
        known = place.get(edge.source, path)
        place[edge.source] = path[: common(known, path)]
    nodes = tuple(
        replace(node, boxes=place[node.id])
        if node.kind in kinds and node.id in place and node.id not in reached
        else node
        for node in picture.nodes
    )
    return replace(picture, nodes=nodes)
