"""Weights saved from PyTorch, by PyTorch's names: what each layer's arrays are called there, and how they lie.

``load_torch_weights("model.safetensors", model)`` reads a file that ``safetensors.torch.save_file(net.state_dict(),
path)`` wrote; ``torch_arrays(model, arrays)`` does the same to arrays in memory and gives them by zkynet's paths. The
two models correspond layer by layer, in their order:

| zkynet | PyTorch | array here | array there |
|---|---|---|---|
| Linear | Linear | weight (I, O) | weight (O, I), transposed |
| | | bias | bias |
| Conv2d | Conv2d | weight, bias | the same |
| LayerNorm | LayerNorm | weight, bias | the same |
| Embedding | Embedding | weight | the same |
| RNN, LSTM, GRU | RNN, LSTM, GRU | cells.k.weight_x (I, gates H) | weight_ih_l{layer}{side}, transposed |
| | | cells.k.weight_h (H, gates H) | weight_hh_l{layer}{side}, transposed |
| RNN, LSTM | | cells.k.bias | bias_ih_l{layer}{side} + bias_hh_l{layer}{side} |
| GRU | | cells.k.bias, cells.k.bias_h | bias_ih_l{layer}{side}, bias_hh_l{layer}{side} |
| MultiHeadAttention | MultiheadAttention | weight_in (E, 3 E), bias_in | in_proj_weight, transposed; in_proj_bias |
| | | weight_out, bias_out | out_proj.weight, transposed; out_proj.bias |
| TransformerEncoderLayer | the same name | attention | self_attn |
| | | feed_forward.first, .second | linear1, linear2 |
| | | norms.0, norms.1 | norm1, norm2 |
| TransformerDecoderLayer | the same name | attention, memory_attention | self_attn, multihead_attn |
| | | feed_forward.first, .second | linear1, linear2 |
| | | norms.0, norms.1, norms.2 | norm1, norm2, norm3 |
| TransformerEncoder, Decoder | the same names | layers.i, norm | layers.i, norm |
| Sequential | Sequential | layers.i | i |

Cell k is ``layer * directions + direction``, and ``side`` is "" for the forward direction and "_reverse" for the other.
A Module of one's own has the same attributes on both sides: ``self.body = nn.Linear(...)`` is "body.weight" here and
there. The gates of PyTorch's cells stand in our order. Settings are not in the file: a PyTorch transformer layer has
``norm_first=False``, ``activation="relu"`` and ``batch_first=False`` unless said otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from zkynet.backends.errors import WeightsMismatchError
from zkynet.framework.computation_graph import Module, Parameter
from zkynet.io.safetensors import host_array, load_safetensors
from zkynet.io.weights import assign_weights
from zkynet.nn import Conv2d, Linear, Sequential
from zkynet.nn.attention import MultiHeadAttention
from zkynet.nn.embedding import Embedding
from zkynet.nn.normalization import LayerNorm
from zkynet.nn.recurrent import GRU, Recurrent
from zkynet.nn.transformer import TransformerDecoderLayer, TransformerEncoderLayer

Entry = tuple[str, tuple[str, ...], Callable[..., np.ndarray]]  # our path, their names, and ours made of theirs


def load_torch_weights(path: str | os.PathLike, model: Module) -> None:
    """Give ``model`` the weights of the safetensors file ``path``, which holds a PyTorch model's ``state_dict``.

    The model keeps its backend. WeightsMismatchError, a ValueError, where names are missing or unknown, or a shape or
    dtype differs; FileFormatError for a damaged file; TypeError for a layer that the table above does not have. Where
    anything does not fit nothing has changed.
    """
    assign_weights(model, torch_arrays(model, load_safetensors(path)))


def torch_arrays(model: Module, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays of a PyTorch ``state_dict`` by the paths of ``model``, laid out as its layers have them.

    States of the model that PyTorch has no counterpart for, a generator's counter, stay as they are. The errors are
    those of ``load_torch_weights``.
    """
    named = {name: host_array(name, x) for name, x in arrays.items()}
    entries = list(_entries(model, "", ""))
    wanted = [name for _, names, _ in entries for name in names]
    missing, unknown = [n for n in wanted if n not in named], sorted(named.keys() - set(wanted))
    if missing or unknown:
        lines = [f"  missing:  {', '.join(map(repr, missing))}"] * bool(missing)
        lines += [f"  unknown:  {', '.join(map(repr, unknown))}"] * bool(unknown)
        raise WeightsMismatchError("the arrays are not those of this model in PyTorch.\n" + "\n".join(lines))
    found = {path: make(*[named[name] for name in names]) for path, names, make in entries}
    owned = model.named_parameters()
    astray = [path for path in owned if path not in found]
    if astray:
        raise TypeError(
            f"no names of PyTorch are known for these parameters.\n  got:      {', '.join(astray)}\n"
            "  expected: the layers of the table in zkynet.io.torch_names"
        )
    kept = {path: state.value for path, state in model.named_states().items()}
    return {**kept, **{path: x for path, x in found.items() if path in owned}}


