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
    concatenate=op.concat,
    cumsum=lambda x, axis=None: op.cumulative_sum(op.reshape(x, (-1,)) if axis is None else x, axis=axis),
    ravel=lambda x: op.reshape(x, (-1,)),
    swapaxes=swapaxes,
    var=lambda x, axis=None, ddof=0, keepdims=False: op.var(x, axis, ddof, keepdims),
    float32="float32",
    inf=float("inf"),
    linalg=SimpleNamespace(cholesky=op.cholesky, eigh=op.eigh, eigvalsh=lambda x: op.eigh(x)[0], solve=op.linalg.solve),
    fft=SimpleNamespace(),
)
nn = SimpleNamespace(
    relu=op.relu,
    sigmoid=op.sigmoid,
    softmax=op.softmax,
    log_softmax=op.log_softmax,
    logsumexp=op.logsumexp,
    cross_entropy=op.softmax_cross_entropy,
    conv1d=conv,
    conv2d=conv,
    index_add=lambda x, i, v: op.scatter_add(x, i, v),
    index_set=lambda x, i, v: op.index_set(x, i, v),
    stop_gradient=op.stop_gradient,
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
