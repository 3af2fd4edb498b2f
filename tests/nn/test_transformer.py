"""Transformer layers and stacks: the formula, norms before and behind, caches, positions, dropout, errors."""

import numpy as np
import pytest

import zkynet as zk
from support.layers import host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op

RNG = np.random.default_rng(0)
X, MEMORY = RNG.normal(size=(3, 5, 8)), RNG.normal(size=(3, 7, 8))
DOUBLE = {"dtype": "float64"}


def shaken(model):
    """The model with random numbers in all its parameters."""
    rng = np.random.default_rng(2)
    for parameter in model.parameters():
        parameter.value = rng.normal(size=parameter.value.shape) / 2
    return model


def norm(layer, x):
    spread = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / spread * host(layer.weight) + host(layer.bias)


def feed(layer, x):
    h = np.maximum(x @ host(layer.first.weight) + host(layer.first.bias), 0)
    return h @ host(layer.second.weight) + host(layer.second.bias)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_layer_is_its_formula(norm_first):
    layer = shaken(nn.TransformerEncoderLayer(8, 2, 0, norm_first=norm_first, activation="relu", **DOUBLE))
    attend, (a, b) = (lambda x: layer.attention(x).value), layer.norms
    if norm_first:
        h = X + attend(norm(a, X))
        expected = h + feed(layer.feed_forward, norm(b, h))
    else:
        h = norm(a, X + attend(X))
        expected = norm(b, h + feed(layer.feed_forward, h))
    assert np.allclose(layer(X).value, expected, rtol=1e-10)
    assert layer.feed_forward.first.weight.value.shape == (8, 32)


def test_a_decoder_layer_looks_at_itself_and_at_the_memory():
    layer = shaken(nn.TransformerDecoderLayer(8, 2, 0, hidden=10, activation="relu", **DOUBLE))
    a, b, c = layer.norms
    h = X + layer.attention(norm(a, X), causal=True).value
    h = h + layer.memory_attention(norm(b, h), MEMORY).value
    assert np.allclose(layer(X, MEMORY).value, h + feed(layer.feed_forward, norm(c, h)), rtol=1e-10)
    seen = np.arange(7) < 3
    masked = layer(X, MEMORY, memory_key_mask=np.broadcast_to(seen, (3, 7))).value
    assert np.allclose(masked, layer(X, MEMORY[:, :3]).value, rtol=1e-10)
    assert np.allclose(masked, layer(X, MEMORY, memory_mask=np.broadcast_to(seen, (5, 7))).value, rtol=1e-10)


def test_causal_entries_do_not_see_what_comes_later():
    encoder = shaken(nn.TransformerEncoder(2, 8, 2, 0, **DOUBLE))
    decoder = shaken(nn.TransformerDecoder(2, 8, 2, 0, **DOUBLE))
    other = X.copy()
    other[:, 3:] = RNG.normal(size=(3, 2, 8))
    for run in (lambda x: encoder(x, causal=True).value, lambda x: decoder(x, MEMORY).value):
        assert np.array_equal(run(X)[:, :3], run(other)[:, :3]) and not np.allclose(run(X)[:, 3:], run(other)[:, 3:])
    assert not np.allclose(encoder(X).value[:, :3], encoder(other).value[:, :3])
    assert not np.allclose(decoder(X, MEMORY, causal=False).value[:, :3], decoder(X, MEMORY).value[:, :3])


@pytest.mark.parametrize("settings", [{}, {"norm_first": False, "rotary": True, "key_heads": 1}])
def test_caches_give_what_whole_sequences_give(settings):
    encoder = shaken(nn.TransformerEncoder(2, 8, 2, 0, **settings, **DOUBLE))
    decoder = shaken(nn.TransformerDecoder(2, 8, 2, 0, **settings, **DOUBLE))
    cache, held, ours, theirs = encoder.empty_cache(3, 5), decoder.empty_cache(MEMORY, 5), [], []
    for start, stop in ((0, 3), (3, 4), (4, 5)):
        y, cache = encoder(X[:, start:stop], cache=cache)
        ours.append(y.value)
        y, held = decoder(X[:, start:stop], cache=held)
        theirs.append(y.value)
    assert np.allclose(np.concatenate(ours, 1), encoder(X, causal=True).value, rtol=1e-9)
    assert np.allclose(np.concatenate(theirs, 1), decoder(X, MEMORY).value, rtol=1e-9)


