"""summary: the layers of a model in a table, with shapes, parameters, multiply-adds and memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from zkynet import backends
from zkynet.framework import pytree
from zkynet.framework.computation_graph import Constant, Module, Parameter, State, Tensor
from zkynet.framework.operations.conv import Conv, ConvFilter, ConvInput
from zkynet.framework.operations.linalg import Einsum, Linear, MatMul, MatVec
from zkynet.framework.record import CONTEXT, entered, operand, shape_of


def summary(model: Module, *inputs: Any, dtype: Any = None) -> Summary:
    """Print the layers of ``model`` in the order in which they run, and return the table as a Summary.

    Each of ``inputs`` is the shape of an input, a tuple of ints with the batch in it, for which zeros of ``dtype`` are
    made on the model's backend; or an array, where zeros would not do, such as token numbers. ``dtype`` is by default
    that of the first parameter, float32 without one. ``zk.summary(model, (1, 784))``.

    The model runs once, in the mode of ``eval()`` and without gradients; its mode, States and generators are afterwards
    what they were. A row is one call of a module: its output shape, the parameters that it owns itself (counted at its
    first call), and the multiply-adds of the matrix products and convolutions that it computes itself; entrywise
    operations are not counted. The totals below are those of the whole model, ``values`` the memory of all that its
    operators computed in this run, most of which a training step keeps.

    TypeError where the model is no Module or an input is neither; what the model raises comes with a note.
    """
    if not isinstance(model, Module):
        raise TypeError(
            f"summary takes a Module.\n  got:      {type(model).__name__}\n  expected: summary(model, shape)"
        )
    survey = _Survey(model)
    arrays = [_array(model, x, dtype) for x in inputs]
    with _undisturbed(model), entered(CONTEXT.get().replace(recording=False, session=survey, watchers=(survey,))):
        survey.call(model, arrays, {})
    result = Summary(survey.rows, *_owned(model), survey.memory)
    print(result)
    return result


@dataclass
class Row:
    """One call of a module: where it stands, what it gave, what it owns and computed itself."""

    path: str
    kind: str
    depth: int
    shape: Any = None
    parameters: int = 0
    multiply_adds: int = 0


@dataclass
class Summary:
    """The rows of a model, and its totals: numbers of parameters and of multiply-adds, and bytes of memory."""

    rows: list[Row] = field(repr=False)
    parameters: int
    trainable: int
    parameter_memory: int
    value_memory: int

    @property
    def multiply_adds(self) -> int:
        """Of all matrix products and convolutions in one run."""
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        header = ("layer", "output", "parameters", "multiply-adds")
        cells = [
            (
                "  " * r.depth + (f"{r.path}: {r.kind}" if r.path else r.kind),
                _shown(r.shape),
                _count(r.parameters),
                _count(r.multiply_adds),
            )
            for r in self.rows
        ]
        widths = [max(len(row[i]) for row in (header, *cells)) for i in range(4)]
        line = "-" * (sum(widths) + 6)
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in (header, *cells)
        ]
        return "\n".join(
            [
                lines[0],
                line,
                *lines[1:],
                line,
                f"parameters:    {self.parameters:,}, {self.parameters - self.trainable:,} of them frozen",
                f"multiply-adds: {self.multiply_adds:,}",
                f"memory:        parameters {_bytes(self.parameter_memory)}, values {_bytes(self.value_memory)}",
            ]
        )


class _Survey:
    """Sees the calls of modules, as a session does, and the operators in them, as a watcher."""

    def __init__(self, model: Module):
        self.paths = {id(module): path for path, module in model.named_modules().items()}
        self.rows: list[Row] = []
        self.open: list[Row] = []
        self.counted: set[int] = set()
        self.memory = 0

    def call(self, module: Module, inputs: Sequence[Any], settings: dict[str, Any]) -> Any:
        """``module.call``, in a row of its own."""
        row = Row(self.paths.get(id(module), ""), type(module).__name__, len(self.open), parameters=self._own(module))
        self.rows.append(row)
        self.open.append(row)
        try:
            result = module.call(*inputs, **settings)
        except Exception as error:
            error.add_note(f"in summary, at {row.path or row.kind}")
            raise
        finally:
            self.open.pop()
        row.shape = pytree.map_tree(_shape, result)
        return result

    def _own(self, module: Module) -> int:
        """How many numbers the Parameters hold that no module inside of it owns, and no earlier row has."""
        inside = {id(p) for each in module.named_modules().values() for p in each.parameters()}
        mine = [p for p in module.parameters() if id(p) not in inside | self.counted]
        self.counted |= {id(p) for p in mine}
        return sum(_size(p._value) for p in mine)

    def applied(self, operator: Any, inputs: Sequence[Any], result: Any) -> None:
        """Count what an operator computed."""
        for tensor in result if isinstance(result, tuple) else (result,):
            self.memory += _memory(tensor._value)
        if self.open:
            self.open[-1].multiply_adds += multiply_adds(operator, [shape_of(operand(x)[0]) for x in inputs], result)

    def sent(self, record: Any, g: Any, parent: Any, c: Any) -> None:
        """Nothing is differentiated of what runs here."""


def multiply_adds(operator: Any, shapes: Sequence[tuple[int, ...]], result: Any) -> int:
    """The multiply-adds of a matrix product or a convolution with operands of ``shapes``; 0 for other operators."""
    if isinstance(operator, (MatMul, MatVec, Linear)):
        return _size(result._value) * shapes[0][-1]
    if isinstance(operator, Conv):
        return _size(result._value) * math.prod(shapes[1][-len(operator.stride) - 1 :])
    if isinstance(operator, (ConvInput, ConvFilter)):  # of each number of the convolution's output, h
        h, kernel = (shapes[0], shapes[1]) if isinstance(operator, ConvInput) else (shapes[1], shape_of(result._value))
        return math.prod(h) * math.prod(kernel[-len(operator.stride) - 1 :])
    if isinstance(operator, Einsum):
        sizes: dict[str, int] = {}
        for labels, shape in zip(operator.labels, shapes, strict=True):
            for label, size in zip(labels, shape, strict=True):
                sizes[label] = max(size, sizes.get(label, 0))
        return math.prod(sizes.values()) * (len(shapes) - 1)
    return 0


@contextmanager
def _undisturbed(model: Module) -> Iterator[None]:
    """A block in which the model is in the mode of ``eval()``; it has its own modes and States again behind it."""
    modes = [(each, each.training) for each in (model, *model.named_modules().values())]
    states = [(state, state._value) for state in model.named_states().values()]
    try:
        model.eval()
        yield
    finally:
        for each, mode in modes:
            each.training = mode
        for state, value in states:
            state._value = value


def _array(model: Module, x: Any, dtype: Any) -> Any:
    """An input: zeros of a shape, or the array itself."""
    if not isinstance(x, (tuple, list)) or not all(type(size) is int for size in x):
        if isinstance(x, Tensor) or backends.backend_of(x) is not None:
            return x
        raise TypeError(f"summary: an input is a shape or an array.\n  got:      {x!r}\n  expected: (1, 784), say")
    first: Any = next((p._value for p in model.parameters()), None)
    home = backends.backend_of(first)
    if home is None:
        home, first = backends.default_backend(), None
    like = "float32" if first is None else first.dtype
    return home.zeros(tuple(x), dtype=home.dtype(like if dtype is None else dtype))


def _owned(model: Module) -> tuple[int, int, int]:
    """How many numbers the model's Parameters hold, how many of them are trained, and the bytes of all it owns."""
    parameters = model.parameters()
    kept = [p._value for kind in (Parameter, State, Constant) for p in model.named_possessions(kind).values()]
    trained = [p for p in parameters if p.trainable]
    return sum(_size(p._value) for p in parameters), sum(_size(p._value) for p in trained), sum(map(_memory, kept))


def _shape(x: Any) -> Any:
    return shape_of(operand(x)[0]) if hasattr(x, "shape") else x


def _size(value: Any) -> int:
    return math.prod(shape_of(value))


def _memory(value: Any) -> int:
    """Bytes of an array; a Python number counts as one of 8."""
    return _size(value) * getattr(getattr(value, "dtype", None), "itemsize", 8)


def _shown(shape: Any) -> str:
    return str(shape).replace(" ", "") if shape is not None else ""


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _bytes(number: int) -> str:
    """A number of bytes in the largest unit of which it has at least one."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number} B"
