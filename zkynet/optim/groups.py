"""Parameter groups: settings of their own for some of the parameters of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from zkynet.framework.computation_graph import Parameter
from zkynet.optim.rates import scaled

if TYPE_CHECKING:
    from zkynet.optim.optimizer import Optimizer

Selector = str | Callable[[str, Parameter], bool]
GroupsLike = Mapping[Any, Mapping[str, Any]] | Iterable[tuple[Any, Mapping[str, Any]]]


class Groups:
    """The groups of one optimizer: which parameters each is for, and the settings that it changes.

    A group is the same optimizer with other settings. Where several groups are for one parameter all of them hold, and
    the later one decides where two say something of the same setting.
    """

    def __init__(self, optimizer: Optimizer, groups: GroupsLike):
        pairs = groups.items() if isinstance(groups, Mapping) else groups
        self.pairs = [_checked(optimizer, selector, settings) for selector, settings in pairs]

    def variants(self, optimizer: Optimizer) -> list[Optimizer]:
        """The optimizer of each group alone; ValueError where a setting is out of range."""
        return [variant(optimizer, settings) for _, settings in self.pairs]

    def assign(self, optimizer: Optimizer, named: Mapping[str, Parameter]) -> dict[str, Optimizer]:
        """The optimizer of every parameter by path; ValueError for a group without parameters."""
        chosen: dict[str, list[int]] = {name: [] for name in named}
        for i, (selector, _) in enumerate(self.pairs):
            met = [name for name, parameter in named.items() if _selects(selector, name, parameter)]
            if not met:
                raise ValueError(
                    f"{type(optimizer).__name__}: a group is for no parameter.\n"
                    f"  got:      {selector!r}\n  expected: some of {', '.join(named) or 'none: the model owns none'}"
                )
            for name in met:
                chosen[name].append(i)
        made: dict[tuple[int, ...], Optimizer] = {}
        for ids in map(tuple, chosen.values()):
            if ids not in made:
                settings = {key: value for i in ids for key, value in self.pairs[i][1].items()}
                made[ids] = variant(optimizer, settings)
        return {name: made[tuple(ids)] for name, ids in chosen.items()}

    def __repr__(self) -> str:
        inside = ", ".join(f"{_shown(selector)}: {dict(settings)!r}" for selector, settings in self.pairs)
        return "{" + inside + "}"


def variant(optimizer: Optimizer, changes: Mapping[str, Any]) -> Optimizer:
    """An optimizer like ``optimizer``, without groups, with some settings changed."""
    changes = dict(changes)
    settings = {**optimizer.settings(), **changes}
    factor = settings.pop("lr_factor", 1.0)
    if "lr_factor" in changes:
        optimizer.setting("lr_factor", factor, factor > 0, "lr_factor > 0")
        settings["lr"] = scaled(settings["lr"], factor)
    return type(optimizer)(**settings)


def _checked(optimizer: Optimizer, selector: Any, settings: Any) -> tuple[Selector, Mapping[str, Any]]:
    name, known = type(optimizer).__name__, [*optimizer.settings(), "lr_factor"]
    if not isinstance(selector, str) and not callable(selector):
        raise TypeError(
            f"{name}: a group is for a path or for what a function chooses.\n  got:      {selector!r}\n"
            "  expected: a str such as '*.bias', or a function (path, parameter) -> bool"
        )
    if not isinstance(settings, Mapping):
        raise TypeError(f"{name}: the settings of a group are a dict.\n  got:      {settings!r} for {selector!r}")
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise TypeError(
            f"{name}: a group has settings that this optimizer does not know.\n"
            f"  got:      {', '.join(map(repr, unknown))} for {_shown(selector)}\n  expected: {', '.join(known)}"
        )
    return selector, settings


def _selects(selector: Selector, path: str, parameter: Parameter) -> bool:
    """As the paths of Module.freeze: that of a parameter or of a module, with * and ?."""
    if isinstance(selector, str):
        return fnmatchcase(path, selector) or fnmatchcase(path, f"{selector}.*")
    return bool(selector(path, parameter))


def _shown(selector: Selector) -> str:
    return repr(selector) if isinstance(selector, str) else getattr(selector, "__name__", repr(selector))
