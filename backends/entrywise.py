"""Entrywise extras of the protocol, portable: roots, remainders, powers of two, complex numbers made of parts."""

import math


class Entrywise:
    """What Portable inherits: each method on the standard alone. Arrays of leading axes are like any others."""

    def exp2(self, x):
        """2 ** x of inexact ``x``."""
        return 2.0**x

    def cbrt(self, x):
        """The real cube root of real floating ``x``, with the sign of x. Under ``errstate``."""
        y = self.sign(x) * self.abs(x) ** (1 / 3)
        better = y - (y * y * y - x) / (3 * y * y)  # one step of Newton's: 1 / 3 is rounded
        return self.where(self.isfinite(better), better, y)

    def fmod(self, a, b):
        """``a - b * trunc(a / b)`` of real arrays of one dtype, exactly, with the sign of ``a``; they broadcast."""
        rest = self.remainder(self.abs(a), self.abs(b))
        return self.where(a < 0, -rest, rest)

    def ldexp(self, x, n):
        """``x * 2 ** n`` of real floating ``x`` and an integer array ``n``; they broadcast.

        In three steps, so that the power itself does not overflow where the result does not.
        """
        most = int(math.log2(float(self.finfo(x.dtype).max)) - 0.5)
        n = self.clip(self.astype(n, self.index_dtype), -3 * most, 3 * most)
        first = n // 3
        second = (n - first) // 2
        for part in (first, second, n - first - second):
            x = x * self.exp2(self.astype(part, x.dtype))
        return x

    def exponent(self, x):
        """The int32 ``e`` with ``0.5 <= |x| / 2 ** e < 1`` of real floating ``x``; 0 for 0, infinities and NaN."""
        alive = self.isfinite(x) & (x != 0)
        x = self.where(alive, self.abs(x), self.ones_like(x))
        e = self.astype(self.floor(self.log2(x)), self.int32) + 1
        mantissa = self.ldexp(x, -e)
        e = self.where(mantissa >= 1, e + 1, self.where(mantissa < 0.5, e - 1, e))  # the logarithm is rounded
        return self.where(alive, e, self.zeros_like(e))

    def complex_of(self, re, im):
        """``re + 1j * im`` of real floating arrays of one dtype; they broadcast.

        Without a function of the library for it the real part is NaN where ``im`` is not finite.
        """
        dtype = self.dtype_of_name("complex64" if self.name_of(re.dtype) == "float32" else "complex128")
        return self.astype(re, dtype) + self.astype(im, dtype) * 1j
