"""Inverses, condition numbers, and linear systems of special kinds."""

from typing import NamedTuple

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import size_of
from ..operator import Operator
from ..record import HOST, PYTHON_NUMBERS, Tensor, apply, operand, shape_of
from .complex import conj
from .decompositions import svdvals
from .elementwise import abs, add, divide, multiply, square, subtract
from .indexing import take
from .linalg import _square, _stacked, adjoint, matmul, solve
from .norms import matrix_norm, matrix_rank
from .products import kron
from .reduction import sum
from .shape import concat, flip, getitem, matrix_transpose, permute_dims, reshape


class LstsqResult(NamedTuple):
    """What ``lstsq`` gives."""

    x: Tensor
    residuals: Tensor
    rank: Tensor
    s: Tensor


class Inv(Operator):
    """The inverse: d(x^-1) = -x^-1 dx x^-1."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.linalg.inv(x)

    def vjp_x(self, xp, g, y):
        back = xp.matrix_transpose(y)
        return -xp.matmul(xp.matmul(back, g), back)

    def jvp_x(self, xp, t, y):
        return -xp.matmul(xp.matmul(y, t), y)


class Pinv(Operator):
    """The Moore-Penrose inverse, with the derivative at constant rank.

    dy = -y dx y + y y^H dx^H (1 - x y) + (1 - y x) dx^H y^H y: Golub and Pereyra 1973, doi:10.1137/0710036.
    """

    promotion = "floating"

    def __init__(self, rtol):
        self.rtol = rtol

    def forward(self, xp, x):
        m, n = x.shape[-2:]
        rtol = (m if m > n else n) * float(xp.finfo(x.dtype).eps) if self.rtol is None else self.rtol
        return xp.linalg.pinv(x, rtol=rtol)

    def vjp_x(self, xp, g, x, y):
        first = xp.matrix_transpose(xp.matmul(xp.matmul(y, xp.matrix_transpose(g)), y))
        return xp.conj(self.beyond(xp, xp.matrix_transpose(g), x, y)) - first

    def jvp_x(self, xp, t, x, y):
        return self.beyond(xp, adjoint(xp, t), x, y, forward=True) - xp.matmul(xp.matmul(y, t), y)

    def beyond(self, xp, t, x, y, forward=False):
        """The two terms with projectors: forward for the adjoint of dx, else transposed for that of g."""
        if forward:
            left = xp.matmul(xp.matmul(y, adjoint(xp, y)), t - xp.matmul(t, xp.matmul(x, y)))
            right = xp.matmul(t - xp.matmul(xp.matmul(y, x), t), xp.matmul(adjoint(xp, y), y))
            return left + right
        left = xp.matmul(t - xp.matmul(x, xp.matmul(y, t)), xp.matmul(y, adjoint(xp, y)))
        right = xp.matmul(xp.matmul(adjoint(xp, y), y), t - xp.matmul(xp.matmul(t, y), x))
        return left + right


class SolveTriangular(Operator):
    """The x with a @ x = b for matrices b, where one triangle of a counts; its other entries have gradient 0."""

    broadcasts = True  # over the stack axes
    right_aligned = True
    promotion = "floating"

    def __init__(self, lower, unit_diagonal):
        self.lower, self.unit_diagonal = lower, unit_diagonal

    def forward(self, xp, a, b):
        return self.solved(xp, a, b)

    def solved(self, xp, a, b, transposed=False):
        a = xp.matrix_transpose(a) if transposed else a
        lower = self.lower != transposed
        return xp.linalg.solve_triangular(a, b, lower=lower, unit_diagonal=self.unit_diagonal)

    def counted(self, xp, a):
        """The entries of a that count, the others 0."""
        inside = 1 if self.unit_diagonal else 0
        return xp.tril(a, k=-inside) if self.lower else xp.triu(a, k=inside)

    def vjp_a(self, xp, g, a, y):
        return -self.counted(xp, xp.matmul(self.solved(xp, a, g, transposed=True), xp.matrix_transpose(y)))

    def vjp_b(self, xp, g, a):
        return self.solved(xp, a, g, transposed=True)

    def jvp_a(self, xp, t, a, y):
        return -self.solved(xp, a, xp.matmul(self.counted(xp, t), y))

    def jvp_b(self, xp, t, a):
        return self.solved(xp, a, t)


_inv = Inv()


def inv(x) -> Tensor:
    """The inverses of square matrices. LinAlgError where one is singular."""
    _square("inv", x)
    return apply(_inv, x)


def pinv(x, *, rtol=None) -> Tensor:
    """The Moore-Penrose inverses; singular values up to ``rtol`` times the largest count as 0.

    ``rtol`` None: the larger size times the dtype's epsilon. The gradient is the one at constant rank: pinv is not
    continuous where the rank changes.
    """
    if len(shape_of(x)) < 2:
        raise ShapeError(f"pinv: needs at least 2 axes, got shape {shape_of(x)}")
    return apply(Pinv(rtol), x)


def solve_triangular(a, b, *, trans=0, lower=False, unit_diagonal=False) -> Tensor:
    """The x with a @ x = b, reading the upper (or ``lower``) triangle of a alone; a one-axis b is a vector.

    ``trans``: 0 or "N" for a, 1 or "T" for its transpose, 2 or "C" for its conjugate transpose. With ``unit_diagonal``
    the diagonal counts as 1, unread. LinAlgError where an entry on the diagonal is 0.
    """
    kinds = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}
    if trans not in kinds:
        raise ValueError(f"solve_triangular: trans must be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}")
    if kinds[trans]:
        a = matrix_transpose(conj(a) if kinds[trans] == 2 else a)
        lower = not lower
    return _solved("solve_triangular", SolveTriangular(bool(lower), bool(unit_diagonal)), a, b)


def _solved(name, operator, a, b):
    """``operator`` on a and b, where a vector b is a matrix of one column meanwhile."""
    sa, sb = _square(name, a), shape_of(b)
    if not sb or sb[-2 if len(sb) > 1 else 0] != sa[-1]:
        raise ShapeError(f"{name}: shapes {sa} and {sb} do not fit; b needs {sa[-1]} rows")
    if len(sb) == 1:
        y = apply(operator, a, reshape(b, (*sb, 1)))
        return reshape(y, shape_of(y)[:-1])
    _stacked(name, sa, sb)
    return apply(operator, a, b)


def cho_solve(c_and_lower, b) -> Tensor:
    """The x with a @ x = b, given ``(c, lower)``: the Cholesky factor of a, and whether it is the lower one."""
    if not isinstance(c_and_lower, tuple) or len(c_and_lower) != 2:
        raise TypeError("cho_solve: expected a pair (c, lower): the Cholesky factor, and whether it is the lower one")
    c, lower = c_and_lower
    first = solve_triangular(c, b, lower=lower, trans=0 if lower else 2)
    return solve_triangular(c, first, lower=lower, trans=2 if lower else 0)


def lu_solve(p_low_up, b) -> Tensor:
    """The x with a @ x = b, given ``lu(a)``: the triple (p, low, up) with a = p @ low @ up. A one-axis b: a vector."""
    if not isinstance(p_low_up, tuple) or len(p_low_up) != 3:
        raise TypeError("lu_solve: expected the triple (P, L, U) that op.lu gives")
    p, low, up = p_low_up
    if len(shape_of(b)) == 1 and len(shape_of(low)) > 2:  # the same vector for each of a stack
        y = lu_solve(p_low_up, reshape(b, (-1, 1)))
        return reshape(y, shape_of(y)[:-1])
    if shape_of(b)[-2:][:1] != shape_of(low)[-1:]:
        raise ShapeError(f"lu_solve: factors of shape {shape_of(low)} and b of shape {shape_of(b)} do not fit")
    first = solve_triangular(low, matmul(matrix_transpose(p), b), lower=True, unit_diagonal=True)
    return solve_triangular(up, first)


def solve_banded(l_and_u, ab, b) -> Tensor:
    """The x with a @ x = b for a matrix a with l diagonals below the main one and u above it.

    ``ab`` (l + u + 1, n) holds the diagonals as SciPy's does: a[i, j] is ab[u + i - j, j]. Entries of ab outside of a
    are not read. The matrix is written out: it costs what ``solve`` costs.
    """
    low, up = l_and_u
    shape = shape_of(ab)
    if len(shape) != 2 or shape[0] != low + up + 1:
        raise ShapeError(f"solve_banded: ab needs shape ({low + up + 1}, n) for {low} + {up} diagonals, got {shape}")
    n = shape[1]
    if not shape_of(b) or shape_of(b)[0] != n:
        raise ShapeError(f"solve_banded: b needs {n} rows, got shape {shape_of(b)}")
    i, j = HOST.reshape(HOST.arange(n), (n, 1)), HOST.arange(n)
    row = up + i - j
    inside = (row >= 0) & (row <= low + up)
    padded = concat([reshape(ab, (-1,)), _zero_of(ab)], axis=0)
    place = HOST.where(inside, row * n + j, (low + up + 1) * n)  # outside the band: the zero at the end
    return solve(take(padded, place, axis=0), b)


def _zero_of(x):
    """One zero of x's dtype, a constant."""
    value = operand(x)[0]
    return Tensor(backends.backend_of(value).zeros((1,), dtype=value.dtype))


