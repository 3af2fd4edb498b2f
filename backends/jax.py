"""JAX: its own functions where they are better than the portable ones, 64-bit numbers on, and full precision."""

import os
from functools import partial
from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np

from . import jax_linalg
from .base import Backend, _around, host_array
from .errors import PrecisionError
from .jax_pooling import JaxPooling
from .jax_recurrent import JaxRecurrent
from .jax_special import JaxSpecial
from .philox import check_counter

X64 = "JAX_ENABLE_X64"
_HIGHEST = jax.lax.Precision.HIGHEST
_PRODUCTS = ("matmul", "tensordot", "vecdot")
_NARROW = {"float64": "float32", "complex128": "complex64", "int64": "int32", "uint64": "uint32"}
_TRIANGLE = ("cholesky", "eigh", "eigvalsh")  # read one triangle here; by default JAX averages the two


def load() -> "JaxBackend":
    """The backend, with JAX's settings untouched; choosing it by name turns 64-bit numbers on."""
    return JaxBackend()


class JaxBackend(JaxPooling, JaxRecurrent, Backend):
    """JAX on its default device. Matrix products run in full precision: TF32 is off."""

    def __init__(self):
        super().__init__("jax", jnp)
        self.real_dtypes = frozenset((np.dtype("float32"), np.dtype("float64")))  # what arrays say, not jnp's types
        for name in _PRODUCTS:
            setattr(self, name, partial(getattr(jnp, name), precision=_HIGHEST))
        self._bits = jax.jit(super().random_bits, static_argnums=2)
        self._update = jax.jit(super().update_in_blocks, static_argnums=0)

    def selected(self):
        if X64 not in os.environ and not jax.config.jax_enable_x64:
            jax.config.update("jax_enable_x64", True)

    spec_of = staticmethod(attrgetter("aval"))  # one object for all results that a program gives for one output

    def owns(self, x):
        return isinstance(x, jax.Array)

    # ---- ways in and out ----

    def asarray(self, x, dtype=None, copy=None):
        if isinstance(x, jax.Array):
            dtype = x.dtype if dtype is None else self.own_dtype(dtype)
            return jnp.array(x, dtype=dtype, copy=True) if copy else jnp.asarray(x, dtype=dtype)
        host = host_array(x)
        if dtype is not None:
            host = host.astype(np.dtype(self.own_dtype(dtype)), copy=False)
        elif host.dtype.name in _NARROW and not jax.config.jax_enable_x64:
            host = _narrowed(host, is_array=hasattr(x, "dtype"))
        return jnp.array(host, copy=True)  # a copy: on the CPU JAX may keep a view otherwise

    def from_numpy(self, x):
        return self.asarray(x)

    def to_numpy(self, x):
        return np.array(x)

    def item(self, x):
        return x.item()

    def is_traced(self, x):
        return isinstance(x, jax.core.Tracer)

    has_own_vjp = True

    def vjp(self, f, arrays, g):
        return jax.vjp(f, *arrays)[1](g)

    def compile(self, f, donated=()):
        return jax.jit(f, donate_argnums=donated)

    def synchronize(self, x):
        return x.block_until_ready() if isinstance(x, jax.Array) else jax.block_until_ready(x)

    def linalg_function(self, f, name):
        f = partial(f, symmetrize_input=False) if name in _TRIANGLE else f

        def precise(*args, **kwargs):
            with jax.default_matmul_precision("highest"):
                return f(*args, **kwargs)

        precise.__name__ = precise.__qualname__ = name
        return precise

    def linalg_overrides(self):
        return {name: getattr(jax_linalg, name) for name in ("lu", "solve_triangular")}

    def special_functions(self):
        return JaxSpecial(self)

    # ---- dtypes ----

    def dtype_of_name(self, name):
        if name in _NARROW and not jax.config.jax_enable_x64:
            raise _no_x64(f"a {name} array is needed here")
        return np.dtype(super().dtype_of_name(name))

    def result_type(self, *items):
        dtype = super().result_type(*items)
        return dtype if dtype.itemsize < 8 else self.dtype_of_name(dtype.name)  # the mode may have changed

    @property
    def index_dtype(self):
        return np.dtype("int64" if jax.config.jax_enable_x64 else "int32")

    def _scalar(self, value, like):
        return np.array(value, like.dtype)

    def own(self, x):
        return x  # nobody can write to it

    def update_in_blocks(self, rule, groups, scalars):
        return self._update(rule, groups, scalars)

    # ---- products and masks ----

    def multiply_no_nan(self, g, d):
        return _multiply_no_nan(g, d)

    def sigmoid(self, x):
        return 1 / (1 + jnp.exp(-x))

    def einsum(self, labels_in, labels_out, *xs):
        sizes: dict = {}
        for labels, x in zip(labels_in, xs, strict=True):
            for label, n in zip(labels, x.shape, strict=True):
                if sizes.setdefault(label, n) != n:  # an axis of length 1 that broadcasts
                    return super().einsum(labels_in, labels_out, *xs)
        if self.kind_of(xs[0].dtype) == "b":
            return super().einsum(labels_in, labels_out, *xs)
        return jnp.einsum(",".join(labels_in) + "->" + labels_out, *xs, precision=_HIGHEST)

    # ---- entrywise functions ----

    def exp2(self, x):
        return _exp2(x)

    def ldexp(self, x, n):
        return jnp.ldexp(x, jnp.clip(n, -(1 << 20), 1 << 20))

    def cbrt(self, x):
        return jnp.cbrt(x)

    def fmod(self, a, b):
        return jnp.fmod(a, b)

    def complex_of(self, re, im):
        return jax.lax.complex(*jnp.broadcast_arrays(re, im))

    # ---- axes and indices ----

    def take(self, x, index, axis):
        if not x.size:  # jnp.take gives x's own shape then
            head, tail = _around(x.shape, axis)
            return jnp.zeros(head + index.shape + tail, x.dtype)
        return jnp.take(x, index, axis=axis)

    def scatter_sum(self, updates, index, size, axis):
        return _scatter_sum(updates, index, size, axis)

    def scatter_set(self, x, index, values, axis):
        return _scatter_set(x, index, values, axis)

    def pad(self, x, widths, value=0):
        if not widths:
            return x
        widths = ((0, 0),) * (x.ndim - len(widths)) + tuple(widths)
        return jnp.pad(x, widths, constant_values=self._scalar(value, x))

    def place(self, x, index, shape):
        kept = sum(1 for i in index if i is None or isinstance(i, slice))
        return jnp.zeros((*x.shape[: x.ndim - kept], *shape), x.dtype).at[tuple(index)].set(x)

    # ---- convolution and random numbers ----

    def _conv(self, x, w, stride, padding, dilation, groups):
        if not _convolves(x, w):
            return super()._conv(x, w, stride, padding, dilation, groups)
        return _conv(x, w, tuple(stride), _pairs(padding), tuple(dilation), groups)

    def _conv_input(self, g, w, input_shape, stride, padding, dilation, groups):
        if not _convolves(g, w) or 0 in input_shape:
            return super()._conv_input(g, w, input_shape, stride, padding, dilation, groups)
        return _conv_input(g, w, tuple(input_shape), tuple(stride), _pairs(padding), tuple(dilation), groups)

    def _conv_filter(self, x, g, kernel_shape, stride, padding, dilation, groups):
        if not _convolves(x, g) or 0 in kernel_shape:
            return super()._conv_filter(x, g, kernel_shape, stride, padding, dilation, groups)
        return _conv_filter(x, g, tuple(kernel_shape), tuple(stride), _pairs(padding), tuple(dilation), groups)

    def random_bits(self, key, counter, n):
        if not jax.config.jax_enable_x64:
            raise _no_x64("random bits are 64-bit integers")
        check_counter(counter)
        key = tuple(np.uint64(int(k) & 0xFFFFFFFFFFFFFFFF) for k in key)
        return self._bits(key, np.uint64(counter) if isinstance(counter, int) else counter, n)


