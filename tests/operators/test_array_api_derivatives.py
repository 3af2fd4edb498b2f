"""Every differentiable function of the array API standard 2025.12 differentiates, in reverse and in forward mode.

``PROGRAMS`` has one small program for each: 122, basic indexing and assignment among them, counted as OPS counts them
(a function that the standard has in two namespaces stands in both). The rest of the standard is in ``CONSTANT``, so no
function is forgotten. Both modes are held against differences of NumPy's values in every entry.
"""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.points import host
from zkynet.framework import op

X = np.array([[0.35, 0.82, 0.14], [0.61, 0.27, 0.53]])
SQUARE = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.2], [-0.4, 0.25, 3.1]])
LINE = np.array([0.2, 0.9, 0.55])
MASK = np.array([[True, False, True], [False, True, True]])
PLACES = np.array([2, 0, 2])


def of(x=X, **settings):
    """A call with one array."""
    return lambda f, x: f(x, **settings), (x,)


def symmetric(x):
    return (x + op.matrix_transpose(x)) / 2


def complex_of(x, y=None):
    return op.complex(x, x * x if y is None else y)


def parts(z):
    """A complex result as real numbers."""
    return op.stack([op.real(z), op.imag(z)])


def assigned(x, v):
    y = x * 1.0
    y[0, 1:] = v
    return y


ENTRYWISE = (
    *("abs", "acos", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "log", "log10", "log1p", "log2"),
    *("negative", "positive", "real", "reciprocal", "sin", "sinh", "sqrt", "square", "tan", "tanh"),
)
PAIRS = (
    *("add", "atan2", "divide", "hypot", "logaddexp", "maximum", "minimum", "multiply", "pow", "remainder"),
    "subtract",
)
REDUCTIONS = ("max", "mean", "min", "prod", "std", "sum", "var")
ROWS_OF_THREE = (np.array([[0.4, -0.2, 0.7]]), np.array([[0.3, 0.9, -0.5], [1.1, 0.2, 0.6]]))

PROGRAMS = {
    **{name: (lambda f, x: f(x), (X,)) for name in ENTRYWISE},
    **{name: (lambda f, a, b: f(a, b), (X, LINE + 0.03)) for name in PAIRS},
    **{name: (lambda f, x: f(x, axis=1), (X,)) for name in REDUCTIONS},
    "acosh": (lambda f, x: f(x), (X + 1,)),
    "clip": (lambda f, x, low: f(x, low, 0.6), (X, LINE / 2)),
    "copysign": (lambda f, x: f(x, LINE - 0.5), (X,)),
    "conj": (lambda f, x: parts(f(complex_of(x))), (X,)),
    "imag": (lambda f, x: f(complex_of(x)), (X,)),
    "cumulative_sum": (lambda f, x: f(x, axis=1), (X,)),
    "cumulative_prod": (lambda f, x: f(x, axis=0, include_initial=True), (X,)),
    "diff": (lambda f, x, v: f(x, axis=0, prepend=v), (X, LINE[None])),
    "sort": (lambda f, x: f(x, axis=1, descending=True), (X,)),
    "where": (lambda f, a, b: f(MASK, a, b), (X, LINE)),
    "unique_values": (lambda f, x: f(x), (X,)),
    **{name: (lambda f, x: f(x).values, (X,)) for name in ("unique_all", "unique_counts", "unique_inverse")},
    # shapes, joining, indexing
    "reshape": of(shape=(3, 2)),
    "permute_dims": of(axes=(1, 0)),
    "matrix_transpose": of(),
    "moveaxis": (lambda f, x: f(x, 0, 1), (X,)),
    "expand_dims": of(axis=(0, 2)),
    "squeeze": (lambda f, x: f(x, 0), (X[None],)),
    "broadcast_to": of(shape=(4, 2, 3)),
    "broadcast_arrays": (lambda f, a, b: op.multiply(*f(a, b)), (X, LINE)),
    "flip": of(axis=1),
    "roll": of(shift=(1, -1), axis=(0, 1)),
    "tile": (lambda f, x: f(x, (2, 1)), (X,)),
    "repeat": (lambda f, x: f(x, PLACES, axis=1), (X,)),
    "tril": of(),
    "triu": of(k=1),
    "concat": (lambda f, a, b: f([a, b], axis=0), (X, LINE[None])),
    "stack": (lambda f, a, b: f([a, b], axis=1), (X, X**2)),
    "unstack": (lambda f, x: op.divide(*f(x)), (X,)),
    "meshgrid": (lambda f, a, b: op.multiply(*f(a, b)), (LINE, LINE[:2])),
    "getitem": (lambda f, x: x[:, PLACES] * x[1, ..., None, ::-1], (X,)),
    "setitem": (lambda f, x, v: assigned(x, v), (X, LINE[:2])),
    "take": (lambda f, x: f(x, PLACES, axis=1), (X,)),
    "take_along_axis": (lambda f, x: f(x, PLACES[None], axis=1), (X,)),
    "astype": (lambda f, x: parts(f(x, "complex128") * 1j), (X,)),
    # creation
    "asarray": (lambda f, a, b: f([[a, b], [b, 1.0]]), (np.array(0.4), np.array(0.7))),
    "full": (lambda f, v: f((2, 3), v), (np.array(0.4),)),
    "full_like": (lambda f, v: f(X, v), (LINE,)),
    "linspace": (lambda f, a, b: f(a, b, 4), (np.array(0.4), np.array(1.7))),
    # products
    "matmul": (lambda f, a, b: f(a, b), (X, SQUARE)),
    "tensordot": (lambda f, a, b: f(a, b, axes=1), (X, SQUARE)),
    "vecdot": (lambda f, a, b: f(a, b), (X, LINE)),
    "linalg.matmul": (lambda f, a, b: f(a, b), (SQUARE, LINE)),
    "linalg.tensordot": (lambda f, a, b: f(a, b, axes=((1,), (1,))), (X, SQUARE)),
    "linalg.vecdot": (lambda f, a, b: f(a, b, axis=0), (SQUARE, SQUARE**2)),
    "linalg.matrix_transpose": of(SQUARE),
    "linalg.outer": (lambda f, a, b: f(a, b), (LINE, LINE[:2] ** 2)),
    "linalg.cross": (lambda f, a, b: f(a, b), ROWS_OF_THREE),
    # linear algebra
    "linalg.diagonal": of(SQUARE, offset=1),
    "linalg.trace": of(SQUARE),
    "linalg.det": of(SQUARE),
    "linalg.slogdet": (lambda f, x: f(x).logabsdet, (SQUARE,)),
    "linalg.inv": of(SQUARE),
    "linalg.pinv": of(),
    "linalg.solve": (lambda f, a, b: f(a, b), (SQUARE, LINE)),
    "linalg.cholesky": (lambda f, x: f(symmetric(x)), (SQUARE,)),
    "linalg.qr": (lambda f, x: op.concat(list(f(x)), axis=0), (SQUARE,)),
    "linalg.eigh": (lambda f, x: f(symmetric(x)).eigenvectors ** 2, (SQUARE,)),
    "linalg.eigvalsh": (lambda f, x: f(symmetric(x)), (SQUARE,)),
    "linalg.eig": (lambda f, x: op.abs(f(x).eigenvectors), (SQUARE,)),
    "linalg.eigvals": (lambda f, x: op.sort(op.real(f(x))), (SQUARE,)),
    "linalg.svd": (lambda f, x: op.multiply(f(x, full_matrices=False).Vh ** 2, op.sum(f(x).S)), (X,)),
    "linalg.svdvals": of(),
    "linalg.vector_norm": of(axis=1, ord=3),
    "linalg.matrix_norm": of(ord="nuc"),
    "linalg.matrix_power": (lambda f, x: f(x, -2), (SQUARE,)),
    # Fourier
    **{f"fft.{name}": (lambda f, x: parts(f(x)), (X,)) for name in ("fft", "ifft", "fftn", "ifftn", "rfft", "rfftn")},
    "fft.ihfft": (lambda f, x: parts(f(x)), (X,)),
    **{f"fft.{name}": (lambda f, a, b: f(complex_of(a, b)), (X, X**2)) for name in ("irfft", "irfftn", "hfft")},
    **{f"fft.{name}": (lambda f, x: f(x), (X,)) for name in ("fftshift", "ifftshift")},
}

