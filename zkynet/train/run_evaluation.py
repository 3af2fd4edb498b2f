"""How a model does on data that it is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zkynet.framework import pytree
from zkynet.framework.computation_graph import Module, Tensor, no_grad
from zkynet.framework.record import value_of
from zkynet.train.run_feed import as_batch, looks_like_arrays, samples_of

ROWS = 1024  # of arrays that are evaluated at once


def forward_of(model: Module, loss: Callable[..., Any], metrics: Mapping[str, Any]) -> Callable[..., tuple]:
    """A function of a batch that gives the loss and, where there are metrics, the model's outputs, without handles."""
    with_outputs = bool(metrics)

    def forward(*batch: Any) -> tuple[Any, Any]:
        value = value_of(loss(model, *batch))
        return value, _plain(model(batch[0])) if with_outputs else None

    return forward


def evaluated(
    model: Module,
    forward: Callable[..., tuple],
    metrics: Mapping[str, Any],
    source: Any,
    after_batch: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """The mean loss over the samples of ``source`` and the Metrics, by name, with the model in evaluation mode.

    ``forward`` is what ``forward_of`` gives. Behind it the modes of the modules, and the epoch that batches stand at,
    are what they were: every evaluation meets the same order. ``after_batch()`` is called after each batch. ValueError
    where there is no batch.
    """
    total, count = 0.0, 0
    for metric in metrics.values():
        metric.reset()
    with _in_evaluation(model), _at_its_epoch(source), no_grad():
        for number, batch in enumerate(_in_pieces(source), start=1):
            batch = as_batch(batch, number)
            samples = samples_of(batch, number)
            value, outputs = forward(*batch)
            total += float(value) * samples
            count += samples
            for metric in metrics.values():
                metric.update(outputs, batch[-1])
            after_batch()
    if not count:
        raise ValueError(
            "there is no batch to evaluate the model on.\n"
            "  expected: batches, or arrays with at least one sample; an iterator is used up after one pass"
        )
    return {"loss": total / count, **{name: metric.value() for name, metric in metrics.items()}}


def _in_pieces(source: Any) -> Iterable[Any]:
    """The batches of ``source``; arrays are cut into pieces, so that what is computed of them fits into memory."""
    if not looks_like_arrays(source):
        return source
    arrays = source if isinstance(source, (tuple, list)) else (source,)
    return (tuple([x[i : i + ROWS] for x in arrays]) for i in range(0, len(arrays[0]), ROWS))


def _plain(outputs: Any) -> Any:
    """Outputs without their handles: arrays."""
    if isinstance(outputs, Tensor):
        return value_of(outputs)
    return pytree.map_tree(lambda x: value_of(x) if isinstance(x, Tensor) else x, outputs)


@contextmanager
def _in_evaluation(model: Module) -> Iterator[None]:
    """A block in which nothing of the model is in training; behind it each module is in the mode that it was in."""
    modules = [model, *model.named_modules().values()]
    modes = [each.training for each in modules]
    model.eval()
    try:
        yield
    finally:
        for each, mode in zip(modules, modes, strict=True):
            each.training = mode


@contextmanager
def _at_its_epoch(source: Any) -> Iterator[None]:
    epoch = getattr(source, "epoch", None)
    try:
        yield
    finally:
        if isinstance(epoch, int):
            source.epoch = epoch
