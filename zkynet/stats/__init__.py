"""Distributions with SciPy's names and arguments, differentiable in x and in every real parameter.

``stats.norm.logpdf(x, loc, scale)``, or frozen: ``stats.norm(loc, scale).logpdf(x)``; ``rsample(generator, ...)`` draws
reparametrised samples, ``kl_divergence(p, q)`` compares two frozen distributions.
"""

from .base import Frozen
from .continuous import (
    Beta,
    Cauchy,
    Chi2,
    Expon,
    Gamma,
    Gumbel,
    Laplace,
    Logistic,
    LogNorm,
    Norm,
    Pareto,
    StudentT,
    Uniform,
)
from .discrete import Bernoulli, Binomial, Categorical, Geometric, NegativeBinomial, Poisson
from .divergence import kl_divergence
from .multivariate import Dirichlet, MultivariateNormal

norm, t, gamma, beta, chi2 = Norm(), StudentT(), Gamma(), Beta(), Chi2()
cauchy, expon, gumbel, laplace, logistic = Cauchy(), Expon(), Gumbel(), Laplace(), Logistic()
lognorm, pareto, uniform = LogNorm(), Pareto(), Uniform()
bernoulli, binomial, categorical = Bernoulli(), Binomial(), Categorical()
geometric, nbinom, poisson = Geometric(), NegativeBinomial(), Poisson()
dirichlet, multivariate_normal = Dirichlet(), MultivariateNormal()
binom, geom, gumbel_r = binomial, geometric, gumbel  # SciPy's names

__all__ = [
    "Frozen",
    "bernoulli",
    "beta",
    "binom",
    "binomial",
    "categorical",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "gamma",
    "geom",
    "geometric",
    "gumbel",
    "gumbel_r",
    "kl_divergence",
    "laplace",
    "logistic",
    "lognorm",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "t",
    "uniform",
]
