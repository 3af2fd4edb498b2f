"""zkynet.stats: values against SciPy, gradients against differences, edges of supports, samples, divergences."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.points import host
from zkynet import stats
from zkynet.errors import ShapeError
from zkynet.framework import op
from zkynet.testing import check_grads

A = np.array
METHODS = ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf")
X = A([0.3, 0.8])
# Our family, SciPy's name, x inside the support, shape parameters; loc and scale are put behind them.
FAMILIES = (
    ("norm", "norm", A([-1.2, 0.7]), ()),
    ("t", "t", A([-1.2, 0.7]), (3.5,)),
    ("cauchy", "cauchy", A([-1.2, 0.7]), ()),
    ("laplace", "laplace", A([-1.2, 0.7]), ()),
    ("logistic", "logistic", A([-1.2, 0.7]), ()),
    ("gumbel", "gumbel_r", A([-1.2, 0.7]), ()),
    ("expon", "expon", X, ()),
    ("uniform", "uniform", X, ()),
    ("lognorm", "lognorm", X, (0.8,)),
    ("pareto", "pareto", A([1.7, 3.0]), (2.5,)),
    ("gamma", "gamma", X, (1.7,)),
    ("chi2", "chi2", X, (3.2,)),
    ("beta", "beta", X, (1.7, 2.4)),
)
DISCRETE = (
    ("bernoulli", "bernoulli", [0, 1, 2, -1], (0.3,)),
    ("geometric", "geom", [0, 1, 4, -1], (0.3,)),
    ("binomial", "binom", [0, 3, 5, 6, -1], (5.0, 0.3)),
    ("nbinom", "nbinom", [0, 3, 5, -1], (2.5, 0.3)),
    ("poisson", "poisson", [0, 3, 25, -1], (2.7,)),
)
families = pytest.mark.parametrize(("name", "scipys", "x", "shapes"), FAMILIES, ids=[row[0] for row in FAMILIES])
discrete = pytest.mark.parametrize(("name", "scipys", "k", "values"), DISCRETE, ids=[row[0] for row in DISCRETE])


@pytest.fixture
def scipy_stats():
    return pytest.importorskip("scipy.stats", reason="values are compared with SciPy's")


@families
def test_values_are_scipys(name, scipys, x, shapes, scipy_stats):
    ours, theirs = getattr(stats, name), getattr(scipy_stats, scipys)
    far = np.concatenate([x, A([-40.0, -3.0, 6.0, 30.0])])
    for loc, scale in ((0.0, 1.0), (0.4, 2.5)):
        for method in METHODS:
            with np.errstate(all="ignore"):
                got = getattr(ours, method)(far * scale + loc, *shapes, loc, scale)
                truth = getattr(theirs, method)(far * scale + loc, *shapes, loc, scale)
            if method in ("logcdf", "logsf"):  # SciPy rounds some of these at probabilities near 1
                got, truth = np.exp(got.value), np.exp(truth)
            np.testing.assert_allclose(op.asarray(got).value, truth, rtol=2e-11, atol=1e-300, err_msg=method)


@families
@pytest.mark.parametrize("method", METHODS)
def test_gradients(name, scipys, x, shapes, method):
    """In x and in every parameter, to the second order."""
    pytest.importorskip("scipy", reason="some families need SciPy's functions")
    f = getattr(getattr(stats, name), method)
    if name == "uniform" and method == "logpdf":
        f = lambda x, loc, scale: stats.uniform.logpdf(x, loc, scale) + 0.0 * x  # noqa: E731  (it does not depend on x)
    arrays = [np.full(2, s) for s in (*shapes, -0.2, 1.3)]
    check_grads(f, (1.3 * x - 0.2, *arrays))


@families
def test_outside_of_the_support(name, scipys, x, shapes):
    """The density is 0 there, its logarithm -inf, and no gradient flows, however large the cotangent."""
    family = getattr(stats, name)
    for point in (family.low - 1, family.high + 1):
        if np.isinf(point):
            continue
        value, pull = zk.vjp(lambda x, *s: family.logpdf(x, *s), A([point]), *[A([s]) for s in shapes])
        gradients = pull(A([np.inf]))
        assert value == -np.inf
        assert all(g == 0 for g in gradients), point
        assert family.pdf(A([point])[0], *shapes).value == 0
        assert family.cdf(A([point]), *shapes).value == (0 if point < family.low else 1)


@families
def test_frozen_and_weak_numbers(name, scipys, x, shapes):
    family = getattr(stats, name)
    frozen = family(*shapes, loc=-0.2, scale=1.3)
    np.testing.assert_array_equal(frozen.logpdf(x).value, family.logpdf(x, *shapes, -0.2, 1.3).value)
    single = family.logpdf(x.astype(np.float32), *shapes, -0.2, 1.3)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.value, frozen.logpdf(x).value, rtol=1e-4)
    assert isinstance(family.logpdf(float(x[0]), *shapes).item(), float)


@families
def test_reparametrised_samples(name, scipys, x, shapes, scipy_stats):
    """They follow the distribution, and their gradient is that of differences with the same random numbers."""
    family, theirs = getattr(stats, name), getattr(scipy_stats, scipys)
    parameters = [*shapes, -0.2, 1.3]
    samples = family.rsample(zk.Generator(3), *parameters, shape=(2000,)).value
    assert scipy_stats.kstest(samples, theirs.cdf, args=tuple(parameters)).pvalue > 1e-3
    check_grads(lambda *p: family.rsample(zk.Generator(3), *p, shape=(3,)), tuple(A([p]) for p in parameters), order=1)
    narrow = family.rsample(zk.Generator(3), *[np.float32(p) for p in parameters], shape=(2000,))
    assert narrow.dtype == np.float32 and narrow.shape == (2000,)
    np.testing.assert_allclose(narrow.value, samples, rtol=1e-3, atol=1e-4)


@discrete
def test_discrete_values_and_gradients(name, scipys, k, values, scipy_stats):
    family, theirs = getattr(stats, name), getattr(scipy_stats, scipys)
    for ks in (A(k), A(k, float), A([0.5, 1.5])):
        np.testing.assert_allclose(family.logpmf(ks, *values).value, theirs.logpmf(ks, *values), rtol=1e-11)
        np.testing.assert_allclose(family.pmf(ks, *values).value, theirs.pmf(ks, *values), rtol=1e-11, atol=1e-300)
    start = 1 if name == "binomial" else 0  # the number of trials is a constant
    check_grads(
        lambda *p: family.logpmf(A([0, 1, 1]) + (name == "geometric"), *values[:start], *p),
        tuple(np.full(3, v) for v in values[start:]),
    )
    value, pull = zk.vjp(lambda p: family.logpmf(A([-1]), *values[:-1], p), A([values[-1]]))
    assert value == -np.inf and pull(A([np.inf]))[0] == 0


def test_poisson_cdf(scipy_stats):
    k, mu = A([0, 3, 3, -1]), A([0.5, 2.7, 50.0, 1.0])
    np.testing.assert_allclose(stats.poisson.cdf(k, mu).value, scipy_stats.poisson.cdf(k, mu), rtol=1e-12)
    np.testing.assert_allclose(stats.poisson.sf(k, mu).value, scipy_stats.poisson.sf(k, mu), rtol=1e-12)
    check_grads(lambda mu: stats.poisson.cdf(k[:2], mu), (mu[:2],))


def test_categorical():
    p = A([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    np.testing.assert_allclose(stats.categorical.pmf(A([1, 2]), p).value, [0.5, 0.3], rtol=1e-14)
    np.testing.assert_allclose(stats.categorical(logits=np.log(p)).logpmf(A([0, 0])).value, np.log(p[:, 0]), rtol=1e-14)
    check_grads(lambda z: stats.categorical.logpmf(A([1, 2]), logits=z), (np.log(p),))
    with pytest.raises(IndexError):
        stats.categorical.logpmf(A([1, 3]), p)
    with pytest.raises(ValueError, match="negative"):
        stats.categorical.logpmf(A([1, -1]), p)
    with pytest.raises(TypeError, match="either"):
        stats.categorical.logpmf(A([1, 1]))


MEAN, ROOT = A([0.3, -0.2]), A([[1.2, 0.0], [0.4, 0.8]])
POINTS = A([[0.1, 0.2], [1.0, -1.0], [0.0, 3.0]])


def test_multivariate_normal(scipy_stats):
    ours, theirs = stats.multivariate_normal, scipy_stats.multivariate_normal(MEAN, ROOT @ ROOT.T)
    np.testing.assert_allclose(ours.logpdf(POINTS, MEAN, ROOT @ ROOT.T).value, theirs.logpdf(POINTS), rtol=1e-12)
    np.testing.assert_allclose(ours.pdf(POINTS, MEAN, ROOT @ ROOT.T).value, theirs.pdf(POINTS), rtol=1e-12)
    np.testing.assert_allclose(ours.entropy(MEAN, ROOT @ ROOT.T).value, theirs.entropy(), rtol=1e-12)


def test_multivariate_normal_gradients():
    def with_root(method):
        return lambda x, mean, root: method(x, mean, op.matmul(root, op.matrix_transpose(root)))

    check_grads(with_root(stats.multivariate_normal.logpdf), (POINTS, MEAN, ROOT))
    check_grads(lambda r: stats.multivariate_normal.entropy(MEAN, op.matmul(r, op.matrix_transpose(r))), (ROOT,))
    with pytest.raises(np.linalg.LinAlgError):
        stats.multivariate_normal.logpdf(POINTS, MEAN, -np.eye(2))
    with pytest.raises(ShapeError, match=r"\(3, 3\)"):
        stats.multivariate_normal.logpdf(POINTS, MEAN, np.eye(3))


def test_multivariate_normal_samples():
    cov = ROOT @ ROOT.T
    z = stats.multivariate_normal(MEAN, cov).rsample(zk.Generator(1), shape=(20000,)).value
    assert z.shape == (20000, 2)
    np.testing.assert_allclose(np.cov(z.T), cov, atol=0.05)
    np.testing.assert_allclose(z.mean(0), MEAN, atol=0.03)


def test_dirichlet(scipy_stats):
    alpha, x = A([1.5, 0.8, 2.0]), A([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    truth = [scipy_stats.dirichlet.logpdf(row, alpha) for row in x]
    np.testing.assert_allclose(stats.dirichlet.logpdf(x, alpha).value, truth, rtol=1e-12)
    np.testing.assert_allclose(stats.dirichlet.pdf(x, alpha).value, np.exp(truth), rtol=1e-12)
    check_grads(stats.dirichlet.logpdf, (x, alpha))
    z = stats.dirichlet.rsample(zk.Generator(1), alpha, shape=(5000,)).value
    np.testing.assert_allclose(z.sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(z.mean(0), alpha / alpha.sum(), atol=0.02)


DIVERGENCES = (
    ("norm", (0.3, 1.2), (-0.4, 0.7)),
    ("lognorm", (0.5, 0.0, 1.3), (0.8, 0.0, 0.9)),
    ("laplace", (0.3, 1.2), (-0.4, 0.7)),
    ("expon", (0.0, 1.2), (0.0, 0.7)),
    ("gamma", (1.5, 0.0, 1.2), (2.3, 0.0, 0.7)),
    ("chi2", (3.5, 0.0, 1.0), (2.3, 0.0, 1.4)),
    ("beta", (1.5, 2.0), (2.3, 1.2)),
    ("uniform", (0.2, 0.5), (0.0, 1.0)),
)


@pytest.mark.parametrize(("name", "p", "q"), DIVERGENCES, ids=[row[0] for row in DIVERGENCES])
def test_divergence_is_the_integral(name, p, q):
    quad = pytest.importorskip("scipy.integrate", reason="the integral is SciPy's").quad
    family = getattr(stats, name)
    one, two = family(*p), family(*q)

    def integrand(x):
        height = one.logpdf(x).item()
        return np.exp(height) * (height - two.logpdf(x).item()) if height > -np.inf else 0.0

    low = 0.0 if family.low == 0 else -30.0
    high = {"beta": 1.0, "uniform": 0.7}.get(name, 120.0)
    low = 0.2 if name == "uniform" else low
    parts = np.linspace(low, high, 40)
    parts = np.unique(np.concatenate([parts, [v for v in (p[0], q[0]) if name == "laplace"]]))
    truth = sum(quad(integrand, a, b, epsabs=1e-12, epsrel=1e-10)[0] for a, b in zip(parts[:-1], parts[1:]))
    np.testing.assert_allclose(stats.kl_divergence(one, two).item(), truth, rtol=1e-7)
    np.testing.assert_allclose(stats.kl_divergence(one, one).item(), 0, atol=1e-14)


def test_divergences_of_discrete_families():
    k = np.arange(0, 400)
    for name, p, q in (("bernoulli", 0.3, 0.6), ("poisson", 2.5, 1.5), ("geometric", 0.3, 0.4)):
        family = getattr(stats, name)
        ks = k[:2] if name == "bernoulli" else k[1:]
        ks = k[:150] if name == "poisson" else ks
        a, b = family.logpmf(ks, p).value, family.logpmf(ks, q).value
        truth = np.sum(np.exp(a) * (a - b))
        np.testing.assert_allclose(stats.kl_divergence(family(p), family(q)).item(), truth, rtol=1e-10)
        check_grads(lambda p, q, family=family: stats.kl_divergence(family(p), family(q)), (A(p), A(q)))
    p, q = A([0.2, 0.5, 0.3]), A([0.4, 0.4, 0.2])
    found = stats.kl_divergence(stats.categorical(p), stats.categorical(q)).item()
    np.testing.assert_allclose(found, np.sum(p * np.log(p / q)), rtol=1e-13)


def test_divergences_of_vectors():
    cov = ROOT @ ROOT.T
    found = stats.kl_divergence(
        stats.multivariate_normal(MEAN, cov), stats.multivariate_normal(np.zeros(2), 2 * np.eye(2))
    )
    truth = 0.5 * (np.trace(cov) / 2 + MEAN @ MEAN / 2 - 2 + np.log(4 / np.linalg.det(cov)))
    np.testing.assert_allclose(found.item(), truth, rtol=1e-13)
    a, c = A([1.5, 0.8, 2.0]), A([1.0, 2.0, 0.5])
    z = stats.dirichlet.rsample(zk.Generator(1), a, shape=(40000,)).value
    estimate = np.mean(stats.dirichlet.logpdf(z, a).value - stats.dirichlet.logpdf(z, c).value)
    found = stats.kl_divergence(stats.dirichlet(a), stats.dirichlet(c))
    np.testing.assert_allclose(found.item(), estimate, rtol=0.03)


def test_divergences_that_are_refused():
    with pytest.raises(NotImplementedError, match="cauchy and norm"):
        stats.kl_divergence(stats.cauchy(), stats.norm())
    with pytest.raises(TypeError, match="float"):
        stats.kl_divergence(1.0, stats.norm())
    with pytest.raises(ValueError, match="same loc"):
        stats.kl_divergence(stats.expon(0.0), stats.expon(1.0))
    assert stats.kl_divergence(stats.uniform(0.0, 2.0), stats.uniform(0.0, 1.0)).item() == np.inf


def test_wrong_parameters():
    for call in (
        lambda: stats.t.logpdf(1.0),
        lambda: stats.norm.logpdf(1.0, 0.0, 1.0, 2.0),
        lambda: stats.norm.logpdf(1.0, 0.0, loc=1.0),
        lambda: stats.norm.logpdf(1.0, mean=1.0),
    ):
        with pytest.raises(TypeError, match="has the parameters"):
            call()
    with pytest.raises(AttributeError, match="quantile"):
        stats.norm().quantile(0.5)
    assert repr(stats.norm(0.0, 2.0)) == "norm(loc=0.0, scale=2.0)" and "df, loc, scale" in repr(stats.t)


def test_every_backend_agrees(backend):
    """Each family's logpdf and the gradient of its distribution function, on every library."""
    pytest.importorskip("scipy", reason="some families need SciPy's functions")
    with zk.use_backend(backend):
        for name, _, x, shapes in FAMILIES:
            family = getattr(stats, name)
            own = [backend.asarray(v) for v in (x, *[np.full(2, s) for s in shapes])]
            (truth,) = host([family.logpdf(x, *shapes)])
            np.testing.assert_allclose(host([family.logpdf(*own)])[0], truth, rtol=1e-11, err_msg=name)
            if shapes:
                found = zk.grad(lambda s, f=family, o=own: op.sum(f.cdf(o[0], s, *o[2:])))(own[1])
                truth = zk.grad(lambda s, f=family, x=x, r=shapes[1:]: op.sum(f.cdf(x, s, *r)))(np.full(2, shapes[0]))
                np.testing.assert_allclose(host([found])[0], truth, rtol=1e-10, err_msg=name)


