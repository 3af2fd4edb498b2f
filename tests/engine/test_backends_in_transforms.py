"""The same program on every backend: arrays decide, the default serves numbers and lists, mixing is an error."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import backends
from zkynet.errors import MixedBackendsError, MutationError
from zkynet.framework import op

X = np.array([[0.5, -0.2], [0.1, 0.9]])
Y = np.array([0, 1])


class Net(zk.Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.a = zk.Parameter("a", rng.normal(size=(2, 4)))
        self.b = zk.Parameter("b", rng.normal(size=(4, 2)))
        self.gain = zk.Parameter("gain", 1.5)

    def call(self, x):
        return op.tanh(op.matmul(x, self.a)) @ self.b * self.gain  # some libraries refuse x @ self.a


def loss(net, x, y):
    return op.softmax_cross_entropy(net(x), y) + 0.01 * sum(op.sum(p * p) for p in net.parameters())


def train(backend, steps=3):
    net = Net().to(backend)
    x, y = backend.asarray(X), backend.asarray(Y)
    losses = []
    for _ in range(steps):
        value, grads = zk.value_and_grad(loss)(net, x, y)
        for name, p in net.named_parameters().items():
            p.value = p.value - 0.5 * grads[name]
        losses.append(float(backend.to_numpy(value)))
    return losses, {
        k: np.asarray(p.value if type(p.value) is float else backend.to_numpy(p.value))
        for k, p in net.named_parameters().items()
    }


def test_one_training_loop_for_all(backend):
    losses, parameters = train(backend)
    expected, reference = train(backends.get("numpy"))
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    for name in reference:
        np.testing.assert_allclose(parameters[name], reference[name], rtol=1e-10)
    assert losses[-1] < losses[0]


def test_results_belong_to_the_arrays_backend(backend):
    x = backend.asarray([1.0, 2.0])
    f = lambda x: op.sum(op.sin(x) * x)  # noqa: E731
    value, gradient = zk.value_and_grad(f)(x)
    y, pull = zk.vjp(op.sin, x)
    results = [value, gradient, y, pull(x)[0], *zk.jvp(op.sin, (x,), (x,)), zk.hessian(f)(x), zk.hvp(f, (x,), (x,))[0]]
    assert all(backend.owns(r) for r in results)


def test_host_arrays_follow(backend):
    x, c = backend.asarray([1.0, 2.0]), np.array([3.0, 4.0])
    for f in (lambda x: op.sum(x * c), lambda x: op.sum(c * (x + c) - c), lambda x: op.sum(op.stack([x * 1.0, c]) * c)):
        found = zk.grad(f)(x)
        assert backend.owns(found)
        np.testing.assert_array_equal(backend.to_numpy(found), c)
    (found,) = zk.vjp(lambda x: x * 2.0, x)[1](c)
    np.testing.assert_array_equal(backend.to_numpy(found), 2 * c)


def test_a_host_array_that_follows_gets_its_gradient_on_the_host(backend):
    x, c = backend.asarray([1.0, 2.0]), np.array([3.0, 4.0])
    found = zk.grad(lambda c: op.sum(c * x * c))(c)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, [6.0, 16.0])
    np.testing.assert_array_equal(zk.jacobian(lambda c: c * c * x, mode="rev")(c), np.diag([6.0, 16.0]))


def test_a_changed_host_array_never_gives_a_wrong_gradient(backend):
    for n in (3, 300_000):
        x, c = backend.asarray(np.ones(n)), np.ones(n)
        _, pull = zk.vjp(lambda x, c=c: x * c, x)
        c[:] = 9.0
        try:
            (found,) = pull(backend.asarray(np.ones(n)))
        except MutationError:
            continue
        np.testing.assert_array_equal(backend.to_numpy(found), np.ones(n))


def test_two_devices_are_an_error_that_names_both():
    strict, jax = backends_here.get("array_api_strict"), backends_here.get("jax")
    a, b = strict.asarray([1.0]), jax.asarray([1.0])
    for call in (
        lambda: op.add(a, b),
        lambda: zk.grad(lambda x: op.sum(x * b))(a),
        lambda: zk.vjp(lambda x: x * 2.0, a)[1](b),
        lambda: op.concat([a, b]),
        lambda: op.where(a > 0, b, a),
    ):
        with pytest.raises(MixedBackendsError, match="array_api_strict") as caught:
            call()
        assert "jax" in str(caught.value)


def test_the_default_backend_is_for_lists_and_creation(backend):
    with zk.use_backend(backend):
        assert backend.owns(op.zeros(3).value) and backend.owns(op.asarray([1.0]).value)
        assert backend.owns(zk.Parameter("p", [1.0]).value)
        assert type(op.sin(1.0).value) is float
        host = np.ones(2)
        assert type(op.sin(host).value) is np.ndarray
        found = zk.grad(lambda x: op.sum(op.asarray([1.0, 2.0]) * x))(3.0)
        assert found == 3.0 and type(found) is float


def test_a_module_moves(backend):
    net = Net()
    before = zk.grad(loss)(net, X, Y)
    assert net.to(backend) is net
    found = zk.grad(loss)(net, backend.asarray(X), backend.asarray(Y))
    for name in before:
        moved = found[name] if type(found[name]) is float else backend.to_numpy(found[name])
        np.testing.assert_allclose(moved, before[name], rtol=1e-10)
    net.to("numpy")
    assert type(net.a.value) is np.ndarray


def test_numbers_and_arrays_share_a_gradient(backend):
    x = backend.asarray([1.0, 2.0])
    by_x, by_s = zk.grad(lambda x, s: op.sum(s * x) * s, argnums=(0, 1))(x, 3.0)
    np.testing.assert_array_equal(backend.to_numpy(by_x), [9.0, 9.0])
    assert by_s == 18.0 and type(by_s) is float
    np.testing.assert_array_equal(backend.to_numpy(zk.jacobian(lambda s: s * x)(3.0)), [1.0, 2.0])


@pytest.mark.parametrize("f", [op.divide, op.pow, op.multiply])
def test_second_derivatives_through_python_numbers(backend, f):
    """The gradient of a Python number goes back into the arrays' backend, whose cotangents it meets."""

    def gradients(x, c, g):
        return zk.vjp(f, x, c)[1](g)

    def second(xp):
        x, g = xp.asarray([1.0, 2.0, 3.0]), xp.asarray([1.0, 1.0, 1.0])
        return zk.vjp(gradients, x, 0.7, g)[1]((x, 0.3))

    (a, number, b), (a_host, like, b_host) = second(backend), second(backends.get("numpy"))
    for found, expected in ((a, a_host), (b, b_host)):
        assert backends.backend_of(found) is backend
        np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-12)
    assert type(number) is float and abs(number - like) <= 1e-12 * abs(like)
