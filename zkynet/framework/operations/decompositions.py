"""QR and singular value decompositions, with errors where a gradient would depend on arbitrary choices."""

from typing import NamedTuple

from zkynet.backends.errors import ShapeError, UndefinedGradientError

from ..operator import Operator
from ..record import Tensor, apply, kind_of, shape_of
from .linalg import _square, adjoint, half_lower, matmul
from .shape import concat, getitem, matrix_transpose
from .spectral import as_diagonal, degenerate, gaps_of, guarded, is_recorded, tolerance


class QRResult(NamedTuple):
    """What ``qr`` gives."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """What ``svd`` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class LUResult(NamedTuple):
    """What ``lu`` gives."""

    P: Tensor
    L: Tensor
    U: Tensor


class LU(Operator):
    """x = p @ low @ up for square x; p is a permutation, without a derivative.

    With inner = low^-1 p^T dx up^-1: dlow = low @ (its strictly lower part), dup = (the rest) @ up.
    """

    functional_name = "lu"  # type: ignore[assignment]
    outputs = 3
    promotion = "floating"

    def forward(self, xp, x):
        p, low, up = xp.linalg.lu(x)
        return p, low, up

    def vjp_x(self, xp, g, y):
        (_, gl, gu), (p, low, up) = g, y
        back, upright = xp.matrix_transpose(low), xp.matrix_transpose(up)
        inner = xp.tril(xp.matmul(back, gl), k=-1) + xp.triu(xp.matmul(gu, upright))
        left = xp.linalg.solve_triangular(back, inner, unit_diagonal=True)
        return xp.matmul(p, xp.matrix_transpose(xp.linalg.solve_triangular(up, xp.matrix_transpose(left))))

    def jvp_x(self, xp, t, y):
        p, low, up = y
        left = xp.linalg.solve_triangular(low, xp.matmul(xp.matrix_transpose(p), t), lower=True, unit_diagonal=True)
        inner = xp.matrix_transpose(
            xp.linalg.solve_triangular(xp.matrix_transpose(up), xp.matrix_transpose(left), lower=True)
        )
        tl, tu = xp.matmul(low, xp.tril(inner, k=-1)), xp.matmul(xp.triu(inner), up)
        return xp.zeros_like(tl), tl, tu


class QR(Operator):
    """x = q @ r for matrices with at least as many rows as columns; r has a real diagonal.

    With q^H dq = L - L^H + i Im(diag), L the strictly lower part of q^H dx r^-1. The columns of q beyond those of x
    ("complete" mode) only complete a basis: a cotangent of theirs is refused, and their tangent is NaN.
    Formulas: Walter and Lehmann 2012, arXiv:1001.1654.
    """

    functional_name = "qr"  # type: ignore[assignment]
    outputs = 2
    promotion = "floating"

    def __init__(self, mode):
        self.mode = mode

    def forward(self, xp, x):
        q, r = xp.linalg.qr(x, mode=self.mode)
        return q, r

    def vjp_x(self, xp, g, y):
        (gq, gr), (q, r) = g, y
        n = r.shape[-1]
        beyond = xp.any(gq[..., n:] != 0)
        gq, gr, q, r = xp.conj(gq[..., :n]), xp.conj(gr[..., :n, :]), q[..., :n], r[..., :n, :]
        gap = adjoint(xp, xp.matmul(gr, adjoint(xp, r)) - xp.matmul(adjoint(xp, q), gq))
        half = half_lower(xp, gap)
        total = gq + xp.matmul(q, half + adjoint(xp, half))
        back = adjoint(xp, xp.linalg.solve_triangular(r, adjoint(xp, total)))
        return guarded(xp, beyond, xp.conj(back), _completion("qr", "q"))

    def jvp_x(self, xp, t, y):
        q, r = y
        n = r.shape[-1]
        extra, q, below, r = q[..., n:], q[..., :n], r[..., n:, :], r[..., :n, :]
        right = xp.matrix_transpose(
            xp.linalg.solve_triangular(xp.matrix_transpose(r), xp.matrix_transpose(t), lower=True)
        )
        inner = xp.matmul(adjoint(xp, q), right)
        half = half_lower(xp, inner)
        upper = inner - half + adjoint(xp, half)
        tq, tr = right - xp.matmul(q, upper), xp.triu(xp.matmul(upper, r))
        if extra.shape[-1]:
            tq = xp.concat([tq, unknown(xp, tq, extra)], axis=-1)
            rows = xp.zeros_like(xp.sum(tr, axis=-2, keepdims=True)) + xp.zeros_like(below)
            tr = xp.concat([tr, rows], axis=-2)
        return tq, tr


