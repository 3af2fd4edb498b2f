"""NumPy's ufuncs on Tensors: the operator of that name, with the value NumPy gives; else a TypeError."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import zkynet as zk
from support.points import host
from zkynet.framework import op
from zkynet.framework.numpy_dispatch import KNOWN_UFUNCS, UFUNCS

X = np.array([[0.5, 0.25, 0.75], [0.1, 0.9, 0.6]])
INTEGERS = {"left_shift", "right_shift", "bitwise_and", "bitwise_or", "bitwise_xor", "invert"}
OTHERS = {"arccosh": (X + 1,), "ldexp": (X, np.array([1, -2, 3])), "matmul": (X, X.T)}
BOOLEANS = {"logical_and", "logical_or", "logical_xor", "logical_not"}
CONSTANT = INTEGERS | BOOLEANS | {name for name in KNOWN_UFUNCS if name.startswith(("is", "less", "greater"))}
CONSTANT |= {"equal", "not_equal", "sign", "signbit", "floor", "ceil", "trunc", "rint", "floor_divide"}
CONSTANT |= {"heaviside", "nextafter"}


def arguments(name):
    ufunc = getattr(np, name)
    if name in OTHERS:
        return OTHERS[name]
    x = np.array([[1, 2, 5], [3, 0, 4]]) if name in INTEGERS else X > 0.4 if name in BOOLEANS else X
    return (x, x[:1])[: ufunc.nin]


@pytest.mark.parametrize("name", sorted(KNOWN_UFUNCS))
def test_a_known_ufunc_is_dispatched(name, backend):
    """On Tensors of every backend; tracked ones are recorded, or give a constant where there is no derivative."""
    ufunc, kept = getattr(np, name), []
    given = arguments(name)
    own = [backend.asarray(a) for a in given]
    floating = [k for k, a in enumerate(given) if a.dtype.kind == "f"]

    def f(*inputs):
        filled = [op.asarray(a) for a in own]
        for k, x in zip(floating, inputs):
            filled[k] = x
        y = ufunc(*filled)
        kept.extend(y if isinstance(y, tuple) else [y])
        return 0.0

    zk.vjp(f, *[own[k] for k in floating])
    truth = ufunc(*given)
    for got, want in zip(kept, truth if isinstance(truth, tuple) else [truth]):
        np.testing.assert_allclose(host([got])[0], want, rtol=1e-14)
        assert host([got])[0].dtype == want.dtype
    assert (kept[0].record is not None) == (name not in CONSTANT)


def test_the_names_are_those_of_op():
    assert {UFUNCS.get(name, name) for name in KNOWN_UFUNCS} <= set(op.__all__)


@pytest.mark.parametrize("name", ["spacing", "modf", "gcd", "divmod"])
def test_others_refuse_tracked_tensors(name):
    ufunc = getattr(np, name)
    with pytest.raises(TypeError, match=name):
        zk.grad(lambda x: op.sum(ufunc(*[x] * ufunc.nin)[0]))(np.array([1.0, 2.0]))


@pytest.mark.parametrize("infix", [operator.mod, operator.lshift, operator.rshift], ids=lambda f: f.__name__)
def test_infix_remainder_and_shifts(infix, backend):
    a, b = np.array([5, 6, 12]), np.array([3, 1, 2])
    x, y = (op.asarray(backend.asarray(z)) for z in (a, b))
    for got in (infix(x, y), infix(x, b), infix(a, y)):
        np.testing.assert_array_equal(host([got])[0], infix(a, b))
    for got, truth in ((infix(x, 2), infix(a, 2)), (infix(2, y), infix(2, b))):
        np.testing.assert_array_equal(host([got])[0], truth)


def test_methods_round_all_any(backend):
    x = op.asarray(backend.asarray(np.array([[1.24, -0.5], [0.0, 2.5]])))
    np.testing.assert_allclose(host([x.round(1)])[0], [[1.2, -0.5], [0.0, 2.5]], rtol=1e-15)
    np.testing.assert_array_equal(host([x.round()])[0], [[1.0, 0.0], [0.0, 2.0]])
    assert host([(x > 0).all(axis=1), (x > 2).any(axis=0)])[0].tolist() == [False, False]
    assert bool((x > 2).any()) and not bool((x > 2).all(0, keepdims=True)[0, 1])
