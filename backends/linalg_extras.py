"""What ``xp.linalg`` has beyond the standard, portable: triangular systems, cofactors, functions of matrices.

Matrices are the last two axes, all others are leading axes, which broadcast where there are two operands. No function
writes in place; inside a compiled function, where no value can be read, iterations have a fixed length.
"""

import math
from functools import cache

import numpy as np

from .errors import LinAlgError

_PADE = {  # coefficients of the numerator of the Pade approximant of exp, and how large a matrix it is good for
    7: ((17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1), 3.925724783138660),
    13: (
        (
            *(64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000),
            *(10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1),
        ),
        5.371920351148152,
    ),
}
_SQUARINGS = 24  # in a compiled function: up to a norm of 9e7
_ROOT_STEPS = 14  # in a compiled function
_ROOTS = 7  # in a compiled function: for eigenvalues within a factor of exp(32) of 1
_LOG_RADIUS = 0.26  # where eight nodes give the logarithm to double precision


class Extras:
    """What ``LinAlg`` inherits; ``self.xp`` is the backend."""

    def solve_triangular(self, a, b, *, lower=False, unit_diagonal=False):
        """The x with a @ x = b for matrices b, reading one triangle of a; with ``unit_diagonal`` not its diagonal."""
        xp = self.xp
        step = -1 if unit_diagonal else 0
        a = xp.tril(a, k=step) if lower else xp.triu(a, k=-step)
        return self.solve(a + identity(xp, a) if unit_diagonal else a, b)

    def eig(self, x):
        """Eigenvalues and eigenvectors, computed on the host: for libraries that have no such function."""
        w, v = np.linalg.eig(self.xp.to_numpy(x))
        return self.xp.asarray(w), self.xp.asarray(v)

    def lu(self, x):
        """(p, low, up) with x = p @ low @ up for square x: p a permutation, by the largest pivot of each column."""
        xp = self.xp
        n = x.shape[-1]
        one = identity(xp, x)
        rows = xp.arange(n)
        p, low = one + xp.zeros_like(x), xp.zeros_like(x)
        for k in range(n):
            size = xp.where(rows >= k, xp.abs(x[..., k]), xp.full((), -1.0, dtype=xp.real(x).dtype))
            pivot = xp.argmax(size, axis=-1, keepdims=True)
            order = xp.where(rows == k, pivot, xp.where(rows == pivot, k, rows))
            swap = xp.astype(xp.expand_dims(order, axis=-1) == rows, x.dtype)
            p, low, x = (xp.matmul(swap, a) for a in (p, low, x))
            column, row = x[..., k : k + 1], x[..., k : k + 1, :]
            top = row[..., k : k + 1]
            later = xp.reshape(rows > k, (n, 1)) & (top != 0)
            factor = xp.where(later, column / xp.where(top == 0, xp.ones_like(top), top), xp.zeros_like(column))
            x = x - xp.matmul(factor, row)
            low = xp.where(rows == k, factor, low)
        return xp.matrix_transpose(p), low + one, xp.triu(x)

    def cofactors(self, x):
        """The derivative of det: det(x) times the transposed inverse, at singular matrices too.

        With x = u diag(s) vh it is det(u) det(vh) conj(u) diag(products of all other s) conj(vh).
        """
        xp = self.xp
        inverse = self._inverse_of_regular(x)
        if inverse is not None:
            det = self.det(x)
            return xp.reshape(det, (*det.shape, 1, 1)) * xp.matrix_transpose(inverse)
        u, s, vh = self.svd(x, full_matrices=False)
        others = xp.astype(products_of_others(xp, s), x.dtype)
        return self._phase(u, vh) * xp.matmul(xp.conj(u) * xp.expand_dims(others, axis=-2), xp.conj(vh))

    def _inverse_of_regular(self, x):
        """The inverse, where all matrices are well-conditioned, and known to be; None otherwise."""
        xp = self.xp
        if xp.is_traced(x) or 0 in x.shape:
            return None
        try:
            inverse = self.inv(x)
        except LinAlgError:
            return None
        norms = [xp.max(xp.sum(xp.abs(a), axis=-2), axis=-1) for a in (x, inverse)]
        regular = norms[0] * norms[1] < float(xp.finfo(x.dtype).eps) ** -0.25  # not so where a norm is NaN
        return inverse if bool(xp.all(regular)) else None

    def cofactor_slope(self, x, v):
        """The derivative of ``cofactors`` along v: the Hessian of det times v, at singular matrices too."""
        xp = self.xp
        if 0 in x.shape:
            return v
        u, s, vh = self.svd(x, full_matrices=False)
        turned = xp.matmul(xp.matmul(xp.conj(xp.matrix_transpose(u)), v), xp.conj(xp.matrix_transpose(vh)))
        diagonal = identity(xp, turned) != 0
        rows = xp.where(identity(xp, x) != 0, xp.ones_like(s[..., :1, None]), xp.expand_dims(s, axis=-2))
        pairs = xp.astype(products_of_others(xp, rows), x.dtype)  # entry i, j: the product of all but s_i and s_j
        nothing = xp.zeros_like(turned)
        on = xp.expand_dims(xp.sum(xp.where(diagonal, turned, nothing), axis=-2), axis=-2)
        summed = xp.sum(xp.where(diagonal, nothing, on * pairs), axis=-1, keepdims=True)
        inner = xp.where(diagonal, summed, -xp.matrix_transpose(turned) * pairs)
        return self._phase(u, vh) * xp.matmul(xp.matmul(xp.conj(u), inner), xp.conj(vh))

    def _phase(self, u, vh):
        phase = self.det(u) * self.det(vh)
        return self.xp.reshape(phase, (*phase.shape, 1, 1))

    def expm(self, x):
        """The exponential, by scaling and squaring of a Pade approximant (Higham 2005, doi:10.1137/04061101X)."""
        xp = self.xp
        degree = 13 if xp.finfo(x.dtype).eps < 1e-10 else 7
        coefficients, radius = _PADE[degree]
        size = one_norm(xp, x)
        halvings = xp.ceil(xp.log2(xp.where(size > radius, size / radius, xp.ones_like(size))))
        steps = _SQUARINGS
        if not xp.is_traced(x):
            halvings = xp.where(xp.isfinite(halvings), halvings, xp.zeros_like(halvings))
            steps = int(xp.max(halvings)) if 0 not in halvings.shape else 0
        x = x / xp.astype(xp.pow(xp.full((), 2, dtype=halvings.dtype), halvings), x.dtype)
        y = self._pade(x, coefficients)
        for i in range(steps):
            y = xp.where(halvings > i, xp.matmul(y, y), y)
        return xp.where(halvings > steps, xp.full((), math.nan, dtype=y.dtype), y)

    def _pade(self, x, coefficients):
        """p(x) / p(-x) for the polynomial p."""
        xp = self.xp
        power = one = identity(xp, x)
        square = xp.matmul(x, x)
        even, odd = one * coefficients[0], one * coefficients[1]
        for i in range(2, len(coefficients), 2):
            power = xp.matmul(power, square)
            even = even + power * coefficients[i] if i < len(coefficients) else even
            odd = odd + power * coefficients[i + 1]
        odd = xp.matmul(x, odd)
        return self.solve(even - odd, even + odd)

    def sqrtm(self, x):
        """The principal square root, by the scaled product iteration of Denman and Beavers (Higham 2008, 6.3).

        LinAlgError where the iteration does not converge: an eigenvalue is 0, or on the negative real axis.
        """
        xp = self.xp
        y, rest = x, x
        one = identity(xp, x)
        n = x.shape[-1]
        if n == 0 or 0 in x.shape:
            return x
        enough = 10 * n * float(xp.finfo(x.dtype).eps)
        for i in range(_ROOT_STEPS if xp.is_traced(x) else 60):
            try:
                inverse = self.inv(rest)
            except LinAlgError:
                raise _no_root(x) from None
            far = i < 5  # beyond that the scaling would only disturb
            scale = self._scale(rest) if far else xp.ones_like(rest[..., :1, :1])
            y = 0.5 * scale * (y + xp.matmul(y, inverse) / (scale * scale))
            rest = 0.5 * (one + 0.5 * (scale * scale * rest + inverse / (scale * scale)))
            if not xp.is_traced(x) and not far and not bool(xp.any(one_norm(xp, rest - one) > enough)):
                return y
        if xp.is_traced(x):
            lost = one_norm(xp, rest - one) > 1e3 * enough
            return xp.where(lost, xp.full((), math.nan, dtype=y.dtype), y)
        if bool(xp.any(one_norm(xp, rest - one) > 1e3 * enough)) or not bool(xp.all(xp.isfinite(y))):
            if not bool(xp.all(xp.isfinite(x))):
                return x * math.nan
            raise _no_root(x)
        return y

    def _scale(self, x):
        """The scalar that brings the determinant of each matrix to magnitude 1."""
        xp = self.xp
        size = self.slogdet(x)[1]
        factor = xp.exp(size * (-0.5 / x.shape[-1]))
        return xp.astype(xp.reshape(factor, (*factor.shape, 1, 1)), x.dtype)

    def logm(self, x):
        """The principal logarithm, by inverse scaling and squaring (Higham 2008, 11.5), with Gauss's eight nodes."""
        xp = self.xp
        one = identity(xp, x)
        if 0 in x.shape:
            return x
        factor = xp.ones_like(xp.real(x[..., :1, :1]))
        for _ in range(_ROOTS if xp.is_traced(x) else 100):
            far = ~(one_norm(xp, x - one) <= _LOG_RADIUS)
            if not xp.is_traced(x) and not bool(xp.any(far)):
                break
            x = xp.where(far, self.sqrtm(x), x)
            factor = xp.where(far, 2 * factor, factor)
            if not xp.is_traced(x) and not bool(xp.all(xp.isfinite(x))):
                break
        e = x - one
        total = xp.zeros_like(e)
        for node, weight in _gauss():
            total = total + weight * self.solve(one + node * e, e)
        lost = ~(one_norm(xp, e) <= _LOG_RADIUS)
        total = xp.where(lost, xp.full((), math.nan, dtype=total.dtype), total)
        return total * xp.astype(factor, total.dtype)


