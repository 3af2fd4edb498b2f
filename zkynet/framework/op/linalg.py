"""``op.linalg``: linear algebra, functions that are in ``op`` too; there ``cond`` is called ``condition_number``."""

from ..operations.decompositions import lu, qr, svd, svdvals
from ..operations.determinants import cofactor_slope, cofactors, det, slogdet
from ..operations.linalg import cholesky, matmul, solve, tensordot
from ..operations.matrix_functions import expm, logm, matrix_power, sqrtm
from ..operations.norms import matrix_norm, matrix_rank, norm, vector_norm
from ..operations.products import cross, diagonal, kron, multi_dot, outer, trace, vecdot
from ..operations.shape import matrix_transpose
from ..operations.solvers import (
    cho_solve,
    inv,
    lstsq,
    lu_solve,
    pinv,
    solve_banded,
    solve_sylvester,
    solve_triangular,
    tensorinv,
    tensorsolve,
    toeplitz,
)
from ..operations.solvers import (
    condition_number as cond,
)
from ..operations.spectral import eig, eigh, eigvals, eigvalsh

# fmt: off
__all__ = [
    "cho_solve", "cholesky", "cofactor_slope", "cofactors", "cond", "cross", "det", "diagonal", "eig", "eigh",
    "eigvals", "eigvalsh", "expm", "inv", "kron", "logm", "lstsq", "lu", "lu_solve", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet",
    "solve", "solve_banded", "solve_sylvester", "solve_triangular", "sqrtm", "svd", "svdvals", "tensordot",
    "tensorinv", "tensorsolve", "toeplitz", "trace", "vecdot", "vector_norm",
]
# fmt: on
