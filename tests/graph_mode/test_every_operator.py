"""Every row of the operator case table inside zk.compile: values and gradients to the bit as in eager mode."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import zkynet as zk
from support.cases import ROWS
from support.points import host, op_function, own, points

# Rows in which NumPy adds up in another order where an array lies otherwise in memory.
REORDERED = ("signal.convolve", "signal.correlate")
# Rows whose functions read values that decide what is computed, so that other inputs take other paths, and rows that
# hand values to Python for good: with the reason.
EAGER: dict[str, str] = {}


def of(backend, name):
    return [p for p in points(name) if not p.weak][: 2 if backend.is_host else 1]


def compiled_and_eager(f, arrays):
    compiled = zk.compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = host(listed(f(*arrays)))
        found = [host(listed(compiled(*arrays))) for _ in range(4)]
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


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_values(name, backend):
    with zk.use_backend(backend):
        for point in of(backend, name):
            compiled, found, expected = compiled_and_eager(op_function(point), own(backend, point.inputs))
            assert_equal(found, expected, backend, name, point.sample)
            assert (compiled.eager_because is None) == (name not in EAGER), compiled.eager_because


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.differentiable])
def test_gradients(name, backend):
    with zk.use_backend(backend):
        for point in of(backend, name):
            if not point.differentiable:
                continue
            f, g = op_function(point), own(backend, point.g)

            def gradients(*x, f=f, g=g):
                return zk.vjp(f, *x)[1](g)

            compiled, found, expected = compiled_and_eager(gradients, own(backend, point.inputs))
            assert_equal(found, expected, backend, name, point.sample)
            assert (compiled.eager_because is None) == (name not in EAGER), compiled.eager_because
