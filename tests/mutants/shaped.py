"""Wrong rules of reductions, of operators that move entries, of linear algebra, and of convolution."""

import numpy as np
from mutants.mutant import Mutant, complexes, grads, numbers, point

from zkynet.framework import op
from zkynet.framework.axes import lead_shape, size_of
from zkynet.framework.jacobians import jacobian
from zkynet.framework.operations import activation, indexing, loss, reduction, shape, spectral
from zkynet.framework.operations.conv import Conv, ConvFilter, ConvInput
from zkynet.framework.operations.linalg import (
    Cholesky,
    Einsum,
    Linear,
    MatMul,
    MatVec,
    Solve,
    Tril,
    adjoint,
    half_lower,
)
from zkynet.framework.record import value_of

X, Q, R = numbers(11, 2, 3), numbers(12, 3, 3), numbers(13, 3, 3)
V = numbers(14, 4)
CUBE = numbers(15, 2, 3, 2)
REGULAR = numbers(16, 3, 3) + 3 * np.eye(3)
IMAGE, KERNEL = numbers(17, 1, 2, 4, 3), numbers(18, 2, 1, 2, 2)
TWICE = np.array([0, 2, 2, 1])


def symmetric(f):
    """``f`` of a symmetric, positive definite matrix made of its argument."""
    return lambda a: f(op.matmul(a, op.conj(op.matrix_transpose(a))) + 2 * np.eye(3))


def convolved(x, w):
    return op.conv(x, w, stride=(2, 1), padding=((1, 0), (0, 1)), groups=2)


def spread_wrongly(self, xp, g, x_spec, y_spec):
    lead = lead_shape(g, y_spec)
    return xp.broadcast_to(xp.expand_dims(g, axis=-2), lead + x_spec.shape)


def mean_of_all(self, xp, g, x_spec, y_spec):
    share = self.spread(xp, g, x_spec, y_spec) / size_of(x_spec.shape)
    return xp.broadcast_to(share, lead_shape(g, y_spec) + x_spec.shape)


def mean_undivided(self, xp, g, x_spec, y_spec):
    return xp.broadcast_to(self.spread(xp, g, x_spec, y_spec), lead_shape(g, y_spec) + x_spec.shape)


def max_uncounted(self, xp, g, x, y, y_spec):
    return xp.select(self.winners(xp, x, y, y_spec)[0], self.spread(xp, g, x, y_spec))


def max_uncounted_forward(self, xp, t, x, y, y_spec):
    mask = self.winners(xp, x, y, y_spec)[0]
    return xp.sum(xp.select(mask, t), axis=self.axis, keepdims=self.keepdims)


def max_without_nan(self, xp, g, x, y, y_spec):
    return xp.select(x == self.spread(xp, y, x, y_spec), self.spread(xp, g, x, y_spec))


def max_multiplied(self, xp, g, x, y, y_spec):
    mask, count = self.winners(xp, x, y, y_spec)
    return xp.astype(mask, g.dtype) * self.spread(xp, g, x, y_spec) / count


def logsumexp_unnormalised(self, xp, g, x, y_spec):
    return self.spread(xp, g, x, y_spec) * xp.exp(x)


def shares(xp, x):
    e = xp.exp(x)
    return e / xp.sum(e, axis=-1, keepdims=True)


def softmax_constant_forward(self, xp, t, y):
    y = value_of(y)
    return y * (t - xp.sum(t * y, axis=self.axis, keepdims=True))


def softmax_at_most_one(self, xp, g, y):
    """Right for one batch of cotangents, not for a batch of batches."""
    many = tuple(range(1, len(g.shape) - len(y.shape)))
    return y * (g - xp.sum(g * y, axis=(*many, *self.axis), keepdims=True))


