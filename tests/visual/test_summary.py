"""zk.summary: rows, counts and totals, and that the model is afterwards what it was."""

import numpy as np
import pytest

import zkynet as zk
from zkynet import models, nn
from zkynet.framework import op


class Moving(zk.Module):
    """Keeps a running mean while it runs, and draws."""

    def __init__(self):
        self.mean = zk.State("mean", np.zeros(3, np.float32))
        self.draws = zk.Generator(0)

    def call(self, x):
        self.mean.value = self.mean.value + 1.0
        return op.dropout(x, 0.5, self.draws) if self.training else x


class Two(zk.Module):
    """One layer used twice, and two outputs."""

    def __init__(self):
        self.layer = nn.Linear(3, 3, 0)

    def call(self, x, y):
        return self.layer(self.layer(x)), {"product": op.einsum("ni,mi->nm", x, y)}


def test_rows_and_totals_of_a_network(capsys):
    found = zk.summary(models.fcn((784, 256, 10)), (32, 784))
    assert capsys.readouterr().out == f"{found}\n"
    assert [(r.path, r.kind, r.shape, r.parameters) for r in found.rows] == [
        ("", "Sequential", (32, 10), 0),
        ("layers.0", "Linear", (32, 256), 784 * 256 + 256),
        ("layers.1", "ReLU", (32, 256), 0),
        ("layers.2", "Linear", (32, 10), 2570),
    ]
    assert found.multiply_adds == 32 * (784 * 256 + 256 * 10)
    assert found.parameters == found.trainable == 784 * 256 + 256 + 2570
    assert found.parameter_memory == 4 * found.parameters
    assert found.value_memory == 4 * 32 * (256 + 256 + 10)


def test_convolutions():
    found = zk.summary(nn.Conv2d(4, 6, (3, 2), 0, stride=2, groups=2), (5, 4, 9, 8))
    assert found.rows[0].shape == (5, 6, 4, 4)
    assert found.multiply_adds == 5 * 6 * 4 * 4 * (2 * 3 * 2)


def test_transposes_count_as_much_as_their_convolution():
    x, w, h = (np.zeros(s) for s in ((5, 4, 9, 8), (6, 2, 3, 2), (5, 6, 4, 4)))
    settings = {"stride": 2, "padding": 0, "dilation": 1, "groups": 2}

    class Calls(zk.Module):
        def __init__(self, f):
            self.f = f

        def call(self, a, b):
            return self.f(a, b)

    counts = [
        zk.summary(Calls(f), *given).multiply_adds
        for f, given in (
            (lambda a, b: op.conv(a, b, **settings), (x, w)),
            (lambda a, b: op.conv_input(a, b, size=x.shape, **settings), (h, w)),
            (lambda a, b: op.conv_filter(a, b, size=w.shape, **settings), (x, h)),
        )
    ]
    assert counts == [5 * 6 * 4 * 4 * 12] * 3


def test_a_shared_layer_runs_twice_and_is_owned_once():
    found = zk.summary(Two().freeze("layer.bias"), (2, 3), np.ones((4, 3), np.float32))
    assert [(r.path, r.depth, r.parameters, r.multiply_adds) for r in found.rows] == [
        ("", 0, 0, 2 * 4 * 3),
        ("layer", 1, 12, 18),
        ("layer", 1, 0, 18),
    ]
    assert found.rows[0].shape == ((2, 3), {"product": (2, 4)})
    assert (found.parameters, found.trainable) == (12, 9)
    assert "3 of them frozen" in str(found)


def test_the_model_is_left_as_it_was(backend):
    model = nn.Sequential(Moving(), nn.Linear(3, 2, 0)).to(backend)
    model[1].eval()
    before = [s._value for s in model.named_states().values()]
    zk.summary(model, (2, 3))
    assert model.training and model[0].training and not model[1].training
    assert all(a is b for a, b in zip(before, [s._value for s in model.named_states().values()], strict=True))


def test_what_is_no_model_and_no_input():
    with pytest.raises(TypeError, match="takes a Module"):
        zk.summary(op.sin, (2,))
    with pytest.raises(TypeError, match="shape or an array"):
        zk.summary(nn.Linear(3, 2, 0), "2,3")
    with pytest.raises(zk.errors.ShapeError) as error:
        zk.summary(models.fcn((3, 4, 2)), (2, 5))
    assert any("layers.0" in note for note in error.value.__notes__)
