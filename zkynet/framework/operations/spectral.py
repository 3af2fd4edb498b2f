"""Eigenvalues, right at equal values where there is a right answer, and an error elsewhere."""

from typing import NamedTuple

from zkynet.backends.errors import LinAlgError

from ..operator import Operator
from ..record import Tensor, apply
from .linalg import _square, adjoint


class EigResult(NamedTuple):
    """What ``eigh`` and ``eig`` give."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class Eigh(Operator):
    """Eigenvalues, ascending, and orthonormal eigenvectors of a Hermitian matrix; the gradient is symmetrised.

    At equal eigenvalues the eigenvectors are arbitrary within their space, and for a complex matrix their phase always
    is. The gradient exists where the cotangent does not depend on that choice: equal eigenvalue cotangents within a
    group, and no pull of V^H g_V between its members. Elsewhere the rule raises LinAlgError.
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
        inner = xp.where(off & ~equal, pull / xp.where(equal, 1, gaps), 0)
        inner = inner + as_diagonal(xp, gw, off)
        inner = refused_where_arbitrary(xp, gw, pull, equal, off, w, inner)
        s = xp.matmul(xp.matmul(v, inner), adjoint(xp, v))
        return xp.conj(0.5 * (s + adjoint(xp, s)))

    def jvp_x(self, xp, t, y):
        w, v = y
        t = 0.5 * (t + adjoint(xp, t))
        inner = xp.matmul(xp.matmul(adjoint(xp, v), t), v)
        gaps, equal, off = gaps_of(xp, w)
        turns = equal & off & (xp.abs(inner) > tolerance(xp, inner))
        tw = xp.real(xp.sum(xp.where(off, 0, inner), axis=-1))
        turn = xp.where(off & ~equal, inner / xp.where(equal, 1, gaps), 0)
        return tw, xp.matmul(v, guarded(xp, turns, turn, degenerate("eigh", "eigenvalues", "eigenvectors")))


class Eig(Operator):
    """Eigenvalues and eigenvectors of length 1 of any square matrix, both complex.

    An eigenvector's phase is arbitrary: a cotangent that depends on it is an error, as is one that depends on the
    choice of eigenvectors for equal eigenvalues; so is any where the matrix has no basis of eigenvectors.
    Formulas: Boeddeker et al. 2017, arXiv:1701.00392.
    """

    outputs = 2
    promotion = "floating"

    def forward(self, xp, x):
        w, v = xp.linalg.eig(x)
        dtype = xp.result_type(x.dtype, 1j)
        return xp.astype(w, dtype), xp.astype(v, dtype)

    def vjp_x(self, xp, g, x_spec, y):
        (gw, gv), (w, v) = g, y
        gw, gv = xp.conj(gw), xp.conj(gv)
        refuse_without_basis(xp, v)
        back = adjoint(xp, v)
        pull = xp.matmul(back, gv)
        gaps, equal, off = gaps_of(xp, w)
        lengths = xp.real(xp.sum(xp.where(off, 0, pull), axis=-2, keepdims=True))
        turn = pull - xp.matmul(back, v) * lengths  # what changes a vector's length does not count
        inner = xp.where(off & ~equal, turn / xp.conj(xp.where(equal, 1, gaps)), 0) + as_diagonal(xp, gw, off)
        inner = refused_where_arbitrary(xp, gw, turn, equal, off, w, inner, "eig")
        c = xp.conj(xp.linalg.solve(back, xp.matmul(inner, back)))
        return c if xp.is_complex(x_spec.dtype) else xp.real(c)

    def jvp_x(self, xp, t, y):
        w, v = y
        refuse_without_basis(xp, v)
        inner = xp.linalg.solve(v, xp.matmul(xp.astype(t, v.dtype), v))
        gaps, equal, off = gaps_of(xp, w)
        turns = equal & off & (xp.abs(inner) > tolerance(xp, inner))
        turn = xp.where(off & ~equal, inner / xp.where(equal, 1, gaps), 0)
        tv = xp.matmul(v, guarded(xp, turns, turn, degenerate("eig", "eigenvalues", "eigenvectors")))
        along = xp.real(xp.sum(xp.conj(v) * tv, axis=-2, keepdims=True))
        return xp.sum(xp.where(off, 0, inner), axis=-1), tv - v * along


