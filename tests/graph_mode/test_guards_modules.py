"""Guards: modules of the user and zkynet's Modules."""

import sys

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn
from zkynet.framework import op
from zkynet.framework.graph_mode.guards import Surroundings

RATE = 0.1


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


def test_a_class_as_a_root(monkeypatch):
    class Batch:
        def scaled(self):
            return RATE

    s = Surroundings(lambda batch: batch.scaled(), [Batch])
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards_modules.py: 0.1 -> 0.2"


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
    assert s.changed() == "global RATE of test_guards_modules.py: 0.1 -> 0.2"


def test_an_operator_of_the_user(monkeypatch):
    class Scale(zk.Operator):
        def forward(self, xp, x):
            return x * RATE

        def vjp_x(self, xp, g):
            return g * RATE

    scale = Scale()
    s = Surroundings(lambda x: scale(x))
    monkeypatch.setitem(globals(), "RATE", 0.2)
    assert s.changed() == "global RATE of test_guards_modules.py: 0.1 -> 0.2"


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
