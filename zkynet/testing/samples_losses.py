"""Sample calls of losses and distances."""

from .samples_draw import A, M, apart, call, positive, share

LABELS = A([2, 0])


LOSSES = (
    *(call(name, M, LABELS) for name in ("cross_entropy", "nll_loss", "focal_loss", "hinge", "multiclass_hinge")),
    *(call(name, M, M, numbers=(apart, share)) for name in ("sigmoid_cross_entropy", "sigmoid_focal_loss")),
    *(call(name, M, M, numbers=share) for name in ("binary_cross_entropy", "dice_loss")),
    call("bernoulli_nll", M, M, numbers=(share, apart)),
    call("ctc", (3, 1, 3), A([[1, 2]]), A([3]), A([2])),
    call("crf1d", (2, 2), (3, 1, 2), A([[0], [1], [1]])),
    call("argmax_crf1d", (3, 3), (4, 2, 3)),
)

DISTANCES = (
    *(call(name, M, M) for name in ("squared_error", "absolute_error", "mean_absolute_error", "huber_loss")),
    *(call(name, M, M) for name in ("smooth_l1", "log_cosh", "gaussian_kl_divergence", "soft_margin")),
    call("gaussian_nll", M, M, M, numbers=(apart, apart, positive)),
    *(call(name, M, M, numbers=(apart, positive)) for name in ("poisson_nll", "kl_div")),
    *(call(name, M, M, M) for name in ("margin_ranking", "triplet")),
    call("contrastive", M, M, A([1, 0]), margin=9.0),
    call("cosine_similarity", M, M),
    call("cosine_embedding", M, M, A([1, -1]), margin=-0.9),
    call("cross_covariance", (3, 2), (3, 2)),
    call("decov", (3, 2)),
)

MEASURES = (*LOSSES, *DISTANCES)
