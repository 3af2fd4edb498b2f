"""A stand-in for CuPy made of NumPy functions, to run zkynet's CuPy backend on a machine without a GPU.

It tests the logic of ``zkynet.backends.cupy``, nothing about CUDA: arrays live in the host's memory, kernels are run by
the C compiler of the machine. It is stricter than NumPy where CuPy is: arrays turn into NumPy arrays by ``asnumpy``
alone, NumPy arrays are refused as operands, names that CuPy 14 lacks are missing, ``solve`` does not broadcast,
cuSOLVER's failures pass unseen outside ``cupyx.errstate(linalg="raise")``, and ``scatter_add`` adds few dtypes.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from . import standin_cuda, standin_kernels

# Functions of NumPy that CuPy 14.2 does not have, as far as anybody could call them by mistake.
ABSENT = {"errstate", "unstack", "vecdot", "matvec", "vecmat", "einsum_path", "frompyfunc", "geomspace", "insert"}
ABSENT |= {"nditer", "ndenumerate", "block", "spacing", "asmatrix", "matrix", "bmat", "show_config", "show_runtime"}


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801  (CuPy's name)
    """An array that says what CuPy's says, and hides that it is on the host."""

    __slots__ = ("_host",)
    __module__ = "cupy"
    __hash__ = None

    def __init__(self, host):
        self._host = host

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called with an array of the device")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return function_of(getattr(ufunc, method))(*inputs, **kwargs)

    def __getitem__(self, index):
        return function_of(lambda host, index: host[index])(self, index)

    def __setitem__(self, index, value):
        def store(host, index, value):
            host[index] = value

        store(self._host, unwrap(index), unwrap(value))
        standin_cuda.launched(store, (self._host, unwrap(index), unwrap(value)), None)

    def __getattr__(self, name):
        if name.startswith("__") or name in ("tobytes", "tolist", "tofile", "flags", "ctypes"):
            raise AttributeError(f"the stand-in for cupy.ndarray has no {name}")
        found = getattr(self._host, name)
        if callable(found):
            return function_of(lambda host, *args, **kwargs: getattr(host, name)(*args, **kwargs), self)
        return wrap(found)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        standin_cuda.read()
        return bool(self._host)

    def __int__(self):
        standin_cuda.read()
        return int(self._host)

    def __float__(self):
        standin_cuda.read()
        return float(self._host)

    def __complex__(self):
        return complex(self._host)

    def __index__(self):
        standin_cuda.read()
        return self._host.__index__()

    def __repr__(self):
        return repr(self._host)

    def __deepcopy__(self, memo):
        return self.copy()

    def __reduce__(self):
        return ndarray, (self._host,)

    def item(self):
        standin_cuda.read()
        return self._host.item()


def unwrap(x: Any) -> Any:
    """The host arrays behind what a function was given; TypeError for NumPy's own, as CuPy has it."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(x, (tuple, list)):
        return type(x)(unwrap(item) for item in x)
    return x


def wrap(x: Any) -> Any:
    """Arrays, NumPy's scalars as 0-d ones, and containers of them, as arrays of the stand-in."""
    if isinstance(x, (np.ndarray, np.generic)):
        return ndarray(np.asarray(x))
    if isinstance(x, tuple) and any(isinstance(item, np.ndarray) for item in x):
        return tuple(wrap(item) for item in x)
    return [wrap(item) for item in x] if isinstance(x, list) else x


def function_of(f: Any, *first: Any) -> Any:
    """NumPy's function ``f``, given ``first`` and the rest, on the stand-in's arrays; without a warning, as there."""

    def run(*args, **kwargs):
        with np.errstate(all="ignore"):
            made = f(*args, **kwargs)
            return np.asarray(made) if isinstance(made, np.generic) else made

    def function(*args, **kwargs):
        args, kwargs = unwrap((*first, *args)), {name: unwrap(x) for name, x in kwargs.items()}
        made = run(*args, **kwargs)
        standin_cuda.launched(lambda *args: run(*args, **kwargs), args, made)
        return wrap(made)

    function.__name__ = getattr(f, "__name__", "function")
    return function


def _array(x, dtype=None, copy=True, **kwargs):
    return ndarray(np.array(x._host if isinstance(x, ndarray) else x, dtype=dtype))


def _asnumpy(x):
    standin_cuda.read()
    return np.array(x._host)


def _as_strided(x, shape, strides):
    return ndarray(np.lib.stride_tricks.as_strided(x._host, shape, strides))


_linalg_state = {"linalg": "ignore"}


@contextlib.contextmanager
def _errstate(*, linalg):
    before = _linalg_state["linalg"]
    _linalg_state["linalg"] = linalg
    try:
        yield
    finally:
        _linalg_state["linalg"] = before


def _cusolver(name):
    """A function of linalg that leaves something finite and wrong behind where it fails, unless told to raise."""
    f = function_of(getattr(np.linalg, name))

    def function(a, *args, **kwargs):
        if name == "solve" and a.shape[:-1] != args[0].shape[:-1]:
            raise ValueError("a must have (..., M, M) shape and b must have (..., M, K)")
        try:
            return f(a, *args, **kwargs)
        except np.linalg.LinAlgError as error:
            if _linalg_state["linalg"] == "raise" or "must be" in str(error):
                raise
            return args[0] if name == "solve" else a

    return function


