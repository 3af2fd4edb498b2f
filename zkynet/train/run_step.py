"""One step of a run, in the form that its settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zkynet.framework.computation_graph import value_and_grad
from zkynet.train.compiled import compiled_step
from zkynet.train.run_settings import minimizes

if TYPE_CHECKING:
    from zkynet.train.callback import Hook
    from zkynet.train.trainer import Trainer

Step = Callable[[tuple], None]


def step_of(run: Trainer, compiled: Any, watchers: Sequence[Hook], keep: bool) -> Step:
    """A function that trains on a batch and notes its loss.

    ``compiled``: the compiled step of the run, or None. ``watchers`` are called between the gradients and the update.
    ``keep``: whether ``run.gradients`` shall be there afterwards.
    """
    model, optimizer, scale, change = run.model, run.optimizer, run.loss_scale, run.change
    note = run._pending.append
    if compiled is not None:
        return lambda batch: note((compiled(*batch), run.samples))
    if minimizes(optimizer):
        return lambda batch: note((optimizer.minimize(run.loss_function, model, *batch), run.samples))
    gradient = (value_and_grad if scale is None else scale.value_and_grad)(run.loss_function)

    def step(batch: tuple) -> None:
        value, grads = gradient(model, *batch)
        note((value, run.samples))
        if watchers:
            run.gradients = grads
            for hook in watchers:
                hook(run)
        if change is not None:
            grads = change(grads)
        if keep:
            run.gradients = grads
        if scale is None:
            optimizer.update(model, grads)
        else:
            scale.update(optimizer, model, grads)

    return step


def compiled_of(run: Trainer) -> Any:
    """The compiled step of a run; None where it has none."""
    return compiled_step(run.model, run.optimizer, run.loss_function, run.change) if run.compiled else None
