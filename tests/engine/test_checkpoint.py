"""checkpoint: the same numbers with less memory, or an error; never those of a run that was another."""

import tracemalloc

import numpy as np
import pytest

import zkynet as zk
from zkynet.errors import MutationError
from zkynet.framework import op

X = np.array([0.1, 0.2, 0.3])


def f(x):
    return op.sin(x) * op.exp(x[::-1])


def total(x):
    return op.sum(f(x))


def both(make):
    """What ``make`` gives for a function as it is, and for the same one checkpointed."""
    return make(lambda g: g), make(zk.checkpoint)


WAYS = {
    "grad": lambda wrap: zk.grad(wrap(total))(X),
    "value": lambda wrap: zk.value_and_grad(wrap(total))(X)[0],
    "vjp": lambda wrap: zk.vjp(wrap(f), X)[1](X)[0],
    "jvp": lambda wrap: zk.jvp(wrap(f), (X,), (X,))[1],
    "jacobian": lambda wrap: zk.jacobian(wrap(f), mode="rev")(X),
    "jacobian forward": lambda wrap: zk.jacobian(wrap(f), mode="fwd")(X),
    "hessian": lambda wrap: zk.hessian(wrap(total))(X),
    "hvp": lambda wrap: zk.hvp(wrap(total), (X,), (X,))[0],
    "reverse over forward": lambda wrap: zk.grad(lambda x: op.sum(zk.jvp(wrap(f), (x,), (x,))[1]))(X),
    "third": lambda wrap: zk.jacobian(zk.hessian(wrap(total)))(X),
    "number": lambda wrap: np.float64(zk.grad(zk.grad(wrap(lambda x: op.sin(x) * x)))(0.4)),
    "complex number": lambda wrap: np.complex128(zk.grad(wrap(lambda z: op.real(z * z * op.conj(z))))(1 + 2j)),
    "identity": lambda wrap: zk.grad(lambda x: op.sum(wrap(lambda y: y)(x) ** 2))(X),
    "closure": lambda wrap: zk.hessian(lambda x: op.sum(wrap(lambda y: f(y) * x)(x * x)))(X),
    "closure alone": lambda wrap: zk.grad(lambda x: op.sum(wrap(lambda: x * x)()))(X),
    "nested": lambda wrap: zk.hessian(wrap(lambda x: op.sum(wrap(lambda y: f(y) * x)(x * x))))(X),
    "inner gradient": lambda wrap: zk.grad(wrap(lambda x: op.sum(zk.grad(total)(x) * x)))(X),
    "in an inner gradient": lambda wrap: zk.grad(lambda x: op.sum(zk.grad(wrap(lambda y: op.sum(f(y) * x)))(x)))(X),
    "keywords": lambda wrap: zk.grad(lambda x: op.sum(wrap(lambda a, k: a * k)(x, k=x)))(X),
    "containers": lambda wrap: zk.grad(lambda x: wrap(lambda d: op.sum(d["a"] * d["b"][0]))({"a": x, "b": [x]}))(X),
    "an unused argument": lambda wrap: zk.grad(lambda x: op.sum(wrap(lambda a, b: a)(x, x * 2)))(X),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_equals_the_function_itself(way):
    plain, again = both(WAYS[way])
    np.testing.assert_allclose(again, plain, rtol=1e-12)


def test_several_results():
    def g(x):
        return {"s": op.sin(x), "c": (op.cos(x), None), "index": op.argmax(x), "k": 3.0, "x": x}

    for use in (
        lambda r: op.sum(r["s"] * r["c"][0] * r["x"]),
        lambda r: op.sum(r["c"][0]),
        lambda r: op.sum(r["x"][r["index"]] * r["k"]),
    ):
        plain, again = both(lambda wrap, use=use: zk.hessian(lambda x: use(wrap(g)(x)))(X))
        np.testing.assert_allclose(again, plain, atol=1e-15)
    plain, again = both(lambda wrap: zk.jvp(lambda x: wrap(g)(x)["c"][0], (X,), (X,))[1])
    np.testing.assert_allclose(again, plain)


class Layer(zk.Module):
    def __init__(self):
        self.w = zk.Parameter("w", np.array([2.0, 3.0, 4.0]))
        self.runs = zk.State("runs", np.zeros(()))

    def call(self, x):
        self.runs.value = self.runs.value + 1.0
        return op.sin(x * self.w) * self.w


def test_parameters_get_their_gradients():
    m = Layer()
    by_closure = both(lambda wrap: zk.grad(lambda m: op.sum(wrap(m)(X)))(m)["w"])
    as_argument = both(lambda wrap: zk.grad(lambda m: op.sum(wrap(lambda m, x: m(x))(m, X)))(m)["w"])
    by_x = both(lambda wrap: zk.grad(lambda x: op.sum(wrap(m)(x)))(X))
    hessian = both(lambda wrap: zk.hessian(lambda m: op.sum(wrap(m)(X)))(m)["w"]["w"])
    for plain, again in (by_closure, as_argument, by_x, hessian):
        np.testing.assert_allclose(again, plain)


def test_a_state_is_assigned_once():
    m = Layer()
    zk.grad(lambda x: op.sum(zk.checkpoint(m)(x)))(X)
    assert m.runs.value == 1.0
    m.runs.value = np.array(5.0)
    assert m.runs.value == 5.0


def test_random_draws_are_repeated():
    seen = []

    def loss(x, generator):
        y = zk.checkpoint(lambda x: op.dropout(x, 0.5, generator) + zk.checkpoint(inner)(x))(x)
        seen.append(y.value)
        return op.sum(y)

    def inner(x):
        return op.dropout(x, 0.3, generator)

    generator = zk.Generator(7)
    found = zk.grad(lambda x: loss(x, generator))(np.ones(50))
    np.testing.assert_allclose(found, seen[0])
    assert generator.value == 2
    zk.grad(lambda x: loss(x, generator))(np.ones(50))
    assert generator.value == 4 and not np.array_equal(*seen)


def test_memory_is_lower():
    def deep(x):
        for _ in range(40):
            x = op.sin(x)
        return x

    def peak(wrap):
        tracemalloc.start()
        zk.grad(lambda x: op.sum(wrap(deep)(wrap(deep)(wrap(deep)(wrap(deep)(x))))))(np.ones(20_000))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    plain, again = both(peak)
    assert again < 0.4 * plain


def test_nothing_is_kept_or_run_again_where_nothing_is_tracked():
    runs = []

    def counted(x):
        runs.append(1)
        return x * 2.0

    np.testing.assert_array_equal(zk.checkpoint(counted)(X).value, 2 * X)
    zk.grad(lambda x: op.sum(zk.checkpoint(counted)(X) * x))(X)
    with zk.no_grad():
        zk.grad(lambda x: op.sum(zk.no_grad()(zk.checkpoint(counted))(x) * x))(X)
    assert len(runs) == 3
    zk.grad(lambda x: op.sum(zk.checkpoint(counted)(x)))(X)
    assert len(runs) == 5


# ---- functions that do not do the same twice ----


def impure(change):
    """The gradient of a checkpointed function whose surroundings are changed after its first run."""

    def loss(x):
        y = zk.checkpoint(change.run)(x)
        change.after()
        return op.sum(op.asarray(y[0] if isinstance(y, tuple) else y))

    return loss


class Captured:
    """Reads an array of NumPy, which is changed."""

    def __init__(self):
        self.c = np.array([1.0, 2.0, 3.0])

    def run(self, x):
        return x * self.c

    def after(self):
        self.c[:] = 5.0


class Large(Captured):
    def __init__(self):
        self.c = np.ones(300_000)


class Rebound(Captured):
    """Reads an attribute, which is set to something else."""

    def after(self):
        self.c = np.ones(3) * 9.0


class Added(Captured):
    """The constant is in no rule; what is multiplied by 0 is."""

    def run(self, x):
        return (x + self.c) * (x * 0.0)


class Assigned(Captured):
    def __init__(self):
        self.c = zk.Parameter("p", np.array([1.0, 2.0, 3.0]))

    def after(self):
        self.c.value = np.full(3, 8.0)


class Entry(Captured):
    """Reads an untracked Tensor to whose entries is assigned."""

    def __init__(self):
        self.c = op.ones(3)

    def after(self):
        self.c[0] = 5.0


class Branch(Captured):
    """Takes another way the second time."""

    first = True

    def run(self, x):
        return x * 2.0 if self.first else x * x

    def after(self):
        self.first = False


class Count(Captured):
    """Returns another number of arrays the second time."""

    first = True

    def run(self, x):
        return (x * 2.0,) if self.first else (x * 2.0, x)

    def after(self):
        self.first = False


class Shape(Branch):
    def run(self, x):
        return x * 2.0 if self.first else op.sum(x * 2.0)


@pytest.mark.parametrize("at", ["somewhere", "zero"])
@pytest.mark.parametrize("change", [Captured, Large, Rebound, Added, Assigned, Entry, Branch, Count, Shape])
def test_a_function_that_changes_is_an_error(change, at):
    """At 0 the results are the same, and only the derivatives differ."""
    made = change()
    n = made.c.shape[0]
    x = np.zeros(n) if at == "zero" else np.linspace(0.5, 1.0, n)
    with pytest.raises(MutationError, match="checkpoint|too large"):
        zk.grad(impure(made))(x)


def test_another_number_of_draws_is_an_error():
    generator = zk.Generator(0)
    for first, second in ((1, 2), (2, 1)):
        draws = iter([first, second])

        def run(x, draws=draws):
            for _ in range(next(draws)):
                x = x + generator.uniform((3,)) * 0.0
            return x * 1.0

        with pytest.raises(MutationError):
            zk.grad(lambda x, run=run: op.sum(zk.checkpoint(run)(x)))(X)


def test_the_arguments_may_change_afterwards():
    def loss(x):
        buffer, container, tensor = np.ones(3), {"a": x * 2.0}, x * 2.0
        y = zk.checkpoint(lambda d, b, t: d["a"] * d["a"] * b * t)(container, buffer, tensor)
        buffer[:] = 7.0
        container["a"] = x * 0.0
        tensor[0] = 5.0
        return op.sum(y)

    np.testing.assert_allclose(zk.grad(loss)(X), 24 * X**2)


def test_a_large_argument_is_watched():
    def loss(x):
        c = np.ones(300_000)
        y = zk.checkpoint(lambda x, c: x * c)(x, c)
        c[5] = 7.0
        return op.sum(y)

    with pytest.raises(MutationError, match="300000"):
        zk.grad(loss)(np.ones(300_000))


def test_an_exception_in_the_first_or_second_run():
    for runs in ([False], [True, False]):

        def g(x, runs=iter(runs)):  # noqa: B008
            if not next(runs):
                raise ZeroDivisionError
            return x * 2.0

        with pytest.raises(ZeroDivisionError):
            zk.grad(lambda x, g=g: op.sum(zk.checkpoint(g)(x)))(X)
    state = zk.State("s", np.zeros(()))
    state.value = np.ones(())
    assert state.value == 1.0, "assignments work again after a failed second run"


def test_on_every_backend(backend):
    x = backend.asarray(X)
    found = zk.hessian(zk.checkpoint(total))(x)
    assert backend.owns(found)
    np.testing.assert_allclose(backend.to_numpy(found), zk.hessian(total)(X))
