"""Backend: the array protocol that operators are written against, implemented portably.

The protocol is the Python array API standard and a short list of extras that gradient rules need and the standard
lacks. A Backend binds the standard's functions of its library as attributes, once, so that ``xp.exp`` is the library's
own function; the extras are methods, written here on the standard alone: no in-place writes, no indexing beyond slices
and ``take``. A backend overrides what its library does better, and a contract test compares the two.
"""

from contextlib import nullcontext
from functools import cached_property, partial
from operator import attrgetter
from typing import Any

import numpy as np

from . import convolution, philox, standard
from .contraction import contract
from .errors import IndexOutOfBoundsError, MixedBackendsError, PrecisionError
from .portable import Portable

PYTHON_NUMBERS = (bool, int, float, complex)
_WEAK = {bool: np.dtype(bool), int: 0, float: 0.0, complex: 0j}
_INEXACT_OF = {"bool": "float16", "int8": "float16", "uint8": "float16", "int16": "float32", "uint16": "float32"}
_NULL = nullcontext()


class Backend(Portable):
    """One array library, and one of its devices where that has to be chosen: what rules receive as ``xp``.

    ``xp.linalg`` and ``xp.fft`` hold the standard's extensions, ``xp.float32`` ... its dtypes. The extras' arguments
    called ``axis`` are negative, counted from the right, and everything to their left may be leading axes.
    """

    is_host = False  # True for NumPy alone: the arrays live in the host's memory and can be written to
    is_mutable = False  # True where a rule has to borrow what it keeps of the caller's arrays, and copy views of them
    reads_wait = False  # True where the host, to read a value, has to wait for all that the device still does
    linalg_raises = False  # True where the library itself raises on singular matrices

    def __init__(self, name, namespace, device=None):
        self.name = name
        self.namespace = namespace
        self.device = device
        for item in standard.FUNCTIONS:
            if not hasattr(type(self), item) and hasattr(namespace, item):
                setattr(self, item, getattr(namespace, item))
        if device is not None:
            for item in standard.CREATION:
                setattr(self, item, partial(getattr(namespace, item), device=device))
        self.dtypes = {item: getattr(namespace, item) for item in standard.DTYPES if hasattr(namespace, item)}
        for item, dtype in self.dtypes.items():
            setattr(self, item, dtype)
        self.real_dtypes = frozenset(self.dtypes[name] for name in ("float32", "float64") if name in self.dtypes)
        for item in standard.CONSTANTS:
            setattr(self, item, getattr(np, item))
        self._names: dict = {}
        self._kinds: dict = {}
        self._inexact: dict = {}
        self._promoted: dict = {}

    def __repr__(self) -> str:
        return f"<backend {self.name}>"

    def __reduce__(self):
        return _by_name, (self.name,)

    # ---- the extensions: loaded when they are first asked for, as most programs need none ----

    @cached_property
    def linalg(self):
        """The standard's linear algebra and ``linalg_extras``."""
        from .linalg import LinAlg

        return LinAlg(self)

    @cached_property
    def special(self):
        """The special functions."""
        return self.special_functions()

    @cached_property
    def fft(self):
        """The standard's Fourier transforms, where the library has them."""
        return standard.extension(self.namespace.fft, standard.FFT)

    # ---- which arrays, and the ways in and out ----

    def owns(self, x) -> bool:
        """Whether ``x`` is an array of this backend."""
        raise NotImplementedError

    def owns_type(self, kind) -> bool:
        """Whether every instance of ``kind`` belongs to this backend, whatever its device."""
        return self.device is None

    def selected(self) -> None:
        """Called when a user asks for this backend by name: what has to be set in its library is set here."""

    def asarray(self, x, dtype=None, copy=None):
        """``x`` (an own array, a Python number, nested lists, a NumPy array) as an own array, of ``dtype`` where given.

        Host arrays are copied to the device; arrays of another device library, objects and strings are a TypeError.
        ``copy=True`` always copies.
        """
        if self.owns(x):
            dtype = x.dtype if dtype is None else self.own_dtype(dtype)
            return self.astype(x, dtype, copy=True) if copy or x.dtype != dtype else x
        host = host_array(x)
        if dtype is not None:
            host = host.astype(self.name_of(dtype), copy=False)
        return self.from_numpy(host)

    def from_numpy(self, x):
        """The NumPy array ``x`` copied to an own array of the same dtype."""
        return self.namespace.asarray(x, device=self.device, copy=True)

    def to_numpy(self, x):
        """The own array ``x`` copied to a NumPy array: the explicit way out."""
        try:
            return np.array(np.from_dlpack(x))
        except (BufferError, RuntimeError, TypeError, ValueError):  # a device that NumPy cannot read
            return np.array(np.from_dlpack(x, device="cpu", copy=True))

    def item(self, x):
        """The one element of ``x`` as a Python number."""
        return self.to_numpy(x).item()

    def read_only(self, x):
        """``x`` in a form that its receiver cannot write to."""
        return x

    def is_writable(self, x) -> bool:
        """Whether somebody could change the elements of ``x``."""
        return False

    def borrow(self, x):
        """``(array, guard)``: ``x`` to be kept for later; call ``guard.check(what)`` before use, if it is not None."""
        return x, None

    def is_traced(self, x) -> bool:
        """Whether ``x`` has no value yet, inside a function that is being compiled."""
        return False

    has_own_vjp = False  # whether ``vjp`` differentiates by means of the library's own

    def vjp(self, f, arrays, g):
        """The cotangents of ``arrays`` under ``f(*arrays)`` for the output's ``g``, by the library itself."""
        raise NotImplementedError(f"{self.name} does not differentiate")

    def compile(self, f, donated=()):
        """``f``, a function of own arrays in nested containers, compiled where the library can.

        ``donated`` are positions of arguments whose arrays the compiled function may overwrite.
        """
        return f

    # For libraries that run kernels: ``elementwise_kernel(inputs, outputs, operation, name)`` gives a function of
    # arrays and numbers that runs the C text ``operation`` for each entry, and returns the tuple of its outputs;
    # ``captured(run, arrays)`` does so for all that ``run(arrays)`` launches: see cupy_graph.py.
    elementwise_kernel: Any = None
    captured: Any = None

    def synchronize(self, x):
        """``x``, once the device has computed it."""
        return x

    # What tells shapes and dtypes of own arrays: something equal for equal ones alone. AttributeError for others.
    spec_of = staticmethod(attrgetter("shape", "dtype"))

    def errstate(self):
        """A context in which floating-point exceptions raise no warnings."""
        return _NULL

    def linalg_function(self, f, name):
        """The function that ``xp.linalg`` binds as ``name``, made of the library's own ``f``."""
        return f

    def linalg_overrides(self) -> dict:
        """Functions by the names of ``linalg_extras.Extras`` that this library does better."""
        return {}

    def special_functions(self):
        """What ``xp.special`` is."""
        from .special import Special

        return Special(self)

    # ---- dtypes ----

    def dtype_of_name(self, name: str):
        """The own dtype called ``name``; PrecisionError where the library has it but switched it off."""
        try:
            return self.dtypes[name]
        except KeyError:
            raise PrecisionError(f"the backend {self.name} has no dtype {name}") from None

    def own_dtype(self, dtype):
        """``dtype`` (an own dtype, a NumPy dtype, a name or a Python number type) as an own dtype."""
        return self.dtype_of_name(self.name_of(dtype))

    @property
    def index_dtype(self):
        """The dtype of indices."""
        return self.int64

    def name_of(self, dtype) -> str:
        """The standard's name of a dtype, given in any form."""
        try:
            return self._names[dtype]
        except KeyError:
            pass
        own = [item for item, mine in self.dtypes.items() if type(mine) is type(dtype) and mine == dtype]
        name = self._names[dtype] = own[0] if own else np.dtype(dtype).name
        return name

    def kind_of(self, dtype) -> str:
        """One letter: "b" boolean, "i" integer (signed or not), "f" real floating, "c" complex."""
        try:
            return self._kinds[dtype]
        except KeyError:
            name = self.name_of(dtype)
            letter = "f" if name == "bfloat16" else np.dtype(name).kind.replace("u", "i")
            if letter not in "bifc":
                raise TypeError(f"expected numbers; got an array of dtype {name}") from None
            self._kinds[dtype] = letter
            return letter

    def is_inexact(self, dtype) -> bool:
        """Whether ``dtype`` is real floating or complex."""
        try:
            return self._inexact[dtype]
        except KeyError:
            answer = self._inexact[dtype] = self.kind_of(dtype) in "fc"
            return answer

    def is_complex(self, dtype) -> bool:
        """Whether ``dtype`` is complex."""
        return self.kind_of(dtype) == "c"

    def is_integer(self, dtype) -> bool:
        """Whether ``dtype`` is an integer, signed or not; booleans are none."""
        return self.kind_of(dtype) == "i"

    def inexact_dtype(self, dtype):
        """The dtype in which a floating function of ``dtype`` is computed, by NumPy 2's table on every backend."""
        if self.is_inexact(dtype):
            return dtype
        name = _INEXACT_OF.get(self.name_of(dtype), "float64")
        return self.dtype_of_name("float32" if name == "float16" and name not in self.dtypes else name)

    def result_type(self, *items):
        """The common dtype of arrays, dtypes and Python numbers, by NumPy 2's promotion; Python numbers are weak."""
        key = tuple([_dtype_or_number(x) for x in items])
        try:
            return self._promoted[key]
        except KeyError:
            dtype = self._promoted[key] = self._result_type(key)
            return dtype

    def _result_type(self, key):
        names = [_WEAK[k] if type(k) is type and k in _WEAK else self.name_of(k) for k in key]
        if "bfloat16" in names:
            return self.namespace.result_type(*[getattr(self, n) if isinstance(n, str) else n for n in names])
        return self.dtype_of_name(np.result_type(*[np.dtype(n) if isinstance(n, str) else n for n in names]).name)

    # ---- products and masks ----

    def multiply_no_nan(self, g, d):
        """``g * d``, but 0 where ``g`` is exactly 0 and ``d`` is not finite; they broadcast. Under ``errstate``."""
        g, d = self._arrays(g, d)
        product = g * d
        hole = self.logical_and(g == 0, self.logical_not(self.isfinite(d)))
        return self.where(hole, self._scalar(0, product), product)

    def select(self, mask, g):
        """``g`` where the boolean ``mask`` holds, else 0, exactly: nothing of ``g`` leaks; they broadcast."""
        return self.where(mask, g, self._scalar(0, g))

    def sigmoid(self, x):
        """``1 / (1 + exp(-x))`` of inexact ``x``, accurate in both tails, without a warning."""
        if self.is_complex(x.dtype):
            return 1 / (1 + self.exp(-x))
        small = self.exp(-self.abs(x))
        return self.where(x < 0, small, self.ones_like(small)) / (1 + small)

    def einsum(self, labels_in, labels_out, *xs):
        """Sum of products over the labels not in ``labels_out``; all arrays of one dtype, no leading axes but labelled.

        One string of distinct letters an operand, each of ``labels_out`` in some operand; an axis of length 1
        broadcasts against the others with its label.
        """
        return contract(self, labels_in, labels_out, xs)

    def cumulative_sum(self, x, axis=-1, reverse=False):
        """Running sums along ``axis``, from the far end where ``reverse``; the dtype is kept."""
        return self._cumulative(self.namespace.cumulative_sum, x, axis, reverse)

    def cumulative_prod(self, x, axis=-1, reverse=False):
        """Running products along ``axis``, from the far end where ``reverse``; the dtype is kept."""
        return self._cumulative(self.namespace.cumulative_prod, x, axis, reverse)

    def _cumulative(self, f, x, axis, reverse):
        if reverse:
            return self.flip(f(self.flip(x, axis=axis), axis=axis, dtype=x.dtype), axis=axis)
        return f(x, axis=axis, dtype=x.dtype)

    def _scalar(self, value, like):
        return self.full((), value, dtype=like.dtype)

    def _arrays(self, a, b):
        if type(a) in PYTHON_NUMBERS:
            a = self._scalar(a, b)
        elif type(b) in PYTHON_NUMBERS:
            b = self._scalar(b, a)
        return a, b

    # ---- axes and indices ----

    def unstack(self, x, axis=0):
        """A tuple of the slices of ``x`` along ``axis``."""
        front = self.moveaxis(x, axis, 0)
        return tuple(front[i, ...] for i in range(x.shape[axis]))

    def check_index(self, index, size, what="index"):
        """``index`` wrapped into ``0 .. size - 1``; IndexOutOfBoundsError for what lies outside ``-size .. size - 1``.

        Values are not checked inside a compiled function; there an index outside has no defined result.
        """
        if not self.is_integer(index.dtype):
            raise TypeError(f"{what}: an index is an integer array; got dtype {index.dtype}")
        if index.dtype != self.index_dtype:
            index = self.astype(index, self.index_dtype)
        negative = index < 0
        if not self.is_traced(index):
            outside = self.logical_or(index < -size, index >= size)
            if bool(self.any(outside)):
                worst = next(int(i) for i in self.to_numpy(index).ravel() if not -size <= int(i) < size)
                raise IndexOutOfBoundsError(f"{what}: index {worst} is out of bounds for an axis of length {size}")
            if not bool(self.any(negative)):
                return index
        return self.where(negative, index + size, index)

    def take(self, x, index, axis):
        """Elements of ``x`` along ``axis``: shape ``x.shape[:axis] + index.shape + x.shape[axis + 1:]``.

        ``index`` holds integers of ``0 .. n - 1`` in any shape; ``x`` may have leading axes.
        """
        head, tail = _around(x.shape, axis)
        flat = self.namespace.take(x, self.reshape(index, (-1,)), axis=axis)
        return self.reshape(flat, head + index.shape + tail)

    def scatter_sum(self, updates, index, size, axis):
        """The adjoint of ``take``: ``lead + index.shape + rest`` summed into ``lead + (size,) + rest``.

        ``axis`` is the axis of ``size`` in the result, so ``rest`` has ``-axis - 1`` axes. Duplicates add up.
        """
        lead, count, rest = split_updates(updates.shape, index.shape, axis)
        rows = self.reshape(updates, (_prod(lead), count, _prod(rest)))
        hot = self.reshape(self.arange(size), (size, 1)) == self.reshape(index, (1, count))
        finite = not self.is_traced(rows) and self.is_inexact(rows.dtype) and bool(self.all(self.isfinite(rows)))
        if finite:
            total = self.matmul(self.astype(hot, rows.dtype), rows)
        else:  # 0 times infinity would leak into all other rows
            hot = self.reshape(hot, (1, size, count, 1))
            total = self.sum(self.select(hot, self.expand_dims(rows, axis=1)), axis=2, dtype=rows.dtype)
        return self.reshape(total, lead + (size,) + rest)

    def scatter_set(self, x, index, values, axis):
        """``x`` with the rows that the 1-D, duplicate-free ``index`` names along ``axis`` replaced by ``values``.

        ``values`` has ``x``'s shape with ``len(index)`` at ``axis``; both may carry leading axes, which broadcast.
        """
        lead = np.broadcast_shapes(x.shape[:axis], values.shape[:axis])
        _, rest = _around(x.shape, axis)
        size, count = x.shape[axis], values.shape[axis]
        x = self.broadcast_to(x, lead + (size,) + rest)
        if count == 0 or size == 0:
            return self.asarray(x, copy=True)
        hot = self.reshape(self.arange(size), (size, 1)) == self.reshape(index, (1, count))
        source = self.argmax(self.astype(hot, self.int32), axis=-1)
        values = self.take(self.broadcast_to(values, lead + (count,) + rest), source, axis)
        return self.where(self.reshape(self.any(hot, axis=-1), (size,) + (1,) * len(rest)), values, x)

    def pad(self, x, widths, value=0):
        """``x`` with ``value`` put around its last ``len(widths)`` axes; ``widths`` holds (before, after) pairs."""
        for axis, pair in zip(range(-len(widths), 0), widths, strict=True):
            head, tail = _around(x.shape, axis)
            before, after = (
                self.full(head + (width,) + tail, value, dtype=x.dtype) if width else None for width in pair
            )
            parts = [part for part in (before, x, after) if part is not None]
            x = self.concat(parts, axis=axis) if len(parts) > 1 else x
        return x

    # ---- convolution: three operations, each the adjoint of the other two in one argument ----

    def conv(self, x, w, stride, padding, dilation, groups):
        """Cross-correlation of ``x`` ``lead + (N, C, *S)`` and ``w`` ``lead + (O, C / groups, *K)``.

        The result is ``lead + (N, O, *T)`` with T = (S + before + after - dilation * (K - 1) - 1) // stride + 1.
        ``stride`` and ``dilation`` are tuples with one entry a spatial axis, ``padding`` one of (before, after) pairs.
        Either argument may have leading axes, or both, which then broadcast against each other.
        """
        return convolution.conv(self, x, w, stride, padding, dilation, groups)

    def conv_input(self, g, w, input_shape, stride, padding, dilation, groups):
        """The adjoint of ``conv`` in ``x``: ``g`` ``lead + (N, O, *T)`` and ``w`` give ``lead + input_shape``.

        ``input_shape`` is ``(N, C, *S)``, without leading axes; either array may have them, or both.
        """
        return convolution.conv_input(self, g, w, input_shape, stride, padding, dilation, groups)

    def conv_filter(self, x, g, kernel_shape, stride, padding, dilation, groups):
        """The adjoint of ``conv`` in ``w``: ``x`` ``lead + (N, C, *S)`` and ``g`` give ``lead + kernel_shape``.

        ``kernel_shape`` is ``(O, C / groups, *K)``, without leading axes; either array may have them, or both.
        """
        return convolution.conv_filter(self, x, g, kernel_shape, stride, padding, dilation, groups)

    def _conv(self, x, w, stride, padding, dilation, groups):
        return convolution.portable_conv(self, x, w, stride, padding, dilation, groups)

    def _conv_input(self, g, w, input_shape, stride, padding, dilation, groups):
        return convolution.portable_conv_input(self, g, w, input_shape, stride, padding, dilation, groups)

    def _conv_filter(self, x, g, kernel_shape, stride, padding, dilation, groups):
        return convolution.portable_conv_filter(self, x, g, kernel_shape, stride, padding, dilation, groups)

    # ---- random numbers: pure functions of (key, counter) ----

    def random_bits(self, key, counter, n):
        """``n`` random uint64: Philox4x64-10 of the blocks ``counter``, ``counter + 1``, ... under ``key``.

        ``key`` is a pair of Python ints below 2**64, ``counter`` a Python int or a 0-d uint64 array; each block gives
        four numbers, so the next draw starts at ``counter + ceil(n / 4)``. The same bits on every backend.
        """
        return philox.random_bits(self, key, counter, n)

    def uniform(self, bits, dtype):
        """Numbers of ``dtype`` uniform in [0, 1), one of each entry of ``bits`` (uint64)."""
        return philox.uniform(self, bits, dtype)

    def normal(self, bits, dtype):
        """Standard normal numbers of ``dtype``, one an entry of ``bits`` (uint64, 1-D, even length), by Box-Muller."""
        return philox.normal(self, bits, dtype)


