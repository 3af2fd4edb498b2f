"""Wrong rules of determinants, inverses, decompositions, norms and functions of matrices."""

import numpy as np
from mutants.mutant import Mutant, complexes, grads, numbers

from support.battery import Pushed, Singular
from zkynet import grad
from zkynet.backends import linalg_extras
from zkynet.framework import op
from zkynet.framework.operations import decompositions, determinants, matrix_functions, norms, solvers, spectral
from zkynet.framework.operations.linalg import adjoint
from zkynet.framework.record import value_of

R = numbers(31, 3, 3) + 3 * np.eye(3)
Z = complexes(32, 3, 3) + 3 * np.eye(3)
TALL, WIDE = numbers(34, 4, 2), numbers(35, 2, 4)
ZTALL, ZWIDE = complexes(36, 4, 2), complexes(38, 2, 4)
VECTOR, MATRIX = numbers(40, 3), numbers(41, 3, 2)
APART = np.diag([1.0, 2.5, 4.0]) + numbers(42, 3, 3) / 5
ZAPART = APART + 1j * numbers(43, 3, 3) / 5
RANK_ONE = np.array([[1.0, 2.0], [2.0, 4.0]])


def refuses(f, *args, error=np.linalg.LinAlgError):
    """A check that wants an error of a gradient."""

    def check():
        try:
            grad(f)(*args)
        except error:
            return
        raise AssertionError("there is a gradient where there should be none")

    return check


def rebuilt(x):
    """What does not depend on signs and phases of singular vectors."""
    u, s, vh = op.svd(x, full_matrices=False)
    return op.matmul(u * op.expand_dims(s**2, -2), vh), op.abs(u) ** 2, op.abs(vh) ** 2


def polar(x):
    """The unitary factor of x."""
    u, _, vh = op.svd(x, full_matrices=False)
    return op.matmul(u, vh)


def eigen(x):
    """What does not depend on the phases of eigenvectors."""
    w, v = op.eig(x)
    return op.sum(w**2), op.matmul(op.abs(v) ** 2, op.abs(w) ** 2)


def factors(x):
    return tuple(op.qr(x))


def determinant_by_inverse(self, xp, g, x):
    return xp.reshape(g * xp.linalg.det(x), (*g.shape, 1, 1)) * xp.matrix_transpose(xp.linalg.inv(x))


def third_without_a_term(xp, x, v, w):
    y = xp.matrix_transpose(xp.linalg.inv(x))
    yv, yw = (xp.matmul(xp.matmul(y, xp.matrix_transpose(z)), y) for z in (v, w))
    a, b = (xp.sum(y * z, axis=(-2, -1), keepdims=True) for z in (v, w))
    return xp.reshape(xp.linalg.det(x), (*x.shape[:-2], 1, 1)) * (a * b * y - b * yv - a * yw)


def log_only(self, xp, g, x, y):
    gl = g[1]
    return xp.reshape(gl, (*gl.shape, 1, 1)) * xp.matrix_transpose(xp.linalg.inv(x))


def log_upright(self, xp, g, x, y):
    return xp.reshape(g[1], (*g[1].shape, 1, 1)) * xp.linalg.inv(x)


singular = Singular(op.det, (RANK_ONE,), 2.0, (np.array([[8.0, -4.0], [-4.0, 2.0]]),)).check


def singular_by_the_dozen():
    """Cofactors are cross products of rows. Of one matrix the phase may be 1: it is LAPACK's choice."""
    for a, b in np.random.default_rng(7).normal(size=(24, 2, 3)):
        x = np.stack([a, b, a + b])
        rows = np.stack([np.cross(x[1], x[2]), np.cross(x[2], x[0]), np.cross(x[0], x[1])])
        np.testing.assert_allclose(grad(op.det)(x), rows, rtol=1e-6, atol=1e-9)


cofactor_rule = determinants.Cofactors.vjp_x
slope_extra = linalg_extras.Extras.cofactor_slope
cofactors_extra = linalg_extras.Extras.cofactors

