"""Case table: losses, alignments (CTC) and chains of classes (CRF)."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import ShapeError

from .rows import Bad, Row, Sample, Special, apart, draw, nonzero, positive

inf, nan = np.inf, np.nan
A = np.array
LABELS = A([2, 0])
SCORES = draw("scores", (2, 3)).operands
WEIGHT = A([0.5, 1.0, 2.0])
NO_REDUCTION = {"reduction": "all"}


def shares(rng, shape, k=0):
    """From 0.3 to 0.7."""
    return rng.uniform(0.3, 0.7, shape)


def logs(rng, shape, k=0):
    """From log 0.3 to log 0.7."""
    return np.log(shares(rng, shape))


def further(rng, shape, k=0):
    """From 3 to 4: away from the other operands."""
    return rng.uniform(3, 4, shape)


def classified(name, *samples, labels=LABELS, **keywords):
    """A loss of scores (2, 3) and integer labels."""
    plain = [Sample((*SCORES, labels), s) for s in ({}, {"reduction": "none"})]
    empty = Sample((np.zeros((0, 3)), np.zeros(0, int)), {"reduction": "sum"})
    errors = (
        Bad((np.ones((2, 3)), A([3, 0])), IndexError, "3"),
        Bad((np.ones((2, 3)), A([-1, 0])), ValueError, "negative"),
        Bad((np.ones((2, 3)), A([0, 1, 2])), ShapeError, "(3,)"),
        Bad((np.ones((2, 3)), LABELS), ValueError, "'all'", NO_REDUCTION),
    )
    return Row(name, (*plain, *samples, empty), weak=False, errors=errors, **keywords)


def weighed(name):
    """``op.<name>`` with the weights of the classes behind the labels."""
    return lambda xp, x, t, w=None, **s: getattr(xp, name)(x, t, weight=w, **s)


SOFT = draw("soft", (2, 3), numbers=shares).operands
EXTREME = A([[1000.0, 0.0]])
CLASSES = (
    classified(
        "softmax_cross_entropy",
        Sample((*SCORES, LABELS, WEIGHT), {"label_smoothing": 0.2}),
        Sample((*SCORES, LABELS, WEIGHT), {"ignore_index": 0}),
        Sample((*SCORES, LABELS), {"ignore_index": -100, "reduction": "sum", "label_smoothing": 0.1}),
        Sample((*SCORES, *SOFT, WEIGHT)),
        Sample((*SCORES, *SOFT), {"axis": 0, "label_smoothing": 0.2, "reduction": "none"}),
        Sample((*SCORES, A([1, 0, 0])), {"axis": 0}),
        Sample((*draw("ce", (3,)).operands, A(1))),
        Sample((*draw("ce", (2, 2, 3)).operands, A([[0, 1], [2, 2]], "int32"))),
        run=weighed("softmax_cross_entropy"),
        integers=False,  # integers in place of probabilities are labels
        specials=(
            Special((EXTREME, A([1])), A(1.0), (A([[1.0, -1]]), None), value=A(1000.0), why="no overflow"),
            Special((EXTREME, A([[1.0, 0.0]])), A(1.0), (A([[0.0, 0]]), None), value=A(0.0), why="probabilities"),
            Special((A([[-inf, 0.0]]), A([0])), A(1.0), (A([[-1.0, 1]]), None), value=A(inf)),
            Special((A([[-inf, 0.0]]), A([[0.0, 1.0]])), A(1.0), (None, None), value=A(0.0), why="0 log 0"),
            Special((SCORES[0], A([7, 7])), A(1.0), (None, None), {"ignore_index": 7}, value=A(nan), why="of none"),
        ),
    ),
    classified("cross_entropy", run=weighed("cross_entropy"), integers=False),
    classified(
        "nll_loss",
        Sample((*SCORES, LABELS, WEIGHT)),
        Sample((*SCORES, LABELS), {"ignore_index": 2}),
        Sample((*SCORES, A([1, 0, 0])), {"axis": 0}),
        run=weighed("nll_loss"),
        integers=False,  # they stay integers
    ),
    classified(
        "focal_loss", Sample((*SCORES, LABELS, WEIGHT), {"gamma": 1.5}), run=weighed("focal_loss"), integers=False
    ),
    classified("hinge", Sample((*SCORES, LABELS), {"squared": True})),
    classified("multiclass_hinge", Sample((*SCORES, LABELS), {"margin": 0.7, "p": 2})),
)


def paired(name, *samples, numbers=apart, count=2, **keywords):
    """A loss of arrays of one shape."""
    shapes = ((2, 3),) * count
    plain = [draw(name, *shapes, numbers=numbers, **s) for s in ({}, {"reduction": "none"})]
    empty = draw(name, *((0, 3),) * count, numbers=numbers, reduction="sum")
    errors = (
        Bad((np.full((2, 3), 0.5), *(np.full((2, 1), 0.5),) * (count - 1)), ShapeError, "(2, 1)"),
        Bad((np.full((2, 3), 0.5),) * count, ValueError, "'all'", NO_REDUCTION),
    )
    keywords.setdefault("errors", errors)
    return Row(name, (*plain, *samples, empty), weak=False, **keywords)


SIGNS = A([[1.0, -1, 1], [-1, -1, 1]])
FAR = draw("far", (2, 3), (2, 3)).operands
BINARY = (
    paired(
        "sigmoid_cross_entropy",
        Sample((*draw("sce", (2, 3), (2, 3), numbers=(apart, shares)).operands, A([2.0, 0.5, 1]))),
        run=lambda xp, x, t, w=1.0, **s: xp.sigmoid_cross_entropy(x, t, weight=w, pos_weight=w, **s),
        numbers=(apart, shares),
        integers=False,
        specials=(
            Special((A([0.0]), A([0.25])), A(1.0), (A([0.25]), None), value=A(np.log(2))),
            Special((A([1000.0, -1000]), A([1.0, 0])), A(2.0), (A([0.0, 0]), None), value=A(0.0), why="far out"),
            Special((A([1000.0]), A([0.0])), A(1.0), (A([1.0]), None), value=A(1000.0)),
            Special((A([-40.0]), A([0.0])), A(1.0), (A([4.248354255291589e-18]), None), why="no cancellation"),
            Special((A([inf, -inf]), A([1.0, 0])), A(1.0), (A([0.0, 0]), None), value=A(0.0)),
        ),
    ),
    paired(
        "binary_cross_entropy",
        numbers=shares,
        integers=False,
        specials=(
            Special((A([0.0, 1]), A([0.0, 1])), A(2.0), (A([1.0, -1]), None), value=A(0.0), why="certain and right"),
            Special((A([0.0]), A([1.0])), A(1.0), (A([-inf]), None), value=A(inf), why="certain and wrong"),
        ),
    ),
    paired("bernoulli_nll", numbers=(shares, apart), integers=False),
    paired("sigmoid_focal_loss", numbers=(apart, shares), integers=False, tolerance=10),
    paired("dice_loss", draw("dice", (2, 2, 2), (2, 2, 2), numbers=shares), numbers=shares),
)

NUMBERS = (
    *[
        paired(name, specials=(Special((A([1.0, 2]), A([1.0, 4])), A(2.0), gradients, {"reduction": "sum"}),))
        for name, gradients in (
            ("squared_error", (A([0.0, -8]), A([0.0, 8]))),
            ("absolute_error", (A([0.0, -2]), A([0.0, 2]))),
            ("mean_absolute_error", (A([0.0, -2]), A([0.0, 2]))),
        )
    ],
    paired(
        "huber_loss",
        Sample(FAR, {"delta": 0.3}),
        specials=(
            Special(
                (A([-2.0, -1, 0, 0.5, 1, 3]), np.zeros(6)),
                A([2.0, 3, 4, 5, 6, 7]),
                (A([-2.0, -3, 0, 2.5, 6, 7]), None),
                {"reduction": "none"},
                A([1.5, 0.5, 0, 0.125, 0.5, 2.5]),
            ),
            Special((A([0.0]), A([0.0])), A(1.0), (A([0.0]), None), second=A([1.0]), why="smooth at 0"),
        ),
    ),
    paired(
        "smooth_l1",
        Sample(FAR, {"beta": 0.5}),
        Sample(FAR, {"beta": 0}),
        specials=(Special((A([0.0]), A([0.0])), A(1.0), (A([0.0]), None), second=A([1.0])),),
    ),
    paired(
        "log_cosh",
        specials=(
            Special((A([1000.0]), A([0.0])), A(1.0), (A([1.0]), A([-1.0])), value=A(1000 - np.log(2))),
            Special((A([0.0]), A([0.0])), A(1.0), (A([0.0]), None), second=A([1.0])),
        ),
    ),
    paired(
        "gaussian_nll",
        draw("gnll", (3,), (3,), (3,), numbers=(apart, apart, positive), full=True),
        numbers=(apart, apart, positive),
        count=3,
        integers=False,
        specials=(Special((A([2.0]), A([1.0]), A([0.0])), A(1.0), (A([1e6]), None, None), why="eps holds"),),
        errors=(
            Bad((np.ones((2, 3)), np.ones((2, 1)), np.ones(3)), ShapeError, "(2, 1)"),
            Bad((np.ones((2, 3)),) * 3, ValueError, "'all'", NO_REDUCTION),
        ),
    ),
    paired(
        "poisson_nll",
        draw("pnll", (3,), (3,), numbers=positive, log_input=False, full=True),
        numbers=(apart, positive),
        integers=False,
    ),
    paired("gaussian_kl_divergence"),
    paired(
        "kl_div",
        draw("kl", (2, 3), (2, 3), numbers=logs, log_target=True),
        draw("kl", (2, 3), (2, 3), numbers=(logs, shares), reduction="batchmean"),
        numbers=(logs, shares),
        integers=False,
        specials=(
            Special((A([-1.0, -2]), A([0.0, 1])), A(2.0), (A([0.0, -1]), A([1.0, 3])), value=A(1.0), why="0 log 0"),
        ),
    ),
)

ROWS_OF_3 = draw("vectors", (2, 3), (2, 3), numbers=nonzero).operands
DISTANCES = (
    paired("margin_ranking", Sample((*FAR, SIGNS), {"margin": 0.3}), count=3),
    paired("soft_margin", Sample((FAR[0], SIGNS), {"reduction": "sum"})),
    Row(
        "contrastive",
        (
            Sample((*ROWS_OF_3, A([1, 0])), {"margin": 9.0}),
            Sample((*ROWS_OF_3, A([0, 0])), {"reduction": "sum", "margin": 9.0}),
            Sample((np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int)), {"reduction": "sum"}),
        ),
        weak=False,
        specials=(Special((np.ones((1, 2)), np.ones((1, 2)), A([0])), A(2.0), (np.zeros((1, 2)), None, None)),),
        errors=(Bad((np.ones((2, 3)), np.ones((2, 2)), A([1, 0])), ShapeError, "(2, 2)"),),
    ),
    paired(
        "triplet",
        draw("triplet", (2, 3), (2, 3), (2, 3), numbers=(nonzero, nonzero, further), margin=9.0),
        draw("triplet", (2, 2), (2, 2), (2, 2), numbers=(nonzero, nonzero, further), margin=20.0, p=1, reduction="sum"),
        numbers=(nonzero, nonzero, further),
        count=3,
        tolerance=10,
    ),
    Row(
        "cosine_similarity",
        (
            draw("cosine", (2, 3), (2, 3), numbers=nonzero),
            draw("cosine", (2, 3), (2, 3), numbers=nonzero, axis=0),
            draw("cosine", (0, 3), (0, 3)),
        ),
        weak=False,
        tolerance=10,
        specials=(
            Special(
                (A([0.0, 0.0]), A([3.0, 4.0])), A(1.0), (A([6e7, 8e7]), A([0.0, 0])), value=A(0.0), why="no length"
            ),
        ),
        errors=(Bad((np.ones((2, 3)), np.ones(3)), ShapeError, "(3,)"),),
    ),
    Row(
        "cosine_embedding",
        (
            Sample((*ROWS_OF_3, A([1, -1])), {"margin": -0.9}),
            Sample((np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int)), {"reduction": "sum"}),
        ),
        weak=False,
        tolerance=10,
        errors=(Bad((np.ones((2, 3)), np.ones((2, 3)), A([1])), ShapeError, "(1,)"),),
    ),
    Row(
        "cross_covariance",
        (draw("xcov", (3, 2), (3, 1)), draw("xcov", (2, 0), (2, 1))),
        weak=False,
        errors=(Bad((np.ones((2, 3)), np.ones((3, 3))), ShapeError, "(3, 3)"),),
    ),
    Row(
        "decov",
        (draw("decov", (3, 2)), draw("decov", (2, 0))),
        weak=False,
        errors=(Bad((np.ones(3),), ShapeError, "(3,)"), Bad((np.ones((2, 2)) + 1j,), TypeError, "complex")),
    ),
)

FRAMES = draw("frames", (3, 2, 3), numbers=logs).operands
TWO = A([[1, 1], [2, 0]])
SEQUENCES = (
    Row(
        "ctc",
        (
            Sample((*draw("ctc", (2, 1, 2), numbers=logs).operands, A([[1]])), {"frames": [2], "counts": [1]}),
            Sample((*FRAMES, TWO), {"frames": [3, 2], "counts": [2, 1]}),
            Sample((*FRAMES, A([[1, 2], [0, 0]])), {"frames": [3, 2], "counts": [2, 0], "reduction": "none"}),
            Sample((*FRAMES, A([[0, 1], [1, -5]])), {"frames": [2, 3], "counts": [2, 1], "blank": 2}),
            Sample((np.zeros((2, 0, 3)), np.zeros((0, 1), int)), {"frames": [], "counts": [], "reduction": "sum"}),
        ),
        run=lambda xp, x, labels, frames, counts, **s: xp.ctc(x, labels, A(frames, int), A(counts, int), **s),
        weak=False,
        integers=False,
        tolerance=10,
        specials=(
            Special(
                (np.zeros((2, 1, 2)), A([[1, 1]])),
                A(3.0),
                (np.zeros((2, 1, 2)), None),
                {"frames": [2], "counts": [2]},
                A(inf),
                why="no alignment: two equal labels need a blank between them",
            ),
            Special(
                (np.zeros((2, 1, 2)), A([[1, 1]])),
                A(3.0),
                (np.zeros((2, 1, 2)), None),
                {"frames": [2], "counts": [2], "zero_infinity": True},
                A(0.0),
            ),
            Special(
                (A([[[-inf, 0.0]], [[0.0, -inf]]]), A([[1]])),
                A(1.0),
                (A([[[0.0, -1]], [[-1, 0]]]), None),
                {"frames": [2], "counts": [1]},
                A(0.0),
                why="certain frames",
            ),
        ),
        errors=(
            Bad((*FRAMES, A([[1, 0], [1, 1]])), ValueError, "the blank", {"frames": [3, 3], "counts": [2, 2]}),
            Bad((*FRAMES, A([[1, 3], [1, 1]])), IndexError, "3", {"frames": [3, 3], "counts": [2, 2]}),
            Bad((*FRAMES, A([[1, -1], [1, 1]])), ValueError, "negative", {"frames": [3, 3], "counts": [2, 2]}),
            Bad((*FRAMES, TWO), ValueError, "input_lengths", {"frames": [4, 3], "counts": [2, 1]}),
            Bad((*FRAMES, TWO), ValueError, "label_lengths", {"frames": [3, 3], "counts": [3, 1]}),
            Bad((*FRAMES, TWO), ShapeError, "2 integers", {"frames": [3], "counts": [2, 1]}),
            Bad((np.ones((3, 2)), TWO), ShapeError, "(3, 2)", {"frames": [3, 3], "counts": [2, 1]}),
        ),
    ),
    Row(
        "crf1d",
        (
            Sample((*draw("crf", (2, 2), (3, 1, 2)).operands, A([[0], [1], [1]]))),
            Sample((*draw("crf", (2, 2), (2, 2, 2)).operands, A([[0, 1], [1, 0]])), {"reduction": "none"}),
            Sample((np.zeros((2, 2)), np.zeros((2, 0, 2)), np.zeros((2, 0), int)), {"reduction": "sum"}),
        ),
        weak=False,
        tolerance=10,
        errors=(
            Bad((np.ones((2, 2)), np.ones((3, 1, 3)), np.zeros((3, 1), int)), ShapeError, "(3, 1, 3)"),
            Bad((np.ones((2, 2)), np.ones((3, 1, 2)), np.full((3, 1), 2)), IndexError, "2"),
        ),
    ),
    Row(
        "argmax_crf1d",
        (draw("viterbi", (3, 3), (4, 2, 3)), draw("viterbi", (2, 2), (1, 1, 2))),
        differentiable=False,
        errors=(Bad((np.ones((2, 2)), np.ones((3, 2))), ShapeError, "(3, 2)"),),
    ),
)

ROWS = (*CLASSES, *BINARY, *NUMBERS, *DISTANCES, *SEQUENCES)
