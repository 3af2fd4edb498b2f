"""The layout: nothing overlaps, arrows go down and touch no other node, boxes hold what is theirs."""

import cProfile
import itertools

import pytest

from visual.samples import SAMPLES, edges, mlp, node, random_graph, recurrent, residual, square, tangled, tree
from zkynet.visual.boxtree import box_tree
from zkynet.visual.layout import layout
from zkynet.visual.levels import levels_of
from zkynet.visual.ordering import arrange, crossings
from zkynet.visual.picture import Picture, PictureBox, PictureEdge
from zkynet.visual.ranks import ranks_of, without_cycles

ALMOST = 1e-6


@pytest.fixture(params=SAMPLES)
def drawn(request):
    return layout(SAMPLES[request.param]())


def overlap(a, b):
    return a.x < b.right - ALMOST and b.x < a.right - ALMOST and a.y < b.bottom - ALMOST and b.y < a.bottom - ALMOST


def inside(a, b):
    return a.x >= b.x and a.right <= b.right and a.y >= b.y and a.bottom <= b.bottom


def test_every_node_and_box_has_one_place(drawn):
    assert set(drawn.nodes) == {each.id for each in drawn.picture.nodes}
    assert set(drawn.boxes) == set(drawn.picture.box_of)
    assert len(drawn.paths) == len(drawn.picture.edges)
    for rect in (*drawn.nodes.values(), *drawn.boxes.values()):
        assert rect.x >= 0 and rect.y >= 0 and rect.right <= drawn.width and rect.bottom <= drawn.height


def test_no_two_nodes_overlap(drawn):
    for (a, first), (b, second) in itertools.combinations(drawn.nodes.items(), 2):
        assert not overlap(first, second), (a, b)


def test_arrows_go_down_from_the_source_to_the_target(drawn):
    for edge, path in zip(drawn.picture.edges, drawn.paths):
        source, target = drawn.nodes[edge.source], drawn.nodes[edge.target]
        assert source.bottom < target.y
        assert path[0][1] == source.bottom and source.x <= path[0][0] <= source.right
        assert path[-1][1] == target.y and target.x <= path[-1][0] <= target.right
        assert all(a[1] <= b[1] + ALMOST for a, b in zip(path, path[1:]))


def test_arrows_touch_no_other_node(drawn):
    for edge, path in zip(drawn.picture.edges, drawn.paths):
        others = [rect for name, rect in drawn.nodes.items() if name not in (edge.source, edge.target)]
        for (x, y), (to_x, to_y) in zip(path, path[1:]):
            left, right = min(x, to_x), max(x, to_x)
            for rect in others:
                assert right <= rect.x or left >= rect.right or to_y <= rect.y or y >= rect.bottom, edge


def test_boxes_hold_exactly_their_nodes(drawn):
    for path, box in drawn.boxes.items():
        for each in drawn.picture.nodes:
            if each.boxes[: len(path)] == path:
                assert inside(drawn.nodes[each.id], box), (path, each.id)
            else:
                assert not overlap(drawn.nodes[each.id], box), (path, each.id)


def test_boxes_are_nested_or_apart(drawn):
    for (a, first), (b, second) in itertools.combinations(drawn.boxes.items(), 2):
        if b[: len(a)] == a:
            assert inside(second, first)
        elif a[: len(b)] == b:
            assert inside(first, second)
        else:
            assert not overlap(first, second), (a, b)


def test_the_title_of_a_box_fits_into_it():
    path = ("a",)
    drawn = layout(Picture((node("x", boxes=path),), (), (PictureBox(path, "a rather long title of a box"),)))
    assert drawn.boxes[path].width > 180


@pytest.mark.parametrize("sample", ["random", "tangled", "recurrent"])
def test_the_same_picture_gets_the_same_layout(sample):
    first, second = layout(SAMPLES[sample]()), layout(SAMPLES[sample]())
    assert first == second