def _scatter_add(a, index, values):
    if values.dtype.name not in ("int32", "float16", "float32", "float64", "uint32", "uint64"):
        raise TypeError("scatter_add only supports int32, float16, float32, float64, uint32, uint64, as data type")
    assert values.dtype == a.dtype and values.size < 1 << 31
    np.add.at(a._host, unwrap(index), values._host)


class ElementwiseKernel(standin_kernels.ElementwiseKernel):
    """The C code of a kernel in a loop, compiled on the host."""

    def __call__(self, *args, size=None):
        def run(*host):
            return self.on_host(*host, size=size)

        host = tuple([x._host if isinstance(x, ndarray) else x for x in args])
        made = run(*host)
        standin_cuda.launched(run, host, made)
        if made is None:
            return None
        return tuple(map(ndarray, made)) if self.return_tuple or len(made) > 1 else ndarray(made[0])


def _filled(name: str, names: list[str], source: Any, **more: Any) -> ModuleType:
    """A module with the functions ``names`` of ``source`` and whatever else is given."""
    module = ModuleType(name)
    for item in names:
        found = getattr(source, item)
        setattr(module, item, found if isinstance(found, type) or not callable(found) else function_of(found))
    module.__dict__.update(more)
    module.__dict__["__all__"] = [item for item in module.__dict__ if not item.startswith("_")]
    return module


def _modules() -> dict[str, ModuleType]:
    names = [n for n in np.__all__ if n not in ABSENT and not isinstance(getattr(np, n), ModuleType)]
    device = _filled("cupy.cuda.device", [], np, Device=contextlib.nullcontext)
    cuda = _filled("cupy.cuda", [], np, Device=device.Device, device=device, **standin_cuda.contents())
    linalg = _filled("cupy.linalg", [], np)
    for name in np.linalg.__all__:
        if name not in ("linalg", "LinAlgError", "vecdot"):
            setattr(linalg, name, _cusolver(name))
    linalg.__all__ = [name for name in vars(linalg) if not name.startswith("_")]
    fft = _filled("cupy.fft", list(np.fft.__all__), np.fft)
    tricks = _filled("cupy.lib.stride_tricks", [], np, as_strided=_as_strided)
    lib = _filled("cupy.lib", [], np, stride_tricks=tricks)
    cupy = _filled(
        "cupy",
        names,
        np,
        ndarray=ndarray,
        array=_array,
        asarray=_array,
        asnumpy=_asnumpy,
        broadcast_to=function_of(np.broadcast_to),
        take=function_of(np.take),
        ElementwiseKernel=ElementwiseKernel,
        cuda=cuda,
        linalg=linalg,
        fft=fft,
        lib=lib,
    )
    cupy.__version__ = "14.2.0"
    cupyx = _filled("cupyx", [], np, errstate=_errstate, scatter_add=_scatter_add)
    cupyx.scipy = _filled("cupyx.scipy", [], np, special=_filled("cupyx.scipy.special", [], np))  # without functions
    found = (cupy, cuda, device, linalg, fft, lib, tricks, cupyx, cupyx.scipy, cupyx.scipy.special)
    return {module.__name__: module for module in found}


def _ours(name: str) -> bool:
    root = name.partition(".")[0]
    return root in ("cupy", "cupyx") or name.startswith(("array_api_compat.cupy", "zkynet.backends.cupy"))


def _taken_out() -> dict[str, ModuleType]:
    """Forget all modules that know of CuPy, in their packages too: ``from package import module`` looks there first."""
    found = {name: sys.modules.pop(name) for name in list(sys.modules) if _ours(name)}
    for name in found:
        package, _, last = name.rpartition(".")
        if package in sys.modules and not _ours(package):
            vars(sys.modules[package]).pop(last, None)
    return found


@contextlib.contextmanager
def installed() -> Iterator[ModuleType]:
    """``import cupy`` gives the stand-in inside the block; afterwards everything is as it was."""
    before = _taken_out()
    modules = _modules()
    sys.modules.update(modules)
    try:
        yield modules["cupy"]
    finally:
        _taken_out()
        sys.modules.update(before)
        for name, module in before.items():
            package, _, last = name.rpartition(".")
            if package in sys.modules and not _ours(package):
                setattr(sys.modules[package], last, module)


@contextlib.contextmanager
def registered() -> Iterator[Any]:
    """CuPy's backend on the stand-in, registered as CuPy's inside the block."""
    from zkynet import backends

    pytest.importorskip("array_api_compat", reason="CuPy's functions come by way of array_api_compat")
    registry = ("_loaders", "_loaded", "_instances", "BACKEND_BY_TYPE")
    before = {name: copy.copy(getattr(backends, name)) for name in registry}
    backends._loaded.pop("cupy", None)
    with installed():
        yield backends.get("cupy")
    for name, kept in before.items():
        found = getattr(backends, name)
        found.clear()
        found.extend(kept) if isinstance(found, list) else found.update(kept)
