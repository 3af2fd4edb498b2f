"""What `import zkynet` loads, what a wheel contains, and that the command line starts. Each in a process of its own."""

import configparser
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

import zkynet

# Prints the top-level names that MODULE adds to what Python and `import numpy` had loaded.
LOADED_BY = """
import importlib, json, sys
import numpy
before = set(sys.modules)
importlib.import_module(sys.argv[1])
added = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(added - set(sys.stdlib_module_names) - {"numpy"})))
"""


def run(*command, cwd, **env):
    """Run a command and return its output; the test fails with all it said where it does not end with 0."""
    # Not in the checkout: there, `./zkynet` would stand before the installed package.
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("module", ["zkynet", "zkynet.backends", "zkynet.data"])
def test_loads_numpy_and_no_other_library(module, tmp_path):
    loaded = json.loads(run(sys.executable, "-c", LOADED_BY, module, cwd=tmp_path))
    assert loaded == ["zkynet"]


def test_loads_without_a_warning(tmp_path):
    assert run(sys.executable, "-W", "error", "-c", "import zkynet", cwd=tmp_path) == ""


def test_command_line_starts(tmp_path):
    said = run(sys.executable, "-m", "zkynet", "--help", cwd=tmp_path)
    assert "usage: zkynet" in said and "train" in said


def test_every_package_is_listed(checkout):
    """setup.cfg writes the packages out, because ``zkynet.backends`` lies outside ``zkynet``."""
    config = configparser.ConfigParser()
    config.read(checkout / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    folders = {init.parent for init in (checkout / "zkynet").rglob("__init__.py")}
    found = {".".join(folder.relative_to(checkout).parts) for folder in folders} | {"zkynet.backends"}
    found |= {f"zkynet.backends.{init.parent.name}" for init in (checkout / "backends").glob("*/__init__.py")}
    assert listed == found


@pytest.mark.slow
def test_wheel_contains_every_file(checkout, tmp_path):
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("building a wheel needs pip and setuptools")
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in ("zkynet", "backends"):
        shutil.copytree(checkout / folder, source / folder, ignore=ignored)
    for file in ("pyproject.toml", "setup.cfg", "LICENSE"):
        shutil.copy(checkout / file, source / file)
    build = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir")
    run(*build, str(tmp_path), str(source), cwd=tmp_path)
    (wheel,) = tmp_path.glob("zkynet-*.whl")
    contained = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {file.relative_to(source).as_posix() for file in (source / "zkynet").rglob("*") if file.is_file()}
    expected |= {f"zkynet/{file.relative_to(source).as_posix()}" for file in (source / "backends").rglob("*.py")}
    assert contained == expected
    assert {"zkynet/py.typed", "zkynet/data/digits.npz", "zkynet/backends/base.py"} <= contained


def test_version_is_that_of_the_distribution():
    from importlib import metadata

    assert zkynet.__version__ == metadata.version("zkynet")
