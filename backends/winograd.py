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

The transforms are matrix products too, and copy nothing: B^T of a few tiles side by side is one matrix (``_lines``),
which BLAS multiplies by the rows and then the columns of pictures where they lie, writing what the next product reads.
Where a tile hangs over into padding that matrix loses columns: zeros cost nothing. Two threads take *blocks* in turns,
a strip of tiles of a few images each. Blocks, and the order of sums, follow from shapes alone: who took which changes
no bit. A block holds ``_STRIP_BYTES`` at most after its first transforms (or one image), and r * r numbers by channel
for ``_LEAST_TILES``: 2 MB in all at 64 channels, 8 MB at 256.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .threads import blas_threads, blas_threads_set
from .worker import processors, run_beside

_LINE, _LONGEST = 8, 32  # results along one axis that a matrix makes, and with few images: else it is mostly zeros
_LEAST_TILES = {4: 32, 2: 96}  # in one product, a quarter of the channels at least: each reads the kernel anew
_STRIP_BYTES = 1 << 22
_SHARES = 4  # of the gradient of the filter, summed each by itself
_ALONE = 24_000_000  # multiplications: with fewer a second thread wins nothing, handed over and waiting for Python
_GROWTH = 1e6  # above what the transforms can multiply the norms of the factors by

_BT = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    4: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}
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
_AT = {
    2: [[1, 1, 1, 0], [0, 1, -1, -1]],
    4: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
}


class UntamedError(ArithmeticError):
    """Entries are not finite, or so near overflow that their transforms may not be."""


def conv(x, w, padding, m):
    """x (N, C, H, W) with w (O, C, 3, 3) at stride 1, in tiles of m x m: (N, O, H', W'). May raise ``UntamedError``."""
    x, w = _alike(x, w)
    return _convolved(x, w.reshape(*w.shape[:2], 9).swapaxes(0, 1), _kernel_matrix(m, x.dtype), padding, m)


def conv_input(g, w, padding, m):
    """The same of g (N, O, H, W) with the kernel flipped, from outputs to inputs: (N, C, H', W')."""
    g, w = _alike(g, w)
    matrix = np.ascontiguousarray(_kernel_matrix(m, g.dtype)[:, ::-1])
    return _convolved(g, w.reshape(*w.shape[:2], 9), matrix, padding, m)


