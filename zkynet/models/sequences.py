"""Recurrent networks: a classifier of sequences, and a language model that writes on."""

from __future__ import annotations

from functools import partial
from typing import Any

from zkynet import nn
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module
from zkynet.nn import layer
from zkynet.nn.embedding import Embedding
from zkynet.nn.initializers import normal
from zkynet.nn.recurrent import GRU, LSTM, RNN, Recurrent

CELLS: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class SequenceClassifier(Module):
    """A recurrent network and a linear layer on its last state: from (N, T, inputs) to logits (N, classes).

    ``network`` goes over the sequences; of its last layer the state at the end of each direction, joined, is what
    ``output`` sees. ``lengths`` (N,) or ``mask`` (N, T) say which times of ragged batches count.
    """

    def __init__(self, network: Recurrent, output: nn.Linear):
        self.network, self.output = network, output

    def call(self, x: Any, *, lengths: Any = None, mask: Any = None) -> Any:
        _, state = self.network(x, lengths=lengths, mask=mask)
        ends = state[0] if self.network.arrays > 1 else state
        directions = self.network.directions
        last = [ends[i] for i in range(-directions, 0)]
        return self.output(last[0] if directions == 1 else op.concat(last, axis=-1))


def recurrent(
    inputs: int = 8,
    hidden: int = 64,
    classes: int = 10,
    cell: str = "lstm",
    seed: Generator | int = 0,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    dtype: Any = "float32",
) -> SequenceClassifier:
    """Return a classifier of sequences: from (N, T, inputs) to logits (N, classes).

    ``cell`` is "rnn", "lstm" or "gru"; ``layers`` of ``hidden`` units each lie upon each other, in both directions if
    ``bidirectional``, with ``dropout`` between them in training. The weights are drawn from ``seed``, an int or a
    zk.Generator: the same numbers on every backend. All parameters have ``dtype``. ValueError for an unknown cell and
    for sizes below 1.
    """
    if cell not in CELLS:
        raise ValueError(f"recurrent: cell must be one of {', '.join(CELLS)}; got {cell!r}")
    generator = nn.as_generator(seed)
    network = CELLS[cell](
        inputs, hidden, generator, layers=layers, bidirectional=bidirectional, dropout=dropout, dtype=dtype
    )
    output = nn.Linear(network.directions * hidden, classes, generator, dtype=dtype)
    return SequenceClassifier(network, output)


class RecurrentLanguageModel(Module):
    """A recurrent network over tokens: from integers (N, L) to the logits (N, L, vocabulary) of what comes next.

    Sequences may have any length: what came before is in the state. ``embedding`` looks the tokens up, ``network`` goes
    over them, and ``output``, a linear layer, gives the logits of all its outputs.
    """

    def __init__(self, embedding: Embedding, network: Recurrent, output: nn.Linear):
        self.embedding, self.network, self.output = embedding, network, output
        self.vocabulary = embedding.count

    def call(self, tokens: Any, *, cache: Any = None) -> Any:
        """Logits; with ``cache``, a state of ``empty_cache`` or of the call before, (logits, cache)."""
        shape = tuple(tokens.shape)
        if len(shape) != 2 or not shape[1]:
            raise ShapeError(
                f"recurrent_language_model: the tokens do not fit.\n  got:      shape {shape}\n"
                "  expected: (N, L) with at least one token"
            )
        y, state = self.network(self.embedding(tokens), cache)
        logits = self.output(y)
        return logits if cache is None else (logits, state)

    def empty_cache(self, rows: int) -> Any:
        """The state in which ``rows`` sequences begin: zeros."""
        cells = [cell.first_state(layer.size("empty_cache", "rows", rows)) for cell in self.network.cells]
        arrays = tuple(op.stack([cell[i] for cell in cells]).value for i in range(self.network.arrays))
        return arrays if len(arrays) > 1 else arrays[0]

    def loss(self, tokens: Any) -> Any:
        """The mean cross-entropy, in nats a token, of each token of (N, L) given those before it; L is at least 2."""
        return op.softmax_cross_entropy(self(tokens[:, :-1]), tokens[:, 1:])


def recurrent_language_model(
    vocabulary: int = 128,
    size: int = 128,
    cell: str = "lstm",
    seed: Generator | int = 0,
    *,
    layers: int = 1,
    dropout: float = 0.0,
    dtype: Any = "float32",
) -> RecurrentLanguageModel:
    """Return a recurrent language model of ``vocabulary`` tokens: zkynet.models.write lets it write on.

    ``cell`` is "rnn", "lstm" or "gru"; ``layers`` of ``size`` units each lie upon each other, with ``dropout`` between
    them in training; tokens become vectors of ``size`` numbers, at first with deviation 1 / sqrt(size). The weights are
    drawn from ``seed``, an int or a zk.Generator: the same numbers on every backend. All parameters have ``dtype``.
    ValueError for an unknown cell and for sizes below 1.
    """
    if cell not in CELLS:
        raise ValueError(f"recurrent_language_model: cell must be one of {', '.join(CELLS)}; got {cell!r}")
    generator = nn.as_generator(seed)
    init = partial(normal, std=layer.size("recurrent_language_model", "size", size) ** -0.5)
    embedding = Embedding(vocabulary, size, generator, init=init, dtype=dtype)
    network = CELLS[cell](size, size, generator, layers=layers, dropout=dropout, dtype=dtype)
    return RecurrentLanguageModel(embedding, network, nn.Linear(size, vocabulary, generator, dtype=dtype))
