"""Loss modules: each is its function of ``op`` with settings, torch's loss where torch is installed, and refuses."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.layers import host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op

RNG = np.random.default_rng(0)
X, Y, Z = RNG.normal(size=(3, 4, 3))
P, T, V = RNG.uniform(0.1, 0.9, (3, 4, 3))
LABELS, SIGNS, WEIGHT = np.array([0, 2, 1, 2]), np.array([1.0, -1, -1, 1]), np.array([0.5, 1.0, 2.0])
FRAMES = np.log(P / P.sum(-1, keepdims=True))[:, None] + np.zeros((4, 2, 3))

# Ours; what op says; torch's name and settings, None where it has none; the arrays.
CASES = [
    (nn.CrossEntropyLoss(), op.cross_entropy, {}, ("CrossEntropyLoss", {}), (X, LABELS)),
    (
        nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2, ignore_index=0),
        op.cross_entropy,
        {"weight": WEIGHT, "label_smoothing": 0.2, "ignore_index": 0},
        ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.2, "ignore_index": 0}),
        (X, LABELS),
    ),
    (nn.CrossEntropyLoss(axis=0), op.cross_entropy, {"axis": 0}, None, (X.T, LABELS)),
    (nn.CrossEntropyLoss(), op.cross_entropy, {}, ("CrossEntropyLoss", {}), (X, P)),
    (
        nn.NLLLoss(weight=WEIGHT, ignore_index=1),
        op.nll_loss,
        {"weight": WEIGHT, "ignore_index": 1},
        ("NLLLoss", {"weight": WEIGHT, "ignore_index": 1}),
        (np.log(P), LABELS),
    ),
    (
        nn.BCEWithLogitsLoss(weight=WEIGHT, pos_weight=WEIGHT[::-1]),
        op.sigmoid_cross_entropy,
        {"weight": WEIGHT, "pos_weight": WEIGHT[::-1].copy()},
        ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT[::-1].copy()}),
        (X, T),
    ),
    (nn.BCELoss(weight=WEIGHT), op.binary_cross_entropy, {"weight": WEIGHT}, ("BCELoss", {"weight": WEIGHT}), (P, T)),
    (
        nn.MultiMarginLoss(margin=0.6, p=2),
        op.multiclass_hinge,
        {"margin": 0.6, "p": 2},
        ("MultiMarginLoss", {"margin": 0.6, "p": 2}),
        (X, LABELS),
    ),
    (nn.MSELoss(), op.mean_squared_error, {}, ("MSELoss", {}), (X, Y)),
    (nn.L1Loss(), op.mean_absolute_error, {}, ("L1Loss", {}), (X, Y)),
    (nn.HuberLoss(delta=0.7), op.huber_loss, {"delta": 0.7}, ("HuberLoss", {"delta": 0.7}), (X, Y)),
    (nn.SmoothL1Loss(beta=0.5), op.smooth_l1, {"beta": 0.5}, ("SmoothL1Loss", {"beta": 0.5}), (X, Y)),
    (nn.KLDivLoss(), op.kl_div, {}, ("KLDivLoss", {}), (np.log(P), T)),
    (
        nn.KLDivLoss("batchmean", log_target=True),
        op.kl_div,
        {"log_target": True},
        ("KLDivLoss", {"log_target": True}),
        (np.log(P), np.log(T)),
    ),
    (
        nn.GaussianNLLLoss(full=True, eps=0.3),
        op.gaussian_nll,
        {"full": True, "eps": 0.3},
        ("GaussianNLLLoss", {"full": True, "eps": 0.3}),
        (X, Y, V),
    ),
    (
        nn.PoissonNLLLoss(log_input=False, full=True, eps=0.01),
        op.poisson_nll,
        {"log_input": False, "full": True, "eps": 0.01},
        ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 0.01}),
        (P, 4 * T),
    ),
    (
        nn.TripletMarginLoss(margin=0.5, p=3, eps=1e-3),
        op.triplet,
        {"margin": 0.5, "p": 3, "eps": 1e-3},
        ("TripletMarginLoss", {"margin": 0.5, "p": 3, "eps": 1e-3}),
        (X, Y, Z),
    ),
    (
        nn.MarginRankingLoss(margin=0.3),
        op.margin_ranking,
        {"margin": 0.3},
        ("MarginRankingLoss", {"margin": 0.3}),
        (X[:, 0], Y[:, 0], SIGNS),
    ),
    (
        nn.CosineEmbeddingLoss(margin=-0.2),
        op.cosine_embedding,
        {"margin": -0.2},
        ("CosineEmbeddingLoss", {"margin": -0.2}),
        (X, Y, SIGNS),
    ),
    (nn.SoftMarginLoss(), op.soft_margin, {}, ("SoftMarginLoss", {}), (X[:, 0], SIGNS)),
    (
        nn.CTCLoss(blank=2, zero_infinity=True),
        op.ctc,
        {"blank": 2, "zero_infinity": True},
        ("CTCLoss", {"blank": 2, "zero_infinity": True}),
        (FRAMES, np.array([[0, 1], [1, 1]]), np.array([4, 3]), np.array([2, 1])),
    ),
]


def reduced(layer, reduction):
    layer.reduction = reduction
    return layer


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]))
def test_a_loss_is_the_function_with_its_settings(case):
    layer, f, settings, _, arrays = case
    for reduction in (layer.reduction, "sum", "none"):
        expected = f(*arrays, reduction=reduction, **settings)
        found = reduced(layer, reduction)(*arrays)
        np.testing.assert_array_equal(host(found), host(expected))
    reduced(layer, layer.reductions[-1] if layer.reductions[-1] == "batchmean" else "mean")


@pytest.mark.parametrize("case", [case for case in CASES if case[3]], ids=lambda case: repr(case[0]))
def test_a_loss_is_that_of_torch(case):
    torch = pytest.importorskip("torch", reason="torch is not installed here: nothing to compare with")
    layer, _, _, (name, settings), arrays = case
    settings = {key: torch.tensor(x) if isinstance(x, np.ndarray) else x for key, x in settings.items()}
    frames = name == "CTCLoss"  # torch's gradient is right behind a log_softmax alone
    for reduction in ("batchmean",) if "batchmean" in layer.reductions else ("mean", "sum", "none"):
        theirs = getattr(torch.nn, name)(reduction=reduction, **settings)
        first = torch.tensor(arrays[0], requires_grad=True)
        truth = theirs(first.log_softmax(-1) if frames else first, *(torch.tensor(x) for x in arrays[1:]))

        def ours(x, reduction=reduction):
            return reduced(layer, reduction)(op.log_softmax(x) if frames else x, *arrays[1:])

        y, pull = zk.vjp(ours, arrays[0])
        np.testing.assert_allclose(host(y), truth.detach().numpy(), rtol=1e-12, atol=1e-12)
        g = np.cos(np.arange(y.size)).reshape(y.shape)
        wanted = torch.autograd.grad(truth, first, torch.tensor(g))[0].numpy()
        np.testing.assert_allclose(pull(g)[0], wanted, rtol=1e-11, atol=1e-12)


def test_weights_of_classes_are_constants_that_move(backend):
    layer = nn.CrossEntropyLoss(weight=WEIGHT)
    expected = host(layer(X, LABELS))
    moved = layer.to(backend)
    assert backend.owns(layer.weight.value) and not layer.parameters()
    np.testing.assert_allclose(host(moved(backend.asarray(X), backend.asarray(LABELS))), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["numpy", pytest.param("jax", marks=pytest.mark.slow)])
def test_a_compiled_step_takes_a_loss(name):
    backends_here.get(name)
    criterion = nn.CrossEntropyLoss(weight=WEIGHT.astype("float32"), label_smoothing=0.1).to(name)
    model, other = (nn.Linear(3, 3, 0).to(each) for each in (name, "numpy"))
    x = X.astype("float32")
    step = zk.train.compiled_step(model, zk.optim.SGD(0.1), lambda m, x, y: criterion(m(x), y))
    value = host(step(x, LABELS))
    criterion.to("numpy")
    expected, grads = zk.value_and_grad(lambda m: criterion(m(x), LABELS))(other)
    zk.optim.SGD(0.1).update(other, grads)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(host(model.weight), host(other.weight), rtol=1e-5, atol=1e-6)


def test_settings_are_shown():
    assert repr(nn.MSELoss()) == "MSELoss()" and repr(nn.L1Loss("sum")) == "L1Loss(reduction='sum')"
    assert repr(nn.CrossEntropyLoss(axis=1, ignore_index=-100)) == "CrossEntropyLoss(axis=1, ignore_index=-100)"
    shown = repr(nn.NLLLoss(weight=WEIGHT))
    assert shown == "NLLLoss(weight=Constant('weight', shape=(3,), dtype=float64))"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.MSELoss("average"), ValueError, "one of mean, sum, none"),
        (lambda: nn.MSELoss("batchmean"), ValueError, "reduction is unknown"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), ValueError, "label_smoothing is out of range"),
        (lambda: nn.CrossEntropyLoss(axis="1"), TypeError, "axis is not an int"),
        (lambda: nn.HuberLoss(delta=0), ValueError, "above 0"),
        (lambda: nn.SmoothL1Loss(beta=-1), ValueError, "beta is out of range"),
        (lambda: nn.MultiMarginLoss(p=3), ValueError, "1 or 2"),
        (lambda: nn.CTCLoss(blank=-1), ValueError, "blank is too small"),
        (lambda: nn.MSELoss()(X, Y[:1]), ShapeError, "shapes differ"),
        (lambda: nn.CrossEntropyLoss()(X, LABELS[:2]), ShapeError, "do not fit"),
        (lambda: nn.CrossEntropyLoss()(X), TypeError, "targets"),
        (lambda: nn.CrossEntropyLoss()(X, LABELS + 5), IndexError, "label"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
