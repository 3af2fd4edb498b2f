"""Guards: what functions in many forms, and objects of odd classes, could have read."""

import contextvars
import functools
import itertools
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import op
from zkynet.framework.graph_mode.guards import Surroundings

RATE = 0.1


class Odd:
    """Its comparison cannot be asked."""

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None


class Everything:
    """It claims to be equal to everything."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


class Cfg:
    rate = 0.1

    def __init__(self):
        self.scale, self.count = 2.0, 0

    @property
    def doubled(self):
        return 2 * self.scale

    @classmethod
    def of_class(cls):
        return cls.rate

    @staticmethod
    def fixed():
        return RATE


def test_functions_in_a_dict(monkeypatch):
    table = {"double": lambda x: 2 * x, "scale": lambda x: x * RATE}
    s = Surroundings(lambda x, name="scale": table[name](x))
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards_functions.py: 0.1 -> 0.2"
    monkeypatch.setitem(globals(), "RATE", 0.1)
    table["double"] = lambda x: 3 * x
    assert s.changed().startswith("closure variable table of <lambda>, entry 0: function")


@pytest.mark.parametrize("wrap", ["partial", "wraps", "lru_cache", "method", "dispatch", "default_factory"])
def test_wrapped_functions(wrap, monkeypatch):
    def scaled(x):
        return x * RATE

    if wrap == "partial":
        f = functools.partial(scaled)
    elif wrap == "wraps":

        @functools.wraps(scaled)
        def f(*args):
            return scaled(*args)

    elif wrap == "lru_cache":
        f = functools.lru_cache(scaled)
    elif wrap == "dispatch":
        f = functools.singledispatch(lambda x: x)
        f.register(int, scaled)
    elif wrap == "default_factory":
        table = defaultdict(lambda: RATE)

        def f(x):
            return table[x]

    else:
        f = type("Holder", (), {"scaled": lambda self, x: x * RATE})().scaled
    s = Surroundings(f)
    assert s.changed() is None
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards_functions.py: 0.1 -> 0.2"


def test_what_a_partial_holds():
    weights = [1]
    f = functools.partial(lambda w, x, k: x, weights, k={"a": 1})
    s = Surroundings(f)
    weights.append(2)
    assert ".args[0]: 1 -> 2 entries" in s.changed()
    weights.pop()
    f.keywords["k"]["a"] = 2
    assert s.changed().endswith(", entry 0: 1 -> 2")


def test_recursion_and_cycles():
    def step(x, depth=3):
        return x if not depth else step(x * ring[1], depth - 1)

    ring = [None, 2]
    ring[0] = ring
    cfg = Cfg()
    cfg.self, cfg.ring = cfg, ring
    ring.append(cfg)
    s = Surroundings(lambda x: step(x) * cfg.self.scale + cfg.ring[0])
    assert s.changed() is None
    ring[1] = 3
    assert s.changed().endswith("entry 1: 2 -> 3")


def test_a_cell_that_is_filled_later():
    def outer():
        def step(x):
            return x * late

        s = Surroundings(step)
        assert s.changed() is None
        late = 3
        return s

    assert outer().changed() == "closure variable late of step: nothing -> 3"


def test_a_cell_that_is_emptied():
    held = 1

    def step(x):
        return x * held  # noqa: F821  (it is deleted below)

    s = Surroundings(step)
    del held
    assert s.changed() == "closure variable held of step: 1 -> nothing"


@dataclass
class Settings:
    rate: float = 0.1
    sizes: list = field(default_factory=list)


class Pair(NamedTuple):
    a: float
    b: list


def test_dataclasses_and_named_tuples():
    settings, pair = Settings(), Pair(1.0, [2])
    s = Surroundings(lambda x: (settings, pair))
    settings.rate = 0.2
    assert s.changed() == "closure variable settings.rate of <lambda>: 0.1 -> 0.2"
    settings.rate = 0.1
    settings.sizes.append(1)
    assert s.changed() == "closure variable settings.sizes of <lambda>: 0 -> 1 entries"
    settings.sizes.clear()
    pair.b.append(3)
    assert s.changed() == "closure variable pair[1] of <lambda>: 1 -> 2 entries"


def test_a_context_variable():
    scale = contextvars.ContextVar("scale", default=1)
    s = Surroundings(lambda x: x * scale.get())
    token = scale.set(2)
    assert s.changed() == "closure variable scale of <lambda>: 1 -> 2"
    scale.reset(token)
    assert s.changed() is None


def test_the_default_backend():
    class Other(type(zk.backends.get("numpy"))):
        name = "other"

    s = Surroundings(lambda x: op.zeros((2,)))
    with zk.backends.use_backend(Other()):
        assert s.changed().startswith("the default backend")
    assert s.changed() is None


def test_iterators_are_always_changed():
    batches = iter([1, 2])
    counter = itertools.count()
    assert "a list_iterator, which every call may move on" in Surroundings(lambda x: next(batches)).changed()
    assert "a count, which every call may move on" in Surroundings(lambda x: next(counter)).changed()


def test_numbers_drawn_from_the_modules_of_others():
    state, numpys = random.getstate(), np.random.get_state()

    def imported(x):
        from random import random

        return random()

    def imported_from_numpy(x):
        import numpy

        return numpy.random.rand()

    functions = (lambda x: random.random(), lambda x: np.random.rand(), imported, imported_from_numpy)
    found = [Surroundings(f) for f in functions]
    other = Surroundings(lambda x: np.sum(x + 1))
    try:
        assert [s.changed() for s in found] == [None] * 4
        random.random()
        np.random.rand()
        assert None not in [s.changed() for s in found] and other.changed() is None
    finally:
        random.setstate(state)
        np.random.set_state(numpys)


@pytest.mark.parametrize("kind", [Odd, Everything])
def test_equality_of_the_user_is_never_asked(kind):
    held, numbers = kind(), [1, 2.0]
    listed = [held, 1]
    s = Surroundings(lambda x: (held, listed, numbers))
    assert s.changed() is None
    numbers[0] = kind()
    assert "entry 0: 1 -> a" in s.changed()
    numbers[0] = 1
    held = kind()
    assert s.changed() is not None
    held = listed[0]
    assert s.changed() is None
    listed[0] = kind()
    assert s.changed() is not None


def test_objects_of_odd_classes():
    class Munch(dict):
        __getattr__ = dict.__getitem__
        __setattr__ = dict.__setitem__

    class Silent(list):
        def __iter__(self):
            return iter(())

    class Hidden:
        def __init__(self):
            self._held = {"rate": 1}

        def __getattr__(self, name):
            return self._held[name]

    munch, silent, hidden, liar = Munch(rate=1), Silent([1]), Hidden(), mock.MagicMock(spec=list)
    s = Surroundings(lambda x: (munch.rate, silent, hidden.rate))
    assert s.changed() is None
    munch.rate = 2
    assert s.changed() == "closure variable munch of <lambda>, entry 0: 1 -> 2"
    munch.rate = 1
    silent.append(2)
    assert s.changed() == "closure variable silent of <lambda>: 1 -> 2 entries"
    silent.pop()
    hidden._held["rate"] = 2
    assert s.changed() == "closure variable hidden._held of <lambda>, entry 0: 1 -> 2"
    assert "cannot be looked into" in Surroundings(lambda x: liar.append(x)).changed()


def test_deep_nests():
    held, fixed = [1], (1,)
    first = held
    for _ in range(3000):
        held, fixed = [held], (fixed,)
    s = Surroundings(lambda x: (held, fixed))
    assert s.changed() is None
    first.append(2)
    assert s.changed() == f"closure variable held{'[0]' * 9}...{'[0]' * 10} of <lambda>: 1 -> 2 entries"
    first.pop()
    fixed = ()
    assert s.changed().startswith("closure variable fixed of <lambda>: ")


def test_another_object_of_the_same_class():
    cfg = Cfg()
    s = Surroundings(lambda x: x * cfg.scale)
    cfg = Cfg()
    assert s.changed() == "closure variable cfg of <lambda>: a Cfg -> another Cfg"


def test_a_bound_method_of_an_array_or_a_list():
    array, listed = np.ones(2), [1]
    total, append = array.sum, listed.append
    s = Surroundings(lambda x: append(x * total()))
    assert [place.read() is array for place in s.places().values()] == [True]
    listed.append(2)
    assert s.changed() == "closure variable append.__self__ of <lambda>: 1 -> 2 entries"
