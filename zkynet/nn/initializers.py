"""How weights begin. The same seed gives the same numbers on every backend: they are drawn on the host, then moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from zkynet import backends
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator

Initializer = Callable[..., Any]  # (shape, generator, dtype=..., fans=...) -> array of the default backend


def as_generator(seed: Generator | int) -> Generator:
    """Return ``seed`` as a Generator: itself, or a fresh one of an int. TypeError for anything else."""
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, int) and not isinstance(seed, bool):
        return Generator(seed)
    raise TypeError(
        f"random numbers need a generator.\n  got:      {seed!r}\n  expected: a zk.Generator, or an int as its seed\n"
        "One generator can serve a whole model: every draw moves it on."
    )


def glorot_uniform(
    shape: Sequence[int], generator: Generator | int, dtype: Any = "float32", fans: tuple[int, int] | None = None
) -> Any:
    """Return an array of ``shape`` and ``dtype``, uniform in [-a, a) with a = sqrt(6 / (fan_in + fan_out)).

    ``fans`` is (fan_in, fan_out); by default the shape itself, which is then (inputs, outputs). The variance of signals
    and gradients stays from layer to layer where the activation is close to the identity at 0, as tanh is (Glorot and
    Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010, eq. 16).
    """
    fan_in, fan_out = fans or _fans(shape)
    limit = math.sqrt(6 / max(1, fan_in + fan_out))
    return _drawn(shape, dtype, lambda: as_generator(generator).uniform(shape) * (2 * limit) - limit)


def he_normal(
    shape: Sequence[int], generator: Generator | int, dtype: Any = "float32", fans: tuple[int, int] | None = None
) -> Any:
    """Return an array of ``shape`` and ``dtype``, normal with mean 0 and standard deviation sqrt(2 / fan_in).

    ``fans`` as in glorot_uniform. For layers in front of a ReLU, which halves the second moment of what it passes on
    (He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10).
    """
    fan_in, _ = fans or _fans(shape)
    deviation = math.sqrt(2 / max(1, fan_in))
    return _drawn(shape, dtype, lambda: as_generator(generator).normal(shape) * deviation)


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) != 2:
        raise ShapeError(
            f"cannot tell fan_in and fan_out from the shape.\n  got:      {tuple(shape)}\n"
            f"  expected: (inputs, outputs), or fans=(fan_in, fan_out)"
        )
    return shape[0], shape[1]


def _drawn(shape: Sequence[int], dtype: Any, draw: Callable) -> Any:
    """What ``draw()`` gives in double precision on the host, as an array of the default backend."""
    target = backends.default_backend()
    with backends.use_backend("numpy"):
        numbers = op.asarray(draw()).value
    return target.asarray(numbers, dtype=target.dtype(dtype))
