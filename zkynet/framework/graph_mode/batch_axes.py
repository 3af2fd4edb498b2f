"""Where the batch lies in each array of a program, and the same program for half of it.

Two lanes each take half of the batch. In a lane every Value of a program is one of these:

- WHOLE: the same array in both, as parameters are.
- Split: the entries of the lane's half along one axis. Flat, that axis is ``outer`` times the batch times ``inner``, so
  that an axis stays one Split when it is joined with its neighbours, as (B, T, D) to (B * T, D).
- PARTIAL: a summand; both lanes' together are the array.
- unknown, where no rule says what it would be: it is computed once, behind the lanes, of what they have found.

What is said here holds for any array cut along any axis: a WHOLE array that meets a Split one is cut where that is, and
a rule gives up where the axes do not meet. Nothing rests on what an axis is meant to be.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cache
from itertools import count
from math import prod
from typing import Any, NamedTuple

from .program import Program, Step, Value, function_of, map_values, values_in

WHOLE = "whole"
PARTIAL = "partial"


class Split(NamedTuple):
    """Cut along a negative ``axis`` of length ``outer * n * inner``."""

    axis: int
    outer: int = 1
    inner: int = 1


class Spot(NamedTuple):
    """Bounds of the integers that belong to batch entry b: ``b * step + low`` to ``b * step + high``."""

    step: int
    low: int
    high: int


class GiveUpError(Exception):
    """A step is no step of a lane."""


class Part(NamedTuple):
    """What a lane reads from outside: ``source`` cut as ``split`` says; where that is None, the lane's of ``both``."""

    split: Split | None
    source: Value | None = None
    both: tuple[Any, Any] | None = None


class Made(NamedTuple):
    """What a rule gives: the lane's arguments, what the outputs are, in their tree, and bounds of integers."""

    args: tuple
    kwargs: dict[str, Any]
    states: Any
    spot: Spot | None = None
    function: str | None = None  # where it is another than the program's


# Functions that are evaluated here where all that they read is known: the numbers of classes, rows and columns.
_EVALUATED = frozenset(("add", "arange", "astype", "broadcast_to", "expand_dims", "multiply", "reshape", "zeros"))
_EVALUATED_SIZE = 1 << 20  # entries
_FILLED = {"zeros_like": "zeros", "ones_like": "ones", "empty_like": "empty", "full_like": "full"}


