"""CuPy: NVIDIA GPUs by cuBLAS, cuSOLVER and kernels that are compiled when first used. There is no cuDNN in it.

Its functions come by way of array_api_compat, because CuPy has no ``__array_namespace__``. CuPy imports without a GPU
and fails at the first allocation, so ``load`` makes one. Sums by atomic additions (``scatter_sum``) add in no fixed
order. TF32 is off unless CUPY_TF32=1 stands in the environment.
"""

from functools import cache

import cupy
import cupyx
import numpy as np
from array_api_compat import cupy as compat

from . import cupy_conv, cupy_graph, philox
from .base import Backend, _prod, split_updates
from .cupy_special import CupySpecial
from .errors import BackendNotAvailable
from .mutable import Mutable
from .numpy_update import HELD, references

# Part of an error's text, in lower case, and what to do about it; docs/backends.md says more.
_ADVICE = (
    ("insufficientdriver", "there is no NVIDIA driver here, or it is older than CuPy's CUDA: compare nvidia-smi"),
    ("nodevice", "no GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES"),
    ("failed to load", "CUDA's libraries are missing or of another version: pip install 'cupy-cuda12x[ctk]'"),
    ("cuda headers", "CUDA's headers are missing: pip install 'cupy-cuda12x[ctk]'"),
    ("out of memory", "the GPU's memory is taken; by JAX, perhaps: XLA_PYTHON_CLIENT_PREALLOCATE=false"),
)
_ATOMIC = ("float16", "float32", "float64", "int32", "uint32", "uint64")  # what cupyx.scatter_add adds
_ADDED_AS = {"int64": "uint64", "complex64": "float32", "complex128": "float64"}  # the same sums, seen in other words
_SCATTERED = (1 << 31) - 1  # its kernel counts the elements of one call in 32 bits


def load() -> "CupyBackend":
    """The backend; BackendNotAvailable, with the reason, where no GPU can hold an array and compute with it."""
    try:
        int(cupy.arange(3).sum())
    except Exception as error:  # a dozen classes of CuPy's, and those of the loader
        raise unavailable(error) from error
    return CupyBackend()


def unavailable(error: Exception) -> BackendNotAvailable:
    """The reason why CuPy, which is installed, cannot be used here, and what to do."""
    said = f"{type(error).__name__}: {error}"
    advice = [text for part, text in _ADVICE if part in said.lower()][:1]
    lines = [f"CuPy {cupy.__version__} is installed, but cannot compute here.", *said.splitlines()[:1], *advice]
    return BackendNotAvailable("\n  ".join(lines) + "\nSee docs/backends.md.")


