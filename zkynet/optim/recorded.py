"""An optimizer's update while a step is recorded (zk.compile): slots and numbers are read anew in every replay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zkynet.framework.graph_mode.sources import Number, Slot
from zkynet.framework.graph_mode.tape import NotRecordableError, Tape
from zkynet.optim.arrays import untracked


def recorded_update(tape: Tape, optimizer: Any, model: Any, named: Mapping[str, Any], grads: Mapping[str, Any]) -> None:
    """Write down what ``optimizer.update(model, grads)`` does; ``named`` are the parameters that it moves."""
    state = optimizer.state
    before = sum([effect.optimizer is optimizer for effect in tape.effects if isinstance(effect, _Count)])
    taken = state["step"]  # in this run the steps of ``before`` are counted already

    def begin() -> Any:
        return optimizer._begun(model, {name: [each._value] for name, each in named.items()})

    parts = begin()
    tape.names.update({id(each): name for name, each in named.items()})
    groups = {name: [tape.possession(each), _gradient(tape, name, each, grads[name])] for name, each in named.items()}
    for part in parts:
        for name in part.names:
            groups[name] += [_slot(tape, Slot(optimizer, slot, name, begin)) for slot in part.optimizer.slots]
    host = _Numbers(tape, optimizer, model, list(named), before)
    numbers = [
        tuple([tape.input(host.source((id(optimizer), before, i), i, j)) for j in range(count)])
        for i, count in enumerate(map(len, host.now(taken - before)))
    ]
    new = optimizer._applied(groups, parts, numbers)
    for part in parts:
        for name in part.names:
            p, *arrays = new[name]
            tape.assign(named[name], p)
            for slot, array in zip(part.optimizer.slots, arrays, strict=True):
                tape.write(Slot(optimizer, slot, name, begin), array)
    tape.effects.append(_Count(optimizer))
    state["step"] += 1  # for code that looks; taken back when the run is over
    tape.undo.append(lambda: state.update(step=taken))
    if state is not optimizer.state:
        raise NotRecordableError("the optimizer's state was replaced in the middle of a step")


def _slot(tape: Tape, slot: Slot) -> Any:
    return tape.writes[slot][0] if slot in tape.writes else tape.input(slot)


def _gradient(tape: Tape, name: str, parameter: Any, gradient: Any) -> Any:
    """The gradient as a recorded array in the dtype of its parameter."""
    g = tape.recorder.asarray(untracked(gradient, lambda: f"the gradient of {name!r}"))
    if tuple(g.shape) != tuple(parameter._value.shape):
        raise NotRecordableError(f"the gradient of {name!r} has another shape")  # eager mode says it better
    return tape.recorder.asarray(g, dtype=parameter._value.dtype)


class _Numbers:
    """The numbers of an optimizer's step, computed once a call."""

    def __init__(self, tape: Tape, optimizer: Any, model: Any, names: list[str], before: int):
        self.optimizer, self.model, self.names, self.before = optimizer, model, names, before
        self.clock = tape.tree.clock
        self.time = -1
        self.numbers: list[tuple] = []

    def now(self, counted: int | None = None) -> list[tuple]:
        """The numbers of every part, for the step behind the ``counted`` ones, those that the state tells of."""
        if self.time != self.clock[0]:
            counted = self.optimizer.state["step"] if counted is None else counted
            parts = self.optimizer._parts(self.model, self.names)
            self.numbers = self.optimizer._numbers(parts, counted + 1 + self.before)
            self.time = self.clock[0]
        return self.numbers

    def source(self, key: Any, i: int, j: int) -> Number:
        """The source of number ``j`` of part ``i``."""
        return Number(key, j, lambda: self.now()[i], lambda: self.formula(i), f"number_{i}_{j}")

    def formula(self, i: int) -> tuple:
        """What gives the numbers of part ``i``: a method, the part's next step, the learning rate."""
        part = self.optimizer._parts(self.model, self.names)[i]
        step = self.optimizer.state["step"] + 1 + self.before
        return part.optimizer._with_decay, step - part.began, (part.optimizer._rate(step),)


class _Count:
    """One more update."""

    def __init__(self, optimizer: Any):
        self.optimizer = optimizer

    def __call__(self) -> None:
        self.optimizer.state["step"] += 1
