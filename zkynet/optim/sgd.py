"""Stochastic gradient descent, plain and with momentum."""

from __future__ import annotations

from typing import Any

from zkynet.optim.groups import GroupsLike
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.rates import Rate


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: u <- momentum u + (1 - dampening) g, p <- p - lr u.

    ``momentum`` in [0, 1), 0 for plain descent, which has no slot; ``dampening`` in [0, 1]; ``nesterov``, without
    dampening, goes along g + momentum u. ``weight_decay`` is the factor of an L2 penalty. The ``velocity`` u begins at
    the first gradient, as in PyTorch; Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and
    momentum in deep learning", ICML 2013, has lr inside u, which is the same while lr stays. Complex parameters follow
    dL/dRe + i dL/dIm.
    """

    def __init__(
        self,
        lr: Rate,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        groups: GroupsLike | None = None,
    ):
        self.momentum = self.setting("momentum", momentum, 0 <= momentum < 1, "0 <= momentum < 1")
        self.dampening = self.setting("dampening", dampening, 0 <= dampening <= 1, "0 <= dampening <= 1")
        self.nesterov = bool(nesterov)
        if nesterov and (not momentum or dampening):
            raise ValueError(
                "SGD: nesterov needs momentum, and no dampening.\n"
                f"  got:      momentum={momentum!r}, dampening={dampening!r}"
            )
        self.slots = ("velocity",) if momentum else ()
        super().__init__(lr, weight_decay, groups)

    def numbers(self, t: int, lr: float) -> tuple:
        if not self.slots:
            return (lr,)
        return (lr, self.momentum, 1 - self.dampening * (t > 1)) if self.dampening else (lr, self.momentum)

    @property
    def rule(self) -> Any:
        if not self.slots:
            return plain
        return with_nesterov if self.nesterov else with_dampening if self.dampening else with_momentum


def plain(xp: Any, p: Any, g: Any, lr: Any) -> tuple:
    p -= lr * g
    return (p,)


def with_momentum(xp: Any, p: Any, g: Any, velocity: Any, lr: Any, momentum: Any) -> tuple:
    velocity *= momentum
    velocity += g
    p -= lr * velocity
    return p, velocity


def with_dampening(xp: Any, p: Any, g: Any, velocity: Any, lr: Any, momentum: Any, gain: Any) -> tuple:
    velocity *= momentum
    velocity += gain * g
    p -= lr * velocity
    return p, velocity


def with_nesterov(xp: Any, p: Any, g: Any, velocity: Any, lr: Any, momentum: Any) -> tuple:
    velocity *= momentum
    velocity += g
    step = momentum * velocity
    step += g
    step *= lr
    p -= step
    return p, velocity
