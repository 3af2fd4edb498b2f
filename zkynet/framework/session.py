"""Call sessions: what is seen of one call of a Module from outside, step by step."""

import itertools
from typing import Any

from zkynet import backends

from . import pytree
from .function import Constant, Function, Parameter, State, Variable
from .operator import Leaf
from .record import HOST, PYTHON_NUMBERS, Output, Record, Tensor, make_record, operand, tensor_of

_calls = itertools.count(1)


class Frame:
    """One call of a Module inside a session: the module, the Frame that it was called from, and its number."""

    __slots__ = ("module", "number", "outer")

    def __init__(self, module, outer, number):
        self.module, self.outer, self.number = module, outer, number


class Step:
    """What a session knows of one node: an operator's application, or an input, and the value that came of it.

    ``inputs`` are the keys of the steps that it reads, in order; ``ref`` is what an input stands for: a Variable,
    Parameter, Constant or State, None for a number or array that the code itself brought in.
    """

    __slots__ = ("frame", "inputs", "key", "operator", "path", "ref", "tensor")

    def __init__(self, key, tensor, frame, operator=None, inputs=(), ref=None, path=""):
        self.key, self.tensor, self.frame, self.operator = key, tensor, frame, operator
        self.inputs, self.ref, self.path = inputs, ref, path


class Session:
    """One call of a Module from outside: a watcher that keeps every step, in the order in which they were made."""

    def __init__(self, module):
        self.call_id = next(_calls)
        self.module = module
        self.steps: dict[Any, Step] = {}
        self.inputs: dict[Any, list[Step]] = {}  # Variable -> its steps, Parameter -> its one step
        self.trees: dict[Any, pytree.Treedef] = {}  # Variable -> the structure of what was given, where a container
        self.frame = Frame(module, None, 0)
        self._frames = itertools.count(1)
        self._handles: list[Tensor] = []

    def copied(self) -> "Session":
        """A session of the same call that can be told more."""
        other = Session(self.module)
        other.call_id, other.frame = self.call_id, self.frame
        other.steps, other.inputs, other.trees = dict(self.steps), dict(self.inputs), dict(self.trees)
        other._handles = list(self._handles)
        return other

    # ---- Modules called inside ----

    def call(self, module, inputs, settings):
        """``module.call`` in a Frame of its own."""
        outer = self.frame
        self.frame = Frame(module, outer, next(self._frames))
        try:
            return module.call(*inputs, **settings)
        finally:
            self.frame = outer

    # ---- inputs ----

    def bind(self, parameter: Parameter) -> Tensor:
        """The Tensor that stands for a Parameter in this call."""
        return self._leaf(parameter, parameter._value, None, "")

    def give(self, variable: Variable, x: Any) -> Any:
        """What stands for ``x``, given for a Variable: a Tensor, or a container of them."""
        leaves, tree = pytree.flatten(x, lambda node: isinstance(node, Function))
        if tree is pytree.LEAF:
            return self._give(variable, x, "")
        given = [self._give(variable, leaf, path) for leaf, path in zip(leaves, pytree.paths(x), strict=True)]
        if all(type(leaf) is Tensor for leaf in given):
            self.trees[variable] = tree
        return tree.unflatten(given)

    def _give(self, variable, x, path) -> Any:
        """The Tensor of one leaf; what is no array stays as it is."""
        if x is None or isinstance(x, (str, bytes, bool, Function)):
            return x
        try:
            value, outer = operand(x)
        except TypeError:
            return x
        if type(value) is int:
            value = float(value)
        elif type(value) not in PYTHON_NUMBERS and value is x:
            xp = backends.backend_of(value)
            if not xp.is_inexact(value.dtype):
                return self._leaf(variable, xp.own(value), outer, path)
            value, guard = xp.borrow(value)
            return self._leaf(variable, value, outer, path, (guard,) if guard is not None else None)
        return self._leaf(variable, value, outer, path)

    def _leaf(self, ref, value, outer, path, guards=None) -> Tensor:
        record = None
        kind = type(value)
        xp = HOST if kind in PYTHON_NUMBERS else backends.backend_of(value)
        if kind in PYTHON_NUMBERS or xp.is_inexact(value.dtype):
            weak = complex if kind is complex else None
            shape, dtype = ((), weak) if kind in PYTHON_NUMBERS else (tuple(value.shape), value.dtype)
            record = make_record(Leaf(ref), (outer,) if outer else (), (None, None), shape, dtype, xp, guards)
        tensor = tensor_of(value, record)
        step = self._add(self._own_key(tensor), tensor, ref=ref, path=path)
        self.inputs.setdefault(ref, []).append(step)
        return tensor

    # ---- what the session is told ----

    def applied(self, operator, inputs, result) -> None:
        """Keep one application of an operator: its output, or several."""
        keys = tuple([self.key_of(x) for x in inputs])
        for tensor in result if isinstance(result, tuple) else (result,):
            self._add(self._own_key(tensor), tensor, operator=operator, inputs=keys)

    def sent(self, record, g, parent, c) -> None:
        """A session does not keep what the sweeps inside of it send."""

    def _add(self, key, tensor, **what) -> Step:
        # A copy of the handle: the code may assign to entries of its own.
        step = self.steps[key] = Step(key, tensor_of(tensor._value, tensor.record), self.frame, **what)
        if tensor.record is None:
            self._handles.append(tensor)  # its id is the key
            if type(tensor._value) not in PYTHON_NUMBERS:
                self.steps.setdefault(("value", id(tensor._value)), step)
        return step

    @staticmethod
    def _own_key(tensor):
        return ("tensor", id(tensor)) if tensor.record is None else tensor.record

    def key_of(self, x: Any) -> Any:
        """The key of the step that an operand came from; a step of its own for what comes from nowhere."""
        if isinstance(x, (Constant, State, Parameter)):
            tensor = tensor_of(*operand(x))
            if tensor.record is None:
                return self._known(x, tensor, ref=x)
        else:
            try:
                tensor = x if type(x) is Tensor else tensor_of(*operand(x))
            except TypeError:  # the operator itself has taken it
                return self._known(("tensor", id(x)), tensor_of(x))
        record = tensor.record
        if record is not None:
            return self._of_record(record, tensor)
        step = self.steps.get(("tensor", id(x)))
        if step is not None and step.tensor._value is tensor._value:
            return step.key
        if type(tensor._value) in PYTHON_NUMBERS:
            tensor = tensor_of(tensor._value)  # two equal numbers are two nodes
            return self._known(("tensor", id(tensor)), tensor)
        return self._known(("value", id(tensor._value)), tensor)

    def _known(self, key, tensor, ref=None):
        step = self.steps.get(key)
        if step is None:
            step = self._add(key, tensor, ref=ref)
        return step.key

    def _of_record(self, record: Record, tensor):
        """The key of a tracked operand; what no step made is a checkpoint's output, or comes from another call."""
        if record not in self.steps:
            main = record.parents[0] if type(record.operator) is Output and record.parents else record
            known = [p for p in main.parents if p in self.steps]
            if known and len(known) == len(main.parents):
                self._add(record, tensor, operator=main.operator, inputs=tuple(main.parents))
            else:
                self._add(record, tensor, ref=getattr(main.operator, "ref", None))
        return record
