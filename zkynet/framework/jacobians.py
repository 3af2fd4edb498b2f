"""Full Jacobians and Hessians, by batched sweeps in either direction."""

import operator
from collections.abc import Callable
from functools import wraps

from zkynet import backends
from zkynet.backends.errors import JacobianTooLargeError, NotDifferentiableError

from . import operations as op
from .axes import size_of
from .backprop import memory_limit
from .record import Record, Tensor, tensor_of
from .trace import Trace, as_argnums, title_of
from .transforms import (
    _gradient,
    _is_complex,
    _leaves_of_output,
    _number,
    _regroup,
    _sweep,
    _tangents,
    _with_aux,
    check_holomorphic,
    check_kinds,
    grad,
    handed_out,
    unwrapped,
)

CHUNK_BYTES = 64 << 20  # a Jacobian above this size is computed in chunks


def jacobian(f: Callable, argnums=0, *, mode="auto", chunk_size=None, has_aux=False, holomorphic=False) -> Callable:
    """A function that gives the full Jacobian of ``f``, of shape ``output.shape + input.shape``.

    ``mode``: "rev" takes one batched reverse sweep, "fwd" one batched forward sweep, "auto" whichever has fewer rows.
    ``chunk_size``: how many rows go through a sweep at once (default: as many as keep it below 64 MB). Inputs and
    outputs are pytrees; the result has the structure of the output, and inside it that of the argument.
    JacobianTooLargeError, a MemoryError, before anything is allocated, where the result would take more than a
    quarter of the memory.
    """
    if mode not in ("auto", "fwd", "rev"):
        raise ValueError(f"jacobian: mode must be 'auto', 'fwd' or 'rev', got {mode!r}")

    if chunk_size is not None and operator.index(chunk_size) < 1:
        raise ValueError(f"jacobian: chunk_size must be at least 1, got {chunk_size!r}")
    argnums = as_argnums(argnums)

    @wraps(f)
    def jacobian_of_f(*args, **kwargs):
        trace = Trace(f, args, argnums)
        result, aux = _with_aux(trace.run(f, kwargs), has_aux, "jacobian", f)
        outputs, tree = _leaves_of_output(result, "jacobian", f)
        way = _direction(mode, outputs, trace.leaves, holomorphic, f)
        _check_size(outputs, trace.leaves, f)
        traced = trace.traced(outputs)
        turn = holomorphic and check_kinds(outputs, trace.leaves, "jacobian", f)
        compute = _rows_backward if way == "rev" else _columns_forward
        blocks = compute(trace, outputs, chunk_size, traced, f if turn else None)
        inside = traced or trace.outer.depth > 0
        rows = [_regroup(trace, handed_out(row, traced, inside, trace.leaves), argnums) for row in blocks]
        blocks = tree.unflatten(rows)
        return (blocks, unwrapped(aux, inside)) if has_aux else blocks

    return jacobian_of_f


def _direction(mode, outputs, leaves, holomorphic, f):
    real_to_complex = False
    for x in leaves:
        if _is_complex(x) and not holomorphic:
            raise NotDifferentiableError(
                f"jacobian: an input of {title_of(f)} is complex.\n"
                "  expected: real inputs, or a holomorphic function\n"
                "Pass holomorphic=True for the complex derivative, or differentiate real and imaginary parts."
            )
    if not holomorphic:
        real_to_complex = any(_is_complex(y) for y in outputs)
    if real_to_complex and mode == "rev":
        raise NotDifferentiableError("jacobian: a complex output of real inputs needs mode='fwd'")
    if mode != "auto":
        return mode
    rows, columns = sum(_size(y) for y in outputs), sum(_size(x) for x in leaves)
    return "fwd" if real_to_complex or columns < rows else "rev"


def _shape(x: Tensor):
    return tuple(getattr(x._value, "shape", ()))


def _size(x: Tensor) -> int:
    return size_of(_shape(x))


def _bytes(x: Tensor) -> int:
    return getattr(getattr(x._value, "dtype", None), "itemsize", 8) if not _is_complex(x) else 16


def _check_size(outputs, leaves, f):
    total = sum(_size(y) * _size(x) * max(_bytes(y), _bytes(x)) for y in outputs for x in leaves)
    limit = memory_limit()
    if total > limit:
        raise JacobianTooLargeError(
            f"jacobian: the Jacobian of {title_of(f)} would take {total / 1e9:.2f} GB.\n"
            f"  limit: {limit / 1e9:.2f} GB, a quarter of the memory\n"
            "Use zk.vjp or zk.jvp for products with it, or differentiate fewer inputs or outputs at a time."
        )


