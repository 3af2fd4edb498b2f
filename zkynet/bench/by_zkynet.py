"""The tasks by zkynet: eager, in graph mode, and on JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from zkynet.bench import jacobians, tasks
from zkynet.bench.tasks import Task


def make(task: Task, rate: float, graph: bool = False, backend: str = "numpy") -> Callable[[], Any]:
    """A function that does the task once: a training step gives the loss, a function what it computes.

    ``graph``: by ``zk.compile``; without it steps on JAX are compiled by ``zk.train.compiled_step``.
    """
    import zkynet as zk

    if task.family == "adam":
        return _adam(task, rate, graph)
    if task.family in _FUNCTIONS:
        f, args = _FUNCTIONS[task.family]()
    elif task.family in jacobians.TITLES:
        f, args = jacobians.zkynet_function(task.family)
    else:
        f, args = _step(task, rate, zk.backends.get(backend), compiled=backend == "jax" and not graph)
    if graph:
        f = zk.compile(f)
    if backend == "numpy":
        return partial(f, *args)
    synchronize = zk.backends.get(backend).synchronize
    return lambda: synchronize(f(*args))


def _scalar():
    import zkynet as zk

    return zk.value_and_grad(tasks.cubic, argnums=(0, 1)), tasks.NUMBERS


def _chain():
    import zkynet as zk
    from zkynet.framework import op

    return zk.grad(lambda x: op.sum(tasks.chain(x))), (tasks.vector(),)


_FUNCTIONS = {"scalar": _scalar, "chain": _chain}


# ---- training steps ----


def _step(task, rate, xp, compiled):
    """The function that makes a step, and its batch."""
    import zkynet as zk

    weights, batch = tasks.data(task)
    model, loss = _MODELS[task.family](**task.sizes)
    model.to(xp)
    for parameter, w in zip(model.parameters(), weights, strict=True):
        parameter.value = xp.asarray(w)
    batch = [xp.asarray(array) for array in batch]
    for array in batch:
        if hasattr(array, "flags"):
            array.flags.writeable = False  # as zkynet.data gives batches
    if task.optimizer is None:
        argnums = (0, 1) if task.family == "conv" else 0
        loss_and_grads = zk.value_and_grad(loss, argnums)
        return lambda *batch: loss_and_grads(model, *batch), batch
    optimizer = _optimizer(task, rate)
    if compiled:
        return zk.train.compiled_step(model, optimizer, loss), batch
    loss_and_grads = zk.value_and_grad(loss)

    def step(*batch):
        value, grads = loss_and_grads(model, *batch)
        optimizer.update(model, grads)
        return value

    return step, batch


def _optimizer(task, rate):
    from zkynet import optim

    return {"sgd": optim.SGD, "adam": optim.Adam}[task.optimizer](rate)


def _classify(model, x, labels):
    from zkynet.framework import op

    return op.softmax_cross_entropy(model(x), labels)


def _mean_square(y):
    from zkynet.framework import op

    return op.mean(op.square(y))


def _mlp(sizes, batch):
    from zkynet import nn

    layers = [each for a, b in zip(sizes, sizes[1:]) for each in (nn.Linear(a, b, 0), nn.ReLU())]
    return nn.Sequential(*layers[:-1]), _classify


def _cnn(batch, pixels, classes):
    from zkynet import nn

    first = nn.Conv2d(1, 16, 3, 0, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(16, 32, 3, 0, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * (pixels // 4) ** 2, classes, 0)), _classify


def _conv(batch, channels, pixels):
    from zkynet import nn

    return nn.Conv2d(channels, channels, 3, 0, padding=1), lambda model, x: _mean_square(model(x))


def _lstm(batch, times, inputs, hidden):
    from zkynet import nn

    return nn.LSTM(inputs, hidden, 0, time_first=True), lambda model, x: _mean_square(model(x)[0])


def _transformer(batch, times, size, heads, hidden, causal):
    from zkynet import nn
    from zkynet.framework import op

    model = nn.TransformerEncoderLayer(size, heads, 0, hidden=hidden, activation="gelu_tanh")
    return model, lambda model, x, y: _mean_square(op.subtract(model(x, causal=causal), y))


_MODELS = {"mlp": _mlp, "cnn": _cnn, "conv": _conv, "lstm": _lstm, "transformer": _transformer}


def _adam(task, rate, graph):
    import zkynet as zk

    weights, grads = tasks.data(task)

    class Model(zk.Module):
        def __init__(self):
            for i, w in enumerate(weights):
                setattr(self, f"w{i}", zk.Parameter(f"w{i}", w))

    model, optimizer = Model(), _optimizer(task, rate)
    named = dict(zip(model.trainable_parameters(), grads, strict=True))
    update = partial(optimizer.update, model)
    if graph:
        update = zk.compile(update)

    def run():
        update(named)
        return model.w0.value

    return run
