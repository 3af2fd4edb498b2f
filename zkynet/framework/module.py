"""Modules: functions composed of operators and other modules, with parameters they own."""

import inspect
import reprlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MemberDescriptorType
from typing import Any, NamedTuple
from weakref import ref

from zkynet import backends

from . import pytree
from .function import Function, Parameter, Possession, State, Variable
from .graph import ModuleGraph
from .record import CONTEXT, PYTHON_NUMBERS, Tensor, entered, operand, tensor_of
from .session import Session


class Module(Function):
    """A Function that a user composes: parameters and submodules are plain attributes, ``call`` says what it does.

    ``module(x)`` runs ``call``: from outside it gives a ModuleGraph, the graph of that one call; inside a transform,
    another Module or ``no_grad`` a Tensor. Parameters are array-like: ``x @ self.weight + self.bias``. Positional
    arguments are inputs, numbers among them too; settings are passed by keyword.

    Inputs are read off the signature of ``call``. They and the parameters may also be declared:
    ``super().__init__(inputs=(Variable("x"),), params=(Parameter("w", w0),))``; ``self.param("w")`` reads one.

    ``training``, True at first, tells layers such as dropout which of their two behaviours is asked for.
    """

    training = True

    def __init__(self, inputs: Iterable[Variable] | None = None, params: Iterable[Parameter] | None = None):
        if inputs is not None:
            self._variables = Declared(_by_short_name(inputs, Variable))
        if params is not None:
            self._params = _by_short_name(params, Possession)

    def call(self, *inputs, **settings):
        raise NotImplementedError(f"{type(self).__name__} needs a method call(self, ...)")

    def __call__(self, *inputs, **settings):
        signature = signature_of(type(self))
        if not signature.least == len(inputs) == signature.most or "_variables" in self.__dict__:
            inputs = self._checked_inputs(inputs, settings)
        context = CONTEXT.get()
        if context.session:
            return context.session.call(self, inputs, settings)
        if context.depth or not context.recording or context.session is False:
            return self.call(*inputs, **settings)
        return self._call_from_outside(context, inputs, settings)

    def _call_from_outside(self, context, inputs, settings):
        """The ModuleGraph of a call: one an array, where it gives a container of them."""
        session = Session(self)
        bindings = {p: session.bind(p) for p in self.named_parameters().values()}
        variables = self._inputs()
        given = [session.give(v, x) for v, x in zip(variables.values(), inputs, strict=False)]
        given += inputs[len(given) :]
        # An int by keyword is a setting, an axis say.
        settings = {
            k: session.give(variables[k], x) if k in variables and type(x) is not int else x
            for k, x in settings.items()
        }
        inside = context.replace(
            bindings={**context.bindings, **bindings}, session=session, watchers=(*context.watchers, session)
        )
        with entered(inside):
            result = self.call(*given, **settings)
            # Inside, where a Parameter that is returned stands for its Tensor.
            return pytree.map_tree(lambda y: _graph_of(session, y), result, lambda node: isinstance(node, Function))

    # ---- inputs and possessions by name ----

    def input(self, name: str) -> Variable:
        """The Variable with this short name."""
        found = self._inputs().get(name)
        if found is None:
            raise KeyError(f"{self.name} has no input {name!r}; its inputs are: {', '.join(self._inputs()) or 'none'}")
        return found

    def param(self, name: str) -> Any:
        """The Parameter, Constant or State with this short name or path, such as ``layers.0.weight``."""
        owned = self.named_possessions(Possession)
        if name in owned:
            return owned[name]
        found = [p for path, p in owned.items() if p.short_name == name and "." not in path] or [
            p for p in owned.values() if p.short_name == name
        ]
        if len(found) != 1:
            what = "several parameters" if found else "no parameter"
            raise KeyError(f"{self.name} has {what} {name!r}; by path they are: {', '.join(owned) or 'none'}")
        return found[0]

    def _inputs(self) -> dict[str, Variable]:
        """The Variables by short name: declared, or made of the signature of ``call`` when first asked for."""
        declared = self.__dict__.get("_variables")
        if declared is None:
            names = signature_of(type(self)).names
            declared = self.__dict__.setdefault("_variables", Declared({name: Variable(name) for name in names}, True))
        return declared.variables

    def _checked_inputs(self, inputs, settings):
        """The inputs that ``call`` takes; TypeError for too few, a warning for those beyond."""
        signature = signature_of(type(self))
        declared = self.__dict__.get("_variables")
        if declared is not None and declared.by_signature:
            declared = None
        most = signature.most if declared is None else len(declared.variables)
        if most is not None and len(inputs) > most:
            warnings.warn(
                f"{type(self).__name__} takes {most} inputs and was given {len(inputs)}; "
                f"left out: {', '.join(_in_short(x) for x in inputs[most:])}",
                stacklevel=3,
            )
            inputs = inputs[:most]
        least = signature.least if declared is None else len(declared.variables)
        if len(inputs) < least:
            names = list(self._inputs())
            missing = [name for name in names[len(inputs) : least] if name not in settings]
            if missing:
                raise TypeError(
                    f"{type(self).__name__} was called with too few inputs.\n  missing:  {', '.join(missing)}\n"
                    f"  expected: {', '.join(names[:least])}"
                )
        return inputs

    @staticmethod
    def build(name: str, fn: Callable, inputs: Iterable[Variable | str], params: Iterable[Parameter] | None = None):
        """A Module of a function: ``fn`` takes the inputs, then the params, by position.

        ``name`` becomes the name of its class: ``functional_name`` is that in snake case. An input may be given by its
        name alone.
        """
        variables = [Variable(v) if isinstance(v, str) else v for v in inputs]
        return _class_of(name, fn)(inputs=variables, params=params or ())

    def named_possessions(self, kind=Parameter) -> dict[str, Any]:
        """Every owned Parameter (or State, Constant) by its path, ``layers.0.weight``; a shared one once."""
        if kind is not Parameter:
            return self._walked(kind)
        outline = _outlines.get(id(self))
        if outline is not None and outline.holds(self):
            return {path: parameter() for path, parameter in outline.named}
        found = self._walked(kind)
        _outlines[id(self)] = Outline(self, found)
        return found

    def _walked(self, kind) -> dict[str, Any]:
        found: dict[str, Any] = {}
        seen = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Possession):
                if isinstance(node, kind):
                    if path in found:
                        raise ValueError(f"{type(self).__name__}: two things in it have the path {path!r}; rename one")
                    found[path] = node
                continue
            below = _children(node)
            if below:
                before = path + "." if path else ""
                stack += [(f"{before}{name}", child) for name, child in reversed(below)]
        return found

    def named_parameters(self) -> dict[str, Parameter]:
        """Every Parameter by its path, ``layers.0.weight``; a shared one once, under its first path."""
        return self.named_possessions(Parameter)

    def named_states(self) -> dict[str, State]:
        """Every State by its path."""
        return self.named_possessions(State)

    def named_modules(self) -> dict[str, "Module"]:
        """The Modules in this one, and in those, by path; one that stands in several places once, under its first."""
        found: dict[str, Module] = {}
        seen = {id(self)}
        stack = list(reversed(_children(self)))
        while stack:
            path, node = stack.pop()
            if id(node) in seen or isinstance(node, Possession):
                continue
            seen.add(id(node))
            if isinstance(node, Module):
                found[str(path)] = node
            stack += [(f"{path}.{name}", child) for name, child in reversed(_children(node))]
        return found

    def parameters(self) -> list[Parameter]:
        """Every Parameter once."""
        return list(self.named_parameters().values())

    def trainable_parameters(self) -> dict[str, Parameter]:
        """Every Parameter that is not frozen, by its path: those the gradient of the module has."""
        return {path: p for path, p in self.named_parameters().items() if p.trainable}

    def tree_flatten(self):
        """As a container a Module holds its Parameters; those that are frozen are constants."""
        named = self.trainable_parameters()
        return list(named), list(named.values())

    def tree_unflatten(self, children):
        """What has the structure of a Module, its gradient say, is a dict keyed by parameter name."""
        return dict(zip(self.trainable_parameters(), children, strict=True))

    # ---- how it is trained ----

    def train(self, mode: bool = True) -> "Module":
        """Set ``training`` on the module and on those in it, True by default; gives the module."""
        if not isinstance(mode, bool):
            raise TypeError(f"train() takes True or False.\n  got:      {_in_short(mode)}")
        for each in (self, *self.named_modules().values()):
            each.training = mode
        return self

    def eval(self) -> "Module":
        """Set ``training`` to False, for use after training: what ``train(False)`` does; gives the module."""
        return self.train(False)

    def freeze(self, *paths: str) -> "Module":
        """Train the Parameters on these paths no more; all of them without a path. Gives the module.

        A path is that of a Parameter or of a module, ``layers.0``, and may hold ``*`` and ``?``: ``*.bias``. For
        transforms with respect to the module a frozen Parameter is a constant, the gradients do not name it, and
        optimizers leave it as it is. ``parameter.trainable`` says which are frozen; the graph of a call still shows the
        gradient of every Parameter. ValueError for a path that is no Parameter's.
        """
        return self._set_trainable(paths, False)

    def unfreeze(self, *paths: str) -> "Module":
        """Train the Parameters on these paths again; all of them without a path. Gives the module."""
        return self._set_trainable(paths, True)

    def _set_trainable(self, paths, trainable):
        named = self.named_parameters()
        chosen: dict[str, Parameter] = {} if paths else named
        for pattern in paths:
            met = {
                path: p for path, p in named.items() if fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")
            }
            if not met:
                raise ValueError(
                    f"{type(self).__name__} has no parameter on the path {pattern!r}.\n"
                    f"  expected: {', '.join(named) or 'none: it owns no parameter'}; a part up to a dot; * and ?"
                )
            chosen.update(met)
        for parameter in chosen.values():
            parameter.trainable = trainable
        return self

    def to(self, backend=None) -> "Module":
        """Move everything that the module owns to another backend, in place; gives the module."""
        target = backends.get(backend) if backend is not None else backends.default_backend()
        for possession in self.named_possessions(Possession).values():
            home = backends.backend_of(possession._value)
            if home is not None and home is not target:
                possession._value = target.own(target.asarray(home.to_numpy(possession._value)))
        return self

    @reprlib.recursive_repr("...")
    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={child!r}" for name, child in _children(self))
        return f"{type(self).__name__}({inside})"


