"""Optimizers: their trajectories, whose arrays they write to, their state, and what they refuse."""

import pickle

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import backends, nn
from zkynet.backends import numpy as numpy_backend
from zkynet.backends.errors import GradientMismatchError, TrackedValueError
from zkynet.backends.portable import Portable
from zkynet.framework import op
from zkynet.models import fcn
from zkynet.optim import SGD, Adam

HOST = backends.get("numpy")
MAKERS = [lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.1)]
NAMES = ["sgd", "momentum", "adam"]
every_optimizer = pytest.mark.parametrize("make", MAKERS, ids=NAMES)

# torch.optim 2.13 on `gradient` from START in float64: the parameters after so many steps.
START = [1.5, -2.0, 0.25, 4.0]
TRAJECTORIES = {
    "sgd": {
        1: [1.49887650588, -0.98897077491, 0.239668061999, 3.4518286459],
        10: [1.4895815484, 0.0383527300893, 0.188291254239, 1.04064117886],
        100: [1.41512548771, 0.0384812503068, 0.168098314767, 0.0837728748414],
    },
    "momentum": {
        1: [1.49955060235, -1.59558830996, 0.2458672248, 3.78073145836],
        10: [1.48245832263, 0.136249400103, 0.141038726208, -1.40506082946],
        100: [0.0338663695302, 0.0334826542631, 0.1679896572, 0.101043803928],
    },
    "adam": {
        1: [1.4000000445, -1.90000000005, 0.150000004839, 3.90000000009],
        10: [0.58708238177, -1.02675997635, 0.150354785586, 3.0110327059],
        100: [0.131768647199, 0.034860958833, 0.167709786536, 0.111726215231],
    },
    "other adam": {
        1: [1.47127823393, -1.97000148356, 0.220144481695, 3.97000273612],
        10: [1.20028108051, -1.70388781932, 0.171099591524, 3.70273559943],
        100: [0.127270904037, -0.0552708071947, 0.168097108423, 1.53135898931],
    },
}
SETTINGS = {
    "sgd": (SGD, {"lr": 0.05}),
    "momentum": (SGD, {"lr": 0.02, "momentum": 0.9}),
    "adam": (Adam, {"lr": 0.1}),
    "other adam": (Adam, {"lr": 0.03, "betas": (0.8, 0.99), "eps": 1e-3}),
}


def gradient(p):
    return np.array([1.0, 10.0, 0.1, 3.0]) * p + np.sin(3 * p) - 0.5


class Point(zk.Module):
    """A model that is one parameter, ``p``."""

    def __init__(self, value):
        self.p = zk.Parameter("p", value)


def host(x):
    return (backends.backend_of(x) or HOST).to_numpy(x)


def trajectory(optimizer, steps=100):
    """The parameters after each step of an optimizer of zkynet, shape (steps, 4)."""
    model = Point(np.array(START))
    points = []
    for _ in range(steps):
        optimizer.update(model, {"p": gradient(model.p.value)})
        points.append(np.array(model.p.value))
    return np.array(points)


# ---- trajectories ----


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_trajectories_are_those_of_torch_as_recorded(name):
    kind, settings = SETTINGS[name]
    points = trajectory(kind(**settings))
    for step, expected in TRAJECTORIES[name].items():
        assert np.allclose(points[step - 1], expected, rtol=1e-9, atol=1e-9), step


@pytest.mark.slow  # importing torch
@pytest.mark.parametrize("name", SETTINGS)
def test_trajectories_are_those_of_torch(name):
    torch = pytest.importorskip("torch", reason="torch is not installed here: nothing to compare with")
    kind, settings = SETTINGS[name]
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, kind.__name__)([p], **settings)
    points = []
    for _ in range(100):
        p.grad = torch.tensor(gradient(p.detach().numpy()))
        optimizer.step()
        points.append(p.detach().numpy().copy())
    assert np.allclose(trajectory(kind(**settings)), points, rtol=1e-9, atol=1e-9)