DETERMINANTS = (
    Mutant("det: by the inverse", determinants.Det, "vjp_x", determinant_by_inverse, singular),
    Mutant(
        "det: cofactors not transposed",
        *(determinants.Det, "vjp_x"),
        lambda self, xp, g, x: xp.reshape(g, (*g.shape, 1, 1)) * xp.matrix_transpose(xp.linalg.cofactors(x)),
        grads(op.det, R),
    ),
    Mutant(
        "det: the trace alone, forward",
        *(determinants.Det, "jvp_x", lambda self, xp, t, x: xp.linalg.det(x) * xp.sum(t * x, axis=(-2, -1))),
        grads(op.det, R),
    ),
    Mutant(
        "cofactors: a constant at order 2",
        *(determinants.Cofactors, "vjp_x", lambda self, xp, g, x: value_of(cofactor_rule(self, xp, g, x))),
        grads(op.cofactors, R),
    ),
    Mutant(
        "cofactors: sign, forward",
        *(determinants.Cofactors, "jvp_x", lambda self, xp, t, x: -xp.linalg.cofactor_slope(x, t)),
        grads(op.cofactors, R),
    ),
    Mutant(
        "cofactor_slope: sign",
        *(determinants.CofactorSlope, "vjp_v", lambda self, xp, g, x: -xp.linalg.cofactor_slope(x, g)),
        grads(op.cofactor_slope, R, numbers(44, 3, 3), order=1),
    ),
    Mutant(
        "cofactor_slope: a third derivative without a term",
        *(determinants.CofactorSlope, "vjp_x", lambda self, xp, g, x, v: third_without_a_term(xp, x, v, g)),
        grads(op.cofactor_slope, R, numbers(44, 3, 3), order=1),
    ),
    Mutant(
        "cofactors: the phase of the vectors forgotten",
        *(linalg_extras.Extras, "_phase", lambda self, u, vh: 1.0),
        singular_by_the_dozen,
    ),
    Mutant(
        "cofactors: nothing conjugated",
        *(linalg_extras.Extras, "cofactors", lambda self, x: self.xp.conj(cofactors_extra(self, x))),
        grads(op.det, Z, order=1),
    ),
    Mutant(
        "cofactor_slope: not transposed",
        *(linalg_extras.Extras, "cofactor_slope"),
        lambda self, x, v: slope_extra(self, x, self.xp.matrix_transpose(v)),
        grads(op.det, R),
    ),
    Mutant("slogdet: not transposed", determinants.SLogDet, "vjp_x", log_upright, grads(lambda x: op.slogdet(x)[1], R)),
    Mutant("slogdet: the phase forgotten", determinants.SLogDet, "vjp_x", log_only, grads(op.slogdet, Z)),
)


def inverse_beyond_alone(self, xp, g, x, y):
    return xp.conj(self.beyond(xp, xp.matrix_transpose(g), x, y))


def inverse_of_square(self, xp, g, x, y):
    back = xp.matrix_transpose(y)
    return -xp.matmul(xp.matmul(back, g), back)


def triangular(lower=False, unit_diagonal=False):
    return lambda a, b: op.solve_triangular(a, b, lower=lower, unit_diagonal=unit_diagonal)


def whole_matrix(self, xp, g, a, y):
    return -xp.matmul(self.solved(xp, a, g, transposed=True), xp.matrix_transpose(y))


def with_diagonal(self, xp, a):
    return xp.tril(a) if self.lower else xp.triu(a)


def not_turned(self, xp, g, a):
    return self.solved(xp, a, g)


pinv_rule, pinv_beyond = solvers.Pinv.vjp_x, solvers.Pinv.beyond

