"""Linear algebra where it is awkward: equal and zero singular values, choices left open, far out, compiled."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.points import host
from zkynet.backends.linalg_extras import Extras
from zkynet.framework import op
from zkynet.testing import check_grads

RNG = np.random.default_rng(5)
Q = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
P = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
U, W = (np.linalg.qr(x + 1j * RNG.normal(size=(4, 4)))[0] for x in (Q, P))
EQUAL = {  # singular values that are equal all, in pairs, in part
    "all": 2 * Q,
    "pairs": (Q * np.array([3.0, 3.0, 1.0, 1.0])) @ P.T,
    "part": (Q * np.array([5.0, 2.0, 2.0, 1.0])) @ P.T,
    "tall": (Q[:, :3] * np.array([5.0, 2.0, 2.0])) @ np.eye(3)[::-1],
    "complex": (U * np.array([5.0, 2.0, 2.0, 1.0])) @ W.conj().T,
}
matrices = pytest.mark.parametrize("matrix", EQUAL.values(), ids=EQUAL)


def gradient(f, backend, x):
    return host([zk.grad(f)(backend.asarray(x))])[0]


def rebuilt(x, f):
    """The matrix with f of its singular values."""
    u, s, vh = op.svd(x, full_matrices=False)
    return op.matmul(u * op.expand_dims(f(s), -2), vh)


@matrices
def test_symmetric_functions_of_equal_singular_values(matrix, backend):
    squares = gradient(lambda x: op.sum(op.svdvals(x) ** 2), backend, matrix)
    np.testing.assert_allclose(squares, 2 * matrix, atol=1e-12)


@matrices
def test_what_every_choice_of_singular_vectors_gives(matrix, backend):
    """The squared norm of the matrix, through u, s and vh."""
    found = gradient(lambda x: op.sum(op.abs(rebuilt(x, lambda s: s)) ** 2), backend, matrix)
    np.testing.assert_allclose(found, 2 * matrix, atol=1e-11)


WEIGHTS = np.arange(16.0).reshape(4, 4)
ARBITRARY = {
    "one value of equals": lambda x: op.svdvals(x)[1],
    "a vector": lambda x: op.sum(op.abs(op.svd(x, full_matrices=False)[0][:, 1]) ** 2 * np.arange(4.0)),
    "a weighted sum": lambda x: op.sum(op.real(rebuilt(x, op.square)) * WEIGHTS[:, : x.shape[1]]),
}


@matrices
@pytest.mark.parametrize("f", ARBITRARY.values(), ids=ARBITRARY)
def test_what_depends_on_the_choice_is_refused(matrix, f, backend):
    with pytest.raises(np.linalg.LinAlgError, match="singular values are equal"):
        gradient(f, backend, matrix)


@matrices
def test_second_order_at_equal_singular_values_is_refused(matrix, backend):
    with pytest.raises(np.linalg.LinAlgError, match="svd"):
        gradient(lambda x: op.sum(op.abs(zk.grad(lambda x: op.sum(op.svdvals(x) ** 2))(x))), backend, matrix)


def test_forward_mode_at_equal_singular_values(backend):
    """Along the matrix itself all values grow alike; along a rotation vectors move and values do not."""
    x = backend.asarray(EQUAL["part"])
    (_, s, _), (tu, ts, tv) = zk.jvp(lambda x: tuple(op.svd(x)), [x], [x])
    np.testing.assert_allclose(*host([ts, s]), atol=1e-12)
    np.testing.assert_allclose(np.abs(np.concatenate(host([tu, tv]))).max(), 0, atol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="singular values are equal"):
        zk.jvp(lambda x: tuple(op.svd(x)), [x], [backend.asarray(WEIGHTS)])


def test_svd_of_rank_one(backend):
    """Singular values that are 0: their vectors are arbitrary, and what needs them is refused."""
    x = backend.asarray(np.outer([1.0, 2.0, 2.0], [3.0, 4.0]))
    largest = gradient(lambda x: op.svdvals(x)[0], backend, x)
    np.testing.assert_allclose(largest, np.outer([1, 2, 2], [3, 4]) / 15, atol=1e-14)
    with pytest.raises(np.linalg.LinAlgError, match="a singular value is 0"):
        zk.grad(lambda x: op.sum(op.svd(x, full_matrices=False)[0]))(x)


def test_phases_of_complex_vectors_are_refused(backend):
    x = RNG.normal(size=(2, 2)) + 1j * RNG.normal(size=(2, 2))
    for f in (op.eig, op.svd, lambda x: op.eigh(x + op.conj(op.matrix_transpose(x)))):
        vectors = 1 if f is not op.svd else 0
        with pytest.raises(np.linalg.LinAlgError, match="phase"):
            gradient(lambda x, f=f, k=vectors: op.sum(op.real(f(x)[k])), backend, x)


def test_eig_where_there_is_no_basis_of_eigenvectors(backend):
    with pytest.raises(np.linalg.LinAlgError, match="basis of eigenvectors"):
        gradient(lambda x: op.sum(op.real(op.eigvals(x))), backend, np.array([[1.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(np.linalg.LinAlgError, match="eigenvalues are equal"):
        gradient(lambda x: op.real(op.eigvals(x)[0]), backend, np.eye(2))
    trace = gradient(lambda x: op.sum(op.real(op.eigvals(x))), backend, np.eye(2))
    np.testing.assert_allclose(trace, np.eye(2), atol=1e-14)


def test_a_rotation_has_complex_eigenvalues(backend):
    """Real in, complex out, and a real gradient: the angle's derivative."""
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    found = gradient(lambda x: op.sum(op.abs(op.imag(op.eigvals(x)))), backend, turn)
    np.testing.assert_allclose(found, [[0, -1], [1, 0]], atol=1e-14)


