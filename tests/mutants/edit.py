"""Mutants that are changes in the source of a function, read from the texts in ``edits/``.

In such a text::

    @ framework.operations.statistics:std     a function of zkynet, by module and name
      row std nanstd                          the check that has to notice, see ``checks.named``
    # the correction left out                 what is wrong
    - axis, correction, keepdims              what stands in the function's source, once
    + axis, 0, keepdims                       what comes in its place

Several lines with ``-`` or ``+`` are several lines of source.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from mutants.checks import named

TEXTS = Path(__file__).with_name("edits")


class StaleMutantError(Exception):
    """A mutant does not fit the source any more."""


class Edit(NamedTuple):
    """``old``, which stands once in the source of the function at ``where``, becomes ``new``; ``check()`` raises.

    The function stays the same object with other code in it, so that everybody who holds it runs the wrong one.
    """

    name: str
    where: str
    old: str
    new: str
    check: Callable[[], None]

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """A block in which the function is the wrong one."""
        function = function_at(self.where)
        code = function.__code__
        function.__code__ = self.changed(code)
        try:
            yield
        finally:
            function.__code__ = code

    def changed(self, code: CodeType) -> CodeType:
        """The code of the wrong function; StaleMutantError where ``old`` does not stand in the source once."""
        source = textwrap.dedent(inspect.getsource(code))
        if source.count(self.old) != 1:
            raise StaleMutantError(
                f"{self.name}: {self.old!r} stands {source.count(self.old)} times in the source.\n"
                f"  expected: once, in {self.where}\nThe function has changed: write the mutant anew, in {TEXTS.name}/."
            )
        wrong = ast.parse(source.replace(self.old, self.new)).body[0]
        assert isinstance(wrong, ast.FunctionDef)
        wrong.decorator_list, wrong.name = [], "wrong"  # another name, so that it may call itself by its own
        # Compiled inside a function that has its free variables, so that it has the same cells.
        outer = ast.parse(f"def outer({', '.join(code.co_freevars)}):\n    pass")
        outer.body[0].body = [wrong]  # type: ignore[attr-defined]
        (whole,) = _codes(compile(ast.fix_missing_locations(outer), code.co_filename, "exec"))
        (new,) = _codes(whole)
        for what in ("co_freevars", "co_argcount", "co_kwonlyargcount"):
            assert getattr(new, what) == getattr(code, what), f"{self.name}: another signature, {what}"
        return new


def _codes(code: CodeType) -> list[CodeType]:
    return [c for c in code.co_consts if isinstance(c, CodeType)]


def read(path: Path) -> tuple[Edit, ...]:
    """The mutants of one text."""
    found = []
    for block in path.read_text(encoding="utf-8").split("\n@ ")[1:]:
        where, check, *lines = block.splitlines()
        where, owner = where.strip(), where.strip().partition(":")[2].lstrip("_")
        for change in "\n".join(lines).split("# ")[1:]:
            why, *rest = change.splitlines()
            old, new = ("\n".join(line[2:] for line in rest if line.startswith(sign)) for sign in "-+")
            found.append(Edit(f"{owner}: {why}", where, old, new, named(check.strip())))
    return tuple(found)


def function_at(where: str) -> FunctionType:
    """The function or method that ``module:name`` names, the module inside of zkynet; StaleMutantError without one."""
    module, _, names = where.partition(":")
    found: Any = importlib.import_module(f"zkynet.{module}")
    for name in names.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, FunctionType):
        raise StaleMutantError(
            f"there is no function {where}.\nIt has moved: write its mutants anew, in {TEXTS.name}/."
        )
    return inspect.unwrap(found)


def read_all() -> tuple[Edit, ...]:
    """The mutants of all texts, in the order of the texts' names."""
    return tuple(edit for path in sorted(TEXTS.glob("*.txt")) for edit in read(path))