@cache
def _gauss():
    """Pairs (node, weight) of Gauss and Legendre's quadrature on [0, 1], made late: NumPy loads ten files for it."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    return tuple(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


def _no_root(x) -> LinAlgError:
    return LinAlgError(
        "linalg.sqrtm: the iteration did not converge.\n"
        "  expected: matrices whose eigenvalues are neither 0 nor on the negative real axis\n"
        f"  input shape: {tuple(x.shape)}\n"
        "A real matrix with complex roots alone has to be passed as a complex array."
    )


def identity(xp, x):
    """The identity of x's size and dtype, without its leading axes."""
    return xp.eye(x.shape[-1], dtype=x.dtype)


def one_norm(xp, x):
    """The largest column sum, with two axes of size 1."""
    columns = xp.sum(xp.abs(x), axis=-2, keepdims=True)
    return xp.max(columns, axis=-1, keepdims=True) if x.shape[-1] else xp.sum(columns, axis=-1, keepdims=True)


def products_of_others(xp, s):
    """For each entry along the last axis the product of all others: exact with zeros."""
    if not s.shape[-1]:
        return s
    ones = xp.ones_like(s[..., :1])
    before = xp.concat([ones, xp.cumulative_prod(s, axis=-1)[..., :-1]], axis=-1)
    behind = xp.concat([xp.cumulative_prod(s, axis=-1, reverse=True)[..., 1:], ones], axis=-1)
    return before * behind
