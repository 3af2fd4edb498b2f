"""A network and its training step by zkynet, by every peer, and by hand in NumPy: the same numbers from all of them.

A maker takes the first weights (weight (inputs, outputs), bias (outputs,), weight ...) and the learning rate of Adam.
It gives three functions: ``own(array)`` makes an array the library's own, ``step(x, labels)`` trains on a batch of such
and returns the loss, ``network(x)`` gives the logits. Between two layers stands a ReLU; the loss is the mean
cross-entropy. The makers of a CNN take the weights of ``zk.models.cnn()``.

The file is a script too, run by its path so that a process loads one library alone; see ``train`` and ``serve``.
"""

import itertools
import json
import os
import sys
import time
from functools import partial

import numpy as np

THREADS = 2  # torch's; BLAS and XLA keep their own defaults
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
GOAL = 0.97  # test accuracy


def import_torch():
    """The module, with its number of threads set."""
    import torch

    torch.set_num_threads(THREADS)
    return torch


def import_jax():
    """The module, on the CPU."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    return jax


def with_zkynet(weights, rate, graph=False):
    """By zkynet's layers and optimizer, the step compiled by zk.compile with ``graph``."""
    import zkynet as zk
    from zkynet.framework import op

    pairs = zip(weights[::2], weights[1::2], strict=True)
    layers = [layer for w, b in pairs for layer in (zk.nn.Linear(w, b), zk.nn.ReLU())]
    model = zk.nn.Sequential(*layers[:-1])
    optimizer = zk.optim.Adam(rate)
    loss_and_grads = zk.value_and_grad(lambda model, x, labels: op.softmax_cross_entropy(model(x), labels))

    def step(x, labels):
        loss, grads = loss_and_grads(model, x, labels)
        optimizer.update(model, grads)
        return loss

    return read_only, zk.compile(step) if graph else step, lambda x: model(x).value


def with_zkynet_jitted(weights, rate, build=None):
    """By zkynet on JAX, the whole step compiled; of an MLP or of what ``build()`` makes."""
    import_jax()
    import zkynet as zk
    from zkynet.framework import op

    xp = zk.backends.get("jax")
    model = zk.models.fcn((*(w.shape[0] for w in weights[::2]), len(weights[-1]))) if build is None else build()
    model.to(xp)
    for parameter, w in zip(model.parameters(), weights, strict=True):
        parameter.value = w
    train = zk.train.compiled_step(
        model, zk.optim.Adam(rate), lambda model, x, labels: op.softmax_cross_entropy(model(x), labels)
    )
    return xp.asarray, lambda x, labels: xp.synchronize(train(x, labels)), lambda x: model(x).value


def with_zkynet_cnn(weights, rate):
    """The CNN by zkynet on JAX."""
    import zkynet as zk

    return with_zkynet_jitted(weights, rate, zk.models.cnn)


def read_only(array):
    """A copy that cannot be written to, as zkynet.data gives batches."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def with_torch(weights, rate, fused=False):
    """By torch's layers and optimizer; its Adam is faster with ``fused``, which is not its default on the CPU."""
    torch = import_torch()
    layers = []
    for w, b in zip(weights[::2], weights[1::2], strict=True):
        linear = torch.nn.Linear(*w.shape)
        linear.load_state_dict({"weight": torch.tensor(w.T.copy()), "bias": torch.tensor(b)})
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), rate, fused=fused)

    def step(x, labels):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def network(x):
        with torch.no_grad():
            return model(x).numpy()

    return torch.tensor, step, network


def logits(xp, weights, x):
    """The network for a library with NumPy's names."""
    for i in range(0, len(weights) - 2, 2):
        x = xp.maximum(xp.dot(x, weights[i]) + weights[i + 1], 0)
    return xp.dot(x, weights[-2]) + weights[-1]


