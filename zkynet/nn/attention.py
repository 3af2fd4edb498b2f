"""Attention by several heads, over one sequence or from one to another, and what it keeps for generation."""

from __future__ import annotations

from typing import Any

from zkynet import backends
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn import layer
from zkynet.nn.initializers import Initializer, glorot_uniform
from zkynet.nn.recurrent import needed, rate


class KeyValueCache:
    """The keys and values that attention has seen: ``key`` and ``value``, (N, key_heads, capacity, features).

    ``position`` says how many of them are filled; None means that they are all there, and none will follow. A cache is
    never changed: a call gives the next one.
    """

    __slots__ = ("key", "position", "value")

    def __init__(self, key: Any, value: Any, position: int | None):
        self.key, self.value, self.position = key, value, position

    @property
    def capacity(self) -> int:
        """How many keys have room."""
        return int(self.key.shape[-2])

    def extended(self, key: Any, value: Any) -> KeyValueCache:
        """The cache with more keys and values (N, key_heads, L, features); ValueError where they have no room."""
        if self.position is None:
            raise ValueError("KeyValueCache: this one holds all keys of a memory; nothing can be added to it")
        count = int(key.shape[-2])
        if self.position + count > self.capacity:
            raise ValueError(
                f"KeyValueCache: it is full.\n  got:      {count} keys behind {self.position}\n"
                f"  expected: at most {self.capacity} in all\nMake it with a larger capacity."
            )
        start = (0, 0, self.position, 0)
        return KeyValueCache(
            op.dynamic_update_slice(self.key, key, start),
            op.dynamic_update_slice(self.value, value, start),
            self.position + count,
        )

    def __repr__(self) -> str:
        filled = "all" if self.position is None else f"{self.position} of"
        return f"KeyValueCache({filled} {self.capacity} keys, {self.key.shape[1]} heads of {self.key.shape[-1]})"


