"""Shuffled batches whose order can be reproduced, and resumed in the middle of an epoch."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zkynet.data.datasets import Arrays, Dataset
from zkynet.data.order import as_seed, fixed_permutation, generator_of
from zkynet.data.prefetch import prefetched

Batch = tuple[np.ndarray, ...]
if TYPE_CHECKING:
    Transform = Callable[[Batch, np.random.Generator], Sequence[Any]]  # not at run time: it would load numpy.random


class Batches:
    """The samples of some arrays or of a dataset, a batch at a time; one iteration is one epoch.

    ``data`` is a tuple or list of arrays with the same length n >= 1 along axis 0, or a ``Dataset``. Each batch is a
    tuple with one NumPy array per array, of shape ``(batch_size, ...)`` and the same dtype; the last one of an epoch is
    shorter where ``batch_size`` does not divide n, or is left out with ``drop_last=True``. Batches are fresh copies
    and read-only, so that the engine need not guard them against changes; ``.copy()`` gives a writable one.

    With ``shuffle=True`` every epoch has an order of its own, decided by ``seed`` and the number of the epoch alone, on
    every platform. ``epoch`` is the number that the next iteration will have: iterating counts it up, and assigning it
    resumes a run (``batches.epoch = 7``) or repeats one. ``state_dict()`` and ``load_state_dict()`` resume in the
    middle of an epoch. The arrays are not copied as a whole: what is written into them later shows in later batches.

    ``transform(batch, generator)`` makes a batch of a batch, with a ``numpy.random.Generator`` that ``seed``, the epoch
    and the number of the batch decide; see ``Augment``. ``prefetch``: how many batches a thread makes ahead while the
    loop is at work, 0 for no thread; the batches are the same. It pays where a dataset reads files, and needs memory
    for that many batches more.

    TypeError where ``data`` is neither, or a number is not an integer; ValueError where the arrays are empty, scalars
    or of different lengths, ``batch_size`` is below 1, ``prefetch`` below 0, or ``drop_last`` would leave no batch.
    """

    def __init__(
        self,
        data: Sequence[Any] | Dataset,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        *,
        transform: Transform | None = None,
        prefetch: int = 0,
    ) -> None:
        self.dataset = data if isinstance(data, Dataset) else Arrays(data)
        self.samples = len(self.dataset)
        self.batch_size = _checked_int("batch_size", batch_size, 1)
        self.shuffle = bool(shuffle)
        self.seed = as_seed(seed)
        self.drop_last = bool(drop_last)
        if transform is not None and not callable(transform):
            raise TypeError(
                f"Batches: transform cannot be called.\n  got:      {type(transform).__name__}\n"
                f"  expected: a function of (batch, generator) that returns a batch, Augment(...), or None"
            )
        self.transform = transform
        self.prefetch = _checked_int("prefetch", prefetch, 0)
        self._begin_at(0, 0)
        if len(self) == 0:
            raise ValueError(
                f"Batches: there is no batch.\n"
                f"  got:      {self.samples} samples, batch_size {self.batch_size}, drop_last={self.drop_last}\n"
                f"  expected: at least one sample, and batch_size <= {self.samples} or drop_last=False"
            )

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The arrays that these batches are made of; AttributeError where they come from another kind of dataset."""
        if not isinstance(self.dataset, Arrays):
            raise AttributeError(f"Batches: the samples come from {self.dataset!r}, not from arrays; see .dataset")
        return self.dataset.arrays

    @property
    def epoch(self) -> int:
        """The number of the epoch that the next iteration runs, from 0."""
        return self._next[0]

    @epoch.setter
    def epoch(self, number: int) -> None:
        try:
            wanted = operator.index(number)
        except TypeError:
            wanted = -1
        if wanted < 0:
            raise ValueError(f"Batches.epoch is not an epoch.\n  got:      {number!r}\n  expected: int >= 0")
        self._begin_at(wanted, 0)

    def _begin_at(self, epoch: int, batch: int) -> None:
        self._next = (epoch, batch)  # where the next iteration begins
        self._progress = [epoch, batch]  # where the newest iteration stands

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the samples in ``epoch``: int64, shape (n,), including those that ``drop_last`` drops."""
        if not self.shuffle:
            return np.arange(self.samples, dtype=np.int64)
        return fixed_permutation(self.samples, self.seed, epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return where the newest iteration stands, as a dict of ints and bools that JSON can hold.

        Taken between two batches of a loop, also after a ``break`` or an exception, it stands before the next batch:
        ``load_state_dict`` on batches made of the same data with the same arguments goes on exactly there. Batches that
        were prefetched and not yet handed out do not count.
        """
        epoch, batch = self._progress
        if batch >= len(self):
            epoch, batch = epoch + 1, 0
        return {"epoch": epoch, "batch": batch, **self._settings()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration begin where ``state`` was taken, and run the rest of that epoch.

        The iterations after it are whole epochs again. ValueError, and nothing changed, where ``state`` is not from
        ``state_dict`` or was taken from batches with other settings: the order would be another one.
        """
        place, settings = {"epoch", "batch"}, self._settings()
        if not isinstance(state, Mapping) or set(state) != place | set(settings):
            came = sorted(state) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(
                f"Batches.load_state_dict: this is not the state of batches.\n  got:      {came}\n"
                f"  expected: what state_dict() returned, with {', '.join(sorted(place | set(settings)))}"
            )
        for name, here in settings.items():
            if state[name] != here:
                raise ValueError(
                    f"Batches.load_state_dict: the state is of other batches.\n  got:      {name} {state[name]!r}\n"
                    f"  expected: {name} {here!r}\nMake the batches with the arguments that they had then."
                )
        epoch, batch = (_checked_int(f"state[{name!r}]", state[name], 0) for name in ("epoch", "batch"))
        if batch >= len(self):
            raise ValueError(
                f"Batches.load_state_dict: there is no such batch.\n"
                f"  got:      {batch}\n  expected: 0 to {len(self) - 1}"
            )
        self._begin_at(epoch, batch)

    def _settings(self) -> dict[str, Any]:
        """All that decides, with the place, what comes next."""
        names = ("samples", "batch_size", "shuffle", "seed", "drop_last")
        return {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        """The number of batches in a whole epoch."""
        full, rest = divmod(self.samples, self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[Batch]:
        # Not itself a generator: the epoch is counted when the iteration begins, not at its first batch.
        epoch, first = self._next
        self._next, self._progress = (epoch + 1, 0), [epoch, first]
        return self._run(self.order(epoch), self._progress)

    def _run(self, order: np.ndarray, progress: list[int]) -> Iterator[Batch]:
        epoch, first = progress
        made: Generator[Batch, None, None] = (self._batch(order, epoch, number) for number in range(first, len(self)))
        with contextlib.closing(prefetched(made, self.prefetch) if self.prefetch else made) as batches:
            for batch in batches:
                progress[1] += 1
                yield batch
                del batch  # while the next one is made, this one can be freed

    def _batch(self, order: np.ndarray, epoch: int, number: int) -> Batch:
        chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
        batch = self.dataset.batch(chosen)
        if not isinstance(batch, tuple) or any(np.ndim(array) == 0 or len(array) != len(chosen) for array in batch):
            raise ValueError(
                f"{type(self.dataset).__name__}.batch did not give the samples that were asked for.\n"
                f"  got:      {_shapes(batch)}\n  expected: a tuple of arrays, each with {len(chosen)} along axis 0"
            )
        batch = tuple(_read_only(np.asarray(array)) for array in batch)
        if self.transform is None:
            return batch
        changed = self.transform(batch, generator_of(self.seed, epoch, number))
        if not isinstance(changed, (tuple, list)) or not changed:
            raise TypeError(
                f"Batches: transform did not return a batch.\n  got:      {_shapes(changed)}\n"
                f"  expected: a tuple or list of arrays"
            )
        return tuple(_owned(np.asarray(array)) for array in changed)

    def __repr__(self) -> str:
        return (
            f"Batches({self.dataset!r}: {len(self)} of {self.batch_size}, shuffle={self.shuffle}, epoch={self.epoch})"
        )


def _read_only(array: np.ndarray) -> np.ndarray:
    """The array of a fresh batch, marked; a view, whose base would stay writable, as a copy."""
    if array.base is not None:
        array = array.copy()
    array.flags.writeable = False
    return array


def _owned(array: np.ndarray) -> np.ndarray:
    """What a transform returned, read-only: a copy where it might be an array that the transform keeps."""
    return array if array.base is None and not array.flags.writeable else _read_only(array.copy())


def _shapes(batch: Any) -> str:
    if not isinstance(batch, (tuple, list)):
        return type(batch).__name__
    return f"{type(batch).__name__} of shapes {', '.join(str(np.shape(array)) for array in batch)}"


def _checked_int(name: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"Batches: {name} is not an integer.\n  got:      {type(value).__name__} {value!r}\n"
            f"  expected: int >= {least}"
        ) from None
    if number < least:
        raise ValueError(f"Batches: {name} is too small.\n  got:      {number}\n  expected: int >= {least}")
    return number
