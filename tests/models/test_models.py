"""Every model: built by its name, the same numbers on every backend, and trained at small size."""

import json

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.layers import host
from zkynet import io, models
from zkynet.framework import op
from zkynet.models.coordinates import places

RNG = np.random.default_rng(0)
ROWS = RNG.random((6, 12)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 2])
TOKENS = RNG.integers(0, 5, (4, 6))


def classify(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def own_loss(model, x):
    return model.loss(x)


def misfit(model, x, y):
    return op.mean(op.square(model(x) - y))


def transformer(**settings):
    return {"length": 4, "inputs": 3, "classes": 3, "size": 8, "heads": 2, "layers": 1, **settings}


WORDS = {"vocabulary": 5, "length": 8, "size": 8, "heads": 2, "layers": 1}
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32"), np.array([[0], [1], [1], [0]], "float32")
SEQUENCES = ROWS.reshape(6, 4, 3)
CASES = {  # by a name: the model's, its settings, the loss, and what the loss takes
    "fcn": ("fcn", {"sizes": [12, 8, 3]}, classify, (ROWS, LABELS)),
    "cnn": (
        "cnn",
        {"picture": [1, 3, 4], "convolutions": [[4, 1, 1]], "hidden": 6, "classes": 3},
        classify,
        (ROWS, LABELS),
    ),
    "rnn": ("recurrent", {"inputs": 3, "hidden": 6, "classes": 3, "cell": "rnn"}, classify, (SEQUENCES, LABELS)),
    "lstm": (
        "recurrent",
        {"inputs": 3, "hidden": 6, "classes": 3, "cell": "lstm", "layers": 2, "dropout": 0.2},
        classify,
        (SEQUENCES, LABELS),
    ),
    "gru": (
        "recurrent",
        {"inputs": 3, "hidden": 6, "classes": 3, "cell": "gru", "bidirectional": True},
        classify,
        (SEQUENCES, LABELS),
    ),
    "autoencoder": ("autoencoder", {"sizes": [12, 8, 3]}, own_loss, (ROWS,)),
    "variational autoencoder": ("variational_autoencoder", {"sizes": [12, 8, 2]}, own_loss, (ROWS,)),
    "gaussian autoencoder": (
        "variational_autoencoder",
        {"sizes": [12, 8, 2], "likelihood": "gaussian"},
        own_loss,
        (ROWS,),
    ),
    "transformer": ("transformer", transformer(dropout=0.1), classify, (ROWS, LABELS)),
    "rotary transformer": ("transformer", transformer(positions="rotary"), classify, (SEQUENCES, LABELS)),
    "language model": ("language_model", WORDS, own_loss, (TOKENS,)),
    "rotary language model": ("language_model", {**WORDS, "positions": "rotary"}, own_loss, (TOKENS,)),
    "recurrent language model": (
        "recurrent_language_model",
        {"vocabulary": 5, "size": 8, "layers": 2, "dropout": 0.1},
        own_loss,
        (TOKENS,),
    ),
    "xor": ("xor", {}, misfit, XOR),
    "coordinate network": (
        "coordinate_network",
        {"channels": 2, "waves": 8, "frequency": 2.0, "hidden": [6]},
        misfit,
        (places(2, 3), ROWS[:, :2]),
    ),
}


def losses(case, steps, dtype="float32", lr=1e-3):
    """The losses of the first steps by Adam on one batch, and the model after them."""
    name, settings, loss, batch = CASES[case]
    model = models.build({"name": name, "settings": settings}, seed=1, dtype=dtype)
    batch = [x.astype(dtype) if x.dtype.kind == "f" else x for x in batch]
    optimizer, step, found = zk.optim.Adam(lr), zk.value_and_grad(loss), []
    for _ in range(steps):
        value, grads = step(model, *batch)
        optimizer.update(model, grads)
        found.append(float(value))
    return np.array(found), model


@pytest.mark.parametrize("case", CASES)
def test_a_model_learns_its_batch(case):
    found, model = losses(case, 150, lr=2e-2)
    if case.endswith("language model"):
        limit = 0.7  # of two rows with the same beginning one is always wrong
    else:
        limit = {"variational autoencoder": 0.95, "gaussian autoencoder": 0.6}.get(case, 0.3)
    assert np.mean(found[-10:]) < limit * found[0]
    name, settings, loss, batch = CASES[case]
    if loss is classify:
        with zk.no_grad():
            assert np.array_equal(host(op.argmax(model.eval()(batch[0]), axis=-1)), batch[1])


@pytest.mark.slow
@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("case", CASES)
def test_the_losses_are_the_same_on_jax(case, dtype, rtol):
    backends_here.get("jax")
    expected, _ = losses(case, 4, dtype)
    with zk.use_backend("jax"):
        found, _ = losses(case, 4, dtype)
    assert np.allclose(found, expected, rtol=rtol, atol=0) and expected[-1] != expected[0]


@pytest.mark.parametrize("case", CASES)
def test_a_description_is_json_and_the_weights_go_through_a_file(case, tmp_path):
    name, settings, loss, batch = CASES[case]
    description = json.loads(json.dumps({"name": name, "settings": settings}))
    first, second = models.build(description, seed=1), models.build(description, seed=2)
    assert {p.value.dtype for p in first.parameters()} == {np.dtype("float32")}
    io.save_weights(tmp_path / "model.safetensors", first)
    io.load_weights(tmp_path / "model.safetensors", second)
    for model in (first, second):
        model.eval()
    assert float(loss(first, *batch).value) == float(loss(second, *batch).value)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="got:      .*gpt(.|\n)*one of autoencoder, cnn, coordinate_network"):
        models.build({"name": "gpt", "settings": {}})


