"""The rows that a batch names: a gradient of them alone, and what is done with it."""

import numpy as np

import zkynet as zk
from zkynet import op

INDICES = np.array([[5, 0], [5, 2]])


def loss(rows):
    return op.sum(op.square(op.sin(rows)))


def test_the_sparse_gradient_is_the_dense_one_without_its_zeros(backend):
    weight = backend.asarray(np.linspace(-1.0, 1.0, 18).reshape(6, 3))
    indices = backend.asarray(INDICES)
    rows, table, places = op.embedding_rows(weight, indices)
    dense = backend.to_numpy(zk.grad(lambda w: loss(op.embedding(w, indices)))(weight))
    sparse = zk.grad(lambda t: loss(op.embedding(t, places)))(table)
    assert backend.to_numpy(rows.value).tolist() == [0, 2, 5] and places.shape == INDICES.shape
    np.testing.assert_allclose(backend.to_numpy(sparse), dense[[0, 2, 5]], rtol=1e-15)
    updated = backend.to_numpy(op.scatter_add(weight, rows, -0.1 * sparse).value)
    np.testing.assert_allclose(updated, backend.to_numpy(weight) - 0.1 * dense, rtol=1e-14)


def test_the_whole_table_has_its_dense_gradient_through_them():
    weight = np.linspace(-1.0, 1.0, 18).reshape(6, 3)

    def through(w):
        _, table, places = op.embedding_rows(w, INDICES)
        return loss(op.embedding(table, places))

    np.testing.assert_allclose(zk.grad(through)(weight), zk.grad(lambda w: loss(op.embedding(w, INDICES)))(weight))
