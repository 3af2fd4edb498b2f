"""What is kept, for how long, and that reference counting alone frees it."""

import gc
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest

import zkynet as zk
from support.engine import array_of, watch
from zkynet.framework import op

X = np.arange(1.0, 5.0)

TRAINING = textwrap.dedent("""
    import gc, os, resource
    import numpy as np
    import zkynet as zk
    from zkynet.framework import op

    class Layer(zk.Module):
        def __init__(self, n, m, rng):
            self.w = zk.Parameter("w", rng.normal(size=(n, m)) / n**0.5)
            self.b = zk.Parameter("b", np.zeros(m))

        def call(self, x):
            return x @ self.w + self.b

    class Net(zk.Module):
        def __init__(self, rng):
            self.layers = [Layer(8, 16, rng), Layer(16, 3, rng)]

        def call(self, x):
            return self.layers[1](op.relu(self.layers[0](x)))

    rng = np.random.default_rng(0)
    net, x, y = Net(rng), rng.normal(size=(32, 8)), rng.integers(0, 3, 32)

    def loss(net, x, y):
        return op.softmax_cross_entropy(net(x), y)

    def train(steps):
        for _ in range(steps):
            value, grads = zk.value_and_grad(loss)(net, x, y)
            for name, p in net.named_parameters().items():
                p.value = p.value - 0.1 * grads[name]
        return value

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    first = train(300)
    gc.collect()
    gc.disable()
    before = resident()
    last = train(2000)
    grown = resident() - before
    assert last < first, (first, last)
    print(grown, gc.collect())
""")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_two_thousand_training_steps_without_the_garbage_collector():
    run = subprocess.run([sys.executable, "-P", "-c", TRAINING], capture_output=True, text=True, check=True)
    grown, garbage = map(int, run.stdout.split())
    assert grown < 1 << 20, f"{grown} bytes more after 2,000 steps"
    assert garbage == 0, f"{garbage} objects in reference cycles"


@zk.custom_vjp
def cube(x):
    return x * x * x


@cube.defvjp
def _(g, y, x):
    return (3 * g * x * x,)


class Broken(zk.Operator):
    def forward(self, xp, x):
        return x * 2

    def vjp_x(self, xp, g):
        raise KeyError("a rule that fails")


def failing(x):
    with pytest.raises(KeyError):
        zk.grad(lambda x: op.sum(Broken()(x)))(x)


WAYS = {
    "grad": lambda x: zk.grad(lambda x: op.sum(op.sin(x) * x))(x),
    "aux": lambda x: zk.value_and_grad(lambda x: (op.sum(x), {"a": x * 2}), has_aux=True)(x),
    "vjp": lambda x: zk.vjp(lambda x: op.sin(x) * x, x)[1](x),
    "jvp": lambda x: zk.jvp(lambda x: op.sin(x) * x, (x,), (x,)),
    "jacobian": lambda x: zk.jacobian(lambda x: op.sin(x) * x, mode="rev")(x),
    "jacobian forward": lambda x: zk.jacobian(lambda x: op.sin(x) * x, mode="fwd")(x),
    "hessian": lambda x: zk.hessian(lambda x: op.sum(op.sin(x) * x))(x),
    "hvp": lambda x: zk.hvp(lambda x: op.sum(op.sin(x) * x), (x,), (x,)),
    "nested": lambda x: zk.grad(lambda x: op.sum(zk.grad(lambda y: op.sum(y * y * x))(x)))(x),
    "checkpoint": lambda x: zk.grad(zk.checkpoint(lambda x: op.sum(op.sin(x) * x)))(x),
    "custom_vjp": lambda x: zk.grad(lambda x: op.sum(cube(x)))(x),
    "several outputs": lambda x: zk.grad(lambda x: op.sum(op.linalg.eigh(op.sum(x) * np.eye(2) + np.ones((2, 2)))[0]))(
        x
    ),
    "assignment": lambda x: zk.grad(lambda x: (x.__setitem__(0, 2.0), op.sum(x * x))[1])(x),
    "an error in a rule": failing,
}


@pytest.mark.parametrize("way", WAYS)
def test_no_reference_cycles(way):
    WAYS[way](X)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            WAYS[way](X)
        assert gc.collect() == 0
    finally:
        gc.enable()


# ---- a rule's signature is its memory ----


def kept(f):
    """Which of the arrays that ``f`` returns in a dict the history of its entry "y" keeps."""
    arrays = {}

    def g(x):
        named = f(x)
        arrays.update({name: watch(t) for name, t in named.items()})
        return named["y"] + 0.0  # so that the result is not held as such

    _, pull = zk.vjp(g, X)
    alive = {name for name, ref in arrays.items() if ref() is not None}
    pull(X)
    return alive


