"""Models of PyTorch with the same models of zkynet, and what PyTorch computes with them: live, or as it is recorded.

``python tests/support/torch_layers.py`` writes the recorded file anew, with the torch that is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zkynet import nn
from zkynet.io import load_safetensors, save_safetensors

RECORDED = Path(__file__).with_name("torch_layers.safetensors")
RNG = np.random.default_rng(0)
PICTURES, ROWS = RNG.normal(size=(3, 1, 8, 8)), RNG.normal(size=(5, 6))
SEQUENCES, MEMORY = RNG.normal(size=(3, 7, 8)), RNG.normal(size=(3, 4, 8))


def mlp(t: Any) -> Any:
    return t.Sequential(t.Linear(6, 8), t.Tanh(), t.Linear(8, 4))


def cnn(t: Any) -> Any:
    first, second = t.Conv2d(1, 4, 3, padding=1), t.Conv2d(4, 6, 3, stride=2)
    return t.Sequential(first, t.ReLU(), second, t.ReLU(), t.Flatten(), t.Linear(54, 5))


def our_cnn() -> nn.Sequential:
    convs = nn.Conv2d(1, 4, 3, 0, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, 0, stride=2), nn.ReLU()
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(54, 5, 0))


def recurrent(name: str) -> Any:
    return lambda t: getattr(t, name)(8, 5, num_layers=2, bidirectional=True, batch_first=True)


def attention(t: Any) -> Any:
    layer = t.MultiheadAttention(8, 2, batch_first=True)
    t.init.normal_(layer.in_proj_bias)
    return layer


def encoder_layer(norm_first: bool, activation: str) -> Any:
    settings = {"dropout": 0.0, "activation": activation, "norm_first": norm_first, "batch_first": True}
    return lambda t: t.TransformerEncoderLayer(8, 2, 16, **settings)


def our_encoder_layer(norm_first: bool, activation: str) -> Any:
    return lambda: nn.TransformerEncoderLayer(8, 2, 0, hidden=16, norm_first=norm_first, activation=activation)


def decoder(t: Any) -> Any:
    layer = t.TransformerDecoderLayer(8, 2, 16, dropout=0.0, activation="gelu", norm_first=True, batch_first=True)
    return t.TransformerDecoder(layer, 2, norm=t.LayerNorm(8))


MODELS: dict[str, tuple] = {  # name -> (torch's, of torch.nn; ours; the inputs)
    "mlp": (mlp, lambda: nn.Sequential(nn.Linear(6, 8, 0), nn.Tanh(), nn.Linear(8, 4, 0)), (ROWS,)),
    "cnn": (cnn, our_cnn, (PICTURES,)),
    "rnn": (recurrent("RNN"), lambda: nn.RNN(8, 5, 0, layers=2, bidirectional=True), (SEQUENCES,)),
    "lstm": (recurrent("LSTM"), lambda: nn.LSTM(8, 5, 0, layers=2, bidirectional=True), (SEQUENCES,)),
    "gru": (recurrent("GRU"), lambda: nn.GRU(8, 5, 0, layers=2, bidirectional=True), (SEQUENCES,)),
    "attention": (attention, lambda: nn.MultiHeadAttention(8, 2, 0), (SEQUENCES, MEMORY, MEMORY)),
    "encoder layer, norm first, gelu": (encoder_layer(True, "gelu"), our_encoder_layer(True, "gelu"), (SEQUENCES,)),
    "encoder layer, norm behind, relu": (encoder_layer(False, "relu"), our_encoder_layer(False, "relu"), (SEQUENCES,)),
    "decoder": (decoder, lambda: nn.TransformerDecoder(2, 8, 2, 0, hidden=16), (SEQUENCES, MEMORY)),
}


def torch_run(name: str) -> dict[str, np.ndarray]:
    """What torch has and computes, single precision: by ``state.NAME``, ``input.K``, ``output``, and the gradients of
    the sum of output times ``weights``, ``input_slope.K`` and ``slope.NAME``."""
    import torch

    torch.manual_seed(1)
    make, _, arrays = MODELS[name]
    model = make(torch.nn)
    inputs = [torch.tensor(x.astype("float32"), requires_grad=True) for x in arrays]
    masks: dict[str, Any] = {}
    if name == "decoder":  # the mask that ours has by itself
        mask = torch.nn.Transformer.generate_square_subsequent_mask(inputs[0].shape[1])
        masks = {"tgt_mask": mask, "tgt_is_causal": True}
    y = model(*inputs, **masks)
    y = y[0] if isinstance(y, tuple) else y
    weights = np.random.default_rng(1).normal(size=tuple(y.shape)).astype("float32")
    (y * torch.tensor(weights)).sum().backward()
    found = {"output": y.detach().numpy(), "weights": weights}
    found |= {f"input.{k}": x.detach().numpy() for k, x in enumerate(inputs)}
    found |= {f"input_slope.{k}": x.grad.numpy() for k, x in enumerate(inputs)}
    found |= {f"state.{key}": value.numpy() for key, value in model.state_dict().items()}
    return found | {f"slope.{key}": p.grad.numpy() for key, p in model.named_parameters()}


def recorded_run(name: str) -> dict[str, np.ndarray]:
    """The same as it was when it was recorded."""
    return part(load_safetensors(RECORDED), f"{name}: ")


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with ``prefix``, without it."""
    return {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}


def main() -> None:
    """Write the file."""
    arrays = {f"{name}: {key}": value for name in MODELS for key, value in torch_run(name).items()}
    save_safetensors(RECORDED, {key: np.ascontiguousarray(value) for key, value in arrays.items()})


if __name__ == "__main__":
    main()
