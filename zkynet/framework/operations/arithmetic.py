"""More arithmetic, entry by entry: remainders, roots, signs, powers of two, and choices beside NaN."""

from zkynet.backends.errors import ShapeError

from ..axes import normalize_axis
from ..operator import Elementwise, Undifferentiable
from ..quick import binary, unary
from ..record import PYTHON_NUMBERS, Tensor, apply, dtype_of, kind_of, operand, shape_of
from .complex import complex, imag, real
from .dtypes import finfo
from .elementwise import add, astype, multiply, positive, pow, share, subtract
from .shape import reshape


class Remainder(Elementwise):
    """a - b floor(a / b), with the sign of b."""

    def forward(self, xp, a, b):
        return xp.remainder(a, b)

    def vjp_a(self, xp, g):
        return g

    def vjp_b(self, xp, g, a, b, y):
        return xp.multiply_no_nan(g, -xp.round((a - y) / b))  # floor(a / b) may be one off where the quotient rounds


class Fmod(Elementwise):
    """a - b trunc(a / b), with the sign of a."""

    def forward(self, xp, a, b):
        return xp.fmod(a, b)

    def vjp_a(self, xp, g):
        return g

    def vjp_b(self, xp, g, a, b, y):
        return xp.multiply_no_nan(g, -xp.round((a - y) / b))


class Hypot(Elementwise):
    """The length of (a, b), without overflow; at (0, 0) both derivatives are 0."""

    promotion = "inexact"

    def forward(self, xp, a, b):
        return xp.hypot(a, b)

    def vjp_a(self, xp, g, a, y):
        return g * (a / xp.where(y == 0, 1, y))

    def vjp_b(self, xp, g, b, y):
        return g * (b / xp.where(y == 0, 1, y))


class Copysign(Elementwise):
    """|a| with the sign of b, -0.0 counting as negative; derivative 0 where a is 0."""

    promotion = "inexact"
    nondifferentiable = ("b",)

    def forward(self, xp, a, b):
        return xp.copysign(a, b)

    def vjp_a(self, xp, g, a, y):
        return g * (xp.sign(a) * xp.sign(y))


