"""The settings of a run: from the command line, a TOML file and the defaults; written beside the results; compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zkynet.train.tasks.option import RUN_OPTIONS, Option
from zkynet.train.tasks.task import Task, TaskError

CONFIG = "config.toml"
TASK = "task"  # the key that says what a file of settings is for
OF_THE_MOMENT = ("out", "quiet")  # what config.toml does not keep


def options_of(task: Task) -> tuple[Option, ...]:
    """All settings that a run of ``task`` has: its own, and those about the run itself."""
    own = {option.name for option in task.options}
    return (*task.options, *(option for option in RUN_OPTIONS if option.name not in own))


def merged(task: Task, given: Mapping[str, Any], file: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings of a run: ``given`` (the command line) over ``file`` over the defaults, resolved.

    Both hold values that are checked already. TaskError where a required one is missing; what ``task.resolve`` raises.
    ``config["backend"]`` is the name of a backend that can be used; BackendError where there is none.
    """
    from zkynet import backends

    config = {option.name: option.default for option in options_of(task)} | dict(file or {}) | dict(given)
    for option in sorted(options_of(task), key=lambda option: not option.positional):
        if option.required and config[option.name] is None:
            raise TaskError(
                f"the task {task.name} needs {option.flag}: {option.help}; see zkynet train {task.name} --help"
            )
    chosen = config.get("backend")
    config["backend"] = (backends.default_backend() if chosen is None else backends.get(chosen)).name
    return config if task.resolve is None else task.resolve(config)


def read_settings(task: Task, path: str | Path) -> dict[str, Any]:
    """Return the settings in the TOML file ``path``, each checked.

    TaskError, which names the file, where it is no TOML, is for another task, has a key that the task does not know,
    or a value of the wrong kind; OSError where it cannot be read.
    """
    import tomllib

    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{path} is no TOML file: {error}") from None
    for_task = values.pop(TASK, task.name)
    if for_task != task.name:
        raise TaskError(f"{path} holds settings of the task {for_task}, not of {task.name}")
    known = {option.name: option for option in options_of(task)}
    for name, value in values.items():
        if name not in known:
            raise TaskError(f"{path}: there is no setting {name!r}{nearest(name, known)}")
        try:
            values[name] = known[name].kind.accept(value)
        except ValueError as error:
            raise TaskError(f"{path}: {name}: {error}") from None
    return values


def nearest(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """A hint for a misspelt name: the nearest known one, or all of them."""
    import difflib

    near = difflib.get_close_matches(name.replace("-", "_"), list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def kept(task: Task, config: Mapping[str, Any]) -> dict[str, Any]:
    """What config.toml holds of the settings: those that are set, but for where the run is and how much it says."""
    names = [option.name for option in options_of(task) if option.name not in OF_THE_MOMENT]
    return {name: config[name] for name in names if config.get(name) is not None}


def to_toml(task: Task, config: Mapping[str, Any]) -> str:
    """The settings that decide the run as a TOML file, which ``--config`` reads."""
    from zkynet import __version__

    head = f"# zkynet {__version__}; this run again: zkynet train {task.name} --config {CONFIG}\n"
    return head + "".join(f"{k} = {toml_value(v)}\n" for k, v in {TASK: task.name, **kept(task, config)}.items())


def toml_value(value: Any) -> str:
    """One value in TOML: a bool, an int, a float, a text, or a list of these."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)  # 1e-05, 0.002, inf and nan are TOML as they are
    if isinstance(value, str):
        # JSON's escapes are TOML's but for DEL, which TOML wants escaped; what is not ASCII stays.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    raise TypeError(f"a setting is plain data.\n  got:      {type(value).__name__} {value!r}")


def differences(task: Task, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """How the settings ``new`` differ from those of a run, ``old``, in what decides its numbers: a phrase by name."""
    names = [option.name for option in options_of(task) if not option.free and option.name not in OF_THE_MOMENT]
    differing = [name for name in names if old.get(name) != new.get(name)]
    return {name: f"{name} is {_shown(old.get(name))} there, not {_shown(new.get(name))}" for name in differing}


def _shown(value: Any) -> str:
    return "not set" if value is None else toml_value(value)
