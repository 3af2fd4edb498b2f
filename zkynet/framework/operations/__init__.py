"""The traced namespace ``op``: the array protocol's functions, taking and returning Tensors.

It is the protocol that operators are written against, so a rule that runs on it is itself recorded. Names are those of
the Python array API standard, then NumPy's; the list below is all there is. The operators' classes are here by their
names too: ``op.Multiply()`` is the operator that ``op.multiply`` applies.
"""

import sys
from types import SimpleNamespace

from ..operator import Operator
from . import linalg as _linalg
from .activation import log_softmax, relu, shifted, sigmoid, softmax, weights
from .control import (
    all,
    any,
    arange,
    argmax,
    argmin,
    asarray,
    copy,
    eye,
    finfo,
    full,
    is_complex,
    is_traced,
    linspace,
    ones,
    ones_like,
    stop_gradient,
    zeros,
    zeros_like,
)
from .conv import conv, conv_filter, conv_input
from .elementwise import (
    abs,
    add,
    astype,
    bitwise_and,
    bitwise_invert,
    bitwise_or,
    bitwise_xor,
    ceil,
    clip,
    conj,
    cos,
    divide,
    equal,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    multiply_no_nan,
    negative,
    not_equal,
    positive,
    pow,
    real,
    reciprocal,
    round,
    select,
    sign,
    silence,
    sin,
    sqrt,
    square,
    subtract,
    tanh,
    trunc,
    where,
)
from .indexing import index_set, scatter_add, scatter_set, scatter_sum, take, take_along_axis
from .linalg import cholesky, linear, matmul, solve, tensordot, tril, triu
from .linalg import einsum as _einsum
from .loss import mean_squared_error, softmax_cross_entropy
from .random import dropout
from .reduction import cumulative_sum, logsumexp, max, mean, min, prod, sum, var
from .shape import (
    broadcast_to,
    concat,
    expand_dims,
    flip,
    matrix_transpose,
    moveaxis,
    pad,
    permute_dims,
    place,
    reshape,
    squeeze,
    stack,
    transpose,
)
from .spectral import eigh

FAMILIES = (
    *("activation", "control", "conv", "elementwise", "indexing", "linalg"),
    *("loss", "random", "reduction", "shape", "spectral"),
)


def __getattr__(name: str):
    """The class of an operator, from the file of its family."""
    for family in FAMILIES:
        found = vars(sys.modules[f"{__name__}.{family}"]).get(name)
        if isinstance(found, type) and issubclass(found, Operator):
            return found
    raise AttributeError(f"zkynet.framework.op has no operation {name!r}")


is_host = False

mult = multiply
identity = copy
linalg = SimpleNamespace(
    cholesky=cholesky, eigh=eigh, matmul=matmul, matrix_transpose=matrix_transpose, solve=solve, tensordot=tensordot
)


def dot(a, b):
    """NumPy's dot: a product of scalars, else a sum over the last axis of a and the second last of b."""
    from ..record import shape_of

    sa, sb = shape_of(a), shape_of(b)
    if not sa or not sb:
        return multiply(a, b)
    if len(sb) < 3:
        return matmul(a, b)
    return tensordot(a, b, ([-1], [-2]))


def einsum(subscripts, *arrays):
    """Einstein's summation: ``einsum("ij,jk->ik", a, b)``.

    Rules call the protocol's canonical form, ``einsum(labels, out, *arrays)``, with a tuple of labels first.
    """
    if isinstance(subscripts, tuple):
        out, *arrays = arrays
        return _einsum(",".join(subscripts) + "->" + out, *arrays)
    return _einsum(subscripts, *arrays)