class MultiHeadAttention(Module):
    """softmax(q k^T / sqrt(D)) v for each of several heads, between two linear maps (Vaswani et al. 2017).

    ``attention(x)`` is self-attention over x (N, L, size), to the same shape; ``attention(x, memory)`` lets x look at
    memory (N, S, size); ``attention(query, key, value)`` takes all three. Settings of a call, all of them optional:

    - ``causal=True``: entry i looks at keys 0 .. i alone;
    - ``mask``: booleans, True where a query may look, or floating-point numbers, which are added to the scores; its
      shape is (L, S), (N, L, S) or (N, heads, L, S);
    - ``key_mask``: booleans (N, S), the keys that count, such as those of a ragged batch;
    - ``cache``: the call gives ``(y, cache)``. With one of ``empty_cache`` x holds the next L entries of a sequence,
      and looks at them and all before them, causally; with one of ``remember`` x looks at the memory it was made of.

    A query that may look nowhere gets the bias of the output alone.

    ``weight_in``, (size, (heads + 2 * key_heads) * size / heads), holds the maps to queries, keys and values side by
    side, ``weight_out`` (size, size) the last map; each map is drawn with ``init`` from ``generator`` as a matrix of
    its own. ``bias_in`` and ``bias_out`` begin at zero; ``bias=False`` leaves them out. ``dropout`` is the rate at
    which weights of the softmax are dropped in training. ``rotary=True`` turns queries and keys by their positions (Su
    et al. 2021). With ``key_heads`` below ``heads``, groups of heads share keys and values (Ainslie et al. 2023).

    TypeError without a generator, ValueError for sizes that heads do not divide, ShapeError for inputs that do not fit.
    """

    def __init__(
        self,
        size: int,
        heads: int,
        generator: Generator | int | None = None,
        *,
        key_heads: int | None = None,
        dropout: float = 0.0,
        rotary: bool = False,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        who = "MultiHeadAttention"
        self.size, self.heads = layer.size(who, "size", size), layer.size(who, "heads", heads)
        self.key_heads = self.heads if key_heads is None else layer.size(who, "key_heads", key_heads)
        self.dropout, self.rotary = rate(self, dropout), bool(rotary)
        if self.size % self.heads or self.heads % self.key_heads or (rotary and self.size // self.heads % 2):
            raise ValueError(
                f"MultiHeadAttention: the heads do not fit.\n"
                f"  got:      size {self.size}, {self.heads} heads, {self.key_heads} heads of keys, rotary={rotary}\n"
                f"  expected: heads that divide the size, key_heads that divide heads, "
                f"and an even number of features a head where rotary"
            )
        generator = needed(self, generator)
        keys = self.size // self.heads * self.key_heads
        widths = (self.size, keys, keys)
        xp = backends.default_backend()
        blocks = [init((self.size, n), generator, dtype=dtype, fans=(self.size, n)) for n in widths]
        self.weight_in = Parameter("weight_in", xp.concat(blocks, axis=1))
        self.bias_in = Parameter("bias_in", xp.zeros((sum(widths),), dtype=xp.dtype(dtype))) if bias else None
        shape = (self.size, self.size)
        self.weight_out = Parameter("weight_out", init(shape, generator, dtype=dtype, fans=shape))
        self.bias_out = Parameter("bias_out", xp.zeros((self.size,), dtype=xp.dtype(dtype))) if bias else None
        self.noise = generator if self.dropout else None

    # ---- the call ----

    def call(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        *,
        mask: Any = None,
        key_mask: Any = None,
        causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Any:
        self._check(query, key, value, cache)
        if cache is not None and cache.position is None:
            q, k, v = self._queries(query), cache.key, cache.value
        elif cache is not None:
            if mask is not None or key_mask is not None:
                raise TypeError(f"{self!r}: a cache of earlier entries and a mask are given.\n  expected: one of them")
            start = cache.position or 0
            q, k, v = self._self_projected(query, start)
            cache = cache.extended(k, v)
            k, v = cache.key, cache.value
            mask, causal = self._past(start, int(query.shape[1]), cache), False
        elif key is None:
            q, k, v = self._self_projected(query, 0)
        else:
            q, (k, v) = self._queries(query), self._keys_values(key, key if value is None else value)
        y = self._joined(self._attend(q, k, v, self._masks(mask, key_mask, q, k), causal))
        return y if cache is None else (y, cache)

    def empty_cache(self, rows: int, capacity: int) -> KeyValueCache:
        """Room for ``capacity`` keys of ``rows`` sequences, none of them filled."""
        weight = self.weight_in.value
        xp = backends.backend_of(weight)
        shape = (
            layer.size("empty_cache", "rows", rows),
            self.key_heads,
            layer.size("empty_cache", "capacity", capacity),
        )
        zeros = xp.zeros((*shape, self.size // self.heads), dtype=weight.dtype)
        return KeyValueCache(zeros, zeros, 0)

    def remember(self, memory: Any, value: Any = None) -> KeyValueCache:
        """The keys and values of ``memory`` (N, S, size), computed once for many calls with ``cache``."""
        self._check(memory, memory, value, None)
        return KeyValueCache(*self._keys_values(memory, memory if value is None else value), None)

    # ---- its steps ----

    def _self_projected(self, x: Any, start: int) -> tuple[Any, Any, Any]:
        """Queries, keys and values of one sequence, (N, heads, L, features) each, by one product."""
        h, k = self.heads, self.key_heads
        all_heads = self._split(op.linear(x, self.weight_in, self.bias_in), h + 2 * k)
        if h == k:
            query, key, value = op.Parts(3, -3)(all_heads)
        else:
            query, key, value = all_heads[:, :h], all_heads[:, h : h + k], all_heads[:, h + k :]
        if self.rotary:
            positions = range(start, start + int(x.shape[1]))
            query, key = op.rotary_embedding(query, positions), op.rotary_embedding(key, positions)
        return query, key, value

    def _queries(self, x: Any) -> Any:
        return self._split(self._mapped(x, 0, self.size), self.heads)

    def _keys_values(self, key: Any, value: Any) -> tuple[Any, Any]:
        middle = self.size + self.size // self.heads * self.key_heads
        end = 2 * middle - self.size
        if value is key:
            both = self._split(self._mapped(key, self.size, end), 2 * self.key_heads)
            k, v = op.Parts(2, -3)(both)
            return k, v
        k, v = self._mapped(key, self.size, middle), self._mapped(value, middle, end)
        return self._split(k, self.key_heads), self._split(v, self.key_heads)

    def _mapped(self, x: Any, start: int, stop: int) -> Any:
        bias = None if self.bias_in is None else self.bias_in[start:stop]
        return op.linear(x, self.weight_in[:, start:stop], bias)

    def _split(self, x: Any, heads: int) -> Any:
        """(N, L, heads * features) as (N, heads, L, features)."""
        rows, length = x.shape[:2]
        return op.permute_dims(op.reshape(x, (rows, length, heads, self.size // self.heads)), (0, 2, 1, 3))

    def _attend(self, q: Any, k: Any, v: Any, mask: Any, causal: bool) -> Any:
        settings = {"mask": mask, "causal": causal}
        if self.noise is not None and self.training:
            settings.update(dropout_rate=self.dropout, generator=self.noise)
        if self.heads == self.key_heads:
            return op.scaled_dot_product_attention(q, k, v, **settings)
        rows, _, length, width = q.shape
        groups = (self.key_heads, self.heads // self.key_heads)
        q = op.reshape(q, (rows, *groups, length, width))
        y = op.scaled_dot_product_attention(q, op.expand_dims(k, 2), op.expand_dims(v, 2), **settings)
        return op.reshape(y, (rows, self.heads, length, width))

    def _joined(self, y: Any) -> Any:
        rows, _, length, _ = y.shape
        y = op.reshape(op.permute_dims(y, (0, 2, 1, 3)), (rows, length, self.size))
        return op.linear(y, self.weight_out, self.bias_out)

    # ---- masks ----

    def _past(self, start: int, length: int, cache: KeyValueCache) -> Any:
        """Which of a cache's places the entries ``start`` .. may look at: a boolean array (length, capacity)."""
        xp = backends.backend_of(self.weight_in.value)
        here = xp.reshape(xp.arange(length), (length, 1)) + start
        return here >= xp.arange(cache.capacity)

    def _masks(self, mask: Any, key_mask: Any, q: Any, k: Any) -> Any:
        """Both masks as one that broadcasts against the scores; None where there is none."""
        rows, _, length, _ = q.shape
        keys = k.shape[-2]
        if mask is not None:
            mask = self._seen_mask(mask, (rows, self.heads, length, keys))
        if key_mask is None:
            return mask
        key_mask = op.asarray(key_mask)
        if tuple(key_mask.shape) != (rows, keys) or "bool" not in str(key_mask.dtype):
            raise ShapeError(
                f"{self!r}: key_mask does not fit.\n  got:      {key_mask.dtype} of shape {tuple(key_mask.shape)}\n"
                f"  expected: booleans of shape {(rows, keys)}, True where a key counts"
            )
        groups = 1 if self.heads == self.key_heads else 2
        key_mask = op.reshape(key_mask, (rows, *(1,) * groups, 1, keys))
        if mask is None:
            return key_mask
        if "bool" in str(mask.dtype):
            return op.logical_and(mask, key_mask)
        return op.where(key_mask, mask, float("-inf"))

    def _seen_mask(self, mask: Any, scores: tuple[int, ...]) -> Any:
        mask = op.asarray(mask)
        shape = tuple(mask.shape)
        wanted = {2: scores[2:], 3: (scores[0], *scores[2:]), 4: scores}.get(len(shape))
        if wanted is None or any(a not in (1, b) for a, b in zip(shape, wanted, strict=True)):
            rows, heads, length, keys = scores
            raise ShapeError(
                f"{self!r}: the mask does not fit.\n  got:      shape {shape}\n"
                f"  expected: {(length, keys)}, {(rows, length, keys)} or {scores}, or 1 in place of a size"
            )
        mask = op.expand_dims(mask, 1) if len(shape) == 3 else mask
        if self.heads == self.key_heads or len(shape) == 2:
            return mask
        shape = tuple(mask.shape)
        groups = (1, 1) if shape[1] == 1 else (self.key_heads, self.heads // self.key_heads)
        return op.reshape(mask, (shape[0], *groups, *shape[2:]))

    def _check(self, query: Any, key: Any, value: Any, cache: KeyValueCache | None) -> None:
        shapes = [tuple(x.shape) for x in (query, key, value) if x is not None]
        if any(len(s) != 3 or s[-1] != self.size or s[0] != shapes[0][0] for s in shapes) or (
            value is not None and (key is None or shapes[1] != shapes[2])
        ):
            raise ShapeError(
                f"{self!r}: the inputs do not fit.\n  got:      {', '.join(map(str, shapes))}\n"
                f"  expected: (N, L, {self.size}), and (N, S, {self.size}) for keys and for values"
            )
        if key is not None and cache is not None:
            raise TypeError(f"{self!r}: both keys and a cache are given.\n  expected: one of them")
        if self.rotary and (key is not None or (cache is not None and cache.position is None)):
            raise ValueError(
                f"{self!r}: rotary positions are those of one sequence, and keys of another are given.\n"
                f"  expected: self-attention; make this MultiHeadAttention with rotary=False"
            )

    def __repr__(self) -> str:
        settings = [f"key_heads={self.key_heads}"] * (self.key_heads != self.heads)
        settings += [f"dropout={self.dropout}"] * (self.dropout > 0) + ["rotary=True"] * self.rotary
        settings += ["bias=False"] * (self.bias_in is None)
        return f"MultiHeadAttention({', '.join([f'{self.size}, {self.heads}', *settings])})"
