"""Classifiers of sequences by recurrent networks."""

from __future__ import annotations

from typing import Any

from zkynet import nn
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module
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
