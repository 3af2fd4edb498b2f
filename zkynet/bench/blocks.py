"""Training steps of larger networks, eager: a transformer layer, an LSTM, a CNN on 28 x 28 pixels.

The same numbers by zkynet and by torch, from the same weights. The file is a script too, run by its path so that a
process loads one library alone: it times steps turn by turn, as ``networks.serve`` does.
"""

import sys
import time
from functools import partial

import numpy as np

THREADS = 2  # torch's; BLAS keeps its own default
SIZE, HEADS, HIDDEN, TIMES, ROWS = 128, 4, 512, 128, 8  # of the transformer
LSTM_TIMES, LSTM_ROWS, LSTM_INPUTS, LSTM_HIDDEN = 64, 32, 32, 128
CNN_ROWS, PIXELS, CLASSES = 64, 28, 10

TITLES = {
    "transformer": f"training step of a pre-norm transformer layer (size {SIZE}, {HEADS} heads, gelu by tanh) on "
    f"({ROWS}, {TIMES}, {SIZE}), Adam, float32",
    "lstm": f"loss and gradient of an LSTM, batch {LSTM_ROWS}, {LSTM_TIMES} times, {LSTM_INPUTS} inputs, "
    f"{LSTM_HIDDEN} units, float32",
    "cnn-28": f"training step of a CNN on 28 x 28 pixels (conv 16, pool, conv 32, pool, dense), batch {CNN_ROWS}, "
    "Adam, float32",
}


def data(name):
    """The weights, in the order of zkynet's parameters, and the batch."""
    draw = np.random.default_rng(0)

    def normal(*shape):
        return draw.standard_normal(shape, dtype=np.float32)

    if name == "transformer":
        shapes = [
            (SIZE, 3 * SIZE),
            (3 * SIZE,),
            (SIZE, SIZE),
            (SIZE,),
            (SIZE, HIDDEN),
            (HIDDEN,),
            (HIDDEN, SIZE),
            (SIZE,),
        ]
        weights = [0.08 * normal(*shape) for shape in shapes] + [np.ones(SIZE, "f"), np.zeros(SIZE, "f")] * 2
        return weights, (normal(ROWS, TIMES, SIZE), normal(ROWS, TIMES, SIZE))
    if name == "lstm":
        shapes = [(LSTM_INPUTS, 4 * LSTM_HIDDEN), (LSTM_HIDDEN, 4 * LSTM_HIDDEN), (4 * LSTM_HIDDEN,)]
        return [0.08 * normal(*shape) for shape in shapes], (normal(LSTM_TIMES, LSTM_ROWS, LSTM_INPUTS),)
    shapes = [(16, 1, 3, 3), (16,), (32, 16, 3, 3), (32,), (32 * (PIXELS // 4) ** 2, CLASSES), (CLASSES,)]
    batch = normal(CNN_ROWS, 1, PIXELS, PIXELS), draw.integers(0, CLASSES, CNN_ROWS)
    return [0.08 * normal(*shape) for shape in shapes], batch


def by_zkynet(name, rate):
    """A function that makes one step by zkynet's layers, and returns the loss."""
    import zkynet as zk
    from zkynet import nn
    from zkynet.framework import op

    def classify(model, x, y):
        return op.softmax_cross_entropy(model(x), y)

    if name == "transformer":
        model = nn.TransformerEncoderLayer(SIZE, HEADS, 0, hidden=HIDDEN, activation="gelu_tanh")
        loss = lambda model, x, y: op.mean(op.square(op.subtract(model(x), y)))  # noqa: E731
    elif name == "lstm":
        model = nn.LSTM(LSTM_INPUTS, LSTM_HIDDEN, 0, time_first=True)
        loss = lambda model, x: op.mean(op.square(model(x)[0]))  # noqa: E731
    else:
        first = nn.Conv2d(1, 16, 3, 0, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        second = nn.Conv2d(16, 32, 3, 0, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        model = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * (PIXELS // 4) ** 2, CLASSES, 0))
        loss = classify
    weights, batch = data(name)
    for parameter, w in zip(model.parameters(), weights, strict=True):
        parameter.value = w
    for array in batch:
        array.flags.writeable = False  # as zkynet.data gives batches
    optimizer, loss_and_grads = zk.optim.Adam(rate), zk.value_and_grad(loss)

    def step():
        value, grads = loss_and_grads(model, *batch)
        if name != "lstm":
            optimizer.update(model, grads)
        return value

    return step


def by_torch(name, rate):
    """A function that makes one step by torch's layers, and returns the loss."""
    import torch

    torch.set_num_threads(THREADS)
    functional, layers = torch.nn.functional, torch.nn
    weights, batch = data(name)
    batch = [torch.tensor(x) for x in batch]
    if name == "transformer":
        gelu = partial(functional.gelu, approximate="tanh")
        model = layers.TransformerEncoderLayer(
            SIZE, HEADS, HIDDEN, dropout=0.0, activation=gelu, norm_first=True, batch_first=True
        )
        loss = lambda x, y: functional.mse_loss(model(x), y)  # noqa: E731
    elif name == "lstm":
        model = layers.LSTM(LSTM_INPUTS, LSTM_HIDDEN)
        weights = [*weights, np.zeros_like(weights[-1])]  # torch has two biases, which are added
        loss = lambda x: model(x)[0].square().mean()  # noqa: E731
    else:
        first = layers.Conv2d(1, 16, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2)
        second = layers.Conv2d(16, 32, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2)
        model = layers.Sequential(*first, *second, layers.Flatten(), layers.Linear(32 * (PIXELS // 4) ** 2, CLASSES))
        loss = lambda x, y: functional.cross_entropy(model(x), y)  # noqa: E731
    with torch.no_grad():
        for parameter, w in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.tensor(w.T.copy() if w.ndim == 2 else w))
    optimizer = torch.optim.Adam(model.parameters(), rate)

    def step():
        model.zero_grad()
        value = loss(*batch)
        value.backward()
        if name != "lstm":
            optimizer.step()
        return value.detach()

    return step


MAKERS = {"zkynet": by_zkynet, "torch": by_torch}


def serve(name, peer):
    """Time steps, turn by turn: for each number on stdin so many, and the seconds of one."""
    step = MAKERS[peer](name, 1e-7)  # a rate so small that thousands of steps leave the numbers what they are
    for _ in range(5):
        step()
    calls = 1
    while calls:
        step()  # what others pushed out of the caches comes back
        start = time.perf_counter()
        for _ in range(calls):
            step()
        print((time.perf_counter() - start) / calls, flush=True)
        calls = int(sys.stdin.readline() or 0)


if __name__ == "__main__":
    serve(*sys.argv[1:])
