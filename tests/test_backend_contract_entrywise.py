"""The contract of the backends, entrywise extras: every override equals the portable implementation and NumPy."""

import math

import numpy as np
import pytest

from zkynet.backends.entrywise import Entrywise

FLOATS = ("float32", "float64")
VALUES = (0.0, -0.0, 1.0, -1.5, 0.1, -27.0, 8.0, 1e30, -1e-30, math.inf, -math.inf, math.nan)
REACHES = {"float32": (1e-45, 1.5e38), "float64": (5e-324, 1.5e308)}


def check(xp, name, args, truth, tolerance=None):
    """``xp``'s own method and the portable one, where the latter is not compiled step by step."""
    own = [xp.asarray(a) for a in args]
    for method in (getattr(xp, name), *([] if xp.name == "jax" else [getattr(Entrywise, name).__get__(xp)])):
        with np.errstate(all="ignore"):
            got = method(*own)
        assert xp.owns(got)
        assert xp.name_of(got.dtype) == truth.dtype.name
        assert tuple(got.shape) == truth.shape
        rtol = tolerance if tolerance is not None else 4 * np.finfo(truth.dtype).eps
        np.testing.assert_allclose(xp.to_numpy(got), truth, rtol=rtol, atol=0)


@pytest.fixture(params=FLOATS)
def dtype(request):
    return request.param


def test_cbrt(backend, dtype):
    x = np.array(VALUES, dtype)
    check(backend, "cbrt", (x,), np.cbrt(x))
    check(backend, "cbrt", (np.zeros((0, 2), dtype),), np.zeros((0, 2), dtype))


def test_exp2(backend, dtype):
    x = np.array([0.0, 3.0, -5.0, 0.3, 2000.0, -2000.0, math.inf, -math.inf, math.nan], dtype)
    with np.errstate(over="ignore", under="ignore"):
        check(backend, "exp2", (x,), np.exp2(x))
    whole = backend.to_numpy(backend.exp2(backend.asarray(np.arange(-20.0, 20.0))))
    np.testing.assert_array_equal(whole, [2.0**k for k in range(-20, 20)])


def test_exp2_of_complex_numbers(backend):
    z = np.array([1 + 1j, -0.5j])
    check(backend, "exp2", (z,), 2.0**z)


def test_fmod_is_exact(backend, dtype):
    a = np.array([5.5, -5.5, 0.3, -0.3, 1e20, 7.0, 0.0, 3.0], dtype)
    b = np.array([[2.0], [-2.0], [0.1], [math.inf]], dtype)
    check(backend, "fmod", (a, b), np.fmod(a, b), tolerance=0)
    n = np.array([-7, 7, 6])
    check(backend, "fmod", (n, np.array([3, -3, 2])), np.fmod(n, [3, -3, 2]), tolerance=0)


def test_ldexp_does_not_overflow_on_the_way(backend, dtype):
    x = np.array([1.0, -3.0, 0.0, math.inf, math.nan, 1e-30, 1e30], dtype)
    for n in (0, 5, -5, 150, -120, 10**6, -(10**6)):
        with np.errstate(over="ignore", under="ignore"):
            truth = np.ldexp(x, n)
        if backend.name == "jax":  # XLA takes numbers below the smallest normal one for 0
            truth = np.where(np.abs(truth) < np.finfo(dtype).smallest_normal, 0, truth).astype(dtype)
        check(backend, "ldexp", (x, np.array([n])), truth)
    small, large = REACHES[dtype]
    if backend.name != "jax":
        power = int(round(math.log2(large) - math.log2(small))) - 1
        check(
            backend,
            "ldexp",
            (np.array([small], dtype), np.array([power], "int32")),
            np.ldexp(np.array([small], dtype), power),
        )


def test_exponent(backend, dtype):
    x = np.array([*VALUES, 2.0, 0.5, 3.9999999, 4.0, np.nextafter(np.array(8, dtype), np.array(0, dtype))], dtype)
    truth = np.where(np.isfinite(x), np.frexp(x)[1], 0).astype("int32")
    own = backend.asarray(x)
    with np.errstate(all="ignore"):
        for got in (backend.exponent(own), Entrywise.exponent(backend, own)):
            assert backend.name_of(got.dtype) == "int32"
            np.testing.assert_array_equal(backend.to_numpy(got), truth)


def test_complex_of(backend, dtype):
    re, im = np.array([[1.0], [-2.0]], dtype), np.array([0.5, -0.0, 3.0], dtype)
    check(backend, "complex_of", (re, im), (re + 1j * im).astype("complex64" if dtype == "float32" else "complex128"))
    if backend.name in ("numpy", "jax"):  # the others have no function for it
        got = backend.to_numpy(backend.complex_of(backend.asarray(1.0), backend.asarray(math.inf)))
        assert got.real == 1.0 and got.imag == math.inf
