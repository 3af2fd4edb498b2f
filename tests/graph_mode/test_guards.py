"""Guards: whether numbers, containers and attributes that Python code could have read are as they were."""

import random
import types
from collections import OrderedDict, UserDict, deque

import numpy as np
import pytest

from zkynet.framework.graph_mode.guards import Surroundings

RATE = 0.1
TABLE = {"a": 1}


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


def test_a_changed_global_is_named(monkeypatch):
    def step(x):
        return x * RATE

    s = Surroundings(step)
    assert s.changed() is None
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards.py: 0.1 -> 0.2"


def test_a_global_read_by_a_function_that_is_called(monkeypatch):
    def inner(x):
        return [x * RATE for _ in range(2)]

    def step(x):
        return inner(x)

    s = Surroundings(step)
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards.py: 0.1 -> 0.2"


def test_a_global_that_is_not_read_does_not_count(monkeypatch):
    def step(x):
        return x + 1

    s = Surroundings(step)
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() is None


def test_a_global_that_comes_to_shadow_a_builtin(monkeypatch):
    def step(x):
        return sum(x)

    s = Surroundings(step)
    monkeypatch.setitem(globals(), "sum", lambda x: 0)
    assert "global sum of test_guards.py: nothing -> function" in s.changed()


def test_a_closure_variable_rebound_by_nonlocal():
    best = 1.0

    def better(x):
        nonlocal best
        best = x

    def step(x):
        return x if x < best else 0

    s = Surroundings(step)
    better(1.0)
    assert s.changed() is None
    better(0.5)
    assert s.changed() == "closure variable best of step: 1.0 -> 0.5"


def test_a_closure_variable_that_is_only_assigned_does_not_count():
    last = None

    def step(x):
        nonlocal last
        last = x
        return x

    s = Surroundings(step)
    step(3)
    assert last == 3 and s.changed() is None


@pytest.mark.parametrize(
    "old, new",
    [(1, True), (1, 1.0), (0.0, -0.0), (1.0, np.float64(1.0)), (np.float32(1), np.float64(1)), (None, 0)]
    + [("a", b"a"), ((1, 2), (1, 2.0)), ((1, (0.0,)), (1, (-0.0,))), (1 + 0j, complex(1, -0.0)), (1, "1")]
    + [
        (float("nan"), 1.0),
        (range(3), range(4)),
        ((1,), [1]),
        (slice(0, 1), slice(0, True)),
        (np.float64(0.0), np.float64(-0.0)),
    ],
)
def test_values_of_another_type_or_sign_are_others(old, new):
    held = old

    def step(x):
        return x, held

    s = Surroundings(step)
    assert s.changed() is None
    held = new
    assert s.changed().startswith("closure variable held of step: ")


@pytest.mark.parametrize(
    "make",
    [
        lambda: float("nan"),
        lambda: float("0.5"),
        lambda: int("12345678"),
        lambda: "".join(["a", "bc"]),
        lambda: range(4),
    ]
    + [
        lambda: (float("2.5"), ("".join(["x", "y"]),)),
        lambda: np.float32("nan"),
        lambda: complex("nan"),
        lambda: slice(1, 500),
    ],
)
def test_equal_values_are_the_same(make):
    held = make()

    def step(x):
        return x, held

    s = Surroundings(step)
    held = make()
    assert s.changed() is None
    assert s._untouched()  # the new object is what is expected now


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.append(3),
        lambda x: x.pop(),
        lambda x: x.__setitem__(0, 5),
        lambda x: x.reverse(),
        lambda x: x[2].append(1),
    ],
)
def test_a_mutated_list_in_a_closure(change):
    held = [1, 2, []]

    def step(x):
        return x, held

    s = Surroundings(step)
    assert s.changed() is None
    change(held)
    assert s.changed().startswith("closure variable held")


@pytest.mark.parametrize(
    "make, change",
    [
        (lambda: {"a": 1}, lambda x: x.update(b=2)),
        (lambda: {"a": 1}, lambda x: x.update(a=2)),
        (lambda: {"a": 1}, lambda x: (x.pop("a"), x.update(b=1))),
        (lambda: {"a": 1, "b": 2}, lambda x: x.update(a=x.pop("a"))),  # another order
        (lambda: {"a": [1]}, lambda x: x["a"].append(2)),
        (lambda: OrderedDict(a=1, b=2), lambda x: x.move_to_end("a")),
        (lambda: UserDict(a=1), lambda x: x.update(a=2)),
        (lambda: {1, 2}, lambda x: x.add(3)),
        (lambda: {1, 2}, lambda x: (x.remove(1), x.add(5))),
        (lambda: deque([1, 2]), lambda x: x.rotate()),
        (lambda: bytearray(b"ab"), lambda x: x.append(1)),
        (lambda: types.SimpleNamespace(scale=1), lambda x: setattr(x, "scale", 2)),
        (lambda: types.MappingProxyType(TABLE), lambda x: TABLE.update(a=TABLE["a"] + 1)),
        (lambda: random.Random(0), lambda x: x.random()),
        (lambda: np.random.default_rng(0), lambda x: x.random()),
        (lambda: np.random.RandomState(0), lambda x: x.rand()),
        (lambda: np.array(["a", None]), lambda x: x.__setitem__(0, "b")),
    ],
)
def test_changed_containers(make, change):
    held = make()

    def step(x):
        return x * held.scale if x else held

    s = Surroundings(step)
    assert s.changed() is None
    change(held)
    assert "closure variable held" in s.changed()
    assert Surroundings(step).changed() is None


