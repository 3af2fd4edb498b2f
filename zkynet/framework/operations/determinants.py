"""Determinants, with exact derivatives at singular matrices."""

from typing import NamedTuple

from zkynet.backends.errors import LinAlgError

from ..operator import Operator
from ..record import Tensor, apply
from .linalg import _square


class SlogdetResult(NamedTuple):
    """What ``slogdet`` gives."""

    sign: Tensor
    logabsdet: Tensor


class Det(Operator):
    """The determinant; its derivative is the matrix of cofactors, whatever the rank."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.linalg.det(x)

    def vjp_x(self, xp, g, x):
        return xp.reshape(g, (*g.shape, 1, 1)) * xp.linalg.cofactors(x)

    def jvp_x(self, xp, t, x):
        return xp.sum(t * xp.linalg.cofactors(x), axis=(-2, -1))


class Cofactors(Operator):
    """The derivative of the determinant. Its own derivative is a Hessian, hence symmetric: one rule for both ways."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.linalg.cofactors(x)

    def vjp_x(self, xp, g, x):
        return xp.linalg.cofactor_slope(x, g)

    def jvp_x(self, xp, t, x):
        return xp.linalg.cofactor_slope(x, t)


class CofactorSlope(Operator):
    """The Hessian of the determinant at x, times v: symmetric, as are the third derivatives."""

    broadcasts = True  # over the stack axes
    right_aligned = True
    promotion = "floating"

    def forward(self, xp, x, v):
        return xp.linalg.cofactor_slope(x, v)

    def vjp_v(self, xp, g, x):
        return xp.linalg.cofactor_slope(x, g)

    def jvp_v(self, xp, t, x):
        return xp.linalg.cofactor_slope(x, t)

    def vjp_x(self, xp, g, x, v):
        return third_derivative(xp, x, v, g)

    def jvp_x(self, xp, t, x, v):
        return third_derivative(xp, x, v, t)


def third_derivative(xp, x, v, w):
    """The third derivative of det along v and w, as a matrix; LinAlgError where x is singular to rounding."""
    if 0 in x.shape:
        return v * w
    s = xp.linalg.svdvals(x)
    if not xp.is_traced(s) and bool(xp.any(s <= s[..., :1] * (xp.finfo(x.dtype).eps * x.shape[-1]))):
        raise LinAlgError(
            "det: third derivatives are not available at a singular matrix; first and second ones are.\n"
            "Perturb the matrix, or write the determinant out as a polynomial of its entries."
        )
    y = xp.matrix_transpose(xp.linalg.inv(x))
    det = xp.linalg.det(x)
    yv, yw = (xp.matmul(xp.matmul(y, xp.matrix_transpose(z)), y) for z in (v, w))
    a, b, c = (xp.sum(m * n, axis=(-2, -1), keepdims=True) for m, n in ((y, v), (y, w), (yw, v)))
    turned = xp.matmul(xp.matmul(yw, xp.matrix_transpose(v)), y) + xp.matmul(xp.matmul(yv, xp.matrix_transpose(w)), y)
    return xp.reshape(det, (*det.shape, 1, 1)) * ((a * b - c) * y - b * yv - a * yw + turned)


class SLogDet(Operator):
    """The sign (for complex matrices the phase) of the determinant, and the logarithm of its magnitude.

    With z = tr(x^-1 dx) the logarithm moves by Re z, the phase by sign * i * Im z. LinAlgError where x is singular.
    """

    functional_name = "slogdet"  # type: ignore[assignment]
    outputs = 2
    promotion = "floating"

    def forward(self, xp, x):
        sign, size = xp.linalg.slogdet(x)
        return sign, size

    def vjp_x(self, xp, g, x, y):
        (gs, gl), (sign, _) = g, y
        if xp.is_complex(x.dtype):
            gl = gl + 1j * xp.imag(gs * sign)
        return xp.reshape(gl, (*gl.shape, 1, 1)) * xp.matrix_transpose(xp.linalg.inv(x))

    def jvp_x(self, xp, t, x, y):
        z = xp.sum(t * xp.matrix_transpose(xp.linalg.inv(x)), axis=(-2, -1))
        sign = y[0]
        turned = 1j * sign * xp.imag(z) if xp.is_complex(x.dtype) else xp.zeros_like(z)
        return turned, xp.real(z)


_det, _cofactors, _cofactor_slope, _slogdet = Det(), Cofactors(), CofactorSlope(), SLogDet()


def det(x) -> Tensor:
    """The determinants of square matrices. The gradient at a singular matrix is its cofactors."""
    _square("det", x)
    return apply(_det, x)


def cofactors(x) -> Tensor:
    """The matrices of cofactors, the derivative of det: det(x) times the transposed inverse, where x has one."""
    _square("cofactors", x)
    return apply(_cofactors, x)


def cofactor_slope(x, v) -> Tensor:
    """The derivative of ``cofactors`` at x along v; the stack axes broadcast."""
    _square("cofactor_slope", x)
    _square("cofactor_slope", v)
    return apply(_cofactor_slope, x, v)


def slogdet(x) -> SlogdetResult:
    """(sign, logabsdet) with det(x) = sign * exp(logabsdet), without overflow. No gradient where x is singular."""
    _square("slogdet", x)
    return SlogdetResult(*apply(_slogdet, x))
