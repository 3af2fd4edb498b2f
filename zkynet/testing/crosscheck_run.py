"""One run of a subject on one backend, watched: every application of an operator, and what its rule sends back."""

import copy
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from zkynet import backends
from zkynet.backends.errors import MixedBackendsError
from zkynet.framework import cg, pytree
from zkynet.framework.function import Input, Possession
from zkynet.framework.module import Module, _children
from zkynet.framework.record import PYTHON_NUMBERS, Context, Output, entered, operand, value_of

from .problem import _is_inexact, _names

SEED = 0  # of the cotangents of outputs that are no scalars
OURS = ("zkynet.framework", "zkynet.backends", "zkynet.testing")


class Step:
    """One application of an operator: what went in and came out, and what passed it on the way back.

    Values are raw: arrays of the backend, Python numbers. ``cotangents`` has one entry an output (None: none came), or
    is None where the sweep did not come by; ``sends`` holds pairs (position of the input, contribution).
    """

    __slots__ = ("cotangents", "inputs", "module", "operator", "outputs", "place", "records", "sends")

    def __init__(self, operator, inputs, outputs, records, module, place):
        self.operator, self.inputs, self.outputs, self.records = operator, inputs, outputs, records
        self.module, self.place = module, place
        self.cotangents: tuple | None = None
        self.sends: list[tuple[int, Any]] = []

    @property
    def name(self) -> str:
        return self.operator.functional_name

    @property
    def settings(self) -> tuple:
        """The settings that can be compared between backends: numbers, names and tuples of them."""
        found = vars(self.operator).items() if hasattr(self.operator, "__dict__") else ()
        return tuple((k.lstrip("_"), v) for k, v in found if k != "_name" and _is_plain(v))


def _is_plain(x) -> bool:
    return x is None or type(x) in (str, int, float, bool) or (type(x) is tuple and all(_is_plain(i) for i in x))


class Watcher:
    """Told of every operator of a run, of what the sweep sends, and, in place of a session, of every Module called."""

    def __init__(self, bottom, paths):
        self.steps: list[Step] = []  # of the run itself
        self.extra: list[Step] = []  # of rules that compute with Tensors, while the sweep runs
        self.visited: list[Step] = []  # in the order of the sweep
        self.contributions: dict = {}  # Record -> the contributions that were sent to it
        self.sweeping = False
        self._bottom, self._paths = bottom, paths
        self._by_record: dict = {}
        self._modules: list[Module] = []

    def call(self, module, inputs, settings):
        """``module.call``, with its name on what is applied inside."""
        self._modules.append(module)
        try:
            return module.call(*inputs, **settings)
        finally:
            self._modules.pop()

    def applied(self, operator, inputs, result) -> None:
        tensors = result if isinstance(result, tuple) else (result,)
        values = tuple(t._value for t in tensors)
        into = self.extra if self.sweeping else self.steps
        if any(_is_traced(v) for v in values):  # inside a function that the library compiles or differentiates
            return
        if into and into[-1].operator is operator and all(a is b for a, b in zip(into[-1].outputs, values)):
            into.pop()  # numbers that became arrays: the same application was told before
        module = self._paths.get(id(self._modules[-1]), "") if self._modules else ""
        records = [t.record for t in tensors]
        step = Step(operator, [_kept(x) for x in inputs], values, records, module, self._place())
        into.append(step)
        for record in records:
            if record is not None:
                self._by_record[record.parents[0] if type(record.operator) is Output else record] = step

    def sent(self, record, g, parent, c) -> None:
        if not self.sweeping:  # a transform inside of the subject: what its rules compute are steps already
            return
        self.contributions.setdefault(parent, []).append(value_of(c))
        step = self._by_record.get(record)
        if step is None:
            return
        if step.cotangents is None:
            step.cotangents = tuple(value_of(part) for part in (g if isinstance(g, (list, tuple)) else (g,)))
            self.visited.append(step)
        first = step.sends[-1][0] + 1 if step.sends else 0
        position = next((i for i in range(first, len(record.parents)) if record.parents[i] is parent), first)
        step.sends.append((position, value_of(c)))

    def _place(self) -> tuple[str, int] | None:
        """The file and line that applied an operator: the user's, or that of a layer of ours."""
        frame: Any = sys._getframe(2)
        layer = None
        while frame is not None and frame.f_code is not self._bottom:
            module = frame.f_globals.get("__name__", "")
            if module.partition(".")[0] != "zkynet":
                return frame.f_code.co_filename, frame.f_lineno
            if layer is None and not module.startswith(OURS):
                layer = frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return layer


