"""ModuleGraph and its Nodes: one call of a Module as one looks at it, and its gradients."""

import importlib
from functools import cached_property
from typing import Any

from zkynet import backends
from zkynet.backends.errors import (
    CotangentError,
    JacobianTooLargeError,
    NotDifferentiableError,
    NotInGraphError,
    ZkynetError,
)

from .arraylike import ArrayLike
from .axes import Shape, size_of
from .backprop import is_weak, memory_limit, pull_back, seed
from .backward_pass import BackwardPass, is_complex, presented
from .function import Input, Possession, Variable
from .record import HOST, PYTHON_NUMBERS, Tensor, operand
from .session import Frame, Session, Step
from .tensor_methods import METHODS


class Graphed(ArrayLike):
    """What stands for a Tensor of one call: accepted wherever a Tensor is, equal only to what shows the same."""

    __slots__ = ()

    def __zkynet_tensor__(self) -> Tensor:
        raise NotImplementedError

    def __deepcopy__(self, memo: Any) -> Any:
        from copy import copy

        return copy(self)  # the history is that of one call, and never changes


class Node(Graphed):
    """One value of one call of a Module.

    ``value``; ``gvalue``, its gradient once ``back`` was called; ``children``, the Nodes that it was computed from, in
    order; ``parents``, those computed from it; ``ref``, the Function or Input that it stands for; ``id``, unique, and
    ``call_id``. Two Nodes are equal when they show the same step of the same call.
    """

    __slots__ = ("_step", "graph")

    def __init__(self, graph: "ModuleGraph", step: Step):
        self.graph, self._step = graph, step

    def __zkynet_tensor__(self) -> Tensor:
        return self._step.tensor

    @property
    def value(self) -> Any:
        """The array, read-only on NumPy, or the Python number."""
        return self._step.value

    @property
    def gvalue(self) -> Any:
        """The gradient of the root with respect to this value, of shape ``output.shape + value.shape``.

        None where the value cannot have one: integers, and what the graph holds behind stop_gradient. ZkynetError
        before ``back``.
        """
        return self.graph._gradient_of(self._step)

    @property
    def children(self) -> list["Node"]:
        return [self.graph._node(key) for key in self._step.inputs]

    @property
    def parents(self) -> list["Node"]:
        return [self.graph._node(key) for key in self.graph._uses.get(self._step.key, ())]

    @property
    def tracked(self) -> bool:
        """Whether a gradient can reach it; integers, and what stop_gradient gave, have none."""
        return self._step.tensor.record is not None

    @property
    def call_id(self) -> int:
        return self.graph.call_id

    @property
    def id(self) -> str:
        """``call_id:number``, the number counted in the order of the run."""
        return f"{self.call_id}:{self.graph._numbers[self._step.key]}"

    @property
    def frame(self) -> Frame:
        """The call of a Module, of this or of one inside, that the value was computed in."""
        return self._step.frame

    @property
    def ref(self) -> Any:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name of what it stands for."""
        return getattr(self.ref, "name", type(self.ref).__name__)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Node):
            return self.graph._session is other.graph._session and self._step.key == other._step.key
        return NotImplemented

    def __ne__(self, other: object) -> Any:
        return NotImplemented if not isinstance(other, Node) else not self == other

    def __hash__(self) -> int:
        return hash((self.call_id, self._step.key))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {described(self._step.tensor._value)})"


class InputNode(Node):
    """Where a graph is grounded: a Variable, Parameter, Constant, State (``ref``), or a value of the code's own (None).

    A Variable that was given a container has one InputNode for each array in it; ``path`` says which.
    """

    __slots__ = ()

    @property
    def ref(self) -> Input | None:
        return self._step.ref

    @property
    def path(self) -> str:
        """Where the value stood in what was given for a Variable; empty for one array."""
        return self._step.path

    @property
    def name(self) -> str:
        return "constant" if self.ref is None else self.ref.name + self.path


class OperatorNode(Node):
    """The output of one application of an Operator, which is its ``operator`` and its ``ref``."""

    __slots__ = ()

    @property
    def ref(self) -> Any:
        return self._step.operator

    @property
    def operator(self) -> Any:
        return self._step.operator

    @property
    def name(self) -> str:
        """The operator's role and a number, unique in the graph: ``add_1``, ``multiply_2``."""
        return self.graph._names[self._step.key]


