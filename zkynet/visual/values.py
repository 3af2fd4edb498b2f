"""Numbers and arrays as a few characters, to stand inside a node."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

FULL = 6  # arrays of up to so many entries are written out


def short_value(value: Any, digits: int = 4) -> str:
    """``value`` in a few characters: a number, a small array in full, of a large one its range and mean.

    ``value`` is a Python number, a NumPy scalar or anything that ``numpy.asarray`` takes. Numbers have ``digits``
    significant digits. Up to 6 entries are written out, ``[1, 2.5, 3]``; more become ``-1 .. 3, mean 0.2`` over the
    finite ones, with the count of NaN and infinite ones behind. Complex arrays are told by their magnitudes.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "biufc" and not _is_extended_float(array.dtype):
        return _cut(str(value))
    if array.ndim == 0:
        return _number(array[()], digits)
    if array.size <= FULL:
        return _nested(array.tolist() if array.dtype.kind in "biufc" else array.astype(float).tolist(), digits)
    return _summary(array, digits)


def _is_extended_float(dtype: np.dtype) -> bool:
    return dtype.kind == "V" and "float" in dtype.name  # bfloat16 and its kin


def _cut(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _nested(entries: Any, digits: int) -> str:
    if isinstance(entries, list):
        return "[" + ", ".join(_nested(entry, digits) for entry in entries) + "]"
    return _number(entries, digits)


def _number(number: Any, digits: int) -> str:
    if isinstance(number, (bool, np.bool_)):
        return str(bool(number))
    if isinstance(number, (int, np.integer)):
        text = str(number)
        return text if len(text) <= digits + 5 else f"{int(number):.{digits - 1}e}"
    if isinstance(number, (complex, np.complexfloating)):
        sign = "-" if number.imag < 0 or (number.imag == 0 and math.copysign(1, number.imag) < 0) else "+"
        return f"{_number(number.real, digits)}{sign}{_number(abs(number.imag), digits)}j"
    number = float(number)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return _tidy(f"{number:.{digits}g}")


def _tidy(text: str) -> str:
    """1.5e-07 as 1.5e-7, 1e+05 as 1e5."""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


def _summary(array: np.ndarray, digits: int) -> str:
    if array.dtype.kind == "b":
        return f"{int(array.sum())} of {array.size} True"
    if array.dtype.kind == "c":
        return "|z| " + _summary(np.abs(array), digits)
    numbers = array if array.dtype.kind in "iuf" else array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    flags = _flags(numbers)
    if finite.size == 0:
        return ", ".join(flags)
    low, high = finite.min(), finite.max()
    if low == high:
        head = f"all {_number(low, digits)}"
    else:
        # Scaled first: the sum of large numbers may overflow where their mean does not.
        scale = float(max(abs(float(low)), abs(float(high)))) or 1.0
        mean = float(np.mean(finite.astype(np.float64) / scale)) * scale
        head = f"{_number(low, digits)} .. {_number(high, digits)}, mean {_number(mean, digits)}"
    return ", ".join([head, *flags])


def _flags(numbers: np.ndarray) -> list[str]:
    if numbers.dtype.kind != "f":
        return []
    counts = {"NaN": int(np.isnan(numbers).sum()), "inf": int(np.isinf(numbers).sum())}
    return [f"{count} {name}" for name, count in counts.items() if count]
