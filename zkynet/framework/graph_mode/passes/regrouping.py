"""Regrouping: signs, factors and placements meet across steps, exactly, where nothing else reads what stood between.

- A negation goes through products and quotients, ``-a * b`` as ``-(a * b)``, until a sum, another sign or a factor
  takes it in: ``x + -y`` as ``x - y``, ``-a * -b`` as ``a * b``, ``-(3 * x)`` as ``-3 * x``. To the bit: IEEE 754 makes
  the sign of a product apart from its number, and x - y of x + -y. It does not go through sums: -(x - x) is -0.0.
- Two whole factors become one where one of them is a power of two: neither product rounds alone or leaves the range of
  the dtype alone. Fractions stay: a half of the smallest number is 0.
- The sum of two placements at the same entries is the placement of the sum: around them stands 0.0 + 0.0.

The sign of NaN alone may be another one; programs that ask for signs stay as they are.

Real floats alone: complex products are sums, and unsigned integers and truth values have no sign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ..program import Program, Step, Value
from .common_subexpressions import key_of
from .facts import EXACT, ROWS, Fills, Orders, is_line, makes, reads


def regrouping(program: Program) -> Program:
    """The program with such steps in the place of others; never with more of them."""
    if any([step.function in _ASK_FOR_SIGNS for step in program.steps]):
        return program
    return _Regrouped(program).program()


_ASK_FOR_SIGNS = frozenset(("signbit", "copysign"))


class _Regrouped:
    """The steps so far, what makes and reads each Value, and what the rules ask about them."""

    def __init__(self, program: Program):
        self.before, self.xp = program, program.xp
        self.makers: dict[Value, Step] = {}
        self._read = Counter(program.outputs)
        self._number = Fills(program, self.makers).number
        self._orders = Orders(program, self.makers)
        self._steps: list[Step] = []
        self._gone: set[Value] = set()
        self._changed = False

    def program(self) -> Program:
        """The program behind all rules."""
        for step in self.before.steps:
            self._read.update(reads(step))
        for step in self.before.steps:
            self._take(step)
        if not self._changed:
            return self.before
        steps = [step for step in self._steps if type(step.outputs) is not Value or step.outputs not in self._gone]
        return self.before.replace(steps=steps)

    def _take(self, step: Step) -> None:
        """The next step, or what a rule has in its place."""
        rule = _RULES.get(step.function)
        found = self._paired(step) or rule(self, step) if rule is not None and self._is_plain(step) else None
        if found is None:
            self._steps.append(step)
            self.makers.update(dict.fromkeys(makes(step), step))
            return
        self._changed = True
        for new in found:
            self._read.update(reads(new))
        self._unread(step)
        for new in found:
            self._take(new)

    def _paired(self, step: Step) -> list[Step] | None:
        """The step without two negations in a row before it."""
        args = [self._twice_negated(x, step) or x for x in step.args]
        changed = any([new is not old for new, old in zip(args, step.args, strict=True)])
        return _instead(step, step.function, *args) if changed and self.laid_out_alike(step, *args) else None

    def _twice_negated(self, x: Any, step: Step) -> Value | None:
        inner = self.negated(x, step)
        return None if inner is None else self.negated(inner, step)

    def _unread(self, step: Step) -> None:
        """The step is not there; nor is what was there for it alone."""
        for value in reads(step):
            self._read[value] -= 1
            maker = self.makers.get(value)
            if not self._read[value] and maker is not None and maker.function in _MOVED and value not in self._gone:
                self._gone.add(value)
                self._unread(maker)

    def _is_plain(self, step: Step) -> bool:
        """Whether it makes one array of real floats, and nothing but its arguments says how."""
        y = step.outputs
        return type(y) is Value and not y.weak and not step.kwargs and self.xp.kind_of(y.dtype) == "f"

    def sole(self, x: Any, step: Step, *names: str) -> Step | None:
        """The step that makes ``x``, where it calls one of these functions and ``step`` alone reads it, once."""
        maker = self.makers.get(x) if type(x) is Value else None
        found = maker is not None and maker.function in names and self._is_plain(maker) and self._read[x] == 1
        return maker if found and x.dtype == step.outputs.dtype else None

    def negated(self, x: Any, step: Step) -> Value | None:
        """What ``x`` is the negation of, where it is one in the dtype of the step's result."""
        maker = self.makers.get(x) if type(x) is Value else None
        if maker is None or maker.function != "negative" or not self._is_plain(maker):
            return None
        inner = maker.args[0]
        fits = type(inner) is Value and not inner.weak and inner.dtype == step.outputs.dtype
        return inner if fits and x.dtype == inner.dtype else None

    def factored(self, step: Step) -> tuple[Any, float] | None:
        """``x`` and the number where the step is a product of them and has the shape and dtype of ``x``."""
        for x, factor in (step.args, step.args[::-1]):
            number: Any = self._number(factor) if type(factor) is not Value or factor.shape == () else None
            plain = type(number) is float or (type(number) is int and abs(number) <= EXACT)
            if plain and type(x) is Value and not x.weak and x.dtype == step.outputs.dtype:
                return x, float(number)
        return None

    def laid_out_alike(self, step: Step, *others: Any) -> bool:
        """Whether the result lies in memory as before with ``others`` in the place of what the step reads."""
        values = [x for x in (*step.args, *others) if type(x) is Value and not is_line(x)]
        return is_line(step.outputs) or all([self._orders[x] == ROWS for x in values])


