"""The training loop: one epoch, and how many labels a model gets right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from zkynet.framework.computation_graph import Module, no_grad, value_and_grad
from zkynet.optim import Optimizer


def train_epoch(
    model: Module,
    optimizer: Optimizer,
    loss: Callable[..., Any],
    batches: Iterable[tuple],
    on_batch: Callable[[int, float], None] | None = None,
) -> float:
    """Update ``model`` once per batch and return the mean loss over the samples, each batch's before its update.

    ``loss(model, *batch)`` is a scalar, the mean over the batch, whose arrays hold one sample per entry of axis 0.
    ``on_batch(done, value)`` is called after each update with the number of batches so far and the loss of this one.
    ValueError where there is no batch.
    """
    step = value_and_grad(loss)
    total, samples = 0.0, 0
    for done, batch in enumerate(batches, start=1):
        value, grads = step(model, *batch)
        optimizer.update(model, grads)
        number = float(value)
        total += number * len(batch[0])
        samples += len(batch[0])
        if on_batch is not None:
            on_batch(done, number)
    if not samples:
        raise ValueError("train_epoch: there was no batch")
    return total / samples


def accuracy(model: Module, inputs: Any, labels: Any) -> float:
    """Return ``metrics.accuracy`` of ``model(inputs)``: the share of rows whose largest logit is that of the label."""
    from zkynet.train import metrics

    with no_grad():
        return metrics.accuracy(model(inputs), labels)
