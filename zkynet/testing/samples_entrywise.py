"""Sample calls of curves, activations, comparisons and parts of complex numbers."""

import numpy as np

from zkynet.framework import cg, op

from .samples_draw import A, M, V, above_one, apart, call, complex_numbers, positive, share

SPECIALS = A([1.5, np.nan, np.inf, -np.inf, -0.0])  # what tests of numbers tell apart
HALVES = A([[-1.5, 2.5], [0.0, 3.5]])
TURNS = A([0.3, 5.9, 12.4, 6.1, -0.4, -6.8])
SPECTRUM = A([1j, 2.0, np.nan])

CURVES = (
    *(call(name, M) for name in ("exp2", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "atanh", "sinc")),
    *(call(name, M) for name in ("sec", "csc", "cot", "sech", "csch", "coth", "acot", "acsch", "cbrt")),
    *(call(name, M, numbers=above_one) for name in ("acosh", "asec", "acsc", "acoth")),
    call("asech", M, numbers=share),
    *(call(name, M, numbers=positive) for name in ("log2", "log10", "log1mexp", "rsqrt")),
    *(call(name, M) for name in ("deg2rad", "rad2deg", "softplus", "log_sigmoid")),
    call("unwrap", TURNS),
    *(call(name, M, V, numbers=(apart, positive)) for name in ("xlogy", "xlog1py", "remainder", "fmod")),
    *(call(name, M, V) for name in ("atan2", "logaddexp", "logaddexp2", "hypot", "copysign", "fmax", "fmin")),
    call("logmeanexp", M, axis=1),
    call("logcumsumexp", M),
    call("logmatmulexp", M, (3, 2)),
    call("nan_to_num", SPECIALS),
    call("lerp", M, V, 0.3),
    call("heaviside", A([-1.5, 0.0, 2.0]), 0.5),
    call("ldexp", M, A([2, -3, 0])),
    call("frexp", M),
    call("float_power", M, V, numbers=positive),
    *(call(name, M, V) for name in ("scale", "bias")),
    *(call(name, M, V) for name in ("complex", "polar")),
    call("angle", M, numbers=complex_numbers),
    call("real_if_close", M),
    *(call(name, A([[5], [6]]), A([3, 1, 0])) for name in ("bitwise_left_shift", "bitwise_right_shift")),
    call("nextafter", A([1.0, -2.0, 0.0]), A([2.0, -np.inf, 1.0])),
    *(call(name, SPECIALS) for name in ("signbit", "isposinf", "isneginf")),
    *(call(name, SPECTRUM) for name in ("isreal", "iscomplex")),
    *(call(name, SPECIALS, SPECIALS + 1e-9, equal_nan=True) for name in ("isclose", "allclose", "array_equal")),
    *(call(name, HALVES) for name in ("rint", "fix")),
    *(call(name, M) for name in ("relu6", "clipped_relu", "leaky_relu", "crelu", "elu", "celu", "selu")),
    *(call(name, M) for name in ("hard_tanh", "hard_sigmoid", "hard_swish", "tanhshrink")),
    *(call(name, M, lambd=0.2) for name in ("hardshrink", "softshrink")),
    call("prelu", M, V),
    call("rrelu", M, run=lambda x: op.rrelu(x, generator=cg.Generator(7))),
    call("threshold", M, threshold=0.1, value=-2.0),
    call("maxout", (2, 4), pool_size=2),
    *(call(name, M) for name in ("silu", "swish", "mish", "gelu", "squareplus", "soft_sign", "softmin", "sparsemax")),
    *(call(name, (2, 4)) for name in ("glu", "swiglu", "geglu")),
)