# The rest of the standard: constants, integers and booleans, and what is constant between its jumps.
CONSTANT = (
    *("arange", "empty", "empty_like", "eye", "from_dlpack", "ones", "ones_like", "zeros", "zeros_like"),
    *("__array_namespace_info__", "broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"),
    *("bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor"),
    *("equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "not_equal", "signbit"),
    *("logical_and", "logical_not", "logical_or", "logical_xor", "all", "any", "isin", "count_nonzero", "nonzero"),
    *("argmax", "argmin", "argsort", "searchsorted", "linalg.matrix_rank", "fft.fftfreq", "fft.rfftfreq"),
    *("ceil", "floor", "floor_divide", "nextafter", "round", "sign", "trunc"),
)


def program(name):
    """The program as a function of its arrays, and the arrays."""
    run, inputs = PROGRAMS[name]
    item = None if name in ("getitem", "setitem") else op
    for part in name.split(".") if item else ():
        item = getattr(item, part)
    return lambda *x: run(item, *x), inputs


def test_there_are_122_of_them():
    assert len(PROGRAMS) == 122


def test_no_function_of_the_standard_is_forgotten():
    strict = pytest.importorskip(
        "array_api_strict", reason="array_api_strict, which states the standard, is not installed here"
    )
    names = {"linalg.eig", "linalg.eigvals", "getitem", "setitem"}
    for space, module in (("", strict), ("linalg.", strict.linalg), ("fft.", strict.fft)):
        found = (n for n in module.__all__ if callable(getattr(module, n)) and "strict" not in n.lower())
        names |= {space + n for n in found if not isinstance(getattr(module, n), type) or n.startswith("__")}
    assert set(PROGRAMS) & set(CONSTANT) == set()
    assert names == set(PROGRAMS) | set(CONSTANT)


@pytest.mark.parametrize("name", PROGRAMS)
def test_reverse_and_forward_mode(name):
    f, x = program(name)
    rng = np.random.default_rng(7)
    v = [rng.normal(size=a.shape) for a in x]
    value, pull = zk.vjp(f, *x)
    g = rng.normal(size=np.shape(value))
    gradients = pull(g)
    assert all(np.shape(d) == a.shape and np.any(d) for d, a in zip(gradients, x, strict=True))
    tangent = zk.jvp(f, x, v)[1]
    h = 1e-5
    ends = [host([f(*(a + s * h * t for a, t in zip(x, v, strict=True)))])[0] for s in (1, -1, 2, -2)]
    slope = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h)
    np.testing.assert_allclose(tangent, slope, rtol=1e-7, atol=1e-9)
    forward = float(np.sum(g * tangent))
    backward = sum(float(np.sum(d * t)) for d, t in zip(gradients, v, strict=True))
    np.testing.assert_allclose(backward, forward, rtol=1e-10)