SOLVERS = (
    Mutant("inv: sign", solvers.Inv, "vjp_x", lambda self, xp, g, y: -inv_rule(self, xp, g, y), grads(op.inv, R)),
    Mutant(
        "inv: not transposed",
        *(solvers.Inv, "vjp_x", lambda self, xp, g, y: -xp.matmul(xp.matmul(y, g), y)),
        grads(op.inv, R),
    ),
    Mutant(
        "inv: half of it, forward",
        *(solvers.Inv, "jvp_x", lambda self, xp, t, y: -xp.matmul(y, t)),
        grads(op.inv, R),
    ),
    Mutant(
        "inv: a constant at order 2",
        *(solvers.Inv, "vjp_x", lambda self, xp, g, y: inv_rule(self, xp, g, value_of(y))),
        grads(op.inv, R),
    ),
    Mutant("pinv: as if it were an inverse", solvers.Pinv, "vjp_x", inverse_of_square, grads(op.pinv, TALL)),
    Mutant("pinv: the projectors alone", solvers.Pinv, "vjp_x", inverse_beyond_alone, grads(op.pinv, WIDE)),
    Mutant(
        "pinv: a conjugate too few",
        *(solvers.Pinv, "vjp_x", lambda self, xp, g, x, y: xp.conj(pinv_rule(self, xp, xp.conj(g), x, y))),
        grads(op.pinv, ZTALL),
    ),
    Mutant(
        "pinv: the projectors forgotten, forward",
        *(solvers.Pinv, "jvp_x", lambda self, xp, t, x, y: -xp.matmul(xp.matmul(y, t), y)),
        grads(op.pinv, TALL),
    ),
    Mutant(
        "solve_triangular: to the whole matrix",
        *(solvers.SolveTriangular, "vjp_a", whole_matrix),
        grads(triangular(), R, VECTOR),
    ),
    Mutant(
        "solve_triangular: to the diagonal that is not read",
        *(solvers.SolveTriangular, "counted", with_diagonal),
        grads(triangular(unit_diagonal=True), R, MATRIX),
    ),
    Mutant(
        "solve_triangular: not transposed", solvers.SolveTriangular, "vjp_b", not_turned, grads(triangular(), R, MATRIX)
    ),
    Mutant(
        "solve_triangular: the other triangle, forward",
        *(solvers.SolveTriangular, "jvp_a"),
        lambda self, xp, t, a, y: -self.solved(xp, a, xp.matmul(xp.tril(t), y)),
        grads(triangular(), R, MATRIX),
    ),
    Mutant(
        "solve_triangular: b conjugated, forward",
        *(solvers.SolveTriangular, "jvp_b", lambda self, xp, t, a: self.solved(xp, a, xp.conj(t))),
        grads(triangular(lower=True), Z, complexes(46, 3, 2)),
    ),
)
inv_rule = solvers.Inv.vjp_x


def qr_of_r_alone(self, xp, g, y):
    (gq, gr), (q, r) = g, y
    return qr_rule(self, xp, (xp.zeros_like(gq), gr), (q, r))


def qr_symmetrised_wrongly(self, xp, g, y):
    (gq, gr), (q, r) = g, y
    gap = xp.triu(xp.matmul(gr, xp.matrix_transpose(r)) - xp.matmul(xp.matrix_transpose(q), gq))
    total = gq + xp.matmul(q, gap + xp.matrix_transpose(gap))
    return xp.matrix_transpose(xp.linalg.solve_triangular(r, xp.matrix_transpose(total)))


def qr_without_phase(self, xp, t, y):
    tq, tr = qr_forward(self, xp, t, y)
    return tq, tr + xp.tril(xp.triu(tr))


def unguarded(xp, bad, inner, error):
    return inner


def exchanged(self, p, q, small):
    return divided(self, q, p, small)


def leaving_multiplied(self, part, small):
    return leaving(self, part, small) * self.xp.expand_dims(self.s, axis=-2) ** 2


def svd_only_values(self, xp, g, y):
    (gu, gs, gvh) = g
    return svd_rule(self, xp, (xp.zeros_like(gu), gs, xp.zeros_like(gvh)), y)


def svd_twisted(self, xp, t, y):
    tu, ts, tvh = svd_forward(self, xp, t, y)
    return tu, ts, -tvh


def svd_conjugated(self, xp, g, y):
    return xp.conj(svd_rule(self, xp, g, y))


def eig_of_any_length(self, xp, g, x_spec, y):
    (gw, gv), (w, v) = g, y
    back = adjoint(xp, v)
    pull = xp.matmul(back, xp.conj(gv))
    gaps, equal, off = spectral.gaps_of(xp, w)
    inner = xp.where(off, pull / xp.conj(xp.where(equal, 1, gaps)), 0) + spectral.as_diagonal(xp, xp.conj(gw), off)
    c = xp.conj(xp.linalg.solve(back, xp.matmul(inner, back)))
    return c if xp.is_complex(x_spec.dtype) else xp.real(c)


def eig_forward_of_any_length(self, xp, t, y):
    tw, tv = eig_forward(self, xp, t, y)
    return tw, tv + y[1]


