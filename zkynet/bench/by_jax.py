"""The tasks by hand in JAX, each compiled as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from zkynet.bench import jacobians, networks, tasks
from zkynet.bench.tasks import Task


def make(task: Task, rate: float) -> Callable[[], Any]:
    """A function that does the task once, with the results of ``by_zkynet.make``."""
    jax = networks.import_jax()
    if task.family in _FUNCTIONS:
        return _FUNCTIONS[task.family](jax)
    if task.family in jacobians.TITLES:
        return jacobians.with_jax(task.family)
    own = jax.numpy.array
    weights, batch = ([own(array) for array in arrays] for arrays in tasks.data(task))
    if task.family == "adam":
        return _adam(jax, task, rate, weights, batch)
    loss = _LOSSES[task.family](jax, **task.sizes)
    if task.optimizer is None:
        argnums = (0, 1) if task.family == "conv" else 0
        gradient = jax.jit(jax.value_and_grad(loss, argnums))
        return lambda: jax.block_until_ready(gradient(weights, *batch))
    update, moments = _optimizer(jax, task, rate, weights)
    loss_and_grads = jax.value_and_grad(loss)

    def step(weights, moments, t, *batch):
        value, grads = loss_and_grads(weights, *batch)
        return value, *update(weights, moments, t, grads)

    step, state, count = jax.jit(step, donate_argnums=(0, 1)), [weights, moments], itertools.count(1)

    def run():
        value, *state[:] = step(*state, float(next(count)), *batch)
        return value.block_until_ready()

    return run


def _adam(jax, task, rate, weights, grads):
    update, moments = _optimizer(jax, task, rate, weights)
    update, state, count = jax.jit(update, donate_argnums=(0, 1)), [weights, moments], itertools.count(1)

    def run():
        state[:] = update(*state, float(next(count)), grads)
        return state[0][0].block_until_ready()

    return run


def _optimizer(jax, task, rate, weights):
    """The function (weights, moments, t, grads) -> (weights, moments), and the first moments."""
    numpy = jax.numpy

    def sgd(weights, moments, t, grads):
        return [w - rate * g for w, g in zip(weights, grads, strict=True)], moments

    def adam(weights, moments, t, grads):
        each = zip(weights, grads, moments, strict=True)
        new = [networks.adam(numpy.sqrt, t, rate, w, g, *m) for w, g, m in each]
        return [w for w, _, _ in new], [(m, v) for _, m, v in new]

    if task.optimizer == "sgd":
        return sgd, []
    return adam, [(numpy.zeros_like(w), numpy.zeros_like(w)) for w in weights]


# ---- losses of weights and a batch ----


def _mlp(jax, sizes, batch):
    return partial(networks.cross_entropy, jax.numpy)


def _cnn(jax, batch, pixels, classes):
    numpy, lax = jax.numpy, jax.lax

    def network(_, weights, x):
        for kernel, bias in (weights[:2], weights[2:4]):
            x = numpy.maximum(_convolved(lax, x, kernel, bias), 0)
            x = lax.reduce_window(x, -numpy.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return networks.logits(numpy, weights[4:], x.reshape(len(x), -1))

    return partial(networks.cross_entropy, numpy, network=network)


def _convolved(lax, x, kernel, bias):
    return lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1), (1, 1))) + bias[:, None, None]


def _conv(jax, batch, channels, pixels):
    return lambda weights, x: jax.numpy.square(_convolved(jax.lax, x, *weights)).mean()


def _lstm(jax, batch, times, inputs, hidden):
    numpy, sigmoid = jax.numpy, jax.nn.sigmoid

    def loss(weights, x):
        w, u, bias = weights

        def cell(state, x):
            h, c = state
            i, f, g, o = numpy.split(x + h @ u, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * numpy.tanh(g)
            h = sigmoid(o) * numpy.tanh(c)
            return (h, c), h

        zeros = numpy.zeros((batch, hidden), x.dtype)
        _, y = jax.lax.scan(cell, (zeros, zeros), x @ w + bias)
        return numpy.square(y).mean()

    return loss


def _transformer(jax, batch, times, size, heads, hidden, causal):
    numpy = jax.numpy

    def normed(x, scale, shift):
        x = x - x.mean(axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(numpy.square(x).mean(axis=-1, keepdims=True) + 1e-5) * scale + shift

    def loss(weights, x, y):
        w_qkv, b_qkv, w_out, b_out, w1, b1, w2, b2, *norms = weights
        qkv = (normed(x, *norms[:2]) @ w_qkv + b_qkv).reshape(batch, times, 3, heads, size // heads)
        attended = jax.nn.dot_product_attention(*numpy.moveaxis(qkv, 2, 0), is_causal=causal)
        x = x + attended.reshape(batch, times, size) @ w_out + b_out
        x = x + jax.nn.gelu(normed(x, *norms[2:]) @ w1 + b1) @ w2 + b2
        return numpy.square(x - y).mean()

    return loss


_LOSSES: dict[str, Callable[..., Any]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "conv": _conv,
    "lstm": _lstm,
    "transformer": _transformer,
}


# ---- functions without weights ----


def _scalar(jax):
    value_and_grad = jax.jit(jax.value_and_grad(tasks.cubic, argnums=(0, 1)))
    return lambda: jax.block_until_ready(value_and_grad(*tasks.NUMBERS))


def _chain(jax):
    gradient = jax.jit(jax.grad(lambda x: tasks.chain(x).sum()))
    x = jax.numpy.array(tasks.vector())
    return lambda: gradient(x).block_until_ready()


_FUNCTIONS = {"scalar": _scalar, "chain": _chain}
