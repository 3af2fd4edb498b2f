"""custom_vjp: functions with a rule of their own."""

import numpy as np
import pytest

import zkynet as zk
from zkynet.errors import NotDifferentiableError, VJPShapeError
from zkynet.framework import op

X = np.array([1.0, 2.0, 3.0])


@zk.custom_vjp
def cube(x):
    """The third power."""
    return x * x * x


@cube.defvjp
def _(g, y, x):
    return (3 * g * x * x,)


@zk.custom_vjp
def scaled(x, s):
    return x * s


@scaled.defvjp
def _(g, y, x, s):
    return g * s, op.sum(g * x)


@zk.custom_vjp
def clipped_gradient(x):
    return x * 1.0


@clipped_gradient.defvjp
def _(g, y, x):
    return (op.clip(g, -1.0, 1.0),)


def test_first_order():
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(cube(x)))(X), 3 * X**2)
    assert zk.grad(cube)(2.0) == 12.0
    dx, ds = zk.grad(lambda x, s: op.sum(scaled(x, s)), argnums=(0, 1))(X, 2.0)
    np.testing.assert_array_equal(dx, [2.0, 2.0, 2.0])
    assert ds == 6.0


def test_the_rule_is_used_and_not_the_function():
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(clipped_gradient(x) * X))(X), [1.0, 1.0, 1.0])


def test_higher_orders_differentiate_the_rule():
    np.testing.assert_array_equal(zk.hessian(lambda x: op.sum(cube(x)))(X), np.diag(6 * X))
    assert zk.grad(zk.grad(zk.grad(cube)))(2.0) == 6.0


def test_forward_mode_follows_from_the_rule():
    np.testing.assert_array_equal(zk.jvp(cube, (X,), (X,))[1], 3 * X**3)
    np.testing.assert_array_equal(zk.jvp(scaled, (X, 2.0), (X, 1.0))[1], 2 * X + X)
    np.testing.assert_array_equal(zk.jvp(lambda x: scaled(x, op.sum(x)), (X,), (np.ones(3),))[1], 6.0 + 3 * X)
    assert zk.jvp(zk.grad(cube), (2.0,), (1.0,))[1] == 12.0


@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_jacobians(mode):
    np.testing.assert_array_equal(zk.jacobian(cube, mode=mode)(X), np.diag(3 * X**2))
    np.testing.assert_array_equal(zk.jacobian(zk.jacobian(cube, mode=mode), mode="rev")(X)[1, 1, 1], 12.0)
    np.testing.assert_array_equal(zk.jacobian(lambda s: scaled(X, s), mode=mode)(2.0), X)


def test_outside_a_transform_it_is_the_function():
    np.testing.assert_array_equal(cube(X).value, X**3)
    assert cube(2.0).value == 8.0
    assert cube.__name__ == "cube" and cube.__doc__ == "The third power."


def test_no_derivative_for_an_argument():
    @zk.custom_vjp
    def f(x, y):
        return x * y

    f.defvjp(lambda g, y, a, b: (g * b, None))
    dx, dy = zk.grad(lambda x, y: op.sum(f(x, y)), argnums=(0, 1))(X, X)
    np.testing.assert_array_equal(dx, X)
    np.testing.assert_array_equal(dy, np.zeros(3))
    np.testing.assert_array_equal(zk.jvp(f, (X, X), (X, X))[1], X * X)


def test_an_integer_argument():
    @zk.custom_vjp
    def f(x, n):
        return x**2

    f.defvjp(lambda g, y, x, n: (g * 2 * x, None))
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(f(x, np.array([1, 2]))))(X), 2 * X)


def test_a_missing_rule():
    f = zk.custom_vjp(lambda x: x * 2)
    with pytest.raises(NotDifferentiableError, match="no rule yet"):
        zk.grad(lambda x: op.sum(f(x)))(X)


