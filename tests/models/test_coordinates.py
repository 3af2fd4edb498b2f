"""The coordinate network: places, the waves that it sees them by, and pictures that it learns and draws."""

import numpy as np
import pytest

import zkynet as zk
from support.layers import host
from zkynet import data, io, models
from zkynet.framework import op
from zkynet.models import coordinates
from zkynet.models.coordinates import places

SMALL = {"channels": 2, "waves": 8, "frequency": 2.0, "hidden": (6,)}


def misfit(model, x, y):
    return op.mean(op.square(model(x) - y))


# ---- places ----


def test_places_are_the_middles_of_pixels_row_by_row():
    expected = [(-0.75, -0.25), (-0.25, -0.25), (0.25, -0.25), (0.75, -0.25)]
    expected += [(x, 0.25) for x, _ in expected]
    found = places(2, 4)
    assert found.dtype == np.float32 and np.array_equal(found, np.array(expected, "float32"))
    assert np.array_equal(places(4, 2)[:, ::-1].reshape(4, 2, 2).transpose(1, 0, 2).reshape(-1, 2), found)
    assert np.array_equal(places(1, 1, "float64"), [[0.0, 0.0]]) and places(1, 1, "float64").dtype == np.float64


def test_a_place_is_the_same_at_every_resolution():
    coarse, fine = places(3, 5, "float64").reshape(3, 5, 2), places(9, 15, "float64").reshape(3, 3, 5, 3, 2)
    assert np.allclose(fine[:, 1, :, 1], coarse, atol=1e-15)


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (-1, 3)])
def test_a_picture_has_pixels(size):
    with pytest.raises(ValueError, match="at least 1"):
        places(*size)


# ---- the network ----


def test_the_formula(backend):
    x = places(2, 3)
    with zk.use_backend(backend):
        model = models.coordinate_network(**SMALL, seed=3)
        found = host(model(backend.asarray(x)))
    angles = x @ host(model.frequencies)
    z = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    first, last = model.net[0], model.net[-1]
    z = np.maximum(z @ host(first.weight) + host(first.bias), 0) @ host(last.weight) + host(last.bias)
    assert found.dtype == np.float32 and np.allclose(found, 1 / (1 + np.exp(-z)), atol=1e-5)


def test_the_frequencies_are_as_fine_as_asked():
    for frequency in (2.0, 20.0):
        drawn = host(models.coordinate_network(waves=5000, frequency=frequency, seed=1, dtype="float64").frequencies)
        assert abs(drawn.std() / (2 * np.pi * frequency) - 1) < 0.03 and abs(drawn.mean()) < 0.1 * drawn.std()


def test_the_frequencies_are_in_files_and_not_trained(tmp_path):
    first, second = (models.coordinate_network(**SMALL, seed=seed) for seed in (1, 2))
    x = places(3, 3)
    before = host(first.frequencies).copy()
    _, grads = zk.value_and_grad(misfit)(first, x, np.zeros((9, 2), "float32"))
    assert not [name for name in grads if "frequencies" in name]
    zk.optim.Adam(0.1).update(first, grads)
    assert np.array_equal(host(first.frequencies), before)
    assert not np.array_equal(host(first(x)), host(second(x)))
    io.save_weights(tmp_path / "weights.safetensors", first)
    io.load_weights(tmp_path / "weights.safetensors", second)
    assert np.array_equal(host(first(x)), host(second(x)))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"waves": 0}, "waves"),
        ({"frequency": 0.0}, "frequency"),
        ({"hidden": (0,)}, "sizes"),
        ({"channels": 0}, "sizes"),
    ],
)
def test_what_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        models.coordinate_network(**settings)


# ---- pictures ----


def test_it_begins_gray():
    drawn = models.coordinate_network(seed=4).draw(20, 30)
    assert np.abs(drawn - 0.5).max() < 0.25


def test_a_picture_is_drawn_in_parts(monkeypatch, backend):
    with zk.use_backend(backend):
        model = models.coordinate_network(**SMALL, seed=5)
        whole = host(model(backend.asarray(places(6, 4)))).reshape(6, 4, 2)
        monkeypatch.setattr(coordinates, "AT_ONCE", 10)
        drawn = model.draw(6, 4)
    assert type(drawn) is np.ndarray and drawn.dtype == np.float32 and np.allclose(drawn, whole, atol=1e-6)


def trained(model, pixels, epochs):
    batches = data.Batches((places(*pixels.shape[:2]), pixels.reshape(-1, pixels.shape[-1])), 64, seed=0)
    optimizer = zk.optim.Adam(zk.optim.schedules.Cosine(1e-2, epochs * len(batches)))
    step = zk.value_and_grad(misfit)
    for _ in range(epochs):
        for batch in batches:
            _, grads = step(model, *batch)
            optimizer.update(model, grads)


def test_it_learns_a_checkerboard_which_a_network_without_waves_does_not():
    rows, columns = np.indices((24, 16))
    pixels = ((rows // 3 + columns // 3) % 2).astype("float32")[..., None]
    waves = models.coordinate_network(1, 32, 3.0, (32,), seed=1)
    trained(waves, pixels, 30)
    plain = models.fcn((2, 64, 32, 1), seed=1)  # it has more parameters
    trained(plain, pixels, 30)
    assert np.mean(np.square(waves.draw(24, 16) - pixels)) < 0.01
    assert np.mean(np.square(host(plain(places(24, 16))).reshape(pixels.shape) - pixels)) > 0.1
    fine = waves.draw(72, 48).reshape(24, 3, 16, 3, 1)[:, 1, :, 1]
    assert np.allclose(fine, waves.draw(24, 16), atol=1e-4)
