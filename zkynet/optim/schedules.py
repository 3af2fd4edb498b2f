"""Learning rates that change: functions of the number of updates so far.

A schedule is any function that takes the number of updates made so far, an int from 0, and gives the learning rate of
the next one, a finite number of at least 0; ``Adam(lr=schedule)`` asks it before every update. Those here are frozen
dataclasses: values that can be printed, compared and pickled. They agree with the schedulers of the same kind in
PyTorch. Plateau alone depends on more than the step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from zkynet.optim.rates import Rate, is_rate


def _at(rate: Rate, step: int) -> float:
    return rate(step) if callable(rate) else rate


def _check(schedule: Any, **conditions: tuple[bool, str]) -> None:
    """ValueError for the first setting whose condition does not hold."""
    for name, (holds, expected) in conditions.items():
        if not holds:
            raise ValueError(
                f"{type(schedule).__name__}: {name} is out of range.\n"
                f"  got:      {getattr(schedule, name)!r}\n  expected: {expected}"
            )


def _is_count(n: Any) -> bool:
    return isinstance(n, Integral) and int(n) >= 1


_COUNT = "an int of at least 1"
_RATE = "a finite number of at least 0"


@dataclass(frozen=True)
class Constant:
    """``lr``, always."""

    lr: float

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE))

    def __call__(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Step:
    """``lr``, multiplied by ``factor`` after every ``every`` updates: PyTorch's StepLR."""

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE), every=(_is_count(self.every), _COUNT))
        _check(self, factor=(is_rate(self.factor), _RATE))

    def __call__(self, step: int) -> float:
        return self.lr * self.factor ** (step // self.every)


@dataclass(frozen=True)
class MultiStep:
    """``lr``, multiplied by ``factor`` once for each of the ``milestones``, numbers of updates, that is reached."""

    lr: float
    milestones: Sequence[int]
    factor: float = 0.1

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE), factor=(is_rate(self.factor), _RATE))
        _check(self, milestones=(all(_is_count(m) for m in self.milestones), "ints of at least 1"))

    def __call__(self, step: int) -> float:
        return self.lr * self.factor ** sum(m <= step for m in self.milestones)


@dataclass(frozen=True)
class Exponential:
    """lr factor^step: PyTorch's ExponentialLR."""

    lr: float
    factor: float

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE), factor=(is_rate(self.factor), _RATE))

    def __call__(self, step: int) -> float:
        return self.lr * self.factor**step


@dataclass(frozen=True)
class Polynomial:
    """From ``lr`` to ``end`` over ``steps`` updates as (1 - step / steps)^power, then ``end``; linear by default."""

    lr: float
    steps: int
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE), steps=(_is_count(self.steps), _COUNT))
        _check(self, power=(is_rate(self.power), _RATE), end=(is_rate(self.end), _RATE))

    def __call__(self, step: int) -> float:
        left = 1 - min(step, self.steps) / self.steps
        return self.end + (self.lr - self.end) * left**self.power


@dataclass(frozen=True)
class Cosine:
    """From ``lr`` to ``end`` over ``steps`` updates along half a cosine, then ``end``.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, without restarts.
    """

    lr: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE), steps=(_is_count(self.steps), _COUNT))
        _check(self, end=(is_rate(self.end), _RATE))

    def __call__(self, step: int) -> float:
        return _cosine(self.lr, self.end, min(step, self.steps) / self.steps)


@dataclass(frozen=True)
class WarmUp:
    """``lr``, a number or a schedule, times a factor that rises over the first ``steps`` updates.

    The factor is start + (1 - start) (step + 1) / steps: the first update already moves, the one with number ``steps``
    has the full rate. A schedule counts its own steps from 0 as well; Chain lets it begin behind.
    """

    lr: Rate
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        _check(self, lr=(callable(self.lr) or is_rate(self.lr), f"{_RATE}, or a schedule"))
        _check(self, steps=(_is_count(self.steps), _COUNT), start=(is_rate(self.start), _RATE))

    def __call__(self, step: int) -> float:
        factor = self.start + (1 - self.start) * min(step + 1, self.steps) / self.steps
        return factor * _at(self.lr, step)

    def state_dict(self) -> dict[str, Any]:
        return _states([self.lr])

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        _load_states([self.lr], tree)


@dataclass(frozen=True)
class OneCycle:
    """Up from ``lr`` / start_factor to ``lr`` in the share ``rise`` of all updates, then down to nearly nothing.

    Smith and Topin, "Super-convergence", 2018, as PyTorch's OneCycleLR with two cosine phases: the first rate is
    lr / start_factor, the last one lr / (start_factor end_factor), which stays behind ``steps`` updates. Momentum is
    left alone. The first phase ends at update rise steps - 1.
    """

    lr: float
    steps: int
    rise: float = 0.3
    start_factor: float = 25.0
    end_factor: float = 1e4

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE), steps=(_is_count(self.steps), _COUNT))
        _check(self, rise=(0 <= self.rise <= 1, "between 0 and 1"))
        _check(self, start_factor=(self.start_factor > 0, "above 0"), end_factor=(self.end_factor > 0, "above 0"))

    def __call__(self, step: int) -> float:
        first, last = self.lr / self.start_factor, self.lr / self.start_factor / self.end_factor
        peak, end = self.rise * self.steps - 1, self.steps - 1
        if step <= peak:
            return _cosine(first, self.lr, step / peak if peak > 0 else 1.0)
        return _cosine(self.lr, last, (min(step, end) - peak) / (end - peak) if end > peak else 1.0)


