"""Gradients cut to size, before an optimizer sees them."""

from __future__ import annotations

import math
from typing import Any

from zkynet.framework import pytree
from zkynet.optim.arrays import HOST, NUMBERS, backend_of, moved, untracked


def clip_by_norm(grads: Any, most: float) -> tuple[Any, Any]:
    """``(grads, norm)``: a gradient tree scaled down to the Euclidean norm ``most`` > 0 where it is longer.

    ``norm`` is that of all arrays of the tree together, before, a 0-d array on the backend of the first one; the new
    arrays keep their dtypes, the given ones their numbers. The direction of the gradient stays. Squares neither
    overflow nor underflow. Where the norm is not finite the gradients come back as they are: scaling would spread NaN.
    It reads no values, so it may run inside a compiled step. For entries of their own see clip_by_value.
    """
    _check_most("clip_by_norm", most)
    leaves, tree = _leaves(grads)
    if not leaves:
        return tree.unflatten([]), HOST.asarray(0.0)
    norm = _norm(leaves)
    xp = backend_of(norm)
    long = xp.logical_and(norm > most, xp.isfinite(norm))
    one = xp.ones_like(norm)
    factor = xp.where(long, most / xp.where(long, norm, one), one)
    return tree.unflatten([_scaled(x, factor) for x in leaves]), norm


def clip_by_value(grads: Any, most: float) -> Any:
    """A gradient tree with every entry cut to -most ... most, ``most`` > 0; NaN stays. TypeError for complex entries.

    The direction changes; clip_by_norm keeps it.
    """
    _check_most("clip_by_value", most)
    leaves, tree = _leaves(grads)
    new = []
    for x in leaves:
        if isinstance(x, (int, float)):
            new.append(x if x != x else max(-most, min(most, x)))
            continue
        xp = backend_of(x)
        if isinstance(x, complex) or xp.is_complex(x.dtype):
            raise TypeError(
                "clip_by_value: complex numbers have no order.\n  expected: real gradients; or clip_by_norm"
            )
        top = xp.full((), most, dtype=x.dtype)
        new.append(xp.where(x > top, top, xp.where(x < -top, -top, x)))
    return tree.unflatten(new)


def global_norm(grads: Any) -> Any:
    """The Euclidean norm of all arrays of a gradient tree together, a 0-d array on the backend of the first one."""
    leaves, _ = _leaves(grads)
    return _norm(leaves) if leaves else HOST.asarray(0.0)


def _leaves(grads: Any) -> tuple[list[Any], Any]:
    leaves, tree = pytree.flatten(grads)
    return [untracked(x, lambda: "a gradient to be clipped") for x in leaves], tree


def _check_most(function: str, most: float) -> None:
    if not (math.isfinite(most) and most > 0):
        raise ValueError(f"{function}: the limit is out of range.\n  got:      {most!r}\n  expected: a number above 0")


def _norm(leaves: list[Any]) -> Any:
    """The norm of arrays and numbers together, in at least single precision."""
    arrays = [HOST.asarray(float(abs(x))) if isinstance(x, NUMBERS) else x for x in leaves]
    norms = [_norm_of(x) for x in arrays]
    xp = backend_of(norms[0])
    dtype = xp.result_type(*[xp.dtype(backend_of(x).name_of(x.dtype)) for x in norms])
    return _norm_of(xp.stack([xp.astype(moved(x, xp), dtype) for x in norms]))


def _norm_of(x: Any) -> Any:
    xp = backend_of(x)
    if xp.finfo(x.dtype).bits < 32:
        x = xp.astype(x, xp.float32)
    if 0 in x.shape:
        return xp.zeros((), dtype=xp.real(x).dtype)
    with xp.errstate():
        size = xp.abs(x)
        largest = xp.max(size)
        plain = xp.logical_and(largest > 0, xp.isfinite(largest))  # 0, NaN and infinity are the norm themselves
        relative = size / xp.where(plain, largest, xp.ones_like(largest))
        return xp.where(plain, largest * xp.sqrt(xp.sum(relative * relative)), largest)


def _scaled(x: Any, factor: Any) -> Any:
    if isinstance(x, NUMBERS):
        return x * backend_of(factor).item(factor)
    xp = backend_of(x)
    return xp.asarray(x * moved(factor, xp), dtype=x.dtype)  # narrow numbers are multiplied in the factor's precision
