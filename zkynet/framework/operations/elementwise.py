"""Arithmetic, powers and choices, entry by entry."""

from ..operator import Elementwise
from ..quick import binary, unary
from ..record import Tensor, apply, dtype_of, kind_of
from .dtypes import on_device


class Add(Elementwise):
    exact = True

    def forward(self, xp, a, b):
        return a + b

    def vjp_a(self, xp, g):
        return g

    def vjp_b(self, xp, g):
        return g


class Subtract(Elementwise):
    exact = True

    def forward(self, xp, a, b):
        return a - b

    def vjp_a(self, xp, g):
        return g

    def vjp_b(self, xp, g):
        return -g


class Multiply(Elementwise):
    exact = True

    def forward(self, xp, a, b):
        return a * b

    def vjp_a(self, xp, g, b):
        return g * b

    def vjp_b(self, xp, g, a):
        return g * a


class Divide(Elementwise):
    promotion = "floating"

    def forward(self, xp, a, b):
        return xp.divide(a, b)

    def vjp_a(self, xp, g, b):
        return xp.multiply_no_nan(g, 1 / b)

    def vjp_b(self, xp, g, b, y):
        return xp.multiply_no_nan(g, -y / b)


class Negative(Elementwise):
    def forward(self, xp, x):
        return -x

    def vjp_x(self, xp, g):
        return -g


class Positive(Elementwise):
    makes_view = True  # a copy is not needed

    def forward(self, xp, x):
        return x

    def vjp_x(self, xp, g):
        return g


class Square(Elementwise):
    def forward(self, xp, x):
        return x * x

    def vjp_x(self, xp, g, x):
        return g * (2 * x)


class Reciprocal(Elementwise):
    promotion = "floating"

    def forward(self, xp, x):
        return 1 / x

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, -(y * y))


class Pow(Elementwise):
    """a ** b. At a = 0: d/da is 0 where b = 0, d/db is 0 where b >= 0; a negative base never reaches log."""

    def forward(self, xp, a, b):
        # a has b's dtype: where that is integer, both are.
        if xp.is_integer(b.dtype) and not xp.is_traced(b) and bool(xp.any(b < 0)):
            raise ValueError("pow: integers to negative integer powers are not allowed; use floats")
        return xp.pow(a, b)

    def vjp_a(self, xp, g, a, b):
        flat = (a == 0) & (b == 0)
        slope = b * xp.pow(a, xp.where(flat, 1, b - 1))
        return xp.multiply_no_nan(xp.select(~flat, g), slope)

    def vjp_b(self, xp, g, a, b, y):
        dead = (a == 0) & (xp.real(b) >= 0)
        return xp.multiply_no_nan(xp.select(~dead, g), y * xp.log(xp.where(dead, 1, a)))


class IntPow(Elementwise):
    """x ** n for a fixed Python integer n: no branch at 0, no logarithm, integer arrays stay integer."""

    functional_name = "pow"  # type: ignore[assignment]

    def __init__(self, n):
        self.n = n

    def forward(self, xp, x):
        return x**self.n

    def vjp_x(self, xp, g, x):
        if self.n == 0:
            return xp.zeros_like(g)
        if self.n == 1:
            return g
        slope = self.n * int_pow(xp, x, self.n - 1)
        return g * slope if self.n > 1 else xp.multiply_no_nan(g, slope)


def int_pow(xp, x, n):
    """x ** n by the cheapest exact route; ``xp`` may be the traced namespace."""
    return x if n == 1 else x * x if n == 2 else x**n


