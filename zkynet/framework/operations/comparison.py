"""Comparisons, logic, predicates and bits: tracked values go in, and nothing flows back."""

from ..axes import normalize_axes
from ..operator import Operator, Undifferentiable
from ..record import Tensor, apply, shape_of


class Compare(Undifferentiable):
    """A function of two arrays without a derivative, by its array-API name."""

    def __init__(self, name):
        self._function = name

    @property
    def functional_name(self):
        return self._function

    def forward(self, xp, a, b):
        return getattr(xp, self._function)(a, b)

    def __repr__(self):
        return f"Compare({self._function!r})"


class Predicate(Undifferentiable):
    """A function of one array without a derivative, by its array-API name."""

    def __init__(self, name):
        self._function = name

    @property
    def functional_name(self):
        return self._function

    def forward(self, xp, x):
        return getattr(xp, self._function)(x)

    def __repr__(self):
        return f"Predicate({self._function!r})"


class IsInfinite(Undifferentiable):
    """Whether a real x is infinite on the side of ``sign``."""

    def __init__(self, sign):
        self.sign = sign

    def forward(self, xp, x):
        return xp.isinf(x) & (x > 0 if self.sign > 0 else x < 0)


class IsReal(Undifferentiable):
    """Whether the imaginary part is 0."""

    def forward(self, xp, x):
        return xp.imag(x) == 0


class IsClose(Undifferentiable):
    """|a - b| <= atol + rtol |b|; equal infinities are close, NaNs if ``equal_nan``."""

    promotion = "floating"

    def __init__(self, rtol, atol, equal_nan):
        self.rtol, self.atol, self.equal_nan = rtol, atol, equal_nan

    def forward(self, xp, a, b):
        with xp.errstate():
            near = (xp.abs(a - b) <= self.atol + self.rtol * xp.abs(b)) & xp.isfinite(b)
        close = near | (a == b)
        return close | (xp.isnan(a) & xp.isnan(b)) if self.equal_nan else close


class Logical(Operator):
    """``all`` or ``any`` over ``axis``, a tuple of negative ints."""

    differentiable = False

    def __init__(self, name, axis, keepdims):
        self.name_, self.axis, self.keepdims = name, axis, keepdims

    def forward(self, xp, x):
        return getattr(xp, self.name_)(x, axis=self.axis, keepdims=self.keepdims)


def compare(name, doc):
    """The function of two arrays that applies ``Compare(name)``."""
    operator = Compare(name)

    def function(a, b) -> Tensor:
        return apply(operator, a, b)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def predicate(name, doc):
    """The function of one array that applies ``Predicate(name)``."""
    operator = Predicate(name)

    def function(x) -> Tensor:
        return apply(operator, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


equal = compare("equal", "a == b, entry by entry.")
not_equal = compare("not_equal", "a != b, entry by entry.")
less = compare("less", "a < b, entry by entry.")
less_equal = compare("less_equal", "a <= b, entry by entry.")
greater = compare("greater", "a > b, entry by entry.")
greater_equal = compare("greater_equal", "a >= b, entry by entry.")
logical_and = compare("logical_and", "Both, of booleans.")
logical_or = compare("logical_or", "One or both, of booleans.")
logical_xor = compare("logical_xor", "Exactly one, of booleans.")
bitwise_and = compare("bitwise_and", "a & b, of integers or booleans.")
bitwise_or = compare("bitwise_or", "a | b, of integers or booleans.")
bitwise_xor = compare("bitwise_xor", "a ^ b, of integers or booleans.")
bitwise_left_shift = compare("bitwise_left_shift", "a * 2 ** b, of integers; b is not negative.")
bitwise_right_shift = compare("bitwise_right_shift", "a // 2 ** b, of integers; b is not negative.")
nextafter = compare("nextafter", "The floating-point number next to a on the way to b; no derivative.")
logical_not = predicate("logical_not", "The opposite of a boolean.")
bitwise_invert = predicate("bitwise_invert", "~x, of integers or booleans.")
isnan = predicate("isnan", "Whether an entry is NaN.")
isinf = predicate("isinf", "Whether an entry is infinite.")
isfinite = predicate("isfinite", "Whether an entry is neither NaN nor infinite.")
signbit = predicate("signbit", "Whether the sign of an entry is negative, that of -0.0 and of NaN too.")

_isposinf, _isneginf, _isreal = IsInfinite(1), IsInfinite(-1), IsReal()


def isposinf(x) -> Tensor:
    """Whether an entry of a real array is +inf."""
    return apply(_isposinf, x)


def isneginf(x) -> Tensor:
    """Whether an entry of a real array is -inf."""
    return apply(_isneginf, x)


def isreal(x) -> Tensor:
    """Whether the imaginary part of an entry is 0."""
    return apply(_isreal, x)


def iscomplex(x) -> Tensor:
    """Whether the imaginary part of an entry is not 0."""
    return logical_not(apply(_isreal, x))


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False) -> Tensor:
    """Whether |a - b| <= ``atol`` + ``rtol`` |b|, entry by entry; equal infinities are close, NaN only on request."""
    return apply(IsClose(rtol, atol, equal_nan), a, b)


def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False) -> Tensor:
    """Whether all entries are close, see ``isclose``."""
    return all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a, b, equal_nan=False) -> Tensor:
    """Whether a and b have one shape and equal entries; NaN equals NaN if ``equal_nan``."""
    if shape_of(a) != shape_of(b):
        return Tensor(False)
    same = equal(a, b)
    return all(logical_or(same, logical_and(isnan(a), isnan(b))) if equal_nan else same)


def all(x, axis=None, keepdims=False) -> Tensor:
    """Whether every entry over ``axis`` is true, or not 0; of nothing it is true."""
    return _logical("all", x, axis, keepdims)


def any(x, axis=None, keepdims=False) -> Tensor:
    """Whether some entry over ``axis`` is true, or not 0; of nothing it is false."""
    return _logical("any", x, axis, keepdims)


def _logical(name, x, axis, keepdims):
    axes = normalize_axes(axis, len(shape_of(x)), name)
    return apply(Logical(name, axes, bool(keepdims)), x)
