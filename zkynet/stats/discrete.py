"""Distributions on the integers."""

from zkynet.framework import op
from zkynet.framework.computation_graph import Tensor

from .base import Discrete

special = op.special


def times_log(k, x) -> Tensor:
    """k log(x) of a constant k: 0 where k is 0, whatever x, and so are its derivatives."""
    none = op.equal(k, 0.0)
    return op.where(none, 0.0, op.multiply(k, op.log(op.where(none, 1.0, x))))


def times_log1p(k, x) -> Tensor:
    """k log(1 + x) in the same way."""
    none = op.equal(k, 0.0)
    return op.where(none, 0.0, op.multiply(k, op.log1p(op.where(none, 0.0, x))))


class Bernoulli(Discrete):
    """1 with probability ``p``, else 0."""

    name, parameters, high = "bernoulli", ("p",), 1.0

    def _logpmf(self, k, p):
        return op.add(times_log(k, p), times_log1p(op.subtract(1.0, k), op.negative(p)))


class Geometric(Discrete):
    """The number of the first success, from 1 on (SciPy's ``geom``), each having probability ``p``."""

    name, parameters, low = "geometric", ("p",), 1.0

    def _logpmf(self, k, p):
        return op.add(op.log(p), times_log1p(op.subtract(k, 1.0), op.negative(p)))


class Binomial(Discrete):
    """The number of successes among ``n``, each having probability ``p`` (SciPy's ``binom``); ``n`` is a constant."""

    name, parameters = "binomial", ("n", "p")

    def _beyond(self, k, outside, n, p):
        return op.logical_or(outside, op.greater(k, n))

    def _logpmf(self, k, n, p):
        n = op.stop_gradient(n)
        rest = op.subtract(n, k)
        ways = op.add(op.log(op.add(n, 1.0)), special.betaln(op.add(rest, 1.0), op.add(k, 1.0)))
        return op.subtract(op.add(times_log(k, p), times_log1p(rest, op.negative(p))), ways)


class NegativeBinomial(Discrete):
    """The number of failures before success number ``n``, of real n > 0 (SciPy's ``nbinom``)."""

    name, parameters = "nbinom", ("n", "p")

    def _logpmf(self, k, n, p):
        ways = op.subtract(special.gammaln(op.add(n, k)), special.gammaln(op.add(k, 1.0)))
        likelihood = op.add(op.multiply(n, op.log(p)), times_log1p(k, op.negative(p)))
        return op.add(op.subtract(ways, special.gammaln(n)), likelihood)


class Poisson(Discrete):
    """The Poisson distribution of mean ``mu`` >= 0."""

    name, parameters = "poisson", ("mu",)

    def _logpmf(self, k, mu):
        return op.subtract(times_log(k, mu), op.add(mu, special.gammaln(op.add(k, 1.0))))

    def cdf(self, k, *values, **named) -> Tensor:
        """The probability of at most k."""
        (mu,) = self.bind(values, named)
        k = op.floor(op.multiply(op.stop_gradient(k), 1.0))
        below = op.less(k, 0.0)
        return op.where(below, 0.0, special.gammaincc(op.add(op.where(below, 0.0, k), 1.0), mu))

    def sf(self, k, *values, **named) -> Tensor:
        """The probability of more than k, with its own digits where it is small."""
        (mu,) = self.bind(values, named)
        k = op.floor(op.multiply(op.stop_gradient(k), 1.0))
        below = op.less(k, 0.0)
        return op.where(below, 1.0, special.gammainc(op.add(op.where(below, 0.0, k), 1.0), mu))


class Categorical(Discrete):
    """Classes 0, 1, ... with probabilities ``p`` along the last axis, or exp(``logits``) up to a factor.

    Labels are integers of shape ``p.shape[:-1]``; IndexError for one too large, ValueError for a negative one.
    """

    name, parameters, defaults = "categorical", ("p", "logits"), {"p": None, "logits": None}

    def logits_of(self, p, logits) -> Tensor:
        """The logarithms of the probabilities; TypeError unless exactly one of the two is given."""
        if (p is None) == (logits is None):
            raise TypeError("stats.categorical: give either the probabilities p or the logits")
        return op.log_softmax(op.log(p) if logits is None else logits)

    def logpmf(self, k, *values, **named) -> Tensor:
        """The logarithm of the probability of class k."""
        logits = self.logits_of(*self.bind(values, named))
        return op.negative(op.softmax_cross_entropy(logits, k, reduction="none"))
