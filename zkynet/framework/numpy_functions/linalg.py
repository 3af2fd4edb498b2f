"""``numpy.linalg`` under its own signatures."""

from typing import Any

from .. import op
from .arguments import UNSET, array, cast, is_given, refuse


def _hermitian_only(name, hermitian):
    if hermitian:
        raise TypeError(f"{name}: hermitian=True is not supported.\nLeave it out: the result is the same.")


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of vectors or matrices; gradient 0 at 0."""
    return op.norm(array(x), ord, axis, keepdims)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The norm of vectors."""
    return op.vector_norm(array(x), axis=axis, keepdims=keepdims, ord=ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norm of matrices."""
    return op.matrix_norm(array(x), keepdims=keepdims, ord=ord)


def solve(a: Any, b: Any) -> Any:
    """The x with a @ x = b; ``b`` is one vector where it has one axis."""
    return op.solve(array(a), array(b))


def inv(a: Any) -> Any:
    """The inverse."""
    return op.inv(array(a))


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = UNSET) -> Any:
    """The pseudo-inverse; singular values up to ``rtol`` (``rcond``) times the largest are taken as 0."""
    _hermitian_only("pinv", hermitian)
    if rcond is not None and is_given(rtol) and rtol is not None:
        raise ValueError("pinv: give rcond or rtol, which mean the same, not both")
    return op.pinv(array(a), rtol=rtol if is_given(rtol) and rtol is not None else 1e-15 if rcond is None else rcond)


def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The x of least squares, with residuals, rank and singular values."""
    return op.linalg.lstsq(array(a), array(b), rtol=rcond)


def det(a: Any) -> Any:
    """The determinant."""
    return op.det(array(a))


def slogdet(a: Any) -> Any:
    """The sign and the logarithm of the determinant's magnitude."""
    return op.slogdet(array(a))


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """The Cholesky factor."""
    return op.cholesky(array(a), upper=upper)


def qr(a: Any, mode: str = "reduced") -> Any:
    """q and r with a = q @ r; modes "reduced", "complete", and "r" for r alone."""
    if mode == "r":
        return op.qr(array(a), mode="reduced")[1]
    return op.qr(array(a), mode=mode)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular vectors and values; the values alone where ``compute_uv`` is False."""
    _hermitian_only("svd", hermitian)
    return op.svd(array(a), full_matrices=full_matrices) if compute_uv else op.svdvals(array(a))


def svdvals(x: Any, /) -> Any:
    """Singular values, descending."""
    return op.svdvals(array(x))


def _lower(name, a, triangle):
    """``a`` such that its lower triangle is what NumPy reads."""
    if triangle not in ("L", "U", "l", "u"):
        raise ValueError(f"{name}: UPLO must be 'L' or 'U', got {triangle!r}")
    return a if triangle in "Ll" else op.conj(op.matrix_transpose(a))


def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues, ascending, and eigenvectors of a Hermitian matrix."""
    return op.eigh(_lower("eigh", array(a), UPLO))


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of a Hermitian matrix, ascending."""
    return op.eigvalsh(_lower("eigvalsh", array(a), UPLO))


def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors of a square matrix; complex, where NumPy gives real ones if it can."""
    return op.eig(array(a))


def eigvals(a: Any) -> Any:
    """Eigenvalues of a square matrix; complex, where NumPy gives real ones if it can."""
    return op.eigvals(array(a))


def matrix_power(a: Any, n: int) -> Any:
    """A power of a square matrix."""
    return op.matrix_power(array(a), n)


def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """A product of several matrices, in the order that is cheapest."""
    refuse("multi_dot", out=out)
    return op.multi_dot([array(a) for a in arrays])


def cond(x: Any, p: Any = None) -> Any:
    """The condition number."""
    return op.linalg.cond(array(x), p)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """How many singular values exceed ``tol``, or ``rtol`` times the largest; integers."""
    _hermitian_only("matrix_rank", hermitian)
    if tol is None:
        return op.matrix_rank(array(A), rtol=rtol)
    return op.sum(op.astype(op.greater(op.svdvals(array(A)), tol), "int64"), -1)


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The x with tensordot(a, x) = b."""
    return op.tensorsolve(array(a), array(b), axes)


def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse for tensordot."""
    return op.tensorinv(array(a), ind)


def matmul(x1: Any, x2: Any, /) -> Any:
    """x1 @ x2."""
    return op.matmul(array(x1), array(x2))


def outer(x1: Any, x2: Any, /) -> Any:
    """Every entry of one vector times every entry of another."""
    return op.outer(array(x1), array(x2))


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """The sum over pairs of axes."""
    return op.tensordot(array(x1), array(x2), axes)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The sum of conj(x1) * x2 over one axis."""
    return op.vecdot(array(x1), array(x2), axis=axis)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three entries."""
    return op.cross(array(x1), array(x2), axis=axis)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonals of the last two axes."""
    return op.diagonal(array(x), offset=offset)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonals of the last two axes."""
    return op.trace(cast(x, dtype), offset=offset)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped."""
    return op.matrix_transpose(array(x))
