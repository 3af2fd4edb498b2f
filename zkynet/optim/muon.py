"""Muon: momentum, orthogonalized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from zkynet.framework.computation_graph import Parameter
from zkynet.optim.adam import AdamW, checked_betas
from zkynet.optim.groups import GroupsLike
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.rates import Rate

SIZES = ("rms", "ratio")


class Muon(Optimizer):
    """For matrices the momentum with all its singular values brought near 1; AdamW for all other parameters.

    Jordan and others, "Muon: an optimizer for hidden layers in neural networks", 2024. With
    u <- momentum u + (1 - momentum) g and d = (1 - momentum) g + momentum u (d = u without ``nesterov``):

        p <- (1 - lr weight_decay) p - lr s N(d)

    where N is ``steps`` Newton-Schulz iterations from X = d / max(|d|, eps), |d| the Frobenius norm:
    X <- a X + (b X X^T + c (X X^T)^2) X with the ``coefficients`` a, b, c. Singular values end between about 0.7 and
    1.2. ``size`` is the factor s: "rms", 0.2 sqrt(max(rows, columns)), makes steps as large as AdamW's, so that one
    ``lr`` serves both (Liu and others, "Muon is scalable for LLM training", 2025; PyTorch's "match_rms_adamw"); "ratio"
    is the original's sqrt(max(1, outputs / inputs)), for weights of shape (inputs, outputs) as in zkynet.nn.Linear,
    with an lr of about 0.02.

    Parameters with two axes are matrices. Embeddings and the output layer are better left to AdamW:
    ``groups={"embedding": {"orthogonal": False}}``. ``betas`` and ``adam_eps`` are for AdamW, the weight decay for
    both: decoupled. Slots: ``momenta`` u for matrices, those of AdamW for the others. Everything is computed in the
    parameter's dtype; PyTorch computes N in bfloat16.
    """

    slots = ("momenta",)
    entrywise = False
    decoupled = True

    def __init__(
        self,
        lr: Rate = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        coefficients: Sequence[float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        steps: int = 5,
        size: str = "rms",
        betas: tuple[float, float] = (0.9, 0.999),
        adam_eps: float = 1e-8,
        orthogonal: bool = True,
        groups: GroupsLike | None = None,
    ):
        self.momentum = self.setting("momentum", momentum, 0 <= momentum < 1, "0 <= momentum < 1")
        self.nesterov, self.orthogonal = bool(nesterov), bool(orthogonal)
        self.steps = int(self.setting("steps", steps, steps >= 1 and steps == int(steps), "an int of at least 1"))
        self.coefficients = tuple(coefficients)
        if len(self.coefficients) != 3:
            raise ValueError(f"Muon: coefficients are three numbers a, b, c.\n  got:      {coefficients!r}")
        self.eps = self.setting("eps", eps, eps > 0, "eps > 0")
        if size not in SIZES:
            raise ValueError(f"Muon: unknown size.\n  got:      {size!r}\n  expected: {', '.join(map(repr, SIZES))}")
        self.size = size
        self.betas = checked_betas(self, betas)
        self.adam_eps = self.setting("adam_eps", adam_eps, adam_eps > 0, "adam_eps > 0")
        self._rest: AdamW | None = None
        super().__init__(lr, weight_decay, groups)

    @property
    def every_slot(self) -> tuple[str, ...]:
        return (*self.slots, *AdamW().slots)

    def choose(self, path: str, parameter: Parameter) -> Optimizer:
        value = parameter._value
        if self.orthogonal and len(getattr(value, "shape", ())) == 2:
            return self
        rest = AdamW(self._lr, self.betas, self.adam_eps, self.weight_decay)
        if self._rest is None or self._rest.settings() != rest.settings():
            self._rest = rest  # one for all of them: they are updated together
        return self._rest

    def numbers(self, t: int, lr: float) -> tuple:
        return lr, self.momentum, 1 - self.momentum

    @property
    def rule(self) -> Any:
        return _rule(self.nesterov, self.steps, self.coefficients, self.eps, self.size)


@cache
def _rule(nesterov: bool, steps: int, coefficients: tuple, eps: float, size: str) -> Callable[..., tuple]:
    """The rule of one choice of settings: the same function every time."""

    def muon(xp: Any, p: Any, g: Any, momenta: Any, lr: Any, momentum: Any, rest: Any) -> tuple:
        momenta *= momentum
        momenta += rest * g
        direction = rest * g + momentum * momenta if nesterov else momenta
        rows, columns = p.shape
        s = 0.2 * max(rows, columns) ** 0.5 if size == "rms" else max(1.0, columns / rows) ** 0.5
        p -= lr * s * orthogonalized(xp, direction, steps, coefficients, eps)
        return p, momenta

    return muon


def orthogonalized(xp: Any, x: Any, steps: int, coefficients: tuple, eps: float) -> Any:
    """The matrix ``x`` with singular values near 1, by Newton-Schulz iterations; zeros stay zeros."""
    a, b, c = coefficients
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else xp.matrix_transpose(x)
    norm = xp.sqrt(xp.sum(xp.real(xp.conj(x) * x)))
    x = x / xp.maximum(norm, xp.full((), eps, dtype=norm.dtype))
    for _ in range(steps):
        gram = xp.matmul(x, xp.conj(xp.matrix_transpose(x)))
        x = a * x + xp.matmul(b * gram + c * xp.matmul(gram, gram), x)
    return x if wide else xp.matrix_transpose(x)
