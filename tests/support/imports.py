"""Reads the imports out of source files, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """One imported module: who imports it, from which line of which file, and its full dotted name."""

    importer: str
    module: str
    where: str


def modules_of(package: Path, name: str) -> dict[str, Path]:
    """Return the file of every module in the folder ``package``, by dotted name; ``name`` is the package's own."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        parts = list(file.relative_to(package).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join([name, *parts])] = file
    return found


def imports_of(modules: dict[str, Path]) -> list[Import]:
    """Return every import statement in ``modules``, those inside functions and TYPE_CHECKING blocks too.

    ``from a import b`` counts as a.b where that is one of ``modules``, otherwise as a.
    """
    return [found for name, file in modules.items() for found in _imports_of_file(name, file, modules)]


def _imports_of_file(name: str, file: Path, modules: dict[str, Path]) -> Iterator[Import]:
    is_package = file.name == "__init__.py"
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(name, is_package, node)
            inside = [f"{origin}.{alias.name}" for alias in node.names]
            targets = [full if full in modules else origin for full in inside]
        else:
            continue
        for target in targets:
            yield Import(name, target, f"{file.name}:{node.lineno}")


def _origin(name: str, is_package: bool, node: ast.ImportFrom) -> str:
    """Return what stands between ``from`` and ``import``, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    above = name.split(".")
    drop = node.level - 1 if is_package else node.level
    return ".".join(above[: len(above) - drop] + ([node.module] if node.module else []))
