"""Gradients of several micro-batches in one update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zkynet.backends.errors import GradientMismatchError
from zkynet.framework.computation_graph import Module
from zkynet.optim.arrays import array_and_gradient, backend_of, check_names, module, moved
from zkynet.optim.optimizer import Optimizer


class Accumulate:
    """An optimizer that moves once in ``every`` calls of ``update``, along the mean of their gradients.

    It stands where the optimizer would stand: ``Accumulate(Adam(1e-3), every=4)``. For micro-batches of one size and a
    loss that is a mean the step is that of the large batch. ``flush`` takes the step early, at the end of an epoch say.
    The mean is over the calls since the last step, each with its ``weight`` where one is given: the number of samples,
    for batches of several sizes. It is no rule, so zk.train.compiled_step refuses it.
    """

    def __init__(self, optimizer: Optimizer, every: int):
        if not isinstance(every, int) or every < 1:
            raise ValueError(
                f"Accumulate: every is out of range.\n  got:      {every!r}\n  expected: an int of at least 1"
            )
        self.optimizer, self.every = optimizer, every
        self.count, self.weight = 0, 0.0
        self.sums: dict[str, Any] = {}

    @property
    def lr(self) -> float:
        """The learning rate of the optimizer."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: Any) -> None:
        self.optimizer.lr = value

    def update(self, model: Module, grads: Mapping[str, Any], weight: float = 1.0) -> bool:
        """Take up the gradients of one micro-batch; whether that was the last one and the model has moved.

        The errors are those of ``Optimizer.update``; nothing has changed then.
        """
        named = module(model, self, ".update").trainable_parameters()
        check_names(named, grads)
        if not weight > 0:
            raise ValueError(f"Accumulate.update: weight is out of range.\n  got:      {weight!r}\n  expected: above 0")
        if self.sums and self.sums.keys() != grads.keys():
            raise GradientMismatchError(
                "Accumulate: the gradients are of other parameters than those that wait.\n"
                f"  differs:  {', '.join(map(repr, sorted(self.sums.keys() ^ grads.keys())))}\n"
                "Call flush(model) before parameters are frozen, or drop()."
            )
        new = {name: array_and_gradient(name, each, grads[name])[1] for name, each in named.items()}
        self.sums = {name: self._sum(name, g, weight) for name, g in new.items()}
        self.count, self.weight = self.count + 1, self.weight + weight
        if self.count < self.every:
            return False
        return self.flush(model)

    def _sum(self, name: str, g: Any, weight: float) -> Any:
        xp = backend_of(g)
        term = xp.own(g) if weight == 1 else g * weight
        if name not in self.sums:
            return term
        term += moved(self.sums[name], xp)
        return term

    def flush(self, model: Module) -> bool:
        """Take the step with what has come so far; False where nothing waits."""
        if not self.count:
            return False
        self.optimizer.update(model, {name: total / self.weight for name, total in self.sums.items()})
        self.drop()
        return True

    def drop(self) -> None:
        """Forget what has come since the last step."""
        self.count, self.weight, self.sums = 0, 0.0, {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now, a plain tree: the optimizer's, and what waits."""
        sums = {name: backend_of(x).read_only(x) for name, x in self.sums.items()}
        return {"optimizer": self.optimizer.state_dict(), "count": self.count, "weight": self.weight, "sums": sums}

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Take over copies of the arrays of a tree that ``state_dict`` gave; ValueError for another one."""
        if set(tree) != {"optimizer", "count", "weight", "sums"}:
            raise ValueError(
                f"this tree is no state of Accumulate.\n  got:      {', '.join(map(str, tree))}\n"
                "  expected: optimizer, count, weight, sums"
            )
        self.optimizer.load_state_dict(tree["optimizer"])
        self.count, self.weight = tree["count"], tree["weight"]
        self.sums = {name: backend_of(x).own(x) for name, x in tree["sums"].items()}

    def __repr__(self) -> str:
        return f"Accumulate({self.optimizer!r}, every={self.every})"