def _dtype_or_number(x):
    """The dtype of an array; a dtype or the type of a Python number as it is."""
    kind = type(x)
    if kind in _WEAK:
        return kind
    return x if isinstance(x, type) else getattr(x, "dtype", x)


def _by_name(name):
    from . import get

    return get(name)


def _prod(shape) -> int:
    n = 1
    for length in shape:
        n *= length
    return n


def _around(shape, axis):
    """The shape left and right of the negative ``axis``."""
    return tuple(shape[:axis]), tuple(shape[axis + 1 :]) if axis != -1 else ()


def split_updates(shape, index_shape, axis):
    """``lead``, the number of indices, ``rest`` for updates of shape ``lead + index_shape + rest``."""
    stop = len(shape) + axis + 1
    start = stop - len(index_shape)
    return tuple(shape[:start]), _prod(index_shape), tuple(shape[stop:])


def host_array(x):
    """Python numbers, nested lists and host arrays as a NumPy array of numbers; TypeError for anything else."""
    from . import backend_of

    owner = backend_of(x)
    if owner is not None and not owner.is_host:
        raise MixedBackendsError(
            f"an array of the backend {owner.name} does not move to another by itself.\n"
            f"  copy it: backends.get({owner.name!r}).to_numpy(x)"
        )
    host = np.asarray(x)
    if not host.dtype.isnative:
        host = host.astype(host.dtype.newbyteorder("="))
    if host.dtype.kind not in "biufc" and host.dtype.name != "bfloat16":
        raise TypeError(
            f"expected numbers; got {type(x).__name__} with NumPy dtype {host.dtype}"
            + (" (rows of unequal length, or Python objects inside)" if host.dtype == object else "")
        )
    return host
