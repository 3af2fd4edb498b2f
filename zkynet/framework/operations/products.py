"""Products of vectors, matrices and tensors, composed of ``matmul`` and ``multiply``; diagonals and distances."""

from itertools import pairwise

from zkynet.backends.errors import ShapeError

from ..axes import broadcast_shapes, normalize_axis, size_of
from ..record import Tensor, shape_of
from .complex import conj
from .elementwise import astype, multiply, subtract
from .indexing import scatter_sum, take
from .linalg import matmul, tensordot
from .norms import vector_norm
from .reduction import sum
from .shape import concat, expand_dims, getitem, moveaxis, reshape


def inner(a, b) -> Tensor:
    """Sums of products over the last axes of both: shape ``a.shape[:-1] + b.shape[:-1]``; scalars multiply."""
    sa, sb = shape_of(a), shape_of(b)
    if not sa or not sb:
        return multiply(a, b)
    if sa[-1] != sb[-1]:
        raise ShapeError(f"inner: the last axes differ in size: shapes {sa} and {sb}")
    return tensordot(a, b, ([-1], [-1]))


def outer(a, b) -> Tensor:
    """The products of every entry of a with every entry of b, both flattened: shape (a.size, b.size)."""
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def vdot(a, b) -> Tensor:
    """The sum of conj(a) * b over all entries, both flattened; they need as many entries."""
    sa, sb = shape_of(a), shape_of(b)
    if size_of(sa) != size_of(sb):
        raise ShapeError(f"vdot: {size_of(sa)} and {size_of(sb)} entries, of shapes {sa} and {sb}")
    return matmul(reshape(conj(a), (-1,)), reshape(b, (-1,)))


def vecdot(a, b, *, axis=-1) -> Tensor:
    """The sum of conj(a) * b along ``axis`` of each; the other axes broadcast."""
    a, b = _last("vecdot", a, axis), _last("vecdot", b, axis)
    _fits("vecdot", a, b, shape_of(a)[-1], shape_of(b)[-1], 1, 1)
    y = matmul(expand_dims(conj(a), -2), expand_dims(b, -1))
    return reshape(y, shape_of(y)[:-2])


def _last(name, x, axis):
    """x with ``axis`` moved to the end."""
    ndim = len(shape_of(x))
    if not ndim:
        raise ShapeError(f"{name}: needs at least one axis each, got a scalar; use multiply")
    where = normalize_axis(axis, ndim, name)
    return x if where == -1 else moveaxis(x, where, -1)


def _fits(name, a, b, inner_a, inner_b, core_a, core_b):
    """ShapeError where inner sizes differ, or what stands before the last ``core`` axes does not broadcast."""
    sa, sb = shape_of(a), shape_of(b)
    if inner_a != inner_b:
        raise ShapeError(f"{name}: inner sizes differ: {inner_a} and {inner_b}, in shapes {sa} and {sb}")
    try:
        broadcast_shapes(sa[: len(sa) - core_a], sb[: len(sb) - core_b])
    except ShapeError:
        raise ShapeError(f"{name}: the stacks of {sa} and {sb} do not broadcast") from None


def matvec(a, x) -> Tensor:
    """a @ x for matrices a (..., m, n) and vectors x (..., n): shape (..., m)."""
    sa, sx = shape_of(a), shape_of(x)
    if len(sa) < 2 or not sx:
        raise ShapeError(f"matvec: expected shapes (..., m, n) and (..., n), got {sa} and {sx}")
    _fits("matvec", a, x, sa[-1], sx[-1], 2, 1)
    y = matmul(a, expand_dims(x, -1))
    return reshape(y, shape_of(y)[:-1])


def vecmat(x, a) -> Tensor:
    """conj(x) @ a for vectors x (..., m) and matrices a (..., m, n): shape (..., n). NumPy's vecmat conjugates too."""
    sx, sa = shape_of(x), shape_of(a)
    if len(sa) < 2 or not sx:
        raise ShapeError(f"vecmat: expected shapes (..., m) and (..., m, n), got {sx} and {sa}")
    _fits("vecmat", x, a, sx[-1], sa[-2], 1, 2)
    y = matmul(expand_dims(conj(x), -2), a)
    return reshape(y, shape_of(y)[:-2] + shape_of(y)[-1:])


def kron(a, b) -> Tensor:
    """The Kronecker product: blocks of b, each multiplied by an entry of a. Missing axes count as 1."""
    sa, sb = shape_of(a), shape_of(b)
    ndim = max(len(sa), len(sb))
    sa, sb = (1,) * (ndim - len(sa)) + sa, (1,) * (ndim - len(sb)) + sb
    left = reshape(a, tuple(n for size in sa for n in (size, 1)))
    right = reshape(b, tuple(n for size in sb for n in (1, size)))
    return reshape(multiply(left, right), tuple(m * n for m, n in zip(sa, sb, strict=True)))


