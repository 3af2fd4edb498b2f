"""What all optimizers share: whose gradients these are, the state, and how a rule is applied."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from zkynet.backends.errors import GradientMismatchError
from zkynet.backends.portable import Portable
from zkynet.framework.computation_graph import Module, Parameter
from zkynet.framework.function import TAPE
from zkynet.optim.arrays import array_and_gradient, backend_of, by_backend, check_names, module, moved, put
from zkynet.optim.decay import penalized, shrunk
from zkynet.optim.groups import Groups, GroupsLike
from zkynet.optim.rates import Rate, check_rate

# The parameters of a model, the settings they were assigned for, and the optimizer of each.
Assigned = tuple[dict[str, Parameter], dict[str, Any], dict[str, Any]]
_NOTHING: Assigned = ({}, {}, {})


class Part(NamedTuple):
    """Parameters that take the same rule and numbers: of one group, in the state since the same step."""

    optimizer: Optimizer
    began: int
    names: list[str]


class Optimizer:
    """Changes the parameters of a model along their gradients: ``optimizer.update(model, grads)``.

    ``lr``, the learning rate, is a number above 0, or a schedule: a function of the number of updates so far
    (zkynet.optim.schedules). ``weight_decay`` >= 0 is the factor of an L2 penalty, or decoupled from the gradient where
    the class says so. ``groups`` gives some of the parameters settings of their own ::

        AdamW(1e-3, weight_decay=0.1, groups={"*.bias": {"weight_decay": 0.0}, "head": {"lr_factor": 10.0}})

    by path, in the language of ``Module.freeze``: a parameter's or a module's, with ``*`` and ``?``; or by a function
    ``(path, parameter) -> bool`` in place of the path. ``lr_factor`` multiplies the optimizer's ``lr``; the others are
    the settings of the constructor. All groups that name a parameter hold for it, later ones last.

    ``state`` is a plain tree: ``"step"``, the number of updates so far, for each slot a dict of arrays by parameter
    path, with the parameter's shape and backend, and ``"began"``, by path, the step at which a parameter came in late,
    because it was frozen before: it counts its own steps from there.

    A subclass names its ``slots``, gives the ``numbers(t, lr)`` of a step and a ``rule(xp, p, g, *slots, *numbers)``
    that returns the new ``(p, *slots)``: the same function in every step. It writes into ``p`` and the slots by
    augmented assignment (``p -= lr * g``) and leaves ``g`` alone; the backend gives it blocks of the arrays themselves
    where nobody else holds them, copies otherwise, and may call it in two threads, with several small arrays as one.
    ``entrywise = False`` for a rule that needs arrays whole, each by itself. It keeps its settings under their names,
    so that groups can change them.
    """

    slots: tuple[str, ...] = ()
    entrywise = True
    decoupled = False  # weight decay outside of the gradient
    _arguments: dict[str, Any]

    def __init__(self, lr: Rate, weight_decay: float = 0.0, groups: GroupsLike | None = None):
        self.lr = lr  # type: ignore[assignment]  # the property takes schedules too
        self.weight_decay = self.setting("weight_decay", weight_decay, weight_decay >= 0, "weight_decay >= 0")
        self._assigned = _NOTHING
        self.groups = Groups(self, groups) if groups else None
        variants = [] if self.groups is None else self.groups.variants(self)
        every = [slot for each in (self, *variants) for slot in each.every_slot]
        self._all_slots = list(dict.fromkeys(every))  # those of all parameters
        self.state: dict[str, Any] = {"step": 0, **{slot: {} for slot in self._all_slots}}

    @property
    def lr(self) -> float:
        """The learning rate of the next update. A number above 0 or a schedule may be assigned between updates."""
        return self._rate(self.state["step"] + 1)

    @lr.setter
    def lr(self, value: Rate) -> None:
        self._lr = value if callable(value) else self.setting("lr", value, value > 0, "lr > 0")

    @property
    def schedule(self) -> Callable[[int], float] | None:
        """The schedule that gives the learning rate; None where it is a number."""
        return self._lr if callable(self._lr) else None

    def setting(self, name: str, value: float, holds: bool, expected: str) -> float:
        """Return the setting ``value``; ValueError where its condition does not hold or it is not finite."""
        if not holds or not math.isfinite(value):
            raise ValueError(
                f"{type(self).__name__}: {name} is out of range.\n  got:      {value!r}\n  expected: {expected}"
            )
        return value

    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor as they are now, those that are kept under their name; not ``groups``."""
        kept = {name: getattr(self, name) for name in self._defaults() if name != "lr" and hasattr(self, name)}
        return {"lr": self._lr, **kept} if "lr" in self._defaults() else kept

    def __zkynet_guard__(self) -> tuple:
        """What zk.compile compares before it replays an update: all settings but the learning rate."""
        settings: list[Any] = [getattr(self, name, None) for name in self._defaults() if name != "lr"]
        return *[(x.dtype, x.tolist()) if hasattr(x, "tolist") else x for x in settings], self.groups

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """The arguments of the constructor and their defaults, without ``groups``."""
        found = cls.__dict__.get("_arguments")
        if found is None:
            parameters = inspect.signature(cls).parameters
            found = cls._arguments = {name: p.default for name, p in parameters.items() if name != "groups"}
        return found

    # ---- what a subclass says ----

    def numbers(self, t: int, lr: float) -> tuple:
        """The numbers that the rule takes in a parameter's step ``t``, counted from 1, at the learning rate ``lr``."""
        raise NotImplementedError

    @property
    def rule(self) -> Any:
        """The function (xp, p, g, *slots, *numbers) -> (p, *slots) that is the optimizer."""
        raise NotImplementedError

    def begin(self, xp: Any, p: Any) -> tuple:
        """The slots of the parameter array ``p`` before the first step: zeros."""
        return tuple(xp.zeros(tuple(p.shape), dtype=p.dtype) for _ in self.slots)

    def choose(self, path: str, parameter: Parameter) -> Optimizer:
        """The optimizer of one parameter: this one, or another for kinds that it is not made for."""
        return self

    @property
    def every_slot(self) -> tuple[str, ...]:
        """The slots of this optimizer and of those that ``choose`` gives."""
        return self.slots

    # ---- the step ----

    def update(self, model: Module, grads: Mapping[str, Any]) -> None:
        """Move every trainable parameter of ``model`` one step, in place.

        ``grads`` holds a gradient for each path of ``model.trainable_parameters()``, of its shape, as
        ``zk.value_and_grad`` gives them; another dtype is converted. Arrays that somebody else holds, a
        ``parameter.value`` taken earlier, keep their numbers. The state begins with the first update, and follows when
        the model moves to another backend; that of parameters which are frozen meanwhile waits.

        GradientMismatchError, a ValueError, for missing or unknown names, wrong shapes, and a state that belongs to
        another model: nothing has changed then. An interrupt in the middle may leave some parameters unmoved.
        """
        named = module(model, self, ".update").trainable_parameters()
        check_names(named, grads)
        tape = TAPE.get()
        if tape is not None:
            from zkynet.optim.recorded import recorded_update

            return recorded_update(tape, self, model, named, grads)
        groups = {name: array_and_gradient(name, each, grads[name]) for name, each in named.items()}
        step = self.state["step"] + 1
        parts = self._begun(model, groups)
        new = self._applied(groups, parts, self._numbers(parts, step))
        for part in parts:
            values, *columns = zip(*[new[name] for name in part.names], strict=True)
            for name, p in zip(part.names, values, strict=True):
                if p is not named[name]._value:
                    put(named[name], p)
            for slot, arrays in zip(part.optimizer.slots, columns, strict=True):
                self.state[slot].update(zip(part.names, arrays, strict=True))
        self.state["step"] = step

    # ---- which rule and numbers for which parameter ----

    def _parts(self, model: Module, names: list[str]) -> list[Part]:
        """The parameters of these names, sorted by rule and numbers."""
        began = self.state.get("began")
        if self.groups is None and type(self).choose is Optimizer.choose:
            if not began:
                return [Part(self, 0, names)] if names else []
            members = dict.fromkeys(names, self)
        else:
            members = self._members(model)
        parts: dict[tuple[int, int], Part] = {}
        for name in names:
            since = began.get(name, 0) if began else 0
            key = id(members[name]), since
            if key not in parts:
                parts[key] = Part(members[name], since, [])
            parts[key].names.append(name)
        return list(parts.values())

    def _members(self, model: Module) -> dict[str, Optimizer]:
        """The optimizer of every parameter, by path: made anew where the model or a setting has changed."""
        named, settings = model.named_parameters(), self.settings()
        known, before, chosen = self._assigned
        same = [*known] == [*named] and all([known[name] is p for name, p in named.items()])
        if not same or settings != before or not known:
            members = dict.fromkeys(named, self) if self.groups is None else self.groups.assign(self, named)
            chosen = {name: members[name].choose(name, p) for name, p in named.items()}
            self._assigned = (named, settings, chosen)
        return chosen

    def _rate(self, step: int) -> float:
        return check_rate(self._lr, step - 1) if callable(self._lr) else self._lr

    def _numbers(self, parts: list[Part], step: int) -> list[tuple]:
        """The numbers of each part in this step."""
        return [part.optimizer._with_decay(step - part.began, part.optimizer._rate(step)) for part in parts]

    def _with_decay(self, t: int, lr: float) -> tuple:
        numbers, decay = self.numbers(t, lr), self.weight_decay
        return (*numbers, 1 - lr * decay if self.decoupled else decay) if decay else numbers

    def _applied(self, groups: dict[str, list], parts: list[Part], numbers: list[tuple]) -> dict[str, tuple]:
        """The new (p, *slots) by name, of [p, g, *slots]."""
        new: dict[str, tuple] = {}
        for part, scalars in zip(parts, numbers, strict=True):
            for xp, names in by_backend(groups, part.names).items():
                arrays = part.optimizer._updated(xp, [groups[name] for name in names], scalars)
                new.update(zip(names, arrays, strict=True))
        return new

    def _updated(self, xp: Any, groups: list[list], scalars: tuple) -> list[tuple]:
        rule = self.rule
        if self.weight_decay:
            rule = shrunk(rule) if self.decoupled else penalized(rule)
        return xp.update_in_blocks(rule, groups, scalars) if self.entrywise else _whole(xp, rule)(groups, scalars)

    # ---- slots ----

    def _begun(self, model: Module, groups: Mapping[str, list]) -> list[Part]:
        """Put the slots of every parameter, which begin here, behind its [p, g]; the parts of these parameters."""
        names, state = list(groups), self.state
        parts = self._parts(model, names)
        if any([state.get(slot, {}).keys() != groups.keys() for slot in self._all_slots]):
            self._check_owner(model)
            if self._begin_slots(parts, groups):
                parts = self._parts(model, names)
        for part in parts:
            slots = [state[slot] for slot in part.optimizer.slots]
            for name in part.names if slots else ():
                group = groups[name]
                p = group[0]
                for arrays in slots:
                    array = arrays[name]
                    if array.shape != p.shape:
                        raise self._foreign([name])
                    if type(array) is not type(p):
                        array = arrays[name] = moved(array, backend_of(p))
                    group.append(array)
        return parts

    def _begin_slots(self, parts: list[Part], groups: Mapping[str, list]) -> bool:
        """Begin the slots of parameters that have none yet; whether one came in late."""
        state, step = self.state, self.state["step"]
        new: dict[str, dict[str, Any]] = {}
        for member, _, names in parts:
            for name in names:
                missing = [slot for slot in member.slots if name not in state.get(slot, {})]
                if missing and len(missing) < len(member.slots):
                    raise self._foreign([name])
                if missing:
                    p = groups[name][0]
                    for slot, array in zip(member.slots, member.begin(backend_of(p), p), strict=True):
                        new.setdefault(slot, {})[name] = array
        for slot, arrays in new.items():
            state[slot] = {**state.get(slot, {}), **arrays}
            if step:
                state["began"] = {**state.get("began", {}), **dict.fromkeys(arrays, step)}
        return bool(new and step)

    def _places(self, parts: list[Part]) -> list[tuple[str, str]]:
        """Where in the state the slots of these parts are: (slot, name), each parameter's in the order of its rule."""
        return [(slot, name) for part in parts for name in part.names for slot in part.optimizer.slots]

    def _check_owner(self, model: Module) -> None:
        """GradientMismatchError where the state holds slots of parameters that the model does not have."""
        named = model.named_parameters()
        kept = {name for slot in self._all_slots for name in self.state.get(slot, {})}
        if not kept <= named.keys():
            raise self._foreign(sorted(kept ^ named.keys()))

    def _foreign(self, names: list[str]) -> GradientMismatchError:
        return GradientMismatchError(
            f"{type(self).__name__}: its state belongs to another model.\n"
            f"  after:    {self.state['step']} steps\n"
            f"  differs:  {', '.join(map(repr, names))}\n"
            "Use one optimizer for each model, and a new one where the parameters change."
        )

    # ---- the state as a tree ----

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now, a plain tree; its arrays are read-only and later updates leave them alone.

        It holds what schedules remember, too (``schedules``), and no settings. zk.optim.save_state writes it to a file.
        """
        tree: dict[str, Any] = {"step": self.state["step"]}
        if self.state.get("began"):
            tree["began"] = dict(self.state["began"])
        remembering = self._remembering()
        if remembering:
            tree["schedules"] = {str(i): each.state_dict() for i, each in enumerate(remembering)}
        for slot in self._all_slots:
            tree[slot] = {name: backend_of(x).read_only(x) for name, x in self.state.get(slot, {}).items()}
        return tree

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Take over copies of the arrays of a tree that ``state_dict`` gave; ValueError where it has other slots."""
        slots, remembering = self._all_slots, self._remembering()
        expected = {"step", *slots, *(["schedules"] if remembering else [])}
        memories = dict(tree.get("schedules", {})) if remembering else {}
        fits = expected <= set(tree) <= expected | {"began"} and len(memories) == len(remembering)
        if not fits or not isinstance(tree["step"], int) or tree["step"] < 0:
            raise ValueError(
                f"this tree is no state of {type(self).__name__}.\n"
                f"  got:      {', '.join(map(str, tree))}\n"
                f"  expected: step (an int >= 0), {', '.join(sorted(expected - {'step'}))}"
            )
        copies = {slot: {name: backend_of(x).own(x) for name, x in tree[slot].items()} for slot in slots}
        for i, each in enumerate(remembering):
            each.load_state_dict(memories[str(i)])
        began = {"began": dict(tree["began"])} if tree.get("began") else {}
        self.state = {"step": tree["step"], **began, **copies}

    def _remembering(self) -> list[Any]:
        """The schedules that have a state, each once: of ``lr`` and of the groups."""
        groups = [] if self.groups is None else [settings.get("lr") for _, settings in self.groups.pairs]
        found: dict[int, Any] = {id(each): each for each in (self._lr, *groups) if hasattr(each, "state_dict")}
        return [each for each in found.values() if each.state_dict()]

    def __getstate__(self) -> dict[str, Any]:
        """A copy belongs to no model yet."""
        return {**self.__dict__, "_assigned": _NOTHING}

    def __repr__(self) -> str:
        """The class, lr, and the settings that are not the default."""
        defaults, settings = self._defaults(), self.settings()
        shown = [f"lr={settings.pop('lr')!r}"] if "lr" in settings else []
        shown += [f"{name}={value!r}" for name, value in settings.items() if value != defaults[name]]
        shown += [] if self.groups is None else [f"groups={self.groups!r}"]
        return f"{type(self).__name__}({', '.join(shown)})"


@cache
def _whole(xp: Any, rule: Callable[..., tuple]) -> Callable[..., list[tuple]]:
    """The update of whole arrays by a rule that is not entrywise, compiled where the library can."""
    return xp.compile(partial(_update_whole, xp, rule))


def _update_whole(xp: Any, rule: Callable[..., tuple], groups: list[list], scalars: tuple) -> list[tuple]:
    return Portable.update_in_blocks(xp, rule, groups, scalars)
