"""Case table: normalisation, attention, embeddings, noise, control of cotangents."""

from __future__ import annotations

import numpy as np

from zkynet import Generator
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError

from .rows import Bad, Row, Sample, Special, apart, draw, positive

inf, nan = np.inf, np.nan
A = np.array
IMAGE = np.ones((1, 2, 3))
COMPLEX = Bad((np.ones((2, 3)) + 1j,), TypeError, "complex")


def statistics(name, *samples, errors=(), wrong=3, **keywords):
    """A normalisation of x, with a weight of the size ``wrong`` for IMAGE refused."""
    refused = Bad((IMAGE, np.ones(wrong)), ShapeError, f"({wrong},)")
    return Row(name, samples, weak=False, errors=(refused, *errors), tolerance=10, **keywords)


def held(w, u, v, g):
    """The derivative of <g, w / (u w v)> by w where u and v are constants."""
    sigma = u @ w @ v
    return g / sigma - np.sum(g * w) / sigma**2 * np.outer(u, v)


SEEN, SENT = A([[0.0], [1.0], [5.0]]), A([[1.0], [3.0], [-2.0]])  # mean 2, variance 14 / 3, for batch_renorm
APART = (SEEN - 2) / np.sqrt(14 / 3 + 1e-5)
FLAT = np.sqrt(14 / 3 + 1e-5) / np.sqrt(4 + 1e-5)  # r of a running variance of 4
TALL, START = A([[2.0, 0.5], [-1.0, 1.5]]), A([1.0, 0.0])
RIGHT_VECTOR = START @ TALL / np.linalg.norm(START @ TALL)
for _ in range(2):
    LEFT_VECTOR = TALL @ RIGHT_VECTOR / np.linalg.norm(TALL @ RIGHT_VECTOR)
    RIGHT_VECTOR = LEFT_VECTOR @ TALL / np.linalg.norm(LEFT_VECTOR @ TALL)

