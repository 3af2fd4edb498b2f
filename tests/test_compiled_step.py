"""compiled_step: the numbers of the eager step, on every backend; what it keeps, draws, notices and refuses."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet.framework import op
from zkynet.optim import SGD, Adam, Optimizer
from zkynet.train import compiled_step

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 4), dtype=np.float32)
LABELS = np.array([0, 2, 1, 1, 0, 2])


class Net(zk.Module):
    """A layer; with ``rate`` dropout before it, with ``average`` a running mean of its inputs."""

    def __init__(self, rate=0.0, average=False):
        self.weight = zk.Parameter("weight", np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))
        self.generator = zk.Generator(7)
        self.rate = rate
        self.seen = zk.State("seen", np.zeros(4, np.float32)) if average else None

    def call(self, x):
        if self.seen is not None:
            self.seen.value = op.stop_gradient(0.5 * self.seen + 0.5 * op.mean(x, axis=0)).value
        return op.dropout(x, self.rate, self.generator) @ self.weight if self.rate else x @ self.weight


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def eager_step(model, optimizer, loss, *batch):
    value, grads = zk.value_and_grad(loss)(model, *batch)
    optimizer.update(model, grads)
    return value


def host(x):
    return np.array(zk.backends.backend_of(x).to_numpy(x))


def assert_same(ours, theirs):
    """Two models own the same numbers."""
    mine, others = ours.named_possessions(zk.Parameter), theirs.named_possessions(zk.Parameter)
    assert mine.keys() == others.keys()
    for name in mine:
        np.testing.assert_allclose(host(mine[name].value), host(others[name].value), rtol=2e-5, atol=1e-7)


@pytest.fixture
def jax():
    """The backend: the one here that compiles."""
    return backends_here.get("jax")


@pytest.fixture
def net(jax):
    """A model on JAX, its optimizer and its compiled step."""
    model, optimizer = Net().to("jax"), Adam(0.1)
    return model, optimizer, compiled_step(model, optimizer, loss)


# ---- the numbers ----


@pytest.mark.parametrize("make", [lambda: Adam(0.1), lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9)])
@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_steps_are_those_of_the_eager_step(name, make):
    backends_here.get(name)
    (ours, mine), (theirs, other) = [(Net().to(name), make()) for _ in range(2)]
    step = compiled_step(ours, mine, loss)
    for _ in range(3):
        value = step(X, LABELS)
        np.testing.assert_allclose(host(value), host(eager_step(theirs, other, loss, X, LABELS)), rtol=1e-5)
        assert zk.backends.backend_of(value) is zk.backends.get(name)
    assert_same(ours, theirs)
    assert mine.state["step"] == 3


def test_it_is_the_eager_step_where_nothing_compiles():
    """To the last bit: on NumPy the same functions run."""
    ours, theirs, mine, other = Net(0.5), Net(0.5), Adam(), Adam()
    step = compiled_step(ours, mine, loss)
    assert all(step(X, LABELS) == eager_step(theirs, other, loss, X, LABELS) for _ in range(3))
    np.testing.assert_array_equal(ours.weight.value, theirs.weight.value)


def test_it_takes_what_the_loss_takes_where_nothing_compiles():
    model = Net()
    step = compiled_step(model, SGD(0.1), lambda model, x, factor: op.sum(model(x)) * factor)
    step(X.tolist(), 0.5)
    np.testing.assert_allclose(model.weight.value, Net().weight.value - 0.05 * X.sum(axis=0)[:, None], rtol=1e-5)


def test_a_step_is_traced_once_for_each_shape(net):
    model, optimizer, _ = net
    traces = []
    step = compiled_step(model, optimizer, lambda m, x, y: (traces.append(x.shape), loss(m, x, y))[1])
    for rows in (6, 6, 3, 6, 3):
        step(X[:rows], LABELS[:rows])
    assert traces == [(6, 4), (3, 4)]


def test_the_learning_rate_may_change_without_compiling(net):
    model, optimizer, step = net
    other, its = Net().to("jax"), Adam(0.1)
    for rate in (0.1, 0.01):
        optimizer.lr = its.lr = rate
        step(X, LABELS)
        eager_step(other, its, loss, X, LABELS)
    assert_same(model, other)
    assert "1 programs" in repr(step)


def test_eager_and_compiled_steps_may_take_turns(net):
    model, optimizer, step = net
    other, its = Net().to("jax"), Adam(0.1)
    for i in range(4):
        step(X, LABELS) if i % 2 else eager_step(model, optimizer, loss, X, LABELS)
        eager_step(other, its, loss, X, LABELS)
    assert_same(model, other)


# ---- what changes by running ----


def test_every_step_draws_anew_and_states_move(jax):
    ours, theirs = Net(0.5, average=True).to("jax"), Net(0.5, average=True).to("jax")
    mine, other = SGD(0.1), SGD(0.1)
    step = compiled_step(ours, mine, loss)
    values = []
    for _ in range(3):
        values.append(float(step(X, LABELS)))
        assert values[-1] == pytest.approx(float(eager_step(theirs, other, loss, X, LABELS)), rel=1e-5)
        assert ours.generator.value == theirs.generator.value
        np.testing.assert_allclose(host(ours.seen.value), host(theirs.seen.value), rtol=1e-6)
    assert len(set(values)) == 3
    ours.generator.value = 0  # back to the first draw
    step(X, LABELS)
    assert ours.generator.value == 1


def test_draws_may_depend_on_the_shape(net):
    model, optimizer, _ = net

    def noisy(model, x, labels):
        y = model(x)
        for _ in range(len(x) // 3):
            y = op.dropout(y, 0.1, model.generator)
        return op.softmax_cross_entropy(y, labels)

    step = compiled_step(model, optimizer, noisy)
    for rows, draws in ((6, 2), (3, 3), (6, 5)):
        step(X[:rows], LABELS[:rows])
        assert model.generator.value == draws


def test_what_the_loss_reads_of_others_is_read_anew(net):
    model, optimizer, _ = net
    scale, noise = zk.Parameter("scale", np.ones(3, np.float32)), zk.Generator(1)

    def scaled(model, x, labels):
        return loss(lambda x: op.dropout(model(x) * scale, 0.25, noise), x, labels)

    step = compiled_step(model, optimizer, scaled)
    other, its = Net().to("jax"), Adam(0.1)
    for factor in (1.0, 3.0, 3.0):
        scale.value = np.full(3, factor, np.float32)
        start = noise.value
        value = step(X, LABELS)
        assert noise.value == start + 1
        noise.value = start
        np.testing.assert_allclose(value, eager_step(other, its, scaled, X, LABELS), rtol=1e-5)
    np.testing.assert_array_equal(scale.value, np.full(3, 3.0))
    assert_same(model, other)
    assert "1 programs" in repr(step)


def test_a_state_of_another_module_moves_too(net, jax):
    model, optimizer, _ = net
    largest = zk.State("largest", jax.zeros((), dtype=jax.float32))

    def watched(model, x, labels):
        value = loss(model, x, labels)
        largest.value = op.stop_gradient(op.maximum(largest, value)).value
        return value

    step = compiled_step(model, optimizer, watched)
    values = [float(step(X, LABELS)) for _ in range(2)]
    assert float(largest.value) == max(values)


def test_a_changed_attribute_is_noticed(jax):
    model = Net(rate=0.5).to("jax")
    step = compiled_step(model, SGD(0.1), loss)
    step(X, LABELS)
    model.rate = 0.0
    step(X, LABELS)
    assert model.generator.value == 1
    model.weight = zk.Parameter("weight", np.zeros((4, 3), np.float32))
    model.to("jax")
    step(X, LABELS)
    assert np.any(host(model.weight.value))


def test_a_model_may_move_between_steps(net):
    model, optimizer, step = net
    step(X, LABELS)
    model.to("numpy")
    step(X, LABELS)
    assert type(model.weight.value) is np.ndarray
    model.to("jax")
    step(X, LABELS)
    other, its = Net(), Adam(0.1)
    for _ in range(3):
        eager_step(other, its, loss, X, LABELS)
    assert_same(model, other)


def test_a_loaded_state_is_taken_up(net):
    model, optimizer, step = net
    step(X, LABELS)
    saved, weights = optimizer.state_dict(), model.weight.value
    first = float(step(X, LABELS)), float(step(X, LABELS))
    optimizer.load_state_dict(saved)
    model.weight.value = weights
    assert (float(step(X, LABELS)), float(step(X, LABELS))) == first


def test_a_state_of_another_model_is_refused(net):
    _, optimizer, step = net
    step(X, LABELS)
    tree = optimizer.state_dict()
    tree["gradients"] = {**tree["gradients"], "bias": tree["gradients"]["weight"]}
    optimizer.load_state_dict(tree)
    with pytest.raises(zk.errors.GradientMismatchError, match="another model"):
        step(X, LABELS)


# ---- arrays are given away ----


def test_arrays_that_others_hold_keep_their_numbers(net):
    model, optimizer, step = net
    step(X, LABELS)
    held, state = model.weight.value, optimizer.state_dict()
    before, moments = host(held), host(state["gradients"]["weight"])
    step(X, LABELS)
    np.testing.assert_array_equal(held, before)
    np.testing.assert_array_equal(state["gradients"]["weight"], moments)
    assert not np.array_equal(model.weight.value, before)


def test_arrays_that_nobody_holds_are_given_away(net):
    model, _, step = net
    step(X, LABELS)
    place = model.weight.value.unsafe_buffer_pointer()
    step(X, LABELS)
    assert model.weight.value.unsafe_buffer_pointer() == place


def test_two_parameters_may_begin_as_one_array(jax):
    class Pair(zk.Module):
        def __init__(self):
            self.a, self.b = (zk.Parameter(name, start) for name in "ab")

        def call(self, x):
            return x * self.a + self.b

    start = jax.ones((4,), dtype=jax.float32)
    model = Pair()
    step = compiled_step(model, SGD(0.1), lambda model, x: op.sum(model(x)))
    for _ in range(2):
        step(X)
    np.testing.assert_allclose(model.b.value, np.full(4, 1 - 0.2 * len(X)), rtol=1e-6)
    np.testing.assert_array_equal(start, np.ones(4))


# ---- exceptions ----


def test_an_exception_leaves_everything_as_it_was(jax):
    model, optimizer = Net(0.5, average=True).to("jax"), Adam()
    before = host(model.weight.value)

    def broken(model, x, labels):
        raise_after = loss(model, x, labels)
        if len(x) == 5:
            raise RuntimeError("five rows")
        return raise_after

    step = compiled_step(model, optimizer, broken)
    with pytest.raises(RuntimeError, match="five rows"):
        step(X[:5], LABELS[:5])
    np.testing.assert_array_equal(model.weight.value, before)
    np.testing.assert_array_equal(model.seen.value, np.zeros(4))
    assert optimizer.state == Adam().state
    assert model.generator.value == 0
    step(X, LABELS)
    after, moments = host(model.weight.value), host(optimizer.state["squares"]["weight"])
    with pytest.raises(RuntimeError, match="five rows"):
        step(X[:5], LABELS[:5])
    np.testing.assert_array_equal(model.weight.value, after)
    np.testing.assert_array_equal(optimizer.state["squares"]["weight"], moments)
    assert (optimizer.state["step"], model.generator.value) == (1, 1)
    step(X, LABELS)


def test_a_loss_that_is_not_a_scalar_is_refused_as_in_eager_mode(net):
    model, optimizer, _ = net
    with pytest.raises(zk.errors.NotDifferentiableError, match="scalar"):
        compiled_step(model, optimizer, lambda model, x: model(x))(X)


def test_anomalies_are_looked_for_in_the_eager_step(net):
    _, _, step = net
    step(X, LABELS)
    with zk.detect_anomaly(), pytest.raises(zk.errors.AnomalyError):
        step(np.full_like(X, np.nan), LABELS)


def test_inside_a_transform_it_is_refused_as_in_eager_mode(net):
    model, optimizer, step = net
    with pytest.raises(zk.errors.TrackedValueError, match="lose its history"):
        zk.grad(lambda x: step(x, LABELS))(X)


def test_a_number_as_argument_is_refused(net):
    _, _, step = net
    with pytest.raises(TypeError, match="float as argument 1"):
        step(X, 0.5)


def test_a_number_as_parameter_is_refused(jax):
    class Scaled(Net):
        def __init__(self):
            super().__init__()
            self.scale = zk.Parameter("scale", 2.0)

    step = compiled_step(Scaled().to("jax"), SGD(0.1), lambda model, x: op.sum(model(x) * model.scale))
    with pytest.raises(TypeError, match="'scale' is no array"):
        step(X)


def test_an_optimizer_with_an_update_of_its_own_is_refused():
    class Own(Optimizer):
        def update(self, model, grads):
            pass

    with pytest.raises(TypeError, match="Own, with an update of its own"):
        compiled_step(Net(), Own(0.1), loss)
