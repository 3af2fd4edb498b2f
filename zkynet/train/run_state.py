"""What a checkpoint holds of a run: everything that the steps to come depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet import io
from zkynet.backends.errors import CheckpointError, ZkynetError
from zkynet.framework.computation_graph import Generator, Module, Parameter, State
from zkynet.optim.files import filled, outline
from zkynet.train.callback import Callback

if TYPE_CHECKING:
    from zkynet.train.trainer import Trainer

FORMAT = 1  # of the tree that is made here


class SaveError(ZkynetError, OSError):
    """A checkpoint could not be written; those before it are whole. ``filename`` and ``strerror`` say where and why."""

    def __str__(self) -> str:
        return f"cannot save a checkpoint to {self.filename}: {self.strerror}; the ones before it are untouched"


def captured(run: Trainer) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the state of a run that stands between two steps, as io.save_checkpoint takes them."""
    from zkynet import __version__

    arrays = {f"model/{path}": each.value for path, each in _owned(run.model).items()}
    found: dict[str, Any] = {}
    tree = outline({"optimizer": run.optimizer.state_dict()}, "", found)
    callbacks = {}
    for key, each in _named(run.callbacks):
        if memory := each.state_dict():
            callbacks[key] = memory
        found.update({f"callbacks/{key}/{name}": array for name, array in each.arrays().items()})
    arrays.update(found)
    state = {
        "trainer": FORMAT,
        "zkynet": __version__,
        "model": _manner(run.model),
        "optimizer": tree,
        "loss_scale": None if run.loss_scale is None else _memory(run.loss_scale),
        "callbacks": callbacks,
        "plans": None if run._plans is None else run._plans.state_dict(),
        "layouts": {name: axes for name, x in arrays.items() if (axes := _axes(x)) is not None},
        **run._position(),
    }
    return arrays, state


def restore(run: Trainer, arrays: Mapping[str, np.ndarray], state: Any) -> None:
    """Give a run what ``captured`` took of it, but for the place of its batches.

    CheckpointError where the state is not a Trainer's; ValueError where it is of another model or optimizer.
    """
    if not isinstance(state, Mapping) or state.get("trainer") != FORMAT:
        raise CheckpointError(
            "the checkpoint is whole, but no Trainer of this version wrote it.\n"
            f"  got:      format {state.get('trainer') if isinstance(state, Mapping) else state!r}\n"
            f"  expected: format {FORMAT}"
        )
    arrays = {name: _laid_out(x, state["layouts"].get(name)) for name, x in arrays.items()}
    io.assign_weights(run.model, _below("model/", arrays))
    _behave(run.model, state["model"])
    run.optimizer.load_state_dict(filled(state["optimizer"], arrays)["optimizer"])
    if run.loss_scale is not None and state["loss_scale"]:
        run.loss_scale.load_state_dict(state["loss_scale"])
    run._compile(state.get("plans"))
    for key, each in _named(run.callbacks):
        own = _below(f"callbacks/{key}/", arrays)
        if key in state["callbacks"] or own:
            each.load_state_dict(state["callbacks"].get(key, {}))
            each.load_arrays(own)


def _owned(model: Module) -> dict[str, Parameter | State]:
    return model.named_possessions((Parameter, State))


def _below(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}


def _memory(owner: Any) -> dict[str, Any]:
    return owner.state_dict() if hasattr(owner, "state_dict") else {}


def _named(callbacks: Sequence[Callback]) -> Iterator[tuple[str, Callback]]:
    """Callbacks by their class; the second one of a class, in the order of the list, has a number."""
    counts: dict[str, int] = {}
    for each in callbacks:
        kind = type(each).__name__
        counts[kind] = counts.get(kind, 0) + 1
        yield kind if counts[kind] == 1 else f"{kind} {counts[kind]}", each


# ---- what a model is beside its arrays ----


def _manner(model: Module) -> dict[str, Any]:
    """Which modules are in evaluation mode, which parameters are frozen, and which streams the generators draw from."""
    modules = {"": model, **model.named_modules()}
    generators = {path: each for path, each in model.named_states().items() if isinstance(each, Generator)}
    return {
        "evaluating": [path for path, each in modules.items() if not each.training],
        "frozen": [path for path, each in model.named_parameters().items() if not each.trainable],
        "generators": {path: list(each.key) for path, each in generators.items()},
    }


def _behave(model: Module, manner: Mapping[str, Any]) -> None:
    """Set what ``_manner`` has found."""
    evaluating, frozen = set(manner["evaluating"]), set(manner["frozen"])
    for path, module in {"": model, **model.named_modules()}.items():
        module.training = path not in evaluating
    for path, parameter in model.named_parameters().items():
        parameter.trainable = path not in frozen
    for path, state in model.named_states().items():
        if isinstance(state, Generator):
            state.key = tuple(manner["generators"][path])


# ---- the order of the axes in memory, which decides in what order a matrix product adds up ----


def _axes(x: Any) -> list[int] | None:
    """The axes of a NumPy array from the outermost in memory inwards; None where that is their own order."""
    if not isinstance(x, np.ndarray) or x.flags.c_contiguous:
        return None
    return sorted(range(x.ndim), key=lambda axis: -x.strides[axis])


def _laid_out(x: np.ndarray, axes: Sequence[int] | None) -> np.ndarray:
    """A copy of ``x`` with its axes in memory in this order."""
    if axes is None:
        return x
    return np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))
