"""Interpolation, differences, integrals, convolution and polynomials under NumPy's signatures."""

from typing import Any

from .. import op
from .arguments import array, refuse


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Linear between the points (xp, fp); ``left`` and ``right`` beyond them."""
    return op.interp(array(x), array(xp), array(fp), left, right, period)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences, one-sided at the ends; a tuple where there are several axes."""
    y = op.gradient(array(f), *[array(v) for v in varargs], axis=axis, edge_order=edge_order)
    return tuple(y) if isinstance(y, list) else y


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by trapezoids."""
    return op.trapezoid(array(y), array(x), dx, axis)


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """The convolution of two vectors."""
    return op.convolve(array(a), array(v), mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """The correlation of two vectors."""
    return op.correlate(array(a), array(v), mode)


def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """The coefficients of the polynomial of least squares, the highest power first."""
    refuse("polyfit", rcond=rcond, full=full or None, cov=cov or None)
    return op.polyfit(array(x), array(y), deg, w=array(w))


def polyval(p: Any, x: Any) -> Any:
    """The polynomial with coefficients ``p``, the highest power first, at ``x``."""
    return op.polyval(array(p), array(x))


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of a vector as columns."""
    return op.vander(array(x), N, increasing)