def test_adam_is_the_algorithm_of_the_paper():
    m = v = np.zeros(4)
    p = np.array(START)
    for t, found in enumerate(trajectory(Adam(0.1, betas=(0.7, 0.9), eps=1e-2), steps=20), start=1):
        g = gradient(p)
        m, v = 0.7 * m + 0.3 * g, 0.9 * v + 0.1 * g**2
        p = p - 0.1 * (m / (1 - 0.7**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-2)
        assert np.allclose(found, p, rtol=1e-13)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_backend_takes_the_same_steps(name, backend):
    kind, settings = SETTINGS[name]
    model, optimizer = Point(backend.asarray(START)), kind(**settings)
    for expected in trajectory(kind(**settings), steps=10):
        optimizer.update(model, {"p": backend.asarray(gradient(host(model.p.value)))})
        assert backend.owns(model.p.value) and np.allclose(host(model.p.value), expected, rtol=1e-13)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_can_be_compiled_by_hand(name):
    """What a step changes goes in and comes out: parameters, slots, and the number of the step, a traced integer."""
    jax_backend = backends_here.get("jax")
    kind, settings = SETTINGS[name]
    start = jax_backend.asarray(START, dtype=jax_backend.float32)
    model, optimizer, reference, same = Point(start), kind(**settings), Point(start), kind(**settings)

    def loss(model):
        return op.sum(op.square(model.p) + op.sin(3 * model.p))

    @jax_backend.compile
    def step(p, state):
        model.p._value, optimizer.state = p, state
        value, grads = zk.value_and_grad(loss)(model)
        optimizer.update(model, grads)
        return value, model.p._value, optimizer.state

    p, state = start, {"step": 0, **{slot: {"p": jax_backend.zeros((4,), dtype="float32")} for slot in optimizer.slots}}
    for _ in range(5):
        value, p, state = step(p, state)
        expected, grads = zk.value_and_grad(loss)(reference)
        same.update(reference, grads)
        assert p.dtype == "float32" and np.allclose(host(p), host(reference.p.value), rtol=1e-5)
        assert np.allclose(host(value), host(expected), rtol=1e-5)
    assert int(state["step"]) == 5


def test_the_learning_rate_can_change():
    model, optimizer = Point(np.ones(1)), SGD(0.5)
    optimizer.update(model, {"p": np.ones(1)})
    optimizer.lr = 0.25
    optimizer.update(model, {"p": np.ones(1)})
    assert model.p.value == 0.25


@every_optimizer
def test_dtypes_stay(make, backend):
    for dtype in ("float32", "float64"):
        model, optimizer = Point(backend.asarray([1.0, 2.0], dtype=backend.dtype(dtype))), make()
        optimizer.update(model, {"p": backend.asarray([1.0, 1.0], dtype=backend.float64)})
        assert backend.name_of(model.p.value.dtype) == dtype
        kept = [array for slot in optimizer.slots for array in optimizer.state[slot].values()]
        assert len(kept) == len(optimizer.slots) and {backend.name_of(x.dtype) for x in kept} <= {dtype}


def test_complex_parameters():
    z, g = np.array([1 + 2j, -1j]), np.array([3 + 4j, 1j])
    model = Point(z)
    SGD(0.5).update(model, {"p": g})
    assert np.allclose(model.p.value, z - 0.5 * g)
    model, adam = Point(z), Adam(0.1)
    adam.update(model, {"p": g})
    assert np.allclose(model.p.value, z - 0.1 * g / np.abs(g))  # a first step has length lr, along the gradient
    assert adam.state["squares"]["p"].dtype == "float64" and adam.state["gradients"]["p"].dtype == "complex128"


@pytest.mark.parametrize("start, g, after", [(1, 2.0, 0.8), (1.5, 1.0, 1.4), (1j, 1j, 0.9j)])
def test_a_parameter_that_is_one_number_stays_one(start, g, after):
    for make in MAKERS[:2]:
        model = Point(start)
        make().update(model, {"p": g})
        assert type(model.p.value) in (float, complex) and model.p.value == pytest.approx(after)
    model, optimizer = Point(start), Adam(0.1)
    for _ in range(2):
        optimizer.update(model, {"p": g})
    assert model.p.value == pytest.approx(start - 0.2 * g / abs(g))


# ---- whose arrays are written to ----


@every_optimizer
def test_an_array_that_somebody_holds_keeps_its_numbers(make, backend):
    with zk.use_backend(backend):
        model, optimizer = fcn((3, 4, 2), seed=0), make()
    grads = {name: backend.ones(tuple(p.value.shape), dtype=backend.float32) for name, p in _named(model)}
    for _ in range(3):
        held = {name: p.value for name, p in _named(model)}
        state = optimizer.state_dict()
        before = {name: host(x).copy() for name, x in held.items()}
        kept = {slot: {name: host(x).copy() for name, x in state[slot].items()} for slot in optimizer.slots}
        optimizer.update(model, grads)
        for name, p in _named(model):
            assert np.array_equal(host(held[name]), before[name]) and (host(p.value) < before[name]).all()
            assert all(np.array_equal(host(state[slot][name]), x[name]) for slot, x in kept.items() if x)
        assert all(np.array_equal(host(g), np.ones(tuple(g.shape))) for g in grads.values())


def _named(model):
    return model.named_parameters().items()


@every_optimizer
def test_numpy_writes_in_place_where_nobody_holds_the_array(make):
    model, optimizer = fcn((3, 4, 2), seed=0), make()
    x, y = np.ones((5, 3), "float32"), np.array([0, 1, 0, 1, 1])

    def loss(model, x, y):
        return op.softmax_cross_entropy(model(x), y)

    def addresses():
        slots = [optimizer.state[slot] for slot in optimizer.slots]
        return [p._value.ctypes.data for p in model.parameters()] + [a.ctypes.data for s in slots for a in s.values()]

    for step in range(3):
        before = addresses()
        value, grads = zk.value_and_grad(loss)(model, x, y)
        optimizer.update(model, grads)
        assert step == 0 or addresses() == before
    view = model[0].weight.value[1:]  # a view of a view is enough
    optimizer.update(model, zk.grad(loss)(model, x, y))
    moved = [a != b for a, b in zip(addresses(), before, strict=True)]
    assert view.base is not None and moved == [True] + [False] * (len(before) - 1)


def test_a_recorded_run_keeps_the_weights_that_it_saw():
    w, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, -1.0]])
    model = nn.Linear(w)
    _, pull = zk.vjp(lambda x: op.sum(op.matmul(x, model.weight)), x)
    y = model(x)
    SGD(1.0).update(model, {"weight": np.ones((2, 2))})
    assert np.array_equal(model.weight.value, w - 1)
    assert np.array_equal(pull(np.array(1.0))[0], [[3.0, 7.0]]) and np.array_equal(y.value, x @ w)


