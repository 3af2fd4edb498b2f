"""Case table: determinants, inverses and systems, decompositions, functions of matrices."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import LinAlgError, ShapeError

from .cases_linalg import NOT_SQUARE, SINGULAR, VECTOR, graded, row, samples
from .rows import Bad, Special, apart, draw, hermitian, regular

A = np.array


def spread(rng, shape, k=0):
    """Square matrices whose eigenvalues are about 1.5 apart and not far from real."""
    return rng.uniform(-0.3, 0.3, shape) + np.diag(1.0 + 1.5 * np.arange(shape[-1]))


def banded(u):
    """Draws bands whose diagonal, row ``u``, is larger than the rest."""
    return lambda rng, shape, k: rng.uniform(0.5, 1, shape) + 3 * (np.arange(shape[0]) == u)[:, None]


def turned(rng, shape, k=0):
    """Square matrices far from singular, their rows in reverse order."""
    return regular(rng, shape)[..., ::-1, :].copy()


def near_identity(rng, shape, k=0):
    """Near to twice the identity, as matrices."""
    return rng.uniform(-0.4, 0.4, shape) + 2 * np.eye(int(np.prod(shape) ** 0.5)).reshape(shape)


def first_two_exchanged(rng, shape, k=0):
    """The same with the first two axes exchanged."""
    return np.swapaxes(near_identity(rng, (shape[1], shape[0], *shape[2:])), 0, 1)


CRAMER = A([[4.0, -2.0], [-2.0, 1.0]])

DETERMINANTS = (
    row(
        "det",
        samples("det", ((3, 3),), ((2, 2, 2),), ((1, 1),), ((0, 0),), numbers=regular),
        specials=(
            Special((SINGULAR,), A(2.0), (2 * CRAMER,), second=2 * A([[1.0, -1], [-1, 1]]), why="cofactors"),
            Special((np.zeros((2, 2)),), A(2.0), (np.zeros((2, 2)),), second=2 * A([[1.0, -1], [-1, 1]])),
            Special((np.zeros((3, 3)),), A(2.0), (np.zeros((3, 3)),), value=A(0.0), second=np.zeros((3, 3))),
            Special(
                (np.diag([1.0, 0, 0]),), A(1.0), (np.zeros((3, 3)),), second=A([[0.0, 0, 0], [0, 1, -1], [0, -1, 1]])
            ),
            Special((2 * np.eye(2),), A(1.0), (2 * np.eye(2),), value=A(4.0), why="equal singular values"),
        ),
        errors=(NOT_SQUARE, VECTOR),
    ),
    row(
        "cofactors",
        samples("cofactors", ((3, 3),), ((2, 2, 2),), ((1, 1),), ((0, 0),), numbers=regular),
        specials=(Special((SINGULAR,), A([[1.0, 2], [3, 4]]), (A([[4.0, -3], [-2, 1]]),), value=CRAMER),),
        errors=(NOT_SQUARE,),
    ),
    row(
        "cofactor_slope",
        samples("slope", ((3, 3), (3, 3)), ((2, 2, 2), (2, 2)), ((0, 0), (0, 0)), numbers=(regular, apart)),
        integers=False,
        errors=(Bad((np.ones((2, 3)), np.ones((2, 2))), ShapeError, "(2, 3)"),),
    ),
    row(
        "slogdet",
        samples("slogdet", ((3, 3),), ((2, 2, 2),), ((0, 0),), numbers=regular),
        errors=(NOT_SQUARE,),
    ),
)

TOO_FEW_ROWS = Bad((np.eye(2), np.ones(3)), ShapeError, "(3,)")
SYSTEMS = (((3, 3), (3,)), ((2, 2), (2, 3)), ((2, 2, 2), (2, 1)), ((0, 0), (0, 2)))

SOLVERS = (
    row(
        "inv",
        samples("inv", ((3, 3),), ((2, 2, 2),), ((1, 1),), ((0, 0),), numbers=regular),
        errors=(NOT_SQUARE, Bad((SINGULAR,), LinAlgError, "singular"), Bad((np.zeros((2, 2, 2)),), LinAlgError, "inv")),
    ),
    row(
        "pinv",
        samples("pinv", ((3, 2),), ((2, 2),), ((2, 2, 3),), ((0, 2),), numbers=graded),
        specials=(
            Special((np.zeros((2, 3)),), np.ones((3, 2)), (np.zeros((2, 3)),), value=np.zeros((3, 2))),
            Special(
                (np.diag([2.0, 1e-3]),), np.eye(2), (np.diag([-0.25, 0]),), {"rtol": 1e-2}, value=np.diag([0.5, 0])
            ),
        ),
        errors=(VECTOR,),
    ),
    row(
        "solve_triangular",
        (
            *samples("triangular", *SYSTEMS[:2], numbers=(regular, apart)),
            *samples("triangular", SYSTEMS[1], numbers=(regular, apart), lower=True, trans="T"),
            *samples("triangular", *SYSTEMS[2:], numbers=(regular, apart), unit_diagonal=True, trans=2),
        ),
        errors=(
            TOO_FEW_ROWS,
            Bad((np.triu(np.ones((2, 2)), 1), np.ones(2)), LinAlgError, "singular"),
            Bad((np.eye(2), np.ones(2)), ValueError, "trans", {"trans": "X"}),
        ),
    ),
    row(
        "cho_solve",
        (
            *samples("cho_solve", *SYSTEMS, numbers=(regular, apart), lower=True),
            *samples("cho_solve", SYSTEMS[1], numbers=(regular, apart), lower=False),
        ),
        run=lambda xp, c, b, lower: xp.cho_solve((c, lower), b),
        errors=(Bad((np.eye(2), np.ones(3)), ShapeError, "(3,)", {"lower": True}),),
    ),
    row(
        "solve_banded",
        tuple(
            draw(
                "banded",
                ab,
                b,
                numbers=(banded(u), apart),
                l_and_u=(low, u),
            )
            for ab, b, low, u in (((3, 4), (4,), 1, 1), ((3, 3), (3, 2), 0, 2), ((1, 2), (2, 0), 0, 0))
        ),
        run=lambda xp, ab, b, l_and_u: xp.solve_banded(l_and_u, ab, b),
        errors=(
            Bad((np.ones((2, 3)), np.ones(3)), ShapeError, "(3, n)", {"l_and_u": (1, 1)}),
            Bad((np.ones((3, 3)), np.ones(2)), ShapeError, "3 rows", {"l_and_u": (1, 1)}),
        ),
    ),
    row(
        "solve_sylvester",
        samples(
            "sylvester",
            ((2, 2), (3, 3), (2, 3)),
            ((1, 1), (2, 2), (1, 2)),
            ((0, 0), (2, 2), (0, 2)),
            numbers=(regular, regular, apart),
        ),
        errors=(
            Bad((np.eye(2), np.eye(2), np.ones((2, 3))), ShapeError, "(m, n)"),
            Bad((np.eye(2), -np.eye(2), np.ones((2, 2))), LinAlgError, "singular"),
        ),
    ),
    row(
        "lstsq",
        samples(
            "lstsq",
            ((3, 2), (3,)),
            ((3, 2), (3, 2)),
            ((2, 2, 3), (2, 2, 1)),
            ((0, 3, 2), (3, 1)),
            numbers=(graded, apart),
        ),
        run=lambda xp, a, b: tuple(xp.lstsq(a, b)[:2]),
        errors=(Bad((np.ones((3, 2)), np.ones(2)), ShapeError, "(..., m, k)"),),
    ),
    row(
        "tensorinv",
        samples(
            "tensorinv",
            ((4, 2, 2),),
            ((2, 2, 4),),
            ((0, 0),),
            numbers=near_identity,
        ),
        run=lambda xp, a: xp.tensorinv(a, ind=2 if a.shape[-1] == 4 else 1),
        domain="as matrices, far from singular",
        errors=(Bad((np.ones((2, 3)),), ShapeError, "(2, 3)"),),
    ),
    row(
        "tensorsolve",
        (
            *samples(
                "tensorsolve",
                ((4, 2, 2), (4,)),
                ((0, 0), (0,)),
                numbers=(near_identity, apart),
            ),
            *samples(
                "tensorsolve",
                ((2, 4, 2), (4,)),
                numbers=(first_two_exchanged, apart),
                axes=(0, 2),
            ),
        ),
        domain="as matrices, far from singular",
        errors=(Bad((np.ones((2, 3)), np.ones(2)), ShapeError, "(2, 3)"),),
    ),
    row(
        "lu",
        samples("lu", ((3, 3),), ((2, 2, 2),), ((0, 0),), numbers=turned),
        integers=False,
        domain="square matrices far from singular, with one pivot that is clearly largest",
        errors=(NOT_SQUARE,),
    ),
    row(
        "lu_solve",
        samples("lu_solve", ((3, 3), (3,)), ((2, 2, 2), (2, 2)), ((0, 0), (0, 1)), numbers=(turned, apart)),
        run=lambda xp, a, b: xp.lu_solve(xp.lu(a), b),
        errors=(
            Bad((np.eye(2), np.ones(3)), ShapeError, "(3,)"),
            Bad((SINGULAR, np.ones(2)), LinAlgError, "singular"),
        ),
    ),
    row("toeplitz", samples("toeplitz", ((3,), (2,)), ((3,),), ((2,), (0,)))),
)


def gauge_free_svd(xp, x, full_matrices):
    """``svd`` without what is arbitrary: its products, and magnitudes."""
    u, s, vh = xp.svd(x, full_matrices=full_matrices)
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    return xp.matmul(u * xp.expand_dims(s**3, -2), vh), s, xp.abs(u) ** 2, xp.abs(vh) ** 2, xp.matmul(u, vh)


def gauge_free_qr(xp, x, mode):
    """``qr`` with a positive diagonal of R; the columns of Q beyond those of x left out."""
    q, r = xp.qr(x, mode=mode)
    k = min(x.shape[-2:])
    signs = xp.sign(xp.real(xp.diagonal(r)))
    below = r[..., k:, :]
    return q[..., :k] * xp.expand_dims(signs, -2), r[..., :k, :] * xp.expand_dims(signs, -1), below


def gauge_free_eig(xp, x):
    """``eig`` without order and phase: sums, and the square of the matrix rebuilt."""
    w, v = xp.eig(x)
    sizes = xp.sum(xp.expand_dims(w, -2) * xp.abs(v) ** 2, -1)
    return xp.sum(w**3, -1), sizes, xp.matmul(v * xp.expand_dims(w**2, -2), xp.inv(v))


DECOMPOSITIONS = (
    row(
        "qr",
        (
            draw("qr", (3, 2), numbers=graded, mode="reduced"),
            draw("qr", (2, 2, 2), numbers=graded, mode="reduced"),
            draw("qr", (3, 2), numbers=graded, mode="complete"),
            draw("qr", (2, 3), numbers=graded, mode="reduced"),
            draw("qr", (2, 0), mode="complete"),
        ),
        run=gauge_free_qr,
        domain="independent columns",
        errors=(
            Bad((np.ones(3),), ShapeError, "(3,)", {"mode": "reduced"}),
            Bad((np.ones((2, 2)),), ValueError, "'raw'", {"mode": "raw"}),
        ),
    ),
    row(
        "svd",
        (
            draw("svd", (3, 2), numbers=graded, full_matrices=False),
            draw("svd", (2, 2), numbers=graded, full_matrices=True),
            draw("svd", (2, 3), numbers=graded, full_matrices=True),
            draw("svd", (2, 2, 3), numbers=graded, full_matrices=False),
            draw("svd", (2, 0), full_matrices=True),
        ),
        run=gauge_free_svd,
        domain="distinct singular values, none of them 0",
        errors=(Bad((np.ones(3),), ShapeError, "(3,)", {"full_matrices": True}),),
    ),
    row(
        "svdvals",
        samples("svdvals", ((2, 3),), ((2, 3, 2),), ((2, 0),), numbers=graded),
        specials=(
            Special((2 * np.eye(2),), A([3.0, 3.0]), (3 * np.eye(2),), why="equal values, equal cotangents"),
            Special((np.diag([3.0, 0.0]),), A([2.0, 0.0]), (np.diag([2.0, 0]),), value=A([3.0, 0])),
        ),
        errors=(VECTOR,),
    ),
    row(
        "eigvalsh",
        samples("eigvalsh", ((3, 3),), ((2, 2, 2),), ((0, 0),), numbers=hermitian),
        specials=(Special((2 * np.eye(2),), A([3.0, 3.0]), (3 * np.eye(2),), why="equal values, equal cotangents"),),
        errors=(NOT_SQUARE,),
    ),
    row(
        "eig",
        samples("eig", ((3, 3),), ((2, 2, 2),), ((0, 0),), numbers=spread),
        run=gauge_free_eig,
        domain="distinct eigenvalues",
        errors=(NOT_SQUARE,),
    ),
    row(
        "eigvals",
        samples("eigvals", ((3, 3),), ((2, 2, 2),), ((0, 0),), numbers=spread),
        run=lambda xp, x: xp.sum(xp.eigvals(x) ** 3, -1),
        domain="distinct eigenvalues",
        errors=(NOT_SQUARE,),
    ),
)

NO_ROOT = Bad((-np.eye(2),), LinAlgError, "negative real axis")

FUNCTIONS = (
    row(
        "matrix_power",
        tuple(
            draw("matrix_power", s, numbers=regular, n=n)
            for s, n in (((2, 2), 5), ((2, 2), -3), ((2, 2, 2), 2), ((2, 2), 1), ((0, 0), 3))
        ),
        specials=(Special((SINGULAR,), np.ones((2, 2)), (np.zeros((2, 2)),), {"n": 0}, value=np.eye(2)),),
        errors=(
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"n": 2}),
            Bad((SINGULAR,), LinAlgError, "singular", {"n": -1}),
            Bad((SINGULAR,), TypeError, "float", {"n": 0.5}),
        ),
    ),
    row(
        "expm",
        samples("expm", ((2, 2),), ((2, 3, 3),), ((1, 1),), ((0, 0),), numbers=regular),
        specials=(
            Special((np.zeros((2, 2)),), A([[1.0, 2], [3, 4]]), (A([[1.0, 2], [3, 4]]),), value=np.eye(2)),
            Special(
                (A([[0.0, 1], [0, 0]]),),
                A([[0.0, 6], [0, 0]]),
                (A([[3.0, 6], [1, 3]]),),
                value=A([[1.0, 1], [0, 1]]),
                why="no basis of eigenvectors",
            ),
        ),
        errors=(NOT_SQUARE,),
    ),
    row(
        "sqrtm",
        samples("sqrtm", ((2, 2),), ((2, 3, 3),), ((0, 0),), numbers=regular),
        integers=False,  # the reference wants a basis of eigenvectors
        domain="eigenvalues neither 0 nor negative",
        specials=(Special((4 * np.eye(2),), A([[1.0, 2], [3, 4]]), (A([[1.0, 2], [3, 4]]) / 4,), value=2 * np.eye(2)),),
        errors=(NOT_SQUARE, NO_ROOT, Bad((np.zeros((2, 2)),), LinAlgError, "sqrtm")),
    ),
    row(
        "logm",
        samples("logm", ((2, 2),), ((2, 3, 3),), ((0, 0),), numbers=regular),
        integers=False,  # the reference wants a basis of eigenvectors
        domain="eigenvalues neither 0 nor negative",
        specials=(Special((np.eye(2),), A([[1.0, 2], [3, 4]]), (A([[1.0, 2], [3, 4]]),), value=np.zeros((2, 2))),),
        errors=(NOT_SQUARE, NO_ROOT),
    ),
)

ROWS = (*DETERMINANTS, *SOLVERS, *DECOMPOSITIONS, *FUNCTIONS)
