"""Arrays like others, ranges and grids under NumPy's signatures: what is differentiable in an array that is given."""

from typing import Any

from .. import op
from ..record import shape_of
from .arguments import array, cast, dtype_name, flag, refuse


def _like(name, function, a, dtype, order, shape, device):
    refuse(name, order=order, device=device)
    y = function(array(a))
    if shape is not None:
        wanted = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        y = op.broadcast_to(function(op.reshape(op.zeros_like(op.sum(array(a))), ())), wanted)
    return cast(y, dtype)


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Zeros in ``a``'s shape, dtype and backend, unless said otherwise."""
    return _like("zeros_like", op.zeros_like, a, dtype, order, shape, device)


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Ones in ``a``'s shape, dtype and backend, unless said otherwise."""
    return _like("ones_like", op.ones_like, a, dtype, order, shape, device)


def empty_like(
    prototype: Any,
    /,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Zeros: memory that was never written to has no place in a graph."""
    return _like("empty_like", op.zeros_like, prototype, dtype, order, shape, device)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """``fill_value`` in ``a``'s shape, dtype and backend, differentiable in it."""
    like = zeros_like(a, dtype, order, subok, shape, device=device)
    return op.full_like(like, array(fill_value))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """``num`` evenly spaced numbers; with their distance beside them where ``retstep``."""
    refuse("linspace", device=device)
    start, stop = array(start), array(stop)
    y = cast(op.linspace(start, stop, num, endpoint, axis=axis), dtype)
    if not flag(retstep):
        return y
    gaps = num - 1 if endpoint else num
    return y, op.divide(op.subtract(stop, start), gaps) if gaps else float("nan")


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """``base`` to the powers of linspace."""
    return cast(op.pow(base, op.linspace(array(start), array(stop), num, endpoint, axis=axis)), dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Numbers from ``start`` to ``stop``, each the same multiple of the one before."""
    if axis != 0:
        return cast(op.exp(op.linspace(op.log(array(start)), op.log(array(stop)), num, endpoint, axis=axis)), dtype)
    return cast(op.geomspace(array(start), array(stop), num, endpoint), dtype)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple:
    """The coordinates of a grid, in full or, where ``sparse``, with axes of size 1."""
    grids = op.meshgrid(*[array(x) for x in xi], indexing=indexing)
    return tuple(_line(x, k, len(xi), indexing) for k, x in enumerate(xi)) if sparse else grids


def _line(x, place, count, indexing):
    if indexing == "xy" and place < 2 <= count:
        place = 1 - place
    return op.reshape(array(x), tuple(-1 if k == place else 1 for k in range(count)))


def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None, like: Any = None
) -> Any:
    """``fill_value`` repeated, differentiable in it."""
    refuse("full", order=order, device=device, like=like)
    return op.full(shape, array(fill_value), None if dtype is None else dtype_name(dtype))


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None, like: Any = None
) -> Any:
    """A Tensor of anything: lists may hold Tensors."""
    refuse("asarray", order=order, device=device, like=like)
    if copy is False:
        raise TypeError("asarray: copy=False cannot be promised: a Tensor owns what it holds.\nLeave it out.")
    return cast(op.asarray(a), dtype)


def array_of(
    object: Any,
    dtype: Any = None,
    *,
    copy: Any = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
) -> Any:
    """NumPy's ``array``: a Tensor of anything, with at least ``ndmin`` axes."""
    refuse("array", order=order, ndmax=ndmax or None, like=like)
    y = asarray(object, dtype)
    missing = ndmin - len(shape_of(y))
    return op.reshape(y, (1,) * missing + shape_of(y)) if missing > 0 else y