class SVD(Operator):
    """x = u @ diag(s) @ vh, s descending.

    At equal singular values the vectors are arbitrary within their space, for complex x their phase always is: the
    gradient is given where the cotangent does not depend on that choice, else LinAlgError is raised. The further
    vectors of full matrices only complete a basis: a cotangent of theirs is refused, and their tangent is NaN.
    With P and Q half the sum and the difference of the skew parts of u^H gu and v^H gv the gradient is u M vh,
    M_ij = P_ij / (s_j - s_i) + Q_ij / (s_j + s_i) and the cotangents of s on the diagonal, and what leaves the space of
    u or v; the same as in Townsend 2016, with the sum apart from the difference.
    """

    functional_name = "svd"  # type: ignore[assignment]
    outputs = 3
    promotion = "floating"

    def __init__(self, full_matrices):
        self.full_matrices = full_matrices

    def forward(self, xp, x):
        u, s, vh = xp.linalg.svd(x, full_matrices=self.full_matrices)
        return u, s, vh

    def vjp_x(self, xp, g, y):
        (gu, gs, gvh), (u, s, vh) = g, y
        k = s.shape[-1]
        beyond = xp.any(gu[..., k:] != 0) | xp.any(gvh[..., k:, :] != 0)
        gu, gv, u, vh = xp.conj(gu[..., :k]), xp.matrix_transpose(gvh[..., :k, :]), u[..., :k], vh[..., :k, :]
        pull_u, pull_v = xp.matmul(adjoint(xp, u), gu), xp.matmul(vh, gv)
        su, sv = pull_u - adjoint(xp, pull_u), pull_v - adjoint(xp, pull_v)
        points = Points(xp, s, is_recorded(gs) or is_recorded(pull_u) or is_recorded(s))
        apart = tolerance(xp, pull_u, pull_v, gs * s)
        inner, bad = points.divided(0.5 * (su + sv), 0.5 * (su - sv), apart)
        bad = bad | (points.group & (xp.abs(pull_u + pull_v) > apart))
        bad = bad | (points.group & points.nothing & (xp.abs(pull_u - pull_v) > apart))
        uneven = xp.abs(xp.expand_dims(gs, axis=-1) - xp.expand_dims(gs, axis=-2))
        bad = bad | (points.group & (uneven > tolerance(xp, gs)))
        inner = guarded(xp, bad, inner + as_diagonal(xp, gs, points.off), _arbitrary())
        total = xp.matmul(xp.matmul(u, inner), vh)
        if u.shape[-2] > k:
            total = total + xp.matmul(points.leaving(gu - xp.matmul(u, pull_u), apart), vh)
        if vh.shape[-1] > k:
            left = points.leaving(gv - xp.matmul(adjoint(xp, vh), pull_v), apart)
            total = total + xp.matmul(u, adjoint(xp, left))
        return guarded(xp, beyond, xp.conj(total), _completion("svd", "u or vh"))

    def jvp_x(self, xp, t, y):
        u, s, vh = y
        k = s.shape[-1]
        extra_u, extra_v, u, vh = u[..., k:], vh[..., k:, :], u[..., :k], vh[..., :k, :]
        right, left = xp.matmul(t, adjoint(xp, vh)), xp.matmul(adjoint(xp, t), u)
        inner = xp.matmul(adjoint(xp, u), right)
        points = Points(xp, s)
        even, odd = 0.5 * (inner + adjoint(xp, inner)), 0.5 * (inner - adjoint(xp, inner))
        on = points.off
        turn, bad = points.divided(xp.where(on, even, 0), xp.zeros_like(odd), tolerance(xp, inner))
        twist, worse = points.divided(xp.zeros_like(even), odd, tolerance(xp, inner))
        turn = guarded(xp, bad | worse, turn, _arbitrary())
        tu, tv = xp.matmul(u, turn + twist), xp.matmul(adjoint(xp, vh), turn - twist)
        if u.shape[-2] > k:
            tu = tu + points.leaving(right - xp.matmul(u, inner), tolerance(xp, right))
        if vh.shape[-1] > k:
            gone = left - xp.matmul(adjoint(xp, vh), adjoint(xp, inner))
            tv = tv + points.leaving(gone, tolerance(xp, left))
        ts = xp.real(xp.sum(xp.where(on, 0, inner), axis=-1))
        tu = xp.concat([tu, unknown(xp, tu, extra_u)], axis=-1) if extra_u.shape[-1] else tu
        if extra_v.shape[-2]:
            tv = xp.concat([tv, unknown(xp, tv, adjoint(xp, extra_v))], axis=-1)
        return tu, ts, adjoint(xp, tv)


