"""Sample calls of what layers are made of: windows, convolutions, normalisation, attention, recurrence, noise."""

from collections.abc import Callable
from typing import Any

from zkynet.framework import cg, op

from .samples_draw import A, M, Sample, V, apart, call, positive, share

IMAGE = (1, 1, 4, 4)
STEPS: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2), "dilation": (1, 1)}
WHICH = A([[[[0, 3], [2, 1]]]], "int32")

WINDOWS = (
    *(call(name, IMAGE, **STEPS) for name in ("windows", "pool_sum")),
    call("window_sum", (1, 1, 2, 2, 2, 2), size=(4, 4), **STEPS),
    call("pool_spread", (1, 1, 2, 2), size=(4, 4), **STEPS),
    call("pool_pick", IMAGE, WHICH, **STEPS),
    call("pool_place", (1, 1, 2, 2), WHICH, size=(4, 4), **STEPS),
    *(call(name, IMAGE, kernel=2) for name in ("max_pool", "average_pool", "unpool", "unfold")),
    call("lp_pool", IMAGE, p=2, kernel=2),
    *(call(name, IMAGE) for name in ("global_average_pool", "global_max_pool")),
    *(call(name, IMAGE, size=(3, 2)) for name in ("adaptive_average_pool", "adaptive_max_pool")),
    call("spatial_pyramid_pool", IMAGE, levels=2),
    call("max_unpool", (1, 1, 2, 2), WHICH, size=(4, 4)),
    call("fold", (1, 4, 4), size=(4, 4), kernel=2, stride=2),
)

CONVOLUTIONS = (
    call("conv1d", (1, 1, 5), (2, 1, 2)),
    call("conv2d", IMAGE, (2, 1, 2, 2)),
    call("conv3d", (1, 1, 2, 3, 2), (1, 1, 1, 2, 2)),
    call("conv_transpose", IMAGE, (1, 2, 2, 2), stride=2),
    call("depthwise_conv", (1, 2, 4, 4), (2, 1, 2, 2)),
    call("local_conv", (1, 2, 4), (2, 2, 2, 3)),
)

RESIZING = (
    call("interpolate", IMAGE, size=(5, 3), mode="linear"),
    call("pixel_shuffle", (1, 4, 1, 2), factor=2),
    call("pixel_unshuffle", IMAGE, factor=2),
    call("affine_grid", (1, 2, 3), size=(1, 1, 2, 3)),
    call("grid_sample", IMAGE, (1, 2, 2, 2), numbers=(apart, share)),
)

STATISTICS = {"numbers": lambda rng, shape: positive(rng, shape) if shape == V else apart(rng, shape)}

NORMALISATION = (
    *(call(name, M) for name in ("standardize", "normalize", "weight_standardization")),
    call("batch_norm", (4, 3), V, V),
    *(call(name, (4, 3), V, V, **STATISTICS) for name in ("batch_norm_eval", "batch_renorm")),
    call("layer_norm", M, V, V),
    call("group_norm", (2, 4, 2), (4,), (4,), run=lambda x, w, b: op.group_norm(x, 2, w, b)),
    call("instance_norm", (1, 2, 3), (2,), (2,)),
    call("rms_norm", M, V),
    call("local_response_norm", (2, 4, 2), size=3, alpha=0.5),
    call("weight_norm", M, (2,)),
    call("spectral_norm", M, (2,)),
)

ATTENTION = (
    call("masked_softmax", M, A([[True, False, True], [False, False, False]])),
    call("scaled_dot_product_attention", (2, 2), (3, 2), (3, 2)),
    call(
        "multi_head_attention",
        *((2, 2), (3, 2), *((2, 2),) * 4),
        run=lambda q, k, *weights: op.multi_head_attention(q, k, k, weights, heads=2),
    ),
    call("rotary_embedding", (4, 4)),
    *(call(name, (4, 2), A([[0, 3], [3, 1]])) for name in ("embedding", "embedding_bag", "embedding_rows")),
    call("bilinear", (2, 2), M, (2, 2, 3), (2,)),
)

RECURRENT = (
    call("rnn_cell", M, (2, 2), (3, 2), (2, 2), (2,)),
    call("gru_cell", M, (2, 2), (3, 6), (2, 6), (6,)),
    call("lstm_cell", M, (2, 2), (2, 2), (3, 8), (2, 8), (8,), run=lambda x, h, c, *w: op.lstm_cell(x, (h, c), *w)),
    call("rnn", (3, 2, 3), (2, 2), (3, 2), (2, 2), (2,)),
    call("gru", (3, 2, 3), (2, 2), (3, 6), (2, 6), (6,), (6,)),
    call("lstm", (3, 2, 3), (2, 2), (2, 2), (3, 8), (2, 8), (8,), run=lambda x, h, c, *w: op.lstm(x, (h, c), *w)),
    call("slstm", (2, 1), (2, 1), (2, 4), (2, 4)),
    call("tree_lstm", (2, 1), (2, 1), (2, 5), run=lambda a, b, x: op.tree_lstm([a, b], x)),
    call("pad_sequence", (2, 2), (3, 2), run=lambda a, b: op.pad_sequence([a, b])),
    call("transpose_sequence", (3, 2), (1, 2), run=lambda a, b: op.transpose_sequence([a, b])),
)


def random(name: str, *shapes: tuple, **settings: Any) -> Sample:
    """A call with a generator that starts anew each time: every backend gets the same random numbers."""
    function: Callable = getattr(op, name)
    return call(name, *shapes, run=lambda *given: function(*given, generator=cg.Generator(7), **settings))


NOISE = (
    *(random(name, M, rate=0.4) for name in ("feature_dropout", "alpha_dropout", "feature_alpha_dropout")),
    random("dropconnect", M, (3, 2), (2,), rate=0.4),
    random("zoneout", M, M, rate=0.4),
    random("gaussian", M, M),
    random("gumbel_softmax", M, temperature=0.7),
)

CONTROL = (
    call("gradient_reversal", M, scale=0.5),
    call("gradient_clip", M, bound=0.1),
    call("straight_through", M, M),
)

LAYERS = (*WINDOWS, *CONVOLUTIONS, *RESIZING, *NORMALISATION, *ATTENTION, *RECURRENT, *NOISE, *CONTROL)
