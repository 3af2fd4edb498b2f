"""Shapes only: what the engine and the rules say about axes, without touching an array."""

from zkynet.backends.errors import AxisError, ShapeError

Shape = tuple[int, ...]


def lead_shape(g, y_spec) -> Shape:
    """The leading axes of a cotangent: ``g.shape == lead + y.shape``."""
    return g.shape[: len(g.shape) - len(y_spec.shape)]


def unbroadcast(xp, c, lead_ndim: int, shape: Shape):
    """Sum ``c`` down to ``shape``, leaving its first ``lead_ndim`` axes alone."""
    added = len(c.shape) - lead_ndim - len(shape)
    if added:
        c = xp.sum(c, axis=tuple(range(lead_ndim, lead_ndim + added)))
    ones = tuple(i for i in range(-len(shape), 0) if shape[i] == 1 != c.shape[i])
    return xp.sum(c, axis=ones, keepdims=True) if ones else c


def unbroadcastable(got: Shape, lead: Shape, shape: Shape) -> bool:
    """Whether an array of shape ``got`` is ``lead + shape`` after broadcasting of ``shape``."""
    rest = got[len(lead) :]
    if got[: len(lead)] != lead or len(rest) < len(shape):
        return False
    tail = rest[len(rest) - len(shape) :]
    return all(have == want or want == 1 for have, want in zip(tail, shape, strict=True))


def align(xp, t, lead: Shape, shape: Shape, ndim: int):
    """Give a tangent of shape ``lead + shape`` axes of size 1, so that it has rank ``len(lead) + ndim``."""
    missing = ndim - len(shape)
    return xp.reshape(t, lead + (1,) * missing + shape) if lead and missing > 0 else t


def normalize_axis(axis: int, ndim: int, who: str = "axis") -> int:
    """``axis`` counted from the right, in ``-ndim .. -1``; AxisError when it is out of range."""
    index = axis.__index__()
    if not -ndim <= index < ndim:
        raise AxisError(f"{who}: axis {index} is out of bounds for an array of {ndim} dimensions")
    return index - ndim if index >= 0 else index


def normalize_axes(axis, ndim: int, who: str = "axis") -> Shape:
    """A sorted tuple of negative axes of ``axis``: None means all of them, ``()`` none."""
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    found = sorted(normalize_axis(a, ndim, who) for a in axes)
    if len(set(found)) != len(found):
        raise ShapeError(f"{who}: duplicate axis in {tuple(axes)} for an array of {ndim} dimensions")
    return tuple(found)


def kept_shape(shape: Shape, axes: Shape) -> Shape:
    """``shape`` with 1 at the (negative) ``axes``: what a reduction with ``keepdims`` leaves."""
    return tuple(1 if i in axes else shape[i] for i in range(-len(shape), 0))


def resolve_shape(shape, size: int) -> Shape:
    """A target shape with its one ``-1`` replaced, checked against ``size`` elements."""
    wanted = tuple(int(n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    known = 1
    for n in wanted:
        known *= 1 if n == -1 else n
    if wanted.count(-1) == 1 and known and size % known == 0:
        return tuple(size // known if n == -1 else n for n in wanted)
    if wanted.count(-1) or known != size or min(wanted, default=0) < 0:
        raise ShapeError(f"reshape: cannot give an array of {size} elements the shape {wanted}")
    return wanted


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The common shape under NumPy's broadcasting; ShapeError when there is none."""
    ndim = max((len(s) for s in shapes), default=0)
    result = []
    for i in range(-ndim, 0):
        sizes = {s[i] for s in shapes if len(s) >= -i} - {1}
        if len(sizes) > 1:
            raise ShapeError("shapes do not broadcast together: " + ", ".join(map(str, shapes)))
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def size_of(shape: Shape) -> int:
    """The number of elements of an array of this shape."""
    n = 1
    for length in shape:
        n *= length
    return n
