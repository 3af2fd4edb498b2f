"""Relu after pooling: of the largest entries alone, ``pool(relu(x))`` as ``relu(pool(x))``.

Both grow with x and keep a NaN, so that the values are the same. So are the gradients, to the bit. Where a window has a
positive entry or a NaN, its largest entry stands at the same place in x as in relu(x), the first of equals too. Where
it has none, another of its entries may be chosen, which then receives what the mask of the relu lets through: nothing,
before as behind the pool. So the numbers of the chosen entries must be read by gradients that such a mask cuts alone.

-0.0 would tell the two apart if relu kept it; NumPy's does not in the dtypes that its vector code knows, which is tried
out. The relu, its mask and the selection then work on the pooled array, and x dies with the pool.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from ..program import Program, Step, Value
from .facts import ROWS, Fills, Orders, entries, makes, reads


def relu_after_pooling(program: Program) -> Program:
    """The program with the relu behind each pool of its result that nothing else reads."""
    if not program.xp.is_host or not any([step.function == "pool_max" for step in program.steps]):
        return program
    uses = _Uses(program)
    found = [pooled for step in program.steps if step.function == "relu" and (pooled := _pooled(uses, step))]
    if not found:
        return program
    written: dict[Step, list[Step]] = {}
    for each in found:
        written.update(_rewritten(each))
    steps = [new for step in program.steps for new in written.get(step, [step])]
    return program.replace(steps=steps)


class _Uses:
    """Who makes and reads the Values of a program."""

    def __init__(self, program: Program):
        self.xp, self.outputs = program.xp, frozenset(program.outputs)
        self.makers = {value: step for step in program.steps for value in makes(step)}
        self.places = {step: i for i, step in enumerate(program.steps)}
        self.orders = Orders(program, self.makers)
        self.number = Fills(program, self.makers).number
        self._readers: dict[Value, list[Step]] = {}
        for step in program.steps:
            for value in dict.fromkeys(reads(step)):
                self._readers.setdefault(value, []).append(step)

    def readers(self, value: Value) -> list[Step] | None:
        """The steps that read it; None where it is also given back."""
        return None if value in self.outputs else self._readers.get(value, [])


class _Pooled(NamedTuple):
    """A relu whose result is pooled, the masks made of it, and the gradients: where they are placed and then cut."""

    relu: Step
    pool: Step
    masks: list[Step]
    gradients: list[tuple[Step, Step]]


def _pooled(uses: _Uses, relu: Step) -> _Pooled | None:
    """What has to change together, if nothing else reads what would no longer be there."""
    x, y = relu.args[0], relu.outputs
    if type(x) is not Value or x.weak or uses.orders[x] != ROWS or not _drops_sign(uses.xp, y.dtype):
        return None
    readers = uses.readers(y) or ()
    pools = [step for step in readers if step.function == "pool_max" and step.args[0] is y]
    masks = [step for step in readers if _is_mask(uses, step, y)]
    if len(pools) != 1 or len(pools) + len(masks) != len(readers):
        return None
    pool = pools[0]
    largest, which = pool.outputs
    if entries(largest) >= entries(y) or any([uses.places[mask] < uses.places[pool] for mask in masks]):
        return None
    gradients = _gradients(uses, pool, which, {mask.outputs for mask in masks})
    cut = {id(select) for _, select in gradients or ()}
    if gradients is None or any([uses.readers(mask.outputs) is None for mask in masks]):
        return None
    if any([id(step) not in cut for mask in masks for step in uses.readers(mask.outputs) or ()]):
        return None
    return _Pooled(relu, pool, masks, gradients)


def _is_mask(uses: _Uses, step: Step, y: Value) -> bool:
    """Whether it is ``y > 0``, with a 0 that has no axes."""
    if step.function != "greater" or step.args[0] is not y or step.args[1] is y:
        return False
    zero = step.args[1]
    return (type(zero) is not Value or zero.shape == ()) and uses.number(zero) == 0


def _gradients(uses: _Uses, pool: Step, which: Value, masks: set[Value]) -> list[tuple[Step, Step]] | None:
    """Each step that places gradients, with the selection that alone reads them; None where more reads ``which``."""
    places = uses.readers(which)
    if places is None:
        return None
    found = []
    for place in places:
        after = uses.readers(place.outputs) if place.function == "pool_place" else None
        if after is None or len(after) != 1 or not _undoes(place, pool):
            return None
        select = after[0]
        if select.function != "select" or select.args[0] not in masks or select.args[1] is not place.outputs:
            return None
        found.append((place, select))
    return found


def _undoes(place: Step, pool: Step) -> bool:
    """Whether a step places entries where the pool has them from."""
    if place.kwargs or pool.kwargs or len(place.args) != 6:
        return False
    g, which, size, *settings = place.args
    inner = tuple(pool.args[0].shape[-len(size) :])
    return type(g) is Value and g is not which and tuple(size) == inner and settings == list(pool.args[1:])


def _rewritten(found: _Pooled) -> dict[Step, list[Step]]:
    """By each step what stands in its place."""
    relu, pool, masks, gradients = found
    y, (largest, which) = relu.outputs, pool.outputs
    before = Value(y.index, largest.shape, largest.dtype)
    written: dict[Step, list[Step]] = {relu: []}
    written[pool] = [
        Step("pool_max", (relu.args[0], *pool.args[1:]), pool.kwargs, (before, which), pool.place),
        Step("relu", (before,), {}, largest, relu.place),
    ]
    narrow = {}
    for mask in masks:
        small = narrow[mask.outputs] = Value(mask.outputs.index, largest.shape, mask.outputs.dtype)
        written[mask] = [Step("greater", (largest, *mask.args[1:]), mask.kwargs, small, mask.place)]
    for place, select in gradients:
        g, old = place.args[0], place.outputs
        part = Value(old.index, g.shape, g.dtype)
        written[place] = []
        written[select] = [
            Step("select", (narrow[select.args[0]], g), select.kwargs, part, select.place),
            Step("pool_place", (part, *place.args[1:]), place.kwargs, select.outputs, place.place),
        ]
    return written


@cache
def _drops_sign(xp: Any, dtype: Any) -> bool:
    """Whether relu makes 0.0 of -0.0."""
    if not xp.is_inexact(dtype) or xp.is_complex(dtype):
        return False
    zeros = xp.negative(xp.zeros((67,), dtype=dtype))
    return not any(xp.to_numpy(xp.signbit(xp.relu(part))).any() for part in (zeros, zeros[:1], zeros[::2]))