def _is_traced(value) -> bool:
    xp = None if type(value) in PYTHON_NUMBERS else backends.backend_of(value)
    return xp is not None and xp.is_traced(value)


def _kept(x) -> Any:
    """The raw value of an operand; None for what is none. What the subject could write to is copied."""
    try:
        value = operand(x)[0]
    except TypeError:
        return None
    home = backends.backend_of(value) if value is x and type(value) not in PYTHON_NUMBERS else None
    return home.own(value) if home is not None and home.is_writable(value) else value


class Draws:
    """Every run gets the random numbers that a first one would get; the generators stay where they are."""

    def __init__(self):
        self._made: dict = {}

    def draw(self, generator) -> int:
        count = self._made[generator] = self._made.get(generator, 0) + 1
        return generator._value + count - 1


class Outcome(NamedTuple):
    """An output or a gradient: what it is, its raw value, and what its value or its parts were told by the watcher."""

    label: str
    value: Any
    parts: list  # the contributions to a gradient; the raw value of an output inside the run


class Run:
    """What one run of a subject gave."""

    def __init__(self, backend, watcher: Watcher, outputs: list[Outcome], gradients: list[Outcome]):
        self.backend, self.outputs, self.gradients = backend, outputs, gradients
        self.steps, self.extra, self.visited = watcher.steps, watcher.extra, watcher.visited
        self.contributions = watcher.contributions


class Subject:
    """A function or model and its arguments, to be run on several backends."""

    def __init__(self, f: Callable, args: Sequence):
        self.name = getattr(f, "__name__", None) or type(f).__name__
        names, first = _names(f), 0
        owner = getattr(f, "__self__", None)
        if isinstance(f, Module):
            f, args, first = _call_module, (f, *args), 1
        elif isinstance(owner, Module):  # a method of a model
            f, args, first = f.__func__, (owner, *args), 1  # type: ignore[attr-defined]
        self.f = f
        self.items, self.tree = pytree.flatten(tuple(args), _is_leaf)
        names = [""] * first + [*names, *(f"argument {n}" for n in range(len(names), len(args)))]
        self.labels = [t + path for t, arg in zip(names, args, strict=False) for path in _paths(arg)]

    def run(self, xp) -> Run:
        """One run on backend ``xp``, of copies."""
        memo: dict = {}
        items = [moved(x, xp, memo) for x in self.items]
        places = [n for n, x in enumerate(items) if isinstance(x, (Module, cg.Parameter)) or _is_inexact(x)]
        leaves: list = []  # (label, Record) of everything that a gradient is taken of
        inside: list = []  # the raw values of the outputs, as the watcher saw them

        def bottom(*given):
            filled = list(items)
            for n, x in zip(places, given, strict=True):
                filled[n] = x
                leaves.extend(_labelled(self.labels[n], x))
            found = pytree.flatten(self.f(*self.tree.unflatten(filled)), _is_leaf)[0]
            outputs = [y for y in found if _is_output(y)]
            inside.extend(operand(y)[0] for y in outputs)
            return [y for y in outputs if _is_inexact(operand(y)[0])], outputs

        modules = [(label, x) for label, x in zip(self.labels, items, strict=True) if isinstance(x, Module)]
        watcher = Watcher(bottom.__code__, _paths_of_modules(modules))
        context = Context(draws=Draws(), session=watcher, watchers=(watcher,))
        try:
            with backends.use_backend(xp), entered(context), np.errstate(all="ignore"):
                inexact, pull, values = cg.vjp(bottom, *[items[n] for n in places], has_aux=True)
                watcher.sweeping = True
                gradients = _gradients(inexact, pull, leaves, watcher)
        except Exception as error:
            error.add_note(f"in crosscheck of {self.name}, on {xp.name}")
            raise
        _check_home(self.name, watcher, xp)
        labels = ["output"] if len(values) == 1 else [f"output {k}" for k in range(len(values))]
        outputs = [Outcome(*found) for found in zip(labels, values, [[v] for v in inside], strict=True)]
        return Run(xp, watcher, outputs, gradients)


