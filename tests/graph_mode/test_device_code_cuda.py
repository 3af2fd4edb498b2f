"""The machine code of kernels, by CUDA's run-time compiler, beside that of CuPy's own: needs CuPy, but no GPU.

A one-step kernel that is compiled without contraction is the very code of CuPy's, which is compiled with it; or, where
the two are written differently, the code that it would also be with contraction. So fusing changes no bit.
"""

import struct
from pathlib import Path

import numpy as np
import pytest

from support.graph_programs import NUMPY
from zkynet.framework.graph_mode.device_code import C_TYPES, KERNEL_NAMES, kernel_of, told
from zkynet.framework.graph_mode.program import Step, Value

cupy = pytest.importorskip("cupy", reason="the text is compared with CuPy's, and there is none", exc_type=ImportError)
pytestmark = pytest.mark.slow

CUPY_NAMES = {"bitwise_invert": "invert", "pow": "power"} | {
    f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")
}
# Made of several operations, each of which CuPy runs as a kernel: contraction inside would be wrong.
COMPOSED = frozenset(("sigmoid", "multiply_no_nan", "silence", "shifted", "relu"))


def includes():
    """Options that name the folders of headers: CuPy's, and CUDA's where wheels brought them."""
    folders = [Path(cupy.__file__).parent / "_core" / "include"]
    folders += [path.parent for path in Path(cupy.__file__).parents[1].glob("nvidia/*/include/cuda_fp16.h")]
    folders += [path.parents[1] for path in Path(cupy.__file__).parents[1].glob("nvidia/*/include/cuda/std")]
    return tuple([f"-I{folder}" for folder in folders])


def machine_code(source, options):
    """The instructions of the one kernel in ``source``: the section .text of a file in the format ELF."""
    from cupy.cuda import compiler

    program = compiler._NVRTCProgram(source, "kernel.cu", (), (), method="cubin")
    options = (*includes(), *options, "-arch=sm_90", "--device-as-default-execution-space")
    found = program.compile(options, None)[0]
    start, size, count, names = struct.unpack_from("<Q", found, 40) + struct.unpack_from("<HHH", found, 58)
    headers = [struct.unpack_from("<IIQQQQ", found, start + i * size) for i in range(count)]
    texts = [h for h in headers if found[headers[names][4] + h[0] :].startswith(b".text.")]
    ((_, _, _, _, offset, length),) = texts
    return found[offset : offset + length]


@pytest.fixture(scope="module", autouse=True)
def compiler():
    """Whether the compiler is here."""
    try:
        machine_code('#include <cupy/carray.cuh>\nextern "C" __global__ void f(float *x) { *x += 1; }', ())
    except Exception as error:
        pytest.skip(f"CUDA's run-time compiler does not run here: {error}"[:300])


def kernel_source(parameters, body, more=""):
    """What CuPy makes of an elementwise kernel."""
    arrays = ", ".join([f"{const}CArray<{c}, 1, 1, 1> _raw_{name}" for const, c, name in parameters])
    return f"""
    #include <cupy/carray.cuh>
    #include <cupy/float16.cuh>
    {more}
    extern "C" __global__ void kernel({arrays}, CIndexer<1, 1> _ind) {{
      ;
      #pragma unroll 1
      CUPY_FOR(i, _ind.size()) {{
        _ind.set(i);
        {body}
      }}
      ;
    }}"""


def ours(step):
    kernel = kernel_of([step], [step.outputs], NUMPY.name_of)
    given, made = [
        [(C_TYPES[p.split()[0]], p.split()[1]) for p in text.split(", ")] for text in (kernel.inputs, kernel.outputs)
    ]
    lines = [f"const {c} &{name} = _raw_{name}[_ind.get()];" for c, name in given]
    lines += [f"{c} &{name} = _raw_{name}[_ind.get()];" for c, name in made]
    parameters = [("const ", *p) for p in given] + [("", *p) for p in made]
    return kernel_source(parameters, "\n".join([*lines, kernel.operation, ";"]))


def theirs(step, dtype):
    """CuPy's kernel for such arrays; None where it has none of its own."""
    import cupyx.scipy.special

    name = step.function.removeprefix("special.")
    home = cupyx.scipy.special if name != step.function else cupy
    ufunc = getattr(home, CUPY_NAMES.get(name, name), None)
    loops = [] if ufunc is None else [loop for loop in ufunc._ops.ops if set(loop.in_types) == {np.dtype(dtype)}]
    if not loops or loops[0].routine is None:
        return None
    c, made = C_TYPES[dtype], C_TYPES[np.dtype(loops[0].out_types[0]).name]
    names = [f"in{i}" for i in range(ufunc.nin)]
    types = [f"typedef {c} {name}_type;" for name in names] + [f"typedef {made} out0_type;"]
    lines = [f"const {name}_type {name}(_raw_{name}[_ind.get()]);" for name in names] + ["out0_type out0;"]
    lines += [loops[0].routine, ";", "_raw_out0[_ind.get()] = out0;"]
    parameters = [("const ", c, name) for name in names] + [("", made, "out0")]
    return kernel_source(parameters, "\n".join(lines), "\n".join([*types, ufunc._preamble]))


def steps_of(name):
    """A step of a function for each dtype for which it is told."""
    for dtype in C_TYPES:
        for count in (1, 2):
            values = tuple([Value(i, (8,), np.dtype(dtype)) for i in range(count)])
            for made in dict.fromkeys((dtype, "bool")):
                step = Step(name, values, {}, Value(9, (8,), np.dtype(made)))
                found = told(step, NUMPY.name_of)
                if found is not None and ("{b}" in found.text) == (count == 2):
                    yield dtype, step


@pytest.mark.parametrize("name", sorted(KERNEL_NAMES - {"where", "select"}))
def test_a_step_alone_is_the_machine_code_of_cupys_kernel(name):
    compared = 0
    for dtype, step in steps_of(name):
        source = ours(step)
        found = machine_code(source, ("--fmad=false",))
        kernel = theirs(step, dtype)
        if kernel is None or found != machine_code(kernel, ("--std=c++17",)):
            assert name in COMPOSED or found == machine_code(source, ()), f"{dtype}: contraction changes the code"
        compared += 1
    assert compared


def test_the_comparison_sees_contraction():
    body = "x += _raw_x[_ind.get()] * x;"
    source = kernel_source([("", "float", "x")], f"float &x = _raw_x[_ind.get()]; {body}")
    assert machine_code(source, ()) != machine_code(source, ("--fmad=false",))