def _no_x64(fact) -> PrecisionError:
    return PrecisionError(
        f"{fact}, but JAX's 64-bit mode is off.\n"
        f"  to turn it on: unset {X64} or set it to 1, or jax.config.update('jax_enable_x64', True)\n"
        "  to stay with 32 bits: convert with .astype('float32')"
    )


def _narrowed(host, is_array):
    """Host numbers in 32 bits, where that loses nothing: whole numbers that fit, and numbers without a dtype."""
    narrow = np.dtype(_NARROW[host.dtype.name])
    if host.dtype.kind in "iu":
        info = np.iinfo(narrow)
        if not host.size or (info.min <= host.min() and host.max() <= info.max):
            return host.astype(narrow)
    elif not is_array:
        return host.astype(narrow)
    raise _no_x64(f"a {host.dtype.name} array came in")


@jax.jit
def _exp2(x):
    y = jnp.exp2(x)  # by a logarithm: powers of two come out rounded
    if jnp.iscomplexobj(x):
        return y
    power = jnp.clip(jnp.round(x), -(1 << 14), 1 << 14)
    return jnp.where(x == power, jnp.ldexp(jnp.ones_like(x), power.astype("int32")), y)


@jax.jit
def _multiply_no_nan(g, d):
    product = g * d
    hole = jnp.logical_and(jnp.equal(g, 0), ~jnp.isfinite(d))
    return jnp.where(hole, jnp.zeros((), product.dtype), product)


@partial(jax.jit, static_argnums=(2, 3))
def _scatter_sum(updates, index, size, axis):
    stop = updates.ndim + axis + 1
    lead, rest = updates.shape[: stop - index.ndim], updates.shape[stop:]
    zeros = jnp.zeros((*lead, size, *rest), updates.dtype)
    return zeros.at[(slice(None),) * len(lead) + (index,)].add(updates)


@partial(jax.jit, static_argnums=3)
def _scatter_set(x, index, values, axis):
    lead = np.broadcast_shapes(x.shape[:axis], values.shape[:axis])
    x = jnp.broadcast_to(x, lead + x.shape[x.ndim + axis :])
    return x.at[(slice(None),) * len(lead) + (index,)].set(values)


def _convolves(*arrays):
    """Whether XLA's convolution takes these: floating numbers, and something to sum."""
    return all(a.dtype.kind in "fc" and a.size for a in arrays)


def _pairs(padding):
    return tuple(tuple(pair) for pair in padding)


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _conv(x, w, stride, padding, dilation, groups):
    return jax.lax.conv_general_dilated(
        x, w, stride, padding, rhs_dilation=dilation, feature_group_count=groups, precision=_HIGHEST
    )


@partial(jax.jit, static_argnums=(2, 3, 4, 5, 6))
def _conv_input(g, w, input_shape, stride, padding, dilation, groups):
    x = jax.ShapeDtypeStruct(input_shape, g.dtype)
    (x,) = jax.linear_transpose(lambda x: _conv(x, w, stride, padding, dilation, groups), x)(g)
    return x


@partial(jax.jit, static_argnums=(2, 3, 4, 5, 6))
def _conv_filter(x, g, kernel_shape, stride, padding, dilation, groups):
    w = jax.ShapeDtypeStruct(kernel_shape, g.dtype)
    (w,) = jax.linear_transpose(lambda w: _conv(x, w, stride, padding, dilation, groups), w)(g)
    return w
