"""Plans: what a run has compiled, whole steps or their parts, and evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet import backends
from zkynet.framework.computation_graph import value_and_grad
from zkynet.framework.graph_mode.program import compiles
from zkynet.optim import Optimizer
from zkynet.train.compiled import compiled_step
from zkynet.train.replayed import Replayed
from zkynet.train.run_evaluation import forward_of

if TYPE_CHECKING:
    from zkynet.train.trainer import Trainer


class Plans:
    """The compiled functions of a run, each made when it is first asked for.

    ``step(*batch)`` is a whole step. Where that cannot be, because somebody looks at the gradients or the optimizer is
    no rule, its parts are compiled, with Python in between: ``gradient(*batch)``, ``change(grads)`` and
    ``update(model, grads)``. ``forward(*batch)`` is what an evaluation computes.

    They run through ``zk.compile``, Replayed. Where the model's library compiles itself (JAX), whole steps are those of
    ``compiled_step``, which is ready sooner, and evaluations run as they stand.

    ``chosen``: what ``state_dict`` gave. The Trainer is not among what the functions read: its fields change.
    """

    def __init__(self, run: Trainer, chosen: Mapping[str, Any] | None = None):
        self.model, self.optimizer, self.loss, self.scale = run.model, run.optimizer, run.loss_function, run.loss_scale
        self.deterministic = run.deterministic
        self._change, self._metrics, self._calls = run.change, run.metrics, run._steps_left
        self._chosen = dict(chosen or {})
        self._replayed: dict[str, Replayed] = {}

    @property
    def takes_whole_steps(self) -> bool:
        """Whether the optimizer is a rule, and no loss scale looks at the gradients."""
        return self._is_rule and self.scale is None

    @cached_property
    def step(self) -> Callable[..., Any]:
        """A function of a batch that trains on it and returns the loss."""
        model, optimizer, loss, change = self.model, self.optimizer, self.loss, self._change
        if self._compiles:
            return compiled_step(model, optimizer, loss, change)
        gradient = value_and_grad(loss)

        def step(*batch: Any) -> Any:
            value, grads = gradient(model, *batch)
            optimizer.update(model, grads if change is None else change(grads))
            return value

        return self._through_graph_mode("step", step)

    @cached_property
    def gradient(self) -> Callable[..., Any]:
        """A function of a batch that gives the loss and the gradients."""
        model, scale = self.model, self.scale
        if scale is None:
            both = value_and_grad(self.loss)
            return self._through_graph_mode("gradient", lambda *batch: both(model, *batch))
        scaled = scale.scaled(self.loss)
        replayed = self._through_graph_mode("gradient", lambda factor, *batch: scaled(model, factor, *batch))
        return lambda *batch: replayed(np.array(scale.value), *batch)

    @cached_property
    def change(self) -> Callable[..., Any] | None:
        """The run's function of the gradients, if it has one."""
        return None if self._change is None else self._through_graph_mode("change", self._change, True)

    def update(self, model: Any, grads: Mapping[str, Any]) -> None:
        """The update of the optimizer, in whose place a LossScale takes this object."""
        self._update(grads)

    @cached_property
    def _update(self) -> Callable[..., Any]:
        model, optimizer = self.model, self.optimizer

        def update(grads: Any) -> None:
            optimizer.update(model, grads)

        return self._through_graph_mode("update", update, True) if self._is_rule else update

    @cached_property
    def forward(self) -> Callable[..., Any]:
        """What an evaluation computes of a batch: see ``forward_of``."""
        forward = forward_of(self.model, self.loss, self._metrics)
        return forward if self._compiles else self._through_graph_mode("forward", forward, True)

    def state_dict(self) -> dict[str, Any]:
        """What was chosen between one lane and two: to be given to new Plans before their first step."""
        return self._chosen | {name: each.state_dict() for name, each in self._replayed.items()}

    def explain(self) -> str:
        """What ``zk.compile`` says of each function that has run."""
        said = [f"{name}:\n{each.compiled.explain()}" for name, each in self._replayed.items()]
        return "\n\n".join(said) or "nothing has run through zk.compile"

    def _through_graph_mode(self, name: str, function: Callable[..., Any], in_one_lane: bool = False) -> Replayed:
        replayed = Replayed(f"the {name} of a Trainer", function, in_one_lane or self.deterministic, self._calls)
        if name in self._chosen:
            replayed.load_state_dict(self._chosen[name])
        self._replayed[name] = replayed
        return replayed

    @property
    def _is_rule(self) -> bool:
        return getattr(type(self.optimizer), "update", None) is Optimizer.update

    @property
    def _compiles(self) -> bool:
        """Whether the model is on a library that compiles."""
        homes = {backends.backend_of(p._value) for p in self.model.named_parameters().values()}
        return any([home is not None and compiles(home) for home in homes])