def cross_entropy(xp, weights, x, labels, network=logits):
    """The mean of -log softmax(network(...))[label]."""
    z = network(xp, weights, x)
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - z[xp.arange(len(labels)), labels])


def adam(sqrt, t, rate, p, g, m, v):
    """Kingma and Ba's algorithm 1: the new parameter and its two moments."""
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * (g * g)
    return p - rate / (1 - BETA1**t) * m / (sqrt(v / (1 - BETA2**t)) + EPS), m, v


def with_autograd(weights, rate):
    """By HIPS autograd, Adam by hand."""
    import autograd
    import autograd.numpy as anp

    weights = list(weights)
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    loss_and_grads = autograd.value_and_grad(lambda weights, x, labels: cross_entropy(anp, weights, x, labels))
    count = itertools.count(1)

    def step(x, labels):
        loss, grads = loss_and_grads(weights, x, labels)
        t = next(count)
        for i, g in enumerate(grads):
            weights[i], *moments[i] = adam(np.sqrt, t, rate, weights[i], g, *moments[i])
        return loss

    return np.array, step, lambda x: logits(np, weights, x)


def with_jax(weights, rate, network=logits, loss=cross_entropy):
    """By JAX, the whole step compiled, Adam by hand."""
    jax = import_jax()
    jnp = jax.numpy

    def update(weights, moments, t, x, labels):
        loss_and_grads = jax.value_and_grad(lambda weights: loss(jnp, weights, x, labels, network))
        loss_value, grads = loss_and_grads(weights)
        new = [adam(jnp.sqrt, t, rate, w, g, *m) for w, g, m in zip(weights, grads, moments, strict=True)]
        return loss_value, [w for w, _, _ in new], [(m, v) for _, m, v in new]

    update = jax.jit(update, donate_argnums=(0, 1))
    state = [[jnp.array(w) for w in weights], [(jnp.zeros_like(w), jnp.zeros_like(w)) for w in weights]]
    count = itertools.count(1)

    def step(x, labels):
        value, *state[:] = update(*state, float(next(count)), x, labels)
        return value.block_until_ready()

    return jnp.array, step, lambda x: network(jnp, state[0], x)


def one_hot_cross_entropy(jnp, weights, x, labels, network=logits):
    """The same, the labels as rows of zeros and a one: another way that JAX programs write it."""
    import jax

    z = network(jnp, weights, x)
    return -jnp.mean(jnp.sum(jax.nn.one_hot(labels, z.shape[1], dtype=z.dtype) * jax.nn.log_softmax(z), axis=1))


def cnn_logits(jnp, weights, x):
    """The network of ``zk.models.cnn()``: three convolutions by 3 x 3 kernels, two layers behind them, for JAX."""
    from jax import lax

    x = x.reshape(-1, 1, 8, 8)
    for i, (stride, padding) in enumerate(((1, 1), (1, 0), (2, 1))):
        kernel, bias = weights[2 * i : 2 * i + 2]
        x = lax.conv_general_dilated(x, kernel, (stride, stride), ((padding, padding), (padding, padding)))
        x = jnp.maximum(x + bias[:, None, None], 0)
    return logits(jnp, weights[6:], x.reshape(len(x), -1))


def with_numpy(weights, rate):
    """By hand, for three layers, without a library on top: what the arithmetic itself costs."""
    weights = [np.array(w) for w in weights]
    w1, b1, w2, b2, w3, b3 = weights
    moments = [[np.zeros_like(w) for w in weights] for _ in range(2)]
    spare = [np.empty_like(w) for w in weights]
    count = itertools.count(1)

    def step(x, labels):
        rows = np.arange(len(x))
        h1 = np.maximum(x @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        z = h2 @ w3 + b3
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - z[rows, labels])
        p /= total
        p[rows, labels] -= 1
        p /= len(x)
        g2 = (p @ w3.T) * (h2 > 0)
        g1 = (g2 @ w2.T) * (h1 > 0)
        grads = (x.T @ g1, g1.sum(axis=0), h1.T @ g2, g2.sum(axis=0), h2.T @ p, p.sum(axis=0))
        _adam_in_place(next(count), rate, weights, grads, *moments, spare)
        return loss

    return np.array, step, lambda x: logits(np, weights, x)


