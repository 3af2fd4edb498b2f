"""Philox4x64-10: random bits as a pure function of a key and a counter, the same on every backend.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import math

import numpy as np

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_WORD = (1 << 64) - 1
ROUNDS = 10


def random_bits(xp, key, counter, n):
    """``Backend.random_bits`` in uint64 array arithmetic, which wraps around."""
    check_counter(counter)
    blocks = -(-n // 4)
    if blocks == 0:
        return xp.zeros((0,), dtype=xp.uint64)
    base = word(xp, counter) if isinstance(counter, int) else xp.reshape(counter, (1,))
    low = base + xp.astype(xp.arange(blocks, dtype=xp.int64), xp.uint64)
    zero = xp.zeros_like(low)
    words = [low, xp.where(low < base, zero + word(xp, 1), zero), zero, zero]  # a carry goes into the second word
    k0, k1 = (word(xp, k) if isinstance(k, int) else xp.reshape(k, (1,)) for k in key)
    for _ in range(ROUNDS):
        words = _round(xp, words, k0, k1)
        k0, k1 = k0 + word(xp, _WEYL[0]), k1 + word(xp, _WEYL[1])
    return xp.reshape(xp.stack(words, axis=-1), (4 * blocks,))[:n]


def check_counter(counter) -> None:
    """ValueError for a Python int that is no uint64."""
    if isinstance(counter, int) and counter >> 64:
        raise ValueError(f"random_bits: a counter is in 0 .. 2**64 - 1; got {counter}")


def word(xp, value):
    """A Python int below 2**64 as an array of shape (1,): scalars would warn when they wrap around."""
    return xp.asarray(np.array([value & _WORD], dtype=np.uint64))


def _round(xp, words, k0, k1):
    high0, low0 = _multiply(xp, words[0], _MULTIPLIERS[0])
    high1, low1 = _multiply(xp, words[2], _MULTIPLIERS[1])
    return [high1 ^ words[1] ^ k0, low1, high0 ^ words[3] ^ k1, low0]


def _multiply(xp, a, m):
    """The high and the low 64 bits of the 128-bit product of an array and a constant, by halves of 32 bits."""
    half, mask = word(xp, 32), word(xp, 0xFFFFFFFF)
    m_low, m_high = word(xp, m & 0xFFFFFFFF), word(xp, m >> 32)
    a_low, a_high = a & mask, a >> half
    low, mid = a_low * m_low, a_high * m_low
    carry = (low >> half) + (mid & mask) + a_low * m_high
    return a_high * m_high + (mid >> half) + (carry >> half), a * word(xp, m)


_BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


def uniform(xp, bits, dtype):
    """``Backend.uniform``: the highest bits, as many as the dtype holds exactly, so that 1 is never reached."""
    name = xp.name_of(dtype)
    if name not in _BITS:
        raise TypeError(f"uniform: expected a real floating dtype; got {name}")
    kept = _BITS[name]
    top = bits >> xp.reshape(word(xp, 64 - kept), ())
    return xp.astype(top, xp.own_dtype(dtype)) * 2.0**-kept


def normal(xp, bits, dtype):
    """``Backend.normal``: computed in double precision, so that all backends agree up to rounding."""
    half = bits.shape[0] // 2
    if bits.ndim != 1 or bits.shape[0] % 2:
        raise ValueError(f"normal: expected 1-D bits of even length; got shape {tuple(bits.shape)}")
    u = uniform(xp, bits, xp.float64)
    radius = xp.sqrt(-2.0 * xp.log1p(-u[:half]))
    angle = (2.0 * math.pi) * u[half:]
    return xp.astype(xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)]), xp.own_dtype(dtype))
