"""Transformers: a classifier of sequences, and a language model that writes on."""

from __future__ import annotations

from functools import partial
from typing import Any

from zkynet import backends, nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, no_grad
from zkynet.models.writing import check_settings, evaluating, next_tokens
from zkynet.nn import layer
from zkynet.nn.embedding import Embedding
from zkynet.nn.initializers import normal
from zkynet.nn.transformer import LearnedPositions, TransformerEncoder


class TransformerClassifier(Module):
    """A transformer encoder over sequences, its mean over their entries, and a linear layer: to logits (N, classes).

    x is (N, length, inputs), or (N, length * inputs), rows of numbers. ``key_mask`` (N, length), booleans, says which
    entries count; the others are seen by none, and left out of the mean.
    """

    def __init__(
        self,
        length: int,
        inputs: int,
        classes: int,
        generator: Generator | int,
        *,
        size: int,
        heads: int,
        layers: int,
        positions: str,
        dtype: Any,
        **settings: Any,
    ):
        _check_positions("transformer", positions)
        generator = nn.as_generator(generator)
        self.length, self.inputs = layer.size("transformer", "length", length), inputs
        self.embedding = nn.Linear(inputs, size, generator, dtype=dtype)
        learned = positions == "learned"
        self.positions = LearnedPositions(length, size, generator, dtype=dtype) if learned else None
        self.encoder = TransformerEncoder(layers, size, heads, generator, rotary=not learned, dtype=dtype, **settings)
        self.output = nn.Linear(size, classes, generator, dtype=dtype)

    def call(self, x: Any, *, key_mask: Any = None) -> Any:
        h = self.embedding(self._rows(x))
        if self.positions is not None:
            h = self.positions(h)
        h = self.encoder(h, key_mask=key_mask)
        if key_mask is None:
            return self.output(op.mean(h, axis=1))
        count = op.maximum(op.sum(op.astype(key_mask, h.dtype), axis=1, keepdims=True), 1)
        return self.output(op.divide(op.sum(op.select(op.expand_dims(key_mask, -1), h), axis=1), count))

    def _rows(self, x: Any) -> Any:
        shape = tuple(x.shape)
        if len(shape) == 3 and shape[1] <= self.length and shape[2] == self.inputs:
            return x
        if len(shape) != 2 or shape[1] != self.length * self.inputs:
            raise ShapeError(
                f"transformer: the input does not fit.\n  got:      {shape}\n"
                f"  expected: (N, L, {self.inputs}) with L at most {self.length}, or (N, {self.length * self.inputs})"
            )
        return op.reshape(x, (shape[0], self.length, self.inputs))


def transformer(
    length: int = 8,
    inputs: int = 8,
    classes: int = 10,
    size: int = 64,
    heads: int = 4,
    layers: int = 2,
    seed: Generator | int = 0,
    *,
    hidden: int | None = None,
    positions: str = "learned",
    norm_first: bool = True,
    activation: str = "gelu",
    dropout: float = 0.0,
    dtype: Any = "float32",
) -> TransformerClassifier:
    """Return a transformer that classifies sequences of at most ``length`` entries with ``inputs`` numbers each.

    The defaults fit the digits: their 8 rows are the sequence. ``layers`` encoder layers of ``size`` features and
    ``heads`` heads; ``hidden``, the width of the feed-forward parts, is 2 * size unless given; ``positions`` are
    "learned" or "rotary"; the rest is as in nn.TransformerEncoderLayer. The weights are drawn from ``seed``: the same
    numbers on every backend. ValueError for settings out of range.
    """
    return TransformerClassifier(
        length,
        inputs,
        classes,
        seed,
        size=size,
        heads=heads,
        layers=layers,
        hidden=2 * size if hidden is None else hidden,
        positions=positions,
        norm_first=norm_first,
        activation=activation,
        dropout=dropout,
        dtype=dtype,
    )