class HalfBatch:
    """A walk along a program's steps, with the steps of a lane that it finds.

    ``n`` is the length of the batch, even. ``states`` says what a Value is in a lane, ``own`` which Value stands for it
    there, ``parts`` what the lane reads from outside. A Value without a state is unknown.
    """

    def __init__(self, program: Program, axes: Mapping[Value, int], n: int):
        self.program, self.xp, self.n, self.half = program, program.xp, n, n // 2
        self.states: dict[Value, Any] = {}
        self.own: dict[Value, Value] = {}
        self.parts: dict[Value, Part] = {}
        self.steps: list[Step] = []  # of a lane
        self.early: list[Step] = []  # of a lane too, before them: half of what is broadcast or filled
        self.origin: dict[Step, Step] = {}  # the step of the program behind a step of the lane
        self.rest: list[Step] = []  # in the order of the program: those whose outputs are WHOLE, or unknown
        self.spots: dict[Value, Spot] = {}
        self.numbers: dict[Value, Any] = {}  # arrays of integers that do not depend on the inputs
        self._made: dict[Any, Value] = {}
        self._makers: dict[Value, Step] = {}  # of WHOLE Values
        known = [*program.inputs, *program.constants, *(value for step in program.steps for value in step.makes)]
        self._count = count(1 + max((value.index for value in known), default=0))
        for value, array in program.constants.items():
            self.states[value] = WHOLE
            if self.xp.is_integer(array.dtype) and array.size <= _EVALUATED_SIZE:
                self.numbers[value] = array
        for value in program.inputs:
            self.states[value] = WHOLE
            if value in axes:
                split = Split(axes[value] % len(value.shape) - len(value.shape))  # type: ignore[arg-type]
                self.own[value] = self.cut(value, split)
                self.states[value] = split

    # ---- the walk ----

    def walk(self, rules: Mapping[str, Callable[..., Made]], effects: Collection[str] = ()) -> HalfBatch:
        """Go through all steps; what comes of those of ``effects`` is unknown, whatever they read."""
        for step in self.program.steps:
            if step.function in effects:
                self.rest.append(step)
                continue
            if all(self.states.get(value) is WHOLE for value in step.reads):
                self._whole(step)
                continue
            filled = self._filled(step)
            if filled is not None:
                self._whole(filled)
                continue
            before = len(self.steps)
            try:
                if step.function not in rules:
                    raise GiveUpError(step.function)
                self._lane(step, _called(rules[step.function], self, step))
            except GiveUpError:
                del self.steps[before:]
                for value in step.makes:  # those of several that came before the one that has no place
                    self.states.pop(value, None)
                    self.own.pop(value, None)
                self.rest.append(step)
        return self

    def _whole(self, step: Step) -> None:
        self.rest.append(step)
        self.states.update(dict.fromkeys(step.makes, WHOLE))
        output = step.outputs
        if type(output) is Value:
            self._makers[output] = step
        small = type(output) is Value and output.shape is not None and prod(output.shape) <= _EVALUATED_SIZE
        known = step.function in _EVALUATED and all(value in self.numbers for value in step.reads)
        if small and known and self.xp.is_integer(output.dtype):
            look = self.numbers.__getitem__
            args, kwargs = map_values(look, step.args), map_values(look, step.kwargs)
            self.numbers[output] = function_of(self.xp, step.function)(*args, **kwargs)

    def _filled(self, step: Step) -> Step | None:
        """A step that takes only the shape and dtype of something unknown, as one that reads nothing."""
        if step.function not in _FILLED or not step.args or type(step.args[0]) is not Value:
            return None
        like, output = step.args[0], step.outputs
        if isinstance(self.states.get(like), Split) or set(step.kwargs) - {"dtype"}:
            return None
        if any(self.states.get(value) is not WHOLE for value in values_in(step.args[1:])):
            return None
        return Step(_FILLED[step.function], (output.shape, *step.args[1:]), {"dtype": output.dtype}, output, step.place)

    def _lane(self, step: Step, made: Made) -> None:
        outputs = _labelled(self, step.outputs, made.states)
        new = Step(made.function or step.function, made.args, made.kwargs, outputs, step.place)
        self.origin[new] = step
        self.steps.append(new)
        if made.spot is not None and self._fits(made.spot, step.outputs.dtype):
            self.spots[step.outputs] = made.spot

    def _fits(self, spot: Spot, dtype: Any) -> bool:
        """Whether such integers are what they seem to be: nothing ran over."""
        if not self.xp.is_integer(dtype):
            return False
        info = self.xp.iinfo(dtype)
        ends = [spot.low, spot.high, self.n * spot.step + spot.low, self.n * spot.step + spot.high]
        return info.min <= min(ends) and max(ends) <= info.max

    def _stand_in(self, value: Value, state: Any) -> Value:
        """The lane's Value for an output that is ``state``."""
        self.states[value] = state
        shape = self.shape(value.shape, state) if isinstance(state, Split) else value.shape
        new = self.own[value] = self.value(shape, value.dtype, value.weak)
        return new

    # ---- what rules ask for ----

    def value(self, shape: Any, dtype: Any, weak: bool = False) -> Value:
        """A new Value."""
        return Value(next(self._count), shape, dtype, weak)

    def add(self, function: str, args: tuple, kwargs: dict[str, Any], shape: tuple[int, ...], dtype: Any) -> Value:
        """Put a step in that the program has not."""
        made = self.value(shape, dtype)
        self.steps.append(Step(function, args, kwargs, made))
        return made

    def shape(self, shape: Any, split: Split) -> tuple[int, ...]:
        """A lane's shape of what has ``shape`` and is cut so."""
        found = list(shape)
        if -split.axis > len(found) or found[split.axis] != split.outer * self.n * split.inner:
            raise GiveUpError("the axis has another length")
        found[split.axis] = split.outer * self.half * split.inner
        return tuple(found)

    def split_of(self, x: Any) -> Split | None:
        """How ``x`` is cut; None where it is WHOLE or no Value. Gives up where it is neither."""
        if type(x) is not Value:
            _plain(x)
            return None
        state = self.states.get(x)
        if x.shape is None or (state is not WHOLE and not isinstance(state, Split)):
            raise GiveUpError("not cut")
        return state if isinstance(state, Split) else None

    def common(self, *xs: Any) -> Split:
        """The one way in which those of ``xs`` are cut that are, with axes counted from the right."""
        found = {split for split in map(self.split_of, xs) if split is not None}
        if len(found) != 1:
            raise GiveUpError("cut in several ways, or not at all")
        return found.pop()

    def part(self, x: Any, split: Split) -> Any:
        """The entries of ``x`` in the lane where its axes, counted from the right, are cut so; 1 broadcasts."""
        found = self.split_of(x)
        if found is not None:
            if found != split:
                raise GiveUpError("cut elsewhere")
            return self.own[x]
        shape = x.shape if type(x) is Value else None
        if shape is None or -split.axis > len(shape) or shape[split.axis] == 1:
            return x
        return self.cut(x, split)

    def whole(self, x: Any) -> Any:
        """``x``, which must not be cut."""
        if self.split_of(x) is not None:
            raise GiveUpError("cut")
        return x

    def partial(self, x: Any) -> bool:
        """Whether ``x`` is a summand in each lane."""
        return type(x) is Value and self.states.get(x) is PARTIAL

    def cut(self, x: Value, split: Split) -> Value:
        """The lane's entries of an array that is known outside of the lanes."""
        new = self._made.get((x, split))
        if new is None:
            new = self._made[x, split] = self.value(self.shape(x.shape, split), x.dtype, x.weak)
            maker = self._makers.get(x)
            args = None if maker is None else _smaller(maker, split, new.shape)
            if maker is None or args is None:
                self.parts[new] = Part(split, x)
            else:
                self.early.append(Step(maker.function, args, maker.kwargs, new, maker.place))
        return new

    def beginning(self, step: int, like: Value) -> Value:
        """``step`` times the number of the first batch entry of the lane, in the dtype of ``like``."""
        new = self._made.get((step, like.dtype))
        if new is None:
            new = self._made[step, like.dtype] = self.value((), like.dtype)
            both = tuple(self.xp.asarray(lane * self.half * step, dtype=like.dtype) for lane in (0, 1))
            self.parts[new] = Part(None, None, both)  # type: ignore[arg-type]
        return new

    def spot(self, x: Any, split: Split) -> Spot | None:
        """The bounds of the integers ``x`` by batch entries, where it is cut so; None where they are not known."""
        if type(x) is int:
            return Spot(0, x, x)
        if type(x) is not Value:
            return None
        if x in self.spots:
            return self.spots[x]
        if x not in self.numbers or not prod(x.shape):  # type: ignore[arg-type]
            return None
        array = self.xp.astype(self.numbers[x], self.xp.int64)
        if -split.axis > array.ndim or array.shape[split.axis] == 1:
            return Spot(0, int(array.min()), int(array.max()))
        self.shape(array.shape, split)
        axis = array.ndim + split.axis
        rows = array.reshape(*array.shape[:axis], split.outer, self.n, split.inner, *array.shape[axis + 1 :])
        step = int((rows.take(1, axis + 1) - rows.take(0, axis + 1)).flat[0])
        line = self.xp.reshape(self.xp.arange(self.n) * step, (self.n,) + (1,) * (rows.ndim - axis - 2))
        rest = rows - line
        return Spot(step, int(rest.min()), int(rest.max()))