def _class_of(name: str, fn: Callable) -> type[Module]:
    """The class of a Module that is made of a function."""

    def call(self, *given):
        return fn(*given, *self._params.values())

    def __reduce__(self):  # noqa: N807  (the class has no place where pickle would find it)
        return _built, (name, fn), self.__getstate__()

    inside = {"call": call, "__reduce__": __reduce__, "__doc__": fn.__doc__, "__module__": fn.__module__}
    return type(name, (Module,), inside)


def _built(name: str, fn: Callable) -> Module:
    """A Module of a function without what it owns, for copying and pickling."""
    return object.__new__(_class_of(name, fn))


class Declared:
    """The Variables of a Module, by short name; kept apart from what it owns. ``call`` may have more, with defaults."""

    __slots__ = ("by_signature", "variables")

    def __init__(self, variables: dict[str, Variable], by_signature: bool = False):
        self.variables, self.by_signature = variables, by_signature


class CallSignature(NamedTuple):
    """What ``call`` says of its inputs: their names, how many it needs, and how many it takes (None: any number)."""

    names: tuple[str, ...]
    least: int
    most: int | None


def signature_of(cls) -> CallSignature:
    """The inputs of a class of Modules: the positional parameters of its ``call``."""
    found = cls.__dict__.get("_call_signature")  # not that of a class above, which may have another ``call``
    if found is None:
        parameters = list(inspect.signature(cls.call).parameters.values())[1:]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        least = len([p for p in named if p.default is p.empty])
        most = None if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(named)
        found = cls._call_signature = CallSignature(tuple(p.name for p in named), least, most)
    return found


