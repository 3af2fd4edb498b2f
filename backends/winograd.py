"""Winograd's convolution with 3 x 3 kernels at stride 1 on NumPy: F(4 x 4, 3 x 3) and F(2 x 2, 3 x 3).

A tile of m x m results is made of r x r inputs, r = m + 2: transform both, multiply entry by entry, transform back,

    Y = A^T [(G w G^T) * (B^T x B)] A,    dw = G^T [(A g A^T) * (B^T x B)] G.

Summed over the channels the products are r * r matrix products: 36 multiplications for 16 results where the sum over
the kernel takes 144, or, with m = 2, 16 for 4 instead of 36. A. Lavin and S. Gray, Fast algorithms for convolutional
neural networks, 2016.

Accuracy. With u the dtype's epsilon, C the number of channels added up (for dw: images times entries of a result) and
|x|, |w| the largest absolute values of the two factors, the error of an entry is at most

    u * C * |x| * |w| * k(m),    k(4) = 800, k(2) = 40.

That is measured, with room: tests/test_winograd.py holds it against the sum in double precision. (Of the plain sum one
could say 50.) It is relative to the largest entries that a *tile* meets: next to an entry of 1e6 the results are good
to 1e6 times that. So halves never come here.

Layout: channels stand last within a block, so that every step runs over contiguous lines. Arrays are cut into *planes*
by phase, planes[p, q, ..., i, j, c] = x[..., m i + p, m j + q]: what the tiles have at one place lies side by side.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

_CACHE_BYTES = 1 << 20
_LEAST_TILES = 64  # in a block: the transformed kernel is read once for each
_GROWTH = 1e6  # above what the transforms can multiply the norms of the factors by

# G of both sizes, from a kernel's row to r numbers. B and A are written out in the transforms below.
_G = {
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    4: [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
}


def tame(a, b):
    """Whether all entries are finite, and so far from overflow that the transforms stay finite too."""
    with np.errstate(all="ignore"):
        norms = float(_squares(a)) ** 0.5 * float(_squares(b)) ** 0.5
    return norms * _GROWTH < float(np.finfo(np.result_type(a, b)).max)  # False for NaN


def conv(x, w, padding, m):
    """x (N, C, H, W) with w (O, C, 3, 3) at stride 1, in tiles of m x m: (N, O, H', W')."""
    n, c, *size = x.shape
    o, r, dtype = w.shape[0], m + 2, np.result_type(x, w)
    out = tuple(s + sum(pair) - 2 for s, pair in zip(size, padding))
    kernel = (_kernel_matrix(m, dtype) @ w.transpose(2, 3, 1, 0).reshape(9, c * o)).reshape(r * r, c, o)
    y = np.empty((n, o, *out), dtype)
    for images, rows, tiles in _blocks(n, out, m, max(c, o) * dtype.itemsize):
        v = _inputs(x[images], padding, rows.start, tiles, m)
        products = np.matmul(v.reshape(r * r, -1, c), kernel)
        spread = np.empty((v.shape[2], tiles[0], m, tiles[1], m, o), dtype)  # the results, with channels last
        half = np.empty((m, r, products[0].size), dtype)
        _BACK[m](products.reshape(r, r, -1), half)
        ends = half.reshape(m, r, v.shape[2], *tiles, o).swapaxes(0, 1)
        _BACK[m](ends, spread.transpose(4, 2, 0, 1, 3, 5))
        whole = spread.reshape(-1, m * tiles[0], m * tiles[1], o).transpose(0, 3, 1, 2)
        target = y[images, :, rows.start * m : rows.stop * m]
        target[...] = whole[:, :, : target.shape[2], : out[1]]
    return y


def conv_filter(x, g, padding, m):
    """The adjoint of ``conv`` in w: x (N, C, H, W) and g (N, O, H', W') give (O, C, 3, 3)."""
    (n, c), (o, *out) = x.shape[:2], g.shape[1:]
    r, dtype = m + 2, np.result_type(x, g)
    total = np.zeros((r * r, c, o), dtype)
    for images, rows, tiles in _blocks(n, out, m, (c + o) * dtype.itemsize):
        v = _inputs(x[images], padding, rows.start, tiles, m)
        h = _cotangents(g[images], rows.start, tiles, m)
        total += np.matmul(v.reshape(r * r, -1, c).swapaxes(1, 2), h.reshape(r * r, -1, o))
    w = _kernel_matrix(m, dtype).T @ total.reshape(r * r, c * o)
    return np.ascontiguousarray(w.reshape(3, 3, c, o).transpose(3, 2, 0, 1))


def _squares(x):
    line = x.ravel("K")
    return np.dot(line, line)


@cache
def _kernel_matrix(m, dtype):
    """G w G^T as one product with w's nine numbers."""
    return np.kron(_G[m], _G[m]).astype(dtype)


