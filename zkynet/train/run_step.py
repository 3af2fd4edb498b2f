"""One step of a run, in the form that its settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from zkynet.framework.computation_graph import value_and_grad
from zkynet.train.run_settings import minimizes

if TYPE_CHECKING:
    from zkynet.train.callback import Hook
    from zkynet.train.run_plans import Plans
    from zkynet.train.trainer import Trainer

Step = Callable[[tuple], None]


def step_of(run: Trainer, plans: Plans | None, watchers: Sequence[Hook], keep: bool) -> Step:
    """A function that trains on a batch and notes its loss.

    ``plans``: what the run compiles, or None. ``watchers`` are called between the gradients and the update. ``keep``:
    whether ``run.gradients`` shall be there afterwards; after a whole step that is compiled they are not.
    """
    model, optimizer, note = run.model, run.optimizer, run._pending.append
    if minimizes(optimizer):
        return lambda batch: note((optimizer.minimize(run.loss_function, model, *batch), run.samples))
    if plans is not None and run.steps_are_whole:
        whole = plans.step
        return lambda batch: note((whole(*batch), run.samples))
    gradient, change, update = _parts(run) if plans is None else (plans.gradient, plans.change, _update(run, plans))

    def step(batch: tuple) -> None:
        value, grads = gradient(*batch)
        note((value, run.samples))
        if watchers:
            run.gradients = grads
            for hook in watchers:
                hook(run)
        if change is not None:
            grads = change(grads)
        if keep:
            run.gradients = grads
        update(model, grads)

    return step


def _parts(run: Trainer) -> tuple[Callable[..., Any], Any, Callable[..., Any]]:
    """The parts of a step that runs as it stands."""
    scale = run.loss_scale
    gradient = (value_and_grad if scale is None else scale.value_and_grad)(run.loss_function)
    return partial(gradient, run.model), run.change, _update(run, run.optimizer)


def _update(run: Trainer, optimizer: Any) -> Callable[..., Any]:
    return optimizer.update if run.loss_scale is None else partial(run.loss_scale.update, optimizer)
