"""``zkynet info``: what it prints, with and without optional libraries, and each of its warnings, provoked."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import zkynet
from support import backends as backends_here
from zkynet.bench import machine
from zkynet.cli import info, main

NOT_HERE = ("ZKYNET_BACKEND", "JAX_ENABLE_X64", machine.CORETYPE, *info.THREADS)


def run(*arguments, cwd, **env):
    """Run ``zkynet info`` in a process of its own, away from the checkout, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_HERE} | env
    command = [sys.executable, "-m", "zkynet", "info", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def clean(monkeypatch):
    for name in (*NOT_HERE, *info.SETTINGS):
        monkeypatch.delenv(name, raising=False)


def warnings(monkeypatch, **env):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return info.gather()["warnings"]


# ---- what it says ----


def test_json_tells_versions_backends_threads_and_blas(clean, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["zkynet"] == zkynet.__version__ and found["versions"]["numpy"] == np.__version__
    assert found["versions"]["python"] == sys.version.split()[0] and "torch" not in found["versions"]
    assert found["backends"]["numpy"] == {"available": True, "reason": None, "devices": ["cpu"]}
    for name in backends_here.NAMES:
        each = found["backends"][name]
        assert each["available"] == (name in backends_here.present()) == (each["reason"] is None)
    assert found["threads"]["cores"] >= 1 and found["threads"]["OMP_NUM_THREADS"] == "3"
    assert found["blas"]["name"] and set(found["blas"]) == {"name", "version", "kernel", "threads"}
    assert found["default_backend"] in found["backends"]


def test_devices_of_jax(clean):
    backends_here.get("jax")
    assert all(":" in device for device in info.gather()["backends"]["jax"]["devices"])


def test_text_says_the_same(clean, capsys, monkeypatch):
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", ".25")
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"zkynet {zkynet.__version__}, Python ") and f"NumPy {np.__version__}" in out
    assert "\nset: XLA_CLIENT_MEM_FRACTION=.25\n" in out and "no limit set" in out and "\nBLAS: " in out
    assert "\n  numpy             cpu\n" in out
    for name in set(backends_here.NAMES) - set(backends_here.present()):
        (line,) = [line for line in out.splitlines() if line.startswith(f"  {name} ")]
        assert "not available: " in line and "docs/backends.md" not in line


def test_numpy_alone_is_enough(tmp_path):
    """No optional library can be imported in this process."""
    for name in ("jax", "cupy", "array_api_compat", "array_api_strict", "scipy", "matplotlib", "threadpoolctl"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{name}'\")\n")
    found = json.loads(run("--json", cwd=tmp_path, PYTHONPATH=str(tmp_path)))
    assert [name for name, each in found["backends"].items() if each["available"]] == ["numpy"]
    assert "pip install zkynet[jax]" in found["backends"]["jax"]["reason"]


# ---- its warnings ----


def test_nothing_set_is_nothing_to_warn_of(clean):
    expected = [] if "cupy" in backends_here.present() or info.util.find_spec("cupy") is None else ["CuPy"]
    assert [text[:4] for text in info.gather()["warnings"]] == expected


def openblas(kernel):
    return {"name": "scipy-openblas", "version": "0.3.31", "kernel": kernel, "threads": 2}


@pytest.mark.parametrize(
    "has, kernel, warned",
    [
        ("AVX-512", "Haswell", "the kernel Haswell (AVX2), but the processor has AVX-512"),
        ("AVX-512", "Zen", "the kernel Zen (AVX2)"),
        ("AVX2", "Nehalem", "the kernel Nehalem (SSE)"),
        ("AVX2", "Haswell", None),
        ("AVX2", "SkylakeX", None),
        (None, "ARMV8", "chosen by hand, not the processor's own"),
        ("AVX2", "Brandnew", "chosen by hand"),
    ],
)
def test_a_preset_kernel_that_is_too_narrow(clean, monkeypatch, has, kernel, warned):
    monkeypatch.setattr(machine, "level", lambda: has)
    monkeypatch.setattr(machine, "blas_facts", lambda: openblas(kernel))
    assert not any(machine.CORETYPE in text for text in info.gather()["warnings"])  # not preset
    said = [text for text in warnings(monkeypatch, OPENBLAS_CORETYPE=kernel) if machine.CORETYPE in text]
    assert len(said) == (warned is not None)
    assert warned is None or (warned in said[0] and "unset it" in said[0])


def test_a_preset_kernel_means_nothing_to_another_blas(clean, monkeypatch):
    monkeypatch.setattr(machine, "blas_facts", lambda: {**openblas(None), "name": "mkl-sdl"})
    assert not any(machine.CORETYPE in text for text in warnings(monkeypatch, OPENBLAS_CORETYPE="Haswell"))


def test_the_kernel_in_use_is_the_one_that_was_preset(tmp_path):
    if machine.level() not in ("AVX2", "AVX-512") or machine.blas_facts()["kernel"] is None:
        pytest.skip("needs an x86 processor with AVX2, and an OpenBLAS that tells its kernel")
    found = json.loads(run("--json", cwd=tmp_path, OPENBLAS_CORETYPE="Nehalem"))
    assert found["blas"]["kernel"] == "Nehalem"
    assert [text for text in found["warnings"] if "Nehalem (SSE)" in text]


def test_jax_without_64_bits(tmp_path):
    backends_here.get("jax")
    off = json.loads(run("--json", cwd=tmp_path, JAX_ENABLE_X64="0"))["warnings"]
    assert [text for text in off if text.startswith("JAX_ENABLE_X64=0 turns JAX's 64-bit numbers off")]
    on = json.loads(run("--json", cwd=tmp_path, JAX_ENABLE_X64="1"))["warnings"]
    assert not [text for text in on if "JAX" in text]


def test_cupy_without_a_device(tmp_path):
    """A CuPy that imports and fails at its first allocation, as the real one does without a driver."""
    (tmp_path / "cupy.py").write_text("raise RuntimeError('cudaErrorNoDevice: no CUDA-capable device is detected')\n")
    out = run(cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (
        "warning: CuPy is installed, but cannot be used" in out
        and "not available: RuntimeError: cudaErrorNoDevice" in out
    )


def test_a_default_backend_that_does_not_exist(tmp_path):
    found = json.loads(run("--json", cwd=tmp_path, ZKYNET_BACKEND="abacus"))
    assert found["default_backend"] is None and "ZKYNET_BACKEND=abacus" in found["warnings"][-1]


# ---- what it asks the machine ----


def test_levels_of_kernels_and_processors(monkeypatch):
    assert machine.kernel_level("SKYLAKEX") == "AVX-512" and machine.kernel_level("ARMV8") is None
    for features, level in (
        ({"SSE2": True, "AVX": True, "AVX2": True, "FMA3": True, "AVX512_SKX": True}, "AVX-512"),
        ({"SSE2": True, "AVX": True, "AVX2": True, "FMA3": True}, "AVX2"),
        ({"SSE2": True, "AVX": True}, "AVX"),
        ({"SSE2": True}, "SSE"),
        ({"NEON": True}, None),
    ):
        monkeypatch.setattr(np._core._multiarray_umath, "__cpu_features__", features)
        assert machine.level() == level


def test_a_blas_that_tells_nothing_is_still_named(monkeypatch):
    monkeypatch.setattr(machine, "_openblas", lambda: None)
    monkeypatch.setattr(machine, "_by_threadpoolctl", lambda: None)
    facts = machine.blas_facts()
    assert (
        facts["kernel"] is facts["threads"] is None and machine.blas() == f"{facts['name']} {facts['version']}".strip()
    )
