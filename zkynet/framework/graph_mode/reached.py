"""The definitions that some functions reach, copied out of their modules into one text that needs NumPy alone.

What is reached is read off the source: global names, and the methods of the few objects that the code of the backends
calls methods of, ``xp``, ``xp.linalg`` and ``xp.special``. Comments and docstrings stay. Definitions of one name in two
modules are told apart by the module's name.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any

from zkynet.backends.linalg_extras import Extras
from zkynet.backends.numpy import NumpyBackend
from zkynet.backends.special import Special

OURS = "zkynet"

# What is simpler where NumPy is the only library, and speed matters less than reading.
_INSTEAD = {
    ("zkynet.backends.base", "host_array"): "def host_array(x):\n    return np.asarray(x)",
    ("zkynet.backends.numpy_recurrent", "one_thread"): "def one_thread(multiplications):\n    return nullcontext()",
}
_METHODS_INSTEAD = {
    "errstate": 'def errstate(self):\n        return np.errstate(all="ignore")',
    "is_complex": 'def is_complex(self, dtype):\n        return np.dtype(dtype).kind == "c"',
    "is_inexact": 'def is_inexact(self, dtype):\n        return np.dtype(dtype).kind in "fc"',
    "is_integer": 'def is_integer(self, dtype):\n        return np.dtype(dtype).kind in "iu"',
    "name_of": "def name_of(self, dtype):\n        return np.dtype(dtype).name",
    "own_dtype": "def own_dtype(self, dtype):\n        return np.dtype(dtype)",
    "sum": "def sum(self, x, axis=None, dtype=None, keepdims=False):\n"
    "        return np.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)",
    "mean": "def mean(self, x, axis=None, keepdims=False):\n        return np.mean(x, axis=axis, keepdims=keepdims)",
    "select": "def select(self, mask, g):\n        return np.where(mask, g, g.dtype.type(0))",
    "update_in_blocks": "def update_in_blocks(self, rule, groups, numbers):\n"
    '        """The new (p, *slots) of each group [p, g, *slots]: the rule writes into p and the slots."""\n'
    "        return [rule(self, *group, *numbers) for group in groups]",
}

# What the backend sets on itself, where something that is reached reads it.
_ATTRIBUTES = {
    "name": '"numpy"',
    "namespace": "np",
    "device": "None",
    "number": "np.array",
    "real_dtypes": 'frozenset((np.dtype("float32"), np.dtype("float64")))',
    "dtypes": 'dict(bool=np.bool, **{x: getattr(np, x) for x in np.sctypeDict if x[-1:].isdigit() and x[0] in "iufc"})',
    **dict.fromkeys(("_names", "_kinds", "_inexact", "_promoted"), "{}"),
}
_PARTS = {"linalg": Extras, "special": Special}


class Module:
    """A module's source: ``text`` in ``lines``, and the top-level statements that define each name."""

    def __init__(self, name: str):
        self.name, self.module = name, importlib.import_module(name)
        try:
            self.lines = inspect.getsource(self.module).splitlines()
        except (OSError, TypeError):
            raise cannot_export(f"the source of {name} is not to be had.", "put its functions into a file") from None
        self.defines: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}  # name -> module, and the name in it
        tree = ast.parse("\n".join(self.lines))
        for statement in tree.body:
            self._add(statement)
        top = {**self.defines, **self.imports}
        for late in _late_imports(tree):  # loaded where they are used: as good as above, where no name is another's
            if top.keys().isdisjoint(each.asname or each.name for each in late.names):
                self._add(late)

    def _add(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import):
            for each in statement.names:
                self.imports[each.asname or each.name.partition(".")[0]] = each.name, None
        elif isinstance(statement, ast.ImportFrom):
            package = self.module.__package__ or ""
            origin = importlib.util.resolve_name("." * statement.level + (statement.module or ""), package)
            for each in statement.names:
                self.imports[each.asname or each.name] = origin, each.name
        elif isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            self.defines[statement.name] = [statement]
        else:
            targets = [x.id for x in ast.walk(statement) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)]
            for name in targets:
                self.defines.setdefault(name, []).append(statement)


@cache
def module_of(name: str) -> Module:
    """The Module called ``name``, read once."""
    return Module(name)


def cannot_export(what: str, way_out: str) -> TypeError:
    """The error for programs that cannot be written to a file."""
    return TypeError(f"export_numpy: {what}\n  {way_out}")