REFUSED_COMPILED = {
    "equal singular values": (lambda x: op.svdvals(x)[0], np.eye(2)),
    "equal eigenvalues": (lambda x: op.eigvalsh(x)[0], np.eye(2)),
    "what completes a basis": (lambda x: op.sum(op.svd(x)[0] * np.arange(9.0).reshape(3, 3)), WEIGHTS[:3, :2]),
    "complete qr": (lambda x: op.sum(op.qr(x, mode="complete")[0] * np.arange(9.0).reshape(3, 3)), WEIGHTS[:3, :2]),
    "no square root": (lambda x: op.sum(op.sqrtm(x)), np.diag([1.0, -1.0])),
}


@pytest.mark.parametrize(("f", "x"), REFUSED_COMPILED.values(), ids=REFUSED_COMPILED)
def test_compiled_refusals_are_nan(f, x):
    jax = backends_here.get("jax")
    found = jax.compile(lambda x: zk.grad(f)(x))(jax.asarray(x))
    assert np.isnan(host([found])[0]).any()


def test_compiled_functions_of_matrices_far_out():
    jax = backends_here.get("jax")
    found = jax.compile(lambda x: op.expm(x).value)(jax.asarray(np.diag([-1e3, -1e9])))
    assert np.isnan(host([found])[0]).all()
    found = jax.compile(lambda x: op.expm(x).value)(jax.asarray(np.diag([-1e3, -10.0])))
    np.testing.assert_allclose(host([found])[0], np.diag(np.exp([-1e3, -10.0])), rtol=1e-11)


def test_functions_of_matrices_far_out(backend):
    wide = np.diag([1e-6, 1.0, 1e6])
    np.testing.assert_allclose(host([op.logm(backend.asarray(wide))])[0], np.diag(np.log(np.diag(wide))), atol=1e-11)
    np.testing.assert_allclose(host([op.sqrtm(backend.asarray(wide))])[0], np.sqrt(wide), atol=1e-12, rtol=1e-12)
    turn = np.array([[0.0, -300.0], [300.0, 0.0]])
    c, s = np.cos(300), np.sin(300)
    np.testing.assert_allclose(host([op.expm(backend.asarray(turn))])[0], [[c, -s], [s, c]], atol=1e-11)


def test_third_derivatives_of_det(backend):
    """Right at regular matrices, an error at singular ones."""

    def twice(x):
        return op.sum(op.cofactor_slope(x, np.arange(9.0).reshape(3, 3)) ** 2)

    regular = RNG.normal(size=(3, 3)) + 2 * np.eye(3)
    if backend.is_host:
        check_grads(twice, [regular], order=1)
    with pytest.raises(np.linalg.LinAlgError, match="third derivatives"):
        gradient(twice, backend, np.ones((3, 3)))


def test_determinants_of_large_and_small_matrices(backend):
    """A hundred rows: det itself leaves the range of numbers, slogdet and its gradient do not."""
    x = 1e-5 * (np.eye(100) + RNG.normal(size=(100, 100)) / 100)
    _, size = op.slogdet(backend.asarray(x))
    np.testing.assert_allclose(host([size])[0], np.linalg.slogdet(x)[1], rtol=1e-12)
    found = gradient(lambda x: op.slogdet(x)[1], backend, x)
    np.testing.assert_allclose(found, np.linalg.inv(x).T, rtol=1e-9, atol=1e-6)


