"""Losses of ``op`` in NumPy alone, by their definitions: for ``reference``."""

from __future__ import annotations

import itertools

import numpy as np


def _reduced(x, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](x)


def _log_softmax(x):
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))


def softmax_cross_entropy(
    logits, targets, reduction="mean", *, axis=-1, weight=None, label_smoothing=0.0, ignore_index=None
):
    return nll(
        _log_softmax(np.moveaxis(logits, axis, -1)), targets, reduction, axis, weight, label_smoothing, ignore_index
    )


cross_entropy = softmax_cross_entropy


def nll_loss(log_probabilities, labels, reduction="mean", *, axis=-1, weight=None, ignore_index=None):
    return nll(np.moveaxis(log_probabilities, axis, -1), labels, reduction, axis, weight, 0.0, ignore_index)


def nll(scores, targets, reduction, axis, weight, smoothing, ignore_index):
    """Every target as a distribution, each class weighed."""
    classes = scores.shape[-1]
    weight = np.ones(classes, scores.dtype) if weight is None else weight
    shares = np.ones(scores.shape[:-1], scores.dtype)
    soft = np.ndim(targets) == scores.ndim
    if soft:
        targets = np.moveaxis(targets, axis, -1)
    else:
        kept = np.ones(np.shape(targets), bool) if ignore_index is None else targets != ignore_index
        targets = np.where(kept, targets, 0)
        shares = np.where(kept, weight[targets], 0)
        targets = (targets[..., None] == np.arange(classes)) * kept[..., None]
        smoothed = kept[..., None] * smoothing / classes
    targets = targets * (1 - smoothing) + (smoothing / classes if soft else smoothed)
    losses = -np.sum(targets * weight * scores, axis=-1)
    if reduction == "mean" and not soft:
        return np.sum(losses) / np.sum(shares)
    return _reduced(losses, reduction)


def sigmoid_cross_entropy(logits, targets, reduction="mean", *, weight=1.0, pos_weight=1.0):
    p = 1 / (1 + np.exp(-logits))
    return _reduced(-weight * (pos_weight * targets * np.log(p) + (1 - targets) * np.log(1 - p)), reduction)


def binary_cross_entropy(probabilities, targets, reduction="mean", *, weight=1.0):
    p = probabilities
    return _reduced(-weight * (targets * np.log(p) + (1 - targets) * np.log(1 - p)), reduction)


def bernoulli_nll(targets, logits, reduction="sum"):
    return sigmoid_cross_entropy(logits, targets, reduction)


def focal_loss(logits, labels, gamma=2.0, reduction="mean", *, axis=-1, weight=None):
    scores = _log_softmax(np.moveaxis(logits, axis, -1))
    own = np.take_along_axis(scores, labels[..., None], -1)[..., 0]
    return _reduced(-((1 - np.exp(own)) ** gamma) * own * (1 if weight is None else weight[labels]), reduction)


def sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2.0, reduction="mean"):
    p = 1 / (1 + np.exp(-logits))
    hit = p * targets + (1 - p) * (1 - targets)
    losses = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    return _reduced((alpha * targets + (1 - alpha) * (1 - targets)) * (1 - hit) ** gamma * losses, reduction)


def dice_loss(probabilities, targets, reduction="mean", *, smooth=1.0):
    p, t = (a.reshape(a.shape[0], int(np.prod(a.shape[1:]))) for a in (probabilities, targets))
    return _reduced(1 - (2 * np.sum(p * t, 1) + smooth) / (np.sum(p, 1) + np.sum(t, 1) + smooth), reduction)


# ---- numbers ----


def squared_error(prediction, target, reduction="none"):
    return _reduced((prediction - target) ** 2, reduction)


def absolute_error(prediction, target, reduction="none"):
    return _reduced(np.abs(prediction - target), reduction)


def mean_absolute_error(prediction, target, reduction="mean"):
    return _reduced(np.abs(prediction - target), reduction)


def huber_loss(prediction, target, reduction="mean", *, delta=1.0):
    d = np.abs(prediction - target)
    return _reduced(np.where(d <= delta, d * d / 2, delta * (d - delta / 2)), reduction)


def smooth_l1(prediction, target, reduction="mean", *, beta=1.0):
    d = np.abs(prediction - target)
    if beta == 0:
        return _reduced(d, reduction)
    return _reduced(np.where(d < beta, d * d / (2 * beta), d - beta / 2), reduction)


def log_cosh(prediction, target, reduction="mean"):
    return _reduced(np.log(np.cosh(prediction - target)), reduction)


def gaussian_nll(mean, target, variance, reduction="mean", *, full=False, eps=1e-6):
    losses = (np.log(variance) + (mean - target) ** 2 / variance) / 2
    return _reduced(losses + np.log(2 * np.pi) / 2 if full else losses, reduction)


def poisson_nll(prediction, target, reduction="mean", *, log_input=True, full=False, eps=1e-8):
    losses = np.exp(prediction) - target * prediction if log_input else prediction - target * np.log(prediction + eps)
    if full:
        large = target > 1
        t = np.where(large, target, 1)
        losses = losses + np.where(large, t * np.log(t) - t + np.log(2 * np.pi * t) / 2, 0)
    return _reduced(losses, reduction)