def test_exp_keeps_its_output_alone():
    def f(x):
        a = x * 2.0
        return {"a": a, "y": op.exp(a)}

    assert kept(f) == {"y"}


def test_add_keeps_nothing():
    def f(x):
        a, b = x * 2.0, x * 3.0
        return {"a": a, "b": b, "y": a + b}

    assert kept(f) == set()


def test_a_product_with_a_constant_keeps_the_constant_alone():
    c = op.ones(4) * 3.0

    def f(x):
        a = x * 2.0
        return {"a": a, "c": c, "y": c * a}

    assert kept(f) == {"c"}


def test_a_product_keeps_both_factors_where_both_are_tracked():
    def f(x):
        a, b = op.sin(x), op.cos(x) + 0.0
        return {"a": a, "b": b, "y": a * b}

    assert kept(f) == {"a", "b"}


def test_sum_keeps_a_shape():
    def f(x):
        a = x * 2.0
        return {"a": a, "y": op.sum(a) * op.ones(4)}

    assert kept(f) == set()


def test_nothing_is_kept_of_what_is_not_tracked():
    def f(x):
        a = op.exp(np.ones(4) * 2.0)
        b = op.sin(a)
        return {"a": a, "b": b, "y": x + b}

    assert kept(f) == set()


def test_nothing_is_kept_under_no_grad():
    def f(x):
        with zk.no_grad():
            a = op.exp(x * 2.0)
            b = op.sin(a)
        return {"a": a, "b": b, "y": x + b}

    assert kept(f) == set()


def test_an_integer_index_is_kept_and_its_array_is_not():
    def f(x):
        a = x * 2.0
        return {"a": a, "y": a[np.array([0, 0, 1, 2])]}

    assert kept(f) == set()


def test_the_history_goes_with_the_pullback():
    arrays = []

    def f(x):
        a = op.exp(x * 2.0)
        arrays.append(watch(a))
        return op.sin(a)

    y, pull = zk.vjp(f, X)
    assert arrays[0]() is not None
    del pull
    assert arrays[0]() is None


def test_the_history_goes_with_an_exception():
    arrays = []

    def f(x):
        a = op.exp(x * 2.0)
        arrays.append(watch(a))
        return op.sum(a) + op.ones(3) @ op.ones(4)

    with pytest.raises(ValueError):
        zk.grad(f)(X)
    assert arrays[0]() is None


class Counted(zk.Operator):
    """The identity; its rule notes how many earlier cotangents are still there."""

    seen: list = []
    alive: list = []

    def forward(self, xp, x):
        return x + 0.0

    def vjp_x(self, xp, g):
        self.alive.append(sum(ref() is not None for ref in self.seen))
        c = g + 0.0
        self.seen.append(weakref.ref(c))
        return c


def test_cotangents_are_dropped_once_they_are_used():
    Counted.seen.clear()
    Counted.alive.clear()

    def f(x):
        for _ in range(30):
            x = Counted()(x)
        return op.sum(x)

    zk.grad(f)(X)
    assert len(Counted.alive) == 30
    assert max(Counted.alive) <= 2


def test_tangents_are_dropped_once_they_are_used():
    Counted.seen.clear()
    Counted.alive.clear()

    def f(x):
        for _ in range(30):
            x = Forward()(x)
        return x

    zk.jvp(f, (X,), (X,))
    assert max(Counted.alive) <= 2


class Forward(Counted):
    def jvp_x(self, xp, t):
        return Counted.vjp_x(self, xp, t)


def test_a_rule_runs_only_for_inputs_that_somebody_needs():
    calls = []

    class Product(zk.Operator):
        def forward(self, xp, a, b):
            return a * b

        def vjp_a(self, xp, g, b):
            calls.append("a")
            return g * b

        def vjp_b(self, xp, g, a):
            calls.append("b")
            return g * a

    def f(u, v):
        return op.sum(Product()(u * 2.0, v * 2.0)) + op.sum(Product()(v, v)) * 0.0

    zk.grad(f, argnums=0)(X, X)
    assert calls == ["a"]


def test_the_sweep_stays_away_from_what_the_root_does_not_depend_on():
    def f(x):
        op.sum(Broken()(x))  # has a rule that raises
        return op.sum(x * x)

    np.testing.assert_array_equal(zk.grad(f)(X), 2 * X)


def test_reading_a_value_makes_no_copy():
    t = op.ones(4)
    assert array_of(t) is array_of(t)
    assert not t.value.flags.writeable
