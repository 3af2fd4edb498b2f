"""What distributions share: parameters, support, location and scale, frozen distributions."""

import math
from typing import Any

from zkynet.framework import op
from zkynet.framework.axes import broadcast_shapes
from zkynet.framework.computation_graph import Generator, Tensor

TINY = 2.0**-54


class Distribution:
    """A family of distributions: ``parameters`` in the order of its methods' arguments behind x, with ``defaults``.

    Called with parameters it gives a ``Frozen`` distribution, whose methods take x alone.
    """

    name = ""
    parameters: tuple[str, ...] = ()
    defaults: dict[str, Any] = {}

    def bind(self, values: tuple, named: dict) -> tuple:
        """The parameters in order; TypeError for one that is missing, unknown, or given twice."""
        given = dict(zip(self.parameters, values, strict=False))
        unknown = [n for n in named if n not in self.parameters]
        twice = [n for n in named if n in given]
        given.update(named)
        missing = [n for n in self.parameters if n not in given and n not in self.defaults]
        if len(values) > len(self.parameters) or unknown or twice or missing:
            raise TypeError(
                f"stats.{self.name} has the parameters {', '.join(self.parameters)}.\n"
                f"  got: {len(values)} by position, {', '.join(named) or 'none'} by name"
                + (f"\n  missing: {', '.join(missing)}" if missing else "")
            )
        return tuple(given[n] if n in given else self.defaults[n] for n in self.parameters)

    def __call__(self, *values, **named) -> "Frozen":
        return Frozen(self, self.bind(values, named))

    def __repr__(self) -> str:
        return f"<zkynet.stats.{self.name}({', '.join(self.parameters)})>"


class Frozen:
    """A distribution with its parameters: ``norm(0.0, 2.0).logpdf(x)``."""

    def __init__(self, family: Distribution, values: tuple):
        self.family, self.values = family, values

    def __getattr__(self, name):
        if name.startswith("_") or not hasattr(self.family, name):
            raise AttributeError(f"stats.{self.family.name} has no {name!r}")
        method = getattr(self.family, name)
        if name == "rsample":
            return lambda generator, shape=(): method(generator, *self.values, shape=shape)
        if name in ("entropy", "mean", "var"):
            return lambda: method(*self.values)
        return lambda x: method(x, *self.values)

    def __repr__(self) -> str:
        named = ", ".join(f"{n}={v!r}" for n, v in zip(self.family.parameters, self.values, strict=True))
        return f"{self.family.name}({named})"


