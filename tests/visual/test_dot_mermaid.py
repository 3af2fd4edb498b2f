"""The two text formats: they parse, say everything, and take any character."""

import re

import pytest

from visual.samples import SAMPLES, edges, mlp, node, product
from zkynet.visual.dot import dot_of, quoted, quoted_lines
from zkynet.visual.folding import fold
from zkynet.visual.mermaid import escaped, mermaid_of
from zkynet.visual.picture import Picture, PictureBox, PictureEdge, PictureNode

NASTY = 'a "quoted" \\N back\\slash\nnew <b>line</b> #35; & ] } ; `x` -- 值'

TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(->)|([{}\[\];,=])|([A-Za-z_][A-Za-z_0-9]*|-?\d+(?:\.\d+)?))')


def tokens_of(text):
    position, found = 0, []
    while text[position:].strip():
        match = TOKEN.match(text, position)
        assert match, text[position : position + 60]
        found.append(match[0].strip())
        position = match.end()
    return found


def parse_dot(text):
    """Nodes with their labels and clusters, and edges, of a DOT text as this package writes it."""
    tokens = iter(tokens_of(text))
    assert [next(tokens), next(tokens), next(tokens)] == ["digraph", "computation", "{"]
    nodes, arrows, clusters, statement = {}, [], ["root"], []
    for token in tokens:
        if token == "{":
            assert statement[0] == "subgraph" and statement[1].startswith("cluster_")
            clusters.append(statement[1])
            statement = []
        elif token == "}":
            assert not statement
            clusters.pop()
        elif token == ";":
            if len(statement) > 2 and statement[1] == "->":
                arrows.append((statement[0], statement[2]))
            elif statement[1] == "[" and statement[0] not in ("node", "edge"):
                nodes[statement[0]] = (statement[statement.index("label") + 2], tuple(clusters[1:]))
            statement = []
        else:
            statement.append(token)
    assert clusters == []
    return nodes, arrows


@pytest.mark.parametrize("sample", SAMPLES)
def test_dot_has_every_node_edge_and_box(sample):
    picture = SAMPLES[sample]()
    nodes, arrows = parse_dot(dot_of(picture))
    assert {name: label for name, (label, _) in nodes.items()} == {
        f"n{i}": quoted_lines(each.lines) for i, each in enumerate(picture.nodes)
    }
    assert len(nodes) == len(picture.nodes)
    number = {each.id: f"n{i}" for i, each in enumerate(picture.nodes)}
    assert arrows == [(number[edge.source], number[edge.target]) for edge in picture.edges]
    for each in picture.nodes:
        assert len(nodes[number[each.id]][1]) == len(each.boxes)
    assert len({chain for _, chain in nodes.values()}) == len({each.boxes for each in picture.nodes})


def test_dot_says_values_and_gradients():
    nodes, _ = parse_dot(dot_of(product()))
    assert nodes["n0"][0] == '"x\\n()\\n3\\ngrad 33"'


def test_dot_takes_any_text():
    picture = nasty_picture()
    nodes, arrows = parse_dot(dot_of(picture))
    assert len(nodes) == 2 and arrows == [("n0", "n1")]
    assert quoted('a"\\N\n&') == '"a\\"\\\\N\\n&amp;"'


def nasty_picture():
    first = PictureNode(NASTY, "input", NASTY, (NASTY,), NASTY, NASTY, (NASTY,))
    return Picture((first, node("b")), (PictureEdge(NASTY, "b", NASTY),), (PictureBox((NASTY,), NASTY),), NASTY)


NODE = re.compile(r'\s+(n\d+)(?:\(\[|\[\[|\[)"([^"]*)"(?:\]\)|\]\]|\]):::(\w+)_$')
EDGE = re.compile(r'\s+(n\d+) -->(?:\|"([^"]*)"\|)? ?(n\d+)$')
BOX = re.compile(r'\s+subgraph (b\d+)\["([^"]*)"\]$')


def parse_mermaid(text):
    nodes, arrows, open_boxes = {}, [], []
    lines = text.splitlines()
    if lines[0] == "---":
        lines = lines[lines.index("---", 1) + 1 :]
    assert lines[0] == "flowchart TB"
    for line in lines[1:]:
        if match := NODE.match(line):
            nodes[match[1]] = (match[2], tuple(open_boxes))
        elif match := EDGE.match(line):
            arrows.append((match[1], match[3]))
        elif match := BOX.match(line):
            open_boxes.append(match[1])
        elif line.strip() == "end":
            open_boxes.pop()
        else:
            assert line.startswith("  classDef "), line
    assert not open_boxes
    return nodes, arrows


@pytest.mark.parametrize("sample", SAMPLES)
def test_mermaid_has_every_node_edge_and_box(sample):
    picture = SAMPLES[sample]()
    nodes, arrows = parse_mermaid(mermaid_of(picture))
    number = {each.id: f"n{i}" for i, each in enumerate(picture.nodes)}
    assert arrows == [(number[edge.source], number[edge.target]) for edge in picture.edges]
    assert {name: len(chain) for name, (_, chain) in nodes.items()} == {
        number[each.id]: len(each.boxes) for each in picture.nodes
    }


def test_mermaid_takes_any_text():
    nodes, arrows = parse_mermaid(mermaid_of(nasty_picture()))
    assert len(nodes) == 2 and arrows == [("n0", "n1")]
    assert decoded(nodes["n0"][0].split("<br/>")[0]) == " ".join(NASTY.split())


def decoded(text):
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text)


def test_mermaid_escapes_what_could_be_markup_and_leaves_names_alone():
    assert escaped("softmax_cross_entropy layers.0") == "softmax_cross_entropy layers.0"
    for markup in ('"', "<", ">", "&", "#", "`", "\\", "*", "~", "$"):
        assert markup not in escaped(f"a{markup}b").replace("#", "", 1) or markup == "#"
        assert decoded(escaped(f"a{markup}b")) == f"a{markup}b"
    assert escaped("_x_") == "#95;x#95;"
    assert escaped("#quot;") == "#35;quot;"


def test_folded_boxes_and_kinds_have_their_looks():
    text = mermaid_of(fold(mlp(), depth=1))
    assert 'n1[["layers.0: Linear<br/>2 operators<br/>2 parameters"]]:::module_' in text
    assert 'n0(["x"]):::input_' in text and "classDef module_ fill:" in text
    assert "peripheries=2" in dot_of(fold(mlp(), depth=1))


def test_unknown_kinds_are_drawn_as_operators():
    picture = Picture((node("a", "thing"), node("b")), edges(("a", "b")))
    assert mermaid_of(picture).count(":::operator_") == 2
    assert parse_dot(dot_of(picture))[1] == [("n0", "n1")]