class Points:
    """Where the singular values ``s`` of a matrix meet, and where they are 0, to rounding."""

    def __init__(self, xp, s, recorded=False):
        self.xp, self.s, self.recorded = xp, s, recorded
        self.gaps, self.equal, self.off = gaps_of(xp, s)
        self.group = self.equal & self.off
        self.sums = xp.expand_dims(s, axis=-1) + xp.expand_dims(s, axis=-2)
        top = s[..., : min(1, s.shape[-1])] * (xp.finfo(s.dtype).eps * s.shape[-1])
        self.nothing = self.sums <= 2 * xp.expand_dims(top, axis=-1)
        self.zero = s <= top

    def divided(self, p, q, small):
        """p / (s_j - s_i) + q / (s_j + s_i), 0 where a divisor is 0; and where p or q is not 0 there."""
        xp = self.xp
        quotient = xp.where(self.equal, 0, p / xp.where(self.equal, 1, self.gaps))
        quotient = quotient + xp.where(self.nothing, 0, q / xp.where(self.nothing, 1, self.sums))
        bad = (self.equal & (xp.abs(p) > small)) | (self.nothing & (xp.abs(q) > small))
        return quotient, (bad | self.group) if self.recorded else bad

    def leaving(self, part, small):
        """``part``, a column a singular value, divided by these."""
        xp = self.xp
        zero = xp.expand_dims(self.zero, axis=-2)
        bad = zero & ((xp.abs(part) > small) | self.recorded)
        return guarded(xp, bad, xp.where(zero, 0, part / xp.where(zero, 1, xp.expand_dims(self.s, axis=-2))), _flat())


def unknown(xp, like, extra):
    """NaN for the tangents of ``extra`` columns, behind the leading axes of ``like``."""
    return xp.zeros_like(xp.sum(like, axis=-1, keepdims=True)) + xp.zeros_like(extra) + float("nan")


def _arbitrary():
    return degenerate("svd", "singular values", "singular vectors, or their phase")


def _flat():
    return degenerate("svd", "singular values", "", "a singular value is 0, and its vectors are arbitrary")


def _completion(name, what):
    return UndefinedGradientError(
        f"{name}: the columns of {what} beyond the smaller size of the matrix only complete a basis: no derivative.\n"
        "  expected: a function of the others alone\n"
        f"Use {name}(x, {'mode=' + repr('reduced') if name == 'qr' else 'full_matrices=False'}), or slice them off."
    )


def lu(x) -> LUResult:
    """x = P @ L @ U for square x: a permutation, a lower triangle with ones on its diagonal, an upper triangle.

    Rows are exchanged for the largest pivot. The gradient, of L and U, exists where x is not singular.
    """
    _square("lu", x)
    return LUResult(*apply(LU(), x))


def qr(x, *, mode="reduced") -> QRResult:
    """x = Q @ R with orthonormal columns in Q and an upper triangle R.

    For x (..., m, n), k the smaller of them: "reduced" Q (..., m, k), R (..., k, n); "complete" Q (..., m, m), R
    (..., m, n). The gradient exists where the first k columns of x are independent, and not with respect to the columns
    of Q beyond k: that is an error.
    """
    shape = _matrices("qr", x)
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode must be 'reduced' or 'complete', got {mode!r}")
    m, n = shape[-2:]
    if m >= n:
        return QRResult(*apply(QR(mode), x))
    q, r = apply(QR(mode), getitem(x, (Ellipsis, slice(0, m))))
    q_adjoint = matrix_transpose(q).conj() if kind_of(q) == "complex" else matrix_transpose(q)
    return QRResult(q, concat([r, matmul(q_adjoint, getitem(x, (Ellipsis, slice(m, None))))], axis=-1))


def _matrices(name, x):
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(f"{name}: needs matrices in the last two axes, got shape {shape}")
    if kind_of(x) == "bool":
        raise TypeError(f"{name}: needs numbers, got booleans")
    return shape


def svd(x, *, full_matrices=True) -> SVDResult:
    """x = U @ diag(S) @ Vh with orthonormal columns in U and rows in Vh, and S real and descending.

    For x (..., m, n), k the smaller of them: U (..., m, m), Vh (..., n, n), or with ``full_matrices=False`` (..., m, k)
    and (..., k, n). Gradients that depend on a choice that the decomposition leaves open are an error.
    """
    _matrices("svd", x)
    return SVDResult(*apply(SVD(bool(full_matrices)), x))


def svdvals(x) -> Tensor:
    """The singular values of matrices, descending."""
    _matrices("svdvals", x)
    return apply(SVD(False), x)[1]
