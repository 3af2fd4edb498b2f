"""Transforms inside transforms: no perturbation is taken for another."""

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import op

grad, jvp, vjp = zk.grad, zk.jvp, zk.vjp
X = np.array([0.3, 0.7])


def d(f):
    """The derivative of a function of one number, by forward mode."""
    return lambda x: jvp(f, (x,), (1.0,))[1]


DERIVATIVES = {"grad": grad, "jvp": d, "jacobian": zk.jacobian, "forward": lambda f: zk.jacobian(f, mode="fwd")}


@pytest.fixture(params=DERIVATIVES)
def outer(request):
    return DERIVATIVES[request.param]


@pytest.fixture(params=DERIVATIVES)
def inner(request):
    return DERIVATIVES[request.param]


def test_the_classic_case_of_perturbation_confusion(outer, inner):
    """Siskind and Pearlmutter 2005: d/dx (x * d/dy (x + y)) is 1, and 2 where perturbations are confused."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0


def test_products_of_outer_and_inner(outer, inner):
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    assert outer(lambda x: inner(lambda y: x * y * y)(x))(3.0) == 12.0
    assert outer(lambda x: inner(lambda x: x * x)(x) * x)(3.0) == 12.0


def test_three_levels(outer, inner):
    # d/dx of x * d/dy (y * d/dz (x y z) at y) at x = x * d/dy (x y^2) = 2 x^3
    assert outer(lambda x: x * inner(lambda y: y * outer(lambda z: x * y * z)(y))(x))(2.0) == 24.0


def test_third_derivatives():
    assert grad(grad(grad(lambda x: x**5)))(2.0) == 240.0
    assert d(grad(d(lambda x: x**5)))(2.0) == 240.0
    cubes = zk.jacobian(zk.hessian(lambda x: op.sum(x**4)))(X)
    np.testing.assert_allclose(cubes[0, 0, 0], 24 * X[0])
    assert np.count_nonzero(cubes) == 2


def test_fourth_derivative_of_a_function_with_many_terms():
    f = lambda x: op.sin(x) * op.exp(x)  # noqa: E731
    np.testing.assert_allclose(grad(grad(grad(grad(f))))(0.4), -4 * np.sin(0.4) * np.exp(0.4))


def test_forward_over_reverse_is_reverse_over_forward():
    def f(x):
        return op.sum(op.sin(x) * x[0] * op.exp(x[1]))

    v = np.array([0.2, -1.0])
    reverse_over_forward = grad(lambda x: jvp(f, (x,), (v,))[1])(X)
    np.testing.assert_allclose(jvp(grad(f), (X,), (v,))[1], reverse_over_forward)
    np.testing.assert_allclose(zk.hvp(f, (X,), (v,))[0], reverse_over_forward)
    np.testing.assert_allclose(zk.hessian(f)(X) @ v, reverse_over_forward)


def test_jacobian_of_a_gradient_of_a_jvp():
    found = zk.jacobian(grad(lambda x: op.sum(jvp(lambda y: op.sin(y) * x, (x,), (x,))[1])))(X)
    # sum(x^2 cos x): second derivative (2 - x^2) cos x - 4 x sin x
    np.testing.assert_allclose(found, np.diag((2 - X**2) * np.cos(X) - 4 * X * np.sin(X)))


def test_hessian_of_a_hessian_vector_product():
    found = zk.hessian(lambda x: zk.hvp(lambda y: op.sum(y**4), (x,), (np.ones(2),))[0][0])(X)
    np.testing.assert_allclose(found, [[24.0, 0.0], [0.0, 0.0]])


def test_a_pullback_from_outside_is_differentiated():
    _, pull = vjp(lambda x: x * x, 5.0)
    assert grad(lambda c: pull(c)[0] * c)(3.0) == 2 * 10.0 * 3.0
    assert d(lambda c: pull(c)[0] * c)(3.0) == 2 * 10.0 * 3.0


def test_a_pullback_is_differentiated_in_point_and_cotangent():
    def f(x, c):
        return vjp(lambda y: y**3, x)[1](c)[0]

    assert grad(f, argnums=(0, 1))(2.0, 5.0) == (6 * 2.0 * 5.0, 3 * 4.0)


def test_a_pullback_made_inside_and_called_further_inside():
    def f(x):
        _, pull = vjp(lambda y: y * y, x)
        return grad(lambda c: pull(c)[0] * c)(x)  # d/dc of 2 x c^2 at c = x: 4 x^2

    assert grad(f)(3.0) == 24.0


def test_tangent_and_point_depend_on_the_same_value():
    assert grad(lambda x: jvp(lambda y: y**3, (x,), (x,))[1])(2.0) == 36.0
    assert grad(lambda x: jvp(lambda y: y**3, (2.0,), (x,))[1])(2.0) == 12.0


def test_a_closure_over_the_outer_value_in_every_inner_transform():
    cases = {
        "grad": lambda x: grad(lambda y: y * y * x)(3.0),
        "value": lambda x: zk.value_and_grad(lambda y: y * x)(3.0)[0],
        "vjp": lambda x: vjp(lambda y: y * y * x, 3.0)[1](1.0)[0],
        "jvp": lambda x: jvp(lambda y: y * y * x, (3.0,), (1.0,))[1],
        "jacobian": lambda x: zk.jacobian(lambda y: y * y * x)(3.0),
        "hessian": lambda x: zk.hessian(lambda y: y * y * x)(3.0),
        "hvp": lambda x: zk.hvp(lambda y: y**3 * x, (1.0,), (1.0,))[0],
        "aux": lambda x: zk.grad(lambda y: (y, x * 5.0), has_aux=True)(3.0)[1],
    }
    expected = {"grad": 6, "value": 3, "vjp": 6, "jvp": 6, "jacobian": 6, "hessian": 2, "hvp": 6, "aux": 5}
    assert {name: grad(f)(2.0) for name, f in cases.items()} == expected
    assert {name: d(f)(2.0) for name, f in cases.items()} == expected


def test_an_inner_transform_of_a_constant_has_gradient_zero():
    assert grad(lambda x: grad(lambda y: y * y)(3.0) + 0.0 * x)(2.0) == 0.0
    assert grad(lambda x: grad(lambda y: y * y)(3.0))(2.0) == 0.0


def test_an_inner_function_that_ignores_its_argument():
    assert grad(lambda x: grad(lambda y: x * x)(3.0) * x)(2.0) == 0.0
    assert grad(lambda x: jvp(lambda y: x * x, (3.0,), (1.0,))[1] + x)(2.0) == 1.0


def test_the_result_inside_a_transform_is_a_tensor_and_outside_an_array():
    kinds = []

    def f(x):
        kinds.append(type(grad(lambda y: op.sum(y * y))(x)))
        return op.sum(x)

    grad(f)(X)
    kinds.append(type(grad(lambda y: op.sum(y * y))(X)))
    assert kinds == [zk.Tensor, np.ndarray]


def test_no_grad_inside_makes_an_inner_gradient_a_constant():
    def f(x):
        with zk.no_grad():
            c = grad(lambda y: y * y)(x)
        return c * x

    assert grad(f)(3.0) == 6.0


def test_no_grad_as_a_decorator():
    @zk.no_grad()
    def square(x):
        return x * x

    assert grad(lambda x: square(x) * x)(3.0) == 9.0
    assert square.__name__ == "square"
    assert grad(lambda x: x * x)(3.0) == 6.0


def test_a_transform_inside_no_grad_records():
    with zk.no_grad():
        assert grad(lambda x: x**3)(2.0) == 12.0
        assert grad(grad(lambda x: x**3))(2.0) == 12.0
        assert zk.hessian(lambda x: x**3)(2.0) == 12.0


def test_an_outer_transform_of_no_grad_inside_an_inner_one():
    def f(x):
        def g(y):
            with zk.no_grad():
                c = x * y
            return c * y * x

        return grad(g)(x)  # c x with c = x^2 held constant: its derivative sees only the last x

    assert grad(f)(2.0) == 4.0


def test_derivatives_with_respect_to_an_array_and_a_number_at_once():
    def f(x, s):
        return op.sum(grad(lambda y: op.sum(y**3) * s)(x))

    found, ds = grad(f, argnums=(0, 1))(X, 2.0)
    np.testing.assert_allclose(found, 12 * X)
    np.testing.assert_allclose(ds, 3 * np.sum(X**2))


def test_recursion_of_a_differentiated_function():
    def power(x, n):
        return x if n == 1 else x * grad(lambda y: power(y, n - 1) * y / n)(x)

    # power(x, 2) = x * d/dy (y^2 / 2) = x^2; power(x, 3) = x * d/dy (y^3 / 3) = x^3
    assert grad(lambda x: power(x, 3))(2.0) == 12.0


def test_on_every_backend(backend):
    x = backend.asarray(X)
    f = lambda x: op.sum(op.sin(x) * x)  # noqa: E731
    expected = np.diag(2 * np.cos(X) - X * np.sin(X))
    for hessian in (
        zk.hessian(f),
        zk.jacobian(grad(f), mode="fwd"),
        zk.jacobian(lambda x: zk.jacobian(f, mode="fwd")(x), mode="rev"),
        zk.jacobian(lambda x: vjp(f, x)[1](1.0)[0]),
    ):
        found = hessian(x)
        assert backend.owns(found)
        np.testing.assert_allclose(backend.to_numpy(found), expected, atol=1e-12)
