"""plot_cg on the graphs of real calls."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import zkynet as zk
from support import backends
from zkynet.framework import cg, op
from zkynet.visual import plot_cg
from zkynet.visual.graph_picture import picture_of


@pytest.fixture
def simple():
    return cg.Module.build("Simple", lambda x, w: (x + w) * x**2, ["x"], [cg.Parameter("w", 1.0)])


def by_title(picture):
    return {node.title: node for node in picture.nodes}


def test_every_node_with_value_and_gradient(simple):
    graph = simple(3.0)
    nodes = by_title(picture_of(graph, "values"))
    assert {t: (n.kind, n.value, n.gradient) for t, n in nodes.items()} == {
        "x": ("input", "3", None),
        "w": ("parameter", "1", None),
        "add": ("operator", "4", None),
        "pow": ("operator", "9", None),
        "multiply": ("output", "36", None),
    }
    graph.back()
    found = {t: n.gradient for t, n in by_title(picture_of(graph, "values")).items()}
    assert found == {"x": "33", "w": "9", "add": "9", "pow": "4", "multiply": "1"}


def test_edges_follow_the_arguments(simple):
    picture = picture_of(simple(3.0), "values")
    titles = {node.id: node.title for node in picture.nodes}
    edges = sorted((titles[e.source], titles[e.target]) for e in picture.edges)
    assert edges == [("add", "multiply"), ("pow", "multiply"), ("w", "add"), ("x", "add"), ("x", "pow")]


def test_one_node_used_twice_by_one_operator_has_two_arrows():
    picture = picture_of(cg.Module.build("Twice", lambda x: op.mult(x, x), ["x"])(3.0), "values")
    assert [node.title for node in picture.nodes] == ["x", "multiply"]
    assert len(picture.edges) == 2


def test_arguments_are_named_where_their_order_matters():
    picture = picture_of(cg.Module.build("Less", lambda a, b: op.subtract(a, b), ["a", "b"])(3.0, 1.0), "values")
    assert [e.label for e in picture.edges] == ["a", "b"]


@pytest.mark.parametrize("view, lines", [("values", 4), ("shapes", 2), ("structure", 1)])
def test_views(view, lines):
    graph = zk.nn.Linear(2, 3, 0)(np.ones((4, 2), "float32")).back(np.ones((4, 3), "float32"))
    assert len(by_title(picture_of(graph, view))["weight"].lines) == lines


def test_modules_inside_are_boxes_and_hold_their_parameters():
    net = zk.models.fcn([3, 4, 2], seed=0)
    picture = picture_of(net(np.ones((5, 3), "float32")), "shapes")
    assert [box.title for box in picture.boxes] == ["layers.0: Linear", "layers.1: ReLU", "layers.2: Linear"]
    inside = [(node.title, node.boxes) for node in picture.nodes if node.boxes]
    assert [title for title, path in inside if path == ("1",)] == ["weight", "bias", "linear"]
    folded = plot_cg(net(np.ones((5, 3), "float32")), depth=0).picture
    assert sorted(node.title for node in folded.nodes) == [
        "layers.0: Linear",
        "layers.1: ReLU",
        "layers.2: Linear",
        "x",
    ]


def test_a_module_called_twice_is_two_boxes_with_its_weight_outside_once():
    class Twice(zk.Module):
        def __init__(self):
            self.layer = zk.nn.Linear(2, 2, 0, bias=False)

        def call(self, x):
            return self.layer(self.layer(x))

    picture = picture_of(Twice()(np.ones((1, 2), "float32")), "values")
    assert len(picture.boxes) == 2
    assert [node.boxes for node in picture.nodes if node.title == "weight"] == [()]


def test_the_graph_of_the_gradient(simple):
    picture = picture_of(simple(3.0), "gradient")
    outputs = {node.details[0]: node.value for node in picture.nodes if node.kind == "output"}
    assert outputs == {"gradient of w": "9", "gradient of x": "33"}
    assert picture.title == "Gradient of Simple"


def test_a_node_draws_what_leads_to_it(simple):
    node = next(n for n in simple(3.0).nodes if n.name == "pow_1")
    assert [n.title for n in picture_of(node, "values").nodes] == ["x", "pow"]
    assert {n.title for n in picture_of(node, "gradient").nodes} == {"x", "constant", "multiply"}


@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_arrays_of_other_backends(name):
    backend = backends.get(name)
    graph = cg.Module.build("Sum", lambda x: op.sum(x * 2.0), ["x"])(backend.asarray([1.0, 2.0])).back()
    nodes = by_title(picture_of(graph, "values"))
    assert (nodes["sum"].value, nodes["x"].gradient) == ("6", "[2, 2]")


def test_the_same_drawing_for_every_call(simple):
    assert plot_cg(simple(3.0)).svg == plot_cg(simple(3.0)).svg


def test_files_and_the_notebook(simple, tmp_path):
    graph = simple(3.0)
    for suffix, start in (("svg", "<svg"), ("dot", "digraph"), ("mmd", "---\ntitle"), ("md", "```mermaid")):
        plot_cg(graph, tmp_path / f"graph.{suffix}")
        assert (tmp_path / f"graph.{suffix}").read_text().startswith(start)
    assert ET.fromstring(graph._repr_svg_()).tag.endswith("svg")


def test_png(simple, tmp_path):
    pytest.importorskip("matplotlib", reason="PNG files are drawn by matplotlib")
    plot_cg(simple(3.0), tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_inputs_that_have_no_gradient_are_drawn_too():
    graph = cg.Module.build("Where", lambda x, n: op.where(n > 1, x, 0.0), ["x", "n"])(np.ones(3), np.arange(3))
    nodes = by_title(picture_of(graph.back(), "values"))
    assert nodes["n"].gradient is None
    assert nodes["where"].value == "[0, 0, 1]"


@pytest.mark.parametrize("wrong", [3.0, np.ones(2), "x", zk.Tensor(1.0)])
def test_what_is_no_graph(wrong):
    with pytest.raises(TypeError, match="ModuleGraph"):
        plot_cg(wrong)


def test_a_thousand_steps():
    def chain(x):
        for _ in range(1000):
            x = x * 1.0001
        return x

    picture = picture_of(cg.Module.build("Chain", chain, ["x"])(1.0), "structure")
    assert len(picture.nodes) == 2001


def test_drawing_loads_neither_matplotlib_nor_scipy():
    code = (
        "import json, sys, zkynet as zk\n"
        "m = zk.Module.build('M', lambda x: x * x, ['x'])\n"
        "from zkynet.visual import plot_cg\n"
        "plot_cg(m(2.0)).svg\n"
        "print(json.dumps([n for n in sys.modules if n in ('matplotlib', 'scipy', 'jax')]))"
    )
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
