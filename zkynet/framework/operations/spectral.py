"""Eigenvalues of Hermitian matrices, right at equal values where there is a right answer, and an error elsewhere."""

from zkynet.backends.errors import LinAlgError

from ..operator import Operator
from ..record import Tensor, apply
from .linalg import _square, adjoint


class Eigh(Operator):
    """Eigenvalues, ascending, and orthonormal eigenvectors of a Hermitian matrix; the gradient is symmetrised.

    At equal eigenvalues the eigenvectors are arbitrary within their space. The gradient exists there where the
    cotangent does not depend on that choice: equal eigenvalue cotangents within a group, and no pull of V^H g_V between
    different members of it. Elsewhere the rule raises LinAlgError.
    Formulas: Giles, Collected matrix derivative results for forward and reverse mode AD, 2008.
    """

    outputs = 2
    promotion = "floating"

    def forward(self, xp, x):
        w, v = xp.linalg.eigh(x)
        nothing = xp.sum(xp.tril(x) * 0, axis=(-2, -1))  # LAPACK may give numbers for a matrix with NaN
        return w + xp.reshape(xp.real(nothing), (*nothing.shape, 1)), v + xp.reshape(nothing, (*nothing.shape, 1, 1))

    def vjp_x(self, xp, g, y):
        (gw, gv), (w, v) = g, y
        pull = xp.matmul(adjoint(xp, v), xp.conj(gv))  # conj: rules are plain transposes
        gaps, equal, off = gaps_of(xp, w)
        refuse_where_arbitrary(xp, gw, pull, equal, off, w, v)
        inner = xp.where(off & ~equal, pull / xp.where(equal, 1, gaps), 0)
        inner = inner + as_diagonal(xp, gw, off)
        s = xp.matmul(xp.matmul(v, inner), adjoint(xp, v))
        return xp.conj(0.5 * (s + adjoint(xp, s)))

    def jvp_x(self, xp, t, y):
        w, v = y
        t = 0.5 * (t + adjoint(xp, t))
        inner = xp.matmul(xp.matmul(adjoint(xp, v), t), v)
        gaps, equal, off = gaps_of(xp, w)
        turns = xp.any(equal & off & (xp.abs(inner) > tolerance(xp, inner)))
        if not xp.is_traced(turns) and bool(turns):
            raise degenerate("its eigenvalues are equal, so that the derivative of the eigenvectors does not exist")
        tw = xp.real(xp.sum(xp.where(off, 0, inner), axis=-1))
        tv = xp.matmul(v, xp.where(off & ~equal, inner / xp.where(equal, 1, gaps), 0))
        return tw, tv


def gaps_of(xp, w):
    """w_j - w_i, where that is zero to rounding, and what lies off the diagonal."""
    row = xp.expand_dims(w, axis=-2)
    column = xp.expand_dims(w, axis=-1)
    gaps = row - column
    n = w.shape[-1]
    spread = xp.max(xp.abs(w), axis=-1, keepdims=True) if n else xp.sum(w, axis=-1, keepdims=True)
    equal = xp.abs(gaps) <= xp.expand_dims(spread, axis=-1) * (n * xp.finfo(w.dtype).eps)
    off = xp.tril(xp.ones_like(gaps), k=-1) + xp.matrix_transpose(xp.tril(xp.ones_like(gaps), k=-1)) > 0
    return gaps, equal, off


def as_diagonal(xp, gw, off):
    """``gw`` on the diagonal of square matrices."""
    return xp.where(off, 0, xp.expand_dims(gw, axis=-1))


def tolerance(xp, x):
    """What counts as zero beside the largest entry of ``x``."""
    return 1e3 * xp.finfo(x.dtype).eps * xp.max(xp.abs(x)) if 0 not in x.shape else 0.0


def refuse_where_arbitrary(xp, gw, pull, equal, off, w, v):
    """LinAlgError where the cotangent depends on the choice of eigenvectors for equal eigenvalues (eager mode)."""
    group = equal & off
    if xp.is_traced(w) or not bool(xp.any(group)):
        return
    if is_recorded(gw) or is_recorded(pull) or is_recorded(w):
        raise degenerate("its eigenvalues are equal, and second derivatives do not exist there")
    # V^H g_V may pull members of a group apart symmetrically; only what turns them into each other is arbitrary.
    uneven = xp.abs(xp.expand_dims(gw, axis=-1) - xp.expand_dims(gw, axis=-2))
    largest = xp.max(xp.abs(gw)) if 0 not in gw.shape else 0.0
    turned = xp.any(group & (xp.abs(pull) > tolerance(xp, pull)))
    if bool(turned) or bool(xp.any(group & (uneven > 1e3 * xp.finfo(w.dtype).eps * largest))):
        raise degenerate("its eigenvalues are equal, and the function depends on the choice of eigenvectors")


def is_recorded(x) -> bool:
    """Whether a rule runs on Tensors whose derivative somebody may still ask for."""
    return isinstance(x, Tensor) and x.record is not None


def degenerate(why) -> LinAlgError:
    return LinAlgError(
        f"eigh: no derivative at this matrix: {why}.\n"
        "  expected: distinct eigenvalues, or a function that is the same for every choice of eigenvectors\n"
        "Use only symmetric functions of the eigenvalues, or perturb the matrix."
    )


_eigh = Eigh()


def eigh(x) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors (columns) of Hermitian matrices; the gradient is symmetrised."""
    _square("eigh", x)
    return apply(_eigh, x)
