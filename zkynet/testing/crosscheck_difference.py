"""How far two arrays lie apart: in units of the last place, and relative; and how far they may."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .problem import host

# Relative to the largest entry. Rounding of other sums in another order stays far below; TF32 and float32 in place of
# float64 do not.
RTOL = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
NOISE = 64  # roundings of what was added up that a sum may be off by, where little of it is left
REAL_OF = {"complex64": "float32", "complex128": "float64"}


class Precision(NamedTuple):
    """What a value may be off by: ``rtol`` times its largest entry, and ``atol`` or ``noise`` times what it came of."""

    rtol: float
    noise: float


def coarsest(found: list[Precision]) -> Precision:
    """The coarsest of some precisions."""
    return Precision(max((p.rtol for p in found), default=0.0), max((p.noise for p in found), default=0.0))


class Tolerance:
    """The tolerances of one check: the user's, or by dtype."""

    def __init__(self, rtol: float | None = None, atol: float | None = None):
        self.rtol, self.atol = rtol, atol

    def of(self, *values: Any) -> Precision:
        """The precision of the coarsest floating-point dtype among some values; numbers are double precision."""
        names = [n for n in map(real_name, values) if n in RTOL]
        return coarsest([Precision(RTOL[n] if self.rtol is None else self.rtol, NOISE * EPS[n]) for n in names])

    def allowed(self, precision: Precision, scale: float, size: float) -> float:
        """The largest difference allowed of values up to ``scale`` that were made of values up to ``size``."""
        return precision.rtol * scale + (self.atol if self.atol is not None else precision.noise * size)


@dataclass(frozen=True)
class Difference:
    """How two arrays differ.

    The largest difference of two entries is given in three ways: ``ulps``, in units in the last place, in its own
    dtype, of the largest entry; ``relative``, over the largest entry; ``of_allowed``, over what is allowed.
    ``elementwise`` is the largest of the differences over their own entries. ``ok``: within the tolerance;
    ``cancelled``: only because rounding is of the size of what was added up, and little of that is left. ``index``,
    ``part`` (of a complex number), ``got`` and ``expected``: the worst entry. ``note``: what else is different, such as
    the shape. Parts of complex numbers count one by one; infinities and NaN have to stand in the same places.
    """

    ok: bool = True
    ulps: float = 0.0
    relative: float = 0.0
    elementwise: float = 0.0
    of_allowed: float = 0.0
    cancelled: bool = False
    index: tuple[int, ...] | None = None
    part: str = ""
    got: Any = None
    expected: Any = None
    note: str = ""


SAME = Difference()


def unlike(note: str) -> Difference:
    """What cannot be compared."""
    return Difference(False, np.inf, np.inf, np.inf, np.inf, note=note)


def real_name(x: Any) -> str:
    """The name of the dtype of a value's real part."""
    name = str(getattr(x, "dtype", np.asarray(x).dtype if isinstance(x, (int, float, complex)) else "")).split(".")[-1]
    return REAL_OF.get(name, name)


def form_of(x: Any) -> str:
    """Shape and dtype, or the type of a Python number."""
    if not hasattr(x, "dtype"):
        return type(x).__name__
    return f"shape {tuple(x.shape)}, dtype {str(x.dtype).split('.')[-1]}"


def size_of(x: Any) -> float:
    """The magnitude of the largest finite entry; 0 for what is no floating-point number."""
    if x is None or real_name(x) not in RTOL:
        return 0.0
    values = np.abs(wide(host(x)))
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))


def wide(x: np.ndarray) -> np.ndarray:
    """Real floating-point numbers, and parts of complex ones along a new first axis, in double precision."""
    return np.stack([x.real, x.imag]).astype(float) if x.dtype.kind == "c" else x.astype(float)


def difference(got: Any, expected: Any, tolerance: Tolerance, precision: Precision, size: float = 0.0) -> Difference:
    """How ``got`` differs from ``expected``, which was made of numbers up to ``size``."""
    if form_of(got) != form_of(expected):
        return unlike(f"{form_of(got)} instead of {form_of(expected)}")
    a, b = host(expected), host(got)
    if real_name(expected) not in RTOL:
        return _of_exact(b, a)
    with np.errstate(all="ignore"):
        found = _of_floats(wide(b), wide(a), real_name(expected), tolerance, precision, size)
    if a.dtype.kind == "c" and found.index is not None:
        part = ("real part", "imaginary part")[found.index[0]]
        found = replace(found, index=found.index[1:], part=part)
    return found


def _of_exact(b, a) -> Difference:
    """Integers and booleans: equal, or not."""
    wrong = a != b
    if not np.any(wrong):
        return SAME
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    note = f"{np.count_nonzero(wrong)} of {wrong.size} entries differ"
    return Difference(
        False, np.inf, np.inf, np.inf, np.inf, index=index, got=b[index].item(), expected=a[index].item(), note=note
    )


def _of_floats(b, a, name, tolerance, precision, size) -> Difference:
    finite = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.where(same, 0.0, np.where(finite, np.abs(a - b), np.inf))
    if not apart.size or not np.max(apart):
        return SAME
    scale = float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))
    allowed = tolerance.allowed(precision, scale, size)
    worst = np.unravel_index(np.argmax(apart), apart.shape)
    index = tuple(int(i) for i in worst)
    most = float(apart[index])
    return Difference(
        ok=bool(most <= allowed),
        ulps=most / _last_place(scale, name),
        relative=most / scale if scale else np.inf,
        elementwise=float(np.max(np.where(same, 0.0, apart / np.abs(a)))),
        of_allowed=most / allowed if allowed else np.inf,
        cancelled=bool(precision.rtol * scale < most <= allowed),
        index=index,
        got=float(b[index]),
        expected=float(a[index]),
        note="" if np.all(finite | same) else "infinities or NaN stand in other places",
    )


def _last_place(x: float, name: str) -> float:
    """The unit in the last place of a number that is not negative, in one of the four dtypes."""
    if name == "bfloat16":
        return float(np.spacing(np.float32(x))) * 2.0**16
    return float(np.spacing(np.asarray(x, name)))


def worst(found: Iterable[Difference]) -> Difference:
    """The worst of some: outside of the tolerance first, then the larger part of what is allowed."""
    return max(found, key=lambda each: (not each.ok, each.of_allowed), default=SAME)