class Reached:
    """Collects definitions: ``function`` and ``method`` ask for one and give the expression by which it is called."""

    def __init__(self):
        self.imports = {"import numpy as np"}
        self._texts: list[str] = []
        self._names: dict[tuple[str, str], str] = {}  # (module, name) -> the name here
        self._used = {"np", "xp", "load", "save", "step", "state", "example"}
        self._objects: dict[str, _Object] = {"xp": _Object(NumpyBackend, "xp")}
        for part, kind in _PARTS.items():
            self._objects[part] = _Object(kind, part)
        self._settings: dict[str, Any] = {}

    # ---- what is asked for ----

    def method(self, path: str) -> str:
        """``xp.<path>``, with all that it reaches."""
        part, _, name = path.rpartition(".")
        if part in _PARTS and hasattr(_PARTS[part], name):
            self._reach_method(part, name)
            return f"xp.{path}"
        if not part and self._reach_method("xp", path):
            return f"xp.{path}"
        return f"np.{path}"

    def function(self, f: Any) -> str:
        """A Python function, with all that it reaches; one made by a function of a module is made again by it."""
        if not isinstance(f, FunctionType) or f.__name__ == "<lambda>":
            raise cannot_export(f"{f!r} has no source of its own.", "use a function that is defined in a file")
        module, outer = f.__module__, f.__qualname__.partition(".<locals>.")[0]
        if outer not in module_of(module).defines:
            raise cannot_export(f"{f.__qualname__} is not found in {module}.", "define it at the top of a module")
        name = self._reach(module, outer)
        if outer == f.__qualname__:
            return name
        cells = dict(zip(f.__code__.co_freevars, (cell.cell_contents for cell in f.__closure__ or ()), strict=True))
        wanted = list(inspect.signature(getattr(module_of(module).module, outer)).parameters)
        if set(wanted) - set(cells):
            raise cannot_export(f"{f.__qualname__} depends on {wanted}.", "define it at the top of a module")
        return f"{name}({', '.join(self.function(cells[each]) for each in wanted)})"

    def bound(self, method: MethodType, name: str) -> str:
        """A bound method: its object, under ``name``, holds the settings that what is reached reads of it."""
        if name not in self._objects:
            self._objects[name] = _Object(type(method.__self__), name)
            self._settings[name] = method.__self__
            self._used.add(name)
        self._reach_method(name, method.__name__)
        return f"{name}.{method.__name__}"

    def text(self) -> str:
        """All definitions, and the objects behind them."""
        objects = [self._objects[name].text(self) for name in ("linalg", "special", "xp", *self._settings)]
        return "\n\n\n".join([*self._texts, *filter(None, objects)])

    # ---- definitions ----

    def _reach(self, module: str, name: str) -> str:
        """The name here of what ``module`` calls ``name``."""
        source = module_of(module)
        if name not in source.defines:
            origin, original = source.imports[name]
            return self._reach(origin, original or name)
        key = module, name
        if key in self._names:
            return self._names[key]
        found = name if name not in self._used else f"{module.rpartition('.')[2]}_{name.lstrip('_')}"
        self._used.add(found)
        self._names[key] = found
        if key in _INSTEAD:
            self._texts.append(_INSTEAD[key])
            if "nullcontext" in _INSTEAD[key]:
                self.imports.add("from contextlib import nullcontext")
            return found
        texts = [self.copied(source, each, None) for each in source.defines[name]]
        constant = not isinstance(source.defines[name][0], (ast.FunctionDef, ast.ClassDef))
        if constant and self._texts and "\n" not in self._texts[-1] and self._texts[-1][0] not in "d@c":
            self._texts[-1] += "\n" + "\n".join(texts)  # constants stand together
        else:
            self._texts.append("\n".join(texts))
        return found

    def copied(self, source: Module, node: ast.AST, owner: str | None) -> str:
        """The source of a definition, with the names that its globals have here; ``owner``: whose ``self`` is in it."""
        edits: list[tuple[ast.AST, str]] = []
        for late in _late_imports(node):
            names = [each.asname or each.name for each in late.names]
            package = importlib.util.resolve_name(
                "." * late.level + (late.module or ""), source.module.__package__ or ""
            )
            if [source.imports.get(name) for name in names] != [(package, each.name) for each in late.names]:
                raise cannot_export(
                    f"{source.name} calls two things {names} in line {late.lineno}.", "see _INSTEAD here"
                )
            edits.append((late, ""))
        own = _names_bound_in(node)
        hidden = _annotations(node)
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute):
                self._attribute(source, each, owner, edits)
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.id not in own:
                new = self._global(source, each.id, each in hidden)
                if new not in (None, each.id):
                    edits.append((each, new))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and owner is None:
            here = self._names.get((source.name, node.name), node.name)
            if here != node.name:
                edits.append((node, here))
        elif owner is None:
            for each in ast.walk(node):
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                    here = self._names.get((source.name, each.id), each.id)
                    if here != each.id:
                        edits.append((each, here))
        return _edited(source.lines, node, edits)

    def _global(self, source: Module, name: str, hidden: bool) -> str | None:
        """What a global name is here; None where it is no global. ``hidden``: in an annotation, which never runs."""
        if name == "np":
            return None
        if name in source.defines:
            return None if hidden else self._reach(source.name, name)
        if name not in source.imports:
            return None
        origin, original = source.imports[name]
        if not _is_ours(origin):
            if not (hidden and origin.startswith("numpy")):
                alias = f" as {name}" if name != (original or origin) else ""
                self.imports.add(f"from {origin} import {original}{alias}" if original else f"import {origin}{alias}")
            return name
        if hidden or original is None:
            return None
        found = _member(origin, original)
        if isinstance(found, ModuleType) or found in self._objects["xp"].classes:
            return None  # a module, or a class of the backend: their members are looked up one by one
        return self._reach(origin, original)

    def _attribute(self, source: Module, node: ast.Attribute, owner: str | None, edits: list) -> None:
        """A method of one of the objects, of what stands above in its classes, or a function of a module of ours."""
        value = node.value
        kind = _object_of(value, owner)
        if kind in self._objects:
            self._reach_method(kind, node.attr)
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super" and owner:
            self._reach_above(owner, node.attr)
        elif isinstance(value, ast.Name) and value.id in source.imports:
            origin, original = source.imports[value.id]
            inner = _member(origin, original) if original and _is_ours(origin) else None
            if isinstance(inner, ModuleType):
                edits.append((node, self._reach(inner.__name__, node.attr)))
            elif isinstance(inner, type) and inner in self._objects["xp"].classes:
                self._objects["xp"].reach(self, inner, node.attr)

    # ---- methods ----

    def _reach_method(self, kind: str, name: str) -> bool:
        """Copy the method of an object that ``name`` finds; False where its classes have none."""
        found = self._objects[kind]
        for each in found.classes:
            if name in vars(each):
                found.reach(self, each, name)
                return True
        found.read.add(name)
        return False

    def _reach_above(self, kind: str, name: str) -> None:
        found = self._objects[kind]
        later = found.classes[found.classes.index(found.current) + 1 :]
        for each in later:
            if name in vars(each):
                found.reach(self, each, name)
                return


