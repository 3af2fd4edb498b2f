"""``where`` with a branch whose derivative does not exist: the entry that is not taken sends and receives nothing."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.points import host
from zkynet.framework import op

BRANCHES = {  # each is singular at 0, and right at the other points
    "sqrt": op.sqrt,
    "log": op.log,
    "1 / x": lambda x: 1 / x,
    "reciprocal": op.reciprocal,
    "x ** -0.5": lambda x: x**-0.5,
    "x ** -2": lambda x: x**-2,
    "x ** x": lambda x: x**x,
    "log1p": lambda x: op.log1p(x - 1),
    "exp of much": lambda x: op.exp(1 / x),
    "expm1 of much": lambda x: op.expm1(1 / x),
    "abs of log": lambda x: op.abs(op.log(x)),
    "sin of much": lambda x: op.sin(1 / x),
    "cos of much": lambda x: op.cos(1 / x),
    "maximum": lambda x: op.maximum(op.log(x), -9.0),
    "x log x": lambda x: x * op.log(x),
    "square of log": lambda x: op.square(op.log(x)),
    "cube of log": lambda x: op.log(x) ** 3,
    "tanh of NaN": lambda x: op.tanh(op.log(x) * 0),
    "sigmoid of NaN": lambda x: op.sigmoid(op.log(x) * 0),
}
# Where a second derivative meets an infinity before it meets the mask: 0 times infinity is NaN there.
PRODUCTS_AT_SECOND_ORDER = {"exp of much", "expm1 of much", "sin of much", "cos of much", "x log x"}
POINTS = np.array([0.0, 0.7, 2.0])


def cases(leaking):
    reason = "a rule that is a plain product leaks: 0 times infinity is NaN"
    return [
        pytest.param(f, id=k, marks=[pytest.mark.xfail(reason=reason)] * (k in leaking)) for k, f in BRANCHES.items()
    ]


def masked(branch):
    return lambda x: op.where(x > 0, branch(x), 0.0)


@pytest.mark.parametrize("branch", cases(()))
def test_gradients(branch, backend):
    x = backend.asarray(POINTS)
    with backend.errstate():
        found = host([zk.grad(lambda x: op.sum(masked(branch)(x)))(x)])[0]
        plain = host([zk.grad(lambda x: op.sum(branch(x)))(backend.asarray(POINTS[1:]))])[0]
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1:], plain, rtol=1e-12)


@pytest.mark.parametrize("branch", cases(PRODUCTS_AT_SECOND_ORDER))
def test_second_derivatives(branch, backend):
    def second(f):
        return zk.grad(lambda x: op.sum(zk.grad(lambda y: op.sum(f(y)))(x)))

    with backend.errstate():
        found = host([second(masked(branch))(backend.asarray(POINTS))])[0]
        plain = host([second(branch)(backend.asarray(POINTS[1:]))])[0]
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1:], plain, rtol=1e-12)


@pytest.mark.parametrize("branch", cases(()))
def test_forward_mode(branch, backend):
    x, t = backend.asarray(POINTS), backend.asarray(np.ones(3))
    with backend.errstate():
        found = host([zk.jvp(masked(branch), [x], [t])[1]])[0]
    np.testing.assert_array_equal(found[0], 0)
    assert np.isfinite(found).all()
