"""What a function's code could read of the Python around it, told from its bytecode, without running it."""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

# Whose code is not looked into: it reads nothing of the user's that it is not given. Beside the standard library.
LIBRARIES = frozenset(
    (
        *("numpy", "scipy", "jax", "jaxlib", "cupy", "ml_dtypes", "opt_einsum", "array_api_compat", "array_api_strict"),
        *("matplotlib", "PIL", "pandas", "sklearn", "tensorboard", "torch", "tqdm", "wandb"),
        *("pytest", "_pytest", "hypothesis", "IPython", "ipykernel"),
    )
)
_STANDARD = os.path.dirname(os.__file__)

# Names by which code gets at attributes, or at globals, that it does not name.
_ANY_ATTRIBUTE = frozenset(
    ("vars", "dir", "attrgetter", "methodcaller", "getmembers", "__dict__", "__getattribute__", "eval", "exec")
)
_ANY_GLOBAL = frozenset(("globals", "eval", "exec"))
_BY_STRING = frozenset(("getattr", "hasattr"))


class Reads(NamedTuple):
    """What code may read, the functions and classes written inside it included.

    ``names`` are those of attributes and, because ``getattr`` may be given them, all strings that could be one.
    ``chains`` are pairs (global, attribute of it), ``imports`` pairs (level, module) of import statements.
    """

    globals: frozenset[str]
    names: frozenset[str]
    cells: frozenset[str]
    chains: frozenset[tuple[str, str]]
    imports: frozenset[tuple[int, str]]
    any_attribute: bool  # it asks for attributes by names that it computes
    any_global: bool


@lru_cache(4096)
def reads_of(code: CodeType) -> Reads:
    """What ``code`` may read; names that it only assigns are not among it."""
    steps = [each for each in dis.get_instructions(code) if each.opname != "CACHE"]
    globals_, names, cells = set(), set(_words(code.co_consts)), set()
    chains, imports = set(), set()
    computed = False
    for i, step in enumerate(steps):
        name, kind = step.argval, step.opname
        if kind.startswith(("STORE_", "DELETE_")):
            continue
        if kind == "IMPORT_NAME":
            imports.add((steps[i - 2].argval, name))
        elif kind.startswith("LOAD_") and kind.endswith(("_GLOBAL", "_GLOBALS", "_NAME")):
            globals_.add(name)
            computed = computed or (name in _BY_STRING and not _given_a_string(steps, i))
            if steps[i + 1].opname in ("LOAD_ATTR", "LOAD_METHOD"):
                chains.add((name, steps[i + 1].argval))
        elif kind.startswith("LOAD_") and kind.endswith("DEREF"):
            cells.add(name)
        elif step.opcode in dis.hasname:
            names.add(name)
    inner = [reads_of(each) for each in code.co_consts if isinstance(each, CodeType)]
    return Reads(
        frozenset(globals_).union(*[each.globals for each in inner]),
        frozenset(names).union(*[each.names for each in inner]),
        frozenset(cells).union(*[each.cells for each in inner]),
        frozenset(chains).union(*[each.chains for each in inner]),
        frozenset(imports).union(*[each.imports for each in inner]),
        computed or bool(_ANY_ATTRIBUTE & (globals_ | names)) or any(each.any_attribute for each in inner),
        bool(_ANY_GLOBAL & globals_) or any(each.any_global for each in inner),
    )


def _words(constants: Any) -> Iterator[str]:
    """The strings among constants that could name attributes, dotted ones in parts."""
    for each in constants:
        if type(each) is str:
            parts = each.split(".")
            if all([part.isidentifier() for part in parts]):
                yield from parts
        elif type(each) in (tuple, frozenset):
            yield from _words(each)


def _given_a_string(steps: list[dis.Instruction], i: int) -> bool:
    """Whether step ``i`` loads ``getattr`` for a call with a variable, or attributes of one, and a string."""
    i += 1
    if steps[i].opname.count("LOAD_") != 1 or steps[i].opname == "LOAD_CONST":
        return False
    i += 1
    while steps[i].opname == "LOAD_ATTR":
        i += 1
    return steps[i].opname == "LOAD_CONST" and type(steps[i].argval) is str


def owner(module: Any) -> str:
    """Whose code a module of this name is: "zkynet", "library" (it is not looked into) or "user"."""
    top = module.partition(".")[0] if isinstance(module, str) else ""
    if top == "zkynet":
        return "zkynet"
    if top in LIBRARIES:
        return "library"
    if top in sys.stdlib_module_names:  # or a file of the user's that has such a name: test.py, profile.py
        file = getattr(sys.modules.get(module), "__file__", None)
        return "library" if file is None or file.startswith(_STANDARD) else "user"
    return "user"
