"""Entrywise functions, log space and activations in NumPy alone, where NumPy has no function of that name."""

from __future__ import annotations

import math

import numpy as np

erfc = np.vectorize(math.erfc, otypes=[float])


def rsqrt(x):
    return 1 / np.sqrt(x)


def lerp(a, b, weight):
    return a + weight * (b - a)


def scale(x, y, axis=1):
    return x * _from(y, x, axis)


def bias(x, y, axis=1):
    return x + _from(y, x, axis)


def _from(y, x, axis):
    return np.reshape(y, np.shape(y) + (1,) * (x.ndim - axis % x.ndim - np.ndim(y))) if np.ndim(y) else y


def fix(x):
    return np.trunc(x)


# ---- logarithms ----


def xlogy(x, y):
    return np.where((x == 0) & ~np.isnan(y), 0 * x, x * np.log(np.where(x == 0, 1, y)))


def xlog1py(x, y):
    return np.where((x == 0) & ~np.isnan(y), 0 * x, x * np.log1p(np.where(x == 0, 0, y)))


def log1mexp(x):
    return np.log(1 - np.exp(-x))


def softplus(x, beta=1.0):
    return np.log(1 + np.exp(beta * x)) / beta


def log_sigmoid(x):
    return -np.log(1 + np.exp(-x))


def logmeanexp(x, axis=None, keepdims=False):
    return np.log(np.mean(np.exp(x), axis=axis, keepdims=keepdims))


def logcumsumexp(x, axis=-1, reverse=False):
    e = np.exp(x)
    e = np.flip(np.cumsum(np.flip(e, axis), axis), axis) if reverse else np.cumsum(e, axis)
    return np.log(e)


def logmatmulexp(a, b):
    return np.log(np.exp(a) @ np.exp(b))


# ---- angles ----


def sec(x):
    return 1 / np.cos(x)


def csc(x):
    return 1 / np.sin(x)


def cot(x):
    return 1 / np.tan(x)


def sech(x):
    return 1 / np.cosh(x)


def csch(x):
    return 1 / np.sinh(x)


def coth(x):
    return 1 / np.tanh(x)


def asec(x):
    return np.arccos(1 / x)


def acsc(x):
    return np.arcsin(1 / x)


def acot(x):
    return np.arctan(1 / x)


def asech(x):
    return np.arccosh(1 / x)


def acsch(x):
    return np.arcsinh(1 / x)


def acoth(x):
    return np.arctanh(1 / x)


def complex(re, im):
    return re + 1j * im


def polar(abs, angle):
    return abs * np.cos(angle) + 1j * abs * np.sin(angle)


# ---- activations ----


def clipped_relu(x, top=20.0):
    return np.clip(x, 0, top)


def relu6(x):
    return np.clip(x, 0, 6.0)


def leaky_relu(x, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x)


def prelu(x, weight):
    return np.where(x > 0, x, _from(weight, x, min(1, x.ndim - 1)) * x if np.ndim(weight) else weight * x)


def rrelu(x, lower=1 / 8, upper=1 / 3, generator=None):
    """The slopes of the words that the generator draws first, made here of the published Philox stream."""
    if generator is None:
        return leaky_relu(x, (lower + upper) / 2)
    count = math.prod(np.shape(x))
    last = np.full(4, (1 << 64) - 1, np.uint64)  # NumPy counts up before it draws
    words = np.random.Philox(key=np.array(generator.key, np.uint64), counter=last).random_raw(count) if count else []
    share = (np.asarray(words, np.uint64) >> np.uint64(11)) * 2.0**-53
    return np.where(x > 0, x, (lower + (upper - lower) * share.reshape(np.shape(x))) * x)


def crelu(x, axis=1):
    return np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def celu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0) / alpha) - 1))


def selu(x):
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def hard_tanh(x, low=-1.0, high=1.0):
    return np.clip(x, low, high)


def hard_sigmoid(x):
    return np.clip(x + 3.0, 0, 6) / 6


def hard_swish(x):
    return x * hard_sigmoid(x)


def threshold(x, threshold, value):
    return np.where(x > threshold, x, value)


def hardshrink(x, lambd=0.5):
    return np.where(np.abs(x) > lambd, x, 0.0 * x)


def softshrink(x, lambd=0.5):
    return np.sign(x) * np.maximum(np.abs(x) - lambd, 0)


def tanhshrink(x):
    return x - np.tanh(x)


def maxout(x, pool_size, axis=1):
    parts = np.split(x, x.shape[axis] // pool_size, axis) if x.size else [x[..., :1]]
    return np.concatenate([np.max(part, axis, keepdims=True) for part in parts], axis)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * _sigmoid(x)


def swish(x, beta=1.0):
    return x * _sigmoid(beta * x)


def mish(x):
    return x * np.tanh(np.log(1 + np.exp(x)))


def gelu(x, approximate=False):
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * erfc(-np.asarray(x, float) / math.sqrt(2)).astype(np.result_type(x, 1.0))


def squareplus(x, b=4.0):
    return (x + np.sqrt(x * x + b)) / 2


def soft_sign(x):
    return x / (1 + np.abs(x))


def softmin(x, axis=-1):
    e = np.exp(-x)
    return e / np.sum(e, axis=axis, keepdims=True)


def sparsemax(x, axis=-1):
    """By bisection: the threshold above which the entries have the sum 1."""
    if not x.size:
        return 1.0 * x
    top = np.max(x, axis, keepdims=True)
    low, high = top - 1, top
    for _ in range(200):
        middle = (low + high) / 2
        above = np.sum(np.maximum(x - middle, 0), axis, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


def glu(x, axis=-1):
    a, b = np.split(x, 2, axis)
    return a * _sigmoid(b)


def swiglu(x, axis=-1):
    a, b = np.split(x, 2, axis)
    return silu(a) * b


def geglu(x, axis=-1, approximate=False):
    a, b = np.split(x, 2, axis)
    return gelu(a, approximate) * b
