"""Transformers: layers of attention and a feed-forward part, stacks of them, and learned positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from zkynet import backends
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn import layer
from zkynet.nn.attention import KeyValueCache, MultiHeadAttention
from zkynet.nn.initializers import Initializer, glorot_uniform
from zkynet.nn.linear import Linear
from zkynet.nn.normalization import LayerNorm
from zkynet.nn.recurrent import needed, rate

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": op.relu,
    "gelu": op.gelu,
    "gelu_tanh": partial(op.gelu, approximate=True),
    "silu": op.silu,
}


class FeedForward(Module):
    """The part of a transformer that sees each entry alone: activation(x @ W1 + b1) @ W2 + b2.

    From (..., size) over (..., hidden) to (..., size); ``activation`` is "relu", "gelu", "gelu_tanh" (gelu by a tanh,
    which is faster) or "silu". ``dropout`` drops hidden entries in training.
    """

    def __init__(
        self,
        size: int,
        hidden: int,
        generator: Generator | int | None = None,
        *,
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        if activation not in ACTIVATIONS:
            raise ValueError(f"FeedForward: activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
        self.activation, self.dropout = activation, rate(self, dropout)
        generator = needed(self, generator)
        self.first = Linear(size, hidden, generator, bias=bias, init=init, dtype=dtype)
        self.second = Linear(hidden, size, generator, bias=bias, init=init, dtype=dtype)
        self.noise = generator if self.dropout else None

    def call(self, x: Any) -> Any:
        h = ACTIVATIONS[self.activation](self.first(x))
        return self.second(_dropped(self, h))


class TransformerLayer(Module):
    """What encoder and decoder layers share: settings, norms around each part, and dropout of what a part adds.

    ``norm_first`` puts the layer norm before each part, x + part(norm(x)), which trains without warm-up; otherwise it
    stands behind, norm(x + part(x)), as in Vaswani et al. 2017. ``hidden``, the width of the feed-forward part, is 4
    times the size unless given. ``dropout`` acts in training alone: on the weights of the softmax, on the hidden
    entries and on what each part adds.
    """

    attentions: tuple[str, ...] = ("attention",)  # by the names of their attributes

    def __init__(
        self,
        size: int,
        heads: int,
        generator: Generator | int | None = None,
        *,
        hidden: int | None = None,
        norm_first: bool = True,
        activation: str = "gelu",
        dropout: float = 0.0,
        rotary: bool = False,
        key_heads: int | None = None,
        bias: bool = True,
        eps: float = 1e-5,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        self.size, self.heads = layer.size(type(self).__name__, "size", size), heads
        self.norm_first, self.dropout = bool(norm_first), rate(self, dropout)
        generator = needed(self, generator)
        common = {"dropout": dropout, "bias": bias, "init": init, "dtype": dtype}
        for i, name in enumerate(self.attentions):
            attention = MultiHeadAttention(
                self.size, heads, generator, key_heads=key_heads, rotary=rotary and not i, **common
            )
            setattr(self, name, attention)
        hidden = 4 * self.size if hidden is None else hidden
        self.feed_forward = FeedForward(self.size, hidden, generator, activation=activation, **common)
        self.norms = tuple(LayerNorm(self.size, eps=eps, dtype=dtype) for _ in range(len(self.attentions) + 1))
        self.noise = generator if self.dropout else None

    def _residual(self, x: Any, i: int, part: Callable[[Any], Any]) -> Any:
        """x with what part number ``i`` adds."""
        if self.norm_first:
            return op.add(x, _dropped(self, part(self.norms[i](x))))
        return self.norms[i](op.add(x, _dropped(self, part(x))))

    def __repr__(self) -> str:
        settings = ["norm_first=False"] * (not self.norm_first) + [f"dropout={self.dropout}"] * (self.dropout > 0)
        return f"{type(self).__name__}({', '.join([f'{self.size}, {self.heads}', *settings])})"


class TransformerEncoderLayer(TransformerLayer):
    """Self-attention, then a feed-forward part, each added to what comes in: from x (N, L, size) to the same shape.

    The settings of a call are those of MultiHeadAttention: ``mask``, ``key_mask``, ``causal``, ``cache``; with a cache,
    of ``empty_cache``, the call gives ``(y, cache)``. Of the constructor see ``TransformerLayer``; ``rotary`` and
    ``key_heads`` go to the attention.
    """

    attention: MultiHeadAttention

    def call(self, x: Any, *, mask: Any = None, key_mask: Any = None, causal: bool = False, cache: Any = None) -> Any:
        after = cache

        def attend(h: Any) -> Any:
            nonlocal after
            y = self.attention(h, mask=mask, key_mask=key_mask, causal=causal, cache=cache)
            if cache is not None:
                y, after = y
            return y

        x = self._residual(x, 0, attend)
        x = self._residual(x, 1, self.feed_forward)
        return x if cache is None else (x, after)

    def empty_cache(self, rows: int, capacity: int) -> KeyValueCache:
        """See ``MultiHeadAttention.empty_cache``."""
        return self.attention.empty_cache(rows, capacity)


class TransformerDecoderLayer(TransformerLayer):
    """Causal self-attention, attention to a memory, then a feed-forward part, each added to what comes in.

    From x (N, L, size) and ``memory`` (N, S, size), what an encoder gives, to (N, L, size). ``mask`` and ``key_mask``
    belong to the self-attention, which is causal unless ``causal=False``; ``memory_mask`` (L, S) and
    ``memory_key_mask`` (N, S) to the memory. For generation ``cache=layer.empty_cache(memory, capacity)``: then
    the call takes the next entries of x, ``layer(x, cache=cache)``, and gives ``(y, cache)``.
    """

    attentions = ("attention", "memory_attention")
    attention: MultiHeadAttention
    memory_attention: MultiHeadAttention

    def call(
        self,
        x: Any,
        memory: Any = None,
        *,
        mask: Any = None,
        key_mask: Any = None,
        memory_mask: Any = None,
        memory_key_mask: Any = None,
        causal: bool = True,
        cache: tuple[KeyValueCache, KeyValueCache] | None = None,
    ) -> Any:
        if (memory is None) == (cache is None):
            raise TypeError(f"{self!r}: expected a memory, or a cache that holds one, and not both")
        own, other = (None, None) if cache is None else cache
        after = own

        def attend(h: Any) -> Any:
            nonlocal after
            y = self.attention(h, mask=mask, key_mask=key_mask, causal=causal, cache=own)
            if own is not None:
                y, after = y
            return y

        def attend_to_memory(h: Any) -> Any:
            masks = {"mask": memory_mask, "key_mask": memory_key_mask}
            if other is None:
                return self.memory_attention(h, memory, **masks)
            return self.memory_attention(h, cache=other, **masks)[0]

        x = self._residual(x, 0, attend)
        x = self._residual(x, 1, attend_to_memory)
        x = self._residual(x, 2, self.feed_forward)
        return x if cache is None else (x, (after, other))

    def empty_cache(self, memory: Any, capacity: int) -> tuple[KeyValueCache, KeyValueCache]:
        """Room for ``capacity`` entries of x, and the keys and values of ``memory`` (N, S, size)."""
        rows = int(memory.shape[0])
        return self.attention.empty_cache(rows, capacity), self.memory_attention.remember(memory)


class TransformerStack(Module):
    """``layers`` layers one behind the other, and a layer norm behind them where the layers norm first.

    ``TransformerEncoder(layers, size, heads, generator, ...)`` with the settings of a layer; the call passes its
    settings to every layer. With ``cache=stack.empty_cache(...)``, a tuple of one a layer, the call gives ``(y,
    cache)``.
    """

    kind: type[TransformerLayer] = TransformerLayer
    layers: tuple[Any, ...]

    def __init__(self, layers: int, size: int, heads: int, generator: Generator | int | None = None, **settings: Any):
        count = layer.size(type(self).__name__, "layers", layers)
        generator = needed(self, generator)
        self.layers = tuple(self.kind(size, heads, generator, **settings) for _ in range(count))
        norm = {"eps": settings.get("eps", 1e-5), "dtype": settings.get("dtype", "float32")}
        self.norm = LayerNorm(self.layers[0].size, **norm) if self.layers[0].norm_first else None

    def _run(self, x: Any, inputs: tuple, cache: Sequence[Any] | None, settings: dict[str, Any]) -> Any:
        if cache is not None and len(cache) != len(self.layers):
            raise ValueError(f"{self!r}: {len(cache)} caches for {len(self.layers)} layers")
        after = []
        for i, each in enumerate(self.layers):
            if cache is None:
                x = each(x, *inputs, **settings)
            else:
                x, new = each(x, *inputs, cache=cache[i], **settings)
                after.append(new)
        x = x if self.norm is None else self.norm(x)
        return x if cache is None else (x, tuple(after))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.layers)} x {self.layers[0]!r})"


class TransformerEncoder(TransformerStack):
    """A stack of TransformerEncoderLayers: from x (N, L, size) to the same shape. See ``TransformerStack``."""

    kind = TransformerEncoderLayer

    def call(
        self,
        x: Any,
        *,
        mask: Any = None,
        key_mask: Any = None,
        causal: bool = False,
        cache: Sequence[KeyValueCache] | None = None,
    ) -> Any:
        return self._run(x, (), cache, {"mask": mask, "key_mask": key_mask, "causal": causal})

    def empty_cache(self, rows: int, capacity: int) -> tuple[KeyValueCache, ...]:
        """A cache of each layer."""
        return tuple(each.empty_cache(rows, capacity) for each in self.layers)


class TransformerDecoder(TransformerStack):
    """A stack of TransformerDecoderLayers: from x (N, L, size) and a memory (N, S, size). See ``TransformerStack``."""

    kind = TransformerDecoderLayer

    def call(
        self,
        x: Any,
        memory: Any = None,
        *,
        mask: Any = None,
        key_mask: Any = None,
        memory_mask: Any = None,
        memory_key_mask: Any = None,
        causal: bool = True,
        cache: Sequence[tuple[KeyValueCache, KeyValueCache]] | None = None,
    ) -> Any:
        masks = {"mask": mask, "key_mask": key_mask, "memory_mask": memory_mask, "memory_key_mask": memory_key_mask}
        return self._run(x, () if memory is None else (memory,), cache, {**masks, "causal": causal})

    def empty_cache(self, memory: Any, capacity: int) -> tuple[tuple[KeyValueCache, KeyValueCache], ...]:
        """A cache of each layer, with the keys and values of ``memory``."""
        return tuple(each.empty_cache(memory, capacity) for each in self.layers)


class LearnedPositions(Module):
    """x plus a trained vector for each position: x (N, L, size) whose entries stand at ``start``, ``start`` + 1 and on.

    ``weight`` (length, size) is drawn normal with deviation 0.02 from ``generator``. ShapeError for more than
    ``length`` positions.
    """

    def __init__(self, length: int, size: int, generator: Generator | int | None = None, *, dtype: Any = "float32"):
        shape = layer.size("LearnedPositions", "length", length), layer.size("LearnedPositions", "size", size)
        xp = backends.default_backend()
        with backends.use_backend("numpy"):
            numbers = needed(self, generator).normal(shape, std=0.02).value
        self.weight = Parameter("weight", xp.asarray(numbers, dtype=xp.dtype(dtype)))

    def call(self, x: Any, *, start: int = 0) -> Any:
        length, size = self.weight.shape
        shape = tuple(x.shape)
        if len(shape) < 2 or shape[-1] != size or start < 0 or start + shape[-2] > length:
            raise ShapeError(
                f"{self!r}: the input does not fit.\n  got:      {shape} from position {start} on\n"
                f"  expected: (..., L, {size}) with L at most {length} - start"
            )
        return op.add(x, self.weight[start : start + shape[-2]])

    def __repr__(self) -> str:
        return f"LearnedPositions({', '.join(map(str, self.weight.shape))})"


def _dropped(owner: Any, x: Any) -> Any:
    return op.dropout(x, owner.dropout, owner.noise) if owner.noise is not None and owner.training else x