def eig_values_not_conjugated(self, xp, g, x_spec, y):
    (gw, gv) = g
    return eig_rule(self, xp, (xp.conj(gw), gv), x_spec, y)


qr_rule, qr_forward = decompositions.QR.vjp_x, decompositions.QR.jvp_x
svd_rule, svd_forward = decompositions.SVD.vjp_x, decompositions.SVD.jvp_x
eig_rule, eig_forward = spectral.Eig.vjp_x, spectral.Eig.jvp_x
divided, leaving = decompositions.Points.divided, decompositions.Points.leaving


def lu_of_up_alone(self, xp, g, y):
    return lu_rule(self, xp, (g[0], xp.zeros_like(g[1]), g[2]), y)


def lu_rows_in_place(self, xp, g, y):
    return xp.matmul(xp.matrix_transpose(y[0]), lu_rule(self, xp, g, y))


def lu_upper_forward(self, xp, t, y):
    tp, tl, tu = lu_forward(self, xp, t, y)
    return tp, tl, tu + xp.triu(tu, k=1)


lu_rule, lu_forward = decompositions.LU.vjp_x, decompositions.LU.jvp_x
ROWS_TURNED = R[[1, 2, 0]]


def triangles(x):
    return tuple(op.lu(x))[1:]


DECOMPOSITIONS = (
    Mutant("lu: nothing from the lower factor", decompositions.LU, "vjp_x", lu_of_up_alone, grads(triangles, R)),
    Mutant("lu: the wrong permutation", decompositions.LU, "vjp_x", lu_rows_in_place, grads(triangles, ROWS_TURNED)),
    Mutant("lu: above the diagonal twice, forward", decompositions.LU, "jvp_x", lu_upper_forward, grads(triangles, R)),
    Mutant("qr: nothing from q", decompositions.QR, "vjp_x", qr_of_r_alone, grads(factors, TALL)),
    Mutant("qr: the diagonal twice", decompositions.QR, "vjp_x", qr_symmetrised_wrongly, grads(factors, TALL)),
    Mutant("qr: the diagonal twice, forward", decompositions.QR, "jvp_x", qr_without_phase, grads(factors, TALL)),
    Mutant(
        "qr: a conjugate too few",
        *(decompositions.QR, "vjp_x", lambda self, xp, g, y: xp.conj(qr_rule(self, xp, g, y))),
        grads(factors, ZTALL),
    ),
    Mutant(
        "qr: what completes a basis is not refused",
        *(decompositions, "guarded", unguarded),
        refuses(lambda x: op.sum(op.qr(x, mode="complete")[0]), TALL, error=NotImplementedError),
    ),
    Mutant("svd: sums and differences exchanged", decompositions.Points, "divided", exchanged, grads(rebuilt, TALL)),
    Mutant("svd: values alone", decompositions.SVD, "vjp_x", svd_only_values, grads(rebuilt, TALL)),
    Mutant("svd: what leaves the space", decompositions.Points, "leaving", leaving_multiplied, grads(rebuilt, WIDE)),
    Mutant("svd: the sign of vh, forward", decompositions.SVD, "jvp_x", svd_twisted, grads(rebuilt, TALL)),
    Mutant("svd: a conjugate too few", decompositions.SVD, "vjp_x", svd_conjugated, grads(rebuilt, ZWIDE)),
    Mutant(
        "svd: equal values are not refused",
        *(decompositions, "guarded", unguarded),
        refuses(lambda x: op.sum(polar(x) * np.arange(4.0).reshape(2, 2)), np.eye(2)),
    ),
    Mutant(
        "svd: the phase is not refused",
        *(decompositions, "guarded", unguarded),
        refuses(lambda x: op.sum(op.real(op.svd(x, full_matrices=False)[0])), ZTALL),
    ),
    Mutant("eig: vectors of any length", spectral.Eig, "vjp_x", eig_of_any_length, grads(eigen, APART)),
    Mutant(
        "eig: vectors of any length, forward", spectral.Eig, "jvp_x", eig_forward_of_any_length, grads(eigen, APART)
    ),
    Mutant("eig: values not conjugated", spectral.Eig, "vjp_x", eig_values_not_conjugated, grads(eigen, ZAPART)),
    Mutant(
        "eig: the phase is not refused",
        *(spectral, "guarded", unguarded),
        refuses(lambda x: op.sum(op.real(op.eig(x)[1])), ZAPART),
    ),
    Mutant(
        "eig: a matrix without a basis is not refused",
        *(spectral, "refuse_without_basis", lambda xp, v: None),
        refuses(lambda x: op.sum(op.real(op.eig(x)[0])), np.array([[1.0, 1.0], [0.0, 1.0]])),
    ),
)


