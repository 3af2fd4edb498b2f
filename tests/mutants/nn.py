"""Wrong rules of pooling, normalisation, attention, alignments, losses and noise."""

import numpy as np
from mutants.mutant import Mutant, grads, numbers

import zkynet as zk
from zkynet import Generator
from zkynet.framework import op
from zkynet.framework.operations import attention, cotangents, elementwise, log_space, normalization
from zkynet.framework.operations.conv import Conv, ConvFilter, ConvInput
from zkynet.framework.record import value_of

X, SQUARE = numbers(31, 2, 3), numbers(32, 1, 1, 4, 4)
LINE, PAIR = numbers(33, 1, 2, 5), numbers(34, 2, 2)
BATCH, LOGITS = numbers(35, 3, 2), numbers(36, 2, 3)
FRAMES = numbers(37, 3, 1, 3)
LABELS = np.array([2, 0])
MASK = np.array([[True, False, True], [True, True, True]])
KERNEL = numbers(38, 2, 1, 2)


def pooled(f):
    return grads(f, SQUARE)


MAX = pooled(lambda x: op.max_pool(x, 2, (1, 2), ((1, 0), (0, 1))))
windows_rule = op.Windows.vjp_x
max_rule, max_push = op.MaxPool.vjp_x, op.MaxPool.jvp_x
WINDOWS = (
    Mutant(
        "windows: twice",
        *(op.Windows, "vjp_x", lambda self, xp, g, x_spec: 2 * windows_rule(self, xp, g, x_spec)),
        pooled(lambda x: op.unfold(x, 2)),
    ),
    Mutant(
        "windows: back to front",
        *(op.Windows, "vjp_x", lambda self, xp, g, x_spec: windows_rule(self, xp, xp.flip(g, axis=-4), x_spec)),
        pooled(lambda x: op.unfold(x, 2, (1, 2))),
    ),
    Mutant(
        "windows: undilated",
        *(op.Windows, "vjp_x"),
        lambda self, xp, g, x_spec: xp.window_sum(g, self.inner(x_spec), self.kernel, self.stride, (1, 1)),
        pooled(lambda x: op.unfold(x, 2, dilation=2)),
    ),
    Mutant(
        "window_sum: sign",
        *(op.WindowSum, "vjp_h", lambda self, xp, g: -xp.windows(g, *self.settings)),
        grads(lambda x: op.fold(x, (3,), 2), numbers(39, 1, 2, 2)),
    ),
    Mutant(
        "window_sum: seen at order 2",
        *(op.WindowSum, "vjp_h", lambda self, xp, g: 2 * xp.windows(g, *self.settings)),
        pooled(lambda x: op.square(op.unfold(x, 2))),
    ),
    Mutant(
        "pool_sum: shared among the window",
        *(op.PoolSum, "vjp_x"),
        lambda self, xp, g, x_spec: xp.pool_spread(g, self.inner(x_spec), *self.settings) / 4,
        pooled(lambda x: op.average_pool(x, 2)),
    ),
    Mutant(
        "pool_sum: back to front",
        *(op.PoolSum, "vjp_x"),
        lambda self, xp, g, x_spec: xp.pool_spread(xp.flip(g, axis=-1), self.inner(x_spec), *self.settings),
        pooled(lambda x: op.average_pool(x, 2, (1, 2), 1)),
    ),
    Mutant(
        "pool_spread: sign",
        *(op.PoolSpread, "vjp_h", lambda self, xp, g: -xp.pool_sum(g, *self.settings)),
        grads(lambda x: op.unpool(x, 2), LINE),
    ),
    Mutant(
        "pool_spread: seen at order 2",
        *(op.PoolSpread, "vjp_h", lambda self, xp, g: 2 * xp.pool_sum(g, *self.settings)),
        pooled(lambda x: op.square(op.average_pool(x, 2))),
    ),
    Mutant(
        "max_pool: twice",
        *(op.MaxPool, "vjp_x", lambda self, xp, g, x_spec, y: 2 * max_rule(self, xp, g, x_spec, y)),
        MAX,
    ),
    Mutant(
        "max_pool: sign, forward",
        *(op.MaxPool, "jvp_x", lambda self, xp, t, y: (-max_push(self, xp, t, y)[0], None)),
        MAX,
    ),
    Mutant(
        "max_pool: the padding not cut off in front",
        *(op.MaxPool, "vjp_x"),
        lambda self, xp, g, x_spec, y: xp.pool_place(
            g[0], y[1], tuple(n + sum(p) for n, p in zip(self.inner(x_spec), self.padding)), *self.settings
        )[..., : x_spec.shape[-2], : x_spec.shape[-1]],
        MAX,
    ),
    Mutant(
        "max_pool: always the first entry",
        *(op.MaxPool, "vjp_x"),
        lambda self, xp, g, x_spec, y: max_rule(self, xp, g, x_spec, (y[0], y[1] * 0)),
        MAX,
    ),
    Mutant(
        "max_pool: the tangent of the first entry",
        *(op.MaxPool, "jvp_x", lambda self, xp, t, y: max_push(self, xp, t, (y[0], y[1] * 0))),
        MAX,
    ),
    Mutant(
        "pool_place: sign, seen at order 2",
        *(op.PoolPlace, "vjp_h", lambda self, xp, g, which: -xp.pool_pick(g, which, *self.settings)),
        pooled(lambda x: op.square(op.max_pool(x, 2))),
    ),
    Mutant(
        "pool_pick: sign",
        *(op.PoolPick, "vjp_x"),
        lambda self, xp, g, which, x_spec: -xp.pool_place(g, which, self.inner(x_spec), *self.settings),
        grads(lambda x: op.pool_pick(x, np.array([1, 0]), (2,), (3,), (1,)), numbers(40, 5)),
    ),
)