def _by_short_name(items, kind) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, kind):
            raise TypeError(f"expected a {kind.__name__}, got {item!r}")
        if item.short_name in found:
            raise ValueError(f"two of the {kind.__name__}s have the name {item.short_name!r}")
        found[item.short_name] = item
    return found


def _graph_of(session, y):
    """The ModuleGraph of one output; what is no array stays as it is."""
    if isinstance(y, (Function, str, bytes)) or y is None:
        return y
    try:
        return ModuleGraph(session, y if type(y) is Tensor else tensor_of(*operand(y)))
    except TypeError:
        return y


def _in_short(x) -> str:
    return repr(x) if type(x) in PYTHON_NUMBERS or not hasattr(x, "shape") else f"shape {tuple(x.shape)}"


def _children(node) -> list[tuple[Any, Any]]:
    """The named things in a module or a container that are, or may hold, modules and possessions."""
    cls: Any = type(node)
    if cls is tuple or cls is list:  # the most frequent ones first: this runs twice in every training step
        items: Any = enumerate(node)
    elif isinstance(node, dict):
        items = node.items()
    elif isinstance(node, (list, tuple, deque)):
        items = enumerate(node)
    elif isinstance(node, (set, frozenset)):
        if any(isinstance(x, (Possession, Module)) for x in node):
            raise TypeError("modules and parameters in a set have no order, and so no names: keep them in a list")
        return []
    else:
        fixed = _fixed_names(cls)
        items = node.__dict__.items() if hasattr(node, "__dict__") else ()
        declared = getattr(node, "_params", None)
        if type(declared) is dict and isinstance(node, Module):  # owned under its own name
            items = [*declared.items(), *(item for item in items if item[0] != "_params")]
        if fixed:
            items = {**{name: getattr(node, name, None) for name in fixed}, **dict(items)}.items()
    return [(name, child) for name, child in items if type(child) not in _PLAIN and _may_hold(child)]


