"""Small arrays that NumPy's update_in_blocks keeps side by side: the same numbers, and those of others stay."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import zkynet as zk
from zkynet import backends, optim
from zkynet.backends import numpy as numpy_backend
from zkynet.backends import numpy_update
from zkynet.backends.numpy_slab import Slab

HOST = backends.get("numpy")
SHAPES = [(3, 4), (4,), (), (2, 1, 3), (5,)]


class Points(zk.Module):
    def __init__(self, dtype="float32", shapes=SHAPES):
        draw = np.random.default_rng(0)
        self.parts = [zk.Parameter("p", draw.normal(size=shape).astype(dtype)) for shape in shapes]


def grads_of(model, t=0):
    return {name: np.cos(np.asarray(p.value) + np.asarray(t, p.value.dtype)) for name, p in named(model)}


def named(model):
    return model.trainable_parameters().items()


def trained(optimizer, model, steps=3):
    for t in range(steps):
        optimizer.update(model, grads_of(model, t))
    return model


def slabs_of(model):
    return {id(p._value.base) if type(p._value.base) is Slab else None for p in model.parameters()}


@pytest.fixture
def apart(monkeypatch):
    """A function that runs another one with every array updated by itself."""

    def run(f):
        with monkeypatch.context() as patch:
            patch.setattr(numpy_update, "_SMALL", 0)
            return f()

    return run


MAKERS = [
    optim.Adam,
    lambda: optim.AdamW(0.1, amsgrad=True),
    lambda: optim.SGD(0.1),
    lambda: optim.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    lambda: optim.RMSprop(0.1, centered=True),
    lambda: optim.Lion(0.1),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_the_bits_are_those_of_arrays_updated_one_by_one(make, dtype, apart):
    model, other = trained(make(), Points(dtype)), apart(lambda: trained(make(), Points(dtype)))
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.value, q.value, strict=True)
    assert (None in slabs_of(model)) == (dtype in ("float16", "complex64")) and slabs_of(other) == {None}


def test_large_arrays_and_single_ones_stay_where_they_are(monkeypatch):
    monkeypatch.setattr(numpy_update, "_SMALL", 4)
    model = trained(optim.Adam(), Points())
    assert [type(p._value.base) is Slab for p in model.parameters()] == [False, True, True, False, False]
    assert slabs_of(trained(optim.Adam(), Points(shapes=[(3, 4), (4,)]))) == {None}


def test_slabs_are_no_larger_than_a_block(monkeypatch):
    monkeypatch.setattr(numpy_backend, "UPDATE_BLOCK", 16)
    model = trained(optim.Adam(), Points())
    found = [p._value.base for p in model.parameters()]
    assert len({id(slab) for slab in found}) == 2 and [slab.size for slab in found] == [16, 16, 12, 12, 12]


def test_several_dtypes_have_slabs_of_their_own(apart):
    def run():
        model = Points()
        model.wide = Points("float64", shapes=[(2,), (3,)])
        return trained(optim.Adam(), model)

    model = run()
    assert sorted({str(p._value.base.dtype) for p in model.parameters()}) == ["float32", "float64"]
    for p, q in zip(model.parameters(), apart(run).parameters(), strict=True):
        np.testing.assert_array_equal(p.value, q.value, strict=True)


# ---- who else holds an array ----

HOLDERS = {
    "the value": lambda p: p.value,
    "a view of it": lambda p: p.value[..., None],
    "a view of a view": lambda p: p.value.reshape(-1)[:1],
    "its base": lambda p: p.value.base,
    "its memory": lambda p: memoryview(p.value),
}


@pytest.mark.parametrize("how", HOLDERS)
@pytest.mark.parametrize("which", range(len(SHAPES)))
def test_what_somebody_holds_keeps_its_numbers_and_the_others_stay(how, which):
    model, optimizer = Points(), optim.Adam(0.1)
    trained(optimizer, model)
    arrays = [id(p._value) for p in model.parameters()]
    held, start = HOLDERS[how](model.parts[which]), np.array(model.parts[which].value)
    before = np.array(held)
    trained(optimizer, model)
    assert np.array_equal(held, before) and not np.array_equal(model.parts[which].value, start)
    same = [id(p._value) == was for p, was in zip(model.parameters(), arrays, strict=True)]
    assert same == [i != which for i in range(len(SHAPES))]


def test_a_state_that_somebody_holds_keeps_its_numbers():
    model, optimizer = Points(), optim.Adam(0.1)
    state = trained(optimizer, model) and optimizer.state_dict()
    before = copy.deepcopy(state)
    trained(optimizer, model)
    np.testing.assert_equal(state, before)


def test_they_come_together_when_nobody_holds_any():
    model, optimizer = Points(), optim.Adam(0.1)
    held = [p.value for p in model.parameters()]
    for _ in range(2):
        before = copy.deepcopy(held)
        trained(optimizer, model, 1)
        assert slabs_of(model) == {None}
        np.testing.assert_equal(held, before)
        held[1:] = [model.parts[2].value]  # one is enough: it would keep the memory of all
    del held
    trained(optimizer, model, 1)
    assert None not in slabs_of(model) and len(slabs_of(model)) == 1


def test_what_is_kept_from_every_step_keeps_no_more_than_itself():
    model, optimizer = Points(), optim.Adam(0.1)
    kept = []
    for _ in range(10):
        trained(optimizer, model, 1)
        kept += [model.parts[i].value for i in (0, 2, 4)]  # no neighbours among the others
    assert len({id(x.base.base) for x in kept if type(x.base.base) is Slab}) == 1


def test_a_slab_goes_with_its_last_member():
    model, optimizer = Points(), optim.Adam(0.1)
    trained(optimizer, model)
    slab = weakref.ref(model.parts[0]._value.base)
    kept = model.parts[1].value
    del model, optimizer
    gc.collect()
    assert slab() is not None
    del kept
    gc.collect()
    assert slab() is None


def test_copies_and_pickles_have_arrays_of_their_own():
    model, optimizer = Points(), optim.Adam(0.1)
    trained(optimizer, model)
    for other, its in (copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))):
        assert all(type(p._value) is np.ndarray and p._value.base is None for p in other.parameters())
        before = [np.array(p.value) for p in model.parameters()]
        trained(its, other)
        np.testing.assert_equal([np.array(p.value) for p in model.parameters()], before)


# ---- whatever happens in between ----


class Life:
    """A model in training, to which things happen by chance."""

    def __init__(self, seed):
        self.draw = np.random.default_rng(seed)
        self.model = Points(shapes=[(3, 4), (5,), (), (2, 1, 3), (5,)])
        self.optimizer, self.held, self.t = optim.Adam(0.1), [], 0

    def some(self):
        return self.model.parts[self.draw.integers(5)]

    def step(self):
        self.t += 1
        self.optimizer.update(self.model, grads_of(self.model, self.t))

    def hold(self):
        p = self.some()
        self.held.append((p.value, np.array(p.value)))

    def hold_state(self):
        state = self.optimizer.state_dict()
        self.held.append((state, copy.deepcopy(state)))

    def let_go(self):
        if self.held:
            self.held.pop(self.draw.integers(len(self.held)))

    def assign(self):
        p = self.some()
        p.value = np.array(p.value) / 2

    def swap(self):
        """Two of one shape: each gets the array of the other."""
        a, b = self.model.parts[1], self.model.parts[4]
        a._value, b._value = b._value, a._value

    def freeze(self):
        self.model.freeze(f"parts.{self.draw.integers(5)}")

    def unfreeze(self):
        self.model.unfreeze()

    def begin_anew(self):
        self.optimizer = optim.Adam(0.1)

    def reload(self):
        self.optimizer.load_state_dict(self.optimizer.state_dict())

    ACTS = (
        "step",
        "step",
        "step",
        "hold",
        "hold_state",
        "let_go",
        "assign",
        "swap",
        "freeze",
        "unfreeze",
        "begin_anew",
        "reload",
    )

    def live(self, days=80):
        for _ in range(days):
            getattr(self, self.ACTS[self.draw.integers(len(self.ACTS))])()
            for now, then in self.held:
                np.testing.assert_equal(now, then)
        return [np.array(p.value) for p in self.model.parameters()]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_it_is_as_without_slabs(seed, apart):
    np.testing.assert_equal(Life(seed).live(), apart(lambda: Life(seed).live()))
