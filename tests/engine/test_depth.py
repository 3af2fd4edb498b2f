"""Depth and width: no recursion anywhere, and histories that are freed without it."""

import sys
import weakref

import numpy as np
import pytest

import zkynet as zk
from support.engine import records_alive
from zkynet.framework import op


def chain(x, n):
    for _ in range(n):
        x = x * 1.0000001
    return x


@pytest.mark.slow
def test_a_million_operators_go_forward_back_and_away():
    assert sys.getrecursionlimit() <= 1000 + 2000, "the default limit, or what a test runner makes of it"
    middle = []

    def f(x):
        x = chain(x, 500_000)
        middle.append(weakref.ref(x.record))
        return op.sum(chain(x, 500_000))

    value, gradient = zk.value_and_grad(f)(np.ones(2))
    expected = 1.0000001**1_000_000
    np.testing.assert_allclose(gradient, [expected, expected], rtol=1e-9)
    np.testing.assert_allclose(value, 2 * expected, rtol=1e-9)
    assert middle[0]() is None


def test_python_numbers_in_a_long_chain():
    np.testing.assert_allclose(zk.grad(lambda x: chain(x, 50_000))(2.0), 1.0000001**50_000, rtol=1e-10)


def test_forward_mode_over_a_long_chain():
    _, t = zk.jvp(lambda x: chain(x, 30_000), (np.ones(2),), (np.array([1.0, 2.0]),))
    np.testing.assert_allclose(t, 1.0000001**30_000 * np.array([1.0, 2.0]), rtol=1e-10)


def test_second_order_over_a_long_chain():
    def f(x):
        for _ in range(3_000):
            x = op.sin(x)
        return x

    h = 1e-5
    numerical = (zk.grad(f)(0.3 + h) - zk.grad(f)(0.3 - h)) / (2 * h)
    np.testing.assert_allclose(zk.grad(zk.grad(f))(0.3), numerical, rtol=1e-6)


def test_a_value_used_a_hundred_thousand_times():
    def f(x):
        y = x * 2.0
        total = y
        for _ in range(100_000):
            total = total + y
        return op.sum(total)

    np.testing.assert_allclose(zk.grad(f)(np.ones(2)), 2.0 * 100_001)


def test_exponentially_many_paths_are_walked_once():
    def f(x):
        for _ in range(200):
            x = x + x
        return x

    assert zk.grad(f)(1.0) == 2.0**200


def test_an_operator_with_many_inputs():
    gradients = zk.grad(lambda xs: op.sum(op.stack(xs) * np.arange(2_000.0)))([float(i) for i in range(2_000)])
    assert gradients == [float(i) for i in range(2_000)]


def test_deep_containers():
    tree = 3.0
    for _ in range(150):
        tree = [tree]

    def innermost(t):
        while isinstance(t, list):
            t = t[0]
        return t

    gradient = zk.grad(lambda t: innermost(t) * innermost(t))(tree)
    assert innermost(gradient) == 6.0


def test_nothing_is_left_of_a_deep_history():
    zk.grad(lambda x: chain(x, 10))(1.0)
    before = records_alive()
    zk.grad(lambda x: chain(x, 20_000))(1.0)
    assert records_alive() <= before
