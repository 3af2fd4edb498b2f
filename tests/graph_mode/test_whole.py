"""Programs that JAX compiles whole: what is given away is overwritten in place, scalars travel together."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import nn, optim
from zkynet.framework import op
from zkynet.framework.graph_mode.program import Program, Step, Value
from zkynet.framework.graph_mode.whole import compiled_whole, give_away


@pytest.fixture
def xp():
    if "jax" not in backends_here.present():
        pytest.skip("JAX is not here")
    return backends_here.get("jax")


def addresses(model, optimizer):
    """Where the numbers of all that a step moves lie in memory, by name."""
    slots = {(slot, name): x for slot, by in optimizer.state.items() if isinstance(by, dict) for name, x in by.items()}
    arrays = {name: p._value for name, p in model.named_parameters().items()} | slots
    return {name: array.unsafe_buffer_pointer() for name, array in arrays.items()}


def test_a_step_overwrites_each_array_by_its_own_successor(xp):
    """Arrays of one shape, and a result of that shape too, which would take the place of a parameter if it came first.

    Only then XLA need not copy: it writes what replaces an array over this array.
    """
    model = nn.Sequential(nn.Linear(8, 8, 0), nn.Tanh(), nn.Linear(8, 8, 0), nn.Tanh(), nn.Linear(8, 8, 0))
    model.to(xp)
    optimizer, x = optim.Adam(1e-2), xp.asarray(np.random.default_rng(0).normal(size=(8, 8)))
    loss_and_grads = zk.value_and_grad(lambda model, x: op.mean(op.square(model(x))))

    @zk.compile
    def step(x):
        _, grads = loss_and_grads(model, x)
        optimizer.update(model, grads)
        return op.multiply(2.0, next(iter(grads.values())))

    step(x)
    step(x)
    before = addresses(model, optimizer)
    for _ in range(3):
        step(x)
    assert step.eager_because is None, step.eager_because
    assert addresses(model, optimizer) == before and len(before) == 18


def program_of_scalars(xp):
    """x * a - n * b, as floats, of inputs in the order a, x, n, b: scalars of two dtypes around an array."""
    a, b = (Value(i, (), np.dtype("float64")) for i in (0, 3))
    x, n = Value(1, (3,), np.dtype("float64")), Value(2, (), np.dtype("uint64"))
    scaled, other, y = (Value(i, (3,), np.dtype("float64")) for i in (4, 5, 6))
    steps = [
        Step("multiply", (x, a), {}, scaled),
        Step("multiply", (n, b), {}, other),
        Step("subtract", (scaled, other), {}, y),
    ]
    return Program(xp, [a, x, n, b], steps, [scaled, y])


@pytest.mark.parametrize("donated", [[], [1]], ids=["", "donated"])
def test_scalars_travel_in_one_array_for_each_dtype(xp, donated):
    compile_, calls = xp.compile, []

    def compiling(f, donated=()):
        compiled = compile_(f, donated)

        def run(owned, read, packed):
            calls.append((len(owned), len(read), [(pack.shape, pack.dtype.name) for pack in packed]))
            outputs, [other] = compiled(owned, read, packed)  # one step of the program waits for no other
            np.testing.assert_array_equal(other, 2 * packed[0])
            return outputs, [other]

        return run

    program = program_of_scalars(xp)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(xp), "compile", staticmethod(compiling))
        function = compiled_whole(program, donated, scalars=[0, 2, 3])
    for a, n, b in ((2.0, 3, 0.5), (1e-300, 2**40, 7.0)):
        x = xp.asarray([1.0, 2.0, 3.0])
        arrays = [np.float64(a), x, np.uint64(n), np.float64(b)]
        del x
        scaled, y = function(arrays)
        assert not arrays
        np.testing.assert_array_equal(scaled, np.array([1.0, 2.0, 3.0]) * a)
        np.testing.assert_array_equal(y, np.array([1.0, 2.0, 3.0]) * a - n * b)
    kept = 1 - len(donated)
    assert calls == [(len(donated), kept, [((2,), "float64"), ((1,), "uint64")])] * 2


def test_what_somebody_else_holds_is_copied_and_nothing_else(xp):
    owner = [xp.asarray([1.0]), xp.asarray([2.0])]
    held = owner[1]
    arrays = list(owner)
    give_away(xp, arrays)
    assert arrays[0] is owner[0]
    assert arrays[1] is not held and float(arrays[1][0]) == 2.0