def _may_hold(x) -> bool:
    """Whether ``x`` is a module or possession, or a container that may hold some: its type tells."""
    return isinstance(x, _INSIDE) or hasattr(type(x), "__dataclass_fields__")


_PLAIN = frozenset((int, float, str, bool, type(None)))  # the most frequent of what holds nothing, asked first
_CONTAINERS = (list, tuple, dict, deque, set, frozenset)
_INSIDE = (Possession, Module, *_CONTAINERS)


@lru_cache(512)
def _fixed_names(cls) -> list[str]:
    """What a class holds for its instances beside their ``__dict__``: slots, and possessions and modules of its own."""
    kinds = (Possession, Module, MemberDescriptorType)
    found = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    return [name for name, value in found.items() if isinstance(value, kinds)]


class Outline:
    """The structure that a walk found the Parameters of a module in, to tell whether it is the same at the next one.

    Every training step asks twice for the Parameters, and a walk takes four times as long as a look at all containers
    on its way: their names, the types of what they hold, and each Parameter itself. Nothing is kept alive.
    """

    __slots__ = ("kind", "module", "named", "parts")

    def __init__(self, module: Module, named: dict[str, Parameter]):
        self.kind = type(module)
        key = id(module)
        self.module = ref(module, lambda _: _outlines.pop(key, None))
        self.named = [(path, ref(parameter)) for path, parameter in named.items()]
        self.parts: list[tuple] | None = []
        holders: list[Any] = [module]
        places = {id(module): 0}
        for node in holders:  # it grows while we go
            items = _plain_items(node)
            if items is None:
                self.parts = None
                return
            owned, inside = [], []
            for name, child in items.items():
                if isinstance(child, Possession):
                    owned.append((name, ref(child)))
                elif _may_hold(child):
                    if id(child) not in places:
                        places[id(child)] = len(holders)
                        holders.append(child)
                    inside.append((name, places[id(child)]))
            listed = isinstance(node, (list, tuple))
            form = (*(() if listed else items), *map(type, items.values()))
            self.parts.append((listed, form, owned, inside))

    def holds(self, module: Module) -> bool:
        """Whether a walk would find what it found before."""
        if self.parts is None or type(module) is not self.kind:
            return False
        holders: list[Any] = [module]
        for node, (listed, form, owned, inside) in zip(holders, self.parts):
            if listed:
                items = node
                same = (*map(type, node),) == form
            else:
                items = node if type(node) is dict else node.__dict__
                same = (*items, *map(type, items.values())) == form
            if not same:
                return False
            for name, parameter in owned:
                if items[name] is not parameter():
                    return False
            for name, place in inside:
                child = items[name]
                if place == len(holders):
                    holders.append(child)
                elif child is not holders[place]:
                    return False
        return True


def _plain_items(node) -> dict[Any, Any] | None:
    """What a container holds by name; None for one that has to be looked through every time."""
    cls: Any = type(node)
    if cls is list or cls is tuple:
        return dict(enumerate(node))
    if cls is not dict:
        if issubclass(cls, _CONTAINERS) or not hasattr(node, "__dict__"):
            return None
        if _fixed_names(cls) or hasattr(cls, "_params"):  # what it owns for all its instances
            return None
        node = node.__dict__
    return node if all([type(name) is str for name in node]) else None  # 1 and True are one key and two paths


_outlines: dict[int, Outline] = {}  # by id: modules with an __eq__ of their own have no hash
