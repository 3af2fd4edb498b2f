"""Every row of the operator case table inside zk.compile: values and gradients to the bit as in eager mode."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.cases import DIFFERENTIABLE, ROWS
from support.points import host, is_input, own, points
from zkynet import op

# Rows in which NumPy adds up in another order where an array lies otherwise in memory.
REORDERED = ("signal.convolve", "signal.correlate")


def of(backend, name):
    return [p for p in points(name) if not p.weak][: 2 if backend.is_host else 1]


def function_of(point):
    """``f`` of the inputs, which does not ask of what type the other operands are."""
    inputs = [is_input(x) for x in point.sample.operands]

    def f(*given):
        rest = iter(given)
        operands = [next(rest) if mine else x for mine, x in zip(inputs, point.sample.operands, strict=True)]
        return listed(point.row.call(op, operands, point.sample.settings))

    return f


def compiled_and_eager(f, arrays):
    compiled = zk.compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = host(listed(f(*arrays)))
        found = [host(listed(compiled(*arrays))) for _ in range(4)]
    assert not [each for each in compiled.retraces if "a replay raised" in each], compiled.retraces
    return compiled, found, expected


def listed(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def assert_equal(found, expected, backend, name, what):
    for run in found:
        for one, other in zip(run, expected, strict=True):
            assert one.dtype == other.dtype and one.shape == other.shape, what
            if backend.name == "jax" or name in REORDERED:  # so does the compiler
                np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10, err_msg=str(what))
            else:
                np.testing.assert_array_equal(one, other, err_msg=str(what))


def drawn(rows):
    """(backend, row) for each row on NumPy and on array_api_strict, and for a few on JAX, which compiles each anew."""
    each = [(where, row.name) for row in rows for where in ("numpy", "array_api_strict")]
    return [*each, *[("jax", row.name) for row in rows[::15]]]


def backend_called(name):
    if name not in backends_here.present():
        pytest.skip(f"{name} is not installed")
    return backends_here.get(name)


def by_values(backend, compiled):
    """Whether a function went on eagerly for the one good reason: shapes depend on values, and the library compiles."""
    return backend.name == "jax" and "shapes depend on values" in compiled.eager_because


@pytest.mark.parametrize("where, name", drawn(ROWS))
def test_values(where, name):
    backend = backend_called(where)
    with zk.use_backend(backend):
        for point in of(backend, name):
            compiled, found, expected = compiled_and_eager(function_of(point), own(backend, point.inputs))
            assert_equal(found, expected, backend, name, point.sample)
            assert compiled.eager_because is None or by_values(backend, compiled), compiled.eager_because


@pytest.mark.parametrize("where, name", drawn(DIFFERENTIABLE))
def test_gradients(where, name):
    backend = backend_called(where)
    with zk.use_backend(backend):
        for point in of(backend, name):
            if not point.differentiable:
                continue
            f, g = function_of(point), own(backend, point.g)

            def gradients(*x, f=f, g=g):
                return zk.vjp(f, *x)[1](g)

            compiled, found, expected = compiled_and_eager(gradients, own(backend, point.inputs))
            assert_equal(found, expected, backend, name, point.sample)
            assert compiled.eager_because is None or by_values(backend, compiled), compiled.eager_because
