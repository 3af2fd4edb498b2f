"""Writing on: the token after those that a language model has seen, again and again, beyond its length too."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zkynet import backends
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, no_grad


def write(
    model: Any,
    tokens: Any,
    *,
    generator: Generator | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> Iterator[int]:
    """Yield one token after the other, without end, behind ``tokens``, at least one integer, shape (n,).

    ``model`` is a LanguageModel or a RecurrentLanguageModel. Without a ``generator`` the likeliest token comes next;
    with one it is drawn from softmax(logits / ``temperature``), among the ``top_k`` likeliest where that is given.
    A model with a ``length`` sees at most that many tokens: where its window is full it goes on from the later half of
    it, so that a token is chosen by at least half a window. Dropout is off. ValueError for settings out of range.
    """
    xp = backends.backend_of(model.embedding.weight.value)
    seen = [int(token) for token in xp.to_numpy(op.asarray(tokens).value).reshape(-1)]
    check_settings(model, generator, temperature, top_k)
    if not seen:
        raise ValueError("write: there is no token to write on from.\n  expected: at least one")
    return _written(xp, model, seen, generator, temperature, top_k)


def _written(
    xp: Any, model: Any, seen: list[int], generator: Generator | None, temperature: float, top_k: int | None
) -> Iterator[int]:
    length = getattr(model, "length", None)
    window = deque(seen, maxlen=length)
    new, cache = list(window), model.empty_cache(1)
    while True:
        if length is not None and cache[0].position == length:
            new, cache = list(window)[-max(1, length // 2) :], model.empty_cache(1)
        with no_grad(), evaluating(model):
            logits, cache = model(xp.asarray([new], dtype=xp.dtype("int64")), cache=cache)
            token = int(xp.item(next_tokens(xp, logits.value[:, -1, :], generator, temperature, top_k)[0]))
        window.append(token)
        new = [token]
        yield token


def next_tokens(xp: Any, logits: Any, generator: Generator | None, temperature: float, top_k: int | None) -> Any:
    """The next token of each row of logits (N, vocabulary)."""
    if generator is None:
        return xp.argmax(logits, axis=-1)
    if top_k is not None:
        least = xp.sort(logits, axis=-1)[:, -top_k][:, None]
        logits = xp.where(logits >= least, logits, -math.inf)
    return generator.categorical(logits / temperature).value


def check_settings(model: Any, generator: Any, temperature: float, top_k: Any) -> None:
    """ValueError and TypeError for settings of a generation that are out of range."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"generate: the temperature must be above 0, got {temperature!r}")
    if top_k is not None and not 1 <= top_k <= model.vocabulary:
        raise ValueError(f"generate: top_k must be in 1 .. {model.vocabulary}, got {top_k!r}")
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"generate: draws come from a zk.Generator, got {type(generator).__name__}")
    if generator is None and (temperature != 1.0 or top_k is not None):
        raise TypeError(
            "generate: a temperature or top_k is given and no generator to draw from.\n"
            "  expected: generator=zk.Generator(seed)"
        )


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """A block in which dropout is off; behind it every module is as it was."""
    before = [(each, each.training) for each in (model, *model.named_modules().values())]
    model.eval()
    try:
        yield
    finally:
        for each, training in before:
            each.training = training