REDUCTIONS = (
    Mutant(
        "sum: spread along the wrong axis",
        reduction.Sum,
        "vjp_x",
        spread_wrongly,
        grads(lambda x: op.sum(x, axis=1), Q),
    ),
    Mutant("mean: not divided", reduction.Mean, "vjp_x", mean_undivided, grads(lambda x: op.mean(x, axis=1), X)),
    Mutant(
        "mean: divided by the number of all entries",
        reduction.Mean,
        "vjp_x",
        mean_of_all,
        grads(lambda x: op.mean(x, axis=1), X),
    ),
    Mutant("max: ties not counted", reduction.Max, "vjp_x", max_uncounted, point("max: a tie")),
    Mutant(
        "max: ties not counted, forward", reduction.Max, "jvp_x", max_uncounted_forward, point("max: a tie, forward")
    ),
    Mutant("max: NaN not found", reduction.Max, "vjp_x", max_without_nan, point("max: a NaN")),
    Mutant("max: multiplies by a mask", reduction.Max, "vjp_x", max_multiplied, point("max: an infinite cotangent")),
    Mutant("min: to every entry", reduction.Min, "vjp_x", mean_undivided, grads(lambda x: op.min(x, axis=1), X)),
    Mutant(
        "logsumexp: not normalised",
        reduction.LogSumExp,
        "vjp_x",
        logsumexp_unnormalised,
        grads(lambda x: op.logsumexp(x, axis=1), X),
    ),
    Mutant(
        "logsumexp: the wrong axis, forward",
        *(reduction.LogSumExp, "jvp_x", lambda self, xp, t, x: xp.sum(t * shares(xp, x), axis=-2)),
        grads(lambda x: op.logsumexp(x, axis=1), Q),
    ),
    Mutant(
        "cumulative_sum: not reversed",
        *(
            reduction.CumulativeSum,
            "vjp_x",
            lambda self, xp, g: xp.cumulative_sum(g, axis=self.axis, reverse=self.reverse),
        ),
        grads(lambda x: op.cumulative_sum(x, axis=1), X),
    ),
    Mutant(
        "cumulative_sum: the axis counted from the left",
        *(
            reduction.CumulativeSum,
            "vjp_x",
            lambda self, xp, g: xp.cumulative_sum(g, axis=-len(g.shape), reverse=not self.reverse),
        ),
        grads(lambda x: op.cumulative_sum(x, axis=0), V),
    ),
    Mutant(
        "softmax: sums over leading axes",
        *(activation.Softmax, "vjp_x", lambda self, xp, g, y: y * (g - xp.sum(g * y))),
        grads(lambda x: op.softmax(x, axis=0), V),
    ),
    Mutant(
        "softmax: the wrong axis",
        *(activation.Softmax, "vjp_x", lambda self, xp, g, y: y * (g - xp.sum(g * y, axis=-2, keepdims=True))),
        grads(lambda x: op.softmax(x, axis=1), Q),
    ),
    Mutant(
        "softmax: the diagonal alone",
        activation.Softmax,
        "vjp_x",
        lambda self, xp, g, y: g * y * (1 - y),
        grads(op.softmax, X),
    ),
    Mutant(
        "softmax: sign, forward",
        *(activation.Softmax, "jvp_x", lambda self, xp, t, y: y * (t + xp.sum(t * y, axis=self.axis, keepdims=True))),
        grads(op.softmax, X),
    ),
    Mutant(
        "softmax: a constant at order 2, forward",
        *(activation.Softmax, "jvp_x", softmax_constant_forward),
        grads(op.softmax, X),
    ),
    Mutant(
        "softmax: sums over a second leading axis",
        activation.Softmax,
        "vjp_x",
        softmax_at_most_one,
        grads(op.softmax, X),
    ),
    Mutant(
        "log_softmax: a constant at order 2",
        *(
            activation.LogSoftmax,
            "vjp_x",
            lambda self, xp, g, y: g - np.exp(value_of(y)) * xp.sum(g, axis=self.axis, keepdims=True),
        ),
        grads(op.log_softmax, X),
    ),
    Mutant(
        "log_softmax: no sum",
        activation.LogSoftmax,
        "vjp_x",
        lambda self, xp, g, y: g - g * xp.exp(y),
        grads(op.log_softmax, X),
    ),
    Mutant(
        "cross-entropy: no 1 at the label",
        *(
            loss.SoftmaxCrossEntropy,
            "vjp_x",
            lambda self, xp, g, x: shares(xp, x) * xp.expand_dims(g, axis=-1),
        ),
        grads(lambda x: op.softmax_cross_entropy(x, np.array([2, 0])), X),
    ),
)


