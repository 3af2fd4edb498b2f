"""Indexing with arrays: gather, scatter, take_along_axis, and functional writes.

Every index with arrays comes down to one operator, Take: one integer array along one axis. Several index arrays become
one of positions in the merged axes. Index arrays are inputs of the operators, without derivatives.
"""

from zkynet import backends
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from ..axes import broadcast_shapes, normalize_axis, size_of
from ..operator import Operator
from ..record import HOST, PYTHON_NUMBERS, Tensor, apply, kind_of, operand, shape_of
from .elementwise import add, divide, maximum, minimum, multiply, pow
from .shape import broadcast_to, getitem, permute_dims, reshape


class Take(Operator):
    """Entries of x at the non-negative positions ``index`` (of any shape) along one negative ``axis``."""

    nondifferentiable = ("index",)
    promotion = None

    def __init__(self, axis):
        self.axis = axis

    def forward(self, xp, x, index):
        return xp.take(x, index, axis=self.axis)

    def vjp_x(self, xp, g, index, x_spec):
        return xp.scatter_sum(g, index, x_spec.shape[self.axis], axis=self.axis)

    def jvp_x(self, xp, t, index):
        return xp.take(t, index, axis=self.axis)


class ScatterSum(Operator):
    """Zeros of ``size`` along ``axis``, with updates added at the positions ``index``: the transpose of Take."""

    nondifferentiable = ("index",)
    promotion = None

    def __init__(self, size, axis):
        self.size, self.axis = size, axis

    def forward(self, xp, updates, index):
        return xp.scatter_sum(updates, index, self.size, axis=self.axis)

    def vjp_updates(self, xp, g, index):
        return xp.take(g, index, axis=self.axis)

    def jvp_updates(self, xp, t, index):
        return xp.scatter_sum(t, index, self.size, axis=self.axis)


class ScatterSet(Operator):
    """x with ``values`` at the distinct positions ``index`` of its last axis."""

    nondifferentiable = ("index",)
    promotes = ("x", "values")

    def forward(self, xp, x, index, values):
        return xp.scatter_set(x, index, values, axis=-1)

    def vjp_x(self, xp, g, index):
        return xp.scatter_set(g, index, xp.zeros_like(xp.take(g, index, axis=-1)), axis=-1)

    def vjp_values(self, xp, g, index):
        return xp.take(g, index, axis=-1)


def take(x, indices, axis=None) -> Tensor:
    """Entries of x at integer ``indices`` along ``axis`` (None: of a 1-D array). Negative ones count from the end."""
    ndim = len(shape_of(x))
    if axis is None and ndim != 1:
        raise ValueError(f"take: an array of {ndim} dimensions needs an axis")
    where_ = normalize_axis(-1 if axis is None else axis, ndim, "take")
    index = positions(indices, shape_of(x)[where_], x, "take")
    return apply(Take(where_), x, index)


def scatter_sum(updates, index, size, axis=-1) -> Tensor:
    """Zeros of ``size`` entries along ``axis`` of the result, with ``updates`` added at the positions ``index``."""
    ndim = len(shape_of(updates)) - len(shape_of(index)) + 1
    where_ = normalize_axis(axis, ndim, "scatter_sum")
    return apply(ScatterSum(int(size), where_), updates, positions(index, int(size), updates, "scatter_sum"))


def scatter_add(x, index, updates) -> Tensor:
    """x with ``updates`` added at ``x[index]``; entries named several times receive all of their updates."""
    flat = flat_positions(index, shape_of(x))
    updates = _spread(updates, flat.shape, x)
    added = apply(ScatterSum(size_of(shape_of(x)), -1), reshape(updates, (-1,)), flat.reshape(-1))
    return add(x, reshape(added, shape_of(x)))


