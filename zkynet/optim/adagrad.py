"""Adagrad and Adadelta."""

from __future__ import annotations

from typing import Any

from zkynet.optim.arrays import squared
from zkynet.optim.groups import GroupsLike
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.rates import Rate


class Adagrad(Optimizer):
    """The gradient over the root of the sum of its squares: entries that were steep take small steps.

    Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 2011.
    With the sum v <- v + g^2, which begins at ``initial``, step t = 1, 2, ... is

        p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps)

    Defaults are PyTorch's. ``lr_decay`` >= 0, ``initial`` >= 0, ``eps`` > 0. ``weight_decay`` is the factor of an L2
    penalty. The slot is ``squares``, v; for a complex gradient that of |g|^2.
    """

    slots = ("squares",)

    def __init__(
        self,
        lr: Rate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial: float = 0.0,
        eps: float = 1e-10,
        groups: GroupsLike | None = None,
    ):
        self.lr_decay = self.setting("lr_decay", lr_decay, lr_decay >= 0, "lr_decay >= 0")
        self.initial = self.setting("initial", initial, initial >= 0, "initial >= 0")
        self.eps = self.setting("eps", eps, eps > 0, "eps > 0")
        super().__init__(lr, weight_decay, groups)

    def numbers(self, t: int, lr: float) -> tuple:
        return lr / (1 + (t - 1) * self.lr_decay), self.eps

    @property
    def rule(self) -> Any:
        return adagrad

    def begin(self, xp: Any, p: Any) -> tuple:
        return (xp.full(tuple(p.shape), self.initial, dtype=xp.real(p).dtype),)


class Adadelta(Optimizer):
    """Steps of the size of earlier steps, so that the unit of the gradient drops out.

    Zeiler, "ADADELTA: an adaptive learning rate method", 2012. With v <- rho v + (1 - rho) g^2 and
    d = g sqrt(w + eps) / sqrt(v + eps):

        w <- rho w + (1 - rho) d^2,  p <- p - lr d

    Defaults are PyTorch's: ``lr`` 1, the paper's. ``rho`` in [0, 1), ``eps`` > 0. ``weight_decay`` is the factor of an
    L2 penalty. Slots: ``squares`` v and ``steps`` w; squares of complex numbers are |g|^2.
    """

    slots = ("squares", "steps")

    def __init__(
        self,
        lr: Rate = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        groups: GroupsLike | None = None,
    ):
        self.rho = self.setting("rho", rho, 0 <= rho < 1, "0 <= rho < 1")
        self.eps = self.setting("eps", eps, eps > 0, "eps > 0")
        super().__init__(lr, weight_decay, groups)

    def numbers(self, t: int, lr: float) -> tuple:
        return lr, self.rho, 1 - self.rho, self.eps

    @property
    def rule(self) -> Any:
        return adadelta

    def begin(self, xp: Any, p: Any) -> tuple:
        return tuple(xp.own(xp.real(x)) for x in super().begin(xp, p))


def adagrad(xp: Any, p: Any, g: Any, squares: Any, rate: Any, eps: Any) -> tuple:
    squares += squared(xp, g)
    root = xp.sqrt(squares)
    root += eps
    step = g / root
    step *= rate
    p -= step
    return p, squares


def adadelta(xp: Any, p: Any, g: Any, squares: Any, steps: Any, lr: Any, rho: Any, weight: Any, eps: Any) -> tuple:
    squares *= rho
    squares += weight * squared(xp, g)
    step = xp.sqrt(steps + eps) / xp.sqrt(squares + eps) * g
    steps *= rho
    steps += weight * xp.real(xp.conj(step) * step)
    p -= lr * step
    return p, squares, steps
