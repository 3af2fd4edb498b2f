"""Convolutional networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework.computation_graph import Generator
from zkynet.nn.dropout import Dropout

KERNEL = 3


def cnn(
    picture: Sequence[int] = (1, 8, 8),
    convolutions: Sequence[Sequence[int]] = ((16, 1, 1), (32, 1, 0), (32, 2, 1)),
    hidden: int = 64,
    classes: int = 10,
    seed: Generator | int = 0,
    *,
    dropout: float = 0.0,
    init: nn.initializers.Initializer = nn.he_normal,
    dtype: Any = "float32",
) -> nn.Sequential:
    """Return a convolutional network: from (N, ...), samples that hold a ``picture``, to logits (N, classes).

    ``picture`` is (channels, height, width); samples may come as rows of numbers. Each of ``convolutions`` is (outputs,
    stride, padding) of one with 3 x 3 kernels; behind them stand a hidden layer and the output layer, and a ReLU behind
    all but the last. ``dropout`` is the rate at which hidden units are dropped in training; of what the hidden layer
    sees half that rate. The weights are drawn from ``seed`` with ``init``: the same numbers on every backend; biases
    begin at zero. All parameters have ``dtype``. ValueError for sizes below 1; ShapeError, a ValueError, where the
    kernels do not fit into what is left of the picture.
    """
    generator = nn.as_generator(seed)
    channels, height, width = picture
    layers: list[Callable] = [nn.Reshape(channels, height, width)]
    for outputs, stride, padding in convolutions:
        conv = nn.Conv2d(channels, outputs, KERNEL, generator, stride=stride, padding=padding, init=init, dtype=dtype)
        layers += [conv, nn.ReLU()]
        channels = outputs
        height, width = (_smaller(size, stride, padding, picture) for size in (height, width))
    inputs = math.prod((channels, height, width))
    drops: list[Callable] = [Dropout(rate, generator) for rate in (dropout / 2, dropout)] if dropout else []
    layers += [nn.Flatten(), *drops[:1], nn.Linear(inputs, hidden, generator, init=init, dtype=dtype), nn.ReLU()]
    output = nn.Linear(hidden, classes, generator, init=init, dtype=dtype)
    return nn.Sequential(*layers, *drops[1:], output)


def _smaller(size: int, stride: int, padding: int, picture: Sequence[int]) -> int:
    if size + 2 * padding < KERNEL:
        raise ShapeError(
            f"cnn: too little is left of the picture for a convolution.\n"
            f"  got:      {size} points with padding {padding}, of a picture of shape {tuple(picture)}\n"
            f"  expected: at least {KERNEL}"
        )
    return (size + 2 * padding - KERNEL) // stride + 1
