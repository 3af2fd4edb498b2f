"""How weights begin. The same seed gives the same numbers on every backend: they are drawn on the host, then moved.

An initializer is a function of (shape, generator, dtype, fans) that returns an array of the default backend. What else
it takes is set beforehand, ``init=functools.partial(truncated_normal, std=0.02)``. ``fans`` is (fan_in, fan_out): how
many numbers a sum in the layer adds up, and in how many sums an input stands; by default the shape itself, which is
then (inputs, outputs). Numbers are drawn in double precision and rounded to ``dtype``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from zkynet import backends
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator

Initializer = Callable[..., Any]  # (shape, generator, dtype=..., fans=...) -> array of the default backend
Seed = Generator | int | None  # None where nothing is drawn
Fans = tuple[int, int] | None


def as_generator(seed: Seed) -> Generator:
    """Return ``seed`` as a Generator: itself, or a fresh one of an int. TypeError for anything else."""
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, int) and not isinstance(seed, bool):
        return Generator(seed)
    raise TypeError(
        f"random numbers need a generator.\n  got:      {seed!r}\n  expected: a zk.Generator, or an int as its seed\n"
        "One generator can serve a whole model: every draw moves it on."
    )


# ---- by the fans: signals keep their size from layer to layer ----


def glorot_uniform(shape: Sequence[int], generator: Seed, dtype: Any = "float32", fans: Fans = None) -> Any:
    """Return an array of ``shape`` and ``dtype``, uniform in [-a, a) with a = sqrt(6 / (fan_in + fan_out)).

    The variance of signals and gradients stays from layer to layer where the activation is close to the identity at 0,
    as tanh is (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
    2010, eq. 16).
    """
    return _within(math.sqrt(6 / _fan_sum(shape, fans)), shape, generator, dtype)


def glorot_normal(shape: Sequence[int], generator: Seed, dtype: Any = "float32", fans: Fans = None) -> Any:
    """Normal numbers of mean 0 and variance 2 / (fan_in + fan_out): that of ``glorot_uniform``."""
    return _spread(math.sqrt(2 / _fan_sum(shape, fans)), shape, generator, dtype)


def he_uniform(shape: Sequence[int], generator: Seed, dtype: Any = "float32", fans: Fans = None) -> Any:
    """Numbers uniform in [-a, a) with a = sqrt(6 / fan_in): of the variance of ``he_normal``."""
    return _within(math.sqrt(6 / _fan_in(shape, fans)), shape, generator, dtype)


def he_normal(shape: Sequence[int], generator: Seed, dtype: Any = "float32", fans: Fans = None) -> Any:
    """Return an array of ``shape`` and ``dtype``, normal with mean 0 and standard deviation sqrt(2 / fan_in).

    For layers in front of a ReLU, which halves the second moment of what it passes on (He, Zhang, Ren, Sun, "Delving
    deep into rectifiers", ICCV 2015, eq. 10).
    """
    return _spread(math.sqrt(2 / _fan_in(shape, fans)), shape, generator, dtype)


def lecun_uniform(shape: Sequence[int], generator: Seed, dtype: Any = "float32", fans: Fans = None) -> Any:
    """Numbers uniform in [-a, a) with a = sqrt(3 / fan_in): of the variance of ``lecun_normal``."""
    return _within(math.sqrt(3 / _fan_in(shape, fans)), shape, generator, dtype)


def lecun_normal(shape: Sequence[int], generator: Seed, dtype: Any = "float32", fans: Fans = None) -> Any:
    """Normal numbers of mean 0 and variance 1 / fan_in: a sum of inputs of variance 1 has variance 1.

    Not truncated. For selu, and for layers without an activation (LeCun, Bottou, Orr, Mueller, "Efficient BackProp",
    1998, section 4.6).
    """
    return _spread(math.sqrt(1 / _fan_in(shape, fans)), shape, generator, dtype)


def orthogonal(
    shape: Sequence[int], generator: Seed, dtype: Any = "float32", fans: Fans = None, *, gain: float = 1.0
) -> Any:
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer; the fans play no part.

    A kernel is a matrix of its first axis by all the others. All rotations are equally likely: the Q of normal numbers,
    with the signs of R's diagonal (Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014). ShapeError for fewer than two axes.
    """
    if len(shape) < 2:
        raise ShapeError(f"orthogonal: needs at least two axes.\n  got:      {tuple(shape)}")
    rows, columns = shape[0], math.prod(shape[1:])

    def draw() -> Any:
        q, r = op.qr(as_generator(generator).normal((max(rows, columns), min(rows, columns))))
        q = q * op.where(op.diag(r) < 0, -1.0, 1.0)
        return op.reshape(op.matrix_transpose(q) if rows < columns else q, tuple(shape)) * gain

    return _drawn(dtype, draw)


# ---- of given spread ----


def normal(
    shape: Sequence[int],
    generator: Seed,
    dtype: Any = "float32",
    fans: Fans = None,
    *,
    mean: float = 0.0,
    std: float = 1.0,
) -> Any:
    """Normal numbers of this mean and standard deviation; the fans play no part."""
    return _drawn(dtype, lambda: as_generator(generator).normal(shape) * std + mean)


def truncated_normal(
    shape: Sequence[int],
    generator: Seed,
    dtype: Any = "float32",
    fans: Fans = None,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    low: float = -2.0,
    high: float = 2.0,
) -> Any:
    """Normal numbers given that they lie in [mean + low std, mean + high std]; the fans play no part.

    ``low`` and ``high`` count standard deviations. ``std`` is that of the normal distribution before it is cut: between
    -2 and 2 what is left has 0.88 of it.
    """
    return _drawn(dtype, lambda: as_generator(generator).truncated_normal(shape, low=low, high=high) * std + mean)


def uniform(
    shape: Sequence[int],
    generator: Seed,
    dtype: Any = "float32",
    fans: Fans = None,
    *,
    low: float = -1.0,
    high: float = 1.0,
) -> Any:
    """Numbers uniform in [low, high); the fans play no part. ValueError where ``low`` is not below ``high``."""
    if not low < high:
        raise ValueError(f"uniform: low is not below high.\n  got:      {low} and {high}")
    return _drawn(dtype, lambda: as_generator(generator).uniform(shape) * (high - low) + low)


# ---- nothing drawn ----


def constant(
    shape: Sequence[int], generator: Seed = None, dtype: Any = "float32", fans: Fans = None, *, value: float
) -> Any:
    """``value`` everywhere; nothing is drawn."""
    xp = backends.default_backend()
    return xp.full(tuple(shape), value, dtype=xp.dtype(dtype))


def zeros(shape: Sequence[int], generator: Seed = None, dtype: Any = "float32", fans: Fans = None) -> Any:
    """0 everywhere; nothing is drawn."""
    return constant(shape, dtype=dtype, value=0)


def ones(shape: Sequence[int], generator: Seed = None, dtype: Any = "float32", fans: Fans = None) -> Any:
    """1 everywhere; nothing is drawn."""
    return constant(shape, dtype=dtype, value=1)


def identity(shape: Sequence[int], generator: Seed = None, dtype: Any = "float32", fans: Fans = None) -> Any:
    """A matrix with 1 on the diagonal and 0 elsewhere; nothing is drawn. ShapeError where there are not two axes."""
    if len(shape) != 2:
        raise ShapeError(f"identity: a matrix has two axes.\n  got:      {tuple(shape)}")
    xp = backends.default_backend()
    return xp.eye(shape[0], shape[1], dtype=xp.dtype(dtype))


def _within(limit: float, shape: Sequence[int], generator: Seed, dtype: Any) -> Any:
    return _drawn(dtype, lambda: as_generator(generator).uniform(shape) * (2 * limit) - limit)


def _spread(deviation: float, shape: Sequence[int], generator: Seed, dtype: Any) -> Any:
    return _drawn(dtype, lambda: as_generator(generator).normal(shape) * deviation)


def _fan_in(shape: Sequence[int], fans: Fans) -> int:
    return max(1, (fans or _fans(shape))[0])


def _fan_sum(shape: Sequence[int], fans: Fans) -> int:
    return max(1, sum(fans or _fans(shape)))


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) != 2:
        raise ShapeError(
            f"cannot tell fan_in and fan_out from the shape.\n  got:      {tuple(shape)}\n"
            f"  expected: (inputs, outputs), or fans=(fan_in, fan_out)"
        )
    return shape[0], shape[1]


def _drawn(dtype: Any, draw: Callable) -> Any:
    """What ``draw()`` gives in double precision on the host, as an array of the default backend."""
    target = backends.default_backend()
    with backends.use_backend("numpy"):
        numbers = op.asarray(draw()).value
    return target.asarray(numbers, dtype=target.dtype(dtype))
