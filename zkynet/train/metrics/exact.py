"""Sums without rounding, so that a figure does not depend on the batches that its data came in."""

from __future__ import annotations

import math

import numpy as np

LIMB = 32  # bits that an entry of the table stands for
LOWEST = 1126  # 2**-1126 is below the last bit of the smallest float64, 2**-1074, by a mantissa's 52 bits
LIMBS = 70  # up to the largest float64, 2**1024, and room for 2**60 of them
ROWS = 2**20  # that are added at once: so many pieces of 32 bits have an exact sum in float64
MASK = np.uint64(2**LIMB - 1)


class ExactSums:
    """The sums of the columns of float64 arrays, as whole multiples of 2**-1126: nothing is ever rounded.

    A float64 is an integer of 53 bits times a power of two. Cut into pieces at fixed places, every 32 bits, those
    integers are added place by place, which is exact, and so the same in every order.
    """

    def __init__(self, columns: int = 1):
        self.columns = columns
        self._table = np.zeros((LIMBS, columns), np.int64)

    def add(self, x: np.ndarray) -> None:
        """Add the rows of ``x``, of shape (rows, columns), float64 and finite."""
        for start in range(0, len(x), step := max(1, ROWS // self.columns)):
            self._add(x[start : start + step])

    def _add(self, x: np.ndarray) -> None:
        mantissa, exponent = np.frexp(x)
        whole = np.abs(mantissa * 2.0**53).astype(np.uint64)
        place, shift = np.divmod(exponent.astype(np.int64) + (LOWEST - 53), LIMB)
        up, down = shift.astype(np.uint64), (LIMB - shift).astype(np.uint64)
        rest = whole >> down
        for i, piece in enumerate(((whole << up) & MASK, rest & MASK, rest >> np.uint64(LIMB))):
            signed = np.copysign(piece.astype(np.float64), x)
            index = (place + i) * self.columns + np.arange(self.columns)
            sums = np.bincount(index.ravel(), signed.ravel(), LIMBS * self.columns)
            self._table += sums.astype(np.int64).reshape(self._table.shape)
        carried = self._table[:-1] >> LIMB  # so that no entry grows with the number of samples
        self._table[:-1] -= carried << LIMB
        self._table[1:] += carried

    def totals(self) -> list[int]:
        """The sum of each column in units of 2**-1126."""
        return [sum(int(limb) << (LIMB * i) for i, limb in enumerate(column)) for column in self._table.T]


UNIT = 1 << LOWEST  # one, in units of 2**-1126


def ratio(a: int, b: int) -> float:
    """a / b for b > 0, rounded once; infinity where that is too large for a float."""
    try:
        return a / b
    except OverflowError:
        return math.inf if a > 0 else -math.inf


def square(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x * x as the float64 next to it and the rest, by Veltkamp's cut of x into two halves and Dekker's product.

    Their sum is exact where nothing overflows or underflows: for |x| from 1e-140 to 1e150.
    """
    y = x * x
    cut = x * 134217729.0  # 2**27 + 1
    high = cut - (cut - x)
    low = x - high
    return y, ((high * high - y) + 2 * high * low) + low * low