def _smaller(step: Step, split: Split, shape: Any) -> tuple | None:
    """The arguments with which a step makes something of ``shape``, equal all along the axis that is cut; or None."""
    if step.function in ("full", "ones", "zeros") and step.args and type(step.args[0]) is tuple:
        return (shape, *step.args[1:]) if all(x.shape == () for x in step.reads) else None
    if step.function != "broadcast_to" or len(step.args) != 2 or type(step.args[0]) is not Value or step.kwargs:
        return None
    old = step.args[0].shape or ()
    return (step.args[0], shape) if -split.axis > len(old) or old[split.axis] == 1 else None


def _labelled(half: HalfBatch, outputs: Any, states: Any) -> Any:
    """The lane's Values in the tree of a step's outputs."""
    if type(outputs) is Value:
        return half._stand_in(outputs, states)
    if outputs is None:
        return None
    each = [states] * len(outputs) if isinstance(states, Split) else states  # one state is that of all
    return type(outputs)([_labelled(half, one, state) for one, state in zip(outputs, each, strict=True)])


def _called(rule: Callable[..., Made], half: HalfBatch, step: Step) -> Made:
    """What a rule makes of a step; it gives up on arguments that are none of those that it knows."""
    try:
        bound = _signature(rule).bind(half, *step.args, **step.kwargs)
        return rule(*bound.args, **bound.kwargs)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise GiveUpError("other arguments") from error


@cache
def _signature(rule: Callable[..., Made]) -> inspect.Signature:
    return inspect.signature(rule)


def _plain(x: Any) -> None:
    """Gives up on containers: they may be arrays, or hold some."""
    if isinstance(x, (list, tuple, dict, slice)):
        raise GiveUpError("a list in the place of an array")
