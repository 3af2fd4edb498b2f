"""Weights of torch models, loaded by the documented name maps: the same outputs and the same gradients."""

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn
from zkynet.backends.errors import WeightsMismatchError
from zkynet.framework import op
from zkynet.io import save_safetensors
from zkynet.io.torch_names import load_torch_weights, torch_arrays

RNG = np.random.default_rng(0)
PICTURES, ROWS = RNG.normal(size=(3, 1, 8, 8)), RNG.normal(size=(5, 6))
SEQUENCES, MEMORY = RNG.normal(size=(3, 7, 8)), RNG.normal(size=(3, 4, 8))


def mlp(torch):
    theirs = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    return theirs, nn.Sequential(nn.Linear(6, 8, 0), nn.Tanh(), nn.Linear(8, 4, 0)), (ROWS,)


def cnn(torch):
    t = torch.nn
    layers = t.Conv2d(1, 4, 3, padding=1), t.ReLU(), t.Conv2d(4, 6, 3, stride=2), t.ReLU(), t.Flatten(), t.Linear(54, 5)
    convs = nn.Conv2d(1, 4, 3, 0, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, 0, stride=2), nn.ReLU()
    return t.Sequential(*layers), nn.Sequential(*convs, nn.Flatten(), nn.Linear(54, 5, 0)), (PICTURES,)


def recurrent(name, **settings):
    def make(torch):
        theirs = getattr(torch.nn, name)(8, 5, num_layers=2, bidirectional=True, batch_first=True, **settings)
        return theirs, getattr(nn, name)(8, 5, 0, layers=2, bidirectional=True), (SEQUENCES,)

    return make


def attention(torch):
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    torch.nn.init.normal_(theirs.in_proj_bias)
    return theirs, nn.MultiHeadAttention(8, 2, 0), (SEQUENCES, MEMORY, MEMORY)


def encoder_layer(norm_first, activation):
    def make(torch):
        theirs = torch.nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, activation=activation, norm_first=norm_first, batch_first=True
        )
        ours = nn.TransformerEncoderLayer(8, 2, 0, hidden=16, norm_first=norm_first, activation=activation)
        return theirs, ours, (SEQUENCES,)

    return make


def decoder(torch):
    t = torch.nn
    layer = t.TransformerDecoderLayer(8, 2, 16, dropout=0.0, activation="gelu", norm_first=True, batch_first=True)
    theirs = Causal(torch, t.TransformerDecoder(layer, 2, norm=t.LayerNorm(8)))
    return theirs, nn.TransformerDecoder(2, 8, 2, 0, hidden=16), (SEQUENCES, MEMORY)


def Causal(torch, decoder):  # noqa: N802  (it makes an object of a class that needs torch)
    """torch's decoder with the mask that ours has by itself."""

    class Wrapped(torch.nn.Module):
        def forward(self, x, memory):
            mask = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1]).to(x.dtype)
            return decoder(x, memory, tgt_mask=mask, tgt_is_causal=True)

        def state_dict(self, *args, **kwargs):
            return decoder.state_dict(*args, **kwargs)

        def named_parameters(self, *args, **kwargs):
            return decoder.named_parameters(*args, **kwargs)

    wrapped = Wrapped()
    wrapped.inner = decoder
    return wrapped


MAKERS = {
    "mlp": mlp,
    "cnn": cnn,
    "rnn": recurrent("RNN"),
    "lstm": recurrent("LSTM"),
    "gru": recurrent("GRU"),
    "attention": attention,
    "encoder layer, norm first, gelu": encoder_layer(True, "gelu"),
    "encoder layer, norm behind, relu": encoder_layer(False, "relu"),
    "decoder": decoder,
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_torch_model_gives_the_same_outputs_and_gradients(name, tmp_path):
    torch = pytest.importorskip("torch", reason="the weights to load are made by torch")
    torch.manual_seed(1)
    theirs, ours, inputs = MAKERS[name](torch)
    inputs = [x.astype("float32") for x in inputs]
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    save_safetensors(tmp_path / "net.safetensors", state)
    load_torch_weights(tmp_path / "net.safetensors", ours)

    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = theirs(*tensors)
    expected = expected[0] if isinstance(expected, tuple) else expected
    weights = RNG.normal(size=tuple(expected.shape)).astype("float32")
    (expected * torch.tensor(weights)).sum().backward()

    def objective(model, *inputs):
        y = model(*inputs)
        y = y[0] if isinstance(y, tuple) else y
        return op.sum(op.multiply(y, weights)), y

    (_, y), grads = zk.value_and_grad(objective, argnums=tuple(range(len(inputs) + 1)), has_aux=True)(ours, *inputs)
    assert close(y.value if hasattr(y, "value") else y, expected.detach().numpy())
    for tensor, g in zip(tensors, grads[1:], strict=True):
        assert close(g, tensor.grad.numpy())
    slopes = {key: p.grad.numpy() for key, p in theirs.named_parameters()}
    # The gradient of a sum of two biases is that of each: their average is laid out as the sum is not.
    wanted = torch_arrays(ours, {k: v / 2 if name in ("rnn", "lstm") and "bias" in k else v for k, v in slopes.items()})
    for path in ours.named_parameters():
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