def _blocks(n, out, m, tile_bytes):
    """Blocks whose transforms fit into the cache: the slices of images and of rows of tiles, and the tiles in one."""
    down, across = (-(-s // m) for s in out)
    count = max(_LEAST_TILES, _CACHE_BYTES // ((m + 2) ** 2 * tile_bytes))
    images, step = max(1, count // (down * across)), max(1, min(down, count // across))
    for top in range(0, down, step):
        rows = slice(top, min(top + step, down))
        for first in range(0, n, images):
            yield slice(first, first + images), rows, (rows.stop - top, across)


def _inputs(x, padding, top, tiles, m):
    """B^T x B of every tile, (r, r, images, *tiles, C)."""
    (down, across), r = tiles, m + 2
    planes = _planes(x, m * top - padding[0][0], -padding[1][0], (down + 1, across + 1), m)
    half = np.empty((r, m, len(x), down, across + 1, planes.shape[-1]), x.dtype)
    _INTO[m]([planes[i % m, :, :, i // m : i // m + down] for i in range(r)], half)
    v = np.empty((r, r, len(x), down, across, planes.shape[-1]), x.dtype)
    _INTO[m]([half[:, i % m, :, :, i // m : i // m + across] for i in range(r)], v.swapaxes(0, 1))
    return v


def _cotangents(g, top, tiles, m):
    """A g A^T of every tile, (r, r, images, *tiles, O)."""
    planes = _planes(g, m * top, 0, tiles, m)
    half = np.empty((m + 2, *planes.shape[1:]), g.dtype)
    _OUT[m](planes, half)
    h = np.empty((m + 2, m + 2, *planes.shape[2:]), g.dtype)
    _OUT[m](half.swapaxes(0, 1), h.swapaxes(0, 1))
    return h


def _planes(x, top, left, count, m):
    """x (N, C, H, W) from row ``top`` and column ``left`` on, zeros outside, as planes (m, m, N, *count, C)."""
    n, c, high, wide = x.shape
    rows, columns = m * count[0], m * count[1]
    pitch = (-(-rows * columns // 16) | 1) * 16  # no power of two between channels: they would share a cache line
    lines = np.zeros((n, c, pitch), x.dtype)
    a, b = max(0, -top), max(0, -left)
    down, right = max(0, min(high, top + rows)), max(0, min(wide, left + columns))
    part = x[:, :, top + a : down, left + b : right]
    near, far = lines.strides[:2], lines.strides[2]
    whole = as_strided(lines, (n, c, rows, columns), (*near, columns * far, far))
    whole[:, :, a : a + part.shape[2], b : b + part.shape[3]] = part
    steps = (m * columns * far, columns * far, m * far, far)
    phased = as_strided(lines, (n, c, count[0], m, count[1], m), (*near, *steps))
    return np.ascontiguousarray(phased.transpose(3, 5, 0, 2, 4, 1))


# ---- the transforms of one axis: a list of r or m slabs into another; the second axis is done by a second call ----


def _into4(d, v):
    """B^T for m = 4."""
    a, b = d[4] - d[2], d[3] - d[1]
    np.subtract(d[0], d[2], out=v[0])
    v[0] *= 4
    v[0] += a
    b *= 2
    np.add(a, b, out=v[3])
    np.subtract(a, b, out=v[4])
    b *= 2
    np.subtract(d[5], d[3], out=v[5])
    v[5] -= b
    np.multiply(d[2], 4, out=a)
    np.subtract(d[4], a, out=a)
    np.multiply(d[1], 4, out=b)
    np.subtract(d[3], b, out=b)
    np.add(a, b, out=v[1])
    np.subtract(a, b, out=v[2])


def _back4(p, y):
    """A^T for m = 4."""
    a, b = p[1] + p[2], p[3] + p[4]
    np.add(p[0], a, out=y[0])
    y[0] += b
    b *= 4
    np.add(a, b, out=y[2])
    np.subtract(p[1], p[2], out=a)
    np.subtract(p[3], p[4], out=b)
    b *= 2
    np.add(a, b, out=y[1])
    b *= 4
    a += p[5]
    np.add(a, b, out=y[3])


def _out4(g, h):
    """A for m = 4."""
    h[0], h[5] = g[0], g[3]
    a, b = g[0] + g[2], g[1] + g[3]
    np.add(a, b, out=h[1])
    np.subtract(a, b, out=h[2])
    np.multiply(g[2], 4, out=a)
    a += g[0]
    np.multiply(g[3], 4, out=b)
    b += g[1]
    b *= 2
    np.add(a, b, out=h[3])
    np.subtract(a, b, out=h[4])


def _into2(d, v):
    """B^T for m = 2."""
    np.subtract(d[0], d[2], out=v[0])
    np.add(d[1], d[2], out=v[1])
    np.subtract(d[2], d[1], out=v[2])
    np.subtract(d[1], d[3], out=v[3])


def _back2(p, y):
    """A^T for m = 2."""
    np.add(p[0], p[1], out=y[0])
    y[0] += p[2]
    np.subtract(p[1], p[2], out=y[1])
    y[1] -= p[3]


def _out2(g, h):
    """A for m = 2."""
    h[0] = g[0]
    np.add(g[0], g[1], out=h[1])
    np.subtract(g[0], g[1], out=h[2])
    np.negative(g[1], out=h[3])


_INTO, _BACK, _OUT = {2: _into2, 4: _into4}, {2: _back2, 4: _back4}, {2: _out2, 4: _out4}
