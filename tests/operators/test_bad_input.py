"""What a wrong call gets: the same exception with a message of ours, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.cases import ROWS
from support.points import own
from zkynet.framework import op

BAD = [pytest.param(row, bad, id=f"{row.name}-{k}") for row in ROWS for k, bad in enumerate(row.errors)]


@pytest.mark.parametrize(("row", "bad"), BAD)
def test_bad_input(row, bad, backend):
    with zk.use_backend(backend), pytest.raises(bad.error) as caught:
        row.call(op, own(backend, bad.operands), bad.settings)
    assert bad.says in str(caught.value)


@pytest.mark.parametrize(("row", "bad"), BAD)
def test_bad_input_inside_a_transform(row, bad):
    floating = [k for k, o in enumerate(bad.operands) if isinstance(o, np.ndarray) and o.dtype.kind in "fc"]

    def f(*inputs):
        operands = list(bad.operands)
        for k, x in zip(floating, inputs):
            operands[k] = x
        return row.call(op, operands, bad.settings)

    with pytest.raises(bad.error, match=None):
        zk.vjp(f, *[bad.operands[k] for k in floating])