def test_a_wrong_number_of_cotangents():
    f = zk.custom_vjp(lambda a, b: a * b)
    f.defvjp(lambda g, y, a, b: g * b)
    with pytest.raises(NotDifferentiableError, match="returned 1 cotangents.\n  expected: 2"):
        zk.grad(lambda x: op.sum(f(x, x)))(X)


@pytest.mark.parametrize("transform", [zk.grad, zk.hessian, lambda f: lambda x: zk.jvp(f, (x,), (x,))])
def test_a_cotangent_of_the_wrong_shape(transform):
    @zk.custom_vjp
    def summing(x):
        return x * 2

    summing.defvjp(lambda g, y, x: (op.sum(g),))
    with pytest.raises(VJPShapeError, match=r"summing.*\n  got:      \(\)\n  expected: \(3,\), .*argument 0"):
        transform(lambda x: op.sum(summing(x)))(X)


def test_a_tracked_value_from_outside_is_refused():
    p = zk.Parameter("p", X)
    with pytest.raises(NotDifferentiableError, match="pass the value as an argument"):
        zk.grad(lambda x: op.sum(zk.custom_vjp(lambda y: y * x)(X)))(X)
    with pytest.raises(NotDifferentiableError, match="pass the value as an argument"):
        zk.grad(lambda _: op.sum(zk.custom_vjp(lambda y: y * p)(X)))(p)
    with pytest.raises(NotDifferentiableError, match="pass the value as an argument"):
        zk.grad(lambda x: op.sum(zk.custom_vjp(lambda y: zk.grad(lambda z: op.sum(z * x))(y))(X)))(X)


def test_a_rule_may_read_tracked_values_from_outside():
    def f(s):
        g = zk.custom_vjp(lambda x: x * 2.0)
        g.defvjp(lambda g, y, x: (g * s,))
        return op.sum(zk.grad(lambda x: op.sum(g(x)))(X))

    assert zk.grad(f)(5.0) == 3.0


def test_transforms_inside_the_function_are_its_own_affair():
    """The root of x^2 = a by Newton's method, differentiated by the implicit function theorem."""

    @zk.custom_vjp
    def root(a):
        x = a.value
        for _ in range(40):
            value, slope = zk.value_and_grad(lambda x: x * x - a)(x)
            x = x - value / slope
        return x

    root.defvjp(lambda g, y, a: (g / (2 * y),))
    np.testing.assert_allclose(zk.grad(root)(2.0), 0.5 / np.sqrt(2.0))
    np.testing.assert_allclose(zk.grad(zk.grad(root))(2.0), -0.25 * 2.0**-1.5)


def test_several_results_are_refused():
    f = zk.custom_vjp(lambda x: (x, x))
    with pytest.raises(TypeError, match="returns one array"):
        f(X)


def test_the_result_shares_no_memory_with_the_callers_arrays():
    kept = np.ones(3)
    for f in (lambda x: x, lambda x: x[::-1], lambda x: x.reshape((3, 1)), lambda x: x.value, lambda x: kept):
        x = X.copy()
        y = zk.custom_vjp(f)(x)
        expected = np.array(y.value)
        x[:] = 9.0
        kept[:] = 9.0
        np.testing.assert_array_equal(y.value, expected)
        kept[:] = 1.0


def test_numpy_may_be_used_in_the_function():
    f = zk.custom_vjp(lambda x: np.sin(x.value))
    f.defvjp(lambda g, y, x: (g * op.cos(x),))
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(f(x)))(X), np.cos(X))


def test_complex_arguments():
    f = zk.custom_vjp(lambda z: z * z)
    f.defvjp(lambda g, y, z: (2 * g * z,))
    assert zk.grad(lambda z: op.real(f(z)))(1 + 2j) == zk.grad(lambda z: op.real(z * z))(1 + 2j)


def test_on_every_backend(backend):
    x = backend.asarray(X)
    for found in (zk.grad(lambda x: op.sum(cube(x)))(x), zk.jvp(cube, (x,), (backend.asarray(np.ones(3)),))[1]):
        np.testing.assert_array_equal(backend.to_numpy(found), 3 * X**2)
