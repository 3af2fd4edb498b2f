"""What a function's code could read of the Python around it, told from its bytecode, without running it."""

from __future__ import annotations

import dis
import os
import re
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

# What stands between instructions in some versions of Python and does nothing that is asked here.
_BETWEEN = frozenset(("CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL"))


class Reads(NamedTuple):
    """What code may read, the functions and classes written inside it included.

    ``names`` are those of attributes and, because ``getattr`` may be given them, all strings that could be one.
    ``chains`` are what is written ``a.b.c``: (global or variable of a closure, attribute of it, attribute of that ...).
    ``imports`` are pairs (level, module) of import statements.
    """

    globals: frozenset[str]
    names: frozenset[str]
    cells: frozenset[str]
    chains: frozenset[tuple[str, ...]]
    imports: frozenset[tuple[int, str]]
    any_attribute: bool  # it asks for attributes by names that it computes
    any_global: bool


@lru_cache(4096)
def reads_of(code: CodeType) -> Reads:
    """What ``code`` may read; names that it only assigns are not among it."""
    steps = [each for each in dis.get_instructions(code) if each.opname not in _BETWEEN]
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
            chains.add(_chain(steps, i))
        elif kind.startswith("LOAD_") and kind.endswith("DEREF"):
            cells.add(name)
            chains.add(_chain(steps, i))
        elif step.opcode in dis.hasname:
            names.add(name)
            computed = computed or name in _BY_STRING  # builtins.getattr
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
            elif "{" in each:  # "{0.rate}".format(cfg)
                yield from re.findall(r"\.([^\W\d]\w*)", each)
        elif type(each) in (tuple, frozenset):
            yield from _words(each)


def _chain(steps: list[dis.Instruction], i: int) -> tuple[str, ...]:
    """The name that step ``i`` loads, and the attributes that are taken of it one after the other."""
    return (steps[i].argval, *[each.argval for each in steps[i + 1 : _behind_attributes(steps, i + 1)]])


def _behind_attributes(steps: list[dis.Instruction], i: int) -> int:
    while steps[i].opname in ("LOAD_ATTR", "LOAD_METHOD"):
        i += 1
    return i


def _given_a_string(steps: list[dis.Instruction], i: int) -> bool:
    """Whether step ``i`` loads ``getattr`` for a call with a variable, or attributes of one, and a string.

    A default may follow that is a constant, something empty, a variable or attributes of one. Nothing else: behind the
    string may stand what makes a name of it, as in ``getattr(x, f"layer_{i}")``.
    """
    if steps[i + 1].opname == "LOAD_CONST" or not _is_one_value(steps[i + 1]):
        return False
    i = _behind_attributes(steps, i + 2)
    if steps[i].opname != "LOAD_CONST" or type(steps[i].argval) is not str:
        return False
    i, given = i + 1, 2
    if _is_one_value(steps[i]):
        i, given = _behind_attributes(steps, i + 1), 3
    return steps[i].opname in ("PRECALL", "CALL") and steps[i].arg == given


def _is_one_value(step: dis.Instruction) -> bool:
    """Whether a step does nothing but put one value on the stack; LOAD_FAST_LOAD_FAST puts two there."""
    made_empty = step.opname in ("BUILD_LIST", "BUILD_TUPLE", "BUILD_MAP") and step.arg == 0
    return made_empty or (step.opname.count("LOAD_") == 1 and step.opname not in ("LOAD_ATTR", "LOAD_METHOD"))


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
