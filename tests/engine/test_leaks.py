"""Tensors, pullbacks and Modules that outlive the transform they come from: never a stale or wrong value."""

import numpy as np

import zkynet as zk
from support.engine import nothing_left_behind
from zkynet.framework import op

X = np.arange(1.0, 4.0)


def leaked(f=lambda x: x * x):
    """A tracked Tensor whose transform is over."""
    saved = []

    def loss(x):
        saved.append(f(x))
        return op.sum(saved[0])

    zk.grad(loss)(X)
    return saved[0]


def test_it_keeps_its_value():
    t = leaked()
    np.testing.assert_array_equal(t.value, X * X)
    np.testing.assert_array_equal((t * 2.0).value, 2 * X * X)


def test_in_a_later_transform_it_is_a_constant():
    t = leaked()
    with nothing_left_behind():
        np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x * t))(X), X * X)
        np.testing.assert_array_equal(zk.hessian(lambda x: op.sum(x * x * t))(X), np.diag(2 * X * X))
        np.testing.assert_array_equal(zk.jvp(lambda x: x * t, (X,), (X,))[1], X**3)
        np.testing.assert_array_equal(zk.jacobian(lambda x: x * t, mode="fwd")(X), np.diag(X * X))


def test_its_own_argument_differentiated_again_is_not_confused_with_it():
    argument = leaked(lambda x: x)
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x * x * argument))(X), 2 * X * X)


def test_as_an_argument_its_value_counts():
    t = leaked()
    found = zk.grad(lambda x: op.sum(x * x))(t)
    np.testing.assert_array_equal(op.stop_gradient(found).value, 2 * X * X)
    value, _ = zk.value_and_grad(lambda x: op.sum(x))(t)
    np.testing.assert_array_equal(op.stop_gradient(value).value, np.sum(X * X))


def test_it_still_refuses_to_become_a_plain_number():
    try:
        float(op.sum(leaked()))
    except TypeError as error:
        assert "stop_gradient" in str(error)
    else:
        raise AssertionError("a tracked value became a number")


def test_a_tensor_of_the_outer_transform_in_the_inner_one_that_is_over():
    def f(x):
        saved = []

        def g(y):
            saved.append(y * x)
            return saved[0]

        inner = zk.grad(g)(3.0)
        return saved[0] * inner  # 3 x * x, where what was saved still depends on x

    assert zk.grad(f)(2.0) == 12.0


def test_a_leaf_of_an_inner_transform_that_is_over_still_depends_on_the_outer_value():
    def f(x):
        saved = []
        zk.grad(lambda y: saved.append(y) or y * y)(x)
        return saved[0] * x

    assert zk.grad(f)(3.0) == 6.0


def test_a_pullback_that_leaves_its_transform():
    pulls = []

    def f(x):
        y, pull = zk.vjp(lambda z: z * z * x, x)
        pulls.append(pull)
        return y

    assert zk.grad(f)(2.0) == 12.0
    (found,) = pulls[0](1.0)
    assert op.stop_gradient(found).item() == 8.0
    assert zk.grad(lambda c: pulls[0](c)[0])(1.0) == 8.0


def test_a_parameter_after_its_transform_is_plain_again():
    p = zk.Parameter("p", 3.0)
    saved = []
    zk.grad(lambda p: saved.append(p * 2.0) or p * p)(p)
    assert float(p * 2.0) == 6.0
    p.value = 5.0
    assert float(p * 2.0) == 10.0 and saved[0].value == 6.0
    assert zk.grad(lambda x: x * saved[0])(1.0) == 6.0
    assert zk.grad(lambda p: p * saved[0])(p) == 6.0, "what was saved belongs to the transform that is over"


def test_a_generator_that_goes_on_after_the_transform():
    def numbers(x):
        y = x
        while True:
            y = y * x
            yield y

    running = []

    def f(x):
        running.append(numbers(x))
        return next(running[0])

    with nothing_left_behind():
        assert zk.grad(f)(3.0) == 6.0
        assert op.stop_gradient(next(running[0])).item() == 27.0
        assert zk.grad(lambda x: next(running[0]) * x)(1.0) == 81.0


def test_aux_is_no_leak():
    _, aux = zk.grad(lambda x: (op.sum(x * x), {"y": x * 2.0}), has_aux=True)(X)
    assert type(aux["y"]) is np.ndarray
