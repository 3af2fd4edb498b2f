"""Adam."""

from __future__ import annotations

from typing import Any

from zkynet.optim.optimizer import Optimizer


class Adam(Optimizer):
    """Adam: steps of about ``lr``, the decayed mean of the gradient over the root of that of its square.

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1, with its defaults: with
    m <- beta1 m + (1 - beta1) g and v <- beta2 v + (1 - beta2) g^2, step t = 1, 2, ... is

        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    The slots are the decayed sums ``gradients`` = m / (1 - beta1) and ``squares`` = v / (1 - beta2): the constant
    factors go into two numbers a step, which saves two passes over memory.

    ``lr`` > 0, both ``betas`` in [0, 1), ``eps`` > 0. The squares of a complex gradient are |g|^2, one for both parts;
    PyTorch treats the two parts as separate numbers.
    """

    slots = ("gradients", "squares")

    def __init__(self, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(lr)
        beta1, beta2 = betas
        self.betas = (
            self.setting("betas[0]", beta1, 0 <= beta1 < 1, "0 <= beta < 1"),
            self.setting("betas[1]", beta2, 0 <= beta2 < 1, "0 <= beta < 1"),
        )
        self.eps = self.setting("eps", eps, eps > 0, "eps > 0")

    def scalars(self, step: int) -> tuple:
        beta1, beta2 = self.betas
        scale = ((1 - beta2**step) / (1 - beta2)) ** 0.5  # sqrt(squares) = scale * sqrt(v / (1 - beta2^t))
        rate = self.lr * scale * (1 - beta1) / (1 - beta1**step)
        return beta1, beta2, rate, self.eps * scale

    @property
    def rule(self) -> Any:
        return adam

    def begin(self, xp: Any, p: Any) -> tuple:
        gradients, squares = super().begin(xp, p)
        return gradients, xp.own(xp.real(squares))

    def __repr__(self) -> str:
        return f"Adam(lr={self.lr:g}, betas={self.betas}, eps={self.eps:g})"


def adam(xp: Any, p: Any, g: Any, gradients: Any, squares: Any, beta1: Any, beta2: Any, rate: Any, eps: Any) -> tuple:
    gradients *= beta1
    gradients += g
    squares *= beta2
    squares += xp.real(xp.conj(g) * g)
    root = xp.sqrt(squares)
    root += eps
    step = gradients / root
    step *= rate
    p -= step
    return p, gradients, squares