def gaps_of(xp, w):
    """w_j - w_i, where that is zero to rounding, and what lies off the diagonal."""
    row = xp.expand_dims(w, axis=-2)
    column = xp.expand_dims(w, axis=-1)
    gaps = row - column
    n = w.shape[-1]
    size = xp.abs(w)
    spread = xp.max(size, axis=-1, keepdims=True) if n else xp.sum(size, axis=-1, keepdims=True)
    equal = xp.abs(gaps) <= xp.expand_dims(spread, axis=-1) * (n * xp.finfo(w.dtype).eps)
    below = xp.tril(xp.ones_like(xp.real(gaps)), k=-1)
    return gaps, equal, below + xp.matrix_transpose(below) > 0


def as_diagonal(xp, gw, off):
    """``gw`` on the diagonal of square matrices."""
    return xp.where(off, 0, xp.expand_dims(gw, axis=-1))


def tolerance(xp, *arrays):
    """What counts as zero beside the largest entries of ``arrays``: rounding, where the truth may be zero."""
    largest = 0.0
    for x in arrays:
        largest = largest + xp.max(xp.abs(x)) if 0 not in x.shape else largest
    return 1e3 * float(xp.finfo(arrays[0].dtype).eps) * largest


def guarded(xp, bad, inner, error):
    """``inner``, where ``bad`` holds nowhere: elsewhere ``error``, and in a compiled function NaN."""
    if xp.is_traced(bad):
        return xp.where(bad, float("nan"), inner)
    if bool(xp.any(bad)):
        raise error
    return inner


def refused_where_arbitrary(xp, gw, pull, equal, off, w, inner, name="eigh"):
    """``inner``, guarded where the cotangent depends on the choice of eigenvectors."""
    group = equal & off
    recorded = is_recorded(gw) or is_recorded(pull) or is_recorded(w)
    if recorded:
        why = "its eigenvalues are equal, and second derivatives do not exist there"
        inner = guarded(xp, group, inner, degenerate(name, "eigenvalues", "", why))
    # What g_V says about the members of a group cannot be told apart from what other eigenvectors would make of it.
    uneven = xp.abs(xp.expand_dims(gw, axis=-1) - xp.expand_dims(gw, axis=-2))
    small = tolerance(xp, pull, gw * w)
    bad = group & ((xp.abs(pull) > small) | (uneven > tolerance(xp, gw)))
    inner = guarded(xp, bad, inner, degenerate(name, "eigenvalues", "eigenvectors"))
    if not xp.is_complex(pull.dtype):
        return inner
    phase = ~off & (xp.abs(xp.imag(pull)) > small)
    return guarded(xp, phase, inner, _phase_error(name))


def is_recorded(x) -> bool:
    """Whether a rule runs on Tensors whose derivative somebody may still ask for."""
    return isinstance(x, Tensor) and x.record is not None


def refuse_without_basis(xp, v):
    """LinAlgError where eigenvectors are dependent to rounding: the matrix is defective (eager mode)."""
    if not v.shape[-1]:
        return
    s = xp.linalg.svdvals(v)
    if not xp.is_traced(s) and bool(xp.any(s[..., -1:] <= s[..., :1] * (v.shape[-1] * xp.finfo(v.dtype).eps))):
        raise degenerate("eig", "eigenvalues", "", "it has no basis of eigenvectors")


def degenerate(name, values, vectors, why=None) -> LinAlgError:
    """The error at a matrix where a decomposition has no derivative."""
    why = why or f"its {values} are equal, and the function depends on the choice of {vectors}"
    return LinAlgError(
        f"{name}: no derivative at this matrix: {why}.\n"
        f"  expected: distinct {values}, or a function that is the same for every choice of vectors\n"
        f"Use only symmetric functions of the {values}, or perturb the matrix."
    )


def _phase_error(name) -> LinAlgError:
    return LinAlgError(
        f"{name}: the function depends on the phase of the vectors of a complex matrix, which is arbitrary.\n"
        "  expected: a function that is the same when a vector is multiplied by exp(i t)\n"
        "Use abs(v) ** 2, or divide each vector by the phase of one of its entries first."
    )


_eigh, _eig = Eigh(), Eig()


def eigh(x) -> EigResult:
    """Eigenvalues, ascending, and eigenvectors (columns) of Hermitian matrices; the gradient is symmetrised."""
    _square("eigh", x)
    return EigResult(*apply(_eigh, x))


def eigvalsh(x) -> Tensor:
    """The eigenvalues, ascending, of Hermitian matrices; the gradient is symmetrised."""
    return eigh(x)[0]


def eig(x) -> EigResult:
    """Eigenvalues, in no order, and eigenvectors (columns of length 1) of square matrices; both are complex."""
    _square("eig", x)
    return EigResult(*apply(_eig, x))


def eigvals(x) -> Tensor:
    """The eigenvalues of square matrices, complex and in no order."""
    return eig(x)[0]
