"""Feed: what a run trains on, epoch after epoch, and where it stands in it."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import Any


class Feed:
    """The batches of a run: something that can be iterated over once an epoch, each time giving tuples of arrays.

    It can go on in the middle of an epoch where it is a list or tuple of batches, which has the same order every time,
    or has what ``zkynet.data.Batches`` has: ``len()``, ``state_dict()`` and ``load_state_dict(state)``, whose state,
    taken between two batches, stands before the next one, and after the last one before the next epoch.
    """

    def __init__(self, source: Any):
        if looks_like_arrays(source):
            raise TypeError(
                "fit trains on batches, and was given arrays.\n"
                "  expected: data.Batches((x, y), batch_size=32), or another iterable of tuples of arrays"
            )
        if not isinstance(source, Iterable):
            raise TypeError(
                f"fit trains on batches.\n  got:      {type(source).__name__}\n"
                "  expected: data.Batches((x, y), batch_size=32), or another iterable of tuples of arrays"
            )
        self.source: Any = source
        self.fixed = isinstance(source, (list, tuple))
        self.stateful = all(hasattr(source, name) for name in ("__len__", "state_dict", "load_state_dict"))

    @property
    def length(self) -> int | None:
        """The number of batches in a whole epoch; None where the source does not tell."""
        length = getattr(type(self.source), "__len__", None)
        return None if length is None else operator.index(length(self.source))

    def batches(self, done: int) -> Iterator[Any]:
        """The batches of an epoch, of which ``done`` have been trained on already."""
        iterator = islice(self.source, done, None) if self.fixed else iter(self.source)
        close = getattr(iterator, "close", None)  # of a generator: a thread that makes batches ahead ends then
        if close is None:
            return iterator
        return _closed(iterator)

    def state(self) -> dict[str, Any] | None:
        """Where it stands; None where it cannot tell, or need not."""
        return dict(self.source.state_dict()) if self.stateful else None

    def resume(self, state: Mapping[str, Any] | None, epoch: int, done: int) -> None:
        """Let the next iteration go on at ``state``; ValueError where the source cannot do that."""
        if self.stateful and state is not None:
            self.source.load_state_dict(state)
        elif not self.fixed or state is not None:
            kind = type(self.source).__name__
            missing = [name for name in ("__len__", "state_dict", "load_state_dict") if not hasattr(self.source, name)]
            lacks = f"a {kind} has no {', '.join(missing)}" if missing else f"the run was begun on no {kind}"
            raise ValueError(
                "fit cannot go on: nothing says where the batches of the run stand.\n"
                f"  checkpoint: epoch {epoch}, after {done} batches\n  got:        {lacks}\n"
                "  expected:   data.Batches as in the run that is resumed, or a list of batches"
            )


def _closed(iterator: Any) -> Iterator[Any]:
    with closing(iterator):
        yield from iterator


def as_batch(batch: Any, number: int) -> tuple:
    """A batch as a tuple of arrays; an array alone is one of one."""
    if isinstance(batch, (tuple, list)):
        return tuple(batch)
    if hasattr(batch, "shape"):
        return (batch,)
    raise TypeError(
        f"batch {number} is no batch.\n  got:      {type(batch).__name__}\n  expected: a tuple of arrays, or an array"
    )


def samples_of(batch: Sequence[Any], number: int) -> int:
    """How many samples a batch holds, entries of axis 0; ValueError where it holds none."""
    count = 0
    with suppress(TypeError, IndexError):
        count = len(batch[0])
    if not count:
        shapes = ", ".join(str(getattr(x, "shape", type(x).__name__)) for x in batch)
        raise ValueError(
            f"batch {number} holds no sample: a loss of it would be a mean of nothing.\n  got:      {shapes or '()'}\n"
            "  expected: arrays with at least one entry along axis 0"
        )
    return count


def looks_like_arrays(source: Any) -> bool:
    """Whether it is arrays with one sample an entry, rather than batches of them."""
    if isinstance(source, (tuple, list)) and source:
        return all(hasattr(x, "shape") and len(x.shape) for x in source) and len({x.shape[0] for x in source}) == 1
    return hasattr(source, "shape")
