"""Full Jacobians, a Hessian and a Hessian-vector product: by zkynet, by every peer, and by hand in NumPy.

A maker of MAKERS gives a function without arguments that computes the matrix, or the vector, once. Data are float32.

The file is a script too, run by its path so that a process loads one library alone; see ``serve``.
"""

import os
import sys
import time
from functools import partial

import numpy as np

THREADS = 2  # torch's; BLAS and XLA keep their own defaults
SIZE = 200  # of each layer
LENGTH = 1000  # of the vector whose entries stay apart
SAMPLES, PARAMETERS = 1000, 100
DIMENSIONS = 500  # of Rosenbrock's function


def draw(*shapes):
    """Normal float32 arrays, the same ones every time."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def layers():
    """Two weights and an input."""
    w1, w2, x = draw((SIZE, SIZE), (SIZE, SIZE), (SIZE,))
    return w1 / np.float32(SIZE**0.5), w2 / np.float32(SIZE**0.5), x


def samples():
    """Inputs (samples, parameters), labels -1 or 1, parameters."""
    a, labels, w = draw((SAMPLES, PARAMETERS), (SAMPLES,), (PARAMETERS,))
    return a, np.sign(labels), w / np.float32(10)


def point():
    """Where Rosenbrock's function is differentiated, and along what."""
    return draw((DIMENSIONS,), (DIMENSIONS,))


# ---- the functions, for a library with NumPy's names ----


def dense(xp, w1, w2, x):
    """Two layers: every output depends on every input."""
    return xp.tanh(w2 @ xp.tanh(w1 @ x))


def logistic(xp, a, labels, w):
    """The mean logistic loss of labels -1 and 1."""
    return xp.mean(xp.log1p(xp.exp(-labels * (a @ w))))


def rosenbrock(x):
    """Rosenbrock's function of a vector: by infix operators alone, so the same for every library."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


# ---- zkynet ----


def zkynet_function(name):
    """The function by the transforms of the package, and its arguments."""
    import zkynet as zk
    from zkynet.framework import op

    if name == "jacobian":
        w1, w2, x = layers()
        return zk.jacobian(partial(dense, op, w1, w2)), (x,)
    if name == "jacobian-entrywise":
        return zk.jacobian(op.tanh), tuple(draw((LENGTH,)))
    if name == "hessian":
        a, labels, w = samples()
        return zk.hessian(partial(logistic, op, a, labels)), (w,)
    return lambda x, v: zk.hvp(rosenbrock, (x,), (v,))[0], tuple(point())


def with_zkynet(name):
    """By the transforms of the package."""
    f, args = zkynet_function(name)
    return partial(f, *args)


# ---- the peers ----


def with_torch(name):
    """By the transforms of torch.func, eager."""
    import torch

    torch.set_num_threads(THREADS)
    own, func = torch.tensor, torch.func
    if name == "jacobian":
        w1, w2, x = map(own, layers())
        return partial(func.jacrev(partial(dense, torch, w1, w2)), x)
    if name == "jacobian-entrywise":
        return partial(func.jacrev(torch.tanh), *map(own, draw((LENGTH,))))
    if name == "hessian":
        a, labels, w = map(own, samples())
        return partial(func.hessian(partial(logistic, torch, a, labels)), w)
    x, v = map(own, point())
    gradient = func.grad(rosenbrock)
    return lambda: func.jvp(gradient, (x,), (v,))[1]


def with_jax(name):
    """By JAX, compiled."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jnp = jax.numpy
    if name == "jacobian":
        w1, w2, x = map(jnp.array, layers())
        run = partial(jax.jit(lambda w1, w2, x: jax.jacrev(partial(dense, jnp, w1, w2))(x)), w1, w2, x)
    elif name == "jacobian-entrywise":
        run = partial(jax.jit(jax.jacrev(jnp.tanh)), *map(jnp.array, draw((LENGTH,))))
    elif name == "hessian":
        a, labels, w = map(jnp.array, samples())
        run = partial(jax.jit(lambda a, labels, w: jax.hessian(partial(logistic, jnp, a, labels))(w)), a, labels, w)
    else:
        gradient = jax.grad(rosenbrock)
        run = partial(jax.jit(lambda x, v: jax.jvp(gradient, (x,), (v,))[1]), *map(jnp.array, point()))
    return lambda: run().block_until_ready()


