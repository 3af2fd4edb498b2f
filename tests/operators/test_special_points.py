"""Singular points, far out, infinities and NaN: the rules of docs/singular-points.md, on every backend alike."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.cases import ROWS
from support.points import host, is_input, own
from zkynet.framework import op

SPECIAL = [pytest.param(row, s, id=f"{row.name}-{k}") for row in ROWS for k, s in enumerate(row.specials)]


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize(("row", "special"), SPECIAL)
def test_special_point(row, special, backend):
    asked = [k for k, truth in enumerate(special.gradients) if truth is not None and is_input(special.operands[k])]

    def f(*inputs):
        operands = own(backend, special.operands)
        for k, x in zip(asked, inputs):
            operands[k] = x
        return row.call(op, operands, special.settings)

    inputs = own(backend, [special.operands[k] for k in asked])
    g = own(backend, [special.g])[0]
    with zk.use_backend(backend), backend.errstate():
        value, pull = zk.vjp(f, *inputs)
        if special.value is not None:
            same(value, special.value)
        for found, k in zip(pull(g), asked):
            same(found, special.gradients[k])
        if special.second is not None:
            gradient = zk.grad(lambda x: op.sum(zk.vjp(f, x, *inputs[1:])[1](g)[0]))
            same(gradient(inputs[0]), special.second)


def same(got, truth):
    got, truth = host([got])[0], np.asarray(truth)
    assert got.shape == truth.shape
    scale = np.max(np.abs(truth), initial=0, where=np.isfinite(truth)) or 1
    np.testing.assert_allclose(got, truth, rtol=1e-12, atol=1e-15 * scale)
