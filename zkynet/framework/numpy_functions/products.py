"""Products of arrays under NumPy's signatures."""

from typing import Any

from .. import op
from .arguments import array, cast, refuse

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """A product of scalars, else the sum over the last axis of ``a`` and the second last of ``b``."""
    refuse("dot", out=out)
    return op.dot(array(a), array(b))


def vdot(a: Any, b: Any, /) -> Any:
    """The sum of conj(a) * b over all entries."""
    return op.vdot(array(a), array(b))


def inner(a: Any, b: Any, /) -> Any:
    """The sum over the last axes of both."""
    return op.inner(array(a), array(b))


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Every entry of ``a`` times every entry of ``b``, both flattened."""
    refuse("outer", out=out)
    return op.outer(op.ravel(array(a)), op.ravel(array(b)))


def matmul(
    x1: Any,
    x2: Any,
    /,
    out: Any = None,
    *,
    casting: str = "same_kind",
    order: str = "K",
    dtype: Any = None,
    subok: bool = True,
    axes: Any = None,
    axis: Any = None,
) -> Any:
    """x1 @ x2."""
    refuse("matmul", out=out, casting=casting, order=order, subok=subok, axes=axes, axis=axis)
    return op.matmul(cast(x1, dtype), cast(x2, dtype))


def vecdot(x1: Any, x2: Any, /, out: Any = None, *, axis: int = -1, dtype: Any = None) -> Any:
    """The sum of conj(x1) * x2 over one axis."""
    refuse("vecdot", out=out)
    return op.vecdot(cast(x1, dtype), cast(x2, dtype), axis=axis)


def matvec(x1: Any, x2: Any, /, out: Any = None, *, dtype: Any = None) -> Any:
    """Matrices times vectors."""
    refuse("matvec", out=out)
    return op.matvec(cast(x1, dtype), cast(x2, dtype))


def vecmat(x1: Any, x2: Any, /, out: Any = None, *, dtype: Any = None) -> Any:
    """Conjugated vectors times matrices."""
    refuse("vecmat", out=out)
    return op.vecmat(cast(x1, dtype), cast(x2, dtype))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum over pairs of axes."""
    return op.tensordot(array(a), array(b), axes)


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product."""
    return op.kron(array(a), array(b))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors of three entries, along ``axisa`` and ``axisb``, given along ``axisc``."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = op.moveaxis(array(a), axisa, -1), op.moveaxis(array(b), axisb, -1)
    return op.moveaxis(op.cross(a, b, axis=-1), -1, axisc)


def einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    """Einstein's summation: subscripts and arrays, or arrays each followed by its list of labels."""
    dtype = kwargs.pop("dtype", None)
    refuse("einsum", out=out, optimize=optimize, **kwargs)
    subscripts, arrays = (operands[0], operands[1:]) if isinstance(operands[0], str) else _with_letters(operands)
    return op.einsum(subscripts, *[cast(a, dtype) for a in arrays])


def _with_letters(operands):
    """einsum(a, [0, 1], b, [1, 2], [0, 2]) as "ab,bc->ac"; the labels may hold an Ellipsis."""
    arrays, labels = operands[0 : len(operands) // 2 * 2 : 2], operands[1 : len(operands) // 2 * 2 : 2]
    words = ["".join("..." if k is Ellipsis else LETTERS[k] for k in each) for each in labels]
    result = ""
    if len(operands) % 2:
        result = "->" + "".join("..." if k is Ellipsis else LETTERS[k] for k in operands[-1])
    return ",".join(words) + result, arrays