# x, weight and bias: the layer's own arrays stand behind x.
NORMALISATION = (
    Row(
        "standardize",
        (draw("standardize", (2, 3)), draw("standardize", (2, 2, 2), axis=(0, 2)), draw("standardize", (0, 3))),
        weak=False,
        tolerance=10,
        errors=(COMPLEX,),
        specials=(Special((A([2.0, 2.0]),), A([1.0, 3.0]), (A([-1.0, 1]) / np.sqrt(1e-5),), value=A([0.0, 0])),),
    ),
    statistics(
        "batch_norm",
        draw("batch_norm", (3, 2), eps=0.1),
        draw("batch_norm", (2, 2, 2), (2,), (2,), eps=0.1),
        draw("batch_norm", (3, 1), return_statistics=True, eps=0.1),
        draw("batch_norm", (2, 0)),
        errors=(
            Bad((np.ones((1, 2)),), ValueError, "one value per channel"),
            Bad((np.ones((1, 2, 1)),), ValueError, "2 values"),
            Bad((np.ones(3),), ShapeError, "(3,)"),
        ),
    ),
    Row(
        "batch_norm_eval",
        (
            draw("eval", (2, 2), (2,), (2,), numbers=(apart, apart, positive)),
            draw("eval", (1, 2, 2), (2,), (2,), (2,), (2,), numbers=(apart, apart, positive, apart, apart)),
            draw("eval", (0, 2), (2,), (2,), numbers=(apart, apart, positive)),
        ),
        weak=False,
        integers=False,
        errors=(Bad((IMAGE, np.ones(2), np.ones(3)), ShapeError, "variance has shape (3,)"),),
    ),
    Row(
        "batch_renorm",
        (
            draw("renorm", (3, 2), (2,), (2,), numbers=(apart, apart, positive), rmax=1.0, dmax=0.0),
            draw("renorm", (2, 0), (0,), (0,), numbers=(apart, apart, positive), rmax=1.0, dmax=0.0),
        ),
        specials=(
            Special(
                (SEEN, A([1.0]), A([4.0])),
                SENT,
                (
                    FLAT * (SENT - SENT.mean() - APART * (SENT * APART).mean()) / np.sqrt(14 / 3 + 1e-5),
                    A([0.0]),
                    A([0.0]),
                ),
                value=APART * FLAT + 1 / np.sqrt(4 + 1e-5),
                why="r and d are constants",
            ),
            Special(
                (SEEN, A([-9.0]), A([400.0])), SENT, (None, None, None), {"rmax": 2.0, "dmax": 0.25}, APART / 2 + 0.25
            ),
        ),
        weak=False,
        integers=False,
        tolerance=10,
        errors=(Bad((np.ones((2, 2)), np.ones(3), np.ones(2)), ShapeError, "running_mean has shape (3,)"),),
    ),
    statistics(
        "layer_norm",
        draw("layer_norm", (2, 3), (3,), (3,)),
        draw("layer_norm", (1, 2, 2), (2, 2), axis=(1, 2)),
        draw("layer_norm", (2, 3), axis=0),
        draw("layer_norm", (0, 3)),
        wrong=2,
        specials=(
            Special((A([[3.0], [4.0]]),), A([[2.0], [3.0]]), (A([[0.0], [0]]),), value=A([[0.0], [0]]), why="of one"),
            Special((A([2.0, 2.0]),), A([2.0, 4.0]), (A([-1.0, 1]) / np.sqrt(1e-5),), value=A([0.0, 0])),
        ),
        errors=(COMPLEX,),
    ),
    Row(
        "group_norm",
        (
            draw("group_norm", (1, 4, 1), (4,), (4,), groups=2),
            draw("group_norm", (2, 2, 2), groups=1),
            draw("group_norm", (0, 2), groups=1),
        ),
        run=lambda xp, x, w=None, b=None, *, groups: xp.group_norm(x, groups, w, b),
        weak=False,
        tolerance=10,
        errors=(
            Bad((np.ones((2, 3, 2)),), ShapeError, "3 channels", {"groups": 2}),
            Bad((np.ones((2, 4)), np.ones(3)), ShapeError, "weight has shape (3,)", {"groups": 2}),
        ),
    ),
    statistics(
        "instance_norm",
        draw("instance_norm", (1, 2, 3), (2,), (2,)),
        draw("instance_norm", (2, 1, 2, 2)),
        draw("instance_norm", (0, 2, 2)),
        errors=(Bad((np.ones((3, 2, 1)),), ValueError, "one value per channel"),),
    ),
    statistics(
        "rms_norm",
        draw("rms_norm", (2, 3), (3,)),
        draw("rms_norm", (2, 2, 2), (2, 2), axis=(2, 0)),
        draw("rms_norm", (0, 3)),
        wrong=2,
        specials=(Special((A([0.0, 0.0]),), A([1.0, 2.0]), (A([1.0, 2]) / np.sqrt(1e-5),), value=A([0.0, 0])),),
        errors=(Bad((np.ones((2, 3)), np.ones(2)), ShapeError, "weight has shape (2,)"), COMPLEX),
    ),
    Row(
        "local_response_norm",
        (
            draw("lrn", (1, 4, 2), size=3, alpha=0.5),
            draw("lrn", (2, 3), size=2, alpha=0.5, beta=0.5, k=1.0),
            draw("lrn", (0, 3), size=3),
        ),
        weak=False,
        errors=(Bad((np.ones(3),), ShapeError, "(3,)"),),
    ),
    Row(
        "normalize",
        (draw("normalize", (2, 3)), draw("normalize", (2, 3), axis=0, ord=1), draw("normalize", (0, 3))),
        weak=False,
        specials=(Special((A([0.0, 0.0]),), A([1.0, 2.0]), (None,), value=A([0.0, 0])),),
    ),
    Row(
        "weight_norm",
        (
            draw("weight_norm", (2, 3), (2,)),
            draw("weight_norm", (2, 3), (3,), axis=-1),
            draw("weight_norm", (0, 3), (0,)),
        ),
        weak=False,
        errors=(Bad((np.ones((2, 3)), np.ones(3)), ShapeError, "g has shape (3,)"),),
    ),
    Row(
        "weight_standardization",
        (draw("weight_std", (2, 3)), draw("weight_std", (2, 2, 2)), draw("weight_std", (0, 3))),
        weak=False,
        tolerance=10,
    ),
    Row(  # of one number: only there is the estimate a constant multiple of it, with the derivative that is defined
        "spectral_norm",
        (Sample((A([[-1.5]]), A([0.7]))), Sample((np.zeros((0, 2)), np.zeros(0))), Sample((A([[[2.5]]]), A([-1.0])))),
        run=lambda xp, w, u, steps=1: xp.spectral_norm(w, u, steps)[0],
        specials=(
            Special(
                (TALL, START),
                A([[1.0, -2], [0.5, 3]]),
                (held(TALL, LEFT_VECTOR, RIGHT_VECTOR, A([[1.0, -2], [0.5, 3]])), A([0.0, 0])),
                {"steps": 2},
                TALL / (LEFT_VECTOR @ TALL @ RIGHT_VECTOR),
                why="the vectors are constants",
            ),
        ),
        weak=False,
        errors=(Bad((np.ones((2, 3)), np.ones(3)), ShapeError, "u has shape (3,)"),),
    ),
)

