"""What a function could read in Python: a walk from it, over globals, closures, attributes, modules and containers.

Which attributes count is told by names: those that some code on the way loads (code_reads). Modules, dataclasses and
objects of zkynet's own classes count whole.
"""

from __future__ import annotations

import enum
import io
import os
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import cached_property, partial, partialmethod
from operator import attrgetter, getitem, methodcaller
from random import Random
from types import (
    BuiltinMethodType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any
from weakref import ReferenceType

from ..function import Parameter, Possession
from ..module import Module
from ..operator import Operator
from ..record import HOST, Tensor
from .code_reads import owner, reads_of
from .places import MISSING, PLAIN, Place, attribute, class_entry, entry, is_array, shown

# What the framework keeps in its own objects for itself, when it is first asked for.
_OWN_NOTES = frozenset(("_name", "_number", "_variables", "_arguments", "__orig_class__", "__weakref__"))
_OF_POSSESSIONS = _OWN_NOTES | {"_value", "short_name", "trainable"}
_IN_EVERY_CLASS = _OWN_NOTES | {"__dict__", "__module__", "__doc__", "__annotations__", "__abstractmethods__"}
_IN_EVERY_CLASS |= {"__firstlineno__", "__static_attributes__"}  # from Python 3.13 on, and from 3.14 on:
_IN_EVERY_CLASS |= {"__annotate__", "__annotate_func__", "__annotations_cache__"}
_READ_BY_US = frozenset(("call", "training", "tree_flatten", "tree_unflatten"))
_FRAMEWORK = "zkynet.framework."
_OPAQUE = (io.IOBase, enum.Enum)
_BY_NAME = frozenset(("import_module", "__import__", "modules"))  # by which code gets at modules
# Libraries whose objects are looked into no further than code names attributes: what they note is their own affair.
_ASIDE = frozenset(("logging", "tqdm", "wandb", "tensorboard", "matplotlib", "unittest", "pytest", "_pytest"))
_ASIDE |= {"IPython", "ipykernel", "hypothesis", "jax", "jaxlib", "torch", "cupy", "asyncio", "concurrent", "typing"}
_GOING = ("weakref", "_weakref", "_weakrefset")  # whose objects show what may be gone at the next look


class Slot:
    """One value that is guarded: what ``place`` gave when the function was recorded."""

    __slots__ = ("place", "value")

    def __init__(self, place: Place, value: Any):
        self.place, self.value = place, value


class Reach:
    """All that was found. Slots by how they are read, and the rest of what has to stay as it is.

    - ``entries`` stand in dicts, ``class_entries`` in those of classes, ``attributes`` are read by getattr.
    - ``contents``: iterables with what they gave, their Place, and the container, where it can be written to.
    - ``keys``: dicts to which names may be added, with the keys that they have, the Place of what has these attributes,
      and a function (name, value): whether a new one counts.
    - ``probes``: functions with what they gave and a text.
    - ``arrays``: by the id of each array that was met its Places.
    - ``moving``: texts on what cannot be guarded, because every run of the function may move it on.
    """

    def __init__(self) -> None:
        self.entries: list[Slot] = []
        self.class_entries: list[Slot] = []
        self.attributes: list[Slot] = []
        self.contents: list[tuple[Any, list, Place, Any]] = []
        self.keys: list[tuple[Any, list[str], Place, Callable[[str, Any], bool]]] = []
        self.probes: list[tuple[Callable[[], Any], Any, str]] = []
        self.arrays: dict[int, list[Place]] = {}
        self.possessions: list[Possession] = []
        self.moving: list[str] = []
        self.seen: dict[int, Any] = {}  # every object that was met, but arrays, by id


class Walk:
    """Fills a Reach. Names become known on the way, and what was met before them is looked at again."""

    def __init__(self) -> None:
        self.found = Reach()
        self.names: set[str] = set()
        self.any_attribute = False
        self._seen: dict[int, Any] = {}  # by id; alive, so that no other object gets it
        self._slots: set[tuple[int, Any]] = set()
        self._dicts_of_classes: dict[type, Any] = {}
        self._queue: deque[tuple[Any, Place]] = deque()
        self._looks: list[Callable[[], None]] = []  # to be done again when there are more names

    def run(self, roots: Iterable[tuple[Any, Place]]) -> Reach:
        """Everything that can be reached from the roots."""
        self._queue += roots
        looked = None
        while self._queue or looked != (len(self.names), self.any_attribute, len(self._looks)):
            while self._queue:
                x, place = self._queue.popleft()
                try:
                    self._visit(x, place)
                except Exception as error:  # of an object that is not what it says it is
                    self.found.moving.append(f"{place}: cannot be looked into, {type(error).__name__}: {error}")
            looked = len(self.names), self.any_attribute, len(self._looks)
            for look in list(self._looks):
                look()
        return self.found

    def _slot(self, table: list[Slot], place: Place, follow: bool = True) -> None:
        """Guard what stands at a place, and visit it."""
        mark = id(place.holder), place.key
        if mark not in self._slots:
            self._slots.add(mark)
            value = place.read()
            table.append(Slot(place, value))
            if follow and type(value) not in PLAIN:
                self._queue.append((value, place))

    def _attribute(self, holder: Any, name: str, place: Place, follow: bool = True) -> None:
        self._slot(self.found.attributes, place.inside(f".{name}", attribute, holder, name), follow)

    def _probe(self, read: Callable[[], Any], place: Any) -> None:
        self.found.probes.append((read, read(), str(place)))

    # ---- what there is ----

    def _visit(self, x: Any, place: Place) -> None:
        kind = type(x)
        if kind in PLAIN:
            return
        if kind is Tensor:
            self._visit(x._value, place.inside("", attribute, place, "_value"))
        elif HOST.is_host_scalar(x) or is_array(x):
            self._seen[id(x)] = x
            self.found.arrays.setdefault(id(x), []).append(place)
        elif isinstance(x, tuple):  # each time: it is read through the place
            for i, each in enumerate(x):
                if type(each) not in PLAIN:
                    self._queue.append((each, place.inside(f"[{i}]", getitem, place, i)))
        elif id(x) not in self._seen:
            self._seen[id(x)] = self.found.seen[id(x)] = x
            for kinds, visit in _VISITS:
                if isinstance(x, kinds):
                    visit(self, x, place)
                    return
            self._other(x, place)

    def _function(self, f: FunctionType, place: Place) -> None:
        namespace = f.__globals__
        reads = reads_of(f.__code__) if owner(namespace.get("__name__")) == "user" else None
        if reads is None and namespace.get(f.__name__) is f:
            return  # a library's own function: what it holds in cells is not the user's
        cells = {}
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            at = Place(f"closure variable {name}", f" of {f.__name__}", attribute, cell, "cell_contents")
            cells[name] = at.read()
            if reads is None:
                if not _is_going(at.read()):  # a cache, of functools.singledispatch
                    self._queue.append((at.read(), at))  # what a library's function was made of stays
            elif name in reads.cells:
                self._cell(cell, at)
        self._queue.append((getattr(f, "__wrapped__", None), place))
        if reads is None:
            return
        self._looked(f.__dict__, place, lambda name, _: name in self.names)
        self._attribute(f, "__code__", Place(f.__name__), follow=False)
        for name in ("__defaults__", "__kwdefaults__"):
            self._slot(self.found.attributes, Place(f"defaults of {f.__name__}", "", attribute, f, name))
        if "type" in reads.globals and "ndarray" in reads.names | reads.globals:
            # Stand-ins are instances of ndarray to isinstance, not to type.
            self.found.moving.append(f"{f.__name__} asks for type(...) and ndarray: use isinstance, which sees through")
        self.names |= reads.names
        self.any_attribute = self.any_attribute or reads.any_attribute
        after = f" of {os.path.basename(namespace.get('__file__') or str(namespace.get('__name__')))}"
        every = [name for name in namespace if not name.startswith("__")] if reads.any_global else []
        for name in sorted({*reads.globals, *every}):
            self._slot(self.found.entries, Place(f"global {name}", after, entry, namespace, name))
        for first, *rest in reads.chains:
            self._chain(cells[first] if first in cells else namespace.get(first), rest)
        if _BY_NAME & (reads.names | reads.globals):
            for name in sorted({name for name in reads.names if isinstance(sys.modules.get(name), ModuleType)}):
                self._imported(0, name, namespace)
        for level, name in reads.imports:
            self._imported(level, name, namespace)
            if not level and ("random" in reads.names or "random" in name.split(".")):
                self._drawn_from(sys.modules.get(name.partition(".")[0]))

    def _chain(self, x: Any, names: list[str]) -> None:
        """Modules that code gets at as attributes of modules: ``np.random``, where no step is the user's own."""
        for name in names:
            if not isinstance(x, ModuleType):
                return
            if name == "random":
                self._drawn_from(x)
            place = Place(f"{x.__name__}.{name}", "", entry, vars(x), name)
            library, x = owner(x.__name__) != "user", place.read()
            if library and x is not MISSING:  # somebody may put another one in its place
                follow = isinstance(x, FunctionType) and owner(x.__module__) == "user"
                self._slot(self.found.entries, place, follow)

    def _drawn_from(self, module: Any) -> None:
        """The random numbers that NumPy keeps for all, and the standard library."""
        if isinstance(module, ModuleType) and module.__name__ == "numpy":
            self._queue.append((module.random, Place("numpy.random")))
        elif isinstance(module, ModuleType) and module.__name__ == "random":
            self._queue.append((module, Place("random")))

    def _cell(self, cell: Any, place: Place) -> None:
        if place.read() is MISSING:
            self._probe(place.read, place)  # getattr of an empty cell raises
        else:
            self._slot(self.found.attributes, place)

    def _imported(self, level: int, name: str, namespace: dict) -> None:
        """The modules of an import statement inside a function."""
        if level:
            package = namespace.get("__package__") or str(namespace.get("__name__")).rpartition(".")[0]
            name = ".".join([*package.split(".")[: len(package.split(".")) - level + 1], *([name] if name else [])])
        parts = name.split(".")
        for i in range(len(parts) if owner(name) == "user" else 0):
            full = ".".join(parts[: i + 1])
            self._slot(self.found.entries, Place(f"module {full}", "", entry, sys.modules, full))

    def _method(self, x: Any, place: Place) -> None:
        inside = x.__self__
        if x in (getattr, hasattr, vars, dir):  # under a name of the user's, which code_reads does not know
            self.any_attribute = True
        if not isinstance(inside, ModuleType):
            self._queue.append((inside, place.inside(".__self__", attribute, place, "__self__")))
        if isinstance(x, MethodType):
            self._queue.append((x.__func__, place))

    def _module(self, x: ModuleType, place: Place) -> None:
        if x.__name__ == "random":
            self._probe(x.getstate, "the state of the module random")
        elif x.__name__ == "numpy.random":
            self._queue.append((x.get_state, Place("the state of numpy.random")))
        elif owner(x.__name__) == "user":
            self._looked(vars(x), Place(x.__name__, "", None, x), self._counts_in_module)

    def _possession(self, x: Possession, place: Place) -> None:
        self.found.possessions.append(x)
        if isinstance(x, Parameter):
            self._attribute(x, "trainable", place)
        if not hasattr(x, "__zkynet_guard__"):
            self._look(x.__dict__, place, lambda name, _: name not in _OF_POSSESSIONS)
        self._class(type(x), place)

    def _container(self, x: Any, place: Place) -> None:
        kind = type(x)
        if isinstance(x, (dict, MappingProxyType)):
            base: Any = next(each for each in (OrderedDict, dict, MappingProxyType) if isinstance(x, each))
            keys, values = base.keys(x), base.values(x)  # whatever the user's class says
            own = x if base is not MappingProxyType else None
            self.found.contents += [(keys, list(keys), place, None), (values, list(values), place, own)]
            children: Any = [(key, child, entry) for key, child in zip(keys, values, strict=True)]
            self._queue += [(key, place.inside(", a key", None, key)) for key in keys if type(key) not in PLAIN]
            if isinstance(x, defaultdict):
                self._queue.append(
                    (x.default_factory, place.inside(".default_factory", attribute, x, "default_factory"))
                )
        else:
            base = next(each for each in (list, deque, set, frozenset) if isinstance(x, each))
            held = x if kind.__iter__ is base.__iter__ else _Plainly(base, x)
            children = [(i, child, getitem if base in (list, deque) else None) for i, child in enumerate(held)]
            if base is not frozenset:
                self.found.contents.append((held, list(held), place, x if base in (list, deque) else None))
        for key, child, way in children:
            if type(child) not in PLAIN:
                self._queue.append((child, place.inside(f"[{shown(key)}]", way, x if way else child, key)))
        if owner(kind.__module__) == "user":
            self._object(x, place)

    def _counts_in_module(self, name: str, value: Any) -> bool:
        by_any_name = self.any_attribute and not name.startswith("__")
        if name == "__getattr__":
            return True
        return name in self.names or (by_any_name and (type(value) in PLAIN or isinstance(value, (list, tuple, dict))))

    # ---- objects and classes ----

    def _other(self, x: Any, place: Place) -> None:
        kind = type(x)
        module = str(kind.__module__)
        ours = owner(module)
        if hasattr(kind, "__zkynet_guard__"):
            self._probe(x.__zkynet_guard__, place)
            told = place.inside("", lambda each, _: each.__zkynet_guard__(), x, None)
            self._queue += [(told.read(), told), (kind, place)]
            self._looks.append(partial(self._look_at_steps, x, place))
        elif kind in (attrgetter, methodcaller):
            self.any_attribute = True  # which attributes they read they do not say
        elif isinstance(x, _OPAQUE) or hasattr(kind, "__zkynet_tensor__") or _is_bare_operator(x, ours):
            pass
        elif hasattr(kind, "__next__") and ours != "user":
            self.found.moving.append(f"{place}: a {kind.__name__}, which every call may move on")
        elif _is_going(x):
            self.found.moving.append(f"{place}: a {kind.__name__}, and what it refers to may go at any time")
        elif module.partition(".")[0] == "pandas":
            self.found.moving.append(f"{place}: a {kind.__name__}, the numbers in which cannot be watched")
        elif isinstance(x, ContextVar):
            self._probe(Place("", "", lambda variable, _: variable.get(), x).read, place)
        elif isinstance(x, bytearray):
            self._probe(partial(bytes, x), place)
        elif hasattr(kind, "tobytes"):
            self._probe(x.tobytes, place)
        elif module.startswith("numpy.random") and (hasattr(x, "get_state") or hasattr(x, "bit_generator")):
            self._probe(x.get_state if hasattr(x, "get_state") else partial(getattr, x.bit_generator, "state"), place)
        elif isinstance(x, Random):
            self._probe(x.getstate, place)
        else:
            if ours == "library" and _is_memory(x):  # of ctypes
                self._probe(lambda: bytes(memoryview(x)), place)
            self._object(x, place)

    def _look_at_steps(self, x: Any, place: Place) -> None:
        """The numbers in an optimizer's state count where code reads them: ``optimizer.state["step"]``."""
        read = {"state", "step"} <= self.names and isinstance(getattr(x, "state", None), dict)
        if read and (id(x), "state") not in self._slots:
            self._slots.add((id(x), "state"))
            self._probe(partial(_numbers_in_state, x), place.inside(".state", attribute, x, "state"))

    def _parts(self, x: Any, place: Place) -> None:
        """What a descriptor or a partial is made of."""
        for name in ("fget", "fset", "__func__", "func", "args", "keywords", "__wrapped__"):
            self._queue.append((getattr(x, name, None), place.inside(f".{name}", attribute, x, name)))

    def _object(self, x: Any, place: Place) -> None:
        kind = type(x)
        self._attribute(x, "__class__", place)
        counts = self._counting(x, kind)
        whole = {name: what for base in reversed(kind.__mro__) for name, what in vars(base).items()}
        # Plain attributes of the class are read through the object, which may have one of its own.
        plain = {name for name, what in whole.items() if type(what) in PLAIN and not name.startswith("__")}
        slots = {name for name, what in whole.items() if type(what) is MemberDescriptorType}
        fixed = sorted(plain | (slots if owner(kind.__module__) != "library" else set()))
        if fixed:
            self._looks.append(partial(self._look_at_fixed, x, fixed, place, counts))
        inside = getattr(x, "__dict__", None)
        if type(inside) is dict:
            self._attribute(x, "__dict__", place, follow=False)
            self._looked(inside, place, lambda name, value: name not in plain and counts(name, value))

    def _counting(self, x: Any, kind: type) -> Callable[[str, Any], bool]:
        """Which attributes of an object count: a function of name and value."""
        ours = [owner(base.__module__) for base in kind.__mro__]
        built = [base.__module__ for base, whose in zip(kind.__mro__, ours, strict=True) if whose == "zkynet"]
        if any([not module.startswith(_FRAMEWORK) for module in built]) or ours[0] == "zkynet":
            return lambda name, _: name not in _OWN_NOTES
        if kind.__module__ == "collections":
            return lambda name, _: True
        fields = getattr(kind, "__dataclass_fields__", ())
        if isinstance(x, Module):
            return lambda name, value: name not in _OWN_NOTES and (self._named(name) or name in fields or _owns(value))
        if ours[0] == "library":
            whole = str(kind.__module__).partition(".")[0] not in _ASIDE
            return lambda name, value: whole or name in self.names or isinstance(value, (*_CALLED, Module, Possession))
        return lambda name, _: self._named(name) or name in fields

    def _named(self, name: str) -> bool:
        return name in self.names or self.any_attribute or name in _READ_BY_US

    def _looked(self, inside: dict, place: Place, counts: Callable[[str, Any], bool]) -> None:
        """Look at a dict of attributes now and again, and guard that no more come that count."""
        self.found.keys.append((inside, list(inside), place, counts))
        self._looks.append(partial(self._look, inside, place, counts))

    def _look(self, inside: dict, place: Place, counts: Callable[[str, Any], bool]) -> None:
        for name, value in list(inside.items()):
            if (id(inside), name) not in self._slots and counts(name, value):
                self._slot(self.found.entries, place.inside(f".{name}", entry, inside, name))

    def _look_at_fixed(self, x: Any, names: list[str], place: Place, counts: Callable[[str, Any], bool]) -> None:
        for name in names:
            if (id(x), name) not in self._slots and counts(name, attribute(x, name)):
                self._attribute(x, name, place)

    def _class(self, x: type, place: Place) -> None:
        bases = [base for base in x.__mro__ if owner(base.__module__) != "library"]
        users = [base for base in bases if owner(base.__module__) == "user"]
        if users:
            self._attribute(x, "__mro__", Place(x.__qualname__), follow=False)
        if type(x) is not type and owner(type(x).__module__) == "user":
            self._queue.append((type(x), place))
        for base in users:  # what "case Point(x, y)" reads
            self.names.update([name for name in vars(base).get("__match_args__", ()) if type(name) is str])
        for base in bases:
            if base in self._dicts_of_classes:
                continue
            inside = self._dicts_of_classes[base] = vars(base)
            if base not in users:
                if not issubclass(base, Module):
                    continue
                counts: Any = _counts_in_ours
            else:
                above = [vars(each) for each in base.__mro__ if owner(each.__module__) == "zkynet"]
                counts = partial(self._counts_in_class, above, issubclass(base, Operator))
                self.found.keys.append((inside, list(inside), Place(base.__qualname__, "", None, base), counts))
            self._looks.append(partial(self._look_at_class, base, inside, counts, base in users))

    def _counts_in_class(self, above: list[Any], whole: bool, name: str, value: Any) -> bool:
        """Whether an entry of a user's class counts: those do, too, that run by themselves, or take the place of ours.

        ``above`` are the dicts of our classes that it is derived from; ``whole``: it is an operator, with rules.
        """
        if name in _IN_EVERY_CLASS:
            return False
        by_itself = name.startswith("__") and isinstance(value, (*_CALLED, *_PARTED))
        return by_itself or whole or self._named(name) or any([name in each for each in above])

    def _look_at_class(self, base: type, inside: Any, counts: Callable[[str, Any], bool], follow: bool) -> None:
        for name, value in list(inside.items()):
            if (id(inside), name) not in self._slots and counts(name, value):
                place = Place(base.__qualname__, "", None, base).inside(f".{name}", class_entry, inside, name)
                self._slot(self.found.class_entries, place, follow)


def _is_going(x: Any) -> bool:
    """Whether ``x`` is a weak reference, or a container of such."""
    return type(x).__module__ in _GOING or isinstance(x, ReferenceType)


def _is_memory(x: Any) -> bool:
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def _is_bare_operator(x: Any, ours: str) -> bool:
    return ours == "zkynet" and isinstance(x, Operator) and not vars(x)


def _counts_in_ours(name: str, value: Any) -> bool:
    """Whether an entry of one of zkynet's classes counts: what it does, should somebody replace it."""
    return name in ("call", "__call__")


def _numbers_in_state(x: Any) -> tuple:
    return tuple([value for value in x.state.values() if type(value) in PLAIN])


class _Plainly:
    """What a list or a set holds, where its class has an __iter__ of its own."""

    def __init__(self, base: Any, x: Any):
        self.base, self.x = base, x

    def __iter__(self) -> Any:
        return self.base.__iter__(self.x)

    def __len__(self) -> int:
        return self.base.__len__(self.x)


def _owns(x: Any, depth: int = 3) -> bool:
    """Whether something is, or holds, what a Module is made of."""
    if isinstance(x, (list, tuple, dict, deque)) and depth:
        return any([_owns(each, depth - 1) for each in (x.values() if isinstance(x, dict) else x)])
    return isinstance(x, (Possession, Module)) or hasattr(type(x), "__dataclass_fields__")


_CALLED = (FunctionType, MethodType)
_PARTED = (property, classmethod, staticmethod, cached_property, partial, partialmethod)
_VISITS: tuple[tuple[Any, Callable[[Walk, Any, Place], None]], ...] = (
    (FunctionType, Walk._function),
    ((MethodType, BuiltinMethodType, MethodWrapperType), Walk._method),
    (Possession, Walk._possession),
    ((list, dict, set, frozenset, deque, MappingProxyType), Walk._container),
    (type, Walk._class),
    (ModuleType, Walk._module),
    (_PARTED, Walk._parts),
)
