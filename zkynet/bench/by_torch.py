"""The tasks by torch, eager."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from zkynet.bench import jacobians, tasks
from zkynet.bench.networks import import_torch
from zkynet.bench.tasks import Task


def make(task: Task, rate: float) -> Callable[[], Any]:
    """A function that does the task once, with the results of ``by_zkynet.make``."""
    torch = import_torch()
    if task.family in _FUNCTIONS:
        return _FUNCTIONS[task.family](torch)
    if task.family in jacobians.TITLES:
        return jacobians.with_torch(task.family)
    weights, arrays = tasks.data(task)
    batch = [torch.tensor(array) for array in arrays]
    if task.family == "adam":
        return _adam(torch, task, rate, weights, batch)
    model, loss = _MODELS[task.family](torch, **task.sizes)
    if task.family == "lstm":
        weights = [*weights, np.zeros_like(weights[-1])]  # torch's second bias
    with torch.no_grad():
        for parameter, w in zip(model.parameters(), weights, strict=True):
            parameter.copy_(_own_layout(torch.tensor(w)))
    if task.optimizer is None:
        return _gradients(task, model, partial(loss, model), batch)
    optimizer = _optimizer(torch, task, model.parameters(), rate)

    def step():
        optimizer.zero_grad()
        value = loss(model, *batch)
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def _own_layout(w):
    """Of a linear layer's weights, or their gradients: torch keeps them transposed."""
    return w.T if w.ndim == 2 else w


def _gradients(task, model, loss, batch):
    leaves = [each for each in model.parameters() if each.requires_grad]
    if task.family == "conv":
        leaves.append(batch[0].requires_grad_())

    def run():
        for each in leaves:
            each.grad = None
        value = loss(*batch)
        value.backward()
        return value.detach(), [_own_layout(each.grad) for each in leaves]

    return run


def _optimizer(torch, task, parameters, rate):
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[task.optimizer](parameters, rate)


def _adam(torch, task, rate, weights, grads):
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    for parameter, g in zip(parameters, grads, strict=True):
        parameter.grad = g
    optimizer = _optimizer(torch, task, parameters, rate)

    def run():
        optimizer.step()
        return parameters[0].detach()

    return run


# ---- models, and losses of a model and a batch ----


def _mlp(torch, sizes, batch):
    layers = [each for a, b in zip(sizes, sizes[1:]) for each in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers[:-1]), _classify(torch)


def _classify(torch):
    return lambda model, x, labels: torch.nn.functional.cross_entropy(model(x), labels)


def _cnn(torch, batch, pixels, classes):
    nn = torch.nn
    first = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    model = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * (pixels // 4) ** 2, classes))
    return model, _classify(torch)


def _conv(torch, batch, channels, pixels):
    return torch.nn.Conv2d(channels, channels, 3, padding=1), lambda model, x: model(x).square().mean()


def _lstm(torch, batch, times, inputs, hidden):
    model = torch.nn.LSTM(inputs, hidden)
    model.bias_hh_l0.requires_grad_(False)  # the other bias, to which it is added, is trained
    return model, lambda model, x: model(x)[0].square().mean()


def _transformer(torch, batch, times, size, heads, hidden, causal):
    functional = torch.nn.functional
    gelu = partial(functional.gelu, approximate="tanh")
    model = torch.nn.TransformerEncoderLayer(
        size, heads, hidden, dropout=0.0, activation=gelu, norm_first=True, batch_first=True
    )
    mask = torch.nn.Transformer.generate_square_subsequent_mask(times) if causal else None
    return model, lambda model, x, y: functional.mse_loss(model(x, src_mask=mask, is_causal=causal), y)


_MODELS: dict[str, Callable[..., Any]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "conv": _conv,
    "lstm": _lstm,
    "transformer": _transformer,
}


# ---- functions without weights ----


def _scalar(torch):
    x, w = (torch.tensor(number, requires_grad=True) for number in tasks.NUMBERS)

    def run():
        y = tasks.cubic(x, w)
        return y.detach(), torch.autograd.grad(y, (x, w))

    return run


def _chain(torch):
    x = torch.tensor(tasks.vector(), requires_grad=True)
    return lambda: torch.autograd.grad(tasks.chain(x).sum(), x)[0]


_FUNCTIONS = {"scalar": _scalar, "chain": _chain}
