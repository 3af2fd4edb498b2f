"""Case table: windows, pools, convolutions by other names, resizing."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import ShapeError

from .rows import Bad, Row, Sample, Special, apart, draw, nonzero

inf, nan = np.inf, np.nan
A = np.array
ONES = np.ones((1, 1, 3, 3))
FLAT = Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"kernel": 2})
LONG = Bad((ONES,), ShapeError, "reaches over 4", {"kernel": (4, 1)})

# Kernel, stride and dilation written out, as rules call the protocol's functions.
SQUARE = {"kernel": (2, 2), "stride": (1, 2), "dilation": (1, 1)}
LINE = {"kernel": (2,), "stride": (1,), "dilation": (2,)}


def protocol(name, *samples):
    return Row(name, samples, complex=True, weak=False)


WHICH = A([[[0, 3], [2, 1]]], "int32")
WINDOWS = (
    protocol(
        "windows", draw("windows", (1, 3, 4), **SQUARE), draw("windows", (2, 4), **LINE), draw("w", (0, 3, 4), **SQUARE)
    ),
    protocol(
        "window_sum",
        draw("window_sum", (2, 2, 2, 2), size=(3, 4), **SQUARE),
        draw("window_sum", (2, 2, 3), size=(5,), **LINE),
        draw("window_sum", (0, 2, 2, 2, 2), size=(3, 4), **SQUARE),
    ),
    protocol(
        "pool_sum", draw("pool_sum", (1, 3, 4), **SQUARE), draw("pool_sum", (2, 4), **LINE), draw("p", (0, 4), **LINE)
    ),
    protocol(
        "pool_spread",
        draw("pool_spread", (1, 2, 2), size=(3, 4), **SQUARE),
        draw("pool_spread", (2, 3), size=(5,), **LINE),
        draw("pool_spread", (0, 2), size=(4,), **LINE),
    ),
    protocol(
        "pool_pick",
        Sample((*draw("pick", (1, 3, 4)).operands, WHICH), SQUARE),
        Sample((*draw("pick", (2, 4)).operands, A([[0, 1], [1, 1]], "int32")), LINE),
        Sample((np.zeros((0, 4)), np.zeros((0, 2), "int32")), LINE),
    ),
    protocol(
        "pool_place",
        Sample((*draw("place", (1, 2, 2)).operands, WHICH), {"size": (3, 4), **SQUARE}),
        Sample((*draw("place", (2, 3)).operands, A([[0, 1, 0], [1, 1, 0]], "int32")), {"size": (5,), **LINE}),
        Sample((np.zeros((0, 2)), np.zeros((0, 2), "int32")), {"size": (4,), **LINE}),
    ),
)

POOLS = (
    Row(
        "max_pool",
        (
            draw("max_pool", (1, 1, 4, 4), kernel=2),
            draw("max_pool", (1, 2, 3, 3), kernel=2, stride=1, padding=((1, 0), (0, 1))),
            draw("max_pool", (1, 1, 5), kernel=2, stride=2, ceil_mode=True),
            draw("max_pool", (2, 1, 5), kernel=2, stride=1, dilation=2),
            draw("max_pool", (1, 1, 2, 3, 2), kernel=(1, 2, 2), stride=(1, 1, 2)),
            draw("max_pool", (0, 1, 4), kernel=2),
        ),
        weak=False,
        specials=(
            Special((A([[[2.0, 2.0, 1.0, 2.0]]]),), A([[[3.0]]]), (A([[[3.0, 0, 0, 0]]]),), {"kernel": 4}, why="a tie"),
            Special((A([[[[0.0, 1], [1, 1]]]]),), A([[[[3.0]]]]), (A([[[[0.0, 3], [0, 0]]]]),), {"kernel": 2}),
            Special((A([[[1.0, nan, nan]]]),), A([[[3.0]]]), (A([[[0.0, 3, 0]]]),), {"kernel": 3}, value=A([[[nan]]])),
            Special((A([[[-inf, -inf]]]),), A([[[3.0]]]), (A([[[3.0, 0]]]),), {"kernel": 2}, value=A([[[-inf]]])),
            Special((A([[[1.0, 2.0]]]),), A([[[inf]]]), (A([[[0.0, inf]]]),), {"kernel": 2}, why="select"),
        ),
        errors=(
            FLAT,
            LONG,
            Bad((ONES + 1j,), TypeError, "complex", {"kernel": 2}),
            Bad((ONES,), ValueError, "smaller than the kernel", {"kernel": 2, "padding": 2}),
            Bad((ONES,), ValueError, "kernel", {"kernel": (2, 2, 2)}),
            Bad((ONES,), ValueError, "stride", {"kernel": 2, "stride": 0}),
        ),
    ),
    Row(
        "average_pool",
        (
            draw("average_pool", (1, 1, 4, 3), kernel=2),
            draw("average_pool", (1, 1, 3, 3), kernel=2, stride=1, padding=1, count_include_pad=False),
            draw("average_pool", (1, 1, 3, 3), kernel=2, stride=(2, 1), padding=((1, 0), (0, 1))),
            draw("average_pool", (1, 2, 5), kernel=2, padding=1, ceil_mode=True),
            draw("average_pool", (0, 1, 4), kernel=2),
        ),
        weak=False,
        complex=True,
        errors=(FLAT, LONG, Bad((ONES,), ValueError, "padding", {"kernel": 2, "padding": 2})),
    ),
    Row(
        "lp_pool",
        (
            draw("lp_pool", (1, 1, 4, 3), p=2, kernel=2),
            draw("lp_pool", (1, 1, 5), numbers=nonzero, p=3, kernel=2, ceil_mode=True),
        )
        + (draw("lp_pool", (0, 1, 4), p=2, kernel=2),),
        weak=False,
        errors=(Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"p": 2, "kernel": 2}),),
    ),
    *[
        Row(
            name,
            (draw(name, (2, 1, 2, 3)), draw(name, (1, 2, 4), keepdims=False), draw(name, (0, 1, 4))),
            weak=False,
            errors=(Bad((np.ones((2, 3)),), ShapeError, "(2, 3)"),),
        )
        for name in ("global_average_pool", "global_max_pool")
    ],
    *[
        Row(
            name,
            (
                draw(name, (1, 1, 5, 4), size=(3, 2)),
                draw(name, (1, 2, 4), size=2),
                draw(name, (1, 1, 3), size=5),
                draw(name, (0, 1, 4), size=3),
            ),
            weak=False,
            errors=(
                Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"size": 2}),
                Bad((np.ones((1, 1, 0)),), ShapeError, "no entries", {"size": 2}),
                Bad((np.ones((1, 1, 3)),), ValueError, "size", {"size": 0}),
            ),
            specials=specials,
        )
        for name, specials in (
            (
                "adaptive_average_pool",
                (
                    Special(
                        (A([[[1.0, 2.0, inf]]]),),
                        A([[[2.0, 4]]]),
                        (A([[[1.0, 3, 2]]]),),
                        {"size": 2},
                        A([[[1.5, inf]]]),
                    ),
                ),
            ),
            (
                "adaptive_max_pool",
                (Special((A([[[1.0, 1, 1]]]),), A([[[2.0, 4]]]), (A([[[2.0, 4, 0]]]),), {"size": 2}, why="ties"),),
            ),
        )
    ],
    Row(
        "spatial_pyramid_pool",
        (draw("pyramid", (1, 1, 3, 4), levels=2), draw("pyramid", (0, 2, 4), levels=2)),
        weak=False,
        errors=(Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"levels": 1}),),
    ),
    Row(
        "unpool",
        (
            draw("unpool", (1, 1, 2, 2), kernel=2),
            draw("unpool", (1, 1, 3), kernel=3, stride=2, padding=1, size=(6,)),
            draw("unpool", (0, 1, 3), kernel=2),
        ),
        weak=False,
        complex=True,
        errors=(FLAT, Bad((np.ones((1, 1, 3)),), ShapeError, "do not fit", {"kernel": 2, "size": (5,)})),
    ),
    Row(
        "max_unpool",
        (
            Sample((*draw("max_unpool", (1, 1, 2, 2)).operands, A([[[[0, 3], [9, 9]]]])), {"size": (3, 4)}),
            Sample((np.zeros((0, 1, 2)), np.zeros((0, 1, 2), int)), {"size": (4,)}),
        ),
        weak=False,
        errors=(
            Bad((np.ones((1, 1, 2)), A([[[0, 4]]])), IndexError, "4", {"size": (4,)}),
            Bad((np.ones((1, 1, 2)), A([[0, 1]])), ShapeError, "(1, 2)", {"size": (4,)}),
        ),
    ),
    Row(
        "unfold",
        (
            draw("unfold", (1, 2, 3, 3), kernel=2),
            draw("unfold", (1, 1, 4, 3), kernel=(2, 1), stride=2, padding=1, dilation=2),
            draw("unfold", (0, 1, 4), kernel=2),
        ),
        weak=False,
        complex=True,
        errors=(FLAT, LONG),
    ),
    Row(
        "fold",
        (
            draw("fold", (1, 4, 4), size=(3, 3), kernel=2),
            draw("fold", (1, 4, 3), size=(4,), kernel=2, stride=2, padding=1),
            draw("fold", (1, 2, 4), size=(3, 2), kernel=(2, 1)),
            draw("fold", (0, 2, 3), size=(4,), kernel=2),
        ),
        weak=False,
        complex=True,
        errors=(Bad((np.ones((1, 4, 5)),), ShapeError, "(1, 4, 5)", {"size": (3, 3), "kernel": 2}),),
    ),
)


def convolution(name, *shapes, **settings):
    """``conv`` for one number of spatial axes."""
    other = (np.ones((1, 1, 3)), np.ones((1, 1, 2))) if name != "conv1d" else (ONES, ONES)
    empty = draw(name, (0, *shapes[0][1:]), shapes[1])
    return Row(
        name,
        (draw(name, *shapes, **settings), draw(name, *shapes, padding="same"), empty),
        weak=False,
        complex=True,
        errors=(
            Bad(other, ShapeError, name),
            Bad((np.ones(shapes[0]), np.ones(shapes[1])), ValueError, "same", {"padding": "full"}),
        ),
    )


CONVOLUTIONS = (
    convolution("conv1d", (1, 1, 5), (2, 1, 2), stride=2, padding=1),
    convolution("conv2d", (1, 1, 3, 4), (1, 1, 2, 3), dilation=(2, 1)),
    convolution("conv3d", (1, 1, 2, 3, 2), (1, 1, 1, 2, 2)),
    Row(
        "conv_transpose",
        (
            draw("conv_transpose", (1, 1, 2, 3), (1, 2, 2, 2), stride=2, padding=1, output_padding=1),
            draw("conv_transpose", (1, 4, 3), (4, 1, 2), stride=(2,), dilation=2, groups=2),
            draw("conv_transpose", (0, 1, 3), (1, 1, 2)),
        ),
        weak=False,
        complex=True,
        errors=(
            Bad((np.ones((1, 2, 3)), np.ones((3, 1, 2))), ShapeError, "(1, 2, 3)"),
            Bad((np.ones((1, 1, 3)), np.ones((1, 1, 2))), ValueError, "output_padding", {"output_padding": 1}),
            Bad((np.ones((1, 1, 1)), np.ones((1, 1, 2))), ShapeError, "leave nothing", {"padding": 1}),
        ),
    ),
    Row(
        "depthwise_conv",
        (draw("depthwise", (1, 2, 3, 3), (2, 2, 2, 1), padding=1), draw("depthwise", (0, 2, 3), (2, 1, 2))),
        weak=False,
        complex=True,
        errors=(Bad((np.ones((1, 2, 3)), np.ones((1, 2, 2))), ShapeError, "(1, 2, 2)"),),
    ),
    Row(
        "local_conv",
        (draw("local", (1, 2, 4), (2, 2, 2, 3), stride=1), draw("local", (0, 1, 3, 2), (1, 2, 2, 1, 2, 1))),
        weak=False,
        complex=True,
        errors=(
            Bad((np.ones((1, 2, 4)), np.ones((2, 3, 2, 3))), ShapeError, "(2,) windows"),
            Bad((np.ones((1, 2, 4)), np.ones((2, 2, 3, 3))), ShapeError, "(2, 2, 3, 3)"),
        ),
    ),
)

INSIDE = (lambda rng, shape, k=0: rng.choice([-0.77, -0.2, 0.15, 0.62], shape) + rng.uniform(-0.02, 0.02, shape),)
OUTSIDE = (lambda rng, shape, k=0: rng.choice([-1.85, -0.2, 0.62, 1.43], shape) + rng.uniform(-0.02, 0.02, shape),)
RESIZING = (
    Row(
        "interpolate",
        (
            draw("interpolate", (1, 1, 3, 2), size=(5, 4), mode="linear"),
            draw("interpolate", (1, 1, 2, 3), size=(4, 3)),
            draw("interpolate", (1, 1, 4), scale_factor=1.5, mode="nearest-exact"),
            draw("interpolate", (1, 1, 3), scale_factor=1.5, mode="linear"),
            draw("interpolate", (1, 1, 2, 3), scale_factor=(2.0, 1.5)),
            draw("interpolate", (1, 1, 3), size=(5,)),
            draw("interpolate", (1, 1, 3, 3), size=(4, 2), mode="linear", align_corners=True),
            draw("interpolate", (1, 1, 4), size=(7,), mode="cubic"),
            draw("interpolate", (1, 1, 5), size=(3,), mode="area"),
            draw("interpolate", (0, 1, 4), size=(3,), mode="linear"),
        ),
        weak=False,
        integers=False,  # nearest keeps them, the others do not
        specials=(
            Special(
                (A([[[1.0, inf, 3.0]]]),),
                A([[[1.0, 2, 4, 8, 16]]]),
                (A([[[2.0, 9, 20]]]),),
                {"size": (5,), "mode": "linear", "align_corners": True},
                A([[[1.0, inf, inf, inf, 3.0]]]),
                why="a share of 0 takes nothing",
            ),
        ),
        errors=(
            Bad((ONES,), ValueError, "either size or scale_factor"),
            Bad((ONES,), ValueError, "'best'", {"size": (2, 2), "mode": "best"}),
            Bad((ONES,), ValueError, "align_corners", {"size": (2, 2), "align_corners": True}),
            Bad((ONES,), ShapeError, "(0, 2)", {"size": (0, 2)}),
            Bad((np.ones((2, 3)),), ShapeError, "(2, 3)", {"size": 2}),
        ),
    ),
    Row(
        "pixel_shuffle",
        (draw("shuffle", (1, 4, 1, 2), factor=2), draw("shuffle", (1, 3, 2), factor=3), draw("s", (0, 4, 2), factor=2)),
        weak=False,
        complex=True,
        errors=(Bad((np.ones((1, 3, 2, 2)),), ShapeError, "3 channels", {"factor": 2}),),
    ),
    Row(
        "pixel_unshuffle",
        (draw("unshuffle", (1, 1, 2, 4), factor=2), draw("unshuffle", (0, 2, 4), factor=2)),
        weak=False,
        complex=True,
        errors=(Bad((np.ones((1, 3, 3, 2)),), ShapeError, "no multiples of 2", {"factor": 2}),),
    ),
    Row(
        "affine_grid",
        (
            draw("affine", (1, 2, 3), size=(1, 1, 2, 3)),
            draw("affine", (2, 1, 2), size=(3,), align_corners=True),
            draw("affine", (0, 2, 3), size=(2, 2)),
        ),
        weak=False,
        errors=(Bad((np.ones((1, 2, 2)),), ShapeError, "(1, 2, 2)", {"size": (2, 2)}),),
    ),
    Row(
        "grid_sample",
        (
            draw("sample", (1, 1, 2, 3), (1, 2, 2, 2), numbers=(apart, *INSIDE)),
            draw("sample", (1, 2, 3), (1, 4, 1), numbers=(apart, *OUTSIDE)),
            draw("sample", (1, 1, 3), (1, 4, 1), numbers=(apart, *OUTSIDE), padding_mode="border"),
            draw("sample", (1, 1, 3), (1, 4, 1), numbers=(apart, *OUTSIDE), padding_mode="reflection", mode="linear"),
            draw("sample", (1, 1, 4), (1, 3, 1), numbers=(apart, *INSIDE), align_corners=True, mode="nearest"),
            draw("sample", (2, 1, 3), (2, 2, 1), numbers=(apart, *INSIDE), align_corners=True),
            *[
                Sample((draw("sample", (1, 1, 3)).operands[0], A([[[-2.4], [1.43], [2.9]]])), s)
                for s in ({"padding_mode": "reflection"}, {"padding_mode": "reflection", "align_corners": True})
            ],
            draw("sample", (0, 1, 3), (0, 2, 1), numbers=(apart, *INSIDE)),
        ),
        weak=False,
        integers=False,
        specials=(
            Special((A([[[1.0, 2.0]]]), A([[[9.0], [nan]]])), A([[[3.0, 4.0]]]), (A([[[0.0, 0]]]), A([[[0.0], [0]]]))),
        ),
        errors=(
            Bad((np.ones((1, 1, 2, 2)), np.ones((1, 2, 2, 3))), ShapeError, "(1, 2, 2, 3)"),
            Bad((np.ones((1, 1, 2)), np.ones((1, 2, 1))), ValueError, "'around'", {"padding_mode": "around"}),
        ),
    ),
)

ROWS = (*WINDOWS, *POOLS, *CONVOLUTIONS, *RESIZING)