def concat_from_the_start(self, xp, g, i, arrays_spec):
    return g[(Ellipsis, slice(0, arrays_spec[i].shape[self.axis])) + (slice(None),) * (-self.axis - 1)]


def pad_from_the_start(self, xp, g, x_spec):
    return g[(Ellipsis, *(slice(0, n) for n in x_spec.shape[len(x_spec.shape) - len(self.widths) :]))]


def lost_duplicates(self, xp, g, index, x_spec):
    size = x_spec.shape[self.axis]
    zeros = xp.zeros_like(xp.scatter_sum(g, index, size, axis=self.axis))
    return xp.scatter_set(zeros, index, g, axis=self.axis)


def reshaped_by_columns(self, xp, g, x_spec, y_spec):
    return xp.reshape(xp.matrix_transpose(g), lead_shape(g, y_spec) + x_spec.shape)


MOVES = (
    Mutant(
        "reshape: by columns", shape.Reshape, "vjp_x", reshaped_by_columns, grads(lambda x: op.reshape(x, (3, 2)), X)
    ),
    Mutant(
        "permute_dims: the order not inverted",
        *(shape.PermuteDims, "vjp_x", lambda self, xp, g: shape.permuted(xp, g, self.axes)),
        grads(lambda x: op.permute_dims(x, (1, 2, 0)), numbers(19, 2, 2, 2)),
    ),
    Mutant(
        "transpose: not transposed",
        shape.MatrixTranspose,
        "vjp_x",
        lambda self, xp, g: g,
        grads(op.matrix_transpose, Q),
    ),
    Mutant(
        "broadcast_to: the mean for the sum",
        *(shape.BroadcastTo, "vjp_x", lambda self, xp, g: g / self.shape[0]),
        grads(lambda x: op.broadcast_to(x, (2, 4)), V),
    ),
    Mutant(
        "concat: from the start",
        shape.Concat,
        "vjp_arrays",
        concat_from_the_start,
        grads(lambda a, b: op.concat([a, b]), Q, R),
    ),
    Mutant(
        "concat: from the start, forward",
        *(shape.Concat, "jvp_arrays", lambda self, xp, t, i, arrays_spec: xp.pad(t, ((0, 3), (0, 0)))),
        grads(lambda a, b: op.concat([a, b]), Q, R),
    ),
    Mutant(
        "getitem: written backwards",
        *(shape.GetItem, "vjp_x", lambda self, xp, g, x_spec: xp.place(g[..., ::-1], self.index, x_spec.shape)),
        grads(lambda x: x[1:3], V),
    ),
    Mutant("pad: from the start", shape.Pad, "vjp_x", pad_from_the_start, grads(lambda x: op.pad(x, ((1, 2),)), V)),
    Mutant("take: lost duplicates", indexing.Take, "vjp_x", lost_duplicates, grads(lambda x: op.take(x, TWICE), V)),
    Mutant(
        "take: lost duplicates, by value", indexing.Take, "vjp_x", lost_duplicates, point("take: an entry named twice")
    ),
    Mutant(
        "scatter_sum: backwards",
        *(indexing.ScatterSum, "vjp_updates", lambda self, xp, g, index: xp.take(g, index[::-1], axis=self.axis)),
        grads(lambda x: op.scatter_sum(x, TWICE, 3), V),
    ),
    Mutant(
        "scatter_set: overwritten entries keep theirs",
        *(indexing.ScatterSet, "vjp_x", lambda self, xp, g: g),
        grads(lambda x, v: op.scatter_set(x, np.array([2, 0]), v), V, V[:2]),
    ),
    Mutant(
        "scatter_set: sign",
        *(indexing.ScatterSet, "vjp_values", lambda self, xp, g, index: -xp.take(g, index, axis=-1)),
        grads(lambda x, v: op.scatter_set(x, np.array([2, 0]), v), V, V[:2]),
    ),
    Mutant(
        "tril: the main diagonal", Tril, "vjp_x", lambda self, xp, g: xp.tril(g), grads(lambda x: op.tril(x, k=-1), Q)
    ),
)