def test_a_gradient_may_be_the_parameter_itself():
    """The gradient of |w|^2 / 2 is w."""
    for make, after in ((MAKERS[0], 0.9), (MAKERS[1], 0.9), (MAKERS[2], 0.9)):
        model = Point(np.ones((3, 2)))
        make().update(model, {"p": model.p.value})
        assert np.allclose(model.p.value, after)
        model = Point(np.ones((3, 2)))
        make().update(model, zk.grad(lambda m: op.sum(op.square(m.p)) / 2)(model))
        assert np.allclose(model.p.value, after)


def rule_with_new_arrays(xp, p, g, slot, rate):
    slot = slot + xp.sqrt(g * g)
    return p - rate * slot, slot


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("block", [1, 7, 1 << 17])
@pytest.mark.parametrize("made_by", [*NAMES, "new arrays"])
def test_blocks_in_place_are_the_portable_update(made_by, dtype, block, monkeypatch):
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", block)
    rule, scalars, count = rule_with_new_arrays, (0.1,), 1
    if made_by != "new arrays":
        optimizer = dict(zip(NAMES, MAKERS, strict=True))[made_by]()
        rule, scalars, count = optimizer.rule, optimizer.numbers(3, optimizer.lr), len(optimizer.slots)
    groups = _groups(dtype, count, real_squares=made_by == "adam")
    owners = [list(group) for group in groups]  # each array stands in its group and here, as the contract says
    expected = Portable.update_in_blocks(HOST, rule, groups, scalars)
    for got, true in zip(HOST.update_in_blocks(rule, groups, scalars), expected, strict=True):
        for a, b in zip(got, true, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            assert np.allclose(a, b, rtol=4 * np.finfo(dtype).eps, atol=0)
    assert owners[0][0] is groups[0][0]


def _groups(dtype, count, real_squares):
    """[p, g, *slots] of several shapes and layouts."""
    rng = np.random.default_rng(0)

    def sample(shape, layout="C"):
        x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype == "complex128" else 0)
        return np.array(x, dtype, order=layout)

    def slot(shape, k):
        x = sample(shape)
        return np.abs(x) if k == 1 and real_squares else x

    kinds = [((40, 5), "C", "C"), ((9,), "C", "C"), ((), "C", "C"), ((0, 3), "C", "C"), ((6, 5), "F", "C")]
    kinds += [((6, 5), "C", "F"), ((6, 5), "F", "F")]
    return [[sample(s, a), sample(s, b), *[slot(s, k) for k in range(count)]] for s, a, b in kinds]


