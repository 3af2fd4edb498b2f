"""Layers of zkynet beside those of torch: what makes them, what they take, and how their weights correspond."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zkynet import backends, nn

RNG = np.random.default_rng(0)
PICTURES, ROWS, VOLUMES = RNG.normal(size=(2, 4, 6, 5)), RNG.normal(size=(2, 4, 7)), RNG.normal(size=(2, 2, 3, 4, 3))
MATRIX, INDICES = RNG.normal(size=(3, 4)), np.array([[0, 3, 3], [2, 0, 1]])
PLAIN = {"weight": "weight", "bias": "bias"}


class Pair(NamedTuple):
    """A layer by ``ours(dtype)``, torch's by ``theirs(torch)``, and the arrays they take."""

    name: str
    ours: Callable[[str], Any]
    theirs: Callable[[Any], Any]
    inputs: tuple[np.ndarray, ...]


def host(x: Any) -> np.ndarray:
    """A NumPy copy of an array, a Tensor, a Parameter, a State or a result of any backend."""
    value = x if backends.backend_of(x) is not None else x.value
    home = backends.backend_of(value)
    return np.array(value if home is None else home.to_numpy(value))  # a generator's counter is a number


def randomized(layer: Any, seed: int = 1) -> Any:
    """The layer with random numbers in its Parameters, so that no weight is 1 and no bias 0."""
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        home = backends.backend_of(parameter.value)
        shape, dtype = tuple(parameter.value.shape), parameter.value.dtype
        parameter.value = home.asarray(np.asarray(rng.uniform(0.2, 1.2, shape)), dtype=dtype)
    return layer


def conv(name: str, x: np.ndarray, inputs: int, outputs: int, kernel: Any, **settings: Any) -> Pair:
    return Pair(
        f"{name}({', '.join(map(str, settings.values()))})",
        lambda dtype: getattr(nn, name)(inputs, outputs, kernel, 0, dtype=dtype, **settings),
        lambda torch: getattr(torch.nn, name)(inputs, outputs, kernel, **settings),
        (x,),
    )


def plain(name: str, x: np.ndarray, *first: Any, torch_name: str | None = None, **settings: Any) -> Pair:
    """A layer without weights, made in the same words by both."""
    return Pair(
        f"{name}({', '.join(map(str, [*first, *settings.values()]))}) {x.ndim}",
        lambda dtype: getattr(nn, name)(*first, **settings),
        lambda torch: getattr(torch.nn, torch_name or name)(*first, **settings),
        (x,),
    )