def _spread(values, shape, x) -> Tensor:
    """``values`` repeated to ``shape``; a Python number in the dtype of x, if that can hold it."""
    like = operand(x)[0]
    if type(operand(values)[0]) not in (float, int, complex) or type(like) in PYTHON_NUMBERS:
        return broadcast_to(values, shape)
    return multiply(values, backends.backend_of(like).ones(shape, dtype=like.dtype))


def scatter_set(x, index, values, axis=-1) -> Tensor:
    """x with ``values`` at the distinct positions ``index`` (1-D) of its last axis."""
    if axis != -1:
        raise ValueError(f"scatter_set: only the last axis, got axis={axis}; move the axis first")
    return apply(ScatterSet(), x, index, values)


def index_set(x, index, values) -> Tensor:
    """x with ``x[index]`` replaced by ``values``; where an entry is named twice the last value counts."""
    flat = flat_positions(index, shape_of(x))
    values = reshape(_spread(values, flat.shape, x), (-1,))
    flat = flat.reshape(-1)
    keep = HOST.last_of_equals(flat)
    if keep is not None:
        flat, values = flat[keep], apply(Take(-1), values, keep)
    return reshape(apply(ScatterSet(), reshape(x, (-1,)), flat, values), shape_of(x))


def take_along_axis(x, indices, axis=-1) -> Tensor:
    """``y[..., j, ...] = x[..., indices[..., j, ...], ...]``: indices has x's rank and broadcasts against it."""
    shape, wanted = shape_of(x), shape_of(indices)
    if len(shape) != len(wanted):
        raise ShapeError(f"take_along_axis: indices of shape {wanted} must have the rank of x, of shape {shape}")
    axis = normalize_axis(axis, len(shape), "take_along_axis")
    index = positions(indices, shape[axis], x, "take_along_axis")
    if len(shape) == 1:
        return apply(Take(-1), x, index)
    others = tuple(1 if i == axis else shape[i] for i in range(-len(shape), 0))
    result = list(broadcast_shapes(others, tuple(1 if i == axis else wanted[i] for i in range(-len(shape), 0))))
    result[axis] = wanted[axis]
    xp = backends.backend_of(index)
    flat, stride = xp.astype(index, xp.int64), 1
    flat = flat * size_of(shape[len(shape) + axis + 1 :])
    for i in range(-1, -len(shape) - 1, -1):
        if i != axis and shape[i] != 1:
            line = xp.reshape(xp.arange(shape[i], dtype=xp.int64), (shape[i],) + (1,) * (-i - 1))
            flat = flat + line * stride
        stride *= shape[i]
    flat = xp.broadcast_to(flat, tuple(result))
    return apply(Take(-1), reshape(x, (-1,)), flat)


def positions(index, size, like, who):
    """``index`` as non-negative integers on the backend of ``like``; IndexError where one is out of bounds."""
    raw = operand(index)[0]
    target = operand(like)[0]
    xp = backends.default_backend() if type(target) in PYTHON_NUMBERS else backends.backend_of(target)
    if type(raw) in PYTHON_NUMBERS or backends.backend_of(raw) is not xp:
        own = None if type(raw) in PYTHON_NUMBERS else backends.backend_of(raw)
        if xp.is_host and own is not None:
            xp = own
        else:
            raw = xp.asarray(raw)
    if kind_of(raw) != "integer":
        if size_of(tuple(raw.shape)) == 0:
            raw = xp.astype(raw, xp.int64)
        else:
            raise IndexOutOfBoundsError(f"{who}: indices must be integers, got dtype {raw.dtype}")
    return xp.check_index(raw, size, who)


def flat_positions(index, shape):
    """The row-major positions that ``x[index]`` names in an x of this shape: a host array of integers."""
    items = index if isinstance(index, tuple) else (index,)
    host = tuple(_host_index(item) for item in items)
    grid = HOST.reshape(HOST.arange(size_of(shape)), shape)
    try:
        return HOST.asarray(grid[host])
    except IndexError as error:
        raise IndexOutOfBoundsError(f"index {index!r}: {error}") from None


