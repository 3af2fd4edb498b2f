"""The workloads: each one written for zkynet and for its peers, in the way that each library's users would.

A maker takes the settings of a run and gives a function without arguments that does the work once and returns what was
computed. Libraries are imported by the makers alone.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import zkynet as zk
from zkynet.framework import op

THREADS = 2  # torch's; BLAS and XLA keep their own defaults
LIBRARIES = {"torch": "torch", "torch fused": "torch", "jax.jit": "jax", "autograd": "autograd"}  # to import, by peer


class Workload(NamedTuple):
    """One thing to do, by zkynet and its peers."""

    name: str
    title: str
    makers: dict[str, Callable[..., Callable[[], Any]]]  # by peer; "zkynet" is the first
    settings: dict = {}  # what a maker takes for a timed run
    rehearsal: dict = {}  # what it takes for the comparison of results, where that differs
    calls: int = 1  # how many results in a row are compared

    def make(self, peer: str) -> Callable[[], Any]:
        """The function to time."""
        return self.makers[peer](**self.settings)

    def results(self, peer: str) -> list[float]:
        """What the peer computes, as plain numbers."""
        run = self.makers[peer](**{**self.settings, **self.rehearsal})
        return [number for _ in range(self.calls) for number in _numbers(run())]


def missing(peer: str) -> str | None:
    """Why a peer cannot take part: its library is not installed. None where it can."""
    library = LIBRARIES.get(peer)
    if library is None or importlib.util.find_spec(library) is not None:
        return None
    return f"{library} is not installed"


def compare(workload: Workload, peer: str) -> None:
    """AssertionError where ``peer`` does not compute what zkynet does, to single precision."""
    np.testing.assert_allclose(
        workload.results(peer), workload.results("zkynet"), rtol=2e-4, err_msg=f"{workload.name}: {peer} and zkynet"
    )


def _numbers(result: Any) -> list[float]:
    if isinstance(result, (tuple, list)):
        return [number for item in result for number in _numbers(item)]
    return [float(number) for number in np.ravel(np.asarray(result))]


def import_torch():
    import torch

    torch.set_num_threads(THREADS)
    return torch


def import_jax():
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    return jax


# ---- a chain of 1,000 operators: what one operator costs ----

LENGTH, FACTOR = 1_000, 1.001


def _chain(x):
    for _ in range(LENGTH):
        x = x * FACTOR
    return x


def _chain_data():
    return np.linspace(0.5, 1.5, 10, dtype=np.float32)


def _chain_zkynet():
    x = _chain_data()
    return partial(zk.grad(lambda x: op.sum(_chain(x))), x)


def _chain_torch():
    torch = import_torch()
    x = torch.tensor(_chain_data(), requires_grad=True)
    return lambda: torch.autograd.grad(_chain(x).sum(), x)[0]


def _chain_autograd():
    import autograd
    import autograd.numpy as anp

    return partial(autograd.grad(lambda x: anp.sum(_chain(x))), _chain_data())


def _chain_jax():
    jax = import_jax()
    gradient = jax.jit(jax.grad(lambda x: _chain(x).sum()))
    x = jax.numpy.asarray(_chain_data())
    return lambda: gradient(x).block_until_ready()


# ---- a function of two numbers ----

X, W = 3.0, 2.0


def _cubic(x, w):
    return (x + w) * x**2


def _scalar_zkynet():
    return partial(zk.value_and_grad(_cubic, argnums=(0, 1)), X, W)


def _scalar_torch():
    torch = import_torch()
    x, w = (torch.tensor(number, requires_grad=True) for number in (X, W))

    def run():
        y = _cubic(x, w)
        return y.detach(), torch.autograd.grad(y, (x, w))

    return run


def _scalar_autograd():
    import autograd

    return partial(autograd.value_and_grad(_cubic, argnum=(0, 1)), X, W)


def _scalar_jax():
    jax = import_jax()
    both = jax.jit(jax.value_and_grad(_cubic, argnums=(0, 1)))
    return lambda: jax.block_until_ready(both(X, W))


# ---- one training step of an MLP: forward, backward, Adam ----

SIZES = (784, 256, 128, 10)
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def _mlp_data(batch):
    """Read-only, as zkynet.data gives batches: inputs (batch, 784) in float32, labels (batch,) in int64."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((batch, SIZES[0]), dtype=np.float32)
    labels = draw.integers(0, SIZES[-1], batch)
    x.flags.writeable = labels.flags.writeable = False
    return x, labels


def _mlp_weights():
    """The weight (inputs, outputs) and the bias (outputs,) of each layer, in turns."""
    return [np.array(p.value) for p in zk.models.fcn(SIZES).parameters()]


def _mlp_zkynet(batch, lr):
    x, labels = _mlp_data(batch)
    model = zk.models.fcn(SIZES)
    optimizer = zk.optim.Adam(lr)
    loss_and_grads = zk.value_and_grad(lambda model: op.softmax_cross_entropy(model(x), labels))

    def step():
        loss, grads = loss_and_grads(model)
        optimizer.update(model, grads)
        return loss

    return step