def _gradients(inexact, pull, leaves, watcher) -> list[Outcome]:
    """The gradients of all leaves for the cotangents of ``inexact``; none where there is nothing to differentiate."""
    if not inexact or not leaves:
        return []
    rng = np.random.default_rng(SEED)
    found = pytree.flatten(pull([_cotangent(y, rng) for y in inexact]))[0]
    parts = [watcher.contributions.get(record, []) for _, record in leaves]
    return [Outcome(f"gradient of {label}", c, p) for (label, _), c, p in zip(leaves, found, parts, strict=True)]


def _cotangent(y, rng) -> Any:
    """1 for a real scalar; standard normal numbers for anything else."""
    xp = None if type(y) in PYTHON_NUMBERS else backends.backend_of(y)
    shape = () if xp is None else tuple(y.shape)
    is_complex = type(y) is complex if xp is None else xp.is_complex(y.dtype)
    if shape == () and not is_complex:
        return 1.0
    g = rng.standard_normal(shape)
    if is_complex:
        g = g + 1j * rng.standard_normal(shape)
    name = None if xp is None else xp.name_of(y.dtype)
    return g.item() if xp is None else g.astype("float32" if name == "bfloat16" else name)


def _check_home(name, watcher, xp):
    """MixedBackendsError where a run computed elsewhere than it was asked to: then nothing was compared."""
    homes = {backends.backend_of(v) for step in watcher.steps for v in step.outputs if type(v) not in PYTHON_NUMBERS}
    strange = [home for home in homes if home is not xp and not home.is_host]
    if strange or (homes and xp not in homes):
        where = ", ".join(sorted(home.name for home in strange or homes))
        raise MixedBackendsError(
            f"crosscheck: {name} was run on {xp.name}, but computed on {where}.\n"
            "  arrays and models that it holds itself, in a closure or a global, cannot be moved\n"
            "Pass them as arguments: crosscheck(loss_fn, model, x, y)."
        )


# ---- what is moved, and what it is called ----


def moved(x: Any, xp: Any, memo: dict) -> Any:
    """A copy of an item of the arguments on backend ``xp``: arrays keep their dtype, Python numbers stay numbers."""
    if isinstance(x, Module):
        return copy.deepcopy(x, memo).to(xp)
    if isinstance(x, Possession):
        x = copy.deepcopy(x, memo)
        x._value = _array_on(xp, x._value)
        return x
    value = value_of(x)
    if backends.backend_of(value) is not None:
        return _array_on(xp, value)
    return value if value is None or callable(value) or isinstance(value, Input) else copy.deepcopy(value, memo)


def _array_on(xp, value):
    home = backends.backend_of(value)
    return value if home is None else xp.own(xp.asarray(home.to_numpy(value)))


def _call_module(module, *args):
    return module(*args)


def _is_leaf(x) -> bool:
    return isinstance(x, (Module, Input))


def _is_output(x) -> bool:
    try:
        operand(x)
    except TypeError:
        return False
    return True


def _paths(tree, prefix="") -> list[str]:
    """A readable path an item, in the order of flattening; a Module is one item."""
    inside = None if _is_leaf(tree) else pytree.children_of(tree)
    if inside is None:
        return [prefix]
    return [p for name, child in zip(*inside, strict=True) for p in _paths(child, f"{prefix}[{name!r}]")]


def _labelled(label, x) -> list:
    """Pairs (label, Record) of an argument under a transform; one a Parameter for a Module."""
    if not isinstance(x, Module):
        return [(label, operand(x)[1])]
    prefix = f"{label}." if label else ""
    return [(prefix + path, operand(p)[1]) for path, p in x.named_parameters().items()]


def _paths_of_modules(modules) -> dict[int, str]:
    """The path of every Module inside of those given, by identity."""
    found: dict[int, str] = {}
    stack = [(label, module) for label, module in reversed(modules)]
    seen = set()
    while stack:
        path, node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Module):
            found[id(node)] = path
        if not isinstance(node, Input):
            stack += [(f"{path}.{name}" if path else str(name), child) for name, child in reversed(_children(node))]
    return found


def shown_place(place: tuple[str, int] | None) -> str:
    """``file:line``, the file relative to the current directory where it lies inside of it, else by its name."""
    if place is None:
        return ""
    path = os.path.relpath(place[0]) if place[0].startswith(os.getcwd() + os.sep) else os.path.basename(place[0])
    return f"{path}:{place[1]}"