filter_rule = ConvFilter.vjp_x


def transposed(x, k):
    return op.conv_transpose(x, k, stride=2, padding=((1, 0),), output_padding=1)


CONVOLUTIONS = (
    Mutant(
        "conv_transpose: the kernel's gradient doubled",
        *(ConvInput, "vjp_w"),
        lambda self, xp, g, h, w_spec: 2 * xp.conv_filter(g, h, self.own_shape(w_spec), *self.settings),
        grads(transposed, LINE, KERNEL),
    ),
    Mutant(
        "conv_transpose: x and h exchanged, forward",
        *(ConvInput, "jvp_w", lambda self, xp, t, h: -xp.conv_input(h, t, self.size, *self.settings)),
        grads(transposed, LINE, KERNEL),
    ),
    Mutant(
        "conv: unstrided, forward",
        *(Conv, "jvp_x", lambda self, xp, t, w: xp.conv(t, w, *self.settings) * 2),
        grads(lambda x, k: op.conv1d(x, k, groups=2), LINE, KERNEL),
    ),
    Mutant(
        "conv_filter: x's gradient at order 2",
        *(ConvFilter, "vjp_x", lambda self, xp, g, x_spec, h: -filter_rule(self, xp, g, x_spec, h)),
        grads(lambda x, k: op.square(op.conv1d(x, k, groups=2)), LINE, KERNEL),
    ),
)

NORM = grads(lambda x: op.batch_norm(x, eps=0.1), BATCH)
STATISTICS = grads(lambda x: list(op.batch_norm(x, eps=0.1, return_statistics=True)), BATCH)
RMS = grads(lambda x: op.rms_norm(x, eps=0.1), X)
S, U = normalization.Standardize, normalization.ScaleToUnit
standard_rule = S.vjp_x


def without_mean(self, xp, g, x_spec, y):
    (gy, _, _), (y, _, spread) = g, y
    return (gy - y * self.mean(xp, gy * y)) / xp.sqrt(spread + self.eps)


def without_slope(self, xp, g, x_spec, y):
    (gy, _, _), (y, _, spread) = g, y
    return (gy - self.mean(xp, gy)) / xp.sqrt(spread + self.eps)


def constant_spread(self, xp, g, x_spec, y):
    return standard_rule(self, xp, g, x_spec, (y[0], y[1], value_of(y[2])))


