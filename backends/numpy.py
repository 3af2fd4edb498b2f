"""NumPy, the host: its own functions where they are better than the portable ones, and its memory kept."""

import ctypes
import math
import os
import sys
from functools import cache, cached_property

import numpy as np

from .base import Backend, host_array, split_updates
from .errors import IndexOutOfBoundsError, MutationError
from .mutable import Mutable
from .numpy_attention import NumpyAttention
from .numpy_entrywise import NumpyEntrywise
from .numpy_pooling import NumpyPooling
from .numpy_recurrent import NumpyRecurrent
from .philox import check_counter
from .quiet import quiet

KEEP_MEMORY = "ZKYNET_KEEP_MEMORY"
_SELECT_BY_BITS = 1024  # from this many elements on, masking the bits is faster than np.where
_COPY_BYTES = 1 << 20  # borrowed arrays up to this size are copied, larger ones fingerprinted
UPDATE_BLOCK = 1 << 18  # entries of each array that an optimizer's rule works on at a time: see numpy_update.py
_SMALL = 1 << 12  # entries
_ONE_SUM = 1 << 14  # below this many entries the ufunc alone is as fast
_SHORT = 1 << 10  # entries of a row: longer ones are summed in pairs, which keeps more digits
_SPREAD = 1 << 13  # up to this many indices are written out for all rows, more are used row by row
_BITS = {np.dtype(f"f{n}"): np.dtype(f"i{n}") for n in (2, 4, 8)} | {
    np.dtype(f"i{n}"): np.dtype(f"i{n}") for n in (4, 8)
}
_BITS |= {np.dtype("c8"): np.dtype("i4"), np.dtype("c16"): np.dtype("i8")}


