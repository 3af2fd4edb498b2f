"""Operator subclasses of one's own: what the engine makes of their declarations, and what it refuses."""

import numpy as np
import pytest

import zkynet as zk
from zkynet.errors import NotDifferentiableError, VJPShapeError
from zkynet.framework import op

X = np.array([1.0, 2.0, 3.0])
A = np.arange(1.0, 5.0).reshape(2, 2)


class Product(zk.Operator):
    def forward(self, xp, a, b):
        return a * b

    def vjp_a(self, xp, g, b):
        return g * b

    def vjp_b(self, xp, g, a):
        return g * a


class Power(zk.Operator):
    """A setting, and no JVP rule: forward mode by the double-VJP construction."""

    def __init__(self, n):
        self.n = n

    def forward(self, xp, x):
        return xp.cumulative_sum(x**self.n)

    def vjp_x(self, xp, g, x):
        return xp.cumulative_sum(g, axis=-1, reverse=True) * (self.n * x ** (self.n - 1))


class Squared(zk.Operator):
    """x @ x, with a rule that takes no leading axes."""

    batched = False

    def forward(self, xp, x):
        return xp.matmul(x, x)

    def vjp_x(self, xp, g, x):
        assert len(g.shape) == 2
        t = xp.matrix_transpose(x)
        return xp.matmul(g, t) + xp.matmul(t, g)


class Joined(zk.Operator):
    def forward(self, xp, *arrays):
        return xp.concat(arrays, axis=-1)

    def vjp_arrays(self, xp, g, i, arrays_spec):
        start = sum(a.shape[-1] for a in arrays_spec[:i])
        return g[..., start : start + arrays_spec[i].shape[-1]]


class SinCos(zk.Operator):
    outputs = 2

    def forward(self, xp, x):
        return xp.sin(x), xp.cos(x)

    def vjp_x(self, xp, g, y):
        (gs, gc), (s, c) = g, y
        return gs * c - gc * s


def test_rules_are_found_by_name():
    a, b = zk.grad(lambda a, b: op.sum(Product()(a, b)), argnums=(0, 1))(X, 2 * X)
    np.testing.assert_array_equal(a, 2 * X)
    np.testing.assert_array_equal(b, X)
    np.testing.assert_array_equal(zk.hessian(lambda x: op.sum(Product()(x, x)))(X), 2 * np.eye(3))


def test_settings():
    expected = 3 * X**2 * np.array([3.0, 2.0, 1.0])
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(Power(3)(x)))(X), expected)
    assert repr(Power(3)) == "Power(n=3)"


@pytest.mark.parametrize("operator", [Power(3), SinCos()], ids=repr)
def test_forward_mode_without_jvp_rules(operator):
    back, forward = zk.jacobian(operator, mode="rev")(X), zk.jacobian(operator, mode="fwd")(X)
    np.testing.assert_allclose(forward, back)
    np.testing.assert_allclose(zk.jvp(operator, (X,), (X,))[1], back @ X)
    nested = zk.jvp(lambda x: zk.jvp(operator, (x,), (np.ones(3),))[1], (X,), (X,))[1]
    np.testing.assert_allclose(nested, zk.jacobian(lambda x: op.sum(op.stack(zk.jacobian(operator)(x)), -1))(X) @ X)


def test_a_rule_without_leading_axes_is_looped():
    for mode in ("rev", "fwd"):
        np.testing.assert_allclose(zk.jacobian(Squared(), mode=mode)(A), zk.jacobian(lambda x: x @ x)(A))
    f, plain = lambda x: op.sum(Squared()(x) ** 2), lambda x: op.sum((x @ x) ** 2)
    np.testing.assert_allclose(zk.hessian(f)(A), zk.hessian(plain)(A))
    np.testing.assert_allclose(zk.jacobian(zk.hessian(f))(A), zk.jacobian(zk.hessian(plain))(A))
    assert zk.jacobian(lambda x: Squared()(x)[0:0], mode="rev")(A).shape == (0, 2, 2, 2)


def test_many_inputs_of_one_name():
    weights = np.arange(8.0)
    a, b = zk.grad(lambda a, b: op.sum(Joined()(a, X, b) * weights), argnums=(0, 1))(X, np.ones(2))
    np.testing.assert_array_equal(a, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(b, [6.0, 7.0])
    same = zk.jacobian(lambda a: Joined()(a, X, a), mode="fwd")(np.ones(2))
    np.testing.assert_array_equal(same, np.concatenate([np.eye(2), np.zeros((3, 2)), np.eye(2)]))


def test_several_outputs():
    def f(x):
        s, c = SinCos()(x)
        return op.sum(s * c)

    np.testing.assert_allclose(zk.grad(f)(X), np.cos(2 * X))
    np.testing.assert_allclose(zk.hessian(f)(X), np.diag(-2 * np.sin(2 * X)), atol=1e-12)
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(SinCos()(x)[1]))(X), -np.sin(X))
    np.testing.assert_allclose(zk.vjp(SinCos(), X)[1]((X, X))[0], X * np.cos(X) - X * np.sin(X))
    np.testing.assert_allclose(zk.grad(lambda x: SinCos()(x)[0])(2.0), np.cos(2.0))


def test_one_output_of_several_is_an_integer():
    class Top(zk.Operator):
        outputs = 2

        def forward(self, xp, x):
            return xp.max(x), xp.argmax(x)

        def vjp_x(self, xp, g, y, x_spec):
            return g[0] * xp.astype(xp.arange(x_spec.shape[0]) == y[1], x_spec.dtype)

    np.testing.assert_array_equal(zk.grad(lambda x: Top()(x)[0] * Top()(x)[1])(X), [0.0, 0.0, 2.0])


