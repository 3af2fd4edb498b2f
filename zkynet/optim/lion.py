"""Lion."""

from __future__ import annotations

from typing import Any

from zkynet.optim.adam import checked_betas
from zkynet.optim.groups import GroupsLike
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.rates import Rate


class Lion(Optimizer):
    """Steps of exactly ``lr`` an entry, along the sign of a decayed mean of the gradient.

    Chen and others, "Symbolic discovery of optimization algorithms", 2023, algorithm 2:

        p <- (1 - lr weight_decay) p - lr sign(beta1 m + (1 - beta1) g),  m <- beta2 m + (1 - beta2) g

    with its defaults for ``betas``; weight decay is decoupled. Its lr is usually 3 to 10 times smaller than Adam's, and
    its weight decay as many times larger. The slot is ``means``, m. The sign of a complex number z is z / |z|.
    """

    slots = ("means",)
    decoupled = True

    def __init__(
        self,
        lr: Rate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        groups: GroupsLike | None = None,
    ):
        self.betas = checked_betas(self, betas)
        super().__init__(lr, weight_decay, groups)

    def numbers(self, t: int, lr: float) -> tuple:
        beta1, beta2 = self.betas
        return lr, beta1, 1 - beta1, beta2, 1 - beta2

    @property
    def rule(self) -> Any:
        return lion


def lion(xp: Any, p: Any, g: Any, means: Any, lr: Any, beta1: Any, rest1: Any, beta2: Any, rest2: Any) -> tuple:
    p -= lr * xp.sign(beta1 * means + rest1 * g)
    means *= beta2
    means += rest2 * g
    return p, means
