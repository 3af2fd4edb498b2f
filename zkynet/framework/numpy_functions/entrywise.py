"""NumPy's entrywise functions: its ufuncs, with the keywords that they have, and a few that are functions there."""

from collections.abc import Callable
from typing import Any

from .. import op
from .arguments import UNSET, array, is_given, refuse


def _entrywise(name: str, count: int, function: Callable) -> Callable:
    """``function`` of ``count`` arrays with the keywords of a ufunc, which are refused where they ask for anything."""

    def entrywise(
        *inputs: Any,
        out: Any = None,
        where: Any = True,
        casting: str = "same_kind",
        order: str = "K",
        dtype: Any = None,
        subok: bool = True,
    ) -> Any:
        if len(inputs) == count + 1:  # NumPy takes `out` by position too
            out = inputs[count]
        elif len(inputs) != count:
            raise TypeError(f"{name} takes {count} array{'s' * (count > 1)}, got {len(inputs)}")
        refuse(name, out=out, where=where, casting=casting, order=order, dtype=dtype, subok=subok)
        return function(*[array(x) for x in inputs[:count]])

    entrywise.__name__ = entrywise.__qualname__ = name
    entrywise.__doc__ = f"NumPy's {name} on arrays and Tensors.\n\n{function.__doc__}"
    return entrywise


# ---- arithmetic ----

add = _entrywise("add", 2, op.add)
subtract = _entrywise("subtract", 2, op.subtract)
multiply = _entrywise("multiply", 2, op.multiply)
divide = true_divide = _entrywise("divide", 2, op.divide)
floor_divide = _entrywise("floor_divide", 2, op.floor_divide)
remainder = mod = _entrywise("remainder", 2, op.remainder)
fmod = _entrywise("fmod", 2, op.fmod)
power = pow = _entrywise("power", 2, op.pow)
float_power = _entrywise("float_power", 2, op.float_power)
negative = _entrywise("negative", 1, op.negative)
positive = _entrywise("positive", 1, op.positive)
absolute = abs = _entrywise("absolute", 1, op.abs)
fabs = _entrywise("fabs", 1, op.abs)
reciprocal = _entrywise("reciprocal", 1, op.reciprocal)
square = _entrywise("square", 1, op.square)
sqrt = _entrywise("sqrt", 1, op.sqrt)
cbrt = _entrywise("cbrt", 1, op.cbrt)
hypot = _entrywise("hypot", 2, op.hypot)
maximum = _entrywise("maximum", 2, op.maximum)
minimum = _entrywise("minimum", 2, op.minimum)
fmax = _entrywise("fmax", 2, op.fmax)
fmin = _entrywise("fmin", 2, op.fmin)
copysign = _entrywise("copysign", 2, op.copysign)
heaviside = _entrywise("heaviside", 2, op.heaviside)
ldexp = _entrywise("ldexp", 2, op.ldexp)
frexp = _entrywise("frexp", 1, op.frexp)
nextafter = _entrywise("nextafter", 2, op.nextafter)

# ---- exponentials, angles ----

exp = _entrywise("exp", 1, op.exp)
exp2 = _entrywise("exp2", 1, op.exp2)
expm1 = _entrywise("expm1", 1, op.expm1)
log = _entrywise("log", 1, op.log)
log2 = _entrywise("log2", 1, op.log2)
log10 = _entrywise("log10", 1, op.log10)
log1p = _entrywise("log1p", 1, op.log1p)
logaddexp = _entrywise("logaddexp", 2, op.logaddexp)
logaddexp2 = _entrywise("logaddexp2", 2, op.logaddexp2)
sin = _entrywise("sin", 1, op.sin)
cos = _entrywise("cos", 1, op.cos)
tan = _entrywise("tan", 1, op.tan)
arcsin = asin = _entrywise("arcsin", 1, op.asin)
arccos = acos = _entrywise("arccos", 1, op.acos)
arctan = atan = _entrywise("arctan", 1, op.atan)
arctan2 = atan2 = _entrywise("arctan2", 2, op.atan2)
sinh = _entrywise("sinh", 1, op.sinh)
cosh = _entrywise("cosh", 1, op.cosh)
tanh = _entrywise("tanh", 1, op.tanh)
arcsinh = asinh = _entrywise("arcsinh", 1, op.asinh)
arccosh = acosh = _entrywise("arccosh", 1, op.acosh)
arctanh = atanh = _entrywise("arctanh", 1, op.atanh)
deg2rad = _entrywise("deg2rad", 1, op.deg2rad)
radians = _entrywise("radians", 1, op.deg2rad)
rad2deg = _entrywise("rad2deg", 1, op.rad2deg)
degrees = _entrywise("degrees", 1, op.rad2deg)

# ---- without a derivative ----

