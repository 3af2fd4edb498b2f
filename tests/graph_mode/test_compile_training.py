"""zk.compile on whole training steps: parameters, states, generators and optimizers move as in eager mode."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, op, optim

OPTIMIZERS = {
    "SGD": lambda: optim.SGD(0.1),
    "momentum": lambda: optim.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda: optim.Adam(1e-2),
    "amsgrad": lambda: optim.Adam(1e-2, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda: optim.AdamW(1e-2, groups={"*.bias": {"weight_decay": 0.0}, "out": {"lr_factor": 3.0}}),
    "NAdam": lambda: optim.NAdam(1e-2),
    "RMSprop": lambda: optim.RMSprop(1e-2, momentum=0.5),
    "Adagrad": lambda: optim.Adagrad(1e-1),
    "Adadelta": lambda: optim.Adadelta(),
    "Lion": lambda: optim.Lion(1e-3),
    "Muon": lambda: optim.Muon(1e-2),
    "schedule": lambda: optim.Adam(optim.schedules.Cosine(1e-2, 10)),
}


class Net(zk.Module):
    """Everything that moves: parameters, batch statistics, a generator."""

    def __init__(self, dtype="float64"):
        super().__init__()
        generator = zk.Generator(7)
        self.hidden = nn.Linear(4, 6, generator, dtype=dtype)
        self.norm = nn.BatchNorm(6, dtype=dtype)
        self.drop = nn.Dropout(0.25, zk.Generator(3))
        self.out = nn.Linear(6, 2, generator, dtype=dtype)

    def call(self, x):
        return self.out(self.drop(op.relu(self.norm(self.hidden(x)))))


def loss_of(model, x, y):
    return op.mean(op.square(model(x) - y))


def training(optimizer, model=None):
    model = model if model is not None else Net()

    def step(x, y):
        loss, grads = zk.value_and_grad(loss_of)(model, x, y)
        optimizer.update(model, grads)
        return loss

    return model, step


def batches(count, n=8, dtype="float64"):
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(n, 4)).astype(dtype), rng.normal(size=(n, 2)).astype(dtype)) for _ in range(count)]


def everything(model, optimizer):
    held = {name: np.asarray(each.value) for name, each in model.named_possessions().items()}
    state = optimizer.state_dict()
    return held, {k: {n: np.asarray(x) for n, x in v.items()} if isinstance(v, dict) else v for k, v in state.items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_same(found[name], value)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=str(name))


def raised(compiled):
    """What replays raised, which eager mode then covered."""
    return [each for each in compiled.retraces if "a replay raised" in each]


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name):
    model, step = training(OPTIMIZERS[name]())
    other, eager = training(OPTIMIZERS[name]())
    compiled = zk.compile(step)
    for x, y in batches(5):
        assert compiled(x, y) == eager(x, y)
    assert compiled.eager_because is None and not raised(compiled)
    assert_same(
        {n: np.asarray(p.value) for n, p in model.named_possessions().items()},
        {n: np.asarray(p.value) for n, p in other.named_possessions().items()},
    )


def test_states_generators_and_slots_move_as_in_eager_mode():
    ours, theirs = optim.Adam(1e-2), optim.Adam(1e-2)
    model, step = training(ours)
    other, eager = training(theirs)
    compiled = zk.compile(step)
    for k, (x, y) in enumerate(batches(12)):
        assert compiled(x, y) == eager(x, y)
        if k == 4:  # what is changed in between counts
            for each, one in ((ours, model), (theirs, other)):
                each.lr = 0.5
                one.hidden.bias.value = np.arange(6.0)
        if k == 6:
            for each in (ours, theirs):
                each.weight_decay = 0.1
        if k == 8:
            for one in (model, other):
                one.eval()
        if k == 10:
            for each in (ours, theirs):
                each.load_state_dict(each.state_dict())
        mine, his = everything(model, ours), everything(other, theirs)
        assert_same(mine[0], his[0])
        assert_same(mine[1], his[1])
    assert compiled.eager_because is None and not raised(compiled)


def test_an_update_writes_in_place_what_nobody_else_holds():
    model, step = training(optim.SGD(0.1))
    compiled = zk.compile(step)
    [(x, y), (x2, y2)] = batches(2)
    for _ in range(2):
        compiled(x, y)
    address = model.hidden.weight._value.ctypes.data
    held = model.out.weight.value
    kept = held.copy()
    compiled(x2, y2)
    assert model.hidden.weight._value.ctypes.data == address
    np.testing.assert_array_equal(held, kept)  # somebody holds it: it keeps its numbers
    assert (model.out.weight.value != kept).any()


def test_a_new_state_freezing_and_another_dtype():
    optimizer = optim.Adam(1e-2)
    model, step = training(optimizer)
    theirs = optim.Adam(1e-2)
    other, eager = training(theirs)
    compiled = zk.compile(step)
    data = batches(9)
    for k, (x, y) in enumerate(data):
        if k == 3:
            optimizer.load_state_dict({**optim.Adam(1e-2).state_dict()})
            theirs.load_state_dict({**optim.Adam(1e-2).state_dict()})
        if k == 5:
            model.freeze("hidden")
            other.freeze("hidden")
        if k == 7:
            model.unfreeze("hidden")
            other.unfreeze("hidden")
        assert compiled(x, y) == eager(x, y), k
        assert_same(everything(model, optimizer)[0], everything(other, theirs)[0])
    assert compiled.eager_because is None and not raised(compiled)


def test_two_updates_in_a_step():
    def make():
        model = Net()
        first, second = optim.SGD(0.1, momentum=0.9), optim.Adam(1e-2)

        def step(x, y):
            grads = zk.grad(loss_of)(model, x, y)
            first.update(model, grads)
            loss, grads = zk.value_and_grad(loss_of)(model, x, y)
            first.update(model, grads)
            second.update(model, grads)
            return loss

        return model, step

    model, step = make()
    other, eager = make()
    compiled = zk.compile(step)
    for x, y in batches(5):
        assert compiled(x, y) == eager(x, y)
    assert compiled.eager_because is None and not raised(compiled)
    assert_same(*[{n: np.asarray(p.value) for n, p in m.named_possessions().items()} for m in (model, other)])


def test_a_step_that_looks_at_its_loss_behind_the_update():
    def make():
        model, optimizer = nn.Linear(4, 2, 0, dtype="float64"), optim.SGD(0.1)

        def step(x, y):
            loss, grads = zk.value_and_grad(loss_of)(model, x, y)
            optimizer.update(model, grads)
            return "small" if loss < 1.5 else "large"

        return model, step

    model, step = make()
    other, eager = make()
    compiled = zk.compile(step)
    answers = []
    for x, y in batches(12):
        answers.append(compiled(x, y))
        assert answers[-1] == eager(x, y)
        np.testing.assert_array_equal(model.weight.value, other.weight.value)  # one update a call, whatever the answer
    assert set(answers) == {"small", "large"}
    assert compiled.eager_because is None and not raised(compiled)


def test_clipping_and_accumulating():
    def make():
        model, optimizer = Net(), optim.Adam(1e-2)

        def step(x, y):
            loss, grads = zk.value_and_grad(loss_of)(model, x, y)
            grads, norm = optim.clip_by_norm(grads, 0.1)
            optimizer.update(model, grads)
            return loss, norm

        return model, step

    model, step = make()
    other, eager = make()
    compiled = zk.compile(step)
    for x, y in batches(5):
        assert compiled(x, y) == eager(x, y)
    assert compiled.eager_because is None and not raised(compiled)


def test_an_exception_in_the_middle_leaves_all_as_it_was():
    optimizer = optim.Adam(1e-2)
    model, step = training(optimizer)
    compiled = zk.compile(step)
    [(x, y), *_] = batches(1)
    compiled(x, y)
    compiled(x, y)
    before = everything(model, optimizer)

    class StopHere(BaseException):
        pass

    def stop(*_):
        raise StopHere

    [[variant]] = compiled._variants.values()
    function, variant.replay.root.function = variant.replay.root.function, stop
    with pytest.raises(StopHere):
        compiled(x, y)
    variant.replay.root.function = function
    after = everything(model, optimizer)
    assert_same(after[0], before[0])
    assert_same(after[1], before[1])
    compiled(x, y)


def test_an_interrupt_while_recording_leaves_all_as_it_was():
    optimizer = optim.Adam(1e-2)
    model, step = training(optimizer)

    def interrupted(x, y):
        loss = step(x, y)
        raise KeyboardInterrupt
        return loss

    before = everything(model, optimizer)[0]
    with pytest.raises(KeyboardInterrupt):
        zk.compile(interrupted)(*batches(1)[0])
    assert_same(everything(model, optimizer)[0], before)
    assert optimizer.state["step"] == 0


def test_on_every_backend(backend_name):
    with zk.use_backend(backend_name):
        model, step = training(optim.Adam(1e-2))
        other, eager = training(optim.Adam(1e-2))
        compiled, xp = zk.compile(step), zk.backends.get(backend_name)
        for x, y in batches(4):
            found, expected = compiled(x, y), eager(x, y)
            assert type(found) is type(expected)
            np.testing.assert_allclose(xp.to_numpy(found), xp.to_numpy(expected), rtol=1e-12)
        assert compiled.eager_because is None and not raised(compiled)
        for name, each in other.named_possessions().items():
            if not isinstance(each, zk.Generator):
                mine = xp.to_numpy(model.named_possessions()[name].value)
                np.testing.assert_allclose(mine, xp.to_numpy(each.value), rtol=1e-9, atol=1e-8, err_msg=name)


RESULTS = {
    "a Tensor of a Python number": lambda loss: (loss, op.sqrt(0)),
    "in a dict": lambda loss: {"loss": loss, "n": op.exp(1.0)},
    "a product of two": lambda loss: (loss, op.multiply(2.0, 3.0)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_the_first_call_updates_once_whatever_it_returns(name):
    def trained(compiled):
        model, optimizer = nn.Linear(3, 2, 0, dtype="float64"), optim.Adam(0.1)

        def step(x):
            loss, grads = zk.value_and_grad(lambda model: op.sum(model(x) ** 2))(model)
            optimizer.update(model, grads)
            return RESULTS[name](loss)

        step = zk.compile(step) if compiled else step
        for i in range(3):
            step(np.ones((2, 3)))
            assert optimizer.state["step"] == i + 1
        return [np.array(p.value) for p in model.parameters()]

    for got, want in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


class Scaled(optim.Optimizer):
    """Steps as long as the first entry of its setting."""

    slots = ()

    def __init__(self, lr, scales):
        super().__init__(lr)
        self.scales = scales

    def numbers(self, t, lr):
        return (lr,)

    @property
    def rule(self):
        scale = float(self.scales[0])
        return lambda xp, p, g, lr: (p - lr * scale * g,)


@pytest.mark.parametrize("make", [list, np.array])
def test_a_setting_that_is_written_to_in_place_counts(make):
    def trained(compiled):
        model, optimizer = nn.Linear(3, 2, 0, dtype="float64"), Scaled(0.1, make([1.0]))

        def step(x):
            loss, grads = zk.value_and_grad(lambda model: op.sum(model(x) ** 2))(model)
            optimizer.update(model, grads)
            return loss

        step = zk.compile(step) if compiled else step
        for scale in (1.0, 1.0, 1.0, 0.1, 0.1, 0.5):
            optimizer.scales[0] = scale
            step(np.ones((2, 3)))
        return [np.array(p.value) for p in model.parameters()]

    for got, want in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