CONVOLUTIONS = (
    conv("Conv1d", ROWS, 4, 6, 3, stride=2, padding=1, dilation=2, groups=2),
    conv("Conv1d", ROWS, 4, 2, 3, padding="same", bias=False),
    conv("Conv2d", PICTURES, 4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
    conv("Conv2d", PICTURES, 4, 3, 3),
    conv("Conv2d", PICTURES, 4, 4, 3, padding="same", dilation=2, groups=4),
    conv("Conv2d", PICTURES, 4, 2, 3, padding="valid"),
    conv("Conv3d", VOLUMES, 2, 3, (2, 3, 1), stride=(1, 2, 1), padding=1),
    conv("ConvTranspose1d", ROWS, 4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    conv("ConvTranspose2d", PICTURES, 4, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
    conv("ConvTranspose3d", VOLUMES, 2, 2, 2, stride=2, bias=False),
)

POOLS = (
    plain("MaxPool1d", ROWS, 3, 2, 1),
    plain("MaxPool2d", PICTURES, 2),
    plain("MaxPool2d", PICTURES, (3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True),
    plain("MaxPool3d", VOLUMES, 2, 1),
    plain("AvgPool1d", ROWS, 2, 2, 1, ceil_mode=True),
    plain("AvgPool2d", PICTURES, (3, 2), 2, 1, count_include_pad=False),
    plain("AvgPool3d", VOLUMES, (2, 3, 2), 1),
    plain("AdaptiveAvgPool1d", ROWS, 3),
    plain("AdaptiveAvgPool2d", PICTURES, (4, 5)),
    plain("AdaptiveAvgPool3d", VOLUMES, 2),
    plain("AdaptiveMaxPool1d", ROWS, 3),
    plain("AdaptiveMaxPool2d", PICTURES, (4, 2)),
    plain("AdaptiveMaxPool3d", VOLUMES, (1, 2, 2)),
    plain("Upsample", PICTURES, size=(9, 5), mode="nearest"),
    Pair(
        "Upsample(2, linear)",
        lambda dtype: nn.Upsample(2, mode="linear", align_corners=True),
        lambda torch: torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        (PICTURES,),
    ),
    plain("PixelShuffle", PICTURES, 2),
)

NORMS = (
    *(
        Pair(
            f"BatchNorm {x.ndim}",
            lambda dtype, n=x.shape[1]: nn.BatchNorm(n, momentum=0.3, eps=1e-3, dtype=dtype),
            lambda torch, x=x: getattr(torch.nn, f"BatchNorm{max(1, x.ndim - 2)}d")(x.shape[1], 1e-3, 0.3),
            (x,),
        )
        for x in (MATRIX, ROWS, PICTURES, VOLUMES)
    ),
    Pair("LayerNorm", lambda dtype: nn.LayerNorm(5, dtype=dtype), lambda torch: torch.nn.LayerNorm(5), (PICTURES,)),
    Pair(
        "LayerNorm of two axes",
        lambda dtype: nn.LayerNorm((6, 5), eps=1e-2, bias=False, dtype=dtype),
        lambda torch: torch.nn.LayerNorm((6, 5), 1e-2, bias=False),
        (PICTURES,),
    ),
    Pair(
        "LayerNorm alone",
        lambda dtype: nn.LayerNorm((6, 5), affine=False),
        lambda torch: torch.nn.LayerNorm((6, 5), elementwise_affine=False),
        (PICTURES,),
    ),
    Pair(
        "GroupNorm", lambda dtype: nn.GroupNorm(2, 4, dtype=dtype), lambda torch: torch.nn.GroupNorm(2, 4), (PICTURES,)
    ),
    Pair(
        "InstanceNorm",
        lambda dtype: nn.InstanceNorm(4, affine=True, dtype=dtype),
        lambda torch: torch.nn.InstanceNorm1d(4, affine=True),
        (ROWS,),
    ),
    Pair("InstanceNorm alone", lambda dtype: nn.InstanceNorm(4), lambda torch: torch.nn.InstanceNorm2d(4), (PICTURES,)),
    Pair("RMSNorm", lambda dtype: nn.RMSNorm((6, 5), dtype=dtype), lambda t: t.nn.RMSNorm((6, 5), 1e-5), (PICTURES,)),
)

OTHERS = (
    Pair(
        "Embedding",
        lambda dtype: nn.Embedding(5, 3, 0, padding_index=-2, dtype=dtype),
        lambda torch: torch.nn.Embedding(5, 3, padding_idx=-2),
        (INDICES,),
    ),
    Pair(
        "Bilinear",
        lambda dtype: nn.Bilinear(4, 3, 2, 0, dtype=dtype),
        lambda torch: torch.nn.Bilinear(4, 3, 2),
        (MATRIX, MATRIX[:, 1:] + 1),
    ),
    Pair("PReLU", lambda dtype: nn.PReLU(4, dtype=dtype), lambda torch: torch.nn.PReLU(4), (PICTURES,)),
)

ACTIVATIONS = (
    *(plain(name, 3 * PICTURES) for name in ("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Softsign", "Sigmoid", "Tanh")),
    *(plain(name, 3 * PICTURES) for name in ("LogSigmoid", "Hardsigmoid", "Hardswish", "LeakyReLU", "ELU", "GELU")),
    *(plain(name, 3 * PICTURES, 0.5) for name in ("LeakyReLU", "ELU", "CELU", "Softplus")),
    plain("Hardtanh", PICTURES, -0.5, 0.7),
    Pair("GELU tanh", lambda dtype: nn.GELU(True), lambda torch: torch.nn.GELU("tanh"), (PICTURES,)),
    plain("Softplus", PICTURES),
    *(plain(name, PICTURES, 1) for name in ("Softmax", "LogSoftmax", "GLU")),
)

PAIRS = (*CONVOLUTIONS, *POOLS, *NORMS, *OTHERS, *ACTIVATIONS)
