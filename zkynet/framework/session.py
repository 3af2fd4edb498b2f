"""Call sessions: what is seen of one call of a Module from outside, step by step."""

import itertools
from typing import Any

from zkynet import backends
from zkynet.backends.errors import TrackedValueError

from . import pytree
from .function import Constant, Function, Parameter, State, Variable
from .operator import Leaf
from .record import HOST, PYTHON_NUMBERS, Output, Record, Tensor, next_serial, operand, tensor_of

_calls = itertools.count(1)


def _same(a, b) -> bool:
    """Whether two arrays of one backend hold the same bytes."""
    home = backends.backend_of(a)
    return home.to_numpy(a).tobytes() == home.to_numpy(b).tobytes()


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

    __slots__ = ("frame", "guard", "inputs", "key", "operator", "path", "ref", "tensor")

    def __init__(self, key, tensor, frame, operator=None, inputs=(), ref=None, path="", guard=None):
        self.key, self.tensor, self.frame, self.operator = key, tensor, frame, operator
        self.inputs, self.ref, self.path, self.guard = inputs, ref, path, guard

    @property
    def value(self) -> Any:
        """The value, read-only; MutationError where it is a large array of the code's own that has changed since."""
        if self.guard is not None:
            self.guard.check("the value of a node")
        return self.tensor.value


class Session:
    """One call of a Module from outside: a watcher that keeps every step, in the order in which they were made."""

    def __init__(self, module):
        self.call_id = next(_calls)
        self.module = module
        self.steps: dict[Any, Step] = {}
        self.inputs: dict[Any, list[Step]] = {}  # Variable -> its steps, Parameter -> its one step
        self.trees: dict[Any, tuple] = {}  # Variable -> the structure of a given container, which leaves are arrays
        self.frame = Frame(module, None, 0)
        self._frames = itertools.count(1)
        self._start = next_serial()
        self._handles: list[Any] = []  # what is kept alive because its id is a key

    def copied(self) -> "Session":
        """A session of the same call that can be told more."""
        other = Session(self.module)
        other.call_id, other.frame, other._start = self.call_id, self.frame, self._start
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
        self.trees[variable] = tree, [type(leaf) is Tensor for leaf in given]
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
            if xp.is_writable(value):  # a copy, however large: all values of a call can be looked at later
                value = xp.own(value)
        return self._leaf(variable, value, outer, path)

    def _leaf(self, ref, value, outer, path) -> Tensor:
        record = None
        kind = type(value)
        xp = HOST if kind in PYTHON_NUMBERS else backends.backend_of(value)
        if kind in PYTHON_NUMBERS or xp.is_inexact(value.dtype):
            weak = complex if kind is complex else None
            shape, dtype = ((), weak) if kind in PYTHON_NUMBERS else (tuple(value.shape), value.dtype)
            record = Record(Leaf(ref), (outer,) if outer else (), (None, None), shape, dtype, xp)
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
                return self._owned(x, tensor)
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
        return self._constant(tensor._value)

    def _known(self, key, tensor, ref=None):
        step = self.steps.get(key)
        if step is None:
            step = self._add(key, tensor, ref=ref)
        return step.key

    def _owned(self, x, tensor):
        """The key of an untracked possession: one step for each value that it had in the call."""
        step = self.steps.get(x)
        changed = step is not None and step.tensor._value is not tensor._value
        return self._known((x, id(tensor._value)) if changed else x, tensor, ref=x)

    def _constant(self, value):
        """The key of an array that the code brought in: a copy, because it may write to it; one until it does."""
        key = ("value", id(value))
        step = self.steps.get(key)
        if step is not None:
            kept = step.tensor._value
            if not step.guard.changed() if step.guard else kept is value or _same(kept, value):
                return step.key
            key = (*key, len(self.steps))
        kept, guard = backends.backend_of(value).borrow(value)
        self._handles.append(value)
        return self._add(key, tensor_of(kept), guard=guard).key

    def _of_record(self, record: Record, tensor):
        """The key of a tracked operand; what no step made is a checkpoint's output, or comes from another call."""
        if record not in self.steps:
            main = record.parents[0] if type(record.operator) is Output and record.parents else record
            operator = main.operator
            known = tuple([p for p in main.parents if p in self.steps])
            if known and (operator.joint or type(operator) is Leaf or main is not record):
                self._add(record, tensor, operator=operator, inputs=known)
            else:
                self._refuse_from_elsewhere(record)
                self._add(record, tensor, ref=getattr(operator, "ref", None))
        return record

    def _refuse_from_elsewhere(self, record):
        """TrackedValueError for a Record with a history in this call, which has not seen it made."""
        found = [record]
        seen = set(found)
        for each in found:  # it grows while we go
            if each in self.steps:
                raise TrackedValueError(
                    f"a value in a call of {self.module.name} was computed of the call's values where it is not seen: "
                    "in a thread, say, that does not know of the call.\n"
                    "Its gradients would be lost: run the thread's work with contextvars.copy_context().run."
                )
            parents = [p for p in each.parents if p is not None and p.serial >= self._start and p not in seen]
            seen.update(parents)
            found += parents
