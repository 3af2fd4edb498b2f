"""Operators in the two older spellings, and the derivative of an operator as a Module."""

import numpy as np
import pytest

import zkynet as zk
from support import backends
from zkynet.framework import cg, op

A, B = np.array([1.0, 2.0]), np.array([3.0, -1.0])


class Implemented(cg.Operator):
    """a * b**2, without a rule."""

    def _op_impl(self, a, b):
        return a * b * b


class Nodes(cg.Operator):
    """The same on nodes, with its partial derivatives."""

    def call(self, a, b):
        return a.value * b.value**2

    def _gradfn(self, inpt):
        return (lambda a, b: b**2) if inpt.short_name == "a" else (lambda a, b: 2 * a * b)


class OfModules(Nodes):
    """The same, with a derivative that is a Module."""

    def _gradfn(self, inpt):
        return cg.Module.build("Partial", super()._gradfn(inpt), ["a", "b"])


class Ruled(cg.Operator):
    """The same in our spelling."""

    def forward(self, xp, a, b):
        return a * b * b

    def vjp_a(self, xp, g, b):
        return g * b * b

    def vjp_b(self, xp, g, a, b):
        return 2 * g * a * b


SPELLINGS = pytest.mark.parametrize("kind", [Implemented, Nodes, OfModules])


@SPELLINGS
def test_derivatives_of_every_order_and_kind(kind):
    zk.testing.check_grads(kind(), (A, B), order=3)


@SPELLINGS
@pytest.mark.parametrize("name", ["numpy", "jax", "array_api_strict"])
def test_it_is_what_a_rule_gives_on_every_backend(kind, name):
    backend = backends.get(name)
    a, b = backend.asarray(A), backend.asarray(B)

    def everything(operator):
        def f(a, b):
            return op.sum(operator(a, b) * operator(b, a))

        first = zk.value_and_grad(f, (0, 1))(a, b)
        second = zk.jacobian(lambda a, b: zk.grad(f)(a, b), (0, 1))(a, b)
        forward = zk.jvp(lambda a, b: operator(a, b), (a, b), (b, a))
        whole = zk.jacobian(lambda a, b: operator(a, b), (0, 1))(a, b)
        return [first[0], *first[1], *second, *forward, *whole]

    for got, true in zip(everything(kind()), everything(Ruled()), strict=True):
        np.testing.assert_allclose(host(got), host(true), rtol=1e-12)


def host(x):
    found = zk.backends.backend_of(x)
    return x if found is None else found.to_numpy(x)


@SPELLINGS
def test_numbers_stay_numbers_and_float32_stays_float32(kind):
    assert zk.value_and_grad(lambda a, b: kind()(a, b), (0, 1))(2.0, 3.0) == (18.0, (9.0, 12.0))
    gradient = zk.grad(lambda a: op.sum(kind()(a, 2.0)))(A.astype("float32"))
    assert gradient.dtype == np.float32


@SPELLINGS
def test_one_value_for_both_inputs(kind):
    assert zk.grad(lambda a: kind()(a, a))(2.0) == 12.0
    assert zk.grad(zk.grad(lambda a: kind()(a, a)))(2.0) == 12.0


@SPELLINGS
def test_broadcasting(kind):
    def loss(a, b):
        return op.sum(kind()(a, b))

    found = zk.grad(loss, (0, 1))(np.ones((3, 2)), B)
    np.testing.assert_allclose(found[0], np.broadcast_to(B * B, (3, 2)))
    np.testing.assert_allclose(found[1], 6 * B)


def test_jax_code_is_differentiated_by_jax():
    jax = backends.get("jax")
    import jax.numpy as jnp

    class Bessel(cg.Operator):
        def _op_impl(self, x):
            return jnp.sinc(x)  # knows nothing of Tensors

    x = jax.asarray([0.25, 0.5])
    h = 1e-5
    true = (np.sinc(np.array([0.25, 0.5]) + h) - np.sinc(np.array([0.25, 0.5]) - h)) / (2 * h)
    np.testing.assert_allclose(host(zk.grad(lambda x: op.sum(Bessel()(x)))(x)), true, rtol=1e-8)


def test_numpy_code_that_tensors_do_not_know_is_an_error_and_no_constant():
    class Outside(cg.Operator):
        def _op_impl(self, x):
            return np.asarray(x) * 2

    assert Outside()(A).value.tolist() == [2, 4]
    with pytest.raises(zk.errors.TrackedValueError, match=r"\.value"):
        zk.grad(lambda x: op.sum(Outside()(x)))(A)


def test_what_does_not_depend_on_its_input_has_gradient_zero():
    class Constant(cg.Operator):
        def _op_impl(self, x):
            return np.ones(2)

    assert zk.grad(lambda x: op.sum(Constant()(x)))(A).tolist() == [0, 0]


# ---- the derivative as a Module ----


def test_the_derivative_of_multiply_as_in_the_manual():
    derivative = op.Multiply().gradfn(cg.Variable("a"))
    assert isinstance(derivative, cg.Module)
    assert derivative(1.0, 2.0).value == 2.0


@pytest.mark.parametrize("which", [cg.Variable("b"), "b", 1])
def test_the_input_by_variable_name_or_position(which):
    assert op.Divide().gradfn(which)(3.0, 2.0).value == -0.75


def test_derivatives_entry_by_entry_broadcast_and_can_be_differentiated_again():
    slope = op.Tanh().gradfn("x")
    x = np.array([0.0, 0.5])
    np.testing.assert_allclose(slope(x).value, 1 - np.tanh(x) ** 2)
    graph = slope(x).back()
    np.testing.assert_allclose(np.diag(graph.grad(slope.input("x"))), -2 * np.tanh(x) * (1 - np.tanh(x) ** 2))
    assert op.Multiply().gradfn("a")(np.ones((2, 1)), np.array([1.0, 2.0, 3.0])).value.shape == (2, 3)
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(slope(x)))(x), -2 * np.tanh(x) * (1 - np.tanh(x) ** 2))


@SPELLINGS
def test_gradfn_of_older_spellings(kind):
    if kind is Implemented:
        with pytest.raises(TypeError, match=r"zk\.jacobian"):
            kind().gradfn("a")
    else:
        assert kind().gradfn("b")(2.0, 3.0).value == 12.0


def test_gradfn_refuses():
    with pytest.raises(KeyError, match="its inputs are: a, b"):
        op.Multiply().gradfn("c")
    with pytest.raises(TypeError, match=r"not entrywise"):
        op.MatMul().gradfn("a")


def test_operators_have_their_classes_in_op():
    assert op.Multiply()(2.0, 3.0).value == 6.0
    assert op.Add().functional_name == "add"
    assert op.IntPow(2).functional_name == "pow"
    with pytest.raises(AttributeError, match="no operation"):
        op.NoSuchThing  # noqa: B018
