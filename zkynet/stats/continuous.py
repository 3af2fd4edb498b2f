"""Distributions on the real line: location-scale families, and families with shape parameters."""

import math

from zkynet.framework import op

from .base import Continuous, uniform_inside, wide

special = op.special
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Norm(Continuous):
    """The normal distribution: ``loc`` is its mean, ``scale`` its standard deviation."""

    name, parameters = "norm", ("loc", "scale")

    def _logpdf(self, z):
        return op.subtract(op.multiply(op.square(z), -0.5), _HALF_LOG_2PI)

    def _cdf(self, z):
        return special.ndtr(z)

    def _sf(self, z):
        return special.ndtr(op.negative(z))

    def _logcdf(self, z):
        return special.log_ndtr(z)

    def _logsf(self, z):
        return special.log_ndtr(op.negative(z))

    def _draw(self, generator, shape):
        return generator.normal(shape)


class LogNorm(Continuous):
    """exp of a normal number: ``s`` its standard deviation, ``scale`` exp of its mean."""

    name, parameters, low, middle = "lognorm", ("s", "loc", "scale"), 0.0, 1.0

    def _logpdf(self, z, s):
        height = op.divide(op.log(z), s)
        return op.subtract(op.multiply(op.square(height), -0.5), op.add(op.log(op.multiply(s, z)), _HALF_LOG_2PI))

    def _cdf(self, z, s):
        return special.ndtr(op.divide(op.log(z), s))

    def _sf(self, z, s):
        return special.ndtr(op.negative(op.divide(op.log(z), s)))

    def _logcdf(self, z, s):
        return special.log_ndtr(op.divide(op.log(z), s))

    def _logsf(self, z, s):
        return special.log_ndtr(op.negative(op.divide(op.log(z), s)))

    def _draw(self, generator, shape, s):
        return op.exp(op.multiply(s, generator.normal(shape)))


class StudentT(Continuous):
    """Student's distribution with ``df`` > 0 degrees of freedom."""

    name, parameters = "t", ("df", "loc", "scale")

    def _logpdf(self, z, df):
        bend = op.multiply(op.multiply(op.add(df, 1.0), 0.5), op.log1p(op.divide(op.square(z), df)))
        height = op.add(special.betaln(0.5, op.multiply(df, 0.5)), op.multiply(op.log(df), 0.5))
        return op.negative(op.add(height, bend))

    def _cdf(self, z, df):
        return special.stdtr(df, z)

    def _sf(self, z, df):
        return special.stdtr(df, op.negative(z))

    def _draw(self, generator, shape, df):
        half = op.multiply(wide(df), 0.5)
        square = special.gammaincinv(half, uniform_inside(generator, shape))  # half a chi-squared number
        return op.multiply(generator.normal(shape), op.sqrt(op.divide(half, square)))


class Cauchy(Continuous):
    """The Cauchy distribution."""

    name, parameters = "cauchy", ("loc", "scale")

    def _logpdf(self, z):
        return op.subtract(-math.log(math.pi), op.log1p(op.square(z)))

    def _cdf(self, z):
        return op.divide(op.atan2(1.0, op.negative(z)), math.pi)  # with its own digits on the left

    def _sf(self, z):
        return op.divide(op.atan2(1.0, z), math.pi)

    def _draw(self, generator, shape):
        u = uniform_inside(generator, shape)
        return op.negative(op.divide(special.sinpi(u, 1), special.sinpi(u)))


class Laplace(Continuous):
    """The two-sided exponential distribution."""

    name, parameters = "laplace", ("loc", "scale")

    def _logpdf(self, z):
        return op.subtract(-math.log(2), op.abs(z))

    def _cdf(self, z):
        left = op.less(z, 0.0)
        tail = op.multiply(op.exp(op.negative(op.abs(z))), 0.5)
        return op.where(left, tail, op.subtract(1.0, tail))

    def _sf(self, z):
        return self._cdf(op.negative(z))

    def _logcdf(self, z):
        left = op.less(z, 0.0)
        right = op.log1p(op.multiply(op.exp(op.negative(op.where(left, 0.0, z))), -0.5))
        return op.where(left, op.subtract(z, math.log(2)), right)

    def _logsf(self, z):
        return self._logcdf(op.negative(z))

    def _draw(self, generator, shape):
        u = uniform_inside(generator, shape)
        low = op.less(u, 0.5)
        size = op.log(op.multiply(op.where(low, u, op.subtract(1.0, u)), 2.0))
        return op.where(low, size, op.negative(size))


class Logistic(Continuous):
    """The logistic distribution: its distribution function is the sigmoid."""

    name, parameters = "logistic", ("loc", "scale")

    def _logpdf(self, z):
        return op.add(self._logcdf(z), self._logsf(z))

    def _cdf(self, z):
        return special.expit(z)

    def _sf(self, z):
        return special.expit(op.negative(z))

    def _logcdf(self, z):
        return op.negative(op.logaddexp(0.0, op.negative(z)))

    def _logsf(self, z):
        return op.negative(op.logaddexp(0.0, z))

    def _draw(self, generator, shape):
        return special.logit(uniform_inside(generator, shape))