class ModuleGraph(Graphed):
    """What calling a Module from outside gives: the flat, grounded graph of that one call.

    ``value`` is the output and ``root`` its Node; ``nodes`` are all that it was computed from, inputs before what reads
    them; ``inputs`` are the InputNodes of the call, read or not. ``back()`` computes the gradients, ``grad(x)`` gives
    that of an input. It stands wherever a Tensor does.
    """

    def __init__(self, session: Session, tensor: Tensor):
        self._session = session
        self._root = session.steps[session.key_of(tensor)]
        self._gradients: dict[Any, Any] | None = None  # Record -> cotangent, after back
        self._full = False  # whether those are Jacobians, and no products with a cotangent
        self._lead: Shape = ()

    def __zkynet_tensor__(self) -> Tensor:
        return self._root.tensor

    @property
    def value(self) -> Any:
        """The output's array, read-only on NumPy, or the Python number."""
        return self._root.value

    def _repr_svg_(self) -> str:
        """What a notebook shows: a drawing. Asked for by its name, since nothing here is built on a screen."""
        return importlib.import_module("zkynet.visual").plot_cg(self).svg

    @property
    def root(self) -> Node:
        return self._node(self._root.key)

    @property
    def module(self) -> Any:
        """The Module that was called."""
        return self._session.module

    @property
    def call_id(self) -> int:
        return self._session.call_id

    @property
    def nodes(self) -> list[Node]:
        """Every Node that the output was computed from, in the order of the run; the root is the last."""
        return [self._node(step.key) for step in self._steps]

    @property
    def session(self) -> Session:
        """All steps of the call, those that the output does not depend on too."""
        return self._session

    @property
    def has_gradients(self) -> bool:
        """Whether ``back`` was called."""
        return self._gradients is not None

    def node_of(self, x: Any) -> Node:
        """The Node of a Parameter or Variable of the call; a Node of this graph as it is."""
        if isinstance(x, Node) and x.graph._session is self._session:
            return x
        return self._node(self._steps_of(x)[0].key)

    @property
    def inputs(self) -> list[InputNode]:
        """The InputNodes of the Variables and Parameters of the call, whether the output depends on them or not."""
        return [self._node(step.key) for steps in self._session.inputs.values() for step in steps]  # type: ignore[misc]

    # ---- gradients ----

    def back(self, cotangent: Any = None) -> "ModuleGraph":
        """Compute the gradients of all nodes, and return the graph itself.

        Without a cotangent they are full Jacobians, of shape ``output.shape + value.shape``; with one, of the output's
        shape, they are vector-Jacobian products. Calling it again changes nothing, with another cotangent it replaces
        what was there. JacobianTooLargeError, before anything is allocated, where they would not fit into memory.
        """
        if cotangent is None and self._full:
            return self
        lead, g = self._first_cotangent(cotangent)
        records = self._records()
        self._check_size(lead, records)
        found: list = []
        if g is not None:
            with HOST.errstate():
                found = pull_back([self._root.tensor.record], [g], records, False, lead)
        self._gradients = dict(zip(records, found, strict=False))
        self._full, self._lead = cotangent is None, lead
        return self

    def grad(self, x: Any) -> Any:
        """The gradient with respect to a Parameter or Variable of the model, or to a Node of this graph.

        Of shape ``output.shape + x.shape`` after ``back()``, ``x.shape`` after ``back(cotangent)``; zeros where the
        output does not depend on x. For a Variable that was given a container, a container of the same structure, with
        None where it holds no array. ZkynetError before ``back``; NotInGraphError, a ValueError, for what is no part of
        this call.
        """
        if isinstance(x, Node):
            if x.graph._session is not self._session:
                raise NotInGraphError(f"{x!r} belongs to call {x.call_id}; this graph is that of call {self.call_id}")
            steps = [x._step]
        else:
            steps = self._steps_of(x)
        gradients = [self._needed_gradient(step, x) for step in steps]
        if x not in self._session.trees:
            return gradients[0]
        tree, arrays = self._session.trees[x]
        following = iter(gradients)
        return tree.unflatten([next(following) if is_array else None for is_array in arrays])

    def steps(self, cotangent: Any = None) -> BackwardPass:
        """The backward pass one node at a time, from the output to the inputs, as ``back`` goes."""
        return BackwardPass(self, cotangent)

    # ---- what the parts ask for ----

    def _node(self, key) -> Node:
        step = self._session.steps[key]
        return InputNode(self, step) if step.operator is None else OperatorNode(self, step)

    @cached_property
    def _steps(self) -> list[Step]:
        """The steps that lead to the root, in the order of the run."""
        seen = {self._root.key}
        found = [self._root]
        for step in found:  # it grows while we go
            for key in step.inputs:
                if key not in seen:
                    seen.add(key)
                    found.append(self._session.steps[key])
        return sorted(found, key=lambda step: self._numbers[step.key])

    @cached_property
    def _numbers(self) -> dict[Any, int]:
        return {key: n for n, key in enumerate(self._session.steps)}

    @cached_property
    def _names(self) -> dict[Any, str]:
        counts: dict[str, int] = {}
        names = {}
        for key, step in self._session.steps.items():
            if step.operator is not None and key is step.key:
                role = step.operator.functional_name
                counts[role] = counts.get(role, 0) + 1
                names[key] = f"{role}_{counts[role]}"
        return names

    @cached_property
    def _uses(self) -> dict[Any, list[Any]]:
        uses: dict[Any, list[Any]] = {}
        for step in self._steps:
            for key in dict.fromkeys(step.inputs):
                uses.setdefault(key, []).append(step.key)
        return uses

    def _records(self) -> list:
        return [step.tensor.record for step in self._steps if step.tensor.record is not None]

    def _first_cotangent(self, cotangent) -> tuple[Shape, Any]:
        """The leading axes and the root's cotangent; None for it where the output depends on nothing tracked."""
        tensor = self._root.tensor
        record, value = tensor.record, tensor._value
        shape = () if type(value) in PYTHON_NUMBERS else tuple(value.shape)
        if record is None:
            _check_differentiable(value)
            return shape if cotangent is None else (), None
        if cotangent is not None:
            return (), as_cotangent(cotangent, record, shape)
        if is_complex(record):
            raise NotDifferentiableError(
                "back() needs a real output, and this one is complex.\n"
                "  expected: a cotangent, back(g), for the vector-Jacobian product\n"
                "Or take zk.jacobian(f, holomorphic=True) for the complex derivative."
            )
        if shape == ():
            return (), seed(record)
        n = size_of(shape)
        self._check_size(shape, self._records())
        return shape, record.xp.reshape(record.xp.eye(n, dtype=record.dtype), shape + shape)

    def _check_size(self, lead, records):
        total = sum(size_of(lead + r.shape) * getattr(r.dtype, "itemsize", 8) for r in records)
        limit = memory_limit()
        if lead and total > limit:
            raise JacobianTooLargeError(
                f"back(): the Jacobians of all {len(records)} nodes would take {total / 1e9:.2f} GB.\n"
                f"  limit: {limit / 1e9:.2f} GB, a quarter of the memory\n"
                "Use back(cotangent) for products with them, or zk.jacobian for one input at a time."
            )

    def _gradient_of(self, step: Step) -> Any:
        if self._gradients is None:
            raise ZkynetError("there are no gradients yet.\nCall back() on the graph first.")
        tensor = step.tensor
        record = tensor.record
        if record is None:
            return None
        c = self._gradients.get(record)
        if c is None:
            xp = HOST if is_weak(record) else record.xp
            c = xp.zeros(self._lead + record.shape, dtype=_dtype_of(record))
        return presented(c, tensor)

    def _needed_gradient(self, step: Step, x: Any) -> Any:
        gradient = self._gradient_of(step)
        if gradient is None:
            value = step.tensor._value
            raise NotDifferentiableError(
                f"there is no gradient with respect to {getattr(x, 'name', x)}.\n  got:      {described(value)}\n"
                "  expected: a tracked floating-point or complex value\n"
                "Give floating-point numbers, as with .astype(float); constants have none."
            )
        return gradient

    def _steps_of(self, x: Any) -> list[Step]:
        found = self._session.inputs.get(x) if isinstance(x, Input) else None
        if found is None and isinstance(x, Possession):
            step = self._session.steps.get(x)
            found = None if step is None else [step]
        if found is not None:
            return found
        if isinstance(x, Variable):
            known = ", ".join(v.short_name for v in self._session.inputs if isinstance(v, Variable))
            hint = f"its inputs are: {known or 'none'}"
        else:
            hint = "ask for its Parameters with module.param(name) and for its inputs with module.input(name)"
        raise NotInGraphError(f"{x!r} is no part of this call of {self.module.name}.\n  {hint}")

    def __repr__(self) -> str:
        kind = type(self.module).__name__
        return f"ModuleGraph({kind}, call {self.call_id}, {described(self._root.tensor._value)})"


