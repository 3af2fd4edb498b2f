"""``op`` in NumPy alone, by the plainest formula: what forward passes are compared with.

A name that is not below means NumPy's function of that name.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from . import reference_special as special  # noqa: F401  (rows read it as reference.special)
from .reference_arrangement import *  # noqa: F403
from .reference_elementwise import *  # noqa: F403
from .reference_fft import *  # noqa: F403
from .reference_linalg import *  # noqa: F403
from .reference_loops import *  # noqa: F403
from .reference_losses import *  # noqa: F403
from .reference_models import *  # noqa: F403
from .reference_nn import *  # noqa: F403
from .reference_statistics import *  # noqa: F403

mult, identity, transpose, dot = np.multiply, np.copy, np.transpose, np.dot


def __getattr__(name):
    return getattr(np, name)


def clip(x, min=None, max=None):
    x = x if min is None else np.maximum(x, min)
    return np.asarray(x) if max is None else np.minimum(x, max)


def reciprocal(x):
    return 1 / x


def relu(x):
    return np.where(np.asarray(x) < 0, 0 * x, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def shifted(a, b):
    return np.where(np.isinf(b) & (a == b), 0, a - b)


def softmax(x, axis=-1):
    e = np.exp(x)
    return e / np.sum(e, axis=axis, keepdims=True)


weights = softmax


def log_softmax(x, axis=-1):
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


def logsumexp(x, axis=None, keepdims=False):
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def select(mask, x):
    return np.where(mask, x, np.zeros((), np.asarray(x).dtype))


def multiply_no_nan(a, b):
    return np.where((a == 0) & ~np.isfinite(b), 0, a * b)


def silence(gate, c):
    return np.where((gate == 0) & ~np.isfinite(c), 0, c)


def copy(x):
    return np.array(x)


def from_dlpack(x):
    return np.array(x)


def is_complex(dtype):
    return np.dtype(dtype).kind == "c"


def is_traced(x):
    return False


def stop_gradient(x):
    return x


def astype(x, dtype):
    return np.asarray(x).astype(dtype)


def cumulative_sum(x, *, axis=None, reverse=False, include_initial=False):
    axis = 0 if axis is None else axis
    y = np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis) if reverse else np.cumsum(x, axis=axis)
    if not include_initial:
        return y
    zero = np.zeros_like(
        np.take(y, [], axis=axis), shape=[1 if i == axis % x.ndim else n for i, n in enumerate(y.shape)]
    )
    return np.concatenate([y, zero] if reverse else [zero, y], axis=axis)


# ---- moving and indexing ----


def place(x, index, shape):
    whole = np.zeros(shape, x.dtype)
    whole[index] = x
    return whole


def take(x, indices, axis=None):
    return np.take(x, indices, axis=0 if axis is None else axis)


def index(x, item):
    return np.asarray(x)[item]


def index_set(x, item, values):
    y = np.array(x, np.result_type(x, values))
    y[item] = values
    return y


def scatter_add(x, item, updates):
    y = np.array(x, np.result_type(x, updates))
    np.add.at(y, item, updates)
    return y


def scatter_sum(updates, index, size, axis=-1):
    """The sum of one-hot rows: no write at all."""
    index = np.asarray(index)
    hot = (index[..., None] == np.arange(size)) | (index[..., None] == np.arange(-size, 0))
    last = updates.ndim - index.ndim + 1 + axis if axis < 0 else axis  # where the index axes begin
    moved = np.moveaxis(updates, range(last, last + index.ndim), range(index.ndim))
    total = np.tensordot(hot, moved, (range(index.ndim), range(index.ndim))).astype(updates.dtype)
    return np.moveaxis(total, 0, last)


def scatter_set(x, index, values, axis=-1):
    y = np.array(x, np.result_type(x, values))
    y[..., index] = values
    return y


def take_along_axis(x, indices, axis=-1):
    shape = list(np.broadcast_shapes(_one(x.shape, axis), _one(indices.shape, axis)))
    wide = [*shape]
    wide[axis], shape[axis] = x.shape[axis], indices.shape[axis]
    return np.take_along_axis(np.broadcast_to(x, wide), np.broadcast_to(indices, shape), axis)


def _one(shape, axis):
    return [1 if i == axis % len(shape) else n for i, n in enumerate(shape)]


# ---- linear algebra ----


def hermitian(x):
    """The symmetric part: ``cholesky`` and ``eigh`` read one triangle, and their gradients are symmetrised."""
    return (x + np.conj(np.swapaxes(x, -1, -2))) / 2


def cholesky(x, *, upper=False):
    y = np.linalg.cholesky(hermitian(x))
    return np.conj(np.swapaxes(y, -1, -2)) if upper else y


def eigh(x):
    return np.linalg.eigh(hermitian(x))


def solve(a, b):
    return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 1 else np.linalg.solve(a, b)


def linear(x, weight, bias=None):
    return x @ weight if bias is None else x @ weight + bias


def matmul(a, b):
    return np.matmul(a, b)


linalg = SimpleNamespace(cholesky=cholesky, eigh=eigh, solve=solve, matmul=matmul, tensordot=np.tensordot)


# ---- convolution, written as the sum it is ----


def conv(x, w, stride=1, padding=0, dilation=1, groups=1):
    stride, padding, dilation = _settings(x.ndim - 2, stride, padding, dilation)
    return sum(
        np.einsum("ngc...,goc->ngo...", _grouped(_padded(x, padding)[cut], groups), _kernel(w, spot, groups))
        for spot, cut in _offsets(x.shape, w.shape, stride, padding, dilation)
    ).reshape(x.shape[0], w.shape[0], *_out(x.shape, w.shape, stride, padding, dilation))


def conv_input(h, w, size, stride, padding, dilation, groups):
    full = [n + sum(p) for n, p in zip(size[2:], padding)]
    x = np.zeros((*size[:2], *full), np.result_type(h, w))
    for spot, cut in _offsets(size, w.shape, stride, padding, dilation):
        part = np.einsum("ngo...,goc->ngc...", _grouped(h, groups), _kernel(w, spot, groups))
        x[cut] += part.reshape(x[cut].shape)
    return x[(..., *[slice(before, before + n) for n, (before, _) in zip(size[2:], padding)])]


def conv_filter(x, h, size, stride, padding, dilation, groups):
    w = np.zeros(size, np.result_type(x, h))
    for spot, cut in _offsets(x.shape, size, stride, padding, dilation):
        seen, pulled = _grouped(_padded(x, padding)[cut], groups), _grouped(h, groups)
        flat = (math.prod(h.shape[2:]),)
        part = np.einsum("ngct,ngot->goc", seen.reshape(seen.shape[:3] + flat), pulled.reshape(pulled.shape[:3] + flat))
        w[(..., *spot)] = part.reshape(size[:2])
    return w


def _settings(spatial, stride, padding, dilation):
    def each(v):
        return (v,) * spatial if isinstance(v, int) else tuple(v)

    return each(stride), tuple((p, p) if isinstance(p, int) else p for p in each(padding)), each(dilation)


def _padded(x, padding):
    return pad(x, padding)  # noqa: F405


def _grouped(x, groups):
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _kernel(w, spot, groups):
    return w[(..., *spot)].reshape(groups, w.shape[0] // groups, w.shape[1])


def _out(x_shape, w_shape, stride, padding, dilation):
    sizes = zip(x_shape[2:], w_shape[2:], stride, padding, dilation)
    return [(n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes]


def _offsets(x_shape, w_shape, stride, padding, dilation):
    """Each entry of the kernel, with the slice of the padded images that it meets."""
    out = _out(x_shape, w_shape, stride, padding, dilation)
    for spot in np.ndindex(*w_shape[2:]):
        cut = [slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, s, n in zip(spot, dilation, stride, out)]
        yield spot, (..., *cut)


# ---- losses ----


def mean_squared_error(prediction, target):
    return np.mean((prediction - target) ** 2)


def dropout(x, rate, generator):
    """The mask of the words that the generator draws next, made here of the published Philox stream."""
    count = math.prod(np.shape(x))
    start = generator.value << 64
    words = np.random.Philox(key=np.array(generator.key, np.uint64), counter=_words((start - 1) % (1 << 256)))
    bits = words.random_raw(count) if count else np.zeros(0, np.uint64)
    kept = ((bits >> np.uint64(11)) * 2.0**-53 >= rate).reshape(np.shape(x))
    return np.where(kept, x / (1 - rate), 0)


def _words(n):
    return np.array([(n >> shift) & ((1 << 64) - 1) for shift in (0, 64, 128, 192)], np.uint64)
