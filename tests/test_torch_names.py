"""Weights of torch models, loaded by the documented name maps: the same outputs and the same gradients."""

import numpy as np
import pytest

import zkynet as zk
from support.torch_layers import MODELS, part, recorded_run, torch_run
from zkynet import nn
from zkynet.backends.errors import WeightsMismatchError
from zkynet.framework import op
from zkynet.io import save_safetensors
from zkynet.io.torch_names import load_torch_weights, torch_arrays


@pytest.mark.parametrize("source", ["recorded", "live"])
@pytest.mark.parametrize("name", MODELS)
def test_a_torch_model_gives_the_same_outputs_and_gradients(name, source, tmp_path):
    if source == "live":
        pytest.importorskip("torch", reason="torch computes what is recorded otherwise")
    theirs = torch_run(name) if source == "live" else recorded_run(name)
    model = MODELS[name][1]()
    save_safetensors(tmp_path / "net.safetensors", part(theirs, "state."))
    load_torch_weights(tmp_path / "net.safetensors", model)
    inputs = list(part(theirs, "input.").values())

    def objective(model, *inputs):
        y = model(*inputs)
        y = y[0] if isinstance(y, tuple) else y
        return op.sum(op.multiply(y, theirs["weights"])), y

    (_, y), grads = zk.value_and_grad(objective, argnums=tuple(range(len(inputs) + 1)), has_aux=True)(model, *inputs)
    assert close(y.value if hasattr(y, "value") else y, theirs["output"])
    for k, g in enumerate(grads[1:]):
        assert close(g, theirs[f"input_slope.{k}"])
    # The gradient of a sum of two biases is that of each: their average is laid out as the sum is not.
    halves = name in ("rnn", "lstm")
    slopes = {k: v / 2 if halves and "bias" in k else v for k, v in part(theirs, "slope.").items()}
    wanted = torch_arrays(model, slopes)
    for path in model.named_parameters():
        assert close(grads[0][path], wanted[path]), path


def close(ours, theirs):
    """Whether they agree to 1e-6 of the largest entry, of single precision."""
    theirs = np.asarray(theirs)
    return np.abs(np.asarray(ours) - theirs).max() <= 1e-6 * max(1.0, np.abs(theirs).max())


def state_of_linear():
    return {"0.weight": np.ones((3, 2), "float32"), "0.bias": np.zeros(3, "float32")}


def test_what_does_not_fit_is_said_and_nothing_changes(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3, 0))
    before = model[0].weight.value.copy()
    arrays = state_of_linear()
    del arrays["0.bias"]
    with pytest.raises(WeightsMismatchError, match="missing:  '0.bias'"):
        torch_arrays(model, arrays)
    with pytest.raises(WeightsMismatchError, match="unknown:  'more'"):
        torch_arrays(model, {**state_of_linear(), "more": np.zeros(2)})
    save_safetensors(tmp_path / "x.safetensors", {**state_of_linear(), "0.weight": np.ones((2, 3), "float32")})
    with pytest.raises(WeightsMismatchError, match=r"expected float32 of shape \(2, 3\)"):
        load_torch_weights(tmp_path / "x.safetensors", model)
    assert np.array_equal(model[0].weight.value, before)


def test_a_weight_is_transposed():
    model = nn.Sequential(nn.Linear(2, 3, 0))
    arrays = {**state_of_linear(), "0.weight": np.arange(6, dtype="float32").reshape(3, 2)}
    assert np.array_equal(torch_arrays(model, arrays)["layers.0.weight"], [[0, 2, 4], [1, 3, 5]])


def test_a_module_of_ones_own_goes_by_its_attributes():
    class Net(zk.cg.Module):
        def __init__(self):
            self.body = nn.Linear(2, 3, 0)
            self.heads = [nn.Linear(3, 1, 0, bias=False)]

        def call(self, x):
            return self.heads[0](self.body(x))

    arrays = {"body.weight": np.ones((3, 2)), "body.bias": np.ones(3), "heads.0.weight": np.ones((1, 3))}
    assert set(torch_arrays(Net(), arrays)) == {"body.weight", "body.bias", "heads.0.weight"}


def test_layers_without_a_counterpart_are_refused():
    class Own(zk.cg.Module):
        def __init__(self):
            self.scale = zk.cg.Parameter("scale", 1.0)

        def call(self, x):
            return x * self.scale

    with pytest.raises(TypeError, match="no names of PyTorch are known for Own, which owns layers.0.scale"):
        torch_arrays(nn.Sequential(Own()), {})
    with pytest.raises(TypeError, match="no key_heads, no rotary"):
        torch_arrays(nn.MultiHeadAttention(8, 2, 0, rotary=True), {})
