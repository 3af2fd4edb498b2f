"""Weights averaged over the steps of a training run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zkynet.backends.errors import WeightsMismatchError
from zkynet.framework.computation_graph import Module, Parameter
from zkynet.optim.arrays import array_of, backend_of, module, moved, put


class EMA:
    """An exponential moving average of a model's Parameters: a <- decay a + (1 - decay) p at every ``update``.

    It begins with the weights as they are, so that nothing has to be corrected. With ``warm_up`` the decay of update
    n = 0, 1, ... is at most (1 + n) / (10 + n), which forgets the first weights sooner. ``decay`` in [0, 1). ::

        ema = EMA(model, 0.999)
        optimizer.update(model, grads)
        ema.update(model)
        with ema.swapped(model):
            accuracy(model, x, y)

    Averages have the dtype and backend of their Parameter; frozen ones are averaged too. States, batch statistics say,
    are not: they stay the model's. WeightsMismatchError, a ValueError, where the model's Parameters are other ones.
    """

    def __init__(self, model: Module, decay: float = 0.999, warm_up: bool = False):
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay is out of range.\n  got:      {decay!r}\n  expected: 0 <= decay < 1")
        self.decay, self.warm_up = decay, bool(warm_up)
        self.step = 0
        named = module(model, self, "").named_parameters()
        self.weights = {name: _copy(array_of(each)) for name, each in named.items()}
        self._swapped = False

    def update(self, model: Module) -> None:
        """Move the averages towards the weights of ``model``."""
        self._check_apart("update")
        named = self._named(model)
        decay = min(self.decay, (1 + self.step) / (10 + self.step)) if self.warm_up else self.decay
        groups: dict[Any, list[str]] = {}
        for name, each in named.items():
            xp = backend_of(array_of(each))
            self.weights[name] = moved(self.weights[name], xp)
            groups.setdefault(xp, []).append(name)
        for xp, names in groups.items():
            pairs = [[self.weights[name], array_of(named[name])] for name in names]
            new = xp.update_in_blocks(_average, pairs, (1 - decay,))
            self.weights.update(zip(names, [a for (a,) in new], strict=True))
        self.step += 1

    @contextmanager
    def swapped(self, model: Module) -> Iterator[Module]:
        """A block in which ``model`` has the averages; behind it, its own weights again, whatever happened inside."""
        self._check_apart("swapped")
        self._exchange(self._named(model))
        self._swapped = True
        try:
            yield model
        finally:
            self._swapped = False
            self._exchange(self._named(model))

    def copy_to(self, model: Module) -> None:
        """Give ``model`` copies of the averages, for good."""
        self._check_apart("copy_to")
        for name, each in self._named(model).items():
            put(each, _copy(moved(self.weights[name], backend_of(array_of(each)))))

    def _exchange(self, named: Mapping[str, Parameter]) -> None:
        for name, each in named.items():
            own, xp = array_of(each), backend_of(array_of(each))
            put(each, moved(self.weights[name], xp))
            self.weights[name] = own

    def _named(self, model: Module) -> dict[str, Parameter]:
        """The Parameters of ``model``, which are those of the averages."""
        named = module(model, self, "").named_parameters()
        differing = sorted(named.keys() ^ self.weights.keys()) or [
            name for name, each in named.items() if not _alike(array_of(each), self.weights[name])
        ]
        if differing:
            raise WeightsMismatchError(
                f"EMA: these averages are of another model.\n  differs:  {', '.join(map(repr, differing))}"
            )
        return named

    def _check_apart(self, call: str) -> None:
        if self._swapped:
            raise RuntimeError(f"EMA.{call} inside of swapped: the model has the averages there, not its own weights.")

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now, a plain tree: ``step``, and ``weights`` by path."""
        return {"step": self.step, "weights": {n: backend_of(x).read_only(x) for n, x in self.weights.items()}}

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Take over copies of the arrays of a tree that ``state_dict`` gave; ValueError for another one."""
        self._check_apart("load_state_dict")
        if set(tree) != {"step", "weights"}:
            raise ValueError(
                f"this tree is no state of EMA.\n  got:      {', '.join(map(str, tree))}\n  expected: step, weights"
            )
        new = tree["weights"]
        differing = sorted(new.keys() ^ self.weights.keys()) or [
            name for name, x in new.items() if not _alike(x, self.weights[name])
        ]
        if differing:
            raise WeightsMismatchError(
                f"EMA: these averages are of another model.\n  differs:  {', '.join(map(repr, differing))}"
            )
        self.step, self.weights = tree["step"], {name: _copy(x) for name, x in new.items()}

    def __repr__(self) -> str:
        return f"EMA(decay={self.decay:g}, warm_up={self.warm_up}, {self.step} updates)"


def _average(xp: Any, a: Any, p: Any, weight: Any) -> tuple:
    a += weight * (p - a)
    return (a,)


def _copy(x: Any) -> Any:
    return backend_of(x).own(x)


def _alike(a: Any, b: Any) -> bool:
    kinds = [(tuple(x.shape), backend_of(x).name_of(x.dtype)) for x in (a, b)]
    return kinds[0] == kinds[1]
