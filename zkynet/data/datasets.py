"""Where samples come from: anything with a length that gives the samples of some numbers as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Dataset:
    """Samples 0 to n - 1, fetched by number.

    A subclass has ``__len__`` (n >= 1) and ``batch(indices)``: for int64 numbers of shape (b,), in any order and with
    repetitions, a tuple of arrays whose first axis has length b. What it returns may depend on the numbers alone, and
    is nobody else's: a loader marks it read-only. With ``prefetch`` it is called in another thread.
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs __len__, the number of its samples")

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the samples with these numbers, one array for each of their parts."""
        raise NotImplementedError(f"{type(self).__name__} needs batch(indices), a tuple of arrays")

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """Return one sample: what ``batch`` gives, without the first axis. Negative numbers count from the end."""
        (number,) = checked_indices([index], len(self))
        return tuple(array[0] for array in self.batch(np.array([number])))


class Arrays(Dataset):
    """The samples of some arrays with the same length along axis 0: ``Arrays((images, labels))``.

    The arrays are not copied, so one that is mapped from a file (``numpy.load(path, mmap_mode="r")``) stays there.
    TypeError where ``arrays`` is not a tuple or list; ValueError where the arrays are empty, scalars or of different
    lengths.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.arrays = _checked_arrays(arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(_gather(array, indices) for array in self.arrays)

    def __repr__(self) -> str:
        return ", ".join(f"{array.dtype}{list(array.shape)}" for array in self.arrays)


class Subset(Dataset):
    """Some samples of another dataset, in the order of ``indices``: one side of a split, for example.

    ``indices`` has shape (n,), n >= 1, and an integer dtype; negative ones count from the end. IndexError where one is
    out of range.
    """

    def __init__(self, dataset: Dataset, indices: Any) -> None:
        if not isinstance(dataset, Dataset):
            raise TypeError(
                f"Subset: not a dataset.\n  got:      {type(dataset).__name__}\n"
                f"  expected: a Dataset; for arrays, index them instead: (images[indices], labels[indices])"
            )
        self.dataset = dataset
        self.indices = checked_indices(indices, len(dataset))

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.dataset.batch(self.indices[indices])

    def __repr__(self) -> str:
        return f"{len(self)} of {self.dataset!r}"


def checked_indices(indices: Any, count: int) -> np.ndarray:
    """Return ``indices`` as int64 of shape (n,), each in 0 to ``count`` - 1; negative ones count from the end."""
    numbers = np.asarray(indices)
    if numbers.ndim != 1 or len(numbers) == 0 or not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(
            f"these are no sample numbers.\n  got:      dtype {numbers.dtype}, shape {numbers.shape}\n"
            f"  expected: an integer dtype, shape (n,) with n >= 1; for a mask, numpy.flatnonzero(mask)"
        )
    outside = (numbers < -count) | (numbers >= count)
    if outside.any():
        raise IndexError(
            f"a sample number is out of range.\n  got:      {numbers[outside][0]}\n  expected: {-count} to {count - 1}"
        )
    return np.where(numbers < 0, numbers + count, numbers).astype(np.int64)


def _gather(array: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    if array.flags.c_contiguous:
        return np.take(array, chosen, axis=0)
    # np.take would copy the whole of such an array first; an index copies the chosen, but may give a view of its copy.
    batch = array[chosen]
    return batch if batch.base is None else batch.copy()


def _checked_arrays(arrays: Any) -> tuple[np.ndarray, ...]:
    if not isinstance(arrays, (tuple, list)):
        raise TypeError(
            f"these are no samples.\n"
            f"  got:      {type(arrays).__name__}\n"
            f"  expected: a tuple or list of arrays, (images, labels), or (images,) for a single one; or a Dataset"
        )
    checked = tuple(np.asarray(array) for array in arrays)
    shapes = ", ".join(str(array.shape) for array in checked)
    if not checked or any(array.ndim == 0 or len(array) == 0 for array in checked):
        raise ValueError(
            f"there is nothing to make batches of.\n"
            f"  got:      shapes {shapes or 'of no array'}\n"
            f"  expected: at least one array, each with one sample or more along axis 0"
        )
    if len({len(array) for array in checked}) > 1:
        raise ValueError(
            f"arrays of different lengths.\n"
            f"  got:      shapes {shapes}\n"
            f"  expected: the same number of samples along axis 0 of each"
        )
    return checked