def _host_index(item):
    if item is None or item is Ellipsis or isinstance(item, (slice, bool, int)):
        return item
    value = operand(item)[0]
    if type(value) in PYTHON_NUMBERS:
        return value
    return backends.backend_of(value).to_numpy(value)


def index(x, item) -> Tensor:
    """x[item] for everything NumPy allows: ints, slices, None, Ellipsis, integer and boolean arrays, mixed."""
    if type(item) is slice or type(item) is int:
        return getitem(x, item)
    items = item if isinstance(item, tuple) else (item,)
    if all(i is None or i is Ellipsis or type(i) in (int, slice) for i in items):
        return getitem(x, item)
    quick = _whole_index(x, items[0]) if len(items) == 1 else None
    if quick is not None:
        return quick
    found = [_as_index(i) for i in items]
    parts = [part for i in found for part in (i if isinstance(i, list) else [i])]
    if not any(_is_array(i) for i in parts):
        return getitem(x, tuple(parts))
    return _advanced(x, parts)


def _whole_index(x, item):
    """x[item] for one array of integers, or of booleans in the shape of x; None for anything else."""
    xp, shape = backends.backend_of(item), shape_of(x)
    if xp is None or not shape:
        return None
    if xp.is_integer(item.dtype):
        return apply(Take(-len(shape)), x, positions(item, shape[0], x, "index"))
    if item.dtype != xp.bool or tuple(item.shape) != shape:
        return None
    places = xp.nonzero(xp.reshape(item, (-1,)))[0]
    return apply(Take(-1), reshape(x, (-1,)), positions(places, size_of(shape), x, "index"))


def _is_array(item) -> bool:
    return not (item is None or item is Ellipsis or isinstance(item, slice) or type(item) is int)


def _as_index(item):
    """An index entry in canonical form: a boolean array becomes a list of integer arrays, one for each of its axes."""
    if item is None or item is Ellipsis or type(item) in (slice, int):
        return item
    if isinstance(item, list):
        item = backends.default_backend().asarray(item) if item else HOST.zeros((0,), dtype=HOST.int64)
    value = operand(item)[0]
    if isinstance(value, bool):
        raise IndexError("a bare True or False is not an index here; use None, or x[:0] for nothing")
    if type(value) is int:
        return value
    kind = kind_of(value)
    if kind not in ("integer", "bool") or type(value) in PYTHON_NUMBERS:
        raise IndexError(f"an index must be integer or boolean, got {item!r}")
    if kind == "bool":
        return [_Mask(part, value.shape[i]) for i, part in enumerate(backends.backend_of(value).nonzero(value))]
    return value


class _Mask:
    """One axis of a boolean index: integer positions, and the size that the axis must have."""

    def __init__(self, positions, size):
        self.positions, self.size = positions, size


def _advanced(x, items):
    shape = shape_of(x)
    named = sum(1 for i in items if i is not None and i is not Ellipsis)
    if named > len(shape):
        raise IndexOutOfBoundsError(f"an index with {named} entries is too long for an array of shape {shape}")
    if Ellipsis not in [i if not _is_array(i) else 0 for i in items]:
        items = [*items, Ellipsis]
    # First the slices and new axes, as one basic index; ints stand among the arrays, as in NumPy.
    basic, arrays, axis = [], [], 0
    ellipsis = len(items)  # how many arrays stand before it
    for item in items:
        if item is Ellipsis:
            ellipsis = len(arrays)
            basic += [slice(None)] * (len(shape) - named)
            axis += len(shape) - named
            continue
        if _is_array(item) or type(item) is int:
            arrays.append((len(basic), _checked_mask(item, shape[axis], axis)))
            item = slice(None)
        basic.append(item)
        axis += item is not None
    if any(i != slice(None) for i in basic):
        x = getitem(x, tuple(basic))
    # An Ellipsis between arrays parts them, even where it stands for no axis.
    return _gather(x, [a for a, _ in arrays], [i for _, i in arrays], 0 < ellipsis < len(arrays))


