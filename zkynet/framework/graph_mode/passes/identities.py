"""Algebraic identities, exact ones alone: what they leave out changes no bit, whatever the values are.

NaN, infinities and the sign of zero count, and so do dtypes, broadcasting and the order in memory, by which NumPy
rounds later sums. Hence x * 1 is x only where x has the result's shape and dtype (and no imaginary part: infinity times
0 is NaN); x + 0 is not x (-0.0 + 0.0 is 0.0), x - 0 is; a sum over an axis of length 1 is no reshape (it makes 0.0 of
-0.0). pow(x, 2) stays: NumPy multiplies there by itself, and other libraries round the two differently.
"""

from __future__ import annotations

from collections.abc import Callable
from math import copysign
from types import EllipsisType
from typing import Any

from ..program import Program, Step, Value
from .facts import EXACT, ROWS, Fills, Orders, entries, is_line, makes, renamed


def identities(program: Program) -> Program:
    """The program without the steps that give back what they read, and with cheaper ones where they are equal."""
    known = _Known(program)
    names: dict[Value, Value] = {}
    steps = []
    changed = False
    for old in program.steps:
        step = renamed(old, names)
        found = _simplest(known, step)
        if type(found) is Value:
            names[step.outputs] = found
        else:
            changed = changed or found is not step
            known.learn(found)
            steps.append(found)
    if not names and not changed:
        return program
    return program.replace(steps=steps, outputs=[names.get(value, value) for value in program.outputs])


def _simplest(known: _Known, step: Step) -> Any:
    """The Value that stands for what the step makes, or the simplest step that makes it."""
    while type(step.outputs) is Value and not step.outputs.weak:
        count, rule = _RULES.get(step.function, _NONE)
        found = rule(known, step) if len(step.args) >= count else None
        if found is None or type(found) is Value:
            return found or step
        step = found
    return step


class _Known:
    """What the rules ask about the steps so far."""

    def __init__(self, program: Program):
        self.xp = program.xp
        self.makers: dict[Value, Step] = {}
        self.orders = Orders(program, self.makers)
        self.number = Fills(program, self.makers).number

    def learn(self, step: Step) -> None:
        for value in makes(step):
            self.makers[value] = step

    def inner(self, x: Any, names: frozenset[str]) -> Step | None:
        """The step that makes ``x``, where it calls one of these functions."""
        step = self.makers.get(x) if type(x) is Value else None
        return step if step is not None and step.function in names else None

    def alike(self, x: Any, step: Step) -> bool:
        """Whether ``x`` has the shape and dtype of what the step makes."""
        y = step.outputs
        return type(x) is Value and x.shape == y.shape and x.dtype == y.dtype and not x.weak

    def kept(self, x: Any, step: Step) -> bool:
        """Whether ``x`` may stand for what an elementwise step makes, if the entries are the same."""
        return self.alike(x, step) and x in self.makers and self.orders.same(x, step)

    def rows(self, x: Any) -> bool:
        """Whether ``x`` is made here and lies row by row, as a new array would."""
        return x in self.makers and self.orders[x] == ROWS

    def narrow(self, x: Any, spread: Any, step: Step) -> Any:
        """What may stand for ``spread`` beside ``x``: what it repeats, or the number that fills it; None if nothing."""
        if type(x) is not Value or x.weak or x.shape != step.outputs.shape or self.xp.kind_of(x.dtype) != "f":
            return None
        if type(spread) is int:
            return float(spread) if abs(spread) <= EXACT else None  # one spelling: equal steps become one
        if type(spread) is not Value or x.dtype != spread.dtype:
            return None
        if entries(spread) < 2:
            number = self.number(spread) if spread.shape == () else None
            return None if number is None else float(number)
        inner = self.inner(spread, frozenset(("broadcast_to",)))
        if inner is not None and self.orders[x] == ROWS:
            source = inner.args[0]
            return source if is_line(source) or self.orders[source] == ROWS else None
        number = self.number(spread)
        return float(number) if number is not None and self.orders.same(x, step) else None

    def real(self, step: Step) -> bool:
        return not self.xp.is_complex(step.outputs.dtype)

    def floating(self, step: Step) -> bool:
        return self.xp.is_inexact(step.outputs.dtype)


def _is_zero(number: Any, sign: int) -> bool:
    return number is not None and number == 0 and copysign(1, number) == sign


def _narrowed(known: _Known, step: Step) -> Any:
    """An operand broadcasts by itself: nothing needs to repeat it before."""
    a, b = step.args
    if (narrow := known.narrow(a, b, step)) is not None:
        return Step(step.function, (a, narrow), step.kwargs, step.outputs, step.place)
    if (narrow := known.narrow(b, a, step)) is not None:
        return Step(step.function, (narrow, b), step.kwargs, step.outputs, step.place)
    return None


def _multiply(known: _Known, step: Step) -> Any:
    for x, factor in (step.args, step.args[::-1]):
        if known.number(factor) == 1 and known.real(step) and known.kept(x, step):
            return x
    return _narrowed(known, step)


def _divide(known: _Known, step: Step) -> Any:
    x, by = step.args
    kept = known.number(by) == 1 and known.real(step) and known.kept(x, step)
    return x if kept else _narrowed(known, step)


def _multiply_no_nan(known: _Known, step: Step) -> Any:
    """A product with nothing to guard against: d is finite or g is not 0, in a dtype of any width."""
    g, d = map(known.number, step.args)
    safe = (d is not None and abs(d) <= 1e4) or (g is not None and abs(g) >= 1e-4)
    if safe and known.real(step):
        return Step("multiply", step.args, step.kwargs, step.outputs, step.place)
    return _narrowed(known, step)


