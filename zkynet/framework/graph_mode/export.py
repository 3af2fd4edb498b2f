"""A program as a file that needs NumPy alone, with its arrays beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from ..record import HOST
from . import plain_conv
from .buffers import Layout
from .calls import Call, is_array
from .codegen import Code
from .lifetimes import Lifetimes
from .program import FUNCTIONS, Program, Step, Value
from .reached import Reached, cannot_export
from .writing import Writer

np = HOST.namespace
KEPT = ("parameter", "state", "slot", "counter", "constant")  # roles of what the file of arrays holds
ROLES = ("argument", "numbers", "result", *KEPT)
_INDENT = "    "
_PLAIN = {f.__name__: f for f in (plain_conv.conv, plain_conv.conv_input, plain_conv.conv_filter)}


class Counted(NamedTuple):
    """The numbers of an optimizer's step: ``method(t, *rest)`` of the number of the step, the next of which is ``t``.

    ``item`` picks one of them; without it they are one tuple. ``method`` is a bound method, whose object and class are
    written to the file with what the method reads of them.
    """

    method: MethodType
    t: int
    rest: tuple = ()
    item: int | None = None


def write(
    path: str | Path,
    program: Program,
    inputs: list[tuple[str, str]],
    outputs: list[tuple[str, str]],
    arrays: Mapping[str, Any],
    title: str = "A function of arrays, written out by zkynet.",
) -> None:
    """Write ``program``, of the NumPy backend, as the Python file ``path``, and its arrays beside it as ``.npz``.

    ``inputs`` and ``outputs`` hold a (name, role) each. Roles of inputs: "argument"; "parameter", "state", "slot",
    "counter" and "constant", whose arrays stand in ``arrays`` by their name and go into the second file; "numbers", an
    optimizer's, for which ``arrays`` has a number or a tuple, an argument's default then, or a Counted. Roles of
    outputs: "result", or the role and name of an input that they are the next value of.

    Steps that lead to no output, such as guards, are left out. TypeError where a function that the program calls has no
    source, or something in it has no text.
    """
    path = Path(path)
    if program.xp is not HOST:
        raise cannot_export(f"this program runs on {program.xp!r}.", "compile the function on the NumPy backend")
    for _, role in (*inputs, *outputs):
        if role not in ROLES:
            raise ValueError(f"export: unknown role {role!r}\n  expected: {', '.join(ROLES)}")
    text = _File(program, inputs, outputs, dict(arrays), title)
    source = text.source(path)
    np.savez(path.with_suffix(".npz"), **text.arrays)
    path.write_text(source, encoding="utf-8")


class _File:
    """The text of one file, and the ``arrays`` beside it."""

    def __init__(self, program: Program, inputs: list, outputs: list, given: dict[str, Any], title: str):
        self._inputs, self._outputs, self._given, self._title = inputs, outputs, given, title
        self._reached = Reached()
        self._program = program.replace(steps=_needed(program))
        names = {value: name for value, (name, _) in zip(program.inputs, inputs, strict=True)}
        self._writer = Writer(
            self._program, names, numbers=False, reserved=("state", "step", "load", "save", "example")
        )
        self.arrays: dict[str, Any] = {name: given[name] for name, role in inputs if role in KEPT}
        self._counts: dict[tuple, str] = {}

    def source(self, path: Path) -> str:
        """The whole file."""
        life = Lifetimes(self._program)
        self._reach_calls(life)
        code = Code(life, [], Layout(life, [], reuse=False), self._writer, careful=False)
        body, after = code.body(), self._after(code.returned)
        before = self._before()
        constants = self._constants()
        definitions = self._reached.text()
        step = ['@np.errstate(all="ignore")', f"def step({self._signature()}):", *self._docstring()]
        parts = [
            "\n".join([*self._header(path), "from __future__ import annotations", "", *self._import_lines()]),
            definitions,
            _LOAD.format(file=path.with_suffix(".npz").name),
            "\n".join([*step, *constants, *before, *body, *after]),
            self._example(),
            _MAIN,
        ]
        return "\n\n\n".join(filter(None, parts)) + "\n"

    # ---- head ----

    def _header(self, path: Path) -> list[str]:
        return [
            f'"""{self._title}',
            "",
            "zkynet recorded a run and wrote down what it did to arrays, one call a line: see ``step``, at the end.",
            "The functions in front of it are those of zkynet that it calls. Nothing but NumPy is needed:",
            "",
            f"    python {path.name}",
            "",
            "runs it on random arguments. ``load`` reads the arrays that belong to it from",
            f"{path.with_suffix('.npz').name}.",
            '"""',
            "",
        ]

    def _import_lines(self) -> list[str]:
        plain = {line for line in self._reached.imports if not line.startswith("from __future__")}
        plain.add("from pathlib import Path")
        standard = sorted((x for x in plain if "numpy" not in x), key=lambda x: (x.startswith("from"), x))
        return [*standard, "", *sorted((x for x in plain if "numpy" in x), key=lambda x: (x.startswith("from"), x))]

    # ---- what the steps call ----

    def _reach_calls(self, life: Lifetimes) -> None:
        """Copy what the steps call, and give functions in their arguments the names that they have in the file."""
        for i, step in enumerate(self._program.steps):
            call = life.calls[i] = _plainer(step) or life.calls[i]
            if call.head in _PLAIN:
                call.head = self._reached.function(_PLAIN[call.head])
            if call.head.startswith("xp."):
                call.head = self._reached.method(call.head.removeprefix("xp."))
            elif call.head in FUNCTIONS:
                call.head = self._reached.function(FUNCTIONS[call.head])
            for f in _functions_in((step.args, step.kwargs)):
                self._writer.bind_as(f, self._reached.function(f))

    def _constants(self) -> list[str]:
        """Lines that take the program's constants, and other objects in its steps, out of the state."""
        lines = []
        for name, x in self._writer.namespace.items():
            if name in ("np", "xp", *FUNCTIONS):
                continue
            if not isinstance(x, (np.ndarray, np.generic)):
                raise cannot_export(f"{x!r} stands in the program.", "pass it as an array, or leave it out")
            key = f"constants.{name}"
            self.arrays[key] = x
            lines.append(f"{_INDENT}{name} = state[{_quoted(key)}]")
        return lines

    # ---- the function ----

    def _signature(self) -> str:
        names = [self._writer.names[x] for x in self._program.inputs]
        pairs = list(zip(names, self._inputs, strict=True))
        plain = [name for name, (_, role) in pairs if role == "argument"]
        default = [
            f"{name}={self._given[given]!r}"
            for name, (given, role) in pairs
            if role == "numbers" and not isinstance(self._given[given], Counted)
        ]
        return ", ".join(["state", *plain, *default])

    def _docstring(self) -> list[str]:
        """What goes in, what comes out, and that the state changes."""
        pairs = zip(self._program.outputs, self._outputs, strict=True)
        results = [f"{name} ({_described(x)})" for x, (name, role) in pairs if role == "result"]
        pairs = zip(self._program.inputs, self._inputs, strict=True)
        arguments = [f"{self._writer.names[x]} ({_described(x)})" for x, (_, role) in pairs if role == "argument"]
        changed = any(role != "result" for _, role in self._outputs)
        lines = [
            f"Return {', '.join(results) or 'nothing'}.",
            "",
            f"``state`` is what ``load`` gives{', and is changed' if changed else ''}.",
            *([f"Arguments: {', '.join(arguments)}."] if arguments else []),
        ]
        lines[0] = f'"""{lines[0]}'
        return [_INDENT + line if line else line for line in [*lines, '"""']]

    def _before(self) -> list[str]:
        lines = []
        for value, (given, role) in zip(self._program.inputs, self._inputs, strict=True):
            name = self._writer.names[value]
            if role in KEPT:
                lines.append(f"{_INDENT}{name} = state[{_quoted(given)}]")
            elif role == "numbers" and isinstance(self._given[given], Counted):
                lines += self._counted(name, self._given[given])
        return lines

    def _counted(self, name: str, counted: Counted) -> list[str]:
        """The lines that make the numbers of a step from its count, once for all that are made alike."""
        method, t, rest, item = counted
        key, lines = (id(method.__self__), method.__name__, rest), []
        if key not in self._counts:
            owner = self._writer.unique(f"{type(method.__self__).__name__.lower()}{len(self._counts) + 1}")
            numbers, count = self._writer.unique(f"{owner}_numbers"), f"steps.{owner}"
            call = self._reached.bound(method, owner)
            self._counts[key] = numbers
            self.arrays[count] = np.array(t)
            arguments = ", ".join([f"int(state[{_quoted(count)}])", *map(repr, rest)])
            lines = [f"{numbers} = {call}({arguments})", f"state[{_quoted(count)}] += 1"]
        chosen = self._counts[key] if item is None else f"{self._counts[key]}[{item}]"
        return [_INDENT + line for line in [*lines, f"{name} = {chosen}"]]

    def _after(self, returned: list[str]) -> list[str]:
        pairs = list(zip(returned, self._outputs, strict=True))
        lines = [f"{_INDENT}state[{_quoted(given)}] = {name}" for name, (given, role) in pairs if role != "result"]
        results = [name for name, (_, role) in pairs if role == "result"]
        if results:
            lines.append(f"{_INDENT}return {', '.join(results)}")
        return lines

    def _example(self) -> str:
        lines = ["def example(seed=0):", f'{_INDENT}"""Arguments of ``step`` at random: normal numbers, zeros where']
        lines[1] += ' they are integers."""'
        made = []
        for value, (_, role) in zip(self._program.inputs, self._inputs, strict=True):
            if role == "argument" and value.shape is None:
                made.append("0")
            elif role == "argument" and np.dtype(value.dtype).kind in "fc":
                made.append(f"np.asarray(rng.normal(size={value.shape}), np.{np.dtype(value.dtype).name})")
            elif role == "argument":
                made.append(f"np.zeros({value.shape}, np.{np.dtype(value.dtype).name})")
        if any("rng" in x for x in made):
            lines.append(f"{_INDENT}rng = np.random.default_rng(seed)")
        return "\n".join([*lines, f"{_INDENT}return [{', '.join(made)}]"])