def _adam_in_place(t, rate, weights, grads, ms, vs, spare):
    scale = (1 - BETA2**t) ** 0.5
    rate = rate * scale / (1 - BETA1**t)
    for w, g, m, v, s in zip(weights, grads, ms, vs, spare, strict=True):
        m *= BETA1
        m += np.multiply(g, 1 - BETA1, out=s)
        v *= BETA2
        np.multiply(g, g, out=s)
        s *= 1 - BETA2
        v += s
        np.sqrt(v, out=s)
        s += EPS * scale
        np.divide(m, s, out=s)
        s *= rate
        w -= s


MAKERS = {
    "zkynet": with_zkynet,
    "zkynet graph": partial(with_zkynet, graph=True),
    "torch": with_torch,
    "torch fused": partial(with_torch, fused=True),
    "jax.jit": with_jax,
    "autograd": with_autograd,
    "numpy by hand": with_numpy,
}

JITTED = {
    "zkynet": with_zkynet_jitted,
    "jax.jit": with_jax,
    "jax.jit one-hot": partial(with_jax, loss=one_hot_cross_entropy),
}
JITTED_CNN = {
    "zkynet": with_zkynet_cnn,
    "jax.jit": partial(with_jax, network=cnn_logits),
    "jax.jit one-hot": partial(with_jax, network=cnn_logits, loss=one_hot_cross_entropy),
}
KINDS: dict[str, dict] = {"eager": MAKERS, "jitted": JITTED, "jitted-cnn": JITTED_CNN}


def _start(kind, library, path):
    """What a file written by ``workloads`` holds, and the functions of ``library`` made of its weights."""
    with np.load(path) as file:
        data = dict(file)
    weights = [data[f"weight{i}"] for i in range(sum(name.startswith("weight") for name in data))]
    return data, *KINDS[kind][library](weights, float(data["rate"]))


def train(library: str, path: str) -> None:
    """Train the digit classifier until it meets the goal; print the first losses, the epochs, the accuracy as JSON."""
    data, own, step, network = _start("eager", library, path)
    x, labels, test_x, test_labels, orders = (data[name] for name in ("x", "y", "tx", "ty", "orders"))
    losses: list[float] = []
    for epoch, order in enumerate(orders, start=1):  # noqa: B007
        for rows in order:
            loss = step(own(x[rows]), own(labels[rows]))
            if len(losses) < 5:
                losses.append(float(loss))
        right = np.argmax(np.asarray(network(own(test_x))), axis=1) == test_labels
        if right.mean() >= GOAL:
            break
    else:
        sys.exit(f"{library} did not reach {GOAL:.0%} in {len(orders)} epochs: {right.mean():.4f}")
    print(json.dumps({"losses": losses, "epochs": epoch, "accuracy": float(right.mean())}))


def serve(kind: str, library: str, path: str) -> None:
    """Time training steps on one batch, turn by turn: for each number on stdin so many steps, and the seconds of one.

    ``kind`` is one of KINDS, ``library`` a key in it.

    Sends a line when it is ready, the seconds of a step once warm.
    """
    data, own, step, _ = _start(kind, library, path)
    x, labels = own(data["x"]), own(data["y"])
    for _ in range(5):
        step(x, labels)
    calls = 1
    while calls:
        step(x, labels)  # what others pushed out of the caches comes back
        start = time.perf_counter()
        for _ in range(calls):
            step(x, labels)
        print((time.perf_counter() - start) / calls, flush=True)
        calls = int(sys.stdin.readline() or 0)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    train(*arguments) if command == "train" else serve(*arguments)
