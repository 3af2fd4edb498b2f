"""Imports go one way: backends, then the framework file by file, then everything else.

The words are those of docs/architecture.md. A rule that a file has to break gets a line in one of the two allowlists,
with the reason; a line that is no longer needed fails too.
"""

import sys
from pathlib import Path

import pytest

import zkynet
import zkynet.backends
from support.imports import Import, imports_of, modules_of

BACKENDS = "zkynet.backends"
FRAMEWORK = "zkynet.framework"
OPERATIONS = "zkynet.framework.operations"
DATA = "zkynet.data"

# Each may import those before it. The package itself (framework/__init__.py) stands above all of them.
FRAMEWORK_ORDER = (
    "arraylike",
    "axes",
    "pytree",
    "function",
    "record",
    "quick",
    "operator",
    "operations",
    "op",
    "numpy_functions",
    "numpy_dispatch",
    "tensor_methods",
    "backprop",
    "pushforward",
    "session",
    "backward_pass",
    "graph",
    "module",
    "trace",
    "transforms",
    "custom",
    "anomaly_report",
    "anomaly",
    "diagonal",
    "jacobians",
    "spellings",
    "gradients",
    "graph_mode",
    "computation_graph",
)

# Files of the framework that may import NumPy, and why. None in operations: a rule uses `xp` alone.
NUMPY_ALLOWED: dict[str, str] = {
    "zkynet.framework.numpy_dispatch": "it tells NumPy's own functions, called on a Tensor, from others",
}

# (importer, imported) pairs that break the order, and why.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def inside(module, package):
    return module == package or module.startswith(package + ".")


def unit(module):
    """The entry of FRAMEWORK_ORDER that a module of the framework belongs to, "" for the package itself."""
    return module.removeprefix(FRAMEWORK).removeprefix(".").partition(".")[0]


def is_ours(module):
    return inside(module, "zkynet")


def is_standard(module):
    return module.partition(".")[0] in sys.stdlib_module_names


def complaint(found):
    """Why the import ``found`` breaks the layering, or None."""
    importer, module = found.importer, found.module
    if inside(importer, BACKENDS):
        if is_ours(module) and not inside(module, BACKENDS):
            return "backends import nothing of zkynet"
    elif inside(importer, FRAMEWORK):
        return complaint_in_framework(importer, module)
    elif inside(importer, DATA) and is_ours(module) and not inside(module, DATA) and module != "zkynet.backends.errors":
        return "data knows NumPy alone"
    return None


def complaint_in_framework(importer, module):
    if is_standard(module) or inside(module, BACKENDS):
        return None
    if not is_ours(module):
        if module.partition(".")[0] == "numpy" and importer in NUMPY_ALLOWED:
            return None
        return "the framework knows no array library; one reason per file goes into NUMPY_ALLOWED"
    if not inside(module, FRAMEWORK):
        return "the framework knows nothing above it"
    if importer == FRAMEWORK:
        return None
    if unit(importer) not in FRAMEWORK_ORDER:
        return None  # another test says so, once
    if unit(module) not in FRAMEWORK_ORDER[: FRAMEWORK_ORDER.index(unit(importer)) + 1]:
        return "a file of the framework imports only what stands before it in FRAMEWORK_ORDER"
    return None


def violations(imports):
    return [
        f"{found.importer} ({found.where}) imports {found.module}: {reason}"
        for found in imports
        if (reason := complaint(found)) and (found.importer, found.module) not in EXCEPTIONS
    ]


@pytest.fixture(scope="module")
def modules():
    package, backends = Path(zkynet.__file__).parent, Path(zkynet.backends.__file__).parent
    # In an editable install the backends' folder stands beside the package, in a wheel inside it.
    return {**modules_of(package, "zkynet"), **modules_of(backends, BACKENDS)}


@pytest.fixture(scope="module")
def imports(modules):
    return imports_of(modules)


def test_imports_go_one_way(imports):
    assert not violations(imports), "\n".join(violations(imports))