MASK = A([[True, False, True], [False, False, False]])
BIAS = A([[0.5, -inf, 0.25], [-inf, -inf, -inf]])
ATTENTION = (
    Row(
        "masked_softmax",
        (
            Sample((*draw("masked", (2, 3)).operands, MASK)),
            Sample((*draw("masked", (2, 2, 3)).operands, MASK[:, :1]), {"axis": 1}),
            Sample((np.zeros((0, 3)), np.ones(3, bool))),
        ),
        weak=False,
        specials=(
            Special(
                (A([nan, 1.0, inf, 1.0]), A([False, True, False, True])),
                A([inf, 1.0, nan, 3.0]),
                (A([0.0, -0.5, 0, 0.5]), None),
                value=A([0.0, 0.5, 0, 0.5]),
                why="what is masked neither sends nor receives",
            ),
            Special((A([1.0, 2.0]), A([False, False])), A([1.0, 2]), (A([0.0, 0]), None), value=A([0.0, 0])),
            Special((A([1000.0, 0.0]), A([True, True])), A([1.0, 2]), (A([0.0, 0]), None), value=A([1.0, 0])),
        ),
        errors=(
            Bad((np.ones((2, 3)), np.ones(3)), TypeError, "boolean"),
            Bad((np.ones((2, 3)), np.ones(2, bool)), ShapeError, "(2,)"),
        ),
    ),
    Row(
        "scaled_dot_product_attention",
        (
            draw("attention", (2, 2), (3, 2), (3, 1)),
            Sample((*draw("attention", (2, 2), (3, 2), (3, 2)).operands, MASK)),
            Sample((*draw("attention", (2, 2), (3, 2), (3, 2)).operands, BIAS[:1]), {"scale": 0.7}),
            draw("attention", (2, 3, 1), (2, 3, 1), (2, 3, 1), causal=True),
            draw("attention", (2, 2, 2), (3, 2), (3, 1)),
            draw("attention", (2, 2), (3, 2), (3, 1), causal=True),
            Sample((*draw("attention", (2, 2), (3, 2), (3, 2)).operands, MASK[:1]), {"causal": True}),
            draw("attention", (0, 2, 2), (0, 3, 2), (0, 3, 1)),
        ),
        weak=False,
        integers=False,
        specials=(
            Special(
                (np.ones((2, 1)), np.ones((3, 1)), A([[1.0], [2.0], [4.0]]), MASK),
                A([[2.0], [3.0]]),
                (A([[0.0], [0]]), A([[-1.5], [0], [1.5]]), A([[1.0], [0], [1]]), None),
                value=A([[2.5], [0]]),
                why="a query that may look nowhere",
            ),
        ),
        errors=(
            Bad((np.ones((2, 3)), np.ones((3, 2)), np.ones((3, 1))), ShapeError, "query (2, 3)"),
            Bad((np.ones((2, 2)), np.ones((3, 2)), np.ones((2, 1))), ShapeError, "value (2, 1)"),
        ),
    ),
    Row(
        "multi_head_attention",
        (
            draw("heads", (2, 2), (3, 2), *((2, 2),) * 4),
            draw("heads", (1, 2, 2), (1, 2, 2), *((2, 2),) * 4, causal=True),
            draw("heads", (2, 2), (3, 2), *((2, 2),) * 4, mask=MASK[:1]),
            draw("heads", (2, 1), (3, 1), *((1, 2),) * 3, (2, 1), *((2,),) * 3, (1,)),
            draw("heads", (0, 2, 2), (0, 3, 2), *((2, 2),) * 4),
        ),
        run=lambda xp, q, k, *w, **s: xp.multi_head_attention(q, k, k, w[:4], w[4:] or None, heads=2, **s),
        weak=False,
        tolerance=10,
        errors=(
            Bad((np.ones((2, 2)), np.ones((3, 2)), *[np.ones((2, 3))] * 3, np.ones((3, 2))), ShapeError, "2 heads"),
            Bad((np.ones((2, 2)), np.ones((3, 2)), np.ones((2, 2))), ValueError, "4 weights"),
        ),
    ),
    Row(
        "rotary_embedding",
        (
            draw("rotary", (3, 4)),
            draw("rotary", (1, 2, 4), positions=[5, 2], base=100.0, interleaved=True),
            draw("rotary", (0, 2, 2)),
        ),
        weak=False,
        errors=(
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)"),
            Bad((np.ones((2, 2)),), ShapeError, "3 positions", {"positions": [0, 1, 2]}),
        ),
    ),
    Row(
        "embedding",
        (
            Sample((*draw("embedding", (4, 2)).operands, A([[0, 3], [3, 1]]))),
            Sample((*draw("embedding", (4, 2)).operands, A(2))),
            Sample((np.zeros((2, 0)), A([1]))),
        ),
        weak=False,
        complex=True,
        specials=tuple(
            Special(
                (np.ones((3, 1)), A([0, 2, 2])),
                A([[1.0], [2], [4]]),
                (A([[1.0], [0], [0]]), None),
                {"padding_idx": padding},
                value=np.ones((3, 1)),
                why="the padding row receives nothing",
            )
            for padding in (2, -1)
        ),
        errors=(
            Bad((np.ones((3, 2)), A([-1])), IndexError, "negative"),
            Bad((np.ones((3, 2)), A([3])), IndexError, "3"),
            Bad((np.ones((3, 2)), A([1.0])), TypeError, "integers"),
            Bad((np.ones(3), A([1])), ShapeError, "(3,)"),
            Bad((np.ones((3, 2)), A([1])), IndexOutOfBoundsError, "padding_idx 3", {"padding_idx": 3}),
        ),
    ),
    Row(
        "embedding_rows",
        (
            Sample((*draw("rows", (4, 2)).operands, A([[3, 0], [3, 1]]))),
            Sample((*draw("rows", (4, 2)).operands, A(2))),
            Sample((*draw("rows", (2, 3)).operands, np.zeros(0, int))),
            Sample((np.zeros((2, 0)), A([1]))),
        ),
        run=lambda xp, w, i: xp.embedding_rows(w, i)[1],
        weak=False,
        complex=True,
        by_value="how many rows there are depends on the indices",
        errors=(
            Bad((np.ones((3, 2)), A([-1])), IndexError, "negative"),
            Bad((np.ones((3, 2)), A([3])), IndexError, "3"),
            Bad((np.ones(3), A([1])), ShapeError, "(3,)"),
        ),
    ),
    Row(
        "embedding_bag",
        (
            Sample((*draw("bag", (4, 2)).operands, A([[0, 3], [3, 1]]))),
            *[
                Sample((*draw("bag", (4, 2)).operands, A([[0, 3], [3, 3]])), {"reduction": r, "padding_idx": 3})
                for r in ("sum", "mean", "max")
            ],
            Sample((np.zeros((2, 0)), A([[1, 0]]))),
        ),
        weak=False,
        integers=False,  # whether they stay integers depends on the reduction
        errors=(
            Bad((np.ones((3, 2)), A([1])), ShapeError, "(1,)"),
            Bad((np.ones((3, 2)), A([[1]])), ValueError, "'all'", {"reduction": "all"}),
        ),
    ),
    Row(
        "bilinear",
        (draw("bilinear", (2, 2), (2, 3), (2, 2, 3), (2,)), draw("bilinear", (2,), (1,), (2, 2, 1)))
        + (draw("bilinear", (0, 2), (0, 1), (2, 2, 1)),),
        weak=False,
        complex=True,
        errors=(Bad((np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 2, 2))), ShapeError, "x2 (2, 3)"),),
    ),
)


