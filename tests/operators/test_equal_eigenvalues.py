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
def test_what_every_choice_of_eigenvectors_gives(matrix, backend):
    """The trace of the square, through the eigenvectors: V^H g_V vanishes off the diagonal."""
    square = gradient(lambda x: op.sum(op.real(rebuilt(x, op.square) * np.eye(4))), backend, matrix)
    np.testing.assert_allclose(square, 2 * matrix, atol=1e-12)


ARBITRARY = {
    "one eigenvalue of equals": lambda x: op.eigh(x)[0][1],
    "an eigenvector": lambda x: op.sum(op.real(op.eigh(x)[1][:, 1]) * np.arange(1.0, 5.0)),
    "a weighted sum": lambda x: op.sum(op.real(rebuilt(x, op.square)) * np.arange(16.0).reshape(4, 4)),
}


@matrices
@pytest.mark.parametrize("f", ARBITRARY.values(), ids=ARBITRARY)
def test_what_depends_on_the_choice_is_refused(matrix, f, backend):
    with pytest.raises(np.linalg.LinAlgError, match="eigenvalues are equal"):
        gradient(f, backend, matrix)


@matrices
def test_second_order_at_equal_values_is_refused(matrix, backend):
    def trace(x):
        return op.sum(op.eigh(x)[0])

    with pytest.raises(np.linalg.LinAlgError, match="second derivatives"):
        gradient(lambda x: op.sum(op.real(zk.grad(trace)(x))), backend, matrix)


@matrices
def test_forward_mode(matrix, backend):
    """Along a direction that keeps equal values equal; others turn the eigenvectors at once, and are refused."""
    x = backend.asarray(matrix)
    (w, v), (tw, tv) = zk.jvp(op.eigh, [x], [x])
    np.testing.assert_allclose(*host([tw, w]), atol=1e-12)
    np.testing.assert_allclose(host([tv])[0], 0, atol=1e-12)
    turning = np.ones((4, 4)) + np.diag(np.arange(4.0))
    with pytest.raises(np.linalg.LinAlgError, match="eigenvalues are equal"):
        zk.jvp(op.eigh, [x], [backend.asarray(turning.astype(matrix.dtype))])


def test_one_matrix_of_a_stack(backend):
    """Where values are equal and where they are not, in one call."""
    stack = np.stack([EQUAL["part"], (Q * np.arange(1.0, 5.0)) @ Q.T])
    squares = gradient(lambda x: op.sum(op.eigh(x)[0] ** 2), backend, stack)
    np.testing.assert_allclose(squares, 2 * stack, atol=1e-12)


def test_close_values_are_not_equal(backend):
    matrix = (Q * np.array([1.0, 1.0 + 1e-6, 3.0, 4.0])) @ Q.T
    found = gradient(lambda x: op.eigh(x)[0][0], backend, matrix)
    np.testing.assert_allclose(found, np.outer(Q[:, 0], Q[:, 0]), atol=1e-6)