def _pow(known: _Known, step: Step) -> Any:
    x, n = step.args  # an array of ones is not looked at: NumPy's vector code rounds there
    return x if type(n) in (int, float) and n == 1 and known.real(step) and known.kept(x, step) else None


def _subtract(known: _Known, step: Step) -> Any:
    x, less = step.args
    kept = _is_zero(known.number(less), 1) and known.real(step) and known.kept(x, step)
    return x if kept else _narrowed(known, step)


def _add(known: _Known, step: Step) -> Any:
    for x, more in (step.args, step.args[::-1]):
        if _is_zero(known.number(more), -1 if known.floating(step) else 1) and known.real(step) and known.kept(x, step):
            return x
    return _narrowed(known, step)


def _involution(known: _Known, step: Step) -> Any:
    """f(f(x)) is x."""
    inner = known.inner(step.args[0], frozenset((step.function,)))
    if inner is None or len(inner.args) != 1 or inner.kwargs or step.kwargs:
        return None
    return inner.args[0] if known.kept(inner.args[0], step) else None


def _idempotent(known: _Known, step: Step) -> Any:
    """f(f(x)) is f(x)."""
    inner = known.inner(step.args[0], frozenset((step.function,)))
    if inner is None or len(inner.args) != 1 or len(step.args) != 1 or inner.kwargs or step.kwargs:
        return None
    return step.args[0] if known.kept(step.args[0], step) else None


def _positive(known: _Known, step: Step) -> Any:
    return step.args[0] if known.kept(step.args[0], step) else None


def _part(known: _Known, step: Step) -> Any:
    """``real`` and ``conj`` give back a real array."""
    x = step.args[0]
    return x if known.alike(x, step) and known.real(step) else None


def _astype(known: _Known, step: Step) -> Any:
    return step.args[0] if known.kept(step.args[0], step) else None


def _where(known: _Known, step: Step) -> Any:
    mask, a, b = step.args
    held = known.number(mask)
    x = a if held is True or a is b else b if held is False else None
    return x if x is not None and known.kept(x, step) else None


def _select(known: _Known, step: Step) -> Any:
    mask, g = step.args
    held = known.number(mask)
    if held is True:
        return g if known.kept(g, step) else None
    if held is False and known.orders.of(step) == ROWS:
        y = step.outputs
        return Step("zeros", (y.shape,), {"dtype": y.dtype}, y, step.place)
    return None


def _concat(known: _Known, step: Step) -> Any:
    arrays = step.args[0]
    alone = type(arrays) in (list, tuple) and len(arrays) == 1
    return arrays[0] if alone and known.alike(arrays[0], step) and known.rows(arrays[0]) else None


_SHAPING = frozenset(("expand_dims", "reshape", "squeeze"))


def _shaping(known: _Known, step: Step) -> Any:
    """The entries in another shape: to the shape they had, or twice in a row."""
    x = step.args[0]
    if known.alike(x, step):
        return x
    inner = known.inner(x, _SHAPING)
    if inner is None:
        return None
    source = inner.args[0]
    if type(source) is not Value or known.orders[source] != ROWS and "reshape" in (step.function, inner.function):
        return None  # the inner one may have copied
    if known.alike(source, step):
        return source
    if known.orders[source] != ROWS:
        return None
    return Step("reshape", (source, step.outputs.shape), {}, step.outputs, step.place)


def _broadcast_to(known: _Known, step: Step) -> Any:
    x = step.args[0]
    return x if known.alike(x, step) and known.rows(x) else None


def _getitem(known: _Known, step: Step) -> Any:
    """What is cut out is all there is: one entry fewer would change the shape."""
    x, index = step.args
    items = index if type(index) is tuple else (index,)
    whole = all([type(item) is EllipsisType or _is_plain(item) for item in items])
    return x if whole and known.alike(x, step) else None


def _is_plain(item: Any) -> bool:
    """Whether it is a slice that takes entries in their order."""
    numbers = (item.start, item.stop) if type(item) is slice and item.step in (None, 1) else (item,)
    return all([number is None or type(number) is int for number in numbers])


def _reduction(known: _Known, step: Step) -> Any:
    """Over axes of length 1. A sum of floats is left: -0.0 would become 0.0."""
    x = step.args[0]
    y = step.outputs
    if type(x) is not Value or x.dtype != y.dtype or not 0 < entries(x) == entries(y) or not known.rows(x):
        return None
    if step.function == "sum" and known.floating(step) or not known.real(step):
        return None
    return Step("reshape", (x, y.shape), {}, y, step.place)


_NONE = 0, lambda known, step: None

# By the function's name: how many positional arguments the rule reads, and the rule. It gives the Value that stands for
# what the step makes, another step, or None.
_RULES: dict[str, tuple[int, Callable[[_Known, Step], Any]]] = {
    "multiply": (2, _multiply),
    "divide": (2, _divide),
    "multiply_no_nan": (2, _multiply_no_nan),
    "pow": (2, _pow),
    "add": (2, _add),
    "subtract": (2, _subtract),
    **dict.fromkeys(("bitwise_invert", "negative"), (1, _involution)),
    **dict.fromkeys(("abs", "ceil", "floor", "relu", "sign", "trunc"), (1, _idempotent)),
    "positive": (1, _positive),
    **dict.fromkeys(("conj", "real"), (1, _part)),
    **dict.fromkeys(("equal", "greater", "greater_equal", "less", "less_equal", "not_equal"), (2, _narrowed)),
    "astype": (1, _astype),
    "where": (3, _where),
    "select": (2, _select),
    "concat": (1, _concat),
    **dict.fromkeys(_SHAPING, (1, _shaping)),
    "broadcast_to": (1, _broadcast_to),
    "getitem": (2, _getitem),
    **dict.fromkeys(("all", "any", "max", "min", "prod", "sum"), (1, _reduction)),
}
