"""Stochastic gradient descent, plain and with momentum."""

from __future__ import annotations

from typing import Any

from zkynet.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: u <- momentum u + g, p <- p - lr u.

    ``lr`` > 0; ``momentum`` in [0, 1), 0 for plain descent, which has no slot. The ``velocity`` u begins at the first
    gradient, as in PyTorch; Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013, has lr inside u, which is the same while lr stays. Complex parameters follow
    dL/dRe + i dL/dIm.
    """

    def __init__(self, lr: float, momentum: float = 0.0):
        self.momentum = self.setting("momentum", momentum, 0 <= momentum < 1, "0 <= momentum < 1")
        self.slots = ("velocity",) if momentum else ()
        super().__init__(lr)

    def scalars(self, step: int) -> tuple:
        return (self.lr, self.momentum) if self.slots else (self.lr,)

    @property
    def rule(self) -> Any:
        return with_momentum if self.slots else plain

    def __repr__(self) -> str:
        return f"SGD(lr={self.lr:g}, momentum={self.momentum:g})"


def plain(xp: Any, p: Any, g: Any, lr: Any) -> tuple:
    p -= lr * g
    return (p,)


def with_momentum(xp: Any, p: Any, g: Any, velocity: Any, lr: Any, momentum: Any) -> tuple:
    velocity *= momentum
    velocity += g
    p -= lr * velocity
    return p, velocity
