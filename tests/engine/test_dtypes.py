"""Dtypes in transforms: single precision stays, Python numbers are weak at every order."""

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import op

F = np.array([1.0, 2.0], np.float32)
SINGLE, DOUBLE = np.dtype("float32"), np.dtype("float64")


def dtypes(x):
    if isinstance(x, dict):
        x = list(x.values())
    return [d for part in x for d in dtypes(part)] if isinstance(x, (tuple, list)) else [x.dtype]


SINGLES = {
    "numbers": lambda x: op.sum(x * 2 + 1.5 - x / 3),
    "numbers first": lambda x: op.sum(2 / x + 2**x - 1),
    "functions": lambda x: op.sum(op.exp(op.sin(x)) ** 2.5),
    "reductions": lambda x: op.mean(x) * op.max(x) + op.logsumexp(x),
    "an unrelated number": lambda x: op.sum(x * op.sqrt(2.0)) * op.sin(3),
    "an integer array": lambda x: op.sum(x * np.array([1, 2], np.int16)),
    "booleans": lambda x: op.sum(x * (x > 1.5)),
    "a number's gradient": lambda x: op.sum(x) * zk.grad(lambda y: y * y)(3.0),
    "a number's tangent": lambda x: op.sum(x) * zk.jvp(lambda y: y * y, (3.0,), (2.0,))[1],
    "a number's value": lambda x: op.sum(x) * zk.value_and_grad(lambda y: y * y)(3.0)[0],
    "a number's hessian": lambda x: op.sum(x) * zk.hessian(lambda y: y**3)(3.0),
    "a number pulled back": lambda x: op.sum(x) * zk.vjp(lambda y: y * y, 3.0)[1](1.0)[0],
    "a checkpoint": lambda x: zk.checkpoint(lambda y, k: op.sum(y) * k)(x, 2.0),
    "an inner gradient": lambda x: op.sum(zk.grad(lambda y: op.sum(y**3))(x)),
    "where": lambda x: op.sum(op.where(x > 1.5, x, 0.0)),
    "clip": lambda x: op.sum(op.clip(x, 0.5, 1.5)),
}


@pytest.mark.parametrize("name", SINGLES)
def test_single_precision_stays(name):
    value, gradient = zk.value_and_grad(SINGLES[name])(F)
    assert (value.dtype, gradient.dtype) == (SINGLE, SINGLE)
    assert dtypes(zk.jvp(SINGLES[name], (F,), (F,))) == [SINGLE, SINGLE]
    assert zk.hessian(SINGLES[name])(F).dtype == SINGLE


def test_a_gradient_has_the_dtype_of_its_input():
    found = zk.grad(lambda a, b, c: op.sum(a * b) * c, argnums=(0, 1, 2))(F, F.astype(np.float64), np.float16(2.0))
    assert dtypes(found) == [SINGLE, DOUBLE, np.dtype("float16")]


def test_weak_numbers_give_numbers():
    f = lambda x: op.sin(x) * x**2 + 2 / x  # noqa: E731
    assert type(zk.value_and_grad(f)(3.0)[0]) is float
    for found in (
        zk.grad(f)(3.0),
        zk.grad(f)(3),
        zk.grad(zk.grad(f))(3.0),
        zk.hessian(f)(3.0),
        zk.jacobian(f, mode="fwd")(3.0),
        zk.vjp(f, 3.0)[1](1.0)[0],
        zk.jvp(f, (3.0,), (1.0,))[1],
        zk.jvp(zk.grad(f), (3.0,), (1.0,))[1],
        zk.grad(zk.checkpoint(f))(3.0),
    ):
        assert type(found) is float


def test_a_number_times_an_array_gives_the_number_a_number():
    found = zk.grad(lambda s: op.sum(s * F))(2.0)
    assert type(found) is float and found == 3.0


def test_zero_dimensional_arrays_are_strong():
    value, gradient = zk.value_and_grad(lambda s: op.sum(s * F))(np.array(2.0))
    assert (value.dtype, gradient.dtype) == (DOUBLE, DOUBLE)
    assert zk.grad(lambda x: x * x)(np.float32(3)).dtype == SINGLE


def test_integers_go_forward_as_they_are_and_take_no_gradient():
    assert op.multiply(np.array([3, 4]), 2).dtype == np.dtype("int64")
    n = np.array([3, 4])
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x * n))(F), [3.0, 4.0])
    assert zk.grad(lambda x: op.sum(op.astype(x, "int64") * 1.0) + op.sum(x))(F).tolist() == [1.0, 1.0]


def test_a_cast_gives_its_gradient_back_in_the_old_dtype():
    value, gradient = zk.value_and_grad(lambda x: op.sum(op.astype(x, "float64") ** 2))(F)
    assert (value.dtype, gradient.dtype) == (DOUBLE, SINGLE)
    np.testing.assert_array_equal(gradient, [2.0, 4.0])


def test_on_every_backend(backend):
    x = backend.asarray([1.0, 2.0], dtype=backend.float32)
    for name in ("numbers", "functions", "a number's gradient", "where"):
        value, gradient = zk.value_and_grad(SINGLES[name])(x)
        assert value.dtype == backend.float32 and gradient.dtype == backend.float32, name
        expected = zk.grad(SINGLES[name])(F)
        np.testing.assert_allclose(backend.to_numpy(gradient), expected, rtol=1e-5, err_msg=name)
