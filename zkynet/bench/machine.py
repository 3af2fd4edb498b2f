"""What figures depend on: processor, threads, the BLAS that NumPy uses, and the versions of libraries."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

CORETYPE = "OPENBLAS_CORETYPE"  # tells OpenBLAS to use another kernel than the processor's own

# What the instructions of an x86 processor, or of a kernel of OpenBLAS, are called, narrow to wide.
LEVELS = ("SSE", "AVX", "AVX2", "AVX-512")
_KERNELS = {
    "SSE": "Prescott Core2 Penryn Dunnington Nehalem Athlon Opteron Opteron_SSE3 Barcelona Bobcat Atom Nano",
    "AVX": "Sandybridge Bulldozer Piledriver Steamroller",
    "AVX2": "Haswell Zen Excavator",
    "AVX-512": "SkylakeX Cooperlake Sapphirerapids",
}
_LEVEL_OF = {kernel.lower(): level for level, kernels in _KERNELS.items() for kernel in kernels.split()}
_SYMBOLS = (("scipy_openblas_", "64_"), ("scipy_openblas_", ""), ("openblas_", "64_"), ("openblas_", ""))


def processor() -> str:
    """The model of the processor and the number of cores that this process may use."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {cores()} cores, {platform.system()}"


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def level() -> str | None:
    """The widest of LEVELS that the processor has, as NumPy sees it; None where it is no x86."""
    # No public name tells it in the same words in every version of NumPy.
    features = getattr(import_module("numpy._core._multiarray_umath"), "__cpu_features__", {})
    if not features.get("SSE2"):
        return None
    if features.get("AVX512_SKX") or features.get("X86_V4"):
        return "AVX-512"
    if features.get("X86_V3") or (features.get("AVX2") and features.get("FMA3")):
        return "AVX2"
    return "AVX" if features.get("AVX") else "SSE"


def kernel_level(kernel: str) -> str | None:
    """The one of LEVELS that OpenBLAS's kernel of this name is written for; None where that is not known."""
    return _LEVEL_OF.get(kernel.lower())


def preset_kernel(facts: dict[str, Any]) -> str | None:
    """What is wrong where a kernel of OpenBLAS was chosen by hand that is narrower than the processor, or may be.

    ``facts`` are those of ``blas_facts()``.
    """
    preset = os.environ.get(CORETYPE)
    if not preset or "openblas" not in facts["name"].lower():
        return None
    kernel = facts["kernel"] or preset
    has, uses = level(), kernel_level(kernel)
    if has is None or uses is None:
        what = f"NumPy's BLAS uses the kernel {kernel}, chosen by hand, not the processor's own"
    elif LEVELS.index(uses) < LEVELS.index(has):
        what = f"NumPy's BLAS uses the kernel {kernel} ({uses}), but the processor has {has}"
    else:
        return None
    return f"{CORETYPE}={preset} is set: {what}; unset it to be faster"


def blas() -> str:
    """NumPy's BLAS with the kernel and the threads in use where it tells: ``scipy-openblas 0.3.31, SkylakeX ...``."""
    facts = blas_facts()
    name = f"{facts['name']} {facts['version']}".strip()
    if facts["kernel"] is None:
        return name
    return f"{name} with the kernel {facts['kernel']}, {facts['threads']} threads"


def blas_facts() -> dict[str, Any]:
    """``name`` and ``version`` of NumPy's BLAS, ``kernel`` and ``threads`` in use; None for what it does not tell."""
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    kernel, threads = _openblas() or _by_threadpoolctl() or (None, None)
    return {
        "name": built.get("name", "unknown"),
        "version": built.get("version", ""),
        "kernel": kernel,
        "threads": threads,
    }


def _openblas() -> tuple[str, int] | None:
    """The kernel and the threads of the OpenBLAS that NumPy has loaded; None where it is another, or does not tell."""
    with contextlib.suppress(OSError):
        maps = Path("/proc/self/maps").read_text().split()
        paths = {item: "numpy" in item for item in maps if "openblas" in Path(item).name}
        library = ctypes.CDLL(max(paths, key=paths.__getitem__) if paths else None)
        for before, behind in _SYMBOLS:
            kernel = getattr(library, f"{before}get_corename{behind}", None)
            threads = getattr(library, f"{before}get_num_threads{behind}", None)
            if kernel is not None and threads is not None:
                kernel.restype = ctypes.c_char_p
                return kernel().decode(), threads()
    return None


def _by_threadpoolctl() -> tuple[str | None, int] | None:
    """The same of any BLAS, where the package threadpoolctl is installed to ask."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    for library in threadpool_info():
        if library["user_api"] == "blas":
            return library.get("architecture"), library["num_threads"]
    return None


def versions(libraries: list[str]) -> str:
    """``torch 2.13.0, jax 0.10.2``."""
    return ", ".join(f"{library} {metadata.version(library)}" for library in libraries)