def _needed(program: Program) -> list[Step]:
    """The steps that lead to an output: what only checks is left out."""
    needed, steps = set(program.outputs), []
    for step in reversed(program.steps):
        if needed.intersection(step.makes):
            needed.update(step.reads)
            steps.append(step)
    return steps[::-1]


def _plainer(step: Step) -> Call | None:
    """The call of a function of NumPy's that gives the same up to rounding, and that everybody knows."""
    if step.function in ("sum", "mean", "max", "min", "any", "all"):
        return Call(f"np.{step.function}", step.args, step.kwargs)
    if step.function == "select":
        return Call("np.where", (*step.args, 0), step.kwargs)
    if step.function in _PLAIN and all(len(x.shape or ()) == 2 + len(step.args[-2]) for x in step.reads if is_array(x)):
        return Call(step.function, step.args)
    return None


def _functions_in(tree: Any) -> Iterable[Callable]:
    """The Python functions in nested lists, tuples and dicts."""
    if isinstance(tree, FunctionType):
        yield tree
    elif type(tree) in (list, tuple):
        for each in tree:
            yield from _functions_in(each)
    elif type(tree) is dict:
        yield from _functions_in(list(tree.values()))


def _described(value: Value) -> str:
    return "a Python object" if value.shape is None else f"{value.dtype} {value.shape}"


def _quoted(name: str) -> str:
    return json.dumps(name)


_LOAD = '''def load(path=Path(__file__).with_name("{file}")):
    """The arrays by their names: what ``step`` calls the state."""
    with np.load(path) as file:
        return {{name: file[name] for name in file.files}}


def save(state, path):
    """Write the state to a file that ``load`` reads."""
    np.savez(path, **state)'''

_MAIN = """if __name__ == "__main__":
    state = load()
    for _ in range(3):
        print(step(state, *example()))"""