@pytest.mark.parametrize("seed", range(12))
def test_entangled_boxes_stay_apart(seed):
    drawn = layout(tangled(12 + 4 * seed, seed))
    test_boxes_hold_exactly_their_nodes(drawn)
    test_boxes_are_nested_or_apart(drawn)
    test_no_two_nodes_overlap(drawn)
    test_arrows_touch_no_other_node(drawn)


def test_parallel_arrows_are_drawn_apart():
    first, second = layout(square()).paths
    assert all(abs(a[0] - b[0]) > 8 for a, b in zip(first, second))


def test_parallel_long_arrows_end_apart():
    picture = Picture([node(name) for name in "abc"], edges(("a", "b"), ("b", "c"), ("a", "c"), ("a", "c")))
    paths = layout(picture).paths
    assert abs(paths[2][-1][0] - paths[3][-1][0]) > 8


@pytest.mark.parametrize("seed", [2, 4])
def test_loose_nodes_do_not_widen_the_picture(seed):
    """Both graphs have nodes without any edge at the left side of a box."""
    assert layout(random_graph(60, seed)).width < 2000


def test_leaves_hold_nothing_back():
    """What leaves alone would keep on top stands near its use, so that few long edges run beside each other."""
    assert layout(random_graph(120, 1, boxed=False)).width < 1900


def test_boxes_are_no_larger_than_what_they_hold():
    drawn = layout(mlp(4))
    for i in range(4):
        held = [drawn.nodes[f"{name}{i}"] for name in ("W", "b", "matmul", "add")]
        box = drawn.boxes["mlp", f"layers.{i}"]
        assert box.x == pytest.approx(min(rect.x for rect in held) - 14)
        assert box.right == pytest.approx(max(rect.right for rect in held) + 14)


def test_the_trunk_is_straight():
    drawn = layout(residual(4))
    names = ("norm", "conv", "relu", "add")
    middles = {
        round(drawn.nodes[f"{name}{i}"].x + drawn.nodes[f"{name}{i}"].width / 2, 3) for name in names for i in range(4)
    }
    assert len(middles) == 1


def test_long_arrows_are_straight():
    """The shared weight's line changes sides where it leaves the weight and where it branches off, nowhere else."""
    drawn = layout(recurrent(12))
    (number,) = [i for i, edge in enumerate(drawn.picture.edges) if (edge.source, edge.target) == ("W", "hW11")]
    assert len({round(x, 3) for x, _ in drawn.paths[number]}) <= 3


def test_leaves_stand_next_to_their_use():
    drawn = layout(mlp(6))
    for i in range(6):
        assert drawn.nodes[f"W{i}"].y > (drawn.nodes[f"relu{i - 1}"].bottom if i else 0)
    drawn = layout(recurrent(10, boxed=False))
    assert drawn.nodes["x9"].y > drawn.nodes["tanh7"].bottom


def test_results_stand_next_to_what_they_are_computed_of():
    chain = [(f"n{i}", f"n{i + 1}") for i in range(8)]
    drawn = layout(Picture([node(f"n{i}") for i in range(9)] + [node("side")], edges(*chain, ("n0", "side"))))
    assert drawn.nodes["side"].y < drawn.nodes["n2"].y


def test_side_branches_stand_next_to_where_they_are_used_and_results_next_to_where_they_are_made():
    """Both in one graph: neither "all as high as possible" nor "all as low as possible" is right."""
    chain = [(f"n{i}", f"n{i + 1}") for i in range(8)]
    branch = [("w", "split"), ("split", "a"), ("split", "b"), ("a", "n8"), ("b", "n8")]
    names = [f"n{i}" for i in range(9)] + ["w", "split", "a", "b", "side"]
    nodes = layout(Picture([node(name) for name in names], edges(*chain, *branch, ("n0", "side")))).nodes
    assert nodes["side"].y < nodes["n2"].y
    assert nodes["w"].y > nodes["n4"].y


