"""Folding: boxes become single nodes, and what was connected stays connected."""

import pytest

from visual.samples import edges, mlp, node, random_graph, recurrent, tangled
from zkynet.visual.adopt import adopt_leaves
from zkynet.visual.folding import fold
from zkynet.visual.layout import layout
from zkynet.visual.picture import Picture, PictureBox, PictureEdge


def reachable(picture):
    """All pairs of nodes with a way from the first to the second."""
    below = {each.id: set() for each in picture.nodes}
    for edge in picture.edges:
        below[edge.source].add(edge.target)
    pairs = set()
    for start in below:
        stack, seen = [start], set()
        while stack:
            for each in below[stack.pop()] - seen:
                seen.add(each)
                stack.append(each)
        pairs |= {(start, each) for each in seen}
    return pairs


def test_a_box_becomes_one_node():
    folded = fold(mlp(), paths=[("mlp", "layers.1")])
    (module,) = [each for each in folded.nodes if each.kind == "module"]
    assert module.id == "box:mlp/layers.1"
    assert module.title == "layers.1: Linear" and module.boxes == ("mlp",)
    assert module.details == ("2 operators", "2 parameters")
    assert "matmul1" in module.full_text
    arrows = [edge for edge in folded.edges if module.id in (edge.source, edge.target)]
    assert arrows == [PictureEdge("relu0", module.id), PictureEdge(module.id, "relu1")]
    assert not {"W1", "b1", "matmul1", "add1"} & {each.id for each in folded.nodes}
    assert ("mlp", "layers.1") not in folded.box_of and ("mlp", "layers.0") in folded.box_of


def test_depth_says_how_many_boxes_stay_open():
    assert [each.id for each in fold(mlp(), depth=0).nodes] == ["x", "box:mlp"]
    assert sum(each.kind == "module" for each in fold(mlp(3), depth=1).nodes) == 3
    assert fold(mlp(), depth=2) == mlp()
    assert fold(mlp()) == mlp()


def test_boxes_marked_folded_are_folded():
    picture = Picture((node("a"), node("b", boxes=("m",))), edges(("a", "b")), (PictureBox(("m",), "M", folded=True),))
    assert [(each.id, each.title) for each in fold(picture).nodes] == [("a", "a"), ("box:m", "M")]


def test_the_outermost_of_nested_boxes_wins():
    folded = fold(mlp(), paths=[("mlp", "layers.0"), ("mlp",)])
    assert [each.id for each in folded.nodes] == ["x", "box:mlp"]


@pytest.mark.parametrize("picture", [mlp(4), recurrent(6), random_graph(90, 4)], ids=["mlp", "recurrent", "random"])
@pytest.mark.parametrize("depth", [0, 1])
def test_what_was_connected_stays_connected(picture, depth):
    folded = fold(picture, depth=depth)
    kept = {each.id for each in folded.nodes}
    place = {
        each.id: each.id if each.id in kept else "box:" + "/".join(each.boxes[: depth + 1]) for each in picture.nodes
    }
    assert set(place.values()) == kept
    expected = {(place[a], place[b]) for a, b in reachable(picture) if place[a] != place[b]}
    found = {(a, b) for a, b in reachable(folded) if a != b}
    assert expected <= found
    direct = {(place[edge.source], place[edge.target]) for edge in picture.edges}
    assert {(edge.source, edge.target) for edge in folded.edges} == {(a, b) for a, b in direct if a != b}


def test_arrows_into_a_folded_box_are_merged_and_others_are_not():
    inner = [node("m", boxes=("box",)), node("n", boxes=("box",))]
    arrows = edges(("a", "m", "0"), ("a", "n", "0"), ("a", "c", "0"), ("a", "c", "1"), ("m", "c", "2"), ("n", "c", "3"))
    folded = fold(Picture([node("a"), *inner, node("c")], arrows), depth=0)
    assert [(edge.source, edge.target, edge.label) for edge in folded.edges] == [
        ("a", "box:box", None),
        ("a", "c", "0"),
        ("a", "c", "1"),
        ("box:box", "c", "2"),
    ]


def test_entangled_boxes_can_be_folded_and_drawn():
    folded = fold(tangled(40, 1), depth=0)
    assert {"box:a", "box:b"} <= {each.id for each in folded.nodes}
    assert len(layout(folded).nodes) == len(folded.nodes)


def test_a_name_that_is_taken_is_not_used_again():
    folded = fold(Picture((node("box:m"), node("b", boxes=("m",)))), depth=0)
    assert [each.id for each in folded.nodes] == ["box:m", "box:m'"]


@pytest.mark.parametrize("how, words", [({"paths": [("nothing",)]}, "mlp/layers.0"), ({"depth": -1}, "0, 1, ")])
def test_impossible_folds_are_refused(how, words):
    with pytest.raises(ValueError, match=words):
        fold(mlp(), **how)


def test_leaves_move_into_the_box_that_uses_them():
    inside = {each.id: each.boxes for each in mlp().nodes}
    outside = Picture(
        [node(each.id, each.kind, () if each.kind == "parameter" else each.boxes) for each in mlp().nodes], mlp().edges
    )
    assert {each.id: each.boxes for each in adopt_leaves(outside).nodes} == inside


def test_shared_leaves_and_inputs_stay_outside():
    adopted = {each.id: each.boxes for each in adopt_leaves(recurrent(3)).nodes}
    assert adopted["W"] == () and adopted["x1"] == () and adopted["h0"] == ("cell#0",)
