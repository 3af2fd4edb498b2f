"""The methods and infix operators of a Tensor are the functions of ``op``: the same values as NumPy's, and recorded."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.points import host
from zkynet.framework.numpy_dispatch import UFUNCS
from zkynet.framework.tensor_methods import METHODS

A = np.array([[1.5, -2.0, 0.5], [0.25, 3.0, -1.0]])
B = np.array([2.0, 0.5, 4.0])
INFIX = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul]
INFIX += [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne, operator.floordiv]
CALLS = {
    "neg": lambda x: -x,
    "pos": lambda x: +x,
    "abs": abs,
    "index": lambda x: x[1, ::2],
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "reshape a shape": lambda x: x.reshape((3, 2)),
    "reshape sizes": lambda x: x.reshape(3, -1),
    "transpose": lambda x: x.transpose(),
    "transpose axes": lambda x: x.transpose(1, 0),
    "transpose a tuple": lambda x: x.transpose((1, 0)),
    "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(),
    "squeeze": lambda x: x[:1].squeeze(0),
    "astype": lambda x: x.astype("float32"),
    "copy": lambda x: x.copy(),
    "conj": lambda x: x.conj(),
    "dot": lambda x: x.dot(x[0]),
    "sum": lambda x: x.sum(0),
    "sum kept": lambda x: x.sum(axis=1, keepdims=True),
    "mean": lambda x: x.mean(),
    "var": lambda x: x.var(0, ddof=1),
    "prod": lambda x: x.prod(1),
    "max": lambda x: x.max(0),
    "min": lambda x: x.min(axis=1),
    "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(),
    "clip": lambda x: x.clip(-1.0, 1.0),
    "len": lambda x: np.asarray(len(x)),
    "iteration": lambda x: list(x)[1],
    "shape": lambda x: np.asarray(x.shape),
    "ndim and size": lambda x: np.asarray((x.ndim, x.size)),
}
UNRECORDED = {"argmax", "argmin", "len", "shape", "ndim and size"}


def tracked(backend, function, *arrays):
    """What the function gives inside of a transform."""
    kept = []
    with zk.use_backend(backend):
        zk.vjp(lambda *x: kept.append(function(*x)) or 0.0, *[backend.asarray(a) for a in arrays])
    return kept[0]


@pytest.mark.parametrize("name", CALLS)
def test_methods(name, backend):
    got = tracked(backend, CALLS[name], A)
    want = CALLS[name](A)
    np.testing.assert_allclose(host([got])[0], want, rtol=1e-14)
    assert host([got])[0].dtype == want.dtype
    assert (getattr(got, "record", None) is not None) == (name not in UNRECORDED)


@pytest.mark.parametrize("infix", INFIX, ids=lambda f: f.__name__)
def test_infix_operators_in_either_order(infix, backend):
    left, right = np.abs(A), (A.T.copy() if infix is operator.matmul else B)
    want, reflected = infix(left, right), infix(right, left)
    other = backend.asarray(right)
    both = tracked(backend, lambda x, y: (infix(x, y), infix(y, x)), left, right)
    mixed = tracked(backend, lambda x: (infix(x, other), infix(x, right), infix(right, x)), left)
    for got, truth in zip([*both, *mixed], [want, reflected, want, want, reflected]):
        np.testing.assert_allclose(host([got])[0], truth, rtol=1e-14)
    if infix is not operator.matmul:
        numbers = tracked(backend, lambda x: (infix(x, 2.0), infix(2.0, x)), left)
        np.testing.assert_allclose(host([numbers[0]])[0], infix(left, 2.0), rtol=1e-14)
        np.testing.assert_allclose(host([numbers[1]])[0], infix(2.0, left), rtol=1e-14)


@pytest.mark.parametrize("infix", [operator.and_, operator.or_, operator.xor], ids=lambda f: f.__name__)
def test_infix_operators_of_integers(infix, backend):
    a, b = np.array([5, 6, 12]), np.array([3, 3, 10])
    x, y = (zk.op.asarray(backend.asarray(z)) for z in (a, b))
    for got in (infix(x, y), infix(x, backend.asarray(b)), infix(x, b), infix(a, y)):
        np.testing.assert_array_equal(host([got])[0], infix(a, b))
    np.testing.assert_array_equal(host([~x])[0], ~a)


def test_jax_arrays_on_the_left():
    """Their operators leave a Tensor on the right to us; those of array_api_strict raise, by the standard's leave."""
    jax = backends_here.get("jax")
    got = tracked(jax, lambda x: jax.asarray(A) * x, A)
    assert got.record is not None
    np.testing.assert_array_equal(host([got])[0], A * A)


@pytest.mark.parametrize("name", ["add", "multiply", "power", "absolute", "conjugate", "true_divide", "sin", "maximum"])
def test_numpys_functions_on_tensors(name, backend):
    """They are recorded under their name in ``op``, and give what they give on arrays."""
    ufunc = getattr(np, name)
    x = np.abs(A)
    arguments = (x,) * ufunc.nin
    got = tracked(backend, ufunc, *arguments)
    assert got.record is not None
    np.testing.assert_allclose(host([got])[0], ufunc(*arguments), rtol=1e-14)


def test_every_method_is_bound():
    assert all(getattr(zk.Tensor, name) is method for name, method in METHODS.items())
    assert all(hasattr(zk.op, name) for name in UFUNCS.values())
