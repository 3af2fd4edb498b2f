"""RNN, LSTM and GRU: a step beside the formula, sequences beside steps, ragged batches, directions, layers, errors."""

import copy

import numpy as np
import pytest

import zkynet as zk
from support.layers import host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 4))  # rows, times, features
LENGTHS = np.array([5, 2, 3])
NETWORKS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


def network(name, **settings):
    return NETWORKS[name](4, 6, zk.Generator(1), dtype="float64", **settings)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def ends(state):
    """The states as a list of arrays: one, or h and c."""
    return [host(s) for s in (state if isinstance(state, tuple) else (state,))]


def randomized_biases(model):
    for path, parameter in model.named_parameters().items():
        if "bias" in path:
            parameter.value = np.asarray(RNG.normal(size=parameter.value.shape))
    return model


# ---- one step ----


def test_a_step_of_each_cell_is_its_formula():
    x, h, c = X[:, 0], RNG.normal(size=(3, 6)), RNG.normal(size=(3, 6))
    cell = randomized_biases(nn.RNNCell(4, 6, 0, dtype="float64"))
    wx, wh, b = (host(p) for p in (cell.weight_x, cell.weight_h, cell.bias))
    assert np.allclose(cell(x, h).value, np.tanh(x @ wx + h @ wh + b), rtol=1e-13)
    cell = randomized_biases(nn.LSTMCell(4, 6, 0, dtype="float64"))
    wx, wh, b = (host(p) for p in (cell.weight_x, cell.weight_h, cell.bias))
    i, f, g, o = np.split(x @ wx + h @ wh + b, 4, axis=1)
    memory = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    new_h, new_c = cell(x, (h, c))
    assert np.allclose(new_c.value, memory, rtol=1e-12)
    assert np.allclose(new_h.value, sigmoid(o) * np.tanh(memory), rtol=1e-12)
    cell = randomized_biases(nn.GRUCell(4, 6, 0, dtype="float64"))
    wx, wh, b, bh = (host(p) for p in (cell.weight_x, cell.weight_h, cell.bias, cell.bias_h))
    (xr, xz, xn), (hr, hz, hn) = np.split(x @ wx + b, 3, axis=1), np.split(h @ wh + bh, 3, axis=1)
    z, n = sigmoid(xz + hz), np.tanh(xn + sigmoid(xr + hr) * hn)
    assert np.allclose(cell(x, h).value, (1 - z) * n + z * h, rtol=1e-12)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_cell_begins_with_zeros(cell):
    model = cell(4, 6, 0, dtype="float64")
    zeros = np.zeros((3, 6))
    given = model(X[:, 0], (zeros, zeros) if cell is nn.LSTMCell else zeros)
    for a, b in zip(ends(model(X[:, 0])), ends(given), strict=True):
        assert np.array_equal(a, b) and a.shape == (3, 6) and np.any(a)


def test_the_relu_of_an_rnn_and_the_forget_gate_of_an_lstm():
    cell = nn.RNNCell(4, 6, 0, activation="relu", dtype="float64")
    assert np.array_equal(cell(X[:, 0]).value, np.maximum(X[:, 0] @ host(cell.weight_x), 0))
    assert np.array_equal(host(nn.LSTMCell(1, 2, 0).bias), [0, 0, 1, 1, 0, 0, 0, 0])
    assert not np.any(host(nn.LSTMCell(1, 2, 0, forget_bias=0).bias))