def with_autograd(name):
    """By HIPS autograd, whose Jacobian takes one sweep a row."""
    import autograd
    import autograd.numpy as anp

    if name == "jacobian":
        w1, w2, x = layers()
        return partial(autograd.jacobian(lambda x: anp.tanh(anp.dot(w2, anp.tanh(anp.dot(w1, x))))), x)
    if name == "jacobian-entrywise":
        return partial(autograd.jacobian(anp.tanh), *draw((LENGTH,)))
    if name == "hessian":
        a, labels, w = samples()
        return partial(autograd.hessian(lambda w: anp.mean(anp.log1p(anp.exp(-labels * anp.dot(a, w))))), w)
    x, v = point()
    return partial(autograd.hessian_vector_product(lambda x: anp.sum(rosenbrock(x))), x, v)


def with_numpy(name):
    """By hand: what the arithmetic itself costs."""
    if name == "jacobian":
        w1, w2, x = layers()
        return partial(_dense_by_hand, w1, w2, x)
    if name == "jacobian-entrywise":
        return partial(_entrywise_by_hand, *draw((LENGTH,)))
    if name == "hessian":
        return partial(_hessian_by_hand, *samples())
    return partial(_hvp_by_hand, *point())


def _dense_by_hand(w1, w2, x):
    h = np.tanh(w1 @ x)
    y = np.tanh(w2 @ h)
    return ((1 - y * y)[:, None] * w2 * (1 - h * h)) @ w1


def _entrywise_by_hand(x):
    return np.diag(1 - np.tanh(x) ** 2)


def _hessian_by_hand(a, labels, w):
    p = 1 / (1 + np.exp(labels * (a @ w)))
    return (a * (p * (1 - p) * labels * labels)[:, None]).T @ a / np.float32(SAMPLES)


def _hvp_by_hand(x, v):
    a, b = x[:-1], x[1:]
    result = np.zeros_like(x)
    result[:-1] = (1200 * a * a - 400 * b + 2) * v[:-1] - 400 * a * v[1:]
    result[1:] += 200 * v[1:] - 400 * a * v[:-1]
    return result


MAKERS = {
    "zkynet": with_zkynet,
    "torch": with_torch,
    "jax.jit": with_jax,
    "autograd": with_autograd,
    "numpy by hand": with_numpy,
}
TITLES = {
    "jacobian": f"dense Jacobian of tanh(W2 tanh(W1 x)), {SIZE} to {SIZE} to {SIZE}, float32",
    "jacobian-entrywise": f"dense Jacobian of tanh by {LENGTH:,} numbers, float32",
    "hessian": f"Hessian of a logistic loss, {PARAMETERS} parameters, {SAMPLES:,} samples, float32",
    "hvp": f"Hessian-vector product of Rosenbrock's function of {DIMENSIONS} numbers, float32",
}


def serve(name: str, peer: str) -> None:
    """Time calls turn by turn: for each number on stdin so many calls, and the seconds of one.

    ``name`` is one of TITLES, ``peer`` one of MAKERS. Sends a line when it is ready, the seconds of a call once warm.
    """
    run = MAKERS[peer](name)
    for _ in range(5):
        run()
    calls = 1
    while calls:
        run()  # what others pushed out of the caches comes back
        start = time.perf_counter()
        for _ in range(calls):
            run()
        print((time.perf_counter() - start) / calls, flush=True)
        calls = int(sys.stdin.readline() or 0)


if __name__ == "__main__":
    serve(*sys.argv[1:])