class NumpyBackend(NumpyPooling, NumpyEntrywise, NumpyAttention, NumpyRecurrent, Mutable, Backend):
    """NumPy on the host. Rules run inside ``errstate()``, so that its functions do not warn."""

    is_host = True
    linalg_raises = True

    def __init__(self):
        super().__init__("numpy", np)
        self.number = np.array
        self.real_dtypes = frozenset((np.dtype("float32"), np.dtype("float64")))
        keep_memory()

    def owns(self, x):
        return isinstance(x, (np.ndarray, np.number, np.bool)) and not isinstance(x, np.timedelta64)

    # ---- ways in and out ----

    def refuse(self, x):
        """TypeError for the subclasses of ndarray whose arithmetic is not an array's."""
        if type(x) is not np.ndarray and isinstance(x, np.ma.MaskedArray):  # np.ma is loaded when first named
            raise TypeError(
                "a masked array has no gradients: operators would ignore its mask.\n"
                "  use x.filled(value), or a boolean mask with op.where"
            )
        if isinstance(x, np.matrix):
            raise TypeError("np.matrix multiplies and slices unlike an array.\n  use np.asarray(x)")

    def asarray(self, x, dtype=None, copy=None):
        if isinstance(x, np.ndarray):
            self.refuse(x)
        host = host_array(x)
        if dtype is not None:
            host = host.astype(self.own_dtype(dtype), copy=False)
        return host.copy() if copy and np.may_share_memory(host, x) else host

    def from_numpy(self, x):
        return np.array(x)

    def to_numpy(self, x):
        return np.array(x)

    def item(self, x):
        return x.item()

    def astype(self, x, dtype, copy=True):
        return x.astype(dtype, copy=copy)

    def special_functions(self):
        from .numpy_special import NumpySpecial

        return NumpySpecial(self)

    def errstate(self):
        return quiet()

    def dtype_of_name(self, name):
        return np.dtype(name)

    # ---- who may change an array ----

    def read_only(self, x):
        if type(x) is np.ndarray and x.flags.writeable:
            x = x.view()
            x.flags.writeable = False
        return x

    def is_writable(self, x):
        while isinstance(x, np.ndarray):
            if x.flags.writeable:
                return True
            x = x.base
        return x is not None and not isinstance(x, (bytes, np.generic))

    def borrow(self, x):
        if not isinstance(x, np.ndarray) or not self.is_writable(x):
            return x, None
        if x.nbytes <= _COPY_BYTES:
            return x.copy(), None
        return x, Fingerprint(x)

    def own(self, x):
        return np.array(x)

    @cached_property
    def _updates(self):  # not an import a call: half a microsecond, twice a step
        from . import numpy_update

        return numpy_update

    def hand_over(self, items):
        held_alone = self._updates.held_alone
        for i in range(len(items)):
            if type(items[i]) is np.ndarray and not held_alone(items, i):
                items[i] = items[i].copy()

    def update_in_blocks(self, rule, groups, scalars):
        return self._updates.update_in_blocks(self, rule, groups, scalars, UPDATE_BLOCK)

    # ---- what NumPy wraps in Python, called directly: a microsecond each, in every step ----

    def full(self, shape, fill_value, dtype=None):
        if dtype is None or type(fill_value) is not float:
            return np.full(shape, fill_value, dtype)
        x = np.empty(shape, dtype)
        x.fill(fill_value)
        return x

    def reshape(self, x, shape, copy=None):
        return x.reshape(shape)

    def sum(self, x, axis=None, dtype=None, keepdims=False):
        if axis is not None and x.size >= _ONE_SUM and (dtype is None or dtype is x.dtype):
            total = _sum_by_blas(x, axis, keepdims)
            if total is not None:
                return total
        return np.add.reduce(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def max(self, x, axis=None, keepdims=False):
        return np.maximum.reduce(x, axis=axis, keepdims=keepdims)

    def min(self, x, axis=None, keepdims=False):
        return np.minimum.reduce(x, axis=axis, keepdims=keepdims)

    def mean(self, x, axis=None, keepdims=False):
        if x.dtype.char not in "fd":
            return np.mean(x, axis=axis, keepdims=keepdims)
        total = self.sum(x, axis, keepdims=keepdims)
        return total / x.dtype.type(x.size / total.size if total.size else 1)

    def any(self, x, axis=None, keepdims=False):
        return np.logical_or.reduce(x, axis=axis, keepdims=keepdims)

    def all(self, x, axis=None, keepdims=False):
        return np.logical_and.reduce(x, axis=axis, keepdims=keepdims)

    def expand_dims(self, x, axis=0):
        if axis == -1:
            return x[..., None]
        return x[..., None, :] if axis == -2 and x.ndim else np.expand_dims(x, axis)

    def broadcast_to(self, x, shape):
        if math.prod(shape) > _SMALL:
            return np.broadcast_to(x, shape)
        full = np.empty(shape, x.dtype)  # a few entries are written sooner than a view is made
        full[...] = x
        return full

    def matrix_transpose(self, x):
        return x.mT if type(x) is np.ndarray else np.matrix_transpose(x)

    def matmul(self, a, b):
        # NumPy multiplies a stack matrix by matrix: a stack of rows, or of columns, is one product.
        if b.ndim == 2 < a.ndim and (a.flags.c_contiguous or a.shape[-2] == 1):
            rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return np.matmul(rows, b).reshape(*a.shape[:-1], b.shape[-1])
        if a.ndim == 2 < b.ndim and b.shape[-1] == 1:
            rows = b.reshape(math.prod(b.shape[:-2]), b.shape[-2])
            return np.matmul(rows, a.mT).reshape(*b.shape[:-2], a.shape[0], 1)
        return np.matmul(a, b)

    def weights(self, x, axis):
        top = np.maximum.reduce(x, axis=axis, keepdims=True) if x.size and x.ndim and x.dtype.char in "fd" else None
        if top is None or not np.logical_and.reduce(np.isfinite(top), axis=None):
            return super().weights(x, axis)
        e = np.subtract(x, top)
        np.exp(e, out=e)
        e /= np.add.reduce(e, axis=axis, keepdims=True)
        return e

    def shifted(self, a, b):
        if np.isfinite(b).all():
            return a - b
        with np.errstate(invalid="ignore"):
            return super().shifted(a, b)

    # ---- products and masks ----

    def silence(self, gate, c):
        if np.isfinite(_squares(c)):  # all entries are
            return c
        return super().silence(gate, c)

    def relu(self, x):
        return np.maximum(x, x.dtype.type(0))

    def multiply_no_nan(self, g, d, out=None):
        if out is not None and np.isfinite(_squares(d)):  # looked at first: out may be g or d
            return np.multiply(g, d, out=out)
        product = g * d
        if _has_nan(product):
            hole = np.logical_and(np.equal(g, 0), ~np.isfinite(d))
            if product.ndim == 0:
                return product.dtype.type(0) if hole else product
            np.copyto(product, 0, where=hole)
        if out is None:
            return product
        np.copyto(out, product)
        return out

    def select(self, mask, g):
        bits = _BITS.get(g.dtype)
        if bits is None or g.size < _SELECT_BY_BITS or mask.dtype != bool:
            return np.where(mask, g, _zero(g.dtype))[()]
        if g.dtype.kind == "c":
            if mask.shape != g.shape or not (mask.flags.c_contiguous and g.flags.c_contiguous):
                return np.where(mask, g, _zero(g.dtype))
            mask = np.multiply(mask.view(np.uint8), 0x0101, dtype=np.uint16)  # one flag for each of the two parts
        keep = mask.view(np.int8).astype(bits)
        whole = g.view(bits)
        return np.multiply(whole, keep, out=keep if keep.shape == whole.shape else None).view(g.dtype)

    def sigmoid(self, x):
        with np.errstate(over="ignore"):
            y = np.exp(np.negative(x))
        if type(y) is not np.ndarray:
            return 1 / (1 + y)
        y += 1
        return np.reciprocal(y, out=y)

    def cumulative_sum(self, x, axis=-1, reverse=False):
        return _cumulative(np.cumsum, x, axis, reverse)

    def cumulative_prod(self, x, axis=-1, reverse=False):
        return _cumulative(np.cumprod, x, axis, reverse)

    # ---- axes and indices ----

    def check_index(self, index, size, what="index"):
        if index.dtype.kind not in "iu":
            raise TypeError(f"{what}: an index is an integer array; got dtype {index.dtype}")
        if not index.size:
            return index.astype(np.int64, copy=False)
        if index.dtype == np.int64 and int(np.maximum.reduce(index.view(np.uint64), axis=None)) < size:
            return index  # a negative number is a huge one there: one look is enough
        low, high = int(index.min()), int(index.max())
        if low < -size or high >= size:
            worst = low if low < -size else high
            raise IndexOutOfBoundsError(f"{what}: index {worst} is out of bounds for an axis of length {size}")
        index = index.astype(np.int64, copy=False)
        return np.where(index < 0, index + size, index) if low < 0 else index

    def take(self, x, index, axis):
        return np.take(x, index, axis=axis)

    def scatter_sum(self, updates, index, size, axis):
        lead, count, rest = split_updates(updates.shape, np.shape(index), axis)
        rows, columns = math.prod(lead), math.prod(rest)
        total = np.zeros((rows, size, columns), updates.dtype)
        _add_rows(total, np.reshape(index, -1), np.reshape(updates, (rows, count, columns)))
        return total.reshape(lead + (size,) + rest)

    def last_of_equals(self, index):
        """Where the last one of each value stands in the 1-D ``index``; None where all are distinct."""
        _, first = np.unique(index[::-1], return_index=True)
        return None if first.size == index.size else np.sort(index.size - 1 - first)

    def rounds(self, index):
        """The positions of the 1-D ``index`` in parts, in order, such that no value stands twice in a part."""
        left, parts = np.arange(index.size), []
        while left.size:
            first = np.sort(np.unique(index[left], return_index=True)[1])
            parts.append(left[first])
            left = np.delete(left, first)
        return parts

    def scatter_set(self, x, index, values, axis):
        cut = (Ellipsis, index) + (slice(None),) * (-axis - 1)
        if values.ndim > x.ndim:
            x = np.broadcast_to(x, values.shape[: values.ndim - x.ndim] + x.shape)
        lead = np.broadcast_shapes(x.shape[:axis], values.shape[:axis])
        result = np.array(np.broadcast_to(x, lead + x.shape[x.ndim + axis :]))
        result[cut] = values
        return result

    # ---- convolution and random numbers ----

    def _conv(self, x, w, stride, padding, dilation, groups):
        from .numpy_conv import conv

        return conv(x, w, stride, padding, dilation, groups)

    def _conv_input(self, g, w, input_shape, stride, padding, dilation, groups):
        from .numpy_conv import conv_input

        return conv_input(g, w, input_shape, stride, padding, dilation, groups)

    def _conv_filter(self, x, g, kernel_shape, stride, padding, dilation, groups):
        from .numpy_conv import conv_filter

        return conv_filter(x, g, kernel_shape, stride, padding, dilation, groups)

    def random_bits(self, key, counter, n):
        check_counter(counter)
        before = (int(counter) - 1) % (1 << 256)  # NumPy counts up before it draws
        words = [(before >> shift) & ((1 << 64) - 1) for shift in (0, 64, 128, 192)]
        keys = [int(k) & ((1 << 64) - 1) for k in key]
        bits = np.random.Philox(counter=np.array(words, np.uint64), key=np.array(keys, np.uint64))
        return bits.random_raw(n) if n else np.zeros(0, np.uint64)


@cache
def _zero(dtype):
    return np.zeros((), dtype)


def _has_nan(x) -> bool:
    """Whether some entry of ``x`` may be NaN: its sum of squares is NaN then, and BLAS adds them up fastest."""
    total = _squares(x)
    return bool(total != total)


def _squares(x):
    """The sum of the squared absolute values."""
    line = x.ravel("K")  # in the order of the memory: no copy of a transposed array
    return np.vdot(line, line) if line.size < _ONE_SUM else _on_one_thread(np.vdot, line, line)


def _on_one_thread(f, a, b):
    """``f(a, b)`` without OpenBLAS's other threads: memory is what it waits for, and they would stay awake."""
    from .threads import blas_threads_set  # few programs need it

    with blas_threads_set(1):
        return f(a, b)


def _sum_by_blas(x, axis, keepdims):
    """The sums over the first axes, or over the last ones, by a product with ones: 3 to 6 times faster; else None."""
    n = x.ndim
    axes = [i + n if i < 0 else i for i in (axis if isinstance(axis, tuple) else (axis,))]
    cut = len(axes)
    if not 0 < cut < n or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return None
    if axes == list(range(cut)):
        count = math.prod(x.shape[:cut])
        factors = np.ones(count, x.dtype), x.reshape(count, -1)
    elif axes == list(range(n - cut, n)) and math.prod(x.shape[-cut:]) <= _SHORT:
        count = math.prod(x.shape[-cut:])
        factors = x.reshape(-1, count), np.ones(count, x.dtype)
    else:
        return None
    total = _on_one_thread(np.matmul, *factors)
    return total.reshape([1 if i in axes else length for i, length in enumerate(x.shape) if keepdims or i not in axes])


def _cumulative(f, x, axis, reverse):
    if not reverse:
        return f(x, axis=axis, dtype=x.dtype)
    return np.flip(f(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)


def _add_rows(total, index, updates):
    """Add (rows, count, columns) updates into ``total`` (rows, size, columns) at the 1-D ``index``.

    ``np.add.at`` is fast for flat arrays alone, so every column gets its own index.
    """
    if not updates.size:
        return
    rows, size, columns = total.shape
    index = (index[:, None] * columns + np.arange(columns)).reshape(-1) if columns > 1 else index
    if rows * index.size <= _SPREAD:
        index = (index + size * columns * np.arange(rows)[:, None]).reshape(-1)
        np.add.at(total.reshape(-1), index, updates.reshape(-1))
    else:
        for one, part in zip(total, updates):
            np.add.at(one.reshape(-1), index, part.reshape(-1))


def _checksum(array) -> int:
    """The CRC of an array's bytes."""
    import zlib

    return zlib.crc32(np.ascontiguousarray(array))


class Fingerprint:
    """What tells whether the caller has changed a large array that he lent: a checksum of its bytes."""

    __slots__ = ("array", "checksum")

    def __init__(self, array):
        self.array = array
        self.checksum = _checksum(array)

    def changed(self) -> bool:
        """Whether the array differs from what it was."""
        return _checksum(self.array) != self.checksum

    def check(self, what="an input") -> None:
        """MutationError where the array has changed."""
        if self.changed():
            raise MutationError(
                f"{what} was changed between the forward pass and the gradient that needs its old values.\n"
                f"  array: shape {self.array.shape}, {self.array.dtype}, too large for zkynet to keep a copy\n"
                "Change a copy, or compute the gradient first. An array marked read-only (a.flags.writeable = False) "
                "is neither copied nor checked."
            )


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_memory_kept: bool | None = None


def memory_kept() -> bool:
    """Whether freed memory is kept for reuse, not given back to the system after every step."""
    return bool(_memory_kept)


def keep_memory() -> None:
    """Have glibc keep freed memory, once a process; nothing where there is no glibc or ZKYNET_KEEP_MEMORY=0.

    Pages given back to the system and asked for again stall a step for milliseconds (docs/performance).
    """
    global _memory_kept
    if _memory_kept is not None:
        return
    _memory_kept = False
    if os.environ.get(KEEP_MEMORY, "1") == "0" or not sys.platform.startswith("linux"):
        return
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  (raises where the C library is another)
        largest = 1 << 25  # the most that glibc's heaps take; larger arrays still come from the system
        _memory_kept = libc.mallopt(M_MMAP_THRESHOLD, largest) == 1
        _memory_kept = libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1) == 1 and _memory_kept
    except (OSError, AttributeError):
        return


def give_back_memory() -> None:
    """Give what is kept and free to the system, once: behind a run that took more than those that follow will."""
    if memory_kept():
        ctypes.CDLL(None).malloc_trim(0)