def cholesky_full_diagonal(self, xp, g, y):
    inner = xp.tril(xp.matmul(adjoint(xp, y), xp.conj(xp.tril(g))))
    right = xp.linalg.solve(adjoint(xp, y), inner)
    s = adjoint(xp, xp.linalg.solve(adjoint(xp, y), adjoint(xp, right)))
    return xp.conj(0.5 * (s + adjoint(xp, s)))


def cholesky_without_conj(self, xp, g, y):
    inner = half_lower(xp, xp.matmul(adjoint(xp, y), xp.tril(g)))
    right = xp.linalg.solve(adjoint(xp, y), inner)
    s = adjoint(xp, xp.linalg.solve(adjoint(xp, y), adjoint(xp, right)))
    return 0.5 * (s + adjoint(xp, s))


spectral_rule = spectral.Eigh.vjp_x


def summed_label(self, xp, g, i, arrays, y_spec):
    """Einsum's rule, dividing where it should repeat."""
    return einsum_rule(self, xp, g, i, arrays, y_spec) / arrays[i].shape[-1]


einsum_rule = Einsum.vjp_arrays
A3, B3 = complexes(20, 3, 3) + 3 * np.eye(3), complexes(22, 3, 2)
V3 = numbers(23, 3)


def sine_of_product(x):
    return op.sin(A3.real @ x)


PRODUCTS = (
    Mutant(
        "linear: the weight not transposed",
        *(Linear, "vjp_x", lambda self, xp, g, weight: xp.matmul(g, weight)),
        grads(op.linear, Q, R, R[0]),
    ),
    Mutant(
        "linear: the bias of one row alone",
        *(Linear, "vjp_bias", lambda self, xp, g: g[..., 0, :]),
        grads(op.linear, Q, R, R[0]),
    ),
    Mutant("matmul: b not transposed", MatMul, "vjp_a", lambda self, xp, g, b: xp.matmul(g, b), grads(op.matmul, Q, R)),
    Mutant(
        "matmul: in the wrong order",
        *(MatMul, "vjp_b", lambda self, xp, g, a: xp.matmul(g, xp.matrix_transpose(a))),
        grads(op.matmul, Q, R),
    ),
    Mutant(
        "matmul: a conjugate too many",
        *(MatMul, "vjp_a", lambda self, xp, g, b: xp.matmul(g, adjoint(xp, b))),
        grads(op.matmul, A3, B3),
    ),
    Mutant(
        "matvec: the vector's sum in place of its entries",
        *(MatVec, "vjp_a", lambda self, xp, g, b: xp.expand_dims(g, axis=-1) * xp.sum(b)),
        grads(op.matmul, Q, R[:, 0]),
    ),
    Mutant(
        "matvec: the matrix transposed",
        *(MatVec, "vjp_b", lambda self, xp, g, a: xp.matmul(g, xp.matrix_transpose(a))),
        grads(op.matmul, A3, B3[:, 0]),
    ),
    Mutant(
        "matvec: a conjugate too many",
        *(MatVec, "jvp_b", lambda self, xp, t, a: xp.matmul(t, adjoint(xp, a))),
        grads(op.matmul, A3, B3[:, 0]),
    ),
    Mutant(
        "matvec: the diagonal of other rows",
        *(MatVec, "diagonal_b", lambda self, xp, g, a: a[slice(g.start, g.stop), :]),
        lambda: np.testing.assert_allclose(jacobian(sine_of_product)(V3), np.cos(A3.real @ V3)[:, None] * A3.real),
    ),
    Mutant(
        "einsum: a summed label divided", Einsum, "vjp_arrays", summed_label, grads(lambda a: op.einsum("ij->i", a), X)
    ),
    Mutant(
        "solve: a not transposed",
        Solve,
        "vjp_b",
        lambda self, xp, g, a: xp.linalg.solve(a, g),
        grads(op.solve, REGULAR, R),
    ),
    Mutant(
        "solve: no sign",
        *(
            Solve,
            "vjp_a",
            lambda self, xp, g, a, y: xp.matmul(xp.linalg.solve(xp.matrix_transpose(a), g), xp.matrix_transpose(y)),
        ),
        grads(op.solve, REGULAR, R),
    ),
    Mutant(
        "solve: b for y",
        *(
            Solve,
            "vjp_a",
            lambda self, xp, g, a, b: -xp.matmul(xp.linalg.solve(xp.matrix_transpose(a), g), xp.matrix_transpose(b)),
        ),
        grads(op.solve, REGULAR, R),
    ),
    Mutant(
        "solve: no sign, forward",
        *(Solve, "jvp_a", lambda self, xp, t, a, y: xp.linalg.solve(a, xp.matmul(t, y))),
        grads(op.solve, REGULAR, R),
    ),
    Mutant(
        "solve: a conjugate too many",
        *(Solve, "vjp_b", lambda self, xp, g, a: xp.linalg.solve(adjoint(xp, a), g)),
        grads(op.solve, A3, B3, order=1),
    ),
    Mutant(
        "cholesky: the diagonal not halved",
        Cholesky,
        "vjp_x",
        cholesky_full_diagonal,
        grads(symmetric(op.cholesky), Q, order=1),
    ),
    Mutant(
        "cholesky: no conjugate", Cholesky, "vjp_x", cholesky_without_conj, grads(symmetric(op.cholesky), A3, order=1)
    ),
    Mutant(
        "cholesky: not transposed, forward",
        *(Cholesky, "jvp_x", lambda self, xp, t, y: xp.matmul(half_lower(xp, xp.linalg.solve(y, t)), y)),
        grads(symmetric(op.cholesky), Q, order=1),
    ),
    Mutant(
        "eigh: sign",
        *(spectral.Eigh, "vjp_x", lambda self, xp, g, y: -spectral_rule(self, xp, g, y)),
        grads(symmetric(lambda a: op.linalg.eigh(a)[0]), Q, order=1),
    ),
    Mutant(
        "eigh: a conjugate too few",
        *(spectral.Eigh, "vjp_x", lambda self, xp, g, y: xp.conj(spectral_rule(self, xp, g, y))),
        grads(symmetric(lambda a: op.linalg.eigh(a)[0]), A3, order=1),
    ),
)


