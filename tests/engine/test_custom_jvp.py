"""custom_jvp: a forward rule of one's own, and the reverse mode that follows from it."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from zkynet import op
from zkynet.errors import NotDifferentiableError, VJPShapeError
from zkynet.testing import check_grads

X, Y = np.array([0.3, -1.2, 2.0]), np.array([1.5, -0.7, 0.4])


@zk.custom_jvp
def scaled_softplus(x, y):
    """log(1 + e^x) y."""
    return op.log(1 + op.exp(x)) * y


@scaled_softplus.defjvp
def _(tangents, out, x, y):
    return tangents[0] * op.sigmoid(x) * y + tangents[1] * out / y


@zk.custom_jvp
def doubled(x):
    """x, said to have the derivative 2."""
    return op.copy(x)


@doubled.defjvp
def _(tangents, y, x):
    return 2 * tangents[0]


def test_all_orders_and_both_modes():
    check_grads(scaled_softplus, (X, Y), order=3)
    check_grads(lambda x: scaled_softplus(x, 2.0), (0.7,), order=2)


def test_complex_inputs():
    square = zk.custom_jvp(lambda z: z * z)
    square.defjvp(lambda tangents, y, z: 2 * z * tangents[0])
    check_grads(square, (X + 1j * Y,), order=2, holomorphic=True)


def test_the_rule_is_what_counts(backend):
    x = backend.asarray([1.0, 2.0])
    _, pullback = zk.vjp(doubled, x)
    np.testing.assert_array_equal(backend.to_numpy(pullback(x)[0]), [2, 4])
    np.testing.assert_array_equal(backend.to_numpy(zk.jvp(doubled, (x,), (x,))[1]), [2, 4])
    np.testing.assert_array_equal(backend.to_numpy(zk.jacobian(doubled)(x)), 2 * np.eye(2))


def test_single_precision_stays_single():
    x = X.astype("float32")
    _, pullback = zk.vjp(scaled_softplus, x, x)
    assert [c.dtype for c in pullback(x)] == [np.float32] * 2
    assert zk.jvp(scaled_softplus, (x, x), (x, x))[1].dtype == np.float32


def test_an_input_without_a_tangent_in_the_rule_gets_a_zero():
    first = zk.custom_jvp(lambda x, y: x + 0 * y)
    first.defjvp(lambda tangents, out, x, y: tangents[0])
    np.testing.assert_array_equal(zk.grad(lambda y: op.sum(first(X, y)))(Y), np.zeros(3))


def test_errors():
    ruleless = zk.custom_jvp(lambda x: x * x)
    assert "without a rule" in repr(ruleless)
    with pytest.raises(NotDifferentiableError, match="defjvp"):
        zk.grad(lambda x: op.sum(ruleless(x)))(X)
    ruleless.defjvp(lambda tangents, y, x: op.sum(tangents[0]))
    with pytest.raises(VJPShapeError, match="the shape of its output"):
        zk.grad(lambda x: op.sum(ruleless(x)))(X)
    with pytest.raises(NotDifferentiableError, match="no argument"):
        zk.grad(lambda x: zk.custom_jvp(lambda y: x * y)(2.0))(3.0)
