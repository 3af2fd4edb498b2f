"""NaNGuard: a run ends at the first loss or gradient that is not finite, and says which operator made it."""

from __future__ import annotations

import math
from typing import Any

from zkynet.backends.errors import AnomalyError
from zkynet.train.callback import Callback


class NaNGuard(Callback):
    """Ends a run with an AnomalyError where a loss or a gradient is not finite, before the model takes harm.

    The step is run a second time, under ``zk.detect_anomaly()``, from where it began: the same batch, the same weights
    and States, so that generators of the model draw the same numbers. The error names the operator that made the NaN or
    infinity and the user's line that applied it, with the ranges of what went in, and the step. After it the model is
    what it was before that step, without its update, and can be saved.

    With a loss scale gradients may overflow, and the scale answers for that: then only the loss is looked at. What a
    Trainer's ``change`` or the optimizer itself makes of finite gradients shows in the next step's loss.

    It costs a look at every gradient, and a second run only where there is something to find; compiled steps run in two
    parts, gradients and update. LBFGS evaluates the loss itself, and refuses one that is not finite by a
    FloatingPointError, without this guard.
    """

    def __init__(self) -> None:
        self._states: dict[Any, Any] = {}  # what they hold before the step

    def on_run_start(self, run: Any) -> None:
        self._states = dict.fromkeys(run.model.named_states().values())

    def on_step_start(self, run: Any) -> None:
        self._states = {state: state.value for state in self._states}

    def on_gradients(self, run: Any) -> None:
        if not math.isfinite(run.loss):
            self._find(run, f"its loss is {run.loss}")
        if run.loss_scale is None:
            self._look(run)

    def _look(self, run: Any) -> None:
        from zkynet.train.precision import not_finite

        bad = not_finite(run.gradients)
        if bad:
            others = f" and {len(bad) - 1} others" if len(bad) > 1 else ""
            self._find(run, f"the gradient of {bad[0]!r}{others} is not finite")

    def _find(self, run: Any, found: str) -> None:
        """Run the step again from where it began and raise what comes of it."""
        from zkynet.framework.computation_graph import detect_anomaly, value_and_grad
        from zkynet.framework.record import HOST

        self._put_back()
        where = f"step {run.step + 1}, batch {run.batch + 1} of epoch {run.epoch}"
        try:
            with HOST.errstate(), detect_anomaly():  # NumPy has warned once
                value_and_grad(run.loss_function)(run.model, *run.current_batch)
        except AnomalyError as error:
            self._put_back()
            raise _told(error, where, found) from None
        self._put_back()
        raise _not_again(where, found)

    def _put_back(self) -> None:
        for state, value in self._states.items():
            state.value = value

    def on_run_end(self, run: Any) -> None:
        self._states = {}  # keeps no array alive


def _told(error: Any, where: str, found: str) -> Exception:
    """The error of the second run, which names the operator, with the step."""
    new = AnomalyError(f"{error}\nNaNGuard: in {where}; {found}. The model is as it was before this step.")
    new.operator, new.file, new.line = error.operator, error.file, error.line
    return new


def _not_again(where: str, found: str) -> Exception:
    return AnomalyError(
        f"NaNGuard: in {where} {found}, but not when the step ran again.\n"
        "  expected: a loss that is a function of the model and the batch, and draws from the model's Generators\n"
        "The model is as it was before this step. The cause can be other random numbers, what differs in a compiled\n"
        "step, or the update itself (a learning rate that is too large, Trainer's change)."
    )
