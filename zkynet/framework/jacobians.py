"""Full Jacobians and Hessians, by batched sweeps in either direction."""

import operator
from collections.abc import Callable
from functools import wraps
from typing import Any

from zkynet import backends
from zkynet.backends.errors import JacobianTooLargeError, NotDifferentiableError

from . import op
from .axes import size_of
from .backprop import between, memory_limit
from .diagonal import Start, identity_rows
from .record import Record, Tensor, tensor_of, value_of
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

CHUNK_BYTES = 64 << 20  # a Jacobian above this size is computed in chunks, of at most so much
CHUNKS = 32  # at least so many then: a sweep holds several arrays of a chunk's size at a time
CACHE_BYTES = 1 << 19  # on the host smaller Jacobians come in chunks of this size, which costs little


def jacobian(f: Callable, argnums=0, *, mode="auto", chunk_size=None, has_aux=False, holomorphic=False) -> Callable:
    """A function that gives the full Jacobian of ``f``, of shape ``output.shape + input.shape``.

    ``mode``: "rev" takes one batched reverse sweep, "fwd" one batched forward sweep, "auto" whichever has fewer rows.
    ``chunk_size``: how many rows go through a sweep at once (default: what keeps the memory taken below 1.3 times the
    result's, from 64 MB on, and below 3 times that of a smaller one; on backends whose arrays can be written to).
    Inputs and outputs are pytrees; the result has the structure of the output, and inside it that of the argument.
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
        chunks = _Chunks(chunk_size, _check_size(outputs, trace.leaves, f))
        traced = trace.traced(outputs)
        turn = holomorphic and check_kinds(outputs, trace.leaves, "jacobian", f)
        compute = _rows_backward if way == "rev" else _columns_forward
        blocks = compute(trace, outputs, chunks, traced, f if turn else None)
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
    rows, columns = sum([_size(y) for y in outputs]), sum([_size(x) for x in leaves])
    return "fwd" if real_to_complex or columns < rows else "rev"


def _shape(x: Tensor):
    return tuple(getattr(x._value, "shape", ()))


def _size(x: Tensor) -> int:
    return size_of(_shape(x))


def _bytes(x: Tensor) -> int:
    """The bytes of an entry, 16 of a complex one."""
    record = x.record
    if record is not None and record.dtype in record.xp.real_dtypes:
        return getattr(record.dtype, "itemsize", 8)
    return getattr(getattr(x._value, "dtype", None), "itemsize", 8) if not _is_complex(x) else 16


def _check_size(outputs, leaves, f) -> int:
    """The bytes of the whole Jacobian; JacobianTooLargeError where they are too many."""
    columns = [(_size(x), _bytes(x)) for x in leaves]
    total = 0
    for y in outputs:
        rows, width = _size(y), _bytes(y)
        total += sum([rows * n * max(width, bytes_) for n, bytes_ in columns])
    limit = memory_limit()
    if total > limit:
        raise JacobianTooLargeError(
            f"jacobian: the Jacobian of {title_of(f)} would take {total / 1e9:.2f} GB.\n"
            f"  limit: {limit / 1e9:.2f} GB, a quarter of the memory\n"
            "Use zk.vjp or zk.jvp for products with it, or differentiate fewer inputs or outputs at a time."
        )
    return total


class _Chunks:
    """How many rows go through a sweep at once: as many as ``chunk_size`` says, or as fit into the memory allowed."""

    def __init__(self, chunk_size, total):
        self.chunk_size, self.total = chunk_size, total  # total: bytes of the whole Jacobian

    def ranges(self, count: int, order, xp) -> list[tuple[int, int]]:
        """``count`` rows in ranges; ``order``: the Records that they pass."""
        # A sweep holds a few arrays of the widest at a time. On the host small ones pay anyway: they stay in its cache.
        large = xp.is_host or self.total > CHUNK_BYTES
        room = max(self.total // CHUNKS, CACHE_BYTES) if large else CHUNK_BYTES
        widest = max([_record_bytes(record) for record in order], default=1)
        step = self.chunk_size or max(1, room // max(widest, 1))
        return [(start, min(start + step, count)) for start in range(0, count, step)]


def _record_bytes(record: Record) -> int:
    if type(record.dtype) is tuple:
        return sum(size_of(s) * getattr(d, "itemsize", 8) for s, d in zip(record.shape, record.dtype, strict=True))
    return size_of(record.shape) * getattr(record.dtype, "itemsize", 8)


class _Block:
    """The Jacobian of the output ``y`` by the leaf ``x``, filled with rows, or with ``columns``, as they come."""

    def __init__(self, y: Tensor, x: Tensor, traced: bool, columns=False):
        self.y, self.x, self.traced, self.columns = y, x, traced, columns
        self.lines = _size(x if columns else y)
        self.matrix: Any = None  # where the backend's arrays can be written to and there is more than one chunk
        self.pieces: list = []

    def add(self, start: int, stop: int, piece) -> None:
        """Lines ``start`` to ``stop``, of shape ``(stop - start,) +`` that of the other end."""
        xp = None if self.traced else backends.backend_of(piece)
        if xp is None or not xp.is_mutable or stop - start == self.lines:
            self.pieces.append(piece)
            return
        if self.matrix is None:
            self.matrix = xp.empty((_size(self.y), _size(self.x)), dtype=self._dtype(xp, piece))
        if self.columns:
            self.matrix[:, start:stop] = xp.matrix_transpose(xp.reshape(piece, (stop - start, -1)))
        else:
            self.matrix[start:stop] = xp.reshape(piece, (stop - start, -1))

    def whole(self):
        """The block, of shape ``y.shape + x.shape``; a Python number where both are."""
        y, x, shape = self.y, self.x, _shape(self.y) + _shape(self.x)
        if self.matrix is not None:
            return backends.backend_of(self.matrix).reshape(self.matrix, shape)
        if not self.pieces:
            zeros = x.record.xp.zeros(shape, dtype=x.record.dtype or x.record.xp.float64)
            return tensor_of(zeros) if self.traced else zeros
        xp = op if self.traced else backends.backend_of(self.pieces[0])
        whole = self.pieces[0] if len(self.pieces) == 1 else xp.concat(self.pieces, axis=0)
        if self.columns:
            whole = xp.matrix_transpose(xp.reshape(whole, (_size(x), _size(y))))
        block = xp.reshape(whole, shape)
        dtype = self._dtype(xp, block)
        block = block if dtype == block.dtype else xp.astype(block, dtype)
        return block if shape != () else _number(block, x)

    def _dtype(self, xp, piece):
        """That of a gradient, whichever way it was computed."""
        dtype = self.x.record.dtype or getattr(self.y._value, "dtype", None)
        if dtype is None or dtype is piece.dtype or _bare(dtype) == _bare(piece.dtype):
            return piece.dtype
        if xp.is_complex(dtype) != xp.is_complex(piece.dtype):
            return piece.dtype
        return backends.backend_of(value_of(piece)).own_dtype(_bare(dtype))


def _bare(dtype) -> str:
    """The name of a dtype of any library, or of Python's numbers."""
    if isinstance(dtype, type):
        return "complex128" if dtype is complex else "float64"
    return str(dtype).rpartition(".")[2]


