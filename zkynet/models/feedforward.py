"""Feed-forward networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zkynet import nn
from zkynet.framework.computation_graph import Generator


def fcn(
    sizes: Sequence[int],
    activation: Callable[[], Callable] = nn.ReLU,
    seed: Generator | int = 0,
    *,
    init: nn.initializers.Initializer | None = None,
    dtype: Any = "float32",
) -> nn.Sequential:
    """Return a fully connected network: ``fcn((64, 128, 10))`` maps (..., 64) over 128 hidden units to (..., 10).

    Between two Linear layers stands what ``activation()`` makes; behind the last one nothing, so a classifier gives
    logits. The weights are drawn from ``seed``, an int or a zk.Generator: the same numbers on every backend. Unless
    given, ``init`` is he_normal for ReLU and glorot_uniform for any other activation; biases begin at zero. All
    parameters have ``dtype``. ValueError for fewer than two sizes, or a size below 1.
    """
    sizes = tuple(sizes)
    if len(sizes) < 2:
        raise ValueError(f"fcn: there is no layer to make.\n  got:      sizes {sizes}\n  expected: at least two")
    generator = nn.as_generator(seed)
    init = init or (nn.he_normal if activation is nn.ReLU else nn.glorot_uniform)
    layers: list[Callable] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(inputs, outputs, generator, init=init, dtype=dtype), activation()]
    return nn.Sequential(*layers[:-1])