def test_default_arguments():
    def step(x, rate=0.1, *, shift=[1]):  # noqa: B006
        return x * rate + shift[0]

    s = Surroundings(step)
    step.__defaults__ = (0.2,)
    assert s.changed() == "defaults of step: (0.1,) -> (0.2,)"
    step.__defaults__ = (0.1,)
    assert s.changed() is None
    step.__kwdefaults__["shift"].append(2)
    assert s.changed() == "defaults of step['shift']: 1 -> 2 entries"


def test_an_attribute_of_a_function():
    def step(x):
        return x * getattr(step, "rate", 1)

    s = Surroundings(step)
    assert s.changed() is None
    step.rate = 2
    assert s.changed() == "test_an_attribute_of_a_function.<locals>.step.rate: nothing -> 2"


def test_code_that_was_replaced():
    def step(x):
        return x

    s = Surroundings(step)
    step.__code__ = (lambda x: 2 * x).__code__
    assert s.changed().startswith("step.__code__")


@pytest.mark.parametrize("name", ["scale", "rate", "doubled", "of_class"])
def test_attributes_properties_and_class_attributes(name, monkeypatch):
    cfg = Cfg()
    step = {
        "scale": lambda x: x * cfg.scale,
        "rate": lambda x: x * cfg.rate,
        "doubled": lambda x: x * cfg.doubled,
        "of_class": lambda x: x * cfg.of_class(),
    }[name]
    s = Surroundings(step)
    assert s.changed() is None
    if name in ("scale", "doubled"):
        cfg.scale = 3.0
        assert s.changed() == "closure variable cfg.scale of <lambda>: 2.0 -> 3.0"
    else:
        monkeypatch.setattr(Cfg, "rate", 0.5)
        assert s.changed() == "Cfg.rate: 0.1 -> 0.5"


def test_an_attribute_that_hides_that_of_the_class():
    cfg = Cfg()
    s = Surroundings(lambda x: x * cfg.rate)
    cfg.rate = 3
    assert s.changed() == "closure variable cfg.rate of <lambda>: 0.1 -> 3"


def test_an_attribute_that_no_code_reads_does_not_count():
    cfg = Cfg()
    s = Surroundings(lambda x: x * cfg.scale)
    cfg.count += 1
    cfg.other = 3
    assert s.changed() is None
    assert s._untouched()


@pytest.mark.parametrize("how", ["getattr", "hasattr", "vars", "computed", "asdict", "eval"])
def test_attributes_asked_for_in_other_ways(how):
    cfg = Cfg()
    word = "count"
    step = {
        "getattr": lambda x: getattr(cfg, "count", 0),
        "hasattr": lambda x: hasattr(cfg, "count"),
        "vars": lambda x: vars(cfg),
        "computed": lambda x: getattr(cfg, word + ""),
        "asdict": lambda x: cfg.__dict__,
        "eval": lambda x: eval("x * cfg.count", {"cfg": cfg, "x": x}),
    }[how]
    s = Surroundings(step)
    cfg.count += 1
    assert s.changed() == "closure variable cfg.count of <lambda>: 0 -> 1"


def test_an_attribute_that_code_asks_for_and_that_comes_later():
    cfg = Cfg()
    s = Surroundings(lambda x: hasattr(cfg, "mask"))
    cfg.mask = 1
    assert s.changed() == "closure variable cfg.mask of <lambda>: nothing -> 1"


def test_a_chain_of_attributes():
    class Holder:
        def __init__(self):
            self.cfg = Cfg()

        def step(self, x):
            return x * self.cfg.scale

    holder = Holder()
    s = Surroundings(holder.step)
    holder.cfg.scale = 3
    assert s.changed() == "Holder.cfg.scale: 2.0 -> 3"
    holder.cfg.scale = 2.0
    assert s.changed() is None
    holder.cfg = Cfg()
    assert ".cfg: " in s.changed()


def test_slots():
    class Slotted:
        __slots__ = ("later", "rate")

        def __init__(self):
            self.rate = 1

    cfg = Slotted()
    s = Surroundings(lambda x: x * cfg.rate + getattr(cfg, "later", 0))
    cfg.later = 3
    assert s.changed() == "closure variable cfg.later of <lambda>: nothing -> 3"
    del cfg.later
    assert s.changed() is None
    cfg.rate = 2
    assert s.changed() == "closure variable cfg.rate of <lambda>: 1 -> 2"


def test_methods_replaced_on_a_class_or_on_an_object(monkeypatch):
    class Doer:
        def act(self, x):
            return x

    class Other(Doer):
        pass

    doer = Other()
    s = Surroundings(lambda x: doer.act(x))
    assert s.changed() is None
    doer.act = lambda x: 2 * x
    assert ".act of <lambda>: function" in s.changed()
    del doer.act
    assert s.changed() is None
    Other.act = lambda self, x: 3 * x
    assert "Other.act: " in s.changed()
    del Other.act
    assert s.changed() is None
    Doer.act = lambda self, x: 3 * x
    assert "Doer.act: " in s.changed()


def test_special_methods_are_looked_into(monkeypatch):
    class Called:
        def __call__(self, x):
            return x * RATE

    called = Called()
    s = Surroundings(lambda x: called(x))
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards.py: 0.1 -> 0.2"


def test_the_class_or_the_dict_of_an_object_replaced():
    cfg = Cfg()
    s = Surroundings(lambda x: x * cfg.scale)
    cfg.__class__ = type("Sub", (Cfg,), {})
    assert s.changed() == "closure variable cfg.__class__ of <lambda>: type Cfg -> type Sub"
    cfg.__class__ = Cfg
    assert s.changed() is None
    cfg.__dict__ = dict(vars(cfg))
    assert "__dict__" in s.changed()
