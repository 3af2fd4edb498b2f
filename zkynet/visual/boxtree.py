"""The boxes of a picture as a tree of small numbers, 0 being the whole picture."""

from __future__ import annotations

from dataclasses import dataclass

from zkynet.visual.picture import BoxPath, Picture


@dataclass(frozen=True)
class BoxTree:
    """``paths[b]`` is the path of box ``b``, ``chains[b]`` the boxes around and including it, outermost first, without
    0.

    A parent has a smaller number than its children. ``of_node[i]`` is the innermost box of the i-th node.
    """

    paths: list[BoxPath]
    parents: list[int]
    chains: list[tuple[int, ...]]
    of_node: list[int]

    def __len__(self) -> int:
        return len(self.paths)


def box_tree(picture: Picture) -> BoxTree:
    number: dict[BoxPath, int] = {(): 0}
    paths: list[BoxPath] = [()]
    parents = [-1]
    chains: list[tuple[int, ...]] = [()]
    for path in picture.box_of:
        number[path] = len(paths)
        parents.append(number[path[:-1]])
        chains.append((*chains[parents[-1]], len(paths)))
        paths.append(path)
    return BoxTree(paths, parents, chains, [number[node.boxes] for node in picture.nodes])


def common(first: tuple, second: tuple) -> int:
    """How many leading entries two chains share."""
    shared = 0
    for a, b in zip(first, second):
        if a != b:
            break
        shared += 1
    return shared
