"""Calls of NumPy's functions: each runs with ``numpy``, with ``zkynet.numpy``, and with ``numpy`` on a Tensor.

A call is a function of the module ``np`` and of one floating array, GRID or, where it is listed under MATRIX, SQUARE.
"""

from __future__ import annotations

import numpy as np

GRID = np.array([[0.35, 0.8, 0.15], [0.6, 0.25, 0.5]])
SQUARE = np.array([[2.0, 0.3, -0.4], [0.3, 1.5, 0.2], [-0.4, 0.2, 3.1]])
LINE = np.array([0.2, 0.9, 0.55])
MASK = np.array([[True, False, True], [False, True, True]])
HOLES = np.array([[np.nan, 0.5, 0.25], [0.75, np.nan, 1.5]])
WHOLE = np.array([[1, 2, 5], [3, 0, 4]])

INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "invert")
# Ufuncs whose arguments cannot all be GRID.
UFUNC_CALLS = {
    "arccosh": lambda np, x: np.arccosh(x + 1),
    "frexp": lambda np, x: np.frexp(x * 1.07),
    "ldexp": lambda np, x: np.ldexp(x, WHOLE),
    "matmul": lambda np, x: np.matmul(x, x.T),
    "matvec": lambda np, x: np.matvec(x, x[0]),
    "vecmat": lambda np, x: np.vecmat(x[:, 0], x),
    "vecdot": lambda np, x: np.vecdot(x, LINE),
    "logical_and": lambda np, x: np.logical_and(x > 0.3, MASK),
    "logical_or": lambda np, x: np.logical_or(x > 0.3, MASK),
    "logical_xor": lambda np, x: np.logical_xor(x > 0.3, MASK),
    "logical_not": lambda np, x: np.logical_not(x > 0.3),
    **{name: lambda np, x, name=name: getattr(np, name)(WHOLE, WHOLE.T[:1, :1]) for name in INTEGERS[:-1]},
    "invert": lambda np, x: np.invert(WHOLE),
}