def noisy(name, *samples, operands=1, **keywords):
    """A function that draws from a generator."""
    return Row(
        name,
        samples,
        run=lambda xp, *a, **s: getattr(xp, name)(*a, generator=Generator((7, 3)), **s),
        weak=False,
        integers=False,
        errors=(
            *keywords.pop("errors", ()),
            *(
                Bad((np.ones((2, 2)),) * operands, ValueError, "rate must be in [0, 1)", {"rate": 1.0})
                for _ in [0]
                if name not in ("gaussian", "gumbel_softmax")
            ),
        ),
        **keywords,
    )


NOISE = (
    noisy(
        "feature_dropout",
        draw("fd", (2, 3, 2), rate=0.4),
        draw("fd", (0, 3), rate=0.4),
        errors=(Bad((np.ones(2),), ShapeError, "(2,)", {"rate": 0.5}),),
    ),
    noisy("alpha_dropout", draw("ad", (4, 3), rate=0.4), draw("ad", (0, 3), rate=0.4)),
    noisy("feature_alpha_dropout", draw("fad", (2, 3, 2), rate=0.4), draw("fad", (0, 3), rate=0.4)),
    noisy(
        "dropconnect",
        draw("dc", (2, 3), (3, 2), (2,), rate=0.4),
        draw("dc", (1, 5), (5, 4), rate=0.6),
        draw("dc", (0, 3), (3, 1), rate=0.4),
        operands=2,
    ),
    noisy("zoneout", draw("zo", (3, 3), (3, 3), rate=0.4), draw("zo", (0,), (0,), rate=0.4), operands=2),
    noisy(
        "gaussian",
        draw("gaussian", (2, 3), (2, 3)),
        draw("gaussian", (), ()),
        draw("gaussian", (0,), (0,)),
        errors=(Bad((np.ones(2), np.ones(3)), ShapeError, "(3,)"), Bad((A([1]), A([1])), TypeError, "floating")),
    ),
    noisy(
        "gumbel_softmax",
        draw("gumbel", (2, 3), temperature=0.7),
        draw("gumbel", (3, 2), axis=0),
        draw("gumbel", (0, 3)),
        specials=(Special((A([1.0, 3, 2]),), A([1.0, 2, 3]), (None,), {"hard": True}, value=A([0.0, 1, 0])),),
        errors=(Bad((A([1, 2]),), TypeError, "floating"),),
    ),
)

