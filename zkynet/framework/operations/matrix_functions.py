"""Functions of square matrices: powers, exponential, square root, logarithm."""

from operator import index

from zkynet import backends

from ..operator import Operator
from ..record import Tensor, apply, operand
from .elementwise import positive
from .linalg import _square, matmul
from .shape import broadcast_to
from .solvers import inv


class MatrixFunction(Operator):
    """y = f(x) for an analytic f. Its derivative along t is the upper right block of f([[x, t], [0, x]]).

    The transpose of that linear map is the derivative at the transposed x (Higham, Functions of Matrices, 2008, 3.2).
    """

    promotion = "floating"

    def function(self, xp, x):
        raise NotImplementedError

    def forward(self, xp, x):
        return self.function(xp, x)

    def vjp_x(self, xp, g, x):
        return self.slope(xp, xp.matrix_transpose(x), g)

    def jvp_x(self, xp, t, x):
        return self.slope(xp, x, t)

    def slope(self, xp, x, t):
        """The derivative of f at x along t."""
        if 0 in t.shape:
            return t
        size = xp.max(xp.abs(t), axis=(-2, -1), keepdims=True)
        size = xp.where(size == 0, 1, size)  # a long t would look like a large matrix to f
        x = xp.broadcast_to(x, t.shape)
        above = xp.concat([x, t / size], axis=-1)
        below = xp.concat([xp.zeros_like(x), x], axis=-1)
        n = x.shape[-1]
        return size * self.function(xp, xp.concat([above, below], axis=-2))[..., :n, n:]


class Expm(MatrixFunction):
    def function(self, xp, x):
        return xp.linalg.expm(x)


class Sqrtm(MatrixFunction):
    def function(self, xp, x):
        return xp.linalg.sqrtm(x)


class Logm(MatrixFunction):
    def function(self, xp, x):
        return xp.linalg.logm(x)


_expm, _sqrtm, _logm = Expm(), Sqrtm(), Logm()


def expm(x) -> Tensor:
    """The exponentials of square matrices. In a compiled function NaN where the 1-norm is above 9e7."""
    _square("expm", x)
    return apply(_expm, x)


def sqrtm(x) -> Tensor:
    """The principal square roots of square matrices whose eigenvalues are neither 0 nor on the negative real axis.

    LinAlgError for others; in a compiled function NaN. A real matrix has a real root here.
    """
    _square("sqrtm", x)
    return apply(_sqrtm, x)


def logm(x) -> Tensor:
    """The principal logarithms of square matrices whose eigenvalues are neither 0 nor on the negative real axis.

    LinAlgError for others; in a compiled function NaN, and NaN too where an eigenvalue is further than a factor of 1e13
    from 1. A real matrix has a real logarithm here.
    """
    _square("logm", x)
    return apply(_logm, x)


def matrix_power(x, n) -> Tensor:
    """x @ x @ ... @ x with ``n`` factors, by repeated squaring; of the inverse where the integer ``n`` is negative."""
    shape = _square("matrix_power", x)
    n = index(n)
    if n == 0:
        value = operand(x)[0]
        return broadcast_to(backends.backend_of(value).eye(shape[-1], dtype=value.dtype), shape)
    base = inv(x) if n < 0 else x
    n = abs(n)
    y = None
    while n:
        if n & 1:
            y = base if y is None else matmul(y, base)
        n >>= 1
        base = matmul(base, base) if n else base
    return y if isinstance(y, Tensor) else positive(y)
