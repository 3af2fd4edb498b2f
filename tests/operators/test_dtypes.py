"""Dtypes: single precision stays single, promotion is NumPy's on every backend, integers are constants."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.cases import DIFFERENTIABLE
from support.points import assert_close, host, is_input, op_function, own, points
from support.rows import Sample
from zkynet.framework import op

NARROW = {"float64": "float32", "complex128": "complex64"}
names = pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE if row.name != "astype"])
combining = pytest.mark.parametrize(
    "name", ["add", "multiply", "divide", "pow", "maximum", "where", "concat", "matmul"]
)


def first(name, count=1, is_complex=False):
    """The first points of a row that hold arrays."""
    return [p for p in points(name, is_complex) if p.differentiable and not p.weak][:count]


def narrowed(x):
    return x.astype(NARROW[x.dtype.name]) if isinstance(x, np.ndarray) else x


SINGLE = [pytest.param(row, False, id=f"{row.name}-float32") for row in DIFFERENTIABLE if row.name != "astype"]
SINGLE += [pytest.param(row, True, id=f"{row.name}-complex64") for row in DIFFERENTIABLE if row.complex]


@pytest.mark.parametrize(("row", "is_complex"), SINGLE)
def test_single_precision_stays_single(row, is_complex, backend):
    for point in first(row.name, 3 if backend.is_host else 1, is_complex):
        x, g, v = ([narrowed(a) for a in arrays] for arrays in (point.inputs, point.g, point.v))
        f = op_function(point)
        value, pull = zk.vjp(f, *own(backend, x))
        gradients = pull(own(backend, g))
        _, tangents = zk.jvp(f, own(backend, x), own(backend, v))
        for found, like in ((value, g), (gradients, x), (tangents, g)):
            assert [a.dtype for a in host(found)] == [np.asarray(b).dtype for b in like], point.sample
        assert_close(value, point.truth(), 2e-5, point.sample)
        assert_close(gradients, point.gradients, 2e-4, point.sample)
        assert_close(tangents, point.tangents, 2e-4, point.sample)


@names
def test_gradients_have_the_dtype_of_their_input(name):
    """Operands of both precisions: the value is double, each gradient is its input's."""
    for point in first(name, 5):
        if len(point.inputs) < 2 or not all(isinstance(x, np.ndarray) for x in point.inputs):
            continue  # A Python number has no precision of its own to compare.
        for k in range(len(point.inputs)):
            x = [narrowed(a) if i == k else a for i, a in enumerate(point.inputs)]
            value, pull = zk.vjp(op_function(point), *x)
            truth = point.truth(*x)
            assert [a.dtype for a in value] == [b.dtype for b in truth], point.sample
            gradients = pull([g.astype(y.dtype) for g, y in zip(point.g, truth)])
            assert [np.asarray(a).dtype for a in gradients] == [np.asarray(b).dtype for b in x], point.sample
            assert_close(gradients, point.gradients, 2e-4, point.sample)


@pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE if row.integers and row.name != "astype"])
def test_integers_as_other_operands(name, backend):
    """Integer arrays take the place of each floating one in turn: a constant for the gradient of the others."""
    for point in points(name)[: None if backend.is_host else 1]:
        for k, operand in enumerate(point.sample.operands):
            if not isinstance(operand, np.ndarray) or not is_input(operand):
                continue
            whole = np.asarray(np.sign(operand) * np.ceil(np.abs(operand)))
            check_integer(point, k, whole, backend)


def check_integer(point, k, whole, backend):
    def replaced(array):
        return [array if i == k else o for i, o in enumerate(point.sample.operands)]

    others = type(point)(point.row, Sample(tuple(replaced(whole.astype("int32"))), point.sample.settings))
    try:
        truth = others.truth()
    except ValueError as error:  # a LinAlgError is one: these integers are singular, or negative exponents
        with pytest.raises(type(error)):
            others.row.call(op, own(backend, others.sample.operands), others.sample.settings)
        return
    f, x = op_function(others), own(backend, others.inputs)
    with zk.use_backend(backend):
        value = others.row.call(op, own(backend, others.sample.operands), others.sample.settings)
        value = list(value) if isinstance(value, tuple) else [value]
    assert_close(value, truth, 1e-12, others.sample)
    assert [a.dtype for a in host(value)] == [b.dtype for b in truth], others.sample
    if not x or not others.differentiable or others.weak:
        return
    gradients = zk.vjp(f, *x)[1](own(backend, others.g))
    floating = type(point)(point.row, Sample(tuple(replaced(whole)), point.sample.settings))
    everything = zk.vjp(op_function(floating), *floating.inputs)[1](others.g)
    place = sum(is_input(o) for o in point.sample.operands[:k])
    assert_close(gradients, [c for i, c in enumerate(everything) if i != place], 1e-9, others.sample)


DTYPES = ("bool", "int8", "uint8", "int32", "int64", "float32", "float64", "complex64", "complex128")


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("name", ["multiply", "divide", "where", "concat", "matmul", "maximum"])
def test_promotion_is_numpys(name, a, backend):
    left = np.ones((2, 2), a)
    for b in (*DTYPES, 1, 1.0, 1j)[:: 1 if backend.is_host else 3]:
        right = b if not isinstance(b, str) else np.ones((2, 2), b)
        if not isinstance(b, str) and (name in ("concat", "matmul") or a == "bool"):
            continue
        if name == "maximum" and np.result_type(left, right).kind == "c":
            continue
        if backend.name.startswith("array_api_strict") and a == b == "bool" and name not in ("where", "concat"):
            continue  # the standard has no arithmetic of booleans
        with np.errstate(all="ignore"):
            truth = pair(np, name, left, right)
        got = pair(op, name, *own(backend, (left, right)))
        assert backend.name_of(got.dtype) == truth.dtype.name, (a, b)


def pair(xp, name, a, b):
    if name == "where":
        return xp.where(xp.equal(a, a), a, b)
    return xp.concat([a, b]) if name == "concat" else getattr(xp, name)(a, b)


@names
def test_python_numbers_are_weak(name, backend):
    """With a Python number for an operand single precision stays single, and the number has a gradient, a number."""
    for point in [p for p in points(name) if p.differentiable and not p.weak]:
        if len({isinstance(x, np.ndarray) for x in point.inputs}) < 2:
            continue
        x = own(backend, [narrowed(a) for a in point.inputs])
        with zk.use_backend(backend):
            value, pull = zk.vjp(op_function(point), *x)
            gradients = pull(own(backend, [narrowed(g) for g in point.g]))
        assert [a.dtype.name for a in host(value)] == ["float32"] * len(value), point.sample
        assert_close(gradients, point.gradients, 2e-4, point.sample)
        for found, given in zip(gradients, point.inputs):
            if isinstance(given, float):
                assert type(found) is float, point.sample
            else:
                assert backend.name_of(found.dtype) == "float32", point.sample


@pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE if row.weak and row.name != "asarray"])
def test_python_numbers_alone_stay_weak(name):
    """What a function makes of numbers alone takes the dtype of the array it meets; ``asarray`` is the way out."""
    for point in [p for p in points(name) if p.differentiable and p.weak]:
        y = point.f(op, *point.inputs)[0]
        if y.shape == ():
            met = op.multiply(y, np.ones(2, "float32"))
            assert met.dtype == np.float32, point.sample
            gradients = zk.grad(lambda *x, p=point: p.f(op, *x)[0], tuple(range(len(point.inputs))))(*point.inputs)
            assert [type(c) for c in gradients] == [float] * len(gradients), point.sample