NORMS = (
    Mutant("standardize: the mean is constant", S, "vjp_x", without_mean, NORM),
    Mutant("standardize: the variance is constant", S, "vjp_x", without_slope, NORM),
    Mutant("standardize: the variance is constant at order 2", S, "vjp_x", constant_spread, NORM),
    Mutant(
        "standardize: sign of the mean's cotangent",
        *(S, "vjp_x", lambda self, xp, g, x_spec, y: standard_rule(self, xp, (g[0], -g[1], g[2]), x_spec, y)),
        STATISTICS,
    ),
    Mutant(
        "standardize: the variance sends nothing",
        *(S, "vjp_x", lambda self, xp, g, x_spec, y: standard_rule(self, xp, (g[0], g[1], g[2] * 0), x_spec, y)),
        STATISTICS,
    ),
    Mutant(
        "standardize: eps forgotten",
        *(S, "jvp_x", lambda self, xp, t, y: wrong_push(self, xp, t, y)),
        NORM,
    ),
    Mutant(
        "rms: the power is constant",
        *(U, "vjp_x", lambda self, xp, g, x_spec, y: g[0] / xp.sqrt(y[1] + self.eps)),
        RMS,
    ),
    Mutant(
        "rms: sign, forward",
        *(U, "jvp_x", lambda self, xp, t, y: (-t / xp.sqrt(y[1] + self.eps), y[1] * 0)),
        RMS,
    ),
)


def wrong_push(self, xp, t, y):
    y, _, spread = y
    level, slope = self.mean(xp, t), self.mean(xp, t * y)
    return (t - level - y * slope) / xp.sqrt(spread), level, 2 * slope


MASKED = grads(lambda x: op.masked_softmax(x, MASK), X)
M, P = attention.MaskedSoftmax, op.LogPaths


def first_axis(self, xp, g, mask, y):
    g = xp.select(mask, g)
    return y * (g - xp.sum(g * y, axis=-2, keepdims=True))


def unmasked_check():
    """An infinite cotangent where nothing may be heard."""
    g = np.where(MASK, 1.0, np.inf)
    assert np.isfinite(zk.vjp(lambda x: op.masked_softmax(x, MASK), X)[1](g)[0]).all()


def aligned(labels):
    return grads(lambda x: op.ctc(x, np.array([labels]), [3], [len(labels)]), FRAMES)


shares_rule = P.shares
paths_rule = P.vjp_x


def negative_paths(self, xp, g, x, start, step, skip, end, length, y):
    return -paths_rule(self, xp, g, x, start, step, skip, end, length, y)


def all_tangents(self, xp, t, x, start, step, skip, end, length, y):
    return xp.sum(t, axis=(-3, -1))


ATTENTION = (
    Mutant(
        "masked_softmax: the mean left out",
        *(M, "vjp_x", lambda self, xp, g, mask, y: y * xp.select(mask, g)),
        MASKED,
    ),
    Mutant("masked_softmax: the wrong axis", M, "vjp_x", first_axis, MASKED),
    Mutant(
        "masked_softmax: multiplied instead of selected",
        *(M, "vjp_x", lambda self, xp, g, mask, y: y * (g - xp.sum(g * y, axis=self.axis, keepdims=True))),
        unmasked_check,
    ),
    Mutant("masked_softmax: sign, forward", M, "jvp_x", lambda self, xp, t, mask, y: -y * t, MASKED),
    Mutant(
        "ctc: the last time left out",
        *(P, "shares"),
        lambda self, xp, x, *rest: xp.concat([shares_rule(self, xp, x, *rest)[:-1], x[-1:] * 0.0], axis=0),
        aligned([1, 2]),
    ),
    Mutant(
        "ctc: steps of two forbidden",
        *(P, "shares"),
        lambda self, xp, x, start, step, skip, *rest: shares_rule(self, xp, x, start, step, skip & ~skip, *rest),
        aligned([1, 2]),
    ),
    Mutant(
        "ctc: not normalised",
        *(P, "shares"),
        lambda self, xp, *all: shares_rule(self, xp, *all[:-1], all[-1] * 0.0),
        aligned([1, 2]),
    ),
    Mutant("ctc: sign", P, "vjp_x", negative_paths, aligned([1])),
    Mutant("ctc: forward, without the shares", P, "jvp_x", all_tangents, aligned([1])),
    Mutant(
        "ctc: shares constant at order 2",
        *(P, "shares", lambda self, xp, *all: shares_rule(self, xp, *[value_of(a) for a in all])),
        aligned([1]),
    ),
)

