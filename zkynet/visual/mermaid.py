"""A picture as a Mermaid flowchart, which GitHub and many notebooks and wikis draw from text."""

from __future__ import annotations

import re

from zkynet.visual import style
from zkynet.visual.outline import nested, short_ids
from zkynet.visual.picture import Picture, PictureBox, PictureNode

_BRACKETS = {"input": ("([", "])"), "module": ("[[", "]]")}


def mermaid_of(picture: Picture) -> str:
    """``picture`` as a Mermaid flowchart from top to bottom; boxes are subgraphs.

    Mermaid's own limits are 500 edges and 50,000 characters; larger graphs should be folded first.
    """
    ids = short_ids(picture)

    def node(each: PictureNode) -> str:
        begin, end = _BRACKETS.get(each.kind, ("[", "]"))
        kind = each.kind if each.kind in style.LOOKS else "operator"
        return f'{ids[each.id]}{begin}"{"<br/>".join(escaped(line) for line in each.lines)}"{end}:::{kind}_'

    def begin(name: str, box: PictureBox) -> str:
        return f'subgraph {name}["{escaped(box.title)}"]'

    title = ["---", f"title: {_yaml(picture.title)}", "---"] if picture.title else []
    # "input_" and so on: some plain words, such as "default" and "end", mean something to Mermaid.
    classes = [
        f"  classDef {kind}_ fill:{look.fill},stroke:{look.stroke},color:{style.TEXT}"
        + (f",stroke-dasharray:{look.dash[0]:g} {look.dash[1]:g}" if look.dash else "")
        for kind, look in style.LOOKS.items()
        if any((each.kind if each.kind in style.LOOKS else "operator") == kind for each in picture.nodes)
    ]
    edges = (
        f"  {ids[edge.source]} -->" + (f'|"{escaped(edge.label)}"| ' if edge.label else " ") + ids[edge.target]
        for edge in picture.edges
    )
    return "\n".join([*title, "flowchart TB", *nested(picture, node, begin, "end"), *edges, *classes]) + "\n"


# What could be read as markup; an underscore within a word never is.
_MARKUP = re.compile(r'[#&<>"`\\*~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])')


def escaped(text: str) -> str:
    """``text`` inside a quoted Mermaid label, with entity codes for what could be read as markup."""
    return _MARKUP.sub(lambda found: f"#{ord(found[0])};", " ".join(text.split()))


def _yaml(text: str) -> str:
    plain = " ".join(text.split())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
