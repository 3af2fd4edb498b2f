"""How values, numbers and calls of a program are written in Python, and what their names stand for."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from ..record import HOST
from .calls import Call
from .program import FUNCTIONS, Program, Value

np = HOST.namespace
_PLAIN = (int, float, complex, bool, str, type(None), type(Ellipsis))
_RESERVED = {"np", "xp", "pool", "memory", "inputs", "groups", "run", "_"}


class Writer:
    """Writes what stands in calls; ``names`` holds the name of every Value.

    ``namespace`` holds what is no array of the program, by the name it got, ``header`` the lines that make the numbers.
    """

    def __init__(
        self, program: Program, names: Mapping[Value, str], numbers: bool = True, reserved: tuple[str, ...] = ()
    ):
        self.namespace: dict[str, Any] = {"np": np, "xp": program.xp, **FUNCTIONS}
        self.header: list[str] = []
        self.names: dict[Value, str] = {}
        self._used = {*_RESERVED, *FUNCTIONS, *reserved}
        self._bound: dict[int, tuple[str, Any]] = {}
        self._numbers: dict[tuple, str] | None = {} if numbers else None
        self._program = program
        self._program_values(program, names)

    def _program_values(self, program: Program, names: Mapping[Value, str]) -> None:
        made = [value for step in program.steps for value in step.makes]
        for value in (*program.inputs, *program.constants, *made):
            if value in names:
                self.names[value] = self.unique(names[value])
        for value in (*program.inputs, *program.constants, *made):
            if value not in self.names:
                letter = "c" if value in program.constants else "t"
                self.names[value] = self.unique(f"{letter}{value.index}")
        for value, array in program.constants.items():
            self.namespace[self.names[value]] = array

    def unique(self, name: str) -> str:
        """A valid name like ``name`` that nothing else has."""
        name = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
        if name[0].isdigit() or keyword.iskeyword(name) or keyword.issoftkeyword(name):
            name = f"_{name}"
        found, i = name, 2
        while found in self._used:
            found, i = f"{name}_{i}", i + 1
        self._used.add(found)
        return found

    def described(self) -> list[str]:
        """A comment for each constant."""
        return [
            f"# {self.names[x]}: a constant, {x.dtype} {x.shape}"
            + (f", {array}" if math.prod(x.shape or ()) == 1 else "")
            for x, array in self._program.constants.items()
        ]

    @contextmanager
    def renamed(self, names: Mapping[Value, str]) -> Iterator[None]:
        """A block in which Values have other names."""
        before, self.names = self.names, {**self.names, **names}
        try:
            yield
        finally:
            self.names = before

    # ---- expressions ----

    def call(self, call: Call, target: str | None = None) -> str:
        """A call, which writes its result to ``target`` where that is given."""
        args = [self._argument(call, i, x) for i, x in enumerate(call.args)]
        if call.head == "[]":
            return f"{args[0]}[{self._index(call.args[1])}]"
        if call.head == ".mT":
            return f"{args[0]}.mT"
        kwargs = [f"{name}={self.text(x)}" for name, x in call.kwargs.items()]
        if target is not None:
            (args if call.out == "last" else kwargs).append(target if call.out == "last" else f"out={target}")
        if call.is_method:
            return f"{args[0]}{call.head}({', '.join([*args[1:], *kwargs])})"
        return f"{call.head}({', '.join([*args, *kwargs])})"

    def text(self, x: Any) -> str:
        """Anything that stands in a step."""
        kind = type(x)
        if kind is Value:
            return self.names[x]
        if kind is complex or (kind is float and not _is_finite(x)):
            return _not_finite(x) if kind is float else f"complex({self.text(x.real)}, {self.text(x.imag)})"
        if kind in _PLAIN:
            return "..." if x is Ellipsis else repr(x)
        if kind is tuple:
            return f"({', '.join(map(self.text, x))}{',' if len(x) == 1 else ''})"
        if kind is list:
            return f"[{', '.join(map(self.text, x))}]"
        if kind is dict:
            return "{" + ", ".join(f"{self.text(key)}: {self.text(value)}" for key, value in x.items()) + "}"
        if kind is slice:
            return f"slice({self.text(x.start)}, {self.text(x.stop)}, {self.text(x.step)})"
        if isinstance(x, np.dtype) and getattr(np, x.name, None) is x.type:
            return f"np.{x.name}"
        if isinstance(x, type) and issubclass(x, np.generic) and getattr(np, x.__name__, type) is x:
            return f"np.{x.__name__}"
        return self._bind(x, getattr(x, "__name__", "f") if isinstance(x, FunctionType) else "constant")

    def pattern(self, outputs: Any) -> str:
        """The outputs of a step, to assign to."""
        if outputs is None or (type(outputs) in (tuple, list) and not outputs):
            return "_"
        if type(outputs) is Value:
            return self.names[outputs]
        return f"({', '.join(map(self.pattern, outputs))}{',' if len(outputs) == 1 else ''})"

    def _bind(self, x: Any, hint: str) -> str:
        """A name for an object that has no text."""
        if id(x) not in self._bound:
            name = self.unique(hint)
            self._bound[id(x)] = name, x
            self.namespace[name] = x
        return self._bound[id(x)][0]

    def bind_as(self, x: Any, text: str) -> None:
        """Write ``x`` as ``text``, which is not to be had from the namespace."""
        self._bound[id(x)] = text, x

    def _index(self, index: Any) -> str:
        if type(index) is tuple and index:
            return ", ".join(map(self._entry, index)) + ("," if len(index) == 1 else "")
        return self._entry(index)

    def _entry(self, part: Any) -> str:
        if type(part) is not slice:
            return self.text(part)
        start, stop, step = ("" if x is None else self.text(x) for x in (part.start, part.stop, part.step))
        return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"

    # ---- numbers ----

    def _argument(self, call: Call, i: int, x: Any) -> str:
        """An argument; the Python number that a ufunc takes beside arrays as an array of the dtype it would get."""
        if self._numbers is None or type(x) not in (int, float, complex) or not call.elementwise:
            return self.text(x)
        dtype = _dtype_beside(call, i)
        if dtype is None:
            return self.text(x)
        key = (repr(x), dtype)
        if key not in self._numbers:
            same = [known for known in self._numbers if known[0] == key[0]]
            name = self.unique(_name_of(x) + (f"_{dtype.name}" if same else ""))
            self._numbers[key] = name
            self.namespace[name] = np.array(x, dtype)
            self.header.append(f"{name} = np.array({self.text(x)}, np.{dtype.name})")
        return self._numbers[key]


def _dtype_beside(call: Call, i: int) -> Any:
    """The dtype in which a ufunc takes the Python number that is its argument ``i``; None where it stays one."""
    others = [x for x in call.args if type(x) is Value]
    if not others or any(x.weak or x.dtype is None for x in others):
        return None
    kinds = [type(x) if type(x) is not Value else np.dtype(x.dtype) for x in call.args]
    if any(kind not in (int, float, complex) and not isinstance(kind, np.dtype) for kind in kinds):
        return None
    try:
        dtype = call.function.resolve_dtypes((*kinds, None))[i]
        number = np.array(call.args[i], dtype)  # OverflowError where it does not fit: comparisons take it all the same
    except (TypeError, OverflowError):
        return None
    exact = type(call.args[i]) is not int or dtype.kind not in "iu" or int(number) == call.args[i]
    strong = [np.dtype(x.dtype) if type(x) is Value else dtype for x in call.args]
    same = call.function.resolve_dtypes((*kinds, None)) == call.function.resolve_dtypes((*strong, None))
    return dtype if exact and same else None


def _name_of(x: Any) -> str:
    """A name that says which number it is, about."""
    text = (f"{x:.6g}" if type(x) is float else repr(x).strip("()")).replace("e-", "e_minus_")
    text = text.replace("-", "minus_").replace("+", "").replace(".", "_")
    return f"n{text}" if text[0].isdigit() else text


def _is_finite(x: Any) -> bool:
    return math.isfinite(x.real) and math.isfinite(x.imag)


def _not_finite(x: float) -> str:
    return "np.nan" if x != x else "np.inf" if x > 0 else "-np.inf"
