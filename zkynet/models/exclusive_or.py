"""The smallest network that a line cannot replace: exclusive or."""

from __future__ import annotations

from typing import Any

from zkynet import nn
from zkynet.framework.computation_graph import Generator


def xor(seed: Generator | int | None = None, *, dtype: Any = "float32") -> nn.Sequential:
    """Return a network from two numbers (N, 2) to one (N, 1) that is their exclusive or on zeros and ones.

    max(0, x W + c) w + b with the weights of Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.1: W =
    [[1, 1], [1, 1]], c = [0, -1], w = [1, -2], b = 0: exactly 0, 1, 1, 0. With a ``seed`` the weights are drawn from it
    instead, for a network of 8 hidden units with tanh, which has yet to learn it.
    """
    if seed is None:
        hidden = nn.Linear([[1.0, 1.0], [1.0, 1.0]], [0.0, -1.0], dtype=dtype)
        return nn.Sequential(hidden, nn.ReLU(), nn.Linear([[1.0], [-2.0]], [0.0], dtype=dtype))
    generator = nn.as_generator(seed)
    return nn.Sequential(nn.Linear(2, 8, generator, dtype=dtype), nn.Tanh(), nn.Linear(8, 1, generator, dtype=dtype))