def test_a_stack_ends_in_a_norm_where_its_layers_norm_first():
    names = list(nn.TransformerEncoder(2, 8, 2, 0).named_parameters())
    assert names[-2:] == ["norm.weight", "norm.bias"] and "layers.1.norms.1.weight" in names
    assert nn.TransformerEncoder(2, 8, 2, 0, norm_first=False).norm is None
    stack = shaken(nn.TransformerEncoder(2, 8, 2, 0, **DOUBLE))
    inside = stack.layers[1](stack.layers[0](X).value).value
    assert np.allclose(stack(X).value, norm(stack.norm, inside), rtol=1e-10)
    assert not np.array_equal(host(stack.layers[0].attention.weight_in), host(stack.layers[1].attention.weight_in))


def test_key_masks_of_ragged_batches():
    stack = shaken(nn.TransformerEncoder(2, 8, 2, 0, **DOUBLE))
    seen = np.arange(5) < np.array([[5], [2], [4]])
    y = stack(X, key_mask=seen).value
    for row, n in enumerate((5, 2, 4)):
        assert np.allclose(y[row, :n], stack(X[row : row + 1, :n]).value[0], rtol=1e-9)


def test_gradients_are_right():
    layer = shaken(nn.TransformerDecoderLayer(8, 2, 0, hidden=6, **DOUBLE))
    zk.testing.check_grads(lambda x, memory: layer(x, memory), (X[:1, :3], MEMORY[:1, :2]), order=1)


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu"])
def test_every_backend_gives_the_same(activation, backend):
    def run(array):
        model = nn.TransformerDecoder(1, 8, 2, 1, hidden=6, activation=activation, **DOUBLE)
        return host(model(array(X), array(MEMORY)))

    expected = run(np.asarray)
    with zk.use_backend(backend):
        assert np.allclose(run(backend.asarray), expected, rtol=1e-9)


def test_dropout_acts_in_training_alone_and_is_counted():
    model = nn.TransformerEncoderLayer(8, 2, zk.Generator(0), dropout=0.3, **DOUBLE)
    first = model(X).value
    assert not np.array_equal(first, model(X).value)
    counter = next(iter(model.named_states().values()))
    counter.value = counter.value - 8  # two calls of four draws: softmax, hidden, and what each part adds
    assert np.array_equal(model(X).value, first)
    model.eval()
    plain = nn.TransformerEncoderLayer(8, 2, zk.Generator(0), **DOUBLE)
    assert np.array_equal(model(X).value, plain(X).value)


def test_learned_positions():
    positions = nn.LearnedPositions(6, 8, 0, dtype="float64")
    weight = host(positions.weight)
    assert np.array_equal(positions(X).value, X + weight[:5])
    assert np.array_equal(positions(X[:, :2], start=4).value, X[:, :2] + weight[4:])
    assert abs(weight.std() - 0.02) < 0.005 and repr(positions) == "LearnedPositions(6, 8)"
    with pytest.raises(ShapeError, match="from position 2 on"):
        positions(X, start=2)


def test_a_layer_learns():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(16, 4, 8)).astype("float32")
    model, optimizer = nn.TransformerEncoderLayer(8, 2, 0, hidden=16), zk.optim.Adam(1e-2)
    step, losses = zk.value_and_grad(lambda m, x: op.mean(op.square(m(x) - x[:, ::-1]))), []
    for _ in range(150):
        loss, grads = step(model, x)
        optimizer.update(model, grads)
        losses.append(float(loss))
    assert losses[-1] < 0.25 * losses[0]


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: nn.TransformerEncoderLayer(8, 2), TypeError, "needs a generator"),
        (lambda: nn.TransformerEncoder(0, 8, 2, 0), ValueError, "layers is too small"),
        (lambda: nn.TransformerEncoderLayer(8, 2, 0, activation="tanh"), ValueError, "one of relu, gelu, gelu_tanh"),
        (lambda: nn.TransformerEncoderLayer(8, 3, 0), ValueError, "heads that divide the size"),
        (lambda: nn.TransformerDecoderLayer(8, 2, 0)(X), TypeError, "expected a memory, or a cache"),
        (lambda: nn.TransformerEncoder(2, 8, 2, 0)(X, cache=()), ValueError, "0 caches for 2 layers"),
        (lambda: nn.LearnedPositions(0, 8, 0), ValueError, "length is too small"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_words():
    stack = nn.TransformerEncoder(2, 8, 4, 0, norm_first=False, dropout=0.1)
    assert repr(stack) == "TransformerEncoder(2 x TransformerEncoderLayer(8, 4, norm_first=False, dropout=0.1))"