# ---- exclusive or ----


def test_the_textbook_network_is_exclusive_or():
    model = models.xor()
    assert np.array_equal(model(XOR[0]).value, XOR[1])
    assert np.array_equal(host(model[0].weight), [[1, 1], [1, 1]]) and np.array_equal(host(model[0].bias), [0, -1])
    assert np.array_equal(host(model[2].weight), [[1], [-2]]) and np.array_equal(host(model[2].bias), [0])


# ---- sequences ----


def test_a_classifier_of_sequences_reads_the_last_state_that_counts():
    model = models.recurrent(3, 6, 3, "gru", layers=2, bidirectional=True)
    lengths = np.array([4, 2, 1, 3, 4, 2])
    logits = model(SEQUENCES, lengths=lengths).value
    for row, n in enumerate(lengths):
        assert np.allclose(logits[row], model(SEQUENCES[row : row + 1, :n]).value[0], atol=1e-6)
    assert np.array_equal(model(SEQUENCES, mask=np.arange(4) < lengths[:, None]).value, logits)
    with pytest.raises(ValueError, match="one of rnn, lstm, gru; got 'mlp'"):
        models.recurrent(cell="mlp")


# ---- autoencoders ----


def test_the_loss_of_a_variational_autoencoder_is_the_bound():
    for likelihood in ("bernoulli", "gaussian"):
        model = models.variational_autoencoder((12, 8, 2), 3, likelihood=likelihood, dtype="float64").eval()
        x = ROWS.astype("float64")
        y, mean, log_variance = (host(each) for each in model(x))
        divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1)
        if likelihood == "bernoulli":
            p = 1 / (1 + np.exp(-y))
            misfit = -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p))
        else:
            misfit = 0.5 * np.sum((x - y) ** 2)
        assert np.isclose(model.loss(x).item(), (misfit + divergence) / 6, rtol=1e-10)


def test_a_variational_autoencoder_draws_in_training_alone():
    model = models.variational_autoencoder((12, 8, 2), 3)
    assert model.loss(ROWS).item() != model.loss(ROWS).item()
    model.eval()
    assert model.loss(ROWS).item() == model.loss(ROWS).item()
    samples = host(model.sample(5, 7))
    assert samples.shape == (5, 12) and np.all((samples > 0) & (samples < 1))
    assert np.array_equal(samples, host(model.sample(5, 7))) and not np.array_equal(samples, host(model.sample(5, 8)))
    with pytest.raises(ValueError, match="one of bernoulli, gaussian"):
        models.variational_autoencoder(likelihood="poisson")


