"""RMSprop."""

from __future__ import annotations

from functools import partial
from typing import Any

from zkynet.optim.arrays import squared
from zkynet.optim.groups import GroupsLike
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.rates import Rate


class RMSprop(Optimizer):
    """The gradient over the root of the decayed mean of its square.

    Hinton, Srivastava, Swersky, "Neural networks for machine learning", lecture 6e, 2012. With
    v <- alpha v + (1 - alpha) g^2 and, where ``centered``, m <- alpha m + (1 - alpha) g (Graves, "Generating sequences
    with recurrent neural networks", 2013):

        u <- momentum u + g / (sqrt(v - m^2) + eps),  p <- p - lr u

    with m = 0 where it is not centered. Defaults are PyTorch's. ``alpha`` in [0, 1), ``eps`` > 0, ``momentum`` in
    [0, 1). ``weight_decay`` is the factor of an L2 penalty. Slots: ``squares`` v, ``means`` m, ``velocity`` u; the
    squares of a complex gradient are |g|^2.
    """

    def __init__(
        self,
        lr: Rate = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        groups: GroupsLike | None = None,
    ):
        self.alpha = self.setting("alpha", alpha, 0 <= alpha < 1, "0 <= alpha < 1")
        self.eps = self.setting("eps", eps, eps > 0, "eps > 0")
        self.momentum = self.setting("momentum", momentum, 0 <= momentum < 1, "0 <= momentum < 1")
        self.centered = bool(centered)
        self.slots = ("squares", *(("means",) if centered else ()), *(("velocity",) if momentum else ()))
        super().__init__(lr, weight_decay, groups)

    def numbers(self, t: int, lr: float) -> tuple:
        return lr, self.alpha, 1 - self.alpha, self.eps, self.momentum

    @property
    def rule(self) -> Any:
        return RULES["means" in self.slots, "velocity" in self.slots]

    def begin(self, xp: Any, p: Any) -> tuple:
        squares, *others = super().begin(xp, p)
        return xp.own(xp.real(squares)), *others


def rmsprop(xp: Any, p: Any, g: Any, squares: Any, *rest: Any, centered: bool, momentum: bool) -> tuple:
    *others, lr, alpha, weight, eps, decay = rest
    slots = []
    squares *= alpha
    squares += weight * squared(xp, g)
    if centered:
        means = others[0]
        means *= alpha
        means += weight * g
        slots.append(means)
        variance = squares - xp.real(xp.conj(means) * means)
        root = xp.sqrt(xp.maximum(variance, xp.zeros_like(variance)))  # by rounding it may come out below 0
    else:
        root = xp.sqrt(squares)
    root += eps
    step = g / root
    if momentum:
        velocity = others[-1]
        velocity *= decay
        velocity += step
        slots.append(velocity)
        step = velocity
    p -= lr * step
    return p, squares, *slots


RULES = {
    (centered, momentum): partial(rmsprop, centered=centered, momentum=momentum)
    for centered in (False, True)
    for momentum in (False, True)
}
