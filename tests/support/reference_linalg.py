"""Linear products and linear algebra in NumPy alone, by the plainest formula."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np


def _t(x):
    return np.swapaxes(x, -1, -2)


def floating(x):
    return x if np.asarray(x).dtype.kind in "fc" else np.asarray(x, float)


# ---- products ----


def outer(a, b):
    return np.asarray(np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)))


def vdot(a, b):
    return np.asarray(np.sum(np.conj(np.ravel(a)) * np.ravel(b)))


def vecdot(a, b, *, axis=-1):
    return np.sum(np.conj(np.moveaxis(a, axis, -1)) * np.moveaxis(b, axis, -1), axis=-1)


def matvec(a, x):
    return np.sum(a * x[..., None, :], axis=-1)


def vecmat(x, a):
    return np.sum(np.conj(x)[..., :, None] * a, axis=-2)


def cross(a, b, *, axis=-1):
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    a, b = (np.broadcast_to(x, np.broadcast_shapes(a.shape, b.shape)) for x in (a, b))
    return np.moveaxis(np.cross(a, b), -1, axis)


def multi_dot(arrays):
    return functools.reduce(np.dot, arrays)


def sparse_matmul(values, rows, columns, shape, b):
    a = np.zeros(shape, np.result_type(values))
    np.add.at(a, (rows, columns), values)
    return a @ b


def cdist(a, b, *, p=2):
    return np.sum(np.abs(a[..., :, None, :] - b[..., None, :, :]) ** p, axis=-1) ** (1 / p)


def diagonal(x, *, offset=0):
    return np.diagonal(x, offset, -2, -1)


def trace(x, *, offset=0):
    return np.sum(np.diagonal(x, offset, -2, -1), axis=-1)


# ---- determinants and inverses ----


def det(x):
    return np.asarray(np.linalg.det(x))


def cofactors(x):
    """Determinants of what is left without a row and a column."""
    n = x.shape[-1]
    y = np.zeros(x.shape, np.result_type(floating(x)))
    for i, j in itertools.product(range(n), range(n)):
        y[..., i, j] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, -2), j, -1))
    return y


def cofactor_slope(x, v):
    """The derivative along v by differences, which are exact: cofactors are polynomials of a low degree."""
    n = x.shape[-1]
    x, v = np.broadcast_arrays(floating(x), v)
    points = np.arange(-n, n + 1) / n if n else np.zeros(1)
    values = np.stack([cofactors(x + t * v) for t in points])
    slope = np.linalg.pinv(np.vander(points, max(n, 2)))[-2]
    return np.tensordot(slope, values, 1)


def slogdet(x):
    sign, size = np.linalg.slogdet(x)
    return np.asarray(sign), np.asarray(size)


inv = np.linalg.inv
expand_dims = np.expand_dims


def pinv(x, *, rtol=None):
    return np.linalg.pinv(floating(x), rtol=1e-12 if rtol is None else rtol)


def condition_number(x, p=None):
    return np.asarray(np.linalg.cond(x, p))


def solve_triangular(a, b, *, trans=0, lower=False, unit_diagonal=False):
    a = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        a = a - a * np.eye(a.shape[-1]) + np.eye(a.shape[-1])
    a = {0: a, "N": a, 1: _t(a), "T": _t(a), 2: _t(np.conj(a)), "C": _t(np.conj(a))}[trans]
    return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 1 else np.linalg.solve(a, b)


def cho_solve(c_and_lower, b):
    c, lower = c_and_lower
    c = np.tril(c) if lower else _t(np.conj(np.triu(c)))
    return np.linalg.solve(c @ _t(np.conj(c)), b)


def solve_banded(l_and_u, ab, b):
    (_, up), n = l_and_u, ab.shape[1]
    a = np.zeros((n, n), ab.dtype)
    for i, j in itertools.product(range(ab.shape[0]), range(n)):
        if 0 <= i + j - up < n:
            a[i + j - up, j] = ab[i, j]
    return np.linalg.solve(a, b)


def solve_sylvester(a, b, q):
    system = np.einsum("ik,jl->ijkl", a, np.eye(len(b))) + np.einsum("ik,lj->ijkl", np.eye(len(a)), b)
    return np.linalg.solve(system.reshape(q.size, q.size), q.reshape(-1)).reshape(q.shape)


def lstsq(a, b, *, rtol=None):
    x = pinv(a, rtol=rtol) @ b
    off = np.abs(b - a @ x) ** 2
    return x, np.asarray(off.sum(-1 if b.ndim == 1 else -2)), matrix_rank(a, rtol=rtol), svdvals(a)


def tensorinv(a, ind=2):
    n = math.prod(a.shape[:ind])
    return np.linalg.inv(a.reshape(n, n)).reshape(a.shape[ind:] + a.shape[:ind])


tensorsolve = np.linalg.tensorsolve


def lu(x):
    """Matrix by matrix, row by row."""
    x = floating(x)
    p, low, up = (np.zeros(x.shape, x.dtype) for _ in range(3))
    for spot in np.ndindex(*x.shape[:-2]):
        p[spot], low[spot], up[spot] = _lu(x[spot])
    return p, low, up


def _lu(x):
    n = len(x)
    p, low, up = np.eye(n), np.zeros(x.shape, x.dtype), x.copy()
    for k in range(n):
        rows = [k + int(np.argmax(np.abs(up[k:, k]))), k]
        for a in (p, low, up):
            a[rows] = a[rows[::-1]]
        for i in range(k + 1, n):
            low[i, k] = up[i, k] / up[k, k]
            up[i] = up[i] - low[i, k] * up[k]
    return p.T, low + np.eye(n), np.triu(up)


def lu_solve(factors, b):
    p, low, up = factors
    x = p @ low @ up
    return np.linalg.solve(x, b[..., None])[..., 0] if b.ndim == 1 else np.linalg.solve(x, b)


def toeplitz(c, r=None):
    r = np.conj(c) if r is None else r
    picked = [[c[i - j] if i >= j else r[j - i] for j in range(len(r))] for i in range(len(c))]
    return np.array(picked, np.result_type(c, r)).reshape(len(c), len(r))


# ---- decompositions ----


def qr(x, *, mode="reduced"):
    return tuple(np.linalg.qr(x, mode))


def svd(x, *, full_matrices=True):
    return tuple(np.linalg.svd(x, full_matrices=full_matrices))


def svdvals(x):
    return np.linalg.svd(x, compute_uv=False)


def _hermitian(x):
    return (x + np.conj(_t(x))) / 2


def eigvalsh(x):
    return np.linalg.eigvalsh(_hermitian(x))


def eig(x):
    w, v = np.linalg.eig(x)
    dtype = np.result_type(w, np.complex64)
    return w.astype(dtype), v.astype(dtype)


def eigvals(x):
    return eig(x)[0]


# ---- norms ----


def vector_norm(x, *, axis=None, keepdims=False, ord=2):
    x = np.abs(floating(x))
    axis = tuple(range(x.ndim)) if axis is None else axis
    if ord in (math.inf, -math.inf):
        return np.asarray((np.max if ord > 0 else np.min)(x, axis=axis, keepdims=keepdims))
    if ord == 0:
        return np.asarray(np.sum(x != 0, axis=axis, keepdims=keepdims, dtype=x.dtype))
    return np.asarray(np.sum(x**ord, axis=axis, keepdims=keepdims) ** (1 / ord)).astype(x.dtype)


def matrix_norm(x, *, keepdims=False, ord="fro"):
    return np.asarray(np.linalg.norm(floating(x), ord=ord, axis=(-2, -1), keepdims=keepdims))


def norm(x, ord=None, axis=None, keepdims=False):
    return np.asarray(np.linalg.norm(x, ord, axis, keepdims))


def matrix_rank(x, *, rtol=None):
    s = svdvals(x)
    tolerance = max(x.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else rtol
    return np.sum(s > s[..., :1] * tolerance, axis=-1)


# ---- functions ----


def expm(x):
    """By its series, on a hundredth of a power of 2."""
    small = floating(x) / 2**10
    y = np.eye(x.shape[-1]) + np.zeros_like(small)
    for k in range(12, 0, -1):
        y = np.eye(x.shape[-1]) + small @ y / k
    for _ in range(10):
        y = y @ y
    return y


def sqrtm(x):
    return _spectral(np.sqrt, x)


def logm(x):
    return _spectral(np.log, x)


def _spectral(f, x):
    w, v = np.linalg.eig(x)
    y = (v * f(w.astype(complex))[..., None, :]) @ np.linalg.inv(v)
    return y if x.dtype.kind == "c" else y.real


def matrix_power(x, n):
    return np.linalg.matrix_power(x, n)


__all__ = [name for name, item in list(globals().items()) if callable(item) and not name.startswith("_")]