class Continuous(Distribution):
    """A family on the real line with location and scale; x and all parameters broadcast.

    A subclass gives ``_logpdf`` of the standardised variable and what it can of ``_cdf``, ``_sf``, ``_logcdf`` and
    ``_logsf``, each right within the support. Outside of it densities are 0, their logarithms -inf, and no gradient
    flows. Parameters outside their domain give NaN.
    """

    defaults = {"loc": 0.0, "scale": 1.0}
    low, high = -math.inf, math.inf  # the support of the standardised variable
    middle = 0.0  # stands for what lies outside

    def logpdf(self, x, *values, **named) -> Tensor:
        """The logarithm of the density at x."""
        *shapes, z, scale = self._standard(x, values, named)
        return op.subtract(self._within(z, self._logpdf, shapes, -math.inf, -math.inf), op.log(scale))

    def pdf(self, x, *values, **named) -> Tensor:
        """The density at x."""
        return op.exp(self.logpdf(x, *values, **named))

    def cdf(self, x, *values, **named) -> Tensor:
        """The probability of at most x."""
        *shapes, z, _ = self._standard(x, values, named)
        return self._within(z, self._cdf, shapes, 0.0, 1.0)

    def sf(self, x, *values, **named) -> Tensor:
        """The probability of more than x, with its own digits where it is small."""
        *shapes, z, _ = self._standard(x, values, named)
        return self._within(z, self._sf, shapes, 1.0, 0.0)

    def logcdf(self, x, *values, **named) -> Tensor:
        """The logarithm of ``cdf``."""
        *shapes, z, _ = self._standard(x, values, named)
        return self._within(z, self._logcdf, shapes, -math.inf, 0.0)

    def logsf(self, x, *values, **named) -> Tensor:
        """The logarithm of ``sf``."""
        *shapes, z, _ = self._standard(x, values, named)
        return self._within(z, self._logsf, shapes, 0.0, -math.inf)

    def rsample(self, generator: Generator, *values, shape: tuple = (), **named) -> Tensor:
        """Reparametrised samples: ``shape`` in front of the parameters' shape, differentiable in the parameters."""
        *shapes, loc, scale = self.bind(values, named)
        whole = tuple(shape) + common_shape(*shapes, loc, scale)
        z = self._draw(generator, whole, *shapes)
        return op.add(op.multiply(like(z, *shapes, loc, scale), scale), loc)

    # ---- what a family gives ----

    def _logpdf(self, z, *shapes):
        raise NotImplementedError

    def _cdf(self, z, *shapes):
        return op.exp(self._logcdf(z, *shapes))

    def _sf(self, z, *shapes):
        return op.subtract(1.0, self._cdf(z, *shapes))

    def _logcdf(self, z, *shapes):
        return log_of(self._cdf(z, *shapes), self._sf(z, *shapes))

    def _logsf(self, z, *shapes):
        return log_of(self._sf(z, *shapes), self._cdf(z, *shapes))

    def _draw(self, generator, shape, *shapes):
        raise NotImplementedError(f"stats.{self.name} has no rsample")

    def _standard(self, x, values, named):
        *shapes, loc, scale = self.bind(values, named)
        return (*shapes, op.divide(op.subtract(x, loc), scale), scale)

    def _within(self, z, f, shapes, below, above):
        """``f`` inside the support, ``below`` and ``above`` outside; NaN stays NaN."""
        outside = []
        if self.low > -math.inf:
            outside.append((op.less(z, self.low), below))
        if self.high < math.inf:
            outside.append((op.greater(z, self.high), above))
        for mask, _ in outside:
            z = op.where(mask, self.middle, z)
        y = f(z, *shapes)
        for mask, value in outside:
            y = op.where(mask, value, y)
        return y


class Discrete(Distribution):
    """A family on the integers; k may be an integer or a floating array, and is a constant.

    A subclass gives ``_logpmf``; values that are no integers of the support have probability 0 and send no gradient.
    """

    low: float = 0.0
    high: float = math.inf

    def logpmf(self, k, *values, **named) -> Tensor:
        """The logarithm of the probability of k."""
        bound = self.bind(values, named)
        k = op.stop_gradient(k)
        outside = op.logical_or(op.less(k, self.low), op.not_equal(op.floor(k), k))
        if self.high < math.inf:
            outside = op.logical_or(outside, op.greater(k, self.high))
        outside = self._beyond(k, outside, *bound)
        y = self._logpmf(op.where(outside, self.low, op.multiply(k, 1.0)), *bound)
        return op.where(outside, -math.inf, y)

    def pmf(self, k, *values, **named) -> Tensor:
        """The probability of k."""
        return op.exp(self.logpmf(k, *values, **named))

    def _logpmf(self, k, *values):
        raise NotImplementedError

    def _beyond(self, k, outside, *values):
        return outside


def log_of(p, rest) -> Tensor:
    """log(p) where ``rest`` is 1 - p: from ``rest`` where p is near 1."""
    near = op.less(rest, 0.5)
    return op.where(near, op.log1p(op.negative(op.where(near, rest, 0.0))), op.log(op.where(near, 1.0, p)))


def common_shape(*values) -> tuple:
    """The shape to which arrays and numbers broadcast."""
    return broadcast_shapes(*[tuple(getattr(value, "shape", ())) for value in values])


def like(z, *values):
    """``z``, drawn in double precision, in the dtype of the floating arrays among ``values``."""
    dtypes = [v.dtype for v in values if getattr(v, "dtype", None) is not None and "float" in str(v.dtype)]
    narrow = dtypes and all("float32" in str(d) for d in dtypes)
    return op.astype(z, "float32") if narrow else z


def uniform_inside(generator, shape):
    """Numbers from the open interval (0, 1)."""
    return op.maximum(generator.uniform(shape), TINY)


def wide(value):
    """A shape parameter in double precision, for quantiles."""
    return op.astype(value, "float64") if getattr(value, "dtype", None) is not None else value