class LanguageModel(Module):
    """A causal transformer over tokens: from integers (N, L) to the logits (N, L, vocabulary) of what comes next.

    L is at most ``length``. The table of the ``embedding`` gives the logits too (Press and Wolf 2017); it begins with
    deviation 1 / sqrt(size), so that the first logits have deviation 1.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        generator: Generator | int,
        *,
        size: int,
        heads: int,
        layers: int,
        positions: str,
        dtype: Any,
        **settings: Any,
    ):
        _check_positions("language_model", positions)
        generator = nn.as_generator(generator)
        self.length, self.vocabulary = layer.size("language_model", "length", length), vocabulary
        init = partial(normal, std=layer.size("language_model", "size", size) ** -0.5)
        self.embedding = Embedding(vocabulary, size, generator, init=init, dtype=dtype)
        learned = positions == "learned"
        self.positions = LearnedPositions(length, size, generator, dtype=dtype) if learned else None
        self.encoder = TransformerEncoder(layers, size, heads, generator, rotary=not learned, dtype=dtype, **settings)

    def call(self, tokens: Any, *, cache: Any = None) -> Any:
        start = 0 if cache is None else cache[0].position
        shape = tuple(tokens.shape)
        if len(shape) != 2 or not 0 < shape[1] <= self.length - start:
            raise ShapeError(
                f"language_model: the tokens do not fit.\n  got:      shape {shape}, from position {start} on\n"
                f"  expected: (N, L) with L in 1 .. {self.length - start}"
            )
        h = self.embedding(tokens)
        if self.positions is not None:
            h = self.positions(h, start=start)
        h = self.encoder(h, causal=True, cache=cache)
        h, cache = h if cache is not None else (h, None)
        logits = op.matmul(h, op.matrix_transpose(self.embedding.weight))
        return logits if cache is None else (logits, cache)

    def empty_cache(self, rows: int, capacity: int | None = None) -> Any:
        """What ``model(tokens, cache=cache)`` fills: a call that takes the next tokens and gives (logits, cache)."""
        return self.encoder.empty_cache(rows, self.length if capacity is None else capacity)

    def loss(self, tokens: Any) -> Any:
        """The mean cross-entropy, in nats a token, of each token of (N, L) given those before it; L is at least 2."""
        return op.softmax_cross_entropy(self(tokens[:, :-1]), tokens[:, 1:])

    def generate(
        self,
        tokens: Any,
        count: int,
        *,
        generator: Generator | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
    ) -> Any:
        """Return ``tokens`` (N, L) with ``count`` more behind each row, (N, L + count), on the model's backend.

        Without a ``generator`` the likeliest token comes next; with one it is drawn from softmax(logits /
        ``temperature``), among the ``top_k`` likeliest where that is given. Keys and values are kept from step to step,
        and dropout is off. ValueError for settings out of range, and where L + count is more than the model's length;
        ``zkynet.models.write`` goes beyond it.
        """
        self._check_generation(tokens, count, generator, temperature, top_k)
        xp = backends.backend_of(self.embedding.weight.value)
        written = xp.asarray(op.asarray(tokens).value)
        with no_grad(), evaluating(self):
            cache = self.empty_cache(written.shape[0], written.shape[1] + count)
            new = written
            for _ in range(count):
                logits, cache = self(new, cache=cache)
                new = next_tokens(xp, logits.value[:, -1, :], generator, temperature, top_k)
                new = xp.reshape(xp.astype(new, written.dtype), (-1, 1))
                written = xp.concat([written, new], axis=1)
        return written

    def _check_generation(self, tokens: Any, count: int, generator: Any, temperature: float, top_k: Any) -> None:
        shape = tuple(op.asarray(tokens).shape)
        if len(shape) != 2 or not shape[1] or count < 1 or shape[1] + count > self.length:
            raise ValueError(
                f"generate: the tokens do not fit.\n  got:      shape {shape} and {count} more\n"
                f"  expected: (N, L) with at least one token, and at most {self.length} with the new ones"
            )
        check_settings(self, generator, temperature, top_k)


def language_model(
    vocabulary: int = 128,
    length: int = 64,
    size: int = 64,
    heads: int = 4,
    layers: int = 2,
    seed: Generator | int = 0,
    *,
    hidden: int | None = None,
    positions: str = "learned",
    norm_first: bool = True,
    activation: str = "gelu",
    dropout: float = 0.0,
    dtype: Any = "float32",
) -> LanguageModel:
    """Return a language model of ``vocabulary`` tokens that sees at most ``length`` of them.

    ``layers`` causal layers of ``size`` features and ``heads`` heads; ``hidden``, the width of the feed-forward parts,
    is 4 * size unless given; ``positions`` are "learned" or "rotary"; the rest is as in nn.TransformerEncoderLayer. The
    weights are drawn from ``seed``: the same numbers on every backend. ValueError for settings out of range.
    """
    return LanguageModel(
        vocabulary,
        length,
        seed,
        size=size,
        heads=heads,
        layers=layers,
        hidden=hidden,
        positions=positions,
        norm_first=norm_first,
        activation=activation,
        dropout=dropout,
        dtype=dtype,
    )


def _check_positions(model: str, positions: str) -> None:
    if positions not in ("learned", "rotary"):
        raise ValueError(f'{model}: positions must be "learned" or "rotary"; got {positions!r}')