class _Object:
    """What is reached of an object of a class: methods by the class that has them."""

    def __init__(self, kind: type, name: str):
        self.name = name
        self.classes = [each for each in kind.__mro__ if _is_ours(each.__module__)]
        self.current: Any = None  # the class whose method is being copied
        self.read: set[str] = set()  # attributes that no class has
        self._methods: dict[type, dict[str, str]] = {each: {} for each in self.classes}

    def reach(self, all_: Reached, kind: type, name: str) -> None:
        """Copy the member ``name`` of the class ``kind``."""
        if name in self._methods[kind] or (name.startswith("__") and name.endswith("__")):
            return
        if name in _METHODS_INSTEAD:
            self._methods[kind][name] = f"    {_METHODS_INSTEAD[name]}"
            return
        source = module_of(kind.__module__)
        for member in source.defines[kind.__name__][0].body:  # type: ignore[attr-defined]
            if name in _defined_by(member):
                self._methods[kind][name] = ""
                before, self.current = self.current, kind
                self._methods[kind][name] = all_.copied(source, member, self.name)
                self.current = before

    def text(self, all_: Reached) -> str:
        """The classes, those above first, and the object."""
        kept = [each for each in self.classes if self._methods[each]]
        if not kept:
            return ""
        texts = []
        for each in reversed(kept):
            bases = _nearest([base for base in each.__bases__], kept)
            head = f"class {each.__name__}({', '.join(base.__name__ for base in bases)}):"
            texts.append((head if bases else head.replace("()", "")) + "\n" + "\n\n".join(self._methods[each].values()))
        top = _nearest(kept[:1] if kept[0] is self.classes[0] else [self.classes[0]], kept)
        return "\n\n\n".join([*texts, self._instance(all_, ", ".join(each.__name__ for each in top))])

    def _instance(self, all_: Reached, bases: str) -> str:
        if self.name in _PARTS:
            return f"class {self.name.title()}({bases}):\n    def __init__(self, xp):\n        self.xp = xp"
        if self.name in all_._settings:
            owner = all_._settings[self.name]
            settings = {x: getattr(owner, x) for x in sorted(self.read) if x in vars(owner)}
            lines = [f"{self.name}.{x} = {_literal(x, value)}" for x, value in settings.items()]
            return "\n".join([f"{self.name} = {bases}.__new__({bases})", *lines])
        lines = [f"        self.{x} = {text}" for x, text in _ATTRIBUTES.items() if x in self.read]
        parts = [x for x in _PARTS if any(all_._objects[x]._methods[each] for each in all_._objects[x].classes)]
        lines += [f"        self.{x} = {x.title()}(self)" for x in parts]
        start = ["    def __init__(self):", *lines, ""] if lines else []
        return "\n".join(
            [
                f"class NumPy({bases}):",
                '    """What stands for ``xp``: the functions above, and NumPy\'s own."""',
                "",
                *start,
                "    def __getattr__(self, name):",
                "        return getattr(np, name)",
                "",
                "",
                "xp = NumPy()",
            ]
        )


