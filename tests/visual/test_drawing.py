"""``plot_cg``, what it returns and writes, and numbers in short."""

import subprocess
import sys
import types

import numpy as np
import pytest

from visual.samples import mlp, product
from zkynet.visual import Drawing, plot_cg, short_value


@pytest.fixture
def asked(monkeypatch):
    """Stands in for what makes a picture of a graph; holds what it was asked for."""
    calls = []

    def picture_of(root, view):
        calls.append((root, view))
        return mlp()

    module = types.ModuleType("zkynet.visual.graph_picture")
    module.picture_of = picture_of
    monkeypatch.setitem(sys.modules, "zkynet.visual.graph_picture", module)
    return calls


def test_plot_cg_returns_a_drawing(asked):
    drawing = plot_cg("root", title="My model")
    assert asked == [("root", "values")]
    assert repr(drawing) == "<Drawing 'My model', 16 nodes, 15 edges>"
    assert drawing._repr_svg_() == drawing.svg and drawing.svg.startswith("<svg ") and "My model" in drawing.svg
    assert drawing.dot.startswith("digraph") and "flowchart TB" in drawing.mermaid


def test_plot_cg_folds(asked):
    assert len(plot_cg("root", depth=0).picture.nodes) == 2
    assert len(plot_cg("root").fold(depth=1).picture.nodes) == 7


@pytest.mark.parametrize("view", ["values", "shapes", "structure", "gradient"])
def test_plot_cg_hands_its_view_on(asked, view):
    plot_cg("root", view=view)
    assert asked == [("root", view)]


def test_an_unknown_view_or_suffix_is_refused_before_anything_is_done(asked, tmp_path):
    with pytest.raises(ValueError, match=r"no view 'colour'[\s\S]*values, shapes, structure, gradient"):
        plot_cg("root", view="colour")
    with pytest.raises(ValueError, match=r"'graph\.jpg'[\s\S]*\.svg, \.png, \.dot, \.gv, \.mmd, \.md"):
        plot_cg("root", save_path=tmp_path / "graph.jpg")
    assert asked == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, start",
    [
        ("graph.svg", b"<svg "),
        ("GRAPH.SVG", b"<svg "),
        ("graph.dot", b"digraph"),
        ("graph.gv", b"digraph"),
        ("graph.mmd", b"---\ntitle:"),
        ("graph.md", b"```mermaid\n---"),
    ],
)
def test_the_suffix_is_the_format(asked, tmp_path, name, start):
    plot_cg("root", save_path=str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)


def test_png_files_are_written(tmp_path):
    pytest.importorskip("matplotlib", reason="PNG files need matplotlib")
    path = Drawing(product()).save(tmp_path / "graph.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_waiting_without_a_display_takes_no_time(asked, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert isinstance(plot_cg("root", wait=10_000), Drawing)


def test_nothing_of_matplotlib_is_loaded_for_a_drawing():
    program = (
        "import sys, zkynet.visual\n"
        "from zkynet.visual import Drawing, Picture, PictureNode\n"
        "Drawing(Picture((PictureNode('a', 'input', 'a'),))).svg\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", ["Drawing", "Picture", "fold", "adopt_leaves", "plot_cg", "short_value"])
def test_public_names_are_not_hidden_by_files(name):
    import zkynet.visual

    assert callable(getattr(zkynet.visual, name)) and name in zkynet.visual.__all__ and name in dir(zkynet.visual)
    assert not hasattr(zkynet.visual, "nothing")


@pytest.mark.parametrize(
    "value, text",
    [
        (36, "36"),
        (36.0, "36"),
        (True, "True"),
        (1 / 3, "0.3333"),
        (1.5e-7, "1.5e-7"),
        (123456.0, "1.235e5"),
        (1234567890123, "1.235e+12"),
        (np.float32(0.1), "0.1"),
        (float("nan"), "NaN"),
        (-float("inf"), "-inf"),
        (1 - 2j, "1-2j"),
        (np.array([3.0, 4.0, 5.0]), "[3, 4, 5]"),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (np.array([True, False]), "[True, False]"),
        (np.array([1.0, np.nan]), "[1, NaN]"),
        (np.array([]), "[]"),
        (np.zeros((2, 0)), "[[], []]"),
        (np.arange(10), "0 .. 9, mean 4.5"),
        (np.zeros((8, 8)), "all 0"),
        (np.array([np.nan, np.inf, *range(8)]), "0 .. 7, mean 3.5, 1 NaN, 1 inf"),
        (np.full(9, np.nan), "9 NaN"),
        (np.full(8, 1e308), "all 1e308"),
        (np.array([1e308] * 7 + [0.0]), "0 .. 1e308, mean 8.75e307"),
        (np.arange(8) > 2, "5 of 8 True"),
        (np.arange(8) * (3 + 4j), "|z| 0 .. 35, mean 17.5"),
        (np.full(8, 250, np.uint8), "all 250"),
        (np.full((1000,), 60000, np.float16), "all 6e4"),
        ("text", "text"),
        (None, "None"),
    ],
)
def test_numbers_in_short(value, text):
    assert short_value(value) == text


def test_short_values_are_short_and_leave_the_array_alone():
    array = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32)
    kept = array.copy()
    assert len(short_value(array)) < 50
    assert (array == kept).all()