def norm_product(self, xp, g, x, y, y_spec):
    return xp.reshape(g, (*g.shape, 1)) * (xp.conj(x) / xp.reshape(y, (*y.shape, 1)))


def norm(ord):
    return lambda x: op.vector_norm(x, axis=-1, ord=ord)


def slope_of_another_order(self, xp, x, y):
    size = xp.abs(x)
    return xp.conj(x) / size * (size / y) ** self.ord


def slope_not_conjugated(self, xp, x, y):
    return xp.conj(norm_slope(self, xp, x, y))


norm_slope = norms.VectorNorm.slope
at_zero = Singular(norm(2), (np.zeros(3),), 2.0, (np.zeros(3),)).check
cusp = Singular(norm(0.5), (np.array([2.0, 0.0]),), 3.0, (np.array([3.0, 0.0]),)).check
curved = Singular(grad(op.vector_norm), (np.array([3.0, 0.0]),), np.ones(2), (np.array([0.0, 1 / 3]),)).check
pushed = Pushed(norm(2), (np.zeros(3),), (np.ones(3),), 0.0).check

NORMS = (
    Mutant("vector_norm: 0 / 0 at 0", norms.VectorNorm, "vjp_x", norm_product, at_zero),
    Mutant(
        "vector_norm: 0 / 0 at 0, forward",
        norms.VectorNorm,
        "jvp_x",
        lambda self, xp, t, x, y: xp.sum(t * x, axis=self.axis) / y,
        pushed,
    ),
    Mutant("vector_norm: a cusp is infinite", norms.VectorNorm, "smooth", lambda self, x, y: y != 0, cusp),
    Mutant(
        "vector_norm: nothing behind an entry that is 0, seen at order 2",
        *(norms.VectorNorm, "slope", lambda self, xp, x, y: xp.select(x != 0, x / xp.where(y == 0, 1, y))),
        curved,
    ),
    Mutant("vector_norm: another order", norms.VectorNorm, "slope", slope_of_another_order, grads(norm(3), MATRIX)),
    Mutant(
        "vector_norm: conjugated", norms.VectorNorm, "slope", slope_not_conjugated, grads(norm(2), complexes(48, 2, 3))
    ),
)


def as_it_stands(self, xp, g, x):
    return self.slope(xp, x, g)


def direction_added(self, xp, x, t):
    return matrix_slope(self, xp, x, t) + t


matrix_slope = matrix_functions.MatrixFunction.slope
log_extra = linalg_extras.Extras.logm
SMALL = numbers(50, 2, 2) / 4 + 1.5 * np.eye(2)

FUNCTIONS = (
    *(
        Mutant(
            f"{name}: not transposed",
            *(function, "vjp_x", as_it_stands),
            grads(getattr(op, name), SMALL),
        )
        for name, function in (
            ("expm", matrix_functions.Expm),
            ("sqrtm", matrix_functions.Sqrtm),
            ("logm", matrix_functions.Logm),
        )
    ),
    Mutant(
        "expm: transposed, forward",
        *(matrix_functions.Expm, "jvp_x"),
        lambda self, xp, t, x: self.slope(xp, xp.matrix_transpose(x), t),
        grads(op.expm, SMALL),
    ),
    Mutant(
        "sqrtm: the direction added", matrix_functions.MatrixFunction, "slope", direction_added, grads(op.sqrtm, SMALL)
    ),
    Mutant(
        "logm: not scaled back",
        *(linalg_extras.Extras, "logm", lambda self, x: log_extra(self, x) / 2),
        Singular(op.logm, (2 * np.eye(2),), np.eye(2), (np.eye(2) / 2,)).check,
    ),
)

MUTANTS = DETERMINANTS + SOLVERS + DECOMPOSITIONS + NORMS + FUNCTIONS
