"""Guards: what Python code could have read is as it was, or the change is told. Every test runs without a recording."""

import contextvars
import functools
import itertools
import math
import random
import sys
import types
from collections import OrderedDict, UserDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn
from zkynet.framework import op
from zkynet.framework.graph_mode.code_reads import owner, reads_of
from zkynet.framework.graph_mode.guards import Surroundings

RATE = 0.1
TABLE = {"a": 1}
ARRAY = np.arange(3.0)


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


# ---- modules of the user ----


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "gm_config.py").write_text("SCALE = 2.0\nOTHER = 1\ndef scaled(x):\n    return x * SCALE\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "gm_config", raising=False)
    import gm_config

    yield gm_config
    sys.modules.pop("gm_config", None)


def test_a_number_in_an_imported_module(config):
    s = Surroundings(lambda x: x * config.SCALE)
    config.OTHER = 5
    assert s.changed() is None
    config.SCALE = 3.0
    assert s.changed() == "gm_config.SCALE: 2.0 -> 3.0"


def test_a_number_that_a_function_of_an_imported_module_reads(config):
    s = Surroundings(lambda x: config.scaled(x))
    config.SCALE = 3.0
    assert s.changed() in ("gm_config.SCALE: 2.0 -> 3.0", "global SCALE of gm_config.py: 2.0 -> 3.0")


@pytest.mark.parametrize("how", ["import", "from"])
def test_a_module_imported_inside_the_function(config, how):
    def by_import(x):
        import gm_config

        return x * gm_config.SCALE

    def by_from(x):
        from gm_config import SCALE

        return x * SCALE

    s = Surroundings({"import": by_import, "from": by_from}[how])
    assert s.changed() is None
    config.SCALE = 3.0
    assert s.changed() == "gm_config.SCALE: 2.0 -> 3.0"


def test_an_attribute_that_a_module_gets_later(config):
    s = Surroundings(lambda x: getattr(config, "LATER", 1))
    config.LATER = 3
    assert s.changed() == "gm_config.LATER: nothing -> 3"


# ---- Modules ----


class Net(zk.Module):
    def __init__(self):
        self.first, self.layers = nn.Linear(2, 3, 0), [nn.Linear(3, 3, 1), nn.Dropout(0.5, 2)]
        self.scale, self.seen, self.epoch = 2.0, None, 0

    def call(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        self.seen = float(x.value.sum())
        return x * self.scale


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda m: m.eval(), "training of step: True -> False"),
        (lambda m: setattr(m.layers[1], "training", False), "net.layers[1].training of step: True -> False"),
        (lambda m: setattr(m.layers[1], "rate", 0.25), "net.layers[1].rate of step: 0.5 -> 0.25"),
        (lambda m: setattr(m, "first", nn.Linear(2, 3, 0)), "net.first of step"),
        (lambda m: m.layers.append(nn.Linear(3, 3, 1)), "net.layers of step: 2 -> 3 entries"),
        (lambda m: m.layers.reverse(), "net.layers of step, entry 0: "),
        (lambda m: m.freeze("first"), "net.first.weight.trainable of step: True -> False"),
        (lambda m: setattr(m, "scale", 3.0), "net.scale of step: 2.0 -> 3.0"),
        (lambda m: setattr(m, "extra", zk.Parameter("extra", 1.0)), "net.extra of step: nothing -> a Parameter"),
        (lambda m: setattr(m, "call", lambda x: x), "net.call of step: function"),
    ],
)
def test_changes_of_a_module(change, text):
    net = Net()

    def step(x):
        return net(x)

    s = Surroundings(step)
    assert s.changed() is None
    step(np.ones((1, 2), np.float32))
    assert s.changed() is None
    change(net)
    assert text in s.changed()


def test_a_flag_that_is_set_back():
    net = Net()
    s = Surroundings(net)
    net.eval()
    assert s.changed() == "Net.training: True -> False"
    net.train()
    assert s.changed() is None


def test_what_a_module_only_assigns_or_nobody_reads_does_not_count():
    net = Net()
    s = Surroundings(net)
    net(np.ones((1, 2), np.float32))
    net.epoch += 1
    net.first.weight.value = np.ones((2, 3), np.float32)
    assert net.seen is not None and s.changed() is None


def test_methods_of_a_module_that_the_function_does_not_call():
    class Trained(Net):
        rounds = 0

        def fit(self):
            return RATE * self.epoch + self.rounds

        def named_parameters(self):
            return {name: p for name, p in super().named_parameters().items() if self.seen is None}

    net = Trained()
    s = Surroundings(lambda x: net(x))
    net.epoch, Trained.rounds = 1, 1
    assert s.changed() is None
    net.seen = 1.0  # which a method reads that takes the place of zkynet's
    assert s.changed() == "closure variable net.seen of <lambda>: None -> 1.0"


