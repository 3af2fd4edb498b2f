"""Adam, with weight decay as it was meant (AdamW), and with Nesterov's momentum (NAdam)."""

from __future__ import annotations

from typing import Any

from zkynet.optim.arrays import squared
from zkynet.optim.groups import GroupsLike
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.rates import Rate


class Adam(Optimizer):
    """Adam: steps of about ``lr``, the decayed mean of the gradient over the root of that of its square.

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1, with its defaults: with
    m <- beta1 m + (1 - beta1) g and v <- beta2 v + (1 - beta2) g^2, step t = 1, 2, ... is

        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    ``amsgrad`` takes the largest v so far in place of v: Reddi, Kale, Kumar, "On the convergence of Adam and beyond",
    ICLR 2018, with the bias correction of PyTorch. ``weight_decay`` is the factor of an L2 penalty; see AdamW.

    The slots are the decayed sums ``gradients`` = m / (1 - beta1) and ``squares`` = v / (1 - beta2), and ``peaks``, the
    largest of the latter: the constant factors go into two numbers a step, which saves two passes over memory.

    Both ``betas`` in [0, 1), ``eps`` > 0. The squares of a complex gradient are |g|^2, one for both parts; PyTorch
    treats the two parts as separate numbers.
    """

    def __init__(
        self,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        groups: GroupsLike | None = None,
    ):
        self.betas = checked_betas(self, betas)
        self.eps = self.setting("eps", eps, eps > 0, "eps > 0")
        self.amsgrad = bool(amsgrad)
        self.slots = ("gradients", "squares", "peaks") if amsgrad else ("gradients", "squares")
        super().__init__(lr, weight_decay, groups)

    def numbers(self, t: int, lr: float) -> tuple:
        beta1, beta2 = self.betas
        scale = ((1 - beta2**t) / (1 - beta2)) ** 0.5  # sqrt(squares) = scale * sqrt(v / (1 - beta2^t))
        rate = lr * scale * (1 - beta1) / (1 - beta1**t)
        return beta1, beta2, rate, self.eps * scale

    @property
    def rule(self) -> Any:
        return amsgrad if self.amsgrad else adam

    def begin(self, xp: Any, p: Any) -> tuple:
        gradients, *squares = super().begin(xp, p)
        return gradients, *(xp.own(xp.real(x)) for x in squares)


class AdamW(Adam):
    """Adam behind p <- (1 - lr weight_decay) p: weight decay decoupled from the gradient, 0.01 by default.

    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2, with lr in place of the
    schedule's multiplier, as in PyTorch.
    """

    decoupled = True

    def __init__(
        self,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        groups: GroupsLike | None = None,
    ):
        super().__init__(lr, betas, eps, weight_decay, amsgrad, groups)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 (workshop).

    With m and v of Adam, mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2) and M_t = mu_1 ... mu_t:

        p <- p - lr ((1 - mu_t) g / (1 - M_t) + mu_(t+1) m / (1 - M_(t+1))) / (sqrt(v / (1 - beta2^t)) + eps)

    Defaults are PyTorch's: ``momentum_decay`` 0.004, at least 0. ``decoupled`` makes weight decay that of AdamW. The
    slots are those of Adam. The number of a step has to be known: not for a step that one compiles by hand with the
    state as an argument; zk.train.compiled_step keeps it outside.
    """

    slots = ("gradients", "squares")

    def __init__(
        self,
        lr: Rate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled: bool = False,
        groups: GroupsLike | None = None,
    ):
        self.betas = checked_betas(self, betas)
        self.eps = self.setting("eps", eps, eps > 0, "eps > 0")
        self.momentum_decay = self.setting("momentum_decay", momentum_decay, momentum_decay >= 0, "momentum_decay >= 0")
        self.decoupled = bool(decoupled)
        self._product = (0, 1.0)  # t and M_t, of the last step
        super().__init__(lr, weight_decay, groups)

    def numbers(self, t: int, lr: float) -> tuple:
        if not isinstance(t, int):
            raise TypeError(f"NAdam: the number of a step is an int.\n  got:      {t!r}")
        beta1, beta2 = self.betas
        scale = ((1 - beta2**t) / (1 - beta2)) ** 0.5
        now, following = self._momentum(t), self._momentum(t + 1)
        product = self._momenta(t)
        of_gradient = lr * scale * (1 - now) / (1 - product)
        of_mean = lr * scale * (1 - beta1) * following / (1 - product * following)
        return beta1, beta2, of_gradient, of_mean, self.eps * scale

    def _momentum(self, t: int) -> float:
        return self.betas[0] * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def _momenta(self, t: int) -> float:
        """M_t, from that of the last step."""
        last, product = self._product if self._product[0] <= t else (0, 1.0)
        while last < t and product:
            last += 1
            product *= self._momentum(last)
        self._product = (t, product)
        return product

    @property
    def rule(self) -> Any:
        return nadam

    def begin(self, xp: Any, p: Any) -> tuple:
        gradients, squares = super().begin(xp, p)
        return gradients, xp.own(xp.real(squares))


def checked_betas(optimizer: Optimizer, betas: tuple[float, float]) -> tuple[float, float]:
    """Two decay rates in [0, 1)."""
    beta1, beta2 = betas
    return (
        optimizer.setting("betas[0]", beta1, 0 <= beta1 < 1, "0 <= beta < 1"),
        optimizer.setting("betas[1]", beta2, 0 <= beta2 < 1, "0 <= beta < 1"),
    )


def adam(xp: Any, p: Any, g: Any, gradients: Any, squares: Any, beta1: Any, beta2: Any, rate: Any, eps: Any) -> tuple:
    gradients *= beta1
    gradients += g
    squares *= beta2
    squares += squared(xp, g)
    root = xp.sqrt(squares)
    root += eps
    step = gradients / root
    step *= rate
    p -= step
    return p, gradients, squares


def amsgrad(xp: Any, p: Any, g: Any, gradients: Any, squares: Any, peaks: Any, *numbers: Any) -> tuple:
    beta1, beta2, rate, eps = numbers
    gradients *= beta1
    gradients += g
    squares *= beta2
    squares += squared(xp, g)
    peaks = xp.maximum(peaks, squares)
    root = xp.sqrt(peaks)
    root += eps
    step = gradients / root
    step *= rate
    p -= step
    return p, gradients, squares, peaks


def nadam(xp: Any, p: Any, g: Any, gradients: Any, squares: Any, *numbers: Any) -> tuple:
    beta1, beta2, of_gradient, of_mean, eps = numbers
    gradients *= beta1
    gradients += g
    squares *= beta2
    squares += squared(xp, g)
    root = xp.sqrt(squares)
    root += eps
    step = of_gradient * g
    step += of_mean * gradients
    step /= root
    p -= step
    return p, gradients, squares
