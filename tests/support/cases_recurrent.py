"""Case table: cells and sequences of RNN, LSTM and GRU."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import ShapeError

from .rows import Bad, Row, draw

A = np.array


def states(name, gates, cells=1):
    """x, the state and the weights of a cell with one unit."""
    return draw(name, (2, 2), *((2, 1),) * cells, (2, gates), (1, gates), (gates,))


def sequence(name, gates, cells=1, **settings):
    return draw(name, (2, 1, 1), *((1, 1),) * cells, (1, gates), (1, gates), (gates,), **settings)


def with_state(name):
    """``op.<name>`` with a state of two parts, h and c, as a flat tuple of arrays."""

    def run(xp, x, h, c, *weights, **settings):
        if not hasattr(xp, "is_host"):  # the reference
            return getattr(xp, name)(x, h, c, *weights, **settings)
        return flat(getattr(xp, name)(x, (h, c), *weights, **settings))

    return run


def flat(found):
    return tuple(a for part in found for a in (part if isinstance(part, tuple) else (part,)))


WIDE = Bad((np.ones((2, 2)), np.ones((2, 1)), np.ones((2, 2)), np.ones((1, 4))), ShapeError, "w_x has shape (2, 2)")
NO_STEPS = {"lengths": A([2, 1])}
RECURRENT = (
    Row(
        "rnn_cell",
        (states("rnn", 1), draw("rnn", (1, 1), (1, 2), (1, 2), (2, 2), activation="relu"))
        + (draw("rnn", (0, 1), (0, 1), (1, 1), (1, 1)),),
        weak=False,
        errors=(
            WIDE,
            Bad((np.ones((1, 1)),) * 4, ValueError, "'sine'", {"activation": "sine"}),
        ),
    ),
    Row(
        "lstm_cell",
        (states("lstm", 4, 2), draw("lstm", (0, 1), (0, 1), (0, 1), (1, 4), (1, 4))),
        run=with_state("lstm_cell"),
        weak=False,
        errors=(Bad((*WIDE.operands[:2], *WIDE.operands[1:]), ShapeError, "w_x has shape (2, 2)"),),
    ),
    Row(
        "gru_cell",
        (
            states("gru", 3),
            draw("gru", (1, 1), (1, 1), (1, 3), (1, 3), (3,), (3,)),
            draw("gru", (0, 1), (0, 1), (1, 3), (1, 3)),
        ),
        weak=False,
        errors=(WIDE,),
    ),
    Row(
        "rnn",
        (
            sequence("rnn", 1),
            sequence("rnn", 1, reverse=True),
            draw("rnn", (2, 2, 1), (2, 1), (1, 1), (1, 1), lengths=[2, 1]),
            draw("rnn", (2, 0, 1), (0, 1), (1, 1), (1, 1)),
        ),
        run=lambda xp, *a, lengths=None, **s: flat(xp.rnn(*a, lengths=lengths and np.array(lengths), **s)),
        weak=False,
        errors=(Bad((np.ones((2, 1, 1)), *[np.ones((1, 1))] * 3), ValueError, "'sine'", {"activation": "sine"}),),
    ),
    Row(
        "lstm",
        (sequence("lstm", 4, 2), draw("lstm", (2, 0, 1), (0, 1), (0, 1), (1, 4), (1, 4))),
        run=with_state("lstm"),
        weak=False,
        tolerance=10,
    ),
    Row(
        "gru",
        (
            sequence("gru", 3, reverse=True),
            draw("gru", (2, 1, 1), (1, 1), (1, 3), (1, 3), (3,), (3,)),
            draw("gru", (2, 0, 1), (0, 1), (1, 3), (1, 3)),
        ),
        run=lambda xp, *a, **s: flat(xp.gru(*a, **s)),
        weak=False,
        tolerance=10,
    ),
    Row(
        "slstm",
        (draw("slstm", (2, 1), (2, 1), (2, 4), (2, 4)), draw("slstm", (0, 1), (0, 1), (0, 4), (0, 4))),
        weak=False,
    ),
    Row(
        "tree_lstm",
        (draw("tree", (1, 1), (1, 1), (1, 5)), draw("tree", (1, 2), (1, 8)), draw("tree", (0, 1), (0, 4))),
        run=lambda xp, *a: xp.tree_lstm(a[:-1], a[-1]),
        weak=False,
        errors=(Bad((np.ones((1, 1)), np.ones((1, 5))), ShapeError, "5 columns"),),
    ),
    Row(
        "pad_sequence",
        (draw("pads", (2, 2), (3, 2)), draw("pads", (1,), (3,), (2,), value=2.5), draw("pads", (0, 2), (1, 2))),
        run=lambda xp, *a, value=0.0: xp.pad_sequence(list(a), value),
        weak=False,
        integers=False,  # a value of 0.0 makes no floats of them
        errors=(Bad((np.ones((2, 2)), np.ones((2, 3))), ShapeError, "agree but for T"),),
    ),
    Row(
        "transpose_sequence",
        (draw("seq", (3, 2), (1, 2)), draw("seq", (2, 0), (1, 0))),
        run=lambda xp, *a: tuple(xp.transpose_sequence(list(a))),
        weak=False,
        errors=(Bad((np.ones((1, 2)), np.ones((2, 2))), ValueError, "longest come first"),),
    ),
)

ROWS = RECURRENT