def cross(a, b, *, axis=-1) -> Tensor:
    """The cross product of vectors of 3 entries along ``axis``; the other axes broadcast."""
    sa, sb = shape_of(a), shape_of(b)
    left, right = _last("cross", a, axis), _last("cross", b, axis)
    if shape_of(left)[-1] != 3 or shape_of(right)[-1] != 3:
        raise ShapeError(f"cross: needs vectors of 3 entries along axis {axis}, got shapes {sa} and {sb}")
    _fits("cross", left, right, 3, 3, 1, 1)
    # a[i] * b[i + 1] - a[i + 1] * b[i] is entry i + 2.
    y = _turned(subtract(multiply(left, _turned(right)), multiply(_turned(left), right)))
    return y if axis == -1 else moveaxis(y, -1, axis)


def _turned(x):
    """The entries 1, 2, 0 along the last axis."""
    return concat([getitem(x, (Ellipsis, slice(1, None))), getitem(x, (Ellipsis, slice(0, 1)))], axis=-1)


def multi_dot(arrays) -> Tensor:
    """The product of two or more matrices, in the order that needs fewest multiplications.

    The first may be a vector, a row, the last one a column; then their axis is not in the result.
    """
    arrays = list(arrays)
    shapes = [shape_of(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError(f"multi_dot: needs at least two arrays, got {len(arrays)}")
    ends_are_vectors = [len(shapes[0]) == 1, len(shapes[-1]) == 1]
    if ends_are_vectors[0]:
        arrays[0] = reshape(arrays[0], (1, -1))
    if ends_are_vectors[1]:
        arrays[-1] = reshape(arrays[-1], (-1, 1))
    full = [shape_of(a) for a in arrays]
    if any(len(s) != 2 for s in full) or any(left[1] != right[0] for left, right in pairwise(full)):
        raise ShapeError(f"multi_dot: shapes do not form a chain of matrices: {', '.join(map(str, shapes))}")
    y = _chain(arrays, _cuts([s[0] for s in full] + [full[-1][1]]), 0, len(arrays) - 1)
    rows, columns = shape_of(y)
    kept = () if ends_are_vectors[0] else (rows,)
    return reshape(y, kept if ends_are_vectors[1] else (*kept, columns)) if any(ends_are_vectors) else y


def _cuts(sizes):
    """Where to split the product of matrices i to j: Cormen et al., Introduction to Algorithms, 15.2."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    cuts = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = [(cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i, j], cuts[i, j] = min(options)
    return cuts


def _chain(arrays, cuts, i, j):
    """The product of matrices i to j."""
    if i == j:
        return arrays[i]
    k = cuts[i, j]
    return matmul(_chain(arrays, cuts, i, k), _chain(arrays, cuts, k + 1, j))


def sparse_matmul(values, rows, columns, shape, b) -> Tensor:
    """The product of a sparse matrix and a dense b, differentiable in the stored ``values`` and in b.

    The matrix has ``shape`` (m, n) and ``values[k]`` at (``rows[k]``, ``columns[k]``), where equal places add up;
    the three are 1-D. b is (n, p) or (n,).
    """
    m, n = shape
    sv, sb = shape_of(values), shape_of(b)
    if len(sv) != 1 or shape_of(rows) != sv or shape_of(columns) != sv:
        raise ShapeError(
            f"sparse_matmul: values {sv}, rows {shape_of(rows)} and columns {shape_of(columns)} need one common axis"
        )
    if len(sb) not in (1, 2) or sb[0] != n:
        raise ShapeError(f"sparse_matmul: a matrix of shape {(m, n)} does not multiply b of shape {sb}")
    picked = take(b, columns, axis=0)
    if len(sb) == 1:
        return scatter_sum(multiply(values, picked), rows, m)
    return scatter_sum(multiply(expand_dims(values, -1), picked), rows, m, axis=0)


def cdist(a, b, *, p=2) -> Tensor:
    """The p-norm distances between the rows of a (..., m, k) and those of b (..., n, k): shape (..., m, n).

    The derivative of the distance between equal rows is 0.
    """
    sa, sb = shape_of(a), shape_of(b)
    if len(sa) < 2 or len(sb) < 2:
        raise ShapeError(f"cdist: needs rows in the last two axes, got shapes {sa} and {sb}")
    _fits("cdist", a, b, sa[-1], sb[-1], 2, 2)
    return vector_norm(subtract(expand_dims(a, -2), expand_dims(b, -3)), axis=-1, ord=p)


def diagonal(x, *, offset=0) -> Tensor:
    """The diagonals of the last two axes, ``offset`` above the main one (below it where negative), as the last axis."""
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(f"diagonal: needs at least 2 axes, got shape {shape}")
    m, n = shape[-2:]
    count = max(0, min(m, n - offset) if offset >= 0 else min(m + offset, n))
    start = offset if offset >= 0 else -offset * n
    flat = reshape(x, (*shape[:-2], m * n))
    stop = start + (count - 1) * (n + 1) + 1 if count else start
    return getitem(flat, (Ellipsis, slice(start, stop, n + 1) if count else slice(0, 0)))


def trace(x, *, offset=0, dtype=None) -> Tensor:
    """The sum along the diagonals of the last two axes, added up in ``dtype`` where it is given."""
    entries = diagonal(x, offset=offset)
    return sum(entries if dtype is None else astype(entries, dtype), -1)