# ---- the table ----


def _entries(module: Module, ours: str, theirs: str) -> Iterator[Entry]:
    """What a module and those in it correspond to; ``ours`` and ``theirs`` are what stands before their names."""
    kinds = [each for each in TABLE if isinstance(module, each)]
    if kinds:
        yield from TABLE[kinds[0]](module, ours, theirs)
        return
    for name, child in vars(module).items():
        if isinstance(child, Parameter):
            raise TypeError(
                f"no names of PyTorch are known for {type(module).__name__}, which owns {ours}{name}.\n"
                "  expected: the layers of the table in zkynet.io.torch_names"
            )
        if isinstance(child, Module):
            yield from _entries(child, f"{ours}{name}.", f"{theirs}{name}.")
        elif isinstance(child, (list, tuple)):
            for i, item in enumerate(child):
                if isinstance(item, Module):
                    yield from _entries(item, f"{ours}{name}.{i}.", f"{theirs}{name}.{i}.")


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _turned(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.T)


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


def _with_bias(weight: Callable[..., np.ndarray]) -> Callable[..., Iterator[Entry]]:
    def entries(layer: Any, ours: str, theirs: str) -> Iterator[Entry]:
        if layer.weight is not None:
            yield f"{ours}weight", (f"{theirs}weight",), weight
        if getattr(layer, "bias", None) is not None:
            yield f"{ours}bias", (f"{theirs}bias",), _same

    return entries


def _sequential(model: Sequential, ours: str, theirs: str) -> Iterator[Entry]:
    for i, each in enumerate(model.layers):
        if isinstance(each, Module):
            yield from _entries(each, f"{ours}layers.{i}.", f"{theirs}{i}.")


def _recurrent(network: Recurrent, ours: str, theirs: str) -> Iterator[Entry]:
    for k, cell in enumerate(network.cells):
        end = f"_l{k // network.directions}" + "_reverse" * (k % network.directions)
        own = f"{ours}cells.{k}."
        yield f"{own}weight_x", (f"{theirs}weight_ih{end}",), _turned
        yield f"{own}weight_h", (f"{theirs}weight_hh{end}",), _turned
        biases = f"{theirs}bias_ih{end}", f"{theirs}bias_hh{end}"
        if cell.bias is not None and isinstance(network, GRU):
            yield f"{own}bias", biases[:1], _same
            yield f"{own}bias_h", biases[1:], _same
        elif cell.bias is not None:
            yield f"{own}bias", biases, _sum


def _attention(layer: MultiHeadAttention, ours: str, theirs: str) -> Iterator[Entry]:
    if layer.key_heads != layer.heads or layer.rotary:
        raise TypeError(f"PyTorch's MultiheadAttention has no counterpart of {layer!r}: no key_heads, no rotary")
    yield f"{ours}weight_in", (f"{theirs}in_proj_weight",), _turned
    yield f"{ours}weight_out", (f"{theirs}out_proj.weight",), _turned
    if layer.bias_in is not None:
        yield f"{ours}bias_in", (f"{theirs}in_proj_bias",), _same
        yield f"{ours}bias_out", (f"{theirs}out_proj.bias",), _same


def _transformer_layer(layer: Any, ours: str, theirs: str) -> Iterator[Entry]:
    for own, other in zip(layer.attentions, ("self_attn", "multihead_attn"), strict=False):
        yield from _entries(getattr(layer, own), f"{ours}{own}.", f"{theirs}{other}.")
    yield from _entries(layer.feed_forward.first, f"{ours}feed_forward.first.", f"{theirs}linear1.")
    yield from _entries(layer.feed_forward.second, f"{ours}feed_forward.second.", f"{theirs}linear2.")
    for i, norm in enumerate(layer.norms):
        yield from _entries(norm, f"{ours}norms.{i}.", f"{theirs}norm{i + 1}.")


TABLE: dict[type[Module], Callable[[Any, str, str], Iterator[Entry]]] = {
    Linear: _with_bias(_turned),
    Conv2d: _with_bias(_same),
    LayerNorm: _with_bias(_same),
    Embedding: _with_bias(_same),
    Recurrent: _recurrent,
    MultiHeadAttention: _attention,
    TransformerEncoderLayer: _transformer_layer,
    TransformerDecoderLayer: _transformer_layer,
    Sequential: _sequential,
}
