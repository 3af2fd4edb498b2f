"""CuPy's ElementwiseKernel run by the C compiler of the machine: the text of a kernel, in a loop over the entries.

It shows what the text computes, with the functions of C's library in the place of CUDA's; nothing about a GPU.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

# What CUDA has and C has not; and the names by which CuPy knows its types.
_PREAMBLE = """
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
typedef _Float16 float16;
typedef unsigned long long uint64;
static uint64 __umul64hi(uint64 a, uint64 b) { return (unsigned __int128)a * b >> 64; }
static double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
"""
_C = {
    **{"bool": "bool", "float16": "float16", "float32": "float", "float64": "double"},
    **{"int8": "signed char", "int16": "short", "int32": "int", "int64": "long long"},
    **{"uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int", "uint64": "uint64"},
}
_FLAGS = ("-shared", "-fPIC", "-O1", "-ffp-contract=off", "-fwrapv", "-Werror=implicit-function-declaration")


@functools.cache
def compiler() -> str | None:
    """A C compiler that knows ``_Float16``; None where there is none."""
    found = shutil.which("cc")
    if found is None:
        return None
    try:
        _shared(found, "_Float16 f(_Float16 x) { return x + x; }")
    except subprocess.CalledProcessError:
        return None
    return found


def _shared(command: str, source: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "kernel.c").write_text(source)
        run = [command, *_FLAGS, "-o", str(path / "kernel.so"), str(path / "kernel.c"), "-lm"]
        subprocess.run(run, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(path / "kernel.so"))


@functools.cache
def compiled(inputs: str, outputs: str, operation: str) -> tuple:
    """The parameters, (raw, dtype, name) each, and the function of (size, pointers to the first entry of each)."""
    parameters = [p.split() for p in (inputs + "," + outputs).split(",")]
    parameters = [("raw" in p[:-2], p[-2], p[-1]) for p in parameters]
    cc = compiler()
    if cc is None:
        pytest.skip("kernels run by a C compiler that knows _Float16, and there is none")
    count = len(inputs.split(","))
    take, give = [], []
    for k, (raw, dtype, name) in enumerate(parameters):
        pointer = f"({_C[dtype]} *)arguments[{k}]"
        if raw:
            take.append(f"{_C[dtype]} *{name} = {pointer};")
        elif k < count:
            take.append(f"const {_C[dtype]} {name} = ({pointer})[i];")
        else:
            take.append(f"{_C[dtype]} {name};")
            give.append(f"({pointer})[i] = {name};")
    source = f"""{_PREAMBLE}
    void run(ptrdiff_t size, void **arguments) {{
        for (ptrdiff_t i = 0; i < size; ++i) {{ {" ".join(take)} {operation} {" ".join(give)} }}
    }}"""
    try:
        return parameters, count, _shared(cc, source).run
    except subprocess.CalledProcessError as error:
        raise ValueError(f"{error.stderr}\n{source}") from None


class ElementwiseKernel:
    """CuPy's, as far as zkynet uses it, on host arrays that ``unwrap`` and ``wrap`` take out of arrays and put in."""

    def __init__(self, inputs, outputs, operation, name, preamble="", options=(), return_tuple=False):
        assert name.isidentifier() and set(options) <= {"--fmad=false"}
        self.text = (inputs, outputs, operation)
        self.return_tuple = return_tuple

    def on_host(self, *args, size=None):
        """The list of outputs, or None where ``size`` is given: then all arrays are raw, the outputs among them."""
        parameters, count, run = compiled(*self.text)
        if size is not None:
            arrays = [_argument(x, dtype) for x, (_, dtype, _) in zip(args, parameters, strict=True)]
            given = [x if raw else np.full(size, x) for x, (raw, _, _) in zip(arrays, parameters, strict=True)]
            _run(run, size, given)
            return None
        arrays = [_argument(x, dtype) for x, (_, dtype, _) in zip(args, parameters[:count], strict=True)]
        assert any(isinstance(x, np.ndarray) for x in args), "Loop size is undecided."
        shape = np.broadcast_shapes(*[x.shape for x in arrays])
        made = [np.empty(shape, dtype) for _, dtype, _ in parameters[count:]]
        whole = [np.ascontiguousarray(np.broadcast_to(x, shape)) for x in arrays]
        _run(run, made[0].size, [*whole, *made])
        return made


def _argument(x, dtype):
    """An array, which has to have the type of the parameter, as with CuPy; a number in that type."""
    if isinstance(x, np.ndarray):
        if x.dtype != np.dtype(dtype):
            raise TypeError(f"Type is mismatched. {x.dtype} {dtype}")
        return x
    return np.array(x, dtype)


def _run(run, size, arrays):
    pointers = (ctypes.c_void_p * len(arrays))(*[x.ctypes.data for x in arrays])
    run(ctypes.c_ssize_t(size), pointers)
