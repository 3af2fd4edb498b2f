"""The arguments of a Trainer, checked."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zkynet.train.callback import Callback

if TYPE_CHECKING:
    from zkynet.train.trainer import Trainer

FIGURES = ("epoch", "loss", "validation_loss", "seconds")  # names that metrics cannot have


def minimizes(optimizer: Any) -> bool:
    """Whether an optimizer evaluates the loss itself, as LBFGS does."""
    return callable(getattr(optimizer, "minimize", None))


def checked_change(change: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """``change``, with a TypeError where it gives no gradients."""
    if change is None:
        return None
    given = change

    def changed(grads: dict[str, Any]) -> dict[str, Any]:
        new = given(grads)
        if not isinstance(new, dict):
            raise TypeError(
                f"Trainer: change did not return gradients.\n  got:      {type(new).__name__}\n"
                "  expected: a dict by parameter name; clip_by_norm also gives the norm, so take its first:\n"
                "            change=lambda grads: clip_by_norm(grads, 1.0)[0]"
            )
        return new

    return changed


def check_optimizer(run: Trainer) -> None:
    """TypeError or ValueError where the optimizer and the settings of the steps do not fit together."""
    if not callable(getattr(run.optimizer, "update", None)):
        raise TypeError(
            f"Trainer: this is no optimizer.\n  got:      {type(run.optimizer).__name__}\n"
            "  expected: one of zkynet.optim, or something with update(model, grads) and lr"
        )
    wanted = {"change": run.change, "loss_scale": run.loss_scale, "compiled": run.compiled or None}
    if minimizes(run.optimizer):
        forbidden = [name for name, value in wanted.items() if value is not None]
        if forbidden:
            raise ValueError(
                f"Trainer: {type(run.optimizer).__name__} evaluates the loss itself, and nobody sees its gradients.\n"
                f"  got:      {', '.join(forbidden)}\n  expected: none of change, loss_scale, compiled"
            )


def checked_int(name: str, value: Any, least: int) -> int:
    """``value`` as an int; TypeError where it is none, ValueError below ``least``."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"Trainer: {name} is not an int.\n  got:      {value!r}\n  expected: at least {least}"
        ) from None
    if number < least:
        raise ValueError(f"Trainer: {name} is too small.\n  got:      {number}\n  expected: at least {least}")
    return number


def checked_callbacks(callbacks: Sequence[Callback]) -> list[Callback]:
    """The callbacks as a list; TypeError where one is none."""
    if not isinstance(callbacks, (list, tuple)):
        raise TypeError(
            f"Trainer: callbacks are a list.\n  got:      {callbacks!r}\n  expected: callbacks=[...], one or more"
        )
    for each in callbacks:
        if not isinstance(each, Callback):
            raise TypeError(
                f"Trainer: this is no Callback.\n  got:      {each!r}\n"
                "  expected: an instance of a subclass of Callback; On(epoch_end=function) makes one of a function"
            )
    return list(callbacks)


def checked_metrics(metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    """Metrics by name, each with update, value and reset."""
    if not metrics:
        return {}
    from zkynet.train.metrics import as_metric

    found = {name: as_metric(each) for name, each in metrics.items()}
    for name, each in found.items():
        if name in FIGURES:
            raise ValueError(f"Trainer: a metric cannot be called {name!r}; {', '.join(FIGURES)} are in use")
        if not each.scalar:
            raise ValueError(
                f"Trainer: the metric {name!r} is no number but an array.\n"
                "  expected: figures of an epoch are numbers; take it of the model's outputs after the run"
            )
    return found
