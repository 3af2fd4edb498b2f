"""Two lanes of recorded training steps: the layers that people use are halved, and where the work is."""

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, optim
from zkynet.framework import op
from zkynet.framework.graph_mode import lanes as two
from zkynet.framework.graph_mode.compiled import compile
from zkynet.framework.graph_mode.sources import Argument

RNG = np.random.default_rng(0)
N = 8


def normal(*shape):
    return RNG.normal(size=shape)


def labels(high, *shape):
    return RNG.integers(0, high, shape)


def recorded(model, loss, *batch):
    """The program of a training step, its inputs' arrays, and those inputs that are arguments."""
    optimizer, loss_and_grads = optim.SGD(0.1), zk.value_and_grad(loss)

    def step(*batch):
        value, grads = loss_and_grads(model, *batch)
        optimizer.update(model, grads)
        return value

    compiled = compile(step)
    compiled(*batch)
    assert compiled.eager_because is None, compiled.eager_because
    (variant,) = [variant for variants in compiled._variants.values() for variant in variants]
    ready = variant.replay.root
    arguments = [value for value, source in ready.inputs if isinstance(source, Argument)]
    arrays = [batch[source.i] if isinstance(source, Argument) else source.read() for _, source in ready.inputs]
    return ready.program, arrays, arguments


def classify(model, x, t):
    return op.softmax_cross_entropy(model(x), t)


def square(model, x, *_):
    y = model(x)
    return op.mean(op.square(y[0] if isinstance(y, tuple) else y))


D = {"dtype": "float64"}


def sequence(*layers):
    return nn.Sequential(*layers)


STEPS = {
    "perceptron": lambda: (
        *(sequence(nn.Linear(N, 16, 0, **D), nn.Tanh(), nn.Linear(16, N, 0, **D)), classify),
        *(normal(N, N), labels(N, N)),
    ),
    "convolutional": lambda: (
        sequence(
            nn.Conv2d(1, 4, 3, 0, padding=1, **D), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3, 0, **D)
        ),
        *(classify, normal(N, 1, 8, 8), labels(3, N)),
    ),
    "transformer": lambda: (nn.TransformerEncoderLayer(16, 2, 0, hidden=32, **D), square, normal(N, 5, 16)),
    "lstm": lambda: (nn.LSTM(3, N, 0, time_first=True, **D), square, normal(5, N, 3)),
    "lstm, batch first": lambda: (nn.LSTM(3, N, 0, **D), square, normal(N, 5, 3)),
    "gru": lambda: (nn.GRU(3, N, 0, **D), square, normal(N, 5, 3)),
    "rnn": lambda: (nn.RNN(3, N, 0, **D), square, normal(N, 5, 3)),
    "embedding": lambda: (
        sequence(nn.Embedding(N, 4, 0, **D), nn.Flatten(), nn.Linear(20, 3, 0, **D)),
        *(classify, labels(N, N, 5), labels(3, N)),
    ),
    "layer norm": lambda: (sequence(nn.Linear(N, N, 0, **D), nn.LayerNorm(N, **D), nn.GELU()), square, normal(N, N)),
    "group norm": lambda: (
        sequence(nn.Conv2d(2, 4, 3, 0, **D), nn.GroupNorm(2, 4, **D), nn.SiLU()),
        *(square, normal(N, 2, 8, 8)),
    ),
    "average pool": lambda: (sequence(nn.Conv2d(2, 4, 3, 0, **D), nn.AvgPool2d(2)), square, normal(N, 2, 8, 8)),
    "dropout": lambda: (
        sequence(nn.Linear(N, 16, 0, **D), nn.Dropout(0.5, 0), nn.Linear(16, N, 0, **D)),
        *(square, normal(N, N)),
    ),
}


def same(want, got):
    for a, b in zip(want, got, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert (abs(a - b) <= 1e-12 * (1 + abs(a).max(initial=0))).all()


@pytest.mark.parametrize("name", STEPS)
def test_a_recorded_step_is_the_same_in_two_lanes(name):
    program, arrays, arguments = recorded(*STEPS[name]())
    lanes = two.find(program, arguments)
    assert lanes is not None and lanes.batch == N
    assert {step.function for step in lanes.rest.steps} <= {"update_in_blocks", "less", "any", "expect"}

    def runner(program):
        def run(arrays):
            with program.xp.errstate():
                return program(*arrays)

        return run

    def copies():
        return [array.copy() if isinstance(array, np.ndarray) else array for array in arrays]

    three = [runner(each) for each in (lanes.before, lanes.first, lanes.rest)]
    same(runner(program)(copies()), two.run(lanes, *three, copies()))


def test_a_step_with_batch_norm_stays_in_one_lane():
    model = sequence(nn.Linear(N, N, 0, **D), nn.BatchNorm(N, **D), nn.Tanh())
    program, _, arguments = recorded(model, square, normal(N, N))
    assert two.find(program, arguments) is None
