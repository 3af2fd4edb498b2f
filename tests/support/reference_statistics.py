"""Statistics, sorting and scans in NumPy alone, where NumPy's own function has another signature."""

from __future__ import annotations

import numpy as np


def std(x, axis=None, correction=0, keepdims=False):
    return np.std(x, axis=axis, ddof=correction, keepdims=keepdims)


def nanvar(x, axis=None, correction=0, keepdims=False):
    return np.nanvar(x, axis=axis, ddof=correction, keepdims=keepdims)


def nanstd(x, axis=None, correction=0, keepdims=False):
    return np.nanstd(x, axis=axis, ddof=correction, keepdims=keepdims)


def average(x, axis=None, weights=None, keepdims=False):
    if weights is None:
        return np.mean(x, axis=axis, keepdims=keepdims)
    return np.average(x, axis=axis, weights=weights, keepdims=keepdims)


def sort(x, *, axis=-1, descending=False):
    y = np.sort(x, axis=axis)
    return np.flip(y, axis=axis) if descending else y


def argsort(x, *, axis=-1, descending=False):
    if not descending:
        return np.argsort(x, axis=axis, stable=True)
    return np.argsort(-x, axis=axis, stable=True)


def partition(x, kth, axis=-1):
    return np.sort(x, axis=axis)


def argpartition(x, kth, axis=-1):
    return np.argsort(x, axis=axis, stable=True)


def topk(x, k, *, axis=-1, largest=True):
    order = np.take(argsort(x, axis=axis, descending=largest), np.arange(k), axis=axis)
    return np.take_along_axis(x, order, axis), order


def kthvalue(x, k, *, axis=-1, keepdims=False):
    order = np.take(np.argsort(x, axis=axis, stable=True), [k - 1], axis=axis)
    found = np.take_along_axis(x, order, axis)
    return (found, order) if keepdims else (np.squeeze(found, axis), np.squeeze(order, axis))


def choices(conditions, values, default=0):
    return np.select(conditions, np.broadcast_arrays(*values, default)[:-1], default)


def choose(index, values):
    return np.choose(index, values)


def cumulative_prod(x, *, axis=None, reverse=False, include_initial=False):
    axis = -1 if axis is None else axis
    y = np.flip(np.cumprod(np.flip(x, axis), axis), axis) if reverse else np.cumprod(x, axis)
    if not include_initial:
        return y
    one = np.ones_like(np.take(y, [], axis=axis), shape=[1 if i == axis % y.ndim else n for i, n in enumerate(y.shape)])
    return np.concatenate([y, one] if reverse else [one, y], axis)


def cummax(x, axis=-1):
    return np.maximum.accumulate(x, axis=axis)


def cummin(x, axis=-1):
    return np.minimum.accumulate(x, axis=axis)


def associative_scan(function, x, *, axis=0, reverse=False):
    y = np.moveaxis(np.flip(x, axis) if reverse else x, axis, 0).copy()
    for k in range(1, len(y)):
        y[k] = function(y[k - 1], y[k])
    y = np.moveaxis(y, 0, axis)
    return np.flip(y, axis) if reverse else y


def diff(x, *, axis=-1, n=1, prepend=None, append=None):
    parts = {k: v for k, v in (("prepend", prepend), ("append", append)) if v is not None}
    return np.diff(x, n, axis=axis, **parts)


def bincount(x, weights=None, minlength=0):
    return np.bincount(x, weights, minlength).astype(np.int64 if weights is None else np.asarray(weights).dtype)


def cov(x, y=None, *, rowvar=True, correction=1):
    return np.atleast_2d(np.cov(x, y, rowvar=rowvar, ddof=correction))


def corrcoef(x, y=None, *, rowvar=True):
    return np.atleast_2d(np.corrcoef(x, y, rowvar=rowvar))


def sum_to(x, shape):
    if x.shape == shape:
        return x
    y = np.sum(x, axis=tuple(range(x.ndim - len(shape))))
    return np.sum(y, axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def batch_l2_norm_squared(x):
    return np.sum(x * x, axis=tuple(range(1, x.ndim)))


def histogram(x, bins=10, range=None, weights=None):
    return np.histogram(x, bins, range, weights=None if weights is None else np.ravel(weights).reshape(np.shape(x)))


def unique_values(x):
    return np.unique(x)


def unique_counts(x):
    return np.unique(x, return_counts=True)


def unique_inverse(x):
    return np.unique(x, return_inverse=True)


def unique_all(x):
    return np.unique(x, return_index=True, return_inverse=True, return_counts=True)


def isin(x, values, *, invert=False):
    return np.isin(x, values, invert=invert)


def searchsorted(x1, x2, *, side="left", sorter=None):
    return np.searchsorted(x1, x2, side, sorter)
