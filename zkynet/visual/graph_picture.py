"""The Picture of a computation graph: what a ModuleGraph shows, before anything has a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from zkynet import backends
from zkynet.framework.computation_graph import (
    Constant,
    InputNode,
    Module,
    ModuleGraph,
    Node,
    OperatorNode,
    Parameter,
    State,
    Variable,
    gradient_graph,
)
from zkynet.visual.adopt import adopt_leaves
from zkynet.visual.picture import BoxPath, Picture, PictureBox, PictureEdge, PictureNode
from zkynet.visual.values import short_value

KINDS = {Variable: "input", Parameter: "parameter", Constant: "constant", State: "state"}
SYMMETRIC = frozenset(("add", "multiply", "maximum", "minimum"))  # whose arguments need no names


def picture_of(root: Any, view: str) -> Picture:
    """The Picture of a ModuleGraph, of what leads to one of its Nodes, or of several with nodes in common.

    For "gradient" it shows the steps forward and back that lead to the gradients of the graph's inputs.
    """
    roots = _roots(root)
    ends: dict[Node, str | None] = dict.fromkeys(roots)
    if view == "gradient":
        ends = dict(pair for node in roots for pair in _gradients(_graph(node)))
        roots = list(ends)
    nodes = _reached(roots)
    ids = {node: str(n) for n, node in enumerate(nodes)}  # the same for every call, so that drawings can be compared
    picture = Picture(
        nodes=tuple(_picture_node(node, ids[node], ends, view) for node in nodes),
        edges=tuple(edge for node in nodes for edge in _edges(node, ids)),
        boxes=_boxes(nodes),
        title=_title(roots[0], view),
    )
    return adopt_leaves(picture)


def _roots(root: Any) -> list[Node]:
    items = list(root) if isinstance(root, (list, tuple)) else [root]
    roots = [item.root if isinstance(item, ModuleGraph) else item for item in items]
    for item in roots:
        if not isinstance(item, Node):
            raise TypeError(
                f"plot_cg draws the graph of a call.\n  got:      {type(item).__name__}\n"
                "  expected: a ModuleGraph, which calling a Module from outside returns, or one of its Nodes\n"
                "Outside means: not inside zk.grad and its kin, and not under no_grad."
            )
    if not roots:
        raise ValueError("plot_cg was given no graph")
    return roots


def _graph(node: Node) -> ModuleGraph:
    """The ModuleGraph whose root is ``node``."""
    return node.graph if node == node.graph.root else ModuleGraph(node.graph.session, node.__zkynet_tensor__())


def _gradients(graph: ModuleGraph) -> Iterable[tuple[Node, str]]:
    """The Node of the gradient of each input that the output depends on, and what it is the gradient of."""
    reached = set(graph.nodes)
    inputs = [node for node in graph.inputs if node in reached and node.tracked]
    found = gradient_graph(graph, *inputs)
    return [(each.root, f"gradient of {_name(node)}") for each, node in zip(found, inputs, strict=True)]


def _reached(roots: Sequence[Node]) -> list[Node]:
    """The Nodes that lead to ``roots``, in the order of the run."""
    found = dict.fromkeys(roots)
    waiting = list(roots)
    while waiting:
        for child in waiting.pop().children:
            if child not in found:
                found[child] = None
                waiting.append(child)
    return sorted(found, key=lambda node: int(node.id.partition(":")[2]))


def _title(root: Node, view: str) -> str:
    name = type(root.graph.module).__name__
    return f"Gradient of {name}" if view == "gradient" else name


# ---- nodes ----


def _picture_node(node: Node, name: str, ends: dict[Node, str | None], view: str) -> PictureNode:
    value = node.__zkynet_tensor__().value
    shown = view in ("values", "gradient")
    return PictureNode(
        id=name,
        kind=_kind(node, node in ends),
        title=_name(node),
        details=_details(node, ends.get(node), value, view),
        value=_text(value) if shown else None,
        gradient=_gradient(node) if shown else None,
        boxes=_box_path(node),
        tooltip=_tooltip(node, value),
    )


def _details(node: Node, role: str | None, value: Any, view: str) -> tuple[str, ...]:
    roles = () if role is None else (role,)
    return roles if view == "structure" else (*roles, *_settings(node), *_form(value))


def _kind(node: Node, is_root: bool) -> str:
    if isinstance(node, InputNode):
        return next((kind for cls, kind in KINDS.items() if isinstance(node.ref, cls)), "constant")
    return "output" if is_root else "operator"


def _name(node: Node) -> str:
    if isinstance(node, InputNode):
        return "constant" if node.ref is None else node.ref.short_name + node.path
    return node.ref.functional_name


def _settings(node: Node) -> tuple[str, ...]:
    """What an operator was made with, such as ``axis=(-1,)``."""
    if not isinstance(node, OperatorNode) or not hasattr(node.operator, "__dict__"):
        return ()
    settings = {k: v for k, v in vars(node.operator).items() if not k.startswith("_") and not callable(v)}
    text = ", ".join(f"{k}={v!r}" for k, v in settings.items())
    return (text if len(text) <= 40 else text[:39] + "…",) if text else ()


def _form(value: Any) -> tuple[str, ...]:
    """Shape and dtype; nothing for a Python number."""
    return (f"{tuple(value.shape)} {str(value.dtype).rpartition('.')[2]}",) if hasattr(value, "shape") else ()


def _text(value: Any) -> str | None:
    backend = backends.backend_of(value)
    if backend is None:
        return short_value(value) if isinstance(value, (bool, int, float, complex)) else None
    return None if backend.is_traced(value) else short_value(backend.to_numpy(value))


def _gradient(node: Node) -> str | None:
    if not node.graph.has_gradients:
        return None
    gradient = node.gvalue
    return None if gradient is None else _text(gradient)


def _tooltip(node: Node, value: Any) -> str:
    lines = [node.name if isinstance(node, OperatorNode) else _name(node), *_settings(node), *_form(value)]
    text = _text(value)
    return "\n".join(lines if text is None else [*lines, text])


# ---- edges and boxes ----


def _edges(node: Node, ids: dict[Node, str]) -> Iterable[PictureEdge]:
    children = node.children
    if not children:
        return
    operator = node.ref
    plan = type(operator).plan
    names = [str(i) for i in range(len(children))] if plan.variadic else list(plan.inputs)
    named = len(children) == len(names) > 1 and operator.functional_name not in SYMMETRIC
    for i, child in enumerate(children):
        yield PictureEdge(ids[child], ids[node], names[i] if named else None)


def _box_path(node: Node) -> BoxPath:
    """The calls of Modules that a node was computed in, outermost first, without the call that was drawn."""
    return tuple(str(frame.number) for frame in _frames(node))


def _frames(node: Node) -> list[Any]:
    frames = []
    frame = node.frame
    while frame is not None and frame.outer is not None:
        frames.append(frame)
        frame = frame.outer
    return frames[::-1]


def _boxes(nodes: Iterable[Node]) -> tuple[PictureBox, ...]:
    boxes: dict[BoxPath, PictureBox] = {}
    for node in nodes:
        path: BoxPath = ()
        for frame in _frames(node):
            path = (*path, str(frame.number))
            if path not in boxes:
                boxes[path] = PictureBox(path, _box_title(frame))
    return tuple(boxes.values())


def _box_title(frame: Any) -> str:
    """The role of a module in the one that called it, and its kind: ``layers.0: Linear``."""
    kind = type(frame.module).__name__
    owner = frame.outer.module
    role = next((path for path, module in owner.named_modules().items() if module is frame.module), "")
    return f"{role}: {kind}" if role and isinstance(owner, Module) else kind