@dataclass(frozen=True)
class Chain:
    """One schedule after the other: each counts its own steps from 0, from its milestone on.

    ``milestones``, one fewer than there are ``schedules``, are the numbers of updates at which the next one begins.
    """

    schedules: Sequence[Rate]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        n = len(self.schedules) - 1
        rising = all(a < b for a, b in zip((0, *self.milestones), self.milestones, strict=False))
        fits = len(self.milestones) == n and n >= 0 and rising
        _check(self, milestones=(fits, f"{n} rising ints above 0, for {n + 1} schedules"))

    def __call__(self, step: int) -> float:
        i = sum(m <= step for m in self.milestones)
        return _at(self.schedules[i], step - (self.milestones[i - 1] if i else 0))

    def state_dict(self) -> dict[str, Any]:
        return _states(self.schedules)

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        _load_states(self.schedules, tree)


class Product:
    """The product of schedules and numbers: one gives the rate, the others factors."""

    def __init__(self, *factors: Rate):
        if not factors:
            raise ValueError("Product: no factors.\n  expected: at least one schedule or number")
        self.factors = factors

    def __call__(self, step: int) -> float:
        return math.prod([_at(each, step) for each in self.factors])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Product) and self.factors == other.factors

    def __hash__(self) -> int:
        return hash(self.factors)

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))})"

    def state_dict(self) -> dict[str, Any]:
        return _states(self.factors)

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        _load_states(self.factors, tree)


@dataclass(eq=False)
class Plateau:
    """``lr``, multiplied by ``factor`` whenever what is watched has not become better for more than ``patience`` looks.

    ``plateau.watch(value)`` tells it a loss, say once an epoch; ``best`` is "min" for a loss, "max" for an accuracy.
    Better means by more than the share ``threshold``: below best (1 - threshold), or above best (1 + threshold). After
    a cut the next ``cooldown`` looks do not count. The rate falls no lower than ``least``. PyTorch's ReduceLROnPlateau
    with threshold_mode "rel". ValueError for a value that is not finite.

    It is no function of the step alone: ``state_dict`` holds what it remembers, and an optimizer saves it with its own.
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    best: str = "min"
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0
    state: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        _check(self, lr=(is_rate(self.lr), _RATE), factor=(0 < self.factor < 1, "between 0 and 1"))
        _check(self, patience=(self.patience >= 0, "at least 0"), cooldown=(self.cooldown >= 0, "at least 0"))
        _check(self, best=(self.best in ("min", "max"), "'min' or 'max'"), least=(is_rate(self.least), _RATE))
        _check(self, threshold=(is_rate(self.threshold), _RATE))
        self.state = {"lr": float(self.lr), "best": None, "bad": 0, "cooldown": 0}

    def __call__(self, step: int) -> float:
        return self.state["lr"]

    def watch(self, value: Any) -> bool:
        """Take note of a value; whether the learning rate was cut."""
        number, state = float(value), self.state
        if not math.isfinite(number):
            raise ValueError(f"Plateau.watch: the value is not finite.\n  got:      {number!r}")
        if self._is_better(number):
            state["best"], state["bad"] = number, 0
        else:
            state["bad"] += 1
        if state["cooldown"]:
            state["cooldown"], state["bad"] = state["cooldown"] - 1, 0
        if state["bad"] <= self.patience:
            return False
        before = state["lr"]
        state.update(lr=max(before * self.factor, self.least), cooldown=self.cooldown, bad=0)
        return state["lr"] < before

    def _is_better(self, number: float) -> bool:
        best = self.state["best"]
        if best is None:
            return True
        return number < best * (1 - self.threshold) if self.best == "min" else number > best * (1 + self.threshold)

    def state_dict(self) -> dict[str, Any]:
        """What it remembers: the rate, the best value, and how long that is ago."""
        return dict(self.state)

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Go on from what ``state_dict`` gave; ValueError for anything else."""
        if set(tree) != set(self.state):
            raise ValueError(
                f"this tree is no state of Plateau.\n  got:      {', '.join(map(str, tree))}\n"
                f"  expected: {', '.join(self.state)}"
            )
        self.state = dict(tree)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _states(schedules: Sequence[Rate]) -> dict[str, Any]:
    """The states of those that have one, by position."""
    found = {str(i): each.state_dict() for i, each in enumerate(schedules) if hasattr(each, "state_dict")}
    return {i: state for i, state in found.items() if state}


def _load_states(schedules: Sequence[Rate], tree: Mapping[str, Any]) -> None:
    if tree.keys() != _states(schedules).keys():
        raise ValueError(
            "this tree is no state of these schedules.\n"
            f"  got:      {', '.join(tree) or 'nothing'}\n  expected: {', '.join(_states(schedules)) or 'nothing'}"
        )
    for i, state in tree.items():
        schedules[int(i)].load_state_dict(state)  # type: ignore[union-attr]
