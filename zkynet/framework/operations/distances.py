"""Losses of numbers, of distributions and of distances; ``reduction`` is "mean", "sum" or "none"."""

import math

from zkynet.backends.errors import ShapeError

from ..record import Tensor, kind_of, shape_of
from .activation import relu
from .comparison import equal, greater, not_equal
from .elementwise import abs, add, clip, divide, maximum, multiply, negative, pow, square, subtract, where
from .exponential import exp, log, xlogy
from .indexing import take_along_axis
from .linalg import matmul
from .log_space import logaddexp, softplus
from .loss import checked_labels, classes_of, reduced, same_shapes
from .norms import vector_norm
from .reduction import mean, sum
from .shape import expand_dims, matrix_transpose


def squared_error(prediction, target, reduction="none") -> Tensor:
    """(prediction - target) squared, of two arrays of one shape."""
    same_shapes("squared_error", prediction=prediction, target=target)
    return reduced(square(subtract(prediction, target)), reduction)


def mean_squared_error(prediction, target, reduction="mean") -> Tensor:
    """The mean of (prediction - target) squared."""
    same_shapes("mean_squared_error", prediction=prediction, target=target)
    return reduced(square(subtract(prediction, target)), reduction)


def absolute_error(prediction, target, reduction="none") -> Tensor:
    """|prediction - target|, with slope 0 where they are equal."""
    same_shapes("absolute_error", prediction=prediction, target=target)
    return reduced(abs(subtract(prediction, target)), reduction)


def mean_absolute_error(prediction, target, reduction="mean") -> Tensor:
    """The mean of |prediction - target|."""
    same_shapes("mean_absolute_error", prediction=prediction, target=target)
    return reduced(abs(subtract(prediction, target)), reduction)


def huber_loss(prediction, target, reduction="mean", *, delta=1.0) -> Tensor:
    """d * d / 2 for d = prediction - target up to ``delta``, beyond it delta * (|d| - delta / 2)."""
    same_shapes("huber_loss", prediction=prediction, target=target)
    d = subtract(prediction, target)
    near = clip(d, -delta, delta)
    return reduced(multiply(near, subtract(d, multiply(near, 0.5))), reduction)


def smooth_l1(prediction, target, reduction="mean", *, beta=1.0) -> Tensor:
    """``huber_loss`` with delta = beta, divided by beta; the absolute error for beta = 0."""
    if beta == 0:
        return mean_absolute_error(prediction, target, reduction)
    return divide(huber_loss(prediction, target, reduction, delta=beta), beta)


def log_cosh(prediction, target, reduction="mean") -> Tensor:
    """log(cosh(prediction - target)), exact far out."""
    same_shapes("log_cosh", prediction=prediction, target=target)
    d = subtract(prediction, target)
    return reduced(subtract(logaddexp(d, negative(d)), math.log(2.0)), reduction)


def gaussian_nll(mean, target, variance, reduction="mean", *, full=False, eps=1e-6) -> Tensor:
    """(log(v) + (mean - target)**2 / v) / 2 with v = max(variance, eps); ``full`` adds log(2 pi) / 2."""
    same_shapes("gaussian_nll", mean=mean, target=target)
    v = clip(variance, eps)
    losses = multiply(add(log(v), divide(square(subtract(mean, target)), v)), 0.5)
    return reduced(add(losses, 0.5 * math.log(2 * math.pi)) if full else losses, reduction)


def poisson_nll(prediction, target, reduction="mean", *, log_input=True, full=False, eps=1e-8) -> Tensor:
    """exp(x) - target * x, or x - target * log(x + eps) where ``prediction`` is no logarithm.

    ``full`` adds Stirling's t log(t) - t + log(2 pi t) / 2 where t = target is above 1.
    """
    same_shapes("poisson_nll", prediction=prediction, target=target)
    if log_input:
        losses = subtract(exp(prediction), multiply(target, prediction))
    else:
        losses = subtract(prediction, multiply(target, log(add(prediction, eps))))
    if full:
        large = greater(target, 1)
        t = where(large, target, 1.0)
        rest = add(subtract(xlogy(t, t), t), multiply(log(multiply(t, 2 * math.pi)), 0.5))
        losses = add(losses, where(large, rest, 0.0))
    return reduced(losses, reduction)


def gaussian_kl_divergence(mean, log_variance, reduction="sum") -> Tensor:
    """The divergence of normal distributions from the standard one: (mean**2 + exp(lv) - lv - 1) / 2."""
    same_shapes("gaussian_kl_divergence", mean=mean, log_variance=log_variance)
    total = add(square(mean), subtract(exp(log_variance), log_variance))
    return reduced(multiply(subtract(total, 1.0), 0.5), reduction)


def kl_div(log_q, p, reduction="mean", *, log_target=False) -> Tensor:
    """p * (log p - log_q), and p log p is 0 with slope 0 where p is 0; p is a logarithm itself where ``log_target``.

    reduction "batchmean" is the sum divided by the size of the first axis: the divergence as it is defined.
    """
    same_shapes("kl_div", log_q=log_q, p=p)
    if log_target:
        losses = multiply(exp(p), subtract(p, log_q))
    else:
        losses = subtract(xlogy(p, where(equal(p, 0), 1.0, p)), multiply(p, log_q))
    if reduction == "batchmean":
        return divide(sum(losses), shape_of(p)[0])
    return reduced(losses, reduction)


