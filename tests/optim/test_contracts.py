"""What every optimizer promises: dtypes, whose arrays it writes to, numbers and complex arrays as parameters."""

import copy
import pickle

import numpy as np
import pytest

import zkynet as zk
from zkynet import backends, models, optim
from zkynet.backends import numpy as numpy_backend
from zkynet.backends.portable import Portable
from zkynet.optim.arrays import array_and_gradient

HOST = backends.get("numpy")
MAKERS = {
    "sgd": lambda: optim.SGD(0.1, weight_decay=0.1),
    "dampening": lambda: optim.SGD(0.1, momentum=0.9, dampening=0.5, weight_decay=0.1),
    "nesterov": lambda: optim.SGD(0.1, momentum=0.9, nesterov=True),
    "amsgrad": lambda: optim.Adam(0.1, amsgrad=True, weight_decay=0.1),
    "adamw": lambda: optim.AdamW(0.1),
    "nadam": lambda: optim.NAdam(0.1, weight_decay=0.1),
    "rmsprop": lambda: optim.RMSprop(0.1),
    "centered": lambda: optim.RMSprop(0.1, centered=True, momentum=0.9),
    "adagrad": lambda: optim.Adagrad(0.1),
    "adadelta": lambda: optim.Adadelta(1.0),
    "lion": lambda: optim.Lion(0.1, weight_decay=0.1),
    "muon": lambda: optim.Muon(0.1),
}
ENTRYWISE = [name for name in MAKERS if name != "muon"]
every_optimizer = pytest.mark.parametrize("name", MAKERS)


class Point(zk.Module):
    def __init__(self, value):
        self.p = zk.Parameter("p", value)


def host(x):
    return backends.backend_of(x).to_numpy(x)


def grads_of(model):
    return {name: np.cos(np.asarray(p.value)) for name, p in model.named_parameters().items()}


def arrays_of(optimizer):
    return [x for slot, kept in optimizer.state.items() if isinstance(kept, dict) for x in kept.values()]


@every_optimizer
def test_single_precision_stays(name, backend):
    start = backend.asarray([[1.0, 2.0], [0.5, 0.7]], dtype=backend.float32)
    model, optimizer = Point(start), MAKERS[name]()
    for _ in range(2):
        optimizer.update(model, {"p": backend.ones((2, 2), dtype=backend.float64)})
    assert backend.name_of(model.p.value.dtype) == "float32" and (host(model.p.value) < host(start)).all()
    assert all(backend.name_of(x.dtype) == "float32" and backend.owns(x) for x in arrays_of(optimizer))


@every_optimizer
def test_arrays_that_others_hold_keep_their_numbers(name):
    model, optimizer = models.fcn((3, 4, 2), seed=0), MAKERS[name]()
    for _ in range(3):
        held = {path: p.value for path, p in model.named_parameters().items()}
        state, grads = optimizer.state_dict(), grads_of(model)
        before = copy.deepcopy((held, state, grads))
        optimizer.update(model, grads)
        np.testing.assert_equal((held, state, grads), before)
        assert not any(np.array_equal(held[path], p.value) for path, p in model.named_parameters().items())


@pytest.mark.parametrize("name", ENTRYWISE)
def test_numpy_writes_in_place_where_nobody_holds_the_array(name):
    model, optimizer = models.fcn((3, 4, 2), seed=0), MAKERS[name]()

    def addresses():
        return [p._value.ctypes.data for p in model.parameters()] + [x.ctypes.data for x in arrays_of(optimizer)]

    optimizer.update(model, grads_of(model))
    before = addresses()
    optimizer.update(model, grads_of(model))
    assert addresses() == before


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("name", ENTRYWISE)
def test_blocks_in_place_are_the_portable_update(name, dtype, monkeypatch):
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", 7)
    optimizer, rng = MAKERS[name](), np.random.default_rng(0)
    p, g = (rng.normal(size=(9, 5)) + (1j * rng.normal(size=(9, 5)) if dtype == "complex128" else 0) for _ in "pg")
    p, g = p.astype(dtype), g.astype(dtype)
    group = [p, g, *(np.array(abs(g), x.dtype) for x in optimizer.begin(HOST, p))]
    numbers = optimizer.numbers(3, 0.1)
    expected = Portable.update_in_blocks(HOST, optimizer.rule, [list(group)], numbers)[0]
    for got, true in zip(HOST.update_in_blocks(optimizer.rule, [group], numbers)[0], expected, strict=True):
        assert got.dtype == true.dtype and np.allclose(got, true, rtol=8 * np.finfo(dtype).eps, atol=1e-7)


@every_optimizer
def test_complex_parameters_turn_with_their_gradients(name):
    """What is multiplied by a phase all along moves by that phase."""
    z, g, phase = np.array([[1 + 2j, -1j]]), np.array([[3 + 4j, 1j]]), np.exp(0.7j)
    plain, turned, one, two = Point(z), Point(z * phase), MAKERS[name](), MAKERS[name]()
    for k in range(3):
        one.update(plain, {"p": g + k * z})
        two.update(turned, {"p": (g + k * z) * phase})
    assert np.allclose(turned.p.value, plain.p.value * phase) and not np.allclose(plain.p.value, z)


@every_optimizer
def test_a_parameter_that_is_one_number_stays_one(name):
    model, array, one, two = Point(1.5), Point(np.array(1.5)), MAKERS[name](), MAKERS[name]()
    for _ in range(3):
        one.update(model, {"p": 2.0})
        two.update(array, {"p": np.array(2.0)})
    assert type(model.p.value) is float and model.p.value == array.p.value < 1.5


@every_optimizer
def test_an_optimizer_can_be_copied_and_pickled(name):
    model, optimizer = models.fcn((3, 4, 2), seed=0), MAKERS[name]()
    optimizer.update(model, grads_of(model))
    for other in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
        same = copy.deepcopy(model)
        other.update(same, grads_of(same))
        assert repr(other) == repr(optimizer) and other.state["step"] == 2
        expected, again = copy.deepcopy(model), copy.deepcopy(optimizer)
        again.update(expected, grads_of(expected))
        assert all(np.array_equal(p.value, same.param(path).value) for path, p in expected.named_parameters().items())


@every_optimizer
def test_nan_is_not_hidden(name):
    model, optimizer = Point(np.ones((2, 2))), MAKERS[name]()
    optimizer.update(model, {"p": np.array([[np.nan, 1.0], [1.0, 1.0]])})
    assert np.isnan(model.p.value[0, 0])


def test_a_gradient_of_another_library_is_taken(backend):
    model = Point(np.ones(2))
    p, g = array_and_gradient("p", model.p, np.ones(2, "float32"))
    assert p.dtype == g.dtype == "float64"
    optim.AdamW(0.1).update(model.to(backend), {"p": np.ones(2)})
    assert backend.owns(model.p.value)