def test_every_file_of_the_framework_has_its_place_in_the_order(modules):
    units = {unit(name) for name in modules if inside(name, FRAMEWORK) and name != FRAMEWORK}
    assert units <= set(FRAMEWORK_ORDER), "give the new file a place in FRAMEWORK_ORDER and in docs/architecture.md"


def test_operations_never_get_numpy():
    assert not [name for name in NUMPY_ALLOWED if inside(name, OPERATIONS)]


def test_allowlists_hold_nothing_that_is_not_needed(imports):
    numpy_users = {found.importer for found in imports if found.module.partition(".")[0] == "numpy"}
    pairs = {(found.importer, found.module) for found in imports}
    assert set(NUMPY_ALLOWED) <= numpy_users
    assert set(EXCEPTIONS) <= pairs
    assert all([*NUMPY_ALLOWED.values(), *EXCEPTIONS.values()]), "an exception needs its reason"


def test_the_reader_sees_the_package(modules, imports):
    assert {BACKENDS, "zkynet.backends.base", DATA, "zkynet.framework.record"} <= set(modules)
    assert any(found.importer == "zkynet.framework.record" and inside(found.module, BACKENDS) for found in imports)


@pytest.mark.parametrize(
    "importer, module",
    [
        ("zkynet.backends.base", "zkynet"),
        ("zkynet.backends.base", "zkynet.framework.axes"),
        ("zkynet.framework.record", "zkynet"),
        ("zkynet.framework.record", "zkynet.nn"),
        ("zkynet.framework.record", "zkynet.framework"),
        ("zkynet.framework.record", "zkynet.framework.operator"),
        ("zkynet.framework.axes", "zkynet.framework.pytree"),
        ("zkynet.framework.operations.shape", "zkynet.framework.backprop"),
        ("zkynet.framework.operations.shape", "numpy"),
        ("zkynet.framework.operations.shape", "numpy.linalg"),
        ("zkynet.framework.backprop", "jax"),
        ("zkynet.framework", "zkynet.testing"),
        ("zkynet.data.digits", "zkynet.framework"),
    ],
)
def test_forbidden_imports_are_found(importer, module):
    assert violations([Import(importer, module, "example.py:1")])


@pytest.mark.parametrize(
    "importer, module",
    [
        ("zkynet.backends.numpy", "numpy"),
        ("zkynet.backends.numpy", "zkynet.backends.base"),
        ("zkynet.framework.pytree", "zkynet.framework.axes"),
        ("zkynet.framework.operations.shape", "zkynet.framework.operations.elementwise"),
        ("zkynet.framework.operations.shape", "itertools"),
        ("zkynet.framework.backprop", "zkynet.backends.errors"),
        ("zkynet.framework", "zkynet.framework.transforms"),
        ("zkynet.nn.linear", "zkynet.framework.module"),
        ("zkynet", "zkynet.framework"),
    ],
)
def test_allowed_imports_pass(importer, module):
    assert not violations([Import(importer, module, "example.py:1")])


def test_the_reader_resolves_every_way_to_write_an_import(tmp_path):
    sources = {
        "__init__.py": "",
        "top.py": "",
        "inner/__init__.py": "from . import leaf\nfrom .leaf import thing\nfrom .. import top\n",
        "inner/leaf.py": "import os.path as p, json\nfrom ..top import x\nfrom . import missing\n"
        "def f():\n    from pkg import top\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    modules = modules_of(tmp_path, "pkg")
    found = [(each.importer, each.module) for each in imports_of(modules)]
    assert set(modules) == {"pkg", "pkg.top", "pkg.inner", "pkg.inner.leaf"}
    assert sorted(found) == [
        ("pkg.inner", "pkg.inner.leaf"),
        ("pkg.inner", "pkg.inner.leaf"),
        ("pkg.inner", "pkg.top"),
        ("pkg.inner.leaf", "json"),
        ("pkg.inner.leaf", "os.path"),
        ("pkg.inner.leaf", "pkg.inner"),
        ("pkg.inner.leaf", "pkg.top"),
        ("pkg.inner.leaf", "pkg.top"),
    ]
