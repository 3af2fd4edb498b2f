"""Moving entries without changing them: reshaping, permuting, broadcasting, joining, slicing, padding."""

from zkynet import backends
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..axes import lead_shape, normalize_axes, normalize_axis, resolve_shape, size_of
from ..operator import Elementwise, Operator
from ..record import HOST, Tensor, apply, operand, shape_of
from .control import copy as copied


class Reshape(Operator):
    makes_view = True
    promotion = None

    def __init__(self, shape):
        self.shape = shape

    def forward(self, xp, x):
        return xp.reshape(x, self.shape)

    def vjp_x(self, xp, g, x_spec, y_spec):
        return xp.reshape(g, lead_shape(g, y_spec) + x_spec.shape)

    def jvp_x(self, xp, t, x_spec):
        return xp.reshape(t, lead_shape(t, x_spec) + self.shape)


class PermuteDims(Operator):
    """Axes in another order; ``axes`` are negative, one for each axis of x."""

    makes_view = True
    linear = True
    promotion = None

    def __init__(self, axes):
        self.axes = axes

    def forward(self, xp, x):
        return permuted(xp, x, self.axes)

    def vjp_x(self, xp, g):
        n = len(self.axes)
        inverse = sorted(range(n), key=lambda i: self.axes[i])
        return permuted(xp, g, tuple(i - n for i in inverse))


def permuted(xp, x, axes):
    """Permute the last ``len(axes)`` axes; those before them stay."""
    ndim = len(x.shape)
    return xp.permute_dims(x, tuple(range(ndim - len(axes))) + tuple(a + ndim for a in axes))


class MatrixTranspose(Operator):
    """The last two axes exchanged."""

    makes_view = True
    linear = True
    promotion = None

    def forward(self, xp, x):
        return xp.matrix_transpose(x)

    def vjp_x(self, xp, g):
        return xp.matrix_transpose(g)


class BroadcastTo(Elementwise):
    """x repeated to ``shape``: the engine sums the cotangent down."""

    makes_view = True
    promotion = None

    def __init__(self, shape):
        self.shape = shape

    def forward(self, xp, x):
        return xp.broadcast_to(x, self.shape)

    def vjp_x(self, xp, g):
        return g


class Concat(Operator):
    """Arrays joined along a negative ``axis``."""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, xp, *arrays):
        return xp.concat(arrays, axis=self.axis)

    def vjp_arrays(self, xp, g, i, arrays_spec):
        start, stop, _ = self.place(i, arrays_spec)
        return g[(Ellipsis, slice(start, stop)) + (slice(None),) * (-self.axis - 1)]

    def jvp_arrays(self, xp, t, i, arrays_spec):
        start, stop, total = self.place(i, arrays_spec)
        return xp.pad(t, ((start, total - stop),) + ((0, 0),) * (-self.axis - 1))

    def place(self, i, specs):
        sizes = [spec.shape[self.axis] for spec in specs]
        start = sum(sizes[:i])
        return start, start + sizes[i], sum(sizes)


class GetItem(Operator):
    """x[index] for ints, slices and new axes; ``index`` begins with Ellipsis and speaks of every axis of x."""

    makes_view = True
    linear = True
    promotion = None

    def __init__(self, index):
        self.index = index

    def forward(self, xp, x):
        return x[self.index]

    def vjp_x(self, xp, g, x_spec):
        # A recorded forward sweep puts leading axes before those that the index speaks of.
        n = len([1 for item in self.index if item is not None and item is not Ellipsis])
        return xp.place(g, self.index, x_spec.shape[len(x_spec.shape) - n :])


class Place(Operator):
    """Zeros of ``shape`` with x at a basic ``index``: the transpose of GetItem."""

    linear = True
    promotion = None

    def __init__(self, index, shape):
        self.index, self.shape = index, shape

    def forward(self, xp, x):
        return xp.place(x, self.index, self.shape)

    def vjp_x(self, xp, g):
        return g[self.index]