def test_results_have_the_standards_names():
    x = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert op.linalg.svd(x)._fields == ("U", "S", "Vh")
    assert op.linalg.qr(x)._fields == ("Q", "R")
    assert op.linalg.slogdet(x)._fields == ("sign", "logabsdet")
    assert op.linalg.eig(x)._fields == op.linalg.eigh(x)._fields == ("eigenvalues", "eigenvectors")
    value, pull = zk.vjp(op.linalg.eigh, x)
    assert pull(tuple(value))[0].shape == (2, 2)  # a plain tuple stands for a named one


STANDARD = (
    *("cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm"),
    *("matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals"),
    *("tensordot", "trace", "vecdot", "vector_norm"),
)


def test_linalg_is_complete():
    """The names of the array API standard 2025.12, and NumPy's further ones."""
    further = {"cond", "lstsq", "multi_dot", "norm", "tensorinv", "tensorsolve"}
    assert set(STANDARD) | further <= set(vars(op.linalg))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_systems_read_one_triangle(backend, lower, unit):
    """The backend's own function gives what the portable one gives; the other triangle may hold anything."""
    a, b = RNG.normal(size=(2, 3, 3)) + 3 * np.eye(3), RNG.normal(size=(3, 2))
    part = np.tril(a) if lower else np.triu(a)
    off = np.triu(np.full((3, 3), np.nan), 1) if lower else np.tril(np.full((3, 3), np.nan), -1)
    settings = {"lower": lower, "unit_diagonal": unit}
    own, other = backend.linalg.solve_triangular, Extras.solve_triangular
    found = own(backend.asarray(part), backend.asarray(b), **settings)
    plain = other(backend.linalg, backend.asarray(part + off), backend.asarray(b), **settings)
    truth = np.linalg.solve(part - unit * part * np.eye(3) + unit * np.eye(3), b)
    np.testing.assert_allclose(host([found])[0], truth, rtol=1e-12)
    np.testing.assert_allclose(host([plain])[0], truth, rtol=1e-12)


def test_lu_is_the_portable_one(backend):
    x = RNG.normal(size=(2, 3, 3)) + RNG.normal(size=(2, 1, 1)) * np.array([[0, 0, 0], [4j, 0, 0], [0, 2, 0]])
    for found, truth in zip(backend.linalg.lu(backend.asarray(x)), Extras.lu(backend.linalg, backend.asarray(x))):
        assert found.dtype == truth.dtype
        np.testing.assert_allclose(*host([found, truth]), atol=1e-13)


def test_eig_without_a_library_function(backend):
    """What CuPy uses: the host's."""
    x = RNG.normal(size=(2, 3, 3))
    w, v = host(Extras.eig(backend.linalg, backend.asarray(x)))
    np.testing.assert_allclose(x @ v, v * w[:, None, :], atol=1e-12)


def test_a_one_axis_b_is_a_vector_and_nothing_else_is(backend):
    """As the standard says: b of shape (2, 2) are columns, also behind a stack of matrices."""
    a, b = RNG.normal(size=(2, 2, 2)) + 2 * np.eye(2), RNG.normal(size=(2, 2))
    own = backend.asarray
    for f in (op.solve, lambda a, b: op.solve_triangular(op.triu(a), b)):
        assert f(own(a), own(b)).shape == (2, 2, 2)
        assert f(own(a), own(b[0])).shape == (2, 2)


def test_einsum_by_lists():
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))
    np.testing.assert_allclose(op.einsum(a, [0, 1], b, [1, 2]).value, a @ b)
    np.testing.assert_allclose(op.einsum(a, [9, 1], b, [1, 2], [2, 9]).value, (a @ b).T)
    np.testing.assert_allclose(op.einsum(a, [Ellipsis, 1], [1, Ellipsis]).value, a.T)
    np.testing.assert_allclose(op.einsum(a, [30, 2]).value, a.T)  # an implicit output: in the order of the numbers
    found = zk.grad(lambda a: op.sum(op.einsum(a, [0, 1], b, [1, 2], [0])))(a)
    np.testing.assert_allclose(found, np.broadcast_to(b.sum(1), a.shape))
    for bad in ((a, b), (a, [0, "x"]), (a, [0, 52])):
        with pytest.raises(TypeError, match="list of its labels"):
            op.einsum(*bad)


def test_multi_dot_multiplies_in_the_cheaper_order(monkeypatch):
    """(1000 x 2)(2 x 1000)(1000 x 1): from the right, without a matrix of a million entries."""
    sizes = []
    matmul = op.MatMul.forward

    def watched(self, xp, a, b):
        y = matmul(self, xp, a, b)
        sizes.append(y.size)
        return y

    monkeypatch.setattr(op.MatMul, "forward", watched)
    op.multi_dot([np.ones((1000, 2)), np.ones((2, 1000)), np.ones((1000, 1))])
    assert max(sizes) == 1000