def _nearest(bases: list[type], kept: list[type]) -> list[type]:
    """The classes of ``kept`` that the ``bases`` are, or inherit from, without those that others of them inherit."""
    found: list[type] = []
    for base in bases:
        for each in [base] if base in kept else _nearest(list(base.__bases__), kept):
            if each not in found:
                found.append(each)
    return [each for each in found if not any(other is not each and issubclass(other, each) for other in found)]


def _object_of(node: ast.AST, owner: str | None) -> str | None:
    """Which of the objects an expression is: xp, self, self.xp, xp.linalg ..."""
    if isinstance(node, ast.Name):
        return "xp" if node.id == "xp" else owner if node.id == "self" else None
    if isinstance(node, ast.Attribute):
        inner = _object_of(node.value, owner)
        if node.attr == "xp" and inner in _PARTS:
            return "xp"
        if node.attr in _PARTS and inner == "xp":
            return node.attr
    return None


def _is_ours(module: str) -> bool:
    return module == OURS or module.startswith(OURS + ".")


def _late_imports(tree: ast.AST) -> list[ast.ImportFrom]:
    """What functions import of zkynet themselves when they run."""
    inside = [each for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for each in ast.walk(f)]
    found = {each: None for each in inside if isinstance(each, ast.ImportFrom)}  # a function in a function counts once
    return [each for each in found if each.level or _is_ours(each.module or "")]


def _member(module: str, name: str) -> Any:
    """What ``from module import name`` gives."""
    found = getattr(importlib.import_module(module), name, None)
    return found if found is not None else importlib.import_module(f"{module}.{name}")


def _names_bound_in(node: ast.AST) -> set[str]:
    """The names that are local in a definition: arguments, and what is assigned in it."""
    if not isinstance(node, ast.FunctionDef):
        inner = [each for each in ast.walk(node) if isinstance(each, (ast.comprehension, ast.Lambda))]
        return set().union(*[_stored(each) for each in inner]) if inner else set()
    return _stored(node) - {node.name}


def _stored(node: ast.AST) -> set[str]:
    found = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    found |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return found | {each.name for each in ast.walk(node) if isinstance(each, ast.FunctionDef)}


def _annotations(node: ast.AST) -> set[ast.AST]:
    """All nodes inside annotations."""
    found: list[ast.AST] = []
    for each in ast.walk(node):
        for name in ("annotation", "returns"):
            if getattr(each, name, None) is not None:
                found += ast.walk(getattr(each, name))
    return set(found)


def _defined_by(member: ast.stmt) -> set[str]:
    if isinstance(member, (ast.FunctionDef, ast.ClassDef)):
        return {member.name}
    return {x.id for x in ast.walk(member) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)}


def _edited(lines: list[str], node: Any, edits: list[tuple[Any, str]]) -> str:
    """The lines of a definition, comments above it included, with some names replaced."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]) - 1
    last = node.end_lineno
    text = {i: lines[i] for i in range(first, last)}
    quoted = {
        inner: each for each in ast.walk(node) if isinstance(each, ast.JoinedStr) for inner in ast.walk(each)
    }  # Python 3.11 does not say where they stand
    for each, new in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        row = each.lineno - 1
        line = text[row].encode()
        if isinstance(each, ast.ImportFrom):
            for i in range(row, each.end_lineno or 0):
                del text[i]
            if not text.get(each.end_lineno or 0, "-").strip():  # the empty line behind it
                del text[each.end_lineno or 0]
        elif each in quoted:
            old = re.compile(rf"(?<![\w.]){re.escape(ast.unparse(each))}\b")
            for i in range(quoted[each].lineno - 1, quoted[each].end_lineno or 0):
                text[i] = old.sub(new, text[i])
        elif isinstance(each, (ast.FunctionDef, ast.ClassDef)):
            text[row] = text[row].replace(f" {each.name}", f" {new}", 1)
        else:
            text[row] = (line[: each.col_offset] + new.encode() + line[each.end_col_offset :]).decode()
    above: list[str] = []
    while first > 0 and lines[first - 1].strip().startswith("#") and not lines[first - 1].strip().startswith("# ----"):
        first -= 1
        above.insert(0, lines[first])
    return "\n".join([*above, *text.values()])


def _literal(name: str, value: Any) -> str:
    """A setting as text; an error where it is no plain number or tuple."""
    try:
        if ast.literal_eval(repr(value)) == value:
            return repr(value)
    except (ValueError, SyntaxError):
        pass
    raise cannot_export(f"the setting {name} = {value!r} cannot be written down.", "use a number in its place")
