"""MultiHeadAttention: the formula by loops, masks, caches, rotary positions, shared keys, and what it refuses."""

import numpy as np
import pytest

import zkynet as zk
from support.layers import host
from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op

RNG = np.random.default_rng(0)
X, MEMORY = RNG.normal(size=(3, 5, 8)), RNG.normal(size=(3, 7, 8))
KEYS = np.arange(7) < np.array([[7], [3], [0]])  # which of the memory count: all, three, none


def attention(heads=4, **settings):
    model = nn.MultiHeadAttention(8, heads, zk.Generator(1), dtype="float64", **settings)
    for parameter in model.parameters():
        parameter.value = RNG.normal(size=parameter.value.shape) / 2
    return model


def by_loops(model, x, memory, allowed=None):
    """The formula, one head of one row after the other."""
    size, d = model.size, model.size // model.heads
    wide = d * model.key_heads
    w, b = host(model.weight_in), host(model.bias_in)
    q, k, v = (
        source @ w[:, start:stop] + b[start:stop]
        for source, start, stop in ((x, 0, size), (memory, size, size + wide), (memory, size + wide, size + 2 * wide))
    )
    y = np.zeros_like(q)
    for n in range(len(x)):
        for h in range(model.heads):
            shared = h // (model.heads // model.key_heads)
            own, other = slice(h * d, (h + 1) * d), slice(shared * d, (shared + 1) * d)
            scores = q[n][:, own] @ k[n][:, other].T / np.sqrt(d)
            if allowed is not None:
                scores = np.where(np.broadcast_to(allowed, (len(x), model.heads, *scores.shape))[n, h], scores, -np.inf)
            with np.errstate(invalid="ignore"):
                shares = np.exp(scores - scores.max(-1, keepdims=True))
            shares = np.where(np.isnan(shares), 0, shares)
            total = shares.sum(-1, keepdims=True)
            y[n][:, own] = shares / np.where(total == 0, 1, total) @ v[n][:, other]
    return y @ host(model.weight_out) + host(model.bias_out)


@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_it_is_the_formula(key_heads):
    model = attention(key_heads=key_heads)
    assert model.weight_in.value.shape == (8, 8 + 4 * key_heads)
    assert np.allclose(model(X).value, by_loops(model, X, X), rtol=1e-10)
    assert np.allclose(model(X, MEMORY).value, by_loops(model, X, MEMORY), rtol=1e-10)
    assert np.allclose(model(X, MEMORY, MEMORY.copy()).value, by_loops(model, X, MEMORY), rtol=1e-10)
    other = RNG.normal(size=MEMORY.shape)
    assert not np.allclose(model(X, MEMORY, other).value, by_loops(model, X, MEMORY), rtol=1e-3)


@pytest.mark.parametrize("key_heads", [4, 2])
def test_masks_of_every_shape(key_heads):
    model = attention(key_heads=key_heads)
    for shape in ((5, 7), (3, 5, 7), (3, 1, 7), (3, 4, 5, 7), (1, 4, 5, 7)):
        mask = RNG.random(shape) < 0.7
        mask[..., 0] = True
        allowed = mask[:, None] if mask.ndim == 3 else mask
        expected = by_loops(model, X, MEMORY, allowed)
        assert np.allclose(model(X, MEMORY, mask=mask).value, expected, rtol=1e-10), shape
        assert np.allclose(model(X, MEMORY, mask=np.where(mask, 0.0, -np.inf)).value, expected, rtol=1e-10), shape
        both = by_loops(model, X, MEMORY, allowed & KEYS[:, None, None])
        assert np.allclose(model(X, MEMORY, mask=mask, key_mask=KEYS).value, both, rtol=1e-10), shape
        floating = np.where(mask, 0.0, -np.inf)
        assert np.allclose(model(X, MEMORY, mask=floating, key_mask=KEYS).value, both, rtol=1e-10), shape
    assert np.allclose(model(X, causal=True).value, by_loops(model, X, X, np.tri(5, dtype=bool)), rtol=1e-10)


def test_a_row_without_keys_gets_the_bias_and_padding_may_be_any_number():
    model, memory = attention(), np.where(KEYS[..., None], MEMORY, 1e6)
    y = model(X, memory, key_mask=KEYS).value
    assert np.array_equal(y[2], np.broadcast_to(host(model.bias_out), (5, 8)))
    assert np.allclose(y[1:2], model(X[1:2], MEMORY[1:2, :3]).value, rtol=1e-10)
    g = zk.grad(lambda memory: op.sum(op.square(model(X, memory, key_mask=KEYS))))(memory)
    assert not np.any(g[~KEYS]) and np.all(g[KEYS] != 0)


@pytest.mark.parametrize("settings", [{}, {"rotary": True}, {"key_heads": 2}, {"key_heads": 1, "rotary": True}])
def test_a_cache_gives_what_the_whole_sequence_gives(settings):
    model = attention(**settings)
    whole = model(X, causal=True).value
    cache, parts = model.empty_cache(3, 6), []
    assert repr(cache) == f"KeyValueCache(0 of 6 keys, {model.key_heads} heads of 2)"
    for start, stop in ((0, 2), (2, 3), (3, 5)):
        y, cache = model(X[:, start:stop], cache=cache)
        parts.append(y.value)
    assert np.allclose(np.concatenate(parts, axis=1), whole, rtol=1e-10) and cache.position == 5
    with pytest.raises(ValueError, match="it is full"):
        model(X[:, :2], cache=cache)


