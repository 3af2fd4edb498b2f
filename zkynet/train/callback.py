"""Callback: what may happen at the start and the end of a run, of its epochs and of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zkynet.train.trainer import Trainer

    Hook = Callable[[Trainer], object]

HOOKS = ("run_start", "run_end", "epoch_start", "epoch_end", "step_start", "gradients", "step_end")


class Callback:
    """Something that a Trainer tells of its run: a subclass overrides the hooks that it needs; here they do nothing.

    ``run`` is the Trainer; its docstring says what can be read of it. A hook may call ``run.stop(reason)``. An
    exception in it ends the run. Hooks that are not overridden cost nothing: which ones are is looked up when a run
    starts. Callbacks are told in the order of the list, those of a lower ``order`` first: -1 for those that add figures
    to ``run.figures``, 0, and 1 for those that write them down.

    ``state_dict`` and ``arrays`` are what a checkpoint keeps of the callback; after a resume ``load_state_dict`` and
    ``load_arrays`` are called before ``on_run_start``, where the checkpoint holds something for it.
    """

    order: int = 0

    def on_run_start(self, run: Trainer) -> None:
        """Before the first step of a run, and of the rest of a run that is resumed; then ``run.step`` > 0."""

    def on_run_end(self, run: Trainer) -> None:
        """After the last step: also after ``run.stop``, an interrupt or an error; ``run.stopped`` says which."""

    def on_epoch_start(self, run: Trainer) -> None:
        """Before the first step of the epoch ``run.epoch``; not again where a run is resumed in its middle."""

    def on_epoch_end(self, run: Trainer) -> None:
        """After the validation of an epoch: ``run.figures`` are its figures, the newest of ``run.history``."""

    def on_step_start(self, run: Trainer) -> None:
        """Before a batch is computed."""

    def on_gradients(self, run: Trainer) -> None:
        """Before an update, with ``run.loss`` and ``run.gradients`` of this batch; compiled steps are cut here."""

    def on_step_end(self, run: Trainer) -> None:
        """After an update: ``run.loss`` is the loss before it, ``run.gradients`` what the optimizer was given.

        None where the step is compiled whole: where no callback has ``on_gradients``.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to know of this one: values that JSON can hold, by name."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""

    def arrays(self) -> dict[str, Any]:
        """The arrays that belong to the state, by name; of any backend."""
        return {}

    def load_arrays(self, arrays: Mapping[str, Any]) -> None:
        """Go on from what ``arrays`` gave: NumPy arrays. Called after ``load_state_dict``."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class On(Callback):
    """Plain functions as a callback: ``On(epoch_end=lambda run: print(run.figures))``.

    One function of the Trainer for each hook that is named. TypeError for what cannot be called.
    """

    def __init__(
        self,
        *,
        run_start: Hook | None = None,
        run_end: Hook | None = None,
        epoch_start: Hook | None = None,
        epoch_end: Hook | None = None,
        step_start: Hook | None = None,
        gradients: Hook | None = None,
        step_end: Hook | None = None,
    ):
        given = (run_start, run_end, epoch_start, epoch_end, step_start, gradients, step_end)
        self.named = {name: f for name, f in zip(HOOKS, given, strict=True) if f is not None}
        for name, function in self.named.items():
            if not callable(function):
                raise TypeError(
                    f"On: {name} cannot be called.\n  got:      {function!r}\n  expected: a function of the Trainer"
                )
            setattr(self, f"on_{name}", function)

    def __repr__(self) -> str:
        named = [f"{name}={getattr(f, '__name__', repr(f))}" for name, f in self.named.items()]
        return f"On({', '.join(named)})"


def hooks(callbacks: Sequence[Callback], name: str) -> list[Hook]:
    """The hooks ``name``, "step_end" say, of those callbacks that have one of their own, by their ``order``."""
    hook = f"on_{name}"
    unchanged = getattr(Callback, hook)
    own = [each for each in callbacks if hook in vars(each) or getattr(type(each), hook) is not unchanged]
    return [getattr(each, hook) for each in sorted(own, key=lambda each: each.order)]