def test_a_module_as_an_argument_is_a_root():
    net = nn.Sequential(nn.Linear(2, 2, 0), nn.Dropout(0.5, 0))
    s = Surroundings(lambda model, x: model(x), [net])
    assert {p.short_name for p in s.possessions} == {"weight", "bias", "generator"}
    net.layers[1].rate = 0.25
    assert s.changed() == "Sequential.layers[1].rate: 0.5 -> 0.25"


def test_a_layer_derived_from_a_layer_counts_whole():
    class Mine(nn.Dropout):
        def call(self, x):
            return super().call(x)

    net = Mine(0.5, 0)
    s = Surroundings(net)
    net.rate = 0.25
    assert s.changed() == "Mine.rate: 0.5 -> 0.25"


def test_a_flag_of_a_class_of_layers(monkeypatch):
    net = nn.Sequential(nn.Linear(2, 2, 0), op.relu)
    s = Surroundings(net)
    monkeypatch.setattr(nn.Linear, "training", False, raising=False)
    assert s.changed() == "Sequential.layers[0].training: True -> False"


def test_a_loss_inside_a_transform(monkeypatch):
    net = nn.Linear(2, 2, 0)
    gradient = zk.value_and_grad(lambda model, x: (model(x) * RATE).sum())
    s = Surroundings(lambda x: gradient(net, x))
    assert s.changed() is None
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards.py: 0.1 -> 0.2"


def test_an_operator_of_the_user(monkeypatch):
    class Scale(zk.Operator):
        def forward(self, xp, x):
            return x * RATE

        def vjp_x(self, xp, g):
            return g * RATE

    scale = Scale()
    s = Surroundings(lambda x: scale(x))
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards.py: 0.1 -> 0.2"


def test_what_an_object_says_of_itself():
    class Guarded:
        def __init__(self):
            self.steps, self.decay = 0, 0.1

        def __zkynet_guard__(self):
            return (self.decay,)

        def update(self):
            self.steps += 1
            return self.decay * self.steps

    optimizer = Guarded()
    s = Surroundings(lambda x: optimizer.update())
    optimizer.update()
    assert s.changed() is None
    optimizer.decay = 0.2
    assert s.changed() == "closure variable optimizer of <lambda>: (0.1,) -> (0.2,)"


# ---- functions in many forms ----


def test_functions_in_a_dict(monkeypatch):
    table = {"double": lambda x: 2 * x, "scale": lambda x: x * RATE}
    s = Surroundings(lambda x, name="scale": table[name](x))
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards.py: 0.1 -> 0.2"
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
    assert s.changed() == "global RATE of test_guards.py: 0.1 -> 0.2"


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


# ---- arrays ----


def test_an_array_that_is_rebound_is_read_anew(monkeypatch):
    held, cfg, listed, pair = np.ones(2), Cfg(), [np.ones(3)], (1, np.ones(4))
    cfg.scale = np.ones(5)
    first = (held, listed[0], pair[1], cfg.scale, ARRAY)
    s = Surroundings(lambda x: (held, cfg.scale, listed, pair, ARRAY))
    places = s.places()
    assert sorted(places) == sorted(id(x) for x in first)
    assert (
        str(s).endswith("; 5 arrays read anew") and "closure variable cfg.scale of <lambda>: float64" in s.guarded()[1]
    )
    held, listed[0], pair, cfg.scale = np.zeros(2), np.zeros(3), (1, np.zeros(4)), np.zeros(5)
    monkeypatch.setitem(globals(), "ARRAY", np.zeros(3))
    assert s.changed() is None and s._untouched()
    assert all(np.array_equal(places[id(x)].read(), np.zeros_like(x)) for x in first)
    assert str(places[id(first[2])]) == "closure variable pair[1] of <lambda>"
    assert sorted(s.places()) == sorted(id(x) for x in (held, listed[0], pair[1], cfg.scale, ARRAY))


def test_an_array_of_another_shape_dtype_or_kind():
    held = np.ones(2)
    s = Surroundings(lambda x: x * held)
    for new in (np.ones(3), np.ones(2, np.float32), [1.0, 1.0], 1.0, np.float64(1)):
        held = new
        assert s.changed().startswith("closure variable held of <lambda>: float64 array of shape (2,) -> ")


def test_an_array_whose_shape_is_changed_in_place():
    held = np.ones((2, 3))
    s = Surroundings(lambda x: x * held)
    held[0] = 5
    assert s.changed() is None
    held.resize((3, 2), refcheck=False)
    assert "shape" in s.changed()