# ---- margins ----


def hinge(scores, labels, reduction="mean", *, squared=False) -> Tensor:
    """One against the rest: sum over classes of max(0, 1 - s x), s = 1 for the label, -1 for the others; x (N, C)."""
    own, x = _own("hinge", scores, labels)
    losses = relu(add(where(own, negative(x), x), 1.0))
    return reduced(sum(square(losses) if squared else losses, -1), reduction)


def multiclass_hinge(scores, labels, reduction="mean", *, margin=1.0, p=1) -> Tensor:
    """sum over the other classes of max(0, margin - x[label] + x) ** p, divided by their number C; x (N, C)."""
    own, x = _own("multiclass_hinge", scores, labels)
    index = expand_dims(labels, -1)
    losses = relu(add(subtract(x, take_along_axis(x, index, -1)), margin))
    losses = where(own, 0.0, losses if p == 1 else pow(losses, p))
    return reduced(divide(sum(losses, -1), shape_of(x)[-1]), reduction)


def _own(who, scores, labels):
    """Where each row's own class stands, and the scores."""
    shape = shape_of(scores)
    if len(shape) < 1 or shape_of(labels) != shape[:-1]:
        raise ShapeError(f"{who}: needs scores (..., classes) and labels (...), got {shape} and {shape_of(labels)}")
    index = checked_labels(labels, shape[-1], scores)
    return equal(expand_dims(index, -1), classes_of(index, shape[-1])), scores


def margin_ranking(x1, x2, order, reduction="mean", *, margin=0.0) -> Tensor:
    """max(0, margin - order * (x1 - x2)): order 1 where x1 should be the larger one, -1 where x2."""
    same_shapes("margin_ranking", x1=x1, x2=x2, order=order)
    return reduced(relu(subtract(margin, multiply(order, subtract(x1, x2)))), reduction)


def soft_margin(scores, signs, reduction="mean") -> Tensor:
    """log(1 + exp(-sign * score)) for signs 1 and -1."""
    same_shapes("soft_margin", scores=scores, signs=signs)
    return reduced(softplus(negative(multiply(signs, scores))), reduction)


def contrastive(x1, x2, same, reduction="mean", *, margin=1.0) -> Tensor:
    """d * d / 2 where ``same`` holds, else max(margin - d, 0)**2 / 2, for distances d of rows. Hadsell et al. 2006."""
    same_shapes("contrastive", x1=x1, x2=x2)
    apart = subtract(x1, x2)
    far = square(relu(subtract(margin, vector_norm(apart, axis=-1))))
    return reduced(multiply(where(not_equal(same, 0), sum(square(apart), -1), far), 0.5), reduction)


def triplet(anchor, positive, negative_, reduction="mean", *, margin=1.0, p=2, eps=1e-6) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|), p-norms over the last axis, ``eps`` added before."""
    same_shapes("triplet", anchor=anchor, positive=positive, negative=negative_)
    near = vector_norm(add(subtract(anchor, positive), eps), axis=-1, ord=p)
    far = vector_norm(add(subtract(anchor, negative_), eps), axis=-1, ord=p)
    return reduced(relu(add(subtract(near, far), margin)), reduction)


def cosine_similarity(x1, x2, *, axis=-1, eps=1e-8) -> Tensor:
    """x1 . x2 / (|x1| |x2|) over ``axis``; a length below ``eps`` counts as ``eps``, so that of zeros is 0."""
    same_shapes("cosine_similarity", x1=x1, x2=x2)
    lengths = [maximum(vector_norm(x, axis=axis), eps) for x in (x1, x2)]
    return divide(sum(multiply(x1, x2), axis), multiply(*lengths))


def cosine_embedding(x1, x2, signs, reduction="mean", *, margin=0.0) -> Tensor:
    """1 - cosine where the sign is 1, max(0, cosine - margin) where it is -1; rows are compared."""
    cosine = cosine_similarity(x1, x2)
    if shape_of(signs) != shape_of(cosine):
        raise ShapeError(f"cosine_embedding: one sign a row is needed, got {shape_of(signs)} for {shape_of(x1)}")
    return reduced(where(greater(signs, 0), subtract(1.0, cosine), relu(subtract(cosine, margin))), reduction)


# ---- correlations of features ----


def cross_covariance(y, z) -> Tensor:
    """Half of the sum of squares of the cross covariance of y (N, D) and z (N, E). Cheung et al. 2014."""
    return multiply(sum(square(_covariance("cross_covariance", y, z))), 0.5)


def decov(h) -> Tensor:
    """Half of the sum of squares of the covariances of different features of h (N, D). Cogswell et al. 2016."""
    c = _covariance("decov", h, h)
    apart = subtract(h, mean(h, 0, keepdims=True))
    own = sum(square(mean(square(apart), 0)))
    return multiply(subtract(sum(square(c)), own), 0.5)


def _covariance(who, y, z):
    sy, sz = shape_of(y), shape_of(z)
    if len(sy) != 2 or len(sz) != 2 or sy[0] != sz[0] or not sy[0]:
        raise ShapeError(f"{who}: needs matrices with as many rows, at least one, got {sy} and {sz}")
    if kind_of(y) == "complex":
        raise TypeError(f"{who}: complex arrays are not supported")
    y, z = (subtract(a, mean(a, 0, keepdims=True)) for a in (y, z))
    return divide(matmul(matrix_transpose(y), z), sy[0])
