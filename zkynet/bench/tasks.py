"""What the tables of goals time: sizes, first weights and batches, the same numbers for every library.

A Task names its family, which ``by_zkynet``, ``by_torch`` and ``by_jax`` each know how to compute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RATE = 1e-7  # of timed steps, so small that thousands leave the numbers what they are: nothing underflows
REHEARSAL = {"sgd": 1e-2, "adam": 1e-3}  # the rates of the steps whose results are compared


class Task(NamedTuple):
    """One thing to compute. With an ``optimizer`` ("sgd", "adam") it is a training step, without one a function."""

    family: str
    sizes: dict[str, Any] = {}
    optimizer: str | None = None


def mlp(sizes=(784, 256, 128, 10), batch=32, optimizer: str | None = "adam") -> Task:
    """A network of linear layers with ReLUs between them, and the mean cross-entropy of ``batch`` rows."""
    return Task("mlp", {"sizes": list(sizes), "batch": batch}, optimizer)


def cnn(optimizer: str | None = "adam") -> Task:
    """Two convolutions by 3 x 3, of 16 and 32 channels, each with ReLU and a pool by 2, and a linear layer."""
    return Task("cnn", {"batch": 64, "pixels": 28, "classes": 10}, optimizer)


def conv() -> Task:
    """The mean square of a convolution and its gradients by kernel, bias and pictures."""
    return Task("conv", {"batch": 16, "channels": 64, "pixels": 32})


def lstm(optimizer: str | None = None) -> Task:
    """The mean square of what an LSTM puts out; without an optimizer its gradients by the weights."""
    return Task("lstm", {"batch": 32, "times": 64, "inputs": 32, "hidden": 128}, optimizer)


def transformer(batch=8, times=128, causal=True) -> Task:
    """A pre-norm transformer layer (gelu by tanh), its mean square distance from a target, Adam."""
    sizes = {"batch": batch, "times": times, "size": 128, "heads": 4, "hidden": 512, "causal": causal}
    return Task("transformer", sizes, "adam")


def adam() -> Task:
    """The update alone: 5 million parameters in 20 arrays, by gradients that are given."""
    return Task("adam", {"arrays": 20, "shape": [500, 500]}, "adam")


def data(task: Task) -> tuple[list[Any], tuple[Any, ...]]:
    """The weights, in the order and layout of zkynet's parameters, and the batch."""
    draw = _Draw(np.random.default_rng(0))
    return _DATA[task.family](draw, **task.sizes)


class _Draw(NamedTuple):
    rng: np.random.Generator

    def normal(self, *shape: int) -> Any:
        return self.rng.standard_normal(shape, dtype=np.float32)

    def weights(self, *shapes: tuple[int, ...]) -> list[Any]:
        return [np.float32(0.08) * self.normal(*shape) for shape in shapes]


def _mlp(draw, sizes, batch):
    weights = []
    for before, behind in zip(sizes, sizes[1:]):
        weights += [np.float32((2 / before) ** 0.5) * draw.normal(before, behind), *draw.weights((behind,))]
    return weights, (draw.normal(batch, sizes[0]), draw.rng.integers(0, sizes[-1], batch))


def _cnn(draw, batch, pixels, classes):
    shapes = (16, 1, 3, 3), (16,), (32, 16, 3, 3), (32,), (32 * (pixels // 4) ** 2, classes), (classes,)
    return draw.weights(*shapes), (draw.normal(batch, 1, pixels, pixels), draw.rng.integers(0, classes, batch))


def _conv(draw, batch, channels, pixels):
    weights = draw.weights((channels, channels, 3, 3), (channels,))
    return weights, (draw.normal(batch, channels, pixels, pixels),)


def _lstm(draw, batch, times, inputs, hidden):
    weights = draw.weights((inputs, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,))
    return weights, (draw.normal(times, batch, inputs),)


def _transformer(draw, batch, times, size, heads, hidden, causal):
    attention = (size, 3 * size), (3 * size,), (size, size), (size,)
    norms = [np.ones(size, np.float32), np.zeros(size, np.float32)] * 2
    weights = draw.weights(*attention, (size, hidden), (hidden,), (hidden, size), (size,)) + norms
    return weights, (draw.normal(batch, times, size), draw.normal(batch, times, size))


def _adam(draw, arrays, shape):
    return draw.weights(*[tuple(shape)] * arrays), tuple(draw.weights(*[tuple(shape)] * arrays))


_DATA: dict[str, Callable[..., Any]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "conv": _conv,
    "lstm": _lstm,
    "transformer": _transformer,
    "adam": _adam,
}


# ---- functions without weights ----

NUMBERS = 3.0, 2.0  # x and w of the scalar function
LENGTH, FACTOR = 1_000, 1.001


def cubic(x: Any, w: Any) -> Any:
    """(x + w) x^2."""
    return (x + w) * x**2


def chain(x: Any) -> Any:
    """x times a number, 1,000 times."""
    for _ in range(LENGTH):
        x = x * FACTOR
    return x


def vector() -> Any:
    """What the chain begins with."""
    return np.linspace(0.5, 1.5, 10, dtype=np.float32)