HUBER = grads(lambda x: op.huber_loss(x, np.zeros((2, 3)), delta=0.8), X)
SMOOTHED = grads(lambda x: op.softmax_cross_entropy(x, LABELS, label_smoothing=0.2), LOGITS)
LOSSES = (
    Mutant(
        "huber: not clipped below",
        *(elementwise.ClipLow, "vjp_x", lambda self, xp, g, x, lo: g),
        HUBER,
    ),
    Mutant(
        "huber: clipped above to the bound",
        *(elementwise.ClipHigh, "vjp_x", lambda self, xp, g, x, hi: xp.select(x > hi, g)),
        HUBER,
    ),
    Mutant(
        "smoothing: the logarithm's sum left out",
        *(op.LogSoftmax, "vjp_x", lambda self, xp, g, y: g),
        SMOOTHED,
    ),
    Mutant(
        "binary: the shares exchanged",
        *(log_space.Logaddexp, "vjp_a", lambda self, xp, g, a, b: g * xp.sigmoid(xp.shifted(b, a))),
        grads(lambda x: op.sigmoid_cross_entropy(x, np.full((2, 3), 0.3)), X),
    ),
    Mutant(
        "crf: the softmax of the wrong axis",
        *(op.LogSumExp, "vjp_x", lambda self, xp, g, x, y_spec: self.spread(xp, g, x, y_spec) * xp.weights(x, axis=-1)),
        grads(lambda c, s: op.crf1d(c, s, np.array([[0], [1], [1]])), PAIR, numbers(41, 3, 1, 2)),
    ),
)


def repeated(f):
    """``f`` with the same draws in every call."""
    return lambda *x: f(*x, Generator(5))


R, T = cotangents.GradientReversal, cotangents.StraightThrough
NOISE = (
    Mutant(
        "dropout: the complement kept",
        *(elementwise.Select, "vjp_x", lambda self, xp, g, mask: xp.select(~mask, g)),
        grads(repeated(lambda x, g: op.dropout(x, 0.4, g)), X),
    ),
    Mutant(
        "zoneout: always the new one",
        *(elementwise.Where, "vjp_a", lambda self, xp, g, condition: g),
        grads(repeated(lambda x, g: op.zoneout(X, x, 0.4, g)), X),
    ),
    Mutant(
        "gradient_reversal: a wrong scale",
        *(R, "vjp_x", lambda self, xp, g: g * (-1 - self.scale)),
        grads(lambda x: op.gradient_reversal(op.gradient_reversal(x, 2.0), 0.5), X),
    ),
    Mutant(
        "gradient_reversal: a wrong scale, forward",
        *(R, "jvp_x", lambda self, xp, t: t * (-1 - self.scale)),
        grads(lambda x: op.gradient_reversal(op.gradient_reversal(x, 2.0), 0.5), X),
    ),
    Mutant(
        "straight_through: nothing comes through",
        *(T, "vjp_x", lambda self, xp, g: g * 0),
        grads(lambda x: op.straight_through(op.copy(x), x), X),
    ),
    Mutant(
        "gradient_clip: sign",
        *(cotangents.GradientClip, "vjp_x", lambda self, xp, g: -xp.clip(g, -self.bound, self.bound)),
        grads(lambda x: op.gradient_clip(x, 9.0), X),
    ),
    Mutant(
        "gradient_clip: the norm over a leading axis too",
        *(cotangents.GradientNormClip, "vjp_x"),
        lambda self, xp, g, x_spec: g * (self.bound / xp.sqrt(xp.sum(xp.real(g * xp.conj(g))))),
        grads(lambda x: op.gradient_clip(x, 9.0, by_norm=True), X),
    ),
)

MUTANTS = (*WINDOWS, *CONVOLUTIONS, *NORMS, *ATTENTION, *LOSSES, *NOISE)