class Gumbel(Continuous):
    """The Gumbel distribution of maxima (SciPy's ``gumbel_r``)."""

    name, parameters = "gumbel", ("loc", "scale")

    def _logpdf(self, z):
        return op.negative(op.add(z, op.exp(op.negative(z))))

    def _logcdf(self, z):
        return op.negative(op.exp(op.negative(z)))

    def _sf(self, z):
        return op.negative(op.expm1(self._logcdf(z)))

    def _draw(self, generator, shape):
        return op.negative(op.log(op.negative(op.log(uniform_inside(generator, shape)))))


class Expon(Continuous):
    """The exponential distribution: ``scale`` is its mean."""

    name, parameters, low, middle = "expon", ("loc", "scale"), 0.0, 1.0

    def _logpdf(self, z):
        return op.negative(z)

    def _cdf(self, z):
        return op.negative(op.expm1(op.negative(z)))

    def _sf(self, z):
        return op.exp(op.negative(z))

    def _logsf(self, z):
        return op.negative(z)

    def _draw(self, generator, shape):
        return op.negative(op.log(uniform_inside(generator, shape)))


class Uniform(Continuous):
    """The uniform distribution on [``loc``, ``loc`` + ``scale``]."""

    name, parameters, low, high, middle = "uniform", ("loc", "scale"), 0.0, 1.0, 0.5

    def _logpdf(self, z):
        return op.multiply(z, 0.0)

    def _cdf(self, z):
        return op.positive(z)

    def _draw(self, generator, shape):
        return generator.uniform(shape)


class Pareto(Continuous):
    """b z ** (-b - 1) from z = 1 on."""

    name, parameters, low, middle = "pareto", ("b", "loc", "scale"), 1.0, 2.0

    def _logpdf(self, z, b):
        return op.subtract(op.log(b), op.multiply(op.add(b, 1.0), op.log(z)))

    def _cdf(self, z, b):
        return op.negative(op.expm1(self._logsf(z, b)))

    def _sf(self, z, b):
        return op.exp(self._logsf(z, b))

    def _logsf(self, z, b):
        return op.negative(op.multiply(b, op.log(z)))

    def _draw(self, generator, shape, b):
        return op.exp(op.negative(op.divide(op.log(uniform_inside(generator, shape)), b)))


class Gamma(Continuous):
    """The gamma distribution of shape ``a`` > 0; ``scale`` is 1 over the rate."""

    name, parameters, low, middle = "gamma", ("a", "loc", "scale"), 0.0, 1.0

    def _logpdf(self, z, a):
        return op.subtract(op.xlogy(op.subtract(a, 1.0), z), op.add(z, special.gammaln(a)))

    def _cdf(self, z, a):
        return special.gammainc(a, z)

    def _sf(self, z, a):
        return special.gammaincc(a, z)

    def _draw(self, generator, shape, a):
        return special.gammaincinv(wide(a), uniform_inside(generator, shape))


class Chi2(Continuous):
    """The chi-squared distribution with ``df`` > 0 degrees of freedom."""

    name, parameters, low, middle = "chi2", ("df", "loc", "scale"), 0.0, 1.0

    def _logpdf(self, z, df):
        half = op.multiply(df, 0.5)
        height = op.add(special.gammaln(half), op.multiply(half, math.log(2)))
        return op.subtract(op.xlogy(op.subtract(half, 1.0), z), op.add(op.multiply(z, 0.5), height))

    def _cdf(self, z, df):
        return special.gammainc(op.multiply(df, 0.5), op.multiply(z, 0.5))

    def _sf(self, z, df):
        return special.gammaincc(op.multiply(df, 0.5), op.multiply(z, 0.5))

    def _draw(self, generator, shape, df):
        half = op.multiply(wide(df), 0.5)
        return op.multiply(special.gammaincinv(half, uniform_inside(generator, shape)), 2.0)


class Beta(Continuous):
    """The beta distribution on [0, 1] of shapes ``a``, ``b`` > 0."""

    name, parameters, low, high, middle = "beta", ("a", "b", "loc", "scale"), 0.0, 1.0, 0.5

    def _logpdf(self, z, a, b):
        right = op.xlog1py(op.subtract(b, 1.0), op.negative(z))
        return op.subtract(op.add(op.xlogy(op.subtract(a, 1.0), z), right), special.betaln(a, b))

    def _cdf(self, z, a, b):
        return special.betainc(a, b, z)

    def _sf(self, z, a, b):
        return special.betainc(b, a, op.subtract(1.0, z))

    def _draw(self, generator, shape, a, b):
        return special.betaincinv(wide(a), wide(b), uniform_inside(generator, shape))