def test_a_cotangent_of_the_wrong_shape():
    class MyOp(Product):
        def vjp_b(self, xp, g, a):
            return xp.sum(g * a, axis=0)

    with pytest.raises(VJPShapeError) as caught:
        zk.grad(lambda b: op.sum(MyOp()(np.ones((4, 3)), b)))(np.ones((4, 3)))
    assert str(caught.value) == (
        "MyOp.vjp_b returned a cotangent of the wrong shape.\n"
        "  got:      (3,)\n"
        "  expected: (4, 3) = () leading + (4, 3) input b\n"
        "If the operator broadcasts its inputs, set broadcasts = True."
    )
    with pytest.raises(VJPShapeError, match=r"\(12,\) leading \+ \(4, 3\) input b"):
        zk.jacobian(lambda b: MyOp()(np.ones((4, 3)), b), mode="rev")(np.ones((4, 3)))


def test_broadcasting_has_to_be_declared():
    with pytest.raises(VJPShapeError, match="broadcasts = True"):
        zk.grad(lambda b: op.sum(Product()(np.ones((4, 3)), b)))(X)

    class Broadcasting(Product):
        broadcasts = True

    np.testing.assert_array_equal(zk.grad(lambda b: op.sum(Broadcasting()(np.ones((4, 3)), b)))(X), [4.0, 4.0, 4.0])


def test_a_missing_rule():
    class OnlyA(zk.Operator):
        def forward(self, xp, a, b):
            return a * b

        def vjp_a(self, xp, g, b):
            return g * b

    np.testing.assert_array_equal(zk.grad(lambda a: op.sum(OnlyA()(a, X)))(X), X)
    for way in (
        lambda: zk.grad(lambda b: op.sum(OnlyA()(X, b)))(X),
        lambda: zk.jvp(lambda b: OnlyA()(X, b), (X,), (X,)),
        lambda: zk.jacobian(lambda b: OnlyA()(b, b))(X),
    ):
        with pytest.raises(NotDifferentiableError, match=r"OnlyA.*'b'.*\n.*OnlyA\.vjp_b.*\n.*stop_gradient"):
            way()
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(OnlyA()(x, zk.stop_gradient(x))))(X), X)


def test_a_rule_that_names_something_unknown():
    with pytest.raises(TypeError, match=r"Odd\.vjp_x names 'z'.*x, x_spec, y, y_spec"):

        class Odd(zk.Operator):
            def forward(self, xp, x):
                return x

            def vjp_x(self, xp, g, z):
                return g


def test_a_wrong_number_of_inputs():
    with pytest.raises(TypeError, match="positional argument") as caught:
        Product()(X)
    assert "Product" in caught.value.__notes__[0]


@pytest.mark.parametrize("returned", [None, 2.0, [1.0, 2.0]])
def test_a_rule_returns_an_array(returned):
    class Odd(zk.Operator):
        def forward(self, xp, x):
            return x * 2.0

        def vjp_x(self, xp, g):
            return returned

    class OddElementwise(Odd, zk.cg.Elementwise):
        pass

    for operator in (Odd(), OddElementwise()):
        for f in (zk.grad(lambda x, o=operator: op.sum(o(x))), zk.hessian(lambda x, o=operator: op.sum(o(x) ** 2))):
            with pytest.raises(Exception, match="Odd.* returned no array"):
                f(X)


@pytest.mark.parametrize("returned", [None, 2.0, [1.0, 2.0], "text"])
def test_forward_returns_an_array(returned):
    class Odd(zk.Operator):
        def forward(self, xp, x):
            return returned

        def vjp_x(self, xp, g):
            return g

    for call in (lambda: Odd()(X), lambda: zk.grad(lambda x: op.sum(Odd()(x)))(X)):
        with pytest.raises(TypeError, match="Odd"):
            call()


@pytest.mark.parametrize("returned", [1, 3])
def test_forward_returns_as_many_outputs_as_declared(returned):
    class Odd(zk.Operator):
        outputs = 2

        def forward(self, xp, x):
            return (x,) * returned if returned == 1 else x

    with pytest.raises(TypeError, match="Odd"):
        Odd()(X)


def test_inputs_have_no_defaults():
    with pytest.raises(TypeError, match="default"):

        class Odd(zk.Operator):
            def forward(self, xp, a, b=None):
                return a

            def vjp_a(self, xp, g, b):
                return g * b


@pytest.mark.parametrize("forward", [lambda self, xp, x: x, lambda self, xp, x: x[::-1]], ids=["input", "view"])
def test_a_forward_that_returns_its_input_gives_an_array_of_its_own(forward):
    reversal = type("Reversal", (zk.Operator,), {"forward": forward, "vjp_x": lambda self, xp, g: -g})()
    x = X.copy()
    y = reversal(x)
    expected = np.array(y.value)
    x[:] = 9.0
    np.testing.assert_array_equal(y.value, expected)


def test_an_operator_without_derivative():
    class Sign(zk.Operator):
        differentiable = False

        def forward(self, xp, x):
            return xp.sign(x)

    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(Sign()(x) * x))(X), np.ones(3))


def test_on_every_backend(backend):
    x = backend.asarray(X)
    for operator in (Power(3), SinCos()):
        f = lambda x, o=operator: op.sum(op.stack(o(x)) if o.outputs == 2 else o(x))  # noqa: E731
        np.testing.assert_allclose(backend.to_numpy(zk.grad(f)(x)), zk.grad(f)(X))
