"""Activations as layers: entry by entry, along an axis, and those with weights of their own.

They take and return arrays of any shape; the functions are those of ``op``, where their formulas and what they do at
kinks and infinities stand.
"""

from __future__ import annotations

from typing import Any

from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn.initializers import as_generator
from zkynet.nn.layer import filled, names_itself, number, positive, shown, size

# ---- entry by entry, nothing to set ----


class ReLU(Module):
    """max(x, 0), entry by entry; derivative 0 at 0."""

    def call(self, x: Any) -> Any:
        return op.relu(x)


class ReLU6(Module):
    """x held between 0 and 6; derivative 0 on both bounds."""

    def call(self, x: Any) -> Any:
        return op.relu6(x)


class SELU(Module):
    """A scaled ELU that keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017)."""

    def call(self, x: Any) -> Any:
        return op.selu(x)


class SiLU(Module):
    """x sigmoid(x), also called swish."""

    def call(self, x: Any) -> Any:
        return op.silu(x)


class Mish(Module):
    """x tanh(softplus(x)) (Misra 2019)."""

    def call(self, x: Any) -> Any:
        return op.mish(x)


class Softsign(Module):
    """x / (1 + |x|)."""

    def call(self, x: Any) -> Any:
        return op.soft_sign(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), without overflow."""

    def call(self, x: Any) -> Any:
        return op.sigmoid(x)


class LogSigmoid(Module):
    """log(sigmoid(x)), exact far out."""

    def call(self, x: Any) -> Any:
        return op.log_sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent, entry by entry."""

    def call(self, x: Any) -> Any:
        return op.tanh(x)


class Hardsigmoid(Module):
    """relu6(x + 3) / 6: a sigmoid of straight lines."""

    def call(self, x: Any) -> Any:
        return op.hard_sigmoid(x)


class Hardswish(Module):
    """x relu6(x + 3) / 6 (Howard et al. 2019)."""

    def call(self, x: Any) -> Any:
        return op.hard_swish(x)


# ---- entry by entry, with a setting ----


class LeakyReLU(Module):
    """x where it is above 0, else ``negative_slope`` x; at 0 the derivative is the negative slope."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = number("LeakyReLU", "negative_slope", negative_slope)

    def call(self, x: Any) -> Any:
        return op.leaky_relu(x, self.negative_slope)

    def __repr__(self) -> str:
        return shown(self, negative_slope=self.negative_slope)


class ELU(Module):
    """x where it is above 0, else ``alpha`` (exp(x) - 1) (Clevert et al. 2016)."""

    def __init__(self, alpha: float = 1.0):
        self.alpha = number("ELU", "alpha", alpha)

    def call(self, x: Any) -> Any:
        return op.elu(x, self.alpha)

    def __repr__(self) -> str:
        return shown(self, alpha=self.alpha)


class CELU(Module):
    """x where it is above 0, else ``alpha`` (exp(x / alpha) - 1), for alpha above 0 (Barron 2017)."""

    def __init__(self, alpha: float = 1.0):
        self.alpha = positive("CELU", "alpha", alpha)

    def call(self, x: Any) -> Any:
        return op.celu(x, self.alpha)

    def __repr__(self) -> str:
        return shown(self, alpha=self.alpha)


class GELU(Module):
    """x times the normal distribution function of x, or with ``approximate=True`` a tanh that is close to it.

    Hendrycks and Gimpel 2016.
    """

    def __init__(self, approximate: bool = False):
        if not isinstance(approximate, bool):
            raise TypeError(f"GELU: approximate is not a bool.\n  got:      {approximate!r}")
        self.approximate = approximate

    def call(self, x: Any) -> Any:
        return op.gelu(x, self.approximate)

    def __repr__(self) -> str:
        return shown(self, approximate=self.approximate)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta: a smooth ReLU, for beta above 0."""

    def __init__(self, beta: float = 1.0):
        self.beta = positive("Softplus", "beta", beta)

    def call(self, x: Any) -> Any:
        return op.softplus(x, self.beta)

    def __repr__(self) -> str:
        return shown(self, beta=self.beta)