def _chunks(count: int, row_bytes: int, chunk_size):
    """Ranges of rows."""
    step = chunk_size or max(1, CHUNK_BYTES // max(row_bytes, 1))
    return [(start, min(start + step, count)) for start in range(0, count, step)]


def _unit_rows(record: Record, start, stop):
    """Rows ``start`` to ``stop`` of the identity, each in the shape of a Record's output."""
    xp = record.xp
    dtype = record.dtype or xp.float64
    n = size_of(record.shape)
    rows = xp.eye(stop - start, n, k=start, dtype=dtype)
    return xp.reshape(rows, (stop - start, *record.shape))


def _rows_backward(trace, outputs, chunk_size, traced, holomorphic):
    """A list of blocks for each output: batched reverse sweeps. ``holomorphic``: the function that has to be so."""
    leaves = trace.leaves
    result = []
    for y in outputs:
        widest = max([_size(x) * _bytes(x) for x in leaves], default=1)
        pieces: list = [[] for _ in leaves]
        for start, stop in _chunks(_size(y), widest, chunk_size):
            found: list = [None] * len(leaves)
            if y.record is not None:
                g = _unit_rows(y.record, start, stop)
                lead = (stop - start,)
                found = _sweep([y.record], [tensor_of(g) if traced else g], trace.records, traced, lead)
                if holomorphic:
                    turned = _sweep([y.record], [g * 1j], trace.records, False, lead)
                    check_holomorphic(found, turned, holomorphic)
            for piece, c, leaf in zip(pieces, found, leaves, strict=True):
                piece.append(_gradient(c, leaf, traced, False, (stop - start,)))
        result.append([_joined(p, y, x, traced) for p, x in zip(pieces, leaves, strict=True)])
    return result


def _joined(pieces, y, x, traced, transposed=False):
    """Chunks of rows, or of columns, as the block of a Jacobian that belongs to output ``y`` and leaf ``x``."""
    shape, inner = _shape(y), _shape(x)
    if not pieces:
        xp = x.record.xp
        zeros = xp.zeros(shape + inner, dtype=x.record.dtype or xp.float64)
        return tensor_of(zeros) if traced else zeros
    xp = op if traced else backends.backend_of(pieces[0])
    whole = pieces[0] if len(pieces) == 1 else xp.concat(pieces, axis=0)
    if transposed:
        whole = xp.matrix_transpose(xp.reshape(whole, (size_of(inner), size_of(shape))))
    block = xp.reshape(whole, shape + inner)
    dtype = x.record.dtype or getattr(y._value, "dtype", None)  # a gradient's, whichever way it was computed
    if dtype is not None and _bare(dtype) != _bare(block.dtype) and xp.is_complex(block.dtype) == xp.is_complex(dtype):
        block = xp.astype(block, _bare(dtype))
    return block if shape + inner != () else _number(block, x)


def _bare(dtype) -> str:
    """The name of a dtype of any library, or of Python's numbers."""
    if isinstance(dtype, type):
        return "complex128" if dtype is complex else "float64"
    return str(dtype).rpartition(".")[2]


def _columns_forward(trace, outputs, chunk_size, traced, holomorphic):
    """A list of blocks for each output: batched forward sweeps, then the leading axes moved to the end."""
    leaves = trace.leaves
    result: list = [[] for _ in outputs]
    for k, x in enumerate(leaves):
        widest = max([_size(y) * _bytes(y) for y in outputs], default=1)
        pieces: list = [[] for _ in outputs]
        for start, stop in _chunks(_size(x), widest, chunk_size):
            t = _unit_rows(x.record, start, stop)
            only, lead = _Only(leaves[k]), (stop - start,)
            moved = _tangents(only, [tensor_of(t) if traced else t], outputs, traced, lead)
            if holomorphic:
                check_holomorphic(moved, _tangents(only, [t * 1j], outputs, False, lead), holomorphic)
            for piece, m in zip(pieces, moved, strict=True):
                piece.append(m)
        for block, p, y in zip(result, pieces, outputs, strict=True):
            block.append(_joined(p, y, x, traced, transposed=True))
    return result


class _Only:
    """A Trace of a single leaf."""

    def __init__(self, leaf):
        self.leaves, self.records = [leaf], [leaf.record]


def hessian(f: Callable, argnums=0, *, chunk_size=None, has_aux=False) -> Callable:
    """A function that gives the Hessian of a scalar ``f``: for an argument of shape s an array of shape ``s + s``."""
    return jacobian(grad(f, argnums, has_aux=has_aux), argnums, chunk_size=chunk_size, has_aux=has_aux)