def _mlp_torch(batch, lr, fused=False):
    torch = import_torch()
    x, labels = (torch.tensor(array) for array in _mlp_data(batch))
    weights = _mlp_weights()
    layers = []
    for w, b in zip(weights[::2], weights[1::2], strict=True):
        linear = torch.nn.Linear(*w.shape)
        linear.load_state_dict({"weight": torch.tensor(w.T.copy()), "bias": torch.tensor(b)})
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr, fused=fused)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _mlp_loss(xp, weights, x, labels):
    """The cross-entropy of the network for a library with NumPy's names."""
    for i in range(0, len(weights) - 2, 2):
        x = xp.maximum(xp.dot(x, weights[i]) + weights[i + 1], 0)
    z = xp.dot(x, weights[-2]) + weights[-1]
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - z[xp.arange(len(labels)), labels])


def _adam(sqrt, t, lr, p, g, m, v):
    """Kingma and Ba's algorithm 1: the new parameter and the two moments."""
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * (g * g)
    return p - lr / (1 - BETA1**t) * m / (sqrt(v / (1 - BETA2**t)) + EPS), m, v


def _mlp_autograd(batch, lr):
    import autograd
    import autograd.numpy as anp

    x, labels = _mlp_data(batch)
    weights = _mlp_weights()
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    loss_and_grads = autograd.value_and_grad(lambda weights: _mlp_loss(anp, weights, x, labels))
    t = 0

    def step():
        nonlocal t
        t += 1
        loss, grads = loss_and_grads(weights)
        for i, g in enumerate(grads):
            weights[i], *moments[i] = _adam(np.sqrt, t, lr, weights[i], g, *moments[i])
        return loss

    return step


def _mlp_jax(batch, lr):
    jax = import_jax()
    jnp = jax.numpy
    x, labels = (jnp.asarray(array) for array in _mlp_data(batch))
    weights = [jnp.asarray(w) for w in _mlp_weights()]
    moments = [(jnp.zeros_like(w), jnp.zeros_like(w)) for w in weights]

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(weights, moments, t, x, labels):
        loss, grads = jax.value_and_grad(lambda weights: _mlp_loss(jnp, weights, x, labels))(weights)
        new = [_adam(jnp.sqrt, t, lr, w, g, *m) for w, g, m in zip(weights, grads, moments, strict=True)]
        return loss, [w for w, _, _ in new], [(m, v) for _, m, v in new]

    state = [weights, moments, 0.0]

    def step():
        weights, moments, t = state
        loss, weights, moments = jax.block_until_ready(update(weights, moments, t + 1, x, labels))
        state[:] = weights, moments, t + 1
        return loss

    return step


def _mlp_numpy(batch, lr):
    """By hand, without any library on top: what the arithmetic costs."""
    x, labels = _mlp_data(batch)
    (w1, b1, w2, b2, w3, b3) = weights = _mlp_weights()
    m, v, spare = ([np.zeros_like(w) for w in weights] for _ in range(3))
    rows = np.arange(batch)
    t = 0

    def step():
        nonlocal t
        t += 1
        h1 = x @ w1
        h1 += b1
        np.maximum(h1, 0, out=h1)
        h2 = h1 @ w2
        h2 += b2
        np.maximum(h2, 0, out=h2)
        z = h2 @ w3
        z += b3
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - z[rows, labels])
        p /= total
        p[rows, labels] -= 1
        p /= batch
        g2 = p @ w3.T
        g2 *= h2 > 0
        g1 = g2 @ w2.T
        g1 *= h1 > 0
        grads = (x.T @ g1, g1.sum(axis=0), h1.T @ g2, g2.sum(axis=0), h2.T @ p, p.sum(axis=0))
        _adam_by_hand(weights, grads, m, v, spare, lr, t)
        return loss

    return step


def _adam_by_hand(weights, grads, m, v, spare, lr, t):
    scale = (1 - BETA2**t) ** 0.5
    rate = lr * scale / (1 - BETA1**t)
    for w, g, mi, vi, s in zip(weights, grads, m, v, spare, strict=True):
        mi *= BETA1
        np.multiply(g, 1 - BETA1, out=s)
        mi += s
        vi *= BETA2
        np.multiply(g, g, out=s)
        s *= 1 - BETA2
        vi += s
        np.sqrt(vi, out=s)
        s += EPS * scale
        np.divide(mi, s, out=s)
        s *= rate
        w -= s


def _mlp(batch):
    makers = {
        "zkynet": _mlp_zkynet,
        "torch": _mlp_torch,
        "torch fused": partial(_mlp_torch, fused=True),
        "jax.jit": _mlp_jax,
        "autograd": _mlp_autograd,
        "numpy by hand": _mlp_numpy,
    }
    return Workload(
        name=f"mlp-{batch}",
        title=f"training step of an MLP {'-'.join(map(str, SIZES))}, batch {batch}, Adam, float32",
        makers=makers,
        # So small a rate that thousands of timed steps leave the numbers what they are: nothing underflows.
        settings={"batch": batch, "lr": 1e-7},
        rehearsal={"lr": 1e-3},
        calls=4,
    )


WORKLOADS = {
    each.name: each
    for each in (
        Workload(
            name="chain",
            title=f"gradient through {LENGTH:,} multiplications by a number of 10 float32",
            makers={
                "zkynet": _chain_zkynet,
                "torch": _chain_torch,
                "autograd": _chain_autograd,
                "jax.jit": _chain_jax,
            },
        ),
        Workload(
            name="scalar",
            title="value and gradient of (x + w) * x**2 for two numbers",
            makers={
                "zkynet": _scalar_zkynet,
                "torch": _scalar_torch,
                "autograd": _scalar_autograd,
                "jax.jit": _scalar_jax,
            },
        ),
        _mlp(32),
        _mlp(256),
    )
}
