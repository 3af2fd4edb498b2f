"""Every row of the case table: values against NumPy, first and second derivatives against differences of values."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.cases import DIFFERENTIABLE, ROWS
from support.layouts import backwards, columns_first, with_gaps
from support.numeric import inner
from support.points import assert_close, host, op_function, own, points, pull, push
from zkynet.framework import op

# How many samples of a row are differentiated; one on other backends: their libraries compile for each new shape.
FEW = {"numpy": None, "array_api_strict": 4}
COMPLEX = [row.name for row in DIFFERENTIABLE if row.complex]
names = pytest.mark.parametrize("name", [row.name for row in ROWS])
differentiable = pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE])


def few(name, xp, is_complex=False):
    """The points of a row that are differentiated on a backend; Python numbers alone are computed on the host."""
    found = [p for p in points(name, is_complex) if p.differentiable and not (p.weak and not xp.is_host)]
    return found[: FEW.get(xp.name.split(":")[0], 1)]


@pytest.fixture(autouse=True)
def default_backend(request):
    """Python numbers and creation functions go to the backend under test."""
    if "backend" not in request.fixturenames:
        yield
        return
    with zk.use_backend(request.getfixturevalue("backend")):
        yield


@names
def test_forward_is_numpys(name, backend):
    found = points(name)
    step = -(-len(found) // 6) if backend.name == "jax" else 1  # it compiles for each new shape
    for point in found[::step]:
        y = point.row.call(op, own(backend, point.sample.operands), point.sample.settings)
        y = list(y) if isinstance(y, tuple) else [y]
        truth = point.truth()
        assert_close(y, truth, 1e-12, point.sample)
        assert [a.dtype for a in host(y)] == [b.dtype for b in truth], point.sample
        arrays = [v for v in y if isinstance(v, zk.Tensor) and hasattr(v.value, "dtype")]
        assert all(backend.owns(v.value) or point.weak for v in arrays), point.sample


@differentiable
def test_first_derivatives(name, backend):
    for point in few(name, backend):
        check_first(point, backend)


def check_first(point, backend):
    f, x, g, v = op_function(point), own(backend, point.inputs), own(backend, point.g), own(backend, point.v)
    value, pullback = zk.vjp(f, *x)
    gradients = pullback(g)
    assert_close(value, point.truth(), 1e-12, point.sample)
    assert_close(gradients, point.gradients, 1e-8, point.sample)
    _, tangents = zk.jvp(f, x, v)
    assert_close(tangents, point.tangents, 1e-8, point.sample)
    left, right = inner(host(g), host(tangents)), inner(host(gradients), host(v))
    np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-10, err_msg=point.sample)
    for now, before in zip(host([*x, *g, *v]), host([*point.inputs, *point.g, *point.v])):
        assert now.tobytes() == before.tobytes(), point.sample  # nothing was written to
    for again, once in zip(host(pullback(g)), host(gradients)):
        assert again.tobytes() == once.tobytes(), point.sample  # a pullback may be called any number of times


@differentiable
def test_second_derivatives(name, backend):
    for point in few(name, backend):
        check_second(point, backend)


def check_second(point, backend):
    f, x, g, v = op_function(point), own(backend, point.inputs), own(backend, point.g), own(backend, point.v)
    n = len(x)

    def gradients(*at):
        return zk.vjp(f, *at[:n])[1](list(at[n:]))

    # Reverse over reverse: the pullback, differentiated with respect to the point and the cotangent.
    _, second = zk.vjp(gradients, *x, *g)
    found = second(tuple(v))
    tolerance = 2e-6 * point.row.tolerance
    assert_close(found[:n], point.curvature, tolerance, point.sample)
    assert_close(found[n:], point.tangents, 1e-8, point.sample)
    if backend.name == "jax":
        return
    # Forward over reverse, and reverse over forward: the same numbers by other ways.
    _, moved = zk.jvp(lambda *at: gradients(*at, *g), x, v)
    assert_close(moved, found[:n], 1e-9, point.sample)
    _, back = zk.vjp(lambda *at: zk.jvp(f, at, v)[1], *x)
    assert_close(back(g), found[:n], 1e-9, point.sample)
    # Forward over forward: <g, d2f(v, v)> = <v, H v>.
    _, twice = zk.jvp(lambda *at: zk.jvp(f, at, v)[1], x, v)
    left, right = inner(point.g, host(twice)), inner(point.v, host(found[:n]))
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9, err_msg=point.sample)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_derivatives(name, backend):
    """The gradient of Re <g, f> is dL/dRe + i dL/dIm."""
    for point in few(name, backend, is_complex=True):
        check_first(point, backend)
        check_second(point, backend)


@pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE if not row.by_value])
def test_compiled_gives_what_eager_gives(name):
    """A function that JAX compiles, with its differentiation inside."""
    jax = backends_here.get("jax")
    point = few(name, jax)[0]
    f, x, g = op_function(point), own(jax, point.inputs), own(jax, point.g)

    def both(x, g):
        value, pullback = zk.vjp(f, *x)
        return value, pullback(g)

    value, gradients = jax.compile(both)(x, g)
    assert_close(value, point.truth(), 1e-12, point.sample)
    assert_close(gradients, point.gradients, 1e-8, point.sample)


LEADS = ((3,), (2, 1))


@differentiable
def test_batched_cotangents_are_looped_ones(name, backend):
    for point in few(name, backend):
        f, x = op_function(point), own(backend, point.inputs)
        for lead in LEADS[: 1 if backend.name == "jax" else None]:
            for sweep, ones in ((pull, point.g), (push, point.v)):
                check_batched(backend, sweep, f, x, ones, lead, point.sample)


def check_batched(backend, sweep, f, x, ones, lead, what):
    rng = np.random.default_rng(0)
    whole = [rng.normal(size=lead + np.shape(one)).astype(np.asarray(one).dtype) for one in ones]
    rows = [[part[spot] for part in whole] for spot in np.ndindex(*lead)]
    loops = [sweep(f, x, own(backend, [np.asarray(part) for part in row])) for row in rows]
    for traced in (False, True):
        batch = sweep(f, x, own(backend, whole), lead, traced)
        for k, found in enumerate(batch):
            if found is None:
                assert loops[0][k] is None, what
                continue
            looped = np.stack(host([row[k] for row in loops]))
            assert_close([found], [looped.reshape(lead + looped.shape[1:])], 1e-12, f"{what}, traced={traced}")


@differentiable
def test_second_derivatives_with_batched_cotangents(name):
    """The Jacobian of a gradient: rows or columns go through the recorded sweep all at once."""
    for point in few(name, zk.backends.get("numpy")):
        if all(isinstance(x, np.ndarray) for x in point.inputs) and sum(x.size for x in point.inputs) <= 12:
            check_jacobian_of_gradient(point)


def check_jacobian_of_gradient(point):
    f, x, v = op_function(point), point.inputs, point.v

    def gradient(*at):
        return zk.vjp(f, *at)[1](point.g)

    everything = tuple(range(len(x)))
    _, moved = zk.jvp(gradient, x, v)
    for mode in ("rev", "fwd"):
        blocks = zk.jacobian(gradient, everything, mode=mode)(*x)
        product = [sum(np.tensordot(block, t, t.ndim) for block, t in zip(row, v)) for row in blocks]
        assert_close(product, moved, 1e-9, f"{point.sample}, {mode}")


@differentiable
def test_layout_in_memory_does_not_matter(name):
    """Fortran order, gaps and negative strides give what contiguous arrays give."""
    for point in few(name, zk.backends.get("numpy")):
        f = op_function(point)
        if not any(isinstance(x, np.ndarray) and x.ndim for x in point.inputs):
            continue
        for layout in (columns_first, with_gaps, backwards):
            x = [layout(a) if isinstance(a, np.ndarray) else a for a in point.inputs]
            value, pullback = zk.vjp(f, *x)
            g = [layout(a) for a in point.g]
            assert_close(value, point.truth(), 1e-12, f"{point.sample}, {layout.__name__}")
            plain = zk.vjp(f, *point.inputs)[1](point.g)
            assert_close(pullback(g), plain, 1e-12, f"{point.sample}, {layout.__name__}")