class Rsqrt(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return 1 / xp.sqrt(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, -0.5 * y * y * y)  # infinite at 0


class Cbrt(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.cbrt(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, 1 / (3 * y * y))  # infinite at 0


class Fmax(Elementwise):
    """The larger entry, or the one that is no NaN; at a tie the cotangent is split evenly, of two NaNs a has it all."""

    def forward(self, xp, a, b):
        return xp.where(xp.isnan(a), b, xp.maximum(a, xp.where(xp.isnan(b), a, b)))

    def vjp_a(self, xp, g, a, b):
        return share(xp, g, (a > b) | xp.isnan(b), a == b)

    def vjp_b(self, xp, g, a, b):
        return share(xp, g, (b > a) | (xp.isnan(a) & ~xp.isnan(b)), a == b)


class Fmin(Elementwise):
    """The smaller entry, or the one that is no NaN; ties and NaNs as in Fmax."""

    def forward(self, xp, a, b):
        return xp.where(xp.isnan(a), b, xp.minimum(a, xp.where(xp.isnan(b), a, b)))

    def vjp_a(self, xp, g, a, b):
        return share(xp, g, (a < b) | xp.isnan(b), a == b)

    def vjp_b(self, xp, g, a, b):
        return share(xp, g, (b < a) | (xp.isnan(a) & ~xp.isnan(b)), a == b)


class Heaviside(Undifferentiable):
    """0 below 0, ``middle`` at 0, 1 above; NaN stays."""

    promotion = "inexact"

    def forward(self, xp, x, middle):
        step = xp.where(x < 0, xp.zeros_like(x), xp.where(xp.isnan(x), x, xp.ones_like(x)))
        return xp.where(x == 0, middle, step)


class Ldexp(Elementwise):
    """x * 2 ** n for integers n, with one rounding at most: no power of two overflows on the way."""

    promotion = "inexact"
    promotes = ("x",)
    nondifferentiable = ("n",)

    def forward(self, xp, x, n):
        if not xp.is_integer(n.dtype):
            raise TypeError(f"ldexp: the exponent must be an integer array; got dtype {n.dtype}")
        return xp.ldexp(x, n)

    def vjp_x(self, xp, g, n):
        return xp.ldexp(g, n)


class Exponent(Undifferentiable):
    """The integer e with 0.5 <= |x| / 2 ** e < 1, an int32; 0 where x is 0, infinite or NaN."""

    promotion = "inexact"

    def forward(self, xp, x):
        return xp.exponent(x)


_copysign, _heaviside, _ldexp, _exponent = Copysign(), Heaviside(), Ldexp(), Exponent()


remainder = binary(Remainder(), "a - b floor(a / b): what is left of a, with the sign of b.")


fmod = binary(Fmod(), "a - b trunc(a / b): what is left of a, with the sign of a.")


hypot = binary(Hypot(), "sqrt(a * a + b * b) without overflow; at (0, 0) both derivatives are 0.")


rsqrt = unary(Rsqrt(), "1 / sqrt(x).")


cbrt = unary(Cbrt(), "The real cube root, of negative numbers too; its slope at 0 is infinite.")


fmax = binary(Fmax(), "The larger entry, ignoring NaN; at a tie each side gets half of the cotangent.")


fmin = binary(Fmin(), "The smaller entry, ignoring NaN; at a tie each side gets half of the cotangent.")


def copysign(a, b) -> Tensor:
    """|a| with the sign of b; derivative 0 at a = 0, and none in b."""
    return apply(_copysign, a, b)


def heaviside(x, middle) -> Tensor:
    """The step from 0 to 1 at 0, where it is ``middle``; no derivative."""
    return apply(_heaviside, x, middle)


def ldexp(x, n) -> Tensor:
    """x * 2 ** n for integers n."""
    return apply(_ldexp, x, n)


def frexp(x) -> tuple[Tensor, Tensor]:
    """The mantissa, of magnitude 0.5 to 1, and the int32 exponent with x = mantissa * 2 ** exponent.

    The exponent is constant in x. Where x is 0, infinite or NaN the mantissa is x and the exponent 0.
    """
    exponent = apply(_exponent, x)
    return ldexp(x, -exponent), exponent


def lerp(a, b, weight) -> Tensor:
    """a + weight * (b - a): a where the weight is 0, b where it is 1."""
    return add(a, multiply(weight, subtract(b, a)))


def float_power(a, b) -> Tensor:
    """a ** b in double precision at least: integers to negative powers too."""
    return pow(_doubled(a), b if type(b) is int else _doubled(b))


def _doubled(x):
    value = operand(x)[0]
    if type(value) in PYTHON_NUMBERS:
        return float(value) if type(value) in (bool, int) else x  # a number stays weak
    return astype(x, "complex128" if kind_of(x) == "complex" else "float64")


class NanToNum(Elementwise):
    """x with ``nan``, ``high`` and ``low`` in place of NaN and the two infinities, which receive nothing."""

    masks = True

    def __init__(self, nan, high, low):
        self.nan, self.high, self.low = nan, high, low

    def forward(self, xp, x):
        y = xp.where(xp.isnan(x), self.nan, x)
        y = xp.where(x == float("inf"), self.high, y)
        return xp.where(x == -float("inf"), self.low, y)

    def vjp_x(self, xp, g, x):
        return xp.select(xp.isfinite(x), g)


def nan_to_num(x, *, nan=0.0, posinf=None, neginf=None) -> Tensor:
    """x with NaN and infinities replaced by numbers: the largest of its dtype where ``posinf``, ``neginf`` are None.

    What is replaced has derivative 0. The parts of complex numbers are treated alike.
    """
    kind = kind_of(x)
    if kind == "complex":
        parts = (nan_to_num(part, nan=nan, posinf=posinf, neginf=neginf) for part in (real(x), imag(x)))
        return complex(*parts)
    if kind != "real":
        return positive(x)
    dtype = dtype_of(x)
    limits = finfo("float64" if dtype is float else dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    return apply(NanToNum(float(nan), float(high), float(low)), x)


def scale(x, y, axis=1) -> Tensor:
    """x * y, with the axes of y standing at ``axis`` of x and those behind it."""
    return multiply(x, from_axis(y, x, axis, "scale"))


def bias(x, y, axis=1) -> Tensor:
    """x + y, with the axes of y standing at ``axis`` of x and those behind it."""
    return add(x, from_axis(y, x, axis, "bias"))


def from_axis(y, x, axis, who):
    """``y`` with axes of size 1 behind its own, so that it broadcasts against ``x`` from ``axis`` on."""
    shape, inner = shape_of(x), shape_of(y)
    if not inner:
        return y
    start = normalize_axis(axis, len(shape), who) + len(shape)
    if shape[start : start + len(inner)] != inner:
        raise ShapeError(
            f"{who}: the shape of y must be that of x from axis {start} on.\n"
            f"  got:      {inner}\n"
            f"  expected: {shape[start : start + len(inner)]}, of x with shape {shape}"
        )
    return reshape(y, inner + (1,) * (len(shape) - start - len(inner)))
