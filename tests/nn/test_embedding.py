"""Embedding and Bilinear: closed forms, the padding row, given arrays, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support.layers import INDICES, MATRIX, host
from zkynet import nn
from zkynet.backends.errors import IndexOutOfBoundsError, ShapeError
from zkynet.framework import op
from zkynet.nn import initializers

TABLE = np.arange(12.0).reshape(4, 3)


def test_rows_of_a_table(backend):
    with zk.use_backend(backend):
        layer = nn.Embedding(4, 3, 7)
        y = layer(INDICES).value
    assert backend.owns(y) and y.shape == (2, 3, 3)
    weight = initializers.normal((4, 3), 7)
    assert np.array_equal(host(y), weight[INDICES])


def test_rows_named_twice_get_both_cotangents_and_the_padding_row_none():
    layer = nn.Embedding(TABLE, padding_index=0)
    grad = zk.grad(lambda m: op.sum(m(INDICES)))(layer)["weight"]
    np.testing.assert_array_equal(grad, np.array([[0], [1], [1], [2]]) * np.ones((4, 3)))
    np.testing.assert_array_equal(host(layer.weight), TABLE)  # a given row stays


def test_the_padding_row_begins_as_zeros_and_is_never_trained():
    layer = nn.Embedding(4, 3, 0, padding_index=-1)
    plain = host(nn.Embedding(4, 3, 0).weight)
    assert layer.padding_index == 3 and not host(layer.weight)[3].any()
    assert np.array_equal(host(layer.weight)[:3], plain[:3])
    optimizer = zk.optim.Adam(0.1)
    for _ in range(3):
        optimizer.update(layer, zk.grad(lambda m: op.sum(op.sin(m(INDICES) + 1)))(layer))
    assert not host(layer.weight)[3].any() and not np.array_equal(host(layer.weight)[:3], plain[:3])


def test_a_table_is_owned_as_a_copy():
    table = TABLE.copy()
    layer = nn.Embedding(table)
    table[:] = 7
    assert host(layer.weight)[0, 1] == 1 and (layer.count, layer.features) == (4, 3)
    assert nn.Embedding(TABLE.tolist()).weight.value.dtype == "float32"
    assert nn.Embedding(nn.Embedding(TABLE).weight).weight.value.dtype == "float64"


def test_a_shared_table_has_one_gradient():
    """The rows that go in also weigh what comes out: one parameter in two places."""
    layer = nn.Embedding(TABLE)

    class Tied(zk.Module):
        def __init__(self):
            self.embedding, self.weight = layer, layer.weight

        def call(self, indices):
            return self.embedding(indices) @ op.matrix_transpose(self.weight)

    grads = zk.grad(lambda m: op.sum(op.sin(m(INDICES))))(Tied())
    assert list(grads) == ["embedding.weight"]

    def apart(table, out):
        return op.sum(op.sin(op.take(table, INDICES, axis=0) @ op.matrix_transpose(out)))

    np.testing.assert_allclose(grads["embedding.weight"], sum(zk.grad(apart, argnums=(0, 1))(TABLE, TABLE)), rtol=1e-12)


def test_bilinear_is_the_sum_it_says():
    layer = nn.Bilinear(4, 3, 2, 0, dtype="float64")
    layer.bias.value = np.array([1.0, -1.0])
    x1, x2 = MATRIX, MATRIX[:, :3] - 1
    expected = np.einsum("ni,oij,nj->no", x1, host(layer.weight), x2) + host(layer.bias)
    np.testing.assert_allclose(host(layer(x1, x2)), expected, rtol=1e-12)
    np.testing.assert_allclose(host(layer(x2=x2, x1=x1)), expected, rtol=1e-12)
    zk.testing.check_grads(lambda a, b: op.sum(op.sin(layer(a, b))), (x1, x2))
    assert repr(layer) == "Bilinear(4, 3, 2)"
    given = nn.Bilinear(host(layer.weight), host(layer.bias))
    assert np.array_equal(host(given(x1, x2)), host(layer(x1, x2))) and given.outputs == 2
    assert repr(nn.Bilinear(host(layer.weight))) == "Bilinear(4, 3, 2, bias=False)"


def test_the_fans_of_bilinear_count_products():
    layer = nn.Bilinear(4, 3, 2, 0, init=lambda shape, generator, dtype, fans: np.full(shape, fans[0], dtype))
    assert host(layer.weight).shape == (2, 4, 3) and (host(layer.weight) == 12).all()


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.Embedding(4, 3), TypeError, r"Embedding\(count, features, zk.Generator"),
        (lambda: nn.Embedding(4, generator=0), TypeError, "features is not an int"),
        (lambda: nn.Embedding(0, 3, 0), ValueError, "count is too small"),
        (lambda: nn.Embedding(np.ones(3)), ShapeError, r"\(3,\)"),
        (lambda: nn.Embedding(np.ones((3, 0))), ShapeError, "no size 0"),
        (lambda: nn.Embedding(4, 3, 0, padding_index=4), IndexError, r"in -4 .. 3"),
        (lambda: nn.Embedding(4, 3, 0, padding_index=0.5), TypeError, "padding_index is not an int"),
        (lambda: nn.Embedding(4, 3, 0)(np.array([4])), IndexOutOfBoundsError, "index 4"),
        (lambda: nn.Embedding(4, 3, 0)(np.array([-1])), IndexOutOfBoundsError, "negative"),
        (lambda: nn.Embedding(4, 3, 0)(np.array([1.0])), TypeError, "integers"),
        (lambda: nn.Bilinear(4, 3, 2), TypeError, "zk.Generator"),
        (lambda: nn.Bilinear(4, 3, generator=0), TypeError, "outputs is not an int"),
        (lambda: nn.Bilinear(4, 0, 2, 0), ValueError, "inputs2 is too small"),
        (lambda: nn.Bilinear(np.ones((2, 3, 4)), np.ones(3)), ShapeError, r"\(2, 3, 4\) and \(3,\)"),
        (lambda: nn.Bilinear(np.ones((2, 3))), ShapeError, r"\(2, 3\)"),
        (lambda: nn.Bilinear(4, 3, 2, 0)(MATRIX, MATRIX), ShapeError, "do not fit"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_an_error_names_the_layer():
    with pytest.raises(IndexError) as caught:
        nn.Embedding(4, 3, 0)(np.array([9]))
    assert caught.value.__notes__ == ["in Embedding(4, 3)"]
