"""A picture in the DOT language of Graphviz, for those who want to lay it out there."""

from __future__ import annotations

from zkynet.visual import style
from zkynet.visual.outline import nested, short_ids
from zkynet.visual.picture import Picture, PictureBox, PictureNode


def dot_of(picture: Picture) -> str:
    """``picture`` as a DOT digraph: boxes are clusters, the text of a node its label, long texts tooltips."""
    ids = short_ids(picture)

    def node(each: PictureNode) -> str:
        look = style.look_of(each.kind)
        dash = "" if look.radius == 2.0 else "rounded,"
        shape = f'style="{dash}filled{",dashed" if look.dash else ""}", peripheries={2 if look.double else 1}'
        colours = f'fillcolor="{look.fill}", color="{look.stroke}", penwidth={look.width}'
        return (
            f"{ids[each.id]} [label={quoted_lines(each.lines)}, tooltip={quoted(each.full_text)}, {shape}, {colours}];"
        )

    def begin(name: str, box: PictureBox) -> str:
        fill = style.BOX_FILLS[(len(box.path) - 1) % len(style.BOX_FILLS)]
        return (
            f"subgraph cluster_{name} {{ label={quoted(box.title)}; labeljust=l; "
            f'style="rounded,filled"; color="{style.BOX_STROKE}"; fillcolor="{fill}";'
        )

    title = [f"  label={quoted(picture.title)}; labelloc=t; labeljust=l;"] if picture.title else []
    lines = [
        "digraph computation {",
        "  rankdir=TB;",
        *title,
        f'  node [shape=box, fontname="Helvetica", fontsize=11, fontcolor="{style.TEXT}"];',
        f'  edge [color="{style.EDGE}", fontname="Helvetica", fontsize=8, arrowsize=0.7];',
        f'  fontname="Helvetica"; fontsize=12; fontcolor="{style.TEXT}";',
        *nested(picture, node, begin, "}"),
        *(
            f"  {ids[edge.source]} -> {ids[edge.target]}" + (f" [label={quoted(edge.label)}];" if edge.label else ";")
            for edge in picture.edges
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """``text`` as a DOT string that shows exactly its characters: a backslash would begin an escape such as ``\\N``."""
    cleaned = text.replace("\0", "\N{REPLACEMENT CHARACTER}").replace("\r\n", "\n").replace("\r", "\n")
    # In labels Graphviz also reads HTML entities, so a literal ampersand is written as one.
    return '"' + cleaned.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;").replace("\n", "\\n") + '"'


def quoted_lines(lines: tuple[str, ...]) -> str:
    return quoted("\n".join(lines))
