"""What a layer inside a model gives: the array that calling the layers one by one gives, and the model as it was."""

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, visual
from zkynet.framework import op
from zkynet.framework.computation_graph import Module


class Twice(Module):
    """A layer that is called twice, one that gives two arrays, dropout, and one that is not called."""

    def __init__(self):
        self.shared, self.pair, self.drop, self.unused = (
            nn.Linear(3, 3, 0),
            Pair(),
            nn.Dropout(0.5, 1),
            nn.Linear(3, 3, 0),
        )

    def call(self, x):
        a, b = self.pair(self.shared(op.tanh(self.shared(x))))
        return self.drop(a + b), b


class Pair(Module):
    def call(self, x):
        return x * 2, op.exp(x)


def test_the_output_of_every_layer_of_a_model():
    model = zk.models.cnn((1, 8, 8), ((4, 1, 1), (6, 2, 0)), 16, 10)
    x = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    expected = x
    for i, layer in enumerate(model):
        expected = layer(expected).value
        assert np.array_equal(visual.layer_output(model, f"layers.{i}", x), expected)
        assert np.array_equal(visual.layer_output(model, layer, x), expected)


def test_layers_called_twice_and_blocks_inside_of_blocks():
    model, x = Twice(), np.random.default_rng(0).normal(size=(2, 3))
    once = model.shared(x).value
    assert np.array_equal(visual.layer_output(model, "shared", x), once)
    assert np.array_equal(visual.layer_output(model, "shared", x, call=1), model.shared(np.tanh(once)).value)
    inner = nn.Sequential(nn.Linear(3, 3, 1), nn.Tanh())
    outer = nn.Sequential(nn.Linear(3, 3, 0), nn.Sequential(inner, nn.Linear(3, 2, 2)), nn.Softmax())
    expected = inner(outer[0](x).value).value
    assert np.array_equal(visual.layer_output(outer, inner, x), expected)
    assert np.array_equal(visual.layer_output(outer, "layers.1.layers.0.layers.1", x), expected)


def test_a_layer_is_looked_at_as_in_use_and_left_as_it_was():
    model = nn.Sequential(nn.Linear(3, 3, 0), nn.Dropout(0.9, 1), nn.Linear(3, 2, 2))
    model[2].eval()
    x = np.ones((1, 3), np.float32)
    before = [np.array(state.value) for state in model.named_states().values()]
    assert np.array_equal(visual.layer_output(model, "layers.2", x), model[2](model[0](x).value).value)
    assert [model.training, *(each.training for each in model)] == [True, True, True, False]
    assert all(np.array_equal(a, b.value) for a, b in zip(before, model.named_states().values(), strict=True))


@pytest.mark.parametrize(
    "layer, more, kind, said",
    [
        ("nothing", {}, KeyError, "no module 'nothing' in the model; its modules are: shared, pair, drop, unused"),
        (nn.Linear(3, 3, 0), {}, KeyError, "is no module in the model"),
        ("shared", {"call": 2}, ValueError, "shared is called 2 times"),
        ("pair", {}, ValueError, r"no single array in this call.\n  got:      \(2, 3\), \(2, 3\)"),
        ("drop", {}, ValueError, "drop computes nothing in this call"),
        ("unused", {}, ValueError, "unused computes nothing in this call"),
    ],
)
def test_layers_that_give_nothing_to_look_at(layer, more, kind, said):
    with pytest.raises(kind, match=said):
        visual.layer_output(Twice(), layer, np.ones((2, 3)), **more)


def test_no_graph_no_look():
    with zk.no_grad(), pytest.raises(TypeError, match="the call kept no graph"):
        visual.layer_output(Twice(), "shared", np.ones((2, 3)))
