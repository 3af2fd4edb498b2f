"""Shuffled batches whose order can be reproduced and resumed."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from zkynet.data.order import as_seed, fixed_permutation


class Batches:
    """The samples of some arrays, a batch at a time; one iteration is one epoch.

    ``arrays`` is a tuple or list of arrays with the same length n >= 1 along axis 0. Each batch is a tuple with one
    NumPy array per array, of shape ``(batch_size, ...)`` and the same dtype; the last one of an epoch is shorter where
    ``batch_size`` does not divide n, or is left out with ``drop_last=True``. Batches are fresh copies and read-only,
    so that the engine need not guard them against changes; ``.copy()`` gives a writable one.

    With ``shuffle=True`` every epoch has an order of its own, decided by ``seed`` and the number of the epoch alone, on
    every platform. ``epoch`` is the number that the next iteration will have: iterating counts it up, and assigning it
    resumes a run (``batches.epoch = 7``) or repeats one. The arrays are not copied as a whole: what is written
    into them later shows in later batches.

    TypeError where ``arrays`` is not a tuple or list, or a number is not an integer; ValueError where the arrays are
    empty, scalars or of different lengths, ``batch_size`` is below 1, or ``drop_last`` would leave no batch.
    """

    def __init__(
        self,
        arrays: Sequence[Any],
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.arrays = _checked_arrays(arrays)
        self.samples = len(self.arrays[0])
        self.batch_size = _checked_size(batch_size)
        self.shuffle = bool(shuffle)
        self.seed = as_seed(seed)
        self.drop_last = bool(drop_last)
        self._epoch = 0
        if len(self) == 0:
            raise ValueError(
                f"Batches: drop_last=True leaves no batch.\n"
                f"  got:      {self.samples} samples, batch_size {self.batch_size}\n"
                f"  expected: batch_size <= {self.samples}, or drop_last=False"
            )

    @property
    def epoch(self) -> int:
        """The number of the epoch that the next iteration runs, from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        try:
            wanted = operator.index(number)
        except TypeError:
            wanted = -1
        if wanted < 0:
            raise ValueError(f"Batches.epoch is not an epoch.\n  got:      {number!r}\n  expected: int >= 0")
        self._epoch = wanted

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the samples in ``epoch``: int64, shape (n,), including those that ``drop_last`` drops."""
        if not self.shuffle:
            return np.arange(self.samples, dtype=np.int64)
        return fixed_permutation(self.samples, self.seed, epoch)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        full, rest = divmod(self.samples, self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        # Not itself a generator: the epoch is counted when the iteration begins, not at its first batch.
        epoch = self._epoch
        self._epoch += 1
        return self._run(self.order(epoch))

    def _run(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield tuple(_gather(array, chosen) for array in self.arrays)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{array.dtype}{list(array.shape)}" for array in self.arrays)
        return f"Batches({kinds}: {len(self)} of {self.batch_size}, shuffle={self.shuffle}, epoch={self.epoch})"


def _gather(array: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    # np.take always owns its result; an indexed one can be a view, whose base would stay writable.
    batch = np.take(array, chosen, axis=0)
    batch.flags.writeable = False
    return batch


def _checked_size(batch_size: Any) -> int:
    try:
        size = operator.index(batch_size)
    except TypeError:
        raise TypeError(
            f"Batches: batch_size is not an integer.\n  got:      {type(batch_size).__name__} {batch_size!r}\n"
            f"  expected: int >= 1"
        ) from None
    if size < 1:
        raise ValueError(f"Batches: batch_size is too small.\n  got:      {size}\n  expected: int >= 1")
    return size


def _checked_arrays(arrays: Any) -> tuple[np.ndarray, ...]:
    if not isinstance(arrays, (tuple, list)):
        raise TypeError(
            f"Batches: arrays is not a tuple or list of arrays.\n"
            f"  got:      {type(arrays).__name__}\n"
            f"  expected: (images, labels), or (images,) for a single array"
        )
    checked = tuple(np.asarray(array) for array in arrays)
    shapes = ", ".join(str(array.shape) for array in checked)
    if not checked or any(array.ndim == 0 or len(array) == 0 for array in checked):
        raise ValueError(
            f"Batches: there is nothing to make batches of.\n"
            f"  got:      shapes {shapes or 'of no array'}\n"
            f"  expected: at least one array, each with one sample or more along axis 0"
        )
    if len({len(array) for array in checked}) > 1:
        raise ValueError(
            f"Batches: arrays of different lengths.\n"
            f"  got:      shapes {shapes}\n"
            f"  expected: the same number of samples along axis 0 of each"
        )
    return checked
