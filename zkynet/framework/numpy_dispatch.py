"""NumPy's own functions on Tensors: which operation each of them is.

``np.sin(t)`` arrives at ``Tensor.__array_ufunc__``, ``np.concatenate([t, u])`` at ``Tensor.__array_function__``, and
both look here. What is not in these tables is a TypeError for tracked Tensors, never a silent constant. NumPy is
imported to tell its own functions from those of others that bear the same name.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from . import op

# NumPy's names for what has another name in op.
UFUNCS = {
    "power": "pow",
    "absolute": "abs",
    "fabs": "abs",
    "conjugate": "conj",
    "invert": "bitwise_invert",
    "true_divide": "divide",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "degrees": "rad2deg",
    "radians": "deg2rad",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
}
# fmt: off
KNOWN_UFUNCS = frozenset((
    "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "fmod", "power", "float_power",
    "negative", "positive", "absolute", "fabs", "square", "reciprocal", "sqrt", "cbrt", "hypot", "copysign",
    "heaviside", "ldexp", "frexp", "nextafter", "maximum", "minimum", "fmax", "fmin", "sign", "signbit", "floor",
    "ceil", "trunc", "rint", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "sin",
    "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
    "deg2rad", "radians", "rad2deg", "degrees", "conjugate", "matmul", "vecdot", "equal", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor", "logical_not", "isnan",
    "isinf", "isfinite", "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift",
))
# fmt: on
LATER_UFUNCS = frozenset(("matvec", "vecmat"))  # since NumPy 2.2


@functools.cache
def operation(ufunc) -> Callable | None:
    """The function of op that a ufunc of NumPy is; None for those that op lacks, and for those of others."""
    name = ufunc.__name__
    known = name in KNOWN_UFUNCS or name in LATER_UFUNCS
    return getattr(op, UFUNCS.get(name, name)) if known and getattr(np, name, None) is ufunc else None


@functools.cache
def functions() -> dict[Any, Callable]:
    """NumPy's functions, and those with the same signature that know Tensors. Read at the first use."""
    from .numpy_functions import (
        calculus,
        creation,
        entrywise,
        fft,
        joining,
        linalg,
        products,
        reductions,
        shapes,
        sorting,
        statistics,
    )

    families = (calculus, creation, entrywise, joining, products, reductions, shapes, sorting, statistics)
    places = [(np, family) for family in families] + [(np.linalg, linalg), (np.fft, fft)]
    found = {}
    for theirs, ours in places:
        for name, function in vars(ours).items():
            if getattr(function, "__module__", None) == ours.__name__ and callable(getattr(theirs, name, None)):
                found[getattr(theirs, name)] = function
    return found
