"""Neural-network operations give what torch gives, values and gradients, where torch is installed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import op

torch = pytest.importorskip("torch", reason="torch is not installed here: nothing to compare with")
F = torch.nn.functional
RNG = np.random.default_rng(0)


def n(*shape):
    return RNG.normal(size=shape)


def u(*shape, low=0.1, high=0.9):
    return RNG.uniform(low, high, shape)


def same(ours, theirs, *arrays):
    """Values and gradients of two functions of arrays agree in double precision."""
    y, pull = zk.vjp(ours, *arrays)
    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    truth = theirs(*xs)
    assert np.shape(y) == tuple(truth.shape)
    np.testing.assert_allclose(y, truth.detach().numpy(), rtol=1e-10, atol=1e-10)
    g = np.asarray(RNG.normal(size=np.shape(y)))
    wanted = torch.autograd.grad(truth, xs, torch.tensor(g), allow_unused=True)
    for ours_, theirs_ in zip(pull(g), wanted, strict=True):
        expected = np.zeros(np.shape(ours_)) if theirs_ is None else theirs_.numpy()
        np.testing.assert_allclose(ours_, expected, rtol=1e-9, atol=1e-10)


SETTINGS = tuple(itertools.product((2, 3), (1, 2, 3), (0, 1), (1, 2), (False, True)))


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "ceil"), SETTINGS)
def test_pools(kernel, stride, padding, dilation, ceil):
    x, options = n(2, 1, 7, 6), (kernel, stride, padding, dilation, ceil)
    same(lambda x: op.max_pool(x, *options), lambda x: F.max_pool2d(x, *options), x)
    y, where = op.max_pool(x, *options, return_indices=True)
    truth = F.max_pool2d(torch.tensor(x), *options, return_indices=True)[1]
    np.testing.assert_array_equal(where.value, truth.numpy())
    if dilation == 1:
        for counted in (True, False):
            options = (kernel, stride, padding, ceil, counted)
            same(lambda x: op.average_pool(x, *options), lambda x: F.avg_pool2d(x, *options), x)  # noqa: B023


@pytest.mark.parametrize("size", [(3, 2), (4, 5), (7, 1), (9, 8)])
def test_adaptive_pools(size):
    x = n(1, 2, 7, 6)
    same(lambda x: op.adaptive_average_pool(x, size), lambda x: F.adaptive_avg_pool2d(x, size), x)
    same(lambda x: op.adaptive_max_pool(x, size), lambda x: F.adaptive_max_pool2d(x, size), x)


def test_other_pools_and_columns():
    x = n(1, 2, 5, 6)
    same(lambda x: op.lp_pool(x, 3, 2), lambda x: F.lp_pool2d(x, 3, 2), np.abs(x))
    same(lambda x: op.unfold(x, (2, 3), 2, 1, 2), lambda x: F.unfold(x, (2, 3), 2, 1, 2), x)
    same(
        lambda x: op.fold(x, (5, 6), (2, 3), (1, 2), (0, 1)),
        lambda x: F.fold(x, (5, 6), (2, 3), 1, (0, 1), (1, 2)),
        n(1, 12, 12),
    )
    ours = op.max_unpool(*op.max_pool(x, 2, return_indices=True), (5, 6))
    truth = F.max_unpool2d(*F.max_pool2d(torch.tensor(x), 2, return_indices=True), 2, output_size=(5, 6))
    np.testing.assert_array_equal(ours.value, truth.numpy())


def test_convolutions():
    x, w = n(2, 4, 5, 6), n(6, 2, 3, 2)
    same(
        lambda x, w: op.conv2d(x, w, 2, (1, 2), (2, 1), 2),
        lambda x, w: F.conv2d(x, w, None, 2, (1, 2), (2, 1), 2),
        x,
        w,
    )
    same(
        lambda x, w: op.conv1d(x, w, padding="same"),
        lambda x, w: F.conv1d(x, w, padding="same"),
        n(2, 1, 5),
        n(2, 1, 3),
    )
    same(lambda x, w: op.conv3d(x, w), lambda x, w: F.conv3d(x, w), n(1, 2, 3, 3, 2), n(1, 2, 2, 1, 2))
    options = (
        2,
        1,
        1,
        2,
        2,
    )  # stride, padding, output padding, then dilation and groups, which torch has the other way
    for a, b in ((n(1, 4, 3, 2), n(4, 3, 3, 2)), (n(2, 2, 4), n(2, 1, 2))):
        axes = a.ndim - 2
        theirs = (F.conv_transpose1d, F.conv_transpose2d)[axes - 1]
        same(lambda a, b: op.conv_transpose(a, b, *options), lambda a, b, f=theirs: f(a, b, None, 2, 1, 1, 2, 2), a, b)
    same(
        lambda x, w: op.depthwise_conv(x, w, padding=1),
        lambda x, w: F.conv2d(x, w.reshape(8, 1, 3, 2), padding=1, groups=4),
        *(x, n(4, 2, 3, 2)),
    )


@pytest.mark.parametrize("size", [(6, 8), (5, 3), (2, 7)])
def test_interpolation(size):
    x = n(1, 2, 3, 4)
    for mode, name in (("nearest", "nearest"), ("nearest-exact", "nearest-exact"), ("area", "area")):
        same(lambda x: op.interpolate(x, size, mode=mode), lambda x: F.interpolate(x, size, mode=name), x)  # noqa: B023
    for mode, corners in itertools.product(("bilinear", "bicubic"), (False, True)):
        settings = {"mode": mode, "align_corners": corners}
        same(lambda x: op.interpolate(x, size, **settings), lambda x: F.interpolate(x, size, **settings), x)  # noqa: B023


def test_shuffles_and_grids():
    same(lambda x: op.pixel_shuffle(x, 2), lambda x: F.pixel_shuffle(x, 2), n(1, 8, 2, 3))
    same(lambda x: op.pixel_unshuffle(x, 2), lambda x: F.pixel_unshuffle(x, 2), n(1, 2, 4, 2))
    for corners in (False, True):
        for theta, size in ((n(2, 2, 3), (2, 1, 3, 2)), (n(1, 3, 4), (1, 1, 3, 2, 2))):
            same(
                lambda t: op.affine_grid(t, size, corners),  # noqa: B023
                lambda t: F.affine_grid(t, size, align_corners=corners),  # noqa: B023
                theta,
            )


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("corners", [False, True])
def test_grid_sample(padding, mode, corners):
    for x, grid in (
        (n(2, 2, 3, 4), u(2, 3, 2, 2, low=-1.7, high=1.7)),
        (n(1, 1, 2, 3, 2), u(1, 2, 1, 2, 3, low=-1.7, high=1.7)),
    ):
        same(
            lambda x, g: op.grid_sample(x, g, mode, padding, corners),
            lambda x, g: F.grid_sample(x, g, mode, padding, corners),
            *(x, grid),
        )


def test_normalisation():
    x, w, b = n(3, 4, 2, 2), n(4), n(4)
    same(lambda x, w, b: op.batch_norm(x, w, b), lambda x, w, b: F.batch_norm(x, None, None, w, b, True), x, w, b)
    mean, variance = n(4), u(4)
    same(
        lambda x, w, b: op.batch_norm_eval(x, mean, variance, w, b),
        lambda x, w, b: F.batch_norm(x, torch.tensor(mean), torch.tensor(variance), w, b, False),
        *(x, w, b),
    )
    same(lambda x, w, b: op.group_norm(x, 2, w, b), lambda x, w, b: F.group_norm(x, 2, w, b), x, w, b)
    same(lambda x, w, b: op.instance_norm(x, w, b), lambda x, w, b: F.instance_norm(x, None, None, w, b), x, w, b)
    w, b = n(2, 3), n(2, 3)
    same(
        lambda x, w, b: op.layer_norm(x, w, b, axis=(-2, -1)),
        lambda x, w, b: F.layer_norm(x, (2, 3), w, b),
        n(2, 2, 3),
        w,
        b,
    )
    same(lambda x, w: op.rms_norm(x, w), lambda x, w: F.rms_norm(x, (4,), w, 1e-5), n(3, 4), n(4))
    same(lambda x: op.normalize(x), lambda x: F.normalize(x, dim=-1), n(3, 4))
    for size in (3, 4):
        settings = (size, 0.1, 0.75, 1.0)
        same(lambda x: op.local_response_norm(x, *settings), lambda x: F.local_response_norm(x, *settings), x)  # noqa: B023


def test_weight_and_spectral_norm():
    v, g = n(3, 2, 2), n(3)
    same(lambda v, g: op.weight_norm(v, g), lambda v, g: torch._weight_norm(v, g.reshape(3, 1, 1)), v, g)
    w, u0 = n(4, 3), n(4)

    def theirs(w):
        left = torch.tensor(u0)
        with torch.no_grad():
            right = F.normalize(w.T @ left, dim=0)
            for _ in range(3):
                left = F.normalize(w @ right, dim=0)
                right = F.normalize(w.T @ left, dim=0)
        return w / (left @ w @ right)

    same(lambda w: op.spectral_norm(w, u0, 3)[0], theirs, w)
    normed = np.asarray(op.spectral_norm(w, u0, 100)[0].value)
    np.testing.assert_allclose(np.linalg.norm(normed, 2), 1, rtol=1e-9)


def test_attention():
    q, k, v = n(2, 3, 4), n(2, 5, 4), n(2, 5, 2)
    ours, theirs = op.scaled_dot_product_attention, F.scaled_dot_product_attention
    mask = np.array([[1, 1, 0, 1, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    added = np.where(mask, n(3, 5), -np.inf)
    same(ours, theirs, q, k, v)
    same(lambda *x: ours(*x, mask), lambda *x: theirs(*x, torch.tensor(mask)), q, k, v)
    same(lambda *x: ours(*x, added), lambda *x: theirs(*x, torch.tensor(added)), q, k, v)
    same(
        lambda *x: ours(*x, causal=True, scale=0.3),
        lambda *x: theirs(*x, is_causal=True, scale=0.3),
        q,
        k[:, :3],
        v[:, :3],
    )


def test_multi_head_attention():
    def theirs(x, *wb):
        w, b, x = wb[:4], wb[4:], x.transpose(0, 1)
        whole = torch.cat([a.T for a in w[:3]]), torch.cat(b[:3])
        y, _ = F.multi_head_attention_forward(
            *(x, x, x, 4, 2, *whole, None, None, False, 0.0, w[3].T, b[3]), need_weights=False
        )
        return y.transpose(0, 1)

    weights = [n(4, 4) for _ in range(4)], [n(4) for _ in range(4)]
    same(
        lambda x, *wb: op.multi_head_attention(x, x, x, wb[:4], wb[4:], heads=2),
        theirs,
        n(2, 3, 4),
        *weights[0],
        *weights[1],
    )


def test_embeddings_and_bilinear():
    w, rows = n(5, 3), np.array([[0, 2], [2, 4]])
    index = torch.tensor(rows)
    same(lambda w: op.embedding(w, rows, 2), lambda w: F.embedding(index, w, 2), w)
    for mode in ("sum", "mean", "max"):
        same(
            lambda w: op.embedding_bag(w, rows, mode, 2),  # noqa: B023
            lambda w: F.embedding_bag(index, w, mode=mode, padding_idx=2),  # noqa: B023
            w,
        )
    same(op.bilinear, F.bilinear, n(2, 3), n(2, 2), n(4, 3, 2), n(4))


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("LSTM", 4), ("GRU", 3)])
def test_recurrent_networks(kind, gates):
    module = getattr(torch.nn, kind)(2, 3).double()
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]

    def theirs(x, h, w_x, w_h, b, b_h):
        state = (h[None], h[None] * 0.5) if kind == "LSTM" else h[None]
        given = dict(zip(names, (w_x.T, w_h.T, b, b_h), strict=True))
        return torch.func.functional_call(module, given, (x, state))[0]

    def ours(x, h, w_x, w_h, b, b_h):
        if kind == "GRU":
            return op.gru(x, h, w_x, w_h, b, b_h)[0]
        if kind == "LSTM":
            return op.lstm(x, (h, h * 0.5), w_x, w_h, b + b_h)[0]
        return op.rnn(x, h, w_x, w_h, b + b_h)[0]

    same(ours, theirs, n(4, 2, 2), n(2, 3), n(2, 3 * gates), n(3, 3 * gates), n(3 * gates), n(3 * gates))


LABELS = np.array([0, 2, 1, 2])
REDUCTIONS = pytest.mark.parametrize("r", ["mean", "sum", "none"])


@REDUCTIONS
def test_losses_of_classes(r):
    x, labels, w = n(4, 3), torch.tensor(LABELS), u(3)
    for smooth, weight, ignored in itertools.product((0.0, 0.2), (None, w), (None, 2)):
        ours = {"weight": weight, "label_smoothing": smooth, "ignore_index": ignored}
        theirs = {
            "weight": None if weight is None else torch.tensor(weight),
            "label_smoothing": smooth,
            "ignore_index": -100 if ignored is None else ignored,
        }
        same(
            lambda x: op.cross_entropy(x, LABELS, r, **ours),  # noqa: B023
            lambda x: F.cross_entropy(x, labels, reduction=r, **theirs),  # noqa: B023
            x,
        )
    p = u(4, 3)
    p = p / p.sum(-1, keepdims=True)
    same(
        lambda x, p: op.cross_entropy(x, p, r, weight=w, label_smoothing=0.2),
        lambda x, p: F.cross_entropy(x, p, torch.tensor(w), reduction=r, label_smoothing=0.2),
        *(x, p),
    )
    same(
        lambda x: op.nll_loss(x, LABELS, r, weight=w, ignore_index=2),
        lambda x: F.nll_loss(x, labels, torch.tensor(w), reduction=r, ignore_index=2),
        np.log(p),
    )
    for power in (1, 2):
        same(
            lambda x: op.multiclass_hinge(x, LABELS, r, margin=0.6, p=power),  # noqa: B023
            lambda x: F.multi_margin_loss(x, labels, p=power, margin=0.6, reduction=r),  # noqa: B023
            x,
        )


@REDUCTIONS
@pytest.mark.filterwarnings("ignore:reduction")
def test_losses_of_numbers(r):
    x, t, p, w, s = n(4, 3), u(4, 3), u(4, 3), u(3), np.sign(n(4, 3))
    signs, target, log_p = torch.tensor(s), torch.tensor(t), np.log(u(4, 3))
    same(
        lambda x, t: op.sigmoid_cross_entropy(x, t, r, pos_weight=w),
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=r, pos_weight=torch.tensor(w)),
        *(x, t),
    )
    same(lambda p: op.binary_cross_entropy(p, t, r), lambda p: F.binary_cross_entropy(p, target, reduction=r), p)
    same(lambda x, t: op.huber_loss(x, t, r, delta=0.7), lambda x, t: F.huber_loss(x, t, reduction=r, delta=0.7), x, t)
    same(lambda x, t: op.smooth_l1(x, t, r, beta=0.7), lambda x, t: F.smooth_l1_loss(x, t, reduction=r, beta=0.7), x, t)
    same(lambda x, t: op.mean_squared_error(x, t, r), lambda x, t: F.mse_loss(x, t, reduction=r), x, t)
    same(lambda x, t: op.mean_absolute_error(x, t, r), lambda x, t: F.l1_loss(x, t, reduction=r), x, t)
    same(
        lambda x, t, v: op.gaussian_nll(x, t, v, r, full=True),
        lambda x, t, v: F.gaussian_nll_loss(x, t, v, reduction=r, full=True),
        *(x, t, p),
    )
    same(
        lambda x, t: op.poisson_nll(x, t, r, full=True),
        lambda x, t: F.poisson_nll_loss(x, t, reduction=r, full=True),
        *(x, 3 * t),
    )
    same(lambda x, t: op.kl_div(x, t, r), lambda x, t: F.kl_div(x, t, reduction=r), log_p, p)
    same(lambda x: op.soft_margin(x, s, r), lambda x: F.soft_margin_loss(x, signs, reduction=r), x)
    same(
        lambda x, y: op.margin_ranking(x, y, s, r, margin=0.3),
        lambda x, y: F.margin_ranking_loss(x, y, signs, margin=0.3, reduction=r),
        *(x, t),
    )
    same(lambda *x: op.triplet(*x, r), lambda *x: F.triplet_margin_loss(*x, reduction=r), x, n(4, 3), n(4, 3))
    same(op.cosine_similarity, lambda a, b: F.cosine_similarity(a, b, dim=-1), x, n(4, 3))
    same(
        lambda a, b: op.cosine_embedding(a, b, s[:, 0], r),
        lambda a, b: F.cosine_embedding_loss(a, b, signs[:, 0], reduction=r),
        *(x, n(4, 3)),
    )


@REDUCTIONS
def test_ctc(r):
    labels = np.array([[1, 1, 2], [3, 4, 0], [2, 1, 1], [1, 2, 3]])
    lengths = [6, 4, 2, 5], [3, 2, 1, 0]
    for zero in (False, True):
        same(
            lambda x: op.ctc(op.log_softmax(x), labels, *lengths, reduction=r, zero_infinity=zero),  # noqa: B023
            lambda x: F.ctc_loss(F.log_softmax(x, -1), torch.tensor(labels), *lengths, reduction=r, zero_infinity=zero),  # noqa: B023
            n(6, 4, 5),
        )
