"""``zkynet info``: what zkynet finds on this machine, and what of it will cost speed or precision."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import metadata, util
from typing import Any

from zkynet.backends.errors import BackendError
from zkynet.cli.parsing import Parser, sentence

HELP = """\
Prints versions, the backends with their devices or the reason why one cannot be used, the threads and the BLAS that
NumPy computes with, and warns of settings that cost speed or precision. docs/backends.md says what to do about them.
"""
# Optional libraries by the names of their distributions. CuPy has one for each version of CUDA.
LIBRARIES = (
    *("jax", "jaxlib", "cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "array-api-compat"),
    *("array-api-strict", "scipy", "matplotlib", "tqdm"),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
SETTINGS = (
    *(
        "ZKYNET_BACKEND",
        "ZKYNET_KEEP_MEMORY",
        "ZKYNET_WINOGRAD",
        "OPENBLAS_CORETYPE",
        "JAX_ENABLE_X64",
        "JAX_PLATFORMS",
    ),
    *("XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"),
    *("CUDA_VISIBLE_DEVICES", "CUPY_GPU_MEMORY_LIMIT", "CUPY_TF32"),
)


def fill(parser: Parser, words: Any) -> None:
    """Add what ``info`` takes to its parser."""
    parser.description = HELP
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print what there is."""
    found = gather()
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for line in _lines(found):
        print(line)


def gather() -> dict[str, Any]:
    """Everything that ``zkynet info`` knows, as plain data."""
    from zkynet.bench import machine

    found: dict[str, Any] = {
        "versions": _versions(),
        "processor": machine.processor(),
        "backends": _backends(),
        "default_backend": None,
        "threads": {"cores": machine.cores(), **{name: os.environ.get(name) for name in THREADS}},
        "blas": machine.blas_facts(),
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "warnings": [],
    }
    warnings = [
        machine.preset_kernel(found["blas"]),
        _narrow_jax(found["backends"]),
        _cupy_without_device(found["backends"]),
    ]
    try:
        from zkynet.backends import default_backend

        found["default_backend"] = default_backend().name
    except BackendError as error:
        warnings.append(sentence(error))
    found["warnings"] = [text for text in warnings if text is not None]
    return found


def _versions() -> dict[str, str]:
    import numpy

    import zkynet

    found = {"zkynet": zkynet.__version__, "python": sys.version.split()[0], "numpy": numpy.__version__}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


# ---- backends and their devices ----


def _backends() -> dict[str, dict[str, Any]]:
    """By name: the reason why it cannot be used, or None, and the devices that it computes on."""
    from zkynet import backends

    found = {}
    for name, reason in backends.available().items():
        if reason is not None:
            reason = sentence(
                Exception(reason.removeprefix("BackendNotAvailable: ").replace("See docs/backends.md.", ""))
            )
        devices = _devices(name) if reason is None else []
        found[name] = {"available": reason is None, "reason": reason, "devices": devices}
    return found


def _devices(name: str) -> list[str]:
    """The devices of an available backend, as its library calls them; none where there is nothing to choose."""
    if name == "jax":
        import jax

        return [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]
    if name == "cupy":
        from cupy.cuda import runtime

        count = runtime.getDeviceCount()
        return [f"cuda:{i} {runtime.getDeviceProperties(i)['name'].decode()}" for i in range(count)]
    return ["cpu"] if name == "numpy" else []


# ---- what costs speed or precision ----


def _narrow_jax(backends: dict[str, dict[str, Any]]) -> str | None:
    """JAX without 64-bit numbers because the user said so: zkynet turns them on otherwise."""
    if not backends.get("jax", {}).get("available"):
        return None
    from zkynet.backends import get

    if "JAX_ENABLE_X64" not in os.environ or str(get("jax").index_dtype) == "int64":
        return None
    said = f"JAX_ENABLE_X64={os.environ['JAX_ENABLE_X64']}"
    return f"{said} turns JAX's 64-bit numbers off: float64 and random numbers are refused there; unset it"


def _cupy_without_device(backends: dict[str, dict[str, Any]]) -> str | None:
    """CuPy that is installed and has nothing to compute on."""
    if backends.get("cupy", {}).get("available", True) or util.find_spec("cupy") is None:
        return None
    return "CuPy is installed, but cannot be used: the reason stands beside the backend"


# ---- the text ----


def _lines(found: dict[str, Any]) -> list[str]:
    versions, threads, blas = found["versions"], found["threads"], found["blas"]
    ours = ("zkynet", "python", "numpy")
    others = ", ".join(f"{name} {version}" for name, version in versions.items() if name not in ours)
    used = "" if blas["threads"] is None else f"; BLAS uses {blas['threads']}"
    limits = "".join(f"; {name}={threads[name]}" for name in THREADS if threads[name] is not None)
    kernel = "" if blas["kernel"] is None else f", kernel {blas['kernel']}"
    lines = [
        f"zkynet {versions['zkynet']}, Python {versions['python']}, NumPy {versions['numpy']}",
        f"on {found['processor']}",
        f"libraries: {others or 'none besides'}",
        f"threads: {threads['cores']} cores{used}{limits or '; no limit set'}",
        f"BLAS: {blas['name']} {blas['version']}{kernel}",
        f"backends (default: {found['default_backend'] or 'none'}):",
    ]
    for name, each in found["backends"].items():
        state = ", ".join(each["devices"]) or "available"
        lines.append(f"  {name:<17} {state if each['available'] else 'not available: ' + each['reason']}")
    lines += [f"set: {name}={value}" for name, value in found["environment"].items()]
    return lines + [f"warning: {text}" for text in found["warnings"]]
