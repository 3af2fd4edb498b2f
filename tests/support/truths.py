"""The recorded truths of gradients: where they are, and their ``xp.`` and ``nn.`` names in terms of ``op``.

They stand in a folder beside the checkout, ``../shared/truths``; the environment variable ZKYNET_SHARED names another.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from pathlib import Path
from types import SimpleNamespace

from zkynet.framework import op

FILE = "truths/grad_truths.py"


def path() -> Path:
    """The file of the truths, there or not."""
    beside = Path(__file__).resolve().parents[2].parent / "shared"
    return Path(os.environ.get("ZKYNET_SHARED", beside)) / FILE


@functools.cache
def load():
    """The truths as a module, None where they are absent."""
    if not path().is_file():
        return None
    spec = importlib.util.spec_from_file_location("grad_truths", path())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# fmt: off
SAME = (
    "abs", "argmax", "astype", "broadcast_to", "ceil", "clip", "conj", "cos", "dot", "einsum", "exp", "expand_dims",
    "expm1", "flip", "floor", "imag", "log", "log1p", "max", "maximum", "mean", "min", "minimum", "moveaxis", "pad",
    "prod", "real", "reshape", "round", "sign", "sin", "sqrt", "squeeze", "stack", "sum", "take", "take_along_axis",
    "tanh", "tensordot", "transpose", "tril", "triu", "trunc", "where",
    "angle", "cbrt", "copysign", "fmax", "heaviside", "hypot", "log10", "log2", "logaddexp", "nan_to_num", "remainder",
    "sinc", "sinh", "tan", "cross", "inner", "kron", "outer", "trace",
)
ACTIVATIONS = (
    "elu", "gelu", "leaky_relu", "log_sigmoid", "logcumsumexp", "relu6", "silu", "softplus", "xlogy",
)
# fmt: on


def swapaxes(x, a, b):
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    return op.permute_dims(x, order)


def conv(x, w, **settings):
    return op.conv(x, w, **settings)


xp = SimpleNamespace(
    **{name: getattr(op, name) for name in SAME},
    **{"arc" + name[1:]: getattr(op, name) for name in ("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh")},
    concatenate=op.concat,
    cumsum=lambda x, axis=None: op.cumulative_sum(op.reshape(x, (-1,)) if axis is None else x, axis=axis),
    ravel=lambda x: op.reshape(x, (-1,)),
    swapaxes=swapaxes,
    var=lambda x, axis=None, ddof=0, keepdims=False: op.var(x, axis, ddof, keepdims),
    float32="float32",
    inf=float("inf"),
    diagonal=lambda x, k=0: op.diagonal(x, offset=k),
    linalg=SimpleNamespace(**{**vars(op.linalg), "svd": lambda x: op.svd(x, full_matrices=False)}),
    fft=op.fft,
)
nn = SimpleNamespace(
    erf=op.special.erf,
    erfc=op.special.erfc,
    erfinv=op.special.erfinv,
    entr=op.special.entr,
    logit=op.special.logit,
    **{name: getattr(op, name) for name in ACTIVATIONS},
    gelu_tanh=lambda x: op.gelu(x, approximate=True),
    hardtanh=op.hard_tanh,
    relu=op.relu,
    sigmoid=op.sigmoid,
    softmax=op.softmax,
    log_softmax=op.log_softmax,
    logsumexp=op.logsumexp,
    cross_entropy=op.softmax_cross_entropy,
    avg_pool2d=op.average_pool,
    batch_norm=op.batch_norm,
    batch_norm_eval=op.batch_norm_eval,
    bce_logits=lambda x, t: op.sigmoid_cross_entropy(x, t, "none"),
    conv_transpose1d=op.conv_transpose,
    embedding=op.embedding,
    group_norm=op.group_norm,
    huber=lambda x: op.huber_loss(x, op.zeros_like(x), "none"),
    layer_norm=op.layer_norm,
    max_pool2d=op.max_pool,
    normalize=op.normalize,
    rms_norm=op.rms_norm,
    conv1d=conv,
    conv2d=conv,
    index_add=lambda x, i, v: op.scatter_add(x, i, v),
    index_set=lambda x, i, v: op.index_set(x, i, v),
    stop_gradient=op.stop_gradient,
    expm=op.expm,
    solve_triangular=lambda a, b: op.solve_triangular(a, b, lower=True),
)


def names_in(expression: str) -> set[str]:
    """The xp. and nn. names of an expression."""
    return set(re.findall(r"\b(?:xp|nn)\.(?:linalg\.|fft\.)?\w+", expression))


def available(name: str) -> bool:
    """Whether one of those names is here."""
    item = SimpleNamespace(xp=xp, nn=nn)
    for part in name.split("."):
        item = getattr(item, part, None)
    return item is not None