class CupyBackend(Mutable, Backend):
    """CuPy on its current device.

    Its arrays can be written to by whoever holds them, and cannot be marked read-only: where NumPy's backend gives a
    read-only view, or takes note of an array's contents, this one copies.
    """

    linalg_raises = True
    reads_wait = True

    def __init__(self):
        super().__init__("cupy", compat)
        self.real_dtypes = frozenset((np.dtype("float32"), np.dtype("float64")))  # what arrays say, not NumPy's types

    def owns(self, x):
        return isinstance(x, cupy.ndarray)

    # ---- ways in and out ----

    def from_numpy(self, x):
        return cupy.array(x)

    def to_numpy(self, x):
        return cupy.asnumpy(x)

    def item(self, x):
        return x.item()

    def number(self, value, dtype):
        return cupy.full((), value, dtype=dtype)  # filled by the device: nothing is copied from the host

    def synchronize(self, x):
        cupy.cuda.get_current_stream().synchronize()
        return x

    def dtype_of_name(self, name):
        return np.dtype(super().dtype_of_name(name))

    def linalg_function(self, f, name):
        f = _solve if name == "solve" else f

        def raising(*args, **kwargs):
            with cupyx.errstate(linalg="raise"):  # else cuSOLVER's failures go unseen, and what it leaves comes out
                return f(*args, **kwargs)

        raising.__name__ = raising.__qualname__ = name
        return raising

    def special_functions(self):
        return CupySpecial(self)

    # ---- for graph mode ----

    def elementwise_kernel(self, inputs, outputs, operation, name):
        return _kernel(inputs, outputs, operation, name)

    def captured(self, run, arrays):
        return cupy_graph.CapturedGraph(run, arrays)

    # ---- who may change an array ----

    def own(self, x):
        return x.copy()

    def read_only(self, x):
        return x.copy()

    def is_writable(self, x):
        return True

    def borrow(self, x):
        return x.copy(), None

    def hand_over(self, items):
        for i in range(len(items)):
            if self.owns(items[i]) and (items[i].base is not None or references(items, i) != HELD):
                items[i] = items[i].copy()

    # ---- axes and indices: the portable ways take a row for every index, these write in place ----

    def scatter_sum(self, updates, index, size, axis):
        lead, count, rest = split_updates(updates.shape, index.shape, axis)
        name = updates.dtype.name
        if name not in _ATOMIC and name not in _ADDED_AS:
            return super().scatter_sum(updates, index, size, axis)
        total = cupy.zeros((_prod(lead), size, _prod(rest)), updates.dtype)
        if updates.size:
            words = _ADDED_AS.get(name, name)
            rows = cupy.ascontiguousarray(updates).reshape(_prod(lead), count, _prod(rest))
            _scatter_add(total.view(words), index.reshape(-1), rows.view(words))
        return total.reshape(lead + (size,) + rest)

    def scatter_set(self, x, index, values, axis):
        lead = np.broadcast_shapes(x.shape[:axis], values.shape[:axis])
        result = cupy.broadcast_to(x, lead + x.shape[x.ndim + axis :]).copy()
        if values.size:
            result[(Ellipsis, index) + (slice(None),) * (-axis - 1)] = values
        return result

    # ---- convolution and random numbers ----

    def _conv(self, x, w, stride, padding, dilation, groups):
        return cupy_conv.conv(x, w, stride, padding, dilation, groups)

    def _conv_input(self, g, w, input_shape, stride, padding, dilation, groups):
        return cupy_conv.conv_input(g, w, input_shape, stride, padding, dilation, groups)

    def _conv_filter(self, x, g, kernel_shape, stride, padding, dilation, groups):
        return cupy_conv.conv_filter(x, g, kernel_shape, stride, padding, dilation, groups)

    def random_bits(self, key, counter, n):
        philox.check_counter(counter)
        blocks = -(-n // 4)
        bits = cupy.empty((4 * blocks,), "uint64")
        if blocks:
            start = philox.word(self, counter) if isinstance(counter, int) else counter.reshape(1)
            _PHILOX(start, *[np.uint64(int(k) & 0xFFFFFFFFFFFFFFFF) for k in key], bits, size=blocks)
        return bits[:n]


@cache
def _kernel(inputs, outputs, operation, name):
    """CuPy's kernel, without contraction: ``a * b + c`` rounds twice, as it does in two kernels."""
    preamble = "#include <cupy/float16.cuh>" if "float16" in operation else ""  # CuPy looks at the parameters alone
    options = ("--fmad=false",)
    return cupy.ElementwiseKernel(
        inputs, outputs, operation, name, preamble=preamble, options=options, return_tuple=True
    )


def _solve(a, b):
    """``linalg.solve`` with leading axes that broadcast, which CuPy's has not."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (cupy.broadcast_to(x, lead + x.shape[-2:]) for x in (a, b))
    return cupy.linalg.solve(a, b) if b.size else cupy.zeros(b.shape, np.result_type(a.dtype, b.dtype))


def _scatter_add(total, index, rows):
    """Add ``rows`` (rows, count, columns) into ``total`` (rows, size, columns) at the 1-D ``index``."""
    step = max(1, _SCATTERED // rows.shape[-1])
    for start in range(0, rows.shape[1], step):
        part = slice(start, start + step)
        cupyx.scatter_add(total, (slice(None), index[part]), rows[:, part])


# philox.py in one kernel instead of some hundred: iteration i writes the four numbers of block start + i.
_PHILOX = cupy.ElementwiseKernel(
    "raw uint64 start, uint64 key0, uint64 key1",
    "raw uint64 bits",
    """
    const unsigned long long low = start[0] + i;
    unsigned long long c0 = low, c1 = low < start[0], c2 = 0, c3 = 0, k0 = key0, k1 = key1;
    for (int round = 0; round < 10; ++round) {
        const unsigned long long low0 = 0xD2E7470EE14C6C93ull * c0, high0 = __umul64hi(0xD2E7470EE14C6C93ull, c0);
        const unsigned long long low1 = 0xCA5A826395121157ull * c2, high1 = __umul64hi(0xCA5A826395121157ull, c2);
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B97F4A7C15ull;
        k1 += 0xBB67AE8584CAA73Bull;
    }
    const ptrdiff_t at = 4 * (ptrdiff_t)i;
    bits[at] = c0;
    bits[at + 1] = c1;
    bits[at + 2] = c2;
    bits[at + 3] = c3;
    """,
    "zkynet_philox4x64_10",
)
