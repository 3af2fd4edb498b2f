"""Rules use only what ``op`` has too, so that they run on Tensors; and no operator names an array library."""

from __future__ import annotations

import ast

import pytest

from support.imports import imports_of, modules_of
from zkynet.framework import op

LIBRARIES = {"numpy", "jax", "jaxlib", "cupy", "array_api_strict", "scipy"}
NAMESPACES = ("xp.linalg", "xp.fft", "xp.special")
RAW = {"forward"}  # methods that see raw arrays alone
CREATION = {"arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros"}  # on the default backend, in op


@pytest.fixture(scope="module")
def operations(checkout):
    return checkout / "zkynet" / "framework" / "operations"


def functions_of_rules(file):
    """The rules of a file, and the functions that take ``xp`` and are called from one of them."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and "xp" in [a.arg for a in f.args.args]]
    by_name = {f.name: f for f in functions}
    rules = [f for f in functions if f.name.startswith(("vjp_", "jvp_"))]
    for f in rules:  # grows while it is read
        for call in ast.walk(f):
            name = getattr(call, "id", None) or getattr(call, "attr", None)
            helper = by_name.get(name)
            if helper is not None and helper not in rules and name not in RAW:
                rules.append(helper)
    return rules


def names_on(function, owner="xp"):
    """(line, "name" or "linalg.name") for everything that is read off ``xp``."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner:
            if node.attr not in ("linalg", "fft", "special"):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in NAMESPACES:
            yield node.lineno, f"{ast.unparse(node.value).partition('.')[2]}.{node.attr}"


def in_op(name):
    item = op
    for part in name.split("."):
        item = getattr(item, part, None)
    return callable(item)


def test_rules_use_what_the_traced_namespace_has(operations):
    files = sorted(operations.glob("*.py"))
    used = [(f.name, line, name) for f in files for rule in functions_of_rules(f) for line, name in names_on(rule)]
    assert len(used) > 100
    assert [place for place in used if not in_op(place[2])] == []


def test_rules_create_nothing_on_a_backend_of_its_own(operations):
    """``xp.zeros_like(g)`` stands beside g; ``xp.zeros`` of the traced namespace on the default backend."""
    for file in sorted(operations.glob("*.py")):
        used = [(file.name, line, name) for rule in functions_of_rules(file) for line, name in names_on(rule)]
        assert [place for place in used if place[2] in CREATION] == []


def test_the_search_finds_what_is_missing(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text(
        "class A:\n    def vjp_x(self, xp, g):\n        return h(xp, g)\n\n"
        "def h(xp, g):\n    return xp.linalg.schur(g)\n"
    )
    used = [name for rule in functions_of_rules(file) for _, name in names_on(rule)]
    assert used == ["linalg.schur"] and not in_op("linalg.schur") and in_op("linalg.solve") and in_op("exp")


def test_no_operator_imports_an_array_library(operations):
    found = imports_of(modules_of(operations, "zkynet.framework.operations"))
    assert len(found) > 20
    assert [i for i in found if i.module.partition(".")[0] in LIBRARIES] == []


def test_rules_touch_no_values_and_write_nothing(operations):
    """No ``.value`` and no NumPy method on what a rule is given, and nothing written in place."""
    for file in sorted(operations.glob("*.py")):
        for rule in functions_of_rules(file):
            for node in ast.walk(rule):
                place = f"{file.name}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Attribute):
                    assert node.attr not in {"value", "_value", "item", "copy", "astype", "T", "sum"} or in_xp(node), (
                        place
                    )
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                assert not any(isinstance(t, ast.Subscript) for t in targets), place
                assert not isinstance(node, ast.AugAssign) or isinstance(node.target, ast.Name), place


def in_xp(node):
    return isinstance(node.value, ast.Name) and node.value.id == "xp"
