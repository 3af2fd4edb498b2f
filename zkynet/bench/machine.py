"""Where figures were measured: processor, Python, NumPy, BLAS, and the libraries that took part."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from importlib import metadata
from pathlib import Path

import numpy as np

CORETYPE = "OPENBLAS_CORETYPE"  # tells OpenBLAS to use another kernel than the processor's own


def processor() -> str:
    """The model of the processor and the number of cores that this process may use."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}"


def blas() -> str:
    """NumPy's BLAS with the kernel and the threads in use where it tells: ``scipy-openblas 0.3.31, SkylakeX ...``."""
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name = f"{built.get('name', 'unknown')} {built.get('version', '')}".strip()
    library = _openblas()
    if library is None:
        return name
    kernel, threads = library
    return f"{name} with the kernel {kernel}, {threads} threads"


def _openblas() -> tuple[str, int] | None:
    """The kernel and the threads of the OpenBLAS that NumPy has loaded; None where it is another, or does not tell."""
    with contextlib.suppress(OSError, AttributeError):
        maps = Path("/proc/self/maps").read_text().split()
        paths = [item for item in maps if "openblas" in Path(item).name and "numpy" in item]
        library = ctypes.CDLL(paths[0] if paths else None)
        kernel = library.scipy_openblas_get_corename64_
        kernel.restype = ctypes.c_char_p
        return kernel().decode(), library.scipy_openblas_get_num_threads64_()
    return None


def versions(libraries: list[str]) -> str:
    """``torch 2.13.0, jax 0.10.2``."""
    return ", ".join(f"{library} {metadata.version(library)}" for library in libraries)
