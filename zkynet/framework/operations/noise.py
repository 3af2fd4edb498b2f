"""Noise from explicit generators: dropout and its kin, and samples that parameters reach by a gradient."""

import math

from zkynet.backends.errors import ShapeError

from ..axes import normalize_axis, size_of
from ..record import PYTHON_NUMBERS, Tensor, kind_of, operand, shape_of, tensor_of
from .activation import softmax
from .comparison import equal
from .constants import backend_of
from .control import argmax
from .cotangents import straight_through
from .elementwise import add, astype, divide, multiply, select, where
from .exponential import exp
from .linalg import linear
from .random import Generator
from .shape import expand_dims, reshape

ALPHA = -1.7580993408473766  # what selu tends to: -scale * alpha


def kept(who, x, rate, generator, shape=None):
    """Which entries of an array of ``shape`` (x's unless given) stay: each with probability 1 - rate."""
    if not 0 <= rate < 1:
        raise ValueError(f"{who}: rate must be in [0, 1), got {rate!r}")
    if not isinstance(generator, Generator):
        raise TypeError(f"{who}: needs an explicit zkynet Generator, got {type(generator).__name__}")
    if kind_of(x) not in ("real", "complex"):
        raise TypeError(f"{who}: needs a floating-point array")
    xp = backend_of(x)
    shape = shape_of(x) if shape is None else shape
    mask = xp.reshape(xp.uniform(generator.bits(xp, size_of(shape)), xp.float64), shape) >= rate
    return bool(mask) if type(operand(x)[0]) in PYTHON_NUMBERS else mask  # a number stays weak


def dropout(x, rate, generator) -> Tensor:
    """x with entries set to 0 with probability ``rate``, the others divided by 1 - ``rate`` (inverted dropout)."""
    mask = kept("dropout", x, rate, generator)
    return multiply(select(mask, x), 1 / (1 - rate))


def feature_dropout(x, rate, generator) -> Tensor:
    """``dropout`` of whole channels of x (N, C, ...)."""
    mask = kept("feature_dropout", x, rate, generator, _features("feature_dropout", x))
    return multiply(select(mask, x), 1 / (1 - rate))


def alpha_dropout(x, rate, generator) -> Tensor:
    """x with entries set to what selu tends to with probability ``rate``, scaled so that mean and variance stay.

    For standard normal x. Klambauer et al., Self-normalizing neural networks, 2017.
    """
    return _towards_alpha(kept("alpha_dropout", x, rate, generator), x, rate)


def feature_alpha_dropout(x, rate, generator) -> Tensor:
    """``alpha_dropout`` of whole channels of x (N, C, ...)."""
    mask = kept("feature_alpha_dropout", x, rate, generator, _features("feature_alpha_dropout", x))
    return _towards_alpha(mask, x, rate)


def _towards_alpha(mask, x, rate):
    slope = 1 / math.sqrt((1 - rate) * (1 + rate * ALPHA * ALPHA))
    return add(multiply(where(mask, x, ALPHA), slope), -slope * rate * ALPHA)


def _features(who, x):
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(f"{who}: needs x (N, C, ...), got shape {shape}")
    return shape[:2] + (1,) * (len(shape) - 2)


def dropconnect(x, weight, bias=None, *, rate, generator) -> Tensor:
    """``linear`` with weights set to 0 with probability ``rate``, others divided by 1 - ``rate``. Wan et al. 2013."""
    mask = kept("dropconnect", weight, rate, generator)
    return linear(x, multiply(select(mask, weight), 1 / (1 - rate)), bias)


def zoneout(old, new, rate, generator) -> Tensor:
    """``new`` with entries replaced by those of ``old`` with probability ``rate``. Krueger et al. 2017."""
    if shape_of(old) != shape_of(new):
        raise ShapeError(f"zoneout: shapes differ: old {shape_of(old)}, new {shape_of(new)}")
    return where(kept("zoneout", new, rate, generator), new, old)


def gaussian(mean, log_variance, generator) -> Tensor:
    """Normal numbers mean + exp(log_variance / 2) * z with z drawn from ``generator``: gradients reach both."""
    if shape_of(mean) != shape_of(log_variance):
        raise ShapeError(f"gaussian: shapes differ: mean {shape_of(mean)}, log_variance {shape_of(log_variance)}")
    return add(mean, multiply(exp(multiply(log_variance, 0.5)), _noise("gaussian", mean, generator, _normal)))


def gumbel_softmax(logits, generator, *, temperature=1.0, hard=False, axis=-1) -> Tensor:
    """softmax((logits + Gumbel noise) / temperature) over ``axis``: a soft sample of the classes.

    ``hard``: the value is one-hot, the gradient that of the soft sample. Jang et al. 2017, Maddison et al. 2017.
    """
    noise = _noise("gumbel_softmax", logits, generator, lambda xp, shape, g: -xp.log(g._exponential(xp, shape)))
    soft = softmax(divide(add(logits, noise), temperature), axis)
    if not hard:
        return soft
    axis = normalize_axis(axis, len(shape_of(soft)), "gumbel_softmax")
    value = operand(soft)[0]
    xp = backend_of(soft)
    n = shape_of(soft)[axis]
    classes = reshape(tensor_of(xp.arange(n)), (n,) + (1,) * (-axis - 1))
    best = astype(equal(expand_dims(argmax(soft, axis), axis), classes), value.dtype)
    return straight_through(best, soft)


def _normal(xp, shape, generator):
    count = size_of(shape)
    return xp.reshape(xp.normal(generator.bits(xp, count + count % 2), xp.float64)[:count], shape)


def _noise(who, x, generator, draw):
    """Numbers of x's shape and dtype, drawn in double precision on its backend."""
    if not isinstance(generator, Generator):
        raise TypeError(f"{who}: needs an explicit zkynet Generator, got {type(generator).__name__}")
    if kind_of(x) != "real":
        raise TypeError(f"{who}: needs a real floating-point array")
    value, xp = operand(x)[0], backend_of(x)
    drawn = draw(xp, shape_of(x), generator)
    return float(drawn) if type(value) in PYTHON_NUMBERS else tensor_of(xp.astype(drawn, value.dtype))