def solve_sylvester(a, b, q) -> Tensor:
    """The x with a @ x + x @ b = q for a (m, m), b (n, n) and q (m, n).

    One system of m * n equations, of (m * n) ** 3 steps: for small matrices. LinAlgError where an eigenvalue of a is
    that of -b.
    """
    sa, sb, sq = _square("solve_sylvester", a), _square("solve_sylvester", b), shape_of(q)
    if len(sa) != 2 or len(sb) != 2 or sq != (sa[0], sb[0]):
        raise ShapeError(f"solve_sylvester: expected shapes (m, m), (n, n) and (m, n); got {sa}, {sb} and {sq}")
    system = add(kron(a, _identity(b)), kron(_identity(a), matrix_transpose(b)))
    return reshape(solve(system, reshape(q, (-1,))), sq)


def _identity(x):
    """The identity of x's size, a constant."""
    value = operand(x)[0]
    xp = backends.backend_of(value)
    return Tensor(xp.eye(value.shape[-1], dtype=value.dtype))


def condition_number(x, p=None) -> Tensor:
    """NumPy's ``linalg.cond``: the norm of x times that of its inverse; ``p`` as ``ord`` of matrix_norm, None: 2.

    For None, 2 and -2 it is the ratio of the largest and the smallest singular value, of matrices of any shape.
    """
    shape = shape_of(x)
    if len(shape) < 2 or 0 in shape[-2:]:
        raise ShapeError(f"condition_number: needs matrices with entries in the last two axes, got shape {shape}")
    if p in (None, 2, -2):
        s = svdvals(x)
        return divide(s[..., 0], s[..., -1]) if p != -2 else divide(s[..., -1], s[..., 0])
    return multiply(matrix_norm(x, ord=p), matrix_norm(inv(x), ord=p))