# ---- transformers ----


def test_a_transformer_takes_rows_of_numbers_and_leaves_padding_out():
    model = models.transformer(**transformer())
    assert np.array_equal(model(ROWS).value, model(SEQUENCES).value)
    seen = np.arange(4) < np.array([[4], [1], [2], [3], [4], [2]])
    logits = model(SEQUENCES, key_mask=seen).value
    for row, n in enumerate(seen.sum(1)):
        assert np.allclose(logits[row], model(SEQUENCES[row : row + 1, :n]).value[0], atol=1e-5)
    with pytest.raises(ValueError, match=r"or \(N, 12\)"):
        model(ROWS[:, :11])
    with pytest.raises(ValueError, match='"learned" or "rotary"'):
        models.transformer(positions="sine")


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_language_model_writes_what_it_finds_likeliest(positions, backend):
    with zk.use_backend(backend):
        model = models.language_model(**WORDS, positions=positions, dropout=0.2)
        written = host(model.generate(backend.asarray(TOKENS[:, :3]), 2))
        assert model.training and model.encoder.layers[0].attention.training
        model.eval()
        tokens = TOKENS[:, :3]
        for _ in range(2):
            logits = host(model(backend.asarray(tokens)))
            tokens = np.concatenate([tokens, np.argmax(logits[:, -1:], axis=-1)], axis=1)
    assert written.dtype == TOKENS.dtype and np.array_equal(written, tokens)


def test_sampling_is_decided_by_the_generator():
    model = models.language_model(**WORDS)
    prompt = np.repeat(TOKENS[:1, :2], 400, axis=0)

    def drawn(seed, **settings):
        return model.generate(prompt, 1, generator=zk.Generator(seed), **settings)[:, -1]

    assert np.array_equal(drawn(3), drawn(3)) and not np.array_equal(drawn(3), drawn(4))
    logits = model(prompt[:1]).value[0, -1].astype("float64")
    for temperature in (1.0, 0.01):
        shares = np.exp(logits / temperature - np.max(logits / temperature))
        shares /= shares.sum()
        counts = np.bincount(drawn(5, temperature=temperature), minlength=5)
        assert np.all(np.abs(counts / 400 - shares) < 4 * np.sqrt(shares * (1 - shares) / 400) + 1e-9)
    best = np.argsort(logits)[-2:]
    assert set(drawn(6, top_k=2)) == set(best) and set(drawn(6, top_k=1)) == {best[-1]}


@pytest.mark.parametrize(
    "settings, error, words",
    [
        ({"count": 6}, ValueError, "at most 8 with the new ones"),
        ({"count": 0}, ValueError, "the tokens do not fit"),
        ({"generator": 3}, TypeError, "draws come from a zk.Generator"),
        ({"generator": zk.Generator(0), "temperature": 0.0}, ValueError, "above 0"),
        ({"generator": zk.Generator(0), "top_k": 9}, ValueError, "in 1 .. 5"),
        ({"temperature": 0.5}, TypeError, "no generator to draw from"),
    ],
)
def test_what_generation_refuses(settings, error, words):
    with pytest.raises(error, match=words):
        models.language_model(**WORDS).generate(TOKENS[:, :3], **{"count": 2, **settings})


def test_a_language_model_learns_to_count():
    model, optimizer = models.language_model(**WORDS), zk.optim.Adam(2e-2)
    starts = np.arange(5)[:, None]
    tokens = (starts + np.arange(8)) % 5
    step = zk.value_and_grad(own_loss)
    for _ in range(60):
        _, grads = step(model, tokens)
        optimizer.update(model, grads)
    assert np.array_equal(model.generate(tokens[:, :2], 6), tokens)