def gaussian_kl_divergence(mean, log_variance, reduction="sum"):
    return _reduced((mean**2 + np.exp(log_variance) - log_variance - 1) / 2, reduction)


def kl_div(log_q, p, reduction="mean", *, log_target=False):
    p, log_p = (np.exp(p), p) if log_target else (p, np.log(p))
    losses = p * (log_p - log_q)
    return np.sum(losses) / len(p) if reduction == "batchmean" else _reduced(losses, reduction)


# ---- margins and distances ----


def hinge(scores, labels, reduction="mean", *, squared=False):
    signs = np.where(labels[..., None] == np.arange(scores.shape[-1]), 1, -1)
    losses = np.maximum(1.0 - signs * scores, 0)
    return _reduced(np.sum(losses**2 if squared else losses, axis=-1), reduction)


def multiclass_hinge(scores, labels, reduction="mean", *, margin=1.0, p=1):
    own = np.take_along_axis(scores, labels[..., None], -1)
    losses = np.maximum(margin - own + scores, 0) ** p
    losses = losses * (labels[..., None] != np.arange(scores.shape[-1]))
    return _reduced(np.sum(losses, axis=-1) / scores.shape[-1], reduction)


def margin_ranking(x1, x2, order, reduction="mean", *, margin=0.0):
    return _reduced(np.maximum(margin - order * (x1 - x2), 0), reduction)


def soft_margin(scores, signs, reduction="mean"):
    return _reduced(np.log(1 + np.exp(-signs * scores)), reduction)


def _length(x, p=2, axis=-1):
    return np.sum(np.abs(x) ** p, axis=axis) ** (1 / p)


def contrastive(x1, x2, same, reduction="mean", *, margin=1.0):
    d = _length(x1 - x2)
    return _reduced((same * d**2 + (1 - same) * np.maximum(margin - d, 0) ** 2) / 2, reduction)


def triplet(anchor, positive, negative, reduction="mean", *, margin=1.0, p=2, eps=1e-6):
    apart = _length(anchor - positive + eps, p) - _length(anchor - negative + eps, p)
    return _reduced(np.maximum(apart + margin, 0), reduction)


def cosine_similarity(x1, x2, *, axis=-1, eps=1e-8):
    return np.sum(x1 * x2, axis=axis) / (np.maximum(_length(x1, 2, axis), eps) * np.maximum(_length(x2, 2, axis), eps))


def cosine_embedding(x1, x2, signs, reduction="mean", *, margin=0.0):
    c = cosine_similarity(x1, x2)
    return _reduced(np.where(signs > 0, 1 - c, np.maximum(c - margin, 0)), reduction)


def cross_covariance(y, z):
    c = (y - np.mean(y, 0)).T @ (z - np.mean(z, 0)) / len(y)
    return np.sum(c**2) / 2


def decov(h):
    c = (h - np.mean(h, 0)).T @ (h - np.mean(h, 0)) / len(h)
    return (np.sum(c**2) - np.sum(np.diag(c) ** 2)) / 2


# ---- sequences, by going through all of them ----


def ctc(log_probabilities, labels, input_lengths, label_lengths, *, blank=0, reduction="mean", zero_infinity=False):
    losses = []
    for n, (frames, count) in enumerate(zip(input_lengths, label_lengths)):
        scores, total = log_probabilities[:frames, n], np.zeros((), log_probabilities.dtype)
        for path in itertools.product(range(scores.shape[-1]), repeat=int(frames)):
            read = [k for k, _ in itertools.groupby(path) if k != blank]
            if read == list(labels[n, :count]):
                total = total + np.exp(sum(scores[t, k] for t, k in enumerate(path)))
        losses.append(-np.log(total))
    losses = np.array(losses, np.result_type(log_probabilities, 1.0)) if losses else np.zeros(0)
    if zero_infinity:
        losses = np.where(np.isfinite(losses), losses, 0)
    return np.mean(losses / np.maximum(label_lengths, 1)) if reduction == "mean" else _reduced(losses, reduction)


def _chains(cost, scores, row):
    for path in itertools.product(range(scores.shape[-1]), repeat=len(scores)):
        own = sum(scores[t, row, k] for t, k in enumerate(path))
        yield path, own + sum(cost[a, b] for a, b in itertools.pairwise(path))


def crf1d(cost, scores, labels, reduction="mean"):
    losses = []
    for row in range(scores.shape[1]):
        found = dict(_chains(cost, scores, row))
        losses.append(np.log(sum(np.exp(s) for s in found.values())) - found[tuple(labels[:, row])])
    return _reduced(np.array(losses) if losses else np.zeros(0, np.result_type(cost, scores)), reduction)


def argmax_crf1d(cost, scores):
    best = [max(_chains(cost, scores, row), key=lambda found: found[1]) for row in range(scores.shape[1])]
    return np.array([s for _, s in best]), np.array([path for path, _ in best]).T