# ---- the state ----


@every_optimizer
def test_the_state_is_a_tree_by_parameter_name(make):
    model, optimizer = fcn((3, 4, 2), seed=0), make()
    grads = {name: np.ones_like(p.value) for name, p in _named(model)}
    optimizer.update(model, grads)
    optimizer.update(model, grads)
    assert set(optimizer.state) == {"step", *optimizer.slots} and optimizer.state["step"] == 2
    for slot in optimizer.slots:
        kept = optimizer.state[slot]
        assert list(kept) == list(grads) and all(kept[name].shape == grads[name].shape for name in grads)


@every_optimizer
def test_a_run_goes_on_from_a_saved_state_as_if_it_had_not_stopped(make):
    model, other = Point(np.array(START)), Point(np.array(START))
    optimizer, resumed = make(), make()
    for _ in range(3):
        optimizer.update(model, {"p": gradient(model.p.value)})
    saved, point = pickle.loads(pickle.dumps((optimizer.state_dict(), np.array(model.p.value))))
    for _ in range(3):
        optimizer.update(model, {"p": gradient(model.p.value)})
    other.p.value = point
    resumed.load_state_dict(saved)
    for _ in range(3):
        resumed.update(other, {"p": gradient(other.p.value)})
    assert np.array_equal(other.p.value, model.p.value) and saved["step"] == 3


def test_a_saved_state_is_read_only_and_loading_copies_it():
    model, optimizer = Point(np.array(START)), Adam(0.1)
    optimizer.update(model, {"p": np.ones(4)})
    tree = optimizer.state_dict()
    with pytest.raises(ValueError, match="read-only"):
        tree["squares"]["p"][0] = 5
    mine = {"step": 1, "gradients": {"p": np.ones(4)}, "squares": {"p": np.ones(4)}}
    optimizer.load_state_dict(mine)
    mine["squares"]["p"][:] = 100
    assert optimizer.state["squares"]["p"].max() == 1
    optimizer.update(model, {"p": np.ones(4)})
    assert mine["gradients"]["p"].max() == 1


@pytest.mark.parametrize("tree", [{}, {"step": 1}, {"step": -1, "velocity": {}}, {"step": 1.5, "velocity": {}}])
def test_a_state_of_another_optimizer_is_refused(tree):
    with pytest.raises(ValueError, match="no state of SGD"):
        SGD(0.1, momentum=0.9).load_state_dict(tree)


@every_optimizer
def test_the_state_follows_the_model_to_another_backend(make, backend):
    expected, model, optimizer, other = Point(np.array(START)), Point(np.array(START)), make(), make()
    for home in (HOST, HOST, backend, backend, HOST):
        other.update(expected, {"p": gradient(expected.p.value)})
        optimizer.update(model.to(home), {"p": gradient(host(model.p.value))})
        assert home.owns(model.p.value) and np.allclose(host(model.p.value), expected.p.value, rtol=1e-13)
        assert all(home.owns(optimizer.state[slot]["p"]) for slot in optimizer.slots)


