"""What `import zkynet` loads, what a wheel contains, and that the command line starts. Each in a process of its own."""

import ast
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
from zkynet.framework import cg, op

# Prints the top-level names that MODULE adds to what Python and `import numpy` had loaded.
LOADED_BY = """
import importlib, json, sys
import numpy
before = set(sys.modules)
importlib.import_module(sys.argv[1])
added = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(added - set(sys.stdlib_module_names) - {"numpy"})))
"""

# What `import zkynet` loads. Everything else is loaded where it is used: a line more here makes every start slower.
OF_BACKENDS = """attention base contraction convolution entrywise errors lazy mutable numpy numpy_attention
    numpy_entrywise numpy_pooling numpy_recurrent philox pooling portable quiet recurrent standard"""
OF_THE_FRAMEWORK = """arraylike axes computation_graph function numpy_dispatch op operations operator pytree quick
    record tensor_methods"""
OF_THE_OPERATIONS = "comparison complex control dtypes elementwise indexing linalg shape"
AT_ONCE = {
    *("zkynet", "zkynet.backends", "zkynet.framework"),
    *(f"zkynet.backends.{name}" for name in OF_BACKENDS.split()),
    *(f"zkynet.framework.{name}" for name in OF_THE_FRAMEWORK.split()),
    *(f"zkynet.framework.operations.{name}" for name in OF_THE_OPERATIONS.split()),
}

# Prints what `import zkynet` adds to what Python and `import numpy` had loaded, to the last module.
ADDED = """
import json, sys
import numpy
before = set(sys.modules)
import zkynet
print(json.dumps(sorted(set(sys.modules) - before)))
"""

# Asks for each "module:name" alone, in a process in which `import zkynet` was all so far; prints those that fail.
ALL_NAMES = """
import zkynet
from zkynet.framework import cg, op
for module in (zkynet, cg, op):
    print(*[f"{module.__name__}:{name}" for name in dir(module) if name[0] != "_"])
"""

EACH_ALONE = """
import importlib, os, sys, traceback
import zkynet
for asked in sys.argv[1:]:
    child = os.fork()
    if not child:
        module, _, name = asked.partition(":")
        try:
            found = importlib.import_module(module)
            getattr(found, name) if name else None
        except BaseException:
            print(asked, traceback.format_exc(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
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


def test_loads_no_more_than_every_program_needs(tmp_path):
    added = set(json.loads(run(sys.executable, "-c", ADDED, cwd=tmp_path)))
    assert {name for name in added if name.partition(".")[0] == "zkynet"} == AT_ONCE
    # Loaded by NumPy at its first use, or costly parts of the standard library.
    assert not {"numpy.fft", "numpy.polynomial", "dataclasses", "zlib", "inspect", "ast"} & added


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a copy of the process for each name")
def test_each_name_and_each_file_of_the_framework_loads_alone(checkout, tmp_path):
    """Whatever comes first: a ring of imports shows where the name that closes it is the first to be asked for."""
    names = run(sys.executable, "-c", ALL_NAMES, cwd=tmp_path).split()  # here, other tests have loaded more
    framework = checkout / "zkynet" / "framework"
    files = [file.relative_to(checkout).with_suffix("") for file in framework.rglob("*.py") if file.stem != "__init__"]
    asked = [*names, *(".".join(file.parts) for file in files)]
    assert len(names) > 500 and len(files) > 100
    assert run(sys.executable, "-c", EACH_ALONE, *asked, cwd=tmp_path) == ""


def test_star_imports_bind_every_listed_name(tmp_path):
    code = "from {0} import *; import {0} as m; missing = set(m.__all__) - set(globals()); assert not missing, missing"
    for module in (zkynet, cg, op):
        run(sys.executable, "-c", code.format(module.__name__), cwd=tmp_path)


def test_type_checkers_see_what_op_exports(checkout):
    """The stub has one line for each name of ``op.FAMILIES``, and no other."""
    stub = ast.parse((checkout / "zkynet" / "framework" / "op" / "__init__.pyi").read_text())
    seen = []
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("operations."):
            seen += [(node.module.removeprefix("operations."), alias.name, alias.asname) for alias in node.names]
        elif isinstance(node, ast.Assign):  # mult = elementwise.multiply: `import a as b` exports nothing in a stub
            seen.append((node.value.value.id, node.value.attr, node.targets[0].id))
    listed = [
        (family, defined, exported or defined)
        for family, names in op.FAMILIES.items()
        for defined, _, exported in (name.partition(" as ") for name in names.split(", "))
    ]
    assert set(listed) - set(seen) == set(), "op/__init__.pyi lacks these lines"
    assert set(seen) - set(listed) == set(), "op.FAMILIES lacks these names"
    assert len(seen) == len(set(seen)) and len(listed) == len(set(listed)) == len({name for *_, name in listed})


def test_names_are_loaded_once_by_the_names_they_are_given(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    package.mkdir()
    homes = {".first": "one, two as second", ".": "first"}
    table = f"from zkynet.backends import lazy\n__getattr__, __dir__, __all__ = lazy.exports(__name__, {homes})\n"
    (package / "__init__.py").write_text(table)
    (package / "first.py").write_text("one, two = object(), object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("some_package")
    assert "some_package.first" not in sys.modules and set(dir(module)) >= {"one", "second", "first"}
    assert module.__all__ == ["one", "second", "first"]
    assert module.one is module.first.one and module.second is module.first.two
    assert vars(module)["one"] is module.one
    for name in ("two", "nothing", "__wrapped__"):
        with pytest.raises(AttributeError, match=f"module 'some_package' has no attribute '{name}'"):
            getattr(module, name)


def test_threads_that_ask_at_once_get_the_same(tmp_path):
    code = """
import random, threading
import zkynet as zk
from zkynet.framework import cg, op
names = [(module, name) for module in (zk, cg, op) for name in module.__all__]
start, found = threading.Barrier(6), []
def ask(seed):
    mine = random.Random(seed).sample(names, len(names))
    start.wait()
    found.append({(module.__name__, name): id(getattr(module, name)) for module, name in mine})
threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
for step in (threading.Thread.start, threading.Thread.join):
    for thread in threads:
        step(thread)
assert len(found) == 6 and all(each == found[0] for each in found)
"""
    run(sys.executable, "-c", code, cwd=tmp_path)


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
