"""Two older spellings of operators, and the derivative of an operator as a Module.

- ``_op_impl(self, a, b)`` without a rule: on JAX arrays differentiated by ``jax.vjp``, on others by running it on
  Tensors;
- ``call(self, a, b)`` on Tensors, with ``_gradfn(self, inpt)`` giving the partial derivative with respect to the input
  whose Variable is ``inpt``, entry by entry: a function of the same inputs, or a number.
"""

import inspect
from collections.abc import Callable
from typing import Any

from zkynet import backends

from . import op
from .backprop import pull_back
from .custom import in_context
from .function import Variable
from .module import Module
from .operator import Operator
from .record import CONTEXT, Tensor, operand, tensor_of, value_of
from .trace import lifted
from .transforms import jvp


def spelled(cls) -> None:
    """Give a class in one of the older spellings what an Operator has."""
    own = vars(cls)
    if "forward" in own or any(name.startswith("vjp_") for name in own):
        return
    if "_op_impl" in own:
        _by_implementation(cls, cls._op_impl)
    elif "call" in own and hasattr(cls, "_gradfn"):
        _by_partial_derivatives(cls, cls.call)


def _method(function: Callable, names: list[str], first: tuple[str, ...]) -> Callable:
    """``function(self, ...)`` with a signature that names its inputs, for Plan to read."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("self", *first, *names)]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def _names(method: Callable) -> list[str]:
    return list(inspect.signature(method).parameters)[1:]


# ---- _op_impl ----


def _by_implementation(cls, implementation):
    def forward(self, xp, *arrays):
        y = value_of(implementation(self, *arrays))
        return y if xp.owns(y) else xp.asarray(y)

    def vjp(self, g, y, arrays, wanted, traced):
        """All cotangents, by the library's own differentiation where it has one, else by running it on Tensors."""
        if any(xp is not None and xp.has_own_vjp for xp in [backends.backend_of(a._value) for a in arrays]):
            return [_Pullback(self, i)(g, *arrays) if want else None for i, want in enumerate(wanted)]
        # Leaves of its own: the same array may be given twice.
        leaves = [lifted(a, str) if want else a for a, want in zip(arrays, wanted, strict=True)]
        inside = CONTEXT.get().replace(recording=True)
        result = tensor_of(*operand(in_context(inside, implementation, (self, *leaves))))
        if result.record is None:
            return [None] * len(wanted)
        asked = [leaf.record for leaf, want in zip(leaves, wanted, strict=True) if want]
        found = iter(pull_back([result.record], [g if traced else g._value], asked, traced))
        cs = [next(found) if want else None for want in wanted]
        return [c if c is None or type(c) is Tensor else tensor_of(c) for c in cs]

    cls.joint, cls.batched = True, False
    cls.forward, cls.vjp = _method(forward, _names(implementation), ("xp",)), vjp


class _Pullback(Operator):
    """The cotangent of input ``i`` of an operator that the array library differentiates: one in the same spelling."""

    def __init__(self, owner, i):
        self._owner, self._i = owner, i

    def forward(self, xp, *arrays):
        g, *inputs = arrays
        return xp.vjp(lambda *a: value_of(self._owner._op_impl(*a)), inputs, g)[self._i]

    def _op_impl(self, *arrays):
        return self.forward(backends.backend_of(arrays[0]), *arrays)

    joint, batched = True, False

    def vjp(self, g, y, arrays, wanted, traced):
        return [_Pullback(self, i)(g, *arrays) if want else None for i, want in enumerate(wanted)]


# ---- call and _gradfn ----


def _by_partial_derivatives(cls, call):
    names = _names(call)

    def forward(self, xp, *arrays):
        y = value_of(call(self, *[tensor_of(a) for a in arrays]))
        return y if xp.owns(y) else xp.asarray(y)

    def rule_of(name):
        def rule(self, xp, g, *inputs):
            partial = self._gradfn(Variable(name))
            slope = partial(*inputs) if callable(partial) else partial
            return xp.multiply_no_nan(g, slope if xp is op else xp.asarray(value_of(slope), dtype=g.dtype))

        return _method(rule, names, ("xp", "g"))

    cls.elementwise = cls.broadcasts = cls.right_aligned = True
    cls.forward = _method(forward, names, ("xp",))
    for name in names:
        setattr(cls, "vjp_" + name, rule_of(name))


# ---- the derivative of an operator ----


def gradfn(self: Operator, inpt: Variable | str | int) -> Module:
    """The derivative with respect to one input, as a Module of the same inputs.

    ``inpt`` is a Variable with the input's name, the name, or its position. The result has the output's shape: entry by
    entry the partial derivative. For operators that are not entrywise take zk.jacobian.
    """
    plan = type(self).plan
    name = inpt.short_name if isinstance(inpt, Variable) else plan.inputs[inpt] if isinstance(inpt, int) else inpt
    if name not in plan.inputs:
        raise KeyError(f"{type(self).__name__} has no input {name!r}; its inputs are: {', '.join(plan.inputs)}")
    if not self.elementwise:
        raise TypeError(
            f"{type(self).__name__} is not entrywise: its derivative is no array of the output's shape.\n"
            "Take zk.jacobian, zk.vjp or zk.jvp."
        )
    i = plan.inputs.index(name)

    def derivative(*inputs: Any) -> Any:
        def along(x):
            return self(*inputs[:i], x, *inputs[i + 1 :])

        x = inputs[i]
        return jvp(along, (x,), (op.ones_like(x) if op.asarray(x).shape else 1.0,))[1]

    return Module.build(f"D{type(self).__name__}", derivative, [Variable(n) for n in plan.inputs])