def other_padding(padding):
    return tuple((after, before) for before, after in padding)


def strides_exchanged(self, xp, g, x, w_spec):
    settings = (self.stride[::-1], self.padding, self.dilation, self.groups)
    return xp.conv_filter(x, g, self.own_shape(w_spec), *settings)


def paddings_exchanged(self, xp, g, x_spec, w):
    return xp.conv_input(
        g, w, self.own_shape(x_spec), self.stride, other_padding(self.padding), self.dilation, self.groups
    )


def kernel_upright(self, xp, g, x_spec, w):
    return xp.conv_input(g, w[..., ::-1, ::-1], self.own_shape(x_spec), *self.settings)


conv_rule = Conv.vjp_x

CONVOLUTIONS = (
    Mutant(
        "conv: strides exchanged",
        Conv,
        "vjp_w",
        strides_exchanged,
        grads(lambda w: convolved(numbers(17, 1, 2, 4, 4), w), KERNEL),
    ),
    Mutant("conv: paddings exchanged", Conv, "vjp_x", paddings_exchanged, grads(convolved, IMAGE, KERNEL)),
    Mutant("conv: the kernel turned", Conv, "vjp_x", kernel_upright, grads(convolved, IMAGE, KERNEL)),
    Mutant(
        "conv: a constant at order 2",
        *(Conv, "vjp_x", lambda self, xp, g, x_spec, w: conv_rule(self, xp, g, x_spec, value_of(w))),
        grads(convolved, IMAGE, KERNEL),
    ),
    Mutant(
        "conv_input: sign, seen at order 2",
        *(ConvInput, "vjp_h", lambda self, xp, g, w: -xp.conv(g, w, *self.settings)),
        grads(lambda x, w: op.square(convolved(x, w)), IMAGE, KERNEL),
    ),
    Mutant(
        "conv_filter: sign, seen at order 2",
        *(ConvFilter, "vjp_h", lambda self, xp, g, x: -xp.conv(x, g, *self.settings)),
        grads(lambda x, w: op.square(convolved(x, w)), IMAGE, KERNEL),
    ),
)

MUTANTS = REDUCTIONS + MOVES + PRODUCTS + CONVOLUTIONS
