"""Text as numbers: characters or words, a vocabulary, and windows for language models."""

from __future__ import annotations

import json
import operator
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zkynet.backends.errors import FileFormatError
from zkynet.data.datasets import Dataset

_FORMAT = "zkynet vocabulary 1"
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")


def read_text(path: str | os.PathLike, encoding: str = "utf-8") -> str:
    """Return the text in a file, its line ends as ``\\n`` and without a byte order mark.

    FileFormatError where it is not in that encoding, or holds nothing but white space; OSError where it cannot be read.
    """
    marked = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        with open(path, encoding=marked) as file:
            text = file.read()
    except UnicodeError as error:
        raise FileFormatError(
            f"{path} is not text in {encoding}: {error}\n"
            f"If it is in another encoding, name it: encoding='latin-1', 'utf-16', ..."
        ) from error
    if not text.strip():
        raise FileFormatError(f"{path} holds no text")
    return text


def words(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, in their order and as they are written.

    A word is letters, digits and underscores, with apostrophes and hyphens inside; every other character that is no
    white space stands for itself. White space is not kept, so what ``" ".join`` gives is not always the text again.
    """
    return _WORD.findall(text)


class Vocabulary:
    """Numbers for tokens: ``encode`` gives int64 ids, ``decode`` the tokens again.

    ``tokens`` are strings, each once; its place is its id. With ``unknown``, one of them, that one stands for all
    tokens that are not there; without it such a token is an error. ``Vocabulary.of(text)`` has the characters of a text
    in sorted order, ``Vocabulary.of(words(text))`` its words.
    """

    def __init__(self, tokens: Sequence[str], unknown: str | None = None) -> None:
        self.tokens = tuple(tokens)
        self.unknown = unknown
        if not self.tokens or any(not isinstance(token, str) or not token for token in self.tokens):
            raise ValueError("Vocabulary: the tokens are not one or more strings, none of them empty")
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self._ids) < len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise ValueError(f"Vocabulary: a token is there twice.\n  got:      {twice!r}\n  expected: each token once")
        if unknown is not None and unknown not in self._ids:
            raise ValueError(f"Vocabulary: unknown={unknown!r} is not one of the tokens; put it among them")

    @classmethod
    def of(
        cls, tokens: Iterable[str], *, unknown: str | None = None, at_least: int = 1, at_most: int | None = None
    ) -> Vocabulary:
        """Return the vocabulary of some tokens: a text, for its characters, or a list of words, in sorted order.

        ``at_least``: how often a token has to occur; ``at_most``: how many tokens there are, the most frequent ones,
        ``unknown`` not counted. Where either leaves tokens out, ``unknown`` is needed for them; it comes first.
        """
        counts = Counter(tokens)
        if unknown is not None:
            counts.pop(unknown, None)
        # By count, then by token: what ties depend on must not be the order in the text.
        ranked = sorted((token for token in counts if counts[token] >= at_least), key=lambda t: (-counts[t], t))
        kept = sorted(ranked if at_most is None else ranked[:at_most])
        if unknown is None and len(kept) < len(counts):
            raise ValueError(
                f"Vocabulary.of: {len(counts) - len(kept)} of {len(counts)} tokens are left out, and nothing stands for"
                f" them.\nName what does: unknown='<unknown>'"
            )
        return cls(kept if unknown is None else [unknown, *kept], unknown)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """Return the ids of a text's characters, or of a list of words: int64, shape (n,).

        ValueError, with its place, where a token is not in the vocabulary and nothing stands for unknown ones.
        """
        sequence, fallback = list(tokens), -1 if self.unknown is None else self._ids[self.unknown]
        ids = np.array([self._ids.get(token, fallback) for token in sequence], dtype=np.int64)
        missing = np.flatnonzero(ids < 0)
        if len(missing):
            raise ValueError(
                f"Vocabulary.encode: a token that is not in the vocabulary.\n"
                f"  got:      {sequence[missing[0]]!r}, token {missing[0]}\n  expected: one of {len(self)} tokens\n"
                f"Make the vocabulary with unknown='<unknown>', which then stands for all others."
            )
        return ids

    def decode(self, ids: Any) -> list[str]:
        """Return the tokens with these ids, integers of shape (n,); ``"".join`` makes a text of characters.

        ValueError where an id is out of range.
        """
        numbers = np.asarray(ids)
        if numbers.ndim != 1 or (numbers.size and not np.issubdtype(numbers.dtype, np.integer)):
            raise TypeError(
                f"Vocabulary.decode: these are no ids.\n  got:      {numbers.dtype}, shape {numbers.shape}\n"
                f"  expected: integers, shape (n,)"
            )
        outside = (numbers < 0) | (numbers >= len(self))
        if outside.any():
            raise ValueError(
                f"Vocabulary.decode: an id out of range.\n"
                f"  got:      {numbers[outside][0]}\n  expected: 0 to {len(self) - 1}"
            )
        return [self.tokens[number] for number in numbers.tolist()]

    def save(self, path: str | os.PathLike) -> None:
        """Write the vocabulary to the file ``path``, as JSON."""
        content = {"format": _FORMAT, "unknown": self.unknown, "tokens": self.tokens}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)  # ASCII: lone surrogates, which UTF-8 cannot write, are escaped

    @classmethod
    def load(cls, path: str | os.PathLike) -> Vocabulary:
        """Read what ``save`` wrote. FileFormatError where it is something else; OSError where it cannot be read."""
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            if content["format"] != _FORMAT or not isinstance(content["tokens"], list):
                raise FileFormatError(f"{path} is no saved Vocabulary: its format is {content['format']!r}")
            return cls(content["tokens"], content["unknown"])
        except FileFormatError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FileFormatError(f"{path} is no saved Vocabulary: {error!r}") from error

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens{'' if self.unknown is None else f', unknown {self.unknown!r}'})"


class TextWindows(Dataset):
    """Windows of a text for a language model: a sample is ``(x, y)``, where y is what comes after each token of x.

    ``ids`` are integers of shape (n,), as ``Vocabulary.encode`` gives them. x and y are int64 of shape (length,);
    window i begins at i * ``stride``, and y one token later. ``stride`` is ``length`` if None: then no token is asked
    for twice. The tokens at the end that fill no window are left out. ``ids`` are not copied. TypeError where they are
    no integers, ValueError where they are too few for one window.
    """

    def __init__(self, ids: Any, length: int, stride: int | None = None) -> None:
        self.ids = np.asarray(ids)
        self.length, self.stride = operator.index(length), operator.index(length if stride is None else stride)
        if self.ids.ndim != 1 or not np.issubdtype(self.ids.dtype, np.integer):
            raise TypeError(
                f"TextWindows: these are no ids.\n  got:      {self.ids.dtype}, shape {self.ids.shape}\n"
                f"  expected: integers, shape (n,), as Vocabulary.encode gives them"
            )
        if self.length < 1 or self.stride < 1 or len(self.ids) <= self.length:
            raise ValueError(
                f"TextWindows: there is no window.\n"
                f"  got:      {len(self.ids)} tokens, length {self.length}, stride {self.stride}\n"
                f"  expected: length and stride >= 1, and more tokens than length"
            )

    def __len__(self) -> int:
        return (len(self.ids) - self.length - 1) // self.stride + 1

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        windows = self.ids[(indices * self.stride)[:, None] + np.arange(self.length + 1)].astype(np.int64, copy=False)
        return windows[:, :-1].copy(), windows[:, 1:].copy()

    def __repr__(self) -> str:
        return f"TextWindows({len(self)} of {self.length} tokens)"