def test_a_tree_has_no_crossings_and_is_centred():
    picture = tree(16)
    levels, _ = levels_and_edges(picture)
    assert crossings(levels) == 0
    nodes = layout(picture).nodes
    middle = {name: rect.x + rect.width / 2 for name, rect in nodes.items()}
    assert middle["s16"] == pytest.approx((middle["x0"] + middle["x1"]) / 2, abs=4)


def levels_and_edges(picture):
    number = {each.id: i for i, each in enumerate(picture.nodes)}
    pairs = [(number[edge.source], number[edge.target]) for edge in picture.edges]
    levels = levels_of(ranks_of(len(number), pairs, box_tree(picture)), pairs, box_tree(picture))
    arrange(levels, [float(source) for source in levels.source])
    return levels, pairs


def test_crossings_are_counted():
    picture = Picture([node(name) for name in "abcd"], edges(("a", "d"), ("b", "c")))
    levels, _ = levels_and_edges(picture)
    levels.layers = [[0, 1], [2, 3]]
    assert crossings(levels) == 1
    arrange(levels, [0.0, 1.0, 2.0, 3.0])
    assert crossings(levels) == 0


def test_edges_of_one_node_share_their_line():
    """60 uses of a weight take the room of one line: places for passing edges grow with the steps, not their square."""
    few, many = (len(levels_and_edges(recurrent(steps, boxed=False))[0].layer) for steps in (20, 60))
    assert many < 3.3 * few


def test_wide_layers_take_several_rows():
    drawn = layout(tree(200))
    inputs = [drawn.nodes[f"x{i}"] for i in range(200)]
    assert len({rect.y for rect in inputs}) > 2
    assert drawn.width < 0.7 * sum(rect.width + 26 for rect in inputs)


def test_a_cycle_is_drawn_with_one_arrow_upwards():
    """Folding a box that values leave and enter again makes one."""
    picture = Picture([node(name) for name in "abc"], edges(("a", "b"), ("b", "c"), ("c", "a")))
    drawn = layout(picture)
    upwards = [edge for edge in picture.edges if drawn.nodes[edge.source].y > drawn.nodes[edge.target].y]
    assert upwards == [PictureEdge("c", "a")]
    assert drawn.paths[2][0][1] == drawn.nodes["c"].y and drawn.paths[2][-1][1] == drawn.nodes["a"].bottom


def test_without_cycles_turns_nothing_in_a_graph_without_any():
    _, pairs = levels_and_edges(random_graph(100, 2))
    assert not any(without_cycles(100, pairs))


def test_long_chains_and_deep_boxes_need_no_recursion():
    count = 3000
    chain = edges(*((f"n{i}", f"n{i + 1}") for i in range(count - 1)))
    drawn = layout(Picture([node(f"n{i}") for i in range(count)], chain))
    assert len({rect.x + rect.width / 2 for rect in drawn.nodes.values()}) == 1
    path = tuple(f"b{i}" for i in range(1100))
    assert len(layout(Picture((node("x", boxes=path),))).boxes) == 1100


def test_an_empty_picture_has_a_layout():
    drawn = layout(Picture(()))
    assert drawn.nodes == {} and drawn.width > 0


@pytest.mark.slow
def test_500_nodes_take_a_bounded_amount_of_work():
    picture = random_graph(500, 0)
    profile = cProfile.Profile()
    drawn = profile.runcall(layout, picture)
    calls = sum(entry.callcount for entry in profile.getstats())
    assert calls < 3_000_000
    test_no_two_nodes_overlap(drawn)
    test_boxes_hold_exactly_their_nodes(drawn)


@pytest.mark.parametrize(
    "nodes, arrows, words",
    [
        ("aa", (), "two nodes"),
        ("a", (("a", "b"),), "ends at 'b'"),
        ("a", (("a", "a"),), "to itself"),
    ],
)
def test_impossible_pictures_are_refused(nodes, arrows, words):
    with pytest.raises(ValueError, match=words):
        Picture([node(name) for name in nodes], edges(*arrows))