def _rows_backward(trace, outputs, chunks, traced, holomorphic):
    """A list of blocks for each output, by batched reverse sweeps. ``holomorphic``: the function that has to be so."""
    result = []
    for y in outputs:
        blocks = [_Block(y, x, traced) for x in trace.leaves]
        ranges, sweep = _sweeps(y, trace, chunks, traced, holomorphic)
        for start, stop in ranges:
            found = sweep(start, stop)
            for i, (block, x) in enumerate(zip(blocks, trace.leaves, strict=True)):
                block.add(start, stop, _gradient(found[i], x, traced, False, (stop - start,)))
                found[i] = None
        result.append([block.whole() for block in blocks])
    return result


def _sweeps(y, trace, chunks, traced, holomorphic):
    """The chunks of rows of one output, and a function of (start, stop) that gives the leaves' cotangents."""
    if y.record is None or not trace.leaves:
        return (), None
    if traced or holomorphic:
        return _whole_sweeps(y, trace, chunks, traced, holomorphic)
    return _short_sweeps(y, trace, chunks)


def _short_sweeps(y, trace, chunks):
    """The same by sweeps that begin where rows are needed."""
    asked = trace.records
    begin = Start(y.record, asked)
    if not begin.order:
        return (), None
    if begin.diagonals and all([record in asked for record in begin.order]):  # no step is left

        def written_out(start, stop):
            found = dict(zip(*begin.rows(start, stop), strict=True))
            return [found.get(record) for record in asked]

        return [(0, _size(y))], written_out

    def sweep(start, stop):
        records, cotangents = begin.rows(start, stop)
        return _sweep(records, cotangents, asked, False, (stop - start,), order=begin.order, careful=begin.careful)

    return chunks.ranges(_size(y), begin.order, y.record.xp), sweep


def _whole_sweeps(y, trace, chunks, traced, holomorphic):
    """The same by sweeps from the output itself, recorded or checked."""
    asked = trace.records
    order = between([y.record], set(asked))

    def sweep(start, stop):
        g, lead = identity_rows(y.record, start, stop), (stop - start,)
        found = _sweep([y.record], [tensor_of(g) if traced else g], asked, traced, lead, order=order)
        if holomorphic:
            check_holomorphic(found, _sweep([y.record], [g * 1j], asked, False, lead, order=order), holomorphic)
        return found

    return chunks.ranges(_size(y), order, y.record.xp), sweep


def _columns_forward(trace, outputs, chunks, traced, holomorphic):
    """A list of blocks for each output, by batched forward sweeps."""
    result: list = [[] for _ in outputs]
    roots = [y.record for y in outputs if y.record is not None]
    for x in trace.leaves:
        only, blocks = _Only(x), [_Block(y, x, traced, columns=True) for y in outputs]
        order = between(roots, {x.record}) if roots else ()
        for start, stop in chunks.ranges(_size(x), order, x.record.xp):
            t, lead = identity_rows(x.record, start, stop), (stop - start,)
            moved = _tangents(only, [tensor_of(t) if traced else t], outputs, traced, lead, order)
            if holomorphic:
                check_holomorphic(moved, _tangents(only, [t * 1j], outputs, False, lead, order), holomorphic)
            for i, block in enumerate(blocks):
                block.add(start, stop, moved[i])
                moved[i] = None
        for row, block in zip(result, blocks, strict=True):
            row.append(block.whole())
    return result


class _Only:
    """A Trace of a single leaf."""

    def __init__(self, leaf):
        self.leaves, self.records = [leaf], [leaf.record]


def hessian(f: Callable, argnums=0, *, chunk_size=None, has_aux=False) -> Callable:
    """A function that gives the Hessian of a scalar ``f``: for an argument of shape s an array of shape ``s + s``."""
    return jacobian(grad(f, argnums, has_aux=has_aux), argnums, chunk_size=chunk_size, has_aux=has_aux)
