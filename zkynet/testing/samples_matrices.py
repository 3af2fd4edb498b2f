"""Sample calls of linear algebra. Where a result is unique but for signs or an order, the call takes what is unique."""

from zkynet.framework import op

from .samples_draw import A, M, V, apart, call, dominant, positive, regular

SQUARE = (3, 3)

PRODUCTS = (
    *(call(name, M, V) for name in ("inner", "matvec")),
    call("vecmat", (2,), M),
    *(call(name, V, V) for name in ("outer", "vdot", "vecdot", "cross")),
    call("kron", M, (1, 2)),
    call("multi_dot", M, (3, 2), run=lambda a, b: op.multi_dot([a, b])),
    call(
        "sparse_matmul",
        *((4,), (3, 2)),
        run=lambda values, b: op.sparse_matmul(values, A([0, 1, 1, 1]), A([2, 0, 1, 0]), (2, 3), b),
    ),
    call("cdist", M, M),
    call("diagonal", M),
    call("trace", M),
    call("vector_norm", M, axis=-1),
    *(call(name, M) for name in ("matrix_norm", "norm", "condition_number", "matrix_rank")),
)

DETERMINANTS = (
    *(call(name, SQUARE, numbers=dominant) for name in ("det", "cofactors", "slogdet", "inv")),
    call("cofactor_slope", SQUARE, SQUARE, numbers=(dominant, apart)),
)

SYSTEM = {"numbers": lambda rng, shape: dominant(rng, shape) if len(shape) == 2 else apart(rng, shape)}

SOLVERS = (
    call("pinv", (3, 2)),
    call("solve_triangular", SQUARE, V, **SYSTEM),
    call("cho_solve", SQUARE, V, **SYSTEM, run=lambda c, b: op.cho_solve((c, True), b)),
    call("solve_banded", SQUARE, V, numbers=positive, run=lambda ab, b: op.solve_banded((1, 1), ab, b)),
    call("solve_sylvester", (2, 2), SQUARE, M, numbers=(dominant, dominant, apart)),
    call("lstsq", (3, 2), V, run=lambda a, b: op.lstsq(a, b)[:2]),
    call("tensorinv", (4, 4), numbers=dominant, run=lambda a: op.tensorinv(op.reshape(a, (4, 2, 2)), ind=1)),
    call("tensorsolve", (4, 4), (4,), **SYSTEM, run=lambda a, b: op.tensorsolve(op.reshape(a, (4, 2, 2)), b)),
    call("lu_solve", SQUARE, V, **SYSTEM, run=lambda a, b: op.lu_solve(op.lu(a), b)),
    call("toeplitz", V, (2,)),
)


def _qr(x):
    """Both factors, the diagonal of R positive."""
    q, r = op.qr(x)
    signs = op.sign(op.diagonal(r))
    return q * signs, op.expand_dims(signs, -1) * r


def _svd(x):
    """Singular values, and what u and vh give together: their signs belong to each other."""
    u, s, vh = op.svd(x, full_matrices=False)
    return s, op.matmul(u, vh)


def _eig(x):
    """Sums over the eigenvalues, in any order and phase."""
    w, v = op.eig(x)
    return op.sum(w**3), op.sum(w * op.sum(op.abs(v) ** 2, axis=0))


DECOMPOSITIONS = (
    call("lu", SQUARE, numbers=dominant),
    call("qr", (3, 2), run=_qr),
    call("svd", (3, 2), run=_svd),
    call("svdvals", M),
    call("eigvalsh", SQUARE, numbers=regular),
    call("eig", SQUARE, numbers=dominant, run=_eig),
    call("eigvals", SQUARE, numbers=dominant, run=lambda x: op.sum(op.eigvals(x) ** 3)),
    call("matrix_power", SQUARE, numbers=dominant, run=lambda x: op.matrix_power(x, 3)),
    *(call(name, SQUARE, numbers=dominant) for name in ("expm", "sqrtm", "logm")),
)

ALGEBRA = (*PRODUCTS, *DETERMINANTS, *SOLVERS, *DECOMPOSITIONS)
