"""The backward pass of a ModuleGraph one node at a time, and gradients as a caller sees them."""

from collections.abc import Iterator
from typing import Any

from zkynet import backends

from .backprop import _check_guards, steps_back
from .record import HOST, PYTHON_NUMBERS, Output, Tensor


class BackStep:
    """One step of the backward pass: a node, its gradient, and what it sends to which child.

    ``sends`` holds pairs (Node, contribution) in the order of the operator's inputs.
    """

    __slots__ = ("gvalue", "node", "sends")

    def __init__(self, node: Any, gvalue: Any, sends: list[tuple[Any, Any]]):
        self.node, self.gvalue, self.sends = node, gvalue, sends

    def __repr__(self) -> str:
        sends = ", ".join(f"{c} to {node.name}" for node, c in self.sends)
        return f"BackStep({self.node.name}: gvalue {self.gvalue}{', sends ' + sends if sends else ''})"


class BackwardPass:
    """The steps of a backward pass: iterate over it, print it, or show it in a notebook."""

    def __init__(self, graph: Any, cotangent: Any = None):
        self.graph, self.cotangent = graph, cotangent

    def __iter__(self) -> Iterator[BackStep]:
        graph = self.graph
        lead, g = graph._first_cotangent(self.cotangent)
        if g is None:
            return iter(())
        by_record = {step.tensor.record: step for step in graph._steps if step.tensor.record is not None}
        order = backprop_order(by_record)
        _check_guards(order)
        with HOST.errstate():
            done = list(steps_back(graph._root.tensor.record, g, order, lead))
        steps: list[BackStep] = []
        last: dict = {}  # the common Record of an operator with several outputs -> the step of the last of them
        for record, c, contributions in done:
            sends = [
                (graph._node(by_record[p].key), presented(part, by_record[p].tensor))
                for p, part in contributions
                if p in by_record
            ]
            if record not in by_record:
                last[record].sends = sends  # what all outputs send together
                continue
            step = by_record[record]
            steps.append(BackStep(graph._node(step.key), presented(c, step.tensor), sends))
            if type(record.operator) is Output and record.parents:
                last[record.parents[0]] = steps[-1]
        return iter(steps)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = []
        for number, step in enumerate(self, start=1):
            head = f"{number}. {step.node.name}"
            rows.append((head, shortened(step.gvalue), ""))
            rows += [("", shortened(c), f"-> {node.name}") for node, c in step.sends]
        return rows

    def __repr__(self) -> str:
        """A table: each node with its gradient, and below it what it sends to whom."""
        rows = [("step", "gradient, then what it sends", "to"), *self._rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(2)]
        return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c}".rstrip() for a, b, c in rows)

    def _repr_html_(self) -> str:
        escaped = [[cell.replace("&", "&amp;").replace("<", "&lt;") for cell in row] for row in self._rows()]
        body = "".join("<tr>" + "".join(f"<td><code>{cell}</code></td>" for cell in row) + "</tr>" for row in escaped)
        return f"<table><tr><th>step</th><th>gradient, then what it sends</th><th>to</th></tr>{body}</table>"


def backprop_order(by_record) -> list:
    """The Records of a call that lead to its root, with the common ones of operators with several outputs."""
    found = {*by_record}
    for record in by_record:
        found.update(p for p in record.parents if p is not None and isinstance(p.shape, tuple) and _is_common(p))
    return sorted(found, key=lambda record: record.serial)


def _is_common(record) -> bool:
    return bool(record.shape) and isinstance(record.shape[0], tuple)


def presented(c: Any, tensor: Tensor) -> Any:
    """A cotangent as the caller's own array: conjugated where complex, a Python number for one."""
    xp = backends.backend_of(c)
    if is_complex(tensor.record):
        c = xp.conj(c)
    number = type(tensor._value) in PYTHON_NUMBERS and c.shape == () and not xp.is_traced(c)
    return c.item() if number else xp.own(c)


def shortened(value: Any) -> str:
    """A value in one short line."""
    text = " ".join(str(backends.backend_of(value).to_numpy(value) if hasattr(value, "shape") else value).split())
    return text if len(text) <= 60 else f"array of shape {tuple(value.shape)}"


def is_complex(record) -> bool:
    return record.dtype is complex or (record.dtype is not None and record.xp.is_complex(record.dtype))
