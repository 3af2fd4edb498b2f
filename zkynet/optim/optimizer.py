"""What all optimizers share: whose gradients these are, the state, and how a rule is applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zkynet import backends
from zkynet.backends.errors import GradientMismatchError, TrackedValueError
from zkynet.framework.computation_graph import Module, Parameter, Tensor

_NUMBERS = (int, float, complex)
_HOST = backends.get("numpy")


class Optimizer:
    """Changes the parameters of a model along their gradients: ``optimizer.update(model, grads)``.

    ``state`` is a plain tree: ``"step"``, the number of updates so far, and for each of the optimizer's ``slots`` a
    dict of arrays by parameter path, with the parameter's shape and backend.

    A subclass names its slots, gives the numbers of a step, ``scalars(step)`` with steps counted from 1, and a
    ``rule(xp, p, g, *slots, *scalars)`` that returns the new ``(p, *slots)``, entry by entry: the same function in
    every step. It writes into ``p`` and the slots by augmented assignment (``p -= lr * g``) and leaves ``g`` alone; the
    backend gives it blocks of the arrays themselves where nobody else holds them, copies otherwise.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, lr: float):
        self.lr = lr
        self.state: dict[str, Any] = {"step": 0, **{slot: {} for slot in self.slots}}

    @property
    def lr(self) -> float:
        """The learning rate, above 0; may be assigned between updates."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = self.setting("lr", value, value > 0, "lr > 0")

    def setting(self, name: str, value: float, holds: bool, expected: str) -> float:
        """Return the setting ``value``; ValueError where its condition does not hold or it is not finite."""
        if not holds or not math.isfinite(value):
            raise ValueError(
                f"{type(self).__name__}: {name} is out of range.\n  got:      {value!r}\n  expected: {expected}"
            )
        return value

    # ---- what a subclass says ----

    def scalars(self, step: int) -> tuple:
        """The numbers that the rule takes in this step."""
        raise NotImplementedError

    @property
    def rule(self) -> Any:
        """The function (xp, p, g, *slots, *scalars) -> (p, *slots) that is the optimizer."""
        raise NotImplementedError

    def begin(self, xp: Any, p: Any) -> tuple:
        """The slots of the parameter array ``p`` before the first step: zeros."""
        return tuple(xp.zeros(tuple(p.shape), dtype=p.dtype) for _ in self.slots)

    # ---- the step ----

    def update(self, model: Module, grads: Mapping[str, Any]) -> None:
        """Move every parameter of ``model`` one step, in place.

        ``grads`` holds a gradient for each path of ``model.trainable_parameters()``, of its shape, as
        ``zk.value_and_grad`` gives them; another dtype is converted. Frozen parameters stay as they are, and so do
        their slots. Arrays that somebody else holds, a
        ``parameter.value`` taken earlier, keep their numbers. The state begins with the first update, and follows when
        the model moves to another backend.

        GradientMismatchError, a ValueError, for missing or unknown names, wrong shapes, and a state that belongs to
        another model: nothing has changed then. An interrupt in the middle may leave some parameters unmoved.
        """
        named = _parameters_of(model, type(self).__name__)
        _check_names(named, grads)
        groups = {name: _array_and_gradient(name, each, grads[name]) for name, each in named.items()}
        self._add_slots(model, groups)
        step = self.state["step"] + 1
        scalars = self.scalars(step)
        for xp, names in _by_backend(groups).items():
            new = xp.update_in_blocks(self.rule, [groups[name] for name in names], scalars)
            for name, arrays in zip(names, new, strict=True):
                self._keep(name, named[name], arrays)
        self.state["step"] = step

    def _add_slots(self, model: Module, groups: dict[str, list]) -> None:
        """Put the slots of every parameter behind its [p, g]."""
        if self.slots and not self.state[self.slots[0]]:
            begun = [self.begin(_backend_of(group[0]), group[0]) for group in groups.values()]
            for i, slot in enumerate(self.slots):
                self.state[slot] = dict(zip(groups, [arrays[i] for arrays in begun], strict=True))
        for slot in self.slots:
            kept = self.state[slot]
            differing = kept.keys() ^ groups.keys()
            if differing and not (differing <= kept.keys() and differing <= model.named_parameters().keys()):
                raise self._foreign(slot, sorted(differing))  # else what is frozen now keeps its slots
            for name, group in groups.items():
                if kept[name].shape != group[0].shape:
                    raise self._foreign(slot, [name])
                if type(kept[name]) is not type(group[0]):
                    kept[name] = _moved(kept[name], _backend_of(group[0]))
                group.append(kept[name])

    def _foreign(self, slot: str, names: list[str]) -> GradientMismatchError:
        return GradientMismatchError(
            f"{type(self).__name__}: its state belongs to another model.\n"
            f"  after:    {self.state['step']} steps\n"
            f"  differs:  {slot} of {', '.join(map(repr, names))}\n"
            "Use one optimizer for each model, and a new one where the parameters change."
        )

    def _keep(self, name: str, parameter: Parameter, arrays: tuple) -> None:
        p, *slots = arrays
        parameter._value = p.item() if type(parameter._value) in _NUMBERS else p
        for slot, array in zip(self.slots, slots, strict=True):
            self.state[slot][name] = array

    # ---- the state as a tree ----

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now, a plain tree; its arrays are read-only and later updates leave them alone."""
        tree: dict[str, Any] = {"step": self.state["step"]}
        for slot in self.slots:
            tree[slot] = {name: _backend_of(x).read_only(x) for name, x in self.state[slot].items()}
        return tree

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Take over copies of the arrays of a tree that ``state_dict`` gave; ValueError where it has other slots."""
        expected = {"step", *self.slots}
        if set(tree) != expected or not isinstance(tree["step"], int) or tree["step"] < 0:
            raise ValueError(
                f"this tree is no state of {type(self).__name__}.\n"
                f"  got:      {', '.join(map(str, tree))}\n  expected: step (an int >= 0), {', '.join(self.slots)}"
            )
        copies = {slot: {name: _backend_of(x).own(x) for name, x in tree[slot].items()} for slot in self.slots}
        self.state = {"step": tree["step"], **copies}


def _backend_of(array: Any) -> Any:
    return backends.backend_of(array) or _HOST


def _by_backend(groups: dict[str, list]) -> dict[Any, list[str]]:
    """The names by the backend of their parameter: one for most models."""
    found: dict[Any, list[str]] = {}
    for name, group in groups.items():
        found.setdefault(_backend_of(group[0]), []).append(name)
    return found


def _moved(array: Any, xp: Any) -> Any:
    """``array`` on the backend ``xp``."""
    home = _backend_of(array)
    return array if home is xp else xp.own(xp.asarray(home.to_numpy(array)))


def _parameters_of(model: Any, owner: str) -> dict[str, Parameter]:
    if not isinstance(model, Module):
        raise TypeError(
            f"{owner}.update changes the parameters of a Module.\n  got:      {type(model).__name__}\n"
            f"  expected: {owner}.update(model, grads), with the gradients of zk.value_and_grad(loss)(model, ...)"
        )
    return model.trainable_parameters()


def _check_names(named: Mapping[str, Parameter], grads: Any) -> None:
    if not isinstance(grads, Mapping):
        raise TypeError(
            f"the gradients of a model are a dict keyed by parameter path.\n  got:      {type(grads).__name__}\n"
            "Differentiate with respect to the model: zk.value_and_grad(loss)(model, ...)."
        )
    if grads.keys() == named.keys():
        return
    missing, unknown = named.keys() - grads.keys(), grads.keys() - named.keys()
    lines = [f"  missing:  {', '.join(repr(n) for n in named if n in missing)}"] if missing else []
    lines += [f"  unknown:  {', '.join(repr(n) for n in grads if n in unknown)}"] if unknown else []
    raise GradientMismatchError("the gradients are not those of this model.\n" + "\n".join(lines))


def _array_and_gradient(name: str, parameter: Parameter, gradient: Any) -> list:
    """[p, g]: the parameter's array, a Python number as one of double precision, and its gradient in that form."""
    p = parameter._value
    if type(p) in _NUMBERS:
        p = _HOST.asarray(p, dtype=_HOST.complex128 if type(p) is complex else _HOST.float64)
    same = type(gradient) is type(p) and gradient.shape == p.shape and gradient.dtype == p.dtype
    return [p, gradient if same else _converted(name, p, gradient)]


def _converted(name: str, p: Any, gradient: Any) -> Any:
    """The gradient as an array of the backend and dtype of ``p``; an error where it cannot be p's gradient."""
    if isinstance(gradient, Tensor):
        if gradient.record is not None:
            raise TrackedValueError(
                f"the gradient of {name!r} is a tracked Tensor: an update would lose its history.\n"
                "Call update outside of the transforms, or take .value of the gradient."
            )
        gradient = gradient.value
    xp = _backend_of(p)
    g = xp.asarray(gradient)
    if tuple(g.shape) != tuple(p.shape) or (xp.is_complex(g.dtype) and not xp.is_complex(p.dtype)):
        raise GradientMismatchError(
            f"the gradient of {name!r} does not fit it.\n"
            f"  got:      shape {tuple(g.shape)}, dtype {g.dtype}\n"
            f"  expected: shape {tuple(p.shape)}, dtype {p.dtype}"
        )
    return xp.asarray(g, dtype=p.dtype)
