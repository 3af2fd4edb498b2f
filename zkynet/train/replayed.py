"""Replayed: a compiled function with the same bits in a run that is resumed as in one that was never interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from zkynet.framework.function import TAPE
from zkynet.framework.graph_mode import lane_choice
from zkynet.framework.graph_mode.compiled import MAX_TRIES, compile
from zkynet.framework.graph_mode.sources import Captured

TRIALS = 2 * lane_choice.ROUNDS * (lane_choice.RUNS + 1)  # calls that a choice between one lane and two takes
SETTLING = lane_choice.ROUNDS * lane_choice.SETTLE  # and seconds, in calls that are shorter than SETTLE
SHARE = 0.05  # of the time of a run that trying may take


class Replayed:
    """``function`` through ``zk.compile``; what comes out depends on no call before.

    - A call that is recorded is taken back and replayed: a run that is resumed records anew where the other one
      replayed, and the two may differ by rounding.
    - Between one lane and two it is chosen once, behind the first recording, by replays that are taken back too;
      whatever is recorded later takes one lane. ``state_dict`` holds the choice. There is one lane where trying would
      take too large a share of the calls that are to come, ``calls()``, None for many; and with ``deterministic``.

    ``name``: what warnings call it.

    On NumPy. Other backends have no lanes, and there a recorded call stands as it is; so it does where the function
    leaves arrays in attributes, or changes in Python what it reads itself.
    """

    def __init__(self, name: str, function: Callable[..., Any], deterministic: bool, calls: Callable[[], int | None]):
        self._calls = calls
        self._watch = watch = _Watch()
        self._chosen = False

        def watched(*args: Any) -> Any:
            result = function(*args)
            watch.look()
            return result

        watched.__name__ = name
        self.compiled = compile(watched, deterministic=deterministic)

    def __call__(self, *args: Any) -> Any:
        for more in (*[True] * MAX_TRIES, False):
            self._watch.taken()
            result = self.compiled(*args)
            before = self._watch.taken()
            if before is None:  # it was a replay, or the function runs eagerly
                break
            if self.compiled._changes or not before.can_be_restored or not more:
                break
            before.restore()
            self._choose(args, before)
        return result

    def state_dict(self) -> dict[str, Any]:
        """What was chosen, for a checkpoint."""
        return {**self.compiled.state_dict(), "chosen": self._chosen}

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Choose what ``state_dict`` tells, for what is recorded from here on."""
        self.compiled.load_state_dict({"lanes": tree["lanes"]})
        self._chosen = tree["chosen"]

    # ---- lanes ----

    def _choose(self, args: tuple, before: _Before) -> None:
        """Decide between one lane and two for all that is recorded now."""
        if not any([v.replay for known in self.compiled._variants.values() for v in known]):
            return  # it is to be recorded once more
        if self._undecided() and not self._chosen and self._is_worth_trying(args, before):
            limit = 10 * (TRIALS + round(SETTLING / self._try(args, before)))
            while self._undecided() and limit:
                self._try(args, before)
                limit -= 1
        why = "recorded later than the first step" if self._chosen else "not tried: there are too few steps"
        for choice in self._undecided():
            choice.load_state_dict({"lanes": 1, "why": why})
        self._chosen = True
        self.compiled.load_state_dict(self.compiled.state_dict())  # where it is recorded again, as a resumed run will

    def _undecided(self) -> list[lane_choice.Choice]:
        variants = [v for known in self.compiled._variants.values() for v in known if v.replay is not None]
        ways = [ready.ways for variant in variants for ready in variant.replay.all() if ready.ways is not None]
        return [each.choice for each in ways if each.choice.lanes is None]

    def _is_worth_trying(self, args: tuple, before: _Before) -> bool:
        calls = self._calls()
        if calls is None:
            return True
        self._try(args, before)  # makes the program
        seconds = self._try(args, before)
        return TRIALS * seconds + SETTLING <= SHARE * calls * seconds

    def _try(self, args: tuple, before: _Before) -> float:
        """A call that leaves nothing behind; its seconds."""
        start = time.perf_counter()
        try:
            self.compiled(*args)
            return time.perf_counter() - start
        finally:
            before.restore()


class _Watch:
    """Told that the function is done; in a recording it takes down what this is about to change."""

    def __init__(self) -> None:
        self._before: _Before | None = None

    def look(self) -> None:
        tape = TAPE.get()
        self._before = None if tape is None else _Before(tape)

    def taken(self) -> _Before | None:
        """What was taken down since the last time."""
        before, self._before = self._before, None
        return before

    def __zkynet_guard__(self) -> tuple:
        return ()


class _Before:
    """What a recording changes at its end, as it was before: arrays, generators, and the count of an optimizer."""

    def __init__(self, tape: Any):
        self._tape = tape
        self._arrays = [(sink, sink.read()) for sink in tape.writes]
        self._generators = [(generator, generator._value) for generator, _ in tape.draws.values()]
        optimizers = [effect.optimizer for effect in tape.effects]  # which have counted on while they were recorded
        self._steps = [(each, each.state["step"] - optimizers.count(each)) for each in optimizers]

    @property
    def can_be_restored(self) -> bool:
        """Known when the recording is over: whether these are all."""
        return self._tape.inner.is_host and not any(isinstance(sink, Captured) for sink in self._tape.writes)

    def restore(self) -> None:
        for sink, array in self._arrays:
            sink.put(array)
        for generator, value in self._generators:
            generator._value = value
        for optimizer, step in self._steps:
            optimizer.state["step"] = step
