"""Initializers: their distributions, the same numbers on every backend, and what they refuse."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import zkynet as zk
from support.layers import host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.nn import initializers

DRAWN = {
    "glorot_normal": nn.glorot_normal,
    "he_uniform": nn.he_uniform,
    "lecun_uniform": nn.lecun_uniform,
    "lecun_normal": nn.lecun_normal,
    "orthogonal": nn.orthogonal,
    "truncated_normal": partial(nn.truncated_normal, std=0.02, mean=1.0),
    "normal": partial(initializers.normal, std=3.0),
    "uniform": partial(initializers.uniform, low=0.5, high=2.0),
}
FIXED = {
    "constant": partial(initializers.constant, value=0.1),
    "zeros": initializers.zeros,
    "ones": initializers.ones,
    "identity": initializers.identity,
}


@pytest.mark.parametrize("name", [*DRAWN, *FIXED])
def test_a_seed_gives_the_same_numbers_on_every_backend(name, backend):
    init = {**DRAWN, **FIXED}[name]
    for dtype in ("float32", "float64"):
        expected = init((5, 3), 7, dtype=dtype)
        with zk.use_backend(backend):
            array = init((5, 3), zk.Generator(7), dtype=dtype)
        assert backend.owns(array) and backend.name_of(array.dtype) == dtype
        assert np.array_equal(host(array), expected)


@pytest.mark.parametrize("name", DRAWN)
def test_float32_weights_are_the_float64_ones_rounded(name):
    wide, narrow = (DRAWN[name]((30, 20), 3, dtype=dtype) for dtype in ("float64", "float32"))
    assert wide.dtype == "float64" and np.array_equal(wide.astype("float32"), narrow)
    assert not np.array_equal(narrow, DRAWN[name]((30, 20), 4))


FANS = (300, 100)


@pytest.mark.parametrize(
    "init, variance",
    [
        (nn.glorot_uniform, 2 / 400),
        (nn.glorot_normal, 2 / 400),
        (nn.he_uniform, 2 / 300),
        (nn.he_normal, 2 / 300),
        (nn.lecun_uniform, 1 / 300),
        (nn.lecun_normal, 1 / 300),
    ],
)
def test_variances_are_those_of_the_fans(init, variance):
    w = init((400, 500), 0, dtype="float64", fans=FANS)
    assert abs(w.mean()) < 4 * np.sqrt(variance / w.size)
    assert np.isclose(w.var(), variance, rtol=0.01)
    limit = np.sqrt(3 * variance)
    if "uniform" in init.__name__:
        assert -limit <= w.min() < -0.999 * limit and 0.999 * limit < w.max() < limit
    else:
        assert np.mean(np.abs(w) > 2 * np.sqrt(variance)) == pytest.approx(0.0455, abs=0.002)
    assert np.array_equal(init(FANS, 0), init(FANS, 0, fans=FANS))


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (4, 3, 2, 2), (9, 2, 2)])
def test_orthogonal_rows_or_columns(shape):
    w = nn.orthogonal(shape, 0, dtype="float64", gain=2.0)
    assert w.shape == shape
    matrix = w.reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-13)


def test_orthogonal_matrices_favour_no_direction():
    """The first entry of a random 3 x 3 rotation or reflection has mean 0 and variance 1 / 3; plain QR never gives R's
    diagonal both signs."""
    generator = zk.Generator(0)
    entries = np.array([nn.orthogonal((3, 3), generator, dtype="float64")[0, 0] for _ in range(600)])
    assert abs(entries.mean()) < 0.1 and entries.var() == pytest.approx(1 / 3, abs=0.05)


def test_given_spreads():
    w = nn.truncated_normal((200, 200), 0, "float64", mean=5.0, std=2.0, low=-1.0, high=3.0)
    assert 3 <= w.min() < 3.001 and 10 < w.max() <= 11
    spread = nn.truncated_normal((300, 300), 0, "float64").std()
    assert spread == pytest.approx(0.8796, abs=0.005)
    w = initializers.normal((300, 300), 0, "float64", mean=1.0, std=0.1)
    assert w.mean() == pytest.approx(1, abs=0.002) and w.std() == pytest.approx(0.1, abs=0.002)
    w = initializers.uniform((300, 300), 0, "float64", low=2.0, high=3.0)
    assert 2 <= w.min() < 2.001 and 2.999 < w.max() < 3


def test_nothing_drawn():
    assert np.array_equal(initializers.constant((2, 3), value=0.5), np.full((2, 3), 0.5, "float32"))
    assert not initializers.zeros((2, 3)).any() and initializers.ones((2,), dtype="float64").dtype == "float64"
    assert np.array_equal(initializers.identity((2, 3)), np.eye(2, 3, dtype="float32"))


def test_layers_take_them():
    layer = nn.Linear(3, 2, 0, init=partial(initializers.constant, value=0.5))
    assert np.array_equal(layer.weight.value, np.full((3, 2), 0.5, "float32"))
    layer = nn.Conv1d(4, 2, 3, 5, init=nn.orthogonal)
    assert np.array_equal(layer.weight.value, nn.orthogonal((2, 4, 3), 5))


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.he_uniform((3, 3, 3), 0), ShapeError, "fan_in and fan_out"),
        (lambda: nn.orthogonal((3,), 0), ShapeError, "two axes"),
        (lambda: initializers.identity((3,)), ShapeError, "two axes"),
        (lambda: initializers.uniform((3, 3), 0, low=1.0, high=1.0), ValueError, "not below"),
        (lambda: nn.truncated_normal((3, 3), 0, low=1.0, high=1.0), ValueError, "below"),
        (lambda: nn.lecun_normal((3, 3), None), TypeError, "zk.Generator"),
        (lambda: nn.lecun_normal((3, 3), 0.5), TypeError, "0.5"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