def test_far_out_and_at_the_edges():
    """Logarithms stay finite where the probabilities do not, and their slopes are exact."""
    assert stats.norm.logsf(60.0).item() == pytest.approx(-1805.0135606805671, rel=1e-12)
    assert zk.grad(stats.norm.logcdf)(-1e6) == pytest.approx(1e6, rel=1e-11)
    assert zk.grad(lambda df: stats.t.cdf(0.0, df))(3.0) == 0
    assert stats.expon.logpdf(0.0).item() == 0 and stats.uniform.logpdf(1.0).item() == 0
    assert stats.gamma.pdf(0.0, 1.0).item() == 1 and stats.beta.pdf(1.0, 2.0, 1.0).item() == 2
    assert zk.grad(lambda p: stats.bernoulli.logpmf(0, p))(0.0) == -1
    assert zk.grad(lambda mu: stats.poisson.logpmf(0, mu))(0.0) == -1


def test_logarithms_of_probabilities_near_one_keep_their_digits():
    assert stats.gumbel.logsf(-3.0).item() == pytest.approx(-1.8921786966284627e-09, rel=1e-13)
    assert stats.t.logcdf(1e5, 3.0).item() == pytest.approx(-1.1026577904466279e-15, rel=1e-12)
    assert stats.laplace.logcdf(40.0).item() == pytest.approx(-2.1241771276457944e-18, rel=1e-13)