# fmt: off
CALLS = {
    # entrywise
    "pow": (lambda np, x: np.pow(x, 2.5),),
    "abs": (lambda np, x: np.abs(x - 0.4),),
    "real": (lambda np, x: np.real(x + 1j * x),),
    "imag": (lambda np, x: np.imag(x + 2j * x), lambda np, x: np.imag(WHOLE) + x),
    "angle": (lambda np, x: np.angle(x + 1j), lambda np, x: np.angle(x + 1j, deg=True)),
    "real_if_close": (lambda np, x: np.real_if_close(x + 0j),),
    "iscomplex": (lambda np, x: np.iscomplex(x + 1j),),
    "isreal": (lambda np, x: np.isreal(x),),
    "round": (lambda np, x: np.round(x, 1),),
    "around": (lambda np, x: np.around(x, decimals=1),),
    "fix": (lambda np, x: np.fix(x * 5 - 2),),
    "clip": (lambda np, x: np.clip(x, 0.3, 0.55), lambda np, x: np.clip(x, None, LINE),
            lambda np, x: np.clip(x, min=0.3)),
    "sinc": (lambda np, x: np.sinc(x),),
    "i0": (lambda np, x: np.i0(x),),
    "unwrap": (lambda np, x: np.unwrap(x * 20), lambda np, x: np.unwrap(x * 9, axis=0, period=3.0)),
    "nan_to_num": (lambda np, x: np.nan_to_num(x * HOLES, nan=2.0), lambda np, x: np.nan_to_num(x)),
    "isposinf": (lambda np, x: np.isposinf(x),),
    "isneginf": (lambda np, x: np.isneginf(x),),
    "isclose": (lambda np, x: np.isclose(x, x + 1e-9),),
    "allclose": (lambda np, x: np.allclose(x, x + 1e-3, atol=1e-2),),
    "array_equal": (lambda np, x: np.array_equal(x, x),),
    # reductions
    "sum": (lambda np, x: np.sum(x), lambda np, x: np.sum(x, axis=1, keepdims=True),
            lambda np, x: np.sum(x, 0, initial=2.0),
            lambda np, x: np.sum(x, dtype=np.float64)),
    "prod": (lambda np, x: np.prod(x), lambda np, x: np.prod(x, axis=(0, 1), initial=3.0)),
    "max": (lambda np, x: np.max(x, axis=0), lambda np, x: np.max(x, initial=0.7, axis=1)),
    "min": (lambda np, x: np.min(x, axis=-1, keepdims=True), lambda np, x: np.min(x, initial=0.2)),
    "amax": (lambda np, x: np.amax(x),),
    "amin": (lambda np, x: np.amin(x, 1),),
    "ptp": (lambda np, x: np.ptp(x, axis=1),),
    "mean": (lambda np, x: np.mean(x), lambda np, x: np.mean(x, axis=0, keepdims=True)),
    "var": (lambda np, x: np.var(x, axis=1, ddof=1), lambda np, x: np.var(x, correction=1)),
    "std": (lambda np, x: np.std(x, ddof=1), lambda np, x: np.std(x, axis=0, keepdims=True)),
    "nansum": (lambda np, x: np.nansum(x * HOLES, axis=1), lambda np, x: np.nansum(x * HOLES, initial=1.0)),
    "nanprod": (lambda np, x: np.nanprod(x * HOLES, axis=0),),
    "nanmax": (lambda np, x: np.nanmax(x * HOLES, axis=1),),
    "nanmin": (lambda np, x: np.nanmin(x * HOLES),),
    "nanmean": (lambda np, x: np.nanmean(x * HOLES, axis=1),),
    "nanvar": (lambda np, x: np.nanvar(x * HOLES, ddof=1),),
    "nanstd": (lambda np, x: np.nanstd(x * HOLES, axis=1, keepdims=True),),
    "cumsum": (lambda np, x: np.cumsum(x), lambda np, x: np.cumsum(x, axis=1)),
    "cumprod": (lambda np, x: np.cumprod(x), lambda np, x: np.cumprod(x, axis=0)),
    "nancumsum": (lambda np, x: np.nancumsum(x * HOLES),),
    "nancumprod": (lambda np, x: np.nancumprod(x * HOLES, axis=1),),
    "cumulative_sum": (lambda np, x: np.cumulative_sum(x, axis=1, include_initial=True),),
    "cumulative_prod": (lambda np, x: np.cumulative_prod(x, axis=0),),
    "diff": (lambda np, x: np.diff(x), lambda np, x: np.diff(x, n=2),
            lambda np, x: np.diff(x, axis=0, prepend=x[:1] * 2)),
    "ediff1d": (lambda np, x: np.ediff1d(x), lambda np, x: np.ediff1d(x, to_end=x[0], to_begin=1.5)),
    "all": (lambda np, x: np.all(x > 0.2, axis=1),),
    "any": (lambda np, x: np.any(x > 0.7, axis=0, keepdims=True),),
    "argmax": (lambda np, x: np.argmax(x), lambda np, x: np.argmax(x, axis=1, keepdims=True)),
    "argmin": (lambda np, x: np.argmin(x, 0),),
    "count_nonzero": (lambda np, x: np.count_nonzero(x > 0.4, axis=1), lambda np, x: np.count_nonzero(WHOLE)),
    # statistics
    "average": (lambda np, x: np.average(x, axis=1, weights=LINE), lambda np, x: np.average(x),
                lambda np, x: np.average(x, axis=1, weights=LINE, returned=True)),
    "median": (lambda np, x: np.median(x), lambda np, x: np.median(x, axis=0, keepdims=True)),
    "nanmedian": (lambda np, x: np.nanmedian(x * HOLES, axis=1),),
    "quantile": (lambda np, x: np.quantile(x, 0.3), lambda np, x: np.quantile(x, [0.1, 0.6], axis=1, method="lower")),
    "nanquantile": (lambda np, x: np.nanquantile(x * HOLES, 0.3),),
    "percentile": (lambda np, x: np.percentile(x, 30, axis=1), lambda np, x: np.percentile(x, [10, 65])),
    "nanpercentile": (lambda np, x: np.nanpercentile(x * HOLES, [30, 55]),),
    "cov": (lambda np, x: np.cov(x), lambda np, x: np.cov(x, rowvar=False, ddof=0),
            lambda np, x: np.cov(x, x * x, bias=True)),
    "corrcoef": (lambda np, x: np.corrcoef(x),),
    "bincount": (lambda np, x: np.bincount(WHOLE.ravel(), weights=np.ravel(x), minlength=8),),
    "histogram": (lambda np, x: np.histogram(x, 3)[1], lambda np, x: np.histogram(WHOLE, bins=[0, 2, 6], weights=x),
                  lambda np, x: np.histogram(WHOLE, bins=3, weights=x, density=True)),
    # shapes
    "shape": (lambda np, x: np.shape(x),),
    "ndim": (lambda np, x: np.ndim(x),),
    "size": (lambda np, x: np.size(x), lambda np, x: np.size(x, 1)),
    "iscomplexobj": (lambda np, x: np.iscomplexobj(x),),
    "isrealobj": (lambda np, x: np.isrealobj(x),),
    "astype": (lambda np, x: np.astype(x, np.complex128),),
    "copy": (lambda np, x: np.copy(x),),
    "reshape": (lambda np, x: np.reshape(x, (3, 2)), lambda np, x: np.reshape(x, (3, -1), order="F"),
                lambda np, x: np.reshape(x, -1)),
    "ravel": (lambda np, x: np.ravel(x), lambda np, x: np.ravel(x, order="F")),
    "resize": (lambda np, x: np.resize(x, (4, 2)), lambda np, x: np.resize(x, 5)),
    "transpose": (lambda np, x: np.transpose(x), lambda np, x: np.transpose(x, axes=(1, 0))),
    "permute_dims": (lambda np, x: np.permute_dims(x, (1, 0)),),
    "matrix_transpose": (lambda np, x: np.matrix_transpose(x),),
    "swapaxes": (lambda np, x: np.swapaxes(x, 0, 1),),
    "moveaxis": (lambda np, x: np.moveaxis(x, 0, -1),),
    "rollaxis": (lambda np, x: np.rollaxis(x, 1),),
    "expand_dims": (lambda np, x: np.expand_dims(x, 1), lambda np, x: np.expand_dims(x, axis=(0, 3))),
    "squeeze": (lambda np, x: np.squeeze(x[:1]), lambda np, x: np.squeeze(x[:, :1], axis=1)),
    "broadcast_to": (lambda np, x: np.broadcast_to(x, (4, 2, 3)),),
    "broadcast_arrays": (lambda np, x: np.broadcast_arrays(x, x[0]),),
    "atleast_1d": (lambda np, x: np.atleast_1d(x[0, 0]), lambda np, x: np.atleast_1d(x, x[0, 0])),
    "atleast_2d": (lambda np, x: np.atleast_2d(x[0]),),
    "atleast_3d": (lambda np, x: np.atleast_3d(x),),
    "flip": (lambda np, x: np.flip(x), lambda np, x: np.flip(x, 1)),
    "flipud": (lambda np, x: np.flipud(x),),
    "fliplr": (lambda np, x: np.fliplr(x),),
    "rot90": (lambda np, x: np.rot90(x), lambda np, x: np.rot90(x, 2, (1, 0))),
    "roll": (lambda np, x: np.roll(x, 2), lambda np, x: np.roll(x, (1, 1), axis=(0, 1))),
    "tile": (lambda np, x: np.tile(x, 2), lambda np, x: np.tile(x, (2, 1, 2))),
    "repeat": (lambda np, x: np.repeat(x, 2), lambda np, x: np.repeat(x, [1, 0, 2], axis=1)),
    "diag": (lambda np, x: np.diag(x[0], 1), lambda np, x: np.diag(x, k=1)),
    "diagflat": (lambda np, x: np.diagflat(x, -1),),
    "diagonal": (lambda np, x: np.diagonal(x, 1), lambda np, x: np.diagonal(x[None], axis1=1, axis2=2)),
    "trace": (lambda np, x: np.trace(x), lambda np, x: np.trace(x[None], 1, 2, 1)),
    "tril": (lambda np, x: np.tril(x, 1),),
    "triu": (lambda np, x: np.triu(x),),
    "pad": (lambda np, x: np.pad(x, 1), lambda np, x: np.pad(x, (1, 2), constant_values=(5.0, 6.0)),
            lambda np, x: np.pad(x, ((0, 1), (2, 1)), mode="reflect" if x.shape[0] > 2 else "edge"),
            lambda np, x: np.pad(x, ((1, 0), (2, 2)), "symmetric"), lambda np, x: np.pad(x, 1, "wrap"),
            lambda np, x: np.pad(x, ((1, 1), (0, 2)), "constant", constant_values=((1.0, 2.0), (3.0, 4.0))),
            lambda np, x: np.pad(x, ((1, 1), (2, 2)), "reflect")),
    # joining
    "concatenate": (lambda np, x: np.concatenate([x, GRID]), lambda np, x: np.concatenate((x, x * x), axis=1),
                    lambda np, x: np.concatenate([x, x[0]], axis=None)),
    "concat": (lambda np, x: np.concat([x, x], axis=-1),),
    "stack": (lambda np, x: np.stack([x, GRID], axis=1),),
    "hstack": (lambda np, x: np.hstack([x, x]), lambda np, x: np.hstack([x[0], LINE])),
    "vstack": (lambda np, x: np.vstack([x, LINE]),),
    "dstack": (lambda np, x: np.dstack([x, x]),),
    "column_stack": (lambda np, x: np.column_stack([x[0], x[1]]),),
    "block": (lambda np, x: np.block([[x, x], [x * 2, GRID]]),),
    "append": (lambda np, x: np.append(x, [1.0, 2.0]), lambda np, x: np.append(x, x, axis=0)),
    "insert": (lambda np, x: np.insert(x, 1, 9.0, axis=1), lambda np, x: np.insert(x, [0, 2], x[0, :2])),
    "delete": (lambda np, x: np.delete(x, 1, axis=1), lambda np, x: np.delete(x, [0, 3])),
    "split": (lambda np, x: np.split(x, 3, axis=1), lambda np, x: np.split(x, [1, 2], 1)),
    "array_split": (lambda np, x: np.array_split(x, 2, axis=1),),
    "hsplit": (lambda np, x: np.hsplit(x, 3),),
    "vsplit": (lambda np, x: np.vsplit(x, 2),),
    "dsplit": (lambda np, x: np.dsplit(x[None], [1]),),
    "unstack": (lambda np, x: np.unstack(x, axis=1),),
    # products
    "dot": (lambda np, x: np.dot(x, LINE), lambda np, x: np.dot(x, x.T), lambda np, x: np.dot(x, 2.0)),
    "vdot": (lambda np, x: np.vdot(x, x * 2),),
    "inner": (lambda np, x: np.inner(x, x),),
    "outer": (lambda np, x: np.outer(x, LINE),),
    "tensordot": (lambda np, x: np.tensordot(x, x, axes=([1], [1])), lambda np, x: np.tensordot(x, x, 2)),
    "kron": (lambda np, x: np.kron(x, x[0]),),
    "cross": (lambda np, x: np.cross(x, LINE),
            lambda np, x: np.cross(x.T, x.T, axis=0) + np.cross(x.T, LINE, axisa=0, axisc=0)),
    "einsum": (lambda np, x: np.einsum("ij,kj->ik", x, GRID), lambda np, x: np.einsum(x, [0, 1], x, [2, 1], [0, 2]),
               lambda np, x: np.einsum("...j->...", x, optimize=True)),
    # sorting, choosing, searching
    "sort": (lambda np, x: np.sort(x), lambda np, x: np.sort(x, axis=None), lambda np, x: np.sort(x, 0, kind="stable")),
    "argsort": (lambda np, x: np.argsort(x, axis=0), lambda np, x: np.argsort(x, None)),
    "partition": (lambda np, x: np.partition(x, 1)[:, 1], lambda np, x: np.partition(x, 2, axis=None)[2]),
    "argpartition": (lambda np, x: np.argpartition(x, 1)[:, 1],),
    "where": (lambda np, x: np.where(x > 0.4, x, 0.1), lambda np, x: np.where(x > 0.4)),
    "select": (lambda np, x: np.select([x < 0.3, x < 0.55], [x * 2, x * x], 7.0),
            lambda np, x: np.select([x < 0.3], [x])),
    "choose": (lambda np, x: np.choose([0, 1, 0], [x, x * 3]),
            lambda np, x: np.choose([0, 5, -1], [x, x * 3], mode="clip"),
               lambda np, x: np.choose([0, 5, -1], [x, x * 3], mode="wrap")),
    "piecewise": (lambda np, x: np.piecewise(x, [x < 0.3, x > 0.55], [lambda v: v * v, 3.0, lambda v: -v]),),
    "compress": (lambda np, x: np.compress([True, False, True], x, axis=1),
            lambda np, x: np.compress([False, True], x)),
    "extract": (lambda np, x: np.extract(x > 0.4, x),),
    "take": (lambda np, x: np.take(x, [0, 2], axis=1), lambda np, x: np.take(x, [[0, 5]]),
             lambda np, x: np.take(x, [7, -9], mode="wrap"), lambda np, x: np.take(x, [7, -9], 1, mode="clip")),
    "take_along_axis": (lambda np, x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1),),
    "unique": (lambda np, x: np.unique(x), lambda np, x: np.unique(x, return_index=True, return_inverse=True),
               lambda np, x: np.unique(WHOLE % 2, return_counts=True),
               lambda np, x: np.unique(HOLES, True, True, True), lambda np, x: np.unique(HOLES, equal_nan=False)),
    "nonzero": (lambda np, x: np.nonzero(x > 0.4),),
    "argwhere": (lambda np, x: np.argwhere(x > 0.4),),
    "flatnonzero": (lambda np, x: np.flatnonzero(x > 0.4),),
    "isin": (lambda np, x: np.isin(x, [0.35, 0.5]), lambda np, x: np.isin(WHOLE, [1, 4], invert=True)),
    "searchsorted": (lambda np, x: np.searchsorted(np.sort(LINE), x, side="right"),),
    "digitize": (lambda np, x: np.digitize(x, [0.2, 0.5, 0.6]),
            lambda np, x: np.digitize(x, [0.6, 0.5, 0.2], right=True)),
    "result_type": (lambda np, x: np.result_type(x, np.float32),),
    # calculus
    "interp": (lambda np, x: np.interp(x, [0.0, 0.4, 1.0], [1.0, 3.0, 2.0]),
            lambda np, x: np.interp(0.3, [0.0, 0.4, 1.0], x[0])),
    "gradient": (lambda np, x: np.gradient(x), lambda np, x: np.gradient(x, 0.5, axis=1)),
    "trapezoid": (lambda np, x: np.trapezoid(x, dx=0.5), lambda np, x: np.trapezoid(x, [0.0, 1.0, 3.0], axis=1)),
    "convolve": (lambda np, x: np.convolve(x[0], x[1]), lambda np, x: np.convolve(x[0], [1.0, 2.0], "same")),
    "correlate": (lambda np, x: np.correlate(x[0], x[1]), lambda np, x: np.correlate(x[0], LINE, mode="full")),
    "polyfit": (lambda np, x: np.polyfit([0.0, 1.0, 2.5], x[0], 1),),
    "polyval": (lambda np, x: np.polyval([2.0, -1.0, 0.5], x), lambda np, x: np.polyval(x[0], 1.5)),
    "vander": (lambda np, x: np.vander(x[0]), lambda np, x: np.vander(x[0], 2, increasing=True)),
    # creation
    "zeros_like": (lambda np, x: np.zeros_like(x), lambda np, x: np.zeros_like(x, shape=(2,), dtype=int)),
    "ones_like": (lambda np, x: np.ones_like(x), lambda np, x: np.ones_like(x, shape=4)),
    "empty_like": (lambda np, x: np.shape(np.empty_like(x)),),
    "full_like": (lambda np, x: np.full_like(x, x[0]), lambda np, x: np.full_like(x, 2.0)),
    "linspace": (lambda np, x: np.linspace(x[0], x[1], 4),
            lambda np, x: np.linspace(0.0, x, 3, endpoint=False, axis=-1),
                 lambda np, x: np.linspace(0.0, x, 5, retstep=True)),
    "logspace": (lambda np, x: np.logspace(x[0], x[1], 3, base=2.0),),
    "geomspace": (lambda np, x: np.geomspace(x[0], x[1], 3),),
    "meshgrid": (lambda np, x: np.meshgrid(x[0], LINE),
            lambda np, x: np.meshgrid(x[0], x[1], sparse=True, indexing="ij"),
                 lambda np, x: np.meshgrid(x[0], x[1][:2], sparse=True)),
    # fft
    "fft.fft": (lambda np, x: np.fft.fft(x), lambda np, x: np.fft.fft(x, 4, 0, "ortho")),
    "fft.ifft": (lambda np, x: np.fft.ifft(x, n=5),),
    "fft.rfft": (lambda np, x: np.fft.rfft(x, axis=0),),
    "fft.irfft": (lambda np, x: np.fft.irfft(x + 0j, norm="forward"),),
    "fft.hfft": (lambda np, x: np.fft.hfft(x + 0j),),
    "fft.ihfft": (lambda np, x: np.fft.ihfft(x),),
    "fft.fft2": (lambda np, x: np.fft.fft2(x),),
    "fft.ifft2": (lambda np, x: np.fft.ifft2(x),),
    "fft.rfft2": (lambda np, x: np.fft.rfft2(x),),
    "fft.irfft2": (lambda np, x: np.fft.irfft2(x + 0j),),
    "fft.fftn": (lambda np, x: np.fft.fftn(x, norm="ortho"),),
    "fft.ifftn": (lambda np, x: np.fft.ifftn(x, (3, 4), (0, 1)),),
    "fft.rfftn": (lambda np, x: np.fft.rfftn(x),),
    "fft.irfftn": (lambda np, x: np.fft.irfftn(x + 0j),),
    "fft.fftshift": (lambda np, x: np.fft.fftshift(x),),
    "fft.ifftshift": (lambda np, x: np.fft.ifftshift(x, axes=1),),
}
MATRIX = {
    "linalg.norm": (lambda np, x: np.linalg.norm(x), lambda np, x: np.linalg.norm(x, 1, axis=1),
                    lambda np, x: np.linalg.norm(x, ord=2),
            lambda np, x: np.linalg.norm(x, axis=(0, 1), keepdims=True)),
    "linalg.vector_norm": (lambda np, x: np.linalg.vector_norm(x, axis=1, ord=3),),
    "linalg.matrix_norm": (lambda np, x: np.linalg.matrix_norm(x, ord="nuc"),),
    "linalg.solve": (lambda np, x: np.linalg.solve(x, LINE), lambda np, x: np.linalg.solve(SQUARE, x)),
    "linalg.inv": (lambda np, x: np.linalg.inv(x),),
    "linalg.pinv": (lambda np, x: np.linalg.pinv(x[:2]), lambda np, x: np.linalg.pinv(x, rtol=1e-10)),
    "linalg.lstsq": (lambda np, x: np.linalg.lstsq(x[:, :2], LINE)[0],),
    "linalg.det": (lambda np, x: np.linalg.det(x),),
    "linalg.slogdet": (lambda np, x: np.linalg.slogdet(x),),
    "linalg.cholesky": (lambda np, x: np.linalg.cholesky(x), lambda np, x: np.linalg.cholesky(x, upper=True)),
    "linalg.qr": (lambda np, x: np.abs(np.linalg.qr(x)[1]), lambda np, x: np.abs(np.linalg.qr(x, mode="r"))),
    "linalg.svd": (lambda np, x: np.abs(np.linalg.svd(x)[0]), lambda np, x: np.linalg.svd(x, compute_uv=False)),
    "linalg.svdvals": (lambda np, x: np.linalg.svdvals(x),),
    "linalg.eigh": (lambda np, x: np.abs(np.linalg.eigh(x)[1]), lambda np, x: np.linalg.eigh(x, "U")[0]),
    "linalg.eigvalsh": (lambda np, x: np.linalg.eigvalsh(x), lambda np, x: np.linalg.eigvalsh(x, UPLO="U")),
    "linalg.eig": (lambda np, x: np.sort(np.real(np.linalg.eig(x)[0])),),
    "linalg.eigvals": (lambda np, x: np.sort(np.real(np.linalg.eigvals(x))),),
    "linalg.matrix_power": (lambda np, x: np.linalg.matrix_power(x, 3), lambda np, x: np.linalg.matrix_power(x, -1)),
    "linalg.multi_dot": (lambda np, x: np.linalg.multi_dot([x, SQUARE, LINE]),),
    "linalg.cond": (lambda np, x: np.linalg.cond(x), lambda np, x: np.linalg.cond(x, 1)),
    "linalg.matrix_rank": (lambda np, x: np.linalg.matrix_rank(x), lambda np, x: np.linalg.matrix_rank(x, tol=2.0)),
    "linalg.tensorsolve": (lambda np, x: np.linalg.tensorsolve(x, LINE),),
    "linalg.tensorinv": (lambda np, x: np.linalg.tensorinv(x, ind=1),),
    "linalg.matmul": (lambda np, x: np.linalg.matmul(x, x),),
    "linalg.outer": (lambda np, x: np.linalg.outer(x[0], x[1]),),
    "linalg.tensordot": (lambda np, x: np.linalg.tensordot(x, x, axes=1),),
    "linalg.vecdot": (lambda np, x: np.linalg.vecdot(x, LINE, axis=0),),
    "linalg.cross": (lambda np, x: np.linalg.cross(x, SQUARE, axis=0),),
    "linalg.diagonal": (lambda np, x: np.linalg.diagonal(x, offset=1),),
    "linalg.trace": (lambda np, x: np.linalg.trace(x, offset=-1),),
    "linalg.matrix_transpose": (lambda np, x: np.linalg.matrix_transpose(x),),
}
# fmt: on
SYMMETRIC = ("linalg.cholesky", "linalg.eigh", "linalg.eigvalsh")  # NumPy reads one triangle, and we mean both


def ufunc_call(name):
    """The call of a ufunc on as many copies of the grid as it takes, slightly apart."""
    if name in UFUNC_CALLS:
        return UFUNC_CALLS[name]
    count = getattr(np, name).nin
    return lambda np, x: getattr(np, name)(*[x * (1 + 0.3 * k) for k in range(count)])


def exists(name):
    """Whether the NumPy that is here has the function: some came with 2.1 and later."""
    inner, _, last = name.rpartition(".")
    return hasattr(getattr(np, inner) if inner else np, last)


def symmetric(call):
    """``call`` on the symmetric part of its argument."""
    return lambda np, x: call(np, 0.5 * (x + x.T))


def all_calls(ufuncs):
    """(name, call, argument) of every call, for the ufuncs given by name and the functions of the tables."""
    found = [(name, ufunc_call(name), GRID) for name in ufuncs]
    found += [(name, call, GRID) for name, calls in CALLS.items() if exists(name) for call in calls]
    for name, calls in MATRIX.items():
        found += [(name, symmetric(call) if name in SYMMETRIC else call, SQUARE) for call in calls]
    return found