class Pad(Operator):
    """A number around the last axes; ``widths`` are pairs (before, after)."""

    promotion = None

    def __init__(self, widths, value=0):
        self.widths, self.value = widths, value

    def forward(self, xp, x):
        return xp.pad(x, self.widths, self.value)

    def jvp_x(self, xp, t):
        return xp.pad(t, self.widths)

    def vjp_x(self, xp, g, x_spec):
        n = len(self.widths)
        sizes = x_spec.shape[len(x_spec.shape) - n :]
        inner = tuple(slice(b, b + s) for (b, _), s in zip(self.widths, sizes, strict=True))
        return g[(Ellipsis, *inner)]


_matrix_transpose = MatrixTranspose()


def reshape(x, shape, *, copy=None) -> Tensor:
    """x with another shape of as many entries, in row-major order; one size may be -1.

    ``copy=True`` gives the result memory of its own. ValueError for ``copy=False``: libraries may copy or not.
    """
    if copy is False:
        raise ValueError("reshape: copy=False cannot be kept on every backend; leave it out: no result depends on it")
    y = apply(Reshape(resolve_shape(shape, size_of(shape_of(x)))), x)
    return copied(y) if copy else y


def permute_dims(x, axes) -> Tensor:
    """x with its axes in the order ``axes``."""
    ndim = len(shape_of(x))
    found = tuple(normalize_axis(a, ndim, "permute_dims") for a in axes)
    if sorted(found) != list(range(-ndim, 0)):
        raise ValueError(f"permute_dims: axes {tuple(axes)} are not an order of the {ndim} axes")
    return apply(PermuteDims(found), x)


def transpose(x, axes=None) -> Tensor:
    """x with its axes reversed, or in the order ``axes``: NumPy's transpose."""
    ndim = len(shape_of(x))
    return permute_dims(x, tuple(reversed(range(ndim))) if axes is None else axes)


def moveaxis(x, source, destination) -> Tensor:
    """x with the axes ``source`` moved to the positions ``destination``."""
    ndim = len(shape_of(x))
    sources = [normalize_axis(a, ndim, "moveaxis") + ndim for a in _sequence(source)]
    targets = [normalize_axis(a, ndim, "moveaxis") + ndim for a in _sequence(destination)]
    if len(sources) != len(targets) or len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
        raise ValueError(f"moveaxis: source {source} and destination {destination} must be as many distinct axes")
    order = [a for a in range(ndim) if a not in sources]
    for target, source_axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source_axis)
    return permute_dims(x, order)


def _sequence(axes):
    return axes if isinstance(axes, (tuple, list)) else (axes,)


def matrix_transpose(x) -> Tensor:
    """x with its last two axes exchanged."""
    if len(shape_of(x)) < 2:
        raise ValueError(f"matrix_transpose: needs at least 2 axes, got shape {shape_of(x)}")
    return apply(_matrix_transpose, x)


def broadcast_to(x, shape) -> Tensor:
    """x repeated to ``shape`` by NumPy's rules."""
    wanted = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    have = shape_of(x)
    fits = len(have) <= len(wanted) and all(h in (1, w) for h, w in zip(have[::-1], wanted[::-1], strict=False))
    if not fits:
        raise ShapeError(f"broadcast_to: an array of shape {have} does not broadcast to {wanted}")
    return apply(BroadcastTo(wanted), x)


def expand_dims(x, axis=0) -> Tensor:
    """x with axes of size 1 at the positions ``axis`` of the result."""
    shape = shape_of(x)
    positions = _sequence(axis)
    axes = normalize_axes(tuple(positions), len(shape) + len(positions), "expand_dims")
    sizes = iter(shape)
    ndim = len(shape) + len(axes)
    return reshape(x, tuple(1 if i in axes else next(sizes) for i in range(-ndim, 0)))


def squeeze(x, axis=None) -> Tensor:
    """x without the axes ``axis``, which must have size 1; None: without any axis of size 1."""
    shape = shape_of(x)
    ndim = len(shape)
    axes = tuple(i for i in range(-ndim, 0) if shape[i] == 1) if axis is None else normalize_axes(axis, ndim, "squeeze")
    if any(shape[i] != 1 for i in axes):
        raise ShapeError(f"squeeze: cannot drop axis {axis} of an array of shape {shape}: its size is not 1")
    return reshape(x, tuple(shape[i] for i in range(-ndim, 0) if i not in axes))


