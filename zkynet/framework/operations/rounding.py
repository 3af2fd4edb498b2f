"""Rounding, and what else is constant between its jumps: no derivative, a tracked value goes in and a constant out."""

from ..record import Tensor, apply, kind_of
from .comparison import Predicate, compare, predicate
from .elementwise import divide, multiply

_round = Predicate("round")


floor_divide = compare("floor_divide", "The largest integer not above a / b; no derivative.")
sign = predicate("sign", "-1, 0 or 1, for complex x x / |x|; no derivative.")
floor = predicate("floor", "The largest integer not above x; no derivative.")
ceil = predicate("ceil", "The smallest integer not below x; no derivative.")
trunc = predicate("trunc", "x without its fraction; no derivative.")


def round(x, decimals=0) -> Tensor:
    """The nearest multiple of 10 ** -``decimals``, halves to even; no derivative. Integers stay integers."""
    if decimals == 0:
        return apply(_round, x)
    if kind_of(x) in ("bool", "integer"):
        if decimals > 0:
            return apply(_round, x)
        raise TypeError(f"round: integers to decimals={decimals} are not supported; use x.astype(float)")
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    up, down = (multiply, divide) if decimals > 0 else (divide, multiply)
    return down(apply(_round, up(x, scale)), scale)


def rint(x) -> Tensor:
    """The nearest integer, halves to even, in floating point; no derivative."""
    return apply(_round, multiply(x, 1.0) if kind_of(x) in ("bool", "integer") else x)


def fix(x) -> Tensor:
    """x without its fraction: ``trunc`` under NumPy's older name."""
    return trunc(x)
