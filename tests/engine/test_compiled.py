"""Under jax.jit: the same numbers as in eager mode."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet.framework import op

jax = pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
X = np.array([0.5, -0.2, 0.9])


@pytest.fixture(scope="module")
def jnp():
    backends_here.get("jax")
    return jax.numpy


FUNCTIONS = {
    "arithmetic": lambda x: op.sum(x * 2 + 1.5 - x / 3 + x**2),
    "functions": lambda x: op.sum(op.exp(op.sin(x)) * op.where(x > 0, x, -x)),
    "reductions": lambda x: op.logsumexp(x) + op.max(x) * op.mean(x),
    "indices": lambda x: op.sum(x[np.array([0, 0, 2])] * x[1:2]) + x[-1],
    "an index computed inside": lambda x: x[op.argmax(x)] * x[0],
    "softmax": lambda x: op.softmax_cross_entropy(x, np.array(1)),
    "matrices": lambda x: op.sum(op.linalg.solve(np.eye(3) * 2 + x * x.reshape((3, 1)), x)),
    "assignment": lambda x: op.sum(x.at[0].set(x[1] * 2.0) ** 2),
    "numbers": lambda x: op.sum(x) * zk.grad(lambda y: op.sin(y) * y)(2.0),
    "nested": lambda x: op.sum(zk.grad(lambda y: op.sum(y**3))(x) * x),
    "checkpoint": lambda x: zk.checkpoint(lambda y: op.sum(op.sin(y) * y))(x),
    "forward": lambda x: op.sum(zk.jvp(op.sin, (x,), (x,))[1]),
    "no derivative": lambda x: op.sum(x * op.stop_gradient(x) + op.sign(x) * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(jnp, name):
    f = FUNCTIONS[name]
    value, gradient = jax.jit(zk.value_and_grad(f))(jnp.asarray(X))
    expected_value, expected = zk.value_and_grad(f)(X)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    assert gradient.dtype == np.float64


def test_other_transforms(jnp):
    f, g = FUNCTIONS["nested"], lambda x: op.sin(x) * x[0]
    x = jnp.asarray(X)
    for compiled, eager in (
        (jax.jit(zk.hessian(f))(x), zk.hessian(f)(X)),
        (jax.jit(zk.jacobian(g, mode="rev"))(x), zk.jacobian(g)(X)),
        (jax.jit(zk.jacobian(g, mode="fwd"))(x), zk.jacobian(g)(X)),
        (jax.jit(lambda x: zk.hvp(f, (x,), (x,))[0])(x), zk.hvp(f, (X,), (X,))[0]),
        (jax.jit(lambda x: zk.vjp(g, x)[1](x)[0])(x), zk.vjp(g, X)[1](X)[0]),
    ):
        np.testing.assert_allclose(compiled, eager, rtol=1e-11, atol=1e-12)


def test_python_numbers_become_traced_arrays(jnp):
    found = jax.jit(zk.grad(lambda s: s * s * 2))(3.0)
    assert found == 12.0
    assert jax.jit(zk.grad(lambda s, x: op.sum(s * x)))(3.0, jnp.asarray(X)) == pytest.approx(1.2)


def test_single_precision_stays(jnp):
    x = jnp.asarray(X, dtype=jnp.float32)
    value, gradient = jax.jit(zk.value_and_grad(lambda x: op.sum(x * 2 + 0.5) * op.sqrt(2.0)))(x)
    assert (value.dtype, gradient.dtype) == (np.float32, np.float32)


class Net(zk.Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.a = zk.Parameter("a", rng.normal(size=(3, 4)))
        self.b = zk.Parameter("b", rng.normal(size=(4, 2)))

    def call(self, x):
        return op.tanh(x @ self.a) @ self.b


def test_a_whole_training_step(jnp):
    """A Module inside: its Parameters take traced values for the time of the trace."""
    net = Net()
    x, y = np.array([X, X[::-1]]), np.array([0, 1])

    def eager(values):
        for name, p in net.named_parameters().items():
            p.value = values[name]
        value, grads = zk.value_and_grad(lambda net: op.softmax_cross_entropy(net(x), y))(net)
        return value, {k: values[k] - 0.1 * grads[k] for k in values}

    def functional(values, x, y):
        def loss(values):
            return op.softmax_cross_entropy(op.tanh(x @ values["a"]) @ values["b"], y)

        value, grads = zk.value_and_grad(loss)(values)
        return value, {k: values[k] - 0.1 * grads[k] for k in values}

    values = {k: np.array(p.value) for k, p in net.named_parameters().items()}
    traced = {k: jnp.asarray(v) for k, v in values.items()}
    step = jax.jit(functional)
    for _ in range(3):
        expected, values = eager(values)
        found, traced = step(traced, jnp.asarray(x), jnp.asarray(y))
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for name in values:
        np.testing.assert_allclose(traced[name], values[name], rtol=1e-11)


def test_a_frozen_module_inside_a_compiled_function(jnp):
    net = Net().to("jax")
    found = jax.jit(zk.grad(lambda x: op.sum(net(x))))(jnp.asarray([X]))
    np.testing.assert_allclose(found, zk.grad(lambda x: op.sum(Net()(x)))(X[None]), rtol=1e-12)


def test_the_value_of_a_tracer_is_not_read_silently(jnp):
    with pytest.raises(Exception, match="[Tt]racer|concrete"):
        jax.jit(zk.grad(lambda x: op.sum(x) if x[0] > 0 else op.sum(x * 2)))(jnp.asarray(X))
