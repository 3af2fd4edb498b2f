"""ReduceOnPlateau: a lower learning rate once a figure no longer becomes better."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zkynet.optim.schedules import Plateau
from zkynet.train.callback import Callback
from zkynet.train.callbacks.stopping import direction, figure_of


class ReduceOnPlateau(Callback):
    """Cuts the learning rate by ``factor`` where ``figure`` has not become better for more than ``patience`` epochs.

    ``figure`` and ``mode`` as of EarlyStopping; the other settings, and their defaults, are those of
    ``optim.schedules.Plateau``: ``factor`` 0.1, ``patience`` 10, ``threshold`` 1e-4 (a share), ``cooldown`` 0 epochs,
    ``least`` 0.0, the rate below which it does not fall. A figure that is not finite is not better.

    An optimizer whose learning rate is a Plateau already, alone or inside of other schedules or groups, keeps it: the
    callback then only tells it the figure once an epoch, and takes no settings. Otherwise a rate that is a number is
    replaced by lower ones, and a schedule is multiplied by a factor that begins at 1 and is cut (``least`` is the least
    factor then). ValueError where settings are given twice, or the optimizer's Plateau looks the other way.
    """

    def __init__(
        self,
        figure: str = "validation_loss",
        mode: str | None = None,
        *,
        factor: float | None = None,
        patience: int | None = None,
        threshold: float | None = None,
        cooldown: int | None = None,
        least: float | None = None,
    ):
        self.figure, self.mode = figure, direction(self, figure, mode)
        given = dict(factor=factor, patience=patience, threshold=threshold, cooldown=cooldown, least=least)
        self.settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        Plateau(1.0, best=self.mode, **self.settings)  # checks them
        self.plateaus: list[Plateau] = []  # those that are told the figure
        self._own: Plateau | None = None
        self._state: Mapping[str, Any] = {}

    def on_run_start(self, run: Any) -> None:
        optimizer = run.optimizer
        cut = _schedule_of(optimizer)
        if isinstance(cut, _Cut) and cut.plateau is self._own:
            optimizer.lr = cut.schedule  # of an earlier run
        found = list(_plateaus_of(optimizer))
        if found:
            self._check(found)
            self.plateaus, self._own = found, None
            return
        schedule = _schedule_of(optimizer)
        own = self._own = Plateau(optimizer.lr if schedule is None else 1.0, best=self.mode, **self.settings)
        self.plateaus = [own]
        if run.step > 0 and self._state:
            own.load_state_dict(self._state)
        if schedule is None:
            optimizer.lr = own(0)
        else:
            optimizer.lr = _Cut(schedule, own)

    def _check(self, found: list[Plateau]) -> None:
        if self.settings:
            raise ValueError(
                "ReduceOnPlateau: the optimizer has a Plateau with settings of its own.\n"
                f"  got:      {', '.join(self.settings)} for the callback, and {found[0]!r}\n"
                "Give them in one place: ReduceOnPlateau(figure), or a learning rate without Plateau."
            )
        if any(each.best != self.mode for each in found):
            raise ValueError(
                "ReduceOnPlateau: the optimizer's Plateau takes the other direction for better.\n"
                f"  got:      best={found[0].best!r} there, mode={self.mode!r} for {self.figure!r}\n"
                f"  expected: Plateau(..., best={self.mode!r})"
            )

    def on_epoch_end(self, run: Any) -> None:
        value = figure_of(self, run, self.figure)
        if not math.isfinite(value):
            value = sys.float_info.max if self.mode == "min" else -sys.float_info.max
        cut = [each.watch(value) for each in self.plateaus]
        if self._own is not None:
            self._state = self._own.state_dict()
            if any(cut) and not isinstance(_schedule_of(run.optimizer), _Cut):
                run.optimizer.lr = self._own(0)

    def state_dict(self) -> dict[str, Any]:
        """What its own Plateau remembers; that of an optimizer's is in the state of the optimizer."""
        return dict(self._own.state_dict()) if self._own is not None else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._state = dict(state)


class _Cut:
    """A schedule times the factor of a plateau, which stays the callback's: the optimizer saves the schedule alone."""

    def __init__(self, schedule: Callable[[int], float], plateau: Plateau):
        self.schedule, self.plateau = schedule, plateau

    def __call__(self, step: int) -> float:
        return self.schedule(step) * self.plateau(step)

    def state_dict(self) -> dict[str, Any]:
        return self.schedule.state_dict() if hasattr(self.schedule, "state_dict") else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.schedule.load_state_dict(state)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"{self.schedule!r} cut by {self.plateau!r}"


def _schedule_of(optimizer: Any) -> Any:
    """The schedule of an optimizer's learning rate; None where that is a number."""
    return getattr(optimizer, "schedule", None)


def _plateaus_of(optimizer: Any) -> Iterator[Plateau]:
    """Every Plateau in the learning rates of an optimizer and its groups, once."""
    groups = getattr(optimizer, "groups", None)
    stack = [_schedule_of(optimizer), *([] if groups is None else [settings.get("lr") for _, settings in groups.pairs])]
    seen: set[int] = set()
    while stack:
        rate = stack.pop(0)
        if isinstance(rate, Plateau) and id(rate) not in seen:
            seen.add(id(rate))
            yield rate
        stack += [getattr(rate, "lr", None)] if not isinstance(rate, (Plateau, float, int, type(None))) else []
        stack += [*getattr(rate, "schedules", ()), *getattr(rate, "factors", ())]
