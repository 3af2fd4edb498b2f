"""The recorded truths of gradients: where they are, and what their ``xp.`` and ``nn.`` names mean here.

They stand in a folder beside the checkout, ``../shared/truths``; the environment variable ZKYNET_SHARED names another.
``xp`` is ``zkynet.numpy``, the namespace that code written for NumPy moves to, so the truths are truths about it and
about the operations under it; ``nn`` is a list of those that NumPy has no name for.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from pathlib import Path
from types import SimpleNamespace

import zkynet.numpy as zknp
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


def thin_svd(a):
    """The truths mean the thin decomposition: the columns that complete a basis have no gradient."""
    return zknp.linalg.svd(a, full_matrices=False)


xp = SimpleNamespace(**{**vars(zknp), "linalg": SimpleNamespace(**{**vars(zknp.linalg), "svd": thin_svd})})
SAME = (
    *("elu", "embedding", "group_norm", "layer_norm", "leaky_relu", "log_sigmoid", "log_softmax", "logcumsumexp"),
    *("logsumexp", "normalize", "relu", "relu6", "rms_norm", "segment_sum", "sigmoid", "silu", "softmax", "softplus"),
    *("stop_gradient", "xlogy", "expm", "index_set", "batch_norm", "batch_norm_eval", "gelu", "conv1d", "conv2d"),
)
nn = SimpleNamespace(
    **{name: getattr(op, name) for name in SAME},
    **{name: getattr(op.special, name) for name in ("entr", "erf", "erfc", "erfinv", "logit")},
    avg_pool2d=op.average_pool,
    bce_logits=lambda x, t: op.sigmoid_cross_entropy(x, t, "none"),
    conv_transpose1d=op.conv_transpose,
    cross_entropy=op.softmax_cross_entropy,
    gelu_tanh=lambda x: op.gelu(x, approximate=True),
    hardtanh=op.hard_tanh,
    huber=lambda x: op.huber_loss(x, op.zeros_like(x), "none"),
    index_add=op.scatter_add,
    index_mul=lambda x, i, v: op.asarray(x).at[i].multiply(v),
    max_pool2d=op.max_pool,
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
