"""Losses as modules: each calls the function of ``op`` that its docstring names, with settings given beforehand.

``reduction`` is "mean", "sum" or "none", one loss an example. A loss is called with what the model says first and what
is true second, and ``value_and_grad(lambda model, x, y: loss(model(x), y))`` trains; the functions do as well. Weights
of classes are Constants: they move with ``loss.to(backend)``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from zkynet.framework import op
from zkynet.framework.computation_graph import Constant, Module
from zkynet.nn.layer import given, names_itself, number, positive, shown, size

REDUCTIONS = ("mean", "sum", "none")


class Loss(Module):
    """What losses share: how they are reduced."""

    reductions: ClassVar[tuple[str, ...]] = REDUCTIONS

    def __init__(self, reduction: str = "mean"):
        if reduction not in self.reductions:
            raise ValueError(
                f"{type(self).__name__}: reduction is unknown.\n  got:      {reduction!r}\n"
                f"  expected: one of {', '.join(self.reductions)}"
            )
        self.reduction = reduction

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction)


def _constant(name: str, array: Any) -> Constant | None:
    return None if array is None else Constant(name, given(array, None))


# ---- classes ----


class CrossEntropyLoss(Loss):
    """-log softmax(logits)[label]: from logits (..., classes) and integer labels (...), or probabilities like logits.

    ``axis`` is that of the classes: the last here, torch's is axis 1. ``weight`` (classes,) multiplies the loss of each
    class, and the mean is divided by the weights' sum. ``label_smoothing`` spreads that share of the target over all
    classes. Rows labelled ``ignore_index`` are left out: none by default, torch's are those labelled -100.
    ``op.softmax_cross_entropy``.
    """

    def __init__(
        self,
        reduction: str = "mean",
        *,
        axis: int = -1,
        weight: Any = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ):
        super().__init__(reduction)
        self.axis, self.weight = size("CrossEntropyLoss", "axis", axis, None), _constant("weight", weight)
        self.label_smoothing = number("CrossEntropyLoss", "label_smoothing", label_smoothing, 0, 1)
        self.ignore_index = _index("CrossEntropyLoss", ignore_index)

    @names_itself
    def call(self, logits: Any, targets: Any) -> Any:
        settings = {"label_smoothing": self.label_smoothing, "ignore_index": self.ignore_index}
        return op.softmax_cross_entropy(logits, targets, self.reduction, axis=self.axis, weight=self.weight, **settings)

    def __repr__(self) -> str:
        settings = {"label_smoothing": self.label_smoothing, "ignore_index": self.ignore_index}
        return shown(self, reduction=self.reduction, axis=self.axis, weight=self.weight, **settings)


class NLLLoss(Loss):
    """-log_probabilities[label], behind a LogSoftmax; settings as in CrossEntropyLoss. ``op.nll_loss``."""

    def __init__(self, reduction: str = "mean", *, axis: int = -1, weight: Any = None, ignore_index: int | None = None):
        super().__init__(reduction)
        self.axis, self.weight = size("NLLLoss", "axis", axis, None), _constant("weight", weight)
        self.ignore_index = _index("NLLLoss", ignore_index)

    @names_itself
    def call(self, log_probabilities: Any, labels: Any) -> Any:
        settings = {"axis": self.axis, "weight": self.weight, "ignore_index": self.ignore_index}
        return op.nll_loss(log_probabilities, labels, self.reduction, **settings)

    def __repr__(self) -> str:
        settings = {"axis": self.axis, "weight": self.weight, "ignore_index": self.ignore_index}
        return shown(self, reduction=self.reduction, **settings)


class BCEWithLogitsLoss(Loss):
    """The cross entropy of probabilities ``targets`` and sigmoid(logits), of one shape. ``op.sigmoid_cross_entropy``.

    ``weight`` multiplies every loss, ``pos_weight`` those of what is there; they broadcast against the logits.
    """

    def __init__(self, reduction: str = "mean", *, weight: Any = None, pos_weight: Any = None):
        super().__init__(reduction)
        self.weight, self.pos_weight = _constant("weight", weight), _constant("pos_weight", pos_weight)

    @names_itself
    def call(self, logits: Any, targets: Any) -> Any:
        settings = {"weight": self.weight, "pos_weight": self.pos_weight}
        return op.sigmoid_cross_entropy(logits, targets, self.reduction, **settings)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, weight=self.weight, pos_weight=self.pos_weight)


class BCELoss(Loss):
    """-(target log p + (1 - target) log(1 - p)); infinite where a certain p is wrong. ``op.binary_cross_entropy``.

    BCEWithLogitsLoss takes logits, and has no such places.
    """

    def __init__(self, reduction: str = "mean", *, weight: Any = None):
        super().__init__(reduction)
        self.weight = _constant("weight", weight)

    @names_itself
    def call(self, probabilities: Any, targets: Any) -> Any:
        return op.binary_cross_entropy(probabilities, targets, self.reduction, weight=self.weight)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, weight=self.weight)


class MultiMarginLoss(Loss):
    """The mean over the other classes of max(0, margin - x[label] + x)**p; ``p`` 1 or 2. ``op.multiclass_hinge``."""

    def __init__(self, reduction: str = "mean", *, margin: float = 1.0, p: int = 1):
        super().__init__(reduction)
        self.margin, self.p = number("MultiMarginLoss", "margin", margin), size("MultiMarginLoss", "p", p)
        if self.p > 2:
            raise ValueError(f"MultiMarginLoss: p is too large.\n  got:      {p}\n  expected: 1 or 2")

    @names_itself
    def call(self, scores: Any, labels: Any) -> Any:
        return op.multiclass_hinge(scores, labels, self.reduction, margin=self.margin, p=self.p)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, margin=self.margin, p=self.p)


# ---- numbers and distributions ----


class MSELoss(Loss):
    """(prediction - target)**2, of arrays of one shape. ``op.mean_squared_error``."""

    @names_itself
    def call(self, prediction: Any, target: Any) -> Any:
        return op.mean_squared_error(prediction, target, self.reduction)


class L1Loss(Loss):
    """|prediction - target|, of arrays of one shape. ``op.mean_absolute_error``."""

    @names_itself
    def call(self, prediction: Any, target: Any) -> Any:
        return op.mean_absolute_error(prediction, target, self.reduction)


class HuberLoss(Loss):
    """d * d / 2 for d = prediction - target up to ``delta``, delta * (|d| - delta / 2) beyond. ``op.huber_loss``."""

    def __init__(self, reduction: str = "mean", *, delta: float = 1.0):
        super().__init__(reduction)
        self.delta = positive("HuberLoss", "delta", delta)

    @names_itself
    def call(self, prediction: Any, target: Any) -> Any:
        return op.huber_loss(prediction, target, self.reduction, delta=self.delta)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(Loss):
    """HuberLoss of delta = ``beta``, divided by beta; L1Loss for beta = 0. ``op.smooth_l1``."""

    def __init__(self, reduction: str = "mean", *, beta: float = 1.0):
        super().__init__(reduction)
        self.beta = number("SmoothL1Loss", "beta", beta, 0)

    @names_itself
    def call(self, prediction: Any, target: Any) -> Any:
        return op.smooth_l1(prediction, target, self.reduction, beta=self.beta)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, beta=self.beta)


class KLDivLoss(Loss):
    """p * (log p - log_q) for log-probabilities of the model first and probabilities second. ``op.kl_div``.

    With ``log_target`` p is given as its logarithm. The reduction "batchmean" divides the sum by the size of the first
    axis, which is the divergence as it is defined; "mean" divides by the number of entries.
    """

    reductions = (*REDUCTIONS, "batchmean")

    def __init__(self, reduction: str = "mean", *, log_target: bool = False):
        super().__init__(reduction)
        self.log_target = bool(log_target)

    @names_itself
    def call(self, log_q: Any, p: Any) -> Any:
        return op.kl_div(log_q, p, self.reduction, log_target=self.log_target)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(Loss):
    """(log v + (mean - target)**2 / v) / 2 for v = max(variance, eps). ``op.gaussian_nll``.

    Called with mean, target and variance; ``full`` adds log(2 pi) / 2.
    """

    def __init__(self, reduction: str = "mean", *, full: bool = False, eps: float = 1e-6):
        super().__init__(reduction)
        self.full, self.eps = bool(full), positive("GaussianNLLLoss", "eps", eps)

    @names_itself
    def call(self, mean: Any, target: Any, variance: Any) -> Any:
        return op.gaussian_nll(mean, target, variance, self.reduction, full=self.full, eps=self.eps)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, full=self.full, eps=self.eps)


class PoissonNLLLoss(Loss):
    """exp(x) - target * x, or x - target * log(x + eps) without ``log_input``; ``full`` adds Stirling's term.

    ``op.poisson_nll``.
    """

    def __init__(self, reduction: str = "mean", *, log_input: bool = True, full: bool = False, eps: float = 1e-8):
        super().__init__(reduction)
        self.log_input, self.full = bool(log_input), bool(full)
        self.eps = number("PoissonNLLLoss", "eps", eps, 0)

    @names_itself
    def call(self, prediction: Any, target: Any) -> Any:
        settings = {"log_input": self.log_input, "full": self.full, "eps": self.eps}
        return op.poisson_nll(prediction, target, self.reduction, **settings)

    def __repr__(self) -> str:
        settings = {"log_input": self.log_input, "full": self.full, "eps": self.eps}
        return shown(self, reduction=self.reduction, **settings)


# ---- distances ----


class TripletMarginLoss(Loss):
    """max(0, margin + |anchor - positive| - |anchor - negative|), p-norms over the last axis. ``op.triplet``."""

    def __init__(self, reduction: str = "mean", *, margin: float = 1.0, p: float = 2, eps: float = 1e-6):
        super().__init__(reduction)
        self.margin = number("TripletMarginLoss", "margin", margin)
        self.p = positive("TripletMarginLoss", "p", p)
        self.eps = number("TripletMarginLoss", "eps", eps, 0)

    @names_itself
    def call(self, anchor: Any, positive: Any, negative: Any) -> Any:
        settings = {"margin": self.margin, "p": self.p, "eps": self.eps}
        return op.triplet(anchor, positive, negative, self.reduction, **settings)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, margin=self.margin, p=self.p, eps=self.eps)


class MarginRankingLoss(Loss):
    """max(0, margin - order * (x1 - x2)): order 1 where x1 should be larger, -1 where x2. ``op.margin_ranking``."""

    def __init__(self, reduction: str = "mean", *, margin: float = 0.0):
        super().__init__(reduction)
        self.margin = number("MarginRankingLoss", "margin", margin)

    @names_itself
    def call(self, x1: Any, x2: Any, order: Any) -> Any:
        return op.margin_ranking(x1, x2, order, self.reduction, margin=self.margin)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, margin=self.margin)


class CosineEmbeddingLoss(Loss):
    """1 - cosine of rows where the sign is 1, max(0, cosine - margin) where it is -1. ``op.cosine_embedding``."""

    def __init__(self, reduction: str = "mean", *, margin: float = 0.0):
        super().__init__(reduction)
        self.margin = number("CosineEmbeddingLoss", "margin", margin)

    @names_itself
    def call(self, x1: Any, x2: Any, signs: Any) -> Any:
        return op.cosine_embedding(x1, x2, signs, self.reduction, margin=self.margin)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, margin=self.margin)


class SoftMarginLoss(Loss):
    """log(1 + exp(-sign * score)) for signs 1 and -1. ``op.soft_margin``."""

    @names_itself
    def call(self, scores: Any, signs: Any) -> Any:
        return op.soft_margin(scores, signs, self.reduction)


# ---- sequences ----


class CTCLoss(Loss):
    """-log of the probability of the labels among all alignments with the frames. ``op.ctc``.

    Called with log-probabilities (T, N, classes), labels (N, L), and the lengths of the frames and of the labels, (N,)
    each. ``blank`` is the class between labels. Where no alignment exists the loss is infinite and its gradient 0; with
    ``zero_infinity`` the loss is 0 too.
    """

    def __init__(self, reduction: str = "mean", *, blank: int = 0, zero_infinity: bool = False):
        super().__init__(reduction)
        self.blank, self.zero_infinity = size("CTCLoss", "blank", blank, 0), bool(zero_infinity)

    @names_itself
    def call(self, log_probabilities: Any, labels: Any, input_lengths: Any, label_lengths: Any) -> Any:
        settings = {"blank": self.blank, "reduction": self.reduction, "zero_infinity": self.zero_infinity}
        return op.ctc(log_probabilities, labels, input_lengths, label_lengths, **settings)

    def __repr__(self) -> str:
        return shown(self, reduction=self.reduction, blank=self.blank, zero_infinity=self.zero_infinity)


def _index(layer: str, value: Any) -> int | None:
    return None if value is None else size(layer, "ignore_index", value, None)
