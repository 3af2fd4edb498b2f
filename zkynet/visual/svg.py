"""A scene as SVG: self-contained, without scripts, styles or ids that could meet those of a page around it."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from zkynet.visual import style
from zkynet.visual.scene import Area, Curve, Group, Polygon, Scene, Shape
from zkynet.visual.text import FONT


def svg_of(scene: Scene) -> str:
    """``scene`` as the text of an SVG file. The ground is white, so that it reads the same in a dark notebook."""
    width, height = _number(scene.width), _number(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" font-family="{FONT}">',
        f"<title>{_text(scene.title)}</title>",
        f'<rect width="{width}" height="{height}" rx="6" fill="{style.BACKGROUND}"/>',
        *(_group(group) for group in scene.groups),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _group(group: Group) -> str:
    shapes = "".join(_shape(shape) for shape in group.shapes)
    title = f"<title>{_text(group.tooltip)}</title>" if group.tooltip else ""
    return f"<g class={quoteattr('zk-' + group.role)}>{title}{shapes}</g>"


def _shape(shape: Shape) -> str:
    if isinstance(shape, Area):
        return _area(shape)
    if isinstance(shape, Curve):
        steps = ("L" if len(step) == 1 else "C" for step in shape.steps)
        path = f"M{_point(shape.start)}" + "".join(
            letter + " ".join(_point(point) for point in step) for letter, step in zip(steps, shape.steps)
        )
        return f'<path d="{path}" fill="none" stroke="{shape.stroke}" stroke-width="{_number(shape.width)}"/>'
    if isinstance(shape, Polygon):
        return f'<polygon points="{" ".join(_point(point) for point in shape.points)}" fill="{shape.fill}"/>'
    weight = ' font-weight="bold"' if shape.bold else ""
    anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
    return (
        f'<text x="{_number(shape.x)}" y="{_number(shape.y)}" font-size="{_number(shape.size)}" fill="{shape.colour}"'
        f"{weight}{anchor}>{_text(shape.text)}</text>"
    )


def _area(area: Area) -> str:
    rect = area.rect
    dash = f' stroke-dasharray="{_number(area.dash[0])} {_number(area.dash[1])}"' if area.dash else ""
    stroke = f' stroke="{area.stroke}" stroke-width="{_number(area.width)}"{dash}' if area.stroke else ""
    return (
        f'<rect x="{_number(rect.x)}" y="{_number(rect.y)}" width="{_number(rect.width)}"'
        f' height="{_number(rect.height)}" rx="{_number(area.radius)}" fill="{area.fill}"{stroke}/>'
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _point(point: tuple[float, float]) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _text(text: str) -> str:
    """``text`` for XML, without the control characters and lone surrogates that XML forbids even as references."""
    allowed = (c if _is_xml(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)
    return escape("".join(allowed))


def _is_xml(code: int) -> bool:
    return code in (9, 10, 13) or (code >= 32 and not 0xD800 <= code < 0xE000 and code not in (0xFFFE, 0xFFFF))