sign = _entrywise("sign", 1, op.sign)
floor = _entrywise("floor", 1, op.floor)
ceil = _entrywise("ceil", 1, op.ceil)
trunc = _entrywise("trunc", 1, op.trunc)
rint = _entrywise("rint", 1, op.rint)
equal = _entrywise("equal", 2, op.equal)
not_equal = _entrywise("not_equal", 2, op.not_equal)
less = _entrywise("less", 2, op.less)
less_equal = _entrywise("less_equal", 2, op.less_equal)
greater = _entrywise("greater", 2, op.greater)
greater_equal = _entrywise("greater_equal", 2, op.greater_equal)
logical_and = _entrywise("logical_and", 2, op.logical_and)
logical_or = _entrywise("logical_or", 2, op.logical_or)
logical_xor = _entrywise("logical_xor", 2, op.logical_xor)
logical_not = _entrywise("logical_not", 1, op.logical_not)
isfinite = _entrywise("isfinite", 1, op.isfinite)
isinf = _entrywise("isinf", 1, op.isinf)
isnan = _entrywise("isnan", 1, op.isnan)
signbit = _entrywise("signbit", 1, op.signbit)
bitwise_and = _entrywise("bitwise_and", 2, op.bitwise_and)
bitwise_or = _entrywise("bitwise_or", 2, op.bitwise_or)
bitwise_xor = _entrywise("bitwise_xor", 2, op.bitwise_xor)
invert = bitwise_not = bitwise_invert = _entrywise("invert", 1, op.bitwise_invert)
left_shift = bitwise_left_shift = _entrywise("left_shift", 2, op.bitwise_left_shift)
right_shift = bitwise_right_shift = _entrywise("right_shift", 2, op.bitwise_right_shift)

# ---- complex ----

conjugate = conj = _entrywise("conjugate", 1, op.conj)


def real(val: Any) -> Any:
    """The real part."""
    return op.real(array(val))


def imag(val: Any) -> Any:
    """The imaginary part; 0 for real numbers."""
    return op.imag(array(val))


def angle(z: Any, deg: bool = False) -> Any:
    """The angle of a complex number, in radians; in degrees where ``deg``."""
    return op.angle(array(z), deg)


def real_if_close(a: Any, tol: float = 100) -> Any:
    """The real part where all imaginary parts are below ``tol`` epsilons, else ``a``."""
    return op.real_if_close(array(a), tol)


def iscomplex(x: Any) -> Any:
    """Whether the imaginary part is not 0, entry by entry."""
    return op.iscomplex(array(x))


def isreal(x: Any) -> Any:
    """Whether the imaginary part is 0, entry by entry."""
    return op.isreal(array(x))


# ---- functions, not ufuncs, in NumPy ----


def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Rounded to ``decimals`` places; without a derivative."""
    refuse("round", out=out)
    return op.round(array(a), decimals)


around = round


def fix(x: Any, out: Any = None) -> Any:
    """Rounded towards 0; without a derivative."""
    refuse("fix", out=out)
    return op.fix(array(x))


def clip(
    a: Any,
    a_min: Any = UNSET,
    a_max: Any = UNSET,
    out: Any = None,
    *,
    min: Any = UNSET,
    max: Any = UNSET,
    **kwargs: Any,
) -> Any:
    """``a`` within bounds, either of which may be None; NumPy's old and new names for them."""
    refuse("clip", out=out, **kwargs)
    if (is_given(a_min) or is_given(a_max)) and (is_given(min) or is_given(max)):
        raise ValueError("clip: give a_min and a_max, or min and max, not both")
    low, high = (x if is_given(x) else y if is_given(y) else None for x, y in ((a_min, min), (a_max, max)))
    return op.clip(array(a), array(low), array(high))


def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at 0."""
    return op.sinc(array(x))


def i0(x: Any) -> Any:
    """The modified Bessel function of order 0."""
    return op.special.i0(array(x))


def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * 3.141592653589793) -> Any:
    """Phases without their jumps of ``period``."""
    return op.unwrap(array(p), discont, axis, period=period)


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """NaN and infinities replaced by numbers."""
    refuse("nan_to_num", copy=copy)
    return op.nan_to_num(array(x), nan=nan, posinf=posinf, neginf=neginf)


def isposinf(x: Any, out: Any = None) -> Any:
    """Where ``x`` is plus infinity."""
    refuse("isposinf", out=out)
    return op.isposinf(array(x))


def isneginf(x: Any, out: Any = None) -> Any:
    """Where ``x`` is minus infinity."""
    refuse("isneginf", out=out)
    return op.isneginf(array(x))


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether |a - b| <= atol + rtol |b|, entry by entry."""
    return op.isclose(array(a), array(b), rtol, atol, equal_nan)


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all entries are close."""
    return bool(op.allclose(array(a), array(b), rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Whether shapes and all entries are equal."""
    return bool(op.array_equal(array(a1), array(a2), equal_nan))
