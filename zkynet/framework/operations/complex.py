"""Complex numbers: their parts, conjugates and angles, and numbers made of parts."""

import math

from ..operator import Elementwise
from ..record import Tensor, apply, kind_of, operand
from .comparison import all
from .control import is_traced
from .dtypes import finfo
from .elementwise import abs, multiply, positive


class Real(Elementwise):
    makes_view = True
    linear = True

    def forward(self, xp, x):
        return xp.real(x)

    def vjp_x(self, xp, g):
        return g


class Imag(Elementwise):
    makes_view = True
    linear = True

    def forward(self, xp, x):
        return xp.imag(x)

    def vjp_x(self, xp, g):
        return g * -1j  # plain transpose: the API conjugates on the way in and out; a real input drops it


class Conj(Elementwise):
    makes_view = True
    linear = True

    def forward(self, xp, x):
        return xp.conj(x)

    def vjp_x(self, xp, g):
        return xp.conj(g)


class Complex(Elementwise):
    """re + 1j * im, of two real arrays."""

    promotion = "floating"

    def forward(self, xp, re, im):
        if xp.is_complex(re.dtype):
            raise TypeError("complex: both parts must be real; got a complex array")
        return xp.complex_of(re, im)

    def vjp_re(self, xp, g):
        return g  # a real input drops the imaginary part

    def vjp_im(self, xp, g):
        return g * 1j


_real, _imag, _conj, _complex = Real(), Imag(), Conj(), Complex()


def real(x) -> Tensor:
    """The real part; a real array as it is."""
    return apply(_real, x)


def imag(x) -> Tensor:
    """The imaginary part; 0 for a real array."""
    return apply(_imag, x)


def conj(x) -> Tensor:
    """The complex conjugate; a real array as it is."""
    return apply(_conj, x)


def complex(re, im) -> Tensor:
    """The complex array with real part ``re`` and imaginary part ``im``, both real."""
    return apply(_complex, re, im)


def polar(abs, angle) -> Tensor:
    """The complex array of magnitude ``abs`` at ``angle`` radians."""
    from .trigonometric import cos, sin  # late: what every program needs is conj, for products of matrices

    return complex(multiply(abs, cos(angle)), multiply(abs, sin(angle)))


def angle(x, deg=False) -> Tensor:
    """The angle of x in the complex plane, in -pi .. pi radians, or in degrees; derivative 0 at 0."""
    from .trigonometric import atan2

    radians = atan2(imag(x), real(x))
    return multiply(radians, 180 / math.pi) if deg else radians


def real_if_close(x, tol=100) -> Tensor:
    """The real part of x, if all imaginary parts are below ``tol`` epsilons (``tol`` itself where that is below 1).

    What comes out depends on values: inside a function that a library compiles it is a TypeError.
    """
    if kind_of(x) != "complex":
        return positive(x)
    if is_traced(x):
        raise TypeError("real_if_close: looks at values, which a compiled function has not; use op.real")
    dtype = getattr(operand(x)[0], "dtype", "complex128")
    limit = tol * finfo(dtype).eps if tol > 1 else tol
    close = all(abs(imag(x)) < limit)
    return real(x) if bool(close) else positive(x)