def _instead(step: Step, name: str, *args: Any) -> list[Step]:
    return [Step(name, args, {}, step.outputs, step.place)]


def _negative(known: _Regrouped, step: Step) -> list[Step] | None:
    """The negation of a multiple is another multiple."""
    product = known.sole(step.args[0], step, "multiply")
    found = known.factored(product) if product is not None else None
    return _instead(step, "multiply", found[0], -found[1]) if found is not None else None


def _product(known: _Regrouped, step: Step) -> list[Step] | None:
    """Products and quotients: two signs are none, and one stands behind."""
    a, b = step.args
    inner_a, inner_b = known.negated(a, step), known.negated(b, step)
    if inner_a is not None and inner_b is not None:
        return _instead(step, step.function, inner_a, inner_b) if known.laid_out_alike(step, inner_a, inner_b) else None
    for x, inner, args in ((a, inner_a, (inner_a, b)), (b, inner_b, (a, inner_b))):
        # A negation of fewer entries is cheaper where it stands.
        if inner is None or inner.shape != step.outputs.shape or not known.sole(x, step, "negative"):
            continue
        if known.laid_out_alike(step, inner):
            y = Value(x.index, inner.shape, inner.dtype)  # x goes
            return [Step(step.function, args, {}, y, step.place), *_instead(step, "negative", y)]
    return None


def _multiply(known: _Regrouped, step: Step) -> list[Step] | None:
    return _product(known, step) or _one_factor(known, step)


def _one_factor(known: _Regrouped, step: Step) -> list[Step] | None:
    """Two whole factors of an array as one. Other libraries may take numbers near 0 for 0 in between."""
    outer = known.factored(step) if known.xp.is_host else None
    product = known.sole(outer[0], step, "multiply") if outer is not None else None
    inner = known.factored(product) if product is not None else None
    if outer is None or inner is None:
        return None
    factors = abs(outer[1]), abs(inner[1])
    whole = all([factor >= 1 and factor == factor // 1 for factor in factors])
    if not whole or factors[0] * factors[1] > EXACT or not any([_is_power_of_two(int(factor)) for factor in factors]):
        return None
    return _instead(step, "multiply", inner[0], outer[1] * inner[1])


def _is_power_of_two(n: int) -> bool:
    return n & (n - 1) == 0


def _add(known: _Regrouped, step: Step) -> list[Step] | None:
    for x, y in (step.args, step.args[::-1]):
        inner = known.negated(y, step)
        if inner is not None and known.laid_out_alike(step, inner):
            return _instead(step, "subtract", x, inner)
    return _placements(known, step)


def _placements(known: _Regrouped, step: Step) -> list[Step] | None:
    """Two sums of few entries and zeros around them as one."""
    first, second = [known.sole(x, step, "place") for x in step.args]
    if first is None or second is None or key_of(first.args[1:]) != key_of(second.args[1:]):
        return None
    a, b = first.args[0], second.args[0]
    if type(a) is not Value or type(b) is not Value or (a.shape, a.dtype) != (b.shape, b.dtype):
        return None
    y = Value(first.outputs.index, a.shape, a.dtype)
    return [Step("add", (a, b), {}, y, step.place), *_instead(step, "place", y, *first.args[1:])]


def _subtract(known: _Regrouped, step: Step) -> list[Step] | None:
    a, b = step.args
    inner_a, inner_b = known.negated(a, step), known.negated(b, step)
    if inner_b is None or not known.laid_out_alike(step, inner_b):
        return None
    if inner_a is not None and known.laid_out_alike(step, inner_a, inner_b):
        return _instead(step, "subtract", inner_b, inner_a)
    return _instead(step, "add", a, inner_b)


# By the function's name: a rule gives the steps that stand in the place of one, the last of which makes the same Value.
_RULES: dict[str, Callable[[_Regrouped, Step], list[Step] | None]] = {
    "negative": _negative,
    "multiply": _multiply,
    "divide": _product,
    "add": _add,
    "subtract": _subtract,
}
_MOVED = frozenset((*_RULES, "place"))
