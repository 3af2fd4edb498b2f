"""Special functions to the last digits: against values of 50 digits, with and without SciPy, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.points import host
from support.special_truths import TRUTHS
from zkynet import backends
from zkynet.backends import special as special_backend
from zkynet.backends.special import ON_HOST, Special
from zkynet.framework import op

s = op.special
# Name in the table, function, relative tolerance; "beside 1" for functions with zeros.
FUNCTIONS = {
    "erf": ("erf", 1e-15),
    "erfc": ("erfc", 1e-15),
    "erfcx": ("erfcx", 2e-15),
    "log_ndtr": ("log_ndtr", 1e-14),
    "erfinv": ("erfinv", 1e-15),
    "gammaln": ("gammaln", 2e-15),
    "digamma": ("digamma", 2e-15),
    "gamma": ("gamma", 3e-14),
    "zeta": ("zeta", 3e-15),
    "betaln": ("betaln", 3e-15),
    "stdtr": ("stdtr", 1e-13),
}
DERIVATIVES = {
    "trigamma": (lambda x: s.polygamma(1, x), 1e-14),
    "tetragamma": (lambda x: s.polygamma(2, x), 1e-13),
    "zeta_s": (lambda a, q: s.zeta_derivative(1, a, q), 1e-14),
    "gammainc_a": (lambda a, x: s.gammainc_moment(1, a, x), 1e-12),
    "betainc_a": (lambda a, b, x: s.betainc_moment(1, 0, a, b, x), 1e-12),
    "betainc_b": (lambda a, b, x: s.betainc_moment(0, 1, a, b, x), 1e-12),
    "stdtr_df": (s.stdtr_df, 1e-12),
    "kve_v": (lambda v, x: s.kve_order(1, v, x), 1e-12),
}


def columns(name):
    """The arguments and the values of a function in the table."""
    *arguments, truth = np.array(TRUTHS[name]).T
    return arguments, truth


def assert_near(got, truth, tolerance):
    """Relative to each value, or to 1 where the value is a zero of a function that has some."""
    np.testing.assert_allclose(got, truth, rtol=tolerance, atol=1e-300)


@pytest.fixture
def no_scipy(monkeypatch):
    """As if SciPy were not installed."""
    monkeypatch.setattr(special_backend, "scipy_special", lambda: None)
    monkeypatch.setattr("zkynet.backends.numpy_special.scipy_special", lambda: None)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_alone(name, no_scipy):
    """The own implementations, at the points where their pieces meet, near their zeros, and far out."""
    arguments, truth = columns(name)
    function, tolerance = FUNCTIONS[name]
    got = getattr(s, function)(*arguments).value
    near_zero = {"gammaln": arguments[0] < 0, "digamma": arguments[0] < 0}.get(name, np.zeros(len(truth), bool))
    assert_near(got[~near_zero], truth[~near_zero], tolerance)
    np.testing.assert_allclose(got[near_zero], truth[near_zero], rtol=1e-14, atol=1e-14)
    single = getattr(s, function)(*[a.astype(np.float32) for a in arguments]).value
    inside = [np.asarray(a, np.float32).astype(float) for a in arguments]
    assert single.dtype == np.float32
    with np.errstate(over="ignore", under="ignore"):
        wide = getattr(s, function)(*inside).value.astype(np.float32)
    np.testing.assert_array_equal(single, wide)  # computed in double precision and rounded once


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_backend(name, backend):
    arguments, truth = columns(name)
    (got,) = host([getattr(s, FUNCTIONS[name][0])(*[backend.asarray(a) for a in arguments])])
    normal = np.abs(truth) > 1e-290
    tolerance = 1e-11 if name in ("betaln", "erfinv") else 5e-13  # SciPy's, and JAX's
    np.testing.assert_allclose(got[normal], truth[normal], rtol=tolerance, atol=2e-13 if name != "erfc" else 0)


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_in_the_parameters(name, backend):
    arguments, truth = columns(name)
    f, tolerance = DERIVATIVES[name]
    (got,) = host([f(*[backend.asarray(a) for a in arguments])])
    np.testing.assert_allclose(got, truth, rtol=max(tolerance, 1e-13 if backend.name == "jax" else 0))


def test_derivatives_of_the_incomplete_functions_are_these_moments():
    for f, name, argument in ((s.gammainc, "gammainc_a", 0), (s.betainc, "betainc_a", 0), (s.betainc, "betainc_b", 1)):
        arguments, truth = columns(name)
        found = zk.grad(lambda *at, f=f: op.sum(f(*at)), argument)(*arguments)
        np.testing.assert_allclose(found, truth, rtol=1e-12)
    (a, x), truth = columns("gammaincc_aa")
    second = zk.grad(lambda a: op.sum(zk.grad(lambda a: op.sum(s.gammaincc(a, x)))(a)))(a)
    np.testing.assert_allclose(second, truth, rtol=1e-9)


def test_lambertw_on_its_lower_branch():
    pytest.importorskip("scipy", reason="lambertw is SciPy's")
    (x,), truth = columns("lambertw")
    np.testing.assert_allclose(s.lambertw(x, -1).value, truth, rtol=1e-14)
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(s.lambertw(x, -1)))(x), truth / (x * (1 + truth)), rtol=1e-11)
    assert np.isnan(s.lambertw(-0.5).item())


@pytest.mark.parametrize("name", ["gammainc", "gammaincc", "betainc", "kve", "erfcx", "ndtri", "beta", "polygamma"])
def test_portable_is_scipys(name):
    """What NumPy alone computes is what SciPy computes, also beyond the table."""
    scipy = pytest.importorskip("scipy.special", reason="compared with SciPy")
    rng = np.random.default_rng(0)
    a, b, u = 10 ** rng.uniform(-2, 2, 200), 10 ** rng.uniform(-2, 2, 200), rng.uniform(size=200)
    arguments = {"betainc": (a, b, u), "erfcx": (a,), "ndtri": (u,), "polygamma": (3, a), "kve": (3 * u, b)}
    at = arguments.get(name, (a, b))
    portable = getattr(Special, name)(backends.get("numpy").special, *at)
    np.testing.assert_allclose(portable, getattr(scipy, name)(*at), rtol=3e-12, atol=1e-290)


def test_what_only_scipy_has_says_so(no_scipy):
    for name in ("j0", "iv", "gammaincinv", "sici", "expn"):
        arguments = {"iv": (1.5, 0.5), "gammaincinv": (1.5, 0.5), "expn": (2, 0.5)}.get(name, (0.5,))
        with pytest.raises(ImportError, match=f"special.{name} .*\n  pip install scipy"):
            getattr(s, name)(*arguments)


def test_no_derivative_in_some_orders():
    pytest.importorskip("scipy", reason="iv is SciPy's")
    for f in (lambda v: s.iv(v, 1.0), lambda a: s.hyp1f1(a, 1.5, 0.5), lambda a: s.hyp2f1(1.0, a, 1.5, 0.5)):
        with pytest.raises(TypeError, match="no vector-Jacobian product"):
            zk.grad(f)(0.7)


def test_host_functions_inside_compiled_ones():
    """JAX calls SciPy back for what it lacks, at every order and with leading axes."""
    pytest.importorskip("scipy", reason="j0 is SciPy's")
    from support import backends as backends_here

    jax = backends_here.get("jax")
    x = jax.asarray(np.array([0.5, 1.5]))
    for f in (s.j0, lambda x: s.jn(2, x), lambda x: s.gammaincinv(2.0, x / 2), s.lambertw):
        twice = zk.hessian(lambda x, f=f: op.sum(f(x)))
        np.testing.assert_allclose(np.asarray(jax.compile(twice)(x)), np.asarray(twice(x)), rtol=1e-12)


def test_every_function_of_the_list_is_on_the_host():
    scipy = pytest.importorskip("scipy.special", reason="the list is of SciPy's names")
    assert all(hasattr(scipy, name) for name in ON_HOST)
    assert set(s.__all__) <= set(vars(s))