def lstsq(a, b, *, rtol=None) -> LstsqResult:
    """The x of smallest norm among those that make |a @ x - b| smallest, for a (..., m, n) and b (..., m, k) or (m,).

    Gives (x, residuals, rank, s): ``residuals`` the sums of squares of b - a @ x, of every column and at every rank;
    ``rank`` the number of singular values s of a above ``rtol`` times the largest. The gradient is that of ``pinv``.
    """
    sa, sb = shape_of(a), shape_of(b)
    if len(sa) < 2 or not sb or sb[-2 if len(sb) > 1 else 0] != sa[-2]:
        raise ShapeError(f"lstsq: expected shapes (..., m, n) and (..., m, k) or (m,); got {sa} and {sb}")
    x = matmul(pinv(a, rtol=rtol), b)
    off = square(abs(subtract(b, matmul(a, x))))
    return LstsqResult(x, sum(off, -1 if len(sb) == 1 else -2), matrix_rank(a, rtol=rtol), svdvals(a))


def tensorinv(a, ind=2) -> Tensor:
    """The inverse of a as a map from its last axes to its first ``ind``: NumPy's ``linalg.tensorinv``."""
    shape = shape_of(a)
    if not 0 < ind <= len(shape) or size_of(shape[:ind]) != size_of(shape[ind:]):
        raise ShapeError(f"tensorinv: the first {ind} axes of {shape} must have as many entries as the others")
    rows = size_of(shape[:ind])
    return reshape(inv(reshape(a, (rows, rows))), shape[ind:] + shape[:ind])


def tensorsolve(a, b, axes=None) -> Tensor:
    """The x with tensordot(a, x, x.ndim) = b; ``axes`` of a are moved to its end first: NumPy's function."""
    ndim = len(shape_of(a))
    if axes is not None:
        moved = [axis % ndim for axis in axes]
        a = permute_dims(a, [i for i in range(ndim) if i not in moved] + moved)
    shape, sb = shape_of(a), shape_of(b)
    unknown = shape[len(sb) :]
    if shape[: len(sb)] != sb or size_of(sb) != size_of(unknown):
        raise ShapeError(f"tensorsolve: shapes {shape} and {sb} do not fit: expected b.shape + x.shape, of equal sizes")
    n = size_of(sb)
    return reshape(solve(reshape(a, (n, n)), reshape(b, (n,))), unknown)


def toeplitz(c, r=None) -> Tensor:
    """The matrix with first column c and first row r (None: conj(c)), constant along its diagonals; c[0] counts."""
    c = _line(c)
    r = conj(c) if r is None else _line(r)
    m, n = shape_of(c)[0], shape_of(r)[0]
    entries = concat([flip(c), getitem(r, (slice(1, None),))], axis=0)  # from the last of the column on
    place = (m - 1) - HOST.reshape(HOST.arange(m), (m, 1)) + HOST.arange(n)
    return take(entries, place, axis=0)


def _line(x):
    return reshape(x, (-1,)) if type(operand(x)[0]) not in PYTHON_NUMBERS else reshape(x, (1,))
