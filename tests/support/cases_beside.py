"""Rows for differentiable functions beside ``op``: distributions against SciPy's, implicit functions in closed form.

They are sampled as the case table's rows are; everything else about them has tests of its own.
"""

from __future__ import annotations

import numpy as np

import zkynet as zk
from zkynet import stats
from zkynet.framework import op

from .rows import Row, Sample, apart, draw, positive, regular

A = np.array
CONTINUOUS = {  # SciPy's name, the shape parameters, where standard x is drawn, and the methods
    "norm": ("norm", 0, (-2.0, 2.0), ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")),
    "t": ("t", 1, (-2.0, 2.0), ("pdf", "logpdf", "cdf", "logcdf")),
    "gamma": ("gamma", 1, (0.3, 2.0), ("pdf", "logpdf", "cdf")),
    "beta": ("beta", 2, (0.2, 0.8), ("pdf", "logpdf", "cdf")),
    "chi2": ("chi2", 1, (0.3, 2.0), ("pdf", "logpdf", "cdf")),
    "cauchy": ("cauchy", 0, (-2.0, 2.0), ("logpdf",)),
    "expon": ("expon", 0, (0.3, 2.0), ("logpdf",)),
    "gumbel": ("gumbel_r", 0, (-1.0, 2.0), ("logpdf",)),
    "laplace": ("laplace", 0, (0.2, 2.0), ("logpdf",)),
    "logistic": ("logistic", 0, (-2.0, 2.0), ("logpdf",)),
    "lognorm": ("lognorm", 1, (0.3, 2.0), ("logpdf",)),
    "pareto": ("pareto", 1, (1.3, 3.0), ("logpdf",)),
    "uniform": ("uniform", 0, (0.2, 0.8), ("logpdf",)),
}
DISCRETE = {  # SciPy's name, k, whole-numbered parameters, and the methods
    "poisson": ("poisson", A([0, 3, 2]), (), ("pmf", "logpmf", "cdf")),
    "bernoulli": ("bernoulli", A([0, 1, 1]), (), ("logpmf",)),
    "geometric": ("geom", A([1, 4, 2]), (), ("logpmf",)),
    "binomial": ("binom", A([0, 3, 5]), (5.0,), ("logpmf",)),
    "nbinom": ("nbinom", A([0, 3, 5]), (2.5,), ("logpmf",)),
}


def between(low, high):
    """A drawing function for numbers from ``low`` to ``high``."""
    return lambda rng, shape, k=0: rng.uniform(low, high, shape)


def theirs(name):
    """SciPy's distribution of a name, looked up when it is needed."""
    import scipy.stats

    return getattr(scipy.stats, name)


def continuous(name, method):
    """x is drawn in standard form, so that it stays inside the support whatever loc and scale are."""
    scipys, count, (low, high), _ = CONTINUOUS[name]

    def run(xp, x, loc, scale, *shapes):
        family = getattr(stats, name) if xp is op else theirs(scipys)
        return getattr(family, method)(loc + scale * x, *shapes, loc, scale)

    numbers = (between(low, high), apart, positive, *(between(1.2, 3.0),) * count)
    sizes = (((2, 3), (2, 3), (2, 3)), ((3,), (), ()), ((0,), (0,), ()))
    samples = [draw(f"{name}.{method}", *each, *(each[0],) * count, numbers=numbers) for each in sizes]
    return Row(f"{name}.{method}", tuple(samples), run=run)


def discrete(name, method):
    scipys, k, fixed, _ = DISCRETE[name]
    numbers = between(1.2, 3.0) if name == "poisson" else between(0.2, 0.8)

    def run(xp, p, k):
        family = getattr(stats, name) if xp is op else theirs(scipys)
        return getattr(family, method)(k, *fixed, p)

    samples = (((3,), k), ((2, 3), k), ((0,), k[:0]))
    drawn = [Sample((*draw(f"{name}.{method}", shape, numbers=numbers).operands, ks)) for shape, ks in samples]
    return Row(f"{name}.{method}", tuple(drawn), run=run)


def normal_of_vectors(method):
    """With the covariance r r^T + 1: its entries cannot be moved one by one."""

    def run(xp, x, mean, root):
        covariance = xp.matmul(root, xp.matrix_transpose(root)) + np.eye(2)
        if xp is op:
            return getattr(stats.multivariate_normal, method)(*(() if method == "entropy" else (x,)), mean, covariance)
        family = theirs("multivariate_normal")(mean, covariance)
        return np.asarray(family.entropy() if method == "entropy" else getattr(family, method)(x))

    name = f"multivariate_normal.{method}"
    return Row(name, (draw(name, (3, 2), (2,), (2, 2), numbers=(apart, apart, regular)),), run=run)


def dirichlet(method):
    def run(xp, x, alpha):
        x = x / xp.sum(x, axis=-1, keepdims=True)
        if xp is op:
            return getattr(stats.dirichlet, method)(x, alpha)
        rows = [getattr(theirs("dirichlet"), method)(row, alpha) for row in x]
        return np.reshape(A(rows), np.shape(x)[:-1])

    name = f"dirichlet.{method}"
    return Row(name, (draw(name, (2, 3), (3,), numbers=positive), draw(name, (0, 3), (3,), numbers=positive)), run=run)


def of_a_class(xp, p):
    """log p of one class a row."""
    p = p / xp.sum(p, axis=-1, keepdims=True)
    labels = A([1, 2])
    return stats.categorical.logpmf(labels, p) if xp is op else np.log(p[A([0, 1]), labels])


def divergence(xp, m1, s1, m2, s2):
    """KL(N(m1, s1) || N(m2, s2))."""
    if xp is op:
        return stats.kl_divergence(stats.norm(m1, s1), stats.norm(m2, s2))
    return np.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5


def either(ours, closed):
    """A run that is ``ours`` in zkynet and ``closed`` in NumPy."""
    return lambda xp, *x: (ours if xp is op else closed)(*x)


def decayed(y, k):
    return zk.odeint(lambda y, t, k: -k * y, y, A([0.0, 0.7]), k, rtol=1e-8, atol=1e-10)[-1]


def decayed_too(y, k):
    return zk.solve_ivp(lambda t, y, k: -k * y, (0.0, 0.7), y, args=(k,), rtol=1e-8, atol=1e-10).y[:, -1]


def definite(m):
    return lambda x: op.matmul(m, op.matmul(op.matrix_transpose(m), x)) + x


def tight(matvec, b):
    """Conjugate gradients to the last digits."""
    return zk.implicit.conjugate_gradient(matvec, b, tol=1e-13)


PAIR = draw("pair", (3,), (), numbers=positive), draw("pair", (2,), (), numbers=positive)
IMPLICIT = (
    Row("root", PAIR, run=either(lambda a, b: zk.root(lambda x, a: x * x - a * b, a, a), lambda a, b: np.sqrt(a * b))),
    Row(
        "fixed_point",
        PAIR,
        run=either(lambda a, b: zk.fixed_point(lambda x, a: 0.5 * (x + a * b / x), a, a), lambda a, b: np.sqrt(a * b)),
    ),
    Row(
        "minimize",
        PAIR,
        run=either(
            lambda a, b: zk.minimize(lambda x: op.sum(op.exp(x) - a * b * x), op.zeros((a.shape[0],))),
            lambda a, b: np.log(a * b),
        ),
    ),
    Row("odeint", PAIR, run=either(decayed, lambda y, k: y * np.exp(-0.7 * k))),
    Row("solve_ivp", PAIR, run=either(decayed_too, lambda y, k: y * np.exp(-0.7 * k))),
    Row(
        "quad",
        (draw("quad", (), (), ()), draw("quad", (), (), (), numbers=positive)),
        run=either(
            lambda a, b, k: zk.quad(lambda x, k: op.exp(k * x), a, b, k),
            lambda a, b, k: (np.exp(k * b) - np.exp(k * a)) / k,
        ),
    ),
    Row(
        "fixed_quad",
        (draw("fixed_quad", (), (), ()), draw("fixed_quad", (), (), (), numbers=positive)),
        run=either(
            lambda a, b, k: zk.fixed_quad(lambda x, k: k * x * x, a, b, k), lambda a, b, k: k * (b**3 - a**3) / 3
        ),
    ),
    Row(
        "linear_operator_solve",
        (draw("cg", (2, 2), (2,)), draw("cg", (3, 3), (3,))),
        run=either(
            lambda m, b: zk.linear_operator_solve(definite(m), b, solver=tight),
            lambda m, b: np.linalg.solve(m @ m.T + np.eye(len(m)), b),
        ),
    ),
)


DISTRIBUTIONS = (
    *(continuous(name, method) for name, (*_, methods) in CONTINUOUS.items() for method in methods),
    *(discrete(name, method) for name, (*_, methods) in DISCRETE.items() for method in methods),
    *(normal_of_vectors(method) for method in ("pdf", "logpdf", "entropy")),
    *(dirichlet(method) for method in ("pdf", "logpdf")),
    Row("categorical.logpmf", (draw("categorical", (2, 3), numbers=positive),), run=of_a_class),
    Row(
        "kl_divergence",
        (draw("kl", (3,), (3,), (3,), (3,), numbers=(apart, positive, apart, positive)),),
        run=divergence,
    ),
)


BESIDE = (*DISTRIBUTIONS, *IMPLICIT)