def test_one_array_in_two_places_has_to_stay_one():
    a = b = np.ones(2)
    s = Surroundings(lambda x: x * a + b)
    a = np.zeros(2)
    assert s.changed() == "closure variable b of <lambda> and closure variable a of <lambda> were the same array"
    b = a
    assert s.changed() is None
    assert len(s.places()) == 1


def test_a_tuple_in_two_places_has_to_stay_one():
    a = b = (np.ones(2),)
    s = Surroundings(lambda x: x * a[0] + b[0])
    b = (np.zeros(2),)
    assert "were the same array" in s.changed()


def test_tensors_count_as_the_arrays_in_them():
    held = zk.Tensor(np.ones(2))
    s = Surroundings(lambda x: x * held)
    (place,) = s.places().values()
    held = zk.Tensor(np.zeros(2))
    assert s.changed() is None
    assert np.array_equal(place.read(), np.zeros(2))
    held = zk.Tensor(np.zeros(3))
    assert s.changed() is not None


def test_what_a_run_leaves_where_the_next_one_reads():
    class Found:
        pass

    class Cell(zk.Module):
        def __init__(self):
            self.h, self.table, self.many, self.unread = np.zeros(2), {"a": 1}, [1, 2], None

        def call(self, x):
            return self.h, self.table, self.many, best, hasattr(self, "later")

    best, cell = 1.0, Cell()
    s = Surroundings(lambda x: (cell(x), best))
    assert s.left(lambda x: isinstance(x, Found)) == []
    best = cell.h = cell.table["b"] = cell.many[1] = cell.later = cell.unread = Found()
    places = s.left(lambda x: isinstance(x, Found))
    assert sorted(map(str, places)) == [
        "closure variable best of <lambda>",
        "closure variable cell.h of <lambda>",
        "closure variable cell.later of <lambda>",
        "closure variable cell.many[1] of <lambda>",
        "closure variable cell.table['b'] of <lambda>",
    ]
    for i, place in enumerate(places):
        place.write(i)
    assert sorted([best, cell.h, cell.table["b"], cell.many[1], cell.later]) == list(range(5))
    fixed = (np.ones(2),)
    (place,) = Surroundings(lambda x: fixed).places().values()
    with pytest.raises(TypeError, match=r"closure variable fixed\[0\] of <lambda> cannot be assigned"):
        place.write(np.zeros(2))


def test_numbers_of_an_array_that_are_held():
    held = np.ones(2)
    s = Surroundings(lambda x: x if held[0] else 2 * x)
    s.hold(s.places().values())
    assert s.changed() is None
    held[0] = 0
    assert s.changed().startswith("the numbers of closure variable held of <lambda>")


def test_a_scalar_of_numpy_counts_by_its_value_and_has_a_place():
    held = np.float64(0.5)
    s = Surroundings(lambda x: x * held)
    assert [place.read() for place in s.places().values()] == [0.5]
    held = np.float64(0.5)
    assert s.changed() is None
    held = np.float64(0.25)
    assert s.changed() == "closure variable held of <lambda>: np.float64(0.5) -> np.float64(0.25)"


# ---- how code is read ----


def test_what_code_reads():
    def f(x):
        def inner():
            return RATE, math.pi

        x.assigned = [getattr(x, "by_string"), x.loaded, x.called()]  # noqa: B009
        return inner

    reads = reads_of(f.__code__)
    assert {"RATE", "math"} <= reads.globals and ("math", "pi") in reads.chains
    assert {"loaded", "called", "by_string", "pi"} <= reads.names and "assigned" not in reads.names
    assert not reads.any_attribute and not reads.any_global


@pytest.mark.parametrize(
    "f",
    [lambda x, n: getattr(x, n), lambda x, n: getattr(x, n, "a"), lambda x, n: getattr(x[0], n)]
    + [lambda x, n: map(getattr, x, n), lambda x, n: hasattr(x, n + "a"), lambda x, n: x.__dict__[n]],
)
def test_names_that_code_computes_are_any_names(f):
    assert reads_of(f.__code__).any_attribute


def test_whose_code_it_is(tmp_path, monkeypatch):
    assert [owner(x) for x in ("zkynet.nn.linear", "numpy.linalg", "json", "builtins", "mine", "__main__", None)] == [
        *("zkynet", "library", "library", "library", "user", "user", "user")
    ]
    (tmp_path / "profile.py").write_text("X = 1\n")  # a name of the standard library's
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "profile", raising=False)
    import profile

    assert profile.X == 1 and owner("profile") == "user"
    sys.modules.pop("profile")