# Their derivative is not that of their value, but these calls are what they should be: tests/operators/test_cotangents.
CONTROL = (
    Row(
        "gradient_reversal",
        (draw("reversal", (2, 3)), draw("reversal", (0,)), draw("reversal", ())),
        run=lambda xp, x: xp.gradient_reversal(xp.gradient_reversal(x, 2.0), 0.5),
        weak=False,
        complex=True,
        integers=False,
        specials=(Special((A([1.0, 2]),), A([3.0, -4]), (A([3.0, -4]),), value=A([1.0, 2])),),
    ),
    Row(
        "gradient_clip",
        (draw("clip", (2, 3), bound=99.0), draw("clip", (3,), bound=99.0, by_norm=True), draw("clip", (0,), bound=1.0)),
        weak=False,
        integers=False,
        specials=(
            Special((A([1.0, 2]),), A([3.0, -0.5]), (A([1.0, -0.5]),), {"bound": 1.0}),
            Special((A([1.0, 2]),), A([3.0, -4]), (A([0.6, -0.8]),), {"bound": 1.0, "by_norm": True}),
            Special((A([1.0, 2]),), A([0.0, 0]), (A([0.0, 0]),), {"bound": 1.0, "by_norm": True}),
        ),
        errors=(Bad((np.ones(2),), ValueError, "-1", {"bound": -1.0}),),
    ),
    Row(
        "straight_through",
        (draw("through", (2, 3)), draw("through", (0,))),
        run=lambda xp, x: xp.straight_through(xp.identity(x), x),
        weak=False,
        integers=False,
        complex=True,
    ),
)

ROWS = (*NORMALISATION, *ATTENTION, *NOISE, *CONTROL)