def described(value: Any) -> str:
    """A value by its number, or by its shape and dtype."""
    if type(value) in PYTHON_NUMBERS or getattr(value, "shape", None) == ():
        return str(value)
    return f"shape {tuple(value.shape)}, {value.dtype}" if hasattr(value, "shape") else repr(value)


def _dtype_of(record):
    return {None: HOST.float64, complex: HOST.complex128}[record.dtype] if is_weak(record) else record.dtype


def _check_differentiable(value):
    xp = HOST if type(value) in PYTHON_NUMBERS else backends.backend_of(value)
    dtype = type(value).__name__ if type(value) in PYTHON_NUMBERS else value.dtype
    if type(value) in (bool, int) or (type(value) not in PYTHON_NUMBERS and not xp.is_inexact(value.dtype)):
        raise NotDifferentiableError(
            f"back(): the output is not differentiable.\n  got:      dtype {dtype}\n"
            "  expected: a floating-point output of floating-point inputs\n"
            "Integer arrays go forward as they are; convert them, with .astype(float), to differentiate."
        )


def as_cotangent(given, record, shape):
    """The cotangent that a caller gave for a Record's output, checked, conjugated where complex."""
    value = operand(given)[0]
    got = () if type(value) in PYTHON_NUMBERS else tuple(value.shape)
    if got != shape:
        raise CotangentError(
            f"the cotangent has the wrong shape.\n  got:      {got}\n  expected: {shape}, the output's\n"
            "It is never broadcast."
        )
    xp = HOST if is_weak(record) else record.xp
    g = xp.asarray(value, dtype=_dtype_of(record)) if type(value) in PYTHON_NUMBERS else xp.asarray(value)
    if xp.is_complex(g.dtype) and not is_complex(record):
        raise CotangentError(f"the cotangent is complex, the output is real: dtype {g.dtype}")
    if g.dtype != _dtype_of(record):
        g = xp.astype(g, _dtype_of(record))
    return xp.conj(g) if is_complex(record) else g


for _name, _method in METHODS.items():
    if _name not in ("__eq__", "__ne__", "__hash__"):
        setattr(Graphed, _name, _method)
