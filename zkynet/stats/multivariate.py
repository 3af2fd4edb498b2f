"""Distributions of vectors, which lie along the last axis."""

import math

from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.axes import broadcast_shapes
from zkynet.framework.computation_graph import Generator, Tensor

from .base import Distribution, like, uniform_inside, wide

special = op.special


class MultivariateNormal(Distribution):
    """The normal distribution of vectors: ``mean`` (..., n), ``cov`` (..., n, n), positive definite."""

    name, parameters = "multivariate_normal", ("mean", "cov")

    def logpdf(self, x, *values, **named) -> Tensor:
        """The logarithm of the density at x (..., n); leading axes broadcast. LinAlgError for a cov that is none."""
        mean, cov = self._checked(values, named)
        factor = op.cholesky(cov)
        apart = op.subtract(x, mean)
        white = op.squeeze(op.linalg.solve_triangular(factor, op.expand_dims(apart, axis=-1), lower=True), axis=-1)
        n = factor.shape[-1]
        volume = op.add(half_log_det(factor), 0.5 * n * math.log(2 * math.pi))
        return op.subtract(op.multiply(op.sum(op.square(white), axis=-1), -0.5), volume)

    def pdf(self, x, *values, **named) -> Tensor:
        """The density at x."""
        return op.exp(self.logpdf(x, *values, **named))

    def entropy(self, *values, **named) -> Tensor:
        """The differential entropy, in nats."""
        _, cov = self._checked(values, named)
        factor = op.cholesky(cov)
        return op.add(half_log_det(factor), 0.5 * factor.shape[-1] * (1 + math.log(2 * math.pi)))

    def rsample(self, generator: Generator, *values, shape: tuple = (), **named) -> Tensor:
        """Reparametrised samples, ``shape`` in front of the parameters' leading axes."""
        mean, cov = self._checked(values, named)
        factor = op.cholesky(cov)
        lead = broadcast_shapes(tuple(op.asarray(mean).shape[:-1]), tuple(factor.shape[:-2]))
        z = like(generator.normal((*shape, *lead, factor.shape[-1], 1)), mean, cov)
        return op.add(op.squeeze(op.matmul(factor, z), axis=-1), mean)

    def _checked(self, values, named):
        mean, cov = self.bind(values, named)
        shape = tuple(getattr(cov, "shape", ()))
        if len(shape) < 2 or shape[-1] != shape[-2] or tuple(getattr(mean, "shape", ()))[-1:] not in ((), shape[-1:]):
            raise ShapeError(
                f"stats.multivariate_normal: expected mean (..., n) and cov (..., n, n)\n"
                f"  got: mean {tuple(getattr(mean, 'shape', ()))}, cov {shape}"
            )
        return mean, cov


class Dirichlet(Distribution):
    """The Dirichlet distribution of vectors that sum to 1, with concentrations ``alpha`` (..., n)."""

    name, parameters = "dirichlet", ("alpha",)

    def logpdf(self, x, *values, **named) -> Tensor:
        """The logarithm of the density at x (..., n), whose entries are taken to be positive and to sum to 1."""
        (alpha,) = self.bind(values, named)
        powers = op.sum(op.xlogy(op.subtract(alpha, 1.0), x), axis=-1)
        return op.subtract(powers, log_normaliser(alpha))

    def pdf(self, x, *values, **named) -> Tensor:
        """The density at x."""
        return op.exp(self.logpdf(x, *values, **named))

    def rsample(self, generator: Generator, *values, shape: tuple = (), **named) -> Tensor:
        """Reparametrised samples: gamma numbers over their sum."""
        (alpha,) = self.bind(values, named)
        whole = (*shape, *op.asarray(alpha).shape)
        grown = special.gammaincinv(wide(alpha), uniform_inside(generator, whole))
        return like(op.divide(grown, op.sum(grown, axis=-1, keepdims=True)), alpha)


def half_log_det(factor) -> Tensor:
    """The sum of the logarithms of a triangular matrix' diagonal."""
    return op.sum(op.log(op.linalg.diagonal(factor)), axis=-1)


def log_normaliser(alpha) -> Tensor:
    """The logarithm of the multivariate beta function."""
    return op.subtract(op.sum(special.gammaln(alpha), axis=-1), special.gammaln(op.sum(alpha, axis=-1)))
