"""Random programs of operators and nested transforms, against differences of their values and against each other."""

import numpy as np
import pytest

import zkynet as zk
from support.numeric import directional, gradient
from zkynet.framework import op

IDENTITY = np.arange(3.0)


@zk.custom_vjp
def saturated(x, s):
    return op.tanh(x * s)


@saturated.defvjp
def _(g, y, x, s):
    slope = g * (1 - y * y)
    return slope * s, slope * x


class Pair(zk.Operator):
    """Two outputs, no leading axes, no JVP rules: everything by the general ways."""

    outputs = 2
    batched = False

    def forward(self, xp, x):
        return xp.sin(x), xp.sum(xp.cos(x))

    def vjp_x(self, xp, g, x):
        return g[0] * xp.cos(x) - g[1] * xp.sin(x)


def vector(v):
    """A value of shape (), (1,), (3,), (2, 1) or (2, 3) as one of shape (3,)."""
    return (v[0] - v[1] if v.ndim == 2 else v) + np.zeros(3)


def assigned(a, b):
    y = vector(a) * 1.0
    y[1:] = vector(b)[:2] * y[0]
    y[0] += op.sum(b)
    return y


def pulled(a, b):
    _, pull = zk.vjp(lambda y: op.sin(y) * vector(b), vector(a))
    return pull(vector(b))[0] + pull(np.ones(3))[0]


def moved(a, b):
    value, t = zk.jvp(lambda y: op.tanh(y * b), (vector(a),), (vector(b) + 1.0,))
    return value + t


STEPS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: 1.5 - a - b,
    "multiply": lambda a, b: op.tanh(a * b),
    "divide": lambda a, b: a / (1.5 + b * b),
    "square": lambda a, b: op.tanh(a) ** 2 + 2 * b,
    "cube": lambda a, b: a * op.tanh(b) ** 3.0,
    "exp": lambda a, b: op.exp(op.tanh(a)),
    "log": lambda a, b: op.log(1.2 + op.sin(a)),
    "where": lambda a, b: op.where(np.array([True, False, True]), a, op.sin(b)),
    "outer": lambda a, b: vector(a)[:2].reshape((2, 1)) * vector(b),
    "mean": lambda a, b: op.mean(a) * b,
    "sum": lambda a, b: op.tanh(op.sum(a, axis=-1, keepdims=True)) + b if a.ndim else a + b,
    "gather": lambda a, b: vector(a)[np.array([2, 0, 0])] * b,
    "assign": assigned,
    "at": lambda a, b: vector(a).at[np.array([0, 0])].add(vector(b)[1:]),
    "matmul": lambda a, b: np.sin(np.add.outer(IDENTITY, 2 * IDENTITY)) @ vector(a) + b,
    "einsum": lambda a, b: op.tanh(op.einsum("i,j,j->i", vector(a), vector(b), vector(b))),
    "cumulative": lambda a, b: op.tanh(op.cumulative_sum(vector(a))) * b,
    "logsumexp": lambda a, b: op.logsumexp(a) - b,
    "softmax": lambda a, b: op.softmax(vector(a)) * b,
    "concat": lambda a, b: op.concat([vector(a)[1:], vector(b)[:1]]),
    "stack": lambda a, b: op.stack([vector(a), vector(b)]),
    "custom": lambda a, b: saturated(vector(a), vector(b)),
    "pair": lambda a, b: Pair()(vector(a))[0] * b + Pair()(vector(a))[1],
    "checkpoint": lambda a, b: zk.checkpoint(lambda y: op.tanh(y) * b + op.sin(y))(a),
    "grad": lambda a, b: zk.grad(lambda y: op.sum(op.sin(y) * vector(b) * y))(vector(a)),
    "gradient of a number": lambda a, b: zk.grad(lambda y: op.sum(op.sin(y * a) * b))(0.7),
    "jvp": moved,
    "vjp": pulled,
    "hvp": lambda a, b: zk.hvp(lambda y: op.sum(op.sin(y * vector(a))), (vector(b),), (np.ones(3),))[0],
    "jacobian": lambda a, b: op.sum(zk.jacobian(lambda y: op.tanh(y * vector(b)), mode="fwd")(vector(a)), axis=0),
    "value": lambda a, b: zk.value_and_grad(lambda y: op.sum(op.sin(y) * b))(vector(a))[0],
}


def program(seed, length=9):
    """A function from (3,) to numbers: ``length`` random steps, each on two earlier values."""
    rng = np.random.default_rng(seed)
    names = rng.choice(list(STEPS), length)
    places = [(int(rng.integers(k + 1)), int(rng.integers(max(0, k - 2), k + 1))) for k in range(length)]

    def run(x):
        values = [x]
        for name, (i, j) in zip(names, places, strict=True):
            values.append(op.asarray(STEPS[name](values[i], values[j])))  # outside of transforms some are numbers
        return op.sum(op.sin(values[-1])) + op.sum(values[-2] * values[length // 2])

    run.__name__ = " ".join(names)
    return run


def close(found, expected, tolerance, scale, what):
    assert np.max(np.abs(found - expected)) <= tolerance * scale, f"{what}: {found}, expected {expected}"


def close_to_differences(found, differences, tolerance, scale, what):
    """Equal to the differences of one of several steps: fast functions need a small one, flat ones a large one."""
    tried = [differences(h) for h in (2e-3, 3e-4, 5e-5)]
    close(found, min(tried, key=lambda d: np.max(np.abs(d - found))), tolerance, scale, what)


@pytest.mark.parametrize("seed", range(60))
def test_gradients_of_every_kind(seed):
    f = program(seed)
    what = f.__name__
    rng = np.random.default_rng(seed + 1000)
    x, v = rng.uniform(-1, 1, 3), rng.uniform(-1, 1, 3)

    def value(x):
        return np.asarray(op.asarray(f(op.asarray(x))).value)

    found = zk.grad(f)(x)
    scale = max(1.0, np.abs(found).max())
    close_to_differences(found, lambda h: gradient(value, [x], h)[0], 1e-7, scale, what)
    close(zk.jvp(f, (x,), (v,))[1], found @ v, 1e-10, scale, what)
    close(zk.grad(zk.checkpoint(f))(x), found, 1e-10, scale, what)
    hessian = zk.hessian(f)(x)
    scale = max(1.0, np.abs(hessian).max())
    close_to_differences(hessian @ v, lambda h: directional(lambda x: zk.grad(f)(x), [x], [v], h), 1e-6, scale, what)
    close(hessian, hessian.T, 1e-9, scale, what)
    close(zk.hvp(f, (x,), (v,))[0], hessian @ v, 1e-9, scale, what)
    close(zk.grad(lambda x: zk.jvp(f, (x,), (v,))[1])(x), hessian @ v, 1e-9, scale, what)
    close(zk.jacobian(zk.grad(f), mode="rev")(x), hessian, 1e-9, scale, what)