class Hardtanh(Module):
    """x held between ``low`` and ``high``; derivative 1 on both bounds. ValueError where low is not below high."""

    def __init__(self, low: float = -1.0, high: float = 1.0):
        self.low, self.high = number("Hardtanh", "low", low), number("Hardtanh", "high", high)
        if not self.low < self.high:
            raise ValueError(f"Hardtanh: low is not below high.\n  got:      {low!r} and {high!r}")

    def call(self, x: Any) -> Any:
        return op.hard_tanh(x, self.low, self.high)

    def __repr__(self) -> str:
        return shown(self, low=self.low, high=self.high)


class RReLU(Module):
    """LeakyReLU with a random slope for each entry in training, uniform in [lower, upper), else with their mean.

    ``generator`` is a zk.Generator or an int seed (Xu et al. 2015).
    """

    def __init__(self, generator: Generator | int, lower: float = 1 / 8, upper: float = 1 / 3):
        self.generator = as_generator(generator)
        self.lower = number("RReLU", "lower", lower)
        self.upper = number("RReLU", "upper", upper, self.lower)

    def call(self, x: Any) -> Any:
        return op.rrelu(x, self.lower, self.upper, self.generator if self.training else None)

    def __repr__(self) -> str:
        return shown(self, lower=self.lower, upper=self.upper)


# ---- along an axis ----


class _AlongAxis(Module):
    """What works along one axis, the last unless said otherwise."""

    def __init__(self, axis: int = -1):
        self.axis = size(type(self).__name__, "axis", axis, None)

    def __repr__(self) -> str:
        return shown(self, axis=self.axis)


class Softmax(_AlongAxis):
    """exp(x) / sum(exp(x)) along ``axis``, without overflow. For a loss take logits instead: CrossEntropyLoss."""

    @names_itself
    def call(self, x: Any) -> Any:
        return op.softmax(x, self.axis)


class LogSoftmax(_AlongAxis):
    """log(softmax(x)) along ``axis``, exact far out."""

    @names_itself
    def call(self, x: Any) -> Any:
        return op.log_softmax(x, self.axis)


class GLU(_AlongAxis):
    """The first half of x along ``axis`` times the sigmoid of the second: half the size (Dauphin et al. 2017).

    ShapeError where the size is odd.
    """

    @names_itself
    def call(self, x: Any) -> Any:
        return op.glu(x, self.axis)


class SwiGLU(_AlongAxis):
    """silu of the first half of x along ``axis`` times the second: half the size (Shazeer 2020)."""

    @names_itself
    def call(self, x: Any) -> Any:
        return op.swiglu(x, self.axis)


class GEGLU(_AlongAxis):
    """gelu of the first half of x along ``axis`` times the second: half the size (Shazeer 2020)."""

    @names_itself
    def call(self, x: Any) -> Any:
        return op.geglu(x, self.axis)


class Maxout(Module):
    """The largest of each ``pool_size`` neighbours along ``axis``, which they divide (Goodfellow et al. 2013)."""

    def __init__(self, pool_size: int, axis: int = 1):
        self.pool_size, self.axis = size("Maxout", "pool_size", pool_size), size("Maxout", "axis", axis, None)

    @names_itself
    def call(self, x: Any) -> Any:
        return op.maxout(x, self.pool_size, self.axis)

    def __repr__(self) -> str:
        return shown(self, self.pool_size, axis=self.axis)


# ---- with a weight ----


class PReLU(Module):
    """LeakyReLU whose slope is trained: one for all entries, or with ``channels`` one for each of x (N, channels, *S).

    ``weight``, of shape () or (channels,), begins at ``start``, in ``dtype`` on the default backend (He et al. 2015).
    ShapeError for another number of channels.
    """

    def __init__(self, channels: int | None = None, *, start: float = 0.25, dtype: Any = "float32"):
        self.channels = None if channels is None else size("PReLU", "channels", channels)
        shape = () if self.channels is None else (self.channels,)
        self.weight = Parameter("weight", filled(shape, number("PReLU", "start", start), dtype))

    @names_itself
    def call(self, x: Any) -> Any:
        return op.prelu(x, self.weight)

    def __repr__(self) -> str:
        return shown(self) if self.channels is None else shown(self, self.channels)