def _checked_mask(item, size, axis):
    if not isinstance(item, _Mask):
        return item
    if item.size != size:
        raise IndexOutOfBoundsError(f"a boolean index of size {item.size} does not fit axis {axis} of size {size}")
    return item.positions


def _gather(x, axes, arrays, parted):
    """Index arrays at ``axes`` of x: adjacent ones act in place, parted ones move to the front, as in NumPy."""
    shape = shape_of(x)
    first = axes[0] if not parted and axes == list(range(axes[0], axes[0] + len(axes))) else 0
    rest = [a for a in range(len(shape)) if a not in axes]
    order = rest[:first] + axes + rest[first:]
    if order != list(range(len(shape))):
        x = permute_dims(x, order)
    sizes = [shape[a] for a in axes]
    parts = [positions(i, n, x, "index") for i, n in zip(arrays, sizes, strict=True)]
    try:
        broadcast_shapes(*[tuple(p.shape) for p in parts])
    except ShapeError as error:
        raise IndexError(f"index arrays: {error}") from None
    xp = backends.common_backend([backends.backend_of(p) for p in parts])
    flat = xp.asarray(parts[0])
    for part, size in zip(parts[1:], sizes[1:], strict=True):
        flat = xp.astype(flat, xp.int64) * size + xp.astype(xp.asarray(part), xp.int64)
    if len(axes) > 1:
        x = reshape(x, [shape[a] for a in rest[:first]] + [size_of(tuple(sizes))] + [shape[a] for a in rest[first:]])
    return apply(Take(first - len(shape_of(x))), x, flat)


class At:
    """``x.at[index]``: functional writes, ``.set(v)`` and ``.add(v)``, which give a new Tensor."""

    __slots__ = ("_index", "_x")

    def __init__(self, x, index=None):
        self._x, self._index = x, index

    def __getitem__(self, index):
        return At(self._x, (index,) if not isinstance(index, tuple) else index)

    def set(self, values) -> Tensor:
        """x with the entries replaced; where one is named twice the last value counts."""
        return index_set(self._x, self._index, values)

    def add(self, values) -> Tensor:
        """x with values added to the entries, all of them where one is named twice."""
        return scatter_add(self._x, self._index, values)

    def multiply(self, values) -> Tensor:
        """x with the entries multiplied by values, by all of them where one is named twice."""
        return combined(self._x, self._index, values, multiply)

    def divide(self, values) -> Tensor:
        """x with the entries divided by values, by all of them where one is named twice."""
        return combined(self._x, self._index, values, divide)

    def max(self, values) -> Tensor:
        """x with the larger of the entry and the values that are given for it."""
        return combined(self._x, self._index, values, maximum)

    def min(self, values) -> Tensor:
        """x with the smaller of the entry and the values that are given for it."""
        return combined(self._x, self._index, values, minimum)

    def power(self, values) -> Tensor:
        """x with the entries raised to the powers, one after the other where one is named twice."""
        return combined(self._x, self._index, values, pow)

    def get(self) -> Tensor:
        """The entries themselves, x[index]."""
        return index(self._x, self._index)


def combined(x, where, values, function) -> Tensor:
    """x with ``function(entry, value)`` at ``x[where]``; an entry that is named several times takes all in turn.

    Each round takes the next value of every entry, so in a round no entry is named twice.
    """
    flat = flat_positions(where, shape_of(x))
    values = reshape(_spread(values, flat.shape, x), (-1,))
    flat, line = flat.reshape(-1), reshape(x, (-1,))
    for now in HOST.rounds(flat):
        new = function(apply(Take(-1), line, flat[now]), apply(Take(-1), values, now))
        line = apply(ScatterSet(), line, flat[now], new)
    return reshape(line, shape_of(x))
