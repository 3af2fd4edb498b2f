"""The SVG and PNG files: well-formed, complete, every text inside its node, nothing that reaches out of the picture."""

import importlib.util
import struct
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from visual.samples import SAMPLES, edges, mlp, node, product, recurrent, square
from zkynet.errors import BackendNotAvailable
from zkynet.visual import style
from zkynet.visual.layout import layout
from zkynet.visual.picture import Picture, PictureBox, PictureEdge, PictureNode
from zkynet.visual.png import png_of
from zkynet.visual.scene import scene_of
from zkynet.visual.svg import svg_of
from zkynet.visual.text import shorten, text_width, wrap
from zkynet.visual.window import has_display, show

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture):
    return ElementTree.fromstring(svg_of(scene_of(layout(picture))))


def groups(root, role):
    """The groups of one role; every class begins with zk-, so that it meets none of a page around the SVG."""
    found = [(group, group.get("class")) for group in root.iter(f"{SVG}g")]
    assert all(name.startswith("zk-") for _, name in found)
    return [group for group, name in found if role in name.removeprefix("zk-").split()]


def texts(root):
    return [text.text for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("sample", SAMPLES)
def test_everything_is_drawn_once(sample):
    picture = SAMPLES[sample]()
    root = parsed(picture)
    assert len(groups(root, "node")) == len(picture.nodes)
    assert len(groups(root, "edge")) == len(picture.edges)
    assert len(groups(root, "box")) == len(groups(root, "box-title")) == len(picture.box_of)
    assert set(texts(root)) >= {each.title for each in picture.nodes}


def test_values_shapes_and_gradients_are_there():
    said = texts(parsed(product()))
    for line in ("f(x, w) = (x + w) * x**2", "multiply", "() float64", "36", "33", "grad 33", "grad 9"):
        assert (line in said) == (line != "33"), line


def test_the_viewbox_is_the_size_and_holds_all():
    root = parsed(mlp())
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    for rect in root.iter(f"{SVG}rect"):
        x, y = float(rect.get("x", 0)), float(rect.get("y", 0))
        assert x >= 0 and y >= 0
        assert x + float(rect.get("width")) <= width and y + float(rect.get("height")) <= height


def test_texts_fit_into_their_nodes():
    long = PictureNode("n", "operator", "a_very_long_name_" * 9, ("(1, 2, 3)",) * 12, "1 2 3 4 " * 30, "5 6 7 8 " * 30)
    for picture in (Picture((long,)), product(), mlp()):
        drawn = layout(picture)
        for name, rect in drawn.nodes.items():
            assert all(line.width <= rect.width - 2 * style.PAD_X + 1 for line in drawn.lines[name])
            assert sum(line.height for line in drawn.lines[name]) <= rect.height
    assert layout(Picture((long,))).nodes["n"].width < 260


def test_the_full_text_is_a_tooltip():
    long = PictureNode("n", "operator", "matmul", value="0.25, " * 50)
    (group,) = groups(parsed(Picture((long,))), "node")
    assert group.find(f"{SVG}title").text == "matmul\n" + "0.25, " * 50
    told = PictureNode("n", "operator", "matmul", tooltip="all of it")
    (group,) = groups(parsed(Picture((told,))), "node")
    assert group.find(f"{SVG}title").text == "all of it"


def test_markup_and_control_characters_are_only_text():
    nasty = "<b>&amp; \"q\" 'a' ]]> </svg>\x00\x1b\ud800\ufffe é 值 $x$"
    picture = Picture(
        (PictureNode("<&\"'>", "input", nasty, (nasty,), nasty, nasty, (nasty,)), node("b")),
        (PictureEdge("<&\"'>", "b", "<"),),
        (PictureBox((nasty,), nasty),),
        nasty,
    )
    root = parsed(picture)
    assert any(text.startswith("<b>&amp; \"q\" 'a' ]]> </svg>") for text in texts(root))
    assert not list(root.iter(f"{SVG}b"))


def test_it_reaches_nothing_outside():
    """No scripts, styles, links or ids, which would meet those of a page that the SVG is put into."""
    text = svg_of(scene_of(layout(mlp())))
    assert not any(word in text for word in ("<script", "<style", "href", "url(", " id=", "@import"))
    assert text.count("http") == 1  # the name space


def test_the_ground_is_light():
    rect = parsed(square()).find(f"{SVG}rect")
    assert rect.get("fill") == "#ffffff" and rect.get("x") is None


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_all_texts_have_enough_contrast():
    grounds = [look.fill for look in style.LOOKS.values()] + [style.BACKGROUND, *style.BOX_FILLS]
    for text in (style.TEXT, style.DETAIL_TEXT, style.VALUE_TEXT, style.GRADIENT_TEXT, style.BOX_TEXT):
        for ground in grounds:
            dark, light = sorted((luminance(text), luminance(ground)))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_a_shared_line_is_drawn_once():
    """Each stretch of the line from a weight to its uses is in one path only."""
    root = parsed(recurrent(8, boxed=False))
    lengths = [len(group.find(f"{SVG}path").get("d")) for group in groups(root, "edge")]
    picture = recurrent(8, boxed=False)
    shared = [length for length, edge in zip(lengths, picture.edges) if edge.source == "W"]
    assert max(shared[1:]) < 3 * min(lengths) + 200


def test_the_legend_names_the_kinds_that_are_shown():
    assert {"input", "parameter", "constant", "operator", "output", "grad: gradient of the output"} <= set(
        texts(parsed(product()))
    )
    assert "parameter" not in texts(parsed(square()))


def test_labels_of_arrows_are_drawn_where_there_is_room():
    assert texts(parsed(product())).count("0") == 3
    crowded = Picture([node(f"n{i}") for i in range(3)], edges(("n0", "n2", "a"), ("n1", "n2", "second")))
    root = parsed(crowded)
    assert not {"a", "second"} & set(texts(root))
    assert any("second" in group.find(f"{SVG}title").text for group in groups(root, "edge"))


def test_widths_are_at_least_those_of_the_common_font():
    pytest.importorskip("matplotlib", reason="the font to compare with comes with matplotlib")
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    for bold in (False, True):
        font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
        for text in ("softmax_cross_entropy", "(64, 784) float32", "-1.234e-5 .. 3.2, mean 0.04", "WWW iii @%"):
            real = TextPath((0, 0), text, size=100, prop=font).get_extents().width
            assert real * 0.98 <= text_width(text, 100, bold) <= real * 1.15


def test_texts_are_cut_and_broken():
    assert shorten("abc", 10, 100) == "abc"
    cut = shorten("abcdefghijklmnop", 10, 50)
    assert cut.endswith("…") and text_width(cut, 10) <= 50
    assert wrap("aa bb cc", 10, 1000) == ["aa bb cc"]
    lines = wrap("one two three four five six seven", 10, 80)
    assert len(lines) == 2 and all(text_width(line, 10) <= 80 for line in lines) and lines[1].endswith("…")


def test_png_has_the_size_of_the_drawing():
    pytest.importorskip("matplotlib", reason="PNG files need matplotlib")
    scene = scene_of(layout(product()))
    for scale in (1.0, 2.0):
        png = png_of(scene, scale)
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        assert struct.unpack(">II", png[16:24]) == pytest.approx((scene.width * scale, scene.height * scale), abs=1.5)


def test_png_shows_characters_that_the_font_lacks_as_boxes_and_dollars_as_dollars():
    pytest.importorskip("matplotlib", reason="PNG files need matplotlib")
    assert png_of(scene_of(layout(Picture((node("$\\frac$ 值 _^"),)))), 1.0)


def test_without_matplotlib_png_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BackendNotAvailable, match=r"pip install 'zkynet\[viz\]'"):
        png_of(scene_of(layout(square())))


def test_no_window_without_a_display_or_without_time(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_display()
    scene = scene_of(layout(square()))
    assert show(scene, 1000) is False
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_display()
    assert show(scene, 0) is False


def test_no_window_on_a_backend_without_windows(monkeypatch):
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("windows come from matplotlib")
    import matplotlib

    monkeypatch.setenv("DISPLAY", ":0")
    with matplotlib.rc_context():
        matplotlib.use("agg")
        assert show(scene_of(layout(square())), 1000) is False


def test_a_window_shows_the_drawing_for_its_seconds_and_closes(monkeypatch):
    pytest.importorskip("matplotlib", reason="windows come from matplotlib")
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    paused = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(plt, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(plt, "pause", lambda seconds: paused.append((seconds, len(plt.get_fignums()))))
    assert show(scene_of(layout(recurrent(12))), 0.5) is True
    assert paused == [(0.5, 1)] and plt.get_fignums() == []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert show(scene_of(layout(square())), 1000) is False and len(paused) == 1