class Sqrt(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.sqrt(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, 0.5 / y)  # infinite at 0: a cotangent of exactly 0 stays 0


class Abs(Elementwise):
    """The magnitude of a real array; 0 has derivative 0."""

    def forward(self, xp, x):
        return xp.abs(x)

    def vjp_x(self, xp, g, x):
        return g * xp.sign(x)


class ComplexAbs(Elementwise):
    """The magnitude of a complex array; 0 has derivative 0."""

    functional_name = "abs"  # type: ignore[assignment]

    def forward(self, xp, x):
        return xp.abs(x)

    def vjp_x(self, xp, g, x, y):
        return g * (xp.conj(x) / xp.where(y == 0, 1, y))

    def jvp_x(self, xp, t, x, y):
        return xp.real(t * (xp.conj(x) / xp.where(y == 0, 1, y)))


class Maximum(Elementwise):
    """The larger entry; a NaN wins; at a tie the cotangent is split evenly."""

    def forward(self, xp, a, b):
        return xp.maximum(a, b)

    def vjp_a(self, xp, g, a, b):
        return share(xp, g, (a > b) | xp.isnan(a), (a == b) | (xp.isnan(a) & xp.isnan(b)))

    def vjp_b(self, xp, g, a, b):
        return share(xp, g, (b > a) | xp.isnan(b), (a == b) | (xp.isnan(a) & xp.isnan(b)))


class Minimum(Elementwise):
    """The smaller entry; a NaN wins; at a tie the cotangent is split evenly."""

    def forward(self, xp, a, b):
        return xp.minimum(a, b)

    def vjp_a(self, xp, g, a, b):
        return share(xp, g, (a < b) | xp.isnan(a), (a == b) | (xp.isnan(a) & xp.isnan(b)))

    def vjp_b(self, xp, g, a, b):
        return share(xp, g, (b < a) | xp.isnan(b), (a == b) | (xp.isnan(a) & xp.isnan(b)))


def share(xp, g, mine, tie):
    """All of ``g`` where the entry is mine alone, half of it at a tie, nothing elsewhere."""
    return xp.select(mine | tie, xp.where(tie, 0.5 * g, g))


class ClipLow(Elementwise):
    """max(x, lo). On the bound x has slope 1 and the bound 0, so that a value there can move."""

    def forward(self, xp, x, lo):
        return xp.maximum(x, lo)

    def vjp_x(self, xp, g, x, lo):
        return xp.select(~(x < lo), g)

    def vjp_lo(self, xp, g, x, lo):
        return xp.select(x < lo, g)


class ClipHigh(Elementwise):
    """min(x, hi). On the bound x has slope 1 and the bound 0."""

    def forward(self, xp, x, hi):
        return xp.minimum(x, hi)

    def vjp_x(self, xp, g, x, hi):
        return xp.select(~(x > hi), g)

    def vjp_hi(self, xp, g, x, hi):
        return xp.select(x > hi, g)


class Where(Elementwise):
    """a where the condition holds, else b; the entry that is not taken sends and receives nothing."""

    masks = True
    nondifferentiable = ("condition",)
    promotes = ("a", "b")

    def forward(self, xp, condition, a, b):
        return xp.where(condition, a, b)

    def vjp_a(self, xp, g, condition):
        return xp.select(condition, g)

    def vjp_b(self, xp, g, condition):
        return xp.select(~condition, g)


class Select(Elementwise):
    """g where the mask holds, else 0: never a product, so that no infinity leaks."""

    masks = True

    nondifferentiable = ("mask",)
    promotion = None

    def forward(self, xp, mask, x):
        return xp.select(mask, x)

    def vjp_x(self, xp, g, mask):
        return xp.select(mask, g)


class Silence(Elementwise):
    """c, but 0 where g is exactly 0 and c is not finite: what a mask cut off stays silent in every rule behind it.

    The sweep applies it to the cotangents of entrywise operators once it has met a mask.
    """

    masks = True
    makes_view = True
    nondifferentiable = ("gate",)
    promotion = None

    def forward(self, xp, gate, c):
        return xp.silence(gate, c)

    def vjp_c(self, xp, g, gate, c):
        return xp.select((gate != 0) | xp.isfinite(c), g)


class MultiplyNoNan(Elementwise):
    """a * b, but 0 where a is exactly 0 and b is not finite."""

    def forward(self, xp, a, b):
        return xp.multiply_no_nan(a, b)

    def vjp_a(self, xp, g, b):
        return xp.multiply_no_nan(g, b)

    def vjp_b(self, xp, g, a):
        return xp.multiply_no_nan(g, a)


class AsType(Elementwise):
    functional_name = "astype"  # type: ignore[assignment]
    makes_view = True
    linear = True
    promotion = None

    def __init__(self, dtype):
        self.dtype = dtype

    def forward(self, xp, x):
        return xp.astype(x, xp.dtype(self.dtype), copy=False)

    def vjp_x(self, xp, g):
        return g  # the engine casts it to the input's dtype


_add, _subtract, _multiply, _divide, _pow = Add(), Subtract(), Multiply(), Divide(), Pow()
_negative, _positive, _square, _reciprocal = Negative(), Positive(), Square(), Reciprocal()
_sqrt, _abs, _complex_abs = Sqrt(), Abs(), ComplexAbs()
_maximum, _minimum, _clip_low, _clip_high = Maximum(), Minimum(), ClipLow(), ClipHigh()
_INT_POWERS = tuple(unary(IntPow(n), "") for n in range(8))
_variable_pow = binary(_pow, "a ** b.")
_where, _silence, _select, _multiply_no_nan = Where(), Silence(), Select(), MultiplyNoNan()


add = binary(_add, "a + b.")


subtract = binary(_subtract, "a - b.")


multiply = binary(_multiply, "a * b.")


divide = binary(_divide, "a / b, in floating point.")


def pow(a, b) -> Tensor:
    """a ** b. A Python int as b is an exact power: 0 ** 0 is 1 with derivative 0, and log is never taken."""
    if type(b) is int:
        if b < 0 and kind_of(a) == "integer":
            raise ValueError(f"pow: integers to negative integer powers are not allowed (exponent {b}); use a float")
        return _INT_POWERS[b](a) if 0 <= b < len(_INT_POWERS) else apply(IntPow(b), a)
    return _variable_pow(a, b)


negative = unary(_negative, "-x.")


def positive(x) -> Tensor:
    """+x."""
    return apply(_positive, x)


square = unary(_square, "x * x.")


reciprocal = unary(_reciprocal, "1 / x.")


sqrt = unary(_sqrt, "The square root; its derivative at 0 is infinite, and a cotangent of exactly 0 stays 0 there.")


def abs(x) -> Tensor:
    """|x|, for complex x its magnitude; derivative 0 at 0."""
    return apply(_complex_abs if kind_of(x) == "complex" else _abs, x)


maximum = binary(_maximum, "The larger entry; NaN wins; at a tie each side gets half of the cotangent.")


minimum = binary(_minimum, "The smaller entry; NaN wins; at a tie each side gets half of the cotangent.")


def clip(x, min=None, max=None) -> Tensor:
    """x held between ``min`` and ``max`` (None: no bound). On a bound x has slope 1."""
    if min is not None:
        x = apply(_clip_low, x, min)
    if max is not None:
        x = apply(_clip_high, x, max)
    return x if isinstance(x, Tensor) else apply(_positive, x)


def where(condition, a, b) -> Tensor:
    """a where the boolean ``condition`` holds, else b. Nothing leaks from the entry that is not taken."""
    kind = kind_of(condition)
    if kind != "bool":
        raise TypeError(f"where: the condition must be boolean, got {dtype_of(condition)}; compare first, as in x != 0")
    return apply(_where, condition, a, b)


def select(mask, x) -> Tensor:
    """x where the boolean mask holds, else 0, without multiplying: infinities and NaN do not leak."""
    return apply(_select, mask, x)


multiply_no_nan = binary(_multiply_no_nan, "a * b, but 0 where a is exactly 0 and b is not finite.")


def silence(g, c) -> Tensor:
    """c, but 0 where g is exactly 0 and c is not finite."""
    return apply(_silence, g, c)


def astype(x, dtype, *, copy=True, device=None) -> Tensor:
    """x in another dtype: a dtype of its backend, of NumPy, or a name. A gradient comes back in x's own dtype.

    ``copy`` changes nothing: whether memory is shared cannot be seen, for no operator writes into its inputs.
    """
    return on_device(apply(AsType(dtype), x), device, "astype")
