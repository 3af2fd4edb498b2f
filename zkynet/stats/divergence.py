"""The Kullback-Leibler divergence of two distributions, in closed form."""

from collections.abc import Callable

from zkynet.framework import op
from zkynet.framework.computation_graph import Tensor

from . import continuous, discrete, multivariate
from .base import Distribution, Frozen
from .multivariate import half_log_det, log_normaliser

special = op.special


def kl_divergence(p: Frozen, q: Frozen) -> Tensor:
    """KL(p || q) of two distributions of one family, in nats; multivariate ones give it for each leading axis.

    For norm, lognorm, laplace, expon, gamma, chi2, beta, uniform, dirichlet, multivariate_normal, bernoulli, geometric,
    poisson and categorical; NotImplementedError for others. gamma, chi2, beta, expon and lognorm start at their
    ``loc``, which has to be the same number in both.
    """
    if not isinstance(p, Frozen) or not isinstance(q, Frozen):
        raise TypeError(
            f"kl_divergence: expected two distributions such as stats.norm(0.0, 1.0)\n"
            f"  got: {type(p).__name__}, {type(q).__name__}"
        )
    formula = FORMULAS.get((type(p.family), type(q.family)))
    if formula is None:
        known = ", ".join(sorted(f"{a.name}" for a, _ in FORMULAS))
        raise NotImplementedError(
            f"kl_divergence: no closed form for {p.family.name} and {q.family.name}; there is one for {known}"
        )
    return formula(p.values, q.values)


def _norm(p, q):
    ratio = op.divide(p[1], q[1])
    apart = op.divide(op.subtract(p[0], q[0]), q[1])
    return op.subtract(op.multiply(op.add(op.square(ratio), op.subtract(op.square(apart), 1.0)), 0.5), op.log(ratio))


def _lognorm(p, q):
    _same_start(p, q)
    return _norm((op.log(p[-1]), p[0]), (op.log(q[-1]), q[0]))


def _laplace(p, q):
    ratio, apart = op.divide(p[1], q[1]), op.abs(op.subtract(p[0], q[0]))
    grown = op.multiply(ratio, op.exp(op.negative(op.divide(apart, p[1]))))
    return op.subtract(op.add(op.divide(apart, q[1]), grown), op.add(op.log(ratio), 1.0))


def _expon(p, q):
    _same_start(p, q)
    ratio = op.divide(p[1], q[1])
    return op.subtract(ratio, op.add(op.log(ratio), 1.0))


def _gamma(p, q):
    _same_start(p, q)
    (a, _, s), (b, _, r) = p, q
    ratio = op.divide(s, r)
    shapes = op.subtract(op.multiply(op.subtract(a, b), special.digamma(a)), special.gammaln(a))
    scales = op.subtract(op.multiply(a, op.subtract(ratio, 1.0)), op.multiply(b, op.log(ratio)))
    return op.add(op.add(shapes, special.gammaln(b)), scales)


def _chi2(p, q):
    half = 0.5
    return _gamma((op.multiply(p[0], half), p[1], p[2]), (op.multiply(q[0], half), q[1], q[2]))


def _beta(p, q):
    _same_start(p, q)
    if p[-1] is not q[-1] and not (type(p[-1]) is float and p[-1] == q[-1]):
        raise ValueError("kl_divergence: beta distributions need the same scale, as the same object or number")
    (a, b, *_), (c, d, *_) = p, q
    whole = special.digamma(op.add(a, b))
    first = op.multiply(op.subtract(a, c), op.subtract(special.digamma(a), whole))
    second = op.multiply(op.subtract(b, d), op.subtract(special.digamma(b), whole))
    return op.add(op.subtract(special.betaln(c, d), special.betaln(a, b)), op.add(first, second))


def _uniform(p, q):
    inside = op.logical_and(op.greater_equal(p[0], q[0]), op.less_equal(op.add(p[0], p[1]), op.add(q[0], q[1])))
    return op.where(inside, op.log(op.divide(q[1], p[1])), float("inf"))


def _dirichlet(p, q):
    (a,), (c,) = p, q
    whole = special.digamma(op.sum(a, axis=-1, keepdims=True))
    shift = op.sum(op.multiply(op.subtract(a, c), op.subtract(special.digamma(a), whole)), axis=-1)
    return op.add(op.subtract(log_normaliser(c), log_normaliser(a)), shift)


def _multivariate_normal(p, q):
    own, other = op.cholesky(p[1]), op.cholesky(q[1])
    apart = op.expand_dims(op.subtract(q[0], p[0]), axis=-1)
    white = op.linalg.solve_triangular(other, own, lower=True)
    moved = op.linalg.solve_triangular(other, apart, lower=True)
    squares = op.add(op.sum(op.square(white), axis=(-2, -1)), op.sum(op.square(moved), axis=(-2, -1)))
    half = op.multiply(op.subtract(squares, float(own.shape[-1])), 0.5)
    return op.add(half, op.subtract(half_log_det(other), half_log_det(own)))


def _bernoulli(p, q):
    (a,), (c,) = p, q
    return op.add(special.rel_entr(a, c), special.rel_entr(op.subtract(1.0, a), op.subtract(1.0, c)))


def _geometric(p, q):
    (a,), (c,) = p, q
    rest = special.rel_entr(op.subtract(1.0, a), op.subtract(1.0, c))
    return op.divide(op.add(special.rel_entr(a, c), rest), a)


def _poisson(p, q):
    return special.kl_div(p[0], q[0])


def _categorical(p, q):
    a, c = discrete.Categorical().logits_of(*p), discrete.Categorical().logits_of(*q)
    return op.sum(op.multiply_no_nan(op.exp(a), op.subtract(a, c)), axis=-1)


def _same_start(p, q):
    """ValueError unless both distributions have the same ``loc``, the second last parameter."""
    if p[-2] is not q[-2] and not (type(p[-2]) is type(q[-2]) is float and p[-2] == q[-2]):
        raise ValueError("kl_divergence: both distributions need the same loc, as the same object or number")


FORMULAS: dict[tuple[type[Distribution], type[Distribution]], Callable[[tuple, tuple], Tensor]] = {
    (family, family): formula
    for family, formula in (
        (continuous.Norm, _norm),
        (continuous.LogNorm, _lognorm),
        (continuous.Laplace, _laplace),
        (continuous.Expon, _expon),
        (continuous.Gamma, _gamma),
        (continuous.Chi2, _chi2),
        (continuous.Beta, _beta),
        (continuous.Uniform, _uniform),
        (multivariate.Dirichlet, _dirichlet),
        (multivariate.MultivariateNormal, _multivariate_normal),
        (discrete.Bernoulli, _bernoulli),
        (discrete.Geometric, _geometric),
        (discrete.Poisson, _poisson),
        (discrete.Categorical, _categorical),
    )
}