# ---- sequences ----


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sequence_is_one_step_after_the_other(name):
    model = network(name)
    outputs, state = model(X)
    assert outputs.value.shape == (3, 5, 6)
    cell, now = model.cells[0], None
    for t in range(5):
        now = cell(X[:, t], *(() if now is None else (now,)))
        now = tuple(s.value for s in now) if name == "LSTM" else now.value
        assert np.allclose(outputs.value[:, t], now[0] if name == "LSTM" else now, rtol=1e-12)
    for a, b in zip(ends(state), ends(now), strict=True):
        assert a.shape == (1, 3, 6) and np.allclose(a[0], b, rtol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_goes_on_where_another_call_ended(name):
    model = network(name, layers=2)
    whole, last = model(X)
    first, state = model(X[:, :2])
    second, after = model(X[:, 2:], tuple(s.value for s in state) if name == "LSTM" else state.value)
    assert np.allclose(np.concatenate([first.value, second.value], 1), whole.value, rtol=1e-12)
    for a, b in zip(ends(after), ends(last), strict=True):
        assert a.shape == (2, 3, 6) and np.allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_second_direction_reads_from_the_end(name):
    model = network(name, bidirectional=True)
    outputs, state = model(X)
    backward = network(name)
    for own, other in zip(backward.cells[0].parameters(), model.cells[1].parameters(), strict=True):
        own.value = other.value
    alone, end = backward(np.ascontiguousarray(X[:, ::-1]))
    assert outputs.value.shape == (3, 5, 12)
    assert np.allclose(outputs.value[..., 6:], alone.value[:, ::-1], rtol=1e-12)
    for a, b in zip(ends(state), ends(end), strict=True):
        assert a.shape == (2, 3, 6) and np.allclose(a[1], b[0], rtol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_of_a_ragged_batch_is_as_if_it_were_alone(name):
    model = network(name, layers=2, bidirectional=True)
    outputs, state = model(X, lengths=LENGTHS)
    mask = np.arange(5) < LENGTHS[:, None]
    same, last = model(X, mask=mask)
    assert np.array_equal(outputs.value, same.value) and not np.any(outputs.value[~mask])
    for a, b in zip(ends(state), ends(last), strict=True):
        assert np.array_equal(a, b)
    for row, n in enumerate(LENGTHS):
        alone, end = model(X[row : row + 1, :n])
        assert np.allclose(outputs.value[row, :n], alone.value[0], rtol=1e-12)
        for a, b in zip(ends(state), ends(end), strict=True):
            assert np.allclose(a[:, row], b[:, 0], rtol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_mask_with_holes_leaves_times_out(name):
    model = network(name)
    outputs, state = model(X[:1], mask=np.array([[True, False, True, False, True]]))
    alone, end = model(np.ascontiguousarray(X[:1, ::2]))
    assert np.allclose(outputs.value[:, ::2], alone.value, rtol=1e-12) and not np.any(outputs.value[:, 1::2])
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(ends(state), ends(end), strict=True))


def test_padding_has_no_gradient_and_may_be_anything():
    model = network("LSTM", bidirectional=True)
    x = X.copy()
    x[1, 2:] = np.nan

    def loss(x):
        return op.sum(op.square(model(x, lengths=LENGTHS)[0]))

    g = zk.grad(loss)(x)
    assert np.all(np.isfinite(g[:, :2])) and not np.any(g[1, 2:]) and not np.any(g[2, 3:]) and np.all(g[0] != 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_time_first_is_the_same_turned(name):
    outputs, _ = network(name)(X)
    turned, _ = network(name, time_first=True)(np.moveaxis(X, 0, 1).copy(), lengths=np.array([5, 5, 5]))
    assert np.allclose(np.moveaxis(turned.value, 0, 1), outputs.value, rtol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_right(name):
    model = network(name, bidirectional=True)
    zk.testing.check_grads(lambda x: model(x, lengths=LENGTHS)[0], (X,), order=1)
    weight = model.cells[1].weight_h

    def loss(w):
        clone = copy.deepcopy(model)
        clone.cells[1].weight_h.value = w
        return float(op.sum(op.square(clone(X)[0])).value)

    grads = zk.grad(lambda m: op.sum(op.square(m(X)[0])))(model)
    direction = RNG.normal(size=weight.value.shape)
    slope = (loss(weight.value + 1e-6 * direction) - loss(weight.value - 1e-6 * direction)) / 2e-6
    assert np.isclose(np.sum(grads["cells.1.weight_h"] * direction), slope, rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_backend_gives_the_same(name, backend):
    expected, _ = network(name, layers=2)(X[:, :3], lengths=np.array([3, 1, 2]))
    with zk.use_backend(backend):
        outputs, _ = network(name, layers=2)(backend.asarray(X[:, :3]), lengths=backend.asarray(np.array([3, 1, 2])))
    assert backend.owns(outputs.value) and np.allclose(host(outputs), expected.value, rtol=1e-10)


def test_dropout_acts_between_layers_in_training_alone():
    model = network("GRU", layers=2, dropout=0.5)
    first, second = (model(X)[0].value for _ in range(2))
    assert not np.array_equal(first, second)
    model.eval()
    plain = network("GRU", layers=2)
    assert np.array_equal(model(X)[0].value, model(X)[0].value)
    assert np.array_equal(model(X)[0].value, plain(X)[0].value)
    assert network("GRU", dropout=0.5).train()(X)[0].value.shape == (3, 5, 6)  # no layers to stand between
    assert "noise" in model.named_states() and not plain.named_states()


# ---- how it shows itself, and what it refuses ----


def test_names_and_words():
    model = nn.LSTM(4, 6, 0, layers=2, bidirectional=True)
    names = [f"cells.{k}.{p}" for k in range(4) for p in ("weight_x", "weight_h", "bias")]
    assert list(model.named_parameters()) == names
    assert model.cells[2].weight_x.value.shape == (12, 24)
    assert repr(model) == "LSTM(4, 6, layers=2, bidirectional=True)"
    assert repr(nn.GRUCell(4, 6, 0, bias=False)) == "GRUCell(4, 6, bias=False)"
    assert "bias" not in " ".join(nn.GRU(4, 6, 0, bias=False).named_parameters())


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: nn.LSTM(4, 6), TypeError, "needs a generator"),
        (lambda: nn.LSTM(0, 6, 0), ValueError, "inputs is too small"),
        (lambda: nn.GRU(4, 6, 0, layers=0), ValueError, "layers is too small"),
        (lambda: nn.GRU(4, 6, 0, dropout=1.0), ValueError, "dropout must be in"),
        (lambda: nn.RNN(4, 6, 0, activation="gelu"), ValueError, "one of tanh, relu; got 'gelu'"),
        (lambda: nn.LSTM(4, 6, 0)(X[0]), ShapeError, r"expected: \(N, T, 4\)"),
        (lambda: nn.LSTM(4, 6, 0, time_first=True)(X[..., :3]), ShapeError, r"expected: \(T, N, 4\)"),
        (lambda: nn.LSTM(4, 6, 0)(X, np.zeros((1, 3, 6))), TypeError, r"expected: \(h, c\)"),
        (lambda: nn.GRU(4, 6, 0)(X, np.zeros((3, 6))), ShapeError, r"expected: \(1, 3, 6\)"),
        (lambda: nn.GRU(4, 6, 0)(X, lengths=[1, 2]), ShapeError, "integers of shape"),
        (lambda: nn.GRU(4, 6, 0)(X, lengths=np.array([1, 6, 2])), ValueError, r"expected: 0 .. 5"),
        (lambda: nn.GRU(4, 6, 0)(X, lengths=LENGTHS, mask=np.ones((3, 5), bool)), TypeError, "one of them"),
        (lambda: nn.GRU(4, 6, 0)(X, mask=np.ones((3, 5))), ShapeError, "booleans of shape"),
        (lambda: nn.GRUCell(4, 6, 0)(X), ShapeError, r"expected: \(N, 4\)"),
        (lambda: nn.LSTMCell(4, 6, 0)(X[:, 0], X[:, 0]), TypeError, r"expected: \(h, c\)"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
