"""Gradients of what stands on the graphs of calls, and the graph of a gradient."""

from collections.abc import Sequence
from typing import Any

from zkynet import backends
from zkynet.backends.errors import NotDifferentiableError, NotInGraphError

from . import op
from .backprop import everything, is_weak, pull_back, seed
from .backward_pass import is_complex
from .function import Input
from .graph import ModuleGraph, as_cotangent, described
from .operator import Leaf
from .record import CONTEXT, HOST, Record, Tensor, entered, operand, tensor_of


def gradients(output: Any, inputs: Sequence[Any], cotangent: Any = None, *, allow_unused: bool = False) -> list:
    """The gradients of a Tensor that was computed from the results of Modules called from outside.

    ``output`` is a scalar, or has ``cotangent``'s shape. ``inputs``: Parameters, Variables, Nodes, ModuleGraphs and
    Tensors; a Parameter gets the sum over all the calls that lead to the output. Each gradient has its input's shape.
    NotInGraphError, a ValueError, for an input that the output does not depend on; with ``allow_unused`` zeros, or None
    for a Variable, whose shape is not known then. Inside a transform the gradients are Tensors.
    """
    if isinstance(inputs, Input) or not isinstance(inputs, (list, tuple)):
        raise TypeError("gradients: inputs is a list; write zk.gradients(loss, [x])")
    value, root = operand(output)
    shape = tuple(getattr(value, "shape", ()))
    if cotangent is None and shape != ():
        raise NotDifferentiableError(
            f"gradients needs a scalar output.\n  got:      shape {shape}\n  expected: shape ()\n"
            "Reduce it, with op.sum say, or pass a cotangent of its shape."
        )
    history = [] if root is None else everything([root])
    asked = [_records_of(x, history) for x in inputs]
    _check_used(inputs, asked, allow_unused)
    context = CONTEXT.get()
    traced = context.depth > 0 and context.recording
    found: dict = {}
    records = list(dict.fromkeys(r for group in asked for r in group))
    if root is not None and records:
        g = seed(root) if cotangent is None else as_cotangent(cotangent, root, shape)
        with HOST.errstate():
            found = dict(zip(records, pull_back([root], [tensor_of(g) if traced else g], records, traced), strict=True))
    return [_total(x, [found.get(r) for r in group], group) for x, group in zip(inputs, asked, strict=True)]


def _records_of(x, history) -> list[Record]:
    """The Records in a history that stand for ``x``."""
    if isinstance(x, Input):
        return [r for r in history if type(r.operator) is Leaf and r.operator.ref is x]
    try:
        record = operand(x)[1]
    except TypeError as error:
        raise TypeError(f"gradients: cannot differentiate with respect to {x!r}: {error}") from None
    return [record] if record is not None and record in set(history) else []


def _check_used(inputs, asked, allow_unused):
    unused = [x for x, group in zip(inputs, asked, strict=True) if not group]
    if unused and not allow_unused:
        raise NotInGraphError(
            "gradients: the output does not depend on all inputs.\n"
            f"  unused:   {', '.join(getattr(x, 'name', repr(x)) for x in unused)}\n"
            "Ask for what it was computed from, or pass allow_unused=True for zeros."
        )


def _total(x, parts, records):
    """The sum of the gradients of all Records that stand for one input, as the caller's own array."""
    total = None
    for c, record in zip(parts, records, strict=True):
        if c is None:
            continue
        if is_complex(record):
            c = c.conj() if type(c) is Tensor else backends.backend_of(c).conj(c)
        total = c if total is None else total + c
    if total is None:
        return _zeros(x)
    if type(total) is Tensor:
        return total
    return total.item() if is_weak(records[0]) else backends.backend_of(total).own(total)


def _zeros(x):
    if isinstance(x, Input) and not hasattr(x, "_value"):
        return None
    value = operand(x)[0]
    return backends.backend_of(value).zeros_like(value) if hasattr(value, "shape") else 0.0


def gradient_graph(graph: ModuleGraph, *inputs: Any) -> list[ModuleGraph]:
    """The gradient of a graph as graphs: one ModuleGraph for each input, of the steps forward and back.

    ``inputs`` are Parameters, Variables or Nodes of the graph; by default all its inputs that the output depends on. An
    output that is no scalar is differentiated as its sum. What is between is a node like others, and can be
    differentiated again.
    """
    session = graph.session.copied()
    root = graph.root.__zkynet_tensor__()
    if root.record is None:
        raise NotDifferentiableError(f"{graph!r} has no gradient: it depends on nothing differentiable")
    nodes = [graph.node_of(x) for x in inputs] or [n for n in graph.inputs if n in set(graph.nodes)]
    records = [n.__zkynet_tensor__().record for n in nodes]
    for node, record in zip(nodes, records, strict=True):
        if record is None:
            raise NotDifferentiableError(f"{node!r} has no gradient: {described(node.value)}")
    context = CONTEXT.get()
    inside = context.replace(recording=True, session=session, watchers=(*context.watchers, session))
    with entered(inside), HOST.errstate():
        found = pull_back([root.record], [tensor_of(seed(root.record))], records, True)
    zeros = [tensor_of(op.zeros_like(n.__zkynet_tensor__())._value) for n in nodes]
    return [ModuleGraph(session, z if c is None else c) for c, z in zip(found, zeros, strict=True)]