def test_a_memory_is_projected_once():
    model = attention()
    cache = model.remember(MEMORY)
    y, after = model(X, cache=cache, key_mask=KEYS)
    assert after is cache and np.allclose(y.value, model(X, MEMORY, key_mask=KEYS).value, rtol=1e-10)
    with pytest.raises(ValueError, match="nothing can be added"):
        cache.extended(cache.key, cache.value)


def test_rotary_positions_are_relative():
    model = attention(rotary=True)
    plain = attention()
    for own, other in zip(plain.parameters(), model.parameters(), strict=True):
        own.value = other.value
    assert not np.allclose(model(X).value, plain(X).value, rtol=1e-3)
    _, cache = model(RNG.normal(size=(3, 4, 8)), cache=model.empty_cache(3, 9))
    hidden = cache.extended(op.zeros_like(cache.key[:, :, :0]), op.zeros_like(cache.key[:, :, :0]))
    assert hidden.position == 4
    q, k, _ = model._self_projected(X, 0)
    later_q, later_k, _ = model._self_projected(X, 3)
    assert np.allclose(
        op.matmul(q, op.matrix_transpose(k)).value, op.matmul(later_q, op.matrix_transpose(later_k)).value
    )


def test_dropout_acts_in_training_alone():
    model = attention(dropout=0.5)
    assert not np.array_equal(model(X).value, model(X).value)
    model.eval()
    assert np.allclose(model(X).value, by_loops(model, X, X), rtol=1e-10)
    assert list(model.named_states()) == ["noise"] and not attention().named_states()


@pytest.mark.parametrize("settings", [{}, {"key_heads": 2, "rotary": True}])
def test_gradients_are_right(settings):
    model = attention(**settings)
    zk.testing.check_grads(lambda x: model(x, causal=True), (X[:2, :3],), order=2)
    grads = zk.grad(lambda m: op.sum(op.square(m(X))))(model)
    w = model.weight_in
    before, direction = host(w), RNG.normal(size=w.value.shape)
    values = []
    for shift in (1e-6, -1e-6):
        w.value = before + shift * direction
        values.append(float(np.sum(model(X).value ** 2)))
    w.value = before
    assert np.isclose(np.sum(grads["weight_in"] * direction), (values[0] - values[1]) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("key_heads", [4, 2])
def test_every_backend_gives_the_same(key_heads, backend):
    def run(array):
        model = nn.MultiHeadAttention(8, 4, 1, key_heads=key_heads, rotary=True, dtype="float64")
        y, _ = model(array(X[:, :2]), cache=model.empty_cache(3, 4))
        return host(model(array(X), key_mask=array(KEYS[:, :5]))), host(y)

    expected = run(np.asarray)
    with zk.use_backend(backend):
        for a, b in zip(run(backend.asarray), expected, strict=True):
            assert np.allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: nn.MultiHeadAttention(8, 4), TypeError, "needs a generator"),
        (lambda: nn.MultiHeadAttention(8, 3, 0), ValueError, "heads that divide the size"),
        (lambda: nn.MultiHeadAttention(8, 4, 0, key_heads=3), ValueError, "key_heads that divide heads"),
        (lambda: nn.MultiHeadAttention(8, 8, 0, rotary=True), ValueError, "even number of features"),
        (lambda: nn.MultiHeadAttention(8, 4, 0, dropout=1), ValueError, "dropout must be in"),
        (lambda: attention()(X[0]), ShapeError, r"expected: \(N, L, 8\)"),
        (lambda: attention()(X, MEMORY[:2]), ShapeError, "the inputs do not fit"),
        (lambda: attention()(X, MEMORY, X), ShapeError, "the inputs do not fit"),
        (lambda: attention()(X, mask=np.ones((7, 5), bool)), ShapeError, r"expected: \(5, 5\), \(3, 5, 5\)"),
        (lambda: attention()(X, key_mask=np.ones((3, 7), bool)), ShapeError, r"booleans of shape \(3, 5\)"),
        (lambda: attention()(X, key_mask=np.ones((3, 5))), ShapeError, "booleans of shape"),
        (lambda: attention()(X, MEMORY, cache=attention().empty_cache(3, 5)), TypeError, "both keys and a cache"),
        (lambda: attention()(X, mask=np.ones((5, 5), bool), cache=attention().empty_cache(3, 5)), TypeError, "a mask"),
        (lambda: attention(rotary=True)(X, MEMORY), ValueError, "keys of another are given"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_words():
    assert repr(attention(key_heads=2, dropout=0.1)) == "MultiHeadAttention(8, 4, key_heads=2, dropout=0.1)"
    assert (
        repr(nn.MultiHeadAttention(8, 4, 0, bias=False, rotary=True))
        == "MultiHeadAttention(8, 4, rotary=True, bias=False)"
    )