def flip(x, axis=None) -> Tensor:
    """x with the entries along ``axis`` (None: every axis) in reverse order."""
    ndim = len(shape_of(x))
    axes = normalize_axes(axis, ndim, "flip")
    return getitem(x, tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(-ndim, 0)))


def concat(arrays, axis=0) -> Tensor:
    """Arrays joined along an existing ``axis`` (None: flattened first)."""
    arrays = list(arrays)
    if not arrays:
        raise ValueError("concat: needs at least one array")
    if axis is None:
        arrays, axis = [reshape(a, (-1,)) for a in arrays], 0
    shapes = [shape_of(a) for a in arrays]
    where = normalize_axis(axis, len(shapes[0]), "concat")
    for shape in shapes:
        if len(shape) != len(shapes[0]) or any(i != where and shape[i] != shapes[0][i] for i in range(-len(shape), 0)):
            raise ShapeError(f"concat: shapes differ outside axis {axis}: {', '.join(map(str, shapes))}")
    return apply(Concat(where), *arrays)


def stack(arrays, axis=0) -> Tensor:
    """Arrays of one shape joined along a new ``axis``."""
    arrays = list(arrays)
    shapes = {shape_of(a) for a in arrays}
    if len(shapes) != 1:
        raise ShapeError(f"stack: needs arrays of one shape, got {sorted(shapes)}")
    return concat([expand_dims(a, axis) for a in arrays], axis)


def pad(x, widths, value=0) -> Tensor:
    """x with the number ``value`` around its last axes: ``widths`` is a pair (before, after) for each of them."""
    pairs = tuple((int(b), int(a)) for b, a in widths)
    if len(pairs) > len(shape_of(x)) or any(n < 0 for pair in pairs for n in pair):
        raise ShapeError(f"pad: widths {pairs} do not fit an array of shape {shape_of(x)}")
    return apply(Pad(pairs, value), x)


def place(x, index, shape) -> Tensor:
    """Zeros of ``shape`` with x at a basic ``index``, behind x's leading axes."""
    return apply(Place(index, shape), x)


def getitem(x, index) -> Tensor:
    """x[index] for ints, slices, None and Ellipsis. IndexError where an int is out of bounds, on every backend."""
    return apply(GetItem(full_index(index, shape_of(x))), x)


def full_index(index, shape) -> tuple:
    """A basic index that begins with Ellipsis and names every axis, with slices inside their bounds."""
    if type(index) is slice and len(shape) == 1:  # the most frequent one, written out
        return Ellipsis, _bounded(index, shape[0], 0)
    items = index if isinstance(index, tuple) else (index,)
    named = sum(1 for item in items if item is not None and item is not Ellipsis)
    if named > len(shape) or sum(1 for item in items if item is Ellipsis) > 1:
        raise IndexOutOfBoundsError(f"index {index!r} has too many entries for an array of shape {shape}")
    if Ellipsis not in items:
        items = (*items, Ellipsis)
    full: list = [Ellipsis]
    axis = 0
    for item in items:
        if item is None:
            full.append(None)
        elif item is Ellipsis:
            full += [slice(None)] * (len(shape) - named)
            axis += len(shape) - named
        else:
            full.append(_bounded(item, shape[axis], axis))
            axis += 1
    return tuple(full)


def _bounded(item, size, axis):
    if isinstance(item, slice):
        start, stop, step = item.indices(size)
        if (stop - start) * step <= 0:
            return slice(0, 0)
        return slice(start, None if stop < 0 else stop, step)
    i = item.__index__()
    if not -size <= i < size:
        raise IndexOutOfBoundsError(f"index {i} is out of bounds for axis {axis} with size {size}")
    return i


def ones_like_shape(x, axis, fill) -> Tensor:
    """A constant like x, but of size 1 along ``axis`` and filled with ``fill``."""
    value = operand(x)[0]
    xp = backends.backend_of(value)
    shape = list(value.shape)
    shape[axis] = 1
    return Tensor(xp.full(tuple(shape), fill, dtype=value.dtype))


def line(size, axis, ndim):
    """0, 1, ... ``size`` - 1 along ``axis`` of ``ndim`` axes, the others of size 1: a host array."""
    return HOST.reshape(HOST.arange(size), tuple(size if i == axis else 1 for i in range(ndim)))