@np.errstate(all="ignore")
def _convolved(x, w, matrix, padding, m):
    """x (N, C, H, W) with w (C, O, 9), which ``matrix`` transforms."""
    n, c, o, r = *x.shape[:2], w.shape[1], m + 2
    norm, kernel = _norm(w), np.empty((r * r, c, o), x.dtype)

    def transform(inputs):
        np.matmul(matrix, w[inputs].swapaxes(1, 2), out=kernel[:, inputs].swapaxes(0, 1))

    _in_turns([slice(0, c // 2), slice(c // 2, c)], transform, 2 * 9 * kernel.size)
    y = np.empty((n, o, *(s + sum(pair) - 2 for s, pair in zip(x.shape[2:], padding))), x.dtype)
    rows, blocks = _blocks(x.shape, y.shape, padding, m, x.dtype)

    def fill(block):
        images, column = block
        target = y[images]
        n, _, high, wide = target.shape
        half = _along_rows(x[images], column.inputs, column.into)
        _tame(_norm(half), norm, x.dtype)
        ends = np.empty((r, len(half) // r, n * o, high), x.dtype)  # of columns alone
        for row in rows:
            products = np.matmul(_along_columns(half, row.inputs, row.into, r), kernel)
            products = products.reshape(r, -1, ends.shape[1], n * o)
            np.matmul(products.transpose(0, 2, 3, 1), row.back.T, out=ends[..., row.outputs])
        ends = ends.reshape(-1, n, o * high).transpose(1, 2, 0)
        np.matmul(ends, column.back.T, out=target.reshape(n, o * high, wide)[..., column.outputs])

    _in_turns(blocks, fill, kernel.size * _tiles(y.shape, m))
    return y


@np.errstate(all="ignore")
def conv_filter(x, g, padding, m):
    """The adjoint of ``conv`` in w: x (N, C, H, W) and g (N, O, H', W') give (O, C, 3, 3). The same error."""
    x, g = _alike(x, g)
    c, o, r = x.shape[1], g.shape[1], m + 2
    rows, blocks = _blocks(x.shape, g.shape, padding, m, x.dtype)
    shares = min(len(blocks), _SHARES)
    sums: list[Any] = [None] * shares

    def add_up(share):
        total = None
        for images, column in blocks[len(blocks) * share // shares : len(blocks) * (share + 1) // shares]:
            inputs = _along_rows(x[images], column.inputs, column.into)
            cotangents = _along_rows(g[images], column.outputs, column.back.T)
            _tame(_norm(inputs), _norm(cotangents), x.dtype)
            for row in rows:
                h = _along_columns(cotangents, row.outputs, row.back.T, r)
                products = np.matmul(h.swapaxes(1, 2), _along_columns(inputs, row.inputs, row.into, r))
                total = products if total is None else np.add(total, products, out=total)
        sums[share] = np.matmul(total.transpose(1, 2, 0), np.asfortranarray(_kernel_matrix(m, x.dtype)))

    _in_turns(range(shares), add_up, r * r * c * o * _tiles(g.shape, m))
    return sum(sums[1:], sums[0]).reshape(o, c, 3, 3)


def _alike(*arrays):
    dtype = np.result_type(*arrays)
    return [np.ascontiguousarray(a, dtype) for a in arrays]


def _norm(x):
    """The Euclidean norm of all entries; infinite or NaN where one is, or where a square overflows."""
    line = x.ravel("K")
    with blas_threads_set(1):
        return float(np.dot(line, line)) ** 0.5


def _tame(a, b, dtype):
    """Raise ``UntamedError`` unless transforms and products of factors with these norms are sure to stay finite."""
    if not a * b * _GROWTH < float(np.finfo(dtype).max):  # nor with NaN
        raise UntamedError(
            f"norms {a:.3g} and {b:.3g} of {dtype}: expected a product below {np.finfo(dtype).max / _GROWTH:.3g}"
        )


# ---- the transforms ----


@cache
def _kernel_matrix(m, dtype):
    """G w G^T as one product with the nine numbers of w: (r * r, 9), rows by column and row of the tile."""
    g = np.array(_G[m])
    return np.einsum("jq,ip->jipq", g, g).reshape(-1, 9).astype(dtype)


@cache
def _lines(m, tiles, dtype):
    """B^T and A^T of tiles side by side: (r * tiles, m * tiles + 2) and (m * tiles, r * tiles).

    Of the r numbers of each tile all first ones stand first, so that they make one factor of a product.
    """
    r = m + 2
    into, back = np.zeros((r, tiles, m * tiles + 2)), np.zeros((m * tiles, r, tiles))
    for k in range(tiles):
        into[:, k, m * k : m * k + r] = _BT[m]
        back[m * k : m * k + m, :, k] = _AT[m]
    # In Fortran's order: OpenBLAS does small products without packing them, except A @ B.T with A in C order.
    return np.asfortranarray(into.reshape(r * tiles, -1), dtype), back.reshape(-1, r * tiles).astype(dtype)


def _along_rows(x, where, matrix):
    """The rows of x (N, C, H, W), of which ``matrix`` takes ``where``, transformed: (r * tiles, N, C, H)."""
    n, c, high, wide = x.shape
    half = np.empty((len(matrix), n, c * high), x.dtype)
    np.matmul(matrix, x.reshape(n, c * high, wide)[..., where].swapaxes(1, 2), out=half.swapaxes(0, 1))
    return half.reshape(len(matrix), n, c, high)


def _along_columns(half, where, matrix, r):
    """Then the columns: (r * r, tiles * N, C)."""
    tiles, n, c, high = half.shape
    whole = np.empty((r, len(matrix), tiles // r, n * c), half.dtype)
    np.matmul(matrix, half.reshape(r, -1, n * c, high)[..., where].swapaxes(2, 3), out=whole.swapaxes(1, 2))
    return whole.reshape(r * r, -1, c)


# ---- what is done at once, and by whom ----


class _Cut(NamedTuple):
    """Tiles side by side along one axis: which inputs they meet, which results they make, and how."""

    inputs: slice
    into: Any
    outputs: slice
    back: Any


def _cuts(size, before, out, m, tiles, dtype):
    """An axis of ``size`` behind ``before`` zeros, cut so that each piece makes at most ``tiles`` tiles."""
    whole = -(-out // m)
    count = -(-whole // tiles)
    cuts = []
    for k in range(count):
        start, stop = whole * k // count, whole * (k + 1) // count
        into, back = _lines(m, stop - start, dtype)
        first = m * start - before
        low = max(0, first)
        high = max(low, min(size, first + into.shape[1]))
        made = slice(m * start, min(out, m * stop))
        cuts.append(_Cut(slice(low, high), into[:, low - first : high - first], made, back[: made.stop - made.start]))
    return cuts


def _blocks(x_shape, y_shape, padding, m, dtype):
    """The cuts of rows, and the blocks: slices of images, each with a cut of columns."""
    (n, c, *size), (o, *out) = x_shape, y_shape[1:]
    least = max(_LEAST_TILES[m], min(c, o) // 4)
    across = min(max(_LINE // m, -(-least // (n * -(-out[0] // m)))), _LONGEST // m)
    columns = _cuts(size[1], padding[1][0], out[1], m, across, dtype)
    across = -(-out[1] // (m * len(columns)))
    image_bytes = (m + 2) * across * (c * size[0] + o * out[0]) * dtype.itemsize
    images = max(1, min(least // (across * _LINE // m), _STRIP_BYTES // image_bytes))
    groups = max(-(-n // images), min(n, 2) if len(columns) == 1 else 1)  # two blocks at least, for two threads
    down = min(-(-least * groups // (n * across)), _LONGEST // m)
    rows = _cuts(size[0], padding[0][0], out[0], m, down, dtype)
    return rows, [(slice(n * k // groups, n * (k + 1) // groups), column) for k in range(groups) for column in columns]


def _tiles(shape, m):
    """How many of m x m cover pictures of ``shape`` (N, C, H, W)."""
    return shape[0] * -(-shape[2] // m) * -(-shape[3] // m)


def _in_turns(jobs: Iterable[Any], work: Callable[[Any], None], multiplications: int) -> None:
    """Call ``work`` with each job, on two threads where that is faster, each with a BLAS of one thread.

    Which one takes a job is open: none may read what another one writes. What one raises ends them all.
    """
    rest = deque(jobs)

    def take(following):
        try:
            while rest:
                try:
                    job = following()
                except IndexError:  # the other thread was faster
                    return
                work(job)
        except BaseException:
            rest.clear()
            raise

    # A BLAS that was told to use one thread asks for one processor.
    two = len(rest) > 1 and multiplications >= _ALONE and processors() > 1 and (blas_threads() or 1) > 1
    with blas_threads_set(1):
        if two:  # from both ends: neighbours share cache lines
            run_beside(lambda: take(rest.pop), lambda: take(rest.popleft))
        else:
            take(rest.popleft)
