"""Names that a module exports, each loaded when it is first asked for (PEP 562)."""

import importlib
import sys
from collections.abc import Callable
from typing import Any


def exports(module: str, homes: dict[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of ``module``, which exports what other modules define.

    ``homes`` says where, as import statements do: ``{".loss": "nll_loss, cross_entropy as ce", ".": "linalg"}``, the
    last of them a module of the package. A name that was loaded is an attribute like others.
    """
    table = {}
    for home, names in homes.items():
        for item in names.split(", "):
            defined, _, exported = item.partition(" as ")
            table[exported or defined] = home, defined

    def load(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, defined = table[name]
        this = sys.modules[module]
        if home == ".":
            found: Any = importlib.import_module(f".{defined}", this.__package__)
        else:
            found = getattr(importlib.import_module(home, this.__package__), defined)
        setattr(this, name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[module]), *table})

    return load, listed, list(table)