# ---- what is refused ----


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: SGD(0), "lr"),
        (lambda: SGD(-0.1), "lr"),
        (lambda: SGD(float("nan")), "lr"),
        (lambda: Adam(float("inf")), "lr"),
        (lambda: setattr(Adam(), "lr", 0), "lr"),
        (lambda: SGD(0.1, momentum=1), "momentum"),
        (lambda: SGD(0.1, momentum=-0.5), "momentum"),
        (lambda: Adam(betas=(1.0, 0.9)), r"betas\[0\]"),
        (lambda: Adam(betas=(0.9, -1)), r"betas\[1\]"),
        (lambda: Adam(eps=0), "eps"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=f"(SGD|Adam): {words} is out of range"):
        make()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda g: g.pop("layers.0.bias"), "missing:  'layers.0.bias'"),
        (lambda g: g.update(extra=1), "unknown:  'extra'"),
        (lambda g: g.update({"layers.0.bias": np.ones((1, 2))}), r"(?s)'layers.0.bias'.*\(1, 2\).*\(2,\)"),
        (lambda g: g.update({"layers.0.bias": 1.0}), r"(?s)'layers.0.bias'.*\(\).*\(2,\)"),
        (lambda g: g.update({"layers.0.bias": np.ones(2, complex)}), "(?s)'layers.0.bias'.*complex128.*float32"),
    ],
)
@every_optimizer
def test_gradients_of_something_else(make, change, words):
    model, optimizer = fcn((3, 2), seed=0), make()
    before = {name: np.array(p.value) for name, p in _named(model)}
    grads = {name: np.ones_like(p.value) for name, p in _named(model)}
    change(grads)
    with pytest.raises(GradientMismatchError, match=words) as caught:
        optimizer.update(model, grads)
    assert isinstance(caught.value, ValueError)
    assert optimizer.state["step"] == 0 and all(np.array_equal(p.value, before[name]) for name, p in _named(model))


def test_what_is_no_model_and_what_are_no_gradients():
    with pytest.raises(TypeError, match="Module"):
        SGD(0.1).update({"p": np.ones(2)}, {"p": np.ones(2)})
    with pytest.raises(TypeError, match="keyed by parameter path"):
        SGD(0.1).update(Point(np.ones(2)), [np.ones(2)])


def test_a_tracked_gradient_is_refused_and_a_plain_tensor_is_taken():
    model = Point(np.ones(2))

    def outer(x):
        SGD(0.1).update(model, {"p": x * 2})
        return op.sum(x)

    with pytest.raises(TrackedValueError, match="'p'"):
        zk.grad(outer)(np.ones(2))
    SGD(0.5).update(model, {"p": op.asarray(np.ones(2))})
    assert np.array_equal(model.p.value, [0.5, 0.5])


@every_optimizer
def test_one_optimizer_serves_one_model(make):
    optimizer = make()
    optimizer.update(Point(np.ones(2)), {"p": np.ones(2)})
    if not optimizer.slots:
        pytest.skip("plain descent keeps nothing of a model")
    with pytest.raises(GradientMismatchError, match="(?s)after:    1 steps.*'p'"):
        optimizer.update(Point(np.ones(3)), {"p": np.ones(3)})
    with pytest.raises(GradientMismatchError, match="'weight'"):
        optimizer.update(nn.Linear(np.ones((2, 2))), {"weight": np.ones((2, 2))})


def test_a_first_update_that_failed_leaves_no_trace():
    optimizer = Adam(0.1)
    with pytest.raises(GradientMismatchError):
        optimizer.update(Point(np.ones(2)), {"p": np.ones(3)})
    optimizer.update(nn.Linear(np.ones((2, 2))), {"weight": np.ones((2, 2))})
    assert list(optimizer.state["squares"]) == ["weight"]


def test_reprs_show_what_is_not_the_default():
    assert repr(SGD(0.1)) == "SGD(lr=0.1)"
    assert repr(SGD(0.1, momentum=0.9)) == "SGD(lr=0.1, momentum=0.9)"
    assert repr(Adam()) == "Adam(lr=0.001)"
    assert repr(Adam(groups={"*.bias": {"eps": 1.0}})) == "Adam(lr=0.001, groups={'*.bias': {'eps': 1.0}})"
